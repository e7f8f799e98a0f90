# SPDX-License-Identifier: MIT
"""Caddy, lighttpd and HAProxy, each in the foreground."""

from __future__ import annotations

import signal
import subprocess
import warnings
from typing import Sequence

from daemon import alive, children, environment, wait_until
from fronts import Front, program


class Caddy(Front):
    def edits(self) -> Sequence[tuple[str, str]]:
        return [(":80 {", f"http://:{self.port} {{\n\tbind 127.0.0.1")]

    def write(self) -> None:
        # Its reload is a request to its administration socket.
        (self.directory / "Caddyfile").write_text(f"{{\n\tadmin unix/{self.directory}/admin.sock\n\tauto_https off\n}}\n{self.site}")
        self.environment = {"HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)}

    def command(self) -> list[str]:
        return [program("caddy"), "run", "--config", str(self.directory / "Caddyfile"), "--adapter", "caddyfile"]

    def reload(self) -> None:
        # The same configuration would be left alone: --force.
        done = subprocess.run([program("caddy"), "reload", "--force", "--config", str(self.directory / "Caddyfile"), "--adapter", "caddyfile",
                               "--address", f"unix/{self.directory}/admin.sock"],
                              env=environment(self.environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout


class Lighttpd(Front):
    stop_signal = signal.SIGINT  # graceful
    reload_signal = signal.SIGUSR1

    def edits(self) -> Sequence[tuple[str, str]]:
        return []

    def write(self) -> None:
        (self.directory / "docroot").mkdir(exist_ok=True)
        (self.directory / "temp").mkdir(exist_ok=True)
        (self.directory / "lighttpd.conf").write_text(f"""
server.document-root = "{self.directory}/docroot"
server.upload-dirs = ( "{self.directory}/temp" )
server.errorlog = "{self.directory}/error.log"
server.bind = "127.0.0.1"
server.port = {self.port}
{self.site}
""")

    def command(self) -> list[str]:
        return [program("lighttpd"), "-D", "-f", str(self.directory / "lighttpd.conf")]


class HAProxy(Front):
    # Not SIGUSR1: the soft stop of 2.6.12 may crash or leave requests hanging while FastCGI
    # connections are kept.
    stop_signal = signal.SIGTERM
    end_codes = (0, 143)
    reload_signal = signal.SIGUSR2

    def edits(self) -> Sequence[tuple[str, str]]:
        # The old process of a reload, for the same reason.
        soft = [] if "minimal" in self.variant.name else [("hard-stop-after 315s", "hard-stop-after 5s")]
        return [("bind :80", f"bind 127.0.0.1:{self.port}"), *soft]

    def reload(self) -> None:
        """It is done when the old process has ended, at the latest by hard-stop-after. A
        signal that comes while the master executes itself anew may be lost: once more."""
        old = children(self.pid)
        for _ in range(6):
            super().reload()
            try:
                wait_until(lambda: not [pid for pid in old if alive(pid)], "the end of HAProxy's old process", 10)
                return
            except AssertionError:
                pass
        # Its soft stop hangs, and not even hard-stop-after ended it: not snacgi's doing, but to be seen.
        warnings.warn(f"{self.variant.name}: the old process outlived six reloads and hard-stop-after; killed, and started anew")
        self.kill_server()
        self.start_server()

    def write(self) -> None:
        soft = "global\n\thard-stop-after 5s\n" if "minimal" in self.variant.name else ""
        (self.directory / "haproxy.cfg").write_text(soft + self.site)

    def command(self) -> list[str]:
        return [program("haproxy"), "-W", "-db", "-f", str(self.directory / "haproxy.cfg")]
