# SPDX-License-Identifier: MIT
"""A client that tests an application in plain Python, without the daemon.

    from snacgi.testing import TestClient
    import app                                   # its @route functions register

    def test_user():
        with TestClient() as client:
            response = client.get("/users/7")
            assert response.status_code == 200 and response.json == {"user_id": 7}

Requests go through the same C code as in the daemon: the table of routes, Request,
and what makes an answer of a result. Names are those of Flask's and Werkzeug's client.
"""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
import weakref
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Callable, Coroutine, Iterable, Iterator, Mapping, Optional, Union
from urllib.parse import urljoin, urlsplit

import _snacgi
from _snacgi import Matcher, Request, Response

from . import _routing
from ._bind import bind, bind_missing, missing
from ._life import needs_loop
from ._liferun import Life
from ._loop import new_loop
from ._newrequest import _pairs
from ._testrequest import CookieJar, basic_auth, body_of
from ._teststream import Pieces
from .exceptions import answer_of

__all__ = ["TestClient", "TestResponse"]

_REDIRECTS = 20


class TestResponse(Response):
    """The answer: a Response, with the request that it answers and the redirects before it."""

    __test__ = False  # not a test of pytest's
    request: Request
    history: tuple[TestResponse, ...] = ()

    @property
    def text(self) -> str:
        """The body as text (UTF-8)."""
        return self.data.decode(errors="replace")

    def iter_encoded(self) -> Iterator[bytes]:
        """The body's pieces: those of a streamed one as its source gives them."""
        return iter(self.response)

    def close(self) -> None:
        """The client leaves: a streamed body's source is closed."""
        close = getattr(self.response, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> TestResponse:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _PicklingExecutor(Executor):
    """In the place of the process pool: a thread, but everything travels by pickle as it would."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "snacgi-test-pool")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = pickle.dumps((fn, args, kwargs))

        def run() -> Any:
            function, positional, named = pickle.loads(call)
            return pickle.loads(pickle.dumps(function(*positional, **named)))

        return self._threads.submit(run)

    def with_timeout(self, seconds: Optional[float]) -> Executor:
        """As the server's pool has it; a thread cannot be ended, so there is no limit here."""
        return self

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


class _Loop:
    """An event loop in a thread of its own, as the daemon has it; begun when first needed."""

    def __init__(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._thread: Optional[threading.Thread] = None

    def get(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = new_loop("asyncio")
            self._thread = threading.Thread(target=self._loop.run_forever, name="snacgi-test-loop", daemon=True)
            self._thread.start()
        return self._loop

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of `coroutine`, as a task that has a copy of the caller's context."""
        loop = self.get()
        done: Future[Any] = Future()

        async def drive() -> None:
            try:
                done.set_result(await coroutine)
            except BaseException as exc:
                done.set_exception(exc)

        def begin() -> None:
            tasks.add(loop.create_task(drive()))

        tasks: set[asyncio.Task[None]] = set()  # the loop itself does not keep them
        context = contextvars.copy_context()
        loop.call_soon_threadsafe(lambda: context.run(begin))
        return done.result()

    def close(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self.run(self._cancel_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    @staticmethod
    async def _cancel_rest() -> None:
        rest: list[Any] = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


async def _with_context(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, contextvars.Context]:
    return await coroutine, contextvars.copy_context()


class _Rules:
    """The routes as they were registered when it was made."""

    def __init__(self) -> None:
        self.made_of = _routing.registry[:]
        self.matcher = Matcher([(r.pattern, ", ".join(r.methods), r.name, r.file, r.line, r.lax_slash)
                                for r in self.made_of])


class _Table(_Rules):
    """And what is called for them."""

    def __init__(self, propagate: bool) -> None:
        super().__init__()
        self.calls = [bind(r, propagate) for r in self.made_of]
        self.missing: Callable[..., Any] = bind_missing(propagate) or missing


_rules: Optional[_Rules] = None


def find_route(request: Request) -> Optional[_routing.Route]:
    """The route that takes `request`, whose path_params are set then; private."""
    global _rules
    rules = _rules
    if rules is None or rules.made_of != _routing.registry:
        rules = _rules = _Rules()
    found = rules.matcher.match(request)
    return None if found is None else rules.made_of[found]


class TestClient:
    """Requests to the routes that have been registered in this process.

    raise_server_exceptions: what a handler raises, and is not an HTTPException, is raised
        to the test; with False it is logged and answered 500, as in the daemon.
    base_url: scheme, host, and port of relative URLs.
    headers: sent with every request.
    pool: the executor of routes with use_process_pool; by default a thread to which
        functions, arguments and results travel by pickle, as they would to a process.

    The routes are looked at when the first request is made. As a context manager it runs the
    application's life as well, on_startup, lifespan and on_shutdown, and closes itself at the
    end, with its event loop and pool.
    """

    __test__ = False

    def __init__(
        self,
        *,
        raise_server_exceptions: bool = True,
        base_url: str = "http://localhost",
        headers: Union[Mapping[str, Any], Iterable[tuple[str, Any]], None] = None,
        pool: Optional[Executor] = None,
    ) -> None:
        self.raise_server_exceptions = raise_server_exceptions
        self.base_url = base_url
        self.headers = dict(headers or {})
        self._own_pool: Optional[Executor] = None if pool is not None else _PicklingExecutor()
        self._pool = pool if pool is not None else self._own_pool
        self._loop = _Loop()
        self._life: Optional[Life] = None
        self._jar = CookieJar()
        self._table: Optional[_Table] = None
        # To be closed with the client: the asynchronous ones, whose tasks nobody else keeps, and the
        # others, which close themselves when the test lets go of them.
        self._tasks: list[Pieces] = []
        self._open: weakref.WeakSet[Pieces] = weakref.WeakSet()

    def __enter__(self) -> TestClient:
        life = Life(self._loop.get() if needs_loop() else None)
        life.start()
        self._life = life
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes answers that have not come to their end; then ends the application's life, the event loop
        and the pool that the client has started."""
        with ExitStack() as stack:
            stack.callback(self._end)
            for pieces in (*self._tasks, *self._open):
                stack.callback(pieces.close)

    def _end(self) -> None:
        life, self._life = self._life, None
        if life is not None:
            life.lanes_ended()
            if needs_loop():
                self._loop.run(life.leave())
            life.end()
        self._loop.close()
        if self._own_pool is not None:
            self._own_pool.shutdown()

    # ---- requests -------------------------------------------------------------

    def open(
        self,
        path: str = "/",
        method: str = "GET",
        *,
        query_string: Any = "",
        data: Any = None,
        json: Any = None,
        files: Any = None,
        headers: Union[Mapping[str, Any], Iterable[tuple[str, Any]], None] = None,
        cookies: Optional[Mapping[str, str]] = None,
        content_type: Optional[str] = None,
        auth: Optional[tuple[str, str]] = None,
        base_url: Optional[str] = None,
        environ_overrides: Optional[Mapping[str, str]] = None,
        follow_redirects: bool = False,
    ) -> TestResponse:
        """One request, and its answer.

        query_string: str or a dict. data: bytes or str (sent as they are), or a dict: a
        form, whose values may be lists, and files: a stream or (stream, filename,
        content type). files: a dict of files only. json: sent as JSON. cookies: for this
        request. auth: (username, password) as basic Authorization. base_url: in place of the
        client's. environ_overrides: CGI parameters. follow_redirects: as a browser does.
        """
        # Not urljoin for a plain path: it would take out the ".." that a test may be about.
        base = base_url or self.base_url
        url = base.rstrip("/") + path if path[:1] == "/" else urljoin(base, path)
        body, kind = body_of(data, json, files, content_type)
        if auth is not None:
            headers = [*_pairs(headers), ("Authorization", basic_auth(*auth))]
        history: list[TestResponse] = []
        while True:
            response = self._once(url, method.upper(), query_string, body, kind, headers, cookies, environ_overrides)
            self._jar.take(response.headers.getlist("Set-Cookie"), urlsplit(url).hostname or "")
            target = response.headers.get("Location")
            if not (follow_redirects and target and response.status_code in (301, 302, 303, 307, 308)):
                break
            if len(history) == _REDIRECTS:
                raise RuntimeError(f"more than {_REDIRECTS} redirects, the last one to {target}")
            history.append(response)
            url, query_string = urljoin(url, target), ""
            if response.status_code == 303 or (response.status_code < 303 and method.upper() == "POST"):
                method, body, kind = "GET", b"", None
        response.history = tuple(history)
        return response

    def _once(self, url: str, method: str, query: Any, body: bytes, kind: Optional[str], headers: Any,
              cookies: Optional[Mapping[str, str]], environ: Optional[Mapping[str, str]]) -> TestResponse:
        parts = urlsplit(url)
        sent: list[tuple[str, Any]] = [*self.headers.items(), *_pairs(headers)]
        if kind and not any(name.lower() == "content-type" for name, _ in sent):
            sent.append(("Content-Type", kind))
        jar = [self._jar.header(parts.hostname or "", parts.path or "/", parts.scheme == "https")]
        jar += [f"{name}={value}" for name, value in (cookies or {}).items()]
        cookie = "; ".join(text for text in jar if text)
        if cookie:
            sent.append(("Cookie", cookie))
        request = Request(method, url, query, sent, body, environ=environ)
        name, result, context, asynchronous = self._dispatch(request)
        head, content = _snacgi.answer(request, result, name, self.raise_server_exceptions)
        if not isinstance(content, bytes):
            try:
                pieces = content = Pieces(content, name, asynchronous, self._loop.get, context)
                if pieces.asynchronous:
                    self._tasks = [p for p in (*self._tasks, pieces) if not p.closed]
                else:
                    self._open.add(pieces)
                pieces.prime(request, int(head[8:11]))
                if pieces.whole:  # its background work is done before the test goes on
                    content = b"".join(pieces)
            except BaseException as exc:
                if self.raise_server_exceptions and answer_of(exc) is None:
                    raise
                head, content = _snacgi.answer(request, exc, name)
        lines = [line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if line]
        response = TestResponse(content, lines[0][1], headers=[(n, v) for n, v in lines[1:]])
        response.request = request
        return response

    # ---- what the daemon would do -------------------------------------------------

    def _routes(self) -> _Table:
        registry = _routing.registry
        if self._table is None or self._table.made_of != registry:
            self._table = _Table(self.raise_server_exceptions)
        return self._table

    def _dispatch(self, request: Request) -> tuple[str, Any, contextvars.Context, bool]:
        # The handler's name, what it returned, or the exception that it raised, its context, and
        # whether it is asynchronous.
        table = self._routes()
        found = table.matcher.match(request)
        route = None if found is None else table.made_of[found]
        call: Callable[..., Any] = table.missing if found is None else table.calls[found]
        name = route.name if route else ""
        request._route = route
        if route and route.stream and route.is_async:
            request._awaited = True
        args = (request, self._pool) if route and route.use_process_pool else (request,)
        context = contextvars.copy_context()
        try:
            if route and route.is_async:
                result, context = self._loop.run(_with_context(call(*args)))
                return name, result, context, True
            return name, context.run(call, *args), context, False
        except BaseException as exc:
            if self.raise_server_exceptions and answer_of(exc) is None:
                raise
            return name, exc, context, False

    # ---- for each method --------------------------------------------------------------

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        """open() with GET."""
        return self.open(path, "GET", **kwargs)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        """open() with POST."""
        return self.open(path, "POST", **kwargs)

    def put(self, path: str, **kwargs: Any) -> TestResponse:
        """open() with PUT."""
        return self.open(path, "PUT", **kwargs)

    def patch(self, path: str, **kwargs: Any) -> TestResponse:
        """open() with PATCH."""
        return self.open(path, "PATCH", **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        """open() with DELETE."""
        return self.open(path, "DELETE", **kwargs)

    def head(self, path: str, **kwargs: Any) -> TestResponse:
        """open() with HEAD."""
        return self.open(path, "HEAD", **kwargs)

    def options(self, path: str, **kwargs: Any) -> TestResponse:
        """open() with OPTIONS."""
        return self.open(path, "OPTIONS", **kwargs)

    # ---- cookies -------------------------------------------------------------------------

    def set_cookie(self, key: str, value: str = "", *, domain: str = "localhost", path: str = "/") -> None:
        """From now on sent with every request to that domain and path."""
        self._jar.set(key, value, domain, path)

    def get_cookie(self, key: str, domain: str = "localhost", path: str = "/") -> Optional[str]:
        """The value that is sent; None when there is none."""
        return self._jar.get(key, domain, path)

    def delete_cookie(self, key: str, *, domain: str = "localhost", path: str = "/") -> None:
        """No longer sent."""
        self._jar.delete(key, domain, path)
