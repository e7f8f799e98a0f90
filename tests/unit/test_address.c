/* SPDX-License-Identifier: MIT
 *
 * Listener addresses in every form users type, wrong ones with their mends,
 * and networks.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "conf/address.h"

static struct sn_why why;

static void
right_addresses(void **state)
{
	static const struct {
		const char *text;
		enum sn_address_kind kind;
		const char *name;
		unsigned port;
		int fd;
	} good[] = {
		{ "unix:/run/x.sock", SN_ADDR_UNIX, "/run/x.sock", 0, -1 },
		{ "unix:x.sock", SN_ADDR_UNIX, "x.sock", 0, -1 },
		{ "unix:@snacgi", SN_ADDR_ABSTRACT, "snacgi", 0, -1 },
		{ "127.0.0.1:9000", SN_ADDR_TCP, "127.0.0.1", 9000, -1 },
		{ "localhost:9000", SN_ADDR_TCP, "localhost", 9000, -1 },
		{ "[::1]:9000", SN_ADDR_TCP, "::1", 9000, -1 },
		{ "[::]:0", SN_ADDR_TCP, "::", 0, -1 },
		{ ":9000", SN_ADDR_TCP, "", 9000, -1 },
		{ "*:9000", SN_ADDR_TCP, "", 9000, -1 },
		{ ":65535", SN_ADDR_TCP, "", 65535, -1 },
		{ "fd:0", SN_ADDR_FD, "", 0, 0 },
		{ "fd:17", SN_ADDR_FD, "", 0, 17 },
		{ "systemd:snacgi.socket", SN_ADDR_SYSTEMD, "snacgi.socket", 0, -1 },
	};
	(void)state;
	for (size_t i = 0; i < SN_COUNT(good); i++) {
		struct sn_address a;
		if (sn_address_parse(good[i].text, &a, &why) != 0)
			fail_msg("%s", why.text);
		assert_int_equal(a.kind, good[i].kind);
		assert_string_equal(a.name, good[i].name);
		assert_int_equal(a.port, good[i].port);
		assert_int_equal(a.fd, good[i].fd);
	}
	char path[200] = "unix:/";
	struct sn_address a;
	memset(path + 6, 'a', 106);
	assert_int_equal(sn_address_parse(path, &a, &why), 0); /* 107 fit */
	assert_int_equal(strlen(a.name), SN_UNIX_PATH_MAX);
	assert_int_equal(SN_UNIX_PATH_MAX + 1, sizeof(((struct sockaddr_un *)0)->sun_path));
}

static void
wrong_addresses(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "is empty" },
		{ "unix:", "has no path" },
		{ "unix:@", "has no path" },
		{ "/run/x.sock", "write unix:/run/x.sock" },
		{ "/run/x:y", "unix:/run/x.sock" },
		{ "9000", "write :9000" },
		{ "localhost", "has no port" },
		{ "127.0.0.1:", "is not a port" },
		{ "127.0.0.1:65536", "is not a port" },
		{ "127.0.0.1:-1", "is not a port" },
		{ "127.0.0.1:9000x", "is not a port" },
		{ "::1:9000", "brackets" },
		{ "::1", "IPv6 address goes in brackets" },
		{ "[::1]", "write [::1]:PORT" },
		{ "[::1", "write [::1]:PORT" },
		{ "[::1]9000", "write [::1]:PORT" },
		{ "[127.0.0.1]:9000", "not an IPv6 address" },
		{ "[]:9000", "not an IPv6 address" },
		{ "fd:", "write fd:3" },
		{ "fd:x", "write fd:3" },
		{ "fd:-1", "write fd:3" },
		{ "fd:99999999999999999999", "write fd:3" },
		{ "systemd:", "write systemd:NAME" },
		{ "uwsgi:unix:/x", "fastcgi or scgi" },
		{ "a b:9000", "is no host" },
	};
	char path[400] = "unix:/";
	struct sn_address a;
	(void)state;
	for (size_t i = 0; i < SN_COUNT(bad); i++) {
		assert_int_equal(sn_address_parse(bad[i].text, &a, &why), SN_EINVAL);
		if (!strstr(why.text, bad[i].says))
			fail_msg("'%s': said \"%s\", not \"%s\"", bad[i].text, why.text, bad[i].says);
	}
	memset(path + 6, 'a', 107);
	assert_int_equal(sn_address_parse(path, &a, &why), SN_EINVAL);
	assert_non_null(strstr(why.text, "at most 107"));
	memset(path, 'h', 300);
	strcpy(path + 300, ":9000");
	assert_int_equal(sn_address_parse(path, &a, &why), SN_EINVAL);
	assert_non_null(strstr(why.text, "too long"));
}

static void
split(void **state)
{
	static const struct {
		const char *spec, *protocol, *address;
	} good[] = {
		{ "fastcgi:unix:/x", "fastcgi", "unix:/x" },
		{ "scgi:unix:/x", "scgi", "unix:/x" },
		{ "unix:/x", "fastcgi", "unix:/x" },
		{ ":unix:/x", "fastcgi", "unix:/x" },
		{ ":unix:@a", "fastcgi", "unix:@a" },
		{ ":127.0.0.1:9000", "fastcgi", "127.0.0.1:9000" },
		{ "127.0.0.1:9000", "fastcgi", "127.0.0.1:9000" },
		{ "scgi:127.0.0.1:9000", "scgi", "127.0.0.1:9000" },
		{ ":9000", "fastcgi", ":9000" },
		{ "scgi::9000", "scgi", ":9000" },
		{ ":[::1]:9000", "fastcgi", "[::1]:9000" },
		{ "scgi:[::1]:9000", "scgi", "[::1]:9000" },
		{ ":fd:3", "fastcgi", "fd:3" },
		{ "scgi:systemd:web", "scgi", "systemd:web" },
		{ ":", "fastcgi", ":" },
		{ "", "fastcgi", "" },
	};
	(void)state;
	for (size_t i = 0; i < SN_COUNT(good); i++) {
		const char *protocol, *address;
		sn_address_split(good[i].spec, &protocol, &address);
		assert_string_equal(protocol, good[i].protocol);
		assert_string_equal(address, good[i].address);
	}
}

static bool
contains(const char *network, const char *peer)
{
	struct sn_network net;
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	if (sn_network_parse(network, &net, &why) != 0)
		fail_msg("%s", why.text);
	if (inet_pton(AF_INET, peer, &in->sin_addr) == 1)
		in->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, peer, &in6->sin6_addr) == 1)
		in6->sin6_family = AF_INET6;
	else
		ss.ss_family = AF_UNIX;
	return sn_network_contains(&net, (struct sockaddr *)&ss);
}

static void
networks(void **state)
{
	(void)state;
	assert_true(contains("10.0.0.0/8", "10.255.1.2"));
	assert_false(contains("10.0.0.0/8", "11.0.0.0"));
	assert_true(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_false(contains("10.0.0.0/8", "::10.1.2.3"));
	assert_true(contains("192.0.2.7", "192.0.2.7"));
	assert_false(contains("192.0.2.7", "192.0.2.6"));
	assert_true(contains("192.0.2.6/31", "192.0.2.7"));
	assert_false(contains("192.0.2.6/31", "192.0.2.8"));
	assert_true(contains("0.0.0.0/0", "203.0.113.9"));
	assert_true(contains("0.0.0.0/0", "::ffff:203.0.113.9"));
	assert_false(contains("0.0.0.0/0", "2001:db8::1"));
	assert_true(contains("::/0", "2001:db8::1"));
	assert_false(contains("::/0", "203.0.113.9"));
	assert_false(contains("::/0", "::ffff:203.0.113.9"));
	assert_true(contains("fd00::/8", "fdff::1"));
	assert_false(contains("fd00::/8", "fc00::1"));
	assert_true(contains("::1", "::1"));
	assert_false(contains("::1", "::2"));
	assert_true(contains("::ffff:10.0.0.0/104", "10.2.3.4"));
	assert_true(contains("2001:db8::/33", "2001:db8:7fff::"));
	assert_false(contains("2001:db8::/33", "2001:db8:8000::"));
	assert_false(contains("0.0.0.0/0", "not an address: a Unix peer"));
}

static void
wrong_networks(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "", "is not a network" },
		{ "x", "is not a network" },
		{ "/8", "is not a network" },
		{ "10.0.0/8", "is not a network" },
		{ "10.0.0.0/", "0 to 32" },
		{ "10.0.0.0/33", "0 to 32" },
		{ "10.0.0.0/8x", "0 to 32" },
		{ "fd00::/129", "0 to 128" },
		{ "10.1.2.3/8", "write 10.0.0.0/8" },
		{ "fd12::/8", "write fd00::/8" },
		{ "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", "is not a network" },
	};
	struct sn_network net;
	(void)state;
	for (size_t i = 0; i < SN_COUNT(bad); i++) {
		assert_int_equal(sn_network_parse(bad[i].text, &net, &why), SN_EINVAL);
		if (!strstr(why.text, bad[i].says))
			fail_msg("'%s': said \"%s\", not \"%s\"", bad[i].text, why.text, bad[i].says);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_addresses), cmocka_unit_test(wrong_addresses),
		cmocka_unit_test(split),           cmocka_unit_test(networks),
		cmocka_unit_test(wrong_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
