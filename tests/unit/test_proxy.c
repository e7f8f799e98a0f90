/* SPDX-License-Identifier: MIT
 *
 * X-Forwarded-*: what is believed of whom, and that nothing a client invents is.
 */
#include "cm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "http/proxy.h"
#include "http/slash.h"
#include "scgi_request.h"

enum { ALL = (1 << SN_FWD_COUNT) - 1, USUAL = 1 << SN_FWD_FOR | 1 << SN_FWD_PROTO };

#define build(...) scgi_request("REQUEST_METHOD", "GET", __VA_ARGS__)

/* 10.0.0.0/8 and ::1 */
static bool
trusts(const void *arg, const struct sockaddr *peer)
{
	assert_ptr_equal(arg, trusts);
	if (peer->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr) >> 24 == 10;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)peer)->sin6_addr);
}

static void
configure(unsigned hops, unsigned which)
{
	sn_proxy_configure(&(struct sn_proxy_conf){
		.hops = hops, .which = which, .trusts = hops ? NULL : trusts, .arg = trusts });
}

static char said[512];

/* "for|proto|host|port|prefix" */
static const char *
read_all(struct sn_request *req)
{
	struct sn_forwarded fwd;
	said[0] = '\0';
	if (!sn_proxy_read(req, &fwd))
		strcpy(said, "off");
	else
		for (int h = 0; h < SN_FWD_COUNT; h++) {
			size_t at = strlen(said);
			snprintf(said + at, sizeof(said) - at, "%s%.*s", h ? "|" : "", (int)fwd.value[h].len,
			         fwd.value[h].s ? fwd.value[h].s : "");
		}
	sn_request_unref(req);
	return said;
}

#define FOR(value) "HTTP_X_FORWARDED_FOR", value
#define PROTO(value) "HTTP_X_FORWARDED_PROTO", value
#define PEER(value) "REMOTE_ADDR", value

static void
off_by_default(void **state)
{
	(void)state;
	sn_proxy_configure(NULL);
	assert_string_equal(read_all(build(PEER("10.0.0.1"), FOR("1.2.3.4"), PROTO("https"), NULL)), "off");
}

static void
a_number_of_hops(void **state)
{
	(void)state;
	configure(1, USUAL);
	assert_string_equal(read_all(build(PEER("192.0.2.1"), NULL)), "||||");
	assert_string_equal(read_all(build(PEER("192.0.2.1"), FOR("1.2.3.4"), PROTO("https"), NULL)), "1.2.3.4|https|||");
	/* to the left of the last one is what the client has invented */
	assert_string_equal(read_all(build(FOR("6.6.6.6, 1.2.3.4"), PROTO("http,https"), NULL)), "1.2.3.4|https|||");
	/* a header that is there twice is one list */
	assert_string_equal(read_all(build(FOR("6.6.6.6"), FOR("7.7.7.7 ,\t1.2.3.4 "), NULL)), "1.2.3.4||||");
	assert_string_equal(read_all(build("HTTP_X_FORWARDED_HOST", "evil.example", NULL)), "||||"); /* not asked for */
	configure(2, USUAL);
	assert_string_equal(read_all(build(FOR("6.6.6.6, 1.2.3.4, 10.0.0.1"), NULL)), "1.2.3.4||||");
	assert_string_equal(read_all(build(FOR("1.2.3.4"), FOR("10.0.0.1"), NULL)), "1.2.3.4||||");
	assert_string_equal(read_all(build(FOR("1.2.3.4"), NULL)), "||||"); /* it did not come all the way */
}

static void
known_networks(void **state)
{
	(void)state;
	configure(0, USUAL);
	assert_string_equal(read_all(build(PEER("192.0.2.1"), FOR("1.2.3.4"), PROTO("https"), NULL)), "||||");
	assert_string_equal(read_all(build(FOR("1.2.3.4"), NULL)), "||||"); /* who sent it is not known */
	assert_string_equal(read_all(build(PEER("10.0.0.1"), FOR("1.2.3.4"), PROTO("https"), NULL)), "1.2.3.4|https|||");
	assert_string_equal(read_all(build(PEER("::1"), FOR("6.6.6.6, 1.2.3.4, 10.0.0.2"), PROTO("http, https, https"), NULL)),
	                    "1.2.3.4|https|||");
	/* the chain ends at the first who is not trusted, whatever stands before him */
	assert_string_equal(read_all(build(PEER("10.0.0.1"), FOR("10.0.0.9, 1.2.3.4"), NULL)), "1.2.3.4||||");
	assert_string_equal(read_all(build(PEER("10.0.0.1"), FOR("10.0.0.3, 10.0.0.2"), NULL)), "10.0.0.3||||");
	assert_string_equal(read_all(build(PEER("10.0.0.1"), FOR("1.2.3.4, unknown, 10.0.0.2"), NULL)), "10.0.0.2||||");
	assert_string_equal(read_all(build(PEER("10.0.0.1"), FOR(", ,"), NULL)), "||||");
	assert_string_equal(read_all(build(PEER("10.0.0.1"), PROTO("https"), NULL)), "|https|||");
}

static void
forms(void **state)
{
	static const struct {
		const char *sent, *is;
	} addresses[] = {
		{ "1.2.3.4:567", "1.2.3.4" }, { "[2001:db8::1]:80", "2001:db8::1" }, { "[::1]", "::1" },
		{ "2001:db8::1", "2001:db8::1" }, { "1.2.3", "" }, { "1.2.3.4\\", "" }, { "_hidden", "" },
		{ "[::1", "" }, { "", "" }, { ":80", "" },
		{ "1111111111111111111111111111111111111111111111111111111111", "" },
	}, prefixes[] = {
		{ "/app", "/app" }, { "/app/", "/app" }, { "/a/b.c-d_e~", "/a/b.c-d_e~" }, { "/", "" }, { "//evil.example", "" },
		{ "/\\evil", "" }, { "app", "" }, { "/a b", "" }, { "/a?b", "" }, { "http://x", "" },
	}, hosts[] = {
		{ "example.org", "example.org" }, { "example.org:8080", "example.org:8080" }, { "[::1]:80", "[::1]:80" },
		{ "a/b", "" }, { "a@b", "" }, { "a b", "" }, { "a\xc3\xbc", "" },
	}, ports[] = {
		{ "443", "443" }, { "0", "" }, { "65535", "65535" }, { "65536", "" }, { "00080", "00080" }, { "000080", "" },
		{ "8x", "" }, { "-1", "" },
	}, protos[] = {
		{ "https", "https" }, { "HTTP", "HTTP" }, { "ftp", "" }, { "https:", "" }, { "javascript", "" },
	};
	static const struct {
		const char *name;
		const void *cases;
		size_t n;
	} all[SN_FWD_COUNT] = {
		[SN_FWD_FOR] = { "HTTP_X_FORWARDED_FOR", addresses, SN_COUNT(addresses) },
		[SN_FWD_PROTO] = { "HTTP_X_FORWARDED_PROTO", protos, SN_COUNT(protos) },
		[SN_FWD_HOST] = { "HTTP_X_FORWARDED_HOST", hosts, SN_COUNT(hosts) },
		[SN_FWD_PORT] = { "HTTP_X_FORWARDED_PORT", ports, SN_COUNT(ports) },
		[SN_FWD_PREFIX] = { "HTTP_X_FORWARDED_PREFIX", prefixes, SN_COUNT(prefixes) },
	};
	(void)state;
	configure(1, ALL);
	for (int h = 0; h < SN_FWD_COUNT; h++)
		for (size_t i = 0; i < all[h].n; i++) {
			const char *sent = ((const char *const *)all[h].cases)[2 * i], *is = ((const char *const *)all[h].cases)[2 * i + 1];
			char expected[512];
			snprintf(expected, sizeof(expected), "%.*s%s%.*s", h, "||||", is, SN_FWD_COUNT - 1 - h, "||||");
			read_all(build(all[h].name, sent, NULL));
			if (strcmp(said, expected) != 0)
				fail_msg("%s: '%s': %s, not %s", all[h].name, sent, said, expected);
		}
}

static void
where_a_slash_is_missing(void **state)
{
	static const struct {
		unsigned hops;
		const char *uri, *prefix, *location;
	} cases[] = {
		{ 0, "/a%20b?x=1", "/app", "/a%20b/?q" }, { 1, "/a%20b?x=1", "/app", "/app/a%20b/?q" },
		{ 1, "/a", "//evil.example", "/a/?q" },   { 0, "//evil.example/a", "", "/evil.example/a/?q" },
		{ 0, "/\\evil.example/a\r\nX: \xc3\xbc", "", "/%5Cevil.example/a%0D%0AX:%20%C3%BC/?q" },
		{ 0, "http://evil.example/a", "", "/a%25%3F/?q" }, { 0, "", "", "/a%25%3F/?q" },
	};
	(void)state;
	for (size_t i = 0; i < SN_COUNT(cases); i++) {
		struct sn_request *req = build("REQUEST_URI", cases[i].uri, "QUERY_STRING", "q", "SCRIPT_NAME", "/a%?",
		                               "HTTP_X_FORWARDED_PREFIX", cases[i].prefix, NULL);
		const char *reason;
		struct sn_buf url;
		if (cases[i].hops)
			configure(cases[i].hops, ALL);
		else
			sn_proxy_configure(NULL);
		sn_buf_init(&url, NULL, 0);
		assert_int_equal(sn_request_resolve(req, SN_PATH_SCRIPT_NAME, "", &reason), 0);
		assert_int_equal(sn_slash_location(req, &url), 0);
		assert_int_equal(sn_buf_terminate(&url), 0);
		assert_string_equal(url.data, cases[i].location);
		sn_buf_free(&url);
		sn_request_unref(req);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_by_default),
		cmocka_unit_test(a_number_of_hops),
		cmocka_unit_test(known_networks),
		cmocka_unit_test(forms),
		cmocka_unit_test(where_a_slash_is_missing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
