# SPDX-License-Identifier: MIT
"""What /proc tells of a tree of processes, and a FastCGI client of a few lines
for what a load generator does not measure."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Iterable, TypeVar

TICK = os.sysconf("SC_CLK_TCK")
Watching = TypeVar("Watching", bound="Watch")


def tree(pid: int) -> list[int]:
    out, todo = [], [pid]
    while todo:
        one = todo.pop()
        out.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo += [int(child) for child in task.read_text().split()]
            except OSError:
                pass
    return out


def cpu_seconds(pids: Iterable[int]) -> float:
    total = 0
    for root in pids:
        for pid in tree(root):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def _kib(pid: int, file: str, name: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def rss_bytes(pid: int) -> int:
    return sum(_kib(one, "status", "VmRSS:") for one in tree(pid)) * 1024


def pss_bytes(pid: int) -> int:
    """Pages that several processes share count once."""
    return sum(_kib(one, "smaps_rollup", "Pss:") for one in tree(pid)) * 1024


def threads(pid: int) -> int:
    return sum(_kib(one, "status", "Threads:") for one in tree(pid))


class Watch:
    """Looks twenty times a second while in here; what for says who inherits."""

    def look(self) -> None:
        raise NotImplementedError

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.look()

    def __enter__(self: Watching) -> Watching:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def files(pid: int) -> int:
    """Open descriptors: since Linux 6.2 that is the directory's size, before it has none."""
    total = 0
    for one in tree(pid):
        try:
            total += os.stat(f"/proc/{one}/fd").st_size or len(os.listdir(f"/proc/{one}/fd"))
        except OSError:
            pass  # it has ended
    return total


def pin(pid: int, core: int) -> None:
    """All threads of all its processes run there from now on, and so will those they start."""
    for one in tree(pid):
        try:
            tasks = os.listdir(f"/proc/{one}/task")
        except OSError:
            continue  # it has ended
        for task in tasks:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task), {core})


# ---- one request ----------------------------------------------------------------


def _pair(name: bytes, value: bytes) -> bytes:
    size = bytes([len(value)]) if len(value) < 128 else struct.pack("!I", len(value) | 0x80000000)
    return bytes([len(name)]) + size + name + value


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("!BBHHBx", 1, kind, 1, len(data), 0) + data


def head(method: str, path: str, length: int = 0) -> bytes:
    """BEGIN and PARAMS; the connection is closed after the answer."""
    where, _, query = path.partition("?")
    params = {"REQUEST_METHOD": method, "SCRIPT_NAME": where, "QUERY_STRING": query, "CONTENT_LENGTH": str(length or ""),
              "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "localhost", "SERVER_PORT": "80", "REQUEST_URI": path}
    pairs = b"".join(_pair(k.encode(), v.encode()) for k, v in params.items())
    return record(1, struct.pack("!HB5x", 1, 0)) + record(4, pairs) + record(4, b"")


def ask(path: Path, method: str, target: str, timeout: float = 60.0) -> bytes:
    """All that the server sends, undecoded: records of stdout around head and body."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        sock.sendall(head(method, target) + record(5, b""))
        out = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                return out
            out += piece


def ready_after(path: Path, target: str, begun: float, limit: float = 60.0) -> float:
    """Seconds from `begun` to the first good answer."""
    while True:
        try:
            if b"Status: 200" in ask(path, "GET", target):
                return time.monotonic() - begun
        except OSError:
            pass
        if time.monotonic() - begun > limit:
            raise RuntimeError(f"no answer on {path} within {limit} s")
        time.sleep(0.001)
