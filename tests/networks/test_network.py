# SPDX-License-Identifier: BSD-3-Clause
"""A network says what does not fit, and cannot be changed."""

import copy
import dataclasses
import json
import pickle
from fractions import Fraction

import numpy as np
import pytest

from symrnn.equations.cells import gru, lstm, rnn
from symrnn.errors import ShapeError, SourceError
from symrnn.networks.network import (
    DIRECTIONS,
    Direction,
    Network,
    Position,
    array_name,
)
from symrnn.runs.evaluate import evaluate


def arrays(rows=2, size=3, hidden=2, places=("l0",), bias=False):
    found = {}
    for place in places:
        below = size if place.startswith("l0") else hidden
        found |= {
            f"weight_ih_{place}": np.ones((rows, below)),
            f"weight_hh_{place}": np.ones((rows, hidden)),
        }
        if bias:
            found |= {
                f"bias_ih_{place}": np.ones(rows),
                f"bias_hh_{place}": np.ones(rows),
            }
    return found


PLAIN = rnn(bias=False)


def test_sizes_are_read_off_the_parameters():
    """Layers, directions and every size of torch's modules."""
    names = ("l0", "l0_reverse", "l1", "l1_reverse")
    found = arrays(rows=8, hidden=1, places=names, bias=True)
    for name in names:
        found[f"weight_hr_{name}"] = np.ones((1, 2))
        if name.startswith("l1"):
            found[f"weight_ih_{name}"] = np.ones((8, 2))
    net = Network.from_arrays(lstm(projected=True), found, dtype="float32")
    assert (3, 2, 2, True) == (
        net.input_size,
        net.hidden_size,
        net.num_layers,
        net.bidirectional,
    )
    assert {"h": 1, "c": 2} == net.state_sizes
    assert 2 == net.output_size
    assert (
        (0, "forward"),
        (0, "reverse"),
        (1, "forward"),
        (1, "reverse"),
    ) == net.positions
    assert (
        "Network(LSTM with projection, input_size=3, hidden_size=2, num_layers=2, "
        "bidirectional=True, proj_size=1, dtype=float32)"
    ) == repr(net)


def test_rows_are_split_among_gates_in_torch_s_order():
    """A GRU stacks r, z, n; an LSTM i, f, g, o."""
    for cell, letters in ((gru(bias=False), "rzn"), (lstm(bias=False), "ifgo")):
        rows = len(letters)
        weights = {
            "weight_ih_l0": np.arange(rows)[:, None],
            "weight_hh_l0": 10 + np.arange(rows)[:, None],
        }
        found = Network.from_arrays(cell, weights).parameters[0, "forward"]
        assert list(range(rows)) == [found[f"W_i{g}"].item() for g in letters]
        assert list(range(10, 10 + rows)) == [found[f"W_h{g}"].item() for g in letters]


def test_names_of_arrays_are_torch_s():
    """Layer and direction follow, but for a single step."""
    assert "bias_hh_l0" == array_name("bias_hh", (0, "forward"))
    assert "bias_hh_l10_reverse" == array_name("bias_hh", (10, "reverse"))
    assert "bias_hh" == array_name("bias_hh", (0, "forward"), single_step=True)


def test_eleven_layers_are_found():
    """Layer 10 comes after layer 9, not after layer 1."""
    net = Network.from_arrays(PLAIN, arrays(places=[f"l{n}" for n in range(11)]))
    assert 11 == net.num_layers


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"weight_hh_l0": None},
            SourceError,
            "the parameter weight_hh_l0 is missing; found",
        ),
        (
            {"weight_ih_l0": None},
            SourceError,
            "the parameter weight_ih_l0 is missing; found",
        ),
        (
            {"bias_ih_l0": [1, 1]},
            SourceError,
            r"RNN \(tanh\) has no parameter bias_ih_l0",
        ),
        ({"weight_ih_l2": [[1]]}, SourceError, "has no parameter weight_ih_l2"),
        ({"weight_hh_l1": [[1]]}, SourceError, "has no parameter weight_hh_l1"),
        (
            {"weight_hh_l0": np.ones((2, 3))},
            ShapeError,
            r"W_hh of shape \(hidden_size, hidden_size\) with hidden_size = 2 "
            r"\(from W_ih\), got \(2, 3\)",
        ),
        (
            {"weight_hh_l0": np.ones((3, 3))},
            ShapeError,
            r"with hidden_size = 2 \(from W_ih\), got \(3, 3\)",
        ),
        ({"weight_ih_l0": np.ones((2, 3, 1))}, ShapeError, "with 1 or 2 dimensions"),
        ({"weight_ih_l0": np.float64(1)}, ShapeError, "with 1 or 2 dimensions"),
        ({"weight_ih_l0": np.ones((2, 0))}, ShapeError, r"input_size.*got \(2, 0\)"),
        ({"weight_ih_l0": [[1, 2, 3], [4, 5]]}, ShapeError, "weight_ih_l0: .*ragged"),
        (
            {"weight_ih_l0": [["a", 2, 3]] * 2},
            SourceError,
            r"weight_ih_l0\[0, 0\]: 'a'",
        ),
        (
            {"weight_ih_l0": np.ones((2, 3), complex)},
            SourceError,
            "weight_ih_l0: .*complex",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, error, message):
    """The parameter, the shape found and the shape expected."""
    found = {k: v for k, v in (arrays() | change).items() if v is not None}
    with pytest.raises(error, match=message):
        Network.from_arrays(PLAIN, found)


def test_rows_that_cannot_be_split_are_refused():
    """An LSTM's rows are four gates."""
    message = r"weight_ih_l0 with a multiple of 4 rows \(W_ii\|W_if\|W_ig\|W_io\), got"
    with pytest.raises(ShapeError, match=message):
        Network.from_arrays(lstm(bias=False), arrays(rows=6))


def test_layers_must_fit_on_each_other():
    """The input of a layer is the output of the one below, both directions of it."""
    both = arrays(places=("l0", "l0_reverse", "l1", "l1_reverse"))
    message = (
        r"layer 1, forward: input_size is 2, expected 4 \(the output of the layer below"
    )
    with pytest.raises(ShapeError, match=message):
        Network.from_arrays(PLAIN, both)
    other = arrays() | {
        "weight_ih_l1": np.ones((3, 2)),
        "weight_hh_l1": np.ones((3, 3)),
    }
    with pytest.raises(
        ShapeError, match=r"layer 1, forward: hidden_size is 3, expected 2"
    ):
        Network.from_arrays(PLAIN, other)


def test_gaps_between_directions_are_refused():
    """One layer with a reverse direction and one without are no network of torch's."""
    with pytest.raises(SourceError, match="layers and directions have gaps"):
        Network.from_arrays(PLAIN, arrays(places=("l0", "l1", "l1_reverse")))


def test_an_empty_mapping_is_refused():
    """There is nothing to make a network of."""
    with pytest.raises(SourceError, match="weight_ih_l0 is missing; found none"):
        Network.from_arrays(PLAIN, {})


def test_a_single_step_has_one_place():
    """Parameters by (layer, direction) of a cell are those of (0, forward)."""
    deep = Network.from_arrays(PLAIN, arrays(places=("l0", "l1")))
    with pytest.raises(SourceError, match="a single-step cell has one layer"):
        Network(cell=PLAIN, parameters=deep.parameters, single_step=True)


def test_unknown_parameters_of_a_place_are_refused():
    """Parameters that no equation uses are no part of the network."""
    net = Network.from_arrays(PLAIN, arrays())
    extra = dict(net.parameters[0, "forward"]) | {"W_xx": np.ones((1, 1))}
    with pytest.raises(SourceError, match="missing or unknown: W_xx"):
        Network(cell=PLAIN, parameters={(0, "forward"): extra})


def test_a_network_cannot_be_changed():
    """Neither its fields, nor its mappings, nor its numbers."""
    net = Network.from_arrays(PLAIN, arrays())
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.batch_first = True
    with pytest.raises(TypeError):
        net.parameters[0, "forward"]["W_ih"] = np.zeros((2, 3))
    with pytest.raises(ValueError, match="read-only"):
        net.parameters[0, "forward"]["W_ih"][0, 0] = 7


def test_a_network_does_not_see_later_changes_of_its_source():
    """The arrays it was made from may go on being trained."""
    source = arrays()
    net = Network.from_arrays(PLAIN, source)
    before = evaluate(net, [[1, 2, 3]]).output.decimal(9)
    source["weight_ih_l0"][:] = 0.25
    assert before == evaluate(net, [[1, 2, 3]]).output.decimal(9)


@pytest.mark.parametrize(
    "clone", [lambda n: pickle.loads(pickle.dumps(n)), copy.deepcopy]
)
def test_networks_travel_to_other_processes(clone):
    """A pickled or copied network is the same one, and as immutable."""
    net = Network.from_arrays(PLAIN, arrays() | {"weight_hh_l0": [["1/3", 0], [0, 1]]})
    again = clone(net)
    assert repr(net) == repr(again)
    assert Fraction(1, 3) == again.parameters[0, "forward"]["W_hh"][0, 0]
    assert not again.parameters[0, "forward"]["W_ih"].flags.writeable


def test_networks_can_be_compared_and_hashed():
    """Neither raises, so that networks can be keys and members."""
    one, other = (Network.from_arrays(PLAIN, arrays()) for _ in range(2))
    assert (one == other) in (True, False)
    assert 1 == len({one, one})


# --- positions ---


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_direction_takes_every_step_once(direction, n):
    """Each step starts from the one taken before it, the first from outside."""
    order = direction.order(n)
    assert sorted(order) == list(range(n))
    assert [direction.before(t) for t in order[1:]] == list(order[:-1])
    assert list(range(n))[:: direction.stride] == list(order)
    if n:
        assert (direction.start(n), direction.end(n)) == (order[0], order[-1])
        assert direction.before(direction.start(n)) not in range(n)


@pytest.mark.parametrize("word", ["forward", "reverse"])
def test_a_direction_is_its_word(word):
    """Whatever takes the string takes the direction, and the other way round."""
    direction = Direction(word)
    assert direction == word
    assert hash(direction) == hash(word)
    assert (str(direction), f"{direction}", repr(direction)) == (word, word, repr(word))
    assert json.dumps([direction, {direction: 1}]) == json.dumps([word, {word: 1}])
    assert pickle.loads(pickle.dumps(direction)) is direction
    assert copy.deepcopy(direction) is direction
    assert {word: 1}[direction] == {direction: 1}[word] == 1


def test_a_position_is_its_tuple():
    """Users may look things up by a plain layer and direction."""
    position = Position(1, Direction.REVERSE)
    assert position == (1, "reverse")
    assert {position: 1}[1, "reverse"] == {(1, "reverse"): 1}[position] == 1
    assert json.dumps(position) == '[1, "reverse"]'
    again = pickle.loads(pickle.dumps(position))
    assert again == position
    assert type(again) is Position


def test_a_network_takes_plain_positions():
    """It returns positions, in the order of what it was given."""
    parameters = {"W_ih": np.ones((1, 1)), "W_hh": np.ones((1, 1))}
    given = {(0, "reverse"): parameters, (0, "forward"): parameters}
    net = Network(cell=PLAIN, parameters=given)
    assert list(net.parameters) == list(given)
    assert all(type(p) is Position for p in [*net.parameters, *net.positions])
    assert net.layer(0) == net.positions == ((0, "forward"), (0, "reverse"))
    assert [p.direction.suffix for p in net.positions] == ["", "_reverse"]


def test_an_unknown_direction_is_refused():
    parameters = {"W_ih": np.ones((1, 1)), "W_hh": np.ones((1, 1))}
    with pytest.raises(SourceError, match=r"gaps: found \[\(0, 'backward'\)\]"):
        Network(cell=PLAIN, parameters={(0, "backward"): parameters})
