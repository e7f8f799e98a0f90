# SPDX-License-Identifier: MIT
"""What the service manager is told, read off a NOTIFY_SOCKET of our own; no
systemd has to run."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import fcgi
import pytest
from daemon import Daemon, wait_until
from wire import environ

Snacgi = Callable[..., Daemon]


class Manager:
    """The other end of sd_notify(3): messages as dictionaries, with their sender. A thread reads
    all the while, as systemd does: who notifies it waits where nobody takes its message."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self.sock.setblocking(False)
        self.address = address
        self.messages: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.ended, self.end = os.pipe()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        while self.ended not in select.select([self.sock, self.ended], [], [])[0]:
            self.poll()

    def close(self) -> None:
        os.close(self.end)
        self.thread.join()
        os.close(self.ended)
        self.sock.close()

    def poll(self) -> list[dict[str, str]]:
        """What was sent until now."""
        with self.lock:
            while self.take():
                pass
            return list(self.messages)

    def take(self) -> bool:
        try:
            text, ancillary, _, _ = self.sock.recvmsg(4096, 256)
        except BlockingIOError:
            return False
        message = dict(line.split("=", 1) for line in text.decode().splitlines())
        for _, _, data in ancillary:
            message["pid"] = str(struct.unpack("3i", data[:12])[0])
        self.messages.append(message)
        return True

    def all(self, key: str) -> list[dict[str, str]]:
        return [one for one in self.poll() if key in one]

    def wait(self, key: str, pattern: str = "", count: int = 1) -> dict[str, str]:
        def there() -> Any:
            found = [one for one in self.poll() if re.search(pattern, one.get(key, "")) and key in one]
            return found[count - 1] if len(found) >= count else None

        found: dict[str, str] = wait_until(there, f"{count} {key}={pattern} among {self.messages}")
        return found


@pytest.fixture
def manager(tmp: Path) -> Iterator[Manager]:
    manager = Manager(f"{tmp}/notify")
    yield manager
    manager.close()


@pytest.mark.basic
@pytest.mark.parametrize("supervisor", [True, False])
def test_ready_and_stopping(snacgi: Snacgi, manager: Manager, supervisor: bool) -> None:
    """Ready is said when requests are answered, not before; by the process that was started."""
    conf = {"processes": 2} if supervisor else {}
    daemon = snacgi(supervisor=supervisor, conf=conf, env={"NOTIFY_SOCKET": manager.address}, wait=False)
    ready = manager.wait("READY")
    assert ready["READY"] == "1"
    assert daemon.get("/users/1").json() == {"user_id": 1}, "no retry: it said ready"
    assert ("2 of 2" in ready["STATUS"]) == supervisor
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    stopping = manager.all("STOPPING")
    assert [one["STOPPING"] for one in stopping] == ["1"]
    # As long as timeouts.shutdown lets it take, whatever the unit says.
    assert int(stopping[0]["EXTEND_TIMEOUT_USEC"]) >= 20_000_000
    assert len(manager.all("READY")) == 1
    assert {one["pid"] for one in manager.messages} == {str(daemon.pid)}, "NotifyAccess=main is enough"
    assert not manager.all("WATCHDOG")


def test_abstract_socket(snacgi: Snacgi) -> None:
    manager = Manager(f"@snacgi-notify-{os.getpid()}-{time.monotonic_ns()}")
    snacgi(app=None, env={"NOTIFY_SOCKET": manager.address})
    manager.wait("READY")
    manager.close()


@pytest.mark.parametrize("address", ["/nonexistent/notify", "no-address", "/" + "x" * 200, ""])
def test_manager_that_is_not_there(snacgi: Snacgi, address: str) -> None:
    daemon = snacgi(app=None, supervisor=True, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"})
    assert daemon.get("/native/hello").status == 200


def test_status_follows_the_workers(snacgi: Snacgi, manager: Manager) -> None:
    daemon = snacgi(supervisor=True, app=None, conf={"processes": 2}, env={"NOTIFY_SOCKET": manager.address})
    manager.wait("READY")
    os.kill(daemon.workers()[0], signal.SIGKILL)
    manager.wait("STATUS", "1 of 2")
    manager.wait("STATUS", "2 of 2", count=2)
    assert len(manager.all("READY")) == 1


def test_failed_start_is_never_ready(snacgi: Snacgi, manager: Manager, tmp: Path) -> None:
    (tmp / "python").mkdir()
    (tmp / "python" / "app.py").write_text("import no_such_module\n")
    daemon = snacgi(supervisor=True, app=tmp / "python", env={"NOTIFY_SOCKET": manager.address}, wait=False)
    daemon.expected_exit = 1
    assert daemon.wait() == 1
    assert not manager.all("READY") and "no_such_module" in daemon.log()


def test_reload(snacgi: Snacgi, manager: Manager, tmp: Path) -> None:
    """RELOADING with the time of its beginning, then READY, also when the new code is broken."""
    (tmp / "python").mkdir()
    code = tmp / "python" / "app.py"
    code.write_text("from snacgi import route\n@route('/x')\ndef x(request):\n    return 1\n")
    daemon = snacgi(supervisor=True, app=tmp / "python", env={"NOTIFY_SOCKET": manager.address}, probe="/x")
    manager.wait("READY")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.signal(signal.SIGHUP)
    manager.wait("READY", count=2)
    (reloading,) = manager.all("RELOADING")
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    code.write_text("import no_such_module\n")
    daemon.signal(signal.SIGHUP)
    failed = manager.wait("READY", count=3)
    assert "reload failed" in failed["STATUS"]
    order = [key for one in manager.messages for key in ("READY", "RELOADING") if key in one]
    assert order == ["READY", "RELOADING", "READY", "RELOADING", "READY"]
    assert {one["pid"] for one in manager.messages} == {str(daemon.pid)}
    assert daemon.get("/x").text == "1"


@pytest.mark.parametrize("supervisor", [True, False])
def test_watchdog(snacgi: Snacgi, manager: Manager, supervisor: bool) -> None:
    """Told again and again, also by an idle server and while Python is busy."""
    daemon = snacgi(supervisor=supervisor, env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    conn = daemon.connect()
    conn.send(fcgi.request(environ("GET", "/spin?seconds=2"), b"", 1, False))
    manager.wait("WATCHDOG", "^1$", count=10)
    conn.close()


def test_watchdog_of_another_process(snacgi: Snacgi, manager: Manager) -> None:
    daemon = snacgi(app=None, env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    manager.wait("READY")
    assert daemon.get("/native/hello").status == 200
    daemon.stop()
    assert not manager.all("WATCHDOG")


def test_variables_are_for_us_only(snacgi: Snacgi, manager: Manager) -> None:
    """A handler, or what it starts, cannot speak in the server's name."""
    daemon = snacgi(supervisor=True, env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000000"})
    seen = daemon.get("/environment").json()
    for name in "NOTIFY_SOCKET", "WATCHDOG_USEC":
        assert name not in seen["own"] and name not in seen["child"]
