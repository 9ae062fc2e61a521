# SPDX-License-Identifier: BSD-3-Clause
"""Reports as text, JSON and HTML: complete, valid, and safe whatever they quote."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from xml.etree.ElementTree import tostring

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import symrnn
from symrnn import Tolerance
from symrnn.audit.charts import LEVELS, bound_chart, heat_map, series_chart
from symrnn.audit.markup import document, tag
from symrnn.audit.report import Arithmetic, Report, TensorReport
from symrnn.audit.save import FORMS, render
from symrnn.audit.text import print_report
from symrnn.audit.wording import headline, sentence
from tests import audit_reports
from tests.audit_reports import ALL
from tests.require import require_module

every_report = pytest.mark.parametrize("name", ALL)


# --- golden files and the verdict ---------------------------------------------------


@every_report
@pytest.mark.parametrize(("form", "suffix"), [("text", "txt"), ("html", "html")])
def test_golden(golden, name, form, suffix):
    """What a reader sees changes only where somebody has looked at the change."""
    golden(f"audit/{name}.{suffix}", f"{render(ALL[name](), form)}\n")


SENTENCES = {
    "holds": "explained by rounding: every one of 40 states is within its proven bound; "
    "states that could not be judged: 3",
    "violated": "NOT explained by rounding: first at layer 0, forward, batch element 1, "
    "step 2, unit 3: h = 0.25, expected 0.251402854919, off by 0.001403 (4.707e+04 ulps), "
    "bound 1.907e-06",
    "tolerance": "NOT in tolerance: first at layer 0, forward, batch element 1, step 2, "
    "unit 3: output[2, 1, 3] = 0.25, exactly 0.25000012345678901234, off by 1.25e-07 "
    "(4.25 ulps), tolerance 1e-08",
    "not_finite": "NOT FINITE: first at layer 0, forward, batch element 1, step 2, "
    "unit 3: output[2, 1, 3] = nan",
    "meaningless": 'not finite: input x["<b>"] at step 1 is nan, and 1 more',
}


@every_report
def test_the_verdict_in_a_sentence(name):
    """It comes first in every form."""
    report = ALL[name]()
    assert SENTENCES[name] == sentence(report)
    assert report.to_dict()["summary"] == sentence(report)
    assert " ".join(str(report).split()).startswith(headline(report))
    assert sentence(report).startswith(headline(report))


def test_what_a_verdict_rests_on_is_said():
    """Bounds, a tolerance, both, or nothing; and bounds that are not proven are not."""
    held = audit_reports.holding()
    tolerance = Tolerance(ulps=4)
    both = sentence(replace(held, tolerance=tolerance))
    assert "40 states is within its proven bound; every one of 40 results is" in both
    alone = sentence(replace(held, tolerance=tolerance, layers=()))
    assert "in tolerance: every one of 40 results is within tolerance" == alone
    assert "nothing was judged" == sentence(replace(held, layers=(), tensors=()))
    beyond = replace(held, tolerance=tolerance, layers=audit_reports.violated().layers)
    assert sentence(beyond).endswith("tolerance; states beyond their bounds: 1")
    assert sentence(beyond).startswith("in tolerance: ")
    model = Arithmetic(
        format="float32",
        accumulate="float32",
        flushes=False,
        activations=(),
        probability=1e-9,
    )
    assert "is within its probable bound" in sentence(replace(held, arithmetic=model))
    unseen = replace(held, unseen=("layer 1, forward: why", "layer 1, reverse: why"))
    assert sentence(unseen).endswith("not judged: layer 1, forward; layer 1, reverse")


# --- text ---------------------------------------------------------------------------


@every_report
def test_text_is_ascii_that_fits(name):
    """Any terminal shows it: 100 columns, no control characters, no trailing blanks."""
    text = str(ALL[name]())
    assert text.isascii()
    assert all(c == "\n" or c.isprintable() for c in text)
    assert max(map(len, text.splitlines())) <= 100
    assert [] == [line for line in text.splitlines() if line != line.rstrip()]


def test_text_says_everything():
    """Figures, places, what could not be judged, claims by kind, environment."""
    text = str(audit_reports.violated())
    for part in (
        "layer 1, forward: its states are not known",
        "0.25  (0x1.0000000000000p-2)",
        "error / bound 735.5",
        "h: batch 1, step 2, unit 3",
        "symrnn 0.1.0, python 3.11.7",
    ):
        assert part in text
    kinds = re.findall(r"^(proven|measured|assumed) ", text, re.MULTILINE)
    assert ["proven", "measured", "assumed"] == kinds


def test_markup_in_names_is_text():
    """Brackets are no styles, and escape sequences do not reach the terminal."""
    text = str(audit_reports.meaningless())
    assert "[bold]" in text
    assert "[red]w[/red]" in text
    assert r"\x1b[31m" in text


def test_colours_are_for_terminals():
    """A pipe gets `str(report)`; a terminal the same words, and colours."""
    report = audit_reports.violated()
    pipe = io.StringIO()
    print_report(report, pipe)
    assert f"{report}\n" == pipe.getvalue()
    terminal = io.StringIO()
    console = Console(
        file=terminal,
        width=100,
        force_terminal=True,
        color_system="standard",
        _environ={},
    )
    console.print(report)
    assert "\x1b[1;31mNOT explained by rounding" in terminal.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())
    assert str(report).split() == plain.split()


def test_a_file_without_unicode_gets_escapes():
    """A name in another script is no reason to fail."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    print_report(audit_reports.report(notes=("parameter \u03c3 was rounded",)), file)
    file.flush()
    assert rb"note         parameter \u03c3 was rounded" in file.buffer.getvalue()


# --- JSON ---------------------------------------------------------------------------


def schema():
    text = files("symrnn.data").joinpath("audit-2.schema.json").read_text("utf-8")
    return json.loads(text)


def strict(part):
    """Return a schema that allows no key which it does not describe."""
    if isinstance(part, list):
        return [strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    closed = {key: strict(value) for key, value in part.items()}
    if "required" in part and "properties" in part:
        closed["additionalProperties"] = False
    return closed


def check_json(report: Report) -> None:
    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    validators = require_module("jsonschema")
    data = json.loads(render(report, "json"), parse_constant=refuse)
    validators.Draft202012Validator(strict(schema())).validate(data)
    assert data == json.loads(json.dumps(report.to_dict(), allow_nan=False))


@every_report
def test_json_is_what_the_schema_says(name):
    """Nothing is missing, nothing is undescribed, and nothing is NaN or Infinity."""
    check_json(ALL[name]())


def test_the_schema_is_valid_and_closed_by_a_test():
    """A key that the schema does not describe is noticed, at any depth."""
    validators = require_module("jsonschema")
    validators.Draft202012Validator.check_schema(schema())
    checker = validators.Draft202012Validator(strict(schema()))
    data = audit_reports.violated().to_dict()
    data = json.loads(json.dumps(data))
    assert checker.is_valid(data)
    data["layers"][0]["worst"]["location"]["new"] = 1
    assert not checker.is_valid(data)
    assert validators.Draft202012Validator(schema()).is_valid(data)


def test_real_reports_are_what_the_schema_says(torch):
    """Torch's, others', honest, wrong, not finite, overflowing, empty, single-step."""
    torch.manual_seed(0)
    lstm, x = torch.nn.LSTM(2, 3, 2, bidirectional=True), torch.randn(5, 4, 2)
    with torch.no_grad():
        output, states = lstm(x)
    broken = output.clone()
    broken[3, 1, 2] = float("nan")
    relu = torch.nn.RNN(1, 1, nonlinearity="relu")
    with torch.no_grad():
        for parameter in relu.parameters():
            parameter.fill_(1e30)
    nan = torch.nn.GRU(2, 3)
    with torch.no_grad():
        nan.weight_ih_l0[0, 0] = float("nan")
    reports = [
        symrnn.audit(lstm, x),
        symrnn.audit(lstm, x, lengths=[5, 2, 1, 4], tolerance=Tolerance(ulps=0.1)),
        symrnn.audit(lstm, x, outputs=output),
        symrnn.audit(lstm, x, outputs=(-output, *states)),
        symrnn.audit(lstm, x, outputs=(broken, *states)),
        symrnn.audit(lstm, x[:, :0]),
        symrnn.audit(torch.nn.GRUCell(2, 3), x[0]),
        symrnn.audit(relu, torch.full((4, 1), 1e30)),
        symrnn.audit(nan, x),
    ]
    assert {"holds", "violated", "not finite"} == {report.verdict for report in reports}
    for report in reports:
        check_json(report)
        check_page(render(report, "html"))
        assert max(map(len, str(report).splitlines())) <= 100


# --- HTML ---------------------------------------------------------------------------

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Collects elements, and fails where a tag is not closed in its place."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), list(self.open)))
        assert len(attrs) == len(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        self.text += data

    def find(self, *names):
        return [attrs for tag, attrs, _ in self.elements if tag in names]


def check_page(text):
    """Check what holds of every page: well formed, self-contained, accessible."""
    page = Page(text)
    assert text.startswith("<!doctype html>\n<html lang=")
    assert [] == page.find("script", "link", "img", "iframe", "object", "form")
    for _, attrs, _ in page.elements:
        assert not {"src", "href", "style", "onload", "onclick"} & attrs.keys()
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in re.sub(r"https?://\S+ in the text", "", text)
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in page.find("svg"):
        if "aria-labelledby" in attrs:
            assert set(attrs["aria-labelledby"].split()) <= set(ids)
            assert "img" == attrs["role"]
        else:
            assert "none" == attrs["preserveaspectratio"]  # inside another
    for attrs in page.find("th"):
        assert attrs["scope"] in ("col", "row")
    assert len(page.find("table")) == len(page.find("caption"))
    assert len(page.find("figure")) == len(page.find("figcaption"))
    assert (
        1
        == len(page.find("h1"))
        == len(page.find("main"))
        == len(page.find("title")[:1])
    )
    for attrs in page.find("path"):
        assert re.fullmatch(r"[MLhvz\d. -]+", attrs["d"]), attrs["d"][:100]
    numbers = [
        v
        for attrs in page.find("rect", "circle", "line", "text")
        for v in attrs.values()
    ]
    assert not {"nan", "inf", "-inf", None} & set(numbers)
    return page


@every_report
def test_pages_are_valid_and_need_nothing(name):
    """One file: no script, no link, no image; titles, scopes and ids in order."""
    report = ALL[name]()
    page = check_page(render(report, "html"))
    assert sentence(report) in page.text


def test_pages_show_text_as_text():
    """What a model file calls its parts cannot become markup."""
    text = render(audit_reports.meaningless(), "html")
    page = check_page(text)
    assert "<script>alert('&amp;')</script>" in page.text
    assert 'input x["<b>"] at step 1 is nan' in page.text
    assert "\x1b" not in text


def test_pages_hold_every_part():
    """Tables, figures for each layer and direction, the explanation, the claims."""
    page = check_page(render(audit_reports.holding(), "html"))
    assert 2 * 3 + 1 == len(page.find("figure"))
    for part in (
        "Origin of the last error (measured)",
        "Contributions in ulps.",
        "0.125",
        "bounds hold for any order of summation",
        "2 parameters were rounded to float32",
        "AVX2",
    ):
        assert part in page.text


def colours():
    """Yield the colours of each scheme of the style sheet, by name."""
    css = files("symrnn.data").joinpath("audit.css").read_text("utf-8")
    return [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]


def contrast(one, other):
    """Return the contrast of two colours; WCAG 2.2, 'contrast ratio'."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        ]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", range(3), ids=["light", "dark", "print"])
def test_contrast(scheme):
    """Text has the contrast of WCAG AA, lines and violations that of graphics."""
    named = colours()[scheme]
    for page in ("page", "panel"):
        for ink in ("ink", "quiet"):
            assert contrast(named[ink], named[page]) >= 4.5
        for line in ("line0", "line1", "line2", "line3", "q7", "bad"):
            assert contrast(named[line], named[page]) >= 3
    for verdict in ("good", "bad"):
        assert contrast(named[verdict], named[f"{verdict}-page"]) >= 4.5
    steps = [contrast(named[f"q{i}"], named["panel"]) for i in range(len(LEVELS))]
    assert sorted(steps) == steps  # more is darker on light, lighter on dark


# --- charts -------------------------------------------------------------------------


def cells(svg):
    """Return the area that each colour of a heat map covers, and the whole."""
    text = tostring(svg, encoding="unicode")
    width, height = map(
        int, re.search(r'viewBox="0 0 (\d+) (\d+)" preserve', text).groups()
    )
    covered = np.zeros((height, width), dtype=int)
    level = np.full((height, width), -1)
    for colour, path in re.findall(r'class="cell q(\d)" d="([^"]*)"', text):
        for x, y, wide, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path):
            assert wide == back
            run = (int(y), slice(int(x), int(x) + int(wide)))
            covered[run] += 1
            level[run] = int(colour)
    return covered, level


def chart(found, kind=heat_map):
    return kind(audit_reports.layer(found), ident="x", title="y")


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_heat_map_shows_every_state(steps, units, seed):
    """Each cell once, in the colour that its ratio belongs to."""
    random = np.random.default_rng(seed)
    found = random.choice([0.0, *LEVELS, 2.0, np.inf], (steps, units))
    covered, level = cells(chart(found))
    assert (covered == 1).all()
    expected = np.array([[sum(r > at for at in LEVELS) for r in row] for row in found])
    assert (expected.T == level).all()


@pytest.mark.parametrize(("step", "unit"), [(0, 0), (4321, 777), (9999, 2999)])
def test_one_violation_in_millions_is_drawn(step, unit):
    """Drawn in groups, a single state beyond its bound is still red, and said."""
    found = np.full((10_000, 3_000), 0.1)
    found[step, unit] = 1.5
    svg = chart(found)
    covered, level = cells(svg)
    assert (covered == 1).all()
    assert 1 == (level == len(LEVELS)).sum()
    assert "1 cells are above 1" in svg[1].text
    assert "Each 64 neighbouring steps are drawn as one, by the largest" in svg[1].text
    assert "Each 38 neighbouring units are drawn as one" in svg[1].text


def test_long_sequences_make_small_pages():
    """A page of 10,000 steps of 1,000 random units is under half a megabyte."""
    found = np.random.default_rng(0).random((10_000, 1_000)) ** 8
    page = render(audit_reports.report(layers=(audit_reports.layer(found),)), "html")
    check_page(page)
    assert len(page) < 500_000


def test_lines_follow_the_figures():
    """Larger is higher, steps go to the right, 0 and infinity are the edges."""
    values = [0.0, 0.1, 1.0, 1000.0, float("inf")]
    svg = series_chart([("error", values)], ident="x", title="y", unit="ulps")
    (path,) = (e for e in svg if e.get("class") == "line s0" and "L" in e.get("d"))
    points = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path.get("d")), dtype=float)
    assert (np.diff(points[:, 0]) > 0).all()
    assert (np.diff(points[:, 1]) <= 0).all()
    frame = next(e for e in svg if e.get("class") == "frame")
    top, height = float(frame.get("y")), float(frame.get("height"))
    assert (top + height, top) == (points[0, 1], points[-1, 1])
    assert points[3, 1] - points[2, 1] == pytest.approx(
        3 * (points[2, 1] - points[1, 1]), abs=0.3
    )


def test_a_peak_in_a_long_line_is_drawn():
    """Grouped by the largest, a single step is not averaged away."""
    values = [1.0] * 10_000
    values[1234] = 1e6
    svg = series_chart([("error", values)], ident="x", title="y", unit="ulps")
    (path,) = (e for e in svg if e.get("class") == "line s0" and "L" in e.get("d"))
    heights = re.findall(r"[ML][\d.]+ ([\d.]+)", path.get("d"))
    assert len(heights) <= 400
    assert 1 == sum(float(y) < 20 for y in heights)
    assert "Each 32 neighbouring steps" in svg[1].text


@pytest.mark.parametrize("found", [np.zeros((1, 1)), np.full((2, 3), np.inf)])
def test_charts_of_edge_cases(found):
    """One step, no error at all, or an error that is infinite: still a chart."""
    layer = audit_reports.layer(found)
    check_page(render(audit_reports.report(layers=(layer,)), "html"))


def test_red_dots_are_steps_beyond_their_bound():
    """However large the largest bound of the step may be."""
    found = audit_reports.ratios(600, 2)
    found[[5, 17], 0] = 3.0
    svg = chart(found, bound_chart)
    dots = [e.get("class") for e in svg if (e.get("class") or "").startswith("dot")]
    assert 2 == dots.count("dot beyond")
    assert "red: 2." in svg[1].text
    assert len(dots) < 600
    assert f"The {len(dots)} largest are shown" in svg[1].text


@given(st.text(), st.text())
def test_markup_escapes(text, value):
    """Text and attributes come back from a parser as they went in, or as U+FFFD."""
    page = Page(document(tag("html", tag("p", text, title=value))))
    shown = page.text[1:-1]  # a line ends before, another after it

    def same(a, b):
        a, b = (re.sub("\r\n?", "\n", s) for s in (a, b))
        return all(x == y or y == "\ufffd" for x, y in zip(a, b, strict=True))

    assert same(text, shown)
    assert same(value, page.find("p")[0]["title"])


# --- files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.html", "html"), ("a.HTM", "html"), ("a.json", "json"), ("a.b.txt", "text")],
)
def test_save(tmp_path, name, form):
    """The suffix says in which form."""
    report = audit_reports.violated()
    report.save(tmp_path / name)
    assert f"{render(report, form)}\n" == (tmp_path / name).read_text(encoding="utf-8")
    report.save(str(tmp_path / name))
    assert [name] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["a.pdf", "a", ".html", "html"])
def test_save_refuses_other_suffixes(tmp_path, name):
    """The message says which there are; nothing is written."""
    with pytest.raises(ValueError, match=r"saved as \.html, \.json or \.txt"):
        audit_reports.violated().save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_leaves_the_old(tmp_path, monkeypatch):
    """Whole or not at all."""
    path = tmp_path / "a.html"
    path.write_text("old")
    monkeypatch.setattr("symrnn.writing.os.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        audit_reports.violated().save(path)
    assert ["a.html"] == [p.name for p in tmp_path.iterdir()]
    assert "old" == path.read_text()


def test_every_form_is_deterministic():
    """Equal reports are equal files."""
    for form in FORMS:
        assert render(audit_reports.holding(), form) == render(
            audit_reports.holding(), form
        )


def test_conditioning_is_a_section():
    """Condition numbers come with a report, and infinite ones are still JSON."""
    from symrnn.audit.conditioning import condition
    from symrnn.audit.explanation import explain_conditioning
    from symrnn.inputs import read_inputs

    weights = {"weight_ih_l0": [[1, -1]], "weight_hh_l0": [[1]]}
    net = symrnn.load(weights, cell="rnn_tanh")
    section = explain_conditioning(condition(net, read_inputs(net, [[3, 3]])))
    report = audit_reports.report(explanation=(section,))
    check_json(report)
    check_page(render(report, "html"))
    assert "inf" in str(report)


def test_attribution_is_a_section():
    """Shares of each grouping add up to 1, and every step has a figure."""
    from symrnn.audit.attribution import attribute
    from symrnn.audit.explanation import explain_attribution
    from symrnn.inputs import read_inputs

    weights = {
        "weight_ih_l0": [[0.3, -0.7], [0.2, 0.9]],
        "weight_hh_l0": [[0.1, 0.6], [-0.4, 0.8]],
    }
    net = symrnn.load(weights, cell="rnn_tanh")
    x = np.random.default_rng(0).normal(size=(300, 2))
    section = explain_attribution(attribute(net, read_inputs(net, x), "float16"))
    for what in ("kind", "quantity", "layer", "direction"):
        shares = [row[3] for row in section.rows if row[0] == what]
        assert 1 == pytest.approx(sum(shares))
        assert sorted(shares, key=lambda share: -abs(share)) == shares
    assert 300 == len(section.by_step["contribution"])
    report = audit_reports.report(explanation=(section,))
    check_json(report)
    check_page(render(report, "html"))
    assert "Where the error of the output came from (measured)" in str(report)


def test_results_without_exact_values_have_no_figures():
    """A dash, not a zero: nothing is claimed that was not computed."""
    bare = TensorReport(
        name="output", shape=(2, 1), elements=2, padding=0, violations=None
    )
    text = str(audit_reports.report(tensors=(bare,)))
    (row,) = (line for line in text.splitlines() if line.strip().startswith("output"))
    assert 6 == row.split().count("-")
