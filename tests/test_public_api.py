# SPDX-License-Identifier: BSD-3-Clause
"""The public names are there, are documented, and cost nothing until they are used."""

import functools
import inspect
import subprocess
import sys

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


@pytest.mark.parametrize("name", symrnn.__all__)
def test_public_name_is_documented(name):
    """Each name of ``symrnn.__all__`` is something with its own docstring."""
    value = getattr(symrnn, name)
    if name.startswith("__"):
        return
    text = inspect.getdoc(value)
    assert text, f"symrnn.{name} has no docstring"
    assert not text.startswith(f"{name}("), f"symrnn.{name} has a generated docstring"


@pytest.mark.parametrize("name", symrnn.__all__)
def test_public_methods_are_documented(name):
    """Each public method has a docstring, or overrides a method that has."""
    value = getattr(symrnn, name)
    members = vars(value).items() if inspect.isclass(value) else ()
    undocumented = [
        member
        for member, definition in members
        if not member.startswith("_")
        and (callable(definition) or isinstance(definition, DESCRIPTORS))
        and not inspect.getdoc(getattr(value, member))
    ]
    assert [] == undocumented


def test_public_names_are_sorted_and_unique():
    """A name is in one place of the list, where a reader looks for it."""
    assert sorted(set(symrnn.__all__)) == sorted(symrnn.__all__)


def test_public_names_are_listed_before_they_are_used():
    """``dir(symrnn)`` shows them, so completion in a shell does."""
    assert set(symrnn.__all__) <= set(dir(symrnn))


def test_public_name_wins_over_the_module_of_the_same_name():
    """``symrnn.evaluate`` stays the function after ``import symrnn.evaluate``."""
    check = """
import importlib, inspect, pkgutil, symrnn
names = {n for n in symrnn.__all__ if n not in ("__version__",)}
modules = names & {m.name for m in pkgutil.iter_modules(symrnn.__path__)}
for name in modules:
    importlib.import_module(f"symrnn.{name}")
print(sorted(n for n in names if inspect.ismodule(getattr(symrnn, n))))
"""
    assert "[]\n" == run_python(check)


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
