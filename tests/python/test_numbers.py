# SPDX-License-Identifier: MIT
"""Doubles and integers in JSON against repr(): the shortest digits, exactly."""

import itertools
import math
import random
import re
import struct
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from _snacgi import dumps

ROUNDS = 20_000  # of each kind; many more were run when the writer was written


def double(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def bits_of(d):
    return struct.unpack("<Q", struct.pack("<d", d))[0]


def same(numbers):
    numbers = [d for d in numbers if math.isfinite(d)]
    assert dumps(numbers).decode() == "[" + ",".join(map(repr, numbers)) + "]"


def around(d, far=4):
    """The number, its neighbours and their negatives."""
    here = bits_of(abs(d))
    near = [double(max(0, b)) for b in range(here - far, here + far + 1)]
    return near + [-x for x in near]


def test_powers_of_two():
    for exponent in range(-1074, 1024):
        same(around(math.ldexp(1.0, exponent)))


def test_powers_of_ten():
    for exponent in range(-323, 309):
        for digit in range(1, 10):
            same(around(float(f"{digit}e{exponent}"), 2))


def test_subnormals():
    same(map(double, range(5000)))
    same(map(double, ((1 << b) - 1 + off for b in range(1, 53) for off in range(-3, 4) if (1 << b) - 1 + off >= 0)))


def test_extremes():
    same([0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740992.0, 9007199254740993.0,
          2.0**63, 2.0**64, 1e15, 1e16, 1e17, 123456789012345.6, 1234567890123456.7, 12345678901234567.0, 1e-4, 1e-5, 9.5e-5,
          # known to be hard: Bernstein, Paxson, the Java bug reports
          2e23, 1e23, 8.41e21, 9.5367431640625e-07, 2.0019531250000004e-3, 4.35, 0.3, 2.1e-5, 1.0e-322, 4.9e-324,
          6.631236846766476e-316, 3.237883913302901e-319, 1.8014398509481984e16, 9007199254740991.0, 4.503599627370497e15])


def test_random_bits():
    rng = random.Random(3)
    same(double(rng.getrandbits(64)) for _ in range(ROUNDS))


def test_random_decimals():
    rng = random.Random(4)
    same(round(rng.uniform(-(10**e), 10**e), p) for _ in range(ROUNDS // 100) for e in range(10) for p in range(10))
    same(rng.random() * 10.0 ** rng.randint(-320, 307) for _ in range(ROUNDS))
    same(float(rng.getrandbits(rng.randint(1, 70))) for _ in range(ROUNDS))


def test_ties_and_short_fractions():
    # halves, quarters, eighths...: decimals that end, and lie between two shorter ones
    same(n / 2.0**k for k in range(1, 60) for n in itertools.chain(range(1, 40), (2**53 - 1, 2**53 - 3, 2**52 + 1)))


@settings(max_examples=1000, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_double(d):
    same(around(d, 1))


@settings(max_examples=1000, deadline=None)
@given(st.integers(-(2**70), 2**70))
def test_any_integer(n):
    assert dumps(n) == b"%d" % n


def test_integers_of_every_length():
    for digits in range(1, 20):
        for n in (10**digits - 1, 10**digits, 10**digits + 1, 9 * 10 ** (digits - 1)):
            assert dumps([n, -n]) == b"[%d,%d]" % (n, -n)


def test_the_table_of_powers():
    text = (Path(__file__).resolve().parents[2] / "src" / "base" / "pow10_priv.h").read_text()
    rows = re.findall(r"\{ 0x([0-9a-f]{16}), 0x([0-9a-f]{16}) \}", text)
    assert len(rows) == 617
    for exponent, (high, low) in zip(range(-292, 325), rows):
        # the first 128 bits of 10^exponent, rounded up
        above, below = (10**exponent, 1) if exponent >= 0 else (1, 10**-exponent)
        shift = 128 - (above.bit_length() - below.bit_length())
        want = 0
        for s in (shift - 1, shift, shift + 1):
            want = -(-(above << max(s, 0)) // (below << max(-s, 0)))
            if want.bit_length() == 128:
                break
        assert int(high + low, 16) == want, exponent
