# SPDX-License-Identifier: MIT
"""The books of a chaos run: every request that was sent, what came of it, every disturbance
with its time, and the judgement over all of them.

An answer other than the right one is excused only by a disturbance that can have caused it:

- a closed connection, or a 502 of the front server: the worker that had the request was killed
  while it had it. Which worker that was says the ledger that handlers write; where no
  handler had begun, any worker that was killed between the request's first byte and the error;
  for requests through the front server also the front server's own process, in the same way.
  While the supervisor was killed and not yet started again, every closed or refused connection.
- 503: a pool process was killed while a pool request ran; or memory, descriptors or the spool's disk were
  exhausted at that moment, for requests that need them (500 and 504 too, for memory).

Nothing excuses an answer with another request's data, a second answer, a request that neither
gets an answer nor a closed connection, a handler that ran twice (except a front server's
repetition after a worker died), or a worker that died by itself."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Asked:
    number: int
    by: str  # "direct", "nginx", "scgi"
    target: str
    begun: float
    size: int
    ended: float = 0.0
    outcome: str = ""  # "ok", "closed", "refused", "status 503", "wrong: ...", "lost"
    detail: str = ""


@dataclass
class Disturbance:
    kind: str  # "worker", "pool", "front", "supervisor", "memory", "disk", ...
    begun: float
    ended: float
    pids: set[int] = field(default_factory=set)


class Books:
    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger
        self.lock = threading.Lock()
        self.last = 0
        self.asked: list[Asked] = []
        self.disturbances: list[Disturbance] = []

    def open(self, by: str, target: str, size: int) -> Asked:
        with self.lock:
            self.last += 1
            one = Asked(self.last, by, target, time.monotonic(), size)
            self.asked.append(one)
            return one

    @staticmethod
    def close(one: Asked, outcome: str, detail: str = "") -> None:
        one.outcome, one.detail, one.ended = outcome, detail, time.monotonic()

    def disturb(self, kind: str, pids: set[int] | None = None) -> Disturbance:
        """Noted before it is done; `ended` is set when its effect is over."""
        one = Disturbance(kind, time.monotonic(), float("inf"), pids or set())
        with self.lock:
            self.disturbances.append(one)
        return one

    # -- judging

    def executions(self) -> dict[int, list[int]]:
        out: dict[int, list[int]] = {}
        for line in self.ledger.read_text().splitlines():
            number, pid = line.split()
            out.setdefault(int(number), []).append(int(pid))
        return out

    def during(self, one: Asked, *kinds: str) -> list[Disturbance]:
        return [d for d in self.disturbances if d.kind in kinds and d.begun <= one.ended and d.ended >= one.begun]

    def excused(self, one: Asked, ran_in: list[int]) -> bool:
        if self.during(one, "supervisor") and one.outcome in ("closed", "refused", "status 502", "status 503"):
            return True
        if one.outcome in ("closed", "status 502"):
            killed = self.during(one, "worker", "memory")
            if one.by == "nginx" and self.during(one, "front"):
                return True
            if ran_in:
                return any(ran_in[-1] in d.pids for d in killed)
            return bool(killed)
        if one.outcome == "status 503":
            return bool((one.target == "/pool" and self.during(one, "pool")) or self.during(one, "memory")
                        or ((one.size > 64 * 1024 or one.target == "/stream/async") and self.during(one, "disk")))
        if one.outcome in ("status 500", "status 504"):
            return bool(self.during(one, "memory") or (one.target == "/pool" and self.during(one, "pool")))
        return one.outcome == "refused" and one.by == "nginx" and bool(self.during(one, "front"))

    def judge(self) -> tuple[list[str], Counter[str]]:
        """What is wrong, and the counts."""
        ran = self.executions()
        faults: list[str] = []
        counts: Counter[str] = Counter(d.kind for d in self.disturbances)
        for one in self.asked:
            counts["asked"] += 1
            name = f"request {one.number} ({one.by} {one.target}, {one.size} bytes): "
            if one.outcome == "ok":
                counts["answered"] += 1
            elif self.excused(one, ran.get(one.number, [])):
                counts["excused: " + one.outcome] += 1
            else:
                faults.append(f"{name}{one.outcome or 'lost'} {one.detail}, ran in {ran.get(one.number)}, "
                              f"from {one.begun:.3f} to {one.ended:.3f}")
            times = len(ran.get(one.number, []))
            if times > 1 and not (one.by == "nginx" and self.during(one, "worker", "front", "memory", "supervisor")):
                faults.append(f"{name}its handler ran {times} times")
            if one.outcome == "ok" and one.target != "/native/echo" and times == 0:
                faults.append(f"{name}answered, but no handler ran")
        unknown = set(ran) - {one.number for one in self.asked}
        if unknown:
            faults.append(f"handlers ran for requests that nobody sent: {sorted(unknown)[:5]}")
        return faults, counts
