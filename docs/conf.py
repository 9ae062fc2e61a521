# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx configuration; `make docs` builds with warnings as errors."""

import re
from importlib import import_module

import symrnn

project = "symrnn"
author = "The symrnn authors"
copyright = f"2026, {author}"
version = release = symrnn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"symrnn {version}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# `name` in a docstring is a link where the name is documented, else code.
default_role = "py:obj"
# pytest runs the examples in docstrings, where they see their module's names; here only
# the pages' own {doctest} blocks run.
doctest_test_doctest_blocks = ""
autodoc_member_order = "groupwise"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

# Inventories of other projects would need a network. What must resolve is what is said
# of symrnn's public names.
nitpick_ignore_regex = [
    ("py:(class|data|exc|obj)", r"(?!symrnn\.\w+$).*"),
]

# The text of a `$` formula has no backquote and does not start or end with a space.
_MATH = re.compile(r"(?<![\w$`\\])\$(?! )([^$`\n]+)(?<! )\$(?![\w$`])")


def setup(app):
    app.connect("autodoc-process-docstring", _render_math)
    app.connect("missing-reference", _resolve_public_name)


def _render_math(app, what, name, obj, options, lines):
    """Let docstrings write formulas as the Markdown pages do."""
    lines[:] = [_MATH.sub(r":math:`\1`", line) for line in lines]


def _resolve_public_name(app, env, node, content):
    """Link ``symrnn.runs.trace.Trace``, as annotations say it, to ``symrnn.Trace``."""
    module, _, name = node.get("reftarget", "").rpartition(".")
    if not module.startswith("symrnn."):
        return None
    for face in (symrnn, symrnn.equations, symrnn.kernels, symrnn.testing):
        if name not in face.__all__:
            continue
        if getattr(import_module(module), name, None) is getattr(face, name):
            target = f"{face.__name__}.{name}"
            return env.domains.python_domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", target, node, content
            )
    return None
