# SPDX-License-Identifier: BSD-3-Clause
"""Derivations as documents: golden files, files, hostile text, what is shown."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import sympy

import symrnn
from symrnn.cells import Cell, hidden_size, input_size, previous, quantity, rnn, x
from symrnn.documents.derivation import WRITERS
from symrnn.documents.latex import escape as escape_latex
from symrnn.documents.markdown import escape as escape_markdown
from symrnn.documents.model import Code, Document, Heading, Paragraph, Strong
from symrnn.documents.notation import Names
from symrnn.documents.tex import math
from symrnn.errors import ShapeError, SourceError, SymrnnError, UnsupportedError
from symrnn.language import (
    add,
    hadamard,
    matmul,
    matrix,
    neg,
    tanh,
    transpose,
    vector,
)
from symrnn.network import Network
from symrnn.notation import parameter_at, quantity_at, state_before
from tests.test_documents_cases import (
    DIFFICULT,
    GOLDEN,
    PADDED,
    SEQUENCE,
    bidirectional,
    hidden_size_two,
    one_feature,
    random_network,
    stacked,
)


def derive_golden(case):
    make, inputs = GOLDEN[case]
    return symrnn.derive(make(), inputs)


# --- golden files -------------------------------------------------------------------


@pytest.mark.parametrize("case", GOLDEN)
def test_markdown_is_as_reviewed(case, golden):
    """The page has not changed since somebody read it."""
    golden(f"{case}.md", derive_golden(case).markdown())


@pytest.mark.parametrize("case", GOLDEN)
def test_latex_is_as_reviewed(case, golden):
    """Nor has its LaTeX."""
    golden(f"{case}.tex", derive_golden(case).latex())


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


def compile_latex(folder, text, engine):
    """Compile twice, as longtable asks for, and return the log of the second run."""
    (folder / "page.tex").write_text(text, encoding="utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    for _ in range(2):
        run = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]
    return (folder / "page.log").read_text(encoding="utf-8", errors="replace")


def complaints(log):
    return re.findall(r".*(?:Overfull|Underfull|Warning|Missing character).*", log)


@pytest.mark.parametrize("case", GOLDEN)
def test_latex_compiles_without_a_warning(case, tmp_path, pdflatex):
    """TeX has nothing to say about the pages: no box too full, none too empty."""
    log = compile_latex(tmp_path, derive_golden(case).latex(), pdflatex)
    assert [] == complaints(log)


@pytest.mark.parametrize("case", DIFFICULT)
def test_difficult_pages_compile_without_a_warning(case, tmp_path, pdflatex):
    """Wide matrices, long numbers and high symbols fit on the page."""
    make, inputs, options = DIFFICULT[case]
    page = symrnn.derive(make(), inputs, **options)
    assert [] == complaints(compile_latex(tmp_path, page.latex(), pdflatex))


def test_fragment_compiles_inside_another_document(tmp_path, pdflatex):
    """A fragment needs the three packages it names, and leaves nothing behind."""
    fragment = derive_golden("gru").latex(standalone=False)
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
    fragment = page.save(str(tmp_path / "b.tex"), standalone=False)
    assert page.latex(standalone=False) == fragment.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["a.doc", "a", "a.tex.gz"])
def test_unknown_suffix_is_refused_with_the_known_ones(name, tmp_path):
    """The error lists what there is, and nothing is written."""
    with pytest.raises(UnsupportedError, match=r"none of \.md, \.tex"):
        symrnn.derive(one_feature(), [[3]]).save(tmp_path / name)
    assert [] == list(tmp_path.iterdir())


def test_fragment_of_markdown_is_refused(tmp_path):
    """An option that would do nothing is an error."""
    with pytest.raises(UnsupportedError, match=r"standalone=False is for \.tex"):
        symrnn.derive(one_feature(), [[3]]).save(tmp_path / "a.md", standalone=False)


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
    monkeypatch.setitem(WRITERS, ".md", lambda document: "half \ud800")
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
    assert page.latex(standalone=False) == page._repr_latex_()


def test_the_same_derivation_gives_the_same_bytes():
    """No dates, no addresses, no order of a set."""
    first, second = (derive_golden("lstm") for _ in range(2))
    assert first.document == second.document
    assert first.latex() == second.latex()


# --- what is shown ------------------------------------------------------------------


def headings(page):
    return [line for line in page.markdown().splitlines() if line.startswith("#")]


def test_long_sequences_show_the_first_steps_and_the_last():
    """A thousand steps make four, and the page says what it leaves out."""
    page = symrnn.derive(one_feature(), [["1/2"]] * 1000)
    steps = [line for line in headings(page) if "Step" in line]
    assert ["### Step 1", "### Step 2", "### Step 3", "### Step 1000"] == steps
    assert "Steps 4 to 999 are left out" in page.markdown()
    assert len(page.latex()) < 12_000


def test_reverse_direction_goes_from_the_last_step_to_the_first():
    """Steps are in the order of computing, and start from the state after the last."""
    page = symrnn.derive(bidirectional(), SEQUENCE)
    text = page.markdown()
    steps = [line for line in headings(page) if "Step" in line]
    assert [f"### Step {t}" for t in (1, 2, 3, 4, 4, 3, 2, 1)] == steps
    assert r"\overleftarrow{W}_{hh} \overleftarrow{h}_{5}" in text
    assert r"\overleftarrow{h}_{6}" not in text


def test_reverse_direction_leaves_out_the_middle_too():
    """Of ten steps in reverse, the last three and the first are shown."""
    page = symrnn.derive(bidirectional(), SEQUENCE * 2 + SEQUENCE[:2])
    steps = [line for line in headings(page) if "Step" in line]
    assert [f"### Step {t}" for t in (1, 2, 3, 10, 10, 9, 8, 1)] == steps
    assert "Steps 2 to 7 are left out" in page.markdown()


def test_big_matrices_keep_their_corners():
    """First and last rows and columns are shown, dots between, and the page says so."""
    make, inputs, options = DIFFICULT["many columns"]
    net = make()
    text = symrnn.derive(net, inputs, **options).markdown()
    W = net.parameters[0, "forward"]["W_ih"]
    for corner in (W[0, 0], W[0, -1], W[-1, 0], W[-1, -1]):
        assert f"{float(corner):.4f}" in text
    assert f"{float(W[7, 9]):.4f}" not in text
    assert r"\ddots" in text
    assert "dots stand for the elements that are left out" in text
    assert "left out" not in derive_golden("lstm").markdown()


def test_sequences_of_different_length_end_at_their_own_step():
    """Each has its own steps, and its last state is that of its own last step."""
    make, inputs, options = DIFFICULT["lengths"]
    page = symrnn.derive(make(), inputs, **options)
    text = page.markdown()
    first, second = text.split("## Sequence 2")
    assert "#### Step 3" in first
    assert "#### Step 3" not in second
    assert r"\overleftarrow{h}_{3} = \left" in second.split("#### Step")[0]
    output = second.split("## Output")[1]
    trace = symrnn.evaluate(make(), inputs, **options)
    for decimal in np.ravel(trace.h_n.decimal(places=4)):
        assert decimal in output


def test_many_sequences_show_a_few():
    """Of ten sequences three are shown; the page says which are not."""
    net = random_network(rnn(bias=False), 2, 2)
    page = symrnn.derive(net, [[[b, 1]] * 10 for b in range(2)])
    shown = [line for line in headings(page) if "Sequence" in line]
    assert ["## Sequence 1", "## Sequence 2", "## Sequence 10"] == shown
    assert "Sequences 3 to 9 are left out" in page.markdown()


def test_packed_sequences_are_shown_in_the_order_of_the_batch(torch):
    """A PackedSequence gives the same steps as its padded batch."""
    module = torch.nn.GRU(2, 2, bias=False)
    padded = torch.tensor(PADDED, dtype=torch.float32)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    packed = pack(padded, [2, 3], enforce_sorted=False)
    net = symrnn.load(module)
    one = symrnn.derive(net, packed).markdown()
    other = symrnn.derive(net, PADDED, lengths=[2, 3]).markdown()
    assert other.split("## Output")[0] == one.split("## Output")[0]
    assert "(5, 2), packed" in one


def test_initial_states_are_printed_as_given():
    """What is given as hx appears among the inputs and in the first step."""
    page = symrnn.derive(one_feature(), [[3]], [["0.25"]]).markdown()
    assert "h_{0} = 0.25" in page
    assert r"W_{hh} h_{0} &= -0.8218 \cdot 0.25 \approx -0.2054" in page


def test_layers_read_the_layer_below():
    """The input of layer 2 is written as such, and no arrow or layer is missing."""
    text = symrnn.derive(stacked(), SEQUENCE).markdown()
    assert "x_{t}^{(2)} = h_{t}^{(1)}" in text
    assert r"W_{ih}^{(2)} x_{1}^{(2)} &\approx" in text
    assert "x_{1}^{(1)}" not in text


def test_fractions_are_rounded_and_integers_are_not():
    """1/3 is ≈ 0.3333, 2 is = 2, and 0.0625 is written out although it is longer."""
    arrays = {"weight_ih_l0": [["1/3"], ["0.0625"]], "weight_hh_l0": [[2, 0], [0, 2]]}
    text = symrnn.derive(
        symrnn.load(arrays, cell="rnn_relu"), [[3]], digits=3
    ).markdown()
    assert r"W_{ih} \approx \left[\begin{array}{r} 0.333 \\ 0.062 \end{array}" in text
    assert r"W_{hh} = \left[\begin{array}{rr} 2 & 0 \\ 0 & 2 \end{array}" in text
    # 1/3 times 3 is exactly 1, although 1/3 is not printed exactly.
    arrays["weight_ih_l0"] = [["1/3"], ["0.0625"]]
    exact = symrnn.derive(symrnn.load(arrays, cell="rnn_relu"), [[3]]).markdown()
    assert r"= \left[\begin{array}{r} 1.0000 \\ 0.1875 \end{array}" in exact


def test_tiny_numbers_are_not_scientific():
    """Digits after the point are what was asked for, whatever the size."""
    arrays = {"weight_ih_l0": [["1e-9"]], "weight_hh_l0": [[0]]}
    net = symrnn.load(arrays, cell="rnn_tanh")
    text = symrnn.derive(net, [["1/3"]], digits=12).markdown()
    assert r"\approx 0.000000000333" in text
    assert "e-" not in text.replace("base-", "")


def test_a_relu_network_is_exact_as_long_as_it_is_short():
    """Its values are rational: = where four digits hold them, ≈ where not."""
    arrays = {"weight_ih_l0": [["0.5"]], "weight_hh_l0": [["0.25"]]}
    net = symrnn.load(arrays, cell="rnn_relu")
    text = symrnn.derive(net, [[1]] * 4).markdown()
    assert r"= \mathrm{relu}(0.625) = 0.625" in text  # GitHub has no \operatorname
    assert r"\approx \mathrm{relu}(0.6641) \approx 0.6641" in text
    assert r"\operatorname{relu}" in symrnn.derive(net, [[1]]).latex()


def odd_cell():
    """Return a cell with every node: transposes, negatives, a sum inside a product."""
    H = hidden_size
    W, U = matrix("W", H, input_size), matrix("U", H, H)
    b, h = vector("b", H), previous("h", H)
    gate = quantity("gate", H)
    return Cell.define(
        "odd",
        parameters=[W, U, b],
        equations={
            gate: neg(add(matmul(W, x), neg(matmul(transpose(U), add(h, neg(b)))))),
            quantity("h", H): add(tanh(hadamard(neg(gate), b)), neg(h)),
        },
    )


def test_every_node_of_the_vocabulary_has_a_derivation(tmp_path, pdflatex):
    """Whatever a user writes with them compiles, and ends in the value."""
    net = random_network(odd_cell(), 2, 2)
    page = symrnn.derive(net, [[1, 2], [3, 4]])
    assert [] == complaints(compile_latex(tmp_path, page.latex(), pdflatex))
    text = page.markdown()
    assert r"\mathit{gate}_{1} &= -(W x_{1} - U^{\top} (h_{0} - b))" in text
    for row in symrnn.evaluate(net, [[1, 2], [3, 4]]).output.decimal(places=4):
        assert r" \\ ".join(row) + r" \end{array}\right]" in text


def test_one_step_of_a_cell():
    """A torch …Cell has no output but its states."""
    arrays = {"weight_ih": [["0.5"]], "weight_hh": [["0.25"]]}
    net = Network.from_arrays(rnn("relu", bias=False), arrays, single_step=True)
    text = symrnn.derive(net, [1], ["0.5"]).markdown()
    assert "The cell returns the new state" in text
    assert "<code>weight\\_ih</code>" in text


def test_symbols_are_those_of_the_unrolled_equations():
    """Documents and `symrnn.unroll` write one quantity in one way."""
    for net in (one_feature(), bidirectional(), stacked()):
        for place in net.places:
            names = Names.at(net, place, 1)
            for p in net.cell.parameters:
                expected = sympy.latex(parameter_at(net, p, place))
                assert expected == math((names.symbol(p),))
            size = net.state_sizes["h"]
            expected = sympy.latex(quantity_at(net, "h", size, place, 1))
            assert expected == math((names.state("h"),))
            expected = sympy.latex(state_before(net, "h", place, 1))
            assert expected == math((names.state("h", before=True),))


@pytest.mark.parametrize("digits", [-1, 2.5, "4", True])
def test_digits_must_be_a_whole_number(digits):
    """A digits= that means nothing is refused before anything is computed."""
    with pytest.raises(SourceError, match="digits"):
        symrnn.derive(one_feature(), [[3]], digits=digits)


# --- the check ----------------------------------------------------------------------

RETURNED = np.array([[-0.98967], [-0.9909046], [-0.99841774]], dtype=np.float32)


def test_outputs_are_compared_element_by_element():
    """The table has what was returned, the exact value, and the error in ulps."""
    page = symrnn.derive(one_feature(), [[3], [4], [5]], check=RETURNED).markdown()
    row = next(line for line in page.splitlines() if "output\\[0, 0\\]" in line)
    exact = symrnn.evaluate(one_feature(), [[3], [4], [5]]).output[0, 0]
    ulps = abs(float(RETURNED[0, 0]) - float(exact)) * 2**24
    assert exact.decimal(10) in row
    assert "$-0.98967$" in row
    assert abs(ulps - float(row.split("|")[4])) < 0.01
    assert "All of them are within tolerance" in page


def test_nearest_numbers_are_within_half_an_ulp():
    """Correctly rounded outputs are counted as such."""
    net = hidden_size_two()
    trace = symrnn.evaluate(net, SEQUENCE)
    given = trace.output.nearest("float32"), trace.h_n.nearest("float32")
    page = symrnn.derive(net, SEQUENCE, check=given).markdown()
    assert "10 of 10 numbers are the float32 numbers nearest" in page
    errors = re.findall(r"\| (\d\.\d\d) \|", page)
    assert 10 == len(errors)
    assert all(float(error) <= 0.5 for error in errors)


def test_wrong_outputs_are_called_wrong():
    """A swapped sign and a NaN do not pass, and the NaN has no error in ulps."""
    wrong = RETURNED * np.float32(-1)
    wrong[2] = np.nan
    page = symrnn.derive(one_feature(), [[3], [4], [5]], check=wrong).markdown()
    assert "All of them are within tolerance" not in page
    assert "| nan |" in page
    assert "The largest error is not finite" in page


def test_only_the_largest_errors_of_many_are_shown():
    """A long output makes a short table."""
    net, inputs = one_feature(), [[3]] * 60
    returned = symrnn.evaluate(net, inputs).output.nearest("float32")
    returned[33] += np.float32(1e-5)
    page = symrnn.derive(net, inputs, check=returned).markdown()
    assert "The 20 largest of 60 errors are shown" in page
    assert 20 == page.count("| <code>output")
    assert "output\\[33, 0\\]</code>." in page


def test_outputs_of_another_shape_are_refused():
    """The message has both shapes."""
    with pytest.raises(ShapeError, match=r"\(3, 1\).*\(2, 1\)"):
        symrnn.derive(one_feature(), [[3], [4], [5]], check=RETURNED[:2])


def test_report_is_summarised():
    """An audit made elsewhere is shown by result."""
    net, inputs = one_feature(), [[3], [4], [5]]
    report = symrnn.audit(net, inputs, outputs=RETURNED)
    page = symrnn.derive(net, inputs, check=report).markdown()
    assert "| <code>output</code> | 3 |" in page
    assert str(report.tolerance).split("(")[0] in page


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_live_module_is_run_and_checked(kind, torch, tmp_path, pdflatex):
    """Torch's float32 numbers are on the last page, near the exact ones."""
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(3, 2)
    x = torch.tensor(SEQUENCE, dtype=torch.float32)
    page = symrnn.derive(module, x)
    assert "All of them are within tolerance" in page.markdown()
    with torch.no_grad():
        returned = module(x)[0]
    value = np.format_float_positional(np.float32(returned[3, 1]), unique=True)
    assert f"${value}$" in page.markdown()
    assert [] == complaints(compile_latex(tmp_path, page.latex(), pdflatex))


def test_live_module_is_given_what_the_derivation_takes(torch):
    """Inputs that are not float32 are rounded for both, and the page says so."""
    module = torch.nn.RNN(1, 1)
    page = symrnn.derive(module, [["0.1"]], digits=12).markdown()
    assert r"x_{1} \approx 0.100000001490" in page
    assert "rounded" in page.split("## Check")[1]


def test_derivation_of_something_unreadable_is_a_symrnn_error():
    """What `load` refuses, `derive` refuses."""
    with pytest.raises(SymrnnError):
        symrnn.derive({}, [[3]])


def test_documents_do_not_import_torch():
    """A derivation of plain numbers needs no torch."""
    code = (
        "import sys, symrnn;"
        "net = symrnn.load({'weight_ih_l0': [[1]], 'weight_hh_l0': [[1]]}, "
        "cell='rnn_relu');"
        "symrnn.derive(net, [[1]]).latex();"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(symrnn.__file__).parent.parent
    command = [os.sys.executable, "-c", code]
    assert 0 == subprocess.run(command, cwd=root, check=False).returncode
