# SPDX-License-Identifier: MIT
"""A daemon without Python under memcheck: native handlers of every kind, both
protocols, refusals, peers that leave. Whatever memcheck sees ends the daemon
with status 99, which stop() reports."""

from __future__ import annotations

import os
import shlex
import socket
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from daemon import Daemon  # noqa: E402

MEMCHECK = shlex.split(os.environ.get("SN_MEMCHECK") or "valgrind -q --error-exitcode=99")


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi"])
def test_native(protocol: str) -> None:
    with tempfile.TemporaryDirectory(prefix="snacgi-") as tmp:
        daemon = Daemon(Path(tmp), listen=[f"{protocol}+unix"], app=None, launcher=[*MEMCHECK, "--trace-children=yes"])
        daemon.start()
        try:
            assert daemon.get("/native/hello").json() == {"hello": "native"}
            assert daemon.post("/native/echo", {"a": [1, 2]}).json() == {"a": [1, 2]}
            assert daemon.post("/native/echo", {"a": "x" * 300_000}).json() == {"a": "x" * 300_000}
            assert daemon.get("/native/blocking?ms=1").text == "rested"
            assert daemon.get("/native/pull?size=2000000").body == b"p" * 2_000_000
            assert daemon.get("/nowhere").status == 404
            assert daemon.ask("DELETE", "/native/hello").status == 405
            for rubbish in (b"", b"\0", b"\1\1\0\1\0\10\0\0", b"12:CONTENT_LENGTH", b"GET / HTTP/1.0\r\n\r\n"):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(daemon.addresses[0].path)
                    sock.sendall(rubbish)
            assert daemon.get("/native/hello").status == 200
        finally:
            daemon.stop()
