# SPDX-License-Identifier: BSD-3-Clause
"""The unrolled network as a drawing: which value is computed from which.

Time goes from left to right, layers from the bottom up. The two directions of a layer
are rows of their own, the reverse one higher and further right, so that no arrow runs
through a state; what they hand on together is a node above them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from symrnn.derivations.equations import Names
from symrnn.derivations.numbers import Values
from symrnn.documents.model import (
    Edge,
    Figure,
    Formula,
    Graph,
    Inline,
    Math,
    Node,
    Origin,
    Sign,
    Symbol,
)
from symrnn.equations.symbols import x
from symrnn.networks.network import Position

__all__ = ["unrolled_graph"]

_ASIDE = 0.32  # of a bidirectional layer's nodes from the middle of their step
_FORWARD, _REVERSE, _TOGETHER = 0.75, 1.35, 2.1  # heights within a bidirectional layer


def unrolled_graph(values: Values) -> Figure:
    """Return the drawing of a network unrolled over the steps that are shown.

    Of a batch, it is the longest sequence that is shown. Dots stand for steps and layers
    that are not.

    >>> import symrnn
    >>> from symrnn.derivations.options import Options
    >>> weights = {"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}
    >>> net = symrnn.load(weights, cell="rnn_relu")
    >>> values = Values(symrnn.evaluate(net, [[3], [4]], keep="nodes"), Options())
    >>> graph = unrolled_graph(values).graph
    >>> [edge.tail for edge in graph.edges if edge.head == "h-0-forward-1"]
    ['x-0-1', 'h-0-forward-0']
    """
    selection, lengths = values.selection, values.trace.inputs.lengths
    sequence = max(selection.sequences, key=lambda b: lengths[b])
    drawing = _Drawing(
        values,
        sequence,
        lengths[sequence],
        selection.steps(sequence),
        selection.layers,
    )
    drawing.draw()
    return Figure(
        Graph(tuple(drawing.nodes), tuple(drawing.edges)), tuple(drawing.caption())
    )


@dataclass(frozen=True, slots=True)
class _Column:
    """A step and where it is drawn, or dots for the steps that are left out."""

    x: float
    step: int | None

    @property
    def name(self) -> str:
        return f"dots{self.x:g}" if self.step is None else str(self.step)


@dataclass(slots=True)
class _Drawing:
    """Nodes and edges as they are put down, from the bottom up."""

    values: Values
    sequence: int
    count: int
    steps: tuple[int, ...]
    layers: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def draw(self) -> None:
        columns = list(self._columns())
        below = self._inputs(columns)
        height, previous = 0.0, -1
        for layer in self.layers:
            if layer > previous + 1:
                height += 1
                below = self._omitted(columns, below, layer, height)
            below, height = self._layer(columns, below, layer, height)
            previous = layer
        if previous < self.values.net.num_layers - 1:
            self._omitted(columns, below, self.values.net.num_layers, height + 1)
        elif not self.values.trace.inputs.layout.single_step:
            self._outputs(columns, below, height)

    def _columns(self) -> Iterator[_Column]:
        at, previous = 1.0, -1
        for step in self.steps:
            if step > previous + 1:
                yield _Column(at, None)
                at += 1
            yield _Column(at, step)
            at, previous = at + 1, step
        if previous < self.count - 1:
            yield _Column(at, None)

    # --- rows: each returns the keys of its nodes, column by column ---

    def _inputs(self, columns: Sequence[_Column]) -> list[str]:
        return [self._input(column, layer=0, y=0) for column in columns]

    def _input(self, column: _Column, layer: int, y: float) -> str:
        """Put down what a layer reads at a step: the input, or two states together."""
        key = f"x-{layer}-{column.name}"
        if column.step is None:
            return self._dots(key, column.x, y, "cdots")
        names = self.values.names(self.values.net.layer(layer)[0], column.step)
        origin = self._origin("x", layer, "", column.step)
        label = (names.symbol(x),)
        self.nodes.append(
            Node(
                key=key,
                label=label,
                x=column.x,
                y=y,
                kind="input",
                origin=origin,
                tone="x",
            )
        )
        return key

    def _layer(
        self,
        columns: Sequence[_Column],
        below: Sequence[str],
        layer: int,
        height: float,
    ) -> tuple[list[str], float]:
        """Put down a layer above the nodes `below`; return its top row and its height."""
        if not self.values.net.bidirectional:
            height += 1
            (only,) = self.values.net.layer(layer)
            return self._row(columns, below, only, height, 0), height
        one, other = self.values.net.layer(layer)
        forward = self._row(columns, below, one, height + _FORWARD, -_ASIDE)
        reverse = self._row(columns, below, other, height + _REVERSE, _ASIDE)
        height += _TOGETHER
        if layer == self.values.net.num_layers - 1:
            return [*forward, *reverse], height - 1
        together = [self._input(column, layer + 1, height) for column in columns]
        self._connect(columns, forward, together)
        self._connect(columns, reverse, together)
        return together, height

    def _row(
        self,
        columns: Sequence[_Column],
        below: Sequence[str],
        position: Position,
        y: float,
        aside: float,
    ) -> list[str]:
        """Put down the states of a layer in one direction, in the order of steps."""
        keys = [self._state(column, position, y, aside) for column in columns]
        self._connect(columns, below, keys)
        chain = [
            self._initial(columns, position, y, aside),
            *keys[:: position.direction.stride],
        ]
        self.edges += map(Edge, chain, chain[1:])
        return keys

    def _state(
        self, column: _Column, position: Position, y: float, aside: float
    ) -> str:
        layer, direction = position
        key = f"h-{layer}-{direction}-{column.name}"
        if column.step is None:
            return self._dots(key, column.x + aside, y, "cdots")
        names = self.values.names(position, column.step)
        self._put_states(key, position, column.step, names, column.x + aside, y)
        return key

    def _initial(
        self, columns: Sequence[_Column], position: Position, y: float, aside: float
    ) -> str:
        layer, direction = position
        first = direction.start(self.count)
        at = columns[direction.start(len(columns))].x - direction.stride
        key = f"h-{layer}-{direction}-initial"
        names = self.values.names(position, first)
        step = direction.before(first)
        self._put_states(key, position, step, names, at + aside, y, initial=True)
        return key

    def _put_states(
        self,
        key: str,
        position: Position,
        step: int,
        names: Names,
        at: float,
        y: float,
        *,
        initial: bool = False,
    ) -> None:
        states = self.values.net.cell.states
        label: Math = ()
        for state in self._written():
            comma = (Sign("comma"),) if label else ()
            label = (*label, *comma, names.state(state, before=initial))
        self.nodes.append(
            Node(
                key=key,
                label=label,
                x=at,
                y=y,
                kind="initial" if initial else "state",
                origin=self._origin(
                    states[0], position.layer, position.direction, step
                ),
                tone=states[0],
            )
        )

    def _omitted(
        self, columns: Sequence[_Column], below: Sequence[str], layer: int, y: float
    ) -> list[str]:
        """Put down dots for the layers under `layer` that are left out."""
        dots = [
            self._dots(
                f"below-{layer}-{column.name}",
                column.x,
                y,
                "ddots" if column.step is None else "vdots",
            )
            for column in columns
        ]
        self._connect(columns, below, dots)
        return dots

    def _outputs(
        self, columns: Sequence[_Column], below: Sequence[str], height: float
    ) -> None:
        last = self.values.net.num_layers - 1
        keys = []
        for column in columns:
            keys.append(f"output-{column.name}")
            if column.step is None:
                self._dots(keys[-1], column.x, height + 1, "cdots")
                continue
            self.nodes.append(
                Node(
                    key=keys[-1],
                    label=(Symbol(r"\mathrm{output}", str(column.step + 1)),),
                    x=column.x,
                    y=height + 1,
                    kind="output",
                    origin=self._origin("output", last, "", column.step),
                )
            )
        for start in range(0, len(below), len(columns)):
            self._connect(columns, below[start : start + len(columns)], keys)

    # --- small things ---

    def _written(self) -> tuple[str, ...]:
        """Return the states that a node names; between arrows one has room."""
        states = self.values.net.cell.states
        return states[:1] if self.values.net.bidirectional else states

    def _connect(
        self, columns: Sequence[_Column], tails: Iterable[str], heads: Iterable[str]
    ) -> None:
        """Draw the arrows from one row to the next, where the steps are shown."""
        for column, tail, head in zip(columns, tails, heads, strict=True):
            if column.step is not None:
                self.edges.append(Edge(tail, head))

    def _dots(
        self, key: str, at: float, y: float, sign: Literal["cdots", "vdots", "ddots"]
    ) -> str:
        self.nodes.append(Node(key=key, label=(Sign(sign),), x=at, y=y, kind="dots"))
        return key

    def _origin(self, quantity: str, layer: int, direction: str, step: int) -> Origin:
        return Origin(
            quantity=quantity,
            layer=layer,
            direction=direction,
            step=step,
            sequence=self.sequence,
        )

    # --- in words ---

    def caption(self) -> Iterator[Inline]:
        """Say what is drawn, for a reader who does not see it."""
        net = self.values.net
        names = Names(cell=net.cell, notation=self.values.notation)
        states = [Formula((names.state(state),)) for state in net.cell.states]
        written = states[: len(self._written())]
        inputs = self.values.trace.inputs
        yield f"The network unrolled over {self.count} step{'s' * (self.count > 1)}"
        if len(set(inputs.lengths)) > 1:
            yield f", those of sequence {self.sequence + 1}"
        yield ". "
        yield "Each " if len(written) == 1 else "At each step, "
        yield from _listed(written)
        yield " is" if len(written) == 1 else " are"
        yield " computed from the input of the layer and from the step before"
        yield ", which is to its right in reverse." if net.bidirectional else "."
        if len(states) > len(written):
            yield " In the same node is "
            yield from _listed(states[len(written) :])
            yield "."
        if len(states) > 1 and not net.single_step:
            yield " Upwards goes "
            yield states[0]
            yield " alone."
        if net.bidirectional and net.num_layers > 1:
            yield " A layer reads the states of both directions of the layer below."
        elif net.num_layers > 1:
            yield " Above the first layer, the input is the state below."
        if len(self.steps) < self.count or len(self.layers) < net.num_layers:
            yield " Dots stand for what is left out."


def _listed(formulas: Sequence[Inline]) -> Iterator[Inline]:
    for i, formula in enumerate(formulas):
        if i:
            yield " and " if i == len(formulas) - 1 else ", "
        yield formula
