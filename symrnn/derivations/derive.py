# SPDX-License-Identifier: BSD-3-Clause
"""From a network and inputs to a document that derives the outputs, and to a file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from symrnn.derivations.closing import closing
from symrnn.derivations.letters import Notation
from symrnn.derivations.notebook_torch import TorchCode
from symrnn.derivations.numbers import Values
from symrnn.derivations.opening import opening
from symrnn.derivations.options import Choices, Options
from symrnn.derivations.selection import Selection
from symrnn.derivations.steps import sequences
from symrnn.documents.displayed import Displayed
from symrnn.documents.latex.pdf import write_pdf
from symrnn.documents.latex.writer import Form, write_latex
from symrnn.documents.markdown import write_markdown
from symrnn.documents.model import Document, Heading
from symrnn.errors import UnsupportedError
from symrnn.networks.inputs import read_inputs
from symrnn.networks.network import Network
from symrnn.networks.sources import load
from symrnn.networks.sources.modules import is_torch_module
from symrnn.numerics.files import write_text
from symrnn.runs.evaluate import evaluate_inputs
from symrnn.runs.trace import Trace

if TYPE_CHECKING:
    from symrnn.derivations.check import Check

__all__ = ["SUFFIXES", "Derivation", "derive"]

SUFFIXES = (".tex", ".pdf", ".html", ".md", ".ipynb")
"""The suffixes that `Derivation.save` knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation(Displayed):
    """A worked example: every equation of every step, with its numbers.

    Attributes:
        document: What the writers write.
        trace: The exact run; more digits can be asked of it.
        options: How it is written.
    """

    document: Document
    trace: Trace = field(repr=False)
    options: Options = field(default=Options(), repr=False)

    def latex(self, *, form: Form = "standalone") -> str:
        r"""Return LaTeX.

        Args:
            form: ``standalone``, a document that compiles; ``fragment``, to be read by
                another with ``\input``; ``beamer``, slides.
        """
        return write_latex(self.document, form=form, colour=self.options.colour)

    def markdown(self) -> str:
        """Return Markdown with formulas between dollar signs, as GitHub renders it."""
        return write_markdown(self.document)

    def html(self) -> str:
        """Return one HTML page that needs nothing else, neither network nor script."""
        from symrnn.documents.html.page import write_html

        return write_html(self.document, colour=self.options.colour)

    def notebook(self) -> str:
        """Return a Jupyter notebook whose cells recompute every step in plain torch.

        Raises:
            UnsupportedError: nbformat is not installed.
        """
        from symrnn.documents.notebook import write_notebook

        return write_notebook(self.document)

    def write_pdf(
        self, path: str | os.PathLike[str], *, form: Form = "standalone"
    ) -> None:
        """Write a PDF to a file of any name, with the TeX that is installed.

        Raises:
            UnsupportedError: No TeX is installed, or it lacks something.
        """
        write_pdf(self.document, path, form=form, colour=self.options.colour)

    def text(self, suffix: str, *, form: Form = "standalone") -> str:
        """Return what `save` writes to a file with that suffix, other than ``.pdf``.

        Raises:
            UnsupportedError: There is no writer for that suffix, or no such form of it.
        """
        if suffix == ".tex":
            return self.latex(form=form)
        if form != "standalone":
            raise UnsupportedError(f"form={form!r} is for .tex, not for {suffix}")
        writers = {
            ".html": self.html,
            ".ipynb": self.notebook,
            ".md": self.markdown,
        }
        if suffix not in writers:
            raise UnsupportedError(
                f"cannot tell how to write the suffix {suffix!r}: it is none of "
                f"{', '.join(SUFFIXES)}"
            )
        return writers[suffix]()

    def save(self, path: str | os.PathLike[str], *, form: Form = "standalone") -> Path:
        """Write the derivation to a file whose suffix says how.

        The file appears complete or not at all: an older one is replaced at the end.

        Args:
            path: Ends in ``.tex``, ``.pdf``, ``.html``, ``.md`` or ``.ipynb``.
            form: As of `latex`; ``beamer`` for ``.pdf`` too.

        Returns:
            The path of the file.

        Raises:
            UnsupportedError: There is no writer for that suffix, or no such form of it;
                or what the writer needs, such as TeX for ``.pdf``, is not installed.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix == ".pdf":
            self.write_pdf(target, form=form)
        else:
            write_text(target, self.text(suffix, form=form))
        return target


def derive(
    net: Any,
    x: Any,
    hx: Any = None,
    *,
    lengths: Any = None,
    check: Any = None,
    options: Options | None = None,
    **choices: Unpack[Choices],
) -> Derivation:
    r"""Derive a network's outputs step by step, as a document to print.

    Every printed digit is correct: rounded once, from a proven enclosure of the exact
    value for the parameters, inputs and states as the exact numbers that they are.

    Args:
        net: A `Network`, or anything `symrnn.load` takes. A live torch module is run
            as well, and what it returns is held against the exact values at the end;
            inputs that are not of its format are rounded to it first.
        x: Inputs, as `symrnn.evaluate` takes them.
        hx: Initial states in torch's shape; zeros by default.
        lengths: Number of steps of each sequence of a padded batch.
        check: What to hold against the derivation instead: a `symrnn.Report`, or
            somebody's ``(output, h_n)``, ``(output, h_n, c_n)`` or output alone.
        options: How it is written, or
        choices: any of the attributes of `Options` by name, such as ``digits=6``.

    Raises:
        NotFiniteError: A parameter, input or initial state is NaN or infinite.
        ShapeError: Shapes do not fit.
        SourceError: There is no such option or choice, or a source cannot be read.
        TypeError: Both options and choices are given.

    >>> import symrnn
    >>> weights = {"weight_ih_l0": [["-0.8769"]], "weight_hh_l0": [["-0.8218"]]}
    >>> net = symrnn.load(weights, cell="rnn_tanh")
    >>> page = symrnn.derive(net, [[3], [4], [5]]).markdown()
    >>> print(page[page.index("W_{hh} h_{1} &") :].splitlines()[0])
    W_{hh} h_{1} &\approx -0.8218 \cdot (-0.9897) \approx 0.8133 \\
    """
    if options is not None and choices:
        raise TypeError(
            f"give options= or choices, not both (got {', '.join(choices)})"
        )
    if options is None:
        options = Options.of(choices)
    network = load(net)
    found = _find_check(net, network, x, hx, lengths, check)
    if found is not None and found.subject is not None:
        inputs = found.subject.inputs  # as the subject saw them
    else:
        inputs = read_inputs(network, x, hx, lengths=lengths)
    # Before anything is computed:
    Selection(options, network, inputs)
    Notation.of(network.cell, options)
    trace = evaluate_inputs(network, inputs, places=options.digits, keep="nodes")
    values = Values(trace, options)
    code = TorchCode(values)
    blocks = [*code.setup(), *sequences(values), *closing(values), *code.closing()]
    if found is not None:
        blocks += found.blocks(values)
    # The opening comes last: it says what the pages after it have left out.
    heading = Heading(1, (options.title or f"{network.cell.name}, step by step",))
    return Derivation(
        document=Document((heading, *opening(values), *blocks)),
        trace=trace,
        options=options,
    )


def _find_check(
    net: Any, network: Network, x: Any, hx: Any, lengths: Any, check: Any
) -> Check | None:
    """Return what to hold against the derivation, if there is anything."""
    if check is None and not is_torch_module(net):
        return None
    from symrnn.derivations.check import Check  # audits are imported where one is made

    if check is None:
        return Check.of_module(net, network, x, hx, lengths)
    return Check.of(network, x, hx, lengths, check)
