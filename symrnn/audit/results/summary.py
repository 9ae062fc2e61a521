# SPDX-License-Identifier: BSD-3-Clause
"""From judgements of single elements to the report on a tensor."""

from __future__ import annotations

from math import isinf
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpq

from symrnn.arrays import Array
from symrnn.audit.findings import ElementError, TensorReport
from symrnn.audit.places import Grid
from symrnn.audit.results.compare import Judgement
from symrnn.audit.results.narrow import Enclosure, narrow_in_ulps
from symrnn.audit.subjects.subject import Subject
from symrnn.errors import UndecidedError
from symrnn.formats import FloatFormat, nearest_float, round_decimal, round_up
from symrnn.numbers import to_fraction

__all__ = ["exact_text", "float_text", "summarise", "summarise_without_exact"]

_DIGITS = 20

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def summarise(
    found: npt.NDArray[np.object_],
    exact: Array,
    subject: Floats,
    grid: Grid,
    target: FloatFormat,
) -> TensorReport:
    """Report on a result whose elements have been judged.

    Args:
        found: A `Judgement` for every element.
        exact: The exact values.
        subject: The subject's numbers.
        grid: What the elements stand for.
        target: The subject's format.
    """
    holds = _field(found, "holds").astype(bool)
    error, allowed = _field(found, "absolute"), _field(found, "tolerance")
    not_finite = ~np.isfinite(subject)

    def show(index: tuple[int, ...] | None) -> ElementError | None:
        if index is None:
            return None
        number = float(subject[index])
        return _element(found[index], exact[index], number, grid, index, target)

    return TensorReport(
        name=grid.tensor,
        shape=grid.shape,
        elements=int(np.count_nonzero(~grid.padding)),
        padding=int(np.count_nonzero(grid.padding)),
        violations=int(np.count_nonzero(~holds)),
        not_finite=int(np.count_nonzero(not_finite)),
        overflows=int(np.count_nonzero(not_finite & holds)),
        **_statistics(found, ~grid.padding),
        worst=show(_worst(error, allowed, holds, grid)),
        first_violation=show(grid.first(~holds)),
        first_not_finite=show(grid.first(not_finite)),
    )


def summarise_without_exact(subject: Subject, name: str) -> TensorReport:
    """Report on a result without its exact values: what is not finite, and where."""
    values = subject.values[name]
    not_finite = ~np.isfinite(values)
    element = None
    if not_finite.any():
        grid = subject.grids[name]
        first = grid.first(not_finite)
        assert first is not None
        decimal, hexadecimal = float_text(float(values[first]), subject.format)
        element = ElementError(
            location=grid.locate(first), subject=decimal, subject_hex=hexadecimal
        )
    lengths, time = subject.inputs.lengths, subject.inputs.time
    beyond = 0
    if name == "output" and not subject.inputs.layout.packed:
        beyond = sum(time - n for n in lengths) * values.shape[-1]
    return TensorReport(
        name=name,
        shape=values.shape,
        elements=values.size - beyond,
        padding=beyond,
        violations=None,
        not_finite=int(np.count_nonzero(not_finite)),
        first_not_finite=element,
    )


def _statistics(found: npt.NDArray[np.object_], counted: Mask) -> dict[str, Any]:
    if not counted.any():
        return {}
    ulps = _field(found, "high")[counted]
    return {
        "max_ulps": float(ulps.max()),
        "max_absolute": float(_field(found, "absolute")[counted].max()),
        "mean_ulps": float(ulps.mean()),
        "median_ulps": float(np.median(ulps)),
        "correctly_rounded": float(_field(found, "correct")[counted].mean()),
    }


def _field(found: npt.NDArray[np.object_], name: str) -> Floats:
    values = [float(getattr(judgement, name)) for judgement in found.reshape(-1)]
    return np.array(values, dtype=np.float64).reshape(found.shape)


def _worst(
    error: Floats, allowed: Floats, holds: Mask, grid: Grid
) -> tuple[int, ...] | None:
    """Return the largest error for its tolerance, the first computed among equals."""
    if error.size == 0:
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = np.where(np.isinf(allowed), 1.0, allowed)
        ratio = np.where(error == 0, 0.0, error / size)
    ratio = np.nan_to_num(ratio, nan=np.inf, posinf=np.inf)
    candidates = np.ones_like(holds) if holds.all() else ~holds
    return grid.first(candidates & (ratio == ratio[candidates].max()))


def _element(
    judgement: Judgement,
    exact: Array,
    number: float,
    grid: Grid,
    index: tuple[int, ...],
    target: FloatFormat,
) -> ElementError:
    decimal, hexadecimal = float_text(number, target)
    return ElementError(
        location=grid.locate(index),
        subject=decimal,
        subject_hex=hexadecimal,
        exact=exact_text(exact, target),
        ulps=(judgement.low, judgement.high),
        absolute=judgement.absolute,
        tolerance=None if isinf(judgement.tolerance) else judgement.tolerance,
        holds=judgement.holds,
        exact_overflows=judgement.overflows,
    )


def exact_text(exact: Array, target: FloatFormat, digits: int = _DIGITS) -> str:
    """Write a value to some digits, or as an interval if no precision finds them."""
    found: Any = exact.decide(narrow_in_ulps(target))
    value: Enclosure = found[()]
    text = round_decimal(value.lo, value.hi, digits=digits)
    if text is not None:
        return text
    if value.least > 0:
        try:
            return str(exact.decimal(digits))
        except UndecidedError:
            pass
    middle = (value.lo + value.hi) / 2 if value.least > 0 else fmpq(0)
    radius = max(value.hi - middle, middle - value.lo)
    shown = round_decimal(middle, middle, digits=digits)
    return f"{shown} ± {round_up(radius):.2g}"


def float_text(number: float, target: FloatFormat) -> tuple[str, str]:
    """Return a number as the fewest decimals that `target` tells it by, and as hex.

    >>> from symrnn.formats import FORMATS
    >>> float_text(0.10000000149011612, FORMATS["float32"])
    ('0.1', '0x1.99999a0000000p-4')
    """
    if np.isfinite(number):
        for digits in range(1, 17):
            text = f"{number:.{digits}g}"
            fraction = to_fraction(text)
            decimal = fmpq(fraction.numerator, fraction.denominator)
            if nearest_float(decimal, decimal, target) == number:
                return text, number.hex()
    return repr(number), number.hex()
