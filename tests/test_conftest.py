# SPDX-License-Identifier: BSD-3-Clause
"""The guards guard: a run that tested nothing, or the wrong thing, is not green."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import golden_checker
from tests.forking import forking_python

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def python():
    with forking_python("flint", "mpmath", "pytest") as command:
        yield command


@pytest.fixture
def run_pytest(python, tmp_path):
    """Run pytest on one test file beside copies of the real conftest files."""
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "tests/__init__.py", "tests/require.py"):
        shutil.copy(ROOT / name, tmp_path / name)

    def run(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(source)
        command = [*python, "-m", "pytest", "-p", "no:cacheprovider"]
        command += ["--doctest-modules", "-rs", "test_it.py"]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        inherited.pop("SYMRNN_REQUIRE_ALL", None)
        inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # none is needed
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=inherited | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_leaked_precision_fails_the_test_that_leaked_it(run_pytest):
    """Only the guilty test is reported, for flint and for mpmath."""
    result = run_pytest(
        "import flint, mpmath\n"
        "def test_flint(): flint.ctx.prec = 100\n"
        "def test_mpmath(): mpmath.mp.dps = 50\n"
        "def test_innocent(): pass\n"
    )
    assert "3 passed, 2 errors" in result.stdout, result.stdout


def test_leaked_precision_fails_a_doctest(run_pytest):
    """Doctests are guarded like tests."""
    result = run_pytest('"""\n>>> import flint\n>>> flint.ctx.prec = 100\n"""\n')
    assert "1 passed, 1 error" in result.stdout, result.stdout


SKIPS = {
    "tool": "from tests.require import require\n"
    "def test_it(): require('no-such-program')\n",
    "TeX file": "from tests.require import require_tex_file\n"
    "def test_it(): require_tex_file('no-such-file.tfm')\n",
    "module": "from tests.require import require_module\n"
    "nothing = require_module('no_such_module')\n",
    "importorskip": "import pytest\nnothing = pytest.importorskip('no_such_module')\n",
    "by hand": "import pytest\ndef test_it(): pytest.skip('not today')\n",
}


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_skips_fail_a_full_run(run_pytest, source):
    """What a small machine skips is a failure where everything must be there."""
    small = run_pytest(source)
    assert " skipped" in small.stdout.splitlines()[-1], small.stdout
    full = run_pytest(source, SYMRNN_REQUIRE_ALL="1")
    assert full.returncode not in (0, 5), full.stdout
    assert "skipped" not in full.stdout.splitlines()[-1], full.stdout


def test_hardware_may_be_missing_from_a_full_run(run_pytest):
    """No install step brings a GPU."""
    source = "import pytest\ndef test_it(): pytest.skip('hardware: no CUDA device')\n"
    result = run_pytest(source, SYMRNN_REQUIRE_ALL="1")
    assert result.returncode == 0, result.stdout


def test_expected_failures_pass_a_full_run(run_pytest):
    """An xfail is reported like a skip, and is none."""
    source = "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n"
    result = run_pytest(source, SYMRNN_REQUIRE_ALL="1")
    assert result.returncode == 0, result.stdout


def test_doctest_without_its_optional_module_is_skipped(run_pytest):
    """An example that imports a missing optional package is no failure, but is seen."""
    source = '"""\n>>> import torch.nn\n>>> torch.nn\n"""\n'
    hide = "import sys\nsys.modules['torch'] = None\n"
    small = run_pytest(source + hide)
    assert "1 skipped" in small.stdout, small.stdout
    full = run_pytest(source + hide, SYMRNN_REQUIRE_ALL="1")
    assert "torch is not installed" in full.stdout, full.stdout
    assert full.returncode == 1, full.stdout


def test_golden_shows_the_difference_and_how_to_accept_it(tmp_path):
    """The message is a diff from the file to the text."""
    golden_checker(tmp_path, update=True)("a/gru.tex", "one\ntwo\n")
    golden_checker(tmp_path, update=False)("a/gru.tex", "one\ntwo\n")
    with pytest.raises(pytest.fail.Exception) as caught:
        golden_checker(tmp_path, update=False)("a/gru.tex", "one\n2\n")
    assert "-two\n+2" in str(caught.value)
    assert "--update-golden" in str(caught.value)


def test_golden_file_must_exist(tmp_path):
    """A new golden test does not pass before someone has looked at its text."""
    with pytest.raises(pytest.fail.Exception, match=r"no golden file new\.tex"):
        golden_checker(tmp_path, update=False)("new.tex", "")
