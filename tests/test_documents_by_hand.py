# SPDX-License-Identifier: BSD-3-Clause
"""Pages carried by hand: who has a calculator and the page gets every printed digit."""

import re
from fractions import Fraction
from math import floor

import mpmath
import pytest

import symrnn
from tests.test_documents_cases import GOLDEN
from tests.test_documents_numbers import Reader, formulas, has_symbols

MP = mpmath.MPContext()
MP.dps = 60


def calculator(tree, places):
    """Work an expression of numbers out, every result rounded before it is used."""

    def rounded(value):  # as at school: halves go away from zero
        size = Fraction(floor(abs(value) * 10**places + Fraction(1, 2)), 10**places)
        return size if value >= 0 else -size

    kind, *rest = tree
    if kind == "number":
        return [[Fraction(rest[0])]]
    if kind == "matrix":
        return [[calculator(c, places)[0][0] for c in row] for row in rest[0]]
    if kind == "function":
        f = MP.tanh if rest[0] == r"\tanh" else lambda v: 1 / (1 + MP.exp(-v))
        inside = calculator(rest[1], places)

        def image(v):
            text = MP.nstr(f(MP.mpf(v.numerator) / v.denominator), 40)
            return rounded(Fraction(text))

        return [[image(v) for v in row] for row in inside]
    if kind == "product":
        a, b = (calculator(part, places) for part in rest[1:])
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
    terms = [(sign, calculator(term, places)) for sign, term in rest[0]]
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


@pytest.mark.parametrize("places", [1, 3, 6])
@pytest.mark.parametrize("case", ["rnn_hidden_size_two", "lstm", "gru", "peephole"])
def test_a_calculator_reproduces_every_line(case, places):
    """From the numbers of any line alone, rounded as the page says, to the value."""
    make, x = GOLDEN[case]
    page = symrnn.derive(make(), x, digits=places, carry="by-hand").markdown()
    steps = page[page.index("Step 1") : page.index("## All states")]
    count = 0
    for *lines, value in filter(None, chains(re.sub(r"\(1 - ", "(1 - ", steps))):
        for tree in lines:
            assert calculator(tree, places) == calculator(value, places), (tree, value)
            count += 1
    assert count > 15


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
