"""Pathwise draws against the exact posterior, worked out here by dense algebra."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.paths import Path, PointPath, draw_path
from optuna_snn.scbo.surrogate import Hyperparameters, Posterior

CPU = torch.device("cpu")
FEATURE_DIMS = np.array([0, 1, 1])
TEST_POINTS = np.random.default_rng(5).uniform(0, 1, (6, 3))
N_PATHS = 1500


def posterior(n: int = 12, seed: int = 0) -> Posterior:
    """Two outputs of different lengthscales, noise and missing rows, around a threshold at 0."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, 3))
    outputs = np.stack([3 + np.sin(5 * X[:, 0]), 20 * (X[:, 1] - 0.5)], axis=1)
    outputs[rng.random(outputs.shape) < 0.2] = np.nan
    errors = np.stack([rng.uniform(0.0, 0.5, n), np.zeros(n)], axis=1)
    data = surrogate.make_data(X, outputs, FEATURE_DIMS, 2, CPU, error_sd=errors)
    packed = np.array(
        [
            [math.log(0.3), math.log(1.0), math.log(0.05), 0.3],
            [math.log(2.0), math.log(0.15), -4.0, 0.0],
        ]
    )
    return surrogate.condition(data, Hyperparameters.unpack(packed, CPU))


def exact(post: Posterior, b: int, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (r,) and covariance (r, r) of one output: Rasmussen and Williams 2006, eq. 2.23."""
    rows = post.data.M[b].numpy() > 0
    lengthscale = np.exp(post.hyper.log_lengthscale[b].numpy())[FEATURE_DIMS]
    noise = math.exp(float(post.hyper.log_noise[b])) + post.data.E[b].numpy()[rows]
    X, y = post.data.X.numpy()[rows] / lengthscale, post.data.Y[b].numpy()[rows]
    Z, level = features / lengthscale, float(post.hyper.mean[b])

    def kernel(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        r = np.sqrt(5) * cdist(A, B)
        return (1 + r + r**2 / 3) * np.exp(-r)

    inverse = np.linalg.inv(kernel(X, X) + np.diag(noise))
    mean = level + kernel(Z, X) @ inverse @ (y - level)
    covariance = kernel(Z, Z) - kernel(Z, X) @ inverse @ kernel(X, Z)
    offset, scale = float(post.data.offset[b]), float(post.data.scale[b])
    return offset + scale * mean, scale**2 * covariance


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    """Values of N_PATHS independent paths of two draws: (2 outputs, 2 draws, N_PATHS, r)."""
    post, features = posterior(), torch.as_tensor(TEST_POINTS)
    rng = np.random.default_rng(7)
    drawn = [draw_path(post, rng, n_draws=2, n_fourier=256)(features) for _ in range(N_PATHS)]
    return torch.stack(drawn, dim=2).numpy()


# Fresh random frequencies in each path make mean and covariance of the draws exact on average, so
# that only the Monte Carlo error is left. Tolerances are five standard errors.


@pytest.mark.parametrize("draw", [0, 1])
@pytest.mark.parametrize("b", [0, 1])
def test_draws_have_the_mean_of_the_exact_posterior(
    samples: np.ndarray, b: int, draw: int
) -> None:
    mean, covariance = exact(posterior(), b, TEST_POINTS)
    error = 5 * np.sqrt(np.diag(covariance) / N_PATHS)
    assert (np.abs(samples[b, draw].mean(axis=0) - mean) < error).all()


@pytest.mark.parametrize("draw", [0, 1])
@pytest.mark.parametrize("b", [0, 1])
def test_draws_have_the_covariance_of_the_exact_joint_posterior(
    samples: np.ndarray, b: int, draw: int
) -> None:
    _, covariance = exact(posterior(), b, TEST_POINTS)
    variance = np.diag(covariance)
    # var of a sample covariance: (s_ii s_jj + s_ij^2) / N for a Gaussian. With F random waves the
    # prior's own covariance varies from path to path, by about 1 / sqrt(F) = 6 %: 1.2 covers it.
    error = 1.2 * 5 * np.sqrt((np.outer(variance, variance) + covariance**2) / N_PATHS)
    scale = float(posterior().data.scale[b]) ** 2
    found = np.cov(samples[b, draw], rowvar=False)
    assert (np.abs(found - covariance) < error + 1e-3 * scale).all()


def test_draws_are_feasible_as_often_as_the_exact_posterior(samples: np.ndarray) -> None:
    mean, covariance = exact(posterior(), 1, TEST_POINTS)
    expected = ndtr(-mean / np.sqrt(np.diag(covariance)))
    assert ((expected > 0.05) & (expected < 0.95)).sum() >= 3  # the test says something
    found = (samples[1] <= 0).mean(axis=(0, 1))
    # Both draws: at most 0.5 / sqrt(2 N) for each standard error, and 1 % for the waves' number.
    assert found == pytest.approx(expected, abs=5 * 0.5 / math.sqrt(2 * N_PATHS) + 0.01)


def test_outputs_and_draws_are_uncorrelated(samples: np.ndarray) -> None:
    for one, other in [(samples[0, 0], samples[1, 0]), (samples[0, 0], samples[0, 1])]:
        for k in range(len(TEST_POINTS)):
            # The standard error of a zero correlation is 1 / sqrt(N).
            assert abs(np.corrcoef(one[:, k], other[:, k])[0, 1]) < 5 / math.sqrt(N_PATHS)


def test_the_default_number_of_waves_gives_the_kernel_of_the_prior() -> None:
    nothing = surrogate.make_data(np.empty((0, 3)), np.empty((0, 1)), FEATURE_DIMS, 2, CPU)
    hyper = Hyperparameters.unpack(np.array([[math.log(0.4), math.log(1.5), -7.0, 0.0]]), CPU)
    path = draw_path(surrogate.condition(nothing, hyper), np.random.default_rng(0), n_draws=4000)
    values = path(torch.as_tensor(TEST_POINTS))[0].numpy()
    scaled = TEST_POINTS / np.array([0.4, 1.5, 1.5])
    r = np.sqrt(5) * cdist(scaled, scaled)
    kernel = (1 + r + r**2 / 3) * np.exp(-r)
    # One set of waves: five times 1 / sqrt(1024) for them, 2 / sqrt(4000) for the draws.
    assert np.cov(values, rowvar=False) == pytest.approx(kernel, abs=0.2)


def example_path(n_draws: int = 2) -> Path:
    return draw_path(posterior(), np.random.default_rng(11), n_draws)


def test_gradients_are_finite_differences() -> None:
    path, h = example_path(), 1e-6
    at_point, scale = PointPath(path, [0, 1]), path.scale[:, None]
    for point in [*TEST_POINTS[:3], posterior().data.X[0].numpy() + 1e-3]:
        value, gradient = at_point.values(point), at_point.gradients(point)
        expected = path(torch.as_tensor(point[None]))[..., 0] / scale
        # Waves in single precision.
        torch.testing.assert_close(torch.as_tensor(value), expected, rtol=0, atol=1e-5)
        for k in range(3):
            step = h * np.eye(3)[k]
            ends = torch.as_tensor(np.stack([point + step, point - step]))
            slope = (path(ends)[..., 0] - path(ends)[..., 1]) / (2 * h)
            # Rounding of values up to 20 over h: 20 * 1e-16 / 1e-6 = 2e-9; truncation ~ h.
            found = torch.as_tensor(gradient[..., k])
            torch.testing.assert_close(found, slope / scale, rtol=1e-4, atol=1e-4)


def test_a_point_path_of_some_outputs_is_that_part_of_all() -> None:
    path, point = example_path(), TEST_POINTS[0]
    every, second = PointPath(path, [0, 1]), PointPath(path, [1])
    assert second.values(point) == pytest.approx(every.values(point)[1:], abs=1e-6)
    assert second.gradients(point) == pytest.approx(every.gradients(point)[1:], abs=1e-6)


def test_one_output_of_many_points_is_that_row_of_all() -> None:
    path = example_path()
    features = torch.as_tensor(np.random.default_rng(0).random((600, 3)))  # several chunks
    for b in range(2):
        torch.testing.assert_close(path.output(b, features), path(features)[b])
    assert path.output(0, features[:0]).shape == (2, 0)


def test_the_gradient_is_finite_at_a_training_point() -> None:
    at_point, row = PointPath(example_path(), [0, 1]), posterior().data.X[0].numpy()
    assert np.isfinite(at_point.values(row)).all() and np.isfinite(at_point.gradients(row)).all()


def test_the_same_seed_gives_the_same_path_and_another_seed_another() -> None:
    features = torch.as_tensor(TEST_POINTS)
    one, same, other = (
        draw_path(posterior(), np.random.default_rng(seed))(features) for seed in (3, 3, 4)
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_drawing_leaves_the_global_random_states_alone() -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    example_path()
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # type: ignore[index]


def test_noise_free_paths_pass_through_the_observations() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((10, 3))
    y = np.sin(4 * X[:, :1])
    data = surrogate.make_data(X, y, np.arange(3), 3, CPU)
    hyper = Hyperparameters.unpack(np.array([[0.0, 0.0, 0.0, math.log(1e-8), 0.0]]), CPU)
    path = draw_path(surrogate.condition(data, hyper), rng, n_draws=5)
    # Noise of standard deviation 1e-4 in units of an output of scale about 0.3.
    assert path(data.X)[0].numpy() == pytest.approx(np.tile(y[:, 0], (5, 1)), abs=1e-3)


def test_a_rounded_copy_is_the_same_path_to_single_precision() -> None:
    path, features = example_path(), torch.as_tensor(TEST_POINTS)
    rounded = path.to(CPU, torch.float32)
    torch.testing.assert_close(
        rounded(features.float()).double(), path(features), rtol=1e-3, atol=1e-2
    )
    assert path.X.dtype == torch.float64


def test_one_draw_of_an_output_stands_for_all_of_it_and_the_others_stay() -> None:
    path = draw_path(posterior(), np.random.default_rng(0), n_draws=3, n_fourier=64)
    features = torch.as_tensor(TEST_POINTS)
    before = path(features)
    one = path.with_one_draw_of(0)
    assert torch.equal(one(features)[0], before[0, :1].expand(3, -1))
    assert torch.equal(one(features)[1:], before[1:])
    assert torch.equal(path(features), before)
