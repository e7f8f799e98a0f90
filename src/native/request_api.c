/* SPDX-License-Identifier: MIT
 *
 * The public view of a request (snacgi.h). What has to be decoded or joined is
 * made once, on demand, and kept in the request's memory, so that asking again
 * costs a short search and no memory. One executor at a time reads a request,
 * hence no lock; only sn_request_gone() may come from any thread.
 */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "http/arena.h"
#include "http/path.h"
#include "http/query.h"
#include "native/native_priv.h"

/* Values nested deeper than this are refused: json-c keeps a record a level. */
#define JSON_DEPTH 128

enum cached_kind { CACHED_VALUE, CACHED_QUERY, CACHED_HEADER };

/* One decoded value; the name's bytes follow. */
struct sn_cached {
	struct sn_cached *next;
	const char *value; /* NULL: known to be absent */
	enum cached_kind kind;
	char name[];
};

static const struct sn_cached *
cached_find(const struct sn_request *req, enum cached_kind kind, const char *name)
{
	for (const struct sn_cached *c = req->cached; c; c = c->next)
		if (c->kind == kind && strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

/* Remembers `value` (in the request's memory already); without memory it is
 * only not remembered. */
static const char *
cached_keep(struct sn_request *req, enum cached_kind kind, const char *name, const char *value)
{
	size_t len = strlen(name);
	struct sn_cached *c = sn_request_alloc(req, sizeof(*c) + len + 1);
	if (c) {
		c->kind = kind;
		c->value = value;
		memcpy(c->name, name, len + 1);
		c->next = req->cached;
		req->cached = c;
	}
	return value;
}

const char *
sn_request_method(const sn_request *req)
{
	return req->method_name;
}

const char *
sn_request_path(const sn_request *req)
{
	return req->path.path;
}

const char *
sn_request_query_string(const sn_request *req)
{
	return req->query;
}

void *
sn_request_ctx(const sn_request *req)
{
	const sn_route *route = req->endpoint ? req->endpoint->target : NULL;
	return route ? route->ctx : NULL;
}

uint64_t
sn_request_id(const sn_request *req)
{
	return req->id;
}

void *
sn_request_alloc(sn_request *req, size_t size)
{
	return sn_arena_alloc(&req->arena, size ? size : 1);
}

bool
sn_request_gone(const sn_request *req)
{
	return sn_request_marked(req);
}

/* ---- the rule's values --------------------------------------------------- */

static const struct sn_value *
find_value(const struct sn_request *req, const char *name)
{
	if (!req->rule || !name)
		return NULL;
	for (uint32_t i = 0; i < req->rule->nvariables && i < req->nvalues; i++)
		if (strcmp(req->rule->variables[i].name, name) == 0)
			return &req->values[i];
	return NULL;
}

const char *
sn_request_value(sn_request *req, const char *name)
{
	const struct sn_value *v = find_value(req, name);
	if (!v)
		return NULL;
	const struct sn_cached *c = cached_find(req, CACHED_VALUE, name);
	if (c)
		return c->value;
	char *text = sn_request_alloc(req, (size_t)v->len + 1);
	if (!text)
		return NULL;
	memcpy(text, req->path.path + v->off, v->len);
	text[v->len] = '\0';
	return cached_keep(req, CACHED_VALUE, name, text);
}

int
sn_request_value_int(sn_request *req, const char *name, int64_t *out)
{
	const struct sn_value *v = find_value(req, name);
	if (!v)
		return SN_ENOENT;
	const char *at = req->path.path + v->off, *end = at + v->len;
	bool minus = at < end && *at == '-';
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return SN_EINVAL;
	bool over = false;
	int64_t n = 0; /* negative, because there is one more negative number */
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return SN_EINVAL; /* also after an overflow: it is no number at all */
		over = over || __builtin_mul_overflow(n, 10, &n) ||
		       __builtin_sub_overflow(n, *at - '0', &n);
	}
	if (over || (!minus && n == INT64_MIN))
		return SN_ERANGE;
	*out = minus ? n : -n;
	return 0;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

/* An embedder's locale may have a decimal comma; numbers in paths have not. */
static void
make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* A sign, digits, a fraction, an exponent: none of strtod's hex, inf and nan. */
static bool
is_decimal(const char *s)
{
	s += *s == '-' || *s == '+';
	size_t whole = strspn(s, "0123456789"), part = 0;
	s += whole;
	if (*s == '.') {
		part = strspn(++s, "0123456789");
		s += part;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		size_t digits = strspn(s, "0123456789");
		if (!digits)
			return false;
		s += digits;
	}
	return *s == '\0';
}

int
sn_request_value_double(sn_request *req, const char *name, double *out)
{
	const struct sn_value *v = find_value(req, name);
	if (!v)
		return SN_ENOENT;
	const char *text = sn_request_value(req, name);
	if (!text)
		return SN_ENOMEM;
	if (strlen(text) != v->len || !is_decimal(text))
		return SN_EINVAL;
	pthread_once(&c_locale_once, make_c_locale);
	if (!c_locale)
		return SN_ENOMEM;
	double n = strtod_l(text, NULL, c_locale);
	if (isinf(n))
		return SN_ERANGE; /* too small a number is 0, or nearly: that is right */
	*out = n;
	return 0;
}

/* ---- query ----------------------------------------------------------------- */

const char *
sn_request_query(sn_request *req, const char *name)
{
	if (!name)
		return NULL;
	const struct sn_cached *c = cached_find(req, CACHED_QUERY, name);
	if (c)
		return c->value;
	const char *at = req->query, *end = at + req->query_len;
	struct sn_query_pair pair;
	while (sn_query_next(&at, end, &pair)) {
		if (!sn_query_key_is(&pair, name))
			continue;
		char *text = sn_request_alloc(req, pair.value_len + 1);
		if (!text)
			return NULL;
		text[sn_percent_decode(text, pair.value, pair.value_len, true)] = '\0';
		return cached_keep(req, CACHED_QUERY, name, text);
	}
	/* An absent name is not remembered: a handler may try any number of them. */
	return NULL;
}

/* ---- parameters and headers ------------------------------------------------ */

static const struct sn_param *
find_param(const struct sn_request *req, const char *name)
{
	size_t len = strlen(name);
	for (uint32_t i = 0; i < req->nparams; i++) {
		const struct sn_param *p = &req->params[i];
		if (p->name_len == len && !(p->flags & SN_PARAM_DROPPED) &&
		    memcmp(req->raw + p->name, name, len) == 0)
			return p;
	}
	return NULL;
}

const char *
sn_request_param(const sn_request *req, const char *name)
{
	const struct sn_param *p = name ? find_param(req, name) : NULL;
	return p ? req->raw + p->value : NULL;
}

int
sn_request_each_param(const sn_request *req,
                      int (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	for (uint32_t i = 0; i < req->nparams; i++) {
		const struct sn_param *p = &req->params[i];
		if (p->flags & SN_PARAM_DROPPED)
			continue;
		int rc = fn(arg, req->raw + p->name, req->raw + p->value);
		if (rc != 0)
			return rc;
	}
	return 0;
}

const char *
sn_request_content_type(const sn_request *req)
{
	const char *type = sn_request_known(req, SN_P_CONTENT_TYPE);
	return type ? type : "";
}

/* True when `param` is HTTP_ and the header's name as RFC 3875 4.1.18 changes it. */
static bool
header_matches(const char *param, size_t param_len, const char *name, size_t len)
{
	if (param_len != len + 5 || memcmp(param, "HTTP_", 5) != 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		else if (c == '-')
			c = '_';
		if (param[5 + i] != c)
			return false;
	}
	return true;
}

/* The same without case, '-' and '_' told apart or not. */
static bool
header_is(const char *name, const char *want)
{
	while (*name && *want) {
		char a = *name++, b = *want++;
		a = a >= 'A' && a <= 'Z' ? (char)(a - 'A' + 'a') : a == '_' ? '-' : a;
		if (a != b)
			return false;
	}
	return *name == *want;
}

/* Joins every parameter of that name; HAProxy sends repeated headers one by one. */
static char *
fold(struct sn_request *req, const char *name, size_t len, size_t total, size_t count)
{
	bool cookie = header_is(name, "cookie");
	char *joined = sn_request_alloc(req, total + 2 * (count - 1) + 1), *to = joined;
	if (!joined)
		return NULL;
	for (uint32_t i = 0; i < req->nparams; i++) {
		const struct sn_param *p = &req->params[i];
		if ((p->flags & SN_PARAM_DROPPED) ||
		    !header_matches(req->raw + p->name, p->name_len, name, len))
			continue;
		if (to != joined) {
			*to++ = cookie ? ';' : ',';
			*to++ = ' ';
		}
		memcpy(to, req->raw + p->value, p->value_len);
		to += p->value_len;
	}
	*to = '\0';
	return joined;
}

const char *
sn_request_header(sn_request *req, const char *name)
{
	if (!name)
		return NULL;
	/* CONTENT_*, because a front server may send HTTP_CONTENT_* of its own making
	 * too; it sends them empty when the client sent none. */
	bool type = header_is(name, "content-type");
	if (type || header_is(name, "content-length")) {
		const char *value =
			sn_request_known(req, type ? SN_P_CONTENT_TYPE : SN_P_CONTENT_LENGTH);
		return value && *value ? value : NULL;
	}
	size_t len = strlen(name), total = 0, count = 0;
	const struct sn_param *first = NULL;
	for (uint32_t i = 0; i < req->nparams; i++) {
		const struct sn_param *p = &req->params[i];
		if ((p->flags & SN_PARAM_DROPPED) ||
		    !header_matches(req->raw + p->name, p->name_len, name, len))
			continue;
		first = first ? first : p;
		total += p->value_len;
		count++;
	}
	if (count <= 1)
		return first ? req->raw + first->value : NULL;
	const struct sn_cached *c = cached_find(req, CACHED_HEADER, name);
	if (c)
		return c->value;
	char *joined = fold(req, name, len, total, count);
	return joined ? cached_keep(req, CACHED_HEADER, name, joined) : NULL;
}

/* ---- body -------------------------------------------------------------------- */

uint64_t
sn_request_body_size(const sn_request *req)
{
	return req->body.len;
}

const void *
sn_request_body(sn_request *req, size_t *len)
{
	return sn_body_data(&req->body, len);
}

ssize_t
sn_request_body_read(sn_request *req, uint64_t offset, void *buf, size_t len)
{
	return sn_body_read(&req->body, offset, buf, len);
}

static void
put_json(struct json_object *obj)
{
	json_object_put(obj);
}

/* "line 2, column 7: unexpected character"; a static text where memory failed. */
static const char *
json_complaint(struct sn_request *req, const char *text, size_t at, const char *what)
{
	size_t line = 1, column = 1;
	for (size_t i = 0; i < at; i++) {
		column++;
		if (text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	char store[256];
	int n = snprintf(store, sizeof(store), "line %zu, column %zu (byte %zu): %s", line, column, at,
	                 what);
	char *kept = n > 0 ? sn_request_alloc(req, (size_t)n + 1) : NULL;
	if (!kept)
		return "malformed JSON";
	memcpy(kept, store, (size_t)n + 1);
	return kept;
}

/* Sets json and returns "", or returns what is wrong. */
static const char *
parse_json(struct sn_request *req)
{
	size_t len, at;
	const char *text = sn_body_data(&req->body, &len), *what, *error = "";
	if (!text)
		return len ? "the request's body does not fit in memory" : "the request has no body";
	if (len >= INT32_MAX)
		return "the request's body is larger than 2 GiB";
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH);
	if (!tok)
		return "out of memory";
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With its NUL, or a number alone would wait for more digits. */
	struct json_object *obj = json_tokener_parse_ex(tok, text, (int)len + 1);
	enum json_tokener_error rc = json_tokener_get_error(tok);
	at = json_tokener_get_parse_end(tok);
	if (at > len)
		at = len;
	if (rc != json_tokener_success)
		error = json_complaint(req, text, at, rc == json_tokener_continue ?
		                       "unexpected end of data" : json_tokener_error_desc(rc));
	else if (at += strspn(text + at, " \t\r\n"), at < len)
		error = json_complaint(req, text, at, "unexpected character after the value");
	else if (sn_json_strict(text, len, &at, &what) < 0)
		error = json_complaint(req, text, at, what);
	else if (!sn_utf8_valid(text, len)) /* json-c takes surrogates and 5-byte forms */
		error = "the text is not UTF-8";
	else if (!sn_json_finite(obj))
		error = "a number is too large";
	json_tokener_free(tok);
	if (*error) {
		json_object_put(obj);
	} else {
		req->json = obj;
		req->json_free = put_json;
	}
	return error;
}

struct json_object *
sn_request_json(sn_request *req)
{
	if (!req->json_error)
		req->json_error = parse_json(req);
	return req->json;
}

const char *
sn_request_json_error(const sn_request *req)
{
	return req->json_error ? req->json_error : "";
}
