# SPDX-License-Identifier: MIT
"""FastCGI records as no polite front server sends them."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from typing import Iterator

import fcgi
import pytest
from daemon import Daemon, wait_until
from fcgi import (
    ABORT_REQUEST,
    AUTHORIZER,
    BEGIN_REQUEST,
    DATA,
    END_REQUEST,
    FILTER,
    GET_VALUES,
    GET_VALUES_RESULT,
    PARAMS,
    RESPONDER,
    STDIN,
    STDOUT,
    UNKNOWN_ROLE,
    UNKNOWN_TYPE,
    begin,
    encode,
    pair,
    record,
    request,
    stream,
)
from wire import Closed, Response, environ

BODY = b'{"numbers":[1,2,3]}'


def post(target: str = "/json", body: bytes = BODY, **override: str | bytes | None) -> list[tuple[bytes, bytes]]:
    return environ("POST", target, {"Content-Type": "application/json"}, body, **override)


def small_post() -> list[tuple[bytes, bytes]]:
    """Few parameters: every split of it is tried."""
    return [(b"REQUEST_METHOD", b"POST"), (b"SCRIPT_NAME", b"/json"), (b"CONTENT_LENGTH", b"19"), (b"HTTP_X", b"")]


@pytest.fixture
def conn(server: Daemon) -> Iterator[fcgi.Connection]:
    with fcgi.Connection(server.addresses[0]) as conn:
        yield conn


def still_serves(server: Daemon) -> None:
    assert server.get("/users/1").json() == {"user_id": 1}
    assert server.get("/native/hello").status == 200


# ---- any split gives the same ------------------------------------------------


def test_split_at_every_byte(server: Daemon, conn: fcgi.Connection) -> None:
    """A whole request cut in two writes at each position; the server sees the cut."""
    raw = begin(1, keep=True) + stream(PARAMS, 1, encode(small_post()), 40, 3) + stream(STDIN, 1, BODY, 7, 1)
    for at in range(1, len(raw)):
        conn.send(raw[:at])
        # Until the bytes have been read by the other side the cut is not there.
        wait_until(lambda: unsent(conn.sock) == 0, "the server reads what is there", 10)
        conn.send(raw[at:])
        assert conn.response().json() == {"body": {"numbers": [1, 2, 3]}}, at


def unsent(sock: socket.socket) -> int:
    """Bytes that the peer has not taken yet (SIOCOUTQ)."""
    import array
    import fcntl

    buf = array.array("i", [0])
    fcntl.ioctl(sock, 0x5411, buf)
    return int(buf[0])


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_records_split_at_every_byte(conn: fcgi.Connection, chunk: int) -> None:
    """Records as small as one byte: names, values and lengths cross their borders."""
    for padding in (0, 1, 7, 255):
        conn.send(request(post(), BODY, 5, True, chunk, padding))
        assert conn.response(5).json() == {"body": {"numbers": [1, 2, 3]}}


def test_one_byte_a_write(server: Daemon) -> None:
    for address in server.addresses[:3]:
        with fcgi.Connection(address) as conn:
            conn.send(request(post(), BODY, 1, True), piece=1)
            assert conn.response().json() == {"body": {"numbers": [1, 2, 3]}}
            conn.send(request(post("/native/echo"), BODY, 1, False, 1, 2), piece=1)
            assert conn.response().json() == {"numbers": [1, 2, 3]}
            assert conn.closed()


def test_random_pieces(conn: fcgi.Connection) -> None:
    dice = random.Random(4711)
    for n in range(60):
        body = bytes(dice.randrange(256) for _ in range(dice.randrange(3000)))
        rid = dice.randrange(1, 65536)
        raw = request(post("/native/show", body), body, rid, True, dice.randrange(1, 5000), dice.randrange(256),
                      wide=dice.random() < 0.5)
        at = 0
        while at < len(raw):
            size = dice.randrange(1, 2000)
            conn.send(raw[at : at + size])
            at += size
        assert conn.response(rid).json()["length"] == len(body), n


@pytest.mark.parametrize("rid", [1, 2, 255, 256, 257, 32768, 65535])
def test_ids(conn: fcgi.Connection, rid: int) -> None:
    for target in ("/users/9", "/native/users/9"):
        assert conn.ask("GET", target, rid=rid).json() == {"user_id": 9}


def test_reserved_bytes_are_ignored(conn: fcgi.Connection) -> None:
    conn.send(record(BEGIN_REQUEST, 1, struct.pack(">HB", RESPONDER, 1) + b"\xff" * 5, reserved=0xFF))
    conn.send(record(PARAMS, 1, encode(environ("GET", "/native/hello")), reserved=1) + record(PARAMS, 1, reserved=9))
    conn.send(record(STDIN, 1, reserved=77))
    assert conn.response().status == 200


def test_unknown_flags_are_ignored(server: Daemon) -> None:
    with server.connect() as conn:
        conn.send(record(BEGIN_REQUEST, 1, struct.pack(">HB5x", RESPONDER, 0xFE)))
        conn.send(stream(PARAMS, 1, encode(environ())) + record(STDIN, 1))
        assert conn.response().status == 404
        assert conn.closed()


# ---- pipelining --------------------------------------------------------------


def test_pipelined(conn: fcgi.Connection) -> None:
    """Bytes of the next requests come before the answer: none is lost, order stays."""
    conn.send(b"".join(request(environ("GET", f"/native/users/{n}"), b"", 1, True) for n in range(50)))
    for n in range(50):
        assert conn.response().json() == {"user_id": n}


def test_pipelined_python(conn: fcgi.Connection) -> None:
    raw = b""
    for n in range(20):
        raw += request(environ("GET", f"/users/{n}"), b"", 7, True)
        raw += request(environ("GET", "/sleep?duration=0.001"), b"", 7, True)
        raw += request(post("/squares"), BODY, 7, True)
    conn.send(raw)
    for n in range(20):
        assert conn.response(7).json() == {"user_id": n}
        assert conn.response(7).json() == {"slept": True}
        assert conn.response(7).json() == {"squares": [1, 4, 9]}


def test_pipelined_after_the_last(server: Daemon) -> None:
    """Without KEEP_CONN the server closes after its answer, whatever came behind."""
    with server.connect() as conn:
        conn.send(request(environ("GET", "/native/hello"), b"", 1, False) + request(environ("GET", "/native/hello"), b"", 1, True))
        assert conn.response().status == 200
        assert conn.closed()


# ---- management records --------------------------------------------------------


KNOWN = [b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS"]


def test_get_values(conn: fcgi.Connection) -> None:
    values = conn.get_values(KNOWN)
    assert set(values) == set(KNOWN)
    assert int(values[b"FCGI_MAX_CONNS"]) > 0 and int(values[b"FCGI_MAX_REQS"]) > 0
    assert values[b"FCGI_MPXS_CONNS"] == b"1"
    assert set(conn.get_values([b"FCGI_MPXS_CONNS"])) == {b"FCGI_MPXS_CONNS"}
    assert conn.get_values([]) == {}
    assert conn.get_values([b"NOT_KNOWN", b"", b"x" * 1000]) == {}
    assert conn.ask("GET", "/native/hello").status == 200


@pytest.mark.parametrize("count", [20, 500])
def test_get_values_with_many_names(server: Daemon, conn: fcgi.Connection, count: int) -> None:
    """Where libfcgi overruns its buffer."""
    assert set(conn.get_values([b"FCGI_MAX_REQS"] * count)) == {b"FCGI_MAX_REQS"}
    assert set(conn.get_values([b"FCGI_MPXS_CONNS", b"FCGI_MAX_CONNS"] * count, padding=9)) == set(KNOWN) - {b"FCGI_MAX_REQS"}
    assert conn.get_values([b"N%d" % n for n in range(count)]) == {}
    still_serves(server)


def test_get_values_split(conn: fcgi.Connection) -> None:
    raw = record(GET_VALUES, 0, encode([(b"OTHER", b"some value"), *((n, b"") for n in KNOWN), (b"y" * 300, b"z" * 300)]), 5)
    for piece in (1, 3, 50):
        conn.send(raw, piece)
        kind, rid, content = conn.read_record()
        assert (kind, rid) == (GET_VALUES_RESULT, 0)
        assert set(dict(fcgi.decode_pairs(content))) == set(KNOWN)


@pytest.mark.parametrize("kind", [0, 10, 11, 12, 13, 77, 255])
def test_unknown_management_types(conn: fcgi.Connection, kind: int) -> None:
    conn.send(record(kind, 0, b"something", 3))
    got, rid, content = conn.read_record()
    assert (got, rid) == (UNKNOWN_TYPE, 0)
    assert content[0] == kind and len(content) == 8
    assert conn.ask("GET", "/native/hello").status == 200


def test_management_at_any_moment(server: Daemon, conn: fcgi.Connection) -> None:
    """Between any two records of a request, and while it is being handled."""
    odd = record(GET_VALUES, 0, encode([(b"FCGI_MAX_CONNS", b"")])) + record(99, 0, b"abc")

    def answered() -> None:
        assert conn.read_record()[:2] == (GET_VALUES_RESULT, 0)
        assert conn.read_record()[:2] == (UNKNOWN_TYPE, 0)

    params = encode(post())
    for part in (begin(3, keep=True), record(PARAMS, 3, params[:50]), record(PARAMS, 3, params[50:]), record(PARAMS, 3),
                 record(STDIN, 3, BODY[:4]), record(STDIN, 3, BODY[4:])):
        conn.send(odd + part + odd)
        answered()
        answered()
    conn.send(record(STDIN, 3))
    assert conn.response(3).json() == {"body": {"numbers": [1, 2, 3]}}
    conn.send(request(environ("GET", "/agate/manage"), b"", 4, True))
    conn.send(odd)
    answered()
    assert server.get("/open/manage").status == 200
    assert conn.response(4).json() == {"opened": True}


# ---- roles and order ---------------------------------------------------------------


@pytest.mark.parametrize("role", [AUTHORIZER, FILTER, 0, 4, 65535])
@pytest.mark.parametrize("keep", [True, False])
def test_unknown_roles(server: Daemon, role: int, keep: bool) -> None:
    """A clean refusal; on a kept connection the next request is served."""
    with server.connect() as conn:
        conn.send(request(environ(), b"some body", 6, keep, role=role))
        answer = conn.response(6)
        assert answer.protocol_status == UNKNOWN_ROLE
        if keep:
            assert conn.ask("GET", "/native/hello", rid=6).status == 200
            conn.send(record(DATA, 6, b"late"))
            assert conn.ask("GET", "/native/hello", rid=8).status == 200


def params_of(target: str = "/native/hello") -> bytes:
    return encode(environ("GET", target))


BROKEN = {
    "version 0": record(BEGIN_REQUEST, 1, b"\0\1\1" + b"\0" * 5, version=0),
    "version 2": record(BEGIN_REQUEST, 1, b"\0\1\1" + b"\0" * 5, version=2),
    "version 2 later": begin(1, keep=True) + record(PARAMS, 1, params_of(), version=2),
    "http": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "zeros": b"\0" * 64,
    "ones": b"\xff" * 64,
    "params before begin": record(PARAMS, 1, params_of()),
    "stdin before begin": record(STDIN, 1, b"x"),
    "stdin before params end": begin(1, keep=True) + record(PARAMS, 1, params_of()) + record(STDIN, 1, b"x"),
    "params after params end": begin(1, keep=True) + stream(PARAMS, 1, params_of("/agate/never")) + record(PARAMS, 1, b"\1\1ab"),
    "data for a responder": begin(1, keep=True) + record(DATA, 1, b"x"),
    "begin twice": begin(1, keep=True) + begin(1, keep=True),
    "short begin": record(BEGIN_REQUEST, 1, b"\0\1\1"),
    "long begin": record(BEGIN_REQUEST, 1, b"\0\1\1" + b"\0" * 60),
    "begin with id 0": record(BEGIN_REQUEST, 0, b"\0\1\1" + b"\0" * 5),
    "params with id 0": begin(1, keep=True) + record(PARAMS, 0, params_of()),
    "stdout from a front server": begin(1, keep=True) + record(STDOUT, 1, b"x"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_order(server: Daemon, name: str) -> None:
    """The connection ends, after an answer where one is owed; nobody else notices."""
    with server.connect() as other, server.connect() as conn:
        assert other.ask("GET", "/native/hello").status == 200
        conn.send(BROKEN[name])
        try:
            while True:
                kind, rid, content = conn.read_record()
                if kind == STDOUT and content:
                    assert content.startswith(b"Status: 400 "), content[:80]
                if kind == END_REQUEST and content[4] != 0:
                    break
        except Closed:
            pass
        else:
            conn.shutdown_write()
            assert conn.closed()
        assert other.ask("GET", "/native/hello").status == 200


def test_garbage(server: Daemon) -> None:
    dice = random.Random(1)
    for n in range(150):
        with server.connect() as conn:
            raw = bytearray(request(post(), BODY, 1, True))
            for _ in range(dice.randrange(1, 6)):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
            if n % 3 == 0:
                raw = bytearray(dice.randbytes(dice.randrange(1, 300)))
            try:
                conn.send(bytes(raw))
                conn.shutdown_write()
                conn.read_all()
            except (ConnectionResetError, BrokenPipeError):
                pass
    still_serves(server)


@pytest.mark.parametrize("step", [1, 13])
def test_truncated(server: Daemon, step: int) -> None:
    """The front server goes away at every stage."""
    raw = request(small_post(), BODY, 1, True, 64, 2) if step == 1 else request(post("/squares"), BODY, 1, False)
    for at in range(0, len(raw), step):
        with server.connect() as conn:
            conn.send(raw[:at])
            if at % 2:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    still_serves(server)


def test_half_sent_requests_hold_nobody(server: Daemon) -> None:
    raw = request(post("/native/echo"), BODY, 1, True)
    half = [server.connect() for _ in range(200)]
    try:
        for n, conn in enumerate(half):
            conn.send(raw[: 1 + n % (len(raw) - 2)])
        still_serves(server)
        for n, conn in enumerate(half):
            conn.send(raw[1 + n % (len(raw) - 2) :])
        for conn in half:
            assert conn.response().json() == {"numbers": [1, 2, 3]}
    finally:
        for conn in half:
            conn.close()


# ---- parameters --------------------------------------------------------------------


@pytest.mark.parametrize("name,value", [
    (b"A\0B", b"x"),
    (b"A=B", b"x"),
    (b"", b"x"),
    (b"HTTP_X", b"a\0b"),
    (b"=", b""),
])
def test_bad_parameters(conn: fcgi.Connection, name: bytes, value: bytes) -> None:
    conn.send(begin(1, keep=True) + stream(PARAMS, 1, params_of() + pair(name, value)) + record(STDIN, 1))
    assert conn.response().status == 400
    assert conn.ask("GET", "/native/hello").status == 200


@pytest.mark.parametrize("tail", [b"\x05", b"\x05\x05abc", b"\x85\0\0", b"\x80\0\0\5\x80\0\0\5A", b"\xff\xff\xff\xff\xff\xff\xff\xffA", b"\x01\x7fA"])
def test_truncated_parameters(conn: fcgi.Connection, tail: bytes) -> None:
    conn.send(begin(1, keep=True) + stream(PARAMS, 1, params_of() + tail) + record(STDIN, 1))
    assert conn.response().status == 400
    assert conn.ask("GET", "/native/hello").status == 200


def test_no_parameters(conn: fcgi.Connection) -> None:
    conn.send(begin(1, keep=True) + record(PARAMS, 1) + record(STDIN, 1))
    assert conn.response().status == 400
    conn.send(begin(1, keep=True) + stream(PARAMS, 1, pair(b"SCRIPT_NAME", b"/users/1")) + record(STDIN, 1))
    assert conn.response().status == 400
    assert conn.ask("GET", "/native/hello").status == 200


@pytest.mark.parametrize("chunk", [100, 4000, 65535])
def test_oversized_parameters(conn: fcgi.Connection, chunk: int) -> None:
    big = params_of() + pair(b"HTTP_X_BIG", b"v" * 200_000)
    conn.send(begin(1, keep=True) + stream(PARAMS, 1, big, chunk) + record(STDIN, 1))
    assert conn.response().status == 431
    # What follows on the connection is a new request, or the connection is closed.
    try:
        assert conn.ask("GET", "/native/hello").status == 200
    except (Closed, BrokenPipeError, ConnectionResetError):
        pass


def test_large_parameters_below_the_limit(conn: fcgi.Connection) -> None:
    """More than one record's worth, as h2o sends them."""
    value = b"v" * 100_000
    env = environ("GET", "/native/show?header=X-Big") + [(b"HTTP_X_BIG", value)]
    conn.send(request(env, b"", 1, True))
    assert conn.response().json()["header"] == value.decode()


def test_too_many_headers(conn: fcgi.Connection) -> None:
    env = environ("GET", "/native/hello") + [(b"HTTP_X_%d" % n, b"v") for n in range(200)]
    conn.send(request(env, b"", 1, True))
    assert conn.response().status == 431
    env = environ("GET", "/native/hello") + [(b"HTTP_X_%d" % n, b"v") for n in range(100)]
    conn.send(request(env, b"", 1, True))
    assert conn.response().status == 200


def test_repeated_header_parameters_are_folded(conn: fcgi.Connection) -> None:
    """As HAProxy sends them."""
    more = [(b"HTTP_X_LIST", b"a"), (b"HTTP_X_LIST", b"b"), (b"HTTP_COOKIE", b"c=1"), (b"HTTP_COOKIE", b"d=2")]
    for lane in ("/native/show?header=", "/header?name="):
        for name, value in (("x-list", "a, b"), ("cookie", "c=1; d=2")):
            conn.send(request(environ("GET", lane + name) + more, b"", 1, True))
            answer = conn.response().json()
            assert answer.get("header", answer.get("value")) == value


def test_httpoxy_and_content_headers_are_dropped(conn: fcgi.Connection) -> None:
    more = [(b"HTTP_PROXY", b"http://evil:1/"), (b"HTTP_CONTENT_LENGTH", b"9999"), (b"HTTP_CONTENT_TYPE", b"evil/evil")]
    conn.send(request(environ("GET", "/show") + more, b"", 1, True))
    shown = conn.response().json()
    assert not [n for n in shown["headers"] if n.lower() == "proxy"]
    assert "evil" not in json.dumps(shown) and "9999" not in json.dumps(shown)
    conn.send(request(environ("GET", "/native/show?header=Proxy") + more, b"", 1, True))
    assert "header" not in conn.response().json()


# ---- the body ---------------------------------------------------------------------------


def test_stdin_is_authoritative(conn: fcgi.Connection) -> None:
    """CONTENT_LENGTH is a hint: missing, empty, too small, too large, Caddy's -1."""
    for hint in (None, b"", b"-1", b"0", b"5", b"100"):
        conn.send(request(post("/native/show", CONTENT_LENGTH=hint), BODY, 1, True))
        assert conn.response().json()["length"] == len(BODY), hint


@pytest.mark.parametrize("hint", [b"-2", b"+5", b"0x10", b"1e3", b"12abc", b" ", b"99999999999999999999999"])
def test_content_length_that_is_no_number(conn: fcgi.Connection, hint: bytes) -> None:
    conn.send(request(post("/native/show", CONTENT_LENGTH=hint), BODY, 1, True))
    assert conn.response().status in (400, 413)


def test_announced_but_absent_body(conn: fcgi.Connection) -> None:
    """nginx's fastcgi_pass_request_body off."""
    conn.send(request(post("/show", CONTENT_LENGTH=b"500"), b"", 1, True))
    assert conn.response().json()["length"] == 0


def test_oversized_body_told_at_once(server: Daemon) -> None:
    """413 by CONTENT_LENGTH before a byte of the body; then the rest is drained."""
    for target in ("/show", "/native/show"):
        with server.connect() as conn:
            conn.send(begin(1) + stream(PARAMS, 1, encode(post(target, CONTENT_LENGTH=str(20 << 20)))))
            assert conn.response().status == 413
            try:
                conn.send(stream(STDIN, 1, b"x" * 500_000, end=False))
            except (BrokenPipeError, ConnectionResetError):
                pass


def test_oversized_body_by_counting(server: Daemon) -> None:
    """No length told: 413 as soon as the limit is passed. The answer is not lost to a reset."""
    for keep in (False, True):
        with server.connect() as conn:
            conn.send(begin(1, keep=keep) + stream(PARAMS, 1, encode(post("/show", CONTENT_LENGTH=None))))
            answers: list[Response] = []
            reader = threading.Thread(target=lambda: answers.append(conn.response()))
            reader.start()
            sent = 0
            try:
                while sent < 40 << 20 and reader.is_alive():
                    conn.send(stream(STDIN, 1, b"x" * 65528, end=False))
                    sent += 65528
            except (BrokenPipeError, ConnectionResetError):
                pass
            reader.join(30)
            assert [one.status for one in answers] == [413]
            assert sent >= 16 << 20


def test_answer_before_the_body_ends_is_read_then_next(server: Daemon) -> None:
    """A 404 needs no body; what still comes of it never becomes the next request."""
    with server.connect() as conn:
        conn.send(begin(1, keep=True) + stream(PARAMS, 1, encode(post("/nowhere", CONTENT_LENGTH=None))))
        conn.send(stream(STDIN, 1, b"y" * 300_000))
        assert conn.response().status == 404
        assert conn.ask("GET", "/native/hello").status == 200


# ---- the front server goes away ------------------------------------------------------------


def aborted(rid: int) -> bytes:
    return record(ABORT_REQUEST, rid)


@pytest.mark.parametrize("stage", ["begin", "params", "body", "complete", "async", "pool", "unknown id", "idle"])
def test_abort(server: Daemon, stage: str) -> None:
    """ABORT_REQUEST ends that request with END_REQUEST; the connection goes on."""
    with server.connect() as conn:
        ends = True
        if stage == "begin":
            conn.send(begin(1, keep=True))
        elif stage == "params":
            conn.send(begin(1, keep=True) + record(PARAMS, 1, params_of()))
        elif stage == "body":
            conn.send(begin(1, keep=True) + stream(PARAMS, 1, encode(post())) + record(STDIN, 1, BODY[:3]))
        elif stage == "complete":
            conn.send(request(environ("GET", "/block?seconds=0.3"), b"", 1, True))
        elif stage == "async":
            conn.send(request(environ("GET", "/agate/abort"), b"", 1, True))
            wait_until(lambda: server.get("/waiting/abort").json()["waiting"] == 1, "the handler waits")
        elif stage == "pool":
            conn.send(request(post("/squares"), BODY, 1, True))
        elif stage == "unknown id":
            conn.send(aborted(77))
            ends = False
        else:
            assert conn.ask("GET", "/native/hello").status == 200
            ends = False
        conn.send(aborted(1))
        if ends:
            while True:
                kind, rid, _ = conn.read_record()
                assert rid == 1
                if kind == END_REQUEST:
                    break
        assert conn.ask("GET", "/native/hello", rid=2).status == 200
        if stage == "async":
            # An abort reaches the task: it is cancelled, not left to wait for ever.
            wait_until(lambda: server.get("/waiting/abort").json()["waiting"] == 0, "the task's end")


def test_peer_gone_cancels_the_task(server: Daemon) -> None:
    with server.connect() as conn:
        conn.send(request(environ("GET", "/agate/gone"), b"", 1, True))
        wait_until(lambda: server.get("/waiting/gone").json()["waiting"] == 1, "the handler waits")
    wait_until(lambda: server.get("/waiting/gone").json()["waiting"] == 0, "the task's end")


@pytest.mark.parametrize("target", ["/size/8000000", "/native/pull?size=80000000", "/native/send?chunks=1000&size=50000"])
def test_peer_closes_in_the_answer(server: Daemon, target: str) -> None:
    before = int(server.get("/native/pulls-done").text)
    for how in range(6):
        with server.connect() as conn:
            conn.send(request(environ("GET", target), b"", 1, bool(how % 2)))
            conn.read(100 + 10_000 * how)
    if "pull" in target:
        wait_until(lambda: int(server.get("/native/pulls-done").text) == before + 6, "every done callback", 20)
    still_serves(server)


def test_slow_reader_holds_nobody(server: Daemon) -> None:
    """Large answers that nobody reads: the others are served meanwhile, then all is there."""
    readers = [server.connect() for _ in range(12)]
    try:
        for n, conn in enumerate(readers):
            target = ("/size/6000000", "/native/pull?size=6000000", "/native/send?chunks=120&size=50000")[n % 3]
            conn.send(request(environ("GET", target), b"", 1, True))
        for n in range(20):
            assert server.get(f"/users/{n}").json() == {"user_id": n}
            assert server.get("/native/hello").status == 200
        for conn in readers:
            assert len(conn.response().body) == 6_000_000
    finally:
        for conn in readers:
            conn.close()


def test_pull_that_fails_cuts(server: Daemon) -> None:
    """A half answer is never taken for a whole one."""
    with server.connect() as conn:
        conn.send(request(environ("GET", "/native/pull?size=300000&cut=100000"), b"", 1, True))
        with pytest.raises(Closed):
            conn.response()


def test_no_answer_holds_another_ones_bytes(server: Daemon) -> None:
    """Many connections at once, each with its own numbers."""
    wrong: list[object] = []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        with server.connect() as conn:
            for _ in range(60):
                n = dice.randrange(10**9)
                kind = dice.randrange(4)
                if kind == 0:
                    got, want = conn.ask("GET", f"/users/{n}").json(), {"user_id": n}
                elif kind == 1:
                    got, want = conn.ask("GET", f"/native/users/{n}").json(), {"user_id": n}
                elif kind == 2:
                    got, want = conn.ask("POST", "/json", b"%d" % n).json(), {"body": n}
                else:
                    got, want = conn.ask("GET", f"/native/show?q={n}").json()["q"], str(n)
                if got != want:
                    wrong.append((got, want))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    start = time.monotonic()
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert not wrong, (wrong[:5], time.monotonic() - start)
