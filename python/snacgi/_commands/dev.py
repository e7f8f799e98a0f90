# SPDX-License-Identifier: MIT
"""`snacgi dev`: serves an application while it is written. The listening socket
is held here and handed to one daemon after the other, so that a browser's
request waits for the new one instead of failing; what does not start is shown in
the browser as well, and tried again when a file changes."""

from __future__ import annotations

import argparse
import html
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Optional

from . import daemon, watch
from .front import Front

_LOOK = 0.3   # seconds between two looks at the files
_DRAIN = 1.0  # seconds that running requests have when a file has changed
_STOP = 10.0  # seconds that a daemon has to end
_FIRST_PORT = 8000

# Stands in for an application that does not start. A page that comes back by itself.
_FAILED = '''\
from snacgi import Response, route

def page(request):
    return Response({page!r}, 500, {{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}})

for rule in ("/", "/<path:anything>"):
    route(rule, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])(page)
'''
_PAGE = '''<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="refresh" content="1"><title>The application does not start</title></head>
<body>
<h1>The application does not start</h1>
<p>This page goes away when it does.</p>
<pre>{text}</pre>
</body>
</html>
'''


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="snacgi dev", description="Serves an application behind a private web server while it is written: "
        "started again when a file changes, errors with their traceback in the browser.")
    out.add_argument("app", nargs="?", metavar="FILE|DIR", help="a module or a directory of modules (default: python, or app.py)")
    daemon.add_options(out)
    out.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    out.add_argument("--port", type=int, default=0, help=f"default: {_FIRST_PORT}, or the next that is free")
    out.add_argument("--server", choices=("nginx", "caddy"), help="default: the one that is installed, nginx first")
    return out


def say(text: str) -> None:
    sys.stderr.write(f" * {text}\n")
    sys.stderr.flush()


def free_port(host: str, wanted: int) -> int:
    """`wanted`, or where that is 0 the first free one from 8000 on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in [wanted] if wanted else range(_FIRST_PORT, _FIRST_PORT + 1000):
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((host, port))
            except OSError as error:
                if wanted:
                    daemon.fail(f"port {port} of {host}: {error.strerror}; choose another with --port, or leave it out")
                continue
            return port
    daemon.fail(f"no port is free from {_FIRST_PORT} on; choose one with --port")


class Child:
    """One daemon on the socket; what it writes goes on to the terminal, and its end is kept."""

    def __init__(self, sock: socket.socket, options: list[str]) -> None:
        self.lines: deque[str] = deque(maxlen=200)
        self.process = subprocess.Popen(
            [daemon.program(), "serve", "-l", f"fastcgi:fd:{sock.fileno()}", "--debug", *options],
            pass_fds=[sock.fileno()], stdin=subprocess.DEVNULL, stdout=None, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            text = line.decode(errors="replace")
            self.lines.append(text)
            sys.stderr.write(text)
            sys.stderr.flush()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        # The second order hurries it: what waits for ever, an event stream, is answered or cut.
        for patience in (_DRAIN, _STOP):
            self.process.terminate()
            try:
                self.process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                pass
        else:
            self.process.kill()
            self.process.wait()
        self.reader.join(1)


class Dev:
    def __init__(self, given: argparse.Namespace, tmp: Path) -> None:
        self.tmp = tmp
        self.options = daemon.serve_options(given)
        self.path = tmp / "s"
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(self.path))
        self.sock.listen(128)
        self.roots = [Path(given.python_dir or "python")]
        if given.config:
            self.roots += [Path(given.config), Path(given.config).resolve().parent]
        self.child: Optional[Child] = None
        self.stand_in = False

    def start(self) -> None:
        self.child = Child(self.sock, self.options)
        self.stand_in = False

    def show_failure(self) -> None:
        """The daemon has ended by itself: a stand-in tells the browser why."""
        assert self.child is not None
        self.child.reader.join(1)
        code = self.child.process.returncode
        if self.stand_in:
            daemon.fail(f"even the page that shows the failure does not start (exit status {code})")
        if code < 0:
            self.child.lines.append(f"ended by {signal.Signals(-code).name}")
        text = "".join(self.child.lines)
        folder = self.tmp / "failed"
        folder.mkdir(exist_ok=True)
        (folder / "failed.py").write_text(_FAILED.format(page=_PAGE.format(text=html.escape(text))))
        say("The application does not run; it is started again when a file changes.")
        self.child = Child(self.sock, ["--no-supervisor", "--private", "--python-dir", str(folder)])
        self.stand_in = True

    def run(self, front: Front) -> None:
        self.start()
        seen = watch.look(self.roots)
        while True:
            time.sleep(_LOOK)
            front.check()
            assert self.child is not None
            now = watch.look(self.roots)
            files = watch.changed(seen, now)
            seen = now
            if files:
                more = f" and {len(files) - 1} more" if len(files) > 1 else ""
                say(f"{os.path.relpath(files[0])}{more} changed: starting again")
                self.child.stop()
                self.start()
            elif self.child.ended():
                self.show_failure()

    def stop(self) -> None:
        if self.child:
            self.child.stop()
        self.sock.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    daemon.take_application(given, given.app)
    daemon.take_application_here(given, "a module or a directory of modules")
    for number in (signal.SIGINT, signal.SIGTERM):  # the first may come to us ignored
        signal.signal(number, _interrupt)
    port = free_port(given.host, given.port)
    with tempfile.TemporaryDirectory(prefix="snacgi-dev-") as name:
        dev = Dev(given, Path(name))
        front = None
        try:
            front = Front(given.server, given.host, port, dev.path, Path(name))
            front.wait(given.host, port)
            shown = f"[{given.host}]" if ":" in given.host else given.host
            say(f"http://{shown}:{port}/  (behind {front.name}; Ctrl-C stops)")
            dev.run(front)
        except KeyboardInterrupt:
            say("Stopping.")
        finally:
            if front:
                front.stop()
            dev.stop()
    return 0
