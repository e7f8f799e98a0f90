/* SPDX-License-Identifier: MIT
 *
 * The one door to libconfig: text in its syntax becomes a tree of our own
 * nodes, its syntax errors become faults with a mend where one can be guessed.
 * Does not know which keys there are. Runs at start.
 */
#include <ctype.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf_priv.h"

static void
free_node(struct sn_node *n)
{
	for (size_t i = 0; i < n->n; i++)
		free_node(&n->child[i]);
	free(n->child);
	free(n->name);
	free(n->s);
}

void
sn_tree_free(struct sn_tree *t)
{
	free_node(&t->root);
	for (size_t i = 0; i < t->nfiles; i++)
		free(t->files[i]);
	free(t->files);
	memset(t, 0, sizeof(*t));
}

/* Our copy of a file's name: libconfig's goes with its tree. */
static const char *
keep_file(struct sn_tree *t, const char *name)
{
	for (size_t i = 0; i < t->nfiles; i++)
		if (strcmp(t->files[i], name) == 0)
			return t->files[i];
	char *copy = strdup(name);
	char **grown = copy ? realloc(t->files, (t->nfiles + 1) * sizeof(*grown)) : NULL;
	if (!grown) {
		free(copy);
		return NULL;
	}
	t->files = grown;
	return t->files[t->nfiles++] = copy;
}

static int copy_node(struct sn_tree *t, struct sn_node *n, const config_setting_t *from,
                     const char *name);

static int
copy_children(struct sn_tree *t, struct sn_node *n, const config_setting_t *from, const char *name)
{
	int len = config_setting_length(from), rc = 0;
	n->child = len ? calloc((size_t)len, sizeof(*n->child)) : NULL;
	if (len && !n->child)
		return SN_ENOMEM;
	for (int i = 0; rc == 0 && i < len; i++) {
		n->n++;
		rc = copy_node(t, &n->child[i], config_setting_get_elem(from, (unsigned)i), name);
	}
	return rc;
}

static int
copy_node(struct sn_tree *t, struct sn_node *n, const config_setting_t *from, const char *name)
{
	const char *own = config_setting_name(from), *file = config_setting_source_file(from);
	n->line = config_setting_source_line(from);
	n->from = keep_file(t, file ? file : name);
	n->name = own ? strdup(own) : NULL;
	if (!n->from || (own && !n->name))
		return SN_ENOMEM;
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_INT:
		n->kind = SN_NODE_INT;
		n->i = config_setting_get_int(from);
		return 0;
	case CONFIG_TYPE_INT64:
		n->kind = SN_NODE_INT;
		n->i = config_setting_get_int64(from);
		return 0;
	case CONFIG_TYPE_FLOAT:
		n->kind = SN_NODE_FLOAT;
		n->f = config_setting_get_float(from);
		return 0;
	case CONFIG_TYPE_BOOL:
		n->kind = SN_NODE_BOOL;
		n->i = config_setting_get_bool(from);
		return 0;
	case CONFIG_TYPE_STRING: {
		const char *s = config_setting_get_string(from);
		n->kind = SN_NODE_STRING;
		n->s = strdup(s ? s : "");
		return n->s ? 0 : SN_ENOMEM;
	}
	case CONFIG_TYPE_GROUP: n->kind = SN_NODE_GROUP; break;
	default: n->kind = SN_NODE_LIST; break; /* [ ] and ( ) mean the same here */
	}
	return copy_children(t, n, from, name);
}

/* ---- syntax errors ------------------------------------------------------------------ */

static const char *
line_of(const char *text, unsigned line, size_t *len)
{
	for (; line > 1 && *text; line--) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	*len = strcspn(text, "\n");
	return text;
}

/* The mistakes that everybody makes, told by the line's look. "" when it is none of them. */
static const char *
guess(const char *line, size_t len)
{
	const char *end = line + len, *equals = memchr(line, '=', len), *p = line;
	while (p < end && isblank((unsigned char)*p))
		p++;
	const char *name = p;
	while (p < end && (isalnum((unsigned char)*p) || *p == '_'))
		p++;
	if (p > name && p < end && *p == '.' && equals)
		return "; a dotted key is written as a group: limits = { body = \"16 MiB\"; }";
	if (p > name && p < end && isdigit((unsigned char)*name))
		return "";
	for (p = equals ? equals + 1 : end; p < end && isblank((unsigned char)*p); p++)
		;
	const char *digits = p;
	while (p < end && (isdigit((unsigned char)*p) || *p == '.'))
		p++;
	if (p > digits) {
		while (p < end && isblank((unsigned char)*p))
			p++;
		if (p < end && isalpha((unsigned char)*p))
			return "; a size with a unit is written in quotes: \"16 MiB\"";
	} else if (p < end && (isalpha((unsigned char)*p) || *p == '/' || *p == '\'')) {
		return "; text is written in double quotes";
	}
	return "";
}

static int
syntax_fault(const config_t *cfg, const char *text, const char *name, struct sn_faults *f)
{
	const char *file = config_error_file(cfg), *what = config_error_text(cfg), *hint = "";
	unsigned line = (unsigned)config_error_line(cfg);
	size_t len;
	if (!file && line > 0) {
		/* libconfig sees the fault at the token behind it, often a line later */
		const char *at = line_of(text, line, &len);
		hint = guess(at, len);
		if (!*hint && line > 1) {
			at = line_of(text, line - 1, &len);
			hint = guess(at, len);
		}
	}
	sn_fault(f, file ? file : name, line, "%s%s", what ? what : "cannot be read", hint);
	return SN_ECONF;
}

int
sn_tree_parse(struct sn_tree *t, const char *text, size_t len, const char *name, const char *dir,
              struct sn_faults *f)
{
	config_t cfg;
	unsigned before = f->count;
	int rc = SN_ECONF;
	memset(t, 0, sizeof(*t));
	sn_scan_text(text, len, name, dir, f);
	if (f->count > before)
		return SN_ECONF;
	config_init(&cfg);
	config_set_include_dir(&cfg, dir);
	if (!config_read_string(&cfg, text))
		rc = syntax_fault(&cfg, text, name, f);
	else
		rc = copy_node(t, &t->root, config_root_setting(&cfg), name);
	if (rc == SN_ENOMEM)
		sn_fault(f, name, 0, "out of memory");
	if (rc < 0)
		sn_tree_free(t);
	config_destroy(&cfg);
	return rc;
}

/* ---- a value without a file ----------------------------------------------------------- */

/* Text that is wanted as text needs no quotes. */
static bool
is_text(const struct sn_key *key, const char *value)
{
	switch (key->kind) {
	case SN_KEY_STRING:
	case SN_KEY_CHOICE:
	case SN_KEY_PATH:
	case SN_KEY_MODE:
	case SN_KEY_INDEX:
	case SN_KEY_PREFIX:
	case SN_KEY_SIZE:
	case SN_KEY_BYTES:
		return value[0] != '"';
	case SN_KEY_STRINGS:
	case SN_KEY_PATHS:
		return value[0] != '"' && value[0] != '[' && value[0] != '(';
	default:
		return false;
	}
}

/* A list may be given as its only item. */
static int
wrap_item(const struct sn_key *key, struct sn_node *v)
{
	if ((key->kind != SN_KEY_STRINGS && key->kind != SN_KEY_PATHS) || v->kind != SN_NODE_STRING)
		return 0;
	struct sn_node *item = calloc(1, sizeof(*item));
	if (!item)
		return SN_ENOMEM;
	item->kind = SN_NODE_STRING;
	item->from = v->from;
	item->s = v->s;
	v->kind = SN_NODE_LIST;
	v->s = NULL;
	v->child = item;
	v->n = 1;
	return 0;
}

static void
no_lines(struct sn_node *v)
{
	v->line = 0;
	for (size_t i = 0; i < v->n; i++)
		no_lines(&v->child[i]);
}

static int
text_tree(struct sn_tree *t, const char *value, const char *from)
{
	memset(t, 0, sizeof(*t));
	t->root.kind = SN_NODE_GROUP;
	t->root.child = calloc(1, sizeof(*t->root.child));
	if (!t->root.child)
		return SN_ENOMEM;
	struct sn_node *v = t->root.child;
	t->root.n = 1;
	v->kind = SN_NODE_STRING;
	v->from = keep_file(t, from);
	v->s = strdup(value);
	return v->from && v->s ? 0 : SN_ENOMEM;
}

static int
parsed_tree(const struct sn_key *key, struct sn_tree *t, const char *value, const char *from,
            struct sn_faults *f)
{
	struct sn_why reason = { "" };
	struct sn_faults inner;
	char *text = NULL, *dir = sn_conf_cwd();
	int len = asprintf(&text, "value = %s\n;\n", value), rc = SN_ENOMEM;
	if (len < 0)
		text = NULL;
	sn_faults_init(&inner, &reason);
	/* the message speaks of a text that nobody typed: only whether it failed is told */
	if (text && dir)
		rc = sn_tree_parse(t, text, (size_t)len, from, dir, &inner);
	if (rc == 0 && t->root.n != 1) {
		sn_tree_free(t);
		rc = SN_ECONF;
	}
	if (rc == SN_ECONF)
		sn_fault(f, from, 0, "key '%s': '%.80s' is not a value; write one such as %s", key->name,
		         value, key->example);
	else if (rc < 0)
		sn_fault(f, from, 0, "key '%s': out of memory", key->name);
	free(text);
	free(dir);
	return rc;
}

int
sn_key_tree(const struct sn_key *key, struct sn_tree *t, const char *value, const char *from,
            struct sn_faults *f)
{
	int rc;
	while (isspace((unsigned char)*value))
		value++;
	if (!is_text(key, value)) {
		rc = parsed_tree(key, t, value, from, f);
	} else {
		rc = text_tree(t, value, from);
		if (rc < 0)
			sn_fault(f, from, 0, "key '%s': out of memory", key->name);
	}
	if (rc == 0 && (rc = wrap_item(key, t->root.child)) < 0)
		sn_fault(f, from, 0, "key '%s': out of memory", key->name);
	if (rc < 0)
		sn_tree_free(t);
	else
		no_lines(&t->root);
	return rc;
}
