"""Conditional parameters that were not chosen with the others: one step over their branch.

A trial may ask for what was not chosen for it (`scbo.joint`): its parameters were given, or it
went another way than was foreseen. The branch of a parameter is what all finished trials that have
it share. One step of SCBO over the branch, with the parameters that the running trial has already
held at their values, gives all the others at once. The trust region's length is the study's; its
centre is the best trial of the branch by the models of the branch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution

from optuna_snn import history
from optuna_snn.history import Plan, Snapshot
from optuna_snn.scbo.options import Options
from optuna_snn.threads import one_thread_on_cpu

MIN_BRANCH_TRIALS = 4
"""Least number of trials that a branch is learnt from; in more dimensions d + 1, what a model
needs."""


class Branch(NamedTuple):
    """The sub-space of a parameter, and what of it is chosen already."""

    distributions: dict[str, BaseDistribution]
    held: dict[str, Any]
    """Name -> value, of the parameters that the running trial has."""


def branch_of(name: str, distributions: dict[str, BaseDistribution], plan: Plan) -> Branch:
    """What of a branch's distributions fits the running trial.

    Parameters of a single value, and those that the trial has with other bounds, are left out.
    plan: what the trial has and will have.
    """
    fitting = {
        other: d
        for other, d in distributions.items()
        if not d.single() and (other not in plan.values or other == name or plan.has(other, d))
    }
    held = {other: plan.values[other] for other in fitting if other in plan.values}
    held.pop(name, None)
    return Branch(fitting, held)


def choose(
    branch: Branch,
    snapshot: Snapshot,
    length_init: float,
    rng: np.random.Generator,
    device: str,
    options: Options,
) -> dict[str, Any] | None:
    """Values of all parameters of the branch that are not held; None where it has too few trials.

    snapshot: with rows of the branch.
    """
    space = history.to_space(branch.distributions)
    _, known, _ = history.observe(snapshot, branch.distributions)
    if len(known.x) < max(MIN_BRANCH_TRIALS, space.n_dims + 1):
        return None
    import torch

    from optuna_snn.scbo.models import FitStart
    from optuna_snn.scbo.suggest import Search, suggest

    with one_thread_on_cpu():
        suggestion = suggest(
            space,
            known,
            Search(snapshot.state.region.length, length_init, snapshot.n_running),
            rng,
            FitStart(torch.device(device)),
            options,
            held=history.to_held(branch.held, branch.distributions, space),
        )
    params = history.to_params(space.rounded(suggestion.x), branch.distributions, space)
    return {name: value for name, value in params.items() if name not in branch.held}
