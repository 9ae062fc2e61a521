# SPDX-License-Identifier: BSD-3-Clause
"""The demonstration: everything in it is there, is derived, and is what it says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from symrnn.cli import arguments as subjects
from symrnn.cli import main
from symrnn.cli.arguments import Problem
from symrnn.cli.examples import examples, printed_outputs

NAMES = ["basic", "features", "hidden", "bidirectional", "stacked", "parity"]
ALL = list(examples())
PRINTED = [example for example in ALL if example.printed is not None]


def run(*arguments):
    return CliRunner().invoke(main, ["demo", *arguments], catch_exceptions=False)


def test_the_examples():
    """The notebook's five and the trained GRU come with the package."""
    assert NAMES == [example.name for example in ALL]
    assert NAMES[:-1] == [example.name for example in PRINTED]


@pytest.mark.parametrize("example", PRINTED, ids=lambda e: e.name)
def test_every_printed_output_is_reproduced(example):
    """Each is possible for the weights as printed."""
    count, same, possible = printed_outputs(example)
    assert count == len(example.printed) * len(example.printed[0])
    assert count == possible >= same > 0


@pytest.mark.parametrize("example", PRINTED, ids=lambda e: e.name)
def test_a_wrong_output_is_not_reproduced(example):
    """An output that is off by 0.01 is neither the same nor possible."""
    first, *rest = example.printed[0]
    wrong = f"{float(first) - 0.01:.4f}"
    changed = replace(example, printed=[[wrong, *rest], *example.printed[1:]])
    count, _, possible = printed_outputs(changed)
    assert count - 1 == possible


def test_the_first_example_is_the_same_to_the_digit():
    """With one unit and no biases, exact values round to what the notebook prints."""
    assert (3, 3, 3) == printed_outputs(ALL[0])


@pytest.mark.torch_bits
def test_demo_writes_and_says_all(tmp_path, monkeypatch, torch):
    """Documents in four formats for each example, a verdict for each, and no file elsewhere."""
    monkeypatch.chdir(tmp_path)
    result = run()
    assert 0 == result.exit_code
    written = {path.name for path in (tmp_path / "symrnn-demo").iterdir()}
    assert {
        f"{n}.{s}" for n in NAMES for s in ("tex", "md", "html", "ipynb")
    } == written
    assert {"symrnn-demo"} == {path.name for path in tmp_path.iterdir()}
    assert 6 == result.stdout.count(" holds ")
    assert "every printed output is reproduced within rounding, 43 of" in result.stdout
    assert "## Check" in Path("symrnn-demo/parity.md").read_text(encoding="utf-8")


def test_demo_without_torch_still_derives(tmp_path, monkeypatch):
    """It says that torch is missing, and that nothing was audited."""
    monkeypatch.setattr(subjects, "has_torch", lambda: False)
    result = run("-o", str(tmp_path / "a" / "b"))
    assert 0 == result.exit_code
    assert "torch is not installed" in result.stdout
    assert 6 == len(re.findall(r" -  +-  +4 ", result.stdout))
    text = (tmp_path / "a" / "b" / "basic.md").read_text(encoding="utf-8")
    assert "0.9897" in text
    assert "## Check" not in text


def test_an_audit_that_fails_is_exit_code_1(tmp_path, monkeypatch, torch):
    """The demonstration does not hide a verdict."""
    audit = subjects.audit_in_torch

    def strict(problem: Problem, dtype=None, **options):
        from symrnn.audits.tolerance import Tolerance

        return audit(problem, dtype, tolerance=Tolerance(ulps=1), **options)

    monkeypatch.setattr(subjects, "audit_in_torch", strict)
    result = run("-o", str(tmp_path))
    assert 1 == result.exit_code
    assert "violated" in result.stdout
