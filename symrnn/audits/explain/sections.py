# SPDX-License-Identifier: BSD-3-Clause
"""What an audit adds on request, as sections of its report: where errors come from, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symrnn.audits.explain.attribution import (
    Attribution,
    Grouping,
    attribute,
    attribute_observed,
)
from symrnn.audits.explain.bound import ErrorBound, bound_errors
from symrnn.audits.explain.conditioning import Conditioning, condition
from symrnn.audits.findings import Section
from symrnn.audits.local_audit import floating_domain
from symrnn.audits.subject import Subject, observe
from symrnn.errors import NotFiniteError, UnsupportedError

__all__ = ["explain", "explain_attribution", "explain_bound", "explain_conditioning"]


def explain(
    subject: Subject,
    accumulate: str | None,
    max_precision: int,
    known: ErrorBound | None = None,
) -> Iterator[Section]:
    """Yield the sections that explain a subject's errors, as far as there are any.

    Args:
        subject: The subject; its network and inputs are finite.
        accumulate: As for `symrnn.audits.local_audit.audit_steps`.
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
    shown = set(net.layer(net.num_layers - 1)) <= set(observed.outputs)
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


_GROUPINGS: tuple[Grouping, ...] = ("kind", "quantity", "layer", "direction")

_CONDITION_HEADINGS = (
    "place",
    "quantity",
    "sum",
    "worst",
    "function",
    "worst",
    "both",
    "where its sum is worst",
)


def explain_conditioning(found: Conditioning) -> Section:
    """Return the condition numbers of each quantity as a section of a report.

    >>> import symrnn
    >>> from symrnn.audits.explain.conditioning import condition
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1, -1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> section = explain_conditioning(condition(net, read_inputs(net, [[3, 2]])))
    >>> section.rows[0][:4]
    ('0, forward', 'h', 5.0, 5.0)
    """
    rows = tuple(
        (
            f"{one.layer}, {one.direction}",
            one.quantity,
            one.sum_median,
            one.sum_worst,
            one.function_median,
            one.function_worst,
            one.product_worst,
            f"batch {one.sum_batch}, step {one.sum_step}, unit {one.sum_unit}",
        )
        for one in found.summary()
    )
    return Section(
        title="Condition numbers: how much each quantity magnifies rounding errors",
        kind="measured",
        text="Relative errors of products and terms reach a sum multiplied by up to its "
        "condition number, and a function multiplies them by its own. Large numbers mean "
        "that terms cancel. Medians and the worst; of both together, the worst.",
        headings=_CONDITION_HEADINGS,
        rows=rows,
    )


def explain_attribution(found: Attribution, whose: str = "") -> Section:
    """Return where the error of an output came from as a section of a report.

    Args:
        found: The attribution.
        whose: Of which run, for the title.

    >>> import symrnn
    >>> from symrnn.audits.explain.attribution import attribute
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [["-0.8"]]}, cell="rnn_tanh")
    >>> found = attribute(net, read_inputs(net, [["0.3"], [1]]), "bfloat16")
    >>> section = explain_attribution(found)
    >>> section.rows[0][:2], len(section.by_step["contribution"])
    (('kind', 'input rounding'), 2)
    """
    size, rest = float(np.linalg.norm(found.error)), found.relative_remainder
    steps = {
        (start, stop): float(np.linalg.norm(part))
        for (start, stop), part in sorted(found.by_step().items())
    }
    return Section(
        title="Where the error of the output came from"
        + (f": {whose}" if whose else ""),
        kind="measured",
        text=f"The error has a 2-norm of {size:.4g}. What each part contributes, after it was "
        "amplified or forgotten on the way, is known to first order: the remainder is "
        f"{rest:.2g} of the error. Contributions have signs; shares add up to 1 for each "
        "grouping and may be negative. Steps that were taken together have one figure.",
        headings=("by", "part", "contribution", "share"),
        rows=tuple(_contributions(found)),
        unit="absolute",
        by_step={
            "contribution": tuple(
                norm
                for (start, stop), norm in steps.items()
                for _ in range(start, stop)
            )
        },
    )


def _contributions(found: Attribution) -> Iterator[tuple[str, str, float, float]]:
    """Yield what contributed by each grouping, the largest share first."""
    for what in _GROUPINGS:
        parts: dict[Any, Any] = found.by(what)
        shares = {key: found.share(part) for key, part in parts.items() if np.any(part)}
        for key in sorted(shares, key=lambda key: -abs(shares[key])):
            yield what, str(key), float(np.linalg.norm(parts[key])), shares[key]


def explain_bound(found: ErrorBound) -> Section:
    """Return how far honest states can be from the exact ones as a section of a report.

    >>> import symrnn
    >>> from symrnn.audits.explain.bound import bound_errors
    >>> from symrnn.domains.rounding_bounds import FloatingDomain
    >>> from symrnn.numerics.formats import FORMATS
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [["1/2"]]}, cell="rnn_tanh")
    >>> domain = FloatingDomain(FORMATS["float32"])
    >>> section = explain_bound(bound_errors(net, read_inputs(net, [[1], [2]]), domain))
    >>> section.kind, section.rows[0][:3]
    ('proven', (0, 'forward', 'h'))
    """
    net = found.net
    largest = {
        (*position, state): np.fmax.reduce(
            values.reshape(len(values), -1), axis=1, initial=0
        )
        for position, states in found.states.items()
        for state, values in states.items()
    }
    text = (
        f"No honest computation in {found.format} that accumulates in {found.accumulate} is "
        "further from the exact trajectory than this, in whichever order it sums."
    )
    if not found.proven:
        text += (
            f" If its rounding errors are independent with mean 0, this is exceeded somewhere "
            f"with a probability of at most {found.failure:.2g}."
        )
    return Section(
        title="Bounds on the distance from the exact trajectory",
        kind="proven" if found.proven else "assumed",
        text=text,
        headings=("layer", "direction", "state", "first step", "last step", "largest"),
        rows=tuple(
            (*key, *map(float, (steps[0], steps[-1], steps.max())))
            for key, steps in largest.items()
            if steps.size
        ),
        unit="absolute",
        by_step={
            f"{state}, {direction}": tuple(steps.tolist())
            for (layer, direction, state), steps in largest.items()
            if layer == net.num_layers - 1
        },
    )
