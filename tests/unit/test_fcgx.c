/* SPDX-License-Identifier: MIT
 *
 * Handlers written for libfcgi, driven through libfcgi's own functions on our
 * streams: input, output, CGI heads, errors, flushing, a peer that goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <snacgi-fcgx.h>

#include "base/log.h"
#include "fake_sink.h"
#include "native/cgi_head.h"
#include "native/native.h"

struct run {
	struct fake_sink sink;
	struct sn_request *req;
	struct sn_response res;
	struct sn_endpoint ep;
	sn_route route;
	int rc;
};

static char log_file[] = "/tmp/test_fcgx.XXXXXX";

/* What was logged since the last look. */
static const char *
logged(void)
{
	static char text[65536];
	FILE *f = fopen(log_file, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_int_equal(truncate(log_file, 0), 0);
	return text;
}

static void
begin(struct run *r, const char *method, sn_fcgx_handler *handler)
{
	memset(r, 0, sizeof(*r));
	fake_sink_init(&r->sink);
	r->req = fake_request(&r->sink, method, "/p?q=1", "HTTP_PROXY", "evil", "HTTP_X_LONG",
	                      "value=with=equals", "EMPTY", "", NULL);
	sn_response_init(&r->res, r->req, NULL, 0, NULL, 0);
	r->route = (sn_route){ .rule = "/p", .fcgx = handler };
	r->ep = (struct sn_endpoint){ .rule = "/p", .target = &r->route, .name = "ported" };
	r->req->endpoint = &r->ep;
	r->res.can_send = true;
}

static void
call(struct run *r)
{
	r->rc = sn_native_call(r->req, &r->res);
	if (r->rc == 0)
		assert_int_equal(r->req->sink->respond(r->req, &r->res), 0);
}

static void
end(struct run *r)
{
	sn_response_free(&r->res);
	sn_request_unref(r->req);
	assert_int_equal(r->sink.released, 1);
	fake_sink_free(&r->sink);
}

static const char *printed; /* by print_it */
static size_t printed_len;
static bool by_bytes;

static int
print_it(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)in, (void)err, (void)envp;
	if (by_bytes) {
		for (size_t i = 0; i < printed_len; i++)
			FCGX_PutChar((unsigned char)printed[i], out);
	} else {
		FCGX_PutStr(printed, (int)printed_len, out);
	}
	return 0;
}

/* The answer to a printed text, whole. */
static void
answer(struct run *r, const char *method, const char *text, int status)
{
	printed = text;
	printed_len = strlen(text);
	begin(r, method, print_it);
	call(r);
	if (r->rc != 0 || r->sink.status != status)
		fail_msg("\"%s\": %d, status %d; log: %s", text, r->rc, r->sink.status, logged());
}

/* ---- heads ------------------------------------------------------------------------- */

static void
test_heads(void **state)
{
	(void)state;
	static const struct { const char *text; int status; const char *type, *body; } cases[] = {
		{ "Content-type: text/plain\r\n\r\nhi", 200, "text/plain", "hi" },
		{ "Content-type:text/plain\n\nhi\r\n\r\n", 200, "text/plain", "hi\r\n\r\n" },
		{ "Status: 404 Not Found\r\nContent-type: text/plain\n\r\nno", 404, "text/plain", "no" },
		{ "STATUS: 404\r\nContent-type: a/b\r\n\r\n", 404, "a/b", "" },
		{ "Location: /x\r\n\r\n", 302, NULL, "" },
		{ "Location: /x\r\nStatus: 301 Moved\r\n\r\n", 301, NULL, "" },
		{ "Status: 201 Created\nLocation: /x\n\n", 201, NULL, "" },
		{ "Content-Type: a/b  \t\r\nX-Empty:\r\n\r\n", 200, "a/b", "" },
		{ "Content-Type: a/b\nTransfer-Encoding: chunked\nConnection: close\n\nx", 200, "a/b", "x" },
		{ "Content-Type: a/b\nContent-Length: 1\n\nx", 200, "a/b", "x" },
		/* The length that was told is wrong: what was printed counts. */
		{ "Content-Type: a/b\nContent-Length: 7\n\nx", 200, "a/b", "x" },
		{ "\r\nhi", 200, "text/html; charset=utf-8", "hi" },
		{ "\n\n", 200, "text/html; charset=utf-8", "\n" },
		{ "Status: 204 No Content\r\n\r\n", 204, NULL, "" },
	};
	for (int pass = 0; pass < 2; pass++) {
		by_bytes = pass == 1;
		for (size_t i = 0; i < SN_COUNT(cases); i++) {
			struct run r;
			char length[24];
			answer(&r, "GET", cases[i].text, cases[i].status);
			assert_string_equal(r.sink.body.data, cases[i].body);
			const char *type = fake_sink_header(&r.sink, "Content-Type");
			if (cases[i].type)
				assert_string_equal(type, cases[i].type);
			snprintf(length, sizeof(length), "%zu", strlen(cases[i].body));
			if (cases[i].status != 204)
				assert_string_equal(fake_sink_header(&r.sink, "Content-Length"), length);
			assert_null(fake_sink_header(&r.sink, "Transfer-Encoding"));
			end(&r);
		}
	}
	by_bytes = false;
	logged();
}

static void
test_bad_heads(void **state)
{
	(void)state;
	char big[20000];
	memset(big, 'x', sizeof(big));
	memcpy(big, "X-Big: ", 7);
	strcpy(big + sizeof(big) - 5, "\n\nb");
	char wide[6000];
	memset(wide, 'x', sizeof(wide));
	memcpy(wide, "X-Big: ", 7);
	strcpy(wide + sizeof(wide) - 5, "\n\nb");
	const struct { const char *text, *words; } cases[] = {
		{ "", "printed nothing" },
		{ "Content-type: text/plain\r\n", "ended within its headers" },
		{ "Content-type: text/plain", "ended within its headers" },
		{ "hello\r\n\r\n", "is no header" },
		{ ": x\r\n\r\n", "is no header" },
		{ "<html>: x\r\n\r\n", "not allowed" },
		{ "X-A: 1\r\n folded\r\n\r\n", "is no header" },
		{ "X-A: 1\r\n a: folded\r\n\r\n", "not allowed" },
		{ "X A: 1\r\n\r\n", "not allowed" },
		{ "X-A: 1\rX-B: 2\r\n\r\n", "not allowed" },
		{ "Status: 99\r\n\r\n", "Status" },
		{ "Status: 2000\r\n\r\n", "Status" },
		{ "Status: 2x0 OK\r\n\r\n", "Status" },
		{ "Status: 100 Continue\r\n\r\n", "Status" },
		{ "Status:\r\n\r\n", "Status" },
		{ "Content-Length: -1\r\n\r\n", "Content-Length" },
		{ "Content-Length: \r\n\r\n", "Content-Length" },
		{ "Content-Length: 99999999999999999999\r\n\r\n", "Content-Length" },
		{ "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", "Content-Length" },
		{ big, "no empty line within" },
		{ wide, "longer than" },
	};
	for (int pass = 0; pass < 2; pass++) {
		by_bytes = pass == 1;
		for (size_t i = 0; i < SN_COUNT(cases); i++) {
			struct run r;
			answer(&r, "GET", cases[i].text, 500);
			const char *log = logged();
			if (!strstr(log, cases[i].words) || !strstr(log, "handler ported"))
				fail_msg("\"%.60s\": the log does not say \"%s\": %s", cases[i].text,
				         cases[i].words, log);
			assert_true(r.sink.body.len > 0);
			assert_null(fake_sink_header(&r.sink, "X-A"));
			/* One line a fault. */
			assert_ptr_equal(strchr(log, '\n'), strrchr(log, '\n'));
			end(&r);
		}
	}
	by_bytes = false;
}

static void
test_nul_in_head(void **state)
{
	(void)state;
	struct run r;
	static const char text[] = "X-A: 1\0002\r\n\r\nx";
	printed = text;
	printed_len = sizeof(text) - 1;
	begin(&r, "GET", print_it);
	call(&r);
	assert_int_equal(r.sink.status, 500);
	end(&r);
	logged();
}

static void
test_head_method(void **state)
{
	(void)state;
	struct run r;
	answer(&r, "HEAD", "Content-type: a/b\n\nbody", 200);
	assert_string_equal(r.sink.body.data, "");
	assert_string_equal(fake_sink_header(&r.sink, "Content-Length"), "4");
	end(&r);
	answer(&r, "HEAD", "Content-type: a/b\nContent-Length: 77\n\n", 200);
	assert_string_equal(fake_sink_header(&r.sink, "Content-Length"), "77");
	end(&r);
	answer(&r, "HEAD", "Content-type: a/b\n\n", 200);
	assert_null(fake_sink_header(&r.sink, "Content-Length"));
	end(&r);
}

/* ---- input and parameters ------------------------------------------------------------ */

static int
read_back(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	char line[64], rest[20000];
	(void)err;
	assert_string_equal(FCGX_GetParam("REQUEST_METHOD", envp), "POST");
	assert_string_equal(FCGX_GetParam("QUERY_STRING", envp), "q=1");
	assert_string_equal(FCGX_GetParam("HTTP_X_LONG", envp), "value=with=equals");
	assert_string_equal(FCGX_GetParam("EMPTY", envp), "");
	assert_null(FCGX_GetParam("HTTP_PROXY", envp));
	assert_null(FCGX_GetParam("EMPT", envp));

	assert_int_equal(FCGX_HasSeenEOF(in), 0);
	assert_int_equal(FCGX_UnGetChar('x', in), EOF); /* nothing was read yet */
	int c = FCGX_GetChar(in);
	assert_int_equal(c, 'f');
	assert_int_equal(FCGX_UnGetChar(c, in), c);
	assert_ptr_equal(FCGX_GetLine(line, sizeof(line), in), line);
	assert_string_equal(line, "first\n");
	assert_int_equal(FCGX_FFlush(in), 0);
	assert_int_equal(FCGX_PutChar('x', in), EOF); /* a reader */

	FCGX_FPrintF(out, "Content-type: application/octet-stream\r\n\r\n");
	int n;
	while ((n = FCGX_GetStr(rest, sizeof(rest), in)) > 0)
		assert_int_equal(FCGX_PutStr(rest, n, out), n);
	assert_int_equal(FCGX_HasSeenEOF(in), EOF);
	assert_int_equal(FCGX_GetChar(in), EOF);
	assert_int_equal(FCGX_GetStr(rest, 1, in), 0);
	assert_null(FCGX_GetLine(line, sizeof(line), in));
	assert_int_equal(FCGX_UnGetChar('x', in), EOF);
	assert_int_equal(FCGX_GetError(in), 0);
	assert_int_equal(FCGX_GetChar(out), EOF); /* a writer */
	assert_int_equal(FCGX_FClose(in), 0);
	assert_int_equal(FCGX_FClose(in), 0);
	assert_int_equal(FCGX_FClose(out), 0);
	assert_int_equal(FCGX_PutS("late", out), -1);
	assert_int_equal(FCGX_FClose(out), 0);
	return 0;
}

static void
body_case(size_t size, size_t memory)
{
	struct run r;
	char *body = malloc(size + 6);
	assert_non_null(body);
	memcpy(body, "first\n", 6);
	for (size_t i = 0; i < size; i++)
		body[6 + i] = (char)(i * 7 + i / 256);
	begin(&r, "POST", read_back);
	fake_request_body(r.req, body, size + 6, memory);
	call(&r);
	assert_int_equal(r.sink.status, 200);
	assert_int_equal(r.sink.body.len, size);
	assert_memory_equal(r.sink.body.data, body + 6, size);
	/* Small answers have a length, large ones are streamed. */
	assert_int_equal(r.rc, size > 65536 ? SN_EGONE : 0);
	assert_int_equal(r.sink.length, size > 65536 ? -1 : (int64_t)size);
	assert_int_equal(r.sink.responds + r.sink.finishes, 1);
	end(&r);
	free(body);
}

static void
test_bodies(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 2, 8185, 8186, 8187, 8192, 16378, 16384, 20000,
		                        65535, 65536, 65537, 300000, 1000000 };
	for (size_t i = 0; i < SN_COUNT(sizes); i++) {
		body_case(sizes[i], 2 << 20);
		body_case(sizes[i], 100);
	}
}

static int
no_body(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)err, (void)envp;
	assert_int_equal(FCGX_GetChar(in), EOF);
	assert_int_equal(FCGX_HasSeenEOF(in), EOF);
	FCGX_PutS("Content-type: text/plain\n\nok", out);
	return 0;
}

/* The stream says so; the handler may still answer. */
static int
broken_body(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)err, (void)envp;
	assert_int_equal(FCGX_GetChar(in), EOF);
	assert_int_equal(FCGX_GetError(in), EIO);
	FCGX_ClearError(in);
	assert_int_equal(FCGX_GetError(in), 0);
	FCGX_PutS("Status: 502\n\nbroken", out);
	return 0;
}

static void
test_no_body(void **state)
{
	(void)state;
	struct run r;
	begin(&r, "GET", no_body);
	call(&r);
	assert_string_equal(r.sink.body.data, "ok");
	end(&r);

	begin(&r, "POST", broken_body);
	fake_request_body(r.req, "0123456789", 10, 4);
	int fd = r.req->body.fd, null[2];
	assert_true(fd >= 0);
	/* A pipe cannot be read at an offset. */
	assert_int_equal(pipe(null), 0);
	assert_int_equal(dup2(null[0], fd), fd);
	close(null[0]);
	close(null[1]);
	call(&r);
	assert_int_equal(r.sink.status, 502);
	end(&r);
}

/* ---- output ----------------------------------------------------------------------------- */

static int
formats(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	char big[30000];
	(void)in, (void)err, (void)envp;
	memset(big, 'b', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	FCGX_FPrintF(out, "Content-type: text/plain\r\nX-N: %d\r\n\r\n", 7);
	assert_int_equal(FCGX_FPrintF(out, "%s|%5d|%-4s|%x|%c|%.2f|%ld|%%", "s", 42, "ab", 255, 'c', 1.5,
	                              123456789012L), 37);
	assert_int_equal(FCGX_PutS(big, out), (int)sizeof(big) - 1);
	assert_int_equal(FCGX_FPrintF(out, "[%s]", big), (int)sizeof(big) + 1);
	FCGX_SetExitStatus(3, out);
	return 0;
}

static void
test_output(void **state)
{
	(void)state;
	struct run r;
	begin(&r, "GET", formats);
	call(&r);
	assert_int_equal(r.rc, 0);
	assert_string_equal(fake_sink_header(&r.sink, "X-N"), "7");
	assert_memory_equal(r.sink.body.data, "s|   42|ab  |ff|c|1.50|123456789012|%bbb", 40);
	assert_int_equal(r.sink.body.data[r.sink.body.len - 1], ']');
	assert_non_null(strstr(logged(), "ended with status 3"));
	end(&r);
}

static struct run *flushed;

static int
flusher(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)in, (void)err, (void)envp;
	FCGX_PutS("Content-type: text/plain\r\n", out);
	assert_int_equal(FCGX_FFlush(out), 0); /* within the head: nothing to send yet */
	assert_int_equal(flushed->sink.starts, 0);
	FCGX_PutS("\r\none", out);
	assert_int_equal(FCGX_FFlush(out), 0);
	assert_int_equal(flushed->sink.starts, 1);
	assert_string_equal(flushed->sink.body.data, "one");
	FCGX_PutS(" two", out);
	assert_string_equal(flushed->sink.body.data, "one");
	assert_int_equal(FCGX_FFlush(out), 0);
	assert_string_equal(flushed->sink.body.data, "one two");
	FCGX_PutS(" three", out);
	return 0;
}

static void
test_flush(void **state)
{
	(void)state;
	struct run r;
	flushed = &r;
	begin(&r, "GET", flusher);
	call(&r);
	assert_int_equal(r.rc, SN_EGONE);
	assert_string_equal(r.sink.body.data, "one two three");
	assert_int_equal(r.sink.finishes, 1);
	end(&r);
}

static size_t told, given;

static int
with_length(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)in, (void)err, (void)envp;
	FCGX_FPrintF(out, "Content-type: text/plain\r\nContent-Length: %lu\r\n\r\n",
	             (unsigned long)told);
	FCGX_FFlush(out);
	for (size_t i = 0; i < given; i++)
		if (FCGX_PutChar('x', out) == EOF) {
			assert_int_not_equal(FCGX_GetError(out), 0);
			break;
		}
	return 0;
}

/* A length that was sent already must be kept to, or the front server mixes answers up. */
static void
test_length(void **state)
{
	(void)state;
	static const struct { size_t told, given; int finishes, cuts; } cases[] = {
		{ 20000, 20000, 1, 0 }, { 0, 0, 1, 0 }, { 10, 9, 0, 1 }, { 10, 11, 0, 1 },
		{ 10, 100000, 0, 1 }, { 100000, 10, 0, 1 },
	};
	for (size_t i = 0; i < SN_COUNT(cases); i++) {
		struct run r;
		told = cases[i].told;
		given = cases[i].given;
		begin(&r, "GET", with_length);
		call(&r);
		assert_int_equal(r.rc, SN_EGONE);
		assert_int_equal(r.sink.length, told);
		assert_int_equal(r.sink.finishes, cases[i].finishes);
		assert_int_equal(r.sink.cuts, cases[i].cuts);
		assert_true(r.sink.body.len <= told);
		assert_int_equal(strstr(logged(), "Content-Length") != NULL, cases[i].cuts);
		end(&r);
	}
	/* HEAD: nothing is sent, so nothing is missing. */
	struct run r;
	told = 10;
	given = 0;
	begin(&r, "HEAD", with_length);
	call(&r);
	assert_int_equal(r.sink.finishes, 1);
	assert_int_equal(r.sink.cuts, 0);
	end(&r);
}

static int
endless(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)in, (void)err, (void)envp;
	FCGX_PutS("Content-type: text/plain\r\n\r\n", out);
	while (FCGX_PutS("0123456789abcdef", out) >= 0)
		;
	assert_int_equal(FCGX_GetError(out), EPIPE);
	assert_int_equal(FCGX_PutChar('x', out), EOF);
	assert_int_equal(FCGX_FFlush(out), 0); /* libfcgi's: a closed stream has nothing to flush */
	assert_int_equal(FCGX_FClose(out), EOF);
	return 0;
}

static void *
call_thread(void *arg)
{
	call(arg);
	return NULL;
}

static void
test_back_pressure_and_gone(void **state)
{
	(void)state;
	struct run r;
	pthread_t thread;
	begin(&r, "GET", endless);
	r.sink.room = 50000;
	assert_int_equal(pthread_create(&thread, NULL, call_thread, &r), 0);
	for (int i = 0; i < 5; i++) {
		assert_true(fake_sink_wait_stuck(&r.sink, 5000));
		assert_true(r.sink.untaken < 50000 + 70000);
		fake_sink_drain(&r.sink);
	}
	assert_true(fake_sink_wait_stuck(&r.sink, 5000));
	fake_sink_go(&r.sink, r.req);
	pthread_join(thread, NULL);
	assert_int_equal(r.rc, SN_EGONE);
	assert_int_equal(r.sink.finishes + r.sink.cuts, 0);
	end(&r);
}

/* ---- errors, status, filter ----------------------------------------------------------- */

static int
complains(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	char big[3001];
	(void)envp;
	memset(big, 'e', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	FCGX_FPrintF(err, "first %s\nsecond ", "line");
	FCGX_PutS("half\r\n\nlast", err);
	FCGX_FFlush(err);
	FCGX_PutS(big, err);
	assert_int_equal(FCGX_StartFilterData(in), -1);
	assert_int_equal(FCGX_GetError(in), FCGX_CALL_SEQ_ERROR);
	assert_int_equal(FCGX_IsCGI(), 0);
	FCGX_SetExitStatus(9, err);
	FCGX_PutS("Content-type: text/plain\r\n\r\nfine", out);
	return 4;
}

static void
test_error_stream(void **state)
{
	(void)state;
	struct run r;
	begin(&r, "GET", complains);
	call(&r);
	assert_string_equal(r.sink.body.data, "fine");
	const char *log = logged();
	assert_non_null(strstr(log, "request 0000000000001234: FCGX handler ported: first line\n"));
	assert_non_null(strstr(log, "ported: second half\n"));
	assert_non_null(strstr(log, "ported: last\n"));
	assert_non_null(strstr(log, "ended with status 4"));
	size_t e = 0;
	for (const char *p = log; *p; p++)
		e += p[0] == 'e' && (p[1] == 'e' || p[-1] == 'e');
	assert_int_equal(e, 3000);
	end(&r);
}

static int
fails_silently(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)in, (void)out, (void)envp;
	FCGX_PutS("cannot open the database", err);
	return 1;
}

static void
test_failing(void **state)
{
	(void)state;
	struct run r;
	begin(&r, "GET", fails_silently);
	call(&r);
	assert_int_equal(r.sink.status, 500);
	assert_null(strstr(r.sink.body.data, "database")); /* only for the log */
	const char *log = logged();
	assert_non_null(strstr(log, "cannot open the database"));
	assert_non_null(strstr(log, "printed nothing"));
	end(&r);
}

/* Nothing more is taken once the answer cannot be given: a stream that had room would
 * swallow the rest of it without a word. */
static int
goes_on(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	(void)in, (void)err, (void)envp;
	FCGX_PutS("no header\n\n", out);
	assert_int_equal(FCGX_FFlush(out), -1);
	assert_int_equal(FCGX_GetError(out), FCGX_PROTOCOL_ERROR);
	assert_int_equal(FCGX_PutChar('x', out), EOF);
	assert_int_equal(FCGX_PutS("x", out), -1);
	assert_int_equal(FCGX_FPrintF(out, "%d", 1), -1);
	return 0;
}

static void
test_closed_by_fault(void **state)
{
	(void)state;
	struct run r;
	begin(&r, "GET", goes_on);
	call(&r);
	assert_int_equal(r.sink.status, 500);
	end(&r);
	logged();
}

/* A head fed at every split gives what it gives whole. */
static void
test_head_splits(void **state)
{
	(void)state;
	static const char text[] =
		"Status: 202 x\r\nContent-Type: a/b\nContent-Length: 3\r\nX-A:  1 \r\n\r\nabc";
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct sn_cgi_head h;
		struct sn_response res;
		struct sn_why why;
		size_t used, all = sizeof(text) - 1;
		sn_cgi_head_init(&h, 4096);
		sn_response_init(&res, NULL, NULL, 0, NULL, 0);
		assert_int_equal(sn_cgi_head_feed(&h, &res, text, cut, &used, &why), 0);
		if (!h.done) {
			assert_int_equal(used, cut);
			assert_int_equal(sn_cgi_head_feed(&h, &res, text + cut, all - cut, &used, &why), 0);
			used += cut;
		}
		assert_true(h.done);
		assert_int_equal(used, all - 3);
		assert_int_equal(h.length, 3);
		assert_int_equal(res.status, 202);
		assert_int_equal(res.head.len, 27);
		assert_memory_equal(res.head.data, "Content-Type: a/b\r\nX-A: 1\r\n", 27);
		sn_cgi_head_free(&h);
		sn_response_free(&res);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),        cmocka_unit_test(test_bad_heads),
		cmocka_unit_test(test_nul_in_head),  cmocka_unit_test(test_head_method),
		cmocka_unit_test(test_bodies),       cmocka_unit_test(test_no_body),
		cmocka_unit_test(test_output),       cmocka_unit_test(test_flush),
		cmocka_unit_test(test_length),       cmocka_unit_test(test_back_pressure_and_gone),
		cmocka_unit_test(test_error_stream), cmocka_unit_test(test_failing),
		cmocka_unit_test(test_closed_by_fault), cmocka_unit_test(test_head_splits),
	};
	struct sn_log_options log = { .level = SN_LOG_INFO, .file = log_file };
	int fd = mkstemp(log_file);
	if (fd < 0 || sn_log_open(&log, NULL) < 0)
		return 99;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(log_file);
	return failed;
}
