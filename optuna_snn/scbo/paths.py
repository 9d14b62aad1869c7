"""Pathwise posterior draws: a sample of a Gaussian process as a differentiable function.

Matern-5/2 prior draws by random Fourier features, corrected to pass through the data by Matheron's
rule (Wilson et al. 2020, "Efficiently sampling functions from Gaussian process posteriors"):

    f(x) = g(x) + k(x, X) K^-1 (Y - g(X) - e),   g(x) = mean + sqrt(2/F) sum_i w_i cos(o_i'x + t_i)

with w_i, e standard normal (e scaled by the noise), t_i uniform on [0, 2 pi), and the
frequencies o_i from the kernel's spectral density: a multivariate Student t with 5 degrees of
freedom, divided by the lengthscales. The cost is linear in the number of points.
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
    """One draw of all outputs, as a function of features. All in the outputs' own units."""

    directions: Tensor
    """Frequencies of unit lengthscales, shared by all outputs (p, F)."""
    phases: Tensor
    """(F,)."""
    amplitudes: Tensor
    """w sqrt(2 / F) (B, F)."""
    inverse_lengthscales: Tensor
    """(B, p)."""
    X: Tensor
    """(n, p)."""
    update: Tensor
    """K^-1 (Y - g(X) - e), zero on unobserved rows (B, n)."""
    mean: Tensor
    """(B,)."""
    offset: Tensor
    """(B,)."""
    scale: Tensor
    """(B,)."""

    def __call__(self, features: Tensor) -> Tensor:
        """Values of the draw at (r, p) features: (B, r)."""
        rows = []
        for b, inverse in enumerate(self.inverse_lengthscales):
            scaled = features * inverse
            prior = torch.cos(scaled @ self.directions + self.phases) @ self.amplitudes[b]
            cross = matern52(square_distance(scaled, self.X * inverse))
            rows.append(self.mean[b] + prior + cross @ self.update[b])
        return self.offset[:, None] + self.scale[:, None] * torch.stack(rows)

    def with_gradient(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Values (B,) and gradients (B, p) at one point's features (p,)."""
        angles = (features * self.inverse_lengthscales) @ self.directions + self.phases
        value = self.mean + (torch.cos(angles) * self.amplitudes).sum(-1)
        pull = -torch.sin(angles) * self.amplitudes
        gradient = (pull @ self.directions.mT) * self.inverse_lengthscales

        squared = self.inverse_lengthscales**2
        difference = features - self.X
        square = squared @ (difference**2).mT
        value = value + (matern52(square) * self.update).sum(-1)
        slope = -matern52_slope(square) * self.update
        gradient = gradient + (slope @ difference) * squared
        return self.offset + self.scale * value, self.scale[:, None] * gradient

    def to(self, device: torch.device, dtype: torch.dtype = torch.float64) -> Path:
        """The same draw elsewhere, or rounded to another precision."""
        return replace(self, **{name: t.to(device, dtype) for name, t in vars(self).items()})


def draw_path(posterior: Posterior, rng: np.random.Generator, n_fourier: int = N_FOURIER) -> Path:
    """Draw one function per output; the outputs are independent."""
    data, hyper = posterior.data, posterior.hyper
    n_outputs, n_features = len(data.Y), data.X.shape[1]

    def tensor(a: npt.NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(a, dtype=torch.float64, device=posterior.device)

    # The directions are shared by all outputs: their draws stay independent through the amplitudes.
    student = np.sqrt(5.0 / rng.chisquare(5.0, n_fourier))
    directions = tensor(rng.standard_normal((n_features, n_fourier)) * student)
    phases = tensor(rng.uniform(0.0, 2.0 * math.pi, n_fourier))
    amplitudes = tensor(rng.standard_normal((n_outputs, n_fourier)) * math.sqrt(2.0 / n_fourier))
    inverse = 1.0 / posterior.lengthscales
    noise = tensor(rng.standard_normal(tuple(data.Y.shape)))
    noise = noise * (0.5 * hyper.log_noise).exp()[:, None]

    angles = (data.X * inverse[:, None, :]) @ directions + phases
    prior = (torch.cos(angles) @ amplitudes[:, :, None])[..., 0]
    residual = (data.Y - hyper.mean[:, None] - prior - noise) * data.M
    update = torch.cholesky_solve(residual[:, :, None], posterior.factor)[..., 0]
    return Path(
        directions, phases, amplitudes, inverse, data.X, update, hyper.mean, data.offset, data.scale
    )
