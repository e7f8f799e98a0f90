# SPDX-License-Identifier: MIT
"""`snacgi request`: one request through the application, native routes
included, without a web server. A daemon is started for it alone, and ended."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from . import daemon, fastcgi

_PATIENCE = 120.0  # seconds for imports, the answer, and the daemon's end


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="snacgi request", description="Asks the application one request, without a web server: the body of the "
        "answer goes to standard output, its head and the log to standard error.",
        epilog="Ends with 0 below status 400, else with 1.")
    daemon.add_options(out)
    out.add_argument("--app", metavar="FILE|DIR", help="a module or a directory of modules (default: python, or app.py)")
    out.add_argument("-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="repeatable")
    out.add_argument("-d", "--data", metavar="TEXT", help="the body; @FILE: a file's, @-: standard input's; JSON "
                     "unless a Content-Type header says otherwise")
    out.add_argument("-q", "--quiet", action="store_true", help="neither head nor log")
    out.add_argument("method", metavar="METHOD", help="GET, POST, ...")
    out.add_argument("path", metavar="PATH", help="with a query perhaps: '/users/7?full=1'")
    return out


def body_of(data: str | None) -> bytes:
    if data is None:
        return b""
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    if data == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        daemon.fail(f"-d {data}: {error.strerror}; a text that begins with @ names a file")


def headers_of(lines: list[str], body: bytes) -> list[tuple[str, str]]:
    out = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            daemon.fail(f"-H '{line}' is not 'Name: value'")
        out.append((name.strip(), value.strip()))
    if body and not any(name.lower() == "content-type" for name, _ in out):
        out.append(("Content-Type", "application/json"))
    return out


def start(path: Path, options: list[str], log: BinaryIO) -> subprocess.Popen[bytes]:
    """The daemon on a socket that listens already: a request waits in its backlog until the
    application is imported, and is refused at once when the daemon has ended."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen(8)
        return subprocess.Popen([daemon.program(), "serve", "-l", f"fastcgi:fd:{sock.fileno()}", *options],
                                pass_fds=[sock.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def main(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    daemon.take_application(given, given.app)
    daemon.take_application_here(given, "one with --app, or its configuration with -c")
    if not given.path.startswith("/"):
        daemon.fail(f"a path begins with /: '/{given.path}'")
    body = body_of(given.data)
    headers = headers_of(given.header, body)
    with tempfile.TemporaryDirectory(prefix="snacgi-") as tmp, open(Path(tmp) / "log", "w+b") as log:
        path = Path(tmp) / "s"
        child = start(path, daemon.serve_options(given), log)
        answer, why = None, ""
        try:
            answer = fastcgi.ask(str(path), given.method.upper(), given.path, headers, body, _PATIENCE)
        except OSError as error:
            why = str(error)
        finally:
            child.terminate()
            try:
                child.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            log.seek(0)
            text = log.read()
            if answer is None or not given.quiet:
                sys.stderr.buffer.write(text)
    if answer is None:
        daemon.fail(f"no answer: {why}; the log above says more")
    if not given.quiet:
        sys.stderr.write(answer.head.replace("\r\n", "\n") + "\n\n")
    sys.stderr.flush()
    sys.stdout.buffer.write(answer.body)
    sys.stdout.buffer.flush()
    return int(answer.status >= 400)
