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


def test_imports_nothing():
    code = (
        "import sys, _snacgi, snacgi\n"
        "before = set(sys.modules)\n"
        "_snacgi.answer(None, {'a': object()})\n"
        "new = set(sys.modules) - before\n"
        "assert not {'numpy', 'pandas', 'polars', 'decimal', 'uuid'} & new, new\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
