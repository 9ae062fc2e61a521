# SPDX-License-Identifier: BSD-3-Clause
"""Rows and columns: what is printed is true as matrix algebra, for any cell."""

from dataclasses import replace

import numpy as np
import pytest

import symrnn
from symrnn.derivations.equations import Names
from symrnn.derivations.letters import Notation
from symrnn.documents.latex.math import math as tex
from symrnn.documents.model import (
    Brackets,
    Display,
    Equations,
    Function,
    Heading,
    Matrix,
    Number,
    Sign,
)
from symrnn.equations.symbols import x
from tests.derivations.notation_cases import CELLS, INPUT


class Reader:
    """Computes what mathematics says, as a reader does: sizes must fit, too."""

    def __init__(self, symbols):
        self.symbols = symbols
        self.tokens = []
        self.at = 0

    def sides(self, pieces):
        """Return the values of the sides of equations in `pieces`."""
        self.tokens, self.at = list(flat(pieces)), 0
        values = [self.sum()]
        while self.peek() in (Sign("equals"), Sign("approx")):
            self.take()
            values.append(self.sum())
        assert self.peek() is None, f"cannot read on at {self.tokens[self.at :]}"
        return values

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self):
        value = self.product()
        while self.peek() in (Sign("plus"), Sign("minus")):
            sign = 1 if self.take() == Sign("plus") else -1
            value = value + sign * alike(value, self.product())
        return value

    def product(self):
        sign = 1
        if self.peek() == Sign("negative"):
            self.take()
            sign = -1
        value = self.factor()
        while True:
            token = self.peek()
            if token == Sign("odot"):
                self.take()
                value = value * alike(value, self.factor())
            elif token == Sign("dot"):
                self.take()
                value = times(value, self.factor())
            elif token is None or token == ")" or isinstance(token, Sign):
                return sign * value
            else:
                value = times(value, self.factor())

    def factor(self):
        token = self.take()
        if isinstance(token, Function):
            return FUNCTIONS[token.name](self.factor())
        if token == "(":
            value = self.sum()
            assert self.take() == ")"
        elif isinstance(token, Matrix):
            value = np.array([[float(c[0].text) for c in row] for row in token.rows])
        elif isinstance(token, Number):
            value = np.array([[float(token.text)]])
        else:
            value = self.symbols[replace(token, tone="")]
        if self.peek() == Sign("transposed"):
            self.take()
            value = value.T
        return value


FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
}


def alike(value, other):
    """Return `other`, which must have the size of `value`; 1 is a vector of ones."""
    fits = value.shape == other.shape or (value == 1).all()
    assert fits, f"{value.shape} beside {other.shape}"
    return other


def times(left, right):
    """Return a product of matrices, or of a matrix and a number."""
    if 1 == left.size or 1 == right.size:
        return left * right
    assert left.shape[1] == right.shape[0], f"{left.shape} times {right.shape}"
    return left @ right


def flat(pieces):
    """Yield the pieces and the brackets, as they stand on the lines."""
    for piece in pieces:
        if isinstance(piece, Brackets):
            yield from ["("] if piece.opened else []
            yield from flat(piece.body)
            yield from [")"] if piece.closed else []
        else:
            yield piece


def meanings(page, *, row):
    """Return the value of every symbol of a page."""
    trace = page.trace
    net = trace.net
    notation = Notation.of(net.cell, page.options)
    found = {}

    def vector(symbol, elements):
        column = np.array(elements, dtype=float).reshape(-1, 1)
        found[replace(symbol, tone="")] = column.T if row else column

    for position in net.positions:
        for t in range(len(INPUT)):
            names = Names.at(net, notation, position, t)
            for p in net.cell.parameters:
                values = net.parameters[position][p.name].astype(float)
                if values.shape[1] == 1:
                    vector(names.symbol(p), values)
                else:
                    found[replace(names.symbol(p), tone="")] = values
            below = [(position[0] - 1, direction) for direction in net.directions]
            outputs = [trace[*b, t].h.decimal(12) for b in below if position[0]]
            vector(names.symbol(x), np.concatenate(outputs) if outputs else INPUT[t])
            for line in net.cell.equations:
                quantity = getattr(trace[*position, t], line.name).decimal(12)
                vector(names.symbol(line.target), quantity)
            for state, size in net.state_sizes.items():
                before = t + 1 if position[1] == "reverse" else t - 1
                known = 0 <= before < len(INPUT)
                step = trace[*position, before if known else t]
                value = getattr(step, state).decimal(12) if known else [0] * size
                vector(names.state(state, before=True), value)
    return found


def equations(page):
    """Yield the equations of the steps, each with its lines joined."""
    in_step = False
    for block in page.document.blocks:
        if isinstance(block, Heading):
            in_step = block.origin is not None
        if not in_step or not isinstance(block, Equations):
            continue
        whole = ()
        for line in block.lines:
            if line.left and whole:
                yield whole
                whole = ()
            relation = () if line.relation is None else (Sign(line.relation),)
            whole = (*whole, *line.left, *relation, *line.right)
        yield whole


@pytest.mark.parametrize(
    ("vectors", "notation"),
    [("column", "cho"), ("row", "pytorch"), ("row", "goodfellow")],
)
@pytest.mark.parametrize("name", CELLS)
def test_every_line_is_true(name, vectors, notation):
    """Read as matrix algebra, all sides are one value: nothing is transposed amiss."""
    net = CELLS[name]()
    page = symrnn.derive(net, INPUT, vectors=vectors, notation=notation, digits=6)
    reader = Reader(meanings(page, row=vectors == "row"))
    lines = 0
    for equation in equations(page):
        first, *others = reader.sides(equation)
        for other in others:
            assert first.shape == other.shape, tex(equation)
            assert np.abs(first - other).max() < 1e-4, tex(equation)
        lines += len(others)
    assert lines >= 4 * len(net.cell.equations) * len(INPUT)


def test_what_is_read_as_columns_is_not_true_of_rows():
    """The reader of the test above does find what does not fit."""
    page = symrnn.derive(CELLS["lstm"](), INPUT, vectors="row")
    with pytest.raises(AssertionError, match="times"):
        Reader(meanings(page, row=False)).sides(next(equations(page)))


def test_rows_are_what_torch_computes():
    """W is printed as the reader multiplies it; among the parameters, as it is stored."""
    page = symrnn.derive(CELLS["rnn"](), INPUT, vectors="row")
    text = page.markdown()
    assert "Vectors are rows." in text
    multiplied = r"x_{1} W_{ih}^{\top} + b_{ih} + h_{0} W_{hh}^{\top} + b_{hh}"
    assert rf"h_{{1}} &= \mathrm{{relu}}({multiplied})" in text
    net = page.trace.net
    stored = net.parameters[0, "forward"]["W_ih"]
    rows = matrix_of(page, "W_ih", Display)
    assert [[float(v) for v in row] for row in stored.tolist()] == rows
    assert [list(column) for column in zip(*rows, strict=True)] == matrix_of(
        page, "W_ih", Equations
    )


def matrix_of(page, quantity, block):
    """Return the numbers of a quantity's first appearance in blocks of a kind."""
    for found in page.document.blocks:
        if not isinstance(found, block):
            continue
        lines = (
            found.lines if block is Display else [line.right for line in found.lines]
        )
        for piece in (piece for line in lines for piece in flat(line)):
            origin = getattr(piece, "origin", None)
            if origin is not None and origin.quantity == quantity:
                return [[float(cell[0].text) for cell in row] for row in piece.rows]
    raise AssertionError(f"{quantity} is not printed")


def test_sums_side_by_side_are_told_apart():
    """Two closed forms in a row do not read as one sum."""
    weights = {"weight_ih_l0": [[1], ["1/7"]], "weight_hh_l0": [["1/8", -1], [1, 0]]}
    net = symrnn.load(weights, cell="rnn_tanh")
    options = {"numbers": "closed", "vectors": "row"}
    page = symrnn.derive(net, [[1], [1]], **options).markdown()
    both = r"\left( \frac{1}{8} \cdot \tanh(1) - \tanh\left( \frac{1}{7} \right) \right) & \tanh(1)"
    assert both in page
    column = symrnn.derive(net, [[1], [1]], numbers="closed").markdown()
    assert r"{c} \frac{1}{8} \cdot \tanh(1) - \tanh" in column
