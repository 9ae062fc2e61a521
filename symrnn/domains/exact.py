# SPDX-License-Identifier: BSD-3-Clause
"""Exact values: rationals as far as they go, SymPy closed forms from there.

tanh and sigmoid of a rational other than 0 are irrational (Lindemann-Weierstrass), so a
value is either a python-flint ``fmpq`` or a SymPy expression such as
``tanh(-26307/10000)``, whose common parts are shared (see `symrnn.equations.sharing`). A network of
relu cells stays rational from end to end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import sympy
from flint import arb, fmpq, fmpq_mat

from symrnn.domains.ball import ball_interval, working_precision
from symrnn.equations.domain import Interval, ObjectDomain, Objects, object_array
from symrnn.equations.functions import ElementwiseFunction, find_function
from symrnn.equations.sharing import Shared, share
from symrnn.errors import UndecidedError
from symrnn.numerics.exact import Exact, to_rational

__all__ = ["ExactDomain", "closed_form", "enclose"]


class ExactDomain(ObjectDomain):
    """Rationals and closed forms, as NumPy object arrays."""

    name = "exact"
    proven = True

    def matrix(self, values: Exact) -> Objects:
        flat = [to_rational(v) for v in values.reshape(-1).tolist()]
        return object_array(flat, values.shape)

    def matmul(self, a: Objects, b: Objects) -> Objects:
        shape = a.shape[0], b.shape[1]
        left, right = (m.reshape(-1).tolist() for m in (a, b))
        if all(type(v) is fmpq for v in left) and all(type(v) is fmpq for v in right):
            product = fmpq_mat(a.shape[0], a.shape[1], left) * fmpq_mat(
                b.shape[0], b.shape[1], right
            )
            return object_array(product.entries(), shape)
        columns = [list(column) for column in b.T]
        return object_array(
            [_dot(row, c) for row in a.tolist() for c in columns], shape
        )

    def add(self, *terms: Objects) -> Objects:
        terms = tuple(np.broadcast_arrays(*terms))
        flat = [
            _sum(list(values))
            for values in zip(*(t.reshape(-1) for t in terms), strict=True)
        ]
        return object_array(flat, terms[0].shape)

    def neg(self, a: Objects) -> Objects:
        return object_array([-v for v in a.reshape(-1)], a.shape)

    def hadamard(self, a: Objects, b: Objects) -> Objects:
        a, b = np.broadcast_arrays(a, b)
        pairs = zip(a.reshape(-1), b.reshape(-1), strict=True)
        return object_array([_product(x, y) for x, y in pairs], a.shape)

    def elementwise(self, function: ElementwiseFunction, a: Objects) -> Objects:
        return object_array([_image(function, v) for v in a.reshape(-1)], a.shape)

    def constant(self, value: int, rows: int, columns: int = 1) -> Objects:
        return object_array([fmpq(value)] * (rows * columns), (rows, columns))

    def interval(self, element: Any) -> Interval:
        if type(element) is fmpq:
            return element, element
        return ball_interval(enclose(element))


def closed_form(value: Any) -> sympy.Expr:
    """Return a value of the exact domain as a SymPy expression."""
    if type(value) is fmpq:
        return sympy.Rational(int(value.p), int(value.q))
    return value


def enclose(value: Any, bits: int = 256) -> arb:
    """Return a ball around a value of the exact domain, computed with `bits` bits.

    Raises:
        UndecidedError: The expression holds something that has no enclosure.
    """
    with working_precision(bits):
        return _enclose(closed_form(value), bits)


def _enclose(root: sympy.Expr, bits: int) -> arb:
    """Evaluate the expressions that this domain builds, each distinct one once.

    Operands come first, on a list: a state after 300 steps is deeper than Python's stack.
    Shared nodes remember their balls, since every later state is made of them.
    """
    known: dict[sympy.Expr, arb] = {}
    stack = [root]
    while stack:
        expr = stack[-1]
        ball = expr.recall(("ball", bits)) if isinstance(expr, Shared) else None
        if ball is None:
            missing = [a for a in expr.args if a not in known]
            if missing:
                stack += missing
                continue
            ball = _enclose_one(expr, [known[a] for a in expr.args])
            if isinstance(expr, Shared):
                expr.remember(("ball", bits), ball)
        known[expr] = ball
        stack.pop()
    return known[root]


def _enclose_one(expr: sympy.Expr, args: list[arb]) -> arb:
    """Evaluate one node from the enclosures of its operands."""
    if isinstance(expr, Shared):
        return args[0]
    if expr.is_Rational:
        return arb(fmpq(int(expr.p), int(expr.q)))
    if expr.is_Add:
        return sum(args, arb(0))
    if expr.is_Mul:
        return math.prod(args, start=arb(1))
    if expr.is_Pow and expr.exp.is_Integer:
        return args[0] ** int(expr.exp)
    function = find_function(type(expr))
    if function is None:
        name = type(expr).__name__
        raise UndecidedError(f"no enclosure is known for {name}(…) in an exact value")
    return function.ball(args[0])


def _tidy(value: sympy.Expr) -> Any:
    """Return a rational as ``fmpq``, anything else as it is."""
    return fmpq(int(value.p), int(value.q)) if value.is_Rational else value


def _sum(values: list[Any]) -> Any:
    rational = sum((v for v in values if type(v) is fmpq), fmpq(0))
    rest = [v for v in values if type(v) is not fmpq]
    if not rest:
        return rational
    return _tidy(sympy.Add(closed_form(rational), *rest))


def _product(x: Any, y: Any) -> Any:
    # What is no fmpq is irrational, so it is not 0: SymPy need not be asked.
    if type(x) is fmpq:
        if type(y) is fmpq:
            return x * y
        if x == 0:
            return fmpq(0)
    elif type(y) is fmpq and y == 0:
        return fmpq(0)
    return _tidy(sympy.Mul(closed_form(x), closed_form(y)))


def _dot(row: list[Any], column: list[Any]) -> Any:
    return _sum([_product(x, y) for x, y in zip(row, column, strict=True)])


def _image(function: ElementwiseFunction, value: Any) -> Any:
    if type(value) is fmpq:
        image = function.rational(value)
        if image is not None:
            return image
    elif function.select is not None:
        ball = enclose(value)
        chosen = function.select(ball)
        if chosen is not None:
            return value if isinstance(chosen, arb) else fmpq(chosen)
    return _tidy(share(function.of(closed_form(value))))
