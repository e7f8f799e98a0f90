# SPDX-License-Identifier: MIT
"""A user of Apache who types the lines of README and deploy/apache, and no others, gets a
working endpoint. Changed are the port, and where things are on this machine."""

from __future__ import annotations

import grp
import os
import re
from pathlib import Path
from typing import Callable, ContextManager

from apache import Apache
from daemon import SRC, Daemon
from fronts import VARIANTS, Front

APACHE = next(v for v in VARIANTS if v.name == "apache")


def block(page: str, pattern: str) -> str:
    return next(b for b in re.findall(r"^```\w*\n(.*?)^```$", (SRC / page).read_text(), re.M | re.S) if re.search(pattern, b))


class Newcomer(Apache):
    def behind(self) -> Path:
        """README's first endpoint, started with the lines of deploy/apache."""
        (self.directory / "python").mkdir()
        (self.directory / "python" / "app.py").write_text(block("README.md", r"def get_user"))
        script = self.here(block("deploy/apache/README.md", r"(?m)^snacgi -c"))
        made = re.fullmatch(r"install -d \S+\ncat > app.conf <<'END'\n(.*)END\nsnacgi -c app.conf\n", script, re.S)
        assert made, script
        self.daemon = Daemon(self.directory, listen=["fastcgi+unix"], app=None, native=(), supervisor=True, probe="/users/1")
        self.daemon.conf_file.write_text(made[1].replace('"www-data"', f'"{self.group()}"'))
        return self.daemon.conf_file

    def here(self, text: str) -> str:
        """The one thing that is changed in both: where the socket is."""
        assert "/run/snacgi/snacgi.sock" in text
        return text.replace("/run/snacgi/snacgi.sock", f"{self.directory}/snacgi0.sock")

    @staticmethod
    def group() -> str:
        return "www-data" if os.getuid() == 0 else grp.getgrgid(os.getgid()).gr_name

    def printed(self) -> str:
        text = (SRC / "deploy" / "apache" / "snacgi.conf").read_text()
        return self.here(text.replace("*:80", f"*:{self.port}"))

    def write(self) -> None:
        self.prepare()
        (self.directory / "snacgi.conf").write_text(self.site)
        script = block("deploy/apache/README.md", r"^a2enmod")
        for old, new in (("/etc/apache2", str(self.etc)), ("apachectl configtest", f"apache2 -t -d {self.etc}"), ("systemctl reload apache2", "true")):
            assert old in script, old
            script = script.replace(old, new)
        self.shell(script)

    def up(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log()
        try:
            return self.browser.get("/users/7").status == 200
        except OSError:
            return False


def test_apache_newcomer(another: Callable[..., ContextManager[Front]]) -> None:
    with another(APACHE, Newcomer) as front:
        answer = front.browser.get("/users/7")
        assert (answer.status, answer.body) == (200, b'{"user_id":7}')
        assert front.browser.get("/users/x").status == 404
