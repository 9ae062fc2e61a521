# SPDX-License-Identifier: BSD-3-Clause
r"""Exact products of a float64 matrix with numbers of many bits, by BLAS.

Both factors are cut into digits of 16 bits (Ozaki, Ogita, Oishi & Rump, 'Error-free
transformations of matrix multiplication', Numerical Algorithms 59, 2012). A product of
two digits is below $2^{31}$ in magnitude, so sums of up to $2^{22}$ of them are integers
that float64 holds: BLAS adds them without an error, in any order, with or without fused
multiply-add. What is left are carries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat, fmpz_mat

from symrnn.elementary import Floats

__all__ = ["Digits", "Slices", "digits_of", "product", "slices_of"]

_BITS = 16
_MOST_SLICES = 8
_MOST_DIGITS = 64  # beyond, FLINT's own products are as fast
_MOST_TERMS = 1 << 22


class Slices(NamedTuple):
    """A float64 matrix as Σ_s slice_s · 2^(exponent + 16 (parts - 1 - s)), exactly.

    Attributes:
        stacked: Digits in [-2^15, 2^15], the slices on top of each other, most
            significant first, (parts·rows × columns).
        parts: Number of slices.
        exponent: Of the last slice's unit.
    """

    stacked: Floats
    parts: int
    exponent: int


class Digits(NamedTuple):
    """Numbers as Σ_l digit_l · 2^(exponent + 16 l), exactly.

    Attributes:
        digits: (count × numbers·digits): each row holds the digits of its numbers, least
            significant first, in [0, 2^16) but for the last, in [-2^15, 2^15).
        columns: Numbers in a row.
        exponent: Of the last place.
    """

    digits: Floats
    columns: int
    exponent: int


def slices_of(matrix: Floats) -> Slices | None:
    """Cut a matrix into slices, or return ``None`` where that takes too many.

    Args:
        matrix: Finite float64.
    """
    largest = float(np.abs(matrix).max(initial=0.0))
    if not 2.0**-900 < largest < 2.0**900 or matrix.shape[1] > _MOST_TERMS:
        return None
    exponent = math.frexp(largest)[1] - _BITS + 1
    rest = matrix
    slices: list[Floats] = []
    while rest.any():
        if len(slices) == _MOST_SLICES or exponent < -1000:
            return None
        digit = np.rint(np.ldexp(rest, -exponent))
        rest = rest - np.ldexp(digit, exponent)  # both exact: bits of `rest`, or fewer
        slices.append(digit)
        exponent -= _BITS
    return Slices(np.vstack(slices), len(slices), exponent + _BITS)


def digits_of(rows: list[arb], columns: int) -> Digits | None:
    """Cut exact numbers into digits, or return ``None`` where that takes too many.

    Args:
        rows: The numbers, row by row; all exact.
        columns: How many are in a row.
    """
    pairs = [(int(m), int(e)) for m, e in (v.man_exp() for v in rows)]
    exponents = [e for m, e in pairs if m]
    if not exponents:
        return None
    lowest = min(exponents)
    if max(exponents) - lowest > _BITS * _MOST_DIGITS:
        return None
    numbers = [m << (e - lowest) if m else 0 for m, e in pairs]
    count = max(m.bit_length() for m in numbers) // _BITS + 1
    if count > _MOST_DIGITS:
        return None
    raw = b"".join(m.to_bytes(2 * count, "little", signed=True) for m in numbers)
    digits = np.frombuffer(raw, dtype="<u2").reshape(-1, count).astype(np.float64)
    last = digits[:, -1]
    last[last >= 1 << (_BITS - 1)] -= 1 << _BITS
    return Digits(digits.reshape(-1, columns * count), columns, lowest)


def product(a: Slices, b: Digits) -> arb_mat:
    """Return the exact product, rounded once to the working precision."""
    rows = len(a.stacked) // a.parts
    count = b.digits.shape[1] // b.columns
    found = (a.stacked @ b.digits).astype(np.int64)
    found = found.reshape(a.parts, rows * b.columns, count)
    places = a.parts + count + 3  # more than the highest carry reaches
    total = np.zeros((places, rows * b.columns), dtype=np.int64)
    for s in range(a.parts):
        shift = a.parts - 1 - s
        total[shift : shift + count] += found[s].T
    exponent = a.exponent + b.exponent
    integers = fmpz_mat(rows, b.columns, _carried(total))
    return arb_mat(integers) * arb((1, exponent))


def _carried(total: npt.NDArray[np.int64]) -> list[int]:
    """Return Σ_k total_k · 2^(16 k) of each column as an integer."""
    for k in range(len(total) - 1):
        total[k + 1] += total[k] >> _BITS
    size = 2 * len(total)
    # The lowest 16 bits, as two's complement has them.
    raw = np.ascontiguousarray(total.T.astype("<u2")).tobytes()
    return [
        int.from_bytes(raw[i : i + size], "little", signed=True)
        for i in range(0, len(raw), size)
    ]
