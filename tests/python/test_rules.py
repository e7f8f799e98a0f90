# SPDX-License-Identifier: MIT
"""Rules with converter arguments against Werkzeug's own router; the order among routes;
url_for() with values that do not fit."""

import itertools
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

import _snacgi
from snacgi import BuildError, Request, route, url_for
from snacgi._rules import parts_of

# ---- matching -----------------------------------------------------------------


def ours(rules, path):
    """(the rule's index, its values) or None."""
    matcher = _snacgi.Matcher([(rule, "GET", rule, "t.py", i, False) for i, rule in enumerate(rules)])
    request = Request("GET", path)
    index = matcher.match(request)
    return None if index is None else (index, request.path_params)


@pytest.mark.parametrize("digits", ["0", "7", "007", "9" * 17, "9" * 18, "1" + "0" * 18, "9" * 19, str(2**63), "0" * 30 + "5", "8" * 100])
def test_integers_of_every_length(digits):
    assert ours(["/<int:n>"], "/" + digits) == (0, {"n": int(digits)})


def test_names_of_many_tables():
    """Tables come and go, so that one's names lie where another's did."""
    for i in range(1000):
        names = [f"name_{i}_{k}" for k in range(i % 3 + 1)]
        found = ours(["/" + "/".join(f"<{name}>" for name in names)], "/a" * len(names))
        assert found == (0, dict.fromkeys(names, "a"))


def werkzeugs(rules, path):
    urls = Map([Rule(rule, endpoint=str(i)) for i, rule in enumerate(rules)],
               strict_slashes=False, merge_slashes=False).bind("localhost")
    try:
        endpoint, values = urls.match(path)
    except HTTPException:
        return None
    return int(endpoint), values


word = st.text("abc", min_size=1, max_size=3)
number = st.integers(0, 30)


@st.composite
def variables(draw, name):
    def pair(low, high, **words):
        chosen = {key: value for key, value in words.items() if value is not None}
        a, b = sorted([draw(number), draw(number)])
        if draw(st.booleans()):
            chosen[low] = a
        if draw(st.booleans()):
            chosen[high] = b
        return ", ".join(f"{key}={value}" for key, value in chosen.items())

    kind = draw(st.sampled_from(["int", "float", "string", "any", "path", "uuid", ""]))
    arguments = ""
    if kind == "int":
        arguments = pair("min", "max", fixed_digits=draw(st.sampled_from([None, 1, 2, 3])),
                         signed=draw(st.sampled_from([None, True])))
    elif kind == "float":
        arguments = pair("min", "max", signed=draw(st.sampled_from([None, True, False])))
    elif kind == "string":
        arguments = draw(st.sampled_from(["", "length=2", "minlength=2", "maxlength=2", "minlength=1, maxlength=3", "2, 3"]))
    elif kind == "any":
        arguments = ", ".join(draw(st.lists(word, min_size=1, max_size=4, unique=True)))
    converter = f"{kind}({arguments}):" if arguments else f"{kind}:" if kind else ""
    return f"<{converter}{name}>"


@st.composite
def rules(draw):
    rule = ""
    for i in range(draw(st.integers(1, 3))):
        rule += "/" + draw(st.sampled_from(["", "", "a", "x-"])) + draw(variables(f"v{i}"))
        if draw(st.integers(0, 3)) == 0:
            rule += draw(st.sampled_from(["-", ".", ""])) + draw(variables(f"w{i}"))
    return rule


piece = st.one_of(word, number.map(str), number.map(lambda n: f"-{n}"), st.sampled_from(["1.5", "-2.25", "30.0", "007", "ü"]))
paths = st.lists(st.lists(piece, min_size=1, max_size=3).map("".join), min_size=1, max_size=4).map(lambda p: "/" + "/".join(p))


@st.composite
def paths_for(draw, rule):
    """Nearly what the rule wants."""
    path = ""
    for part in parts_of(rule):
        if isinstance(part, str):
            path += part
        elif part.converter == "any":
            path += draw(st.one_of(st.sampled_from(part.args), word))
        elif part.converter == "uuid":
            path += draw(st.uuids().map(str))
        elif part.converter == "int":
            path += draw(st.one_of(number.map(str), number.map("{:03}".format), number.map("-{}".format)))
        elif part.converter == "float":
            path += draw(st.sampled_from(["0.5", "1.25", "29.99", "30.0", "-1.5", "007.10"]))
        else:
            path += draw(piece)
    return path


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_one_rule_as_werkzeug(data):
    rule = data.draw(rules())
    path = data.draw(st.one_of(paths, paths_for(rule)))
    expected = werkzeugs([rule], path)
    assume(not (expected is None and re.search(r"[^/]-\d", path) and "signed" in rule))
    got = ours([rule], path)
    assert (got and got[1]) == (expected and expected[1])


@settings(max_examples=100, deadline=None)
@given(st.lists(rules(), min_size=2, max_size=4, unique=True), st.data())
def test_the_order_of_registration_does_not_matter(some, data):
    path = data.draw(st.one_of(paths, paths_for(some[0])))
    try:
        first = ours(some, path)
    except ValueError:
        assume(False)  # the same rule up to its variables' names
    for order in itertools.permutations(some):
        got = ours(order, path)
        assert (got and (order[got[0]], got[1])) == (first and (some[first[0]], first[1]))


@settings(max_examples=100, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=4, unique=True), st.data())
def test_what_one_rule_takes_the_table_takes(some, data):
    path = data.draw(st.one_of(paths, paths_for(some[0])))
    try:
        together = ours(some, path)
    except ValueError:
        assume(False)
    alone = [rule for rule in some if ours([rule], path)]
    assert (together is not None) == bool(alone)
    assert together is None or some[together[0]] in alone


def test_permuted_registration(client, scope):
    from snacgi import _routing

    rules = ["/o/new", "/o/<int(max=9):id>", "/o/<int:id>", "/o/<any(old,older):x>", "/o/<name>", "/<path:p>",
             "/o/<name>.json", "/<a>/<b>", "/o/<string(length=3):x>"]
    expected = {"/o/new": rules[0], "/o/5": rules[1], "/o/50": rules[2], "/o/old": rules[3], "/o/else": rules[4],
                "/q": rules[5], "/o/x.json": rules[6], "/p/q": rules[7], "/o/abc": rules[8]}
    for turn in range(len(rules)):
        _routing.registry.clear()
        for rule in rules[turn:] + rules[:turn]:
            route(rule)(lambda request, rule=rule: rule)
        for path, rule in expected.items():
            assert client.get(path).text == rule, (turn, path)


def test_values(client):
    @route("/n/<int(min=1, max=9):n>/<float(signed=True):f>/<any(de,en,'zh TW'):lang>")
    def handler(n, f, lang):
        return [n, f, lang]

    assert client.get("/n/7/-2.5/en").json == [7, -2.5, "en"]
    assert client.get("/n/7/2.5/zh%20TW").json == [7, 2.5, "zh TW"]
    for path in ["/n/0/2.5/en", "/n/10/2.5/en", "/n/7/2/en", "/n/7/2.5/fr"]:
        assert client.get(path).status_code == 404
    assert client.post("/n/7/2.5/en").status_code == 405


# ---- url_for() -----------------------------------------------------------------


@pytest.mark.parametrize(
    "rule, value, url",
    [
        ("/<int:x>", 7, "/7"),
        ("/<int:x>", "7", "/7"),
        ("/<int(fixed_digits=4):x>", 7, "/0007"),
        ("/<int(4):x>", 12345, None),
        ("/<int(min=3):x>", 2, None),
        ("/<int:x>", -1, None),
        ("/<int(signed=True):x>", -1, "/-1"),
        ("/<int:x>", "seven", None),
        ("/<float:x>", 2, "/2.0"),
        ("/<float:x>", 1e20, "/100000000000000000000.0"),
        ("/<float:x>", float("nan"), None),
        ("/<float(max=1):x>", 1.5, None),
        ("/<any(a,'b c'):x>", "b c", "/b%20c"),
        ("/<any(a,'b/c'):x>", "b/c", "/b/c"),
        ("/<any(a,'b c'):x>", "d", None),
        ("/<string(length=2):x>", "de", "/de"),
        ("/<string(length=2):x>", "ü/", "/%C3%BC%2F"),
        ("/<string(length=2):x>", "deu", None),
        ("/<x>", "", None),
        ("/<x>", "a/b", "/a%2Fb"),
        ("/<path:x>", "a/b", "/a/b"),
        ("/<path:x>", "/a", None),
        ("/<uuid:x>", "0f8fad5b-d9cb-469f-a165-70867728950e", "/0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("/<uuid:x>", "0f8f", None),
    ],
)
def test_url_for(client, rule, value, url):
    @route(rule)
    def handler(x):
        return [x]

    if url is None:
        with pytest.raises(BuildError, match=re.escape(f"url_for('handler'): x={value!r} does not fit {rule[1:]}")):
            url_for("handler", x=value)
        return
    assert url_for("handler", x=value) == url
    assert client.get(url).status_code == 200


def test_url_for_chooses_the_rule_that_takes_the_values(scope):
    @route("/small/<int(max=9):n>")
    @route("/large/<int(min=10):n>")
    @route("/any")
    def handler():
        pass

    assert [url_for("handler", n=n) for n in (9, 10)] == ["/small/9", "/large/10"]
    assert url_for("handler") == "/any"
    assert url_for("handler", page=2) == "/any?page=2"


# ---- refused at registration ------------------------------------------------------


@pytest.mark.parametrize("rule, says", [
    ("/<int(min=a):x>", "min is a number"),
    ("/<int(least=1):x>", "int has no argument 'least'; it takes fixed_digits, min, max, signed"),
    ("/<any():x>", "an argument is empty"),
    ("/<hex:x>", "converter 'hex' is not known"),
    ("/<hex(1):x>", "converter 'hex' is not known"),
])
def test_refused_with_file_and_line(registry, rule, says):
    with pytest.raises(ValueError) as caught:
        route(rule)
    text = str(caught.value)
    line = test_refused_with_file_and_line.__code__.co_firstlineno
    found = re.match(rf"{re.escape(__file__)}:(\d+): rule '{re.escape(rule)}', character \d+: (.*)", text)
    assert found and line < int(found[1]) < line + 20 and says in found[2]
    assert not registry


# ---- slashes at the end ------------------------------------------------------------


def werkzeugs_answer(rules, path, strict):
    urls = Map([Rule(rule, endpoint=str(i), methods=["GET"]) for i, rule in enumerate(rules)],
               strict_slashes=strict, merge_slashes=False).bind("localhost")
    try:
        return rules[int(urls.match(path, method="GET")[0])]
    except HTTPException as exc:
        return exc.code


def our_answer(rules, path, strict):
    matcher = _snacgi.Matcher([(rule, "GET", rule, "t.py", i, not strict) for i, rule in enumerate(rules)])
    request = Request("GET", path)
    index = matcher.match(request)
    return (308 if request._slash else 404) if index is None else rules[index]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/", "/<x>", "/<x>/", "/<x>/b/", "/<x>/<y>", "/a/<int:y>/",
                                 "/a/<int:y>"]), min_size=1, max_size=5, unique=True),
       st.sampled_from(["/", "/a", "/a/", "/a/b", "/a/b/", "/c", "/c/", "/c/b", "/c/d/", "/a/1", "/a/1/"]), st.booleans())
def test_slashes_as_werkzeug(some, path, strict):
    if not strict:  # rules of which each answers for the other: Werkzeug takes what comes first
        assume(not any(rule + "/" in some for rule in some))
    assert our_answer(some, path, strict) == werkzeugs_answer(some, path, strict)


def test_slashes(client):
    import snacgi

    @route("/strict/", methods=["GET", "POST"])
    @route("/files/<path:name>/", endpoint="tail")
    def handler(request, name=""):
        return [name]

    route("/lax/", strict_slashes=False, endpoint="lax")(handler)
    route("/none", endpoint="none")(handler)
    answer = client.get("/strict", query_string={"a": "1 2"})
    assert answer.status_code == 308 and answer.headers["Location"] == "/strict/?a=1+2"
    assert client.get("/strict?x", follow_redirects=True).json == [""]
    assert client.post("/strict", data="x").status_code == 308 and client.put("/strict").status_code == 404
    assert client.get("/files/a/b").headers["Location"] == "/files/a/b/"
    assert client.get("/files/a/b/").json == ["a/b"]
    assert client.get("/lax").json == client.get("/lax/").json == [""]
    assert client.get("/none/").status_code == 404
    try:
        snacgi.url_map.strict_slashes = False
        client._table = None
        assert client.get("/strict").json == client.get("/none/").json == [""]
    finally:
        snacgi.url_map.strict_slashes = True


def test_defaults(client):
    @route("/p/", defaults={"page": 1})
    @route("/p/<int:page>")
    def pages(request, page):
        return [page, request.path_params]

    @route("/q", defaults={"kind": "all"})
    async def other(kind):
        return [kind]

    assert client.get("/p/").json == [1, {"page": 1}] and client.get("/p/3").json == [3, {"page": 3}]
    assert client.get("/q").json == ["all"]
    assert url_for("pages") == url_for("pages", page=1) == "/p/" and url_for("pages", page=2) == "/p/2"
    assert url_for("other", kind="all") == "/q"
    with pytest.raises(BuildError):
        url_for("other", kind="some")


@pytest.mark.parametrize("options, says", [
    ({"strict_slashes": 1}, "strict_slashes must be True or False"),
    ({"defaults": [1]}, "defaults must be a dict"),
    ({"defaults": {1: 2}}, "defaults must be a dict"),
])
def test_wrong_options(registry, options, says):
    with pytest.raises(TypeError, match=says):
        route("/x", **options)


# ---- converters of one's own ---------------------------------------------------------


@pytest.fixture
def converters():
    import snacgi

    yield snacgi.url_map.converters
    snacgi.url_map.converters.clear()


def test_converters(client, converters):
    from snacgi.routing import BaseConverter, ValidationError

    class ListConverter(BaseConverter):
        def __init__(self, map, sep="+", most=3):
            super().__init__(map)
            self.sep, self.most = sep, most

        def to_python(self, value):
            parts = value.split(self.sep)
            if len(parts) > self.most:
                raise ValidationError
            return parts

        def to_url(self, value):
            return self.sep.join(BaseConverter.to_url(self, one) for one in value)

    class Hex(BaseConverter):
        regex = "[0-9a-f]+"

        def to_python(self, value):
            return int(value, 16)

        def to_url(self, value):
            return f"{value:x}"

    class Tail(BaseConverter):
        regex = r"[^/]+/.*"

    converters.update(list=ListConverter, hex=Hex, tail=Tail)

    @route("/tags/<list:tags>")
    @route("/more/<list(sep=',', most=2):tags>/<hex:n>", defaults={"n": 0})
    def handler(tags, *, n=None):
        return [tags, n]

    @route("/tail/<tail:rest>")
    async def tail(rest):
        return rest

    assert client.get("/tags/a+b").json == [["a", "b"], None] and client.get("/tags/a+b+c+d").status_code == 404
    assert client.get("/more/a,b/ff").json == [["a", "b"], 255] and client.get("/more/a,b/fg").status_code == 404
    assert client.get("/more/a,b,c/ff").status_code == 404 and client.post("/tags/a").status_code == 405
    assert client.get("/tail/a/b").text == "a/b" and client.get("/tail/a").status_code == 404
    assert url_for("handler", tags=["a b", "c"]) == "/tags/a%20b+c"
    assert url_for("tail", rest="a/b") == "/tail/a/b"
    with pytest.raises(BuildError, match="rest='a' does not fit <tail:rest>"):
        url_for("tail", rest="a")
    route("/also/<hex:n>", endpoint="also")(handler := lambda n: [n])
    assert url_for("also", n=255) == "/also/ff"
    with pytest.raises(BuildError):
        url_for("also", n=-1)


def test_werkzeugs_converters_and_hooks(client, converters):
    import snacgi
    from werkzeug.routing import BaseConverter, ValidationError

    class Even(BaseConverter):
        regex = r"\d+"

        def to_python(self, value):
            if int(value) % 2:
                raise ValidationError
            if value == "4":
                raise ValueError("not the peer's fault")
            return int(value)

    snacgi.App().url_map.converters["even"] = Even
    route("/e/<even:n>")(lambda n: [n])

    @snacgi.errorhandler(404)
    def missing(exc):
        return "none", 404

    client.raise_server_exceptions = False
    assert client.get("/e/2").json == [2] and client.get("/e/4").status_code == 500
    assert client.get("/e/3").status_code == client.get("/e/x").status_code == 404
    assert client.get("/e/3").text == "none"


@pytest.mark.parametrize("name, says", [("int", "built in"), ("a b", "a word"), ("ü", "a word"), (1, "a word")])
def test_names_of_converters(converters, name, says):
    from snacgi.routing import BaseConverter

    with pytest.raises(ValueError, match=says):
        converters[name] = BaseConverter


def test_wrong_converters(client, converters):
    from snacgi.routing import BaseConverter

    with pytest.raises(TypeError, match="derived from snacgi.routing.BaseConverter"):
        converters["x"] = object
    with pytest.raises(re.error):
        converters["x"] = type("X", (BaseConverter,), {"regex": "["})
    converters["x"] = type("X", (BaseConverter,), {"__init__": lambda self, map, n: None})
    with pytest.raises(ValueError, match=rf"{re.escape(__file__)}:\d+: rule '/<x:v>': <x:v>: TypeError"):
        route("/<x:v>")
    converters["y"] = BaseConverter
    route("/<y:a>")(lambda a: "y")
    route("/<b>")(lambda b: "b")
    with pytest.raises(ValueError, match="there twice"):  # they look the same before Python is asked
        client.get("/z")
