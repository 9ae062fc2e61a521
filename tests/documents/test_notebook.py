# SPDX-License-Identifier: BSD-3-Clause
"""Notebooks run from top to bottom, recompute what they say, and notice a wrong digit."""

import json
import re

import pytest

import symrnn
from tests.derivations.test_cases import GOLDEN, derive_golden, peephole_cell
from tests.require import require_module


@pytest.fixture(scope="module", autouse=True)
def torch():
    require_module("nbformat")
    torch = require_module("torch")
    before = torch.get_default_dtype()
    yield torch
    torch.set_default_dtype(before)


@pytest.fixture(autouse=True)
def float32(torch):
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)


def code(page):
    cells = json.loads(page.notebook())["cells"]
    sources = [c["source"] for c in cells if c["cell_type"] == "code"]
    return "\n".join("".join(source) for source in sources)


def run(page, capsys):
    """Run a notebook's code, and return how many numbers agreed."""
    exec(compile(code(page), "notebook", "exec"), {})
    last = capsys.readouterr().out.splitlines()[-1]
    found = re.fullmatch(r"(\d+) printed numbers agree with what torch computes", last)
    return int(found[1])


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_every_golden_notebook_agrees_with_torch(name, capsys):
    """Every named quantity of every step is recomputed and compared."""
    page = derive_golden(name)
    net, inputs = page.trace.net, page.trace.inputs
    each = sum(net.state_sizes[s] for s in net.cell.states)
    steps = sum(inputs.lengths) * len(net.positions)
    assert run(page, capsys) >= each * steps


@pytest.mark.parametrize(
    "choices",
    [
        {"digits": 12},
        {"digits": 3, "rounding": "significant", "vectors": "row"},
        {"numbers": "closed"},
        {"carry": "by-hand", "digits": 2},
        {"steps": (2, 30)},
        {"units": (3,), "notation": "cho"},
    ],
)
def test_choices_do_not_matter(torch, capsys, choices):
    """However numbers look, torch agrees with them; steps left out are looped over."""
    module = torch.nn.GRU(2, 3, bidirectional=True)
    page = symrnn.derive(module, torch.randn(30, 2), **choices)
    assert run(page, capsys) > 0


def test_packed_batches_states_and_projections(torch, capsys):
    x, pack = torch.randn(4, 3, 2), torch.nn.utils.rnn.pack_padded_sequence
    lstm = torch.nn.LSTM(2, 2, num_layers=2, bidirectional=True)
    packed = pack(x, [4, 2, 3], enforce_sorted=False)
    assert 9 * 4 * 6 * 2 == run(symrnn.derive(lstm, packed), capsys)
    torch.set_default_dtype(torch.float32)
    page = symrnn.derive(torch.nn.LSTM(2, 4, proj_size=2), x[:, 0])
    torch.set_default_dtype(torch.float32)
    assert run(page, capsys) > 0
    torch.set_default_dtype(torch.float32)
    page = symrnn.derive(torch.nn.GRU(2, 3), x[:, 0], torch.ones(1, 3))
    assert 4 * 4 * 3 == run(page, capsys)
    torch.set_default_dtype(torch.float32)
    assert 6 * 3 == run(symrnn.derive(torch.nn.LSTMCell(2, 3), x[0, 0]), capsys)


@pytest.mark.parametrize("choices", [{}, {"detail": "summary"}])
def test_given_states_go_to_the_module_too(torch, capsys, choices):
    """Of each layer, direction and sequence its own; another state is noticed."""
    lstm = torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    x = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(4, 3, 2), [2, 4, 3], enforce_sorted=False
    )
    hx = torch.randn(4, 3, 3), torch.randn(4, 3, 3)
    page = symrnn.derive(lstm, x, hx, **choices)
    text = code(page)
    assert 3 == text.count("output = module(")
    assert run(page, capsys) > 0
    call = text.rindex("torch.stack")  # c of the last sequence
    changed = text[:call] + "0.5 + " + text[call:]
    with pytest.raises(AssertionError):
        exec(compile(changed, "notebook", "exec"), {})


def test_large_networks_are_packed_and_summaries_compare_outputs(torch, capsys):
    module = torch.nn.GRU(2, 40)
    x = torch.randn(60, 2)
    page = symrnn.derive(module, x)
    assert "unpack(" in code(page)
    assert run(page, capsys) > 0
    torch.set_default_dtype(torch.float32)
    assert run(symrnn.derive(module, x, detail="summary"), capsys) > 0


def test_a_wrong_digit_is_noticed(torch):
    """Whichever printed number is changed, running the notebook stops there."""
    text = code(symrnn.derive(torch.nn.RNN(2, 2), [[1, 2], [0, 1]]))
    printed = [m for m in re.finditer(r'\d: "(-?\d\.\d{3})(\d)"', text)]
    assert 4 == len(printed)
    for found in printed:
        wrong = str((int(found[2]) + 1) % 10)
        changed = text[: found.start(2)] + wrong + text[found.end(2) :]
        with pytest.raises(AssertionError, match="is printed"):
            exec(compile(changed, "notebook", "exec"), {})


def test_a_cell_of_ones_own_is_spoken_too(capsys):
    """Torch has no such module, but its equations are recomputed."""
    assert "peephole" in GOLDEN
    assert run(derive_golden("peephole"), capsys) > 0
    assert peephole_cell().name not in ("LSTM", "GRU")


def test_a_notebook_runs_in_jupyter(torch):
    """As a user would run it, and it is the same file every time."""
    nbformat, nbclient = require_module("nbformat"), require_module("nbclient")
    page = symrnn.derive(torch.nn.LSTM(2, 2), [[1, 2], [0, 1]])
    text = page.notebook()
    assert text == page.notebook()
    notebook = nbformat.reads(text, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "agree" in str(cells[-1]["outputs"])
