# SPDX-License-Identifier: BSD-3-Clause
"""Whose numbers are judged: torch's, an emulation's, or somebody's, brought into one form."""
