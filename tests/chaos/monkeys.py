# SPDX-License-Identifier: MIT
"""What is done to the server and to the front server during a chaos run. Each disturbance is
entered into the books before it happens, with the processes that it may kill."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

from account import Books
from daemon import Daemon, alive, children, command_line, descendants, run, wait_until


def limited(pid: int, what: int, value: int, seconds: float) -> None:
    """Lowers a limit of another process for a while."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (min(value, before[1]), before[1]))
    time.sleep(seconds)
    try:
        resource.prlimit(pid, what, before)
    except ProcessLookupError:
        pass


class Monkeys:
    def __init__(self, books: Books, rng: random.Random, daemon: Daemon, nginx: subprocess.Popen[bytes], disk: Path | None) -> None:
        self.books, self.random, self.daemon, self.nginx, self.disk = books, rng, daemon, nginx, disk
        self.killed: set[int] = set()  # workers that we killed, or may have
        app = daemon.conf["python"]["dir"]
        self.code = Path(app) / "chaos_app.py"
        self.good = self.code.read_text()
        self.turn = 0
        self.deeds = [self.kill_worker] * 3 + [self.stop_worker] * 3 + [self.reload] * 6 + [self.reload_broken] + [
            self.recycle] * 3 + [self.kill_pool] * 3 + [self.kill_helper] + [self.reopen] + [self.front_reload] * 2 + [
            self.front_kill] + [self.front_stop] + [self.few_files] + [self.little_memory] + [self.full_disk] * 2 + [self.kill_supervisor]

    def one(self) -> str:
        deed = self.random.choice(self.deeds)
        try:
            deed()
        except ProcessLookupError:
            pass  # it was dying already
        return deed.__name__

    def worker(self) -> int | None:
        workers = self.daemon.workers()
        return self.random.choice(workers) if workers else None

    def kill(self, kind: str, pid: int, number: int) -> None:
        it = self.books.disturb(kind, {pid})
        if kind == "worker":
            self.killed.add(pid)
        try:
            os.kill(pid, number)
            wait_until(lambda: not alive(pid), "its end")
        finally:
            time.sleep(0.05)  # until every peer has seen it
            it.ended = time.monotonic()

    # -- the server

    def kill_worker(self) -> None:
        pid = self.worker()
        if pid:
            self.kill("worker", pid, self.random.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]))

    def stop_worker(self) -> None:
        pid = self.worker()
        if pid:
            self.books.disturb("stopped", {pid}).ended = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.random.uniform(0.1, 1.5))
            os.kill(pid, signal.SIGCONT)

    def write(self, text: str) -> None:
        self.turn += 1
        fresh = self.code.with_suffix(".new")
        fresh.write_text(text)
        os.utime(fresh, (1_000_000_000 + self.turn, 1_000_000_000 + self.turn))
        fresh.rename(self.code)

    def reload(self) -> None:
        self.write(self.good + f"# {self.turn}\n")
        self.books.disturb("reload").ended = time.monotonic()
        if self.random.getrandbits(1):
            self.daemon.signal(signal.SIGHUP)
        else:
            run("reload", "--pid", str(self.daemon.pid), timeout=120)

    def reload_broken(self) -> None:
        self.books.disturb("broken reload").ended = time.monotonic()
        self.write("this is no Python\n")
        try:
            assert run("reload", "--pid", str(self.daemon.pid), timeout=120).returncode == 1
        finally:
            self.write(self.good)

    def recycle(self) -> None:
        pid = self.worker()
        if pid:
            self.books.disturb("recycled").ended = time.monotonic()
            os.kill(pid, signal.SIGUSR2)

    def reopen(self) -> None:
        self.daemon.signal(signal.SIGUSR1)

    def helpers(self, words: tuple[str, ...]) -> list[int]:
        return [pid for pid in descendants(self.daemon.pid) if any(word in " ".join(command_line(pid)) for word in words)]

    def kill_pool(self) -> None:
        """A process that a fork server made: a child of the fork server."""
        servers = self.helpers(("forkserver",))
        pids = [child for pid in servers for child in children(pid)]
        if pids:
            self.kill("pool", self.random.choice(pids), signal.SIGKILL)

    def kill_helper(self) -> None:
        pids = self.helpers(("forkserver", "resource_tracker"))
        if pids:
            self.kill("pool", self.random.choice(pids), signal.SIGKILL)

    def few_files(self) -> None:
        pid = self.worker()
        if pid:
            it = self.books.disturb("disk", {pid})  # large bodies cannot be kept either
            limited(pid, resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{pid}/fd")), 0.5)
            it.ended = time.monotonic() + 0.2

    def little_memory(self) -> None:
        pid = self.worker()
        if pid:
            it = self.books.disturb("memory", {pid})
            self.killed.add(pid)  # an interpreter without memory may give up
            size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
            limited(pid, resource.RLIMIT_AS, size + (256 << 10), 0.5)
            it.ended = time.monotonic() + 0.2

    def full_disk(self) -> None:
        if self.disk is None:
            return
        it = self.books.disturb("disk")
        filler = self.disk / "filler"
        try:
            with open(filler, "wb", buffering=0) as file:
                while file.write(b"x" * 65536):
                    pass
        except OSError:
            pass
        time.sleep(0.5)
        filler.unlink()
        it.ended = time.monotonic() + 0.2

    def kill_supervisor(self) -> None:
        """And start it again, as a service manager does; nothing of the old one may be left. It is let be
        until all its workers serve: one that fails at the very first start ends the whole, by promise."""
        family = descendants(self.daemon.pid)
        self.killed |= set(self.daemon.workers())
        it = self.books.disturb("supervisor", set(self.daemon.workers()))
        self.daemon.signal(signal.SIGKILL)
        self.daemon.wait()
        wait_until(lambda: not [pid for pid in family if alive(pid)], "the end of its family")
        starts = self.daemon.log().count("ready: 2 worker")
        self.daemon.start()
        wait_until(lambda: self.daemon.log().count("ready: 2 worker") > starts, "all its workers")
        it.ended = time.monotonic() + 0.1

    # -- the front server

    def front_reload(self) -> None:
        self.books.disturb("front reload").ended = time.monotonic()
        self.nginx.send_signal(signal.SIGHUP)

    def front_stop(self) -> None:
        """It neither sends nor takes anything for a while; nobody has an excuse by that."""
        workers = children(self.nginx.pid)
        if workers:
            pid = self.random.choice(workers)
            self.books.disturb("front stopped", {pid}).ended = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.random.uniform(0.1, 1.5))
            os.kill(pid, signal.SIGCONT)

    def front_kill(self) -> None:
        workers = children(self.nginx.pid)
        if workers:
            self.kill("front", self.random.choice(workers), signal.SIGKILL)
