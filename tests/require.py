# SPDX-License-Identifier: BSD-3-Clause
"""What a test may find missing: a reason to skip, or to fail where all must be there.

A full run sets SYMRNN_REQUIRE_ALL=1; then nothing is skipped but what the machine
itself cannot do (the reason starts with "hardware: ").
"""

import importlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

REQUIRE_ALL = os.environ.get("SYMRNN_REQUIRE_ALL", "") not in ("", "0")

_NODE = Path(__file__).parent / "node"

HARDWARE = "hardware: "

_PACKAGES = {
    "kpsewhich": "texlive-binaries",
    "lualatex": "texlive-luatex",
    "pdflatex": "texlive-latex-recommended",
    "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils",
    "pzdr.tfm": "texlive-fonts-recommended",
    "xelatex": "texlive-xetex",
}


def require(tool: str) -> str:
    """Return the path of the program `tool`, or skip the test."""
    path = shutil.which(tool)
    if path is None:
        _missing(f"{tool} is not installed (Debian: {_PACKAGES.get(tool, tool)})")
    return path


def require_tex_file(name: str) -> None:
    """Skip the test where TeX does not find a file, ``pzdr.tfm``."""
    command = [require("kpsewhich"), name]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        _missing(f"TeX has no {name} (Debian: {_PACKAGES.get(name, name)})")


def require_module(name: str) -> ModuleType:
    """Import and return the module `name`, or skip the test (or its whole module)."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise  # it is there, and broken
        _missing(f"the Python package {name} is not installed")
    if name == "torch":
        module.set_num_threads(1)
    return module


def require_node_file(name: str) -> Path:
    """Return a file of a package for Node.js, ``axe-core/axe.min.js``, or skip the test."""
    path = _NODE / "node_modules" / name
    if not path.exists():
        _missing(f"{name} is not installed (npm ci --prefix tests/node)")
    return path


def lack(what: str) -> NoReturn:
    """Skip the test for something that the machine itself cannot do."""
    pytest.skip(HARDWARE + what)


@contextmanager
def flushed_subnormals(torch: ModuleType) -> Iterator[None]:
    """Have this thread take subnormal numbers for zero meanwhile, or skip the test."""
    if not torch.set_flush_denormal(True):
        lack("the processor cannot flush subnormal numbers")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def is_allowed_skip(reason: str) -> bool:
    """Tell whether even a full run may skip for this reason."""
    return reason.removeprefix("Skipped: ").startswith(HARDWARE)


def _missing(reason: str) -> None:
    if REQUIRE_ALL:
        pytest.fail(f"{reason}, and SYMRNN_REQUIRE_ALL is set", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
