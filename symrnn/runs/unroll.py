# SPDX-License-Identifier: BSD-3-Clause
r"""A network unrolled in time, as SymPy equations and expressions.

Each quantity at each (layer, direction, step) comes in four forms:

=================== ============================================================
`equations`         recursive: ``h_2 = tanh(W_ih x_2 + … + W_hh h_1 + …)``
`scalar`            the same, element by element
`matrix`            a matrix expression, substituted back to inputs and parameters
`substituted`       the same, element by element, common parts shared
=================== ============================================================

They are SymPy's own kinds of object: ``subs``, ``diff``, ``evalf``, ``lambdify``, ``cse``
and ``latex`` work on them. Elements of matrices are indexed from 0, as in SymPy.

Note [Names in print]
    Steps are numbered from 1 in print, as in textbooks: $h_1 = f(x_1, h_0)$. Layers appear
    as a superscript $h_1^{(2)}$ and directions as an arrow where there is more than one of
    them. A pass in reverse starts from the state after the last step,
    $\overleftarrow{h}_{T+1}$.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Eq, ImmutableDenseMatrix, MatrixExpr

from symrnn.documents.displayed import Displayed
from symrnn.domains.symbolic import MatrixForm, ScalarForm, Symbols
from symrnn.equations.language import postorder
from symrnn.equations.symbols import Named, x
from symrnn.networks.inputs import Inputs, Layout, require_int
from symrnn.networks.network import Direction, Network, Position
from symrnn.networks.sources import load
from symrnn.runs.run import run
from symrnn.runs.trace import Trace

__all__ = [
    "Unrolled",
    "UnrolledStep",
    "input_at",
    "parameter_at",
    "quantity_at",
    "state_before",
    "unroll",
]


def unroll(net: Any, steps: int, *, numbers: bool = False) -> Unrolled:
    """Unroll a network over `steps` steps.

    Args:
        net: A `Network`, or anything `symrnn.load` takes.
        steps: Number of time steps of the (single) sequence.
        numbers: Put the network's exact parameters in place of their symbols in `matrix`
            and `substituted`.

    Raises:
        SourceError: `steps` is not a positive whole number.

    >>> import symrnn
    >>> net = symrnn.load({"weight_ih_l0": [[2]], "weight_hh_l0": [["1/2"]]}, cell="rnn_tanh")
    >>> step = symrnn.unroll(net, 2)[0, "forward", 1]
    >>> print(step.equations[0].rhs)
    tanh(W_ih*x_2 + W_hh*h_1)
    >>> print(step.substituted("h")[0])
    tanh(W_hh[0, 0]*tanh(W_hh[0, 0]*h_0[0, 0] + W_ih[0, 0]*x_1[0, 0]) + W_ih[0, 0]*x_2[0, 0])
    """
    return Unrolled(load(net), require_int(steps, "steps", 1), numbers=numbers)


class Unrolled(Displayed):
    """A network unrolled in time; index it by (layer, direction, step), all from 0."""

    def __init__(self, net: Network, steps: int, *, numbers: bool = False) -> None:
        self.net = net
        self.steps = steps
        self.numbers = numbers

    def __getitem__(self, key: tuple[int, str, int]) -> UnrolledStep:
        """Return the forms of the quantities at (layer, direction, step)."""
        try:
            layer, direction, t = key
            position = Position(range(self.net.num_layers)[layer], Direction(direction))
            t = range(self.steps)[t]
            self.net.parameters[position]
        except (TypeError, ValueError, IndexError, KeyError):
            raise IndexError(
                f"expected [layer, direction, step] with layer < {self.net.num_layers}, "
                f"direction in {self.net.directions}, step < {self.steps}, got {key!r}"
            ) from None
        return UnrolledStep(self, position, t)

    def __iter__(self) -> Iterator[UnrolledStep]:
        for position in self.net.positions:
            for t in range(self.steps):
                yield UnrolledStep(self, position, t)

    @property
    def inputs(self) -> tuple[Named, ...]:
        """The symbols ``x_1 … x_T``, each (input_size, 1)."""
        return tuple(input_at(self.net, 0, t) for t in range(self.steps))

    @property
    def initial(self) -> dict[tuple[str, Position], Named]:
        """The symbols of the initial states, by (state, position)."""
        return {
            (s, position): self._initial(s, position)
            for position in self.net.positions
            for s in self.net.cell.states
        }

    @property
    def parameters(self) -> dict[tuple[str, Position], Named]:
        """The symbols of the parameters, by (name, position)."""
        return {
            (p.name, position): parameter_at(self.net, p, position)
            for position in self.net.positions
            for p in self.net.cell.parameters
        }

    @property
    def values(self) -> dict[Named, ImmutableDenseMatrix]:
        """The exact value of every parameter, and zero initial states: for ``subs``."""
        forms = MatrixForm(self._symbols, numbers=True)
        values = {
            symbol: forms.matrix(self.net.parameters[position][name])
            for (name, position), symbol in self.parameters.items()
        }
        zeros = {s: ImmutableDenseMatrix.zeros(*s.shape) for s in self.initial.values()}
        return values | zeros

    def _initial(self, state: str, position: Position) -> Named:
        first = position.direction.start(self.steps)
        return state_before(self.net, state, position, first)

    @cached_property
    def _symbols(self) -> Symbols:
        parameters = {p.name: p for p in self.net.cell.parameters}
        return Symbols(
            parameter=lambda name, position: parameter_at(
                self.net, parameters[name], position
            ),
            input=lambda t: input_at(self.net, 0, t),
            initial=self._initial,
        )

    @cached_property
    def _matrix_trace(self) -> Trace:
        return self._run(MatrixForm(self._symbols, numbers=self.numbers))

    @cached_property
    def _scalar_trace(self) -> Trace:
        return self._run(ScalarForm(self._symbols, numbers=self.numbers))

    def _run(self, domain: Any) -> Trace:
        self.net.require_finite()
        layout = Layout(
            batched=False, batch_first=False, single_step=False, packed=False
        )
        x_shape = (self.steps, 1, self.net.input_size)
        inputs = Inputs(
            x=np.zeros(x_shape), states=None, lengths=(self.steps,), layout=layout
        )
        return run(self.net, inputs, domain)

    def __repr__(self) -> str:
        return f"Unrolled({self.net!r}, steps={self.steps})"


class UnrolledStep(Displayed):
    """The quantities of one layer, direction and step, in four forms.

    An attribute with the name of a quantity is its symbol: ``step.h`` is ``h_2``.
    """

    def __init__(self, unrolled: Unrolled, position: Position, t: int) -> None:
        self.unrolled = unrolled
        self.position = position
        self.t = t

    @property
    def equations(self) -> tuple[Eq, ...]:
        """The cell's equations at this step, each in the quantities before it."""
        names = self._renaming
        return tuple(
            Eq(names[line.target], line.value.xreplace(names), evaluate=False)
            for line in self.unrolled.net.cell.equations
        )

    @property
    def input_equation(self) -> Eq | None:
        """What the layer's input stands for: the states of the layer below.

        ``None`` in the first layer, whose input is the network's.
        """
        layer = self.position.layer
        if not layer:
            return None
        net, t = self.unrolled.net, self.t
        output = net.cell.states[0]
        below = [
            quantity_at(net, output, net.state_sizes[output], p, t)
            for p in net.layer(layer - 1)
        ]
        form = MatrixForm(self.unrolled._symbols, numbers=False)
        stacked = below[0] if len(below) == 1 else form.vstack(below)
        return Eq(input_at(net, layer, t), stacked, evaluate=False)

    def scalar(self, name: str) -> ImmutableDenseMatrix:
        """Return a quantity element by element, in elements of the quantities before it."""
        for equation, line in zip(
            self.equations, self.unrolled.net.cell.equations, strict=True
        ):
            if line.name == name:
                return ImmutableDenseMatrix(equation.rhs.as_explicit())
        raise self._no_such(name)

    def matrix(self, name: str) -> MatrixExpr:
        """Return a quantity as a matrix expression in inputs, parameters, initial states."""
        return self._from(self.unrolled._matrix_trace, name)

    def substituted(self, name: str) -> ImmutableDenseMatrix:
        """Return a quantity element by element in inputs, parameters and initial states.

        Common parts are shared (see `symrnn.equations.sharing`): ``evalf``, ``subs``,
        ``diff`` and ``lambdify(…, cse=symrnn.equations.cse, use_imps=False)`` take time
        linear in the number of steps.
        ``symrnn.equations.unshare`` returns plain SymPy trees, which grow exponentially.
        """
        return ImmutableDenseMatrix(
            self._from(self.unrolled._scalar_trace, name).tolist()
        )

    def __getattr__(self, name: str) -> Named:
        for line in self.unrolled.net.cell.equations:
            if line.name == name:
                return self._renaming[line.target]
        raise AttributeError(str(self._no_such(name).args[0]))

    def _from(self, trace: Trace, name: str) -> Any:
        values = trace.records[self.position].steps[self.t]
        if name not in values:
            raise self._no_such(name)
        return values[name]

    def _no_such(self, name: str) -> KeyError:
        known = ", ".join(self.unrolled.net.cell.quantities)
        return KeyError(f"no quantity {name!r}; there are {known}")

    @property
    def _renaming(self) -> dict[Any, Named]:
        """From the cell's symbols to those of this layer, direction and step."""
        net, position, t = self.unrolled.net, self.position, self.t
        sizes = net.sizes[position]
        names: dict[Any, Any] = {x: input_at(net, position.layer, t)}
        for parameter in net.cell.parameters:
            names[parameter] = parameter_at(net, parameter, position)
        for state, symbol in net.cell.previous.items():
            names[symbol] = state_before(net, state, position, t)
        for line in net.cell.equations:
            size = int(sizes.get(line.target.shape[0], line.target.shape[0]))
            names[line.target] = quantity_at(net, line.name, size, position, t)
            for node in postorder(line.value):  # sizes inside constants
                names |= {s: n for s, n in sizes.items() if s in node.args}
        return names

    def __repr__(self) -> str:
        return f"UnrolledStep({self.position.layer}, {self.position.direction!r}, {self.t})"


_ARROWS = {
    Direction.FORWARD: r"\overrightarrow",
    Direction.REVERSE: r"\overleftarrow",
}


def parameter_at(net: Network, parameter: Named, position: Position) -> Named:
    """Return a parameter of the cell as that of one layer and direction.

    >>> from sympy import latex
    >>> import symrnn
    >>> net = symrnn.load({"weight_ih_l0": [[1, 2]], "weight_hh_l0": [[0]]}, cell="rnn_relu")
    >>> latex(parameter_at(net, net.cell.parameters[0], net.positions[0]))
    'W_{ih}'
    """
    rows, columns = (int(net.sizes[position].get(n, n)) for n in parameter.shape)
    latex = _decorate(net, parameter.latex, position)
    return Named(f"{parameter.name}{_suffix(net, position)}", rows, columns, latex)
    rows, columns = (int(net.sizes[position].get(n, n)) for n in parameter.shape)
    latex = _decorate(net, str(parameter.args[3].name), position)
    return Named(f"{parameter.name}{_suffix(net, position)}", rows, columns, latex)


def quantity_at(
    net: Network, name: str, size: int, position: Position, step: int
) -> Named:
    """Return the quantity `name` at a step, numbered from 0 here and from 1 in print."""
    python, latex = (
        f"{name}{_suffix(net, position)}_{step + 1}",
        f"{name}_{{{step + 1}}}",
    )
    return Named(python, size, 1, _decorate(net, latex, position))


def state_before(net: Network, name: str, position: Position, step: int) -> Named:
    """Return the state that a step starts from: the neighbour's, or the initial one."""
    before = position.direction.before(step)
    return quantity_at(net, name, net.state_sizes[name], position, before)


def input_at(net: Network, layer: int, step: int) -> Named:
    """Return the input of a layer at a step; of the layers above the first, a name for it."""
    suffix, latex = f"_{step + 1}", f"x_{{{step + 1}}}"
    if layer:
        return Named(
            f"x_l{layer}{suffix}", net.output_size, 1, f"{latex}^{{({layer + 1})}}"
        )
    return Named(f"x{suffix}", net.input_size, 1, latex)


def _suffix(net: Network, position: Position) -> str:
    """Return torch's suffix, left out where there is nothing to tell apart."""
    several = net.num_layers > 1 or net.bidirectional
    return f"_l{position.layer}{position.direction.suffix}" if several else ""


def _decorate(net: Network, latex: str, position: Position) -> str:
    layer, direction = position
    if net.bidirectional:
        base, _, subscript = latex.partition("_")
        latex = f"{_ARROWS[direction]}{{{base}}}" + (
            f"_{subscript}" if subscript else ""
        )
    return f"{latex}^{{({layer + 1})}}" if net.num_layers > 1 else latex
