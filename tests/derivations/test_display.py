# SPDX-License-Identifier: BSD-3-Clause
"""What values show of themselves in a notebook: right, short, and in three formats."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import symrnn
from symrnn.equations.cells import Cell, gru
from symrnn.equations.language import hadamard, tanh
from symrnn.equations.symbols import hidden_size, previous, quantity, vector
from symrnn.runs.arrays import Array
from tests.require import require_module

SEQUENCE = [[1, 2], [0, 1], [1, 1]]


def network(**choices):
    rng = np.random.default_rng(0)
    arrays = {}
    for place in choices.pop("places", ("l0",)):
        columns = 2 if place.startswith("l0") else choices.get("columns", 3)
        arrays[f"weight_ih_{place}"] = rng.normal(size=(3, columns)).round(2)
        arrays[f"weight_hh_{place}"] = rng.normal(size=(3, 3)).round(2)
    return symrnn.load(arrays, cell="rnn_tanh")


def both_ways():
    places = ("l0", "l0_reverse", "l1", "l1_reverse")
    return network(places=places, columns=6)


@pytest.fixture(scope="module")
def values():
    """Every kind of value that a notebook's user holds, by name."""
    net = both_ways()
    trace = symrnn.evaluate(net, SEQUENCE)
    unrolled = symrnn.unroll(net, 3)
    outputs = trace.output.nearest("float32"), trace.h_n.nearest("float32")
    return {
        "array": trace.output,
        "packed": _packed(net).output,
        "trace": trace,
        "network": net,
        "cell": gru(),
        "unrolled": unrolled,
        "step": unrolled[1, "reverse", 1],
        "report": symrnn.audit(net, SEQUENCE, outputs=outputs),
        "derivation": symrnn.derive(net, SEQUENCE, colour=True),
    }


def _packed(net):
    torch = require_module("torch")
    batch = torch.ones(3, 2, 2)
    packed = torch.nn.utils.rnn.pack_padded_sequence(batch, [3, 1])
    return symrnn.evaluate(net, packed)


KINDS = ["array", "packed", "trace", "network", "cell", "unrolled", "step", "report"]
KINDS += ["derivation"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_shows_itself_in_three_formats(values, kind):
    """HTML is well-formed and touches nothing around it; all three say something."""
    value = values[kind]
    root = ElementTree.fromstring(value._repr_html_())
    assert "symrnn" == root.get("class")
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert all(name.startswith("graph-") for name in names)
    assert not list(root.iter("script"))
    assert re.search(r"\$|\|", value._repr_markdown_())
    assert "\\" in value._repr_latex_()


def test_derivations_are_what_their_methods_write(values):
    page = values["derivation"]
    assert page.markdown() == page._repr_markdown_()
    assert page.latex(form="fragment") == page._repr_latex_()
    arrays = {"weight_ih_l0": [[1]] * 3, "weight_hh_l0": [[1]] * 3}
    net = symrnn.load(arrays, cell="gru")
    assert "tone-0" in symrnn.derive(net, [[1]], colour=True)._repr_html_()
    assert "tone-0" not in symrnn.derive(net, [[1]])._repr_html_()


# --- arrays ---------------------------------------------------------------------------


def test_an_array_is_a_matrix_of_its_decimals():
    """As LaTeX, it is one formula; as Markdown, it says how it is rounded."""
    output = symrnn.evaluate(network(), SEQUENCE[:2]).output
    rows = [" & ".join(row) for row in output.decimal(places=6)]
    body = r" \\ ".join(rows)
    expected = (
        rf"$\displaystyle \left[\begin{{array}}{{rrr}} {body} \end{{array}}\right]$"
    )
    assert expected == output._repr_latex_()
    assert "Shape (2, 3), rounded to 6 decimals." in output._repr_markdown_()
    assert "One number" in output[0, 0]._repr_markdown_()


def test_exact_numbers_are_fractions():
    net = symrnn.load(
        {"weight_ih_l0": [["1/3"]], "weight_hh_l0": [[1]]}, cell="rnn_relu"
    )
    output = symrnn.evaluate(net, [[1], [2]], exact=True).output
    assert r"\frac{1}{3}" in output._repr_latex_()
    assert "exact" in output._repr_markdown_()


def test_small_numbers_are_not_zeros():
    net = symrnn.load(
        {"weight_ih_l0": [["1e-12"]], "weight_hh_l0": [[0]]}, cell="rnn_tanh"
    )
    output = symrnn.evaluate(net, [[1], [7]]).output
    assert r"7.00000 \cdot 10^{-12}" in output._repr_latex_()
    assert "6 significant digits" in output._repr_markdown_()


def test_large_arrays_are_shortened_before_digits_are_found(monkeypatch):
    """Of a hundred thousand numbers, a few are looked at."""
    trace = symrnn.evaluate(network(), SEQUENCE)
    elements = np.full((10, 100, 100), trace.output.elements[0, 0], dtype=object)
    array = Array(elements, trace.domain)
    asked = []
    intervals = Array.intervals

    def counting(self):
        asked.append(self.shape)
        return intervals(self)

    monkeypatch.setattr(Array, "intervals", counting)
    text = array._repr_latex_()
    assert 0 < len(asked) < 500
    assert set(asked) == {()}
    assert text.count(r"\ddots") == 3  # of three matrices
    assert r"\vdots$" in text


def test_arrays_without_numbers_and_digits_nobody_knows():
    """Nothing is raised: the first says so, the second leaves it at its repr."""
    trace = symrnn.evaluate(network(), SEQUENCE)
    assert "(0, 3)" in trace.output[:0]._repr_html_()
    wide = np.empty(1, dtype=object)
    wide[0] = trace.output.elements[0, 0].union(trace.output.elements[0, 0] + 1)
    assert Array(wide, trace.domain)._repr_html_() is None


# --- runs and networks ----------------------------------------------------------------


@pytest.mark.parametrize("keep", ["all", "states"])
def test_a_trace_is_a_table_of_its_states(keep):
    """Whatever it has kept of each step."""
    trace = symrnn.evaluate(network(), SEQUENCE, keep=keep)
    table = trace._repr_markdown_()
    for t in range(3):
        digits = trace[0, "forward", t].h.decimal(places=4)
        assert f"| {t + 1} | " + " | ".join(f"${d}$" for d in digits) in table


def test_a_trace_of_a_batch_shows_its_first_sequence():
    x = np.array([[[1, 2], [5, 6]], [[0, 1], [7, 8]]])
    trace = symrnn.evaluate(network(), x)
    text = trace._repr_markdown_()
    assert "2 steps and 2 sequences" in text
    digits = trace[0, "forward", 1].h[0].decimal(places=4)
    assert " | ".join(f"${d}$" for d in digits) in text


def test_deep_and_long_runs_are_shortened():
    """The last layer alone, and the first and the last steps of it."""
    trace = symrnn.evaluate(both_ways(), [[0.1, 0.2]] * 50)
    text = trace._repr_markdown_()
    assert "Layer 2, reverse direction" in text
    assert "Layer 1" not in text
    assert r"\vdots" in text
    assert "| 50 |" in text
    assert "| 30 |" not in text


def test_networks_are_sizes_and_equations():
    text = both_ways()._repr_markdown_()
    assert "| Layers | 2 |" in text
    assert r"h_{t}^{(l)} &= \tanh(W_{ih}^{(l)} x_{t}^{(l)}" in text


def test_unrolled_networks_are_their_first_and_last_steps():
    """A direction in reverse begins at the end; upper layers read the lower ones."""
    text = symrnn.unroll(both_ways(), 1000)._repr_markdown_()
    reverse = text.split("Layer 1, reverse direction:")[1].split("Layer 2")[0]
    steps = re.findall(r"overleftarrow\{h\}_\{(\d+)\}\^\{\(1\)\} &=", reverse)
    assert ["1000", "999", "1"] == steps
    assert r"x_{1000}^{(2)} &= \left[" in text
    step = symrnn.unroll(both_ways(), 3)[1, "forward", 1]
    assert r"\overrightarrow{h}_{2}^{(2)} &=" in step._repr_markdown_()


def test_reports_say_their_verdict_first(values):
    text = values["report"]._repr_markdown_()
    assert text.startswith("**explained by rounding")
    assert "| output | (3, 6) | 18 |" in text


def test_text_of_others_stays_text():
    """A cell may be called anything."""
    H = hidden_size
    h, w = previous("h", H), vector("w", H)
    name = "<script>alert(1)</script> $x$ \\input{y}"
    cell = Cell.define(
        name, parameters=[w], equations={quantity("h", H): tanh(hadamard(w, h))}
    )
    root = ElementTree.fromstring(cell._repr_html_())
    assert name in "".join(root.itertext())
    assert "<script" not in cell._repr_markdown_()


def test_jupyter_takes_them():
    """A kernel sends all three formats, for a value that ends a cell."""
    require_module("ipykernel")
    nbformat, nbclient = require_module("nbformat"), require_module("nbclient")
    cell = nbformat.v4.new_code_cell("from symrnn.equations.cells import lstm\nlstm()")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    (output,) = cell.outputs
    formats = {"text/html", "text/markdown", "text/latex", "text/plain"}
    assert formats == set(output["data"])
