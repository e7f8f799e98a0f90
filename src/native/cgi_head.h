/* SPDX-License-Identifier: MIT
 *
 * The head of a CGI answer (RFC 3875 section 6) as a program prints it: lines
 * that end with LF or CRLF, up to an empty one, into a response. Incremental
 * at any split. Knows no streams.
 */
#ifndef SN_NATIVE_CGI_HEAD_H
#define SN_NATIVE_CGI_HEAD_H

#include "http/response.h"

struct sn_cgi_head {
	struct sn_buf line;  /* the begun line */
	size_t seen;         /* bytes of the head so far */
	size_t max;
	bool location, done;
	int status;          /* of a Status line; 0: none */
	int64_t length;      /* of a Content-Length line; -1: none */
};

void sn_cgi_head_init(struct sn_cgi_head *h, size_t max);
void sn_cgi_head_free(struct sn_cgi_head *h);
/* Takes bytes up to the head's end; *used tells how many. h->done: the rest is body, and
 * status and headers are in `res`. SN_EINVAL or SN_ELIMIT with the reason; SN_ENOMEM. */
int sn_cgi_head_feed(struct sn_cgi_head *h, struct sn_response *res, const char *data, size_t len,
                     size_t *used, struct sn_why *why);

#endif
