# SPDX-License-Identifier: MIT
"""What clients get wrong, and handlers: the same as in Flask where Flask's users know it, the
right 4xx, and a line in the log that names the handler."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict as Theirs
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request as TheirRequest

import snacgi
from snacgi import MultiDict, Request, get, post
from snacgi.testing import TestClient

KEYS = st.sampled_from(["a", "b", "missing"])
VALUES = st.one_of(st.text("0123456789-ax ", max_size=4), st.sampled_from(["7", "1.5", "ü", ""]))


@pytest.fixture
def quiet(client):
    client.raise_server_exceptions = False
    return client


# ---- args, form, JSON as Flask's --------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=6), KEYS, st.sampled_from([None, int, float, str]))
def test_multi_dict_as_werkzeugs(pairs, key, kind):
    pairs = [(k, v) for k, v in pairs if k != "missing"]
    ours, theirs = MultiDict(pairs), Theirs(pairs)
    assert ours.get(key, "default", kind) == theirs.get(key, "default", kind)
    assert ours.get(key, type=kind) == theirs.get(key, type=kind)
    assert ours.getlist(key) == theirs.getlist(key) and ours.getlist(key, kind) == theirs.getlist(key, kind)
    assert ours.to_dict() == theirs.to_dict() and ours.to_dict(flat=False) == theirs.to_dict(flat=False)
    assert list(ours.items()) == list(theirs.items()) and list(ours.lists()) == list(theirs.lists())
    assert list(ours.listvalues()) == list(theirs.listvalues()) and len(ours) == len(theirs)
    assert sorted(ours.items(multi=True)) == sorted(theirs.items(multi=True)) and (key in ours) == (key in theirs)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.sampled_from([b"", b"{}", b"null", b"[1]", b'"x"', b"{", b"\xff", b"NaN ", b"1 2"]), st.binary(max_size=6)),
       st.sampled_from(["application/json", "application/problem+json", "text/plain", ""]), st.booleans(), st.booleans())
def test_get_json_as_flask(body, kind, force, silent):
    if body.strip() in (b"NaN", b"Infinity", b"-Infinity"):
        return  # those are JSON to the standard library
    def ask(request):
        try:
            return request.get_json(force=force, silent=silent)
        except Exception as exc:
            return getattr(exc, "code", exc)

    theirs = TheirRequest(EnvironBuilder(method="POST", data=body, content_type=kind).get_environ())
    ours = Request("POST", headers={"Content-Type": kind}, body=body)
    expected = ask(theirs)
    if not force and not silent and kind in ("text/plain", ""):
        expected = 415  # Werkzeug 2.2 still says 400
    assert ask(ours) == expected


def test_missing_keys_are_the_clients_fault(client):
    asked = {
        "args": lambda request: request.args["x"],
        "form": lambda request: request.form["x"],
        "files": lambda request: request.files["x"].filename,
        "cookies": lambda request: request.cookies["x"],
        "headers": lambda request: request.headers["X-None"],
    }
    for name, handler in asked.items():
        post(f"/{name}", endpoint=name)(handler)
        answer = client.post(f"/{name}", data={"a": "1"})
        assert answer.status_code == 400, name
    assert client.post("/args").json["error"] == "the request has no 'x'"
    with pytest.raises(KeyError):
        MultiDict()["x"]
    assert issubclass(snacgi.exceptions.BadRequestKeyError, snacgi.BadRequest)


def test_werkzeugs_exceptions_are_answers(client):
    from werkzeug import exceptions
    from werkzeug.wrappers import Response as TheirResponse

    @get("/<int:code>")
    def handler(code):
        if code == 405:
            raise exceptions.MethodNotAllowed(["GET", "PUT"], "no")
        if code == 200:
            raise exceptions.HTTPException(response=TheirResponse("own", 299, {"X-Own": "1"}))
        exceptions.abort(code, "said")

    @get("/async/<int:code>")
    async def other(code):
        exceptions.abort(code)

    answer = client.get("/404")
    assert answer.status_code == 404 and answer.json["error"] == "said"
    assert client.get("/405").headers["Allow"] == "GET, PUT" and client.get("/async/418").status_code == 418
    answer = client.get("/200")
    assert answer.status_code == 299 and answer.text == "own" and answer.headers["X-Own"] == "1"

    @snacgi.errorhandler(404)
    def missing(exc):
        return f"handled {exc.description}", 404

    @snacgi.errorhandler(exceptions.Gone)
    def gone(exc):
        return "theirs", 410

    with TestClient() as client:
        assert client.get("/404").text == "handled said" and client.get("/410").text == "theirs"
        assert client.get("/409").status_code == 409


# ---- forms and cookies ---------------------------------------------------------------

WHOLE = (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n'
         b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\nfile\r\n--b--\r\n')


@st.composite
def broken_forms(draw):
    body = bytearray(WHOLE)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(body) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            del body[at : at + draw(st.integers(1, 20))]
        elif kind == 1:
            body[at:at] = draw(st.sampled_from([b"\r\n", b"--b", b'"', b";", b"\0", b"\xff", b"filename*=UTF-8''%ff", b"--b--", b":"]))
        elif kind == 2:
            body[at] = draw(st.integers(0, 255))
        else:
            body[at:at] = body[at : at + 30]
        if not body:
            break
    return bytes(body)


@settings(max_examples=300, deadline=None)
@given(broken_forms(), st.sampled_from(["multipart/form-data; boundary=b", "multipart/form-data; boundary=\"b", "multipart/form-data",
                                        "multipart/form-data; boundary=b; charset=none", "application/x-www-form-urlencoded",
                                        "application/x-www-form-urlencoded; charset=utf-16"]))
def test_a_broken_form_is_the_clients_fault(body, kind):
    request = Request("POST", headers={"Content-Type": kind}, body=body)
    try:
        for _, values in request.form.lists():
            assert all(isinstance(value, str) for value in values)
        for file in request.files.values():
            file.read()
    except snacgi.HTTPException as exc:
        assert exc.code in (400, 413)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(st.characters(max_codepoint=255, blacklist_characters="\r\n\0"), max_size=40),
                 st.text('abc=;," \\\t()\x01\x7fü', max_size=40)))
def test_cookies_never_fail(text):
    request = Request(headers={"Cookie": text} if text.strip() else {})
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in request.cookies.items(multi=True))


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x", "a/../b", "\u202eexe.txt", "x" * 5000,
                                  "a;b", 'a"b', "a%00b", " ", "."])
def test_names_of_files(client, tmp_path, name):
    """They are what the client says; saving them is by a path of the handler's own."""
    from werkzeug.utils import secure_filename

    @post("/up")
    def up(request):
        file = request.files["f"]
        target = tmp_path / (secure_filename(file.filename)[-100:] or "unnamed")
        file.save(target)
        return {"name": file.filename, "inside": target.resolve().parent == tmp_path.resolve()}

    answer = client.post("/up", data={"f": (io.BytesIO(b"x"), name)})
    assert answer.status_code == 200 and answer.json["inside"] and [p.read_bytes() for p in tmp_path.iterdir()] == [b"x"]


def test_save_as_flasks(client, tmp_path):
    @post("/up")
    def up(request):
        file = request.files["f"]
        target = io.BytesIO()
        file.save(target)
        file.seek(0)
        file.save(str(tmp_path / "saved"))
        return [target.getvalue().decode(), file.mimetype, file.name, file.headers["Content-Type"]]

    assert client.post("/up", data={"f": (b"text", "a.txt", "text/plain; charset=x")}).json == [
        "text", "text/plain", "f", "text/plain; charset=x"]
    assert (tmp_path / "saved").read_bytes() == b"text"


# ---- handlers and hooks ------------------------------------------------------------------


@pytest.mark.parametrize("result, says", [
    (object(), "returned an object of type object"),
    ({1, 2}, "returned an object of type set"),
    (("x", "no status"), "no status"),
    (("x", 99), "99"),
    (("x", 200, {"A": "b\r\nC: d"}), "must not hold CR"),
    (("x", 200, {}, 4), "4"),
    ({"a": object()}, "$.a is of type object"),
    ({"a": float("nan")}, "$.a is NaN"),
    ({"a": "\ud800"}, "$.a"),
])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_wrong_result_names_its_handler(quiet, capfd, result, says, asynchronous):
    def make(result):
        async def coroutine(request):
            return result

        def function(request):
            return result

        return coroutine if asynchronous else function

    get("/x")(make(result))
    assert quiet.get("/x").status_code == 500
    log = capfd.readouterr().err
    assert says in log and f"make.<locals>.{'coroutine' if asynchronous else 'function'}" in log


def test_hooks_that_fail(quiet, capfd, caplog):
    state = {}

    @snacgi.before_request
    def before(request):
        if state.get("fail") == "before":
            raise RuntimeError("in before")

    @snacgi.after_request
    def after(response):
        if state.get("fail") == "after":
            raise RuntimeError("in after")
        response.headers["X-After"] = "1"
        return response

    @snacgi.teardown_request
    def teardown(exc):
        state["torn"] = state.get("torn", 0) + 1
        if state.get("fail") == "teardown":
            raise RuntimeError("in teardown")

    @snacgi.errorhandler(404)
    def missing(exc):
        raise RuntimeError("in errorhandler")

    get("/x")(lambda: "fine")
    assert quiet.get("/x").text == "fine"
    for fail, status, header in (("before", 500, "1"), ("after", 500, None), ("teardown", 200, "1")):
        state["fail"] = fail
        answer = quiet.get("/x")
        assert (answer.status_code, answer.headers.get("X-After")) == (status, header), fail
        assert f"in {fail}" in capfd.readouterr().err + caplog.text
    state["fail"] = None
    assert quiet.get("/nowhere").status_code == 500 and "in errorhandler" in capfd.readouterr().err
    assert state["torn"] == 5 and quiet.get("/x").text == "fine"
