/* SPDX-License-Identifier: MIT
 *
 * pyrt/venv.c and pyrt/modules.c: pure C, on made-up directories.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pyrt/modules.h"
#include "pyrt/venv.h"

static char top[] = "/tmp/sn-venv-XXXXXX";
static const char *const base = "/bin/sh"; /* some program that exists */

static const char *
in(const char *rel)
{
	static char path[4][PATH_MAX];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", top, rel);
	return path[n];
}

static void
put(const char *rel, const char *text)
{
	FILE *f = fopen(in(rel), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
make_dir(const char *rel)
{
	assert_int_equal(mkdir(in(rel), 0755), 0);
}

/* An environment that is as it should be, for Python 3.11. */
static const char *
good_venv(const char *name, const char *cfg)
{
	char rel[256];

	make_dir(name);
	snprintf(rel, sizeof(rel), "%s/bin", name);
	make_dir(rel);
	snprintf(rel, sizeof(rel), "%s/bin/python", name);
	assert_int_equal(symlink(base, in(rel)), 0);
	snprintf(rel, sizeof(rel), "%s/lib", name);
	make_dir(rel);
	snprintf(rel, sizeof(rel), "%s/lib/python3.11", name);
	make_dir(rel);
	snprintf(rel, sizeof(rel), "%s/lib/python3.11/site-packages", name);
	make_dir(rel);
	snprintf(rel, sizeof(rel), "%s/pyvenv.cfg", name);
	put(rel, cfg);
	return in(name);
}

static int
check(const char *dir, struct sn_why *warning, struct sn_why *why)
{
	char python[PATH_MAX];

	why->text[0] = '\0';
	return sn_venv_check(dir, base, 3, 11, python, sizeof(python), warning, why);
}

static void
test_good(void **state)
{
	const char *dir = good_venv("good", "home = /bin\ninclude-system-site-packages = false\n"
	                                    "version = 3.11.2\n");
	char python[PATH_MAX], want[PATH_MAX];
	struct sn_why warning, why;

	(void)state;
	assert_int_equal(sn_venv_check(dir, base, 3, 11, python, sizeof(python), &warning, &why), 0);
	snprintf(want, sizeof(want), "%s/bin/python", dir);
	assert_string_equal(python, want);
	assert_string_equal(warning.text, "");
	/* virtualenv and uv write another key */
	dir = good_venv("uv", "home=/bin\r\nimplementation = CPython\nversion_info = 3.11.9.final.0\n");
	assert_int_equal(check(dir, &warning, &why), 0);
	assert_string_equal(warning.text, "");
}

static void
test_other_minor(void **state)
{
	const char *dir = good_venv("minor", "home = /bin\nversion = 3.12.1\n");
	struct sn_why warning, why;

	(void)state;
	assert_int_equal(check(dir, &warning, &why), SN_ECONF);
	assert_non_null(strstr(why.text, "is for Python 3.12.1"));
	assert_non_null(strstr(why.text, "linked with Python 3.11"));
	assert_non_null(strstr(why.text, "-m venv --clear"));
}

static void
test_other_home(void **state)
{
	const char *dir = good_venv("home", "home = /tmp\nversion = 3.11.2\n");
	struct sn_why warning, why;

	(void)state;
	assert_int_equal(check(dir, &warning, &why), 0);
	assert_non_null(strstr(warning.text, "made by the Python in /tmp"));
}

static void
test_broken(void **state)
{
	struct sn_why warning, why;
	const char *dir;

	(void)state;
	assert_int_equal(check(in("nowhere"), &warning, &why), SN_ECONF);
	assert_non_null(strstr(why.text, "there is no directory"));
	make_dir("plain");
	assert_int_equal(check(in("plain"), &warning, &why), SN_ECONF);
	assert_non_null(strstr(why.text, "is not a virtual environment"));
	dir = good_venv("mute", "home = /bin\n");
	assert_int_equal(check(dir, &warning, &why), SN_ECONF);
	assert_non_null(strstr(why.text, "names no version"));
	dir = good_venv("bare", "home = /bin\nversion = 3.11.2\n");
	assert_int_equal(rmdir(in("bare/lib/python3.11/site-packages")), 0);
	assert_int_equal(check(dir, &warning, &why), SN_ECONF);
	assert_non_null(strstr(why.text, "no lib/python3.11/site-packages"));
	dir = good_venv("dangling", "home = /bin\nversion = 3.11.2\n");
	assert_int_equal(unlink(in("dangling/bin/python")), 0);
	assert_int_equal(symlink("/nonexistent/python", in("dangling/bin/python")), 0);
	assert_int_equal(check(dir, &warning, &why), SN_ECONF);
	assert_non_null(strstr(why.text, "cannot be run"));
}

static void
test_modules(void **state)
{
	static const char *const want[] = { "app", "compiled", "package", "zeta" };
	static const char *const files[] = { "zeta.py", "app.py", "_private.py", "test_app.py",
		"app_test.py", "conftest.py", "setup.py", "my-app.py", "notes.txt", ".hidden.py", "1st.py",
		"compiled.cpython-311-x86_64-linux-gnu.so" };
	struct sn_why why;
	char rel[256], **names;
	size_t n;

	(void)state;
	make_dir("m");
	for (size_t i = 0; i < SN_COUNT(files); i++) {
		snprintf(rel, sizeof(rel), "m/%s", files[i]);
		put(rel, "");
	}
	make_dir("m/package");
	put("m/package/__init__.py", "");
	put("m/package.py", "");
	make_dir("m/data"); /* no __init__.py */
	make_dir("m/__pycache__");
	assert_int_equal(sn_modules_list(in("m"), &names, &n, &why), 0);
	assert_int_equal(n, SN_COUNT(want));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(names[i], want[i]);
	assert_null(names[n]);
	sn_modules_free(names);
	assert_int_equal(sn_modules_list(in("none"), &names, &n, &why), SN_ENOENT);
	assert_non_null(strstr(why.text, "create the directory"));
	sn_modules_free(names);
	make_dir("empty");
	assert_int_equal(sn_modules_list(in("empty"), &names, &n, &why), 0);
	assert_int_equal(n, 0);
	sn_modules_free(names);
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[PATH_MAX + 16];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return system(cmd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),       cmocka_unit_test(test_other_minor),
		cmocka_unit_test(test_other_home), cmocka_unit_test(test_broken),
		cmocka_unit_test(test_modules),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
