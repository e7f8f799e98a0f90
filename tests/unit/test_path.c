/* SPDX-License-Identifier: MIT
 *
 * Which path is routed by: a row for what each front server sends, and for each
 * thing that is refused. In `match`, '|' stands for an encoded slash.
 */
#include "cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/path.h"

enum { AUTO = SN_PATH_AUTO, URI = SN_PATH_REQUEST_URI, SCRIPT = SN_PATH_SCRIPT_NAME };

static const struct row {
	const char *what;
	int source;
	const char *script_name, *path_info, *document_uri, *request_uri, *prefix;
	int status;
	const char *path, *match; /* match NULL: the same */
} rows[] = {
	/* what front servers send */
	{ "nginx fastcgi", AUTO, "/a b/c", NULL, "/a b/c", "/a%20b/c?q=1", "", 0, "/a b/c", NULL },
	{ "nginx split path info", AUTO, "/app", "/x/y", "/app/x/y", "/app/x/y", "", 0, "/app/x/y",
	  NULL },
	{ "nginx scgi", AUTO, NULL, NULL, "/u/1", "/u/1?q", "", 0, "/u/1", NULL },
	{ "nginx rewritten", AUTO, "/new", NULL, "/new", "/old", "", 0, "/new", NULL },
	{ "nginx merged", AUTO, "/a/b", NULL, "/a/b", "/a//b", "", 0, "/a/b", NULL },
	{ "nginx encoded slash", AUTO, "/a/b/c", NULL, "/a/b/c", "/a/b%2Fc?x", "", 0, "/a/b/c",
	  "/a/b|c" },
	{ "nginx encoded slash, lower case, merged", AUTO, "/a/b/c", NULL, "/a/b/c", "//a//b%2fc", "",
	  0, "/a/b/c", "/a/b|c" },
	{ "nginx two encoded slashes", AUTO, "/a/b", NULL, "/a/b", "/a%2F%2fb", "", 0, "/a/b",
	  "/a|b" },
	{ "Apache ProxyPass", AUTO, "/a/b", NULL, NULL, "/a/b?x", "", 0, "/a/b", NULL },
	{ "Apache absolute form", AUTO, NULL, NULL, NULL, "http://h:80/a%41//b?x=/y", "", 0, "/aA/b",
	  NULL },
	{ "Apache NoDecode", AUTO, "/a%2Fb", NULL, NULL, "/a%2Fb", "", 0, "/a%2Fb", NULL },
	{ "Caddy", AUTO, "", "/a/b", "", "/a/b?q", "", 0, "/a/b", NULL },
	{ "Caddy encoded slash", AUTO, "", "/a/b", "/a/b", "/a%2Fb", "", 0, "/a/b", "/a|b" },
	{ "Caddy handle_path", AUTO, "", "/a/b", "/a/b", "/api/a%2Fb", "", 0, "/a/b", NULL },
	{ "lighttpd prefix", AUTO, "/app", "/x", NULL, "/app/x", "", 0, "/app/x", NULL },
	{ "lighttpd fix-root-scriptname", AUTO, "", "/x", NULL, "/x", "", 0, "/x", NULL },
	{ "HAProxy", AUTO, "/x/y", NULL, NULL, "/x/y?q", "", 0, "/x/y", NULL },
	{ "HAProxy path-info", AUTO, "/x", "/y", NULL, "/x/y", "", 0, "/x/y", NULL },
	/* choosing */
	{ "script ends with a slash", AUTO, "/", "/y", NULL, NULL, "", 0, "/y", NULL },
	{ "script name is no path", AUTO, "x", "/y", "/doc", "/uri", "", 0, "/doc", NULL },
	{ "nothing but REQUEST_URI", AUTO, "", "", "", "/uri", "", 0, "/uri", NULL },
	{ "forced request_uri", URI, "/s", NULL, "/d", "/u%2fv/w", "", 0, "/u/v/w", "/u|v/w" },
	{ "forced script_name", SCRIPT, "/s", "/p", "/d", "/u", "", 0, "/s/p", NULL },
	{ "forced script_name, none", SCRIPT, "", NULL, "/d", "/u", "", 400, NULL, NULL },
	{ "nothing", AUTO, NULL, NULL, NULL, NULL, "", 400, NULL, NULL },
	{ "asterisk", AUTO, NULL, NULL, NULL, "*", "", 400, NULL, NULL },
	{ "authority form", AUTO, NULL, NULL, NULL, "host:80", "", 400, NULL, NULL },
	{ "absolute, no path", AUTO, NULL, NULL, NULL, "https://host", "", 0, "/", NULL },
	{ "absolute, query only", AUTO, NULL, NULL, NULL, "https://host?q=/x", "", 0, "/", NULL },
	{ "query only", AUTO, NULL, NULL, NULL, "?q", "", 400, NULL, NULL },
	{ "empty authority", AUTO, NULL, NULL, NULL, "http:///x", "", 0, "/x", NULL },
	{ "fragment", AUTO, NULL, NULL, NULL, "/x#y", "", 0, "/x", NULL },
	{ "two slashes first", AUTO, NULL, NULL, NULL, "//host/x", "", 0, "/host/x", NULL },
	/* normalising */
	{ "trailing slash", AUTO, "/a/", NULL, NULL, NULL, "", 0, "/a/", NULL },
	{ "many slashes", AUTO, "///a////b//", NULL, NULL, NULL, "", 0, "/a/b/", NULL },
	{ "joined slashes", AUTO, "/a/", "//b", NULL, NULL, "", 0, "/a/b", NULL },
	{ "merged and encoded", AUTO, "/a//b//c", NULL, NULL, "/a//b%2Fc", "", 0, "/a/b/c", "/a/b|c" },
	{ "literal beside encoded", URI, NULL, NULL, NULL, "/a/%2Fb%2F/c", "", 0, "/a/b/c", NULL },
	{ "encoded only once", URI, NULL, NULL, NULL, "/a%252Fb", "", 0, "/a%2Fb", NULL },
	{ "plus is a plus", URI, NULL, NULL, NULL, "/a+b", "", 0, "/a+b", NULL },
	{ "UTF-8", AUTO, "/caf\xc3\xa9", NULL, NULL, NULL, "", 0, "/caf\xc3\xa9", NULL },
	{ "UTF-8 encoded", URI, NULL, NULL, NULL, "/caf%C3%A9", "", 0, "/caf\xc3\xa9", NULL },
	{ "dots in names", AUTO, "/a.b/..c/d../...", NULL, NULL, NULL, "", 0, "/a.b/..c/d../...",
	  NULL },
	/* refusing */
	{ "dot", AUTO, "/a/./b", NULL, NULL, NULL, "", 400, NULL, NULL },
	{ "dot at the end", AUTO, "/a/.", NULL, NULL, NULL, "", 400, NULL, NULL },
	{ "dots", AUTO, "/a/../b", NULL, NULL, NULL, "", 400, NULL, NULL },
	{ "dots at the end", AUTO, "/..", NULL, NULL, NULL, "", 400, NULL, NULL },
	{ "dots across the parts", AUTO, "/a/.", "./b", NULL, NULL, "", 400, NULL, NULL },
	{ "encoded dots", URI, NULL, NULL, NULL, "/a/%2e%2E/b", "", 400, NULL, NULL },
	{ "dots between encoded slashes", URI, NULL, NULL, NULL, "/a%2F..%2Fb", "", 400, NULL, NULL },
	{ "encoded dot", URI, NULL, NULL, NULL, "/%2e", "", 400, NULL, NULL },
	{ "NUL", URI, NULL, NULL, NULL, "/a%00b", "", 400, NULL, NULL },
	{ "bad escape", URI, NULL, NULL, NULL, "/a%zz", "", 400, NULL, NULL },
	{ "cut escape", URI, NULL, NULL, NULL, "/a%2", "", 400, NULL, NULL },
	{ "escape cut by the query", URI, NULL, NULL, NULL, "/a%2?F", "", 400, NULL, NULL },
	{ "bad escape elsewhere", AUTO, "/a", NULL, NULL, "/a%zz%2F", "", 0, "/a", NULL },
	{ "bad UTF-8", AUTO, "/a\xe9", NULL, NULL, NULL, "", 400, NULL, NULL },
	{ "bad UTF-8 encoded", URI, NULL, NULL, NULL, "/a%e9", "", 400, NULL, NULL },
	{ "overlong slash", URI, NULL, NULL, NULL, "/a%c0%af", "", 400, NULL, NULL },
	{ "the mark itself", URI, NULL, NULL, NULL, "/a%ffb", "", 400, NULL, NULL },
	{ "the raw mark itself", URI, NULL, NULL, NULL, "/a\xff" "b", "", 400, NULL, NULL },
	{ "the mark in SCRIPT_NAME", AUTO, "/a\xff" "b", NULL, NULL, "/a%2Fb", "", 400, NULL, NULL },
	/* prefix */
	{ "prefix", AUTO, "/app/x", NULL, NULL, NULL, "/app", 0, "/x", NULL },
	{ "prefix alone", AUTO, "/app", NULL, NULL, NULL, "/app", 0, "/", NULL },
	{ "prefix with slash", AUTO, "/app/", NULL, NULL, NULL, "/app", 0, "/", NULL },
	{ "outside the prefix", AUTO, "/apple", NULL, NULL, NULL, "/app", 404, NULL, NULL },
	{ "above the prefix", AUTO, "/ap", NULL, NULL, NULL, "/app", 404, NULL, NULL },
	{ "prefix and encoded", AUTO, "/app/x/y", NULL, NULL, "/app/x%2Fy", "/app", 0, "/x/y",
	  "/x|y" },
	{ "encoded behind the prefix", AUTO, "/app/x", NULL, NULL, "/app%2Fx", "/app", 404, NULL,
	  NULL },
	{ "encoded inside the prefix", AUTO, "/a/b/x", NULL, NULL, "/a%2Fb/x", "/a/b", 404, NULL,
	  NULL },
	{ "rewritten behind an encoded slash", AUTO, "/a/b/c", NULL, NULL, "/a%2Fb", "", 0, "/a/b/c",
	  NULL },
	{ "cut behind an encoded slash", AUTO, "/a/b", NULL, NULL, "/a%2Fb/c", "", 0, "/a/b", NULL },
	{ "no prefix", AUTO, "/x", NULL, NULL, NULL, NULL, 0, "/x", NULL },
};

static char *
copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static void
check(const struct row *r)
{
	struct sn_path out;
	const char *reason = NULL;
	char *own[4] = { copy(r->script_name), copy(r->path_info), copy(r->document_uri),
		             copy(r->request_uri) };
	struct sn_path_in in = { own[0], own[1], own[2], own[3], (enum sn_path_source)r->source,
		                     r->prefix };
	char *buf = malloc(sn_path_room(&in));
	assert_non_null(buf);
	int status = sn_path_resolve(&in, buf, sn_path_room(&in), &out, &reason);
	if (status != r->status)
		fail_msg("%s: status %d (%s)", r->what, status, reason ? reason : "-");
	if (status)
		assert_non_null(reason);
	else {
		char match[256];
		snprintf(match, sizeof(match), "%s", out.match);
		for (char *p = match; *p; p++)
			if (*p == SN_PATH_SLASH)
				*p = '|';
		if (strcmp(out.path, r->path) != 0 || strcmp(match, r->match ? r->match : r->path) != 0)
			fail_msg("%s: '%s', match '%s'", r->what, out.path, match);
		assert_int_equal(out.len, strlen(r->path));
	}
	free(buf);
	for (int i = 0; i < 4; i++)
		free(own[i]);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < SN_COUNT(rows); i++)
		check(&rows[i]);
}

static void
test_zero_copy(void **state)
{
	(void)state;
	struct sn_path out;
	const char *reason;
	char buf[64];
	struct sn_path_in in = { .script_name = "/app/users/7", .path_info = "", .prefix = "/app" };
	assert_int_equal(sn_path_resolve(&in, buf, sn_path_room(&in), &out, &reason), 0);
	assert_ptr_equal(out.path, in.script_name + 4);
	assert_ptr_equal(out.match, out.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_zero_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
