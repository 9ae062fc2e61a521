# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn evaluate``: values with proven digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from symrnn.cli.arguments import FILES, take_problem, with_problem
from symrnn.cli.output import output_option, precision_option, working, write

__all__ = ["evaluate"]

_RESULTS = ("output", "h_n", "c_n")


@click.command(
    epilog=FILES,
    help="""Print what a network computes: every digit is correct.

    \b
    Example:
      echo '[[3], [4], [5]]' > x.json
      symrnn evaluate model.pt --input x.json --digits 30
      symrnn evaluate model.pt --input x.json --what output,h_n --format json
      symrnn evaluate model.pt --input x.json --at 0,forward,2,h
    """,
)
@with_problem
@click.option(
    "--digits",
    metavar="N",
    type=click.IntRange(min=1),
    help="Significant digits.  [default: 30]",
)
@click.option(
    "--places",
    metavar="N",
    type=click.IntRange(min=0),
    help="Digits after the decimal point instead.",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Ratios, and closed forms such as tanh(1/3), instead of decimals.",
)
@click.option(
    "--domain",
    type=click.Choice(["ball", "exact", "mp"]),
    help="The arithmetic: balls and exact numbers are proven, mpmath is a second "
    "opinion without a proof.  [default: ball]",
)
@click.option(
    "--what",
    metavar="NAMES",
    help="Which results: output, h_n, c_n, with commas between.  [default: output]",
)
@click.option(
    "--at",
    metavar="LAYER,DIRECTION,STEP,NAME",
    multiple=True,
    help="A named quantity instead, such as 0,forward,2,h, counted from 0; -1 is the "
    "last. May be repeated.",
)
@precision_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="A table to read, nested lists of strings, or a line for each number.",
)
@output_option
def evaluate(
    digits: int | None,
    places: int | None,
    exact: bool,
    domain: str | None,
    what: str | None,
    at: tuple[str, ...],
    max_precision: int,
    form: str,
    output: Path | None,
    **arguments: Any,
) -> None:
    """Evaluate the network and write what was asked for."""
    if sum((digits is not None, places is not None, exact)) > 1:
        raise click.UsageError("give one of --digits, --places and --exact")
    if exact and domain not in (None, "exact"):
        raise click.UsageError(f"--exact contradicts --domain {domain}")
    if what is not None and at:
        raise click.UsageError("give --what or --at, not both")
    if digits is None and places is None:
        digits = 30
    problem = take_problem(**arguments)
    from symrnn.runs.evaluate import evaluate as run

    with working("evaluating"):
        trace = run(
            problem.net,
            problem.x,
            problem.hx,
            lengths=problem.lengths,
            digits=digits or 30,
            places=places,
            exact=exact,
            domain=domain,
            keep="all" if at else "states",
            max_precision=max_precision,
        )
        chosen = _choose(trace, (what or "output").split(","), at)
        found = {
            name: _strings(array.exact())
            if exact
            else array.decimal(digits, places=places)
            for name, array in chosen.items()
        }
        shapes = {name: array.shape for name, array in chosen.items()}
    write(_WRITERS[form](found, shapes), output)


def _choose(trace: Any, what: list[str], at: tuple[str, ...]) -> dict[str, Any]:
    if at:
        return {place: _quantity(trace, place) for place in at}
    known = _RESULTS[: 1 + len(trace.net.cell.states)]
    for name in what:
        if name not in known:
            raise click.BadParameter(
                f"{trace.net.cell.name} has {', '.join(known)} (got {name!r})",
                param_hint="--what",
            )
    return {name: getattr(trace, name) for name in what}


def _quantity(trace: Any, place: str) -> Any:
    try:
        layer, direction, step, name = place.split(",")
        return trace[int(layer), direction, int(step)][name]
    except ValueError:
        problem = f"expected LAYER,DIRECTION,STEP,NAME, got {place!r}"
    except (IndexError, KeyError) as error:
        problem = str(error.args[0])
    raise click.BadParameter(problem, param_hint="--at")


def _strings(values: Any) -> Any:
    return [_strings(v) for v in values] if isinstance(values, list) else str(values)


# --- formats ------------------------------------------------------------------------


def _as_json(found: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> str:
    return json.dumps(found, indent=1)


def _as_csv(found: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> str:
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("name", "index", "value"))
    for name, values in found.items():
        for index, value in _elements(values):
            writer.writerow((name, " ".join(map(str, index)), value))
    return buffer.getvalue()


def _as_text(found: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> str:
    lines: list[str] = []
    for name, values in found.items():
        lines.append(f"{name}, shape {shapes[name]}")
        rows: dict[tuple[int, ...], list[str]] = {}
        for index, value in _elements(values):
            rows.setdefault(index[:-1], []).append(value)
        width = max((len(v) for row in rows.values() for v in row), default=0)
        for index, row in rows.items():
            label = f"[{', '.join(map(str, index))}]  " if index else ""
            lines.append(f"  {label}{'  '.join(v.rjust(width) for v in row)}")
    return "\n".join(lines)


def _elements(values: Any, index: tuple[int, ...] = ()) -> Any:
    if isinstance(values, list):
        for i, inner in enumerate(values):
            yield from _elements(inner, (*index, i))
    else:
        yield index, values


_WRITERS = {"text": _as_text, "json": _as_json, "csv": _as_csv}
