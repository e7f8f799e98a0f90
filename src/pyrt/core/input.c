/* SPDX-License-Identifier: MIT
 *
 * The body of a request as a stream: on routes with stream=True what has come
 * of it so far, else the complete body from its beginning. Here are the two or
 * three primitives; snacgi._stream makes file-like objects of them. Runs under
 * the GIL, which is let go while a handler waits, and while bytes come from where
 * an I/O thread may be writing a file (the stream's lock), or from a file.
 */
#include "base/log.h"
#include "pyrt/core/core_priv.h"

#define PIECE (64 * 1024)

/* What a stream has of its request, which has the stream: not the object, lest they keep each
 * other alive. */
struct input {
	PyObject_HEAD
	struct sn_request *req; /* one reference */
};

#define REQ(obj) (((struct input *)(obj))->req)

PyObject *
sn_request_stream(PyObject *self, void *unused SN_UNUSED)
{
	static PyObject *slot;
	struct sn_pyrequest *r = (struct sn_pyrequest *)self;
	PyObject *make, *stream = NULL;
	struct input *input;

	if (r->field[SN_F_STREAM])
		return Py_NewRef(r->field[SN_F_STREAM]);
	make = sn_pycore_lazy(&slot, "snacgi._stream", "stream_of");
	input = make ? PyObject_New(struct input, &sn_pyinput_type) : NULL;
	if (!input)
		return NULL;
	input->req = sn_request_ref(r->req);
	stream = PyObject_CallFunctionObjArgs(make, self, input, NULL);
	Py_DECREF(input);
	return sn_pyrequest_keep(r, SN_F_STREAM, stream);
}

static void
input_dealloc(PyObject *self)
{
	sn_request_unref(REQ(self));
	PyObject_Free(self);
}

PyObject *
sn_request_arriving(PyObject *self, void *unused SN_UNUSED)
{
	struct sn_request *req = ((struct sn_pyrequest *)self)->req;

	if (!req->input)
		Py_RETURN_NONE;
	return PyUnicode_FromString(sn_lane_is_async(req->endpoint->lane) ? "async" : "sync");
}

/* Raises why there is no more. Always NULL. */
static PyObject *
raise_end(struct sn_request *req, ssize_t why)
{
	if (why == SN_EGONE)
		return sn_pycore_raise("ClientDisconnected",
		                       PyUnicode_FromString("the client left before its request was complete"));
	if (why == SN_ELIMIT)
		return sn_pycore_raise("RequestEntityTooLarge",
		                       PyUnicode_FromString("the request body is larger than limits.body allows"));
	if (why == SN_ERANGE)
		return sn_pycore_raise("RequestTimeout", PyUnicode_FromString("the request did not arrive in time"));
	if (why == SN_EINVAL) /* by a time-out, or because the server stops */
		return sn_pycore_raise("HandlerTimeout", PyUnicode_FromString("the request was answered already"));
	sn_log_for(SN_LOG_DEBUG, req->id, "the body's stream failed: %s", sn_err_name((int)why));
	return sn_pycore_raise("ServiceUnavailable",
	                       PyUnicode_FromString("the server cannot keep the request body now"));
}

/* The caller alone has `buf`, and a reference of `req`. */
static ssize_t
read_at(struct sn_request *req, uint64_t offset, void *buf, size_t size)
{
	ssize_t n;

	if (!req->input && req->body.fd < 0)
		return sn_body_read(&req->body, offset, buf, size);
	Py_BEGIN_ALLOW_THREADS
	if (req->input)
		n = sn_instream_read(req->input, buf, size);
	else
		n = sn_body_read(&req->body, offset, buf, size);
	Py_END_ALLOW_THREADS
	return n;
}

/* (size, offset): up to so many bytes; of a complete body from `offset`. None: nothing has come yet;
 * b'': the end. */
static PyObject *
input_read(PyObject *self, PyObject *args)
{
	struct sn_request *req = REQ(self);
	Py_ssize_t size;
	unsigned long long offset;
	PyObject *bytes;
	ssize_t n;

	if (!PyArg_ParseTuple(args, "nK:read", &size, &offset))
		return NULL;
	bytes = PyBytes_FromStringAndSize(NULL, size < 0 || size > PIECE ? PIECE : size);
	if (!bytes)
		return NULL;
	size = PyBytes_GET_SIZE(bytes);
	n = read_at(req, offset, PyBytes_AS_STRING(bytes), (size_t)size);
	if (n >= 0) {
		_PyBytes_Resize(&bytes, n);
		return bytes;
	}
	Py_DECREF(bytes);
	if (n == SN_EAGAIN)
		Py_RETURN_NONE;
	return raise_end(req, n);
}

/* Until there is something to be read, or the end. */
static PyObject *
input_wait(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_request *req = REQ(self);
	int rc = 0;

	if (req->input) {
		Py_BEGIN_ALLOW_THREADS
		rc = sn_instream_wait(req->input);
		Py_END_ALLOW_THREADS
	}
	if (rc < 0)
		return raise_end(req, rc);
	Py_RETURN_NONE;
}

/* (fd, seconds): readable from when there is something to be read; how long to wait for it. */
static PyObject *
input_fd(PyObject *self, PyObject *unused SN_UNUSED)
{
	struct sn_request *req = REQ(self);
	int fd = req->input ? sn_instream_fd(req->input) : -1;

	if (fd >= 0)
		return Py_BuildValue("(id)", fd, (double)sn_instream_patience(req->input) / 1000.0);
	if (req->input)
		return PyErr_SetFromErrno(PyExc_OSError);
	PyErr_SetString(PyExc_RuntimeError, "the body is complete");
	return NULL;
}

PyObject *
sn_request_input_rest(PyObject *self)
{
	static PyObject *slot;
	PyObject *rest = sn_pycore_lazy(&slot, "snacgi._stream", "rest");

	return rest ? PyObject_CallOneArg(rest, self) : NULL;
}

static PyMethodDef input_methods[] = {
	{ "read", input_read, METH_VARARGS, NULL },
	{ "wait", input_wait, METH_NOARGS, NULL },
	{ "fd", input_fd, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

PyTypeObject sn_pyinput_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "_snacgi.Input",
	.tp_doc = "The body of one request, for snacgi._stream.",
	.tp_basicsize = sizeof(struct input),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.tp_dealloc = input_dealloc,
	.tp_methods = input_methods,
};
