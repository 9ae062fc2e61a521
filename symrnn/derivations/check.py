# SPDX-License-Identifier: BSD-3-Clause
"""The last page: what a float network returned, held against the derivation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from symrnn.audits.audit import audit
from symrnn.audits.compare import Judgement, compare
from symrnn.audits.report import Report
from symrnn.audits.results import exact_text, exact_values
from symrnn.audits.subject import Subject, flatten, numbers_of, read_subject
from symrnn.audits.torch_run import run_torch
from symrnn.derivations.numbers import Values
from symrnn.documents.model import (
    Block,
    Code,
    Formula,
    Heading,
    Inline,
    Number,
    Paragraph,
    Table,
)
from symrnn.networks.layout import Location
from symrnn.networks.network import Network
from symrnn.networks.sources.modules import recurrent_module
from symrnn.numerics.exact import float_format
from symrnn.numerics.formats import FloatFormat, as_rational, float_text, round_decimal
from symrnn.runs.arrays import Array

__all__ = ["Check"]

_MOST_ROWS = 20
_VERDICTS = {
    "holds": "All of them are within tolerance",
    "violated": "Not all of them are within tolerance",
    "not finite": "Not all of them are finite, as they should be",
    "undecided": "None of them has a finite bound to be judged by",
}


@dataclass(frozen=True, slots=True)
class Check:
    """What the derivation is held against.

    Attributes:
        report: The audit of the numbers.
        subject: The numbers, where they are at hand.
    """

    report: Report
    subject: Subject | None

    @classmethod
    def of_module(
        cls, module: Any, net: Network, x: Any, hx: Any, lengths: Any
    ) -> Check:
        """Run a live torch module; inputs are rounded to its format if need be."""
        part = recurrent_module(module)
        subject = run_torch(part, net, x, hx, lengths, grad=False)
        return cls(audit(module, x, hx, lengths=lengths), subject)

    @classmethod
    def of(cls, net: Network, x: Any, hx: Any, lengths: Any, given: Any) -> Check:
        """Take a `Report`, or somebody's outputs; lists are of the network's format."""
        if isinstance(given, Report):
            return cls(given, None)
        known = float_format(numbers_of(next(flatten(given))))
        dtype = None if known else net.dtype
        subject = read_subject(net, x, hx, lengths, given, dtype)
        report = audit(net, x, hx, lengths=lengths, outputs=given, dtype=dtype)
        return cls(report, subject)

    def blocks(self, values: Values) -> Iterator[Block]:
        """Yield the comparison."""
        report = self.report
        notes = tuple(f" {note[:1].upper()}{note[1:]}." for note in report.notes)
        yield Heading(2, ("Check",))
        yield Paragraph(
            (
                f"Compared with the exact values: {report.subject}, in {report.dtype}. "
                "One ulp is the distance between neighbouring "
                f"{report.dtype} numbers at the exact value; the nearest of them is at "
                "most half an ulp away.",
                *notes,
            )
        )
        if self.subject is None:
            yield _summary(report)
        else:
            yield from _elements(values, self.subject)
        yield Paragraph((_verdict(report),))


def _verdict(report: Report) -> str:
    if report.tolerance is not None:
        return f"{_VERDICTS[report.verdict]}: {report.tolerance}."
    if report.verdict in ("not finite", "undecided"):
        return f"{_VERDICTS[report.verdict]}."
    bound = f"the bound that is derived from {report.dtype} arithmetic"
    if report.passed:
        return f"Rounding explains all of them: every step is within {bound}."
    first = report.first_violation
    where = "" if first is None else f", the first {first.location}"
    return f"Rounding does not explain all of them: a step is beyond {bound}{where}."


def _summary(report: Report) -> Table:
    rows: list[tuple[tuple[Inline, ...], ...]] = []
    for tensor in report.tensors:
        worst, share = tensor.max_ulps, tensor.correctly_rounded
        rows.append(
            (
                (Code(tensor.name),),
                (str(tensor.elements),),
                ("–" if worst is None else _upwards(worst),),
                ("–" if share is None else f"{math.floor(100 * share)} %",),
            )
        )
    header: tuple[tuple[Inline, ...], ...] = (
        ("Result",),
        ("Numbers",),
        ("Largest error in ulps",),
        ("Nearest to exact",),
    )
    return Table(header, tuple(rows), "lrrr")


def _upwards(value: float) -> str:
    """Write an upper bound so that it stays one."""
    return f"{math.ceil(100 * value) / 100:.2f}" if math.isfinite(value) else "infinite"


# --- element by element -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Element:
    where: Location
    returned: float
    exact: Array
    judged: Judgement


def _elements(values: Values, subject: Subject) -> Iterator[Block]:
    found = list(_compare(values, subject))
    if not found:
        return
    shown = found
    ranked = sorted(found, key=lambda element: element.judged.high, reverse=True)
    if len(found) > _MOST_ROWS:
        chosen = {id(element) for element in ranked[:_MOST_ROWS]}
        shown = [element for element in found if id(element) in chosen]
        yield Paragraph(
            (f"The {_MOST_ROWS} largest of {len(found)} errors are shown.",)
        )
    header = (("Element",), ("Returned",), ("Exact value",), ("Error in ulps",))
    rows = tuple(_row(element, subject.format) for element in shown)
    yield Table(header, rows, "lrrr")
    nearest = sum(element.judged.correct for element in found)
    worst = ranked[0]
    ulps = _ulps(worst.judged)
    size = "not finite" if ulps is None else f"{ulps} ulps"
    yield Paragraph(
        (
            f"{nearest} of {len(found)} numbers are the {subject.format.name} numbers "
            f"nearest to the exact values. The largest error is {size}, at ",
            Code(_label(worst.where)),
            ".",
        )
    )


def _compare(values: Values, subject: Subject) -> Iterator[_Element]:
    for name, returned in subject.values.items():
        grid, exact = subject.grids[name], exact_values(values.trace, name)
        found = compare(exact, returned, grid, subject.format, None)
        for index in np.ndindex(returned.shape):
            if not grid.padding[index]:
                number = float(returned[index])
                judged = found.item(index)
                yield _Element(grid.locate(index), number, exact[index], judged)


def _ulps(judged: Judgement) -> str | None:
    """Write an error in ulps to two decimals; ``None`` where it is not finite."""
    if not math.isfinite(judged.high):
        return None
    ends = as_rational(judged.low), as_rational(judged.high)
    return round_decimal(*ends, places=2) or f"at most {_upwards(judged.high)}"


def _label(where: Location) -> str:
    return f"{where.tensor}[{', '.join(map(str, where.index or ()))}]"


def _row(element: _Element, target: FloatFormat) -> tuple[tuple[Inline, ...], ...]:
    returned, _ = float_text(element.returned, target)
    digits = math.ceil(target.precision * math.log10(2)) + 2
    exact = exact_text(element.exact, target, digits)
    return (
        (Code(_label(element.where)),),
        (_number(returned),),
        (_number(exact),),
        (_ulps(element.judged) or "–",),
    )


def _number(text: str) -> Inline:
    """Return a decimal as one; ``inf`` and ``0 ± 1e-300`` as they are."""
    plain = re.fullmatch(r"-?[0-9.]+(e[+-]?[0-9]+)?", text)
    return Formula((Number(text),)) if plain else text
