/* SPDX-License-Identifier: MIT
 *
 * snacgi.h - endpoints in C behind any web server that speaks FastCGI or SCGI.
 *
 * A program defines a static table of routes and hands it to sn_main(); a
 * module for the stock daemon exports the same table with SN_MODULE(); an
 * embedder makes a server object, sets options in code and runs it.
 * See snacgi(3). Nothing that is not in this header is exported.
 *
 * Strings are NUL-terminated and live as long as the request, unless said
 * otherwise. Fallible functions return 0 or a negative enum sn_err.
 */
#ifndef SNACGI_H
#define SNACGI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SN_API __attribute__((visibility("default")))

/* Changes when a struct below or the meaning of a function does. */
#define SN_ABI_VERSION 1

struct json_object;
struct FCGX_Stream;

typedef struct sn_request sn_request;
typedef struct sn_response sn_response;
typedef struct sn_server sn_server;

enum sn_err {
	SN_OK = 0,
	SN_ENOMEM = -1,  /* memory could not be had */
	SN_EINVAL = -2,  /* an argument or the peer's data is wrong */
	SN_EAGAIN = -3,  /* taken, but wait for room before sending more */
	SN_EFULL = -4,   /* a bounded queue is full */
	SN_EGONE = -5,   /* the peer, or the server, is not there any more */
	SN_ELIMIT = -6,  /* over a configured limit */
	SN_EIO = -7,     /* a system call failed; the text says which */
	SN_ENOENT = -8,  /* no such thing */
	SN_ERANGE = -9,  /* a number does not fit */
	SN_ECONF = -10,  /* the configuration is wrong */
	SN_EPYTHON = -11 /* Python raised, or could not start */
};

/* ---- handlers and tables ------------------------------------------- */

/* An ordinary handler runs on an I/O thread and must not block.
 * Returns 0 when `res` holds the answer; an HTTP status from 400 to 599 to
 * send that error page instead (headers that were set stay); any other value
 * is logged and answered 500. */
typedef int sn_handler(sn_request *req, sn_response *res);

/* A handler written for libfcgi; always on a blocking thread, the body
 * complete. `envp` is a NULL-terminated array of "NAME=value". Its result is
 * the exit status (FCGX_SetExitStatus): it does not change the answer. Include
 * <snacgi-fcgx.h> instead of <fcgiapp.h>. */
typedef int sn_fcgx_handler(struct FCGX_Stream *in, struct FCGX_Stream *out,
                            struct FCGX_Stream *err, char **envp);

enum sn_route_flags {
	SN_BLOCKING = 1 << 0, /* runs on a blocking thread; may block and may use
	                         sn_response_send() */
};

typedef struct sn_route {
	const char *rule;      /* "/users/<int:id>"; NULL ends the table */
	sn_handler *handler;   /* this one ... */
	const char *methods;   /* "GET" or "GET, POST"; NULL: GET. HEAD follows GET */
	unsigned flags;        /* enum sn_route_flags */
	void *ctx;             /* sn_request_ctx() */
	const char *summary;   /* one line for documentation; may be NULL */
	sn_fcgx_handler *fcgx; /* ... or this one */
	const char *name;      /* shown by `snacgi routes` and in the log; NULL: the rule */
	const char *file;      /* SN_HERE fills these two; may be NULL, 0 */
	int line;
	const char *description; /* several lines, CommonMark as in OpenAPI; may be NULL */
} sn_route;

/* Use as the last initialiser of a table entry: { "/x", x_get, SN_HERE } does
 * not work in C; write { .rule = "/x", .handler = x_get, SN_HERE }. */
#define SN_HERE .file = __FILE__, .line = __LINE__

/* A module for `native = { modules = [ "x.so" ]; }`. */
typedef struct sn_module {
	int abi;                /* SN_ABI_VERSION */
	size_t route_size;      /* sizeof(sn_route): a module that was built when sn_route had fewer
	                           members at its end still loads */
	const char *name;
	const sn_route *routes; /* ends with an entry whose rule is NULL */
	int (*init)(void);      /* called once in each worker before it serves; may be NULL */
	void (*fini)(void);     /* called once after the last request; may be NULL */
} sn_module;

#define SN_MODULE(name_, routes_, init_, fini_) \
	SN_API const sn_module sn_module_entry = { \
		SN_ABI_VERSION, sizeof(sn_route), name_, routes_, init_, fini_ \
	}

/* ---- request ---------------------------------------------------------- */

SN_API const char *sn_request_method(const sn_request *req);
/* Decoded path without the listener's mount prefix; UTF-8, begins with '/'. */
SN_API const char *sn_request_path(const sn_request *req);
SN_API const char *sn_request_query_string(const sn_request *req); /* raw; "" when none */
/* The value of <name> in the rule, decoded. NULL: the rule has no such name. */
SN_API const char *sn_request_value(sn_request *req, const char *name);
/* The same as a number. SN_ENOENT, SN_EINVAL (not a number) or SN_ERANGE. */
SN_API int sn_request_value_int(sn_request *req, const char *name, int64_t *out);
SN_API int sn_request_value_double(sn_request *req, const char *name, double *out);
/* First value of a query parameter, decoded ('+' is a space, bad escapes stay
 * as they are). NULL when absent. */
SN_API const char *sn_request_query(sn_request *req, const char *name);
/* A header by its usual name, any case; repeated ones joined with ", "
 * (Cookie: "; "). NULL when absent. Bytes as the front server sent them. */
SN_API const char *sn_request_header(sn_request *req, const char *name);
/* A raw CGI parameter, e.g. "REMOTE_ADDR". NULL when absent. */
SN_API const char *sn_request_param(const sn_request *req, const char *name);
/* Visits every raw parameter in the order of arrival; a non-zero result of
 * `fn` stops the walk and is returned. */
SN_API int sn_request_each_param(const sn_request *req,
                                 int (*fn)(void *arg, const char *name, const char *value),
                                 void *arg);
SN_API const char *sn_request_content_type(const sn_request *req); /* "" when none */
/* Bytes of the complete body. */
SN_API uint64_t sn_request_body_size(const sn_request *req);
/* The whole body in memory, NUL-terminated (a spooled one is mapped). NULL and
 * *len = 0 when there is none; NULL and *len > 0 when memory failed. */
SN_API const void *sn_request_body(sn_request *req, size_t *len);
/* Reads up to `len` bytes from `offset`: bytes read, 0 at the end, SN_EIO. */
SN_API ssize_t sn_request_body_read(sn_request *req, uint64_t offset, void *buf, size_t len);
/* The body parsed as JSON by json-c; owned by the request; parsed once.
 * NULL on malformed or absent JSON: return 400 then. A JSON null is also NULL:
 * sn_request_json_error() tells ("" when there was no error). */
SN_API struct json_object *sn_request_json(sn_request *req);
SN_API const char *sn_request_json_error(const sn_request *req);
SN_API void *sn_request_ctx(const sn_request *req);   /* the route's ctx */
SN_API uint64_t sn_request_id(const sn_request *req); /* as in the log and in error pages */
/* True once the peer is gone or has aborted: stop working. Any thread. */
SN_API bool sn_request_gone(const sn_request *req);
/* Memory that lives as long as the request; NULL when there is none. */
SN_API void *sn_request_alloc(sn_request *req, size_t size);

/* ---- response ----------------------------------------------------------- */

/* 200 to 599. Default: 200, or 204 when nothing was written. SN_EINVAL. */
SN_API int sn_response_status(sn_response *res, int status);
/* Adds a header. SN_EINVAL: CR, LF or NUL inside, or a name that is not a
 * token; SN_ELIMIT: the head grows over its limit. Transfer-Encoding,
 * Content-Length and Status are the server's: refused with SN_EINVAL. */
SN_API int sn_response_header(sn_response *res, const char *name, const char *value);
SN_API int sn_response_type(sn_response *res, const char *content_type);
/* Appends to the body (copied). */
SN_API int sn_response_write(sn_response *res, const void *data, size_t len);
SN_API int sn_response_puts(sn_response *res, const char *text);
SN_API int sn_response_printf(sn_response *res, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Serialises `obj` as the body, sets application/json; borrows `obj`. */
SN_API int sn_response_json(sn_response *res, struct json_object *obj);
/* Status, and a JSON or HTML body (by Accept) that carries the text.
 * Returns 0, so that a handler can end with it (the status, to the same
 * effect, where memory failed). */
SN_API int sn_response_error(sn_response *res, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Streams. `pull` is called back whenever the peer has room, on an I/O thread:
 * it fills `buf` and returns how many bytes it wrote, 0 at the end, or a
 * negative number to cut the connection. It must not block. `done` is called
 * once, at the end or when the peer is gone, and frees `arg`; not at all when
 * this call itself fails.
 * `length` is the exact size of the body, or -1 when unknown. */
SN_API int sn_response_pull(sn_response *res, int64_t length,
                            ssize_t (*pull)(void *arg, void *buf, size_t size),
                            void (*done)(void *arg), void *arg);
/* Handlers flagged SN_BLOCKING only: sends the head with the first call and
 * waits while the peer has no room. SN_EGONE when nobody reads any more,
 * SN_EINVAL in an ordinary handler. */
SN_API int sn_response_send(sn_response *res, const void *data, size_t len);

/* ---- server object ------------------------------------------------------- */

/* The stock command line with a static table: returns the exit status. */
SN_API int sn_main(int argc, char **argv, const sn_route *routes);

typedef struct sn_stats {
	uint64_t requests;       /* answered, by any lane */
	uint64_t native, python; /* of these */
	uint64_t rejected;       /* 503: a queue was full or a wait too long */
	uint64_t errors;         /* 500 to 599 except those */
	uint32_t connections;    /* open now */
	uint32_t in_flight;      /* requests begun and not yet answered */
	uint32_t queue_depth, queue_peak;
} sn_stats;

/* One process, no fork. NULL when memory failed. */
SN_API sn_server *sn_server_new(void);
/* Sets a configuration key as in snacgi.conf(5), "python.dispatch_workers",
 * to a value in the file's syntax without quotes for a single string: "4",
 * "16 MiB", "[ \"app\" ]". SN_ECONF: sn_server_error() says why. */
SN_API int sn_server_set(sn_server *srv, const char *key, const char *value);
SN_API int sn_server_load(sn_server *srv, const char *file); /* a configuration file */
/* "[fastcgi|scgi]:unix:/run/x.sock" and so on, as for -l. Repeatable. */
SN_API int sn_server_listen(sn_server *srv, const char *address);
SN_API int sn_server_routes(sn_server *srv, const sn_route *routes); /* borrows */
/* Starts threads (and Python, where configured) and returns when requests are
 * served; sn_server_stop() drains. Signals are the embedder's business. */
SN_API int sn_server_start(sn_server *srv);
/* Drains within timeouts.shutdown and joins every thread. */
SN_API int sn_server_stop(sn_server *srv);
SN_API void sn_server_stats(const sn_server *srv, sn_stats *out);
/* The address that listener `n` is bound to (":PORT" 0 resolved); NULL past the last. */
SN_API const char *sn_server_address(const sn_server *srv, size_t n);
SN_API const char *sn_server_error(const sn_server *srv); /* "" when none */
SN_API void sn_server_free(sn_server *srv);               /* stops it first */
SN_API const char *sn_version(void);

#ifdef __cplusplus
}
#endif

#endif
