# SPDX-License-Identifier: MIT
"""Requests that wait, all at once: 10,000, and 50,000 as far as the system
allows. What a process may have open bounds both ends of it, so where one process
is not enough several serve, and several ask."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Iterator

import proc
import servers
from cases import HERE, Lab
from figures import Figure

OTHER_FILES = 600  # a server's and a generator's own, with room for an uneven share
MOST_PROCESSES = 8


@dataclass
class Size:
    many: int
    seconds: float  # for which each waits; long enough for the last to come before the first goes
    processes: int

    @property
    def name(self) -> str:
        return f"{self.many} parked async requests" + (f" in {self.processes} processes" if self.processes > 1 else "")


def sizes() -> list[Size]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    each = 1_000_000 if files == resource.RLIM_INFINITY else max(100, files - OTHER_FILES)
    out: dict[int, Size] = {}
    for wanted, seconds in ((10_000, 1.0), (50_000, 10.0)):
        processes = min(MOST_PROCESSES, -(-wanted // each))
        many = min(wanted, processes * each)
        out.setdefault(many, Size(many, seconds, processes))
    return list(out.values())


class Peak(proc.Watch):
    """The most memory and threads that a server has while in here, and how long its connections took to come."""

    def __init__(self, server: servers.Server, many: int) -> None:
        self.pid = server.pid
        self.before = self.most = self.now()
        self.empty = proc.files(self.pid)
        self.many, self.begun, self.came = many, time.monotonic(), float("inf")

    def now(self) -> list[int]:
        return [proc.pss_bytes(self.pid), proc.threads(self.pid)]

    def look(self) -> None:
        came = proc.files(self.pid) - self.empty
        if came < self.many / 100:
            self.begun = time.monotonic()  # they are still to come
        elif came >= 0.99 * self.many:
            self.came = min(self.came, time.monotonic() - self.begun)
        self.most = [max(pair) for pair in zip(self.most, self.now())]

    @property
    def more(self) -> list[int]:
        return [a - b for a, b in zip(self.most, self.before)]


def ask_all(lab: Lab, server: servers.Server, size: Size) -> float:
    """The time of the last answer."""
    share = [size.many // size.processes + (n < size.many % size.processes) for n in range(size.processes)]

    def one(many: int) -> float:
        got = lab.load(server, f"/parked/{size.seconds}", "-c", str(many), "-n", str(many), "--timeout", "120", "-d", "120")
        return float(got["latency_us"]["max"]) / 1e6

    with ThreadPoolExecutor(size.processes) as pool:
        return max(pool.map(one, share))


def parked(lab: Lab) -> Iterator[Figure]:
    for size in sizes():
        first = size.many == 10_000
        memory = Figure(f"{size.name}: server memory each", [], "KiB", "<=", 4.0)
        came = Figure(f"{size.name}: all there within", [], "s", "<=", size.seconds, "the first waits still, so all wait at once")
        last = Figure(f"{size.name} of {size.seconds:g} s: the last answer after", [], "s", "<=" if first else "", 1.5 if first else None)
        more = Figure(f"{size.name}: threads more", [], "", "<=", 0)
        for _ in range(min(lab.repeat, 3)):
            config = lab.tmp / f"parked-{lab.turn}.conf"
            config.write_text("limits = { connections = 60000; requests = 60000; async = 60000; };\nqueue = 60000;\n"
                              f"processes = {size.processes};\n"
                              "log = { slow = 0; };\n")  # else each is logged after 5 s, with its stack: 0.4 KiB
            server = lab.start("parked", "src/snacgi", "-c", str(config), "--python-dir", str(HERE / "app"))
            try:
                lab.load(server, "/parked/0.01", "-c", str(64 * size.processes), "-n", str(1000 * size.processes))
                time.sleep(0.5)  # the connections of that load are gone
                with Peak(server, size.many) as peak:
                    last.values.append(ask_all(lab, server, size))
                grown, threads = peak.more
                memory.values.append(grown / size.many / 1024)
                more.values.append(threads)
                came.values.append(min(peak.came, 120.0))  # never: the load's time-out
            finally:
                server.stop()
        yield from (memory, came, last, more)
