/* SPDX-License-Identifier: MIT
 *
 * Shared inside src/native/ only.
 */
#ifndef SN_NATIVE_PRIV_H
#define SN_NATIVE_PRIV_H

#include "native/native.h"

/* Bytes an FCGX handler's answer is kept back, to learn its length, before it is streamed. */
#define SN_FCGX_KEEP (64 * 1024)
/* An FCGX handler's CGI header block, as it is read: lines that are dropped included. */
#define SN_FCGX_HEAD_MAX (16 * 1024)

/* fcgx.c: runs the handler on streams over the request and the response. Leaves the answer
 * in `res` as an ordinary handler does: 0; an error page's status; or a negative
 * enum sn_err. It has logged what was wrong with the answer. */
int sn_fcgx_call(struct sn_request *req, struct sn_response *res, sn_fcgx_handler *handler);

/* json_check.c: what json-c's strict mode lets through although RFC 8259 does not, or
 * changes silently. 0, or SN_EINVAL with the offset and what is wrong there. */
int sn_json_strict(const char *text, size_t len, size_t *at, const char **what);
/* json_check.c: false when a number anywhere in the tree is infinite or NaN. */
bool sn_json_finite(struct json_object *obj);

#endif
