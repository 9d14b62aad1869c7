"""Pathwise posterior draws: samples of a Gaussian process as differentiable functions.

Matern-5/2 prior draws by random Fourier features, corrected to pass through the data by Matheron's
rule (Wilson et al. 2020, "Efficiently sampling functions from Gaussian process posteriors"):

    f(x) = g(x) + k(x, X) K^-1 (Y - g(X) - e),   g(x) = mean + sqrt(2/F) sum_i w_i cos(o_i'x + t_i)

with w_i, e standard normal (e scaled by the noise), t_i uniform on [0, 2 pi), and the
frequencies o_i from the kernel's spectral density: a multivariate Student t with 5 degrees of
freedom, divided by the lengthscales. The cost is linear in the number of points, and further draws
of the same process cost little, since they share frequencies and kernel.

Symbols as in `surrogate`, and: F random features, S draws of each output, r points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from optuna_snn.scbo.surrogate import Posterior, matern52, matern52_slope, square_distance

N_FOURIER = 1024
"""Random features per draw; the error of the prior's covariance is about 1 / sqrt(N_FOURIER)."""


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
        outputs = []
        for b, inverse in enumerate(self.inverse_lengthscales):
            scaled = features * inverse
            waves = torch.cos(scaled @ self.directions + self.phases)
            cross = matern52(square_distance(scaled, self.X * inverse))
            outputs.append(self.amplitudes[b] @ waves.mT + self.update[b] @ cross.mT)
        values = torch.stack(outputs) + self.mean[:, None, None]
        return self.offset[:, None, None] + self.scale[:, None, None] * values

    def with_gradient(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Values (B, S) and gradients (B, S, p) at one point's features (p,)."""
        angles = (features * self.inverse_lengthscales) @ self.directions + self.phases
        value = (self.amplitudes @ torch.cos(angles)[:, :, None])[..., 0]
        pull = -torch.sin(angles)[:, None, :] * self.amplitudes
        gradient = (pull @ self.directions.mT) * self.inverse_lengthscales[:, None, :]

        squared = self.inverse_lengthscales**2
        difference = features - self.X
        square = squared @ (difference**2).mT
        value = value + (self.update @ matern52(square)[:, :, None])[..., 0]
        slope = -matern52_slope(square)[:, None, :] * self.update
        gradient = gradient + (slope @ difference) * squared[:, None, :]
        value = self.offset[:, None] + self.scale[:, None] * (value + self.mean[:, None])
        return value, self.scale[:, None, None] * gradient

    def to(self, device: torch.device, dtype: torch.dtype = torch.float64) -> Path:
        """The same draws elsewhere, or rounded to another precision."""
        return replace(self, **{name: t.to(device, dtype) for name, t in vars(self).items()})


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
    noise = noise * (0.5 * hyper.log_noise).exp()[:, None, None]

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
