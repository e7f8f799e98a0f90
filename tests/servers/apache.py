# SPDX-License-Identifier: MIT
"""Apache httpd as Debian sets it up: its /etc/apache2 copied, modules and sites enabled by
its own tools. Changed are the port and where it writes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import warnings
from pathlib import Path
from typing import Sequence

from daemon import BUILD, environment, wait_until
from fronts import ROOT, Front, Variant, program

MODULES = {"apache": ["proxy", "proxy_fcgi"], "apache-minimal": ["proxy", "proxy_fcgi"], "apache-scgi": ["proxy", "proxy_scgi"], "apache-scgi-minimal": ["proxy", "proxy_scgi"],
           "apache-fcgid": ["fcgid"], "apache-fcgid-minimal": ["fcgid"]}


class Apache(Front):
    reload_signal = signal.SIGUSR1

    def __init__(self, directory: Path, variant: Variant) -> None:
        super().__init__(directory, variant)
        # Graceful: what has begun is answered. mod_fcgid's requests may then wait for a process
        # that is gone, and Apache for them.
        self.stop_signal = signal.SIGTERM if variant.spawns else signal.SIGWINCH

    @property
    def etc(self) -> Path:
        return self.directory / "etc"

    def edits(self) -> Sequence[tuple[str, str]]:
        return [] if "minimal" in self.variant.name else [("<VirtualHost *:80>", f"<VirtualHost *:{self.port}>")]

    def prepare(self) -> None:
        """Debian's configuration, nothing of ours."""
        shutil.rmtree(self.etc, ignore_errors=True)
        shutil.copytree("/etc/apache2", self.etc, symlinks=True)
        for folder in ("mods-enabled", "sites-enabled", "conf-enabled"):
            for link in (self.etc / folder).iterdir():  # what this machine has enabled is not what Debian has
                if folder != "mods-enabled" or link.stem in ("proxy", "proxy_fcgi", "proxy_scgi", "fcgid", "ssl"):
                    link.unlink()
        (self.etc / "ports.conf").write_text(f"Listen 127.0.0.1:{self.port}\n")
        default = self.etc / "sites-available" / "000-default.conf"
        default.write_text(default.read_text().replace("*:80", f"*:{self.port}"))
        (self.etc / "sites-enabled" / "000-default.conf").symlink_to("../sites-available/000-default.conf")
        for folder in ("lock", "state/module", "state/site", "state/conf"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        if ROOT:
            shutil.chown(self.directory / "lock", "www-data")
        # Where it writes, and what an uninstalled snacgi needs.
        (self.etc / "conf-enabled" / "test.conf").write_text(f"""
ServerName localhost
<IfModule mod_fcgid.c>
	FcgidIPCDir {self.directory}/lock
	FcgidProcessTableFile {self.directory}/lock/table
	FcgidInitialEnv LD_LIBRARY_PATH {BUILD}/.libs
</IfModule>
""")
        user = "www-data" if ROOT else str(os.getuid())
        self.environment = {
            "APACHE_CONFDIR": str(self.etc), "APACHE_RUN_USER": user, "APACHE_RUN_GROUP": user,
            "APACHE_PID_FILE": f"{self.directory}/apache.pid", "APACHE_RUN_DIR": f"{self.directory}/lock",
            "APACHE_LOCK_DIR": f"{self.directory}/lock", "APACHE_LOG_DIR": str(self.directory),
            "APACHE_STATE_DIRECTORY": f"{self.directory}/state",  # where a2enmod remembers; else the machine's
        }

    def shell(self, script: str) -> None:
        done = subprocess.run(["sh", "-ec", script], env=environment({**self.environment, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.directory)
        assert done.returncode == 0, (script, done.stdout)

    def write(self) -> None:
        self.prepare()
        kind = "conf" if "minimal" in self.variant.name else "site"
        folder = {"conf": "conf-available", "site": "sites-available"}[kind]
        (self.etc / folder / "snacgi.conf").write_text(self.site)
        self.shell(f"a2enmod {' '.join(MODULES[self.variant.template])}\n" +
                   ("a2dissite 000-default\na2ensite snacgi" if kind == "site" else "a2enconf snacgi"))

    def command(self) -> list[str]:
        return [program("apache2"), "-d", str(self.etc), "-f", str(self.etc / "apache2.conf"), "-DFOREGROUND"]

    def errors(self) -> str:
        lines = [line for line in open(self.directory / "error.log", errors="replace")
                 if ("exit signal" in line or ":emerg]" in line or ":alert]" in line)
                 and "mod_fcgid: server is restarted" not in line]  # is how it calls a reload
        if "fcgid" in self.variant.name:
            # One of Apache's own, in a graceful restart or at its end, on a busy machine: seen with mod_fcgid alone.
            crashed = [line for line in lines if "AH00052" in line and "Segmentation fault" in line]
            if crashed:
                warnings.warn("".join(crashed))
            lines = [line for line in lines if line not in crashed]
        return "".join(lines)

    def stop_and_start_snacgi(self) -> str:
        if self.daemon is not None:
            return super().stop_and_start_snacgi()
        # mod_fcgid's own processes: it starts others.
        old = self.snacgis()
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not set(old) & set(self.snacgis()), "the end of the old processes")
        wait_until(lambda: self.browser.get("/users/1").status == 200, "an answer of a new one")
        return "new processes"
