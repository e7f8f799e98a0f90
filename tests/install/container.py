# SPDX-License-Identifier: MIT
"""deploy/container/Dockerfile without Docker: each of its lines is done, in order, in trees of
Debian made by debootstrap; then its entry point is started as `docker run` in the README would,
and asked. Needs root and Debian's archive. For make check-container, which gives the tarball.

Where the archive cannot be reached, the steps that need none of it are run in a clean prefix.
The last line is "N passed, N failed"."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Optional

from tools import ask, wheel

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SUITES = {"debian:12-slim": "bookworm"}
APP = "import ours\nfrom snacgi import route\n@route('/word')\ndef word(request):\n    return ours.WORD\n"


class Unreachable(Exception):
    """There is no tree to work in."""


def shell(script: str, patience: float = 900, alone: bool = True, **more: object) -> str:
    """In a mount name space of its own: what it mounts goes with it."""
    done = subprocess.run([*(["unshare", "--mount"] if alone else []), "sh", "-euc", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=patience, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{script}\n{done.stdout[-6000:]}"
    return str(done.stdout)


def chroot(tree: Path, command: str, env: dict[str, str]) -> str:
    words = " ".join(shlex.quote(f"{k}={v}") for k, v in {"PATH": PATH, "HOME": "/root", **env}.items())
    return shell(f"mount -t proc proc {tree}/proc; chroot {tree} /usr/bin/env -i {words} sh -euc {shlex.quote(command)}")


class Build:
    """The stages, each a tree; what a line says is done to the last one."""

    def __init__(self, work: Path, source: Path, app: Path) -> None:
        self.work = work
        self.contexts = {"": source, "app": app}
        self.trees: list[Path] = []
        self.bases: dict[str, Path] = {}
        self.user = ""
        self.entry: list[str] = []
        # No index is asked: the lock file's only package is our own.
        self.env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}

    def base(self, image: str) -> Path:
        if image not in self.bases:
            tree = self.work / "base"
            try:
                # A sandbox may forbid what the trees need, to root too.
                subprocess.run(["unshare", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", str(self.work)], check=True, timeout=60)
                done = subprocess.run(["debootstrap", "--variant=minbase", SUITES[image], str(tree)], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
            except (OSError, subprocess.SubprocessError) as error:
                raise Unreachable(repr(error)) from None
            if done.returncode != 0:
                raise Unreachable(done.stdout[-500:].strip())
            self.bases[image] = tree
        return self.bases[image]

    def FROM(self, rest: str) -> None:
        image, _, name = re.sub(r"(?i)\s+as\s+", "\0", rest).partition("\0")
        tree = self.work / f"stage{len(self.trees)}"
        shell(f"cp -a {self.base(image)} {tree}")
        (tree / "wheels").mkdir()
        for one in self.contexts["app"].glob("*.whl"):
            shutil.copy(one, tree / "wheels")
        self.trees.append(tree)
        self.contexts[name or f"{len(self.trees) - 1}"] = tree

    def COPY(self, rest: str) -> None:
        found = re.fullmatch(r"(?:--from=(\S+)\s+)?(\S+)\s+(\S+)", rest)
        assert found, rest
        source = self.contexts[found[1] or ""] / found[2].lstrip("/")
        to = self.trees[-1] / found[3].lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, to)

    def RUN(self, rest: str) -> None:
        chroot(self.trees[-1], rest, self.env)

    def USER(self, rest: str) -> None:
        self.user = rest

    def ENTRYPOINT(self, rest: str) -> None:
        self.entry = json.loads(rest)

    def STOPSIGNAL(self, rest: str) -> None:
        assert rest == "SIGTERM"

    def EXPOSE(self, rest: str) -> None:
        conf = (self.trees[-1] / "opt/app/snacgi.conf").read_text()
        assert f'address = ":{rest}"' in conf, conf


def lines(dockerfile: Path) -> list[tuple[str, str]]:
    out = []
    for line in dockerfile.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            assert hasattr(Build, word) and word.isupper(), f"an instruction that this test does not know: {line}"
            out.append((word, rest.strip()))
    return out


def serve(build: Build) -> None:
    """As the README's `docker run --read-only --tmpfs ...`: the tree is read-only, the network its own."""
    tree = build.trees[-1]
    uid = int(chroot(tree, f"id -u {build.user}", {}))
    assert uid == 999, f"README says --tmpfs /run/snacgi:uid=999, but {build.user} is {uid}"
    script = (f"mount --bind {tree} {tree}; mount -o remount,bind,ro {tree}; mount -t proc proc {tree}/proc; "
              f"mount -t tmpfs tmpfs {tree}/tmp; mount -t tmpfs -o uid={uid},mode=755 tmpfs {tree}/run/snacgi; "
              f"exec chroot --userspec={build.user}:{build.user} {tree} /usr/bin/env -i PATH={PATH} {shlex.join(build.entry)}")
    with open(build.work / "output", "wb") as output:
        process = subprocess.Popen(["unshare", "--mount", "--net", "sh", "-euc", script], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 120
        got = b""
        while not got:
            assert process.poll() is None and time.monotonic() < end, (build.work / "output").read_text()
            got = ask(str(Path(f"/proc/{process.pid}/root") / "run/snacgi/snacgi.sock"), "/word")
            time.sleep(0.05)
        assert b"\r\n\r\nlocked" in got, got
        assert os.stat(f"/proc/{process.pid}").st_uid == uid
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (build.work / "output").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def in_a_prefix(build: Build, steps: Path) -> None:
    """What needs no package: built, the environment made, both used."""
    prefix, venv, lock = build.work / "prefix", build.work / "venv", build.contexts["app"] / "requirements.lock"
    env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(build.contexts["app"])}
    for words in (["build", str(build.contexts[""]), str(prefix)], ["venv", str(lock), str(venv)]):
        shell(shlex.join([str(steps), *words]), alone=False, env=env)
    out = shell(shlex.join([str(prefix / "bin" / "snacgi"), "request", "--python-dir", str(build.contexts["app"] / "python"),
                            "--venv", str(venv), "GET", "/word"]), alone=False)
    assert "locked" in out, out


def main() -> int:
    counts = [0, 0]

    def part(name: str, work: Callable[[], Optional[None]]) -> bool:
        begun = time.monotonic()
        try:
            work()
        except Unreachable:
            raise
        except Exception as error:  # told, and counted
            print(f"not ok - {name}\n{error}", flush=True)
            counts[1] += 1
            return False
        print(f"ok - {name} ({time.monotonic() - begun:.0f} s)", flush=True)
        counts[0] += 1
        return True

    top = Path(tempfile.mkdtemp(prefix="snacgi-container-"))
    try:
        subprocess.run(["tar", "-C", str(top), "-xf", sys.argv[1]], check=True)
        source = next(top.glob("snacgi-*"))
        app = top / "app"
        (app / "python").mkdir(parents=True)
        (app / "python" / "app.py").write_text(APP)
        (app / "requirements.lock").write_text(f"ours==1.0 --hash=sha256:{wheel(app)[1]}\n")
        build = Build(top, source, app)
        container = source / "deploy" / "container"
        try:
            if all(part(f"{word} {rest}", lambda: getattr(build, word)(rest)) for word, rest in lines(container / "Dockerfile")):
                part("what was built answers", lambda: serve(build))
        except Unreachable as why:
            print(f"# no tree of Debian ({why}): in a clean prefix instead", flush=True)
            part("steps build and venv in a clean prefix", lambda: in_a_prefix(build, container / "steps"))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return int(counts[1] != 0 or counts[0] == 0)


if __name__ == "__main__":
    sys.exit(main())
