# SPDX-License-Identifier: BSD-3-Clause
"""The verdict of a report, and what it says in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from symrnn.audits.findings import Statement, TensorReport, Verdict
from symrnn.audits.local_audit import LocalAudit
from symrnn.audits.results import Limits
from symrnn.kernels.environment import Environment

__all__ = ["reach_verdict", "remark", "state"]


def reach_verdict(
    causes: Sequence[str],
    tensors: Sequence[TensorReport],
    steps: LocalAudit | None,
    limits: Limits,
) -> Verdict:
    """Return the verdict on a subject.

    Args:
        causes: Parameters and inputs that are not finite.
        tensors: What was found in each result.
        steps: What was found at each step, if that decides.
        limits: What results were held to.
    """
    if causes or any(t.not_finite > t.overflows for t in tensors):
        return "not finite"
    beyond = any(t.violations for t in tensors) or (steps and steps.violated)
    if beyond:
        return "violated"
    judged = limits.hold or (steps and any(layer.judged for layer in steps.layers))
    return "holds" if judged or all(t.elements == 0 for t in tensors) else "undecided"


def remark(
    causes: Sequence[str],
    tensors: Sequence[TensorReport],
    steps: LocalAudit | None,
    limits: Limits,
) -> Iterator[str]:
    """Yield what a reader of the figures must know."""
    yield from _of_infinite_bounds(tensors, limits)
    if steps is not None and steps.padding:
        yield (
            f"output: {steps.padding} numbers beyond a sequence's length are not 0, as "
            "they should be"
        )
    if all(t.elements == 0 for t in tensors):
        yield "the results have 0 elements, so nothing was compared"
    if causes:
        yield "there are no exact values to compare with, because of what is not finite"
        if not any(t.not_finite for t in tensors):
            yield "all outputs of the subject are finite nevertheless"
        return
    if all(t.violations is None for t in tensors) and any(t.elements for t in tensors):
        yield (
            "results were not compared with their exact values, which would take long; "
            "exact=True does it"
        )
    for t in tensors:
        wrong = t.not_finite - t.overflows
        if wrong:
            yield f"{t.name}: {wrong} elements are NaN or infinite, and should not be"
        if t.overflows:
            yield (
                f"{t.name}: {t.overflows} elements are infinite rightly: their exact "
                "values are beyond the largest finite number"
            )


def _of_infinite_bounds(
    tensors: Sequence[TensorReport], limits: Limits
) -> Iterator[str]:
    for t in tensors:
        if limits.bounds is not None and t.elements:
            infinite = np.count_nonzero(~np.isfinite(limits.bounds[t.name]))
            if infinite:
                yield (
                    f"{t.name}: {infinite} of {t.elements} elements have no finite bound "
                    "on the whole trajectory, so they are not judged; audit each layer "
                    "with its own inputs"
                )


def state(
    environment: Environment,
    limits: Limits,
    steps: LocalAudit | None,
    tensors: Sequence[TensorReport],
) -> Iterator[Statement]:
    """Yield what the report claims, and how well.

    Args:
        environment: What the subject ran in.
        limits: What was allowed of results.
        steps: What was found at each step.
        tensors: What was found in each result.
    """
    if steps is not None:
        yield from _of_steps(steps)
    if any(t.max_ulps is not None for t in tensors):
        yield Statement(
            kind="proven",
            text="each error of a result lies between its bounds, in exact arithmetic on "
            "the parameters, inputs and outputs as they are; bounds are rounded outwards, "
            "and exact values are correct to the digits shown",
        )
    if environment.torch is None:
        yield Statement(
            kind="assumed",
            text="the outputs are those of this network for these inputs",
        )
    else:
        yield Statement(
            kind="measured",
            text="the outputs are those of one run in the environment below; another "
            "version, thread count, grad mode or processor may give others",
        )
    if limits.bounds is not None:
        yield Statement(
            kind="proven",
            text="a result beyond its bound is not explained by rounding either: no honest "
            "trajectory is further from the exact one",
        )
    if limits.tolerance is not None:
        yield Statement(
            kind="assumed",
            text=f"the tolerance {limits.tolerance} is a convention, not derived from the network",
        )
    yield Statement(kind="assumed", text="FLINT's ball arithmetic encloses")


def _of_steps(steps: LocalAudit) -> Iterator[Statement]:
    arithmetic = steps.arithmetic
    yield Statement(
        kind="proven",
        text="a state beyond its bound is not explained by rounding, whichever order "
        "sums were taken in, with or without fused multiply-add, and for every equal "
        "form of the equations that cancels nothing; as far as what is assumed holds",
    )
    flushed = "may be flushed to zero" if arithmetic.flushes else "are kept"
    yield Statement(
        kind="assumed",
        text=f"operations are rounded to nearest in {arithmetic.format}, matrix products "
        f"accumulated in {arithmetic.accumulate} by sums of products (no Strassen, no "
        f"lower-precision mode), subnormal numbers {flushed}",
    )
    for errors in steps.activations:
        yield Statement(
            kind="assumed" if errors.provenance == "assumed" else "measured",
            text=errors.describe(),
        )
    yield Statement(
        kind="assumed",
        text="NumPy's float64 + - * / round to nearest, and its matrix products sum "
        "products in some order",
    )
