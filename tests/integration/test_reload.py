# SPDX-License-Identifier: MIT
"""Reload: new code and a new configuration take over when their workers are ready; broken
ones change nothing, and say why."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable

import fcgi
import pytest
from daemon import BUILD, NATIVE, SNACGI, Daemon, alive, configuration, free_port, merged, run, wait_until
from wire import Address, Closed, environ

STAMP = itertools.count(1_000_000_000)
Snacgi = Callable[..., Daemon]


def code(folder: Path, version: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    fresh = folder / "app.py.new"
    fresh.write_text(f"""
import os
from snacgi import route

@route('/version')
def version(request):
    return {{'version': {version!r}, 'pid': os.getpid()}}

@route('/echo', methods=['POST'])
def echo(request):
    return {{'got': request.body['n'], 'version': {version!r}, 'pid': os.getpid()}}
{more}
""")
    # compiled files are told apart by whole seconds and sizes
    stamp = next(STAMP)
    os.utime(fresh, (stamp, stamp))
    fresh.rename(folder / "app.py")  # never half a file
    return folder


def configure(daemon: Daemon, conf: dict[str, Any]) -> None:
    daemon.conf = merged(daemon.conf, conf)
    daemon.conf_file.write_text(configuration(daemon.conf))


def reload(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    return run("reload", "--pid", str(daemon.pid))


def version(daemon: Daemon) -> str:
    return str(daemon.get("/version").json()["version"])


@pytest.mark.basic
def test_new_code(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"), conf={"processes": 2})
    daemon.wait_log("ready: 2 worker")
    old, inode = daemon.workers(), os.stat(daemon.addresses[0].path).st_ino
    assert version(daemon) == "one"
    code(tmp / "app", "two")
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("reloaded: 2 new workers serve, 2 old ones drain")
    wait_until(lambda: not [pid for pid in old if alive(pid)], "the end of the old ones")
    assert len(daemon.workers()) == 2
    assert [version(daemon) for _ in range(8)] == ["two"] * 8
    assert os.stat(daemon.addresses[0].path).st_ino == inode, "the socket's file was touched"


@pytest.mark.basic
def test_command(snacgi: Snacgi, tmp: Path) -> None:
    """Its exit status is the reload's: it waits for the new workers."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"), conf={"pid_file": str(tmp / "pid")})
    for number, args in enumerate((["--pid", str(daemon.pid)], ["-c", str(daemon.conf_file)])):
        old = daemon.workers()
        code(tmp / "app", f"new{number}")
        done = run("reload", *args)
        assert (done.returncode, done.stdout) == (0, "reloaded\n"), done.stderr
        wait_until(lambda: not [pid for pid in old if alive(pid)], "the end of the old ones")
        assert version(daemon) == f"new{number}"
    assert (tmp / "pid").read_text() == f"{daemon.pid}\n"


def test_command_without_server(tmp: Path) -> None:
    (tmp / "empty.conf").write_text("")
    (tmp / "pid.conf").write_text(configuration({"pid_file": str(tmp / "none")}))
    for args, why in ((["-c", str(tmp / "empty.conf")], "--pid"), (["-c", str(tmp / "pid.conf")], "no process id"),
                      (["--pid", str(os.getpid())], "no snacgi supervisor"), (["--pid", "0"], "wants a process id")):
        done = run("reload", *args)
        assert done.returncode in (1, 2)
        assert why in done.stderr, done.stderr


def test_broken_code_changes_nothing(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    old = daemon.workers()
    code(tmp / "app", "two", "import not_there_at_all")
    done = reload(daemon)
    assert done.returncode == 1
    for word in ("app.py", "line 12", "not_there_at_all", "the running workers go on"):
        assert word in done.stderr, done.stderr
    wait_until(lambda: daemon.workers() == old, "only the old ones are left")
    assert version(daemon) == "one"
    code(tmp / "app", "three")
    assert reload(daemon).returncode == 0
    wait_until(lambda: not alive(old[0]), "the end of the old one")
    assert version(daemon) == "three"


def test_broken_configuration_changes_nothing(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    old = daemon.workers()
    good = daemon.conf_file.read_text()
    daemon.conf_file.write_text(good + "procesess = 2;\n")
    done = reload(daemon)
    assert done.returncode == 1
    assert f"{daemon.conf_file}:{good.count(chr(10)) + 1}" in done.stderr and "processes" in done.stderr, done.stderr
    daemon.conf_file.write_text(good)
    configure(daemon, {"listen": [*daemon.conf["listen"], {"protocol": "scgi", "address": f"unix:{tmp}/no/such.sock"}]})
    done = reload(daemon)
    assert done.returncode == 1 and "such.sock" in done.stderr, done.stderr
    assert daemon.workers() == old and version(daemon) == "one"


def test_listeners_come_and_go(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"), listen=["fastcgi+unix", "fastcgi+unix"])
    stays, goes = daemon.addresses
    fresh = Address("scgi", "tcp4", port=free_port())
    first, second = daemon.conf["listen"]
    inode = os.stat(stays.path).st_ino
    configure(daemon, {"listen": [{**first, "mode": "0600"}, {"protocol": "scgi", "address": fresh.spec()}]})
    assert reload(daemon).returncode == 0
    assert daemon.get("/version", address=fresh).status == 200
    assert daemon.get("/version", address=stays).status == 200
    assert os.stat(stays.path).st_ino == inode and os.stat(stays.path).st_mode & 0o777 == 0o600
    assert not os.path.exists(goes.path)
    with pytest.raises(OSError):
        goes.connect()
    configure(daemon, {"listen": [first]})
    assert reload(daemon).returncode == 0
    # nobody holds the port any more once the old workers are gone
    wait_until(lambda: len(daemon.workers()) == 1, "the end of the old ones")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", fresh.port))
    daemon.addresses = [stays]


def test_number_of_processes(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    for processes in (3, 1):
        configure(daemon, {"processes": processes})
        assert reload(daemon).returncode == 0
        wait_until(lambda: len(daemon.workers()) == processes, f"{processes} workers")
        assert version(daemon) == "one"


def test_native_code_is_loaded_anew(snacgi: Snacgi, tmp: Path) -> None:
    module = tmp / "routes.so"
    shutil.copy(NATIVE, module)
    daemon = snacgi(supervisor=True, app=None, native=[module], probe="/native/hello")
    assert daemon.get("/native/one/x/end").status == 200
    shutil.copy(BUILD / "examples" / "c" / "demo_native.so", tmp / "new.so")
    (tmp / "new.so").rename(module)
    assert reload(daemon).returncode == 0
    assert daemon.get("/native/one/x/end").status == 404
    assert daemon.get("/native/hello").status == 200


def test_logs_of_the_new_configuration(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    configure(daemon, {"log": {"file": str(tmp / "own.log"), "access": str(tmp / "access.log"), "format": "json"}})
    assert reload(daemon).returncode == 0
    assert version(daemon) == "one"
    wait_until(lambda: "/version" in (tmp / "access.log").read_text(), "the access log")
    assert '"message":"reloaded: ' in (tmp / "own.log").read_text()
    configure(daemon, {"log": {"file": "", "access": "", "format": "text"}})
    assert reload(daemon).returncode == 0
    daemon.wait_log("reloaded: ")


SLOW = "import pathlib, time\nwhile not pathlib.Path(__file__).with_name('go').exists():\n    time.sleep(0.01)"


def test_second_reload_waits_for_the_first(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    code(tmp / "app", "two", SLOW)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: len(daemon.workers()) == 2, "the new worker")
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("another one follows")
    assert version(daemon) == "one"
    code(tmp / "app", "three")
    (tmp / "app" / "go").touch()
    wait_until(lambda: daemon.log().count("reloaded: ") == 2, "both")
    wait_until(lambda: len(daemon.workers()) == 1, "the end of the old ones")
    assert version(daemon) == "three"


def test_who_asks_during_a_reload_is_told_of_the_next(snacgi: Snacgi, tmp: Path) -> None:
    """The code of the one under way may be older than what was there when it was asked."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    ask = [str(SNACGI), "reload", "--pid", str(daemon.pid)]
    done: list[tuple[int, str]] = []
    code(tmp / "app", "two", f"open({str(tmp / 'read')!r}, 'w').close()\n{SLOW}")
    with subprocess.Popen(ask, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as first:
        wait_until((tmp / "read").exists, "the code being read")
        refused = run("upgrade", "--pid", str(daemon.pid))  # and ends nobody else's waiting
        assert refused.returncode == 1 and "a reload or an upgrade is under way" in refused.stderr, refused.stderr
        code(tmp / "app", "three", "import not_there_at_all")
        with subprocess.Popen(ask, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as second:
            daemon.wait_log("another one follows")
            (tmp / "app" / "go").touch()
            for one in (first, second):
                text = one.communicate(timeout=60)[0]
                done.append((one.returncode, text))
    assert done[0] == (0, "reloaded\n"), done
    assert done[1][0] == 1 and "not_there_at_all" in done[1][1], done
    assert version(daemon) == "two"


def test_a_start_that_takes_too_long_is_given_up(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    old = daemon.workers()
    configure(daemon, {"timeouts": {"start": 2.0}})
    code(tmp / "app", "two", SLOW)
    done = reload(daemon)
    assert done.returncode == 1
    assert "timeouts.start" in daemon.log()
    wait_until(lambda: daemon.workers() == old, "only the old one is left")
    assert version(daemon) == "one"


def test_stopped_during_a_reload(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    code(tmp / "app", "two", SLOW)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: len(daemon.workers()) == 2, "the new worker")
    daemon.signal(signal.SIGTERM)
    (tmp / "app" / "go").touch()
    assert daemon.wait() == 0
    assert not os.path.exists(daemon.addresses[0].path)


def test_without_supervisor(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(app=code(tmp / "app", "one"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_log("SIGHUP: nothing is reloaded")
    assert version(daemon) == "one"


@pytest.mark.wires
def test_what_runs_is_finished_by_the_old(snacgi: Snacgi, tmp: Path) -> None:
    """A slow request, and one whose body is half there, are answered by the worker that has them."""
    slow = """
import pathlib, time
@route('/slow')
def slow(request):
    here = pathlib.Path(__file__).parent
    (here / 'begun').touch()
    while not (here / 'go').exists():
        time.sleep(0.01)
    return {'pid': os.getpid()}
"""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one", slow))
    old = daemon.worker
    running, half = daemon.dial(), daemon.dial()
    if isinstance(half, fcgi.Connection):
        half.get_values([b"FCGI_MAX_CONNS"])  # it is the old one's
    half.put("POST", "/echo", b'{"n": 17}', part=slice(None, -5))
    running.put("GET", "/slow")
    wait_until(lambda: (tmp / "app" / "begun").exists(), "the handler's begin")
    assert reload(daemon).returncode == 0
    half.put("POST", "/echo", b'{"n": 17}', part=slice(-5, None))
    assert half.response().json() == {"got": 17, "version": "one", "pid": old}
    (tmp / "app" / "go").touch()
    assert running.response().json() == {"pid": old}
    wait_until(lambda: not alive(old), "its end")
    running.close()
    half.close()


def kept(daemon: Daemon) -> list[fcgi.Connection]:
    """A connection of each kind that has carried a request, and one that has not."""
    out = []
    for address in daemon.addresses:
        used, fresh = daemon.connect(address), daemon.connect(address)
        assert used.ask("GET", "/version").status == 200
        fresh.get_values([b"FCGI_MAX_CONNS"])
        out += [used, fresh]
    return out


@pytest.mark.basic
def test_kept_connections_go_to_the_new_workers(snacgi: Snacgi, tmp: Path) -> None:
    """An idle kept connection is not closed, since a request may be on its way; neither is one
    that has bytes waiting unread."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"), listen=["fastcgi+unix", "fastcgi+tcp4"])
    old = daemon.worker
    conns = kept(daemon)
    code(tmp / "app", "two")
    assert reload(daemon).returncode == 0
    wait_until(lambda: not alive(old), "the end of the old worker, which has no connection left")
    for conn in conns:
        answer = conn.ask("POST", "/echo", b'{"n": 1}', {"Content-Type": "application/json"})
        assert answer.json() == {"got": 1, "version": "two", "pid": daemon.worker}
    for conn in conns:  # and once more
        assert conn.ask("GET", "/version").json()["version"] == "two"
        conn.close()


def test_a_begun_request_stays_where_it_was_begun(snacgi: Snacgi, tmp: Path) -> None:
    """A connection with a piece of a record read is not handed over before its answer; then it is."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"))
    old = daemon.worker
    conn = daemon.connect()
    whole = fcgi.request(environ("GET", "/version"), b"", 1, True)
    for cut in (3, 8, 16, 40):
        conn.get_values([b"FCGI_MAX_CONNS"])
        conn.send(fcgi.record(fcgi.GET_VALUES, 0) + whole[:cut])
        assert conn.read_record()[0] == fcgi.GET_VALUES_RESULT  # the piece behind it is read too
        code(tmp / "app", f"after {cut}")
        assert reload(daemon).returncode == 0
        assert alive(old)
        conn.send(whole[cut:])
        assert conn.response().json()["pid"] == old
        wait_until(lambda: not alive(old), "its end")
        assert conn.ask("GET", "/version").json()["version"] == f"after {cut}"
        old = daemon.worker
    conn.close()


def test_a_begun_scgi_request_stays_where_it_was_begun(snacgi: Snacgi, tmp: Path) -> None:
    """A connection whose first bytes were read ends where it is; one of which nothing was read goes
    to the new worker."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"), listen=["scgi+unix"])
    old, before = daemon.worker, daemon.sockets()
    begun, fresh = daemon.dial(), daemon.dial()
    begun.put("GET", "/version", part=slice(3))
    wait_until(lambda: daemon.sockets() >= before + 2, "both are taken in")
    assert version(daemon) == "one"  # by the thread that has taken them in, and read what was there
    code(tmp / "app", "two")
    assert reload(daemon).returncode == 0
    fresh.put("GET", "/version")
    assert fresh.response().json()["version"] == "two"
    assert alive(old)
    begun.put("GET", "/version", part=slice(3, None))
    assert begun.response().json() == {"version": "one", "pid": old}
    wait_until(lambda: not alive(old), "its end")
    begun.close()
    fresh.close()


@pytest.mark.limit(240)
def test_no_request_fails_under_load(snacgi: Snacgi, tmp: Path) -> None:
    """Connections of one request each, GET and POST, over and over, while it is reloaded."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "v0"), conf={"processes": 2},
                    listen=["fastcgi+unix", "scgi+unix"])  # over TCP it would use up the ports of others
    daemon.wait_log("ready: 2 worker")
    failures: list[str] = []
    answered = [0] * 6
    end = threading.Event()

    def work(who: int) -> None:
        n = 0
        while not end.is_set():
            n += 1
            try:
                answer = daemon.post("/echo", {"n": n}, address=daemon.addresses[who % 2])
                if answer.status != 200 or answer.json()["got"] != n:
                    failures.append(f"{n}: {answer.status} {answer.body[:200]!r}")
            except OSError as error:
                failures.append(f"{n}: {error!r}")
            answered[who] += 1

    threads = [threading.Thread(target=work, args=(who,)) for who in range(len(answered))]
    for one in threads:
        one.start()
    try:
        for turn in range(1, 4):
            before = list(answered)
            wait_until(lambda: all(a > b + 20 for a, b in zip(answered, before)), "some load")
            code(tmp / "app", f"v{turn}")
            assert reload(daemon).returncode == 0
    finally:
        end.set()
        for one in threads:
            one.join()
    assert not failures, failures[:5]
    wait_until(lambda: len(daemon.workers()) == 2, "the end of the old ones")
    assert version(daemon) == "v3"


class Load:
    """Threads that POST numbered bodies on kept connections, or over SCGI on one each, without a
    pause; counts and keeps every answer that is not the right one, and every connection that the
    server closed."""

    def __init__(self, daemon: Daemon, threads: int = 6) -> None:
        self.daemon = daemon
        self.failures: list[str] = []
        self.pids: set[int] = set()
        self.answered = [0] * threads
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(who,)) for who in range(threads)]

    def work(self, who: int) -> None:
        address = self.daemon.addresses[who % len(self.daemon.addresses)]
        n = 0
        try:
            while not self.end.is_set():
                with self.daemon.dial(address) as conn:
                    while not self.end.is_set():
                        n += 1
                        body = json.dumps({"n": [who, n]}).encode()
                        answer = conn.ask("POST", "/echo", body, {"Content-Type": "application/json"})
                        assert answer.status == 200 and answer.json()["got"] == [who, n], answer
                        self.pids.add(answer.json()["pid"])
                        self.answered[who] = n
                        if address.protocol == "scgi":
                            break
        except (OSError, AssertionError, Closed) as error:
            self.failures.append(f"{who}, after {self.answered[who]}: {error!r}")

    def some(self, count: int = 20) -> None:
        before = list(self.answered)
        wait_until(lambda: self.failures or all(a > b + count for a, b in zip(self.answered, before)), "some load")
        assert not self.failures, self.failures[:5]

    def __enter__(self) -> "Load":
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        for one in self.threads:
            one.join()
        assert not self.failures, self.failures[:5]


@pytest.mark.limit(240)
def test_no_post_on_a_kept_connection_fails(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "v0"), conf={"processes": 2},
                    listen=["fastcgi+unix", "fastcgi+tcp4"])
    daemon.wait_log("ready: 2 worker")
    with Load(daemon) as load:
        for turn in range(1, 5):
            load.some()
            code(tmp / "app", f"v{turn}")
            assert reload(daemon).returncode == 0
        load.some()
        wait_until(lambda: len(daemon.workers()) == 2, "the end of the old ones, under load")
    assert len(load.pids) > 2


@pytest.mark.limit(240)
def test_max_requests(snacgi: Snacgi, tmp: Path) -> None:
    """A worker that has served enough is replaced, its successor first: no request fails."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one"), conf={"processes": 2, "max_requests": 200})
    daemon.wait_log("ready: 2 worker")
    with Load(daemon) as load:
        wait_until(lambda: load.failures or len(load.pids) >= 5, "several successors")
        load.some()
    assert "it has answered max_requests" in daemon.log()
    wait_until(lambda: len(daemon.workers()) == 2, "the end of the old ones")


@pytest.mark.unsanitized  # it is about memory, which a sanitizer takes and fills slowly
def test_max_rss(snacgi: Snacgi, tmp: Path) -> None:
    fat = "hoard = []\n@route('/eat')\ndef eat(request):\n    hoard.append(b'x' * (512 << 20))\n    return {'pid': os.getpid()}\n"
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one", fat), conf={"max_rss": "400 MiB"})
    old = daemon.worker
    with daemon.connect() as conn:
        assert conn.ask("GET", "/eat").json() == {"pid": old}
        wait_until(lambda: not alive(old), "its end")
        assert conn.ask("GET", "/version").json()["pid"] == daemon.worker != old
    assert "its memory is above max_rss" in daemon.log()


TURNS = """
import itertools, time

def turn():
    for n in itertools.count(1):
        try:
            os.close(os.open(f'{where}/import-{n}', os.O_CREAT | os.O_EXCL))
            return n
        except FileExistsError:
            pass

def wait_for(name):
    end = time.monotonic() + 60
    while not os.path.exists(f'{where}/{name}') and time.monotonic() < end:
        time.sleep(0.005)

mine = turn()
if mine == 3:
    raise RuntimeError('the third import fails')
if mine > 3:
    wait_for('fourth' if mine == 4 else 'later')
"""


def test_who_is_told_to_go_while_it_starts_closes_nothing(snacgi: Snacgi, tmp: Path) -> None:
    """A reload fails, one of its workers still starts, and the old ones die: when it is there, it is the only
    one that accepts, and passes on what it has accepted."""
    daemon = snacgi(supervisor=True, app=code(tmp / "app", "one", f"where = {str(tmp)!r}\n" + TURNS), conf={"processes": 2})
    daemon.wait_log("ready: 2 worker")
    old = daemon.workers()
    assert reload(daemon).returncode == 1
    new = [pid for pid in daemon.workers() if pid not in old]
    assert len(new) == 1
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: (tmp / "import-6").exists(), "their successors")
    with daemon.connect() as conn:
        (tmp / "fourth").touch()
        wait_until(lambda: not alive(new[0]), "its end")
        (tmp / "later").touch()
        assert conn.ask("GET", "/version").json()["version"] == "one"
