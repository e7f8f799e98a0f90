# SPDX-License-Identifier: MIT
"""What common objects become in JSON, and that nothing is imported for it."""

import dataclasses
import datetime
import decimal
import enum
import json
import subprocess
import sys
import uuid

import pytest


def body(answer, value):
    a = answer(value)
    assert a.status == 200 and a["content-type"] == "application/json"
    return json.loads(a.body)


@dataclasses.dataclass
class Point:
    x: int
    y: "Point | None" = None


class Color(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value, expected",
    [
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), "2026-01-02T03:04:05+00:00"),
        (datetime.time(3, 4), "03:04:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Color.RED, "red"),
        (Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": None}}),
    ],
)
def test_standard_types(answer, value, expected):
    assert body(answer, {"v": [value]}) == {"v": [expected]}
    assert body(answer, value) == expected  # alone as well


def test_numpy(answer):
    numpy = pytest.importorskip("numpy")
    value = {
        "array": numpy.arange(6).reshape(2, 3),
        "float": numpy.float64(1.5),
        "float32": numpy.float32(0.5),
        "int": numpy.int64(7),
        "bool": numpy.bool_(True),
        "text": numpy.str_("x"),
        "day": numpy.datetime64("2026-01-02"),
        "days": numpy.array(["2026-01-02", "NaT"], dtype="datetime64[D]"),
        "grid": numpy.array([["2026-01-02", "NaT"]], dtype="datetime64[D]"),
        "span": numpy.timedelta64(5, "s"),
    }
    assert body(answer, value) == {
        "array": [[0, 1, 2], [3, 4, 5]],
        "float": 1.5,
        "float32": 0.5,
        "int": 7,
        "bool": True,
        "text": "x",
        "day": "2026-01-02",
        "days": ["2026-01-02", None],
        "grid": [["2026-01-02", None]],
        "span": "5 seconds",
    }
    assert body(answer, numpy.arange(3)) == [0, 1, 2]
    assert body(answer, numpy.int32(4)) == 4


def test_numpy_nan_is_named(answer, capfd):
    numpy = pytest.importorskip("numpy")
    assert answer({"a": numpy.array([1.0, numpy.nan])}).status == 500
    assert "$.a[1] is NaN" in capfd.readouterr().err


def test_set_is_refused_with_its_place(answer, capfd):
    assert answer({"rows": [{"tags": {1}}]}).status == 500
    assert "$.rows[0].tags is of type set" in capfd.readouterr().err


@pytest.fixture
def hooks():
    from snacgi import _json, json_dumps

    saved = _json._own[:]
    yield
    _json._own[:] = saved
    json_dumps(None)


class Money:
    def __init__(self, cents):
        self.cents = cents


def test_own_default(answer, hooks, capfd):
    import snacgi

    @snacgi.json_default
    def money(obj):
        if isinstance(obj, Money):
            return {"cents": obj.cents}
        raise TypeError

    @snacgi.json_default
    def dates(obj):
        return obj.strftime("%d.%m.%Y") if isinstance(obj, datetime.date) else NotImplemented

    assert body(answer, [Money(5), datetime.date(2026, 1, 2), uuid.UUID(int=1)]) == [
        {"cents": 5}, "02.01.2026", "00000000-0000-0000-0000-000000000001"]
    assert body(answer, Money(6)) == {"cents": 6}  # alone as well
    assert answer([object()]).status == 500 and "$[0] is of type object" in capfd.readouterr().err

    @snacgi.json_default
    def broken(obj):
        raise KeyError("broken hook")

    assert answer([Money(1)]).status == 500 and "broken hook" in capfd.readouterr().err
    with pytest.raises(TypeError, match="json_default goes above a function"):
        snacgi.json_default(5)


def test_own_dumps(answer, hooks, capfd):
    import snacgi

    snacgi.json_dumps(lambda value, default: json.dumps(value, default=default, indent=1))
    assert answer({"a": datetime.date(2026, 1, 2)}).body == b'{\n "a": "2026-01-02"\n}'
    assert answer([1.5])["content-type"] == "application/json" and snacgi.jsonify(a=1).data == b'{\n "a": 1\n}'
    snacgi.json_dumps(lambda value, default: json.dumps(value, default=default).encode())
    assert answer([1]).body == b"[1]"
    snacgi.json_dumps(lambda value, default: 5)
    assert answer([1]).status == 500
    snacgi.json_dumps(lambda value: "")
    assert answer([1]).status == 500 and "default" in capfd.readouterr().err
    with pytest.raises(TypeError, match="such as orjson.dumps"):
        snacgi.json_dumps("orjson")
    snacgi.json_dumps(None)
    assert answer([1.5]).body == b"[1.5]"


@pytest.mark.parametrize("value, place", [
    ({"a": float("nan")}, "$.a is NaN"),
    ([float("-inf")], "$[0] is -Infinity"),
    ([decimal.Decimal("NaN")], None),
])
def test_what_is_no_number(answer, capfd, value, place):
    if place is None:
        assert body(answer, value) == ["NaN"]  # a Decimal is text
    else:
        assert answer(value).status == 500 and place in capfd.readouterr().err


def test_pandas(answer, capfd):
    import pandas

    frame = pandas.DataFrame({"n": [1, 2], "when": pandas.to_datetime(["2026-01-02", None]), "s": ["a", None],
                              "i": pandas.array([1, None], dtype="Int64")})
    assert body(answer, {"rows": frame}) == {"rows": [
        {"n": 1, "when": "2026-01-02T00:00:00", "s": "a", "i": 1}, {"n": 2, "when": None, "s": None, "i": None}]}
    assert body(answer, frame) == body(answer, {"rows": frame})["rows"]
    assert body(answer, [frame["n"], frame.index, frame["n"].sum()]) == [[1, 2], [0, 1], 3]
    assert body(answer, [pandas.Timestamp("2026-01-02"), pandas.NaT, pandas.NA]) == ["2026-01-02T00:00:00", None, None]
    assert answer(pandas.DataFrame({"x": [1.5, None]})).status == 500
    assert "$[1].x is NaN" in capfd.readouterr().err


def test_imports_nothing():
    code = (
        "import sys, _snacgi, snacgi\n"
        "before = set(sys.modules)\n"
        "_snacgi.answer(None, {'a': object()})\n"
        "new = set(sys.modules) - before\n"
        "assert not {'numpy', 'pandas', 'polars', 'decimal', 'uuid'} & new, new\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
