# SPDX-License-Identifier: BSD-3-Clause
"""Audits: what a float network returned, against what the mathematics says."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

from symrnn.audits.explain.sections import explain as explain_errors
from symrnn.audits.local_audit import audit_steps
from symrnn.audits.report import Report
from symrnn.audits.results import (
    Limits,
    find_limits,
    judge_results,
    summarise_without_exact,
)
from symrnn.audits.statements import reach_verdict, remark, state
from symrnn.audits.subject import Subject, read_subject, run_emulated
from symrnn.audits.tolerance import Tolerance
from symrnn.audits.torch_run import run_torch
from symrnn.errors import SourceError
from symrnn.kernels.schedule import Schedule
from symrnn.networks.network import Network
from symrnn.networks.sources import load
from symrnn.networks.sources.modules import is_torch_module, recurrent_module
from symrnn.numerics.formats import FloatFormat
from symrnn.numerics.threads import require_executor
from symrnn.runs.evaluate import MAX_PRECISION

__all__ = ["audit"]


def audit(
    model: Any,
    x: Any,
    hx: Any = None,
    *,
    lengths: Any = None,
    outputs: Any = None,
    dtype: Any = None,
    format: str | FloatFormat | None = None,
    schedule: Schedule | str | None = None,
    tolerance: Tolerance | None = None,
    grad: bool = False,
    prefix: str | None = None,
    max_precision: int = MAX_PRECISION,
    accumulate: str | None = None,
    exact: bool | None = None,
    explain: bool = False,
    executor: Executor | None = None,
) -> Report:
    """Judge what a network returned in floating point: rounding, or a bug, and where?

    The verdict comes from the *local audit*: each step of each layer is judged from the
    subject's own inputs and states before it, against a bound that is derived from the
    standard model of floating-point arithmetic, for any order of summation, with or
    without fused multiply-add, with underflow, and for every equal form of the equations
    (docs/theory/local-audit.md). A state beyond its bound is a bug or another function,
    and the report says at which layer, direction, step and unit it starts.

    Beside it, every result is compared with an enclosure of its exact value for the
    parameters, inputs and states as the exact numbers that they are. Errors are
    absolute, and in ulps of the subject's format *at the exact value*: the distance
    between neighbouring floats of the binade that holds it; below the smallest normal
    number, the spacing of the subnormals; beyond the largest number, as if exponents had
    no limit (Muller et al., Handbook of Floating-Point Arithmetic, 2.3.2). NaN and
    infinity are verdicts, not exceptions; infinity is right where the exact value rounds
    to it.

    Args:
        model: A live ``torch.nn.RNN``, ``LSTM``, ``GRU`` or ``…Cell``, or a model that
            contains one: torch is run, on the module's device, and the module is left
            as it was. With `outputs`, anything `symrnn.load` takes.
        x: Inputs as for `symrnn.evaluate`. A tensor must have the module's dtype;
            anything else is rounded to it, and the exact values are those for the
            rounded numbers, which the report says. With `outputs`, `x` and `hx` are
            taken exactly.
        hx: Initial states in torch's shape; zeros by default.
        lengths: Number of steps of each sequence of a padded batch; torch is run on the
            packed batch, and its output padded again.
        outputs: Somebody's ``(output, h_n)``, ``(output, h_n, c_n)`` or output alone,
            as tensors, arrays or a ``PackedSequence``, to be judged instead of torch's;
            ``h`` or ``(h, c)`` for a single-step cell.
        dtype: The float format of `outputs`, such as ``"float32"``; theirs by default.
        format: Emulate the network in this float format, instead of running torch:
            ``"bfloat16"``, ``"float8_e4m3fn"``, ``"p11e5"``, …; what would be lost? Every
            operation is correctly rounded; errors are against the exact values for the
            parameters and inputs as given.
        schedule: The order of operations of that run; see ``symrnn.kernels.emulate``.
        tolerance: What is allowed between a result and its exact value. Stated, it
            decides instead of the derived bounds, which are reported all the same. Where
            the states from which a layer starts are not known, a proven bound on the
            whole trajectory decides, or for big networks
            ``torch.testing.assert_close``'s figures (see `symrnn.Tolerance`).
        grad: Whether torch runs in grad mode. On a CPU, float32 LSTMs then take another
            kernel, and return other numbers.
        prefix: Which part of a bigger model, as for `symrnn.load`.
        max_precision: Working precision, in bits, at which to give up.
        accumulate: The format in which the subject accumulates matrix products: an
            assumption. By default float32 for formats of 16 bits, else the format; what
            a `schedule` says, if one is given.
        exact: Whether to compare with the exact values too; by default where that takes
            seconds at most. Where a tolerance or a bound on the whole trajectory
            decides, they are compared in any case.
        explain: Whether to say where errors come from: a proven bound on the distance
            from the exact trajectory, the contribution of each step, layer, gate and kind
            of rounding, and the condition numbers of gates. For small networks.
        executor: Where sequences are judged, any ``concurrent.futures.Executor``; threads
            by default. Results do not depend on it.

    Raises:
        ShapeError: A shape of `x`, `hx`, `lengths` or `outputs` does not fit; checked
            before anything reaches torch.
        SourceError: The model or its outputs cannot be read.
        UnsupportedError: A tensor's dtype is not the module's, the module is random, or
            torch refuses to run it.
        UndecidedError: An element is nearer to its tolerance than `max_precision` can
            tell.

    >>> import torch, symrnn
    >>> lstm = torch.nn.LSTM(2, 3)
    >>> report = symrnn.audit(lstm, torch.ones(5, 2))
    >>> report.verdict, [tensor.name for tensor in report.tensors]
    ('holds', ['output', 'h_n', 'c_n'])
    >>> output, (h_n, c_n) = lstm(torch.ones(5, 2))
    >>> report = symrnn.audit(lstm, torch.ones(5, 2), outputs=(-output, h_n, c_n))
    >>> report.verdict, report.first_violation.location.step
    ('violated', 0)
    """
    if tolerance is not None and not isinstance(tolerance, Tolerance):
        raise TypeError(
            f"tolerance must be a symrnn.Tolerance, such as Tolerance(ulps=4) or "
            f"Tolerance(1e-6, 1e-8) (got {tolerance!r})"
        )
    require_executor(executor)
    if schedule is not None and format is None:
        raise TypeError("schedule= is the order of an emulated run; give format= too")
    net = load(model, prefix=prefix)
    if format is not None:
        if outputs is not None or dtype is not None:
            raise TypeError(
                "format= emulates a run; give it without outputs= and dtype="
            )
        subject = run_emulated(net, x, hx, lengths, format, schedule)
    elif outputs is not None:
        subject = read_subject(net, x, hx, lengths, outputs, dtype)
    elif is_torch_module(model):
        _require_own_dtype(net, dtype)
        module = recurrent_module(model, prefix)
        subject = run_torch(module, net, x, hx, lengths, grad=grad)
    else:
        raise SourceError(
            f"a {type(model).__name__} cannot be run as a subject; give a live torch "
            "module, what somebody computed as outputs=(output, h_n), or the format= to "
            "emulate it in"
        )
    return _report(
        subject,
        tolerance,
        max_precision=max_precision,
        accumulate=accumulate,
        exact=exact,
        explain=explain,
        executor=executor,
    )


def _require_own_dtype(net: Network, dtype: Any) -> None:
    if dtype is not None and str(dtype).removeprefix("torch.") != net.dtype:
        raise SourceError(
            f"torch runs this module in {net.dtype}, not in {dtype}; convert the "
            "module, or leave dtype= out"
        )


def _report(
    subject: Subject,
    tolerance: Tolerance | None,
    *,
    max_precision: int,
    accumulate: str | None,
    exact: bool | None,
    explain: bool,
    executor: Executor | None,
) -> Report:
    net = subject.net
    found = (net.first_non_finite(), subject.inputs.first_non_finite())
    causes = tuple(cause for cause in found if cause is not None)
    steps, limits = None, Limits(tolerance=tolerance)
    if causes:
        tensors = tuple(summarise_without_exact(subject, n) for n in subject.values)
    else:
        steps = audit_steps(subject, accumulate, executor)
        limits = find_limits(subject, steps, tolerance, accumulate)
        tensors = judge_results(
            subject, limits, exact=exact, max_precision=max_precision
        )
    deciding = steps if tolerance is None else None
    return Report(
        verdict=reach_verdict(causes, tensors, deciding, limits),
        subject=subject.name,
        network=repr(net),
        dtype=subject.format.name,
        environment=subject.environment,
        tensors=tensors,
        tolerance=limits.tolerance,
        arithmetic=None if steps is None else steps.arithmetic,
        layers=() if steps is None else steps.layers,
        unseen=() if steps is None else steps.unseen,
        causes=causes,
        notes=(*subject.notes, *remark(causes, tensors, steps, limits)),
        rounded=subject.rounded,
        statements=tuple(state(subject.environment, limits, steps, tensors)),
        explanation=(
            tuple(explain_errors(subject, accumulate, max_precision, limits.trajectory))
            if explain and steps is not None
            else ()
        ),
    )
