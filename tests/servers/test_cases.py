# SPDX-License-Identifier: MIT
"""One request at a time through each front server. No test has an expectation of its
own where servers differ: it tells its outcome, and expected.py says which is right."""

from __future__ import annotations

import json
import re
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

import pytest
from browser import Answer, checksum, pieces, read_some
from daemon import SANITIZED, descendants, descriptors, wait_until
from fronts import LIMIT, Front

Verdict = Callable[[str, Any], None]
Want = Callable[[str], str]


def test_get(front: Front, verdict: Verdict) -> None:
    assert front.browser.get("/users/7").json() == {"user_id": 7}
    assert front.browser.get("/native/users/7").json() == {"user_id": 7}
    assert front.browser.get("/nowhere").status == 404
    assert front.browser.ask("DELETE", "/users/7").status == 405
    verdict("get", "ok")


def test_head(front: Front, verdict: Verdict) -> None:
    for target in ("/users/7", "/native/hello", "/native/pull?size=100000"):
        full, head = front.browser.get(target), front.browser.ask("HEAD", target)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Type"] == full.headers["Content-Type"]
        assert head.headers["Content-Length"] in (str(len(full.body)), None), dict(head.headers)
    verdict("head", "ok")


def test_post_json(front: Front, verdict: Verdict, want: Want) -> None:
    body = json.dumps({"ü": [1, 2.5, None]}).encode()
    if want("post-json") != "ok":
        verdict("post-json", front.browser.ask("POST", "/json", body).status)
        return
    assert front.browser.ask("POST", "/json", body, {"Content-Type": "application/json"}).json() == {"got": {"ü": [1, 2.5, None]}}
    assert front.browser.ask("POST", "/json", body).json() == {"got": {"ü": [1, 2.5, None]}}
    assert front.browser.ask("POST", "/native/echo", body).json() == {"ü": [1, 2.5, None]}
    assert front.browser.ask("POST", "/json", b"{", {"Content-Type": "application/json"}).status == 400
    assert front.browser.ask("POST", "/json", b"").json() == {"got": None}
    verdict("post-json", "ok")


def test_post_form(front: Front, verdict: Verdict, want: Want) -> None:
    body = b"name=a+b&name=%C3%BC&empty="
    answer = front.browser.ask("POST", "/echo", body, {"Content-Type": "application/x-www-form-urlencoded"})
    if want("post-form") != "ok":
        verdict("post-form", answer.status)
        return
    shown = answer.json()
    assert (shown["length"], shown["crc"]) == (len(body), zlib.crc32(body))
    assert shown["type"] == "application/x-www-form-urlencoded"
    verdict("post-form", "ok")


def test_upload_50mb(front: Front, verdict: Verdict) -> None:
    size = 50_000_000
    answer = front.browser.ask("POST", "/echo", pieces(size), {"Content-Length": str(size)})
    if answer.status == 200:
        assert (answer.json()["length"], answer.json()["crc"]) == (size, checksum(size))
    verdict("upload-50mb", "ok" if answer.status == 200 else answer.status)


def test_upload_oversized(front: Front, verdict: Verdict) -> None:
    size = LIMIT + 1_000_000
    answer = front.browser.ask("POST", "/echo", pieces(size), {"Content-Length": str(size)})
    verdict("upload-oversized", answer.status)


@pytest.mark.parametrize("case,sizes", [("chunked-small", [1000]), ("chunked-large", [1000, 1, 299_000])])
def test_chunked(front: Front, verdict: Verdict, want: Want, case: str, sizes: list[int]) -> None:
    whole = b"".join(b"".join(pieces(n)) for n in sizes)
    outcomes = set()
    for target in ("/echo", "/native/show"):
        answer = front.browser.ask("POST", target, (b"".join(pieces(n)) for n in sizes), chunked=True)
        if answer.status == 200:
            assert answer.json()["length"] == len(whole)
            assert answer.json().get("crc") in (None, zlib.crc32(whole))
        outcomes.add("ok" if answer.status == 200 else str(answer.status))
    if want(case) == "411 or ok":  # whether all of it had arrived in time
        assert outcomes <= {"411", "ok"}, outcomes
        outcomes = {"411 or ok"}
    verdict(case, ", ".join(sorted(outcomes)))


def test_slow_uploads(front: Front, verdict: Verdict) -> None:
    """50 of them, a kilobyte a second; in each of those seconds others are answered, so before
    any of the uploads is at its end. The clock only sets the pace, which is what makes an upload slow
    for a server; the verdict is in the order alone."""
    head = b"POST /echo HTTP/1.0\r\nHost: localhost\r\nContent-Length: 4096\r\n\r\n"
    piece = b"".join(pieces(1024))
    slow = [front.browser.socket() for _ in range(50)]
    try:
        for sock in slow:
            sock.sendall(head)
        for turn in range(4):
            second = time.monotonic() + 1.0
            for sock in slow:
                assert read_some(sock) is None, f"an answer after {turn} KB of 4"
                sock.sendall(piece)
            if turn == 3:
                break
            n = 0
            while n < 10 or time.monotonic() < second:  # the pace of the uploads, not a limit for others
                assert front.browser.get(f"{('', '/native')[n % 2]}/users/{n}").json() == {"user_id": n}
                n += 1
        for sock in slow:
            got = b""
            while more := sock.recv(65536):
                got += more
            assert got.split(b" ")[1] == b"200" and b'"length":4096' in got and b'"crc":%d' % zlib.crc32(piece * 4) in got, got
    finally:
        for sock in slow:
            sock.close()
    verdict("slow-uploads", "ok")


# ---- paths and queries ----------------------------------------------------------------


def test_path_slash(front: Front, verdict: Verdict) -> None:
    outcomes = set()
    for target in ("/echo/a%2Fb", "/native/one/a%2Fb/end"):
        answer = front.browser.get(target)
        if answer.status == 200:
            assert answer.json()["name"] == "a/b"
        outcomes.add("one value" if answer.status == 200 else f"{answer.status}")
    verdict("path-slash", ", ".join(sorted(outcomes)))


@pytest.mark.parametrize("case,escaped,name", [
    ("path-space", "a%20b", "a b"),
    ("path-utf8", "%C3%BC%E2%82%AC", "ü€"),
    ("path-plus", "a+b%2Bc", "a+b+c"),
    ("path-percent", "a%2520b", "a%20b"),
])
def test_path(front: Front, verdict: Verdict, case: str, escaped: str, name: str) -> None:
    shown = front.browser.get(f"/echo/{escaped}?x=1").json()
    assert (shown["name"], shown["path"], shown["query"]) == (name, f"/echo/{name}", "x=1")
    assert front.browser.get(f"/native/one/{escaped}/end").json()["name"] == name
    verdict(case, "ok")


def test_path_dots(front: Front, verdict: Verdict) -> None:
    """The server resolves them, or snacgi refuses them; nobody is routed round a rule."""
    answer = front.browser.get("/x/../users/./7")
    if answer.status == 200:
        assert answer.json() == {"user_id": 7}
    verdict("path-dots", "resolved" if answer.status == 200 else answer.status)
    above = front.browser.get("/../users/7")  # which is /users/7
    assert above.status in (400, 403, 404) or above.json() == {"user_id": 7}
    for target in ("/users/%2e%2e/%2e%2e/7", "/users/%00", "/users/%ff"):
        assert front.browser.get(target).status in (400, 403, 404), target


def test_query(front: Front, verdict: Verdict) -> None:
    query = "q=a%20b&plus=a+b&u=%C3%BC&slash=a%2Fb&and=%26&p=%2B&path=/x/../y"
    shown = front.browser.get(f"/echo?{query}").json()
    assert dict((k, v[0]) for k, v in shown["args"]) == {"q": "a b", "plus": "a b", "u": "ü", "slash": "a/b", "and": "&", "p": "+", "path": "/x/../y"}
    native = front.browser.get(f"/native/show?{query}").json()
    assert native["q"] == "a b"
    verdict("query", "ok")


def test_query_repeated(front: Front, verdict: Verdict) -> None:
    shown = front.browser.get("/echo?a=1&b=2&a=3&a=").json()
    assert shown["args"] == [["a", ["1", "3", ""]], ["b", ["2"]]]
    verdict("query-repeated", "ok")


def test_query_empty(front: Front, verdict: Verdict) -> None:
    for target in ("/echo?", "/echo"):
        shown = front.browser.get(target).json()
        assert (shown["query"], shown["args"], shown["path"]) == ("", [], "/echo")
    verdict("query-empty", "ok")


# ---- headers ------------------------------------------------------------------------------


def test_headers_repeated(front: Front, verdict: Verdict) -> None:
    shown = front.browser.get("/echo", [("X-List", "a"), ("X-Other", "x"), ("X-List", "b")]).json()
    verdict("headers-repeated", shown["headers"].get("x-list"))


def test_headers_16k(front: Front, verdict: Verdict) -> None:
    headers = {f"X-Part-{n}": chr(97 + n) * 800 for n in range(20)}
    answer = front.browser.get("/echo", headers)
    if answer.status == 200:
        got = answer.json()["headers"]
        assert all(got[name.lower()] == value for name, value in headers.items())
    verdict("headers-16k", "ok" if answer.status == 200 else answer.status)


def test_header_7k(front: Front, verdict: Verdict) -> None:
    answer = front.browser.get("/echo", {"X-Long": "v" * 7000})
    if answer.status == 200:
        assert answer.json()["headers"]["x-long"] == "v" * 7000
    verdict("header-7k", "ok" if answer.status == 200 else answer.status)


def test_cookies(front: Front, verdict: Verdict) -> None:
    answer = front.browser.get("/cookies", {"Cookie": "one=1; two=\"x y\""})
    assert answer.json() == {"cookie": 'one=1; two="x y"'}
    assert answer.headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
    verdict("cookies", "ok")


def test_cookies_repeated(front: Front, verdict: Verdict) -> None:
    verdict("cookies-repeated", front.browser.get("/cookies", [("Cookie", "a=1"), ("Cookie", "b=2")]).json()["cookie"])


def test_authorization(front: Front, verdict: Verdict) -> None:
    got = front.browser.get("/echo", {"Authorization": "Bearer xyz"}).json()["headers"].get("authorization")
    assert got in ("Bearer xyz", None)
    verdict("authorization", "passed" if got else "dropped")


def test_httpoxy(front: Front, verdict: Verdict) -> None:
    assert "proxy" not in front.browser.get("/echo", {"Proxy": "evil"}).json()["headers"]
    params = front.browser.get("/native/show", {"Proxy": "evil"}).json()["params"]
    assert "HTTP_PROXY" not in params
    verdict("httpoxy", "dropped")


def test_http10(front: Front, verdict: Verdict) -> None:
    for target in ("/users/7", "/native/users/7"):
        with front.browser.socket() as sock:
            sock.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
            got = b""
            while more := sock.recv(65536):
                got += more
        assert got.split(b" ")[1] == b"200" and got.endswith(b'{"user_id":7}'), got
    verdict("http10", "ok")


# ---- answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [204, 304])
def test_no_body(front: Front, verdict: Verdict, code: int) -> None:
    answer = front.browser.get(f"/status/{code}")
    assert (answer.status, answer.body) == (code, b"")
    for other in (400, 403, 404, 410, 422, 503):  # the application's own error pages
        answer = front.browser.get(f"/status/{other}")
        assert (answer.status, answer.body) == (other, b"said so")
    verdict(str(code), "ok")


def test_redirect(front: Front, verdict: Verdict) -> None:
    for to in ("http://elsewhere.example/x?y=1", "/users/1?x=%20"):
        answer = front.browser.get(f"/redirect?to={quote(to, safe='')}")
        assert answer.status == 302
        assert answer.headers["Location"].endswith(to)
    verdict("redirect", "ok")


@pytest.mark.parametrize("path", ["/native/gated", "/gated/sync", "/gated/async"])
@pytest.mark.parametrize("case,size", [("stream-large", 262_144), ("stream-small", 10)])
def test_stream(front: Front, verdict: Verdict, want: Want, gate: Path, case: str, size: int, path: str) -> None:
    """The first byte before the last one was made; or nothing of it, although the handler
    has long sent it and others are answered meanwhile."""
    with front.browser.socket() as sock:
        sock.sendall(f"GET {path}?size={size}&gate={gate} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        wait_until(lambda: (gate / "sent").exists() or case == "stream-large", "the handler's first piece")
        got = b""
        if want(case) == "early":
            while not body_of(got):  # of which the last byte was not made yet
                got += sock.recv(65536)
        else:
            for n in range(20):
                assert front.browser.get(f"/users/{n}").status == 200
            got = read_some(sock) or b""
        outcome = "early" if body_of(got) else "held"
        (gate / "open").touch()
        while more := sock.recv(65536):
            got += more
    assert got.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")), got[:200]
    body = body_of(got)
    assert body == b"g" * size + b"end", (len(body), body[-10:])
    verdict(case, outcome)


def body_of(got: bytes) -> bytes:
    return got.partition(b"\r\n\r\n")[2]


class Memory:
    """The highest resident memory of processes while something is done."""

    def __init__(self, pids: list[int]) -> None:
        self.pids = pids

    def __enter__(self) -> "Memory":
        for pid in self.pids:
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                pass  # ended: mod_fcgid ends processes that nobody needs
        self.before = {pid: self.peak(pid) for pid in self.pids}
        return self

    def __exit__(self, *_: object) -> None:
        self.grown = max(self.peak(pid) - self.before[pid] for pid in self.pids)

    @staticmethod
    def peak(pid: int) -> int:
        try:
            found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
        except OSError:
            found = None
        return int(found[1]) * 1024 if found else 0


def test_answer_100mb(front: Front, verdict: Verdict) -> None:
    size = 100_000_000
    pids = [*front.snacgis(), front.pid, *descendants(front.pid)]
    with Memory(list(dict.fromkeys(pids))) as memory:
        with front.browser.open("GET", f"/native/pull?size={size}") as answer:
            assert answer.status == 200
            left = size
            while piece := answer.read(1 << 20):
                assert piece.count(b"p") == len(piece)
                left -= len(piece)
    assert left == 0
    verdict("answer-100mb", "ok")
    # A sanitizer keeps what was freed.
    verdict("memory", "constant" if memory.grown < (24 << 20) or SANITIZED else f"{memory.grown >> 20} MiB")


# ---- clients that leave --------------------------------------------------------------------------


def test_client_leaves_within_the_answer(front: Front, verdict: Verdict, gate: Path) -> None:
    """What the handler had is given back, whether it hears of it or the server reads on."""
    for n in range(5):
        with front.browser.socket() as sock:
            sock.sendall(f"GET /native/pull?size=20000000&done={gate}/{n} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            sock.recv(10_000 * (n + 1))
    wait_until(lambda: len(list(gate.iterdir())) == 5, "the end of five answers")
    assert front.browser.get("/users/1").json() == {"user_id": 1}
    verdict("leaves-answer", "ok")


def test_client_leaves_a_waiting_handler(front: Front, verdict: Verdict, want: Want, gate: Path) -> None:
    with front.browser.socket() as sock:
        sock.sendall(f"GET /waits?gate={gate} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        wait_until(lambda: (gate / "begun").exists(), "the handler waits")
    if want("leaves-waiting") == "told":
        wait_until(lambda: (gate / "cancelled").exists(), "the handler is told")
    else:
        for n in range(20):
            assert front.browser.get(f"/users/{n}").status == 200
        (gate / "open").touch()
        wait_until(lambda: (gate / "cancelled").exists() or (gate / "finished").exists(), "the handler's end")
    verdict("leaves-waiting", "told" if (gate / "cancelled").exists() else "not told")


# ---- the rest ------------------------------------------------------------------------------------


def test_mix(front: Front, verdict: Verdict) -> None:
    def one(n: int) -> bool:
        if n % 5 == 4:
            answer = front.browser.ask("POST", "/json", b'{"n":%d}' % n, {"Content-Type": "application/json"})
            return answer.json() == {"got": {"n": n}}
        return bool(front.browser.get(f"{('', '/native')[n % 2]}/users/{n}").json() == {"user_id": n})

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(300)))
    verdict("mix", "ok")


def connections(front: Front) -> set[str]:
    """Inodes of what is connected to snacgi's listener, as snacgi has them."""
    own = {name for pid in front.snacgis() for name in descriptors(pid).values() if name.startswith("socket:")}
    out = set()
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[5] == "03" and words[7].startswith(str(front.directory)) and f"socket:[{words[6]}]" in own:
            out.add(words[6])
    return out


def test_connections(front: Front, verdict: Verdict, want: Want) -> None:
    """Kept: one that is there when nobody asks serves on, and few are new. Closed: none is there."""
    assert front.browser.get("/native/hello").status == 200
    if want("connections") == "closed":
        wait_until(lambda: not connections(front), "no connection stays")
        verdict("connections", "closed")
        return
    before = connections(front)
    assert before, "no connection is kept"
    for n in range(40):
        assert front.browser.get(f"{('', '/native')[n % 2]}/users/{n}").status == 200
    # The server may let go of some that are idle, and another child of it open its own.
    after = connections(front)
    verdict("connections", "kept" if before & after and len(after - before) < 10 else "closed")


def test_private(front: Front, verdict: Verdict) -> None:
    """The status page: for this machine where the configuration says so, and right."""
    page = front.browser.get("/-/status").json()
    assert page["pid"] in front.snacgis() and page["requests"]["in_flight"] >= 1
    assert front.browser.get("/-/status?format=prometheus").body.startswith(b"# HELP snacgi_info")
    answer = front.browser.get("/-/status", source="127.0.0.2")
    verdict("private", "open" if answer.status == 200 else answer.status)
