# SPDX-License-Identifier: BSD-3-Clause
"""The steps: each equation with its symbols, its numbers, and what comes out.

Nothing here knows a cell. An equation is read from the inside out: a line for each
matrix product with the numbers put in, then the equation with all of them in place,
reduced one operation after the other until the value is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sympy import MatrixExpr

from symrnn.derivations.equations import Names, Shown, spell
from symrnn.derivations.notebook_torch import TorchCode
from symrnn.derivations.numbers import Values
from symrnn.derivations.opening import equal, position_title, word_for
from symrnn.derivations.selection import Gap, with_gaps
from symrnn.derivations.summary import all_states
from symrnn.documents.layout import fill, pack, width
from symrnn.documents.model import (
    Block,
    Display,
    Equations,
    Formula,
    Heading,
    Inline,
    Line,
    Math,
    Matrix,
    Origin,
    Paragraph,
    Sign,
    Strong,
)
from symrnn.equations.cells import Equation
from symrnn.equations.language import Add, Matmul, Neg, operands, postorder
from symrnn.equations.symbols import x
from symrnn.networks.network import FIRST, Position

__all__ = ["sequences"]


def sequences(values: Values) -> Iterator[Block]:
    """Yield the inputs and the steps of every sequence that is shown."""
    inputs = values.trace.inputs
    for b in with_gaps(values.selection.sequences, range(inputs.batch)):
        if isinstance(b, Gap):
            yield _left_out("Sequence", b)
        elif inputs.batch == 1:
            yield from _sequence(values, b, level=2)
        else:
            yield Heading(2, (f"Sequence {b + 1}",))
            yield from _sequence(values, b, level=3)


def _left_out(what: str, gap: Gap) -> Paragraph:
    first, last = gap.first + 1, gap.last + 1
    which = f"{what} {first} is" if first == last else f"{what}s {first} to {last} are"
    one = "it is" if first == last else "they are"
    return Paragraph((f"{which} left out; {one} computed in the same way.",))


def _sequence(values: Values, b: int, level: int) -> Iterator[Block]:
    net, selection = values.net, values.selection
    yield Heading(level, ("Inputs",))
    yield from _inputs(values, b)
    yield from TorchCode(values).inputs(b)
    if values.options.detail != "summary":
        for layer in with_gaps(selection.layers, range(net.num_layers)):
            if isinstance(layer, Gap):
                yield _left_out("Layer", layer)
                continue
            for position in net.layer(layer):
                direction = position.direction
                if direction in selection.directions:
                    yield from _Pass(values, position, b).blocks(level)
                else:
                    yield Paragraph((f"The {direction} direction is left out.",))
    yield Heading(level, ("All states",))
    yield from all_states(values, b)


def _inputs(values: Values, b: int) -> Iterator[Block]:
    net, inputs = values.net, values.trace.inputs
    count = inputs.lengths[b]
    found: list[Math] = []
    for t in with_gaps(values.selection.steps(b), range(count)):
        if isinstance(t, Gap):
            found.append((Sign("cdots"),))
        else:
            found.append(equal((values.names(FIRST, t).symbol(x),), values.input(t, b)))
    yield Display(pack(found))
    zero = inputs.states is None
    yield Paragraph(
        ("The initial states are zero:" if zero else "The initial states:",), leads=True
    )
    starts = []
    for position in values.selection.positions:
        names = values.names(position, position.direction.start(count))
        for state in net.cell.states:
            symbol = names.state(state, before=True)
            starts.append(equal((symbol,), values.initial(position, b, state)))
    yield Display(pack(starts))


@dataclass(frozen=True, slots=True)
class _Pass:
    """One layer in one direction, for one sequence."""

    values: Values
    position: Position
    b: int

    def blocks(self, level: int) -> Iterator[Block]:
        net = self.values.net
        yield Heading(level, (position_title(net, self.position) or "The steps",))
        yield from self._introduction()
        code = TorchCode(self.values)
        yield from code.start(self.position, self.b)
        count = self.values.trace.inputs.lengths[self.b]
        order = self.position.direction.order(count)
        shown = self.values.selection.steps(self.b)
        if self.values.options.steps is None:
            # Where the direction starts, and not where the sequence does.
            shown = tuple(order[t] for t in shown)
        for t in with_gaps(shown, order):
            if isinstance(t, Gap):
                yield _left_out("Step", t)
                yield from code.between(self.position, t)
            else:
                yield from self._step(t, level + 1)
                yield from code.step(self.position, t, self.b)
        yield from code.end(self.position, self.b)

    def _introduction(self) -> Iterator[Block]:
        layer = self.position.layer
        if layer:
            yield Paragraph(
                (f"The input of layer {layer + 1} is the output of layer {layer}:",),
                leads=True,
            )
            yield Display(
                (
                    (
                        self.values.names(self.position).symbol(x),
                        Sign("equals"),
                        *self._below(),
                    ),
                )
            )

    def _below(self) -> Math:
        """Return the output of the layer below at step t, as symbols."""
        net = self.values.net
        state = net.cell.states[0]
        symbols = [
            self.values.names(p).state(state)
            for p in net.layer(self.position.layer - 1)
        ]
        if len(symbols) == 1:
            return (symbols[0],)
        return (Matrix(tuple(((symbol,),) for symbol in symbols)),)

    def _step(self, t: int, level: int) -> Iterator[Block]:
        names = self.values.names(self.position, t)
        layer, direction = self.position
        here = Origin(
            quantity="", layer=layer, direction=direction, step=t, sequence=self.b
        )
        yield Heading(level, (f"Step {t + 1}",), here)
        for equation in self.values.net.cell.equations:
            title = self._title(equation, names)
            if title is not None:
                yield Paragraph(title, leads=True)
            yield _Working(self.values, self.position, self.b, t, names).equations(
                equation
            )

    def _title(self, equation: Equation, names: Names) -> tuple[Inline, ...] | None:
        """Return what an equation is about, where a step has several."""
        cell = self.values.net.cell
        if len(cell.equations) == 1:
            return None
        word = word_for(cell.family, equation.name)
        kind = "State" if equation.name in cell.states else "Quantity"
        return Strong(word or kind), " ", Formula((names.symbol(equation.target),))


# --- one equation at one step -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Working:
    """The working of the equations of one step."""

    values: Values
    position: Position
    b: int
    t: int
    names: Names
    known: dict[MatrixExpr, Shown] = field(default_factory=dict)

    def equations(self, equation: Equation) -> Equations:
        """Return the lines that lead from an equation's symbols to its value."""
        target = (self.names.symbol(equation.target),)
        symbols = spell(equation.value, self.names)
        rows: list[tuple[Math, list[Line]]] = [(target, [Line((), "equals", symbols)])]
        for node in postorder(equation.value):
            if not operands(node):
                self.known[node] = self._shown(node)
            elif isinstance(node, Matmul) and node != equation.value:
                for part in operands(node):
                    if part not in self.known:  # W (r ⊙ h): first what is in brackets
                        rows.append((spell(part, self.names), self._reduction(part)))
                rows.append((spell(node, self.names), self._reduction(node)))
        if equation.value not in self.known:
            rows.append((target, self._reduction(equation.value)))
        evaluated = self.values.evaluated(self.position, self.t, self.b, equation.value)
        if evaluated is not None:  # how large tanh(3/4) is
            if rows[-1][0] != target:
                rows.append((target, []))
            rows[-1][1].append(Line((), "approx", evaluated.math))
        indent = max(width(left) for left, _ in rows)
        lines: list[Line] = []
        for i, (left, parts) in enumerate(rows):
            again = i > 0 and rows[i - 1][0] == left
            lines += fill(() if again else left, parts, indent)
        layer, direction = self.position
        result = Origin(
            quantity=equation.name,
            layer=layer,
            direction=direction,
            step=self.t,
            sequence=self.b,
        )
        lines[-1] = replace(lines[-1], result=result)
        return Equations(tuple(lines))

    def _shown(self, node: MatrixExpr) -> Shown:
        return self.values.node(self.position, self.t, self.b, node)

    def _reduction(self, root: MatrixExpr) -> list[Line]:
        """Put numbers in, then work out the innermost until `root` is a value."""
        nodes = [node for node in postorder(root) if operands(node)]
        lines = [self._line(root), *self._scalars(root)]
        while root not in self.known:
            ready = [
                node
                for node in nodes
                if node not in self.known
                and not self._is_subtracted(node, root)
                and all(part in self.known for part in self._read(node))
            ]
            self.known.update({node: self._shown(node) for node in ready})
            line = self._line(root)
            if line.right != lines[-1].right:  # tanh(3/4) may be the closed form
                lines.append(line)
        return lines

    def _scalars(self, root: MatrixExpr) -> Iterator[Line]:
        """Yield a matrix product as sums of products of two numbers, if asked for."""
        if self.values.options.detail != "scalars" or not isinstance(root, Matmul):
            return
        products = self.values.products(self.position, self.t, self.b, root)
        if products is not None:
            yield Line((), self._line(root).relation, products)

    def _line(self, root: MatrixExpr) -> Line:
        exact = all(shown.exact for shown in self._used(root))
        numbers = spell(root, self.names, self.known)
        return Line((), "equals" if exact else "approx", numbers)

    def _used(self, node: MatrixExpr) -> Iterator[Shown]:
        """Yield the values that are printed where `node` is written out."""
        if node in self.known:
            yield self.known[node]
        else:
            for part in operands(node):
                yield from self._used(part)

    def _read(self, node: MatrixExpr) -> Sequence[MatrixExpr]:
        """Return what must be known to work out `node`; a - b needs b, not -b."""
        return [
            part.args[0] if isinstance(node, Add) and isinstance(part, Neg) else part
            for part in operands(node)
        ]

    @staticmethod
    def _is_subtracted(node: MatrixExpr, root: MatrixExpr) -> bool:
        """Tell whether `node` is the -b of a sum, which prints as a - b."""
        return isinstance(node, Neg) and any(
            isinstance(other, Add) and node in other.args for other in postorder(root)
        )
