# SPDX-License-Identifier: MIT
"""What the daemon gives up, and what of a request reaches where. Some of it can be seen by root
only; the rest of it runs as anybody."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import BUILD, PYTHON, Daemon, alive, children, descendants, descriptors, run, wait_until

import fcgi
from wire import environ

Snacgi = Callable[..., Daemon]

APP = """\
import asyncio, os, subprocess
from snacgi import route
from jobs import look

@route('/env')
def env(request):
    child = subprocess.run(['env'], stdout=subprocess.PIPE, text=True).stdout
    return {'mine': dict(os.environ), 'child': child}

@route('/look', use_process_pool=True)
def look_there(request, pool):
    return {'here': look(), 'there': pool.submit(look).result()}

@route('/upload', methods=['POST'])
def upload(request):
    return {'size': len(request.get_data())}
"""
JOBS = """\
import os

def status():
    lines = open('/proc/self/status').read().splitlines() if os.path.exists('/proc/self/status') else []
    return dict(line.split(':\\t', 1) for line in lines if ':\\t' in line)

def look():
    said = status()
    return {'uid': list(os.getresuid()), 'gid': list(os.getresgid()), 'groups': sorted(os.getgroups()),
            'privs': said.get('NoNewPrivs'), 'root': sorted(os.listdir('/')), 'env': dict(os.environ)}
"""
USER = "nobody"


def application(tmp: Path) -> Path:
    code = tmp / "code"
    code.mkdir(mode=0o755)
    (code / "app.py").write_text(APP)
    (code / "jobs.py").write_text(JOBS)
    os.chmod(tmp, 0o755)
    return code


def can_read(path: Path) -> bool:
    """May the other user read the tree that is tested?"""
    return subprocess.run(["test", "-r", str(path)], user=USER, group="nogroup", extra_groups=[]).returncode == 0


@pytest.fixture
def root() -> None:
    """A test that cannot run has failed; this is its mend."""
    if os.geteuid() != 0:
        pytest.fail("only root can become another user: run this test as root")


@pytest.fixture
def other_user(root: None) -> tuple[int, int]:
    """uid of the user and gid of the group to become."""
    import grp
    import pwd

    if not can_read(BUILD / "python" / "snacgi" / "__init__.py"):
        pytest.fail(f"{USER} cannot read the tree: put it, and its build, where every user may read (chmod a+rX)")
    return pwd.getpwnam(USER).pw_uid, grp.getgrnam("www-data").gr_gid


def proc_status(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


# ---- the compiled files ------------------------------------------------------------


@pytest.mark.unsanitized  # sanitized builds are not hardened
@pytest.mark.parametrize("name", ["src/.libs/snacgi", ".libs/libsnacgi.so", "python/.libs/_snacgi.so", "bench/snacgi-bench"])
def test_hardened(name: str) -> None:
    """Position-independent, all relocations read-only, no executable stack, and where the
    compiler found something to guard: guarded stacks and checked copies."""
    file = BUILD / name
    if name.startswith("src/") and not file.exists():
        file = BUILD / "src" / "snacgi"
    said = subprocess.run(["readelf", "-W", "-h", "-l", "-d", str(file)], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert re.search(r"Type:\s+DYN", said), name
    assert "GNU_RELRO" in said
    assert re.search(r"BIND_NOW|Flags:.*\bNOW\b", said)
    stack = re.search(r"GNU_STACK\s.*", said)
    assert stack and "RWE" not in stack[0]
    if name.startswith("."):
        symbols = subprocess.run(["readelf", "-W", "--dyn-syms", str(file)], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert "__stack_chk_fail" in symbols
        assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", ""))


# ---- rights -------------------------------------------------------------------------


def test_drops_to_user_and_group(snacgi: Snacgi, tmp: Path, other_user: tuple[int, int]) -> None:
    """Worker and pool, with the groups of the system's files and no way back; the supervisor
    stays, and is not outlived."""
    uid, gid = other_user
    daemon = snacgi(app=application(tmp), supervisor=True, conf={"user": USER, "group": "www-data"})
    seen = daemon.get("/look").json()
    for side in ("here", "there"):
        assert seen[side]["uid"] == [uid] * 3
        assert seen[side]["gid"] == [gid] * 3
        assert seen[side]["groups"] == [gid]
    assert proc_status(daemon.pid)["Uid"].split() == ["0"] * 4
    assert "RUNNING AS ROOT" not in daemon.log()
    family = descendants(daemon.pid)
    assert len(family) > 2
    daemon.expected_exit = None
    daemon.signal(signal.SIGKILL)
    wait_until(lambda: not [pid for pid in family if alive(pid)], "the end of all that the daemon has started")


def test_root_is_said_once_or_refused(snacgi: Snacgi, tmp: Path, root: None) -> None:
    daemon = snacgi(supervisor=True, app=None, conf={"processes": 2})
    daemon.wait_log("ready: 2 worker")
    assert daemon.log().count("RUNNING AS ROOT") == 1
    for user in ("", "root"):
        refused = snacgi(app=None, wait=False, conf={"root": "refuse", "user": user})
        refused.expected_exit = 1
        assert refused.wait() == 1
        assert "refusing to run handlers as root" in refused.log() and "set user" in refused.log()


def test_what_only_root_can_do(snacgi: Snacgi, tmp: Path, other_user: tuple[int, int]) -> None:
    os.chmod(tmp, 0o777)
    for conf, word in (({"user": "www-data"}, "root only"), ({"chroot": str(tmp)}, "chroot"),):
        daemon = snacgi(app=None, native=(), wait=False, conf={"listen": [], **conf},
                        args=["-l", f"unix:@snacgi-security-{os.getpid()}-{word[:4]}"], user=USER, group="nogroup", extra_groups=[])
        daemon.expected_exit = 1
        assert daemon.wait() == 1
        assert word in daemon.log()


@pytest.mark.parametrize("conf,word", [({"user": "no-such-user"}, "no-such-user"), ({"group": "no-such-group"}, "no-such-group"),
                                       ({"chroot": "/no/such/tree"}, "/no/such/tree")])
def test_account_or_tree_that_is_not_there(snacgi: Snacgi, conf: dict[str, Any], word: str) -> None:
    daemon = snacgi(app=None, wait=False, conf=conf)
    daemon.expected_exit = 1
    assert daemon.wait() == 1
    assert word in daemon.log()
    said = run("check", "-c", daemon.conf_file)
    assert said.returncode == 1 and word in said.stderr


def test_no_new_privs(snacgi: Snacgi, tmp: Path) -> None:
    code = application(tmp)
    seen = snacgi(app=code, conf={"no_new_privs": True}).get("/look").json()
    assert seen["here"]["privs"] == seen["there"]["privs"] == "1"
    own = proc_status(os.getpid())["NoNewPrivs"]
    assert snacgi(app=code).get("/look").json()["here"]["privs"] == own


# ---- chroot ---------------------------------------------------------------------------


def copy(source: Path, tree: Path) -> None:
    """A file or directory into the tree, at its own path; links are followed."""
    target = tree / str(source).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("test", "tests", "idlelib", "tkinter", "config-*", "dist-packages", "__pycache__"))
    elif not target.exists():
        shutil.copy2(source, target)


def libraries(file: Path) -> set[Path]:
    said = subprocess.run(["ldd", str(file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return {Path(one) for one in re.findall(r"(?:=> |^\s+)(/\S+)", said, re.M)}


def plant(tree: Path, code: Path) -> None:
    """What snacgi.conf(5) says that a tree needs, for Python with a pool."""
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    interpreter = Path(PYTHON).resolve()
    copy(stdlib, tree)
    copy(interpreter, tree)
    if Path(PYTHON) != interpreter:
        copy(Path(PYTHON), tree)
    need = libraries(interpreter)
    for module in stdlib.glob("lib-dynload/*.so"):
        need |= libraries(module)
    for library in need:
        copy(library, tree)
    package = tree / "opt" / "python"
    shutil.copytree(BUILD / "python" / "snacgi", package / "snacgi", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(BUILD / "python" / "_snacgi.so", package / "_snacgi.so")
    shutil.copytree(code, tree / "srv")
    (tree / "tmp").mkdir()
    os.chmod(tree / "tmp", 0o1777)
    (tree / "dev").mkdir()
    try:
        os.mknod(tree / "dev" / "null", 0o666 | 0o020000, os.makedev(1, 3))
    except OSError:
        (tree / "dev" / "null").touch()  # a sandbox; what it takes would be kept
    for directory, _, _ in os.walk(tree):
        if Path(directory) != tree / "tmp":
            os.chmod(directory, 0o755)


@pytest.mark.unsanitized  # the sanitizers' runtime looks for files outside
def test_chroot(snacgi: Snacgi, tmp: Path, other_user: tuple[int, int]) -> None:
    """Worker and pool see the tree and nothing else, as the other user; a spooled upload lies
    in the tree's /tmp; socket and log stay outside, and the socket file is removed at the end."""
    code, tree = application(tmp), tmp / "tree"
    tree.mkdir(mode=0o755)
    plant(tree, code)
    daemon = snacgi(app=None, native=(), supervisor=True, probe="/env",
                    env={"SNACGI_PYTHON_PATH": "/opt/python", "PATH": "/usr/bin", "TMPDIR": None},
                    conf={"chroot": str(tree), "user": USER, "python": {"dir": "/srv", "pool_workers": 1},
                          "limits": {"memory_body": 0}})
    seen = daemon.get("/look").json()
    names = sorted(os.listdir(tree))
    assert seen["here"]["root"] == seen["there"]["root"] == names
    assert seen["here"]["uid"] == seen["there"]["uid"] == [other_user[0]] * 3
    for pid in [daemon.worker, *descendants(daemon.worker)]:
        assert os.readlink(f"/proc/{pid}/root") == str(tree)
    answer = daemon.ask("POST", "/upload", b"x" * 100000, {})
    assert answer.json() == {"size": 100000}
    socket = daemon.addresses[0].path
    assert os.path.exists(socket)
    daemon.stop()
    assert not os.path.exists(socket)


# ---- requests ------------------------------------------------------------------------------


def test_no_request_data_in_the_environment(snacgi: Snacgi, tmp: Path) -> None:
    """Neither the worker's, nor the pool's, nor that of a handler's child."""
    daemon = snacgi(app=application(tmp))
    more = {"X-Marker": "marker-header", "Proxy": "http://marker-proxy:1/", "Cookie": "a=marker-cookie"}
    for target in ("/env?q=marker-query", "/look?q=marker-query"):
        answer = daemon.ask("GET", target, None, more)
        assert answer.status == 200
        assert b"marker" not in answer.body
        assert b"REQUEST_METHOD" not in answer.body and b"HTTP_" not in answer.body
    for pid in [daemon.worker, *children(daemon.worker)]:
        assert b"marker" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_spooled_bodies_are_nameless_and_private(snacgi: Snacgi, tmp: Path) -> None:
    spool = tmp / "spool"
    spool.mkdir()
    daemon = snacgi(app=application(tmp), conf={"spool_dir": str(spool), "limits": {"memory_body": 1024}})
    body = b"secret" * 20000
    conn = daemon.connect()
    whole = fcgi.request(environ("POST", "/upload", None, body), body, 1, True)
    conn.send(whole[:-5000])

    def spooled() -> list[str]:
        return [fd for fd, target in descriptors(daemon.worker).items() if str(spool) in target]

    found = wait_until(spooled, "the file")
    st = os.stat(f"/proc/{daemon.worker}/fd/{found[0]}")
    assert st.st_mode & 0o7777 == 0o600
    assert st.st_nlink == 0 and os.listdir(spool) == []
    conn.send(whole[-5000:])
    assert conn.response().json() == {"size": len(body)}
    wait_until(lambda: not spooled(), "it is given back")
    conn.close()
