# SPDX-License-Identifier: BSD-3-Clause
"""LaTeX under three engines: nothing runs off a page or a slide, nothing is missing."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn.documents.latex.blocks import Blocks
from symrnn.documents.latex.math import Tex, math
from symrnn.documents.latex.writer import write_latex
from symrnn.documents.layout import width
from symrnn.documents.model import (
    Blank,
    Display,
    Document,
    Equations,
    Formula,
    Heading,
    Line,
    Matrix,
    Number,
    Paragraph,
    Script,
    Sign,
    Symbol,
    Table,
)
from symrnn.equations.cells import gru, lstm, rnn
from symrnn.errors import UnsupportedError
from tests.derivations.test_cases import (
    DIFFICULT,
    GOLDEN,
    PADDED,
    SEQUENCE,
    compile_latex,
    random_network,
)
from tests.require import require

ENGINES = ["pdflatex", "xelatex", "lualatex"]


def tall_lstm():
    return random_network(lstm(), 2, 2, layers=2, directions=2)


def large_gru():
    return random_network(gru(), 3, 256)


STRAINS = {
    **{name: (make, x, {}) for name, (make, x) in GOLDEN.items()},
    **DIFFICULT,
    "packed": (tall_lstm, PADDED, {"lengths": [3, 2]}),
    "hidden size 256": (large_gru, SEQUENCE[:1], {}),
    "long": (lambda: random_network(rnn(), 3, 2), SEQUENCE * 50, {}),
    **{
        f"digits {n}": (GOLDEN["lstm"][0], SEQUENCE[:1], {"digits": n})
        for n in (1, 7, 9)
    },
    "significant": (GOLDEN["lstm"][0], SEQUENCE[:2], {"rounding": "significant"}),
    "fractions": (GOLDEN["gru"][0], SEQUENCE[:2], {"numbers": "fraction"}),
    "40 digits": (GOLDEN["rnn_hidden_size_two"][0], SEQUENCE[:3], {"digits": 40}),
    "150 digits in rows": (
        GOLDEN["gru"][0],
        SEQUENCE[:2],
        {"digits": 150, "vectors": "row", "numbers": "closed"},
    ),
    "90 digits of every product": (
        GOLDEN["rnn_hidden_size_two"][0],
        SEQUENCE[:2],
        {"digits": 90, "detail": "scalars"},
    ),
    "wide sums": (
        lambda: random_network(lstm(), 3, 4),
        SEQUENCE[:1],
        {
            "digits": 12,
            "detail": "scalars",
            "vectors": "row",
            "rounding": "significant",
        },
    ),
    "closed": (GOLDEN["rnn_hidden_size_two"][0], SEQUENCE[:2], {"numbers": "closed"}),
    "rows": (GOLDEN["lstm"][0], SEQUENCE[:2], {"vectors": "row"}),
    "scalars": (GOLDEN["gru"][0], SEQUENCE[:2], {"detail": "scalars"}),
    "by hand": (GOLDEN["lstm"][0], SEQUENCE[:2], {"carry": "by-hand"}),
    "colour": (GOLDEN["lstm"][0], SEQUENCE[:2], {"colour": True}),
    "goodfellow": (GOLDEN["lstm"][0], SEQUENCE[:2], {"notation": "goodfellow"}),
    "cho": (GOLDEN["gru"][0], SEQUENCE[:2], {"notation": "cho"}),
}
"""What strains a page: widths, heights, symbols, sizes, and each option."""


FRAMES = [
    "lstm",
    "hidden size 256",
    "rnn_bidirectional",
    "product of a product",
    "very many digits",
    "fractions",
    "rows",
    "scalars",
    "many columns",
    "90 digits of every product",
]


@pytest.fixture(scope="module")
def documents():
    """Every document, with its drawing."""
    return {
        name: symrnn.derive(make(), x, **options).document
        for name, (make, x, options) in STRAINS.items()
    }


def body(text):
    """Return what is between a document's begin and end."""
    return re.search(r"\\begin\{document\}(.*)\\end\{document\}", text, re.DOTALL)[1]


def all_in_one(documents, form):
    """Return a document of all documents, that says in the log where each begins."""
    texts = {
        name: write_latex(d, form=form, colour=True) for name, d in documents.items()
    }
    first = next(iter(texts.values()))
    preamble = first[: first.index(r"\begin{document}")]
    colours = {
        line for t in texts.values() for line in t.splitlines() if "definecolor" in line
    }
    parts = [
        rf"\typeout{{CASE {name}}}{body(text)}\clearpage"
        for name, text in texts.items()
    ]
    return "\n".join(
        [preamble, *colours, r"\begin{document}", *parts, r"\end{document}"]
    )


def complaints(log):
    """Yield what TeX found too full or missing, and in which case."""
    case = None
    for line in log.splitlines():
        if line.startswith("CASE "):
            case = line.removeprefix("CASE ")
        elif re.search("Overfull|undefined|Missing character|LaTeX Warning", line):
            yield case, line


@pytest.mark.parametrize("engine", ENGINES)
def test_pages(engine, documents, tmp_path):
    """No box is too full, no character is missing, in any document under any engine."""
    text = all_in_one(documents, "standalone")
    log = compile_latex(tmp_path, text, require(engine))
    assert log.count("CASE ") >= len(documents)
    assert [] == list(complaints(log))


@pytest.mark.parametrize("engine", ENGINES)
def test_slides(engine, documents, tmp_path):
    """No frame is too full either; a frame takes as long as a page or two."""
    require(engine)
    few = FRAMES if engine == "pdflatex" else FRAMES[:2]
    documents = {name: Document(documents[name].blocks[:45]) for name in few}
    text = all_in_one(documents, "beamer")
    log = compile_latex(tmp_path, text, engine)
    assert [] == list(complaints(log))


@pytest.mark.parametrize("engine", ENGINES)
def test_fragment_needs_amsmath_alone(engine, documents, tmp_path):
    """Without TikZ there is no drawing, and no error."""
    fragment = write_latex(documents["lstm"], form="fragment")
    text = (
        r"\documentclass[11pt]{article}\usepackage{amsmath}"
        r"\textwidth170mm\oddsidemargin-5mm"
        rf"\begin{{document}}{fragment}\end{{document}}"
    )
    log = compile_latex(tmp_path, text, require(engine))
    assert [] == list(complaints(log))
    assert "tikz" not in log


def test_standalone_needs_amsmath_alone(documents, tmp_path, pdflatex):
    """The packages that make it nicer may be missing."""
    text = write_latex(documents["rnn_stacked"])
    without = re.sub(r"(tikz|geometry|lmodern)\.sty", "missing.sty", text)
    assert 3 == without.count("missing.sty")
    log = compile_latex(tmp_path, without, pdflatex)
    assert "Overfull" not in log
    assert not re.search(r"/(tikz|geometry|lmodern|booktabs|longtable)\.sty", log)


# --- numbers longer than a line -----------------------------------------------------


@given(
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,90})(\.[0-9]{1,90})?(e[+-][0-9]{1,9})?", fullmatch=True
    ),
    st.integers(0, 100),
)
def test_lines_of_a_number_are_the_number(text, most):
    """Nothing is lost or repeated, and no line is longer than it may be."""
    lines = Number(text, most=most).lines()
    assert text == "".join(lines)
    if not most or len(text) <= most:
        assert (text,) == lines
    exponent = len(text) - len(text.partition("e")[0])
    longest = max(map(len, lines))
    assert not most or longest <= max(most, len("-0.") + 10) + exponent


def unbroken(latex):
    """Undo the breaking of numbers in TeX's notation."""
    broken = r"\\begin\{array\}\{@\{\}l@\{\}\} (.*?) \\end\{array\}"

    def joined(match):
        return re.sub(r" \\\\ \\phantom\{[-0-9.]*\}", "", match[1])

    return re.sub(broken, joined, latex)


@pytest.mark.parametrize("options", [{}, {"vectors": "row"}, {"detail": "scalars"}])
def test_broken_numbers_have_all_their_digits(options):
    """Markdown, whose lines scroll, has the same numbers in one piece."""
    page = symrnn.derive(
        GOLDEN["lstm"][0](), SEQUENCE[:2], digits=130, graph=False, **options
    )
    latex = page.latex()
    assert "phantom" in latex
    long = r"-?[0-9]\.[0-9]{20,}"
    expected = Counter(re.findall(long, page.markdown()))  # wide tables are in parts
    assert expected.total() > 50
    assert expected == Counter(re.findall(long, unbroken(latex)))


def test_sums_wider_than_a_line_are_broken():
    """Before a plus, below each other in the matrix; HTML scrolls instead."""
    term = (
        Number("0.123456789012345678901234567890123456789"),
        Sign("dot"),
        Number("3"),
    )
    long = (*term, Sign("plus"), *term, Sign("plus"), *term)
    block = Display(((Matrix(((long,), ((Number("1"),),))),),))
    text = write_latex(Document((block,)), form="fragment")
    number = term[0].text
    assert rf"{number} \cdot 3 \\ \quad {{}} + {number} \cdot 3 \\" in text
    assert r"\left[\begin{array}{l}" in text


# --- forms --------------------------------------------------------------------------


def test_unknown_form_is_refused():
    """The error lists what there is."""
    with pytest.raises(UnsupportedError, match="standalone, fragment, beamer"):
        write_latex(Document(()), form="letter")


def test_scripts_are_not_printed(documents):
    """Python is for notebooks."""
    blocks = documents["rnn_one_feature"].blocks
    text = [
        write_latex(Document(d), form=form)
        for form in ("standalone", "beamer")
        for d in (blocks, (*blocks, Script("print(1)")))
    ]
    assert "print(1)" not in text[1] + text[3]


def test_a_long_table_is_broken_and_nothing_is_lost():
    """Each part has the header, and every row is there once, in order."""
    rows = tuple(((str(n),), ("v",)) for n in range(60))
    text = Blocks().block(Table((("Number",), ("Value",)), rows, "rl"))
    assert 3 == text.count("Number & Value") == text.count(r"\end{tabular}")
    assert [str(n) for n in range(60)] == re.findall(r"^(\d+) & v", text, re.MULTILINE)


def wide_table(columns):
    row = ((Formula((Number("-0.123456"),)),),) * columns
    header = tuple((f"column {n}",) for n in range(columns))
    return Blocks().block(Table(header, (row,), "r" * columns))


def test_a_wide_table_is_printed_small():
    """As small as it takes to fit on a line, within reason."""
    sizes = [
        re.search(r"smallskip\{(.*?)\\hspace", wide_table(n))[1] for n in (6, 8, 9)
    ]
    assert sizes == ["", r"\small", r"\scriptsize"]


def test_a_wider_table_is_broken_and_nothing_is_lost():
    """Each part has the first column, and every column is there, in order."""
    text = wide_table(20)
    assert text.count(r"\begin{tabular}") == text.count("column 0") > 1
    rest = re.findall(r"column (\d+)", text.replace("column 0", ""))
    assert rest == [str(n) for n in range(1, 20)]


def test_slides_keep_a_heading_and_every_line():
    """What does not fit on a frame is on the next, under the same title."""
    matrix = Matrix((((Number("1"),),),) * 8)
    lines = tuple(Line((Symbol("h", str(n)),), "equals", (matrix,)) for n in range(7))
    blocks = (
        Heading(1, ("T",)),
        Heading(2, ("Steps",)),
        Heading(3, ("Step 1",)),
        Paragraph(("It is",), leads=True),
        Equations(lines),
        Display(((Symbol("last"),),)),
    )
    text = write_latex(Document(blocks), form="beamer")
    frames = text.split(r"\begin{frame}")[1:]
    assert len(frames) > 3
    assert re.findall(r"h_\{(\d)\} &=", text) == [str(n) for n in range(7)]
    assert all("{Steps: Step 1" in frame for frame in frames[1:])
    assert r"\small(2)" in frames[2]
    assert "It is" in frames[1]
    assert "h_{0}" in frames[1]


# --- mathematics --------------------------------------------------------------------


def test_blanks_leave_room_to_write():
    """Room grows with the digits, and is higher than a line of print."""
    short, long = (Blank(n, "key") for n in (2, 6))
    assert width((short,)) < width((long,))
    assert r"\underline{\hspace{2.4em}\rule{0pt}{3.5ex}}" == math((short,))


def test_colours_are_put_around_a_symbol():
    """With all that hangs on it; a tone that has no colour is black."""
    tex = Tex({"i": "gate1"})
    symbol = Symbol("W", "ii", "(2)", tone="i")
    assert r"\textcolor{gate1}{W_{ii}^{(2)}}" == tex.math((symbol,))
    assert "h_{1}" == tex.math((Symbol("h", "1", tone="h"),))
    assert "W_{ii}^{(2)}" == math((symbol,))


COLOURED = Document(
    (
        Heading(1, ("T",)),
        Paragraph(
            (Formula((Symbol("i", "t", tone="i"),)), " and ", Formula((Symbol("h"),)))
        ),
        Display(((Symbol("W", "ii", "(1)", tone="i"), Symbol("f", tone="f")),)),
    )
)


@pytest.mark.parametrize("form", ["standalone", "fragment", "beamer"])
def test_colours_of_a_document(form):
    """Each tone is one defined colour; without colour none is there."""
    text = write_latex(COLOURED, form=form, colour=True)
    used = re.findall(r"\\textcolor\{(\w+)\}\{(.)", text)
    assert used == [("tone1", "i"), ("tone1", "W"), ("tone2", "f")]
    assert ["tone1", "tone2"] == re.findall(r"\\definecolor\{(\w+)\}\{HTML\}", text)
    assert "xcolor" in text
    assert "color" not in write_latex(COLOURED, form=form).replace("frames", "")
