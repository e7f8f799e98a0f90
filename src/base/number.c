/* SPDX-License-Identifier: MIT
 *
 * Integers two digits a step, and the shortest decimal that is read back as the
 * same double: Schubfach (Raffaele Giulietti, "The Schubfach way to render
 * doubles"), three multiplications with a power of ten from a table instead of
 * the big integers of dtoa. Refuses to know NaN and infinities. Pure; any thread.
 */
#include "base/number.h"

#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/pow10_priv.h"

/* ---- integers --------------------------------------------------------- */

static const char pairs[200] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839"
	"40414243444546474849505152535455565758596061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

static unsigned
count_digits(uint64_t n)
{
	unsigned digits = 1;
	for (;; n /= 10000, digits += 4) {
		if (n < 10)
			return digits;
		if (n < 100)
			return digits + 1;
		if (n < 1000)
			return digits + 2;
		if (n < 10000)
			return digits + 3;
	}
}

size_t
sn_number_unsigned(char *out, uint64_t n)
{
	unsigned len = count_digits(n);
	char *p = out + len;
	while (n >= 100) {
		p -= 2;
		memcpy(p, pairs + n % 100 * 2, 2);
		n /= 100;
	}
	if (n >= 10)
		memcpy(p - 2, pairs + n * 2, 2);
	else
		p[-1] = (char)('0' + n);
	return len;
}

size_t
sn_number_signed(char *out, int64_t n)
{
	if (n >= 0)
		return sn_number_unsigned(out, (uint64_t)n);
	*out = '-';
	return 1 + sn_number_unsigned(out + 1, 0 - (uint64_t)n);
}

/* ---- doubles: the digits ------------------------------------------------- */

#define FRACTION_BITS 52
#define BIAS (1023 + FRACTION_BITS)

struct decimal { /* digits * 10^exponent */
	uint64_t digits;
	int exponent;
};

/* floor(log2(10^e)), floor(log10(2^e)), floor(log10(3/4 * 2^e)), exact in the ranges here. */
static inline int
log2_pow10(int e)
{
	return (e * 1741647) >> 19;
}

static inline int
log10_pow2(int e)
{
	return (e * 1262611) >> 22;
}

static inline int
log10_three_quarters_pow2(int e)
{
	return (e * 1262611 - 524031) >> 22;
}

/* The upper part of 10^k * c, its last bit set when anything below it was: enough to compare
 * with the exact bounds. */
static inline uint64_t
round_to_odd(uint64_t high, uint64_t low, uint64_t c)
{
	unsigned __int128 x = (unsigned __int128)low * c;
	unsigned __int128 y = (unsigned __int128)high * c + (uint64_t)(x >> 64);
	return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* The paper's figure 4. `fraction` and `exponent` are the double's fields; not zero. */
static struct decimal
shortest(uint64_t fraction, int exponent)
{
	uint64_t c = fraction;
	int q = 1 - BIAS;
	if (exponent) {
		c |= UINT64_C(1) << FRACTION_BITS;
		q = exponent - BIAS;
		if (q <= 0 && q >= -FRACTION_BITS && (c & ((UINT64_C(1) << -q) - 1)) == 0)
			return (struct decimal){ c >> -q, 0 };
	}
	bool odd = c & 1; /* the bounds themselves are read back as this double when it is even */
	bool lower_is_closer = fraction == 0 && exponent > 1;
	int k = lower_is_closer ? log10_three_quarters_pow2(q) : log10_pow2(q);
	int h = q + log2_pow10(-k) + 1;
	uint64_t high = sn_pow10[-k - SN_POW10_MIN].high, low = sn_pow10[-k - SN_POW10_MIN].low;
	uint64_t lower = round_to_odd(high, low, (4 * c - 2 + lower_is_closer) << h) + odd;
	uint64_t value = round_to_odd(high, low, (4 * c) << h);
	uint64_t upper = round_to_odd(high, low, (4 * c + 2) << h) - odd;
	uint64_t s = value / 4;
	if (s >= 10) { /* one digit less? */
		uint64_t tens = s / 10;
		bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
		if (below != above)
			return (struct decimal){ tens + above, k + 1 };
	}
	bool below = lower <= 4 * s, above = 4 * s + 4 <= upper;
	if (below != above)
		return (struct decimal){ s + above, k };
	uint64_t middle = 4 * s + 2;
	bool up = value > middle || (value == middle && (s & 1));
	return (struct decimal){ s + up, k };
}

/* ---- doubles: as repr() writes them ----------------------------------------- */

/* "d.ddde-05" */
static char *
with_exponent(char *p, const char *digits, unsigned len, int exponent)
{
	*p++ = digits[0];
	if (len > 1) {
		*p++ = '.';
		memcpy(p, digits + 1, len - 1);
		p += len - 1;
	}
	*p++ = 'e';
	*p++ = exponent < 0 ? '-' : '+';
	unsigned n = (unsigned)(exponent < 0 ? -exponent : exponent);
	if (n < 10)
		*p++ = '0';
	return p + sn_number_unsigned(p, n);
}

/* The point is after `point` digits; there are fewer, or more, or it is before the first. */
static char *
with_point(char *p, const char *digits, unsigned len, int point)
{
	if (point <= 0) {
		memcpy(p, "0.0000", 6);
		p += 2 - point;
		memcpy(p, digits, len);
		return p + len;
	}
	unsigned before = (unsigned)point;
	if (before < len) {
		memcpy(p, digits, before);
		p[before] = '.';
		memcpy(p + before + 1, digits + before, len - before);
		return p + len + 1;
	}
	memcpy(p, digits, len);
	memset(p + len, '0', before - len);
	memcpy(p + before, ".0", 2);
	return p + before + 2;
}

size_t
sn_number_double(char *out, double d)
{
	uint64_t bits;
	char *p = out;
	char digits[24];
	memcpy(&bits, &d, sizeof(bits));
	uint64_t fraction = bits & ((UINT64_C(1) << FRACTION_BITS) - 1);
	int exponent = (int)(bits >> FRACTION_BITS) & 0x7ff;
	SN_ASSERT(exponent != 0x7ff);
	if (bits >> 63)
		*p++ = '-';
	if (!fraction && !exponent) {
		memcpy(p, "0.0", 3);
		return (size_t)(p + 3 - out);
	}
	struct decimal v = shortest(fraction, exponent);
	unsigned len = (unsigned)sn_number_unsigned(digits, v.digits);
	int point = (int)len + v.exponent;
	while (len > 1 && digits[len - 1] == '0')
		len--;
	p = point > -4 && point <= 16 ? with_point(p, digits, len, point)
	                              : with_exponent(p, digits, len, point - 1);
	return (size_t)(p - out);
}
