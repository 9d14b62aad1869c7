"""SCBOSampler: scalable constrained Bayesian optimisation as an Optuna sampler.

Read the stored trials, fold them into the state of the search, suggest, decode. The method is
D. Eriksson and M. Poloczek 2021, "Scalable constrained Bayesian optimization" (arXiv 2002.08526);
the steps and our departures from it are described in `optuna_snn.scbo`.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optuna_snn import branches, history
from optuna_snn.arguments import checked_count, checked_device, computed_constraints
from optuna_snn.notices import Notices
from optuna_snn.scbo.fold import Tag
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.trust_region import Settings
from optuna_snn.threads import one_thread_on_cpu

if TYPE_CHECKING:
    import torch

    from optuna_snn.history import Snapshot
    from optuna_snn.scbo.suggest import Suggestion

MIN_STARTUP_TRIALS = 10
"""Least size of the initial design; in many dimensions it has d + 1 trials, what a model needs.
Where most of a space is infeasible, every further trial of the design is most likely lost."""
TRIALS_PER_REFIT = 50
"""Hyperparameters are fitted again once more than n / TRIALS_PER_REFIT trials are new, of n: at
each of the first fifty, then at every second, and so on."""
MANY_TRIALS = 12
"""Trials with a conditional parameter by which it should have been in a model."""
MAX_CHOICES = 5
"""Points that an ask chooses in turn where others took each one of a discrete space meanwhile."""


class _Asked(NamedTuple):
    """The parameters that an ask chooses."""

    distributions: Mapping[str, BaseDistribution]
    """Those that all trials share, and then those that some lack."""
    conditional: frozenset[str] = frozenset()
    """Names of the latter."""
    is_all: bool = True
    """Whether no finished trial has others, or these with another distribution."""

    @property
    def shared(self) -> dict[str, BaseDistribution]:
        """The parameters that all trials share."""
        return {n: d for n, d in self.distributions.items() if n not in self.conditional}


class _Choice(NamedTuple):
    """Values by name; what they were chosen by, None for those of the initial design."""

    params: Mapping[str, Any]
    suggestion: Suggestion | None = None
    center: int | None = None
    """Number of the trial that the box was laid around."""
    is_new: bool = True
    """Whether no other trial may have these values, if there are finitely many."""


class SCBOSampler(BaseSampler):
    """Constrained Bayesian optimisation in a trust region, with Thompson sampling.

    For one objective, minimised or maximised, with any number of constraints given by
    ``trial.set_constraint(name, value)`` (feasible where the value is ``<= 0``), also of pruned
    trials. Any number of workers share a study through its storage: the state of the search is
    computed from the stored trials at each ask and kept nowhere else. All workers of a study need
    the same arguments, since each computes it for itself.

    A constraint may be 0 wherever it holds, as ``max(0, g)`` is; ``g`` itself also tells how far
    the limit is. Continuous parameters are chosen to a millionth of their range (with
    ``log=True``, of that of their logarithm).

    Args:
        n_startup_trials:
            Trials of the initial design (scrambled Sobol points). None is
            ``max(10, n_dims + 1)``.
        seed:
            Seed of the initial design and of all draws; a trial's random stream follows from it
            and the trial's number, so that workers with one seed draw different points. None
            takes fresh randomness from the operating system.
        device:
            Where the models are computed, e.g. ``"cuda:0"``.
        independent_sampler:
            Sampler of the parameters that not all trials have (conditional ones), in place of
            `group`.
        group:
            Whether conditional parameters are chosen with the others, by one model of all trials,
            which learns from them what decides about what. Otherwise they are drawn uniformly, as
            are those that no finished trial has.
        warn_independent_sampling:
            Whether to warn, once per parameter, when a parameter is sampled independently and no
            model will see it.
        constraints_func:
            Constraints computed from a finished trial, as other samplers take it. They are
            stored as the constraints "0", "1", ... Prefer ``trial.set_constraint``.
        length_init, length_min, length_max:
            Side of the trust region's box at the beginning, its smallest before a restart, and
            its largest, in the unit cube.
        success_tolerance:
            Improvements in a row that double the side.
        failure_tolerance:
            Fresh results in a row without improvement that halve the side. None is, with w
            workers running, ``w * ceil(max(10, n_dims) / w)``.
        options:
            Choices within one step, for ablations (`optuna_snn.scbo.options`).

    Raises:
        ValueError: An argument is out of its range; when asked, a study of several objectives.

    Example:
        .. code-block:: python

            import optuna
            from optuna_snn import SCBOSampler

            def objective(trial):
                x = trial.suggest_float("x", -5, 5)
                y = trial.suggest_float("y", -5, 5)
                trial.set_constraint("disk", x**2 + y**2 - 4)
                return (x - 3) ** 2 + y**2

            study = optuna.create_study(sampler=SCBOSampler(seed=0))
            study.optimize(objective, n_trials=30)
    """

    def __init__(
        self,
        *,
        n_startup_trials: int | None = None,
        seed: int | None = None,
        device: str | torch.device = "cpu",
        independent_sampler: BaseSampler | None = None,
        group: bool = True,
        warn_independent_sampling: bool = True,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        length_init: float = Settings.length_init,
        length_min: float = Settings.length_min,
        length_max: float = Settings.length_max,
        success_tolerance: int = Settings.success_tolerance,
        failure_tolerance: int | None = Settings.failure_tolerance,
        options: Options = DEFAULT,
    ) -> None:
        self._n_startup_trials = checked_count("n_startup_trials", n_startup_trials, 1)
        self._seed = checked_count("seed", seed, 0)
        self._device = checked_device(device)
        if not isinstance(independent_sampler, BaseSampler | None):
            raise TypeError(
                "independent_sampler must be an Optuna sampler or None, got "
                f"{type(independent_sampler).__name__}."
            )
        if not isinstance(group, bool):
            raise TypeError(f"group must be True or False, got {group!r}.")
        if constraints_func is not None and not callable(constraints_func):
            raise TypeError(
                f"constraints_func must be callable or None, got {constraints_func!r}."
            )
        self._independent_sampler = independent_sampler
        self._group = group
        self._warns_independent = warn_independent_sampling
        self._constraints_func = constraints_func
        self._settings = Settings(
            length_init, length_min, length_max, success_tolerance, failure_tolerance
        )
        if not isinstance(options, Options):
            raise TypeError(f"options must be scbo.options.Options, got {options!r}.")
        self._options = options
        self._forget()

    def _forget(self) -> None:
        """Drop all caches. They save time and decide nothing."""
        self._history = history.History(self._settings)
        self._plans = history.Plans()
        self._lock = threading.Lock()
        self._notices = Notices()

    def __getstate__(self) -> dict[str, Any]:
        caches = ("_history", "_plans", "_lock", "_notices")
        return {name: value for name, value in vars(self).items() if name not in caches}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def reseed_rng(self) -> None:
        """Reseed the independent sampler; our own streams differ from trial to trial anyway."""
        if self._independent_sampler is not None:
            self._independent_sampler.reseed_rng()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Parameters that all COMPLETE and PRUNED trials share, but those of a single value."""
        self._raise_error_if_multi_objective(study)
        with self._lock:
            space = self._history.search_space(study, trial)
        return {name: d for name, d in space.items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Suggest all parameters of `search_space` together, and tag the trial."""
        self._raise_error_if_multi_objective(study)
        if not search_space:
            self._plan(study, trial, {}, {})
            return {}
        started = time.perf_counter()
        asked = self._asked(study, trial, search_space)
        space = history.to_space(asked.distributions)
        is_discrete = asked.is_all and math.isfinite(space.n_points)
        snapshot = self._read(study, trial, asked)
        self._notices.missing_constraints(snapshot)
        for _ in range(MAX_CHOICES):
            seen = snapshot
            with one_thread_on_cpu():
                choice = self._choose(study, trial, seen, asked)
            if not is_discrete or not choice.is_new:
                break
            # Two that ask at once may choose alike: each shares its point, and then looks.
            history.write_point(study, trial, choice.params)
            snapshot = self._read(study, trial, asked)
            if not history.is_taken(choice.params, snapshot, *asked[:2]):
                break
        if not history.has_given_params(trial, search_space):
            seconds = time.perf_counter() - started
            self._write_tag(study, trial, seen, len(search_space), choice, seconds)
        self._plan(study, trial, asked.distributions, choice.params)
        return {name: choice.params[name] for name in search_space}

    def _asked(
        self, study: Study, trial: FrozenTrial, shared: Mapping[str, BaseDistribution]
    ) -> _Asked:
        """Which parameters are chosen together: also conditional ones, as far as they are known.

        Not where the trial was given a parameter, on which its conditions may depend.
        """
        is_left = not self._group or self._independent_sampler is not None
        with self._lock:
            space, is_all = self._history.conditional_space(study)
        own = {n: d for n, d in space.items() if n not in shared and not d.single()}
        if is_left or history.has_given_params(trial, shared):
            return _Asked(shared, is_all=is_all and not own)
        return _Asked({**shared, **own}, frozenset(own), is_all)

    def _read(self, study: Study, trial: FrozenTrial, asked: _Asked) -> Snapshot:
        """What the storage holds now."""
        with self._lock:
            return self._history.read(study, trial, asked.distributions, asked.conditional)

    def _choose(
        self, study: Study, trial: FrozenTrial, snapshot: Snapshot, asked: _Asked
    ) -> _Choice:
        """A point of the initial design, or the step's suggestion."""
        if self._is_initial(snapshot, len(asked.shared)):
            return _Choice(self._design_point(study, trial, snapshot, asked))
        return self._suggest(study, trial, snapshot, asked)

    def _plan(
        self,
        study: Study,
        trial: FrozenTrial,
        distributions: Mapping[str, BaseDistribution],
        params: Mapping[str, Any],
    ) -> None:
        """Remember what a trial will have, for the choice of its conditional parameters."""
        with self._lock:
            self._plans.put(study, trial, history.Plan().and_then(distributions, params))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Suggest one parameter: in the first trial, or where not all trials have it."""
        self._raise_error_if_multi_objective(study)
        if self._group and self._independent_sampler is None:
            params = self._choose_in_branch(study, trial, param_name, param_distribution)
            if params is not None:
                return params[param_name]
        if self._warns_independent and not self._notices.has_named(param_name):
            self._warn_if_left_out(study, trial, param_name, param_distribution)
        if self._independent_sampler is not None:
            return self._independent_sampler.sample_independent(
                study, trial, param_name, param_distribution
            )
        space = history.to_space({param_name: param_distribution})
        x = self._rng(trial, history.digest(param_name)).random((1, 1))
        return history.to_params(x[0], {param_name: param_distribution}, space)[param_name]

    def _warn_if_left_out(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> None:
        """Warn of a parameter that the model will not see.

        In the first trials there is none yet; and a conditional parameter is seen in time, unless
        it is another one each time.
        """
        may_group = self._group and self._independent_sampler is None
        n_least = MANY_TRIALS if may_group else 0
        with self._lock:
            is_left_out = self._history.leaves_out(study, name, distribution, n_least)
        if is_left_out:
            self._notices.independent(trial.number, name, may_group)

    def _choose_in_branch(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Mapping[str, Any] | None:
        """Values that include the one asked for; None where its branch has too few trials.

        They are chosen together with the first of them and kept for when the trial asks.
        """
        with self._lock:
            plan = self._plans.get(study, trial)
            if plan.has(name, distribution):
                return plan.values
            shared = self._history.branch_space(study, name, distribution)
            branch = branches.branch_of(name, shared, plan)
            if not branch.distributions:
                return None
            snapshot = self._history.read(study, trial, branch.distributions)
        rng = self._rng(trial, history.digest(name))
        length_init = self._settings.length_init
        params = branches.choose(branch, snapshot, length_init, rng, self._device, self._options)
        if params is not None:
            with self._lock:
                self._plans.put(study, trial, plan.and_then(branch.distributions, params))
        return params

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Hand on to the independent sampler."""
        if self._independent_sampler is not None:
            self._independent_sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Store the constraints of `constraints_func`; nothing is counted here."""
        with self._lock:
            self._plans.drop(study, trial)
        if self._constraints_func is not None and state in (
            TrialState.COMPLETE,
            TrialState.PRUNED,
        ):
            computed = computed_constraints(self._constraints_func, trial)
            history.write_constraints(study, trial, computed)
        if self._independent_sampler is not None:
            self._independent_sampler.after_trial(study, trial, state, values)

    def _is_initial(self, snapshot: Snapshot, n_dims: int) -> bool:
        """Whether the point belongs to the epoch's initial design.

        Also beyond its size while too few results are in for a model: d + 1, or the design's size
        if that is smaller.
        """
        if not self._options.has_restart_design and snapshot.state.region.epoch > 0:
            return False
        n_for_model = n_dims + 1
        n_startup = self._n_startup_trials or max(MIN_STARTUP_TRIALS, n_for_model)
        n_needed = min(n_startup, n_for_model)
        return snapshot.n_started < n_startup or snapshot.n_informative < n_needed

    def _design_point(
        self,
        study: Study,
        trial: FrozenTrial,
        snapshot: Snapshot,
        asked: _Asked,
    ) -> dict[str, Any]:
        """The trial's point of the epoch's Sobol sequence, which all workers share.

        It has the parameters that all trials share. Where that point of a discrete space is taken,
        a random one that is not, unless conditional parameters may tell the two apart.
        """
        from optuna_snn.scbo.candidates import sobol
        from optuna_snn.scbo.novelty import draw_unused, is_exhausted, unused

        space, epoch = history.to_space(asked.shared), snapshot.state.region.epoch
        if self._seed is None:
            scramble = history.study_digest(study, epoch)
        else:
            scramble = history.digest(self._seed, epoch)
        x = space.snap(sobol(space.n_dims, 1, scramble, skip=trial.number))[0]
        if asked.is_all and not asked.conditional:
            known = history.observe(snapshot, asked.shared).known
            if len(unused(space, known, x[None])) == 0:
                x = draw_unused(space, known, self._rng(trial))
                if is_exhausted(space, known):
                    self._notices.exhausted(space.n_points)
        return history.to_params(x, asked.shared, space)

    def _suggest(
        self, study: Study, trial: FrozenTrial, snapshot: Snapshot, asked: _Asked
    ) -> _Choice:
        """What to try next by the models."""
        import torch

        from optuna_snn.scbo.joint import suggest_jointly
        from optuna_snn.scbo.models import FitStart
        from optuna_snn.scbo.suggest import Search

        distributions, conditional, _ = asked
        space = history.to_space(distributions)
        names, known, numbers = history.observe(snapshot, distributions, conditional)
        signature = str(history.digest(sorted(distributions.items()), names))
        stored = snapshot.hyper
        is_warm = stored is not None and stored["signature"] == signature
        warm = np.array(stored["theta"]) if stored is not None and is_warm else None
        n_since = len(known.x) - (stored["n_trials"] if stored is not None and is_warm else 0)
        is_refit = warm is None or n_since > len(known.x) / TRIALS_PER_REFIT
        region = snapshot.state.region
        tolerated = self._settings.tolerated_failures(len(asked.shared), snapshot.n_running)
        search = Search(
            region.length,
            self._settings.length_init,
            snapshot.n_running,
            region.is_failing(tolerated),
        )
        suggested = suggest_jointly(
            space,
            known,
            search,
            self._rng(trial),
            FitStart(torch.device(self._device), warm, is_refit),
            self._options,
        )
        suggestion, is_active, is_all = suggested
        is_all &= asked.is_all
        if suggestion.is_repeat and is_all:
            self._notices.exhausted(None if conditional else space.n_points)
        if suggestion.hyper is not None:
            history.write_hyper(study, trial, signature, len(known.x), suggestion.hyper)
        incumbent = snapshot.state.incumbent
        center = None if incumbent is None else incumbent.number
        if suggestion.center is not None:
            center = numbers[suggestion.center]
        params = history.to_params(space.rounded(suggestion.x), distributions, space)
        active = itertools.compress(sorted(distributions), is_active)
        chosen = {name: params[name] for name in active}
        return _Choice(chosen, suggestion, center, is_all and not suggestion.is_repeat)

    def _write_tag(
        self,
        study: Study,
        trial: FrozenTrial,
        snapshot: Snapshot,
        n_dims: int,
        choice: _Choice,
        seconds: float,
    ) -> None:
        """Tag the trial with the region that its point was chosen in."""
        region, suggestion = snapshot.state.region, choice.suggestion
        tag = Tag(
            epoch=region.epoch,
            generation=region.generation,
            length=region.length,
            n_running=snapshot.n_running,
            n_dims=n_dims,
            is_initial=suggestion is None,
        )
        predicted = None if suggestion is None else suggestion.predicted_feasible
        side = None if suggestion is None else suggestion.side
        stored = history.SamplerTag(tag, choice.center, predicted, seconds, side)
        history.write_tag(study, trial, stored)

    def _rng(self, trial: FrozenTrial, *more: int) -> np.random.Generator:
        """The trial's own stream: from (seed, trial number), or from the operating system."""
        if self._seed is None:
            return np.random.default_rng()
        return np.random.default_rng([self._seed, trial.number, *more])
