# SPDX-License-Identifier: BSD-3-Clause
"""Exact arrays, rounded to a float format once, to nearest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpq

from symrnn.errors import UnsupportedError
from symrnn.formats import FloatFormat, nearest_float, round_decimal
from symrnn.inputs import Inputs
from symrnn.numbers import Exact, to_fraction
from symrnn.rounding import Arithmetic

__all__ = ["round_array", "round_inputs"]

_LONG = 64  # bits of a numerator or denominator that a note shows in full


def round_array(values: Exact, target: FloatFormat) -> npt.NDArray[np.float64]:
    """Return the numbers of `target` nearest to `values`, ties to even, as float64.

    NaN and infinity stay; what is beyond the largest finite number becomes infinite.

    >>> from symrnn.formats import FORMATS
    >>> round_array(np.array([1e-50, 1 + 2.0**-8, 1e40]), FORMATS["bfloat16"]).tolist()
    [0.0, 1.0, inf]
    """
    if values.dtype == object:
        return _round_each(values, target)
    try:
        arithmetic = Arithmetic(target)
    except UnsupportedError:  # too wide for float64
        return _round_each(values, target)
    rounded = arithmetic.nearest(values)
    if target.overflow == "infinity":
        return rounded.copy() if rounded is values else rounded
    # A format without infinity would make another number of it.
    return np.where(np.isinf(values), values, rounded)


def _round_each(values: Exact, target: FloatFormat) -> npt.NDArray[np.float64]:
    flat = [_round(value, target) for value in values.reshape(-1).tolist()]
    return np.array(flat, dtype=np.float64).reshape(values.shape)


def _round(value: Any, target: FloatFormat) -> float | None:
    if isinstance(value, float) and not np.isfinite(value):
        return value
    exact = _rational(value)
    return nearest_float(exact, exact, target)


def _rational(value: Any) -> fmpq:
    fraction = to_fraction(value)
    return fmpq(fraction.numerator, fraction.denominator)


def round_inputs(inputs: Inputs, target: FloatFormat) -> tuple[Inputs, tuple[str, ...]]:
    """Return inputs rounded to a format, and what that changed, in words."""
    x = round_array(inputs.x, target)
    notes = [_change("x", inputs.x, x, target)]
    states = inputs.states
    if states is not None:
        rounded = {name: round_array(values, target) for name, values in states.items()}
        notes += [_change(f"hx {n}", states[n], rounded[n], target) for n in states]
        states = rounded
    return replace(inputs, x=x, states=states), tuple(n for n in notes if n)


def _change(
    what: str, given: Exact, rounded: npt.NDArray[np.float64], target: FloatFormat
) -> str:
    changed = (given != rounded) & (given == given)  # NaN is not itself, and stays
    count = int(np.count_nonzero(changed))
    if not count:
        return ""
    first = tuple(np.argwhere(changed)[0])
    return (
        f"{what}: {count} of {changed.size} numbers were rounded to {target.name}, "
        f"which the subject saw (the first from {_short(given[first])} to "
        f"{rounded[first]})"
    )


def _short(value: Any) -> str:
    exact = _rational(value)
    if (
        isinstance(value, float)
        or max(exact.p.bit_length(), exact.q.bit_length()) < _LONG
    ):
        return str(value)
    return f"about {round_decimal(exact, exact, digits=12)}"
