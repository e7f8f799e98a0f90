/* SPDX-License-Identifier: MIT
 *
 * The arguments of a converter, "(min=1, max=9)" or "(a,b,'c d')": Werkzeug's names
 * and order. Knows nothing of segments. Included by route/ only. Pure; any thread.
 */
#ifndef SN_ROUTE_CONVERT_H
#define SN_ROUTE_CONVERT_H

#include "route/rule.h"

struct sn_convert_args {
	uint32_t min, max;       /* characters of a string */
	struct sn_bound bound;   /* of a number; its texts are slices of the rule */
	bool bounded, sign;
	bool slash;              /* an item has one */
	uint8_t given;           /* how many arguments */
	struct sn_text *items;   /* where any()'s go; the caller's, with room for all */
	uint32_t nitems;
};

/* Reads from *s, which is at '(', and leaves it behind ')'. On SN_EINVAL `err` says what
 * is wrong and how to mend it, and *s is at it. `name` is the converter's, for the text. */
int sn_convert_parse(struct sn_convert_args *args, enum sn_converter converter, const char *name,
                     const char **s, char *err, size_t size);
/* Decimal numbers ("-12", "3.50") of any length, exactly: negative, 0 or positive. */
int sn_decimal_cmp(const char *a, size_t alen, const char *b, size_t blen);
/* Is the number within its bound? */
bool sn_bound_holds(const struct sn_bound *bound, const char *s, size_t len);
/* May `s` be one of any()'s items? `sorted` as sn_text_cmp does. */
bool sn_text_find(const struct sn_text *sorted, uint32_t n, const char *s, size_t len);
int sn_text_cmp(const void *a, const void *b); /* for qsort */

#endif
