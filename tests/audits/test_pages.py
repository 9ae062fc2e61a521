# SPDX-License-Identifier: BSD-3-Clause
"""Reports as HTML pages: valid, self-contained, accessible, and no figure is lost."""

import re
from importlib.resources import files
from xml.etree.ElementTree import tostring

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symrnn.audits.pages.charts import LEVELS, bound_chart, heat_map, series_chart
from symrnn.audits.pages.wording import sentence
from symrnn.audits.report import render
from symrnn.documents.html.tags import document, tag
from tests.audits import reports as audit_reports
from tests.audits.reports import ALL
from tests.documents.pages import Page, check_page


@pytest.mark.parametrize("name", ALL)
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
    css = files("symrnn.audits.pages").joinpath("audit.css").read_text("utf-8")
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
