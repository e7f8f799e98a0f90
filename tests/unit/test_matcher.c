/* SPDX-License-Identifier: MIT
 *
 * Rules, the matcher and the router: what matches and what wins, methods,
 * messages for wrong rules, and that neither many routes nor hostile paths
 * make a look-up slow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/method.h"
#include "route/router.h"

#define GET SN_METHOD_GET
#define POST SN_METHOD_POST

static struct sn_why why;

struct table {
	struct sn_endpoint e[64];
	size_t n;
	struct sn_matcher *m;
};

static void
add(struct table *t, const char *rule, uint64_t methods)
{
	t->e[t->n++] = (struct sn_endpoint){
		.rule = rule, .methods = methods, .name = rule, .file = "t.c", .line = (int)t->n
	};
}

static void
build(struct table *t)
{
	if (sn_matcher_new(&t->m, t->e, t->n, &why) != 0)
		fail_msg("%s", why.text);
}

static struct sn_match match;

/* The rule that answers, and its values as "a|b"; "-" for none, "405". */
static const char *
ask(const struct sn_matcher *m, const char *path, uint64_t method, char *values, size_t size)
{
	char *copy = malloc(strlen(path)); /* exact, so that ASan sees one byte too far */
	memcpy(copy, path, strlen(path));
	enum sn_match_result r = sn_matcher_find(m, copy, strlen(path), method, &match);
	values[0] = '\0';
	if (r == SN_MATCH_FOUND) {
		assert_int_equal(match.nvalues, match.info->nvariables);
		for (uint32_t i = 0; i < match.nvalues; i++) {
			size_t at = strlen(values);
			assert_true(match.values[i].off + match.values[i].len <= strlen(path));
			snprintf(values + at, size - at, "%s%.*s", i ? "|" : "",
			         (int)match.values[i].len, copy + match.values[i].off);
		}
	}
	free(copy);
	return r == SN_MATCH_FOUND       ? match.endpoint->rule
	       : r == SN_MATCH_NO_METHOD ? "405"
	       : r == SN_MATCH_SLASH     ? "308"
	                                 : "-";
}

static void
expect_at(const struct sn_matcher *m, const char *path, uint64_t method, const char *rule,
          const char *values, int line)
{
	char got[512];
	const char *r = ask(m, path, method, got, sizeof(got));
	if (strcmp(r, rule) != 0 || strcmp(got, values) != 0)
		fail_msg("line %d: '%s': got %s (%s), not %s (%s)", line, path, r, got, rule, values);
}
#define expect(t, path, rule, values) expect_at((t)->m, path, GET, rule, values, __LINE__)

/* One rule alone. */
static void
one_at(const char *rule, const char *path, const char *values, int line)
{
	struct table t = { .n = 0 };
	add(&t, rule, GET);
	build(&t);
	expect_at(t.m, path, GET, values ? rule : "-", values ? values : "", line);
	sn_matcher_free(t.m);
}
#define one(rule, path, values) one_at(rule, path, values, __LINE__)

/* One rule, and a path that lacks its last slash. */
static void
slashed_at(const char *rule, const char *path, int line)
{
	struct table t = { .n = 0 };
	add(&t, rule, GET);
	build(&t);
	expect_at(t.m, path, GET, "308", "", line);
	expect_at(t.m, path, POST, "-", "", line);
	sn_matcher_free(t.m);
	t.e[0].lax_slash = true;
	build(&t);
	char values[512];
	if (strcmp(ask(t.m, path, GET, values, sizeof(values)), rule) != 0)
		fail_msg("line %d: '%s' is not found by %s where slashes do not matter", line, path, rule);
	expect_at(t.m, path, POST, "405", "", line);
	sn_matcher_free(t.m);
}
#define slashed(rule, path) slashed_at(rule, path, __LINE__)

static void
slashes_at_the_end(void **state)
{
	(void)state;
	struct table t = { .n = 0 };
	slashed("/x/<int:id>/", "/x/7");
	slashed("/x/<any(a,b):v>/", "/x/a");
	slashed("/<path:p>/", "/a/b");
	slashed("/<path:p>/edit/", "/a/b/edit");
	one("/<path:p>/", "/a/b/", "a/b");
	one("/x/", "/x//", NULL);
	one("/x", "/x/", NULL);
	one("/", "/", "");
	one("/<x>", "/", NULL);

	/* what is there is found; the more specific rule decides */
	add(&t, "/a", POST);
	add(&t, "/a/", GET);
	add(&t, "/<x>", GET);
	add(&t, "/<x>/b", GET);
	add(&t, "/l", GET);
	t.e[4].lax_slash = true;
	add(&t, "/<path:p>/lax", GET);
	t.e[5].lax_slash = true;
	add(&t, "/m/", GET);
	add(&t, "/m", GET);
	build(&t);
	expect(&t, "/a", "308", "");
	expect_at(t.m, "/a", POST, "/a", "", __LINE__);
	expect_at(t.m, "/a", SN_METHOD_PUT, "405", "", __LINE__);
	expect(&t, "/b", "/<x>", "b");
	expect(&t, "/b/", "-", "");
	expect(&t, "/a/b", "/<x>/b", "a");
	expect(&t, "/l", "/l", "");
	expect(&t, "/l/", "/l", "");
	expect(&t, "/x/y/lax", "/<path:p>/lax", "x/y");
	expect(&t, "/x/y/lax/", "/<path:p>/lax", "x/y");
	expect(&t, "/m", "/m", "");
	expect(&t, "/m/", "/m/", "");
	sn_matcher_free(t.m);
}

static void
static_rules(void **state)
{
	(void)state;
	one("/", "/", "");
	one("/", "", NULL);
	one("/", "x", NULL);
	one("/", "/a", NULL);
	one("/a", "/a", "");
	one("/a", "/a/", NULL);
	one("/a/", "/a/", "");
	slashed("/a/", "/a");
	one("/a/b/c", "/a/b/c", "");
	one("/a/b/c", "/a/b", NULL);
	one("/a/b", "/a/b/c", NULL);
	one("/a", "/A", NULL);
	one("/gr\xc3\xbc\xc3\x9f", "/gr\xc3\xbc\xc3\x9f", "");
	one("/a", "*", NULL);
}

static void
converters(void **state)
{
	(void)state;
	one("/<x>", "/abc", "abc");
	one("/<string:x>", "/abc", "abc");
	one("/<x>", "/", NULL);
	one("/<x>", "/a/b", NULL);
	one("/<x>/b", "/a/b", "a");
	one("/<int:x>", "/0", "0");
	one("/<int:x>", "/123456789012345678901234567890", "123456789012345678901234567890");
	one("/<int:x>", "/-1", NULL);
	one("/<int:x>", "/1a", NULL);
	one("/<int:x>", "/", NULL);
	one("/<float:x>", "/1.5", "1.5");
	one("/<float:x>", "/1", NULL);
	one("/<float:x>", "/1.", NULL);
	one("/<float:x>", "/.5", NULL);
	one("/<float:x>", "/1.5.2", NULL);
	one("/<float:x>", "/-1.5", NULL);
	one("/<uuid:x>", "/0f8fad5b-d9cb-469f-A165-70867728950e", "0f8fad5b-d9cb-469f-A165-70867728950e");
	one("/<uuid:x>", "/0f8fad5b-d9cb-469f-a165-70867728950", NULL);
	one("/<uuid:x>", "/0f8fad5b-d9cb-469f-a165-70867728950ee", NULL);
	one("/<uuid:x>", "/0f8fad5b0d9cb-469f-a165-70867728950e", NULL);
	one("/<uuid:x>", "/0f8fad5b-d9cb-469f-a165-7086772895-e", NULL);
	one("/<path:x>", "/a/b/c", "a/b/c");
	one("/<path:x>", "/a/", "a/");
	one("/<path:x>", "/", NULL);
	one("/f/<path:x>", "/f//a", NULL);
	one("/f/<path:x>/edit", "/f/a/b/edit", "a/b");
	one("/f/<path:x>/edit", "/f/edit/edit/edit", "edit/edit");
	one("/f/<path:x>/edit", "/f/edit", NULL);
	one("/f/<path:x>/<int:n>", "/f/a/1/2", "a/1|2");
	one("/f/<path:a>/x/<path:b>", "/f/1/x/2/x/3", "1|2/x/3"); /* the first takes the least */
	one("/f/<path:a>.<ext>", "/f/a.b/c.d", "a.b/c|d");
	/* an encoded slash is a byte like others */
	one("/<x>/y", "/a\xff" "b/y", "a\xff" "b");
	one("/<path:x>", "/\xff" "b", "\xff" "b");
}

static void
text_around_variables(void **state)
{
	(void)state;
	one("/f-<int:a>.<name>", "/f-12.txt", "12|txt");
	one("/f-<int:a>.<name>", "/f-12.", NULL);
	one("/f-<int:a>.<name>", "/f-.txt", NULL);
	one("/f-<int:a>.<name>", "/g-1.txt", NULL);
	one("/<name>.json", "/a.json", "a");
	one("/<name>.json", "/a.json.json", "a.json");
	one("/<name>.json", "/.json", NULL);
	one("/<name>.json", "/json", NULL);
	one("/@<name>", "/@me", "me");
	one("/<a>-<b>", "/1-2-3", "1-2|3"); /* the first takes the most, as a regex does */
	one("/<a>-<b>", "/--", NULL);
	one("/<a>-<b>", "/---", "-|-");
	one("/<int:a>-<b>", "/1-2-3", "1|2-3");
	one("/<int:a><b>", "/123", "12|3");
	one("/<int:a><int:b>", "/1", NULL);
	one("/<a><int:b>", "/a12", "a1|2");
	one("/<float:a><b>", "/1.25", "1.2|5");
	one("/<float:a>-<float:b>", "/1.5-2.5", "1.5|2.5");
	one("/<a><float:b>", "/11.5", "1|1.5");
	one("/v<uuid:x>.<e>", "/v0f8fad5b-d9cb-469f-a165-70867728950e.z",
	    "0f8fad5b-d9cb-469f-a165-70867728950e|z");
	one("/<a><uuid:x>", "/00f8fad5b-d9cb-469f-a165-70867728950e",
	    "0|0f8fad5b-d9cb-469f-a165-70867728950e");
	one("/<a><uuid:x><b>", "/00f8fad5b-d9cb-469f-a165-70867728950ez",
	    "0|0f8fad5b-d9cb-469f-a165-70867728950e|z");
}

static void
the_more_specific_wins(void **state)
{
	(void)state;
	struct table t = { .n = 0 };
	/* in the worst order */
	add(&t, "/<path:p>", GET);
	add(&t, "/<path:p>/edit", GET);
	add(&t, "/<s>", GET);
	add(&t, "/<uuid:u>", GET);
	add(&t, "/<float:f>", GET);
	add(&t, "/<int:i>", GET);
	add(&t, "/v<s>", GET);
	add(&t, "/v<int:i>", GET);
	add(&t, "/v1", GET);
	add(&t, "/<s>/b", GET);
	add(&t, "/a/<s>", GET);
	add(&t, "/<s>/<s2>/c", GET);
	build(&t);
	expect(&t, "/v1", "/v1", "");
	expect(&t, "/v2", "/v<int:i>", "2");
	expect(&t, "/vx", "/v<s>", "x");
	expect(&t, "/7", "/<int:i>", "7");
	expect(&t, "/7.5", "/<float:f>", "7.5");
	expect(&t, "/0f8fad5b-d9cb-469f-a165-70867728950e", "/<uuid:u>",
	       "0f8fad5b-d9cb-469f-a165-70867728950e");
	expect(&t, "/x", "/<s>", "x");
	expect(&t, "/a/b", "/a/<s>", "b"); /* decided at the first segment that differs */
	expect(&t, "/x/b", "/<s>/b", "x");
	expect(&t, "/a/x/c", "/<s>/<s2>/c", "a|x"); /* comes back out of /a/... */
	expect(&t, "/a/x/d", "/<path:p>", "a/x/d");
	expect(&t, "/x/edit", "/<path:p>/edit", "x");
	expect(&t, "/", "-", "");
	sn_matcher_free(t.m);
}

static void
methods(void **state)
{
	(void)state;
	struct table t = { .n = 0 };
	add(&t, "/a", GET);
	add(&t, "/a", POST);
	add(&t, "/<x>", SN_METHOD_PUT);
	add(&t, "/h", GET);
	add(&t, "/h", SN_METHOD_HEAD);
	add(&t, "/o", GET | SN_METHOD_OPTIONS);
	add(&t, "/p/<int:x>", POST);
	add(&t, "/p/<x>", GET);
	build(&t);
	expect_at(t.m, "/a", GET, "/a", "", __LINE__);
	assert_ptr_equal(match.endpoint, &t.e[0]);
	expect_at(t.m, "/a", POST, "/a", "", __LINE__);
	assert_ptr_equal(match.endpoint, &t.e[1]);
	expect_at(t.m, "/a", SN_METHOD_HEAD, "/a", "", __LINE__);
	assert_ptr_equal(match.endpoint, &t.e[0]);
	/* the static rule does not hide the other one's method */
	expect_at(t.m, "/a", SN_METHOD_PUT, "/<x>", "a", __LINE__);
	expect_at(t.m, "/p/5", GET, "/p/<x>", "5", __LINE__);
	expect_at(t.m, "/p/5", POST, "/p/<int:x>", "5", __LINE__);
	expect_at(t.m, "/a", SN_METHOD_DELETE, "405", "", __LINE__);
	assert_int_equal(match.allow, GET | SN_METHOD_HEAD | POST | SN_METHOD_PUT | SN_METHOD_OPTIONS);
	assert_null(match.endpoint);
	expect_at(t.m, "/a", 0, "405", "", __LINE__); /* a method nobody knows */
	expect_at(t.m, "/z", GET, "405", "", __LINE__);
	assert_int_equal(match.allow, SN_METHOD_PUT | SN_METHOD_OPTIONS);
	expect_at(t.m, "/a", SN_METHOD_OPTIONS, "405", "", __LINE__); /* answered from `allow` */
	expect_at(t.m, "/o", SN_METHOD_OPTIONS, "/o", "", __LINE__);
	expect_at(t.m, "/h", SN_METHOD_HEAD, "/h", "", __LINE__);
	assert_ptr_equal(match.endpoint, &t.e[4]);
	expect_at(t.m, "/h", GET, "/h", "", __LINE__);
	assert_ptr_equal(match.endpoint, &t.e[3]);
	expect_at(t.m, "/q/r", GET, "-", "", __LINE__);
	assert_int_equal(match.allow, 0);
	sn_matcher_free(t.m);
}

/* Arguments narrow what a variable takes, alone and where variables share a segment. */
static void
arguments(void **state)
{
	(void)state;
	one("/<int(min=2, max=12):x>", "/2", "2");
	one("/<int(min=2, max=12):x>", "/012", "012");
	one("/<int(min=2, max=12):x>", "/1", NULL);
	one("/<int(min=2, max=12):x>", "/13", NULL);
	one("/<int(min=2):x>", "/99999999999999999999999", "99999999999999999999999");
	one("/<int(max=99999999999999999999999):x>", "/99999999999999999999999", "99999999999999999999999");
	one("/<int(max=99999999999999999999999):x>", "/100000000000000000000000", NULL);
	one("/<int(fixed_digits=4):x>", "/0012", "0012");
	one("/<int(4):x>", "/12", NULL);
	one("/<int(4):x>", "/00012", NULL);
	one("/<int(signed=True):x>", "/-7", "-7");
	one("/<int(signed=True):x>", "/7", "7");
	one("/<int(signed=True):x>", "/-", NULL);
	one("/<int(signed=True):x>", "/--7", NULL);
	one("/<int(signed=False):x>", "/-7", NULL);
	one("/<int(min=-7, signed=True):x>", "/-7", "-7");
	one("/<int(min=-7, signed=True):x>", "/-8", NULL);
	one("/<int(min=0, signed=True):x>", "/-0", "-0");
	one("/<float(min=-1.5, max=2, signed=True):x>", "/-1.50", "-1.50");
	one("/<float(min=-1.5, max=2, signed=True):x>", "/-1.51", NULL);
	one("/<float(min=-1.5, max=2, signed=True):x>", "/2.0", "2.0");
	one("/<float(min=-1.5, max=2, signed=True):x>", "/2.00001", NULL);
	one("/<float(0.5):x>", "/0.49", NULL);
	one("/<string(length=2):x>", "/de", "de");
	one("/<string(length=2):x>", "/d", NULL);
	one("/<string(length=2):x>", "/deu", NULL);
	one("/<string(length=2):x>", "/\xc3\xbc\xc3\x9f", "\xc3\xbc\xc3\x9f"); /* characters */
	one("/<string(length=2):x>", "/\xc3\xbc", NULL);
	one("/<string(2,3):x>", "/abcd", NULL);
	one("/<default(minlength=2):x>", "/abcd", "abcd");
	one("/<any(about, help, 'c d', \"a,b)>\"):x>", "/help", "help");
	one("/<any(about, help, 'c d', \"a,b)>\"):x>", "/c d", "c d");
	one("/<any(about, help, 'c d', \"a,b)>\"):x>", "/a,b)>", "a,b)>");
	one("/<any(about, help):x>", "/hel", NULL);
	one("/<any(about, help):x>", "/helps", NULL);
	one("/<any('a/b',c):x>/d", "/a/b/d", "a/b");
	one("/<any('a/b',c):x>/d", "/c/d", "c");
	/* several in a segment */
	one("/<any(a,ab):x><any(bc,c):y>", "/abc", "a|bc");
	one("/<any(ab,a):x><any(bc,c):y>", "/abc", "ab|c");
	one("/<any(a,ab):x>-<y>", "/ab-c", "ab|c");
	one("/<string(length=2):a><b>", "/xyz", "xy|z");
	one("/<string(length=2):a><b>", "/xy", NULL);
	one("/<a><string(maxlength=2):b>", "/wxyz", "wxy|z");
	one("/<a><string(minlength=2):b>", "/wxyz", "wx|yz");
	one("/<a><string(length=1):b>", "/x\xc3\xbc", "x|\xc3\xbc");
	one("/<a><b>", "/\xc3\xbc", NULL); /* a character is not cut */
	one("/<string(maxlength=2):a>-<string(maxlength=2):b>", "/a--b", "a-|b");
	one("/<a><int(signed=True):n>", "/a-12", "a-1|2"); /* the text takes the most */
	one("/<string(length=1):a><int(signed=True):n>", "/a-12", "a|-12");
	one("/<int(signed=True):a><int(signed=True):b>", "/-1-2", "-1|-2");
	one("/<int(signed=True):a>x<b>", "/-1xy", "-1|y");
	one("/v<int(min=2):a>.<int(max=3):b>", "/v2.3", "2|3");
	one("/v<int(min=2):a>.<int(max=3):b>", "/v2.4", NULL);

	struct table t = { .n = 0 };
	add(&t, "/n/<x>", GET);
	add(&t, "/n/<int:x>", GET);
	add(&t, "/n/<int(max=9):x>", GET);
	add(&t, "/n/<any(7,z):x>", GET);
	add(&t, "/n/<string(length=2):x>", GET);
	build(&t);
	expect(&t, "/n/7", "/n/<any(7,z):x>", "7");
	expect(&t, "/n/8", "/n/<int(max=9):x>", "8");
	expect(&t, "/n/10", "/n/<int:x>", "10"); /* what does not fit one rule may fit another */
	expect(&t, "/n/zz", "/n/<string(length=2):x>", "zz");
	expect(&t, "/n/zzz", "/n/<x>", "zzz");
	sn_matcher_free(t.m);
}

static void
infos_and_names(void **state)
{
	(void)state;
	struct table t = { .n = 0 };
	struct sn_endpoint other = { .rule = "/q" };
	add(&t, "/u/<int:id>", GET);
	add(&t, "/u/<int:number>", POST); /* the same rule, another name */
	add(&t, "/<path:rest>", GET);
	build(&t);
	expect_at(t.m, "/u/7", GET, "/u/<int:id>", "7", __LINE__);
	assert_string_equal(match.info->variables[0].name, "id");
	assert_int_equal(match.info->variables[0].converter, SN_CONV_INT);
	expect_at(t.m, "/u/7", POST, "/u/<int:number>", "7", __LINE__);
	assert_string_equal(match.info->variables[0].name, "number");
	assert_ptr_equal(match.info, sn_matcher_info(t.m, &t.e[1]));
	assert_string_equal(sn_matcher_info(t.m, &t.e[2])->variables[0].name, "rest");
	assert_null(sn_matcher_info(t.m, &other));
	sn_matcher_free(t.m);

	struct sn_rule_info info;
	assert_int_equal(sn_rule_check("/a/<int:x>/<y>", &info, &why), 0);
	assert_int_equal(info.nvariables, 2);
	assert_int_equal(info.variables[1].converter, SN_CONV_STRING);
	assert_null(info.variables[1].name);
	assert_int_equal(sn_rule_check("/a", NULL, NULL), 0);
}

static void
wrong_rules(void **state)
{
	static const struct {
		const char *rule, *says;
	} bad[] = {
		{ "", "begins with '/'" },
		{ "a/b", "write '/a/b'" },
		{ "/a/<int>", "rule '/a/<int>', character 4: '<int>' has a converter and no name; write <int:name>" },
		{ "/<int:>", "write <int:name>" },
		{ "/<>", "needs a name" },
		{ "/<:x>", "converter '' is not known" },
		{ "/a<x", "not closed" },
		{ "/<a<b>>", "not closed" },
		{ "/a>b", "character 3: '>' without '<'" },
		{ "/<integer:x>", "converter 'integer' is not known; write one of int, float, uuid, any, string, path" },
		{ "/<id:int>", "write <int:id>" },
		{ "/<int(min=a):x>", "rule '/<int(min=a):x>', character 12: min is a number such as 1, not 'a'" },
		{ "/<int(min=1.5):x>", "min is a number such as 1" },
		{ "/<float(min=1.5.5):x>", "min is a number such as 1.5" },
		{ "/<int(min=\"1\"):x>", "min is a number" },
		{ "/<int(min=5, max=4):x>", "min is above max" },
		{ "/<int(max=-4):x>", "add signed=True" },
		{ "/<int(min=1, min=2):x>", "min is there twice" },
		{ "/<int(1, fixed_digits=2):x>", "fixed_digits is there twice" },
		{ "/<int(fixed_digits=0):x>", "fixed_digits is a number from 1 to 99999999" },
		{ "/<int(least=1):x>", "int has no argument 'least'; it takes fixed_digits, min, max, signed" },
		{ "/<int(1,2,3,False,5):x>", "int takes no more arguments than fixed_digits, min, max, signed" },
		{ "/<int(signed=yes):x>", "signed is True or False" },
		{ "/<int():x>", "an argument is empty" },
		{ "/<int(min=1,):x>", "an argument is empty" },
		{ "/<int(min=1>", "no ')' at their end" },
		{ "/<int(min=1", "no ')' at their end" },
		{ "/<int(min:1):x>", "an argument is a word" },
		{ "/<int(min=1)>", "after ')' comes the name; write <int(...):name>" },
		{ "/<int(min=1):>", "the variable has no name" },
		{ "/<uuid(4):x>", "uuid takes no arguments; write <uuid:name>" },
		{ "/<path(4):x>", "path takes no arguments" },
		{ "/<string(length=2, minlength=1):x>", "keep the one or the others" },
		{ "/<string(minlength=3, maxlength=2):x>", "minlength is above maxlength" },
		{ "/<string(minlength=-1):x>", "from 1 to 99999999" },
		{ "/<any:x>", "any lists what it takes; write <any(a,b):x>" },
		{ "/<any():x>", "an argument is empty" },
		{ "/<any(a,a):x>", "'a' is there twice" },
		{ "/<any(a b):x>", "write '...' around others" },
		{ "/<any('a):x>", "no ' at its end" },
		{ "/<any('a\n'):x>", "control character" },
		{ "/<any(x=a):x>", "any() lists texts, and 'x=' is none" },
		{ "/<list(a):x>", "converter 'list' is not known" },
		{ "/<1x>", "cannot be a variable's name" },
		{ "/<int:a-b>", "cannot be a variable's name" },
		{ "/<x>/<int:x>", "there twice" },
		{ "/a//b", "character 4: an empty segment" },
		{ "//", "an empty segment" },
		{ "/<path:x>//b", "an empty segment" },
		{ "/a/../b", "'..' segment" },
		{ "/./b", "'.' segment" },
		{ "/s?q=<q>", "query string" },
		{ "/a%20b", "not '%20'" },
		{ "/a\nb", "control character" },
		{ "/a\xff", "character 3: a byte that is not UTF-8" },
		{ "/<x>\x80", "character 5: a byte that is not UTF-8" },
		{ "/<a>/<b>/<c>/<d>/<e>/<f>/<g>/<h>/<i>/<j>/<k>/<l>/<m>/<n>/<o>/<p>/<q>",
		  "more than 16 variables" },
	};
	(void)state;
	for (size_t i = 0; i < SN_COUNT(bad); i++) {
		why.text[0] = '\0';
		assert_int_equal(sn_rule_check(bad[i].rule, NULL, &why), SN_EINVAL);
		if (!strstr(why.text, bad[i].says))
			fail_msg("'%s': said \"%s\", not \"%s\"", bad[i].rule, why.text, bad[i].says);
	}
	char longest[4000] = "/";
	memset(longest + 1, 'a', sizeof(longest) - 2);
	assert_int_equal(sn_rule_check(longest, NULL, &why), SN_EINVAL);
	assert_non_null(strstr(why.text, "3999 characters"));
	/* the table's maker sees the same */
	struct sn_endpoint e = { .rule = "/<int>", .methods = GET };
	struct sn_matcher *m;
	assert_int_equal(sn_matcher_new(&m, &e, 1, &why), SN_EINVAL);
	assert_null(m);
	assert_non_null(strstr(why.text, "<int:name>"));
	e = (struct sn_endpoint){ .rule = "/x", .methods = 0, .name = "h" };
	assert_int_equal(sn_matcher_new(&m, &e, 1, &why), SN_EINVAL);
	assert_non_null(strstr(why.text, "no method"));
}

static void
duplicates(void **state)
{
	(void)state;
	struct table t = { .n = 0 };
	add(&t, "/u/<int:a>/x", GET | POST);
	add(&t, "/u/<int:b>/x", POST);
	t.e[0].name = "first";
	t.e[1].name = "second";
	assert_int_equal(sn_matcher_new(&t.m, t.e, t.n, &why), SN_EINVAL);
	assert_null(t.m);
	assert_non_null(strstr(why.text, "POST"));
	assert_null(strstr(why.text, "GET"));
	assert_non_null(strstr(why.text, "'first' (t.c:1)"));
	assert_non_null(strstr(why.text, "'second' (t.c:2)"));
	/* another converter is another rule */
	t.e[1].rule = "/u/<b>/x";
	build(&t);
	sn_matcher_free(t.m);
	t.e[0].rule = "/u-<int:a>";
	t.e[1].rule = "/u.<int:a>";
	build(&t);
	sn_matcher_free(t.m);
	/* empty tables are tables */
	assert_int_equal(sn_matcher_new(&t.m, NULL, 0, &why), 0);
	expect(&t, "/", "-", "");
	sn_matcher_free(t.m);
	sn_matcher_free(NULL);
}

static void
shadows(void **state)
{
	(void)state;
	struct table t = { .n = 0 };
	add(&t, "/a", GET);
	add(&t, "/u/<int:id>", POST);
	add(&t, "/f/<path:p>", GET);
	build(&t);
	struct sn_endpoint e = { .rule = "/a", .methods = GET };
	assert_ptr_equal(sn_matcher_shadows(t.m, &e), &t.e[0]);
	e.methods = SN_METHOD_HEAD; /* native GET answers HEAD as well */
	assert_ptr_equal(sn_matcher_shadows(t.m, &e), &t.e[0]);
	e.methods = POST;
	assert_null(sn_matcher_shadows(t.m, &e));
	e = (struct sn_endpoint){ .rule = "/u/<int:other>", .methods = GET | POST };
	assert_ptr_equal(sn_matcher_shadows(t.m, &e), &t.e[1]);
	e.rule = "/u/<other>";
	assert_null(sn_matcher_shadows(t.m, &e));
	e.rule = "/f/x/y"; /* static, and a pattern answers it */
	assert_ptr_equal(sn_matcher_shadows(t.m, &e), &t.e[2]);
	e.rule = "/f/x/<y>";
	assert_null(sn_matcher_shadows(t.m, &e));
	e.rule = "/u/<";
	assert_null(sn_matcher_shadows(t.m, &e));
	sn_matcher_free(t.m);
}

static void
router(void **state)
{
	(void)state;
	struct table c = { .n = 0 }, py = { .n = 0 };
	add(&c, "/a", GET);
	add(&c, "/<x>/b", GET);
	add(&py, "/a", GET | POST);
	add(&py, "/c", POST);
	add(&py, "/a/b", GET);
	build(&c);
	build(&py);
	struct sn_router both = { c.m, py.m }, none = { NULL, NULL }, just_c = { c.m, NULL };
	assert_int_equal(sn_router_find(&both, "/a", 2, GET, &match), SN_MATCH_FOUND);
	assert_ptr_equal(match.endpoint, &c.e[0]);
	assert_int_equal(sn_router_find(&both, "/a", 2, POST, &match), SN_MATCH_FOUND);
	assert_ptr_equal(match.endpoint, &py.e[0]);
	/* native wins even where the Python rule is the more specific */
	assert_int_equal(sn_router_find(&both, "/a/b", 4, GET, &match), SN_MATCH_FOUND);
	assert_ptr_equal(match.endpoint, &c.e[1]);
	assert_int_equal(sn_router_find(&both, "/a", 2, SN_METHOD_PUT, &match), SN_MATCH_NO_METHOD);
	assert_int_equal(match.allow, GET | POST | SN_METHOD_HEAD | SN_METHOD_OPTIONS);
	assert_int_equal(sn_router_find(&both, "/a/b", 4, POST, &match), SN_MATCH_NO_METHOD);
	assert_int_equal(sn_router_find(&both, "/d", 2, GET, &match), SN_MATCH_NO_PATH);
	assert_int_equal(sn_router_find(&just_c, "/c", 2, POST, &match), SN_MATCH_NO_PATH);
	assert_int_equal(sn_router_find(&just_c, "/a", 2, POST, &match), SN_MATCH_NO_METHOD);
	assert_int_equal(match.allow, GET | SN_METHOD_HEAD | SN_METHOD_OPTIONS);
	assert_int_equal(sn_router_find(&none, "/a", 2, GET, &match), SN_MATCH_NO_PATH);
	assert_null(match.endpoint);
	sn_matcher_free(c.m);
	sn_matcher_free(py.m);
}

/* ---- cost -------------------------------------------------------------------- */

/* Of this thread: what else the machine does costs nothing here. */
static int64_t
cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static double
ns_a_lookup(size_t n)
{
	struct sn_endpoint *e = calloc(n, sizeof(*e));
	char (*rules)[48] = calloc(n, sizeof(*rules));
	struct sn_matcher *m;
	char path[64];
	for (size_t i = 0; i < n; i++) {
		snprintf(rules[i], sizeof(rules[i]), i % 2 ? "/api/r%zu" : "/r%zu/<int:id>/x", i);
		e[i] = (struct sn_endpoint){ .rule = rules[i], .methods = GET };
	}
	assert_int_equal(sn_matcher_new(&m, e, n, &why), 0);
	double best = 1e18;
	for (int round = 0; round < 5; round++) {
		int64_t t0 = cpu_ns();
		for (size_t k = 0; k < 2000; k++) {
			size_t i = k * 7919 % n;
			int len = snprintf(path, sizeof(path), i % 2 ? "/api/r%zu" : "/r%zu/42/x", i);
			assert_int_equal(sn_matcher_find(m, path, (size_t)len, GET, &match),
			                 SN_MATCH_FOUND);
			assert_ptr_equal(match.endpoint, &e[i]);
		}
		double ns = (double)(cpu_ns() - t0) / 2000;
		best = ns < best ? ns : best;
	}
	sn_matcher_free(m);
	free(rules);
	free(e);
	return best;
}

static void
many_routes_cost_no_more(void **state)
{
	(void)state;
	double few = ns_a_lookup(10), many = ns_a_lookup(10000);
	print_message("# a look-up: %.0f ns of 10 routes, %.0f ns of 10000\n", few, many);
	assert_true(many < few * 30 + 2000); /* linear would be a thousand times */
}

static void
hostile_paths_cost_little(void **state)
{
	enum { LEN = 100000 };
	static char path[LEN + 64];
	(void)state;
	struct table t = { .n = 0 };
	add(&t, "/s/<a>-<b>-<c>-<d>-<e>-<f>-<g>-<h>!", GET);
	add(&t, "/n/<int:a><int:b><int:c><int:d><int:e><int:f><int:g><int:h>x<int:i>", GET);
	add(&t, "/p/<path:a>/<path:b>/<path:c>/<path:d>/<path:e>/<path:f>/<path:g>/z", GET);
	add(&t, "/f/<float:a><float:b><float:c><float:d><float:e>", GET);
	build(&t);
	int64_t t0 = cpu_ns();
	char got[64];
	memcpy(path, "/s/", 3);
	memset(path + 3, '-', LEN);
	assert_string_equal(ask(t.m, path, GET, got, sizeof(got)), "-");
	memcpy(path, "/n/", 3);
	memset(path + 3, '7', LEN);
	assert_string_equal(ask(t.m, path, GET, got, sizeof(got)), "-");
	memcpy(path, "/p/", 3);
	for (int i = 0; i < LEN; i++)
		path[3 + i] = i % 2 ? '/' : 'a';
	assert_string_equal(ask(t.m, path, GET, got, sizeof(got)), "-");
	memcpy(path, "/f/", 3);
	for (int i = 0; i < LEN; i++)
		path[3 + i] = i % 2 ? '.' : '1';
	assert_string_equal(ask(t.m, path, GET, got, sizeof(got)), "-");
	/* trying out would take 10^20 steps and more; a sanitizer makes it ten times slower */
	assert_true(cpu_ns() - t0 < INT64_C(3000000000));

	/* a long one that does match, with the choice made right */
	memset(path, 0, sizeof(path));
	memcpy(path, "/s/", 3);
	memset(path + 3, '-', LEN);
	path[3 + LEN] = '!';
	assert_int_equal(sn_matcher_find(t.m, path, strlen(path), GET, &match), SN_MATCH_FOUND);
	assert_int_equal(match.values[0].len, LEN - 14);
	for (int i = 1; i < 8; i++)
		assert_int_equal(match.values[i].len, 1);
	sn_matcher_free(t.m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(static_rules),
		cmocka_unit_test(slashes_at_the_end),
		cmocka_unit_test(converters),
		cmocka_unit_test(text_around_variables),
		cmocka_unit_test(the_more_specific_wins),
		cmocka_unit_test(methods),
		cmocka_unit_test(arguments),
		cmocka_unit_test(infos_and_names),
		cmocka_unit_test(wrong_rules),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(shadows),
		cmocka_unit_test(router),
		cmocka_unit_test(many_routes_cost_no_more),
		cmocka_unit_test(hostile_paths_cost_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
