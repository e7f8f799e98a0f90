# SPDX-License-Identifier: MIT
"""An example as its README starts it, with its own snacgi.conf, behind nginx. Changed is
the place of the socket."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from daemon import SRC, Daemon
from test_nginx import Nginx

EXAMPLES = SRC / "examples"


class Served:
    def __init__(self, tmp: Path, name: str, probe: str, env: dict[str, str | None] | None = None) -> None:
        self.folder = tmp / name
        shutil.copytree(EXAMPLES / name, self.folder)
        self.daemon = Daemon(tmp, app=None, native=(), supervisor=True, probe=probe, env=env)
        self.daemon.python = True
        conf = self.folder / "snacgi.conf"
        theirs, ours = f"unix:/tmp/{name}.sock", self.daemon.addresses[0].spec()
        assert theirs in conf.read_text()
        conf.write_text(conf.read_text().replace(theirs, ours))
        self.daemon.command[self.daemon.command.index("-c") + 1] = str(conf)

    def start(self) -> "Served":
        self.daemon.start()
        try:
            self.nginx = Nginx(self.daemon.tmp / "nginx", str(self.daemon.addresses[0].path), "kept")
        except BaseException:
            self.daemon.kill()
            raise
        return self

    def stop(self) -> None:
        try:
            self.nginx.stop()
        finally:
            self.daemon.stop()

    def json(self, method: str, target: str, value: Any = None) -> tuple[int, Any]:
        body = None if value is None else json.dumps(value).encode()
        status, answer, headers = self.nginx.ask(method, target, body, {"Content-Type": "application/json"} if body else {})
        assert not answer or headers["Content-Type"] == "application/json", answer
        return status, json.loads(answer) if answer else None
