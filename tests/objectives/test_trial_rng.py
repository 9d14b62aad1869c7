from optuna_snn.objectives.trial_rng import trial_rng


def test_seed_and_number_of_a_trial_determine_its_draws() -> None:
    drawn = [
        trial_rng(seed, number).random() for seed, number in ((0, 0), (0, 1), (1, 0), (0, 10))
    ]
    assert len(set(drawn)) == 4
    assert trial_rng(0, 1).random() == drawn[1]


def test_without_a_seed_the_same_trial_draws_something_else() -> None:
    assert trial_rng(None, 0).random() != trial_rng(None, 0).random()
