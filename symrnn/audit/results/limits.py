# SPDX-License-Identifier: BSD-3-Clause
"""The subject's results against their exact values: true errors, and limits to them.

Note [Limits]
    A tolerance that the caller states is the limit. Otherwise the local audit decides,
    and needs none here, unless it could not see the states that a layer starts from. Then
    the limit of each element is the proven bound of `symrnn.audit.trajectory.bound`, or, where
    that would take too long, a convention: what ``assert_close`` allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from symrnn.arrays import Array, PackedArray
from symrnn.audit.findings import TensorReport
from symrnn.audit.local.steps import LocalAudit, floating_domain
from symrnn.audit.results.compare import compare
from symrnn.audit.results.enclosed import compare_enclosed
from symrnn.audit.results.narrow import planned_places
from symrnn.audit.results.summary import summarise, summarise_without_exact
from symrnn.audit.subjects.subject import Subject
from symrnn.audit.tolerance import Tolerance, default_tolerance
from symrnn.audit.trajectory.bound import ErrorBound, bound_errors
from symrnn.evaluate import evaluate_inputs
from symrnn.trace import Trace

__all__ = ["Limits", "exact_values", "find_limits", "judge_results"]

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
        accumulate: As for `symrnn.audit.local.steps.audit_steps`.
    """
    if tolerance is not None or not steps.unseen:
        return Limits(tolerance=tolerance)
    net, inputs = subject.net, subject.inputs
    size = sum(net.state_sizes.values())
    if sum(n * n for n in inputs.lengths) * size**3 * len(net.places) > _BOUND_WORK:
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
    steps = sum(subject.inputs.lengths) * len(subject.net.places)
    return steps * size**3 <= _ENCLOSED_WORK


def exact_values(trace: Trace, name: str) -> Array:
    """Return what a run gave for a result, by its name among a subject's."""
    if name != "output":
        return trace.state(name.removesuffix("_n"))
    output = trace.output
    return output.data if isinstance(output, PackedArray) else output
