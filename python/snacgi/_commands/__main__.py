# SPDX-License-Identifier: MIT
"""Chooses the command: the first word."""

from __future__ import annotations

import sys

from . import dev, new, request, shell

COMMANDS = {"dev": dev.main, "new": new.main, "request": request.main, "shell": shell.main}


def main() -> int:
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if not command:
        sys.stderr.write(f"snacgi: a command is wanted: {', '.join(COMMANDS)}\n")
        return 2
    try:
        return command(sys.argv[2:])
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main())
