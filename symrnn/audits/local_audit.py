# SPDX-License-Identifier: BSD-3-Clause
"""The local audit as a part of a report: derived bounds, and what lies beyond them."""

from __future__ import annotations

from collections.abc import Container, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symrnn.audits.departures import Departure, Judged
from symrnn.audits.findings import Arithmetic, LayerReport, StepError, Unseen
from symrnn.audits.judging import judge_steps
from symrnn.audits.subject import Observed, Subject, count_padding, observe
from symrnn.domains.activation_errors import ActivationErrors
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.equations.language import Elementwise, postorder
from symrnn.kernels.activation_cache import find_errors
from symrnn.kernels.environment import Environment
from symrnn.networks.layout import Location
from symrnn.networks.network import Network, Position
from symrnn.numerics.formats import (
    FORMATS,
    FloatFormat,
    find_emulated_format,
    float_text,
)

__all__ = ["LocalAudit", "audit_steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAudit:
    """What the local audit contributes to a report.

    Attributes:
        arithmetic: What the bounds assume.
        layers: What was judged.
        unseen: What could not be.
        activations: The errors of elementwise functions that the bounds allow.
        padding: Number of elements beyond a sequence's length that are not 0.
    """

    arithmetic: Arithmetic
    layers: tuple[LayerReport, ...]
    unseen: tuple[Unseen, ...]
    activations: tuple[ActivationErrors, ...]
    padding: int

    @property
    def violated(self) -> bool:
        """Whether a state is beyond its bound, or padding is not 0."""
        return bool(self.padding) or any(layer.violations for layer in self.layers)


def audit_steps(
    subject: Subject, accumulate: str | None = None, executor: Executor | None = None
) -> LocalAudit:
    """Judge every step of a subject from its own inputs.

    Args:
        subject: The subject.
        accumulate: The format in which it accumulates matrix products; by default what
            is known of it, or float32 for 16-bit and smaller formats, the format itself
            for others.
        executor: See `symrnn.audits.judging.judge_steps`.

    Raises:
        ValueError: There is no format `accumulate`, or it is less precise than the
            subject's.
    """
    net = subject.net
    domain = floating_domain(subject, accumulate)
    inputs = subject.inputs
    observed = observe(net, inputs, subject.values, subject.inner)
    with _gradual_underflow(subject.environment):
        found = judge_steps(net, inputs, observed, domain, executor=executor)
    activations = tuple(domain.activations.values())
    return LocalAudit(
        arithmetic=Arithmetic(
            format=domain.target.name,
            accumulate=domain.accumulate.name,
            flushes=domain.flushes,
            activations=tuple(errors.describe() for errors in activations),
        ),
        layers=tuple(_layer_report(judged, subject) for judged in found.values()),
        unseen=tuple(_unseen(net, observed, found)) if inputs.batch else (),
        activations=activations,
        padding=count_padding(inputs, subject.values),
    )


@contextmanager
def _gradual_underflow(environment: Environment) -> Iterator[None]:
    """Undo ``torch.set_flush_denormal(True)`` for a while: proofs need subnormals."""
    if not environment.flushes_subnormals:
        yield
        return
    import torch

    torch.set_flush_denormal(False)
    try:
        yield
    finally:
        torch.set_flush_denormal(True)


def floating_domain(subject: Subject, accumulate: str | None = None) -> FloatingDomain:
    """Return what honest arithmetic is for a subject; see `audit_steps`."""
    target = subject.format
    return FloatingDomain(
        target,
        _accumulation(target, accumulate or subject.accumulate),
        activations=_activations(subject),
        flushes=_flushes(subject),
    )


def _flushes(subject: Subject) -> bool:
    # The instructions that multiply bfloat16 take subnormals for zero, in oneDNN's
    # matrix products as in its LSTM (torch 2.13).
    environment = subject.environment
    bfloat16 = bool(environment.onednn) and subject.format.name == "bfloat16"
    return bfloat16 or bool(environment.flushes_subnormals)


def _accumulation(target: FloatFormat, given: str | FloatFormat | None) -> FloatFormat:
    if given is None:
        return FORMATS["float32"] if target.precision < 24 else target
    chosen = find_emulated_format(given)
    if chosen.precision < target.precision:
        raise ValueError(
            f"accumulate must be at least as precise as {target.name} (got {given!r})"
        )
    return chosen


def _activations(subject: Subject) -> dict[str, ActivationErrors]:
    names = {
        node.args[0].name
        for line in subject.net.cell.equations
        for node in postorder(line.value)
        if isinstance(node, Elementwise)
    }
    return {
        name: find_errors(
            name, subject.format, subject.environment, kernel=subject.kernel
        )
        for name in sorted(names)
    }


def _unseen(
    net: Network, observed: Observed, judged: Container[Position]
) -> Iterator[Unseen]:
    for position in net.positions:
        if position in judged:
            continue
        why = (
            "the states of the layer below, from which it starts, are not known"
            if position in observed.outputs
            else "its states are not known"
        )
        yield Unseen(position=position, why=why)


def _layer_report(judged: Judged, subject: Subject) -> LayerReport:
    layer, direction = judged.position
    ratios = np.concatenate([*judged.ratios, np.empty(0, np.float32)])
    return LayerReport(
        layer=layer,
        direction=str(direction),
        judged=judged.judged,
        unjudged=judged.unjudged,
        violations=judged.violations,
        first_violation=_step_error(judged.first, subject),
        worst=_step_error(judged.worst, subject),
        median_ratio=_median(ratios) if ratios.size else None,
        error_by_step=_rows(judged.error, 1),
        bound_by_step=_rows(judged.bound, 1),
        ratio_by_step=_rows(judged.ratio, 1),
        ratio_by_unit=_rows(judged.ratio, 0),
        ratio_map=judged.ratio,
    )


def _median(values: npt.NDArray[np.float32]) -> float:
    """Return what `numpy.median` does, which takes much longer."""
    half = values.size // 2
    values = np.partition(values, half)  # a single position is found by vector code
    lower = values[half] if values.size % 2 else values[:half].max()
    return (float(lower) + float(values[half])) / 2


def _rows(values: np.ndarray, axis: int) -> tuple[float, ...]:
    return tuple(np.max(values, axis=axis, initial=0.0).tolist())


def _step_error(found: Departure | None, subject: Subject) -> StepError | None:
    if found is None:
        return None
    decimal, hexadecimal = float_text(found.subject, subject.format)
    layout = subject.inputs.layout
    return StepError(
        location=Location(
            tensor=found.quantity,
            index=None,
            layer=found.position.layer,
            direction=str(found.position.direction),
            step=None if layout.single_step else found.step,
            batch=found.batch if layout.batched else None,
            unit=found.unit,
        ),
        subject=decimal,
        subject_hex=hexadecimal,
        expected=found.expected,
        error=found.distance,
        bound=found.bound,
        ulp=found.ulp,
        holds=found.holds,
    )
