# SPDX-License-Identifier: BSD-3-Clause
"""The equations of a cell as Python with torch."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import MatrixExpr

from symrnn.cells import x
from symrnn.errors import EquationError
from symrnn.language import (
    Add,
    Constant,
    Elementwise,
    Hadamard,
    Matmul,
    Named,
    Neg,
    Transpose,
)

__all__ = ["FUNCTIONS", "speak"]

FUNCTIONS = {"tanh": "torch.tanh", "sigmoid": "torch.sigmoid", "relu": "torch.relu"}
"""What torch calls functions, by name."""

_TIGHT: Mapping[type, tuple[type, ...]] = {
    Matmul: (Add, Neg, Hadamard, Matmul),
    Hadamard: (Add, Neg, Matmul),
    Neg: (Add, Neg),
    Transpose: (Add, Neg, Matmul, Hadamard),
    Add: (),
}


def speak(node: MatrixExpr, names: Mapping[str, str]) -> str:
    """Return a node as Python with torch, its names replaced.

    Raises:
        EquationError: It has a node that torch has no notation for.

    >>> from symrnn.cells import gru
    >>> cell = gru(bias=False)
    >>> names = {p.name: p.name for p in cell.parameters} | {"x": "x_1", "h_prev": "h_0"}
    >>> speak(cell.equations[0].value, names)
    'torch.sigmoid(W_ir @ x_1 + W_hr @ h_0)'
    """
    match node:
        case Named():
            return names[node.name if node != x else "x"]
        case Constant():
            return str(node.args[0])
        case Matmul():
            return " @ ".join(_operand(node, part, names) for part in node.args)
        case Hadamard():
            return " * ".join(_operand(node, part, names) for part in node.args)
        case Neg():
            return f"-{_operand(node, node.args[0], names)}"
        case Transpose():
            return f"{_operand(node, node.args[0], names)}.T"
        case Elementwise():
            function = FUNCTIONS[node.function.name]
            return f"{function}({speak(node.args[1], names)})"
        case Add():
            return _sum(node, names)
    raise EquationError(f"no Python for the node {type(node).__name__}")


def _sum(node: MatrixExpr, names: Mapping[str, str]) -> str:
    text = speak(node.args[0], names)
    for term in node.args[1:]:
        if isinstance(term, Neg):
            text += f" - {_operand(term, term.args[0], names)}"
        else:
            text += f" + {speak(term, names)}"
    return text


def _operand(parent: MatrixExpr, child: MatrixExpr, names: Mapping[str, str]) -> str:
    text = speak(child, names)
    return f"({text})" if isinstance(child, _TIGHT[type(parent)]) else text
