#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs fuzz targets that make built, and says in a table what each of them did.

    run.py [--seconds N] [--jobs N] [--endless N] [--merge | --coverage] PROGRAM...

A program DIR/fuzz_NAME searches from the seeds of corpus/NAME on, with the words of dict/NAME; what
it finds of interest is kept in DIR/corpus/NAME, what it says in DIR/log/NAME, and an input that
breaks it in DIR/finding/NAME-*. Made for hours on a machine that does other things: an input may
take --endless seconds before it counts as endless, memory is limited, and each target goes on whatever
becomes of the others. One TAP test a target; the exit status is 1 where one has a finding.

With --merge what reaches more than the seeds do is added to them. With --coverage the programs
are replays that count lines (llvm-profdata, llvm-cov): the lines of the parsers that no seed reaches
are printed."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
MEMORY = 2048  # MiB a target

# What bytes from outside go through; the rest of the library is only linked.
PARSERS = ["src/transport", "src/http", "src/route", "src/conf", "src/native/cgi_head.c", "src/native/json_check.c", "src/pyrt/core/jsonparse.c"]


class Target:
    def __init__(self, program: Path, endless: int) -> None:
        self.endless = endless
        self.program, self.name = program.resolve(), program.name.removeprefix("fuzz_")
        self.dir = self.program.parent
        self.seeds, self.dict = HERE / "corpus" / self.name, HERE / "dict" / self.name
        self.corpus, self.log = self.dir / "corpus" / self.name, self.dir / "log" / self.name
        self.finding = self.dir / "finding"
        for path in (self.corpus, self.log.parent, self.finding):
            path.mkdir(parents=True, exist_ok=True)

    def run(self, *options: str) -> int:
        with open(self.log, "wb") as log:
            return subprocess.run([str(self.program), f"-timeout={self.endless}", f"-rss_limit_mb={MEMORY}", *options],
                                  cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode

    def search(self, seconds: int) -> int:
        before = set(self.finding.iterdir())
        words = [f"-dict={self.dict}"] if self.dict.exists() else []
        status = self.run(f"-max_total_time={seconds}", f"-report_slow_units={self.endless // 2}", f"-artifact_prefix={self.finding}/{self.name}-",
                          "-print_final_stats=1", *words, str(self.corpus), str(self.seeds))
        new = sorted(path.name for path in set(self.finding.iterdir()) - before if path.name.startswith(f"{self.name}-"))
        if status:
            text = self.log.read_text(errors="replace")
            where = max(text.rfind("==ERROR"), text.rfind("SUMMARY"), text.rfind("runtime error"), text.rfind("assert"))
            print(f"not ok - {self.name}: {', '.join(new) or f'status {status}'}; see {self.log}", flush=True)
            print("".join(f"# {line}\n" for line in text[max(0, where - 1000):where + 2000].splitlines()), file=sys.stderr, flush=True)
        else:
            print(f"ok - {self.name}{f' (slow: {new})' if new else ''}", flush=True)
        return status

    def row(self) -> str:
        text = self.log.read_text(errors="replace")
        last = (re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)/", text) or [("?", "?", "?")])[-1]
        stat = dict(re.findall(r"stat::(\w+):\s+(\d+)", text))
        found = len(list(self.finding.glob(f"{self.name}-*")))
        return (f"# {self.name:10} {stat.get('number_of_executed_units', '?'):>11} {stat.get('average_exec_per_sec', '?'):>8} "
                f"{last[0]:>7} {last[1]:>9} {last[2]:>7} {stat.get('new_units_added', '?'):>6} {stat.get('peak_rss_mb', '?'):>6} {found:>8}")

    def merge(self) -> int:
        before = set(self.seeds.iterdir())
        status = self.run("-merge=1", str(self.seeds), str(self.corpus))
        print(f"{self.name}: {len(set(self.seeds.iterdir()) - before)} new seeds")
        return status

    def replay(self) -> Path | None:
        """Where the seeds came by."""
        raw = self.dir / f"{self.name}.profraw"
        with open(self.log, "wb") as log:
            done = subprocess.run([str(self.program), str(self.seeds)], env={**os.environ, "LLVM_PROFILE_FILE": str(raw)}, stdout=log, stderr=log)
        if done.returncode:
            print(f"not ok - {self.name}: see {self.log}")
            return None
        return raw


def cover(targets: list[Target]) -> int:
    """For each file of the parsers its lines that no target reaches."""
    raw = [one for one in (target.replay() for target in targets) if one]
    if len(raw) < len(targets):
        return 1
    data = targets[0].dir / "all.profdata"
    subprocess.run(["llvm-profdata", "merge", "-sparse", *map(str, raw), "-o", str(data)], check=True)
    objects = [str(targets[0].program), *(word for target in targets[1:] for word in ("-object", str(target.program)))]
    trace = subprocess.run(["llvm-cov", "export", "-format=lcov", *objects, f"-instr-profile={data}"], check=True, stdout=subprocess.PIPE, text=True).stdout
    for record in trace.split("end_of_record"):
        name = re.search(r"^SF:(.*)$", record, re.M)
        path = Path(name.group(1)).resolve() if name else Path("/")
        if path.suffix != ".c" or not any(path.is_relative_to(TOP / folder) for folder in PARSERS):
            continue
        counts = {int(line): int(count) for line, count in re.findall(r"^DA:(\d+),(\d+)", record, re.M)}
        source = path.read_text().splitlines()
        missed = [line for line in sorted(counts) if not counts[line] and source[line - 1].strip(" \t{}")]
        print(f"== {path.relative_to(TOP)}: {len(counts) - len(missed)} of {len(counts)} lines")
        for line in missed:
            print(f"{line:5}  {source[line - 1]}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--endless", type=int, default=120, help="seconds for one input (120: the machine is busy)")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("programs", nargs="+", type=Path)
    args = parser.parse_args()
    targets = [Target(program, args.endless) for program in args.programs]
    if args.coverage:
        if not shutil.which("llvm-cov"):
            sys.exit("llvm-cov is missing (Debian: llvm)")
        return cover(targets)
    if args.merge:
        return max(target.merge() for target in targets)
    print(f"1..{len(targets)}\n# {args.seconds} s each, {args.jobs} at a time", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        bad = [status for status in pool.map(lambda target: target.search(args.seconds), targets) if status]
    print("# target      executions      a s   edges  features  corpus    new    MiB findings")
    for target in targets:
        print(target.row())
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
