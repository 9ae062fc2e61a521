# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn demo``: six small networks, derived and audited, with nothing to prepare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click

from symrnn.cli import arguments as subjects
from symrnn.cli.arguments import Problem
from symrnn.cli.derive import derive_and_check
from symrnn.cli.output import working, write

if TYPE_CHECKING:
    from symrnn.audits.report import Report
    from symrnn.cli.examples import Example

__all__ = ["demo"]

_DIGITS = 4
_SUFFIXES = (".tex", ".md", ".html") + (".ipynb",) * bool(find_spec("nbformat"))
_HEADINGS = ("name", "cell", "layers", "torch", "worst ulps", "decimals", "notebook")
_INDENT: dict[str, Any] = {"subsequent_indent": "  ", "break_long_words": False}


@click.command()
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default="symrnn-demo",
    show_default=True,
    help="Where the documents go; it is made if need be.",
)
@click.pass_context
def demo(ctx: click.Context, /, folder: Path) -> None:
    """Derive and audit six small networks that come with symrnn.

    Five are the examples of a tutorial notebook on torch.nn.RNN, one is a trained GRU.
    Each is written as LaTeX, HTML, Markdown and a notebook. Needs no network, and torch
    only for the audits. Exit code 1 if an audit does not hold.

    \b
    Example:
      symrnn demo
      symrnn demo -o documents
    """  # noqa: D301 - click reads the backspace
    from symrnn.cli.examples import examples

    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for example in examples():
        with working(f"{example.title}: deriving"):
            shown.append(_show(example, folder))
    _print_table(shown)
    for line in _remarks(shown, folder):
        click.echo(line)
    ctx.exit(0 if all(s.report is None or s.report.passed for s in shown) else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What became of an example: torch's report, counts of `printed_outputs`."""

    example: Example
    report: Report | None
    counts: tuple[int, int, int] | None

    def row(self) -> tuple[str, ...]:
        net = self.example.net
        layers = f"{net.num_layers}×2" if net.bidirectional else str(net.num_layers)
        verdict, worst = "-", "-"
        if self.report is not None:
            verdict = self.report.verdict
            errors = [t.max_ulps for t in self.report.tensors if t.max_ulps is not None]
            worst = f"{max(errors, default=0.0):.2f}"
        possible = "-"
        if self.counts is not None:
            possible = f"{self.counts[2]} of {self.counts[0]}"
        name, cell = self.example.name, net.cell.name
        return (name, cell, layers, verdict, worst, str(_DIGITS), possible)


def _show(example: Example, folder: Path) -> _Shown:
    """Derive one example into files, and hold it against torch and the notebook."""
    problem = Problem(net=example.net, x=example.x, hx=None, lengths=None)
    derivation, report = derive_and_check(
        problem, check=None, digits=_DIGITS, title=example.title
    )
    for suffix in _SUFFIXES:
        write(derivation.text(suffix), folder / f"{example.name}{suffix}")
    from symrnn.cli.examples import printed_outputs

    counts = None if example.printed is None else printed_outputs(example)
    return _Shown(example=example, report=report, counts=counts)


def _print_table(shown: list[_Shown]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True)
    for one in shown:
        table.add_row(*one.row())
    Console().print(table)


def _remarks(shown: list[_Shown], folder: Path) -> Iterator[str]:
    counts = [one.counts for one in shown if one.counts is not None]
    printed, same, possible = (sum(column) for column in zip(*counts, strict=True))
    every = "every" if possible == printed else "NOT every"
    yield fill(
        f"notebook: {every} printed output is reproduced within rounding, {possible} "
        f"of {printed}: it lies in the enclosure of what weights that round to the "
        f"given ones at {_DIGITS} decimals give. The given weights themselves give "
        f"{same} of {printed} to the digit.",
        80,
        **_INDENT,
    )
    for one in shown:
        first = one.example.note.partition(". ")[0].rstrip(".")
        yield fill(f"{one.example.name}: {first}.", 80, **_INDENT)
    if not subjects.has_torch():
        yield "torch is not installed, so nothing was audited: pip install torch"
    yield f"documents, {' '.join(_SUFFIXES)} of each: {folder.resolve()}"
