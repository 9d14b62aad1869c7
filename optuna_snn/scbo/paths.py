"""Pathwise posterior draws: samples of a Gaussian process as differentiable functions.

Matern-5/2 prior draws by random Fourier features, corrected to pass through the data by Matheron's
rule (Wilson et al. 2020, "Efficiently sampling functions from Gaussian process posteriors"):

    f(x) = g(x) + k(x, X) K^-1 (Y - g(X) - e),   g(x) = mean + sqrt(2/F) sum_i w_i cos(o_i'x + t_i)

with w_i, e standard normal (e scaled by noise and known errors), t_i uniform on [0, 2 pi), and the
frequencies o_i from the kernel's spectral density: a multivariate Student t with 5 degrees of
freedom, divided by the lengthscales. The cost is linear in the number of points, and further draws
of the same process cost little, since they share frequencies and kernel.

Symbols as in `surrogate`, and: F random features, S draws of each output, r points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from optuna_snn.scbo.surrogate import Posterior, matern52, square_distance

N_FOURIER = 1024
"""Random features per draw; the error of the prior's covariance is about 1 / sqrt(N_FOURIER)."""

CHUNK = 256
"""Points whose waves are computed together: they stay in the processor's cache."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """S draws of all B outputs, as functions of features. All in the outputs' own units."""

    directions: Tensor
    """Frequencies of unit lengthscales, shared by all outputs (p, F)."""
    phases: Tensor
    """(F,)."""
    amplitudes: Tensor
    """w sqrt(2 / F) (B, S, F)."""
    inverse_lengthscales: Tensor
    """(B, p)."""
    X: Tensor
    """(n, p)."""
    update: Tensor
    """K^-1 (Y - g(X) - e), zero on unobserved rows (B, S, n)."""
    mean: Tensor
    """(B,)."""
    offset: Tensor
    """(B,)."""
    scale: Tensor
    """(B,)."""

    def __call__(self, features: Tensor) -> Tensor:
        """Values of the draws at (r, p) features: (B, S, r)."""
        return torch.stack([self.output(b, features) for b in range(len(self.scale))])

    def output(self, b: int, features: Tensor) -> Tensor:
        """Values of one output's draws at (r, p) features: (S, r)."""
        inverse = self.inverse_lengthscales[b]
        directions, X = self.directions * inverse[:, None], self.X * inverse
        chunks = []
        for part in torch.split(features, CHUNK):
            waves = torch.addmm(self.phases, part, directions).cos_()
            cross = matern52(square_distance(part * inverse, X))
            chunks.append(self.amplitudes[b] @ waves.mT + self.update[b] @ cross.mT)
        values = (
            torch.cat(chunks, dim=1) if chunks else self.update.new_empty(self.update.shape[1], 0)
        )
        return self.offset[b] + self.scale[b] * (values + self.mean[b])

    def to(self, device: torch.device, dtype: torch.dtype = torch.float64) -> Path:
        """The same draws elsewhere, or rounded to another precision."""
        return replace(self, **{name: t.to(device, dtype) for name, t in vars(self).items()})


class PointPath:
    """A path as NumPy arrays, for values and gradients at single points.

    A climb asks for one point at a time, where the overhead of tensors would outweigh the work.
    """

    def __init__(self, path: Path, outputs: Sequence[int]) -> None:
        """Take over some of the path's outputs (B of them)."""
        local = path.to(torch.device("cpu"))
        arrays = {name: tensor.numpy() for name, tensor in vars(local).items()}
        self._X = arrays["X"]
        self._directions, self._phases = arrays["directions"], arrays["phases"]
        self._inverse = arrays["inverse_lengthscales"][list(outputs)]
        self._amplitudes = arrays["amplitudes"][list(outputs)].astype(np.float32)
        self._update = arrays["update"][list(outputs)]
        self._level = (arrays["mean"] + arrays["offset"] / arrays["scale"])[list(outputs)]
        self.n_draws: int = self._update.shape[1]

    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Values (B, S) and gradients (B, S, p) at one point's features (p,).

        In units of the outputs' standard deviation, and so of the outputs' signs. The waves are
        rounded to single precision, an error of about 1e-6.
        """
        B, S, F = self._amplitudes.shape
        angles = (features * self._inverse) @ self._directions + self._phases
        angles = angles.astype(np.float32)
        values = (self._amplitudes @ np.cos(angles)[:, :, None])[..., 0].astype(np.float64)
        pull = (self._amplitudes * np.sin(angles)[:, None, :]).reshape(B * S, F)
        gradients = (pull @ self._directions.T).reshape(B, S, -1) * -self._inverse[:, None, :]

        squared = self._inverse**2
        difference = features - self._X
        s = np.sqrt(5.0 * (squared @ (difference**2).T))
        decay = np.exp(-s)
        values += (self._update @ ((1.0 + s + s**2 / 3.0) * decay)[:, :, None])[..., 0]
        slope = self._update * (5.0 / 3.0 * (1.0 + s) * decay)[:, None, :]
        pulled = (slope.reshape(B * S, -1) @ difference).reshape(B, S, -1)
        gradients -= pulled * squared[:, None, :]
        return values + self._level[:, None], gradients


def draw_path(
    posterior: Posterior, rng: np.random.Generator, n_draws: int = 1, n_fourier: int = N_FOURIER
) -> Path:
    """Draw n_draws functions per output; outputs and draws are independent of each other.

    Independent given the random frequencies, which they share.
    """
    data, hyper = posterior.data, posterior.hyper
    n_outputs, n_rows, n_features = *data.Y.shape, data.X.shape[1]

    def tensor(a: npt.NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(a, dtype=torch.float64, device=posterior.device)

    student = np.sqrt(5.0 / rng.chisquare(5.0, n_fourier))
    directions = tensor(rng.standard_normal((n_features, n_fourier)) * student)
    phases = tensor(rng.uniform(0.0, 2.0 * math.pi, n_fourier))
    shape = (n_outputs, n_draws, n_fourier)
    amplitudes = tensor(rng.standard_normal(shape) * math.sqrt(2.0 / n_fourier))
    noise = tensor(rng.standard_normal((n_outputs, n_draws, n_rows)))
    noise = noise * (hyper.log_noise.exp()[:, None] + data.E).sqrt()[:, None, :]

    inverse = 1.0 / posterior.lengthscales
    waves = torch.cos((data.X * inverse[:, None, :]) @ directions + phases)
    target = (data.Y - hyper.mean[:, None])[:, None, :]
    residual = (target - amplitudes @ waves.mT - noise) * data.M[:, None, :]
    update = torch.cholesky_solve(residual.mT, posterior.factor).mT
    return Path(
        directions,
        phases,
        amplitudes,
        inverse,
        data.X,
        update,
        hyper.mean,
        data.offset,
        data.scale,
    )
