# SPDX-License-Identifier: BSD-3-Clause
r"""The order in which a library's dot product adds, found by asking it.

With ones everywhere but for a huge term i and its negative j, all that is added to the
partial sum that holds i, before it meets j, is lost; what remains is the number of terms
outside the smallest partial sum that holds both. All these numbers together determine the
tree of additions (Xie, Gao & Xue, 'FPRev: revealing the order of floating-point
summation', 2024, arXiv:2411.00442). Whether a product is rounded before it is added shows
in $(1 + \epsilon)^2 - \mathrm{fl}((1 + \epsilon)^2)$, which is 0 only if it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from symrnn.domains.rounded import Tree, TreeOrder
from symrnn.formats import FloatFormat
from symrnn.rounding import Arithmetic, Floats

__all__ = ["reveal_order"]


def reveal_order(
    dot: Callable[[Floats, Floats], float], terms: int, format: FloatFormat
) -> TreeOrder:
    """Return the order of a dot product.

    It takes about terms² / 2 calls. What is found is the order of those calls; that other
    numbers are added in the same order is an assumption, true of libraries whose order
    depends on sizes alone.

    Args:
        dot: Maps two float64 arrays of shape (terms,), which hold numbers of `format`, to
            the dot product that a library computes in that format.
        terms: How many terms there are, at least 1.
        format: float32 or float64.

    >>> import symrnn.formats
    >>> single = symrnn.formats.FORMATS["float32"]
    >>> def dot(a, b):
    ...     return float(np.add.accumulate(np.float32(a) * np.float32(b))[-1])
    >>> reveal_order(dot, 4, single)
    TreeOrder(tree=(((0, 1), 2), 3), fused=frozenset())
    """
    ones = np.ones(terms)
    huge = 2.0 ** (3 * format.precision)

    def together(i: int, j: int) -> int:
        """Return how many terms the smallest partial sum with both has."""
        a = ones.copy()
        a[i], a[j] = huge, -huge
        return terms - round(dot(a, ones))

    sizes = np.zeros((terms, terms), dtype=int)
    for i in range(terms):
        for j in range(i + 1, terms):
            sizes[i, j] = sizes[j, i] = together(i, j)
    tree = _tree(sizes, range(terms))
    fused = frozenset(
        term
        for term, partner in _leaves_with_partners(tree)
        if _is_fused(dot, terms, term, partner, format)
    )
    return TreeOrder(tree, fused)


def _tree(
    sizes: np.ndarray[tuple[int, int], np.dtype[np.int_]], leaves: Sequence[int]
) -> Tree:
    """Build the tree over `leaves` outwards from the first of them."""
    first, *others = leaves
    tree: Tree = first
    for size in sorted({int(sizes[first, k]) for k in others}):
        tree = (tree, _tree(sizes, [k for k in others if sizes[first, k] == size]))
    return tree


def _leaves_with_partners(tree: Tree) -> Iterator[tuple[int, int]]:
    """Yield each term that is added by itself, and some term that it is added to."""
    rest = [tree]
    while rest:
        sum_of = rest.pop()
        if isinstance(sum_of, int):
            continue
        for part, other in (sum_of, sum_of[::-1]):
            if isinstance(part, int):
                while not isinstance(other, int):
                    other = other[0]
                yield part, other
            rest.append(part)


def _is_fused(
    dot: Callable[[Floats, Floats], float],
    terms: int,
    term: int,
    partner: int,
    format: FloatFormat,
) -> bool:
    """Whether the exact product of a term is added to the sum that holds its partner."""
    factor = 1 + 2.0 ** -((format.precision + 1) // 2)
    a, b = np.zeros(terms), np.zeros(terms)
    a[term] = b[term] = factor
    a[partner] = -float(Arithmetic(format).multiply(a[term], b[term]))
    b[partner] = 1.0
    return dot(a, b) != 0
