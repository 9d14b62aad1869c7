"""What the sampler knew at each of its asks, read back from the stored trials.

The sampler writes a tag beside each trial whose parameters it chose together; the trace is these
tags as records. They show how the trust region shrinks, grows and restarts, whether what was
predicted to be feasible was so, and what an ask costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_snn.history import read_tag, read_trials


@dataclass(frozen=True)
class Ask:
    """One ask: what was known when the parameters of a trial were chosen."""

    number: int
    """Of the trial."""
    epoch: int
    """Restarts of the search before it."""
    generation: int
    """Times that the box was doubled, halved or begun anew before it."""
    length: float
    """Side of the box in the unit cube, by the results so far."""
    side: float | None
    """Side that was used, which is larger where noise would hide what happens within a smaller
    box; None in the initial design, which has the whole space."""
    center: int | None
    """Number of the trial at the centre of the box; None while there is none, and in the initial
    design, which has the whole space."""
    predicted_feasible: float | None
    """Probability, as the model saw it, that the trial keeps all constraints; None without a
    model."""
    ask_seconds: float
    """Seconds that the sampler took."""
    n_running: int
    """Trials that ran at that moment, this one included."""
    n_dims: int
    """Parameters that were chosen together."""
    is_initial: bool
    """Whether the trial belongs to an initial design, and not to the box."""


def search_trace(study: Study) -> list[Ask]:
    """One record per trial that ``SCBOSampler`` chose, in the order of the trials' numbers.

    Trials without the sampler's tag are left out: those that were enqueued, added by hand, run
    again by a worker in place of a dead one, or chosen by another sampler or another version of
    the package; and those of which no parameter was known before they ran, as a study's first.
    How a trial ended, or that it still runs, makes no difference. Only the storage is read, so
    that the study may have any sampler, and be loaded while others work on it.

    Example:
        .. code-block:: python

            import csv
            import sys
            from dataclasses import asdict, fields

            import optuna
            from optuna_snn import Ask, SCBOSampler, search_trace

            study = optuna.create_study(sampler=SCBOSampler(seed=0))
            study.optimize(lambda trial: trial.suggest_float("x", -5, 5) ** 2, n_trials=15)

            table = csv.DictWriter(sys.stdout, [field.name for field in fields(Ask)])
            table.writeheader()
            table.writerows(asdict(ask) for ask in search_trace(study))
    """
    return trace_of(read_trials(study))


def trace_of(trials: Iterable[FrozenTrial]) -> list[Ask]:
    """The same of these trials, which may be of any state and in any order."""
    ordered = sorted(trials, key=lambda trial: trial.number)
    return [ask for trial in ordered if (ask := _ask_of(trial)) is not None]


def _ask_of(trial: FrozenTrial) -> Ask | None:
    stored = read_tag(trial)
    if stored is None:
        return None
    return Ask(
        number=trial.number,
        epoch=stored.tag.epoch,
        generation=stored.tag.generation,
        length=stored.tag.length,
        side=stored.side,
        center=stored.center,
        predicted_feasible=stored.predicted_feasible,
        ask_seconds=stored.ask_seconds,
        n_running=stored.tag.n_running,
        n_dims=stored.tag.n_dims,
        is_initial=stored.tag.is_initial,
    )
