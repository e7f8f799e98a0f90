#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A chaos run: load on every way in, disturbances at random, and the books are balanced at the end.

    run.py SECONDS [SEED]

Of the time the last fifth is calm: only rude peers disturb, and the workers must not grow in
descriptors, threads, processes or memory. The last line is "N passed, N failed"."""

from __future__ import annotations

import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from account import Books  # noqa: E402
from clients import Fronted, Kept, Rude, Scgi  # noqa: E402
from daemon import BAD_LINES, SRC, Daemon, descendants, descriptors, free_port, resident, threads, wait_until  # noqa: E402
from monkeys import Monkeys  # noqa: E402

GROWTH = 1.15  # of resident memory from the first to the last third of the calm


def mounted(path: Path) -> Path | None:
    """A small file system that can be filled; only root may make one."""
    path.mkdir()
    if os.geteuid() != 0:
        return None
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "chaos", str(path)], stderr=subprocess.DEVNULL)
    return path if done.returncode == 0 else None


def start_nginx(folder: Path, port: int, socket: str) -> subprocess.Popen[bytes]:
    subprocess.run([str(SRC / "tests" / "nginx-conf.sh"), str(folder), str(port), socket], check=True)
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert program, "nginx is not installed"
    return subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
                            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Usage:
    """What the workers use, looked at again and again during the calm."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.seen: list[tuple[int, int, int, int]] = []  # descriptors, threads, processes, bytes

    def look(self) -> None:
        pids = [self.daemon.pid, *self.daemon.workers()]
        try:
            self.seen.append((sum(len(descriptors(p)) for p in pids), sum(threads(p) for p in pids),
                              len(descendants(self.daemon.pid)), sum(resident(p) for p in pids)))
        except OSError:
            pass

    def faults(self) -> list[str]:
        """The medians of the first and of the last third. Descriptors breathe with the connections of the load."""
        third = len(self.seen) // 3
        if third < 3:
            return []
        first, last = ([statistics.median(v) for v in zip(*part)] for part in (self.seen[:third], self.seen[-third:]))
        slack = (40, 8, 2, first[3] * (GROWTH - 1) + (8 << 20))
        return [f"{name} grew in the calm from {a:.0f} to {b:.0f}"
                for name, a, b, more in zip(("descriptors", "threads", "processes", "resident bytes"), first, last, slack) if b > a + more]


def quiet(daemon: Daemon, before: int) -> list[str]:
    """When the load is gone: no process, zombie or descriptor of the supervisor too many."""
    faults = []
    try:
        wait_until(lambda: len(daemon.workers()) == daemon.conf["processes"], "the usual number of workers")
    except AssertionError as error:
        faults.append(f"{error}: {daemon.workers()}")
    if len(descriptors(daemon.pid)) > before + 2:
        faults.append(f"the supervisor has {len(descriptors(daemon.pid))} descriptors, and had {before}: {descriptors(daemon.pid)}")
    return faults


def unexpected(log: str, killed: set[int]) -> list[str]:
    out = [line for line in log.splitlines() if BAD_LINES.search(line)]
    for pid, how in re.findall(r"worker (\d+) (was killed by signal .*|did not end within .*)", log):
        if int(pid) not in killed:
            out.append(f"worker {pid} {how}, and nobody had done anything to it")
    return out


def main(seconds: float, seed: int) -> int:
    print(f"# chaos: {seconds:.0f} s, seed {seed}", flush=True)
    tmp = Path(tempfile.mkdtemp(prefix="snacgi-chaos-"))
    disk = mounted(tmp / "spool")
    shutil.copytree(HERE / "app", tmp / "app")
    books = Books(tmp / "ledger")
    books.ledger.touch()
    daemon = Daemon(tmp, supervisor=True, app=tmp / "app", listen=["fastcgi+unix", "fastcgi+tcp4", "scgi+unix"], probe="/pids",
                    env={"CHAOS_LEDGER": str(books.ledger)},
                    conf={"processes": 2, "spool_dir": str(tmp / "spool"), "timeouts": {"request": 60.0, "shutdown": 60.0}})
    daemon.start()
    port = free_port()
    nginx = start_nginx(tmp / "nginx", port, daemon.addresses[0].path)
    unix, tcp, scgi = daemon.addresses
    over = threading.Event()
    load: list[threading.Thread] = [Kept(books, seed * 100 + k, over, unix if k % 2 else tcp) for k in range(6)]
    load += [Scgi(books, seed * 100 + 20 + k, over, scgi) for k in range(2)]
    load += [Fronted(books, seed * 100 + 40 + k, over, port) for k in range(4)]
    rude = [Rude(seed * 100 + 60 + k, over, unix if k else tcp) for k in range(2)]
    faults: list[str] = []
    try:
        wait_until(lambda: nginx_answers(port), "nginx")
        before = len(descriptors(daemon.pid))
        for one in [*load, *rude]:
            one.start()
        monkeys = Monkeys(books, random.Random(seed), daemon, nginx, disk)
        end = time.monotonic() + seconds
        while time.monotonic() < end - seconds / 5:
            monkeys.one()
            time.sleep(monkeys.random.uniform(0, 0.6))
        daemon.wait_log("ready: 2 worker")
        wait_until(lambda: len(daemon.workers()) == 2, "calm")
        usage = Usage(daemon)
        while time.monotonic() < end:
            usage.look()
            time.sleep(0.25)
        over.set()
        for one in [*load, *rude]:
            one.join(120)
            if one.is_alive():
                faults.append(f"{one} does not end")
        faults += usage.faults() + quiet(daemon, before)
        some, counts = books.judge()
        faults += some + unexpected(daemon.log(), monkeys.killed)
        daemon.stop()
        for name, count in sorted(counts.items()):
            print(f"# {name}: {count}")
    except AssertionError as error:
        faults.append(f"{type(error).__name__}: {error}"[:2000])
    finally:
        over.set()
        daemon.kill()
        nginx.terminate()
        nginx.wait()
        if faults:
            shutil.copy(daemon.log_file, Path(os.environ.get("SN_TOP_BUILDDIR") or ".") / f"chaos-{seed}.log")
        if disk:
            subprocess.run(["umount", str(disk)], check=False)
        shutil.rmtree(tmp, ignore_errors=True)
    for fault in faults[:40]:
        print(f"not ok - {fault}")
    print(f"{0 if faults else 1} passed, {len(faults)} failed")
    return 1 if faults else 0


def nginx_answers(port: int) -> bool:
    import http.client
    try:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        conn.request("GET", "/pids")
        return conn.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 180.0,
                  int(sys.argv[2]) if len(sys.argv) > 2 else int.from_bytes(os.urandom(3), "big")))
