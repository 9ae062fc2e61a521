# SPDX-License-Identifier: BSD-3-Clause
"""SymPy expressions as values: in matrix form, and element by element.

Parameters, inputs and initial states are symbols (or exact numbers, for parameters), and
everything is substituted back to them. The recursive form, in which each quantity is
written in the ones before it, needs no run: `symrnn.unroll` reads it off the equations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy import BlockMatrix, MatrixExpr

from symrnn.equations.domain import Domain, Interval
from symrnn.equations.functions import ElementwiseFunction
from symrnn.equations.language import (
    Add,
    Constant,
    Elementwise,
    Hadamard,
    Matmul,
    Neg,
    Transpose,
)
from symrnn.equations.sharing import share
from symrnn.equations.symbols import Named
from symrnn.errors import UnsupportedError
from symrnn.networks.network import Position
from symrnn.numerics.exact import Exact, to_fraction

__all__ = ["MatrixForm", "ScalarForm", "Symbols"]

Objects = npt.NDArray[np.object_]


class Symbols:
    """Which symbol stands for each leaf.

    Args:
        parameter: From (name, position) to the parameter's symbol.
        input: From the step to the input's symbol.
        initial: From (state, position) to the initial state's symbol.
    """

    def __init__(
        self,
        parameter: Callable[[str, Position], Named],
        input: Callable[[int], Named],
        initial: Callable[[str, Position], Named],
    ) -> None:
        self.parameter = parameter
        self.input = input
        self.initial = initial


class _Symbolic(Domain[Any]):
    proven = True
    batched = False

    def __init__(self, symbols: Symbols, *, numbers: bool) -> None:
        self.symbols = symbols
        self.numbers = numbers

    def parameter(self, name: str, values: Exact, position: Any) -> Any:
        if self.numbers:
            return self.matrix(values)
        return self._symbol(self.symbols.parameter(name, position))

    def input(self, values: Exact, t: int) -> Any:
        return self._symbol(self.symbols.input(t))

    def initial(self, state: str, values: Exact, position: Any) -> Any:
        return self._symbol(self.symbols.initial(state, position))

    def _symbol(self, symbol: Named) -> Any:
        return symbol

    def hstack(self, parts: Sequence[Any]) -> Any:
        if len(parts) == 1:
            return parts[0]
        raise UnsupportedError("symbols are for one sequence, not for a batch")

    def split(self, a: Any, widths: Sequence[int]) -> list[Any]:
        return [a]

    def interval(self, element: Any) -> Interval:
        """Refuse: a symbol has no value."""
        raise UnsupportedError(
            "a symbolic expression has no value; use symrnn.evaluate"
        )


class MatrixForm(_Symbolic):
    """Matrix expressions in the vocabulary of the equations.

    Where two directions meet, their states are stacked in a SymPy ``BlockMatrix``.
    """

    name = "matrix"

    def matrix(self, values: Exact) -> MatrixExpr:
        return _rationals(values)

    def matmul(self, a: Any, b: Any) -> MatrixExpr:
        return Matmul(a, b)

    def add(self, *terms: Any) -> MatrixExpr:
        return Add(*terms)

    def neg(self, a: Any) -> MatrixExpr:
        return Neg(a)

    def hadamard(self, a: Any, b: Any) -> MatrixExpr:
        return Hadamard(a, b)

    def elementwise(self, function: ElementwiseFunction, a: Any) -> MatrixExpr:
        return Elementwise(sympy.core.symbol.Str(function.name), a)

    def transpose(self, a: Any) -> MatrixExpr:
        return Transpose(a)

    def constant(self, value: int, rows: int, columns: int = 1) -> MatrixExpr:
        return Constant(value, rows)

    def vstack(self, parts: Sequence[Any]) -> MatrixExpr:
        return BlockMatrix([[part] for part in parts])

    def rows(self, a: Any) -> list[list[Any]]:
        return [[a[i, j] for j in range(a.shape[1])] for i in range(a.shape[0])]


class ScalarForm(_Symbolic):
    """SymPy scalars, element by element, common parts shared (see `symrnn.equations.sharing`)."""

    name = "scalar"

    def matrix(self, values: Exact) -> Objects:
        return np.array(_rationals(values).tolist(), dtype=object)

    def _symbol(self, symbol: Named) -> Objects:
        return np.array(symbol.as_explicit().tolist(), dtype=object)

    def matmul(self, a: Objects, b: Objects) -> Objects:
        entries = [
            [
                sympy.Add(*(x * y for x, y in zip(row, column, strict=True)))
                for column in b.T
            ]
            for row in a
        ]
        return np.array(entries, dtype=object)

    def add(self, *terms: Objects) -> Objects:
        return _map(sympy.Add, *terms)

    def neg(self, a: Objects) -> Objects:
        return _map(lambda v: -v, a)

    def hadamard(self, a: Objects, b: Objects) -> Objects:
        return _map(sympy.Mul, a, b)

    def elementwise(self, function: ElementwiseFunction, a: Objects) -> Objects:
        return _map(lambda v: share(function.of(v)), a)

    def transpose(self, a: Objects) -> Objects:
        return a.T

    def constant(self, value: int, rows: int, columns: int = 1) -> Objects:
        return np.full((rows, columns), sympy.Integer(value), dtype=object)

    def vstack(self, parts: Sequence[Objects]) -> Objects:
        return np.vstack(parts)

    def rows(self, a: Objects) -> list[list[Any]]:
        return a.tolist()

    def name_values(
        self, values: dict[Any, Any], position: Any, t: int
    ) -> dict[Any, Any]:
        return {name: _map(share, value) for name, value in values.items()}


def _map(function: Callable[..., Any], *arrays: Objects) -> Objects:
    arrays = tuple(np.broadcast_arrays(*arrays))
    result = np.empty(arrays[0].shape, dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = function(*(a[index] for a in arrays))
    return result


def _rationals(values: Exact) -> sympy.ImmutableDenseMatrix:
    def rational(value: Any) -> sympy.Rational:
        fraction: Fraction = to_fraction(value)
        return sympy.Rational(fraction.numerator, fraction.denominator)

    entries = [rational(v) for v in values.reshape(-1).tolist()]
    return sympy.ImmutableDenseMatrix(*values.shape, entries)
