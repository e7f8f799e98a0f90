/* SPDX-License-Identifier: MIT
 *
 * The path to route by, chosen and decoded from what the front server sent
 * (the manual's "Which path" has the rule and why). Pure.
 */
#ifndef SN_HTTP_PATH_H
#define SN_HTTP_PATH_H

#include <stdint.h>

#include "base/err.h"

enum sn_path_source { SN_PATH_AUTO, SN_PATH_REQUEST_URI, SN_PATH_SCRIPT_NAME };

struct sn_path_in { /* any may be NULL: absent */
	const char *script_name, *path_info, *document_uri, *request_uri;
	enum sn_path_source source;
	const char *prefix; /* mount prefix to take off, "" for none; no trailing '/' */
};

/* Stands for an encoded slash inside one segment in `match`: never part of UTF-8. */
#define SN_PATH_SLASH '\xff'

struct sn_path {
	const char *path;  /* decoded, NUL-terminated: either inside an input or in the caller's buffer */
	const char *match; /* same length; encoded slashes are SN_PATH_SLASH; often == path */
	uint32_t len;
};

/* Bytes that `buf` must have at least for this input (two copies at the worst). */
size_t sn_path_room(const struct sn_path_in *in);
/* Runs of slashes are merged after decoding, encoded ones too, as nginx does. "*" is no
 * path: 400. Returns 0, or the HTTP status to answer: 400 (NUL, dot segments, bad UTF-8, bad
 * escapes, no path at all), 404 (outside the prefix); *reason says which. */
int sn_path_resolve(const struct sn_path_in *in, char *buf, size_t room, struct sn_path *out,
                    const char **reason);
/* True when the bytes are UTF-8 as RFC 3629 has it. */
bool sn_utf8_valid(const char *s, size_t len);
/* Decodes %XX and, where asked, '+', from src into dst (may be the same);
 * bad escapes stay as they are. Returns the new length. */
size_t sn_percent_decode(char *dst, const char *src, size_t len, bool plus);

#endif
