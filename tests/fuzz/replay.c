/* SPDX-License-Identifier: MIT
 *
 * A main for fuzz targets without a fuzzer: feeds every file of the target's seed
 * corpus to it, and every prefix of each small file, so that `make check` keeps
 * both in order on any compiler. TAP, one test a file; a finding aborts. The
 * corpus is argv[1], or corpus/NAME of a program called fuzz_NAME.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIXES_UP_TO 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact copy on the heap each time: reads past the end are then seen. */
static void
feed(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int
replay(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "rb");
	if (!f || fstat(fileno(f), &st) < 0)
		return -1;
	size_t size = (size_t)st.st_size;
	uint8_t *data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, f) != size)
		return -1;
	fclose(f);
	if (size <= PREFIXES_UP_TO)
		for (size_t n = 0; n < size; n++)
			feed(data, n);
	feed(data, size);
	free(data);
	return 0;
}

static void
find_corpus(char *out, size_t size, const char *program)
{
	const char *top = getenv("SN_TOP_SRCDIR");
	const char *name = strrchr(program, '/');
	name = strstr(name ? name : program, "fuzz_");
	int n = snprintf(out, size, "%s/tests/fuzz/corpus/%s", top ? top : ".", name ? name + 5 : "");
	if (n < 0 || (size_t)n >= size)
		out[0] = '\0';
}

static int
not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int
main(int argc, char **argv)
{
	char dir[4096], path[8192];
	struct dirent **list;
	int failed = 0;
	if (argc > 1)
		snprintf(dir, sizeof(dir), "%s", argv[1]);
	else
		find_corpus(dir, sizeof(dir), argv[0]);
	int n = scandir(dir, &list, not_hidden, alphasort);
	if (n <= 0) {
		printf("1..1\nnot ok 1 - no corpus in %s\n", dir);
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		/* Said first: when the target aborts, this is the file. */
		printf("# %s\n", path);
		fflush(stdout);
		int rc = replay(path);
		printf("%s %d - %s\n", rc ? "not ok" : "ok", i + 1, list[i]->d_name);
		failed |= rc;
		free(list[i]);
	}
	free(list);
	return failed ? 1 : 0;
}
