/* SPDX-License-Identifier: MIT
 *
 * The Python runtime against real Python modules in a temporary directory and
 * a sink that records. An interpreter starts once in a process's life, so each
 * test runs in a child of its own.
 */
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fake_sink.h"
#include "pyrt/pyrt.h"

#define WAIT_MS 20000 /* a bound for slow machines, never a length that a test relies on */

static char dir[PATH_MAX], package[PATH_MAX];

/* In the child; not cmocka's, which would longjmp. */
#define CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1); \
		} \
	} while (0)

static void
put(const char *name, const char *text)
{
	char path[PATH_MAX + 64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CHECK(f);
	fputs(text, f);
	fclose(f);
}

static const char *
in_dir(const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static bool
exists(const char *name)
{
	return access(in_dir(name), F_OK) == 0;
}

/* Handlers synchronise with the test through files, so that order is known. */
static const char *const app =
	"import asyncio, contextvars, ctypes, os, subprocess, sys, threading, time\n"
	"libc = ctypes.PyDLL(None)\n"
	"from snacgi import route\n"
	"here = os.path.dirname(__file__)\n"
	"def touch(name):\n"
	"    open(os.path.join(here, name), 'w').close()\n"
	"def wait_for(name):\n"
	"    while not os.path.exists(os.path.join(here, name)): time.sleep(0.002)\n"
	"def square(x): return x * x\n"
	"def die(): os._exit(7)\n"
	"@route('/sync')\n"
	"def sync(request): return {'a': 1}\n"
	"@route('/touch')\n"
	"def touch_(request): touch('touched')\n"
	"@route('/raise')\n"
	"def raises(request): raise ValueError('secret')\n"
	"@route('/exit')\n"
	"def exits(request): sys.exit(3)\n"
	"@route('/async')\n"
	"async def asy(request):\n"
	"    async with asyncio.timeout(5) if hasattr(asyncio, 'timeout') else asyncio.Lock():\n"
	"        await asyncio.sleep(0.001)\n"
	"    return {'task': type(asyncio.current_task()).__name__}\n"
	"@route('/async/exit')\n"
	"async def asyexit(request): sys.exit(3)\n"
	"@route('/async/raise')\n"
	"async def asyraise(request): raise ValueError('secret')\n"
	"@route('/async/park')\n"
	"async def park(request):\n"
	"    touch('parked')\n"
	"    try:\n"
	"        await asyncio.sleep(3600)\n"
	"    except asyncio.CancelledError:\n"
	"        touch('cancelled')\n"
	"        raise\n"
	"@route('/async/late')\n"
	"async def late(request):\n"
	"    touch('late-began')\n"
	"    await asyncio.sleep(0.2)\n"
	"    return 'late'\n"
	"@route('/pool', use_process_pool=True)\n"
	"def pool_sync(request, pool):\n"
	"    return {'squares': list(pool.map(square, range(4))), 'one': pool.submit(square, 9).result(),\n"
	"            'elsewhere': pool.submit(os.getpid).result() != os.getpid()}\n"
	"@route('/pool/async', use_process_pool=True)\n"
	"async def pool_async(request, pool):\n"
	"    return {'square': await asyncio.get_running_loop().run_in_executor(pool, square, 7)}\n"
	"@route('/pool/die', use_process_pool=True)\n"
	"def pool_die(request, pool):\n"
	"    try:\n"
	"        pool.submit(die).result()\n"
	"    except Exception as exc:\n"
	"        return {'exc': type(exc).__name__, 'next': pool.submit(square, 3).result()}\n"
	"@route('/block')\n"
	"def block(request):\n"
	"    touch('blocking')\n"
	"    wait_for('release')\n"
	"    return 'released'\n"
	"@route('/burn')\n"
	"def burn(request):\n"
	"    touch('blocking')\n"
	"    while not os.path.exists(os.path.join(here, 'release')):\n"
	"        for _ in range(10000): pass\n"
	"    return 'released'\n"
	"var = contextvars.ContextVar('var', default='clean')\n"
	"@route('/context')\n"
	"def context(request):\n"
	"    was = var.get()\n"
	"    var.set('dirty')\n"
	"    return was\n"
	"@route('/children')\n"
	"def children(request):\n"
	"    p = subprocess.Popen(['sleep', '600'])\n"
	"    p.terminate()\n"
	"    return {'status': p.wait(60), 'path': os.environ.get('PYTHONPATH')}\n"
	"def about(): return [sys.executable, sys.prefix]\n"
	"@route('/about', use_process_pool=True)\n"
	"def about_(request, pool):\n"
	"    there = pool.submit(about).result()\n"
	"    return ' '.join(about()) if there == about() else repr((there, about()))\n"
	"def linger(name):\n"
	"    with open(os.path.join(here, name + '~'), 'w') as f: f.write(f'{os.getpid()} {os.getppid()}')\n"
	"    os.rename(os.path.join(here, name + '~'), os.path.join(here, name))\n"
	"    time.sleep(60)\n"
	"@route('/linger', use_process_pool=True)\n"
	"def linger_(request, pool): pool.submit(linger, 'pids').result()\n"
	"@route('/async/throw')\n"
	"async def throw(request):\n"
	"    task = asyncio.current_task()\n"
	"    coro = task.get_coro()\n"
	"    seen = [coro.__name__, coro.cr_frame is not None, asyncio.iscoroutine(coro), len(task.get_stack()) > 0]\n"
	"    fut = asyncio.get_running_loop().create_future()\n"
	"    asyncio.get_running_loop().call_soon(fut.set_exception, ValueError('from outside'))\n"
	"    try:\n"
	"        await fut\n"
	"    except ValueError as exc:\n"
	"        seen.append(str(exc))\n"
	"    fut = None # it holds the exception, that this frame: a cycle for the collector\n"
	"    try:\n"
	"        await asyncio.wait_for(asyncio.sleep(600), 0.001)\n"
	"    except asyncio.TimeoutError:\n"
	"        seen.append('timeout')\n"
	"    seen.append(sum(await asyncio.gather(*(asyncio.sleep(0, n) for n in range(4)))))\n"
	"    return seen\n"
	"@route('/async/cancelself')\n"
	"async def cancelself(request):\n"
	"    asyncio.current_task().cancel()\n"
	"    await asyncio.sleep(1)\n"
	"@route('/async/stop')\n"
	"async def stoploop(request):\n"
	"    asyncio.get_running_loop().stop()\n"
	"    await asyncio.sleep(0)\n"
	"    return 'goes on'\n"
	"@route('/async/factory')\n"
	"async def factory(request):\n"
	"    class Mine(asyncio.Task): pass\n"
	"    asyncio.get_running_loop().set_task_factory(lambda loop, coro, **kw: Mine(coro, loop=loop, **kw))\n"
	"    return 'set'\n"
	"@route('/spin')\n"
	"def spin(request):\n"
	"    touch('spinning')\n"
	"    while True: pass\n"
	"@route('/async/spin')\n"
	"async def aspin(request): spin(request)\n"
	"@route('/stubborn')\n"
	"def stubborn(request):\n"
	"    while True:\n"
	"        try:\n"
	"            touch('stubborn')\n"
	"            wait_for('release')\n"
	"            return 'released'\n"
	"        except BaseException as exc: touch(type(exc).__name__)\n"
	"@route('/hold')\n"
	"def hold(request):\n"
	"    # The file appears only when C holds the GIL, where no exception gets in.\n"
	"    libc.system(os.fsencode('touch %s; while kill -0 $PPID; do sleep 0.1; done 2>/dev/null' %\n"
	"                            os.path.join(here, 'holding')))\n"
	"@route('/thread')\n"
	"def thread(request): return threading.current_thread() is threading.main_thread() and 'main' or 'other'\n";

struct call {
	struct fake_sink sink;
	struct sn_request *req;
};

static const struct sn_endpoint *
endpoint(struct sn_pyrt *rt, const char *rule)
{
	size_t n;
	const struct sn_endpoint *e = sn_pyrt_endpoints(rt, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(e[i].rule, rule) == 0)
			return &e[i];
	fprintf(stderr, "no route %s\n", rule);
	_exit(1);
}

static int
begin(struct call *c, struct sn_pyrt *rt, const char *path)
{
	fake_sink_init(&c->sink);
	c->req = fake_request(&c->sink, "GET", path, NULL);
	c->req->endpoint = endpoint(rt, path);
	c->req->queued_ms = sn_clock_ms();
	return sn_pyrt_submit(rt, c->req);
}

/* The runtime must let go of the request too, and may do so a moment after the answer. */
static void
end(struct call *c)
{
	int64_t until_ms = sn_clock_ms() + WAIT_MS;
	struct timespec until = { .tv_sec = until_ms / 1000 };

	sn_request_unref(c->req);
	pthread_mutex_lock(&c->sink.mtx);
	while (!c->sink.released)
		if (pthread_cond_timedwait(&c->sink.changed, &c->sink.mtx, &until) != 0) {
			fprintf(stderr, "the request is still held after: %s\n", c->sink.body.data);
			_exit(1);
		}
	pthread_mutex_unlock(&c->sink.mtx);
	fake_sink_free(&c->sink);
}

/* The answer's status; its body must contain `text`. */
static void
expect(struct call *c, int status, const char *text)
{
	CHECK(fake_sink_wait_end(&c->sink, WAIT_MS));
	if (c->sink.status != status || !strstr(c->sink.body.data, text)) {
		fprintf(stderr, "want %d with %s, got %d: %s\n", status, text, c->sink.status,
		        c->sink.body.data);
		_exit(1);
	}
	CHECK(fake_sink_responds(&c->sink) == 1);
}

static void
ask(struct sn_pyrt *rt, const char *path, int status, const char *text)
{
	struct call c;

	CHECK(begin(&c, rt, path) == 0);
	expect(&c, status, text);
	end(&c);
}

static void
wait_file(const char *name)
{
	int64_t end_ms = sn_clock_ms() + WAIT_MS;

	while (!exists(name)) {
		CHECK(sn_clock_ms() < end_ms);
		usleep(2000);
	}
}

/* Gone, or a zombie that its new parent has not looked at. */
static void
wait_gone(int pid)
{
	int64_t end_ms = sn_clock_ms() + WAIT_MS;
	char path[64], state;

	for (;;) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "r");
		if (!f)
			return;
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'Z';
		fclose(f);
		if (state == 'Z')
			return;
		CHECK(sn_clock_ms() < end_ms);
		usleep(2000);
	}
}

static struct sn_pyrt_options
options(void)
{
	return (struct sn_pyrt_options){ .dir = dir, .package_path = package, .dispatch_workers = 4,
		.pool_workers = 2, .queue = 64, .async_max = 64, .json = "builtin", .nan = "error",
		.loop = "asyncio", .queue_timeout = 10, .grace = WAIT_MS / 1000, .max_stuck = 1 };
}

static struct sn_pyrt *
start(const struct sn_pyrt_options *opt)
{
	struct sn_pyrt *rt;
	struct sn_why why;

	if (sn_pyrt_start(&rt, opt, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		_exit(1);
	}
	return rt;
}

static void
stop(struct sn_pyrt *rt)
{
	CHECK(sn_pyrt_stop(rt, sn_clock_ms() + WAIT_MS) == 0);
	sn_pyrt_free(rt);
}

/* ---- the tests, each in a child ------------------------------------------- */

static void
lanes(void)
{
	struct sn_pyrt_options opt = options();
	struct sn_pyrt *rt;

	put("app.py", app);
	rt = start(&opt);
	CHECK(strncmp(sn_pyrt_version(rt), "3.", 2) == 0);
	CHECK(endpoint(rt, "/sync")->lane == SN_LANE_SYNC);
	CHECK(endpoint(rt, "/pool")->lane == SN_LANE_POOL);
	CHECK(endpoint(rt, "/async")->lane == SN_LANE_ASYNC);
	CHECK(endpoint(rt, "/pool/async")->lane == SN_LANE_ASYNC_POOL);
	ask(rt, "/sync", 200, "{\"a\":1}");
	ask(rt, "/async", 200, "{\"task\":\"Task\"}");
	ask(rt, "/pool", 200, "{\"squares\":[0,1,4,9],\"one\":81,\"elsewhere\":true}");
	ask(rt, "/pool/async", 200, "{\"square\":49}");
	ask(rt, "/raise", 500, "");
	ask(rt, "/exit", 500, "");
	ask(rt, "/async/raise", 500, "");
	ask(rt, "/async/exit", 500, ""); /* would end run_forever() */
	ask(rt, "/async", 200, "Task");
	ask(rt, "/async/throw", 200,
	    "[\"throw\",true,true,true,\"from outside\",\"timeout\",6]");
	ask(rt, "/async/cancelself", 500, "");
	ask(rt, "/async/stop", 200, "goes on");
	ask(rt, "/async/factory", 200, "set");
	ask(rt, "/async", 200, "Mine");
	ask(rt, "/context", 200, "clean");
	ask(rt, "/context", 200, "clean");
	ask(rt, "/children", 200, "{\"status\":-15,\"path\":null}");
	ask(rt, "/pool/die", 200, "{\"exc\":\"WorkerDied\",\"next\":9}");
	ask(rt, "/pool", 200, "81");
	stop(rt);
}

/* A blocked handler is not in the way: the order of answers shows it, not time. */
static void
beside(unsigned blocked, const char *path)
{
	struct sn_pyrt_options opt = options();
	struct call slow[8], fast;
	struct sn_pyrt *rt;

	put("app.py", app);
	rt = start(&opt);
	for (unsigned i = 0; i < blocked; i++)
		CHECK(begin(&slow[i], rt, path) == 0);
	wait_file("blocking");
	for (int i = 0; i < 200; i++) {
		CHECK(begin(&fast, rt, "/sync") == 0);
		expect(&fast, 200, "{\"a\":1}");
		end(&fast);
	}
	CHECK(!fake_sink_responds(&slow[0].sink));
	put("release", "");
	for (unsigned i = 0; i < blocked; i++) {
		expect(&slow[i], 200, "released");
		end(&slow[i]);
	}
	ask(rt, "/sync", 200, "1");
	stop(rt);
}

static void
blocked_one(void)
{
	beside(1, "/block");
}

static void
blocked_three(void)
{
	beside(3, "/block");
}

static void
burning(void)
{
	beside(1, "/burn");
}

/* Every worker blocked: the ring fills, says so, and all of it is answered afterwards. */
static void
full_ring(void)
{
	struct sn_pyrt_options opt = options();
	struct call slow[2], queued[4], more;
	struct sn_pyrt_stats stats;
	struct sn_pyrt *rt;

	opt.dispatch_workers = 2;
	opt.queue = 4;
	put("app.py", app);
	rt = start(&opt);
	for (int i = 0; i < 2; i++)
		CHECK(begin(&slow[i], rt, "/block") == 0);
	for (;;) { /* until both are in their handler */
		sn_pyrt_stats(rt, &stats);
		if (stats.dispatch_busy == 2 && stats.sync_depth == 0)
			break;
		usleep(1000);
	}
	for (int i = 0; i < 4; i++)
		CHECK(begin(&queued[i], rt, "/sync") == 0);
	CHECK(begin(&more, rt, "/sync") == SN_EFULL);
	end(&more);
	usleep(20000); /* the monitor has looked at the oldest: no room for one more */
	CHECK(begin(&more, rt, "/sync") == SN_EFULL);
	end(&more);
	sn_pyrt_stats(rt, &stats);
	CHECK(stats.rejected == 2 && stats.sync_depth == 4 && stats.sync_peak == 4);
	ask(rt, "/async", 200, "Task"); /* another ring */
	put("release", "");
	for (int i = 0; i < 2; i++) {
		expect(&slow[i], 200, "released");
		end(&slow[i]);
	}
	for (int i = 0; i < 4; i++) {
		expect(&queued[i], 200, "1");
		end(&queued[i]);
	}
	stop(rt);
}

/* One worker: the runtime thread itself, Python's main thread. */
static void
one_worker(void)
{
	struct sn_pyrt_options opt = options();
	struct call slow, gone, old, ok;
	struct sn_pyrt_stats stats;
	struct sn_pyrt *rt;

	opt.dispatch_workers = 1;
	opt.queue_timeout = 1.5;
	put("app.py", app);
	rt = start(&opt);
	ask(rt, "/thread", 200, "main");
	CHECK(begin(&slow, rt, "/block") == 0);
	wait_file("blocking");
	CHECK(begin(&gone, rt, "/touch") == 0);
	fake_sink_go(&gone.sink, gone.req);
	CHECK(begin(&old, rt, "/sync") == 0);
	expect(&old, 503, ""); /* although nobody is there to run it */
	CHECK(begin(&ok, rt, "/sync") == 0);
	put("release", "");
	expect(&ok, 200, "1");
	CHECK(fake_sink_header(&old.sink, "Retry-After"));
	CHECK(!exists("touched"));
	sn_pyrt_stats(rt, &stats);
	CHECK(stats.expired == 1);
	stop(rt);
	end(&slow);
	end(&gone);
	end(&old);
	end(&ok);
}

/* No process of the pool outlives the daemon, however it dies. */
static void
no_orphans(void)
{
	char path[PATH_MAX + 64];
	int pids[2], status;
	pid_t daemon;
	FILE *f;

	put("app.py", app);
	daemon = fork();
	CHECK(daemon >= 0);
	if (daemon == 0) {
		struct sn_pyrt_options opt = options();
		struct call c;

		begin(&c, start(&opt), "/linger");
		for (;;)
			pause();
	}
	wait_file("pids");
	snprintf(path, sizeof(path), "%s/pids", dir);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%d %d", &pids[0], &pids[1]) == 2);
	fclose(f);
	CHECK(kill(pids[0], 0) == 0 && kill(pids[1], 0) == 0 && pids[1] != daemon);
	CHECK(kill(daemon, SIGKILL) == 0);
	CHECK(waitpid(daemon, &status, 0) == daemon);
	for (int i = 0; i < 2; i++)
		wait_gone(pids[i]);
}

/* Prefix, executable and the pool's interpreter are the environment's. */
static void
in_venv(void)
{
	const char *python = getenv("SN_PYTHON");
	struct sn_pyrt_options opt = options();
	char cmd[2 * PATH_MAX], venv[PATH_MAX + 16], want[3 * PATH_MAX];
	struct sn_pyrt *rt;

	put("app.py", app);
	snprintf(venv, sizeof(venv), "%s/venv", dir);
	snprintf(cmd, sizeof(cmd), "'%s' -m venv --without-pip '%s'",
	         python ? python : "/usr/bin/python3", venv);
	CHECK(system(cmd) == 0);
	opt.venv = venv;
	rt = start(&opt);
	snprintf(want, sizeof(want), "%s/bin/python %s", venv, venv);
	ask(rt, "/about", 200, want);
	CHECK(strstr(sn_pyrt_version(rt), venv));
	stop(rt);
}

static void
async_limit(void)
{
	struct sn_pyrt_options opt = options();
	struct call parked[3], more;
	struct sn_pyrt *rt;

	opt.async_max = 3;
	put("app.py", app);
	rt = start(&opt);
	for (int i = 0; i < 3; i++)
		CHECK(begin(&parked[i], rt, "/async/park") == 0);
	CHECK(begin(&more, rt, "/async") == SN_EFULL);
	end(&more);
	wait_file("parked");
	/* A gone peer's task is cancelled, and makes room. */
	fake_sink_go(&parked[0].sink, parked[0].req);
	sn_pyrt_cancel(rt, parked[0].req);
	wait_file("cancelled");
	while (begin(&more, rt, "/async") != 0) {
		end(&more);
		usleep(1000);
	}
	expect(&more, 200, "Task");
	end(&more);
	CHECK(fake_sink_responds(&parked[0].sink) == 0);
	for (int i = 1; i < 3; i++) {
		atomic_fetch_or(&parked[i].req->marks, SN_MARK_TIMEOUT);
		sn_pyrt_cancel(rt, parked[i].req);
	}
	stop(rt);
	for (int i = 0; i < 3; i++)
		end(&parked[i]);
}

/* What an I/O thread does when the time of a request is over. */
static void
time_out(struct sn_pyrt *rt, struct call *c)
{
	atomic_fetch_or(&c->req->marks, SN_MARK_TIMEOUT);
	sn_pyrt_cancel(rt, c->req);
}

/* A handler over its time gets an exception, and the next one on its thread does not. */
static void
late_is_ended(void)
{
	struct sn_pyrt_options opt = options();
	struct call late;
	struct sn_pyrt *rt;
	bool all;

	opt.dispatch_workers = 1;
	put("app.py", app);
	rt = start(&opt);
	for (int i = 0; i < 6; i++) {
		CHECK(begin(&late, rt, i & 1 ? "/async/spin" : "/spin") == 0);
		wait_file("spinning");
		time_out(rt, &late);
		expect(&late, 500, "");
		end(&late);
		ask(rt, "/sync", 200, "a");
		ask(rt, "/async", 200, "Task");
		CHECK(unlink(in_dir("spinning")) == 0);
	}
	/* One that has ended when its time-out is looked at. */
	CHECK(begin(&late, rt, "/sync") == 0);
	expect(&late, 200, "a");
	time_out(rt, &late);
	end(&late);
	ask(rt, "/sync", 200, "a");
	CHECK(!sn_pyrt_hangs(rt, &all));
	stop(rt);
}

/* Its thread is replaced, be it the runtime's own; a second one is one too many. */
static int
replace_stuck(void)
{
	struct sn_pyrt_options opt = options();
	struct call stuck, second;
	struct sn_pyrt *rt;
	bool all = true;

	opt.dispatch_workers = 1;
	opt.grace = 0.05;
	put("app.py", app);
	rt = start(&opt);
	CHECK(begin(&stuck, rt, "/stubborn") == 0);
	wait_file("stubborn");
	time_out(rt, &stuck);
	ask(rt, "/sync", 200, "a");
	CHECK(exists("HandlerTimeout"));
	CHECK(!sn_pyrt_hangs(rt, &all));
	CHECK(unlink(in_dir("stubborn")) == 0);
	CHECK(begin(&second, rt, "/stubborn") == 0);
	wait_file("stubborn");
	time_out(rt, &second);
	for (int64_t end_ms = sn_clock_ms() + WAIT_MS; !sn_pyrt_hangs(rt, &all);) {
		CHECK(sn_clock_ms() < end_ms);
		usleep(2000);
	}
	CHECK(!all); /* async handlers could go on */
	put("release", "");
	expect(&stuck, 200, "released");
	expect(&second, 200, "released");
	end(&stuck);
	end(&second);
	ask(rt, "/sync", 200, "a");
	int rc = sn_pyrt_stop(rt, sn_clock_ms() + WAIT_MS);
	CHECK(rc == 0 || rc == SN_EAGAIN);
	if (rc == 0)
		sn_pyrt_free(rt);
	return rc;
}

/* A thread that was given up answers before it is back, and a stop in between finds it missing: rarely. */
static void
stuck_is_replaced(void)
{
	static const char *const left[] = { "stubborn", "release", "HandlerTimeout" };
	int status = SN_EAGAIN;

	for (int tries = 0; status; tries++) {
		CHECK(tries < 10);
		for (size_t i = 0; i < SN_COUNT(left); i++)
			unlink(in_dir(left[i]));
		fflush(NULL);
		pid_t pid = fork(); /* one that is missing keeps its runtime */
		CHECK(pid >= 0);
		if (pid == 0) {
			alarm(120);
			_exit(replace_stuck() == 0 ? 0 : 2);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2));
	}
}

/* Threads that hang for ever keep nobody from an end with exit hooks. */
static void
stop_without_the_stuck(void)
{
	struct sn_pyrt_options opt = options();
	struct call stuck, next;
	struct sn_pyrt *rt;

	opt.dispatch_workers = 1;
	opt.grace = 0.05;
	put("app.py", app);
	put("hook.py", "import atexit, app\natexit.register(app.touch, 'hook')\n");
	rt = start(&opt);
	CHECK(begin(&stuck, rt, "/stubborn") == 0);
	wait_file("stubborn");
	time_out(rt, &stuck);
	CHECK(begin(&next, rt, "/async") == 0);
	ask(rt, "/sync", 200, "a");
	expect(&next, 200, "Task");
	end(&next);
	CHECK(sn_pyrt_stop(rt, sn_clock_ms() + WAIT_MS) == SN_EAGAIN);
	CHECK(exists("hook"));
}

static void
gil_is_held(void)
{
	struct sn_pyrt_options opt = options();
	struct call holder, queued, more;
	struct sn_pyrt *rt;
	bool all = false;

	opt.grace = 0.05;
	opt.dispatch_workers = 1;
	put("app.py", app);
	rt = start(&opt);
	CHECK(begin(&holder, rt, "/hold") == 0);
	wait_file("holding");
	CHECK(begin(&queued, rt, "/sync") == 0);
	time_out(rt, &holder);
	for (int64_t end_ms = sn_clock_ms() + WAIT_MS; !sn_pyrt_hangs(rt, &all) || !all;) {
		CHECK(sn_clock_ms() < end_ms);
		usleep(2000);
	}
	CHECK(begin(&more, rt, "/sync") == SN_EGONE);
	end(&more);
	CHECK(sn_pyrt_stop(rt, sn_clock_ms() + 100 * WAIT_MS) == SN_EAGAIN); /* at once */
	expect(&queued, 503, "stopping");
	end(&queued);
}

/* A stop answers what is queued and in flight, and refuses the rest. */
static void
stop_drains(void)
{
	struct sn_pyrt_options opt = options();
	struct call slow, queued[8], late, more;
	struct sn_pyrt *rt;

	opt.dispatch_workers = 1;
	put("app.py", app);
	rt = start(&opt);
	CHECK(begin(&slow, rt, "/block") == 0);
	wait_file("blocking");
	for (int i = 0; i < 8; i++)
		CHECK(begin(&queued[i], rt, "/sync") == 0);
	CHECK(begin(&late, rt, "/async/late") == 0);
	wait_file("late-began");
	put("release", "");
	CHECK(sn_pyrt_stop(rt, sn_clock_ms() + WAIT_MS) == 0);
	expect(&slow, 200, "released");
	expect(&late, 200, "late");
	for (int i = 0; i < 8; i++) {
		expect(&queued[i], 200, "1");
		end(&queued[i]);
	}
	CHECK(begin(&more, rt, "/sync") == SN_EGONE);
	end(&more);
	CHECK(begin(&more, rt, "/async") == SN_EGONE);
	end(&more);
	end(&slow);
	end(&late);
	sn_pyrt_free(rt);
}

static void *
release_later(void *arg)
{
	usleep(200000);
	put("release", "");
	return arg;
}

/* At the deadline: a task is cancelled and answered, a stuck handler answered for, what is
 * queued refused, and the stop returns. */
static void
stop_deadline(void)
{
	struct sn_pyrt_options opt = options();
	struct call slow, queued, parked;
	struct sn_pyrt *rt;
	pthread_t later;
	int64_t began;

	opt.dispatch_workers = 1;
	put("app.py", app);
	rt = start(&opt);
	CHECK(begin(&slow, rt, "/block") == 0);
	wait_file("blocking");
	CHECK(begin(&queued, rt, "/sync") == 0);
	CHECK(begin(&parked, rt, "/async/park") == 0);
	wait_file("parked");
	began = sn_clock_ms();
	CHECK(sn_pyrt_stop(rt, began + 500) == SN_EAGAIN);
	CHECK(sn_clock_ms() - began < 5000);
	expect(&parked, 503, "");
	expect(&queued, 503, "");
	expect(&slow, 503, "");
	CHECK(exists("cancelled"));
	sn_pyrt_free(rt); /* keeps what the stuck thread uses */
	/* It may be waited for again. */
	CHECK(pthread_create(&later, NULL, release_later, NULL) == 0);
	stop(rt);
	pthread_join(later, NULL);
	end(&slow);
	end(&queued);
	end(&parked);
}

/* A thread of the user's that never ends, a task left behind, an exit hook. */
static void
stop_hooks(void)
{
	struct sn_pyrt_options opt = options();
	struct sn_pyrt *rt;

	put("app.py", "import asyncio, atexit, os, threading, time\nfrom snacgi import route\n"
	    "here = os.path.dirname(__file__)\n"
	    "threading.Thread(target=lambda: time.sleep(3600), daemon=True).start()\n"
	    "atexit.register(lambda: open(os.path.join(here, 'hook'), 'w').close())\n"
	    "async def forever():\n"
	    "    while True: await asyncio.sleep(0.01)\n"
	    "@route('/leave')\n"
	    "async def leave(request):\n"
	    "    leave.task = asyncio.create_task(forever())\n"
	    "    return 'left'\n");
	rt = start(&opt);
	ask(rt, "/leave", 200, "left");
	stop(rt);
	CHECK(exists("hook"));
}

/* What an exception's traceback keeps of a stream goes when nothing of the runtime is left. */
static void
stop_kept_stream(void)
{
	struct sn_pyrt_options opt = options();
	struct call broken;
	struct sn_pyrt *rt;

	put("app.py", "import gc, os, threading, time\nfrom snacgi import route\n"
	    "def path(name): return os.path.join(os.path.dirname(__file__), name)\n"
	    "kept = KeyError('kept')\n"
	    "def drop():\n"
	    "    while not os.path.exists(path('drop')): time.sleep(0.002)\n"
	    "    names = [frame.f_code.co_name for frame, _ in __import__('traceback').walk_tb(kept.__traceback__)]\n"
	    "    kept.__traceback__ = None\n"
	    "    gc.collect()\n"
	    "    if 'drive' in names: open(path('dropped'), 'w').close()\n"
	    "threading.Thread(target=drop, daemon=True).start()\n"
	    "@route('/breaks')\n"
	    "async def breaks(request):\n"
	    "    raise kept\n"
	    "    yield\n");
	opt.after = 60;
	rt = start(&opt);
	CHECK(begin(&broken, rt, "/breaks") == 0);
	expect(&broken, 500, "");
	stop(rt);
	put("drop", "");
	wait_file("dropped");
	end(&broken);
}

static void
fails(const struct sn_pyrt_options *opt, int rc, const char *text1, const char *text2)
{
	struct sn_pyrt *rt;
	struct sn_why why;

	CHECK(sn_pyrt_start(&rt, opt, &why) == rc);
	CHECK(rt == NULL);
	if (!strstr(why.text, text1) || !strstr(why.text, text2)) {
		fprintf(stderr, "%s\n", why.text);
		_exit(1);
	}
}

static void
import_error(void)
{
	struct sn_pyrt_options opt = options();

	put("app.py", "def f():\n    raise ZeroDivisionError('deep inside')\nf()\n");
	fails(&opt, SN_EPYTHON, "Python module app could not be imported", "deep inside");
}

static void
import_exit(void)
{
	struct sn_pyrt_options opt = options();

	put("app.py", "import sys\nsys.exit(0)\n");
	fails(&opt, SN_EPYTHON, "Python module app could not be imported", "SystemExit");
}

static void
pool_import_error(void)
{
	struct sn_pyrt_options opt = options();

	put("app.py", "import multiprocessing\nfrom snacgi import route\n"
	    "if multiprocessing.parent_process() is not None: raise RuntimeError('not here')\n"
	    "@route('/p', use_process_pool=True)\ndef p(request, pool): pass\n");
	fails(&opt, SN_EPYTHON, "process pool could not be started", "not here");
}

static void
no_uvloop(void)
{
	struct sn_pyrt_options opt = options();

	put("uvloop.py", "raise ImportError('not installed')\n");
	put("app.py", "from snacgi import route\n@route('/a')\nasync def a(request): pass\n");
	opt.modules = (const char *const[]){ "app", NULL };
	opt.loop = "uvloop";
	fails(&opt, SN_EPYTHON, "pip install uvloop", "not installed");
}

static void
no_modules(void)
{
	struct sn_pyrt_options opt = options();
	struct sn_pyrt *rt = start(&opt);
	size_t n;

	sn_pyrt_endpoints(rt, &n);
	CHECK(n == 0);
	stop(rt);
}

static void
bad_venv(void)
{
	struct sn_pyrt_options opt = options();

	put("app.py", app);
	opt.venv = dir;
	fails(&opt, SN_ECONF, "is not a virtual environment", "-m venv");
}

static int nfindings;

static void
count_finding(void *arg, const char *text)
{
	(void)arg;
	nfindings++;
	CHECK(strstr(text, "app.py:") && strstr(text, "top level of a module"));
}

static void
check_pickling(void)
{
	struct sn_pyrt_options opt = options();
	struct sn_pyrt *rt;

	put("app.py", "from snacgi import route\n"
	    "def fine(x): return x\n"
	    "held = lambda x: x\n"
	    "@route('/a', use_process_pool=True)\n"
	    "def a(request, pool):\n"
	    "    def inner(): pass\n"
	    "    pool.submit(inner)\n"
	    "    pool.submit(lambda: 1)\n"
	    "    pool.map(held, [1])\n"
	    "    pool.submit(fine, 1)\n");
	opt.check_only = true;
	rt = start(&opt);
	CHECK(sn_pyrt_check(rt, count_finding, NULL) == 0);
	CHECK(nfindings == 3);
	stop(rt);
}

/* ---- running them ------------------------------------------------------------ */

static int
fresh_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "%s/sn-pyrt-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	char cmd[PATH_MAX + 16];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}

static void
in_child(void **state)
{
	void (*fn)(void) = *(void (**)(void))*state;
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int sig = 1; sig < 32; sig++)
			signal(sig, SIG_DFL); /* cmocka's would go on with the next test in here */
		alarm(120);
		fn();
		fflush(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHILD(name) static void (*name##_fn)(void) = name;
CHILD(lanes) CHILD(blocked_one) CHILD(blocked_three) CHILD(burning) CHILD(full_ring)
CHILD(one_worker) CHILD(async_limit) CHILD(stop_drains) CHILD(stop_deadline) CHILD(stop_hooks)
CHILD(stop_kept_stream)
CHILD(import_error) CHILD(import_exit) CHILD(pool_import_error) CHILD(no_uvloop) CHILD(no_modules)
CHILD(late_is_ended) CHILD(stuck_is_replaced) CHILD(stop_without_the_stuck) CHILD(gil_is_held)
CHILD(bad_venv) CHILD(no_orphans) CHILD(in_venv) CHILD(check_pickling)

#define TEST(name) { #name, in_child, fresh_dir, remove_dir, &name##_fn }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lanes), TEST(blocked_one), TEST(blocked_three), TEST(burning), TEST(full_ring),
		TEST(one_worker), TEST(async_limit), TEST(stop_drains), TEST(stop_deadline),
		TEST(stop_hooks), TEST(stop_kept_stream), TEST(import_error), TEST(import_exit), TEST(pool_import_error),
		TEST(no_uvloop), TEST(no_modules), TEST(bad_venv), TEST(no_orphans), TEST(in_venv), TEST(check_pickling),
		TEST(late_is_ended), TEST(stuck_is_replaced), TEST(stop_without_the_stuck),
		TEST(gil_is_held),
	};
	const char *top = getenv("SN_TOP_BUILDDIR"), *only = getenv("SN_TEST_FILTER");

	snprintf(package, sizeof(package), "%s/python", top ? top : ".");
	if (package[0] != '/') {
		char cwd[PATH_MAX - 16];
		if (getcwd(cwd, sizeof(cwd)))
			snprintf(package, sizeof(package), "%s/python", cwd);
	}
	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
