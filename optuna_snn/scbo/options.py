"""What one step of the search does, choice by choice: for ablations and for experts.

`python -m benchmarks.ablations` measures how much each matters. What the paper has (SCBO: Eriksson
and Poloczek 2021) stands with each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np

MANY_WORKERS = 8
"""Workers from which on a search has so few rounds that it takes more caution."""
FEW_DIMS = 6
"""Dimensions up to which a search can afford less caution."""


@dataclass(frozen=True)
class Options:
    """The choices of a step. Raises ValueError for one that there is not."""

    objective: Literal["compressed", "standardised", "ranks"] = "compressed"
    """How the objective is transformed. The paper turns it into normal scores of its ranks."""
    is_scaled: bool = True
    """Whether each constraint is divided by its typical size before bilog. Not in the paper."""
    is_gap_closed: bool = True
    """Whether the jump of a constraint that jumps is taken out, and its process has a least noise.
    Not in the paper."""
    is_gap_scaled: bool = True
    """Whether the two sides of a jump that is taken out are scaled to means of 1 and -1, if both
    are narrow beside it."""
    is_error_known: bool = True
    """Whether a constraint's process knows of the error that its values were told with (a share of
    few samples), beside the noise that it finds itself. Not in the paper."""
    prior: Literal["dimension-scaled", "flat"] = "dimension-scaled"
    """Prior of the hyperparameters; flat leaves bounds only, as in the paper."""
    box: Literal["isotropic", "lengthscales"] = "isotropic"
    """Whether all sides of the box are equal, as in the paper, or follow the objective's
    lengthscales with the same volume, as in TuRBO."""
    center: Literal["posterior", "observed"] = "posterior"
    """Whether the best feasible trial, the centre, is told by the posterior mean or, as in the
    paper, by what was observed."""
    n_draws: int = 3
    """Draws of each constraint that a candidate has to satisfy, and of the objective that are
    averaged; 1 in the paper."""
    n_parallel_draws: int = 6
    """The same where MANY_WORKERS or more search, if it is more: the fewer the rounds, the more a
    round of infeasible results costs."""
    single_draw_share: float = 0.5
    """Share of the asks in at most FEW_DIMS dimensions that go by a single draw of the objective,
    where the mean of several creeps along a valley; 1 in the paper."""
    n_seeking_draws: int = 20
    """Draws of the probability of feasibility, the goal while no objective value is known."""
    seeking_box: Literal["cube", "region"] = "cube"
    """Where to look while no objective value is known: in the whole cube or, as in the paper, in
    the trust region."""
    candidates_per_dim: int = 200
    """Candidates are this many times the dimension, at least ten and at most 25 times this; the
    paper has 200."""
    n_perturbed: int = 5
    """Expected number of coordinates in which a candidate differs from the centre; 20 in the
    paper."""
    n_noisy_perturbed: int = 20
    """The same where the objective turns out to be noisy: 20, as in the paper."""
    n_seeking_perturbed: int = 20
    """The same while nothing feasible is known, where several workers search."""
    is_seeking_spread: bool = True
    """Whether for half of the candidates it is less then, down to one coordinate."""
    refinement: Literal["perturbed", "all", "none"] = "perturbed"
    """Which coordinates of the best candidates are refined on the draws: those in which they
    differ from the centre, all, or none as in the paper."""
    parallel_all_share: float = 0.5
    """Share of the asks in which several workers that search together refine all coordinates;
    while no objective value is known they do in each."""
    is_each_choice_refined: bool = True
    """Whether the best known point of each other choice of a categorical dimension is refined as
    well, so that the other coordinates can follow it. There are none in the paper."""
    untried_choice_share: float = 0.1
    """Share of asks that change one choice of the centre into one that was never tried with the
    others, if there is such. There are none in the paper."""
    promising_choice_share: float = 0.5
    """Share of the asks that go to the most promising other choice, while the box has little left
    to gain. There are none in the paper."""
    is_relaxed: bool = True
    """Whether integers move with the continuous coordinates in the refinement, before they go on
    in steps. There are none in the paper."""
    max_local_points: int = 400
    """Trials, the nearest to the centre, that the models are conditioned on; all in the paper."""
    max_valued_points: int | None = None
    """Of these, at most so many with an objective value; what lies farther is left out. None is no
    limit."""
    max_parallel_points: int = 100
    """The same where several workers search, if it is less."""
    n_noise_sds: float = 3.0
    """Standard deviations of its noise by which the objective has to change within the box, which
    is no smaller than that; 0 in the paper."""
    elsewhere_share: float = 0.5
    """Share of the asks in at most FEW_DIMS dimensions that look in the whole space for a better
    place, while the box is failing; there are none in the paper."""
    crowd_distance: float = 3e-4
    """Part of the box's side within which no point joins a crowd of known ones. Where the best
    would, a better one is looked for in the whole space; 0 is neither, as in the paper."""
    has_restart_design: bool = False
    """Whether a restart begins with a new initial design, as in the paper, or with the model of
    all trials and the whole space."""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value, names = getattr(self, name), get_args(kind)
            if get_origin(kind) is Literal and value not in names:
                raise ValueError(f"{name} must be one of {', '.join(names)}, got {value!r}.")
        for name in ("n_noise_sds", "crowd_distance"):
            multiple = getattr(self, name)
            if not 0.0 <= multiple < math.inf:
                raise ValueError(f"{name} must be at least 0, got {multiple!r}.")
        for name in (
            "untried_choice_share",
            "promising_choice_share",
            "parallel_all_share",
            "single_draw_share",
            "elsewhere_share",
        ):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, got {share!r}.")
        for name in (
            "n_draws",
            "n_parallel_draws",
            "n_seeking_draws",
            "candidates_per_dim",
            "n_perturbed",
            "n_noisy_perturbed",
            "n_seeking_perturbed",
            "max_local_points",
            "max_valued_points",
            "max_parallel_points",
        ):
            value, may_be_none = getattr(self, name), name == "max_valued_points"
            if value is None and may_be_none:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                wanted = "an integer of at least 1" + " or None" * may_be_none
                raise ValueError(f"{name} must be {wanted}, got {value!r}.")

    def for_workers(self, n_workers: int, is_seeking: bool, rng: np.random.Generator) -> Options:
        """The choices of one ask where n_workers search together; for one, these.

        The results of many workers come in few rounds. Points refined in a few coordinates each go
        too short a way; refined in all, on a function of many hills, they end on the nearest. So
        both kinds are asked for at once, unless a first feasible point is sought (is_seeking);
        fewer points, near ones, teach the models; and of MANY_WORKERS, or more, a point has to
        hold on more draws.
        """
        if n_workers == 1:
            return self
        n_draws = self.n_draws
        if n_workers >= MANY_WORKERS:
            n_draws = max(n_draws, self.n_parallel_draws)
        n_valued = self.max_parallel_points
        if self.max_valued_points is not None:
            n_valued = min(n_valued, self.max_valued_points)
        is_drawn = rng.random() < self.parallel_all_share
        is_all = self.refinement == "perturbed" and (is_drawn or is_seeking)
        return replace(
            self,
            refinement="all" if is_all else self.refinement,
            n_draws=n_draws,
            max_valued_points=n_valued,
        )


DEFAULT = Options()
"""What `SCBOSampler` does unless told otherwise."""
