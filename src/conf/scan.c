/* SPDX-License-Identifier: MIT
 *
 * A look at the text before libconfig gets it. libconfig 1.5 makes another
 * number of an integer that does not fit, ends the process when an included
 * file cannot be read as a file, and stops at a NUL byte as if it were the
 * end. Follows libconfig's own lexical rules (comments, strings, names,
 * numbers, @include at the beginning of a line) and nothing of its grammar.
 * Runs at start.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_priv.h"

#define TEXT_MAX ((size_t)1 << 20)
#define INCLUDES_MAX 64 /* in all; libconfig itself stops at 10 levels */

struct scan {
	const char *name, *dir, *p, *end;
	const char *key; /* the last name seen: the number's key; NULL: none */
	size_t key_len;
	unsigned line;
	bool line_start; /* nothing but blanks since the line began */
	unsigned *includes;
	struct sn_faults *f;
};

static void scan_text(const char *text, size_t len, const char *name, const char *dir,
                      unsigned *includes, struct sn_faults *f);

int
sn_read_text(const char *file, char **text, size_t *len, const char **reason)
{
	struct stat st;
	char *data = NULL;
	ssize_t n = 0;
	int rc = SN_EIO;
	*reason = NULL;
	/* O_NONBLOCK: a FIFO without a writer would wait for ever */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		goto out;
	rc = SN_EINVAL;
	*reason = S_ISDIR(st.st_mode) ? "it is a directory" : "it is not a regular file";
	if (!S_ISREG(st.st_mode))
		goto out;
	*reason = "it has more than 1 MiB";
	if (st.st_size > (off_t)TEXT_MAX)
		goto out;
	*reason = "out of memory";
	data = malloc(TEXT_MAX + 2);
	if (!data)
		goto out;
	rc = 0;
	*len = 0;
	while (*len <= TEXT_MAX && (n = read(fd, data + *len, TEXT_MAX + 1 - *len)) > 0)
		*len += (size_t)n;
	if (n < 0 || *len > TEXT_MAX) {
		rc = SN_EIO;
		*reason = n < 0 ? NULL : "it has more than 1 MiB";
		goto out;
	}
	data[*len] = '\0';
	char *fit = realloc(data, *len + 1); /* also lets a sanitizer see a byte too far */
	*text = fit ? fit : data;
	data = NULL;
out:
	if (rc < 0 && !*reason)
		*reason = strerror(errno);
	if (fd >= 0)
		close(fd);
	free(data);
	return rc;
}

static void
skip_string(struct scan *s)
{
	for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
		if (*s->p == '\\' && s->p + 1 < s->end)
			s->p++;
		if (*s->p == '\n')
			s->line++;
	}
	if (s->p < s->end)
		s->p++;
}

static void
skip_block_comment(struct scan *s)
{
	for (s->p += 2; s->p < s->end; s->p++) {
		if (s->p + 1 < s->end && s->p[0] == '*' && s->p[1] == '/') {
			s->p += 2;
			return;
		}
		if (*s->p == '\n')
			s->line++;
	}
}

static void
include(struct scan *s)
{
	const char *from = s->p, *close;
	while (from < s->end && isblank((unsigned char)*from))
		from++;
	if (from == s->end || *from != '"')
		return; /* libconfig says what is wrong with it */
	close = memchr(from + 1, '"', (size_t)(s->end - from - 1));
	if (!close)
		return;
	char name[4096];
	size_t len = (size_t)(close - from - 1);
	s->p = close + 1;
	if (len == 0 || len >= sizeof(name) || memchr(from + 1, '\\', len) || memchr(from + 1, '\n', len)) {
		sn_fault(s->f, s->name, s->line, "@include needs a plain file name in quotes");
		return;
	}
	memcpy(name, from + 1, len);
	name[len] = '\0';
	char *path = sn_conf_path(s->dir, name), *text;
	const char *reason;
	if (!path)
		return;
	if (++*s->includes > INCLUDES_MAX)
		sn_fault(s->f, s->name, s->line, "more than %d files are included; does one include "
		         "itself?", INCLUDES_MAX);
	else if (sn_read_text(path, &text, &len, &reason) < 0)
		sn_fault(s->f, s->name, s->line, "cannot include '%s': %s", path, reason);
	else {
		scan_text(text, len, path, s->dir, s->includes, s->f);
		free(text);
	}
	free(path);
}

/* The mend for a number that was taken for 32 bits. */
static void
too_large(struct scan *s, const char *from, size_t len, uint64_t n, bool fits)
{
	if (!fits) {
		sn_fault(s->f, s->name, s->line, "%.*s does not fit in 64 bits; write a smaller number",
		         (int)(len < 60 ? len : 60), from);
		return;
	}
	sn_fault(s->f, s->name, s->line, "%.*s: %.*s is above 2147483647 and would be taken for "
	         "another number; write %.*sL or, for a size, \"%.1f GiB\"", (int)s->key_len,
	         s->key ? s->key : "", (int)len, from, (int)len, from, (double)n / (1 << 30));
}

static void
number(struct scan *s)
{
	const char *from = s->p;
	uint64_t n = 0;
	bool fits = true, negative = *s->p == '-';
	if (*s->p == '-' || *s->p == '+')
		s->p++;
	bool hex = s->end - s->p > 2 && s->p[0] == '0' && (s->p[1] == 'x' || s->p[1] == 'X') &&
	           isxdigit((unsigned char)s->p[2]) && s->p == from;
	if (hex)
		s->p += 2;
	for (; s->p < s->end; s->p++) {
		int c = tolower((unsigned char)*s->p);
		if (!(hex ? isxdigit(c) : isdigit(c)))
			break;
		unsigned digit = (unsigned)(isdigit(c) ? c - '0' : c - 'a' + 10);
		fits = fits && !__builtin_mul_overflow(n, hex ? 16u : 10u, &n) &&
		       !__builtin_add_overflow(n, (uint64_t)digit, &n);
	}
	size_t len = (size_t)(s->p - from);
	char next = s->p < s->end ? *s->p : '\0';
	if (!hex && (next == '.' || next == 'e' || next == 'E')) {
		/* a float: the digits behind the point are nobody's integer */
		while (s->p < s->end && (isalnum((unsigned char)*s->p) || *s->p == '.' ||
		                         ((*s->p == '-' || *s->p == '+') &&
		                          (s->p[-1] == 'e' || s->p[-1] == 'E'))))
			s->p++;
		return;
	}
	fits = fits && n <= (uint64_t)INT64_MAX + negative;
	if (next == 'L' ? !fits : !fits || n > (uint64_t)INT32_MAX + negative)
		too_large(s, from, len, n, fits);
	while (s->p < s->end && isalnum((unsigned char)*s->p))
		s->p++;
}

static bool
is_name(char c, bool first)
{
	return isalpha((unsigned char)c) || c == '*' ||
	       (!first && (isdigit((unsigned char)c) || c == '-' || c == '_'));
}

static void
step(struct scan *s)
{
	char c = *s->p, next = s->p + 1 < s->end ? s->p[1] : '\0';
	if (c == '\n') {
		s->line++;
		s->line_start = true;
		s->p++;
		return;
	}
	bool start = s->line_start;
	s->line_start = start && isspace((unsigned char)c);
	if (c == '#' || (c == '/' && next == '/')) {
		while (s->p < s->end && *s->p != '\n')
			s->p++;
	} else if (c == '/' && next == '*') {
		skip_block_comment(s);
	} else if (c == '"') {
		skip_string(s);
	} else if (c == '@' && start && s->end - s->p > 8 && memcmp(s->p, "@include", 8) == 0 &&
	           isblank((unsigned char)s->p[8])) {
		s->p += 8;
		include(s);
	} else if (is_name(c, true)) {
		s->key = s->p;
		while (s->p < s->end && is_name(*s->p, false))
			s->p++;
		s->key_len = (size_t)(s->p - s->key);
	} else if (isdigit((unsigned char)c) ||
	           ((c == '-' || c == '+') && isdigit((unsigned char)next))) {
		number(s);
	} else if (c == '.' && isdigit((unsigned char)next)) {
		for (s->p++; s->p < s->end && isdigit((unsigned char)*s->p); s->p++)
			;
	} else {
		s->p++;
	}
}

static void
scan_text(const char *text, size_t len, const char *name, const char *dir, unsigned *includes,
          struct sn_faults *f)
{
	struct scan s = { .name = name, .dir = dir, .p = text, .end = text + len, .line = 1,
		.line_start = true, .includes = includes, .f = f };
	if (memchr(text, '\0', len)) {
		sn_fault(f, name, 0, "there are NUL bytes in it; is this a text file?");
		return;
	}
	while (s.p < s.end)
		step(&s);
}

void
sn_scan_text(const char *text, size_t len, const char *name, const char *dir, struct sn_faults *f)
{
	unsigned includes = 0;
	scan_text(text, len, name, dir, &includes, f);
}
