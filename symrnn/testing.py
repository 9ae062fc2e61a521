# SPDX-License-Identifier: BSD-3-Clause
"""For test suites: outputs of a recurrent network are what rounding makes of it.

Works in pytest, unittest and scripts alike; there is no plugin.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np

from symrnn.audits.audit import audit
from symrnn.audits.findings import LayerReport
from symrnn.audits.pages.wording import details, number, sentence, ulps, where
from symrnn.audits.report import Report
from symrnn.audits.tolerance import Tolerance
from symrnn.errors import SourceError, UnsupportedError

__all__ = ["assert_explained_by_rounding"]


def assert_explained_by_rounding(
    actual: Any,
    model: Any,
    x: Any,
    hx: Any = None,
    *,
    lengths: Any = None,
    dtype: Any = None,
    tolerance: Tolerance | None = None,
    accumulate: str | None = None,
    prefix: str | None = None,
    exact: bool | None = None,
    executor: Executor | None = None,
) -> Report:
    """Assert that outputs are those of a network, but for rounding.

    Each step is held against the exact image of the outputs' own state before it, within
    a bound that is derived for each element (`symrnn.audit`): nothing has to be chosen,
    and it is usually far below what ``torch.testing.assert_close`` allows.

    Args:
        actual: What was computed: output alone, or ``(output, h_n)``, or
            ``(output, h_n, c_n)``, in torch's shapes; NumPy arrays, tensors, or nested
            lists with `dtype`. A tuple holds several results, a list holds numbers.
            The more of the states, the more is judged.
        model: What should have been computed: anything that `symrnn.load` takes.
        x: Inputs as for `symrnn.audit`, taken exactly.
        hx: Initial states likewise.
        lengths: Numbers of steps of a padded batch.
        dtype: The float format of `actual`; its own by default.
        tolerance: Judge the results by this, against exact values, instead.
        accumulate: The format in which matrix products were accumulated; see
            `symrnn.audit`.
        prefix: Which part of a bigger model, as for `symrnn.load`.
        exact: Whether to compute exact values too, which the report shows.
        executor: Where sequences are judged.

    Returns:
        The report, of an audit that holds.

    Raises:
        AssertionError: They are not. The message says how many states are off, where it
            starts and where it is worst, with both values, error and bound.
        ShapeError: Shapes do not fit: a fault of the test or of how results were
            exported, not of arithmetic.
        UnsupportedError: Nothing disagrees, but some layers could not be judged, for the
            results do not show the states they start from, and the network is too big
            for a proven bound on all of it; such layers are asserted one by one, or by
            a `tolerance`. Or nothing at all could be judged: honest arithmetic may
            overflow everywhere, or the network amplifies errors without bound.
        SourceError: The model or its outputs cannot be read.

    A fault of one part in 4,096 in a number near 0.03, which ``assert_close`` lets pass:

    >>> import torch
    >>> pass
    >>> _ = torch.manual_seed(0)
    >>> lstm, x = torch.nn.LSTM(4, 8), torch.randn(20, 4)
    >>> output = lstm(x)[0].detach()
    >>> assert_explained_by_rounding(output, lstm, x).verdict
    'holds'
    >>> wrong = output.clone()
    >>> wrong.view(-1)[(wrong.abs() - 0.03).abs().argmin()] *= 1 + 2**-12
    >>> torch.testing.assert_close(wrong, output)
    >>> assert_explained_by_rounding(wrong, lstm, x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: NOT explained by rounding: first at layer 0, forward, step ...
    """
    __tracebackhide__ = True
    if actual is None:  # audit() would run torch, and find nothing wrong with that
        raise SourceError("expected the outputs that were computed, got None")
    report = audit(
        model,
        x,
        hx,
        outputs=actual,
        lengths=lengths,
        dtype=dtype,
        tolerance=tolerance,
        accumulate=accumulate,
        prefix=prefix,
        exact=exact,
        executor=executor,
    )
    if not report.passed and report.verdict != "undecided":
        raise AssertionError("\n".join(_message(report)))
    if report.tolerance is not None and tolerance is None:  # a convention decided
        raise UnsupportedError(
            "nothing disagrees, but this could not be judged, so it is not shown to be "
            f"explained by rounding: {'; '.join(map(str, report.unseen))}. Assert each layer with "
            "its own inputs, or state tolerance=symrnn.Tolerance(...)"
        )
    if not _judged_anything(report):
        raise UnsupportedError(
            "nothing disagrees, but nothing could be judged: honest arithmetic may "
            "overflow, or return anything, everywhere. "
            f"{'; '.join(report.notes)}".rstrip()
        )
    return report


def _judged_anything(report: Report) -> bool:
    """Whether a state or a result was held against a limit; there may have been none."""
    steps = any(layer.judged for layer in report.layers)
    results = any(t.worst is not None and t.worst.tolerance for t in report.tensors)
    return steps or results or not any(t.elements for t in report.tensors)


def _message(report: Report) -> Iterator[str]:
    yield sentence(report)
    yield ""
    yield from (f"Not finite: {cause}" for cause in report.causes[1:])
    yield from _states(report)
    yield from _results(report)
    yield from (f"Not judged: {one}" for one in report.unseen)
    yield from (f"Note: {note}" for note in report.notes)


def _states(report: Report) -> Iterator[str]:
    judged = sum(layer.judged for layer in report.layers)
    beyond = sum(layer.violations for layer in report.layers)
    if not beyond:
        return
    share = number(100 * beyond / judged)
    yield f"Mismatched states: {beyond:,} / {judged:,} ({share} %)"
    worst = max(
        (layer.worst for layer in report.layers if layer.worst is not None),
        key=lambda step: step.ratio,
    )
    yield f"Greatest error for its bound: {number(worst.ratio)} times, at {where(worst.location)}"
    yield f"  {details(worst)}"
    yield from _greatest(report)
    first = next(layer for layer in report.layers if layer.violations)
    yield from _pattern(first)


def _greatest(report: Report) -> Iterator[str]:
    """Say where the largest error is, in ulps: seldom where its bound is exceeded most."""
    steps = [
        (error, layer, step)
        for layer in report.layers
        for step, error in enumerate(layer.error_by_step)
    ]
    error, layer, step = max(steps, key=lambda found: found[0])
    named = [e for found in report.layers for e in (found.first_violation, found.worst)]
    if error >= max(ulps(e) for e in named if e is not None):  # c is not in the others
        yield (
            f"Greatest error: {number(error)} ulps, at layer {layer.layer}, "
            f"{layer.direction}, step {step}; largest bound there "
            f"{number(layer.bound_by_step[step])} ulps"
        )


def _pattern(layer: LayerReport) -> Iterator[str]:
    """Say how far the violations spread: one unit, one step, or everything."""
    first = layer.first_violation
    beyond = layer.ratio_map > 1
    if first is None or not beyond.any():
        return
    start, units = first.location.step or 0, beyond.shape[1]
    here = np.flatnonzero(beyond[start]).tolist()
    named = f": {', '.join(map(str, here))}" if len(here) <= 8 else ""
    every = int(np.count_nonzero(beyond.any(axis=0)))
    steps = int(np.count_nonzero(beyond.any(axis=1)))
    yield (
        f"Where it starts, at step {start}, {len(here)} of {units} units are beyond{named}; "
        f"over all steps {every} of {units} are, at {steps} of {len(beyond)} steps"
    )


def _results(report: Report) -> Iterator[str]:
    for tensor in report.tensors:
        if tensor.not_finite > tensor.overflows:
            wrong = tensor.not_finite - tensor.overflows
            yield f"{tensor.name}: {wrong:,} of {tensor.elements:,} are NaN or infinite"
        elif tensor.violations and report.tolerance is not None:
            share = number(100 * tensor.violations / max(1, tensor.elements))
            yield (
                f"Mismatched elements of {tensor.name}: {tensor.violations:,} / "
                f"{tensor.elements:,} ({share} %), tolerance {report.tolerance}"
            )
            if tensor.worst is not None:
                yield f"  greatest: {details(tensor.worst)}"
        elif tensor.max_absolute is not None:
            yield (
                f"Greatest distance of {tensor.name} from the exact values: "
                f"{number(tensor.max_absolute)}, {number(tensor.max_ulps)} ulps"
            )


def __dir__() -> list[str]:
    return __all__
