/* SPDX-License-Identifier: MIT
 *
 * Faults on demand, below the C library, by LD_PRELOAD; for tests/integration/test_faults.py
 * and tests/faults/walk.py. The test maps the file that SN_FAULTS names and says there which
 * call shall fail. Knows nothing of the program it is in. Any thread.
 *
 * `kind` and `nth`: the nth call of one kind, and only of calls that the program itself makes or the
 * library of ours, not an interpreter or a test framework beside it (memory: what the C library
 * needs for them too). SN_ROUGH is another use: no call fails that a kernel could not let fail, but
 * they do all the time. Calls are interrupted, sockets hold little and find no memory,
 * newcomers are gone again, files are read and written in pieces. Everything has to work.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { NONE, MEMORY, READ, WRITE, SHORT_READ, SHORT_WRITE, ACCEPT, EPOLL, FORK, OPEN, MAP, THREAD, KINDS };

struct faults {
	_Atomic int64_t allocation; /* counted down; the one that finds 1 fails */
	_Atomic int64_t failed;     /* faults so far */
	_Atomic int64_t sends;      /* so many sends fail with ENOBUFS */
	_Atomic int64_t receives;   /* so many receives fail with ENOMEM */
	_Atomic int64_t accepts;    /* so many accepts fail with EMFILE */
	_Atomic int64_t kind;       /* enum kind */
	_Atomic int64_t nth;        /* counted down; the call of that kind that finds 1 fails */
	_Atomic int64_t seen[KINDS]; /* calls of each kind so far */
};

static struct faults none;
static struct faults *faults = &none;
static atomic_bool rough;
static struct {
	uintptr_t base, begin, end;
} ranges[16];
static atomic_int nranges;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

/* The program, unless it is an interpreter that was started by it, and what is linked to it of ours. */
static int
note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *slash = strrchr(info->dlpi_name, '/'), *name = slash ? slash + 1 : info->dlpi_name;
	const char *program = arg;
	int ours = *name ? strncmp(name, "libsnacgi", 9) == 0
	                 : strncmp(program, "test_", 5) == 0 || strstr(program, "snacgi") != NULL;
	(void)size;
	for (int i = 0; ours && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		int n = atomic_load(&nranges);
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || n == sizeof(ranges) / sizeof(ranges[0]))
			continue;
		ranges[n].base = info->dlpi_addr;
		ranges[n].begin = info->dlpi_addr + p->p_vaddr;
		ranges[n].end = ranges[n].begin + p->p_memsz;
		atomic_store(&nranges, n + 1);
	}
	return 0;
}

#define CALLER __builtin_return_address(0)
/* The C library's own `name`. */
#define REAL(name) \
	static _Atomic(uintptr_t) real_; \
	if (!atomic_load(&real_)) \
		atomic_store(&real_, (uintptr_t)dlsym(RTLD_NEXT, #name)); \
	__typeof__(&name) real = (__typeof__(&name))atomic_load(&real_)

static int
ours(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	for (int i = atomic_load(&nranges); i-- > 0;)
		if (at >= ranges[i].begin && at < ranges[i].end)
			return 1;
	return 0;
}

/* ---- crashes ----------------------------------------------------------------------- */

static atomic_bool tracing;
static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

static int
is_deadly(int number)
{
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (deadly[i] == number)
			return 1;
	return 0;
}

/* Says where in the program it is, innermost first; not safe, but the end has come anyway. */
static void
crashed(int number)
{
	void *at[64];
	int n = backtrace(at, 64);
	char line[64];
	for (int i = 0; i < n; i++)
		if (ours(at[i])) {
			int len = snprintf(line, sizeof(line), "crashed at 0x%lx\n", (unsigned long)at[i] - (unsigned long)ranges[0].base);
			if (syscall(SYS_write, 2, line, len) < 0)
				break;
		}
	_exit(128 + number);
}

/* A test framework would catch these, and its test be over. */
int
sigaction(int number, const struct sigaction *restrict wanted, struct sigaction *restrict old)
{
	REAL(sigaction);
	return real(number, tracing && is_deadly(number) ? NULL : wanted, old);
}

void (*signal(int number, void (*handler)(int)))(int)
{
	REAL(signal);
	return tracing && is_deadly(number) ? SIG_DFL : real(number, handler);
}

static void
catch_crashes(void)
{
	struct sigaction sa;
	void *at[1];
	int (*real)(int, const struct sigaction *, struct sigaction *) =
		(int (*)(int, const struct sigaction *, struct sigaction *))(uintptr_t)dlsym(RTLD_NEXT, "sigaction");
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = crashed;
	sa.sa_flags = (int)SA_RESETHAND;
	atomic_store(&tracing, true);
	backtrace(at, 1); /* loads what it needs now */
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		real(deadly[i], &sa, NULL);
}

__attribute__((constructor)) static void
begin(void)
{
	const char *file = getenv("SN_FAULTS");
	int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
	dl_iterate_phdr(note_object, program_invocation_short_name);
	atomic_store(&rough, getenv("SN_ROUGH") != NULL);
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return;
	faults = p;
	if (getenv("SN_FAULT_TRACE"))
		catch_crashes();
}

static int
takes(_Atomic int64_t *left)
{
	int64_t n = atomic_load(left);
	while (n > 0)
		if (atomic_compare_exchange_weak(left, &n, n - 1)) {
			atomic_fetch_add(&faults->failed, 1);
			return 1;
		}
	return 0;
}

/* The one that finds 1. */
static int
comes_to_one(_Atomic int64_t *left)
{
	int64_t n = atomic_load(left);
	while (n > 0)
		if (atomic_compare_exchange_weak(left, &n, n - 1)) {
			if (n > 1)
				return 0;
			atomic_fetch_add(&faults->failed, 1);
			return 1;
		}
	return 0;
}

static int
turn(enum kind kind, const void *caller)
{
	if (faults == &none || !ours(caller))
		return 0;
	atomic_fetch_add(&faults->seen[kind], 1);
	return atomic_load(&faults->kind) == (int64_t)kind && comes_to_one(&faults->nth);
}

static int
no_memory(const void *caller)
{
	if (!comes_to_one(&faults->allocation) && !turn(MEMORY, caller))
		return 0;
	errno = ENOMEM;
	return 1;
}

/* True one time in `n`, in the rough life of our own calls. */
static int
bad_luck(unsigned n, const void *caller)
{
	static _Thread_local uint64_t dice;
	if (!atomic_load(&rough) || !ours(caller))
		return 0;
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (dice >> 33) % n == 0;
}

static int
fail(int error)
{
	errno = error;
	return -1;
}

static int
is_file(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* ---- memory ------------------------------------------------------------------------ */

void *
malloc(size_t size)
{
	return no_memory(CALLER) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return no_memory(CALLER) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
	return no_memory(CALLER) ? NULL : __libc_realloc(p, size);
}

char *
strdup(const char *s)
{
	REAL(strdup);
	return turn(MEMORY, CALLER) ? errno = ENOMEM, NULL : real(s);
}

char *
realpath(const char *restrict path, char *restrict buf)
{
	REAL(realpath);
	return turn(MEMORY, CALLER) ? errno = ENOMEM, NULL : real(path, buf);
}

int
vasprintf(char **restrict out, const char *restrict fmt, va_list ap)
{
	REAL(vasprintf);
	return turn(MEMORY, CALLER) ? fail(ENOMEM) : real(out, fmt, ap);
}

FILE *
fopen(const char *restrict path, const char *restrict mode)
{
	REAL(fopen);
	return turn(OPEN, CALLER) ? errno = EMFILE, NULL : real(path, mode);
}

DIR *
opendir(const char *path)
{
	REAL(opendir);
	return turn(OPEN, CALLER) ? errno = EMFILE, NULL : real(path);
}

void *
mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	REAL(mmap);
	if (turn(MAP, CALLER)) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return real(at, len, prot, flags, fd, offset);
}

/* ---- reading and writing -------------------------------------------------------------- */

ssize_t
read(int fd, void *data, size_t len)
{
	REAL(read);
	if (turn(READ, CALLER))
		return fail(EIO);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	if (len > 1 && (turn(SHORT_READ, CALLER) || bad_luck(2, CALLER)) && is_file(fd))
		len = len / 2;
	return real(fd, data, len);
}

ssize_t
pread(int fd, void *data, size_t len, off_t offset)
{
	REAL(pread);
	if (turn(READ, CALLER))
		return fail(EIO);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	if (len > 1 && (turn(SHORT_READ, CALLER) || bad_luck(2, CALLER)))
		len = len / 2;
	return real(fd, data, len, offset);
}

ssize_t
write(int fd, const void *data, size_t len)
{
	REAL(write);
	if (turn(WRITE, CALLER))
		return fail(ENOSPC);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	if (len > 1 && (turn(SHORT_WRITE, CALLER) || bad_luck(2, CALLER)) && is_file(fd))
		len = len / 2;
	return real(fd, data, len);
}

ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
	REAL(pwrite);
	if (turn(WRITE, CALLER))
		return fail(ENOSPC);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	if (len > 1 && (turn(SHORT_WRITE, CALLER) || bad_luck(2, CALLER)))
		len = len / 2;
	return real(fd, data, len, offset);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	REAL(sendmsg);
	if (takes(&faults->sends) || bad_luck(64, CALLER))
		return fail(ENOBUFS);
	if (turn(WRITE, CALLER))
		return fail(ECONNRESET);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	return real(fd, msg, flags);
}

ssize_t
send(int fd, const void *data, size_t len, int flags)
{
	REAL(send);
	if (takes(&faults->sends) || bad_luck(64, CALLER))
		return fail(ENOBUFS);
	if (turn(WRITE, CALLER))
		return fail(ECONNRESET);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	return real(fd, data, len, flags);
}

ssize_t
recv(int fd, void *data, size_t len, int flags)
{
	REAL(recv);
	if (takes(&faults->receives) || bad_luck(64, CALLER))
		return fail(ENOMEM);
	if (turn(READ, CALLER))
		return fail(ECONNRESET);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	return real(fd, data, len, flags);
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	REAL(recvmsg);
	if (turn(READ, CALLER))
		return fail(ECONNRESET);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	return real(fd, msg, flags);
}

/* ---- descriptors ---------------------------------------------------------------------- */

/* Its buffers are small: what is longer goes in pieces, with true edges between them. */
int
accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
	REAL(accept4);
	const int little = 8192;
	if (takes(&faults->accepts) || turn(ACCEPT, CALLER))
		return fail(EMFILE);
	if (bad_luck(8, CALLER))
		return fail(EINTR);
	if (bad_luck(8, CALLER))
		return fail(ECONNABORTED); /* another one may be waiting */
	int got = real(fd, address, len, flags);
	if (got >= 0 && atomic_load(&rough)) {
		setsockopt(got, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
		/* Not SO_RCVBUF: a TCP window of a few KiB moves by the kernel's timers alone, 80 KB a second. */
	}
	return got;
}

int
epoll_create1(int flags)
{
	REAL(epoll_create1);
	return turn(EPOLL, CALLER) ? fail(EMFILE) : real(flags);
}

int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	return op != EPOLL_CTL_DEL && turn(EPOLL, CALLER) ? fail(ENOSPC) : real(epfd, op, fd, event);
}

int
epoll_wait(int epfd, struct epoll_event *events, int most, int ms)
{
	REAL(epoll_wait);
	if (turn(EPOLL, CALLER) || bad_luck(8, CALLER))
		return fail(EINTR);
	return real(epfd, events, bad_luck(4, CALLER) ? 1 : most, ms);
}

int
open(const char *path, int flags, ...)
{
	REAL(open);
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return turn(OPEN, CALLER) ? fail(EMFILE) : real(path, flags, mode);
}

int
socket(int domain, int type, int protocol)
{
	REAL(socket);
	return turn(OPEN, CALLER) ? fail(EMFILE) : real(domain, type, protocol);
}

int
socketpair(int domain, int type, int protocol, int fds[2])
{
	REAL(socketpair);
	return turn(OPEN, CALLER) ? fail(EMFILE) : real(domain, type, protocol, fds);
}

int
pipe2(int fds[2], int flags)
{
	REAL(pipe2);
	return turn(OPEN, CALLER) ? fail(EMFILE) : real(fds, flags);
}

int
eventfd(unsigned value, int flags)
{
	REAL(eventfd);
	return turn(OPEN, CALLER) ? fail(EMFILE) : real(value, flags);
}

/* ---- processes and threads ------------------------------------------------------------ */

pid_t
fork(void)
{
	REAL(fork);
	return turn(FORK, CALLER) ? fail(EAGAIN) : real();
}

int
pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr, void *(*work)(void *),
               void *restrict arg)
{
	REAL(pthread_create);
	return turn(THREAD, CALLER) ? EAGAIN : real(thread, attr, work, arg);
}
