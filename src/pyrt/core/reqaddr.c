/* SPDX-License-Identifier: MIT
 *
 * Who asked, and by which URL: from the front server's parameters, and where the
 * configuration trusts proxies before it (http/proxy.h), from what those say. Computed
 * when asked for. Runs under the GIL.
 */
#include "pyrt/core/core_priv.h"

#include <strings.h>

#include "http/proxy.h"

#define REQ(obj) (((struct sn_pyrequest *)(obj))->req)

static PyObject *
text_of(const char *s, size_t len)
{
	return PyUnicode_DecodeLatin1(s, (Py_ssize_t)len, NULL);
}

/* The value that a trusted proxy gives, as a new reference; NULL without an exception: none. */
static PyObject *
forwarded(PyObject *self, enum sn_proxy_header h)
{
	struct sn_forwarded fwd;

	if (!sn_proxy_read(REQ(self), &fwd) || !fwd.value[h].s)
		return NULL;
	return text_of(fwd.value[h].s, fwd.value[h].len);
}

PyObject *
sn_pyrequest_remote_addr(PyObject *self, void *arg SN_UNUSED)
{
	PyObject *text = forwarded(self, SN_FWD_FOR);
	const char *addr = sn_request_known(REQ(self), SN_P_REMOTE_ADDR);

	if (text || PyErr_Occurred())
		return text;
	if (!addr || !*addr)
		Py_RETURN_NONE;
	return text_of(addr, strlen(addr));
}

static const char *
scheme_of(struct sn_request *req, const struct sn_forwarded *fwd)
{
	const char *https = sn_param_find(req, "HTTPS");
	const char *scheme = sn_param_find(req, "REQUEST_SCHEME");

	if (fwd && fwd->value[SN_FWD_PROTO].s)
		return fwd->value[SN_FWD_PROTO].len == 5 ? "https" : "http";
	if (https && *https)
		return strcasecmp(https, "off") == 0 || strcmp(https, "0") == 0 ? "http" : "https";
	return scheme && *scheme ? scheme : "http";
}

PyObject *
sn_pyrequest_scheme(PyObject *self, void *arg SN_UNUSED)
{
	struct sn_forwarded fwd;
	const char *scheme = scheme_of(REQ(self), sn_proxy_read(REQ(self), &fwd) ? &fwd : NULL);

	return text_of(scheme, strlen(scheme));
}

/* "host:port" without its port; an IPv6 address has colons of its own, in brackets. */
static size_t
without_port(const char *host, size_t len)
{
	const char *colon = memrchr(host, ':', len);

	return colon && !memchr(colon, ']', len - (size_t)(colon - host)) ? (size_t)(colon - host) : len;
}

static PyObject *
forwarded_host(struct sn_request *req, const struct sn_forwarded *fwd)
{
	const char *host = fwd->value[SN_FWD_HOST].s, *port = fwd->value[SN_FWD_PORT].s;
	size_t len = fwd->value[SN_FWD_HOST].len, port_len = fwd->value[SN_FWD_PORT].len;
	const char *usual = strcmp(scheme_of(req, fwd), "https") == 0 ? "443" : "80";
	PyObject *name, *number, *whole = NULL;

	if (!host) {
		host = sn_param_find(req, "HTTP_HOST");
		len = host ? strlen(host) : 0;
	}
	if (!host || !len)
		return NULL;
	if (!port)
		return text_of(host, len);
	name = text_of(host, without_port(host, len));
	if (!name || (port_len == strlen(usual) && memcmp(port, usual, port_len) == 0))
		return name;
	number = text_of(port, port_len);
	if (number)
		whole = PyUnicode_FromFormat("%U:%U", name, number);
	Py_XDECREF(number);
	Py_DECREF(name);
	return whole;
}

PyObject *
sn_pyrequest_host(PyObject *self, void *arg SN_UNUSED)
{
	struct sn_request *req = REQ(self);
	const char *host = sn_param_find(req, "HTTP_HOST");
	const char *name = sn_param_find(req, "SERVER_NAME");
	const char *port = sn_param_find(req, "SERVER_PORT");
	struct sn_forwarded fwd;
	bool trusted = sn_proxy_read(req, &fwd);
	const char *usual = strcmp(scheme_of(req, trusted ? &fwd : NULL), "https") == 0 ? "443" : "80";
	PyObject *text = trusted ? forwarded_host(req, &fwd) : NULL;

	if (text || PyErr_Occurred())
		return text;
	if (host && *host)
		return text_of(host, strlen(host));
	if (!name || !*name)
		return text_of("localhost", 9);
	if (!port || !*port || strcmp(port, usual) == 0)
		return text_of(name, strlen(name));
	return PyUnicode_FromFormat("%s:%s", name, port);
}

/* What a trusted proxy has taken off the path; "". */
PyObject *
sn_pyrequest_prefix(PyObject *self, void *arg SN_UNUSED)
{
	PyObject *text = forwarded(self, SN_FWD_PREFIX);

	return text || PyErr_Occurred() ? text : text_of("", 0);
}

/* What the listener has taken off the path; "". The configuration's text, UTF-8. */
PyObject *
sn_pyrequest_mount(PyObject *self, void *arg SN_UNUSED)
{
	const char *mount = REQ(self)->mount;

	return PyUnicode_DecodeUTF8(mount, (Py_ssize_t)strlen(mount), "replace");
}

PyObject *
sn_pyrequest_script_root(PyObject *self, void *arg)
{
	PyObject *prefix = sn_pyrequest_prefix(self, arg), *mount, *both = NULL;

	if (prefix && (mount = sn_pyrequest_mount(self, arg))) {
		both = PyUnicode_Concat(prefix, mount);
		Py_DECREF(mount);
	}
	Py_XDECREF(prefix);
	return both;
}

PyObject *
sn_pyrequest_url(PyObject *self, void *arg SN_UNUSED)
{
	static PyObject *build_slot;
	PyObject *build = sn_pycore_lazy(&build_slot, "snacgi._url", "build");

	return build ? PyObject_CallOneArg(build, self) : NULL;
}
