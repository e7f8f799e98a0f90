# SPDX-License-Identifier: MIT
"""The process pool that handlers get as their second argument.

Each worker process belongs to one thread of the daemon, has a pipe of its own
and one call at a time, so a worker that dies takes only its own call with it:
the standard ProcessPoolExecutor fails every pending call then, and cannot say
which process runs which. The executor object stays the same over all of this.

Processes come from a fork server, never from a fork of the daemon (which has
threads). They ignore SIGINT, and die with the daemon, even when it is killed.

Private: users see a ``concurrent.futures.Executor``.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import itertools
import logging
import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import queue as _queue
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Callable, Iterable, Iterator, Sequence

from .exceptions import ServiceUnavailable

__all__ = ["BrokenProcessPool", "PoolExecutor", "PoolFull"]

_log = logging.getLogger("snacgi.pool")

_PR_SET_PDEATHSIG = 1
_RESTART_PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
_END_GRACE = 2.0  # seconds for an idle worker to leave by itself


class PoolFull(ServiceUnavailable):
    """Too many calls wait for a worker, and the event loop must not be blocked: a 503."""

    description = "Too many calls wait for the process pool."

    def __init__(self) -> None:
        super().__init__(retry_after=1)


# ---- in the worker process ---------------------------------------------------


class _RemoteTraceback(Exception):
    """Shows the worker's traceback as the cause, like concurrent.futures."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text


def _rebuild(exc: BaseException, text: str) -> BaseException:
    exc.__cause__ = _RemoteTraceback(text)
    return exc


class _Failure:
    """An exception on its way home, with its traceback as text."""

    def __init__(self, exc: BaseException) -> None:
        text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
        exc.__traceback__ = None
        exc.__cause__ = exc.__context__ = None
        self.exc = exc
        self.text = f'\n"""\n{text}"""'

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.exc, self.text)


def _die_with_parent() -> None:
    """The kernel kills this process when the fork server ends, which ends with the daemon: at
    the end of a pipe whose other end the daemon holds. But so does every worker, as Python
    starts it, and none would ever end while one is busy: ours is closed."""
    server: Any = multiprocessing.forkserver._forkserver
    alive = getattr(server, "_forkserver_alive_fd", None)
    if alive is not None:
        server._forkserver_alive_fd = None
        os.close(alive)
    try:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError):  # no libffi: it ends after its call
        pass
    if os.getppid() == 1:  # it was gone before we asked
        os._exit(1)


def _dumps(value: object) -> bytes:
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # multiprocessing's own objects need its pickler, which is slow
        return bytes(ForkingPickler.dumps(value, pickle.HIGHEST_PROTOCOL))


def _dump(ok: bool, value: object) -> bytes:
    return _dumps((ok, value))


def _run(job: bytes) -> bytes:
    try:
        fn, args, kwargs = pickle.loads(job)
        return _dump(True, fn(*args, **kwargs))
    except BaseException as exc:  # sys.exit() in a function is its call's failure
        try:
            data = _dump(False, _Failure(exc))
            pickle.loads(data)  # some exceptions pickle, and cannot be read back
            return data
        except Exception:
            text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
            return _dump(False, _Failure(RuntimeError(f"{type(exc).__name__}: {exc}\n{text}")))


def _work(conn: Connection, modules: Sequence[str], initializer: Callable[..., object] | None,
          initargs: tuple[Any, ...]) -> None:
    """The worker process: one answer for each call, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    try:
        for name in modules:
            importlib.import_module(name)
        if initializer is not None:
            initializer(*initargs)
    except BaseException:
        conn.send((False, traceback.format_exc()))
        return
    conn.send((True, os.getpid()))
    while True:
        try:
            job = conn.recv_bytes()
        except (EOFError, OSError):
            break
        answer = _run(job)
        del job
        try:
            conn.send_bytes(answer)
        except OSError:
            break
        del answer
    sys.stdout.flush()
    sys.stderr.flush()


# ---- in the daemon ---------------------------------------------------------------


class _Call:
    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.future: Future[Any] = Future()
        self.fn = fn
        self.args = args
        self.kwargs = kwargs


class _Died(Exception):
    """The worker is gone; `started` tells whether it may have run the call."""

    def __init__(self, started: bool) -> None:
        super().__init__(started)
        self.started = started


_fork_lock = threading.Lock()


def _ensure_fork_server() -> None:
    """Starts the fork server when it does not run, able to find our package and the user's."""
    with _fork_lock:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        try:
            multiprocessing.forkserver.ensure_running()
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before


class _Worker(threading.Thread):
    """One process, and the daemon's thread that talks to it."""

    def __init__(self, pool: PoolExecutor, number: int) -> None:
        super().__init__(name=f"snacgi-pool-{number}", daemon=True)
        self.pool = pool
        self.conn: Connection | None = None
        self.process: Any = None
        self.ready = threading.Event()
        self.error: str | None = None

    # -- the process

    def _start(self) -> None:
        _ensure_fork_server()
        ours, theirs = multiprocessing.Pipe()
        pool = self.pool
        try:
            self.process = pool._context.Process(
                target=_work, name=self.name,
                args=(theirs, pool._modules, pool._initializer, pool._initargs))
            self.process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.conn = ours
        try:
            ok, what = ours.recv()
        except (EOFError, OSError):
            raise RuntimeError("the worker process died while it started") from None
        if not ok:
            raise RuntimeError("a module cannot be imported in a worker process of the pool, which "
                               f"imports what the daemon imports:\n{what}")

    def _end(self, grace: float) -> None:
        conn, process = self.conn, self.process
        self.conn = self.process = None
        if conn is not None:
            conn.close()
        if process is not None and process.pid is not None:
            process.join(grace)
            if process.exitcode is None:
                process.kill()
                process.join(1.0)
            try:
                process.close()
            except ValueError:  # not even SIGKILL: the kernel holds it
                pass

    def _restart(self) -> None:
        """A new process in place of a dead one; pauses grow while that fails."""
        for pause in itertools.chain(_RESTART_PAUSES, itertools.repeat(_RESTART_PAUSES[-1])):
            self._end(0.0)
            if self.pool._closing.wait(pause):
                return
            try:
                self._start()
                return
            except Exception as exc:
                _log.error("A worker of the process pool could not be started again: %s", exc)

    # -- calls

    def _exchange(self, job: bytes) -> Any:
        conn = self.conn
        if conn is None:
            raise _Died(False)
        try:
            conn.send_bytes(job)
        except OSError:
            raise _Died(False) from None
        try:
            return conn.recv_bytes()
        except (EOFError, OSError):
            raise _Died(True) from None

    def _serve(self, call: _Call) -> None:
        future = call.future
        if not future.set_running_or_notify_cancel():
            return
        try:
            job = _dumps((call.fn, call.args, call.kwargs))
            try:
                answer = self._exchange(job)
            except _Died as died:
                if died.started:
                    raise
                self._restart()  # it had died idle: the call has not begun
                answer = self._exchange(job)
            ok, value = pickle.loads(answer)
        except _Died:
            exit_code = self._exit_code()
            future.set_exception(BrokenProcessPool(
                f"the worker process died in this call ({exit_code}); other calls are not affected"))
            self._restart()
        except BaseException as exc:  # it cannot be pickled, or not read back
            future.set_exception(exc)
        else:
            if ok:
                future.set_result(value)
            else:
                future.set_exception(value)

    def _exit_code(self) -> str:
        if self.process is None:
            return "not running"
        self.process.join(1.0)
        code = self.process.exitcode
        if code is None:
            return "it closed its pipe"
        if code < 0:
            try:
                return f"signal {signal.Signals(-code).name}"
            except ValueError:
                return f"signal {-code}"
        return f"exit status {code}"

    def run(self) -> None:
        pool = self.pool
        try:
            self._start()
        except Exception as exc:
            self.error = str(exc)
            self._end(0.0)
        self.ready.set()
        if self.error is not None:
            return
        while True:
            call = pool._queue.get()
            if call is None:
                break
            pool._room.release()
            self._serve(call)
            del call  # its arguments may be large, and the next call may be far
        self._end(_END_GRACE)


def _run_chunk(fn: Callable[..., Any], chunk: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [fn(*args) for args in chunk]


def _chunks(size: int, iterables: tuple[Iterable[Any], ...]) -> Iterator[tuple[tuple[Any, ...], ...]]:
    it = zip(*iterables)
    while chunk := tuple(itertools.islice(it, size)):
        yield chunk


class PoolExecutor(Executor):
    """An Executor over worker processes that outlives any of them.

    `max_workers` processes; at most `queue` calls wait: one more blocks the
    calling thread until there is room, or raises PoolFull inside an event
    loop, which must not be blocked. `modules` are imported in every worker,
    then `initializer(*initargs)` runs there.
    """

    def __init__(self, max_workers: int, *, queue: int = 1024, modules: Sequence[str] = (),
                 initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = (),
                 owned: bool = False) -> None:
        if max_workers < 1:
            raise ValueError("max_workers must be at least 1")
        if queue < 1:
            raise ValueError("queue must be at least 1")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._modules = tuple(modules)
        self._initializer = initializer
        self._initargs = initargs
        self._owned = owned
        self._queue: Any = _queue.SimpleQueue()
        self._room = threading.Semaphore(queue)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._shut = False
        self._workers = [_Worker(self, n) for n in range(max_workers)]
        for worker in self._workers:
            worker.start()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Returns when every worker is warm; RuntimeError with the reason when one fails."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for worker in self._workers:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not worker.ready.wait(left):
                raise RuntimeError(f"the process pool did not start within {timeout} seconds")
            if worker.error is not None:
                raise RuntimeError(worker.error)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As Executor.submit; `fn`, arguments and result must be picklable."""
        if not self._room.acquire(blocking=False):
            if asyncio._get_running_loop() is not None:
                raise PoolFull
            self._room.acquire()
        call = _Call(fn, args, kwargs)
        with self._lock:
            if self._shut:
                self._room.release()
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._queue.put(call)
        return call.future

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None,
            chunksize: int = 1, **kwargs: Any) -> Iterator[Any]:
        """As ProcessPoolExecutor.map."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        results = super().map(functools.partial(_run_chunk, fn), _chunks(chunksize, iterables),
                              timeout=timeout, **kwargs)
        return itertools.chain.from_iterable(results)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As Executor.shutdown. The server's own pool serves every request: a handler that
        shuts it down, or uses it in a with statement, does not end it."""
        if self._owned:
            _log.warning("shutdown() of the server's process pool is ignored")
            return
        self._close(None if wait else 0.0, cancel_futures)

    def _close(self, timeout: float | None, cancel_futures: bool = False) -> bool:
        """Ends the workers after the calls that wait; False when some are still busy."""
        with self._lock:
            first = not self._shut
            self._shut = True
        if cancel_futures:
            self._cancel_waiting()
        if first:
            for _ in self._workers:
                self._queue.put(None)
        deadline = None if timeout is None else time.monotonic() + timeout
        for worker in self._workers:
            worker.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers)

    def _cancel_waiting(self) -> None:
        ends = 0
        while True:
            try:
                call = self._queue.get_nowait()
            except _queue.Empty:
                break
            if call is None:
                ends += 1
                continue
            self._room.release()
            call.future.cancel()
            call.future.set_running_or_notify_cancel()
        for _ in range(ends):
            self._queue.put(None)

    def _kill(self) -> None:
        """For the end of the daemon: no call is waited for any more."""
        self._closing.set()
        self._close(0.0, cancel_futures=True)
        for worker in self._workers:
            process = worker.process
            if process is not None and process.pid is not None:
                try:
                    process.kill()
                except (OSError, ValueError):
                    pass
        self._close(1.0)
