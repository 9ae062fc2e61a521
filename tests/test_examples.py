# SPDX-License-Identifier: BSD-3-Clause
"""The examples run as a reader runs them, and the data they make is what it says."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import symrnn
from tests.forking import forking_python

ROOT = Path(__file__).parents[1]
DATA = ROOT / "symrnn" / "cli" / "data"
NOTEBOOK = json.loads((DATA / "seed.json").read_text("utf-8"))
PARITY = json.loads((DATA / "parity.json").read_text("utf-8"))


ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


@pytest.fixture(scope="module")
def python():
    with forking_python(
        "torch", "symrnn", options=["-W", "error"], **ENVIRONMENT
    ) as it:
        yield it


def run_example(python, name, *arguments):
    """Return what an example prints; fail with what it says on standard error."""
    done = subprocess.run(
        [*python, ROOT / "examples" / name, *arguments],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def load(entry):
    keys = {"cell", "batch_first", "dtype", "parameters"} & set(entry)
    return symrnn.load({key: entry[key] for key in keys})


def test_minimal_gated_unit():
    """It prints the first gate, which is sigmoid(3/2), to 30 digits, and derives it."""
    printed = run_example([sys.executable, "-W", "error"], "minimal_gated_unit.py")
    assert "0.817574476193643659607217178656" in printed
    assert "# A minimal gated unit" in printed


def test_peephole_lstm(python):
    """Without peepholes it is the usual LSTM; with them it is not."""
    printed = run_example(python, "peephole_lstm.py")
    assert "digit for digit: True" in printed
    last = [line.split()[-1] for line in printed.splitlines() if "h_4 =" in line]
    with_peepholes, without, usual = last[:3]
    assert with_peepholes != without == usual
    assert "# A peephole LSTM" in printed


def test_g2p_encoder(tmp_path, python):
    """On weights of g2p-en's names and layout it audits each word it is given."""
    pytest.importorskip("torch")
    random = np.random.default_rng(0)
    shapes = {"enc_emb": (29, 4), "enc_w_ih": (9, 4), "enc_w_hh": (9, 3)}
    shapes |= {"enc_b_ih": (9,), "enc_b_hh": (9,), "dec_w_ih": (9, 4)}
    arrays = {
        name: random.normal(size=shape).astype("float32")
        for name, shape in shapes.items()
    }
    path = tmp_path / "checkpoint.npz"
    np.savez(path, **arrays)
    printed = run_example(python, "g2p_encoder.py", path, "--words", "ab", "ça")
    rows = [line.split() for line in printed.splitlines()[-2:]]
    assert [["ab", "3", "holds"], ["ça", "3", "holds"]] == [row[:3] for row in rows]
    x = arrays["enc_emb"][[3, 4, 2]]
    net = symrnn.load(arrays, prefix="enc_", single_step=False)
    assert rows[0][-1] == symrnn.evaluate(net, x).h_n[0, 0].decimal(30)


def test_train_parity(tmp_path, python):
    """It writes a network of the shapes in the package that has learned the task."""
    pytest.importorskip("torch")
    path = tmp_path / "parity.json"
    printed = run_example(python, "train_parity.py", path)
    made = json.loads(path.read_text("utf-8"))
    assert made.keys() == PARITY.keys()
    assert repr(load(made)) == repr(load(PARITY))
    assert float(printed.split("bytes, ")[1].split("%")[0]) > 95


def numbers(nested):
    for item in nested.values() if isinstance(nested, dict) else nested:
        yield from [item] if isinstance(item, str) else numbers(item)


def test_parity_weights_are_float32_numbers():
    """Each decimal equals a float32 number, not merely rounds to one."""
    for text in numbers(PARITY["parameters"]):
        assert Decimal(text) == Decimal(float(np.float32(text)))


def test_parity_is_proven_for_the_sequence():
    """The sign of unit 0 is the product of the inputs so far, at every step."""
    said = symrnn.evaluate(load(PARITY), PARITY["x"], digits=5).output.decimal(5)
    signs = np.cumprod([int(row[0]) for row in PARITY["x"]])
    assert [sign > 0 for sign in signs] == [float(row[0]) > 0 for row in said]


def test_notebook_data_is_the_notebooks():
    """The package holds the weights and outputs that the tests transcribe."""
    path = Path(__file__).parent / "data" / "seed.json"
    transcribed = json.loads(path.read_text("utf-8"))["examples"]
    for entry, source in zip(NOTEBOOK, transcribed, strict=True):
        assert source["weights"] in (None, entry["parameters"])
        assert source["output"] == entry["output"]
        assert source["x"] == [[int(value) for value in row] for row in entry["x"]]


@pytest.mark.parametrize("entry", NOTEBOOK, ids=lambda entry: entry["name"])
def test_notebook_weights_give_the_printed_outputs(entry):
    """Within two units of the fourth decimal: the printed weights are rounded."""
    output = symrnn.evaluate(load(entry), entry["x"]).output.decimal(places=6)
    for row, printed in zip(output, entry["output"], strict=True):
        for ours, theirs in zip(row, printed, strict=True):
            assert abs(Decimal(ours) - Decimal(theirs)) <= Decimal("0.00025")


def test_chosen_weights_give_the_printed_digits():
    """The example without printed weights is reproduced in all its digits."""
    (entry,) = [e for e in NOTEBOOK if "chosen" in e["note"]]
    output = symrnn.evaluate(load(entry), entry["x"]).output
    assert entry["output"] == output.decimal(places=4)
