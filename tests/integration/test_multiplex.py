# SPDX-License-Identifier: MIT
"""Several FastCGI requests at once on one connection: who is answered when, what one of
them does to the others (nothing), and a HAProxy that does it in earnest."""

from __future__ import annotations

import random
import subprocess
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Callable, Iterable, Iterator

import fcgi
import pytest
from daemon import Daemon, free_port, resident, wait_until
from fcgi import (ABORT_REQUEST, CANT_MPX_CONN, END_REQUEST, GET_VALUES, GET_VALUES_RESULT, OVERLOADED, PARAMS, REQUEST_COMPLETE,
                  STDIN, STDOUT, begin, encode, record, request, stream)
from test_listeners import tool
from wire import Closed, Response, environ, parse


def get(target: str, rid: int, keep: bool = True) -> bytes:
    return request(environ("GET", target), b"", rid, keep)


def upload(target: str, body: bytes, rid: int, chunk: int = 65535) -> bytes:
    return request(environ("POST", target, {"Content-Type": "application/json"}, body), body, rid, True, chunk)


@dataclass
class Mux:
    """Reads the records of many answers from one connection."""

    conn: fcgi.Connection
    out: dict[int, bytearray] = field(default_factory=dict)
    ended: dict[int, list[int]] = field(default_factory=dict)  # protocol status of each end, by id
    done: dict[int, list[bytes]] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)  # ids as they ended
    records: list[tuple[int, int]] = field(default_factory=list)  # (id, bytes) of STDOUT

    def step(self) -> None:
        kind, rid, content = self.conn.read_record()
        if kind == STDOUT:
            self.out.setdefault(rid, bytearray()).extend(content)
            if content:
                self.records.append((rid, len(content)))
        else:
            assert kind == END_REQUEST, (kind, rid, content)
            self.ended.setdefault(rid, []).append(content[4])
            self.done.setdefault(rid, []).append(bytes(self.out.pop(rid, b"")))
            self.order.append(rid)

    def until(self, *ids: int) -> "Mux":
        while not set(ids) <= set(self.ended):
            self.step()
        return self

    def answer(self, rid: int, at: int = 0) -> Response:
        assert self.ended[rid][at] == REQUEST_COMPLETE
        return parse(self.done[rid][at])


def waiting(daemon: Daemon, name: str) -> int:
    return int(daemon.get(f"/waiting/{name}").json()["waiting"])


def wait_for(daemon: Daemon, name: str, count: int) -> None:
    wait_until(lambda: waiting(daemon, name) == count, f"{count} requests at gate {name}")


@pytest.fixture
def mux(server: Daemon) -> Iterator[Mux]:
    with server.connect() as conn:
        yield Mux(conn)


# ---- order ------------------------------------------------------------------------------


def test_announced(mux: Mux) -> None:
    values = mux.conn.get_values([b"FCGI_MPXS_CONNS", b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS"])
    assert values[b"FCGI_MPXS_CONNS"] == b"1"
    assert values[b"FCGI_MAX_REQS"] == b"64"  # of one connection, as HAProxy takes it


@pytest.mark.basic
def test_later_requests_are_answered_first(server: Daemon, mux: Mux) -> None:
    """A request that waits holds up none of its neighbours, of any lane."""
    mux.conn.send(get("/agate/order", 1) + get("/gate/order", 2))
    targets = {3: "/native/hello", 4: "/hello", 5: "/sleep?duration=0", 6: "/pool?n=2", 7: "/native/blocking?ms=1",
               65535: "/nowhere", 300: "/native/send?chunks=20&size=10000"}
    for rid, target in targets.items():
        mux.conn.send(get(target, rid))
    mux.until(*targets)
    assert 1 not in mux.ended and 2 not in mux.ended
    assert [mux.answer(rid).status for rid in targets] == [200, 200, 200, 200, 200, 404, 200]
    assert mux.answer(300).body == b"s" * 200_000
    server.get("/open/order")
    assert mux.until(1, 2).answer(1).json() == mux.answer(2).json() == {"opened": True}
    assert mux.conn.ask("GET", "/native/hello").status == 200


@pytest.mark.basic
@pytest.mark.parametrize("seed", range(6))
def test_streams_interleaved_at_random(mux: Mux, seed: int) -> None:
    """The records of many requests in any mixture: each gets its own answer."""
    dice = random.Random(seed)
    ids = dice.sample(range(1, 65536), 20)
    bodies = {rid: b"[%d,%s]" % (rid, b",".join(b"%d" % dice.randrange(10**6) for _ in range(dice.randrange(3000))))
              for rid in ids}
    left: dict[int, list[bytes]] = {}
    for rid in ids:
        target = dice.choice(["/json", "/native/echo"])
        env = environ("POST", target, {"Content-Type": "application/json"}, bodies[rid])
        params, body = encode(env), bodies[rid]
        pieces = [begin(rid, keep=True)]
        for kind, data in ((PARAMS, params), (STDIN, body)):
            while data:
                cut = dice.choice([1, 7, 100, 4000, 65535])
                pieces.append(record(kind, rid, data[:cut], dice.randrange(9)))
                data = data[cut:]
            pieces.append(record(kind, rid))
        left[rid] = pieces
    raw = bytearray()
    while left:
        rid = dice.choice(list(left))
        raw += left[rid].pop(0)
        if not left[rid]:
            del left[rid]
    sender = threading.Thread(target=mux.conn.send, args=(bytes(raw), dice.choice([0, 3, 1000, 5000])))
    sender.start()
    mux.until(*ids)
    sender.join()
    for rid in ids:
        answer = mux.answer(rid)
        assert answer.status == 200
        assert str(rid).encode() in answer.body[:60], (rid, answer.body[:80])


def test_a_long_download_does_not_starve_a_short_answer(mux: Mux) -> None:
    for target in ("/native/pull?size=50000000", "/size/50000000", "/native/send?chunks=500&size=100000"):
        mux.conn.send(get(target, 1))
        while sum(size for rid, size in mux.records if rid == 1) < 1_000_000:
            mux.step()
        mux.conn.send(get("/native/hello", 2) + get("/hello", 3))
        mux.until(2, 3)
        assert 1 not in mux.ended, "the short answers came behind the long one"
        assert len(mux.until(1).answer(1).body) == 50_000_000
        mux.ended.clear(), mux.done.clear(), mux.records.clear()


def test_downloads_take_turns(mux: Mux) -> None:
    """None of four answers of the same size gets far ahead: a record each in turn."""
    ids = (1, 2, 3, 4)
    size = 6_000_000
    mux.conn.send(b"".join(get(f"/size/{size}", rid) for rid in ids))
    while {rid for rid, _ in mux.records} != set(ids):
        mux.step()
    # All four have begun. What is in the socket by now, and each one's turn, may go by.
    start = len(mux.records)
    mux.until(*ids)
    assert all(len(mux.answer(rid).body) == size for rid in ids)
    open_, runs, last = set(ids), [], 0
    left = {rid: sum(n for r, n in mux.records if r == rid) for rid in ids}
    for at, (rid, count) in enumerate(mux.records):
        left[rid] -= count
        if at >= start and len(open_) == 4:
            runs = [*runs, count] if rid != last else [*runs[:-1], runs[-1] + count]
            last = rid
        if left[rid] == 0:
            open_.discard(rid)
    assert max(runs, default=0) < 1_000_000, max(runs)


# ---- bounds -----------------------------------------------------------------------------


def test_more_than_the_limit(snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi(conf={"limits": {"multiplexed": 3}})
    with daemon.connect() as conn:
        mux = Mux(conn)
        conn.send(b"".join(get("/agate/limit", rid) for rid in (1, 2, 3)))
        wait_for(daemon, "limit", 3)
        conn.send(get("/native/hello", 4) + get("/native/hello", 5))
        mux.until(4, 5)
        assert mux.ended[4] == mux.ended[5] == [OVERLOADED]
        conn.send(record(ABORT_REQUEST, 2))
        mux.until(2)
        conn.send(get("/native/hello", 4))
        while len(mux.ended[4]) < 2:
            mux.step()
        assert mux.answer(4, 1).status == 200
        daemon.get("/open/limit")
        mux.until(1, 3)
        conn.send(get("/native/hello", 9))
        assert mux.until(9).answer(9).status == 200


def test_switched_off(snacgi: Callable[..., Daemon]) -> None:
    """limits.multiplexed = 1: one request at a time, as the specification has it."""
    daemon = snacgi(conf={"limits": {"multiplexed": 1}})
    with daemon.connect() as conn:
        assert conn.get_values([b"FCGI_MPXS_CONNS"]) == {b"FCGI_MPXS_CONNS": b"0"}
        conn.send(get("/agate/off", 1) + get("/native/hello", 2))
        kind, rid, content = conn.read_record()
        assert (kind, rid, content[4]) == (END_REQUEST, 2, CANT_MPX_CONN)
        daemon.get("/open/off")
        assert conn.response(1).json() == {"opened": True}
        assert conn.ask("GET", "/native/hello", rid=2).status == 200


def test_unread_answers_hold_little_memory(snacgi: Callable[..., Daemon]) -> None:
    """Each answer of a connection that nobody reads is held back by itself."""
    daemon = snacgi(app=None)
    with daemon.connect() as conn:
        mux = Mux(conn)
        before = resident(daemon.pid)
        conn.send(b"".join(get("/native/pull?size=200000000", rid) for rid in range(1, 41)))
        # Who asks elsewhere is served meanwhile, and his turn says that theirs has come.
        for _ in range(50):
            assert daemon.get("/native/hello").status == 200
        # 40 times limits.send_buffer and a chunk, and the allocator's own
        assert resident(daemon.pid) - before < 40 * (256 + 64) * 1024 + (16 << 20)
        conn.send(b"".join(record(ABORT_REQUEST, rid) for rid in range(2, 41)))
        mux.until(*range(2, 41))
        assert 1 not in mux.ended
        conn.send(get("/native/hello", 50))
        assert mux.until(50).answer(50).status == 200
        conn.send(record(ABORT_REQUEST, 1))
        mux.until(1)
        wait_until(lambda: int(daemon.get("/native/pulls-done").text) == 40, "every done callback")


def test_questions_without_end_are_not_read_on(snacgi: Callable[..., Daemon]) -> None:
    """A peer that asks for values and never reads is not read either; later all is answered."""
    daemon = snacgi(app=None)
    ask = record(GET_VALUES, 0, encode([(b"FCGI_MPXS_CONNS", b"")]))
    count = 200_000
    with daemon.connect() as conn:
        before = resident(daemon.pid)
        sender = threading.Thread(target=conn.send, args=(ask * count + get("/native/hello", 1),))
        sender.start()
        for _ in range(20):
            assert daemon.get("/native/hello").status == 200
        assert resident(daemon.pid) - before < 8 << 20
        replies, ended = 0, False
        while replies < count or not ended:
            kind, rid, _ = conn.read_record()
            replies += kind == GET_VALUES_RESULT
            ended = ended or kind == END_REQUEST
        sender.join()
        assert replies == count


# ---- one of several ---------------------------------------------------------------------


@pytest.mark.basic
def test_abort_of_one(server: Daemon, mux: Mux) -> None:
    mux.conn.send(get("/agate/one", 1) + get("/agate/one", 2))
    wait_for(server, "one", 2)
    mux.conn.send(record(ABORT_REQUEST, 1))
    mux.until(1)
    wait_for(server, "one", 1)
    assert 2 not in mux.ended
    server.get("/open/one")
    assert mux.until(2).answer(2).json() == {"opened": True}


@pytest.mark.parametrize("target", ["/native/pull?size=30000000", "/native/send?chunks=300&size=100000"])
def test_abort_in_the_answer(mux: Mux, target: str) -> None:
    """What the others send goes on whole, and of the aborted one comes nothing more."""
    mux.conn.send(get(target, 1) + get(target, 2))
    while not {rid for rid, _ in mux.records} == {1, 2}:
        mux.step()
    mux.conn.send(record(ABORT_REQUEST, 1))
    mux.until(1, 2)
    assert len(mux.done[1][0]) < 30_000_000
    assert len(mux.answer(2).body) == 30_000_000
    assert 1 not in mux.out, "records of 1 after its end"
    mux.conn.send(get("/native/hello", 1))
    while len(mux.ended[1]) < 2:
        mux.step()
    assert mux.answer(1, 1).status == 200


def test_a_refused_upload_leaves_the_others_alone(server: Daemon, mux: Mux) -> None:
    """413 in the middle of its body; the connection stays, the rest is passed over."""
    mux.conn.send(get("/agate/upload", 1))
    wait_for(server, "upload", 1)
    env = environ("POST", "/show", CONTENT_LENGTH=str(20 << 20))
    mux.conn.send(begin(2, keep=True) + stream(PARAMS, 2, encode(env)))
    assert mux.until(2).answer(2).status == 413
    mux.conn.send(get("/native/hello", 3) + stream(STDIN, 2, b"x" * 3_000_000))
    assert mux.until(3).answer(3).status == 200
    server.get("/open/upload")
    assert mux.until(1).answer(1).status == 200
    assert mux.conn.ask("GET", "/native/hello").status == 200


@pytest.mark.basic
def test_an_answer_that_breaks_off(server: Daemon, mux: Mux) -> None:
    """It must not pass for a whole one: the connection ends without its END_REQUEST, but not
    before the others are answered."""
    mux.conn.send(get("/agate/cut", 1) + get("/agate/cut", 3))
    wait_for(server, "cut", 2)
    mux.conn.send(get("/native/pull?size=300000&cut=298000", 2))
    while not mux.out.get(2):
        mux.step()
    wait_until(lambda: "connection cut" in server.log(), "the failure")
    server.get("/open/cut")
    mux.until(1, 3)
    assert mux.answer(1).status == mux.answer(3).status == 200
    with pytest.raises(Closed):
        while True:
            mux.step()
    assert 2 not in mux.ended


def test_time_outs_are_the_requests_own(snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi(conf={"timeouts": {"read": 0.5, "request": 1.0}})
    with daemon.connect() as conn:
        mux = Mux(conn)
        env = environ("POST", "/show", CONTENT_LENGTH="5")
        conn.send(begin(1, keep=True) + stream(PARAMS, 1, encode(env)) + record(STDIN, 1, b"ab"))
        conn.send(get("/agate/late", 2) + get("/native/hello", 3))
        assert mux.until(1).answer(1).status == 408
        assert mux.until(2).answer(2).status == 504
        assert mux.answer(3).status == 200
        conn.send(get("/native/hello", 4) + record(STDIN, 1, b"late") + get("/hello", 2))
        mux.until(4)
        while len(mux.ended[2]) < 2:
            mux.step()
        assert mux.answer(4).status == mux.answer(2, 1).status == 200


# ---- the end of a connection ------------------------------------------------------------


@pytest.mark.parametrize("last", [1, 2])
def test_closes_when_all_are_answered(server: Daemon, last: int) -> None:
    """The one without KEEP_CONN is answered first, or last."""
    name = f"keep{last}"
    with server.connect() as conn:
        mux = Mux(conn)
        conn.send(get(f"/agate/{name}", 1, keep=last != 1) + get(f"/agate/{name}", 2, keep=last != 1))
        wait_for(server, name, 2)
        conn.send(get("/native/hello", 3, keep=last == 1))
        mux.until(3)
        if last == 2:
            # From now on it is about to close: nothing new begins.
            conn.send(get("/native/hello", 4))
            assert mux.until(4).ended[4] == [OVERLOADED]
        server.get(f"/open/{name}")
        mux.until(1, 2)
        assert mux.answer(1).status == mux.answer(2).status == mux.answer(3).status == 200
        assert conn.closed()


@pytest.mark.basic
def test_the_peer_goes(server: Daemon) -> None:
    """Every task of the connection is cancelled, every stream let go of."""
    before = int(server.get("/native/pulls-done").text)
    with server.connect() as conn:
        conn.send(b"".join(get("/agate/gone", rid) for rid in range(1, 6)) + get("/native/pull?size=90000000", 6))
        wait_for(server, "gone", 5)
    wait_for(server, "gone", 0)
    wait_until(lambda: int(server.get("/native/pulls-done").text) == before + 1, "the done callback")


@pytest.mark.basic
def test_a_broken_record_ends_all(server: Daemon, mux: Mux) -> None:
    mux.conn.send(get("/agate/broken", 1) + get("/agate/broken", 2) + begin(3, keep=True))
    wait_for(server, "broken", 2)
    mux.conn.send(record(STDIN, 3, b"before its parameters"))
    mux.until(1, 2, 3)
    assert {mux.answer(rid).status for rid in (1, 2, 3)} == {400}
    assert mux.conn.closed()
    wait_for(server, "broken", 0)


def test_same_id_again_while_others_are_open(server: Daemon, mux: Mux) -> None:
    """A peer that pipelines on one id: its next request waits for the present one."""
    mux.conn.send(get("/agate/again", 1) + get("/agate/again", 2))
    wait_for(server, "again", 2)
    mux.conn.send(get("/native/users/7", 1) + get("/native/hello", 3))
    server.get("/open/again")
    mux.until(2, 3)
    while len(mux.ended.get(1, [])) < 2:
        mux.step()
    assert mux.answer(1, 0).json() == {"opened": True} and mux.answer(1, 1).json() == {"user_id": 7}


def test_stop_answers_all(snacgi: Callable[..., Daemon]) -> None:
    daemon = snacgi()
    with daemon.connect() as conn, daemon.connect() as other:
        mux = Mux(conn)
        conn.send(get("/agate/stop", 1) + get("/gate/stop", 2) + get("/agate/stop", 3))
        wait_for(daemon, "stop", 3)
        other.send(begin(1) + record(PARAMS, 1, encode(environ("GET", "/open/stop"))))
        assert daemon.process is not None
        daemon.process.terminate()
        daemon.wait_log("stop|end|drain")
        other.send(record(PARAMS, 1) + record(STDIN, 1))
        mux.until(1, 2, 3)
        assert [mux.answer(rid).status for rid in (1, 2, 3)] == [200] * 3
        assert conn.closed()


# ---- HAProxy ----------------------------------------------------------------------------

HAPROXY = """\
global
	maxconn 500
	nbthread 1
defaults
	mode http
	timeout connect 30s
	timeout client 60s
	timeout server 60s
fcgi-app snacgi
	docroot /
	option keep-conn
	option get-values
	option mpxs-conns
	option max-reqs 40
frontend web
	bind 127.0.0.1:{port}
	default_backend snacgi
backend snacgi
	use-fcgi-app snacgi
	http-reuse always
	server one unix@{socket} proto fcgi
"""


def start_haproxy(folder: Path, socket: str) -> tuple[subprocess.Popen[bytes], int]:
    """Somebody else may take the port between our look and HAProxy's bind: then once more."""
    for _ in range(10):
        port = free_port()
        conf = folder / "haproxy.cfg"
        conf.write_text(HAPROXY.format(port=port, socket=socket))
        with open(folder / "haproxy.log", "wb") as log:
            process = subprocess.Popen([tool("haproxy"), "-db", "-f", str(conf)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: process.poll() is not None or through(port, "/native/hello")[0] == 200, "HAProxy")
        if process.poll() is None:
            return process, port
    raise AssertionError((folder / "haproxy.log").read_text())


@pytest.fixture(scope="module")
def haproxy(shared_daemon: Daemon, module_tmp: Path) -> Iterator[int]:
    """In front of the module's daemon; its port."""
    process, port = start_haproxy(module_tmp, shared_daemon.addresses[0].path)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)


def through(port: int, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    conn = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        conn.request("GET" if body is None else "POST", target, body, {} if body is None else {"Content-Type": "application/json"})
        answer = conn.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        conn.close()


def many(port: int, asked: Iterable[tuple[str, bytes | None]]) -> list[tuple[int, bytes]]:
    out: dict[int, tuple[int, bytes]] = {}
    threads = [threading.Thread(target=lambda at=at, t=t, b=b: out.__setitem__(at, through(port, t, b)))
               for at, (t, b) in enumerate(asked)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return [out[at] for at in range(len(out))]


def test_haproxy_shares_a_connection(server: Daemon, haproxy: int) -> None:
    """Twenty clients wait for their answers over fewer connections than there are clients."""
    through(haproxy, "/native/hello")
    before = server.sockets()
    answers: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: answers.extend(many(haproxy, [("/agate/haproxy", None)] * 20)))
    asking.start()
    wait_for(server, "haproxy", 20)
    connections = server.sockets() - before
    server.get("/open/haproxy")
    asking.join()
    assert answers == [(200, b'{"opened":true}')] * 20
    assert connections < 5, connections


def test_haproxy_mixture(server: Daemon, haproxy: int) -> None:
    """Long and short, up and down at once: each its own, none lost. (The uploads are short: over
    a shared connection HAProxy 2.6 answers 500 by itself while its buffers are full of one.)"""
    asked: list[tuple[str, bytes | None]] = []
    for n in range(15):
        asked += [(f"/native/users/{n}", None), (f"/size/{500_000 + n}", None), (f"/native/pull?size={700_000 + n}", None),
                  ("/json", b"[%d]" % n), ("/native/echo", b'{"n": %d, "pad": "%s"}' % (n, b"p" * 500))]
    answers = many(haproxy, asked)
    for at, (status, body) in enumerate(answers):
        n, kind = at // 5, at % 5
        assert status == 200, (asked[at][0], status, body[:200])
        if kind == 0:
            assert body == b'{"user_id":%d}' % n
        elif kind in (1, 2):
            assert len(body) == (500_000 + n if kind == 1 else 700_000 + n)
        else:
            assert (b"%d" % n) in body
