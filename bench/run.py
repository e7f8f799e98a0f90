#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The benchmark: our servers beside the peers that this machine has.

All servers run at once and rest while one is measured; rows take turns within
each repetition, so that whatever disturbs the machine disturbs all of them.
Nothing is installed. `make bench` calls this; by hand:
    bench/run.py --build BUILD [--repeat N] [--seconds S] [--only TEXT,TEXT] [--out DIR] [--quick]
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

import cases  # noqa: E402
import curves  # noqa: E402
import front  # noqa: E402
import parked  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
import transfers  # noqa: E402
from figures import Figure, table as figure_table  # noqa: E402

CASES = {**cases.CASES, "parked": parked.parked, "transfers": transfers.transfers}


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
    Row("native kept, 2 I/O threads", "native2", options=KEPT),
    Row("native kept, 1000, 2 I/O threads", "native2", options=("-c", "1000")),
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


@dataclass
class Results:
    samples: report.Samples = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def write(args: argparse.Namespace, got: Results, about: dict[str, Any], running: dict[str, servers.Server]) -> str:
    rows, compared = report.summary(got.samples), report.ratios(got.samples)
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": about, "seconds": args.seconds, "repeat": args.repeat, "servers": {s.name: s.about for s in running.values()},
              "rows": rows, "ratios": compared, "figures": [f.json() for f in got.figures], "curves": got.curves,
              "left_out": got.left_out, "samples": got.samples}
    (args.out / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    caption = (f"{about['cpu']}, {about['cores']} cores shared by server and load generator; 22 parameters a request, small JSON answer, "
               f"median of {args.repeat}")
    text = ""
    if rows:
        (args.out / "bench.svg").write_text(report.chart(rows, GROUPS, caption))
        text += report.table(rows, compared) + "\n"
    text += figure_table("beyond rows of load", got.figures)
    text += "\n" * bool(got.curves) + "".join(curves.table(c) for c in got.curves)
    if got.curves:
        (args.out / "scale.svg").write_text(curves.chart(got.curves))
    text += "".join(f"left out: {why}\n" for why in got.left_out)
    (args.out / "bench.txt").write_text(text)
    return text


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="snacgi's benchmark, beside the peers that this machine has")
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build directory (build)")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="where bench.json, bench.txt, bench.svg and scale.svg go")
    parser.add_argument("--repeat", type=int, help="repetitions (5)")
    parser.add_argument("--seconds", type=float, help="for each run (2)")
    parser.add_argument("--only", default="", help="what has one of these texts in its name, separated by semicolons; see --list")
    parser.add_argument("--quick", action="store_true", help="2 repetitions of half a second: to try it, not to quote it")
    parser.add_argument("--list", action="store_true", help="the names of all there is")
    parser.add_argument("--access-log", action="store_true", help="access logs on, ours and the peers'")
    parser.add_argument("--check", action="store_true", help="end with 1 when a target is missed")
    args = parser.parse_args()
    args.repeat = args.repeat if args.repeat is not None else 2 if args.quick else 5
    args.seconds = args.seconds if args.seconds is not None else 0.5 if args.quick else 2.0
    if args.repeat < 1 or args.seconds <= 0:
        parser.error("--repeat and --seconds must be above 0")
    args.build, args.out = args.build.resolve(), args.out.resolve()
    args.texts = [t.strip() for t in args.only.split(";") if t.strip()]
    return args


def everything() -> list[str]:
    return [row.name for row in ROWS] + [name for name, *_ in front.ROUTES] + list(CASES) + [f"scale {name}" for name in curves.CURVES]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure_all(args: argparse.Namespace, tmp: Path, wanted: Any, running: dict[str, servers.Server]) -> Results:
    got = Results()
    rows = [row for row in ROWS if wanted(row.name) and row.server in running]
    got.samples = run(args, rows, running)
    lab = cases.Lab(args.build, tmp, args.repeat, args.seconds, running)
    parts: list[tuple[str, Any]] = []
    if any(wanted(name) for name, *_ in front.ROUTES):
        parts.append(("through nginx", lambda: got.figures.extend(front.measure(tmp, running, args.repeat, args.seconds, wanted))))
    for name, case in CASES.items():
        if wanted(name):
            parts.append((name, lambda case=case: got.figures.extend(case(lab))))
    for name, make in curves.CURVES.items():
        if wanted(f"scale {name}"):
            parts.append((f"scale {name}", lambda make=make: got.curves.append(curves.measure(lab, make))))
    for name, part in parts:
        say(name)
        try:
            part()
        except (servers.Missing, RuntimeError, OSError, subprocess.SubprocessError) as why:
            say(f"{name}: {why}")
            got.left_out.append(f"{name}: {str(why).splitlines()[0] if str(why) else type(why).__name__}")
    return got


def main() -> int:
    args = options()
    if args.list:
        print("\n".join(everything()))
        return 0

    def wanted(name: str) -> bool:
        return not args.texts or any(text in name for text in args.texts)

    if not any(wanted(name) for name in everything()):
        say(f"bench: nothing is called {args.only}; --list tells the names")
        return 2
    about = machine()
    if about["load_before"] > 0.5 * about["cores"]:
        say(f"the machine is busy (load {about['load_before']:.1f}): figures will be off")
    tmp = Path(tempfile.mkdtemp(prefix="snacgi-bench-"))
    running: dict[str, servers.Server] = {}
    try:
        needed = {row.server for row in ROWS if wanted(row.name)} | {server for name, server, *_ in front.ROUTES if wanted(name)}
        running = start(args, tmp, needed)
        got = measure_all(args, tmp, wanted, running)
        text = write(args, got, about, running)
    except (RuntimeError, OSError) as error:
        say(f"bench: {error}")
        return 2
    finally:
        stop(running)
        shutil.rmtree(tmp, ignore_errors=True)
    print(text, end="")
    for server in running.values():
        print(f"{server.name}: {server.about}")
    print(f"written: {args.out}/bench.json, bench.txt and charts")
    missed = any(not c["met"] for c in report.ratios(got.samples)) or any(f.met is False for f in got.figures)
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
