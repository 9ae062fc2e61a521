# SPDX-License-Identifier: BSD-3-Clause
"""A forward pass to 30 digits: symrnn, python-flint, mpmath and SymPy, same network.

Run ``python benchmarks/forward.py --help``. The results of all candidates are compared
to every digit before a time is printed. symrnn is timed as a user calls it, with the
planning of precision and the check of every output; of the others, which neither plan
nor check, the lowest precision that gives the digits is found first and not charged.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import click
import flint
import mpmath
import numpy as np
import rivals
from rich.console import Console
from rich.table import Table
from rivals import GATES, Case, random_case

import symrnn

Run = Callable[[], list[list[Any]]]

LIMITS = {"python-flint": 1.3, "mpmath": 1 / 10}
"""symrnn's time over the rival's, at most, at hidden size 128."""


@click.command(context_settings={"show_default": True})
@click.option("--cell", "cells", multiple=True, type=click.Choice([*GATES]))
@click.option("--hidden", default=128, help="Hidden size against flint and mpmath.")
@click.option("--steps", "lengths", multiple=True, type=int, default=[20, 100])
@click.option("--digits", default=30)
@click.option("--repeat", default=5, help="Interleaved repetitions; the best counts.")
@click.option("--sympy-hidden", default=4, help="Hidden size against SymPy.")
@click.option("--sympy-limit", default=20.0, help="Seconds SymPy may take for a run.")
@click.option("--check", is_flag=True, help="Fail where symrnn is slower than it says.")
def main(
    cells: tuple[str, ...],
    hidden: int,
    lengths: tuple[int, ...],
    digits: int,
    repeat: int,
    sympy_hidden: int,
    sympy_limit: float,
    check: bool,
) -> None:
    """Time a forward pass to DIGITS digits against what one would write by hand."""
    console = Console()
    console.print(
        f"python-flint {flint.__version__}, mpmath {mpmath.__version__} on "
        f"{mpmath.libmp.BACKEND}, symrnn {symrnn.__version__}, "
        f"Python {sys.version.split()[0]}; best of {repeat}, interleaved"
    )
    ratios = []
    table = _table(f"Hidden size {hidden}, {digits} correct digits of every output")
    for cell in cells or GATES:
        for steps in lengths:
            case = random_case(cell, hidden, steps)
            ratios += _compare(table, case, digits, repeat)
    console.print(table)

    table = _table(f"Hidden size {sympy_hidden}, SymPy as far as {sympy_limit:g} s go")
    for cell in cells or GATES:
        _compare_sympy(table, cell, sympy_hidden, digits, sympy_limit)
    console.print(table)
    if check and any(ratio > LIMITS[rival] for rival, ratio in ratios):
        raise click.ClickException(f"slower than {LIMITS}: {ratios}")


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("cell", "steps", "candidate", "bits", "seconds", "symrnn is"):
        table.add_column(name, justify="left" if name == "candidate" else "right")
    return table


def _compare(
    table: Table, case: Case, digits: int, repeat: int
) -> list[tuple[str, float]]:
    """Add the rows of one network; return symrnn's time over each rival's."""
    net = symrnn.load(case.arrays, cell=case.cell)
    trace = symrnn.evaluate(net, case.x, digits=digits)
    exact = _fractions(trace)
    rivals_by_name = {"python-flint": rivals.with_flint, "mpmath": rivals.with_mpmath}
    runs: dict[str, Run] = {
        "symrnn": lambda: symrnn.evaluate(net, case.x, digits=digits)  # type: ignore[dict-item]
    }
    bits = {"symrnn": trace.domain.precision}
    for name, rival in rivals_by_name.items():
        bits[name] = _precision_needed(rival, case, digits, exact)
        runs[name] = lambda rival=rival, n=bits[name]: rival(case, n)  # type: ignore[misc]
    seconds = _best_of(runs, repeat)
    for name, spent in seconds.items():
        row = [case.cell, len(case.x), name, bits[name], f"{spent:.4f}"]
        _add_row(table, row, spent / seconds["symrnn"])
    return [(name, seconds["symrnn"] / seconds[name]) for name in rivals_by_name]


def _compare_sympy(
    table: Table, cell: str, hidden: int, digits: int, limit: float
) -> None:
    """Add rows for growing numbers of steps, as long as SymPy should be within limits."""
    previous, expected, steps = 0.0, 0.0, 0
    while expected <= limit:
        steps += 1
        case = random_case(cell, hidden, steps)
        net = symrnn.load(case.arrays, cell=cell)
        kept: dict[str, Any] = {}

        def symrnn_run(net: Any = net, x: Any = case.x, kept: Any = kept) -> None:
            kept["symrnn"] = symrnn.evaluate(net, x, digits=digits)

        def sympy_run(case: Case = case, kept: Any = kept) -> None:
            kept["SymPy"] = rivals.with_sympy(case, digits)

        ours = _best_of({"symrnn": symrnn_run}, 3)["symrnn"]
        theirs = _best_of({"SymPy": sympy_run}, 1)["SymPy"]
        _require(kept["SymPy"], _fractions(kept["symrnn"]), digits, "SymPy")
        _add_row(table, [cell, steps, "symrnn", "", f"{ours:.4f}"], 1.0)
        _add_row(table, [cell, steps, "SymPy", "", f"{theirs:.4f}"], theirs / ours)
        expected = theirs * max(2.0, theirs / previous if previous else 2.0)
        previous = theirs


def _add_row(table: Table, row: list[Any], ratio: float) -> None:
    name = row[2]
    verdict = "" if name == "symrnn" else f"{ratio:.2f} times as fast"
    table.add_row(*map(str, row), verdict, end_section=name in ("mpmath", "SymPy"))


def _best_of(runs: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Return each run's best time in seconds, all taking turns."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(repeat):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


# --- agreement ----------------------------------------------------------------------


def _fractions(trace: symrnn.Trace) -> list[list[Fraction]]:
    """Return the outputs to far more digits than are compared."""
    return [[Fraction(v) for v in row] for row in trace.output.decimal(60)]


def _precision_needed(
    rival: Callable[[Case, int], list[list[Any]]],
    case: Case,
    digits: int,
    exact: list[list[Fraction]],
) -> int:
    """Return the lowest precision, in steps of 8 bits, that gives all the digits."""
    bits = int(digits * 3.33)
    while not _agree(rival(case, bits), exact, digits):
        bits += 8
    return bits


def _require(
    found: list[list[Any]], exact: list[list[Fraction]], digits: int, name: str
) -> None:
    if not _agree(found, exact, digits):
        raise click.ClickException(f"{name} differs from symrnn within {digits} digits")


def _agree(found: list[list[Any]], exact: list[list[Fraction]], digits: int) -> bool:
    """Whether every number is known to within one unit of the last of its digits."""
    pairs = [
        (value, truth)
        for row, truths in zip(found, exact, strict=True)
        for value, truth in zip(row, truths, strict=True)
    ]
    return all(_error(v, q) <= abs(q) / 10**digits for v, q in pairs)


def _error(value: Any, truth: Fraction) -> Fraction:
    """Return the largest possible distance of a rival's number from `truth`."""
    if isinstance(value, flint.arb):
        if not value.is_finite():
            return Fraction(10**9)
        middle, radius = (
            _dyadic(*map(int, v.man_exp())) for v in (value.mid(), value.rad())
        )
        return abs(middle - truth) + radius
    if hasattr(value, "_mpf_"):  # of mpmath or SymPy
        sign, mantissa, exponent, _ = value._mpf_
        return abs((-1) ** sign * _dyadic(int(mantissa), int(exponent)) - truth)
    return abs(Fraction(value) - truth)


def _dyadic(mantissa: int, exponent: int) -> Fraction:
    return mantissa * Fraction(2) ** exponent


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
