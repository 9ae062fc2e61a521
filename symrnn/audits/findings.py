# SPDX-License-Identifier: BSD-3-Clause
"""What an audit found, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from symrnn.audits.tolerance import Tolerance
from symrnn.kernels.environment import Environment
from symrnn.networks.layout import Location
from symrnn.networks.network import Position

__all__ = [
    "Arithmetic",
    "ElementError",
    "Findings",
    "LayerReport",
    "Section",
    "Statement",
    "StepError",
    "TensorReport",
    "Unseen",
    "Verdict",
]


Verdict = Literal["holds", "violated", "not finite", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementError:
    """One element of the subject against the exact value.

    Attributes:
        location: Where it is.
        subject: The subject's number, in the fewest decimals that tell it from others.
        subject_hex: The same as a hexadecimal float, which is exact.
        exact: The exact value to 20 correct digits, or ``None`` where there is none.
        ulps: Lower and upper bound of the error, in ulps of the subject's format at the
            exact value; ``None`` as before.
        absolute: Upper bound of the error.
        tolerance: What is allowed there.
        holds: Whether the error is within tolerance.
        exact_overflows: Whether the exact value, rounded to the format, is infinite.
    """

    location: Location
    subject: str
    subject_hex: str
    exact: str | None = None
    ulps: tuple[float, float] | None = None
    absolute: float | None = None
    tolerance: float | None = None
    holds: bool = False
    exact_overflows: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorReport:
    """One result: how far its elements are from the exact values.

    Figures are over the elements that are no padding; ``None`` where there are none, or
    no exact values. An element that is NaN, or infinite where it should not be, has an
    infinite error.

    Attributes:
        name: ``"output"``, ``"h_n"``, …
        shape: Its shape.
        elements: Number of elements, padding left out.
        padding: Number of elements beyond a sequence's length; exactly 0 is right.
        violations: Number of elements beyond tolerance, padding included; ``None``
            where there are no exact values.
        not_finite: Number of elements that are NaN or infinite.
        overflows: Number of those that are infinite rightly: the exact value rounds so.
        max_ulps: Upper bound of the largest error, in ulps.
        max_absolute: Upper bound of the largest absolute error.
        mean_ulps: Mean of the errors' upper bounds, in ulps.
        median_ulps: Their median.
        correctly_rounded: Fraction of elements that are the format's number nearest to
            the exact value, ties to even.
        worst: The element with the largest error for its tolerance.
        first_violation: The first beyond tolerance, in the order of computing.
        first_not_finite: The first that is NaN or infinite, in that order.
    """

    name: str
    shape: tuple[int, ...]
    elements: int
    padding: int
    violations: int | None = 0
    not_finite: int = 0
    overflows: int = 0
    max_ulps: float | None = None
    max_absolute: float | None = None
    mean_ulps: float | None = None
    median_ulps: float | None = None
    correctly_rounded: float | None = None
    worst: ElementError | None = None
    first_violation: ElementError | None = None
    first_not_finite: ElementError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepError:
    """One state of the subject against the exact image of its own inputs at that step.

    Attributes:
        location: Where it is; ``location.tensor`` is the state, ``"h"`` or ``"c"``.
        subject: The subject's number, in the fewest decimals that tell it from others.
        subject_hex: The same as a hexadecimal float, which is exact.
        expected: The exact image of x and the subject's own states before the step, as
            far as float64 knows it; for a state that the results do not show before the
            last step, such as c, the middle of what it may be.
        error: Distance of the two.
        bound: The largest distance that rounding explains.
        ulp: The subject's unit in the last place at `expected`.
        holds: Whether the error is within the bound.
    """

    location: Location
    subject: str
    subject_hex: str
    expected: float
    error: float
    bound: float
    ulp: float
    holds: bool

    @property
    def ratio(self) -> float:
        """Error over bound; above 1, rounding does not explain it."""
        if self.bound:
            return self.error / self.bound
        return math.inf if self.error else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReport:
    """One layer in one direction: every step judged from the subject's own inputs.

    Attributes:
        layer: The layer, from 0.
        direction: ``"forward"`` or ``"reverse"``.
        judged: Number of states judged.
        unjudged: Number that could not be: the step started from numbers that are not
            finite, or honest arithmetic may overflow there.
        violations: Number whose error is beyond its bound.
        first_violation: The first of them in the order of computing.
        worst: The state with the largest error for its bound.
        median_ratio: Median of error / bound.
        error_by_step: Largest error of each step, in ulps of the subject's format.
        bound_by_step: Largest bound of each step, in ulps.
        ratio_by_step: Largest error / bound of each step.
        ratio_by_unit: Largest error / bound of each unit.
        ratio_map: The largest error / bound of each step and unit, over the batch: a
            float64 array (time, unit); left out of `Report.to_dict`.
    """

    layer: int
    direction: str
    judged: int
    unjudged: int
    violations: int
    first_violation: StepError | None
    worst: StepError | None
    median_ratio: float | None
    error_by_step: tuple[float, ...]
    bound_by_step: tuple[float, ...]
    ratio_by_step: tuple[float, ...]
    ratio_by_unit: tuple[float, ...]
    ratio_map: npt.NDArray[np.float64] = field(
        repr=False, compare=False, metadata={"plain": False}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """One layer in one direction whose steps could not be judged; as text, a sentence.

    Attributes:
        position: Its layer and direction.
        why: Why not.
    """

    position: Position
    why: str

    def __str__(self) -> str:
        return f"{self.position}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """What the derived bounds assume of the subject's arithmetic.

    Attributes:
        format: The format in which it stores.
        accumulate: The format in which it accumulates matrix products.
        flushes: Whether subnormal numbers may be flushed to zero.
        activations: What is known of its elementwise functions, in words.
        probability: ``None``, or that with which a bound of a probabilistic model may
            fail at any one element; such bounds are not proven.
    """

    format: str
    accumulate: str
    flushes: bool
    activations: tuple[str, ...]
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A claim of the report, and what kind it is.

    Attributes:
        kind: ``"proven"`` holds for the numbers as they are, ``"measured"`` is true of
            this run, ``"assumed"`` was taken for granted.
        text: The claim.
    """

    kind: Literal["proven", "measured", "assumed"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the explanation: where errors come from, or what bounds them.

    Attributes:
        title: What it is about.
        kind: How well its figures are known, as for a `Statement`.
        text: What a reader must know to understand them.
        headings: The columns of a table.
        rows: Its rows; ``None`` where there is no figure.
        by_step: Figures of each step by name, at most four, all positive or 0, to be
            drawn.
        unit: What those are, such as ``"ulps"``.
    """

    title: str
    kind: Literal["proven", "measured", "assumed"]
    text: str = ""
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str | float | None, ...], ...] = ()
    by_step: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    unit: str = "ulps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that an audit found; a `symrnn.Report`, which says what each is, shows and saves it."""

    verdict: Verdict
    subject: str
    network: str
    dtype: str
    environment: Environment
    tensors: tuple[TensorReport, ...] = ()
    tolerance: Tolerance | None = None
    arithmetic: Arithmetic | None = None
    layers: tuple[LayerReport, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    explanation: tuple[Section, ...] = ()
    rounded: bool = field(default=False, metadata={"plain": False})

    @property
    def passed(self) -> bool:
        """Whether the verdict is ``"holds"``."""
        return self.verdict == "holds"

    @property
    def worst(self) -> StepError | ElementError | None:
        """The state with the largest error for its bound.

        Where a tolerance decides, the result with the largest error for it.
        """
        steps = [layer.worst for layer in self.layers if layer.worst is not None]
        if steps and self.tolerance is None:
            return max(steps, key=lambda step: step.ratio)
        found = [t.worst for t in self.tensors if t.worst is not None]
        return max(found, key=_severity, default=None)

    @property
    def first_not_finite(self) -> ElementError | None:
        """Where results first leave the finite numbers: output first, then states."""
        found = (t.first_not_finite for t in self.tensors)
        return next((e for e in found if e is not None), None)

    @property
    def first_violation(self) -> StepError | ElementError | None:
        """Where it starts: the first state beyond its derived bound, as computed.

        Where a tolerance decides, the first result beyond that.
        """
        steps: list[Any] = [layer.first_violation for layer in self.layers]
        results: list[Any] = [t.first_violation for t in self.tensors]
        order = results + steps if self.tolerance else steps + results
        return next((e for e in order if e is not None), None)


def _severity(element: ElementError) -> tuple[bool, float]:
    error, allowed = element.absolute, element.tolerance
    if error is None or allowed is None:
        return not element.holds, math.inf
    return not element.holds, error / allowed if allowed else math.inf * bool(error)
