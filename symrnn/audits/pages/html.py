# SPDX-License-Identifier: BSD-3-Clause
"""A report as one HTML page that needs no other file, no network and no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from importlib.resources import files
from xml.etree.ElementTree import Element

from symrnn.audits.findings import Findings, LayerReport, Section
from symrnn.audits.pages.charts import bound_chart, heat_map, series_chart
from symrnn.audits.pages.wording import (
    LAYER_HEADINGS,
    RESULT_HEADINGS,
    cell_text,
    element_rows,
    layer_rows,
    named_elements,
    result_rows,
    sentence,
)
from symrnn.documents.html.tags import Child, document, tag

__all__ = ["report_html"]

_KINDS = {
    "proven": "Proven: holds for the numbers as they are, if what is assumed holds",
    "measured": "Measured: true of this run",
    "assumed": "Assumed: taken for granted",
}


def report_html(report: Findings) -> str:
    """Return the report as a page, without a newline at the end."""
    style = (
        files("symrnn.audits.pages").joinpath("audit.css").read_text(encoding="utf-8")
    )
    title = f"Audit of {report.subject}: {report.verdict}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"symrnn {report.environment.symrnn}"),
        tag("title", title),
        tag("style", style),
    )
    body = tag("body", tag("main", *_parts(report)))
    return document(tag("html", head, body, lang="en"))


def _parts(report: Findings) -> Iterator[Element]:
    yield tag("h1", f"Audit of {report.subject}")
    mark = "\u2713" if report.passed else "\u2717"
    yield tag(
        "p",
        tag("span", f"{mark} ", aria_hidden="true"),
        tag("strong", report.verdict),
        f": {sentence(report)}",
        class_="verdict good" if report.passed else "verdict bad",
    )
    yield _facts([("network", report.network), *_arithmetic(report)])
    if report.causes:
        yield _part("Not finite", _bullets(report.causes))
    if report.layers:
        yield _part("Every step from its own inputs", *_local(report))
    if report.tensors:
        rows = result_rows(report)
        yield _part(
            "Results against exact values",
            _table(
                "Errors in units in the last place, beside the largest absolute one, and "
                "the share that is rounded right",
                RESULT_HEADINGS,
                rows,
            ),
        )
    for name, element in named_elements(report):
        place = tag("p", f"{element.location}, counted from 0")
        heading = name[0].upper() + name[1:]
        yield _part(heading, place, _facts(list(element_rows(element))))
    if report.unseen:
        yield _part("Could not be judged", _bullets(map(str, report.unseen)))
    for i, section in enumerate(report.explanation):
        yield _part(f"{section.title} ({section.kind})", *_section(section, i))
    if report.notes:
        yield _part("Notes", _bullets(report.notes))
    yield _part("What is claimed", *_claims(report))
    yield _part("Environment", _facts(_environment(report)))


def _arithmetic(report: Findings) -> Iterator[tuple[str, str]]:
    assumed = report.arithmetic
    yield "format", report.dtype
    if assumed is not None:
        flushed = "may be flushed to zero" if assumed.flushes else "are kept"
        yield "accumulates in", f"{assumed.accumulate} (assumed)"
        yield "subnormal numbers", flushed
        if assumed.probability is not None:
            yield "may fail at any one element", f"{assumed.probability:.2g}"
    if report.tolerance is not None:
        yield "tolerance of results", str(report.tolerance)


def _local(report: Findings) -> Iterator[Element]:
    yield tag(
        "p",
        "Each state is compared with the exact image of the subject's own numbers before "
        "that step. An error beyond its bound is a bug or another function: rounding, in "
        "any order, does not explain it.",
    )
    yield _table(
        "Error / bound of all judged states",
        LAYER_HEADINGS,
        layer_rows(report),
    )
    for i, layer in enumerate(report.layers):
        if layer.judged and layer.ratio_map.size:
            yield from _charts(layer, f"layer{i}")


def _charts(layer: LayerReport, ident: str) -> Iterator[Element]:
    name = f"layer {layer.layer}, {layer.direction}"
    lines = [
        ("largest error", layer.error_by_step),
        ("largest bound", layer.bound_by_step),
    ]
    yield _figure(
        series_chart(
            lines, ident=f"{ident}-step", title=f"{name}: error by step", unit="ulps"
        )
    )
    yield _figure(
        heat_map(
            layer, ident=f"{ident}-map", title=f"{name}: error / bound by step and unit"
        )
    )
    yield _figure(
        bound_chart(
            layer, ident=f"{ident}-bound", title=f"{name}: bound against actual error"
        )
    )


def _figure(chart: Element) -> Element:
    """Return a chart with what it is called and described as below it, for everyone."""
    title, text = (chart[i].text for i in (0, 1))
    caption = tag("figcaption", tag("strong", title), ". ", text)
    return tag("figure", chart, caption)


def _section(section: Section, i: int) -> Iterator[Element]:
    if section.text:
        yield tag("p", section.text)
    if section.by_step:
        title = f"{section.title} by step"
        lines = section.by_step.items()
        yield _figure(
            series_chart(lines, ident=f"section{i}", title=title, unit=section.unit)
        )
    if section.rows:
        rows = [[cell_text(cell) for cell in row] for row in section.rows]
        yield _table(section.title, section.headings, rows)


def _claims(report: Findings) -> Iterator[Element]:
    for kind, meaning in _KINDS.items():
        texts = [s.text for s in report.statements if s.kind == kind]
        if texts:
            yield tag("h3", meaning, class_=kind)
            yield _bullets(texts)


def _environment(report: Findings) -> list[tuple[str, str]]:
    found = report.environment
    named = [(f.name.replace("_", " "), getattr(found, f.name)) for f in fields(found)]
    return [(name, str(value)) for name, value in named if value is not None]


# --- pieces -------------------------------------------------------------------------


def _part(heading: str, *children: Child) -> Element:
    return tag("section", tag("h2", heading), *children)


def _bullets(texts: Iterable[str]) -> Element:
    return tag("ul", *(tag("li", text) for text in texts))


def _facts(facts: Sequence[tuple[str, str]]) -> Element:
    pairs = (tag("div", tag("dt", name), tag("dd", text)) for name, text in facts)
    return tag("dl", *pairs)


def _table(
    caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> Element:
    head = tag("tr", *(tag("th", name, scope="col") for name in headings))
    body = (
        tag("tr", tag("th", first, scope="row"), *(tag("td", text) for text in rest))
        for first, *rest in rows
    )
    table = tag(
        "table", tag("caption", caption), tag("thead", head), tag("tbody", *body)
    )
    # A wide table scrolls by itself, which a keyboard must reach.
    return tag(
        "div", table, class_="wide", tabindex="0", role="region", aria_label=caption
    )
