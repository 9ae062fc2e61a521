# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn derive``: a document of every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from symrnn.cli import arguments as subjects
from symrnn.cli.arguments import FILES, Problem, take_problem, with_problem
from symrnn.cli.output import output_option, remark, require_folder, working, write
from symrnn.errors import UnsupportedError

__all__ = ["derive", "derive_and_check", "document_options", "read_choices"]

_SUFFIXES = {
    "latex": ".tex",
    "pdf": ".pdf",
    "html": ".html",
    "markdown": ".md",
    "notebook": ".ipynb",
}


def document_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each choice of an author."""
    options = [
        click.option("--title", metavar="TEXT", help="What to call the document."),
        click.option(
            "--digits",
            metavar="N",
            type=click.IntRange(min=0),
            help="Digits that are printed.  [default: 4]",
        ),
        click.option(
            "--rounding",
            type=click.Choice(["decimals", "significant"]),
            help="What digits count: those after the point, or significant ones.",
        ),
        click.option(
            "--numbers",
            type=click.Choice(["decimal", "fraction", "closed"]),
            help="Decimals, fractions where they are short, or closed forms.",
        ),
        click.option(
            "--detail",
            type=click.Choice(["summary", "steps", "scalars"]),
            help="States alone, every equation, or every product of two numbers.",
        ),
        click.option("--layers", metavar="N-N,…", help="Which layers, such as 1,3."),
        click.option(
            "--direction",
            "directions",
            multiple=True,
            type=click.Choice(["forward", "reverse"]),
            help="Which direction; may be repeated.",
        ),
        click.option("--steps", metavar="N-N,…", help="Which steps, such as 1-3,50."),
        click.option(
            "--units", metavar="N-N,…", help="Which units of states and gates."
        ),
        click.option(
            "--sequences", metavar="N-N,…", help="Which sequences of a batch."
        ),
        click.option(
            "--notation",
            metavar="NAME",
            help="pytorch, goodfellow or cho; or a FILE.toml of symbols of your own.  "
            "[default: pytorch]",
        ),
        click.option(
            "--symbol",
            "symbols",
            metavar="NAME=LATEX",
            multiple=True,
            help="A letter of your own, W_ih=U; may be repeated.",
        ),
        click.option(
            "--vectors",
            type=click.Choice(["column", "row"]),
            help="W x, or x Wᵀ as torch computes.",
        ),
        click.option(
            "--carry",
            type=click.Choice(["exact", "by-hand"]),
            help="Full precision, or every intermediate result rounded as printed.",
        ),
        click.option(
            "--colour/--no-colour",
            default=None,
            help="A colour for each gate, or none.",
        ),
        click.option(
            "--graph/--no-graph", default=None, help="Whether to draw the network."
        ),
        click.option(
            "--config",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="TOML with any of these by name; what is given here comes first.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog=FILES,
    help="""Write every equation of every step, with its numbers.

    Every printed digit is correct. Where torch is installed, it runs the network too,
    and the last page says how far its numbers are from the exact ones. Layers, steps,
    units and sequences are counted from 1, as they are printed.

    \b
    Example:
      symrnn derive model.pt --input x.json -o example.pdf
      symrnn derive model.json --input x.csv --digits 6 --no-check > example.md
      symrnn derive model.pt --input x.json --steps 1-3,50 --notation cho -o a.html
    """,
)
@with_problem
@document_options
@click.option(
    "--check/--no-check",
    default=None,
    help="Whether torch runs the network too.  [default: if it is installed and has "
    "the cell]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_SUFFIXES)),
    help="By default as the suffix of the output says, or else markdown.",
)
@click.option(
    "--fragment",
    is_flag=True,
    help="LaTeX for another document, without a preamble.",
)
@click.option("--beamer", is_flag=True, help="Slides, as LaTeX or PDF.")
@output_option
@click.pass_context
def derive(
    ctx: click.Context,
    /,
    check: bool | None,
    form: str | None,
    fragment: bool,
    beamer: bool,
    output: Path | None,
    **arguments: Any,
) -> None:
    """Derive, and write the document; a check that fails is exit code 1."""
    suffix = _SUFFIXES[form] if form else _suffix_of(output)
    shape = _shape(suffix, fragment=fragment, beamer=beamer)
    if suffix == ".pdf" and output is None:
        raise click.UsageError("a PDF needs a file: give -o FILE")
    if output is not None:
        require_folder(output)
    choices = read_choices(arguments)
    problem = take_problem(**arguments)
    with working("deriving"):
        derivation, report = derive_and_check(problem, check=check, **choices)
        if suffix == ".pdf":
            derivation.write_pdf(output, form=shape)
        else:
            text = derivation.text(suffix, form=shape)
    if suffix != ".pdf":
        write(text, output)
    if report is not None and not report.passed:
        remark(f"the check does not hold: {report.verdict}")
        ctx.exit(1)


def _suffix_of(output: Path | None) -> str:
    if output is None:
        return ".md"
    suffix = output.suffix.lower()
    if suffix not in _SUFFIXES.values():
        raise click.UsageError(
            f"cannot tell how to write {output}: name it "
            f"{', '.join(_SUFFIXES.values())}, or give --format"
        )
    return suffix


def _shape(suffix: str, *, fragment: bool, beamer: bool) -> str:
    if fragment and beamer:
        raise click.UsageError("give --fragment or --beamer, not both")
    if fragment and suffix != ".tex":
        raise click.UsageError("--fragment is for --format latex")
    if beamer and suffix not in (".tex", ".pdf"):
        raise click.UsageError("--beamer is for --format latex or pdf")
    return "fragment" if fragment else "beamer" if beamer else "standalone"


def read_choices(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take the choices of an author out of a command's arguments, and out of a file.

    Raises:
        SourceError: The file cannot be read, or has what is no option.
        click.UsageError: Options contradict each other.
    """
    from symrnn.derivations import options as config
    from symrnn.derivations.options import Options

    path, symbols = arguments.pop("config"), arguments.pop("symbols")
    choices = {} if path is None else config.read_choices(path)
    for field in fields(Options):
        given = arguments.pop(field.name)
        if given is not None and given != ():
            choices[field.name] = given
    notation = choices.get("notation")
    if isinstance(notation, str) and notation.lower().endswith(".toml"):
        choices["notation"] = notation = config.read_notation(notation)
    if symbols:
        if isinstance(notation, str):
            raise click.UsageError("give --notation or --symbol, not both")
        choices["notation"] = {**(notation or {}), **_pairs(symbols)}
    Options.of(choices)  # before anything else is read
    return choices


def _pairs(symbols: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in symbols:
        name, equals, latex = text.partition("=")
        if not (equals and name and latex):
            raise click.UsageError(f"expected --symbol NAME=LATEX (got {text!r})")
        found[name.strip()] = latex.strip()
    return found


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
    from symrnn.derivations.derive import derive as write_down

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
