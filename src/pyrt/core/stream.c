/* SPDX-License-Identifier: MIT
 *
 * Bodies that come in pieces: what counts as one, and how its pieces reach the
 * sink. The head waits for the first piece that is not empty, as WSGI has it, so
 * that what a generator raises before is an ordinary error page. Who asks for the
 * next piece, and when, is the runtime's. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

#include <stdlib.h>

#include "base/log.h"

#define UNLOCK_ABOVE 65536 /* bytes, as in answer.c */

/* ---- what a source is ------------------------------------------------------ */

bool
sn_stream_is_async(PyObject *source)
{
	return Py_TYPE(source)->tp_as_async && Py_TYPE(source)->tp_as_async->am_aiter;
}

bool
sn_stream_is(PyObject *value)
{
	return PyIter_Check(value) || (sn_stream_is_async(value) && Py_TYPE(value)->tp_as_async->am_anext);
}

bool
sn_stream_can_be(PyObject *value)
{
	return Py_TYPE(value)->tp_iter || sn_stream_is_async(value);
}

/* Where there is one. -1 with an exception. */
static int
call_close(PyObject *obj)
{
	PyObject *close = PyObject_GetAttrString(obj, "close"), *r;

	if (!close) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError))
			return -1;
		PyErr_Clear();
		return 0;
	}
	r = PyObject_CallNoArgs(close);
	Py_DECREF(close);
	Py_XDECREF(r);
	return r ? 0 : -1;
}

int
sn_stream_close(PyObject *source, PyObject *iterator)
{
	int rc = iterator && iterator != source ? call_close(iterator) : 0;
	PyObject *type, *value, *tb;

	if (rc == 0)
		return call_close(source);
	PyErr_Fetch(&type, &value, &tb);
	if (call_close(source) < 0)
		PyErr_Clear(); /* the first one is told */
	PyErr_Restore(type, value, tb);
	return -1;
}

/* ---- life -------------------------------------------------------------------- */

/* The buffers of `from` may lie on somebody's stack. */
static int
take_response(struct sn_response *to, struct sn_response *from)
{
	sn_response_init(to, from->req, NULL, 0, NULL, 0);
	if (sn_buf_add(&to->head, from->head.data, from->head.len) < 0) {
		PyErr_NoMemory();
		return -1;
	}
	to->status = from->status;
	to->has_type = from->has_type;
	to->has_vary = from->has_vary;
	to->started = true;
	to->raw_body_known = true;
	to->length = from->length;
	return 0;
}

struct sn_pystream *
sn_pystream_new(struct sn_request *req, struct sn_response *res, PyObject *source, const char *name)
{
	struct sn_pystream *s = calloc(1, sizeof(*s));

	if (!s || take_response(&s->res, res) < 0) {
		free(s);
		if (!sn_stream_is_async(source) && sn_stream_close(source, NULL) < 0)
			PyErr_Clear();
		Py_DECREF(source);
		PyErr_NoMemory();
		return NULL;
	}
	s->req = sn_request_ref(req);
	s->source = source;
	s->name = name;
	s->asynchronous = sn_stream_is_async(source);
	sn_response_length(&s->res, &s->bodyless);
	s->whole_file = sn_pyfile_is(source) && req->sink;
	return s;
}

void
sn_pystream_free(struct sn_pystream *s)
{
	if (!s)
		return;
	Py_XDECREF(s->iterator);
	Py_XDECREF(s->source);
	sn_response_free(&s->res);
	sn_request_unref(s->req);
	free(s);
}

/* ---- a sync source --------------------------------------------------------------- */

PyObject *
sn_pystream_next(struct sn_pystream *s)
{
	if (!s->iterator)
		s->iterator = PyObject_GetIter(s->source);
	return s->iterator ? PyIter_Next(s->iterator) : NULL;
}

int
sn_pystream_close_source(struct sn_pystream *s)
{
	return sn_stream_close(s->source, s->iterator);
}

void
sn_pystream_close(struct sn_pystream *s)
{
	if (sn_pystream_close_source(s) < 0)
		sn_pyanswer_log(s->req, s->name, "failed after its answer");
}

int
sn_pystream_take_file(struct sn_pystream *s, struct sn_response *res, void (*done)(void *), void *arg)
{
	if (sn_pyfile_send(&s->res, s->source, done, arg) < 0)
		return -1;
	s->res.started = false; /* as a whole, by the sink */
	*res = s->res;
	sn_response_init(&s->res, s->req, NULL, 0, NULL, 0);
	return 0;
}

/* ---- out ------------------------------------------------------------------------ */

static int
wrong_piece(const struct sn_pystream *s, PyObject *piece)
{
	PyErr_Format(PyExc_TypeError, "the stream of %s gave an object of type %.200s: yield bytes or str",
	             s->name && *s->name ? s->name : "a handler", Py_TYPE(piece)->tp_name);
	return SN_EINVAL;
}

static int
send_head(struct sn_pystream *s)
{
	int rc = s->req->sink ? s->req->sink->start(s->req, &s->res) : SN_EGONE;

	s->headed = rc == 0;
	s->over = rc < 0;
	return rc < 0 ? SN_EGONE : 0;
}

static int
send_bytes(struct sn_pystream *s, const void *data, size_t len)
{
	int rc;

	if (s->over)
		return SN_EGONE;
	if (len == 0)
		return 0;
	if (!s->headed && send_head(s) < 0)
		return SN_EGONE;
	if (len > UNLOCK_ABOVE) {
		Py_BEGIN_ALLOW_THREADS
		rc = s->req->sink->write(s->req, data, len);
		Py_END_ALLOW_THREADS
	} else {
		rc = s->req->sink->write(s->req, data, len);
	}
	s->over = rc < 0 && rc != SN_EAGAIN;
	return s->over ? SN_EGONE : rc;
}

int
sn_pystream_write(struct sn_pystream *s, PyObject *piece)
{
	Py_buffer view;
	Py_ssize_t len;
	const char *text;
	int rc;

	if (PyUnicode_Check(piece)) {
		text = PyUnicode_AsUTF8AndSize(piece, &len);
		return text ? send_bytes(s, text, (size_t)len) : SN_EINVAL;
	}
	if (!PyObject_CheckBuffer(piece))
		return wrong_piece(s, piece);
	if (PyObject_GetBuffer(piece, &view, PyBUF_SIMPLE) < 0)
		return SN_EINVAL;
	rc = send_bytes(s, view.buf, (size_t)view.len);
	PyBuffer_Release(&view);
	return rc;
}

void
sn_pystream_finish(struct sn_pystream *s)
{
	if (s->over)
		return;
	s->over = true;
	if (s->headed) {
		s->req->sink->finish(s->req);
		return;
	}
	/* Not a byte came, or none was asked for: then the length stays unknown. */
	if (!s->bodyless) {
		if (s->res.length > 0 && send_head(s) == 0) { /* more was announced: the sink cuts */
			s->req->sink->finish(s->req);
			return;
		}
		s->res.started = false;
	}
	if (s->req->sink)
		s->req->sink->respond(s->req, &s->res);
}

void
sn_pystream_broke(struct sn_pystream *s)
{
	if (!s->headed && !s->over) {
		s->over = true;
		s->res.started = false;
		sn_pyanswer_exception(&s->res, s->name);
		if (s->req->sink)
			s->req->sink->respond(s->req, &s->res);
		return;
	}
	sn_pyanswer_log(s->req, s->name, s->over ? "failed after its answer" :
	                                           "failed in the middle of its answer; the connection is cut");
	if (!s->over)
		s->req->sink->cut(s->req);
	s->over = true;
}

void
sn_pystream_refuse(struct sn_pystream *s, const char *text)
{
	if (s->over || !s->req->sink)
		return;
	s->over = true;
	if (s->headed) {
		sn_log_for(SN_LOG_WARNING, s->req->id, "%s: %s; the connection is cut", s->name, text);
		s->req->sink->cut(s->req);
		return;
	}
	sn_request_refuse(s->req, text);
}
