/* SPDX-License-Identifier: MIT
 *
 * Query strings: pairs stay inside the input, and a key compared while encoded
 * equals the key compared after decoding.
 */
#include <stdlib.h>
#include <string.h>

#include "http/path.h"
#include "http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct sn_query_pair p;
	size_t before = size + 1;
	while (sn_query_next(&at, end, &p)) {
		SN_ASSERT(p.key >= (const char *)data && p.key + p.key_len <= end);
		SN_ASSERT(p.value >= p.key && p.value + p.value_len <= end);
		SN_ASSERT((size_t)(end - p.key) < before); /* it comes to an end */
		before = (size_t)(end - p.key);
		char *key = malloc(p.key_len + 1);
		SN_ASSERT(key);
		size_t n = sn_percent_decode(key, p.key, p.key_len, true);
		SN_ASSERT(n <= p.key_len);
		key[n] = '\0';
		SN_ASSERT(sn_query_key_is(&p, key) == (strlen(key) == n));
		free(key);
	}
	SN_ASSERT(at == end);
	return 0;
}
