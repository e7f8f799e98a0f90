# SPDX-License-Identifier: MIT
"""What is counted of Python: a small answer, and a JSON body there and back."""

from typing import Any

from snacgi import Request, route


@route("/users/<int:user_id>")
def user(request: Request) -> dict[str, Any]:
    return {"user_id": request.path_params["user_id"], "name": "user", "active": True}


@route("/echo", methods=["POST"])
def echo(request: Request) -> dict[str, Any]:
    return {"got": request.body}
