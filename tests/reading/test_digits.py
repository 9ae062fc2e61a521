# SPDX-License-Identifier: BSD-3-Clause
"""Every printed number of every golden file, read from the file and computed again.

Each format has a reader of its own. What it finds is verified from the first number to
the last: the page's own equations, parameters and inputs are computed over mpmath, and
each number is held against what stands in its place in the formula of symbols. The
equations are right because the states they lead to are those of another oracle.
"""

import json
import random
import re
import subprocess
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from symrnn.documents.latex.pdf import compile_latex
from tests.cases import multiprecision, reference
from tests.conftest import GOLDEN as FOLDER
from tests.derivations.test_cases import (
    GOLDEN,
    GOLDEN_FILES,
    PACKED,
    RETURNED,
    all_in_one,
    derive_golden,
    hidden_size_two,
    packed_network,
)
from tests.derivations.test_numbers import STEPS, symbols_of
from tests.reading import blocks as blocks
from tests.reading.blocks import read
from tests.reading.mathematics import Fraction as Ratio
from tests.reading.mathematics import Matrix, Name, Number, numbers_in
from tests.reading.values import MP, difference
from tests.reading.verifying import Verifier
from tests.require import require

FORMATS = ["tex", "html", "md", "ipynb"]
TINY = MP.mpf("1e-60")


def network_of(case):
    if case == "lstm_packed":
        return packed_network()
    return hidden_size_two() if case == "rnn_checked" else GOLDEN[case][0]()


def inputs_of(case):
    if case == "lstm_packed":
        return list(reversed(PACKED))
    return [GOLDEN["rnn_hidden_size_two" if case == "rnn_checked" else case][1]]


def text_of(case, suffix):
    return (FOLDER / f"{case}.{suffix}").read_text(encoding="utf-8")


def verify(case, suffix, text):
    """Read and verify a document; anything wrong or unknown is an error."""
    output = [[Fraction(float(np.float32(v))) for v in row] for row in RETURNED]
    returned = {"output": output, "h_n": output[-1:]}
    return Verifier(read(f"{case}.{suffix}", text), inputs_of(case), returned)


def numbers_of(found):
    """Yield the numbers of all formulas and tables, however they are arranged."""
    for block in found:
        match block:
            case blocks.Equations():
                parts = [side for line in block.lines for side in line]
            case blocks.Display():
                parts = block.lines
            case blocks.Table():
                parts = [part for row in block.rows for cell in row for part in cell]
            case blocks.Heading() | blocks.Paragraph():
                parts = block.text
            case _:
                parts = ()
        for part in parts:
            if not isinstance(part, str):
                yield from numbers_in(part)


# --- right --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("case", GOLDEN_FILES)
def test_every_number_is_right(case, suffix):
    """No number of a formula, a table, a sentence or a line of code is left over."""
    text = text_of(case, suffix)
    verifier = verify(case, suffix, text)
    count = len(list(numbers_of(read(f"{case}.{suffix}", text))))
    assert count == verifier.verified + verifier.constants > 40
    decimals = re.findall(r"\d\.\d", text) if suffix == "ipynb" else ()
    assert verifier.in_code > 10 or not decimals


@pytest.mark.parametrize("case", GOLDEN_FILES)
def test_parameters_are_those_of_the_network(case):
    """What is printed as given is what was given."""
    net, verifier = network_of(case), verify(case, "md", text_of(case, "md"))
    given = {}
    for (layer, direction), arrays in net.parameters.items():
        sup = f"({layer + 1})" if net.num_layers > 1 else ""
        arrow = {"forward": "→", "reverse": "←"}[direction] if net.bidirectional else ""
        for name, array in arrays.items():
            rows = [[Fraction(v) for v in row] for row in array.tolist()]
            given[Name(*name.split("_"), sup, arrow)] = rows
    assert given == {name: verifier.meaning.given[name] for name in verifier.parameters}


@pytest.mark.parametrize("case", [c for c in GOLDEN_FILES if c != "peephole"])
def test_equations_of_the_page_lead_to_the_states_of_the_oracle(case):
    """Every quantity of every step, and what is assembled of them."""
    verifier = verify(case, "md", text_of(case, "md"))
    kind = case.partition("_")[0].replace("rnn", "rnn_tanh")
    arrays = {}
    for layer, sup in enumerate(verifier.layers):
        for arrow in verifier.directions:
            for name, (members, _) in verifier.stored.items():
                rows = verifier.array(members, sup, arrow)
                suffix = f"_l{layer}" + ("_reverse" if arrow == "←" else "")
                rows = [[f"{v}" for v in row] for row in rows]
                whole = rows if "weight" in name else [row[0] for row in rows]
                arrays[name.removesuffix("_l0") + suffix] = whole
    for b, x in enumerate(inputs_of(case)):
        rows = [[str(v) for v in row] for row in x]
        expected = reference(kind, arrays, rows, None, None, multiprecision())
        for (layer, direction, t), quantities in expected.steps.items():
            sup, arrow = verifier.layers[layer], ""
            if len(verifier.directions) > 1:
                arrow = "←" if direction == "reverse" else "→"
            for quantity, values in quantities.items():
                if not quantity.endswith("_pre"):
                    name = Name(quantity, str(t + 1), sup, arrow)
                    found = verifier.meaning.symbol(name, b)
                    assert difference(found, [[v] for v in values]) < TINY
        results = verifier.results[b]
        assert difference(results["output"], expected.output) < TINY
        assert difference(results["h_n"], expected.h_n) < TINY
        assert ("c_n" in results) == (kind == "lstm")
        if kind == "lstm":
            assert difference(results["c_n"], expected.c_n) < TINY


def test_equations_of_a_cell_of_ones_own_lead_to_the_right_states():
    """The peephole LSTM has an oracle of its own."""
    make, x = GOLDEN["peephole"]
    symbols = symbols_of(STEPS["peephole"], make(), x)
    verifier = verify("peephole", "md", text_of("peephole", "md"))
    for base in ("i", "f", "g", "c", "o", "h"):
        for t in ("1", "2"):
            found = verifier.meaning.symbol(Name(base, t), 0)
            assert difference(found, symbols[f"{base}_{{{t}}}"]) < MP.mpf("1e-50")


# --- the same -----------------------------------------------------------------------


def bare(tokens):
    """Return tokens without what only HTML says."""
    found = []
    for token in tokens:
        if isinstance(token, (Number, Matrix)):
            token = replace(token, origin=None)
        if isinstance(token, Matrix):
            rows = tuple(tuple(map(bare, row)) for row in token.rows)
            token = replace(token, rows=rows)
        if isinstance(token, Ratio):
            token = Ratio(bare(token.top), bare(token.bottom))
        found.append(token)
    return tuple(found)


def said(found):
    """Return what a document says, without code and drawings."""
    for block in found:
        match block:
            case blocks.Heading(text) | blocks.Paragraph(text):
                yield (
                    type(block),
                    tuple(p if isinstance(p, str) else bare(p) for p in text),
                )
            case blocks.Equations(lines):
                yield type(block), tuple((bare(a), bare(b)) for a, b in lines)
            case blocks.Display(lines):
                yield type(block), tuple(map(bare, lines))
            case blocks.Table(header, rows):
                yield (
                    type(block),
                    tuple(
                        tuple(p if isinstance(p, str) else bare(p) for p in cell)
                        for row in (header, *rows)
                        for cell in row
                    ),
                )


@pytest.mark.parametrize("suffix", ["tex", "html", "ipynb"])
@pytest.mark.parametrize("case", GOLDEN_FILES)
def test_every_format_says_the_same(case, suffix):
    """One document: every word, formula and table of one format is in the others."""
    expected = list(said(read("a.md", text_of(case, "md"))))
    assert expected == list(said(read(f"a.{suffix}", text_of(case, suffix))))


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What can be copied from the pages of each document.

    They are one PDF: TeX takes longer to start than to set a document.
    """
    pdftotext, engine = require("pdftotext"), require("pdflatex")
    texts = {case: derive_golden(case).latex() for case in GOLDEN_FILES}
    before = {
        case: rf"\noindent CASE {n}\clearpage" for n, case in enumerate(GOLDEN_FILES)
    }
    path = tmp_path_factory.mktemp("printed") / "a.pdf"
    path.write_bytes(compile_latex(all_in_one(texts, before), engine=engine))
    run = [pdftotext, path, "-"]
    text = subprocess.run(run, capture_output=True, check=True, text=True).stdout
    opening, *found = re.split(r"^\f?CASE (\d+)$", text, flags=re.MULTILINE)
    assert opening.strip() == ""
    assert found[::2] == [str(n) for n in range(len(GOLDEN_FILES))]
    return dict(zip(GOLDEN_FILES, found[1::2], strict=True))


@pytest.mark.parametrize("case", GOLDEN_FILES)
def test_pdf_prints_the_same_decimals(case, printed):
    """What can be copied from the pages is what LaTeX was given."""
    found = read("a.tex", text_of(case, "tex"))
    decimals = [n.text for n in numbers_of(found) if "." in n.text]
    ulps = [e for b in found for e in errors_in(b)]
    assert Counter(decimals + ulps) == Counter(re.findall(r"\d+\.\d+", printed[case]))


def errors_in(block):
    """Yield the decimals of words: the errors in ulps, once more in a sentence."""
    match block:
        case blocks.Table():
            words = [p for row in block.rows for cell in row for p in cell]
        case blocks.Paragraph():
            words = block.text
        case _:
            words = ()
    for part in words:
        if isinstance(part, str):
            yield from re.findall(r"\d+\.\d+", part)


# --- wrong --------------------------------------------------------------------------

SILENT = {
    "md": r"\\\[0\.8ex\]",
    "tex": r"^.*?\\begin\{document\}|\\begin\{tikzpicture\}.*?\\end\{tikzpicture\}"
    r"|\\\\\*?\[0\.8ex\]|\\(?:vskip|smallskip|providecommand).*?$",
    "html": r"\A.*?<main [^>]*>|</main>.*|<svg.*?</svg>|<[^<>]*>",
}
"""Parts of a file whose digits print nothing."""


def digits_of(text, suffix):
    """Return the places of digits that a reader sees."""
    if suffix == "ipynb":  # and in code, the decimals that are held against torch's
        return [
            match.start(1)
            for match in re.finditer(r"(?<![\d.])-?\d+\.(\d)\d*(?=[\]',\s&$\\])", text)
            if not re.search(
                "last|error|ex]", text[match.start() - 40 : match.end() + 4]
            )
        ]
    flags = re.DOTALL | re.MULTILINE
    hidden = re.sub(SILENT[suffix], lambda m: " " * len(m[0]), text, flags=flags)
    assert len(hidden) == len(text)
    return [match.start() for match in re.finditer(r"\d", hidden)]


def changed(text, place):
    return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"


FAILURES = (AssertionError, LookupError, ValueError, TypeError, AttributeError)


def check_that_changes_are_noticed(case, suffix, most):
    text = text_of(case, suffix)
    places = digits_of(text, suffix)
    assert len(places) > 30
    verify(case, suffix, text)
    for place in random.Random(0).sample(places, min(most, len(places))):
        wrong = changed(text, place)
        try:
            verify(case, suffix, wrong)
        except FAILURES:
            continue
        pytest.fail(f"not noticed: {wrong[place - 40 : place + 20]!r}")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("case", GOLDEN_FILES)
def test_a_digit_that_is_changed_is_noticed(case, suffix):
    """Digits of formulas, tables, headings and sentences, drawn at random."""
    check_that_changes_are_noticed(case, suffix, 4 if case == "lstm_packed" else 12)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("case", ["rnn_one_feature", "gru", "rnn_checked"])
def test_any_digit_that_is_changed_is_noticed(case, suffix):
    """Every digit, one after the other."""
    check_that_changes_are_noticed(case, suffix, 10**6)


@pytest.mark.parametrize(
    ("case", "right", "wrong"),
    [
        ("rnn_one_feature", r"\approx 0.8133", "= 0.8133"),
        ("rnn_one_feature", "= -2.6307", r"\approx -2.6307"),
        ("rnn_one_feature", r"\tanh(-3.5076 + 0.8133)", r"\tanh(0.8133 + (-3.5076))"),
        ("rnn_one_feature", r"-0.9909 \\ -0.9984", r"-0.9984 \\ -0.9909"),
        ("rnn_one_feature", "0.8133", "0.81330"),
        (
            "rnn_one_feature",
            "W_{ih} x_{2} + W_{hh} h_{1}",
            "W_{hh} h_{1} + W_{ih} x_{2}",
        ),
        ("lstm", r"\odot \tanh\left(", r"\odot \sigma\left("),
        ("gru", "Step 2", "Step 3"),
        ("gru", "All states", "All the 2 states"),
    ],
)
def test_other_mistakes_are_noticed(case, right, wrong):
    """A sign, an order, a function, a digit too many, a sentence that nobody knows."""
    text = text_of(case, "md")
    assert right in text
    with pytest.raises(AssertionError):
        verify(case, "md", text.replace(right, wrong, 1))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('data-v="h.0.forward.0.0">−0.9897', 'data-v="h.0.forward.1.0">−0.9897'),
        ('data-v="W_hh.0.forward..">−0.8218', 'data-v="W_ih.0.forward..">−0.8218'),
        ('<mn data-v="x.0..0.0">3</mn>', "<mtext>3</mtext>"),
    ],
)
def test_mistakes_in_html_are_noticed(right, wrong):
    """A copy that names another source than its own; a number that is hidden."""
    text = text_of("rnn_one_feature", "html")
    assert right in text
    with pytest.raises(AssertionError):
        verify("rnn_one_feature", "html", text.replace(right, wrong, 1))


def test_notebooks_have_been_read_to_the_end():
    """Cells of code are as many as the file has."""
    cells = json.loads(text_of("gru", "ipynb"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    found = read("gru.ipynb", text_of("gru", "ipynb"))
    assert len(code) == sum(isinstance(b, blocks.Code) for b in found)
