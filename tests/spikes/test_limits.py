from collections.abc import Callable

import numpy as np
import pytest

from optuna_snn.spikes.limits import Limits, PerLayer


def limits(
    alpha: PerLayer = 1,
    beta: PerLayer = 0.1,
    delta: float = 1e-3,
    layers: list[str] | None = None,
) -> Limits:
    return Limits(alpha, beta, "sequential", delta, min_samples=16, layers=layers)


def test_each_layer_has_its_own_alpha_and_beta() -> None:
    own = limits(alpha={"exc": 2, "inh": 7}, beta={"inh": 0.3, "exc": 0.05})
    exc, inh = (own.first_report(name, 1) for name in ("exc", "inh"))
    assert (exc.alpha, exc.beta) == (2, 0.05)
    assert (inh.alpha, inh.beta) == (7, 0.3)


def test_one_number_holds_for_every_layer() -> None:
    own = limits(alpha=3, beta={"exc": 0.05, "inh": 0.3})
    assert [own.first_report(name, 1).alpha for name in own.declared] == [3, 3]


@pytest.mark.parametrize(
    "own",
    [
        limits(layers=["a", "b"]),
        limits(alpha={"a": 1, "b": 2}),
        limits(beta={"a": 0.1, "b": 0.2}),
        limits(alpha={"b": 1, "a": 2}, beta={"a": 0.1, "b": 0.2}, layers=["a", "b"]),
    ],
)
def test_layers_may_be_declared_by_any_option(own: Limits) -> None:
    assert set(own.declared) == {"a", "b"}
    with pytest.raises(ValueError, match=r"'c' was not declared.*'a'.*'b'"):
        own.first_report("c", 1)


def test_declared_layers_share_delta_equally() -> None:
    own = limits(layers=["a", "b", "c", "d"])
    shares = [own.first_report(name, i).rule.delta_share for i, name in enumerate("abcd", 1)]
    assert shares == [0.25] * 4


def test_layers_that_just_appear_never_spend_more_than_delta() -> None:
    own = limits()
    shares = [own.first_report(f"layer{i}", i).rule.delta_share for i in range(1, 200)]
    assert shares[0] == pytest.approx(6 / np.pi**2)
    assert sum(shares) < 1


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: limits(layers=["a"], alpha={"b": 1}), r"layers and alpha.*\('a',\).*\('b',\)"),
        (lambda: limits(alpha={"a": 1}, beta={"a": 0.1, "b": 0.1}), "alpha and beta"),
        (lambda: limits(layers=[]), "layers must name one layer or more"),
        (lambda: limits(alpha={}), "alpha must name one layer or more"),
        (lambda: limits(layers=["a", "a"]), "each once"),
        (lambda: limits(layers=[1]), "by strings"),  # type: ignore[list-item]
        (lambda: limits(layers="output"), r"pass \['output'\]"),  # type: ignore[arg-type]
        (lambda: limits(alpha=0), "alpha must be a whole number >= 1, got 0"),
        (lambda: limits(alpha={"a": 1, "b": 0.5}), "alpha must be a whole number >= 1, got 0.5"),
        (lambda: limits(alpha=[1, 2]), r"alpha must be a number, got \[1, 2\]"),  # type: ignore[arg-type]
        (lambda: limits(beta={"a": 0.1, "b": 1.5}), "beta=1.5"),
        (lambda: limits(beta=1.5), "beta=1.5"),
        (lambda: limits(delta=1.5, layers=["a", "b"]), "delta=1.5"),
    ],
)
def test_wrong_limits_are_refused_at_once(make: Callable[[], Limits], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make()


def test_layers_may_come_as_the_keys_of_a_mapping() -> None:
    own = Limits(1, 0.1, "record", 1e-3, 16, layers={"a": object(), "b": object()}.keys())
    assert own.declared == ("a", "b")
