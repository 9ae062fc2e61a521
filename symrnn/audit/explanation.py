# SPDX-License-Identifier: BSD-3-Clause
"""Where errors come from, as sections of a report."""

from __future__ import annotations

from symrnn.audit.conditioning import Conditioning
from symrnn.audit.report import Section

__all__ = ["explain_conditioning"]

_CONDITION_HEADINGS = (
    "layer",
    "quantity",
    "sum: median",
    "worst",
    "function: median",
    "worst",
    "both: worst",
    "where the sum is worst",
)


def explain_conditioning(found: Conditioning) -> Section:
    """Return the condition numbers of each quantity as a section of a report.

    >>> import symrnn
    >>> from symrnn.audit.conditioning import condition
    >>> from symrnn.inputs import read_inputs
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
        "that terms cancel.",
        headings=_CONDITION_HEADINGS,
        rows=rows,
    )
