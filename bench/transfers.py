# SPDX-License-Identifier: MIT
"""A gigabyte up and down, against a bare copy loop that gets the same bytes from
the same client over the same kind of socket, and does with them what the server
does: an upload goes to an unlinked file, a download comes from memory."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Iterator

import proc
from cases import Lab
from figures import Figure

SIZE = 1 << 30
RECORD = 65528
PIECE = 65536


def bare_loop(path: str, directory: str, size: int) -> None:
    """Takes 'u' or 'd' and copies; one connection after the other."""
    block, buffer = b"x" * PIECE, bytearray(PIECE)
    view = memoryview(buffer)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        while True:
            peer, _ = listener.accept()
            with peer:
                what = peer.recv(1)
                if what == b"d":
                    for _ in range(size // PIECE):
                        peer.sendall(block)
                elif what == b"u":
                    with tempfile.TemporaryFile(dir=directory, buffering=0) as spool:
                        while n := peer.recv_into(view):
                            spool.write(view[:n])
                    peer.sendall(b".")
                else:
                    return


def upload(path: Path, first: bytes, chunk: bytes, times: int, last: bytes) -> float:
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(120)
        sock.connect(str(path))
        sock.sendall(first)
        for _ in range(times):
            sock.sendall(chunk)
        sock.sendall(last)
        if not last:
            sock.shutdown(socket.SHUT_WR)
        if not sock.recv(4096):
            raise RuntimeError("the upload was not answered")
    return time.monotonic() - begun


def download(path: Path, first: bytes, size: int) -> float:
    begun, got, buffer = time.monotonic(), 0, bytearray(1 << 18)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(120)
        sock.connect(str(path))
        sock.sendall(first)
        while n := sock.recv_into(buffer):
            got += n
    if got < size:
        raise RuntimeError(f"the download ended after {got} bytes")
    return time.monotonic() - begun


class Memory:
    """The greatest growth of a server's memory while in here."""

    def __init__(self, pid: int) -> None:
        self.pid, self.done, self.growth = pid, threading.Event(), 0.0

    def watch(self) -> None:
        while not self.done.wait(0.05):
            self.growth = max(self.growth, proc.pss_bytes(self.pid) - self.before)

    def __enter__(self) -> "Memory":
        self.before = proc.pss_bytes(self.pid)
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.done.set()
        self.thread.join()


def transfers(lab: Lab) -> Iterator[Figure]:
    size = SIZE if lab.seconds >= 1 else SIZE // 8
    bare = lab.tmp / "bare.sock"
    process = get_context("fork").Process(target=bare_loop, args=(str(bare), str(lab.tmp), size), daemon=True)
    process.start()
    config = lab.tmp / "transfers.conf"
    config.write_text(f'limits = {{ body = {2 * SIZE}L; }};\nspool_dir = "{lab.tmp}";\n')
    server = lab.start("transfers", "bench/table", "-c", str(config))
    path = server.sockets["fastcgi"]
    chunk, times = proc.record(5, b"x" * RECORD) * 4, size // (4 * RECORD)
    length = times * 4 * RECORD
    name = f"{size / (1 << 30):g} GiB"
    up, down = Figure(f"upload of {name}: ours / bare copy loop", [], "x", ">=", 0.8), Figure(f"download of {name}: ours / bare copy loop", [], "x", ">=", 0.8)
    rate_up, rate_down = Figure(f"upload of {name}", [], "GB/s"), Figure(f"download of {name}", [], "GB/s")
    grown = Figure(f"memory more while {name} goes up and down", [], "MiB", "<=", 4.0)
    try:
        while not bare.exists():
            time.sleep(0.01)
        for _ in range(lab.repeat):
            theirs = upload(bare, b"u", chunk, times, b"")
            with Memory(server.pid) as memory:
                took = upload(path, proc.head("POST", "/size", length), chunk, times, proc.record(5, b""))
                up.values.append(theirs / took)
                rate_up.values.append(length / took / 1e9)
                theirs = download(bare, b"d", size)
                took = download(path, proc.head("GET", f"/bytes?n={size}") + proc.record(5, b""), size)
            down.values.append(theirs / took)
            rate_down.values.append(size / took / 1e9)
            grown.values.append(memory.growth / 1048576)
    finally:
        server.stop()
        process.terminate()
        process.join()
        os.unlink(bare)
    yield from (up, rate_up, down, rate_down, grown)
