/* SPDX-License-Identifier: MIT
 *
 * Tables and modules become endpoints, and a routed request becomes a call.
 * The rules' syntax is the matcher's business, threads are the server's.
 * Building runs in the main thread; sn_native_call() in any thread that runs
 * handlers, without a lock: the endpoints do not change once serving began.
 */
#include "native/native.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "http/method.h"
#include "native/native_priv.h"

struct module {
	void *handle;
	const sn_module *entry;
	bool begun; /* init has succeeded: fini is owed */
};

struct sn_native {
	struct sn_endpoint *endpoints;
	size_t n, cap;
	struct module *modules;
	size_t nmodules;
};

/* Entries of modules that were built before sn_route had a description end here. */
#define FIRST_ROUTE_SIZE offsetof(sn_route, description)

/* Where an entry stands, for messages: "module \"x.so\", entry 3 (/users)". */
struct place {
	const char *module; /* NULL: the program's own table */
	size_t entry;
	const char *rule;
};

struct sn_native *
sn_native_new(void)
{
	return calloc(1, sizeof(struct sn_native));
}

void
sn_native_free(struct sn_native *n)
{
	if (!n)
		return;
	/* The last begun ends first: a later module may stand on an earlier one. */
	for (size_t i = n->nmodules; i-- > 0;) {
		struct module *m = &n->modules[i];
		if (m->begun && m->entry->fini)
			m->entry->fini();
		dlclose(m->handle);
	}
	free(n->modules);
	free(n->endpoints);
	free(n);
}

static int
bad_entry(struct sn_why *why, const struct place *at, const char *text)
{
	return sn_why_set(why, SN_EINVAL, "%s%s%s, entry %zu (%s): %s",
	                  at->module ? "native module \"" : "native table",
	                  at->module ? at->module : "", at->module ? "\"" : "", at->entry + 1,
	                  at->rule, text);
}

/* The handler's own symbol, where it is exported. Without the comparison a
 * static function would get the name of whatever exported one stands before it. */
static const char *
symbol_of(const sn_route *route)
{
	void *code = route->handler ? (void *)route->handler : (void *)route->fcgx;
	Dl_info info;
	if (dladdr(code, &info) && info.dli_sname && info.dli_saddr == code)
		return info.dli_sname;
	return NULL;
}

static int
make_endpoint(struct sn_endpoint *ep, const sn_route *route, const struct place *at,
              struct sn_why *why)
{
	struct sn_why reason;

	if (!route->handler && !route->fcgx)
		return bad_entry(why, at, "it has no handler; set .handler or .fcgx");
	if (route->handler && route->fcgx)
		return bad_entry(why, at, "it has both .handler and .fcgx; keep one of them");
	if (route->rule[0] != '/')
		return bad_entry(why, at, "the rule does not begin with '/'");
	if (route->flags & ~(unsigned)SN_BLOCKING)
		return bad_entry(why, at, "unknown bits in .flags; the only flag is SN_BLOCKING");
	*ep = (struct sn_endpoint){ .rule = route->rule, .methods = SN_METHOD_GET };
	if (route->methods && sn_method_parse(route->methods, &ep->methods, &reason) < 0)
		return bad_entry(why, at, reason.text);
	if (!ep->methods)
		return bad_entry(why, at, ".methods is empty; write \"GET, POST\", or leave it out for GET");
	/* libfcgi's calls block by their nature. */
	ep->lane = route->fcgx || (route->flags & SN_BLOCKING) ? SN_LANE_BLOCKING : SN_LANE_NATIVE;
	ep->file = route->file;
	ep->line = route->line;
	ep->summary = route->summary;
	ep->description = route->description;
	ep->name = route->name ? route->name : symbol_of(route);
	if (!ep->name)
		ep->name = route->rule;
	return 0;
}

/* Entry `i` of a table whose entries are `size` bytes each; only members within them may be read. */
static const sn_route *
entry_at(const sn_route *routes, size_t i, size_t size)
{
	return (const void *)((const char *)routes + i * size);
}

static int
add_table(struct sn_native *n, const sn_route *routes, size_t size, const char *module,
          struct sn_why *why)
{
	size_t count = 0;
	while (entry_at(routes, count, size)->rule)
		count++;
	if (n->n + count > n->cap) {
		struct sn_endpoint *grown = realloc(n->endpoints, (n->n + count) * sizeof(*grown));
		if (!grown)
			return sn_why_set(why, SN_ENOMEM, "out of memory for %zu native routes", count);
		n->endpoints = grown;
		n->cap = n->n + count;
	}
	for (size_t i = 0; i < count; i++) {
		const sn_route *entry = entry_at(routes, i, size);
		struct place at = { module, i, entry->rule };
		sn_route route = { .rule = NULL };
		memcpy(&route, entry, size < sizeof(route) ? size : sizeof(route));
		int rc = make_endpoint(&n->endpoints[n->n + i], &route, &at, why);
		if (rc < 0)
			return rc; /* n->n has not moved: nothing of this table is in */
		n->endpoints[n->n + i].target = (void *)entry;
	}
	n->n += count;
	return 0;
}

int
sn_native_add(struct sn_native *n, const sn_route *routes, struct sn_why *why)
{
	return routes ? add_table(n, routes, sizeof(*routes), NULL, why) : 0;
}

static int
check_module(const sn_module *entry, const char *file, struct sn_why *why)
{
	if (entry->abi != SN_ABI_VERSION)
		return sn_why_set(why, SN_EINVAL,
		                  "native module \"%s\" was built for version %d of the module interface, "
		                  "this is %d; rebuild it against this snacgi.h",
		                  file, entry->abi, SN_ABI_VERSION);
	/* With padding behind the first one's last member, or with all members of today. */
	if (entry->route_size < FIRST_ROUTE_SIZE || entry->route_size > sizeof(sn_route) ||
	    entry->route_size % sizeof(void *))
		return sn_why_set(why, SN_EINVAL,
		                  "native module \"%s\": its routes are %zu bytes each, here they are %zu at most; "
		                  "rebuild it against this snacgi.h and for this machine",
		                  file, entry->route_size, sizeof(sn_route));
	if (!entry->routes)
		return sn_why_set(why, SN_EINVAL,
		                  "native module \"%s\" has no table of routes; give one to SN_MODULE()",
		                  file);
	return 0;
}

int
sn_native_load(struct sn_native *n, const char *file, struct sn_why *why)
{
	struct module *grown = realloc(n->modules, (n->nmodules + 1) * sizeof(*grown));
	if (!grown)
		return sn_why_set(why, SN_ENOMEM, "out of memory for native module \"%s\"", file);
	n->modules = grown;

	/* Every symbol is bound now: a missing one is an error at the start, not in
	 * the middle of a request. */
	int rc;
	void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		const char *text = dlerror();
		return sn_why_set(why, SN_EINVAL, "cannot load the native module \"%s\": %s", file,
		                  text ? text : "unknown error");
	}
	const sn_module *entry = dlsym(handle, "sn_module_entry");
	if (!entry) {
		rc = sn_why_set(why, SN_EINVAL,
		                "\"%s\" is not a snacgi module: it has no sn_module_entry; end its source "
		                "with SN_MODULE(\"name\", routes, NULL, NULL)",
		                file);
		goto out;
	}
	rc = check_module(entry, file, why);
	if (rc < 0)
		goto out;
	for (size_t i = 0; i < n->nmodules; i++)
		if (n->modules[i].entry == entry) {
			rc = sn_why_set(why, SN_EINVAL, "the native module \"%s\" is listed twice", file);
			goto out;
		}
	rc = add_table(n, entry->routes, entry->route_size, file, why);
	if (rc < 0)
		goto out;
	n->modules[n->nmodules++] = (struct module){ handle, entry, false };
	return 0;
out:
	dlclose(handle);
	return rc;
}

int
sn_native_init(struct sn_native *n, struct sn_why *why)
{
	for (size_t i = 0; i < n->nmodules; i++) {
		struct module *m = &n->modules[i];
		if (m->begun)
			continue;
		int rc = m->entry->init ? m->entry->init() : 0;
		if (rc != 0)
			return sn_why_set(why, SN_EINVAL,
			                  "native module \"%s\" refused to start: its init function "
			                  "returned %d",
			                  m->entry->name ? m->entry->name : "?", rc);
		m->begun = true;
	}
	return 0;
}

const struct sn_endpoint *
sn_native_endpoints(const struct sn_native *n, size_t *count)
{
	*count = n->n;
	return n->endpoints;
}

/* The head has gone already: all that is left is to end the body, or to make
 * sure that nobody takes a part for the whole. */
static int
end_sent(struct sn_request *req, struct sn_response *res, int rc)
{
	if (!res->gone) {
		res->gone = true;
		if (rc == 0) {
			req->sink->finish(req);
		} else {
			sn_log_for(SN_LOG_ERROR, req->id,
			           "native handler %s returned %d after it had begun to send: the answer is cut",
			           req->endpoint->name, rc);
			req->sink->cut(req);
		}
	}
	return SN_EGONE;
}

static void
answer_status(struct sn_request *req, struct sn_response *res, int rc)
{
	int status = rc;
	if (rc < 400 || rc > 599) {
		status = rc == SN_ENOMEM ? 503 : 500;
		if (rc < 0 && rc >= SN_EPYTHON)
			sn_log_for(SN_LOG_ERROR, req->id, "native handler %s failed: %s",
			           req->endpoint->name, sn_err_name(rc));
		else
			sn_log_for(SN_LOG_ERROR, req->id,
			           "native handler %s returned %d, which is neither 0 nor a status from 400 "
			           "to 599",
			           req->endpoint->name, rc);
		sn_response_reset(res);
	}
	/* Headers stay for a status that the handler asked for (WWW-Authenticate, Retry-After). */
	if (rc == SN_ENOMEM)
		sn_response_header_n(res, "Retry-After", 11, "1", 1);
	if (sn_response_error_page(res, status, NULL) < 0) {
		sn_response_reset(res);
		res->status = status;
	}
}

int
sn_native_call(struct sn_request *req, struct sn_response *res)
{
	const sn_route *route = req->endpoint->target;
	int rc;

	if (route->fcgx)
		rc = sn_fcgx_call(req, res, route->fcgx);
	else
		rc = route->handler(req, res);
	if (res->started || res->gone)
		return end_sent(req, res, rc);
	if (rc != 0)
		answer_status(req, res, rc);
	return 0;
}
