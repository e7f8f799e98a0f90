/* SPDX-License-Identifier: MIT
 *
 * What the service manager wants to know (sd_notify(3)): ready, reloading, stopping,
 * a line of status, and that we live. Without NOTIFY_SOCKET every call does nothing.
 * For the main thread of the process that was started, the supervisor where there is
 * one; nothing but the end of a message's way knows of systemd.
 */
#ifndef SN_SERVER_NOTIFY_H
#define SN_SERVER_NOTIFY_H

#include <stdint.h>
#include <sys/types.h>

/* Looks for NOTIFY_SOCKET and the watchdog's variables. Before any thread is started. */
void sn_notify_start(void);
/* In a forked process: it must not speak for us, and neither may what it starts. */
void sn_notify_forked(void);

/* The start, or a reload, is complete: requests are served. */
__attribute__((format(printf, 1, 2))) void sn_notify_ready(const char *status, ...);
/* Another process takes this one's place: what the manager hears of it from now on counts. */
void sn_notify_successor(pid_t pid);
/* In that process, before it executes the program: the variables of the manager name it. */
void sn_notify_inherit(void);
/* A reload begins; sn_notify_ready ends it, with a failed one's reason as the status. */
void sn_notify_reloading(void);
/* The stop begins and takes `ms` at most. */
void sn_notify_stopping(int64_t ms);
__attribute__((format(printf, 1, 2))) void sn_notify_status(const char *status, ...);

/* Tells the watchdog that we live when that is due. The milliseconds until it is due again;
 * -1: nobody asked. */
int64_t sn_notify_alive(int64_t now_ms);
/* The shorter of two waits for poll(2), of which -1 has no end. */
int sn_notify_wait(int wait_ms, int64_t now_ms);

#endif
