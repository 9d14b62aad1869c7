"""Checks of numbers that users or stored values give; NumPy's numbers count as numbers."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TypeGuard


def is_count(value: object) -> TypeGuard[int]:
    """Say whether a value read from JSON is an integer >= 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def checked_integer(option: str, value: object, at_least: int) -> int:
    """Return the value of an option as an int; ValueError unless it is an integer >= at_least."""
    if not (isinstance(value, Integral) and int(value) >= at_least):
        raise ValueError(f"{option} must be an integer >= {at_least}, got {value!r}.")
    return int(value)


def checked_real(option: str, value: object) -> float:
    """Return the value of an option as a float; ValueError unless it is a real number or NaN."""
    if not isinstance(value, Real):
        raise ValueError(f"{option} must be a number, got {value!r}.")
    return float(value)
