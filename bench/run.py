#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The benchmark: our servers beside the peers that this machine has.

All servers run at once and rest while one is measured; rows take turns within
each repetition, so that whatever disturbs the machine disturbs all of them.
Nothing is installed. `make bench` calls this; by hand:
    bench/run.py --build BUILD [--repeat N] [--seconds S] [--only TEXT] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import report  # noqa: E402
import servers  # noqa: E402


@dataclass(frozen=True)
class Row:
    name: str
    server: str
    protocol: str = "fastcgi"
    path: str = "/users/42"
    options: tuple[str, ...] = field(default=())


KEPT = ("-c", "64")
NEW = ("-c", "64", "-N")


def at_rate(rate: int) -> list[Row]:
    pace = ("-R", str(rate))
    return [
        Row(f"native new, {rate}/s", "native", options=NEW + pace),
        Row(f"python new, {rate}/s", "python", options=NEW + pace),
        Row(f"uwsgi new, {rate}/s", "uwsgi", options=NEW + pace),
        Row(f"python scgi, {rate}/s", "python", "scgi", options=NEW + pace),
        Row(f"uwsgi scgi, {rate}/s", "uwsgi", "scgi", options=NEW + pace),
        Row(f"native kept, {rate}/s", "native", options=KEPT + pace),
        Row(f"python kept, {rate}/s", "python", options=KEPT + pace),
    ]


ROWS: list[Row] = [
    Row("native kept", "native", options=KEPT),
    Row("libfcgi kept", "libfcgi", options=KEPT),
    Row("python kept", "python", options=KEPT),
    Row("python async kept", "python", path="/async/users/42", options=KEPT),
    Row("php kept", "php", options=KEPT),
    Row("native kept, 1000", "native", options=("-c", "1000")),
    Row("native new", "native", options=NEW),
    Row("libfcgi new", "libfcgi", options=NEW),
    Row("python new", "python", options=NEW),
    Row("python async new", "python", path="/async/users/42", options=NEW),
    Row("uwsgi new", "uwsgi", options=NEW),
    Row("php new", "php", options=NEW),
    Row("native scgi", "native", "scgi", options=NEW),
    Row("python scgi", "python", "scgi", options=NEW),
    Row("uwsgi scgi", "uwsgi", "scgi", options=NEW),
    *at_rate(10000),
    *at_rate(30000),
]

GROUPS = (
    ("FastCGI, kept connections", ("native kept", "python kept", "python async kept", "libfcgi kept", "php kept")),
    ("FastCGI, a new connection each", ("native new", "python new", "python async new", "libfcgi new", "uwsgi new", "php new")),
    ("SCGI", ("native scgi", "python scgi", "uwsgi scgi")),
)


def measure(bench: Path, row: Row, server: servers.Server, seconds: float) -> dict[str, Any]:
    command = [str(bench), "--json", "--label", row.name, "-d", str(seconds), "-w", str(min(0.5, seconds / 4)), "-p", str(server.pid),
               *row.options, *server.extra, server.address(row.protocol), row.path]
    got = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if got.returncode not in (0, 3) or not got.stdout:  # 3: starved connections, which are counted
        raise RuntimeError(f"{row.name}: {got.stderr.strip() or got.stdout}\n  {' '.join(command)}")
    out: dict[str, Any] = json.loads(got.stdout)
    return out


def machine() -> dict[str, Any]:
    try:
        model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "load_before": os.getloadavg()[0],
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def start(args: argparse.Namespace, tmp: Path, wanted: set[str]) -> dict[str, servers.Server]:
    running: dict[str, servers.Server] = {}
    try:
        for make in servers.ALL:
            if make.__name__ not in wanted:
                continue
            try:
                server = make(args.build, tmp, args.access_log)
            except servers.Missing as why:
                print(f"left out: {why}", file=sys.stderr)
                continue
            running[server.name] = server
            server.start(tmp)
    except BaseException:
        stop(running)
        raise
    return running


def stop(running: dict[str, servers.Server]) -> None:
    for server in running.values():
        server.stop()


def run(args: argparse.Namespace, rows: list[Row], running: dict[str, servers.Server]) -> report.Samples:
    bench = args.build / "bench" / "snacgi-bench"
    samples: report.Samples = {row.name: [] for row in rows}
    for turn in range(args.repeat):
        for row in rows:
            sample = measure(bench, row, running[row.server], args.seconds)
            samples[row.name].append(sample)
            if sys.stderr.isatty():
                print(f"\r{turn + 1}/{args.repeat} {row.name:30}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r" + " " * 50 + "\r", end="", file=sys.stderr)
    return samples


def write(args: argparse.Namespace, samples: report.Samples, about: dict[str, Any], running: dict[str, servers.Server]) -> str:
    rows, compared = report.summary(samples), report.ratios(samples)
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": about, "seconds": args.seconds, "repeat": args.repeat, "servers": {s.name: s.about for s in running.values()},
              "rows": rows, "ratios": compared, "samples": samples}
    (args.out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    caption = (f"{about['cpu']}, {about['cores']} cores shared by server and load generator; 22 parameters a request, small JSON answer, "
               f"median of {args.repeat}")
    (args.out / "bench.svg").write_text(report.chart(rows, GROUPS, caption))
    text = report.table(rows, compared)
    (args.out / "bench.txt").write_text(text)
    return text


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="snacgi's benchmark, beside the peers that this machine has")
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build directory (build)")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="where bench.json, bench.svg and bench.txt go")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each run (2)")
    parser.add_argument("--only", action="append", default=[], help="rows whose name contains this text; repeatable")
    parser.add_argument("--access-log", action="store_true", help="access logs on, ours and uWSGI's")
    parser.add_argument("--check", action="store_true", help="end with 1 when a target is missed")
    args = parser.parse_args()
    if args.repeat < 1 or args.seconds <= 0:
        parser.error("--repeat and --seconds must be above 0")
    args.build, args.out = args.build.resolve(), args.out.resolve()
    return args


def main() -> int:
    args = options()
    rows = [row for row in ROWS if not args.only or any(text in row.name for text in args.only)]
    about = machine()
    if about["load_before"] > 0.5 * about["cores"]:
        print(f"the machine is busy (load {about['load_before']:.1f}): figures will be off", file=sys.stderr)
    tmp = Path(tempfile.mkdtemp(prefix="snacgi-bench-"))
    running: dict[str, servers.Server] = {}
    try:
        running = start(args, tmp, {row.server for row in rows})
        rows = [row for row in rows if row.server in running]
        samples = run(args, rows, running)
        text = write(args, samples, about, running)
    except (RuntimeError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    finally:
        stop(running)
        shutil.rmtree(tmp, ignore_errors=True)
    print(text, end="")
    for server in running.values():
        print(f"{server.name}: {server.about}")
    print(f"written: {args.out}/bench.json, bench.svg, bench.txt")
    return 1 if args.check and any(not c["met"] for c in report.ratios(samples)) else 0


if __name__ == "__main__":
    sys.exit(main())
