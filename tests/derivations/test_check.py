# SPDX-License-Identifier: BSD-3-Clause
"""What a derivation says of the numbers that torch, or somebody, returned."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import symrnn
from symrnn.errors import ShapeError, SymrnnError
from tests.derivations.test_cases import (
    SEQUENCE,
    compile_latex,
    complaints,
    hidden_size_two,
    one_feature,
)

# --- the check ----------------------------------------------------------------------

RETURNED = np.array([[-0.98967], [-0.9909046], [-0.99841774]], dtype=np.float32)


def test_outputs_are_compared_element_by_element():
    """The table has what was returned, the exact value, and the error in ulps."""
    page = symrnn.derive(one_feature(), [[3], [4], [5]], check=RETURNED).markdown()
    row = next(line for line in page.splitlines() if "output\\[0, 0\\]" in line)
    exact = symrnn.evaluate(one_feature(), [[3], [4], [5]]).output[0, 0]
    ulps = abs(float(RETURNED[0, 0]) - float(exact)) * 2**24
    assert exact.decimal(10) in row
    assert "$-0.98967$" in row
    assert abs(ulps - float(row.split("|")[4])) < 0.01
    # Numbers that were printed with five decimals are not float32's.
    assert "Rounding does not explain all of them" in page


def test_nearest_numbers_are_within_half_an_ulp():
    """Correctly rounded outputs are counted as such."""
    net = hidden_size_two()
    trace = symrnn.evaluate(net, SEQUENCE)
    given = trace.output.nearest("float32"), trace.h_n.nearest("float32")
    page = symrnn.derive(net, SEQUENCE, check=given).markdown()
    assert "10 of 10 numbers are the float32 numbers nearest" in page
    errors = re.findall(r"\| (\d\.\d\d) \|", page)
    assert 10 == len(errors)
    assert all(float(error) <= 0.5 for error in errors)


def test_wrong_outputs_are_called_wrong():
    """A swapped sign and a NaN do not pass, and the NaN has no error in ulps."""
    wrong = RETURNED * np.float32(-1)
    wrong[2] = np.nan
    page = symrnn.derive(one_feature(), [[3], [4], [5]], check=wrong).markdown()
    assert "Not all of them are finite" in page
    assert "| nan |" in page
    assert "The largest error is not finite" in page


def test_only_the_largest_errors_of_many_are_shown():
    """A long output makes a short table."""
    net, inputs = one_feature(), [[3]] * 60
    returned = symrnn.evaluate(net, inputs).output.nearest("float32")
    returned[33] += np.float32(1e-5)
    page = symrnn.derive(net, inputs, check=returned).markdown()
    assert "The 20 largest of 60 errors are shown" in page
    assert 20 == page.count("| <code>output")
    assert "output\\[33, 0\\]</code>." in page


def test_outputs_of_another_shape_are_refused():
    """The message has both shapes."""
    with pytest.raises(ShapeError, match=r"\(3, 1\).*\(2, 1\)"):
        symrnn.derive(one_feature(), [[3], [4], [5]], check=RETURNED[:2])


def test_report_is_summarised():
    """An audit made elsewhere is shown by result."""
    net, inputs = one_feature(), [[3], [4], [5]]
    tolerance = symrnn.Tolerance(0, 1e-5)
    report = symrnn.audit(net, inputs, outputs=RETURNED, tolerance=tolerance)
    page = symrnn.derive(net, inputs, check=report).markdown()
    assert "| <code>output</code> | 3 |" in page
    assert str(report.tolerance).split("(")[0] in page


@pytest.mark.torch_bits
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_live_module_is_run_and_checked(kind, torch, tmp_path, pdflatex):
    """Torch's float32 numbers are on the last page, near the exact ones."""
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(3, 2)
    x = torch.tensor(SEQUENCE, dtype=torch.float32)
    page = symrnn.derive(module, x)
    assert "Rounding explains all of them" in page.markdown()
    with torch.no_grad():
        returned = module(x)[0]
    value = np.format_float_positional(np.float32(returned[3, 1]), unique=True)
    assert f"${value}$" in page.markdown()
    assert [] == complaints(compile_latex(tmp_path, page.latex(), pdflatex))


def test_live_module_is_given_what_the_derivation_takes(torch):
    """Inputs that are not float32 are rounded for both, and the page says so."""
    module = torch.nn.RNN(1, 1)
    page = symrnn.derive(module, [["0.1"]], digits=12).markdown()
    assert r"x_{1} \approx 0.100000001490" in page
    assert "rounded" in page.split("## Check")[1]


def test_derivation_of_something_unreadable_is_a_symrnn_error():
    """What `load` refuses, `derive` refuses."""
    with pytest.raises(SymrnnError):
        symrnn.derive({}, [[3]])


def test_documents_do_not_import_torch():
    """A derivation of plain numbers needs no torch."""
    code = (
        "import sys, symrnn;"
        "net = symrnn.load({'weight_ih_l0': [[1]], 'weight_hh_l0': [[1]]}, "
        "cell='rnn_relu');"
        "symrnn.derive(net, [[1]]).latex();"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(symrnn.__file__).parent.parent
    command = [os.sys.executable, "-c", code]
    assert 0 == subprocess.run(command, cwd=root, check=False).returncode


@pytest.mark.torch_bits
def test_saturated_networks_are_checked(torch):
    """1 - 1e-40000 is nearest to 1, and what is smaller than any float to 0."""
    rnn, gru = torch.nn.RNN(1, 1), torch.nn.GRU(1, 1)
    with torch.no_grad():
        for parameter in (*rnn.parameters(), *gru.parameters()):
            parameter.fill_(1e6)
    page = symrnn.derive(rnn, torch.ones(3, 1)).markdown()
    assert "$1$ | $1.000000000$ | 0.00 |" in page
    assert "4 of 4 numbers are the float32 numbers nearest" in page
    page = symrnn.derive(gru, torch.ones(1, 1)).markdown()
    assert re.search(r"\$0\$ \| 0 ± \d.\de-\d+ \| 0.00 \|", page)
    assert "2 of 2 numbers are the float32 numbers nearest" in page
    with pytest.raises(symrnn.UndecidedError, match='rounding="decimals"'):
        symrnn.derive(gru, torch.ones(1, 1), rounding="significant")


def test_an_error_at_a_power_of_two_is_bounded():
    """Just below 1 an ulp is half of what it is above: the larger error is named."""
    net = symrnn.load({"weight_ih_l0": [[1e6]], "weight_hh_l0": [[0]]}, cell="rnn_tanh")
    below = np.array([[1 - 2.0**-24]], dtype=np.float32)
    page = symrnn.derive(net, [[1]], check=below).markdown()
    assert "| at most 1.01 |" in page
