# SPDX-License-Identifier: BSD-3-Clause
"""``symrnn calibrate``: how far torch's activations are from the real functions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from symrnn.domains.activation_errors import ActivationErrors

__all__ = ["calibrate"]

_FORMATS = ("float64", "float32", "float16", "bfloat16")
_FUNCTIONS = ("tanh", "sigmoid")  # of `symrnn.calibrate`, which help must not import
_SCHEMA = "symrnn.calibrate/1"


@click.command(
    help="""Measure the errors of torch's tanh and sigmoid, for audits to use.

    Every number of a 16-bit format is tried, and every float32 number for which the
    function has to be computed, which takes two minutes or three; float64 is sampled.
    The figures are kept for this version of torch, processor and number of threads.

    \b
    Example:
      symrnn calibrate
      symrnn calibrate --quick
      symrnn calibrate --format bfloat16 --function sigmoid --json
    """,
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(_FORMATS),
    multiple=True,
    help="A float format; may be repeated. All by default.",
)
@click.option(
    "--function",
    "functions",
    type=click.Choice(_FUNCTIONS),
    multiple=True,
    help="A function; may be repeated. Both by default.",
)
@click.option("--quick", is_flag=True, help="Sample float32, which takes seconds.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")
def calibrate(
    formats: Sequence[str], functions: Sequence[str], quick: bool, as_json: bool
) -> None:
    """Measure, keep the figures, and show the worst."""
    from symrnn.kernels.activation_cache import cache_path
    from symrnn.kernels.calibration import calibrate as measure

    with _progress() as progress:
        found = measure(
            functions=functions or _FUNCTIONS,
            formats=formats or _FORMATS,
            exhaustive=not quick,
            progress=progress,
        )
    if as_json:
        content = {
            "schema": _SCHEMA,
            "cache": str(cache_path()),
            "activations": [_plain(errors) for errors in found],
        }
        click.echo(json.dumps(content, indent=1))
        return
    _print_table(found)
    click.echo(f"kept in {cache_path()}")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a bar for each measurement on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=total)
            bars.advance(tasks[title], done)

        yield advance


def _print_table(found: Sequence[ActivationErrors]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("function", "format", "kernel"):
        table.add_column(title, no_wrap=True)
    table.add_column("ulps", justify="right", no_wrap=True)
    table.add_column("at", justify="right", no_wrap=True)
    table.add_column("underflow", justify="right", no_wrap=True)
    table.add_column("arguments", justify="right", no_wrap=True)
    for errors in found:
        sampled = errors.provenance == "measured on samples"
        table.add_row(
            errors.function,
            errors.format.name,
            errors.kernel,
            f"{errors.peak:.4f}",
            _argument(errors),
            f"{errors.underflow:.1e}",
            f"{errors.arguments:,}{' sampled' if sampled else ''}",
        )
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    click.echo(f"{found[0].library}, {found[0].cpu}, threads: {found[0].threads}")


def _argument(errors: ActivationErrors) -> str:
    if errors.worst is None:
        return ""
    return f"{float.fromhex(errors.worst.argument):.8g} ({errors.worst.path})"


def _plain(errors: ActivationErrors) -> dict[str, Any]:
    names = (
        "function",
        "kernel",
        "provenance",
        "arguments",
        "library",
        "cpu",
        "threads",
    )
    return {
        **{name: getattr(errors, name) for name in names},
        "format": errors.format.name,
        "ulps": errors.peak,
        "worst": errors.worst and asdict(errors.worst),
        "underflow": errors.underflow,
        "worst_underflow": errors.worst_underflow and asdict(errors.worst_underflow),
    }
