# SPDX-License-Identifier: MIT
"""Ways to a listener: own ones, several at once, and those that another
program opened: descriptor 0 (spawn-fcgi), LISTEN_FDS (systemd)."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Callable

import fcgi
import pytest
from daemon import SANITIZERS, SNACGI, Daemon, descriptors, environment, free_port, wait_until
from wire import Address, Closed

Snacgi = Callable[..., Daemon]


def tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    assert path, f"{name} is not installed: see tests/setup-debian.sh"
    return path


def activate(*args: str) -> list[str]:
    """systemd's launcher; it gives a program the variables that it is told to, and no others."""
    return [tool("systemd-socket-activate"), *(f"--setenv={name}" for name in SANITIZERS), *args]


def test_several_at_once(snacgi: Snacgi) -> None:
    daemon = snacgi(listen=["fastcgi+unix", "scgi+unix", "fastcgi+tcp4", "scgi+tcp4", "fastcgi+tcp6", "scgi+tcp6",
                            "fastcgi+abstract", "scgi+abstract"])
    for address in daemon.addresses:
        assert daemon.get("/users/1", address=address).json() == {"user_id": 1}
        assert daemon.get("/native/hello", address=address).status == 200


@pytest.mark.parametrize("spec,address", [
    ("unix:{tmp}/l.sock", Address("fastcgi", "unix", path="{tmp}/l.sock")),
    (":unix:{tmp}/l.sock", Address("fastcgi", "unix", path="{tmp}/l.sock")),
    ("fastcgi:unix:{tmp}/l.sock", Address("fastcgi", "unix", path="{tmp}/l.sock")),
    ("scgi:unix:{tmp}/l.sock", Address("scgi", "unix", path="{tmp}/l.sock")),
    ("scgi:unix:l.sock", Address("scgi", "unix", path="{tmp}/l.sock")),
    ("fastcgi:unix:@snacgi-{port}", Address("fastcgi", "abstract", path="snacgi-{port}")),
    ("127.0.0.1:{port}", Address("fastcgi", "tcp4", port=-1)),
    (":127.0.0.1:{port}", Address("fastcgi", "tcp4", port=-1)),
    ("scgi:127.0.0.1:{port}", Address("scgi", "tcp4", port=-1)),
    ("fastcgi:[::1]:{port}", Address("fastcgi", "tcp6", port=-1)),
    ("scgi:localhost:{port}", Address("scgi", "tcp4", port=-1)),
])
def test_listen_option(snacgi: Snacgi, tmp: Path, spec: str, address: Address) -> None:
    port = free_port()
    daemon = snacgi(listen=(), wait=False, args=["-l", spec.format(tmp=tmp, port=port)], app=None)
    address = Address(address.protocol, address.kind, address.path.format(tmp=tmp, port=port), port if address.port else 0)
    daemon.addresses.append(address)
    daemon.wait_ready(address)
    assert daemon.get("/native/hello").status == 200


def test_repeated_listen_option_without_a_file(tmp: Path) -> None:
    """No -c: no file is read; the command line alone makes a server."""
    (tmp / "python").mkdir()
    (tmp / "python" / "app.py").write_text("from snacgi import route\n@route('/x')\ndef x(request):\n    return {'x': 1}\n")
    log = open(tmp / "log", "wb")
    process = subprocess.Popen([str(SNACGI), "-l", "unix:a.sock", "--listen", "scgi:unix:b.sock", "--listen=127.0.0.1:0"],
                               cwd=tmp, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for address in (Address("fastcgi", "unix", path=f"{tmp}/a.sock"), Address("scgi", "unix", path=f"{tmp}/b.sock")):
            assert ask_until(address, process).json() == {"x": 1}
    finally:
        process.terminate()
        assert process.wait(60) == 0
        log.close()


def ask_until(address: Address, process: subprocess.Popen[bytes], target: str = "/x") -> Any:
    import scgi

    def attempt() -> Any:
        assert process.poll() is None, "it ended"
        try:
            return (fcgi if address.protocol == "fastcgi" else scgi).ask(address, "GET", target)
        except (OSError, Closed):
            return None

    return wait_until(attempt, f"an answer from {address}")


def test_port_zero(snacgi: Snacgi) -> None:
    """The system chooses; the log tells."""
    daemon = snacgi(listen=(), wait=False, args=["-l", "127.0.0.1:0"], app=None)
    port = int(daemon.wait_log(r"127\.0\.0\.1:([1-9]\d*)").group(1))
    daemon.addresses.append(Address("fastcgi", "tcp4", port=port))
    assert daemon.wait_ready(daemon.addresses[0]).status == 404


def test_every_address(snacgi: Snacgi) -> None:
    port = free_port()
    daemon = snacgi(listen=(), wait=False, args=["-l", f":{port}"], app=None)
    daemon.addresses.append(Address("fastcgi", "tcp4", port=port))
    daemon.wait_ready(daemon.addresses[0])


def test_port_in_use(tmp: Path, snacgi: Snacgi) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        daemon = Daemon(tmp, listen=(), app=None, args=["-l", f"127.0.0.1:{port}"], name="taken")
        daemon.start(wait=False)
        assert daemon.wait() > 0
        assert str(port) in daemon.log()


def test_allow_list(snacgi: Snacgi) -> None:
    """The networks that may connect; others are closed at once."""
    ports = [free_port(), free_port()]
    listen = [{"protocol": "fastcgi", "address": f"127.0.0.1:{ports[0]}", "allow": ["10.0.0.0/8", "192.0.2.7"]},
              {"protocol": "fastcgi", "address": f"127.0.0.1:{ports[1]}", "allow": ["10.0.0.0/8", "127.0.0.0/8"]},
              {"protocol": "fastcgi", "address": f"[::1]:{ports[1]}", "allow": ["fe80::/10", "::1/128"]}]
    daemon = snacgi(listen=(), conf={"listen": listen}, app=None, wait=False)
    daemon.addresses += [Address("fastcgi", "tcp4", port=ports[1]), Address("fastcgi", "tcp6", port=ports[1])]
    for address in daemon.addresses:
        daemon.wait_ready(address)
    for _ in range(3):
        with fcgi.Connection(Address("fastcgi", "tcp4", port=ports[0])) as conn:
            try:
                conn.send(fcgi.request())
                got = conn.read_all()
            except (ConnectionResetError, BrokenPipeError):
                got = b""
            assert got == b""


# ---- opened by others ------------------------------------------------------------------


def listener(kind: int = socket.AF_UNIX, address: Any = None) -> socket.socket:
    sock = socket.socket(kind)
    sock.bind(address)
    sock.listen(64)
    return sock


@pytest.mark.parametrize("supervisor", [True, False])
def test_descriptor_zero(snacgi: Snacgi, tmp: Path, supervisor: bool) -> None:
    """As spawn-fcgi leaves it. Not ours: its file stays when we go."""
    with listener(address=f"{tmp}/zero.sock") as sock:
        daemon = snacgi(listen=(), stdin=sock.fileno(), wait=False, supervisor=supervisor)
        daemon.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/zero.sock"))
        daemon.wait_ready(daemon.addresses[0])
        assert daemon.get("/users/2").json() == {"user_id": 2}
        # Moved away before Python starts: a grandchild must not keep it.
        assert daemon.get("/stdin").json() == {"zero": "/dev/null"}
        daemon.stop()
        assert os.path.exists(f"{tmp}/zero.sock")


def test_inherited_blocking_listener(snacgi: Snacgi, tmp: Path) -> None:
    """O_NONBLOCK is not set on what we were given: we must, or a lost race blocks a thread."""
    with listener(address=f"{tmp}/b.sock") as sock:
        sock.setblocking(True)
        daemon = snacgi(listen=(), stdin=sock.fileno(), wait=False, supervisor=True, conf={"processes": 2, "io_threads": 2})
        daemon.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/b.sock"))
        daemon.wait_ready(daemon.addresses[0])
        for n in range(100):
            assert daemon.get(f"/native/users/{n}").json() == {"user_id": n}


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi"])
def test_descriptor_number(snacgi: Snacgi, tmp: Path, protocol: str) -> None:
    with listener(address=f"{tmp}/n.sock") as sock:
        fd = sock.fileno()
        daemon = snacgi(listen=(), wait=False, pass_fds=[fd], args=["-l", f"{protocol}:fd:{fd}"], app=None)
        daemon.addresses.append(Address(protocol, "unix", path=f"{tmp}/n.sock"))
        daemon.wait_ready(daemon.addresses[0])


def test_descriptor_that_is_no_listener(tmp: Path) -> None:
    with open(tmp / "file", "wb") as plain:
        daemon = Daemon(tmp, listen=(), app=None, pass_fds=[plain.fileno()], args=["-l", f"fd:{plain.fileno()}"])
        daemon.start(wait=False)
        assert daemon.wait() > 0
        assert f"fd:{plain.fileno()}" in daemon.log() or "not a" in daemon.log()


def test_configured_listeners_win_over_zero(snacgi: Snacgi, tmp: Path) -> None:
    with listener(address=f"{tmp}/zero.sock") as sock:
        daemon = snacgi(stdin=sock.fileno(), app=None)
        assert daemon.get("/native/hello").status == 200
        sock.setblocking(False)
        client = socket.socket(socket.AF_UNIX)
        client.connect(f"{tmp}/zero.sock")
        wait_until(lambda: accepted(sock), "the connection is still ours to accept")
        client.close()


def accepted(sock: socket.socket) -> bool:
    try:
        sock.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_spawn_fcgi(tmp: Path) -> None:
    """The launcher that FastCGI users know."""
    code = tmp / "python"
    code.mkdir()
    (code / "app.py").write_text("from snacgi import route\n@route('/x')\ndef x(request):\n    return {'x': 1}\n")
    pid_file = tmp / "pid"
    out = subprocess.run([tool("spawn-fcgi"), "-s", f"{tmp}/s.sock", "-P", str(pid_file), "-d", str(tmp), "--", str(SNACGI)],
                         env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert out.returncode == 0, out.stdout
    pid = int(pid_file.read_text())
    try:
        address = Address("fastcgi", "unix", path=f"{tmp}/s.sock")

        def attempt() -> Any:
            try:
                return fcgi.ask(address, "GET", "/x")
            except (OSError, Closed):
                return None

        answer = wait_until(attempt, "an answer")
        assert answer.json() == {"x": 1}
    finally:
        os.kill(pid, 15)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0],
               "its end")


@pytest.mark.parametrize("named", [False, True])
def test_systemd_socket_activation(snacgi: Snacgi, tmp: Path, named: bool) -> None:
    launcher = activate("-l", f"{tmp}/one.sock", "-l", f"{tmp}/two.sock")
    options: dict[str, Any] = {}
    if named:
        launcher += ["--fdname=web:other"]
        options["conf"] = {"listen": [{"protocol": "scgi", "address": "systemd:other"},
                                      {"protocol": "fastcgi", "address": "systemd:web"}]}
    daemon = snacgi(listen=(), launcher=launcher, wait=False, **options)
    one = Address("fastcgi", "unix", path=f"{tmp}/one.sock")
    two = Address("scgi" if named else "fastcgi", "unix", path=f"{tmp}/two.sock")
    daemon.addresses += [one, two]
    # The launcher starts the server at the first connection, which then waits for it.
    assert daemon.wait_ready(one).status == 404
    assert daemon.wait_ready(two).status == 404
    assert daemon.get("/users/1", address=two).json() == {"user_id": 1}
    # The variables were for us, not for what we start.
    own = daemon.get("/environment", address=one).json()
    assert "LISTEN_FDS" not in own["own"] and "LISTEN_FDS" not in own["child"]
    daemon.stop()


def test_listen_fds_of_somebody_else(tmp: Path) -> None:
    """LISTEN_PID is not ours: as if it were not there."""
    out = subprocess.run([str(SNACGI)], cwd=tmp, env=environment({"LISTEN_FDS": "1", "LISTEN_PID": "1"}), stdin=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, timeout=60, text=True)
    assert out.returncode > 0 and "listen" in out.stderr.lower()


def test_systemd_name_that_is_not_there(tmp: Path) -> None:
    daemon = Daemon(tmp, listen=(), app=None, args=["-l", "systemd:nobody"])
    daemon.start(wait=False)
    assert daemon.wait() > 0
    assert "nobody" in daemon.log()


def test_too_few_descriptors_lower_the_connections(snacgi: Snacgi) -> None:
    """The limit is raised as far as allowed, then the connections are lowered with a warning."""
    import resource

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 256))

    daemon = snacgi(conf={"limits": {"connections": 2048}}, app=None, preexec_fn=few)
    assert re.search(r"(?i)warn.*(connections|descriptors|open files)|limits\.connections", daemon.log()), daemon.log()
    conns = []
    try:
        for _ in range(400):
            conns.append(daemon.addresses[0].connect(5))
    except (OSError, Closed):
        pass
    for sock in conns:
        sock.close()
    wait_until(lambda: len(descriptors(daemon.worker)) < 100, "all are closed")
    assert daemon.get("/native/hello").status == 200


def test_no_descriptor_is_inherited(snacgi: Snacgi) -> None:
    daemon = snacgi(supervisor=True)
    wait_until(lambda: daemon.get("/pool?n=4").status == 200, "the pool")
    from daemon import descendants

    path = daemon.addresses[0].path
    inodes = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines() if line.endswith(path)}
    holders = {daemon.pid, daemon.worker}
    for pid in descendants(daemon.pid):
        if pid not in holders:
            held = set(descriptors(pid).values())
            assert not {f"socket:[{inode}]" for inode in inodes} & held, f"{pid} holds the listener"
