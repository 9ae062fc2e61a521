# SPDX-License-Identifier: BSD-3-Clause
"""The rounded domain and arithmetic by hand, against scalars rounded as fractions."""

import decimal
import math
import operator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce

import mpmath
import numpy as np
import pytest
import sympy
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from symrnn.domains.decimal import ByHandDomain
from symrnn.domains.exact import ExactDomain
from symrnn.domains.rounded import ProductOrder, RoundedDomain
from symrnn.equations.cells import Cell, rnn
from symrnn.equations.functions import FUNCTIONS, ElementwiseFunction
from symrnn.equations.language import add, matmul
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    x,
)
from symrnn.errors import SourceError, UndecidedError
from symrnn.kernels.emulation import emulate, find_schedule
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.numerics.exact import exact_array
from symrnn.numerics.float_arithmetic import Arithmetic as Operations
from symrnn.numerics.formats import (
    EMULATED_FORMATS,
    find_emulated_format,
    nearest_float,
)
from symrnn.runs.run import run
from tests.cases import CASES, Arithmetic, arguments, as_fraction, oracle, sample

MP = mpmath.MPContext()
MP.prec = 400


def nearest(value, form):
    """Round an exact number to a format by integers."""
    q = fmpq(value.numerator, value.denominator)
    return nearest_float(q, q, form)


def from_mp(value):
    """Return an mpf as a Fraction, exactly."""
    sign, mantissa, exponent, _ = value._mpf_
    return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** exponent


# --- whole networks, operation by operation -------------------------------------------


@dataclass(frozen=True)
class Rounded:
    """A number of a format; sums and products are taken as fractions and rounded."""

    value: Fraction
    form: object

    def _of(self, exact):
        return Rounded(Fraction(nearest(exact, self.form)), self.form)

    def __add__(self, other):
        return self._of(self.value + (other.value if other else 0))

    __radd__ = __add__  # sum() starts from the integer 0

    def __mul__(self, other):
        return self._of(self.value * getattr(other, "value", other))

    def __gt__(self, other):
        return self.value > other


def rounded_arithmetic(name):
    form = find_emulated_format(name)

    def apply(function):
        def image(number):
            value = MP.mpf(number.value.numerator) / number.value.denominator
            return Rounded(Fraction(nearest(from_mp(function(value)), form)), form)

        return image

    return Arithmetic(
        number=lambda v: Rounded(Fraction(nearest(as_fraction(v), form)), form),
        tanh=apply(MP.tanh),
        sigmoid=apply(lambda v: 1 / (1 + MP.exp(-v))),
    )


ORDERED = [
    case
    for case in CASES
    if not case.kind.startswith("gru") and case.layout in ("batch_first", "padded")
]


@pytest.mark.parametrize(
    "name", ["float8_e5m2", "bfloat16", "float32", "p9e6", "float64"]
)
def test_networks_are_rounded_operation_by_operation(name):
    """RNN and LSTM in plain loops over fractions; the oracle sums in torch's order."""
    for case in ORDERED[:: len(ORDERED) // 4]:
        net = sample(case).network
        given = read_inputs(net, **arguments(case))
        order = replace(
            find_schedule("torch cpu", net.cell),
            products=ProductOrder(),
            accumulate=None,
        )
        output, _ = emulate(net, given, name, order)
        sequences = output if net.batch_first else output.transpose(1, 0, 2)
        for expected, found in zip(
            oracle(case, rounded_arithmetic(name)), sequences, strict=True
        ):
            wanted = [[float(v.value) for v in row] for row in expected.output]
            assert wanted == found[: len(wanted)].tolist()


def test_stored_and_accumulated_differ():
    """bfloat16 loses 1 + 2^-9 where each operation is rounded, float32 inside keeps it."""
    net = Network.from_arrays(
        rnn("relu"),
        {
            "weight_ih_l0": [[1.0, 2.0**-9, -1.0]],
            "weight_hh_l0": [[0.0]],
            "bias_ih_l0": [0.0],
            "bias_hh_l0": [0.0],
        },
    )
    inputs = read_inputs(net, [[1.0, 1.0, 1.0]])
    found = [
        run(net, inputs, RoundedDomain("bfloat16", accumulate=inner)).output.nearest(
            "float64"
        )[0, 0]
        for inner in (None, "float32")
    ]
    assert [0.0, 2.0**-9] == found


def test_named_quantities_are_stored():
    """Inside an equation 1/3 keeps float32's digits; under a name it has bfloat16's."""
    H = hidden_size
    W, U = matrix("W", H, input_size), matrix("U", H, H)
    a = quantity("a", H)
    product = matmul(W, x)
    plain = Cell.define(
        "one equation",
        parameters=[W, U],
        equations={quantity("h", H): add(product, matmul(U, previous("h", H)))},
    )
    named = Cell.define(
        "two equations",
        parameters=[W, U],
        equations={a: product, quantity("h", H): add(a, matmul(U, previous("h", H)))},
    )
    weights = {"W_l0": [[1 + 2.0**-7]], "U_l0": [[1.0]]}
    results = []
    for cell in (plain, named):
        net = Network.from_arrays(cell, weights)
        inputs = read_inputs(net, [[1 + 2.0**-7]], [[-1.0]])
        trace = run(net, inputs, RoundedDomain("bfloat16", accumulate="float32"))
        results.append(trace.output.nearest("float64")[0, 0])
    exact = (1 + 2.0**-7) ** 2 - 1
    assert [nearest(Fraction(exact), EMULATED_FORMATS["bfloat16"]), 2.0**-6] == results


@pytest.mark.parametrize("name", ["float64", "float32"])
def test_without_rounding_errors_results_are_exact(name):
    """Small integers and relu lose nothing: as the exact domain."""
    rng = np.random.default_rng(3)
    arrays = {
        "weight_ih_l0": rng.integers(-2, 3, (3, 2)),
        "weight_hh_l0": rng.integers(-1, 2, (3, 3)),
        "bias_ih_l0": rng.integers(-2, 3, 3),
        "bias_hh_l0": rng.integers(-2, 3, 3),
    }
    net = Network.from_arrays(rnn("relu"), {n: v.tolist() for n, v in arrays.items()})
    inputs = read_inputs(net, rng.integers(-3, 4, (5, 2)).tolist())
    exact = run(net, inputs, ExactDomain()).output.exact()
    for order in (ProductOrder(), ProductOrder(lanes=2, fma=True)):
        found = run(net, inputs, RoundedDomain(name, products=order)).output
        assert exact == [[Fraction(v) for v in row] for row in found.elements]


# --- the order of sums ----------------------------------------------------------------


class Spelled:
    """An arithmetic that writes down what is done, on object arrays of text."""

    def _each(self, template, *arrays):
        arrays = np.broadcast_arrays(*arrays)
        result = np.empty(arrays[0].shape, dtype=object)
        for i in np.ndindex(result.shape):
            result[i] = template.format(*(a[i] for a in arrays))
        return result

    def add(self, a, b):
        return self._each("({}+{})", a, b)

    def multiply(self, a, b):
        return self._each("{}{}", a, b)

    def fma(self, a, b, c):
        return self._each("[{2}+{0}{1}]", a, b, c)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, "((((a0b0+a1b1)+a2b2)+a3b3)+a4b4)"),
        ({"fma": True}, "[[[[a0b0+a1b1]+a2b2]+a3b3]+a4b4]"),
        ({"lanes": 2}, "(((a0b0+a2b2)+a4b4)+(a1b1+a3b3))"),
        ({"lanes": 4, "fma": True}, "(([a0b0+a4b4]+a2b2)+(a1b1+a3b3))"),
        ({"lanes": 3}, "(((a0b0+a3b3)+a2b2)+(a1b1+a4b4))"),
        ({"lanes": 8}, "(((a0b0+a3b3)+a2b2)+(a1b1+a4b4))"),
        ({"block": 2}, "(((a0b0+a1b1)+(a2b2+a3b3))+a4b4)"),
        ({"block": 4, "lanes": 2}, "(((a0b0+a2b2)+(a1b1+a3b3))+a4b4)"),
        ({"pairwise": True}, "(((a0b0+a1b1)+a2b2)+(a3b3+a4b4))"),
    ],
)
def test_order_of_a_dot_product(order, expected):
    """Which terms are added when, written out."""
    a = np.array([[f"a{k}" for k in range(5)]], dtype=object)
    b = np.array([[f"b{k}"] for k in range(5)], dtype=object)
    assert expected == ProductOrder(**order).product(Spelled(), a, b)[0, 0]


@pytest.mark.parametrize(
    "wrong", [{"lanes": 0}, {"block": 0}, {"pairwise": True, "fma": True}]
)
def test_impossible_orders(wrong):
    """They are refused when they are made."""
    with pytest.raises(ValueError, match="lanes"):
        ProductOrder(**wrong)


def test_fused_sums():
    """Each of c + a ⊙ b and c + W h with one rounding for each term, only where asked for."""
    a, c = np.array([[1 + 2.0**-12]]), np.array([[-1.0]])
    for kind, multiply in (("hadamard", "hadamard"), ("matmul", "matmul")):
        kept, lost = (
            domain.add(c, getattr(domain, multiply)(a, a))
            for domain in (
                RoundedDomain("float32", fused=[kind]),
                RoundedDomain("float32"),
            )
        )
        assert 2.0**-11 == lost[0, 0]
        assert 2.0**-11 + 2.0**-24 == kept[0, 0]
        named = RoundedDomain("float32", fused=[kind])
        product = named.stored(getattr(named, multiply)(a, a))
        assert 2.0**-11 == named.add(c, product)[0, 0]


# --- elementwise functions ------------------------------------------------------------


def image(function, values, name):
    found = RoundedDomain(name).elementwise(FUNCTIONS[function], np.array([values]))
    return found[0]


def exact_image(function, value, form):
    return nearest(from_mp(FUNCTIONS[function].mp(MP, MP.mpf(value))), form)


@pytest.mark.parametrize(
    ("function", "name"), [("tanh", "float16"), ("sigmoid", "bfloat16")]
)
def test_every_16_bit_argument(function, name):
    """All finite numbers of a format that are below 200, against mpmath."""
    form = EMULATED_FORMATS[name]
    bits = np.arange(1 << 16, dtype=np.uint16)
    if name == "float16":
        values = bits.view(np.float16)
    else:
        values = (bits.astype(np.uint32) << 16).view(np.float32)
    values = values[np.isfinite(values)].astype(np.float64)
    # Beyond, both are flat, and mpmath's exp of 1e38 is slow.
    values = values[np.abs(values) < 200]
    wanted = [exact_image(function, v, form) for v in values.tolist()]
    assert np.array_equal(wanted, image(function, values, name))


@given(
    st.sampled_from(["tanh", "sigmoid", "relu"]),
    st.sampled_from(["float64", "float32", "p26e10", "float8_e4m3fn"]),
    st.one_of(
        st.floats(-60, 60),
        st.floats(-1e-300, 1e-300),
        st.floats(-1e-6, 1e-6),
        st.sampled_from([0.0, 5e-324, -5e-324, 2.0**-149, -745.0, 709.5, 88.0]),
    ),
)
def test_functions_are_correctly_rounded(function, name, value):
    """Where float64 values do not decide, balls do: the hardest case is float64 itself."""
    form = find_emulated_format(name)
    value = float(Operations(form).nearest(np.array(value)))
    if not math.isfinite(value):
        return
    if function == "tanh" and abs(value) < 2.0**-100:  # too small for 400 bits
        # |x| (1 - x^2/3) < |tanh x| < |x|: only float64's own ulp could see it
        assert value == image(function, [value], name)[0]
        return
    assert exact_image(function, value, form) == image(function, [value], name)[0]


def test_functions_at_infinity_and_zero():
    """Limits, NaN, and the sign of zero of an odd function."""
    with np.errstate(invalid="ignore"):
        found = image("tanh", [np.inf, -np.inf, np.nan, -0.0], "float16")
        assert [1.0, -1.0] == found[:2].tolist()
        assert np.isnan(found[2])
        assert (0.0, True) == (found[3], np.signbit(found[3]))
        found = image("sigmoid", [np.inf, -np.inf, 0.0], "float8_e5m2")
    assert [1.0, 0.0, 0.5] == found.tolist()


def test_functions_without_quick_values_take_balls():
    """A function that only has a ball is rounded correctly too."""
    sine = ElementwiseFunction(
        name="sin",
        latex=r"\sin",
        scalar=sympy.sin,
        ball=lambda b: b.sin(),
        mp=lambda context, v: context.sin(v),
        numpy=np.sin,
        rational=lambda q: q if q == 0 else None,
    )
    values = np.linspace(-9, 9, 31)
    found = RoundedDomain("float64").elementwise(sine, values[None])[0]
    wanted = [
        nearest(from_mp(MP.sin(MP.mpf(v))), EMULATED_FORMATS["float64"])
        for v in values.tolist()
    ]
    assert wanted == found.tolist()


def test_other_functions_on_request():
    """Results of one's own functions are taken, rounded to the format."""
    domain = RoundedDomain("bfloat16", functions={"tanh": lambda v: v + 1 / 3})
    found = domain.elementwise(FUNCTIONS["tanh"], np.zeros((1, 1)))
    assert 0.333984375 == found[0, 0]


def test_what_is_not_finite_has_no_interval():
    """Overflow leaves infinity in the trace; asking for its digits says so."""
    domain = RoundedDomain("float16")
    assert math.inf == domain.add(np.array([[65504.0]]), np.array([[65504.0]]))[0, 0]
    with pytest.raises(UndecidedError, match="inf"):
        domain.interval(math.inf)


def test_rational_parameters_are_rounded_once():
    """A ratio between a bfloat16 tie and float64's neighbour of it."""
    above = str(Fraction(1) + Fraction(1, 2**8) + Fraction(1, 2**70))
    found = RoundedDomain("bfloat16").matrix(exact_array([[above, 0.5]]))
    assert [[1.0078125, 0.5]] == found.tolist()


# --- by hand --------------------------------------------------------------------------

DECIMALS = st.decimals(-1000, 1000, allow_nan=False, allow_infinity=False, places=5)


def exact_decimal(value):
    return Fraction(int(value.p), int(value.q))


@given(
    st.lists(st.tuples(DECIMALS, DECIMALS), min_size=1, max_size=5), st.integers(1, 9)
)
def test_products_by_hand_are_decimals(pairs, digits):
    """A dot product step by step, as Python's decimal does it."""
    context = decimal.Context(prec=digits, rounding=decimal.ROUND_HALF_EVEN)
    rounded = [[context.plus(v) for v in pair] for pair in pairs]
    expected = reduce(context.add, (context.multiply(*pair) for pair in rounded))
    domain = ByHandDomain(digits=digits)
    a, b = (
        domain.matrix(exact_array([[str(v) for v in side]]))
        for side in zip(*pairs, strict=True)
    )
    found = domain.matmul(a, domain.transpose(b))[0, 0]
    assert Fraction(expected) == exact_decimal(found)


@given(DECIMALS, DECIMALS, st.integers(0, 6))
def test_places_by_hand(a, b, places):
    """Sums and products to fixed places; ties go to even."""
    quantum = decimal.Decimal(1).scaleb(-places)
    domain = ByHandDomain(places=places)
    x, y = (v.quantize(quantum) for v in (a, b))
    left, right = (domain.matrix(exact_array([[str(v)]])) for v in (a, b))
    for method, apply in (("add", operator.add), ("hadamard", operator.mul)):
        found = getattr(domain, method)(left, right)[0, 0]
        assert Fraction(apply(x, y).quantize(quantum)) == exact_decimal(found)


@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_functions_by_hand(function):
    """To four digits, tiny values included."""
    domain = ByHandDomain(digits=4)
    values = ["0", "0.5", "-3.2", "1e-30", "40", "-200", "-100000"]
    found = domain.elementwise(
        FUNCTIONS[function], domain.matrix(exact_array([values]))
    )
    for value, element in zip(values, found[0], strict=True):
        wanted = FUNCTIONS[function].mp(MP, MP.mpf(value))
        assert MP.nstr(wanted, 4) == MP.nstr(MP.mpf(int(element.p)) / int(element.q), 4)


@pytest.mark.parametrize("wrong", [{}, {"digits": 3, "places": 3}])
def test_digits_or_places(wrong):
    """Exactly one of both."""
    with pytest.raises(TypeError, match="digits= or places="):
        ByHandDomain(**wrong)


def test_no_digits():
    """No digits at all are refused."""
    with pytest.raises(SourceError, match="at least 1"):
        ByHandDomain(digits=0)


def test_hadamard_broadcasts_by_hand():
    """A column stands for every column."""
    domain = ByHandDomain(digits=3)
    column = domain.matrix(exact_array([["0.5"], [2]]))
    both = domain.matrix(exact_array([[1, 2], [3, 4]]))
    found = domain.hadamard(column, both)
    assert [[Fraction(1, 2), 1], [6, 8]] == [
        [exact_decimal(v) for v in r] for r in found
    ]
