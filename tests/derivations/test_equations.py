# SPDX-License-Identifier: BSD-3-Clause
"""Letters: PyTorch's, a textbook's or one's own; no two alike, and nothing but letters."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn.derivations.equations import Names
from symrnn.derivations.letters import GOODFELLOW, NAMED, Notation, read_symbol
from symrnn.derivations.options import Options
from symrnn.documents.latex.math import math as tex
from symrnn.documents.model import Symbol
from symrnn.equations.cells import Cell, gru, gru_reset_before, lstm, rnn
from symrnn.equations.language import add, hadamard, matmul, sigmoid
from symrnn.equations.symbols import input_size, matrix, previous, quantity, x
from symrnn.errors import SourceError
from tests.derivations.notation_cases import CELLS, INPUT, H, minimal_gated_unit
from tests.derivations.test_cases import (
    compile_latex,
    complaints,
    peephole_cell,
)
from tests.require import require


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
    for position in net.positions:
        for t in range(3):
            names = Names.at(net, chosen, position, t)
            for p in net.cell.parameters:
                key = (p.name, *position)
                assert key == seen.setdefault(tex((names.symbol(p),)), key)
            for line in net.cell.equations:
                key = (line.name, *position, t)
                assert key == seen.setdefault(tex((names.symbol(line.target),)), key)
            key = ("x", position[0], t)
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
        (r"\vec{h}", None),  # an arrow is a direction
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
ABOVE = r"\tilde\hat\bar\dot\mathbf\mathrm\mathcal\mathit\boldsymbol"
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


def test_long_nonsense_is_refused():
    """A pattern that tries every way to cut a word takes years."""
    for latex in ("W_{" + "a" * 5000, r"W_{\alpha" * 500, "W" + "'" * 5000 + "!"):
        with pytest.raises(SourceError):
            read_symbol(latex)


def test_letters_are_the_same_everywhere():
    """Tables and the drawing have the letters of the equations, accents in place."""
    letters = {"h": r"\hat{s}", "c": "s"}
    page = symrnn.derive(CELLS["lstm"](), INPUT, notation=letters)
    assert "| Features of the state $s$ | 4 |" in page.markdown()
    assert r"| Features of the state $\hat{s}$ | 4 |" in page.markdown()
    labels = re.findall(r'<text[^>]* class="letter"[^>]*>([^<]+)<', page.html())
    assert {"\u015d", "s", "x"} <= set(labels)


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
    log = compile_latex(tmp_path, whole, require("pdflatex"))
    assert [] == complaints(log)
