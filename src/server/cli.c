/* SPDX-License-Identifier: MIT
 *
 * The command line: sn_main(). Options become configuration keys; a command is then
 * run with the whole configuration.
 */
#include "config.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/admin.h"
#include "server/check.h"
#include "server/command.h"
#include "server/notify.h"
#include "server/package.h"
#include "server/pidfile.h"
#include "server/print_config.h"
#include "server/privilege.h"
#include "server/process.h"
#include "server/supervisor.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"usage: snacgi [serve] [-c FILE] [-l ADDRESS]... [options]\n"
	"       snacgi check | routes [-c FILE] [options]\n"
	"       snacgi print-config SERVER [-c FILE] [options]\n"
	"       snacgi reload | upgrade [-c FILE] [--pid N]\n"
	"       snacgi dev | request | shell | new ...        (each with --help)\n"
	"       snacgi --version | --python-path | --help\n"
	"\n"
	"FastCGI and SCGI application server: endpoints in C and in Python.\n"
	"\n"
	"  -c, --config FILE        read this configuration (default: none)\n"
	"  -l, --listen ADDRESS     listen there; repeatable; replaces the file's list:\n"
	"                             [fastcgi:|scgi:]unix:/run/x.sock   [..]unix:@abstract\n"
	"                             [..]HOST:PORT   [..][::1]:PORT   [..]fd:N   [..]systemd:NAME\n"
	"      --python-dir DIR     directory of Python modules (default: python)\n"
	"      --module NAME        import this module; repeatable (default: all of them)\n"
	"      --venv DIR           virtual environment\n"
	"      --processes N        worker processes; 0: one per core (default 1)\n"
	"      --io-threads N       I/O threads a process; 0: half the cores\n"
	"      --dispatch-workers N threads for sync Python handlers a process (default 4)\n"
	"      --pool-workers N     processes of the pool a process (default 4)\n"
	"      --queue N            waiting requests a process before 503 (default 1024)\n"
	"      --no-supervisor      one process, no fork\n"
	"      --pid N              the server to reload (default: that of pid_file)\n"
	"      --private            beside a running one: no pid file, log on standard error\n"
	"      --debug              show tracebacks to clients\n"
	"\n"
	"Without a listener: the socket that spawn-fcgi or systemd passes.\n"
	"check looks the configuration, imports and routes over; routes lists the routes;\n"
	"print-config prints a front server's configuration that fits ours, systemd's units, a Dockerfile;\n"
	"reload starts workers with the code and configuration as they are now, and upgrade the\n"
	"program, in the place of the running one. dev serves an application while it is\n"
	"written, request asks it one request, shell opens a prompt in it, new begins one.\n"
	"Manuals: snacgi(8), snacgi.conf(5), snacgi-python(7), snacgi(3)\n";

enum option_id {
	OPT_PYTHON_DIR = 256,
	OPT_MODULE,
	OPT_VENV,
	OPT_PROCESSES,
	OPT_IO_THREADS,
	OPT_DISPATCH,
	OPT_POOL,
	OPT_QUEUE,
	OPT_NO_SUPERVISOR,
	OPT_PID,
	OPT_PRIVATE,
	OPT_DEBUG,
	OPT_PYTHON_PATH,
	OPT_VERSION
};

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "listen", required_argument, NULL, 'l' },
	{ "python-dir", required_argument, NULL, OPT_PYTHON_DIR },
	{ "module", required_argument, NULL, OPT_MODULE },
	{ "venv", required_argument, NULL, OPT_VENV },
	{ "processes", required_argument, NULL, OPT_PROCESSES },
	{ "io-threads", required_argument, NULL, OPT_IO_THREADS },
	{ "dispatch-workers", required_argument, NULL, OPT_DISPATCH },
	{ "pool-workers", required_argument, NULL, OPT_POOL },
	{ "queue", required_argument, NULL, OPT_QUEUE },
	{ "no-supervisor", no_argument, NULL, OPT_NO_SUPERVISOR },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "private", no_argument, NULL, OPT_PRIVATE },
	{ "debug", no_argument, NULL, OPT_DEBUG },
	{ "python-path", no_argument, NULL, OPT_PYTHON_PATH },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Options that set one key. */
static const struct {
	int id;
	const char *option, *key;
} keys[] = {
	{ OPT_PYTHON_DIR, "--python-dir", "python.dir" },
	{ OPT_VENV, "--venv", "python.venv" },
	{ OPT_PROCESSES, "--processes", "processes" },
	{ OPT_IO_THREADS, "--io-threads", "io_threads" },
	{ OPT_DISPATCH, "--dispatch-workers", "python.dispatch_workers" },
	{ OPT_POOL, "--pool-workers", "python.pool_workers" },
	{ OPT_QUEUE, "--queue", "queue" },
};

struct given { /* on the command line, in order */
	int id;
	const char *value;
};

struct cli {
	const char *command, *config, *server;
	struct given *given;
	size_t n;
	bool no_supervisor, private, debug;
	const char *program; /* this one, as it was found */
	char **argv;
	long pid; /* of reload and upgrade; 0: not given */
};

static int
bad_usage(const char *fmt, const char *word)
{
	fputs("snacgi: ", stderr);
	fprintf(stderr, fmt, word);
	fputs("; see snacgi --help\n", stderr);
	return EXIT_USAGE;
}

/* For PYTHONPATH: where `import snacgi` finds the package of this program. */
static int
print_python_path(void)
{
	char *package = sn_package_find();

	puts(package ? package : SN_PKGPYLIBDIR);
	free(package);
	return 0;
}

/* -1: go on; else the exit status. */
static int
parse(struct cli *cli, int argc, char **argv)
{
	cli->given = calloc((size_t)argc, sizeof(*cli->given));
	if (!cli->given)
		return bad_usage("%s", "out of memory");
	int id;
	optind = 0;
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":c:l:h", options, NULL)) != -1) {
		switch (id) {
		case 'c': cli->config = optarg; break;
		case 'h': fputs(usage, stdout); return 0;
		case OPT_PYTHON_PATH: return print_python_path();
		case OPT_VERSION: printf("snacgi %s\n", PACKAGE_VERSION); return 0;
		case OPT_NO_SUPERVISOR: cli->no_supervisor = true; break;
		case OPT_PID:
			cli->pid = strtol(optarg, NULL, 10);
			if (cli->pid <= 0)
				return bad_usage("--pid wants a process id, not '%s'", optarg);
			break;
		case OPT_PRIVATE: cli->private = true; break;
		case OPT_DEBUG: cli->debug = true; break;
		case ':': return bad_usage("option %s wants a value", argv[optind - 1]);
		case '?': return bad_usage("there is no option %s", argv[optind - 1]);
		default: cli->given[cli->n++] = (struct given){ id, optarg }; break;
		}
	}
	cli->command = optind < argc ? argv[optind++] : "serve";
	if (strcmp(cli->command, "print-config") == 0) {
		if (optind == argc)
			return bad_usage("print-config wants a server: %s", sn_print_config_names());
		cli->server = argv[optind++];
		bool more = cli->n || cli->no_supervisor || cli->pid || cli->private || cli->debug;
		if (more && sn_print_config_starts(cli->server))
			return bad_usage("what is printed for %s starts snacgi with -c alone: write the other options into "
			                 "the configuration", cli->server);
	}
	if (optind < argc)
		return bad_usage("'%s' is one word too many", argv[optind]);
	static const char *const commands[] = { "serve", "check", "routes", "print-config", "reload", "upgrade" };
	for (size_t i = 0; i < SN_COUNT(commands); i++)
		if (strcmp(cli->command, commands[i]) == 0)
			return -1;
	return bad_usage("there is no command '%s' (serve, check, routes, print-config, reload, upgrade, dev, "
	                 "request, shell, new)", cli->command);
}

/* All --module together replace the file's list. */
static int
set_modules(struct sn_conf *conf, const struct cli *cli, struct sn_why *why)
{
	struct sn_buf list;
	sn_buf_init(&list, NULL, 0);
	sn_buf_adds(&list, "[");
	bool any = false;
	for (size_t i = 0; i < cli->n; i++) {
		if (cli->given[i].id != OPT_MODULE)
			continue;
		sn_buf_adds(&list, any ? ", \"" : " \"");
		for (const char *p = cli->given[i].value; *p; p++) {
			if (*p == '"' || *p == '\\')
				sn_buf_adds(&list, "\\");
			sn_buf_add(&list, p, 1);
		}
		sn_buf_adds(&list, "\"");
		any = true;
	}
	sn_buf_adds(&list, " ]");
	int rc = sn_buf_terminate(&list);
	if (rc == 0 && any)
		rc = sn_conf_set(conf, "python.modules", list.data, "--module", why);
	sn_buf_free(&list);
	return rc;
}

static int
set_option(struct sn_conf *conf, const struct given *g, bool *listens, struct sn_why *why)
{
	if (g->id == 'l') {
		if (!*listens)
			sn_conf_listen_clear(conf);
		*listens = true;
		return sn_conf_listen(conf, g->value, "--listen", why);
	}
	for (size_t i = 0; i < SN_COUNT(keys); i++)
		if (keys[i].id == g->id)
			return sn_conf_set(conf, keys[i].key, g->value, keys[i].option, why);
	return 0;
}

/* What two instances with one configuration would fight for. */
static int
set_private(struct sn_conf *conf, struct sn_why *why)
{
	static const char *const empty[] = { "pid_file", "log.file", "log.access" };

	for (size_t i = 0; i < SN_COUNT(empty); i++) {
		int rc = sn_conf_set(conf, empty[i], "", "--private", why);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
configure(struct sn_conf *conf, const struct cli *cli, struct sn_why *why, struct sn_why *warnings)
{
	int rc = cli->config ? sn_conf_load(conf, cli->config, why, warnings) : 0;
	bool listens = false;
	for (size_t i = 0; rc == 0 && i < cli->n; i++)
		rc = set_option(conf, &cli->given[i], &listens, why);
	if (rc == 0)
		rc = set_modules(conf, cli, why);
	if (rc == 0 && cli->debug)
		rc = sn_conf_set(conf, "debug", "true", "--debug", why);
	if (rc == 0 && cli->private)
		rc = set_private(conf, why);
	if (rc == 0)
		rc = sn_conf_finish(conf, why);
	if (rc == 0 && cli->no_supervisor && conf->processes != 1)
		rc = sn_why_set(why, SN_ECONF,
		                "--no-supervisor is one process, but processes is %u; set processes = 1 or "
		                "leave --no-supervisor out",
		                conf->processes);
	return rc;
}

/* The whole configuration once more, as the command line and the file as it is now make it. */
static int
load_again(void *arg, struct sn_conf **out, struct sn_why *why)
{
	struct sn_why warnings = { "" };
	struct sn_conf *conf = sn_conf_new();
	int rc = conf ? configure(conf, arg, why, &warnings) : sn_why_set(why, SN_ENOMEM, "out of memory");
	if (*warnings.text)
		sn_log_warning("%s", warnings.text);
	if (rc < 0) {
		sn_conf_free(conf);
		return rc;
	}
	*out = conf;
	return 0;
}

/* Takes the configuration. */
static int
serve(struct sn_conf *conf, struct cli *cli, const struct sn_tables *tables)
{
	struct sn_why why;
	struct sn_listeners ls = { 0 };
	const struct sn_loader loader = { load_again, cli, cli->program, cli->argv };
	struct sn_inherited before = { .chan = -1 };
	int rc = sn_process_open_log(conf, &why);
	if (rc == 0)
		rc = sn_privilege_check(conf, &why);
	if (rc == 0)
		rc = sn_upgrade_inherit(&before, &why);
	if (rc == 0 && before.chan < 0) /* first: a second start must not get as far as the sockets */
		rc = sn_pidfile_open(conf->pid_file, &why);
	if (rc == 0) {
		sn_listeners_warn_unnamed(conf);
		rc = before.chan >= 0 ? sn_listeners_carry(&ls, conf, &before.ls, &why)
		                      : sn_listeners_open(&ls, conf, &why);
	}
	if (rc < 0) {
		fprintf(stderr, "snacgi: %s\n", why.text);
		sn_upgrade_forget(&before);
		sn_pidfile_close(conf->pid_file);
		sn_conf_free(conf);
		return 1;
	}
	sn_process_raise_limits(conf);
	sn_notify_start();
	sn_log_info("snacgi %s starts", PACKAGE_VERSION);
	int status;
	bool clean = true;
	if (cli->no_supervisor) {
		status = sn_worker_run(conf, tables, &ls, -1, true, &clean);
		sn_pidfile_close(conf->pid_file);
	} else {
		status = sn_supervise(conf, tables, &ls, &loader, &before);
		conf = NULL;
	}
	sn_listeners_close(&ls);
	sn_log_info(status == 0 ? "stopped" : "ended with an error");
	if (!clean)
		_exit(status); /* a handler still runs: returning would pull the ground from under it */
	sn_conf_free(conf);
	return status;
}

int
sn_main(int argc, char **argv, const sn_route *routes)
{
	if (argc > 1 && sn_command_known(argv[1]))
		return sn_command_exec(argv);

	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[len > 0 ? len : 0] = '\0';
	struct cli cli = { .program = program, .argv = argv };
	struct sn_why why = { "" }, warnings = { "" };
	struct sn_tables tables = { .table = &routes, .n = routes ? 1 : 0 };
	int status = parse(&cli, argc, argv);
	struct sn_conf *conf = NULL;
	if (status >= 0)
		goto out;
	status = 1;
	conf = sn_conf_new();
	int rc = conf ? configure(conf, &cli, &why, &warnings) : SN_ENOMEM;
	if (rc == 0 && *warnings.text)
		fprintf(stderr, "snacgi: %s\n", warnings.text);
	if (rc < 0) {
		fprintf(stderr, "snacgi: %s\n", conf ? why.text : "out of memory");
	} else if (strcmp(cli.command, "check") == 0) {
		status = sn_check(conf, &tables);
	} else if (strcmp(cli.command, "routes") == 0) {
		status = sn_print_routes(conf, &tables);
	} else if (cli.server) {
		status = sn_print_config(conf, cli.server);
	} else if (strcmp(cli.command, "reload") == 0 || strcmp(cli.command, "upgrade") == 0) {
		status = sn_admin_ask(conf, cli.pid, cli.command);
	} else {
		status = serve(conf, &cli, &tables);
		conf = NULL;
	}
out:
	sn_conf_free(conf);
	free(cli.given);
	return status;
}
