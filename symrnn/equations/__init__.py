# SPDX-License-Identifier: BSD-3-Clause
"""Equations of cells: all that a cell of one's own takes, in one line of import.

>>> from symrnn.equations import Cell, add, hidden_size, input_size, matmul, matrix, previous
>>> from symrnn.equations import quantity, tanh, x
>>> W, U = matrix("W", hidden_size, input_size), matrix("U", hidden_size, hidden_size)
>>> h = quantity("h", hidden_size)
>>> elman = Cell.define(
...     "Elman without biases",
...     parameters=[W, U],
...     equations={h: tanh(add(matmul(W, x), matmul(U, previous("h", hidden_size))))},
... )
>>> print(elman)
Elman without biases
    h = tanh(W*x + U*h_prev)
"""

from symrnn.equations.cells import (
    CELLS,
    Cell,
    Equation,
    find_cell,
    gru,
    gru_reset_before,
    lstm,
    rnn,
)
from symrnn.equations.derivatives import Tangent, derivative, directions, tangent
from symrnn.equations.functions import (
    FUNCTIONS,
    ElementwiseFunction,
    FirstOrder,
    monotone_hull,
    parabolic_slope,
    register_function,
)
from symrnn.equations.language import (
    add,
    elementwise,
    hadamard,
    matmul,
    neg,
    ones,
    relu,
    sigmoid,
    subtract,
    tanh,
    transpose,
    zeros,
)
from symrnn.equations.sharing import cse, share, unshare
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    proj_size,
    quantity,
    vector,
    x,
)

__all__ = [
    "CELLS",
    "FUNCTIONS",
    "Cell",
    "ElementwiseFunction",
    "Equation",
    "FirstOrder",
    "Tangent",
    "add",
    "cse",
    "derivative",
    "directions",
    "elementwise",
    "find_cell",
    "gru",
    "gru_reset_before",
    "hadamard",
    "hidden_size",
    "input_size",
    "lstm",
    "matmul",
    "matrix",
    "monotone_hull",
    "neg",
    "ones",
    "parabolic_slope",
    "previous",
    "proj_size",
    "quantity",
    "register_function",
    "relu",
    "rnn",
    "share",
    "sigmoid",
    "subtract",
    "tangent",
    "tanh",
    "transpose",
    "unshare",
    "vector",
    "x",
    "zeros",
]


def __dir__() -> list[str]:
    return __all__
