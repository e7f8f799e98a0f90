# SPDX-License-Identifier: MIT
"""What the samples say: medians, spread, ratios of rows that ran side by side,
as a table, as JSON and as a chart."""

from __future__ import annotations

import html
from statistics import median
from typing import Any, Callable, Sequence

Samples = dict[str, list[dict[str, Any]]]


def throughput(sample: dict[str, Any]) -> float:
    return float(sample["requests_per_second"])


def cpu(sample: dict[str, Any]) -> float:
    server = sample.get("server") or {}
    return float(server.get("cpu_us_per_request") or float("nan"))


def p99(sample: dict[str, Any]) -> float:
    return float(sample["latency_us"]["p99"])


METRICS: dict[str, Callable[[dict[str, Any]], float]] = {"cpu": cpu, "throughput": throughput, "p99": p99}

# (metric, row, beside, at most or at least, what it should be)
TARGETS: Sequence[tuple[str, str, str, str, float]] = (
    ("cpu", "native kept", "libfcgi kept", "<=", 0.42),
    ("throughput", "native kept", "libfcgi kept", ">=", 2.3),
    ("cpu", "native new", "libfcgi new", "<=", 0.7),
    ("throughput", "native new", "libfcgi new", ">=", 1.2),
    ("throughput", "native kept, 1000", "native kept", ">=", 0.9),
    ("throughput", "native kept, 1000, 2 I/O threads", "native kept, 2 I/O threads", ">=", 0.75),
    ("cpu", "python new", "uwsgi new", "<=", 0.68),
    ("throughput", "python new", "uwsgi new", ">=", 1.4),
    ("cpu", "python scgi", "uwsgi scgi", "<=", 0.88),
    ("throughput", "python scgi", "uwsgi scgi", ">=", 1.1),
    ("cpu", "python kept", "native kept", "<=", 1.6),
    ("throughput", "python kept", "uwsgi new", ">=", 3.5),
    ("cpu", "python async kept", "python kept", "<=", 1.7),
    ("cpu", "python new, 10000/s", "uwsgi new, 10000/s", "<=", 1.0),
    ("p99", "python new, 10000/s", "uwsgi new, 10000/s", "<=", 1.0),
    ("cpu", "python scgi, 10000/s", "uwsgi scgi, 10000/s", "<=", 1.0),
    ("p99", "python scgi, 10000/s", "uwsgi scgi, 10000/s", "<=", 1.0),
    ("cpu", "python new, 30000/s", "uwsgi new, 30000/s", "<=", 1.0),
    ("p99", "python new, 30000/s", "uwsgi new, 30000/s", "<=", 1.0),
)


def spread(values: Sequence[float]) -> float:
    """Half the range, as a part of the median."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0


def summary(samples: Samples) -> list[dict[str, Any]]:
    out = []
    for row, runs in samples.items():
        rates, costs = [throughput(r) for r in runs], [cpu(r) for r in runs]
        out.append({
            "row": row, "runs": len(runs),
            "requests_per_second": median(rates), "requests_per_second_spread": spread(rates),
            "cpu_us_per_request": median(costs), "cpu_us_per_request_spread": spread(costs),
            "p50_us": median(float(r["latency_us"]["p50"]) for r in runs), "p99_us": median(p99(r) for r in runs),
            "unserved_connections": max(r["unserved_connections"] for r in runs),
            "connections": runs[0]["connections"],
            "wrong_total": sum(r["wrong_total"] for r in runs),
            "reconnects": max(r["reconnects"] for r in runs),
            "client_cores": median(r["client_cpu_seconds"] / (r["seconds"] + r["warmup"]) for r in runs),
            "server_cores": median(float((r["server"] or {}).get("cpu_seconds", 0)) / r["seconds"] for r in runs),
            "rss_bytes": max(int((r["server"] or {}).get("rss_bytes", 0)) for r in runs),
        })
    return out


def ratios(samples: Samples) -> list[dict[str, Any]]:
    """Each repetition's own ratio first: what disturbs the machine for a minute disturbs both sides."""
    out = []
    for metric, row, beside, sense, limit in TARGETS:
        if row not in samples or beside not in samples:
            continue
        get = METRICS[metric]
        each = [get(a) / get(b) for a, b in zip(samples[row], samples[beside])]
        middle = median(each)
        out.append({"metric": metric, "row": row, "beside": beside, "ratio": middle, "lowest": min(each), "highest": max(each),
                    "target": f"{sense} {limit:g}", "met": middle <= limit if sense == "<=" else middle >= limit})
    return out


def table(rows: Sequence[dict[str, Any]], compared: Sequence[dict[str, Any]]) -> str:
    lines = [f"{'':26} {'requests/s':>16} {'server CPU us':>16} {'p50 us':>9} {'p99 us':>9} {'cores s+c':>9}"]
    for r in rows:
        notes = []
        if r["unserved_connections"]:
            notes.append(f"{r['unserved_connections']} of {r['connections']} connections never served")
        if r["wrong_total"]:
            notes.append(f"WRONG ANSWERS: {r['wrong_total']}")
        if r["reconnects"]:
            notes.append("does not keep connections")
        lines.append(f"{r['row']:26} {r['requests_per_second']:9.0f} +-{r['requests_per_second_spread'] * 100:3.0f}%"
                     f" {r['cpu_us_per_request']:10.2f} +-{r['cpu_us_per_request_spread'] * 100:3.0f}%"
                     f" {r['p50_us']:9.1f} {r['p99_us']:9.1f} {r['server_cores']:4.2f}+{r['client_cores']:4.2f}"
                     + ("  " + "; ".join(notes) if notes else ""))
    if compared:
        lines += ["", f"{'ratio':66} {'median':>7} {'lowest':>7} {'highest':>7}  target"]
    for c in compared:
        lines.append(f"{c['metric'] + ': ' + c['row'] + ' / ' + c['beside']:66} {c['ratio']:7.2f} {c['lowest']:7.2f} {c['highest']:7.2f}"
                     f"  {c['target']:7} {'met' if c['met'] else 'MISSED'}")
    return "\n".join(lines) + "\n"


# ---- chart --------------------------------------------------------------------

STYLE = """text{font:13px system-ui,sans-serif;fill:#222}.h{font-weight:600}.n{fill:#666}
.ours{fill:#2a78c8}.peer{fill:#a9b4c0}.err{stroke:#444}
@media(prefers-color-scheme:dark){text{fill:#ddd}.n{fill:#aaa}.peer{fill:#67717c}.err{stroke:#ccc}}"""
ALL, LEFT, WIDTH, BAR, GAP = 960, 150, 460, 18, 6


def chart(rows: Sequence[dict[str, Any]], groups: Sequence[tuple[str, Sequence[str]]], caption: str) -> str:
    """Bars of server CPU a request: shorter is better. A line marks the spread."""
    known = {r["row"]: r for r in rows}
    shown = [(title, [known[n] for n in names if n in known and known[n]["cpu_us_per_request"] > 0]) for title, names in groups]
    shown = [(title, some) for title, some in shown if some]
    top = max((r["cpu_us_per_request"] * (1 + r["cpu_us_per_request_spread"]) for _, some in shown for r in some), default=1.0)
    parts, y = [], 46
    for title, some in shown:
        parts.append(f'<text class="h" x="8" y="{y}">{html.escape(title)}</text>')
        y += 10
        for r in some:
            value, off = r["cpu_us_per_request"], r["cpu_us_per_request_spread"]
            long = value / top * WIDTH
            low, high = (LEFT + max(0.0, value * (1 + s * off)) / top * WIDTH for s in (-1, 1))
            kind = "ours" if r["row"].startswith(("native", "python")) else "peer"
            note = f" ({r['unserved_connections']} of {r['connections']} connections starve)" if r["unserved_connections"] else ""
            middle = y + BAR / 2
            parts.append(f'<text x="{LEFT - 8}" y="{middle + 4:.0f}" text-anchor="end">{html.escape(r["row"])}</text>'
                         f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2"/>'
                         f'<path class="err" d="M{low:.1f} {middle}H{high:.1f}"/>'
                         f'<text x="{max(LEFT + long, high) + 6:.1f}" y="{middle + 4:.0f}">{value:.1f} '
                         f'<tspan class="n">{r["requests_per_second"]:,.0f}/s{html.escape(note)}</tspan></text>')
            y += BAR + GAP
        y += 22
    below = caption.split("; ")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {ALL} {y + 17 * len(below) - 9}" role="img" aria-label="server CPU time a request">'
            f"<style>{STYLE}</style>"
            '<text class="h" x="8" y="20">Server CPU time a request, microseconds (shorter is better), and requests a second</text>'
            + "".join(parts) + "".join(f'<text class="n" x="8" y="{y + 17 * n}">{html.escape(text)}</text>' for n, text in enumerate(below)) + "</svg>\n")
