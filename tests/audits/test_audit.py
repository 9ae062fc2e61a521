# SPDX-License-Identifier: BSD-3-Clause
"""Torch as the subject: honest modules hold, and nothing of torch's is disturbed."""

import json
from fractions import Fraction

import numpy as np
import pytest

import symrnn
from symrnn import ShapeError, SourceError, Tolerance, UnsupportedError
from symrnn.numerics.formats import FORMATS
from tests.require import flushed_subnormals

KINDS = {
    "RNN": {},
    "RNN relu": {"nonlinearity": "relu"},
    "LSTM": {},
    "LSTM projected": {"proj_size": 2},
    "GRU": {},
    "RNNCell": {},
    "RNNCell relu": {"nonlinearity": "relu"},
    "LSTMCell": {},
    "GRUCell": {},
}


def make(torch, kind, dtype="float32", seed=0, **options):
    torch.manual_seed(seed)
    module = getattr(torch.nn, kind.split()[0])(2, 3, **KINDS[kind], **options)
    return module.to(getattr(torch, dtype))


def sample(torch, *shape, dtype="float32"):
    torch.manual_seed(1)
    return torch.randn(*shape, dtype=torch.float64).to(getattr(torch, dtype))


def leaves(results):
    for part in results if isinstance(results, tuple) else (results,):
        if isinstance(part, tuple):
            yield from leaves(part)
        else:
            yield part


@pytest.mark.torch_bits
@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_honest_torch_holds(torch, kind, dtype):
    """Torch's own results are as near as its formats allow, and counted in full."""
    module = make(torch, kind, dtype)
    shape = (4, 2) if kind.split()[0].endswith("Cell") else (5, 4, 2)
    x = sample(torch, *shape, dtype=dtype)
    # Not the default: assert_close's figures are too tight for 16 bits.
    tolerance = Tolerance(0, 2.0 ** (4 - FORMATS[dtype].precision))
    report = symrnn.audit(module, x, tolerance=tolerance)
    assert "holds" == report.verdict
    assert dtype == report.dtype == report.environment.dtype
    with torch.no_grad():
        expected = [tuple(t.shape) for t in leaves(module(x))]
    assert expected == [t.shape for t in report.tensors]
    for tensor in report.tensors:
        assert int(np.prod(tensor.shape)) == tensor.elements
        assert 0 <= tensor.median_ulps <= tensor.max_ulps
        assert tensor.mean_ulps <= tensor.max_ulps
        assert 0 <= tensor.correctly_rounded <= 1


@pytest.mark.torch_bits
@pytest.mark.parametrize("dtype", FORMATS)
def test_figures_are_those_of_a_second_opinion(torch, dtype):
    """Computed by mpmath and fractions, errors and right roundings are the same."""
    module = make(torch, "GRU", dtype, bidirectional=True)
    x = sample(torch, 6, 3, 2, dtype=dtype)
    output = symrnn.audit(module, x).tensors[0]
    trace = symrnn.evaluate(module, x, domain="mp", digits=60)
    with torch.no_grad():
        subject = module(x)[0].double().numpy()
    precision, emin = FORMATS[dtype].precision, FORMATS[dtype].emin
    errors = []
    for row in np.ndindex(subject.shape):
        value = trace.output.tolist()[row[0]][row[1]][row[2]]
        size, power = value.man_exp
        exact = (size if value > 0 else -size) * Fraction(2) ** power
        exponent = max(int(np.floor(np.log2(abs(float(exact))))), emin)
        ulp = Fraction(2) ** (exponent - precision + 1)
        errors.append(abs(Fraction(float(subject[row])) - exact) / ulp)
    assert float(max(errors)) == pytest.approx(output.max_ulps, rel=1e-5)
    mean, median = float(sum(errors) / len(errors)), float(np.median(errors))
    assert (mean, median) == pytest.approx(
        (output.mean_ulps, output.median_ulps), rel=1e-5
    )
    nearest = symrnn.evaluate(module, x).output.nearest(dtype).astype(np.float64)
    assert float(np.mean(nearest == subject)) == output.correctly_rounded


@pytest.mark.torch_bits
@pytest.mark.parametrize("batch_first", [False, True])
def test_stacked_bidirectional_with_states(torch, batch_first):
    """Initial states of every layer and direction reach torch and the equations."""
    module = make(
        torch, "LSTM", num_layers=2, bidirectional=True, batch_first=batch_first
    )
    x = sample(torch, 5, 4, 2)
    batch = 5 if batch_first else 4
    states = sample(torch, 4, batch, 3), sample(torch, 4, batch, 3) / 2
    report = symrnn.audit(module, x, states, tolerance=Tolerance(1e-6, 1e-6))
    assert report.passed
    without = symrnn.audit(
        module,
        x,
        outputs=tuple(leaves(module(x, states))),
        tolerance=Tolerance(1e-6, 1e-6),
    )
    assert "violated" == without.verdict


@pytest.mark.torch_bits
def test_one_sequence_without_batch(torch):
    """Locations then have no batch element."""
    module = make(torch, "GRU", bidirectional=True, batch_first=True)
    x, hx = sample(torch, 5, 2), sample(torch, 2, 3)
    report = symrnn.audit(module, x, hx)
    assert report.passed
    assert report.tensors == symrnn.audit(module, x.tolist(), hx.tolist()).tensors
    assert report.worst.location.batch is None
    assert "batch" not in str(report.worst.location)


@pytest.mark.torch_bits
def test_lengths_run_packed_and_leave_padding_out(torch):
    """Sequences of different lengths hold; padding is not counted, and is not read."""
    module = make(torch, "LSTM", bidirectional=True, batch_first=True)
    x = sample(torch, 3, 6, 2)
    x[1, 2:] = float("nan")
    report = symrnn.audit(module, x, lengths=[5, 2, 5])
    assert report.passed
    output = report.tensors[0]
    assert (12 * 6, 6 * 6) == (output.elements, output.padding)


@pytest.mark.torch_bits
@pytest.mark.parametrize("sort", [False, True])
def test_packed_sequences_of_equal_length(torch, sort):
    """Torch packs equal lengths in an order of its own, and errors are still small."""
    lengths = [5] + [3] * 19 if sort else [3] * 19 + [5]
    x = torch.nn.utils.rnn.pack_padded_sequence(
        sample(torch, 5, 20, 2), lengths, enforce_sorted=sort
    )
    if not sort:
        assert x.sorted_indices.tolist() != [19, *range(19)]
    module = make(torch, "GRU", bidirectional=True)
    report = symrnn.audit(module, x, tolerance=Tolerance(1e-5, 1e-6))
    assert report.passed
    assert (5 + 3 * 19, 6) == report.tensors[0].shape


@pytest.mark.torch_bits
def test_worst_element_is_where_it_says(torch):
    """The number shown is torch's at that index, and the exact value is evaluate's."""
    module = make(torch, "LSTM", num_layers=2, bidirectional=True)
    x = sample(torch, 5, 4, 2)
    report = symrnn.audit(module, x)
    with torch.no_grad():
        output, (h_n, c_n) = module(x)
    subjects = {"output": output, "h_n": h_n, "c_n": c_n}
    trace = symrnn.evaluate(module, x)
    for tensor in report.tensors:
        worst = tensor.worst
        index = worst.location.index
        number = float(subjects[tensor.name][index])
        assert number == float.fromhex(worst.subject_hex)
        assert number == float(np.float32(worst.subject))
        exact = getattr(trace, tensor.name)[index]
        assert exact.decimal(20) == worst.exact
        error = abs(Fraction(number) - Fraction(exact.decimal(40)))
        assert float(error) == pytest.approx(worst.absolute, rel=1e-9)
        assert worst.tolerance is None


@pytest.mark.torch_bits
def test_locations_name_layer_direction_step_and_unit(torch):
    """Rows of h_n are layers and directions; columns of output are directions."""
    module = make(torch, "GRU", num_layers=2, bidirectional=True)
    x, outputs = sample(torch, 5, 4, 2), None
    for name, index, words in [
        ("output", (1, 3, 4), "layer 1, reverse, step 1, batch element 3, unit 1"),
        ("output", (4, 0, 2), "layer 1, forward, step 4, batch element 0, unit 2"),
        ("h_n", (1, 2, 0), "layer 0, reverse, step 0, batch element 2, unit 0"),
        ("h_n", (2, 2, 0), "layer 1, forward, step 4, batch element 2, unit 0"),
    ]:
        with torch.no_grad():
            outputs = module(x)
        outputs[name == "h_n"][index] += 0.01
        report = symrnn.audit(module, x, outputs=outputs)
        assert 1 == sum(t.violations for t in report.tensors)
        assert report.worst == report.first_violation
        assert f"{name}{list(index)} ({words})" == str(report.worst.location)


@pytest.mark.parametrize("grad", [False, True])
def test_grad_mode_is_set_and_recorded(torch, grad):
    """The subject runs in the mode asked for, whatever the caller's."""
    module = make(torch, "LSTM")
    modes = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda *_: modes.append(torch.is_grad_enabled())
    )
    with hook, torch.set_grad_enabled(not grad):
        report = symrnn.audit(module, sample(torch, 5, 2), grad=grad)
        assert (not grad) is torch.is_grad_enabled()
    assert [grad] == modes
    assert ("grad" if grad else "no_grad") == report.environment.grad_mode


def test_environment_is_what_torch_says(torch):
    """Whoever repeats the run knows version, threads, device and instructions."""
    found = symrnn.audit(make(torch, "GRU"), sample(torch, 5, 2)).environment
    assert (symrnn.__version__, torch.__version__) == (found.symrnn, found.torch)
    assert torch.get_num_threads() == found.threads
    assert torch.backends.cpu.get_cpu_capability() == found.cpu_capability
    assert ("cpu", False) == (found.device, found.flushes_subnormals)
    with torch.inference_mode():
        found = symrnn.audit(make(torch, "GRU"), sample(torch, 5, 2)).environment
    assert "inference_mode" == found.grad_mode


def test_flushed_subnormals_are_recorded(torch):
    """A thread that flushes subnormals to zero computes something else."""
    with flushed_subnormals(torch):
        report = symrnn.audit(make(torch, "GRU"), sample(torch, 5, 2))
    assert report.environment.flushes_subnormals


def test_torch_and_module_are_left_alone(torch):
    """Modes, dtype, threads, random numbers, weights and gradients stay."""
    module = make(torch, "LSTM")
    module.train()
    module.weight_ih_l0.requires_grad_(False)

    def state():
        return (
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.random.get_rng_state().tolist(),
            module.training,
            [(p.requires_grad, p.grad, p.tolist()) for p in module.parameters()],
            [id(p) for p in module.parameters()],
            sorted(vars(module)),
        )

    before = state()
    for grad in (False, True):
        symrnn.audit(module, [["0.1", "1/3"]] * 5, grad=grad)
    assert before == state()


def test_default_device_and_dtype_do_not_matter(torch):
    """The module's own device and dtype decide."""
    module = make(torch, "GRU")
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            report = symrnn.audit(module, [[0.1, 0.2]], [[0.5, 0.25, 0.1]])
    finally:
        torch.set_default_dtype(torch.float32)
    assert report.passed
    assert ("float32", "cpu") == (report.dtype, report.environment.device)


@pytest.mark.torch_bits
def test_rounded_inputs_are_reported_and_judged_as_seen(torch):
    """Decimals are rounded to the module's dtype; the exact values are of those."""
    module = make(torch, "RNN", "bfloat16")
    report = symrnn.audit(module, [["0.1", 0.5]], [["1/3", 1, 2]])
    assert report.passed
    x, hx = report.notes
    assert "x: 1 of 2 numbers were rounded to bfloat16" in x
    assert "from 0.1 to 0.10009765625" in x or "from 1/10 to 0.10009765625" in x
    assert "hx h: 1 of 3 numbers were rounded" in hx
    seen = symrnn.evaluate(module, [[0.10009765625, 0.5]], [[0.333984375, 1, 2]])
    index = report.tensors[0].worst.location.index
    assert seen.output[index].decimal(20) == report.tensors[0].worst.exact


def test_numbers_of_the_dtype_are_not_called_rounded(torch):
    """float64 arrays that hold float32 numbers change nothing."""
    module = make(torch, "RNN")
    x = sample(torch, 5, 2).numpy().astype(np.float64)
    assert () == symrnn.audit(module, x).notes


@pytest.mark.parametrize(
    ("kind", "x", "hx"),
    [
        ("GRUCell", (2,), (1, 3)),
        ("LSTMCell", (2,), (1, 3)),
        ("GRUCell", (1, 2), (3,)),
        ("GRU", (5, 2), (1, 1, 3)),
        ("GRU", (5, 1, 2), (1, 3)),
        ("GRU", (5, 4, 2), (1, 1, 3)),
        ("GRU", (5, 4, 3), (1, 4, 3)),
        ("GRU", (0, 4, 2), (1, 4, 3)),
    ],
)
def test_wrong_shapes_never_reach_torch(torch, kind, x, hx):
    """Some of them end the process in torch: a cell with 1-D input and 2-D state."""
    calls = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda *_: calls.append(1)
    )
    states = torch.zeros(hx)
    if kind.startswith("LSTM"):
        states = states, states
    with hook, pytest.raises(ShapeError):
        symrnn.audit(make(torch, kind), torch.zeros(x), states)
    assert [] == calls


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int64"])
@pytest.mark.parametrize("what", ["x", "hx", "packed"])
def test_tensor_of_another_dtype_is_refused(torch, what, dtype):
    """Torch would refuse it too, or not; the message says how to convert."""
    x, hx = torch.zeros(5, 2), torch.zeros(1, 3)
    if what == "hx":
        hx = hx.to(getattr(torch, dtype))
    else:
        x = x.to(getattr(torch, dtype))
    if what == "packed":
        x, hx = torch.nn.utils.rnn.pack_sequence([x]), torch.zeros(1, 1, 3)
    name = "hx" if what == "hx" else "x"
    with pytest.raises(UnsupportedError, match=rf"^{name} is .*\.to\(torch.float32\)"):
        symrnn.audit(make(torch, "GRU"), x, hx)


def test_tensors_without_storage_are_refused(torch):
    """Sparse and meta tensors give no numbers to judge."""
    module = make(torch, "GRU")
    for x in (torch.zeros(5, 2).to_sparse(), torch.zeros(5, 2, device="meta")):
        with pytest.raises(UnsupportedError, match="without plain storage"):
            symrnn.audit(module, x)
        with pytest.raises(UnsupportedError, match="without plain storage"):
            symrnn.audit(module, torch.zeros(5, 2), outputs=x, dtype="float32")


def test_dropout_in_training_mode_is_refused(torch):
    """A random subject has no exact values."""
    module = make(torch, "LSTM", num_layers=2, dropout=0.5)
    with pytest.raises(UnsupportedError, match="dropout"):
        symrnn.audit(module, sample(torch, 5, 2))
    assert symrnn.audit(module.eval(), sample(torch, 5, 2)).passed


def test_autocast_is_refused(torch):
    """It returns another format than the module's."""
    module, x = make(torch, "LSTM"), sample(torch, 5, 2)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    with autocast, pytest.raises(UnsupportedError, match="autocast"):
        symrnn.audit(module, x)


@pytest.mark.torch_bits
def test_module_inside_a_model(torch):
    """prefix= chooses it; without, the choices are listed."""
    model = torch.nn.ModuleDict({"a": make(torch, "GRU"), "b": make(torch, "LSTM")})
    x = sample(torch, 5, 2)
    report = symrnn.audit(model, x, prefix="b")
    assert ("output", "h_n", "c_n") == tuple(t.name for t in report.tensors)
    with pytest.raises(SourceError, match="a, b"):
        symrnn.audit(model, x)


def test_what_cannot_be_run_needs_outputs(torch):
    """A state_dict has no subject in it."""
    with pytest.raises(SourceError, match="outputs="):
        symrnn.audit(make(torch, "GRU").state_dict(), sample(torch, 5, 2))


def test_dtype_of_a_module_is_its_own(torch):
    """dtype= is for given outputs; it converts no module."""
    module, x = make(torch, "GRU"), sample(torch, 5, 2)
    assert symrnn.audit(module, x, dtype=torch.float32).passed
    with pytest.raises(SourceError, match="float32, not in bfloat16"):
        symrnn.audit(module, x, dtype="bfloat16")


def test_empty_batch_holds_and_says_so(torch):
    """Torch returns empty results, and nothing of them is wrong."""
    for kind, shape in (("LSTM", (5, 0, 2)), ("GRUCell", (0, 2))):
        report = symrnn.audit(make(torch, kind), torch.zeros(shape))
        assert report.passed
        assert report.worst is None
        assert [0] * len(report.tensors) == [t.elements for t in report.tensors]
        assert any("0 elements" in note for note in report.notes)
    with pytest.raises(UnsupportedError, match="torch refused"):
        symrnn.audit(make(torch, "LSTM"), torch.zeros(5, 0, 2), lengths=[])


@pytest.mark.torch_bits
def test_forward_hook_that_changes_outputs_is_found(torch):
    """The subject is what the caller would get, hooks included."""
    module = make(torch, "GRUCell")
    module.register_forward_hook(lambda module, args, output: output + 0.5)
    assert "violated" == symrnn.audit(module, sample(torch, 4, 2)).verdict


def test_report_as_json(torch):
    """Plain data with a schema, without what JSON has no word for."""
    report = symrnn.audit(make(torch, "LSTM"), sample(torch, 5, 2))
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert "symrnn.audit/2" == data["schema"]
    assert (True, "holds") == (data["passed"], data["verdict"])
    assert report.tensors[2].max_ulps == data["tensors"][2]["max_ulps"]
    layer = data["layers"][0]
    assert report.layers[0].worst.location.unit == layer["worst"]["location"]["unit"]
    assert 5 == len(layer["error_by_step"])
    assert "float32" == data["arithmetic"]["accumulate"]
    assert {"proven", "measured", "assumed"} == {
        statement["kind"] for statement in data["statements"]
    }


@pytest.mark.torch_bits
def test_report_as_text(torch):
    """The page says what was judged, by what, and what is only assumed."""
    report = symrnn.audit(make(torch, "LSTM"), sample(torch, 5, 2))
    text = str(report)
    for expected in (
        "explained by rounding: every one of 21 states is within its proven bound",
        str(report.worst.location),
        report.worst.subject_hex,
        report.tensors[0].name,
        f"torch {torch.__version__}",
        "grad_mode no_grad",
    ):
        assert expected in text
