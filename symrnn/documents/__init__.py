# SPDX-License-Identifier: BSD-3-Clause
"""Worked examples: from a run to a document, and from a document to files."""

from symrnn.documents.derivation import Derivation as Derivation
from symrnn.documents.derivation import derive as derive

__all__ = ["Derivation", "derive"]
