# SPDX-License-Identifier: MIT
"""What each front server does with each case: the data that the suite asserts and that
the table in doc/front-servers.md shows. An outcome that is not a case's own default is a
limit, or a habit, of that server; the test then demands exactly that."""

from __future__ import annotations

# case: (what is done, the outcome where the server stands in nobody's way)
CASES: dict[str, tuple[str, str]] = {
    "get": ("GET, Python and native", "ok"),
    "head": ("HEAD", "ok"),
    "post-json": ("POST, JSON", "ok"),
    "post-form": ("POST, form", "ok"),
    "upload-50mb": ("upload of 50 MB", "ok"),
    "upload-oversized": ("upload over `limits.body`", "413"),
    "chunked-small": ("chunked upload of 1 KB", "ok"),
    "chunked-large": ("chunked upload of 300 KB", "ok"),
    "slow-uploads": ("50 slow uploads, others answered meanwhile", "ok"),
    "path-slash": ("`a%2Fb` in the path", "one value"),
    "path-space": ("`a%20b` in the path", "ok"),
    "path-utf8": ("UTF-8 in the path", "ok"),
    "path-plus": ("`+` in the path", "ok"),
    "path-percent": ("`%2520` in the path", "ok"),
    "path-dots": ("`/x/../y`", "resolved"),
    "query": ("escapes and `+` in the query", "ok"),
    "query-repeated": ("a repeated query key", "ok"),
    "query-empty": ("an empty query", "ok"),
    "headers-repeated": ("a repeated header", "a, b"),
    "headers-16k": ("16 KB of headers", "ok"),
    "header-7k": ("a header of 7 KB", "ok"),
    "cookies": ("cookies, two set", "ok"),
    "cookies-repeated": ("two Cookie headers", "a=1; b=2"),
    "authorization": ("Authorization", "passed"),
    "httpoxy": ("a Proxy header", "dropped"),
    "http10": ("HTTP/1.0 without Host", "ok"),
    "204": ("204", "ok"),
    "304": ("304", "ok"),
    "redirect": ("redirects", "ok"),
    "stream-large": ("streamed answer, a first piece of 256 KB", "early"),
    "stream-small": ("streamed answer, a first piece of 10 bytes", "early"),
    "answer-100mb": ("answer of 100 MB", "ok"),
    "memory": ("memory for it", "constant"),
    "leaves-answer": ("client leaves within the answer", "ok"),
    "leaves-waiting": ("client leaves a handler that waits", "told"),
    "mix": ("Python and native at once", "ok"),
    "connections": ("connections to snacgi", "closed"),
    "private": ("`/-/` from another address", "403"),
    "server-reload": ("reload of the server under load", "nothing lost"),
    "snacgi-reload": ("reload of snacgi under load", "nothing lost"),
    "snacgi-stops": ("snacgi stops under load", "502, then ok"),
    "server-stops": ("the server stops under load", "no wrong answer"),
}

APACHE = {"cookies-repeated": "a=1, b=2", "snacgi-stops": "503, then ok", "leaves-waiting": "not told"}
CADDY = {"cookies-repeated": "a=1, b=2", "upload-oversized": "502", "path-dots": "400", "stream-small": "held", "leaves-waiting": "not told"}
FCGID = {**APACHE, "upload-oversized": "500", "snacgi-reload": "not asked", "snacgi-stops": "new processes, then ok"}
LIGHTTPD = {"snacgi-stops": "503, then ok", "leaves-waiting": "not told"}
HAPROXY = {"connections": "kept", "snacgi-stops": "503, then ok", "path-dots": "400", "chunked-large": "400", "leaves-waiting": "not told"}

# Where a reload of the server may lose some: what their clients are told, by the server itself.
# "refused": the connection is closed before an answer; "hangs": there is none, until the
# client gives up.
LOST: dict[str, frozenset[str]] = {
    "apache-fcgid": frozenset({"refused", "500", "503", "hangs"}),
    "apache-fcgid-minimal": frozenset({"refused", "500", "503", "hangs"}),
    "caddy": frozenset({"refused", "502", "503"}),
    "caddy-minimal": frozenset({"refused", "502", "503"}),
    "haproxy": frozenset({"refused", "502", "503"}),
    "haproxy-minimal": frozenset({"refused", "502", "503"}),
}

LIMITS: dict[str, dict[str, str]] = {
    "nginx": {"connections": "kept"},
    "nginx-unbuffered": {"connections": "kept"},
    "nginx-minimal": {"stream-small": "held", "private": "open"},
    "nginx-scgi": {"stream-small": "held"},
    "nginx-scgi-minimal": {"stream-small": "held", "private": "open"},
    "apache": {**APACHE, "connections": "kept"},
    "apache-minimal": {**APACHE, "private": "open", "path-slash": "404", "authorization": "dropped", "stream-small": "held"},
    "apache-scgi": {**APACHE, "chunked-small": "411", "chunked-large": "411", "stream-small": "held"},
    "apache-scgi-minimal": {**APACHE, "upload-oversized": "503", "private": "open", "path-slash": "404", "authorization": "dropped", "chunked-small": "411", "chunked-large": "411", "stream-small": "held"},
    "apache-fcgid": FCGID,
    "apache-fcgid-minimal": {**FCGID, "private": "open", "path-slash": "404", "authorization": "dropped", "stream-small": "held"},
    "caddy": CADDY,
    "caddy-minimal": {**CADDY, "private": "open"},
    "lighttpd": LIGHTTPD,
    "lighttpd-streamed": {**LIGHTTPD, "chunked-small": "411 or ok", "chunked-large": "411"},
    "lighttpd-minimal": {**LIGHTTPD, "private": "open", "headers-16k": "431", "stream-large": "held", "stream-small": "held"},
    "lighttpd-scgi": LIGHTTPD,
    "lighttpd-scgi-minimal": {**LIGHTTPD, "private": "open", "headers-16k": "431", "stream-large": "held", "stream-small": "held"},
    "haproxy": HAPROXY,
    "haproxy-minimal": {**HAPROXY, "private": "open", "headers-16k": "400", "authorization": "dropped"},
}


def expected(variant: str, case: str) -> str:
    assert case in CASES, f"expected.py has no case {case}"
    if case == "server-reload" and variant in LOST:
        return "may lose some"
    return LIMITS[variant].get(case, CASES[case][1])


def tables(outcome: dict[str, dict[str, str]]) -> str:
    """Markdown, a table for each server, from outcome[variant][case]."""
    out = []
    for server in dict.fromkeys(name.partition("-")[0] for name in LIMITS):
        columns = [name for name in LIMITS if name.partition("-")[0] == server]
        rows = [["case", *columns]]
        rows += [[text, *(outcome.get(name, {}).get(case, "not run") for name in columns)] for case, (text, _) in CASES.items()]
        widths = [max(len(row[n]) for row in rows) for n in range(len(columns) + 1)]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        out.append("\n".join(lines))
    return "\n\n".join(out) + "\n"


def promised() -> dict[str, dict[str, str]]:
    return {name: {case: expected(name, case) for case in CASES} for name in LIMITS}
