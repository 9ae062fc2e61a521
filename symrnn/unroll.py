# SPDX-License-Identifier: BSD-3-Clause
"""A network unrolled in time, as SymPy equations and expressions.

Each quantity at each (layer, direction, step) comes in four forms:

=================== ============================================================
`equations`         recursive: ``h_2 = tanh(W_ih x_2 + … + W_hh h_1 + …)``
`scalar`            the same, element by element
`matrix`            a matrix expression, substituted back to inputs and parameters
`substituted`       the same, element by element, common parts shared
=================== ============================================================

They are SymPy's own kinds of object: ``subs``, ``diff``, ``evalf``, ``lambdify``, ``cse``
and ``latex`` work on them. Elements of matrices are indexed from 0, as in SymPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from sympy import Eq, ImmutableDenseMatrix, MatrixExpr

from symrnn.cells import previous, x
from symrnn.domains.symbolic import MatrixForm, ScalarForm, Symbols
from symrnn.inputs import Inputs, Layout, require_int
from symrnn.language import Named, postorder
from symrnn.network import Network, Place
from symrnn.notation import input_at, parameter_at, quantity_at, state_before
from symrnn.run import run
from symrnn.showing import Displayed
from symrnn.sources import load
from symrnn.trace import Trace

__all__ = ["Unrolled", "UnrolledStep", "unroll"]


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

    def __getitem__(self, place: tuple[int, str, int]) -> UnrolledStep:
        """Return the forms of the quantities at (layer, direction, step)."""
        try:
            layer, direction, t = place
            layer, t = range(self.net.num_layers)[layer], range(self.steps)[t]
            self.net.parameters[layer, direction]  # type: ignore[index]
        except (TypeError, ValueError, IndexError, KeyError):
            raise IndexError(
                f"expected [layer, direction, step] with layer < {self.net.num_layers}, "
                f"direction in {self.net.directions}, step < {self.steps}, got {place!r}"
            ) from None
        return UnrolledStep(self, (layer, direction), t)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[UnrolledStep]:
        for place in self.net.places:
            for t in range(self.steps):
                yield UnrolledStep(self, place, t)

    @property
    def inputs(self) -> tuple[Named, ...]:
        """The symbols ``x_1 … x_T``, each (input_size, 1)."""
        return tuple(input_at(self.net, 0, t) for t in range(self.steps))

    @property
    def initial(self) -> dict[tuple[str, Place], Named]:
        """The symbols of the initial states, by (state, place)."""
        return {
            (s, place): self._initial(s, place)
            for place in self.net.places
            for s in self.net.cell.states
        }

    @property
    def parameters(self) -> dict[tuple[str, Place], Named]:
        """The symbols of the parameters, by (name, place)."""
        return {
            (p.name, place): parameter_at(self.net, p, place)
            for place in self.net.places
            for p in self.net.cell.parameters
        }

    @property
    def values(self) -> dict[Named, ImmutableDenseMatrix]:
        """The exact value of every parameter, and zero initial states: for ``subs``."""
        forms = MatrixForm(self._symbols, numbers=True)
        values = {
            symbol: forms.matrix(self.net.parameters[place][name])
            for (name, place), symbol in self.parameters.items()
        }
        zeros = {s: ImmutableDenseMatrix.zeros(*s.shape) for s in self.initial.values()}
        return values | zeros

    def _initial(self, state: str, place: Place) -> Named:
        first = self.steps - 1 if place[1] == "reverse" else 0
        return state_before(self.net, state, place, first)

    @cached_property
    def _symbols(self) -> Symbols:
        parameters = {p.name: p for p in self.net.cell.parameters}
        return Symbols(
            parameter=lambda name, place: parameter_at(
                self.net, parameters[name], place
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

    def __init__(self, unrolled: Unrolled, place: Place, t: int) -> None:
        self.unrolled = unrolled
        self.place = place
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
        layer = self.place[0]
        if not layer:
            return None
        net, t = self.unrolled.net, self.t
        output = net.cell.states[0]
        below = [
            quantity_at(net, output, net.state_sizes[output], (layer - 1, d), t)
            for d in net.directions
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

        Common parts are shared (see `symrnn.shared`): ``evalf``, ``subs``,
        ``diff`` and ``lambdify(…, cse=symrnn.shared.cse, use_imps=False)`` take time
        linear in the number of steps.
        ``symrnn.shared.unshare`` returns plain SymPy trees, which grow exponentially.
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
        values = trace.records[self.place].steps[self.t]
        if name not in values:
            raise self._no_such(name)
        return values[name]

    def _no_such(self, name: str) -> KeyError:
        known = ", ".join(self.unrolled.net.cell.quantities)
        return KeyError(f"no quantity {name!r}; there are {known}")

    @property
    def _renaming(self) -> dict[Any, Named]:
        """From the cell's symbols to those of this layer, direction and step."""
        net, place, t = self.unrolled.net, self.place, self.t
        sizes = net.sizes[place]
        names: dict[Any, Any] = {x: input_at(net, place[0], t)}
        for parameter in net.cell.parameters:
            names[parameter] = parameter_at(net, parameter, place)
        for state, size in zip(net.cell.states, net.cell.state_sizes, strict=True):
            names[previous(state, size)] = state_before(net, state, place, t)
        for line in net.cell.equations:
            size = int(sizes.get(line.target.shape[0], line.target.shape[0]))
            names[line.target] = quantity_at(net, line.name, size, place, t)
            for node in postorder(line.value):  # sizes inside constants
                names |= {s: n for s, n in sizes.items() if s in node.args}
        return names

    def __repr__(self) -> str:
        return f"UnrolledStep({self.place[0]}, {self.place[1]!r}, {self.t})"
