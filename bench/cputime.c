/* SPDX-License-Identifier: MIT
 *
 * Reads /proc/PID/stat of every process once and adds up the trees below the
 * roots. A live process's own time comes from its CPU-time clock where the
 * kernel lets us (nanoseconds; stat has 10 ms ticks); that of children which
 * ended comes from stat.
 */
#include "cputime.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct process {
	pid_t pid, parent;
	double own, children; /* seconds */
	uint64_t rss;
	unsigned threads;
	bool chosen;
};

static int
read_stat(pid_t pid, struct process *p)
{
	char path[64], text[1024], *rest;
	unsigned long utime, stime;
	long cutime, cstime, threads, rss;
	double tick = (double)sysconf(_SC_CLK_TCK);
	size_t len;
	int parent;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	f = fopen(path, "re");
	if (!f)
		return SN_ENOENT;
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	rest = strrchr(text, ')'); /* a program's name may hold anything */
	if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld"
	                    " %*d %*d %ld %*d %*u %*u %ld", &parent, &utime, &stime, &cutime,
	                    &cstime, &threads, &rss) != 7)
		return SN_EIO;
	memset(p, 0, sizeof(*p));
	p->pid = pid;
	p->parent = parent;
	p->own = (double)(utime + stime) / tick;
	p->children = (double)(cutime + cstime) / tick;
	p->threads = (unsigned)threads;
	p->rss = (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static int
read_all(struct process **list, size_t *n, struct sn_why *why)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t cap = 0;
	void *more;
	int rc = SN_ENOMEM;

	*list = NULL;
	*n = 0;
	if (!dir)
		return sn_why_set(why, SN_EIO, "cannot read /proc: %s", strerror(errno));
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		if (*n == cap) {
			cap = cap ? cap * 2 : 256;
			more = realloc(*list, cap * sizeof(**list));
			if (!more) {
				sn_why_set(why, SN_ENOMEM, "out of memory");
				goto out;
			}
			*list = more;
		}
		if (read_stat((pid_t)atol(entry->d_name), *list + *n) == 0)
			++*n;
	}
	rc = 0;
out:
	closedir(dir);
	return rc;
}

static struct process *
find(struct process *list, size_t n, pid_t pid)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (list[i].pid == pid)
			return &list[i];
	}
	return NULL;
}

/* Whether `p` is, or descends from, a root. */
static bool
belongs(struct process *list, size_t n, const struct process *p, const struct bench_roots *roots)
{
	const struct process *q = p;
	size_t i, depth;

	for (depth = 0; q && depth < 64; depth++) { /* /proc is no snapshot: no endless loop */
		for (i = 0; i < roots->n; i++) {
			if (q->pid == roots->pid[i] && (q != p || !roots->without_root[i]))
				return true;
		}
		q = q->parent > 1 ? find(list, n, q->parent) : NULL;
	}
	return false;
}

static double
own_seconds(const struct process *p)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(p->pid, &clock) != 0 || clock_gettime(clock, &ts) != 0)
		return p->own;
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
bench_cputime_read(const struct bench_roots *roots, struct bench_cputime *out, struct sn_why *why)
{
	struct process *list;
	size_t n, i;
	int rc = read_all(&list, &n, why);

	memset(out, 0, sizeof(*out));
	if (rc < 0)
		goto out;
	for (i = 0; i < roots->n; i++) {
		if (!find(list, n, roots->pid[i])) {
			rc = sn_why_set(why, SN_ENOENT, "there is no process %ld", (long)roots->pid[i]);
			goto out;
		}
	}
	for (i = 0; i < n; i++)
		list[i].chosen = belongs(list, n, &list[i], roots);
	for (i = 0; i < n; i++) {
		if (!list[i].chosen)
			continue;
		out->seconds += own_seconds(&list[i]) + list[i].children;
		out->rss_bytes += list[i].rss;
		out->threads += list[i].threads;
		out->processes++;
	}
out:
	free(list);
	return rc;
}
