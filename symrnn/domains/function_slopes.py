# SPDX-License-Identifier: BSD-3-Clause
"""Ranges of derivatives of elementwise functions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sympy import MatrixExpr

from symrnn.domains.enclosure import Enclosed, EnclosureDomain
from symrnn.equations.derivatives import derivative
from symrnn.equations.functions import ElementwiseFunction
from symrnn.equations.language import elementwise, operands, postorder
from symrnn.equations.program import Instruction, execute
from symrnn.equations.symbols import vector

__all__ = ["slope"]

Floats = npt.NDArray[np.float64]


def slope(function: ElementwiseFunction, tube: Enclosed) -> Enclosed:
    """Return an enclosure of f' over every number of some balls.

    It is the one of the function's entry, or else that of f' as an expression.

    Args:
        function: f. Where it has no derivative, any number of the generalised one counts.
        tube: The balls.

    >>> from symrnn.equations.functions import FUNCTIONS
    >>> balls = Enclosed(np.array([[0.0], [1.0]]), np.array([[0.5], [0.0]]))
    >>> mid, rad = slope(FUNCTIONS["tanh"], balls)
    >>> (mid - rad).round(4).tolist(), (mid + rad).round(4).tolist()
    ([[0.7864], [0.42]], [[1.0], [0.42]])
    """
    if function.slope is not None:
        return Enclosed(*function.slope(tube.mid, tube.rad))
    program = _program(function)
    if program is None:
        return Enclosed(np.zeros_like(tube.mid), np.zeros_like(tube.mid))
    register, code = program
    values: dict[int, Enclosed] = {0: tube}
    execute(EnclosureDomain(), code, values, {})
    mid, rad = values[register]
    shape = tube.mid.shape  # a constant derivative has one row
    return Enclosed(np.broadcast_to(mid, shape), np.broadcast_to(rad, shape))


@lru_cache
def _program(
    function: ElementwiseFunction,
) -> tuple[int, tuple[Instruction, ...]] | None:
    """Return f' of register 0 as code and the register of its value; ``None`` for 0."""
    argument = vector("a", 1)
    expression = derivative(elementwise(function.name, argument))
    if expression is None:
        return None
    registers: dict[MatrixExpr, int] = {argument: 0}
    code = []
    for node in postorder(expression):
        if node not in registers:
            sources = tuple(registers[child] for child in operands(node))
            registers[node] = len(registers)
            code.append(Instruction(node, registers[node], sources))
    return registers[expression], tuple(code)
