# SPDX-License-Identifier: MIT
"""The process pool's executor, without a daemon. Processes are real; nothing here waits for
a length of time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import CancelledError, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Iterator

import pytest

from snacgi._pool import PoolExecutor, PoolFull, PoolTimeout, WorkerDied

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


def once(directory: str) -> str:
    """Dies the first time, answers the second."""
    path = Path(directory, "tried")
    if path.exists():
        return "second"
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def hold_with_child(directory: str) -> None:
    child = subprocess.Popen(["sleep", str(WAIT)])
    Path(directory, "child.new").write_text(str(child.pid))
    Path(directory, "child.new").rename(Path(directory, "child"))
    child.wait()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_dead(pid: int) -> None:
    until = time.monotonic() + WAIT
    while alive(pid):
        assert time.monotonic() < until
        time.sleep(0.002)


def size_of(data: bytes) -> int:
    return len(data)


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
        assert pool.submit(square, 4).result(WAIT) == 16
        assert pool.submit(os.getpid).result(WAIT) != pid


def test_cancel_what_waits(tmp_path: Path) -> None:
    with PoolExecutor(1) as pool:
        held = pool.submit(hold, str(tmp_path), "held")
        wait_for(tmp_path / "held")
        waiting = pool.submit(square, 2)
        after = pool.submit(square, 3)
        assert waiting.cancel()
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


def test_cancel_what_runs(tmp_path: Path) -> None:
    """Its process is killed with all it has started, and another takes its place."""
    with PoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(WAIT)
        held = pool.submit(hold_with_child, str(tmp_path))
        wait_for(tmp_path / "child")
        after = pool.submit(os.getpid)
        assert held.running()
        assert held.cancel()
        assert held.cancelled() and held.done()
        with pytest.raises(CancelledError):
            held.result(WAIT)
        with pytest.raises(CancelledError):
            held.exception(WAIT)
        assert wait([held], WAIT).done == {held}
        assert after.result(WAIT) != pid
        wait_dead(pid)
        wait_dead(int((tmp_path / "child").read_text()))


def test_cancelled_when_the_answer_came(tmp_path: Path) -> None:
    """Cancels that cross the answer: the call ends once, and the next one has a sound process."""
    with PoolExecutor(1) as pool:
        pool.wait_ready(WAIT)
        for n in range(60):
            future = pool.submit(square, n)
            if n % 2:
                os.sched_yield()
            cancelled = future.cancel()
            after = pool.submit(square, n)
            assert after.result(WAIT) == n * n
            assert future.cancelled() == cancelled
            if not cancelled:
                assert future.result(WAIT) == n * n
            assert future.cancel() == cancelled


def test_cancelled_task_ends_its_call(tmp_path: Path) -> None:
    with PoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(WAIT)

        async def inside() -> None:
            loop = asyncio.get_running_loop()
            task = asyncio.ensure_future(loop.run_in_executor(pool, hold, str(tmp_path), "held"))
            while not (tmp_path / "held").exists():
                await asyncio.sleep(0.002)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(inside())
        assert pool.submit(square, 2).result(WAIT) == 4
        wait_dead(pid)


def test_cancel_a_threads_calls(tmp_path: Path) -> None:
    """What the handler in that thread waits for, and no other's."""
    with PoolExecutor(2, queue=1) as pool:
        other = pool.submit(hold, str(tmp_path), "other")
        wait_for(tmp_path / "other")
        failed: list[BaseException] = []

        def handler() -> None:
            try:
                futures = [pool.submit(hold, str(tmp_path), "mine"), pool.submit(square, 2)]
                futures.append(pool.submit(square, 3))  # no room: waits
                wait(futures)
            except BaseException as exc:
                failed.append(exc)

        thread = threading.Thread(target=handler)
        thread.start()
        wait_for(tmp_path / "mine")
        assert thread.ident is not None
        while thread.is_alive():  # it may not have submitted all of them yet
            pool.cancel_thread(thread.ident)
            thread.join(0.01)
        assert [type(exc) for exc in failed] in ([CancelledError], [])
        assert pool.cancel_thread(thread.ident) == 0
        assert pool.submit(square, 4).result(WAIT) == 16
        assert not other.done()
        (tmp_path / "go").touch()
        assert other.result(WAIT) > 0


def test_cancelled_waiting_calls_make_room(tmp_path: Path) -> None:
    with PoolExecutor(1, queue=1) as pool:
        held = pool.submit(hold, str(tmp_path), "held")
        wait_for(tmp_path / "held")

        async def inside() -> None:
            loop = asyncio.get_running_loop()
            for _ in range(3):
                waiting = loop.run_in_executor(pool, square, 1)
                waiting.cancel()
                await asyncio.sleep(0)

        asyncio.run(inside())
        (tmp_path / "go").touch()
        assert held.result(WAIT) > 0


def test_time_out_of_a_call(tmp_path: Path) -> None:
    with PoolExecutor(1, call_timeout=WAIT) as pool:
        pid = pool.submit(os.getpid).result(WAIT)
        with pytest.raises(TimeoutError, match="hold ran longer than 0.05") as info:
            pool.with_timeout(0.05).submit(hold, str(tmp_path), "held").result(WAIT)
        assert isinstance(info.value, PoolTimeout) and info.value.code == 504
        assert pool.submit(square, 2).result(WAIT) == 4
        wait_dead(pid)
        with pytest.raises(ValueError, match="above 0"):
            pool.with_timeout(0)
    with PoolExecutor(1, call_timeout=0.05) as pool, pytest.raises(PoolTimeout):
        pool.submit(hold, str(tmp_path), "again").result(WAIT)


def test_a_stopped_process_is_timed_out() -> None:
    """It takes no byte of a large call."""
    with PoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(WAIT)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(PoolTimeout):
            pool.with_timeout(0.05).submit(size_of, bytes(16 << 20)).result(WAIT)
        assert pool.submit(size_of, bytes(16 << 20)).result(WAIT) == 16 << 20


def test_large_values(pool: PoolExecutor) -> None:
    for size in (0, 1, 65527, 65528, 65536, 70000, 3 << 20):
        assert pool.submit(size_of, bytes(size)).result(WAIT) == size
        assert pool.submit(bytes, size).result(WAIT) == bytes(size)


def test_retry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with PoolExecutor(1) as pool:
        assert pool._retrying().submit(once, str(tmp_path)).result(WAIT) == "second"
        assert "once (signal SIGKILL: killed, or out of memory): the call runs once more" in caplog.text
        with pytest.raises(WorkerDied, match="SIGSEGV") as info:
            pool._retrying().submit(die, signal.SIGSEGV).result(WAIT)
        assert info.value.code == 503
        assert ("Retry-After", "1") in info.value.get_headers()
        assert list(pool._retrying().map(square, [1, 2])) == [1, 4]


def test_processes_are_replaced_after_their_share() -> None:
    with PoolExecutor(1, max_tasks_per_child=2) as pool:
        pids = [pool.submit(os.getpid).result(WAIT) for _ in range(6)]
    assert pids[0] == pids[1] and pids[2] == pids[3] and pids[4] == pids[5]
    assert len(set(pids)) == 3


def test_a_process_that_died_idle_is_replaced_before_a_call_comes() -> None:
    with PoolExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(WAIT)
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + WAIT
        while True:
            process = pool._workers[0].process
            if process is not None and process.pid != pid:
                break
            assert time.monotonic() < until
            time.sleep(0.002)
        assert pool.submit(square, 3).result(WAIT) == 9


def test_the_fork_server_may_die() -> None:
    """Its workers go with it, and all of them come back."""
    import multiprocessing.forkserver

    with PoolExecutor(2) as pool:
        pool.wait_ready(WAIT)
        server: Any = multiprocessing.forkserver._forkserver
        os.kill(server._forkserver_pid, signal.SIGKILL)
        until = time.monotonic() + WAIT
        while True:
            try:
                assert pool.submit(square, 5).result(WAIT) == 25
                break
            except BrokenProcessPool:
                assert time.monotonic() < until


def test_memory_runs_out_there_first(pool: PoolExecutor) -> None:
    assert int(pool.submit(Path.read_text, Path("/proc/self/oom_score_adj")).result(WAIT)) >= 500


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
