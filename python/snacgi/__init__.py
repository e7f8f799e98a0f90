# SPDX-License-Identifier: MIT
"""Endpoints in Python behind any web server that speaks FastCGI or SCGI.

    from snacgi import route, Request

    @route('/users/<int:user_id>')
    def get_user(request: Request) -> dict:
        return {"user_id": request.path_params["user_id"]}

See snacgi-python(7). Importing this package starts nothing: a module of
endpoints can be imported, and its handlers called, in plain Python.
"""

from _snacgi import Headers as Headers
from _snacgi import Request as Request
from _snacgi import Response as Response

from . import exceptions as exceptions

from ._datastructures import MultiDict as MultiDict
from ._routing import delete as delete
from ._routing import get as get
from ._routing import patch as patch
from ._routing import post as post
from ._routing import put as put
from ._routing import route as route
from ._version import __version__ as __version__
from .exceptions import BadRequest as BadRequest
from .exceptions import HTTPException as HTTPException
from .exceptions import abort as abort

__all__ = [
    "BadRequest",
    "HTTPException",
    "Headers",
    "MultiDict",
    "Request",
    "Response",
    "__version__",
    "abort",
    "delete",
    "exceptions",
    "get",
    "patch",
    "post",
    "put",
    "route",
]
