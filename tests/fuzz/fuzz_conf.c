/* SPDX-License-Identifier: MIT
 *
 * The configuration from any text. What is accepted is in range and complete; what is
 * refused says why. Input that begins with '=' is "=KEY VALUE" for sn_conf_set(), with
 * '-' a listener for sn_conf_listen(); everything else is a file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig 1.5 itself loses a string's bytes when the syntax error comes right behind it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

const char *
__lsan_default_options(void)
{
	return "print_suppressions=0";
}

static struct sn_why why, warnings;

static void
check_conf(struct sn_conf *c)
{
	SN_ASSERT(sn_conf_finish(c, &why) == 0 || why.text[0]);
	SN_ASSERT(c->queue >= 1 && c->queue <= 1048576);
	SN_ASSERT(c->processes >= 1 && c->io_threads >= 1);
	SN_ASSERT(c->limits.body <= UINT64_C(1) << 40 && c->limits.memory_body <= c->limits.body);
	SN_ASSERT(c->timeouts.read >= 0.001 && c->timeouts.read <= 86400);
	SN_ASSERT(!c->python.dir[0] || c->python.dir[0] == '/');
	for (size_t i = 0; i < c->nlisten; i++) {
		const struct sn_conf_listen *l = &c->listen[i];
		SN_ASSERT((l->allow.n == 0) == !l->networks && l->mode <= 0777 && l->port <= 65535);
		SN_ASSERT(l->path_source >= 0 && l->path_source <= 2 && l->backlog >= 1);
		SN_ASSERT(l->kind != SN_ADDR_UNIX || (l->path[0] == '/' && strlen(l->path) <= SN_UNIX_PATH_MAX));
	}
}

static int
load(struct sn_conf *c, const uint8_t *data, size_t size)
{
	char file[64];
	int fd = memfd_create("conf", MFD_CLOEXEC);
	SN_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	int rc = sn_conf_load(c, file, &why, &warnings);
	close(fd);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_conf *c = sn_conf_new();
	char *text = malloc(size + 1);
	int rc;
	SN_ASSERT(c && text);
	memcpy(text, data, size);
	text[size] = '\0';
	warnings.text[0] = '\0';
	if (text[0] == '=') {
		char *value = strchr(text, ' ');
		if (value)
			*value++ = '\0';
		rc = sn_conf_set(c, text + 1, value ? value : "", "fuzz", &why);
	} else if (text[0] == '-') {
		rc = sn_conf_listen(c, text + 1, "fuzz", &why);
	} else {
		rc = load(c, data, size);
	}
	SN_ASSERT(rc == 0 || (rc == SN_ECONF && why.text[0]));
	if (rc == 0)
		check_conf(c);
	sn_conf_free(c);
	free(text);
	return 0;
}
