# SPDX-License-Identifier: MIT
"""doc/tutorial.md, followed from its first block to its last: what it writes is written, what
it runs is run, what it shows is compared. Where it says /etc, /srv, /var and port 80 there is a
folder and a free port; systemctl is a small one that starts the same programs."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import page
import pytest
from daemon import PATIENCE, PYTHON, SNACGI, SRC, alive, environment, free_port, wait_until
from test_listeners import activate, tool

SHIMS = {
    "pytest": 'exec "$PYTHON" -m pytest -p no:cacheprovider "$@"\n',
    "sudo": 'exec "$@"\n',
    "pkg-config": '[ "$1" = --libs ] || echo "-I$SRC/include"\n',
    # `snacgi dev` has an nginx of its own; any other is the machine's.
    "nginx": 'case "$*" in *-p*) exec "$NGINX" "$@" ;; esac\n"$ROOT/site" && exec "$NGINX" -p "$ROOT/nginx" -c "$ROOT/nginx/nginx.conf" -e "$ROOT/nginx/error.log" "$@"\n',
    "systemctl": """
case "$*" in
"daemon-reload") ;;
"enable --now snacgi.socket snacgi.service")
	dropin=$ROOT/etc/systemd/system/snacgi.service.d/notes.conf
	for state in $(sed -n 's/^StateDirectory=//p' "$dropin"); do mkdir -p "$ROOT/var/lib/$state"; done
	mkdir -p "$ROOT/run/snacgi"
	set -- $(sed -n 's/^Environment=/-E /p' "$dropin")
	$ACTIVATE -l "$ROOT/run/snacgi/snacgi.sock" --fdname=fastcgi "$@" "$SNACGI" -c "$ROOT/etc/snacgi/snacgi.conf" \\
		</dev/null >"$ROOT/snacgi.log" 2>&1 &
	echo $! >"$ROOT/snacgi.pid"
	tries=0
	until [ -S "$ROOT/run/snacgi/snacgi.sock" ]; do sleep 0.05; tries=$((tries + 1)); [ $tries -lt 1000 ] || exit 1; done ;;
"reload snacgi") exec "$SNACGI" reload --pid "$(cat "$ROOT/snacgi.pid")" >/dev/null ;;
"reload nginx")
	nginx </dev/null >"$ROOT/nginx.log" 2>&1 &
	echo $! >"$ROOT/nginx.pid"
	tries=0
	until [ -s "$ROOT/nginx/nginx.pid" ]; do sleep 0.05; tries=$((tries + 1)); [ $tries -lt 1000 ] || exit 1; done ;;
*) echo "no such order: $*" >&2; exit 1 ;;
esac
""",
    # What print-config printed, for this folder and port.
    "site": 'sed -e "s|listen 80;|listen 127.0.0.1:$PORT;|" -e "s|listen \\[::\\]:80;||" -e "s|/run/snacgi|$ROOT/run/snacgi|g" '
            '"$ROOT/etc/nginx/conf.d/notes.conf" >"$ROOT/nginx/site.conf"\n',
}


@pytest.fixture
def machine(module_tmp: Path) -> Iterator[dict[str, str]]:
    root = module_tmp / "root"
    for folder in ("bin", "etc/nginx/conf.d", "srv"):
        (root / folder).mkdir(parents=True)
    for name, text in SHIMS.items():
        path = root / ("bin" if name != "site" else ".") / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    port = str(free_port())
    subprocess.run([str(SRC / "tests" / "nginx-conf.sh"), str(root / "nginx"), port, "unused"], check=True)
    yield {
        **environment({"PYTHONDONTWRITEBYTECODE": "1", "SNACGI_TEMPLATE_PATH": str(SRC / "deploy" / "templates")}),
        "PATH": f"{root}/bin:{SNACGI.parent}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "ROOT": str(root), "PORT": port, "PYTHON": PYTHON, "SRC": str(SRC), "SNACGI": str(SNACGI), "NGINX": tool("nginx"),
        "ACTIVATE": " ".join(activate()),
    }
    for name in ("nginx", "snacgi"):
        if (root / f"{name}.pid").exists():
            pid = int((root / f"{name}.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not alive(pid), f"the end of {name}")


@pytest.mark.limit(900)
def test_tutorial(module_tmp: Path, machine: dict[str, str]) -> None:
    root = machine["ROOT"]
    folder = module_tmp / "work"
    folder.mkdir()
    told = {"/etc/": f"{root}/etc/", "/srv/": f"{root}/srv/", "/var/lib/": f"{root}/var/lib/", "http://localhost": f"http://127.0.0.1:{machine['PORT']}"}
    reader = page.Reader(folder, machine, told)

    def starts() -> tuple[int, int]:
        log = reader.log()
        return log.count("starting again"), log.rfind("info: ready") - log.rfind("starting again")

    before = [0]

    def written(path: Path) -> None:
        """`snacgi dev` notices, before the reader has turned to the other terminal."""
        if reader.server is not None and path.suffix == ".py":
            wait_until(lambda: starts()[0] > before[0] and starts()[1] > 0, f"a new start after {path.name}\n{reader.log()[-3000:]}")
        before[0] = starts()[0]

    reader.written = written
    try:
        done = reader.follow("doc/tutorial.md", (SRC / "doc" / "tutorial.md").read_text())
        assert done >= 30
    finally:
        reader.stop()
    # Strict, as the package itself.
    modules = sorted(path.name for path in reader.folder.glob("*.py"))
    (reader.folder / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    got = subprocess.run([PYTHON, "-m", "mypy", "--cache-dir", os.devnull, *modules], cwd=reader.folder, stdout=subprocess.PIPE, text=True,
                         env={**environment(), "MYPYPATH": str(SRC / "python")}, timeout=5 * PATIENCE)
    assert got.returncode == 0, got.stdout
    daemon_log = Path(root, "snacgi.log").read_text()
    assert "Traceback" not in daemon_log and "error:" not in daemon_log, daemon_log
