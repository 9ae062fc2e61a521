# SPDX-License-Identifier: BSD-3-Clause
"""The rows of a report's tables, the same on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Iterator

from symrnn.audit.findings import (
    ElementError,
    Findings,
    LayerReport,
    StepError,
    TensorReport,
)
from symrnn.audit.pages.wording import number, ulps

__all__ = [
    "LAYER_HEADINGS",
    "RESULT_HEADINGS",
    "cell_text",
    "element_rows",
    "layer_rows",
    "named_elements",
    "result_rows",
]

LAYER_HEADINGS = (
    "layer",
    "direction",
    "judged",
    "beyond",
    "unjudged",
    "median",
    "largest",
    "where it is largest",
)
RESULT_HEADINGS = (
    "result",
    "shape",
    "elements",
    "beyond",
    "max ulps",
    "mean",
    "median",
    "max error",
    "rounded right",
)


def layer_rows(report: Findings) -> list[tuple[str, ...]]:
    """Return what `LAYER_HEADINGS` announce of each layer and direction."""
    return [_layer_row(layer) for layer in report.layers]


def _layer_row(layer: LayerReport) -> tuple[str, ...]:
    worst = layer.worst
    return (
        str(layer.layer),
        layer.direction,
        f"{layer.judged:,}",
        f"{layer.violations:,}",
        f"{layer.unjudged:,}",
        number(layer.median_ratio),
        "-" if worst is None else number(worst.ratio),
        "-" if worst is None else f"{worst.location.tensor}: {_within(worst)}",
    )


def _within(error: StepError) -> str:
    """Return the place within a layer and direction."""
    found = error.location
    parts = [("batch", found.batch), ("step", found.step), ("unit", found.unit)]
    return ", ".join(f"{name} {n}" for name, n in parts if n is not None)


def result_rows(report: Findings) -> list[tuple[str, ...]]:
    """Return what `RESULT_HEADINGS` announce of each result."""
    return [
        _result_row(tensor, stated=report.tolerance is not None)
        for tensor in report.tensors
    ]


def _result_row(tensor: TensorReport, *, stated: bool) -> tuple[str, ...]:
    beyond, rounded = tensor.violations, tensor.correctly_rounded
    return (
        tensor.name,
        str(tensor.shape),
        f"{tensor.elements:,}",
        f"{beyond:,}" if beyond or (stated and beyond is not None) else "-",
        number(tensor.max_ulps),
        number(tensor.mean_ulps),
        number(tensor.median_ulps),
        number(tensor.max_absolute),
        "-" if rounded is None else f"{100 * rounded:.1f} %",
    )


def named_elements(
    report: Findings,
) -> Iterator[tuple[str, StepError | ElementError]]:
    """Yield the elements that a report shows in full, with what they are."""
    shown: list[StepError | ElementError] = []
    for title, element in (
        ("first not finite", report.first_not_finite),
        ("first beyond", report.first_violation),
        ("largest error for its bound", report.worst),
    ):
        if element is not None and element not in shown:
            shown.append(element)
            yield title, element


def element_rows(element: StepError | ElementError) -> Iterator[tuple[str, str]]:
    """Yield name and text of each fact about an element."""
    yield "subject", f"{element.subject}  ({element.subject_hex})"
    if isinstance(element, StepError):
        yield "expected", f"{element.expected!r}"
        yield "error", f"{number(element.error)}, {number(ulps(element))} ulps"
        yield "bound", f"{number(element.bound)}; error / bound {number(element.ratio)}"
        return
    if element.exact is None:
        return
    beyond = ", beyond the largest finite number" if element.exact_overflows else ""
    yield "exact", f"{element.exact}{beyond}"
    if element.ulps is not None:
        low, high = (f"{bound:.6g}" for bound in element.ulps)
        size = high if low == high else f"{low} to {high}"
        yield "error", f"{size} ulps, {number(element.absolute)}"
    if element.tolerance is not None:
        yield "tolerance", number(element.tolerance)


def cell_text(cell: str | float | None) -> str:
    """Return what stands in a cell of a section's table."""
    return cell if isinstance(cell, str) else number(cell)
