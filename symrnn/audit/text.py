# SPDX-License-Identifier: BSD-3-Clause
"""A report as plain text."""

from __future__ import annotations

from collections.abc import Iterator

from symrnn.audit.report import ElementError, Report, TensorReport

__all__ = ["report_text"]

_HEADINGS = (
    "result",
    "shape",
    "elements",
    "beyond",
    "max ulps",
    "mean",
    "median",
    "max error",
    "correctly rounded",
)


def report_text(report: Report) -> str:
    """Return the report as text to read, without a newline at the end."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"Audit of {report.subject}: {report.verdict}"
    yield f"  {report.network}"
    yield f"  tolerance, assumed: {report.tolerance}"
    yield from (f"  not finite: {cause}" for cause in report.causes)
    yield ""
    yield from _table([_HEADINGS, *(_row(t) for t in report.tensors)])
    for title, element in (
        ("first not finite", report.first_not_finite),
        ("first beyond tolerance", report.first_violation),
        ("worst", report.worst),
    ):
        if element is not None:
            yield ""
            yield from _element(title, element)
    yield ""
    yield from (f"note: {note}" for note in report.notes)
    yield from (f"{s.kind}: {s.text}" for s in report.statements)
    yield f"environment: {report.environment}"


def _row(tensor: TensorReport) -> tuple[str, ...]:
    rounded = tensor.correctly_rounded
    return (
        tensor.name,
        str(tensor.shape),
        str(tensor.elements),
        _number(tensor.violations),
        _number(tensor.max_ulps),
        _number(tensor.mean_ulps),
        _number(tensor.median_ulps),
        _number(tensor.max_absolute),
        "-" if rounded is None else f"{100 * rounded:.1f} %",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()


def _element(title: str, element: ElementError) -> Iterator[str]:
    yield f"{title}: {element.location}, counted from 0"
    yield f"  subject  {element.subject}  ({element.subject_hex})"
    if element.exact is None:
        return
    beyond = ", beyond the largest finite number" if element.exact_overflows else ""
    yield f"  exact    {element.exact}{beyond}"
    if element.ulps is not None:
        low, high = (f"{bound:.6g}" for bound in element.ulps)
        ulps = high if low == high else f"{low} to {high}"
        yield (
            f"  error    {ulps} ulps, {_number(element.absolute)}; "
            f"tolerance there {_number(element.tolerance)}"
        )
