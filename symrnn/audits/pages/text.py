# SPDX-License-Identifier: BSD-3-Clause
"""A report on a terminal, and as plain text: ASCII, but for what it quotes."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from io import StringIO
from typing import TextIO

from rich.box import Box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from symrnn.audits.findings import Findings, Section
from symrnn.audits.pages.wording import (
    LAYER_HEADINGS,
    RESULT_HEADINGS,
    cell_text,
    deciding_numbers,
    element_rows,
    headline,
    layer_rows,
    named_elements,
    printable,
    result_rows,
)

__all__ = ["print_report", "renderable", "report_text"]

WIDTH = 100
"""Columns of a report, on a terminal that has as many."""

_BLANK = "    \n"
_RULED = Box(2 * _BLANK + " -- \n" + 5 * _BLANK, ascii=True)

_COLOURS = {"proven": "green", "measured": "cyan", "assumed": "yellow"}


def report_text(report: Findings) -> str:
    """Return the report as text to read, without a newline at the end."""
    file = StringIO()
    Console(
        file=file,
        width=WIDTH,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    ).print(renderable(report))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()).rstrip()


def print_report(report: Findings, file: TextIO | None = None) -> None:
    """Print the report, in colour and to the width of the terminal if `file` is one.

    What a file's encoding cannot write, such as a name in another script, is escaped.

    Args:
        report: The report.
        file: Where to; standard output by default.
    """
    file = sys.stdout if file is None else file
    console = Console(file=file, highlight=False)
    encoding = getattr(file, "encoding", None) or "utf-8"
    if console.is_terminal and encoding.lower().startswith("utf"):
        console.print(renderable(report), width=min(WIDTH, console.width))
        return
    text = f"{report_text(report)}\n"
    file.write(text.encode(encoding, "backslashreplace").decode(encoding))


def renderable(report: Findings) -> RenderableType:
    """Return the report as something that rich can print."""
    return Group(*_parts(report))


def _parts(report: Findings) -> Iterator[RenderableType]:
    colour = "bold green" if report.passed else "bold red"
    yield _text(headline(report), colour)
    numbers = deciding_numbers(report)
    if numbers:
        yield _indented(_text(numbers, colour))
    yield _indented(_text(f"{report.subject}: {report.network}, {report.dtype}"))
    yield from (_indented(_text(f"not finite: {cause}")) for cause in report.causes)
    if report.layers:
        yield from _heading("Every step from its own inputs and states: error / bound")
        yield _table(LAYER_HEADINGS, layer_rows(report), range(2, 7))
    if report.tensors:
        yield from _heading("Results against exact values")
        yield _table(RESULT_HEADINGS, result_rows(report), range(2, 9))
    yield from _elements(report)
    if report.unseen:
        yield from _heading("Could not be judged")
        yield from (_indented(_text(str(one))) for one in report.unseen)
    for section in report.explanation:
        yield from _section(section)
    yield Text()
    yield from _claims(report)


def _elements(report: Findings) -> Iterator[RenderableType]:
    for title, element in named_elements(report):
        yield Text()
        yield _text(f"{title}: {element.location}, counted from 0")
        yield _grid(element_rows(element))


def _section(section: Section) -> Iterator[RenderableType]:
    yield from _heading(f"{section.title} ({section.kind})")
    if section.text:
        yield _indented(_text(section.text))
    if section.rows:
        rows = [[cell_text(cell) for cell in row] for row in section.rows]
        figures = [
            i for i, cell in enumerate(section.rows[0]) if not isinstance(cell, str)
        ]
        yield _table(section.headings, rows, figures)


def _claims(report: Findings) -> Iterator[RenderableType]:
    said = [("note", text) for text in report.notes]
    said += [(k, s.text) for k in _COLOURS for s in report.statements if s.kind == k]
    said.append(("environment", str(report.environment)))
    yield _grid(said, indent=0)


def _heading(title: str) -> Iterator[RenderableType]:
    yield Text()
    yield _text(title, "bold")


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], figures: Container[int]
) -> RenderableType:
    table = Table(box=_RULED, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for i, name in enumerate(headings):
        right = i in figures
        table.add_column(
            _text(name, "bold"), justify="right" if right else "left", no_wrap=right
        )
    for row in rows:
        table.add_row(*(_text(text) for text in row))
    return _indented(table)


def _grid(rows: Iterable[tuple[str, str]], indent: int = 2) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(_text(name, _COLOURS.get(name, "bold")), _text(text))
    return Padding(grid, (0, 0, 0, indent))


def _indented(content: RenderableType) -> RenderableType:
    return Padding(content, (0, 0, 0, 2))


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)
