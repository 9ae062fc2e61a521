# SPDX-License-Identifier: BSD-3-Clause
"""Numbers: exact ones, float formats and their rounding, proven float64; knows no network."""
