# SPDX-License-Identifier: BSD-3-Clause
"""The arithmetics in which equations can be run, one to a file, and what they are made of."""
