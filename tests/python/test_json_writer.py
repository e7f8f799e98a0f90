# SPDX-License-Identifier: MIT
"""The JSON writer against json.dumps, which is the contract."""

import collections
import enum
import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from _snacgi import dumps


def reference(obj):
    return json.dumps(obj, ensure_ascii=False, separators=(",", ":")).encode()


text = st.text(st.characters(blacklist_categories=("Cs",)))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
)
keys = text | st.integers() | st.floats() | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_any_value(value):
    assert dumps(value) == reference(value)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(max_codepoint=0x2FF, blacklist_categories=("Cs",)), max_size=80))
def test_any_text(value):
    assert dumps(value) == reference(value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_float(value):
    assert dumps(value) == reference(value)


@pytest.mark.parametrize(
    "value",
    [0.0, -0.0, 1.0, -1.0, 1e15, 1e16, 999999999999999.0, 1e15 - 1, -1e15, 1e22, 1e-5, 5e-324, 0.1,
     123456789012345680.0, 1.7976931348623157e308,
     0, -1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**300, -(10**300)],
)  # fmt: skip
def test_numbers(value):
    assert dumps(value) == reference(value)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 15, 16, 17, 511, 512, 513, 5000])
@pytest.mark.parametrize("special", ['"', "\\", "\n", "\x00", "\x1f", "\x7f", "é", "€", "\U0001f600"])
def test_escape_at_every_position(length, special):
    for at in sorted({0, 1, length // 2, length}):
        value = "a" * at + special + "b" * (length - at)
        assert dumps(value) == reference(value)
    assert dumps(special * length) == reference(special * length)


@pytest.mark.parametrize("others", ["ab", "aé"])
@pytest.mark.parametrize("special", ['"', "\\", "\n", "\x00", "\x1f", "\x7f", "é", "ÿ", "\x80"])
def test_special_letters_in_short_text(special, others):
    """Short text and the ends of long one are copied in words that overlap."""
    for length in range(1, 52):
        plain = (others * length)[:length]
        assert dumps(plain) == reference(plain)
        for at in range(length):
            value = plain[:at] + special + plain[at + 1 :]
            assert dumps(value) == reference(value)
            assert dumps({value: 1, plain: value}) == reference({value: 1, plain: value})


def test_every_length_of_utf8():
    for code in (0x7F, 0x80, 0xFF, 0x100, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF):
        assert dumps(chr(code)) == reference(chr(code))


class Color(enum.IntEnum):
    RED = 1


class Name(str):
    def __str__(self):
        return "not this"

    __repr__ = __str__


class Count(int):
    def __repr__(self):
        return "not this"


class Ratio(float):
    def __repr__(self):
        return "not this"


class Items(dict):
    def items(self):
        return [("other", 1)]


class Rows(list):
    def __iter__(self):
        return iter([7, 8])


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value",
    [Color.RED, [Color.RED], {Color.RED: 1}, Name("x"), {Name("k"): Name("v")}, Count(5), Ratio(2.5),
     {Count(5): 1, Ratio(2.5): 2}, Items(a=1), Rows([1]), Point(1, 2), collections.OrderedDict(b=1, a=2),
     collections.defaultdict(list, a=[1]), collections.Counter("aab"), {}, [], (), [[], {}, ()],
     {1: 1, "1": 2, True: 3}, {None: 1, False: 2, 1.5: 3}, {float("nan"): 1, float("-inf"): 2}],
)  # fmt: skip
def test_subclasses_and_keys(value):
    assert dumps(value) == reference(value)


@pytest.mark.parametrize(
    "value, text",
    [
        (float("nan"), "$ is NaN"),
        ({"a": [1, 2, float("inf")]}, "$.a[2] is Infinity"),
        ({"a b": {"c": (float("-inf"),)}}, '$["a b"].c[0] is -Infinity'),
        ({"a": "x\ud800"}, "$.a is text with a lone surrogate at character 1"),
        ([{"\udfff": 1}], "$[0] has a key with a lone surrogate at character 0"),
        ({3: float("nan")}, '$["3"] is NaN'),
    ],
)
def test_not_json(value, text):
    with pytest.raises(ValueError) as caught:
        dumps(value)
    assert str(caught.value).startswith(text)


def test_null_where_asked():
    value = {"a": [float("nan"), float("inf"), "x\ud800", "fine", 1.5]}
    assert dumps(value, nan_null=True) == b'{"a":[null,null,null,"fine",1.5]}'
    with pytest.raises(ValueError, match="key with a lone surrogate"):
        dumps({"\ud800": 1}, nan_null=True)


@pytest.mark.parametrize("value, type_name", [(object(), "object"), ({1, 2}, "set"), (b"x", "bytes"), (1j, "complex")])
def test_no_hook(value, type_name):
    with pytest.raises(TypeError, match=rf"^\$\.k\[1\] is of type {type_name}"):
        dumps({"k": [0, value]})


@pytest.mark.parametrize("key", [(1, 2), b"k", object()])
def test_bad_key(key):
    with pytest.raises(TypeError, match=r"^\$\.a has a key of type"):
        dumps({"a": {key: 1}})


def test_hook():
    assert dumps({"s": {3}}, default=sorted) == b'{"s":[3]}'

    def refuse(obj):
        raise TypeError("no")

    with pytest.raises(TypeError, match=r"^\$\[0\] is of type set: no$"):
        dumps([{1}], default=refuse)

    def broken(obj):
        raise KeyError("boom")

    with pytest.raises(KeyError, match="boom"):
        dumps([{1}], default=broken)


def test_hook_that_never_ends():
    class Other:
        pass

    with pytest.raises(ValueError, match="deeper than 1000"):
        dumps(Other(), default=lambda obj: [Other()])
    with pytest.raises(ValueError, match="circular"):
        dumps(Other(), default=lambda obj: obj)


def test_circles():
    a: list = []
    a.append(a)
    d: dict = {}
    d["x"] = [d]
    for value in (a, d):
        with pytest.raises(ValueError, match="circular"):
            dumps(value)
    same = [1]
    assert dumps([same, same, {"a": same}]) == b'[[1],[1],{"a":[1]}]'


def test_depth():
    def nested(depth):
        value: list = []
        for _ in range(depth - 1):
            value = [value]
        return value

    assert dumps(nested(1000)) == b"[" * 1000 + b"]" * 1000
    for depth in (1001, 200000):
        value = nested(depth)
        with pytest.raises(ValueError, match="deeper than 1000"):
            dumps(value)
        while value:  # taken apart without recursion
            value = value[0]


def test_brackets_at_the_end_of_the_room():
    """The buffer grows by doubling from some size on: wherever its end is, one container in another passes it."""
    deep: object = []
    for depth in range(2, 400):
        deep = [deep] if depth % 3 else (deep,)
        if depth in (2, 40, 60, 399):
            for edge in (1024, 2048, 4096, 8192, 16384):
                for pad in range(edge - 140, edge + 4):
                    want = b'["' + b"x" * pad + b'",' + b"[" * depth + b"]" * depth + b"]"
                    assert dumps(["x" * pad, deep]) == want, (depth, pad)


def test_keys_whose_repr_empties_what_is_named():
    class Key(int):
        def __repr__(self):
            inner.clear()
            others.extend("x" * 50 + str(n) for n in range(200))  # where the key was, if nobody holds it
            return "K"

    others: list = []
    inner = {"k" * 50 + str(n): float("nan") for n in range(1)}
    with pytest.raises(ValueError, match=r"^\$\.K\.k{50}0 is NaN"):
        dumps({Key(1): inner})


def test_containers_that_change_while_written():
    grown: dict = {"a": None, "b": 1}

    def grow(obj):
        grown[len(grown)] = 1
        return 1

    grown["a"] = object()
    with pytest.raises(RuntimeError, match="changed its size"):
        dumps({"x": grown}, default=grow)

    shrunk = [object(), object(), 3]

    def shrink(obj):
        shrunk.clear()
        return "gone"

    assert dumps(shrunk, default=shrink) == b'["gone"]'

    swapped = {"k": object()}

    def swap(obj):
        swapped["k"] = None
        return {"v": "x" * 100}

    assert dumps(swapped, default=swap) == b'{"k":{"v":"' + b"x" * 100 + b'"}}'


def test_endless_int():
    """An interpreter before 3.10.7, or one that was told so, has no limit."""
    limit = getattr(sys, "get_int_max_str_digits", int)()
    if limit:
        with pytest.raises(ValueError, match=r"^\$\.n is too large an int"):
            dumps({"n": 10**limit})
    digits = (limit or 4300) - 1
    assert dumps({"n": 10**digits}) == b'{"n":1' + b"0" * digits + b"}"


def test_bad_items():
    class Broken(dict):
        def items(self):
            return [1]

    with pytest.raises(ValueError, match=r"^\$\[0\] has items\(\) that are not pairs"):
        dumps([Broken(a=1)])


def test_large():
    value = [{"id": i, "text": "é" * 50, "n": [i] * 5} for i in range(3000)]
    assert dumps(value) == reference(value)
