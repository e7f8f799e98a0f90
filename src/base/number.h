/* SPDX-License-Identifier: MIT
 *
 * Numbers as text, without printf and its locale.
 */
#ifndef SN_BASE_NUMBER_H
#define SN_BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#define SN_NUMBER_MAX 32 /* room that every number has enough of */

/* Decimal; no NUL. Returns the length. */
size_t sn_number_unsigned(char *out, uint64_t n);
size_t sn_number_signed(char *out, int64_t n);
/* A finite double as Python's repr() writes it: the fewest digits that are read back as the
 * same number, of these the nearest; "1.0", "1e-05", "1e+16". No NUL. Returns the length. */
size_t sn_number_double(char *out, double d);

#endif
