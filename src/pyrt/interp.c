/* SPDX-License-Identifier: MIT
 *
 * Starting CPython inside the daemon. Everything that tells Python where it
 * lives is set here: the program name decides prefix, site-packages and
 * sys.executable together (a wrong one would start pool workers on another
 * Python, or re-execute the daemon). Signals stay the daemon's.
 *
 * There is no counterpart that finalises: Py_FinalizeEx with other people's
 * threads about hangs or crashes, so the exit hooks are run and the rest is
 * left to the end of the process (see pyrt.c).
 *
 * Runs in the Python runtime thread.
 */
#include "pyrt/interp.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "pyrt/core/core.h"
#include "pyrt/venv.h"

int
sn_interp_fail(struct sn_why *why, const char *what)
{
	PyObject *text = PyErr_Occurred() ? sn_pycore_traceback() : NULL;
	const char *s = text ? PyUnicode_AsUTF8(text) : NULL;
	size_t room = sizeof(why->text) - strlen(what) - 32, len;

	PyErr_Clear();
	if (!s)
		s = "(no traceback)";
	len = strlen(s);
	if (len < room)
		sn_why_set(why, SN_EPYTHON, "%s:\n%s", what, s);
	else
		sn_why_set(why, SN_EPYTHON, "%s:\n%.*s\n[...]\n%s", what, (int)(room / 3), s,
		           s + len - (room - room / 3 - 16));
	Py_XDECREF(text);
	return SN_EPYTHON;
}

PyObject *
sn_interp_call(const char *name, PyObject *args)
{
	PyObject *module = NULL, *fn = NULL, *result = NULL;

	if (!args)
		goto out;
	module = PyImport_ImportModule("snacgi._runtime");
	if (!module)
		goto out;
	fn = PyObject_GetAttrString(module, name);
	if (fn)
		result = PyObject_CallObject(fn, args);
out:
	Py_XDECREF(fn);
	Py_XDECREF(module);
	Py_XDECREF(args);
	return result;
}

static int
status_fail(struct sn_why *why, PyStatus st, const char *program)
{
	return sn_why_set(why, SN_EPYTHON,
	                  "Python could not start (%s%s%s), with %s as its program; check PYTHONHOME "
	                  "and PYTHONPATH in the environment, and that package python%d.%d is complete",
	                  st.func ? st.func : "", st.func ? ": " : "",
	                  st.err_msg ? st.err_msg : "no reason given", program, PY_MAJOR_VERSION,
	                  PY_MINOR_VERSION);
}

static int
initialise(const char *program, struct sn_why *why)
{
	PyConfig config;
	PyStatus st;
	int rc = 0;

	PyConfig_InitPythonConfig(&config);
	config.parse_argv = 0;
	config.install_signal_handlers = 0;
	st = PyConfig_SetBytesString(&config, &config.program_name, program);
	if (!PyStatus_Exception(st))
		st = Py_InitializeFromConfig(&config);
	if (PyStatus_Exception(st))
		rc = status_fail(why, st, program);
	PyConfig_Clear(&config);
	return rc;
}

/* The user's directory first, our package last, so that it hides nothing. */
static int
set_path(const char *dir, const char *package_path)
{
	PyObject *path = PySys_GetObject("path"); /* borrowed */
	PyObject *first = NULL, *last = NULL;
	int rc = -1, have;

	if (!path || !PyList_Check(path)) {
		PyErr_SetString(PyExc_RuntimeError, "sys.path is not a list");
		return -1;
	}
	if (dir) {
		first = PyUnicode_DecodeFSDefault(dir);
		if (!first || PyList_Insert(path, 0, first) < 0)
			goto out;
	}
	last = PyUnicode_DecodeFSDefault(package_path);
	if (!last)
		goto out;
	have = PySequence_Contains(path, last);
	if (have < 0 || (have == 0 && PyList_Append(path, last) < 0))
		goto out;
	rc = 0;
out:
	Py_XDECREF(first);
	Py_XDECREF(last);
	return rc;
}

int
sn_interp_start(const struct sn_pyrt_options *opt, struct sn_why *why)
{
	const char *package = opt->package_path ? opt->package_path : SN_PKGPYLIBDIR;
	char program[PATH_MAX], what[PATH_MAX + 128];
	struct sn_why warning = { .text = "" };
	PyObject *module;
	int rc;

	if (Py_IsInitialized())
		return sn_why_set(why, SN_ECONF,
		                  "Python runs in this process already; it can be started once only");
	snprintf(program, sizeof(program), "%s", SN_PYTHON_BIN);
	if (opt->venv && opt->venv[0]) {
		rc = sn_venv_check(opt->venv, SN_PYTHON_BIN, PY_MAJOR_VERSION, PY_MINOR_VERSION,
		                   program, sizeof(program), &warning, why);
		if (rc < 0)
			return rc;
		if (warning.text[0])
			sn_log_warning("%s", warning.text);
	}
	if (PyImport_AppendInittab("_snacgi", PyInit__snacgi) < 0)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	rc = initialise(program, why);
	if (rc < 0)
		return rc;
	if (set_path(opt->dir, package) < 0)
		return sn_interp_fail(why, "Python's module path cannot be set");
	module = PyImport_ImportModule("snacgi._runtime");
	if (!module) {
		snprintf(what, sizeof(what),
		         "snacgi's own Python package cannot be imported from %s; reinstall snacgi",
		         package);
		return sn_interp_fail(why, what);
	}
	Py_DECREF(module);
	return 0;
}

void
sn_interp_version(char *out, size_t size)
{
	PyObject *prefix = PySys_GetObject("prefix"); /* borrowed */
	const char *text = prefix && PyUnicode_Check(prefix) ? PyUnicode_AsUTF8(prefix) : NULL;
	int n = (int)strcspn(Py_GetVersion(), " ");

	PyErr_Clear();
	snprintf(out, size, "%.*s (%s)", n, Py_GetVersion(), text ? text : "?");
}

int
sn_interp_import(const char *name, struct sn_why *why)
{
	PyObject *module = PyImport_ImportModule(name);
	char what[512];

	if (module) {
		Py_DECREF(module);
		return 0;
	}
	snprintf(what, sizeof(what), "Python module %.300s could not be imported; mend it, or leave it "
	         "out of python.modules", name);
	return sn_interp_fail(why, what);
}
