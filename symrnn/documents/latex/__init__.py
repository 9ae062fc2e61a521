# SPDX-License-Identifier: BSD-3-Clause
"""The writers for LaTeX: pages, a fragment, slides; and PDF through an installed TeX."""

from symrnn.documents.latex.pdf import write_pdf
from symrnn.documents.latex.text import escape
from symrnn.documents.latex.writer import Form, write_latex

__all__ = ["Form", "escape", "write_latex", "write_pdf"]
