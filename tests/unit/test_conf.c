/* SPDX-License-Identifier: MIT
 *
 * The configuration: defaults, the file, single keys, and for every wrong one
 * the file, the line, the key and the mend. Also that the manual names every
 * key with its default.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf_priv.h"

static struct sn_why why, warnings;
static char dir[256];
static char file[300];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/sn-conf-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/snacgi.conf", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	char command[400];
	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) ? -1 : 0;
}

static void
write_at(const char *name, const char *text, size_t len)
{
	char path[600];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, len, out), len);
	fclose(out);
}

static struct sn_conf *
fresh(void)
{
	struct sn_conf *c = sn_conf_new();
	assert_non_null(c);
	return c;
}

static int
load(struct sn_conf *c, const char *text)
{
	write_at("snacgi.conf", text, strlen(text));
	strcpy(why.text, "what was there before");
	warnings.text[0] = '\0';
	return sn_conf_load(c, file, &why, &warnings);
}

static struct sn_conf *
loaded(const char *text)
{
	struct sn_conf *c = fresh();
	assert_non_null(c);
	if (load(c, text) != 0)
		fail_msg("%s", why.text);
	return c;
}

/* The text is wrong, and the message says so. "@" stands for the file. */
static void
refused_at(const char *text, const char *says, int line)
{
	char expected[1000], *at = expected;
	memset(expected, 0, sizeof(expected));
	for (const char *p = says; *p; p++)
		if (*p == '@')
			at = stpcpy(at, file);
		else
			*at++ = *p;
	struct sn_conf *c = fresh();
	int rc = load(c, text);
	if (rc != SN_ECONF || !strstr(why.text, expected))
		fail_msg("line %d: said (%d) \"%s\", not \"%s\"", line, rc, rc ? why.text : "", expected);
	sn_conf_free(c);
}
#define refused(text, says) refused_at(text, says, __LINE__)

static void
defaults(void **state)
{
	struct sn_conf *c = fresh();
	(void)state;
	assert_int_equal(c->processes, 1);
	assert_int_equal(c->io_threads, 0);
	assert_int_equal(c->queue, 1024);
	assert_false(c->debug);
	assert_string_equal(c->user, "");
	assert_string_equal(c->pid_file, "");
	assert_string_equal(c->spool_dir, "");
	assert_false(c->python.dir_named);
	assert_int_equal(c->python.modules.n, 0);
	assert_string_equal(c->python.venv, "");
	assert_int_equal(c->python.dispatch_workers, 4);
	assert_int_equal(c->python.pool_workers, 4);
	assert_string_equal(c->python.json, "builtin");
	assert_string_equal(c->python.nan, "error");
	assert_string_equal(c->python.loop, "asyncio");
	assert_int_equal(c->native.blocking_threads, 64);
	assert_int_equal(c->limits.body, 16 << 20);
	assert_int_equal(c->limits.memory_body, 64 << 10);
	assert_int_equal(c->limits.params, 128 << 10);
	assert_int_equal(c->limits.head, 4096);
	assert_int_equal(c->limits.send_buffer, 256 << 10);
	assert_int_equal(c->limits.headers, 128);
	assert_int_equal(c->limits.connections, 16384);
	assert_int_equal(c->limits.async, 16384);
	assert_int_equal(c->limits.requests, 16384);
	assert_true(c->timeouts.read == 30 && c->timeouts.queue == 10 && c->timeouts.request == 60);
	assert_true(c->timeouts.write == 60 && c->timeouts.idle == 75 && c->timeouts.shutdown == 30);
	assert_true(c->timeouts.stream == 60 && c->timeouts.background == 300);
	assert_string_equal(c->log.level, "info");
	assert_string_equal(c->log.format, "text");
	assert_string_equal(c->log.file, "");
	assert_null(c->file);
	assert_int_equal(c->nlisten, 0);
	char expected[4200], *cwd = getcwd(NULL, 0);
	snprintf(expected, sizeof(expected), "%s/python", cwd);
	free(cwd);
	assert_int_equal(sn_conf_finish(c, &why), 0);
	assert_string_equal(c->python.dir, expected);
	assert_false(c->python.dir_named);
	assert_true(c->io_threads >= 1);
	sn_conf_free(c);
	sn_conf_free(NULL);
}

static void
a_whole_file(void **state)
{
	char expected[400];
	(void)state;
	struct sn_conf *c = loaded(
		"# everything\n"
		"listen = ( { protocol = \"scgi\"; address = \"unix:run/x.sock\"; mode = \"0600\"; owner = \"me\";\n"
		"             group = \"www-data\"; backlog = 5; prefix = \"/app\"; path = \"request_uri\"; },\n"
		"           { address = \"127.0.0.1:9000\"; allow = [ \"10.0.0.0/8\", \"::1\" ]; },\n"
		"           { address = \":0\"; allow = ( \"fd00::/8\" ); path = \"script_name\"; },\n"
		"           { address = \"unix:@abs\"; }, { address = \"fd:3\"; }, { address = \"systemd:web\"; } );\n"
		"processes = 3; io_threads = 2; queue = 7; debug = true; user = \"u\"; group = \"g\";\n"
		"pid_file = \"p.pid\"; spool_dir = \"/var/tmp\";\n"
		"python : { dir = \"./py\"; modules = ( \"a\", \"b.c\" ); venv = \"v\"; dispatch_workers = 1;\n"
		"  pool_workers = 2; json = \"orjson\"; nan = \"null\"; loop = \"uvloop\"; };\n"
		"native = { modules = [ \"m.so\", \"/abs.so\" ]; blocking_threads = 9; };\n"
		"limits = { body = 3000000000L; memory_body = 0; params = \"1 MiB\"; head = 1000;\n"
		"  send_buffer = \"1m\"; headers = 1; connections = 2; async = 3; };\n"
		"timeouts = { read = 1; queue = 0.5; request = 1e2; write = 4L; idle = 5.; shutdown = 0; };\n"
		"log = { level = \"debug\"; file = \"l\"; access = \"a\"; format = \"json\"; };\n");
	assert_string_equal(warnings.text, "");
	assert_string_equal(c->file, file);
	assert_int_equal(c->nlisten, 6);
	struct sn_conf_listen *l = c->listen;
	snprintf(expected, sizeof(expected), "%s/run/x.sock", dir);
	assert_string_equal(l[0].protocol, "scgi");
	assert_string_equal(l[0].address, "unix:run/x.sock");
	assert_int_equal(l[0].kind, SN_ADDR_UNIX);
	assert_string_equal(l[0].path, expected);
	assert_int_equal(l[0].mode, 0600);
	assert_string_equal(l[0].owner, "me");
	assert_string_equal(l[0].group, "www-data");
	assert_int_equal(l[0].backlog, 5);
	assert_string_equal(l[0].prefix, "/app");
	assert_int_equal(l[0].path_source, 1);
	assert_string_equal(l[1].protocol, "fastcgi");
	assert_int_equal(l[1].kind, SN_ADDR_TCP);
	assert_string_equal(l[1].host, "127.0.0.1");
	assert_int_equal(l[1].port, 9000);
	assert_int_equal(l[1].mode, 0660);
	assert_int_equal(l[1].backlog, 1024);
	assert_int_equal(l[1].path_source, 0);
	assert_int_equal(l[1].allow.n, 2);
	assert_string_equal(l[1].allow.item[1], "::1");
	assert_null(l[1].allow.item[2]);
	assert_true(l[1].networks[0].ipv4);
	assert_int_equal(l[1].networks[0].bits, 104);
	assert_int_equal(l[1].networks[1].bits, 128);
	assert_string_equal(l[2].host, "");
	assert_int_equal(l[2].path_source, 2);
	assert_int_equal(l[3].kind, SN_ADDR_ABSTRACT);
	assert_string_equal(l[3].path, "abs");
	assert_int_equal(l[4].fd, 3);
	assert_int_equal(l[5].kind, SN_ADDR_SYSTEMD);
	assert_string_equal(l[5].path, "web");
	assert_int_equal(c->processes, 3);
	assert_int_equal(c->io_threads, 2);
	assert_int_equal(c->queue, 7);
	assert_true(c->debug);
	assert_string_equal(c->user, "u");
	assert_string_equal(c->group, "g");
	snprintf(expected, sizeof(expected), "%s/p.pid", dir);
	assert_string_equal(c->pid_file, expected);
	assert_string_equal(c->spool_dir, "/var/tmp");
	snprintf(expected, sizeof(expected), "%s/py", dir);
	assert_string_equal(c->python.dir, expected);
	assert_true(c->python.dir_named);
	assert_int_equal(c->python.modules.n, 2);
	assert_string_equal(c->python.modules.item[1], "b.c");
	snprintf(expected, sizeof(expected), "%s/v", dir);
	assert_string_equal(c->python.venv, expected);
	assert_int_equal(c->python.dispatch_workers, 1);
	assert_int_equal(c->python.pool_workers, 2);
	assert_string_equal(c->python.json, "orjson");
	assert_string_equal(c->python.nan, "null");
	assert_string_equal(c->python.loop, "uvloop");
	snprintf(expected, sizeof(expected), "%s/m.so", dir);
	assert_string_equal(c->native.modules.item[0], expected);
	assert_string_equal(c->native.modules.item[1], "/abs.so");
	assert_int_equal(c->native.blocking_threads, 9);
	assert_true(c->limits.body == 3000000000u);
	assert_int_equal(c->limits.memory_body, 0);
	assert_int_equal(c->limits.params, 1 << 20);
	assert_int_equal(c->limits.head, 1000);
	assert_int_equal(c->limits.send_buffer, 1 << 20);
	assert_int_equal(c->limits.headers, 1);
	assert_int_equal(c->limits.connections, 2);
	assert_int_equal(c->limits.async, 3);
	assert_true(c->timeouts.read == 1 && c->timeouts.queue == 0.5 && c->timeouts.request == 100);
	assert_true(c->timeouts.write == 4 && c->timeouts.idle == 5 && c->timeouts.shutdown == 0);
	assert_string_equal(c->log.level, "debug");
	snprintf(expected, sizeof(expected), "%s/a", dir);
	assert_string_equal(c->log.access, expected);
	assert_string_equal(c->log.format, "json");
	assert_int_equal(sn_conf_finish(c, &why), 0);
	sn_conf_free(c);
}

static void
unknown_keys(void **state)
{
	(void)state;
	refused("\nlimits = { boddy = 1; };", "@:2: key 'limits.boddy' is not known; did you mean 'limits.body'?");
	refused("dispatch_workers = 2;", "@:1: key 'dispatch_workers' is not known; did you mean 'python.dispatch_workers'?");
	refused("proceses = 2;", "did you mean 'processes'?");
	refused("limts = { body = 1; };", "@:1: group 'limts' is not known; did you mean 'limits'?");
	refused("timeouts = { raed = 1; };", "did you mean 'timeouts.read'?");
	refused("qqqqqqqqqqqq = 1;", "key 'qqqqqqqqqqqq' is not known; snacgi.conf(5) lists");
	refused("listen = ( { adress = \"fd:0\"; } );", "key 'listen.adress' is not known; did you mean 'listen.address'?");
	refused("limits = { body = { x = 1; }; };", "key 'limits.body': this is a group; it takes a size");
	refused("limits = 5;", "key 'limits' is a group; write limits = { ... };");
	refused("limits = { limits = { body = 1; }; };", "group 'limits.limits' is not known");
	refused("metrics = { listen = \":9100\"; };", "group 'metrics' is not known");
}

static void
wrong_values(void **state)
{
	(void)state;
	refused("io_threads = \"2\";", "@:1: key 'io_threads': this is a string; it takes an integer from 0 to 256, for example io_threads = 2");
	refused("io_threads = 257;", "257 is out of range; it takes an integer from 0 to 256");
	refused("io_threads = -1;", "-1 is out of range");
	refused("io_threads = 2.0;", "this is a number with a point");
	refused("queue = 0;", "0 is out of range; it takes an integer from 1 to 1048576");
	refused("queue = 9000000000L;", "9000000000 is out of range");
	refused("debug = 1;", "this is an integer; it takes true or false, for example debug = true");
	refused("user = 5;", "it takes a string");
	refused("limits = { body = true; };", "it takes a size in bytes, or as text with a unit, from 0 to 1 TiB, for example body = \"16 MiB\"");
	refused("limits = { body = \"16 Mb/s\"; };", "\"16 Mb/s\" is not a size");
	refused("limits = { body = \"9999999 TiB\"; };", "\"9999999 TiB\" is out of range");
	refused("limits = { body = -1; };", "-1 is out of range");
	refused("limits = { params = \"1 KiB\"; head = 5; };", "5 is out of range; it takes a size in bytes, or as text with a unit, from 512 to 64 KiB");
	refused("timeouts = { read = \"30s\"; };", "it takes seconds from 0.001 to 86400, for example read = 30.0");
	refused("timeouts = { read = 0; };", "0 is out of range");
	refused("timeouts = { read = 1e999; };", "is out of range");
	refused("log = { level = \"loud\"; };", "\"loud\" is not known; it takes one of debug, info, warning, error, for example level = \"info\"");
	refused("log = { level = \"\"; };", "is not known");
	refused("python = { json = \"ujson\"; };", "one of builtin, orjson");
	refused("python = { modules = \"app\"; };", "this is a string; it takes a list of strings, for example modules = [ \"app\" ]");
	refused("python = {\n modules = ( \"a\",\n 5 );\n };", "@:3: key 'python.modules': item 2 is an integer");
	refused("python = { modules = [ \"\" ]; };", "item 1 is empty");
}

static void
wrong_listeners(void **state)
{
	(void)state;
	refused("listen = \"unix:/x\";", "key 'listen': this is a string; it takes a list of groups");
	refused("listen = { address = \"fd:0\"; };", "key 'listen': this is a group; it takes a list of groups");
	refused("listen = ( \"unix:/x\" );", "an item of the list is a group");
	refused("listen = (\n { protocol = \"scgi\"; } );", "@:2: a listener needs its address");
	refused("listen = ( { address = \"\"; } );", "a listener needs its address");
	refused("listen = ( { address = \"9000\"; } );", "key 'listen.address': address '9000': write :9000");
	refused("listen = ( { address = \"scgi:unix:/x\"; } );", "write protocol = \"scgi\"; address = \"unix:/x\"");
	refused("listen = ( { address = \":unix:/x\"; } );", "write address = \"unix:/x\"");
	refused("listen = ( { address = \"unix:/x\"; protocol = \"http\"; } );", "\"http\" is not known; it takes one of fastcgi, scgi");
	refused("listen = ( { address = \"unix:/x\"; mode = 660; } );", "it takes permissions as an octal number in quotes, for example mode = \"0660\"");
	refused("listen = ( { address = \"unix:/x\"; mode = \"0888\"; } );", "are no permissions");
	refused("listen = ( { address = \"unix:/x\"; mode = \"7777\"; } );", "are no permissions");
	refused("listen = ( { address = \"unix:/x\"; mode = \"66666666666666660\"; } );", "are no permissions");
	refused("listen = ( { address = \"unix:/x\"; mode = \"\"; } );", "are no permissions");
	refused("listen = ( { address = \"127.0.0.1:1\"; mode = \"0660\"; } );", "has a meaning for unix:/... only");
	refused("listen = ( { address = \"unix:@x\"; group = \"g\"; } );", "has a meaning for unix:/... only");
	refused("listen = ( { address = \"unix:/x\"; allow = [ \"10.0.0.0/8\" ]; } );", "have no network address; take it out and use mode, owner and group");
	refused("listen = ( { address = \"unix:@x\"; allow = [ \"10.0.0.0/8\" ]; } );", "have no network address");
	refused("listen = ( { address = \":1\"; allow = [ \"10.0.0.1/8\" ]; } );", "write 10.0.0.0/8");
	refused("listen = ( { address = \":1\"; allow = [ \"front\" ]; } );", "'front' is not a network");
	refused("listen = ( { address = \":1\"; prefix = \"app\"; } );", "it takes \"\" or a path that begins with '/'");
	refused("listen = ( { address = \":1\"; prefix = \"/app/\"; } );", "\"/app/\" is not a prefix");
	refused("listen = ( { address = \":1\"; path = \"uri\"; } );", "one of auto, request_uri, script_name");
	refused("listen = ( { address = \":1\"; backlog = 0; } );", "from 1 to 65535");
	char long_path[300], text[400];
	memset(long_path, 'a', 110);
	long_path[110] = '\0';
	snprintf(text, sizeof(text), "listen = ( { address = \"unix:/%s\"; } );", long_path);
	refused(text, "at most 107 characters");
	long_path[100] = '\0'; /* too long only with the file's directory before it */
	snprintf(text, sizeof(text), "listen = ( { address = \"unix:%s\"; } );", long_path);
	refused(text, "at most 107 characters");
}

static void
syntax(void **state)
{
	(void)state;
	refused("processes = 1;\nlimits = { body = 16 MiB; };", "@:2: syntax error");
	refused("limits = {\n body = 16 MiB;\n};", "a size with a unit is written in quotes: \"16 MiB\"");
	refused("limits.body = 5;", "a dotted key is written as a group");
	refused("user = www-data;", "text is written in double quotes");
	refused("processes = 1; processes = 2;", "duplicate setting name");
	refused("processes = [ 1, \"a\" ];", "@:1: ");
	refused("limits = {", "@:1: syntax error");
	refused("user = \"abc", "@:");
}

static void
integers_that_would_wrap(void **state)
{
	(void)state;
	refused("\n\nlimits = { body = 3000000000; };", "@:3: body: 3000000000 is above 2147483647 and would be taken for another number; write 3000000000L or, for a size, \"2.8 GiB\"");
	refused("queue = 0x1FFFFFFFF;", "@:1: queue: 0x1FFFFFFFF is above");
	refused("queue = 99999999999999999999L;", "does not fit in 64 bits");
	refused("queue = 99999999999999999999;", "does not fit in 64 bits");
	refused("queue = -2147483649;", "is above 2147483647");
	refused("/* \n */ // 9999999999\n# 9999999999 \"\n queue = 4294967297;", "@:4: queue: 4294967297");
	refused("user = \"a\\\"9999999999\"; queue = 4294967297;", "4294967297 is above");
	/* none of these is an integer, or none is too large */
	struct sn_conf *c = loaded(
		"/* 9999999999 */ # 9999999999\n// \" 9999999999\n"
		"user = \"9999999999 \\\" 9999999999 \" \"# 9999999999\"; group = \"/* \";\n"
		"limits = { body = 3000000000L; params = 2000000; };\n"
		"timeouts = { read = 00000000030.0; write = 1.00000000000000; idle = 1e1; queue = .123456789012; };\n");
	assert_string_equal(c->user, "9999999999 \" 9999999999 # 9999999999");
	assert_true(c->limits.body == 3000000000u);
	sn_conf_free(c);
}

static void
includes(void **state)
{
	static const char good[] = "queue = 77;\n", bad[] = "\n\nqueue = \"x\";\n",
	                  wraps[] = "\nqueue = 4294967297;\n", self[] = "@include \"self.inc\"\n@include \"self.inc\"\n";
	(void)state;
	write_at("good.inc", good, strlen(good));
	write_at("bad.inc", bad, strlen(bad));
	write_at("wraps.inc", wraps, strlen(wraps));
	write_at("self.inc", self, strlen(self));
	struct sn_conf *c = loaded("processes = 2;\n@include \"good.inc\"\nio_threads = 3;\n");
	assert_int_equal(c->queue, 77);
	assert_int_equal(c->io_threads, 3);
	sn_conf_free(c);
	refused("@include \"bad.inc\"\n", "bad.inc:3: key 'queue': this is a string");
	refused("@include \"wraps.inc\"\n", "wraps.inc:2: queue: 4294967297 is above");
	refused("\n@include \"none.inc\"\n", "@:2: cannot include");
	refused("@include \".\"\n", "it is a directory");
	refused("@include \"/dev/zero\"\n", "it is not a regular file");
	refused("@include \"self.inc\"\n", "does one include itself?");
	refused("@include \"a\\\"b\"\n", "plain file name");
	refused("@include 5\n", "@:1: ");
}

static void
unreadable_files(void **state)
{
	struct sn_conf *c = fresh();
	(void)state;
	assert_int_equal(sn_conf_load(c, "/nonexistent/x.conf", &why, NULL), SN_ECONF);
	assert_string_equal(why.text, "/nonexistent/x.conf: cannot be read: No such file or directory");
	assert_int_equal(sn_conf_load(c, dir, &why, NULL), SN_ECONF);
	assert_non_null(strstr(why.text, "it is a directory"));
	assert_int_equal(sn_conf_load(c, "/dev/null", NULL, NULL), SN_ECONF);
	write_at("snacgi.conf", "queue = 1;\0queue", 16);
	assert_int_equal(sn_conf_load(c, file, &why, NULL), SN_ECONF);
	assert_non_null(strstr(why.text, "NUL bytes"));
	char *big = malloc((1 << 20) + 1);
	memset(big, ' ', (1 << 20) + 1);
	write_at("snacgi.conf", big, (1 << 20) + 1);
	free(big);
	assert_int_equal(sn_conf_load(c, file, &why, NULL), SN_ECONF);
	assert_non_null(strstr(why.text, "more than 1 MiB"));
	assert_null(c->file);
	sn_conf_free(c);
	c = loaded(""); /* an empty file is a file */
	assert_int_equal(c->queue, 1024);
	sn_conf_free(c);
}

static void
all_errors_at_once(void **state)
{
	char text[2000] = "", line[32];
	(void)state;
	struct sn_conf *c = fresh();
	assert_int_equal(load(c, "queue = 0;\nbogus = 1;\nlimits = { body = true; };\n"), SN_ECONF);
	assert_non_null(strstr(why.text, ":1: key 'queue'"));
	assert_non_null(strstr(why.text, "\n"));
	assert_non_null(strstr(why.text, ":2: key 'bogus'"));
	assert_non_null(strstr(why.text, ":3: key 'limits.body'"));
	assert_null(strstr(why.text, "before"));
	assert_null(c->file);
	for (int i = 0; i < 30; i++) {
		snprintf(line, sizeof(line), "zzzzzzzzzzzz%d = 1;\n", i);
		strcat(text, line);
	}
	assert_int_equal(load(c, text), SN_ECONF);
	assert_non_null(strstr(why.text, "zzz19'"));
	assert_null(strstr(why.text, "zzz20'"));
	assert_non_null(strstr(why.text, "\nmore errors follow"));
	sn_conf_free(c);
}

static void
warned(void **state)
{
	(void)state;
	struct sn_conf *c = loaded("listen = ( { address = \"unix:/x\"; mode = \"0666\"; },\n"
	                           "{ address = \":9000\"; }, { address = \"127.0.0.1:1\"; },\n"
	                           "{ address = \"10.0.0.1:1\"; allow = [ \"10.0.0.2\" ]; } );\n");
	assert_non_null(strstr(warnings.text, ":1: listener 'unix:/x': mode 0666"));
	assert_non_null(strstr(warnings.text, ":2: listener ':9000': whoever"));
	assert_null(strstr(warnings.text, "127.0.0.1"));
	assert_null(strstr(warnings.text, "10.0.0.1"));
	sn_conf_free(c);
}

static void
set(struct sn_conf *c, const char *key, const char *value)
{
	if (sn_conf_set(c, key, value, "test", &why) != 0)
		fail_msg("%s", why.text);
}

static void
not_set(struct sn_conf *c, const char *key, const char *value, const char *says)
{
	strcpy(why.text, "before");
	assert_int_equal(sn_conf_set(c, key, value, "--opt", &why), SN_ECONF);
	if (!strstr(why.text, says))
		fail_msg("said \"%s\", not \"%s\"", why.text, says);
}

static void
single_keys(void **state)
{
	struct sn_conf *c = fresh();
	char expected[4200], *cwd = getcwd(NULL, 0);
	(void)state;
	set(c, "io_threads", "4");
	set(c, "io_threads", " 0x10 ");
	assert_int_equal(c->io_threads, 16);
	set(c, "debug", "true");
	assert_true(c->debug);
	set(c, "user", "www-data");
	assert_string_equal(c->user, "www-data");
	set(c, "user", "\"a b\"");
	assert_string_equal(c->user, "a b");
	set(c, "user", "");
	assert_string_equal(c->user, "");
	set(c, "limits.body", "16 MiB");
	set(c, "limits.body", "1.5g");
	assert_int_equal(c->limits.body, 3u << 29);
	set(c, "limits.body", "\"2k\"");
	assert_int_equal(c->limits.body, 2048);
	set(c, "limits.body", "3000000000");
	assert_true(c->limits.body == 3000000000u);
	set(c, "timeouts.read", "5");
	set(c, "timeouts.read", "2.5");
	assert_true(c->timeouts.read == 2.5);
	set(c, "log.level", "warning");
	set(c, "python.dir", "py");
	snprintf(expected, sizeof(expected), "%s/py", cwd);
	assert_string_equal(c->python.dir, expected);
	assert_true(c->python.dir_named);
	set(c, "python.modules", "[ \"a\", \"b\" ]");
	assert_int_equal(c->python.modules.n, 2);
	set(c, "python.modules", "app");
	assert_int_equal(c->python.modules.n, 1);
	assert_int_equal(sn_conf_add(c, "python.modules", "two", "--module", &why), 0);
	assert_int_equal(sn_conf_add(c, "python.modules", "\"three\"", "--module", &why), 0);
	assert_int_equal(c->python.modules.n, 3);
	assert_string_equal(c->python.modules.item[0], "app");
	assert_string_equal(c->python.modules.item[2], "three");
	assert_int_equal(sn_conf_add(c, "native.modules", "m.so", "x", &why), 0);
	snprintf(expected, sizeof(expected), "%s/m.so", cwd);
	assert_string_equal(c->native.modules.item[0], expected);
	set(c, "python.modules", "[ ]");
	assert_int_equal(c->python.modules.n, 0);
	set(c, "listen", "( { address = \"fd:5\"; }, { address = \"127.0.0.1:0\"; } )");
	assert_int_equal(c->nlisten, 2);
	set(c, "listen", "( )");
	assert_int_equal(c->nlisten, 0);

	not_set(c, "io_thread", "4", "--opt: key 'io_thread' is not known; did you mean 'io_threads'?");
	not_set(c, "io_threads", "many", "--opt: key 'io_threads': 'many' is not a value; write one such as 2");
	not_set(c, "io_threads", "999", "--opt: key 'io_threads': 999 is out of range");
	not_set(c, "io_threads", "2; queue = 3", "is not a value");
	not_set(c, "io_threads", "", "is not a value");
	not_set(c, "queue", "4294967297", "is not a value");
	not_set(c, "log.level", "loud", "--opt: key 'log.level': \"loud\" is not known");
	not_set(c, "limits.body", "lots", "\"lots\" is not a size");
	not_set(c, "python.modules", "[ 5 ]", "item 1 is an integer");
	not_set(c, "python.modules", "[ \"a\"", "is not a value");
	not_set(c, "python", "5", "key 'python' is not known");
	assert_null(strstr(why.text, "before"));
	assert_int_equal(c->io_threads, 16);
	assert_int_equal(sn_conf_set(c, "queue", "0", "x", NULL), SN_ECONF);
	free(cwd);
	sn_conf_free(c);
}

static void
options_over_the_file(void **state)
{
	char expected[400];
	(void)state;
	struct sn_conf *c = loaded("listen = ( { address = \"fd:0\"; } ); queue = 5;");
	set(c, "queue", "6");
	sn_conf_listen_clear(c);
	assert_int_equal(sn_conf_listen(c, "scgi:127.0.0.1:9000", "-l", &why), 0);
	assert_int_equal(sn_conf_listen(c, ":unix:@x", "-l", &why), 0);
	assert_int_equal(sn_conf_listen(c, ":9000", "-l", &why), 0);
	assert_int_equal(c->nlisten, 3);
	assert_string_equal(c->listen[0].protocol, "scgi");
	assert_string_equal(c->listen[0].address, "127.0.0.1:9000");
	assert_int_equal(c->listen[0].port, 9000);
	assert_int_equal(c->listen[1].kind, SN_ADDR_ABSTRACT);
	assert_int_equal(c->listen[2].port, 9000);
	strcpy(why.text, "before");
	assert_int_equal(sn_conf_listen(c, "9000", "-l", &why), SN_ECONF);
	assert_string_equal(why.text, "-l: address '9000': write :9000 for this port on every address, or 127.0.0.1:9000");
	assert_int_equal(c->nlisten, 3);
	assert_int_equal(sn_conf_finish(c, &why), 0);
	assert_int_equal(c->queue, 6);
	/* the default directory is the file's, not this one */
	snprintf(expected, sizeof(expected), "%s/python", dir);
	assert_string_equal(c->python.dir, expected);
	assert_int_equal(sn_conf_listen(c, "unix:@x", "-l", &why), 0);
	assert_int_equal(sn_conf_finish(c, &why), SN_ECONF);
	assert_non_null(strstr(why.text, "'unix:@x' is there twice"));
	sn_conf_free(c);
}

static void
finishing(void **state)
{
	(void)state;
	struct sn_conf *c = loaded("processes = 0; limits = { body = 100; }; python = { dir = \"\"; };");
	assert_int_equal(sn_conf_finish(c, &why), 0);
	assert_true(c->processes >= 1);
	assert_int_equal(c->limits.memory_body, 100); /* no more than a body can have */
	assert_string_equal(c->python.dir, "");       /* no Python */
	assert_false(c->python.dir_named);
	sn_conf_free(c);
	c = fresh(); /* port 0 is another port each time */
	assert_int_equal(sn_conf_listen(c, "127.0.0.1:0", "-l", &why), 0);
	assert_int_equal(sn_conf_listen(c, "127.0.0.1:0", "-l", &why), 0);
	assert_int_equal(sn_conf_finish(c, &why), 0);
	sn_conf_free(c);
}

static void
sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t n;
	} good[] = {
		{ "0", 0 },           { "1000", 1000 },      { "1000b", 1000 },   { "64k", 65536 },
		{ "64 KiB", 65536 },  { "64KB", 65536 },     { "64 kib", 65536 }, { "16 MiB", 16u << 20 },
		{ "16M", 16u << 20 }, { "1G", 1u << 30 },    { "1.5 G", 3u << 29 }, { "0.5k", 512 },
		{ "2.8 GiB", 3006477107 }, { "1t", UINT64_C(1) << 40 },
		{ "9223372036854775807", INT64_MAX },
	};
	static const char *const bad[] = { "", " 1", "-1", "+1", "k", "1 x", "1 KiBs", "1.k", "1.5", ".5k",
		                           "1k5", "1 k k", "0x10", "1ib", "1 Kibb", "1\tk" };
	static const char *const large[] = { "9223372036854775808", "18446744073709551616", "8388608 T",
		                             "99999999999 TiB", "8388607.9999999999 T2" };
	uint64_t n;
	(void)state;
	for (size_t i = 0; i < SN_COUNT(good); i++) {
		if (sn_conf_size(good[i].text, &n) != 0 || n != good[i].n)
			fail_msg("%s: %llu", good[i].text, (unsigned long long)n);
	}
	for (size_t i = 0; i < SN_COUNT(bad); i++)
		if (sn_conf_size(bad[i], &n) != SN_EINVAL)
			fail_msg("'%s' was taken for %llu", bad[i], (unsigned long long)n);
	for (size_t i = 0; i + 1 < SN_COUNT(large); i++)
		if (sn_conf_size(large[i], &n) != SN_ERANGE)
			fail_msg("'%s' was taken for %llu", large[i], (unsigned long long)n);
}

/* Every key is in the manual as ".It Ic NAME", with its default where it has one. */
static void
the_manual_is_complete(void **state)
{
	char path[600], item[200];
	const char *top = getenv("SN_TOP_SRCDIR"), *reason;
	char *text;
	size_t len;
	(void)state;
	snprintf(path, sizeof(path), "%s/man/snacgi.conf.5", top ? top : ".");
	if (sn_read_text(path, &text, &len, &reason) != 0)
		fail_msg("%s: %s", path, reason);
	for (int list = 0; list < 2; list++)
		for (const struct sn_key *k = list ? sn_listen_keys : sn_conf_keys; k->name; k++) {
			snprintf(item, sizeof(item), "\n.It Ic %s ", k->name);
			const char *at = strstr(text, item);
			if (!at)
				fail_msg("'%s' is not in %s", k->name, path);
			const char *end = strstr(at + strlen(item), "\n.It Ic ");
			const char *def = k->def[0] ? k->def : NULL;
			const char *found = def ? strstr(at, def) : at;
			if (!found || (end && found > end))
				fail_msg("the default '%s' of '%s' is not in %s", def, k->name, path);
		}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(a_whole_file),
		cmocka_unit_test(unknown_keys),
		cmocka_unit_test(wrong_values),
		cmocka_unit_test(wrong_listeners),
		cmocka_unit_test(syntax),
		cmocka_unit_test(integers_that_would_wrap),
		cmocka_unit_test(includes),
		cmocka_unit_test(unreadable_files),
		cmocka_unit_test(all_errors_at_once),
		cmocka_unit_test(warned),
		cmocka_unit_test(single_keys),
		cmocka_unit_test(options_over_the_file),
		cmocka_unit_test(finishing),
		cmocka_unit_test(sizes),
		cmocka_unit_test(the_manual_is_complete),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
