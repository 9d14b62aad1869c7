import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optuna_snn.scbo.trust_region import MIN_FAILURE_TOLERANCE, Settings, TrustRegion
from tests.helpers import repeatable

SETTINGS = Settings()


def after_failures(
    n: int, region: TrustRegion, tolerated: int = 5, n_workers: int = 1
) -> TrustRegion:
    for _ in range(n):
        region = region.after_failure(SETTINGS, tolerated, n_workers)
    return region


def after_successes(n: int, region: TrustRegion) -> TrustRegion:
    for _ in range(n):
        region = region.after_success(SETTINGS)
    return region


def test_region_halves_after_the_last_tolerated_failure() -> None:
    before = after_failures(4, TrustRegion(0.8))
    assert before == TrustRegion(0.8, n_failures=4)
    assert after_failures(1, before) == TrustRegion(0.4, generation=1)


def test_region_doubles_after_the_last_needed_success_and_counters_begin_anew() -> None:
    before = after_successes(2, TrustRegion(0.2))
    assert before == TrustRegion(0.2, n_successes=2)
    assert after_successes(1, before) == TrustRegion(0.4, generation=1)


def test_region_never_grows_beyond_its_largest_length() -> None:
    assert after_successes(3, TrustRegion(1.6)).length == 1.6
    assert after_successes(3, TrustRegion(1.0)).length == 1.6


def test_a_success_clears_the_failures_and_a_failure_of_one_worker_the_successes() -> None:
    assert after_successes(1, after_failures(3, TrustRegion(0.8))) == TrustRegion(
        0.8, n_successes=1
    )
    assert after_failures(1, after_successes(2, TrustRegion(0.8))) == TrustRegion(
        0.8, n_failures=1
    )


def test_a_streak_of_successes_survives_fewer_failures_than_workers() -> None:
    region = after_successes(2, TrustRegion(0.8))
    assert after_failures(3, region, tolerated=8, n_workers=4).n_successes == 2
    assert after_failures(4, region, tolerated=8, n_workers=4).n_successes == 0


def test_an_older_improvement_only_forgives_failures() -> None:
    region = TrustRegion(0.4, epoch=1, generation=3, n_successes=2, n_failures=3)
    assert region.forgiven() == TrustRegion(0.4, epoch=1, generation=3, n_successes=2)


def test_restart_below_the_smallest_length_begins_an_epoch_at_the_initial_length() -> None:
    # 0.8 / 2^6 = 0.0125 is above 2^-7 = 0.0078 and 0.8 / 2^7 = 0.00625 is below it.
    region = TrustRegion(0.8)
    lengths = []
    while region.epoch == 0:
        lengths.append(region.length)
        region = after_failures(5, region)
    assert lengths == [0.8 / 2**k for k in range(7)]
    assert region == TrustRegion(0.8, epoch=1, generation=7)


def test_a_length_equal_to_the_smallest_is_still_allowed() -> None:
    settings = Settings(length_init=0.5, length_min=0.125)
    region = TrustRegion(0.25).after_failure(settings, 1, 1)
    assert region.length == 0.125 and region.epoch == 0
    assert region.after_failure(settings, 1, 1).epoch == 1


@pytest.mark.parametrize("n_dims", [1, 4, 9, 10, 11, 33])
@pytest.mark.parametrize("n_workers", [1, 2, 3, 4, 16])
def test_tolerated_failures_are_whole_batches_of_at_least_the_dimension(
    n_dims: int, n_workers: int
) -> None:
    # TuRBO counts ceil(max(4 / q, d / q)) batches of q evaluations; we have more than 4.
    batches = math.ceil(max(MIN_FAILURE_TOLERANCE / n_workers, n_dims / n_workers))
    assert SETTINGS.tolerated_failures(n_dims, n_workers) == batches * n_workers


def test_a_given_failure_tolerance_holds_for_any_dimension_and_number_of_workers() -> None:
    assert Settings(failure_tolerance=7).tolerated_failures(100, 16) == 7


@repeatable
@given(st.lists(st.sampled_from(["success", "failure", "forgiven"]), max_size=200))
def test_lengths_stay_in_range_and_each_change_of_length_is_a_new_generation(
    events: list[str],
) -> None:
    region = TrustRegion(SETTINGS.length_init)
    for event in events:
        before = region
        if event == "success":
            region = region.after_success(SETTINGS)
        elif event == "failure":
            region = region.after_failure(SETTINGS, 4, 1)
        else:
            region = region.forgiven()
        assert SETTINGS.length_min <= region.length <= SETTINGS.length_max
        assert region.n_successes < SETTINGS.success_tolerance and region.n_failures < 4
        if region.generation == before.generation:
            assert (region.length, region.epoch) == (before.length, before.epoch)
        else:
            assert region.generation == before.generation + 1
            assert region.n_failures == region.n_successes == 0


BAD_LENGTHS = [
    {"length_min": 0.0},
    {"length_min": -0.1},
    {"length_init": 0.001},
    {"length_init": 2.0},
    {"length_max": math.inf},
    {"length_init": math.nan},
    {"length_max": 0.5},
]


@pytest.mark.parametrize("bad", BAD_LENGTHS, ids=str)
def test_lengths_out_of_order_are_refused_by_name_and_value(bad: dict[str, float]) -> None:
    (name, value), *_ = bad.items()
    with pytest.raises(ValueError, match=rf"length_min <= length_init.*{name}={value}"):
        Settings(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["length_init", "length_min", "length_max"])
@pytest.mark.parametrize("value", ["0.5", None, True])
def test_lengths_that_are_no_numbers_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number, got {value!r}"):
        Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["success_tolerance", "failure_tolerance"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3"])
def test_tolerances_below_one_or_not_whole_are_refused(name: str, value: object) -> None:
    with pytest.raises(
        ValueError, match=f"{name} must be an integer of at least 1, got {value!r}"
    ):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_a_region_is_failing_after_two_fifths_of_its_tolerated_failures() -> None:
    for tolerated, first in ((10, 4), (15, 6), (2, 1), (1, 1)):
        failing = [n for n in range(30) if TrustRegion(0.8, n_failures=n).is_failing(tolerated)]
        assert failing == list(range(first, 30))
