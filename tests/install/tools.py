# SPDX-License-Identifier: MIT
"""What tests of an installed snacgi share: a request by hand, and a package to depend on."""

from __future__ import annotations

import hashlib
import socket
import struct
import zipfile
from pathlib import Path


def record(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def ask(path: str, target: str) -> bytes:
    """One FastCGI request; b'' while there is nobody."""
    pairs = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": target, "REQUEST_URI": target}
    params = b"".join(struct.pack("BB", len(k), len(v)) + k.encode() + v.encode() for k, v in pairs.items())
    request = record(1, struct.pack(">HB5x", 1, 0)) + record(4, params) + record(4, b"") + record(5, b"")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        try:
            sock.connect(path)
        except OSError:
            return b""
        sock.sendall(request)
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
    return data


def wheel(directory: Path) -> tuple[Path, str]:
    """A package of our own, so that no index is asked; and its hash."""
    path = directory / "ours-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ours.py", "WORD = 'locked'\n")
        archive.writestr("ours-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
        archive.writestr("ours-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("ours-1.0.dist-info/RECORD", "ours.py,,\nours-1.0.dist-info/METADATA,,\nours-1.0.dist-info/WHEEL,,\nours-1.0.dist-info/RECORD,,\n")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()
