# SPDX-License-Identifier: BSD-3-Clause
"""The built-in cells read like PyTorch's documentation; users' cells work like them."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

import symrnn
from symrnn.equations.cells import (
    CELLS,
    Cell,
    find_cell,
    gru,
    gru_reset_before,
    lstm,
    rnn,
)
from symrnn.equations.language import (
    add,
    hadamard,
    matmul,
    ones,
    sigmoid,
    subtract,
    tanh,
    transpose,
)
from symrnn.equations.symbols import (
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
from symrnn.networks.network import Network
from symrnn.runs.evaluate import evaluate
from tests.cases import contains, multiprecision, plus, product_with, times

H, I = hidden_size, input_size  # noqa: E741
W, U, B = matrix("W", H, I), matrix("U", H, H), vector("b", H)
h, h_t = previous("h", H), quantity("h", H)
STEP = tanh(add(matmul(W, x), matmul(U, h)))


# --- golden texts ----------------------------------------

AFFINE = r"W_{{i{0}}} x_t + b_{{i{0}}} + W_{{h{0}}} h_{{t-1}} + b_{{h{0}}}"


def tex(cell):
    return [f"{sympy.latex(e.target)} = {sympy.latex(e.value)}" for e in cell.equations]


def gate(letter, function=r"\sigma"):
    return rf"{letter}_{{t}} = {function}\left({AFFINE.format(letter)}\right)"


def test_rnn_in_latex():
    """As torch.nn.RNN documents it."""
    inner = r"W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}"
    assert [rf"h_{{t}} = \tanh\left({inner}\right)"] == tex(rnn())
    expected = rf"h_{{t}} = \operatorname{{relu}}\left({inner}\right)"
    assert [expected] == tex(rnn("relu"))
    assert "RNN (tanh)\n    h = tanh(W_ih*x + W_hh*h_prev)" == str(rnn(bias=False))


def test_lstm_in_latex():
    """As torch.nn.LSTM documents it, with and without projection."""
    gates = [gate("i"), gate("f"), gate("g", r"\tanh"), gate("o")]
    c = r"c_{t} = f_{t} \odot c_{t-1} + i_{t} \odot g_{t}"
    product = r"o_{t} \odot \tanh\left(c_{t}\right)"
    assert [*gates, c, f"h_{{t}} = {product}"] == tex(lstm())
    projected = [f"m_{{t}} = {product}", "h_{t} = W_{hr} m_{t}"]
    assert [*gates, c, *projected] == tex(lstm(projected=True))


def test_gru_in_latex():
    """As torch.nn.GRU documents it; the other kind resets before the product."""
    state = r"h_{t} = \left(1 - z_{t}\right) \odot n_{t} + z_{t} \odot h_{t-1}"
    after = (
        r"n_{t} = \tanh\left(W_{in} x_t + b_{in} + r_{t} \odot "
        r"\left(W_{hn} h_{t-1} + b_{hn}\right)\right)"
    )
    assert [gate("r"), gate("z"), after, state] == tex(gru())
    before = (
        r"n_{t} = \tanh\left(W_{in} x_t + b_{in} + W_{hn} "
        r"\left(r_{t} \odot h_{t-1}\right) + b_{hn}\right)"
    )
    assert [gate("r"), gate("z"), before, state] == tex(gru_reset_before())


def test_a_gru_without_bias():
    """No bias leaves no trace of one."""
    assert str(gru(bias=False)) == (
        "GRU\n"
        "    r = sigmoid(W_ir*x + W_hr*h_prev)\n"
        "    z = sigmoid(W_iz*x + W_hz*h_prev)\n"
        "    n = tanh(W_in*x + r ⊙ (W_hn*h_prev))\n"
        "    h = (1 - z) ⊙ n + z ⊙ h_prev"
    )


def test_cells_show_themselves_in_a_notebook():
    """Aligned at the equals sign."""
    assert (
        r"$\begin{aligned}h_{t} &= \tanh\left(W_{ih} x_t + W_{hh} h_{t-1}\right)"
        r"\end{aligned}$"
    ) == rnn(bias=False)._repr_latex_()


# --- what cells know of themselves ----------------------------------------


def test_quantities_states_and_sizes():
    """Pre-activations are named after their quantity; the output is first."""
    cell = lstm(projected=True)
    assert ("h", "c") == cell.states
    assert (proj_size, hidden_size) == cell.state_sizes
    expected = "i_pre i f_pre f g_pre g o_pre o c m h"
    assert expected == " ".join(cell.quantities)
    first = cell.equations[0]
    assert "i" == first.name
    assert sympy.Eq(first.target, first.value, evaluate=False) == first.eq
    assert first.value.args[1] == first.preactivation
    assert cell.equations[4].preactivation is None


def test_stacking_is_torch_s():
    """Which rows of which array are which parameter."""
    assert {
        "weight_ih": ("W_ir", "W_iz", "W_in"),
        "weight_hh": ("W_hr", "W_hz", "W_hn"),
        "bias_ih": ("b_ir", "b_iz", "b_in"),
        "bias_hh": ("b_hr", "b_hz", "b_hn"),
    } == gru().stacking
    assert ("W_hr",) == lstm(projected=True).stacking["weight_hr"]
    assert ["weight_ih", "weight_hh"] == list(rnn(bias=False).stacking)


def test_cells_are_found_by_name():
    """The names of CELLS, each with and without bias; the same object each time."""
    found = [find_cell(name, bias=bias) for name in CELLS for bias in (True, False)]
    assert len(found) == len({str(cell) for cell in found})
    assert gru() == find_cell("gru")
    assert gru() == gru()
    assert len({gru(), gru(bias=False), gru()}) == 2
    with pytest.raises(
        EquationError, match="no cell named 'mgu'; there are rnn_tanh, "
    ):
        find_cell("mgu")
    with pytest.raises(EquationError, match="only an LSTM has a projection"):
        find_cell("gru", projected=True)
    with pytest.raises(EquationError, match="nonlinearity must be 'tanh' or 'relu'"):
        rnn("sigmoid")


# --- what is refused ----------------------------------------


def define(equations, parameters=(W, U), **options):
    return Cell.define("demo", parameters=parameters, equations=equations, **options)


@pytest.mark.parametrize(
    ("equations", "message"),
    [
        (
            {h_t: add(STEP, h), quantity("f", H): STEP + h},
            "equation f: the node MatAdd in",
        ),
        (
            {h_t: add(matmul(W, x), matmul(matrix("V", H, H), h))},
            "V of shape .* is neither",
        ),
        ({h_t: add(STEP, B)}, "equation h: b of shape .* is neither a parameter"),
        (
            {h_t: add(STEP, quantity("f", H)), quantity("f", H): STEP},
            "equation h: f of shape",
        ),
        (
            {h_t: add(STEP, h_t)},
            "equation h: h of shape .* nor a quantity defined before",
        ),
        (
            {quantity("f", H): STEP},
            "no equation defines the state 'h', although h_prev",
        ),
        ({h_t: tanh(matmul(W, x))}, "demo: no equation uses a previous state"),
        ({h_t: STEP, quantity("W", H): STEP}, "equation W: the name 'W' is taken"),
        ({h_t: STEP, quantity("x", H): STEP}, "equation x: the name 'x' is taken"),
        (
            {h_t: STEP, quantity("f", H): STEP, quantity("f", I): STEP},
            "equation f: the name 'f' is taken",
        ),
        ({h_t: STEP, vector("f", H): STEP}, r"equation f: .* by quantity\('f', …\)"),
        (
            {h_t: STEP, quantity("n_pre", H): STEP},
            "the name 'n_pre' is taken or reserved",
        ),
        (
            {h_t: STEP, quantity("n_prev", H): STEP},
            "the name 'n_prev' is taken or reserved",
        ),
        ({quantity("h", proj_size): STEP}, r"equation h: .*shape|h_prev of shape"),
        ({quantity("f", I): STEP, h_t: STEP}, "equation f: the value has shape"),
    ],
)
def test_equations_that_do_not_fit_are_refused(equations, message):
    """The message names the cell, the equation and what is wrong."""
    with pytest.raises(EquationError, match=message):
        define(equations)


@pytest.mark.parametrize(
    ("value", "node"),
    [
        (tanh(matmul(W, x)) + h, "MatAdd"),
        (STEP.applyfunc(sympy.tanh), "ElementwiseApplyFunction"),
        (W * x + U * h, "MatAdd"),
    ],
)
def test_sympy_s_own_operators_are_named_as_the_mistake(value, node):
    """The first thing that anyone will write gets the message that helps."""
    with pytest.raises(EquationError, match=f"equation h: the node {node} in"):
        define({h_t: value})


def test_two_parameters_of_one_name_are_refused():
    """Which of them a network's array would be is not to be guessed."""
    with pytest.raises(EquationError, match="demo: two parameters have the same name"):
        define({h_t: STEP}, (W, U, vector("W", H)))


@pytest.mark.parametrize(
    "stacking",
    [
        {"weights": ["W"]},
        {"weights": ["W", "U", "U"]},
        {"weights": ["W", "U"], "b": ["b"]},
    ],
)
def test_stacking_must_name_every_parameter_once(stacking):
    """None forgotten, none twice, none unknown."""
    with pytest.raises(EquationError, match="stacking must name every parameter once"):
        define({h_t: STEP}, stacking=stacking)


@pytest.mark.parametrize(
    "equations",
    [
        {quantity("s", sympy.Integer(1)): matmul(transpose(x), x), h_t: STEP},
        {h_t: matmul(matmul(h, transpose(h)), STEP)},
        {h_t: add(transpose(matmul(transpose(h), U)), STEP)},
    ],
    ids=["inner product", "outer product", "transposed product"],
)
def test_products_of_data_with_data_are_refused(equations):
    """In a batch, x^T x is not the number it looks like, and must be refused."""
    with pytest.raises(EquationError):
        define(equations)


@pytest.mark.parametrize(
    "name", ["t", "layer", "direction", "names", "running", "trace"]
)
def test_names_that_a_step_has_already_are_refused(name):
    """A quantity must be reachable as an attribute of its step."""
    with pytest.raises(EquationError, match="reserved"):
        define({quantity(name, H): STEP, h_t: add(STEP, h)})


# --- cells of one's own ----------------------------------------


def minimal_gated_unit():
    """Return the cell of the documentation (Zhou et al., 2016)."""
    W_f, U_f, W_h, U_h = (
        matrix(n, H, I if n.startswith("W") else H)
        for n in ("W_f", "U_f", "W_h", "U_h")
    )
    b_f, b_h = vector("b_f", H), vector("b_h", H)
    f, n = quantity("f", H), quantity("n", H)
    return Cell.define(
        "MGU",
        parameters=[W_f, U_f, b_f, W_h, U_h, b_h],
        equations={
            f: sigmoid(add(matmul(W_f, x), matmul(U_f, h), b_f)),
            n: tanh(add(matmul(W_h, x), matmul(U_h, hadamard(f, h)), b_h)),
            h_t: add(hadamard(subtract(ones(H), f), h), hadamard(f, n)),
        },
    )


def minimal_gated_step(p, x_t, state, a):
    (before,) = state
    f = plus(product_with(p["W_f"], x_t), product_with(p["U_f"], before), p["b_f"])
    f = [a.sigmoid(v) for v in f]
    inner = product_with(p["U_h"], times(f, before))
    n = [a.tanh(v) for v in plus(product_with(p["W_h"], x_t), inner, p["b_h"])]
    return (
        [(1 - g) * old + g * new for g, old, new in zip(f, before, n, strict=True)],
    )


def peephole_lstm():
    """Return the LSTM whose gates see the cell state (Gers & Schmidhuber, 2000)."""
    c, c_t = previous("c", H), quantity("c", H)
    p = {g: matrix(f"W_{g}", H, I) for g in "ifgo"}
    r = {g: matrix(f"U_{g}", H, H) for g in "ifgo"}
    w = {g: vector(f"w_{g}", H) for g in "ifo"}
    i, f, g, o = (quantity(n, H) for n in "ifgo")

    def drive(letter, seen=None):
        peep = None if seen is None else hadamard(w[letter], seen)
        return add(matmul(p[letter], x), matmul(r[letter], h), peep)

    return Cell.define(
        "peephole LSTM",
        parameters=[*p.values(), *r.values(), *w.values()],
        equations={
            i: sigmoid(drive("i", c)),
            f: sigmoid(drive("f", c)),
            g: tanh(drive("g")),
            c_t: add(hadamard(f, c), hadamard(i, g)),
            o: sigmoid(drive("o", c_t)),
            h_t: hadamard(o, tanh(c_t)),
        },
    )


def peephole_step(p, x_t, state, a):
    hidden, cell = state

    def drive(g, seen=None):
        terms = [product_with(p[f"W_{g}"], x_t), product_with(p[f"U_{g}"], hidden)]
        return plus(*terms, *([] if seen is None else [times(p[f"w_{g}"], seen)]))

    i = [a.sigmoid(v) for v in drive("i", cell)]
    f = [a.sigmoid(v) for v in drive("f", cell)]
    g = [a.tanh(v) for v in drive("g")]
    cell = plus(times(f, cell), times(i, g))
    o = [a.sigmoid(v) for v in drive("o", cell)]
    return times(o, [a.tanh(v) for v in cell]), cell


@pytest.mark.parametrize("domain", ["ball", "exact", "mp"])
@pytest.mark.parametrize(
    ("cell", "step"),
    [(minimal_gated_unit(), minimal_gated_step), (peephole_lstm(), peephole_step)],
    ids=lambda v: getattr(v, "name", ""),
)
def test_cells_of_one_s_own_are_evaluated(cell, step, domain):
    """A cell in ten lines has values in every arithmetic, as its own oracle has."""
    rng = np.random.default_rng(3)
    arrays = {}
    for layer, size in ((0, 3), (1, 4)):
        for suffix in ("", "_reverse"):
            for p in cell.parameters:
                shape = {"W": (2, size), "U": (2, 2)}.get(p.name[0], (2,))
                arrays[f"{p.name}_l{layer}{suffix}"] = rng.uniform(
                    -1, 1, shape
                ).tolist()
    data = rng.uniform(-1, 1, (3, 3)).tolist()
    trace = evaluate(Network.from_arrays(cell, arrays), data, domain=domain, digits=30)

    a = multiprecision(80)
    below = [[a.number(v) for v in row] for row in data]
    for layer in (0, 1):
        outputs = []
        for suffix in ("", "_reverse"):
            p = {
                n: arrays[f"{n}_l{layer}{suffix}"]
                for n in (q.name for q in cell.parameters)
            }
            p = {n: to_numbers(values, a) for n, values in p.items()}
            state = ([a.number(0)] * 2,) * len(cell.states)
            out = [None] * 3
            for t in (2, 1, 0) if suffix else (0, 1, 2):
                state = step(p, below[t], state, a)
                out[t] = state[0]
            outputs.append(out)
        below = [forward + reverse for forward, reverse in zip(*outputs, strict=True)]
    error = Fraction(1, 10 ** (28 if domain == "mp" else 70))
    for row, intervals in zip(below, trace.output.intervals(), strict=True):
        for value, interval in zip(row, intervals, strict=True):
            assert contains(interval, value, error)
            assert (interval[1] - interval[0]) * 10**30 < 1


def to_numbers(values, a):
    if isinstance(values, list):
        return [to_numbers(v, a) for v in values]
    return a.number(values)


def test_cells_may_have_parameters_of_fixed_size():
    """Sizes in equations are symbols or integers; other integers are refused."""
    two = matrix("V", 2, I)
    cell = Cell.define(
        "fixed",
        parameters=[two],
        equations={quantity("h", 2): add(matmul(two, x), previous("h", 2))},
    )
    trace = evaluate(
        Network.from_arrays(cell, {"V_l0": np.eye(2, 3)}), [[1, 2, 3], [1, 1, 1]]
    )
    assert [["1.0", "2.0"], ["2.0", "3.0"]] == trace.output.decimal(2)
    with pytest.raises(ValueError, match=r"V of shape \(2, input_size\) with 2 = 2"):
        Network.from_arrays(cell, {"V_l0": np.eye(3)})


def test_states_may_be_copies_of_others():
    """A delayed state is an equation without an operation."""
    delayed = {quantity("d", H): h, h_t: add(matmul(W, x), previous("d", H))}
    cell = define(delayed, (W,))
    assert ("h", "d") == cell.states
    trace = evaluate(Network.from_arrays(cell, {"W_l0": [[1]]}), [[1], [2], [4], [8]])
    assert [["1.0"], ["2.0"], ["5.0"], ["10"]] == trace.output.decimal(2)
    assert [["5.0"]] == trace.state("d").decimal(2)


def test_what_steps_are_asked_for_is_reserved():
    """No quantity is hidden by an attribute of a step of a trace, or of an unrolled network."""
    net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_relu")
    trace, unrolled = symrnn.evaluate(net, [[1]]), symrnn.unroll(net, steps=1)
    steps = (trace[0, "forward", 0], unrolled[0, "forward", 0])
    public = {name for s in steps for name in dir(s) if not name.startswith("_")}
    for name in public - set(net.cell.quantities):
        with pytest.raises(EquationError, match=f"the name {name!r} is taken"):
            define({h_t: STEP, quantity(name, H): STEP})


@pytest.mark.parametrize("wrong", [quantity("f", H), h, I])
def test_parameters_are_made_as_such(wrong):
    """A state or a quantity is no parameter, and the message says what is one."""
    with pytest.raises(EquationError, match="a parameter is made by matrix or vector"):
        define({h_t: STEP}, parameters=(W, U, wrong))
