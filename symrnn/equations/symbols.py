# SPDX-License-Identifier: BSD-3-Clause
r"""The symbols of a cell: parameters, its input, its quantities, and states of the step before.

What a symbol is, its class says, and not its name: a parameter may be called ``U_prev``. All
are SymPy ``MatrixSymbol``\ s: they can be substituted, differentiated by element and passed to
``lambdify``.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Basic, Expr, MatrixSymbol, Symbol
from sympy.core.symbol import Str

from symrnn.errors import EquationError

__all__ = [
    "Input",
    "Named",
    "Parameter",
    "Previous",
    "Quantity",
    "hidden_size",
    "input_size",
    "matrix",
    "previous",
    "proj_size",
    "quantity",
    "vector",
    "x",
]

input_size = Symbol("input_size", integer=True, positive=True)
"""Number of features of the input of a layer."""
hidden_size = Symbol("hidden_size", integer=True, positive=True)
"""Number of hidden units."""
proj_size = Symbol("proj_size", integer=True, positive=True)
"""Number of features of the hidden state of an LSTM with projection."""


def as_size(value: Any) -> Expr:
    """Return a size as SymPy's; text is refused, since SymPy would evaluate it."""
    try:
        return sympy.sympify(value, strict=True)
    except sympy.SympifyError:
        raise EquationError(
            f"a size must be a whole number or a size symbol (got {value!r})"
        ) from None


class Named(MatrixSymbol):
    """A matrix or column vector with a name, and the LaTeX that it prints as.

    SymPy orders symbols by their names alone: of what kind they are changes no expression.
    """

    def __new__(cls, name: Any, rows: Any, columns: Any, latex: Any) -> Named:
        name, latex = (v if isinstance(v, Str) else Str(v) for v in (name, latex))
        rows, columns = as_size(rows), as_size(columns)
        return Basic.__new__(cls, name, rows, columns, latex)

    @property
    def latex(self) -> str:
        """How it prints."""
        return str(self.args[3].name)

    @classmethod
    def class_key(cls) -> tuple[int, int, str]:
        """Return what SymPy sorts by first: the same for symbols of all kinds."""
        return 5, 0, "Named"

    def compare(self, other: Any) -> int:
        """Return which of two expressions SymPy writes first."""
        if isinstance(other, Named) and type(other) is not type(self):
            for mine, theirs in zip(self.args, other.args, strict=True):
                if order := mine.compare(theirs):
                    return int(order)
        return int(super().compare(other))

    def _latex(self, printer: Any) -> str:
        return self.latex

    def _sympystr(self, printer: Any) -> str:
        return str(self.name)


class Parameter(Named):
    """A parameter, made by `matrix` and `vector`."""


class Input(Named):
    """The input of a step."""


class Quantity(Named):
    """What an equation defines, a state among others, at step t; made by `quantity`."""


class Previous(Named):
    """A state at step t - 1, made by `previous`."""

    @property
    def state(self) -> str:
        """The state's name, ``"h"``."""
        return str(self.args[0].name)

    @property
    def name(self) -> str:
        """What Python calls it, ``"h_prev"``."""
        return f"{self.state}_prev"


x = Input("x", input_size, 1, "x_t")
"""The input of a cell at step t."""


def matrix(
    name: str, rows: Any, columns: Any, *, latex: str | None = None
) -> Parameter:
    r"""Return a parameter, a matrix of `rows` × `columns`.

    Args:
        name: A Python identifier such as ``"W_ih"``.
        rows: A positive integer, or one of the sizes `input_size`, `hidden_size` and
            `proj_size`.
        columns: Likewise.
        latex: How it prints; by default the part after the first underscore becomes
            the subscript.

    >>> from sympy import latex
    >>> latex(matrix("W_ih", 4, 3))
    'W_{ih}'
    """
    if latex is None:
        base, _, subscript = name.partition("_")
        latex = f"{base}_{{{subscript}}}" if subscript else base
    return Parameter(name, rows, columns, latex)


def vector(name: str, size: Any, *, latex: str | None = None) -> Parameter:
    """Return a parameter, a column of `size` elements; see `matrix`."""
    return matrix(name, size, 1, latex=latex)


def quantity(name: str, size: Any) -> Quantity:
    r"""Return the quantity `name` at step t, printed ``name_t``.

    >>> sympy.latex(quantity("i", hidden_size))
    'i_{t}'
    """
    return Quantity(name, size, 1, f"{name}_{{t}}")


def previous(state: str, size: Any) -> Previous:
    r"""Return the state `state` at step t - 1, printed ``state_{t-1}``.

    >>> sympy.latex(previous("h", hidden_size)), previous("h", 2)
    ('h_{t-1}', h_prev)
    """
    return Previous(state, size, 1, f"{state}_{{t-1}}")
