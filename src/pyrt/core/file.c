/* SPDX-License-Identifier: MIT
 *
 * A part of an open file as the body of an answer: an iterator over its bytes
 * for whoever wants to see them (hooks, the test client), and a pull for the
 * sink, which sends it without Python: no thread waits for a slow reader, and
 * the GIL is never taken. It knows neither names nor headers. Runs under the
 * GIL, but for the pull: on the I/O thread of the connection.
 */
#include "pyrt/core/core_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PIECE (64 * 1024) /* bytes that the iterator gives at a time */

struct part { /* the pull's own */
	int fd;
	uint64_t at, left;
	void (*then)(void *arg); /* when the sink is done with it; NULL: nothing */
	void *then_arg;
};

struct sn_pyfile {
	PyObject_HEAD
	struct part part; /* fd -1: closed, or given to a sink */
	PyObject *work;   /* to be done when it is closed, once; NULL: nothing */
};

#define SELF(obj) ((struct sn_pyfile *)(obj))

static ssize_t
read_part(struct part *p, void *buf, size_t size)
{
	ssize_t n;

	if (p->left < size)
		size = (size_t)p->left;
	do
		n = pread(p->fd, buf, size, (off_t)p->at);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		p->at += (uint64_t)n;
		p->left -= (uint64_t)n;
	}
	return n;
}

/* ---- for the sink ---------------------------------------------------------- */

/* A file that has become shorter ends early: the sink, which was told a length, then cuts the
 * connection. */
static ssize_t
pull(void *arg, void *buf, size_t size)
{
	struct part *p = arg;
	ssize_t n = read_part(p, buf, size);

	return n < 0 ? SN_EIO : n;
}

static void
pull_done(void *arg)
{
	struct part *p = arg;

	close(p->fd);
	if (p->then)
		p->then(p->then_arg);
	free(p);
}

bool
sn_pyfile_is(PyObject *obj)
{
	return Py_IS_TYPE(obj, &sn_pyfile_type);
}

void
sn_pyfile_set_work(PyObject *obj, PyObject *work)
{
	Py_XSETREF(SELF(obj)->work, Py_XNewRef(work));
}

bool
sn_pyfile_has_work(PyObject *obj)
{
	return SELF(obj)->work;
}

int
sn_pyfile_send(struct sn_response *res, PyObject *obj, void (*then)(void *), void *arg)
{
	struct part *own = &SELF(obj)->part, *p;

	if (own->fd < 0) {
		PyErr_SetString(PyExc_ValueError, "the file of this answer was closed, or sent already");
		return -1;
	}
	p = malloc(sizeof(*p));
	if (!p) {
		PyErr_NoMemory();
		return -1;
	}
	*p = *own;
	p->then = then;
	p->then_arg = arg;
	own->fd = -1;
	posix_fadvise(p->fd, (off_t)p->at, 0, POSIX_FADV_SEQUENTIAL);
	res->pull = pull;
	res->pull_done = pull_done;
	res->pull_arg = p;
	res->length = (int64_t)p->left;
	return 0;
}

/* ---- the object ---------------------------------------------------------------- */

static PyObject *
file_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { SN_KW("fd"), SN_KW("offset"), SN_KW("length"), NULL };
	long long offset, length;
	struct sn_pyfile *self;
	int fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iLL:File", names, &fd, &offset, &length))
		return NULL;
	if (fd < 0 || offset < 0 || length < 0) {
		PyErr_SetString(PyExc_ValueError, "a descriptor, an offset and a length are not negative");
		return NULL;
	}
	self = SELF(type->tp_alloc(type, 0));
	if (self)
		self->part = (struct part){ .fd = fd, .at = (uint64_t)offset, .left = (uint64_t)length };
	return (PyObject *)self;
}

static PyObject *
file_close(PyObject *obj, PyObject *unused SN_UNUSED)
{
	static PyObject *slot;
	int fd = SELF(obj)->part.fd;
	PyObject *work = SELF(obj)->work, *run, *result;

	SELF(obj)->part.fd = -1;
	if (fd >= 0)
		close(fd);
	if (!work)
		Py_RETURN_NONE;
	SELF(obj)->work = NULL;
	run = sn_pycore_lazy(&slot, "snacgi._background", "run");
	result = run ? PyObject_CallOneArg(run, work) : NULL;
	Py_DECREF(work);
	return result;
}

static void
file_dealloc(PyObject *obj)
{
	if (SELF(obj)->part.fd >= 0)
		close(SELF(obj)->part.fd);
	Py_XDECREF(SELF(obj)->work);
	Py_TYPE(obj)->tp_free(obj);
}

static PyObject *
file_next(PyObject *obj)
{
	struct part *p = &SELF(obj)->part;
	PyObject *bytes;
	ssize_t n;

	if (p->fd < 0 || p->left == 0)
		return NULL;
	bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(p->left < PIECE ? p->left : PIECE));
	if (!bytes)
		return NULL;
	n = read_part(p, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
	if (n > 0) {
		_PyBytes_Resize(&bytes, n);
		return bytes;
	}
	Py_DECREF(bytes);
	if (n < 0)
		return PyErr_SetFromErrno(PyExc_OSError);
	PyErr_SetString(PyExc_OSError, "the file has become shorter while it was sent");
	return NULL;
}

static PyObject *
file_length(PyObject *obj, void *arg SN_UNUSED)
{
	return PyLong_FromUnsignedLongLong(SELF(obj)->part.left);
}

static PyMethodDef file_methods[] = {
	{ "close", file_close, METH_NOARGS, "Closes the descriptor, unless a sink has it, and does what is to be done after it." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef file_getset[] = {
	{ "length", file_length, NULL, "How many bytes are left.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyTypeObject sn_pyfile_type = {
	PyVarObject_HEAD_INIT(NULL, 0)
	.tp_name = "_snacgi.File",
	.tp_doc = "File(fd, offset, length)\n--\n\n"
	          "`length` bytes from `offset` of an open file, whose descriptor it owns from now on.",
	.tp_basicsize = sizeof(struct sn_pyfile),
	.tp_flags = Py_TPFLAGS_DEFAULT,
	.tp_new = file_new,
	.tp_dealloc = file_dealloc,
	.tp_iter = PyObject_SelfIter,
	.tp_iternext = file_next,
	.tp_methods = file_methods,
	.tp_getset = file_getset,
};
