# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn exercise``: sheets with blanks, their solutions and a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from symrnn.cli.output import remark, working
from symrnn.errors import SourceError
from symrnn.numerics.files import write_text

__all__ = ["exercise"]

_MOST_STUDENTS = 1000
_LONGEST_NAME = 100
_CELLS = ["rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before"]


@click.command(
    help="""Write exercise sheets with blanks, their solutions and a key.

    The folder that is given gets, for each student, sheet-01, solution-01 and
    answers-01.json, a form to fill in; and key.json, with which symrnn grade marks the
    forms. A hard sheet asks for the states alone; working-01 has every line.

    \b
    Example:
      symrnn exercise --cell gru --difficulty easy --seed 7 -o sheets
      symrnn exercise --cell lstm --seed 7 --students names.txt --format tex -o sheets
      symrnn grade sheets/key.json filled/*.json
    """,
)
@click.option("--cell", type=click.Choice(_CELLS), default="gru", show_default=True)
@click.option("--hidden", type=click.IntRange(1), default=2, show_default=True)
@click.option("--inputs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=3, show_default=True)
@click.option("--layers", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--bidirectional", is_flag=True, help="A reverse direction in each layer."
)
@click.option(
    "--difficulty",
    type=click.Choice(["easy", "medium", "hard"]),
    default="easy",
    show_default=True,
    help="The last step of an example; every line of every step; the states alone.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Gives the same sheets everywhere; another one, others.",
)
@click.option(
    "--students",
    metavar="N|FILE",
    default="1",
    show_default=True,
    help="How many sheets, all different; or a file with a name in each line.",
)
@click.option(
    "--digits", type=click.IntRange(0), help="Decimals that are asked for.  [2, 3 or 4]"
)
@click.option("--title", metavar="TEXT", help="What to call the sheets.")
@click.option(
    "--notation",
    metavar="NAME",
    default="pytorch",
    show_default=True,
    help="pytorch, goodfellow or cho.",
)
@click.option("--graph/--no-graph", default=True, help="Whether to draw the network.")
@click.option("--colour/--no-colour", default=False, help="A colour for each gate.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["pdf", "tex", "html", "md", "ipynb"]),
    default="pdf",
    show_default=True,
)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go; it is made if it is missing.",
)
def exercise(students: str, form: str, output: Path, **choices: Any) -> None:
    """Make all sheets, then write them."""
    from symrnn.derivations.exercises.keys import join_keys
    from symrnn.derivations.exercises.sheets import exercise as make

    names = _names(students)
    width = max(2, len(str(len(names))))
    keys = []
    with working("making sheets"):
        for number, name in enumerate(names, start=1):
            made = make(number=number, name=name, **choices)
            # No folder is made for sheets that are refused.
            output.mkdir(parents=True, exist_ok=True)
            keys.append(made.key)
            label = f"{number:0{width}}"
            made.sheet.save(output / f"sheet-{label}.{form}")
            made.solution.save(output / f"solution-{label}.{form}")
            if choices["difficulty"] == "hard":
                made.working.save(output / f"working-{label}.{form}")
            _write_json(output / f"answers-{label}.json", made.answer_form())
        _write_json(output / "key.json", join_keys(keys))
    count = "1 sheet" if len(names) == 1 else f"{len(names)} sheets"
    remark(f"wrote {count} to {output}")


def _names(students: str) -> list[str]:
    """Return a name for each sheet, empty where there are only so many."""
    if students.isascii() and students.isdigit() and len(students) < 10:
        count = int(students)
        names = [""] * min(count, _MOST_STUDENTS + 1)
    else:
        try:
            lines = Path(students).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise SourceError(f"{students}: this is no text in UTF-8") from None
        names = [" ".join(line.split()) for line in lines if line.strip()]
    if not 1 <= len(names) <= _MOST_STUDENTS:
        raise SourceError(f"expected 1 to {_MOST_STUDENTS} students (got {students})")
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise SourceError(f"{students}: {name[:40]!r} is no name to print")
    return names


def _write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
