# SPDX-License-Identifier: MIT
"""The commands for who develops an application: new, request, shell, dev."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from daemon import NATIVE, PATIENCE, PYTHON, SNACGI, SRC, environment, free_port, mortal, run, wait_until

HELLO = "from snacgi import route\n@route('/hello')\ndef hello(request):\n    return {'hello': 1}\n"


@pytest.fixture
def app(tmp: Path) -> Path:
    (tmp / "app.py").write_text(HELLO)
    return tmp / "app.py"


def with_path(tmp: Path) -> dict[str, str]:
    """`snacgi` on PATH, and pkg-config's answer for the build tree."""
    fake = tmp / "bin" / "pkg-config"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n[ \"$1\" = --libs ] || echo -I{SRC}/include\n")
    fake.chmod(0o755)
    return environment({"PATH": f"{SNACGI.parent}:{fake.parent}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"})


# ---- new ---------------------------------------------------------------------------


@pytest.mark.parametrize("native", [False, True])
def test_new_passes_its_own_tests(tmp: Path, native: bool) -> None:
    env = with_path(tmp)
    out = run("new", "begun", *(["--c"] if native else []), cwd=tmp)
    assert out.returncode == 0 and "snacgi dev" in out.stdout, out
    folder = tmp / "begun"
    if native:
        subprocess.run(["make", "-s"], cwd=folder, env=env, check=True, timeout=PATIENCE)
    got = subprocess.run([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder, env=env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2 * PATIENCE)
    assert got.returncode == 0 and f"{4 if native else 2} passed" in got.stdout, got.stdout
    checked = run("check", "-c", "snacgi.conf", cwd=folder)
    assert checked.returncode == 0, checked.stderr


def test_new_writes_over_nothing(tmp: Path) -> None:
    (tmp / "there").mkdir()
    (tmp / "there" / "app.py").write_text("mine")
    out = run("new", "there", cwd=tmp)
    assert out.returncode == 1 and "not empty" in out.stderr
    assert (tmp / "there" / "app.py").read_text() == "mine"
    out = run("new", "1 2", cwd=tmp)
    assert out.returncode == 1 and "no name" in out.stderr


# ---- request ------------------------------------------------------------------------


def test_request(tmp: Path) -> None:
    (tmp / "x.conf").write_text(f'native = {{ modules = [ "{NATIVE}" ]; }};\npython = {{ dir = "."; modules = [ "app" ]; }};\n'
                                f'pid_file = "x.pid";\nprocesses = 2;\nlog = {{ file = "x.log"; }};\n')
    (tmp / "app.py").write_text(HELLO + "@route('/echo', methods=['POST'])\ndef echo(request):\n"
                                "    return {'body': request.body, 'x': request.headers.get('X-Y')}\n"
                                "@route('/fails')\ndef fails(request):\n    1 / 0\n")
    out = run("request", "-c", "x.conf", "GET", "/native/hello", cwd=tmp)
    assert (out.returncode, out.stdout) == (0, '{"hello":"native"}'), out
    assert "Status: 200" in out.stderr
    assert not (tmp / "x.pid").exists() and not (tmp / "x.log").exists(), "in the way of the running server"
    out = run("request", "-q", "-c", "x.conf", "-d", '{"a":1}', "-H", "X-Y: z", "post", "/echo?q=1", cwd=tmp)
    assert (out.returncode, out.stdout, out.stderr) == (0, '{"body":{"a":1},"x":"z"}', ""), out
    with open(tmp / "body", "w+") as body:
        body.write("[2]")
        body.seek(0)
        out = run("request", "-q", "-c", "x.conf", "-d", "@-", "POST", "/echo", cwd=tmp, stdin=body)
    assert out.stdout == '{"body":[2],"x":null}', out
    out = run("request", "-c", "x.conf", "GET", "/fails", cwd=tmp)
    assert out.returncode == 1 and '"status":500' in out.stdout and "ZeroDivisionError" in out.stderr
    out = run("request", "-c", "x.conf", "GET", "/nowhere", cwd=tmp)
    assert out.returncode == 1 and '"status":404' in out.stdout


def test_request_says_what_is_wrong(app: Path) -> None:
    out = run("request", "--app", "app.py", "GET", "hello", cwd=app.parent)
    assert out.returncode == 1 and "begins with /" in out.stderr
    out = run("request", "--app", "app.py", "-H", "no colon", "GET", "/hello", cwd=app.parent)
    assert out.returncode == 1 and "Name: value" in out.stderr
    out = run("request", "-q", "GET", "/hello", cwd=app.parent)
    assert (out.returncode, out.stdout) == (0, '{"hello":1}'), "app.py, where nothing is named"
    (app.parent / "empty").mkdir()
    out = run("request", "GET", "/hello", cwd=app.parent / "empty")
    assert out.returncode == 1 and "neither a directory python nor app.py" in out.stderr and "--app" in out.stderr
    out = run("request", "--app", "none.py", "GET", "/", cwd=app.parent)
    assert out.returncode == 1 and "snacgi new" in out.stderr
    app.write_text("def (\n")
    out = run("request", "-q", "--app", "app.py", "GET", "/hello", cwd=app.parent)
    assert out.returncode == 1 and "SyntaxError" in out.stderr and out.stdout == ""
    out = run("request", "GET")
    assert out.returncode == 2 and "usage: snacgi request" in out.stderr


# ---- shell ----------------------------------------------------------------------------


def test_shell(app: Path) -> None:
    out = run("shell", "app.py", "-e", "print(client.get('/hello').json, app.hello.__name__)", cwd=app.parent)
    assert (out.returncode, out.stdout) == (0, "{'hello': 1} hello\n"), out
    out = run("shell", "app.py", cwd=app.parent, stdin=None, input="print(client.get('/hello').status_code + 1)\n")
    assert out.returncode == 0 and "201" in out.stdout and "Imported: app" in out.stderr
    out = run("shell", "-e", "1 / 0", cwd=app.parent)
    assert out.returncode == 1 and out.stderr.startswith("Traceback") and "_commands" not in out.stderr and "ZeroDivisionError" in out.stderr
    (app.parent / "bad.py").write_text("x = (\n")
    out = run("shell", "bad.py", cwd=app.parent)
    assert out.returncode == 1 and "SyntaxError" in out.stderr and "_commands" not in out.stderr
    assert out.stderr.endswith("snacgi: module bad could not be imported\n")
    (app.parent / "bad.py").unlink()
    out = run("shell", "--venv", "none", "app.py", cwd=app.parent)
    assert out.returncode == 1 and "-m venv none" in out.stderr


def test_python_path() -> None:
    out = run("--python-path")
    assert out.returncode == 0 and (Path(out.stdout.strip()) / "snacgi" / "__init__.py").exists()


# ---- dev ------------------------------------------------------------------------------


class Dev:
    """`snacgi dev` until the test has seen enough."""

    def __init__(self, app: Path, server: str, env: dict[str, str | None] | None) -> None:
        self.log = app.parent / "dev.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(SNACGI), "dev", str(app), "--server", server, "--port", str(free_port())], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=app.parent, env=environment(env), start_new_session=True)
        self.url = ""

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_url(self) -> None:
        def found() -> Any:
            assert self.process.poll() is None, self.text()
            return re.search(r"http://\S+", self.text())

        self.url = wait_until(found, "the address").group()

    def get(self, path: str, accept: str = "text/html") -> tuple[int, str]:
        request = urllib.request.Request(self.url.rstrip("/") + path, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError):  # there is no web server
            return 0, ""

    def wait_for(self, path: str, status: int, pattern: str) -> str:
        def there() -> str:
            got, text = self.get(path)
            return text if got == status and re.search(pattern, text) else ""

        answer: str = wait_until(there, f"{status} {pattern} at {path}; {self.text()}")
        return answer

    def stop(self) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)  # as the terminal does
        return self.process.wait(PATIENCE)


@pytest.fixture
def dev(app: Path) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def start(server: str, env: dict[str, str | None] | None = None) -> Dev:
        started.append(Dev(app, server, env))
        return started[-1]

    yield start
    for one in started:
        try:
            one.stop()
        finally:
            sys.stderr.write(one.text()[-6000:])


@pytest.mark.parametrize("server", ["nginx", "caddy"])
def test_dev(app: Path, dev: Callable[..., Dev], server: str) -> None:
    one = dev(server, mortal())
    one.wait_url()
    # No waiting: who reads the address may use it.
    assert one.get("/hello") == (200, '{"hello":1}')
    app.write_text(HELLO.replace("1}", "22}"))
    one.wait_for("/hello", 200, '"hello":22')
    app.write_text("def (\n" + HELLO)
    page = one.wait_for("/hello", 500, "SyntaxError")
    assert "does not start" in page and 'http-equiv="refresh"' in page
    app.write_text(HELLO.replace("1}", "1/0}"))
    page = one.wait_for("/hello", 500, "ZeroDivisionError")
    assert "app.py&quot;, line 4, in hello" in page
    app.write_text(HELLO.replace("return", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV); return"))
    one.wait_for("/hello", 500, "ended by SIGSEGV")
    app.write_text(HELLO)
    one.wait_for("/hello", 200, '"hello":1')
    assert one.stop() == 0, one.text()
    assert one.get("/hello") == (0, ""), "the web server outlived it"


WAITS = """import asyncio, pathlib
@route('/waits')
async def waits(request):
    pathlib.Path('waiting').touch()
    await asyncio.sleep(1000)
"""


def test_dev_waits_for_no_handler(app: Path, dev: Callable[..., Dev]) -> None:
    """A request that takes for ever, an event stream say, is told so: the new code comes."""
    app.write_text(HELLO + WAITS)
    one = dev("nginx")
    one.wait_url()
    with ThreadPoolExecutor(1) as browser:
        waiting = browser.submit(one.get, "/waits", "application/json")
        wait_until((app.parent / "waiting").exists, "the handler")
        app.write_text(HELLO.replace("1}", "22}"))
        one.wait_for("/hello", 200, '"hello":22')
        status, text = waiting.result(PATIENCE)
    assert status == 503 and "stopping" in text, "it was killed: %d %s" % (status, text)


def test_dev_says_what_is_wrong(app: Path, tmp: Path) -> None:
    (tmp / "empty").mkdir()
    out = run("dev", cwd=tmp / "empty")
    assert out.returncode == 1 and "neither a directory python nor app.py" in out.stderr
    out = run("dev", "app.py", "--port", "1", "--host", "192.0.2.1", cwd=tmp)  # nobody's address
    assert out.returncode == 1 and "port 1 of 192.0.2.1" in out.stderr and "--port" in out.stderr
