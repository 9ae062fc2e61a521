# SPDX-License-Identifier: BSD-3-Clause
"""What README.md shows is what happens: its Python and its commands are run."""

import doctest
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.forking import forking_python
from tests.test_layers import ROOMS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the contents of the README's fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.torch_bits
def test_python(torch):
    """Every example prints what the README says; the blocks share their names."""
    source = "\n".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", None, 0)
    assert len(test.examples) > 10
    result = doctest.DocTestRunner().run(test)
    assert 0 == result.failed


def test_commands(tmp_path, torch):
    """Every command prints what the README says, one after another in one folder."""
    found = [entry for block in blocks("console") for entry in commands(block)]
    assert len(found) > 4
    environment = {"PYTHONPATH": str(ROOT)}
    with forking_python("symrnn.cli", "symrnn", "torch", **environment) as python:
        for command, expected in found:
            script = f'symrnn() {{ {shlex.join(python)} -m symrnn "$@"; }}\n{command}'
            result = subprocess.run(
                ["bash", "-c", script],
                cwd=tmp_path,
                env=os.environ | environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (expected, "") == (result.stdout, result.stderr), command


def commands(block: str) -> list[tuple[str, str]]:
    """Split a session into commands and what each prints."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    split = [part.partition("\n") for part in parts]
    return [(command, output) for command, _, output in split]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", TEXT))))
def test_links(path):
    """Every file that the README links to is there."""
    assert (ROOT / path).exists()


def test_the_map_is_complete():
    """Every room of the package has its row, in the order in which rooms may import."""
    rows = re.findall(r"^\| `(\w+)/` \|", TEXT, re.MULTILINE)
    rooms = {path.name for path in (ROOT / "symrnn").iterdir() if path.is_dir()}
    assert [room for room in ROOMS if room in rooms] == rows
