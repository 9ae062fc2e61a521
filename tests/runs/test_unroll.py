# SPDX-License-Identifier: BSD-3-Clause
"""Unrolled networks: four forms, and SymPy's own tools on them."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from sympy import ImmutableDenseMatrix, latex

import symrnn
from symrnn.equations.cells import find_cell
from symrnn.equations.sharing import Shared, cse, share, unshare
from symrnn.networks.network import Network

SIZES = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4}


def make(kind, *, layers=1, bidirectional=False, hidden=2, inputs=2, seed=0, proj=0):
    """Return a network whose parameters are multiples of 1/8."""
    rng = np.random.default_rng(seed)
    gates, out = SIZES[kind], proj or hidden
    arrays = {}
    for layer in range(layers):
        width = inputs if layer == 0 else out * (1 + bidirectional)
        for suffix in ("", "_reverse")[: 1 + bidirectional]:
            shapes = {
                "weight_ih": (gates * hidden, width),
                "weight_hh": (gates * hidden, out),
                "bias_ih": (gates * hidden,),
                "bias_hh": (gates * hidden,),
            }
            if proj:
                shapes["weight_hr"] = (proj, hidden)
            for name, shape in shapes.items():
                arrays[f"{name}_l{layer}{suffix}"] = rng.integers(-8, 8, shape) / 8
    return Network.from_arrays(find_cell(kind, projected=bool(proj)), arrays)


def inputs_of(unrolled):
    """Return rational inputs for every step, as a substitution and as nested lists."""
    rows = [
        [sympy.Rational(t + 1, 2 + i) for i in range(unrolled.net.input_size)]
        for t in range(unrolled.steps)
    ]
    values = {
        s: ImmutableDenseMatrix([[v] for v in row])
        for s, row in zip(unrolled.inputs, rows, strict=True)
    }
    return values, [[str(v) for v in row] for row in rows]


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_form_has_the_value_of_the_network(kind, bidirectional):
    """Matrix and scalar forms, substituted back, evaluate to what evaluate() returns."""
    net = make(kind, layers=2, bidirectional=bidirectional)
    unrolled = symrnn.unroll(net, 3)
    values, x = inputs_of(unrolled)
    trace = symrnn.evaluate(net, x)
    # subs takes one symbol after the other, xreplace all at once: that matters where
    # there are twice as many.
    substitute = "xreplace" if bidirectional else "subs"
    for step in unrolled:
        layer, direction = step.position
        expected = trace[layer, direction, step.t].h.decimal(25)
        scalar = getattr(step.substituted("h"), substitute)(unrolled.values | values)
        for value, digits in zip(scalar, expected, strict=True):
            assert abs(value.evalf(40) - sympy.Rational(digits)) < sympy.Rational(
                1, 10**23
            )


@pytest.mark.parametrize("kind", SIZES)
def test_the_matrix_form_has_the_same_elements(kind):
    """A matrix expression substituted back is, element by element, the scalar form."""
    unrolled = symrnn.unroll(make(kind), 2)
    step = unrolled[0, "forward", 1]
    values = unrolled.values | inputs_of(unrolled)[0]
    scalar = step.substituted("h").subs(values)
    for a, b in zip(step.matrix("h").subs(values).as_explicit(), scalar, strict=True):
        assert abs(a.evalf(30) - b.evalf(30)) < sympy.Rational(1, 10**25)


def test_equations_are_recursive_and_print_as_written():
    """The equation of a step is in the quantities before it, in torch's notation."""
    step = symrnn.unroll(make("gru"), 3)[0, "forward", 1]
    assert latex(step.equations[3]) == (
        r"h_{2} = \left(1 - z_{2}\right) \odot n_{2} + z_{2} \odot h_{1}"
    )
    assert step.equations[3].lhs == step.h
    assert str(step.scalar("h")[0]) == "(1 - z_2[0, 0])*n_2[0, 0] + h_1[0, 0]*z_2[0, 0]"


def test_directions_and_layers_have_names_of_their_own():
    """The reverse pass starts after the last step; a layer's input is the states below."""
    unrolled = symrnn.unroll(make("rnn_tanh", layers=2, bidirectional=True), 2)
    step = unrolled[1, "reverse", 1]
    assert latex(step.equations[0].lhs) == r"\overleftarrow{h}_{2}^{(2)}"
    assert str(step.equations[0].rhs) == (
        "tanh(W_ih_l1_reverse*x_l1_2 + b_ih_l1_reverse + W_hh_l1_reverse*h_l1_reverse_3"
        " + b_hh_l1_reverse)"
    )
    assert step.input_equation.lhs.shape == (4, 1)
    assert unrolled[0, "forward", 0].input_equation is None


def test_projection_has_its_own_size():
    """The state of a projected LSTM has proj_size elements, its cell state hidden_size."""
    step = symrnn.unroll(make("lstm", hidden=3, proj=2), 2)[0, "forward", 1]
    assert step.h.shape == (2, 1)
    assert step.substituted("c").shape == (3, 1)


def test_twenty_steps_are_built_and_evaluated():
    """20 steps at hidden size 4 evaluate to the digits of evaluate()."""
    net = make("lstm", hidden=4, inputs=3)
    unrolled = symrnn.unroll(net, 20, numbers=True)
    values, x = inputs_of(unrolled)
    zeros = {s: unrolled.values[s] for s in unrolled.initial.values()}
    h = unrolled[0, "forward", 19].substituted("h").xreplace(values | zeros)
    expected = symrnn.evaluate(net, x).output[-1].decimal(25)
    for value, digits in zip(h.evalf(30), expected, strict=True):
        assert abs(value - sympy.Rational(digits)) <= abs(value) * sympy.Rational(
            1, 10**24
        )


def test_diff_agrees_with_a_difference_quotient():
    """SymPy's derivative of the shared expression is the derivative of its value."""
    unrolled = symrnn.unroll(make("gru"), 4)
    values, _ = inputs_of(unrolled)
    h = unrolled[0, "forward", 3].substituted("h")[0]
    variable = unrolled.inputs[0][0, 0]
    others = unrolled.values | {
        s: v for s, v in values.items() if s != unrolled.inputs[0]
    }
    x0 = values[unrolled.inputs[0]]
    slope = h.diff(variable).subs(others | {unrolled.inputs[0]: x0}).evalf(20)
    step = sympy.Rational(1, 10**10)
    shifted = [ImmutableDenseMatrix([[x0[0] + s], [x0[1]]]) for s in (step, -step)]
    up, down = (h.subs(others | {unrolled.inputs[0]: v}).evalf(40) for v in shifted)
    assert abs((up - down) / (2 * step) - slope) < 1e-15


def test_lambdify_with_cse_computes_float_values():
    """SymPy's lambdify with cse gives NumPy code for many steps."""
    net = make("lstm", hidden=3)
    unrolled = symrnn.unroll(net, 12)
    values, x = inputs_of(unrolled)
    given = unrolled.values | values
    h = unrolled[0, "forward", 11].substituted("h")
    function = sympy.lambdify(list(given), h, cse=cse, use_imps=False)
    result = function(*(np.array(v.tolist(), dtype=float) for v in given.values()))
    expected = np.asarray(symrnn.evaluate(net, x).output[-1])
    assert np.allclose(np.ravel(result), expected, rtol=1e-13, atol=1e-15)


def test_cse_finds_the_shared_parts():
    """SymPy's cse of a deep state is linear in the steps and gives the same value."""
    unrolled = symrnn.unroll(make("rnn_tanh"), 12, numbers=True)
    values, _ = inputs_of(unrolled)
    h = unrolled[0, "forward", 11].substituted("h")
    replacements, reduced = cse(h)
    assert len(replacements) < 200
    value = reduced
    for symbol, expression in reversed(replacements):
        value = value.subs(symbol, share(expression))
    zeros = {s: unrolled.values[s] for s in unrolled.initial.values()}
    for a, b in zip(value, h, strict=True):
        a, b = (v.subs(values | zeros).evalf(20) for v in (a, b))
        assert abs(a - b) < 1e-18


def test_unshare_returns_the_plain_tree():
    """The plain tree has no shared node and is the same function."""
    unrolled = symrnn.unroll(make("rnn_tanh"), 2)
    h = unrolled[0, "forward", 1].substituted("h")
    plain = unshare(h)
    assert not plain.atoms(Shared)
    values = unrolled.values | inputs_of(unrolled)[0]
    assert plain.subs(values).evalf(20) == h.subs(values).evalf(20)


def test_a_replaced_rule_is_not_remembered():
    """SymPy's xreplace with a rule that changed between calls gives the new answer."""
    a, b = sympy.symbols("a b")
    h = share(sympy.tanh(a) + b)
    rule = {a: sympy.Integer(1)}
    assert h.xreplace(rule) == share(sympy.tanh(1) + b)
    rule[a] = sympy.Integer(2)
    assert h.xreplace(rule) == share(sympy.tanh(2) + b)


@pytest.mark.parametrize(
    "key", [(1, "forward", 0), (0, "reverse", 0), (0, "forward", 9), 3]
)
def test_a_key_that_is_not_there_is_refused(key):
    """The message says what there is."""
    with pytest.raises(
        IndexError, match=r"layer < 1, direction in \('forward',\), step < 2"
    ):
        symrnn.unroll(make("gru"), 2)[key]


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "2"])
def test_steps_must_be_a_positive_whole_number(steps):
    """Anything else is refused before work starts."""
    with pytest.raises(symrnn.SourceError, match="steps must be a whole number"):
        symrnn.unroll(make("gru"), steps)


def test_an_unknown_quantity_names_those_there_are():
    """Both as a method's argument and as an attribute."""
    step = symrnn.unroll(make("gru"), 1)[0, "forward", 0]
    with pytest.raises(KeyError, match="there are r_pre, r, z_pre"):
        step.substituted("q")
    with pytest.raises(AttributeError, match="no quantity 'q'"):
        _ = step.q
