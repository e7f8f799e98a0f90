# SPDX-License-Identifier: MIT
"""request.form, files, cookies and is_disconnected(): good and bad input."""

import asyncio
import io
import subprocess
import sys

import pytest

from snacgi import Request, _forms, get, post

pytest.importorskip("werkzeug")


@pytest.fixture
def echo(client):
    @post("/form")
    def form(request):
        return {
            "form": request.form.to_dict(flat=False),
            "files": [
                [name, f.filename, f.content_type, f.read().decode()]
                for name, several in request.files.lists()
                for f in several
            ],
        }

    def echo(**options):
        return client.post("/form", **options)

    return echo


def test_urlencoded(echo):
    assert echo(data={"a": ["1", "2"], "b": "ü &"}).json == {"form": {"a": ["1", "2"], "b": ["ü &"]}, "files": []}


@pytest.mark.filterwarnings("error")  # of files that nobody closed: who should
def test_multipart(echo):
    answer = echo(data={"a": "ü", "f": [(io.BytesIO(b"one"), "1.txt"), (b"two", "ü 2.bin", "image/png")]})
    assert answer.json == {
        "form": {"a": ["ü"]},
        "files": [["f", "1.txt", "text/plain", "one"], ["f", "ü 2.bin", "image/png", "two"]],
    }


def test_no_form(echo):
    for options in ({}, {"json": {"a": 1}}, {"data": b"a=1", "content_type": "text/plain"}):
        assert echo(**options).json == {"form": {}, "files": []}


def test_parsed_once_and_the_body_stays(client):
    @post("/twice")
    def twice(request):
        assert request.form is request.form and request.files is request.files
        return request.data

    assert client.post("/twice", data={"a": "1"}).data == b"a=1"


def test_large_files_go_to_disk_and_can_be_saved(client, tmp_path, monkeypatch):
    monkeypatch.setitem(_forms._limits, "file", 1000)

    @post("/up")
    def up(request):
        small, large = request.files["small"], request.files["large"]
        assert not small.stream._rolled and large.stream._rolled
        large.save(tmp_path / "saved")
        return ""

    data = {"small": (b"x" * 999, "s"), "large": (b"y" * 100000, "l"), "field": "z"}
    assert client.post("/up", data=data).status_code == 200
    assert (tmp_path / "saved").read_bytes() == b"y" * 100000


B = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    "body, kind, status",
    [
        (b"", "multipart/form-data", 400),
        (b"x", "multipart/form-data", 400),
        (b"", B, 400),
        (b"garbage", B, 400),
        (PART, B, 400),
        (PART + b"\r\n\r\nvalue", B, 400),
        (PART + b"\r\n\r\nvalue\r\n--b", B, 400),
        (b"--b\r\n\r\nvalue\r\n--b--\r\n", B, 400),
        (PART + b"; filename=\"a\tb\"\r\n\r\nvalue\r\n--b--\r\n", B, 400),
        (PART + b"\r\n\r\nvalue\r\n--b--\r\n", B, 200),
        (b"a" * 600000, "application/x-www-form-urlencoded", 413),
        (b"a&" * 1000, "application/x-www-form-urlencoded", 413),
        (b"a=%zz&b=%ff&=&&", "application/x-www-form-urlencoded", 200),
        (PART + b"\r\n\r\n" + b"v" * 600000 + b"\r\n--b--\r\n", B, 413),
        ((PART + b"\r\n\r\nv\r\n") * 1001 + b"--b--\r\n", B, 413),
        ((PART + b"; filename=f\r\n\r\nv\r\n") * 1001 + b"--b--\r\n", B, 413),
    ],
    ids=range(16),
)
def test_bad_forms(echo, body, kind, status):
    answer = echo(data=body, content_type=kind)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json["status"] == status and answer.json["error"]


def test_a_name_is_what_the_client_says(echo):
    answer = echo(data={"f": (b"x", "x")})
    assert answer.json["files"][0][1] == "x"
    body = PART + b'; filename="../../etc/passwd"\r\n\r\nx\r\n--b--\r\n'
    assert echo(data=body, content_type=B).json["files"][0][1] == "../../etc/passwd"


def test_cookies(client):
    get("/c")(lambda request: request.cookies.to_dict(flat=False))
    assert client.get("/c").json == {}
    assert client.get("/c", cookies={"a": "1", "b": "x y"}).json == {"a": ["1"], "b": ["x y"]}
    for bad in ("=", ";;;", "a", "\x01\x02=\x03", "a=" + "\"" * 50, "ü=ü", "a=b=c; =d"):
        answer = client.get("/c", headers={"Cookie": bad.encode().decode("latin-1")})
        assert answer.status_code in (200,), bad


def test_is_disconnected():
    request = Request()
    assert not request.is_disconnected() and repr(request.is_disconnected()) == "False"

    async def ask():
        return await request.is_disconnected()

    assert asyncio.run(ask()) is False


def test_without_werkzeug():
    code = (
        "import sys; sys.modules['werkzeug'] = None\n"
        "from snacgi import Request\n"
        "r = Request(headers={'Content-Type': 'application/x-www-form-urlencoded'}, body=b'a=1')\n"
        "for name in ('form', 'files', 'cookies'):\n"
        "    try:\n"
        "        getattr(r, name)\n"
        "    except RuntimeError as e:\n"
        "        assert 'needs Werkzeug' in str(e) and 'pip install werkzeug' in str(e), e\n"
        "    else:\n"
        "        raise SystemExit(name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_werkzeug_is_imported_when_asked():
    code = "import sys, snacgi; snacgi.Request().args; assert 'werkzeug' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
