# SPDX-License-Identifier: MIT
"""What uWSGI and gunicorn serve: a WSGI application without a framework."""

import json


def application(environ, start_response):
    # The path's number is converted and the answer serialised, as ours does.
    path = environ.get("PATH_INFO") or environ.get("SCRIPT_NAME", "")
    body = json.dumps({"user_id": int(path.rsplit("/", 1)[1]), "name": "user", "active": True}, separators=(",", ":")).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
