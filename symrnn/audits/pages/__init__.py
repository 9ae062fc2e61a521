# SPDX-License-Identifier: BSD-3-Clause
"""A report in words, as text and as HTML."""
