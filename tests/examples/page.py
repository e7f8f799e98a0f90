# SPDX-License-Identifier: MIT
"""A page of documentation as its reader follows it. Its code blocks are, in order:

    ```LANGUAGE FILE          the file is written
    ```LANGUAGE FILE +        this is added to it
    ```console                "$ " lines are run; what follows one is what it prints
    ```console server         the same for what keeps running: its first line of output is shown

"..." in shown output stands for anything. Any other block is an error: nothing on the page is
left out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from daemon import PATIENCE, wait_until


class Block(NamedTuple):
    line: int
    language: str
    arguments: list[str]
    text: str


def blocks(text: str) -> list[Block]:
    out = []
    for found in re.finditer(r"^```(\S*)[ ]?([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        out.append(Block(text.count("\n", 0, found.start()) + 1, found[1], found[2].split(), found[3]))
    return out


def commands(text: str) -> list[tuple[str, str]]:
    """(command, what it is to print)"""
    assert text.startswith("$ "), text
    return [(one.partition("\n")[0], one.partition("\n")[2]) for one in re.split(r"^\$ ", text, flags=re.M)[1:]]


def matches(shown: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(piece) for piece in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.S) is not None


class Reader:
    """Follows a page in `folder`. `told` are texts of the page and what they are here."""

    def __init__(self, folder: Path, env: dict[str, str], told: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.told = told
        self.server: Optional[subprocess.Popen[bytes]] = None
        self.server_log = folder.parent / "server.log"
        self.written: Callable[[Path], None] = lambda path: None

    def here(self, text: str) -> str:
        for theirs, ours in self.told.items():
            text = re.sub(rf"(?<![\w./:]){re.escape(theirs)}", lambda _: ours, text)
        return text

    def follow(self, name: str, text: str) -> int:
        done = 0
        for block in blocks(text):
            try:
                self.take(block)
            except Exception as error:
                raise AssertionError(f"{name}:{block.line}: {error}") from error
            done += 1
        return done

    def take(self, block: Block) -> None:
        if block.language == "console" and not block.arguments:
            for command, shown in commands(block.text):
                self.run(command, shown)
        elif block.language == "console" and block.arguments == ["server"]:
            ((command, shown),) = commands(block.text)
            self.serve(command, shown)
        elif block.arguments and block.arguments[1:] in ([], ["+"]):
            self.write(self.folder / block.arguments[0], block)
        else:
            raise AssertionError(f"this block is not run: {block.language} {block.arguments}")

    def write(self, path: Path, block: Block) -> None:
        text = block.text if block.language == "python" else self.here(block.text)
        if "+" in block.arguments:
            text = path.read_text() + "\n\n" + text
        other = path.with_name(path.name + "~")  # as an editor does: never half a file
        other.write_text(text)
        other.rename(path)
        self.written(path)

    def run(self, command: str, shown: str) -> None:
        if command.startswith("cd "):
            self.folder /= command[3:]
            assert self.folder.is_dir(), command
            return
        got = subprocess.run(["/bin/sh", "-c", self.here(command)], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=5 * PATIENCE)
        printed = got.stdout
        for theirs, ours in self.told.items():
            printed = printed.replace(ours, theirs)
        assert got.returncode == 0 and matches(shown, printed), f"$ {command}\nended with {got.returncode} and printed\n{printed}\nbut the page shows\n{shown}\n{got.stderr}\n{self.log()[-1500:]}"

    def log(self) -> str:
        return self.server_log.read_text(errors="replace") if self.server_log.exists() else ""

    def serve(self, command: str, shown: str) -> None:
        with open(self.server_log, "wb") as log:
            self.server = subprocess.Popen(["/bin/sh", "-c", f"exec {self.here(command)}"], cwd=self.folder, env=self.env,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        told = re.search(r"http://[\w.:]+", shown)
        assert told
        server = self.server
        wait_until(lambda: re.search(r"http://[\w.:]+", self.log()) or server.poll() is not None, "the server's address")
        found = re.search(r"http://[\w.:]+", self.log())
        assert found, f"$ {command}\nended: {self.log()}"
        self.told[told[0]] = found[0]
        assert matches(shown.replace(told[0], found[0]), self.log().partition("\n")[0]), self.log()

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                assert self.server.wait(PATIENCE) == 0
            except subprocess.TimeoutExpired:
                os.killpg(self.server.pid, signal.SIGKILL)
                raise
