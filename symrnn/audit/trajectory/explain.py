# SPDX-License-Identifier: BSD-3-Clause
"""What an audit adds on request: where the error of the output came from, and why."""

from __future__ import annotations

from collections.abc import Iterator

from symrnn.audit.findings import Section
from symrnn.audit.local.steps import floating_domain
from symrnn.audit.subjects.observed import observe
from symrnn.audit.subjects.subject import Subject
from symrnn.audit.trajectory.attribution import attribute, attribute_observed
from symrnn.audit.trajectory.bound import ErrorBound, bound_errors
from symrnn.audit.trajectory.conditioning import condition
from symrnn.audit.trajectory.sections import (
    explain_attribution,
    explain_bound,
    explain_conditioning,
)
from symrnn.errors import NotFiniteError, UnsupportedError

__all__ = ["explain"]


def explain(
    subject: Subject,
    accumulate: str | None,
    max_precision: int,
    known: ErrorBound | None = None,
) -> Iterator[Section]:
    """Yield the sections that explain a subject's errors, as far as there are any.

    Args:
        subject: The subject; its network and inputs are finite.
        accumulate: As for `symrnn.audit.local.steps.audit_steps`.
        max_precision: Of exact values.
        known: The bound on the trajectory, where it has been computed already.
    """
    net, inputs = subject.net, subject.inputs
    if min(inputs.lengths, default=0) == 0:
        return
    domain = floating_domain(subject, accumulate)
    yield explain_bound(known or bound_errors(net, inputs, domain))
    yield explain_conditioning(condition(net, inputs))
    observed = observe(net, inputs, subject.values, subject.inner)
    shown = {(net.num_layers - 1, d) for d in net.directions} <= set(observed.outputs)
    try:
        if shown:
            found = attribute_observed(
                net, inputs, observed, subject.format, max_precision=max_precision
            )
            yield explain_attribution(found, "this subject, by where it shows")
        found = attribute(net, inputs, subject.format, max_precision=max_precision)
        yield explain_attribution(found, f"an emulation in {subject.format.name}")
    except (NotFiniteError, UnsupportedError):
        return  # overflow has no error to divide
