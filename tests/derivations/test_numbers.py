# SPDX-License-Identifier: BSD-3-Clause
"""Every number of the golden documents, read back and computed again.

The reader below knows TeX, not symrnn: it parses each line of the Markdown, and lays
the numbers of a line over the symbols that the page itself says they stand for. The
values come from recurrences written here, over mpmath with 60 digits.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import mpmath
import pytest

import symrnn
from tests.derivations.test_cases import GOLDEN

DIGITS = 4
MP = mpmath.MPContext()
MP.dps = 60


# --- values: the recurrences, by hand -----------------------------------------------


def number(value):
    fraction = Fraction(value)
    return MP.mpf(fraction.numerator) / fraction.denominator


def product(a, b):
    return [[MP.fsum(map(MP.fmul, row, c)) for c in zip(*b, strict=True)] for row in a]


def each(f, *matrices):
    rows = zip(*matrices, strict=True)
    return [[f(*values) for values in zip(*row, strict=True)] for row in rows]


def plus(*terms):
    return each(lambda *values: MP.fsum(values), *terms)


def times(a, b):
    return each(MP.fmul, a, b)


def sigma(a):
    return each(lambda v: 1 / (1 + MP.exp(-v)), a)


def tanh(a):
    return each(MP.tanh, a)


def rnn_step(p, x, s):
    terms = [product(p["W_ih"], x), product(p["W_hh"], s["h"])]
    terms += [p[name] for name in ("b_ih", "b_hh") if name in p]
    return {"h": tanh(plus(*terms))}


def lstm_step(p, x, s):
    q = {}
    for k in "ifgo":
        a = plus(product(p[f"W_i{k}"], x), product(p[f"W_h{k}"], s["h"]))
        a = plus(a, p[f"b_i{k}"], p[f"b_h{k}"])
        q[k] = tanh(a) if k == "g" else sigma(a)
    q["c"] = plus(times(q["f"], s["c"]), times(q["i"], q["g"]))
    q["h"] = times(q["o"], tanh(q["c"]))
    return q


def gru_step(p, x, s):
    def parts(k):
        return (
            plus(product(p[f"W_i{k}"], x), p[f"b_i{k}"]),
            plus(product(p[f"W_h{k}"], s["h"]), p[f"b_h{k}"]),
        )

    r, z = sigma(plus(*parts("r"))), sigma(plus(*parts("z")))
    from_input, from_state = parts("n")
    n = tanh(plus(from_input, times(r, from_state)))
    h = plus(times(each(lambda v: 1 - v, z), n), times(z, s["h"]))
    return {"r": r, "z": z, "n": n, "h": h}


def peephole_step(p, x, s):
    def affine(k, *more):
        return plus(product(p[f"W_{k}"], x), product(p[f"R_{k}"], s["h"]), p[f"b_{k}"])

    def gate(k, c):
        return sigma(plus(affine(k), times(p[f"p_{k}"], c)))

    i, f, g = gate("i", s["c"]), gate("f", s["c"]), tanh(affine("g"))
    c = plus(times(f, s["c"]), times(i, g))
    o = gate("o", c)
    return {"i": i, "f": f, "g": g, "c": c, "o": o, "h": times(o, tanh(c))}


STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step, "peephole": peephole_step}


def name(base, sub, layer="", arrow=""):
    """Return a symbol as the pages write it."""
    base = f"\\over{arrow}arrow{{{base}}}" if arrow else base
    return f"{base}_{{{sub}}}" + (f"^{{{layer}}}" if layer else "")


def symbols_of(step, net, x):
    """Return the value of every symbol of the pages, by its name."""
    values = {name("x", t + 1): [[number(v)] for v in row] for t, row in enumerate(x)}
    below = [[[number(v)] for v in row] for row in x]
    for layer in range(net.num_layers):
        sup = f"({layer + 1})" if net.num_layers > 1 else ""
        outputs = []
        for direction in net.directions:
            back = direction == "reverse"
            arrow = ("left" if back else "right") if net.bidirectional else ""
            p = {}
            for key, array in net.parameters[layer, direction].items():
                p[key] = [[number(v) for v in row] for row in array.tolist()]
                base, sub = key.split("_")
                values[name(base, sub, sup, arrow)] = p[key]
            state = {s: [[MP.zero]] * n for s, n in net.state_sizes.items()}
            order = range(len(x))
            start = len(x) + 1 if back else 0
            for s in state:
                values[name(s, start, sup, arrow)] = state[s]
            seen = {}
            for t in reversed(order) if back else order:
                found = step(p, below[t], state)
                state = {s: found[s] for s in state}
                seen[t] = found["h"]
                for key, value in found.items():
                    values[name(key, t + 1, sup, arrow)] = value
            outputs.append([seen[t] for t in order])
        below = [list(chain.from_iterable(p)) for p in zip(*outputs, strict=True)]
        for t, value in enumerate(below):
            values[name("x", t + 1, f"({layer + 2})")] = value
    return values


# --- a reader of the pages' mathematics ---------------------------------------------

TOKEN = re.compile(
    r"""(?P<number>(?<![\w}])-?\d+(?:\.\d+)?)
      | (?P<matrix>\\left\[\\begin\{array\}\{\w+\}(?P<body>.*?)\\end\{array\}\\right\])
      | (?P<open>\\left\(|\()
      | (?P<close>\\right\)|\))
      | (?P<function>\\tanh|\\sigma)
      | (?P<product>\\cdot|\\odot)
      | (?P<sign>[+-](?=\s))
      | (?P<transposed>\^\{\\top\})
      | (?P<symbol>(?:\\over(?:right|left)arrow\{\w\}|[A-Za-z])_\{\w+\}
                   (?:\^\{\(\d+\)(?:\\top)?\})?)
    """,
    re.VERBOSE,
)


def tokens(text):
    position, found = 0, []
    while position < len(text):
        if text[position] == " ":
            position += 1
            continue
        match = TOKEN.match(text, position)
        assert match, f"cannot read {text[position:]!r}"
        found.append((match.lastgroup, match[0], match["body"]))
        position = match.end()
    # `lastgroup` is the last group that closed, which for a matrix is not its body.
    return found


class Reader:
    """Reads one expression: sums of products of atoms."""

    def __init__(self, text):
        self.tokens = tokens(text)

    def peek(self):
        return self.tokens[0][0] if self.tokens else None

    def whole(self):
        tree = self.sum()
        assert not self.tokens, self.tokens
        return tree

    def sum(self):
        terms = [("+", self.term())]
        while self.peek() == "sign":
            sign = self.tokens.pop(0)[1]
            terms.append((sign, self.term()))
        return terms[0][1] if len(terms) == 1 else ("sum", terms)

    def term(self):
        tree = self.atom()
        while self.peek() not in (None, "sign", "close"):
            operator = "beside"
            if self.peek() == "product":
                operator = self.tokens.pop(0)[1]
            tree = ("product", operator, tree, self.atom())
        return tree

    def atom(self):
        kind, text, body = self.tokens.pop(0)
        if kind == "number":
            return "number", text
        if kind == "matrix":
            rows = re.split(r"\\\\(?:\[[\d.]+ex\])?", body)
            return "matrix", [[Reader(c).whole() for c in r.split("&")] for r in rows]
        if kind == "function":
            return "function", text, self.atom()
        if kind == "open":
            tree = self.sum()
            assert self.tokens.pop(0)[0] == "close"
            return tree
        assert kind == "symbol", (kind, text)
        if text.endswith("\\top}"):
            return "transposed", ("symbol", text.removesuffix("\\top}") + "}")
        if self.peek() == "transposed":
            self.tokens.pop(0)
            return "transposed", ("symbol", text)
        return "symbol", text


def is_value(tree):
    """Whether the page shows decimals and nothing else."""
    if tree[0] == "matrix":
        return all(cell[0] == "number" for row in tree[1] for cell in row)
    return tree[0] == "number"


def has_symbols(tree):
    if isinstance(tree, (list, tuple)):
        return tree[:1] == ("symbol",) or any(has_symbols(part) for part in tree)
    return False


def value_of(tree, symbols):
    """Compute what an expression of symbols stands for."""
    kind, *rest = tree
    if kind == "symbol":
        return symbols[rest[0]]
    if kind == "number":
        return [[number(rest[0])]]
    if kind == "function":
        return (tanh if rest[0] == r"\tanh" else sigma)(value_of(rest[1], symbols))
    if kind == "transposed":
        return [
            list(column) for column in zip(*value_of(rest[0], symbols), strict=True)
        ]
    if kind == "matrix":
        rows = []
        for row in rest[0]:
            parts = [value_of(cell, symbols) for cell in row]
            rows.append([v for part in parts for line in part for v in line])
        return rows
    if kind == "product":
        a, b = (value_of(part, symbols) for part in rest[1:])
        return times(a, b) if rest[0] == r"\odot" else product(a, b)
    terms = [(sign, value_of(term, symbols)) for sign, term in rest[0]]
    height = max(len(term) for _, term in terms)
    terms = [(s, v * height if len(v) == 1 else v) for s, v in terms]
    return plus(*(v if sign == "+" else each(lambda e: -e, v) for sign, v in terms))


def pairs(shown, meant) -> Iterator[tuple]:
    """Lay an expression of numbers over one of symbols: (printed, what it means)."""
    if is_value(shown):
        yield shown, meant
        return
    assert shown[0] == meant[0], (shown, meant)
    if shown[0] == "sum":
        assert [sign for sign, _ in shown[1]] == [sign for sign, _ in meant[1]]
        for (_, a), (_, b) in zip(shown[1], meant[1], strict=True):
            yield from pairs(a, b)
    elif shown[0] == "product":
        assert shown[1] in (meant[1], r"\cdot")
        yield from pairs(shown[2], meant[2])
        yield from pairs(shown[3], meant[3])
    else:
        assert (shown[0], shown[1]) == ("function", meant[1])
        yield from pairs(shown[2], meant[2])


def judge(text, value):
    """Return whether a decimal is exactly `value`, having checked that it is right."""
    scaled = value * 10 ** len(text.partition(".")[2])
    printed = MP.mpf(text.replace(".", ""))
    distance, nothing = abs(scaled - printed), MP.mpf(10) ** -40
    tie_to_even = abs(distance - 0.5) < nothing and printed % 2 == 0
    assert distance < 0.5 - nothing or tie_to_even, f"{text} for {MP.nstr(value, 20)}"
    return distance < nothing


def formulas(page):
    """Yield (left, [(relation, right), …]) of every formula with numbers or symbols."""
    for block in re.findall(r"\$\$\n\\begin\{\w+\}\n(.*?)\n\\end", page, re.DOTALL):
        for line in block.splitlines():
            line = re.sub(r"\\\\(\[0\.8ex\])?$", "", line).replace("&=", "=")
            line = line.replace("&\\approx", "\\approx")
            for formula in line.split(r", \quad "):
                left, *rest = re.split(r"(=|\\approx)", formula)
                yield left.strip(), list(zip(rest[::2], rest[1::2], strict=True))


def check_page(page, symbols):
    """Check every decimal and sign of a page; return how many decimals it has."""
    count, meaning, meant, left = 0, {}, None, ""
    for new_left, links in formulas(page):
        if re.search(r"_\{t|\^\{\(l\)\}", new_left):
            continue  # the equations in general
        left = new_left or left
        for relation, text in links:
            tree = Reader(text.strip()).whole()
            if left in ("\\mathrm{output}", "h_{n}", "c_{n}") or left in symbols:
                meant = meaning.get(left)
            else:
                meant = Reader(left).whole()
            if has_symbols(tree):
                assert relation == "=", (left, text)
                meaning[left] = tree
                if left in symbols:
                    error = each(MP.fsub, value_of(tree, symbols), symbols[left])
                    assert max(abs(e) for row in error for e in row) < MP.mpf(10) ** -50
                continue
            exact = []
            for shown, stands_for in pairs(tree, meant or ("symbol", left)):
                value = value_of(stands_for, symbols)
                rows = shown[1] if shown[0] == "matrix" else [[shown]]
                if stands_for == ("number", "1"):
                    value = [[MP.one]] * len(rows)
                assert len(rows) == len(value)
                for row, wanted in zip(rows, value, strict=True):
                    for cell, v in zip(row, wanted, strict=True):
                        exact.append(judge(cell[1], v))
                        assert exact[-1] or len(cell[1].partition(".")[2]) == DIGITS
            assert all(exact) == (relation == "="), f"{left} {relation} {text}"
            count += len(exact)
    return count


def numbers_in(page):
    """Count the numbers of a page's formulas, however they are arranged."""
    blocks = "".join(re.findall(r"\$\$(.*?)\$\$", page, re.DOTALL))
    without = re.sub(r"[_^]\{[^{}]*\}|\[0.8ex\]|1 - (?=\\?[a-z])", "", blocks)
    return len(re.findall(r"\d+(?:\.\d+)?", without))


@pytest.mark.parametrize("case", GOLDEN)
def test_every_decimal_is_correctly_rounded_and_every_sign_is_right(case):
    """Numbers are the exact values rounded once, and = stands where nothing was."""
    make, x = GOLDEN[case]
    net = make()
    symbols = symbols_of(STEPS[case.partition("_")[0]], net, x)
    page = symrnn.derive(net, x).markdown()
    count = check_page(page, symbols)
    assert count == numbers_in(page) > 30


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (r"\approx 0.8133", r"\approx 0.8134"),
        (r"\approx 0.8133", r"= 0.8133"),
        (r"= -2.6307", r"\approx -2.6307"),
        (r"\tanh(-3.5076 + 0.8133)", r"\tanh(0.8133 + -3.5076)"),
        (r"-0.9909 \\ -0.9984", r"-0.9984 \\ -0.9909"),
    ],
)
def test_the_reader_sees_mistakes(right, wrong):
    """A digit, a sign, an order that is wrong fails the check."""
    make, x = GOLDEN["rnn_one_feature"]
    net = make()
    page = symrnn.derive(net, x).markdown()
    symbols = symbols_of(rnn_step, net, x)
    assert check_page(page, symbols)
    assert right in page
    with pytest.raises(AssertionError):
        check_page(page.replace(right, wrong), symbols)
