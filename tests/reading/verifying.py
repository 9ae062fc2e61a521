# SPDX-License-Identifier: BSD-3-Clause
"""Verifies a printed document from its first to its last number; no tests of its own.

Blocks are taken in reading order, as a reader would. Every block, sentence with a digit,
column of a table and line of code is one that is known, or an error.
"""

import re
from dataclasses import replace
from fractions import Fraction
from itertools import chain

from tests.reading import blocks as blocks
from tests.reading.mathematics import (
    QUAD,
    SIGNS,
    Function,
    Matrix,
    Name,
    Number,
    Power,
    ReadingError,
    numbers_in,
    parse,
    split,
)
from tests.reading.mathematics import Fraction as Ratio
from tests.reading.values import Judge, Meaning, WrongError, names_in, ulps_between
from tests.reading.words import check_code, check_drawing, check_sentence

RELATIONS = (SIGNS["="], SIGNS["≈"])
LOGISTIC = (
    *(Function("σ"), SIGNS["("], Name("a"), SIGNS[")"], SIGNS["="]),
    Ratio(
        (Number("1"),),
        (Number("1"), SIGNS["+"], Name("e"), Power((SIGNS["-"], Name("a")))),
    ),
)
NEIGHBOURS = [(Name("t"), SIGNS[sign], Number("1")) for sign in "+-"]


def chains(lines):
    """Join the lines of equations: (left, [(relation, expression), …])."""
    joined = []
    for left, right in lines:
        if left:
            joined.append((left, right))
        else:
            tokens = right[1:] if right[0] == QUAD else right
            joined[-1] = (joined[-1][0], joined[-1][1] + tokens)
    for left, tokens in joined:
        (nothing, *parts), relations = split(tokens, *RELATIONS)
        assert not nothing
        signs = [sign.text for sign in relations]
        yield parse(left), list(zip(signs, map(parse, parts), strict=True))


def spoken(text):
    """Return text with a dollar sign for each formula."""
    return "".join(part if isinstance(part, str) else "$" for part in text)


def constants_in(tree):
    """Count the numbers of an expression of symbols."""
    if isinstance(tree, tuple):
        return sum(map(constants_in, tree))
    return isinstance(tree, Number)


class Verifier:
    """Reads a document and checks it.

    Args:
        found: The blocks.
        inputs: By sequence, rows of numbers as text.
        returned: By tensor, the float32 numbers that are checked, as fractions.

    Attributes:
        meaning: The values of all symbols.
        results: By sequence, ``output``, ``h_n`` and ``c_n`` as they are assembled.
        stored: By array, the names of the parameters that it holds.
        errors: Of the comparison with float32: in ulps, as printed, and of what.
        verified: How many numbers of formulas and tables have been found right.
        in_code: How many numbers of code, likewise.
        constants: How many numbers belong to the equations themselves.
    """

    def __init__(self, found, inputs, returned=None):
        self.inputs = [[[Fraction(v) for v in row] for row in x] for x in inputs]
        self.returned = returned
        self.meaning, self.results, self.stored, self.errors = Meaning(), {}, {}, []
        self.judge = Judge(self.meaning, self.name_of)
        self.in_code, self.constants, self.section = 0, 0, ""
        self.b, self.step, self.position = 0, None, ("", "")
        self.title, self.origins, self.edges = None, [], []
        for block in found:
            self.block(block)
        self.facts()

    @property
    def verified(self):
        return self.judge.count

    def block(self, block):
        match block:
            case blocks.Heading():
                self.text(block.text)
                self.placed(spoken(block.text), heading=True)
            case blocks.Paragraph():
                self.text(block.text)
                self.placed(spoken(block.text))
            case blocks.Equations() if self.section == "Equations":
                self.general(block)
            case blocks.Equations() if self.section == "Output":
                self.assembled(block)
            case blocks.Equations():
                self.working(block)
            case blocks.Display():
                self.display(block)
            case blocks.Table():
                self.table(block)
            case blocks.Edges():
                self.edges += block.labels
            case blocks.Code():
                self.in_code += check_code(self, block.source)

    def placed(self, words, *, heading=False):
        """Follow where the document is."""
        if match := re.fullmatch(r"Sequence (\d+):?", words):
            self.b = int(match[1]) - 1
        elif match := re.fullmatch(r"Step (\d+)", words):
            self.step = match[1]
        elif match := re.fullmatch(
            r"(?:Layer (\d+))?(?:, )?((?:[Ff]orward|[Rr]everse) direction)?:?", words
        ):
            arrow = {"f": "→", "r": "←"}.get((match[2] or " ")[0].lower(), "")
            self.position = f"({match[1]})" if match[1] else "", arrow
            if heading and self.section != "Parameters":
                self.section = "The steps"
        elif heading:
            self.section = words

    # --- symbols ---

    @property
    def lengths(self):
        return list(map(len, self.inputs))

    @property
    def parameters(self):
        return [key for key in self.meaning.given if isinstance(key, Name)]

    @property
    def layers(self):
        """The superscripts of the layers."""
        return sorted({name.sup for name in self.parameters})

    @property
    def directions(self):
        """The arrows of the directions."""
        return sorted({name.arrow for name in self.parameters}, reverse=True)

    def size(self, state):
        """Return how many elements a state has."""
        name = Name(state, "1", self.layers[0], self.directions[0])
        return len(self.meaning.symbol(name, 0))

    def name_of(self, origin):
        """Return the name and the sequence of a key such as ``h.0.forward.2.0``."""
        quantity, layer, direction, step, sequence = origin.split(".")
        base, _, sub = quantity.partition("_")
        arrow = {"": "", "forward": "→", "reverse": "←"}[direction]
        name = Name(
            base,
            sub=str(int(step) + 1) if step else sub,
            sup=f"({int(layer) + 1})" if len(self.layers) > 1 else "",
            arrow=arrow if len(self.directions) > 1 else "",
        )
        if base == "x" and layer == "0":
            name = replace(name, sup="")
        return name, int(sequence) if sequence else None

    # --- formulas ---

    def general(self, block):
        """Take the general equations as they are."""
        for left, ((relation, tree),) in chains(block.lines):
            assert (left.sub, relation) == ("t", "=")
            self.meaning.rules[left.base] = tree
            self.constants += constants_in(tree)

    def display(self, block):
        for line in block.lines:
            for part in split(line, QUAD)[0]:
                for formula in filter(None, split(part, SIGNS[","])[0]):
                    self.given(formula)

    def given(self, formula):
        """Take what is given, or where the input of an upper layer comes from."""
        (left, right), relations = split(formula, *RELATIONS)
        name, tree = parse(left), parse(right)
        assert relations == [SIGNS["="]]
        if list(names_in(tree)):
            assert (name.base, name.sub) == ("x", "t")
            self.meaning.rules["x", name.sup] = tree
            return
        rows = tree.rows if isinstance(tree, Matrix) else ((tree,),)
        value = [[Fraction(number.text) for number in row] for row in rows]
        self.judge.count += sum(map(len, rows))
        if self.section == "Parameters":
            assert (name.sup, name.arrow) == self.position
            self.meaning.define(name, value)
        else:
            self.expect(name, value)
            self.meaning.define((self.b, name), value)
        if tree.origin:
            self.origins.append((tree.origin, name, self.b))

    def expect(self, name, value):
        """Check an input or an initial state."""
        expected = [[Fraction(0)]] * len(value)
        if name.base == "x":
            expected = [[v] for v in self.inputs[self.b][int(name.sub) - 1]]
        elif name.sub != ("0" if name.arrow != "←" else str(self.lengths[self.b] + 1)):
            raise WrongError(f"{name} is no initial state")
        if value != expected:
            raise WrongError(f"{name} is not {expected}")

    def working(self, block):
        """Check the working of one equation at one step."""
        (target, links), *parts = chains(block.lines)
        relation, whole = links.pop(0)
        assert self.title in (None, target)
        self.title = None
        assert (target.sub, target.sup, target.arrow) == (self.step, *self.position)
        if (relation, whole) != ("=", self.meaning.equation(target)):
            raise WrongError(f"the equation of {target}")
        self.constants += constants_in(whole)
        self.links(links, whole)
        for left, more in parts:
            if left != target and not self.is_part(left, whole):
                raise WrongError(f"{left} is no part of the equation")
            self.links(more, whole if left == target else left)

    def is_part(self, tree, whole):
        return isinstance(whole, tuple) and (
            tree == whole or any(self.is_part(tree, part) for part in whole)
        )

    def links(self, links, meant):
        for relation, tree in links:
            self.judge.formula(relation, tree, meant, self.b)

    def assembled(self, block):
        """Check how the states become what torch returns."""
        ((left, links),) = chains(block.lines)
        relation, tree = links.pop(0)
        assert relation == "="
        assert list(names_in(tree))
        what = left.base if left.base == "output" else f"{left.base}_{left.sub}"
        self.results.setdefault(self.b, {})[what] = self.meaning.value(tree, self.b)
        self.links(links, tree)

    # --- tables ---

    def table(self, table):
        header = [spoken(cell) for cell in table.header]
        if header == ["Property", "Value"]:
            self.properties = {spoken(k): spoken(v) for k, v in table.rows}
        elif header == ["Stored as", "Holds, from the top", "Shape"]:
            for name, held, shape in table.rows:
                symbols = [parse(part) for part in held if not isinstance(part, str)]
                self.stored[spoken(name)] = symbols, spoken(shape)
        elif header[0] == "Step":
            self.states(table)
        elif header == ["Element", "Returned", "Exact value", "Error in ulps"]:
            for row in table.rows:
                self.compared(*row)
        else:
            raise ReadingError(f"a table of {header}")

    def states(self, table):
        """Check the table of all states of a layer."""
        columns = []
        for (label,) in table.header[1:]:
            name, unit = label[0], 1
            if len(label) > 1:
                _, name, _, element = label
                unit = int(element.sub)
            assert (name.sub, name.sup, name.arrow) == ("t", *self.position)
            columns.append((name, unit))
        steps = [spoken(row[0]) for row in table.rows]
        assert steps == [str(t + 1) for t in range(self.lengths[self.b])]
        for step, (_, *cells) in zip(steps, table.rows, strict=True):
            for (name, unit), (cell,) in zip(columns, cells, strict=True):
                number, here = parse(cell), replace(name, sub=step)
                value = self.meaning.symbol(here, self.b)
                self.judge.number(number, value[unit - 1][0])
                if number.origin and self.name_of(number.origin) != (here, self.b):
                    raise WrongError(f"{here} has the origin {number.origin}")

    def compared(self, label, returned, exact, ulps):
        """Check a row of the comparison with a float32 network."""
        found = re.fullmatch(r"(\w+)\[(\d+), (\d+)\]", spoken(label))
        name, row, column = found[1], int(found[2]), int(found[3])
        value = self.results[self.b][name][row][column]
        given = self.returned[name][row][column]
        (shown,), (decimal,) = returned, exact
        text = parse(shown).text  # short, but enough to tell the number from others
        if ulps_between(Fraction(text), given) >= 0.5:
            raise WrongError(f"{text} was not returned")
        self.judge.decimal(text, given, len(text.partition(".")[2]))
        self.judge.significant(parse(decimal).text, value, 10)
        error = ulps_between(given, value)
        self.judge.decimal(spoken(ulps), error, 2)
        self.judge.count += 2
        self.errors.append((error, spoken(ulps), spoken(label)))

    # --- text ---

    def text(self, text):
        """Check the numbers of a sentence or a heading."""
        for part in text:
            if part in (LOGISTIC, *NEIGHBOURS):
                self.constants += len(list(numbers_in(part)))
            elif not isinstance(part, str) and list(numbers_in(part)):
                raise ReadingError(f"a sentence has the formula {part}")
            elif isinstance(part[0], Name) and part[0].sub.isdecimal():
                self.title = parse(part)  # of the equations that follow
        check_sentence(self, spoken(text))

    def facts(self):
        """Check the tables of properties and of shapes, when all is known."""
        given = [self.meaning.given[name] for name in self.parameters]
        both = len(self.directions) > 1
        facts = {
            "Layers": len(self.layers),
            "Directions": "forward and reverse" if both else "forward",
            "Features of the input": len(self.inputs[0][0]),
            "Parameters": sum(len(rows) * len(rows[0]) for rows in given),
            "Sequences": len(self.inputs),
            "Steps": " to ".join(map(str, sorted(set(self.lengths)))),
        }
        for state in self.states_of_cell():
            facts[f"Features of the state {state}"] = self.size(state)
        del self.properties["Cell"]
        if {name: str(value) for name, value in facts.items()} != self.properties:
            raise WrongError(f"{self.properties} for {facts}")
        check_drawing(self, self.edges)
        for origin, name, b in self.origins:
            if self.name_of(origin) not in ((name, None), (name, b)):
                raise WrongError(f"{name} has the origin {origin}")
        for array, (members, shape) in self.stored.items():
            rows = self.array(members, self.layers[0], self.directions[0])
            size = (len(rows),) if "(" + str(len(rows)) + ")" == shape else None
            size = size or (len(rows), len(rows[0]))
            if (shape, array[-3:]) != (f"({', '.join(map(str, size))})", "_l0"):
                raise WrongError(f"the shape {shape} of {array}")

    def states_of_cell(self):
        names = chain(*map(names_in, self.meaning.rules.values()))
        return {name.base for name in names if name.sub == "t-1"}

    def array(self, members, layer, direction):
        """Return the rows of parameters, below each other, at a layer and direction."""
        names = [replace(name, sup=layer, arrow=direction) for name in members]
        return list(chain(*(self.meaning.given[name] for name in names)))
