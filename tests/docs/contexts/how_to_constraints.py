"""The page brings all that it needs; its studies end feasible."""


def check_feasible(names):
    constraints = names["study"].best_trial.constraints
    assert constraints
    assert all(value <= 0 for value in constraints.values())


def check_that_memory_is_learnt(names):
    check_feasible(names)
    trials = names["study"].trials
    assert any(trial.state.name == "PRUNED" for trial in trials)
    assert all("memory" in trial.constraints for trial in trials)


def check_the_errors(names):
    check_feasible(names)
    for trial in names["study"].trials:
        assert trial.user_attrs["optuna_snn:constraint_sd"]["crashes"] > 0


def check_the_names(names):
    check_feasible(names)
    assert set(names["study"].best_trial.constraints) == {"0"}


CHECKS = {
    'trial.set_constraint("latency"': check_feasible,
    'trial.set_constraint("memory"': check_that_memory_is_learnt,
    "set_constraint_sd(trial": check_the_errors,
    "constraints_func=lambda": check_the_names,
}
