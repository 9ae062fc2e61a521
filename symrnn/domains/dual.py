# SPDX-License-Identifier: BSD-3-Clause
"""Float64 values with directional derivatives: forward-mode differentiation.

Measured, not proven: values and derivatives are NumPy's float64. A tangent has one column
for each direction, and stands beside one column of values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import sympy

from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import FUNCTIONS, ElementwiseFunction
from symrnn.numerics.exact import Exact

__all__ = ["Dual", "DualDomain", "slope"]

Floats = npt.NDArray[np.float64]


class Dual(NamedTuple):
    """Values, and how they move.

    Attributes:
        value: (features × columns) float64.
        tangent: (features × directions), only where there is one column of values;
            ``None`` where nothing moves.
    """

    value: Floats
    tangent: Floats | None = None


class DualDomain(Domain[Dual]):
    """Float64 with first derivatives in any number of directions.

    >>> x = Dual(np.array([[0.0]]), np.array([[1.0, 3.0]]))
    >>> y = DualDomain().elementwise(FUNCTIONS["tanh"], x)
    >>> y.value.tolist(), y.tangent.tolist()
    ([[0.0]], [[1.0, 3.0]])
    """

    name = "dual"
    proven = False

    def context(self) -> Any:
        return np.errstate(all="ignore")

    def matrix(self, values: Exact) -> Dual:
        return Dual(values.astype(np.float64))

    def matmul(self, a: Dual, b: Dual) -> Dual:
        tangent = None if b.tangent is None else a.value @ b.tangent
        return Dual(a.value @ b.value, tangent)  # a is made of parameters

    def add(self, *terms: Dual) -> Dual:
        value = terms[0].value
        for term in terms[1:]:
            value = value + term.value
        return Dual(value, _sum([term.tangent for term in terms]))

    def neg(self, a: Dual) -> Dual:
        return Dual(-a.value, None if a.tangent is None else -a.tangent)

    def hadamard(self, a: Dual, b: Dual) -> Dual:
        left = None if a.tangent is None else a.tangent * b.value
        right = None if b.tangent is None else a.value * b.tangent
        return Dual(a.value * b.value, _sum([left, right]))

    def elementwise(self, function: ElementwiseFunction, a: Dual) -> Dual:
        value = np.asarray(function.numpy(a.value), dtype=np.float64)
        if a.tangent is None:
            return Dual(value)
        return Dual(value, slope(function, a.value) * a.tangent)

    def transpose(self, a: Dual) -> Dual:
        return Dual(a.value.T)  # of parameters, which do not move

    def constant(self, value: int, rows: int, columns: int = 1) -> Dual:
        return Dual(np.full((rows, columns), float(value)))

    def vstack(self, parts: Sequence[Dual]) -> Dual:
        value = np.vstack([part.value for part in parts])
        tangents = [part.tangent for part in parts]
        moving = [t for t in tangents if t is not None]
        if not moving:
            return Dual(value)
        width = moving[0].shape[1]
        filled = [
            np.zeros((len(part.value), width)) if tangent is None else tangent
            for part, tangent in zip(parts, tangents, strict=True)
        ]
        return Dual(value, np.vstack(filled))

    def hstack(self, parts: Sequence[Dual]) -> Dual:
        return Dual(np.hstack([part.value for part in parts]))

    def split(self, a: Dual, widths: Sequence[int]) -> list[Dual]:
        ends = np.cumsum(widths)
        return [
            Dual(a.value[:, end - width : end])
            for width, end in zip(widths, ends, strict=True)
        ]

    def rows(self, a: Dual) -> list[list[Any]]:
        return list(a.value.tolist())

    def interval(self, element: Any) -> Interval:
        """Refuse: float64 encloses nothing."""
        raise NotImplementedError("a dual number encloses nothing")


def _sum(tangents: Sequence[Floats | None]) -> Floats | None:
    moving = [tangent for tangent in tangents if tangent is not None]
    if not moving:
        return None
    total = moving[0]
    for tangent in moving[1:]:
        total = total + tangent
    return total


def slope(function: ElementwiseFunction, values: Floats) -> Floats:
    """Return the derivative of `function` at every element, in float64.

    >>> slope(FUNCTIONS["sigmoid"], np.array([0.0])).tolist()
    [0.25]
    """
    with np.errstate(all="ignore"):
        found = _derivative(function)(values)
    return np.broadcast_to(np.asarray(found, dtype=np.float64), values.shape)


@lru_cache
def _derivative(function: ElementwiseFunction) -> Callable[[Floats], Any]:
    """Compile the derivative that the SymPy function states of itself."""
    u = sympy.Symbol("u", real=True)
    known = {f.scalar.__name__: f.numpy for f in FUNCTIONS.values()}
    derivative = function.scalar(u).diff(u)
    return cast(
        "Callable[[Floats], Any]",
        sympy.lambdify(u, derivative, modules=[known, "numpy"]),
    )
