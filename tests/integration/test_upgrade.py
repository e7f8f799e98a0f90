# SPDX-License-Identifier: MIT
"""Another program in the place of the running one, without a lost request; one that fails
changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

import pytest
from daemon import BUILD, SNACGI, Daemon, alive, run, wait_until
from test_notify import Manager, manager  # noqa: F401
from test_reload import SLOW, Load, code


def number(file: Path, old: int) -> int:
    """Of another process than the old one; 0: not there."""
    text = file.read_text().strip() if file.exists() else ""
    return int(text) if text and int(text) != old else 0


@contextmanager
def upgradable(tmp: Path, env: dict[str, str] = {}, launcher: Sequence[str] = ()) -> Iterator[Daemon]:
    """Its program can be replaced."""
    real = SNACGI.parent / ".libs" / SNACGI.name
    program = tmp / "snacgi"
    shutil.copy(real if real.exists() else SNACGI, program)
    one = Daemon(tmp, name="old", supervisor=True, app=code(tmp / "app", "one"), listen=["fastcgi+unix", "scgi+unix"],
                 env={"LD_LIBRARY_PATH": str(BUILD / ".libs"), **env}, conf={"pid_file": str(tmp / "pid"), "processes": 2})
    one.command[0] = str(program)
    one.command[:0] = launcher
    try:
        one.start()
        one.wait_log("ready: 2 worker")
        yield one
    finally:
        heir = number(tmp / "pid", one.pid) if one.process else 0
        if heir:
            os.kill(heir, signal.SIGTERM)
            wait_until(lambda: not alive(heir), "the end of the new one")
            assert not os.path.exists(one.addresses[0].path)
        one.stop()


@pytest.fixture
def daemon(tmp: Path) -> Iterator[Daemon]:
    with upgradable(tmp) as one:
        yield one


def replace(daemon: Daemon, text: bytes) -> None:
    program = Path(daemon.command[0])
    fresh = program.with_suffix(".new")
    fresh.write_bytes(text)
    fresh.chmod(0o755)
    fresh.rename(program)


@pytest.mark.limit(240)
@pytest.mark.parametrize("by", ["command", "signal"])
def test_upgrade(daemon: Daemon, tmp: Path, by: str) -> None:
    inode = os.stat(daemon.addresses[0].path).st_ino
    with Load(daemon) as load:
        load.some()
        code(tmp / "app", "two")
        replace(daemon, Path(daemon.command[0]).read_bytes())
        if by == "command":
            done = run("upgrade", "--pid", str(daemon.pid))
            assert done.returncode == 0 and "upgraded: process" in done.stdout, done.stderr
        else:
            daemon.signal(signal.SIGUSR2)
        assert daemon.wait() == 0, "the old one ends when it has answered what it had"
        load.some()
    heir = wait_until(lambda: number(tmp / "pid", daemon.pid), "the new one's pid file")
    assert alive(heir)
    assert os.stat(daemon.addresses[0].path).st_ino == inode, "the socket's file was touched"
    assert daemon.get("/version").json()["version"] == "two"
    code(tmp / "app", "three")
    done = run("reload", "-c", str(daemon.conf_file))
    assert done.returncode == 0, done.stderr
    assert daemon.get("/version").json()["version"] == "three"


@pytest.mark.parametrize("what, why", [(b"#!/bin/sh\nexit 7\n", "status 7"), (b"\x7fnonsense", "cannot execute")])
def test_a_program_that_fails_changes_nothing(daemon: Daemon, what: bytes, why: str) -> None:
    old = daemon.workers()
    replace(daemon, what)
    done = run("upgrade", "--pid", str(daemon.pid))
    assert done.returncode == 1 and why in done.stderr and "this server goes on" in done.stderr, done.stderr
    assert daemon.workers() == old and daemon.get("/version").json()["version"] == "one"


def test_code_that_fails_changes_nothing(daemon: Daemon, tmp: Path) -> None:
    code(tmp / "app", "two", "import not_there_at_all")
    done = run("upgrade", "--pid", str(daemon.pid))
    assert done.returncode == 1, done.stdout
    assert "not_there_at_all" in daemon.log()
    assert daemon.get("/version").json()["version"] == "one"
    code(tmp / "app", "three")
    assert run("reload", "--pid", str(daemon.pid)).returncode == 0, "and a reload works as before"
    assert daemon.get("/version").json()["version"] == "three"


def test_the_manager_follows(tmp: Path, manager: Manager) -> None:  # noqa: F811
    """MAINPID by the old one, who was it; then the new one's word counts: watchdog, reload, stop."""
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
    # As systemd does: the watchdog's variable names the process.
    with upgradable(tmp, env, ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh"]) as daemon:
        old = str(daemon.pid)
        manager.wait("READY")
        manager.wait("WATCHDOG")
        assert run("upgrade", "--pid", old).returncode == 0
        told = manager.wait("MAINPID")
        heir = wait_until(lambda: number(tmp / "pid", daemon.pid), "the new one's pid file")
        assert (told["pid"], told["MAINPID"]) == (old, str(heir))
        assert daemon.wait() == 0
        assert "STOPPING" not in manager.messages[-1] and not manager.all("STOPPING"), "the service goes on"
        wait_until(lambda: [one for one in manager.all("WATCHDOG") if one["pid"] == str(heir)], "its watchdog")
        assert [one["pid"] for one in manager.all("READY")] == [old, str(heir)]
        assert run("reload", "--pid", str(heir)).returncode == 0
        assert [one["pid"] for one in manager.all("RELOADING")] == [str(heir)]
        assert {one["pid"] for one in manager.messages[manager.messages.index(told) + 1:]} == {str(heir)}
    assert [one["pid"] for one in manager.all("STOPPING")] == [str(heir)]


def test_no_reload_during_an_upgrade(daemon: Daemon, tmp: Path) -> None:
    code(tmp / "app", "two", f"open({str(tmp / 'read')!r}, 'w').close()\n{SLOW}")
    with subprocess.Popen([str(SNACGI), "upgrade", "--pid", str(daemon.pid)]) as upgrade:
        wait_until((tmp / "read").exists, "the code being read")
        done = run("reload", "--pid", str(daemon.pid))
        (tmp / "app" / "go").touch()
        assert done.returncode == 1 and "an upgrade is under way" in done.stderr, done.stderr
        assert upgrade.wait(60) == 0
