# SPDX-License-Identifier: BSD-3-Clause
r"""Recurrent cells, written once as equations.

The equations are those of PyTorch's documentation, with column vectors. ``h_prev`` is
$h_{t-1}$; ``x`` is $x_t$. Sizes are PyTorch's: `input_size`, `hidden_size`, `proj_size`.
Everything symrnn does with a cell (values, derivations, audits) is read off them.

A cell of one's own takes about ten lines; here is the minimal gated unit (Zhou et al.,
2016):

>>> from symrnn.equations import add, hadamard, matmul, matrix, ones, sigmoid, subtract
>>> from symrnn.equations import tanh, vector
>>> H = hidden_size
>>> W_f, U_f = matrix("W_f", H, input_size), matrix("U_f", H, H)
>>> W_h, U_h = matrix("W_h", H, input_size), matrix("U_h", H, H)
>>> b_f, b_h, h_prev = vector("b_f", H), vector("b_h", H), previous("h", H)
>>> f, n = quantity("f", H), quantity("n", H)
>>> mgu = Cell.define(
...     "MGU",
...     parameters=[W_f, U_f, b_f, W_h, U_h, b_h],
...     equations={
...         f: sigmoid(add(matmul(W_f, x), matmul(U_f, h_prev), b_f)),
...         n: tanh(add(matmul(W_h, x), matmul(U_h, hadamard(f, h_prev)), b_h)),
...         quantity("h", H): add(hadamard(subtract(ones(H), f), h_prev), hadamard(f, n)),
...     },
... )
>>> print(mgu)
MGU
    f = sigmoid(W_f*x + U_f*h_prev + b_f)
    n = tanh(W_h*x + U_h*(f ⊙ h_prev) + b_h)
    h = (1 - f) ⊙ h_prev + f ⊙ n
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import sympy
from sympy import Eq, MatrixExpr

from symrnn.documents.displayed import Displayed
from symrnn.equations.language import (
    Elementwise,
    Matmul,
    Transpose,
    add,
    hadamard,
    matmul,
    ones,
    postorder,
    relu,
    sigmoid,
    subtract,
    tanh,
    validate,
)
from symrnn.equations.symbols import (
    Named,
    Parameter,
    Previous,
    Quantity,
    hidden_size,
    input_size,
    matrix,
    previous,
    proj_size,
    quantity,
    vector,
    x,
)
from symrnn.errors import EquationError

__all__ = [
    "CELLS",
    "Cell",
    "Equation",
    "find_cell",
    "gru",
    "gru_reset_before",
    "lstm",
    "rnn",
]


@dataclass(frozen=True, slots=True)
class Equation:
    """One named equation of a cell: ``target = value``."""

    target: Named
    value: MatrixExpr

    @property
    def name(self) -> str:
        """The quantity that the equation defines, such as ``"i"``."""
        return str(self.target.name)

    @property
    def eq(self) -> Eq:
        """The equation as a SymPy ``Eq``."""
        return Eq(self.target, self.value, evaluate=False)

    @property
    def preactivation(self) -> MatrixExpr | None:
        """What the outermost elementwise function is applied to, if there is one."""
        return self.value.args[1] if isinstance(self.value, Elementwise) else None

    def __str__(self) -> str:
        return f"{self.target} = {self.value}"


@dataclass(frozen=True)
class Cell(Displayed):
    """A recurrent cell: states, parameters, and equations in the order of evaluation.

    Use `Cell.define` to make one. The first state is the cell's output.

    Attributes:
        name: ``"LSTM"``.
        states: Names of the states, the output first: ``("h", "c")``.
        parameters: Named matrices and vectors (as columns), shapes in size symbols.
        equations: In the order in which they are evaluated.
        stacking: How arrays hold the parameters: the array's name, to the parameters
            whose rows it stacks. PyTorch's ``weight_ih`` of a GRU is ``(W_ir|W_iz|W_in)``.
        family: Which of `CELLS` it is, with or without biases and projection; ``None``
            for a cell of one's own. Nothing but words and libraries' own facts depend on it.
    """

    name: str
    states: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    equations: tuple[Equation, ...]
    stacking: Mapping[str, tuple[str, ...]] = field(hash=False, default_factory=dict)
    family: str | None = field(default=None, compare=False)

    @classmethod
    def define(
        cls,
        name: str,
        *,
        parameters: Iterable[Parameter],
        equations: Mapping[Quantity, MatrixExpr],
        stacking: Mapping[str, Iterable[str]] | None = None,
    ) -> Cell:
        """Make a cell and check that its equations fit together.

        Args:
            name: What the cell is called in titles and messages.
            parameters: Named matrices and vectors whose shapes are written in
                `input_size`, `hidden_size` and `proj_size`, or integers.
            equations: Quantity to value, in the order of evaluation. A value may use the
                parameters, `x`, `previous` states and the quantities before it. Each
                ``previous("h", …)`` that is used makes ``h`` a state, which an equation
                must define. The output is ``h`` if there is such a state.
            stacking: How arrays stack the parameters; by default each parameter is an
                array of its own name.

        Raises:
            EquationError: A node outside the vocabulary, an undefined or doubly defined
                name, a shape that does not fit; the message names the equation.
        """
        lines = tuple(Equation(target, value) for target, value in equations.items())
        for line in lines:
            validate(line.value, f"{name}, equation {line.name}")
        parameters = tuple(parameters)
        for parameter in parameters:
            if not isinstance(parameter, Parameter):
                raise EquationError(
                    f"{name}: a parameter is made by matrix or vector (got {parameter!r}, "
                    f"a {type(parameter).__name__})"
                )
        groups = stacking or {p.name: (p.name,) for p in parameters}
        cell = cls(
            name,
            _states(lines),
            parameters,
            lines,
            {array: tuple(members) for array, members in groups.items()},
        )
        _check(cell)
        return cell

    @cached_property
    def state_sizes(self) -> tuple[sympy.Expr, ...]:
        """The size of each state, in size symbols."""
        sizes = {line.name: line.target.shape[0] for line in self.equations}
        return tuple(sizes[state] for state in self.states)

    @property
    def projected(self) -> bool:
        """Whether a state has `proj_size` elements, as that of an LSTM with projection."""
        return proj_size in self.state_sizes

    @cached_property
    def previous(self) -> Mapping[str, Previous]:
        """The symbol of each state at t - 1."""
        pairs = zip(self.states, self.state_sizes, strict=True)
        return {state: previous(state, size) for state, size in pairs}

    @cached_property
    def quantities(self) -> tuple[str, ...]:
        """Names of everything a trace of this cell can be asked for, in order.

        A pre-activation has the name of its quantity followed by ``_pre``.
        """
        names: list[str] = []
        for line in self.equations:
            if line.preactivation is not None:
                names.append(f"{line.name}_pre")
            names.append(line.name)
        return tuple(names)

    def __str__(self) -> str:
        return "\n    ".join([self.name, *map(str, self.equations)])

    def _repr_latex_(self) -> str:
        lines = (
            rf"{sympy.latex(e.target)} &= {sympy.latex(e.value)}"
            for e in self.equations
        )
        return r"$\begin{aligned}" + r"\\ ".join(lines) + r"\end{aligned}$"


def _states(lines: tuple[Equation, ...]) -> tuple[str, ...]:
    """Quantities used at t - 1, ``h`` first, then in the order of their equations."""
    used = {
        node.state
        for line in lines
        for node in postorder(line.value)
        if isinstance(node, Previous)
    }
    ordered = [line.name for line in lines if line.name in used]
    missing = used - set(ordered)
    if missing:
        raise EquationError(
            f"no equation defines the state {sorted(missing)[0]!r}, although "
            f"{sorted(missing)[0]}_prev is used; define quantity({sorted(missing)[0]!r}, …)"
        )
    return tuple(sorted(ordered, key=lambda state: state != "h"))


_RESERVED = frozenset(
    {"trace", "position", "layer", "direction", "t", "names", "running", "previous"}
    | {"unrolled", "equations", "input_equation", "scalar", "matrix", "substituted"}
)
"""What a step of a trace, or of an unrolled network, is asked for besides its quantities."""


def _check_columns(value: MatrixExpr, parameters: set[str], where: str) -> None:
    """Refuse what would mix the columns of a batch, which are different sequences.

    Only expressions of parameters alone may be transposed or multiply from the left.
    """
    for node in postorder(value):
        if isinstance(node, (Matmul, Transpose)):
            for leaf in postorder(node.args[0]):
                if isinstance(leaf, Named) and leaf.name not in parameters:
                    what = "transpose" if isinstance(node, Transpose) else "left factor"
                    raise EquationError(
                        f"{where}: the {what} in '{node}' depends on {leaf.name}; only "
                        "expressions of parameters may be transposed or stand on the left "
                        "of matmul, since columns are the sequences of a batch"
                    )


def _check(cell: Cell) -> None:
    if not cell.states:
        raise EquationError(f"{cell.name}: no equation uses a previous state")
    known = {x, *cell.parameters}
    known |= set(cell.previous.values())
    names = {leaf.name for leaf in known}
    if len(names) < len(known):
        raise EquationError(f"{cell.name}: two parameters have the same name")
    for line in cell.equations:
        where = f"{cell.name}, equation {line.name}"
        if not isinstance(line.target, Quantity):
            raise EquationError(
                f"{where}: what an equation defines is made by quantity({line.name!r}, …) "
                f"(got a {type(line.target).__name__})"
            )
        if line.name in names | _RESERVED or line.name.endswith(("_pre", "_prev")):
            raise EquationError(f"{where}: the name {line.name!r} is taken or reserved")
        for node in postorder(line.value):
            if isinstance(node, Named) and node not in known:
                raise EquationError(
                    f"{where}: {node.name} of shape ({node.shape[0]}, {node.shape[1]}) is "
                    "neither a parameter, x, a previous state nor a quantity defined "
                    "before, or it is one with another shape"
                )
        _check_columns(line.value, {p.name for p in cell.parameters}, where)
        if line.value.shape != line.target.shape:
            raise EquationError(
                f"{where}: the value has shape {line.value.shape}, {line.name} has "
                f"{line.target.shape}"
            )
        known.add(line.target)
        names.add(line.name)
    stacked = sorted(member for members in cell.stacking.values() for member in members)
    if stacked != sorted(parameter.name for parameter in cell.parameters):
        raise EquationError(f"{cell.name}: stacking must name every parameter once")


# --- the cells of torch and ONNX ----------------------------------------------------


class _Gates:
    """The affine parts of gates with PyTorch's names: ``W_i? x + b_i? + W_h? h + b_h?``."""

    def __init__(self, letters: str, *, bias: bool, output: sympy.Expr) -> None:
        self.W_i = {g: matrix(f"W_i{g}", hidden_size, input_size) for g in letters}
        self.W_h = {g: matrix(f"W_h{g}", hidden_size, output) for g in letters}
        self.b_i = {g: vector(f"b_i{g}", hidden_size) for g in letters} if bias else {}
        self.b_h = {g: vector(f"b_h{g}", hidden_size) for g in letters} if bias else {}
        self.h = previous("h", output)

    def from_state(self, gate: str) -> MatrixExpr:
        return add(matmul(self.W_h[gate], self.h), self.b_h.get(gate))

    def affine(self, gate: str) -> MatrixExpr:
        return add(
            matmul(self.W_i[gate], x),
            self.b_i.get(gate),
            matmul(self.W_h[gate], self.h),
            self.b_h.get(gate),
        )

    @property
    def groups(self) -> dict[str, dict[str, Parameter]]:
        groups = {
            "weight_ih": self.W_i,
            "weight_hh": self.W_h,
            "bias_ih": self.b_i,
            "bias_hh": self.b_h,
        }
        return {array: members for array, members in groups.items() if members}

    def cell(
        self,
        name: str,
        family: str,
        equations: Mapping[Quantity, MatrixExpr],
        *extra: Parameter,
    ) -> Cell:
        parameters = [p for members in self.groups.values() for p in members.values()]
        stacking = {
            array: [p.name for p in members.values()]
            for array, members in self.groups.items()
        }
        stacking |= {f"weight_{p.name.removeprefix('W_')}": [p.name] for p in extra}
        cell = Cell.define(
            name,
            parameters=[*parameters, *extra],
            equations=equations,
            stacking=stacking,
        )
        return replace(cell, family=family)


@lru_cache
def rnn(nonlinearity: str = "tanh", *, bias: bool = True) -> Cell:
    """Return the Elman RNN cell of ``torch.nn.RNN``.

    Reference: Elman, 'Finding structure in time' (1990); PyTorch, ``torch.nn.RNN``.

    Raises:
        EquationError: `nonlinearity` is neither ``"tanh"`` nor ``"relu"``.

    >>> print(rnn("relu"))
    RNN (relu)
        h = relu(W_ih*x + b_ih + W_hh*h_prev + b_hh)
    """
    activations = {"tanh": tanh, "relu": relu}
    if nonlinearity not in activations:
        raise EquationError(
            f"nonlinearity must be 'tanh' or 'relu' (got {nonlinearity!r})"
        )
    H = hidden_size
    W_ih, W_hh = matrix("W_ih", H, input_size), matrix("W_hh", H, H)
    b_ih, b_hh = (vector("b_ih", H), vector("b_hh", H)) if bias else (None, None)
    h = previous("h", H)
    affine = add(matmul(W_ih, x), b_ih, matmul(W_hh, h), b_hh)
    arrays = {"weight_ih": W_ih, "weight_hh": W_hh, "bias_ih": b_ih, "bias_hh": b_hh}
    present = {array: p for array, p in arrays.items() if p is not None}
    cell = Cell.define(
        f"RNN ({nonlinearity})",
        parameters=present.values(),
        equations={quantity("h", H): activations[nonlinearity](affine)},
        stacking={array: [p.name] for array, p in present.items()},
    )
    return replace(cell, family=f"rnn_{nonlinearity}")


@lru_cache
def lstm(*, bias: bool = True, projected: bool = False) -> Cell:
    """Return the LSTM cell of ``torch.nn.LSTM``, with projection ``W_hr`` if `projected`.

    Reference: Hochreiter & Schmidhuber (1997) with Gers' forget gate; the projection is
    Sak et al. (2014); PyTorch, ``torch.nn.LSTM``.

    >>> print(lstm(bias=False))
    LSTM
        i = sigmoid(W_ii*x + W_hi*h_prev)
        f = sigmoid(W_if*x + W_hf*h_prev)
        g = tanh(W_ig*x + W_hg*h_prev)
        o = sigmoid(W_io*x + W_ho*h_prev)
        c = f ⊙ c_prev + i ⊙ g
        h = o ⊙ tanh(c)
    """
    H = hidden_size
    gates = _Gates("ifgo", bias=bias, output=proj_size if projected else H)
    i, f, g, o, c = (quantity(name, H) for name in "ifgoc")
    equations: dict[Quantity, MatrixExpr] = {
        i: sigmoid(gates.affine("i")),
        f: sigmoid(gates.affine("f")),
        g: tanh(gates.affine("g")),
        o: sigmoid(gates.affine("o")),
        c: add(hadamard(f, previous("c", H)), hadamard(i, g)),
    }
    cell_output = hadamard(o, tanh(c))
    if not projected:
        equations |= {quantity("h", H): cell_output}
        return gates.cell("LSTM", "lstm", equations)
    m, W_hr = quantity("m", H), matrix("W_hr", proj_size, H)
    equations |= {m: cell_output, quantity("h", proj_size): matmul(W_hr, m)}
    return gates.cell("LSTM with projection", "lstm", equations, W_hr)


def _gru(name: str, family: str, gates: _Gates, candidate: MatrixExpr) -> Cell:
    H = hidden_size
    r, z, n = (quantity(letter, H) for letter in "rzn")
    return gates.cell(
        name,
        family,
        {
            r: sigmoid(gates.affine("r")),
            z: sigmoid(gates.affine("z")),
            n: tanh(candidate),
            quantity("h", H): add(
                hadamard(subtract(ones(H), z), n), hadamard(z, gates.h)
            ),
        },
    )


@lru_cache
def gru(*, bias: bool = True) -> Cell:
    """Return the GRU cell of ``torch.nn.GRU``: the reset gate acts after the product.

    This is ONNX's ``linear_before_reset=1`` and Keras' ``reset_after=True``.
    Reference: Cho et al. (2014), arXiv:1406.1078v1; PyTorch, ``torch.nn.GRU``.

    >>> print(gru())
    GRU
        r = sigmoid(W_ir*x + b_ir + W_hr*h_prev + b_hr)
        z = sigmoid(W_iz*x + b_iz + W_hz*h_prev + b_hz)
        n = tanh(W_in*x + b_in + r ⊙ (W_hn*h_prev + b_hn))
        h = (1 - z) ⊙ n + z ⊙ h_prev
    """
    gates = _Gates("rzn", bias=bias, output=hidden_size)
    reset = hadamard(quantity("r", hidden_size), gates.from_state("n"))
    candidate = add(matmul(gates.W_i["n"], x), gates.b_i.get("n"), reset)
    return _gru("GRU", "gru", gates, candidate)


@lru_cache
def gru_reset_before(*, bias: bool = True) -> Cell:
    """Return the GRU cell whose reset gate acts before the product.

    This is ONNX's ``linear_before_reset=0`` and Keras' ``reset_after=False``, and not
    what ``torch.nn.GRU`` computes.
    Reference: Cho et al. (2014), arXiv:1406.1078v3; ONNX operator ``GRU``.

    >>> print(gru_reset_before(bias=False).equations[2])
    n = tanh(W_in*x + W_hn*(r ⊙ h_prev))
    """
    gates = _Gates("rzn", bias=bias, output=hidden_size)
    reset = matmul(gates.W_h["n"], hadamard(quantity("r", hidden_size), gates.h))
    candidate = add(
        matmul(gates.W_i["n"], x), gates.b_i.get("n"), reset, gates.b_h.get("n")
    )
    return _gru("GRU (reset before)", "gru_reset_before", gates, candidate)


CELLS = ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before")
"""The names that ``cell=`` accepts, beside a `Cell`."""


def find_cell(name: str, *, bias: bool = True, projected: bool = False) -> Cell:
    """Return the built-in cell `name`, one of `CELLS`.

    Raises:
        EquationError: There is no such cell, or it has no projection.
    """
    if projected and name != "lstm":
        raise EquationError(f"only an LSTM has a projection (got {name!r})")
    match name:
        case "rnn_tanh" | "rnn_relu":
            return rnn(name.removeprefix("rnn_"), bias=bias)
        case "lstm":
            return lstm(bias=bias, projected=projected)
        case "gru":
            return gru(bias=bias)
        case "gru_reset_before":
            return gru_reset_before(bias=bias)
    raise EquationError(f"no cell named {name!r}; there are {', '.join(CELLS)}")
