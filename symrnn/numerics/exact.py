# SPDX-License-Identifier: BSD-3-Clause
"""The one door through which numbers enter, exactly.

Exact numbers travel as NumPy arrays of two kinds: ``float64``, where every element *is*
the number (float32, float16, bfloat16 and float64 data all fit), and ``object`` arrays
of ``fractions.Fraction`` for what binary floating point cannot hold (``"-0.8769"``,
``"1/3"``, integers past 2^53).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpq

from symrnn.errors import ShapeError, SourceError

__all__ = [
    "Exact",
    "exact_array",
    "first_non_finite",
    "float_format",
    "to_fraction",
    "to_rational",
]

Exact = npt.NDArray[Any]
"""A float64 array whose elements are meant exactly, or an object array of Fractions."""

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?")
_RATIO = re.compile(r"[+-]?\d+\s*/\s*\d+")


def to_fraction(value: Any) -> Fraction:
    """Return the exact value of one finite number.

    Args:
        value: An int, float, ``Fraction``, ``Decimal``, NumPy or SymPy rational, or a
            string: a decimal (``"-0.8769"``, ``"1e-3"``) or a ratio (``"1/3"``).

    Raises:
        SourceError: It is none of these, or not finite.

    >>> to_fraction("-0.8769"), to_fraction(0.5)
    (Fraction(-8769, 10000), Fraction(1, 2))
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise ValueError
        if isinstance(value, str):
            text = value.strip()
            if _DECIMAL.fullmatch(text) or _RATIO.fullmatch(text):
                return Fraction(text.replace(" ", ""))
        elif isinstance(value, (Rational, Decimal)):
            return Fraction(value)
        elif isinstance(value, (float, np.floating)):
            return Fraction(*value.as_integer_ratio())
        elif isinstance(value, np.integer):
            return Fraction(int(value))
        elif getattr(value, "is_Rational", False):  # a SymPy rational
            return Fraction(int(value.p), int(value.q))
    except (ValueError, OverflowError, ZeroDivisionError):
        pass
    raise SourceError(
        f"{value!r} is not a finite number; expected a number, a decimal such as "
        "'-0.8769' or a ratio such as '1/3'"
    )


def to_rational(value: Any) -> fmpq:
    """Return the exact value of one finite number as python-flint has it; see `to_fraction`.

    >>> to_rational("-0.8769")
    -8769/10000
    """
    fraction = to_fraction(value)
    return fmpq(fraction.numerator, fraction.denominator)


def exact_array(values: Any, what: str = "values") -> Exact:
    """Return `values` as an exact array; see the module's documentation.

    Args:
        values: A torch tensor, NumPy array, SymPy matrix, or nested lists of numbers and
            decimal strings. NaN and infinity pass where they are floats, so that an audit
            can speak about them.
        what: Names the values in error messages.

    Raises:
        SourceError: An element is no number, or the numbers are complex.
        ShapeError: Nested lists are ragged.

    >>> exact_array(["1/3", 0.5]).tolist()
    [Fraction(1, 3), Fraction(1, 2)]
    """
    if float_format(values) == "bfloat16":
        values = (
            values.detach().float()
            if hasattr(values, "detach")
            else values.astype("f4")
        )
    if hasattr(values, "detach"):
        values = values.detach().cpu().resolve_conj().resolve_neg().numpy()
    if isinstance(values, (list, tuple)):
        values = [_plain(item) for item in values]
        _check_rectangular(values, what)
        array = np.asarray(values, dtype=object)
    else:
        array = np.asarray(values)
    if array.dtype.kind == "f" and array.dtype.itemsize <= 8:
        return np.asarray(array, dtype=np.float64)
    if array.dtype.kind == "b" or array.dtype.kind not in "iuOSU":
        raise SourceError(f"{what}: cannot take numbers of dtype {array.dtype} exactly")
    return _from_objects(array, what)


def _from_objects(array: npt.NDArray[Any], what: str) -> Exact:
    flat = array.reshape(-1).tolist()
    if all(type(v) is float or (type(v) is int and abs(v) <= 2**53) for v in flat):
        return np.asarray(array, dtype=np.float64)
    exact = np.empty(len(flat), dtype=object)
    for index, value in enumerate(flat):
        if isinstance(value, float) and not math.isfinite(value):
            exact[index] = value  # an audit speaks about it
            continue
        try:
            exact[index] = to_fraction(value)
        except SourceError as error:
            where = np.unravel_index(index, array.shape)
            raise SourceError(f"{what}{[int(i) for i in where]}: {error}") from None
    return exact.reshape(array.shape)


def _plain(item: Any) -> Any:
    """Turn tensors and arrays inside nested lists into lists."""
    if isinstance(item, (list, tuple)):
        return [_plain(inner) for inner in item]
    if hasattr(item, "detach") or isinstance(item, np.ndarray):
        return exact_array(item).tolist()
    return (
        int(item) if isinstance(item, Integral) and not isinstance(item, bool) else item
    )


def _check_rectangular(values: list[Any], what: str) -> tuple[int, ...]:
    shapes = {
        _check_rectangular(item, what) if isinstance(item, list) else ()
        for item in values
    }
    if len(shapes) > 1:
        raise ShapeError(
            f"{what}: nested lists are ragged; all rows must be equally long"
        )
    return (len(values), *(shapes.pop() if shapes else ()))


def float_format(values: Any) -> str | None:
    """Return the name of the float format that `values` is stored in, if any.

    >>> float_format(np.zeros(2, dtype=np.float32))
    'float32'
    """
    name = str(getattr(values, "dtype", "")).removeprefix("torch.")
    return name if name in ("float64", "float32", "float16", "bfloat16") else None


def first_non_finite(array: Exact) -> tuple[int, ...] | None:
    """Return the index of the first NaN or infinity in `array`, or ``None``."""
    if array.dtype == object:
        finite = np.array([not isinstance(v, float) for v in array.reshape(-1)])
        found = np.argwhere(~finite.reshape(array.shape).astype(bool))
    else:
        found = np.argwhere(~np.isfinite(array))
    return tuple(int(i) for i in found[0]) if len(found) else None
