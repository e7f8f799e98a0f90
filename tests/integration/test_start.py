# SPDX-License-Identifier: MIT
"""Starting: sockets made with the right owner and permissions, nobody's socket
stolen, two starts at once, and the programs that start servers."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Callable, Iterator

import fcgi
import pytest
from daemon import SNACGI, Daemon, environment, free_port, state, wait_until
from test_listeners import activate, tool
from wire import Address, Closed

Snacgi = Callable[..., Daemon]


def other_group() -> str:
    """A group that this process may give a file to, and that is not the default."""
    if os.geteuid() == 0:
        return "daemon"
    more = [gid for gid in os.getgroups() if gid != os.getegid()]
    return grp.getgrgid(more[0] if more else os.getegid()).gr_name


# ---- the socket's file -----------------------------------------------------------------


@pytest.mark.basic
@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_owner_group_and_mode(snacgi: Snacgi, tmp: Path, umask: int) -> None:
    """What the configuration says, whatever the umask of the one who starts."""
    owner = "daemon" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    listen = [{"address": f"unix:{tmp}/o.sock", "mode": "0606", "owner": owner, "group": other_group()},
              {"address": f"unix:{tmp}/d.sock"}]
    daemon = snacgi(listen=(), app=None, conf={"listen": listen}, wait=False, preexec_fn=lambda: os.umask(umask) and None)
    daemon.addresses += [Address("fastcgi", "unix", path=f"{tmp}/{name}.sock") for name in "od"]
    for address in daemon.addresses:
        daemon.wait_ready(address)
    made = os.stat(f"{tmp}/o.sock")
    assert stat.S_IMODE(made.st_mode) == 0o606
    assert pwd.getpwuid(made.st_uid).pw_name == owner
    assert grp.getgrgid(made.st_gid).gr_name == other_group()
    made = os.stat(f"{tmp}/d.sock")
    assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (0o660, os.geteuid(), os.getegid())


@pytest.mark.parametrize("key", ["owner", "group"])
def test_unknown_owner(tmp: Path, key: str) -> None:
    daemon = Daemon(tmp, listen=(), app=None, conf={"listen": [{"address": f"unix:{tmp}/x.sock", key: "no-such-one"}]})
    daemon.start(wait=False)
    assert daemon.wait() == 1
    assert "no-such-one" in daemon.log() and f"change {key}" in daemon.log()
    assert not os.path.exists(f"{tmp}/x.sock")


def thread_state(pid: int, tid: str) -> str:
    return Path(f"/proc/{pid}/task/{tid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: all(thread_state(pid, tid) == "T" for tid in os.listdir(f"/proc/{pid}/task")), "its standstill")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def fill(path: str, most: int) -> list[socket.socket]:
    """Connects until the kernel takes no more."""
    out: list[socket.socket] = []
    while len(out) < most:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:
            sock.close()
            return out
        out.append(sock)
    raise AssertionError(f"{most} connections and no end")


def test_busy_server_is_not_stolen_from(snacgi: Snacgi, tmp: Path) -> None:
    """The backlog is as long as configured, and a server whose backlog is full is alive."""
    path = f"{tmp}/busy.sock"
    daemon = snacgi(listen=(), app=None, conf={"listen": [{"address": f"unix:{path}", "backlog": 5}]}, wait=False)
    daemon.addresses.append(Address("fastcgi", "unix", path=path))
    daemon.wait_ready(daemon.addresses[0])
    before = os.stat(path)
    with stopped(daemon.pid):
        waiting = fill(path, 100)
        assert len(waiting) in (5, 6), "Linux lets one more wait than it was told"
        second = Daemon(tmp, listen=(), app=None, args=["-l", f"unix:{path}"], name="second")
        second.start(wait=False)
        assert second.wait() == 1
        assert "another server is listening" in second.log()
        assert os.path.samestat(os.stat(path), before)
    for sock in waiting:
        sock.close()
    assert daemon.get("/native/hello").status == 200


def test_two_starts_at_once(snacgi: Snacgi, tmp: Path) -> None:
    """Over a stale file; exactly one gets it, and nobody removes it from under that one."""
    path = f"{tmp}/race.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    racers = []
    for n in range(6):
        daemon = Daemon(tmp, listen=(), app=None, args=["-l", f"unix:{path}"], name=f"racer{n}")
        racers.append(daemon.start(wait=False))
    try:
        wait_until(lambda: sum(one.process.poll() is not None for one in racers if one.process) == 5, "five that give up")
        (winner,) = [one for one in racers if one.process and one.process.poll() is None]
        winner.addresses.append(Address("fastcgi", "unix", path=path))
        winner.wait_ready(winner.addresses[0])
        for one in racers:
            if one is not winner:
                assert one.wait() == 1 and "another server is listening" in one.log(), one.log()
        winner.stop()
        assert not os.path.exists(path)
    finally:
        for one in racers:
            one.kill()


@pytest.mark.parametrize("supervisor", [False, True])
def test_successor_while_draining(snacgi: Snacgi, tmp: Path, supervisor: bool) -> None:
    """One that stops gives its address up first; at its end it leaves its successor's file alone."""
    path = f"{tmp}/s.sock"
    options: dict[str, Any] = {"listen": (), "app": None, "args": ["-l", f"unix:{path}"], "wait": False, "supervisor": supervisor}
    address = Address("fastcgi", "unix", path=path)
    old = snacgi(**options)
    old.addresses.append(address)
    old.wait_ready(address)
    with old.connect() as conn:
        conn.send(fcgi.request(fcgi.environ("GET", "/native/blocking?ms=3000"), b"", 1, False) + fcgi.record(fcgi.GET_VALUES, 0))
        assert conn.read_record()[0] == fcgi.GET_VALUES_RESULT, "the request was read"
        old.signal(signal.SIGTERM)
        wait_until(lambda: not os.path.exists(path), "its leaving")
        new = snacgi(**options)
        new.addresses.append(address)
        new.wait_ready(address)
        assert conn.response().text == "rested"
    assert old.wait() == 0
    assert new.get("/native/hello").status == 200


# ---- TCP -------------------------------------------------------------------------------


def turned_away(address: Address) -> bool:
    with fcgi.Connection(address) as conn:
        try:
            conn.send(fcgi.request())
            return conn.read_all() == b""
        except (ConnectionResetError, BrokenPipeError):
            return True


def test_allow_list_on_every_address(snacgi: Snacgi) -> None:
    """On a socket for IPv6 and IPv4 an IPv4 peer comes as ::ffff:127.0.0.1; it is an IPv4 peer."""
    ports = [free_port(), free_port()]
    daemon = snacgi(listen=(), app=None, wait=False, conf={"listen": [
        {"address": f":{ports[0]}", "allow": ["127.0.0.0/8"]},
        {"address": f":{ports[1]}", "allow": ["::1", "10.1.2.3"]}]})
    daemon.addresses += [Address("fastcgi", "tcp4", port=ports[0]), Address("fastcgi", "tcp6", port=ports[1])]
    for address in daemon.addresses:
        daemon.wait_ready(address)
    assert turned_away(Address("fastcgi", "tcp6", port=ports[0]))
    assert turned_away(Address("fastcgi", "tcp4", port=ports[1]))


NODELAY = """
import os, socket, stat
from snacgi import route

@route('/nodelay')
def nodelay(request):
    found = []
    for fd in map(int, os.listdir('/proc/self/fd')):
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
        except OSError:
            continue
        sock = socket.socket(fileno=os.dup(fd))
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if not listens:
                found.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        sock.close()
    return found
"""


@pytest.mark.parametrize("kind", ["own", "inherited"])
def test_nodelay(snacgi: Snacgi, tmp: Path, kind: str) -> None:
    """A small answer does not wait for the peer's acknowledgement of the one before."""
    (tmp / "python").mkdir()
    (tmp / "python" / "app.py").write_text(NODELAY)
    if kind == "own":
        daemon = snacgi(listen=["fastcgi+tcp4", "fastcgi+tcp6"], app=tmp / "python", native=())
    else:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            daemon = snacgi(listen=(), stdin=sock.fileno(), app=tmp / "python", native=(), wait=False)
            daemon.addresses.append(Address("fastcgi", "tcp4", port=sock.getsockname()[1]))
            daemon.wait_ready(daemon.addresses[0])
    for address in daemon.addresses:
        assert set(daemon.get("/nodelay", address=address).json()) == {1}


# ---- what a listener says of paths -----------------------------------------------------


def test_prefix_and_path_belong_to_the_listener(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(listen=(), wait=False, conf={"listen": [
        {"address": f"unix:{tmp}/a.sock", "prefix": "/shop", "path": "request_uri"},
        {"address": f"unix:{tmp}/b.sock", "path": "script_name"},
        {"address": f"unix:{tmp}/c.sock", "protocol": "scgi", "prefix": "/other"}]})
    a, b, c = (Address("scgi" if name == "c" else "fastcgi", "unix", path=f"{tmp}/{name}.sock") for name in "abc")
    daemon.addresses += [a, b, c]
    for address in daemon.addresses:
        daemon.wait_ready(address)
    wrong = {"SCRIPT_NAME": "/wrong", "DOCUMENT_URI": "/wrong"}
    assert daemon.get("/shop/users/7", address=a, **wrong).json() == {"user_id": 7}
    assert daemon.get("/users/7", address=a).status == 404
    assert daemon.get("/wrong", address=b, SCRIPT_NAME="/users/8", DOCUMENT_URI="/wrong").json() == {"user_id": 8}
    assert daemon.get("/other/users/9", address=c).json() == {"user_id": 9}
    assert daemon.get("/shop/users/9", address=c).status == 404


def test_systemd_socket_that_nobody_takes(snacgi: Snacgi, tmp: Path) -> None:
    launcher = activate("-l", f"{tmp}/one.sock", "-l", f"{tmp}/two.sock", "--fdname=web:other")
    daemon = snacgi(listen=(), launcher=launcher, app=None, args=["-l", "systemd:web"], wait=False)
    daemon.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/one.sock"))
    daemon.wait_ready(daemon.addresses[0])
    assert "descriptor 4 of LISTEN_FDS" in daemon.log() and "descriptor 3" not in daemon.log()


# ---- the pid file ----------------------------------------------------------------------


def with_pid_file(tmp: Path, name: str, listen: str) -> dict[str, Any]:
    return {"listen": (), "app": None, "name": name, "conf": {"pid_file": str(tmp / "pid")}, "args": ["-l", f"unix:{tmp}/{listen}"],
            "wait": False, "supervisor": True}


def test_pid_file_keeps_a_second_one_out(snacgi: Snacgi, tmp: Path) -> None:
    """Also from other sockets: one file, one server."""
    first = snacgi(**with_pid_file(tmp, "first", "1.sock"))
    first.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/1.sock"))
    first.wait_ready(first.addresses[0])
    assert (tmp / "pid").read_text() == f"{first.pid}\n"
    second = snacgi(**with_pid_file(tmp, "second", "2.sock"))
    second.expected_exit = 1
    assert second.wait() == 1
    assert "already running" in second.log() and str(first.pid) in second.log()
    assert not os.path.exists(f"{tmp}/2.sock")
    assert (tmp / "pid").read_text() == f"{first.pid}\n"
    first.stop()
    assert not (tmp / "pid").exists()


def test_pid_file_of_a_killed_one_is_taken_over(snacgi: Snacgi, tmp: Path) -> None:
    """Even when its number belongs to somebody else by now."""
    (tmp / "pid").write_text(f"{os.getpid()}\n{'x' * 50}\n")
    first = snacgi(**with_pid_file(tmp, "first", "1.sock"))
    first.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/1.sock"))
    first.wait_ready(first.addresses[0])
    assert (tmp / "pid").read_text() == f"{first.pid}\n"
    workers = first.workers()
    os.kill(first.pid, signal.SIGKILL)
    first.expected_exit = -signal.SIGKILL
    first.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "the workers' end")
    assert (tmp / "pid").exists()
    second = snacgi(**with_pid_file(tmp, "second", "1.sock"))
    second.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/1.sock"))
    second.wait_ready(second.addresses[0])
    assert (tmp / "pid").read_text() == f"{second.pid}\n"


@pytest.mark.parametrize("what", ["link", "directory", "missing", "pipe"])
def test_pid_file_that_cannot_be(tmp: Path, what: str) -> None:
    path = tmp / "pid"
    if what == "link":
        (tmp / "precious").write_text("precious")
        path.symlink_to(tmp / "precious")
    elif what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path = tmp / "absent" / "pid"
    daemon = Daemon(tmp, listen=(), app=None, conf={"pid_file": str(path)}, args=["-l", f"unix:{tmp}/1.sock"])
    daemon.start(wait=False)
    assert daemon.wait() == 1
    assert "cannot write the pid file" in daemon.log() and 'pid_file = ""' in daemon.log()
    assert what != "link" or (tmp / "precious").read_text() == "precious"


# ---- programs that start servers -------------------------------------------------------


STARTED = """
import os
from snacgi import route

@route('/pid')
def pid(request):
    return os.getpid()
"""


def started_app(tmp: Path) -> str:
    (tmp / "python").mkdir()
    (tmp / "python" / "app.py").write_text(STARTED)
    return f"{SNACGI} --no-supervisor --python-dir {tmp}/python"


def ended(pid: int) -> bool:
    return state(pid) in ("", "Z")


def test_spawn_fcgi_children(tmp: Path) -> None:
    """-F: several of them on one socket; one that ends leaves the others and the file alone."""
    path, pids = f"{tmp}/s.sock", f"{tmp}/pids"
    out = subprocess.run([tool("spawn-fcgi"), "-s", path, "-F", "2", "-M", "0660", "-P", pids, "--", *started_app(tmp).split()],
                         env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert out.returncode == 0, out.stdout
    children = [int(one) for one in Path(pids).read_text().split()]
    address = Address("fastcgi", "unix", path=path)
    try:
        assert len(children) == 2
        # The kernel gives each connection to one of the waiting: stop one for a moment to hear the other.
        wait_until(lambda: fcgi.ask(address, "GET", "/pid").status == 200, "an answer")
        for one, other in (children, reversed(children)):
            with stopped(one):
                with fcgi.Connection(address) as conn:
                    conn.send(fcgi.request(fcgi.environ("GET", "/pid"), b"", 1, False))
                    assert conn.response().json() == other
        os.kill(children[0], signal.SIGTERM)
        wait_until(lambda: ended(children[0]), "its end")
        assert fcgi.ask(address, "GET", "/pid").json() == children[1]
        assert os.path.exists(path)
    finally:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    wait_until(lambda: all(ended(pid) for pid in children), "their end")
    assert os.path.exists(path), "an inherited socket is not ours to remove"


@contextlib.contextmanager
def front(command: list[str], tmp: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A web server that starts snacgi by itself, and the processes that the test has seen: they
    must end with it."""
    pids: list[int] = []
    with open(tmp / "log", "wb") as log:
        server = subprocess.Popen(command, env=environment(), cwd=tmp, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield server, pids
    finally:
        server.terminate()
        try:
            server.wait(60)
            wait_until(lambda: all(ended(pid) for pid in pids), "the end of what it started")
        finally:
            for path in tmp.glob("*log"):
                sys.stderr.write(path.read_text(errors="replace"))


def http(port: int, path: str) -> str:
    """Asks until the front server and what it starts are there."""

    def attempt() -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.read().decode()
        except OSError:  # refused, or 503 while it starts
            return None

    text: str = wait_until(attempt, f"an answer to {path}")
    return text


def lighttpd_configuration(tmp: Path, port: int, backend: str) -> None:
    """Everything goes to one FastCGI backend."""
    (tmp / "lighttpd.conf").write_text(f"""
server.document-root = "{tmp}"
server.bind = "127.0.0.1"
server.port = {port}
server.modules += ( "mod_fastcgi" )
fastcgi.server = ( "/" => (( "check-local" => "disable",{backend})) )
""")


def test_lighttpd_starts_it(tmp: Path) -> None:
    """bin-path: descriptor 0; a dead one is started again; the end of lighttpd is its end."""
    port = free_port()
    lighttpd_configuration(tmp, port, f"""
	"bin-path" => "{started_app(tmp)}",
	"socket" => "{tmp}/lighttpd.sock",
	"max-procs" => 1,
""")
    with front([tool("lighttpd"), "-D", "-f", str(tmp / "lighttpd.conf")], tmp) as (_, pids):
        pids.append(int(http(port, "/pid")))
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: ended(pids[0]), "its end")
        pids.append(int(http(port, "/pid")))
        assert pids[1] != pids[0]


def apache_configuration(tmp: Path, port: int, program: str) -> str:
    modules = "/usr/lib/apache2/modules"
    names = ("mpm_event", "authz_core", "fcgid")
    load = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in names)
    return f"""
ServerRoot "{tmp}"
ServerName 127.0.0.1
PidFile "{tmp}/apache.pid"
Listen 127.0.0.1:{port}
{load}
DocumentRoot "{tmp}"
ErrorLog "{tmp}/apache.log"
FcgidIPCDir "{tmp}/fcgid"
FcgidProcessTableFile "{tmp}/fcgid/shm"
FcgidMaxProcesses 2
FcgidConnectTimeout 60
FcgidWrapper "{program}" virtual
<Location "/">
	SetHandler fcgid-script
	Options +ExecCGI
	Require all granted
</Location>
"""


def test_mod_fcgid_starts_it(tmp: Path) -> None:
    """Descriptor 0; ended by SIGTERM when Apache reloads or stops; SIGUSR1 would not end it."""
    port = free_port()
    (tmp / "fcgid").mkdir()
    tmp.chmod(0o755)  # Apache's workers are another user
    (tmp / "fcgid").chmod(0o777)
    (tmp / "apache.conf").write_text(apache_configuration(tmp, port, started_app(tmp)))
    with front([tool("apache2"), "-DFOREGROUND", "-f", str(tmp / "apache.conf")], tmp) as (server, pids):
        pids.append(int(http(port, "/pid")))
        os.kill(pids[0], signal.SIGUSR1)
        assert int(http(port, "/pid")) == pids[0], "SIGUSR1 opens logs again, and no more"
        server.send_signal(signal.SIGUSR1)  # to Apache: graceful
        wait_until(lambda: ended(pids[0]), "the end of the old one")
        pids.append(int(http(port, "/pid")))
        assert pids[1] != pids[0]


def test_what_an_application_does_not_need_is_not_imported(snacgi: Snacgi, tmp: Path) -> None:
    """Only sync handlers: no event loop, no pool, no form parser; asyncio alone takes longer to
    import than the interpreter to start."""
    (tmp / "app").mkdir()
    (tmp / "app" / "app.py").write_text(
        "import sys\nfrom snacgi import route\n\n\n@route('/imported')\ndef imported(request):\n    return sorted(sys.modules)\n")
    daemon = snacgi(app=tmp / "app", probe="/imported")
    imported = set(daemon.get("/imported").json())
    assert {"snacgi", "app"} <= imported
    assert not imported & {"asyncio", "concurrent.futures", "multiprocessing", "pickle", "socket", "werkzeug", "snacgi._pool"}
