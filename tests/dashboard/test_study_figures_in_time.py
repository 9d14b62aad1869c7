"""When the figures of a study are drawn, and that no page waits long for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from optuna_snn.dashboard import study_figures
from optuna_snn.dashboard.looks import Look
from optuna_snn.dashboard.study_figures import StudyFigures, reading_of
from optuna_snn.visualization.reading import Reading
from tests.visualization.studies import spiking_study


def look_at(n_trials: int) -> Look:
    trials = spiking_study().trials[:n_trials]
    return Look(trials, trials, ["complete"] * n_trials, [None] * n_trials, (), frozenset())


class Pencil:
    """Stands for the drawing of figures: it says of how many trials, when it is told to go on."""

    def __init__(self) -> None:
        self.goes = threading.Event()
        self.goes.set()
        self.n_drawn = 0

    def __call__(self, reading: Reading) -> dict[str, str]:
        assert self.goes.wait(60)
        self.n_drawn += 1
        return {"figure": str(len(reading.trials))}


@pytest.fixture
def pencil(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pencil]:
    found = Pencil()
    monkeypatch.setattr(study_figures, "figures_of", found)
    yield found
    found.goes.set()


def read(look: Look) -> Reading:
    return reading_of(look, "toy", ("maximize",), "accuracy")


def test_figures_are_drawn_once_until_a_trial_ends(pencil: Pencil) -> None:
    figures = StudyFigures(wait_s=60.0, rest=0.0)
    assert [figures.of(1, look_at(5), read) for _ in range(3)] == [{"figure": "5"}] * 3
    assert pencil.n_drawn == 1
    assert figures.of(1, look_at(6), read) == {"figure": "6"}
    assert figures.of(2, look_at(5), read) == {"figure": "5"}
    assert pencil.n_drawn == 3


def test_a_page_does_not_wait_for_a_long_drawing(pencil: Pencil) -> None:
    figures = StudyFigures(wait_s=0.01, rest=0.0)
    pencil.goes.clear()
    assert figures.of(1, look_at(5), read) == {}
    pencil.goes.set()
    wait_until_drawn(figures)
    assert figures.of(1, look_at(5), read) == {"figure": "5"}
    pencil.goes.clear()
    assert figures.of(1, look_at(6), read) == {"figure": "5"}  # those of before, meanwhile
    assert figures.of(1, look_at(7), read) == {"figure": "5"}
    pencil.goes.set()
    wait_until_drawn(figures)
    assert pencil.n_drawn == 2


def wait_until_drawn(figures: StudyFigures, study_id: int = 1) -> None:
    assert figures._drawings[study_id].is_ready.wait(60)


def test_after_a_drawing_there_is_a_rest(pencil: Pencil) -> None:
    figures = StudyFigures(wait_s=60.0, rest=1e12)
    assert figures.of(1, look_at(5), read) == {"figure": "5"}
    assert figures.of(1, look_at(6), read) == {"figure": "5"}
    figures._drawings[1].rests_until = 0.0
    assert figures.of(1, look_at(6), read) == {"figure": "6"}


def test_a_study_in_place_of_another_one_has_its_own_figures(pencil: Pencil) -> None:
    figures = StudyFigures(wait_s=60.0, rest=1e12)
    assert figures.of(1, look_at(9), read) == {"figure": "9"}
    assert figures.of(1, look_at(2), read) == {"figure": "2"}


def test_a_drawing_that_fails_costs_a_line_and_not_the_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(reading: Reading) -> dict[str, str]:
        raise ArithmeticError("on purpose")

    figures = StudyFigures(wait_s=60.0, rest=0.0)
    monkeypatch.setattr(study_figures, "figures_of", lambda reading: {"figure": "good"})
    assert figures.of(1, look_at(1), read) == {"figure": "good"}
    monkeypatch.setattr(study_figures, "figures_of", fail)
    assert figures.of(1, look_at(2), read) == {"figure": "good"}
    assert "The figures of study 'toy' could not be drawn" in caplog.text


def test_a_storage_that_cannot_be_read_is_tried_again(pencil: Pencil) -> None:
    def fail(look: Look) -> Reading:
        raise ConnectionError("on purpose")

    figures = StudyFigures(wait_s=60.0, rest=0.0)
    with pytest.raises(ConnectionError):
        figures.of(1, look_at(5), fail)
    assert figures.of(1, look_at(5), read) == {"figure": "5"}
