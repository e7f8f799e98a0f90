/* SPDX-License-Identifier: MIT
 *
 * What the files of pyrt/core share; nobody else includes it. Everything here
 * needs the GIL, which also guards the state of this folder.
 */
#ifndef SN_PYRT_CORE_PRIV_H
#define SN_PYRT_CORE_PRIV_H

#include "pyrt/core/core.h"

/* ---- json.c ---- */

struct sn_json_options {
	PyObject *hook; /* borrowed: called for what is not JSON; NULL: such an object is a TypeError */
	bool nan_null;  /* NaN, Infinity and text with lone surrogates become null */
};
/* Appends `obj` as json.dumps(ensure_ascii=False, separators=(',', ':')) has it. -1 with
 * an exception whose text names the place; `out` then holds a part. */
int sn_json_write(struct sn_buf *out, PyObject *obj, const struct sn_json_options *opt);

/* ---- jsonread.c ---- */

/* New reference: the parsed text. NULL: a snacgi.BadRequest that names the position. */
PyObject *sn_json_read(const char *text, size_t len);

/* ---- headers.c: the view of a request's headers; hdrlist.c: the mutable list ---- */

extern PyTypeObject sn_pyheaderview_type, sn_pyheaders_type;
PyObject *sn_header_view_new(struct sn_request *req); /* takes a reference of req */
/* New reference: a list of (name, value) in the order of arrival, repeats folded. */
PyObject *sn_header_items(struct sn_request *req);
/* New reference: every raw parameter, repeated HTTP_ ones folded; keys and values str. */
PyObject *sn_param_dict(struct sn_request *req);
/* The first raw parameter of that name, or NULL. */
const char *sn_param_find(const struct sn_request *req, const char *name);
PyObject *sn_header_list_new(void);
/* Borrowed: the list of (str, str) pairs inside a Headers. */
PyObject *sn_header_list_pairs(PyObject *headers);
/* Appends what Flask takes for headers: mapping, list of pairs, Headers, or None. */
int sn_header_list_extend(PyObject *headers, PyObject *source);
/* True when any name of the list is `name`, any case. */
bool sn_header_list_has(PyObject *headers, const char *name, size_t len);

/* New reference: a checked plain str out of str, bytes (latin-1) or a number; `what` is
 * "name" or "value", for the message. NULL with an exception. */
PyObject *sn_header_text(PyObject *value, const char *what);
/* True when the str `name` is `other`, any case (ASCII). */
bool sn_header_name_is(PyObject *name, const char *other, size_t len);

/* ---- request.c, reqfields.c, reqnew.c ---- */

enum sn_reqfield { /* cached values, in sn_pyrequest.field */
	SN_F_PATH,
	SN_F_PATH_PARAMS,
	SN_F_QUERY_PARAMS,
	SN_F_ARGS,
	SN_F_HEADERS,
	SN_F_BODY,
	SN_F_DATA,
	SN_F_ENVIRON,
	SN_F_FORM, /* (form, files) */
	SN_F_COOKIES,
	SN_F_STREAM,
	SN_F_TABLE, /* of routes, whose rule explains path_params; in plain Python only */
	SN_F_COUNT
};

struct sn_pyrequest {
	PyObject_HEAD
	struct sn_request *req; /* one reference */
	PyObject *dict;         /* attributes that a handler set; NULL until then */
	PyObject *weakrefs;
	PyObject *field[SN_F_COUNT];
	unsigned filled; /* a bit for each that was ever set */
	bool tracked; /* by the garbage collector, from the first container on */
};

extern PyTypeObject sn_pyrequest_type;
extern PyGetSetDef sn_request_getset[];
extern PyMethodDef sn_request_methods[];
PyObject *sn_request_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
/* Keeps a new reference (stolen; NULL: an exception is set) in a field; returns another. */
PyObject *sn_pyrequest_keep(struct sn_pyrequest *self, enum sn_reqfield id, PyObject *value);
/* Routes anew: `table` (kept) is asked for what the path's values are. */
void sn_pyrequest_set_table(struct sn_pyrequest *self, PyObject *table);
/* From now on the object may be part of a cycle. */
void sn_pyrequest_track(struct sn_pyrequest *self);
/* New reference: the object around `req`, which is taken (also on failure). */
PyObject *sn_pyrequest_wrap(PyTypeObject *type, struct sn_request *req);

/* ---- input.c: the body as a stream ---- */

extern PyTypeObject sn_pyinput_type; /* what snacgi._stream is built of */
PyObject *sn_request_stream(PyObject *self, void *unused);
PyObject *sn_request_arriving(PyObject *self, void *unused); /* None, "sync" or "async" */
/* New reference: bytes of all that was not read yet. */
PyObject *sn_request_input_rest(PyObject *self);

/* ---- file.c: a part of an open file ---- */

extern PyTypeObject sn_pyfile_type;
bool sn_pyfile_is(PyObject *obj);
/* Makes it the body of `res`, pulled by the sink; `obj` is empty from then on. -1 with an exception. */
int sn_pyfile_send(struct sn_response *res, PyObject *obj, void (*then)(void *arg), void *arg);
/* close() does it, once (snacgi._background.run). Borrows `work`; NULL: nothing. */
void sn_pyfile_set_work(PyObject *obj, PyObject *work);
bool sn_pyfile_has_work(PyObject *obj);

/* ---- match.c ---- */

extern PyTypeObject sn_pymatcher_type;

/* ---- response.c ---- */

struct sn_pyresponse {
	PyObject_HEAD
	PyObject *body;    /* bytes; never NULL */
	PyObject *source;  /* what its pieces come from; NULL: `body` is the body */
	PyObject *background; /* to be done after the answer; NULL: nothing */
	PyObject *headers; /* Headers */
	PyObject *dict;
	PyObject *weakrefs;
	int status;
};

extern PyTypeObject sn_pyresponse_type;
/* New reference: a Response with what `res` holds, and `source` (borrowed, may be NULL). */
PyObject *sn_pyresponse_from(const struct sn_response *res, PyObject *source);

/* ---- answer.c ---- */

/* 200 to 599 out of 404, "404 Not Found" or HTTPStatus.NOT_FOUND; -1 with an exception. */
int sn_answer_status(PyObject *status);
/* `default` of the JSON writer as configured: borrowed, or NULL with an exception. */
PyObject *sn_answer_json_hook(void);
int sn_answer_json(struct sn_buf *out, PyObject *obj);

/* ---- stream.c ---- */

/* True when the pieces of a body can be had from it one by one: an iterator or an async one. */
bool sn_stream_is(PyObject *value);
/* As above, and what such a one can be made of. */
bool sn_stream_can_be(PyObject *value);
bool sn_stream_is_async(PyObject *source);
/* Closes a sync source and the iterator over it (may be NULL). -1 with an exception. */
int sn_stream_close(PyObject *source, PyObject *iterator);
/* Takes head and body of `res`, which is empty then, for a body out of `source` (stolen). NULL
 * with an exception: a sync source is closed then; an asynchronous one is only let go of, since
 * its aclose() would have to be awaited. */
struct sn_pystream *sn_pystream_new(struct sn_request *req, struct sn_response *res, PyObject *source,
                                    const char *name);

/* ---- exc.c ---- */

/* Takes the exception that is set: a line in the log, `what` and its traceback, unless it tells
 * nothing new. */
void sn_pyanswer_log(struct sn_request *req, const char *name, const char *what);

/* True when the exception that is set is an answer (an HTTPException). */
bool sn_pyanswer_is_http(void);

/* ---- drain.c ---- */

/* Makes `data` of `owner` the body; `owner` is kept until the sink is done. */
int sn_answer_lend(struct sn_response *res, PyObject *owner, const void *data, size_t len);

/* ---- module.c ---- */

struct sn_pycore {
	bool debug, nan_null;
	PyObject *dumps; /* NULL: the writer of json.c */
};
const struct sn_pycore *sn_pycore_state(void);
/* Borrowed: attribute `name` of module `module`, imported when first asked for and kept
 * in *slot. NULL with an exception. */
PyObject *sn_pycore_lazy(PyObject **slot, const char *module, const char *name);
/* Raises snacgi.exceptions.`name`(text); returns NULL for a tail call. */
PyObject *sn_pycore_raise(const char *name, PyObject *text /* stolen, may be NULL */);

/* reqaddr.c: getters of the Request; new references. */
PyObject *sn_pyrequest_remote_addr(PyObject *self, void *arg);
PyObject *sn_pyrequest_scheme(PyObject *self, void *arg);
PyObject *sn_pyrequest_host(PyObject *self, void *arg);
PyObject *sn_pyrequest_prefix(PyObject *self, void *arg);
PyObject *sn_pyrequest_mount(PyObject *self, void *arg);
PyObject *sn_pyrequest_script_root(PyObject *self, void *arg);
PyObject *sn_pyrequest_url(PyObject *self, void *arg);

#endif
