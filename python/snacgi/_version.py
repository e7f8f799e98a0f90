# SPDX-License-Identifier: MIT
"""The package's version; the same as the daemon's."""

__version__ = "0.1.0"
