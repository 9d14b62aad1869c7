"""The page brings all that it needs; what it says of it is checked."""


def check_that_some_are_stopped(names):
    trials = names["study"].trials
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert all(trial.constraints for trial in trials)


def check_the_named_layers(names):
    assert set(names["trial"].constraints) == {"silent/hidden", "silent/output"}


def check_the_pause(names):
    assert names["monitor"].n_samples == 64


CHECKS = {
    "spikes.sum((0, 2))": check_that_some_are_stopped,
    "print(trial.constraints)": check_the_named_layers,
    'axes="batch time ..."': check_that_some_are_stopped,
    "print(monitor.n_samples)": check_the_pause,
    "MedianPruner()": check_that_some_are_stopped,
}
