# SPDX-License-Identifier: BSD-3-Clause
"""Every digit is right, however many; what cannot be decided says so, soon."""

import decimal
import threading
from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from symrnn.equations.cells import Cell, find_cell, rnn
from symrnn.equations.language import add, hadamard, matmul, neg, sigmoid, tanh, zeros
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    vector,
    x,
)
from symrnn.errors import NotFiniteError, SourceError, UndecidedError
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.runs.evaluate import MAX_PRECISION, evaluate, evaluate_inputs
from tests.cases import GATES, exact_value, multiprecision, reference
from tests.strategies import networks, rationals

H = hidden_size
FLOAT32_MAX = float(np.finfo(np.float32).max)


def scalar(w, u=0, bias=None, nonlinearity="tanh"):
    """Return an RNN of one unit: f(w x + bias + u h)."""
    arrays = {"weight_ih_l0": [[w]], "weight_hh_l0": [[u]]}
    if bias is not None:
        arrays |= {"bias_ih_l0": [bias], "bias_hh_l0": [0]}
    return Network.from_arrays(rnn(nonlinearity, bias=bias is not None), arrays)


def gate(weight):
    """Return a network whose output is sigmoid(weight·x)."""
    W = matrix("W", H, input_size)
    value = add(sigmoid(matmul(W, x)), hadamard(zeros(H), previous("h", H)))
    cell = Cell.define("gate", parameters=[W], equations={quantity("h", H): value})
    return Network.from_arrays(cell, {"W_l0": [[weight]]})


def random_arrays(kind, hidden=4, size=3, layers=1, seed=0, scale=1.0, bias=True):
    rng = np.random.default_rng(seed)
    arrays = {}
    for layer in range(layers):
        shapes = {"weight_ih": (hidden if layer else size,), "weight_hh": (hidden,)}
        if bias:
            shapes |= {"bias_ih": (), "bias_hh": ()}
        for name, shape in shapes.items():
            shape = (GATES[kind] * hidden, *shape)
            arrays[f"{name}_l{layer}"] = rng.uniform(-scale, scale, shape)
    return arrays


def rounded(value, digits):
    """Round an mpf or Fraction with the standard library, ties to even."""
    exact = exact_value(value)
    context = decimal.Context(prec=digits, Emin=-999_999, Emax=999_999)
    return context.divide(exact.numerator, exact.denominator)


# --- digits ----------------------------------------


@pytest.mark.parametrize("kind", GATES)
def test_any_number_of_digits_is_correct(kind):
    """From 1 to 200 digits, each text is the oracle's value correctly rounded."""
    arrays, x_ = random_arrays(kind), [[1, -2, 0.5], ["1/3", "0.1", 2]]
    trace = evaluate(Network.from_arrays(find_cell(kind), arrays), x_, digits=5)
    expected = reference(kind, arrays, x_, None, None, multiprecision(260)).output
    for digits in range(1, 201):
        for row, texts in zip(expected, trace.output.decimal(digits), strict=True):
            for value, text in zip(row, texts, strict=True):
                assert rounded(value, digits) == decimal.Decimal(text)


@given(drawn=networks(st.floats(-3, 3)), digits=st.integers(1, 60))
def test_digits_of_random_networks_are_correct(drawn, digits):
    """The same for networks that nobody chose; zeros are exact zeros."""
    kind, arrays, net, x_ = drawn
    oracle = multiprecision(700)
    expected = reference(kind, arrays, x_, None, None, oracle)
    texts = evaluate(net, x_, digits=digits).output.decimal(digits)
    for row, found in zip(expected.output, texts, strict=True):
        for value, text in zip(row, found, strict=True):
            if abs(value) < oracle.number("1e-600"):  # e.g. subnormal times subnormal
                continue
            assert rounded(value, digits) == decimal.Decimal(text)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_nearest_floats_are_those_of_the_oracle(dtype):
    """Rounding a value of 200 digits once gives the same float."""
    arrays, x_ = random_arrays("lstm", seed=7), [[0.3, 1, -1]] * 5
    trace = evaluate(Network.from_arrays(find_cell("lstm"), arrays), x_, digits=3)
    found = trace.output.nearest(dtype)
    assert np.dtype(dtype) == found.dtype
    expected = reference("lstm", arrays, x_, None, None, multiprecision(200)).output
    for row, floats in zip(expected, found.tolist(), strict=True):
        for value, number in zip(row, floats, strict=True):
            exact = exact_value(value)
            error = abs(exact - Fraction(number))
            for other in (np.inf, -np.inf):
                neighbour = np.nextafter(
                    np.array(number, dtype), np.array(other, dtype)
                )
                assert error <= abs(exact - Fraction(float(neighbour)))


@pytest.mark.parametrize("digits", [1, 15, 60])
def test_results_are_known_to_the_digits_asked_for(digits):
    """The radius of output and states is below one unit of the last digit."""
    arrays, x_ = random_arrays("gru", seed=3), [[0.3, 1, -1]] * 20
    trace = evaluate(Network.from_arrays(find_cell("gru"), arrays), x_, digits=digits)
    for array in (trace.output, trace.h_n):
        values = np.abs(np.asarray(array))
        assert (array.radius() <= values * 10.0**-digits).all()


@pytest.mark.parametrize("value", [10**20, 1, "1e-20"])
@pytest.mark.parametrize("places", [0, 5, 30])
def test_results_are_known_to_the_places_asked_for(value, places):
    """The radius is absolute with places=, for large values as for tiny ones."""
    trace = evaluate(scalar("1/3", nonlinearity="relu"), [[value]], places=places)
    assert trace.output.radius()[0, 0] <= 10.0**-places
    exact = Fraction(value) / 3
    expected = Fraction(round(exact * 10**places), 10**places)
    assert expected == Fraction(trace.output.decimal(places=places)[0][0])


@pytest.mark.parametrize("kind", GATES)
def test_long_sequences_keep_their_digits(kind):
    """After 300 steps 30 digits are as right as after one."""
    arrays = random_arrays(kind, scale=0.6, seed=11)
    x_ = np.random.default_rng(12).uniform(-1, 1, (300, 3))
    trace = evaluate(Network.from_arrays(find_cell(kind), arrays), x_, digits=30)
    last = reference(kind, arrays, x_, None, None, multiprecision(400)).output[-1]
    for value, text in zip(last, trace.output[-1].decimal(30), strict=True):
        assert rounded(value, 30) == decimal.Decimal(text)


@pytest.mark.parametrize("kind", GATES)
def test_float32_extremes(kind):
    """Weights of ±float32's largest number saturate or overflow it, and stay exact."""
    arrays = random_arrays(kind, bias=False)
    arrays = {n: np.where(a > 0, FLOAT32_MAX, -FLOAT32_MAX) for n, a in arrays.items()}
    x_ = [[1, 1, -1], [0.5, -1, 0.25]]
    cell = find_cell(kind, bias=False)
    trace = evaluate(Network.from_arrays(cell, arrays), x_, places=20)
    expected = reference(kind, arrays, x_, None, None, multiprecision(300)).output
    for row, texts in zip(expected, trace.output.decimal(places=20), strict=True):
        for value, text in zip(row, texts, strict=True):
            half = Fraction(1, 2 * 10**20)
            assert abs(exact_value(value) - Fraction(text)) <= half


# --- zeros, ties, cancellation ----------------------------------------


def difference(first, second):
    """Return a network of two tanh layers: the second adds h_0·first + h_1·second."""
    return Network.from_arrays(
        rnn(bias=False),
        {
            "weight_ih_l0": [[1], [1]],
            "weight_hh_l0": [[0, 0], [0, 0]],
            "weight_ih_l1": [[first, second], [0, 0]],
            "weight_hh_l1": [[0, 0], [0, 0]],
        },
    )


@pytest.mark.parametrize("weight", [1, "1/3", "0.1", 1e-300, FLOAT32_MAX, "1e-999"])
def test_equal_terms_cancel_to_exact_zero(weight):
    """w·tanh(1) - w·tanh(1) is 0, found in the exact domain where balls cannot."""
    opposite = -weight if not isinstance(weight, str) else f"-{weight}"
    trace = evaluate(difference(weight, opposite), [[1]])
    assert [["0", "0"]] == trace.output.decimal(20)
    assert [[0.0, 0.0]] == trace.output.nearest("float64").tolist()
    exact = evaluate(difference(weight, opposite), [[1]], exact=True)
    assert [[0, 0]] == exact.output.exact()


@pytest.mark.parametrize("steps", [1, 50, 300])
def test_zeros_after_many_steps_are_found(steps):
    """A palindrome run in both directions cancels exactly, and soon."""
    arrays = {}
    for suffix in ("", "_reverse"):
        arrays |= {
            f"weight_ih_l0{suffix}": [["1/3", "1/5"], ["1/7", "1/2"]],
            f"weight_hh_l0{suffix}": [["1/3", "1/4"], ["1/7", "1/9"]],
            f"weight_ih_l1{suffix}": [["1/3", "1/5", "-1/3", "-1/5"]] * 2,
            f"weight_hh_l1{suffix}": [[0, 0], [0, 0]],
        }
    net = Network.from_arrays(rnn(bias=False), arrays)
    trace = evaluate(net, [[1, 2]] * (2 * steps + 1), exact=True)
    assert ["0"] * 4 == trace.output[steps].decimal(5)


def test_near_cancellation_is_resolved():
    """(1 + 2^-52)·tanh(1) - tanh(1) has all its digits, of terms that agree to 15."""
    trace = evaluate(difference(1 + 2.0**-52, -1), [[1]], digits=40)
    mp = multiprecision(120)
    value = mp.tanh(mp.tanh(mp.number(1)) * mp.number(2.0**-52))
    assert rounded(value, 40) == decimal.Decimal(trace.output.decimal(40)[0][0])


@pytest.mark.parametrize(
    ("weight", "value", "digits", "expected"),
    [
        (1, 0.125, 2, "0.12"),
        (1, 0.375, 2, "0.38"),
        ("1/3", "3/8", 2, "0.12"),
        ("1/3", "9/8", 2, "0.38"),
        ("1/3", "3/8", 3, "0.125"),
        ("1/7", 7, 5, "1.0000"),
        ("1/3", 0, 5, "0"),
        ("1/3", -1, 5, "0"),
    ],
)
def test_rational_ties_go_to_even(weight, value, digits, expected):
    """A tie between decimals is decided on the exact rational value."""
    net = scalar(weight, nonlinearity="relu")
    assert [[expected]] == evaluate(net, [[value]], digits=digits).output.decimal(
        digits
    )


def test_rational_ties_between_floats_go_to_even():
    """1/3 · 3(1 + 2^-24) lies midway between two float32, and no ball says where."""
    net = scalar("1/3", nonlinearity="relu")
    for odd, expected in ((1, 1.0), (3, 1 + 2.0**-22)):
        value = 3 + 3 * odd * Fraction(1, 2**24)
        assert expected == evaluate(net, [[value]]).output.nearest("float32")[0, 0]


@given(weight=rationals(), value=rationals(), digits=st.integers(1, 25))
@example(weight=Fraction(1, 3), value=Fraction(3, 8), digits=2)
def test_rational_products_are_rounded_exactly(weight, value, digits):
    """A relu unit's output is the product, to any number of digits."""
    text = evaluate(scalar(weight, nonlinearity="relu"), [[value]]).output.decimal(
        digits
    )
    assert rounded(max(weight * value, Fraction(0)), digits) == decimal.Decimal(
        text[0][0]
    )


def test_dead_relu_units_are_exact_zeros():
    """Negative pre-activations end as 0 with radius 0."""
    arrays = {"weight_ih_l0": [["-1/3"], ["1/3"]], "weight_hh_l0": [[0, 0], [0, 0]]}
    trace = evaluate(Network.from_arrays(rnn("relu", bias=False), arrays), [[1]])
    assert ["0", "0.33333"] == trace.output.decimal(5)[0]
    assert 0.0 == trace.output.radius()[0, 0] < trace.output.radius()[0, 1]


def hidden_zero():
    """Return a cell whose output is σ(2x) - 1/2 - tanh(x)/2, which is 0 for all x."""
    W, half = matrix("W", H, input_size), vector("s", H)
    drive = matmul(W, x)
    value = add(
        sigmoid(add(drive, drive)),
        neg(half),
        neg(hadamard(half, tanh(drive))),
        hadamard(zeros(H), previous("h", H)),
    )
    cell = Cell.define(
        "zero", parameters=[W, half], equations={quantity("h", H): value}
    )
    return Network.from_arrays(cell, {"W_l0": [[1]], "s_l0": [0.5]})


def test_undecidable_digits_end_with_an_error():
    """An identity that the exact domain does not know ends at max_precision."""
    with pytest.raises(UndecidedError, match=f"not decided at {MAX_PRECISION} bits"):
        evaluate(hidden_zero(), [[1]])
    with pytest.raises(UndecidedError, match="not decided at 500 bits"):
        evaluate(hidden_zero(), [[1]], max_precision=500)
    assert flint.ctx.prec == 53


def test_undecidable_digits_have_decidable_places():
    """The advice of the error message works."""
    trace = evaluate(hidden_zero(), [[1]], places=50)
    assert [[f"0.{'0' * 50}"]] == trace.output.decimal(places=50)


def test_max_precision_is_a_limit():
    """More digits than the limit holds are refused, not approximated."""
    with pytest.raises(UndecidedError, match="not decided at 100 bits"):
        evaluate(scalar(1), [[1]], digits=100, max_precision=100)
    trace = evaluate(scalar(1), [[1]], digits=10, max_precision=100)
    with pytest.raises(UndecidedError, match="Raise max_precision"):
        trace.output.decimal(100)


# --- saturation ----------------------------------------


def test_sigmoid_of_minus_1e5_has_digits():
    """A value of 10^-43430 is as good a number as any."""
    mp = multiprecision(60)
    context = mp.number(0).context
    log10 = context.floor(context.mpf(10**5) / context.log(10))
    text = evaluate(gate(-1e5), [[1]], digits=20).output.decimal(20)[0][0]
    mantissa, exponent = text.split("e")
    assert int(-log10 - 1) == int(exponent)
    expected = context.exp(-(10**5) + (log10 + 1) * context.log(10))
    assert abs(exact_value(expected) - Fraction(mantissa)) < Fraction(1, 10**19)


@pytest.mark.parametrize("weight", [-1e30, -1e300, "-1e999"])
def test_values_too_small_for_digits_have_places_and_floats(weight):
    """E^(-1e30) is 0.0000 and the float 0.0; its digits are refused at once."""
    trace = evaluate(gate(weight), [[1]], places=4)
    assert [["0.0000"]] == trace.output.decimal(places=4)
    assert [[0.0]] == trace.output.nearest("float32").tolist()
    with pytest.raises(UndecidedError, match="Raise max_precision"):
        evaluate(gate(weight), [[1]]).output.decimal(20)


@pytest.mark.parametrize("weight", [1e5, 1e30, 1e300, "1e999"])
def test_saturation_above_rounds_to_one(weight):
    """1 - e^(-1e30) is 1 in any number of digits that can be written."""
    for net in (gate(weight), scalar(weight)):
        trace = evaluate(net, [[1]])
        assert [["1.0000000000"]] == trace.output.decimal(11)
        assert [[1.0]] == trace.output.nearest("float64").tolist()


def test_digits_of_a_value_ten_million_orders_below_one():
    """The decimal exponent of e^(-1e7) is found by arithmetic, not by search."""
    text = evaluate(gate(-1e7), [[1]], digits=20).output.decimal(20)[0][0]
    assert "1.5169367808987343576e-4342945" == text


def test_numbers_beyond_float64_are_numbers():
    """A decimal string or integer may be larger than any float."""
    for huge in ("1e999", 10**999):
        net = scalar(1, nonlinearity="relu")
        assert [["1.000e+999"]] == evaluate(net, [[huge]]).output.decimal(4)


# --- exact and mp ----------------------------------------


@pytest.mark.parametrize("digits", [10, 77, 200, 1000])
def test_exact_traces_have_any_number_of_digits(digits):
    """exact=True does not limit the digits that can be asked for."""
    exact = evaluate(scalar(1, "1/3"), [[1], ["1/7"]], exact=True)
    ball = evaluate(scalar(1, "1/3"), [[1], ["1/7"]], digits=digits)
    assert ball.output.decimal(digits) == exact.output.decimal(digits)


def test_exact_values_are_kept_apart_from_decimals():
    """exact() gives closed forms, and is refused where there are none."""
    trace = evaluate(scalar("-0.8769"), [[3]], exact=True)
    assert "-tanh(26307/10000)" == str(trace.output.exact()[0][0]).replace(" ", "")
    with pytest.raises(NotImplementedError, match="exact=True"):
        evaluate(scalar(1), [[3]]).output.exact()


def test_exact_evaluation_of_long_sequences():
    """300 steps are deeper than Python's stack, and enclosed all the same."""
    exact = evaluate(scalar("1/3", "1/7"), [[1]] * 300, exact=True)
    ball = evaluate(scalar("1/3", "1/7"), [[1]] * 300)
    assert ball.output[-1].decimal(30) == exact.output[-1].decimal(30)


def test_mp_values_prove_nothing():
    """They are numbers without a radius."""
    trace = evaluate(scalar(1), [[1]], domain="mp", digits=40)
    assert not trace.output.proven
    with pytest.raises(NotImplementedError, match="carries no error bound"):
        trace.output.radius()
    assert evaluate(scalar(1), [[1]]).output.decimal(40) == trace.output.decimal(40)


# --- what is refused ----------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_parameters_that_are_not_finite_are_named(bad):
    """The message says which element of which parameter, and where."""
    arrays = random_arrays("gru")
    arrays["weight_hh_l0"][5, 2] = bad
    net = Network.from_arrays(find_cell("gru"), arrays)
    with pytest.raises(
        NotFiniteError, match=rf"W_hz\[1, 2\] = {bad} \(layer 0, forward\)"
    ):
        evaluate(net, [[1, 2, 3]])


def test_inputs_that_are_not_finite_are_named():
    """Step, batch element and feature; padding beyond a length is not looked at."""
    net = Network.from_arrays(find_cell("gru"), random_arrays("gru"))
    x_ = np.zeros((3, 2, 3))
    x_[2, 1, 0] = np.nan
    message = "input x at step 2, batch element 1, feature 0 = nan is not finite"
    with pytest.raises(NotFiniteError, match=message):
        evaluate(net, x_)
    padded = evaluate(net, x_, lengths=[3, 2])
    x_[2, 1, 0] = 0
    assert evaluate(net, x_, lengths=[3, 2]).output.decimal(9) == padded.output.decimal(
        9
    )


def test_states_that_are_not_finite_are_named():
    """The row, batch element and unit of the state."""
    net = Network.from_arrays(find_cell("lstm"), random_arrays("lstm"))
    h, c = np.zeros((1, 2, 4)), np.zeros((1, 2, 4))
    c[0, 1, 3] = np.inf
    message = "initial state c of row 0, batch element 1, unit 3 = inf is not finite"
    with pytest.raises(NotFiniteError, match=message):
        evaluate(net, np.zeros((1, 2, 3)), (h, c))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"digits": 0}, "digits must be a whole number of at least 1"),
        ({"digits": 2.5}, "digits must be a whole number"),
        ({"digits": True}, "digits must be a whole number"),
        ({"places": -1}, "places must be a whole number of at least 0"),
        ({"max_precision": 1}, "max_precision must be a whole number of at least 2"),
        ({"keep": "some"}, "keep must be 'all', 'nodes' or 'states'"),
        ({"domain": "float"}, "domain must be 'ball', 'enclosure', 'exact'"),
    ],
)
def test_options_are_checked(options, message):
    """An option that means nothing is refused before anything is computed."""
    with pytest.raises(ValueError, match=message):
        evaluate(scalar(1), [[1]], **options)


def test_evaluate_inputs_is_evaluate():
    """Inputs that were read already give the same trace."""
    net = scalar(1, "1/3")
    inputs = read_inputs(net, [[1], [2]])
    found = evaluate_inputs(net, inputs, digits=25).output.decimal(25)
    assert evaluate(net, [[1], [2]], digits=25).output.decimal(25) == found


# --- what stays untouched ----------------------------------------


def test_later_digits_do_not_see_later_changes():
    """Changing the caller's arrays does not change a trace's numbers."""
    x_, h_0 = np.array([[0.5]]), np.array([[0.25]])
    trace = evaluate(scalar(1, 1), x_, h_0, digits=5)
    before = evaluate(scalar(1, 1), [[0.5]], [[0.25]]).output.decimal(100)
    x_[:], h_0[:] = 3.0, 7.0
    assert before == trace.output.decimal(100)


def test_later_digits_do_not_see_later_changes_of_tensors(torch):
    """The same for float64 tensors, which share their memory with NumPy."""
    x_ = torch.tensor([[0.5]], dtype=torch.float64)
    trace = evaluate(scalar(1), x_, digits=5)
    x_.fill_(3.0)
    assert evaluate(scalar(1), [[0.5]]).output.decimal(90) == trace.output.decimal(90)


def test_precision_is_put_back_after_every_way_out():
    """Results, refinements and errors leave FLINT's precision at what it was."""
    with flint.ctx.workprec(91):
        evaluate(scalar(1), [[1]], digits=100).output.decimal(500)
        assert 91 == flint.ctx.prec
        with pytest.raises(UndecidedError):
            evaluate(hidden_zero(), [[1]], max_precision=300)
        assert 91 == flint.ctx.prec
        evaluate(difference("1/3", "-1/3"), [[1]])
        evaluate(scalar(1), [[1]], exact=True).output.decimal(300)
        assert 91 == flint.ctx.prec


def test_threads_with_different_digits_do_not_disturb_each_other():
    """FLINT's precision is global; results in threads are those of one thread."""
    arrays, x_ = random_arrays("lstm", seed=5), [[0.3, 1, -1]] * 10
    net = Network.from_arrays(find_cell("lstm"), arrays)
    wanted = {d: evaluate(net, x_, digits=d).output.decimal(d) for d in (7, 50, 400)}
    wrong = []

    def work(digits):
        for _ in range(5):
            trace = evaluate(net, x_, digits=3)
            if wanted[digits] != trace.output.decimal(digits):
                wrong.append(digits)
            if wanted[digits] != evaluate(net, x_, digits=digits).output.decimal(
                digits
            ):
                wrong.append(digits)

    threads = [threading.Thread(target=work, args=(d,)) for d in (7, 50, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong
    assert 53 == flint.ctx.prec


# --- batches of nothing ----------------------------------------


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("domain", ["ball", "exact", "mp"])
def test_an_empty_batch_has_torch_s_shapes(kind, domain):
    """No sequence is computed, and every dimension but the batch is there."""
    net = Network.from_arrays(find_cell(kind), random_arrays(kind, layers=2))
    trace = evaluate(net, np.zeros((5, 0, 3)), domain=domain)
    assert (5, 0, 4) == trace.output.shape
    assert (2, 0, 4) == trace.h_n.shape
    assert (0, 4) == trace[1, "forward", 2].h.shape
    assert [[], [], [], [], []] == trace.output.decimal(5)


def test_no_step_at_all_is_refused():
    """As in torch, a sequence has at least one step."""
    with pytest.raises(ValueError, match=r"at least one step, got shape \(0, 1\)"):
        evaluate(scalar(1), np.zeros((0, 1)))


@pytest.mark.parametrize(
    "bad", ["1/0", "nan", "inf", "__import__('os')", "1e99999", "", "0x1"]
)
def test_text_that_is_no_number_is_refused(bad):
    """Text is matched, never evaluated, wherever it stands."""
    for arguments in (([[bad]],), ([[1]], [[bad]])):
        with pytest.raises(SourceError, match="not a finite number"):
            evaluate(scalar(1), *arguments)
    with pytest.raises(SourceError, match="not a finite number"):
        scalar(bad)
