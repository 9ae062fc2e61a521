# SPDX-License-Identifier: BSD-3-Clause
"""Sets of numbers that a float program may hold, and polynomials of them.

`symrnn.audit.local.floating` gives them their meaning; its notes define the words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "INFLATE",
    "Floating",
    "atoms_of",
    "cross",
    "outer_of",
    "peak_of",
    "plus",
    "product",
    "products",
    "reach_of",
    "size_of",
    "times",
    "total",
    "total_or_none",
]

Floats = npt.NDArray[np.float64]

INFLATE = 1 + 2.0**-46
"""Above the product of the roundings of any few float64 operations on sizes and radii."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floating:
    """A matrix of sets of numbers that a float program may hold (features × columns).

    The *exact* value, of the equations at the subject's own atoms, lies within `spread`
    of `mid`; what the subject holds lies within `rad` of the exact value, once the
    rounding of the polynomial that is pending has been added by
    `FloatingDomain.settle`. ``None`` is 0 everywhere.

    Attributes:
        mid: float64.
        rad: What the atoms' own errors can make, or ``None``.
        spread: How far the place where it is evaluated may be from `mid`, or ``None``.
        size: |p| of Note [Any order, any form], float64 or float32; of atoms, an upper
            bound of what they may be, ``None`` where nobody needs it yet.
        monomials: m there.
        degree: d there.
        outer: |p'| of Note [Two formats]; ``None`` where there is one format, and for
            atoms.
        outer_monomials: m' there.
        outer_degree: d' there.
        products: 1 if a matrix product waits to be stored, else 0.
        atoms: The atoms that a polynomial is made of; none for an atom.
    """

    mid: Floats
    rad: Floats | None = None
    spread: Floats | None = None
    size: npt.NDArray[Any] | None = None
    monomials: int = 1
    degree: int = 1
    outer: Floats | None = None
    outer_monomials: int = 1
    outer_degree: int = 1
    products: int = 0
    atoms: tuple[Floating, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether no rounding is pending."""
        return self.monomials + self.degree == 2 and not self.products

    def columns(self, start: int, stop: int) -> Floating:
        """Return some columns; a single column stands for all."""
        width = self.mid.shape[1]
        if (start == 0 and stop == width) or width == 1 != stop - start:
            return self

        def cut(values: Any) -> Any:
            return None if values is None else values[:, start:stop]

        return Floating(
            mid=cut(self.mid),
            rad=cut(self.rad),
            spread=cut(self.spread),
            size=cut(self.size),
            monomials=self.monomials,
            degree=self.degree,
            outer=cut(self.outer),
            outer_monomials=self.outer_monomials,
            outer_degree=self.outer_degree,
            products=self.products,
            atoms=self.atoms,
        )


def size_of(a: Floating) -> npt.NDArray[Any]:
    """Return |p| of a polynomial; of an atom, the most that is in it."""
    return reach_of(a) if a.size is None else a.size


def outer_of(a: Floating) -> Floats:
    """Return |p'| of the outer polynomial; of an atom, the most that is in it."""
    return reach_of(a) if a.outer is None else a.outer


def atoms_of(*operands: Floating) -> tuple[Floating, ...]:
    """Return the atoms that some operands are made of."""
    return tuple(atom for a in operands for atom in a.atoms or (a,))


def peak_of(a: Floating) -> float:
    """Return the largest magnitude in an atom, at least 1; see Note [Underflow].

    What is not finite does not count: nothing that it is a factor of is known.
    """
    around = reach_of(a)
    top = float(np.max(around, initial=0.0))
    if not math.isfinite(top):
        top = float(np.max(around, initial=0.0, where=np.isfinite(around)))
    return max(1.0, top * INFLATE)


def plus(first: Any, *rest: Floats | None) -> Any:
    """Return a sum in which ``None`` is 0."""
    for values in rest:
        if values is not None:
            first = first + values
    return first


def reach_of(a: Floating) -> Floats:
    """Return |mid| and what is around it."""
    around = np.abs(a.mid)
    for values in (a.spread, a.rad):
        if values is not None and values.shape == around.shape:
            around += values
        elif values is not None:
            around = around + values
    return around


def product(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a·b with columns contiguous, as all arrays of many columns are here."""
    return (b.T @ a.T).T


def products(*pairs: tuple[Floats | None, Floats | None]) -> Floats | None:
    """Return the sum of the matrix products of some pairs, ``None`` for 0."""
    found = [product(a, b) for a, b in pairs if a is not None and b is not None]
    return sum(found[1:], found[0]) if found else None


def cross(
    left: Floats, inner: Floats | None, outer: Floats | None, right: Floats
) -> Floats | None:
    """Return left·inner + outer·right."""
    if inner is None or outer is None:
        return left * inner if inner is not None else times(outer, right)
    total = left * inner
    total += outer * right
    return total


def times(a: Floats | None, b: Floats) -> Floats | None:
    """Return the elementwise product, ``None`` for 0."""
    return None if a is None else a * b


def total_or_none(parts: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Return the sum of what is not ``None``, in a shape, or ``None`` if nothing is there."""
    present = [values for values in parts if values is not None]
    return np.broadcast_to(total(present), shape) if present else None


def total(terms: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the sum, in one new array where the first two are as large as it will be."""
    if len(terms) == 1:
        return terms[0]
    total = terms[0] + terms[1]
    for term in terms[2:]:
        grows = term.shape != total.shape and term.size > total.size
        total = np.add(total, term, out=None if grows else total)
    return total
