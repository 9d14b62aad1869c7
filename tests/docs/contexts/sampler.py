"""The page brings all that it needs."""


def check_the_disk(names):
    best = names["study"].best_trial
    assert best.constraints["disk"] <= 0
    assert best.value < 2  # 1 at (2, 0)


CHECKS = {'trial.set_constraint("disk"': check_the_disk}
