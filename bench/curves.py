# SPDX-License-Identifier: MIT
"""Cost against scale: connections, routes, processes, headers, size of a body.
Each point is a median; the points of one curve take turns."""

from __future__ import annotations

import html
import resource
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Callable, Sequence

import servers
from cases import HERE, Lab

Measure = Callable[[], dict[str, Any]]


@dataclass
class Curve:
    name: str
    along: str
    points: dict[int, Measure]
    servers: list[servers.Server]


def connections(lab: Lab) -> Curve:
    server = lab.start("connections", "bench/table")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500
    return Curve("native kept, against connections", "connections",
                 {n: (lambda n=n: lab.load(server, "/users/42", "-c", str(n), seconds=max(lab.seconds, n / 2500)))
                  for n in (1, 10, 100, 1000, 4000, 10_000) if n <= most}, [server])


def routes(lab: Lab) -> Curve:
    points: dict[int, Measure] = {}
    started = []
    for n in (1, 10, 100, 1000, 10_000):
        where = lab.tmp / f"routes-{n}"
        where.mkdir(exist_ok=True)
        (where / "app.py").write_text(
            "from snacgi import Request, route\n\n\ndef make(n):\n    @route(f'/part{n % 97}/r{n}/<int:key>')\n"
            f"    def handler(request: Request) -> dict:\n        return {{'n': n}}\n\n\nfor n in range({n}):\n    make(n)\n")
        server = lab.start(f"routes-{n}", "src/snacgi", "--python-dir", str(where))
        started.append(server)
        points[n] = lambda server=server, n=n: lab.load(server, f"/part{(n - 1) % 97}/r{n - 1}/7", "-c", "64")
    return Curve("python kept, against routes (the last one is asked for)", "routes", points, started)


def processes(lab: Lab) -> Curve:
    points: dict[int, Measure] = {}
    started = []
    for n in (1, 2):
        server = lab.start(f"processes-{n}", "bench/table", "--processes", str(n))
        started.append(server)
        points[n] = lambda server=server: lab.load(server, "/users/42", "-c", "64")
    return Curve("native kept, against processes (2 cores with the load generator)", "processes", points, started)


def headers(lab: Lab) -> Curve:
    server = lab.start("headers", "bench/table")

    def options(n: int) -> list[str]:
        return [word for k in range(n) for word in ("-H", f"X-Header-{k}: value number {k}")]

    return Curve("native kept, against additional headers", "headers",
                 {n: (lambda n=n: lab.load(server, "/users/42", "-c", "64", *options(n))) for n in (0, 5, 10, 20, 50, 100)}, [server])


def bodies(lab: Lab) -> Curve:
    server = lab.start("bodies", "bench/table")
    return Curve("native kept, against the body's size (above 64 KiB it goes to a file)", "bytes",
                 {n: (lambda n=n: lab.load(server, "/size", "-c", "16", "-m", "POST", "-b", str(n)))
                  for n in (1, 1024, 16_384, 65_536, 262_144, 1_048_576)}, [server])


CURVES = {"connections": connections, "routes": routes, "processes": processes, "headers": headers, "bodies": bodies}


def measure(lab: Lab, make: Callable[[Lab], Curve]) -> dict[str, Any]:
    curve = make(lab)
    samples: dict[int, list[dict[str, Any]]] = {n: [] for n in curve.points}
    try:
        for _ in range(min(lab.repeat, 5)):
            for n, point in curve.points.items():
                samples[n].append(point())
    finally:
        for server in curve.servers:
            server.stop()
    points = [{"at": n, "requests_per_second": median(float(s["requests_per_second"]) for s in runs),
               "cpu_us_per_request": median(float(s["server"]["cpu_us_per_request"]) for s in runs),
               "p99_us": median(float(s["latency_us"]["p99"]) for s in runs),
               "unserved": max(int(s["unserved_connections"]) for s in runs)} for n, runs in samples.items()]
    return {"name": curve.name, "along": curve.along, "points": points}


def table(curve: dict[str, Any]) -> str:
    lines = [f"{curve['name']}", f"{curve['along']:>12} {'requests/s':>12} {'server CPU us':>14} {'p99 us':>10}"]
    lines += [f"{p['at']:12} {p['requests_per_second']:12.0f} {p['cpu_us_per_request']:14.2f} {p['p99_us']:10.0f}"
              + (f"  {p['unserved']} never served" if p["unserved"] else "") for p in curve["points"]]
    return "\n".join(lines) + "\n\n"


WIDTH, HEIGHT, MARGIN = 420, 190, 50


def _line(kind: str, points: Sequence[dict[str, Any]], key: str, left: int, top: int) -> tuple[str, list[tuple[float, float]]]:
    most = max(p[key] for p in points) or 1.0
    at = [(left + MARGIN + i * (WIDTH - 2 * MARGIN) / max(1, len(points) - 1), top + 36 + (HEIGHT - 88) * (1 - p[key] / most))
          for i, p in enumerate(points)]
    return f'<polyline class="{kind}" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in at) + '"/>', at


def _one(curve: dict[str, Any], left: int, top: int) -> str:
    points: Sequence[dict[str, Any]] = curve["points"]
    rates, _ = _line("rate", points, "requests_per_second", left, top)
    costs, at = _line("line", points, "cpu_us_per_request", left, top)
    out = [f'<text class="h" x="{left + 8}" y="{top + 14}">{html.escape(curve["name"])}</text>', rates, costs,
           f'<text class="n" x="{left + 8}" y="{top + HEIGHT - 14}">/s</text>']
    for (x, y), p in zip(at, points):
        out.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
                   f'<text class="v" x="{x:.1f}" y="{y - 7:.1f}" text-anchor="middle">{p["cpu_us_per_request"]:.1f}</text>'
                   f'<text class="n" x="{x:.1f}" y="{top + HEIGHT - 30}" text-anchor="middle">{p["at"]:,}</text>'
                   f'<text class="r" x="{x:.1f}" y="{top + HEIGHT - 14}" text-anchor="middle">{p["requests_per_second"]:,.0f}</text>')
    return "".join(out)


def chart(curves: Sequence[dict[str, Any]]) -> str:
    """Along each scale, both from zero: server CPU a request in microseconds, and requests a second (dashed, the lowest row)."""
    height = HEIGHT * ((len(curves) + 1) // 2) + 30
    body = "".join(_one(c, (i % 2) * (WIDTH + 30), (i // 2) * HEIGHT + 26) for i, c in enumerate(curves))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH + 40} {height}" role="img" aria-label="throughput and CPU a request against scale">'
            "<style>text{font:11px system-ui,sans-serif;fill:#222}.h{font-weight:600}.n{fill:#666}.r{fill:#a5581c}.line{fill:none;stroke:#2a78c8;stroke-width:2}"
            ".rate{fill:none;stroke:#d2803c;stroke-width:1.5;stroke-dasharray:5 3}.dot{fill:#2a78c8}"
            "@media(prefers-color-scheme:dark){text{fill:#ddd}.n{fill:#aaa}.r{fill:#e0a070}}</style>"
            '<text x="8" y="14"><tspan class="h">Against scale:</tspan> server CPU a request, microseconds (line); requests a second (dashed; the numbers at the foot)</text>'
            + body + "</svg>\n")
