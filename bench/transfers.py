# SPDX-License-Identifier: MIT
"""A gigabyte up and down, against a bare copy loop that gets the same bytes from
the same client over the same kind of socket, and does with them what the server
does: an upload goes to an unlinked file, a download comes from memory.

Where the scheduler puts the two ends decides the rate more than either server
does, and stays so for seconds. So each end is pinned: both servers' to one core
and the client's to another, then all three to the same core."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Iterator

import proc
from cases import Lab
from figures import Figure

SIZE = 1 << 30
RECORD = 65528
PIECE = 65536
TURNS = 9  # at least; an end that is disturbed for a moment is seen in the spread


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
                        peer.sendall(str(spool.tell()).encode())
                else:
                    return


def upload(path: Path, first: bytes, chunk: bytes, times: int, last: bytes, length: int) -> float:
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
        answer = sock.recv(4096)
        took = time.monotonic() - begun
        while sock.recv(4096):  # the file's end is no part of it, and not to fall into the next one's time
            pass
    if str(length).encode() not in answer:
        raise RuntimeError(f"the upload of {length} bytes was answered with {answer[:200]!r}")
    return took


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


class Memory(proc.Watch):
    """The greatest growth of a server's memory while in here."""

    def __init__(self, pid: int) -> None:
        self.pid, self.before, self.growth = pid, proc.pss_bytes(pid), 0.0

    def look(self) -> None:
        self.growth = max(self.growth, proc.pss_bytes(self.pid) - self.before)


@dataclass
class Placing:
    name: str
    server: int  # the core of both servers
    client: int


def placings() -> list[Placing]:
    """A machine, or a container, with one core has only the second."""
    cores = sorted(os.sched_getaffinity(0))
    apart = [Placing("ends on two cores", cores[1], cores[0])] if len(cores) > 1 else []
    return apart + [Placing("ends on one core", cores[0], cores[0])]


class Both:
    """The two servers, and what a turn asks them for."""

    def __init__(self, lab: Lab, size: int) -> None:
        self.size, self.bare = size, lab.tmp / "bare.sock"
        self.chunk, self.times = proc.record(5, b"x" * RECORD) * 4, size // (4 * RECORD)
        config = lab.tmp / "transfers.conf"
        config.write_text(f'limits = {{ body = {2 * SIZE}L; }};\nspool_dir = "{lab.tmp}";\n')
        self.server = lab.start("transfers", "bench/table", "-c", str(config))
        self.process = get_context("fork").Process(target=bare_loop, args=(str(self.bare), str(lab.tmp), size), daemon=True)
        self.process.start()
        while not self.bare.exists():
            if not self.process.is_alive():
                self.server.stop()
                raise RuntimeError("the bare copy loop ended before it listened")
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.stop()
        self.process.terminate()
        self.process.join()
        os.unlink(self.bare)

    def place(self, where: Placing) -> None:
        assert self.process.pid is not None
        for pid in (self.process.pid, self.server.pid):
            proc.pin(pid, where.server)
        os.sched_setaffinity(0, {where.client})

    def up(self, ours: bool) -> float:
        if not ours:
            return upload(self.bare, b"u", self.chunk, self.times, b"", self.times * len(self.chunk))
        length = self.times * 4 * RECORD
        path = self.server.sockets["fastcgi"]
        took = upload(path, proc.head("POST", "/length", length), self.chunk, self.times, proc.record(5, b""), length)
        proc.ask(path, "GET", "/fixed")  # its file has gone by then
        return took

    def down(self, ours: bool) -> float:
        if not ours:
            return download(self.bare, b"d", self.size)
        first = proc.head("GET", f"/bytes?n={self.size}") + proc.record(5, b"")
        return download(self.server.sockets["fastcgi"], first, self.size)


def placed(both: Both, where: Placing, turns: int, grown: Figure) -> Iterator[Figure]:
    name = f"of {both.size / (1 << 30):g} GiB, {where.name}"
    both.place(where)
    ways = [(way, call, Figure(f"{way} {name}: ours / bare copy loop", [], "x", ">=", 0.8), Figure(f"{way} {name}", [], "GB/s"),
             Figure(f"{way} {name}: bare copy loop", [], "GB/s")) for way, call in (("upload", both.up), ("download", both.down))]
    for turn in range(turns):
        with Memory(both.server.pid) as memory:  # beside both, whose client it disturbs
            for _, call, ratio, rate, rate_bare in ways:
                took = {ours: call(ours) for ours in ((True, False) if turn % 2 else (False, True))}
                ratio.values.append(took[False] / took[True])
                rate.values.append(both.size / took[True] / 1e9)
                rate_bare.values.append(both.size / took[False] / 1e9)
        grown.values.append(memory.growth / 1048576)
    for _, _, *figures in ways:
        yield from figures


def transfers(lab: Lab) -> Iterator[Figure]:
    size = SIZE if lab.seconds >= 1 else SIZE // 8
    turns = max(lab.repeat, TURNS) if lab.seconds >= 1 else lab.repeat
    grown = Figure(f"memory more while {size / (1 << 30):g} GiB goes up and down", [], "MiB", "<=", 4.0)
    cores = os.sched_getaffinity(0)
    both = Both(lab, size)
    try:
        for where in placings():
            yield from placed(both, where, turns, grown)
            os.sched_setaffinity(0, cores)
    finally:
        os.sched_setaffinity(0, cores)
        both.stop()
    yield grown
