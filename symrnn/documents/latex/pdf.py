# SPDX-License-Identifier: BSD-3-Clause
"""PDF, through the TeX that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from symrnn.documents.latex.text import unprinted
from symrnn.documents.latex.writer import Form, write_latex
from symrnn.documents.model import Document
from symrnn.errors import SymrnnWarning, UnsupportedError
from symrnn.numerics.files import write_bytes

__all__ = ["compile_latex", "write_pdf"]

_ENGINES: Mapping[str, tuple[str, ...]] = {
    "pdflatex": ("-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error"),
    "xelatex": ("-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error"),
    "lualatex": ("-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error"),
    "tectonic": ("--untrusted", "--keep-logs"),
}
"""What is looked for, in this order, and how it is told to ask and to run nothing."""

_MOST_RUNS = 3
_TIMEOUT = 300.0  # seconds for one run

# The same document gives the same bytes: no identifier made from time and folder.
_NO_IDENTIFIER = (
    r"\ifdefined\pdftrailerid\pdftrailerid{}\fi"
    r"\ifdefined\pdfvariable\pdfvariable trailerid{[()()]}\fi"
)
_SOME_DATE = "315532800"  # 1980-01-01


def write_pdf(
    document: Document,
    path: str | os.PathLike[str],
    *,
    form: Form = "standalone",
    colour: bool = False,
    engine: str | None = None,
) -> None:
    """Write `document` as a PDF, whole or not at all.

    Args:
        document: What to write.
        path: The file.
        form: ``standalone``, pages; or ``beamer``, slides.
        colour: Whether quantities have the colours of their tones.
        engine: A TeX by name or path; by default the first that is installed of
            pdflatex, xelatex, lualatex and tectonic.

    Raises:
        OSError: The file cannot be written.
        UnsupportedError: There is no TeX, or it lacks something; or the form is a
            fragment.
    """
    if form == "fragment":
        raise UnsupportedError(
            "a fragment is no document, and makes no PDF: choose the form standalone or "
            "beamer, or save it as .tex"
        )
    text = write_latex(document, form=form, colour=colour)
    letters = "".join(dict.fromkeys(unprinted(text)))
    if letters:
        warnings.warn(
            f"TeX's own fonts do not have {letters}: the PDF has code points instead; "
            "HTML shows them, and .tex can be given another font",
            SymrnnWarning,
            stacklevel=3,
        )
    write_bytes(Path(path), compile_latex(text, engine=engine))


def compile_latex(
    text: str, *, engine: str | None = None, timeout: float = _TIMEOUT
) -> bytes:
    """Compile a LaTeX document of ours, and return the PDF.

    TeX runs in a folder of its own, without a shell. The same text gives the same bytes.

    Args:
        text: The document.
        engine: A TeX by name or path; the first that is installed by default.
        timeout: Seconds for one run.

    Raises:
        UnsupportedError: There is no TeX, or it lacks something.
    """
    program = _find(engine)
    with tempfile.TemporaryDirectory(prefix="symrnn-") as name:
        folder = Path(name)
        (folder / "page.tex").write_text(f"{_NO_IDENTIFIER}\n{text}", encoding="utf-8")
        for _ in range(_MOST_RUNS):
            before = _auxiliary(folder)
            log = _run(program, folder, timeout)
            # Packages name themselves "Rerun checks": what a run leaves for the next decides.
            if "Rerun" not in log or _auxiliary(folder) == before:
                break
        return (folder / "page.pdf").read_bytes()


def _find(engine: str | None) -> str:
    """Return the path of a TeX."""
    if engine is not None:
        found = shutil.which(engine)
        if found is None or Path(found).stem not in _ENGINES:
            raise UnsupportedError(
                f"there is no TeX {engine!r}: give the name or path of one of "
                f"{', '.join(_ENGINES)}"
            )
        return found
    for name in _ENGINES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise UnsupportedError(
        f"a PDF needs a TeX, and none of {', '.join(_ENGINES)} is installed: install one "
        "(Debian and Ubuntu: apt install texlive-latex-recommended texlive-pictures "
        "lmodern; macOS: MacTeX; Windows: MiKTeX), or write .tex or .html instead, "
        "which need nothing"
    )


def _run(program: str, folder: Path, timeout: float) -> str:
    """Run TeX once and return its log."""
    name = Path(program).stem
    command = [program, *_ENGINES[name], "page.tex"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnsupportedError(
            f"{name} did not finish in {timeout:g} seconds: derive fewer steps, or write "
            ".tex and compile it yourself"
        ) from None
    if done.returncode or not (folder / "page.pdf").exists():
        raise UnsupportedError(
            _what_is_wrong(name, done.stdout.decode(errors="replace"))
        )
    log = folder / "page.log"
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _auxiliary(folder: Path) -> dict[str, bytes]:
    """Return what one run of TeX leaves for the next."""
    kept = {".pdf", ".log", ".tex"}
    files = [path for path in folder.iterdir() if path.suffix not in kept]
    return {path.name: path.read_bytes() for path in files}


def _environment() -> dict[str, str]:
    """Return the environment of TeX: a fixed date, files of its own folder alone."""
    fixed = {
        "FORCE_SOURCE_DATE": "1",
        "max_print_line": "1000",
        "openin_any": "p",
        "openout_any": "p",
    }
    return {"SOURCE_DATE_EPOCH": _SOME_DATE, **os.environ, **fixed}


def _what_is_wrong(name: str, output: str) -> str:
    """Return a message from the first error that TeX reports."""
    found = re.search(r"^!\s*(.*?)\s*$|^error: (.*)$", output, re.MULTILINE)
    error = (found[1] or found[2]) if found else output.strip()[-200:]
    missing = re.search(r"File [`'](\S+)' not found", error)
    if missing:
        return (
            f"{name} has no {missing[1]}: install the LaTeX package it belongs to, or "
            "write .tex or .html instead"
        )
    return (
        f"{name} stopped at an error: {error}. Write .tex to see the document that it "
        "stopped at; if it has no LaTeX of yours, please report it"
    )
