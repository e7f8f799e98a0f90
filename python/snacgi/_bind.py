# SPDX-License-Identifier: MIT
"""From a recorded route to the callable that a request is given to.

The daemon and the test client both call what ``bind`` returns, with the request
and, where the route asked for it, the pool. Private.
"""

from __future__ import annotations

from typing import Any, Callable

from ._routing import Route


def bind(route: Route) -> Callable[..., Any]:
    """What to call for a request of `route`."""
    return route.handler
