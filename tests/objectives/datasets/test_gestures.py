from pathlib import Path

import numpy as np
import pytest

from optuna_snn.objectives.datasets import DatasetError, Events, split_gestures, write_gestures
from optuna_snn.objectives.datasets.dvs_gesture import DVS_GESTURE
from optuna_snn.objectives.datasets.gestures import writing
from optuna_snn.objectives.datasets.gestures.film import LIGHTINGS, film_gesture
from optuna_snn.objectives.datasets.gestures.motions import MOTIONS, draw_person

CLOCKWISE, COUNTER_CLOCKWISE = (3, 5), (4, 6)
RIGHT_ARM, LEFT_ARM = (3, 4), (5, 6)
SIDE = 16
N_PEOPLE = 25


def film(gesture: int, seed: int, duration_ms: int = 1000) -> Events:
    """A recording of somebody drawn by the seed."""
    rng = np.random.default_rng(seed)
    person = draw_person(rng)
    return film_gesture(gesture, person, LIGHTINGS["led"], duration_ms=duration_ms, rng=rng)


def picture(events: Events) -> np.ndarray:
    """(2 * 16 * 16,) events of each polarity and block summed over time."""
    flat = (events.is_on * SIDE + events.y // 8) * SIDE + events.x // 8
    return np.bincount(flat, minlength=2 * SIDE**2).astype(float)


def turning(events: Events) -> float:
    """How the middle of the events turns about its mean, 50 ms by 50 ms: > 0 is clockwise."""
    step = (events.t_us - events.t_us[0]) // 50_000
    n = np.bincount(step)
    path = np.stack([np.bincount(step, weights=w) / n for w in (events.x, events.y)])[:, :-1]
    x, y = path - path.mean(axis=1, keepdims=True)
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


@pytest.fixture(scope="module")
def turns() -> dict[int, list[Events]]:
    """Recordings of each gesture that turns an arm, each of another person."""
    return {
        gesture: [film(gesture, 1000 * gesture + i) for i in range(N_PEOPLE)]
        for gesture in (*RIGHT_ARM, *LEFT_ARM)
    }


@pytest.mark.parametrize("pair", [RIGHT_ARM, LEFT_ARM])
def test_pictures_summed_over_time_do_not_tell_the_sense_of_turning(
    pair: tuple[int, int], turns: dict[int, list[Events]]
) -> None:
    """Leave-one-out, nearest mean and nearest neighbour.

    50 guesses by chance: 50 % with a standard deviation of 7.1 %.
    """
    pictures = np.stack([picture(each) for gesture in pair for each in turns[gesture]])
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    labels = np.repeat([0, 1], N_PEOPLE)
    means_right = neighbours_right = 0
    for i in range(2 * N_PEOPLE):
        others = np.arange(2 * N_PEOPLE) != i
        means = [pictures[others & (labels == label)].mean(axis=0) for label in (0, 1)]
        nearest_mean = np.argmin([np.sum((pictures[i] - mean) ** 2) for mean in means])
        distances = np.sum((pictures - pictures[i]) ** 2, axis=1)
        nearest = np.argmin(np.where(others, distances, np.inf))
        means_right += nearest_mean == labels[i]
        neighbours_right += labels[nearest] == labels[i]
    assert means_right / (2 * N_PEOPLE) < 0.7
    assert neighbours_right / (2 * N_PEOPLE) < 0.7


def test_motion_tells_the_sense_of_turning(turns: dict[int, list[Events]]) -> None:
    for gestures, sign in ((CLOCKWISE, 1), (COUNTER_CLOCKWISE, -1)):
        for gesture in gestures:
            signs = [np.sign(turning(events)) == sign for events in turns[gesture]]
            assert np.mean(signs) >= 0.95, gesture


def test_the_right_arm_is_on_the_left_of_the_picture(turns: dict[int, list[Events]]) -> None:
    for gestures, is_left in ((RIGHT_ARM, True), (LEFT_ARM, False)):
        for gesture in gestures:
            assert all((np.mean(each.x) < 64) == is_left for each in turns[gesture])


def test_there_is_a_motion_for_each_class() -> None:
    assert len(MOTIONS) == len(DVS_GESTURE.class_names) == 11


@pytest.mark.parametrize("gesture", range(11))
def test_recordings_are_sound_and_mostly_of_the_motion(gesture: int) -> None:
    """Noise alone would send 128 * 128 * 0.1 Hz * 1 s = 1638 events."""
    for seed in range(3):
        events = film(gesture, seed)
        assert events.problem(128) is None
        assert 4 * 1638 < len(events) < 200_000
        assert 900_000 < events.t_us[-1] <= 1_000_000
        assert 0.4 < np.mean(events.is_on) < 0.6


def test_lighting_changes_contrast_and_noise() -> None:
    person = draw_person(np.random.default_rng(0))
    led, natural = (
        film_gesture(0, person, light, duration_ms=500, rng=np.random.default_rng(1))
        for light in (LIGHTINGS["led"], LIGHTINGS["natural"])
    )
    # The corner that no arm reaches sends noise only.
    corners = [np.sum((each.x < 20) & (each.y < 20)) for each in (led, natural)]
    assert corners[1] > 1.5 * corners[0]
    middles = [np.sum(abs(each.y - 64) < 30) for each in (led, natural)]
    assert middles[1] < middles[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_options_write_the_same_files_and_more_people_are_added(tmp_path: Path) -> None:
    options = {"n_test_people": 1, "duration_ms": 100}
    write_gestures(tmp_path / "a", n_train_people=1, seed=3, **options)
    write_gestures(tmp_path / "b", n_train_people=2, seed=3, **options)
    write_gestures(tmp_path / "c", n_train_people=1, seed=4, **options)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert len(a) == 44
    assert len(set(a.values())) == 44
    assert len(b) == 66
    assert a.items() <= b.items()
    assert a.keys() == c.keys()
    assert not set(a.values()) & set(c.values())


def test_each_recording_has_random_numbers_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn = []

    def film_nothing(*arguments: object, rng: np.random.Generator, **options: object) -> Events:
        drawn.append(rng.random())
        return Events(*np.zeros((2, 1), dtype=int), np.zeros(1, bool), np.zeros(1, dtype=int))

    monkeypatch.setattr(writing, "film_gesture", film_nothing)
    write_gestures(tmp_path, n_train_people=3, n_test_people=2)
    assert len(set(drawn)) == len(drawn) == 5 * 22


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path / "cache"))
    return {"n_train_people": 2, "n_validation_people": 1, "n_test_people": 1, "duration_ms": 100}


def test_the_split_has_the_people_asked_for(small: dict[str, int]) -> None:
    split = split_gestures(**small)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [44, 22, 22]
    assert split.train.frame_shape == (2, 32, 32)
    assert np.bincount(split.test.labels).tolist() == [2] * 11
    frames = split.train.frames(range(4), n_steps=5)
    assert frames.shape == (4, 2, 32, 32, 5)
    assert frames.any(axis=(1, 2, 3)).all()


def test_recordings_are_written_once(
    small: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = split_gestures(**small).train.recordings[0].path
    other = split_gestures(**small, seed=1).train.recordings[0].path
    assert first.parts[-5] != other.parts[-5]  # the folder of that cache
    monkeypatch.setattr(writing, "write_gestures", lambda *_, **__: pytest.fail("written again"))
    assert split_gestures(**small, side=16).train.recordings[0].path == first


def test_a_cache_that_cannot_be_written_is_named(
    small: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path / "file" / "folder"))
    with pytest.raises(DatasetError, match="OPTUNA_SNN_CACHE"):
        split_gestures(**small)


@pytest.mark.parametrize(
    "option", ["n_train_people", "n_validation_people", "n_test_people", "duration_ms", "seed"]
)
def test_an_option_out_of_range_is_refused(option: str, small: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=rf"{option} must be an integer >= "):
        split_gestures(**(small | {option: -1}))
