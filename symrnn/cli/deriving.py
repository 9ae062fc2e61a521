# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn derive``: a document of every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from symrnn.cli import subjects
from symrnn.cli.arguments import FILES, Problem, take_problem, with_problem
from symrnn.cli.output import output_option, remark, working, write
from symrnn.errors import UnsupportedError

__all__ = ["derive", "derive_and_check", "document_text"]

_FORMATS = {".tex": "latex", ".md": "markdown"}


@click.command(
    epilog=FILES,
    help="""Write every equation of every step, with its numbers.

    Every printed digit is correct. Where torch is installed, it runs the network too,
    and the last page says how far its numbers are from the exact ones.

    \b
    Example:
      symrnn derive model.pt --input x.json -o example.tex
      symrnn derive model.json --input x.csv --digits 6 --no-check > example.md
    """,
)
@with_problem
@click.option(
    "--digits",
    metavar="N",
    type=click.IntRange(min=0),
    default=4,
    show_default=True,
    help="Digits after the decimal point.",
)
@click.option("--title", metavar="TEXT", help="What to call the document.")
@click.option(
    "--check/--no-check",
    default=None,
    help="Whether torch runs the network too.  [default: if it is installed and has "
    "the cell]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["latex", "markdown"]),
    help="By default as the suffix of the output says, or else markdown.",
)
@click.option(
    "--fragment",
    is_flag=True,
    help="LaTeX for another document, without a preamble.",
)
@output_option
@click.pass_context
def derive(
    ctx: click.Context,
    /,
    digits: int,
    title: str | None,
    check: bool | None,
    form: str | None,
    fragment: bool,
    output: Path | None,
    **arguments: Any,
) -> None:
    """Derive, and write the document; a check that fails is exit code 1."""
    form = form or _form_of(output)
    if fragment and form != "latex":
        raise click.UsageError("--fragment is for --format latex")
    problem = take_problem(**arguments)
    with working("deriving"):
        derivation, report = derive_and_check(
            problem, check=check, digits=digits, title=title
        )
        text = document_text(derivation, form, fragment=fragment)
    write(text, output)
    if report is not None and not report.passed:
        remark(f"the check does not hold: {report.verdict}")
        ctx.exit(1)


def _form_of(output: Path | None) -> str:
    if output is None:
        return "markdown"
    form = _FORMATS.get(output.suffix.lower())
    if form is None:
        raise click.UsageError(
            f"cannot tell how to write {output}: name it .tex or .md, or give --format"
        )
    return form


def document_text(derivation: Any, form: str, *, fragment: bool = False) -> str:
    """Return a derivation as LaTeX or Markdown."""
    if form == "latex":
        return str(derivation.latex(standalone=not fragment))
    return str(derivation.markdown())


def derive_and_check(
    problem: Problem, *, check: bool | None, **options: Any
) -> tuple[Any, Any]:
    """Derive a problem, and check it in torch if that is asked for, or possible.

    Returns:
        The derivation, and the report of the check or ``None``.

    Raises:
        UnsupportedError: A check was asked for, and torch is missing or has no such
            cell.
    """
    from symrnn.documents import derive as write_down

    report = module = None
    if check or (check is None and subjects.has_torch()):
        try:
            report, module = subjects.audit_in_torch(problem)
        except UnsupportedError as error:
            if check:
                raise
            remark(f"not checked: {error}")
    # A module is checked number by number; a report only in sum.
    derivation = write_down(
        problem.net if module is None else module,
        problem.x,
        problem.hx,
        lengths=problem.lengths,
        check=report if module is None else None,
        **options,
    )
    return derivation, report
