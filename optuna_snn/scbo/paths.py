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
            waves = _cosines(torch.addmm(self.phases, part, directions))
            cross = matern52(square_distance(part * inverse, X))
            chunks.append(self.amplitudes[b] @ waves.mT + self.update[b] @ cross.mT)
        values = (
            torch.cat(chunks, dim=1) if chunks else self.update.new_empty(self.update.shape[1], 0)
        )
        return self.offset[b] + self.scale[b] * (values + self.mean[b])

    def with_one_draw_of(self, b: int) -> Path:
        """The same draws, but all of one output are its first."""
        amplitudes, update = self.amplitudes.clone(), self.update.clone()
        amplitudes[b], update[b] = amplitudes[b, :1], update[b, :1]
        return replace(self, amplitudes=amplitudes, update=update)

    def to(self, device: torch.device, dtype: torch.dtype = torch.float64) -> Path:
        """The same draws elsewhere, or rounded to another precision."""
        return replace(self, **{name: t.to(device, dtype) for name, t in vars(self).items()})


class PointPath:
    """A path as NumPy arrays, for values and gradients at single points.

    A climb asks for one point at a time, where the overhead of tensors would outweigh the work.
    Both are in units of the outputs' standard deviation, and so of the outputs' signs. The waves
    are rounded to single precision, an error of about 1e-6, more for the shortest lengthscales.
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

    def values(self, features: Array) -> Array:
        """The draws at one point's features (p,): (B, S)."""
        waves = np.cos(self._angles(features))
        _, s, decay = self._distances(features)
        kernel = (1.0 + s + s**2 / 3.0) * decay
        prior: Array = (self._amplitudes @ waves[:, :, None])[..., 0].astype(np.float64)
        values: Array = prior + (self._update @ kernel[:, :, None])[..., 0] + self._level[:, None]
        return values

    def gradients(self, features: Array) -> Array:
        """Their gradients by the features: (B, S, p)."""
        B, S, F = self._amplitudes.shape
        pull = (self._amplitudes * np.sin(self._angles(features))[:, None, :]).reshape(B * S, F)
        gradients: Array = (pull @ self._directions.T).reshape(B, S, -1)
        gradients *= -self._inverse[:, None, :]
        difference, s, decay = self._distances(features)
        slope = self._update * (5.0 / 3.0 * (1.0 + s) * decay)[:, None, :]
        pulled = (slope.reshape(B * S, -1) @ difference).reshape(B, S, -1)
        gradients -= pulled * (self._inverse**2)[:, None, :]
        return gradients

    def _angles(self, features: Array) -> npt.NDArray[np.float32]:
        """Of the waves. (B, F)."""
        angles: Array = (features * self._inverse) @ self._directions + self._phases
        return angles.astype(np.float32)

    def _distances(self, features: Array) -> tuple[Array, Array, Array]:
        """From the training rows: differences (n, p); s = sqrt(5) r and exp(-s), each (B, n)."""
        difference = features - self._X
        s = np.sqrt(5.0 * (self._inverse**2 @ (difference**2).T))
        return difference, s, np.exp(-s)


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
    prior = torch.stack(
        [
            _at_rows(data.X * inverse[b], directions, phases, amplitudes[b])
            for b in range(n_outputs)
        ]
    )
    target = (data.Y - hyper.mean[:, None])[:, None, :]
    residual = (target - prior - noise) * data.M[:, None, :]
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


def _at_rows(Z: Tensor, directions: Tensor, phases: Tensor, amplitudes: Tensor) -> Tensor:
    """Prior draws at scaled rows (n, p): (S, n).

    The waves are in single precision: an error of about 1e-6, for the shortest lengthscales 1e-5,
    where the least noise is of 1e-3.
    """
    waves = _cosines(torch.addmm(phases, Z, directions).float())
    return (amplitudes.float() @ waves.mT).double()


def _cosines(angles: Tensor) -> Tensor:
    """Cosines of angles made by the caller, in place.

    In single precision on a CPU by NumPy, which takes a third of the time.
    """
    if angles.device.type == "cpu" and angles.dtype == torch.float32:
        np.cos(angles.numpy(), out=angles.numpy())
        return angles
    return angles.cos_()
