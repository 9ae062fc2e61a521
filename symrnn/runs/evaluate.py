# SPDX-License-Identifier: BSD-3-Clause
"""Values of a network: exact, or to any number of digits, every one of them correct.

The working precision is planned, the run is checked, and whatever it leaves undecided is
computed again more precisely. What no precision decides (an exact zero or an exact tie
between rationals) is looked up in the exact domain.

Note [Plain balls or propagation]
    Balls that are simply carried along cost least while few bits are lost; how many is
    estimated from the first steps in float64. Where more than `_PLAIN_UP_TO` bits would
    be lost, which takes hundreds of steps, `symrnn.runs.propagation.tube` bounds the Jacobian of
    every step, which costs about as much as a step, and in return loses no more than the
    network itself amplifies: the cost then grows with the length, not with its square.

Note [Executors]
    Groups of sequences are evaluated independently (`symrnn.runs.parallel`), so any
    ``concurrent.futures.Executor`` gives the same results, radii included. Digits are those
    without an executor too; radii may differ, since each group has a precision of its own.
    Processes make balls faster. Threads do not, since FLINT's precision belongs to the
    process and is locked. States come back; whoever looks at other quantities of a step
    waits once, while they are computed from the states. Exact values (they share parts of
    expressions) and mpmath's are computed in one piece. So are digits that are asked for
    later; the executor may be gone by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
from flint import arb

from symrnn.domains.ball import BallDomain
from symrnn.domains.estimate import EstimateDomain
from symrnn.domains.exact import ExactDomain
from symrnn.domains.mp import MpDomain
from symrnn.errors import UndecidedError
from symrnn.networks.inputs import Inputs, read_inputs, require_int
from symrnn.networks.network import Network
from symrnn.networks.sources import load
from symrnn.numerics.threads import require_executor
from symrnn.runs.arrays import Array, PackedArray, Rule, attempt
from symrnn.runs.parallel import evaluate_groups
from symrnn.runs.propagation.tube import Propagation
from symrnn.runs.run import Keep, run
from symrnn.runs.trace import Trace

__all__ = ["MAX_PRECISION", "evaluate", "evaluate_inputs"]

MAX_PRECISION = 1 << 16
"""Bits at which evaluation gives up, unless the caller says otherwise."""

_GUARD = 20
_FIRST = 256
_PROBE = 48
_PLAIN_UP_TO = 512  # bits
_BITS_PER_DIGIT = math.log2(10)


def evaluate(
    net: Any,
    x: Any,
    hx: Any = None,
    *,
    lengths: Any = None,
    digits: int = 30,
    places: int | None = None,
    exact: bool = False,
    domain: str | None = None,
    keep: Keep = "all",
    max_precision: int = MAX_PRECISION,
    executor: Executor | None = None,
) -> Trace:
    """Run a network and return a trace whose outputs are known to `digits` digits.

    Args:
        net: A `Network`, or anything `symrnn.load` takes.
        x: Inputs in torch's shape, batched or not, or a ``PackedSequence``; numbers,
            arrays, tensors, or decimal strings taken exactly. See
            `symrnn.kernels.read_inputs`.
        hx: Initial states in torch's shape; zeros by default.
        lengths: Number of steps of each sequence of a padded batch.
        digits: Significant digits that are known to be correct in ``output`` and the last
            states. More can be asked of the result at any time.
        places: Digits after the decimal point instead; cheaper where values are tiny.
        exact: Return exact values: rationals, and closed forms where irrational.
        domain: ``"ball"`` (default), ``"enclosure"`` (float64 with proven errors, at the
            speed of BLAS; more digits are then found with balls, when asked for),
            ``"exact"`` or ``"mp"`` (mpmath: an independent computation without a proof).
        keep: What the trace remembers of each step: ``"all"`` named quantities,
            ``"nodes"`` every subexpression too, ``"states"`` only the states.
        max_precision: Working precision, in bits, at which to give up.
        executor: Where to evaluate the batch, in groups of sequences: processes are
            faster, threads are not. Every executor gives the same results; see Note
            [Executors]. Without one, all of it is computed together, here.

    Raises:
        NotFiniteError: A parameter, input or initial state is NaN or infinite.
        ShapeError: Shapes do not fit.
        UndecidedError: The digits are not decided at `max_precision`.

    >>> import symrnn
    >>> net = symrnn.load({"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [["-0.8218"]]},
    ...                   cell="rnn_tanh")
    >>> symrnn.evaluate(net, [[3], [4], [5]]).output.decimal(places=4)
    [['-0.9897'], ['-0.9909'], ['-0.9984']]

    Two sequences of one step, each on its own:

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as pool:
    ...     trace = symrnn.evaluate(net, [[[3], [4]]], executor=pool)
    >>> trace.output.decimal(places=4)
    [[['-0.9897'], ['-0.9982']]]
    """
    network = load(net)
    inputs = read_inputs(network, x, hx, lengths=lengths)
    return evaluate_inputs(
        network,
        inputs,
        digits=digits,
        places=places,
        domain="exact" if exact else (domain or "ball"),
        keep=keep,
        max_precision=max_precision,
        executor=executor,
    )


def evaluate_inputs(
    net: Network,
    inputs: Inputs,
    *,
    digits: int = 30,
    places: int | None = None,
    domain: str = "ball",
    keep: Keep = "all",
    max_precision: int = MAX_PRECISION,
    executor: Executor | None = None,
) -> Trace:
    """Do what `evaluate` does, for inputs that have been read already."""
    require_int(digits, "digits", 1)
    require_int(max_precision, "max_precision", 2)
    if places is not None:
        require_int(places, "places", 0)
    if keep not in ("all", "nodes", "states"):
        raise ValueError(f"keep must be 'all', 'nodes' or 'states' (got {keep!r})")
    require_executor(executor)
    net.require_finite()
    inputs.require_finite()
    goal = math.ceil((digits if places is None else places) * _BITS_PER_DIGIT)
    if executor is not None and inputs.batch and domain in ("ball", "enclosure"):
        group = partial(
            evaluate_inputs,
            digits=digits,
            places=places,
            domain=domain,
            keep="states",
            max_precision=max_precision,
        )
        trace = evaluate_groups(group, net, inputs, executor, keep)
        best = trace if domain == "ball" else None
        return trace.refined_by(_Evaluation(net, inputs, keep, max_precision, best))
    if domain == "exact":
        refine = _Evaluation(net, inputs, keep, max_precision)
        return run(net, inputs, ExactDomain(), keep=keep).refined_by(refine)
    if domain == "mp":
        return run(
            net, inputs, MpDomain(goal + 2 * _GUARD + _growth(net, inputs)), keep=keep
        )
    evaluation = _Evaluation(net, inputs, keep, max_precision)
    if domain == "enclosure":
        sharp = Propagation(net, inputs, sharp=True)
        return sharp.enclosures(keep).refined_by(evaluation)
    if domain != "ball":
        raise ValueError(
            f"domain must be 'ball', 'enclosure', 'exact' or 'mp' (got {domain!r})"
        )
    return evaluation.reach(goal, absolute=places is not None)


class _Evaluation:
    """Runs of one network on one input at growing precision, the best kept."""

    def __init__(
        self,
        net: Network,
        inputs: Inputs,
        keep: Keep,
        max_precision: int,
        best: Trace | None = None,
    ) -> None:
        self.net = net
        self.inputs = inputs
        self.keep = keep
        self.max_precision = max_precision
        self._best = best
        self._exact: Trace | None = None

    @cached_property
    def growth(self) -> int:
        """Bits that ball arithmetic is expected to lose."""
        return _growth(self.net, self.inputs)

    @cached_property
    def propagation(self) -> Propagation:
        """Runs that do not blow up; see Note [Plain balls or propagation]."""
        return Propagation(self.net, self.inputs)

    @property
    def plain(self) -> bool:
        """Whether balls are simply carried along."""
        return self.growth <= _PLAIN_UP_TO

    def _planned(self, goal: int, *, absolute: bool) -> int:
        """Return the working precision that a goal is expected to need.

        Raises:
            UndecidedError: It is above the limit, though no digit was asked for that
                only luck decides.
        """
        if self.plain:
            return goal + _GUARD + self.growth
        plan = self.propagation.plan(goal, absolute=absolute)
        if plan.precision > self.max_precision:
            known = (goal + self.max_precision - plan.precision) / _BITS_PER_DIGIT
            raise UndecidedError(
                f"{plan.position}, step {plan.step} needs about {plan.precision} "
                f"bits; max_precision = {self.max_precision} leaves about "
                f"{max(0, math.floor(known))} digits there. The network amplifies errors; "
                "raise max_precision or ask for fewer digits or steps"
            )
        return plan.precision

    def reach(self, goal: int, *, absolute: bool) -> Trace:
        """Return a trace whose results are known, or can be decided, to `goal` bits.

        Where the planned precision was not enough, what is lacking is added once; values
        that are still not known, such as enclosures of an exact zero, go to `decide`.
        """
        trace = self._at(self._planned(goal, absolute=absolute))
        lacking = _lacking_bits(trace, goal, absolute=absolute)
        if 0 < lacking < math.inf:
            trace = self._at(_precision(trace) + math.ceil(lacking) + _GUARD)
            lacking = _lacking_bits(trace, goal, absolute=absolute)
        if lacking > 0:
            for select in _results(trace):
                select(trace).decide(_known_to(goal, absolute=absolute))
        assert self._best is not None
        return self._best

    def decide(
        self, select: Callable[[Trace], Array], rule: Rule, undecided: Any
    ) -> Any:
        """Find the results that `rule` could not tell at the array's own precision."""
        results: dict[tuple[int, ...], Any] = {}
        pending = list(undecided)
        trace = self._best or self._at(self._planned(_FIRST, absolute=False))
        attempts = 0
        while pending:
            array = select(trace)
            still = []
            for index in pending:
                result = attempt(rule, trace.domain, array._elements[index])
                if result is None:
                    still.append(index)
                else:
                    results[index] = result
            pending = still
            if not pending:
                break
            attempts += 1
            if attempts in (2, 6) and self._exact_is_affordable(attempts):
                pending = self._look_up_exactly(select, rule, pending, results)
                if not pending:
                    break
            precision = _precision(trace)
            if precision >= self.max_precision:
                pending = self._look_up_exactly(select, rule, pending, results)
                if pending:
                    raise _undecided(array, pending[0], precision)
                break
            trace = self._at(2 * precision)
        return results

    def _at(self, precision: int) -> Trace:
        precision = min(precision, self.max_precision)
        if self._best is None or _precision(self._best) < precision:
            if self.plain:
                domain = BallDomain(precision)
                trace = run(self.net, self.inputs, domain, keep=self.keep)
            else:
                trace = self.propagation.trace(precision, self.keep)
            self._best = trace.refined_by(self)
        return self._best

    def _exact_is_affordable(self, attempts: int) -> bool:
        """Whether exact evaluation is quick enough to try before more precision."""
        products = sum(
            a.size for arrays in self.net.parameters.values() for a in arrays.values()
        )
        work = products * sum(self.inputs.widths)
        return work <= (10_000 if attempts <= 2 else 200_000)

    def _look_up_exactly(
        self,
        select: Callable[[Trace], Array],
        rule: Rule,
        pending: Sequence[tuple[int, ...]],
        results: dict[tuple[int, ...], Any],
    ) -> list[tuple[int, ...]]:
        """Apply `rule` to values that are exactly rational; return the others."""
        if not self._exact_is_affordable(6):
            return list(pending)
        if self._exact is None:
            self._exact = run(self.net, self.inputs, ExactDomain(), keep=self.keep)
        elements = select(self._exact)._elements
        rest = []
        for index in pending:
            result = attempt(rule, self._exact.domain, elements[index])
            if result is None:
                rest.append(index)
            else:
                results[index] = result
        return rest


def _precision(trace: Trace) -> int:
    """Return the working precision of a trace of balls."""
    return cast(BallDomain, trace.domain).precision


def _undecided(array: Array, index: tuple[int, ...], precision: int) -> UndecidedError:
    return UndecidedError(
        f"element {list(index)} is not decided at {precision} bits, the limit: it lies in "
        f"{array._elements[index]}. Raise max_precision, ask for places= (digits after the "
        "point) instead of digits=, or evaluate with exact=True"
    )


def _results(trace: Trace) -> list[Callable[[Trace], Array]]:
    """What must be known well: the output and the last states."""

    def output(t: Trace) -> Array:
        found = t.output
        return found.data if isinstance(found, PackedArray) else found

    return [output, *(lambda t, s=s: t.state(s) for s in trace.net.cell.states)]


def _known_to(goal: int, *, absolute: bool) -> Rule:
    """Return a rule that says whether an enclosure is narrow enough for `goal` bits."""

    def rule(lo: Any, hi: Any) -> bool | None:
        if lo == hi:
            return True
        size = 1 if absolute else min(abs(lo), abs(hi))
        if not absolute and (lo < 0 < hi):
            return None
        return True if (hi - lo) * (1 << goal) <= size else None

    return rule


def _lacking_bits(trace: Trace, goal: int, *, absolute: bool) -> float:
    """Return how many bits of accuracy the worst result lacks, inf if all of them."""
    accuracy = _absolute_accuracy if absolute else arb.rel_accuracy_bits
    results = (ball for matrix in _result_matrices(trace) for ball in matrix.flat)
    worst = min(map(accuracy, results), default=goal)
    nothing = -math.inf if absolute else 0  # a ball with 0 in it has no relative bit
    return math.inf if worst <= nothing else float(goal - worst)


def _absolute_accuracy(ball: arb) -> float:
    """Return how many bits after the point are known, -inf if none before it are."""
    if ball.is_exact():
        return math.inf
    if not ball.is_finite():
        return -math.inf
    mantissa, exponent = ball.rad().man_exp()
    return -float(int(exponent) + int(mantissa).bit_length() + 1)


def _result_matrices(trace: Trace) -> list[Any]:
    """Return the domain's matrices that hold the output and the last states."""
    finals = [m for record in trace.records.values() for m in record.final.values()]
    return [*trace._outputs, *finals]


def _growth(net: Network, inputs: Inputs) -> int:
    """Estimate the bits that ball arithmetic loses from the first step to the last."""
    longest = len(inputs.widths)
    if inputs.batch == 0:
        return 0
    probe = min(longest, _PROBE)
    shortened = Inputs(
        x=inputs.x[:probe, :1],
        states=None
        if inputs.states is None
        else {name: values[:, :1] for name, values in inputs.states.items()},
        lengths=(probe,),
        layout=inputs.layout,
    )
    trace = run(net, shortened, EstimateDomain(), keep="states")
    # A longer run has more elements, so its smallest is expected to be smaller.
    later, total = longest - probe, 0.0
    for position, record in trace.records.items():
        in_order = record.steps[:: position.direction.stride]
        absolute, relative = zip(*map(_radius_bits, in_order), strict=True)
        middle = probe // 2
        slope = (absolute[-1] - absolute[middle]) / max(1, probe - 1 - middle)
        total = max(total, max(relative) + max(0.0, slope) * later)
    return math.ceil(total + math.log2(longest / probe))


def _radius_bits(step: Any) -> tuple[float, float]:
    """Return log2 of the largest expected radius, in roundings: absolute, relative.

    The relative one hangs on the element nearest to 0, so it jumps from step to step.
    """
    radii = np.concatenate([values.radius.ravel() for values in step.values()])
    sizes = np.concatenate([np.abs(values.value).ravel() for values in step.values()])
    with np.errstate(all="ignore"):
        found = np.stack([radii, radii / sizes])
        found = np.nan_to_num(found, nan=0.0, posinf=1.0)
        largest = np.max(found, axis=1, initial=2.0**-1000)
    absolute, relative = np.log2(largest)
    return float(absolute), max(0.0, float(relative))
