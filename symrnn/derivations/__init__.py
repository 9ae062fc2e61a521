# SPDX-License-Identifier: BSD-3-Clause
"""Worked examples: what a page says of a run, and in which letters and numbers."""
