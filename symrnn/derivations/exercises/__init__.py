# SPDX-License-Identifier: BSD-3-Clause
"""Exercise sheets with blanks, their solutions, and the grading of answers."""
