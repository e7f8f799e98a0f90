# SPDX-License-Identifier: MIT
"""What uvicorn serves: an ASGI application without a framework."""

import json


async def application(scope, receive, send):
    body = json.dumps({"user_id": int(scope["path"].rsplit("/", 1)[1]), "name": "user", "active": True}, separators=(",", ":")).encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
