"""What a state may hold comes back as it was; anything else is refused when it is saved."""

from __future__ import annotations

import pickle
import random
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optuna_snn.checkpoints.values import from_bytes, to_bytes
from tests.helpers import repeatable

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


def again(value: Any) -> Any:
    return from_bytes(bytes(to_bytes({"value": value})))["value"]


@settings(repeatable, max_examples=300)
@given(plain)
def test_plain_values_come_back_equal_and_of_the_same_types(value: Any) -> None:
    assert repr(again(value)) == repr(value)


@pytest.mark.parametrize(
    "value", [b"", b"\0\xff" * 200, "", (), [], {}, 2**2039 - 1, -(2**2039 - 1), {0: {1.5: True}}]
)
def test_the_least_and_the_largest_of_each_kind_come_back(value: Any) -> None:
    assert again(value) == value
    assert type(again(value)) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6, dtype=np.int64).reshape(2, 3).T,
        np.array([True, False]),
        np.array(3.5),
        np.empty((0, 4), dtype=np.uint16),
        np.array(["one", "three"]),
        np.array([1 + 2j]),
        np.array(["2026-01-01"], dtype="datetime64[D]"),
        np.arange(3, dtype=">i4"),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_arrays_come_back_bit_by_bit(array: np.ndarray) -> None:
    found = again(array)
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()
    found[...] = found  # it can be trained on


@pytest.mark.parametrize("number", [np.float32(0.1), np.int16(-3), np.bool_(True)])
def test_numpys_numbers_stay_numpys_numbers(number: np.generic) -> None:
    found = again(number)
    assert type(found) is type(number)
    assert found == number


@pytest.mark.parametrize(
    "bit_generator", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_a_numpy_generator_goes_on_where_it_was(bit_generator: Any) -> None:
    rng = np.random.Generator(bit_generator(7))
    rng.integers(10, size=3)
    state = again(rng.bit_generator.state)
    resumed = np.random.Generator(bit_generator())
    resumed.bit_generator.state = state
    assert np.array_equal(resumed.random(100), rng.random(100))


def test_the_random_states_of_torch_and_python_go_on_where_they_were() -> None:
    torch_rng, python_rng = torch.Generator().manual_seed(3), random.Random(4)
    state = again([torch_rng.get_state(), python_rng.getstate()])
    expected = (torch.rand(5, generator=torch_rng), python_rng.random())
    torch_rng.set_state(state[0])
    python_rng.setstate(state[1])
    assert torch.equal(torch.rand(5, generator=torch_rng), expected[0])
    assert python_rng.random() == expected[1]


def test_a_model_and_its_optimizer_train_on_as_if_nothing_had_happened() -> None:
    def made(seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        return model, torch.optim.Adam(model.parameters(), lr=0.1)

    def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, n_steps: int) -> None:
        for step in range(n_steps):
            optimizer.zero_grad()
            inputs = torch.linspace(-1, 1, 12).reshape(4, 3) * (step + 1)
            model(inputs).square().sum().backward()
            optimizer.step()

    with torch.random.fork_rng():
        model, optimizer = made(seed=1)
        train(model, optimizer, 3)
        state = again({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
        other, other_optimizer = made(seed=2)
    other.load_state_dict(state["model"])
    other_optimizer.load_state_dict(state["optimizer"])
    train(model, optimizer, 3)
    train(other, other_optimizer, 3)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    assert isinstance(state["model"], OrderedDict)
    assert state["model"]._metadata["1"] == {"version": 2}


def test_what_is_saved_is_not_changed_and_not_shared() -> None:
    array = np.arange(3)
    state = {"a": [array], "b": OrderedDict(c=array)}
    content = bytes(to_bytes(state))
    assert state["a"][0] is array
    assert state["b"]["c"] is array
    array[0] = 99
    assert from_bytes(content)["a"][0].tolist() == [0, 1, 2]


class Point(NamedTuple):
    x: int


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (torch.nn.Linear(1, 1), r"state\['value'\] is a Linear.*state_dict\(\)"),
        ([0, np.random.default_rng()], r"state\['value'\]\[1\] is a Generator.*bit_generator"),
        ({"a": {1, 2}}, r"state\['value'\]\['a'\] is a set"),
        (np.array([None]), r"state\['value'\] is a ndarray"),
        (np.zeros(1, dtype=[("a", int)]), r"state\['value'\] is a ndarray"),
        (defaultdict(int), "is a defaultdict"),
        (Point(1), "is a Point"),
        ({(1, 2): 3}, r"state\['value'\] has the key \(1, 2\)"),
        (Path("a"), "is a PosixPath"),
        (2**2039, "an integer too large"),
        (-(2**2040), "an integer too large"),
        ("a\ud800", "no text in Unicode"),
        ({"\udfff": 1}, r"state\['value'\] has the key"),
    ],
)
def test_other_values_are_refused_with_their_place(value: Any, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        to_bytes({"value": value})


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code of the file ran",))


def test_a_file_cannot_make_code_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"value": Evil()}, tmp_path / "evil")
    for content in ((tmp_path / "evil").read_bytes(), pickle.dumps({"value": Evil()}, protocol=2)):
        with pytest.raises(ValueError, match="torch cannot read it"):
            from_bytes(content)
    assert capsys.readouterr().out == ""


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list")
    with pytest.raises(ValueError, match="holds a list"):
        from_bytes((tmp_path / "list").read_bytes())
    with pytest.raises(ValueError, match="torch cannot read it"):
        from_bytes(b"")
