# SPDX-License-Identifier: BSD-3-Clause
"""What may be given as inputs, states and lengths, and what each refusal says."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import sympy

from symrnn.equations.cells import lstm, rnn
from symrnn.errors import NotFiniteError, ShapeError, SourceError
from symrnn.networks.inputs import read_inputs, require_int
from symrnn.networks.network import Network
from symrnn.numerics.exact import (
    exact_array,
    first_non_finite,
    float_format,
    to_fraction,
)
from symrnn.runs.evaluate import evaluate
from tests.cases import Packed, pack


def elman(*, batch_first=False, single_step=False, bidirectional=False):
    """Return an RNN with 3 inputs and 2 units."""
    arrays = {}
    for suffix in ("", "_reverse") if bidirectional else ("",):
        place = "" if single_step else f"_l0{suffix}"
        arrays |= {
            f"weight_ih{place}": np.ones((2, 3)),
            f"weight_hh{place}": np.ones((2, 2)),
        }
    return Network.from_arrays(
        rnn(bias=False), arrays, batch_first=batch_first, single_step=single_step
    )


def long_short():
    arrays = {"weight_ih_l0": np.ones((8, 3)), "weight_hh_l0": np.ones((8, 2))}
    return Network.from_arrays(lstm(bias=False), arrays)


# --- numbers ----------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, Fraction(3)),
        (0.1, Fraction(3602879701896397, 36028797018963968)),
        (np.float32(0.1), Fraction(13421773, 134217728)),
        (np.float16(0.1), Fraction(819, 8192)),
        (np.int8(-5), Fraction(-5)),
        (np.uint64(2**64 - 1), Fraction(2**64 - 1)),
        (2**70 + 1, Fraction(2**70 + 1)),
        (Fraction(1, 3), Fraction(1, 3)),
        (Decimal("-0.8769"), Fraction(-8769, 10000)),
        (sympy.Rational(-2, 7), Fraction(-2, 7)),
        (sympy.Integer(4), Fraction(4)),
        ("-0.8769", Fraction(-8769, 10000)),
        (" 1/3 ", Fraction(1, 3)),
        ("-1 / 3", Fraction(-1, 3)),
        ("+.5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("1E-3", Fraction(1, 1000)),
        (-0.0, Fraction(0)),
        (5e-324, Fraction(1, 2**1074)),
    ],
)
def test_numbers_enter_exactly(value, expected):
    """No number is rounded on its way in, alone or in a list."""
    assert expected == to_fraction(value)
    assert [expected] == [to_fraction(v) for v in exact_array([value]).tolist()]


BAD = [
    "1/0",
    "nan",
    "inf",
    "-Infinity",
    "__import__('os')",
    "1e99999",
    "",
    " ",
    "0x10",
    "1_000",
    "1,5",
    "1/2/3",
    "1.5/2",
    "--1",
    "1+1j",
    None,
    1j,
    b"1",
    pytest.param(object(), id="object"),
    sympy.sqrt(2),
    sympy.Symbol("x"),
    sympy.oo,
    Decimal("NaN"),
    Decimal("Infinity"),
]


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_what_is_no_number_is_refused_by_name(value):
    """The message repeats the value and says what is expected."""
    with pytest.raises(SourceError, match="not a finite number; expected a number"):
        to_fraction(value)
    with pytest.raises(SourceError, match=r"x\[0, 1, 2\]|x: "):
        read_inputs(elman(), [[[1, 2, 3], [4, 5, value]]])


@pytest.mark.parametrize("values", [[[True, 1, 1]], [[1.5, False, "1/2"]]])
def test_booleans_in_lists_are_refused(values):
    """A mask passed for numbers is a mistake in lists as it is in arrays."""
    with pytest.raises(SourceError, match=r"bool|True|False"):
        read_inputs(elman(), values)


@pytest.mark.parametrize(
    "array",
    [
        np.ones((1, 3), dtype=bool),
        np.ones((1, 3), dtype=complex),
        np.ones((1, 3), dtype="M8[s]"),
        np.full((1, 3), b"1"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_of_other_kinds_are_refused(array):
    """Booleans, complex numbers, dates and bytes are no inputs."""
    message = "cannot take numbers of dtype|is not a finite number"
    with pytest.raises(SourceError, match=message):
        read_inputs(elman(), array)


@pytest.mark.parametrize(
    "dtype", ["int8", "int64", "uint8", "uint64", "float16", "f4", ">f8"]
)
def test_arrays_of_any_real_dtype_are_taken(dtype):
    """Integers and floats of any width and byte order."""
    found = read_inputs(elman(), np.array([[1, 2, 3]], dtype=dtype))
    assert [[[1, 2, 3]]] == found.x.tolist()


def test_integers_beyond_float64_stay_exact():
    """2^53 + 1 and the largest uint64 are not rounded to a float."""
    found = read_inputs(elman(), [[2**53 + 1, 2**53, -(2**60) - 1]]).x.ravel().tolist()
    assert [2**53 + 1, 2**53, -(2**60) - 1] == found
    largest = np.full((1, 3), 2**64 - 1, dtype=np.uint64)
    assert 2**64 - 1 == read_inputs(elman(), largest).x[0, 0, 0]


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "int64"]
)
def test_tensors_are_taken_exactly(dtype, torch):
    """Of any dtype, with gradients, transposed or negated lazily."""
    values = torch.tensor([[1, -2, 3], [4, 5, -6]]).to(getattr(torch, dtype))
    expected = [[[1, -2, 3]], [[4, 5, -6]]]
    assert expected == read_inputs(elman(), values).x.tolist()
    assert expected == read_inputs(elman(), values.T.contiguous().T).x.tolist()
    if values.is_floating_point():
        third = (values / 3).requires_grad_()
        assert third.double()[0, 0].item() == read_inputs(elman(), third).x[0, 0, 0]


@pytest.mark.parametrize("dtype", ["bool", "complex64"])
def test_tensors_of_other_kinds_are_refused(dtype, torch):
    """As arrays are."""
    values = torch.ones(1, 3).to(getattr(torch, dtype))
    with pytest.raises(SourceError, match="cannot take numbers of dtype"):
        read_inputs(elman(), values)


def test_tensors_and_arrays_inside_lists_are_taken(torch):
    """A list of rows, each of its own kind."""
    rows = [
        np.array([1, 2, 3], dtype=np.float32),
        torch.tensor([4.0, 5, 6]),
        ["1/3", 0, 1],
    ]
    found = read_inputs(elman(), rows).x[:, 0].tolist()
    assert [[1, 2, 3], [4, 5, 6], [Fraction(1, 3), 0, 1]] == found


def test_formats_and_non_finite_elements_are_found():
    """What a source and an audit ask of arrays."""
    assert "float16" == float_format(np.zeros(1, np.float16))
    assert float_format(np.zeros(1, int)) is None
    assert float_format([1.0]) is None
    assert (1, 0) == first_non_finite(np.array([[0.0, 1.0], [np.inf, np.nan]]))
    assert first_non_finite(exact_array(["1/3"])) is None


# --- shapes ----------------------------------------

TIMES = r"\(time, batch, input_size\) or \(time, input_size\)"
FIRST = r"\(batch, time, input_size\) or \(time, input_size\)"
CELL = r"\(batch, input_size\) or \(input_size,\)"


@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        ({}, (3,), TIMES),
        ({}, (4, 2), TIMES),
        ({}, (5, 4, 2), TIMES),
        ({}, (5, 4, 3, 1), TIMES),
        ({}, (), TIMES),
        ({}, (5, 0), TIMES),
        ({"batch_first": True}, (4, 5, 4), FIRST),
        ({"single_step": True}, (2,), CELL),
        ({"single_step": True}, (5, 4, 3), CELL),
    ],
)
def test_wrong_shapes_of_x_are_refused(options, shape, expected):
    """Both the shape given and the shape expected are in the message."""
    given = str(shape).replace("(", r"\(").replace(")", r"\)")
    message = f"expected x of shape {expected} with input_size = 3, got {given}"
    with pytest.raises(ShapeError, match=message):
        read_inputs(elman(**options), np.ones(shape))


@pytest.mark.parametrize(
    ("options", "x", "hx", "expected"),
    [
        ({}, (5, 4, 3), (4, 2), r"\(1, 4, 2\), got \(4, 2\)"),
        ({}, (5, 4, 3), (1, 1, 2), r"\(1, 4, 2\), got \(1, 1, 2\)"),
        ({}, (5, 4, 3), (1, 4, 3), r"\(1, 4, 2\), got \(1, 4, 3\)"),
        ({}, (5, 3), (1, 1, 2), r"\(1, 2\), got \(1, 1, 2\)"),
        (
            {"bidirectional": True},
            (5, 4, 3),
            (1, 4, 2),
            r"\(2, 4, 2\), got \(1, 4, 2\)",
        ),
        ({"batch_first": True}, (4, 5, 3), (4, 1, 2), r"\(1, 4, 2\), got \(4, 1, 2\)"),
        ({"single_step": True}, (4, 3), (1, 4, 2), r"\(4, 2\), got \(1, 4, 2\)"),
        ({"single_step": True}, (3,), (1, 2), r"\(2,\), got \(1, 2\)"),
    ],
)
def test_wrong_shapes_of_the_state_are_refused(options, x, hx, expected):
    """Both shapes are in the message; a state's batch is never guessed."""
    with pytest.raises(
        ShapeError, match=f"expected initial state h of shape {expected}"
    ):
        read_inputs(elman(**options), np.ones(x), np.ones(hx))


@pytest.mark.parametrize(
    "hx", [np.zeros((2, 1, 4, 2)), np.zeros((1, 4, 2)), [1], (1, 2, 3)]
)
def test_an_lstm_needs_a_pair_of_states(hx):
    """One state alone, or three, say nothing about h and c."""
    message = r"expected hx as a tuple \(h, c\) for LSTM, got (ndarray|list|tuple)"
    with pytest.raises(ShapeError, match=message):
        read_inputs(long_short(), np.ones((5, 4, 3)), hx)


def test_states_may_come_as_a_tuple_of_one():
    """An RNN's state may be wrapped as an LSTM's are."""
    state = np.full((1, 4, 2), 0.5)
    plain = read_inputs(elman(), np.ones((5, 4, 3)), state)
    wrapped = read_inputs(elman(), np.ones((5, 4, 3)), (state,))
    assert plain.states["h"].tolist() == wrapped.states["h"].tolist() == state.tolist()


def test_ragged_lists_are_refused():
    """Rows of different lengths are no array."""
    with pytest.raises(ShapeError, match="x: nested lists are ragged"):
        read_inputs(elman(), [[1, 2, 3], [4, 5]])
    with pytest.raises(ShapeError, match="hx h: nested lists are ragged"):
        read_inputs(elman(), [[1, 2, 3]], [[1, 2], 3])


# --- lengths ----------------------------------------


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 2], r"expected 3 lengths, one for each sequence, got \(2,\)"),
        ([[3, 2, 1]], r"expected 3 lengths, one for each sequence, got \(1, 3\)"),
        (4, r"expected 3 lengths, one for each sequence, got \(\)"),
        ([4, 0, 1], "lengths from 1 to 4 steps, got 0.* at batch element 1"),
        ([4, -1, 1], "lengths from 1 to 4 steps, got -1.* at batch element 1"),
        ([4, 2, 5], "lengths from 1 to 4 steps, got 5.* at batch element 2"),
        ([4, 2.5, 1], r"lengths from 1 to 4 steps, got 2\.5 at batch element 1"),
        ([4, "3/2", 1], "lengths from 1 to 4 steps, got 3/2 at batch element 1"),
        ([4, float("nan"), 1], "lengths from 1 to 4 steps, got nan at batch element 1"),
        ([float("inf"), 2, 1], "lengths from 1 to 4 steps, got inf at batch element 0"),
    ],
)
def test_wrong_lengths_are_refused(lengths, message):
    """Each sequence has a whole number of steps, within the padded time."""
    with pytest.raises(ShapeError, match=message):
        read_inputs(elman(), np.ones((4, 3, 3)), lengths=lengths)


def test_text_for_lengths_is_refused():
    """Text that is no number is named as such."""
    with pytest.raises(SourceError, match=r"lengths\[1\]: 'two'"):
        read_inputs(elman(), np.ones((4, 3, 3)), lengths=[1, "two", 3])


@pytest.mark.parametrize(
    ("options", "shape"), [({}, (4, 3)), ({"single_step": True}, (4, 3))]
)
def test_lengths_are_for_batches_of_sequences(options, shape):
    """One sequence, or one step, has the length that it has."""
    with pytest.raises(ShapeError, match="lengths= is for a batch of sequences"):
        read_inputs(elman(**options), np.ones(shape), lengths=[4])


@pytest.mark.parametrize("kind", ["list", "array", "floats", "tensor"])
def test_lengths_of_any_kind_are_taken(kind, request):
    """Lists, arrays and tensors of whole numbers."""
    lengths = {
        "list": [1, 4, 2],
        "array": np.array([1, 4, 2]),
        "floats": [1.0, 4.0, 2.0],
    }
    if kind == "tensor":
        lengths["tensor"] = request.getfixturevalue("torch").tensor([1, 4, 2])
    found = read_inputs(elman(), np.ones((4, 3, 3)), lengths=lengths[kind])
    assert (1, 4, 2) == found.lengths
    assert (1, 2, 0) == found.order
    assert (3, 2, 1, 1) == found.widths


def test_padding_after_the_longest_sequence_is_not_computed():
    """Steps that no sequence reaches are zeros of the output, without a step."""
    trace = evaluate(elman(), np.ones((4, 2, 3)), lengths=[2, 1])
    assert (4, 2, 2) == trace.output.shape
    assert [["0", "0"], ["0", "0"]] == trace.output[2].decimal(5)
    with pytest.raises(IndexError, match="step < 2"):
        trace[0, "forward", 2]


# --- packed sequences ----------------------------------------


def test_packing_is_undone():
    """Rows find their sequence and step again; states keep the caller's order."""
    sequences = [[[1, 1, 1]], [[2, 2, 2]] * 3, [[3, 3, 3]] * 2]
    found = read_inputs(elman(), pack(sequences, enforce_sorted=False))
    assert (1, 3, 2) == found.lengths
    for b, sequence in enumerate(sequences):
        assert sequence == found.x[: len(sequence), b].tolist()


def test_equally_long_sequences_keep_the_order_they_were_packed_in():
    """Whatever order torch sorted ties in, output.data is in the same."""
    packed = Packed(
        [[2, 2, 2], [1, 1, 1], [4, 4, 4], [3, 3, 3]], [2, 2], [1, 0], [1, 0]
    )
    found = evaluate(elman(), packed)
    first = evaluate(elman(), [[2, 2, 2], [4, 4, 4]]).output.decimal(9)
    second = evaluate(elman(), [[1, 1, 1], [3, 3, 3]]).output.decimal(9)
    data = found.output.data.decimal(9)
    assert [first[0], second[0], first[1], second[1]] == data
    assert (1, 0) == found.output.sorted_indices
    assert [second[1], first[1]] == found.h_n[0].decimal(9)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (Packed([[1, 2]], [1], None, None), "rows with input_size = 3, got"),
        (Packed([[1, 2, 3]], [1, 1], None, None), "rows with input_size = 3, got"),
        (Packed([1, 2, 3], [3], None, None), "rows with input_size = 3, got"),
    ],
)
def test_packed_data_of_the_wrong_size_is_refused(packed, message):
    """Rows are features, as many as the batch sizes say."""
    with pytest.raises(ShapeError, match=message):
        read_inputs(elman(), packed)


def test_packed_sequences_have_their_own_lengths():
    """Lengths beside a packed sequence, or a packed single step, are refused."""
    packed = pack([[[1, 1, 1]]], enforce_sorted=True)
    with pytest.raises(ShapeError, match="leave lengths= out"):
        read_inputs(elman(), packed, lengths=[1])
    with pytest.raises(ShapeError, match="takes one step, not a PackedSequence"):
        read_inputs(elman(single_step=True), packed)


@pytest.mark.parametrize("value", [True, 2.0, "3", None, 0])
def test_require_int_wants_an_int(value):
    """Neither booleans nor floats pass for whole numbers."""
    with pytest.raises(
        SourceError, match=r"n must be a whole number of at least 1 \(got"
    ):
        require_int(value, "n", 1)


def test_nan_beside_decimal_strings_is_located():
    """A NaN among exactly taken numbers is found, not mistaken for a malformed number."""
    arrays = {"weight_ih_l0": [["1/3", 1]], "weight_hh_l0": [[0]]}
    net = Network.from_arrays(rnn(bias=False), arrays)
    with pytest.raises(NotFiniteError, match="feature 1 = nan"):
        evaluate(net, [["0.1", float("nan")]])
