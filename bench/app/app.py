# SPDX-License-Identifier: MIT
"""The Python side of the benchmark: the same small JSON answer as bench/table.c,
by a sync and by an async handler."""

from typing import Any

from snacgi import Request, route


@route("/users/<int:user_id>")
def user(request: Request) -> dict[str, Any]:
    return {"user_id": request.path_params["user_id"], "name": "user", "active": True}


@route("/async/users/<int:user_id>")
async def async_user(request: Request) -> dict[str, Any]:
    return {"user_id": request.path_params["user_id"], "name": "user", "active": True}
