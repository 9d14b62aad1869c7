"""The state of a training <-> bytes, in the format of `torch.save`, read without running code.

`torch.load(weights_only=True)` builds tensors, numbers, texts and containers, and calls nothing
that a file names; a pickle would. NumPy's arrays and numbers, and bytes, which it refuses in part
or all, travel as tensors of bytes. What could not be read back is refused when it is saved: a
retry would find out too late.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

PLAIN = (type(None), bool, float)
MOST_BITS = 8 * 255 - 1
"""Of an integer, besides its sign, in the form that torch reads."""
ARRAY = "optuna_snn:array"
"""The one key of a mapping that stands for an array: (dtype, shape, tensor of its bytes). A NumPy
number has no shape, and bytes have neither."""


def to_bytes(state: Mapping[str, Any]) -> memoryview:
    """Return a state in bytes.

    state: tensors, NumPy arrays and numbers, None, bool, int, float, str, bytes, and dicts, lists
           and tuples of these. Random states fit: ``rng.bit_generator.state``,
           ``random.getstate()``, ``torch.get_rng_state()``.

    Raises TypeError, which says where it stands, for a value of another kind.
    """
    buffer = io.BytesIO()
    torch.save(_packed(dict(state), "state"), buffer)
    return buffer.getbuffer()


def from_bytes(content: bytes | memoryview) -> dict[str, Any]:
    """Return the state of `to_bytes`, with all tensors on the CPU; ValueError if it is none."""
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"torch cannot read it ({type(error).__name__})") from error
    if not isinstance(loaded, dict):
        raise ValueError(f"it holds a {type(loaded).__name__}, which is no state")
    state: dict[str, Any] = _unpacked(loaded)
    return state


def _packed(value: Any, place: str) -> Any:
    kind = type(value)
    if _is_plain(value):
        return value
    if kind is bytes:
        return {ARRAY: (None, None, _tensor_of(value))}
    if kind in (torch.Tensor, torch.nn.Parameter):
        return value.detach()
    if isinstance(value, np.ndarray | np.generic) and _is_plain_array(np.asarray(value).dtype):
        return _packed_array(value)
    if kind in (list, tuple):
        return kind(_packed(each, f"{place}[{i}]") for i, each in enumerate(value))
    if kind in (dict, OrderedDict):
        packed = copy.copy(value)  # an OrderedDict of torch carries the versions of its modules
        for key, each in value.items():
            if key is None or not _is_plain(key):
                raise TypeError(f"{place} has the key {key!r}; keys are texts or numbers.")
            packed[key] = _packed(each, f"{place}[{key!r}]")
        return packed
    if kind in (int, str):
        raise TypeError(f"{place} is an integer too large, or no text in Unicode: {value!r:.60}.")
    raise TypeError(
        f"{place} is a {kind.__name__}. A checkpoint holds tensors, NumPy arrays, plain numbers "
        "and texts, and dicts, lists and tuples of them; of a model or an optimizer pass "
        "its state_dict(), of a NumPy generator its bit_generator.state."
    )


def _unpacked(value: Any) -> Any:
    kind = type(value)
    if kind in (list, tuple):
        return kind(_unpacked(each) for each in value)
    if kind in (dict, OrderedDict):
        if value.keys() == {ARRAY}:
            return _unpacked_array(*value[ARRAY])
        for key, each in value.items():
            value[key] = _unpacked(each)
    return value


def _is_plain(value: object) -> bool:
    """Whether torch reads the value back as it is."""
    if type(value) is int:
        return value.bit_length() <= MOST_BITS
    if type(value) is str:
        return value.isascii() or value == value.encode(errors="ignore").decode()
    return type(value) in PLAIN


def _is_plain_array(dtype: np.dtype[Any]) -> bool:
    return not dtype.hasobject and dtype.names is None and dtype.itemsize > 0


def _packed_array(value: NDArray[Any] | np.generic) -> dict[str, Any]:
    array = np.asarray(value)
    shape = list(array.shape) if isinstance(value, np.ndarray) else None
    return {ARRAY: (array.dtype.str, shape, _tensor_of(array.tobytes()))}


def _tensor_of(content: bytes) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(bytearray(content), dtype=np.uint8))


def _unpacked_array(dtype: str | None, shape: list[int] | None, content: torch.Tensor) -> Any:
    if dtype is None:
        return content.numpy().tobytes()
    array = content.numpy().view(np.dtype(dtype))
    return array[0] if shape is None else array.reshape(shape)
