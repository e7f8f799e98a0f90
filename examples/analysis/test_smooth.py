# SPDX-License-Identifier: MIT
"""The hot endpoint in both languages, asked through the server; `make` first. Python's
answer is the right one."""

import json
import subprocess
from typing import Any

import pytest


def ask(path: str, value: Any) -> Any:
    command = ["snacgi", "request", "-q", "-c", "snacgi.conf", "-d", json.dumps(value), "POST", path]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE).stdout)


def test_both_agree() -> None:
    question = {"values": [0.1, 1, -2.5e6, 3e17, 0.3], "alpha": 0.3}
    assert ask("/smooth", question) == pytest.approx(ask("/reference/smooth", question), rel=1e-12)


def test_both_refuse() -> None:
    question = {"values": [1, None]}
    assert ask("/smooth", question) == ask("/reference/smooth", question) == {"error": "values must be numbers up to 1e18"}


def test_c_answers_where_both_could() -> None:
    routes = subprocess.run(["snacgi", "routes", "-c", "snacgi.conf"], stdout=subprocess.PIPE, text=True).stdout
    lanes = {rule: lane for _, rule, lane, _ in map(lambda line: line.split(maxsplit=3), reversed(routes.splitlines()))}
    assert (lanes["/smooth"], lanes["/reference/smooth"]) == ("native", "sync"), routes
