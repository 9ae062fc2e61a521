# SPDX-License-Identifier: BSD-3-Clause
"""A subject for networks that came from a file: the torch module of their numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from symrnn.cli.arguments import Problem

if TYPE_CHECKING:
    from symrnn.audit import Report

__all__ = ["audit_in_torch", "has_torch"]


def has_torch() -> bool:
    """Tell whether torch is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec("torch") is not None


def audit_in_torch(
    problem: Problem, dtype: str | None = None, **options: Any
) -> tuple[Report, Any]:
    """Run a network in torch and audit what it returns.

    Args:
        problem: The network and its inputs.
        dtype: The float format to run in; see `symrnn.sources.to_torch.to_torch`.
        options: Passed to `symrnn.audit`.

    Returns:
        The report, and the torch module if its parameters and inputs are the problem's,
        ``None`` if they had to be rounded; the report then says so.

    Raises:
        UnsupportedError: torch is missing, or has no such cell.
    """
    import numpy as np

    from symrnn.audit import audit
    from symrnn.sources import load
    from symrnn.sources.to_torch import to_torch

    module = to_torch(problem.net, dtype)
    report = audit(module, problem.x, problem.hx, lengths=problem.lengths, **options)
    given, run = problem.net.parameters, load(module).parameters
    changed = [
        np.count_nonzero((values != run[place][name]) & (values == values))
        for place, arrays in given.items()
        for name, values in arrays.items()
    ]
    if any(changed):
        note = (
            f"{sum(changed)} parameters were rounded to {report.dtype}; the exact "
            "values are those for the rounded ones"
        )
        report = replace(report, notes=(note, *report.notes))
    rounded = any("rounded" in note for note in report.notes)
    return report, None if rounded else module
