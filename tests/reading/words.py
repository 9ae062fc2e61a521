# SPDX-License-Identifier: BSD-3-Clause
"""What printed documents say in words and in Python, beside formulas; no tests of its own.

Each function takes a `tests.reading.verifying.Verifier` and checks it against what is said.
"""

import ast
import re
from dataclasses import replace
from fractions import Fraction

from tests.reading.mathematics import SIGNS, Name, ReadingError, parse, split
from tests.reading.values import DIGITS, WrongError, names_in

# --- sentences ----------------------------------------------------------------------


def _always(verifier, *groups):
    return True


def _shape(verifier, words, shape, packed, rest):
    """Check a shape of torch."""
    name, lengths = words.split()[0], verifier.lengths
    batch = [len(lengths)] if len(lengths) > 1 else []
    rows = len(verifier.layers) * len(verifier.directions)
    if name == "output":
        assert bool(packed) == bool(batch)
        size = verifier.size("h") * len(verifier.directions)
        expected = [sum(lengths), size]
    else:
        expected = [rows, *batch, verifier.size(name.removesuffix("_n"))]
    return shape == f"({', '.join(map(str, expected))})"


def _unrolled(verifier, steps, sequence):
    return int(steps) == verifier.lengths[int(sequence or 1) - 1]


def _below(verifier, layer, below):
    return int(layer) == int(below) + 1


def _nearest(verifier, nearest, count, worst, label):
    """Check the sentence that sums up the comparison."""
    found = sum(error < 0.5 for error, _, _ in verifier.errors), len(verifier.errors)
    return (int(nearest), int(count)) == found and (worst, label) == max(
        verifier.errors
    )[1:]


SENTENCES = [
    (r"Step \d+|Sequence \d+:?", _always),  # followed by `Verifier.placed`
    (r"Layer \d+(?:, (?:forward|reverse) direction)?:?", _always),
    (
        r"Vectors are columns\. Steps(?: and layers)? are counted from 1\."
        r" Functions act on every element: .*",
        _always,
    ),
    (rf"Where numbers are put in, .* is rounded, to {DIGITS} decimals\. .*", _always),
    (
        r"The network unrolled over (\d+) steps(?:, those of sequence (\d+))?\. .*",
        _unrolled,
    ),
    (r"The input of layer (\d+) is the output of layer (\d+):", _below),
    (
        r"((?:output|[hc]_n) holds .*) Its shape in torch is (\([\d, ]+\))(, packed)?\."
        r"(| The reverse direction ends at step 1\.| The last step of .*"
        r"| The reverse direction ends at step 1\. The last step of .*)",
        _shape,
    ),
    (
        r"Compared with the exact values: the given outputs, in float32\. One ulp is the"
        r" distance between neighbouring float32 numbers at the exact value; [^\d]*",
        _always,
    ),
    (
        r"(\d+) of (\d+) numbers are the float32 numbers nearest to the exact values\."
        r" The largest error is ([\d.]+) ulps, at (\w+\[\d+, \d+\])\.",
        _nearest,
    ),
    (r"Rounding explains all of them: .* from float32 arithmetic\.", _always),
]
"""Sentences with digits, and what checks them."""


def check_sentence(verifier, words):
    """Check the numbers of a sentence."""
    for pattern, check in SENTENCES:
        match = re.fullmatch(pattern, words)
        if match:
            if not check(verifier, *match.groups()):
                raise WrongError(words)
            return
    if re.search(r"\d", words):
        raise ReadingError(f"no sentence is known as {words!r}")


# --- drawings -----------------------------------------------------------------------


def check_drawing(verifier, labels):
    """Check what a drawing computes from what, where it says so in symbols."""
    for label in labels:
        (heads, *tails), _ = split(label, SIGNS["←"])
        heads = [parse(part) for part in split(heads, SIGNS[","])[0]]
        assert all(isinstance(head, Name) for head in heads)
        for tail in tails:
            found = {parse(part) for part in split(tail, SIGNS[","])[0]}
            if found != _sources(verifier, heads):
                raise WrongError(f"{heads} from {found}")


def _sources(verifier, heads):
    """Return the names that a node reads."""
    head, meaning = heads[0], verifier.meaning
    if head.base == "output":
        last = verifier.layers[-1]
        return {Name("h", head.sub, last, arrow) for arrow in verifier.directions}
    if head.base == "x":
        return set(names_in(meaning.equation(head)))
    before = str(int(head.sub) + (1 if head.arrow == "←" else -1))
    states = {replace(name, sub=before) for name in heads}
    below = Name("x", head.sub, head.sup if head.sup != "(1)" else "")
    if below.sup and len(verifier.directions) == 1:
        return states | set(names_in(meaning.equation(below)))
    return states | {below}


# --- Python -------------------------------------------------------------------------

SETUP = {"0.5", "10.0", "1e-10", "1.0"}  # the floats of the cell that defines `check`


class _Cell(ast.NodeVisitor):
    """Checks the numbers of one cell: tensors, printed digits, and no other floats."""

    def __init__(self, verifier, setup):
        self.verifier, self.setup, self.target, self.count = verifier, setup, "", 0

    def visit_Assign(self, node):
        target = node.targets[0]
        self.target = target.id if isinstance(target, ast.Name) else ""
        self.generic_visit(node)
        self.target = ""

    def visit_Call(self, node):
        name = ast.unparse(node.func)
        if name == "torch.tensor":
            self.tensor(ast.literal_eval(node.args[0]))
        elif name == "torch.zeros":
            state = self.target.partition("_")[0]
            assert ast.literal_eval(node.args[0]) == self.verifier.size(state)
            self.count += 1
        elif name == "check" and not self.setup:
            self.printed(*node.args)
        else:
            self.generic_visit(node)

    def visit_Constant(self, node):
        if isinstance(node.value, float) and not (
            self.setup and repr(node.value) in SETUP
        ):
            raise ReadingError(f"the number {node.value} in code")
        if isinstance(node.value, str) and re.search(r"\d\.\d", node.value):
            raise ReadingError(f"the text {node.value!r} in code")

    def tensor(self, values):
        rows = values if isinstance(values[0], list) else [[v] for v in values]
        found = [[Fraction(repr(v)) for v in row] for row in rows]
        inputs = self.verifier.inputs
        if self.target == "x":
            right = found == inputs[self.verifier.b]
        elif self.target in ("", "output"):
            right = found in inputs
        else:
            right = found == self.verifier.meaning.given[self.parameter(self.target)]
        if not right:
            raise WrongError(f"{self.target} = {values}")
        self.count += sum(map(len, found))

    def parameter(self, name):
        found = re.fullmatch(r"(\w)_([a-z]+)(?:_l(\d+))?(_reverse)?", name)
        base, sub, layer, reverse = found.groups()
        sup = f"({int(layer) + 1})" if layer and len(self.verifier.layers) > 1 else ""
        both = len(self.verifier.directions) > 1
        return Name(base, sub, sup, ("←" if reverse else "→") if both else "")

    def printed(self, label, value, digits):
        """Check ``check("h_1", h_1, {1: '0.5673', …})``."""
        assert ast.literal_eval(label) == value.id
        base, _, sub = value.id.rpartition("_")
        assert sub == self.verifier.step
        name = Name(base, sub, *self.verifier.position)
        wanted = self.verifier.meaning.symbol(name, self.verifier.b)
        found = ast.literal_eval(digits)
        assert list(found) == list(range(1, len(wanted) + 1))
        for unit, text in found.items():
            self.verifier.judge.decimal(text, wanted[unit - 1][0])
            self.count += 1


def check_code(verifier, source):
    """Check a cell of Python; return how many numbers it has that are values."""
    cell = _Cell(verifier, setup="def check(" in source)
    cell.visit(ast.parse(source))
    return cell.count
