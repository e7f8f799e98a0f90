# SPDX-License-Identifier: MIT
"""The load: threads that ask numbered questions without a pause, on kept FastCGI connections, on
SCGI connections of one request each, and through the front server; and rude peers that stall or
leave at any byte, of which nothing is asked but that they harm nobody else."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
import zlib
from abc import ABC, abstractmethod

import fcgi
import scgi
from account import Asked, Books
from wire import Address, Closed, environ

STREAMED = ["/stream", "/stream/async"]
PATIENCE = 90.0  # longer than any time-out of the server: who waits this long has lost his request
TARGETS = ["/sync", "/async", "/pool", *STREAMED, "/native/echo"]


class Client(threading.Thread, ABC):
    by = "?"
    targets = TARGETS
    sizes = [0, 10, 1000, 20_000, 100_000]

    def __init__(self, books: Books, seed: int, end: threading.Event) -> None:
        super().__init__(daemon=True)
        self.books, self.random, self.over = books, random.Random(seed), end

    def run(self) -> None:
        while not self.over.is_set():
            target = self.random.choice(self.targets)
            size = self.random.choice(self.sizes)
            one = self.books.open(self.by, target, size)
            fill = chr(97 + one.number % 26) * size
            nonce = f"{self.random.getrandbits(64):016x}"
            body = json.dumps({"n": one.number, "nonce": nonce, "fill": fill}).encode()
            try:
                status, got = self.ask(target, body)
                self.check(one, status, got, nonce, zlib.crc32(fill.encode()))
            except (Closed, BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected,
                    http.client.IncompleteRead) as error:
                self.books.close(one, "closed", repr(error)[:200])
            except (socket.timeout, TimeoutError):
                self.books.close(one, "lost", f"no answer within {PATIENCE:.0f} s")
            except (OSError, http.client.HTTPException) as error:
                self.books.close(one, "refused", repr(error)[:200])
            except Exception as error:  # an answer that cannot be understood
                self.books.close(one, "wrong", repr(error)[:300])
            if one.outcome != "ok":
                self.reset()
                time.sleep(0.02)

    def check(self, one: Asked, status: int, got: bytes, nonce: str, crc: int) -> None:
        if status != 200:
            self.books.close(one, f"status {status}", repr(got[:200]))
            return
        said = json.loads(got)
        right = (said["n"], said["nonce"]) == (one.number, nonce)
        right = right and (said["crc"] if "crc" in said else zlib.crc32(said["fill"].encode())) == crc
        self.books.close(one, "ok" if right else "wrong", "" if right else repr(got[:300]))

    @abstractmethod
    def ask(self, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; raises what became of it instead."""

    def reset(self) -> None:
        """After anything but the right answer: a fresh connection."""


class Kept(Client):
    by = "direct"

    def __init__(self, books: Books, seed: int, end: threading.Event, address: Address) -> None:
        super().__init__(books, seed, end)
        self.address = address
        self.conn: fcgi.Connection | None = None

    def ask(self, target: str, body: bytes) -> tuple[int, bytes]:
        if self.conn is None:
            self.conn = fcgi.Connection(self.address, PATIENCE)
        answer = self.conn.ask("POST", target, body, {"Content-Type": "application/json"})
        return answer.status, answer.body

    def reset(self) -> None:
        if self.conn is not None:
            self.conn.close()
        self.conn = None


class Scgi(Client):
    by = "scgi"

    def __init__(self, books: Books, seed: int, end: threading.Event, address: Address) -> None:
        super().__init__(books, seed, end)
        self.address = address

    def ask(self, target: str, body: bytes) -> tuple[int, bytes]:
        answer = scgi.ask(self.address, "POST", target, body, {"Content-Type": "application/json"}, PATIENCE)
        if target in STREAMED and answer.status == 200 and not answer.body.endswith(b"}"):
            raise Closed("the connection's end is all that SCGI has to say that a stream was cut")
        return answer.status, answer.body


class Fronted(Client):
    """Through nginx; a connection each, since a kept one may be closed by a reload of nginx."""

    by = "nginx"

    def __init__(self, books: Books, seed: int, end: threading.Event, port: int) -> None:
        super().__init__(books, seed, end)
        self.port = port

    def ask(self, target: str, body: bytes) -> tuple[int, bytes]:
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            conn.request("POST", target, body, {"Content-Type": "application/json", "Connection": "close"})
            answer = conn.getresponse()
            return answer.status, answer.read()
        finally:
            conn.close()


class Rude(threading.Thread):
    """Half a request, then a pause or the end; a request, and no reader for its answer; garbage."""

    def __init__(self, seed: int, end: threading.Event, address: Address) -> None:
        super().__init__(daemon=True)
        self.random, self.over, self.address = random.Random(seed), end, address

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with self.address.connect() as sock:
                    sock.settimeout(2)
                    self.random.choice([self.half, self.deaf, self.garbage, self.slow])(sock)
            except OSError:
                time.sleep(0.02)

    def bytes(self) -> bytes:
        # the path is nobody's: rude requests are in no ledger
        body = b"x" * self.random.choice([0, 100, 70_000])
        env = environ(self.random.choice(["GET", "POST"]), self.random.choice(["/pids", "/native/hello", "/none"]), None, body)
        return fcgi.request(env, body, 1, bool(self.random.getrandbits(1)))

    def half(self, sock: socket.socket) -> None:
        whole = self.bytes()
        sock.sendall(whole[:self.random.randrange(len(whole))])
        self.over.wait(self.random.choice([0, 0, 0.1, 1]))

    def deaf(self, sock: socket.socket) -> None:
        for _ in range(self.random.randrange(1, 20)):
            sock.sendall(self.bytes())
        self.over.wait(self.random.choice([0, 0.2]))

    def garbage(self, sock: socket.socket) -> None:
        sock.sendall(self.random.randbytes(self.random.randrange(1, 3000)))
        sock.recv(100)

    def slow(self, sock: socket.socket) -> None:
        for byte in self.bytes()[:100]:
            sock.sendall(bytes([byte]))
            if self.over.wait(0.01):
                return


