# SPDX-License-Identifier: BSD-3-Clause
"""The local audit of a float32 layer, against the layer's own forward pass in float64.

Run ``python benchmarks/audit.py --help``. The layer, its inputs and its float32 outputs
are the same for all; repetitions are interleaved, and the best of each counts. The audit
must find no violation before a time is printed.
"""

from __future__ import annotations

import copy
import os
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import symrnn
from symrnn.audits.local_audit import audit_steps
from symrnn.audits.subject import Subject
from symrnn.audits.torch_run import run_torch

LIMIT = 2.0
"""The time of the local audit of an LSTM over that of torch's forward pass, at most."""

CELLS = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "RNN": torch.nn.RNN}


@click.command(context_settings={"show_default": True})
@click.option("--cell", "cells", multiple=True, type=click.Choice([*CELLS]))
@click.option("--hidden", default=512, help="Hidden size, and number of inputs.")
@click.option("--steps", default=100)
@click.option("--batch", default=32)
@click.option("--repeat", default=7, help="Interleaved repetitions; the best counts.")
@click.option("--check", is_flag=True, help="Fail where an LSTM's takes too long.")
def main(
    cells: tuple[str, ...],
    hidden: int,
    steps: int,
    batch: int,
    repeat: int,
    check: bool,
) -> None:
    """Time the local audit of CELL(HIDDEN, HIDDEN) in float32."""
    console = Console()
    console.print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads; NumPy "
        f"{np.__version__}; symrnn {symrnn.__version__}; load {os.getloadavg()[0]:.1f}; "
        f"best of {repeat}, interleaved"
    )
    table = Table(title=f"{hidden} units, {steps} steps, batch {batch}; seconds")
    for name in ("cell", "float64", "float32", "local audit", "ratio", "with float32"):
        table.add_column(name, justify="right")
    table.add_column("symrnn.audit", justify="right")
    table.add_column("peak MB", justify="right")
    ratios = {}
    for cell in cells or CELLS:
        torch.manual_seed(0)
        module = CELLS[cell](hidden, hidden)
        x = torch.randn(steps, batch, hidden)
        ratios[cell] = _add_row(table, cell, module, x, repeat)
    console.print(table)
    if check and ratios.get("LSTM", 0.0) > LIMIT:
        raise click.ClickException(f"slower than {LIMIT} times: {ratios}")


def _add_row(table: Table, cell: str, module: Any, x: Any, repeat: int) -> float:
    net = symrnn.load(module)
    subject = run_torch(module, net, x, None, None, grad=False)
    double, x_double = copy.deepcopy(module).double(), x.double()
    calls: list[Callable[[], Any]] = [
        lambda: _forward(double, x_double),
        lambda: _forward(module, x),
        lambda: audit_steps(subject),
        lambda: symrnn.audit(module, x, grad=False),
    ]
    if audit_steps(subject).violated:
        raise click.ClickException(f"{cell}: torch's outputs were not found honest")
    wide, narrow, local, whole = _best(calls, repeat)
    ratio = local / wide
    figures = (wide, narrow, local, ratio, (local + narrow) / wide, whole)
    memory = _peak_memory(subject) / 1e6
    table.add_row(cell, *(f"{figure:.3f}" for figure in figures), f"{memory:.0f}")
    return ratio


def _forward(module: Any, x: Any) -> Any:
    with torch.no_grad():
        return module(x)


def _best(calls: list[Callable[[], Any]], repeat: int) -> list[float]:
    best = [float("inf")] * len(calls)
    for _ in range(repeat):
        for index, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[index] = min(best[index], time.perf_counter() - start)
    return best


def _peak_memory(subject: Subject) -> int:
    """Return what the local audit allocates at most, in bytes, beside the subject."""
    tracemalloc.start()
    audit_steps(subject)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
