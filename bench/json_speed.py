# SPDX-License-Identifier: MIT
"""JSON against the standard library and, where it is installed, orjson: how many
times as fast, one value a repetition. Run by cases.py, in plain Python."""

import json
import random
import sys
import time
import timeit
from typing import Any, Callable

import _snacgi
from snacgi import Request

try:
    import orjson
except ImportError:
    orjson = None


def record(n: int) -> dict[str, Any]:
    return {"id": n, "name": f"user {n}", "email": f"u{n}@example.org", "score": random.random() * 100, "tags": ["a", "b", "c"],
            "active": True, "parent": None, "note": 'some "quoted" text, longer than the others, with\nlines in it, and ümlauts'}


def seconds(call: Callable[[], Any], size: int) -> float:
    number = max(1, 3_000_000 // size)
    return min(timeit.repeat(call, number=number, repeat=3, timer=time.thread_time)) / number


def main() -> None:
    random.seed(1)
    out: dict[str, list[float]] = {}
    for name, rows in (("10 KB", 48), ("1 MB", 4800)):
        value = {"rows": [record(n) for n in range(rows)]}
        text = _snacgi.dumps(value)
        for _ in range(int(sys.argv[1])):
            ours = seconds(lambda: _snacgi.dumps(value), len(text))
            theirs = seconds(lambda: json.dumps(value, ensure_ascii=False, separators=(",", ":")), len(text))
            out.setdefault(f"JSON answer of {name}: json.dumps / ours", []).append(theirs / ours)
            if orjson:
                out.setdefault(f"JSON answer of {name}: ours / orjson", []).append(ours / seconds(lambda: orjson.dumps(value), len(text)))
    for name, value in (("10 B", {"a": [1]}), *((name, {"rows": [record(n) for n in range(rows)]}) for name, rows in (("1 KB", 5), ("10 KB", 48), ("1 MB", 4800)))):
        body = _snacgi.dumps(value)
        text, many = body.decode(), min(20_000, max(1, 3_000_000 // len(body)))
        for _ in range(int(sys.argv[1])):
            best = 1e9
            for _ in range(3):
                requests = [Request(method="POST", path="/", body=body) for _ in range(many)]
                best = min(best, timeit.timeit(lambda: [r.body for r in requests], number=1, timer=time.thread_time) / many)
            for kind, same in (("bytes", body), ("str", text)):
                out.setdefault(f"JSON body of {name}: json.loads of {kind} / ours", []).append(seconds(lambda: json.loads(same), len(body)) / best)
    print(json.dumps(out))


main()
