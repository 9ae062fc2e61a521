# SPDX-License-Identifier: BSD-3-Clause
"""Where errors come from: bounds on the whole trajectory, attribution, condition numbers."""
