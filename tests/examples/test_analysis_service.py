# SPDX-License-Identifier: MIT
"""The analysis service behind nginx, by its own snacgi.conf: uploads, the pool, and the
endpoint that is there in C and in Python."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Iterator

import pytest
from served import Served

CSV = "city,price\nBerlin,800\nBerlin,1000\nBonn,\nBonn,500\n"


@pytest.fixture(scope="module")
def service(module_tmp: Path) -> Iterator[Served]:
    served = Served(module_tmp, "analysis", "/summary").start()
    yield served
    served.stop()


def test_tables(service: Served) -> None:
    status, (city, price) = service.upload("/summary", CSV)
    assert (status, city["unique"], price["missing"]) == (200, 2, 1)
    assert price["mean"] == pytest.approx(2300 / 3)
    assert service.upload("/groups?by=city&value=price&how=std", CSV) == (
        200, [{"city": "Berlin", "price": pytest.approx(141.42, abs=0.01)}, {"city": "Bonn", "price": None}])
    assert service.upload("/histogram?column=price&bins=2", CSV) == (200, {"counts": [1, 2], "edges": [500.0, 750.0, 1000.0]})


def test_a_large_file(service: Served) -> None:
    """Larger than memory_body and than nginx's own buffers, below limits.body."""
    csv = "x,y\n" + "".join(f"{n},{n % 7}\n" for n in range(300_000))
    assert len(csv) > 2 << 20
    status, rows = service.upload("/groups?by=y&value=x&how=count", csv)
    assert status == 200 and sum(row["x"] for row in rows) == 300_000 and len(rows) == 7


def test_the_pool(service: Served) -> None:
    status, answer = service.upload("/confidence?column=price&rounds=500", CSV)
    assert status == 200 and answer["low"] < answer["mean"] < answer["high"] and answer["count"] == 3
    assert service.upload("/confidence?column=price&rounds=500", CSV) == (status, answer)


def test_wrong_input(service: Served) -> None:
    assert service.upload("/summary", "a,b\n1,2\n1,2,3\n")[0] == 400
    assert service.upload("/histogram?column=city", CSV) == (422, {"error": "column city does not hold numbers"})
    assert service.nginx.ask("POST", "/summary", b"--", {"Content-Type": "multipart/form-data; boundary=b"})[0] == 400


# ---- C beside its reference -----------------------------------------------------------------

dice = random.Random(7)
GOOD: list[dict[str, Any]] = [
    {"values": [1, 2, 4]},
    {"values": [7], "alpha": 1},
    {"values": [0.1] * 50, "alpha": 0.1},
    {"values": [1e18, -1e18, 5e-324, 0, -0.0], "alpha": 0.999},
    {"values": [2**53 + 1, -(2**53) - 1], "alpha": 1e-9, "other": None},
    {"values": [dice.uniform(-1e6, 1e6) for _ in range(10_000)], "alpha": 0.05},
    *({"values": [dice.gauss(0, 10 ** dice.randint(-9, 9)) for _ in range(dice.randint(1, 99))], "alpha": dice.random() or 1} for _ in range(20)),
]
BAD: list[Any] = [
    7, [], {}, {"values": 1}, {"values": []}, {"values": {}}, {"values": [1] * 10_001}, {"values": [1, None]}, {"values": [True]},
    {"values": ["1"]}, {"values": [[1]]}, {"values": [1.1e18]}, {"values": [-(2**63)]}, {"values": [2**64 - 1]},
    {"values": [1], "alpha": 0}, {"values": [1], "alpha": -1}, {"values": [1], "alpha": 1.0001}, {"values": [1], "alpha": True},
    {"values": [1], "alpha": None}, {"values": [1], "alpha": "x"}, {"values": [1], "alpha": 10**18},
]


def test_c_computes_what_python_computes(service: Served) -> None:
    for question in GOOD:
        status, answer = service.json("POST", "/smooth", question)
        assert status == 200, (question, answer)
        assert answer == pytest.approx(service.json("POST", "/reference/smooth", question)[1], rel=1e-9, abs=1e-9), question


def test_c_refuses_what_python_refuses(service: Served) -> None:
    for question in BAD:
        status, answer = service.json("POST", "/reference/smooth", question)
        assert status == 422, question
        assert service.json("POST", "/smooth", question) == (status, answer), question
    for text in (b"{", b'{"values":[1],}', b'{"values":[01]}', b'{"values":[NaN]}', b'{"values":[1]} x', b'{"values":[Infinity]}', b"\xff"):
        assert [service.nginx.ask("POST", f"{place}/smooth", text)[0] for place in ("", "/reference")] == [400, 400], text
    for text in (b"", b"null"):
        assert [service.nginx.ask("POST", f"{place}/smooth", text)[0] for place in ("", "/reference")] == [422, 422], text
    # The one difference: a number that json-c cannot hold is malformed to it.
    for number in ("1e999", "-1e999", "1" + "0" * 30, "-1" + "0" * 30, str(2**64)):
        text = b'{"values":[%s]}' % number.encode()
        assert [service.nginx.ask("POST", f"{place}/smooth", text)[0] for place in ("", "/reference")] == [400, 422], text


def test_which_lane_answers(service: Served) -> None:
    log = service.daemon.log()
    assert "route POST /smooth: native" in log and "route POST /reference/smooth: sync" in log
    answer = service.nginx.ask("POST", "/smooth", json.dumps({"values": [1]}).encode())[1]
    assert json.loads(answer) == [1.0]
