# SPDX-License-Identifier: BSD-3-Clause
"""What is shown of a run, what is left out and said to be, and the table of states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn.derivations.selection import Gap, with_gaps
from symrnn.documents.model import Equations, Heading, Number, Table
from symrnn.equations.cells import lstm, rnn
from tests.derivations.test_cases import (
    PADDED,
    SEQUENCE,
    bidirectional,
    compile_together,
    complaints,
    one_feature,
    random_network,
    stacked,
)
from tests.require import require


def headings(page):
    return [line for line in page.markdown().splitlines() if line.startswith("#")]


def tables_of_states(page):
    return [
        b for b in page.document if isinstance(b, Table) and b.header[0] == ("Step",)
    ]


def texts(row):
    """Return what stands in a row of a table, numbers alone."""
    cells = (piece for cell in row for inline in cell[:1] for piece in _pieces(inline))
    return [piece.text for piece in cells if isinstance(piece, Number)]


def _pieces(inline):
    return () if isinstance(inline, str) else inline.math


# --- selection ----------------------------------------------------------------------


@given(st.integers(1, 30), st.data())
def test_gaps_and_what_is_shown_are_everything_once(count, data):
    """Nothing is lost between what is shown and what is said to be left out."""
    shown = data.draw(st.sets(st.integers(0, count - 1)))
    order = range(count)
    if data.draw(st.booleans()):
        order = range(count - 1, -1, -1)
    found = []
    for item in with_gaps(sorted(shown), order):
        if isinstance(item, Gap):
            assert shown.isdisjoint(range(item.first, item.last + 1))
            found += range(item.first, item.last + 1)
        else:
            found.append(item)
    assert list(range(count)) == sorted(found)


def test_steps_are_those_chosen_and_the_rest_is_said():
    """In reverse too: the steps an author names are the steps that are shown."""
    page = symrnn.derive(bidirectional(), SEQUENCE, steps="2-3", digits=2)
    steps = [line for line in headings(page) if "Step" in line]
    assert [f"### Step {t}" for t in (2, 3, 3, 2)] == steps
    text = page.markdown()
    assert 2 == text.count("Step 1 is left out; it is computed in the same way.")
    assert 2 == text.count("Step 4 is left out; it is computed in the same way.")


def test_a_layer_alone():
    """Its parameters, its initial states, its steps, its table: nothing of the others."""
    page = symrnn.derive(stacked(), SEQUENCE, layers=2)
    text = page.markdown()
    assert "Layer 1 is left out" in text
    assert "The parameters of other layers and directions are left out." in text
    assert r"W_{ih}^{(2)} =" in text
    assert r"W_{ih}^{(1)} =" not in text
    assert r"h_{0}^{(1)} =" not in text
    assert 1 == len(tables_of_states(page))
    assert 4 == sum("Step" in line for line in headings(page))


def test_a_direction_alone():
    """The other is named as left out, and its numbers do not appear."""
    page = symrnn.derive(bidirectional(), SEQUENCE, directions="reverse")
    text = page.markdown()
    assert "The forward direction is left out." in text
    assert r"\overrightarrow{W}_{ih} =" not in text
    assert r"\overleftarrow{W}_{ih} =" in text


def test_units_alone():
    """Rows of weights, gates and states are those of the units; it is said once."""
    net = random_network(lstm(), 2, 4)
    page = symrnn.derive(net, [[1, 2]], units=[2, 4])
    text = page.markdown()
    assert 1 == text.count("Of states and gates, these units are shown: 2, 4.")
    steps = text[text.index("## Parameters") : text.index("## Output")]
    W = net.parameters[0, "forward"]["W_if"]
    for row, shown in enumerate((False, True, False, True)):
        assert shown == (f"{float(W[row, 0]):.4f}" in steps)
    values = symrnn.evaluate(net, [[1, 2]]).output.decimal(places=4)[0]
    assert [values[1], values[3]] == texts(tables_of_states(page)[0].rows[0])[:2]


def test_a_sequence_alone():
    """Of a batch, one; its outputs alone are assembled."""
    net = random_network(rnn(bias=False), 2, 2)
    page = symrnn.derive(net, PADDED, lengths=[2, 3], sequences=2)
    shown = [line for line in headings(page) if "Sequence" in line]
    assert ["## Sequence 2"] == shown
    assert "Sequence 1 is left out" in page.markdown()
    assert "Sequence 1:" not in page.markdown()


def test_steps_beyond_a_short_sequence_are_not_its_own():
    """A step that one sequence of a batch lacks is shown for the one that has it."""
    net = random_network(rnn(bias=False), 2, 2)
    page = symrnn.derive(net, PADDED, lengths=[2, 3], steps=3)
    assert 1 == sum("Step 3" in line for line in headings(page))
    assert "Steps 1 to 2 are left out" in page.markdown()


# --- detail -------------------------------------------------------------------------


def test_a_summary_has_the_states_and_no_steps():
    """Everything but the working: the equations, the parameters, the table, the output."""
    page = symrnn.derive(one_feature(), [[3], [4], [5]], detail="summary")
    assert not any("Step" in line for line in headings(page))
    names = [line.removeprefix("## ") for line in headings(page)]
    for name in ("Equations", "Parameters", "Inputs", "All states", "Output"):
        assert name in names
    assert "-0.9984" in page.markdown()


def test_scalars_show_every_product():
    """Row times column, written out, before its sum."""
    weights = {
        "weight_ih_l0": [["0.5", "-0.25"], [1, 2]],
        "weight_hh_l0": [[0, 1], [1, 0]],
    }
    net = symrnn.load(weights, cell="rnn_relu")
    text = symrnn.derive(net, [[1, 2]], detail="scalars").markdown()
    assert r"0.50 \cdot 1 + (-0.25) \cdot 2 \\ 1.00 \cdot 1 + 2.00 \cdot 2" in text
    assert r"0.50 \cdot 1" not in symrnn.derive(net, [[1, 2]]).markdown()


def test_scalars_of_wide_matrices_are_elided():
    """A sum of three hundred products is not printed."""
    net = random_network(rnn(bias=False), 300, 2)
    page = symrnn.derive(net, [[1] * 300], detail="scalars")
    assert r"+ \cdots +" in " ".join(page.markdown().split())
    assert len(page.markdown()) < 10_000


def test_a_value_in_closed_form_is_not_written_twice():
    """Where tanh(3/4) is the value, nothing is left to be worked out."""
    weights = {"weight_ih_l0": [["0.75"]], "weight_hh_l0": [[0]]}
    net = symrnn.load(weights, cell="rnn_tanh")
    page = symrnn.derive(net, [[1]], numbers="closed")
    step = page.latex().split("Step 1")[1].split("All states")[0]
    assert 1 == step.count(r"= \tanh\left( \frac{3}{4} \right)")


# --- origins ------------------------------------------------------------------------


def test_headings_of_steps_and_results_tell_where_they_belong():
    """Every quantity of every step is the result of one line, under its step's heading."""
    net = random_network(lstm(), 1, 2)
    page = symrnn.derive(net, [[1], [2]])
    here, results = None, []
    for block in page.document:
        if isinstance(block, Heading):
            here = block.origin
        if isinstance(block, Equations) and here is not None:
            found = [line.result for line in block.lines if line.result is not None]
            assert [block.lines[-1].result] == found
            assert (here.step, here.layer) == (found[0].step, found[0].layer)
            results.append((found[0].step, found[0].quantity))
    assert [(t, q) for t in (0, 1) for q in "ifgoch"] == results


# --- the table ----------------------------------------------------------------------


def test_the_table_holds_every_state():
    """Each row is a step, each column a unit of h, then of c, as `evaluate` has them."""
    net = random_network(lstm(), 1, 2)
    inputs = [[1], [2], [-1]]
    (table,) = tables_of_states(symrnn.derive(net, inputs, digits=6))
    trace = symrnn.evaluate(net, inputs)
    for t, row in enumerate(table.rows):
        step = trace[0, "forward", t]
        h, c = (np.ravel(v.decimal(places=6)).tolist() for v in (step.h, step.c))
        assert ((str(t + 1),), [*h, *c]) == (row[0], texts(row))
    assert 3 == len(table.rows)


def test_a_table_for_each_layer_and_direction():
    """In the order of computing, with its name."""
    page = symrnn.derive(bidirectional(), SEQUENCE)
    assert 2 == len(tables_of_states(page))
    assert "Forward direction:" in page.markdown()
    assert "Reverse direction:" in page.markdown()


@pytest.mark.parametrize(("count", "rows"), [(20, 20), (21, 21), (200, 21)])
def test_a_long_table_leaves_out_its_middle(count, rows):
    """Sixteen steps, dots, four steps."""
    page = symrnn.derive(one_feature(), [[1]] * count, detail="summary")
    (table,) = tables_of_states(page)
    assert rows == len(table.rows)
    assert (str(count),) == table.rows[-1][0]


def test_a_wide_table_leaves_out_its_middle():
    """As many units as fit on a page."""
    net = random_network(lstm(), 1, 40)
    (table,) = tables_of_states(symrnn.derive(net, [[1]], detail="summary"))
    assert 5 < len(table.header) < 16


def test_many_chosen_units_have_a_table_for_each_state():
    """Six units of h and of c have no room side by side; what has none is left out."""
    net = random_network(lstm(), 1, 40)
    page = symrnn.derive(net, [[1]], detail="summary", units="3-8")
    trace = symrnn.evaluate(net, [[1]])
    for table, state in zip(tables_of_states(page), "hc", strict=True):
        values = np.ravel(trace[0, "forward", 0][state].decimal(places=4))[2:8]
        assert values.tolist() == texts(table.rows[0])
    page = symrnn.derive(net, [[1]], detail="summary", units="1-30")
    assert {7} == {len(texts(table.rows[0])) + 2 for table in tables_of_states(page)}


# --- paper --------------------------------------------------------------------------


CHOICES = [
    {"detail": "scalars"},
    {"detail": "scalars", "vectors": "row"},
    {"detail": "scalars", "digits": 10, "units": "2,4"},
    {"numbers": "closed"},
    {"vectors": "row", "units": "1-5", "digits": 6},
    {"vectors": "row", "digits": 2},
    {"carry": "by-hand", "rounding": "significant", "notation": "goodfellow"},
]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """What TeX says of a page with each of the choices."""
    net = random_network(lstm(), 3, 5, layers=2, directions=2)
    shown = {"layers": 2, "directions": "reverse"}
    texts = {
        str(n): symrnn.derive(net, SEQUENCE, **shown, **choices).latex()
        for n, choices in enumerate(CHOICES)
    }
    folder = tmp_path_factory.mktemp("pages")
    return list(compile_together(folder, texts, require("pdflatex")).values())


@pytest.mark.parametrize("choices", CHOICES)
def test_every_choice_fits_on_paper(choices, logs):
    """Nothing is wider than the page, whatever is chosen."""
    assert [] == complaints(logs[CHOICES.index(choices)])


# --- real sizes ---------------------------------------------------------------------


def test_a_large_network_gives_a_readable_document():
    """A hidden size of 64 over 200 steps is some pages, not a thousand."""
    net = random_network(lstm(), 8, 64)
    page = symrnn.derive(net, [[1, 0, 0, 1, -1, 0, 2, 0]] * 200)
    assert len(page.latex()) < 80_000
    assert 4 == sum("Step" in line for line in headings(page))
    assert "Steps 4 to 199 are left out" in page.markdown()
