# SPDX-License-Identifier: MIT
"""JSON of polars' frames, and orjson as the writer: set in code, and by python.json in the daemon."""

import datetime
import decimal
import os
import shutil
import tempfile
from pathlib import Path

import orjson
import polars
import pytest

import snacgi
from daemon import Daemon
from snacgi import _routing
from snacgi.testing import TestClient

FRAME = polars.DataFrame({"n": [1, 2], "day": [datetime.date(2026, 1, 2), None], "s": ["ü", None]})
RECORDS = [{"n": 1, "day": "2026-01-02", "s": "ü"}, {"n": 2, "day": None, "s": None}]

APP = '''
import datetime
import decimal
import polars
from snacgi import get, json_default

FRAME = polars.DataFrame({"n": [1, 2], "day": [datetime.date(2026, 1, 2), None], "s": ["ü", None]})


@json_default
def money(obj):
    return float(obj) if isinstance(obj, decimal.Decimal) else NotImplemented


@get("/frame")
def frame():
    return {"frame": FRAME, "column": FRAME["n"], "price": decimal.Decimal("1.5")}


@get("/nan")
def nan():
    return [float("nan")]


@get("/key")
def key():
    return {1: 2}
'''


@pytest.fixture
def client():
    saved = _routing.registry[:]
    _routing.registry.clear()
    with TestClient() as client:
        yield client
    _routing.registry[:] = saved


@pytest.fixture(params=["builtin", "orjson"])
def writer(request):
    if request.param == "orjson":
        snacgi.json_dumps(orjson.dumps)
    yield request.param
    snacgi.json_dumps(None)


def test_frames(client, writer):
    snacgi.get("/dict", endpoint="d")(lambda: {"frame": FRAME, "column": FRAME["n"], "first": FRAME["n"][0]})
    snacgi.get("/alone", endpoint="a")(lambda: FRAME)
    snacgi.get("/lazy", endpoint="l")(lambda: {"x": FRAME.lazy()})
    assert client.get("/dict").json == {"frame": RECORDS, "column": [1, 2], "first": 1}
    assert client.get("/alone").json == RECORDS
    client.raise_server_exceptions = False
    assert client.get("/lazy").status_code == 500


def test_orjson_in_code(client, writer):
    snacgi.get("/x")(lambda: {"day": datetime.date(2026, 1, 2), "price": decimal.Decimal("1.50"), "nan": float("nan")})
    client.raise_server_exceptions = False
    answer = client.get("/x")
    if writer == "orjson":  # its rule for NaN
        assert answer.data == b'{"day":"2026-01-02","price":"1.50","nan":null}'
    else:
        assert answer.status_code == 500


@pytest.mark.parametrize("json", ["builtin", "orjson"])
def test_in_the_daemon(json):
    tmp = Path(tempfile.mkdtemp(prefix="snacgi-"))
    (tmp / "app").mkdir()
    (tmp / "app" / "app.py").write_text(APP)
    daemon = Daemon(tmp, app=tmp / "app", conf={"python": {"dir": str(tmp / "app"), "venv": os.environ["SN_EXTRA_VENV"], "json": json}})
    try:
        daemon.start()
        assert daemon.get("/frame").json() == {"frame": RECORDS, "column": [1, 2], "price": 1.5}
        assert daemon.get("/nan").status == (200 if json == "orjson" else 500)
        assert daemon.get("/key").status == (500 if json == "orjson" else 200)  # it takes no keys but text
    finally:
        daemon.stop()
        shutil.rmtree(tmp)
