"""SCBO from BoTorch's public parts, as its tutorial describes it: the peer of our own sampler.

Standardised outputs, one exact Gaussian process each, fitted from scratch at every step (noise at
most 1e-3, lengthscales in [0.005, 4]); box of side 0.8 around the best point; Sobol candidates
with a 20 / d mask; one exact joint posterior sample of all outputs on all candidates; success
tolerance 10, failure tolerance ceil(max(4 / q, d / q)). Floats only, one process only: its
state is in this object. Where the tutorial stops (a box below 2^-7) it goes on with a box of 0.8.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

LENGTH_INIT, LENGTH_MIN, LENGTH_MAX = 0.8, 0.5**7, 1.6
SUCCESS_TOLERANCE = 10


class TutorialSCBO(optuna.samplers.BaseSampler):
    """The tutorial's loop behind Optuna's interface; `batch_size` points from each model."""

    def __init__(
        self, space: Mapping[str, BaseDistribution], n_init: int, seed: int, batch_size: int = 1
    ) -> None:
        if not all(isinstance(d, FloatDistribution) for d in space.values()):
            raise ValueError("The tutorial's SCBO knows floats only.")
        self._space = dict(space)
        self._n_init, self._batch_size = n_init, batch_size
        d = len(space)
        self._low = torch.tensor([x.low for x in space.values()], dtype=torch.float64)
        self._high = torch.tensor([x.high for x in space.values()], dtype=torch.float64)
        self._rng = torch.Generator().manual_seed(seed)
        self._seed = seed
        self._sobol = torch.quasirandom.SobolEngine(d, scramble=True, seed=seed)
        design = torch.quasirandom.SobolEngine(d, scramble=True, seed=seed).draw(n_init)
        self._queue = list(design.double())
        self._length, self._n_failures, self._n_successes = LENGTH_INIT, 0, 0
        self._failure_tolerance = math.ceil(max(4.0, d) / batch_size)
        self._n_seen, self._best = 0, (-math.inf, math.inf)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """All parameters."""
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        """The next point of the design or of the batch, from a new batch where none is left."""
        if not self._queue:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._queue = list(self._next_batch(study))
        x = self._low + (self._high - self._low) * self._queue.pop(0)
        return dict(zip(self._space, x.tolist(), strict=True))

    def sample_independent(self, *_: Any) -> Any:
        """Never called: raises ValueError."""
        raise ValueError("The tutorial's SCBO samples all parameters together.")

    def _next_batch(self, study: Study) -> torch.Tensor:
        X, Y, C = self._data(study)
        self._update(Y, C)
        from botorch.generation.sampling import ConstrainedMaxPosteriorSampling
        from botorch.models import ModelListGP
        from gpytorch.settings import max_cholesky_size

        objective = _fitted(X, Y)
        constraints = ModelListGP(*[_fitted(X, C[:, [j]]) for j in range(C.shape[1])])
        candidates = self._candidates(X[_best_index(Y, C)])
        with torch.no_grad(), max_cholesky_size(float("inf")):
            choose = ConstrainedMaxPosteriorSampling(
                model=objective, constraint_model=constraints, replacement=False
            )
            chosen: torch.Tensor = choose(candidates, num_samples=self._batch_size)
        return chosen

    def _data(self, study: Study) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unit-cube points, negated values (n, 1), and constraints (n, m)."""
        trials = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
        values = np.array([[t.params[name] for name in self._space] for t in trials])
        X = (torch.as_tensor(values) - self._low) / (self._high - self._low)
        Y = torch.tensor([[-(t.value or 0.0)] for t in trials], dtype=torch.float64)
        C = torch.tensor([list(t.constraints.values()) for t in trials], dtype=torch.float64)
        return X, Y, C

    def _update(self, Y: torch.Tensor, C: torch.Tensor) -> None:
        """Count the results of the last batch, and resize the box."""
        fresh = slice(self._n_seen, None)
        index = _best_index(Y[fresh], C[fresh])
        value = float(Y[fresh][index])
        violation = float(C[fresh][index].clamp(min=0).sum())
        if self._n_seen == 0:
            self._n_seen, self._best = len(Y), (value, violation)
            return
        self._n_seen = len(Y)
        best_value, best_violation = self._best
        if violation == 0 and best_violation == 0:
            is_better = value > best_value + 1e-3 * abs(best_value)
        else:
            is_better = violation < best_violation
        if is_better:
            self._best = (value, violation)
            self._n_successes, self._n_failures = self._n_successes + 1, 0
        else:
            self._n_successes, self._n_failures = 0, self._n_failures + 1
        if self._n_successes == SUCCESS_TOLERANCE:
            self._length, self._n_successes = min(2.0 * self._length, LENGTH_MAX), 0
        elif self._n_failures == self._failure_tolerance:
            self._length, self._n_failures = self._length / 2.0, 0
        if self._length < LENGTH_MIN:
            self._length = LENGTH_INIT

    def _candidates(self, center: torch.Tensor) -> torch.Tensor:
        d = len(center)
        n = min(5000, max(2000, 200 * d))
        low = (center - self._length / 2).clamp(0, 1)
        high = (center + self._length / 2).clamp(0, 1)
        drawn = low + (high - low) * self._sobol.draw(n).double()
        mask = torch.rand(n, d, generator=self._rng) <= min(20.0 / d, 1.0)
        unmoved = torch.where(mask.sum(1) == 0)[0]
        mask[unmoved, torch.randint(0, d, (len(unmoved),), generator=self._rng)] = True
        return torch.where(mask, drawn, center)


def _best_index(Y: torch.Tensor, C: torch.Tensor) -> int:
    """The best feasible row, or the one of least total violation."""
    is_feasible = (C <= 0).all(1)
    if is_feasible.any():
        return int(torch.where(is_feasible, Y[:, 0], -torch.inf).argmax())
    return int(C.clamp(min=0).sum(1).argmin())


def _fitted(X: torch.Tensor, y: torch.Tensor) -> Any:
    """One Gaussian process as the tutorial sets it up, fitted by marginal likelihood.

    With the hyperparameters it began with where the fit fails, which would end the tutorial.
    """
    from botorch.exceptions.errors import ModelFittingError
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms.outcome import Standardize
    from gpytorch.constraints import Interval
    from gpytorch.kernels import MaternKernel, ScaleKernel
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.settings import max_cholesky_size

    lengthscale = Interval(0.005, 4.0)
    kernel = ScaleKernel(
        MaternKernel(nu=2.5, ard_num_dims=X.shape[1], lengthscale_constraint=lengthscale)
    )
    model = SingleTaskGP(
        X,
        y,
        covar_module=kernel,
        likelihood=GaussianLikelihood(noise_constraint=Interval(1e-8, 1e-3)),
        outcome_transform=Standardize(m=1),
    )
    with max_cholesky_size(float("inf")), contextlib.suppress(ModelFittingError):
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model.eval()
