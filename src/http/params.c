/* SPDX-License-Identifier: MIT
 *
 * Parameter decoding: the hottest code of the server, about 22 pairs a
 * request. Names and values are mostly shorter than 32 bytes, so they are
 * copied as blocks of 32, or with a few wide loads and stores, instead of calls:
 * a branch on each length would be guessed wrong too often. What a name means is
 * remembered by its place among the others (sn_params_names), where it mostly is
 * the same again. The search for a forbidden NUL is not made pair by pair: the
 * canonical form of n good pairs holds exactly 2n of them, counted once at the
 * end. Refuses to know what names mean beyond the few that the server reads.
 * Pure; any thread.
 */
#include "http/params.h"

#include <string.h>

#include "base/vec.h"

/* One length of a pair: one byte, or four with the highest bit set. NULL: cut short. */
static inline const uint8_t *
take_length(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
	if (sn_unlikely(p >= end))
		return NULL;
	if (sn_likely(*p < 0x80)) {
		*out = *p;
		return p + 1;
	}
	if (end - p < 4)
		return NULL;
	*out = (uint32_t)(p[0] & 0x7f) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return p + 4;
}

/* Both lengths of a pair. NULL: cut short. */
static inline const uint8_t *
take_lengths(const uint8_t *p, const uint8_t *end, uint32_t *name, uint32_t *value)
{
	if (sn_likely(end - p >= 2 && (p[0] | p[1]) < 0x80)) {
		*name = p[0];
		*value = p[1];
		return p + 2;
	}
	p = take_length(p, end, name);
	return p ? take_length(p, end, value) : NULL;
}

long
sn_params_count_fcgi(const uint8_t *src, size_t len)
{
	const uint8_t *p = src, *end = src + len;
	long n = 0;
	while (p < end) {
		uint32_t name, value;
		p = take_lengths(p, end, &name, &value);
		if (!p || (uint64_t)name + value > (uint64_t)(end - p))
			return -SN_PARAMS_TRUNCATED;
		if (name == 0 || name > UINT16_MAX)
			return -SN_PARAMS_NAME;
		p += (size_t)name + value;
		n++;
	}
	return n;
}

long
sn_params_count_scgi(const uint8_t *src, size_t len)
{
	const uint8_t *p = src, *end = src + len;
	long n = 0;
	while (p < end) {
		const uint8_t *name_end = memchr(p, 0, (size_t)(end - p));
		if (!name_end || name_end + 1 == end)
			return -SN_PARAMS_TRUNCATED;
		if (name_end == p || name_end - p > UINT16_MAX)
			return -SN_PARAMS_NAME;
		p = memchr(name_end + 1, 0, (size_t)(end - name_end - 1));
		if (!p)
			return -SN_PARAMS_TRUNCATED;
		p++;
		n++;
	}
	return n;
}

struct wide {
	uint64_t a, b;
};

#define BLOCK 32 /* bytes that are moved at once, whatever is needed of them */

/* memmove that is quick for short, overlapping pieces: everything is loaded
 * before anything is stored. */
static SN_INLINE void
move(char *dst, const uint8_t *src, size_t n)
{
	if (n >= 16) {
		if (n > 32) {
			memmove(dst, src, n);
			return;
		}
		struct wide head, tail;
		memcpy(&head, src, 16);
		memcpy(&tail, src + n - 16, 16);
		memcpy(dst, &head, 16);
		memcpy(dst + n - 16, &tail, 16);
	} else if (n >= 8) {
		uint64_t head, tail;
		memcpy(&head, src, 8);
		memcpy(&tail, src + n - 8, 8);
		memcpy(dst, &head, 8);
		memcpy(dst + n - 8, &tail, 8);
	} else if (n >= 4) {
		uint32_t head, tail;
		memcpy(&head, src, 4);
		memcpy(&tail, src + n - 4, 4);
		memcpy(dst, &head, 4);
		memcpy(dst + n - 4, &tail, 4);
	} else if (n) {
		uint8_t first = src[0], mid = src[n / 2], last = src[n - 1];
		dst[0] = (char)first;
		dst[n / 2] = (char)mid;
		dst[n - 1] = (char)last;
	}
}

/* Non-zero where a byte of `w` is '='. */
static inline uint64_t
equals_in(uint64_t w)
{
	w ^= UINT64_C(0x3d3d3d3d3d3d3d3d);
	return (w - UINT64_C(0x0101010101010101)) & ~w & UINT64_C(0x8080808080808080);
}

static SN_INLINE bool
has_equals(const char *name, size_t n)
{
	uint64_t w, bad = 0;
	if (n > 64)
		return memchr(name, '=', n) != NULL;
	if (n < 8) {
		for (size_t i = 0; i < n; i++)
			if (name[i] == '=')
				return true;
		return false;
	}
	memcpy(&w, name + n - 8, 8);
	bad |= equals_in(w);
	memcpy(&w, name, 8);
	bad |= equals_in(w);
	for (size_t i = 8; sn_unlikely(i + 8 < n); i += 8) {
		memcpy(&w, name + i, 8);
		bad |= equals_in(w);
	}
	return bad != 0;
}

#define IS(text) (memcmp(name, text, sizeof(text) - 1) == 0)

static SN_INLINE int
known_id(const char *name, size_t len)
{
	switch (len) {
	case 9:
		return IS("PATH_INFO") ? SN_P_PATH_INFO : -1;
	case 11:
		if (IS("REQUEST_URI"))
			return SN_P_REQUEST_URI;
		if (IS("SCRIPT_NAME"))
			return SN_P_SCRIPT_NAME;
		if (IS("REMOTE_ADDR"))
			return SN_P_REMOTE_ADDR;
		return IS("HTTP_ACCEPT") ? SN_P_ACCEPT : -1;
	case 12:
		if (IS("QUERY_STRING"))
			return SN_P_QUERY_STRING;
		if (IS("CONTENT_TYPE"))
			return SN_P_CONTENT_TYPE;
		return IS("DOCUMENT_URI") ? SN_P_DOCUMENT_URI : -1;
	case 14:
		if (IS("REQUEST_METHOD"))
			return SN_P_REQUEST_METHOD;
		return IS("CONTENT_LENGTH") ? SN_P_CONTENT_LENGTH : -1;
	case 22:
		return IS("HTTP_TRANSFER_ENCODING") ? SN_P_TRANSFER_ENCODING : -1;
	default:
		return -1;
	}
}

static SN_INLINE uint16_t
header_flags(const char *name, size_t len)
{
	if (len < 5 || !IS("HTTP_"))
		return 0;
	/* The server's CONTENT_* rules; what came as a header beside them could differ. */
	bool dropped = (len == 10 && IS("HTTP_PROXY")) || (len == 17 && IS("HTTP_CONTENT_TYPE")) ||
	               (len == 19 && IS("HTTP_CONTENT_LENGTH"));
	return dropped ? SN_PARAM_HEADER | SN_PARAM_DROPPED : SN_PARAM_HEADER;
}

/* Notes what the name of pair `i` means. */
static SN_INLINE void
note(struct sn_params *d, uint32_t i, uint16_t flags, int id)
{
	d->index[i].flags = flags;
	d->headers += flags & SN_PARAM_HEADER;
	if (id >= 0 && d->known[id] == 0 && i < SN_PARAMS_MAX)
		d->known[id] = (uint16_t)(i + 1);
}

static SN_INLINE void
classify(struct sn_params *d, uint32_t i, const char *name, size_t len)
{
	note(d, i, header_flags(name, len), known_id(name, len));
}

/* A name in its block; false: it has a '='. What it means is kept for the next one at this place. */
static __attribute__((noinline)) bool
learn(struct sn_params *d, uint32_t i, const uint8_t *name, uint32_t len)
{
	const sn_vec place = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct sn_params_name is = {
		.head = sn_vec_load(name),
		.tail = sn_vec_load(name + 16),
		.head_mask = (sn_vec)(place < (uint8_t)len),
		.tail_mask = (sn_vec)(place + 16 < (uint8_t)len),
		.len = len,
		.id = (int16_t)known_id((const char *)name, len),
		.flags = header_flags((const char *)name, len),
	};
	if (sn_vec_any(((sn_vec)(is.head == '=') & is.head_mask) | ((sn_vec)(is.tail == '=') & is.tail_mask)))
		return false;
	note(d, i, is.flags, is.id);
	if (d->names && i < SN_PARAMS_NAMES)
		d->names->item[i] = is;
	return true;
}

/* The slow path, once a NUL was counted too much: which kind of fault it is. */
static int
find_nul(const char *dst, const struct sn_param *index, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (memchr(dst + index[i].name, 0, index[i].name_len))
			return -SN_PARAMS_NAME;
	return -SN_PARAMS_VALUE;
}

static size_t
count_nuls(const char *s, size_t len)
{
	const char *end = len ? s + len : s; /* of nothing, s may be NULL */
	size_t n = 0;
	while (end - s >= 16) {
		size_t blocks = (size_t)(end - s) / 16;
		sn_vec sum = { 0 };
		if (blocks > 255) /* each lane counts to 255 */
			blocks = 255;
#pragma GCC unroll 4
		for (; blocks; blocks--, s += 16)
			sum -= (sn_vec)(sn_vec_load(s) == 0); /* true is -1 */
		for (int i = 0; i < 16; i++)
			n += sum[i];
	}
	for (; s < end; s++)
		n += *s == 0;
	return n;
}

/* True where the two do not overlap. */
static bool
apart(const char *dst, const uint8_t *src, size_t len)
{
	uintptr_t to = (uintptr_t)dst, from = (uintptr_t)src;
	return to + len <= from || from + len <= to;
}

/* Where a decoder stands: in the source, in the canonical bytes, in the index. */
struct at {
	const uint8_t *p;
	uint32_t out, i;
};

/* The pairs that begin with the names they began with last time, as far as they are short, whole
 * blocks can be read, and there is room: the usual ones, each with as little as can be. Stops
 * at the first that is not. */
static SN_INLINE struct at
take_known(struct sn_params *d, struct at at, const uint8_t *end, const uint8_t *blocks)
{
	const struct sn_params_name *is = d->names->item + at.i;
	uint32_t most = d->room < SN_PARAMS_NAMES ? (uint32_t)d->room : SN_PARAMS_NAMES;
	const uint8_t *p = at.p;
	char *dst = d->bytes + at.out;
	uint32_t i = at.i, headers = d->headers;
	struct sn_param *pair = d->index + i;
	for (; i < most && blocks - p >= 2 + 2 * BLOCK; i++, pair++, is++) {
		uint32_t name = p[0], value = p[1];
		sn_vec head = sn_vec_load(p + 2), tail = sn_vec_load(p + 2 + 16);
		if (name == 0 || name != is->len || value >= 0x80 ||
		    sn_vec_any(((head ^ is->head) & is->head_mask) | ((tail ^ is->tail) & is->tail_mask)))
			break;
		if (sn_unlikely(value > BLOCK && (int64_t)(name + value) + 2 > end - p))
			break;
		p += 2 + name;
		memcpy(dst, &head, sizeof(head));
		memcpy(dst + 16, &tail, sizeof(tail));
		pair->name = (uint32_t)(dst - d->bytes);
		pair->name_len = (uint16_t)name;
		dst += name;
		*dst++ = '\0';
		if (sn_likely(value <= BLOCK))
			memcpy(dst, p, BLOCK);
		else
			move(dst, p, value);
		pair->value = (uint32_t)(dst - d->bytes);
		pair->value_len = value;
		p += value;
		dst += value;
		*dst++ = '\0';
		pair->flags = is->flags;
		headers += is->flags & SN_PARAM_HEADER;
		if (is->id >= 0 && d->known[is->id] == 0)
			d->known[is->id] = (uint16_t)(i + 1);
	}
	d->headers = headers;
	return (struct at){ p, (uint32_t)(dst - d->bytes), i };
}

int
sn_params_decode_fcgi(struct sn_params *d, const uint8_t *src, size_t len)
{
	const uint8_t *end = len ? src + len : src;
	struct at at = { src, 0, 0 };
	/* Where the two do not overlap, short pieces go as whole blocks, as long as one can be read:
	 * what of it is not theirs is overwritten next, or lies behind the end. */
	const uint8_t *blocks = apart(d->bytes, src, len) ? end : src;
	bool equals = false;
	memset(d->known, 0, sizeof(d->known));
	d->used = d->n = d->headers = 0;
	while (at.p < end) {
		uint32_t name, value;
		if (d->names && at.i < SN_PARAMS_NAMES && (at = take_known(d, at, end, blocks)).p == end)
			break;
		const uint8_t *p = take_lengths(at.p, end, &name, &value);
		if (sn_unlikely(!p || (uint64_t)name + value > (uint64_t)(end - p)))
			return -SN_PARAMS_TRUNCATED;
		if (sn_unlikely(name == 0 || name > UINT16_MAX))
			return -SN_PARAMS_NAME;
		if (sn_unlikely(at.i == d->room))
			return -SN_PARAMS_ROOM;
		struct sn_param *pair = &d->index[at.i];
		char *dst = d->bytes + at.out;
		pair->name = at.out;
		pair->name_len = (uint16_t)name;
		/* Looked at where it came from: loads from bytes just stored would wait. */
		if (sn_likely(name <= BLOCK && blocks - p >= BLOCK)) {
			equals |= !learn(d, at.i, p, name);
			memcpy(dst, p, BLOCK);
		} else {
			classify(d, at.i, (const char *)p, name);
			/* Also in place: the two length bytes just read are room for the two NULs. */
			equals |= has_equals((const char *)p, name);
			move(dst, p, name);
		}
		p += name;
		dst += name;
		*dst++ = '\0';
		pair->value = at.out + name + 1;
		pair->value_len = value;
		if (sn_likely(value <= BLOCK && blocks - p >= BLOCK))
			memcpy(dst, p, BLOCK);
		else
			move(dst, p, value);
		dst[value] = '\0';
		at = (struct at){ p + value, at.out + name + value + 2, at.i + 1 };
	}
	d->used = at.out;
	d->n = at.i;
	if (sn_unlikely(equals))
		return -SN_PARAMS_NAME;
	if (sn_unlikely(count_nuls(d->bytes, at.out) != 2 * (size_t)d->n))
		return find_nul(d->bytes, d->index, d->n);
	return 0;
}

int
sn_params_decode_scgi(struct sn_params *d, const uint8_t *src, size_t len)
{
	char *dst = d->bytes;
	const char *p = dst, *end = len ? dst + len : dst;
	uint32_t n = 0;
	memset(d->known, 0, sizeof(d->known));
	d->used = d->n = d->headers = 0;
	if (len && (const char *)src != dst) /* the wire's form is the canonical one */
		memmove(dst, src, len);
	while (p < end) {
		const char *name_end = memchr(p, 0, (size_t)(end - p));
		if (!name_end || name_end + 1 == end)
			return -SN_PARAMS_TRUNCATED;
		size_t name = (size_t)(name_end - p);
		if (name == 0 || name > UINT16_MAX || has_equals(p, name))
			return -SN_PARAMS_NAME;
		const char *value_end = memchr(name_end + 1, 0, (size_t)(end - name_end - 1));
		if (!value_end)
			return -SN_PARAMS_TRUNCATED;
		if (sn_unlikely(n == d->room))
			return -SN_PARAMS_ROOM;
		d->index[n] = (struct sn_param){
			.name = (uint32_t)(p - dst),
			.name_len = (uint16_t)name,
			.value = (uint32_t)(name_end + 1 - dst),
			.value_len = (uint32_t)(value_end - name_end - 1),
		};
		classify(d, n, p, name);
		p = value_end + 1;
		n++;
	}
	d->used = len;
	d->n = n;
	return 0;
}

const char *
sn_params_fault_text(int fault)
{
	switch (fault < 0 ? -fault : fault) {
	case SN_PARAMS_OK: return "no fault";
	case SN_PARAMS_TRUNCATED: return "the request parameters are cut short";
	case SN_PARAMS_NAME: return "a parameter name is empty, too long, or holds NUL or '='";
	case SN_PARAMS_VALUE: return "a parameter value holds NUL";
	case SN_PARAMS_METHOD: return "REQUEST_METHOD is missing";
	default: return "the request parameters are malformed";
	}
}
