# SPDX-License-Identifier: BSD-3-Clause
"""What the formulas of a printed document mean, and whether its numbers are right.

No tests of its own. A page is taken at its word: its general equations, parameters and
inputs are read, every symbol is computed from them over mpmath, and each printed number
is held against what stands in its place in the formula of symbols.
"""

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import chain

import mpmath

from tests.reading.mathematics import Matrix, Name, Number, ReadingError

MP = mpmath.MPContext()
MP.dps = 80
DIGITS = 4
FLOAT32 = 24  # bits of a significand


class WrongError(AssertionError):
    """A number or a sign that is printed is wrong."""


# --- arithmetic: fractions where a value is rational, mpmath where it is not ---------


def real(value):
    if isinstance(value, Fraction):
        return MP.mpf(value.numerator) / value.denominator
    return value


def total(terms):
    if all(isinstance(term, Fraction) for term in terms):
        return sum(terms, Fraction(0))
    return MP.fsum(map(real, terms))


def times(a, b):
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    return Fraction(0) if 0 in (a, b) else real(a) * real(b)


def tanh(a):
    return Fraction(0) if a == 0 else MP.tanh(real(a))


def sigmoid(a):
    return Fraction(1, 2) if a == 0 else 1 / (1 + MP.exp(-real(a)))


FUNCTIONS = {"tanh": tanh, "σ": sigmoid}


def product(a, b):
    columns = list(zip(*b, strict=True))
    return [
        [total([times(u, v) for u, v in zip(row, c, strict=True)]) for c in columns]
        for row in a
    ]


def each(function, *matrices):
    """Apply to corresponding elements; a single one stands for all."""
    height = max(map(len, matrices))
    wide = [m * height if len(m) == 1 else m for m in matrices]
    return [
        [function(*values) for values in zip(*rows, strict=True)]
        for rows in zip(*wide, strict=True)
    ]


def difference(a, b):
    """Return the largest distance of two matrices of one shape."""
    rows = each(lambda u, v: abs(real(u) - real(v)), a, b)
    assert len(a) == len(b)
    return max(v for row in rows for v in row)


# --- what symbols mean --------------------------------------------------------------


def names_in(tree):
    """Yield the names of an expression."""
    if isinstance(tree, Name):
        yield tree
    elif isinstance(tree, Matrix):
        for row in tree.rows:
            for cell in row:
                yield from names_in(cell)
    elif isinstance(tree, tuple):
        for part in tree:
            yield from names_in(part)


def rewritten(tree, change):
    """Return an expression with its names changed."""
    if isinstance(tree, Name):
        return change(tree)
    if isinstance(tree, Matrix):
        return replace(
            tree,
            rows=tuple(tuple(rewritten(c, change) for c in row) for row in tree.rows),
        )
    if isinstance(tree, tuple):
        return tuple(rewritten(part, change) for part in tree)
    return tree


class Meaning:
    """The values of a page's symbols.

    Attributes:
        given: Parameters by name, and inputs and initial states by sequence and name.
        rules: The general equation of a quantity by its letter, and of the input of a
            layer by letter and superscript.
    """

    def __init__(self):
        self.given, self.rules, self.found = {}, {}, {}

    def define(self, key, value):
        if self.given.setdefault(key, value) != value:
            raise WrongError(f"{key} is printed in two ways")

    def equation(self, name):
        """Return the equation of a quantity at its step, layer and direction."""
        if name.base == "x":
            rule = self.rules["x", name.sup]
            return rewritten(rule, lambda n: replace(n, sub=name.sub))
        back = name.arrow == "←"
        before = str(int(name.sub) + (1 if back else -1))
        steps = {"t": name.sub, "t-1": before}

        def at(n):
            if n.sub not in steps:
                return replace(n, sup=name.sup, arrow=name.arrow)  # a parameter
            if n.base == "x":
                sup = name.sup if name.sup != "(1)" else ""
                return replace(n, sub=steps[n.sub], sup=sup)
            return replace(n, sub=steps[n.sub], sup=name.sup, arrow=name.arrow)

        return rewritten(self.rules[name.base], at)

    def symbol(self, name, b):
        """Return the value of a symbol in sequence b."""
        for key in (name, (b, name)):
            if key in self.given:
                return self.given[key]
        if (b, name) not in self.found:
            if not name.sub.isdecimal():
                raise ReadingError(f"{name} is not defined")
            self.found[b, name] = self.value(self.equation(name), b)
        return self.found[b, name]

    def value(self, tree, b):
        """Return the value of an expression, as rows."""
        match tree:
            case Name():
                return self.symbol(tree, b)
            case Number():
                return [[Fraction(tree.text)]]
            case Matrix():
                bands = []
                for row in tree.rows:
                    parts = [self.value(cell, b) for cell in row]
                    bands += [list(chain(*line)) for line in zip(*parts, strict=True)]
                return bands
            case ("sum", terms):
                signed = [
                    value if sign == "+" else each(lambda v: -v, value)
                    for sign, value in ((s, self.value(t, b)) for s, t in terms)
                ]
                return each(lambda *values: total(values), *signed)
            case ("beside", left, right):
                return product(self.value(left, b), self.value(right, b))
            case ("⊙", left, right):
                return each(times, self.value(left, b), self.value(right, b))
            case ("call", function, argument):
                return each(FUNCTIONS[function], self.value(argument, b))
            case ("top", inner):
                rows = self.value(inner, b)
                return [list(column) for column in zip(*rows, strict=True)]
        raise ReadingError(f"cannot compute {tree}")


# --- what is printed ----------------------------------------------------------------


def rounds_to(text, value, unit):
    """Whether `value`, rounded to a multiple of `unit`, ties to even, is `text`."""
    steps = Fraction(text) / unit
    if steps.denominator != 1:
        return False
    if isinstance(value, Fraction):
        return round(value / unit) == steps
    return abs(value / real(unit) - real(steps)) < MP.mpf(0.5)


def ulps_between(number, value):
    """Return the distance of two numbers in units of float32 at the second one."""
    unit = MP.mpf(2) ** (mpmath.frexp(real(value))[1] - FLOAT32)
    return abs(real(number) - real(value)) / unit


class Judge:
    """Holds numbers against symbols, and counts them.

    Attributes:
        meaning: The values of symbols.
        count: How many numbers have been found right.
    """

    def __init__(self, meaning, origin_name):
        self.meaning, self.origin_name, self.count = meaning, origin_name, 0

    def formula(self, relation, shown, meant, b):
        """Check what stands after a relation against what it means in symbols."""
        exact = list(self._pairs(shown, meant, b))
        if not exact or all(exact) != (relation == "="):
            raise WrongError(f"{relation} before {shown}")

    def number(self, number, value):
        """Check a single number; return whether it is exact."""
        self.count += 1
        return self.decimal(number.text, value)

    def decimal(self, text, value, digits=DIGITS):
        """Check a decimal; return whether it is exactly the value."""
        if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise ReadingError(f"{text!r} is no number")
        if isinstance(value, Fraction) and Fraction(text) == value:
            return True
        unit = Fraction(1, 10**digits)
        places = len(text.partition(".")[2])
        if places != digits or not rounds_to(text, value, unit):
            raise WrongError(f"{text} is printed for {MP.nstr(real(value), 20)}")
        return False

    def significant(self, text, value, digits):
        """Check a decimal of so many significant digits."""
        shown = Decimal(text).as_tuple()
        unit = Fraction(10) ** shown.exponent
        if len(shown.digits) != digits or not rounds_to(text, value, unit):
            raise WrongError(f"{text} is printed for {MP.nstr(real(value), 20)}")

    def _pairs(self, shown, meant, b):
        """Lay numbers over symbols; yield for each number whether it is exact."""
        if isinstance(shown, Number):
            shown = Matrix(((replace(shown, origin=None),),), shown.origin)
        if isinstance(shown, Matrix):
            yield from self._matrix(shown, meant, b)
            return
        if not isinstance(meant, tuple) or len(shown) != len(meant):
            raise WrongError(f"{shown} stands for {meant}")
        if shown[0] not in (meant[0], "·" if meant[0] in ("beside", "⊙") else None):
            raise WrongError(f"{shown[0]} stands for {meant[0]}")
        if shown[0] == "sum":
            if [sign for sign, _ in shown[1]] != [sign for sign, _ in meant[1]]:
                raise WrongError("a sign in a sum differs")
            for (_, a), (_, c) in zip(shown[1], meant[1], strict=True):
                yield from self._pairs(a, c, b)
        elif shown[0] == "call":
            if shown[1] != meant[1]:
                raise WrongError(f"{shown[1]} stands for {meant[1]}")
            yield from self._pairs(shown[2], meant[2], b)
        else:
            yield from self._pairs(shown[1], meant[1], b)
            yield from self._pairs(shown[2], meant[2], b)

    def _matrix(self, shown, meant, b):
        value = self.meaning.value(meant, b)
        if isinstance(meant, Number):  # the 1 of 1 - z, for every unit
            value *= len(shown.rows)
        if [len(row) for row in shown.rows] != [len(row) for row in value]:
            raise WrongError(f"a matrix stands for {meant}")
        for row, wanted in zip(shown.rows, value, strict=True):
            for cell, v in zip(row, wanted, strict=True):
                if not isinstance(cell, Number):
                    raise ReadingError(f"{cell} stands among numbers")
                yield self.number(cell, v)
        if shown.origin is not None:
            where, sequence = self.origin_name(shown.origin)
            source = self.meaning.symbol(where, b)
            if sequence not in (None, b) or difference(source, value) > MP.mpf("1e-60"):
                raise WrongError(f"a copy of {shown.origin} is none")
