# SPDX-License-Identifier: MIT
"""JSON bodies against json.loads, which is the contract, but for NaN, Infinity and bytes that are no text:
json.loads takes surrogates that are encoded as characters ("surrogatepass")."""

import gc
import json
import math
import random
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snacgi import BadRequest, Request

slowly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def refuse(name):
    raise ValueError(name)


def reference(body):
    try:
        return json.loads(body.decode(json.detect_encoding(body)), parse_constant=refuse)
    except (ValueError, RecursionError):
        return ValueError


def ours(body):
    try:
        return Request(method="POST", path="/", body=body).body
    except BadRequest:
        return ValueError


def agree(body):
    assert body
    mine, theirs = ours(body), reference(body)
    # repr sees what == does not: 1 and 1.0 and True, 0.0 and -0.0, the order of keys
    assert mine is theirs or repr(mine) == repr(theirs), body
    return theirs is not ValueError


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@settings(slowly, max_examples=400)
@given(values, st.booleans(), st.sampled_from([None, 0, 2, "\t", "\r\n "]))
def test_any_value(value, ascii_only, indent):
    agree(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass"))


@settings(slowly, max_examples=300)
@given(st.lists(st.sampled_from(['{', '}', '[', ']', ',', ':', '"', '"a"', '"\\u00', 'e9"', '\\', '\\ud83d', '\\ude00', '\\n', '\\/', '\\x', ' ', '\n', '\t', '\v',
                                 'true', 'false', 'null', 'nul', 'NaN', '-', 'Infinity', '0', '1', '12345678901234567890', '.', '.5', 'e', 'E', '+', '\x00', '\x1f',
                                 '\x7f', 'é', '日', '\U0001f600', '\ufeff', '_']), min_size=1).map("".join))  # fmt: skip
def test_any_words(text):
    agree(text.encode())


@settings(slowly, max_examples=300)
@given(st.binary(min_size=1, max_size=40))
def test_any_bytes(raw):
    agree(raw)
    agree(b'["' + raw + b'"]')


def test_damaged():
    # One byte changed, lost or doubled: mostly no JSON any more, and never read as something else.
    rng = random.Random(7)
    sample = ('{"id": 1, "näme": "a\\u00e9\\ud83d\\ude00 日本 long enough for sixteen bytes at once", "x": [1.5e-7, -0, -0.0, 1E+2, 12345678901234567890123],'
              ' "nested": {"id": [true, false, null, {}, []]}, "id": 2}').encode()  # fmt: skip
    assert agree(sample)
    taken = 0
    for at in range(len(sample)):
        for _ in range(4):
            body = bytearray(sample)
            what = rng.randrange(3)
            body[at : at + 1] = (bytes([rng.choice(b'"\\{}[],:0129eE+-. tnu\x00\x1f\x80\xc3\xff')]), b"", sample[at : at + 1] * 2)[what]
            taken += agree(bytes(body))
    assert 0 < taken < 4 * len(sample)
    for end in range(1, len(sample)):
        assert not agree(sample[:end])


@pytest.mark.parametrize("length", [*range(40), 255, 256, 257, 1000])
def test_lengths(length):
    # What stops the steps of sixteen bytes, at each place of one.
    for odd in ("", '\\"', "é", "\\n", "\x1f"):
        text = "x" * length
        assert agree(f'["{text}{odd}{text}"]'.encode()) == (odd != "\x1f")
        assert agree(f'{{"{text}{odd}": 1, "{odd}{text}": 2}}'.encode()) == (odd != "\x1f")


@pytest.mark.parametrize("number", ["0", "-0", "-0.0", "01", "-01", "00", "-", "1.", ".1", "1.e1", "1e", "1e+", "1E5", "1e-5", "+1", "1_0", "0x1", "1e999", "-1e999",
                                    "1e-999", "999999999999999999", "-999999999999999999", "1000000000000000000", str(2**63), str(-(2**63)), "9" * 400,
                                    "0." + "3" * 400, "123456789012345678.5", "5e-324", "2.2250738585072011e-308", "0.1", "9007199254740993.0"])  # fmt: skip
def test_numbers(number):
    agree(number.encode())
    agree(f'[{number}, {{"a":{number} }}]'.encode())


def test_too_long_a_number():
    """An interpreter before 3.10.7, or one that was told so, has no limit: then it is no longer than others."""
    limit = getattr(sys, "get_int_max_str_digits", int)()
    digits = limit or 4300
    assert agree(b"[" + b"9" * digits + b"]")
    assert agree(b"[" + b"9" * (digits + 1) + b"]") == (limit == 0)


@settings(slowly, max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 20))
def test_any_float(number, digits):
    for text in (repr(number), f"{number:.{digits}e}"):
        assert math.copysign(1, ours(text.encode())) == math.copysign(1, number) and agree(text.encode())


@pytest.mark.parametrize("depth", [1, 255, 256, 257, 500])
@pytest.mark.parametrize("opening, middle, closing", [("[", "", "]"), ('{"a":', "1", "}"), ('[{"a":', "[]", "}]")])
def test_depth(depth, opening, middle, closing):
    assert agree((opening * depth + middle + closing * depth).encode()) or depth == 500
    assert not agree((opening * depth + middle + closing * (depth - 1)).encode())


def test_much_too_deep():
    assert ours(b"[" * 100000) is ValueError and ours(b'{"a":' * 100000) is ValueError


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_encodings(encoding):
    assert agree('{"näme": [1, "日本"]}'.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_surrogates_are_no_text(encoding):
    """As bytes; escaped ones, alone as they may be, are taken."""
    body = '["\ud800"]'.encode(encoding, "surrogatepass")
    assert json.loads(body) == ["\ud800"] and ours(body) is ValueError
    assert agree('["\\ud800"]'.encode(encoding))


def test_a_key_that_comes_again_is_the_same_object():
    first, second = ours(b'[{"some key": 1}, {"some key": 2}]')
    assert next(iter(first)) is next(iter(second))


def test_keys_that_share_a_place():
    body = json.dumps([{f"key {n:04d} {n % 7}": n, f"{n}": n} for n in range(2000)]).encode()
    assert agree(body)


@pytest.mark.parametrize("body", [b'[{"a": ["text", 1.5, {"key": 12345678901234567890}], "b": "\\u00e9"}]', b'[{"a": ["text", {"key": "\\u00e9"', b'{"a" 1}', b'["a",'])
def test_nothing_leaks(body):
    ours(body)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        ours(body)
    gc.collect()
    assert sys.getallocatedblocks() < before + 500
