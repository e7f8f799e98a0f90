/* SPDX-License-Identifier: MIT
 *
 * Notifications to the service manager, by libsystemd where it was built in, else by
 * the datagram that sd_notify(3) documents: a build without the library loses nothing.
 * State is static: one process has one manager. One thread.
 */
#include "config.h"

#include "server/notify.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#else
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#endif

#define STATUS_MAX 400
#define STOP_MARGIN_MS 5000 /* what a killed process needs to be gone */

static struct {
	bool on;
	int64_t every_ms, next_ms; /* watchdog; 0: none */
} state;

/* ---- the way out ----------------------------------------------------------------- */

#ifdef HAVE_LIBSYSTEMD
static int
send_text(const char *text)
{
	return sd_notify(0, text);
}

static uint64_t
watchdog_usec(void)
{
	uint64_t usec = 0;
	return sd_watchdog_enabled(0, &usec) > 0 ? usec : 0;
}
#else
static int
send_text(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	if (len == 0 || len >= sizeof(un.sun_path) || (*path != '/' && *path != '@'))
		return -EINVAL;
	memcpy(un.sun_path, path, len);
	if (*path == '@')
		un.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ssize_t n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un,
	                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	int rc = n < 0 ? -errno : 1;
	close(fd);
	return rc;
}

static uint64_t
watchdog_usec(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	errno = 0;
	unsigned long long n = strtoull(usec, NULL, 10);
	return errno || n == ULLONG_MAX ? 0 : n;
}
#endif

static void
tell(const char *text)
{
	int rc = state.on ? send_text(text) : 1;
	if (rc < 0)
		sn_log_debug("the service manager was not told (%.20s...): %s", text, strerror(-rc));
}

/* `fields`, then STATUS= on one line. */
static void
tell_status(const char *fields, const char *status, va_list ap)
{
	char text[STATUS_MAX + 64], line[STATUS_MAX];
	if (!state.on)
		return;
	vsnprintf(line, sizeof(line), status, ap);
	line[strcspn(line, "\r\n")] = '\0'; /* the next line would be a field of its own */
	snprintf(text, sizeof(text), "%sSTATUS=%s", fields, line);
	tell(text);
}

/* ---- what is said ------------------------------------------------------------------ */

void
sn_notify_start(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	memset(&state, 0, sizeof(state));
	state.on = path && *path;
	uint64_t usec = state.on ? watchdog_usec() : 0;
	if (usec == 0)
		return;
	state.every_ms = (int64_t)(usec / 2000); /* twice as often as asked, as sd_watchdog_enabled(3) says */
	if (state.every_ms == 0)
		state.every_ms = 1;
	state.next_ms = sn_clock_ms();
}

void
sn_notify_forked(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };
	memset(&state, 0, sizeof(state));
	for (size_t i = 0; i < SN_COUNT(names); i++)
		unsetenv(names[i]);
}

void
sn_notify_ready(const char *status, ...)
{
	va_list ap;
	va_start(ap, status);
	tell_status("READY=1\n", status, ap);
	va_end(ap);
}

void
sn_notify_successor(pid_t pid)
{
	char text[32];
	snprintf(text, sizeof(text), "MAINPID=%ld", (long)pid);
	tell(text);
	state.every_ms = 0; /* the watchdog is the other one's to feed */
}

void
sn_notify_inherit(void)
{
	char number[32];
	snprintf(number, sizeof(number), "%ld", (long)getpid());
	if (getenv("WATCHDOG_PID"))
		setenv("WATCHDOG_PID", number, 1);
}

void
sn_notify_reloading(void)
{
	char text[80];
	/* Type=notify-reload tells by the time which of its signals is meant */
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading",
	         (long long)(sn_clock_ns() / 1000));
	tell(text);
}

void
sn_notify_stopping(int64_t ms)
{
	char text[160];
	snprintf(text, sizeof(text),
	         "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\nSTATUS=stopping: accepted requests are answered first",
	         (long long)(ms + STOP_MARGIN_MS) * 1000);
	tell(text);
}

void
sn_notify_status(const char *status, ...)
{
	va_list ap;
	va_start(ap, status);
	tell_status("", status, ap);
	va_end(ap);
}

int64_t
sn_notify_alive(int64_t now_ms)
{
	if (state.every_ms == 0)
		return -1;
	if (now_ms >= state.next_ms) {
		tell("WATCHDOG=1");
		state.next_ms = now_ms + state.every_ms;
	}
	return state.next_ms - now_ms;
}

int
sn_notify_wait(int wait_ms, int64_t now_ms)
{
	int64_t due = sn_notify_alive(now_ms);
	if (due < 0 || (wait_ms >= 0 && wait_ms < due))
		return wait_ms;
	return due > INT_MAX ? INT_MAX : (int)due;
}
