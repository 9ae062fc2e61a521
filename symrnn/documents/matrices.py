# SPDX-License-Identifier: BSD-3-Clause
"""How cells are put together: a matrix with dots for what it leaves out, a sum of products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symrnn.documents.model import Math, Sign, SignName
from symrnn.documents.notation import bracketed
from symrnn.documents.selection import Gap, with_gaps

__all__ = ["Cells", "dotted", "sum_of_products", "transposed"]

Cells = tuple[tuple[Math, ...], ...]
"""Rows of a matrix."""


def dotted(
    cells: Mapping[tuple[int, int], Math],
    rows: Sequence[int],
    columns: Sequence[int],
    shape: tuple[int, ...],
) -> Cells:
    """Return the rows of a matrix, with dots for the rows and columns left out.

    Args:
        cells: What is shown, by row and column.
        rows: The rows that are shown.
        columns: The columns that are shown.
        shape: How many rows and columns there are.
    """
    across = list(with_gaps(columns, range(shape[1])))
    lines: list[tuple[Math, ...]] = []
    for i in with_gaps(rows, range(shape[0])):
        line: list[Math] = []
        for j in across:
            if isinstance(i, Gap):
                line.append((Sign("ddots" if isinstance(j, Gap) else "vdots"),))
            else:
                line.append((Sign("cdots"),) if isinstance(j, Gap) else cells[i, j])
        lines.append(tuple(line))
    return tuple(lines)


_TURNED: Mapping[SignName, SignName] = {"cdots": "vdots", "vdots": "cdots"}


def transposed(cells: Cells) -> Cells:
    r"""Return rows as columns, with their dots turned.

    >>> transposed((((Sign("cdots"),),),))
    (((Sign(name='vdots'),),),)
    """
    return tuple(tuple(map(_turned, row)) for row in zip(*cells, strict=True))


def _turned(math: Math) -> Math:
    if len(math) == 1 and isinstance(math[0], Sign):
        return (Sign(_TURNED.get(math[0].name, math[0].name)),)
    return math


def sum_of_products(
    factors: Sequence[tuple[Math, Math]], terms: Sequence[int | Gap]
) -> Math:
    """Return a sum of products of two numbers.

    Args:
        factors: The pairs that are shown.
        terms: All terms in order, those that are shown by number.
    """
    math: Math = ()
    pairs = iter(factors)
    for term in terms:
        if math:
            math = (*math, Sign("plus"))
        if isinstance(term, Gap):
            math = (*math, Sign("cdots"))
            continue
        a, b = next(pairs)
        head = bracketed(a, first=not math)
        math = (*math, *head, Sign("dot"), *bracketed(b, first=False))
    return math
