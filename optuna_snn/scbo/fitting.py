"""Hyperparameters of the Gaussian processes: largest likelihood times prior.

Priors scale with the dimension (Hvarfner, Hellsten and Nardi 2024, "Vanilla Bayesian optimization
performs great in high dimensions"): l ~ LogNormal(sqrt 2 + log sqrt d, sqrt 3). Symbols as in
`surrogate`.
"""

from __future__ import annotations

import logging
import math

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor

from optuna_snn.scbo.surrogate import (
    Data,
    Hyperparameters,
    LinAlgError,
    matern52,
    matern52_slope,
    solve,
    square_distance,
)

_logger = logging.getLogger(__name__)

LENGTHSCALE_LOC, LENGTHSCALE_SCALE = math.sqrt(2.0), math.sqrt(3.0)
NOISE_LOC, NOISE_SCALE = -6.0, 2.0
"""LogNormal prior of the noise variance; wider and lower than Hvarfner's (-4, 1), since most
objectives of interest here are either deterministic or much noisier than that."""
LENGTHSCALE_BOUNDS = (0.025, 1e3)
NOISE_BOUNDS = (1e-6, 4.0)
MEAN_BOUND = 10.0


def default_hyperparameters(data: Data) -> Hyperparameters:
    """Start of a cold fit, and last resort of a failed one: l = sqrt(d) / 2, s2 = 1e-3, mean 0."""
    zero = torch.zeros(len(data.Y), dtype=torch.float64, device=data.X.device)
    log_l = zero[:, None].expand(-1, data.n_dims) + math.log(0.5 * math.sqrt(max(data.n_dims, 1)))
    return Hyperparameters(log_l, zero + math.log(1e-3), zero)


def log_prior(hyper: Hyperparameters, n_dims: int) -> tuple[Tensor, Hyperparameters]:
    """Log density of the priors (up to a constant) and its gradient, per output."""
    loc = LENGTHSCALE_LOC + 0.5 * math.log(max(n_dims, 1))
    u = (hyper.log_lengthscale - loc) / LENGTHSCALE_SCALE
    v = (hyper.log_noise - NOISE_LOC) / NOISE_SCALE
    value = -(hyper.log_lengthscale + 0.5 * u**2).sum(-1) - hyper.log_noise - 0.5 * v**2
    value = value - 0.5 * hyper.mean**2
    gradient = Hyperparameters(-1.0 - u / LENGTHSCALE_SCALE, -1.0 - v / NOISE_SCALE, -hyper.mean)
    return value, gradient


def log_likelihood(data: Data, hyper: Hyperparameters) -> tuple[Tensor, Hyperparameters]:
    """Log marginal likelihood of each output (B,), and its gradient.

    dL / d theta = tr((a a' - K^-1) dK / d theta) / 2 with a = K^-1 (Y - mean). The derivative by
    log l_j is taken by products with the features, without an (n, n, d) tensor:
    sum_ik W_ik (z_ij - z_kj)^2 / 2 = sum_i (W 1)_i z_ij^2 - z_j' W z_j for symmetric W.
    """
    Z = data.X / hyper.log_lengthscale.exp()[:, data.feature_dims][:, None, :]
    square = square_distance(Z, Z)
    pairs = data.M[:, :, None] * data.M[:, None, :]
    factor, a, quadratic = solve(data, hyper, matern52(square) * pairs)
    log_det = 2.0 * factor.diagonal(dim1=1, dim2=2).log().sum(-1)
    n_observed = data.M.sum(-1)
    value = -0.5 * (quadratic + log_det + n_observed * math.log(2 * math.pi))

    G = a[:, :, None] * a[:, None, :] - torch.cholesky_inverse(factor)
    W = G * matern52_slope(square) * pairs
    by_feature = (W.sum(-1)[:, :, None] * Z**2).sum(1) - (Z * (W @ Z)).sum(1)
    by_dim = torch.zeros_like(hyper.log_lengthscale)
    by_dim = by_dim.index_add(1, data.feature_dims, by_feature)
    diagonal = G.diagonal(dim1=1, dim2=2)
    by_noise = 0.5 * hyper.log_noise.exp() * (diagonal * data.M).sum(-1)
    return value, Hyperparameters(by_dim, by_noise, (a * data.M).sum(-1))


def fit(
    data: Data,
    start: Hyperparameters | None = None,
    max_iterations: int = 60,
    has_prior: bool = True,
) -> Hyperparameters:
    """Hyperparameters of largest likelihood times prior, by L-BFGS-B over all outputs at once.

    start: where to begin (a warm start needs few iterations); None is the default. The result
    is never worse than the start. If a covariance matrix cannot be factorised, the best so far is
    taken, the default where there is none, and this is logged.
    has_prior: False leaves the likelihood alone.
    """
    begin = default_hyperparameters(data) if start is None else start
    n_outputs, width = len(data.Y), data.n_dims + 2
    low = np.tile([math.log(LENGTHSCALE_BOUNDS[0])] * data.n_dims
                  + [math.log(NOISE_BOUNDS[0]), -MEAN_BOUND], n_outputs)  # fmt: skip
    least_noise = np.maximum(data.noise_floor.cpu().numpy(), NOISE_BOUNDS[0])
    low.reshape(n_outputs, width)[:, -2] = np.log(least_noise)
    high = np.tile([math.log(LENGTHSCALE_BOUNDS[1])] * data.n_dims
                   + [math.log(NOISE_BOUNDS[1]), MEAN_BOUND], n_outputs)  # fmt: skip

    tried: list[tuple[float, npt.NDArray[np.float64]]] = []

    def loss(theta: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, gradient = negative_posterior(theta)
        if not tried or value < tried[-1][0]:
            tried.append((value, theta.copy()))
        return value, gradient

    def negative_posterior(
        theta: npt.NDArray[np.float64],
    ) -> tuple[float, npt.NDArray[np.float64]]:
        hyper = Hyperparameters.unpack(theta.reshape(n_outputs, width), data.X.device)
        value, gradient = log_likelihood(data, hyper)
        if not has_prior:
            return -float(value.sum()), -gradient.pack().ravel()
        prior, prior_gradient = log_prior(hyper, data.n_dims)
        total = gradient.pack() + prior_gradient.pack()
        return -float((value + prior).sum()), -total.ravel()

    try:
        found = minimize(
            loss,
            np.clip(begin.pack().ravel(), low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([low, high], axis=1),
            options={"maxiter": max_iterations, "maxcor": 10, "ftol": 1e-7},
        )
        return Hyperparameters.unpack(found.x.reshape(n_outputs, width), data.X.device)
    except LinAlgError as error:
        if not tried:
            _logger.warning(f"Fitting failed ({error}); going on with default hyperparameters.")
            return default_hyperparameters(data)
        _logger.warning(f"Fitting ended early ({error}); going on with the best so far.")
        best = tried[-1][1].reshape(n_outputs, width)
        return Hyperparameters.unpack(best, data.X.device)
