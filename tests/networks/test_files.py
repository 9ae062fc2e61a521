# SPDX-License-Identifier: BSD-3-Clause
"""Files are read exactly, and never run."""

import json
import os
import pickle
import sys
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symrnn.errors import ShapeError, SourceError, UnsupportedError
from symrnn.networks.sources import load
from tests.require import require_module

torch = require_module("torch")
yaml = require_module("yaml")
safetensors_torch = require_module("safetensors.torch")
safetensors_numpy = require_module("safetensors.numpy")

JSON = '{"cell": "rnn_tanh", "parameters": {"weight_ih_l0": %s, "weight_hh_l0": [[1]]}}'
YAML = "cell: rnn_tanh\nparameters:\n  weight_ih_l0: %s\n  weight_hh_l0: [[1]]\n"


def gru(dtype=torch.float32):
    torch.manual_seed(2)
    return torch.nn.GRU(2, 3, num_layers=2, bidirectional=True, dtype=dtype)


def assert_same(expected, actual):
    assert expected.cell == actual.cell
    assert expected.dtype == actual.dtype
    for position, arrays in expected.parameters.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, actual.parameters[position][name])


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


# --- each kind of file --------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".PT"])
def test_torch_files(tmp_path, suffix, dtype):
    """Every bit of a saved state_dict comes back, in every float format."""
    module = gru(getattr(torch, dtype))
    path = tmp_path / f"net{suffix}"
    if suffix == ".safetensors":
        safetensors_torch.save_file(module.state_dict(), path)
    else:
        torch.save(module.state_dict(), path)
    assert_same(load(module), load(path))
    assert_same(load(module), load(str(path)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_npz(tmp_path, dtype):
    """NumPy's archives are read, compressed or not."""
    state = {k: v.numpy().astype(dtype) for k, v in gru().state_dict().items()}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "net.npz", **state)
        assert_same(load(state), load(tmp_path / "net.npz"))


def test_safetensors_without_torch(tmp_path, monkeypatch):
    """bfloat16 needs torch, other formats do not."""
    state = {k: v.numpy() for k, v in gru().state_dict().items()}
    safetensors_numpy.save_file(state, tmp_path / "plain.safetensors")
    safetensors_torch.save_file(
        gru(torch.bfloat16).state_dict(), tmp_path / "bf16.safetensors"
    )
    monkeypatch.setitem(sys.modules, "torch", None)  # as if not installed
    assert_same(load(state), load(tmp_path / "plain.safetensors"))
    with pytest.raises(UnsupportedError, match=r"bfloat16 needs the package torch"):
        load(tmp_path / "bf16.safetensors")


def test_checkpoint_with_prefix(tmp_path):
    """Options apply to what is in the file."""
    model = torch.nn.ModuleDict({"a": torch.nn.LSTM(2, 3), "b": torch.nn.GRU(2, 3)})
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": model.state_dict(), "epoch": 7}, path)
    assert "GRU" == load(path, prefix="b").cell.name
    with pytest.raises(SourceError, match=r"checkpoint\.pt: .* prefix=: 'a\.', 'b\.'$"):
        load(path)


DOCUMENT = {
    "description": "the worked example",
    "cell": "lstm",
    "batch_first": True,
    "single_step": False,
    "dtype": "float32",
    "prefix": "rnn.",
    "parameters": {
        "rnn.weight_ih_l0": [["-0.8769", "1/3"]] * 4,
        "rnn.weight_hh_l0": [[0.1]] * 4,
        "fc.weight": [[1]],
    },
}


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_documents(tmp_path, suffix):
    """Text files say what the arrays alone do not; a caller's option comes first."""
    dump = json.dumps if suffix == "json" else yaml.safe_dump
    path = write(tmp_path / f"net.{suffix}", dump(json.loads(json.dumps(DOCUMENT))))
    net = load(path)
    assert ("LSTM", True, "float32") == (net.cell.name, net.batch_first, net.dtype)
    parameters = net.parameters[0, "forward"]
    assert [[Fraction(-8769, 10000), Fraction(1, 3)]] == parameters["W_ig"].tolist()
    assert [[Fraction(1, 10)]] == parameters["W_hg"].tolist()
    assert not load(path, batch_first=False).batch_first
    assert "float16" == load(path, dtype="float16").dtype


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_flat_text(tmp_path, suffix):
    """A mapping of arrays alone is enough where the cell is clear."""
    text = json.dumps({"weight_ih": [[0.1]] * 4, "weight_hh": [[2]] * 4})
    net = load(write(tmp_path / f"net.{suffix}", text))
    assert ("LSTM", True, None) == (net.cell.name, net.single_step, net.dtype)
    assert [[Fraction(1, 10)]] == net.parameters[0, "forward"]["W_if"].tolist()


def test_document_in_memory():
    """The same document can be passed as a mapping."""
    assert "LSTM" == load(DOCUMENT).cell.name


@pytest.mark.parametrize("suffix", ["json", "yaml"])
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"batchfirst": True},
            "unknown entry 'batchfirst'; there are batch_first, cell",
        ),
        ({"batch_first": "no"}, "batch_first must be True or False"),
        ({"cell": ["lstm"]}, "cell must be a cell's name"),
        ({"parameters": [[1]]}, "'parameters' must map names to arrays"),
    ],
)
def test_wrong_documents(tmp_path, suffix, entries, message):
    """A misspelt or meaningless entry is an error, not ignored."""
    document = {"parameters": {"weight_ih": [[1]] * 4, "weight_hh": [[1]] * 4}}
    path = write(tmp_path / f"net.{suffix}", json.dumps(document | entries))
    with pytest.raises(SourceError, match=rf"net\.{suffix}: .*{message}"):
        load(path)


# --- numbers as written -------------------------------------------------------------


def first_number(path):
    return load(path).parameters[0, "forward"]["W_ih"].tolist()[0][0]


decimals = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9
)


@given(value=decimals, quoted=st.booleans(), suffix=st.sampled_from(["json", "yaml"]))
def test_decimals_are_taken_as_written(tmp_path_factory, value, quoted, suffix):
    """A decimal in the text is that rational number, quoted or not."""
    written = f'"{value}"' if quoted else f"{value}"
    template = JSON if suffix == "json" else YAML
    path = tmp_path_factory.getbasetemp() / f"decimals.{suffix}"
    write(path, template % f"[[{written}]]")
    assert Fraction(value) == first_number(path)


@given(a=st.integers(-(10**30), 10**30), b=st.integers(1, 10**30))
def test_ratios_are_taken_as_written(tmp_path_factory, a, b):
    """So is a ratio in a string."""
    path = tmp_path_factory.getbasetemp() / "ratios.json"
    write(path, JSON % f'[["{a}/{b}"]]')
    assert Fraction(a, b) == first_number(path)


@pytest.mark.parametrize(
    "text", ["0.1", "1e-3", "-12", "1.5E+2", "123456789012345678901"]
)
def test_numbers_are_not_doubles(tmp_path, text):
    """Plain numbers in JSON and YAML do not pass through binary floats."""
    assert Fraction(Decimal(text)) == first_number(
        write(tmp_path / "a.json", JSON % f"[[{text}]]")
    )
    assert Fraction(Decimal(text)) == first_number(
        write(tmp_path / "a.yaml", YAML % f"[[{text}]]")
    )


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e99999", "null", '"x"'])
def test_json_without_a_number(tmp_path, text):
    """What is no finite number is refused in one line that names the file."""
    path = write(tmp_path / "a.json", JSON % f"[[{text}]]")
    with pytest.raises(SourceError, match=r"a\.json: .*is not a finite number") as info:
        load(path)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "text", [".nan", "-.inf", "1_000.5", "0x1F", "1:30", "2001-01-01", "~"]
)
def test_yaml_without_a_number(tmp_path, text):
    """YAML's other ways to write a number are refused, not guessed."""
    path = write(tmp_path / "a.yaml", YAML % f"[[{text}]]")
    with pytest.raises(SourceError, match=r"a\.yaml: .*is not a finite number"):
        load(path)


def test_yaml_leading_zero_is_decimal(tmp_path):
    """010 is ten, as it reads; YAML 1.1 would make it eight."""
    assert 10 == first_number(write(tmp_path / "a.yaml", YAML % "[[010]]"))


# --- hostile and broken files -------------------------------------------------------


class Trap:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npz"])
def test_pickles_are_not_run(tmp_path, suffix):
    """A malicious pickle is refused before anything of it runs."""
    trap, path = tmp_path / "sprung", tmp_path / f"net{suffix}"
    contents = {"weight_ih_l0": Trap(trap)}
    if suffix == ".npz":
        np.savez(path, weight_ih_l0=np.array([Trap(trap)], dtype=object))
    else:
        torch.save(contents, path)
    with pytest.raises(SourceError, match=f"net{suffix}: "):
        load(path)
    path.write_bytes(pickle.dumps(contents))
    with pytest.raises(SourceError, match=f"net{suffix}: "):
        load(path)
    assert not trap.exists()


def test_pickled_module(tmp_path):
    """A whole module in a .pt is refused with what to do."""
    torch.save(gru(), tmp_path / "net.pt")
    with pytest.raises(SourceError, match=r"net\.pt: .*save model\.state_dict\(\)"):
        load(tmp_path / "net.pt")


def test_scripted_file(tmp_path):
    """A TorchScript archive is refused with what to do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        torch.jit.script(gru()).save(tmp_path / "net.pt")
        with pytest.raises(SourceError, match=r"net\.pt: is a TorchScript archive"):
            load(tmp_path / "net.pt")


def test_yaml_objects_are_not_made(tmp_path):
    """A tag that would call a function is refused."""
    trap = tmp_path / "sprung"
    path = write(tmp_path / "a.yaml", f"!!python/object/apply:os.mkdir ['{trap}']")
    with pytest.raises(
        SourceError, match=r"a\.yaml: .*could not determine a constructor"
    ):
        load(path)
    assert not trap.exists()


def test_yaml_aliases(tmp_path):
    """A few lines cannot stand for billions of numbers."""
    lines = [
        "a0: &a0 [1, 1]",
        *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)),
    ]
    path = write(tmp_path / "a.yaml", "\n".join([*lines, "weight_ih_l0: *a39"]))
    with pytest.raises(SourceError, match=r"a\.yaml: YAML aliases are not read"):
        load(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"weight_ih": [[1]], "weight_ih": [[2]]}'),
        ("a.yaml", "weight_ih: [[1]]\nweight_ih: [[2]]\n"),
    ],
)
def test_duplicate_keys(tmp_path, name, text):
    """The last of two equal keys does not win in silence."""
    with pytest.raises(SourceError, match=f"{name}: the key 'weight_ih' occurs twice"):
        load(write(tmp_path / name, text))


@pytest.mark.parametrize(
    "suffix", [".pt", ".pth", ".safetensors", ".npz", ".json", ".yaml", ".yml"]
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage: [",
        b"PK\x03\x04 no zip",
        b"\x80\x02}q\x00.",
        b"[" * 20_000,
        b"[1, 2]",
        b"\xff\xfe\x00",
        b"\x80\x04\x95",
        (1 << 60).to_bytes(8, "little") + b"{}",
    ],
)
def test_malformed_files(tmp_path, suffix, content):
    """Any bytes under any suffix give one line that names the file."""
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"net\{suffix}: ") as info:
        load(path)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".npz", ".json"])
def test_truncated_files(tmp_path, suffix):
    """A file that was cut off is malformed at every length."""
    state, path = gru().state_dict(), tmp_path / f"net{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    elif suffix == ".safetensors":
        safetensors_torch.save_file(state, path)
    elif suffix == ".npz":
        np.savez(path, **{k: v.numpy() for k, v in state.items()})
    else:
        path.write_text(json.dumps({k: v.tolist() for k, v in state.items()}))
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 23):
        path.write_bytes(content[:size])
        with pytest.raises(SourceError, match=rf"net\{suffix}: "):
            load(path)


def test_missing_files_and_unknown_suffixes(tmp_path):
    """Messages name the file, and list what symrnn reads."""
    with pytest.raises(SourceError, match=r"no\.pt: there is no such file$"):
        load(tmp_path / "no.pt")
    with pytest.raises(SourceError, match=r"'\.bin'; symrnn reads \.pt, \.pth, \.safe"):
        load(tmp_path / "no.bin")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(SourceError, match=r"folder\.json: cannot be read"):
        load(tmp_path / "folder.json")


def test_single_array(tmp_path):
    """An array without a name is no network."""
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(SourceError, match="holds a single array"):
        load(tmp_path / "a.npz")
    torch.save(torch.ones(3), tmp_path / "a.pt")
    with pytest.raises(SourceError, match=r"expected a mapping .* found Tensor"):
        load(tmp_path / "a.pt")


def test_shape_errors_name_the_file(tmp_path):
    """The kind of an error is kept."""
    path = write(tmp_path / "a.json", JSON % "[[1], [2, 3]]")
    with pytest.raises(
        ShapeError, match=r"a\.json: weight_ih_l0: nested lists are ragged"
    ):
        load(path)


# --- missing packages ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("a.pt", "torch", "torch"),
        ("a.safetensors", "safetensors", "files"),
        ("a.yaml", "yaml", "files"),
    ],
)
def test_missing_packages(tmp_path, monkeypatch, name, package, extra):
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    path = write(tmp_path / name, "{}")
    with pytest.raises(
        UnsupportedError,
        match=rf"{name}: needs the package {package}; pip install 'symrnn\[{extra}\]'",
    ):
        load(path)
