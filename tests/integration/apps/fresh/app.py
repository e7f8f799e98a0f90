# SPDX-License-Identifier: MIT
"""Ordinary handlers that import nothing themselves: what a worker's first requests may be."""

from snacgi import HTTPException, Response, abort, current_request, get, post


@post("/echo")
def echo(request):
    return request.body


@post("/text")
def text(request):
    return request.get_data()


@post("/stream", stream=True)
def stream(request):
    return request.stream.read()


@post("/async/stream", stream=True)
async def async_stream(request):
    return await request.stream.read()


@get("/async")
async def in_the_loop(request):
    return {"async": True}


@get("/seen")
def seen(request):
    return {"args": request.args.to_dict(), "url": request.url, "host": request.host,
            "agent": request.headers.get("User-Agent"), "same": current_request.path}


@get("/uuid/<uuid:which>")
def which(request, which):
    return {"which": which}


@get("/typed")
def typed(n: int):
    return {"n": n}


@get("/answer")
def answer(request):
    return Response("made", 201, {"X-Made": "yes"}, mimetype="text/plain")


@get("/cookie")
def cookie(request):
    made = Response("set")
    made.set_cookie("a", "b", max_age=60)
    return made


@get("/more")
def more(request):
    made = Response(f"{request.endpoint} {request.is_secure} {request.referrer}")
    made.set_etag("x")
    return made


@get("/pieces")
def pieces(request):
    yield "one\n"
    yield "two\n"


@get("/async/pieces")
async def async_pieces(request):
    yield "one\n"
    yield "two\n"


@get("/abort/<int:code>")
def aborted(request, code):
    abort(code, "as asked")


@get("/late")
def late(request):
    raise HTTPException("late", response=Response("own", 409))


@get("/broken")
def broken(request):
    return {"never": 1 / 0}


@get("/wrong")
def wrong(request):
    return object()


@post("/pool", use_process_pool=True)
def pooled(request, pool):
    return {"sum": pool.submit(sum, [1, 2, 3]).result()}
