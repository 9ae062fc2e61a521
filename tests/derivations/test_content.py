# SPDX-License-Identifier: BSD-3-Clause
"""What a derivation shows: which steps, which elements, exact or rounded."""

import numpy as np
import pytest
import sympy

import symrnn
from symrnn.derivations.equations import Names
from symrnn.derivations.letters import Notation
from symrnn.derivations.options import Options
from symrnn.documents.latex.math import math
from symrnn.equations.cells import Cell, rnn
from symrnn.equations.language import add, hadamard, matmul, neg, tanh, transpose
from symrnn.equations.symbols import (
    hidden_size,
    input_size,
    matrix,
    previous,
    quantity,
    vector,
    x,
)
from symrnn.errors import SourceError
from symrnn.networks.network import Network
from symrnn.runs.unroll import parameter_at, quantity_at, state_before
from tests.derivations.test_cases import (
    DIFFICULT,
    PADDED,
    SEQUENCE,
    bidirectional,
    compile_latex,
    complaints,
    derive_golden,
    one_feature,
    random_network,
    stacked,
)

# --- what is shown ------------------------------------------------------------------


def headings(page):
    return [line for line in page.markdown().splitlines() if line.startswith("#")]


def test_long_sequences_show_the_first_steps_and_the_last():
    """A thousand steps make four, and the page says what it leaves out."""
    page = symrnn.derive(one_feature(), [["1/2"]] * 1000)
    steps = [line for line in headings(page) if "Step" in line]
    assert ["### Step 1", "### Step 2", "### Step 3", "### Step 1000"] == steps
    assert "Steps 4 to 999 are left out" in page.markdown()
    assert len(page.latex()) < 12_000


def test_reverse_direction_goes_from_the_last_step_to_the_first():
    """Steps are in the order of computing, and start from the state after the last."""
    page = symrnn.derive(bidirectional(), SEQUENCE)
    text = page.markdown()
    steps = [line for line in headings(page) if "Step" in line]
    assert [f"### Step {t}" for t in (1, 2, 3, 4, 4, 3, 2, 1)] == steps
    assert r"\overleftarrow{W}_{hh} \overleftarrow{h}_{5}" in text
    assert r"\overleftarrow{h}_{6}" not in text


def test_reverse_direction_leaves_out_the_middle_too():
    """Of ten steps in reverse, the last three and the first are shown."""
    page = symrnn.derive(bidirectional(), SEQUENCE * 2 + SEQUENCE[:2])
    steps = [line for line in headings(page) if "Step" in line]
    assert [f"### Step {t}" for t in (1, 2, 3, 10, 10, 9, 8, 1)] == steps
    assert "Steps 2 to 7 are left out" in page.markdown()


def test_big_matrices_keep_their_corners():
    """First and last rows and columns are shown, dots between, and the page says so."""
    make, inputs, options = DIFFICULT["many columns"]
    net = make()
    text = symrnn.derive(net, inputs, **options).markdown()
    W = net.parameters[0, "forward"]["W_ih"]
    for corner in (W[0, 0], W[0, -1], W[-1, 0], W[-1, -1]):
        assert f"{float(corner):.4f}" in text
    assert f"{float(W[7, 9]):.4f}" not in text
    assert r"\ddots" in text
    assert "Dots stand for elements of large matrices" in text
    assert "left out" not in derive_golden("lstm").markdown()


def test_sequences_of_different_length_end_at_their_own_step():
    """Each has its own steps, and its last state is that of its own last step."""
    make, inputs, options = DIFFICULT["lengths"]
    page = symrnn.derive(make(), inputs, **options)
    text = page.markdown()
    first, second = text.split("## Sequence 2")
    assert "#### Step 3" in first
    assert "#### Step 3" not in second
    assert r"\overleftarrow{h}_{3} = \left" in second.split("#### Step")[0]
    output = second.split("## Output")[1]
    trace = symrnn.evaluate(make(), inputs, **options)
    for decimal in np.ravel(trace.h_n.decimal(places=4)):
        assert decimal in output


def test_many_sequences_show_a_few():
    """Of ten sequences three are shown; the page says which are not."""
    net = random_network(rnn(bias=False), 2, 2)
    page = symrnn.derive(net, [[[b, 1]] * 10 for b in range(2)])
    shown = [line for line in headings(page) if "Sequence" in line]
    assert ["## Sequence 1", "## Sequence 2", "## Sequence 10"] == shown
    assert "Sequences 3 to 9 are left out" in page.markdown()


def test_packed_sequences_are_shown_in_the_order_of_the_batch(torch):
    """A PackedSequence gives the same steps as its padded batch."""
    module = torch.nn.GRU(2, 2, bias=False)
    padded = torch.tensor(PADDED, dtype=torch.float32)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    packed = pack(padded, [2, 3], enforce_sorted=False)
    net = symrnn.load(module)
    one = symrnn.derive(net, packed).markdown()
    other = symrnn.derive(net, PADDED, lengths=[2, 3]).markdown()
    assert other.split("## Output")[0] == one.split("## Output")[0]
    assert "(5, 2), packed" in one


def test_initial_states_are_printed_as_given():
    """What is given as hx appears among the inputs and in the first step."""
    page = symrnn.derive(one_feature(), [[3]], [["0.25"]]).markdown()
    assert "h_{0} = 0.25" in page
    assert r"W_{hh} h_{0} &= -0.8218 \cdot 0.25 \approx -0.2054" in page


def test_layers_read_the_layer_below():
    """The input of layer 2 is written as such, and no arrow or layer is missing."""
    text = symrnn.derive(stacked(), SEQUENCE).markdown()
    assert "x_{t}^{(2)} = h_{t}^{(1)}" in text
    assert r"W_{ih}^{(2)} x_{1}^{(2)} &\approx" in text
    assert "x_{1}^{(1)}" not in text


def test_fractions_are_rounded_and_integers_are_not():
    """1/3 is ≈ 0.3333, 2 is = 2, and 0.0625 is written out although it is longer."""
    arrays = {"weight_ih_l0": [["1/3"], ["0.0625"]], "weight_hh_l0": [[2, 0], [0, 2]]}
    text = symrnn.derive(
        symrnn.load(arrays, cell="rnn_relu"), [[3]], digits=3
    ).markdown()
    assert r"W_{ih} \approx \left[\begin{array}{r} 0.333 \\ 0.062 \end{array}" in text
    assert r"W_{hh} = \left[\begin{array}{rr} 2 & 0 \\ 0 & 2 \end{array}" in text
    # 1/3 times 3 is exactly 1, although 1/3 is not printed exactly.
    arrays["weight_ih_l0"] = [["1/3"], ["0.0625"]]
    exact = symrnn.derive(symrnn.load(arrays, cell="rnn_relu"), [[3]]).markdown()
    assert r"= \left[\begin{array}{r} 1.0000 \\ 0.1875 \end{array}" in exact


def test_tiny_numbers_are_not_scientific():
    """Digits after the point are what was asked for, whatever the size."""
    arrays = {"weight_ih_l0": [["1e-9"]], "weight_hh_l0": [[0]]}
    net = symrnn.load(arrays, cell="rnn_tanh")
    text = symrnn.derive(net, [["1/3"]], digits=12).markdown()
    assert r"\approx 0.000000000333" in text
    assert "e-" not in text.replace("base-", "")


def test_a_relu_network_is_exact_as_long_as_it_is_short():
    """Its values are rational: = where four digits hold them, ≈ where not."""
    arrays = {"weight_ih_l0": [["0.5"]], "weight_hh_l0": [["0.25"]]}
    net = symrnn.load(arrays, cell="rnn_relu")
    text = symrnn.derive(net, [[1]] * 4).markdown()
    assert r"= \mathrm{relu}(0.625) = 0.625" in text  # GitHub has no \operatorname
    assert r"\approx \mathrm{relu}(0.6641) \approx 0.6641" in text
    assert r"\operatorname{relu}" in symrnn.derive(net, [[1]]).latex()


def odd_cell():
    """Return a cell with every node: transposes, negatives, a sum inside a product."""
    H = hidden_size
    W, U = matrix("W", H, input_size), matrix("U", H, H)
    b, h = vector("b", H), previous("h", H)
    gate = quantity("gate", H)
    return Cell.define(
        "odd",
        parameters=[W, U, b],
        equations={
            gate: neg(add(matmul(W, x), neg(matmul(transpose(U), add(h, neg(b)))))),
            quantity("h", H): add(tanh(hadamard(neg(gate), b)), neg(h)),
        },
    )


def test_every_node_of_the_vocabulary_has_a_derivation(tmp_path, pdflatex):
    """Whatever a user writes with them compiles, and ends in the value."""
    net = random_network(odd_cell(), 2, 2)
    page = symrnn.derive(net, [[1, 2], [3, 4]])
    assert [] == complaints(compile_latex(tmp_path, page.latex(), pdflatex))
    text = page.markdown()
    assert r"\mathit{gate}_{1} &= -(W x_{1} - U^{\top} (h_{0} - b))" in text
    for row in symrnn.evaluate(net, [[1, 2], [3, 4]]).output.decimal(places=4):
        assert r" \\ ".join(row) + r" \end{array}\right]" in text


def test_one_step_of_a_cell():
    """A torch …Cell has no output but its states."""
    arrays = {"weight_ih": [["0.5"]], "weight_hh": [["0.25"]]}
    net = Network.from_arrays(rnn("relu", bias=False), arrays, single_step=True)
    text = symrnn.derive(net, [1], ["0.5"]).markdown()
    assert "The cell returns the new state" in text
    assert "h_{1} &= 0.625" in text.split("## Output")[1]
    assert "<code>weight\\_ih</code>" in text


def test_words_in_names_stay_words():
    """A state called h_tilde prints as h with a subscript, with a step or without."""
    W, h = matrix("W", hidden_size, input_size), previous("h_tilde", hidden_size)
    equations = {quantity("h_tilde", hidden_size): add(matmul(W, x), h)}
    cell = Cell.define("sum", parameters=[W], equations=equations)
    net = Network.from_arrays(cell, {"W_l0": [[1]]})
    text = symrnn.derive(net, [[1], [2]]).markdown()
    assert r"h_{\mathrm{tilde},2} &= 2 + 1 = 3" in text
    assert r"h_{\mathrm{tilde},n} &= h_{\mathrm{tilde},2} = 3" in text
    assert r"the last state $h_{\mathrm{tilde}}$" in text


def test_symbols_are_those_of_the_unrolled_equations():
    """Documents and `symrnn.unroll` write one quantity in one way."""
    for net in (one_feature(), bidirectional(), stacked()):
        for position in net.positions:
            names = Names.at(net, Notation.of(net.cell, Options()), position, 1)
            for p in net.cell.parameters:
                expected = sympy.latex(parameter_at(net, p, position))
                assert expected == math((names.symbol(p),))
            size = net.state_sizes["h"]
            expected = sympy.latex(quantity_at(net, "h", size, position, 1))
            assert expected == math((names.state("h"),))
            expected = sympy.latex(state_before(net, "h", position, 1))
            assert expected == math((names.state("h", before=True),))


@pytest.mark.parametrize("digits", [-1, 2.5, "4", True])
def test_digits_must_be_a_whole_number(digits):
    """A digits= that means nothing is refused before anything is computed."""
    with pytest.raises(SourceError, match="digits"):
        symrnn.derive(one_feature(), [[3]], digits=digits)
