/* SPDX-License-Identifier: MIT
 *
 * The log. The descriptor and level are atomics: a reopen swaps the file with
 * dup3 under the same number, so writers need no lock.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

static struct {
	_Atomic int level, format, fd;
	char file[1024]; /* main thread only */
} log_state = { SN_LOG_INFO, SN_LOG_TEXT, STDERR_FILENO, "" };

static const char *const level_names[] = { "debug", "info", "warning", "error" };

void
sn_log_put(int fd, const char *line, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, line, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		len -= (size_t)n;
	}
}

int
sn_log_level_from(const char *name)
{
	for (size_t i = 0; i < SN_COUNT(level_names); i++)
		if (strcmp(name, level_names[i]) == 0)
			return (int)i;
	return SN_EINVAL;
}

bool
sn_log_enabled(enum sn_log_level level)
{
	return (int)level >= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

static int
open_file(const char *file, struct sn_why *why)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return sn_why_set(why, SN_EIO,
		                  "cannot open the log file %s: %s; create its directory or make it "
		                  "writable, or set log.file = \"\" for standard error",
		                  file, strerror(errno));
	return fd;
}

int
sn_log_open(const struct sn_log_options *opt, struct sn_why *why)
{
	if (opt->file && *opt->file) {
		if (strlen(opt->file) >= sizeof(log_state.file))
			return sn_why_set(why, SN_EINVAL, "log.file is longer than %zu bytes",
			                  sizeof(log_state.file) - 1);
		int fd = open_file(opt->file, why);
		if (fd < 0)
			return fd;
		int old = atomic_load(&log_state.fd);
		if (old != STDERR_FILENO) {
			dup3(fd, old, O_CLOEXEC);
			close(fd);
		} else {
			atomic_store(&log_state.fd, fd);
		}
		strcpy(log_state.file, opt->file);
	} else if (log_state.file[0]) { /* back to standard error; only before threads start */
		close(atomic_exchange(&log_state.fd, STDERR_FILENO));
		log_state.file[0] = '\0';
	}
	atomic_store(&log_state.level, (int)opt->level);
	atomic_store(&log_state.format, (int)opt->format);
	return 0;
}

int
sn_log_reopen(struct sn_why *why)
{
	if (!log_state.file[0])
		return 0;
	int fd = open_file(log_state.file, why);
	if (fd < 0)
		return fd;
	dup3(fd, atomic_load(&log_state.fd), O_CLOEXEC);
	close(fd);
	return 0;
}

/* Escapes what could forge or break a line; `newline` is what '\n' becomes. */
static void
add_escaped(struct sn_buf *b, const char *s, bool json)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		if (json && (*p == '"' || *p == '\\'))
			sn_buf_addf(b, "\\%c", *p);
		else if (*p == '\n' && json)
			sn_buf_adds(b, "\\n");
		else if (*p == '\n' && p[1])
			sn_buf_adds(b, "\n  | ");
		else if (*p == '\n')
			continue;
		else if (*p == '\t' && !json)
			sn_buf_adds(b, "\t");
		else if (*p < 0x20 || *p == 0x7f)
			sn_buf_addf(b, json ? "\\u%04x" : "\\x%02x", *p);
		else
			sn_buf_add(b, p, 1);
	}
}

void
sn_log_for(enum sn_log_level level, uint64_t request, const char *fmt, ...)
{
	if (!sn_log_enabled(level))
		return;
	int saved = errno;
	char text_store[1024], line_store[1400], when[40];
	struct sn_buf text, line;
	sn_buf_init(&text, text_store, sizeof(text_store));
	sn_buf_init(&line, line_store, sizeof(line_store));

	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(text.data, text.cap, fmt, ap);
	if (n >= (int)text.cap && sn_buf_reserve(&text, (size_t)n + 1) == 0)
		vsnprintf(text.data, text.cap, fmt, again);
	va_end(again);
	va_end(ap);

	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t w = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + w, sizeof(when) - w, ".%03ldZ", ts.tv_nsec / 1000000);

	bool json = atomic_load_explicit(&log_state.format, memory_order_relaxed) == SN_LOG_JSON;
	if (json) {
		sn_buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"pid\":%d", when,
		            level_names[level], (int)getpid());
		if (request)
			sn_buf_addf(&line, ",\"request\":\"%016llx\"", (unsigned long long)request);
		sn_buf_adds(&line, ",\"message\":\"");
		add_escaped(&line, text.data, true);
		sn_buf_adds(&line, "\"}\n");
	} else {
		sn_buf_addf(&line, "%s [%d] %s: ", when, (int)getpid(), level_names[level]);
		if (request)
			sn_buf_addf(&line, "request %016llx: ", (unsigned long long)request);
		add_escaped(&line, text.data, false);
		sn_buf_adds(&line, "\n");
	}
	sn_log_put(atomic_load_explicit(&log_state.fd, memory_order_relaxed), line.data, line.len);
	sn_buf_free(&text);
	sn_buf_free(&line);
	errno = saved;
}
