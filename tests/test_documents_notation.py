# SPDX-License-Identifier: BSD-3-Clause
"""Letters, rows and columns, colours: what is written is what it says, for any cell."""

import math
import re
import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn.cells import (
    Cell,
    gru,
    gru_reset_before,
    hidden_size,
    input_size,
    lstm,
    previous,
    quantity,
    rnn,
    x,
)
from symrnn.documents.colours import NIGHT, PAPER, palette, tones_of
from symrnn.documents.latex.math import math as tex
from symrnn.documents.model import (
    Brackets,
    Display,
    Equations,
    Function,
    Heading,
    Matrix,
    Number,
    Sign,
    Symbol,
)
from symrnn.documents.notation import Names
from symrnn.documents.notations import NAMED, Notation, read_symbol
from symrnn.documents.options import Options
from symrnn.documents.textbooks import GOODFELLOW
from symrnn.errors import SourceError
from symrnn.language import (
    add,
    hadamard,
    matmul,
    matrix,
    neg,
    ones,
    relu,
    sigmoid,
    subtract,
    tanh,
    transpose,
    vector,
)
from tests.require import require
from tests.test_audit_pages import contrast
from tests.test_documents_cases import (
    compile_latex,
    complaints,
    peephole_cell,
    random_network,
)

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


def written(cell, **options):
    """Return what each name of a cell is written as, in LaTeX."""
    symbols = Notation.of(cell, Options(**options)).symbols
    return {name: tex((replace(s, tone=""),)) for name, s in symbols.items()}


# --- letters ------------------------------------------------------------------------


def test_goodfellow_writes_an_lstm_as_the_book_does():
    """Equations 10.40 to 10.44, with two biases where torch has two."""
    assert written(lstm(), notation="goodfellow") == {
        "x": "x",
        "f": "f",
        "i": "g",
        "g": r"\tilde{s}",
        "o": "q",
        "c": "s",
        "h": "h",
        "W_if": "U^{f}",
        "W_ii": "U^{g}",
        "W_ig": "U",
        "W_io": "U^{o}",
        "W_hf": "W^{f}",
        "W_hi": "W^{g}",
        "W_hg": "W",
        "W_ho": "W^{o}",
        "b_if": "b_{U}^{f}",
        "b_ii": "b_{U}^{g}",
        "b_ig": "b_{U}",
        "b_hf": "b_{W}^{f}",
        "b_hi": "b_{W}^{g}",
        "b_hg": "b_{W}",
        "b_io": "b_{U}^{o}",
        "b_ho": "b_{W}^{o}",
    }


def test_cho_writes_a_gru_as_the_paper_does():
    """Equations 5 to 8 of the paper have no biases."""
    assert written(gru(bias=False), notation="cho") == {
        "x": "x",
        "h": "h",
        "r": "r",
        "z": "z",
        "n": r"\tilde{h}",
        "W_ir": "W_{r}",
        "W_iz": "W_{z}",
        "W_in": "W",
        "W_hr": "U_{r}",
        "W_hz": "U_{z}",
        "W_hn": "U",
    }


@pytest.mark.parametrize(
    ("cell", "notation", "expected"),
    [
        (lstm(), "cho", {"g": r"\tilde{c}", "W_ig": "W_{c}", "b_hg": "b_{U,c}"}),
        (lstm(projected=True), "goodfellow", {"W_hr": "W_{hr}", "m": "m"}),
        (rnn(), "goodfellow", {"W_ih": "U", "W_hh": "W", "b_ih": "b_{U}"}),
        (gru(), "goodfellow", {"z": "u", "W_iz": "U^{u}", "W_hn": "W"}),
        (gru_reset_before(), "goodfellow", {"W_hn": "W", "b_hn": "b_{W}"}),
        (minimal_gated_unit(), "goodfellow", {"W_f": "U^{f}", "U_f": "W^{f}"}),
        (minimal_gated_unit(), "goodfellow", {"b_f": "b^{f}", "W_h": "U^{n}"}),
        (minimal_gated_unit(), "pytorch", {"W_f": "W_{f}", "U_f": "U_{f}"}),
        (
            peephole_cell(),
            "goodfellow",
            {"W_i": "U^{g}", "p_i": "p^{g}", "p_o": "p^{o}"},
        ),
        (peephole_cell(), "cho", {"R_i": "U_{i}", "b_g": "b_{c}", "p_i": "p_{i}"}),
    ],
)
def test_textbooks_read_the_equations_of_any_cell(cell, notation, expected):
    """Which matrix multiplies the input is in the equations, whatever it is called."""
    found = written(cell, notation=notation)
    assert {name: found[name] for name in expected} == expected


def test_parameters_of_one_role_keep_their_names():
    """Two matrices for one input cannot both be U."""
    A, B, W = (matrix(name, H, input_size) for name in "ABW")
    h = previous("h", H)
    cell = Cell.define(
        "two",
        parameters=[A, B, W],
        equations={
            quantity("f", H): sigmoid(add(matmul(A, x), matmul(B, x))),
            quantity("h", H): add(hadamard(quantity("f", H), h), matmul(W, x)),
        },
    )
    found = GOODFELLOW.symbols(cell, {n: Symbol(n) for n in ("A", "B", "W", "f", "h")})
    assert found == {"W": Symbol("U")}


@pytest.mark.parametrize("notation", NAMED)
@pytest.mark.parametrize("name", CELLS)
def test_no_two_names_are_written_alike(name, notation):
    """At every place and step, a symbol stands for one value."""
    net = CELLS[name]()
    chosen = Notation.of(net.cell, Options(notation=notation))
    seen = {}
    for place in net.places:
        for t in range(3):
            names = Names.at(net, chosen, place, t)
            for p in net.cell.parameters:
                key = (p.name, *place)
                assert key == seen.setdefault(tex((names.symbol(p),)), key)
            for line in net.cell.equations:
                key = (line.name, *place, t)
                assert key == seen.setdefault(tex((names.symbol(line.target),)), key)
            key = ("x", place[0], t)
            assert key == seen.setdefault(tex((names.symbol(x),)), key)


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ({"W_ih": "U", "W_hh": "U"}, "W_ih and W_hh would both be written U"),
        ({"W_ih": "x"}, "W_ih and x would both be written x"),
        ({"W_ih": "W_{hh}"}, "W_ih and W_hh would both be written W_{hh}"),
        ({"W_ih": "h_1"}, "W_ih would be written h_{1}, as h is at a step"),
        ({"W_ih": "h_t"}, "W_ih would be written h_{t}, as h is at a step"),
        ({"h": "s_a", "W_ih": "s_{a,2}"}, "as h is at a step"),
        ({"h": r"\sigma"}, None),
        ({"V_ih": "U"}, "no 'V_ih' to rename; did you mean '[Wb]_ih'"),
        ({"W_ih": "U+1"}, "a symbol is a letter"),
    ],
)
def test_symbols_that_mislead_are_refused(symbols, message):
    """The names are in the message; a sigmoid's sigma is free where there is none."""
    if message is None:
        assert written(rnn(), notation=symbols)["h"] == r"\sigma"
        return
    with pytest.raises(SourceError) as caught:
        written(rnn(), notation=symbols)
    assert re.search(message.replace("{", r"\{"), str(caught.value))


def test_functions_have_their_letters():
    """A state cannot have the letter of the sigmoid that it is computed with."""
    with pytest.raises(SourceError, match="the function sigmoid and h"):
        written(gru(), notation={"h": r"\sigma"})


@pytest.mark.parametrize(
    ("latex", "symbol"),
    [
        ("W", Symbol("W")),
        ("W_i", Symbol("W", "i")),
        ("W_{ih}^{(2)}", None),
        (r"\Omega^{f}", Symbol(r"\Omega", "", "f")),
        (r"\tilde{h}", Symbol(r"\tilde{h}")),
        (r"\tilde{\mathbf{h}}_{f}", Symbol(r"\tilde{\mathbf{h}}", "f")),
        (r"\mathcal{W}_{\alpha}", Symbol(r"\mathcal{W}", r"\alpha")),
        (r"\mathcal{w}", None),  # the font has capitals alone
        (r"\tilde{\hat{h}}", None),
        ("h'", Symbol("h'")),
        ("hidden_2", Symbol("hidden", "2")),
        ("W_{}", None),
        ("W_{,}", None),
        ("W_{i", None),
        ("W}", None),
        ("W_i_h", None),
        ("", None),
        ("2", None),
        ("W i", None),
        ("W$", None),
        (r"\alphabeta", None),
        (r"\input{x}", None),
        (r"W_{\input x}", None),
        (r"\tilde{\input}", None),
        ("W\n", None),
        ("ħ", None),
        (3, None),
        (None, None),
    ],
)
def test_a_symbol_is_a_letter_with_scripts(latex, symbol):
    """What is no symbol is refused, and the message shows what was given."""
    if symbol is not None:
        assert read_symbol(latex) == symbol
        return
    with pytest.raises(SourceError) as caught:
        read_symbol(latex)
    assert repr(latex) in str(caught.value)


GREEK = (
    r"\alpha\beta\gamma\delta\epsilon\varepsilon\zeta\eta\theta\vartheta\iota\kappa\lambda"
    r"\mu\nu\xi\pi\rho\sigma\tau\upsilon\phi\varphi\chi\psi\omega\Gamma\Delta\Theta\Lambda"
    r"\Xi\Pi\Sigma\Upsilon\Phi\Psi\Omega\ell"
)
ABOVE = r"\tilde\hat\bar\vec\dot\mathbf\mathrm\mathcal\mathit\boldsymbol"
HARMLESS = set(re.findall(r"\\[A-Za-z]+", GREEK + ABOVE))

OTHERS = [*r"{}_^'W1,%#$&~é ", "\\\\", r"\input", r"\def", "ih", "{W}", "{ih}"]
tokens = st.sampled_from([*sorted(HARMLESS), *OTHERS])


@given(st.lists(tokens, max_size=8).map("".join) | st.text(max_size=8))
def test_no_command_but_letters_gets_through(latex):
    """Whatever is accepted has balanced braces and letters; it is written as it was read."""
    try:
        symbol = read_symbol(latex)
    except SourceError:
        return
    text = tex((symbol,))
    assert text.isascii()
    assert set(re.findall(r"\\[A-Za-z]+|\\.", text)) <= HARMLESS
    rest = re.sub(r"\\[A-Za-z]+", "", text)
    assert re.fullmatch(r"[A-Za-z0-9_^{}', ]*", rest)
    while "{" in rest:
        rest, before = re.sub(r"\{[^{}]*\}", "", rest), rest
        assert rest != before
    assert "}" not in rest


def test_long_nonsense_is_refused_at_once():
    """A pattern that tries every way to cut a word takes years."""
    start = time.perf_counter()
    for latex in ("W_{" + "a" * 5000, r"W_{\alpha" * 500, "W" + "'" * 5000 + "!"):
        with pytest.raises(SourceError):
            read_symbol(latex)
    assert time.perf_counter() - start < 1


# --- rows and columns ---------------------------------------------------------------


class Reader:
    """Computes what mathematics says, as a reader does: sizes must fit, too."""

    def __init__(self, symbols):
        self.symbols = symbols
        self.tokens = []
        self.at = 0

    def sides(self, pieces):
        """Return the values of the sides of equations in `pieces`."""
        self.tokens, self.at = list(flat(pieces)), 0
        values = [self.sum()]
        while self.peek() in (Sign("equals"), Sign("approx")):
            self.take()
            values.append(self.sum())
        assert self.peek() is None, f"cannot read on at {self.tokens[self.at :]}"
        return values

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self):
        value = self.product()
        while self.peek() in (Sign("plus"), Sign("minus")):
            sign = 1 if self.take() == Sign("plus") else -1
            value = value + sign * alike(value, self.product())
        return value

    def product(self):
        sign = 1
        if self.peek() == Sign("negative"):
            self.take()
            sign = -1
        value = self.factor()
        while True:
            token = self.peek()
            if token == Sign("odot"):
                self.take()
                value = value * alike(value, self.factor())
            elif token == Sign("dot"):
                self.take()
                value = times(value, self.factor())
            elif token is None or token == ")" or isinstance(token, Sign):
                return sign * value
            else:
                value = times(value, self.factor())

    def factor(self):
        token = self.take()
        if isinstance(token, Function):
            return FUNCTIONS[token.name](self.factor())
        if token == "(":
            value = self.sum()
            assert self.take() == ")"
        elif isinstance(token, Matrix):
            value = np.array([[float(c[0].text) for c in row] for row in token.rows])
        elif isinstance(token, Number):
            value = np.array([[float(token.text)]])
        else:
            value = self.symbols[replace(token, tone="")]
        if self.peek() == Sign("transposed"):
            self.take()
            value = value.T
        return value


FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
}


def alike(value, other):
    """Return `other`, which must have the size of `value`; 1 is a vector of ones."""
    fits = value.shape == other.shape or (value == 1).all()
    assert fits, f"{value.shape} beside {other.shape}"
    return other


def times(left, right):
    """Return a product of matrices, or of a matrix and a number."""
    if 1 == left.size or 1 == right.size:
        return left * right
    assert left.shape[1] == right.shape[0], f"{left.shape} times {right.shape}"
    return left @ right


def flat(pieces):
    """Yield the pieces and the brackets, as they stand on the lines."""
    for piece in pieces:
        if isinstance(piece, Brackets):
            yield from ["("] if piece.opened else []
            yield from flat(piece.body)
            yield from [")"] if piece.closed else []
        else:
            yield piece


def meanings(page, *, row):
    """Return the value of every symbol of a page."""
    trace = page.trace
    net = trace.net
    notation = Notation.of(net.cell, page.options)
    found = {}

    def vector(symbol, elements):
        column = np.array(elements, dtype=float).reshape(-1, 1)
        found[replace(symbol, tone="")] = column.T if row else column

    for place in net.places:
        for t in range(len(INPUT)):
            names = Names.at(net, notation, place, t)
            for p in net.cell.parameters:
                values = net.parameters[place][p.name].astype(float)
                if values.shape[1] == 1:
                    vector(names.symbol(p), values)
                else:
                    found[replace(names.symbol(p), tone="")] = values
            below = [(place[0] - 1, direction) for direction in net.directions]
            outputs = [trace[*b, t].h.decimal(12) for b in below if place[0]]
            vector(names.symbol(x), np.concatenate(outputs) if outputs else INPUT[t])
            for line in net.cell.equations:
                quantity = getattr(trace[*place, t], line.name).decimal(12)
                vector(names.symbol(line.target), quantity)
            for state, size in net.state_sizes.items():
                before = t + 1 if place[1] == "reverse" else t - 1
                known = 0 <= before < len(INPUT)
                step = trace[*place, before if known else t]
                value = getattr(step, state).decimal(12) if known else [0] * size
                vector(names.state(state, before=True), value)
    return found


def equations(page):
    """Yield the equations of the steps, each with its lines joined."""
    in_step = False
    for block in page.document.blocks:
        if isinstance(block, Heading):
            in_step = block.origin is not None
        if not in_step or not isinstance(block, Equations):
            continue
        whole = ()
        for line in block.lines:
            if line.left and whole:
                yield whole
                whole = ()
            relation = () if line.relation is None else (Sign(line.relation),)
            whole = (*whole, *line.left, *relation, *line.right)
        yield whole


@pytest.mark.parametrize(
    ("vectors", "notation"),
    [("column", "cho"), ("row", "pytorch"), ("row", "goodfellow")],
)
@pytest.mark.parametrize("name", CELLS)
def test_every_line_is_true(name, vectors, notation):
    """Read as matrix algebra, all sides are one value: nothing is transposed amiss."""
    net = CELLS[name]()
    page = symrnn.derive(net, INPUT, vectors=vectors, notation=notation, digits=6)
    reader = Reader(meanings(page, row=vectors == "row"))
    lines = 0
    for equation in equations(page):
        first, *others = reader.sides(equation)
        for other in others:
            assert first.shape == other.shape, tex(equation)
            assert np.abs(first - other).max() < 1e-4, tex(equation)
        lines += len(others)
    assert lines >= 4 * len(net.cell.equations) * len(INPUT)


def test_what_is_read_as_columns_is_not_true_of_rows():
    """The reader of the test above does find what does not fit."""
    page = symrnn.derive(CELLS["lstm"](), INPUT, vectors="row")
    with pytest.raises(AssertionError, match="times"):
        Reader(meanings(page, row=False)).sides(next(equations(page)))


def test_rows_are_what_torch_computes():
    """W is printed as the reader multiplies it; among the parameters, as it is stored."""
    page = symrnn.derive(CELLS["rnn"](), INPUT, vectors="row")
    text = page.markdown()
    assert "Vectors are rows." in text
    multiplied = r"x_{1} W_{ih}^{\top} + b_{ih} + h_{0} W_{hh}^{\top} + b_{hh}"
    assert rf"h_{{1}} &= \mathrm{{relu}}({multiplied})" in text
    net = page.trace.net
    stored = net.parameters[0, "forward"]["W_ih"]
    rows = matrix_of(page, "W_ih", Display)
    assert [[float(v) for v in row] for row in stored.tolist()] == rows
    assert [list(column) for column in zip(*rows, strict=True)] == matrix_of(
        page, "W_ih", Equations
    )


def matrix_of(page, quantity, block):
    """Return the numbers of a quantity's first appearance in blocks of a kind."""
    for found in page.document.blocks:
        if not isinstance(found, block):
            continue
        lines = (
            found.lines if block is Display else [line.right for line in found.lines]
        )
        for piece in (piece for line in lines for piece in flat(line)):
            origin = getattr(piece, "origin", None)
            if origin is not None and origin.quantity == quantity:
                return [[float(cell[0].text) for cell in row] for row in piece.rows]
    raise AssertionError(f"{quantity} is not printed")


# --- colours ------------------------------------------------------------------------

GATES = "abcdef"
ALL = palette(GATES).values()


def test_colours_can_be_read():
    """Text has the contrast of WCAG AA on paper and on a dark screen."""
    assert len(set(ALL)) == len(GATES)
    for colour in ALL:
        assert contrast(f"#{colour.light}", f"#{PAPER}") >= 4.5
        assert contrast(f"#{colour.dark}", f"#{NIGHT}") >= 4.5


def linear(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]


def lab(rgb):
    """Return a colour in CIELAB; its distances are those that the eye sees."""
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    white = (0.9505, 1.0, 1.089)
    ratios = [v / w for v, w in zip(np.array(to_xyz) @ rgb, white, strict=True)]
    f = [r ** (1 / 3) if r > 0.008856 else 7.787 * r + 16 / 116 for r in ratios]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


SEEN_BY = {
    "everyone": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopes": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopes": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
"""Machado, Oliveira & Fernandes (2009), severity 1: on linear RGB."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_all_eyes_tell_gates_apart(eyes, scheme):
    """Two gates differ in colour, and a gate from the ink; 2.3 is just noticeable."""
    colours = [getattr(colour, scheme) for colour in ALL]
    ink = {"light": "1B1F24", "dark": "E6E8EB"}[scheme]
    seen = [np.array(SEEN_BY[eyes]) @ linear(colour) for colour in (*colours, ink)]
    points = [lab(np.clip(rgb, 0, 1)) for rgb in seen]
    assert min(math.dist(a, b) for a, b in combinations(points[:4], 2)) > 33
    assert min(math.dist(a, b) for a, b in combinations(points, 2)) > 27


@pytest.mark.parametrize("name", CELLS)
def test_gates_have_colours_and_states_have_none(name):
    """Whatever the cell: a gate and what it alone is computed with have one tone."""
    cell = CELLS[name]().cell
    symbols = Notation.of(cell, Options()).symbols
    gates = [line.name for line in cell.equations if line.name not in cell.states]
    for line in cell.equations:
        assert symbols[line.name].tone == (line.name if line.name in gates else "")
    assert symbols["x"].tone == ""
    for p in cell.parameters:
        users = [e.name for e in cell.equations if e.value.has(p)]
        alone = users[0] if len(users) == 1 and users[0] in gates else ""
        assert symbols[p.name].tone == alone
    page = symrnn.derive(CELLS[name](), INPUT, detail="summary")
    assert list(tones_of(page.document)) == gates


# --- on paper -----------------------------------------------------------------------

OWN = {
    "h": r"\tilde{\mathbf{h}}",
    "x": "u'",
    "W_ih": r"\Omega_{\alpha in}^{forget}",
    "W_hh": r"\mathcal{W}'^{f}",
    "b_ih": "bias_x",
    "b_hh": "bias_{recurrent}",
}
"""All that a symbol may be."""


def test_every_notation_compiles(tmp_path):
    """Any cell in any letters, in rows and columns: TeX has nothing to complain about."""
    pages = [
        symrnn.derive(make(), INPUT, notation=notation, vectors=vectors, colour=True)
        for make in CELLS.values()
        for notation, vectors in (("goodfellow", "row"), ("cho", "column"))
    ]
    for name in ("rnn", "two layers"):
        for vectors in ("row", "column"):
            page = symrnn.derive(CELLS[name](), INPUT, notation=OWN, vectors=vectors)
            pages.append(page)
    texts = [page.latex() for page in pages]
    begin, end = r"\begin{document}", r"\end{document}"
    colours = {
        line for t in texts for line in t.splitlines() if r"\definecolor" in line
    }
    bodies = [text.split(begin)[1].split(end)[0] for text in texts]
    preamble = texts[0].split(begin)[0]
    whole = "\n".join([preamble, *sorted(colours), begin, *bodies, end])
    assert [] == complaints(compile_latex(tmp_path, whole, require("pdflatex")))
