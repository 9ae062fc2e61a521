# SPDX-License-Identifier: BSD-3-Clause
r"""Two nearby trajectories at once: how far apart their values can be, and in which way.

A value stands for three real matrices: $v(c)$ at a known point c, and $v(y)$, $v(\hat y)$ at
two points near it of which only this is known: for some $\xi, \xi'$ in $[-1, 1]^k$, the
same for all values, and vectors $\eta, \eta'$ of the value's own, $|\eta|, |\eta'| \le b$,

.. math:: v(\hat y) - v(y) = G\xi + \eta, \qquad v(y) - v(c) = \kappa (G\xi' + \eta').

G are the *generators*, b the *box*. Linear operations act on G, so that differences keep
their correlations; what is not linear goes into the box. (Affine arithmetic, Stolfi & de
Figueiredo 1997, for differences instead of values.) docs/theory/global-error.md proves
the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.domains.function_slopes import slope
from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.numerics.exact import Exact
from symrnn.numerics.upward import TINY, gamma

__all__ = ["SLACK", "Difference", "DifferenceDomain", "row_sums"]

Floats = npt.NDArray[np.float64]
Blocks = tuple[Floats | None, ...]

SLACK = 1 + 2.0**-40
"""Above the product of the roundings of some thousand operations on numbers >= 0."""


@dataclass(frozen=True)
class Difference:
    """See this module's documentation.

    Attributes:
        center: v(c), enclosed.
        blocks: The columns of G in blocks, each (features × columns), ``None`` for 0;
            only where there is one column of values.
        box: b, (features × 1), or ``None`` for 0.
    """

    center: Enclosed
    blocks: Blocks = ()
    box: Floats | None = None

    @cached_property
    def moves(self) -> bool:
        """Whether the trajectories may differ here."""
        return self.box is not None or any(b is not None for b in self.blocks)

    @cached_property
    def size(self) -> Floats:
        """An upper bound of |v(ŷ) - v(y)|, (features × 1)."""
        sums = row_sums([block for block in self.blocks if block is not None])
        return np.asarray(sums if self.box is None else (sums + self.box) * SLACK)


class DifferenceDomain(Domain[Difference]):
    """Differences of two trajectories, rigorously, in float64.

    Args:
        kappa: κ, from 0 to 1.
    """

    name = "difference"
    proven = True
    batched = False

    def __init__(self, kappa: float) -> None:
        self.kappa = kappa
        self.exact = EnclosureDomain()

    def context(self) -> Any:
        return self.exact.context()

    def matrix(self, values: Exact) -> Difference:
        return Difference(self.exact.matrix(values))

    def matmul(self, a: Difference, b: Difference) -> Difference:
        center = self.exact.matmul(a.center, b.center)
        if not b.moves:
            return Difference(center)
        mid, rad = a.center  # a is made of parameters, and does not move
        blocks = tuple(None if g is None else mid @ g for g in b.blocks)
        n, size = mid.shape[1], np.abs(mid)
        # 2·TINY makes up for underflow of the product with gamma.
        box = size @ (b.size * gamma(n + 2) + 2 * TINY) + rad @ b.size
        if b.box is not None:
            box += size @ b.box
        lost = (n + 2) * (_columns(blocks) + 8) * TINY
        return Difference(center, blocks, box * (SLACK * (1 + gamma(2 * n))) + lost)

    def add(self, *terms: Difference) -> Difference:
        center = self.exact.add(*(term.center for term in terms))
        moving = [term for term in terms if term.moves]
        if not moving:
            return Difference(center)
        first, *rest = moving
        for term in rest:
            first = _sum(first, term)
        return Difference(center, first.blocks, first.box)

    def neg(self, a: Difference) -> Difference:
        blocks = tuple(None if g is None else -g for g in a.blocks)
        return Difference(self.exact.neg(a.center), blocks, a.box)

    def hadamard(self, a: Difference, b: Difference) -> Difference:
        center = self.exact.hadamard(a.center, b.center)
        if not (a.moves or b.moves):
            return Difference(center)
        parts = [
            _scaled(other, factor.center.mid)
            for factor, other in ((a, b), (b, a))
            if other.moves
        ]
        total = parts[0] if len(parts) == 1 else _sum(*parts)
        # What is not ca·eb + cb·ea: (â - ca) eb + (b - cb) ea, and the centers' radii.
        extra = a.center.rad * b.size + b.center.rad * a.size
        extra = extra + (1 + 2 * self.kappa) * a.size * b.size
        return Difference(center, total.blocks, _grown(total.box, extra))

    def elementwise(self, function: ElementwiseFunction, a: Difference) -> Difference:
        center = self.exact.elementwise(function, a.center)
        if not a.moves:
            return Difference(center)
        reach = (a.center.rad + a.size * (1 + self.kappa)) * SLACK + 2 * TINY
        tube = Enclosed(a.center.mid, reach)
        slopes = slope(function, tube)
        moved = _scaled(a, slopes.mid)
        return Difference(center, moved.blocks, _grown(moved.box, slopes.rad * a.size))

    def transpose(self, a: Difference) -> Difference:
        return Difference(self.exact.transpose(a.center))  # of parameters

    def constant(self, value: int, rows: int, columns: int = 1) -> Difference:
        return Difference(self.exact.constant(value, rows, columns))

    def vstack(self, parts: Sequence[Difference]) -> Difference:
        """Put columns on top of each other; their blocks must have equal widths."""
        center = self.exact.vstack([part.center for part in parts])
        count = max(len(part.blocks) for part in parts)
        blocks = tuple(_stacked(parts, k) for k in range(count))
        box = np.vstack(
            [
                np.zeros((len(p.center.mid), 1)) if p.box is None else p.box
                for p in parts
            ]
        )
        return Difference(center, blocks, box)

    def hstack(self, parts: Sequence[Difference]) -> Difference:
        return Difference(self.exact.hstack([part.center for part in parts]))

    def split(self, a: Difference, widths: Sequence[int]) -> list[Difference]:
        return [Difference(part) for part in self.exact.split(a.center, widths)]

    def rows(self, a: Difference) -> list[list[Any]]:
        return self.exact.rows(a.center)

    def interval(self, element: Any) -> Interval:
        return self.exact.interval(element)


# --- parts --------------------------------------------------------------------------


def row_sums(blocks: Sequence[Floats]) -> Any:
    """Return upper bounds of the row sums of absolute values; 0 of nothing."""
    count = sum(block.shape[1] for block in blocks)
    sums = sum(np.abs(block).sum(axis=1, keepdims=True) for block in blocks)
    return sums * (SLACK * (1 + gamma(count + len(blocks))))


def _columns(blocks: Blocks) -> int:
    return sum(block.shape[1] for block in blocks if block is not None)


def _grown(box: Floats | None, extra: Floats) -> Floats:
    return ((0.0 if box is None else box) + extra) * SLACK + 16 * TINY


def _scaled(a: Difference, factor: Floats) -> Difference:
    """Multiply generators and box by a column of floats, rounding into the box."""
    blocks = tuple(None if g is None else g * factor for g in a.blocks)
    lost = np.abs(factor) * a.size * gamma(1) + (_columns(blocks) + 2) * TINY
    box = 0.0 if a.box is None else np.abs(factor) * a.box
    return Difference(a.center, blocks, (box + lost) * SLACK + 4 * TINY)


def _sum(a: Difference, b: Difference) -> Difference:
    """Add generators and boxes, rounding into the box; sums do not underflow."""
    count = max(len(a.blocks), len(b.blocks))
    blocks = []
    for g, h in zip(_padded(a, count), _padded(b, count), strict=True):
        blocks.append(h if g is None else g if h is None else g + h)
    lost = (a.size + b.size) * gamma(1)
    boxes = [box for box in (a.box, b.box) if box is not None]
    return Difference(a.center, tuple(blocks), _grown(sum(boxes, start=lost), lost))


def _padded(a: Difference, count: int) -> Iterator[Floats | None]:
    yield from a.blocks
    yield from (None for _ in range(count - len(a.blocks)))


def _stacked(parts: Sequence[Difference], k: int) -> Floats | None:
    found = [part.blocks[k] if k < len(part.blocks) else None for part in parts]
    present = [block for block in found if block is not None]
    if not present:
        return None
    width = present[0].shape[1]
    return np.vstack(
        [
            np.zeros((len(part.center.mid), width)) if block is None else block
            for part, block in zip(parts, found, strict=True)
        ]
    )
