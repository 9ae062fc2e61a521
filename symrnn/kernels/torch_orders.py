# SPDX-License-Identifier: BSD-3-Clause
r"""The orders in which torch 2.13 computes its cells on a CPU.

Note [Revealing an order]
    With ones everywhere but for a huge term i and its negative j, all that is added to the
    partial sum that holds i, before it meets j, is lost; what remains is the number of
    terms outside the smallest partial sum that holds both. All these numbers together
    determine the tree of additions (Xie, Gao & Xue, 'FPRev: revealing the order of
    floating-point summation', 2024, arXiv:2411.00442). Whether a product is rounded before
    it is added shows in $(1 + \epsilon)^2 - \mathrm{fl}((1 + \epsilon)^2)$, which is 0 only
    if it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from sympy import MatrixExpr

from symrnn.domains.rounded import ProductOrder, Tree, TreeOrder
from symrnn.equations.cells import Cell
from symrnn.equations.language import (
    add,
    hadamard,
    matmul,
    neg,
    relu,
    sigmoid,
    tanh,
    zeros,
)
from symrnn.equations.symbols import Named, hidden_size, previous, quantity, x
from symrnn.errors import UnsupportedError
from symrnn.kernels.environment import layer_kernel, onednn_enabled
from symrnn.kernels.schedule import Schedule
from symrnn.networks.inputs import Inputs
from symrnn.networks.network import Network
from symrnn.numerics.float_arithmetic import Arithmetic, Floats
from symrnn.numerics.formats import FORMATS, FloatFormat, find_emulated_format

__all__ = [
    "onednn",
    "reveal_order",
    "torch_cpu",
    "torch_functions",
    "torch_order",
    "torch_products",
]


def reveal_order(
    dot: Callable[[Floats, Floats], float], terms: int, format: FloatFormat
) -> TreeOrder:
    """Return the order of a dot product.

    It takes about terms² / 2 calls. What is found is the order of those calls; that other
    numbers are added in the same order is an assumption, true of libraries whose order
    depends on sizes alone.

    Args:
        dot: Maps two float64 arrays of shape (terms,), which hold numbers of `format`, to
            the dot product that a library computes in that format.
        terms: How many terms there are, at least 1.
        format: float32 or float64.

    >>> import symrnn.numerics.formats
    >>> single = symrnn.numerics.formats.FORMATS["float32"]
    >>> def dot(a, b):
    ...     return float(np.add.accumulate(np.float32(a) * np.float32(b))[-1])
    >>> reveal_order(dot, 4, single)
    TreeOrder(tree=(((0, 1), 2), 3), fused=frozenset())
    """
    ones = np.ones(terms)
    huge = 2.0 ** (3 * format.precision)

    def together(i: int, j: int) -> int:
        """Return how many terms the smallest partial sum with both has."""
        a = ones.copy()
        a[i], a[j] = huge, -huge
        return terms - round(dot(a, ones))

    sizes = np.zeros((terms, terms), dtype=int)
    for i in range(terms):
        for j in range(i + 1, terms):
            sizes[i, j] = sizes[j, i] = together(i, j)
    tree = _tree(sizes, range(terms))
    fused = frozenset(
        term
        for term, partner in _leaves_with_partners(tree)
        if _is_fused(dot, terms, term, partner, format)
    )
    return TreeOrder(tree, fused)


def _tree(
    sizes: np.ndarray[tuple[int, int], np.dtype[np.int_]], leaves: Sequence[int]
) -> Tree:
    """Build the tree over `leaves` outwards from the first of them."""
    first, *others = leaves
    tree: Tree = first
    for size in sorted({int(sizes[first, k]) for k in others}):
        tree = (tree, _tree(sizes, [k for k in others if sizes[first, k] == size]))
    return tree


def _leaves_with_partners(tree: Tree) -> Iterator[tuple[int, int]]:
    """Yield each term that is added by itself, and some term that it is added to."""
    rest = [tree]
    while rest:
        sum_of = rest.pop()
        if isinstance(sum_of, int):
            continue
        for part, other in (sum_of, sum_of[::-1]):
            if isinstance(part, int):
                while not isinstance(other, int):
                    other = other[0]
                yield part, other
            rest.append(part)


def _is_fused(
    dot: Callable[[Floats, Floats], float],
    terms: int,
    term: int,
    partner: int,
    format: FloatFormat,
) -> bool:
    """Whether the exact product of a term is added to the sum that holds its partner."""
    factor = 1 + 2.0 ** -((format.precision + 1) // 2)
    a, b = np.zeros(terms), np.zeros(terms)
    a[term] = b[term] = factor
    a[partner] = -float(Arithmetic(format).multiply(a[term], b[term]))
    b[partner] = 1.0
    return dot(a, b) != 0


def torch_order(
    net: Network,
    inputs: Inputs,
    format: str,
    *,
    grad: bool = False,
    here: bool = True,
) -> Schedule:
    """Return the order in which torch computes a network of its own on a CPU.

    Which kernel that is, oneDNN's for whole LSTM layers or torch's own, torch is asked
    (see `symrnn.kernels.layer_kernel`); where it is not installed, oneDNN is
    taken to be enabled and to have LSTMs of float32, bfloat16 and float16.

    oneDNN 3.12 was observed on AVX-512 to merge the two products of a step where gradients
    are recorded and the batch is 1, or neither is so and the input is as large as the
    state; limited to AVX2, it does the latter too. Layers of one network may differ in
    that; the first one's order is taken.

    Args:
        net: The network.
        inputs: What it runs on.
        format: The format in which it runs.
        grad: Whether gradients are recorded.
        here: Whether torch is asked about this processor and its settings. If not, the
            order is the same on every machine: what is taken where torch is not installed.

    Raises:
        UnsupportedError: torch has no such cell.
    """
    kernel = layer_kernel(
        net.cell.family,
        find_emulated_format(format),
        grad=grad,
        onednn=not here or onednn_enabled(),
        single_step=inputs.layout.single_step,
        projected=net.cell.projected,
        packed=inputs.layout.packed,
        here=here,
    )
    if kernel == "elementwise":
        return torch_cpu(net.cell)
    if inputs.batch == 1:
        return onednn(net.cell, merged=grad)
    return onednn(net.cell, merged=not grad and net.input_size == net.hidden_size)


def torch_functions(
    schedule: Schedule, format: str
) -> Mapping[str, Callable[[Floats], Floats]]:
    """Return torch's own tanh and sigmoid, as its kernels for `schedule` compute them.

    They are not correctly rounded, and depend on the processor and on where in a tensor
    an element is: the last ones of a row are computed one by one, by another method. To
    have torch choose as in a cell, the arguments are given the layout that they have there
    (tanh of an LSTM's g excepted, which is taken to lie as c does).

    Args:
        schedule: One of torch's orders.
        format: The format stored; 16-bit formats take float32's functions.
    """
    import torch

    wide = torch.float64 if format == "float64" else torch.float32
    gates = len(schedule.cell.stacking["weight_ih"])

    def by_onednn(name: str, x: Floats) -> Floats:
        tensor = torch.tensor(np.ascontiguousarray(x.T)).to(torch.float32).to_mkldnn()
        result = getattr(tensor, name)().to_dense().double().numpy()
        return np.asarray(result).T

    def by_torch(name: str, x: Floats) -> Floats:
        chunks = gates if name == "sigmoid" else 1
        row = torch.zeros(x.shape[1], chunks, x.shape[0], dtype=wide)[:, 0]
        row.copy_(torch.tensor(np.ascontiguousarray(x.T)))
        return np.asarray(getattr(row, name + "_")().double().numpy()).T

    evaluate = by_onednn if schedule.kernel == "lstm/onednn" else by_torch

    def function(name: str) -> Callable[[Floats], Floats]:
        return lambda x: evaluate(name, x)

    return {name: function(name) for name in ("tanh", "sigmoid")}


def torch_products(format: str, rows: int) -> Callable[[int, int], TreeOrder]:
    """Return the order of torch's linear maps, asked of the torch that is installed.

    The order of the first element is asked for (row and column 0), and taken for all.

    Args:
        format: ``"float32"`` or ``"float64"``.
        rows: How many rows the weights have, those of all gates together.

    Returns:
        What maps a number of terms and of columns to an order, for `Schedule.choose`. It
        remembers its answers; an answer takes about terms² / 2 calls of torch.
    """
    import torch

    dtype = getattr(torch, format)
    zeros = torch.zeros(rows, dtype=dtype)

    @lru_cache
    def choose(terms: int, columns: int) -> TreeOrder:
        weights = torch.zeros(rows, terms, dtype=dtype)
        x = torch.zeros(columns, terms, dtype=dtype)

        def dot(a: Floats, b: Floats) -> float:
            weights[0], x[0] = torch.from_numpy(a), torch.from_numpy(b)
            return float(torch.nn.functional.linear(x, weights, zeros)[0, 0])

        return reveal_order(dot, terms, FORMATS[format])

    return choose


def torch_cpu(cell: Cell) -> Schedule:
    """Return the order of torch's own kernels on a CPU.

    Each torch operation is an equation, since each stores its result. Products of 16-bit
    formats, and single operations on them, are computed in float32. Reference: PyTorch,
    aten/src/ATen/native/RNN.cpp (``SimpleCell``, ``LSTMCell``, ``GRUCell``).
    """
    equations = _TORCH_CELLS.get(cell.family or "")
    if equations is None:
        raise UnsupportedError(
            f"torch has no cell {cell.name}, so no order of it either"
        )
    order = Cell.define(
        f"{cell.name}, torch's order",
        parameters=cell.parameters,
        equations=equations(_Linear(cell)),
        stacking=cell.stacking,
    )
    return Schedule(
        name="torch cpu",
        kernel="elementwise",
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


def _onednn_equations(cell: _Linear) -> dict[Named, MatrixExpr]:
    h, c_prev = cell.h, previous("c", hidden_size)
    bias = {}
    if "b_ii" in cell.named:
        for g in "ifgo":
            both = add(cell.named[f"b_i{g}"], cell.named[f"b_h{g}"])
            bias[g] = cell.store(f"b_{g}", both)
    sums = {
        g: add(
            matmul(cell.named[f"W_i{g}"], x),
            matmul(cell.named[f"W_h{g}"], h),
            bias.get(g),
        )
        for g in "ifgo"
    }
    i, f, o = (sigmoid(sums[g]) for g in "ifo")
    c = add(hadamard(f, c_prev), hadamard(i, tanh(sums["g"])))
    cell.store("c", c)
    # The stored c is rounded; + 0 makes another value of the same sum, which is not.
    cell.store("h", hadamard(o, tanh(add(*c.args, zeros(hidden_size)))))
    return cell.equations


def onednn(cell: Cell, *, merged: bool) -> Schedule:
    """Return the order of oneDNN's LSTM, to which torch hands those that are not packed.

    Gates are never stored: between the products and the states everything is float32, and
    $c$ is a fused multiply-add. Reference: PyTorch, aten/src/ATen/native/mkldnn/RNN.cpp,
    and what oneDNN 3.12 was observed to return on AVX-512. Limited to AVX2 it returned the
    same without gradients and nearly the same with them; limited to SSE 4.1 it has no fused
    multiply-adds.

    Args:
        cell: ``lstm()``, with or without biases.
        merged: Whether the recurrent product goes on where that of the input ended,
            instead of being added to it; see `torch_order`.

    Raises:
        UnsupportedError: The cell is another.
    """
    if cell.family != "lstm" or cell.projected:
        raise UnsupportedError(f"torch computes only LSTMs by oneDNN, not {cell.name}")
    order = Cell.define(
        "LSTM, oneDNN's order",
        parameters=cell.parameters,
        equations=_onednn_equations(_Linear(cell)),
        stacking=cell.stacking,
    )
    return Schedule(
        name="onednn merged" if merged else "onednn",
        kernel="lstm/onednn",
        cell=cell,
        order=order,
        products=ProductOrder(fma=True),
        accumulate="float32",
        fused=("hadamard", "matmul") if merged else ("hadamard",),
    )


_TORCH_CELLS: dict[str, Callable[[_Linear], dict[Named, MatrixExpr]]] = {
    "rnn_tanh": _torch_rnn(tanh),
    "rnn_relu": _torch_rnn(relu),
    "lstm": _torch_lstm,
    "gru": _torch_gru,
}
