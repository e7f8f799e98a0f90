/* SPDX-License-Identifier: MIT
 *
 * The process's log: one write(2) a line, so lines of several threads and
 * processes never mix; control characters are escaped, so a request cannot
 * forge a line. Any thread; never blocks on a lock of ours.
 */
#ifndef SN_BASE_LOG_H
#define SN_BASE_LOG_H

#include "base/err.h"

enum sn_log_level { SN_LOG_DEBUG, SN_LOG_INFO, SN_LOG_WARNING, SN_LOG_ERROR };
enum sn_log_format { SN_LOG_TEXT, SN_LOG_JSON };

struct sn_log_options {
	enum sn_log_level level;
	enum sn_log_format format;
	const char *file; /* "" or NULL: standard error */
};

/* Opens the file (0640, appended). SN_EIO with the reason. Until called: info, text, stderr.
 * May be called again, before the process starts threads. */
int sn_log_open(const struct sn_log_options *opt, struct sn_why *why);
/* Opens the same file again (after rotation). */
int sn_log_reopen(struct sn_why *why);
/* A line of a log: one write(2), and more only where that was interrupted or came short. What
 * fails is lost: there is nowhere to report a failing log. */
void sn_log_put(int fd, const char *line, size_t len);
int sn_log_level_from(const char *name); /* or SN_EINVAL */
bool sn_log_enabled(enum sn_log_level level);
/* `request`: a request id, 0 for none. Text of several lines (a traceback) is
 * kept readable: each line after the first is indented with "| ". */
void sn_log_for(enum sn_log_level level, uint64_t request, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define sn_log_debug(...) \
	(sn_log_enabled(SN_LOG_DEBUG) ? sn_log_for(SN_LOG_DEBUG, 0, __VA_ARGS__) : (void)0)
#define sn_log_info(...) sn_log_for(SN_LOG_INFO, 0, __VA_ARGS__)
#define sn_log_warning(...) sn_log_for(SN_LOG_WARNING, 0, __VA_ARGS__)
#define sn_log_error(...) sn_log_for(SN_LOG_ERROR, 0, __VA_ARGS__)

#endif
