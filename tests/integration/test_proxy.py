# SPDX-License-Identifier: MIT
"""Proxies before the front server: believed only where the configuration says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from daemon import Daemon, wait_until

Snacgi = Callable[..., Daemon]

FORGED = {
    "HTTP_X_FORWARDED_FOR": "6.6.6.6", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "evil.example",
    "HTTP_X_FORWARDED_PORT": "666", "HTTP_X_FORWARDED_PREFIX": "/evil", "HTTP_FORWARDED": "for=6.6.6.6;proto=https",
}
PLAIN = {"addr": "192.0.2.1", "scheme": "http", "host": "site.example", "url": "http://site.example/where?q=1",
         "here": "/where", "external": "http://site.example/where", "raw": "192.0.2.1", "endpoint": "where",
         "root": "http://site.example/", "root_path": ""}
ALL = ["for", "proto", "host", "port", "prefix"]


def where(daemon: Daemon, **parameters: str) -> Any:
    sent = {"REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": "site.example", **parameters}
    return daemon.ask("GET", "/where?q=1", **sent).json()


def test_nobody_is_believed_by_default(snacgi: Snacgi) -> None:
    daemon = snacgi(app="routes")
    assert where(daemon, **FORGED) == PLAIN


def test_networks(snacgi: Snacgi, tmp: Path) -> None:
    log = tmp / "access"
    daemon = snacgi(app="routes", conf={"proxy": {"trusted": ["10.0.0.0/8", "::1"], "headers": ALL}, "log": {"access": str(log)}})
    assert where(daemon, **FORGED) == PLAIN  # its sender is no proxy of ours
    sent = {"REMOTE_ADDR": "10.0.0.7", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.9", "HTTP_X_FORWARDED_PROTO": "http, https",
            "HTTP_X_FORWARDED_HOST": "evil.example, www.example:8443", "HTTP_X_FORWARDED_PREFIX": "/app/"}
    assert where(daemon, **sent) == {
        "addr": "203.0.113.9", "scheme": "https", "host": "www.example:8443", "url": "https://www.example:8443/app/where?q=1",
        "here": "/app/where", "external": "https://www.example:8443/app/where", "raw": "10.0.0.7",
        "endpoint": "where", "root": "https://www.example:8443/app/", "root_path": "/app"}
    assert where(daemon, **{**sent, "HTTP_X_FORWARDED_PORT": "443"})["host"] == "www.example"
    assert where(daemon, **{**sent, "HTTP_X_FORWARDED_PORT": "444", "HTTP_X_FORWARDED_HOST": "[::1]"})["host"] == "[::1]:444"
    answer = daemon.ask("GET", "/slash/a?q", REMOTE_ADDR="10.0.0.7", HTTP_X_FORWARDED_PREFIX="/app")
    assert answer.status == 308 and answer.header("Location") == "/app/slash/a/?q"

    def clients() -> list[str]:
        fields = [line.split("\t") for line in log.read_text().splitlines()]
        return [one[2] for one in fields if one[4] != daemon.probe]

    wait_until(lambda: len(clients()) == 5, "five lines in the access log")
    assert clients() == ["192.0.2.1", *["203.0.113.9"] * 3, "10.0.0.7"]


def test_hops(snacgi: Snacgi) -> None:
    daemon = snacgi(app="routes", conf={"proxy": {"hops": 1}})
    sent = {**FORGED, "HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.9", "HTTP_X_FORWARDED_PROTO": "http,https"}
    assert where(daemon, **sent) == {**PLAIN, "addr": "203.0.113.9", "scheme": "https", "url": "https://site.example/where?q=1",
                                     "external": "https://site.example/where", "root": "https://site.example/"}
    for broken in ("", ",", "unknown", "1.2.3.4, x"):
        assert where(daemon, HTTP_X_FORWARDED_FOR=broken) == PLAIN
    for broken in ("", "ftp", "https://", "https\r\n"):
        assert where(daemon, HTTP_X_FORWARDED_PROTO=broken)["scheme"] == "http"


@pytest.mark.parametrize("conf, says", [
    ({"trusted": ["10.0.0.0/33"]}, "proxy.trusted"),
    ({"trusted": ["balancer.example"]}, "proxy.trusted"),
    ({"headers": ["X-Forwarded-For"]}, "'X-Forwarded-For' is not one of for, proto, host, port, prefix"),
    ({"hops": 1, "trusted": ["10.0.0.1"]}, "keep one of them"),
    ({"hops": 17}, "proxy.hops"),
])
def test_refused(snacgi: Snacgi, conf: dict[str, Any], says: str) -> None:
    daemon = snacgi(app="routes", conf={"proxy": conf}, wait=False)
    assert daemon.wait() != 0
    daemon.expected_exit = None
    assert says in daemon.log()
