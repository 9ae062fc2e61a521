# SPDX-License-Identifier: BSD-3-Clause
"""What a symbol is, its class says, whatever it is called."""

import pickle

import pytest
import sympy

import symrnn
from symrnn.equations import (
    Cell,
    add,
    hadamard,
    hidden_size,
    input_size,
    lstm,
    matmul,
    matrix,
    previous,
    quantity,
    tangent,
    tanh,
    vector,
    x,
)
from symrnn.equations.symbols import Input, Named, Parameter, Previous, Quantity
from symrnn.errors import EquationError

H = hidden_size


def test_constructors_say_what_they_make():
    """Each kind has its constructor, and keeps its kind through SymPy."""
    symbols = {
        matrix("W", H, input_size): Parameter,
        vector("b", H): Parameter,
        x: Input,
        quantity("f", H): Quantity,
        previous("h", H): Previous,
    }
    for symbol, kind in symbols.items():
        assert kind is type(symbol)
        assert symbol == symbol.func(*symbol.args)
        assert kind is type(symbol.subs(H, 3))
        assert pickle.loads(pickle.dumps(symbol)) == symbol


def test_symbols_of_one_name_and_two_kinds_are_two():
    """A parameter that is called like a state before is not that state."""
    parameter, state = vector("h_prev", H), previous("h", H)
    assert (parameter.name, "h_prev") == (state.name, state.name)
    assert parameter != state
    assert 2 == len({parameter, state})
    assert "h" == state.state


def test_sympy_orders_symbols_by_name_alone():
    """What somebody's expression looks like does not depend on kinds."""
    kinds = [vector("a", 1), quantity("b", 1), previous("c", 1), vector("d", 1)]
    named = [Named(s.args[0], 1, 1, s.latex) for s in kinds]

    def product(symbols):
        return sympy.sstr(sympy.Add(*(s[0, 0] for s in reversed(symbols))))

    assert product(named).replace("c[", "c_prev[") == product(kinds)


def _cell_with_confusing_names():
    """Return a cell whose parameters are called as states and steps are elsewhere."""
    U, W = matrix("U_prev", H, H), matrix("c_t", H, input_size)
    n_prev, d_h = vector("n_prev", H), vector("d_h", H)
    affine = add(matmul(W, x), matmul(U, previous("h", H)), hadamard(n_prev, d_h))
    return Cell.define(
        "confusing",
        parameters=[U, W, n_prev, d_h],
        equations={quantity("h", H): tanh(affine)},
    )


WEIGHTS = {
    "U_prev_l0": [["1/2", 1], [0, "-1/3"]],
    "c_t_l0": [[1], ["1/4"]],
    "n_prev_l0": [1, "1/5"],
    "d_h_l0": ["-1/2", 1],
}


def test_a_parameter_may_be_called_like_a_state_before():
    """``U_prev`` is a parameter: no state U is looked for, and values are those of U."""
    cell = _cell_with_confusing_names()
    assert ("h",) == cell.states
    net = symrnn.load(WEIGHTS, cell=cell)
    plain = symrnn.load(
        {
            "weight_ih_l0": WEIGHTS["c_t_l0"],
            "weight_hh_l0": WEIGHTS["U_prev_l0"],
            "bias_ih_l0": ["-1/2", "1/5"],
            "bias_hh_l0": [0, 0],
        },
        cell="rnn_tanh",
    )
    given = [[1], ["-2/3"], [2]]
    expected = symrnn.evaluate(plain, given).output.decimal(25)
    assert expected == symrnn.evaluate(net, given).output.decimal(25)


@pytest.mark.parametrize("write", ["markdown", "latex", "html", "notebook"])
def test_pages_tell_such_parameters_from_states(write):
    """Every writer has a symbol for it, and none of a step before."""
    net = symrnn.load(WEIGHTS, cell=_cell_with_confusing_names())
    page = symrnn.derive(net, [[1], ["-2/3"]], vectors="row", notation="goodfellow")
    assert str(getattr(page, write)())
    assert str(getattr(symrnn.derive(net, [[1], ["-2/3"]]), write)())


def test_everything_else_knows_them_too():
    """Derivatives, unrolled forms and audits read kinds, not names."""
    cell = _cell_with_confusing_names()
    assert "d_h = (1 - h ⊙ h) ⊙ (U_prev*d_h_prev)" in str(tangent(cell, wrt=["h"]))
    net = symrnn.load(WEIGHTS, cell=cell, dtype="float64")
    step = symrnn.unroll(net, steps=2)[0, "forward", 1]
    assert "U_prev*h_1" in str(step.equations[0].rhs)
    outputs = symrnn.evaluate(net, [[1], [2], [3]]).output.nearest("float64")
    report = symrnn.audit(
        net, [[1], [2], [3]], outputs=outputs, dtype="float64", explain=True
    )
    assert report.passed
    assert "recurrent product" in str(report)


def test_a_name_of_two_kinds_is_refused():
    """Traces and notebooks go by names, so a cell may not use one twice."""
    W, taken = matrix("W", H, H), vector("h_prev", H)
    with pytest.raises(EquationError, match="the same name"):
        Cell.define(
            "twice",
            parameters=[W, taken],
            equations={quantity("h", H): add(matmul(W, previous("h", H)), taken)},
        )


def test_families_are_what_a_cell_says():
    """A title is free; what the cell is, its family says, and equations decide equality."""
    assert ("lstm", "lstm") == (lstm().family, lstm(projected=True, bias=False).family)
    own = Cell.define(
        lstm().name,
        parameters=lstm().parameters,
        equations={line.target: line.value for line in lstm().equations},
        stacking=lstm().stacking,
    )
    assert own.family is None
    assert own == lstm()
