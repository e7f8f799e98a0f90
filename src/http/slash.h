/* SPDX-License-Identifier: MIT
 *
 * Where a request goes that lacks the slash at its rule's end. Pure.
 */
#ifndef SN_HTTP_SLASH_H
#define SN_HTTP_SLASH_H

#include "base/buf.h"
#include "http/request.h"

/* The path as the client sent it, with a slash at its end, and the query: a reference that no
 * browser takes for another host. 0 or SN_ENOMEM. */
int sn_slash_location(const struct sn_request *req, struct sn_buf *out);

#endif
