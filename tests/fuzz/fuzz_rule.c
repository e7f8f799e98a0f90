/* SPDX-License-Identifier: MIT
 *
 * A rule of any text. One that is refused has a message; one that is accepted, and whose
 * converters have no arguments, matches the path that its own variables, filled in, make.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/method.h"
#include "route/matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
sample(enum sn_converter c)
{
	switch (c) {
	case SN_CONV_INT: return "12";
	case SN_CONV_FLOAT: return "3.25";
	case SN_CONV_UUID: return "0f8fad5b-d9cb-469f-a165-70867728950e";
	case SN_CONV_PATH: return "p/q";
	default: return "s";
	}
}

static void
fill(const char *rule, const struct sn_rule_info *info, struct sn_buf *path)
{
	uint32_t n = 0;
	while (*rule) {
		size_t len = strcspn(rule, "<");
		sn_buf_add(path, rule, len);
		rule += len;
		if (*rule) {
			sn_buf_adds(path, sample(info->variables[n++].converter));
			rule += strcspn(rule, ">") + 1;
		}
	}
	SN_ASSERT(n == info->nvariables);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sn_rule_info info;
	struct sn_why why = { "" };
	struct sn_matcher *m;
	struct sn_match match;
	struct sn_buf path;
	char *rule = malloc(size + 1);
	SN_ASSERT(rule);
	memcpy(rule, data, size);
	rule[size] = '\0';
	struct sn_endpoint e = { .rule = rule, .methods = SN_METHOD_GET };
	int rc = sn_rule_check(rule, &info, &why);
	SN_ASSERT(rc == sn_matcher_new(&m, &e, 1, NULL));
	SN_ASSERT(rc == 0 || (rc == SN_EINVAL && why.text[0]));
	if (rc == 0)
		SN_ASSERT(sn_matcher_shadows(m, &e) == &e);
	if (rc == 0 && !strstr(rule, "(")) {
		sn_buf_init(&path, NULL, 0);
		fill(rule, &info, &path);
		SN_ASSERT(sn_matcher_find(m, path.data, path.len, SN_METHOD_HEAD, &match) == SN_MATCH_FOUND);
		SN_ASSERT(match.nvalues == info.nvariables);
		SN_ASSERT(sn_matcher_info(m, &e) == match.info);
		sn_buf_free(&path);
	}
	sn_matcher_free(m);
	free(rule);
	return 0;
}
