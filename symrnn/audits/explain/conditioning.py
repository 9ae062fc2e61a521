# SPDX-License-Identifier: BSD-3-Clause
r"""How much a cell's gates magnify rounding errors: two condition numbers each.

Note [Two condition numbers]
    A gate is a function of a sum of products. What roundings do to the sum, relative to
    it, is governed by

        κ = (|W| |x| + |U| |h| + |b|) / |W x + U h + b|,

    at least 1 and large where terms cancel; and the function passes a relative error of
    its argument on multiplied by

        κ_f = |a f'(a) / f(a)|.

    To first order, the gate's relative error is at most n u κ κ_f plus the function's own
    (El Arar, Filip, Mary & Riccietti, 'Mixed precision accumulation for neural network
    inference guided by componentwise forward error analysis', 2025). The
    numerator of κ is the same expression with absolute values everywhere, which gives κ
    of any expression, such as LSTM's ``f ⊙ c_prev + i ⊙ g``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sympy import MatrixExpr

from symrnn.domains.dual import DualDomain, slope
from symrnn.equations.functions import ElementwiseFunction
from symrnn.equations.language import Add, Elementwise, Hadamard, Matmul, Neg, Transpose
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network, Position
from symrnn.runs.run import run
from symrnn.runs.trace import Trace

__all__ = ["ConditionSummary", "Conditioning", "condition"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSummary:
    """The condition numbers of one quantity of one layer and direction, all steps.

    Attributes:
        layer: The layer.
        direction: ``"forward"`` or ``"reverse"``.
        quantity: Its name.
        sum_median: Median of κ.
        sum_worst: Largest κ; infinite where terms cancel to exactly 0.
        sum_step: The step where that is.
        sum_batch: The batch element.
        sum_unit: The unit.
        function_median: Median of κ_f; ``None`` where no function is applied last.
        function_worst: Largest κ_f, likewise.
        product_worst: Largest κ κ_f, likewise.
    """

    layer: int
    direction: str
    quantity: str
    sum_median: float
    sum_worst: float
    sum_step: int
    sum_batch: int
    sum_unit: int
    function_median: float | None
    function_worst: float | None
    product_worst: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """Condition numbers along a trajectory; see Note [Two condition numbers].

    Measured in float64, not proven. Arrays are (time, batch, size) by (layer,
    direction) and quantity, NaN beyond a sequence's length.

    Attributes:
        sums: κ of the sum in each quantity: of its pre-activation where a function is
            applied last, else of the quantity itself. 1 where all terms are 0.
        functions: κ_f of the function that is applied last, for quantities that have
            one.
    """

    sums: Mapping[Position, Mapping[str, Floats]]
    functions: Mapping[Position, Mapping[str, Floats]]

    def summary(self) -> tuple[ConditionSummary, ...]:
        """Return worst and median of every quantity."""
        return tuple(
            _summarise(position, name, values, self.functions[position].get(name))
            for position, sums in self.sums.items()
            for name, values in sums.items()
            if not np.isnan(values).all()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data for JSON, which has no infinity: ``None``."""
        return {"quantities": list(_plain(self.summary()))}


def condition(net: Network, inputs: Inputs) -> Conditioning:
    """Return the condition numbers of every quantity at every step.

    Args:
        net: The network, of any cell.
        inputs: What it is run on.

    Raises:
        NotFiniteError: A parameter, input or initial state is NaN or infinite.

    >>> import symrnn
    >>> from symrnn.networks.inputs import read_inputs
    >>> net = symrnn.load({"weight_ih_l0": [[1, -1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    >>> found = condition(net, read_inputs(net, [[3, 2]]))
    >>> found.sums[0, "forward"]["h"].tolist()  # (3 + 2) / |3 - 2|
    [[[5.0]]]
    """
    net.require_finite()
    inputs.require_finite()
    trace = run(net, inputs, DualDomain(), keep="nodes")
    sums: dict[Position, dict[str, Floats]] = {
        position: {} for position in net.positions
    }
    functions: dict[Position, dict[str, Floats]] = {
        position: {} for position in net.positions
    }
    for line in net.cell.equations:
        of = line.value if line.preactivation is None else line.preactivation
        for position in net.positions:
            steps = trace.records[position].steps
            found = [_sum_condition(of, step) for step in steps]
            sums[position][line.name] = _gather(trace, found)
            if isinstance(line.value, Elementwise):
                function = line.value.function
                found = [function_condition(function, step[of].value) for step in steps]
                functions[position][line.name] = _gather(trace, found)
    return Conditioning(sums=sums, functions=functions)


def _gather(trace: Trace, found: Sequence[Floats]) -> Floats:
    """Return (time, batch, size) from the columns of each step."""
    inputs = trace.inputs
    result = np.full((inputs.time, inputs.batch, len(found[0])), np.nan)
    for t, (values, width) in enumerate(zip(found, inputs.widths, strict=True)):
        wide = np.broadcast_to(values, (len(values), width))
        result[t, list(inputs.order[:width])] = wide.T
    return result


def _sum_condition(expression: MatrixExpr, step: Mapping[Any, Any]) -> Floats:
    size, value = _magnitude(expression, step), np.abs(step[expression].value)
    with np.errstate(all="ignore"):
        found = np.where(size == 0, 1.0, np.maximum(size / value, 1.0))
    return np.asarray(found, dtype=np.float64)


def _magnitude(node: MatrixExpr, step: Mapping[Any, Any]) -> Floats:
    """Return the expression with absolute values of all that it is made of."""

    def sizes() -> Iterator[Floats]:
        return (_magnitude(child, step) for child in node.args)

    match node:
        case Matmul():
            a, b = sizes()
            return np.asarray(a @ b)
        case Hadamard():
            a, b = sizes()
            return np.asarray(a * b)
        case Add():
            first, *rest = sizes()
            for size in rest:
                first = first + size
            return np.asarray(first)
        case Neg():
            return next(sizes())
        case Transpose():
            return np.asarray(next(sizes()).T)
    value: Floats = step[node].value  # of a leaf, or a function's result
    return np.abs(value)


def function_condition(function: ElementwiseFunction, a: Floats) -> Floats:
    """Return |a f'(a) / f(a)|; where that is 0/0, 1 at a simple zero of f, else 0.

    >>> from symrnn.equations.functions import FUNCTIONS
    >>> function_condition(FUNCTIONS["tanh"], np.array([0.0, 40.0])).tolist()
    [1.0, 0.0]
    >>> function_condition(FUNCTIONS["relu"], np.array([-1.0, 2.0])).tolist()
    [0.0, 1.0]
    """
    with np.errstate(all="ignore"):
        value, derivative = function.numpy(a), slope(function, a)
        numerator = np.abs(a * derivative)
        limit = np.where((a == 0) & (derivative != 0), 1.0, 0.0)
        found = np.where(numerator == 0, 0.0, numerator / np.abs(value))
    return np.asarray(np.where((numerator == 0) & (value == 0), limit, found))


def _summarise(
    position: Position, quantity: str, sums: Floats, functions: Floats | None
) -> ConditionSummary:
    step, batch, unit = np.unravel_index(int(np.nanargmax(sums)), sums.shape)
    product = None
    if functions is not None:
        with np.errstate(invalid="ignore"):  # ∞ · 0 is not known to be large
            product = float(np.nanmax(np.nan_to_num(sums * functions, nan=0.0)))
    return ConditionSummary(
        layer=position.layer,
        direction=str(position.direction),
        quantity=quantity,
        sum_median=float(np.nanmedian(sums)),
        sum_worst=float(sums[step, batch, unit]),
        sum_step=int(step),
        sum_batch=int(batch),
        sum_unit=int(unit),
        function_median=None if functions is None else float(np.nanmedian(functions)),
        function_worst=None if functions is None else float(np.nanmax(functions)),
        product_worst=product,
    )


def _plain(summaries: tuple[ConditionSummary, ...]) -> Iterator[dict[str, Any]]:
    for summary in summaries:
        named = {name: getattr(summary, name) for name in summary.__slots__}
        yield {
            name: None if isinstance(v, float) and not np.isfinite(v) else v
            for name, v in named.items()
        }
