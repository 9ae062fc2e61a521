# SPDX-License-Identifier: BSD-3-Clause
"""Cells of every kind, whose letters and products are tested; no tests of its own."""

from symrnn.equations.cells import Cell, gru, gru_reset_before, lstm, rnn
from symrnn.equations.language import (
    add,
    hadamard,
    matmul,
    neg,
    ones,
    relu,
    sigmoid,
    subtract,
    tanh,
    transpose,
)
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    vector,
    x,
)
from tests.derivations.test_cases import peephole_cell, random_network

H = hidden_size


def minimal_gated_unit():
    """Return a cell with one gate and one bias in each equation."""
    h, f = previous("h", H), quantity("f", H)
    W = {k: matrix(f"W_{k}", H, input_size) for k in "fh"}
    U = {k: matrix(f"U_{k}", H, H) for k in "fh"}
    b = {k: vector(f"b_{k}", H) for k in "fh"}
    n = quantity("n", H)
    return Cell.define(
        "MGU",
        parameters=[*W.values(), *U.values(), *b.values()],
        equations={
            f: sigmoid(add(matmul(W["f"], x), matmul(U["f"], h), b["f"])),
            n: tanh(add(matmul(W["h"], x), matmul(U["h"], hadamard(f, h)), b["h"])),
            quantity("h", H): add(hadamard(subtract(ones(H), f), h), hadamard(f, n)),
        },
    )


def transposing():
    """Return a cell that transposes matrices, sums, products and a vector."""
    W, U = matrix("W", H, input_size), matrix("U", H, H)
    A, v, h = matrix("A", H, H), vector("v", H), previous("h", H)
    twice = transpose(add(matmul(U, transpose(A)), neg(A)))
    inner = matmul(transpose(v), relu(h))  # one number
    return Cell.define(
        "transposing",
        parameters=[W, U, A, v],
        equations={
            quantity("p", H): add(matmul(W, x), neg(matmul(twice, h))),
            quantity("q", H): matmul(transpose(transpose(U)), hadamard(v, h)),
            quantity("k", H): matmul(A, matmul(v, inner)),
            quantity("h", H): hadamard(
                subtract(quantity("p", H), quantity("k", H)), quantity("q", H)
            ),
        },
    )


CELLS = {
    "rnn": lambda: random_network(rnn("relu"), 3, 4),
    "two layers": lambda: random_network(rnn(), 3, 2, layers=2, directions=2),
    "lstm": lambda: random_network(lstm(), 3, 4),
    "projected": lambda: random_network(lstm(projected=True), 3, 4, projected=2),
    "gru": lambda: random_network(gru(), 3, 4),
    "gru two layers": lambda: random_network(gru(bias=False), 3, 4, layers=2),
    "reset before": lambda: random_network(gru_reset_before(), 3, 4),
    "peephole": lambda: random_network(peephole_cell(), 3, 4),
    "mgu": lambda: random_network(minimal_gated_unit(), 3, 4),
    "transposing": lambda: random_network(transposing(), 3, 4),
}
"""Networks whose sizes differ: a product in the wrong order has no value."""

INPUT = [[1, 2, 3], [0, -1, "0.5"]]
