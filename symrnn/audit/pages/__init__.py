# SPDX-License-Identifier: BSD-3-Clause
"""Reports of audits as text, JSON and HTML: one file for each thing that is shown."""
