/* SPDX-License-Identifier: MIT
 *
 * Request(...) in plain Python: the arguments become the CGI parameters that a
 * front server would have sent, and go through the same decoding, so that a
 * test sees what the daemon would have shown. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

/* A FastCGI name-value length (FastCGI specification 3.4). */
static int
add_length(struct sn_buf *b, size_t len)
{
	unsigned char four[4];

	if (len < 128) {
		four[0] = (unsigned char)len;
		return sn_buf_add(b, four, 1);
	}
	if (len > 0x7fffffff)
		return SN_ELIMIT;
	four[0] = (unsigned char)(0x80 | (len >> 24));
	four[1] = (unsigned char)(len >> 16);
	four[2] = (unsigned char)(len >> 8);
	four[3] = (unsigned char)len;
	return sn_buf_add(b, four, 4);
}

/* One parameter; both are str. Values that are not latin-1 go as UTF-8, as bytes would. */
static int
add_param(struct sn_buf *b, PyObject *name, PyObject *value)
{
	PyObject *n = NULL, *v = NULL;
	int rc = -1;

	if (!PyUnicode_Check(name) || !PyUnicode_Check(value)) {
		PyErr_Format(PyExc_TypeError, "parameter %R must be str, not %.100s", name,
		             Py_TYPE(PyUnicode_Check(name) ? value : name)->tp_name);
		return -1;
	}
	n = PyUnicode_AsUTF8String(name);
	v = PyUnicode_AsLatin1String(value);
	if (!v && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
		PyErr_Clear();
		v = PyUnicode_AsUTF8String(value);
	}
	if (!n || !v)
		goto out;
	if (add_length(b, (size_t)PyBytes_GET_SIZE(n)) < 0 ||
	    add_length(b, (size_t)PyBytes_GET_SIZE(v)) < 0 ||
	    sn_buf_add(b, PyBytes_AS_STRING(n), (size_t)PyBytes_GET_SIZE(n)) < 0 ||
	    sn_buf_add(b, PyBytes_AS_STRING(v), (size_t)PyBytes_GET_SIZE(v)) < 0)
		PyErr_NoMemory();
	else
		rc = 0;
out:
	Py_XDECREF(n);
	Py_XDECREF(v);
	return rc;
}

/* Decodes and resolves `cgi` (dict of str). NULL with an exception. */
static struct sn_request *
build(PyObject *cgi)
{
	struct sn_buf params;
	struct sn_request *req = NULL;
	PyObject *name, *value;
	Py_ssize_t pos = 0;
	const char *reason = "";
	int rc, fault = 0, status;

	sn_buf_init(&params, NULL, 0);
	while (PyDict_Next(cgi, &pos, &name, &value))
		if (add_param(&params, name, value) < 0)
			goto out;
	rc = sn_request_build(&req, SN_FORM_FCGI, (const uint8_t *)params.data, params.len, 10000, NULL, &fault);
	if (rc < 0) {
		req = NULL;
		if (rc == SN_ENOMEM)
			PyErr_NoMemory();
		else
			PyErr_Format(PyExc_ValueError, "not a request: %s",
			             fault ? sn_params_fault_text(fault) : sn_err_name(rc));
		goto out;
	}
	status = sn_request_resolve(req, SN_PATH_AUTO, "", &reason);
	if (status) {
		PyErr_Format(PyExc_ValueError, "not a path that the server would take: %s (%d)", reason, status);
		sn_request_unref(req);
		req = NULL;
	}
out:
	sn_buf_free(&params);
	return req;
}

/* `parts`: what snacgi._newrequest.parts() made of the arguments: (environ, body bytes,
 * path_params or None). */
static PyObject *
from_parts(PyTypeObject *type, PyObject *parts)
{
	PyObject *cgi, *body, *path_params, *self;
	struct sn_request *req;

	if (!PyArg_ParseTuple(parts, "O!SO:Request", &PyDict_Type, &cgi, &body, &path_params))
		return NULL;
	req = build(cgi);
	if (!req)
		return NULL;
	if (sn_body_append(&req->body, PyBytes_AS_STRING(body), (size_t)PyBytes_GET_SIZE(body), SIZE_MAX,
	                   NULL) < 0) {
		sn_request_unref(req);
		return PyErr_NoMemory();
	}
	self = sn_pyrequest_wrap(type, req);
	if (self && path_params != Py_None)
		Py_XDECREF(sn_pyrequest_keep((struct sn_pyrequest *)self, SN_F_PATH_PARAMS, Py_NewRef(path_params)));
	return self;
}

PyObject *
sn_request_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static PyObject *parts_slot;
	PyObject *make = sn_pycore_lazy(&parts_slot, "snacgi._newrequest", "parts");
	PyObject *parts = make ? PyObject_Call(make, args, kwargs) : NULL;
	PyObject *self = parts ? from_parts(type, parts) : NULL;

	Py_XDECREF(parts);
	return self;
}
