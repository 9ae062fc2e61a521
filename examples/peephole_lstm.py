# SPDX-License-Identifier: BSD-3-Clause
"""An LSTM whose gates see the cell state, evaluated to 30 digits and derived.

    python examples/peephole_lstm.py

With all peepholes 0 it is the usual LSTM, which the script checks: the two agree in
every one of the 30 digits. No framework is needed to have a reference for such a cell.

Reference: Gers, Schraudolph & Schmidhuber, 'Learning precise timing with LSTM recurrent
networks' (2002).
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
    previous,
    quantity,
    sigmoid,
    tanh,
    vector,
    x,
)

GATES = "ifgo"
W = {"i": "0.4", "f": "-0.3", "g": "0.8", "o": "0.2"}
U = {"i": "-0.5", "f": "0.6", "g": "0.1", "o": "0.7"}
B = {"i": "0", "f": "1", "g": "-1/3", "o": "0.25"}
PEEPHOLES = {"p_i_l0": ["0.9"], "p_f_l0": ["-0.8"], "p_o_l0": ["0.5"]}
X = [["1"], ["-2"], ["0.5"], ["3"]]


def peephole_lstm() -> Cell:
    """Return the cell; the output gate sees the new cell state, the others the old."""
    H = hidden_size
    h_prev, c_prev = previous("h", H), previous("c", H)
    w = {gate: matrix(f"W_{gate}", H, input_size) for gate in GATES}
    u = {gate: matrix(f"U_{gate}", H, H) for gate in GATES}
    b = {gate: vector(f"b_{gate}", H) for gate in GATES}
    p = {gate: vector(f"p_{gate}", H) for gate in "ifo"}
    i, f, g, o, c = (quantity(name, H) for name in "ifgoc")
    terms = {
        gate: (matmul(w[gate], x), matmul(u[gate], h_prev), b[gate]) for gate in GATES
    }
    return Cell.define(
        "Peephole LSTM",
        parameters=[*w.values(), *u.values(), *b.values(), *p.values()],
        equations={
            i: sigmoid(add(*terms["i"], hadamard(p["i"], c_prev))),
            f: sigmoid(add(*terms["f"], hadamard(p["f"], c_prev))),
            g: tanh(add(*terms["g"])),
            c: add(hadamard(f, c_prev), hadamard(i, g)),
            o: sigmoid(add(*terms["o"], hadamard(p["o"], c))),
            quantity("h", H): hadamard(o, tanh(c)),
        },
    )


def load(peepholes: dict[str, list[str]]) -> symrnn.Network:
    """Return the network with one unit, the weights above and these peepholes."""
    weights: dict[str, list[object]] = {}
    for gate in GATES:
        weights |= {f"W_{gate}_l0": [[W[gate]]], f"U_{gate}_l0": [[U[gate]]]}
        weights |= {f"b_{gate}_l0": [B[gate]]}
    return symrnn.load(weights | peepholes, cell=peephole_lstm())


def usual_lstm() -> symrnn.Network:
    """Return the LSTM of torch with the same weights, and no peepholes."""
    return symrnn.load(
        {
            "weight_ih_l0": [[W[gate]] for gate in GATES],
            "weight_hh_l0": [[U[gate]] for gate in GATES],
            "bias_ih_l0": [B[gate] for gate in GATES],
            "bias_hh_l0": ["0"] * len(GATES),
        }
    )


def main() -> None:
    """Print the equations, 30 digits with and without peepholes, and a derivation."""
    net = load(PEEPHOLES)
    print(net.cell, end="\n\n")
    closed = load({name: ["0"] for name in PEEPHOLES})
    outputs = {
        "with peepholes": symrnn.evaluate(net, X, digits=30).output.decimal(30),
        "peepholes 0": symrnn.evaluate(closed, X, digits=30).output.decimal(30),
        "usual LSTM": symrnn.evaluate(usual_lstm(), X, digits=30).output.decimal(30),
    }
    for name, output in outputs.items():
        for t, (value,) in enumerate(output):
            print(f"{name:>14}   h_{t + 1} = {value}")
    same = outputs["peepholes 0"] == outputs["usual LSTM"]
    print(f"without peepholes it is the usual LSTM, digit for digit: {same}\n")
    print(symrnn.derive(net, X, digits=4, title="A peephole LSTM").markdown())


if __name__ == "__main__":
    main()
