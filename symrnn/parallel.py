# SPDX-License-Identifier: BSD-3-Clause
"""A batch in groups of sequences, each evaluated by itself on an executor.

Note [Independent of the split]
    Which sequences make up a group depends on the batch alone, and a group's matrix
    products run in one thread each, wherever they run. So neither the kind of executor nor
    the number of its workers shows in any result, radii included, on machines of one kind.

Note [What crosses between processes]
    A network and a group's inputs go out, its values come back: balls as integers (see
    `symrnn.domains.ball`), floats as arrays. Named quantities are put together when
    somebody asks for them: most are never looked at, and no worker helps with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

from symrnn.domains.ball import BallDomain
from symrnn.domains.base import Domain
from symrnn.domains.enclosure import EnclosureDomain
from symrnn.errors import UndecidedError
from symrnn.inputs import Inputs
from symrnn.network import Network, Place
from symrnn.program import lower
from symrnn.run import join
from symrnn.trace import Record, Trace
from symrnn.workers import one_thread_a_product

__all__ = ["evaluate_groups", "split_batch"]

_GROUPS = 16  # of a batch that has as many sequences: work for as many workers
_LARGEST = 8  # sequences; wider products gain little


class _Part(NamedTuple):
    """What the evaluation of a group leaves behind."""

    domain: Domain[Any]
    records: Mapping[Place, Record]


def evaluate_groups(
    evaluate: Callable[[Network, Inputs], Trace],
    net: Network,
    inputs: Inputs,
    executor: Executor,
) -> Trace:
    """Evaluate groups of sequences independently, and return the trace of the batch.

    Args:
        evaluate: What to do with a group; its trace must be one of balls or of float64
            enclosures. It must pickle, where workers are processes.
        net: The network.
        inputs: At least one sequence.
        executor: Where groups are evaluated.

    Returns:
        A trace whose precision is the lowest of the groups'. It is not refined.

    Raises:
        UndecidedError: As `evaluate` says; the message names the group's sequences.
    """
    work = partial(_evaluate_group, evaluate, net)
    members = split_batch(inputs)
    groups = [_select(inputs, group) for group in members]
    named = [list(group) if len(members) > 1 else [] for group in members]
    return _joined(net, inputs, list(executor.map(work, groups, named)))


def split_batch(inputs: Inputs) -> list[tuple[int, ...]]:
    """Return the batch elements of every group: by decreasing length, neighbours together.

    >>> import numpy as np
    >>> import symrnn
    >>> from symrnn.inputs import read_inputs
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


def _joined(net: Network, inputs: Inputs, parts: Sequence[_Part]) -> Trace:
    domain = min((part.domain for part in parts), key=_precision)
    fixed = _fixed(net)
    records = {}
    for place in net.places:
        found = [part.records[place] for part in parts]
        records[place] = Record(
            steps=[
                _Joined(domain, [r.steps[t] for r in found if t < len(r.steps)], fixed)
                for t in range(len(inputs.widths))
            ],
            initial=_Joined(domain, [r.initial for r in found]),
            final=_Joined(domain, [r.final for r in found]),
        )
    outputs = join(net, domain, records, net.num_layers - 1)
    return Trace(net, inputs, domain, records, outputs)


def _precision(domain: Any) -> int:
    return domain.precision if isinstance(domain, BallDomain) else 53


def _fixed(net: Network) -> frozenset[Any]:
    """Return the names and nodes whose values have no column for each sequence.

    They depend on parameters alone. States never do: see `symrnn.run`.
    """
    program = lower(net.cell)
    alone = {i.target for i in program.once} | set(program.parameters.values())
    alone -= {program.quantities[state] for state in net.cell.states}
    everything = {**program.quantities, **program.registers}
    return frozenset(key for key, register in everything.items() if register in alone)


class _Joined(Mapping[Any, Any]):
    """Values side by side that several groups have under one name, when asked for."""

    def __init__(
        self,
        domain: Domain[Any],
        parts: Sequence[Mapping[Any, Any]],
        fixed: frozenset[Any] = frozenset(),
    ) -> None:
        self._domain = domain
        self._parts = parts
        self._fixed = fixed
        self._known: dict[Any, Any] = {}

    def __getitem__(self, name: Any) -> Any:
        if name not in self._known:
            self._known[name] = self._join(name)
        return self._known[name]

    def _join(self, name: Any) -> Any:
        if name in self._fixed:
            return self._parts[0][name]
        with self._domain.context():
            return self._domain.hstack([part[name] for part in self._parts])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parts[0])

    def __len__(self) -> int:
        return len(self._parts[0])
