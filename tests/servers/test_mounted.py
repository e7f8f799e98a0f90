# SPDX-License-Identifier: MIT
"""An application below a path of the site (a listener's prefix), as print-config writes it
for that, with the path from each of its sources."""

from __future__ import annotations

from typing import Callable, ContextManager

import pytest
from fronts import Front, Variant

MOUNT = "/app"


@pytest.mark.parametrize("source", ["auto", "request_uri", "script_name"])
@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_mounted(another: Callable[..., ContextManager[Front]], server: str, source: str) -> None:
    with another(Variant(f"{server}-mounted", server, server, listener=(("prefix", MOUNT), ("path", source)))) as front:
        ask = front.browser
        for lane in ("", "/native"):
            assert ask.get(f"{MOUNT}{lane}/users/7").json() == {"user_id": 7}
        # Outside of it: the server's own pages, never an endpoint.
        for target in ("/users/7", "/native/users/7", "/apple/users/7", "/app/../users/7", f"{MOUNT}{MOUNT}/users/7"):
            assert ask.get(target).status in (400, 403, 404), target
        shown = ask.get(f"{MOUNT}/echo/a%20%C3%BC+%252F?x=%2F").json()
        assert (shown["path"], shown["name"], shown["query"], shown["root"]) == ("/echo/a ü+%2F", "a ü+%2F", "x=%2F", MOUNT)
        for target in ("/echo/a%2Fb", "/native/one/a%2Fb/end"):
            answer = ask.get(MOUNT + target)
            if source == "script_name":  # which is decoded: the slash is one
                assert answer.status == 404, target
            else:
                assert answer.json()["name"] == "a/b", target
        body = b'{"n":1}'
        assert ask.ask("POST", f"{MOUNT}/json", body, {"Content-Type": "application/json"}).json() == {"got": {"n": 1}}
        links = ask.get(f"{MOUNT}/url?x=1").json()
        assert links["url"] == f"{MOUNT}/users/7" and links["own"].endswith(f":{front.port}{MOUNT}/url?x=1"), links
        moved = ask.get(f"{MOUNT}/slash?x=1")
        assert moved.status == 308 and moved.headers["Location"].endswith(f"{MOUNT}/slash/?x=1"), dict(moved.headers)
        # What is for the machine's own eyes is below the prefix, too.
        assert ask.get(f"{MOUNT}/-/status").json()["requests"]["in_flight"] >= 1
        assert ask.get(f"{MOUNT}/-/status", source="127.0.0.2").status == 403
