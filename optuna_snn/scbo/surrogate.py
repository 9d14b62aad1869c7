"""Batched exact Gaussian processes: one for the objective and one for each constraint.

All outputs share their inputs; each has its own lengthscales, noise and mean, and its own mask of
rows that were observed. ``condition`` returns a frozen ``Posterior``.

Symbols
    b, m   outputs: the objective and the constraints          (B of them)
    n      training rows;  d dimensions;  p features (one-hot codes make p >= d)
    X      features of the training rows                        (n, p)
    Y      outputs, standardised per output over its own rows   (B, n)
    M      1 where the output was observed, else 0              (B, n)
    l      lengthscales, one per dimension                      (B, d)
    s2     noise variance, in units of the standardised output  (B,)
    E      variance of the error that an observation is known to have               (B, n)
    K      k(X, X) on observed rows, identity elsewhere, plus s2 + E on the diagonal  (B, n, n)

Kernel: Matern-5/2 with automatic relevance determination and unit variance. Row masks are exact:
an unobserved row is an independent unit variable, which adds nothing to any prediction. `fitting`
finds the hyperparameters.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LinAlgError = torch.linalg.LinAlgError  # type: ignore[attr-defined]
"""Of a failed factorisation: torch's error, also where LAPACK says so."""

_logger = logging.getLogger(__name__)

JITTERS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2)


class Data(NamedTuple):
    """What the processes are conditioned on, standardised."""

    X: Tensor
    Y: Tensor
    M: Tensor
    feature_dims: Tensor
    """Dimension of each feature (p,)."""
    n_dims: int
    offset: Tensor
    """Mean of each output in its own units (B,)."""
    scale: Tensor
    """Standard deviation of each output in its own units (B,)."""
    noise_floor: Tensor
    """Least noise variance of each output, in units of the standardised output (B,)."""
    E: Tensor
    """Known variance of each observation's error, in the same units, beside the noise (B, n)."""


class Hyperparameters(NamedTuple):
    """log l (B, d), log s2 (B,), and the constant mean (B,) of the standardised output."""

    log_lengthscale: Tensor
    log_noise: Tensor
    mean: Tensor

    def pack(self) -> npt.NDArray[np.float64]:
        """One row per output: log l, log s2, mean. (B, d + 2)."""
        columns = [self.log_lengthscale, self.log_noise[:, None], self.mean[:, None]]
        packed: npt.NDArray[np.float64] = torch.cat(columns, dim=1).cpu().numpy()
        return packed

    @classmethod
    def unpack(cls, packed: npt.NDArray[np.float64], device: torch.device) -> Hyperparameters:
        """The inverse of `pack`."""
        theta = torch.as_tensor(packed, dtype=torch.float64, device=device)
        return cls(theta[:, :-2], theta[:, -2], theta[:, -1])


@dataclass(frozen=True)
class Posterior:
    """Gaussian processes conditioned on data; the outputs are independent of each other."""

    data: Data
    hyper: Hyperparameters
    factor: Tensor
    """Lower Cholesky factor of K (B, n, n)."""
    weights: Tensor
    """K^-1 (Y - mean) (B, n)."""

    @property
    def lengthscales(self) -> Tensor:
        """Lengthscale of each feature (B, p)."""
        return self.hyper.log_lengthscale.exp()[:, self.data.feature_dims]

    @property
    def device(self) -> torch.device:
        """Where the models are computed."""
        return self.data.X.device

    def mean_and_sd(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Marginal posterior of the noise-free outputs at (r, p) features.

        Returns mean and standard deviation, each (B, r), in the outputs' own units.
        """
        scaled = features / self.lengthscales[:, None, :]
        cross = matern52(square_distance(scaled, self.data.X / self.lengthscales[:, None, :]))
        cross = cross * self.data.M[:, None, :]
        mean = self.hyper.mean[:, None] + (cross @ self.weights[:, :, None])[..., 0]
        half = torch.linalg.solve_triangular(self.factor, cross.mT, upper=False)
        variance = (1.0 - (half**2).sum(dim=1)).clamp_min(1e-12)
        scale, offset = self.data.scale[:, None], self.data.offset[:, None]
        return offset + scale * mean, scale * variance.sqrt()


def square_distance(A: Tensor, B: Tensor) -> Tensor:
    """Squared Euclidean distances between the rows of (..., r, p) and (..., n, p): (..., r, n)."""
    products = A @ B.mT
    squares = (A**2).sum(-1)[..., :, None] + (B**2).sum(-1)[..., None, :]
    return squares.sub_(products, alpha=2).clamp_min_(0)


def matern52(square: Tensor) -> Tensor:
    """(1 + s + s^2 / 3) exp(-s) with s = sqrt(5) r, from squared distances. Any shape."""
    s = square.mul(5.0).sqrt_()
    decay = s.neg().exp_()
    return torch.addcmul(s.add_(1.0).mul_(decay), square, decay, value=5.0 / 3.0)


def make_data(
    features: npt.NDArray[np.float64],
    outputs: npt.NDArray[np.float64],
    feature_dims: npt.NDArray[np.int64],
    n_dims: int,
    device: torch.device,
    noise_floor: npt.NDArray[np.float64] | None = None,
    error_sd: npt.NDArray[np.float64] | None = None,
) -> Data:
    """Standardise each output over its observed rows.

    features: (n, p). outputs: (n, B), NaN where not observed. An output that is constant or has
    fewer than two observations keeps unit scale; one that has none gets mean zero.
    noise_floor: (B,), None is none. error_sd: (n, B) standard deviations of known errors, in the
    outputs' own units; None is none.
    """
    observed = ~np.isnan(outputs)
    filled = np.where(observed, outputs, 0.0)
    counts = np.maximum(observed.sum(axis=0), 1)
    offset = filled.sum(axis=0) / counts
    centred = np.where(observed, outputs - offset, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / np.maximum(counts - 1, 1))
    scale = np.where(scale > 1e-12 * np.maximum(np.abs(offset), 1.0), scale, 1.0)

    def tensor(a: npt.NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(a), dtype=torch.float64, device=device)

    dims = torch.as_tensor(feature_dims, device=device)
    Y, M = tensor((centred / scale).T), tensor(observed.T.astype(float))
    floor = np.zeros(outputs.shape[1]) if noise_floor is None else noise_floor
    sd = np.zeros_like(filled) if error_sd is None else np.where(observed, error_sd, 0.0)
    E = tensor((sd / scale).T ** 2)
    offset_scale_floor = tensor(offset), tensor(scale), tensor(floor)
    return Data(tensor(features), Y, M, dims, n_dims, *offset_scale_floor, E)


def first_rows(data: Data, n: int) -> Data:
    """The first n rows, in the same units."""
    return data._replace(X=data.X[:n], Y=data.Y[:, :n], M=data.M[:, :n], E=data.E[:, :n])


def factorise(K: Tensor) -> Tensor:
    """Lower Cholesky factors of (B, n, n), with growing jitter where a matrix needs it.

    Raises LinAlgError if the largest jitter is not enough (or K holds NaN).
    """
    factor: Tensor
    for jitter in JITTERS:
        shifted = K if jitter == 0.0 else K + jitter * torch.eye(K.shape[-1]).to(K)
        factor, info = torch.linalg.cholesky_ex(shifted)
        # NaN anywhere in a row, or infinity, makes its pivot NaN.
        pivots = factor.diagonal(dim1=-2, dim2=-1)
        if not bool(info.any()) and bool(torch.isfinite(pivots).all()):
            if jitter:
                _logger.debug(f"Added {jitter:g} to the diagonal of a covariance matrix.")
            return factor
    raise LinAlgError(
        f"A covariance matrix of {K.shape[-1]} rows is not positive definite, even with "
        f"{JITTERS[-1]:g} added to its diagonal."
    )


def condition(data: Data, hyper: Hyperparameters) -> Posterior:
    """Condition processes of known hyperparameters on data; their noise is at least the floor."""
    hyper = hyper._replace(log_noise=torch.maximum(hyper.log_noise, data.noise_floor.log()))
    Z = data.X / hyper.log_lengthscale.exp()[:, data.feature_dims][:, None, :]
    K = matern52(square_distance(Z, Z)) * data.M[:, :, None] * data.M[:, None, :]
    diagonal = 1.0 + (hyper.log_noise.exp()[:, None] + data.E) * data.M
    K.diagonal(dim1=1, dim2=2).copy_(diagonal)
    factor = factorise(K)
    residual = (data.Y - hyper.mean[:, None]) * data.M
    weights = torch.cholesky_solve(residual[:, :, None], factor)[..., 0]
    return Posterior(data, hyper, factor, weights)
