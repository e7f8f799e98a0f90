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

from typing import TYPE_CHECKING, Any

from . import exceptions as exceptions

from ._blueprint import App as App
from ._blueprint import Blueprint as Blueprint
from ._blueprint import register_blueprint as register_blueprint
from ._datastructures import MultiDict as MultiDict
from ._hooks import after_request as after_request
from ._hooks import before_request as before_request
from ._hooks import errorhandler as errorhandler
from ._hooks import register_error_handler as register_error_handler
from ._hooks import teardown_request as teardown_request
from ._life import lifespan as lifespan
from ._life import on_shutdown as on_shutdown
from ._life import on_startup as on_startup
from ._life import worker_init as worker_init
from ._params import Body as Body
from ._params import Cookie as Cookie
from ._params import Field as Field
from ._params import File as File
from ._params import Form as Form
from ._params import Header as Header
from ._params import Path as Path
from ._params import Query as Query
from ._routing import delete as delete
from ._routing import get as get
from ._routing import patch as patch
from ._routing import post as post
from ._routing import put as put
from ._routing import route as route
from ._routing import url_map as url_map
from ._version import __version__ as __version__
from .exceptions import BadRequest as BadRequest
from .exceptions import HTTPException as HTTPException
from .exceptions import HandlerTimeout as HandlerTimeout
from .exceptions import RequestValidationError as RequestValidationError
from .exceptions import abort as abort

if TYPE_CHECKING:
    from ._background import BackgroundTask as BackgroundTask
    from ._background import BackgroundTasks as BackgroundTasks
    from ._globals import current_app as current_app
    from ._globals import current_request as current_request
    from ._globals import g as g
    from ._globals import has_request_context as has_request_context
    from ._globals import request as request
    from ._json import json_default as json_default
    from ._json import json_dumps as json_dumps
    from ._helpers import jsonify as jsonify
    from ._helpers import make_response as make_response
    from ._helpers import redirect as redirect
    from ._files import send_file as send_file
    from ._files import send_from_directory as send_from_directory
    from ._openapi import enable_docs as enable_docs
    from ._openapi import openapi as openapi
    from ._sse import SSEMessage as SSEMessage
    from ._sse import SSEResponse as SSEResponse
    from ._streaming import stream_with_context as stream_with_context
    from ._url import BuildError as BuildError
    from ._url import url_for as url_for

__all__ = [
    "App",
    "BackgroundTask",
    "BackgroundTasks",
    "BadRequest",
    "Blueprint",
    "Body",
    "BuildError",
    "Cookie",
    "Field",
    "File",
    "Form",
    "HTTPException",
    "HandlerTimeout",
    "Header",
    "Headers",
    "MultiDict",
    "Path",
    "Query",
    "Request",
    "RequestValidationError",
    "Response",
    "SSEMessage",
    "SSEResponse",
    "__version__",
    "abort",
    "after_request",
    "before_request",
    "current_app",
    "current_request",
    "delete",
    "enable_docs",
    "errorhandler",
    "exceptions",
    "g",
    "get",
    "has_request_context",
    "json_default",
    "json_dumps",
    "jsonify",
    "lifespan",
    "make_response",
    "on_shutdown",
    "on_startup",
    "openapi",
    "patch",
    "post",
    "put",
    "redirect",
    "register_blueprint",
    "register_error_handler",
    "request",
    "route",
    "send_file",
    "send_from_directory",
    "stream_with_context",
    "teardown_request",
    "url_for",
    "url_map",
    "worker_init",
]

_LATER = {
    "BackgroundTask": "_background",
    "BackgroundTasks": "_background",
    "BuildError": "_url",
    "SSEMessage": "_sse",
    "SSEResponse": "_sse",
    "current_app": "_globals",
    "current_request": "_globals",
    "enable_docs": "_openapi",
    "g": "_globals",
    "has_request_context": "_globals",
    "json_default": "_json",
    "json_dumps": "_json",
    "jsonify": "_helpers",
    "make_response": "_helpers",
    "openapi": "_openapi",
    "redirect": "_helpers",
    "request": "_globals",
    "send_file": "_files",
    "send_from_directory": "_files",
    "stream_with_context": "_streaming",
    "url_for": "_url",
}

#: Flask's names that are not here, with what does it instead: more than "cannot import name" says.
_NOT_HERE = {
    "Flask": "write `from snacgi import App as Flask`",
    "render_template": "Jinja2 works as it is, and the text that a template makes is a result",
    "render_template_string": "Jinja2 works as it is, and the text that a template makes is a result",
    "session": "sign a cookie with itsdangerous, or keep what belongs to a session in your database",
    "flash": "there are no sessions to keep the messages in",
    "after_this_request": "use after_request(), or make_response() in the handler",
    "Depends": "call the function, or use before_request() and g",
}


def __getattr__(name: str) -> Any:
    # Who asks for g and its like has the context variable set for every request from then on;
    # the others do not pay for it, nor for urllib.
    if name in _LATER:
        import importlib

        if name == "url_for":  # ".name" and _external ask for the request
            importlib.import_module("snacgi._globals")
        value = globals()[name] = getattr(importlib.import_module("snacgi." + _LATER[name]), name)
        return value
    if name in _NOT_HERE:
        import sys

        text = f"snacgi has no {name}: {_NOT_HERE[name]}"
        if sys._getframe(1).f_code.co_name == "_handle_fromlist":  # `from snacgi import`, which drops an AttributeError's text
            raise ImportError(text)
        raise AttributeError(text)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
