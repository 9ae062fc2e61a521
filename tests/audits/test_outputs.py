# SPDX-License-Identifier: BSD-3-Clause
"""Given outputs: each wrong number is found where it is, and measured exactly."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symrnn
from symrnn import ShapeError, SourceError, Tolerance, UndecidedError
from symrnn.equations import add, matmul, matrix
from symrnn.equations.cells import Cell
from symrnn.equations.symbols import hidden_size, input_size, previous, quantity, x
from symrnn.numerics.formats import FORMATS


def identity(**options):
    """A network whose output is its input, where that is not negative."""
    parameters = {"weight_ih": [[1]], "weight_hh": [[0]], **options}
    return symrnn.load(parameters, cell="rnn_relu")


INF = float("inf")


def judge_number(exact, subject, dtype="float32", tolerance=None):
    """Audit one number: `subject` where `exact` would be exact."""
    report = symrnn.audit(
        identity(),
        [exact],
        outputs=np.array([subject], dtype=np.float64),
        dtype=dtype,
        tolerance=tolerance or Tolerance(ulps=0.5),
    )
    return report, report.tensors[0]


def moved(number, steps, dtype):
    """Return the float so many floats above `number`."""
    bits = {"float64": np.int64, "float32": np.int32, "float16": np.int16}[dtype]
    return float((np.array(number, dtype).view(bits) + bits(steps)).view(dtype)[()])


# --- the unit -----------------------------------------------------------------------


@given(
    st.sampled_from(["float64", "float32", "float16"]).flatmap(
        lambda dtype: st.tuples(
            st.just(dtype),
            st.floats(
                min_value=0,
                max_value=1e4,
                width=int(dtype.removeprefix("float")),
                allow_subnormal=True,
            ),
        )
    ),
    st.integers(-100, 100),
)
def test_errors_are_counted_in_ulps_of_the_exact_value(number, steps):
    """NumPy's spacing at the exact value is the unit, down into the subnormals."""
    dtype, exact = number
    bits = {"float64": np.int64, "float32": np.int32, "float16": np.int16}[dtype]
    steps = max(steps, -int(np.array(exact, dtype).view(bits)))
    subject = moved(exact, steps, dtype)
    _, found = judge_number(exact, subject, dtype)
    ulp = Fraction(float(np.spacing(np.array(exact, dtype))))
    error = abs(Fraction(subject) - Fraction(exact)) / ulp
    low, high = found.worst.ulps
    assert low <= error <= high
    assert float(error) == pytest.approx(high, rel=1e-15)
    assert (steps == 0) is (found.correctly_rounded == 1)


@pytest.mark.parametrize("dtype", FORMATS)
def test_ulp_of_a_subnormal_is_the_smallest_number(dtype):
    """Below the smallest normal number the spacing stays the same."""
    target = FORMATS[dtype]
    smallest = Fraction(2) ** (target.emin - target.precision + 1)
    for exact, subject, ulps in [(0, 3, 3), (1, 2, 1), (Fraction(1, 3), 0, 1 / 3)]:
        _, found = judge_number(exact * smallest, float(subject * smallest), dtype)
        low, high = found.worst.ulps
        assert low <= ulps <= high <= ulps * (1 + 1e-15)
        assert (ulps < 0.5) is (found.correctly_rounded == 1)


def test_ulp_beyond_the_largest_number_goes_on():
    """As if exponents had no limit; a finite number is wrong there all the same."""
    report, found = judge_number(2**130, float(2**127), tolerance=Tolerance(ulps=1e9))
    assert pytest.approx(7 * 2**127 / 2**107) == found.max_ulps
    assert "violated" == report.verdict
    assert found.worst.exact_overflows
    assert "beyond the largest finite number" in str(report)


@pytest.mark.parametrize(("subject", "right"), [(0, 1), (1, 0)])
def test_tie_is_rounded_to_even(subject, right):
    """Both neighbours of a tie are 1/2 ulp away; only the even one is right."""
    exact = 1 + Fraction(1, 2**24)
    report, found = judge_number(exact, 1 + subject * 2.0**-23)
    assert report.passed
    assert found.worst.ulps[0] <= 0.5 <= found.worst.ulps[1]
    assert right == found.correctly_rounded


def test_below_a_power_of_two_floats_are_denser():
    """The float under 1 is 1/2 ulp of 1 away from it, and not 1 rounded."""
    _, found = judge_number(1, 1 - 2.0**-24)
    assert (0.5, 0) == (pytest.approx(found.max_ulps), found.correctly_rounded)
    _, found = judge_number(1 - Fraction(1, 2**26), 1.0)
    assert (0.25, 1) == (pytest.approx(found.max_ulps), found.correctly_rounded)


@pytest.mark.parametrize(
    ("tolerance", "verdict"),
    [
        (Tolerance(ulps=2), "holds"),
        (Tolerance(ulps=1.999), "violated"),
        (Tolerance(0, 2.0**-22), "holds"),
        (Tolerance(0, 2.0**-22 - 2.0**-60), "violated"),
        (Tolerance(2.0**-22), "holds"),
        (Tolerance(2.0**-22 - 2.0**-60), "violated"),
    ],
)
def test_tolerance_includes_its_limit(tolerance, verdict):
    """An error equal to the tolerance holds; comparisons are exact."""
    assert verdict == judge_number(1, 1 + 2.0**-22, tolerance=tolerance)[0].verdict


@pytest.mark.parametrize("exponent", [-1, -12, -40, -85, -140])
def test_tiny_values_are_known_as_well_as_others(exponent):
    """What is left of a cancellation is known to a millionth of an ulp, too."""
    nearly = 1 + Fraction(2) ** exponent
    net = symrnn.load(
        {"weight_ih_l0": [[1], [nearly]], "weight_hh_l0": [[-1, 1], [0, 0]]},
        cell="rnn_tanh",
    )
    outputs = symrnn.evaluate(net, [[1], [0]]).output.nearest("float32")
    outputs[1, 0] *= np.float32(1.25)
    report = symrnn.audit(net, [[1], [0]], outputs=outputs, tolerance=Tolerance(ulps=1))
    assert "output[1, 0]" in str(report.worst.location)
    low, high = report.worst.ulps
    assert 1 < low < high < low + 2e-6


def test_limit_is_decided_on_rationals():
    """Three times a third is 1 in no ball; the tie is looked up in exact arithmetic."""
    net = identity(weight_ih=[["1/3"]])
    for ulps, verdict in ((1, "holds"), (0.99, "violated")):
        report = symrnn.audit(
            net,
            [3],
            outputs=np.array([1 + 2.0**-23], dtype=np.float32),
            tolerance=Tolerance(ulps=ulps),
        )
        assert verdict == report.verdict


def test_undecided_within_the_precision_limit_is_said():
    """A limit that is too low is an error that names it, not a verdict."""
    size, steps = 100, 30  # too large to be looked up in exact arithmetic
    parameters = {"weight_ih_l0": [[1]] * size, "weight_hh_l0": np.eye(size) / 3}
    net = symrnn.load(parameters, cell="rnn_tanh", dtype="float64")
    outputs = np.zeros((steps, size))
    with pytest.raises(UndecidedError, match="max_precision"):
        symrnn.audit(net, [[1]] * steps, outputs=outputs, max_precision=40)
    report = symrnn.audit(net, [[1]] * steps, outputs=outputs)
    assert "violated" == report.verdict


def test_worst_is_a_violation_where_there_is_one():
    """Not the larger error that holds, if what violates is an overflow."""
    report = symrnn.audit(
        identity(),
        [[65520], [1]],
        outputs=np.array([[65504.0], [1.5]]),
        dtype="float16",
        tolerance=Tolerance(0.5, 1),
    )
    assert ("violated", 0) == (report.verdict, report.worst.location.batch)


# --- where it is --------------------------------------------------------------------


@pytest.fixture
def lstm(torch):
    torch.manual_seed(2)
    return torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64)


def run(torch, module, x):
    """Return outputs correctly rounded to float32, as arrays, flat."""
    trace = symrnn.evaluate(module, x)
    return [a.nearest("float32") for a in (trace.output, trace.h_n, trace.c_n)]


@pytest.mark.torch_bits
@pytest.mark.parametrize("ulps", [1, 3, 50])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_wrong_element_is_found(torch, lstm, which, ulps):
    """Off by k + 1 floats, it violates k ulps, and holds with 1.5 ulps more."""
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    outputs = run(torch, lstm, x)
    index = tuple(n - 1 for n in outputs[which].shape)
    outputs[which][index] = moved(outputs[which][index], ulps + 1, "float32")
    report = symrnn.audit(
        lstm, x, outputs=tuple(outputs), tolerance=Tolerance(ulps=ulps)
    )
    assert "violated" == report.verdict
    name = ("output", "h_n", "c_n")[which]
    assert (name, index) == (report.worst.location.tensor, report.worst.location.index)
    assert [int(i == which) for i in range(3)] == [t.violations for t in report.tensors]
    assert pytest.approx(ulps + 1, abs=0.5) == report.worst.ulps[1]
    allowed = Tolerance(ulps=ulps + 1.5)
    assert symrnn.audit(lstm, x, outputs=tuple(outputs), tolerance=allowed).passed


@pytest.mark.torch_bits
def test_rounded_exact_values_are_all_right(torch, lstm):
    """Everything correctly rounded: 100 % and within 1/2 ulp."""
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    outputs = run(torch, lstm, x)
    report = symrnn.audit(
        lstm, x, outputs=tuple(outputs), tolerance=Tolerance(ulps=0.5)
    )
    assert report.passed
    assert [1, 1, 1] == [t.correctly_rounded for t in report.tensors]


@pytest.mark.torch_bits
def test_first_violation_is_first_in_time(torch, lstm):
    """In reverse, time runs down: step 3 is computed before step 1."""
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    outputs = run(torch, lstm, x)
    outputs[0][1, 0, 4] += 1
    outputs[0][3, 2, 5] += 0.5
    report = symrnn.audit(lstm, x, outputs=outputs[0])
    first, worst = report.first_violation.location, report.worst.location
    assert "step 3, batch element 2, unit 2)" in str(first)
    assert "step 1, batch element 0, unit 1)" in str(worst)
    assert "reverse" == first.direction == worst.direction


@pytest.mark.torch_bits
def test_swapped_directions_are_found(torch, lstm):
    """Halves of the output changed over are wrong from the first step."""
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    output = np.roll(run(torch, lstm, x)[0], 3, axis=-1)
    report = symrnn.audit(lstm, x, outputs=output)
    assert report.tensors[0].violations == output.size
    assert 0 == report.first_violation.location.step


@pytest.mark.torch_bits
def test_swapped_gates_are_found(torch):
    """A GRU with reset and update gates changed over is another network."""
    right, wrong = (torch.nn.GRU(2, 3, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        for ours, theirs in zip(right.parameters(), wrong.parameters(), strict=True):
            r, z, n = ours.chunk(3)
            theirs.copy_(torch.cat([z, r, n]))
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    with torch.no_grad():
        outputs = wrong(x)
    report = symrnn.audit(right, x, outputs=outputs)
    assert "violated" == report.verdict
    assert 0 == report.first_violation.location.step
    assert symrnn.audit(wrong, x, outputs=outputs).passed


@pytest.mark.torch_bits
def test_dropped_candidate_bias_is_found(torch):
    """Without b_hn a GRU differs from its first step on."""
    gru = torch.nn.GRU(2, 3, dtype=torch.float64)
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    parameters = {k: v.clone() for k, v in gru.state_dict().items()}
    with torch.no_grad():
        gru.bias_hh_l0[6:] = 0
        outputs = gru(x)
    report = symrnn.audit(parameters, x, outputs=outputs)
    assert report.first_violation.location.step == 0
    assert symrnn.audit(gru, x, outputs=outputs).passed


@pytest.mark.torch_bits
def test_padding_that_is_not_zero_is_found(torch):
    """Beyond a sequence's length torch returns 0."""
    gru = torch.nn.GRU(2, 3, dtype=torch.float64)
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    output = symrnn.evaluate(gru, x, lengths=[5, 3]).output.nearest("float64")
    assert symrnn.audit(gru, x, lengths=[5, 3], outputs=output).passed
    output[4, 1] = output[2, 1]
    report = symrnn.audit(gru, x, lengths=[5, 3], outputs=output)
    assert "violated" == report.verdict
    assert any(
        "3 numbers beyond a sequence's length are not 0" in n for n in report.notes
    )
    assert report.tensors[0].max_ulps < 1, "statistics are over the sequences only"
    tolerance = Tolerance(ulps=1)
    report = symrnn.audit(gru, x, lengths=[5, 3], outputs=output, tolerance=tolerance)
    assert 3 == report.tensors[0].violations
    assert (4, 1) == report.worst.location.index[:2]


# --- what may be given --------------------------------------------------------------


@pytest.mark.torch_bits
def test_outputs_in_the_shapes_that_people_have(torch, lstm):
    """Nested as torch returns them, flat, or the output alone."""
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    output, states = lstm(x)
    for outputs, count in (
        ((output, states), 3),
        ((output, *states), 3),
        (output, 1),
        ((output,), 1),
        ((output.detach().numpy(), *states), 3),
    ):
        report = symrnn.audit(lstm, x, outputs=outputs)
        assert (True, count) == (report.passed, len(report.tensors))
        assert "float64" == report.dtype
        assert report.environment.torch is None


@pytest.mark.torch_bits
def test_outputs_of_single_steps(torch):
    """A cell returns its states: h, or (h, c)."""
    x = torch.randn(4, 2)
    for cell, names in (
        (torch.nn.LSTMCell(2, 3), ["h", "c"]),
        (torch.nn.GRUCell(2, 3), ["h"]),
    ):
        report = symrnn.audit(cell, x, outputs=cell(x))
        assert report.passed
        assert names == [t.name for t in report.tensors]
        assert "step" not in str(report.worst.location)
    with pytest.raises(ShapeError, match=r"expected outputs \(h\), or h alone"):
        symrnn.audit(torch.nn.GRUCell(2, 3), x, outputs=(x, x))


@pytest.mark.torch_bits
def test_packed_outputs(torch):
    """As a PackedSequence, or its data; packed otherwise is an error that says so."""
    gru = torch.nn.GRU(2, 3)
    x = torch.randn(5, 20, 2)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    lengths = [3] * 19 + [5]
    packed = pack(x, lengths, enforce_sorted=False)
    output, h_n = gru(packed)
    tight = Tolerance(1e-5, 1e-6)
    for outputs in ((output, h_n), output, output.data):
        assert symrnn.audit(gru, packed, outputs=outputs, tolerance=tight).passed
    other = gru(pack(x, lengths[::-1], enforce_sorted=False))
    with pytest.raises(ShapeError, match="packed as x is"):
        symrnn.audit(gru, packed, outputs=other)
    with pytest.raises(ShapeError, match="packed as x is"):
        symrnn.audit(gru, x[:, :1], outputs=gru(pack(x[:, :1], [5]))[0])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(4, 4, 6)], r"output of shape \(5, 4, 6\), got \(4, 4, 6\)"),
        ([(4, 5, 6)], r"output of shape \(5, 4, 6\), got \(4, 5, 6\)"),
        ([(5, 4, 6), (4, 3), (4, 4, 3)], r"h_n of shape \(4, 4, 3\), got \(4, 3\)"),
        ([(5, 4, 6), (4, 4, 3), ()], r"c_n of shape \(4, 4, 3\), got \(\)"),
        ([(5, 4, 6), (4, 4, 3)], r"\(output, h_n, c_n\), or output alone, got 2"),
        ([(0, 4, 6)], r"got \(0, 4, 6\)"),
    ],
)
def test_wrong_shapes_name_both(torch, lstm, shapes, message):
    """What was expected, and what was given."""
    x = torch.zeros(5, 4, 2, dtype=torch.float64)
    outputs = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(ShapeError, match=message):
        symrnn.audit(lstm, x, outputs=outputs)


def test_format_is_the_arrays_or_said(torch):
    """It is not guessed from nested lists, integers or a mixture."""
    gru, x = torch.nn.GRU(1, 1), [[0.5]]
    output, h_n = (t.detach() for t in gru(torch.tensor(x)))
    for outputs in (output.tolist(), output.int(), (output, h_n.double()), ()):
        with pytest.raises(SourceError, match="dtype="):
            symrnn.audit(gru, x, outputs=outputs)
    report = symrnn.audit(gru, x, outputs=output.tolist(), dtype="float32")
    assert report.passed
    assert () == report.notes
    with pytest.raises(SourceError, match="float8"):
        symrnn.audit(gru, x, outputs=output, dtype="float8")
    with pytest.raises(SourceError, match="not binary"):
        symrnn.audit(gru, x, outputs=[["1/3"]], dtype="float32")


def test_numbers_of_another_format_are_noted(torch):
    """Outputs and inputs finer than the format are judged as they are, and named."""
    gru, x = torch.nn.GRU(1, 2, dtype=torch.float64), [[0.1]]
    output = symrnn.evaluate(gru, x).output.nearest("float64")
    report = symrnn.audit(gru, x, outputs=output, dtype="float32")
    assert report.passed
    assert 0 == report.tensors[0].correctly_rounded
    assert "not float32; the outputs are judged for x and hx exactly" in report.notes[0]
    assert "output: 2 of 2 numbers are not float32" == report.notes[1]


# --- tolerances ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FORMATS)
def test_default_tolerance_is_that_of_assert_close(torch, dtype, monkeypatch):
    """Where states are not known and a bound would take too long, torch's own figures.

    They are named as such and labelled as assumed.

    16-bit formats have 8 unit roundoffs for an atol that honest networks exceed.
    """
    from torch.testing._comparison import default_tolerances

    from symrnn.audits import results

    monkeypatch.setattr(results, "_BOUND_WORK", 0)

    net = symrnn.load(
        {f"weight_{kind}_l{n}": [[1]] for kind in ("ih", "hh") for n in (0, 1)},
        cell="rnn_relu",
    )
    report = symrnn.audit(net, [[1]], outputs=np.array([[1.0]]), dtype=dtype)
    assert "layer 0, forward: its states are not known" in map(str, report.unseen)
    expected = default_tolerances(getattr(torch, dtype))
    if FORMATS[dtype].precision < 24:
        expected = expected[0], 8 * 2.0 ** -FORMATS[dtype].precision
    assert expected == (report.tolerance.rtol, report.tolerance.atol)
    assumed = [s.text for s in report.statements if s.kind == "assumed"]
    assert any("torch.testing.assert_close" in text for text in assumed)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"rtol": 1, "ulps": 1},
        {"ulps": -1},
        {"ulps": float("nan")},
        {"rtol": float("inf")},
        {"atol": "1e-3"},
        {"ulps": True},
    ],
)
def test_meaningless_tolerances_are_refused(arguments):
    """Neither or both kinds, and what is no size."""
    with pytest.raises(ValueError, match=r"give|must be"):
        Tolerance(**arguments)


def test_bare_number_is_no_tolerance(torch):
    """It could be relative, absolute or ulps."""
    with pytest.raises(TypeError, match=r"Tolerance\(ulps=4\)"):
        symrnn.audit(torch.nn.GRU(1, 1), [[1.0]], tolerance=1e-3)


@pytest.mark.torch_bits
def test_states_that_are_not_known_leave_a_proven_bound(torch):
    """Of two layers' outputs, each number has the bound of the whole trajectory."""
    torch.manual_seed(0)
    module = torch.nn.LSTM(3, 4, num_layers=2)
    x = torch.randn(6, 2, 3)
    with torch.no_grad():
        output, (h_n, c_n) = module(x)
    report = symrnn.audit(module, x, outputs=(output, h_n, c_n))
    assert (True, None, ()) == (report.passed, report.tolerance, report.layers)
    assert all(0 < t.worst.tolerance < 1e-5 for t in report.tensors)
    assert any("no honest trajectory" in s.text for s in report.statements)
    output[3, 1, 2] += 1e-4
    report = symrnn.audit(module, x, outputs=(output, h_n, c_n))
    assert "violated" == report.verdict
    assert (3, 1, 2) == report.first_violation.location.index


@pytest.mark.torch_bits
def test_explanation_of_an_audit(torch):
    """On request: bound, condition numbers, and where the error came from."""
    torch.manual_seed(0)
    module = torch.nn.GRU(3, 4)
    report = symrnn.audit(module, torch.randn(6, 2, 3), explain=True)
    titles = [section.title for section in report.explanation]
    assert 4 == len(titles)
    assert "Bounds on the distance from the exact trajectory" == titles[0]
    assert titles[2].endswith("this subject, by where it shows")
    shares = [row[3] for row in report.explanation[3].rows if row[0] == "kind"]
    assert 1 == pytest.approx(sum(shares), abs=1e-3)


@pytest.mark.torch_bits
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "LSTMCell", "packed"])
def test_many_results_are_compared_with_float64_enclosures(torch, kind, monkeypatch):
    """The errors are those of balls, but for the width of the enclosures."""
    from symrnn.audits import results

    torch.manual_seed(0)
    x, options = torch.randn(5, 6, 4), {}
    if kind.endswith("Cell"):
        module, x = torch.nn.LSTMCell(4, 3), x[0]
    else:
        layers = {"num_layers": 2, "bidirectional": True}
        module = getattr(torch.nn, "GRU" if kind == "packed" else kind)(4, 3, **layers)
        options["lengths"] = [5, 3, 4, 1, 2, 5]
    if kind == "packed":
        lengths = options.pop("lengths")
        x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    exactly = symrnn.audit(module, x, **options)
    monkeypatch.setattr(results, "_FEW_ELEMENTS", 0)
    enclosed = symrnn.audit(module, x, **options)
    for one, other in zip(exactly.tensors, enclosed.tensors, strict=True):
        assert one.max_ulps == pytest.approx(other.max_ulps, rel=1e-4)
        assert one.mean_ulps == pytest.approx(other.mean_ulps, rel=1e-4)
        assert one.correctly_rounded == other.correctly_rounded
        assert (one.elements, one.padding) == (other.elements, other.padding)
        assert one.worst.ulps[0] <= other.worst.ulps[1]
    monkeypatch.setattr(results, "_ENCLOSED_WORK", 0)
    skipped = symrnn.audit(module, x, **options)
    assert skipped.passed
    assert any("not compared with their exact values" in n for n in skipped.notes)


def test_overflow_is_right_in_float64_enclosures_too(torch, monkeypatch):
    """Infinity where the exact value rounds to it, and a violation elsewhere."""
    from symrnn.audits import results

    monkeypatch.setattr(results, "_FEW_ELEMENTS", 0)
    outputs = np.array([[INF], [INF]], dtype=np.float16)
    report = symrnn.audit(identity(), [[70000], [65504]], outputs=outputs)
    found = report.tensors[0]
    assert (2, 1, 1) == (found.not_finite, found.overflows, found.violations)
    assert (1,) == found.first_violation.location.index[:1]


@pytest.mark.parametrize("name", ["W", "W_l0"])
def test_the_name_of_a_state_is_a_name(name):
    """A state of a user's cell may be called what torch calls the last c."""
    H = hidden_size
    W, c = matrix("W", H, input_size), quantity("c_n", H)
    equations = {
        c: add(matmul(W, x), previous("c_n", H)),
        quantity("h", H): add(previous("h", H), c),
    }
    cell = Cell.define("mine", parameters=[W], equations=equations)
    net = symrnn.load({name: [[2]]}, cell=cell)
    outputs = {state: np.array([2.0]) for state in cell.states}
    given = [1]
    if not net.single_step:
        given = [[1]]
        outputs = {n: np.array([[2.0]]) for n in ("output", "h_n", "c_n_n")}
    report = symrnn.audit(
        net, given, outputs=tuple(outputs.values()), dtype="float32", exact=True
    )
    assert report.verdict == "holds"
    assert [(t.name, t.max_ulps) for t in report.tensors] == [(n, 0) for n in outputs]
