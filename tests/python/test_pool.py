# SPDX-License-Identifier: MIT
"""The process pool's executor, without a daemon. Processes are real; nothing here waits for
a length of time."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Iterator

import pytest

from snacgi._pool import PoolExecutor, PoolFull

WAIT = 60


def square(x: int) -> int:
    return x * x


def add(a: int, b: int = 0) -> int:
    return a + b


def fail(text: str) -> None:
    raise LookupError(text)


def leave() -> None:
    raise SystemExit(3)


class Stubborn(Exception):
    """Pickles, and cannot be read back."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__("stubborn")


def stubborn() -> None:
    raise Stubborn(1, 2)


def unpicklable() -> Any:
    return lambda: None


def die(how: int) -> None:
    os.kill(os.getpid(), how)
    time.sleep(WAIT)


def hold(directory: str, name: str) -> int:
    """Says that it runs, then waits to be let go."""
    Path(directory, name).touch()
    until = time.monotonic() + WAIT
    while not Path(directory, "go").exists() and time.monotonic() < until:
        time.sleep(0.002)
    return os.getpid()


def wait_for(path: Path) -> None:
    until = time.monotonic() + WAIT
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.002)


def sigint_ignored() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


marks: list[int] = []


def initialise(value: int) -> None:
    marks.append(value)


def read_marks() -> list[int]:
    return marks


@pytest.fixture(scope="module")
def pool() -> Iterator[PoolExecutor]:
    executor = PoolExecutor(2, initializer=initialise, initargs=(7,))
    executor.wait_ready(WAIT)
    yield executor
    executor.shutdown()


def test_results(pool: PoolExecutor) -> None:
    assert pool.submit(square, 5).result(WAIT) == 25
    assert pool.submit(add, 1, b=2).result(WAIT) == 3
    assert pool.submit(os.getpid).result(WAIT) != os.getpid()
    assert pool.submit(read_marks).result(WAIT) == [7]
    assert pool.submit(sigint_ignored).result(WAIT)


def test_map(pool: PoolExecutor) -> None:
    assert list(pool.map(square, range(20))) == [n * n for n in range(20)]
    assert list(pool.map(add, range(5), range(5), chunksize=2)) == [0, 2, 4, 6, 8]
    with pytest.raises(LookupError):
        list(pool.map(fail, ["a", "b"]))
    with pytest.raises(ValueError, match="chunksize"):
        pool.map(square, [1], chunksize=0)


def test_exceptions_come_home(pool: PoolExecutor) -> None:
    with pytest.raises(LookupError, match="lost") as info:
        pool.submit(fail, "lost").result(WAIT)
    assert 'raise LookupError(text)' in str(info.value.__cause__)
    with pytest.raises(SystemExit):
        pool.submit(leave).result(WAIT)
    with pytest.raises(RuntimeError, match="stubborn"):
        pool.submit(stubborn).result(WAIT)
    with pytest.raises(Exception, match="(?i)pickle"):
        pool.submit(unpicklable).result(WAIT)
    with pytest.raises(Exception, match="(?i)pickle"):
        pool.submit(lambda: None).result(WAIT)
    assert pool.submit(square, 3).result(WAIT) == 9


def test_a_dead_worker_takes_only_its_own_call(tmp_path: Path) -> None:
    with PoolExecutor(2) as pool:
        pool.wait_ready(WAIT)
        held = pool.submit(hold, str(tmp_path), "held")
        wait_for(tmp_path / "held")
        dead = pool.submit(die, signal.SIGKILL)
        waiting = [pool.submit(square, n) for n in range(10)]
        with pytest.raises(BrokenProcessPool, match="SIGKILL"):
            dead.result(WAIT)
        assert [f.result(WAIT) for f in waiting] == [n * n for n in range(10)]
        assert not held.done()
        (tmp_path / "go").touch()
        assert held.result(WAIT) > 0


def test_a_worker_that_died_idle_fails_nothing() -> None:
    with PoolExecutor(1) as pool:
        pool.wait_ready(WAIT)
        pid = pool.submit(os.getpid).result(WAIT)
        os.kill(pid, signal.SIGKILL)
        process = pool._workers[0].process
        process.join(WAIT)
        assert pool.submit(square, 4).result(WAIT) == 16
        assert pool.submit(os.getpid).result(WAIT) != pid


def test_cancel_what_waits(tmp_path: Path) -> None:
    with PoolExecutor(1) as pool:
        held = pool.submit(hold, str(tmp_path), "held")
        wait_for(tmp_path / "held")
        waiting = pool.submit(square, 2)
        after = pool.submit(square, 3)
        assert waiting.cancel()
        assert not held.cancel()
        (tmp_path / "go").touch()
        with pytest.raises(CancelledError):
            waiting.result(WAIT)
        assert after.result(WAIT) == 9


def test_full_blocks_a_thread_and_refuses_a_loop(tmp_path: Path) -> None:
    with PoolExecutor(1, queue=1) as pool:
        held = pool.submit(hold, str(tmp_path), "held")
        wait_for(tmp_path / "held")
        waiting = pool.submit(square, 2)

        async def inside() -> None:
            with pytest.raises(PoolFull):
                await asyncio.get_running_loop().run_in_executor(pool, square, 3)

        asyncio.run(inside())
        more: list[int] = []
        thread = threading.Thread(target=lambda: more.append(pool.submit(square, 4).result(WAIT)))
        thread.start()
        (tmp_path / "go").touch()
        thread.join(WAIT)
        assert more == [16]
        assert waiting.result(WAIT) == 4
        assert held.done()
    assert PoolFull().code == 503
    assert ("Retry-After", "1") in PoolFull().get_headers()


def test_in_a_loop(pool: PoolExecutor) -> None:
    async def inside() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(pool, square, n) for n in range(8)))

    assert asyncio.run(inside()) == [n * n for n in range(8)]


def test_many_threads(pool: PoolExecutor) -> None:
    results: list[int] = []

    def work() -> None:
        futures = [pool.submit(square, n) for n in range(25)]
        results.extend(f.result(WAIT) for f in as_completed(futures))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(results) == sorted(n * n for n in range(25) for _ in range(8))


def test_shutdown(tmp_path: Path) -> None:
    pool = PoolExecutor(1)
    held = pool.submit(hold, str(tmp_path), "held")
    wait_for(tmp_path / "held")
    waiting = pool.submit(square, 2)
    pool.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        waiting.result(WAIT)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(square, 2)
    (tmp_path / "go").touch()
    assert held.result(WAIT) > 0
    pool.shutdown()
    assert not any(worker.is_alive() for worker in pool._workers)


def test_the_servers_pool_is_not_shut_by_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    pool = PoolExecutor(1, owned=True)
    with pool as executor:
        assert executor.submit(square, 2).result(WAIT) == 4
    assert "ignored" in caplog.text
    assert pool.submit(square, 3).result(WAIT) == 9
    assert pool._close(WAIT)


def test_kill_ends_a_busy_worker(tmp_path: Path) -> None:
    pool = PoolExecutor(1, owned=True)
    held = pool.submit(hold, str(tmp_path), "held")
    wait_for(tmp_path / "held")
    pool._kill()
    with pytest.raises(BrokenProcessPool):
        held.result(WAIT)


def test_a_module_that_fails_in_the_worker() -> None:
    pool = PoolExecutor(1, modules=["no_such_module_at_all"])
    with pytest.raises(RuntimeError, match="no_such_module_at_all"):
        pool.wait_ready(WAIT)
    pool._kill()


def test_bad_arguments() -> None:
    for bad in ({"max_workers": 0}, {"max_workers": 1, "queue": 0}):
        with pytest.raises(ValueError):
            PoolExecutor(**bad)
