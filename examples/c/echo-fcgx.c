/* SPDX-License-Identifier: MIT
 *
 * An echo program for libfcgi, moved into a snacgi table. Only its first lines
 * and its last one changed. As a program of its own it began and ended
 *
 *     #include <fcgiapp.h>
 *
 *     int
 *     main(void)
 *     {
 *             FCGX_Stream *in, *out, *err;
 *             FCGX_ParamArray envp;
 *
 *             while (FCGX_Accept(&in, &out, &err, &envp) >= 0) {
 *                     ... what is the function's body below ...
 *             }
 *             return 0;
 *     }
 *
 * The streams, the CGI head that is printed and every call between are the same.
 */
#include <snacgi-fcgx.h>

#include <stdlib.h>
#include <string.h>

sn_fcgx_handler echo_fcgx;

/* What would end the element or begin another. */
static void
put_escaped(FCGX_Stream *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		switch (text[i]) {
		case '<': FCGX_PutS("&lt;", out); break;
		case '>': FCGX_PutS("&gt;", out); break;
		case '&': FCGX_PutS("&amp;", out); break;
		default: FCGX_PutChar((unsigned char)text[i], out);
		}
}

int
echo_fcgx(FCGX_Stream *in, FCGX_Stream *out, FCGX_Stream *err, FCGX_ParamArray envp)
{
	const char *method = FCGX_GetParam("REQUEST_METHOD", envp);
	char buf[1024];
	long total = 0;
	int n;

	FCGX_FPrintF(out, "Content-type: text/html; charset=utf-8\r\n\r\n"
	                  "<!doctype html>\n<title>FCGX echo</title>\n"
	                  "<h1>FCGX echo</h1>\n<h2>Standard input (%s)</h2>\n<pre>",
	             method ? method : "no method");
	while ((n = FCGX_GetStr(buf, sizeof(buf), in)) > 0) {
		put_escaped(out, buf, (size_t)n);
		total += n;
	}
	FCGX_FPrintF(out, "</pre>\n<p>%ld bytes</p>\n<h2>Parameters</h2>\n<pre>", total);
	for (char **p = envp; *p; p++) {
		put_escaped(out, *p, strlen(*p));
		FCGX_PutChar('\n', out);
	}
	FCGX_PutS("</pre>\n", out);
	if (total && strcmp(method ? method : "", "GET") == 0)
		FCGX_FPrintF(err, "a GET with a body of %ld bytes\n", total);
	return 0;
}
