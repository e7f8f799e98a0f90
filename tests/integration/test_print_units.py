# SPDX-License-Identifier: MIT
"""`snacgi print-config` for who starts snacgi: systemd's units, which its own tools accept, and a
Dockerfile, filled in from the configuration."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import test_cli
from daemon import BUILD, configuration, environment
from test_listeners import tool

OWN = {"listen": [{"address": "unix:/run/shop/web/s.sock", "group": "www-data"}, {"address": "127.0.0.1:9000", "protocol": "scgi"}]}
NAMED = {"listen": [{"address": "systemd:fastcgi"}, {"address": "systemd:scgi", "protocol": "scgi"}]}


def print_config(tmp: Path, name: str, conf: dict[str, Any] | None) -> subprocess.CompletedProcess[str]:
    args: list[str] = []
    if conf is not None:
        (tmp / "app.conf").write_text(configuration(conf))
        args = ["-c", str(tmp / "app.conf")]
    return test_cli.print_config(tmp, name, *args)


def printed(tmp: Path, name: str, conf: dict[str, Any] | None) -> str:
    out = print_config(tmp, name, conf)
    assert out.returncode == 0, out.stderr
    assert not re.search(r"@[A-Z_]+@", out.stdout)
    return out.stdout


def accepted(tmp: Path, conf: dict[str, Any] | None, service: str = "systemd") -> dict[str, str]:
    """Each unit, in the file that its head names; systemd reads them without a complaint."""
    text = printed(tmp, service, conf)
    if "Requires=" in text:
        text += printed(tmp, "systemd-socket", conf)
    units: dict[str, str] = {}
    for one in text.split("# SPDX-License-Identifier: MIT\n")[1:]:
        found = re.search(r"goes to /etc/systemd/system/(\S+)\.(?: |$)", one, re.M)
        assert found and found[1] not in units, one
        units[found[1]] = one
    (tmp / "units").mkdir(exist_ok=True)
    for file, one in units.items():
        (tmp / "units" / file).write_text(one)
    out = subprocess.run([tool("systemd-analyze"), "verify", "--man=no", *(str(tmp / "units" / file) for file in units)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, env=environment())
    assert out.returncode == 0 and "snacgi" not in out.stdout, out.stdout
    return units


def test_units_of_the_defaults(tmp: Path) -> None:
    """They are what make install installs."""
    units = accepted(tmp, None)
    assert set(units) == {"snacgi.service", "snacgi.socket"}
    installed = (BUILD / "deploy" / "systemd" / "snacgi.service").read_text()
    where = r"(?<==)/\S*/snacgi(?= )|(?<= -c )\S+"
    assert re.sub(where, "X", "# SPDX-License-Identifier: MIT\n" + units["snacgi.service"]) == re.sub(where, "X", installed)
    assert re.search(r"^ExecStart=/\S*/snacgi -c /etc/snacgi/snacgi\.conf$", units["snacgi.service"], re.M)


def test_units_of_own_sockets(tmp: Path) -> None:
    """The service may make its sockets, and systemd none for it."""
    units = accepted(tmp, {**OWN, "timeouts": {"start": 500.0, "shutdown": 100.0}})
    assert set(units) == {"snacgi.service"}
    for line in ("RuntimeDirectory=shop/web", "SupplementaryGroups=www-data", "TimeoutStartSec=510", "TimeoutStopSec=130"):
        assert f"\n{line}\n" in units["snacgi.service"], line
    assert f" -c {tmp}/app.conf\n" in units["snacgi.service"] and "socket" not in units["snacgi.service"]
    out = print_config(tmp, "systemd-socket", OWN)
    assert out.returncode == 1 and 'address = "systemd:fastcgi"' in out.stderr, out


def test_units_of_named_sockets(tmp: Path) -> None:
    units = accepted(tmp, NAMED)
    assert set(units) == {"snacgi.service", "snacgi.socket", "snacgi-scgi.socket"}
    assert "\nRequires=snacgi.socket snacgi-scgi.socket\n" in units["snacgi.service"]
    assert "\nAlso=snacgi.socket snacgi-scgi.socket\n" in units["snacgi.service"]
    for file, name, path in (("snacgi.socket", "fastcgi", "snacgi"), ("snacgi-scgi.socket", "scgi", "scgi")):
        assert f"\nListenStream=/run/snacgi/{path}.sock\nFileDescriptorName={name}\nService=snacgi.service\n" in units[file]


@pytest.mark.parametrize("conf", [None, OWN, NAMED])
def test_minimal_service(tmp: Path, conf: dict[str, Any] | None) -> None:
    """It has the same sockets, rights and commands as the one with a sandbox."""
    short, whole = (accepted(tmp, conf, name) for name in ("systemd-minimal", "systemd"))
    assert set(short) == set(whole)
    lines = [line for line in short["snacgi.service"].splitlines() if "=" in line and not line.startswith("#")]
    assert set(lines) < set(whole["snacgi.service"].splitlines()) and len(lines) > 10


def test_container(tmp: Path) -> None:
    """The application is at the place where its configuration says it is."""
    for folder in ("code", "venv/bin"):
        (tmp / folder).mkdir(parents=True)
    conf = {**OWN, "python": {"dir": "code", "venv": "venv"}, "native": {"modules": ["shop.so"]}}
    text = printed(tmp, "container", conf)
    lines = text.splitlines()
    for line in (f"#     docker build -f deploy/container/Dockerfile --build-context app={tmp}/ -t app .", f"RUN steps venv /src/requirements.lock {tmp}/venv",
                 f"COPY --from=build {tmp}/venv {tmp}/venv", f"COPY --from=app code {tmp}/code", f"COPY --from=build {tmp}/shop.so {tmp}/shop.so",
                 f"COPY --from=app app.conf {tmp}/app.conf", "RUN install -d -o snacgi -g snacgi -m 0755 /run/shop/web",
                 "RUN usermod -a -G www-data snacgi", "EXPOSE 9000", f'ENTRYPOINT ["/opt/snacgi/bin/snacgi", "-c", "{tmp}/app.conf"]'):
        assert line in lines, (line, text)
    bare = printed(tmp, "container", {"listen": [{"address": "unix:/run/snacgi/s.sock"}], "python": {"dir": ""}})
    for word in ("venv /", "app code", "EXPOSE", "usermod", "install -d", "requirements.lock /"):
        assert word not in bare, (word, bare)
    # Nothing is copied that is not there: the default directory need not be.
    assert "COPY --from=app python" not in printed(tmp, "container", {"listen": [{"address": "unix:/run/snacgi/s.sock"}]})
    (tmp / "python").mkdir()
    assert f"COPY --from=app python {tmp}/python" in printed(tmp, "container", {"listen": [{"address": "unix:/run/snacgi/s.sock"}]})


@pytest.mark.parametrize("name", ["systemd", "systemd-minimal", "systemd-socket", "container", "container-minimal"])
def test_what_starts_snacgi_does_so_by_the_configuration_alone(tmp: Path, name: str) -> None:
    for option in (("-l", "unix:/run/y/s.sock"), ("--python-dir", str(tmp)), ("--queue", "7"), ("--no-supervisor",), ("--debug",), ("--private",), ("--pid", "1")):
        out = test_cli.print_config(tmp, name, *option)
        assert out.returncode == 2 and "starts snacgi with -c alone" in out.stderr, out


def test_code_beside_the_configuration(tmp: Path) -> None:
    for folder in (".", "./"):
        text = printed(tmp, "container", {"listen": [{"address": "unix:/run/snacgi/s.sock"}], "python": {"dir": folder}})
        assert f"\nCOPY --from=app . {tmp}\nCOPY --from=app app.conf {tmp}/app.conf\n" in text, text
    # What -c says of the way there does not matter.
    (tmp / "deep").mkdir()
    out = test_cli.print_config(tmp / "deep", "container", "-c", "../app.conf")
    assert out.returncode == 0 and f"\nCOPY --from=app . {tmp}/deep/..\n" in out.stdout, out


@pytest.mark.parametrize("name,folders", [("systemd", ["/var/log/snacgi", "/run/shop/web"]), ("systemd-minimal", ["/run/shop/web"]),
                                          ("container", ["/run/snacgi", "/run/shop/web", "/dev"])])
def test_what_may_be_written(tmp: Path, name: str, folders: list[str]) -> None:
    for folder in ("/tmp", "/var/tmp", *folders):
        printed(tmp, name, {**OWN, "python": {"dir": ""}, "log": {"file": f"{folder}/app.log", "access": "/dev/null"},
                            "pid_file": f"{folder}/app.pid", "spool_dir": "/var/tmp" if folder == "/dev" else folder})


@pytest.mark.parametrize("folder", ["/run/snacgi", "/tmp", "/var/tmp", "/run/snacg", "/run/snacgi/deep"])
def test_socket_directory_of_the_image(tmp: Path, folder: str) -> None:
    """One that others use is not given to the account."""
    text = printed(tmp, "container", {"listen": [{"address": f"unix:{folder}/s.sock"}], "python": {"dir": ""}})
    assert (f"\nRUN install -d -o snacgi -g snacgi -m 0755 {folder}\n" in text) == (folder in ("/run/snacg", "/run/snacgi/deep")), text


def test_minimal_service_sees_home(tmp: Path) -> None:
    """And needs no socket unit's leave."""
    for name in ("systemd-minimal", "systemd-socket"):
        printed(tmp, name, {**NAMED, "python": {"dir": "/home/python"}})


@pytest.mark.parametrize("own", [False, True])
def test_minimal_container(tmp: Path, own: bool) -> None:
    """Its instructions are those of the longer one, which make check-container does, in that order."""
    (tmp / "code").mkdir()
    conf = {**OWN, "python": {"dir": "code", "venv": "/srv/venv"}} if own else None
    short, whole = ([line for line in printed(tmp, name, conf).splitlines() if not line.startswith("#")] for name in ("container-minimal", "container"))
    assert short[0] + " AS build" == whole[0]
    assert len(short) > 8 and not [line for line in short[1:] if line not in whole]
    assert "RUN steps venv /src/requirements.lock /srv/venv" in short or not own
    first = [line for line in short[1:] if line != "COPY . /src"]
    assert first == sorted(first, key=whole.index)


@pytest.mark.parametrize("name,conf,word", [
    ("systemd", {"listen": [{"address": "unix:/srv/s.sock"}]}, "unix:/run/snacgi/snacgi.sock"),
    ("systemd", {"listen": [{"address": "unix:/run/s.sock"}]}, "directory of its own below /run"),
    ("systemd", {"listen": [{"address": "unix:/run/user/1000/s.sock"}]}, "directory of its own below /run"),
    ("systemd", {"listen": [{"address": "unix:/run/x%n/s.sock"}]}, "letters"),
    ("systemd", {"listen": [{"address": "unix:/run/x/s.sock", "owner": "www-data"}]}, "listen.owner"),
    ("systemd", {"listen": [{"address": "127.0.0.1:80"}]}, "1024"),
    ("systemd", {"listen": [{"address": "fd:3"}]}, "nobody passes"),
    ("systemd", {"user": "nobody"}, "User="),
    ("systemd-socket", {"chroot": "/srv"}, "leave them out"),
    ("container", {}, "has no listener"),
    ("container", NAMED, "nobody passes"),
    ("container", {"listen": [{"address": "127.0.0.1:9000"}], "python": {"dir": "/usr/lib/python3"}}, "move it there"),
    ("container", {"listen": [{"address": "127.0.0.1:9000"}], "python": {"dir": ".", "venv": "venv"}}, "copied over"),
    ("container", {"listen": [{"address": "127.0.0.1:9000"}], "python": {"dir": "code/", "venv": "code/venv"}}, "copied over"),
    ("systemd", {"log": {"file": "/var/log/app.log"}}, "log.file: snacgi cannot write"),
    ("systemd", {"log": {"access": "/srv/acc.log"}}, "log.access: snacgi cannot write"),
    ("systemd", {"pid_file": "/var/run/foo.pid"}, "pid_file: snacgi cannot write"),
    ("systemd", {**NAMED, "pid_file": "/run/snacgi/foo.pid"}, "pid_file: snacgi cannot write"),
    ("systemd", {"spool_dir": "/srv/spool"}, "spool_dir: snacgi cannot write"),
    ("systemd", {"python": {"dir": "/home/python"}}, "python.dir: /home/python is hidden"),
    ("systemd", {"python": {"venv": "/root"}}, "python.venv: /root is hidden"),
    ("systemd", {"native": {"modules": ["/run/user/1000/x.so"]}}, "native.modules: /run/user/1000/x.so is hidden"),
    ("systemd", {"python": {"dir": "/srv/../home"}}, "leave '//'"),
    ("systemd-minimal", {"log": {"file": "/var/log/snacgi/app.log"}}, "log.file: snacgi cannot write"),
    ("container", {**OWN, "log": {"file": "/var/log/snacgi/app.log"}}, "log.file: snacgi cannot write"),
    ("container", {**OWN, "spool_dir": "/var/spool"}, "spool_dir: snacgi cannot write"),
    ("systemd", {"listen": [{"address": "unix:/run/snacgi/scgi.sock"}, {"address": "systemd:fastcgi"}]}, "unix:/run/snacgi-own/scgi.sock"),
    ("systemd-socket", {"listen": [{"address": "systemd:snacgi"}, {"address": "systemd:fastcgi"}]}, "another name"),
    ("systemd", {"listen": [{"address": "unix:/run/../etc/x/s.sock"}]}, "leave '//'"),
    ("systemd", {"listen": [{"address": "unix:/run//s.sock"}]}, "leave '//'"),
    ("systemd", {"listen": [{"address": "unix:/run/./s.sock"}]}, "leave '//'"),
    ("container", {"listen": [{"address": "unix:/run/x/../../s.sock"}]}, "leave '//'"),
    ("container", {"listen": [{"address": "unix:/run/app.sock"}]}, "directory of its own"),
    ("container", {"listen": [{"address": "unix:/app.sock"}]}, "directory of its own"),
])
def test_what_cannot_be(tmp: Path, name: str, conf: dict[str, Any], word: str) -> None:
    out = print_config(tmp, name, conf)
    assert out.returncode == 1 and word in out.stderr and out.stdout == "", out
