# SPDX-License-Identifier: BSD-3-Clause
"""Documents as HTML: one offline page with MathML, SVG, and a script that may be missing."""

from symrnn.documents.html.page import write_fragment as write_fragment
from symrnn.documents.html.page import write_html as write_html

__all__ = ["write_fragment", "write_html"]
