# SPDX-License-Identifier: BSD-3-Clause
"""Exercise sheets with blanks, their solutions, and the grading of answers."""

from symrnn.exercises.grading import Grade, Mark, grade
from symrnn.exercises.sheets import Exercise, exercise

__all__ = ["Exercise", "Grade", "Mark", "exercise", "grade"]
