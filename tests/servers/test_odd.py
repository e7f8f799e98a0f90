# SPDX-License-Identifier: MIT
"""Configurations that nobody should have, and what they do to a client."""

from __future__ import annotations

from typing import Callable, ContextManager

from fronts import SCGI_UNBUFFERED, Front


def test_nginx_scgi_unbuffered(another: Callable[..., ContextManager[Front]]) -> None:
    """nginx announces what has arrived, here nothing: 411 instead of an upload cut in silence."""
    with another(SCGI_UNBUFFERED) as front:
        assert front.browser.get("/users/7").json() == {"user_id": 7}
        for target in ("/echo", "/native/show"):
            with front.browser.socket() as sock:
                sock.sendall(f"POST {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n".encode())
                assert sock.recv(65536).split(b" ")[1] == b"411"
