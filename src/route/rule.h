/* SPDX-License-Identifier: MIT
 *
 * One rule taken apart: "/f-<int:a>.<name>/<path:rest>" becomes segments, a
 * segment with variables becomes elements, and elements match bytes. Knows
 * nothing of methods, endpoints or other rules. Included by route/ and its
 * tests only. Pure; any thread.
 */
#ifndef SN_ROUTE_RULE_H
#define SN_ROUTE_RULE_H

#include "base/err.h"
#include "http/endpoint.h"
#include "http/request.h"

enum sn_elem_kind {
	SN_ELEM_TEXT, /* these bytes */
	SN_ELEM_RUN,  /* min to max characters of a class */
	SN_ELEM_ANY,  /* one of the items */
	SN_ELEM_UUID  /* 36 bytes, 8-4-4-4-12 hexadecimal digits */
};

enum sn_elem_class { SN_CLASS_DIGIT, SN_CLASS_NOT_SLASH, SN_CLASS_ANY };

struct sn_text {
	const char *s;
	uint32_t len;
};

struct sn_elem {
	uint8_t kind;
	uint8_t cls;
	bool begin, end;   /* a variable's value begins, ends with this element */
	bool sure;         /* a run that can only end where its class does: no choice to revise */
	bool lazy;         /* takes as little as it can, and does not begin with '/' (path) */
	bool sign;         /* a run may begin with '-', which is not counted */
	const char *text;
	uint32_t len;
	uint32_t min, max; /* of a run, in characters */
	uint32_t nitems;
	const struct sn_text *items, *sorted; /* as written: the first that fits wins; for searching */
};

/* What a variable's number must be, beside its digits. */
struct sn_bound {
	uint16_t variable;       /* of the segment */
	uint32_t digits;         /* its exact length, sign included; 0: any */
	struct sn_text min, max; /* decimal; .s NULL: none */
};

/* What lies between two slashes; or, with a `path` variable, everything from
 * there to the end of the rule (`tail`). */
struct sn_segment {
	const char *key; /* the text, or for variables a form without their names */
	uint32_t key_len;
	uint16_t nelems; /* 0: plain text, the key */
	uint16_t nvars, nruns, ntexts;
	uint32_t text_len; /* of all texts: the more, the more specific */
	uint8_t rank;      /* of the least specific variable */
	uint8_t narrowed;  /* variables with arguments: the more, the more specific */
	uint16_t nbounds;
	bool tail;
	bool slashed; /* a tail that ends with '/' */
	struct sn_elem *elems;
	const struct sn_bound *bounds; /* looked at when all of the segment fits */
};

struct sn_rule {
	struct sn_rule_info info; /* its names live as long as the rule */
	uint32_t nsegments;
	struct sn_segment *segments;
	struct sn_elem *elems;
	struct sn_text *items;
	struct sn_bound *bounds;
	char *text, *keys;
};

/* SN_EINVAL with what is wrong, where, and the mend; SN_ENOMEM. *out is owned. */
int sn_rule_parse(struct sn_rule **out, const char *rule, struct sn_why *why);
void sn_rule_free(struct sn_rule *r); /* NULL is fine */
/* Does all of s match? Values (slices, `base` added to their offsets) go to values[0..nvars-1].
 * Time and memory grow with len times the segment's runs, whatever the bytes are. */
bool sn_segment_match(const struct sn_segment *seg, const char *s, size_t len, size_t base,
                      struct sn_value *values);
/* The same for a slashed segment, as if s had a slash more. */
bool sn_segment_match_slash(const struct sn_segment *seg, const char *s, size_t len, size_t base,
                            struct sn_value *values);
/* Negative, 0, positive: `a` is to be tried before `b`, either, after. */
int sn_segment_order(const struct sn_segment *a, const struct sn_segment *b);

#endif
