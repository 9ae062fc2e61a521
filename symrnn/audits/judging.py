# SPDX-License-Identifier: BSD-3-Clause
"""Every step of a subject, judged from its own inputs.

The subject's states are exact numbers. What it returned at step t must lie within what
honest arithmetic can make of x_t and its own states at t - 1, so that an error shows
where it was made and is not forgiven for what was passed on. States that the results do
not show, such as an LSTM's c, are enclosed by their own recursion.

Note [Phases]
    A subject shows one state at every step, so most of a cell can be computed for many
    steps at once: whatever needs no hidden state (`Phases`). The work is divided into
    pieces, some sequences of one layer and direction each (`Group`).

Note [Independent of the split]
    Sequences are judged in groups whose size depends on the layer alone, and steps in
    blocks of a fixed number of columns, so every matrix product has the same shape and
    the same number of threads (`symrnn.numerics.threads`), whoever computes it: results do
    not depend on the executor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from symrnn.audits.departures import Departure, Distances, Judged, measure_distances
from symrnn.audits.subject import Observed
from symrnn.domains.enclosure import EnclosureDomain
from symrnn.domains.rounding_bounds import FloatingDomain
from symrnn.domains.rounding_sets import Floating
from symrnn.equations.language import Add, Matmul
from symrnn.equations.program import Instruction, Program, execute, lower
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position
from symrnn.numerics.exact import Exact
from symrnn.numerics.threads import count_workers, one_thread_a_product

__all__ = [
    "Affine",
    "Ball",
    "Group",
    "Layer",
    "Phases",
    "concatenate",
    "judge_steps",
    "side_by_side",
    "split_work",
    "take",
]


@dataclass(frozen=True, slots=True)
class Affine:
    """A register that is a sum of parameters and of parameters times leaves.

    A leaf is the layer's input or the subject's own state before the step.
    """

    target: int
    matrices: tuple[int, ...]
    leaves: tuple[int, ...]
    constants: tuple[int, ...] = ()


class Phases:
    """The program of a cell, by when what can run.

    Attributes:
        affine: Whole sums, or products alone where these are stored one by one: for a
            whole block of steps at once.
        ahead: What else does not need hidden states: a part of a block at a time.
        recursion: What leads from hidden states to the next ones: step by step.
        after: What else there is: a part of a block at a time.
        hidden: The register of each hidden state.
        wanted: What the last reads, and the states.
        kept: What the last two read, and the states.
        read: What the last three read, and the states.
    """

    def __init__(
        self, program: Program, hidden: Sequence[str], *, whole_sums: bool
    ) -> None:
        states = {program.quantities[s] for s in program.cell.states}
        candidates = _find_affine(program, whole_sums)
        needed = _operands(program.step) | states
        affine, ahead = [], []
        for i in reversed(program.input):
            if i.target not in needed:
                continue
            if i.target in candidates:
                affine.append(candidates[i.target])
            else:
                ahead.append(i)
                needed |= set(i.operands)
        self.affine = tuple(reversed(affine))
        self.ahead = tuple(reversed(ahead))
        self.hidden = {state: program.quantities[state] for state in hidden}
        needed = set(self.hidden.values())
        recursion = []
        for i in reversed(program.step):
            if i.target in needed:
                recursion.append(i)
                needed |= set(i.operands)
        self.recursion = tuple(reversed(recursion))
        self.after = tuple(i for i in program.step if i not in recursion)
        self.wanted = _operands(self.after) | states
        self.kept = _operands(self.recursion) | self.wanted
        self.read = _operands(self.ahead) | self.kept


def _find_affine(program: Program, whole_sums: bool) -> dict[int, Affine]:
    fixed = {i.target for i in program.once} | set(program.parameters.values())
    leaves = {program.x, *program.previous.values()}
    found: dict[int, Affine] = {}
    products: dict[int, tuple[int, int]] = {}
    for i in program.input:
        if isinstance(i.node, Matmul):
            left, right = i.operands
            if left in fixed and right in leaves:
                products[i.target] = (left, right)
                found[i.target] = Affine(i.target, (left,), (right,))
        elif whole_sums and isinstance(i.node, Add):
            pairs = [products[s] for s in i.operands if s in products]
            constants = tuple(s for s in i.operands if s in fixed)
            if pairs and len(pairs) + len(constants) == len(i.operands):
                matrices, inputs = zip(*pairs, strict=True)
                found[i.target] = Affine(i.target, matrices, inputs, constants)
    return found


def _operands(instructions: Iterable[Instruction]) -> set[int]:
    return {source for i in instructions for source in i.operands}


Floats = npt.NDArray[np.float64]

Ball = tuple[Floats, Floats | None]
"""Midpoints, and radii where numbers are no floats."""

_ELEMENTS = 1 << 14  # of a state, for one step of one group: they fit in a core's cache


_HEAVY = 1 << 26  # multiplications


def _ball(values: Exact) -> Ball:
    if values.dtype != object:
        return values, None
    flat = EnclosureDomain().matrix(values.reshape(len(values), -1))
    return flat.mid.reshape(values.shape), flat.rad.reshape(values.shape)


def take(ball: Ball, index: Any) -> Ball:
    """Return ``ball[index]``."""
    mid, rad = ball
    return mid[index], None if rad is None else rad[index]


def concatenate(balls: Sequence[Ball], axis: int = 0) -> Ball:
    """Return balls end to end, as `numpy.concatenate` does."""
    mids, rads = zip(*balls, strict=True)
    mid = np.concatenate(mids, axis=axis)
    if all(rad is None for rad in rads):
        return mid, None
    filled = [np.zeros_like(m) if r is None else r for m, r in balls]
    return mid, np.concatenate(filled, axis=axis)


def side_by_side(columns: Sequence[Sequence[Ball]], ones: int) -> Ball:
    """Return balls that are given in parts as the columns of one, and columns of ones."""
    if any(rad is not None for parts in columns for _, rad in parts):
        whole = [concatenate(parts) for parts in columns]
        unit: Ball = (np.ones((len(whole[0][0]), ones)), None)
        return concatenate([*whole, unit], axis=1)
    height = sum(len(mid) for mid, _ in columns[0])
    found = np.empty((height, sum(p[0][0].shape[1] for p in columns) + ones))
    found[:, found.shape[1] - ones :] = 1
    left = 0
    for parts in columns:
        right, top = left + parts[0][0].shape[1], 0
        for mid, _ in parts:  # copied once, and not joined before that
            found[top : top + len(mid), left:right] = mid
            top += len(mid)
        left = right
    return found, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some sequences of one layer and direction, by decreasing length."""

    layer: Layer
    one_of_several: bool  # of this layer and direction
    heavy: bool  # whether products of the next block are worth a thread
    sequences: tuple[int, ...]
    widths: tuple[int, ...]
    x: Ball  # (time, sequences, features), the layer's own input
    output: Floats  # (time, sequences, size)
    initial: Mapping[str, Ball]  # (sequences, size)
    finals: Mapping[str, Floats]  # (sequences, size)


def split_work(
    net: Network, inputs: Inputs, observed: Observed, domain: FloatingDomain
) -> Iterator[Group]:
    """Yield the work: all layers and directions whose own inputs are known."""
    order = np.array(inputs.order, dtype=np.intp)
    lengths = np.array(inputs.lengths, dtype=np.intp)[order]
    steps = len(inputs.widths)
    size = max(1, _ELEMENTS // max(net.state_sizes.values()))
    whole = order.tolist() == list(range(inputs.batch))
    for index, position in enumerate(net.positions):
        below = _below(net, inputs, observed, position.layer)
        if below is None or position not in observed.outputs:
            continue
        output = observed.outputs[position]
        layer = Layer(net, position, domain)
        for start in range(0, inputs.batch, size):
            part = order[start : start + size]
            # Where sequences are in order already, there is nothing to copy.
            rows = slice(start, start + size) if whole else part
            running = lengths[start : start + size]
            finals = {
                state: observed.finals[position, state][rows]
                for state in net.cell.states
                if (position, state) in observed.finals
            }
            yield Group(
                layer=layer,
                one_of_several=size < inputs.batch,
                heavy=layer.weights * int(running.sum()) > _HEAVY,
                sequences=tuple(int(b) for b in part),
                widths=tuple(int(np.count_nonzero(running > t)) for t in range(steps)),
                x=take(below, (slice(steps), rows)),
                output=output[:steps, rows],
                initial={
                    s: _ball(inputs.initial(s, index, n)[:, start : start + size].T)
                    for s, n in net.state_sizes.items()
                },
                finals=finals,
            )


def _below(net: Network, inputs: Inputs, observed: Observed, layer: int) -> Ball | None:
    """Return the input of a layer, as far as the subject's results show it."""
    if layer == 0:
        return _ball(inputs.x)
    positions = net.layer(layer - 1)
    if not observed.outputs.keys() >= set(positions):
        return None
    return np.concatenate([observed.outputs[p] for p in positions], axis=2), None


class Layer:
    """What all groups of one layer and direction share."""

    def __init__(
        self, net: Network, position: Position, domain: FloatingDomain
    ) -> None:
        self.position = position
        self.domain = domain
        self.sizes = net.sizes[position]
        self.first, *self.hidden = net.cell.states
        self.state_size = net.state_sizes[self.first]
        self.program = lower(net.cell, (self.first,))
        self.weights = sum(array.size for array in net.parameters[position].values())
        with domain.context():
            self.parameters: dict[int, Any] = {
                register: domain.parameter(
                    name, net.parameters[position][name], position
                )
                for name, register in self.program.parameters.items()
            }
            execute(domain, self.program.once, self.parameters, self.sizes)
        exact = all(p.rad is None and p.settled for p in self.parameters.values())
        self.phases = Phases(
            self.program, self.hidden, whole_sums=exact and not domain.mixed
        )
        self.stacked = cache(self._stack)

    def _stack(self, group: int) -> dict[Affine, Floating]:
        """Return the parameters of each affine register side by side."""
        return {
            affine: self.domain.side_by_side(
                [self.parameters[r] for r in affine.matrices + affine.constants], group
            )
            for affine in self.phases.affine
        }


_COLUMNS = 256  # of a block: enough for matrix products to run at full speed


_PART = 128  # of a part of it: what elementwise work goes through stays in cache


_GROUP = 8  # of Note [Sizes in groups], symrnn.domains.rounding_bounds


_MANY = 1 << 17  # weights: from here on, sizes take more time than all else


_NEAR = 1 / 8  # honest results of that many weights stay below a fiftieth


def judge_steps(
    net: Network,
    inputs: Inputs,
    observed: Observed,
    domain: FloatingDomain,
    *,
    executor: Executor | None = None,
) -> dict[Position, Judged]:
    """Judge every step of every layer and direction whose own inputs are known.

    Args:
        net: The network.
        inputs: What the subject was given.
        observed: What it returned.
        domain: What honest arithmetic means for it.
        executor: Where groups of sequences are judged; by default here, or where there
            are more than two cores, in as many threads as matrix products would use.

    Returns:
        The layers and directions that could be judged. Others start from states that
        the results do not show.

    Raises:
        UnsupportedError: float64 arithmetic in this thread is not IEEE 754's.
    """
    groups = list(split_work(net, inputs, observed, domain))
    workers = count_workers()  # before it is limited
    found: dict[Position, Judged] = {}
    with _limit(groups):
        for judged in _judge_all(groups, executor, workers):
            if judged.position in found:
                found[judged.position].absorb(judged)
            else:
                found[judged.position] = judged
    return found


def _limit(groups: Sequence[Group]) -> AbstractContextManager[None]:
    """Limit BLAS where its products overlap with other work; see `symrnn.numerics.threads`."""
    overlapping = any(group.one_of_several or group.heavy for group in groups)
    return one_thread_a_product() if overlapping else nullcontext()


def _judge_all(
    groups: Sequence[Group], executor: Executor | None, workers: int
) -> Iterable[Judged]:
    if executor is not None:
        return executor.map(_judge, groups)
    # Two cores are busy with a group's products and its elementwise work.
    if workers <= 2 or not any(group.one_of_several for group in groups):
        return map(_judge, groups)
    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(_judge, groups))


def _ahead(
    function: Callable[[Block], Registers], blocks: Sequence[Block]
) -> Iterator[Registers]:
    """Yield the function of each block, computing the next ones in a thread meanwhile.

    Matrix products leave the interpreter alone for long enough that the two overlap. Who
    would have to wait for a product computes a later one instead.
    """
    waiting = deque(blocks)
    found: deque[Future[Registers]] = deque()
    with ThreadPoolExecutor(1) as thread:
        while waiting or found:
            while waiting and sum(not f.done() for f in found) < 2:
                found.append(thread.submit(function, waiting.popleft()))
            first = found.popleft()
            if waiting and not first.done():
                later: Future[Registers] = Future()
                later.set_result(function(waiting.popleft()))
                found.append(later)
            yield first.result()


Block = list[tuple[int, int]]
"""Some steps in the order of computing, and how many sequences run at each."""

Registers = dict[int, Any]
"""Values of the domain by number of register."""


def _judge(group: Group) -> Judged:
    """Judge with bounds that are quick to compute, and what comes near them with others."""
    with group.layer.domain.context(), _limit([group]):
        layer = group.layer
        if layer.weights < _MANY or layer.domain.rough is not np.float32:
            return _Judge(group, 1).run()
        found = _Judge(group, _GROUP).run()
        near = found.worst is not None and found.worst.ratio > _NEAR
        # Norms of numbers close to the largest one overflow where these do not.
        return _Judge(group, 1).run() if near or found.unjudged else found


class _Judge:
    """One pass over the steps of a group, with sizes in groups of `coarseness`."""

    def __init__(self, group: Group, coarseness: int) -> None:
        self.group = group
        self.coarseness = coarseness
        self.layer = layer = group.layer
        self.domain = layer.domain
        self.program, self.phases = layer.program, layer.phases
        self.stacked = layer.stacked(coarseness)
        # Of all sequences; those that have ended keep what they had, others wait.
        self.states = {s: self._atom(group.initial[s]) for s in layer.hidden}
        shape = (len(group.widths), layer.state_size)
        self.found = Judged(
            position=layer.position,
            ratio=np.zeros(shape),
            error=np.zeros(shape),
            bound=np.zeros(shape),
        )

    def run(self) -> Judged:
        widths = self.group.widths
        order = self.layer.position.direction.order(len(widths))
        blocks = list(self._blocks([(t, widths[t]) for t in order], _COLUMNS))
        multiplied = (_ahead if self.group.heavy else map)(self._multiply, blocks)
        for block, registers in zip(blocks, multiplied, strict=True):
            start = 0
            for part in self._blocks(block, _PART):
                width = sum(w for _, w in part)
                self._judge_part(part, _cut(registers, start, start + width))
                start += width
        self._compare_last_states()
        return self.found

    @staticmethod
    def _blocks(steps: Block, columns: int) -> Iterator[Block]:
        """Yield the steps, each with its width, so many columns at a time."""
        block: Block = []
        for t, width in steps:
            if block and sum(w for _, w in block) + width > columns:
                yield block
                block = []
            block.append((t, width))
        if block:
            yield block

    def _multiply(self, block: Block) -> Registers:
        """Return the inputs of some steps, and all that is affine in them."""
        x = [take(self.group.x, (t, slice(width))) for t, width in block]
        before = [part for t, width in block for part in self._before(t, width)]
        leaves = {
            self.program.x: x,
            self.program.previous[self.layer.first]: before,
        }
        registers = {
            leaf: self._atom(concatenate(balls))
            for leaf, balls in leaves.items()
            if leaf in self.phases.read
        }
        inputs: dict[Any, Floating] = {}
        with self.domain.context():  # which belongs to a thread
            for affine in self.phases.affine:
                key = (affine.leaves, len(affine.constants))
                if key not in inputs:
                    parts = [leaves[leaf] for leaf in affine.leaves]
                    joined = side_by_side(parts, ones=key[1])
                    inputs[key] = self.domain.factor(
                        self._atom(joined), self.coarseness
                    )
                product = self.domain.matmul(self.stacked[affine], inputs[key])
                registers[affine.target] = product
        return registers

    def _atom(self, ball: Ball) -> Floating:
        mid, rad = ball
        return self.domain.atom(mid.T, None if rad is None else rad.T)

    def _before(self, t: int, width: int) -> list[Ball]:
        """Return the subject's own first state before step `t`, in parts."""
        output, initial = self.group.output, self.group.initial[self.layer.first]
        before, widths = self.layer.position.direction.before(t), self.group.widths
        started = 0  # how many sequences have a step before
        if 0 <= before < len(widths):
            started = min(width, widths[before])
        parts: list[Ball] = [(output[before, :started], None)] if started else []
        if started < width or not parts:
            parts.append(take(initial, slice(started, width)))
        return parts

    def _judge_part(self, part: Block, registers: Registers) -> None:
        registers = self.layer.parameters | registers
        execute(self.domain, self.phases.ahead, registers, self.layer.sizes)
        if self.states:
            registers |= self._recur(part, registers)
            execute(self.domain, self.phases.after, registers, self.layer.sizes)
        image = self.domain.settle(registers[self.program.quantities[self.layer.first]])
        start = 0
        for t, width in part:
            self._compare(t, width, image.columns(start, start + width))
            start += width

    def _recur(self, part: Block, registers: Registers) -> Registers:
        """Carry hidden states through some steps; return all that was found there."""
        prepared = {r: registers[r] for r in self.phases.kept if r in registers}
        steps: list[dict[int, Any]] = []
        start = 0
        for _, width in part:
            here = self.layer.parameters | _cut(prepared, start, start + width)
            for state, value in self.states.items():
                here[self.program.previous[state]] = value.columns(0, width)
            execute(self.domain, self.phases.recursion, here, self.layer.sizes)
            for state, register in self.phases.hidden.items():
                here[register] = self.domain.settle(here[register])
                self.states[state] = _overwrite(
                    self.states[state], here[register], width
                )
            steps.append(here)
            start += width
        fresh = {i.target for i in self.phases.recursion}
        fresh |= {self.program.previous[s] for s in self.states}
        return {
            register: self.domain.hstack([here[register] for here in steps])
            for register in fresh & self.phases.wanted
        }

    # --- comparing ---

    def _compare(self, t: int, width: int, image: Floating) -> None:
        found = measure_distances(
            self.group.output[t, :width].T, image, self.domain.target
        )
        self._count(found)
        for name in ("ratio", "error", "bound"):
            worst = np.max(getattr(found, name), axis=1, initial=0.0)
            getattr(self.found, name)[t] = worst
        ratios = found.ratio if found.known is None else found.ratio[found.known]
        self.found.ratios.append(ratios.T.astype(np.float32).reshape(-1))
        self._remember(found, self.layer.first, lambda _: t)

    def _compare_last_states(self) -> None:
        """Judge the last states, where the subject shows them."""
        widths = self.group.widths
        lengths = [sum(w > j for w in widths) for j in range(len(self.group.sequences))]
        lasts = [self.layer.position.direction.end(n) for n in lengths]
        rows = [self.group.output[t, j] for j, t in enumerate(lasts)]
        # The same number twice: the output at the last step, and the last state.
        images = {self.layer.first: self.domain.atom(np.array(rows).T)} | self.states
        for state, subject in self.group.finals.items():
            found = measure_distances(subject.T, images[state], self.domain.target)
            self._count(found)
            self._remember(found, state, lasts.__getitem__)

    def _count(self, found: Distances) -> None:
        size = found.subject.size
        known = size if found.known is None else int(np.count_nonzero(found.known))
        self.found.judged += known
        self.found.unjudged += size - known
        if found.beyond is not None:
            self.found.violations += int(np.count_nonzero(found.beyond))

    def _remember(self, found: Distances, quantity: str, step_of: Any) -> None:
        worst = self.found.worst
        least = -1.0 if worst is None else worst.ratio
        if found.ratio.size and found.top > least:
            where = np.unravel_index(int(np.argmax(found.ratio)), found.ratio.shape)
            self.found.worst = self._departure(found, where, quantity, step_of)
        beyond = found.beyond
        if self.found.first is None and beyond is not None and beyond.any():
            # Of all that are beyond at this step, the most striking one.
            ratio = np.where(beyond, found.ratio, -1.0)
            where = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
            self.found.first = self._departure(found, where, quantity, step_of)

    def _departure(
        self, found: Distances, where: Any, quantity: str, step_of: Any
    ) -> Departure:
        unit, column = (int(n) for n in where)
        return Departure(
            position=self.layer.position,
            step=int(step_of(column)),
            batch=self.group.sequences[column],
            unit=unit,
            quantity=quantity,
            subject=float(found.subject[where]),
            expected=float(found.mid[where]),
            bound=float(found.rad[where]),
            ulp=float(found.ulp[where]),
        )


def _cut(registers: Mapping[int, Any], start: int, stop: int) -> dict[int, Any]:
    return {r: value.columns(start, stop) for r, value in registers.items()}


def _overwrite(old: Floating, new: Floating, width: int) -> Floating:
    """Return `old` with its first `width` columns replaced."""
    if width == old.mid.shape[1] == new.mid.shape[1]:
        return new

    def joined(name: str) -> Floats:
        first, rest = getattr(new, name), getattr(old, name)
        first = np.zeros_like(new.mid) if first is None else first
        rest = np.zeros_like(old.mid) if rest is None else rest
        first = np.broadcast_to(first, (first.shape[0], width))
        return np.concatenate([first.T, rest[:, width:].T]).T

    return Floating(mid=joined("mid"), rad=joined("rad"))
