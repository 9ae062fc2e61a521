# SPDX-License-Identifier: BSD-3-Clause
"""What the tests share: Hypothesis profiles, golden files, optional tools."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from tests.require import require, require_module

GOLDEN = Path(__file__).parent / "golden"

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, print_blob=True)
settings.register_profile("nightly", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/golden from what the tests produce; review the diff",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file: ``golden("gru.tex", text)``.

    The files are reviewed by eye, so a text must be the same on every machine: no
    dates, no absolute paths, no memory addresses.
    """
    return golden_checker(GOLDEN, update=request.config.getoption("--update-golden"))


def golden_checker(folder: Path, *, update: bool) -> Callable[[str, str], None]:
    def check(name: str, text: str) -> None:
        path = folder / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        advice = "run pytest with --update-golden and review the diff"
        if not path.exists():
            pytest.fail(f"there is no golden file {name}: {advice}", pytrace=False)
        expected = path.read_text(encoding="utf-8")
        if expected != text:
            diff = "\n".join(
                difflib.unified_diff(
                    expected.splitlines(),
                    text.splitlines(),
                    f"tests/golden/{name}",
                    "produced now",
                    lineterm="",
                )
            )
            diff = diff or "(they differ in line ends only)"
            pytest.fail(
                f"the text differs from its golden file:\n{diff}\n\n"
                f"If it should: {advice}",
                pytrace=False,
            )

    return check


@pytest.fixture
def torch() -> ModuleType:
    """torch, on one thread; the test is skipped where it is not installed."""
    return require_module("torch")


@pytest.fixture
def pdflatex() -> str:
    """The path of pdflatex."""
    return require("pdflatex")


@pytest.fixture
def pdftoppm() -> str:
    """The path of pdftoppm."""
    return require("pdftoppm")
