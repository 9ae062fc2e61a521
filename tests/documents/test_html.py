# SPDX-License-Identifier: BSD-3-Clause
"""Documents as HTML: valid, self-contained, accessible pages that lose nothing."""

import functools
import itertools
import re
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symrnn
from symrnn.documents.colours import palette
from symrnn.documents.html.latex_names import read_latex
from symrnn.documents.html.mathml import MathML
from symrnn.documents.html.page import write_html
from symrnn.documents.model import (
    Blank,
    Brackets,
    Code,
    Display,
    Document,
    Edge,
    Equations,
    Figure,
    Formula,
    Fraction,
    Graph,
    Heading,
    Line,
    Matrix,
    Node,
    Number,
    Origin,
    Paragraph,
    Script,
    Sign,
    Strong,
    Symbol,
    Table,
)
from tests.audits.test_pages import contrast
from tests.derivations.test_cases import DIFFICULT, GOLDEN, derive_golden
from tests.documents.pages import Page

TITLE = Heading(1, ("Title",))


@functools.cache
def derived(case):
    if case in GOLDEN:
        return derive_golden(case).document
    make, inputs, options = DIFFICULT[case]
    return symrnn.derive(make(), inputs, **options).document


CASES = [
    "rnn_one_feature",
    "rnn_bidirectional",
    "lstm",
    "peephole",
    "arrows and layers",
    "lengths",
    "many columns",
]


def numbers_in(part):
    """Yield the numbers of a part of a document, in the order of print."""
    if isinstance(part, Number):
        yield part.text
    elif isinstance(part, tuple):
        for item in part:
            yield from numbers_in(item)
    elif isinstance(part, Graph | Script | Origin):
        return
    elif hasattr(part, "__dataclass_fields__"):
        for name in part.__dataclass_fields__:
            yield from numbers_in(getattr(part, name))


def mathml(*pieces):
    return str(MathML().formula(pieces)).removeprefix("<math>").removesuffix("</math>")


# --- pages --------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_pages_are_valid_and_need_nothing(case):
    """Elements are closed, identifiers are unique, links lead into the page itself."""
    text = write_html(derived(case))
    page = Page(text)
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs, _ in page.elements:
        assert not {"src", "style", "onclick"} & attrs.keys()
        if "href" in attrs:
            target = attrs["href"]
            assert target == "data:," or target.removeprefix("#") in ids, (tag, target)
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize("case", CASES)
def test_no_number_is_lost_or_changed(case):
    """The numbers of the page are those of the document, in its order."""
    document = derived(case)
    printed = list(numbers_in(document.blocks))
    body = re.sub(r"<svg.*?</svg>", "", write_html(document), flags=re.DOTALL)
    # In subscripts, powers and the name t-1 are digits that are no numbers of its.
    body = re.sub(r"<(msub|msup|msubsup)>.*?</\1>", "", body)
    body = re.sub(r"<mi>t</mi><mo[^>]*>.</mo><mn>1</mn>", "", body)
    found = [
        text.replace("−", "-") for text in re.findall(r"<mn[^>]*>(.*?)</mn>", body)
    ]
    assert len(printed) > 10
    assert printed == found


@pytest.mark.parametrize("case", CASES)
def test_headings_are_in_order(case):
    """There is one title, landmarks are single, no level is skipped."""
    page = Page(write_html(derived(case)))
    for tag in ("h1", "header", "nav", "main"):
        assert 1 == len(page.find(tag)), tag
    assert_no_level_skipped(page)


def assert_no_level_skipped(page):
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert 1 == levels[0]
    assert 1 not in levels[1:]
    for before, after in itertools.pairwise(levels):
        assert after <= before + 1


@given(st.lists(st.integers(1, 5), max_size=8))
@settings(max_examples=30)
def test_no_level_of_headings_is_skipped(levels):
    """Whatever the levels in a document, those of the page are in order."""
    headings = [Heading(level, (f"{level}",)) for level in levels]
    page = Page(write_html(Document(tuple(headings))))
    assert_no_level_skipped(page)
    assert max(1, len(levels)) == len(page.find("h1", "h2", "h3", "h4", "h5", "h6"))


def test_text_is_text():
    """Nothing that a document says becomes markup, wherever it says it."""
    evil = "</script><script>alert(1)</script>&amp;\x1b\x00"
    formula = (Symbol(evil, evil, evil), Number(evil), Blank(2, evil))
    node = Node(
        key=evil, label=formula, x=0, y=0, kind="state", origin=Origin(quantity=evil)
    )
    document = Document(
        (
            Heading(1, (evil,)),
            Heading(2, (evil, Formula(formula)), Origin(quantity=evil, step=0)),
            Paragraph((evil, Strong(evil), Code(evil)), leads=True),
            Equations((Line(formula, "equals", formula, Origin(quantity=evil)),)),
            Display((formula,)),
            Table(((evil,), (Formula(formula),)), (((evil,), (evil,)),), "lr"),
            Figure(Graph((node,), (Edge(evil, evil),)), (evil,)),
        )
    )
    text = write_html(document)
    page = Page(text)
    assert 1 == len(page.find("script"))
    assert page.text.count("<script>alert(1)</script>&amp;") >= 8
    assert "\x1b" not in text
    assert "\x00" not in text


def test_tables_have_captions_and_scopes():
    """What a column and a row are about is said."""
    table = Table((("Step",), ("h",)), ((("1",), ("0.5",)),), "rr")
    page = Page(write_html(Document((TITLE, Heading(2, ("States",)), table))))
    assert ["col", "col", "row"] == [attrs["scope"] for attrs in page.find("th")]
    assert 1 == len(page.find("caption"))


def test_code_of_notebooks_is_not_shown():
    """Scripts belong to notebooks."""
    document = Document((TITLE, Script("import torch"), Paragraph(("Text",))))
    assert "torch" not in write_html(document)


def test_steps_can_be_linked_to():
    """The first section of a step has its name; a line, that of the value in it."""
    blocks = [TITLE]
    for layer in (0, 1):
        origin = Origin(
            quantity="h", layer=layer, direction="forward", step=2, sequence=0
        )
        blocks += [
            Heading(2, ("Step 3",), origin),
            Equations(
                (Line((Symbol("h"),), "equals", (Number("1", origin),), origin),)
            ),
        ]
    page = Page(write_html(Document(tuple(blocks))))
    ids = {attrs["id"] for _, attrs, _ in page.elements if "id" in attrs}
    assert {"step-3", "h.0.forward.2.0", "h.1.forward.2.0"} <= ids
    assert ["2", "2"] == [a["data-step"] for a in page.find("section")]
    assert ["h.0.forward.2.0", "h.1.forward.2.0"] == [
        a["data-v"] for a in page.find("mn") if "data-v" in a
    ]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_time_can_be_chosen_where_it_passes(count):
    """A page of one step has nothing to step through."""
    steps = [
        Heading(2, (f"Step {t + 1}",), Origin(quantity="", step=t))
        for t in range(count)
    ]
    page = Page(write_html(Document((TITLE, *steps))))
    assert (count > 1) == bool(page.find("form"))


def test_colours_are_used_where_they_are_wanted():
    """A tone has one colour on a light and one on a dark page, or none at all."""
    document = Document(
        (TITLE, Display(((Symbol("i", tone="i"), Symbol("f", tone="f")),)))
    )
    coloured = write_html(document, colour=True)
    assert ["tone-0", "tone-1"] == re.findall(r'<mrow class="(tone-\d)">', coloured)
    assert 2 * 2 == len(re.findall(r"\.tone-\d \{ color: #\w{6}; \}", coloured))
    assert "tone-" not in write_html(document)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_marks_do_not_hide_what_they_mark(scheme):
    """Text and gates have the contrast of WCAG AA on the page and on every mark."""
    css = files("symrnn.documents.html").joinpath("style.css").read_text("utf-8")
    block = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for paper in ("page", "panel", "same", "now"):
        assert contrast(named["ink"], named[paper]) >= 4.5
    for paper in ("page", "panel"):
        inks = [named["link"], named["quiet"], named["way"]]
        inks += [f"#{colour[scheme]}" for colour in palette("ifgorz").values()]
        for ink in inks:
            assert contrast(ink, named[paper]) >= 4.5, (ink, paper)


def test_formulas_stay_with_the_marks_around_them():
    """A line does not begin with the full stop after a formula."""
    paragraph = Paragraph(("The state (", Formula((Symbol("h"),)), "), a vector."))
    text = write_html(Document((TITLE, paragraph)))
    assert 'state <span class="joined">(<math><mi>h</mi></math>),</span> a' in text


def test_labels_of_drawings_name_their_values():
    """Each node has a name to be read out, and its arrows know both ends."""
    origin = Origin(quantity="h", direction="forward", step=0, sequence=0)
    nodes = (
        Node(key="x", label=(Symbol("x", "1"),), x=1, y=0, kind="input"),
        Node(
            key="h",
            label=(Symbol("h", "1", "(2)", "right"),),
            x=1,
            y=1,
            kind="state",
            origin=origin,
        ),
    )
    figure = Figure(Graph(nodes, (Edge("x", "h"),)), ("Caption",))
    page = Page(write_html(Document((TITLE, figure))))
    (node,) = (a for a in page.find("g") if a.get("data-v"))
    assert "h.0.forward.0.0" == node["data-v"]
    assert node["aria-label"].endswith("step 1")
    (edge,) = (a for a in page.find("g") if a.get("class") == "edge")
    assert ("x", "h") == (edge["data-tail"], edge["data-head"])
    assert "h→1(2) from x1." in page.text


# --- mathematics --------------------------------------------------------------------


def test_symbols():
    """Scripts and arrows are where they belong; words are upright."""
    assert "<msub><mi>h</mi><mn>1</mn></msub>" == mathml(Symbol("h", "1"))
    arrow = mathml(Symbol("h", "1", "(2)", arrow="left"))
    assert arrow.startswith('<msubsup><mover accent="true"><mi>h</mi><m')
    assert ">←</mo></mpadded></mover><mn>1</mn><mrow>" in arrow
    assert "<mi>max</mi>" in mathml(Symbol("x", "i,max"))


def test_numbers():
    """A minus is a minus, and powers of ten are raised."""
    assert "<mn>−0.5</mn>" == mathml(Number("-0.5"))
    assert (
        '<mrow><mn>−5.7</mn><mo form="infix">⋅</mo>'
        "<msup><mn>10</mn><mn>−9</mn></msup></mrow>"
    ) == mathml(Number("-5.7e-09"))
    assert "<msup><mn>10</mn><mn>12</mn></msup>" in mathml(Number("1e+12"))


def test_transposed_hangs_on_what_is_before_it():
    """A second superscript joins the first."""
    top = '<mo lspace="0" rspace="0">⊤</mo>'
    assert f"<msup><mi>x</mi>{top}</msup>" == mathml(Symbol("x"), Sign("transposed"))
    both = mathml(Symbol("x", sup="2"), Sign("transposed"))
    assert f"<msup><mi>x</mi><mrow><mn>2</mn>{top}</mrow></msup>" == both


def test_brackets_can_be_on_two_lines():
    """A half that is missing is not drawn; high ones grow with what is in them."""
    tall = (Matrix((((Number("1"),),), ((Number("2"),),))),)
    first = mathml(Brackets(tall, closed=False))
    last = mathml(Brackets(tall, opened=False))
    assert (1, 0) == (first.count(">(</mo>"), first.count(">)</mo>"))
    assert (0, 1) == (last.count(">(</mo>"), last.count(">)</mo>"))
    assert 'form="prefix" stretchy="true">(' in first
    assert 'stretchy="false">(' in mathml(Brackets((Number("1"),)))


def test_functions_are_applied_and_factors_multiplied():
    """What is invisible in print is there for who listens."""
    applied = mathml(Symbol(r"\max"), Brackets((Symbol("a"),)))
    assert "<mi>max</mi><mo>\u2061</mo><mrow>" in applied
    assert "\u2062" in mathml(Symbol("W"), Symbol("x"))
    assert "\u2062" in mathml(Symbol("W"), Brackets((Symbol("x"),)))


def test_fractions_and_blanks():
    """Numerator over denominator; room to write for each digit."""
    fraction = mathml(
        Fraction((Number("1"),), (Symbol("a"), Sign("plus"), Number("2")))
    )
    assert fraction.startswith("<mfrac><mn>1</mn><mrow><mi>a</mi>")
    blank = mathml(Blank(4, "h1"))
    assert 'data-answer="h1"' in blank
    assert blank.count("\u2007") > mathml(Blank(2, "h1")).count("\u2007") >= 2


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\sigma", "<mi>σ</mi>"),
        (r"\Sigma", '<mi mathvariant="normal">Σ</mi>'),
        (r"\lambda", "<mi>λ</mi>"),
        (r"\tanh", "<mi>tanh</mi>"),
        (r"\operatorname{relu}", "<mi>relu</mi>"),
        (r"\mathbf{W}", '<mi mathvariant="normal">𝐖</mi>'),
        (r"\mathbb R", '<mi mathvariant="normal">ℝ</mi>'),
        (r"W_{ih}^{(f)}", None),
        (r"\tilde{h}", None),
        (r"h'", None),
        (r"\unknown", r"<mtext>\unknown</mtext>"),
        ("{", "<mrow></mrow>"),
        ("}", "<mrow></mrow>"),
    ],
)
def test_names_in_latex(latex, expected):
    """Letters, alphabets and functions; what is not known is printed as it is."""
    found = str(read_latex(latex))
    if expected is not None:
        assert expected == found
    Page(found)


def test_names_in_latex_have_scripts_and_accents():
    """These are elements of their own."""
    assert str(read_latex("W_{ih}^2")) == (
        "<msubsup><mi>W</mi><mrow><mi>i</mi><mi>h</mi></mrow><mn>2</mn></msubsup>"
    )
    assert str(read_latex(r"\tilde{h}")).startswith(
        '<mover accent="true"><mi>h</mi><mo'
    )
    assert ">′</mo></msup>" in str(read_latex("h'"))


@given(st.text(alphabet=r"\{}_^ab1'~,- <&", max_size=12))
def test_any_latex_is_one_well_formed_element(latex):
    """Whatever an author writes for a name, the page stays whole."""
    page = Page(str(read_latex(latex)))
    assert 1 == sum(not parents for _, _, parents in page.elements)
