# SPDX-License-Identifier: BSD-3-Clause
"""The unrolled network: who feeds whom, what is drawn where, and what it says."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symrnn
from symrnn.derivations.graph import unrolled_graph
from symrnn.derivations.numbers import Values
from symrnn.derivations.options import Options
from symrnn.documents.latex.blocks import Blocks, picture
from symrnn.documents.latex.math import math
from symrnn.documents.markdown import write_markdown
from symrnn.documents.model import Document
from symrnn.equations.cells import gru, lstm, rnn
from tests.derivations.test_cases import (
    PADDED,
    bidirectional,
    one_feature,
    random_network,
)


def figure(net, x, *, lengths=None, **chosen):
    trace = symrnn.evaluate(net, x, lengths=lengths, keep="nodes")
    return unrolled_graph(Values(trace, Options(**chosen)))


def arrows(drawn):
    """Return the arrows by what is written in the nodes."""
    label = {node.key: math(node.label) for node in drawn.graph.nodes}
    return [(label[edge.tail], label[edge.head]) for edge in drawn.graph.edges]


# --- who feeds whom -----------------------------------------------------------------


def test_one_layer():
    """A state is computed from its input and the state before; it is the output."""
    drawn = figure(one_feature(), [[3], [4]])
    assert arrows(drawn) == [
        ("x_{1}", "h_{1}"),
        ("x_{2}", "h_{2}"),
        ("h_{0}", "h_{1}"),
        ("h_{1}", "h_{2}"),
        ("h_{1}", r"\mathrm{output}_{1}"),
        ("h_{2}", r"\mathrm{output}_{2}"),
    ]


def test_the_reverse_direction_comes_from_the_right():
    """Its initial state is after the last step, and its arrows point to the left."""
    drawn = figure(bidirectional(), [[1, 1, 1], [1, 2, 1]])
    found = arrows(drawn)
    back = [rf"\overleftarrow{{h}}_{{{t}}}" for t in (3, 2, 1)]
    assert set(itertools.pairwise(back)) <= set(found)
    at = {math(node.label): node.x for node in drawn.graph.nodes}
    assert at[back[0]] > at[back[1]] > at[back[2]]
    assert (back[2], r"\mathrm{output}_{1}") in found


def test_layers_read_the_layer_below():
    """Both directions of the second layer read both directions of the first."""
    net = random_network(lstm(), 3, 2, layers=2, directions=2)
    found = arrows(figure(net, [[1, 2, 3]]))
    first = [rf"\over{way}arrow{{h}}_{{1}}^{{(1)}}" for way in ("right", "left")]
    second = [rf"\over{way}arrow{{h}}_{{1}}^{{(2)}}" for way in ("right", "left")]
    for tail in first:
        assert ("x_{1}", tail) in found
        assert (tail, "x_{1}^{(2)}") in found
    for head in second:
        assert ("x_{1}^{(2)}", head) in found
        assert (head, r"\mathrm{output}_{1}") in found


def test_nodes_know_their_values():
    """Steps are counted from 0, initial states are before the first and after the last."""
    drawn = figure(bidirectional(), [[1, 1, 1], [1, 2, 1]])
    found = {
        math(node.label): (
            node.origin.quantity,
            node.origin.direction,
            node.origin.step,
        )
        for node in drawn.graph.nodes
    }
    assert found == {
        "x_{1}": ("x", "", 0),
        "x_{2}": ("x", "", 1),
        r"\overrightarrow{h}_{0}": ("h", "forward", -1),
        r"\overrightarrow{h}_{1}": ("h", "forward", 0),
        r"\overrightarrow{h}_{2}": ("h", "forward", 1),
        r"\overleftarrow{h}_{1}": ("h", "reverse", 0),
        r"\overleftarrow{h}_{2}": ("h", "reverse", 1),
        r"\overleftarrow{h}_{3}": ("h", "reverse", 2),
        r"\mathrm{output}_{1}": ("output", "", 0),
        r"\mathrm{output}_{2}": ("output", "", 1),
    }


# --- what is left out ---------------------------------------------------------------


def test_long_sequences_have_dots():
    """The chain of states goes on through the dots."""
    drawn = figure(one_feature(), [[k] for k in range(50)])
    found = arrows(drawn)
    assert {("h_{3}", r"\cdots"), (r"\cdots", "h_{50}")} <= set(found)
    assert len(drawn.graph.nodes) < 20


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        ((2,), ["h_{0}", r"\cdots", "h_{2}", r"\cdots"]),
        ((1, 2), ["h_{0}", "h_{1}", "h_{2}", r"\cdots"]),
    ],
)
def test_chosen_steps(steps, labels):
    """Dots stand before, between and after the steps that are asked for."""
    drawn = figure(one_feature(), [[1], [2], [3]], steps=steps)
    row = sorted((n for n in drawn.graph.nodes if n.y == 1), key=lambda n: n.x)
    assert [math(node.label) for node in row] == labels


def test_deep_networks_have_dots():
    """A column of layers goes on through the dots."""
    found = arrows(figure(random_network(rnn(), 1, 1, layers=9), [[1]]))
    assert ("h_{1}^{(3)}", r"\vdots") in found
    assert (r"\vdots", "h_{1}^{(8)}") in found


def test_layers_left_out_at_the_top():
    """What is above the chosen layers is dots, and no output."""
    net = random_network(rnn(), 1, 1, layers=3)
    drawn = figure(net, [[1]], layers=(1,))
    assert ("h_{1}^{(1)}", r"\vdots") in arrows(drawn)
    assert all(node.kind != "output" for node in drawn.graph.nodes)


def test_a_sequence_of_a_batch_has_its_own_length():
    """The drawing is of one sequence, and says so where it matters."""
    net = random_network(gru(), 2, 2)
    drawn = figure(net, PADDED, lengths=[3, 2], sequences=(2,))
    assert "2 steps, those of sequence 2. " in "".join(
        part for part in drawn.caption if isinstance(part, str)
    )
    assert {n.origin.sequence for n in drawn.graph.nodes} == {1}


# --- how it looks -------------------------------------------------------------------


networks = st.builds(
    dict,
    layers=st.integers(1, 3),
    directions=st.integers(1, 2),
    steps=st.integers(1, 12),
)


@given(networks)
@settings(max_examples=20)
def test_arrows_pass_by_the_nodes(size):
    """No two nodes are near each other, and no arrow runs through a third one."""
    net = random_network(
        rnn(), 1, 1, layers=size["layers"], directions=size["directions"]
    )
    graph = figure(net, [[1]] * size["steps"]).graph
    nodes = {node.key: node for node in graph.nodes}
    assert len(nodes) == len(graph.nodes)
    for a, b in itertools.combinations(graph.nodes, 2):
        assert abs(a.x - b.x) >= 0.6 or abs(a.y - b.y) >= 0.6
    for edge in graph.edges:
        tail, head = nodes[edge.tail], nodes[edge.head]
        for node in graph.nodes:
            if node in (tail, head) or not min(tail.y, head.y) <= node.y <= max(
                tail.y, head.y
            ):
                continue
            if tail.y == head.y:
                assert not min(tail.x, head.x) < node.x < max(tail.x, head.x)
            else:
                along = (node.y - tail.y) / (head.y - tail.y)
                assert abs(tail.x + along * (head.x - tail.x) - node.x) > 0.3


@pytest.mark.parametrize("steps", [2, 8])
@pytest.mark.parametrize("width", [166, 90])
def test_a_drawing_is_as_wide_as_the_page_at_most(steps, width):
    """Steps stand closer where there are many; then everything shrinks."""
    drawn = figure(bidirectional(), [[1, 1, 1]] * steps)
    text = picture(drawn, math, width=width)
    unit = float(re.search(r"\[x=([\d.]+)mm", text)[1])
    shrunk = re.search(r"scale=([\d.]+), transform shape", text)
    places = [node.x for node in drawn.graph.nodes]
    across = unit * (max(places) - min(places)) * (float(shrunk[1]) if shrunk else 1)
    assert across <= width - 5
    assert unit >= 15


def test_latex_shows_the_caption_where_there_is_no_tikz():
    """What TeX skips without TikZ does not hold the words."""
    text = Blocks().block(figure(one_feature(), [[3]]))
    skipped, _, shown = text.partition(r"\fi")
    assert skipped.startswith(r"\ifcsname tikzpicture\endcsname")
    assert "The network unrolled over 1 step. Each $h_{t}$ is computed" in shown


def test_markdown_says_who_feeds_whom():
    """Of an LSTM's two states only one goes upwards."""
    drawn = figure(random_network(lstm(), 3, 2), [[1, 2, 3]])
    text = write_markdown(Document((drawn,)))
    assert r"- $h_{1}, c_{1} \leftarrow x_{1}, h_{0}, c_{0}$" in text
    assert r"- $\mathrm{output}_{1} \leftarrow h_{1}$" in text
