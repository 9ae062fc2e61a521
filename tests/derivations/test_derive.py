# SPDX-License-Identifier: BSD-3-Clause
"""Derivations as documents: golden files, printing, hostile text, saving."""

import os
import re

import pytest

import symrnn
from symrnn.documents.latex.text import escape as escape_latex
from symrnn.documents.markdown import escape as escape_markdown
from symrnn.documents.model import Code, Document, Heading, Paragraph, Strong
from symrnn.errors import UnsupportedError
from tests.derivations.test_cases import (
    DIFFICULT,
    GOLDEN,
    GOLDEN_FILES,
    compile_latex,
    compile_together,
    complaints,
    derive_difficult,
    derive_golden,
    one_feature,
)
from tests.require import require, require_module

# --- golden files -------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".md", ".tex", ".html", ".ipynb"])
@pytest.mark.parametrize("case", GOLDEN_FILES)
def test_documents_are_as_reviewed(case, suffix, golden):
    """No page has changed since somebody read it."""
    if suffix == ".ipynb":
        require_module("nbformat")
    golden(f"{case}{suffix}", derive_golden(case).text(suffix))


@pytest.mark.parametrize("case", GOLDEN)
def test_both_formats_show_the_same_formulas(case):
    """One document, two faces: every formula of one is in the other, in order."""
    page = derive_golden(case)
    assert formulas_in(page.markdown()) == formulas_in(page.latex())


def formulas_in(text):
    bodies = re.findall(
        r"\\begin\{(?:align|gather)\w*\*?\}(.*?)\\end\{", text, re.DOTALL
    )
    return [body.replace(r"\\*", r"\\") for body in bodies]


# --- printing -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """What TeX says of each page, all compiled at once; of one, compiled by itself."""
    pages = {case: derive_golden(case).latex() for case in GOLDEN}
    pages |= {case: derive_difficult(case).latex() for case in DIFFICULT}
    folder, pdflatex = tmp_path_factory.mktemp("pages"), require("pdflatex")
    alone = compile_latex(folder, pages.pop("lstm"), pdflatex, runs=2)
    return compile_together(folder, pages, pdflatex) | {"lstm": alone}


@pytest.mark.parametrize("case", GOLDEN)
def test_latex_compiles_without_a_warning(case, logs):
    """TeX has nothing to say about the pages: no box too full, none too empty."""
    assert [] == complaints(logs[case])


@pytest.mark.parametrize("case", DIFFICULT)
def test_difficult_pages_compile_without_a_warning(case, logs):
    """Wide matrices, long numbers and high symbols fit on the page."""
    assert [] == complaints(logs[case])


def test_fragment_compiles_inside_another_document(tmp_path, pdflatex):
    """A fragment needs the three packages it names, and leaves nothing behind."""
    fragment = derive_golden("gru").latex(form="fragment")
    packages = re.search(r"% Needs (\\usepackage\S+)\.", fragment)[1]
    text = (
        rf"\documentclass{{article}}{packages}\usepackage[margin=2cm]{{geometry}}"
        rf"\begin{{document}}{fragment}\the\arraycolsep\end{{document}}"
    )
    log = compile_latex(tmp_path, text, pdflatex)
    assert "Overfull" not in log
    assert r"\begin{document}" not in fragment


HOSTILE = (
    r"\input{x} $\alpha$ 50% #1 a_b^c ~ <script>alert(1)</script> & | ` é σ 語 \end"
)


def test_hostile_title_compiles_and_prints(tmp_path, pdflatex):
    """What is TeX in a title is printed, not executed, under an engine for ASCII."""
    page = symrnn.derive(one_feature(), [[3]], title=HOSTILE)
    log = compile_latex(tmp_path, page.latex(), pdflatex)
    assert [] == complaints(log)


def test_hostile_title_is_escaped_in_latex():
    """No command, dollar sign or comment of the title reaches TeX as such."""
    text = symrnn.derive(one_feature(), [[3]], title=HOSTILE).latex()
    assert r"\input{x}" not in text
    assert r"\textbackslash{}input\{x\} \$\textbackslash{}alpha\$ 50\% \#1 a\_b" in text
    assert text.count(r"\end{document}") == 1
    assert text.isascii()


def test_hostile_title_is_escaped_in_markdown():
    """No tag, dollar sign or emphasis of the title reaches a renderer as such."""
    title = (
        symrnn.derive(one_feature(), [[3]], title=HOSTILE).markdown().splitlines()[0]
    )
    assert "<" not in title
    assert "$" not in title
    assert r"a\_b^c" in title
    assert "&lt;script&gt;" in title


def test_every_kind_of_text_is_escaped():
    """Headings, paragraphs, code and emphasis alike."""
    evil = r"\x{$<b>_"
    content = (evil, Code(evil), Strong(evil))
    document = Document((Heading(1, (evil,)), Heading(2, content), Paragraph(content)))
    page = symrnn.Derivation(document=document, trace=None)
    assert 7 == page.latex().count(r"\textbackslash{}x\{\$\ensuremath{<}b")
    assert 7 == page.markdown().count(r"\\x\{&#36;&lt;b&gt;\_")


@pytest.mark.parametrize("escape", [escape_latex, escape_markdown])
def test_control_characters_are_dropped(escape):
    """A line break in a title cannot start a new block."""
    assert "a b c" == escape("a\nb\x00c")


# --- files --------------------------------------------------------------------------


def test_save_chooses_by_suffix(tmp_path):
    """.tex and .md hold what the methods return; a fragment is asked for."""
    page = symrnn.derive(one_feature(), [[3]])
    assert page.latex() == page.save(tmp_path / "a.tex").read_text(encoding="utf-8")
    assert page.markdown() == page.save(tmp_path / "a.MD").read_text(encoding="utf-8")
    fragment = page.save(str(tmp_path / "b.tex"), form="fragment")
    assert page.latex(form="fragment") == fragment.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["a.doc", "a", "a.tex.gz"])
def test_unknown_suffix_is_refused_with_the_known_ones(name, tmp_path):
    """The error lists what there is, and nothing is written."""
    with pytest.raises(UnsupportedError, match=r"none of \.tex, \.pdf, \.html"):
        symrnn.derive(one_feature(), [[3]]).save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())


def test_fragment_of_markdown_is_refused(tmp_path):
    """An option that would do nothing is an error."""
    with pytest.raises(UnsupportedError, match=r"form='fragment' is for \.tex"):
        symrnn.derive(one_feature(), [[3]]).save(tmp_path / "a.md", form="fragment")


@pytest.mark.parametrize("step", ["os.replace", "shutil.copymode"])
def test_failed_save_leaves_the_old_file_and_nothing_else(step, tmp_path, monkeypatch):
    """Whatever fails, no half-written or temporary file stays."""
    page = symrnn.derive(one_feature(), [[3]])
    target = tmp_path / "page.tex"
    target.write_text("old")

    def fail(*args, **options):
        raise OSError("disk full")

    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="disk full"):
        page.save(target)
    monkeypatch.undo()
    assert ["page.tex"] == os.listdir(tmp_path)
    assert "old" == target.read_text()


def test_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    """A lone surrogate fails when the file is open already."""
    monkeypatch.setattr(symrnn.Derivation, "markdown", lambda self: "half \ud800")
    page = symrnn.derive(one_feature(), [[3]])
    with pytest.raises(UnicodeEncodeError):
        page.save(tmp_path / "a.md")
    assert [] == list(tmp_path.iterdir())


def test_saved_file_has_the_permissions_of_any_new_file(tmp_path):
    """Writing through a temporary file does not make the page private."""
    plain = tmp_path / "plain"
    plain.touch()
    page = symrnn.derive(one_feature(), [[3]]).save(tmp_path / "a.md")
    assert plain.stat().st_mode == page.stat().st_mode


def test_jupyter_gets_both_formats():
    """A notebook shows the Markdown, and exports the fragment."""
    page = symrnn.derive(one_feature(), [[3]])
    assert page.markdown() == page._repr_markdown_()
    assert page.latex(form="fragment") == page._repr_latex_()


def test_the_same_derivation_gives_the_same_bytes():
    """No dates, no addresses, no order of a set."""
    make, inputs = GOLDEN["lstm"]
    first, second = (symrnn.derive(make(), inputs) for _ in range(2))
    assert first.document == second.document
    assert first.latex() == second.latex()
