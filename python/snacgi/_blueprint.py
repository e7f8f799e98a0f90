# SPDX-License-Identifier: MIT
"""Blueprint and App, with Flask's names: routes and hooks that are collected under a
name and a prefix, and an object to hang an application's routes on."""

from __future__ import annotations

import logging
import os
import sys
import weakref
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Callable, Iterable, NoReturn, Optional, Union

from _snacgi import Response

from . import _hooks, _life, _routing
from ._config import Config
from ._hooks import Function, Scope, app_scope
from ._routing import Handler

if TYPE_CHECKING:
    from ._appcontext import Context
    from ._appjson import AppJSON

#: For `snacgi check`: those that nobody has registered.
known: weakref.WeakSet[Blueprint] = weakref.WeakSet()

_names: dict[str, Blueprint] = {}


def _join(prefix: str, rule: str) -> str:
    if not prefix:
        return rule
    return prefix.rstrip("/") + "/" + rule.lstrip("/") if rule else prefix


class _Routes(ABC):
    """route() and its shortcuts."""

    @abstractmethod
    def route(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """As snacgi.route()."""

    def _for(self, method: str, rule: str, options: dict[str, Any]) -> Callable[[Handler], Handler]:
        if "methods" in options:
            raise TypeError("use route() for methods=")
        return self.route(rule, methods=[method], **options)

    def get(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """route() for GET."""
        return self._for("GET", rule, options)

    def post(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """route() for POST."""
        return self._for("POST", rule, options)

    def put(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """route() for PUT."""
        return self._for("PUT", rule, options)

    def patch(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """route() for PATCH."""
        return self._for("PATCH", rule, options)

    def delete(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """route() for DELETE."""
        return self._for("DELETE", rule, options)

    def add_url_rule(self, rule: str, endpoint: Optional[str] = None,
                     view_func: Optional[Callable[..., Any]] = None, **options: Any) -> None:
        """route() without a decorator, as in Flask."""
        if view_func is None:
            raise TypeError("add_url_rule() needs the function: view_func=")
        self.route(rule, endpoint=endpoint, **options)(view_func)


class Blueprint(Scope, _Routes):
    """Routes and hooks under a name, which register_blueprint() puts into the application.

    name: begins the endpoints of its routes, "name.function".
    import_name: taken because Flask has it; not used.
    url_prefix: begins the rules of its routes.

    before_request and its like are for the blueprint's own routes; the ones with app in
    their name are for all.
    """

    def __init__(self, name: str, import_name: Optional[str] = None, *, url_prefix: Optional[str] = None) -> None:
        super().__init__()
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"a blueprint's name is text without '.', not {name!r}")
        self.name = name
        self.import_name = import_name
        self.url_prefix = _check_prefix(url_prefix)
        self.registered = False
        self._rules: list[tuple[str, Callable[..., Any], dict[str, Any]]] = []
        self._inner: list[tuple[Blueprint, Optional[str], Optional[str]]] = []
        known.add(self)

    def __repr__(self) -> str:
        return f"<Blueprint {self.name!r}>"

    __hash__ = object.__hash__

    def _open(self) -> None:
        if self.registered:
            raise RuntimeError(f"blueprint {self.name!r} is registered already; do this before register_blueprint()")

    def route(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """As snacgi.route(), below the prefix."""
        self._open()
        checked = _routing.check_options(rule, options)
        if not isinstance(rule, str):
            raise TypeError(f"a rule must be str, not {type(rule).__name__}")
        if rule or not self.url_prefix:
            _routing.variables_of(_join(self.url_prefix or "", rule))

        def register(func: Handler) -> Handler:
            _routing._check_handler(func)
            self._rules.append((rule, func, checked))
            return func

        return register

    def register_blueprint(self, blueprint: Blueprint, *, url_prefix: Optional[str] = None,
                           name: Optional[str] = None) -> None:
        """A blueprint inside this one, below its prefix and with its hooks around it."""
        self._open()
        if blueprint is self:
            raise ValueError(f"blueprint {self.name!r} cannot be inside itself")
        self._inner.append((blueprint, url_prefix, name))

    def before_app_request(self, f: Function) -> Function:
        """before_request for every route of the application."""
        return app_scope.before_request(f)

    def after_app_request(self, f: Function) -> Function:
        """after_request for every route of the application."""
        return app_scope.after_request(f)

    def teardown_app_request(self, f: Function) -> Function:
        """teardown_request for every route of the application."""
        return app_scope.teardown_request(f)

    def app_errorhandler(self, code: Union[int, type[BaseException]]) -> Callable[[Function], Function]:
        """errorhandler for every route of the application."""
        return app_scope.errorhandler(code)

    def _register(self, prefix: str, names: str, outer: tuple[Scope, ...], url_prefix: Optional[str],
                  name: Optional[str]) -> None:
        name = f"{names}{name or self.name}"
        if name in _names:
            raise ValueError(f"a blueprint {name!r} is registered already; give another name: register_blueprint(..., name=)")
        own = self.url_prefix if url_prefix is None else _check_prefix(url_prefix)
        prefix = _join(prefix, own) if own else prefix
        scopes = (self, *outer)
        routes = []
        for rule, func, options in self._rules:
            whole = _join(prefix, rule)
            try:
                routes.append(_routing.make_route(whole, _routing.variables_of(whole), func, options, scopes, name + "."))
            except (TypeError, ValueError) as exc:
                code = _routing._code_of(func)
                where = f"{code.co_filename}:{code.co_firstlineno}: " if code is not None else ""
                raise type(exc)(f"{where}in blueprint {name!r}: {exc}") from None
        _names[name] = self
        self.registered = True
        _routing.registry.extend(routes)
        for inner, inner_prefix, inner_name in self._inner:
            inner._register(prefix, name + ".", scopes, inner_prefix, inner_name)


def _check_prefix(prefix: Optional[str]) -> str:
    if prefix is None or prefix == "":
        return ""
    if not isinstance(prefix, str):
        raise TypeError(f"url_prefix must be str, not {type(prefix).__name__}")
    if not prefix.startswith("/"):
        raise ValueError(f"url_prefix begins with '/'; write {'/' + prefix!r}")
    _routing.variables_of(prefix)
    return prefix.rstrip("/")


def register_blueprint(blueprint: Blueprint, *, url_prefix: Optional[str] = None, name: Optional[str] = None) -> None:
    """Puts a blueprint's routes into the application.

    url_prefix: in place of the blueprint's own. name: in place of its name, which is needed
    to register one twice. Raises ValueError when the name is there already, and what
    is wrong with a route, with its file and line.
    """
    if not isinstance(blueprint, Blueprint):
        raise TypeError(f"register_blueprint() takes a Blueprint, not {type(blueprint).__name__}")
    blueprint._register("", "", (), url_prefix, name)


#: Arguments of App() for enable_docs().
_ABOUT = ("title", "version", "description", "openapi_url", "docs_url", "servers")


#: What current_app stands for.
last_app: Optional[App] = None


def _place_of(import_name: str) -> str:
    # The directory of the module, which configuration files are relative to.
    file: Optional[str] = getattr(sys.modules.get(import_name), "__file__", None)
    return os.path.dirname(os.path.abspath(file)) if file else os.getcwd()


class _FromConfig:
    """An attribute that is an entry of app.config."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __get__(self, app: Optional[App], owner: Any = None) -> Any:
        return self if app is None else app.config[self.key]

    def __set__(self, app: App, value: Any) -> None:
        app.config[self.key] = value


class App(_Routes):
    """An object to hang routes and hooks on, for those who are used to one.

    A process has one application, so every App stands for the same: its methods are the
    functions of the package. ``from snacgi import App as Flask``.

    openapi: True serves the OpenAPI document and a page that shows it, as enable_docs() does
    with the further arguments: title (import_name when left out), version, description,
    openapi_url, docs_url, servers.
    """

    def __init__(self, import_name: str = "app", *, openapi: bool = False, **ignored: Any) -> None:
        about = {name: ignored.pop(name) for name in _ABOUT if name in ignored}
        if about and not openapi:
            raise TypeError(f"App({next(iter(about))}=...) is for the OpenAPI document: add openapi=True")
        if ignored:
            raise TypeError(f"App() has no {next(iter(ignored))!r}: static files, templates and"
                            " instance folders are not the server's; let the web server have them")
        from . import _globals as _  # Flask's users have the request at hand everywhere

        self.import_name = self.name = import_name
        self.root_path = _place_of(import_name)
        self.config = Config(self.root_path, {"DEBUG": False, "TESTING": False, "SECRET_KEY": None})
        global last_app
        last_app = self
        self.logger = logging.getLogger(import_name)
        if openapi:
            from ._openapi import enable_docs

            enable_docs(**{"title": import_name, **about})

    def __repr__(self) -> str:
        return f"<App {self.name!r}>"

    def route(self, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        """As snacgi.route()."""
        return _routing.route(rule, **options)

    debug = _FromConfig("DEBUG")
    testing = _FromConfig("TESTING")
    secret_key = _FromConfig("SECRET_KEY")
    url_map = _routing.url_map
    before_request = staticmethod(_hooks.before_request)
    after_request = staticmethod(_hooks.after_request)
    teardown_request = staticmethod(_hooks.teardown_request)
    response_class = Response
    teardown_appcontext = staticmethod(_hooks.teardown_request)
    errorhandler = staticmethod(_hooks.errorhandler)
    register_error_handler = staticmethod(_hooks.register_error_handler)
    register_blueprint = staticmethod(register_blueprint)
    on_startup = staticmethod(_life.on_startup)
    on_shutdown = staticmethod(_life.on_shutdown)
    lifespan = staticmethod(_life.lifespan)
    worker_init = staticmethod(_life.worker_init)

    def url_for(self, endpoint: str, **values: Any) -> str:
        """As snacgi.url_for()."""
        from ._url import url_for

        return url_for(endpoint, **values)

    @property
    def json(self) -> AppJSON:
        """dumps(), loads() and response(), by the server's JSON."""
        from ._appjson import AppJSON

        return AppJSON()

    @json.setter
    def json(self, provider: Any) -> NoReturn:
        raise AttributeError("app.json cannot be replaced: json_dumps(f) sets what writes all answers, and"
                             " json_default(f) what stands for objects that JSON does not know")

    def make_response(self, rv: Any) -> Response:
        """The Response that a handler's result becomes."""
        from ._helpers import make_response

        return make_response(rv)

    def test_client(self, **options: Any) -> Any:
        """A snacgi.testing.TestClient."""
        from .testing import TestClient

        return TestClient(**options)

    def app_context(self) -> Context:
        """``with app.app_context():`` g is there, for scripts and tests."""
        from ._appcontext import app_context

        return app_context(self)

    def test_request_context(self, path: str = "/", *, method: str = "GET", query_string: Any = "", data: Any = None,
                             json: Any = None, headers: Any = None, base_url: Optional[str] = None) -> Context:
        """``with app.test_request_context("/x?a=1"):`` that is the current request; no handler is called."""
        from ._appcontext import test_request_context

        return test_request_context(self, path, method, query_string, data, json, headers, base_url)

    def run(self, *args: Any, **options: Any) -> NoReturn:
        """Not here: the server runs the application."""
        raise RuntimeError("the server runs the application: snacgi -l unix:/tmp/app.sock --python-dir DIR --module NAME")


def unregistered() -> Iterable[Blueprint]:
    """Blueprints with routes that nobody has put into the application."""
    inner = {id(one) for blueprint in known for one, _, _ in blueprint._inner}
    return [b for b in known if b._rules and not b.registered and id(b) not in inner]
