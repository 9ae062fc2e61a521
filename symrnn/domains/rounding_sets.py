# SPDX-License-Identifier: BSD-3-Clause
r"""Sets of numbers that a float program may hold, and polynomials of them.

`symrnn.domains.rounding_bounds` gives them their meaning; its notes define the words. `image` is
what a library may return for functions of balls, `narrow_image` the same in few passes.

Note [Narrow balls]
    For |d| <= r <= 1/4, |f(m + d) - f(m)| <= |f'(m)| r (1 + b r) with the bend b of
    `symrnn.numerics.elementary.FirstOrder`, whose |f'| is an upper bound. Where no radius is
    above R, the last factor is one number, 1 + bR.

Note [The value's own error]
    In formats of up to 24 bits, the error of the float64 value is not worth passes of its
    own. It is at most e·|v|, e the function's relative error (6.1·2^-53 for tanh and
    sigmoid), but for 16·2^-1074, and so less than e·2^p + 2^-900 ulps of the format. Library
    errors are taken to be `LEAST` ulps at least, so a factor of 1 + (e·2^p + 2^-900)/LEAST on
    them covers it: 1.001 in float32. 2^-46 more covers the roundings of the sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.domains.activation_errors import LEAST, ActivationErrors
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.domains.function_slopes import slope
from symrnn.equations.functions import FUNCTIONS, ElementwiseFunction

__all__ = [
    "INFLATE",
    "NARROW",
    "Floating",
    "atoms_of",
    "cross",
    "image",
    "narrow_image",
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


NARROW = 2.0**-8
"""The largest radius of a narrow ball."""

_BLOCK = 1 << 15  # elements: half a dozen arrays of them fit into a second-level cache


_INFLATE = 1 + 2.0**-46


def image(
    function: ElementwiseFunction,
    mid: Floats,
    rad: Floats,
    spread: Floats | None,
    errors: ActivationErrors | None,
) -> tuple[Floats, Floats, Floats | None]:
    """Return what a library may return for a function of numbers known to within bounds.

    Args:
        function: f.
        mid: The numbers.
        rad: What roundings may have done to them.
        spread: How far they may be from `mid` otherwise, if at all.
        errors: The library's errors; ``None`` where f rounds nothing.

    Returns:
        ``(mid, rad, spread)`` of the values, in the same sense.
    """
    if spread is None and errors is not None:
        found = _flat(partial(narrow_image, errors=errors), mid, rad)
        if found is not None:
            return (*found, None)
    within = rad
    if spread is None:
        value, moved = _hull(function, mid, rad)
        around, reach = moved, None
    else:
        within = (rad + spread) * INFLATE
        value, reach = _hull(function, mid, spread)
        _, around = _hull(function, mid, within)
        slopes = slope(function, Enclosed(mid, within))
        steepest = np.abs(slopes.mid) + slopes.rad
        moved = np.minimum(steepest * rad * INFLATE, 2 * around)
    if errors is not None:
        most = np.abs(value)
        most += around
        most *= INFLATE
        moved = moved + _flat(errors.bound, mid, within, most)
        moved *= INFLATE
    return value, moved, reach


def _hull(
    function: ElementwiseFunction, mid: Floats, rad: Floats
) -> tuple[Floats, Floats]:
    if function.enclose is not None:
        return _flat(function.enclose, mid, rad)
    found = EnclosureDomain().elementwise(function, Enclosed(mid, rad))
    return found.mid, found.rad


def _flat(function: Any, *arrays: Floats) -> Any:
    """Call a function of arrays on them as they lie in memory, or nearly."""
    if arrays[0].flags.c_contiguous:
        return function(*map(np.ascontiguousarray, arrays))
    found = function(*(np.ascontiguousarray(values.T) for values in arrays))
    if found is None:
        return None
    return tuple(f.T for f in found) if isinstance(found, tuple) else found.T


def narrow_image(
    mid: Floats, rad: Floats, errors: ActivationErrors
) -> tuple[Floats, Floats] | None:
    """Return the values of a function, and how far from them a library may be.

    Args:
        mid: Midpoints, C-contiguous.
        rad: Radii, 0 or more, in the same shape.
        errors: The library's errors. They name function and format.

    Returns:
        ``(value, radius)`` in the same shape: what the library returns for any argument
        within `rad` of `mid` is within radius of value. ``None`` where that takes more
        care: for a function whose entry has no `first_order`, for formats of more than
        24 bits, and where a ball is not narrow or not finite.

    >>> from symrnn.domains.activation_errors import assumed_errors
    >>> from symrnn.numerics.formats import FORMATS
    >>> errors = assumed_errors("tanh", FORMATS["float32"])
    >>> value, radius = narrow_image(np.array([0.0, 1.0]), np.array([1e-6, 0.0]), errors)
    >>> value.round(6).tolist(), bool((radius < 1.1e-6).all())
    ([0.0, 0.761594], True)
    """
    precision = errors.format.precision
    function = FUNCTIONS.get(errors.function)
    order = None if function is None else function.first_order
    if order is None or precision > 24 or not mid.size:
        return None
    widest = float(rad.max())
    if not widest <= NARROW:
        return None
    scale = 1 + order.relative_error * 2.0**precision / LEAST + 2.0**-45
    growth = (1 + order.bend * widest) * _INFLATE
    value, radius = np.empty_like(mid), np.empty_like(mid)
    flat = [array.reshape(-1) for array in (mid, rad, value, radius)]
    for start in range(0, mid.size, _BLOCK):
        m, r, v, image = (array[start : start + _BLOCK] for array in flat)
        if not order.values(m, v):
            return None
        order.slope(v, image)
        image *= r
        image *= growth
        most = np.abs(v)
        most += image
        most *= _INFLATE
        image += errors.bound(m, r, most, scale=scale)
    return value, radius
