from pathlib import Path

import numpy as np
import pytest

from optuna_snn.objectives.datasets import DatasetError, split_nmnist
from optuna_snn.objectives.datasets.nmnist import read_nmnist


def packed(x: int, y: int, is_on: int, t_us: int) -> bytes:
    """The 40 bits of an event."""
    return (x << 32 | y << 24 | is_on << 23 | t_us).to_bytes(5, "big")


def write_set(folder: Path) -> None:
    for part, n in (("Train", 5), ("Test", 2)):
        for digit in range(10):
            (folder / part / str(digit)).mkdir(parents=True)
            for number in range(n):
                events = [packed(digit, number, 1, 0), packed(33, 33, 0, 100)]
                path = folder / part / str(digit) / f"{digit * n + number:05d}.bin"
                path.write_bytes(b"".join(events))


def test_events_are_forty_bits_each(tmp_path: Path) -> None:
    path = tmp_path / "1.bin"
    path.write_bytes(packed(33, 7, 1, 5) + packed(0, 20, 0, 2**23 - 1))
    events = read_nmnist(path)
    assert events.x.tolist() == [33, 0]
    assert events.y.tolist() == [7, 20]
    assert events.is_on.tolist() == [True, False]
    assert events.t_us.tolist() == [5, 2**23 - 1]


def test_a_row_of_240_moves_the_clock_on_and_is_no_event(tmp_path: Path) -> None:
    path = tmp_path / "1.bin"
    overflow = packed(1, 240, 0, 0)
    path.write_bytes(
        packed(1, 1, 1, 9) + overflow + packed(2, 2, 1, 3) + overflow * 2 + packed(3, 3, 1, 4)
    )
    assert read_nmnist(path).t_us.tolist() == [9, 8192 + 3, 3 * 8192 + 4]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (packed(1, 1, 1, 1) + b"\0", "6 bytes are no multiple of 5"),
        (b"", "it has no events"),
        (packed(34, 1, 1, 1), "x must be within 0 and 33"),
        (packed(1, 1, 1, 7) + packed(1, 1, 1, 6), "do at event 1"),
    ],
)
def test_a_damaged_file_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "3.bin").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"3\.bin is damaged: .*{reason}"):
        read_nmnist(tmp_path / "3.bin")
    with pytest.raises(DatasetError, match=r"4\.bin is damaged"):
        read_nmnist(tmp_path / "4.bin")


@pytest.mark.parametrize("home", ["", "NMNIST"])
def test_the_split_has_the_classes_shares_and_its_own_test(home: str, tmp_path: Path) -> None:
    write_set(tmp_path / home)
    split = split_nmnist(tmp_path, validation_share=0.2, side=17)
    for part, n in ((split.train, 4), (split.validation, 1), (split.test, 2)):
        assert np.bincount(part.labels).tolist() == [n] * 10
        assert all(r.path.parent.name == str(r.label) for r in part.recordings)
    assert len({r.path for r in split.train_and_validation.recordings}) == 50
    first = split.test.recordings[0]
    frames = split.test.frames([0], n_steps=2)[0]
    assert np.argwhere(frames).tolist() == [[0, 16, 16, 1], [1, 0, first.label // 2, 0]]


def test_a_wrong_folder_says_how_to_obtain_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no N-MNIST: looked for Train.*garrickorchard"):
        split_nmnist(tmp_path)
