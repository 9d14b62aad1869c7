import numpy as np
import pytest

from optuna_snn.objectives.datasets import DataSplit, Samples, stratified_split


def samples_of(class_sizes: list[int]) -> Samples:
    """Samples whose only pixel is different in each, so that they can be told apart."""
    labels = np.repeat(np.arange(len(class_sizes)), class_sizes)
    return Samples(np.linspace(0, 1, len(labels))[:, None], labels)


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
