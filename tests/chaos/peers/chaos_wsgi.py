# SPDX-License-Identifier: MIT
"""The chaos application's /sync for a WSGI server."""

import json
import os
import time
import zlib
from typing import Any, Callable, Iterable

LEDGER = os.open(os.environ["CHAOS_LEDGER"], os.O_WRONLY | os.O_APPEND)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    sent = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    os.write(LEDGER, b"%d %d\n" % (sent["n"], os.getpid()))
    time.sleep(sent["n"] % 16 / 1000)
    body = json.dumps({"n": sent["n"], "nonce": sent["nonce"], "crc": zlib.crc32(sent["fill"].encode())}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
