# SPDX-License-Identifier: MIT
"""Exceptions that are answers, with werkzeug's names.

A handler that raises one of these answers with its status and description, as
JSON or as a small HTML page, by the request's Accept header. Nothing is logged.
"""

from __future__ import annotations

import sys
from typing import Any, Iterable, Mapping, NoReturn, Optional, Union

from _snacgi import Response

HeaderSource = Union[Mapping[str, Any], Iterable[tuple[str, Any]], None]


class HTTPException(Exception):
    """Base class: raise a subclass, or set ``code`` in one of your own.

    description: what the client may read; the class's own when None.
    response: sent instead of the error page.
    headers: added to the error page, a dict or a list of pairs.
    """

    code: Optional[int] = None
    description: Optional[str] = None

    def __init__(
        self,
        description: Optional[str] = None,
        response: Optional[Response] = None,
        *,
        headers: HeaderSource = None,
    ) -> None:
        super().__init__()
        if description is not None:
            self.description = description
        self.response = response
        self.headers = headers

    @property
    def name(self) -> str:
        """The status's reason phrase: "Not Found"."""
        if self.code is None:
            return "Unknown Error"
        return Response(status=self.code).status.partition(" ")[2]

    def get_description(self, environ: Any = None, scope: Any = None) -> str:
        return self.description or ""

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """The headers of the answer, beside Content-Type."""
        if self.headers is None:
            return []
        source = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        return [(str(name), str(value)) for name, value in source]

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:
        """A Response with the description as plain text.

        The server itself writes JSON or HTML by Accept; it calls this method only
        where a subclass replaces it.
        """
        if self.response is not None:
            return self.response
        return Response(
            self.get_description(), self.code or 500, self.get_headers(), mimetype="text/plain"
        )

    def _answer(self) -> tuple[Optional[Response], int, Optional[str], list[tuple[str, str]]]:
        # What the core asks: (response, code, description, headers).
        response = self.response
        if response is None and type(self).get_response is not HTTPException.get_response:
            response = self.get_response()
        if response is None and self.code is None:
            raise TypeError(f"{type(self).__qualname__} has no code: set one in the class")
        return response, self.code or 0, self.description, self.get_headers()

    def __str__(self) -> str:
        code = self.code if self.code is not None else "???"
        return f"{code} {self.name}: {self.description}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.code}: {self.name}'>"


class HandlerTimeout(BaseException):
    """Raised by the server in a handler that is over its time (``timeouts.request`` or
    ``@route(timeout=)``), wherever it stands; the client was answered 504 already. Or in what is
    done after the answer, which has ``timeouts.background``.

    Not an Exception, so that ``except Exception`` does not swallow it; ``finally`` and
    ``with`` clean up as ever. Whoever catches it must come to an end soon: a thread that
    does not is given up. As asyncio.CancelledError, for functions that are not async.
    """

    def __str__(self) -> str:
        return super().__str__() or "the handler is over its time"


class BadRequest(HTTPException):
    """400: the request is malformed."""

    code = 400
    description = "The server could not understand the request."


class BadRequestKeyError(BadRequest, KeyError):
    """400: a key that is not among the request's args, headers, form, files or cookies. A
    KeyError as well."""

    def __init__(self, arg: Optional[str] = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.args = () if arg is None else (arg,)
        if arg is not None and self.description is BadRequest.description:
            self.description = f"the request has no {arg!r}"


class ClientDisconnected(BadRequest):
    """The client left before its request was complete (request.stream)."""


class Unauthorized(HTTPException):
    """401. ``www_authenticate``: the challenge for the WWW-Authenticate header."""

    code = 401
    description = "The request needs valid credentials."

    def __init__(
        self,
        description: Optional[str] = None,
        response: Optional[Response] = None,
        www_authenticate: Any = None,
        *,
        headers: HeaderSource = None,
    ) -> None:
        super().__init__(description, response, headers=headers)
        if www_authenticate is None:
            self.www_authenticate: tuple[Any, ...] = ()
        elif isinstance(www_authenticate, (list, tuple)):
            self.www_authenticate = tuple(www_authenticate)
        else:
            self.www_authenticate = (www_authenticate,)

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        challenges = [("WWW-Authenticate", str(value)) for value in self.www_authenticate]
        return super().get_headers(environ, scope) + challenges


class PaymentRequired(HTTPException):
    """402."""

    code = 402
    description = "The request needs a payment."


class Forbidden(HTTPException):
    """403: known, and not allowed."""

    code = 403
    description = "You do not have the permission for this."


class NotFound(HTTPException):
    """404."""

    code = 404
    description = "There is nothing at this address."


class MethodNotAllowed(HTTPException):
    """405. ``valid_methods``: a list for the Allow header. (Note the order of arguments: werkzeug's.)"""

    code = 405
    description = "The method is not allowed for this address."

    def __init__(
        self,
        valid_methods: Optional[Iterable[str]] = None,
        description: Optional[str] = None,
        response: Optional[Response] = None,
        *,
        headers: HeaderSource = None,
    ) -> None:
        super().__init__(description, response, headers=headers)
        self.valid_methods = list(valid_methods) if valid_methods is not None else None

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        headers = super().get_headers(environ, scope)
        if self.valid_methods:
            headers.append(("Allow", ", ".join(self.valid_methods)))
        return headers


class NotAcceptable(HTTPException):
    """406."""

    code = 406
    description = "Nothing here is of a type that the request accepts."


class RequestTimeout(HTTPException):
    """408."""

    code = 408
    description = "The request took too long to arrive."


class Conflict(HTTPException):
    """409."""

    code = 409
    description = "The request does not fit the present state of the resource."


class Gone(HTTPException):
    """410."""

    code = 410
    description = "What was at this address is gone for good."


class LengthRequired(HTTPException):
    """411."""

    code = 411
    description = "The request needs a Content-Length."


class PreconditionFailed(HTTPException):
    """412."""

    code = 412
    description = "A precondition of the request is not met."


class RequestEntityTooLarge(HTTPException):
    """413."""

    code = 413
    description = "The body is larger than allowed."


class RequestURITooLarge(HTTPException):
    """414."""

    code = 414
    description = "The address is longer than allowed."


class UnsupportedMediaType(HTTPException):
    """415."""

    code = 415
    description = "The body is of a type that is not taken here."


class RequestedRangeNotSatisfiable(HTTPException):
    """416."""

    code = 416
    description = "The range asked for does not exist."


class ExpectationFailed(HTTPException):
    """417."""

    code = 417
    description = "The server cannot do what the Expect header asks."


class ImATeapot(HTTPException):
    """418."""

    code = 418
    description = "This server is a teapot, not a coffee machine."


class MisdirectedRequest(HTTPException):
    """421."""

    code = 421
    description = "This server does not answer for that host."


class UnprocessableEntity(HTTPException):
    """422: well formed, and wrong in meaning."""

    code = 422
    description = "The request is well formed, but its content is wrong."


class Locked(HTTPException):
    """423."""

    code = 423
    description = "The resource is locked."


class FailedDependency(HTTPException):
    """424."""

    code = 424
    description = "Another action that this one needs has failed."


class PreconditionRequired(HTTPException):
    """428."""

    code = 428
    description = "The request must be conditional (If-Match)."


class _RetryAfter(HTTPException):
    # ``retry_after``: seconds, or a datetime.

    def __init__(
        self,
        description: Optional[str] = None,
        response: Optional[Response] = None,
        retry_after: Any = None,
        *,
        headers: HeaderSource = None,
    ) -> None:
        super().__init__(description, response, headers=headers)
        self.retry_after = retry_after

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        headers = super().get_headers(environ, scope)
        if self.retry_after is None:
            return headers
        value = self.retry_after
        if hasattr(value, "timetuple"):
            from ._dates import http_date

            value = http_date(value)
        headers.append(("Retry-After", str(value)))
        return headers


class TooManyRequests(_RetryAfter):
    """429. ``retry_after``: seconds (int) or a datetime for the Retry-After header."""

    code = 429
    description = "Too many requests: try again later."


class RequestHeaderFieldsTooLarge(HTTPException):
    """431."""

    code = 431
    description = "The request's headers are larger than allowed."


class UnavailableForLegalReasons(HTTPException):
    """451."""

    code = 451
    description = "Not available for legal reasons."


class InternalServerError(HTTPException):
    """500, told by the handler itself."""

    code = 500
    description = "The server met an error."

    def __init__(
        self,
        description: Optional[str] = None,
        response: Optional[Response] = None,
        original_exception: Optional[BaseException] = None,
        *,
        headers: HeaderSource = None,
    ) -> None:
        super().__init__(description, response, headers=headers)
        self.original_exception = original_exception  #: what a handler for 500 is called for


class NotImplemented(HTTPException):  # noqa: A001 - werkzeug's name
    """501."""

    code = 501
    description = "The server does not know how to do this."


class BadGateway(HTTPException):
    """502."""

    code = 502
    description = "Another server, asked by this one, gave a wrong answer."


class ServiceUnavailable(_RetryAfter):
    """503. ``retry_after``: seconds (int) or a datetime for the Retry-After header."""

    code = 503
    description = "The server cannot answer now: try again later."


class GatewayTimeout(HTTPException):
    """504."""

    code = 504
    description = "Another server, asked by this one, did not answer in time."


class HTTPVersionNotSupported(HTTPException):
    """505."""

    code = 505
    description = "The protocol version is not supported."


default_exceptions: dict[int, type[HTTPException]] = {
    cls.code: cls
    for cls in list(globals().values())
    if isinstance(cls, type) and issubclass(cls, HTTPException) and "code" in cls.__dict__ and cls.code is not None
}


def answer_of(exc: BaseException) -> Optional[HTTPException]:
    """The exception as an answer: itself, or one of Werkzeug's as the like of this module's;
    None when it is a failure."""
    if isinstance(exc, HTTPException):
        return exc
    foreign = sys.modules.get("werkzeug.exceptions")
    if foreign is None or not isinstance(exc, foreign.HTTPException):
        return None
    if exc.response is not None:
        theirs = exc.response
        return HTTPException(response=Response(theirs.get_data(), theirs.status, theirs.headers.to_wsgi_list()))
    if not isinstance(exc.code, int):
        return None
    if isinstance(exc, KeyError):
        return BadRequestKeyError(exc.args[0] if exc.args else None)
    headers = [pair for pair in exc.get_headers() if pair[0] != "Content-Type"]
    made = default_exceptions.get(exc.code, HTTPException)(description=exc.description, headers=headers)
    made.code = exc.code
    return made


def _text(part: Any) -> Any:
    # A key of the client's body may hold a lone surrogate, which JSON answers cannot.
    return part.encode(errors="replace").decode() if isinstance(part, str) else part


class RequestValidationError(UnprocessableEntity):
    """422: the parameters of a typed handler; answered as FastAPI does, ``{"detail": [...]}``.

    errors(): a list of dicts, each with ``type``, ``loc`` (where: ["query", "limit"]) and ``msg``.
    """

    def __init__(self, errors: Iterable[Mapping[str, Any]] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._errors = [dict(one) for one in errors]

    def errors(self) -> list[dict[str, Any]]:
        """What is wrong, all of it."""
        return self._errors

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:
        if self.response is not None:
            return self.response
        from ._helpers import jsonify

        answer = jsonify(detail=[{**one, "loc": [_text(part) for part in one.get("loc", ())],
                                  "msg": _text(one.get("msg", ""))} for one in self._errors])
        answer.status_code = 422
        answer.headers.extend(self.get_headers())
        return answer


def abort(code: Union[int, Response], *args: Any, **kwargs: Any) -> NoReturn:
    """Ends the request: raises the HTTPException of ``code``, as in Flask.

    code: a status from 400 to 599 that has an exception, or a Response to send.
    Further arguments go to the exception: ``abort(404, "no such user")``,
    ``abort(503, retry_after=5)``, ``abort(403, headers={...})``.

    Raises LookupError when no exception has this code.
    """
    if isinstance(code, Response):
        raise HTTPException(response=code)
    try:
        cls = default_exceptions[int(code)]
    except (KeyError, TypeError, ValueError):
        raise LookupError(f"no exception for {code!r}") from None
    raise cls(*args, **kwargs)
