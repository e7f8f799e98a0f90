/* SPDX-License-Identifier: MIT
 *
 * What there is to compare with: a bare libfcgi program as its manual has it,
 * threads in FCGX_Accept_r, answering what bench/table.c and bench/app answer.
 * Usage: fcgi-peer SOCKET [THREADS]. Ends with SIGTERM.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int listener;

static void *
serve(void *arg)
{
	FCGX_Request req;

	if (FCGX_InitRequest(&req, listener, 0) != 0)
		return arg;
	for (;;) {
		/* The manual's loop ends at the first error, and a client that hangs up before
		 * it is served can be one: the threads would go one by one. */
		if (FCGX_Accept_r(&req) != 0)
			continue;
		/* A real program looks at its request. */
		const char *method = FCGX_GetParam("REQUEST_METHOD", req.envp);
		const char *path = FCGX_GetParam("SCRIPT_NAME", req.envp);
		static const char body[] = "{\"user_id\":42,\"name\":\"user\",\"active\":true}";

		if (!method || !path || strcmp(path, "/users/42") != 0)
			FCGX_FPrintF(req.out, "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\n");
		else
			FCGX_FPrintF(req.out, "Status: 200 OK\r\nContent-Type: application/json\r\n"
			             "Content-Length: %d\r\n\r\n%s", (int)sizeof(body) - 1, body);
		FCGX_Finish_r(&req);
	}
}

int
main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 16, i;
	pthread_t id;

	if (argc < 2 || threads < 1) {
		fprintf(stderr, "usage: fcgi-peer SOCKET [THREADS]\n");
		return 2;
	}
	FCGX_Init();
	signal(SIGTERM, SIG_DFL); /* FCGX_Init() made it wait for the next request */
	listener = FCGX_OpenSocket(argv[1], 1024);
	if (listener < 0) {
		perror(argv[1]);
		return 1;
	}
	for (i = 1; i < threads; i++) {
		if (pthread_create(&id, NULL, serve, NULL) != 0) {
			fprintf(stderr, "fcgi-peer: cannot start a thread\n");
			return 1;
		}
	}
	serve(NULL);
	return 0;
}
