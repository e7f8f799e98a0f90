# SPDX-License-Identifier: MIT
"""The front servers: each from what print-config prints, in a directory of its own, in
the foreground on a free port. Changed are the port and what a distribution's own main
configuration file would say, nothing that belongs to snacgi."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

from browser import Browser
from daemon import BUILD, NATIVE, SRC, Daemon, configuration, descendants, environment, run, wait_until

HERE = Path(__file__).resolve().parent
ROOT = os.getuid() == 0
LIMIT = 64 << 20  # limits.body, so that 50 MB fit


def program(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    assert path, f"{name} is not installed: see tests/setup-debian.sh"
    return path


def quiet_port() -> int:
    """Free, and below those that the kernel gives to clients: it stays free while the
    server that has it starts again."""
    dice = random.SystemRandom()
    while True:
        port = dice.randrange(16000, 32000)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


@dataclass(frozen=True)
class Variant:
    """A column of the table: a configuration, and what is changed in it."""

    name: str
    server: str
    template: str
    protocol: str = "fastcgi"
    edits: tuple[tuple[str, str], ...] = ()
    spawns: bool = False  # the server starts snacgi itself
    listener: tuple[tuple[str, str], ...] = ()  # keys of snacgi's listener

    @property
    def mount(self) -> str:
        return dict(self.listener).get("prefix", "")


OFF = (("fastcgi_request_buffering on;", "fastcgi_request_buffering off;"), ("fastcgi_buffering on;", "fastcgi_buffering off;"))
STREAMED = (("server.stream-request-body = 0", "server.stream-request-body = 2"), ("server.stream-response-body = 1", "server.stream-response-body = 2"))

VARIANTS = [
    Variant("nginx", "nginx", "nginx"),
    Variant("nginx-unbuffered", "nginx", "nginx", edits=OFF),
    Variant("nginx-minimal", "nginx", "nginx-minimal"),
    Variant("nginx-scgi", "nginx", "nginx-scgi", "scgi"),
    Variant("nginx-scgi-minimal", "nginx", "nginx-scgi-minimal", "scgi"),
    Variant("apache", "apache", "apache"),
    Variant("apache-minimal", "apache", "apache-minimal"),
    Variant("apache-scgi", "apache", "apache-scgi", "scgi"),
    Variant("apache-scgi-minimal", "apache", "apache-scgi-minimal", "scgi"),
    Variant("apache-fcgid", "apache", "apache-fcgid", spawns=True),
    Variant("apache-fcgid-minimal", "apache", "apache-fcgid-minimal", spawns=True),
    Variant("caddy", "caddy", "caddy"),
    Variant("caddy-minimal", "caddy", "caddy-minimal"),
    Variant("lighttpd", "lighttpd", "lighttpd"),
    Variant("lighttpd-streamed", "lighttpd", "lighttpd", edits=STREAMED),
    Variant("lighttpd-minimal", "lighttpd", "lighttpd-minimal"),
    Variant("lighttpd-scgi", "lighttpd", "lighttpd-scgi", "scgi"),
    Variant("lighttpd-scgi-minimal", "lighttpd", "lighttpd-scgi-minimal", "scgi"),
    Variant("haproxy", "haproxy", "haproxy"),
    Variant("haproxy-minimal", "haproxy", "haproxy-minimal"),
]


# Nobody's configuration, but somebody will try it.
SCGI_UNBUFFERED = Variant("nginx-scgi-unbuffered", "nginx", "nginx-scgi", "scgi", (("scgi_request_buffering on;", "scgi_request_buffering off;"),))


class Front(ABC):
    """A front server with snacgi behind it."""

    stop_signal = signal.SIGTERM
    end_codes: tuple[int, ...] = (0,)
    reload_signal: Optional[int] = signal.SIGHUP
    environment: dict[str, Optional[str]] = {}

    def __init__(self, directory: Path, variant: Variant) -> None:
        self.directory = directory
        self.variant = variant
        self.take_port()
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.daemon: Optional[Daemon] = None
        # A server that runs as another user has to reach what is below.
        directory.mkdir()
        directory.chmod(0o755)
        self.conf_file = self.behind()

    def take_port(self) -> None:
        self.port = quiet_port()
        self.browser = Browser(self.port)

    # -- snacgi

    def behind(self) -> Path:
        conf = {"status": {"path": "/-/status"}, "limits": {"body": LIMIT}, "timeouts": {"shutdown": 20.0, "request": 300.0}}
        if self.variant.spawns:
            path = self.directory / "snacgi.conf"
            path.write_text(configuration({**conf, "io_threads": 1, "native": {"modules": [str(NATIVE)]}, "python": {"dir": str(HERE / "app")}}))
            return path
        self.daemon = Daemon(self.directory, listen=[f"{self.variant.protocol}+unix"], app=HERE / "app", conf=conf, supervisor=True)
        listener = self.daemon.conf["listen"][0]
        self.daemon.conf_file.write_text(configuration({**self.daemon.conf, "listen": [{**listener, **dict(self.variant.listener), "mode": "0666"}]}))
        return self.daemon.conf_file

    def printed(self) -> str:
        out = run("print-config", self.variant.template, "-c", self.conf_file, env={"SNACGI_TEMPLATE_PATH": str(SRC / "deploy" / "templates")})
        assert out.returncode == 0, out.stderr
        text = out.stdout
        for old, new in (*self.edits(), *self.variant.edits):
            assert old in text, (old, text)
            text = text.replace(old, new)
        return text

    def snacgis(self) -> list[int]:
        """The processes of snacgi that serve."""
        if self.daemon is not None:
            return self.daemon.workers()
        out = []
        for pid in descendants(self.pid):
            try:
                if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(BUILD / "src" / ".libs" / "snacgi"):
                    out.append(pid)
            except OSError:
                pass
        return out

    # -- the server, for each to say

    @abstractmethod
    def edits(self) -> Sequence[tuple[str, str]]:
        """The port, as this server writes it."""

    @abstractmethod
    def write(self) -> None:
        """Makes the configuration's files from self.site."""

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it, in the foreground."""

    def errors(self) -> str:
        """What its log says that must not be there."""
        return ""

    # -- start and stop

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> "Front":
        if self.daemon is not None:
            self.daemon.start()
        try:
            for attempt in range(5):
                self.site = self.printed()
                self.write()
                try:
                    self.start_server()
                    return self
                except AssertionError:
                    # The port that was free has been taken meanwhile.
                    if "in use" not in self.log().lower() or attempt == 4:
                        raise
                    self.kill_server()
                    self.take_port()
        except BaseException:
            self.kill()
            raise
        return self

    def start_server(self) -> None:
        with open(self.directory / "output", "ab") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory,
                                            env=environment(self.environment), start_new_session=True)
        wait_until(self.up, f"{self.variant.name} answers")

    def up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return self.browser.get(f"{self.variant.mount}/native/hello").status == 200
        except OSError:
            return False

    def log(self) -> str:
        return "".join(f"--- {name}\n{(self.directory / name).read_text(errors='replace')[-1500:]}\n"
                       for name in ("output", "error.log") if (self.directory / name).exists())

    def reload(self) -> None:
        assert self.reload_signal is not None
        os.kill(self.pid, self.reload_signal)

    def stop_server(self) -> int:
        assert self.process is not None
        self.process.send_signal(self.stop_signal)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill_server()
            raise AssertionError(f"{self.variant.name} does not end\n{self.log()}") from None

    def kill_server(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: all of it is ours
            self.process.wait(60)

    def stop(self) -> None:
        try:
            code = self.stop_server()
            assert code in (*self.end_codes, -self.stop_signal), (code, self.log())
            assert not self.errors(), self.errors() + self.log()
            if self.daemon is not None:
                self.daemon.stop()
        finally:
            self.kill()

    def kill(self) -> None:
        self.kill_server()
        if self.daemon is not None:
            self.daemon.kill()

    def stop_and_start_snacgi(self) -> str:
        """What clients are told in between."""
        assert self.daemon is not None
        self.daemon.stop()
        statuses = {self.browser.get(target).status for target in ("/users/1", "/native/users/1") * 5}
        self.daemon.start()
        return "/".join(map(str, sorted(statuses)))

    def check(self) -> None:
        """After each test."""
        assert self.process is not None and self.process.poll() is None, self.log()
        if self.daemon is not None:
            self.daemon.check()


class Nginx(Front):
    def edits(self) -> Sequence[tuple[str, str]]:
        return [("listen 80;", f"listen 127.0.0.1:{self.port};")]

    def write(self) -> None:
        for name in ("fastcgi_params", "scgi_params"):
            shutil.copy(f"/etc/nginx/{name}", self.directory)
        temps = "\n".join(f"{kind}_temp_path {self.directory}/temp-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if ROOT else ""
        (self.directory / "site.conf").write_text(self.site)
        (self.directory / "nginx.conf").write_text(f"""
{user}
worker_processes 2;
daemon off;
pid {self.directory}/nginx.pid;
error_log {self.directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	{temps}
	include {self.directory}/site.conf;
}}
""")

    def command(self) -> list[str]:
        return [program("nginx"), "-p", str(self.directory), "-c", str(self.directory / "nginx.conf"), "-e", str(self.directory / "error.log")]

    def errors(self) -> str:
        return "".join(line for line in open(self.directory / "error.log") if "[alert]" in line or "[emerg]" in line)
