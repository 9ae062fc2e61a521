# SPDX-License-Identifier: BSD-3-Clause
"""torch's kernels are told apart and measured on their own paths; figures reach the audit."""

import inspect
import json
import math
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import symrnn
from symrnn.cli import main
from symrnn.cli.calibrate import calibrate as command
from symrnn.domains.activation_errors import assumed_errors
from symrnn.errors import SourceError, UnsupportedError
from symrnn.kernels.activation_cache import find_errors, save_errors
from symrnn.kernels.calibration import _elementwise_paths, _environment, _layer_paths
from symrnn.kernels.environment import kernels_of, layer_kernel, onednn_enabled
from symrnn.kernels.error_profiles import reference_of
from symrnn.numerics.formats import FORMATS
from tests.require import flushed_subnormals, lack

FLOAT32 = FORMATS["float32"]
ARGUMENTS = np.random.default_rng(7).normal(size=5000).astype(np.float32) * 8.0


@pytest.fixture(scope="module", autouse=True)
def few_where_little_happens():
    """Take less of the float32 numbers for which a function is its argument, or constant.

    They are most of all numbers that are tried, and no test is about them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[reference_of.__module__], "_SPARSE", 509 * 16)
        yield


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMRNN_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def measured(tmp_path_factory, few_where_little_happens):
    """What a quick calibration of everything finds."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMRNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return symrnn.calibrate(exhaustive=False)


def run(*arguments: str):
    return CliRunner().invoke(main, ["calibrate", *arguments], catch_exceptions=False)


# --- paths --------------------------------------------------------------------------


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_tail_path_is_that_of_short_tensors(torch, name, function):
    """Elements alone, and those at the end of a long tensor, are computed like it."""
    dtype = getattr(torch, name)
    x = torch.tensor(ARGUMENTS[:1009], dtype=dtype)
    apply = getattr(torch, function)
    tail = _elementwise_paths(function, FORMATS[name])["tail"](x.double().numpy())
    alone = torch.cat([apply(x[k : k + 1].clone()) for k in range(len(x))])
    assert np.array_equal(tail, alone.double().numpy())
    assert tail[-1] == apply(x)[-1].double()  # 1009 is a multiple of no register


@pytest.mark.torch_bits
@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_every_gate_applies_the_same_function(torch, function):
    """What one gate of a float32 layer shows, the others show too, whatever the size."""
    x = ARGUMENTS.astype(np.float64)
    seen = [path(x) for path in _layer_paths(function, FLOAT32).values()]
    assert np.array_equal(seen[0], seen[1])
    assert np.abs(seen[0] - reference_of(function, FLOAT32)(x).value).max() < 1e-6


@pytest.mark.torch_bits
def test_layer_shows_the_function_of_any_other_layer(torch):
    """One unit, one sequence, many steps: c = sigmoid(x)·1 is what was measured."""
    x = ARGUMENTS[:64]
    layer = torch.nn.LSTM(1, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_ih_l0[0] = 1.0
        layer.bias_ih_l0[1:] = torch.tensor([-200.0, 60.0, 60.0])
        h = layer(torch.tensor(x).reshape(-1, 1))[0].reshape(-1).double().numpy()
        sigmoid = _layer_paths("sigmoid", FLOAT32)["gate i"](x.astype(np.float64))
        wanted = _layer_paths("tanh", FLOAT32)["cell state"](sigmoid)
    assert np.array_equal(h, wanted)


def observe(torch, module, *arguments, grad: bool) -> str:
    """Return which kernel torch really calls."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.add(str(function))
            return function(*args, **(kwargs or {}))

    with torch.set_grad_enabled(grad), Watch():
        module(*arguments)
    return (
        "lstm/onednn" if any("mkldnn_rnn" in name for name in seen) else "elementwise"
    )


@pytest.mark.torch_bits
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize(
    "kind", ["RNN", "LSTM", "GRU", "LSTMCell", "projected", "packed", "disabled"]
)
def test_kernel_is_the_one_that_torch_calls(torch, kind, name, grad, monkeypatch):
    """The rule against the calls that torch dispatches."""
    dtype = getattr(torch, name)
    cells = {"RNN": "rnn_tanh", "GRU": "gru"}
    options = {"proj_size": 2} if kind == "projected" else {}
    module_name = kind if kind in cells or kind == "LSTMCell" else "LSTM"
    module = getattr(torch.nn, module_name)(3, 4, dtype=dtype, **options)
    x = (
        torch.ones(2, 3, dtype=dtype)
        if kind == "LSTMCell"
        else torch.ones(5, 2, 3).to(dtype)
    )
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", kind != "disabled")
    if kind == "packed":
        x = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 3])
    expected = layer_kernel(
        cells.get(kind, "lstm"),
        FORMATS[name],
        grad=grad,
        onednn=onednn_enabled(),
        single_step=kind == "LSTMCell",
        projected=kind == "projected",
        packed=kind == "packed",
    )
    assert observe(torch, module, x, grad=grad) == expected


# --- figures ------------------------------------------------------------------------


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_figures_of_16_bits_hold_for_every_number(torch, measured, name):
    """Each result of torch is within `bound` at its argument alone, and one attains it."""
    target = FORMATS[name]
    dtype = getattr(torch, name)
    bits = torch.arange(-(1 << 15), 1 << 15).to(torch.int16)
    x = bits.view(dtype)
    x = x[torch.isfinite(x)]
    given = x.double().numpy()
    for errors in measured:
        if (errors.kernel, errors.format) != ("elementwise", target):
            continue
        value, _, error = reference_of(errors.function, target)(given)
        apart = np.abs(getattr(torch, errors.function)(x).double().numpy() - value)
        bound = errors.bound(given, np.zeros_like(given), np.abs(value) + error)
        assert (apart <= bound + error).all()
        assert (apart[bound > 0] / bound[bound > 0]).max() > 0.99


@pytest.mark.torch_bits
def test_bfloat16_sigmoid_is_24_ulps_off_where_the_exponential_overflows(
    torch, measured
):
    """At -89: e^89 is beyond float32, so torch has 0 for a subnormal number."""
    assert torch.sigmoid(torch.tensor(-89.0, dtype=torch.bfloat16)).item() == 0.0
    wanted = ("sigmoid", FORMATS["bfloat16"], "elementwise")
    [errors] = [e for e in measured if (e.function, e.format, e.kernel) == wanted]
    assert errors.peak < 0.51
    assert float.fromhex(errors.worst_underflow.argument) == -89.0
    exact = math.exp(-89) / (1 + math.exp(-89))
    assert errors.worst_underflow.ulps == pytest.approx(exact / 2.0**-133, rel=1e-9)
    assert errors.underflow == pytest.approx(exact, rel=1e-9)


@pytest.mark.torch_bits
def test_assumptions_cover_what_is_measured(measured):
    """Without a calibration the bound is larger than with one, of every kernel."""
    for errors in measured:
        assumed = assumed_errors(errors.function, errors.format, kernel=errors.kernel)
        assert (errors.profile <= assumed.profile).all(), errors.describe()
        assert errors.underflow <= assumed.underflow, errors.describe()
        assert 0.49 < errors.peak


@pytest.mark.torch_bits
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("function", ["tanh", "sigmoid"])
def test_onednn_figures_hold_for_arguments_between_the_numbers(
    torch, measured, name, function
):
    """A sum of three terms is a gate's argument to float32, and is not rounded to 16 bits."""
    target = FORMATS[name]
    if "lstm/onednn" not in kernels_of(target):
        lack(f"oneDNN has no LSTM of {name} for this processor")
    dtype = getattr(torch, name)
    given = torch.tensor(ARGUMENTS[:4096]).double().clamp(-12, 12).reshape(-1, 16)
    parts = []
    for _ in range(3):
        parts.append((given - sum(p.double() for p in parts)).to(dtype))
    exact = sum(p.double() for p in parts).numpy()
    layer = torch.nn.LSTM(48, 16, dtype=dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        first, other = (0, 32) if function == "sigmoid" else (32, 0)
        layer.weight_ih_l0[first : first + 16] = torch.eye(16).repeat(1, 3).to(dtype)
        layer.bias_ih_l0[other : other + 16] = 60.0
        c = layer(torch.cat(parts, 1)[None])[1][1][0].double().numpy()
    value, _, error = reference_of(function, FLOAT32)(exact)
    wanted = (function, target, "lstm/onednn")
    [errors] = [e for e in measured if (e.function, e.format, e.kernel) == wanted]
    bound = errors.bound(exact, np.abs(exact) * 2.0**-24, np.abs(value) + error)
    # The sum itself is exact in float32, or off by its last bit.
    assert (np.abs(c - value) <= bound + error + np.abs(exact) * 2.0**-24).all()


@pytest.mark.torch_bits
def test_figures_are_found_by_an_audit(torch, measured):
    """Before: assumed. After: what was measured, for this environment alone."""
    before = find_errors("tanh", FORMATS["float16"], _environment(FORMATS["float16"]))
    for errors in measured:
        save_errors(errors)
    after = find_errors("tanh", FORMATS["float16"], _environment(FORMATS["float16"]))
    assert (before.provenance, after.provenance) == ("assumed", "measured exhaustively")


def test_subnormals_that_are_flushed_are_refused(torch):
    """No bound can be proven in arithmetic that flushes."""
    with flushed_subnormals(torch), pytest.raises(UnsupportedError, match="subnormal"):
        symrnn.calibrate(formats="float16")


@pytest.mark.torch_bits
@pytest.mark.slow
def test_all_float32_tanh(torch):
    """The figure of the documentation, in a minute: below 0.57 ulps elementwise."""
    done = []
    found = symrnn.calibrate(
        functions="tanh", formats="float32", progress=lambda *seen: done.append(seen)
    )
    assert found[0].arguments > 1.3e8 * 2
    assert 0.5 < found[0].peak < 1.0
    assert sum(count for title, count, _ in done if "elementwise" in title) == (
        found[0].arguments
    )


# --- anybody's function -------------------------------------------------------------


def test_a_callable_of_numpy_arrays_is_measured():
    """It gets arrays of the format, and its worst argument is named."""
    kinds = set()

    def rational_tanh(x):
        kinds.add(x.dtype.name)
        wide = x.astype(np.float64).clip(-3, 3)
        return (wide * (27 + wide**2) / (27 + 9 * wide**2)).astype(x.dtype)

    [half, brain] = symrnn.calibrate(
        rational_tanh, functions="tanh", formats=["float16", "bfloat16"]
    )
    assert kinds == {"float16", "float32"}
    assert (half.kernel, half.provenance) == ("rational_tanh", "measured exhaustively")
    worst = abs(float.fromhex(half.worst.argument))
    off = abs(worst * (27 + worst**2) / (27 + 9 * worst**2) - math.tanh(worst))
    assert half.worst.ulps == pytest.approx(off / 2.0**-11, abs=1)
    assert half.peak > 4 * brain.peak


@pytest.mark.parametrize(
    ("activation", "options", "message"),
    [
        (
            lambda x: x[:-1],
            {"functions": "tanh", "formats": "float16"},
            "as many results",
        ),
        (np.tanh, {"formats": "float16"}, "which function"),
        (np.tanh, {"functions": "softsign"}, "softsign"),
        (np.tanh, {"functions": "tanh", "formats": "float7"}, "float7"),
    ],
)
def test_misuse_is_explained(activation, options, message):
    """Each says what is wrong with it."""
    with pytest.raises(SourceError, match=message):
        symrnn.calibrate(activation, **options)


def test_torch_has_no_errors_of_relu(torch):
    """A comparison is refused, with the reason."""
    with pytest.raises(UnsupportedError, match="exact"):
        symrnn.calibrate(functions="relu")


# --- the command --------------------------------------------------------------------


@pytest.mark.torch_bits
def test_command_prints_a_table_and_keeps_the_figures(torch, cache):
    """A line for each kernel, with the worst argument; a file for each."""
    result = run("--format", "float16", "--function", "tanh", "--quick")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split() == [
        *("function", "format", "kernel", "ulps", "at", "underflow", "arguments")
    ]
    assert lines[1].split()[:4] == ["tanh", "float16", "elementwise", "0.4999"]
    assert lines[-1] == f"kept in {cache}"
    kernels = kernels_of(FORMATS["float16"])
    assert len(list((cache / "activations").glob("tanh-float16-*.json"))) == len(
        kernels
    )


def test_command_offers_what_is_measured_by_default():
    """The help cannot ask the library, which takes seconds to import."""
    defaults = inspect.signature(symrnn.calibrate).parameters
    offered = {option.name: option.type for option in command.params}
    for name in ("functions", "formats"):
        assert set(defaults[name].default) == set(offered[name].choices)


@pytest.mark.torch_bits
def test_command_writes_json(torch):
    """The same figures, with their provenance."""
    result = run("--format", "bfloat16", "--function", "sigmoid", "--quick", "--json")
    content = json.loads(result.stdout)
    first = content["activations"][0]
    assert content["schema"] == "symrnn.calibrate/1"
    assert (first["function"], first["format"]) == ("sigmoid", "bfloat16")
    assert first["worst_underflow"]["argument"] == (-89.0).hex()


def test_command_refuses_what_there_is_not():
    """Exit code 2 for a format nobody has measured."""
    assert run("--format", "float8").exit_code == 2
