/* SPDX-License-Identifier: MIT
 *
 * Limits, log. Main thread, before any other is started.
 */
#include "server/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"

#define OTHER_FILES 128 /* logs, listeners, epolls, Python's own, the pool's pipes */

void
sn_process_raise_limits(struct sn_conf *conf)
{
	struct rlimit rl;
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
		getrlimit(RLIMIT_NOFILE, &rl);
	}
	if (rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur >= (rlim_t)conf->limits.connections + OTHER_FILES)
		return;
	unsigned fit = rl.rlim_cur > 2 * OTHER_FILES ? (unsigned)rl.rlim_cur - OTHER_FILES
	                                             : (unsigned)rl.rlim_cur / 2;
	sn_log_warning("limits.connections lowered from %u to %u: the system allows %llu open files; "
	               "raise LimitNOFILE= (systemd) or ulimit -n",
	               conf->limits.connections, fit, (unsigned long long)rl.rlim_cur);
	conf->limits.connections = fit;
}

uint64_t
sn_process_rss(void)
{
	char text[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *resident = strchr(text, ' '); /* the second number, in pages */
	return resident ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

int
sn_process_open_log(const struct sn_conf *conf, struct sn_why *why)
{
	int level = sn_log_level_from(conf->log.level);
	struct sn_log_options opt = {
		.level = level < 0 ? SN_LOG_INFO : (enum sn_log_level)level,
		.format = strcmp(conf->log.format, "json") == 0 ? SN_LOG_JSON : SN_LOG_TEXT,
		.file = conf->log.file,
	};
	return sn_log_open(&opt, why);
}
