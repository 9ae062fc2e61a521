# SPDX-License-Identifier: BSD-3-Clause
"""How numbers look: decimals, significant digits, fractions, closed forms; and = or ≈."""

from decimal import Decimal
from fractions import Fraction

import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn.derivations.exactness import KnownRationals
from symrnn.derivations.number_forms import Element, write_numbers
from symrnn.derivations.options import Options
from symrnn.documents.latex.math import math
from symrnn.documents.model import Number
from symrnn.equations.functions import FUNCTIONS

RATIONALS = st.fractions(max_denominator=10**6) | st.builds(
    lambda n, e: Fraction(n) * Fraction(10) ** e,
    st.integers(-(10**9), 10**9),
    st.integers(-30, 30),
)


def write(value, **options):
    element = Element(None, fmpq(value.numerator, value.denominator))
    (shown,), exact = write_numbers([element], Options(**options))
    return shown, exact


@given(RATIONALS, st.integers(1, 12))
def test_significant_digits_are_the_nearest_ones(value, digits):
    """At most half a unit of the last of them away; exact where it says so."""
    (number,), exact = write(value, digits=digits, rounding="significant")
    assert isinstance(number, Number)
    printed = Decimal(number.text)
    if exact:
        assert Fraction(printed) == value
        return
    assert digits == len(printed.as_tuple().digits)
    unit = Fraction(10) ** int(printed.as_tuple().exponent)
    assert 2 * abs(Fraction(printed) - value) <= unit


@given(RATIONALS, st.integers(0, 12))
def test_decimals_say_exact_only_where_they_are(value, digits):
    (number,), exact = write(value, digits=digits)
    assert exact == (Fraction(Decimal(number.text)) == value)
    assert "e" not in number.text
    assert 2 * abs(Fraction(Decimal(number.text)) - value) <= Fraction(1, 10**digits)


@given(st.integers(-999, 999), st.integers(1, 99))
def test_short_rationals_are_fractions(top, bottom):
    value = Fraction(top, bottom)
    shown, exact = write(value, numbers="fraction")
    sign, size = ("-" if value < 0 else ""), abs(value)
    text = rf"\frac{{{size.numerator}}}{{{size.denominator}}}"
    expected = str(value) if value.denominator == 1 else sign + text
    assert (expected, True) == (math(shown), exact)


def test_long_rationals_are_decimals_and_rounded():
    shown, exact = write(Fraction(123456789, 987654321), numbers="fraction")
    assert ("0.1250", False) == (math(shown), exact)


def closed(value, *path):
    domain, rows = KnownRationals(closed=True), [[fmpq(*value)]]
    for name in path:
        rows = domain.elementwise(FUNCTIONS[name], rows)
    return domain, rows


def text(rows):
    return None if rows[0][0] is None else math(rows[0][0].math)


def test_closed_forms_are_followed_while_they_are_short():
    """Functions of rationals, products and sums of them, with their signs."""
    domain, a = closed((3, 4), "tanh")
    _, b = closed((-1, 2), "sigmoid")
    assert r"\tanh\left( \frac{3}{4} \right)" == text(a)
    assert r"-\tanh\left( \frac{3}{4} \right)" == text(domain.neg(a))
    product = domain.hadamard(a, b)
    assert text(a) + r" \cdot " + text(b) == text(product)
    assert text(a) + " - " + text(b) == text(domain.add(a, domain.neg(b)))
    assert [[fmpq(0)]] == domain.hadamard(a, [[fmpq(0)]])
    assert a == domain.hadamard(a, [[fmpq(1)]])
    long = domain.add(product, product, product, product)
    assert [[None]] == long


def test_closed_forms_are_no_rationals_unless_asked_for():
    domain = KnownRationals()
    assert [[None]] == domain.elementwise(FUNCTIONS["tanh"], [[fmpq(3, 4)]])
    assert [[fmpq(0)]] == domain.elementwise(FUNCTIONS["tanh"], [[fmpq(0)]])


@pytest.mark.parametrize("numbers", ["decimal", "fraction", "closed"])
def test_values_are_the_same_however_they_look(numbers):
    """A relu network is exact all through: no ≈ where fractions are printed."""
    net = symrnn.load(
        {"weight_ih_l0": [["1/3"]], "weight_hh_l0": [["-1/7"]]}, cell="rnn_relu"
    )
    page = symrnn.derive(net, [[1], [3]], numbers=numbers).markdown()
    steps = page[page.index("Step 1") :]
    assert (r"\approx" in steps) == (numbers == "decimal")
    assert (r"\frac{20}{21}" in steps) == (numbers != "decimal")


@pytest.mark.parametrize("detail", ["steps", "scalars"])
def test_a_closed_form_is_followed_by_its_decimal(detail):
    """How large tanh(1/4) is stands beside it."""
    weights = {"weight_ih_l0": [["1/2"], ["1/4"]], "weight_hh_l0": [[1, 0], [0, 1]]}
    net = symrnn.load(weights, cell="rnn_tanh")
    page = symrnn.derive(net, [[1], [-1]], numbers="closed", detail=detail).markdown()
    values = [
        r"\begin{array}{c} \tanh\left( \frac{1}{2} \right) \\[0.8ex] "
        r"\tanh\left( \frac{1}{4} \right) \end{array}\right]",
        r" \approx \left[\begin{array}{r} 0.4621 \\ 0.2449 \end{array}\right]",
    ]
    assert "".join(values) in page


def test_numbers_with_the_printed_decimals_are_all_fractions():
    """-0.8769 and -0.8218 look alike, though one can be reduced."""
    assert r"-\frac{8769}{10000}" == math(
        write(Fraction("-0.8769"), numbers="fraction")[0]
    )
    assert r"-\frac{4109}{5000}" == math(
        write(Fraction("-0.8218"), numbers="fraction")[0]
    )


def test_one_minus_a_closed_form():
    """The rational number comes first where what follows is subtracted."""
    weights = {"weight_ih_l0": [[1], [1], [1]], "weight_hh_l0": [[0], [0], [0]]}
    page = symrnn.derive(symrnn.load(weights, cell="gru"), [[1]], numbers="closed")
    assert r"(1 - \sigma(1)) \cdot \tanh(1)" in page.markdown()
