# SPDX-License-Identifier: MIT
"""@route: what is recorded, and what is refused."""

import functools
import subprocess
import sys

import pytest

import snacgi
from snacgi import delete, get, patch, post, put, route


def test_records(registry):
    @route("/users/<int:user_id>", methods=["get", "POST", "GET"])
    def handler(request):
        return {}

    (r,) = registry
    assert r.rule == "/users/<int:user_id>" and r.methods == ("GET", "POST")
    assert r.handler is handler and not r.is_async and not r.use_process_pool
    assert r.name == f"{__name__}.test_records.<locals>.handler" and r.endpoint == "handler"
    assert r.file == __file__ and r.line == handler.__code__.co_firstlineno
    assert handler(None) == {}


def test_several_rules_and_defaults(registry):
    @route("/b", endpoint="other")
    @route("/a")
    def handler(request):
        return {}

    assert [(r.rule, r.methods, r.endpoint) for r in registry] == [
        ("/a", ("GET",), "handler"),
        ("/b", ("GET",), "other"),
    ]


@pytest.mark.parametrize("shortcut", [get, post, put, patch, delete])
def test_shortcuts(registry, shortcut):
    @shortcut("/x")
    def handler(request):
        return {}

    assert registry[0].methods == (shortcut.__name__.upper(),)
    with pytest.raises(TypeError, match="use route"):
        shortcut("/x", methods=["GET"])


class Callable:
    def __call__(self, request):
        return {}


class AsyncCallable:
    async def __call__(self, request):
        return {}

    async def method(self, request):
        return {}


async def coroutine(request, extra=None):
    return {}


def plain(request, extra=None):
    return {}


@pytest.mark.parametrize(
    "handler, is_async",
    [
        (plain, False),
        (coroutine, True),
        (functools.partial(plain, extra=1), False),
        (functools.partial(functools.partial(coroutine), extra=1), True),
        (Callable(), False),
        (AsyncCallable(), True),
        (AsyncCallable().method, True),
        (functools.partial(AsyncCallable()), True),
        (lambda request: {}, False),
        (lambda *args: {}, False),
        (functools.wraps(plain)(lambda *args: {}), False),
        (len, False),
    ],
)
def test_kinds(registry, handler, is_async):
    assert route("/x")(handler) is handler
    assert registry[0].is_async is is_async and registry[0].name
    if handler is not len:
        assert registry[0].file == __file__ and registry[0].line > 0


def test_pool(registry):
    @route("/p", use_process_pool=True)
    def handler(request, pool):
        return {}

    @route("/q", use_process_pool=True)
    async def other(request, executor):
        return {}

    assert [(r.use_process_pool, r.is_async) for r in registry] == [(True, False), (True, True)]


def test_timeout(registry):
    route("/a")(lambda request: {})
    route("/b", timeout=2)(lambda request: {})
    get("/c", timeout=0.5)(lambda request: {})
    assert [r.timeout for r in registry] == [None, 2.0, 0.5]


def no_parameter():
    pass


def generator(request):
    yield


async def async_generator(request):
    yield


def two(request, user_id):
    pass


def wants_pool(request, pool):
    pass


def keyword_only(request, *, db):
    pass


@pytest.mark.parametrize(
    "handler, options, text",
    [
        (no_parameter, {}, None),
        (no_parameter, {"use_process_pool": True}, r"def no_parameter\(request, pool\)"),
        (plain, {"use_process_pool": True}, None),
        (lambda request: {}, {"use_process_pool": True}, "must take the pool as its second parameter"),
        (two, {}, "'user_id' that nobody fills: no variable of the rule has that name"),
        (wants_pool, {}, "add use_process_pool=True"),
        (keyword_only, {}, "'db' that nobody fills"),
        (generator, {}, None),
        (async_generator, {}, None),
        (staticmethod(plain), {}, None),
        (5, {}, "above a function, not above int"),
        (Callable, {}, "Callable is a class"),
    ],
)
def test_bad_handlers(registry, handler, options, text):
    if text is None:
        route("/x", **options)(handler)
        assert len(registry) == 1
        return
    with pytest.raises(TypeError, match=text):
        route("/x", **options)(handler)
    assert not registry


@pytest.mark.parametrize(
    "args, options, error, text",
    [
        ((plain,), {}, TypeError, r"write @route\('/path'\)"),
        ((5,), {}, TypeError, "a rule must be str"),
        (("x",), {}, ValueError, None),
        (("/<int:>",), {}, ValueError, None),
        (("/<nope:x>",), {}, ValueError, "nope"),
        (("/<x",), {}, ValueError, None),
        (("/<x>/<x>",), {}, ValueError, None),
        (("/a\0b",), {}, ValueError, "NUL"),
        (("/\ud800",), {}, ValueError, None),
        (("/x", "GET"), {}, TypeError, r"methods=\['GET'\]"),
        (("/x",), {"methods": ["GETT"]}, ValueError, "GETT"),
        (("/x",), {"methods": ["GET, POST"]}, ValueError, "GET, POST"),
        (("/x",), {"methods": [1]}, TypeError, "list of str"),
        (("/x",), {"methods": []}, ValueError, "empty"),
        (("/x",), {"method": ["GET"]}, TypeError, "did you mean 'methods'"),
        (("/x",), {"use_pool": True}, TypeError, "did you mean 'use_process_pool'"),
        (("/x",), {"zzz": True}, TypeError, "known: methods"),
        (("/x",), {"use_process_pool": 1}, TypeError, "True or False"),
        (("/x",), {"endpoint": 1}, TypeError, "endpoint must be str"),
        (("/x",), {"timeout": "5"}, TypeError, "timeout must be seconds"),
        (("/x",), {"timeout": True}, TypeError, "timeout must be seconds"),
        (("/x",), {"timeout": 0}, ValueError, "from 0.001 to 86400"),
        (("/x",), {"timeout": float("nan")}, ValueError, "from 0.001 to 86400"),
        (("/x",), {"timeout": 86401}, ValueError, "from 0.001 to 86400"),
    ],
)
def test_bad_arguments(registry, args, options, error, text):
    with pytest.raises(error, match=text):
        route(*args, **options)


def test_alias_package():
    import snaxum

    assert snaxum.__all__ == snacgi.__all__
    for name in snacgi.__all__:
        assert getattr(snaxum, name) is getattr(snacgi, name)
    from snaxum.exceptions import NotFound

    assert NotFound is snacgi.exceptions.NotFound


def test_import_is_light():
    code = (
        "import sys; before = set(sys.modules); import snacgi; new = set(sys.modules) - before\n"
        "bad = {'asyncio', 'concurrent', 'urllib', 'numpy', 'multiprocessing'} & new\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
