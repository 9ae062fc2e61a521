# SPDX-License-Identifier: BSD-3-Clause
"""30 digits at every step of a long sequence: symrnn against a plain python-flint loop.

Run ``python benchmarks/long.py --help``. The plain loop's radii grow with every step, so
it needs more precision the longer it is. What it needs is measured on the first steps;
its time is that of a few steps at that precision, times their number: for 10,000 steps it
would take the better part of an hour. Times are those of a clock, the best of --repeat;
symrnn's norms run on as many cores as BLAS takes (OMP_NUM_THREADS), all else on one. With
--processor they are processor times, which other work on the machine disturbs less.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import rivals
from rich.console import Console
from rich.table import Table
from rivals import GATES, Case, random_case

import symrnn

LIMITS = {1000: 3.0, 10_000: 30.0}
"""How many times as fast as the plain loop, at least, for an LSTM of 128."""
GROWTH = 11.0
"""10,000 steps over 1,000, at most."""

_PROBE = 64  # steps on which the plain loop's loss is measured


@click.command(context_settings={"show_default": True})
@click.option("--cell", default="lstm", type=click.Choice([*GATES]))
@click.option("--hidden", default=128)
@click.option("--steps", "lengths", multiple=True, type=int, default=[1000, 10_000])
@click.option("--digits", default=30)
@click.option("--repeat", default=3, help="Runs of the shorter lengths.")
@click.option("--processor", is_flag=True, help="Measure processor time.")
@click.option("--check", is_flag=True, help="Fail where a limit is missed.")
def main(
    cell: str,
    hidden: int,
    lengths: tuple[int, ...],
    digits: int,
    repeat: int,
    processor: bool,
    check: bool,
) -> None:
    """Time a long forward pass to DIGITS digits at every step."""
    clock = time.process_time if processor else time.perf_counter
    console = Console()
    console.print(
        f"symrnn {symrnn.__version__}, {os.cpu_count()} cores, "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}"
    )
    table = Table(
        title=f"{cell}, hidden size {hidden}, {digits} digits of every output"
    )
    for name in (
        "steps",
        "bits",
        "seconds",
        "plain: bits",
        "seconds (estimated)",
        "ratio",
    ):
        table.add_column(name, justify="right")
    ours, failed = {}, []
    for steps in lengths:
        case = random_case(cell, hidden, steps)
        net = symrnn.load(case.arrays, cell=cell)
        kept: dict[str, Any] = {}

        def run(net: Any = net, case: Case = case, kept: dict[str, Any] = kept) -> None:
            kept["trace"] = symrnn.evaluate(net, case.x, digits=digits, keep="states")

        runs = repeat if steps <= 2000 else 1
        ours[steps] = min(_seconds(clock, run) for _ in range(runs))
        trace = kept["trace"]
        bits = _bits_of_plain_loop(case, digits)
        per_step = _seconds_per_step(clock, case, bits)
        ratio = per_step * steps / ours[steps]
        table.add_row(
            f"{steps:,}",
            str(trace.domain.precision),
            f"{ours[steps]:.2f}",
            f"{bits:,}",
            f"{per_step * steps:,.1f}",
            f"{ratio:.1f}",
        )
        if ratio < LIMITS.get(steps, 0):
            failed.append(f"{steps} steps: {ratio:.1f} times, not {LIMITS[steps]:g}")
    console.print(table)
    if 1000 in ours and 10_000 in ours:
        growth = ours[10_000] / ours[1000]
        console.print(f"10,000 steps take {growth:.1f} times what 1,000 take")
        if growth > GROWTH:
            failed.append(f"10,000 steps: {growth:.1f} times 1,000, not {GROWTH:g}")
    if check and failed:
        raise click.ClickException("; ".join(failed))


def _seconds(clock: Callable[[], float], run: Callable[[], Any]) -> float:
    start = clock()
    run()
    return clock() - start


def _bits_of_plain_loop(case: Case, digits: int) -> int:
    """Return the precision that a plain loop needs for the digits of its last step.

    Radii grow geometrically: the loss per step is that of the second half of a probe.
    """
    steps = min(_PROBE, len(case.x))
    probe = Case(case.cell, case.arrays, case.x[:steps])
    precision = 16 * steps
    accuracies = [_accuracy(step) for step in rivals.with_flint(probe, precision)]
    middle = steps // 2
    slope = (accuracies[middle] - accuracies[-1]) / (steps - 1 - middle)
    lost = precision - accuracies[-1] + slope * (len(case.x) - steps)
    return math.ceil(digits * math.log2(10) + lost)


def _accuracy(balls: list[Any]) -> float:
    """Return how many bits are known of the worst of a step's outputs, on average."""
    return float(np.mean([ball.rel_accuracy_bits() for ball in balls]))


def _seconds_per_step(clock: Callable[[], float], case: Case, bits: int) -> float:
    """Return the time of a step, that of a longer run less that of a shorter."""
    short, long = (Case(case.cell, case.arrays, case.x[:n]) for n in (2, 12))
    best = [
        min(_seconds(clock, lambda c=c: rivals.with_flint(c, bits)) for _ in range(3))  # type: ignore[misc]
        for c in (short, long)
    ]
    return (best[1] - best[0]) / 10


if __name__ == "__main__":
    main()
