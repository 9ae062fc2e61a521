# SPDX-License-Identifier: BSD-3-Clause
r"""Float64 matrices with a radius for every element, at the speed of BLAS.

Each operation rounds midpoints to nearest and adds to the radius what was lost (Rump,
'Fast and parallel interval arithmetic', BIT 39, 1999). docs/theory/enclosures.md proves
the bounds under the assumptions of `symrnn.numerics.upward`, and about BLAS of
`symrnn.numerics.norms`.

Note [What a product may lose]
    With inner dimension n, $u = 2^{-53}$ and $\eta$ the smallest positive float,

    .. math:: |\mathrm{fl}(AB) - AB| \le \gamma_n |A||B| + n\eta,

    in any order of summation, with or without fused multiply-add. The exact factors are
    within $R_A, R_B$ of A and B, so the radius is
    $|A|(\gamma_n|B| + R_B) + R_A(|B| + R_B) + n\eta$: products of matrices that are not
    negative, each computed and divided by $1 - \gamma_n$. Exact factors need one such
    product, an exact left factor one as well, and two inexact factors two.

Note [Nothing known]
    Where a midpoint overflows, or a radius does, nothing is known of the element: its
    midpoint is 0 and its radius infinite. No element is ever NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from symrnn.domains.ball import ball_interval, working_precision
from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.errors import UndecidedError
from symrnn.numerics.elementary import Floats
from symrnn.numerics.exact import Exact
from symrnn.numerics.formats import as_rational, round_up
from symrnn.numerics.upward import TINY, UNIT, check_arithmetic, gamma, up

__all__ = ["Element", "Enclosed", "EnclosureDomain"]

_SLACK = 1 + 32 * UNIT  # more than a dozen roundings


class Enclosed(NamedTuple):
    """All matrices that are within `rad` of `mid`, element by element.

    Attributes:
        mid: Float64, finite, (features × columns).
        rad: Float64, 0 or more, of the same shape; infinite where nothing is known.
    """

    mid: Floats
    rad: Floats


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an `Enclosed`: all numbers within `rad` of `mid`.

    It unpacks as a pair does, but is no sequence: NumPy would take one apart.
    """

    mid: float
    rad: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.mid, self.rad))


class EnclosureDomain(Domain[Enclosed]):
    """Midpoint and radius, one float64 array each.

    Its context raises `UnsupportedError` in a thread that flushes subnormal numbers.

    >>> from symrnn.numerics.exact import exact_array
    >>> domain = EnclosureDomain()
    >>> with domain.context():
    ...     third = domain.matrix(exact_array([["1/3"]]))
    ...     one = domain.add(third, third, third)
    >>> one.mid.tolist(), bool(0 < one.rad[0, 0] < 4e-16)
    ([[1.0]], True)
    """

    name = "enclosure"
    proven = True

    def context(self) -> Any:
        check_arithmetic()
        return np.errstate(all="ignore")

    def matrix(self, values: Exact) -> Enclosed:
        if values.dtype != object:  # binary numbers enter exactly
            return Enclosed(values, np.zeros_like(values))
        pairs = [_nearest(Fraction(v)) for v in values.reshape(-1).tolist()]
        both = np.array(pairs, dtype=np.float64).reshape(*values.shape, 2)
        return Enclosed(both[..., 0], both[..., 1])

    def matmul(self, a: Enclosed, b: Enclosed) -> Enclosed:
        n = a.mid.shape[1]
        lost, factor = n * TINY, _SLACK * (1 + 2 * gamma(n + 4))
        size_a, size_b = np.abs(a.mid), np.abs(b.mid)
        if b.rad.any():
            # 2·TINY makes up for underflow of the product with gamma.
            rad = size_a @ ((size_b * gamma(n) + b.rad) * _SLACK + 2 * TINY)
        else:
            rad = (size_a @ size_b + lost) * gamma(n)
        if a.rad.any():
            rad += a.rad @ ((size_b + b.rad) * _SLACK)
        return _known(a.mid @ b.mid, rad * factor + 8 * (lost + TINY))

    def add(self, *terms: Enclosed) -> Enclosed:
        mid, rad = terms[0]
        for term in terms[1:]:
            total = mid + term.mid
            error = np.abs(_sum_error(mid, term.mid, total))
            mid, rad = total, (rad + term.rad + error) * _SLACK
        return _known(mid, rad)

    def neg(self, a: Enclosed) -> Enclosed:
        return Enclosed(-a.mid, a.rad)

    def hadamard(self, a: Enclosed, b: Enclosed) -> Enclosed:
        mid = a.mid * b.mid
        rad = np.abs(a.mid) * b.rad + a.rad * (np.abs(b.mid) + b.rad)
        rad += np.abs(mid) * UNIT
        return _known(mid, rad * _SLACK + 8 * TINY)

    def elementwise(self, function: ElementwiseFunction, a: Enclosed) -> Enclosed:
        if function.enclose is not None:
            return _known(*function.enclose(a.mid, a.rad))
        with working_precision(128):
            pairs = [
                _image(function, m, r)
                for m, r in zip(
                    a.mid.reshape(-1).tolist(), a.rad.reshape(-1).tolist(), strict=True
                )
            ]
        both = np.array(pairs, dtype=np.float64).reshape(*a.mid.shape, 2)
        return Enclosed(both[..., 0], both[..., 1])

    def transpose(self, a: Enclosed) -> Enclosed:
        return Enclosed(a.mid.T, a.rad.T)

    def constant(self, value: int, rows: int, columns: int = 1) -> Enclosed:
        mid, rad = _nearest(Fraction(value))
        return Enclosed(np.full((rows, columns), mid), np.full((rows, columns), rad))

    def vstack(self, parts: Sequence[Enclosed]) -> Enclosed:
        return Enclosed(*(np.vstack(arrays) for arrays in zip(*parts, strict=True)))

    def hstack(self, parts: Sequence[Enclosed]) -> Enclosed:
        return Enclosed(*(np.hstack(arrays) for arrays in zip(*parts, strict=True)))

    def split(self, a: Enclosed, widths: Sequence[int]) -> list[Enclosed]:
        ends = np.cumsum(widths)
        return [
            Enclosed(a.mid[:, end - width : end], a.rad[:, end - width : end])
            for width, end in zip(widths, ends, strict=True)
        ]

    def rows(self, a: Enclosed) -> list[list[Element]]:
        return [
            [Element(m, r) for m, r in zip(*row, strict=True)]
            for row in zip(a.mid.tolist(), a.rad.tolist(), strict=True)
        ]

    def interval(self, element: Element) -> Interval:
        mid, rad = element
        if rad == np.inf:
            raise UndecidedError("nothing finite is known of the value in float64")
        return as_rational(mid) - as_rational(rad), as_rational(mid) + as_rational(rad)


def _known(mid: Floats, rad: Floats) -> Enclosed:
    """Return the enclosure, with 0 and infinity where nothing is known."""
    finite = np.isfinite(rad) & np.isfinite(mid)
    if finite.all():
        return Enclosed(mid, rad)
    return Enclosed(np.where(finite, mid, 0.0), np.where(finite, rad, np.inf))


def _sum_error(a: Floats, b: Floats, total: Floats) -> Floats:
    """Return a + b - fl(a + b), which is a float (Knuth's two-sum); NaN on overflow."""
    other = total - a
    return (a - (total - other)) + (b - other)


def _nearest(value: Fraction) -> tuple[float, float]:
    """Return the float nearest to a number, and an upper bound of the distance."""
    try:
        mid = float(value)
    except OverflowError:
        return 0.0, np.inf
    error = abs(value - Fraction(mid))
    return mid, float(up(float(error))) if error else 0.0


def _image(
    function: ElementwiseFunction, mid: float, rad: float
) -> tuple[float, float]:
    """Return a float64 enclosure of the image of one ball, from balls of FLINT."""
    try:
        lower, upper = ball_interval(function.ball(arb(mid, rad)))
    except UndecidedError:
        return 0.0, np.inf
    middle, _ = _nearest(_fraction((lower + upper) / 2))
    exact = as_rational(middle)
    radius = round_up(max(upper - exact, exact - lower))
    return (middle, radius) if radius < np.inf else (0.0, np.inf)


def _fraction(q: Any) -> Fraction:
    return Fraction(int(q.p), int(q.q))
