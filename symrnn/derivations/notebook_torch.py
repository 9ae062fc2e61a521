# SPDX-License-Identifier: BSD-3-Clause
"""Plain torch that recomputes a derivation, step by step, and holds it against its digits.

The code is the cell's equations in Python, with the names of the document: ``h_1`` is the
state after step 1. Everything is float64, so that a printed digit that is wrong shows.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sympy import MatrixExpr

from symrnn.derivations.numbers import Values
from symrnn.derivations.selection import Gap
from symrnn.documents.model import Block, Script
from symrnn.equations.cells import Cell
from symrnn.equations.language import (
    Add,
    Constant,
    Elementwise,
    Hadamard,
    Matmul,
    Neg,
    Transpose,
    postorder,
)
from symrnn.equations.symbols import Named
from symrnn.errors import EquationError
from symrnn.networks.network import Direction, Network, Position, array_name
from symrnn.networks.sources.modules import torch_class
from symrnn.numerics.exact import Exact, to_fraction

__all__ = ["TorchCode", "speak"]


_TIGHT: Mapping[type, tuple[type, ...]] = {
    Matmul: (Add, Neg, Hadamard, Matmul),
    Hadamard: (Add, Neg, Matmul),
    Neg: (Add, Neg),
    Transpose: (Add, Neg, Matmul, Hadamard),
    Add: (),
}


def speak(node: MatrixExpr, names: Mapping[str, str]) -> str:
    """Return a node as Python with torch, its names replaced.

    Raises:
        EquationError: It has a node that torch has no notation for.

    >>> from symrnn.equations.cells import gru
    >>> cell = gru(bias=False)
    >>> names = {p.name: p.name for p in cell.parameters} | {"x": "x_1", "h_prev": "h_0"}
    >>> speak(cell.equations[0].value, names)
    'torch.sigmoid(W_ir @ x_1 + W_hr @ h_0)'
    """
    match node:
        case Named():
            return names[node.name]
        case Constant():
            return str(node.args[0])
        case Matmul():
            return " @ ".join(_operand(node, part, names) for part in node.args)
        case Hadamard():
            return " * ".join(_operand(node, part, names) for part in node.args)
        case Neg():
            return f"-{_operand(node, node.args[0], names)}"
        case Transpose():
            return f"{_operand(node, node.args[0], names)}.T"
        case Elementwise():
            function = node.function
            if function.torch is None:
                raise EquationError(f"torch has no function {function.name}")
            return f"{function.torch}({speak(node.args[1], names)})"
        case Add():
            return _sum(node, names)
    raise EquationError(f"no Python for the node {type(node).__name__}")


def _sum(node: MatrixExpr, names: Mapping[str, str]) -> str:
    text = speak(node.args[0], names)
    for term in node.args[1:]:
        if isinstance(term, Neg):
            text += f" - {_operand(term, term.args[0], names)}"
        else:
            text += f" + {speak(term, names)}"
    return text


def _operand(parent: MatrixExpr, child: MatrixExpr, names: Mapping[str, str]) -> str:
    text = speak(child, names)
    return f"({text})" if isinstance(child, _TIGHT[type(parent)]) else text


_MOST_LITERALS = 2000  # numbers; more of them are no longer read by anyone


_MOST_NUMBERS = 500_000  # that a notebook may hold at all

_CHECK = '''import torch

torch.set_default_dtype(torch.float64)
agreed = 0


def check(name, value, printed):
    """Hold what torch computed against the printed decimals: {unit: decimal}."""
    global agreed
    for unit, text in printed.items():
        number = float(value[unit - 1])
        mantissa, _, exponent = text.partition("e")
        last = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        error = abs(number - float(text))
        assert error <= 0.5 * last + 1e-10 * max(1.0, abs(number)), (
            f"{name}, unit {unit}: torch has {number!r}, and {text} is printed"
        )
        agreed += 1
    print(name, "=", value.tolist())'''


_EXACT = """# The page carries rounded numbers, as with a calculator. Here nothing is rounded, so
# numbers are held against the exact ones, to as many digits as the page prints."""


@dataclass(frozen=True)
class TorchCode:
    """The scripts of one derivation; none where torch cannot compute its cell.

    Attributes:
        values: What the document prints.
    """

    values: Values

    @cached_property
    def possible(self) -> bool:
        """Whether every function of the cell is torch's, and the numbers are not too many."""
        spelled = all(
            node.function.torch is not None
            for line in self.values.net.cell.equations
            for node in postorder(line.value)
            if isinstance(node, Elementwise)
        )
        return spelled and self._count <= _MOST_NUMBERS

    @property
    def _count(self) -> int:
        net = self.values.net
        weights = sum(a.size for p in net.parameters.values() for a in p.values())
        return weights + self.values.trace.inputs.x.size

    @cached_property
    def _whole(self) -> bool:
        """Whether every step can be recomputed: nothing that one needs is left out."""
        selection, net = self.values.selection, self.values.net
        return (
            self.values.options.detail != "summary"
            and selection.layers == tuple(range(net.num_layers))
            and selection.directions == net.directions
        )

    # --- before the steps ---

    def setup(self) -> Iterator[Block]:
        """Yield what comes before the first sequence: `check` and the parameters."""
        if not self.possible:
            return
        net = self.values.net
        yield Script(_CHECK)
        if self.values.options.carry == "by-hand":
            yield Script(_EXACT)
        lines = ["import base64", "import struct", "", _UNPACK] if self._packed else []
        for position in net.positions:
            for parameter in net.cell.parameters:
                array = net.parameters[position][parameter.name]
                values = array[:, 0] if parameter.shape[1] == 1 else array
                name = _name(net, position, parameter.name)
                lines.append(f"{name} = {self._tensor(values)}")
        yield Script("\n".join(lines))

    def inputs(self, b: int) -> Iterator[Block]:
        """Yield the inputs of a sequence."""
        if not (self.possible and self._whole):
            return
        inputs = self.values.trace.inputs
        lines = [f"x = {self._tensor(inputs.x[: inputs.lengths[b], b])}"]
        if b == self.values.selection.sequences[0]:
            lines.insert(0, "outputs = {}  # by layer, direction and sequence")
        yield Script("\n".join(lines))

    def _initial(self, position: Position, b: int, state: str) -> str:
        inputs, net = self.values.trace.inputs, self.values.net
        size = net.state_sizes[state]
        if inputs.states is None:
            return f"torch.zeros({size})"
        column = inputs.order.index(b)
        found = inputs.initial(state, net.positions.index(position), size)
        return self._tensor(found[:, column])

    @property
    def _packed(self) -> bool:
        return self._count > _MOST_LITERALS

    def _tensor(self, values: Exact) -> str:
        """Return numbers as Python: as they are written, or as float64 in base64."""
        if not self._packed or values.size <= 64:
            return f"torch.tensor({_literal(values)})"
        floats = np.array([float(to_fraction(v)) for v in values.reshape(-1).tolist()])
        text = base64.b64encode(floats.astype("<f8").tobytes()).decode()
        return f'unpack("{text}", {list(values.shape)})'

    # --- the steps ---

    def start(self, position: Position, b: int) -> Iterator[Block]:
        """Yield the input of a layer, and where its states begin."""
        if not (self.possible and self._whole):
            return
        net, layer = self.values.net, position.layer
        lines = []
        if layer:
            below = [_output(p, b) for p in net.layer(layer - 1)]
            lines.append(f"x = torch.cat([{', '.join(below)}], dim=1)")
        steps = self.values.trace.inputs.lengths[b]
        direction = position.direction
        first = direction.before(direction.start(steps)) + 1
        for state in net.cell.states:
            lines.append(f"{state}_{first} = {self._initial(position, b, state)}")
        lines.append("states = {}  # by step")
        yield Script("\n".join(lines))

    def between(self, position: Position, gap: Gap) -> Iterator[Block]:
        """Yield a loop over steps that are left out."""
        if not (self.possible and self._whole):
            return
        steps, direction = f"range({gap.first}, {gap.last + 1})", position.direction
        if direction is Direction.REVERSE:
            steps = f"reversed({steps})"
        order = range(gap.first, gap.last + 1)[:: direction.stride]
        first, last = direction.before(order[0]) + 1, order[-1] + 1
        cell = self.values.net.cell
        names = {"x": "x_t"}
        names |= {symbol.name: f"{s}_before" for s, symbol in cell.previous.items()}
        before = ", ".join(f"{s}_before" for s in cell.states)
        lines = [
            *(f"{s} = {s}_{first}" for s in cell.states),
            f"for t in {steps}:  # the steps that are left out",
            f"    x_t, {before} = x[t], {', '.join(cell.states)}",
            *(f"    {line}" for line in self._equations(position, names, "")),
            f"    states[t] = {cell.states[0]}",
            *(f"{s}_{last} = {s}" for s in cell.states),
        ]
        yield Script("\n".join(lines))

    def step(self, position: Position, t: int, b: int) -> Iterator[Block]:
        """Yield a step: its equations, and a check of every quantity."""
        if not (self.possible and self._whole):
            return
        cell, suffix = self.values.net.cell, f"_{t + 1}"
        before = position.direction.before(t) + 1
        names = {"x": f"x_{t + 1}"}
        names |= {symbol.name: f"{s}_{before}" for s, symbol in cell.previous.items()}
        lines = [f"x_{t + 1} = x[{t}]"]
        lines += self._equations(position, names, suffix)
        for line in cell.equations:
            printed = _printed(self.values.decimals(position, t, b, line.name))
            name = f"{line.name}{suffix}"
            lines.append(f'check("{name}", {name}, {printed})')
        lines.append(f"states[{t}] = {cell.states[0]}{suffix}")
        yield Script("\n".join(lines))

    def end(self, position: Position, b: int) -> Iterator[Block]:
        """Yield where the states of a layer and direction are kept."""
        if not (self.possible and self._whole):
            return
        yield Script(
            f"{_output(position, b)} = torch.stack([states[t] for t in sorted(states)])"
        )

    def _equations(
        self, position: Position, names: Mapping[str, str], suffix: str
    ) -> Iterator[str]:
        net = self.values.net
        known = dict(names)
        for parameter in net.cell.parameters:
            known[parameter.name] = _name(net, position, parameter.name)
        for line in net.cell.equations:
            yield f"{line.name}{suffix} = {speak(line.value, known)}"
            known[line.target.name] = f"{line.name}{suffix}"

    # --- after the steps ---

    def closing(self) -> Iterator[Block]:
        """Yield a comparison with torch's own module, where it has the cell."""
        if not self.possible:
            return
        lines = []
        if self._module:
            lines = self._compared()
        lines.append('print(agreed, "printed numbers agree with what torch computes")')
        yield Script("\n".join(lines))

    @property
    def _module(self) -> str | None:
        net = self.values.net
        return None if net.single_step else torch_class(net.cell)

    def _given(self, b: int) -> str:
        """Return the initial states as torch's module takes them; nothing for zeros."""
        net = self.values.net
        if self.values.trace.inputs.states is None:
            return ""
        stacks = [
            ", ".join(self._initial(position, b, state) for position in net.positions)
            for state in net.cell.states
        ]
        tensors = [f"torch.stack([{stack}])" for stack in stacks]
        return f", {tensors[0]}" if len(tensors) == 1 else f", ({', '.join(tensors)})"

    def _compared(self) -> list[str]:
        net, shown = self.values.net, self.values.selection.sequences
        arguments = [f"{net.input_size}, {next(iter(_hidden(net)))}"]
        arguments += [f"num_layers={net.num_layers}"] * (net.num_layers > 1)
        arguments += ["bidirectional=True"] * net.bidirectional
        arguments += ['nonlinearity="relu"'] * (net.cell.family == "rnn_relu")
        if not any(name.startswith("b_") for name in _names(net.cell)):
            arguments.append("bias=False")
        if net.cell.projected:
            arguments.append(f"proj_size={net.state_sizes['h']}")
        lines = [
            f"module = torch.nn.{self._module}({', '.join(arguments)})",
            "weights = {",
        ]
        for position in net.positions:
            for array, members in net.cell.stacking.items():
                parts = ", ".join(_name(net, position, member) for member in members)
                joined = f"torch.cat([{parts}])" if len(members) > 1 else parts
                lines.append(f'    "{array_name(array, position)}": {joined},')
        lines += ["}", "module.load_state_dict(weights)"]
        inputs = self.values.trace.inputs
        for b in shown:
            x = self._tensor(inputs.x[: inputs.lengths[b], b])
            lines.append(f"output = module({x}{self._given(b)})[0].detach()")
            if self._whole:
                states = [_output(p, b) for p in net.layer(net.num_layers - 1)]
                joined = f"torch.cat([{', '.join(states)}], dim=1)"
                lines.append(f"torch.testing.assert_close(output, {joined})")
            else:
                lines += self._checked_output(b)
        return lines

    def _checked_output(self, b: int) -> Iterator[str]:
        """Yield a check of the states that are shown, where the steps are not."""
        net, state = self.values.net, self.values.net.cell.states[0]
        size = net.state_sizes[state]
        for d, position in enumerate(net.layer(net.num_layers - 1)):
            for t in self.values.selection.steps(b):
                printed = _printed(self.values.decimals(position, t, b, state))
                part = f"output[{t}, {d * size}:{(d + 1) * size}]"
                yield f'check("{state}_{t + 1}", {part}, {printed})'


_UNPACK = '''
def unpack(text, shape):
    """Return a tensor from float64 numbers in base64."""
    data = base64.b64decode(text)
    numbers = struct.unpack(f"<{len(data) // 8}d", data)
    return torch.tensor(numbers).reshape(shape)

'''


def _names(cell: Cell) -> list[str]:
    return [parameter.name for parameter in cell.parameters]


def _hidden(net: Network) -> Iterator[int]:
    """Yield torch's ``hidden_size``: with a projection, the size of c."""
    yield net.state_sizes["c" if "c" in net.state_sizes else net.cell.states[0]]


def _name(net: Network, position: Position, name: str) -> str:
    """Return what a name is called at a layer and direction, as torch's arrays are."""
    if net.num_layers == 1 and not net.bidirectional:
        return name
    return array_name(name, position)


def _output(position: Position, b: int) -> str:
    """Return where the outputs of a layer and direction are kept."""
    return f'outputs[{position.layer}, "{position.direction}", {b}]'


def _printed(decimals: Mapping[int, str]) -> str:
    """Return printed decimals, by unit, as Python."""
    items = (f'{unit}: "{text}"' for unit, text in decimals.items())
    return f"{{{', '.join(items)}}}"


def _literal(values: Exact) -> str:
    if values.ndim == 1:
        return f"[{', '.join(map(_number, values.tolist()))}]"
    return f"[{', '.join(_literal(row) for row in values)}]"


def _number(value: Any) -> str:
    return repr(float(to_fraction(value)))
