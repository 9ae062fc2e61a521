# SPDX-License-Identifier: BSD-3-Clause
r"""Exact products of a float64 matrix with numbers of many bits, by BLAS.

Both factors are cut into digits (Ozaki, Ogita, Oishi & Rump, 'Error-free transformations
of matrix multiplication', Numerical Algorithms 59, 2012): of 20 bits with a sign, at most
$2^{19}$ in magnitude, and of 24 or 16 bits, so that sums of up to $2^{10}$ or $2^{18}$
products are integers of at most $2^{53}$, which float64 holds: BLAS adds them without an
error, in any order, with or without fused multiply-add. What is left are carries.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from flint import arb, arb_poly, fmpz_poly

from symrnn.numerics.elementary import Floats

__all__ = ["Digits", "Slices", "digits_of", "product", "slices_of"]

_SLICE = 20
_MOST_SLICES = 8
_MOST_DIGITS = 128  # bytes; beyond, FLINT's own products are as fast
_SMALL = 10**6  # multiplications for which OpenBLAS does not copy its operands
_FEW_TERMS, _MOST_TERMS = 1 << 10, 1 << 18


class Slices(NamedTuple):
    """A float64 matrix as Σ_s slice_s · 2^(exponent + 20 (parts - 1 - s)), exactly.

    Attributes:
        stacked: Digits in [-2^19, 2^19], the slices on top of each other, most
            significant first, (parts·rows × columns).
        parts: Number of slices.
        exponent: Of the last slice's unit.
    """

    stacked: Floats
    parts: int
    exponent: int


class Digits(NamedTuple):
    """Numbers as Σ_l digit_l · 2^(exponent + bits·l), exactly.

    Attributes:
        digits: (count × numbers·digits): each row holds the digits of its numbers, least
            significant first, in [0, 2^bits) but for the last, which has the sign.
        columns: Numbers in a row.
        bits: Of a digit, 24 or 16.
        exponent: Of the last place.
    """

    digits: Floats
    columns: int
    bits: int
    exponent: int


def slices_of(matrix: Floats) -> Slices | None:
    """Cut a matrix into slices, or return ``None`` where that takes too many.

    Args:
        matrix: Finite float64.
    """
    largest = float(np.abs(matrix).max(initial=0.0))
    if not 2.0**-900 < largest < 2.0**900 or matrix.shape[1] > _MOST_TERMS:
        return None
    exponent = math.frexp(largest)[1] - _SLICE + 1
    rest = matrix
    slices: list[Floats] = []
    while rest.any():
        if len(slices) == _MOST_SLICES or exponent < -1000:
            return None
        digit = np.rint(np.ldexp(rest, -exponent))
        rest = rest - np.ldexp(digit, exponent)  # both exact: bits of `rest`, or fewer
        slices.append(digit)
        exponent -= _SLICE
    return Slices(np.vstack(slices), len(slices), exponent + _SLICE)


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
    if max(exponents) - lowest > 8 * _MOST_DIGITS:
        return None
    shifted = zip(mantissas, powers, strict=True)
    numbers = [m << e - lowest if m else 0 for m, e in shifted]
    size = 3 if len(rows) <= _FEW_TERMS * columns else 2
    count = max(map(int.bit_length, numbers)) // (8 * size) + 1
    if count * size > _MOST_DIGITS:
        return None
    length = count * size
    raw = b"".join([m.to_bytes(length, "little", signed=True) for m in numbers])
    weights = 256.0 ** np.arange(size)
    digits = np.frombuffer(raw, dtype=np.uint8).reshape(-1, count, size) @ weights
    last = digits[:, -1]
    last[last >= 2.0 ** (8 * size - 1)] -= 2.0 ** (8 * size)
    return Digits(digits.reshape(-1, columns * count), columns, 8 * size, lowest)


def product(a: Slices, b: Digits) -> list[arb]:
    """Return the exact product, row by row, each element rounded to the working precision."""
    rows = len(a.stacked) // a.parts
    count = b.digits.shape[1] // b.columns
    found = _in_blocks(a.stacked, b.digits).astype(np.int64)
    found = found.reshape(a.parts, rows * b.columns, count)
    # The product is below 2^(bits·count + 20·parts + 18) in magnitude.
    places = count + math.ceil((_SLICE * a.parts + 20) / b.bits)
    places += places % 2
    total = np.zeros((places, rows * b.columns), dtype=np.int64)
    for s in range(a.parts):
        place, shift = divmod(_SLICE * (a.parts - 1 - s), b.bits)
        part = found[s].T
        total[place : place + count] += (part & (1 << b.bits) - 1) << shift
        total[place + 1 : place + 1 + count] += part >> b.bits << shift
    return _rounded(total, b.bits, a.exponent + b.exponent)


def _in_blocks(a: Floats, b: Floats) -> Floats:
    """Multiply; a thin product takes BLAS a third of the time in blocks of rows."""
    height = max(1, _SMALL // b.size)
    return np.concatenate([a[i : i + height] @ b for i in range(0, len(a), height)])


def _rounded(total: npt.NDArray[np.int64], bits: int, exponent: int) -> list[arb]:
    """Return Σ_k total_k · 2^(exponent + bits·k) of each column, rounded once.

    Polynomials are what FLINT makes of lists of integers fastest; a last coefficient of 1
    keeps their length.
    """
    carry = total[0]
    for k in range(1, len(total)):
        carry = total[k] + (carry >> bits)
        total[k] = carry
    total[:-1] &= (1 << bits) - 1
    words = (total[::2] + (total[1::2] << bits)).tolist()
    whole = fmpz_poly([*words[-1], 1])
    for word in words[-2::-1]:
        whole = whole * (1 << 2 * bits) + fmpz_poly(word)
    balls: list[arb] = (arb_poly(whole) * arb((1, exponent))).coeffs()
    return balls[:-1]
