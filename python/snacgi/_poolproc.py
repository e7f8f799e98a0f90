# SPDX-License-Identifier: MIT
"""One process of the pool, as the thread that owns it sees it: start, exchange, kill.

Nobody but the owner looks at the process. multiprocessing's own Process objects
are in a global list that every start polls, from any thread, by descriptor
numbers that may have been given out anew since: that eats bytes of somebody
else's pipe. So the process is started without entering that list. It is killed
through a descriptor of its own (pidfd), never by a number that may be another
process by now; that, and only that, may be done by any thread. Private.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
from multiprocessing.context import ForkServerProcess
from typing import Any, Callable, Sequence

from ._poolwork import HEADER, dumps, work

__all__ = ["Died", "PoolProcess", "TooSlow"]

_READ = 65536


class Died(Exception):
    """The process is gone; `started` tells whether it may have run the call."""

    def __init__(self, started: bool) -> None:
        super().__init__(started)
        self.started = started


class TooSlow(Exception):
    """The call has run longer than it may."""


_fork_lock = threading.Lock()


def _fork_server() -> int:
    """Starts the fork server when it does not run, able to find our package and the user's;
    its process id."""
    with _fork_lock:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        try:
            multiprocessing.forkserver.set_forkserver_preload([work.__module__])
            multiprocessing.forkserver.ensure_running()
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
        server: Any = multiprocessing.forkserver._forkserver
        return int(server._forkserver_pid or 0)


class PoolProcess:
    """Started and ready when the constructor returns; RuntimeError when it cannot be."""

    def __init__(self, name: str, modules: Sequence[str], initializer: Callable[..., object] | None,
                 initargs: tuple[Any, ...], patience: float,
                 born: Callable[[PoolProcess], None] = lambda process: None) -> None:
        self.pid = 0
        self._lock = threading.Lock()
        self._handle = -1  # pidfd; under _lock: whoever kills is not the one who closes
        self._popen: Any = None
        self._sock, theirs = socket.socketpair()
        self._sock.setblocking(False)
        self._poll = select.poll()
        self._death = select.poll()
        try:
            with theirs:
                self._spawn(name, (theirs, _fork_server(), modules, initializer, initargs))
            born(self)
            ok, what = self._hello(time.monotonic() + patience)
        except BaseException:
            self.close(0.0)
            raise
        if not ok:
            self.close(1.0)
            raise RuntimeError("a module cannot be imported in a worker process of the pool, which "
                               f"imports what the daemon imports:\n{what}")

    def _spawn(self, name: str, args: tuple[Any, ...]) -> None:
        process: Any = ForkServerProcess(target=work, name=name, args=args)
        # As Process.start(), but for the global list.
        self._popen = ForkServerProcess._Popen(process)
        self.pid = self._popen.pid
        self._poll.register(self._sock, select.POLLIN)
        self._poll.register(self._popen.sentinel, select.POLLIN)
        self._death.register(self._popen.sentinel, select.POLLIN)

    def _hello(self, deadline: float) -> tuple[bool, Any]:
        try:
            self._wait(select.POLLIN, deadline)
            data, handles, _, _ = socket.recv_fds(self._sock, _READ, 1, socket.MSG_CMSG_CLOEXEC)
            with self._lock:
                self._handle = handles[0] if handles else -1
            if not data:
                raise Died(False)
            ok, what = pickle.loads(self._receive(deadline, data))
        except TooSlow:
            raise RuntimeError("a worker process of the pool did not import its modules in time") from None
        except (Died, OSError):
            raise RuntimeError(f"the worker process died while it started ({self.fate()})") from None
        return bool(ok), what

    # -- the exchange: the owner's thread

    def _wait(self, events: int, deadline: float | None) -> None:
        """Until the socket is ready; Died when only the process' end is, TooSlow at the deadline."""
        sock = self._sock.fileno()
        self._poll.modify(sock, events)
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = self._poll.poll(None if left is None else min(left * 1000 + 1, 2**31 - 1))
            for fd, got in ready:
                if fd == sock:  # first: what it sent before its end counts
                    return
            if ready:
                raise Died(True)
            if deadline is not None and time.monotonic() >= deadline:
                raise TooSlow

    def _send(self, data: bytes, deadline: float | None) -> None:
        rest = memoryview(HEADER.pack(len(data)) + data)
        while rest:
            try:
                rest = rest[self._sock.send(rest):]
            except BlockingIOError:
                try:
                    self._wait(select.POLLOUT, deadline)
                except Died:
                    raise Died(False) from None  # it has not read all of the call
            except OSError:
                raise Died(False) from None

    def _receive(self, deadline: float | None, data: bytes = b"") -> bytes | bytearray:
        size, whole, got = -1, bytearray(), 0
        while True:
            if size < 0 and len(data) >= HEADER.size:
                (size,) = HEADER.unpack_from(data)
                if len(data) == HEADER.size + size:
                    return data[HEADER.size:]
                whole = bytearray(size)
                got = len(data) - HEADER.size
                whole[:got] = data[HEADER.size:]
            if 0 <= size == got:
                return whole
            self._wait(select.POLLIN, deadline)
            try:
                if size < 0:
                    more = self._sock.recv(_READ)
                    data += more
                    n = len(more)
                else:
                    with memoryview(whole) as view:
                        n = self._sock.recv_into(view[got:])
                    got += n
            except BlockingIOError:
                continue
            except ConnectionResetError:  # the kernel's word for: it closed without having read all
                raise Died(False) from None
            except OSError:
                raise Died(True) from None
            if n == 0:
                raise Died(True)

    def exchange(self, job: bytes, deadline: float | None) -> tuple[bool, Any]:
        """Died; TooSlow at `deadline` (monotonic seconds): the process must then be closed."""
        if self.ended():
            raise Died(False)
        self._send(job, deadline)
        ok, value = pickle.loads(self._receive(deadline))
        return bool(ok), value

    def wait_idle(self, wake: int) -> None:
        """Returns when `wake` (an eventfd) was written, or the process has ended."""
        self._poll.modify(self._sock, 0)
        self._poll.register(wake, select.POLLIN)
        try:
            self._poll.poll()
        finally:
            self._poll.unregister(wake)

    def ended(self) -> bool:
        return self._popen is None or bool(self._death.poll(0))

    # -- the end

    def kill(self) -> None:
        """Any thread, any number of times. What it has started, in its group, ends too."""
        with self._lock:
            if self._handle < 0:
                if self.pid and self._popen is not None:
                    self._kill_by_number()
                return
            try:
                signal.pidfd_send_signal(self._handle, 0)  # so its number is still its own
                self._kill_group()
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def _kill_by_number(self) -> None:
        """Before its first words, or without pidfd: the fork server writes to the sentinel when
        it has buried the process, and until then the number is taken."""
        if not self.ended():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def fate(self) -> str:
        """How it ended, for the log: waits a moment for the news."""
        code = self._popen.wait(1.0) if self._popen is not None else None
        if code is None:
            return "it closed its pipe"
        if code >= 0:
            return f"exit status {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        return f"signal {name}" + (": killed, or out of memory" if -code == signal.SIGKILL else "")

    def close(self, grace: float) -> None:
        """The owner only: ends the process, which is idle or to be killed."""
        self._sock.close()
        popen = self._popen
        if popen is not None and popen.wait(grace) is None:
            self.kill()
            popen.wait(5.0)  # not even SIGKILL: the kernel holds it
        with self._lock:
            self._popen = None
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1
        if popen is not None:
            popen.close()


def pack(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """A call as it travels."""
    return dumps((fn, args, kwargs))
