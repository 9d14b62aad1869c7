"""Hyperparameters of the Gaussian processes: largest likelihood times prior.

Each output is fitted alone, on the rows where it was observed: it needs the steps that it needs,
whatever the others do. In NumPy on the CPU, whatever the device of the models: on the few hundred
points of a fit (see `models`) the overhead of tensors would outweigh the work.

Priors scale with the dimension (Hvarfner, Hellsten and Nardi 2024, "Vanilla Bayesian optimization
performs great in high dimensions"): l ~ LogNormal(sqrt 2 + log sqrt d, sqrt 3). Symbols as in
`surrogate`; of one output, theta = (log l, log s2, mean) (d + 2,).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize

from optuna_snn.scbo.surrogate import JITTERS, Data, Hyperparameters, LinAlgError

_logger = logging.getLogger(__name__)

LENGTHSCALE_LOC, LENGTHSCALE_SCALE = math.sqrt(2.0), math.sqrt(3.0)
NOISE_LOC, NOISE_SCALE = -6.0, 2.0
"""LogNormal prior of the noise variance; wider and lower than Hvarfner's (-4, 1), since most
objectives of interest here are either deterministic or much noisier than that."""
LENGTHSCALE_BOUNDS = (0.025, 1e3)
NOISE_BOUNDS = (1e-6, 4.0)
MEAN_BOUND = 10.0
TOLERANCE = 1e-6
"""Relative gain of a step at which a fit ends."""

Array = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """The n rows where one output was observed."""

    X: Array
    """(n, p)."""
    Y: Array
    """(n,)."""
    E: Array
    """(n,)."""
    feature_dims: npt.NDArray[np.int64]
    """Dimension of each feature (p,)."""


def observed_rows(data: Data, output: int) -> Rows:
    """The rows where an output was observed."""
    is_observed = data.M[output] > 0
    arrays = data.X[is_observed], data.Y[output, is_observed], data.E[output, is_observed]
    X, Y, E = (a.cpu().numpy() for a in arrays)
    return Rows(X, Y, E, data.feature_dims.cpu().numpy())


def default_hyperparameters(data: Data) -> Hyperparameters:
    """Start of a cold fit, and last resort of a failed one: l = sqrt(d) / 2, s2 = 1e-3, mean 0."""
    zero = torch.zeros(len(data.Y), dtype=torch.float64, device=data.X.device)
    log_l = zero[:, None].expand(-1, data.n_dims) + math.log(0.5 * math.sqrt(max(data.n_dims, 1)))
    return Hyperparameters(log_l, zero + math.log(1e-3), zero)


def log_prior(theta: Array) -> tuple[float, Array]:
    """Log density of the priors at theta (d + 2,), up to a constant, and its gradient.

    The densities are those of l and s2, not of their logarithms.
    """
    log_l, log_noise, mean = theta[:-2], theta[-2], theta[-1]
    u = (log_l - LENGTHSCALE_LOC - 0.5 * math.log(max(len(log_l), 1))) / LENGTHSCALE_SCALE
    v = (log_noise - NOISE_LOC) / NOISE_SCALE
    value = -float((log_l + 0.5 * u**2).sum() + log_noise + 0.5 * v**2 + 0.5 * mean**2)
    gradient = np.append(-1.0 - u / LENGTHSCALE_SCALE, [-1.0 - v / NOISE_SCALE, -mean])
    return value, gradient


def log_likelihood(rows: Rows, theta: Array, buffers: Array | None = None) -> tuple[float, Array]:
    """Log marginal likelihood of an output at theta (d + 2,), and its gradient.

    dL / d theta = tr((a a' - K^-1) dK / d theta) / 2 with a = K^-1 (Y - mean). The derivative by
    log l_j is taken by products with the features, without an (n, n, d) tensor:
    sum_ik W_ik (z_ij - z_kj)^2 / 2 = sum_i (W 1)_i z_ij^2 - z_j' W z_j for symmetric W.
    buffers: (4, n^2 or more), what stood there is lost. A fit keeps them from call to call, since
    to get the memory from the system takes as long as to compute.

    Raises LinAlgError if the covariance matrix cannot be factorised.
    """
    n, noise = len(rows.Y), math.exp(theta[-2])
    if n == 0:
        return 0.0, np.zeros_like(theta)
    if buffers is None:
        buffers = np.empty((4, n * n))
    K, slope, decay, L = (buffer[: n * n].reshape(n, n) for buffer in buffers)
    Z = rows.X * np.exp(-theta[:-2])[rows.feature_dims]
    _kernel(Z, K, slope, decay)
    np.fill_diagonal(K, 1.0 + noise + rows.E)

    _factorise(K, L)
    residual = rows.Y - theta[-1]
    a = dpotrs(L.T, residual, lower=True)[0]
    log_det = 2.0 * float(np.log(L.diagonal()).sum())
    value = -0.5 * (float(residual @ a) + log_det + n * math.log(2.0 * math.pi))

    # In L the upper triangle, which is the lower one of L', becomes that of the inverse.
    dpotri(L.T, lower=True, overwrite_c=True)
    G = np.outer(a, a, out=K)
    of_noise = 0.5 * noise * float(a @ a - L.diagonal().sum())
    L[np.tri(n, dtype=bool)] = 0.0
    G -= L
    G -= L.T
    # W = G * slope, but for its diagonal, which cancels.
    W = np.multiply(G, slope, out=slope)
    by_feature = W.sum(axis=1) @ Z**2 - (Z * (W @ Z)).sum(axis=0)
    by_dim = np.bincount(rows.feature_dims, by_feature, minlength=len(theta) - 2)
    return value, np.append(by_dim, [of_noise, float(a.sum())])


def _kernel(Z: Array, K: Array, slope: Array, decay: Array) -> None:
    """Of scaled features (n, p): k(Z, Z), and -2 dk / d(r^2), into K and slope; decay is scratch.

    With s = sqrt(5) r: (1 + s + s^2 / 3) exp(-s) and 5/3 (1 + s) exp(-s).
    """
    lengths = (Z**2).sum(axis=1)
    np.matmul(Z, Z.T, out=K)
    K *= -2.0
    K += lengths
    K += lengths[:, None]
    np.maximum(K, 0.0, out=K)
    K *= 5.0
    np.sqrt(K, out=slope)
    np.negative(slope, out=decay)
    np.exp(decay, out=decay)
    slope += 1.0
    slope *= decay
    K *= decay
    K /= 3.0
    K += slope
    slope *= 5.0 / 3.0


def _factorise(K: Array, L: Array) -> None:
    """Transposed lower Cholesky factor of K (n, n) into L, with growing jitter where K needs it.

    Only the upper triangle of L is that. Raises LinAlgError if the largest jitter is not enough.
    """
    for jitter in JITTERS:
        np.copyto(L, K)
        L.flat[:: len(L) + 1] += jitter
        # L' is laid out as LAPACK wants it, which therefore works in place.
        _, info = dpotrf(L.T, lower=True, clean=False, overwrite_a=True)
        if info == 0 and np.isfinite(L.diagonal()).all():
            return
    raise LinAlgError(f"A covariance matrix of {len(K)} rows is not positive definite.")


def fit(
    data: Data,
    start: Hyperparameters | None = None,
    max_iterations: int = 60,
    has_prior: bool = True,
) -> Hyperparameters:
    """Hyperparameters of largest likelihood times prior, by L-BFGS-B for each output.

    start: where to begin (a warm start needs few iterations); None is the default. The result
    is never worse than the start. If a covariance matrix cannot be factorised, the best so far is
    taken, the default where there is none, and this is logged.
    has_prior: False leaves the likelihood alone.
    """
    begin = default_hyperparameters(data) if start is None else start
    low = np.array([math.log(LENGTHSCALE_BOUNDS[0])] * data.n_dims + [0.0, -MEAN_BOUND])
    high = np.array([math.log(LENGTHSCALE_BOUNDS[1])] * data.n_dims
                    + [math.log(NOISE_BOUNDS[1]), MEAN_BOUND])  # fmt: skip
    default, fitted = default_hyperparameters(data).pack(), begin.pack()
    buffers = np.empty((4, len(data.X) ** 2))
    for b, floor in enumerate(data.noise_floor.tolist()):
        low[-2] = math.log(max(floor, NOISE_BOUNDS[0]))
        rows, theta = observed_rows(data, b), np.clip(fitted[b], low, high)

        def loss(theta: Array, rows: Rows = rows) -> tuple[float, Array]:
            value, gradient = log_likelihood(rows, theta, buffers)
            if has_prior:
                prior, prior_gradient = log_prior(theta)
                value, gradient = value + prior, gradient + prior_gradient
            return -value, -gradient

        fitted[b] = _descend(loss, theta, low, high, max_iterations, default[b])
    return Hyperparameters.unpack(fitted, data.X.device)


def _descend(
    loss: Callable[[Array], tuple[float, Array]],
    start: Array,
    low: Array,
    high: Array,
    max_iterations: int,
    default: Array,
) -> Array:
    """Where L-BFGS-B ends between the bounds; where the loss fails the best so far or default."""
    tried: list[tuple[float, Array]] = []

    def remembered(theta: Array) -> tuple[float, Array]:
        value, gradient = loss(theta)
        if not tried or value < tried[-1][0]:
            tried.append((value, theta.copy()))
        return value, gradient

    try:
        found = minimize(
            remembered,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low, high], axis=1),
            options={"maxiter": max_iterations, "maxcor": 10, "ftol": TOLERANCE},
        )
    except LinAlgError as error:
        if not tried:
            _logger.warning(f"Fitting failed ({error}); going on with default hyperparameters.")
            return default
        _logger.warning(f"Fitting ended early ({error}); going on with the best so far.")
        return tried[-1][1]
    end: Array = found.x
    return end
