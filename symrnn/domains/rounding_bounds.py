# SPDX-License-Identifier: BSD-3-Clause
r"""What honest floating-point arithmetic may return: enclosures of all of it.

A value of `FloatingDomain` contains whatever a program in the given format may hold in
its place, whichever order it sums in and whichever equal form of the equations it uses.

Note [Any order, any form]
    Sums, products and negations between two elementwise functions make a polynomial in
    *atoms*: inputs, states, parameters, and results of elementwise functions. Write
    ``|p|`` for the polynomial with all coefficients and atoms made non-negative, ``m``
    for its number of monomials and ``d`` for its degree, as if nothing cancelled or
    were collected. In every evaluation of p by additions and multiplications that
    distribute, factor and reorder in any way, but cancel nothing, each monomial collects
    at most N = m + d - 2 factors (1 + δ), |δ| <= u (docs/theory/local-audit.md), so the
    error is at most γ_N |p|. A fused multiply-add omits a rounding and so
    takes part. torch's GRU, ``(h - n) z + n``, and the documented ``(1 - z) n + z h``
    are two of these evaluations of one polynomial, with one bound.

    This module's own float64 evaluation is a third, so its error has the same form.

Note [Two formats]
    Half-precision kernels accumulate matrix products in float32 and store results in
    the half format; a bound with n·2^-8 would say nothing. If `accumulate` is finer than
    the format, then a matrix product is an atom of an outer polynomial, whose m', d' and
    |p'| count the roundings to the format: m' + d' - 2 + 1, one for storing products.
    The assumption, which reports state: every product is accumulated in `accumulate` and
    stored at most once, from stored operands.

Note [Underflow]
    A multiplication that underflows errs by at most the smallest subnormal number. There
    are at most m·d operations, and what one loses is multiplied by at most d - 2 further
    atoms. Where subnormals are flushed to zero, multiplications, additions, stores and
    relu lose up to the smallest normal number; and as ``torch.set_flush_denormal`` has
    operands taken for zero too, so do the m·d atoms, each multiplied by d - 1 others.

Note [Overflow]
    Where a polynomial p, or one that it is a multiple of, may not be computed without
    overflow, the radius is infinite and stays so, through functions of a bounded range
    too: honest arithmetic may have met ∞ - ∞ or 0·∞ there, and hold NaN. What stays
    finite is sound for programs that compute p's factors as the equations have them, or
    multiplied out, or with sums of atoms factored out that do not overflow themselves.

Note [Sizes in groups]
    |p| of an inner product is Σ|w||x|, as large a matrix product as the value itself. By
    Cauchy and Schwarz, with the products in groups of g and ‖·‖ the 2-norm over a group,
    Σ|w||x| <= Σ ‖w‖‖x‖: a product with g times fewer columns. For dense numbers the
    bound grows by a third; in the worst case, where of each group one side has a single
    number, by √g. (Where one side has zeros wherever the other has none, both are zero in
    truth.) Who finds a result that comes near such a bound judges it again with g = 1.
    Both sides are bounded from above, and rounded to the format in which they are
    multiplied.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.domains.activation_errors import ActivationErrors, assumed_errors
from symrnn.domains.enclosure import EnclosureDomain
from symrnn.domains.rounding_sets import (
    INFLATE,
    Floating,
    atoms_of,
    cross,
    image,
    outer_of,
    peak_of,
    plus,
    product,
    products,
    reach_of,
    size_of,
    total,
    total_or_none,
)
from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.numerics import upward as directed
from symrnn.numerics.exact import Exact
from symrnn.numerics.formats import FloatFormat, as_float
from symrnn.numerics.upward import gamma

__all__ = ["FloatingDomain", "left_sizes", "right_sizes", "rough_sizes"]


Floats = npt.NDArray[np.float64]


class FloatingDomain(Domain[Floating]):
    """All that honest arithmetic in a float format may return.

    Args:
        target: The format in which results are stored.
        accumulate: The format in which matrix products are accumulated; `target` by
            default.
        activations: Errors of the elementwise functions by name; assumed ones for others.
        flushes: Whether subnormal results may be flushed to zero.
        unit: From a number of roundings and a precision in bits to the relative error
            that they can make together, γ by default. A probabilistic bound, such as
            Higham & Mary's (2019), may stand here; results then are no longer proven.

    Its values are sound under the standard model, fl(a op b) = (a op b)(1 + δ) + η with
    |δ| <= u, and the assumptions of this module's notes.
    """

    name = "floating"
    proven = True

    def __init__(
        self,
        target: FloatFormat,
        accumulate: FloatFormat | None = None,
        *,
        activations: Mapping[str, ActivationErrors] | None = None,
        flushes: bool = False,
        unit: Any = gamma,
    ) -> None:
        self.target = target
        self.accumulate = accumulate or target
        self.mixed = self.accumulate.precision > target.precision
        self.activations = dict(activations or {})
        self.flushes = flushes
        self.unit = unit
        # Sizes need few digits, and float32 products take half the time.
        self.rough = np.float32 if target.precision <= 24 else np.float64

    def context(self) -> Any:
        return np.errstate(all="ignore")

    # --- into the domain ---

    def matrix(self, values: Exact) -> Floating:
        if values.dtype != object:
            return self.atom(values)
        found = EnclosureDomain().matrix(values)
        return self.atom(found.mid, found.rad if np.any(found.rad) else None)

    def parameter(
        self, name: str, values: Exact, position: tuple[int, str]
    ) -> Floating:
        """Take a parameter; the subject holds it rounded to its format."""
        value = self.matrix(values)
        if value.rad is not None or np.any(_rounded_off(value.mid, self.target)):
            slack = np.abs(value.mid) * 2.0**-self.target.precision + self._least
            value = replace(value, rad=plus(slack * INFLATE, value.rad))
        return replace(value, size=rough_sizes(value, self.rough))

    def factor(self, value: Floating, group: int = 1) -> Floating:
        """Return an atom made ready to be multiplied by parameters many times.

        Args:
            value: The atom.
            group: As in `side_by_side`.
        """
        return replace(value, size=right_sizes(value, group, self.rough))

    def atom(
        self, mid: Floats, rad: Floats | None = None, spread: Floats | None = None
    ) -> Floating:
        """Return numbers that the subject holds, known to within `rad` and `spread`."""
        return Floating(mid=mid, rad=rad, spread=spread)

    def side_by_side(self, parts: Sequence[Floating], group: int = 1) -> Floating:
        """Return parameters in one matrix, to be multiplied with `factor`'s results.

        Args:
            parts: Parameters without radii, or a single one.
            group: g of Note [Sizes in groups], `symrnn.domains.rounding_bounds`.
        """
        if len(parts) == 1:
            return replace(parts[0], size=left_sizes(parts[0], group, self.rough))
        joined = Floating(mid=np.hstack([p.mid for p in parts]))
        return replace(joined, size=left_sizes(joined, group, self.rough))

    # --- polynomials ---

    def matmul(self, a: Floating, b: Floating) -> Floating:
        if self.mixed:
            a, b = self.settle(a), self.settle(b)
        else:
            a, b = self._without_overflow(a), self._without_overflow(b)
        mid = product(a.mid, b.mid)
        rad = spread = None
        if a.rad is not None or b.rad is not None:
            rad = products((np.abs(a.mid), b.rad), (a.rad, reach_of(b)))
        if a.spread is not None or b.spread is not None:
            around = plus(np.abs(b.mid), b.spread)
            spread = products((np.abs(a.mid), b.spread), (a.spread, around))
        return Floating(
            mid=mid,
            rad=rad,
            spread=spread,
            size=product(rough_sizes(a, self.rough), rough_sizes(b, self.rough)),
            monomials=a.mid.shape[1] * a.monomials * b.monomials,
            degree=a.degree + b.degree,
            outer=plus(np.abs(mid), rad, spread) if self.mixed else None,
            products=int(self.mixed),
            atoms=atoms_of(a, b),
        )

    def add(self, *terms: Floating) -> Floating:
        mid = total([t.mid for t in terms])
        return Floating(
            mid=mid,
            rad=total_or_none([t.rad for t in terms], mid.shape),
            spread=total_or_none([t.spread for t in terms], mid.shape),
            size=total_or_none([size_of(t) for t in terms], mid.shape),
            monomials=sum(t.monomials for t in terms),
            degree=max(t.degree for t in terms),
            outer=total_or_none([outer_of(t) for t in terms], mid.shape)
            if self.mixed
            else None,
            outer_monomials=sum(t.outer_monomials for t in terms),
            outer_degree=max(t.outer_degree for t in terms),
            products=max(t.products for t in terms),
            atoms=atoms_of(*terms),
        )

    def neg(self, a: Floating) -> Floating:
        return replace(a, mid=-a.mid)

    def hadamard(self, a: Floating, b: Floating) -> Floating:
        a, b = self._without_overflow(a), self._without_overflow(b)
        left, right = reach_of(a), reach_of(b)
        rad = cross(left, b.rad, a.rad, right)
        spread = cross(left, b.spread, a.spread, right)
        return Floating(
            mid=a.mid * b.mid,
            rad=rad,
            spread=spread,
            size=(left if a.size is None else a.size)
            * (right if b.size is None else b.size),
            monomials=a.monomials * b.monomials,
            degree=a.degree + b.degree,
            outer=outer_of(a) * outer_of(b) if self.mixed else None,
            outer_monomials=a.outer_monomials * b.outer_monomials,
            outer_degree=a.outer_degree + b.outer_degree,
            products=a.products + b.products,
            atoms=atoms_of(a, b),
        )

    # --- roundings ---

    def settle(self, a: Floating) -> Floating:
        """Add what the pending roundings may do, and return an atom."""
        if a.settled:
            return a
        rad, slack, finite = self._roundings(a)
        if a.rad is not None:
            rad += a.rad
            rad *= slack
        rad += self._underflow(a)
        if finite is not None:
            rad = np.where(finite, rad, np.inf)
        spread = None if a.spread is None else a.spread * slack
        return self.atom(a.mid, rad, spread)

    def _roundings(
        self, a: Floating
    ) -> tuple[Floats, float, npt.NDArray[np.bool_] | None]:
        """Return what the pending roundings may do, and where none of them overflows.

        Between the two, what to multiply with for the roundings of sizes and radii: there
        were as many upon non-negative numbers. ``None`` at last: nowhere.
        """
        roundings = a.monomials + a.degree - 2
        size = size_of(a)
        made = self.unit(roundings, self.accumulate.precision)
        bits = 24 if size.dtype == np.float32 else 53
        # INFLATE twice: for these few operations, and for those of `settle`.
        slack = (1 + gamma(4 * roundings + 32, bits)) * INFLATE
        factor = (made + gamma(roundings)) * slack * INFLATE
        rad = np.multiply(size, factor, dtype=np.float64)
        reach = [(size, slack + factor, as_float(self.accumulate.largest))]
        if self.mixed:
            outer = outer_of(a) + rad
            stored = a.outer_monomials + a.outer_degree - 2 + a.products
            made = self.unit(stored, self.target.precision) * INFLATE**2
            rad += outer * made
            reach.append((outer, INFLATE + made, self._largest))
        finite = None
        for values, growth, largest in reach:
            if not float(np.max(values, initial=0.0)) * growth < largest:
                below = values < largest / growth
                finite = below if finite is None else finite & below
        return rad, slack, finite

    def _without_overflow(self, a: Floating) -> Floating:
        """Return a factor, with infinite radius where it may overflow by itself."""
        if a.settled:
            return a
        grown = self.unit(a.monomials + a.degree, self.accumulate.precision)
        if self.mixed:
            stored = a.outer_monomials + a.outer_degree + a.products
            grown += self.unit(stored, self.target.precision)
        peaks = [float(np.max(size, initial=0.0)) for size in (size_of(a), outer_of(a))]
        if grown < 1 and 8 * max(peaks) < self._largest:
            return a
        _, _, finite = self._roundings(a)
        if finite is None:
            return a
        rad = np.zeros_like(a.mid) if a.rad is None else a.rad
        return replace(a, rad=np.where(finite, rad, np.inf))

    def elementwise(self, function: ElementwiseFunction, a: Floating) -> Floating:
        a = self.settle(a)
        rad = np.zeros_like(a.mid) if a.rad is None else a.rad
        errors = self._errors(function) if function.rounds else None
        mid, rad, spread = image(function, a.mid, rad, a.spread, errors)
        if self.flushes and not function.rounds:
            rad = rad * INFLATE + _lost(self.target, flushes=True)
        # Nothing follows from NaN, nor from infinity: Note [Overflow].
        known = a.mid if a.rad is None else a.mid + a.rad
        if not math.isfinite(float(np.sum(known))):
            rad = np.where(np.isfinite(known), rad, np.inf)
        return self.atom(mid, rad, spread)

    def _errors(self, function: ElementwiseFunction) -> ActivationErrors:
        if function.name not in self.activations:
            self.activations[function.name] = assumed_errors(function.name, self.target)
        return self.activations[function.name]

    def _underflow(self, a: Floating) -> float:
        """Return what underflow can add; see Note [Underflow]."""
        count = a.monomials * a.degree
        lost = count * (_lost(self.accumulate, self.flushes) + directed.TINY)
        if self.mixed:
            stored = a.outer_monomials * a.outer_degree + a.products
            lost += stored * _lost(self.target, self.flushes)
        further = a.degree - 2
        if self.flushes:
            lost, further = 2 * lost, a.degree - 1
        if further > 0:
            lost *= float(
                np.power(max(map(peak_of, a.atoms)), further)
            )  # ∞ if too large
        return 2 * lost

    @property
    def _least(self) -> float:
        return 2.0 ** max(-1074, self.target.emin - self.target.precision + 1)

    @property
    def _largest(self) -> float:
        """The largest finite number."""
        return as_float(self.target.largest)

    # --- everything else ---

    def transpose(self, a: Floating) -> Floating:
        a = self.settle(a)
        rad = None if a.rad is None else a.rad.T
        return replace(a, mid=a.mid.T, rad=rad)

    def constant(self, value: int, rows: int, columns: int = 1) -> Floating:
        return self.atom(np.full((rows, columns), float(value)))

    def vstack(self, parts: Sequence[Floating]) -> Floating:
        return self._joined(parts, np.vstack)

    def hstack(self, parts: Sequence[Floating]) -> Floating:
        return self._joined(parts, np.hstack)

    def split(self, a: Floating, widths: Sequence[int]) -> list[Floating]:
        a, ends = self.settle(a), np.cumsum(widths)
        return [
            replace(
                a,
                mid=a.mid[:, end - width : end],
                rad=None if a.rad is None else a.rad[:, end - width : end],
                spread=None if a.spread is None else a.spread[:, end - width : end],
            )
            for width, end in zip(widths, ends, strict=True)
        ]

    def rows(self, a: Floating) -> list[list[Any]]:
        a = self.settle(a)
        radii = plus(np.zeros_like(a.mid), a.rad, a.spread) * INFLATE
        pairs = zip(a.mid.tolist(), radii.tolist(), strict=True)
        return [list(zip(mids, found, strict=True)) for mids, found in pairs]

    def interval(self, element: Any) -> Interval:
        return EnclosureDomain().interval(element)

    def _joined(self, parts: Sequence[Floating], join: Any) -> Floating:
        settled = [self.settle(part) for part in parts]
        if len(settled) == 1:
            return settled[0]

        def column(name: str) -> Any:
            found = [getattr(part, name) for part in settled]
            if all(values is None for values in found):
                return None
            return join(
                [
                    np.zeros_like(part.mid) if values is None else values
                    for part, values in zip(settled, found, strict=True)
                ]
            )

        return Floating(
            mid=join([part.mid for part in settled]),
            rad=column("rad"),
            spread=column("spread"),
        )


def _lost(form: FloatFormat, flushes: bool) -> float:
    """Return the most that an operation of the format loses to underflow."""
    exponent = form.emin if flushes else form.emin - form.precision + 1
    return 2.0 ** max(-1074, exponent)


def _rounded_off(values: Floats, target: FloatFormat) -> npt.NDArray[np.bool_]:
    """Tell which numbers are not the format's own."""
    from symrnn.numerics.float_arithmetic import round_array

    return np.asarray(round_array(values, target) != values)


_TINY = 2.0**-126  # products of smaller float32 numbers take twenty times as long


_ABOVE = 1 + 2.0**-22  # more than roundings to float32 and of a few float64 operations


def rough_sizes(a: Floating, dtype: type[np.floating[Any]]) -> npt.NDArray[Any]:
    """Return an upper bound of `size` in the format that sizes are computed in.

    >>> rough_sizes(Floating(mid=np.array([[-0.5, 0.0]])), np.float32).round(3).tolist()
    [[0.5, 0.0]]
    """
    exact = _is_exact(a)
    size = a.mid if exact else size_of(a)
    if size.dtype == dtype and not exact:
        return size
    found: npt.NDArray[Any] = size.astype(dtype)
    if exact:  # the sign is lost where the array is half as wide
        np.abs(found, out=found)
    found *= dtype(_ABOVE)
    if not float(np.min(found, initial=1.0)) >= _TINY:
        np.maximum(found, dtype(_TINY), out=found, where=size != 0)
    return found


def left_sizes(
    a: Floating, group: int, dtype: type[np.floating[Any]]
) -> npt.NDArray[Any]:
    """Return upper bounds of the norms of groups of a matrix's columns.

    Args:
        a: Atoms, (m × k).
        group: g of Note [Sizes in groups].
        dtype: Of the result.

    Returns:
        (m × (k // g + k % g)): the last columns stand alone. Column j of the others is
        over columns j, j + k // g, ...

    >>> a = Floating(mid=np.array([[3.0, 7.0, -4.0, 0.0, -1.0]]))
    >>> left_sizes(a, 2, np.float64).round(5)
    array([[5., 7., 1.]])
    """
    values = a.mid if _is_exact(a) else size_of(a)
    return _norms(values, group, dtype)


def right_sizes(
    a: Floating, group: int, dtype: type[np.floating[Any]]
) -> npt.NDArray[Any]:
    """Return the same of groups of rows, (k × n) to ((k // g + k % g) × n).

    >>> right_sizes(Floating(mid=np.array([[3.0], [-4.0]])), 2, np.float64).round(5)
    array([[5.]])
    """
    values = a.mid if _is_exact(a) else size_of(a)
    return _norms(values.T, group, dtype).T


def _is_exact(a: Floating) -> bool:
    return a.size is None and a.rad is None and a.spread is None


def _norms(
    values: npt.NDArray[Any], group: int, dtype: type[np.floating[Any]]
) -> npt.NDArray[Any]:
    width, alone = divmod(values.shape[1], group)
    found = np.empty((len(values), width + alone))
    norms, rest = found[:, :width], found[:, width:]
    parts = [values[:, i * width : (i + 1) * width] for i in range(group)]
    np.square(parts[0], out=norms, dtype=np.float64)
    for part in parts[1:]:
        norms += np.square(part, dtype=np.float64)
    np.sqrt(norms, out=norms)
    np.abs(values[:, group * width :], out=rest)
    rough: npt.NDArray[Any] = found.astype(dtype)
    rough *= dtype(_ABOVE)
    # Squares of numbers that are as small as this may have vanished.
    if not float(np.min(rough, initial=1.0)) >= _TINY:
        some = np.any([part != 0 for part in parts], axis=0)
        some = np.concatenate([some, rest != 0], axis=1)
        np.maximum(rough, dtype(_TINY), out=rough, where=some)
    return rough
