# SPDX-License-Identifier: MIT
"""Run by: pytest. No server is needed."""

import io
import statistics
from typing import Any, Iterator

import analysis  # noqa: F401  (its routes register)
import pytest
from snacgi.testing import TestClient

CSV = """city,rooms,price
Berlin,2,800
Berlin,3,1000
Bonn,1,
Bonn,2,500
,4,700
"""


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient() as client:
        yield client


def ask(client: TestClient, target: str, csv: str = CSV) -> Any:
    answer = client.post(target, data={"file": (io.BytesIO(csv.encode()), "flats.csv")})
    assert answer.status_code == 200, answer.text
    return answer.json


def test_summary(client: TestClient) -> None:
    city, rooms, price = ask(client, "/summary")
    assert (city["column"], city["type"], city["count"], city["missing"]) == ("city", "object", 4, 1)
    assert (city["unique"], city["top"], city["mean"]) == (2, "Berlin", None)
    assert (rooms["type"], rooms["mean"], rooms["min"], rooms["max"], rooms["50%"]) == ("int64", 2.4, 1, 4, 2)
    assert (price["count"], price["missing"], price["mean"]) == (4, 1, 750)
    assert price["std"] == pytest.approx(statistics.stdev([800, 1000, 500, 700]))


def test_nan_and_infinity_are_null(client: TestClient) -> None:
    (only,) = ask(client, "/summary", "x\n1e308\n-1e308\ninf\n")
    assert (only["count"], only["missing"], only["max"], only["std"]) == (2, 1, 1e308, None)
    (only,) = ask(client, "/summary", "x\n7\n")
    assert (only["mean"], only["std"]) == (7, None)


@pytest.mark.parametrize(
    "how, expected", [("mean", [900, 500, 700]), ("sum", [1800, 500, 700]), ("count", [2, 1, 1]), ("std", [pytest.approx(141.42, abs=0.01), None, None])]
)
def test_groups(client: TestClient, how: str, expected: list[Any]) -> None:
    rows = ask(client, f"/groups?by=city&value=price&how={how}")
    assert [row["city"] for row in rows] == ["Berlin", "Bonn", None]
    assert [row["price"] for row in rows] == expected


def test_histogram(client: TestClient) -> None:
    assert ask(client, "/histogram?column=rooms&bins=3") == {"counts": [1, 2, 2], "edges": [1.0, 2.0, 3.0, 4.0]}
    assert ask(client, "/histogram?column=price&bins=1") == {"counts": [4], "edges": [500.0, 1000.0]}


def test_confidence(client: TestClient) -> None:
    """Values and result travel by pickle here as they do to a pool process."""
    answer = ask(client, "/confidence?column=price&rounds=200")
    assert answer["low"] < answer["mean"] == 750 < answer["high"] and answer["count"] == 4


def test_smooth(client: TestClient) -> None:
    answer = client.post("/smooth", json={"values": [1, 2, 4], "alpha": 0.5})
    assert answer.json == [1.0, 1.5, 2.75]
    assert client.post("/reference/smooth", json={"values": [1, 2, 4], "alpha": 0.5}).data == answer.data


def test_the_body_may_be_the_file(client: TestClient) -> None:
    assert client.post("/histogram?column=rooms&bins=3", data=CSV, content_type="text/csv").json["counts"] == [1, 2, 2]


@pytest.mark.parametrize(
    "target, part",
    [
        ("/groups?value=price", "by must be a column: city, rooms, price"),
        ("/groups?by=city&value=city", "column city does not hold numbers"),
        ("/groups?by=city&value=price&how=eval", "how must be one of"),
        ("/groups?by=price&value=price", "must differ"),
        ("/histogram?column=rooms&bins=0", "bins must be a number from 1 to 1000"),
        ("/histogram?column=rooms&bins=9999", "bins must be a number"),
        ("/confidence?column=colour", "column must be a column"),
        ("/confidence?column=price&rounds=1000000", "rounds must be a number"),
    ],
)
def test_wrong_questions(client: TestClient, target: str, part: str) -> None:
    answer = client.post(target, data=CSV)
    assert answer.status_code == 422 and part in answer.json["error"]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n1,2,3\n", b'a\n"unfinished'])
def test_no_csv(client: TestClient, body: bytes) -> None:
    answer = client.post("/summary", data=body, content_type="text/csv")
    assert answer.status_code == 400 and "this is no CSV file" in answer.json["error"]


def test_other_wrong_tables(client: TestClient) -> None:
    assert client.post("/summary", data={"other": (io.BytesIO(b"a\n1\n"), "a.csv")}).json["error"] == "the form has no file named 'file'"
    assert client.post("/summary", data=",".join(f"c{n}" for n in range(201))).json["error"] == "there are 201 columns: at most 200"
    assert client.post("/histogram?column=a", data="a,b\n,1\n").json["error"] == "column a is empty"
