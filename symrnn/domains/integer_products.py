# SPDX-License-Identifier: BSD-3-Clause
r"""Exact products of a float64 matrix with numbers of many bits, by integers of one word.

FLINT multiplies matrices of integers below $2^{62}$ several times as fast as matrices of
balls or of larger integers: all sums of a row fit two words. So the factors are cut into
digits of that size (Ozaki, Ogita, Oishi & Rump, 'Error-free transformations of matrix
multiplication', Numerical Algorithms 59, 2012, do it for BLAS): weights of float32 are
one or two digits as a rule, points of 30 decimals are three.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from flint import arb, arb_mat, fmpz_mat

from symrnn.elementary import Floats

__all__ = ["Digits", "Slices", "digits_of", "product", "slices_of"]

_SLICE = 48  # bits of a weight's digit
_DIGIT = 60  # bits of a number's digit; both and log2(terms) below 126: two words
_MOST_SLICES = 3
_MOST_DIGITS = 20  # beyond, FLINT's own products are as fast
_MOST_TERMS = 1 << 17


class Slices(NamedTuple):
    """A float64 matrix as Σ_s parts_s · 2^(exponent - 48 s), exactly.

    Attributes:
        parts: Matrices of integers, most significant first.
        exponent: Of the unit of the first.
    """

    parts: list[fmpz_mat]
    exponent: int


class Digits(NamedTuple):
    """Numbers as ``digits · places`` · 2^exponent, exactly.

    Attributes:
        digits: (count × numbers·digits): each row holds the digits of its numbers.
        places: (numbers·digits × numbers): what a digit counts.
        exponent: Of the last place.
    """

    digits: fmpz_mat
    places: fmpz_mat
    exponent: int


def slices_of(matrix: Floats) -> Slices | None:
    """Cut a matrix into slices, or return ``None`` where that takes too many.

    Args:
        matrix: Finite float64.
    """
    largest = float(np.abs(matrix).max(initial=0.0))
    if not 2.0**-900 < largest < 2.0**900 or matrix.shape[1] > _MOST_TERMS:
        return None
    first = exponent = math.frexp(largest)[1] - _SLICE + 1
    rest = matrix
    parts: list[fmpz_mat] = []
    while rest.any():
        if len(parts) == _MOST_SLICES or exponent < -1000:
            return None
        digit = np.rint(np.ldexp(rest, -exponent))
        rest = rest - np.ldexp(digit, exponent)  # both exact: bits of `rest`, or fewer
        parts.append(fmpz_mat(digit.astype(np.int64).tolist()))
        exponent -= _SLICE
    return Slices(parts, first)


def digits_of(rows: list[arb], columns: int) -> Digits | None:
    """Cut exact numbers into digits, or return ``None`` where that takes too many.

    Args:
        rows: The numbers, row by row; all exact.
        columns: How many are in a row.
    """
    pairs = [v.man_exp() for v in rows]
    mantissas, powers = [int(m) for m, _ in pairs], [int(e) for _, e in pairs]
    exponents = [e for m, e in zip(mantissas, powers, strict=True) if m]
    if not exponents:
        return None
    lowest = min(exponents)
    if max(exponents) - lowest > _DIGIT * _MOST_DIGITS:
        return None
    shifted = zip(mantissas, powers, strict=True)
    numbers = [m << e - lowest if m else 0 for m, e in shifted]
    count = max(map(int.bit_length, numbers)) // _DIGIT + 1
    if count > _MOST_DIGITS:
        return None
    top, mask = _DIGIT * (count - 1), (1 << _DIGIT) - 1
    shifts = range(0, top, _DIGIT)
    # The first digit keeps the sign.
    digits = [d for m in numbers for d in (m >> top, *[m >> s & mask for s in shifts])]
    height = len(rows) // columns
    places = _places(columns, (top, *shifts))
    return Digits(fmpz_mat(height, columns * count, digits), places, lowest)


@lru_cache
def _places(columns: int, shifts: tuple[int, ...]) -> fmpz_mat:
    """Return the matrix that puts digits together: a column of powers for each number."""
    rows = [
        [1 << shift if i == j else 0 for j in range(columns)]
        for i in range(columns)
        for shift in shifts
    ]
    return fmpz_mat(rows)


def product(a: Slices, b: Digits) -> arb_mat:
    """Return the exact product, rounded once to the working precision."""
    first, *rest = [part * b.digits * b.places for part in a.parts]
    for part in rest:
        first = first * (1 << _SLICE) + part
    exponent = a.exponent - _SLICE * len(rest) + b.exponent
    return arb_mat(first) * arb((1, exponent))
