#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The same two runs against snacgi, uWSGI and PHP-FPM, side by side, with the driver of the chaos run:
a worker is killed, or the server reloaded, every second under constant load, and every request
is accounted for.

    peers.py [SECONDS a run]

Each has two worker processes and the same handler. Eight clients ask over FastCGI on a Unix socket,
without a front server, which might repeat what was lost: half of them on kept connections where the
server keeps them. Prints the rows of doc/reliability.md's table; a server that is not installed
is said to be missing. Nothing is asserted but that the servers serve."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import fcgi  # noqa: E402
from account import Books  # noqa: E402
from clients import Client  # noqa: E402
from daemon import Daemon, children, wait_until  # noqa: E402
from wire import Address, Closed, environ  # noqa: E402

PATIENCE = 30.0  # for an answer; who waits longer has lost his request
CLIENTS = 8


class Asker(Client):
    """On a connection of its own each time, or on a kept one."""

    by = "direct"
    targets = ["/sync"]
    sizes = [0, 1000, 20_000]

    def __init__(self, books: Books, seed: int, end: threading.Event, address: Address, keep: bool, more: dict[str, str]) -> None:
        super().__init__(books, seed, end)
        self.address, self.keep, self.more = address, keep, more
        self.conn: fcgi.Connection | None = None

    def ask(self, target: str, body: bytes) -> tuple[int, bytes]:
        if self.conn is None:
            self.conn = fcgi.Connection(self.address, PATIENCE)
        self.conn.send(fcgi.request(environ("POST", target, {"Content-Type": "application/json"}, body, **self.more), body, 1, self.keep))
        out = self.answer(self.conn)
        if not self.keep:
            self.reset()
        head, _, rest = out.partition(b"\r\n\r\n")
        status = re.search(rb"^Status: (\d+)", head, re.M)  # PHP says nothing where it is 200
        return int(status.group(1)) if status else 200, rest

    @staticmethod
    def answer(conn: fcgi.Connection) -> bytes:
        out = bytearray()
        while True:
            try:
                kind, _, content = conn.read_record()
            except Closed as error:
                raise Closed(bytes(out)) from error
            if kind == fcgi.END_REQUEST:
                return bytes(out)
            if kind == fcgi.STDOUT:
                out += content

    def reset(self) -> None:
        if self.conn is not None:
            self.conn.close()
        self.conn = None


class Server(ABC):
    name: str
    keeps = True

    def __init__(self, tmp: Path, books: Books) -> None:
        self.tmp = tmp
        self.env = {"CHAOS_LEDGER": str(books.ledger)}
        self.address = Address("fastcgi", "unix", path=str(tmp / "peer.sock"))
        self.more: dict[str, str] = {}  # parameters of each request
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *command: str) -> None:
        with open(self.tmp / "peer.log", "wb") as log:
            self.process = subprocess.Popen(command, cwd=self.tmp, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def reload(self) -> None: ...

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def workers(self) -> list[int]:
        return children(self.pid)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Snacgi(Server):
    name = "snacgi"

    def start(self) -> None:
        self.daemon = Daemon(self.tmp, supervisor=True, app=HERE / "app", listen=["fastcgi+unix"], probe="/pids", env=self.env,
                             conf={"processes": 2})
        self.daemon.start()
        self.address = self.daemon.addresses[0]

    @property
    def pid(self) -> int:
        return self.daemon.pid

    def workers(self) -> list[int]:
        return self.daemon.workers()

    def reload(self) -> None:
        self.daemon.signal(signal.SIGHUP)

    def stop(self) -> None:
        self.daemon.kill()


class Uwsgi(Server):
    name = "uWSGI"
    keeps = False
    options: tuple[str, ...] = ()

    def start(self) -> None:
        program = shutil.which("uwsgi")
        if not program:
            raise FileNotFoundError("uwsgi (Debian: uwsgi-core uwsgi-plugin-python3)")
        self.run(program, "--master", "--processes", "2", "--plugin", "python3", "--fastcgi-socket", self.address.path, "--listen", "100",
                 "--wsgi-file", str(HERE / "peers" / "chaos_wsgi.py"), "--need-app", "--disable-logging", *self.options)

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)


class UwsgiLazy(Uwsgi):
    name = "uWSGI, lazy-apps and chain reload"
    options = ("--lazy-apps", "--touch-chain-reload", "reload")

    def start(self) -> None:
        (self.tmp / "reload").touch()
        super().start()

    def reload(self) -> None:
        (self.tmp / "reload").touch()


class Fpm(Server):
    name = "PHP-FPM"
    more_conf = ""

    def start(self) -> None:
        found = sorted(Path("/usr/sbin").glob("php-fpm*"))
        if not found:
            raise FileNotFoundError("php-fpm (Debian: php-fpm)")
        root = os.geteuid() == 0
        (self.tmp / "php.conf").write_text(
            f"[global]\nerror_log = {self.tmp}/php.log\ndaemonize = no\n{self.more_conf}[www]\nlisten = {self.address.path}\nlisten.backlog = 1024\n"
            + ("user = root\ngroup = root\n" if root else "") + "pm = static\npm.max_children = 2\n")
        self.more = {"SCRIPT_FILENAME": str(HERE / "peers" / "chaos.php"), **self.env}
        self.run(str(found[-1]), "-n", "-y", str(self.tmp / "php.conf"), "-F", *(["-R"] if root else []))

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGUSR2)


class FpmPatient(Fpm):
    name = "PHP-FPM, process_control_timeout"
    more_conf = "process_control_timeout = 10s\n"


def kill(server: Server, books: Books, rng: random.Random) -> None:
    workers = server.workers()
    if workers:
        pid = rng.choice(workers)
        books.disturb("worker", {pid})
        os.kill(pid, signal.SIGKILL)


def reload(server: Server, books: Books, rng: random.Random) -> None:
    books.disturb("reload")
    server.reload()


def connects(server: Server) -> bool:
    assert server.process is None or server.process.poll() is None, (server.tmp / "peer.log").read_text(errors="replace")
    try:
        server.address.connect(1).close()
        return True
    except OSError:
        return False


def one_run(kind: type[Server], deed_name: str, seconds: float) -> str:
    tmp = Path(tempfile.mkdtemp(prefix="snacgi-peer-"))
    books, over, rng = Books(tmp / "ledger"), threading.Event(), random.Random(1)
    books.ledger.touch(0o666)
    server = kind(tmp, books)
    try:
        server.start()
        wait_until(lambda: connects(server), "the server")
        askers = [Asker(books, k, over, server.address, server.keeps and k % 2 == 0, server.more) for k in range(CLIENTS)]
        for one in askers:
            one.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            (kill if deed_name == "killed" else reload)(server, books, rng)
        time.sleep(3)
        over.set()
        for one in askers:
            one.join(PATIENCE + 10)
        return f"| {server.name} | {deed_name}, {len(books.disturbances)} times | {judged(books)} |"
    finally:
        over.set()
        server.stop()
        shutil.rmtree(tmp, ignore_errors=True)


def judged(books: Books) -> str:
    """Asked, right, died with the process that ran them, failed otherwise and how, ran twice."""
    ran = books.executions()
    killed = {pid for d in books.disturbances for pid in d.pids}
    how: Counter[str] = Counter()
    right = died = 0
    for one in books.asked:
        if one.outcome == "ok":
            right += 1
        elif ran.get(one.number) and ran[one.number][-1] in killed:
            died += 1
        else:
            how[one.outcome or "lost"] += 1
    twice = sum(1 for pids in ran.values() if len(pids) > 1)
    failed = ", ".join(f"{n} {what}" for what, n in sorted(how.items()))
    return f"{len(books.asked)} | {right} | {died} | {sum(how.values())}{f' ({failed})' if failed else ''} | {twice}"


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    print("| Server | A worker | Asked | Right | Died with the killed process | Failed otherwise | Ran twice |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for deed in ("killed", "reloaded"):
        for kind in (Snacgi, Uwsgi, UwsgiLazy, Fpm, FpmPatient):
            if deed == "killed" and kind in (UwsgiLazy, FpmPatient):
                continue  # they differ in reloading only
            try:
                print(one_run(kind, deed, seconds), flush=True)
            except FileNotFoundError as error:
                print(f"| {kind.name} | {deed} | missing: {error} | | | | |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
