# SPDX-License-Identifier: MIT
"""What runs in a process of the pool: one answer for each call, until the pipe ends.

Also the frames that both sides speak: eight bytes of length, then a pickle. The
fork server imports this module and nothing of the user's; each process imports
the user's modules itself. Private.
"""

from __future__ import annotations

import importlib
import multiprocessing.forkserver
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from multiprocessing.reduction import ForkingPickler
from typing import Any, Callable, Sequence

__all__ = ["HEADER", "dumps", "work"]

HEADER = struct.Struct("!Q")  # the length of the pickle behind it
_PR_SET_PDEATHSIG = 1
_JOIN_BELOW = 65536  # copying costs less than a second system call
_READ = 65536
_OOM_SCORE = 500  # out of memory, the kernel takes one of us and not the daemon


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


def dumps(value: object) -> bytes:
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # multiprocessing's own objects need its pickler, which is slow
        return bytes(ForkingPickler.dumps(value, pickle.HIGHEST_PROTOCOL))


def _run(job: bytes) -> bytes:
    try:
        fn, args, kwargs = pickle.loads(job)
        return dumps((True, fn(*args, **kwargs)))
    except BaseException as exc:  # sys.exit() in a function is its call's failure
        try:
            data = dumps((False, _Failure(exc)))
            pickle.loads(data)  # some exceptions pickle, and cannot be read back
            return data
        except Exception:
            text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
            return dumps((False, _Failure(RuntimeError(f"{type(exc).__name__}: {exc}\n{text}"))))


def _die_with(parent: int) -> None:
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
    if os.getppid() != parent:  # it was gone before we asked
        os._exit(1)


def _set_apart() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        os.setpgid(0, 0)  # what a call has started ends with it when it is cancelled
    except OSError:
        pass
    try:
        with open("/proc/self/oom_score_adj", "r+") as file:
            if int(file.read()) < _OOM_SCORE:
                file.seek(0)
                file.write(str(_OOM_SCORE))
    except (OSError, ValueError):
        pass


def _own_handle() -> list[int]:
    """A descriptor that is this process and never another one of the same number: made by
    itself, since whoever else looks it up by number may look too late."""
    try:
        return [os.pidfd_open(os.getpid())]
    except (AttributeError, OSError):  # Linux before 5.3, or a sandbox
        return []


def _send(sock: socket.socket, data: bytes) -> None:
    if len(data) < _JOIN_BELOW:
        sock.sendall(HEADER.pack(len(data)) + data)
    else:
        sock.sendall(HEADER.pack(len(data)))
        sock.sendall(data)


def _receive(sock: socket.socket) -> bytes | bytearray | None:
    """A frame; None at the end. The daemon sends the next one after our answer only."""
    data = sock.recv(_READ)
    while 0 < len(data) < HEADER.size:
        more = sock.recv(_READ)
        if not more:
            return None
        data += more
    if not data:
        return None
    (size,) = HEADER.unpack_from(data)
    if len(data) == HEADER.size + size:
        return data[HEADER.size:]
    whole = bytearray(size)
    view = memoryview(whole)
    got = len(data) - HEADER.size
    view[:got] = data[HEADER.size:]
    while got < size:
        n = sock.recv_into(view[got:])
        if n == 0:
            return None
        got += n
    view.release()
    return whole


def _greet(sock: socket.socket, value: object) -> None:
    data = dumps(value)
    handles = _own_handle()
    socket.send_fds(sock, [HEADER.pack(len(data))], handles)
    for handle in handles:
        os.close(handle)
    sock.sendall(data)


def work(sock: socket.socket, parent: int, modules: Sequence[str],
         initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """The life of a worker process whose parent, the fork server, is `parent`."""
    _set_apart()
    _die_with(parent)
    try:
        for name in modules:
            importlib.import_module(name)
        if initializer is not None:
            initializer(*initargs)
    except BaseException:
        _greet(sock, (False, traceback.format_exc()))
        return
    _greet(sock, (True, os.getpid()))
    while True:
        try:
            job = _receive(sock)
            if job is None:
                break
            answer = _run(bytes(job))
            del job
            _send(sock, answer)
            del answer
        except OSError:
            break
    sys.stdout.flush()
    sys.stderr.flush()
