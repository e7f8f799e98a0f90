/* SPDX-License-Identifier: MIT
 *
 * snacgi-fcgx.h - handlers written for libfcgi in a snacgi table.
 *
 * Include this instead of <fcgiapp.h>. A program's
 *
 *     while (FCGX_Accept(&in, &out, &err, &envp) >= 0) { ... }
 *
 * becomes
 *
 *     static int
 *     echo(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
 *     { ...; return 0; }
 *
 *     { .rule = "/echo", .methods = "GET, POST", .fcgx = echo, SN_HERE }
 *
 * The streams read the request's complete body and write its answer, and every
 * libfcgi function that works on a stream's public part works on them. Those
 * that reach into libfcgi's private part are replaced here, and those that
 * accept, finish or listen do not compile: snacgi does that. See snacgi(3).
 * Link with -lsnacgi -lfcgi.
 */
#ifndef SNACGI_FCGX_H
#define SNACGI_FCGX_H

#include <fcgiapp.h>
#include <snacgi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The exit status of the request, as in a CGI program; the last call, or the
 * handler's own result when it is not 0, is logged. It does not change the answer. */
SN_API void sn_fcgx_set_exit_status(int status, FCGX_Stream *stream);
/* There is no FILTER role here: sets FCGX_CALL_SEQ_ERROR and returns -1, as
 * libfcgi does in a responder. */
SN_API int sn_fcgx_start_filter_data(FCGX_Stream *stream);

#ifndef SN_FCGX_IMPLEMENTATION

static inline int
sn_fcgx_is_cgi(void)
{
	return 0; /* libfcgi's asks descriptor 0, which is not ours to ask about */
}

#define FCGX_SetExitStatus sn_fcgx_set_exit_status
#define FCGX_StartFilterData sn_fcgx_start_filter_data
#define FCGX_IsCGI sn_fcgx_is_cgi

#if defined(__has_attribute)
#if __has_attribute(unavailable)
#define SN_FCGX_GONE(text) __attribute__((unavailable(text)))
#elif __has_attribute(error)
#define SN_FCGX_GONE(text) __attribute__((error(text)))
#endif
#endif
#ifndef SN_FCGX_GONE
#define SN_FCGX_GONE(text)
#endif

#define SN_FCGX_ACCEPTS \
	SN_FCGX_GONE("snacgi accepts requests: make the loop's body the handler, and put it into the table")
#define SN_FCGX_FINISHES \
	SN_FCGX_GONE("snacgi ends requests: return from the handler instead")
#define SN_FCGX_LISTENS \
	SN_FCGX_GONE("snacgi opens sockets: use -l, or listen = (...) in the configuration")
#define SN_FCGX_OWNS \
	SN_FCGX_GONE("snacgi makes the streams and gives them to the handler")

int FCGX_Init(void) SN_FCGX_ACCEPTS;
int FCGX_InitRequest(FCGX_Request *request, int sock, int flags) SN_FCGX_ACCEPTS;
int FCGX_Accept(FCGX_Stream **in, FCGX_Stream **out, FCGX_Stream **err,
                FCGX_ParamArray *envp) SN_FCGX_ACCEPTS;
int FCGX_Accept_r(FCGX_Request *request) SN_FCGX_ACCEPTS;
int FCGX_Attach(FCGX_Request *r) SN_FCGX_ACCEPTS;
int FCGX_Detach(FCGX_Request *r) SN_FCGX_ACCEPTS;
void FCGX_Finish(void) SN_FCGX_FINISHES;
void FCGX_Finish_r(FCGX_Request *request) SN_FCGX_FINISHES;
void FCGX_Free(FCGX_Request *request, int close) SN_FCGX_FINISHES;
void FCGX_ShutdownPending(void) SN_FCGX_FINISHES;
int FCGX_OpenSocket(const char *path, int backlog) SN_FCGX_LISTENS;
FCGX_Stream *FCGX_CreateWriter(int socket, int requestId, int bufflen,
                               int streamType) SN_FCGX_OWNS;
void FCGX_FreeStream(FCGX_Stream **stream) SN_FCGX_OWNS;

#undef SN_FCGX_ACCEPTS
#undef SN_FCGX_FINISHES
#undef SN_FCGX_LISTENS
#undef SN_FCGX_OWNS

#endif

#ifdef __cplusplus
}
#endif

#endif
