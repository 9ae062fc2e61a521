# SPDX-License-Identifier: BSD-3-Clause
"""The public names are there, are documented, and cost nothing until they are used."""

import functools
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import symrnn

DESCRIPTORS = (classmethod, functools.cached_property, property, staticmethod)
HEAVY = ["flint", "matplotlib", "mpmath", "numpy", "onnx", "sympy", "torch"]


def heavy_modules_after(code: str) -> list[str]:
    """Run `code` in a new interpreter and list the heavy modules that it imported."""
    report = f"import sys; print('\\n', *[m for m in {HEAVY} if m in sys.modules])"
    return run_python(f"{code}\n{report}").splitlines()[-1].split()


def run_python(code: str) -> str:
    """Return what `code` prints in a new interpreter; it must not fail."""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


FACES = {
    face.__name__: face
    for face in (
        symrnn,
        symrnn.equations,
        symrnn.errors,
        symrnn.kernels,
        symrnn.testing,
    )
}
PUBLIC = [(face, name) for face, module in FACES.items() for name in module.__all__]


@pytest.mark.parametrize(("face", "name"), PUBLIC)
def test_public_name_is_documented(face, name):
    """Each public function and class has a docstring of its own; so have its methods."""
    value = getattr(FACES[face], name)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return  # data: the reference says what it is
    text = inspect.getdoc(value)
    assert text, f"{face}.{name} has no docstring"
    assert not text.startswith(f"{name}("), f"{face}.{name} has a generated docstring"
    members = vars(value).items() if inspect.isclass(value) else ()
    undocumented = [
        member
        for member, definition in members
        if not member.startswith("_")
        and (callable(definition) or isinstance(definition, DESCRIPTORS))
        and not inspect.getdoc(getattr(value, member))
    ]
    assert [] == undocumented


@pytest.mark.parametrize("face", FACES)
def test_public_names_are_listed_once_and_before_they_are_used(face):
    """``dir`` shows them, so completion in a shell does."""
    names = FACES[face].__all__
    assert len(set(names)) == len(names)
    if face == "symrnn.errors":  # nothing but errors is there anyway
        assert set(names) <= set(dir(FACES[face]))
    else:
        assert sorted(names) == sorted(dir(FACES[face]))


def test_everything_public_is_reached_from_the_package():
    """One import is enough, in a new interpreter, in any order; nothing else is bound."""
    names = [f"{face}.{name}" for face, name in PUBLIC if face != "symrnn"]
    names += [f"symrnn.{name}" for name in symrnn.__all__]
    run_python("import symrnn\nassert set(dir(symrnn)) == set(symrnn.__all__)")
    run_python("import symrnn\n" + "\n".join(reversed(names)))


def test_no_public_name_is_a_module_too():
    """A function never hides the module that defines it, nor is hidden by it."""
    check = """
import importlib, inspect, pkgutil, symrnn
for face in (symrnn, symrnn.equations, symrnn.kernels):
    modules = {m.name for m in pkgutil.iter_modules(face.__path__)}
    for name in set(face.__all__) & modules:
        assert inspect.ismodule(getattr(face, name)), name
"""
    run_python(check)


REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
DIRECTIVE = re.compile(
    r"^\.\. (?:py:|auto)(?:class|data|exception|function):: (symrnn[.\w]*)",
    re.MULTILINE,
)


def test_the_reference_lists_what_is_public_and_nothing_else():
    """The manual and ``__all__`` say the same; errors are listed where they are raised."""
    pages = "\n".join(page.read_text("utf-8") for page in REFERENCE.glob("*.md"))
    listed = DIRECTIVE.findall(pages)
    assert len(set(listed)) == len(listed)
    public = {f"{face}.{name}" for face, name in PUBLIC if face != "symrnn.errors"}
    assert set(symrnn.errors.__all__) <= set(symrnn.__all__)
    assert set(listed) | set(FACES) == public | {"symrnn"}


@pytest.mark.parametrize(
    "path",
    ["cells", "language", "audit.report", "domains.base", "schedules", "formats"],
)
def test_old_paths_are_gone(path):
    """Nothing stands in for where things lay before."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"symrnn.{path}")


def test_unknown_name_is_an_attribute_error():
    """Lazy binding does not change how a misspelt name fails."""
    with pytest.raises(AttributeError, match="evaluat_"):
        _ = symrnn.evaluat_


def test_import_is_light():
    """``import symrnn`` loads none of the libraries that it builds on."""
    assert [] == heavy_modules_after("import symrnn")


def test_listing_the_names_is_light():
    """Completion must not wait for SymPy either."""
    assert [] == heavy_modules_after("import symrnn; dir(symrnn)")


def test_help_is_light():
    """``symrnn --help`` loads none of the libraries that the commands build on."""
    help_command = """
import runpy, sys
sys.argv = ["symrnn", "--help"]
try:
    runpy.run_module("symrnn", run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
"""
    assert [] == heavy_modules_after(help_command)
