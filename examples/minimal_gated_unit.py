# SPDX-License-Identifier: BSD-3-Clause
"""A cell of one's own: the minimal gated unit, evaluated to 30 digits and derived.

    python examples/minimal_gated_unit.py

Reference: Zhou, Wu, Zhang & Zhou, 'Minimal gated unit for recurrent neural networks'
(2016).
"""

from __future__ import annotations

import symrnn
from symrnn.equations import (
    Cell,
    add,
    hadamard,
    hidden_size,
    input_size,
    matmul,
    matrix,
    ones,
    previous,
    quantity,
    sigmoid,
    subtract,
    tanh,
    vector,
    x,
)

WEIGHTS = {
    "W_f_l0": [["0.5"], ["-0.3"]],
    "U_f_l0": [["0.1", "-0.4"], ["0.7", "0.2"]],
    "b_f_l0": ["1", "-1/3"],
    "W_h_l0": [["0.8"], ["-0.6"]],
    "U_h_l0": [["-0.2", "0.9"], ["0.3", "0.4"]],
    "b_h_l0": ["0", "0.1"],
}
X = [["1"], ["-2"], ["0.5"]]


def minimal_gated_unit() -> Cell:
    """Return the cell: one gate, which both forgets and lets in."""
    H, h_prev = hidden_size, previous("h", hidden_size)
    W_f, W_h = matrix("W_f", H, input_size), matrix("W_h", H, input_size)
    U_f, U_h = matrix("U_f", H, H), matrix("U_h", H, H)
    b_f, b_h = vector("b_f", H), vector("b_h", H)
    f, n = quantity("f", H), quantity("n", H)
    return Cell.define(
        "MGU",
        parameters=[W_f, U_f, b_f, W_h, U_h, b_h],
        equations={
            f: sigmoid(add(matmul(W_f, x), matmul(U_f, h_prev), b_f)),
            n: tanh(add(matmul(W_h, x), matmul(U_h, hadamard(f, h_prev)), b_h)),
            quantity("h", H): add(
                hadamard(subtract(ones(H), f), h_prev), hadamard(f, n)
            ),
        },
    )


def main() -> None:
    """Print the equations, 30 digits of every state and gate, and a derivation."""
    cell = minimal_gated_unit()
    print(cell, end="\n\n")
    net = symrnn.load(WEIGHTS, cell=cell)
    trace = symrnn.evaluate(net, X, digits=30)
    for t in range(len(X)):
        step = trace[0, "forward", t]
        print(f"step {t}   f = {step.f.decimal(30)}")
        print(f"         h = {step.h.decimal(30)}")
    print()
    print(symrnn.derive(net, X, digits=4, title="A minimal gated unit").markdown())


if __name__ == "__main__":
    main()
