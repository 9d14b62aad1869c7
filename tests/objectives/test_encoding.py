import numpy as np
import pytest

from optuna_snn.objectives.encoding import poisson_spikes, regular_spikes


def test_every_input_fires_at_its_rate_in_every_step() -> None:
    rates_hz = np.array([[0.0, 5.0, 128.0], [400.0, 1000.0, 0.0]])
    n_steps, dt_ms = 40_000, 0.5
    spikes = poisson_spikes(rates_hz, n_steps=n_steps, dt_ms=dt_ms, rng=np.random.default_rng(0))
    p = rates_hz * dt_ms / 1000
    # Each share is a mean of n_steps Bernoulli draws: 4.5 standard deviations, for six of them.
    tolerance = 4.5 * np.sqrt(p * (1 - p) / n_steps)
    assert np.all(np.abs(spikes.mean(axis=0) - p) <= tolerance)
    halves = spikes.reshape(2, n_steps // 2, *rates_hz.shape).mean(axis=1)
    assert np.all(np.abs(halves - p) <= np.sqrt(2) * tolerance)


def test_steps_and_inputs_are_independent() -> None:
    """For independent draws of p = 0.5 every covariance is 0 with standard deviation 1/(4 √n)."""
    n_steps = 20_000
    spikes = poisson_spikes(
        np.full((2, 2), 500.0), n_steps=n_steps, rng=np.random.default_rng(1)
    ).reshape(n_steps, 4)
    centred = spikes - 0.5
    between_inputs = centred.T @ centred / n_steps
    between_steps = centred[1:].T @ centred[:-1] / n_steps
    tolerance = 4.5 / (4 * np.sqrt(n_steps))
    assert np.all(np.abs(between_inputs - 0.25 * np.eye(4)) <= tolerance)
    assert np.all(np.abs(between_steps) <= tolerance)


def test_shape_is_steps_samples_inputs_and_a_rate_stays_with_its_input() -> None:
    rates_hz = np.zeros((3, 5), dtype=np.float32)
    rates_hz[1, 4] = 1000.0  # one spike in each step
    spikes = poisson_spikes(rates_hz, n_steps=7, rng=np.random.default_rng(0))
    assert spikes.shape == (7, 3, 5)
    assert spikes.dtype == np.bool_
    assert spikes[:, 1, 4].all()
    assert spikes.sum() == 7


def test_the_same_generator_state_gives_the_same_spikes() -> None:
    rates_hz = np.full((4, 9), 100.0)
    first, again, other = (
        poisson_spikes(rates_hz, n_steps=50, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_black_images_give_no_spike() -> None:
    spikes = poisson_spikes(np.zeros((2, 6)), n_steps=100, rng=np.random.default_rng(0))
    assert not spikes.any()


@pytest.mark.parametrize("rate_hz", [-1.0, 1001.0, np.nan, np.inf])
def test_a_rate_that_is_no_probability_per_step_is_refused(rate_hz: float) -> None:
    with pytest.raises(ValueError, match=r"0 <= rate_hz <= 1000"):
        poisson_spikes(np.array([[1.0, rate_hz]]), n_steps=5, rng=np.random.default_rng(0))


def test_wrong_shape_steps_and_step_length_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"\(n_samples, n_inputs\)"):
        poisson_spikes(np.zeros(4), n_steps=5, rng=rng)
    with pytest.raises(ValueError, match="n_steps >= 1, got 0"):
        poisson_spikes(np.zeros((1, 4)), n_steps=0, rng=rng)
    with pytest.raises(ValueError, match="dt_ms > 0, got 0"):
        poisson_spikes(np.zeros((1, 4)), n_steps=5, dt_ms=0, rng=rng)


def test_a_regular_train_is_evenly_spaced_and_begins_after_half_an_interval() -> None:
    """Spikes per step: 0, 1/4, 2/5 (first after 1.25 steps, then each 2.5) and 1."""
    rates_hz = np.array([[0.0, 250.0], [400.0, 1000.0]])
    spikes = regular_spikes(rates_hz, n_steps=10)
    assert spikes.shape == (10, 2, 2) and spikes.dtype == np.bool_
    assert np.flatnonzero(spikes[:, 0, 1]).tolist() == [1, 5, 9]
    assert np.flatnonzero(spikes[:, 1, 0]).tolist() == [1, 3, 6, 8]
    assert not spikes[:, 0, 0].any() and spikes[:, 1, 1].all()


def test_a_regular_train_has_as_many_spikes_as_its_rate_says() -> None:
    rates_hz = np.random.default_rng(0).uniform(0, 500, size=(20, 30))
    n_spikes = regular_spikes(rates_hz, n_steps=37, dt_ms=2.0).sum(axis=0)
    assert np.all(np.abs(n_spikes - rates_hz * 0.002 * 37) <= 0.5)


@pytest.mark.parametrize(
    ("rates_hz", "n_steps", "dt_ms", "message"),
    [
        (np.zeros(3), 5, 1.0, "must be .n_samples, n_inputs., got shape"),
        (np.full((1, 1), 600.0), 5, 2.0, "Need 0 <= rate_hz <= 500"),
        (np.zeros((1, 1)), 0, 1.0, "n_steps >= 1"),
        (np.zeros((1, 1)), 5, 0.0, "dt_ms > 0"),
    ],
)
def test_regular_trains_have_the_bounds_of_poisson_trains(
    rates_hz: np.ndarray, n_steps: int, dt_ms: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        regular_spikes(rates_hz, n_steps=n_steps, dt_ms=dt_ms)
