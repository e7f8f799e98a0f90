/* SPDX-License-Identifier: MIT
 *
 * What the files of conf/ share: a value as read from anywhere, the list of
 * faults, and the schema, the one table that says which keys there are.
 * Included by conf/ and its tests only. Not thread-safe; runs at start.
 */
#ifndef SN_CONF_CONF_PRIV_H
#define SN_CONF_CONF_PRIV_H

#include "base/buf.h"
#include "conf/conf.h"

/* ---- faults ---------------------------------------------------------------- */

#define SN_FAULTS_MAX 20

struct sn_faults { /* appends lines to a text until it is full */
	struct sn_why *why;
	size_t used;
	unsigned count;
};

/* Goes on behind the text that is there. `why` may be NULL. */
void sn_faults_init(struct sn_faults *f, struct sn_why *why);
/* "FROM:LINE: text", or "FROM: text" where `line` is 0. */
void sn_fault(struct sn_faults *f, const char *from, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* 0 or SN_ECONF. */
int sn_faults_end(struct sn_faults *f);

/* ---- values ----------------------------------------------------------------- */

enum sn_node_kind {
	SN_NODE_INT, SN_NODE_FLOAT, SN_NODE_BOOL, SN_NODE_STRING, SN_NODE_LIST, SN_NODE_GROUP
};

struct sn_node {
	enum sn_node_kind kind;
	char *name;        /* in a group, else NULL */
	const char *from;  /* the file or option; borrowed from sn_tree */
	unsigned line;     /* 0: not a file */
	long long i;
	double f;
	char *s;
	struct sn_node *child;
	size_t n;
};

struct sn_tree { /* owns its nodes and the names of the files they come from */
	struct sn_node root;
	char **files;
	size_t nfiles;
};

void sn_tree_free(struct sn_tree *t);
/* Text in libconfig's syntax into a tree whose root is a group. `name` stands for the
 * text in messages; `dir` is where @include looks. Faults are appended. SN_ECONF, SN_ENOMEM. */
int sn_tree_parse(struct sn_tree *t, const char *text, size_t len, const char *name,
                  const char *dir, struct sn_faults *f);
/* What libconfig 1.5 takes silently and wrongly: integers that do not fit, in the text and
 * in what it includes; and what would make it exit or read for ever: NUL bytes and includes
 * of things that are not regular files. `dir` as above. */
void sn_scan_text(const char *text, size_t len, const char *name, const char *dir,
                  struct sn_faults *f);
/* Reads a regular file of at most 1 MiB; the text is owned by the caller and NUL-terminated.
 * SN_EIO, SN_EINVAL with a reason (static or strerror's) in *reason. */
int sn_read_text(const char *file, char **text, size_t *len, const char **reason);

/* ---- schema ------------------------------------------------------------------ */

enum sn_key_kind {
	SN_KEY_BOOL,
	SN_KEY_UINT,    /* unsigned */
	SN_KEY_COUNT,   /* size_t */
	SN_KEY_SIZE,    /* size_t, bytes */
	SN_KEY_BYTES,   /* uint64_t, bytes */
	SN_KEY_SECONDS, /* double */
	SN_KEY_STRING,
	SN_KEY_CHOICE,  /* one of `choices` */
	SN_KEY_PATH,    /* made absolute; "" stays */
	SN_KEY_STRINGS,
	SN_KEY_PATHS,
	SN_KEY_LISTEN,  /* the list of groups */
	SN_KEY_MODE,    /* unsigned, "0660" */
	SN_KEY_INDEX,   /* int, the number of the word in `choices` */
	SN_KEY_PREFIX   /* mount prefix */
};

struct sn_key {
	const char *name; /* dotted */
	enum sn_key_kind kind;
	size_t offset;
	double min, max;     /* numbers; exact below 2^53 */
	const char *choices; /* "error null" */
	const char *def;     /* in sn_conf_set()'s syntax */
	const char *example; /* as it stands in the file: "16 MiB" with its quotes */
};

/* After one of the group's lists was set. */
void sn_proxy_apply(struct sn_conf *c, const struct sn_node *v, struct sn_faults *f);

extern const struct sn_key sn_conf_keys[];   /* ends with a NULL name */
extern const struct sn_key sn_listen_keys[]; /* "listen.protocol" ..., offsets into sn_conf_listen */

const struct sn_key *sn_key_find(const struct sn_key *keys, const char *name);
/* The nearest name, a key's or a group's, or NULL. */
const char *sn_key_nearest(const char *name, char *buf, size_t size);
/* Puts a value where `key` says in `base`. `dir` is what relative paths start from.
 * `append`: lists grow instead of being replaced. False after a fault. */
bool sn_key_apply(const struct sn_key *key, void *base, const struct sn_node *v, const char *dir,
                  bool append, struct sn_faults *f);
/* A value given without a file, as a tree with one child. */
int sn_key_tree(const struct sn_key *key, struct sn_tree *t, const char *value, const char *from,
                struct sn_faults *f);
/* The child groups of `listen` into *out. */
bool sn_listen_apply(struct sn_conf *c, const struct sn_node *v, const char *dir,
                     struct sn_faults *f);

void sn_strings_free(struct sn_strings *s);
int sn_strings_add(struct sn_strings *s, const char *item);
void sn_listen_free(struct sn_conf_listen *l);
/* The absolute form, owned. NULL: no memory. */
char *sn_conf_path(const char *dir, const char *path);
/* The current directory, or "/" where it cannot be told; owned. */
char *sn_conf_cwd(void);

#endif
