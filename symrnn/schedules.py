# SPDX-License-Identifier: BSD-3-Clause
r"""Schedules: a cell in the order in which somebody computes it, proved to be that cell.

Libraries do not compute what their documentation prints: torch's GRU on a CPU computes
$(h_{t-1} - n) \odot z + n$ for $(1 - z) \odot n + z \odot h_{t-1}$. A `Schedule` writes
such an order down as equations, whose names say what is stored; it is refused unless its
equations equal the cell's exactly (`symrnn.polynomials`). `emulate` then runs a network
in a float format in that order.

>>> from symrnn.cells import gru
>>> print(find_schedule("torch cpu", gru()).order.equations[-1])
h = s + n
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from sympy import MatrixExpr

from symrnn.cells import Cell, Equation, hidden_size, previous, quantity, x
from symrnn.domains.rounded import ProductOrder, RoundedDomain
from symrnn.errors import EquationError, UnsupportedError
from symrnn.formats import FloatFormat, find_emulated_format
from symrnn.inputs import Inputs
from symrnn.language import (
    Named,
    add,
    hadamard,
    matmul,
    neg,
    relu,
    sigmoid,
    tanh,
)
from symrnn.network import Network
from symrnn.polynomials import Polynomial, normal_form, spell
from symrnn.rounding import Floats
from symrnn.run import run

__all__ = ["SCHEDULES", "Schedule", "emulate", "find_schedule"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A cell, and an order of operations that computes it exactly where nothing is rounded.

    Attributes:
        name: What it is called in reports.
        cell: The cell that it computes.
        order: A cell with the same parameters and states whose equations are in the order
            of computation; each value that is stored has a name there.
        products: The order of the sums in matrix products.
        accumulate: The format of operations inside an equation where numbers are stored
            in a narrower one; ``None`` rounds every operation to the format stored.

    Raises:
        EquationError: An equation of `order` does not equal the cell's, or has other
            parameters or states. The message names the equation and the difference.
    """

    name: str
    cell: Cell
    order: Cell
    products: ProductOrder = field(default_factory=ProductOrder)
    accumulate: str | None = None

    def __post_init__(self) -> None:
        _prove(self)

    def apply(self, net: Network) -> Network:
        """Return a network that computes what `net` does, in this order.

        Raises:
            EquationError: `net` has another cell.
        """
        if net.cell != self.cell:
            raise EquationError(
                f"the order {self.name!r} is of {self.cell.name}, not of "
                f"{net.cell.name}"
            )
        return replace(net, cell=self.order)

    def domain(
        self,
        format: str | FloatFormat,
        *,
        functions: Mapping[str, Callable[[Floats], Floats]] | None = None,
    ) -> RoundedDomain:
        """Return the arithmetic in which it runs when numbers are stored in `format`.

        Args:
            format: See `symrnn.formats.find_emulated_format`.
            functions: See `RoundedDomain`.
        """
        target = find_emulated_format(format)
        inner = target
        if self.accumulate is not None:
            wide = find_emulated_format(self.accumulate)
            inner = wide if wide.precision > target.precision else target
        return RoundedDomain(
            target, accumulate=inner, products=self.products, functions=functions
        )


# --- the proof ----------------------------------------------------------------------


def _prove(schedule: Schedule) -> None:
    """Compare every quantity that the order and the cell have both, states among them."""
    cell, order = schedule.cell, schedule.order
    where = f"the order {schedule.name!r} of {cell.name}"
    for what, ours, theirs in (
        ("parameters", order.parameters, cell.parameters),
        ("states", order.states, cell.states),
        ("stacking", dict(order.stacking), dict(cell.stacking)),
    ):
        if ours != theirs:
            raise EquationError(f"{where} has {what} {ours}, expected {theirs}")
    expected = {line.name: line for line in cell.equations}
    full = _forms(cell), _forms(order)
    # Quantities known to be equal stay names, which keeps a difference short.
    equal: dict[MatrixExpr, Polynomial] = {}
    for line in order.equations:
        if line.name not in expected:
            continue
        written = expected[line.name]
        if full[0][written.target] != full[1][line.target]:
            difference = _difference(cell, order, line, equal)
            raise EquationError(
                f"{where}: equation {line.name} is not equal to the cell's "
                f"'{written}'; it exceeds it by {difference}"
            )
        equal[line.target] = normal_form(line.target)


def _forms(
    cell: Cell, known: Mapping[MatrixExpr, Polynomial] | None = None
) -> dict[MatrixExpr, Polynomial]:
    """Return every quantity of a cell in terms of parameters, x and previous states."""
    forms: dict[MatrixExpr, Polynomial] = dict(known or {})
    for line in cell.equations:
        if line.target not in forms:
            forms[line.target] = normal_form(line.value, forms)
    return forms


def _difference(
    cell: Cell, order: Cell, line: Equation, equal: Mapping[MatrixExpr, Polynomial]
) -> str:
    ours, theirs = (dict(_forms(c, equal)[line.target]) for c in (order, cell))
    zero = Fraction(0)
    terms = {m: ours.get(m, zero) - theirs.get(m, zero) for m in ours | theirs}
    return spell(frozenset((m, c) for m, c in terms.items() if c))


# --- the orders of torch ------------------------------------------------------------


def _as_written(cell: Cell) -> Schedule:
    return Schedule(name="as written", cell=cell, order=cell)


def _torch_cpu(cell: Cell) -> Schedule:
    """Return the order of torch's own kernels on a CPU.

    Each torch operation is an equation, since each stores its result. Products of 16-bit
    formats, and single operations on them, are computed in float32. Reference: PyTorch,
    aten/src/ATen/native/RNN.cpp (``SimpleCell``, ``LSTMCell``, ``GRUCell``).
    """
    family = cell.name.partition(" with ")[0]
    if family not in _TORCH_CELLS or (cell.name == "GRU (reset before)"):
        raise UnsupportedError(
            f"torch has no cell {cell.name}, so no order of it either"
        )
    order = Cell.define(
        f"{cell.name}, torch's order",
        parameters=cell.parameters,
        equations=_TORCH_CELLS[family](_Linear(cell)),
        stacking=cell.stacking,
    )
    return Schedule(
        name="torch cpu",
        cell=cell,
        order=order,
        products=ProductOrder(fma=True),
        accumulate="float32",
    )


class _Linear:
    """torch's two linear maps of a cell, ``W_i? x + b_i?`` and ``W_h? h + b_h?``."""

    def __init__(self, cell: Cell) -> None:
        self.named = {p.name: p for p in cell.parameters}
        size = dict(zip(cell.states, cell.state_sizes, strict=True))
        self.h = previous("h", size["h"])
        self.size = size
        self.equations: dict[Named, MatrixExpr] = {}

    def store(self, name: str, value: MatrixExpr) -> Named:
        """Add an equation, and return its name."""
        target = quantity(name, value.shape[0])
        self.equations[target] = value
        return target

    def linear(self, letter: str, gate: str) -> Named:
        """Store a linear map of the input (``"i"``) or of the state (``"h"``)."""
        argument = x if letter == "i" else self.h
        suffix = f"{letter}{gate}"
        product = matmul(self.named[f"W_{suffix}"], argument)
        return self.store(f"a_{suffix}", add(product, self.named.get(f"b_{suffix}")))

    def gate(self, gate: str) -> Named:
        """Store the sum of both linear maps."""
        inputs, states = self.linear("i", gate), self.linear("h", gate)
        return self.store(f"a_{gate}", add(states, inputs))


def _torch_rnn(
    activation: Callable[[MatrixExpr], MatrixExpr],
) -> Callable[[_Linear], dict[Named, MatrixExpr]]:
    def equations(cell: _Linear) -> dict[Named, MatrixExpr]:
        inputs, states = cell.linear("i", "h"), cell.linear("h", "h")
        total = cell.store("a", add(states, inputs))
        cell.store("h", activation(total))
        return cell.equations

    return equations


def _torch_lstm(cell: _Linear) -> dict[Named, MatrixExpr]:
    sums = {gate: cell.gate(gate) for gate in "ifgo"}
    i, f, o = (cell.store(gate, sigmoid(sums[gate])) for gate in "ifo")
    g = cell.store("g", tanh(sums["g"]))
    kept = cell.store("kept", hadamard(f, previous("c", hidden_size)))
    new = cell.store("new", hadamard(i, g))
    c = cell.store("c", add(kept, new))
    shown = cell.store("shown", tanh(c))
    if "W_hr" not in cell.named:
        cell.store("h", hadamard(o, shown))
    else:
        m = cell.store("m", hadamard(o, shown))
        cell.store("h", matmul(cell.named["W_hr"], m))
    return cell.equations


def _torch_gru(cell: _Linear) -> dict[Named, MatrixExpr]:
    r, z = (cell.store(gate, sigmoid(cell.gate(gate))) for gate in "rz")
    inputs, states = cell.linear("i", "n"), cell.linear("h", "n")
    reset = cell.store("reset", hadamard(states, r))
    n = cell.store("n", tanh(cell.store("a_n", add(inputs, reset))))
    step = cell.store("d", add(cell.h, neg(n)))
    cell.store("h", add(cell.store("s", hadamard(step, z)), n))
    return cell.equations


_TORCH_CELLS: dict[str, Callable[[_Linear], dict[Named, MatrixExpr]]] = {
    "RNN (tanh)": _torch_rnn(tanh),
    "RNN (relu)": _torch_rnn(relu),
    "LSTM": _torch_lstm,
    "GRU": _torch_gru,
}

SCHEDULES: dict[str, Callable[[Cell], Schedule]] = {
    "as written": _as_written,
    "torch cpu": _torch_cpu,
}
"""What makes a schedule of a cell, by the schedule's name; add your own."""


def find_schedule(name: str, cell: Cell) -> Schedule:
    """Return the schedule `name` of a cell.

    Raises:
        ValueError: There is no such schedule.
        UnsupportedError: The cell has none of that name.
    """
    if name not in SCHEDULES:
        raise ValueError(
            f"no schedule named {name!r}; there are {', '.join(SCHEDULES)}"
        )
    return SCHEDULES[name](cell)


# --- emulation ----------------------------------------------------------------------


def emulate(
    net: Network,
    inputs: Inputs,
    format: str | FloatFormat,
    schedule: Schedule | str | None = None,
    *,
    functions: Mapping[str, Callable[[Floats], Floats]] | None = None,
) -> tuple[Floats, tuple[Floats, ...]]:
    """Run a network in a float format, every operation correctly rounded.

    Args:
        net: The network; parameters are rounded to `format` first.
        inputs: From `symrnn.inputs.read_inputs`; rounded likewise.
        format: ``"bfloat16"``, ``"float8_e4m3fn"``, ``"p11e5"``, a `FloatFormat`, …
        schedule: The order of operations; by default torch's, for the cells that torch
            has, and that of the equations with sums in float32 for others.
        functions: Elementwise functions to take instead of correctly rounded ones.

    Returns:
        The output and the last states, in torch's shapes, as float64 arrays that hold the
        format's numbers. NaN and infinity occur where the format overflows. The output of
        packed inputs is that of ``PackedSequence.data``.

    >>> from symrnn import load
    >>> from symrnn.inputs import read_inputs
    >>> net = load({"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [[0]]}, cell="rnn_tanh")
    >>> output, (h_n,) = emulate(net, read_inputs(net, [[3]]), "float8_e5m2")
    >>> output.tolist(), h_n.tolist()
    ([[-1.0]], [[-1.0]])
    """
    if schedule is None:
        schedule = _default(net.cell)
    elif isinstance(schedule, str):
        schedule = find_schedule(schedule, net.cell)
    domain = schedule.domain(format, functions=functions)
    trace = run(schedule.apply(net), inputs, domain, keep="states")
    output = np.array(trace.output.elements, dtype=np.float64)
    states = (trace.state(name).elements for name in net.cell.states)
    return output, tuple(np.array(s, dtype=np.float64) for s in states)


def _default(cell: Cell) -> Schedule:
    try:
        return _torch_cpu(cell)
    except UnsupportedError:
        return replace(_as_written(cell), accumulate="float32")
