# SPDX-License-Identifier: MIT
"""The command line and the configuration file, as the manual promises them."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import APPS, BUILD, NATIVE, PYTHON, SRC, Daemon, StartError, configuration, run
from wire import Address

Snacgi = Callable[..., Daemon]


def write(tmp: Path, text: str, name: str = "x.conf") -> Path:
    path = tmp / name
    path.write_text(text)
    return path


def app(tmp: Path, source: str, name: str = "app", folder: str = "py") -> Path:
    (tmp / folder).mkdir(exist_ok=True)
    (tmp / folder / f"{name}.py").write_text(source)
    return tmp / folder


HELLO = "from snacgi import route\n@route('/x')\ndef x(request):\n    return {}\n"


# ---- --version, --help, wrong usage ---------------------------------------------


def test_version() -> None:
    out = run("--version")
    assert out.returncode == 0 and out.stderr == ""
    version = re.search(r"\d+\.\d+\.\d+", out.stdout)
    assert version and out.stdout.startswith("snacgi")
    assert f"AC_INIT([snacgi], [{version.group()}]" in (SRC / "configure.ac").read_text()


def test_help() -> None:
    out = run("--help")
    assert out.returncode == 0 and out.stderr == ""
    for word in ("serve", "check", "routes", "print-config", "-c", "-l", "--listen", "--python-dir", "--module", "--venv", "--processes",
                 "--io-threads", "--dispatch-workers", "--pool-workers", "--queue", "--no-supervisor", "--version", "--help"):
        assert word in out.stdout, word


@pytest.mark.parametrize("args,word", [
    (["--no-such-option"], "--no-such-option"),
    (["-c"], "-c"),
    (["fly"], "fly"),
    (["--processes", "many"], "processes"),
    (["--processes=2", "--no-supervisor", "-l", "unix:x.sock"], "no-supervisor"),
    (["-c", "does-not-exist.conf"], "does-not-exist.conf"),
    (["-l", "carrier-pigeon:9000"], "carrier-pigeon"),
    (["-l", "fastcgi:unix:" + "x" * 200], "x"),
    (["-l", "127.0.0.1:99999"], "99999"),
    (["--queue", "0", "-l", "unix:x.sock"], "queue"),
    (["--python-dir", "no-such-dir", "-l", "unix:x.sock"], "no-such-dir"),
    (["--venv", "no-such-venv", "-l", "unix:x.sock", "--python-dir", "."], "no-such-venv"),
])
def test_wrong_usage(tmp: Path, args: list[str], word: str) -> None:
    out = run(*args, cwd=tmp)
    assert out.returncode != 0 and out.returncode > 0, out
    assert word in out.stderr, out.stderr
    assert out.stdout == ""
    assert not (tmp / "x.sock").exists(), "half started"


def test_no_listener_says_what_to_do(tmp: Path) -> None:
    out = run(cwd=tmp)
    assert out.returncode > 0
    assert "-l" in out.stderr or "--listen" in out.stderr
    assert run("serve", cwd=tmp).returncode > 0


# ---- configuration errors ---------------------------------------------------------


BASE = 'listen = ( { protocol = "fastcgi"; address = "unix:x.sock"; } );\n'


@pytest.mark.parametrize("text,line,words", [
    ("listenn = 1;\n", 2, ["listenn", "listen"]),
    ("limits = {\n  boddy = 3;\n};\n", 3, ["boddy", "body"]),
    ('limits = { body = "16 parsecs"; };\n', 2, ["body"]),
    ("limits = {\n\n  body = 3000000000;\n};\n", 4, ["3000000000L"]),
    ("limits = { body = -5; };\n", 2, ["body"]),
    ('queue = "many";\n', 2, ["queue"]),
    ("queue = 0;\n", 2, ["queue"]),
    ("processes = -1;\n", 2, ["processes"]),
    ("timeouts = { read = -1.0; };\n", 2, ["read"]),
    ('timeouts = { read = "soon"; };\n', 2, ["read"]),
    ("debug = 1;\n", 2, ["debug"]),
    ('log = { level = "loud"; };\n', 2, ["level"]),
    ('python = { json = "yaml"; };\n', 2, ["json"]),
    ("python = { dispatch_workers = 0; };\n", 2, ["dispatch_workers"]),
    ("python = 5;\n", 2, ["python"]),
    ("limits = {\n  body = ;\n};\n", 3, []),
    ("this is not libconfig\n", 2, []),
])
def test_configuration_errors(tmp: Path, text: str, line: int, words: list[str]) -> None:
    conf = write(tmp, BASE + text)
    for command in ("check", "serve"):
        out = run(command, "-c", conf, cwd=tmp)
        assert out.returncode > 0, out
        assert f"{conf}:{line}" in out.stderr or f"{conf.name}:{line}" in out.stderr, out.stderr
        for word in words:
            assert word in out.stderr, (word, out.stderr)
        assert not (tmp / "x.sock").exists()


@pytest.mark.parametrize("listener,words", [
    ({"protocol": "http", "address": "unix:x.sock"}, ["http"]),
    ({"protocol": "fastcgi"}, ["address"]),
    ({"protocol": "fastcgi", "address": "nowhere"}, ["nowhere"]),
    ({"protocol": "fastcgi", "address": "unix:x.sock", "mode": "9999"}, ["mode"]),
    ({"protocol": "fastcgi", "address": "unix:x.sock", "colour": "red"}, ["colour"]),
    ({"protocol": "fastcgi", "address": "unix:x.sock", "allow": ["10.0.0.0/8"]}, ["allow"]),
    ({"protocol": "fastcgi", "address": "127.0.0.1:0", "allow": ["10.0.0.0/80"]}, ["10.0.0.0/80"]),
    ({"protocol": "fastcgi", "address": "unix:x.sock", "path": "guess"}, ["path"]),
    ({"protocol": "fastcgi", "address": "unix:x.sock", "prefix": "app"}, ["prefix"]),
    ({"protocol": "fastcgi", "address": "unix:x.sock", "group": "no-such-group-at-all"}, ["no-such-group-at-all"]),
])
def test_listener_errors(tmp: Path, listener: dict[str, Any], words: list[str]) -> None:
    out = run("serve", "-c", write(tmp, configuration({"listen": [listener]})), cwd=tmp)
    assert out.returncode > 0, out
    for word in words:
        assert word in out.stderr, (word, out.stderr)
    assert not (tmp / "x.sock").exists()


def test_many_errors_at_once(tmp: Path) -> None:
    conf = write(tmp, BASE + 'queue = "x";\nprocesses = "y";\nlimits = { boddy = 1; };\n')
    out = run("check", "-c", conf, cwd=tmp)
    for line in (2, 3, 4):
        assert f"x.conf:{line}" in out.stderr, out.stderr


def test_options_override_the_file(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(conf={"queue": 7, "io_threads": 1}, args=["--queue", "9", "-l", f"unix:{tmp}/other.sock"], wait=False)
    old = daemon.addresses[0]
    new = Address("fastcgi", "unix", path=f"{tmp}/other.sock")
    daemon.wait_ready(new)
    assert not os.path.exists(old.path), "any -l replaces the file's list"


def test_relative_paths(tmp: Path) -> None:
    """Relative to the file in the file, to the current directory on the command line."""
    (tmp / "etc").mkdir()
    (tmp / "run").mkdir()
    app(tmp / "etc", HELLO, folder="code")
    app(tmp / "run", HELLO.replace("/x", "/y"), folder="other")
    conf = write(tmp / "etc", configuration({
        "listen": [{"protocol": "fastcgi", "address": "unix:file.sock"}], "python": {"dir": "code"}}))
    out = run("routes", "-c", conf, cwd=tmp / "run")
    assert out.returncode == 0 and "/x" in out.stdout, out
    out = run("routes", "-c", conf, "--python-dir", "other", cwd=tmp / "run")
    assert out.returncode == 0 and "/y" in out.stdout and "/x" not in out.stdout, out


# ---- the Python directory and modules ------------------------------------------------


def test_default_python_directory_missing(tmp: Path) -> None:
    """No ./python: Python does not start, native endpoints are served."""
    conf = write(tmp, configuration({
        "listen": [{"protocol": "fastcgi", "address": f"unix:{tmp}/n.sock"}], "native": {"modules": [str(NATIVE)]}}))
    out = run("routes", "-c", conf, cwd=tmp)
    assert out.returncode == 0 and "/native/hello" in out.stdout, out
    out = run("check", "-c", conf, cwd=tmp)
    assert out.returncode == 0, out


def test_named_python_directory_missing(tmp: Path) -> None:
    conf = write(tmp, configuration({
        "listen": [{"protocol": "fastcgi", "address": f"unix:{tmp}/n.sock"}], "python": {"dir": "not-here"}}))
    for command in ("serve", "check", "routes"):
        out = run(command, "-c", conf, cwd=tmp)
        assert out.returncode > 0 and "not-here" in out.stderr, out


def test_default_python_directory(tmp: Path) -> None:
    """./python beside the configuration file is found without being named; every module of
    it counts but private ones and tests."""
    for name in ("app", "_private", "test_app", "app_test", "conftest", "setup"):
        app(tmp, HELLO.replace("/x", f"/{name}"), name, "python")
    package = tmp / "python" / "package"
    package.mkdir()
    (package / "__init__.py").write_text(HELLO.replace("/x", "/package"))
    conf = write(tmp, BASE)
    out = run("routes", "-c", conf, cwd="/")
    assert out.returncode == 0, out
    found = set(re.findall(r"(?<=\s)/\w+", " " + out.stdout))
    assert {"/app", "/package"} <= found
    assert not found & {"/_private", "/test_app", "/app_test", "/conftest", "/setup"}, out.stdout


def test_named_modules_only(tmp: Path) -> None:
    code = app(tmp, HELLO)
    app(tmp, HELLO.replace("/x", "/other"), "other")
    app(tmp, "raise RuntimeError('not to be imported')", "never")
    out = run("routes", "--python-dir", code, "--module", "app", "--module", "other", cwd=tmp)
    assert out.returncode == 0 and "/x" in out.stdout and "/other" in out.stdout, out
    out = run("routes", "--python-dir", code, "--module", "missing_one", cwd=tmp)
    assert out.returncode > 0 and "missing_one" in out.stderr, out


@pytest.mark.parametrize("source,words", [
    ("import no_such_module_at_all\n", ["no_such_module_at_all", "Traceback", "app.py"]),
    ("def f(:\n", ["SyntaxError", "app.py"]),
    ("raise RuntimeError('why it fails')\n", ["why it fails", "Traceback"]),
    ("import sys\nsys.exit(0)\n", ["SystemExit"]),
    ("from snacgi import route\n@route('/a/<int>')\ndef a(r): pass\n", ["/a/<int>"]),
    ("from snacgi import route\n@route('a')\ndef a(r): pass\n", ["'a'"]),
    ("from snacgi import route\n@route('/a', methods='GET')\ndef a(r): pass\n", ["methods"]),
    ("from snacgi import route\n@route('/a')\ndef a(r): pass\n@route('/a')\ndef b(r): pass\n", ["/a", "app.py"]),
    ("from snacgi import route\n@route('/a', use_process_pool=True)\ndef a(r): pass\n", ["pool"]),
])
def test_import_error_stops_the_start(snacgi: Snacgi, tmp: Path, source: str, words: list[str]) -> None:
    code = app(tmp, source)
    out = run("check", "--python-dir", code, "-l", f"unix:{tmp}/c.sock", cwd=tmp)
    assert out.returncode > 0, out
    for word in words:
        assert word in out.stdout + out.stderr, (word, out)
    for supervisor in (False, True):
        daemon = Daemon(tmp, app=code, supervisor=supervisor, name=f"s{int(supervisor)}")
        with pytest.raises(StartError) as error:
            daemon.start()
        assert daemon.process is not None and daemon.process.returncode > 0
        for word in words:
            assert word in str(error.value), word
        assert not os.path.exists(daemon.addresses[0].path), "half started"
        daemon.check_log()


# ---- venv ---------------------------------------------------------------------------------


def make_venv(tmp: Path, version: str, site: str | None = None, home: str | None = None, name: str = "venv") -> Path:
    venv = tmp / name
    (venv / "bin").mkdir(parents=True)
    os.symlink(PYTHON, venv / "bin" / "python")
    minor = ".".join(version.split(".")[:2])
    (venv / "lib" / f"python{site or minor}" / "site-packages").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(
        f"home = {home or os.path.dirname(os.path.realpath(PYTHON))}\ninclude-system-site-packages = false\nversion = {version}\n")
    return venv


def linked_version() -> str:
    return subprocess.run([PYTHON, "-c", "import platform; print(platform.python_version())"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def test_venv(snacgi: Snacgi, tmp: Path) -> None:
    version = linked_version()
    venv = make_venv(tmp, version)
    site = venv / "lib" / f"python{'.'.join(version.split('.')[:2])}" / "site-packages"
    (site / "only_in_the_venv.py").write_text("WORD = 'from the venv'\n")
    code = app(tmp, """
import sys, only_in_the_venv
from snacgi import route

def where():
    import sys, only_in_the_venv
    return [sys.prefix, only_in_the_venv.WORD]

@route('/venv', use_process_pool=True)
def venv(request, pool):
    return {"prefix": sys.prefix, "executable": sys.executable, "word": only_in_the_venv.WORD, "pool": pool.submit(where).result()}
""")
    daemon = snacgi(app=code, conf={"python": {"venv": str(venv)}})
    assert daemon.get("/venv").json() == {"prefix": str(venv), "executable": str(venv / "bin" / "python"),
                                          "word": "from the venv", "pool": [str(venv), "from the venv"]}
    assert str(venv) in daemon.log(), "the start log names the prefix"


@pytest.mark.parametrize("broken,words", [
    ("version", ["3.7", "venv"]),
    ("site", ["site-packages"]),
    ("cfg", ["pyvenv.cfg"]),
    ("python", ["bin/python"]),
])
def test_venv_mismatch(tmp: Path, broken: str, words: list[str]) -> None:
    """Refused before Python starts, with the fix, instead of silently without its packages."""
    code = app(tmp, HELLO)
    version = linked_version()
    venv = make_venv(tmp, "3.7.3" if broken == "version" else version, "3.7" if broken in ("site", "version") else None)
    if broken == "cfg":
        (venv / "pyvenv.cfg").unlink()
    if broken == "python":
        (venv / "bin" / "python").unlink()
    for command in ("check", "serve"):
        out = run(command, "--python-dir", code, "--venv", venv, "-l", f"unix:{tmp}/v.sock", cwd=tmp)
        assert out.returncode > 0, out
        for word in words:
            assert word in out.stderr + out.stdout, (word, out)
        assert not (tmp / "v.sock").exists()


def test_venv_of_another_home_is_a_warning(tmp: Path) -> None:
    code = app(tmp, HELLO)
    venv = make_venv(tmp, linked_version(), home="/opt/other/bin")
    out = run("check", "--python-dir", code, "--venv", venv, "-l", f"unix:{tmp}/v.sock", cwd=tmp)
    assert "/opt/other/bin" in out.stdout + out.stderr, out


# ---- check and routes ------------------------------------------------------------------------


def test_check_is_content(tmp: Path) -> None:
    conf = write(tmp, configuration({
        "listen": [{"protocol": "fastcgi", "address": f"unix:{tmp}/ok.sock"}],
        "python": {"dir": str(app(tmp, HELLO))}, "native": {"modules": [str(NATIVE)]}}))
    out = run("check", "-c", conf)
    assert out.returncode == 0, out
    assert not (tmp / "ok.sock").exists(), "check binds nothing"


def test_check_names_what_is_shadowed(tmp: Path) -> None:
    code = app(tmp, "from snacgi import route\n@route('/native/users/<int:other>')\ndef hidden(request):\n    return {}\n")
    out = run("check", "--python-dir", code, "-c", write(tmp, configuration({
        "listen": [{"protocol": "fastcgi", "address": f"unix:{tmp}/s.sock"}], "native": {"modules": [str(NATIVE)]}})))
    text = out.stdout + out.stderr
    assert "/native/users/<int:other>" in text and "app.py" in text, out
    assert "shadow" in text or "hidden" in text or "hides" in text, out


def test_check_finds_handlers_that_cannot_be_pickled(tmp: Path) -> None:
    code = app(tmp, """
from snacgi import route

def make():
    @route('/nested', use_process_pool=True)
    def nested(request, pool):
        return {}
    return nested

make()
""")
    out = run("check", "--python-dir", code, "-l", f"unix:{tmp}/s.sock", cwd=tmp)
    assert "nested" in out.stdout + out.stderr, out


def test_check_socket_permissions(tmp: Path) -> None:
    out = run("check", "-l", f"unix:{tmp}/no/such/folder/x.sock", cwd=tmp)
    assert out.returncode > 0 and "no/such/folder" in out.stdout + out.stderr, out


def test_routes(tmp: Path) -> None:
    """Method, rule, lane, file:line; one line each."""
    conf = write(tmp, configuration({"native": {"modules": [str(NATIVE)]}, "python": {"dir": str(APPS / "basic")}}))
    out = run("routes", "-c", conf)
    assert out.returncode == 0, out
    lines = {}
    for line in out.stdout.splitlines():
        for rule in re.findall(r"\s(/\S*)", line):
            lines.setdefault(rule, line)
    for rule, lane, method, where in [
        ("/native/hello", "native", "GET", "native_endpoints.c:"),
        ("/native/echo", "native", "POST", "native_endpoints.c:"),
        ("/users/<int:user_id>", "sync", "GET", "app.py:"),
        ("/sleep", "async", "GET", "app.py:"),
        ("/squares", "pool", "POST", "app.py:"),
    ]:
        line = lines[rule]
        assert lane in line and method in line and where in line, line
        number = int(re.search(re.escape(where) + r"(\d+)", line).group(1))  # type: ignore[union-attr]
        assert number > 1
    assert lines["/native/hello"].endswith("  Says hello.")


# ---- print-config ---------------------------------------------------------------------------


def print_config(tmp: Path, *args: str, templates: Path = SRC / "deploy" / "templates") -> subprocess.CompletedProcess[str]:
    return run("print-config", *args, cwd=tmp, env={"SNACGI_TEMPLATE_PATH": str(templates)})


def test_print_config_is_filled_in(tmp: Path) -> None:
    conf = write(tmp, configuration({
        "listen": [{"protocol": "scgi", "address": "127.0.0.1:4001"}, {"address": f"unix:{tmp}/x.sock", "prefix": "/app"}],
        "limits": {"body": "3 MiB", "head": "8 KiB"},
        "timeouts": {"request": 100.5, "read": 7.0, "idle": 40.0}}))
    text = print_config(tmp, "nginx", "-c", conf).stdout
    for piece in (f"server unix:{tmp}/x.sock;", "location /app/ {", "location ^~ /app/-/ {", "client_max_body_size 3m;", "fastcgi_read_timeout 116s;",
                  "fastcgi_send_timeout 116s;", "keepalive_timeout 32s;", "fastcgi_buffer_size 16k;"):
        assert piece in text, (piece, text)
    silent = write(tmp, configuration({"listen": [{"address": f"unix:{tmp}/x.sock"}], "timeouts": {"request": 10.0, "stream": 300.0}}), "silent.conf")
    assert "fastcgi_read_timeout 305s;" in print_config(tmp, "nginx", "-c", silent).stdout, "a stream may be silent for longer"
    assert "scgi_pass 127.0.0.1:4001;" in print_config(tmp, "nginx-scgi", "-c", conf).stdout
    assert f"unix:{tmp}/x.sock|fcgi://snacgi/app/" in print_config(tmp, "apache", "-c", conf).stdout
    assert "scgi://127.0.0.1:4001/" in print_config(tmp, "apache-scgi", "-c", conf).stdout
    assert f"-c {conf} -l fastcgi:fd:0" in print_config(tmp, "apache-fcgid", "-c", conf).stdout
    assert f"unix/{tmp}/x.sock" in print_config(tmp, "caddy", "-c", conf).stdout
    assert f'"socket" => "{tmp}/x.sock"' in print_config(tmp, "lighttpd", "-c", conf).stdout
    assert '"host" => "127.0.0.1", "port" => 4001' in print_config(tmp, "lighttpd-scgi", "-c", conf).stdout
    assert f"unix@{tmp}/x.sock" in print_config(tmp, "haproxy", "-c", conf).stdout


@pytest.mark.parametrize("listen,address", [
    ("0.0.0.0:80", "127.0.0.1:80"), (":81", "127.0.0.1:81"), ("[::]:82", "[::1]:82"), ("example.org:83", "example.org:83"),
])
def test_print_config_of_every_address(tmp: Path, listen: str, address: str) -> None:
    assert f"fastcgi_pass {address};" in print_config(tmp, "nginx-minimal", "-l", listen).stdout


@pytest.mark.parametrize("args,word", [
    ((), "nginx, nginx-minimal"),
    (("ngnix",), "nginx, nginx-minimal"),
    (("nginx", "more"), "more"),
    (("nginx", "-l", "unix:@name"), "@name"),
    (("nginx", "-l", "unix:a b.sock"), "a b.sock"),
    (("nginx", "-l", "fd:7"), "-l fastcgi:unix:"),
    (("nginx", "-l", "127.0.0.1:0"), "port"),
    (("nginx-scgi", "-l", "unix:x.sock"), 'protocol = "scgi"'),
])
def test_print_config_says_what_is_wrong(tmp: Path, args: tuple[str, ...], word: str) -> None:
    out = print_config(tmp, *args)
    assert out.returncode in (1, 2) and word in out.stderr and out.stdout == "", out


def test_print_config_templates(tmp: Path) -> None:
    """A word that is not known and templates that are not there are errors, an @ of the server's own is not."""
    (tmp / "t").mkdir()
    for text, good in (("a@b.org @private @ADDRESS@", True), ("@NONSENSE@", False)):
        (tmp / "t" / "caddy").write_text(text)
        out = print_config(tmp, "caddy", templates=tmp / "t")
        assert (out.returncode == 0) == good, out
        assert out.stdout == ("a@b.org @private unix//run/snacgi/snacgi.sock" if good else ""), out
    out = print_config(tmp, "nginx", templates=tmp / "absent")
    assert out.returncode == 1 and "SNACGI_TEMPLATE_PATH" in out.stderr, out


# ---- odds and ends --------------------------------------------------------------------------------


def test_native_module_errors(tmp: Path) -> None:
    broken = BUILD / "tests" / "integration" / ".libs" / "native_broken.so"
    not_one = write(tmp, "not an object", "text.so")
    for module, word in ((broken, "rebuild"), (not_one, "text.so"), (tmp / "absent.so", "absent.so"),
                         (BUILD / "src" / ".libs" / "nothing.so", "nothing.so")):
        conf = write(tmp, BASE + configuration({"native": {"modules": [str(module)]}}))
        for command in ("check", "serve", "routes"):
            out = run(command, "-c", conf, cwd=tmp)
            assert out.returncode > 0, (command, module)
            text = out.stdout + out.stderr
            assert word in text.lower() and os.path.basename(module) in text, out
    libc = next(Path("/lib").glob("*/libm.so.6"), None) or next(Path("/usr/lib").glob("**/libm.so.6"))
    out = run("check", "-c", write(tmp, BASE + configuration({"native": {"modules": [str(libc)]}})), cwd=tmp)
    assert out.returncode > 0, out
    assert "sn_module_entry" in out.stdout + out.stderr or "SN_MODULE" in out.stdout + out.stderr, out


def test_log_at_start(snacgi: Snacgi) -> None:
    """Every route, the Python version and prefix, listeners, and ready."""
    daemon = snacgi(listen=["fastcgi+unix", "scgi+tcp4"])
    daemon.wait_log(r"(?m)\bready\b")
    log = daemon.log()
    assert linked_version() in log
    for word in ("/native/hello", "/users/<int:user_id>", "/async/squares", daemon.addresses[0].path, str(daemon.addresses[1].port)):
        assert word in log, word


def test_log_file(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(conf={"log": {"file": str(tmp / "own.log")}})
    daemon.get("/raise/value")
    text = (tmp / "own.log").read_text()
    assert "ready" in text and "the secret of ValueError" in text


def test_access_log(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(conf={"log": {"access": str(tmp / "access.log")}})
    daemon.get("/users/7?x=1")
    daemon.get("/native/hello")
    daemon.get("/nowhere\x01\n%0a")
    daemon.stop()
    lines = (tmp / "access.log").read_text().splitlines()
    assert any("/users/7" in line and "200" in line for line in lines), lines
    assert any("/native/hello" in line for line in lines)
    assert not any("\x01" in line for line in lines), "control characters are escaped"


def test_log_injection_is_escaped(snacgi: Snacgi, tmp: Path) -> None:
    code = app(tmp, "from snacgi import route\n@route('/<path:p>')\ndef a(request):\n    raise ValueError(request.path)\n")
    daemon = snacgi(app=code)
    daemon.get("/a%0aforged: line of the log")
    assert not re.search(r"(?m)^forged: line", daemon.log())


def test_pid_file(snacgi: Snacgi, tmp: Path) -> None:
    daemon = snacgi(conf={"pid_file": str(tmp / "x.pid")}, supervisor=True)
    assert (tmp / "x.pid").read_text().strip() == str(daemon.pid)
    daemon.stop()
    assert not (tmp / "x.pid").exists()


def test_debug_shows_the_traceback(snacgi: Snacgi) -> None:
    daemon = snacgi(conf={"debug": True})
    answer = daemon.get("/raise/value")
    assert answer.status == 500
    assert "the secret of ValueError" in answer.text and "app.py" in answer.text


def test_nan_as_null(snacgi: Snacgi) -> None:
    daemon = snacgi(conf={"python": {"nan": "null"}})
    assert daemon.get("/result/nan").body == b'{"a":[1,null]}'


def test_snaxum_alias(snacgi: Snacgi, tmp: Path) -> None:
    """A handler file written for snaxum runs unchanged."""
    code = app(tmp, '''
import asyncio
from snaxum import route, Request

def compute(numbers):
    return [n * n for n in numbers]

@route('/users/<int:user_id>', methods=['GET'])
def get_user(request: Request) -> dict:
    return {"user_id": request.path_params["user_id"]}

@route('/squares', methods=['POST'], use_process_pool=True)
def squares(request: Request, pool) -> dict:
    return {"squares": pool.submit(compute, request.body["numbers"]).result()}

@route('/sleep')
async def sleep(request: Request) -> dict:
    await asyncio.sleep(float(request.query_params.get("duration", "1.0")))
    return {"slept": True}

@route('/async/squares', methods=['POST'], use_process_pool=True)
async def async_squares(request: Request, pool) -> dict:
    loop = asyncio.get_running_loop()
    return {"squares": await loop.run_in_executor(pool, compute, request.body["numbers"])}
''')
    daemon = snacgi(app=code)
    assert daemon.get("/users/3").json() == {"user_id": 3}
    assert daemon.post("/squares", {"numbers": [2]}).json() == {"squares": [4]}
    assert daemon.get("/sleep?duration=0").json() == {"slept": True}
    assert daemon.post("/async/squares", {"numbers": [3]}).json() == {"squares": [9]}


def test_environment(snacgi: Snacgi) -> None:
    """No request parameter reaches the process environment; children are plain processes."""
    daemon = snacgi(env={"KEPT": "yes"})
    answer = daemon.get("/environment?secret=4711", headers={"X-Secret": "4711"}).json()
    assert answer["own"]["KEPT"] == "yes"
    assert not [n for n in answer["own"] if n.startswith("HTTP_") or n in ("QUERY_STRING", "REQUEST_METHOD")]
    assert "4711" not in answer["child"] and "4711" not in str(answer["own"])
    assert os.path.realpath(answer["executable"]) == os.path.realpath(PYTHON)
    assert daemon.get("/stdin").json() == {"zero": "/dev/null"}


def test_children_of_handlers(snacgi: Snacgi) -> None:
    """Popen.terminate() works: no signal is left blocked; no descriptor of ours is inherited."""
    daemon = snacgi()
    answer = daemon.get("/children").json()
    assert answer["code"] == -signal.SIGTERM
    ours = [name for name in answer["descriptors"] if name.startswith("socket:") or "eventpoll" in name or "eventfd" in name]
    assert not ours, ours


def test_socket_file_mode(snacgi: Snacgi, tmp: Path) -> None:
    for mode in ("0600", "0660", "0666"):
        listener = {"protocol": "fastcgi", "address": f"unix:{tmp}/m{mode}.sock", "mode": mode}
        daemon = snacgi(conf={"listen": [listener]}, listen=(), wait=False, app=None)
        daemon.addresses.append(Address("fastcgi", "unix", path=f"{tmp}/m{mode}.sock"))
        daemon.wait_ready(daemon.addresses[0])
        assert stat.S_IMODE(os.stat(f"{tmp}/m{mode}.sock").st_mode) == int(mode, 8)


def test_python_on_path_does_not_matter(snacgi: Snacgi, tmp: Path) -> None:
    """Another python3 first on PATH, PYTHONHOME unset: still the linked one."""
    (tmp / "bin").mkdir()
    fake = tmp / "bin" / "python3"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    daemon = snacgi(env={"PATH": f"{tmp}/bin:{os.environ['PATH']}"})
    answer = daemon.get("/pool").json()
    assert os.path.realpath(answer["workers"][0]["executable"]) == os.path.realpath(PYTHON)
