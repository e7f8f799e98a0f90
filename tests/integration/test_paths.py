# SPDX-License-Identifier: MIT
"""Which path a request has: what each front server sends, and every trick."""

from __future__ import annotations

from typing import Any, Callable, Iterator
from urllib.parse import unquote_to_bytes

import fcgi
import pytest
from daemon import Daemon
from wire import Address

# What front servers send for GET /one/a%20b/end?x=1 and GET /one/a%2Fb/end.
SPACE: dict[str, dict[str, str | None]] = {
    "nginx": {},
    "nginx fastcgi.conf": {"SCRIPT_FILENAME": "/usr/share/nginx/html/one/a b/end"},
    "nginx scgi_params": {"SCRIPT_NAME": None, "DOCUMENT_URI": "/one/a b/end"},
    "apache ProxyPass": {"SCRIPT_FILENAME": "proxy:fcgi://127.0.0.1:9000/one/a b/end", "DOCUMENT_URI": None},
    "apache absolute": {"REQUEST_URI": "http://example.org/one/a%20b/end?x=1", "DOCUMENT_URI": None},
    "apache only absolute": {"REQUEST_URI": "http://example.org/one/a%20b/end?x=1", "DOCUMENT_URI": None, "SCRIPT_NAME": None},
    "caddy": {"SCRIPT_NAME": "", "PATH_INFO": "/one/a b/end", "DOCUMENT_URI": ""},
    "lighttpd": {"SCRIPT_NAME": "/one", "PATH_INFO": "/a b/end", "DOCUMENT_URI": None},
    "lighttpd fix-root": {"SCRIPT_NAME": "", "PATH_INFO": "/one/a b/end", "DOCUMENT_URI": None},
    "haproxy": {"DOCUMENT_URI": None, "SCRIPT_FILENAME": "/var/www/one/a b/end"},
    "only REQUEST_URI": {"SCRIPT_NAME": None, "DOCUMENT_URI": None},
}


@pytest.fixture
def conn(server: Daemon) -> Iterator[fcgi.Connection]:
    with fcgi.Connection(server.addresses[0]) as conn:
        yield conn


@pytest.mark.parametrize("front", SPACE)
@pytest.mark.parametrize("lane", ["", "/native"])
def test_front_servers(conn: fcgi.Connection, front: str, lane: str) -> None:
    def under(name: str, value: str | None) -> str | None:
        if value is None or not lane:
            return value
        if name == "SCRIPT_NAME" and value == "/one":
            return "/native"
        if front == "lighttpd" and name == "PATH_INFO":
            return "/one" + value
        return value.replace("/one", "/native/one")

    override = {name: under(name, value) for name, value in SPACE[front].items()}
    answer = conn.ask("GET", f"{lane}/one/a%20b/end?x=1", **override).json()
    assert answer == {"name": "a b", "path": f"{lane}/one/a b/end"}


@pytest.mark.parametrize("lane", ["", "/native"])
def test_encoded_slash(conn: fcgi.Connection, lane: str) -> None:
    """a%2Fb is one value, where the path that the front server decoded is just that path."""
    for escape in ("%2F", "%2f"):
        answer = conn.ask("GET", f"{lane}/one/a{escape}b/end")
        assert answer.json() == {"name": "a/b", "path": f"{lane}/one/a/b/end"}
    # A rewritten path is the front server's word: REQUEST_URI no longer counts.
    answer = conn.ask("GET", "/old/a%2Fb", SCRIPT_NAME=f"{lane}/one/c/end")
    assert answer.json()["name"] == "c"
    # and a path of two segments stays two.
    assert conn.ask("GET", f"{lane}/one/a/b/end").status == 404


def test_double_decoding(conn: fcgi.Connection) -> None:
    assert conn.ask("GET", "/one/a%2520b/end").json()["name"] == "a%20b"
    assert conn.ask("GET", "/one/a%252e%252e/end").json()["name"] == "a%2e%2e"


@pytest.mark.parametrize("lane", ["", "/native"])
@pytest.mark.parametrize("path", [
    b"/files/../secret", b"/files/a/..", b"/files/./a", b"/..", b"/.", b"/files/%2e%2e/a", b"/files/%2E./a", b"/files/a/%2e",
    b"/files/a%00b", b"/files/%ff", b"/files/%c0%af", b"/files/%ed%a0%80", b"/files/%f5%80%80%80", b"/files/%c3",
])
def test_refused_paths(conn: fcgi.Connection, lane: str, path: bytes) -> None:
    """NUL, dot segments and bad UTF-8: 400, whichever parameter carries them."""
    target = lane.encode() + path
    assert conn.ask("GET", target, DOCUMENT_URI=None).status == 400
    assert conn.ask("GET", target, SCRIPT_NAME=None, DOCUMENT_URI=None).status == 400
    assert conn.ask("GET", "/x", SCRIPT_NAME=unquote_to_bytes(target)).status == 400
    assert conn.ask("GET", "/x", SCRIPT_NAME="", PATH_INFO=unquote_to_bytes(target)).status == 400
    assert conn.ask("GET", "/native/hello").status == 200


@pytest.mark.parametrize("path", [b"/files/%", b"/files/%4", b"/files/%zz", b"/files/a%2", b"/files/%%41"])
def test_bad_escapes(conn: fcgi.Connection, path: bytes) -> None:
    assert conn.ask("GET", path, SCRIPT_NAME=None, DOCUMENT_URI=None).status == 400


def test_no_path(conn: fcgi.Connection) -> None:
    for override in ({"SCRIPT_NAME": None, "DOCUMENT_URI": None, "REQUEST_URI": None},
                     {"SCRIPT_NAME": "", "DOCUMENT_URI": "", "REQUEST_URI": ""},
                     {"SCRIPT_NAME": "users", "DOCUMENT_URI": None, "REQUEST_URI": "users/1"}):
        more: dict[str, Any] = dict(override)
        assert conn.ask("GET", "/", **more).status == 400


def test_empty_segments_are_merged(conn: fcgi.Connection) -> None:
    assert conn.ask("GET", "//users///7").json() == {"user_id": 7}
    assert conn.ask("GET", "/users//7", SCRIPT_NAME=None, DOCUMENT_URI=None).json() == {"user_id": 7}


def test_script_filename_is_never_trusted(conn: fcgi.Connection) -> None:
    assert conn.ask("GET", "/nowhere", SCRIPT_FILENAME="/users/7").status == 404


@pytest.mark.parametrize("query,want", [
    ("q=a%zzb", "a%zzb"), ("q=%", "%"), ("q=a%00b", None), ("q=%C3%BC", "ü"), ("x=1&&q=2", "2"), ("q", ""), ("=a&q=1", "1"),
    ("q=a=b", "a=b"), ("q=%ff", None),
])
def test_odd_queries(conn: fcgi.Connection, query: str, want: str | None) -> None:
    """A query is data: whatever is in it, the request is served."""
    # The native one answers with the value as JSON, which has to be UTF-8.
    for lane in ("/show", "/native/show") if query != "q=%ff" else ("/show",):
        answer = conn.ask("GET", f"{lane}?{query}")
        assert answer.status == 200
        if want is not None:
            shown = answer.json()
            assert (shown["q"] if lane != "/show" else shown["query"]["q"]) == want


# ---- listeners with a prefix, and a forced source -----------------------------


def prefixed(snacgi: Callable[..., Daemon], tmp: Any, app: str = "basic", **keys: Any) -> Daemon:
    listener = {"protocol": "fastcgi", "address": f"unix:{tmp}/p.sock", **keys}
    daemon: Daemon = snacgi(app=app, wait=False, listen=(), conf={"listen": [listener]})
    daemon.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/p.sock"))
    daemon.wait_ready(daemon.addresses[0])
    return daemon


def test_prefix(snacgi: Callable[..., Daemon], tmp: Any) -> None:
    daemon = prefixed(snacgi, tmp, prefix="/app")
    assert daemon.get("/app/users/7").json() == {"user_id": 7}
    assert daemon.get("/app/native/show").json()["path"] == "/native/show"
    assert daemon.get("/app/one/a%2Fb/end").json()["name"] == "a/b"
    assert daemon.get("/users/7").status == 404
    assert daemon.get("/apple/users/7").status == 404
    assert daemon.get("/app/app/users/7").status == 404


def test_links_with_a_prefix(snacgi: Callable[..., Daemon], tmp: Any) -> None:
    """They lead back to where the client was, with and without its own URL being known."""
    daemon = prefixed(snacgi, tmp, app="routes", prefix="/my äpp")
    root = "/my%20%C3%A4pp"
    for path, params in ((f"{root}/where", {}), ("/my äpp/where", {"REQUEST_URI": None})):
        links = daemon.get(path, **params).json()
        assert links["here"] == f"{root}/where" and links["root_path"] == "/my äpp", links
        assert links["external"].endswith(f"{root}/where") and links["url"] == links["external"], links
        assert links["root"] + "where" == links["external"], links
    assert daemon.get(f"{root}/slash/a?x=1").header("Location") == f"{root}/slash/a/?x=1"
    assert daemon.get(f"http://else.example{root}/slash/a?x=1").header("Location") == f"{root}/slash/a/?x=1"


def test_the_endpoint_of_a_head(snacgi: Callable[..., Daemon]) -> None:
    """The route that runs is the one that request.endpoint tells."""
    daemon = snacgi(app="routes")
    for method, path, endpoint in (("GET", "/told/1", "got"), ("HEAD", "/told/1", "headed"), ("PUT", "/told/1", "headed"),
                                   ("HEAD", "/gotten", "gotten")):
        answer = daemon.ask(method, path)
        assert answer.header("X-Endpoint") == endpoint, (method, path)
    assert daemon.ask("HEAD", "/told/1").header("X-Methods") == "HEAD,PUT"


def test_path_request_uri(snacgi: Callable[..., Daemon], tmp: Any) -> None:
    daemon = prefixed(snacgi, tmp, path="request_uri")
    assert daemon.get("/one/a%2Fb/end", SCRIPT_NAME="/index.php").json()["name"] == "a/b"
    assert daemon.get("http://example.org/one/a%2Fb/end?x", SCRIPT_NAME="/").json()["name"] == "a/b"
    assert daemon.get("/one/%2e%2e/end").status == 400


def test_path_script_name(snacgi: Callable[..., Daemon], tmp: Any) -> None:
    daemon = prefixed(snacgi, tmp, path="script_name")
    assert daemon.get("/else", SCRIPT_NAME="/users/7").json() == {"user_id": 7}
    assert daemon.get("/users/7", SCRIPT_NAME=None).status == 400
    # Encoded slashes are not told apart from plain ones: REQUEST_URI is not looked at.
    assert daemon.get("/one/a%2Fb/end").status == 404


@pytest.mark.parametrize("lane", ["", "/native"])
def test_a_slash_that_is_missing(snacgi: Callable[..., Daemon], lane: str) -> None:
    daemon = snacgi(app="routes")
    with daemon.connect() as conn:
        answer = conn.ask("GET", f"{lane}/slash/a%20b?x=1&y=%C3%BC")
        assert answer.status == 308 and answer.header("Location") == f"{lane}/slash/a%20b/?x=1&y=%C3%BC"
        assert conn.ask("GET", answer.header("Location") or "").json()["name"] == "a b"
        assert conn.ask("HEAD", f"{lane}/slash/a").status == 308
        assert conn.ask("POST", f"{lane}/slash/a", body=b"x").status == 404
        # What the client sent leads to no other host, and cannot end the header.
        for uri, path in ((f"//evil.example/..{lane}/slash/a", f"{lane}/slash/a"), (f"/\\evil.example{lane}/slash/a", f"{lane}/slash/a"),
                          (f"{lane}/slash/a\r\nX-Evil: 1", f"{lane}/slash/a")):
            answer = conn.ask("GET", uri, DOCUMENT_URI=path, SCRIPT_NAME=path)
            location = answer.header("Location") or ""
            assert answer.status == 308, (uri, answer)
            assert location[:1] == "/" and location[1:2] not in ("/", "\\") and not set(location) & set("\r\n\\")
        # Where a front server's own path is mounted below, the client's path is what counts.
        answer = conn.ask("GET", f"/mounted{lane}/slash/a?q", SCRIPT_NAME=f"{lane}/slash/a", DOCUMENT_URI=f"{lane}/slash/a")
        assert answer.header("Location") == f"/mounted{lane}/slash/a/?q"


def test_slashes_and_defaults(snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi(app="routes")
    assert daemon.get("/lax").json() == {"path": "/lax"} and daemon.get("/lax/").json() == {"path": "/lax/"}
    assert daemon.get("/slash/a/").json() == {"name": "a", "url": "/slash/a/"}
    assert daemon.get("/slash/a//").status == 200  # runs of slashes are one
    assert daemon.get("/pages/").json() == {"page": 1} and daemon.get("/pages/7").json() == {"page": 7}
    assert daemon.get("/pages").status == 308
    assert daemon.get("/hex/ff").json() == {"n": 255} and daemon.get("/hex/fg").status == 404
    assert [daemon.get(f"/pages/{page}").status for page in (1, 100, "x", "7/")] == [404] * 4


def test_hooks_see_the_redirect(snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi(app="hooks")
    answer = daemon.get("/branch?q=1")
    assert answer.status == 308 and answer.header("Location") == "/branch/?q=1" and answer.header("X-After") == "/branch"
