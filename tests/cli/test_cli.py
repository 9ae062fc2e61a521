# SPDX-License-Identifier: BSD-3-Clause
"""The command line: what it prints, its exit codes, and that bad input is one line."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import symrnn
from symrnn.cli import main
from symrnn.errors import SourceError, UnsupportedError
from symrnn.networks.sources.inputs import read_arrays, read_json
from symrnn.networks.sources.modules import to_torch

MODEL = {
    "cell": "rnn_tanh",
    "parameters": {"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [["-0.8218"]]},
}
LSTM = {
    "cell": "lstm",
    "parameters": {"weight_ih_l0": [["0.5"]] * 4, "weight_hh_l0": [["-0.25"]] * 4},
}
FOUR = [["-0.9897"], ["-0.9909"], ["-0.9984"]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current directory with model.json, lstm.json and x.json."""
    monkeypatch.chdir(tmp_path)
    Path("model.json").write_text(json.dumps(MODEL))
    Path("lstm.json").write_text(json.dumps(LSTM))
    Path("x.json").write_text("[[3], [4], [5]]")
    return tmp_path


def run(*arguments: str, stdin: str | bytes | None = None):
    """Run a command in this process; an exception that it lets out is raised here."""
    return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)


def run_apart(*arguments: str, code: str = "from symrnn.cli import main; main()"):
    """Run a command in a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# --- evaluate -----------------------------------------------------------------------


def test_evaluate_prints_the_digits_of_the_api(folder):
    """A table holds what `symrnn.evaluate` gives, to 30 digits if nothing is said."""
    net = symrnn.load(MODEL)
    wanted = symrnn.evaluate(net, [[3], [4], [5]]).output.decimal(30)
    result = run("evaluate", "model.json", "-i", "x.json")
    lines = [f"  [{i}]  {row[0]}" for i, row in enumerate(wanted)]
    assert "\n".join(["output, shape (3, 1)", *lines, ""]) == result.stdout
    assert (0, "") == (result.exit_code, result.stderr)


def test_evaluate_writes_json_and_csv(folder):
    """Both hold decimal strings of the results that were asked for."""
    options = ("--places", "4", "--what", "output,h_n")
    text = run("evaluate", "model.json", "-i", "x.json", *options, "--format", "json")
    assert {"output": FOUR, "h_n": [FOUR[-1]]} == json.loads(text.stdout)
    table = run("evaluate", "model.json", "-i", "x.json", *options, "--format", "csv")
    rows = list(csv.reader(io.StringIO(table.stdout)))
    assert ["name", "index", "value"] == rows[0]
    assert ["output", "1 0", "-0.9909"] == rows[2]
    assert ["h_n", "0 0", "-0.9984"] == rows[-1]


def test_evaluate_gives_exact_forms_and_inner_quantities(folder):
    """``--exact`` prints closed forms, ``--at`` any quantity of any step."""
    exact = run("evaluate", "model.json", "-i", "x.json", "--exact", "--what", "output")
    assert "-tanh(26307/10000)" in exact.stdout
    place = "0,forward,0,h_pre"
    inner = run(
        "evaluate", "model.json", "-i", "x.json", "--at", place, "--places", "4"
    )
    assert f"{place}, shape (1,)\n  [0]  -2.6307\n".replace("  [0]", "").split() == (
        inner.stdout.replace("  [0]", "").split()
    )


@pytest.mark.parametrize("domain", ["ball", "exact", "mp"])
def test_evaluate_agrees_in_every_domain(folder, domain):
    """Three arithmetics print the same digits."""
    result = run(
        *("evaluate", "model.json", "-i", "x.json", "--domain", domain),
        *("--places", "4", "--format", "json"),
    )
    assert {"output": FOUR} == json.loads(result.stdout)


@pytest.mark.parametrize("name", ["x.csv", "x.txt", "x.npy", "x.npz", "x.json", "-"])
def test_every_kind_of_input_is_the_same(folder, name):
    """Rows, arrays, objects and standard input give the same numbers."""
    x = np.array([[3.0], [4.0], [5.0]])
    stdin = None
    if name == "x.npy":
        np.save(name, x)
    elif name == "x.npz":
        np.savez(name, x=x)
    elif name == "-":
        stdin = '{"x": [[3], [4], [5]]}'
    elif name != "x.json":
        Path(name).write_text("# three steps\n3\n4.0 # four\n\n50e-1\n")
    result = run(
        *("evaluate", "model.json", "-i", name, "--places", "4", "--format", "json"),
        stdin=stdin,
    )
    assert {"output": FOUR} == json.loads(result.stdout)


def test_text_is_taken_exactly_as_written(folder):
    """0.1 in a file is 1/10: a relu keeps it rational to the end."""
    relu = MODEL | {"cell": "rnn_relu"}
    relu["parameters"] = {"weight_ih_l0": [[1]], "weight_hh_l0": [["-1/3"]]}
    Path("relu.json").write_text(json.dumps(relu))
    for name, text in {"x.json": "[[0.1], [0.2]]", "x.csv": "0.1\n0.2\n"}.items():
        Path(name).write_text(text)
        result = run("evaluate", "relu.json", "-i", name, "--exact", "--format", "json")
        assert {"output": [["1/10"], ["1/6"]]} == json.loads(result.stdout)


def test_states_and_lengths_reach_the_network(folder):
    """Initial states from a second file, or the same; lengths likewise."""
    batch = [[[1], [2]], [[3], [4]]]  # (steps, batch, features)
    h, c = [[["0.5"], ["0.1"]]], [[["-1"], ["0.2"]]]
    net = symrnn.load(LSTM)
    wanted = symrnn.evaluate(net, batch, (h, c), lengths=[1, 2]).output.decimal(30)
    Path("x.json").write_text(json.dumps(batch))
    Path("hx.json").write_text(json.dumps([h, c]))
    Path("all.json").write_text(
        json.dumps({"x": batch, "h_0": h, "c_0": c, "lengths": [1, 2]})
    )
    common = ("evaluate", "lstm.json", "--format", "json")
    apart = run(*common, "-i", "x.json", "--hx", "hx.json", "--lengths", "1,2")
    together = run(*common, "-i", "all.json")
    assert {"output": wanted} == json.loads(apart.stdout) == json.loads(together.stdout)


def test_output_goes_to_a_file(folder):
    """``-o`` writes the text, and nothing beside it stays in the folder."""
    before = set(folder.iterdir())
    result = run("evaluate", "model.json", "-i", "x.json", "-o", "out.txt")
    assert ("", 0) == (result.stdout, result.exit_code)
    assert {folder / "out.txt"} == set(folder.iterdir()) - before
    assert Path("out.txt").read_text().startswith("output, shape (3, 1)\n")


def test_a_device_is_written_to_not_replaced(folder):
    """``-o /dev/null`` leaves the device a device."""
    result = run("evaluate", "model.json", "-i", "x.json", "-o", os.devnull)
    assert 0 == result.exit_code
    assert not Path(os.devnull).is_file()


# --- audit --------------------------------------------------------------------------


@pytest.mark.torch_bits
def test_audit_runs_torch_and_says_what_was_rounded(folder, torch):
    """A file's network holds in torch; its decimal weights were rounded, it says."""
    result = run("audit", "model.json", "-i", "x.json", "--report", "json")
    report = json.loads(result.stdout)
    assert (0, True, "float32") == (result.exit_code, report["passed"], report["dtype"])
    assert "2 parameters were rounded to float32" in report["notes"][0]


@pytest.mark.torch_bits
def test_audit_of_a_torch_file_rounds_nothing(folder, torch):
    """A state_dict comes back as the module it was taken from."""
    gru = torch.nn.GRU(2, 3, 2, bidirectional=True)
    torch.save(gru.state_dict(), "gru.pt")
    np.save("x.npy", np.ones((4, 2), dtype=np.float32))
    result = run("audit", "gru.pt", "-i", "x.npy", "--report", "json")
    report = json.loads(result.stdout)
    wanted = symrnn.audit(gru, torch.ones(4, 2)).to_dict()
    assert 0 == result.exit_code
    assert [] == report["notes"]
    assert wanted["tensors"] == report["tensors"]


def test_audit_that_does_not_hold_is_exit_code_1(folder, torch):
    """A tolerance that float32 cannot meet is a verdict, not an error."""
    result = run("audit", "model.json", "-i", "x.json", "--ulps", "0.01")
    assert (1, "") == (result.exit_code, result.stderr)
    assert result.stdout.startswith("NOT in tolerance: first at layer 0, forward")


def test_audit_of_nan_is_exit_code_1(folder, torch):
    """NaN in an input file is reported where it is."""
    Path("x.json").write_text("[[3], [NaN], [5.5]]")
    result = run("audit", "model.json", "-i", "x.json")
    assert 1 == result.exit_code
    assert "not finite: input x at step 1" in result.stdout
    result = run("evaluate", "model.json", "-i", "x.json")
    assert 2 == result.exit_code


def test_audit_of_nan_in_a_model_is_exit_code_1(folder, torch):
    """A model whose training diverged is named by its parameter."""
    state = torch.nn.GRU(2, 3).state_dict()
    state["bias_ih_l0"][0] = float("nan")
    torch.save(state, "gru.pt")
    np.save("x.npy", np.ones((3, 2)))
    result = run("audit", "gru.pt", "-i", "x.npy")
    assert (1, "") == (result.exit_code, result.stderr)
    assert "not finite: parameter b_ir[0, 0] = nan" in result.stdout
    assert 2 == run("derive", "gru.pt", "-i", "x.npy").exit_code


def test_audit_judges_given_outputs(folder):
    """Outputs from elsewhere need no torch; a wrong digit is found where it is."""
    wrong = np.float32([[-0.98967748], [-0.9909], [-0.9984163]])
    np.savez("out.npz", output=wrong)
    result = run(
        *("audit", "model.json", "-i", "x.json", "--outputs", "out.npz"),
        *("--atol", "1e-6", "--report", "json"),
    )
    report = json.loads(result.stdout)
    assert (1, "violated") == (result.exit_code, report["verdict"])
    assert 1 == report["tensors"][0]["violations"]
    assert [1, 0] == report["tensors"][0]["worst"]["location"]["index"]


# --- derive -------------------------------------------------------------------------


def test_derive_writes_what_the_api_writes(folder):
    """The suffix says how; without a file it is Markdown."""
    page = symrnn.derive(symrnn.load(MODEL), [[3], [4], [5]], title="Three")
    common = ("derive", "model.json", "-i", "x.json", "--no-check", "--title", "Three")
    assert 0 == run(*common, "-o", "page.tex").exit_code
    assert page.latex() == Path("page.tex").read_text(encoding="utf-8")
    assert page.markdown() == run(*common).stdout
    fragment = run(*common, "--format", "latex", "--fragment")
    assert page.latex(form="fragment") == fragment.stdout


@pytest.mark.torch_bits
def test_derive_checks_in_torch(folder, torch):
    """Where torch is installed the document ends with its numbers."""
    checked = run("derive", "model.json", "-i", "x.json")
    plain = run("derive", "model.json", "-i", "x.json", "--no-check")
    assert 0 == checked.exit_code
    assert "## Check" in checked.stdout
    assert "## Check" not in plain.stdout


def test_derive_of_a_cell_that_torch_lacks(folder, torch):
    """It is derived without a check, unless a check was asked for."""
    net = {"weight_ih_l0": [[1]] * 3, "weight_hh_l0": [[1]] * 3}
    Path("gru.json").write_text(
        json.dumps({"cell": "gru_reset_before", "parameters": net})
    )
    result = run("derive", "gru.json", "-i", "x.json")
    assert 0 == result.exit_code
    assert "not checked" in result.stderr
    result = run("derive", "gru.json", "-i", "x.json", "--check")
    assert (2, "") == (result.exit_code, result.stdout)


# --- bad input ----------------------------------------------------------------------

BAD = {
    "no model": "evaluate nope.json -i x.json",
    "no input": "evaluate model.json -i nope.json",
    "a folder": "evaluate . -i x.json",
    "a folder named .json": "evaluate model.json -i folder.json",
    "suffix": "evaluate model.json -i x.xyz",
    "garbage json": "evaluate model.json -i garbage.json",
    "garbage npy": "evaluate model.json -i garbage.npy",
    "garbage npz": "evaluate model.json -i garbage.npz",
    "garbage csv": "evaluate model.json -i garbage.csv",
    "garbage yaml": "evaluate garbage.yaml -i x.json",
    "pickle": "evaluate model.json -i pickle.npy",
    "empty file": "evaluate model.json -i empty.json",
    "empty rows": "evaluate model.json -i empty.csv",
    "empty object": "evaluate model.json -i object.json",
    "empty list": "evaluate model.json -i list.json",
    "null": "evaluate model.json -i null.json",
    "deep": "evaluate model.json -i deep.json",
    "huge number": "evaluate model.json -i huge.json",
    "unknown key": "evaluate model.json -i model.json",
    "ragged": "evaluate model.json -i ragged.csv",
    "words and nan": "evaluate model.json -i words.csv",
    "shape": "evaluate lstm.json -i wide.json",
    "huge digits": "evaluate model.json -i x.json --digits 10000000",
    "cell": "evaluate model.json -i x.json --cell elman",
    "dtype": "audit model.json -i x.json --dtype float31",
    "lengths": "evaluate model.json -i x.json --lengths 1,b",
    "no outputs": "audit model.json -i x.json --outputs nope.npz",
    "outputs in text": "audit model.json -i x.json --outputs x.json",
    "no such folder": "evaluate model.json -i x.json -o nowhere/out.txt",
    "a file as a folder": "evaluate model.json -i x.json -o x.json/out.txt",
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_code_2(folder, arguments):
    """No traceback, nothing on standard output, one line that says what it was."""
    garbage = bytes(range(255, 0, -1)) * 4
    for suffix in ("json", "npy", "npz", "csv", "yaml"):
        Path(f"garbage.{suffix}").write_bytes(garbage)
    Path("folder.json").mkdir()
    np.save("pickle.npy", np.array([{}], dtype=object))
    for name, text in {
        "x.xyz": "1",
        "empty.json": "",
        "empty.csv": "\n# nothing\n",
        "object.json": "{}",
        "list.json": "[]",
        "null.json": "[[null]]",
        "deep.json": "[" * 100 + "1" + "]" * 100,
        "huge.json": "[[1e999999]]",
        "ragged.csv": "1,2\n3\n",
        "words.csv": "nan\nfour\n",
        "wide.json": "[[1, 2]]",
    }.items():
        Path(name).write_text(text)
    result = run(*arguments.split())
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("symrnn: error: ")
    assert 1 == result.stderr.count("\n")
    assert 1100 > len(result.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        "evaluate",
        "evaluate model.json",
        "evaluate model.json -i x.json --digits 3 --exact",
        "evaluate model.json -i x.json --digits 0",
        "evaluate model.json -i x.json --what c_n",
        "evaluate model.json -i x.json --at 0,forward,9,h",
        "evaluate model.json -i x.json --at 0,forward,0,nope",
        "evaluate model.json -i x.json --at 0",
        "evaluate model.json -i x.json -o .",
        "audit model.json -i x.json --ulps 1 --rtol 1",
        "audit model.json -i x.json --ulps nan",
        "derive model.json -i x.json -o page.doc",
        "derive model.json -i x.json -o page.md --fragment",
        "nonsense",
    ],
)
def test_bad_usage_is_exit_code_2(folder, arguments):
    """What cannot be meant is refused before anything is written."""
    before = set(folder.iterdir())
    result = run(*arguments.split())
    assert (2, "") == (result.exit_code, result.stdout)
    assert "Error: " in result.stderr
    assert before == set(folder.iterdir())


def test_standard_input_that_is_no_text(folder):
    """Bytes that are no UTF-8 are bad input."""
    result = run("evaluate", "model.json", "-i", "-", stdin=b"\xff\xfe\xfd")
    assert 2 == result.exit_code
    assert result.stderr.startswith("symrnn: error: -: ")


def test_a_full_disk_is_one_line(folder):
    """What cannot be written is said, in one line."""
    if not Path("/dev/full").exists():
        pytest.skip("hardware: there is no /dev/full")
    result = run_apart("evaluate", "model.json", "-i", "x.json", "-o", "/dev/full")
    assert 2 == result.returncode
    assert "symrnn: error: No space left on device\n" == result.stderr


def test_a_reader_that_leaves_is_no_error(folder):
    """A closed pipe ends the command without a word."""
    code = "from symrnn.cli import main; main()"
    arguments = ("evaluate", "model.json", "-i", "x.json", "--digits", "15000")
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (141, b"") == (result.returncode, result.stderr)


# --- help and start -----------------------------------------------------------------


@pytest.mark.parametrize("command", ["evaluate", "audit", "derive", "demo"])
def test_help_shows_an_example(command):
    """A stranger sees how it is called."""
    result = run(command, "--help")
    assert 0 == result.exit_code
    assert "Example:" in result.stdout
    assert f"symrnn {command}" in result.stdout


def test_version():
    """``--version`` is the package's."""
    assert f"symrnn {symrnn.__version__}\n" == run("--version").stdout


def test_a_terminal_without_unicode(folder):
    """What ASCII has not is escaped; nothing fails for it."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    code = (
        "import sys; sys.modules['torch'] = None; from symrnn.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "demo"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (result.returncode, result.stderr)
    assert rb"1\xd72" in result.stdout


def test_help_is_light():
    """It imports neither rich nor anything that computes."""
    code = (
        "import sys\nfrom symrnn.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'flint', 'numpy', 'rich', 'sympy', 'torch'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    result = run_apart(code=code)
    assert "[]" == result.stdout.splitlines()[-1]


# --- files of arrays, and the way back to torch -------------------------------------


def test_arrays_keep_their_names_and_bits(tmp_path):
    """An archive's arrays come as they are; one without a name gets one."""
    values = np.float32([[0.1], [3e-41]])
    np.savez(tmp_path / "a.npz", x=values, hx=values[:1])
    np.save(tmp_path / "a.npy", values)
    found = read_arrays(tmp_path / "a.npz")
    assert ["x", "hx"] == list(found)
    assert values.tobytes() == found["x"].tobytes()
    assert ["output"] == list(read_arrays(tmp_path / "a.npy", unnamed="output"))


def test_separators(tmp_path):
    """Commas, semicolons and blanks separate; two commas are a missing number."""
    path = tmp_path / "x.csv"
    for text in ("1, 2.50\n3,4\n", "1;2.50\n3;4", "1 2.50\n3\t4\n", '"1","2.50"\n3,4'):
        path.write_text(text)
        assert {"x": [["1", "2.50"], ["3", "4"]]} == read_arrays(path)
    path.write_text("1,,2\n")
    assert {"x": [["1", "", "2"]]} == read_arrays(path)


@pytest.mark.parametrize("text", ['{"x": 1}', '"x"', "3", '{"x": [1], "x": [2]}'])
def test_json_that_holds_no_lists(text):
    """Numbers alone, words and doubled keys are refused."""
    with pytest.raises(SourceError):
        read_json(text)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_to_torch_is_the_inverse_of_load(torch, kind, bias):
    """A module that was loaded and built again has the same parameters, bit for bit."""
    options = {} if kind.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
    if kind == "LSTM":
        options |= {"proj_size": 2, "batch_first": True}
    module = getattr(torch.nn, kind)(3, 4, bias=bias, dtype=torch.float64, **options)
    state = torch.random.get_rng_state()
    again = to_torch(symrnn.load(module))
    assert torch.equal(state, torch.random.get_rng_state())
    assert repr(module) == repr(again)
    old, new = module.state_dict(), again.state_dict()
    assert list(old) == list(new)
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_to_torch_rounds_once(torch):
    """A decimal just past a tie of float32 is not rounded by way of float64."""
    past_tie = "1.000000059604644775390625000000000000000001"  # 1 + 2**-24 + 1e-42
    net = symrnn.load(
        {"weight_ih_l0": [[past_tie]], "weight_hh_l0": [[past_tie]]}, cell="rnn_relu"
    )
    weight = to_torch(net).weight_ih_l0.item()
    assert 1 + 2.0**-23 == weight


def test_to_torch_refuses_other_cells(torch):
    """A cell that torch has not is no torch module, whatever its name."""
    arrays = {"weight_ih_l0": [[1]] * 3, "weight_hh_l0": [[1]] * 3}
    with pytest.raises(UnsupportedError, match="no module for the cell"):
        to_torch(symrnn.load(arrays, cell="gru_reset_before"))


def test_audit_emulates_a_format(folder):
    """--format names a float format, needs no torch, and --report says in which form."""
    result = run(
        *("audit", "model.json", "-i", "x.json", "--format", "bfloat16"),
        *("--report", "json"),
    )
    data = json.loads(result.stdout)
    assert ("bfloat16", "holds") == (data["dtype"], data["verdict"])
    assert 0 < data["tensors"][0]["max_absolute"] < 0.01


def test_audit_hints_at_the_option_that_is_meant(folder):
    """Json is no float format."""
    result = run("audit", "model.json", "-i", "x.json", "--format", "json")
    assert 2 == result.exit_code
    assert "write --report json" in result.output
