/* SPDX-License-Identifier: MIT
 *
 * What json.c and jsonparse.c share: where JSON text stops being as plain as it
 * looks. For these two only. Pure.
 */
#ifndef SN_PYRT_CORE_JSONTEXT_PRIV_H
#define SN_PYRT_CORE_JSONTEXT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

/* A byte that cannot stand for itself between quotes. */
static inline bool
sn_json_special(uint8_t c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

/* True when one of the sixteen is special. */
static inline bool
sn_json_vec_special(sn_vec v)
{
	return sn_vec_any((sn_vec)(v < 0x20) | (sn_vec)(v == '"') | (sn_vec)(v == '\\'));
}

/* One character that is not ASCII, as UTF-8; room for four bytes. */
static inline char *
sn_json_put_utf8(char *p, uint32_t c)
{
	if (c < 0x800) {
		*p++ = (char)(0xc0 | (c >> 6));
	} else if (c < 0x10000) {
		*p++ = (char)(0xe0 | (c >> 12));
		*p++ = (char)(0x80 | ((c >> 6) & 0x3f));
	} else {
		*p++ = (char)(0xf0 | (c >> 18));
		*p++ = (char)(0x80 | ((c >> 12) & 0x3f));
		*p++ = (char)(0x80 | ((c >> 6) & 0x3f));
	}
	*p++ = (char)(0x80 | (c & 0x3f));
	return p;
}

#endif
