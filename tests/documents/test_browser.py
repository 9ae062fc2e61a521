# SPDX-License-Identifier: BSD-3-Clause
"""Documents as HTML in a real browser: laid out, pointed at, printed, read out."""

import functools
import re
import subprocess

import pytest

from symrnn.documents.html.page import write_html
from symrnn.documents.model import (
    Blank,
    Display,
    Document,
    Fraction,
    Heading,
    Number,
    Sign,
    Symbol,
)
from tests.derivations.test_cases import GOLDEN, derive_difficult, derive_golden
from tests.require import require, require_module, require_node_file

PAPER = 658  # width of what is printed on A4 between margins of 18 mm, in pixels

CASES = ["rnn_stacked", "lstm", "arrows and layers", "lengths"]


@functools.cache
def html(case, colour=False):
    page = derive_golden(case) if case in GOLDEN else derive_difficult(case)
    return write_html(page.document, colour=colour)


@pytest.fixture(scope="module")
def tabs():
    """Return the tab of given settings, one for all tests: each new one is a process."""
    path = require("chromium")
    api = require_module("playwright.sync_api")
    with api.sync_playwright() as playwright:
        # The sandbox needs privileges that containers do not have; pages are our own.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield functools.cache(
            lambda **settings: browser.new_context(**settings).new_page()
        )
        browser.close()


@pytest.fixture
def show(tabs, tmp_path):
    """Open a page; anything it asks of a network or says on the console is an error."""
    complaints, listening = [], []
    listeners = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "request": lambda request: requests(request.url),
    }

    def show(text, *, fragment="", width=1000, color_scheme="null", **settings):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        page = tabs(**settings)
        # Nothing is left of the test before: neither its page nor where it pointed.
        page.goto("about:blank")
        page.mouse.move(0, 0)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="null", color_scheme=color_scheme)
        for event, listener in listeners.items():
            page.on(event, listener)
        listening.append(page)
        page.goto(f"{path.as_uri()}{fragment}")
        return page

    def requests(url):
        if not url.startswith(("file:", "data:")):
            complaints.append(url)

    yield show
    for page in listening:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
    assert [] == complaints


def boxes(page, selector):
    return page.eval_on_selector_all(
        selector,
        """(elements) => elements.map((e) => {
            const { left, right, top, bottom } = e.getBoundingClientRect();
            return { left, right, top, bottom, middle: (top + bottom) / 2 };
        })""",
    )


def texts(page, selector):
    return [" ".join(t.split()) for t in page.locator(selector).all_text_contents()]


# --- layout -------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_mathematics_is_laid_out(show, case):
    """Every formula has a place on the page, and none is an error."""
    page = show(html(case))
    assert 0 == page.locator("merror").count()
    for box in boxes(page, "main math"):
        assert box["right"] > box["left"]
        assert box["bottom"] > box["top"]
    assert 0 < page.locator("main math").count()


def test_matrices_are_laid_out_in_rows(show):
    """Rows below each other, numbers flush right, brackets as high as what they hold."""
    page = show(html("rnn_stacked"))
    # The first matrix: three rows of three.
    table = "#step-1 .matrix >> nth=0"
    matrix = page.locator(table)
    cells = matrix.locator("mn")
    found = [cells.nth(i).bounding_box() for i in range(9)]
    rows = [found[i : i + 3] for i in (0, 3, 6)]
    for row in rows:
        assert max(c["y"] for c in row) - min(c["y"] for c in row) < 2
        assert row[0]["x"] < row[1]["x"] < row[2]["x"]
    for column in zip(*rows, strict=True):
        ends = [c["x"] + c["width"] for c in column]
        assert max(ends) - min(ends) < 1
        assert column[0]["y"] < column[1]["y"] < column[2]["y"]
    bracket = matrix.locator("mo").first.bounding_box()
    assert bracket["y"] <= found[0]["y"] + 2
    assert bracket["y"] + bracket["height"] >= found[8]["y"] + found[8]["height"] - 2


@pytest.mark.parametrize("media", ["screen", "print"])
def test_equations_are_aligned_at_their_relation(show, media):
    """Relations stand below each other, and beside what they relate."""
    page = show(html("lstm"), width=PAPER)
    page.emulate_media(media=media)
    blocks = page.locator("#step-1 .equations")
    assert 6 == blocks.count()
    for i in range(blocks.count()):
        relations = boxes(
            page, f"#step-1 .equations >> nth={i} >> .right math > mo:first-child"
        )
        assert max(r["left"] for r in relations) - min(r["left"] for r in relations) < 3
        for line in blocks.nth(i).locator(".line").all():
            if line.locator(".left math").count():
                left = line.locator(".left math").bounding_box()
                relation = line.locator(".right math > mo").first.bounding_box()
                assert left["x"] + left["width"] <= relation["x"] + 1
                middle = relation["y"] + relation["height"] / 2
                assert left["y"] - 2 < middle < left["y"] + left["height"] + 2


def test_pieces_for_exercises_are_laid_out(show):
    """A blank has room for its digits; a fraction, its parts above each other."""
    formula = (
        Fraction((Number("1"),), (Number("3"),)),
        Sign("equals"),
        Blank(4, "a"),
        Sign("approx"),
        Number("5.7e-9"),
        Symbol("h", "1", arrow="right"),
    )
    page = show(write_html(Document((Heading(1, ("A",)), Display((formula,))))))
    (blank,) = boxes(page, ".blank")
    assert blank["right"] - blank["left"] > 50
    top, bottom = boxes(page, "mfrac mn")
    assert top["bottom"] <= bottom["top"]
    mantissa, ten, power = boxes(page, "math > mrow mn")
    assert mantissa["right"] < ten["left"] < power["left"]
    assert power["middle"] < ten["middle"]
    letter, arrow = boxes(page, "mover > *")
    assert arrow["middle"] < letter["middle"]


@pytest.mark.parametrize("case", CASES)
def test_narrow_screens_scroll_formulas_and_not_the_page(show, case):
    """A telephone shows all text; wide formulas move on their own."""
    page = show(html(case), width=320)
    assert 320 >= page.evaluate("document.documentElement.scrollWidth")
    wide = page.eval_on_selector_all(
        ".wide",
        "(blocks) => blocks.filter((b) => b.scrollWidth > b.clientWidth).length",
    )
    assert wide > 0


# --- where values come from ---------------------------------------------------------


def test_pointing_at_a_value_tells_where_it_comes_from(show):
    """All its copies are marked, its node and the arrows into it; a link leads to it."""
    page = show(html("rnn_stacked"))
    key = "h.0.forward.1.0"
    page.locator(f"#step-3 .matrix[data-v='{key}']").first.hover()
    assert (
        page.locator(f"[data-v='{key}']").count() == page.locator(".same").count() > 2
    )
    assert [key] == page.eval_on_selector_all(
        ".node.same", "(nodes) => nodes.map((n) => n.dataset.v)"
    )
    assert {"x-0-1", "h-0-forward-0"} == set(
        page.eval_on_selector_all(
            ".edge.into", "(edges) => edges.map((e) => e.dataset.tail)"
        )
    )
    assert "layer 1, step 2" in texts(page, ".origin [role=status]")[0]
    assert ["Computed in Layer 1, Step 2"] == texts(page, ".origin a")
    page.mouse.move(5, 5)
    page.locator(".origin.idle").wait_for(state="attached")
    assert 0 == page.locator(".same").count()


def test_a_click_keeps_what_is_marked(show):
    """The pointer can then go to the panel and follow its link."""
    page = show(html("rnn_stacked"))
    page.locator("#step-3 .matrix[data-v='h.0.forward.1.0']").first.click()
    page.locator(".origin a").click()
    assert page.url.endswith("#h.0.forward.1.0")
    (line,) = boxes(page, ":target")
    assert 0 <= line["top"] < line["bottom"] < 900
    assert page.locator(".same").count() > 0
    page.locator(".origin button").click()
    assert 0 == page.locator(".same").count()


def test_parameters_and_gates_are_told_too(show):
    """A parameter leads to where it is given; a gate marks the state of its step."""
    page = show(html("lstm"))
    page.locator("#step-2 [data-v='W_if.0.forward..']").first.hover()
    assert ["Given in Parameters"] == texts(page, ".origin a")
    page.locator("#step-2 [data-v='f.0.forward.1.0']").first.hover()
    assert ["h-0-forward-1"] == page.eval_on_selector_all(
        ".node.same", "(nodes) => nodes.map((n) => n.dataset.key)"
    )


def test_values_can_be_reached_from_the_keyboard(show):
    """A block is one stop, arrows move in it, Enter leads to the link, Escape back."""
    page = show(html("rnn_stacked"))
    block = page.locator("#step-2 .equations").first
    block.focus()
    page.keyboard.press("ArrowRight")
    first = page.evaluate("document.activeElement.dataset.v")
    page.keyboard.press("End")
    last = page.evaluate("document.activeElement.dataset.v")
    assert ("W_ih.0.forward..", "h.0.forward.1.0") == (first, last)
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    assert page.locator(".same").count() > 1
    page.keyboard.press("Enter")
    assert "A" == page.evaluate("document.activeElement.tagName")
    page.keyboard.press("Escape")
    assert last == page.evaluate("document.activeElement.dataset.v")
    assert 0 == page.locator(".same").count()
    page.keyboard.press("Tab")  # and on to the next block
    assert page.evaluate("document.activeElement.matches('.wide')")


def test_values_can_be_touched(show):
    """A tap marks a value, a tap beside it ends that."""
    page = show(html("rnn_stacked"), has_touch=True)
    page.locator("#step-3 .matrix[data-v='h.0.forward.1.0']").first.tap()
    assert page.locator(".same").count() > 1
    page.locator("h1").tap()
    assert 0 == page.locator(".same").count()


# --- time ---------------------------------------------------------------------------


def shown_steps(page):
    return set(
        page.eval_on_selector_all(
            "[data-step]",
            "(all) => all.filter((s) => s.checkVisibility()).map((s) => s.dataset.step)",
        )
    )


def test_the_slider_steps_through_time(show):
    """It shows one step of each layer, marks its column, and is in the address."""
    page = show(html("rnn_stacked"))
    slider = page.get_by_label("Step", exact=True)
    assert {"0", "1", "2", "3"} == shown_steps(page)
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert {"0"} == shown_steps(page)
    page.keyboard.press("Home")  # all of them stand before the first
    assert {"0", "1", "2", "3"} == shown_steps(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert {"1"} == shown_steps(page)
    assert 2 == page.locator("[data-step='1']").count()
    assert {"1"} == set(
        page.eval_on_selector_all(".node.now", "(all) => all.map((n) => n.dataset.at)")
    )
    assert "step 2" == slider.get_attribute("aria-valuetext")
    assert page.url.endswith("#step-2")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert {"3"} == shown_steps(page)
    page.get_by_role("button", name="All steps").click()
    assert {"0", "1", "2", "3"} == shown_steps(page)
    assert 0 == page.locator(".node.now").count()


def test_a_step_can_be_linked_to(show):
    """The address chooses it; the origin of a value may lead to another step."""
    page = show(html("rnn_stacked"), fragment="#step-3")
    assert {"2"} == shown_steps(page)
    page.locator("#step-3 .matrix[data-v='h.0.forward.1.0']").first.click()
    page.locator(".origin a").click()
    page.locator("[id='h.0.forward.1.0']:target").wait_for()
    assert {"1"} == shown_steps(page)


# --- without script, on paper, read out ---------------------------------------------


def test_pages_are_complete_without_script(show):
    """Nothing is hidden but what only a script could use."""
    page = show(html("rnn_stacked"), java_script_enabled=False)
    for part in ("#step-1", "#step-4", ".graph", "nav", "table"):
        assert page.locator(part).first.is_visible()
    assert not page.locator(".time").is_visible()
    assert not page.locator(".origin").is_visible()


@pytest.mark.parametrize("case", [*CASES, "many columns", "product of a product"])
def test_nothing_is_cut_on_paper(show, case):
    """All steps are printed, no wider than the paper; nothing waits to be scrolled."""
    page = show(html(case), width=PAPER, fragment="#step-1")
    page.emulate_media(media="print")
    assert len(shown_steps(page)) > 1 or case == "product of a product"
    cut = page.evaluate(
        """(width) => [...document.querySelectorAll("main *, header *")]
            .filter((e) => !e.closest(".unseen") && e.checkVisibility())
            .filter((e) => e.getBoundingClientRect().right > width + 0.5
                || (!["visible", "clip"].includes(getComputedStyle(e).overflowX)
                    && e.scrollWidth > e.clientWidth))
            .map((e) => e.outerHTML.slice(0, 120))""",
        PAPER,
    )
    assert [] == cut
    for part in ("nav", ".time", ".origin"):
        for element in page.locator(part).all():
            assert not element.is_visible()


def test_printed_pages_hold_every_number(show, tmp_path):
    """A page with one step on the screen is printed whole, within its margins."""
    pdftotext = require("pdftotext")
    page = show(html("rnn_stacked"), fragment="#step-2")
    shown = page.locator("main mn").all_text_contents()
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    run = [pdftotext, "-bbox", str(tmp_path / "page.pdf"), "-"]
    words = subprocess.run(run, capture_output=True, check=True, text=True).stdout
    printed = re.findall(r">[^<]*?(\d\.\d{4})\b[^<]*</word>", words)
    assert sorted(n[-6:] for n in shown if "." in n) == sorted(printed)
    assert len(printed) > 100
    margin, width, height = 51, 595, 842  # 18 mm and A4, in points
    for box in re.findall(
        r'xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)"', words
    ):
        left, top, right, bottom = map(float, box)
        assert margin - 1 <= left < right <= width - margin + 1
        # Boxes of glyphs are those of the font: brackets have much room around them.
        assert margin - 15 <= (top + bottom) / 2 <= height - margin + 15


@pytest.mark.parametrize(
    ("case", "scheme"),
    [("lstm", "light"), ("lstm", "dark"), ("rnn_bidirectional", "light")],
)
def test_accessibility(show, case, scheme):
    """Nothing for axe to find, in any part of a page, in light and dark."""
    results = run_axe(show_to_axe(show, case, scheme))
    assert [] == violations(results) == undecided(results)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_in_use(show, scheme):
    """Nor with a value marked in one step, nor on a narrow screen."""
    page = show_to_axe(show, "rnn_one_feature", scheme)
    page.goto(f"{page.url}#step-2")
    page.locator("#step-2 .equations").last.focus()
    page.keyboard.press("End")
    assert page.locator(".same").count() > 1
    assert [] == violations(run_axe(page))
    page.set_viewport_size({"width": 320, "height": 700})
    assert [] == violations(run_axe(page))


def show_to_axe(show, case, scheme):
    axe = require_node_file("axe-core/axe.min.js").read_text(encoding="utf-8")
    page = show(html(case, colour=True), color_scheme=scheme)
    page.evaluate(axe)
    return page


def run_axe(page):
    """Return what axe objects to and cannot tell; what passes need not be named."""
    return page.evaluate(
        """axe.run({ resultTypes: ["violations", "incomplete"] })
        .then(({ violations, incomplete }) => ({
            violations,
            contrasts: incomplete.filter((rule) => rule.id === "color-contrast"),
        }))"""
    )


def violations(results):
    rules = results["violations"]
    return [f"{rule['id']}: {n['html'][:99]}" for rule in rules for n in rule["nodes"]]


def undecided(results):
    """Return the text whose contrast axe cannot tell; it leaves aside what is no word."""
    return [
        f"{check['message']}: {node['html'][:99]}"
        for rule in results["contrasts"]
        for node in rule["nodes"]
        for check in node["any"]
        if not any(k in check["message"] for k in ("non-text characters", "too short"))
        and not node["html"].startswith("<text")  # on the frame of a node
    ]
