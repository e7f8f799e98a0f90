# SPDX-License-Identifier: MIT
"""The units of systemd: its own tools accept them, and what they say is done
here in systemd's place, which need not run."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import BUILD, SNACGI, SRC, Daemon, environment, run
from test_listeners import activate, tool
from test_notify import Manager, manager  # noqa: F401 (a fixture)
from wire import Address

Snacgi = Callable[..., Daemon]
SERVICE = BUILD / "deploy" / "systemd" / "snacgi.service"
SOCKET = SRC / "deploy" / "systemd" / "snacgi.socket"
SCGI = SRC / "deploy" / "systemd" / "snacgi-scgi.socket"


def unit(path: Path) -> Any:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text())
    return parser


@pytest.fixture
def units(tmp: Path) -> Path:
    """The units as installed, with the program where it is."""
    text = SERVICE.read_text()
    installed = unit(SERVICE)["Service"]["ExecStart"].split()[0]
    assert installed.endswith("/bin/snacgi")
    (tmp / "snacgi.service").write_text(text.replace(installed, str(SNACGI)))
    for path in SOCKET, SCGI:
        (tmp / path.name).write_text(path.read_text())
    return tmp


def test_verify(units: Path) -> None:
    """systemd reads every line without a complaint."""
    out = subprocess.run([tool("systemd-analyze"), "verify", "--man=no", *(str(units / name) for name in
                         ("snacgi.service", "snacgi.socket", "snacgi-scgi.socket"))],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=environment())
    complaints = [line for line in out.stdout.splitlines() if "snacgi" in line]
    assert out.returncode == 0 and not complaints, out.stdout


def test_hardening(units: Path) -> None:
    """The number that deploy/systemd/README.md tells; 10 is none at all."""
    out = subprocess.run([tool("systemd-analyze"), "security", "--offline=yes", "--no-pager", "--threshold=16", str(units / "snacgi.service")],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=environment())
    level = re.search(r"exposure level for snacgi.service: ([0-9.]+)", out.stdout)
    assert out.returncode == 0 and level, out.stdout
    assert float(level[1]) == 1.5
    assert "says 1.5" in (SRC / "deploy" / "systemd" / "README.md").read_text()


@pytest.mark.limit(240)
def test_life_by_the_unit(snacgi: Snacgi, manager: Manager, units: Path, tmp: Path) -> None:  # noqa: F811
    """ExecStart, ExecReload and the stop as the unit has them, on a socket of the socket unit's name."""
    service, sock = unit(units / "snacgi.service")["Service"], unit(SOCKET)["Socket"]
    assert service["Type"] == "notify" and service["KillMode"] == "mixed"
    code = tmp / "python"
    code.mkdir()
    (code / "app.py").write_text("from snacgi import route\n@route('/x')\ndef x(request):\n    return 1\n")
    (tmp / "unit.conf").write_text(f'listen = ( {{ address = "systemd:{sock["FileDescriptorName"]}"; }} );\npython = {{ dir = "python"; }};\n')
    start = shlex.split(service["ExecStart"])
    assert start[1] == "-c" and start[2].endswith("/snacgi/snacgi.conf")
    start[2] = str(tmp / "unit.conf")
    path = f"{tmp}/unit.sock"
    command = activate("-l", path, f"--fdname={sock['FileDescriptorName']}", "-E", f"NOTIFY_SOCKET={manager.address}",
                       "-E", f"WATCHDOG_USEC={int(service['WatchdogSec']) * 1000000}")
    daemon = snacgi(listen=(), app=None, probe="/x", supervisor=True, command=[*command, *start], addresses=[Address("fastcgi", "unix", path=path)])
    manager.wait("READY")
    assert daemon.get("/x").text == "1"
    (code / "app.py").write_text("from snacgi import route\n@route('/x')\ndef x(request):\n    return 22\n")
    reload = shlex.split(service["ExecReload"].replace("$MAINPID", str(daemon.pid)))
    out = subprocess.run(reload, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=environment())
    assert out.returncode == 0, out.stdout
    assert daemon.get("/x").text == "22"
    manager.wait("RELOADING")
    manager.wait("READY", count=2)
    manager.wait("WATCHDOG")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    manager.wait("STOPPING")
    assert os.path.exists(path), "the socket is systemd's"


def test_second_socket(snacgi: Snacgi, tmp: Path) -> None:
    """The lines that snacgi-scgi.socket tells to write, with the names of both socket units."""
    told = re.search(r"^#     (listen = .*?\);)$", SCGI.read_text(), re.M | re.S)
    assert told
    assert told[1].replace("#     ", "").split() == re.search(r"    (listen = \( \{ address = \"systemd.*?\);)$",
                                                             (SRC / "doc" / "starting.md").read_text(), re.M | re.S)[1].split()  # type: ignore[index]
    (tmp / "two.conf").write_text(told[1].replace("\n#", "\n"))
    names = [unit(path)["Socket"]["FileDescriptorName"] for path in (SOCKET, SCGI)]
    daemon = snacgi(listen=(), app=None, wait=False, args=["-c", f"{tmp}/two.conf"],
                    launcher=activate("-l", f"{tmp}/one.sock", "-l", f"{tmp}/two.sock", f"--fdname={':'.join(names)}"))
    daemon.addresses += [Address("fastcgi", "unix", path=f"{tmp}/one.sock"), Address("scgi", "unix", path=f"{tmp}/two.sock")]
    for address in daemon.addresses:
        daemon.wait_ready(address)


def test_example_configuration(tmp: Path) -> None:
    """As installed, and with everything that is commented out made true."""
    text = (SRC / "deploy" / "snacgi.conf").read_text()
    (tmp / "snacgi.conf").write_text(text)
    out = run("check", "-c", tmp / "snacgi.conf")
    assert out.returncode == 0, out.stderr
    for name in ("python", "run"):
        (tmp / name).mkdir()
    uncommented = re.sub(r"^#(?=[a-z\t}].*[;{]( *#.*)?$)", "", text, flags=re.M)
    lines = [line for line in uncommented.splitlines() if "native" not in line and "venv" not in line]
    full = "\n".join([*lines, ""]).replace("/srv/app", str(tmp)).replace("/run/snacgi", f"{tmp}/run")
    (tmp / "full.conf").write_text(full)
    out = run("check", "-c", tmp / "full.conf")
    assert out.returncode == 0, out.stderr
    assert sum(line.startswith("#") for line in lines) < 12 and "listen = " in full and "\npython = " in full
