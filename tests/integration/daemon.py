# SPDX-License-Identifier: MIT
"""Starts the built daemon for a test, asks until it answers, and holds it to
account afterwards: exit 0, nothing leaked, no orphan, no sanitizer line."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Sequence

import fcgi
import scgi
from wire import Address, Closed, Response

SRC = Path(os.environ.get("SN_TOP_SRCDIR") or Path(__file__).resolve().parents[2])
BUILD = Path(os.environ.get("SN_TOP_BUILDDIR") or SRC / "build")
PYTHON = os.environ.get("SN_PYTHON") or "/usr/bin/python3"
SNACGI = BUILD / "src" / "snacgi"
HERE = Path(__file__).resolve().parent
APPS = HERE / "apps"
NATIVE = BUILD / "tests" / "integration" / ".libs" / "native_endpoints.so"

MAKEFILE = (BUILD / "Makefile").read_text() if (BUILD / "Makefile").exists() else ""
SANITIZED = re.search(r"^SAN_CFLAGS = *-", MAKEFILE, re.M) is not None

# What tells a sanitizer's runtime how to behave; nothing to a build without one.
SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")

# Sanitized builds and busy machines are slow; nothing here depends on a time being short.
PATIENCE = 60.0
BAD_LINES = re.compile(
    r"ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:"
    r"|SN_ASSERT|assertion .* failed|Fatal Python error|double free|corrupted size|stack smashing",
    re.I,
)


class StartError(AssertionError):
    """The daemon ended instead of serving."""


# Below what the kernel gives to clients (net.ipv4.ip_local_port_range): none of theirs can
# take such a port between here and the server's bind. Each process has its own order.
free_ports = random.Random(os.getpid() ^ time.time_ns()).sample(range(10_000, 32_000), 22_000)


def free_port(family: int = socket.AF_INET) -> int:
    """Never the same one twice."""
    while True:
        port = free_ports.pop()
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            try:
                sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", port))
                return port
            except OSError:
                pass


def wait_until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Polls; returns the first true result, or fails saying `what` never came."""
    end = time.monotonic() + patience
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never came: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


# ---- libconfig ---------------------------------------------------------------


def setting(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) + ("L" if abs(value) > 0x7FFFFFFF else "")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {setting(v)};" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(setting(one) for one in value)
        return f"( {inner} )" if any(isinstance(one, dict) for one in value) else f"[ {inner} ]"
    raise TypeError(type(value))


def configuration(conf: dict[str, Any]) -> str:
    return "".join(f"{key} = {setting(value)};\n" for key, value in conf.items())


def merged(base: dict[str, Any], more: dict[str, Any] | None) -> dict[str, Any]:
    """`more` over `base`, groups merged key by key."""
    out = dict(base)
    for key, value in (more or {}).items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


# ---- processes ---------------------------------------------------------------


def children(pid: int) -> list[int]:
    out: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
            out += [int(one) for one in text.split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return out


def descendants(pid: int) -> list[int]:
    out: list[int] = []
    for child in children(pid):
        out += [child, *descendants(child)]
    return out


def command_line(pid: int) -> list[str]:
    try:
        return [w.decode(errors="replace") for w in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    except OSError:
        return []


def state(pid: int) -> str:
    """'R', 'S', 'Z' ...; '' when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return ""


def alive(pid: int) -> bool:
    return state(pid) not in ("", "Z", "X")


def descriptors(pid: int) -> dict[str, str]:
    out = {}
    base = f"/proc/{pid}/fd"
    for fd in os.listdir(base):
        try:
            out[fd] = os.readlink(f"{base}/{fd}")
        except FileNotFoundError:
            pass
    return out


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def resident(pid: int) -> int:
    """Resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def environment(extra: dict[str, str | None] | None = None, leaks: bool = False) -> dict[str, str]:
    """For the daemon: clean of what the test runner needs for itself."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("PYTEST", "PYTHON", "LISTEN_", "SN_", "VIRTUAL_ENV", "MAKE", "MFLAGS"))}
    # An interpreter that ends with its process leaves memory behind on purpose; what
    # has no Python in it must not leak.
    env.setdefault("ASAN_OPTIONS", f"detect_leaks={int(leaks)}:abort_on_error=0:allocator_may_return_null=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=0")
    if os.environ.get("SN_ROUGH"):  # tests/faults/shim.c
        env.update(SN_ROUGH="1", LD_PRELOAD=str(BUILD / "tests" / "faults" / ".libs" / "shim.so"))
    for key, value in (extra or {}).items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


def sanitizers(more: str) -> dict[str, str | None]:
    """The sanitizers' options as they are, and `more`."""
    env = environment()
    return {name: f"{env[name]}:{more}" for name in SANITIZERS}


def mortal() -> dict[str, str | None]:
    """For a process that is to die of SIGSEGV: a sanitizer would report it and exit."""
    return sanitizers("handle_segv=0")


def run(*args: str | Path, cwd: Path | None = None, env: dict[str, str | None] | None = None,
        timeout: float = PATIENCE, **more: Any) -> subprocess.CompletedProcess[str]:
    """The daemon's command line to its end."""
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([str(SNACGI), *map(str, args)], cwd=cwd, env=environment(env), text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, **more)


class Daemon:
    """One running snacgi. Use as a context manager, or by the fixture `snacgi`."""

    def __init__(self, tmp: Path, *, listen: Sequence[str] = ("fastcgi+unix",), app: str | Path | None = "basic",
                 native: Sequence[str | Path] = (NATIVE,), conf: dict[str, Any] | None = None,
                 args: Sequence[str | Path] = (), env: dict[str, str | None] | None = None,
                 supervisor: bool = False, launcher: Sequence[str | Path] = (), probe: str = "/--probe--",
                 name: str = "snacgi", command: Sequence[str] = (), addresses: Sequence[Address] = (),
                 **popen: Any) -> None:
        self.tmp = tmp
        self.name = name
        self.log_file = tmp / f"{name}.log"
        self.conf_file = tmp / f"{name}.conf"
        self.probe = probe
        self.addresses: list[Address] = []
        self.expected_exit: int | None = 0
        self.allow_lines: list[str] = []
        base: dict[str, Any] = {
            "io_threads": 2,
            "native": {"modules": [str(one) for one in native]},
            "timeouts": {"shutdown": 20.0},
            "limits": {"connections": 2048},
        }
        listeners = []
        for at, one in enumerate(listen):
            protocol, kind = one.split("+")
            address = self.new_address(protocol, kind, at)
            self.addresses.append(address)
            listeners.append({"protocol": protocol, "address": address.spec()})
        if listeners:
            base["listen"] = listeners
        if app is not None:
            base["python"] = {"dir": str(APPS / app if isinstance(app, str) else app), "pool_workers": 2}
        self.conf = merged(base, conf)
        self.python = app is not None
        self.conf_file.write_text(configuration(self.conf))
        self.command = [*map(str, launcher), str(SNACGI), "serve", "-c", str(self.conf_file),
                        *([] if supervisor else ["--no-supervisor"]), *map(str, args)]
        self.command = [*command] or self.command
        self.addresses += addresses
        self.env = environment(env, leaks=not self.python)
        self.popen = popen
        self.process: subprocess.Popen[bytes] | None = None
        self.family: set[int] = set()

    def new_address(self, protocol: str, kind: str, at: int = 0) -> Address:
        if kind == "unix":
            return Address(protocol, kind, path=str(self.tmp / f"{self.name}{at}.sock"))
        if kind == "abstract":
            return Address(protocol, kind, path=f"snacgi-test-{os.getpid()}-{time.monotonic_ns()}")
        family = socket.AF_INET6 if kind == "tcp6" else socket.AF_INET
        return Address(protocol, kind, port=free_port(family))

    # -- start and stop

    def start(self, wait: bool = True) -> "Daemon":
        with open(self.log_file, "ab") as log:
            options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log,
                                       "cwd": self.tmp, **self.popen}
            self.process = subprocess.Popen(self.command, env=self.env, start_new_session=True, **options)
        if wait:
            try:
                for address in self.addresses:
                    self.wait_ready(address)
            except BaseException:
                self.kill()
                raise
        return self

    def wait_ready(self, address: Address, probe: str | None = None) -> Response:
        """Connects and asks until an answer comes: the only sign of life that counts."""
        end = time.monotonic() + PATIENCE
        while True:
            assert self.process is not None
            if self.process.poll() is not None:
                raise StartError(f"the daemon ended with {self.process.returncode}:\n{self.log()}")
            try:
                return self.ask("GET", probe or self.probe, address=address)
            except (OSError, Closed) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"no answer from {address}: {error!r}\n{self.log()}") from None
                time.sleep(0.01)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def worker(self) -> int:
        """The process that serves (the first one, with a supervisor)."""
        return self.workers()[0]

    def workers(self) -> list[int]:
        if "--no-supervisor" in self.command:
            return [self.pid]
        out = []
        for pid in children(self.pid):
            try:
                if os.path.samefile(f"/proc/{pid}/exe", f"/proc/{self.pid}/exe") and alive(pid):
                    out.append(pid)
            except OSError:
                pass
        return sorted(out)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_log(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        match: re.Match[str] = wait_until(lambda: re.search(pattern, self.log()), f"{pattern!r} in the log", patience)
        return match

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        assert self.process is not None
        return self.process.wait(timeout)

    def kill(self) -> None:
        """Ends everything this daemon started, at whatever cost."""
        if self.process is None:
            return
        family = {self.pid, *descendants(self.pid), *self.family}
        for pid in family:
            if pid == self.pid or self.is_mine(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait(PATIENCE)

    def is_mine(self, pid: int) -> bool:
        """Our session's id is the daemon's process id: a reused id is not ours."""
        try:
            return os.getsid(pid) == self.pid
        except ProcessLookupError:
            return False

    def stop(self) -> None:
        """SIGTERM, then every check that holds after each test."""
        assert self.process is not None
        self.family |= set(descendants(self.pid))
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            text = self.stacks()
            self.kill()
            raise AssertionError(f"does not end on SIGTERM\n{text}\n{self.log()[-6000:]}") from None
        try:
            self.check_log()
            if self.expected_exit is not None:
                assert code == self.expected_exit, f"exit status {code}\n{self.log()[-6000:]}"
            wait_until(lambda: not self.orphans(), f"the end of {self.orphan_lines()}", 10)
        finally:
            self.kill()

    def orphans(self) -> list[int]:
        """Processes of the daemon's session that are still there after it."""
        out = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.pid:
                try:
                    if os.getsid(int(entry)) == self.pid and state(int(entry)) not in ("Z", ""):
                        out.append(int(entry))
                except (ProcessLookupError, PermissionError):
                    pass
        self.family |= set(out)
        return out

    def orphan_lines(self) -> list[str]:
        return [f"{pid}: {' '.join(command_line(pid))}" for pid in self.orphans()]

    def stacks(self) -> str:
        out = []
        for pid in [self.pid, *descendants(self.pid)]:
            for task in sorted(os.listdir(f"/proc/{pid}/task")) if alive(pid) else []:
                try:
                    name = Path(f"/proc/{pid}/task/{task}/comm").read_text().strip()
                    where = Path(f"/proc/{pid}/task/{task}/wchan").read_text().strip()
                    out.append(f"{pid}/{task} {name}: {where}")
                except OSError:
                    pass
        return "\n".join(out)

    def check_log(self) -> None:
        bad = [line for line in self.log().splitlines()
               if BAD_LINES.search(line) and not any(re.search(one, line) for one in self.allow_lines)]
        assert not bad, "\n".join(bad[:20]) + "\n" + self.log()[-8000:]

    def check(self) -> None:
        """After a test on a daemon that serves more of them."""
        assert self.process is not None and self.process.poll() is None, \
            f"the daemon died with {self.process and self.process.returncode}\n{self.log()[-8000:]}"
        wait_until(lambda: not self.zombies(), f"that somebody waits for {self.zombies()}")  # for one that ended just now, too
        self.check_log()

    def zombies(self) -> list[int]:
        return [pid for pid in descendants(self.pid) if state(pid) == "Z"]

    def __enter__(self) -> "Daemon":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            if self.process is not None:
                sys.stderr.write(f"--- {self.log_file}\n{self.log()[-6000:]}\n")
            self.kill()
        else:
            self.stop()

    # -- asking

    def ask(self, method: str = "GET", target: str | bytes = "/", body: bytes | None = None,
            headers: dict[str, str] | None = None, address: Address | None = None,
            **more: Any) -> Response:
        """One request on a connection of its own."""
        address = address or self.addresses[0]
        client = fcgi.ask if address.protocol == "fastcgi" else scgi.ask
        return client(address, method, target, body, headers, **more)

    def get(self, target: str | bytes, **more: Any) -> Response:
        return self.ask("GET", target, **more)

    def post(self, target: str, value: Any, **more: Any) -> Response:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.ask("POST", target, body, {"Content-Type": "application/json"}, **more)

    def connect(self, address: Address | None = None) -> fcgi.Connection:
        return fcgi.Connection(address or self.addresses[0])

    def dial(self, address: Address | None = None) -> fcgi.Connection | scgi.Connection:
        """A connection of the listener's own protocol."""
        address = address or self.addresses[0]
        return (fcgi if address.protocol == "fastcgi" else scgi).Connection(address)

    # -- descriptors

    def sockets(self) -> int:
        """Descriptors of the serving process that are sockets."""
        return sum(1 for target in descriptors(self.worker).values() if target.startswith("socket:"))


class Leaks:
    """Counts a serving process' descriptors before and after."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def __enter__(self) -> None:
        self.pid = self.daemon.worker
        self.before = descriptors(self.pid)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        try:
            wait_until(lambda: len(descriptors(self.pid)) <= len(self.before), "", 10)
        except AssertionError:
            after = descriptors(self.pid)
            more = sorted(set(after.values()) - set(self.before.values()))
            raise AssertionError(f"{len(after) - len(self.before)} descriptors leaked: {more[:20]}") from None
