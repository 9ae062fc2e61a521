# SPDX-License-Identifier: BSD-3-Clause
"""A batch here, in threads, and in processes: `symrnn.evaluate` and `symrnn.audit`.

Run ``python benchmarks/parallel.py --help``. The workers are started beforehand and are
not charged to anything. Repetitions are interleaved, and the best of each counts. Before a
time is printed, digits and reports are compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from rivals import random_case

import symrnn

CLASSES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN"}
Executors = dict[str, Executor | None]


@click.command(context_settings={"show_default": True})
@click.option("--cell", default="lstm", type=click.Choice([*CLASSES]))
@click.option("--hidden", default=128)
@click.option("--steps", default=50)
@click.option("--batch", default=16)
@click.option("--digits", default=30)
@click.option("--audited", default=512, help="Sequences of the audit's batch.")
@click.option("--workers", default=os.cpu_count() or 1)
@click.option("--repeat", default=3, help="Interleaved repetitions; the best counts.")
def main(
    cell: str,
    hidden: int,
    steps: int,
    batch: int,
    digits: int,
    audited: int,
    workers: int,
    repeat: int,
) -> None:
    """Time an evaluation to DIGITS digits and a local audit, by executor."""
    console = Console()
    console.print(
        f"symrnn {symrnn.__version__}; {cell}, hidden size {hidden}, {steps} steps; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, OMP_NUM_THREADS="
        f"{os.environ.get('OMP_NUM_THREADS', 'not set')}; best of {repeat}, interleaved"
    )
    with (
        ProcessPoolExecutor(workers) as processes,
        ThreadPoolExecutor(workers) as threads,
    ):
        list(processes.map(_import, range(4 * workers)))
        executors: Executors = {
            "none": None,
            f"{workers} threads": threads,
            f"{workers} processes": processes,
        }
        table = Table(
            title="Seconds, and how many times as fast as without an executor"
        )
        for name in ("", *executors):
            table.add_column(name, justify="right")
        for keep in ("states", "all"):
            work = _evaluation(cell, hidden, steps, batch, digits, keep)
            title = f"evaluate, {digits} digits, batch {batch}, keep={keep!r}"
            table.add_row(title, *_row(work, executors, repeat))
        work = _audit(cell, hidden, steps, audited)
        title = f"audit of float32, batch {audited}"
        table.add_row(title, *_row(work, executors, repeat))
    console.print(table)
    console.print(
        "An audit without an executor uses threads of its own where a batch has several "
        "groups. FLINT's precision is locked: threads cannot make evaluate faster."
    )


def _import(_: int) -> str:
    """Start a worker, and import what it needs."""
    return symrnn.__version__


Work = Callable[[Executor | None], Any]
"""Do it on an executor, and return what must be the same for all."""


def _row(work: Work, executors: Executors, repeat: int) -> list[str]:
    best = dict.fromkeys(executors, float("inf"))
    results = {}
    for _ in range(repeat):
        for name, executor in executors.items():
            start = time.perf_counter()
            check = work(executor)
            best[name] = min(best[name], time.perf_counter() - start)
            results[name] = check()
    first, *others = results.values()
    if any(other != first for other in others):
        raise click.ClickException(f"results differ between {', '.join(results)}")
    return [f"{t:.2f} ({best['none'] / t:.2f})" for t in best.values()]


def _evaluation(
    cell: str, hidden: int, steps: int, batch: int, digits: int, keep: Any
) -> Work:
    case = random_case(cell, hidden, steps)
    net = symrnn.load(case.arrays, cell=cell)
    size = case.x.shape[1]
    x = np.random.default_rng(1).standard_normal((steps, batch, size))

    def work(executor: Executor | None) -> Any:
        options = {"digits": digits, "keep": keep, "executor": executor}
        trace = symrnn.evaluate(net, x.astype(np.float32), **options)
        return lambda: trace.output[-1].decimal(digits)

    return work


def _audit(cell: str, hidden: int, steps: int, batch: int) -> Work:
    torch.manual_seed(0)
    module = getattr(torch.nn, CLASSES[cell])(hidden, hidden)
    x = torch.randn(steps, batch, hidden)
    with torch.no_grad():
        output, states = module(x)
    outputs = (output, *(states if isinstance(states, tuple) else (states,)))

    def work(executor: Executor | None) -> Any:
        report = symrnn.audit(
            module, x, outputs=outputs, exact=False, executor=executor
        )
        return report.to_dict

    return work


if __name__ == "__main__":
    main()
