# SPDX-License-Identifier: BSD-3-Clause
"""What a float network returned, against what the mathematics says."""
