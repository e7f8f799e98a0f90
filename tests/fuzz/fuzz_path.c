/* SPDX-License-Identifier: MIT
 *
 * The path from any parameters: what is accepted holds every promise that routing
 * and handlers rely on. The input is lines: source, SCRIPT_NAME, PATH_INFO,
 * DOCUMENT_URI, REQUEST_URI, prefix; a line "-" is an absent parameter.
 */
#include <stdlib.h>
#include <string.h>

#include "http/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_path(const struct sn_path *p)
{
	SN_ASSERT(p->len > 0 && p->path[0] == '/' && p->match[0] == '/');
	SN_ASSERT(strlen(p->path) == p->len && strlen(p->match) == p->len);
	SN_ASSERT(sn_utf8_valid(p->path, p->len) && !strstr(p->path, "//"));
	SN_ASSERT(!strstr(p->path, "/../") && !strstr(p->path, "/./"));
	for (uint32_t i = 0; i < p->len; i++)
		SN_ASSERT(p->match[i] == p->path[i] ||
		          (p->match[i] == SN_PATH_SLASH && p->path[i] == '/'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char *line[6];
	const char *reason = NULL;
	struct sn_path out;
	SN_ASSERT(text);
	memcpy(text, data, size);
	text[size] = '\0';
	char *at = text;
	for (size_t i = 0; i < SN_COUNT(line); i++) {
		line[i] = strsep(&at, "\n");
		if (line[i] && strcmp(line[i], "-") == 0)
			line[i] = NULL;
	}
	struct sn_path_in in = {
		.source = (enum sn_path_source)(line[0] ? (uint8_t)line[0][0] % 3 : 0),
		.script_name = line[1],
		.path_info = line[2],
		.document_uri = line[3],
		.request_uri = line[4],
		.prefix = line[5],
	};
	if (in.prefix && (in.prefix[0] != '/' || in.prefix[strlen(in.prefix) - 1] == '/'))
		in.prefix = "";
	char *buf = malloc(sn_path_room(&in));
	SN_ASSERT(buf);
	int status = sn_path_resolve(&in, buf, sn_path_room(&in), &out, &reason);
	SN_ASSERT(status == 0 || status == 400 || status == 404);
	if (status == 0)
		check_path(&out);
	else
		SN_ASSERT(reason && *reason);
	free(buf);
	free(text);
	return 0;
}
