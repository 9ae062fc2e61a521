# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn grade``: marks for answers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from symrnn.cli.output import remark
from symrnn.errors import SourceError
from symrnn.numerics.files import write_text

if TYPE_CHECKING:
    from symrnn.derivations.exercises.grading import Grade

__all__ = ["grade"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_NUMBER = re.compile(r"[+-]?[0-9.,]+([eE][+-]?[0-9]+)?(\s*/\s*[0-9]+)?")


@click.command(
    help="""Mark forms of answers with the key of their sheets.

    An answer is right to as many decimals as it has, or exactly if it is a fraction;
    this is decided by enclosures, never in floating point. One with one decimal less than
    were asked for has half a point.

    Exit codes: 0 all answers are right; 1 some are not; 2 bad input.

    \b
    Example:
      symrnn grade sheets/key.json answers-01.json
      symrnn grade sheets/key.json filled/*.json --follow --csv marks.csv
    """,
)
@click.argument("key", type=_FILE)
@click.argument("answers", type=_FILE, nargs=-1, required=True)
@click.option(
    "--follow",
    is_flag=True,
    help="Give the point for what is right for the student's own earlier answers.",
)
@click.option(
    "--report",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What is printed.",
)
@click.option(
    "--csv",
    "csv_",
    metavar="FILE",
    type=_FILE,
    help="Write a line for each answer too.",
)
@click.pass_context
def grade(
    ctx: click.Context,
    /,
    key: Path,
    answers: tuple[Path, ...],
    follow: bool,
    report: str,
    csv_: Path | None,
) -> None:
    """Mark every form before anything is printed; those that are refused are named."""
    from symrnn.derivations.exercises.grading import grade as mark
    from symrnn.derivations.exercises.grading import read_json
    from symrnn.derivations.exercises.keys import sheets_of

    content = read_json(key)
    sheets_of(content)
    grades = []
    for path in answers:
        try:
            grades.append(mark(content, path, follow=follow))
        except SourceError as error:  # one form that is damaged does not stop a class
            text = str(error)
            remark(f"error: {text}" if str(path) in text else f"error: {path}: {text}")
    if not grades:
        ctx.exit(2)
    if csv_ is not None:
        write_text(csv_, _csv(grades))
    if report == "json":
        click.echo(json.dumps([g.to_dict() for g in grades], indent=1))
    else:
        _print(grades)
    passed = all(g.passed for g in grades)
    ctx.exit(2 if len(grades) < len(answers) else 0 if passed else 1)


def _csv(grades: Sequence[Grade]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["sheet", "name", "answer", "given", "verdict", "points", "message"]
    )
    for found in grades:
        for mark in found.marks:
            row = [mark.key, mark.given, mark.verdict, mark.points, mark.message]
            writer.writerow(map(_cell, [found.sheet, found.name, *row]))
    return file.getvalue()


def _cell(value: object) -> object:
    """Return what a spreadsheet does not take for a formula; numbers are none."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}" if value[:1] in ("=", "@", "\t", "\r", "+", "-") else value


def _print(grades: Sequence[Grade]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for found in grades:
        title = " ".join(filter(None, [found.sheet, found.name]))
        console.print(Text(f"{title}: {found.points:g} of {found.total} points"))
        table = Table("Answer", "Given", "Verdict", "Why")
        for mark in found.marks:
            if mark.verdict != "right":
                cells = (mark.key, mark.given, mark.verdict, mark.message)
                table.add_row(*map(Text, cells))
        if table.row_count:
            console.print(table)
