# SPDX-License-Identifier: BSD-3-Clause
"""What a report says in words, the same on a terminal, on a page and in an assertion.

So are the rows of its tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from symrnn.audits.findings import (
    ElementError,
    Findings,
    LayerReport,
    StepError,
    TensorReport,
)
from symrnn.networks.layout import Location

__all__ = [
    "LAYER_HEADINGS",
    "RESULT_HEADINGS",
    "cell_text",
    "deciding_numbers",
    "details",
    "element_rows",
    "headline",
    "layer_rows",
    "named_elements",
    "number",
    "printable",
    "result_rows",
    "sentence",
    "ulps",
    "where",
]


def sentence(report: Findings) -> str:
    """Return the verdict in one sentence: the headline, and the numbers that decide.

    >>> from symrnn.kernels.environment import Environment
    >>> from symrnn.audits.findings import Findings
    >>> here = Environment(symrnn="1", python="3.11", dtype="float32")
    >>> sentence(
    ...     Findings(
    ...         verdict="not finite",
    ...         subject="RNN",
    ...         network="RNN(1, 1)",
    ...         dtype="float32",
    ...         environment=here,
    ...         causes=("input x at step 1 is nan",),
    ...     )
    ... )
    'not finite: input x at step 1 is nan'
    """
    return ": ".join(filter(None, (headline(report), deciding_numbers(report))))


def deciding_numbers(report: Findings) -> str:
    """Return the numbers that decide; empty where the headline is all there is to say."""
    found = _decisive(report)
    return "" if found is None else details(found)


def headline(report: Findings) -> str:
    """Return the verdict, and the place where it is decided; without numbers there."""
    if report.causes:
        more = len(report.causes) - 1
        return f"not finite: {report.causes[0]}" + (f", and {more} more" * (more > 0))
    found = _decisive(report)
    if report.verdict == "undecided":
        return (
            "UNDECIDED: no state and no result has a finite bound to be judged by; a "
            "tolerance would decide"
        )
    if report.verdict == "holds" or found is None:
        return _held(report)
    if report.verdict == "not finite":
        return f"NOT FINITE: first at {where(found.location)}"
    derived = isinstance(found, StepError) or report.tolerance is None
    said = "explained by rounding" if derived else "in tolerance"
    return f"NOT {said}: first at {where(found.location)}"


def _decisive(report: Findings) -> StepError | ElementError | None:
    if report.verdict == "violated":
        return report.first_violation
    if report.verdict == "not finite" and not report.causes:
        wrong = (
            t.first_not_finite for t in report.tensors if t.not_finite > t.overflows
        )
        return next((e for e in wrong if e is not None), None)
    return None


def _held(report: Findings) -> str:
    """Return what a verdict of "holds" rests on."""
    parts = [*_held_steps(report), *_held_results(report)]
    beyond = sum(layer.violations for layer in report.layers)
    if beyond:  # a tolerance was stated, and decides
        parts = [*_held_results(report), f"states beyond their bounds: {beyond:,}"]
    if not parts:
        return "nothing was judged"
    steps = not beyond and any(layer.judged for layer in report.layers)
    unjudged = sum(layer.unjudged for layer in report.layers)
    if unjudged:
        parts.append(f"states that could not be judged: {unjudged:,}")
    if report.unseen:
        positions = "; ".join(str(one.position) for one in report.unseen)
        parts.append(f"not judged: {positions}")
    derived = steps or report.tolerance is None
    return (
        f"{'explained by rounding' if derived else 'in tolerance'}: {'; '.join(parts)}"
    )


def _held_steps(report: Findings) -> Iterator[str]:
    judged = sum(layer.judged for layer in report.layers)
    known = report.arithmetic
    bound = "proven" if known is None or known.probability is None else "probable"
    if judged:
        yield f"{_every(judged, 'state')} is within its {bound} bound"


def _held_results(report: Findings) -> Iterator[str]:
    compared = sum(t.elements for t in report.tensors if _was_compared(t))
    if compared and report.tolerance is not None:
        yield f"{_every(compared, 'result')} is within tolerance"
    elif compared and any(t.worst and t.worst.tolerance for t in report.tensors):
        yield f"{_every(compared, 'result')} is within its proven bound"


def _every(count: int, noun: str) -> str:
    return f"the one {noun}" if count == 1 else f"every one of {count:,} {noun}s"


def _was_compared(tensor: TensorReport) -> bool:
    return tensor.violations is not None and tensor.max_ulps is not None


def where(location: Location) -> str:
    """Return layer, direction, batch element, step and unit in words.

    >>> where(
    ...     Location(
    ...         tensor="h", index=None, layer=0, direction="forward", step=17, batch=2, unit=5
    ...     )
    ... )
    'layer 0, forward, batch element 2, step 17, unit 5'
    """
    parts = [f"layer {location.layer}, {location.direction}"]
    if location.batch is not None:
        parts.append(f"batch element {location.batch}")
    if location.step is not None:
        parts.append(f"step {location.step}")
    return ", ".join([*parts, f"unit {location.unit}"])


def details(error: StepError | ElementError) -> str:
    """Return the subject's number, what it should be, and how far apart they are."""
    location = error.location
    name = location.tensor
    if isinstance(error, StepError):
        return (
            f"{name} = {error.subject}, expected {error.expected:.12g}, off by "
            f"{number(error.error)} ({number(ulps(error))} ulps), bound {number(error.bound)}"
        )
    if location.index is not None:
        name += f"[{', '.join(map(str, location.index))}]"
    if error.exact is None:
        return f"{name} = {error.subject}"
    beyond = ", which overflows" if error.exact_overflows else ""
    text = f"{name} = {error.subject}, exactly {error.exact}{beyond}"
    if error.absolute is None or math.isinf(error.absolute):
        return text
    size = "" if error.ulps is None else f" ({number(error.ulps[1])} ulps)"
    text += f", off by {number(error.absolute)}{size}"
    if error.tolerance is None:
        return text
    return f"{text}, tolerance {number(error.tolerance)}"


def ulps(error: StepError) -> float:
    """Return the error in units in the last place at the expected value."""
    return error.error / error.ulp if error.ulp else math.inf


def number(value: float | None) -> str:
    """Return a figure to four digits, ``-`` for none.

    >>> number(None), number(1 / 3), number(1234567)
    ('-', '0.3333', '1.235e+06')
    """
    return "-" if value is None else f"{value:.4g}"


def printable(text: str) -> str:
    r"""Return text without control characters and lone surrogates, which are written out.

    Names come from files, and a terminal would obey what they say.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c == "\n" or c.isprintable() else ascii(c)[1:-1] for c in text)


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
