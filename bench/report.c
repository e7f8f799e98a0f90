/* SPDX-License-Identifier: MIT
 *
 * The two forms of the report. The JSON is a contract: snacgi-bench(1) lists
 * its members; new ones may be added, none renamed.
 */
#include "report.h"

#include <string.h>

static const struct {
	double percent;
	const char *text, *json;
} percentiles[] = {
	{ 50, "p50", "p50" },       { 75, "p75", "p75" },         { 90, "p90", "p90" },
	{ 99, "p99", "p99" },       { 99.9, "p99.9", "p99_9" },   { 99.99, "p99.99", "p99_99" },
};

uint64_t
bench_report_wrong(const struct bench_result *r)
{
	uint64_t n = r->timeouts + r->connect_errors;
	size_t i;

	for (i = BENCH_OK + 1; i < BENCH_FAULTS; i++)
		n += r->wrong[i];
	return n;
}

static double
per_request_us(const struct bench_result *r, double seconds)
{
	return r->requests ? seconds * 1e6 / (double)r->requests : 0.0;
}

static double
rate_of(const struct bench_result *r)
{
	return r->seconds > 0 ? (double)r->requests / r->seconds : 0.0;
}

/* ---- text ------------------------------------------------------------------- */

static void
text_load(FILE *f, const struct bench_about *a)
{
	const struct bench_load *l = a->load;

	fprintf(f, "%s %s over %s to %s, %u connection%s, %s, %u thread%s",
	        a->method, a->path, l->target->proto == BENCH_SCGI ? "SCGI" : "FastCGI",
	        l->target->text, l->connections, l->connections == 1 ? "" : "s",
	        l->keep ? "kept" : "a new one for each request", l->threads,
	        l->threads == 1 ? "" : "s");
	if (a->body_len)
		fprintf(f, ", body of %zu bytes", a->body_len);
	if (l->rate > 0)
		fprintf(f, ", %.0f requests/s due", l->rate);
	fputs("\n\n", f);
}

static void
text_time(FILE *f, double ns)
{
	if (ns < 1e6)
		fprintf(f, "%10.1f us", ns / 1e3);
	else if (ns < 1e9)
		fprintf(f, "%10.2f ms", ns / 1e6);
	else
		fprintf(f, "%10.2f s ", ns / 1e9);
}

static void
text_latency(FILE *f, const struct bench_result *r)
{
	size_t i;

	fputs("  latency       mean", f);
	text_time(f, bench_hist_mean(&r->latency));
	fputc('\n', f);
	for (i = 0; i < SN_COUNT(percentiles); i++) {
		fprintf(f, "  %18s", percentiles[i].text);
		text_time(f, (double)bench_hist_percentile(&r->latency, percentiles[i].percent));
		fputc('\n', f);
	}
	fputs("                 max", f);
	text_time(f, (double)r->latency.max);
	fputc('\n', f);
}

static void
text_cpu(FILE *f, const struct bench_result *r)
{
	double used = r->after.seconds - r->before.seconds;

	if (r->has_server)
		fprintf(f, "  server CPU    %.2f us a request, %.0f%% of one core, %u process%s, "
		        "%u threads, %.1f MiB resident\n",
		        per_request_us(r, used), r->seconds > 0 ? used * 100 / r->seconds : 0.0,
		        r->after.processes, r->after.processes == 1 ? "" : "es", r->after.threads,
		        (double)r->after.rss_bytes / 1048576.0);
	else if (r->server_why.text[0])
		fprintf(f, "  server CPU    not known: %s\n", r->server_why.text);
	fprintf(f, "  client CPU    %.2f s in all\n", r->client_cpu);
}

static void
text_line(FILE *f, const char *name, uint64_t n, const char *note)
{
	if (n)
		fprintf(f, "  %-13s %llu%s\n", name, (unsigned long long)n, note);
}

static void
text_trouble(FILE *f, const struct bench_result *r)
{
	size_t i;

	for (i = BENCH_OK + 1; i < BENCH_FAULTS; i++) {
		if (r->wrong[i])
			fprintf(f, "  WRONG         %llu answers: %s\n", (unsigned long long)r->wrong[i],
			        bench_fault_text((enum bench_fault)i));
	}
	if (r->first_fault[0])
		fprintf(f, "  first wrong   %s\n", r->first_fault);
	if (r->connect_errors)
		fprintf(f, "  WRONG         %llu connects failed: %s\n",
		        (unsigned long long)r->connect_errors, strerror(r->connect_errno));
	text_line(f, "WRONG", r->timeouts, " requests without an answer in time");
	text_line(f, "unserved", r->unserved, " connections that never got an answer");
	text_line(f, "unanswered", r->unanswered, " requests under way or due at the end");
	text_line(f, "reconnects", r->reconnects, ": the server closed connections that were to be kept");
	text_line(f, "backlog full", r->backlog_full, " times");
}

void
bench_report_text(FILE *f, const struct bench_about *about, const struct bench_result *r)
{
	size_t i;

	if (about->label)
		fprintf(f, "%s: ", about->label);
	text_load(f, about);
	fprintf(f, "  requests      %llu in %.2f s: %.0f a second\n", (unsigned long long)r->requests,
	        r->seconds, rate_of(r));
	for (i = 0; i < SN_COUNT(r->status); i++) {
		if (r->status[i] && r->status[i] != r->requests)
			fprintf(f, "  status %3zu    %llu\n", i, (unsigned long long)r->status[i]);
	}
	text_cpu(f, r);
	text_latency(f, r);
	if (about->load->rate > 0 && r->worst_lag > 1000000)
		fprintf(f, "  own lag       up to %.2f ms: this program did not get its CPU in time\n",
		        (double)r->worst_lag / 1e6);
	text_trouble(f, r);
}

/* ---- JSON ------------------------------------------------------------------- */

/* Bytes of the UTF-8 sequence at `s`; 0 when it is none. */
static size_t
utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
	         : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
	size_t i;

	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Too long forms, surrogates, and what is beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void
bench_json_string(FILE *f, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n;

	fputc('"', f);
	for (; *p; p += n ? n : 1) {
		n = utf8_length(p);
		if (n == 0)
			fputs("\\ufffd", f);
		else if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(f, "\\u%04x", *p);
		else
			fwrite(p, 1, n, f);
	}
	fputc('"', f);
}

static void
json_load(FILE *f, const struct bench_about *a)
{
	const struct bench_load *l = a->load;

	if (a->label) {
		fputs("  \"label\": ", f);
		bench_json_string(f, a->label);
		fputs(",\n", f);
	}
	fprintf(f, "  \"protocol\": \"%s\",\n  \"address\": ",
	        l->target->proto == BENCH_SCGI ? "scgi" : "fastcgi");
	bench_json_string(f, l->target->text);
	fputs(",\n  \"method\": ", f);
	bench_json_string(f, a->method);
	fputs(",\n  \"path\": ", f);
	bench_json_string(f, a->path);
	fprintf(f, ",\n  \"body_bytes\": %zu,\n  \"connections\": %u,\n  \"keep\": %s,\n"
	        "  \"threads\": %u,\n  \"rate\": %.3f,\n  \"warmup\": %.3f,\n",
	        a->body_len, l->connections, l->keep ? "true" : "false", l->threads, l->rate,
	        l->warmup);
}

static void
json_counts(FILE *f, const struct bench_result *r)
{
	const char *comma = "";
	size_t i;

	fprintf(f, "  \"seconds\": %.6f,\n  \"requests\": %llu,\n  \"requests_per_second\": %.3f,\n",
	        r->seconds, (unsigned long long)r->requests, rate_of(r));
	fprintf(f, "  \"bytes_in\": %llu,\n  \"bytes_out\": %llu,\n  \"status\": {",
	        (unsigned long long)r->bytes_in, (unsigned long long)r->bytes_out);
	for (i = 0; i < SN_COUNT(r->status); i++) {
		if (r->status[i]) {
			fprintf(f, "%s\"%zu\": %llu", comma, i, (unsigned long long)r->status[i]);
			comma = ", ";
		}
	}
	fputs("},\n  \"wrong\": {", f);
	for (i = BENCH_OK + 1, comma = ""; i < BENCH_FAULTS; i++, comma = ", ")
		fprintf(f, "%s\"%s\": %llu", comma, bench_fault_name((enum bench_fault)i),
		        (unsigned long long)r->wrong[i]);
	fprintf(f, "%s\"timeout\": %llu, \"connect\": %llu},\n  \"wrong_total\": %llu,\n", comma,
	        (unsigned long long)r->timeouts, (unsigned long long)r->connect_errors,
	        (unsigned long long)bench_report_wrong(r));
	fputs("  \"first_wrong\": ", f);
	bench_json_string(f, r->first_fault);
	fprintf(f, ",\n  \"unserved_connections\": %u,\n  \"unanswered\": %llu,\n"
	        "  \"reconnects\": %llu,\n  \"backlog_full\": %llu,\n",
	        r->unserved, (unsigned long long)r->unanswered, (unsigned long long)r->reconnects,
	        (unsigned long long)r->backlog_full);
}

static void
json_latency(FILE *f, const struct bench_result *r)
{
	const struct bench_hist *h = &r->latency;
	size_t i;

	fprintf(f, "  \"latency_us\": {\"count\": %llu, \"mean\": %.3f, \"min\": %.3f",
	        (unsigned long long)h->count, bench_hist_mean(h) / 1e3,
	        h->count ? (double)h->min / 1e3 : 0.0);
	for (i = 0; i < SN_COUNT(percentiles); i++)
		fprintf(f, ", \"%s\": %.3f", percentiles[i].json,
		        (double)bench_hist_percentile(h, percentiles[i].percent) / 1e3);
	fprintf(f, ", \"max\": %.3f},\n  \"own_lag_us\": %.3f,\n", (double)h->max / 1e3,
	        (double)r->worst_lag / 1e3);
}

static void
json_server(FILE *f, const struct bench_result *r)
{
	double used = r->after.seconds - r->before.seconds;

	fprintf(f, "  \"client_cpu_seconds\": %.6f,\n  \"server\": ", r->client_cpu);
	if (r->has_server) {
		fprintf(f, "{\"cpu_seconds\": %.6f, \"cpu_us_per_request\": %.4f, \"processes\": %u, "
		        "\"threads\": %u, \"rss_bytes\": %llu}\n", used, per_request_us(r, used),
		        r->after.processes, r->after.threads, (unsigned long long)r->after.rss_bytes);
	} else if (r->server_why.text[0]) {
		fputs("{\"error\": ", f);
		bench_json_string(f, r->server_why.text);
		fputs("}\n", f);
	} else {
		fputs("null\n", f);
	}
}

void
bench_report_json(FILE *f, const struct bench_about *about, const struct bench_result *r)
{
	fputs("{\n", f);
	json_load(f, about);
	json_counts(f, r);
	json_latency(f, r);
	json_server(f, r);
	fputs("}\n", f);
}
