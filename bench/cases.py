# SPDX-License-Identifier: MIT
"""What is not a plain row of load: threads in each other's way,
JSON, start and memory. Each case starts what it needs,
and hands back figures, with the target where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import proc
import servers
from figures import Figure

HERE = Path(__file__).resolve().parent


@dataclass
class Lab:
    build: Path
    tmp: Path
    repeat: int
    seconds: float
    running: dict[str, servers.Server]
    turn: int = 0

    def load(self, server: servers.Server, path: str, *more: str, seconds: Optional[float] = None) -> dict[str, Any]:
        command = [str(self.build / "bench" / "snacgi-bench"), "--json", "-p", str(server.pid), *more, server.address("fastcgi"), path]
        if "-n" not in more:
            command[2:2] = ["-d", str(seconds or self.seconds), "-w", "0.3"]
        got = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if got.returncode not in (0, 3) or not got.stdout:
            raise RuntimeError(f"{got.stderr.strip() or got.stdout}\n  {' '.join(command)}")
        out: dict[str, Any] = json.loads(got.stdout)
        return out

    def start(self, name: str, program: str, *options: str, env: Optional[dict[str, str]] = None) -> servers.Server:
        self.turn += 1
        path = self.tmp / f"{name}-{self.turn}.sock"
        command = [str(self.build / program), "serve", "-l", f"unix:{path}", *options]
        if env:
            command = ["env", *(f"{k}={v}" for k, v in env.items()), *command]
        server = servers.Server(f"{name}-{self.turn}", command, {"fastcgi": path}, name)
        server.start(self.tmp)
        return server


class Others:
    """Asks for a path over and over, on so many connections, until told to stop."""

    def __init__(self, server: servers.Server, path: str, many: int) -> None:
        self.stopping = False
        self.threads = [threading.Thread(target=self.loop, args=(server.sockets["fastcgi"], path), daemon=True) for _ in range(many)]
        for thread in self.threads:
            thread.start()
        time.sleep(0.2)

    def loop(self, sock: Path, path: str) -> None:
        while not self.stopping:
            try:
                proc.ask(sock, "GET", path)
            except OSError:
                time.sleep(0.01)

    def stop(self) -> None:
        self.stopping = True
        for thread in self.threads:
            thread.join(30)


def rate(sample: dict[str, Any]) -> float:
    return float(sample["requests_per_second"])


def p99(sample: dict[str, Any]) -> float:
    return float(sample["latency_us"]["p99"])


# ---- sync workers -------------------------------------------------------------


def workers(lab: Lab) -> Iterator[Figure]:
    four = lab.start("four", "src/snacgi", "--python-dir", str(HERE / "app"), "--dispatch-workers", "4")
    one = lab.start("one", "src/snacgi", "--python-dir", str(HERE / "app"), "--dispatch-workers", "1")
    short = Figure("dispatch_workers 4 / 1, short handlers: throughput", [], "x", ">=", 0.97)
    blocked = Figure("3 of 4 workers blocked 50 ms each: throughput / unblocked", [], "x", ">=", 0.85)
    burning = Figure("1 of 4 workers computing in Python: throughput / undisturbed", [], "x")
    holding = Figure("1 of 4 workers holding the GIL in C: throughput / undisturbed", [], "x")
    late = Figure("1 of 4 workers computing in Python: p99 of short handlers", [], "ms")
    held = Figure("1 of 4 workers holding the GIL in C: p99 of short handlers", [], "ms")
    try:
        for _ in range(lab.repeat):
            alone, other = lab.load(four, "/users/42", "-c", "64"), lab.load(one, "/users/42", "-c", "64")
            short.values.append(rate(alone) / rate(other))
            for path, many, relative, absolute in (("/blocked/50", 3, blocked, None), ("/burn/50", 1, burning, late), ("/hold/50", 1, holding, held)):
                others = Others(four, path, many)
                try:
                    got = lab.load(four, "/users/42", "-c", "64")
                finally:
                    others.stop()
                relative.values.append(rate(got) / rate(alone))
                if absolute:
                    absolute.values.append(p99(got) / 1000)
    finally:
        four.stop()
        one.stop()
    yield from (short, blocked, burning, holding, late, held)


# ---- isolation of natives -------------------------------------------------------


def isolation(lab: Lab) -> Iterator[Figure]:
    """The same CPU is burnt by Python inside and by strangers outside: two threads of it."""
    directory = lab.tmp / "isolation"
    directory.mkdir(exist_ok=True)
    for source in (HERE / "app" / "app.py", HERE / "app_pool" / "app_pool.py"):
        (directory / source.name).write_text(source.read_text())
    server = lab.start("isolation", "bench/table", "--python-dir", str(directory), "--pool-workers", "1", "--dispatch-workers", "1")
    figure = Figure("native p99, Python computing inside / unrelated processes", [], "x", "<=", 1.2, "5000/s, open loop")
    inside, outside = Figure("native p99, Python computing in runtime and pool", [], "us"), Figure("native p99, two unrelated processes computing", [], "us")
    load = ("-c", "16", "-R", "5000")
    try:
        for _ in range(lab.repeat):
            busy = [Others(server, "/burn/100", 1), Others(server, "/pool/100", 1)]
            try:
                inside.values.append(p99(lab.load(server, "/fixed", *load)))
            finally:
                for one in busy:
                    one.stop()
            strangers = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
            try:
                outside.values.append(p99(lab.load(server, "/fixed", *load)))
            finally:
                for process in strangers:
                    process.kill()
                    process.wait()
    finally:
        server.stop()
    figure.values = [a / b for a, b in zip(inside.values, outside.values)]
    yield from (figure, inside, outside)


# ---- JSON ---------------------------------------------------------------------------


def in_plain_python(lab: Lab, text: str) -> Any:
    env = {**os.environ, "PYTHONPATH": str(lab.build / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    got = subprocess.run([sys.executable, str(HERE / text), str(lab.repeat)], stdout=subprocess.PIPE, env=env, check=True, text=True)
    return json.loads(got.stdout)


def json_text(lab: Lab) -> Iterator[Figure]:
    for name, values in in_plain_python(lab, "json_speed.py").items():
        sense, limit = ("<=", 1.5) if "orjson" in name else (">=", 2.0 if "dumps" in name else 1.0)
        yield Figure(name, values, "x", sense, limit)


# ---- start and memory -----------------------------------------------------------------


def start(lab: Lab) -> Iterator[Figure]:
    directory = lab.tmp / "hundred"
    directory.mkdir(exist_ok=True)
    (directory / "app.py").write_text("from snacgi import Request, route\n" + "".join(
        f"\n\n@route('/r{n}')\ndef r{n}(request: Request) -> dict:\n    return {{'n': {n}}}\n" for n in range(100)))
    env = {**os.environ, "PYTHONPATH": str(lab.build / "python"), "LD_LIBRARY_PATH": str(lab.build / ".libs")}
    program = lab.build / "src" / ".libs" / "snacgi"  # what is installed; libtool's script before it takes time of its own
    if not program.exists():
        program = lab.build / "src" / "snacgi"
    ours, bare, imports = Figure("start to first answer, 100 routes", [], "ms"), Figure("python3 -c pass", [], "ms"), Figure("the imports alone", [], "ms")
    pool = Figure("start to first answer, 100 routes and a pool of 4", [], "ms")
    pooled = lab.tmp / "pooled"
    pooled.mkdir(exist_ok=True)
    (pooled / "app.py").write_text((directory / "app.py").read_text())
    (pooled / "app_pool.py").write_text((HERE / "app_pool" / "app_pool.py").read_text())
    for _ in range(lab.repeat):
        for figure, where in ((ours, directory), (pool, pooled)):
            lab.turn += 1
            path = lab.tmp / f"start-{lab.turn}.sock"
            begun = time.monotonic()
            process = subprocess.Popen([str(program), "serve", "-l", f"unix:{path}", "--python-dir", str(where)],
                                       env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                figure.values.append(proc.ready_after(path, "/r99", begun) * 1000)
            finally:
                process.terminate()
                process.wait(30)
        for figure, command in ((bare, [sys.executable, "-c", "pass"]),
                                (imports, [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(directory)!r}); import app"])):
            begun = time.monotonic()
            subprocess.run(command, env=env, check=True)
            figure.values.append((time.monotonic() - begun) * 1000)
    ratio = Figure("start to first answer / (2 x python3 -c pass + imports)", [], "x", "<=", 1.0)
    ratio.values = [a / (2 * b + max(0.0, c - b)) for a, b, c in zip(ours.values, bare.values, imports.values)]
    yield from (ratio, ours, bare, imports, pool)


def memory(lab: Lab) -> Iterator[Figure]:
    for name, server in lab.running.items():
        yield Figure(f"memory at rest after the load: {name}", [proc.pss_bytes(server.pid) / 1048576], "MiB", note=server.about[:60])


CASES: dict[str, Callable[[Lab], Iterator[Figure]]] = {
    "workers": workers, "isolation": isolation, "json": json_text, "start": start, "memory": memory,
}
