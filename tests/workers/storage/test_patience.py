"""Calls are repeated while their errors pass, for so long, once per thread, and said once."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from optuna_snn.workers.storage import patience as module
from optuna_snn.workers.storage.database_errors import StorageError, StorageLostError
from optuna_snn.workers.storage.patience import SHORTEST_OUTAGE_S, Patience, repeat_calls


class Away(Exception):
    """Passes."""


class Forbidden(Exception):
    """Does not pass, but a user can put it right."""


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def patient(seconds: float = 300.0, before_repeat: Callable[[], None] = lambda: None) -> Patience:
    return Patience(
        seconds,
        name="the storage x",
        is_transient=lambda error: isinstance(error, Away),
        describe=str,
        refusal=lambda error: f"no: {error}" if isinstance(error, Forbidden) else None,
        before_repeat=before_repeat,
    )


def failing(n: int, error: type[Exception] = Away) -> Callable[[], str]:
    """A call that fails n times, then answers."""
    count = itertools.count()

    def attempt() -> str:
        if next(count) < n:
            raise error("gone")
        return "answer"

    return attempt


@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_call_is_repeated_until_it_answers(clock: Clock, n: int) -> None:
    resets: list[int] = []
    patience = patient(before_repeat=lambda: resets.append(1))
    assert patience.call(failing(n)) == "answer"
    assert len(clock.pauses) == len(resets) == n


def test_pauses_grow_to_their_limit_with_jitter(clock: Clock) -> None:
    patient().call(failing(60))
    limits = [min(module.FIRST_PAUSE_S * 2**i, module.LONGEST_PAUSE_S) for i in range(60)]
    assert all(limit / 2 <= p <= limit for p, limit in zip(clock.pauses, limits, strict=True))
    assert len({round(pause, 6) for pause in clock.pauses[10:]}) > 40


def test_threads_beside_the_main_one_pause_shorter(clock: Clock) -> None:
    thread = threading.Thread(target=lambda: patient().call(failing(40)))
    thread.start()
    thread.join()
    assert len(clock.pauses) == 40
    assert max(clock.pauses) <= module.LONGEST_SIDE_PAUSE_S


def test_a_call_is_given_up_after_the_time_with_one_line(clock: Clock) -> None:
    with pytest.raises(StorageLostError, match=r"x has not answered for 300 s \(gone\)") as caught:
        patient(300.0).call(failing(10**9))
    assert clock.now == pytest.approx(1300.0)
    assert "\n" not in str(caught.value)
    assert "is kept" in str(caught.value)
    assert isinstance(caught.value.__cause__, Away)


def test_without_patience_a_call_is_tried_once(clock: Clock) -> None:
    with pytest.raises(StorageLostError):
        patient(0.0).call(failing(1))
    assert clock.pauses == []


def test_after_a_call_gave_up_the_next_ones_are_tried_once_until_one_answers(
    clock: Clock,
) -> None:
    patience = patient(10.0)
    with pytest.raises(StorageLostError):
        patience.call(failing(10**9))
    clock.pauses.clear()
    with pytest.raises(StorageLostError):
        patience.call(failing(1))
    assert clock.pauses == []
    assert patience.call(failing(0)) == "answer"
    assert patience.call(failing(2)) == "answer"


def test_a_short_call_that_gives_up_leaves_the_others_their_patience(clock: Clock) -> None:
    patience = patient(100.0)
    with pytest.raises(StorageLostError):
        patience.call(failing(10**9), seconds=5.0)
    assert patience.call(failing(5)) == "answer"


def test_who_is_in_a_hurry_waits_no_longer(clock: Clock) -> None:
    patience = patient(300.0)
    patience.hurry(7.0)
    with pytest.raises(StorageLostError, match="for 7 s"):
        patience.call(failing(10**9))
    assert clock.now == pytest.approx(1007.0)


@pytest.mark.parametrize(("error", "raised"), [(Forbidden, StorageError), (KeyError, KeyError)])
def test_an_error_that_does_not_pass_is_raised_at_once(
    clock: Clock, error: type[Exception], raised: type[Exception]
) -> None:
    with pytest.raises(raised, match="gone"):
        patient().call(failing(1, error))
    assert clock.pauses == []


def test_only_the_outermost_call_is_repeated(clock: Clock) -> None:
    @repeat_calls("outer", "inner")
    class Storage:
        patience = patient()
        n_outer = n_inner = 0

        def outer(self) -> int:
            self.n_outer += 1
            return self.inner()

        def inner(self) -> int:
            self.n_inner += 1
            if self.n_inner < 4:
                raise Away
            return self.n_inner

    storage = Storage()
    assert (storage.outer(), storage.n_outer) == (4, 4)


def test_a_call_knows_whether_it_is_repeated(clock: Clock) -> None:
    patience, seen = patient(), list[bool]()

    def attempt() -> None:
        seen.append(patience.is_repeating)
        if len(seen) < 3:
            raise Away

    patience.call(attempt)
    patience.call(lambda: seen.append(patience.is_repeating))
    assert seen == [False, True, True, False]


def test_a_call_that_is_interrupted_leaves_the_next_one_its_patience(clock: Clock) -> None:
    patience = patient()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        patience.call(interrupted)
    assert patience.call(failing(1)) == "answer"


def test_an_outage_is_said_once_when_it_begins_and_once_when_it_ends(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    patience = patient(300.0)
    with caplog.at_level(logging.INFO):
        patience.call(failing(20))
        patience.call(failing(0))
    first, last = caplog.records
    assert (first.levelname, last.levelname) == ("WARNING", "INFO")
    assert first.getMessage() == "the storage x does not answer (gone); tried again for 300 s"
    assert last.getMessage().startswith("the storage x answers again after ")


def test_an_error_that_does_not_pass_is_an_answer_too(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    errors = iter([Away(), KeyError()])

    def attempt() -> None:
        raise next(errors)

    patience = patient()
    with caplog.at_level(logging.INFO), pytest.raises(KeyError):
        patience.call(attempt)
    assert "answers again" in caplog.text


def test_an_outage_is_remembered_for_as_long_as_asked(clock: Clock) -> None:
    patience = patient()
    assert not patience.was_away_within(10.0)
    patience.call(failing(1))
    assert not patience.was_away_within(10.0)  # a moment: no outage
    patience.call(failing(10))
    clock.now += 9.0
    assert patience.was_away_within(10.0)
    clock.now += 2.0
    assert not patience.was_away_within(10.0)


def test_an_outage_that_lasts_is_one(clock: Clock) -> None:
    patience, seen = patient(), list[bool]()

    def attempt() -> None:
        seen.append(patience.was_away_within(10.0))
        if len(seen) < 8:
            raise Away

    patience.call(attempt)
    assert seen[0] is False
    assert seen[-1] is True


def test_threads_share_what_is_known_of_an_outage() -> None:
    """In real time: one thread's failures are the outage that the other reads."""
    patience, is_away = patient(20.0), threading.Event()
    is_away.set()

    def attempt() -> None:
        if is_away.is_set():
            raise Away

    thread = threading.Thread(target=lambda: patience.call(attempt))
    thread.start()
    deadline = time.monotonic() + 20.0
    while not patience.was_away_within(1.0) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert patience.was_away_within(1.0)
    is_away.clear()
    thread.join()
    assert patience.call(lambda: "answer") == "answer"


def test_the_time_that_the_main_thread_waits_is_counted_and_no_short_call(clock: Clock) -> None:
    patience = patient()
    during: list[float] = []

    def slow() -> None:
        clock.now += 8.0
        during.append(patience.waited_s())

    def interrupted() -> None:
        clock.now += 2.0
        raise KeyboardInterrupt

    patience.call(slow)
    assert (during, patience.waited_s()) == ([8.0], 8.0)
    with pytest.raises(KeyboardInterrupt):
        patience.call(interrupted)
    assert patience.waited_s() == 10.0
    patience.call(lambda: clock.sleep(SHORTEST_OUTAGE_S / 2))
    thread = threading.Thread(target=lambda: patience.call(lambda: clock.sleep(60.0)))
    thread.start()
    thread.join()
    clock.now += 100.0
    assert patience.waited_s() == 10.0


def test_a_wrapped_method_keeps_its_name_and_words() -> None:
    @repeat_calls("look")
    class Storage:
        patience = patient()

        def look(self, *, key: str) -> Any:
            """Looks."""
            return key

    assert Storage.look.__name__ == "look"
    assert Storage.look.__doc__ == "Looks."
    assert Storage().look(key="k") == "k"
