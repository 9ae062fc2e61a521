# SPDX-License-Identifier: BSD-3-Clause
"""Pages carried by hand: who has a calculator and the page gets every printed digit."""

import re
from decimal import ROUND_HALF_UP, Context
from fractions import Fraction
from math import floor

import mpmath
import pytest

import symrnn
from tests.derivations.test_cases import GOLDEN
from tests.derivations.test_numbers import Reader, formulas, has_symbols

MP = mpmath.MPContext()
MP.dps = 60


def rounding(digits, kind):
    """Return what rounds as at school: halves go away from zero."""

    def to_places(value):
        size = Fraction(floor(abs(value) * 10**digits + Fraction(1, 2)), 10**digits)
        return size if value >= 0 else -size

    def to_digits(value):
        context = Context(prec=digits, rounding=ROUND_HALF_UP)
        return Fraction(context.divide(value.numerator, value.denominator))

    return to_places if kind == "decimals" else to_digits


def calculator(tree, rounded, symbols=None):
    """Work an expression of numbers out, every result rounded before it is used."""

    def work(part):
        return calculator(part, rounded, symbols)

    kind, *rest = tree
    if kind == "number":
        return [[Fraction(rest[0])]]
    if kind == "symbol":
        return symbols[rest[0]]
    if kind == "matrix":
        return [[work(cell)[0][0] for cell in row] for row in rest[0]]
    if kind == "function":
        f = MP.tanh if rest[0] == r"\tanh" else lambda v: 1 / (1 + MP.exp(-v))

        def image(v):
            text = MP.nstr(f(MP.mpf(v.numerator) / v.denominator), 40)
            return rounded(Fraction(text))

        return [[image(v) for v in row] for row in work(rest[1])]
    if kind == "product":
        a, b = map(work, rest[1:])
        if rest[0] == r"\odot":
            return [
                [rounded(x * y) for x, y in zip(*r, strict=True)]
                for r in zip(a, b, strict=True)
            ]
        return [
            [
                rounded(sum(x * y for x, y in zip(row, c, strict=True)))
                for c in zip(*b, strict=True)
            ]
            for row in a
        ]
    terms = [(sign, work(term)) for sign, term in rest[0]]
    height = max(len(value) for _, value in terms)
    signed = [
        [[v if sign == "+" else -v for v in row] for row in (m * height)[:height]]
        for sign, m in terms
    ]
    return [
        [rounded(sum(vs)) for vs in zip(*rows, strict=True)]
        for rows in zip(*signed, strict=True)
    ]


def chains(page):
    """Yield the expressions of numbers that lead to each value, the value last."""
    found, before = [], None
    for left, links in formulas(page):
        if left and found:
            yield found
            found = []
        before = left or before
        for _, text in links:
            tree = Reader(text.strip()).whole()
            if not has_symbols(tree):
                found.append(tree)
    yield found


@pytest.mark.parametrize(
    ("digits", "kind"),
    [(1, "decimals"), (3, "decimals"), (6, "decimals"), (3, "significant")],
)
@pytest.mark.parametrize("case", ["rnn_hidden_size_two", "lstm", "gru", "peephole"])
def test_a_calculator_reproduces_every_line(case, digits, kind):
    """From the numbers of any line alone, rounded as the page says, to the value."""
    make, x = GOLDEN[case]
    page = symrnn.derive(make(), x, digits=digits, rounding=kind, carry="by-hand")
    text = page.markdown()
    steps = text[text.index("Step 1") : text.index("## All states")]
    count, rounded = 0, rounding(digits, kind)
    for *lines, value in filter(None, chains(steps)):
        for tree in lines:
            assert calculator(tree, rounded) == calculator(value, rounded)
            count += 1
    assert count > 15


def worked(page, rounded):
    """Work every value of a page out from the values above it; return how many."""
    symbols, meaning, before, count = {}, {}, None, 0
    for left, links in formulas(page[page.index("## Parameters") :]):
        if "_{t" in left or left in ("h_{n}", r"\mathrm{output}"):
            continue
        before = left or before
        meaning.setdefault(before, Reader(before).whole())
        for _, text in links:
            tree = Reader(text.strip()).whole()
            if has_symbols(tree):
                meaning[before] = tree
                continue
            value = calculator(tree, rounded)
            if meaning[before] != ("symbol", before):  # else it is given
                wanted = calculator(meaning[before], rounded, symbols)
                assert value == wanted, (before, text)
                count += 1
            symbols[before] = value
    return count


@pytest.mark.parametrize("sequence", [1, 2])
@pytest.mark.parametrize("kind", ["decimals", "significant"])
def test_what_is_printed_at_the_top_is_what_is_computed_with(sequence, kind):
    """Parameters, inputs and initial states too long to print are copied down rounded.

    Whether one is too long is seen by sequence, although a batch runs as a whole.
    """
    net = symrnn.load(
        {"weight_ih_l0": [["0.125", "1/3"]], "weight_hh_l0": [["0.1251"]]},
        cell="rnn_tanh",
    )
    x = [[["0.12345", "-0.5"], ["2/3", "1.23456789"]], [["1.5", "0.0375"], ["2/3", 1]]]
    page = symrnn.derive(
        net,
        x,
        [[["1/7"], ["0.0655"]]],
        digits=2,
        rounding=kind,
        carry="by-hand",
        sequences=sequence,
    )
    assert worked(page.markdown(), rounding(2, kind)) == 14


def test_what_is_not_shown_is_rounded_with_what_is():
    """A long number in the middle of a large matrix decides for all of it."""
    weights = ["0.125"] * 40
    x = [[1] * 40]

    def matrix():
        net = {"weight_ih_l0": [weights], "weight_hh_l0": [[0]]}
        page = symrnn.derive(
            symrnn.load(net, cell="rnn_tanh"), x, digits=2, carry="by-hand"
        )
        text = page.markdown()
        return text[text.index("W_{ih} x_{1} &") :].splitlines()[0]

    assert "0.125 & " in matrix()
    weights[20] = "1/3"
    assert "0.13 & " in matrix()


def test_drift_is_the_distance_from_the_exact_states():
    """Said on the page, rounded up; and it is that of the worst state."""
    make, x = GOLDEN["lstm"]
    page = symrnn.derive(make(), x, digits=2, carry="by-hand")
    text = page.markdown()
    size = float(re.search(r"by at most \$([\d.]+)\$", text)[1])
    exact = page.trace
    carried = re.findall(r"^\| \d \| (.*) \|$", text, re.MULTILINE)
    worst = 0.0
    for t, row in enumerate(carried):
        printed = [float(cell.strip(" $")) for cell in row.split("|")]
        states = [*exact[0, "forward", t].h.nearest("float64").reshape(-1)]
        states += [*exact[0, "forward", t].c.nearest("float64").reshape(-1)]
        worst = max(worst, *(abs(a - b) for a, b in zip(printed, states, strict=True)))
    assert worst <= size <= 1.1 * worst


def test_nothing_drifts_where_nothing_is_rounded():
    """Rational states with few digits: by hand is exact."""
    net = symrnn.load(
        {"weight_ih_l0": [["1/2"]], "weight_hh_l0": [["-1/2"]]}, cell="rnn_relu"
    )
    page = symrnn.derive(net, [[1], [3]], carry="by-hand")
    assert "No state differs from exact arithmetic." in page.markdown()
    assert "approx 0" not in page.markdown()


def test_what_vanishes_is_zero_as_on_a_calculator():
    """E^(-1e7) has seven million zeros; nobody carries it, and no page waits for it."""
    weights = {"weight_ih_l0": [[-1e7], [-1e9], [1]], "weight_hh_l0": [[0], [0], [0]]}
    net = symrnn.load(weights, cell="gru")
    options = {"carry": "by-hand", "rounding": "significant"}
    page = symrnn.derive(net, [[1]], **options).markdown()
    assert (
        r"\sigma(-1 \cdot 10^{9} + 0) = \sigma(-1 \cdot 10^{9}) \approx 0" + "\n"
        in page
    )
    assert "0.7616" in page


def test_no_drift_where_nothing_was_rounded():
    """Exact values count where there are any, not what encloses them."""
    weights = {
        "weight_ih_l0": [[".1", ".3"], [".7", "-.2"]],
        "weight_hh_l0": [[".3", ".1"], ["-.1", ".7"]],
    }
    net = symrnn.load(weights, cell="rnn_relu")
    page = symrnn.derive(net, [[1, 2], [".5", 1]], carry="by-hand").markdown()
    assert "No state differs from exact arithmetic" in page
    weights = {"weight_ih_l0": [[".31", ".27"]], "weight_hh_l0": [[".5"]]}
    net = symrnn.load(weights, cell="rnn_relu")
    page = symrnn.derive(net, [[".7", "-.8"]], carry="by-hand", digits=2).markdown()
    assert "by at most $0.001$" in page
