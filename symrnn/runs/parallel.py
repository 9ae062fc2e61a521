# SPDX-License-Identifier: BSD-3-Clause
"""A batch in groups of sequences, each evaluated by itself on an executor.

Note [Independent of the split]
    Which sequences make up a group depends on the batch alone, and a group's matrix
    products run in one thread each, wherever they run. So neither the kind of executor nor
    the number of its workers shows in any result, radii included, on machines of one kind.

Note [What crosses between processes]
    A network and a group's inputs go out, its values come back: balls as integers (see
    `symrnn.domains.ball`), floats as arrays. That takes about as long as computing them, so
    only states come back. Whatever else is kept is computed here from the states, once
    somebody asks for any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import cached_property, partial
from typing import Any, NamedTuple

from symrnn.domains.ball import BallDomain
from symrnn.domains.enclosure import EnclosureDomain
from symrnn.equations.domain import Domain
from symrnn.equations.program import lower
from symrnn.errors import UndecidedError
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position
from symrnn.numerics.threads import one_thread_a_product
from symrnn.runs.propagation.points import BallReplay, FloatReplay
from symrnn.runs.run import Keep, join, kept, run
from symrnn.runs.trace import Record, Trace

__all__ = ["evaluate_groups", "split_batch"]

_GROUPS = 8  # at most, while groups can grow: single sequences take a third longer
_LARGEST = (
    4  # sequences; wider products gain little, and more groups occupy more workers
)


class _Part(NamedTuple):
    """What the evaluation of a group leaves behind."""

    domain: Domain[Any]
    records: Mapping[Position, Record]


def evaluate_groups(
    evaluate: Callable[[Network, Inputs], Trace],
    net: Network,
    inputs: Inputs,
    executor: Executor,
    keep: Keep,
) -> Trace:
    """Evaluate groups of sequences independently, and return the trace of the batch.

    Args:
        evaluate: What to do with a group; its trace must be one of balls or of float64
            enclosures, and states are enough. It must pickle, where workers are processes.
        net: The network.
        inputs: At least one sequence.
        executor: Where groups are evaluated.
        keep: As for `symrnn.evaluate`.

    Returns:
        A trace whose precision is the lowest of the groups'. It is not refined.

    Raises:
        UndecidedError: As `evaluate` says; the message names the group's sequences.
    """
    work = partial(_evaluate_group, evaluate, net)
    members = split_batch(inputs)
    groups = [_select(inputs, group) for group in members]
    named = [list(group) if len(members) > 1 else [] for group in members]
    return _joined(net, inputs, keep, list(executor.map(work, groups, named)))


def split_batch(inputs: Inputs) -> list[tuple[int, ...]]:
    """Return the batch elements of every group: by decreasing length, neighbours together.

    >>> import numpy as np
    >>> import symrnn
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> split_batch(read_inputs(net, np.ones((2, 3, 1)), lengths=[1, 2, 2]))
    [(1,), (2,), (0,)]
    """
    size = min(_LARGEST, -(-inputs.batch // _GROUPS))
    order = inputs.order
    return [order[start : start + size] for start in range(0, len(order), size)]


def _select(inputs: Inputs, members: Sequence[int]) -> Inputs:
    """Return the inputs of some sequences, the longest first."""
    chosen = list(members)
    states = inputs.states
    return Inputs(
        x=inputs.x[: inputs.lengths[chosen[0]], chosen],
        states=states and {name: a[:, chosen] for name, a in states.items()},
        lengths=tuple(inputs.lengths[b] for b in chosen),
        layout=inputs.layout,
    )


def _evaluate_group(
    evaluate: Callable[[Network, Inputs], Trace],
    net: Network,
    inputs: Inputs,
    named: Sequence[int],
) -> _Part:
    try:
        with one_thread_a_product():
            trace = evaluate(net, inputs)
    except UndecidedError as error:
        if not named:
            raise
        raise UndecidedError(f"batch elements {named} by themselves: {error}") from None
    domain: Any = trace.domain  # it may know a whole run; its arithmetic is enough
    balls = isinstance(domain, BallDomain)
    plain = BallDomain(domain.precision) if balls else EnclosureDomain()
    return _Part(plain, trace.records)


# --- putting together ---------------------------------------------------------------


def _joined(net: Network, inputs: Inputs, keep: Keep, parts: Sequence[_Part]) -> Trace:
    domain = min((part.domain for part in parts), key=_precision)
    states = {
        position: _side_by_side(domain, [part.records[position] for part in parts])
        for position in net.positions
    }
    records: Mapping[Position, Record] = states
    if keep != "states":
        replay = _Replay(net, inputs, keep, domain, states)
        records = {
            position: Record(
                [_Step(s, replay, position, t) for t, s in enumerate(record.steps)],
                record.initial,
                record.final,
            )
            for position, record in states.items()
        }
    outputs = join(net, domain, states, net.num_layers - 1)
    return Trace(net, inputs, domain, records, outputs)


def _precision(domain: Any) -> int:
    return domain.precision if isinstance(domain, BallDomain) else 53


def _side_by_side(domain: Domain[Any], records: Sequence[Record]) -> Record:
    """Return the states of all groups; the first has the longest sequence."""
    running = [
        [r.steps[t] for r in records if t < len(r.steps)]
        for t in range(len(records[0].steps))
    ]
    return Record(
        [_Columns(domain, steps) for steps in running],
        _Columns(domain, [r.initial for r in records]),
        _Columns(domain, [r.final for r in records]),
    )


class _Columns(Mapping[str, Any]):
    """The states of several groups side by side, when asked for."""

    def __init__(self, domain: Domain[Any], parts: Sequence[Mapping[str, Any]]) -> None:
        self._domain = domain
        self._parts = parts
        self._known: dict[str, Any] = {}

    def __getitem__(self, state: str) -> Any:
        if state not in self._known:
            with self._domain.context():
                columns = [part[state] for part in self._parts]
                self._known[state] = self._domain.hstack(columns)
        return self._known[state]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts[0])

    def __len__(self) -> int:
        return len(self._parts[0])

    def __ror__(self, other: dict[Any, Any]) -> dict[Any, Any]:
        return other | dict(self)


class _Replay:
    """Everything that is kept of a run whose states are known."""

    def __init__(
        self,
        net: Network,
        inputs: Inputs,
        keep: Keep,
        domain: Domain[Any],
        states: Mapping[Position, Record],
    ) -> None:
        self.names = kept(lower(net.cell), keep)
        known: Domain[Any] = FloatReplay(states)
        if isinstance(domain, BallDomain):
            known = BallReplay(states, domain.precision)
        self._run = partial(run, net, inputs, known, keep=keep)

    @cached_property
    def records(self) -> Mapping[Position, Record]:
        """Computed when first asked for."""
        with one_thread_a_product():
            return self._run().records


class _Step(Mapping[Any, Any]):
    """One step: its states, and from a replay what else is kept of it."""

    def __init__(
        self, states: Mapping[Any, Any], replay: _Replay, position: Position, t: int
    ) -> None:
        self._states = states
        self._replay = replay
        self._position = position
        self._t = t

    def __getitem__(self, name: Any) -> Any:
        if name in self._states:
            return self._states[name]
        if name not in self._replay.names:
            raise KeyError(name)
        return self._replay.records[self._position].steps[self._t][name]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._replay.names)

    def __len__(self) -> int:
        return len(self._replay.names)
