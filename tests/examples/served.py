# SPDX-License-Identifier: MIT
"""An example as its README starts it, with its own snacgi.conf, behind nginx. Changed is
the place of the socket."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from daemon import BUILD, SRC, Daemon
from test_nginx import Nginx

EXAMPLES = SRC / "examples"


def copied(name: str, tmp: Path) -> Path:
    """The example in a folder of its own, with what its Makefile makes."""
    folder = tmp / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("*.so", "*.la", "*.lo", "*.o", ".*", "__pycache__"))
    for path in (folder, *folder.iterdir()):  # a distributed tree may be read-only
        path.chmod(0o755)
    for made in (BUILD / "examples" / name).glob("*.so"):
        shutil.copy(made, folder)
    return folder


class Served:
    def __init__(self, tmp: Path, name: str, probe: str, env: dict[str, str | None] | None = None) -> None:
        self.folder = copied(name, tmp)
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

    def upload(self, target: str, csv: str) -> tuple[int, Any]:
        body = f'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n{csv}\r\n--b--\r\n'
        status, answer, _ = self.nginx.ask("POST", target, body.encode(), {"Content-Type": "multipart/form-data; boundary=b"})
        return status, json.loads(answer)

    def json(self, method: str, target: str, value: Any = None) -> tuple[int, Any]:
        body = None if value is None else json.dumps(value).encode()
        status, answer, headers = self.nginx.ask(method, target, body, {"Content-Type": "application/json"} if body else {})
        assert not answer or headers["Content-Type"] == "application/json", answer
        return status, json.loads(answer) if answer else None
