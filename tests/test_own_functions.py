# SPDX-License-Identifier: BSD-3-Clause
"""A registered function that says as much of itself as a built-in one is treated alike.

A copy of each built-in function, under another name, takes its place in a cell. Every way
through the package must give the numbers and pages of the original, by the same fast paths.
"""

import json
import sys
from dataclasses import fields, replace
from functools import partial

import numpy as np
import pytest

import symrnn
from symrnn.documents.model import Script
from symrnn.equations import (
    FUNCTIONS,
    Cell,
    ElementwiseFunction,
    FirstOrder,
    add,
    elementwise,
    hidden_size,
    input_size,
    matmul,
    matrix,
    previous,
    quantity,
    register_function,
    vector,
    x,
)
from symrnn.kernels.emulation import emulate
from symrnn.kernels.environment import kernels_of
from symrnn.kernels.error_profiles import reference_of
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.numerics.formats import FORMATS
from tests.require import require_module

# Names are as long as the originals', since pages break lines by them, and in their order.
COPIES = {"tanh": "tan2", "sigmoid": "sigmoi2", "relu": "rel2"}
INPUTS = [["0.75", "-1.5"], ["2", "1/3"], ["-0.875", "0.125"]]
LONG = np.random.default_rng(5).normal(size=(60, 2)).astype(np.float32)
OFF = 1 + 2.0**-12


class Recorded(dict):
    """Entries whose callables note that they were called: a set of facts by function."""

    def entry(self, original: ElementwiseFunction) -> ElementwiseFunction:
        """Return a copy of an entry, under another name, that is watched."""
        used = self.setdefault(original.name, set())
        copy = replace(original, name=COPIES[original.name])
        return replace(copy, **dict(self._watched(copy, used)))

    def _watched(self, holder, used):
        for field in fields(holder):
            fact = getattr(holder, field.name)
            if isinstance(fact, FirstOrder):
                yield field.name, replace(fact, **dict(self._watched(fact, used)))
            elif callable(fact) and not isinstance(fact, type):
                yield field.name, partial(self._call, fact, used, field.name)

    @staticmethod
    def _call(fact, used, name, *arguments):
        used.add(name)
        return fact(*arguments)


@pytest.fixture(scope="module")
def used():
    """Register the copies, and return which of their facts have been asked for."""
    recorded = Recorded()
    for name in COPIES:
        register_function(recorded.entry(FUNCTIONS[name]))
    for facts in recorded.values():  # registering asks for all of them
        facts.clear()
    yield recorded
    for name in COPIES:
        del FUNCTIONS[COPIES[name]]


def network(function: str) -> Network:
    """Return a network that feeds rational, irrational and its own numbers to a function.

    Another function makes irrational numbers of what the first one returns.
    """
    other = "tanh" if function in ("sigmoid", "sigmoi2") else "sigmoid"
    W, U = matrix("W", hidden_size, input_size), matrix("U", hidden_size, hidden_size)
    b, h_prev = vector("b", hidden_size), previous("h", hidden_size)
    k, m, h = (quantity(name, hidden_size) for name in "kmh")
    cell = Cell.define(
        "twin",
        parameters=[W, U, b],
        equations={
            k: elementwise(function, add(matmul(W, x), b)),
            m: elementwise(other, k),
            h: elementwise(function, add(m, matmul(U, h_prev))),
        },
    )
    arrays = {
        "W_l0": [["0.5", "-0.25"], ["0.125", "0.75"]],
        "U_l0": [["0.5", "-0.125"], ["0.25", "0.375"]],
        "b_l0": ["0.0625", "-0.5"],
    }
    return Network.from_arrays(cell, arrays)


def balls(net: Network) -> object:
    """Return balls along a long sequence."""
    output = symrnn.evaluate(net, LONG).output
    return output.decimal(20), output.radius()


def streamed(net: Network) -> object:
    """Return balls of steps that only leave their midpoints behind."""
    return [output.decimal(20) for output in symrnn.stream(net, LONG[:20])]


def floats(net: Network) -> object:
    """Return float64 enclosures."""
    output = symrnn.evaluate(net, LONG, domain="enclosure").output
    return output.nearest("float64").tolist(), output.radius()


def closed_forms(net: Network) -> object:
    """Return exact values."""
    return symrnn.evaluate(net, INPUTS[:2], exact=True).output.exact()


def second_opinion(net: Network) -> object:
    """Return mpmath's values."""
    return symrnn.evaluate(net, INPUTS, domain="mp").output.decimal(25)


def rounded(net: Network, format: str) -> list[list[float]]:
    return emulate(net, read_inputs(net, LONG), format)[0].tolist()


def emulated(net: Network) -> object:
    """Return results in two formats."""
    return rounded(net, "float32"), rounded(net, "bfloat16")


def audited(net: Network) -> object:
    """Return what audits say of results that are right, and of some that are not."""
    right = np.array(rounded(net, "float32"), dtype=np.float32)
    reports = [symrnn.audit(net, LONG, outputs=right, explain=True)]
    reports += [symrnn.audit(net, LONG, outputs=(right * OFF).astype(np.float32))]
    assert ["holds", "violated"] == [report.verdict for report in reports]
    return [report.to_dict() for report in reports]


def derived(net: Network) -> object:
    """Return every page, the notebook with its code."""
    pages = [symrnn.derive(net, INPUTS, numbers=n) for n in ("decimal", "closed")]
    pages += [symrnn.derive(net, INPUTS, carry="by-hand")]
    return [page.text(suffix) for page in pages for suffix in (".tex", ".md", ".html")]


def notebook(net: Network) -> object:
    """Return the code and the text of a notebook."""
    require_module("nbformat")
    cells = json.loads(symrnn.derive(net, INPUTS).notebook())["cells"]
    return [cell["source"] for cell in cells]


def unrolled(net: Network) -> object:
    """Return equations, and all of it in the inputs."""
    steps = symrnn.unroll(net, steps=2)
    return [str(steps[0, "forward", 1].equations), str(net.cell)]


ARITHMETIC = [
    balls,
    streamed,
    floats,
    closed_forms,
    second_opinion,
    emulated,
    audited,
]
PATHS = [*ARITHMETIC, derived, notebook, unrolled]


def as_original(text: object) -> str:
    text = str(text)
    for name, copy in COPIES.items():
        text = text.replace(copy, name)
    return text


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("path", PATHS)
def test_a_copy_gives_what_the_original_gives(used, path, name):
    """The same digits, radii, bounds, verdicts, pages and code."""
    assert str(path(network(name))) == as_original(path(network(COPIES[name])))


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_computed_by_its_own_fast_paths(used, name):
    """Every callable of an entry is asked for by some path."""
    net = network(COPIES[name])
    used[name].clear()
    for path in ARITHMETIC:
        path(net)
    stated = FUNCTIONS[name]
    facts = {f.name for f in fields(stated) if callable(getattr(stated, f.name))}
    facts -= {"scalar"}
    if stated.first_order is not None:
        facts |= {"values", "slope"}
    assert facts <= used[name]


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("format", ["float16", "float32"])
def test_a_copy_is_measured_like_the_original(used, monkeypatch, name, format):
    """The same arguments, references and figures, of somebody's implementation."""
    # Most float32 are where a function is its argument, or constant: take less of them.
    monkeypatch.setattr(sys.modules[reference_of.__module__], "_SPARSE", 509 * 16)
    measure = partial(symrnn.calibrate, FUNCTIONS[name].numpy, exhaustive=False)
    [original] = measure(functions=name, formats=format)
    [copy] = measure(functions=COPIES[name], formats=format)
    assert original.worst == copy.worst
    assert original.arguments == copy.arguments
    assert original.underflow == copy.underflow
    assert np.array_equal(original.profile, copy.profile)
    assert original.describe() == as_original(copy.describe())


def test_torch_s_errors_of_a_copy_are_measured(used, torch, tmp_path, monkeypatch):
    """By what the entry says that torch calls it, where torch applies it by itself."""
    monkeypatch.setenv("SYMRNN_CACHE", str(tmp_path))
    found = symrnn.calibrate(functions=["tanh", COPIES["tanh"]], formats="float16")
    original, copy = found[0], found[-1]
    assert len(kernels_of(FORMATS["float16"])) + 1 == len(found)
    assert (COPIES["tanh"], "elementwise") == (copy.function, copy.kernel)
    assert np.array_equal(original.profile, copy.profile)
    with pytest.raises(symrnn.UnsupportedError, match="needs no measuring"):
        symrnn.calibrate(functions=COPIES["relu"])


def test_a_definition_may_be_latex(monkeypatch):
    """For who does not know the pieces of a document."""
    halved = replace(FUNCTIONS["tanh"], name="halved", definition=r"\frac{a}{2}")
    monkeypatch.setitem(FUNCTIONS, "halved", halved)
    page = symrnn.derive(network("halved"), INPUTS)
    assert r"$\tanh(a) = \frac{a}{2}$" in page.markdown()
    assert "<mfrac><mi>a</mi><mn>2</mn></mfrac>" in page.html()


def test_what_torch_lacks_is_left_out(monkeypatch):
    """Of a notebook, its code; of measuring, all: with the way out."""
    silent = replace(FUNCTIONS["tanh"], name="silent", torch=None)
    monkeypatch.setitem(FUNCTIONS, "silent", silent)
    page = symrnn.derive(network("silent"), INPUTS)
    assert not any(isinstance(block, Script) for block in page.document.blocks)
    require_module("torch")
    with pytest.raises(symrnn.UnsupportedError, match="activation="):
        symrnn.calibrate(functions="silent")
