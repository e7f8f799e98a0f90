# SPDX-License-Identifier: MIT
"""What the system refuses: memory for each allocation in turn, bytes of sockets, descriptors.
The request gets a 503, or a closed connection where nothing can be said, and the next one is
served. By a library that fails calls when the test says so."""

from __future__ import annotations

import mmap
import re
import resource
import struct
from pathlib import Path
from typing import Callable, Iterator

import pytest
from daemon import BUILD, Daemon, descriptors, wait_until

import fcgi
import scgi
from wire import Address, Closed, environ

Snacgi = Callable[..., Daemon]
SHIM = BUILD / "tests" / "faults" / ".libs" / "shim.so"

pytestmark = pytest.mark.unsanitized  # the sanitizers have an allocator of their own


class Faults:
    """The memory that the library reads: int64s in the order of its struct."""

    NAMES = ("allocation", "failed", "sends", "receives", "accepts")

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(4096))
        with open(file, "r+b") as opened:
            self.map = mmap.mmap(opened.fileno(), 4096)
        self.env = {"LD_PRELOAD": str(SHIM), "SN_FAULTS": str(file)}

    def set(self, name: str, value: int) -> None:
        struct.pack_into("=q", self.map, self.NAMES.index(name) * 8, value)

    def get(self, name: str) -> int:
        return int(struct.unpack_from("=q", self.map, self.NAMES.index(name) * 8)[0])


@pytest.fixture
def faults(tmp: Path) -> Iterator[Faults]:
    assert SHIM.exists(), f"{SHIM} is not built"
    yield Faults(tmp / "faults")


def start(snacgi: Snacgi, faults: Faults, **more: object) -> Daemon:
    """Without Python, whose allocations are its own."""
    options: dict[str, object] = {"app": None, "env": faults.env, "listen": ["fastcgi+unix", "scgi+unix"],
                                  "probe": "/native/hello", "conf": {"io_threads": 1}}
    options.update(more)
    return snacgi(**options)


BIG = b"x" * 100000
ASKED: dict[str, tuple[str, str, bytes | None, dict[str, str]]] = {
    "hello": ("GET", "/native/hello?name=a%20b", None, {}),
    "variables": ("GET", "/native/users/7", None, {"Accept": "application/json"}),
    "large": ("POST", "/both", BIG, {}),
    "blocking": ("GET", "/native/blocking?ms=0", None, {}),
    "send": ("GET", "/native/send?n=20&size=10000", None, {}),
    "pull": ("GET", "/native/pull?n=20&size=10000", None, {}),
    "nothing": ("GET", "/no/such/path", None, {"Accept": "text/html"}),
    "headers": ("GET", "/native/hello", None, {f"X-H{n}": "v" * 300 for n in range(100)}),
}


def ask(daemon: Daemon, address: Address, what: str) -> int:
    """The status; 0: the connection was closed without one."""
    method, target, body, headers = ASKED[what]
    client = fcgi.ask if address.protocol == "fastcgi" else scgi.ask
    try:
        return client(address, method, target, body, headers).status
    except (Closed, ConnectionError):
        return 0


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi"])
@pytest.mark.parametrize("what", list(ASKED))
def test_each_allocation_fails_once(snacgi: Snacgi, faults: Faults, tmp: Path, what: str, protocol: str) -> None:
    daemon = start(snacgi, faults, conf={"io_threads": 1, "log": {"access": str(tmp / "access.log")}})
    address = daemon.addresses[protocol == "scgi"]
    for one in ASKED:  # what is made on first use is made
        ask(daemon, address, one)
    good = ask(daemon, address, what)
    assert good in (200, 404), good
    refused = 0
    for n in range(1, 500):
        before = faults.get("failed")
        faults.set("allocation", n)
        status = ask(daemon, address, what)
        met = faults.get("failed") > before
        faults.set("allocation", 0)
        assert status in (good, 503, 0), f"allocation {n}: {status}"
        refused += status == 503
        daemon.check()
        if not met:
            break
    else:
        raise AssertionError("a request of 500 allocations?")
    assert n > 1, "it allocates something"
    assert "\t499\t" not in (tmp / "access.log").read_text(), "who asks here stays"
    assert ask(daemon, address, what) == good
    wait_until(lambda: daemon.get("/native/hello", address=address).status == 200, "it serves")


@pytest.mark.parametrize("kind", ["sends", "receives"])
def test_the_kernel_has_no_memory_for_bytes(snacgi: Snacgi, faults: Faults, kind: str) -> None:
    """ENOBUFS and ENOMEM are no peer that is gone: tried again after a moment."""
    daemon = start(snacgi, faults)
    for address in daemon.addresses:
        for what in ASKED:
            good = ask(daemon, address, what)
            faults.set(kind, 3)
            assert ask(daemon, address, what) == good, what
            assert faults.get(kind) == 0
    with daemon.connect() as conn:
        for _ in range(3):
            faults.set(kind, 2)
            assert conn.ask("GET", "/native/hello").status == 200


def use_up_descriptors(daemon: Daemon) -> tuple[int, int]:
    """What the limit was."""
    before = resource.prlimit(daemon.worker, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.worker, resource.RLIMIT_NOFILE, (len(descriptors(daemon.worker)), before[1]))
    return before


def test_no_descriptor_for_a_connection(snacgi: Snacgi, faults: Faults) -> None:
    """accept fails: said in the log, tried again, nobody is lost."""
    daemon = start(snacgi, faults)
    faults.set("accepts", 5)
    assert daemon.get("/native/hello").status == 200
    assert faults.get("accepts") == 0
    daemon.wait_log(r"not accepting connections for now: Too many open files")


def test_open_files_run_out(snacgi: Snacgi) -> None:
    """For real: the limit is lowered under the daemon; who is connected is served, and the others
    when it is raised again."""
    daemon = snacgi(app=None, probe="/native/hello")
    with daemon.connect() as conn:
        assert conn.ask("GET", "/native/hello").status == 200
        before = use_up_descriptors(daemon)
        late = daemon.connect()
        late.send(fcgi.request(environ("GET", "/native/hello"), b"", 1, True))
        daemon.wait_log(r"not accepting connections for now: Too many open files")
        assert conn.ask("GET", "/native/hello").status == 200
        resource.prlimit(daemon.worker, resource.RLIMIT_NOFILE, before)
        assert late.response().status == 200
        late.close()
    assert len(re.findall("not accepting", daemon.log())) < 20, "not one line for each try"


# Method, target, status: whatever a worker may be asked first.
FIRST = [("POST", "/echo", 200), ("POST", "/text", 200), ("POST", "/stream", 200), ("POST", "/async/stream", 200),
         ("GET", "/async", 200), ("GET", "/seen?a=1&a=2", 200), ("GET", "/uuid/7f3c2a4e-1b5d-4c6f-8a9b-0c1d2e3f4a5b", 200),
         ("GET", "/typed?n=1", 200), ("GET", "/typed?n=x", 422), ("GET", "/answer", 201), ("GET", "/cookie", 200), ("GET", "/more", 200),
         ("GET", "/pieces", 200), ("GET", "/async/pieces", 200), ("GET", "/abort/404", 404), ("GET", "/abort/429", 429),
         ("GET", "/late", 409), ("GET", "/broken", 500), ("GET", "/wrong", 500), ("GET", "/nowhere", 404),
         ("POST", "/pool", 200)]


@pytest.mark.parametrize(("method", "target", "status"), FIRST)
def test_no_descriptor_is_left_for_a_worker_that_never_worked(snacgi: Snacgi, method: str, target: str, status: int) -> None:
    """A fresh worker whose descriptors are used up answers as another: what requests need is imported before."""
    daemon = snacgi(app="fresh", probe="/native/hello")
    with daemon.connect() as conn:
        assert conn.ask("GET", "/native/hello").status == 200
        use_up_descriptors(daemon)
        body = b'{"n": [1, 2.5, "x"]}' if method == "POST" else b""
        for accept in ("application/json", "text/html"):
            got = conn.ask(method, target, body, {"Content-Type": "application/json", "Accept": accept, "Cookie": "a=b"})
            assert (got.status, "Errno 24" in daemon.log()) == (status, False), got.body


def test_no_descriptor_to_wait_for_a_body_with(snacgi: Snacgi) -> None:
    """An async handler whose body has not come yet needs one: 503, and in the log why."""
    daemon = snacgi(app="fresh", probe="/native/hello")
    with daemon.connect() as conn:
        assert conn.ask("GET", "/native/hello").status == 200
        before = use_up_descriptors(daemon)
        whole = fcgi.request(environ("POST", "/async/stream", None, b"x" * 30_000), b"x" * 30_000, 1, True)
        conn.send(whole[:20_000])
        assert conn.response().status == 503
        daemon.wait_log("cannot wait for a request body: .*Too many open files")
        resource.prlimit(daemon.worker, resource.RLIMIT_NOFILE, before)
    assert daemon.get("/native/hello").status == 200


BIG = b"[" + b" " * 200_000 + b"1]"


def test_a_whole_request_that_is_refused_leaves_its_connection(snacgi: Snacgi) -> None:
    """Its front server may send the next one at once, and would not send a POST again."""
    daemon = snacgi(app=None, probe="/native/hello")
    with daemon.connect() as conn:
        assert conn.ask("GET", "/native/hello").status == 200
        before = use_up_descriptors(daemon)
        for _ in range(3):
            assert conn.ask("POST", "/native/echo", BIG).status == 503
        resource.prlimit(daemon.worker, resource.RLIMIT_NOFILE, before)
        assert conn.ask("POST", "/native/echo", BIG).status == 200
        assert conn.ask("POST", "/native/hello", b"", {"Content-Length": "x"}).status in (400, 405)
        assert conn.ask("GET", "/native/hello").status == 200
