# SPDX-License-Identifier: MIT
"""Starts and stops what is measured: our servers and the peers that this
machine has. Each runs in a directory of its own, on Unix sockets there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Missing(Exception):
    """This machine has no such server; the text says how to get it."""


@dataclass
class Server:
    name: str
    command: list[str]
    sockets: dict[str, Path]  # protocol -> path
    about: str  # what it is and how it was set
    extra: list[str] = field(default_factory=list)  # options for snacgi-bench
    process: subprocess.Popen[bytes] | None = None

    def start(self, cwd: Path) -> None:
        log = open(cwd / f"{self.name}.log", "wb")
        environment = {k: v for k, v in os.environ.items() if k not in ("LISTEN_FDS", "LISTEN_PID", "PYTHONHOME", "PYTHONPATH")}
        self.process = subprocess.Popen(self.command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=environment, start_new_session=True)
        log.close()
        end = time.monotonic() + 30
        for path in self.sockets.values():
            while not connects(path):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{self.name} does not serve: {(cwd / (self.name + '.log')).read_text(errors='replace')[-2000:]}")
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def address(self, protocol: str) -> str:
        return f"{protocol}:unix:{self.sockets[protocol]}"

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGQUIT if self.name == "uwsgi" else signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
            return True
        except OSError:
            return False


def version(*command: str) -> str:
    got = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return got.stdout.strip().splitlines()[0] if got.stdout.strip() else "?"


# ---- ours ---------------------------------------------------------------------


def configuration(tmp: Path, name: str, python: Path | None, access: bool, more: str = "") -> Path:
    conf = tmp / f"{name}.conf"
    text = "".join(f'{{ protocol = "{p}"; address = "unix:{tmp}/{name}-{p}.sock"; }}, ' for p in ("fastcgi", "scgi")).rstrip(", ")
    conf.write_text(f"listen = ( {text} );\n"
                    + (f'python = {{ dir = "{python}"; modules = [ "app" ]; }};\n' if python else "")
                    + (f'log = {{ access = "{tmp}/{name}.access"; }};\n' if access else "") + more)
    return conf


def ours(name: str, program: Path, tmp: Path, python: Path | None, access: bool, about: str, more: str = "") -> Server:
    if not program.exists():
        raise Missing(f"{program} is not built")
    conf = configuration(tmp, name, python, access, more)
    return Server(name, [str(program), "serve", "-c", str(conf)], {p: tmp / f"{name}-{p}.sock" for p in ("fastcgi", "scgi")},
                  f"{about}; {version(str(program), '--version')}, supervisor, all limits and time-outs at their defaults, "
                  f"access log {'on' if access else 'off'}")


def native(build: Path, tmp: Path, access: bool) -> Server:
    return ours("native", build / "bench" / "table", tmp, None, access, "a C endpoint in a static table")


def native2(build: Path, tmp: Path, access: bool) -> Server:
    return ours("native2", build / "bench" / "table", tmp, None, access, "the same with two I/O threads", "io_threads = 2;\n")


def python(build: Path, tmp: Path, access: bool) -> Server:
    return ours("python", build / "src" / "snacgi", tmp, HERE / "app", access,
                "Python endpoints, async ones as tasks that start at once where Python is 3.12 or later")


# ---- peers --------------------------------------------------------------------


def libfcgi(build: Path, tmp: Path, access: bool) -> Server:
    program = build / "bench" / "peers" / "fcgi-peer"
    if not program.exists():
        raise Missing(f"{program} is not built")
    path = tmp / "libfcgi.sock"
    return Server("libfcgi", [str(program), str(path), "16"], {"fastcgi": path}, "bare libfcgi, 16 threads in FCGX_Accept_r")


def uwsgi(build: Path, tmp: Path, access: bool) -> Server:
    program = shutil.which("uwsgi")
    if program is None:
        raise Missing("uwsgi is not installed; on Debian: apt-get install uwsgi uwsgi-plugin-python3")
    sockets = {p: tmp / f"uwsgi-{p}.sock" for p in ("fastcgi", "scgi", "uwsgi")}
    if not any(Path("/usr/lib/uwsgi/plugins").glob("python3*_plugin.so")) and "debian" in version(program, "--version"):
        raise Missing("uwsgi has no Python; on Debian: apt-get install uwsgi-plugin-python3")
    command = [program, "--master", "--processes", "1", "--plugin", "python3", "--fastcgi-socket", str(sockets["fastcgi"]),
               "--scgi-socket", str(sockets["scgi"]), "--socket", str(sockets["uwsgi"]), "--listen", "1024", "--wsgi-file", str(HERE / "peers" / "wsgi.py"),
               "--need-app", "--die-on-term"]
    if not access:
        command.append("--disable-logging")
    return Server("uwsgi", command, sockets, f"uWSGI {version(program, '--version')}, one process, WSGI without a framework")


def php(build: Path, tmp: Path, access: bool) -> Server:
    found = sorted(p for d in ("/usr/sbin", "/usr/local/sbin") for p in Path(d).glob("php-fpm*"))
    if not found:
        raise Missing("php-fpm is not installed; on Debian: apt-get install php-fpm")
    path = tmp / "php.sock"
    (tmp / "php.conf").write_text(
        f"[global]\nerror_log = {tmp}/php-error.log\ndaemonize = no\n[www]\nlisten = {path}\nlisten.backlog = 1024\n"
        + ("user = root\ngroup = root\n" if os.geteuid() == 0 else "")
        + "pm = static\npm.max_children = 2\n")
    command = [str(found[-1]), "-n", "-y", str(tmp / "php.conf"), "-F"] + (["-R"] if os.geteuid() == 0 else [])
    return Server("php", command, {"fastcgi": path}, f"{version(str(found[-1]), '--version').split(' (')[0]}, 2 processes, no opcache",
                  extra=["-P", f"SCRIPT_FILENAME={HERE / 'peers' / 'users.php'}"])


def gunicorn(build: Path, tmp: Path, access: bool) -> Server:
    program = shutil.which("gunicorn")
    if program is None or subprocess.run(["/usr/bin/python3", "-c", "import uvicorn"], stderr=subprocess.DEVNULL).returncode:
        raise Missing("gunicorn with uvicorn is not installed; on Debian: apt-get install gunicorn python3-uvicorn")
    path = tmp / "gunicorn.sock"
    return Server("gunicorn", [program, "-k", "uvicorn.workers.UvicornWorker", "-w", "1", "-b", f"unix:{path}", "--chdir", str(HERE / "peers"),
                               "asgi:application"] + (["--access-logfile", str(tmp / "gunicorn.access")] if access else []),
                  {"http": path}, f"{version(program, '--version')}, one uvicorn worker, ASGI without a framework")


ALL = (native, native2, python, libfcgi, uwsgi, php, gunicorn)
