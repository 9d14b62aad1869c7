"""Nothing is taken for granted: what the tutorial says of its study is checked."""


def check_the_study(names):
    trials = names["study"].trials
    n_early = sum(trial.state.name == "PRUNED" for trial in trials[:10])
    n_late = sum(trial.state.name == "PRUNED" for trial in trials[-10:])
    assert n_early >= 3, "many of the first trials are pruned"
    assert n_late < n_early, "few of the later ones"
    assert names["best"].value > 0.6
    for trial in trials:
        assert set(trial.constraints) == {"silent/hidden", "silent/output"}


def check_the_trace(names):
    asks = names["search_trace"](names["study"])
    assert [ask.is_initial for ask in asks] == [True] * 9 + [False] * 20


CHECKS = {"n_trials=30": check_the_study, "search_trace(study)": check_the_trace}
