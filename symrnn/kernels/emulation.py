# SPDX-License-Identifier: BSD-3-Clause
r"""Schedules: a cell in the order in which somebody computes it, proved to be that cell.

Libraries do not compute what their documentation prints: torch's GRU on a CPU computes
$(h_{t-1} - n) \odot z + n$ for $(1 - z) \odot n + z \odot h_{t-1}$. A `Schedule` writes
such an order down as equations, whose names say what is stored; it is refused unless its
equations equal the cell's exactly (`symrnn.equations.equality`). `emulate` then runs a network
in a float format in that order.

>>> from symrnn.equations import gru
>>> print(find_schedule("torch cpu", gru()).order.equations[-1])
h = s + n
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from symrnn.equations.cells import Cell
from symrnn.errors import UnsupportedError
from symrnn.kernels.schedule import Schedule, as_written
from symrnn.kernels.torch_orders import (
    onednn,
    reveal_order,
    torch_cpu,
    torch_functions,
    torch_order,
    torch_products,
)
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network
from symrnn.numerics.float_arithmetic import Floats
from symrnn.numerics.formats import FloatFormat, find_emulated_format
from symrnn.runs.run import run

__all__ = [
    "SCHEDULES",
    "Schedule",
    "as_written",
    "emulate",
    "find_schedule",
    "reveal_order",
    "torch_functions",
    "torch_order",
    "torch_products",
]

SCHEDULES: dict[str, Callable[[Cell], Schedule]] = {
    "as written": as_written,
    "torch cpu": torch_cpu,
    "onednn": partial(onednn, merged=False),
    "onednn merged": partial(onednn, merged=True),
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
        inputs: From `symrnn.kernels.read_inputs`; rounded likewise.
        format: ``"bfloat16"``, ``"float8_e4m3fn"``, ``"p11e5"``, a `FloatFormat`, …
        schedule: The order of operations; by default torch's on a processor with all
            instructions that oneDNN makes use of, whatever this one has, for the cells
            that torch has, and that of the equations with sums in float32 for others.
        functions: Elementwise functions to take instead of correctly rounded ones.

    Returns:
        The output and the last states, in torch's shapes, as float64 arrays that hold the
        format's numbers. NaN and infinity occur where the format overflows. The output of
        packed inputs is that of ``PackedSequence.data``.

    >>> from symrnn import load
    >>> from symrnn.kernels import read_inputs
    >>> net = load({"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [[0]]}, cell="rnn_tanh")
    >>> output, (h_n,) = emulate(net, read_inputs(net, [[3]]), "float8_e5m2")
    >>> output.tolist(), h_n.tolist()
    ([[-1.0]], [[-1.0]])
    """
    if schedule is None:
        schedule = _default(net, inputs, format)
    elif isinstance(schedule, str):
        schedule = find_schedule(schedule, net.cell)
    elif not isinstance(schedule, Schedule):
        raise TypeError(
            f"schedule must be a Schedule or one of the names {', '.join(SCHEDULES)} "
            f"(got {schedule!r})"
        )
    domain = schedule.domain(format, functions=functions)
    trace = run(schedule.apply(net), inputs, domain, keep="states")
    output = np.array(trace.output.elements, dtype=np.float64)
    states = (trace.state(name).elements for name in net.cell.states)
    return output, tuple(np.array(s, dtype=np.float64) for s in states)


def _default(net: Network, inputs: Inputs, format: str | FloatFormat) -> Schedule:
    name = find_emulated_format(format).name
    try:
        return torch_order(net, inputs, name, here=False)
    except UnsupportedError:
        return as_written(net.cell, accumulate="float32")
