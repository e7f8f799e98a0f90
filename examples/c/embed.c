/* SPDX-License-Identifier: MIT
 *
 * A server inside a program that has its own main loop and its own options:
 * no configuration file, no fork, signals stay with the program.
 *
 *     ./embed unix:/tmp/embed.sock [PYTHON-DIRECTORY]
 */
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>

#include <snacgi.h>

static sem_t stop;

static void
on_signal(int sig)
{
	(void)sig;
	sem_post(&stop); /* one of the few calls that a signal handler may make */
}

static int
answer(sn_request *req, sn_response *res)
{
	int *calls = sn_request_ctx(req);

	sn_response_type(res, "text/plain");
	/* Several I/O threads may run this at once. */
	return sn_response_printf(res, "call %d\n", __atomic_add_fetch(calls, 1, __ATOMIC_RELAXED));
}

static int calls;

static const sn_route routes[] = {
	{ .rule = "/embedded", .handler = answer, .ctx = &calls, SN_HERE },
	{ .rule = NULL },
};

/* Every key of snacgi.conf(5) can be set; the first wrong one ends it. */
static int
configure(sn_server *srv, const char *address, const char *python_dir)
{
	static const char *const options[][2] = {
		{ "io_threads", "1" },
		{ "limits.body", "1 MiB" },
		{ "timeouts.shutdown", "5.0" },
	};
	int rc = sn_server_listen(srv, address);

	for (size_t i = 0; rc == 0 && i < sizeof(options) / sizeof(options[0]); i++)
		rc = sn_server_set(srv, options[i][0], options[i][1]);
	if (rc == 0 && python_dir) {
		rc = sn_server_set(srv, "python.dir", python_dir);
		if (rc == 0)
			rc = sn_server_set(srv, "python.dispatch_workers", "2");
		if (rc == 0)
			rc = sn_server_set(srv, "python.pool_workers", "1");
	}
	return rc == 0 ? sn_server_routes(srv, routes) : rc;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sn_server *srv;
	sn_stats stats;
	int rc = 1;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: %s ADDRESS [PYTHON-DIRECTORY]\n", argv[0]);
		return 2;
	}
	sem_init(&stop, 0, 0);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	srv = sn_server_new();
	if (!srv)
		return 1;
	if (configure(srv, argv[1], argc > 2 ? argv[2] : NULL) < 0 || sn_server_start(srv) < 0) {
		fprintf(stderr, "embed: %s\n", sn_server_error(srv));
		goto out;
	}
	printf("serving on %s\n", sn_server_address(srv, 0));
	fflush(stdout);
	while (sem_wait(&stop) != 0)
		; /* a signal that was not for us */
	if (sn_server_stop(srv) < 0) {
		fprintf(stderr, "embed: %s\n", sn_server_error(srv));
		goto out;
	}
	sn_server_stats(srv, &stats);
	printf("answered %llu requests, %llu by native handlers\n",
	       (unsigned long long)stats.requests, (unsigned long long)stats.native);
	rc = 0;
out:
	sn_server_free(srv);
	return rc;
}
