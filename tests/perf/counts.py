#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Instructions a request, counted by callgrind, against tests/perf/baseline.json.

A clock cannot see a slow creep of 2 % on a noisy machine; a count can. The real
daemon runs under callgrind, which counts only while a thread is in the function
that handles an event of a connection (I/O thread) or calls a handler (Python):
waiting, waking and the order of threads do not count. Two runs of different
length: what start and stop take cancels out.

    make check-perf            compares, as TAP
    make check-perf-baseline   writes what this machine counts into the baseline
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOLERANCE = 0.03
# Entered on each event, left before the thread waits again.
COUNTED = ("sn_conn_event", "run_one*")  # a compiler may call it run_one.constprop.0
BODY = json.dumps({"numbers": list(range(100)), "names": ["name %d" % i for i in range(30)], "ratio": 0.125, "ok": True})


@dataclass(frozen=True)
class Row:
    name: str
    python: bool
    path: str
    few: int
    many: int
    sane: tuple[int, int]  # a count out of these says that nothing, or not only a request, was counted
    body: str = ""


ROWS = (
    Row("native", False, "/users/42", 500, 2500, (500, 20_000)),
    Row("python", True, "/users/42", 300, 1300, (3_000, 60_000)),
    Row("python, JSON body", True, "/echo", 300, 1300, (10_000, 300_000), BODY),
)


def program(build: Path, name: str) -> Path:
    """Not libtool's script before it, which callgrind would count as well."""
    real = build / Path(name).parent / ".libs" / Path(name).name
    return real if real.exists() else build / name


def wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 600
    while True:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(path))
                return
            except OSError:
                pass
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the daemon does not serve:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def total(build: Path, row: Row, requests: int, tmp: Path) -> int:
    """Instructions of a daemon's life in which it answers so many requests."""
    out, sock, log = tmp / f"callgrind.{requests}", tmp / f"{requests}.sock", tmp / f"{requests}.log"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *(f"--toggle-collect={name}" for name in COUNTED),
               str(program(build, "src/snacgi" if row.python else "bench/table")), "serve", "--no-supervisor", "-l", f"unix:{sock}",
               "--io-threads", "1"]
    if row.python:
        command += ["--python-dir", str(HERE / "app"), "--dispatch-workers", "1"]
    env = {**os.environ, "LD_LIBRARY_PATH": str(build / ".libs"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    with open(log, "wb") as to:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=to, stderr=to, env=env, cwd=tmp)
    try:
        wait_for(sock, daemon, log)
        load = [str(build / "bench" / "snacgi-bench"), "-c", "1", "-n", str(requests), "-d", "900", "--timeout", "600",
                *(("--body", row.body, "-T", "application/json") if row.body else ()), f"unix:{sock}", row.path]
        got = subprocess.run(load, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1000)
        if got.returncode != 0:
            raise RuntimeError(f"snacgi-bench: {got.stdout}\n{log.read_text(errors='replace')[-3000:]}")
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(200)
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
    # More than one part where threads ended between: their sums are the whole.
    sums = [int(m.group(1)) for part in tmp.glob(f"callgrind.{requests}*") for m in re.finditer(r"^(?:summary|totals): (\d+)", part.read_text(), re.M)]
    if not sums:
        raise RuntimeError(f"callgrind wrote nothing:\n{log.read_text(errors='replace')[-3000:]}")
    return max(sums)


def count(build: Path, row: Row) -> float:
    tmp = Path(tempfile.mkdtemp(prefix="snacgi-perf-"))
    try:
        return (total(build, row, row.many, tmp) - total(build, row, row.few, tmp)) / (row.many - row.few)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def keys(args: argparse.Namespace) -> tuple[str, str]:
    """What a count depends on: the compiler and its options, the C library, the interpreter."""
    first = subprocess.run([*args.cc.split(), "--version"], stdout=subprocess.PIPE, text=True).stdout.splitlines()[0]
    numbers = re.findall(r"\d+\.\d+\.\d+", first)
    name = "clang" if "clang" in first else "gcc"
    compiler = f"{name} {numbers[-1] if numbers else first}, {args.cflags}, {' '.join(platform.libc_ver())}, {platform.machine()}"
    return compiler, "Python " + platform.python_version()


def judge(row: Row, got: float, known: dict[str, Any], key: tuple[str, str]) -> tuple[bool, str]:
    want = known.get(row.name)
    if not row.sane[0] <= got <= row.sane[1]:
        return False, f"{got:.0f} instructions a request cannot be: between {row.sane[0]} and {row.sane[1]} were expected"
    if want is None:
        return True, (f"{got:.0f} instructions a request # SKIP no baseline for {', '.join(key if row.python else key[:1])}: "
                      "`make check-perf-baseline` adds it to tests/perf/baseline.json")
    change = got / want - 1
    text = f"{got:.0f} instructions a request, {change * 100:+.1f} % of the baseline's {want:.0f}"
    if change > TOLERANCE:
        return False, text + "; if that is worth it, `make check-perf-baseline` and say why in the commit"
    return True, text + ("; `make check-perf-baseline` would keep that" if change < -TOLERANCE else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cflags", default="-O2 -g")
    parser.add_argument("--baseline", type=Path, default=HERE / "baseline.json")
    parser.add_argument("--update", action="store_true", help="write the baseline")
    args = parser.parse_args()
    args.build = args.build.resolve()
    if not shutil.which("valgrind"):
        print("not ok 1 - valgrind is not installed; on Debian: apt-get install valgrind\n1..1")
        return 1
    baseline: dict[str, dict[str, Any]] = json.loads(args.baseline.read_text()) if args.baseline.exists() else {}
    key = keys(args)
    ours = baseline.setdefault(key[0], {})
    failed = False
    for n, row in enumerate(ROWS, 1):
        known = ours.setdefault(key[1], {}) if row.python else ours
        try:
            got = count(args.build, row)
        except (RuntimeError, subprocess.SubprocessError) as error:
            print(f"not ok {n} - {row.name}\n" + "".join(f"# {line}\n" for line in str(error).splitlines()), end="")
            failed = True
            continue
        good, text = judge(row, got, known, key)
        if args.update:
            good, text = True, f"{got:.0f} instructions a request, were {known.get(row.name, 'unknown')}"
            known[row.name] = round(got)
        print(f"{'ok' if good else 'not ok'} {n} - {row.name}: {text}", flush=True)
        failed |= not good
    print(f"1..{len(ROWS)}")
    if args.update and not failed:
        args.baseline.write_text(json.dumps(baseline, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
