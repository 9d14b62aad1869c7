import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from optuna_snn.objectives.datasets import (
    DatasetError,
    Events,
    split_dvs_gesture,
    write_gestures,
)
from optuna_snn.objectives.datasets.dvs_gesture import read_gesture, write_gesture

EVENTS = np.array([[3, 4, 1, 0], [127, 0, 0, 2], [5, 6, 1, 2]])


@pytest.fixture(scope="session")
def gestures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people to train on, one for the test; 200 ms each."""
    folder = tmp_path_factory.mktemp("gestures")
    write_gestures(folder, n_train_people=3, n_test_people=1, duration_ms=200)
    return folder


@pytest.fixture
def copy(gestures: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(gestures, tmp_path / "copy"))


def first_of(folder: Path, part: str = "ibmGestureTrain") -> Path:
    return sorted((folder / "DVSGesture" / part).glob("*/*.npy"))[0]


def test_columns_are_x_y_polarity_and_milliseconds(tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", EVENTS)
    events = read_gesture(tmp_path / "0.npy")
    assert events.x.tolist() == [3, 127, 5]
    assert events.y.tolist() == [4, 0, 6]
    assert events.is_on.tolist() == [True, False, True]
    assert events.t_us.tolist() == [0, 2000, 2000]


def test_what_is_written_is_read_again_to_the_millisecond(tmp_path: Path) -> None:
    events = Events(
        np.array([127, 0]), np.array([5, 127]), np.array([False, True]), np.array([999, 5_000_000])
    )
    write_gesture(tmp_path / "user01_led" / "4.npy", events)
    # The times in microseconds, as tonic makes them in place, must fit the type.
    assert np.load(tmp_path / "user01_led" / "4.npy").dtype == np.int32
    again = read_gesture(tmp_path / "user01_led" / "4.npy")
    assert again.t_us.tolist() == [0, 5_000_000]
    for name in ("x", "y", "is_on"):
        assert np.array_equal(getattr(again, name), getattr(events, name))


@pytest.mark.parametrize("dtype", ["u2", "i4", "i8", "f8"])
def test_any_type_of_number_is_read(dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "0.npy", EVENTS.astype(dtype))
    assert read_gesture(tmp_path / "0.npy").t_us.tolist() == [0, 2000, 2000]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (EVENTS[:, :3], r"need an array \(n_events, 4\), got \(3, 3\)"),
        (EVENTS.astype("U3"), "need numbers"),
        (EVENTS.astype(object), "Python objects"),
        (EVENTS[:0], "it has no events"),
        (EVENTS[[1, 0]], "times must not decrease, but do at event 1"),
        (EVENTS + np.array([1, 0, 0, 0]), r"x must be within 0 and 127, but is in 4\.\.128"),
        (EVENTS - np.array([0, 1, 0, 0]), "y must be within 0 and 127"),
        (EVENTS + np.array([0, 0, 1, 0]), "polarities must be 0 or 1"),
        (EVENTS + np.array([0.5, 0, 0, 0]), r"column of x has 3\.5"),
        (EVENTS + np.array([0, 0, 0, np.inf]), "column of time has inf"),
        (EVENTS + np.array([0, np.nan, 0, 0]), "column of y has nan"),
        (EVENTS + np.array([np.inf, 0, 0, 0]), "column of x has inf"),
    ],
)
def test_a_damaged_file_is_named_with_the_reason(
    table: np.ndarray, reason: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "7.npy", table)
    with pytest.raises(DatasetError, match=rf"7\.npy is damaged: .*{reason}"):
        read_gesture(tmp_path / "7.npy")


@pytest.mark.parametrize("kept", [0, 20, 150])
def test_a_truncated_file_is_named(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "7.npy"
    np.save(path, EVENTS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DatasetError, match=r"7\.npy is damaged"):
        read_gesture(path)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "7.npy").write_bytes(pickle.dumps(EVENTS))
    with pytest.raises(DatasetError, match=r"7\.npy is damaged: .*pickle"):
        read_gesture(tmp_path / "7.npy")


def test_an_archive_under_that_name_is_named(tmp_path: Path) -> None:
    with (tmp_path / "7.npy").open("wb") as file:
        np.savez(file, EVENTS)
    with pytest.raises(DatasetError, match=r"7\.npy is damaged: need an array"):
        read_gesture(tmp_path / "7.npy")


def test_damage_is_told_when_the_recording_is_shown(copy: Path) -> None:
    path = first_of(copy)
    path.write_bytes(path.read_bytes()[:-1])
    split = split_dvs_gesture(copy, seed=0)
    both = split.train_and_validation
    index = [each.path for each in both.recordings].index(path)
    with pytest.raises(DatasetError, match=str(path)):
        both.frames([index], n_steps=2)
    path.unlink()
    with pytest.raises(DatasetError, match=str(path)):
        both.frames([index], n_steps=2)


def test_the_set_is_found_by_its_folder_or_by_the_one_above(gestures: Path) -> None:
    above, itself = (split_dvs_gesture(f) for f in (gestures, gestures / "DVSGesture"))
    assert above.train == itself.train
    assert len(above.test) == 22


def test_nobody_is_in_two_parts_and_nothing_is_lost(gestures: Path) -> None:
    split = split_dvs_gesture(gestures, validation_share=0.3, seed=5)
    assert (len(split.train), len(split.validation), len(split.test)) == (44, 22, 22)
    people = [{r.group for r in part.recordings} for part in (split.train, split.validation)]
    assert not people[0] & people[1]
    assert people[0] | people[1] == {"user01", "user02", "user03"}
    assert all("ibmGestureTest" in str(each.path) for each in split.test.recordings)
    assert len({each.path for each in split.train_and_validation.recordings}) == 66
    assert np.bincount(split.validation.labels).tolist() == [2] * 11


def test_labels_are_the_names_of_the_files(gestures: Path) -> None:
    split = split_dvs_gesture(gestures)
    assert [int(each.path.stem) for each in split.train.recordings] == split.train.labels.tolist()
    assert split.n_classes == 11


def test_the_seed_draws_the_people(gestures: Path) -> None:
    drawn = {
        split_dvs_gesture(gestures, validation_share=0.3, seed=seed).validation.recordings[0].group
        for seed in range(10)
    }
    assert drawn == {"user01", "user02", "user03"}
    assert split_dvs_gesture(gestures, seed=1) == split_dvs_gesture(gestures, seed=1)


def test_a_wrong_folder_says_what_was_looked_for_and_how_to_obtain_it(
    copy: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"ibmGestureTrain/user.*pip install tonic.*gestures"):
        split_dvs_gesture(tmp_path / "nowhere")
    shutil.rmtree(copy / "DVSGesture" / "ibmGestureTest")
    with pytest.raises(DatasetError, match="looked for DVSGesture"):
        split_dvs_gesture(copy)


def test_a_file_that_is_no_class_is_named(copy: Path) -> None:
    path = first_of(copy)
    path.rename(path.with_name("11.npy"))
    with pytest.raises(DatasetError, match=r"label of .*11\.npy must be within 0 and 10, got 11"):
        split_dvs_gesture(copy)
    path.with_name("11.npy").rename(path.with_name("clap.npy"))
    with pytest.raises(DatasetError, match=r"clap\.npy must be its class"):
        split_dvs_gesture(copy)


def test_one_person_cannot_be_parted(copy: Path) -> None:
    for path in (copy / "DVSGesture" / "ibmGestureTrain").glob("user0[23]_*"):
        shutil.rmtree(path)
    with pytest.raises(ValueError, match=r"at least two groups .* got \['user01'\]"):
        split_dvs_gesture(copy)


@pytest.mark.parametrize("share", [0, 1, float("nan")])
def test_a_share_outside_0_and_1_is_refused(share: float, gestures: Path) -> None:
    with pytest.raises(ValueError, match="0 < validation_share < 1"):
        split_dvs_gesture(gestures, validation_share=share)
