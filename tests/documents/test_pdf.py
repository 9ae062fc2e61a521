# SPDX-License-Identifier: BSD-3-Clause
"""PDF: what is written, by which TeX, and what is said where it cannot be."""

import os
import stat
import subprocess
import sys
import warnings
from functools import cache

import pytest
from click.testing import CliRunner

import symrnn
from symrnn.cli import main
from symrnn.documents.latex.pdf import compile_latex, write_pdf
from symrnn.documents.model import Display, Document, Heading, Symbol
from symrnn.errors import UnsupportedError
from tests.derivations.test_cases import derive_golden
from tests.require import require, require_tex_file

PAGE = Document((Heading(1, ("A title",)), Heading(2, ("A section",))))

ENGINES = ["pdflatex", "xelatex", "lualatex"]


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Make a PATH with nothing but programs of ours: ``only("pdflatex", "exit 1")``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(name, script):
        program = folder / name
        program.write_text(f"#!{sys.executable}\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return install


# --- what is written ----------------------------------------------------------------


def document_of(form):
    """Return a document of one feature; a few slides of it have all that slides have."""
    document = derive_golden("rnn_one_feature").document
    return Document(document.blocks[:20]) if form == "beamer" else document


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write the document of one feature by an engine in a form, once for all tests."""

    @cache
    def written(engine, form):
        path = tmp_path_factory.mktemp("written") / "a.pdf"
        write_pdf(document_of(form), path, form=form, engine=require(engine))
        return path

    return written


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["standalone", "beamer"])
def test_every_engine_writes_the_same_bytes_again(engine, form, tmp_path, written):
    """No date, no folder, no random identifier is in a PDF."""
    require(engine)
    if (engine, form) == ("xelatex", "beamer"):
        require_tex_file("pzdr.tfm")  # hyperref's, which XeTeX wants for slides
    write_pdf(document_of(form), tmp_path / "b.pdf", form=form, engine=engine)
    first = written(engine, form).read_bytes()
    assert first.startswith(b"%PDF-")
    assert first == (tmp_path / "b.pdf").read_bytes()


def test_the_pages_hold_the_document(written):
    """Its words and numbers can be found and copied."""
    path = written("pdflatex", "standalone")
    command = [require("pdftotext"), "-layout", path, "-"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "RNN (tanh), step by step" in text
    assert "0.9984" in text


def test_slides_know_how_many_they_are(written):
    """TeX runs until nothing changes."""
    path = written("pdflatex", "beamer")
    command = [require("pdftotext"), "-layout", path, "-"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert f"2/{text.count(chr(12))}" in text.replace(" ", "")


def test_nothing_is_left_behind(tmp_path, monkeypatch, pdflatex):
    """Auxiliary files are made elsewhere, and removed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    write_pdf(PAGE, tmp_path / "a.pdf")
    assert [] == os.listdir(tmp_path / "temporary")
    assert ["a.pdf", "temporary"] == sorted(os.listdir(tmp_path))


def test_text_runs_no_program_and_reads_no_file_elsewhere(tmp_path, pdflatex):
    """Not even where an author's own LaTeX asks for it."""
    secret = tmp_path / "secret.tex"
    secret.write_text("SECRET")
    before = r"\documentclass{article}\begin{document}x"
    shell = rf"\immediate\write18{{touch {tmp_path}/touched}}\end{{document}}"
    assert compile_latex(before + shell).startswith(b"%PDF-")
    assert not (tmp_path / "touched").exists()
    outside = (
        rf"\immediate\newwrite\f\immediate\openout\f={tmp_path}/touched\end{{document}}"
    )
    with pytest.raises(UnsupportedError):
        compile_latex(before + outside)
    assert not (tmp_path / "touched").exists()


# --- what is said -------------------------------------------------------------------


def test_without_a_tex_the_error_says_what_to_do(only, tmp_path):
    """Which programs were looked for, how to get one, and what works without."""
    with pytest.raises(
        UnsupportedError, match=r"pdflatex, xelatex.*apt install.*\.html"
    ):
        write_pdf(PAGE, tmp_path / "a.pdf")
    assert not (tmp_path / "a.pdf").exists()


def test_the_first_tex_that_is_there_is_taken(only, tmp_path):
    """Any of them does."""
    only("lualatex", "open('page.pdf', 'wb').write(b'%PDF-lua')")
    write_pdf(PAGE, tmp_path / "a.pdf")
    assert b"%PDF-lua" == (tmp_path / "a.pdf").read_bytes()


@pytest.mark.parametrize("engine", ["troff", "/bin/sh", "pdflatex"])
def test_an_engine_that_is_no_tex_is_refused(engine, only):
    """Only a known TeX is started."""
    with pytest.raises(UnsupportedError, match=f"there is no TeX '{engine}'"):
        compile_latex("", engine=engine)


def test_a_missing_package_is_named(only, tmp_path):
    """And the old file is left as it was."""
    only("pdflatex", "print('! LaTeX Error: File `beamer.cls\\' not found.'); exit(1)")
    target = tmp_path / "a.pdf"
    target.write_bytes(b"old")
    with pytest.raises(UnsupportedError, match=r"pdflatex has no beamer\.cls: install"):
        write_pdf(PAGE, target, form="beamer")
    assert b"old" == target.read_bytes()


def test_the_first_error_of_tex_is_in_the_message(tmp_path, pdflatex):
    """Such as the wrong LaTeX of an author's own notation."""
    document = Document((*PAGE.blocks, Display(((Symbol(r"\nonsense"),),))))
    with pytest.raises(
        UnsupportedError, match=r"stopped at an error: Undefined control"
    ):
        write_pdf(document, tmp_path / "a.pdf", engine="pdflatex")
    assert [] == os.listdir(tmp_path)


def test_a_tex_that_does_not_end_is_ended(only):
    """After the time that it has."""
    only("pdflatex", "import time; time.sleep(60)")
    with pytest.raises(UnsupportedError, match=r"did not finish in 0\.5 seconds"):
        compile_latex("", timeout=0.5)


def test_a_fragment_makes_no_pdf(tmp_path):
    """The error says which forms do."""
    with pytest.raises(UnsupportedError, match="standalone or beamer"):
        write_pdf(PAGE, tmp_path / "a.pdf", form="fragment")


def test_letters_that_tex_has_not_are_named(tmp_path, pdflatex):
    """A page with code points is no surprise: a warning says so, and a line at the shell."""
    net = symrnn.load({"weight_ih_l0": [[1]], "weight_hh_l0": [[1]]}, cell="rnn_tanh")
    page = symrnn.derive(net, [[1]], title="Zoë 李雷")
    with pytest.warns(symrnn.SymrnnWarning, match="do not have 李雷:"):
        page.save(tmp_path / "page.pdf")
    (tmp_path / "names").write_text("Петр\n", encoding="utf-8")
    arguments = [
        "exercise",
        "--students",
        str(tmp_path / "names"),
        "-o",
        str(tmp_path / "s"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert "symrnn: warning: TeX's own fonts do not have Петр:" in result.stderr
