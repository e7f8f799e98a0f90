# SPDX-License-Identifier: MIT
"""The Python endpoints that integration tests ask: one of each kind, and one
of each way to be wrong."""

import asyncio
import os
import sys
import threading
import time

from snacgi import HTTPException, Request, Response, abort, route

import compute


@route("/hello")
def hello(request: Request) -> dict:
    return {"hello": "Python", "pid": os.getpid()}


@route("/users/<int:user_id>", methods=["GET"])
def get_user(request: Request) -> dict:
    return {"user_id": request.path_params["user_id"]}


@route("/squares", methods=["POST"], use_process_pool=True)
def squares(request: Request, pool) -> dict:
    return {"squares": pool.submit(compute.squares, request.body["numbers"]).result()}


@route("/async/squares", methods=["POST"], use_process_pool=True)
async def async_squares(request: Request, pool) -> dict:
    loop = asyncio.get_running_loop()
    return {"squares": await loop.run_in_executor(pool, compute.squares, request.body["numbers"])}


@route("/pool", use_process_pool=True)
def pool_info(request: Request, pool) -> dict:
    jobs = [pool.submit(compute.where) for _ in range(int(request.query_params.get("n", "1")))]
    return {"workers": [job.result() for job in jobs], "pid": os.getpid()}


@route("/sleep")
async def sleep(request: Request) -> dict:
    await asyncio.sleep(float(request.query_params.get("duration", "1.0")))
    return {"slept": True}


@route("/task")
async def task(request: Request) -> dict:
    async with asyncio.timeout(5) if sys.version_info >= (3, 11) else _nothing():
        await asyncio.sleep(0)
    return {"task": isinstance(asyncio.current_task(), asyncio.Task)}


class _nothing:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None


@route("/show", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
def show(request: Request) -> dict:
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query_params,
        "headers": dict(request.headers.items()),
        "length": len(request.data),
        "sum": sum(request.data) % 65536,
    }


@route("/header")
def header(request: Request) -> dict:
    return {"value": request.headers.get(request.query_params["name"])}


@route("/json", methods=["GET", "POST"])
def json_body(request: Request) -> dict:
    return {"body": request.body}


@route("/ignored", methods=["POST"])
def ignored(request: Request) -> str:
    return "the body was not looked at"


@route("/files/<path:name>")
def files(request: Request) -> dict:
    return {"name": request.path_params["name"], "path": request.path}


@route("/one/<name>/end")
def one(request: Request) -> dict:
    return {"name": request.path_params["name"], "path": request.path}


@route("/float/<float:value>")
def float_value(request: Request) -> dict:
    return {"value": request.path_params["value"]}


@route("/uuid/<uuid:value>")
def uuid_value(request: Request) -> dict:
    value = request.path_params["value"]
    return {"value": str(value), "type": type(value).__name__}


RESULTS = {
    "dict": lambda: {"a": 1, "ü": "é"},
    "list": lambda: [1, "two", 3.5, None, True],
    "int": lambda: 42,
    "float": lambda: 1.5,
    "true": lambda: True,
    "str": lambda: "<p>grüß dich</p>",
    "bytes": lambda: b"\x00\x01\xff",
    "none": lambda: None,
    "status": lambda: ({"made": True}, 201),
    "headers": lambda: ("text", 202, {"X-One": "1", "Content-Type": "text/plain"}),
    "pairs": lambda: ("text", 200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
    "response": lambda: Response("made", status=203, headers={"X-Two": "2"}, mimetype="text/css"),
    "empty": lambda: "",
    "304": lambda: ("", 304),
    "204": lambda: ("never seen", 204),
    "nan": lambda: {"a": [1, float("nan")]},
    "inf": lambda: float("inf"),
    "surrogate": lambda: {"a": "\ud800"},
    "object": lambda: object(),
    "tuple": lambda: (1, 2, 3, 4, 5),
    "crlf": lambda: ("x", 200, {"X-Bad": "a\r\nX-Injected: yes"}),
    "lf": lambda: ("x", 200, {"X-Bad": "a\nX-Injected: yes"}),
    "nul": lambda: ("x", 200, {"X-Bad": "a\0b"}),
    "crname": lambda: ("x", 200, {"X-Bad\r\nX-Injected": "a"}),
    "colonname": lambda: ("x", 200, {"X-Bad: a": "b"}),
    "transfer": lambda: ("x", 200, {"Transfer-Encoding": "chunked"}),
    "length": lambda: ("four", 200, {"Content-Length": "400"}),
    "hugehead": lambda: ("x", 200, {"X-Long": "y" * 100_000}),
    "badstatus": lambda: ("x", 99),
}


@route("/result/<name>", methods=["GET", "POST"])
def result(request: Request):
    return RESULTS[request.path_params["name"]]()


@route("/aresult/<name>")
async def async_result(request: Request):
    return RESULTS[request.path_params["name"]]()


@route("/size/<int:n>")
def size(request: Request) -> bytes:
    return b"0123456789abcdef" * (request.path_params["n"] // 16) + b"0123456789abcdef"[: request.path_params["n"] % 16]


RAISES = {
    "value": lambda: ValueError("the secret of ValueError"),
    "system": lambda: SystemExit(3),
    "keyboard": lambda: KeyboardInterrupt(),
    "base": lambda: BaseException("the secret of BaseException"),
    "cancelled": lambda: asyncio.CancelledError(),
    "http": lambda: HTTPException("I am a teapot") if False else _http(418),
    "recursion": lambda: RecursionError("deep"),
    "memory": lambda: MemoryError(),
}


def _http(code):
    try:
        abort(code, "short and stout")
    except HTTPException as error:
        return error
    raise AssertionError("abort() came back")


@route("/raise/<name>")
def raise_it(request: Request):
    raise RAISES[request.path_params["name"]]()


@route("/araise/<name>")
async def raise_async(request: Request):
    await asyncio.sleep(0)
    raise RAISES[request.path_params["name"]]()


@route("/abort/<int:code>")
def abort_it(request: Request):
    abort(request.path_params["code"], "the handler's own words")


@route("/only-get")
def only_get(request: Request) -> str:
    return "get"


@route("/both")
def both_python(request: Request) -> str:
    return "python get"


@route("/both", methods=["PUT"])
def both_put(request: Request) -> str:
    return "python put"


@route("/spin")
def spin(request: Request) -> dict:
    end = time.monotonic() + float(request.query_params.get("seconds", "1"))
    n = 0
    while time.monotonic() < end:
        n += 1
    return {"turns": n > 0}


@route("/hold")
def hold(request: Request) -> dict:
    """Holds the GIL in C for a while: one long multiplication after the other."""
    end = time.monotonic() + float(request.query_params.get("seconds", "1"))
    number = 3 ** 400_000
    while time.monotonic() < end:
        number * number
    return {"held": True}


@route("/block")
def block(request: Request) -> dict:
    time.sleep(float(request.query_params.get("seconds", "1")))
    return {"blocked": True, "pid": os.getpid()}


gates = {}
waiting = {}
lock = threading.Lock()


def gate(name):
    with lock:
        return gates.setdefault(name, threading.Event())


@route("/gate/<name>")
def wait_gate(request: Request) -> dict:
    """Waits until somebody opens the gate: order without time."""
    name = request.path_params["name"]
    event = gate(name)
    with lock:
        waiting[name] = waiting.get(name, 0) + 1
    try:
        return {"opened": event.wait(60)}
    finally:
        with lock:
            waiting[name] -= 1


@route("/agate/<name>")
async def wait_gate_async(request: Request) -> dict:
    name = request.path_params["name"]
    event = gate(name)
    with lock:
        waiting[name] = waiting.get(name, 0) + 1
    try:
        while not event.is_set():
            await asyncio.sleep(0.01)
        return {"opened": True}
    finally:
        with lock:
            waiting[name] -= 1


@route("/stubborn/<name>")
async def stubborn(request: Request) -> dict:
    """Answers although it was cancelled."""
    try:
        return await wait_gate_async(request)
    except asyncio.CancelledError:
        return {"cancelled": True}


@route("/open/<name>")
async def open_gate(request: Request) -> dict:
    gate(request.path_params["name"]).set()
    return {"open": True}


@route("/open-sync/<name>")
def open_gate_sync(request: Request) -> dict:
    gate(request.path_params["name"]).set()
    return {"open": True}


@route("/waiting/<name>")
async def count_waiting(request: Request) -> dict:
    with lock:
        return {"waiting": waiting.get(request.path_params["name"], 0)}


executed = []


@route("/mark/<int:n>")
def mark(request: Request) -> dict:
    executed.append(request.path_params["n"])
    return {"n": request.path_params["n"]}


@route("/marks")
async def marks(request: Request) -> dict:
    return {"marks": executed}


@route("/environment")
def environment(request: Request) -> dict:
    import subprocess

    child = subprocess.run([sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))"],
                           stdout=subprocess.PIPE, check=True, text=True)
    return {"own": dict(os.environ), "child": child.stdout, "executable": sys.executable,
            "prefix": sys.prefix, "argv": getattr(sys, "argv", None)}


@route("/children")
def child_terminate(request: Request) -> dict:
    """A child of a handler must die of SIGTERM as anywhere else, and inherit no descriptor."""
    import subprocess

    child = subprocess.Popen(["sleep", "1000"], close_fds=False)
    names = []
    for fd in os.listdir(f"/proc/{child.pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{child.pid}/fd/{fd}"))
        except OSError:
            pass
    child.terminate()
    return {"code": child.wait(20), "descriptors": names}


@route("/stdin")
def stdin(request: Request) -> dict:
    return {"zero": os.readlink("/proc/self/fd/0")}
