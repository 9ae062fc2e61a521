# SPDX-License-Identifier: BSD-3-Clause
"""Ball arithmetic with python-flint: values with a proven error, to any precision.

Every operation returns a ball that contains the exact result for every point of its
operands; that is FLINT's promise (Johansson, 'Arb: efficient arbitrary-precision
midpoint-radius interval arithmetic', 2017), and the elementwise functions' (see
`symrnn.equations.functions`).

Note [Precision is global]
    ``flint.ctx.prec`` belongs to the process, not to the thread, and survives exceptions.
    It is set only in `BallDomain.context`, which holds a lock for as long and puts the old
    value back. Exact inputs stay exact until the first operation under that context.

Note [Radii]
    ``float(x.rad())`` underflows to 0.0 below 2^-1074 and would make a wide ball look
    exact; ``str`` rounds. Radii are only read through ``man_exp``, as integers.

Note [Pickled balls]
    python-flint does not pickle an ``arb``, so `Balls` travel as integers: mantissa and
    exponent of midpoint and radius. What arrives is the same ball to the last bit. It is
    made when somebody looks at it, since most of a trace is never looked at.
"""

from __future__ import annotations

import marshal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from flint import arb, arb_mat, ctx, fmpq, fmpz

from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.errors import UndecidedError
from symrnn.numerics.exact import Exact

__all__ = ["BallDomain", "Balls", "ball_interval", "working_precision"]

_LOCK = threading.RLock()
_LARGEST_EXPONENT = 1 << 24
_RADIUS_BITS = 30  # of a mantissa in FLINT


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Set FLINT's precision for the block, alone among threads; see Note [Precision is global]."""
    with _LOCK, ctx.workprec(bits):
        yield


class Balls:
    """A matrix of balls, as a flat list and as an ``arb_mat``, each made when first needed.

    Products are fast on an ``arb_mat``, elementwise work on a list; converting between
    them costs about as much as a multiplication.
    """

    __slots__ = ("_flat", "_mat", "_pickled", "columns", "height")

    def __init__(
        self,
        height: int,
        columns: int,
        flat: list[arb] | None = None,
        mat: arb_mat | None = None,
        pickled: bytes = b"",
    ) -> None:
        self.height = height
        self.columns = columns
        self._flat = flat
        self._mat = mat
        self._pickled = pickled

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as integers; see Note [Pickled balls]."""
        return Balls, (self.height, self.columns, None, None, _dump(self.flat))

    @property
    def flat(self) -> list[arb]:
        """The elements, row by row."""
        if self._flat is None:
            if self._mat is not None:
                self._flat = self._mat.entries()
            else:
                self._flat, self._pickled = _load(self._pickled), b""
        return self._flat

    @property
    def mat(self) -> arb_mat:
        """The matrix as FLINT's own type."""
        if self._mat is None:
            self._mat = arb_mat(self.height, self.columns, self.flat)
        return self._mat

    def map(self, function: Callable[[arb], arb]) -> Balls:
        """Return the function of every element."""
        return Balls(self.height, self.columns, [function(a) for a in self.flat])

    def row(self, i: int) -> list[arb]:
        """Return row `i`."""
        return self.flat[i * self.columns : (i + 1) * self.columns]


class BallDomain(Domain[Balls]):
    """python-flint balls at a fixed working precision.

    Args:
        precision: Bits of the midpoints.
    """

    name = "ball"
    proven = True

    def __init__(self, precision: int) -> None:
        self.precision = precision

    def context(self) -> Any:
        return working_precision(self.precision)

    def matrix(self, values: Exact) -> Balls:
        height, columns = values.shape
        if values.dtype == object:
            flat = [arb(fmpq(v.numerator, v.denominator)) for v in values.flat]
            return Balls(height, columns, flat)
        if columns == 1:  # most likely no factor of a product
            return Balls(height, columns, [arb(v) for v in values[:, 0].tolist()])
        return Balls(height, columns, mat=arb_mat(values.tolist()))

    def matmul(self, a: Balls, b: Balls) -> Balls:
        return Balls(a.height, b.columns, mat=a.mat * b.mat)

    def add(self, *terms: Balls) -> Balls:
        total, *rest = _same_width(terms)
        for term in rest:
            if term._flat is None and total._flat is None:
                total = Balls(total.height, total.columns, mat=total.mat + term.mat)
            else:
                flat = [x + y for x, y in zip(total.flat, term.flat, strict=True)]
                total = Balls(total.height, total.columns, flat)
        return total

    def neg(self, a: Balls) -> Balls:
        return a.map(arb.__neg__)

    def hadamard(self, a: Balls, b: Balls) -> Balls:
        a, b = _same_width((a, b))
        flat = [x * y for x, y in zip(a.flat, b.flat, strict=True)]
        return Balls(a.height, a.columns, flat)

    def elementwise(self, function: ElementwiseFunction, a: Balls) -> Balls:
        return a.map(function.ball)

    def transpose(self, a: Balls) -> Balls:
        return Balls(
            a.columns,
            a.height,
            [v for column in zip(*self.rows(a), strict=True) for v in column],
        )

    def constant(self, value: int, rows: int, columns: int = 1) -> Balls:
        return Balls(rows, columns, [arb(value)] * (rows * columns))

    def vstack(self, parts: Sequence[Balls]) -> Balls:
        flat = [v for part in parts for v in part.flat]
        return Balls(sum(part.height for part in parts), parts[0].columns, flat)

    def hstack(self, parts: Sequence[Balls]) -> Balls:
        if len(parts) == 1:
            return parts[0]
        height = parts[0].height
        flat = [v for i in range(height) for part in parts for v in part.row(i)]
        return Balls(height, sum(part.columns for part in parts), flat)

    def split(self, a: Balls, widths: Sequence[int]) -> list[Balls]:
        if list(widths) == [a.columns]:
            return [a]
        columns, parts, start = list(zip(*self.rows(a), strict=True)), [], 0
        for width in widths:
            rows = zip(*columns[start : start + width], strict=True)
            parts.append(Balls(a.height, width, list(chain.from_iterable(rows))))
            start += width
        return parts

    def rows(self, a: Balls) -> list[list[arb]]:
        return [a.row(i) for i in range(a.height)]

    def interval(self, element: arb) -> Interval:
        return ball_interval(element)


def _same_width(terms: Sequence[Balls]) -> list[Balls]:
    """Repeat columns so that all matrices are as wide as the widest."""
    columns = terms[0].columns
    for term in terms:
        if term.columns != 1:
            columns = term.columns
    return [
        term
        if term.columns == columns
        else Balls(term.height, columns, [v for v in term.flat for _ in range(columns)])
        for term in terms
    ]


def ball_interval(x: arb) -> Interval:
    """Return rational end points of a ball; see Note [Radii].

    They are its own, but for magnitudes below 2^-(2^24), which become that: no power of
    two is written out that is longer.

    Raises:
        UndecidedError: The ball is not finite, or larger than 2^(2^24).
    """
    if not x.is_finite():
        raise UndecidedError("nothing finite is known of the value at this precision")
    lower, upper = _dyadic(x.mid())
    _, radius = _dyadic(x.rad())
    return lower - radius, upper + radius


def _dyadic(x: arb) -> Interval:
    """Return an exact ball as a rational, or one too small to write out between two."""
    mantissa, exponent = x.man_exp()
    shift = int(exponent)
    if shift + int(mantissa).bit_length() < -_LARGEST_EXPONENT:
        tiny = fmpq(1, fmpz(1) << _LARGEST_EXPONENT)
        return (fmpq(0), tiny) if mantissa > 0 else (-tiny, fmpq(0))
    if shift > _LARGEST_EXPONENT:
        raise UndecidedError(
            f"the value is about 2^{shift}, out of the range of numbers to write out"
        )
    value = fmpq(mantissa << shift) if shift >= 0 else fmpq(mantissa, fmpz(1) << -shift)
    return value, value


def _dump(balls: list[arb]) -> bytes:
    """Return balls as four integers each; those that are not finite, in other words."""
    return marshal.dumps([_integers(ball) for ball in balls])


def _integers(ball: arb) -> tuple[Any, ...]:
    mid, rad = ball.mid(), ball.rad()
    if not mid.is_finite():
        return (float(mid),)
    middle = tuple(map(int, mid.man_exp()))
    if not rad.is_finite():
        return middle
    return (*middle, *map(int, rad.man_exp()))


def _load(pickled: bytes) -> list[arb]:
    """Return the balls that `_dump` was given."""
    rows = marshal.loads(pickled)
    bits = max((row[0].bit_length() for row in rows if len(row) > 1), default=0)
    least = min((row[3] for row in rows if len(row) > 3), default=0)
    nearly_exact = arb(0, (1, least - 64))
    with working_precision(bits + 2):  # so that sums of midpoints and 0 are exact
        return [_from_integers(nearly_exact, *row) for row in rows]


def _from_integers(nearly_exact: arb, mid: Any, *rest: int) -> arb:
    if not rest:
        return arb(mid)
    exponent, *radius = rest
    if not radius:
        return arb((mid, exponent), arb("inf"))
    rad, power = radius
    if rad.bit_length() < _RADIUS_BITS:
        return arb((mid, exponent), (rad, power))
    # python-flint rounds a radius of full length up to an even one. A sum is rounded up
    # too, by one: that of the even radius below and of next to nothing is what is wanted.
    ball = arb((mid, exponent), (rad - 1, power)) + nearly_exact
    if tuple(map(int, ball.rad().man_exp())) == (rad, power):
        return ball
    return arb((mid, exponent), (rad, power))
