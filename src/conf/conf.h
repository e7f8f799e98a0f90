/* SPDX-License-Identifier: MIT
 *
 * The whole configuration as plain values: defaults, the libconfig file
 * (snacgi.conf(5)), single keys set in code or by command-line options. Strings
 * are owned by the struct.
 */
#ifndef SN_CONF_CONF_H
#define SN_CONF_CONF_H

#include <stdint.h>

#include "base/err.h"
#include "conf/address.h"

struct sn_strings {
	char **item; /* NULL-terminated; NULL when empty */
	size_t n;
};

struct sn_conf_listen {
	char *protocol; /* "fastcgi" or "scgi" */
	char *address;  /* as written, without the protocol */
	enum sn_address_kind kind;
	char *path;     /* Unix path or abstract name, systemd name */
	char *host;     /* TCP: "127.0.0.1", "::1", a name; "": every IPv4 and IPv6 address */
	unsigned port;  /* TCP; 0: chosen by the system */
	int fd;         /* SN_ADDR_FD */
	unsigned mode;  /* Unix socket's permissions, e.g. 0660 */
	char *owner, *group; /* "" : leave */
	unsigned backlog;
	struct sn_strings allow; /* networks, not on Unix sockets: "10.0.0.0/8"; empty: everyone */
	struct sn_network *networks; /* the same, parsed: allow.n of them */
	char *prefix;   /* mount prefix, "" or "/app" */
	int path_source; /* enum sn_path_source's values: 0 auto, 1 request_uri, 2 script_name */
};

struct sn_conf {
	char *file; /* the file read; NULL: none */
	struct sn_conf_listen *listen;
	size_t nlisten;
	unsigned processes;  /* 0: one per core */
	unsigned io_threads; /* 0: half the cores, at least 1 */
	size_t max_requests; /* then a worker is replaced; 0: never */
	uint64_t max_rss;    /* the same, resident bytes */
	size_t queue;
	bool debug;
	char *user, *group, *pid_file;
	char *root;          /* "warn", "refuse": what to do when the workers would be root */
	char *chroot;        /* the tree that workers are confined to; "": none */
	bool no_new_privs;
	struct {
		char *path;              /* of the status page; "": none */
		struct sn_strings allow; /* networks of clients; empty: everyone */
	} status;
	struct {
		char *dir;        /* absolute; after sn_conf_finish "" means: no Python */
		bool dir_named;   /* set by the file or an option: must exist */
		struct sn_strings modules;
		char *venv;
		unsigned dispatch_workers, stream_workers, pool_workers, max_tasks_per_child;
		char *json;       /* "builtin", "orjson" */
		char *nan;        /* "error", "null" */
		char *loop;       /* "asyncio", "uvloop" */
		char *send_file;  /* "stream", "x-accel-redirect", "x-sendfile" */
		struct sn_strings send_file_from; /* "DIRECTORY = LOCATION" */
	} python;
	struct {
		struct sn_strings modules; /* absolute files */
		unsigned blocking_threads; /* most; they start on demand */
	} native;
	struct {
		uint64_t body, spool;
		size_t memory_body, params, head, send_buffer, form_memory;
		unsigned form_parts, headers, connections, requests, multiplexed, async, read_rate, stuck_threads;
	} limits;
	struct { /* seconds */
		double read, queue, request, grace, stream, background, write, idle, pool, start, shutdown;
	} timeouts;
	struct {
		char *level, *file, *access, *format;
		double slow; /* seconds; 0: never */
	} log;
	struct {
		unsigned hops;                 /* 0: as `trusted` says */
		struct sn_strings trusted;     /* networks; empty: nobody */
		struct sn_network *networks;   /* the same, parsed: trusted.n of them */
		struct sn_strings headers;     /* "for", "proto", "host", "port", "prefix" */
		unsigned which;                /* the same, a bit for each in that order */
	} proxy;
	char *spool_dir; /* "": $TMPDIR or /tmp */
};

struct sn_conf *sn_conf_new(void); /* the defaults; NULL: no memory */
void sn_conf_free(struct sn_conf *c);
/* Reads a file over what is there. SN_ECONF: why->text holds every error found (up to
 * 20), a line each: "FILE:LINE: key: what is wrong; the mend". Warnings are appended to
 * `warnings` (may be NULL) in the same form. */
int sn_conf_load(struct sn_conf *c, const char *file, struct sn_why *why, struct sn_why *warnings);
/* Sets one key by its dotted name to a value in the file's syntax (a plain word is
 * taken as a string where a string is wanted). Paths are relative to the current
 * directory. `from` names the source in messages: "--io-threads", "sn_server_set". */
int sn_conf_set(struct sn_conf *c, const char *key, const char *value, const char *from,
                struct sn_why *why);
/* The same, but appends to a list: "--module". */
int sn_conf_add(struct sn_conf *c, const char *key, const char *value, const char *from,
                struct sn_why *why);
/* Adds a listener: "[fastcgi|scgi]:unix:/run/x.sock", see snacgi(8). */
int sn_conf_listen(struct sn_conf *c, const char *spec, const char *from, struct sn_why *why);
void sn_conf_listen_clear(struct sn_conf *c);
/* Checks what only the whole shows (an address twice ...); resolves the zeros that mean
 * "as many as cores", the default Python directory, memory_body above body. Call once
 * after the last change. */
int sn_conf_finish(struct sn_conf *c, struct sn_why *why);
/* Is the peer in one of `proxy.trusted`'s networks? `conf` is a struct sn_conf. */
bool sn_conf_trusts(const void *conf, const struct sockaddr *peer);
/* Bytes from "16 MiB", "64k", "1.5 G", "1000" (multiples of 1024): SN_EINVAL or SN_ERANGE. */
int sn_conf_size(const char *text, uint64_t *out);

#endif
