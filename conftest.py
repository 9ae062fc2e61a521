# SPDX-License-Identifier: BSD-3-Clause
"""Guards around every test, the package's doctests included."""

import ast
import gc
import os
from collections.abc import Iterator

# Before NumPy or torch starts its threads: sums come out the same on every machine.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import flint
import mpmath
import pytest

from tests.require import REQUIRE_ALL, is_allowed_skip, require_module

OPTIONAL_MODULES = {"ml_dtypes", "safetensors", "torch", "yaml"}


@pytest.fixture(autouse=True)
def global_precision_untouched() -> Iterator[None]:
    """Nothing may leave python-flint's or mpmath's global precision changed."""
    assert _precisions() == (53, 53), "(flint, mpmath) precision before the test"
    yield
    left = _precisions()
    flint.ctx.prec = mpmath.mp.prec = 53  # the next test is not to blame
    assert left == (53, 53), "(flint, mpmath) precision left by the test"


@pytest.fixture(autouse=True, scope="session")
def figures_are_not_those_of_a_user(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """What somebody calibrated on this machine may be of another kernel than runs now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYMRNN_CACHE", str(tmp_path_factory.mktemp("calibrated")))
        yield


def _precisions() -> tuple[int, int]:
    return flint.ctx.prec, mpmath.mp.prec


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the garbage collector need not look at them.

    Nor need it look often at expressions and caches, which mostly stay as well.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a doctest whose examples import an optional package that is missing."""
    if isinstance(item, pytest.DoctestItem):
        for name in sorted(_imports(item) & OPTIONAL_MODULES):
            require_module(name)


def _imports(item: pytest.DoctestItem) -> set[str]:
    names: set[str] = set()
    for example in item.dtest.examples:
        for node in ast.walk(_parse(example.source)):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names


def _parse(source: str) -> ast.AST:
    try:
        return ast.parse(source)
    except SyntaxError:  # the doctest itself will say so, better
        return ast.Module([], [])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With SYMRNN_REQUIRE_ALL set, a skipped test is a failed one."""
    report = yield
    return _skip_is_failure(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a module that skips itself as a whole."""
    report = yield
    return _skip_is_failure(report)


def _skip_is_failure(report):
    expected_failure = hasattr(report, "wasxfail")
    if REQUIRE_ALL and report.outcome == "skipped" and not expected_failure:
        reason = report.longrepr[-1] if report.longrepr else "no reason given"
        if not is_allowed_skip(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason} - and SYMRNN_REQUIRE_ALL forbids skips"
    return report
