/* SPDX-License-Identifier: MIT
 *
 * The core module _snacgi: Request, Response, the plain-result JSON writer, the
 * matcher, for Python. The same code is built into the daemon and as an
 * extension module for plain Python, so it needs no runtime, no thread and no
 * connection. Every function needs the GIL unless it says otherwise.
 */
#ifndef SN_PYRT_CORE_H
#define SN_PYRT_CORE_H

#include "pyrt/py.h"

#include "http/request.h"
#include "http/response.h"

/* For PyImport_AppendInittab, and the extension's entry. */
PyMODINIT_FUNC PyInit__snacgi(void);

struct sn_pycore_options {
	bool debug;       /* tracebacks go to the client */
	bool nan_null;    /* NaN and Infinity become null; else a 500 that names the place */
	PyObject *dumps;  /* borrowed, kept: orjson.dumps or NULL for ours */
};
/* Once, after the module was imported. */
int sn_pycore_configure(const struct sn_pycore_options *opt);

/* New reference: a Request over `req`; takes one reference of `req` of its own.
 * NULL with an exception. */
PyObject *sn_pyrequest_new(struct sn_request *req);
/* Borrowed. NULL without an exception when `obj` is not a Request. */
struct sn_request *sn_pyrequest_get(PyObject *obj);

/* What a handler returned becomes the answer in `res` (Flask's rules). Bytes bodies above
 * 16 KiB are not copied: res->ext with a done that any thread may call. A body that comes in
 * pieces is left in *source (new reference; NULL: there is none), and res->started is set.
 * 0, or -1 with an exception and no source. `name` is the handler's, for the message about a
 * wrong return type. */
int sn_pyanswer_fill(struct sn_response *res, PyObject *result, const char *name, PyObject **source);
/* Takes the exception that is set: an HTTPException becomes its answer; malformed JSON a
 * 400; anything else is logged with its traceback and the request id, and answered 500
 * (SystemExit and KeyboardInterrupt too). Clears it. */
void sn_pyanswer_exception(struct sn_response *res, const char *name);
/* Fills from `result` (stolen; NULL: an exception is set) and hands the answer to
 * req->sink. Never fails, never leaves an exception. Does not drop `req`. NULL; or, when the
 * body comes in pieces, what is to be sent, the caller's now: nothing has been sent then. */
struct sn_pystream *sn_pyanswer_send(struct sn_request *req, PyObject *result, const char *name);

/* ---- stream.c: an answer whose body comes in pieces ---- */

/* The head, until it is sent with the first piece that is not empty; then the body's way out.
 * One thread at a time. */
struct sn_pystream {
	struct sn_request *req; /* one reference */
	PyObject *source;       /* what the application gave */
	PyObject *iterator;     /* of it; NULL: not begun, or asynchronous */
	const char *name;       /* the handler's, for the log */
	struct sn_response res;
	bool asynchronous;      /* its pieces are awaited */
	bool headed;            /* the head is out */
	bool over;              /* answered, cut, or seen to be gone */
	bool bodyless;          /* HEAD, 204, 304: it is not asked for a piece */
	bool whole_file;        /* a file, that the sink can send by itself (sn_pystream_take_file) */
};

/* Sends a piece: str or anything with bytes. 0: go on; SN_EAGAIN: sent, but wait for room;
 * SN_EGONE: nobody reads it; SN_EINVAL: an exception is set. */
int sn_pystream_write(struct sn_pystream *s, PyObject *piece);
/* The body is complete. */
void sn_pystream_finish(struct sn_pystream *s);
/* An exception is set, which is taken: answered while the head is not out, else logged, and the
 * connection is cut. */
void sn_pystream_broke(struct sn_pystream *s);
/* Nobody can complete it: 503 while the head is not out, else the connection is cut. */
void sn_pystream_refuse(struct sn_pystream *s, const char *text);
/* Asks a sync source for its next piece: new reference; NULL: the end, or an exception. */
PyObject *sn_pystream_next(struct sn_pystream *s);
/* Calls close() of a sync source and of its iterator, as WSGI has it; what they raise is logged.
 * To be called once. */
void sn_pystream_close(struct sn_pystream *s);
/* The same, but -1 with the exception: sn_pystream_broke() takes it. */
int sn_pystream_close_source(struct sn_pystream *s);
/* Fills *res, the answer as a whole, of which `done` is called once, on any thread and perhaps by
 * sn_response_free(). -1 with an exception: there is no file any more, and *res is nothing. */
int sn_pystream_take_file(struct sn_pystream *s, struct sn_response *res, void (*done)(void *arg), void *arg);
void sn_pystream_free(struct sn_pystream *s);

/* Drops references that sinks have let go of without the GIL (res->done). Cheap when
 * there are none; the runtime calls it now and then. */
void sn_pycore_drain(void);
/* The traceback of the exception that is set, as text (new reference, str); clears it. */
PyObject *sn_pycore_traceback(void);

#endif
