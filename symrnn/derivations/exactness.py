# SPDX-License-Identifier: BSD-3-Clause
"""Which values are known exactly, and what they are: what decides between = and ≈.

A domain whose elements are rationals, short closed forms such as tanh(3/4) where these
are asked for, or ``None`` where the value is neither or not worth following. ``None`` only
ever costs an equals sign: such a number is printed as rounded, which is never wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from flint import fmpq

from symrnn.documents.layout import width
from symrnn.documents.model import Brackets, Fraction, Function, Math, Number, Sign
from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.errors import UndecidedError
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network
from symrnn.numerics.exact import Exact, to_rational
from symrnn.runs.run import run
from symrnn.runs.trace import Trace

__all__ = [
    "Closed",
    "Known",
    "KnownRationals",
    "digits_of",
    "fraction",
    "trace_rationals",
]


@dataclass(frozen=True, slots=True)
class Closed:
    """An irrational number in closed form: how it is written, and whether as a sum."""

    math: Math
    is_sum: bool = False


Known = fmpq | Closed | None
Rows = list[list[Known]]

_WIDEST = 26.4  # digits; wider closed forms are not worth following

_LARGEST = 4096  # bits; a relu network's rationals grow with every step
_WORK = 200_000  # multiplications; past this, few numbers are short decimals anyway


def trace_rationals(
    net: Network, inputs: Inputs, *, closed: bool = False, longest: int = 8
) -> Trace | None:
    """Run the network over the rationals, or return ``None`` where that takes long.

    Args:
        net: The network.
        inputs: What it runs on.
        closed: As of `KnownRationals`.
        longest: As of `KnownRationals`.
    """
    weights = sum(a.size for arrays in net.parameters.values() for a in arrays.values())
    if weights * sum(inputs.widths) > _WORK:
        return None
    domain = KnownRationals(closed=closed, longest=longest)
    return run(net, inputs, domain, keep="nodes")


def digits_of(value: fmpq) -> int:
    """Return how many digits a fraction has, above and below together.

    >>> digits_of(fmpq(-22, 7))
    3
    """
    return len(str(abs(int(value.p)))) + len(str(int(value.q)))


def fraction(value: fmpq) -> Math:
    """Return a rational as it is written: a whole number or a fraction.

    >>> fraction(fmpq(-3))
    (Number(text='-3', origin=None),)
    """
    sign: Math = (Sign("negative"),) if value < 0 else ()
    top = (Number(str(abs(int(value.p)))),)
    if value.q == 1:
        return (Number(str(int(value.p))),)
    return (*sign, Fraction(top, (Number(str(int(value.q))),)))


class KnownRationals(Domain[Rows]):
    """Rationals as far as they go, ``None`` from there; rows of a matrix in lists.

    Args:
        closed: Whether to follow short closed forms too.
        longest: How many digits a fraction in a closed form may have.
    """

    name = "known rationals"
    proven = True

    def __init__(self, *, closed: bool = False, longest: int = 8) -> None:
        self.closed = closed
        self.longest = longest

    def matrix(self, values: Exact) -> Rows:
        return [[to_rational(v) for v in row] for row in values.tolist()]

    def matmul(self, a: Rows, b: Rows) -> Rows:
        columns = self.transpose(b)
        return [
            [
                _sum([_product(x, y) for x, y in zip(row, c, strict=True)])
                for c in columns
            ]
            for row in a
        ]

    def add(self, *terms: Rows) -> Rows:
        return _each(lambda *values: _sum(values), *terms)

    def neg(self, a: Rows) -> Rows:
        return _each(_negative, a)

    def hadamard(self, a: Rows, b: Rows) -> Rows:
        return _each(_product, a, b)

    def elementwise(self, function: ElementwiseFunction, a: Rows) -> Rows:
        return _each(lambda v: self._image(function, v), a)

    def _image(self, function: ElementwiseFunction, value: Known) -> Known:
        if value is None:
            return None
        if isinstance(value, fmpq):
            found = function.rational(value)
            if found is not None:
                return found
        if not self.closed:
            return None
        if isinstance(value, fmpq) and digits_of(value) > self.longest:
            return None
        name = Function(function.name, function.latex)
        return _short(Closed((name, Brackets(_written(value)))))

    def transpose(self, a: Rows) -> Rows:
        return [list(column) for column in zip(*a, strict=True)]

    def constant(self, value: int, rows: int, columns: int = 1) -> Rows:
        return [[fmpq(value)] * columns for _ in range(rows)]

    def vstack(self, parts: Sequence[Rows]) -> Rows:
        return [list(row) for part in parts for row in part]

    def hstack(self, parts: Sequence[Rows]) -> Rows:
        return [list(chain.from_iterable(rows)) for rows in zip(*parts, strict=True)]

    def split(self, a: Rows, widths: Sequence[int]) -> list[Rows]:
        starts = [sum(widths[:i]) for i in range(len(widths))]
        return [
            [row[s : s + w] for row in a] for s, w in zip(starts, widths, strict=True)
        ]

    def rows(self, a: Rows) -> list[list[Any]]:
        return [list(row) for row in a]

    def interval(self, element: Any) -> Interval:
        if element is None:
            raise UndecidedError("the value is not known to be rational")
        return element, element


def _each(function: Callable[..., Known], *operands: Rows) -> Rows:
    """Apply to corresponding elements; a column stands for every column."""
    width = max(len(rows[0]) for rows in operands)
    wide = [
        [row * width if len(row) == 1 else row for row in rows] for rows in operands
    ]
    return [
        [function(*values) for values in zip(*rows, strict=True)]
        for rows in zip(*wide, strict=True)
    ]


def _sum(values: Sequence[Known]) -> Known:
    total, others = fmpq(0), list[Closed]()
    for value in values:
        if value is None:
            return None
        if isinstance(value, Closed):
            others.append(value)
        else:
            total += value
    if not others:
        return _followed(total)
    terms = [other.math for other in others]
    if total != 0:  # 1 - tanh(2), and not -tanh(2) + 1
        first = total > 0 and terms[0][0] == Sign("negative")
        terms.insert(0 if first else len(terms), fraction(total))
    if len(terms) == 1:
        return others[0]
    return _short(Closed(_joined(terms), is_sum=True))


def _product(x: Known, y: Known) -> Known:
    if x == 0 or y == 0:
        return fmpq(0)
    if x is None or y is None:
        return None
    if isinstance(x, fmpq) and isinstance(y, fmpq):
        return _followed(x * y)
    if x == 1 or y == 1:
        return y if x == 1 else x
    if x == -1 or y == -1:
        return _negative(y if x == -1 else x)
    left, right = _factor(x, first=True), _factor(y, first=False)
    return _short(Closed((*left, Sign("dot"), *right)))


def _negative(value: Known) -> Known:
    if isinstance(value, Closed):
        return _short(Closed((Sign("negative"), *_factor(value, first=False))))
    return None if value is None else -value


def _written(value: fmpq | Closed) -> Math:
    return value.math if isinstance(value, Closed) else fraction(value)


def _factor(value: fmpq | Closed, *, first: bool) -> Math:
    """Return a factor, in brackets where it needs them."""
    math = _written(value)
    signed = math[0] == Sign("negative") or (
        isinstance(math[0], Number) and math[0].text.startswith("-")
    )
    if (isinstance(value, Closed) and value.is_sum) or (signed and not first):
        return (Brackets(math),)
    return math


def _joined(terms: Sequence[Math]) -> Math:
    """Return a sum; a term that begins with a minus is subtracted."""
    math = terms[0]
    for term in terms[1:]:
        head = term[0]
        if head == Sign("negative"):
            math = (*math, Sign("minus"), *term[1:])
        elif isinstance(head, Number) and head.text.startswith("-"):
            math = (*math, Sign("minus"), Number(head.text[1:]), *term[1:])
        else:
            math = (*math, Sign("plus"), *term)
    return math


def _short(value: Closed) -> Closed | None:
    return value if width(value.math) <= _WIDEST else None


def _followed(value: fmpq) -> Known:
    size = int(value.p).bit_length() + int(value.q).bit_length()
    return value if size <= _LARGEST else None
