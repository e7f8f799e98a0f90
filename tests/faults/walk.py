#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Walks faults over the unit test programs: each is run again and again, with another call of one kind
failing each time, and must neither crash, nor hang, nor meet an assertion of ours. That its tests
fail then is right.

    walk.py [--seconds N] [--kinds a,b] [--nth N] PROGRAM...

The time is shared by all programs; what does not fit into it is left out evenly, the same calls each time
(--seconds 0: every single one is tried). With --kinds and --nth one fault is tried again. A TAP test for each
program and kind that it has calls of."""

from __future__ import annotations

import argparse
import itertools
import mmap
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUILD = Path(os.environ.get("SN_TOP_BUILDDIR") or ".").resolve()
SHIM = BUILD / "tests" / "faults" / ".libs" / "shim.so"
KINDS = ["memory", "read", "write", "short-read", "short-write", "accept", "epoll", "fork", "open", "map", "thread"]
PATIENCE = 60  # seconds for one run


class Memory:
    """What the library in the program reads and counts: int64s."""

    NAMES = ("allocation", "failed", "sends", "receives", "accepts", "kind", "nth")

    def __init__(self) -> None:
        self.file = tempfile.NamedTemporaryFile(prefix="snacgi-faults-")
        self.file.write(bytes(4096))
        self.file.flush()
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def set(self, name: str, value: int) -> None:
        struct.pack_into("=q", self.map, self.NAMES.index(name) * 8, value)

    def failed(self) -> int:
        return int(struct.unpack_from("=q", self.map, self.NAMES.index("failed") * 8)[0])

    def seen(self) -> dict[str, int]:
        """Calls of each kind; the first one's place is nobody's."""
        return dict(zip(KINDS, struct.unpack_from(f"={len(KINDS)}q", self.map, (len(self.NAMES) + 1) * 8)))


class Result:
    def __init__(self, seen: dict[str, int], met: bool, fault: str, text: str) -> None:
        self.seen, self.met, self.fault, self.text = seen, met, fault, text


def frames(program: Path, text: str) -> list[str]:
    """Where it crashed, innermost first, without assertions' own. In the test's own file it does so rightly:
    it has not been given what it asked for."""
    at = re.findall(r"^crashed at (0x[0-9a-f]+)$", text, re.M)
    # a return address is behind its call
    done = subprocess.run(["addr2line", "-f", "-e", str(program), *(hex(int(one, 16) - 1) for one in at)],
                          stdout=subprocess.PIPE, text=True, check=True)
    lines = done.stdout.splitlines()
    out = [f"{os.path.normpath(where)} {name}" for name, where in zip(lines[::2], lines[1::2])]
    return [one for one in out if "base/err.c" not in one and not one.startswith("/usr/")]


def run(program: Path, kind: str = "", nth: int = 0) -> Result:
    """Without a kind nothing fails, and calls are counted."""
    memory = Memory()
    if kind:
        memory.set("kind", 1 + KINDS.index(kind))
        memory.set("nth", nth)
    env = {**os.environ, "LD_PRELOAD": str(SHIM), "SN_FAULTS": memory.file.name, "SN_FAULT_TRACE": "1", "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    fault, text = "", ""
    with tempfile.TemporaryDirectory(prefix="snacgi-faults-") as folder:
        process = subprocess.Popen([str(program)], env={**env, "TMPDIR": folder}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            text = process.communicate(timeout=PATIENCE)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            fault = f"did not end within {PATIENCE} s"
            os.killpg(process.pid, 9)
            text = process.communicate()[0].decode(errors="replace")
    # 255 is cmocka's own end, when it finds no memory between two tests
    if not fault and (process.returncode < 0 or 128 < process.returncode < 255):
        where = frames(program, text)
        if not where or "/tests/" not in where[0]:
            fault = f"crashed ({process.returncode}): " + (" < ".join(where[:6]) or "who knows where")
    return Result(memory.seen(), memory.failed() > 0, fault, text)


def choose(total: int, budget: float, each: float) -> list[int]:
    """As many of the calls as there is time for, spread evenly: the first ones of an order that is always
    the same (halves, quarters, eighths...), so that who has more time tries those and others."""
    if budget <= 0 or total * each <= budget:
        return list(range(1, total + 1))
    bits = (total - 1).bit_length()
    order = (int(format(k, f"0{bits}b")[::-1], 2) for k in range(1 << bits))
    inside = (1 + k for k in order if k < total)
    return sorted(itertools.islice(inside, int(budget / each)))


def walk(program: Path, kind: str, total: int, calls: list[int]) -> tuple[str, list[str]]:
    name, faults, tried = f"{program.name}, {kind}", [], 0
    for nth in calls:
        got = run(program, kind, nth)
        tried += got.met
        if got.fault:
            faults.append(f"call {nth}: {got.fault}\n{got.text[-1500:]}")
    if not tried:
        faults.append("no fault was met")
    return f"{name}: {tried} of {total} calls", faults


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--nth", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("programs", nargs="+", type=Path)
    args = parser.parse_args()
    programs, kinds = [one.resolve() for one in args.programs], args.kinds.split(",")
    if args.nth:
        got = run(programs[0], kinds[0], args.nth)
        print(got.text + (f"*** {got.fault}" if got.fault else "*** no crash" + ("" if got.met else ", and no fault was met")))
        return 1 if got.fault else 0
    begun = time.monotonic()
    work: list[tuple[Path, str, int, float]] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        def count(program: Path) -> list[tuple[Path, str, int, float]]:
            at = time.monotonic()
            plain = run(program)
            if plain.fault:
                raise SystemExit(f"{program}, with nothing failing: {plain.fault}\n{plain.text[-1500:]}")
            seen = plain.seen
            return [(program, kind, seen[kind], time.monotonic() - at) for kind in kinds if seen[kind]]
        work = [one for some in pool.map(count, programs) for one in some]
        if not work:
            raise SystemExit(f"{SHIM} is in none of these programs, or they call nothing")
        left = max(1.0, args.seconds - (time.monotonic() - begun)) * args.jobs
        # A share for each program and kind; what the quick ones do not need the others get.
        shares: dict[int, float] = {}
        for at in sorted(range(len(work)), key=lambda at: work[at][2] * work[at][3]):
            shares[at] = min(left / (len(work) - len(shares)), work[at][2] * work[at][3]) if args.seconds else 0.0
            left -= shares[at]
        chosen = [(p, k, n, choose(n, shares[at], each)) for at, (p, k, n, each) in enumerate(work)]
        jobs = [pool.submit(walk, *one) for one in chosen if one[3]]
        print(f"1..{len(jobs)}", flush=True)
        bad = 0
        for job in jobs:
            name, faults = job.result()
            bad += bool(faults)
            print(f"{'not ok' if faults else 'ok'} - {name}", flush=True)
            for fault in faults[:5]:
                print("".join(f"# {line}\n" for line in fault.splitlines()), file=sys.stderr, flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
