"""The network and the imports of the tutorial."""

CONTINUES = ("docs/tutorial.md", "def objective")


def check_that_nothing_is_stopped(names):
    trials = names["study"].trials
    assert {trial.state.name for trial in trials} == {"COMPLETE"}


def check_what_is_found(names):
    found = names["found"]
    assert len(found.trials) == 30
    assert found.n_unknown == 0
    assert found.n_stopped > 0
    assert found.n_good == 6


CHECKS = {
    "RandomSampler(seed=0)": check_that_nothing_is_stopped,
    "loses {found.n_good_lost}": check_what_is_found,
}
