"""The batched Gaussian processes against GPyTorch, finite differences and plain sense."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from optuna_snn.scbo import fitting, surrogate
from optuna_snn.scbo.surrogate import Data, Hyperparameters
from tests.scbo.helpers import log_likelihoods

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit in linear_operator
    import gpytorch

CPU = torch.device("cpu")
N_DIMS = 3
FEATURE_DIMS = np.array([0, 1, 2, 2])
"""The last dimension has a code of two features, as a categorical one would."""


def example(
    n: int = 25, share_missing: float = 0.3, seed: int = 0, has_errors: bool = False
) -> Data:
    rng = np.random.default_rng(seed)
    X = rng.random((n, len(FEATURE_DIMS)))
    outputs = np.stack([5 + np.sin(4 * X[:, 0]), 1e3 * X[:, 1] ** 2, X[:, 2] - X[:, 0]], axis=1)
    outputs += 0.1 * rng.standard_normal(outputs.shape) * outputs.std(axis=0)
    outputs[rng.random(outputs.shape) < share_missing] = np.nan
    errors = rng.uniform(0.0, 0.5, outputs.shape) * np.nanstd(outputs, axis=0)
    return surrogate.make_data(
        X, outputs, FEATURE_DIMS, N_DIMS, CPU, error_sd=errors if has_errors else None
    )


def some_hyper(n_outputs: int = 3, seed: int = 1) -> Hyperparameters:
    rng = np.random.default_rng(seed)
    packed = np.concatenate(
        [
            rng.uniform(math.log(0.2), math.log(3.0), (n_outputs, N_DIMS)),
            rng.uniform(math.log(1e-4), math.log(0.3), (n_outputs, 1)),
            rng.standard_normal((n_outputs, 1)),
        ],
        axis=1,
    )
    return Hyperparameters.unpack(packed, CPU)


def log_priors(hyper: Hyperparameters) -> np.ndarray:
    return np.array([fitting.log_prior(theta)[0] for theta in hyper.pack()])


class Reference(gpytorch.models.ExactGP):
    """GPyTorch's process of one output, on its observed rows alone."""

    def __init__(self, data: Data, hyper: Hyperparameters, b: int) -> None:
        rows = data.M[b] > 0
        likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(
            noise=hyper.log_noise[b].exp() + data.E[b, rows]
        ).double()
        super().__init__(data.X[rows], data.Y[b, rows], likelihood)
        self.mean_module = gpytorch.means.ConstantMean()
        self.covar_module = gpytorch.kernels.MaternKernel(2.5, ard_num_dims=data.X.shape[1])
        self.double()
        self.mean_module.constant.data.fill_(hyper.mean[b])
        self.covar_module.lengthscale = hyper.log_lengthscale[b].exp()[data.feature_dims]

    def forward(self, x: Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    def log_likelihood(self) -> float:
        self.train()
        mll = gpytorch.mlls.ExactMarginalLogLikelihood(self.likelihood, self)
        per_row = mll(self(*self.train_inputs), self.train_targets).detach()
        return float(per_row) * len(self.train_targets)

    def mean_and_sd(self, features: Tensor) -> tuple[Tensor, Tensor]:
        self.eval()
        with torch.no_grad():
            posterior = self(features)
            return posterior.mean, posterior.variance.sqrt()


@pytest.mark.parametrize("has_errors", [False, True])
@pytest.mark.parametrize("share_missing", [0.0, 0.4])
def test_the_log_likelihood_is_that_of_gpytorch_on_the_observed_rows(
    share_missing: float, has_errors: bool
) -> None:
    data, hyper = example(share_missing=share_missing, has_errors=has_errors), some_hyper()
    for b in range(3):
        value, _ = fitting.log_likelihood(fitting.observed_rows(data, b), hyper.pack()[b])
        expected = Reference(data, hyper, b).log_likelihood()
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("has_errors", [False, True])
@pytest.mark.parametrize("share_missing", [0.0, 0.4])
def test_the_posterior_is_that_of_gpytorch_on_the_observed_rows(
    share_missing: float, has_errors: bool
) -> None:
    data, hyper = example(share_missing=share_missing, has_errors=has_errors), some_hyper()
    features = torch.as_tensor(np.random.default_rng(2).uniform(-0.5, 1.5, (40, 4)))
    features[:5] = data.X[:5]
    mean, sd = surrogate.condition(data, hyper).mean_and_sd(features)
    for b in range(3):
        expected_mean, expected_sd = Reference(data, hyper, b).mean_and_sd(features)
        expected_mean = data.offset[b] + data.scale[b] * expected_mean
        torch.testing.assert_close(mean[b], expected_mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(sd[b], data.scale[b] * expected_sd, rtol=1e-6, atol=1e-6)


def test_rows_of_which_nothing_was_observed_change_nothing() -> None:
    data, hyper = example(share_missing=0.0), some_hyper()
    X = np.concatenate([data.X.numpy(), np.full((3, 4), 0.5)])
    outputs = (data.offset[:, None] + data.scale[:, None] * data.Y).numpy().T
    padded = surrogate.make_data(
        X, np.concatenate([outputs, np.full((3, 3), np.nan)]), FEATURE_DIMS, N_DIMS, CPU
    )
    features = torch.rand((10, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(
        surrogate.condition(padded, hyper).mean_and_sd(features),
        surrogate.condition(data, hyper).mean_and_sd(features),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("function", ["likelihood", "prior"])
@pytest.mark.parametrize("output", range(3))
def test_gradients_are_finite_differences(function: str, output: int) -> None:
    rows = fitting.observed_rows(example(has_errors=True), output)
    theta, h = some_hyper().pack()[output], 1e-6

    def at(theta: np.ndarray) -> tuple[float, np.ndarray]:
        if function == "prior":
            return fitting.log_prior(theta)
        return fitting.log_likelihood(rows, theta)

    gradient = at(theta)[1]
    for k, step in enumerate(h * np.eye(len(theta))):
        slope = (at(theta + step)[0] - at(theta - step)[0]) / (2 * h)
        # Central differences: h^2 truncation and 1e-16 / h rounding, both below 1e-6.
        assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_what_stands_in_the_buffers_does_not_matter() -> None:
    rows, theta = fitting.observed_rows(example(), 0), some_hyper().pack()[0]
    value, gradient = fitting.log_likelihood(rows, theta)
    used = np.full((4, len(rows.Y) ** 2 + 7), np.nan)
    for _ in range(2):
        again = fitting.log_likelihood(rows, theta, used)
        assert again[0] == value and (again[1] == gradient).all()


def test_the_prior_is_a_log_normal_of_lengthscale_and_noise_that_scales_with_the_dimension() -> (
    None
):
    one, two = some_hyper(seed=1), some_hyper(seed=2)
    difference = torch.as_tensor(log_priors(one) - log_priors(two))
    lengthscale = torch.distributions.LogNormal(math.sqrt(2) + 0.5 * math.log(3), math.sqrt(3))
    noise = torch.distributions.LogNormal(fitting.NOISE_LOC, fitting.NOISE_SCALE)
    mean = torch.distributions.Normal(0.0, 1.0)

    def log_density(hyper: Hyperparameters) -> Tensor:
        return (
            lengthscale.log_prob(hyper.log_lengthscale.exp()).sum(-1)
            + noise.log_prob(hyper.log_noise.exp())
            + mean.log_prob(hyper.mean)
        )

    torch.testing.assert_close(difference, log_density(one) - log_density(two))


def log_posterior(data: Data, hyper: Hyperparameters) -> float:
    return float((log_likelihoods(data, hyper) + log_priors(hyper)).sum())


@pytest.mark.parametrize("max_iterations", [1, 3, 50])
@pytest.mark.parametrize("seed", range(5))
def test_a_fit_never_ends_below_its_start(seed: int, max_iterations: int) -> None:
    data, start = example(seed=seed), some_hyper(seed=seed + 10)
    fitted = fitting.fit(data, start, max_iterations)
    assert log_posterior(data, fitted) >= log_posterior(data, start) - 1e-9
    cold = fitting.fit(data, None, max_iterations)
    default = fitting.default_hyperparameters(data)
    assert log_posterior(data, cold) >= log_posterior(data, default) - 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_without_a_prior_the_likelihood_is_at_least_as_large_as_with_it(seed: int) -> None:
    data = example(seed=seed)

    def likelihood(hyper: Hyperparameters) -> float:
        return float(log_likelihoods(data, hyper).sum())

    with_prior = fitting.fit(data, None, 200)
    # From there uphill: a fit from the default may end at another local maximum.
    without = fitting.fit(data, with_prior, 200, has_prior=False)
    assert likelihood(without) > likelihood(with_prior) + 1e-3
    default = fitting.default_hyperparameters(data)
    assert likelihood(fitting.fit(data, None, 200, has_prior=False)) > likelihood(default)
    # The prior pulls the other way.
    assert log_posterior(data, with_prior) > log_posterior(data, without)


def test_each_output_learns_its_own_lengthscales() -> None:
    # A published implementation gave one kernel to all outputs by mistake.
    rng = np.random.default_rng(0)
    X = rng.random((60, 3))
    outputs = np.stack([np.sin(6 * X[:, 0]), np.cos(6 * X[:, 1])], axis=1)
    data = surrogate.make_data(X, outputs, np.arange(3), 3, CPU)
    lengthscale = fitting.fit(data).log_lengthscale.exp()
    assert lengthscale[0, 0] < lengthscale[0, 1] / 3 and lengthscale[0, 0] < lengthscale[0, 2] / 3
    assert lengthscale[1, 1] < lengthscale[1, 0] / 3 and lengthscale[1, 1] < lengthscale[1, 2] / 3
    low, high = fitting.LENGTHSCALE_BOUNDS
    is_at_bound = (lengthscale < 1.01 * low) | (lengthscale > 0.99 * high)
    assert not is_at_bound.all()
    assert not is_at_bound[[0, 1], [0, 1]].any()


def test_the_fitted_noise_tells_a_noisy_output_from_a_smooth_one() -> None:
    rng = np.random.default_rng(3)
    X = rng.random((80, 2))
    smooth = np.sin(3 * X[:, 0])
    outputs = np.stack([smooth, smooth + 0.5 * rng.standard_normal(80)], axis=1)
    data = surrogate.make_data(X, outputs, np.arange(2), 2, CPU)
    noise = fitting.fit(data).log_noise.exp()
    # Of a total variance of about 0.33 the noise is 0.25: three quarters; 0 in the smooth one.
    assert float(noise[0]) < 1e-3
    assert 0.3 < float(noise[1]) < 1.5


def _degenerate() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    X = rng.random((20, 3))
    noise = rng.standard_normal((20, 2))
    return {
        "one row": (X[:1], noise[:1]),
        "no row": (X[:0], noise[:0]),
        "constants": (X, np.full((20, 2), 7.0)),
        "duplicates": (np.repeat(X[:2], 10, axis=0), noise),
        "one point many times": (np.repeat(X[:1], 20, axis=0), np.ones((20, 2))),
        "huge scale": (X, 1e150 * noise),
        "tiny scale": (X, 1e-150 * noise),
        "far from zero": (X, 1e12 + noise),
        "nothing observed": (X, np.full((20, 2), np.nan)),
        "one observed": (X, np.where(np.arange(20)[:, None] == 3, noise, np.nan)),
        "one outlier": (X, np.where(np.arange(20)[:, None] == 3, 1e9, noise)),
    }


@pytest.mark.parametrize("name", list(_degenerate()))
def test_degenerate_data_never_raise_and_predict_finite_values(name: str) -> None:
    X, outputs = _degenerate()[name]
    data = surrogate.make_data(X, outputs, np.arange(3), 3, CPU)
    posterior = surrogate.condition(data, fitting.fit(data))
    features = torch.as_tensor(np.random.default_rng(1).random((30, 3)))
    for predicted in posterior.mean_and_sd(features):
        assert predicted.shape == (2, 30)
        assert torch.isfinite(predicted).all()
    assert (posterior.mean_and_sd(features)[1] > 0).all()


def test_a_matrix_of_nan_is_refused_and_a_singular_one_factorised() -> None:
    with pytest.raises(torch.linalg.LinAlgError, match="2 rows is not positive definite"):
        surrogate.factorise(torch.full((1, 2, 2), math.nan, dtype=torch.float64))
    ones = torch.ones((1, 4, 4), dtype=torch.float64)
    factor = surrogate.factorise(ones)
    torch.testing.assert_close(factor @ factor.mT, ones, atol=1e-3, rtol=0)
