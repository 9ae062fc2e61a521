# SPDX-License-Identifier: BSD-3-Clause
"""Imports inside the package point one way: down the table below."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "symrnn"

# A module may import modules of the lines above its own, and of its own folder.
# A name stands for the module and for all that is in the folder of that name, but for
# what has a line of its own: `domains.base` only says what a domain must offer.
LAYERS = [
    ["errors", "data", "showing", "workers", "writing"],
    ["directed"],
    ["elementary", "norms"],
    ["formats", "functions", "numbers", "shared"],
    ["rounding"],
    ["language"],
    ["cells"],
    ["domains.base", "polynomials"],
    ["program"],
    ["derivatives"],
    ["network"],
    ["inputs", "notation"],
    ["domains", "sources"],
    ["arrays"],
    ["trace"],
    ["run"],
    ["slopes"],
    ["unitwise"],
    ["contraction", "parallel"],
    ["propagation"],
    ["evaluate", "schedules", "stream", "unroll"],
    ["audit"],
    ["documents", "diagnose", "measuring", "testing"],
    ["calibrate", "demo", "exercises"],
    ["cli"],
    ["__init__", "__main__"],
]

RANK = {f"symrnn.{name}": rank for rank, row in enumerate(LAYERS) for name in row}
EVERYWHERE = {"__version__"}  # what any module may take from `symrnn` itself


def violations(package: Path) -> Iterator[str]:
    """Yield a line for each import under `package` that points the wrong way."""
    for path in sorted(package.rglob("*.py")):
        module = ".".join(("symrnn", *path.relative_to(package).with_suffix("").parts))
        entry = _entry(module)
        if entry is None:
            yield f"{module} has no place in LAYERS: decide what may import it"
            continue
        for line, target in _imports(path, module):
            found = _entry(target)
            if found is None:
                yield f"{module}:{line} imports {target}, which has no place in LAYERS"
            elif found != entry and RANK[found] >= RANK[entry]:
                yield f"{module}:{line} imports {target}, which is not below it"


def _entry(module: str) -> str | None:
    """Return the most specific name of the table that stands for `module`."""
    while module and module not in RANK:
        module = module.rpartition(".")[0]
    return module or None


def _imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Yield line and module of each import from symrnn, lazy ones included."""
    modules = {p.stem if p.is_file() else p.name for p in PACKAGE.iterdir()}
    modules |= {name.split(".")[1] for name in RANK}
    for node in _running_code(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node.module, node.level, module)
            if base == "symrnn":
                names = [
                    f"symrnn.{alias.name if alias.name in modules else '__init__'}"
                    for alias in node.names
                    if alias.name not in EVERYWHERE
                ]
            else:
                names = [base]
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            argument = getattr(node.args[0], "value", None)
            if called in ("import_module", "__import__") and isinstance(argument, str):
                level = len(argument) - len(argument.lstrip("."))
                names = [_absolute(argument.lstrip("."), level, module)]
        for name in names:
            if name == "symrnn":
                yield node.lineno, "symrnn.__init__"
            elif name.startswith("symrnn."):
                yield node.lineno, name


def _absolute(name: str | None, level: int, module: str) -> str:
    if level == 0:
        return name or ""
    parents = module.split(".")[:-level]
    return ".".join([*parents, name] if name else parents)


def _running_code(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk `tree`, leaving out what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            for other in node.orelse:
                yield other
                yield from _running_code(other)
        else:
            yield node
            yield from _running_code(node)


def _is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "attr", getattr(test, "id", None)) == "TYPE_CHECKING"


def test_imports_point_down():
    """No module of the package imports one at its own height or above."""
    assert [] == list(violations(PACKAGE))


WRONG = {
    "upwards": ("trace", "from symrnn.runs.run import run"),
    "same height": ("sources/torch", "import symrnn.domains.ball"),
    "lazy": ("cells", "def f():\n    from symrnn.runs.run import run"),
    "relative": ("domains/ball", "from ..run import run"),
    "from the package": ("language", "from symrnn import cells"),
    "a public name": ("trace", "from symrnn import load"),
    "the package": ("trace", "import symrnn"),
    "by name": ("run", "import importlib\nimportlib.import_module('symrnn.audit')"),
    "else branch": (
        "errors",
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    pass\nelse:\n    import symrnn.equations.cells",
    ),
    "implementation of an interface": ("domains/base", "import symrnn.domains.ball"),
    "unknown target": ("cli", "import symrnn.new"),
    "unknown module": ("new", ""),
}

RIGHT = {
    "downwards": ("cells", "from symrnn.equations.language import add"),
    "interface": ("program", "from symrnn.equations.domain import Domain"),
    "own folder": ("domains/ball", "from symrnn.equations.domain import Domain"),
    "own folder, relative": ("audit/__init__", "from .report import Report"),
    "types only": (
        "errors",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import symrnn.runs.run",
    ),
    "version": ("cli", "from symrnn import __version__"),
    "others": ("errors", "import sympy"),
    "the top": ("__init__", "from symrnn.cli import main"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_imports_are_reported(tmp_path, case):
    """Each way to import upwards is seen, and named with its line."""
    found = _violations_of(tmp_path, *WRONG[case])
    assert 1 == len(found), found
    assert found[0].startswith("symrnn." + WRONG[case][0].replace("/", "."))


@pytest.mark.parametrize("case", RIGHT)
def test_right_imports_are_not_reported(tmp_path, case):
    """What the rule allows stays allowed."""
    assert [] == _violations_of(tmp_path, *RIGHT[case])


def _violations_of(folder: Path, module: str, source: str) -> list[str]:
    path = folder / f"{module}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    return list(violations(folder))
