# SPDX-License-Identifier: BSD-3-Clause
"""The numbers of a run, before they are written: what was given, and what was computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sympy import MatrixExpr

from symrnn.arrays import Array
from symrnn.cells import x
from symrnn.documents.by_hand import carry_by_hand
from symrnn.documents.exactness import Closed, Known, rational, trace_rationals
from symrnn.documents.forms import Element, longest_fraction
from symrnn.documents.options import Options
from symrnn.language import Named, postorder
from symrnn.network import Place
from symrnn.numbers import Exact
from symrnn.trace import Trace

__all__ = ["Numbers", "Results"]


class Numbers(NamedTuple):
    """The numbers of a matrix: rows and columns, each number, and whether they are given."""

    shape: tuple[int, ...]
    at: Callable[[int, int], Element]
    given: bool = False


class Results:
    """What a run was given and what it computed, by layer, direction, step and sequence.

    Args:
        trace: The exact run, made with ``keep="nodes"``.
        options: What is carried from step to step, and which exact forms are followed.

    Attributes:
        trace: The exact run.
        carried: The run whose numbers are printed: the same, or one by hand.
    """

    def __init__(self, trace: Trace, options: Options) -> None:
        self.trace = trace
        self.net = trace.net
        self.carried = trace
        if options.carry == "by-hand":
            self.carried = carry_by_hand(trace.net, trace.inputs, options)
        self._rationals = trace_rationals(
            trace.net,
            trace.inputs,
            closed=options.numbers == "closed",
            longest=longest_fraction(options),
        )
        self._parameters = frozenset(trace.net.cell.parameters)

    # --- what is given ---

    def parameter(self, place: Place, name: str) -> Numbers:
        """Return a parameter."""
        return self._given(self.net.parameters[place][name])

    def input(self, t: int, b: int) -> Numbers:
        """Return the input of the network at step t to sequence b of the batch."""
        return self._given(self.trace.inputs.x[t, b][:, np.newaxis])

    def initial(self, place: Place, b: int, state: str) -> Numbers:
        """Return the state that sequence b starts from."""
        inputs = self.trace.inputs
        index, column = self.net.places.index(place), inputs.order.index(b)
        values = inputs.initial(state, index, self.net.state_sizes[state])
        return self._given(values[:, column : column + 1])

    def _given(self, values: Exact) -> Numbers:
        """Return given numbers; what is carried by hand may be copied down rounded."""
        if self.carried is self.trace:
            return Numbers(
                values.shape, lambda i, j: Element(None, rational(values[i, j])), True
            )
        copied = self.carried.domain.matrix(values)

        def element(i: int, j: int) -> Element:
            return Element(None, copied[i, j], copied[i, j] == rational(values[i, j]))

        return Numbers(values.shape, element, True)

    # --- what is computed ---

    def node(self, place: Place, t: int, b: int, node: MatrixExpr) -> Numbers:
        """Return a node of the equations, as it is carried on."""
        if node in self._parameters:
            return self.parameter(place, node.name)
        if node == x and place[0] == 0:
            return self.input(t, b)
        if isinstance(node, Named) and node.name.endswith("_prev"):
            state = node.name.removesuffix("_prev")
            before = self.before(place, t, b)
            if before is None:
                return self.initial(place, b, state)
            return self.quantity(place, before, b, state)
        return self._computed(place, t, b, node)

    def before(self, place: Place, t: int, b: int) -> int | None:
        """Return the step before, in a direction; ``None`` before the first."""
        before = t + 1 if place[1] == "reverse" else t - 1
        return before if 0 <= before < self.trace.inputs.lengths[b] else None

    def _computed(self, place: Place, t: int, b: int, node: MatrixExpr) -> Numbers:
        """Return what was computed.

        What is carried by hand is exact where it is what is known of the exact run.
        """
        array = self._at(self.carried, place, t, b, node)
        known = self._known(place, t, b, node)
        if self.carried is self.trace:
            return Numbers(array.shape, lambda i, j: Element(array[i, j], known(i, j)))

        def element(i: int, j: int) -> Element:
            carried = array.elements[i, j]
            return Element(None, carried, known(i, j) == carried)

        return Numbers(array.shape, element)

    def quantity(self, place: Place, t: int, b: int, name: str) -> Numbers:
        """Return a state or another quantity, as it is carried on."""
        return self.node(place, t, b, self.target(name))

    def exact(self, place: Place, t: int, b: int, node: MatrixExpr) -> Numbers:
        """Return what the exact run computed for a node, without closed forms."""
        array = self._at(self.trace, place, t, b, node)
        known = self._known(place, t, b, node)

        def element(i: int, j: int) -> Element:
            found = known(i, j)
            return Element(array[i, j], None if isinstance(found, Closed) else found)

        return Numbers(array.shape, element)

    def target(self, name: str) -> Named:
        """Return the node of a quantity."""
        return next(
            line.target for line in self.net.cell.equations if line.name == name
        )

    def _at(
        self, trace: Trace, place: Place, t: int, b: int, node: MatrixExpr
    ) -> Array:
        """Return a node's value in one sequence, as rows and columns."""
        column = trace.inputs.order.index(b)
        shared = trace.inputs.batch == 1 or not self._depends_on_step(node)

        def select(source: Trace) -> npt.NDArray[np.object_]:
            rows = source.domain.rows(source.records[place].steps[t][node])
            if not shared:
                rows = [row[column : column + 1] for row in rows]
            return _objects(rows)

        return trace._array(select)

    def _depends_on_step(self, node: MatrixExpr) -> bool:
        leaves = {leaf for leaf in postorder(node) if isinstance(leaf, Named)}
        return not leaves <= self._parameters

    def _known(
        self, place: Place, t: int, b: int, node: MatrixExpr
    ) -> Callable[[int, int], Known]:
        """Return what is known exactly of a node's elements."""
        if self._rationals is None:
            return lambda i, j: None
        found = self._at(self._rationals, place, t, b, node).tolist()
        return lambda i, j: found[i][j]


def _objects(rows: list[list[Any]]) -> npt.NDArray[np.object_]:
    array = np.empty((len(rows), len(rows[0])), dtype=object)
    for i, row in enumerate(rows):
        array[i, :] = row
    return array
