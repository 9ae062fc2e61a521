# SPDX-License-Identifier: BSD-3-Clause
"""The subject's results against their exact values: true errors, and limits to them.

Note [Limits]
    A tolerance that the caller states is the limit. Otherwise the local audit decides,
    and needs none here, unless it could not see the states that a layer starts from. Then
    the limit of each element is the proven bound of `symrnn.audits.explain.bound`, or,
    where that would take too long, a convention: what ``assert_close`` allows.

Note [Enclosed results]
    Balls of any precision know each element as well as it takes; float64 knows states to
    some 1e-14, which is little enough beside an ulp of float32 and coarser formats, and
    takes no Python for an element. Errors are then intervals that wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isinf
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import fmpq

from symrnn.audits.compare import Judgement, compare
from symrnn.audits.departures import ulps
from symrnn.audits.explain.bound import ErrorBound, bound_errors
from symrnn.audits.findings import ElementError, TensorReport
from symrnn.audits.local_audit import LocalAudit, floating_domain
from symrnn.audits.subject import Subject
from symrnn.audits.tolerance import (
    Enclosure,
    Tolerance,
    default_tolerance,
    narrow_in_ulps,
    planned_places,
)
from symrnn.domains.enclosure import Enclosed
from symrnn.errors import UndecidedError
from symrnn.networks.layout import Grid, result_states
from symrnn.networks.network import DIRECTIONS
from symrnn.numerics.float_arithmetic import round_array
from symrnn.numerics.formats import (
    FloatFormat,
    as_float,
    float_text,
    power_of_two,
    round_decimal,
    round_up,
)
from symrnn.numerics.upward import up
from symrnn.runs.arrays import Array, PackedArray
from symrnn.runs.evaluate import evaluate_inputs
from symrnn.runs.trace import Trace

__all__ = [
    "Limits",
    "compare_enclosed",
    "exact_text",
    "exact_values",
    "find_limits",
    "judge_results",
    "summarise",
    "summarise_without_exact",
]


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


def compare_enclosed(trace: Trace, subject: Subject, name: str) -> TensorReport:
    """Report on a result from a trace of float64 enclosures.

    Args:
        trace: From ``evaluate(…, domain="enclosure")``.
        subject: The subject, in a format coarser than float64.
        name: Of the result.
    """
    grid, values = subject.grids[name], subject.values[name]
    exact = _arranged(trace, grid, name)
    return _Comparison(subject, grid, values, exact).report()


class _Comparison:
    """One result, all elements at once; arrays have its shape."""

    def __init__(
        self, subject: Subject, grid: Grid, values: Floats, exact: Enclosed
    ) -> None:
        self.subject, self.grid, self.values, self.exact = subject, grid, values, exact
        target, (mid, rad) = subject.format, exact
        half_ulp = power_of_two(target.emax - target.precision)
        threshold = as_float(power_of_two(target.emax + 1) - half_ulp)
        size = np.abs(mid)
        with np.errstate(all="ignore"):
            self.overflows = size - up(rad) >= threshold
            right = self.overflows & (values == np.copysign(np.inf, mid))
            error = np.where(right, 0.0, np.abs(values - mid))
            error = np.where(np.isnan(error), np.inf, error)
            # One rounding each, and more than made up for.
            slack = 4 * np.finfo(np.float64).eps
            spread = np.where(right, 0.0, rad)
            self.high = up(error * (1 + slack) + spread)
            self.low = np.maximum(error * (1 - slack) - up(spread), 0.0)
            self.high_ulps = up(self.high / ulps(np.maximum(size - up(rad), 0), target))
            self.low_ulps = self.low / ulps(up(size + rad), target)
        ends = (round_array(end, target) for end in (-up(rad - mid), up(mid + rad)))
        self.correct = np.logical_and.reduce([end == values for end in ends])
        self.wrong = ~np.isfinite(values) & ~right

    def report(self) -> TensorReport:
        counted = ~self.grid.padding
        not_finite = ~np.isfinite(self.values)
        return TensorReport(
            name=self.grid.tensor,
            shape=self.grid.shape,
            elements=int(np.count_nonzero(counted)),
            padding=int(np.count_nonzero(self.grid.padding)),
            violations=int(np.count_nonzero(self.wrong)),
            not_finite=int(np.count_nonzero(not_finite)),
            overflows=int(np.count_nonzero(not_finite & ~self.wrong)),
            **self._statistics(counted),
            worst=self._element(self.grid.first(self.high == self.high.max())),
            first_violation=self._element(self.grid.first(self.wrong)),
            first_not_finite=self._element(self.grid.first(not_finite)),
        )

    def _statistics(self, counted: npt.NDArray[np.bool_]) -> dict[str, Any]:
        if not counted.any():
            return {}
        found = self.high_ulps[counted]
        return {
            "max_ulps": float(found.max()),
            "max_absolute": float(self.high[counted].max()),
            "mean_ulps": float(found.mean()),
            "median_ulps": float(np.median(found)),
            "correctly_rounded": float(self.correct[counted].mean()),
        }

    def _element(self, index: tuple[int, ...] | None) -> ElementError | None:
        if index is None:
            return None
        decimal, hexadecimal = float_text(
            float(self.values[index]), self.subject.format
        )
        mid, rad = float(self.exact.mid[index]), float(self.exact.rad[index])
        return ElementError(
            location=self.grid.locate(index),
            subject=decimal,
            subject_hex=hexadecimal,
            exact=f"{mid!r} ± {up(rad):.2g}",
            ulps=(float(self.low_ulps[index]), float(self.high_ulps[index])),
            absolute=float(self.high[index]),
            tolerance=None,
            holds=not bool(self.wrong[index]),
            exact_overflows=bool(self.overflows[index]),
        )


def _arranged(trace: Trace, grid: Grid, name: str) -> Enclosed:
    """Return enclosures in the shape of a result; what is padding is exactly 0."""
    inputs, net = trace.inputs, trace.net
    order = list(inputs.order)
    states = result_states(net)
    if name != next(iter(states)):
        finals = [trace.records[p].final[states[name]] for p in net.positions]
        rows = grid.layer * len(net.directions) + grid.direction
        return Enclosed(
            *(
                np.stack([_by_batch(f[part], order) for f in finals])[
                    rows, grid.batch, grid.unit
                ]
                for part in (0, 1)
            )
        )
    width = net.state_sizes[net.cell.states[0]]
    column = grid.direction * width + grid.unit
    parts = []
    for part in (0, 1):
        whole = np.zeros((inputs.time, inputs.batch, width * len(DIRECTIONS)))
        for t, matrix in enumerate(trace._outputs):
            found = matrix[part]
            whole[t, order[: found.shape[1]], : found.shape[0]] = found.T
        parts.append(whole[grid.step, grid.batch, column])
    return Enclosed(*parts)


def _by_batch(matrix: Floats, order: list[int]) -> Floats:
    """Return (batch, features) of a matrix whose columns are sorted by length."""
    found = np.empty(matrix.T.shape)
    found[order] = matrix.T
    return found


_FEW_ELEMENTS = 1 << 14  # each takes tens of microseconds to compare exactly


_LITTLE_WORK = 1 << 25  # multiplications, some tens of nanoseconds each


_ENCLOSED_WORK = 1 << 33  # of products of Jacobians in float64


_BOUND_WORK = 1 << 36  # of matrix products in float64


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What results may be off by; see Note [Limits].

    Attributes:
        tolerance: One rule for all elements; or
        trajectory: a proven bound for each.
    """

    tolerance: Tolerance | None = None
    trajectory: ErrorBound | None = None

    @cached_property
    def bounds(self) -> dict[str, npt.NDArray[np.float64]] | None:
        """The proven bound of each element, by result."""
        return None if self.trajectory is None else self.trajectory.results()

    @property
    def decides(self) -> bool:
        """Whether there is a limit at all."""
        return self.tolerance is not None or self.trajectory is not None

    @property
    def hold(self) -> bool:
        """Whether any element has a finite limit."""
        if self.bounds is None:
            return self.tolerance is not None
        return any(np.isfinite(found).any() for found in self.bounds.values())

    def of(self, name: str) -> Tolerance | npt.NDArray[np.float64] | None:
        """Return what is allowed for the elements of a result."""
        return self.tolerance if self.bounds is None else self.bounds[name]


def find_limits(
    subject: Subject,
    steps: LocalAudit,
    tolerance: Tolerance | None,
    accumulate: str | None,
) -> Limits:
    """Return the limits for a subject; see Note [Limits].

    Args:
        subject: The subject.
        steps: What the local audit could judge.
        tolerance: What the caller stated.
        accumulate: As for `symrnn.audits.local_audit.audit_steps`.
    """
    if tolerance is not None or not steps.unseen:
        return Limits(tolerance=tolerance)
    net, inputs = subject.net, subject.inputs
    size = sum(net.state_sizes.values())
    if sum(n * n for n in inputs.lengths) * size**3 * len(net.positions) > _BOUND_WORK:
        return Limits(tolerance=default_tolerance(subject.format))
    domain = floating_domain(subject, accumulate)
    return Limits(trajectory=bound_errors(net, inputs, domain))


def judge_results(
    subject: Subject, limits: Limits, *, exact: bool | None, max_precision: int
) -> tuple[TensorReport, ...]:
    """Compare results with their exact values, where that is wanted or quick.

    Args:
        subject: The subject.
        limits: What is allowed.
        exact: Whether to, where there is no limit; ``None`` where it takes seconds. Many
            elements are then compared with float64 enclosures.
        max_precision: Working precision, in bits, at which to give up.

    Raises:
        UndecidedError: An element is nearer to its limit than `max_precision` can tell.
    """
    target = subject.format
    problem = subject.original or (subject.net, subject.inputs)
    if not _compares(subject, limits, exact):
        if exact is None and _is_enclosed_quickly(subject):
            trace = evaluate_inputs(*problem, domain="enclosure", keep="states")
            return tuple(compare_enclosed(trace, subject, n) for n in subject.values)
        return tuple(summarise_without_exact(subject, name) for name in subject.values)
    trace = evaluate_inputs(
        *problem,
        places=planned_places(target),
        keep="states",
        max_precision=max_precision,
    )
    tensors = []
    for name, values in subject.values.items():
        grid, wanted = subject.grids[name], exact_values(trace, name)
        found = compare(wanted, values, grid, target, limits.of(name))
        tensors.append(summarise(found, wanted, values, grid, target))
    return tuple(tensors)


def _compares(subject: Subject, limits: Limits, exact: bool | None) -> bool:
    elements = sum(values.size for values in subject.values.values())
    if elements == 0:
        return False
    if limits.decides:  # whatever `exact` says: nothing else judges
        return True
    if exact is not None:
        return exact
    parameters = subject.net.parameters.values()
    products = sum(array.size for arrays in parameters for array in arrays.values())
    work = products * sum(subject.inputs.lengths)
    return elements <= _FEW_ELEMENTS and work <= _LITTLE_WORK


def _is_enclosed_quickly(subject: Subject) -> bool:
    """Whether float64 enclosures are narrow beside an ulp, and take seconds."""
    if subject.format.precision > 24 or not subject.inputs.batch:
        return False
    size = sum(subject.net.state_sizes.values())
    steps = sum(subject.inputs.lengths) * len(subject.net.positions)
    return steps * size**3 <= _ENCLOSED_WORK


def exact_values(trace: Trace, name: str) -> Array:
    """Return what a run gave for a result, by its name among a subject's."""
    if trace.net.single_step or name != "output":
        return trace.state(result_states(trace.net)[name])
    output = trace.output
    return output.data if isinstance(output, PackedArray) else output
