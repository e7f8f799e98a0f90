# SPDX-License-Identifier: MIT
"""Either side reloads or stops while others ask: no answer is wrong, cut, or empty, and
what comes after is as before."""

from __future__ import annotations

import errno
import http.client
import os
import signal
import threading
from typing import Any, Callable

from browser import Browser
from daemon import wait_until
from expected import LOST
from fronts import Front

Verdict = Callable[[str, Any], None]


class Load:
    """Threads that ask without a pause and keep account of every answer."""

    def __init__(self, front: Front, threads: int = 6, lost: frozenset[str] = frozenset()) -> None:
        self.front = front
        self.may_lose = lost
        # One who gives up frees what he waited for: where that is allowed, not after a minute, or all
        # threads could be stuck for as long as more() waits. No verdict hangs on it: an answer that
        # is merely slow counts as lost there, which is allowed.
        self.browser = Browser(front.port, 15.0) if "hangs" in lost else front.browser
        self.lock = threading.Lock()
        self.good = 0
        self.statuses: dict[str, int] = {}
        self.wrong: list[str] = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(threads)]

    def work(self, seed: int) -> None:
        n = seed
        while not self.ended.is_set():
            n += 7
            try:
                if n % 3 == 0:
                    body = b'{"n":%d}' % n
                    answer, right = self.browser.ask("POST", "/json", body), b'{"got":{"n":%d}}' % n
                else:
                    answer, right = self.browser.get(f"{('', '/native')[n % 2]}/users/{n}"), b'{"user_id":%d}' % n
                outcome = str(answer.status)
                wrong = answer.status == 200 and answer.body.replace(b" ", b"") != right or answer.status not in (200, 500, 502, 503, 504)
                text = repr((answer.status, dict(answer.headers), answer.body[:200]))
            except (TimeoutError, ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine) as error:
                outcome, wrong, text = ("hangs", "hangs" not in self.may_lose, repr(error)) if isinstance(error, TimeoutError) else ("refused", False, repr(error))
            except http.client.IncompleteRead as error:
                outcome, wrong, text = "cut", True, repr(error)
            except OSError as error:  # no port is free: not the server's fault
                if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                    raise
                self.ended.wait(0.1)
                continue
            with self.lock:
                self.statuses[outcome] = self.statuses.get(outcome, 0) + 1
                if wrong:
                    self.wrong.append(text)

    def count(self, outcome: str = "200") -> int:
        with self.lock:
            return self.statuses.get(outcome, 0)

    def more(self, outcome: str = "200", by: int = 30) -> None:
        before = self.count(outcome)
        wait_until(lambda: self.count(outcome) >= before + by, f"{by} more answers {outcome}, after {self.statuses}\n{self.front.log()}")

    def __enter__(self) -> "Load":
        for one in self.threads:
            one.start()
        self.more()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for one in self.threads:
            one.join(60)
        assert not self.wrong, self.wrong[:5]


def losses(load: Load) -> str:
    """What a reload may cost is data (LOST); whether it does this time, and how many, chance decides.
    So "may lose some" says what is allowed, not that any were lost: nothing fails where a server
    has become better."""
    lost = {k: v for k, v in load.statuses.items() if k != "200"}
    if set(lost) - load.may_lose:
        return f"lost: {lost}"
    return "may lose some" if load.may_lose else "nothing lost"


def test_server_reloads(front: Front, verdict: Verdict) -> None:
    with Load(front, lost=LOST.get(front.variant.name, frozenset())) as load:
        for _ in range(3):
            front.reload()
            load.more(by=60)
    verdict("server-reload", losses(load))


def test_snacgi_reloads(front: Front, verdict: Verdict) -> None:
    """New workers, and nobody notices: kept connections go from the old ones to the new."""
    if front.daemon is None:  # mod_fcgid has no supervisor to ask
        verdict("snacgi-reload", "not asked")
        return
    with Load(front) as load:
        for _ in range(2):
            old = front.snacgis()
            os.kill(front.daemon.pid, signal.SIGHUP)
            wait_until(lambda: not set(old) & set(front.snacgis()) and front.snacgis(), f"new workers\n{front.daemon.log()[-3000:]}")
            load.more(by=60)
    verdict("snacgi-reload", losses(load))


def test_snacgi_stops(front: Front, verdict: Verdict) -> None:
    """The server tells its clients so, and finds snacgi again when it is back."""
    with Load(front) as load:
        seen = front.stop_and_start_snacgi()
        load.more()
    verdict("snacgi-stops", f"{seen}, then ok")


def test_server_stops(front: Front, verdict: Verdict) -> None:
    with Load(front) as load:
        code = front.stop_server()
        load.more("refused", 10)
        front.start_server()
        load.more()
    assert code in (*front.end_codes, -front.stop_signal), code
    verdict("server-stops", "no wrong answer")
