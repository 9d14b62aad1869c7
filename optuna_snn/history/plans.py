"""Values that were chosen for a running trial and that it has not asked for yet.

A cache of this process: where a plan is lost the values are chosen again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

MAX_PLANS = 1000
"""Plans of one storage that are kept: trials may end without a word to the sampler."""


@dataclass(frozen=True)
class Plan:
    """Distributions and values by name, of one trial."""

    distributions: Mapping[str, BaseDistribution] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def and_then(
        self, distributions: Mapping[str, BaseDistribution], values: Mapping[str, Any]
    ) -> Plan:
        """The plan with more values, which replace those of the same name."""
        own = {name: distributions[name] for name in values}
        return Plan({**self.distributions, **own}, {**self.values, **values})

    def has(self, name: str, distribution: BaseDistribution) -> bool:
        """Whether there is a value of this distribution."""
        return self.distributions.get(name) == distribution


class Plans:
    """The plans of the running trials of any studies. Not thread-safe: its owner locks.

    n_most: of one storage that are kept, the latest.
    """

    def __init__(self, n_most: int = MAX_PLANS) -> None:
        self._n_most = n_most
        self._plans: WeakKeyDictionary[BaseStorage, dict[int, Plan]] = WeakKeyDictionary()

    def get(self, study: Study, trial: FrozenTrial) -> Plan:
        """What was chosen for the trial and what it has, which counts where they differ."""
        plan = self._plans.get(study._storage, {}).get(trial._trial_id, Plan())
        return plan.and_then(trial.distributions, trial.params)

    def put(self, study: Study, trial: FrozenTrial, plan: Plan) -> None:
        """Keep the plan in place of an earlier one of the trial."""
        plans = self._plans.setdefault(study._storage, {})
        plans.pop(trial._trial_id, None)
        plans[trial._trial_id] = plan
        while len(plans) > self._n_most:
            del plans[next(iter(plans))]

    def drop(self, study: Study, trial: FrozenTrial) -> None:
        """Forget the trial."""
        self._plans.get(study._storage, {}).pop(trial._trial_id, None)
