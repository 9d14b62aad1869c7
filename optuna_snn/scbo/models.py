"""The models of a step: observations -> Gaussian processes; and what these say of points.

Departures from the paper:

1. Hyperparameters are fitted to fewer points than the processes are conditioned on: a fit takes
   dozens of factorisations, a condition one. Both take the points nearest to the centre, so that
   the cost of a step does not grow with the number of trials.
2. Where a constraint jumps (see `constraint_transforms`), luck has a part in it: its process has
   at least the noise JUMP_NOISE.
3. A constraint that is a share of few samples weighs less than one of many: what is known of its
   error is added to the noise of that trial alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import erfcx, log_ndtr, ndtr

from optuna_snn.scbo import fitting, surrogate
from optuna_snn.scbo.constraint_transforms import is_split, jumps, warp_constraints, warped_sd
from optuna_snn.scbo.objective_transforms import transform_objective
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import Options
from optuna_snn.scbo.space import Array, SearchSpace

JUMP_NOISE = 0.3
"""Least noise variance of a constraint that jumps, in units of its warped values' variance."""
MAX_FITTED_POINTS = 200
COLD_ITERATIONS, WARM_ITERATIONS = 60, 20
NOISY = 0.01
"""Noise variance beyond which an objective counts as noisy, in units of its own variance."""
MAX_CENTERS = 5
"""Feasible trials, the best by what was observed, that the centre is chosen from. More are no
better under noise, and worse without: a rough function looks noisy to a model."""
MAX_CENTERS_UNDER_LUCK = 100
"""The same, before those that were feasible by luck are left out."""
CHUNK = 512
"""Points whose posterior is computed at once, which takes memory."""
ENOUGH = 1.0
"""Slack of a warped constraint beyond which a centre is no better for more."""


class Moves(NamedTuple):
    """In how many coordinates candidates differ from the centre."""

    n_perturbed: int
    """Expected number."""
    is_spread: bool = False
    """Whether half of the candidates differ in fewer, down to one."""


class FitStart(NamedTuple):
    """What the fit of the models starts from, and where it is computed."""

    device: torch.device
    theta: Array | None = None
    """Hyperparameters, one row per output; None fits from the default ones."""
    is_refit: bool = True
    """Whether given hyperparameters are fitted, or used as they are."""


def fit_models(
    space: SearchSpace,
    known: Observations,
    start: FitStart,
    options: Options,
) -> surrogate.Posterior:
    """Gaussian processes of the transformed objective and constraints, nearest points only.

    Raises LinAlgError if a covariance matrix cannot be factorised.
    """
    local = local_rows(space, known, options)
    y, c = transform_objective(known.y[local], options.objective), known.c[local]
    is_gap_scaled = options.is_gap_closed and options.is_gap_scaled
    warped = warp_constraints(c, options.is_scaled, options.is_gap_closed, is_gap_scaled)
    outputs = np.concatenate([y[:, None], warped], axis=1)
    has_jump = jumps(c) & options.is_gap_closed
    noise_floor = np.append(0.0, np.where(has_jump, JUMP_NOISE, 0.0))
    features = space.features(known.x[local])
    error_sd = None
    if known.c_sd is not None and options.is_error_known:
        warped_error = warped_sd(c, known.c_sd[local], options.is_scaled, is_gap_scaled)
        error_sd = np.concatenate([np.zeros((len(y), 1)), warped_error], axis=1)
    data = surrogate.make_data(
        features, outputs, space.feature_dims, space.n_dims, start.device, noise_floor, error_sd
    )
    fitted = surrogate.first_rows(data, MAX_FITTED_POINTS)
    has_prior = options.prior == "dimension-scaled"
    if start.theta is None:
        hyper = fitting.fit(fitted, None, COLD_ITERATIONS, has_prior)
    else:
        hyper = surrogate.Hyperparameters.unpack(start.theta, start.device)
        if start.is_refit:
            hyper = fitting.fit(fitted, hyper, WARM_ITERATIONS, has_prior)
    return surrogate.condition(data, hyper)


def local_rows(space: SearchSpace, known: Observations, options: Options) -> npt.NDArray[np.int64]:
    """Indices of the rows that the models are conditioned on, nearest first."""
    return nearest(space, known, options.max_local_points, options.max_valued_points)


def nearest(
    space: SearchSpace, known: Observations, n_most: int, n_valued: int | None = None
) -> npt.NDArray[np.int64]:
    """Indices of the n_most points nearest to the centre, nearest first; else the latest first.

    By the distance of features, in which all choices of a dimension lie equally far apart.
    n_valued: no point farther than this many that have an objective value; None is no limit.
    """
    ordered = _by_distance(space, known, n_most)
    if n_valued is None:
        return ordered
    is_beyond = np.cumsum(~np.isnan(known.y[ordered])) > n_valued
    return ordered[~is_beyond]


def choose_center(
    posterior: surrogate.Posterior, space: SearchSpace, known: Observations, options: Options
) -> int | None:
    """The row that the posterior mean thinks best, of those that may be the centre.

    By the objective; of rows without a value, by the sum of the constraints, in which slack counts
    up to ENOUGH. None where no row may be the centre.

    Where a constraint jumps between two narrow sides, a feasible row may be a lucky one, around
    which nothing else is feasible: only those count whose posterior means of such constraints
    violate the least. Not so where the fit finds noise: a rough constraint that is certain looks
    noisy as well. A row without a value is the centre only if no other may be, or all others are
    predicted to be infeasible, and it less.
    """
    rows = np.flatnonzero(known.may_center)
    if len(rows) == 0:
        return None
    is_lucky = posterior.data.noise_floor[1:].cpu().numpy() > 0.0
    if is_lucky.any():
        is_lucky &= is_split(known.c[local_rows(space, known, options)])
    has_value = ~np.isnan(known.y[rows])
    valued, others = rows[has_value], rows[~has_value]
    n_most = MAX_CENTERS_UNDER_LUCK if is_lucky.any() else MAX_CENTERS
    valued = valued[np.argsort(-known.y[valued], kind="stable")[:n_most]]

    def means(rows: npt.NDArray[np.int64]) -> Array:
        return _mean_and_sd(posterior, space, known.x[rows])[0]

    def violations(mean: Array) -> Array:
        total: Array = np.maximum(mean[1:][is_lucky], 0.0).sum(axis=0)
        return total

    if len(valued) > 0:
        mean = means(valued)
        violation = violations(mean)
        least = violation.min()
        if least == 0.0 or len(others) == 0 or violations(means(others)).min() >= least:
            safe = np.flatnonzero(violation == least)[:MAX_CENTERS]
            return int(valued[safe[np.argmax(mean[0, safe])]])
    total = np.maximum(means(others)[1:], -ENOUGH).sum(axis=0)
    return int(others[np.argmin(total)])


def coordinates_to_move(
    posterior: surrogate.Posterior, known: Observations, n_workers: int, options: Options
) -> Moves:
    """In how many coordinates candidates differ from the centre.

    Few, so that a result tells what changed it; but where the objective is noisy a small change
    tells nothing, and results that differ in all coordinates tell more of each. And many workers
    look for a first feasible point in few rounds, each of which has to go far; unless one that is
    presumed feasible runs already, around which there may be others.
    """
    if n_workers > 1 and not known.is_feasible.any():
        return Moves(options.n_seeking_perturbed, options.is_seeking_spread)
    is_noisy = float(posterior.hyper.log_noise[0].exp()) > NOISY
    return Moves(options.n_noisy_perturbed if is_noisy else options.n_perturbed)


def least_length(posterior: surrogate.Posterior, n_moved: int, n_noise_sds: float) -> float:
    """Side of the box in which the objective changes by n_noise_sds of its noise.

    Between the centre and a point at the box's edge in n_moved coordinates. In units of the
    process, Var[f(x) - f(c)] = 2 (1 - k(r)), and k(r) = 1 - 5/6 r^2 + O(r^4) for Matern-5/2, with
    r^2 = n_moved (L / 2)^2 / l^2 for the geometric mean l of the lengthscales: solved for L where
    the variance is n_noise_sds^2 s2. In a smaller box results differ by luck alone.
    """
    hyper = posterior.hyper
    n = min(n_moved, hyper.log_lengthscale.shape[1])
    lengthscale = float(hyper.log_lengthscale[0].mean().exp())
    noise_sd = float((0.5 * hyper.log_noise[0]).exp())
    return 2.0 * n_noise_sds * noise_sd * lengthscale * math.sqrt(0.6 / n)


def relative_sides(posterior: surrogate.Posterior) -> Array:
    """Lengthscales of the objective, divided by their geometric mean (TuRBO, section 2). (d,)."""
    log_scale = posterior.hyper.log_lengthscale[0].cpu().numpy()
    sides: Array = np.exp(log_scale - log_scale.mean())
    return sides


def probability_of_feasibility(
    posterior: surrogate.Posterior, space: SearchSpace, x: Array
) -> float:
    """Posterior probability that all constraints hold at x (d,)."""
    mean, sd = _mean_and_sd(posterior, space, x[None])
    return float(ndtr(-mean[1:, 0] / sd[1:, 0]).prod())


def log_expected_improvement(
    posterior: surrogate.Posterior, space: SearchSpace, center: Array, x: Array
) -> Array:
    """Logarithm of the constrained expected improvement over the centre (d,) at (r, d). (r,).

    Of the noise-free objective over its posterior mean at the centre, times the probability that
    all constraints hold (Gardner et al. 2014, "Bayesian optimization with inequality constraints",
    section 3.1); in logarithms, which tell points of next to no promise apart (Ament et al. 2023,
    arXiv 2310.20708, section 4.1).
    """
    level = _mean_and_sd(posterior, space, center[None])[0][0, 0]
    parts = np.array_split(x, max(1, math.ceil(len(x) / CHUNK)))
    return np.concatenate([_log_ei(posterior, space, level, part) for part in parts])


def _log_ei(posterior: surrogate.Posterior, space: SearchSpace, level: float, x: Array) -> Array:
    """The same at points (r, d), over a level of the objective."""
    mean, sd = _mean_and_sd(posterior, space, x)
    sd = np.maximum(sd, np.finfo(float).tiny ** 0.5)
    log_feasible = log_ndtr(-mean[1:] / sd[1:]).sum(axis=0)
    total: Array = np.log(sd[0]) + log_h((mean[0] - level) / sd[0]) + log_feasible
    return total


def _mean_and_sd(
    posterior: surrogate.Posterior, space: SearchSpace, x: Array
) -> tuple[Array, Array]:
    """Posterior means and standard deviations at points (r, d). Each (B, r)."""
    features = torch.as_tensor(space.features(x), device=posterior.device)
    mean, sd = posterior.mean_and_sd(features)
    return mean.cpu().numpy(), sd.cpu().numpy()


def log_h(z: Array) -> Array:
    """log(phi(z) + z Phi(z)) of the normal density and distribution, for any z."""
    with np.errstate(over="ignore"):
        log_density = -0.5 * z**2 - 0.5 * math.log(2.0 * math.pi)
    below = np.minimum(z, -1.0)
    ratio = math.sqrt(math.pi / 2.0) * erfcx(-below / math.sqrt(2.0))
    # Beyond 1e4, where 1 + z Phi / phi is 1 / z^2 to 8 digits, the sum is lost to rounding.
    with np.errstate(divide="ignore"):
        rest = np.where(below < -1e4, -2.0 * np.log(-below), np.log(1.0 + below * ratio))
        near = np.log(np.exp(log_density) + z * ndtr(z))
    total: Array = np.where(z < -1.0, log_density + rest, near)
    return total


def _by_distance(space: SearchSpace, known: Observations, n_most: int) -> npt.NDArray[np.int64]:
    if known.center is None:
        return np.arange(len(known.x))[::-1][:n_most]
    difference = space.features(known.x) - space.features(known.center[None])
    distance = (difference**2).sum(axis=1)
    n_kept = min(n_most, len(distance))
    if n_kept == 0:
        return np.arange(0)
    # All at the distance of the last one: of these, the earlier ones are kept.
    kept = np.flatnonzero(distance <= np.partition(distance, n_kept - 1)[n_kept - 1])
    ordered: npt.NDArray[np.int64] = kept[np.argsort(distance[kept], kind="stable")]
    return ordered[:n_kept]
