/* SPDX-License-Identifier: MIT
 *
 * Listeners out of the file's `listen` list and out of -l: their own keys, and
 * what must fit together (an allow-list on a Unix socket protects nobody).
 * Opens nothing. Runs at start.
 */
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf_priv.h"

void
sn_listen_free(struct sn_conf_listen *l)
{
	free(l->protocol);
	free(l->address);
	free(l->path);
	free(l->host);
	free(l->owner);
	free(l->group);
	sn_strings_free(&l->allow);
	free(l->networks);
	free(l->prefix);
	memset(l, 0, sizeof(*l));
}

static int
defaults(struct sn_conf_listen *l)
{
	memset(l, 0, sizeof(*l));
	l->fd = -1;
	l->mode = 0660;
	l->backlog = 1024;
	l->protocol = strdup("fastcgi");
	l->address = strdup("");
	l->path = strdup("");
	l->host = strdup("");
	l->owner = strdup("");
	l->group = strdup("");
	l->prefix = strdup("");
	return l->protocol && l->address && l->path && l->host && l->owner && l->group && l->prefix
	               ? 0 : SN_ENOMEM;
}

/* Fills what the address says. A relative Unix path starts from `dir`. */
static int
resolve(struct sn_conf_listen *l, const char *dir, struct sn_why *why)
{
	struct sn_address a;
	int rc = sn_address_parse(l->address, &a, why);
	if (rc < 0)
		return rc;
	char *name = a.kind == SN_ADDR_UNIX ? sn_conf_path(dir, a.name) : strdup(a.name);
	if (!name)
		return sn_why_set(why, SN_ENOMEM, "out of memory");
	if (a.kind == SN_ADDR_UNIX && strlen(name) > SN_UNIX_PATH_MAX) {
		rc = sn_why_set(why, SN_EINVAL, "address '%s': a Unix socket's path has at most %d "
		                "characters, '%s' has %zu; use a shorter one, such as "
		                "unix:/run/snacgi.sock", l->address, SN_UNIX_PATH_MAX, name, strlen(name));
		free(name);
		return rc;
	}
	l->kind = a.kind;
	l->port = a.port;
	l->fd = a.fd;
	char **at = a.kind == SN_ADDR_TCP ? &l->host : &l->path;
	free(*at);
	*at = name;
	return 0;
}

static int
append(struct sn_conf *c, const struct sn_conf_listen *l)
{
	struct sn_conf_listen *grown = realloc(c->listen, (c->nlisten + 1) * sizeof(*grown));
	if (!grown)
		return SN_ENOMEM;
	c->listen = grown;
	c->listen[c->nlisten++] = *l;
	return 0;
}

int
sn_conf_listen(struct sn_conf *c, const char *spec, const char *from, struct sn_why *why)
{
	struct sn_conf_listen l;
	struct sn_why reason;
	struct sn_faults f;
	const char *protocol, *address;
	char *cwd = sn_conf_cwd();
	if (why)
		why->text[0] = '\0';
	sn_faults_init(&f, why);
	sn_address_split(spec, &protocol, &address);
	int rc = defaults(&l);
	if (rc == 0) {
		free(l.protocol);
		free(l.address);
		l.protocol = strdup(protocol);
		l.address = strdup(address);
		rc = l.protocol && l.address && cwd ? resolve(&l, cwd, &reason) : SN_ENOMEM;
	}
	if (rc == 0)
		rc = append(c, &l);
	if (rc == SN_ENOMEM)
		sn_fault(&f, from, 0, "out of memory");
	else if (rc < 0)
		sn_fault(&f, from, 0, "%s", reason.text);
	if (rc < 0)
		sn_listen_free(&l);
	free(cwd);
	return sn_faults_end(&f);
}

void
sn_conf_listen_clear(struct sn_conf *c)
{
	for (size_t i = 0; i < c->nlisten; i++)
		sn_listen_free(&c->listen[i]);
	free(c->listen);
	c->listen = NULL;
	c->nlisten = 0;
}

/* ---- the file's list ------------------------------------------------------------ */

static const struct sn_node *
member(const struct sn_node *group, const char *name)
{
	for (size_t i = 0; i < group->n; i++)
		if (strcmp(group->child[i].name, name) == 0)
			return &group->child[i];
	return NULL;
}

static bool
apply_keys(struct sn_conf_listen *l, const struct sn_node *v, const char *dir, struct sn_faults *f)
{
	bool ok = true;
	for (size_t i = 0; i < v->n; i++) {
		char name[128], near[128];
		const struct sn_node *item = &v->child[i];
		snprintf(name, sizeof(name), "listen.%.100s", item->name);
		const struct sn_key *k = sn_key_find(sn_listen_keys, name);
		if (k) {
			ok = sn_key_apply(k, l, item, dir, false, f) && ok;
			continue;
		}
		const char *nearest = sn_key_nearest(name, near, sizeof(near));
		sn_fault(f, item->from, item->line, "key '%s' is not known%s%s%s", name,
		         nearest ? "; did you mean '" : "; see snacgi.conf(5)",
		         nearest ? nearest : "", nearest ? "'?" : "");
		ok = false;
	}
	return ok;
}

static bool
apply_networks(struct sn_conf_listen *l, const struct sn_node *allow, struct sn_faults *f)
{
	struct sn_why why;
	bool ok = true;
	if (!allow || l->allow.n == 0)
		return true;
	if (l->kind == SN_ADDR_UNIX || l->kind == SN_ADDR_ABSTRACT) {
		sn_fault(f, allow->from, allow->line, "key 'listen.allow': the peers of a Unix socket have "
		         "no network address; take it out and use %s",
		         l->kind == SN_ADDR_UNIX ? "mode, owner and group"
		                                 : "a path instead of @, with mode, owner and group");
		return false;
	}
	l->networks = calloc(l->allow.n, sizeof(*l->networks));
	if (!l->networks) {
		sn_fault(f, allow->from, allow->line, "out of memory");
		return false;
	}
	for (size_t i = 0; i < l->allow.n; i++)
		if (sn_network_parse(l->allow.item[i], &l->networks[i], &why) < 0) {
			sn_fault(f, allow->child[i].from, allow->child[i].line, "key 'listen.allow': %s",
			         why.text);
			ok = false;
		}
	return ok;
}

/* Permissions exist on sockets in the file system that this server makes. */
static bool
check_permissions(const struct sn_conf_listen *l, const struct sn_node *v, struct sn_faults *f)
{
	static const char *const keys[] = { "mode", "owner", "group" };
	bool ok = true;
	for (size_t i = 0; i < SN_COUNT(keys) && l->kind != SN_ADDR_UNIX; i++) {
		const struct sn_node *item = member(v, keys[i]);
		if (!item || (item->kind == SN_NODE_STRING && !item->s[0]))
			continue;
		sn_fault(f, item->from, item->line, "key 'listen.%s' has a meaning for unix:/... only, "
		         "and this address is '%s'; take it out%s", keys[i], l->address,
		         l->kind == SN_ADDR_TCP ? " (allow = [ \"127.0.0.1\" ] restricts TCP)" : "");
		ok = false;
	}
	return ok;
}

/* The protocol is a key of its own in the file. */
static bool
check_protocol(const struct sn_conf_listen *l, const struct sn_node *at, struct sn_faults *f)
{
	const char *protocol, *address;
	sn_address_split(l->address, &protocol, &address);
	if (address == l->address)
		return true;
	if (l->address[0] == ':')
		sn_fault(f, at->from, at->line, "key 'listen.address': write address = \"%s\"", address);
	else
		sn_fault(f, at->from, at->line, "key 'listen.address': the protocol is a key of its own; "
		         "write protocol = \"%s\"; address = \"%s\"", protocol, address);
	return false;
}

static bool
apply_one(struct sn_conf_listen *l, const struct sn_node *v, const char *dir, struct sn_faults *f)
{
	struct sn_why why;
	if (v->kind != SN_NODE_GROUP) {
		sn_fault(f, v->from, v->line, "key 'listen': an item of the list is a group; write "
		         "( { address = \"unix:/run/snacgi/snacgi.sock\"; } )");
		return false;
	}
	const struct sn_node *address = member(v, "address");
	if (!apply_keys(l, v, dir, f))
		return false;
	if (!address || !l->address[0]) {
		const struct sn_node *at = address ? address : v;
		sn_fault(f, at->from, at->line, "a listener needs its address; write address = "
		         "\"unix:/run/snacgi/snacgi.sock\" or address = \"127.0.0.1:9000\"");
		return false;
	}
	if (!check_protocol(l, address, f))
		return false;
	if (resolve(l, dir, &why) < 0) {
		sn_fault(f, address->from, address->line, "key 'listen.address': %s", why.text);
		return false;
	}
	bool ok = check_permissions(l, v, f);
	return apply_networks(l, member(v, "allow"), f) && ok;
}

bool
sn_listen_apply(struct sn_conf *c, const struct sn_node *v, const char *dir, struct sn_faults *f)
{
	bool ok = true;
	sn_conf_listen_clear(c);
	for (size_t i = 0; i < v->n; i++) {
		struct sn_conf_listen l;
		bool good = defaults(&l) == 0;
		if (!good)
			sn_fault(f, v->from, v->line, "out of memory");
		good = good && apply_one(&l, &v->child[i], dir, f);
		if (good && append(c, &l) < 0) {
			sn_fault(f, v->from, v->line, "out of memory");
			good = false;
		}
		if (!good)
			sn_listen_free(&l);
		ok = ok && good;
	}
	return ok;
}
