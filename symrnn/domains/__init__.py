# SPDX-License-Identifier: BSD-3-Clause
"""Arithmetics that programs run over: one file each; `base` says what a domain is."""
