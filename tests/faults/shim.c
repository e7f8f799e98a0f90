/* SPDX-License-Identifier: MIT
 *
 * Faults on demand, by LD_PRELOAD: the test maps the file that SN_FAULTS names and says there
 * which call shall fail. Knows nothing of the program it is in. Any thread.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct faults {
	_Atomic int64_t allocation; /* counted down; the one that finds 1 fails */
	_Atomic int64_t failed;     /* faults so far */
	_Atomic int64_t sends;      /* so many sends fail with ENOBUFS */
	_Atomic int64_t receives;   /* so many receives fail with ENOMEM */
	_Atomic int64_t accepts;    /* so many accepts fail with EMFILE */
};

static struct faults none;
static struct faults *faults = &none;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t size);
ssize_t send(int fd, const void *data, size_t len, int flags);
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t recv(int fd, void *data, size_t len, int flags);
int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags);

__attribute__((constructor)) static void
map_faults(void)
{
	const char *file = getenv("SN_FAULTS");
	int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		faults = p;
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

static int
no_memory(void)
{
	int64_t n = atomic_load(&faults->allocation);
	while (n > 0)
		if (atomic_compare_exchange_weak(&faults->allocation, &n, n - 1)) {
			if (n > 1)
				return 0;
			atomic_fetch_add(&faults->failed, 1);
			errno = ENOMEM;
			return 1;
		}
	return 0;
}

void *
malloc(size_t size)
{
	return no_memory() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return no_memory() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t size)
{
	return no_memory() ? NULL : __libc_realloc(p, size);
}

ssize_t
send(int fd, const void *data, size_t len, int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	return sendmsg(fd, &msg, flags);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static _Atomic(uintptr_t) real;
	if (!atomic_load(&real))
		atomic_store(&real, (uintptr_t)dlsym(RTLD_NEXT, "sendmsg"));
	if (takes(&faults->sends)) {
		errno = ENOBUFS;
		return -1;
	}
	return ((ssize_t (*)(int, const struct msghdr *, int))atomic_load(&real))(fd, msg, flags);
}

ssize_t
recv(int fd, void *data, size_t len, int flags)
{
	static _Atomic(uintptr_t) real;
	if (!atomic_load(&real))
		atomic_store(&real, (uintptr_t)dlsym(RTLD_NEXT, "recv"));
	if (takes(&faults->receives)) {
		errno = ENOMEM;
		return -1;
	}
	return ((ssize_t (*)(int, void *, size_t, int))atomic_load(&real))(fd, data, len, flags);
}

int
accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
	static _Atomic(uintptr_t) real;
	if (!atomic_load(&real))
		atomic_store(&real, (uintptr_t)dlsym(RTLD_NEXT, "accept4"));
	if (takes(&faults->accepts)) {
		errno = EMFILE;
		return -1;
	}
	return ((int (*)(int, struct sockaddr *restrict, socklen_t *restrict, int))atomic_load(&real))(
		fd, address, len, flags);
}
