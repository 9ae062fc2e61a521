# SPDX-License-Identifier: BSD-3-Clause
"""Balls and enclosures of which only the midpoints go on to the next step.

`symrnn.runs.propagation.tube` says why: what is lost in a step is written down, and carried along
as one number for each sequence instead of a radius for each element.

Note [Narrow arguments]
    A step starts from exact points, so the arguments of functions are as narrow as the
    precision allows. There the `narrow_balls` of a function's entry (FLINT's own tanh, or
    1/(1 + e^-x)) are as good as the hulls of its `ball`, and enclosures like those for
    arguments of any width. Only where they end in nothing finite, hulls are used. Parameters
    that are added are added up once; products are of integers, those of all gates at once
    (`symrnn.numerics.integer_products`). What is left of a step's time is spent in FLINT.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from symrnn.domains.ball import BallDomain, Balls
from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.equations.functions import ElementwiseFunction
from symrnn.networks.network import Position
from symrnn.numerics.elementary import Floats
from symrnn.numerics.exact import Exact
from symrnn.numerics.integer_products import (
    Digits,
    Slices,
    digits_of,
    product,
    slices_of,
)
from symrnn.numerics.norms import vector_norm_bound

__all__ = [
    "BOX",
    "BallPoints",
    "BallReplay",
    "Errors",
    "FloatCentres",
    "FloatPoints",
    "FloatReplay",
    "box_width",
    "sum_of_squares",
    "with_rounding",
]

_NARROW = 64  # columns; wide products are few, and FLINT is good at them

BOX = 2.0**-24
"""Half a box's width, over the largest magnitude in it (or over 1)."""

Errors = dict[tuple[Position, int], list[arb]]
"""For each position and step, one number for each sequence that is running."""

Scales = Mapping[Position, Mapping[str, float]]
"""For each position and state, the power of two that it is measured in."""


class _Points:
    """What the two arithmetics have in common: midpoints go on, radii are written down.

    Attributes:
        residuals: Bounds of ‖Sρ‖₂ by position and step.
    """

    def __init__(self, scales: Scales) -> None:
        self.scales = scales
        self.residuals: Errors = {}


class _Form(NamedTuple):
    """W_1 b_1 + W_2 b_2 + … + c_1 + …: the parameters, by their ids."""

    matrices: tuple[int, ...]
    columns: tuple[int, ...]


class _Sum(Balls):
    """A sum of products and columns, found when somebody looks at it."""

    __slots__ = ("domain", "form", "points")

    def __init__(
        self, domain: BallPoints, height: int, form: _Form, points: tuple[Balls, ...]
    ) -> None:
        super().__init__(height, points[0].columns)
        self.domain = domain
        self.form = form
        self.points = points

    @property
    def flat(self) -> list[arb]:
        """The elements, row by row."""
        if self._flat is None:
            self._flat = self.domain.evaluate(self)
        return self._flat


class _Group:
    """Sums over the same points: those of this step, and which there were in the last."""

    def __init__(self) -> None:
        self.points: tuple[Balls, ...] = ()
        self.digits: Digits | None = None
        self.used: tuple[_Form, ...] = ()
        self.partners: tuple[_Form, ...] = ()
        self.results: dict[_Form, list[arb]] = {}

    def start(self, points: tuple[Balls, ...], ones: int) -> None:
        """Take other points, if these are."""
        if len(points) == len(self.points) and all(
            map(operator.is_, points, self.points)
        ):
            return
        self.partners, self.used, self.results = self.used, (), {}
        self.points, columns = points, points[0].columns
        flat = [v for b in points for v in b.flat] + [arb(1)] * (ones * columns)
        try:
            self.digits = digits_of(flat, columns)
        except ValueError:  # from man_exp: one is no exact, finite number
            self.digits = None


class BallPoints(BallDomain, _Points):
    """Steps of balls from exact points."""

    batched = False  # inputs join the product of the points

    def __init__(self, precision: int, scales: Any) -> None:
        BallDomain.__init__(self, precision)
        _Points.__init__(self, scales)
        self._parameters: dict[
            int, tuple[Balls, Floats]
        ] = {}  # so that ids stay theirs
        self._stacks: dict[tuple[_Form, ...], Slices | None] = {}
        self._groups: dict[tuple[int, int], _Group] = {}

    def parameter(self, name: str, values: Exact, position: Any) -> Balls:
        balls = self.matrix(values)
        if values.dtype != object:
            self._parameters[id(balls)] = balls, values
        return balls

    def matmul(self, a: Balls, b: Balls) -> Balls:
        """Multiply, exactly and faster where a parameter meets points."""
        if id(a) not in self._parameters or b.columns > _NARROW:
            return super().matmul(a, b)
        return _Sum(self, a.height, _Form((id(a),), ()), (b,))

    def add(self, *terms: Balls) -> Balls:
        """Add; what is a product or a parameter, all at once and exactly."""
        sums = [t for t in terms if isinstance(t, _Sum) and t._flat is None]
        columns = [t for t in terms if id(t) in self._parameters and t.columns == 1]
        if sums and len(sums) + len(columns) == len(terms):
            form = _Form(
                tuple(m for t in sums for m in t.form.matrices),
                (*(c for t in sums for c in t.form.columns), *map(id, columns)),
            )
            points = tuple(b for t in sums for b in t.points)
            return _Sum(self, sums[0].height, form, points)
        if len({t.columns for t in terms}) > 1:
            return super().add(*terms)
        total: Any = terms[0].flat
        for term in terms[1:]:
            total = map(operator.add, total, term.flat)
        return Balls(terms[0].height, terms[0].columns, list(total))

    def evaluate(self, value: _Sum) -> list[arb]:
        """Return the elements of a sum.

        What was wanted of the points of the last step will be wanted of these as well, so
        all of that is one product.
        """
        form, ones = value.form, len(value.form.columns)
        group = self._groups.setdefault((len(value.points), ones), _Group())
        group.start(value.points, ones)
        if form not in group.results:
            forms = group.partners if form in group.partners else (form,)
            slices = self._stack(forms)
            if group.digits is None or slices is None:
                group.results[form] = self._one_by_one(value)
            else:
                flat, start = product(slices, group.digits), 0
                for each in forms:
                    height = self._parameters[each.matrices[0]][0].height
                    stop = start + height * value.columns
                    group.results[each] = flat[start:stop]
                    start = stop
        group.used += (form,)
        return group.results[form]

    def _stack(self, forms: tuple[_Form, ...]) -> Slices | None:
        if forms not in self._stacks:
            rows = [
                np.hstack(
                    [self._parameters[key][1] for key in (*f.matrices, *f.columns)]
                )
                for f in forms
            ]
            fits = len({row.shape[1] for row in rows}) == 1
            self._stacks[forms] = slices_of(np.vstack(rows)) if fits else None
        return self._stacks[forms]

    def _one_by_one(self, value: _Sum) -> list[arb]:
        pairs = zip(value.form.matrices, value.points, strict=True)
        products = [
            super(BallPoints, self).matmul(self._parameters[m][0], b) for m, b in pairs
        ]
        columns = [self._parameters[c][0] for c in value.form.columns]
        return super().add(*products, *columns).flat

    def elementwise(self, function: ElementwiseFunction, a: Balls) -> Balls:
        """Apply FLINT's functions directly; see Note [Narrow arguments]."""
        if function.narrow_balls is None:
            return super().elementwise(function, a)
        images = function.narrow_balls(a.flat)
        if not all(map(arb.is_finite, images)):
            pairs = zip(images, a.flat, strict=True)
            images = [y if y.is_finite() else function.ball(x) for y, x in pairs]
        return Balls(a.height, a.columns, images)

    def name_values(self, values: Any, position: Any, t: int) -> Any:
        scale = self.scales[position]
        squares: list[arb] = []
        for state, balls in values.items():
            rads = list(map(arb.rad, balls.flat))
            factor = arb(scale[state] ** 2)
            for j in range(balls.columns):
                total = sum_of_squares(rads[j :: balls.columns]) * factor
                if j == len(squares):
                    squares.append(total)
                else:
                    squares[j] += total
        self.residuals[position, t] = [s.sqrt().upper() for s in squares]
        return {s: _midpoints(b) for s, b in values.items()}

    @staticmethod
    def floats(matrix: Balls) -> Floats:
        flat = np.array([float(v) for v in matrix.flat])
        return flat.reshape(matrix.height, matrix.columns)

    @staticmethod
    def widen(
        matrix: Balls, radii: Sequence[arb], known: Floats | None = None
    ) -> Balls:
        balls = [arb(0, r) for r in radii] * matrix.height
        flat = [v + r for v, r in zip(matrix.flat, balls, strict=True)]
        if known is not None:
            for i in np.flatnonzero(~np.isnan(known)).tolist():
                if flat[i].is_finite():  # the trajectory is in its box
                    flat[i] = arb(float(known.flat[i]))
        return Balls(matrix.height, matrix.columns, flat)


def sum_of_squares(values: list[arb]) -> arb:
    """Return the sum of the squares of exact numbers."""
    return sum([v * v for v in values], arb(0))


def _midpoints(balls: Balls) -> Balls:
    if all(map(arb.is_finite, balls.flat)):
        return balls.map(arb.mid)
    return balls.map(lambda ball: ball.mid() if ball.is_finite() else arb(0))


class FloatCentres(EnclosureDomain):
    """What float64 computes, points to put boxes around; radii say nothing."""

    def matmul(self, a: Enclosed, b: Enclosed) -> Enclosed:
        return _bare(a.mid @ b.mid)

    def add(self, *terms: Enclosed) -> Enclosed:
        return _bare(sum((t.mid for t in terms[1:]), terms[0].mid))

    def hadamard(self, a: Enclosed, b: Enclosed) -> Enclosed:
        return _bare(a.mid * b.mid)

    def elementwise(self, function: ElementwiseFunction, a: Enclosed) -> Enclosed:
        return _bare(function.numpy(a.mid))

    def vstack(self, parts: Sequence[Enclosed]) -> Enclosed:
        return _bare(np.vstack([part.mid for part in parts]))

    def hstack(self, parts: Sequence[Enclosed]) -> Enclosed:
        return _bare(np.hstack([part.mid for part in parts]))

    def name_values(self, values: Any, position: Any, t: int) -> Any:
        return {
            s: m
            if (known := np.isfinite(m.mid)).all()
            else _bare(np.where(known, m.mid, 0))
            for s, m in values.items()
        }

    @staticmethod
    def floats(matrix: Enclosed) -> Floats:
        return matrix.mid


_NO_RADIUS = np.zeros((1, 1))


def _bare(values: Floats) -> Enclosed:
    return Enclosed(values, _NO_RADIUS)


class FloatPoints(EnclosureDomain, _Points):
    """Steps of float64 enclosures from exact points."""

    def name_values(self, values: Any, position: Any, t: int) -> Any:
        rads = np.vstack([m.rad * self.scales[position][s] for s, m in values.items()])
        self.residuals[position, t] = [arb(vector_norm_bound(r)) for r in rads.T]
        return {s: Enclosed(m.mid, np.zeros_like(m.mid)) for s, m in values.items()}

    @staticmethod
    def floats(matrix: Enclosed) -> Floats:
        return matrix.mid

    @staticmethod
    def widen(matrix: Enclosed, radii: Sequence[arb], known: Floats) -> Enclosed:
        rads = [math.nextafter(float(r), math.inf) if r != 0 else 0.0 for r in radii]
        rad = np.broadcast_to(rads, matrix.mid.shape)
        sure = ~np.isnan(known) & np.isfinite(rad)
        return Enclosed(np.where(sure, known, matrix.mid), np.where(sure, 0.0, rad))


class _Known:
    """What replays have in common: the states of every step are those of a run before."""

    def __init__(self, records: Any) -> None:
        self.records = records

    def name_values(self, values: Any, position: Any, t: int) -> Any:
        return values | self.records[position].steps[t]


class BallReplay(_Known, BallDomain):
    """Balls with the states of a run before."""

    def __init__(self, records: Any, precision: int) -> None:
        _Known.__init__(self, records)
        BallDomain.__init__(self, precision)


class FloatReplay(_Known, EnclosureDomain):
    """Float64 enclosures with the states of a run before."""


def box_width(centres: Floats) -> Floats:
    """Return half the width of a box around each column."""
    widths: Floats = BOX * np.abs(centres).max(axis=0, initial=1.0)
    return widths


def with_rounding(values: Floats) -> Enclosed:
    """Return floats that a number was rounded to, and how far it may be."""
    return Enclosed(values, np.abs(values) * 2.0**-51 + 2.0**-1070)
