# SPDX-License-Identifier: BSD-3-Clause
"""The networks that the tests of documents derive; no tests of its own.

The first five are the examples of a well-known notebook on ``torch.nn.RNN``, with the
weights as it prints them, where it does.
"""

import random
import re
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

import symrnn
from symrnn.equations.cells import Cell, gru, gru_reset_before, lstm, rnn
from symrnn.equations.language import add, hadamard, matmul, sigmoid, tanh
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
from symrnn.networks.network import Network
from tests.require import require_module

SEQUENCE = [[1, 1, 1], [1, 2, 1], [2, 3, 1], [1, 3, 1]]


def table(text):
    """Read rows of decimals, one row in each line; a single row is a vector."""
    rows = [line.split() for line in text.strip().splitlines()]
    return rows[0] if len(rows) == 1 else rows


def _rnn(**arrays):
    return Network.from_arrays(
        rnn(bias="bias_ih_l0" in arrays),
        {name: table(v) if isinstance(v, str) else v for name, v in arrays.items()},
    )


def one_feature():
    return _rnn(weight_ih_l0=[["-0.8769"]], weight_hh_l0=[["-0.8218"]])


def several_features():
    return _rnn(
        weight_ih_l0=[["0.0312", "0.8514", "-0.4176"]],
        weight_hh_l0=[["0.1934"]],
        bias_ih_l0="-0.5021",
        bias_hh_l0="0.1788",
    )


def hidden_size_two():
    return _rnn(
        weight_ih_l0="0.5886 -0.0840  0.1099\n-0.1125  0.0505 -0.1764",
        weight_hh_l0="0.1692 0.4006\n0.4108 0.7006",
        bias_ih_l0="0.5332 0.4121",
        bias_hh_l0="-0.5042 -0.1715",
    )


def bidirectional():
    return _rnn(
        weight_ih_l0="-0.6735 0.2324 0.5187\n-0.5421 -0.4331 0.1564",
        weight_hh_l0="0.5985 0.5866\n-0.0808 0.6500",
        bias_ih_l0="0.5015 -0.3184",
        bias_hh_l0="0.1460 0.4912",
        weight_ih_l0_reverse="0.4697 -0.3869 -0.4899\n0.4505 0.4845 -0.3718",
        weight_hh_l0_reverse="0.3995 0.3990\n-0.0386 -0.3703",
        bias_ih_l0_reverse="-0.3801 -0.4178",
        bias_hh_l0_reverse="-0.3645 0.4508",
    )


def stacked():
    return _rnn(
        weight_ih_l0="""-0.0067  0.5169 -0.4285
                         0.4447 -0.5474  0.3089
                        -0.1507  0.2443  0.1886""",
        weight_hh_l0="""-0.1682 -0.2060 -0.0155
                        -0.2151 -0.5301 -0.4871
                        -0.4436 -0.2902 -0.5667""",
        bias_ih_l0="-0.0591 -0.4937 0.2946",
        bias_hh_l0="-0.1003 0.4496 0.4387",
        weight_ih_l1="""0.2131  0.1153  0.4454
                       -0.3610  0.0018 -0.3609
                       -0.4575  0.0097 -0.0236""",
        weight_hh_l1="""0.0889 -0.0294 -0.3185
                        0.1371  0.1975  0.5522
                        0.3690  0.3262 -0.1692""",
        bias_ih_l1="0.1758 -0.5126 0.3801",
        bias_hh_l1="0.3563 -0.0351 0.2165",
    )


def random_network(cell, inputs, hidden, *, layers=1, directions=1, projected=None):
    """Return a network of reproducible weights with four decimals."""
    numbers = random.Random(1)
    by_name = {p.name: p for p in cell.parameters}
    arrays = {}
    for layer in range(layers):
        for direction in range(directions):
            below = (projected or hidden) * directions
            sizes = {
                input_size: below if layer else inputs,
                hidden_size: hidden,
                proj_size: projected,
            }
            for array, members in cell.stacking.items():
                rows = sum(sizes[by_name[m].shape[0]] for m in members)
                across = by_name[members[0]].shape[1]
                columns = sizes.get(across, 1)
                values = [
                    [f"{numbers.uniform(-1, 1):.4f}" for _ in range(columns)]
                    for _ in range(rows)
                ]
                if across == 1:
                    values = [row[0] for row in values]
                suffix = "_reverse" if direction else ""
                arrays[f"{array}_l{layer}{suffix}"] = values
    return Network.from_arrays(cell, arrays)


def peephole_cell():
    """Return a cell that symrnn does not know: gates that see the cell state."""
    H = hidden_size
    h, c = previous("h", H), previous("c", H)
    W = {k: matrix(f"W_{k}", H, input_size) for k in "ifgo"}
    R = {k: matrix(f"R_{k}", H, H) for k in "ifgo"}
    b = {k: vector(f"b_{k}", H) for k in "ifgo"}
    p = {k: vector(f"p_{k}", H) for k in "ifo"}
    i, f, g, o, c_t, h_t = (quantity(k, H) for k in "ifgoch")

    def affine(k):
        return matmul(W[k], x), matmul(R[k], h), b[k]

    return Cell.define(
        "Peephole LSTM",
        parameters=[*W.values(), *R.values(), *b.values(), *p.values()],
        equations={
            i: sigmoid(add(*affine("i"), hadamard(p["i"], c))),
            f: sigmoid(add(*affine("f"), hadamard(p["f"], c))),
            g: tanh(add(*affine("g"))),
            c_t: add(hadamard(f, c), hadamard(i, g)),
            o: sigmoid(add(*affine("o"), hadamard(p["o"], c_t))),
            h_t: hadamard(o, tanh(c_t)),
        },
    )


GOLDEN = {
    "rnn_one_feature": (one_feature, [[3], [4], [5]]),
    "rnn_several_features": (several_features, SEQUENCE),
    "rnn_hidden_size_two": (hidden_size_two, SEQUENCE),
    "rnn_bidirectional": (bidirectional, SEQUENCE),
    "rnn_stacked": (stacked, SEQUENCE),
    "lstm": (lambda: random_network(lstm(), 3, 2), SEQUENCE[:2]),
    "gru": (lambda: random_network(gru(), 3, 2), SEQUENCE[:2]),
    "peephole": (lambda: random_network(peephole_cell(), 2, 2), [[1, 2], ["0.5", -1]]),
}
"""Reviewed by eye, and number by number."""

PADDED = [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[1, 0], [0, 0]]]
WIDE = [[[k + i for k in range(20)]] * 6 for i in range(12)]

DIFFICULT = {
    "many columns": (
        lambda: random_network(rnn("relu"), 20, 16),
        WIDE,
        {},
    ),
    "eight columns": (lambda: random_network(rnn(), 8, 8), [list(range(8))] * 2, {}),
    "many digits": (GOLDEN["lstm"][0], SEQUENCE[:2], {"digits": 12}),
    "very many digits": (GOLDEN["gru"][0], SEQUENCE[:2], {"digits": 25}),
    "whole numbers": (GOLDEN["lstm"][0], SEQUENCE[:2], {"digits": 0}),
    "arrows and layers": (
        lambda: random_network(lstm(), 3, 2, layers=2, directions=2),
        SEQUENCE[:2],
        {},
    ),
    "lengths": (
        lambda: random_network(gru(bias=False), 2, 2, directions=2),
        PADDED,
        {"lengths": [3, 2]},
    ),
    "projection": (
        lambda: random_network(lstm(projected=True), 3, 3, projected=2),
        SEQUENCE[:1],
        {},
    ),
    "product of a product": (
        lambda: random_network(gru_reset_before(), 3, 3),
        SEQUENCE[:2],
        {},
    ),
}
"""What strains a page: widths, heights, symbols."""


GOLDEN_FILES = [*GOLDEN, "lstm_packed", "rnn_checked"]
"""The documents of tests/golden, each as .tex, .html, .md and .ipynb."""

PACKED = [[["0.5", -1], [1, "0.25"], [0, 2]], [["-0.75", 1], [2, "0.5"]]]


def packed_network():
    """Return the network of the packed golden document."""
    return random_network(lstm(), 2, 1, layers=2, directions=2)


def derive_packed():
    """Derive a two-layer bidirectional LSTM on torch's packed sequences, not in order."""
    torch = require_module("torch")
    sequences = [
        torch.tensor([[float(v) for v in step] for step in sequence])
        for sequence in reversed(PACKED)
    ]
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    return symrnn.derive(packed_network(), packed)


RETURNED = [
    ["0.56727797", "0.0021999965"],
    ["0.5759392", "0.27962857"],
    ["0.8547618", "0.3996258"],
    ["0.65283054", "0.6256975"],
]
"""Outputs of the RNN with two features as float32 might return them, one not nearest."""


def derive_checked():
    """Derive the RNN with two features, and hold float32 outputs against it."""
    output = np.array(RETURNED, dtype=np.float32)
    return symrnn.derive(hidden_size_two(), SEQUENCE, check=(output, output[-1:]))


@cache
def derive_golden(case):
    if case == "lstm_packed":
        return derive_packed()
    if case == "rnn_checked":
        return derive_checked()
    make, inputs = GOLDEN[case]
    return symrnn.derive(make(), inputs)


@cache
def derive_difficult(case):
    make, inputs, options = DIFFICULT[case]
    return symrnn.derive(make(), inputs, **options)


def compile_latex(folder, text, engine, runs=1):
    """Compile, and return the log of the last run.

    Pages are set, and no PDF is written: nobody would look at it. The first run complains
    of every reference, if a document has any.
    """
    (folder / "page.tex").write_text(text, encoding="utf-8")
    without_pdf = "-no-pdf" if Path(engine).stem == "xelatex" else "-draftmode"
    command = [engine, without_pdf, "-interaction=nonstopmode", "-halt-on-error"]
    command.append("page.tex")
    for _ in range(runs):
        run = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]
    return (folder / "page.log").read_text(encoding="utf-8", errors="replace")


def compile_together(folder, texts, engine):
    """Compile documents of one preamble as one, and return the log of each by its name.

    TeX takes longer to start than to set a page.
    """
    before = {name: rf"\typeout{{CASE {name}}}" for name in texts}
    log = compile_latex(folder, all_in_one(texts, before), engine)
    opening, *logs = re.split("^CASE (.*)$", log, flags=re.MULTILINE)
    assert [] == complaints(opening)
    assert list(texts) == logs[::2]
    return dict(zip(logs[::2], logs[1::2], strict=True))


def all_in_one(texts, before):
    """Return documents of one preamble as one, with something before each."""
    parts = {name: split_document(text) for name, text in texts.items()}
    (preamble,) = {first for first, _ in parts.values()}
    bodies = [rf"{before[name]}{body}\clearpage" for name, (_, body) in parts.items()]
    begin, end = r"\begin{document}", r"\end{document}"
    return "\n".join([preamble, begin, *bodies, end])


def split_document(text):
    """Return what is before the document begins, and what is in it."""
    return re.fullmatch(
        r"(.*)\\begin\{document\}(.*)\\end\{document\}\s*", text, re.DOTALL
    ).groups()


def complaints(log):
    return re.findall(r".*(?:Overfull|Underfull|Warning|Missing character).*", log)
