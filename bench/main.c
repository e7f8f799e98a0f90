/* SPDX-License-Identifier: MIT
 *
 * snacgi-bench: load for FastCGI and SCGI servers. Options, the probe that
 * tells what a right answer is, the run, the report, the exit status. See
 * snacgi-bench(1).
 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "report.h"

#define MAX_EXTRA 128
#define MAX_BODY ((size_t)1 << 30)

enum { EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_STARVED = 3 };

struct settings {
	struct bench_load load;
	struct bench_target target;
	struct bench_request request;
	struct bench_pair extra[MAX_EXTRA];
	char path[4096];
	const char *label;
	char *made_body;
	bool has_seconds, has_warmup, any_body, json;
};

static const char usage[] =
	"usage: snacgi-bench [options] ADDRESS [PATH]\n"
	"  ADDRESS  [fastcgi:|scgi:]unix:/PATH | unix:@NAME | HOST:PORT | [IPV6]:PORT\n"
	"  PATH     /where?with=query (default /)\n"
	"load\n"
	"  -c, --connections N     connections at once (64)\n"
	"  -t, --threads N         threads of this program (1)\n"
	"  -d, --duration SECONDS  time to measure (10); with -n: at most (60)\n"
	"  -n, --requests N        measure so many requests\n"
	"  -w, --warmup SECONDS    load before measuring (a tenth of -d, at most 1; with -n 0)\n"
	"  -R, --rate N            open loop: N requests a second are due, whatever comes back\n"
	"  -N, --new               a new connection for each request (SCGI always)\n"
	"      --timeout SECONDS   for one answer (30)\n"
	"request\n"
	"  -m, --method NAME       (GET; POST with a body)\n"
	"  -b, --body-size BYTES   a body of that size\n"
	"      --body TEXT         this body\n"
	"  -T, --content-type T    (application/octet-stream)\n"
	"  -H, --header 'N: V'     one more HTTP header; repeatable\n"
	"  -P, --param NAME=VALUE  one more parameter, or another value of one; repeatable\n"
	"right answers\n"
	"      --expect-status N   (200)\n"
	"      --expect-body TEXT  exactly this body (default: the first answer's)\n"
	"      --expect-length N   any body of that length\n"
	"      --any-body          any body\n"
	"report\n"
	"  -p, --pid PID           CPU time of this process and its descendants; repeatable\n"
	"      --children-of PID   of its descendants only; repeatable\n"
	"      --json              JSON on standard output\n"
	"      --label TEXT        put into the report\n"
	"  -h, --help   -V, --version\n"
	"exit status: 0, 1 (wrong or missing answers), 2 (usage, no server), 3 (starved connections)\n";

enum {
	O_TIMEOUT = 256, O_BODY, O_STATUS, O_EXPECT_BODY, O_LENGTH, O_ANY, O_CHILDREN, O_JSON, O_LABEL
};

static const struct option options[] = {
	{ "connections", required_argument, NULL, 'c' },
	{ "threads", required_argument, NULL, 't' },
	{ "duration", required_argument, NULL, 'd' },
	{ "requests", required_argument, NULL, 'n' },
	{ "warmup", required_argument, NULL, 'w' },
	{ "rate", required_argument, NULL, 'R' },
	{ "new", no_argument, NULL, 'N' },
	{ "timeout", required_argument, NULL, O_TIMEOUT },
	{ "method", required_argument, NULL, 'm' },
	{ "body-size", required_argument, NULL, 'b' },
	{ "body", required_argument, NULL, O_BODY },
	{ "content-type", required_argument, NULL, 'T' },
	{ "header", required_argument, NULL, 'H' },
	{ "param", required_argument, NULL, 'P' },
	{ "expect-status", required_argument, NULL, O_STATUS },
	{ "expect-body", required_argument, NULL, O_EXPECT_BODY },
	{ "expect-length", required_argument, NULL, O_LENGTH },
	{ "any-body", no_argument, NULL, O_ANY },
	{ "pid", required_argument, NULL, 'p' },
	{ "children-of", required_argument, NULL, O_CHILDREN },
	{ "json", no_argument, NULL, O_JSON },
	{ "label", required_argument, NULL, O_LABEL },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* ---- options ---------------------------------------------------------------- */

static int
take_number(double *out, const char *name, const char *text, double min, double max,
            struct sn_why *why)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	if (!*text || *end || errno || !(*out >= min && *out <= max))
		return sn_why_set(why, SN_EINVAL, "%s takes a number from %g to %g, not '%s'", name, min,
		                  max, text);
	return 0;
}

static int
take_whole(uint64_t *out, const char *name, const char *text, uint64_t min, uint64_t max,
           struct sn_why *why)
{
	double d;

	if (take_number(&d, name, text, (double)min, (double)max, why) < 0)
		return SN_EINVAL;
	if (d != floor(d))
		return sn_why_set(why, SN_EINVAL, "%s takes a whole number, not '%s'", name, text);
	*out = (uint64_t)d;
	return 0;
}

static int
take_count(unsigned *out, const char *name, const char *text, unsigned max, struct sn_why *why)
{
	uint64_t n;

	if (take_whole(&n, name, text, 1, max, why) < 0)
		return SN_EINVAL;
	*out = (unsigned)n;
	return 0;
}

static int
add_extra(struct settings *s, const char *name, const char *value, struct sn_why *why)
{
	if (s->request.n_extra == MAX_EXTRA)
		return sn_why_set(why, SN_EINVAL, "more than %d headers and parameters", MAX_EXTRA);
	s->extra[s->request.n_extra++] = (struct bench_pair){ name, value };
	return 0;
}

/* "NAME=VALUE", in place. */
static int
take_param(struct settings *s, char *text, struct sn_why *why)
{
	char *eq = strchr(text, '=');

	if (!eq || eq == text)
		return sn_why_set(why, SN_EINVAL, "-P takes NAME=VALUE, not '%s'", text);
	*eq = '\0';
	return add_extra(s, text, eq + 1, why);
}

/* "Name: value" becomes HTTP_NAME; the name stays allocated until the end. */
static int
take_header(struct settings *s, const char *text, struct sn_why *why)
{
	const char *colon = strchr(text, ':'), *value;
	char *name;
	size_t i, len;

	if (!colon || colon == text)
		return sn_why_set(why, SN_EINVAL, "-H takes 'Name: value', not '%s'", text);
	len = (size_t)(colon - text);
	name = malloc(len + 6);
	if (!name)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	memcpy(name, "HTTP_", 5);
	for (i = 0; i < len; i++)
		name[5 + i] = text[i] == '-' ? '_'
		            : text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 32) : text[i];
	name[5 + len] = '\0';
	for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
		;
	return add_extra(s, name, value, why);
}

static int
take_pid(struct settings *s, const char *text, bool without, struct sn_why *why)
{
	struct bench_roots *r = &s->load.roots;
	unsigned pid;

	if (take_count(&pid, without ? "--children-of" : "--pid", text, 1u << 30, why) < 0)
		return SN_EINVAL;
	if (r->n == BENCH_ROOTS)
		return sn_why_set(why, SN_EINVAL, "more than %d processes", BENCH_ROOTS);
	r->without_root[r->n] = without;
	r->pid[r->n++] = (pid_t)pid;
	return 0;
}

static int
make_body(struct settings *s, const char *text, struct sn_why *why)
{
	uint64_t size;

	if (take_whole(&size, "--body-size", text, 0, MAX_BODY, why) < 0)
		return SN_EINVAL;
	free(s->made_body);
	s->made_body = malloc(size + 1);
	if (!s->made_body)
		return sn_why_set(why, SN_ENOMEM, "no memory for a body of %s bytes", text);
	memset(s->made_body, 'x', size);
	s->request.body = s->made_body;
	s->request.body_len = size;
	return 0;
}

static int
take_load_option(struct settings *s, int c, struct sn_why *why)
{
	struct bench_load *l = &s->load;

	switch (c) {
	case 'c': return take_count(&l->connections, "--connections", optarg, 1000000, why);
	case 't': return take_count(&l->threads, "--threads", optarg, 256, why);
	case 'n': return take_whole(&l->requests, "--requests", optarg, 1, UINT64_C(1) << 50, why);
	case 'R': return take_number(&l->rate, "--rate", optarg, 0.001, 1e8, why);
	case 'N': l->keep = false; return 0;
	case O_TIMEOUT: return take_number(&l->timeout, "--timeout", optarg, 0.001, 3600, why);
	case 'd':
		s->has_seconds = true;
		return take_number(&l->seconds, "--duration", optarg, 0.001, 86400, why);
	case 'w':
		s->has_warmup = true;
		return take_number(&l->warmup, "--warmup", optarg, 0, 3600, why);
	}
	return SN_ENOENT;
}

static int
take_option(struct settings *s, int c, struct sn_why *why)
{
	uint64_t n;
	int rc = take_load_option(s, c, why);

	if (rc != SN_ENOENT)
		return rc;
	switch (c) {
	case 'm': s->request.method = optarg; return 0;
	case 'b': return make_body(s, optarg, why);
	case O_BODY:
		s->request.body = optarg;
		s->request.body_len = strlen(optarg);
		return 0;
	case 'T': s->request.content_type = optarg; return 0;
	case 'H': return take_header(s, optarg, why);
	case 'P': return take_param(s, optarg, why);
	case O_STATUS:
		rc = take_whole(&n, "--expect-status", optarg, 100, 599, why);
		s->load.expect.status = rc < 0 ? 0 : (int)n;
		return rc;
	case O_EXPECT_BODY:
		s->load.expect.body = optarg;
		s->load.expect.body_len = strlen(optarg);
		return 0;
	case O_LENGTH:
		rc = take_whole(&n, "--expect-length", optarg, 0, UINT64_C(1) << 50, why);
		s->load.expect.length = rc < 0 ? -1 : (int64_t)n;
		return rc;
	case O_ANY: s->any_body = true; return 0;
	case 'p': return take_pid(s, optarg, false, why);
	case O_CHILDREN: return take_pid(s, optarg, true, why);
	case O_JSON: s->json = true; return 0;
	case O_LABEL: s->label = optarg; return 0;
	}
	return SN_ENOENT; /* getopt has said why */
}

/* What follows from the options once all are known. */
static int
settle(struct settings *s, const char *path, struct sn_why *why)
{
	struct bench_load *l = &s->load;
	char *query;

	if (*path != '/' || strlen(path) >= sizeof(s->path))
		return sn_why_set(why, SN_EINVAL, "the path must begin with '/' and be shorter than %zu "
		                  "bytes", sizeof(s->path));
	strcpy(s->path, path);
	query = strchr(s->path, '?');
	if (query)
		*query++ = '\0';
	s->request.path = s->path;
	s->request.query = query ? query : "";
	if (!s->request.method)
		s->request.method = s->request.body ? "POST" : "GET";
	if (s->target.proto == BENCH_SCGI)
		l->keep = false;
	s->request.proto = s->target.proto;
	s->request.keep = l->keep;
	s->request.extra = s->extra;
	if (!s->has_seconds)
		l->seconds = l->requests ? 60 : 10;
	if (!s->has_warmup)
		l->warmup = l->requests ? 0 : fmin(1.0, l->seconds / 10);
	if (l->threads > l->connections)
		l->threads = l->connections;
	l->expect.no_body = strcmp(s->request.method, "HEAD") == 0;
	return 0;
}

/* 0: run. Otherwise the exit status, plus one, to leave with. */
static int
parse(struct settings *s, int argc, char **argv, struct sn_why *why)
{
	int c, rc;

	while ((c = getopt_long(argc, argv, "c:t:d:n:w:R:Nm:b:T:H:P:p:hV", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		if (c == 'V') {
			puts("snacgi-bench " PACKAGE_VERSION);
			return 1;
		}
		rc = take_option(s, c, why);
		if (rc == SN_ENOENT) {
			fputs("snacgi-bench --help tells the options\n", stderr);
			return EXIT_USAGE + 1;
		}
		if (rc < 0)
			goto wrong;
	}
	if (optind == argc || argc - optind > 2) {
		fputs(usage, stderr);
		return EXIT_USAGE + 1;
	}
	if (bench_target_parse(&s->target, argv[optind], why) == 0 &&
	    settle(s, optind + 1 < argc ? argv[optind + 1] : "/", why) == 0)
		return 0;
wrong:
	fprintf(stderr, "snacgi-bench: %s\n", why->text);
	return EXIT_USAGE + 1;
}

/* ---- run -------------------------------------------------------------------- */

static int
raise_files(const struct bench_load *l, struct sn_why *why)
{
	rlim_t need = (rlim_t)l->connections + l->threads + 32;
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 0;
	if (lim.rlim_cur < need) {
		lim.rlim_cur = lim.rlim_max == RLIM_INFINITY || lim.rlim_max >= need ? need : lim.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur < need)
			return sn_why_set(why, SN_ELIMIT, "%u connections need %llu open files, and the limit "
			                  "is %llu: raise it (ulimit -Hn), or use fewer", l->connections,
			                  (unsigned long long)need, (unsigned long long)lim.rlim_max);
	}
	return 0;
}

/* Asks once, and makes the answer the measure of the others where none was given. */
static int
probe(struct settings *s, struct sn_buf *body, struct sn_why *why)
{
	struct bench_expect *want = &s->load.expect;
	struct bench_reply r;
	int rc = bench_load_probe(&s->load, &r, body, why);

	if (rc < 0)
		return rc;
	if (r.fault) {
		/* Named with what came, so that "status 404" needs no second look. */
		return sn_why_set(why, SN_EINVAL, "the first answer is wrong: %s (status %u, %llu bytes: "
		                  "%.*s)", bench_fault_text((enum bench_fault)r.fault), r.status,
		                  (unsigned long long)r.body_len, body->len > 200 ? 200 : (int)body->len,
		                  body->len ? body->data : "");
	}
	if (want->body || want->length >= 0 || s->any_body)
		return 0;
	if (body->len == r.body_len) {
		want->body = body->len ? body->data : "";
		want->body_len = body->len;
	}
	want->length = (int64_t)r.body_len;
	return 0;
}

static void
on_signal(int sig)
{
	(void)sig;
	bench_load_interrupt();
}

static int
verdict(const struct bench_result *r)
{
	if (bench_report_wrong(r) || r->requests == 0)
		return EXIT_WRONG;
	return r->unserved ? EXIT_STARVED : 0;
}

/* The exit status; says why itself. */
static int
run(struct settings *s, struct bench_result *result, struct sn_why *why)
{
	struct bench_about about = { .load = &s->load, .method = s->request.method,
		                     .path = s->path, .body_len = s->request.body_len,
		                     .label = s->label };
	struct sn_buf bytes, body;
	int status = EXIT_USAGE;

	sn_buf_init(&bytes, NULL, 0);
	sn_buf_init(&body, NULL, 0);
	if (raise_files(&s->load, why) < 0)
		goto out;
	if (bench_request_encode(&bytes, &s->request) < 0) {
		sn_why_set(why, SN_EINVAL, "no memory, or the path or the parameters are too long");
		goto out;
	}
	s->load.request = bytes.data;
	s->load.request_len = bytes.len;
	switch (probe(s, &body, why)) {
	case 0:
		break;
	case SN_EINVAL:
		status = EXIT_WRONG;
		goto out;
	default:
		goto out;
	}
	if (bench_load_run(&s->load, result, why) < 0)
		goto out;
	(s->json ? bench_report_json : bench_report_text)(stdout, &about, result);
	why->text[0] = '\0';
	status = verdict(result);
out:
	if (why->text[0])
		fprintf(stderr, "snacgi-bench: %s\n", why->text);
	sn_buf_free(&bytes);
	sn_buf_free(&body);
	return status;
}

int
main(int argc, char **argv)
{
	struct settings *s = calloc(1, sizeof(*s));
	struct bench_result *result = calloc(1, sizeof(*result));
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };
	struct sn_why why = { .text = "out of memory" };
	int rc = EXIT_USAGE + 1;

	if (!s || !result) {
		fprintf(stderr, "snacgi-bench: %s\n", why.text);
		goto out;
	}
	s->load = (struct bench_load){ .target = &s->target, .keep = true, .connections = 64,
		                       .threads = 1, .timeout = 30,
		                       .expect = { .status = 200, .length = -1 } };
	s->request.content_type = "application/octet-stream";
	rc = parse(s, argc, argv, &why);
	if (rc)
		goto out;
	sigaction(SIGINT, &act, NULL); /* ends and reports; a second one kills */
	sigaction(SIGTERM, &act, NULL);
	why.text[0] = '\0';
	rc = run(s, result, &why) + 1;
	if (fflush(stdout) != 0) {
		perror("snacgi-bench");
		rc = EXIT_USAGE + 1;
	}
out:
	if (s)
		free(s->made_body);
	free(s);
	free(result);
	return rc - 1;
}
