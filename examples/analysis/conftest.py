# SPDX-License-Identifier: MIT
"""pytest finds the snacgi package where the snacgi program has it."""

import subprocess
import sys

try:
    import snacgi  # noqa: F401
except ImportError:
    sys.path.append(subprocess.check_output(["snacgi", "--python-path"], text=True).strip())
