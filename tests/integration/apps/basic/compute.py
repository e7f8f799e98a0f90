# SPDX-License-Identifier: MIT
"""What pool workers run: importable by name, without a route of its own."""

import os
import sys


def squares(numbers):
    return [n * n for n in numbers]


def where():
    return {"pid": os.getpid(), "executable": sys.executable, "parent": os.getppid()}
