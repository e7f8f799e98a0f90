/* SPDX-License-Identifier: MIT
 *
 * Hexadecimal digits.
 */
#ifndef SN_BASE_HEX_H
#define SN_BASE_HEX_H

#include <stddef.h>

/* -1: it is none. */
static inline int
sn_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the digits after a '%' stand for; -1: they are not two digits. */
static inline int
sn_hex_pair(const char *p, size_t left)
{
	if (left < 2)
		return -1;
	int hi = sn_hex_digit(p[0]), lo = sn_hex_digit(p[1]);
	return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

#endif
