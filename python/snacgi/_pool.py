# SPDX-License-Identifier: MIT
"""The process pool that handlers get as their second argument.

Each worker process belongs to one thread of the daemon, has a pipe of its own
and one call at a time, so a worker that dies takes only its own call with it:
the standard ProcessPoolExecutor fails every pending call then, and cannot say
which process runs which. The executor object stays the same over all of this.

A running call can be cancelled: its process is killed and replaced. Whoever
ends a call (its thread with the answer, a cancel, the time-out) first takes it
out of `_Worker._call` under the worker's lock, so it ends once; a process that
was killed for a call is never given another one.

Processes come from a fork server, never from a fork of the daemon (which has
threads). They ignore SIGINT, and die with the daemon, even when it is killed.

Private: users see a ``concurrent.futures.Executor``.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import functools
import itertools
import logging
import os
import threading
import time
import weakref
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence

from ._poolproc import Died, PoolProcess, TooSlow, pack
from .exceptions import GatewayTimeout, ServiceUnavailable

__all__ = ["BrokenProcessPool", "PoolExecutor", "PoolFull", "PoolTimeout", "WorkerDied"]

_log = logging.getLogger("snacgi.pool")
_os: Any = os  # eventfd is newer than what type checkers know of

_PAUSES = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)  # before a new process, by failures in a row
_START = 120.0  # seconds for a process to import the user's modules
_END_GRACE = 2.0  # seconds for an idle worker to leave by itself
_LOOK = 0.1  # seconds between two looks of a thread that waits for room


class PoolFull(ServiceUnavailable):
    """Too many calls wait for a worker, and the event loop must not be blocked: a 503."""

    description = "Too many calls wait for the process pool."

    def __init__(self) -> None:
        super().__init__(retry_after=1)


class WorkerDied(ServiceUnavailable, BrokenProcessPool):
    """The process died in this call: a 503 unless the handler catches it."""

    description = "A process that worked on the answer died."

    def __init__(self, detail: str = "") -> None:
        super().__init__(retry_after=1)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class PoolTimeout(GatewayTimeout, TimeoutError):
    """The call ran longer than it may, and its process was killed: a 504 unless caught."""

    description = "The work for the answer took too long."

    def __init__(self, detail: str = "") -> None:
        super().__init__()
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


# ---- calls -------------------------------------------------------------------


class _Scope:
    """The calls that one handler has submitted. The handler's context is the only owner, so
    it ends with the handler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._futures: weakref.WeakSet[PoolFuture] = weakref.WeakSet()
        self.cancelled = False

    def add(self, future: PoolFuture) -> None:
        with self._lock:
            self._futures.add(future)

    def cancel(self) -> int:
        with self._lock:
            self.cancelled = True
            futures = list(self._futures)
        return sum(not future.done() and future.cancel() for future in futures)


_scope: contextvars.ContextVar[Optional[_Scope]] = contextvars.ContextVar("snacgi_pool_scope", default=None)
_scopes: dict[int, weakref.ref[_Scope]] = {}  # by thread: of the handler that it runs


def _enter_scope() -> _Scope:
    scope = _scope.get()
    if scope is None:
        scope = _Scope()
        _scope.set(scope)
        _scopes[threading.get_ident()] = weakref.ref(scope)
    return scope


class PoolFuture(Future[Any]):
    """A Future whose cancel() ends a running call as well."""

    def __init__(self, call: _Call) -> None:
        super().__init__()
        self._call = weakref.ref(call)  # the queue's, then its worker's
        self._killed = False

    def cancel(self) -> bool:
        """As Future.cancel; a call that runs already is ended by killing its process."""
        call = self._call()
        if super().cancel():
            if call is not None:
                call.pool._withdraw(call)
            return True
        if call is None or call.worker is None or not call.worker.take_from(call):
            return self._killed
        self._killed = True
        self.set_exception(CancelledError())
        return True

    def cancelled(self) -> bool:
        return self._killed or super().cancelled()

    def exception(self, timeout: Optional[float] = None) -> Optional[BaseException]:
        exc = super().exception(timeout)
        if self._killed and exc is not None:
            raise exc
        return exc


class _Call:
    __slots__ = ("__weakref__", "args", "fn", "future", "kwargs", "pool", "retry", "timeout", "worker")

    def __init__(self, pool: PoolExecutor, fn: Callable[..., Any], args: tuple[Any, ...],
                 kwargs: dict[str, Any], timeout: float, retry: bool) -> None:
        self.pool = pool
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.timeout = timeout
        self.retry = retry
        self.worker: Optional[_Worker] = None
        self.future = PoolFuture(self)

    @property
    def name(self) -> str:
        fn = self.fn
        while isinstance(fn, functools.partial) and fn.args and fn.func is _run_chunk:
            fn = fn.args[0]
        return f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', repr(fn))}"


# ---- one process and its thread -----------------------------------------------


class _Worker(threading.Thread):
    """One process, and the daemon's thread that talks to it."""

    def __init__(self, pool: PoolExecutor, number: int) -> None:
        super().__init__(name=f"snacgi-pool-{number}", daemon=True)
        self.pool = pool
        self.ready = threading.Event()
        self.error: Optional[str] = None
        self.wake = _os.eventfd(0, _os.EFD_CLOEXEC | _os.EFD_NONBLOCK)
        self.next: Optional[_Call] = None  # pool._lock
        self._lock = threading.Lock()
        self._call: Optional[_Call] = None  # _lock: the call that nobody has ended yet
        self._spoiled = False  # _lock: the process was killed for a call
        self.process: Optional[PoolProcess] = None  # changed by this thread only, under _lock
        self._failures = 0
        self._tasks = 0
        # Staggered, or all would be replaced at once.
        most = pool._max_tasks
        self._tasks_left = most - most * number // (2 * pool._size) if most else 0

    # -- the process

    def _start(self) -> None:
        def born(process: PoolProcess) -> None:
            with self._lock:
                self.process = process

        pool = self.pool
        try:
            PoolProcess(self.name, pool._modules, pool._initializer, pool._initargs, _START, born)
        except BaseException:
            with self._lock:
                self.process = None
            raise
        self._tasks = 0
        if pool._killing.is_set():
            self.kill()

    def _end(self, grace: float) -> None:
        with self._lock:
            process, self.process = self.process, None
        if process is not None:
            process.close(grace)

    def kill(self) -> None:
        """Any thread."""
        with self._lock:
            if self.process is not None:
                self.process.kill()

    def _renew(self, grace: float = 0.0) -> None:
        """A new process in place of the old one; pauses grow while they fail."""
        self._end(grace)
        while not self.pool._killing.wait(_PAUSES[min(self._failures, len(_PAUSES) - 1)]):
            try:
                self._start()
                return
            except Exception as exc:
                self._failures += 1
                _log.error("A worker of the process pool could not be started again: %s", exc)

    # -- calls

    def take_from(self, call: _Call) -> bool:
        """Any thread: ends the call's run. True: the caller must end its future."""
        with self._lock:
            if self._call is not call:
                return False
            self._call = None
            self._spoiled = True
            if self.process is not None:
                self.process.kill()
            return True

    def _settle(self, call: _Call) -> bool:
        """True when the call is still this thread's to end."""
        with self._lock:
            mine = self._call is call
            self._call = None
            return mine

    def _exchange(self, call: _Call, job: bytes) -> tuple[bool, Any]:
        """Died only when the call has begun in a process that then died."""
        deadline = time.monotonic() + call.timeout if call.timeout else None
        while True:
            process = self.process
            if process is None or self.pool._killing.is_set():
                raise Died(True)
            try:
                return process.exchange(job, deadline)
            except Died as died:
                with self._lock:
                    if self._call is not call:
                        raise
                self._failures += 1
                if died.started:
                    self._report(call, process)
                    if not call.retry:
                        raise
                    call.retry = False
                self._renew()

    def _report(self, call: _Call, process: PoolProcess) -> None:
        if not self.pool._killing.is_set():
            _log.error("Process %d of the pool died in %s (%s)%s; other calls are not affected", process.pid,
                       call.name, process.fate(), ": the call runs once more" if call.retry else "")

    def _serve(self, call: _Call) -> None:
        future = call.future
        with self._lock:
            self._call = call
        call.worker = self
        if not future.set_running_or_notify_cancel():
            self._settle(call)
            return
        exc: Optional[BaseException] = None
        ok, value = True, None
        try:
            ok, value = self._exchange(call, pack(call.fn, call.args, call.kwargs))
            self._failures = 0
        except Died:
            exc = WorkerDied(f"the worker process died in this call of {call.name} "
                             f"({self.process.fate() if self.process else 'not running'}); "
                             "other calls are not affected")
            self._spoil()
        except TooSlow:
            _log.error("Process %d of the pool was killed: %s ran longer than %g seconds",
                       self.process.pid if self.process else 0, call.name, call.timeout)
            exc = PoolTimeout(f"{call.name} ran longer than {call.timeout:g} seconds")
            self._spoil()
        except BaseException as other:  # it cannot be pickled, or not read back
            exc = other
        if not ok:
            exc = value
        self._tasks += 1
        if not self._settle(call):
            return
        if exc is not None:
            future.set_exception(exc)
        else:
            future.set_result(value)

    def _spoil(self) -> None:
        with self._lock:
            self._spoiled = True

    def _look_after(self) -> None:
        """Between two calls: a process that was killed, or has done its share, is replaced."""
        with self._lock:
            spoiled, self._spoiled = self._spoiled, False
        if spoiled or (self.process is not None and self.process.ended()):
            self._renew()
        elif self._tasks_left and self._tasks >= self._tasks_left:
            self._tasks_left = self.pool._max_tasks
            self._renew(_END_GRACE)

    # -- the thread

    def _take(self) -> Optional[_Call]:
        """The next call; None when the pool is shut and nothing waits."""
        pool = self.pool
        while True:
            with pool._lock:
                call, self.next = self.next, None
                if call is None and pool._waiting:
                    call = pool._waiting.popleft()
                    pool._room.notify()
                if call is not None:
                    return call
                if pool._shut:
                    return None
                if self not in pool._idle:
                    pool._idle.append(self)
            process = self.process
            if process is not None:
                process.wait_idle(self.wake)
            try:
                _os.eventfd_read(self.wake)
            except BlockingIOError:  # it died idle
                with pool._lock:
                    if self in pool._idle:
                        pool._idle.remove(self)
                self._look_after()

    def run(self) -> None:
        try:
            self._start()
        except Exception as exc:
            self.error = str(exc)
        self.ready.set()
        while self.error is None:
            call = self._take()
            if call is None:
                break
            self._serve(call)
            del call  # its arguments may be large, and the next call may be far
            self._look_after()
        self._end(_END_GRACE)


# ---- the executor -----------------------------------------------------------------


def _run_chunk(fn: Callable[..., Any], chunk: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [fn(*args) for args in chunk]


def _chunks(size: int, iterables: tuple[Iterable[Any], ...]) -> Iterator[tuple[tuple[Any, ...], ...]]:
    it = zip(*iterables)
    while chunk := tuple(itertools.islice(it, size)):
        yield chunk


class _Calls(Executor):
    """What the pool and its views have in common: Executor's methods over _submit()."""

    _pool: PoolExecutor
    _timeout = 0.0
    _retry = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As Executor.submit; `fn`, arguments and result must be picklable."""
        pool = self._pool
        return pool._submit(_Call(pool, fn, args, kwargs, self._timeout or pool._call_timeout, self._retry))

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: Optional[float] = None,
            chunksize: int = 1, **kwargs: Any) -> Iterator[Any]:
        """As ProcessPoolExecutor.map."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        results = super().map(functools.partial(_run_chunk, fn), _chunks(chunksize, iterables),
                              timeout=timeout, **kwargs)
        return itertools.chain.from_iterable(results)

    def with_timeout(self, seconds: float) -> _Calls:
        """The same pool; a call submitted through it runs for `seconds` at most, its wait for a
        process not counted. Then its process is killed, and PoolTimeout (a TimeoutError) raised."""
        if not seconds > 0:
            raise ValueError("seconds must be above 0")
        return _View(self._pool, float(seconds), self._retry)

    def _retrying(self) -> _Calls:
        return _View(self._pool, self._timeout, True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


class _View(_Calls):
    """The pool, with what is to be different for the calls submitted through it."""

    def __init__(self, pool: PoolExecutor, timeout: float, retry: bool) -> None:
        self._pool = pool
        self._timeout = timeout
        self._retry = retry


class PoolExecutor(_Calls):
    """An Executor over worker processes that outlives any of them.

    `max_workers` processes; at most `queue` calls wait: one more blocks the
    calling thread until there is room, or raises PoolFull inside an event
    loop, which must not be blocked. `modules` are imported in every worker,
    then `initializer(*initargs)` runs there. A process is replaced after
    `max_tasks_per_child` calls; a call runs `call_timeout` seconds at most
    (0: no limit, both).
    """

    def __init__(self, max_workers: int, *, queue: int = 1024, modules: Sequence[str] = (),
                 initializer: Optional[Callable[..., object]] = None, initargs: tuple[Any, ...] = (),
                 max_tasks_per_child: int = 0, call_timeout: float = 0.0, owned: bool = False) -> None:
        if max_workers < 1:
            raise ValueError("max_workers must be at least 1")
        if queue < 1:
            raise ValueError("queue must be at least 1")
        if max_tasks_per_child < 0 or call_timeout < 0:
            raise ValueError("max_tasks_per_child and call_timeout must not be negative")
        self._pool = self
        self._size = max_workers
        self._most = queue
        self._modules = tuple(modules)
        self._initializer = initializer
        self._initargs = initargs
        self._max_tasks = max_tasks_per_child
        self._call_timeout = call_timeout
        self._owned = owned
        self._killing = threading.Event()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._waiting: collections.deque[_Call] = collections.deque()  # _lock
        self._idle: list[_Worker] = []  # _lock; the last one used is the next
        self._shut = False  # _lock
        self._workers = [_Worker(self, n) for n in range(max_workers)]
        for worker in self._workers:
            weakref.finalize(worker, os.close, worker.wake).atexit = False
            worker.start()

    def wait_ready(self, timeout: Optional[float] = None) -> None:
        """Returns when every worker is warm; RuntimeError with the reason when one fails."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for worker in self._workers:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not worker.ready.wait(left):
                raise RuntimeError(f"the process pool did not start within {timeout} seconds")
            if worker.error is not None:
                raise RuntimeError(worker.error)

    # -- calls

    def _submit(self, call: _Call) -> Future[Any]:
        in_loop = asyncio._get_running_loop() is not None
        scope = None if in_loop else _enter_scope()
        with self._lock:
            while True:
                if self._shut:
                    raise RuntimeError("cannot schedule new futures after shutdown")
                if scope is not None and scope.cancelled:
                    raise CancelledError
                if self._idle:
                    worker = self._idle.pop()
                    worker.next = call
                    _os.eventfd_write(worker.wake, 1)
                    break
                if len(self._waiting) < self._most:
                    self._waiting.append(call)
                    break
                if in_loop:
                    raise PoolFull
                self._room.wait(_LOOK)
        if scope is not None:
            scope.add(call.future)
            if scope.cancelled:
                call.future.cancel()
        return call.future

    def _withdraw(self, call: _Call) -> None:
        """It was cancelled while it waited: its place is another's."""
        with self._lock:
            try:
                self._waiting.remove(call)
            except ValueError:  # a worker has it, and will see
                return
            self._room.notify()
        call.future.set_running_or_notify_cancel()

    def cancel_thread(self, ident: int) -> int:
        """Cancels what the handler that runs in the thread `ident` (threading.get_ident()) has
        submitted and still wants: queued calls are dropped, the processes of running ones
        killed, and the handler, where it waits for one of them, gets CancelledError. Calls that
        earlier handlers of that thread left behind go on. The number of calls cancelled; any
        thread, any number of times. Async handlers need it not: a cancelled task cancels
        the future it awaits."""
        reference = _scopes.get(ident)
        scope = reference() if reference is not None else None
        return scope.cancel() if scope is not None else 0

    # -- the end

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As Executor.shutdown. The server's own pool serves every request: a handler that
        shuts it down, or uses it in a with statement, does not end it."""
        if self._owned:
            _log.warning("shutdown() of the server's process pool is ignored")
            return
        self._close(None if wait else 0.0, cancel_futures)

    def _close(self, timeout: Optional[float], cancel_futures: bool = False) -> bool:
        """Ends the workers after the calls that wait; False when some are still busy."""
        with self._lock:
            self._shut = True
            self._room.notify_all()
            waiting = list(self._waiting) if cancel_futures else []
            for worker in self._workers:
                _os.eventfd_write(worker.wake, 1)
        for call in waiting:
            call.future.cancel()
        deadline = None if timeout is None else time.monotonic() + timeout
        for worker in self._workers:
            worker.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers)

    def _kill(self) -> None:
        """For the end of the daemon: no call is waited for any more."""
        self._killing.set()
        self._close(0.0, cancel_futures=True)
        for worker in self._workers:
            worker.kill()
        self._close(1.0)
