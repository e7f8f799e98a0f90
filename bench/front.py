# SPDX-License-Identifier: MIT
"""Through nginx with wrk, as sites run it: one nginx worker, kept connections
from wrk, and to the backend where that can keep them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Optional

import proc
import servers
from figures import Figure

# name, server, how nginx passes requests on, whether it keeps connections to the backend
ROUTES = (
    ("nginx > native fastcgi", "native", "fastcgi", True),
    ("nginx > python fastcgi", "python", "fastcgi", True),
    ("nginx > python scgi", "python", "scgi", False),
    ("nginx > libfcgi", "libfcgi", "fastcgi", True),
    ("nginx > uwsgi fastcgi", "uwsgi", "fastcgi", False),
    ("nginx > uwsgi scgi", "uwsgi", "scgi", False),
    ("nginx > uwsgi uwsgi", "uwsgi", "uwsgi", False),
    ("nginx > php", "php", "fastcgi", False),
    ("nginx > gunicorn+uvicorn", "gunicorn", "http", True),
)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def site(n: int, port: int, protocol: str, path: Path, keep: bool, script: Optional[Path]) -> str:
    upstream = f"upstream b{n} {{ server unix:{path}; {'keepalive 64;' if keep else ''} }}\n"
    passing = {"http": f"proxy_pass http://b{n}; proxy_http_version 1.1; proxy_set_header Connection '';"}.get(
        protocol, f"{protocol}_pass b{n}; include {protocol}_params;")
    if protocol == "fastcgi":
        passing += f" fastcgi_keep_conn {'on' if keep else 'off'};"
        if script:
            passing += f" fastcgi_param SCRIPT_FILENAME {script};"
    elif protocol in ("scgi", "uwsgi"):
        passing += f" {protocol}_param SCRIPT_NAME ''; {protocol}_param PATH_INFO $uri;" if protocol == "uwsgi" else " scgi_param SCRIPT_NAME $uri;"
    return upstream + f"server {{ listen 127.0.0.1:{port}; location / {{ {passing} }} }}\n"


class Nginx:
    """One nginx with a port for each backend."""

    def __init__(self, tmp: Path, running: dict[str, servers.Server]) -> None:
        program, here = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin"), tmp / "nginx"
        if not program:
            raise servers.Missing("nginx is not installed; on Debian: apt-get install nginx-light")
        here.mkdir()
        self.ports: dict[str, int] = {}
        sites = ""
        for n, (name, server, protocol, keep) in enumerate(ROUTES):
            if server not in running or protocol not in running[server].sockets:
                continue
            port = self.ports[name] = free_port()
            script = servers.HERE / "peers" / "users.php" if server == "php" else None
            sites += site(n, port, protocol, running[server].sockets[protocol], keep, script)
        for protocol in ("fastcgi", "scgi", "uwsgi"):
            found = next((p for p in (Path("/etc/nginx"), Path("/usr/local/etc/nginx")) if (p / f"{protocol}_params").exists()), None)
            if found is None:
                raise servers.Missing(f"nginx has no {protocol}_params")
            shutil.copy(found / f"{protocol}_params", here)
        user = "user root;\n" if os.geteuid() == 0 else ""
        temp = "".join(f"{p}_temp_path {here}/temp-{p};\n" for p in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi"))
        (here / "nginx.conf").write_text(
            f"{user}worker_processes 1; daemon off; pid {here}/nginx.pid; error_log {here}/error.log;\n"
            f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; keepalive_requests 1000000000;\n{temp}{sites}}}\n")
        self.process = subprocess.Popen([program, "-p", str(here), "-c", "nginx.conf"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(here / "stderr", "wb"), start_new_session=True)
        end = time.monotonic() + 20
        for port in self.ports.values():
            while not reaches(port):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"nginx does not serve: {(here / 'stderr').read_text()}")
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def reaches(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wrk(port: int, seconds: float) -> float:
    """Requests a second; every answer has to be good."""
    got = subprocess.run(["wrk", "-t", "1", "-c", "64", "-d", f"{max(1, round(seconds))}s", f"http://127.0.0.1:{port}/users/42"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    rate = re.search(r"Requests/sec:\s*([\d.]+)", got)
    if not rate or "Non-2xx" in got:
        raise RuntimeError(f"wrk: {got}")
    return float(rate.group(1))


def measure(tmp: Path, running: dict[str, servers.Server], repeat: int, seconds: float, wanted: Any) -> list[Figure]:
    if not shutil.which("wrk"):
        raise servers.Missing("wrk is not installed; on Debian: apt-get install wrk")
    nginx = Nginx(tmp, running)
    rates: dict[str, list[float]] = {}
    costs: dict[str, tuple[list[float], list[float]]] = {}
    try:
        for _ in range(repeat):
            for name, server, _protocol, _keep in ROUTES:
                if name not in nginx.ports or not wanted(name):
                    continue
                pids = (running[server].pid, nginx.process.pid)
                before = [proc.cpu_seconds([pid]) for pid in pids]
                begun = time.monotonic()
                rate = wrk(nginx.ports[name], seconds)
                done = rate * (time.monotonic() - begun)
                rates.setdefault(name, []).append(rate)
                for n, pid in enumerate(pids):
                    costs.setdefault(name, ([], []))[n].append((proc.cpu_seconds([pid]) - before[n]) / done * 1e6)
    finally:
        nginx.stop()
    out = [Figure(f"{name}: requests/s", values, "/s", note=f"CPU us a request: backend {min(costs[name][0]):.1f}, nginx {min(costs[name][1]):.1f}")
           for name, values in rates.items()]
    return out + ratios(rates)


def ratios(rates: dict[str, list[float]]) -> list[Figure]:
    ours, out = rates.get("nginx > python fastcgi"), []
    if not ours:
        return []
    peers = {p: rates.get(f"nginx > uwsgi {p}") for p in ("fastcgi", "scgi", "uwsgi")}
    if peers["fastcgi"]:
        out.append(Figure("nginx: python / uwsgi over FastCGI", [a / b for a, b in zip(ours, peers["fastcgi"])], "x", ">=", 1.9))
    best = [max(turn) for turn in zip(*(p for p in peers.values() if p))]
    if best:
        out.append(Figure("nginx: python / uwsgi over its best protocol", [a / b for a, b in zip(ours, best)], "x", ">=", 1.4))
    return out
