# SPDX-License-Identifier: BSD-3-Clause
"""Long runs whose errors do not blow up: midpoints, and one proven distance carried along."""
