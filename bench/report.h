/* SPDX-License-Identifier: MIT
 *
 * What a run found, as a table for people or as JSON for programs.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "load.h"

struct bench_about { /* what was asked for, repeated in the report */
	const struct bench_load *load;
	const char *method, *path;
	size_t body_len;
	const char *label; /* or NULL */
};

void bench_report_text(FILE *f, const struct bench_about *about, const struct bench_result *r);
void bench_report_json(FILE *f, const struct bench_about *about, const struct bench_result *r);
/* Answers that were wrong, and requests that failed altogether. */
uint64_t bench_report_wrong(const struct bench_result *r);
/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void bench_json_string(FILE *f, const char *s);

#endif
