/* SPDX-License-Identifier: MIT
 *
 * User, group, chroot, no_new_privs. The supervisor keeps its rights: it binds sockets and
 * starts workers, and never sees a byte of a request. Main thread of a process, before any
 * other is started.
 */
#include "server/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

struct account {
	uid_t uid;
	gid_t gid;
	const struct passwd *pw; /* NULL: the user stays */
	bool change;
};

static int
find_account(const struct sn_conf *conf, struct account *a, struct sn_why *why)
{
	*a = (struct account){ .uid = geteuid(), .gid = getegid() };
	if (*conf->user) {
		a->pw = getpwnam(conf->user);
		if (!a->pw)
			return sn_why_set(why, SN_ECONF,
			                  "user: there is no user '%s'; create it or correct user", conf->user);
		a->uid = a->pw->pw_uid;
		a->gid = a->pw->pw_gid;
	}
	if (*conf->group) {
		const struct group *gr = getgrnam(conf->group);
		if (!gr)
			return sn_why_set(why, SN_ECONF,
			                  "group: there is no group '%s'; create it or correct group",
			                  conf->group);
		a->gid = gr->gr_gid;
	}
	a->change = *conf->user || *conf->group;
	return 0;
}

static int
check_tree(const struct sn_conf *conf, struct sn_why *why)
{
	struct stat st;
	if (!*conf->chroot)
		return 0;
	if (stat(conf->chroot, &st) < 0 || !S_ISDIR(st.st_mode))
		return sn_why_set(why, SN_ECONF,
		                  "chroot: there is no directory %s; create it and put into it what "
		                  "snacgi.conf(5) lists, or set chroot = \"\"",
		                  conf->chroot);
	if (st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		sn_log_warning("chroot: %s can be written by others than root, who could put their own "
		               "libraries there; chown root and chmod go-w", conf->chroot);
	return 0;
}

int
sn_privilege_check(const struct sn_conf *conf, struct sn_why *why)
{
	struct account a;
	int rc = find_account(conf, &a, why);
	if (rc == 0)
		rc = check_tree(conf, why);
	if (rc < 0)
		return rc;
	if (geteuid() != 0) {
		if (a.change || *conf->chroot)
			return sn_why_set(why, SN_ECONF,
			                  "%s can be changed by root only; start as root or leave %s out",
			                  a.change ? "user and group" : "chroot", a.change ? "them" : "it");
		return 0;
	}
	if (a.uid != 0)
		return 0;
	if (strcmp(conf->root, "refuse") == 0)
		return sn_why_set(why, SN_ECONF,
		                  "refusing to run handlers as root (root = \"refuse\"); set user and group "
		                  "in the configuration, or start as another user");
	sn_log_warning("RUNNING AS ROOT: handlers have every right on this machine; set user and group "
	               "in the configuration");
	return 0;
}

int
sn_privilege_enter_tree(const struct sn_conf *conf, struct sn_why *why)
{
	if (!*conf->chroot)
		return 0;
	if (chroot(conf->chroot) < 0 || chdir("/") < 0)
		return sn_why_set(why, SN_EIO, "chroot: cannot enter %s: %s", conf->chroot, strerror(errno));
	return 0;
}

static int
become(const struct sn_conf *conf, const struct account *a, struct sn_why *why)
{
	const struct passwd *pw = a->pw;
	if (setgid(a->gid) < 0 || (pw && setuid(a->uid) < 0))
		return sn_why_set(why, SN_EIO, "cannot become %s:%s: %s", conf->user, conf->group,
		                  strerror(errno));
	if (pw && a->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return sn_why_set(why, SN_EIO, "%s could become root again; take its capabilities away",
		                  conf->user);
	if (pw) {
		setenv("HOME", pw->pw_dir, 1);
		setenv("USER", pw->pw_name, 1);
		setenv("LOGNAME", pw->pw_name, 1);
	}
	return 0;
}

int
sn_privilege_drop(const struct sn_conf *conf, struct sn_why *why)
{
	struct account a;
	int last_signal = 0;
	pid_t parent = getppid();
	int rc = find_account(conf, &a, why); /* the names are looked up outside of the tree */
	prctl(PR_GET_PDEATHSIG, &last_signal);
	if (rc == 0 && a.change &&
	    (a.pw ? initgroups(a.pw->pw_name, a.gid) : setgroups(1, &a.gid)) < 0)
		rc = sn_why_set(why, SN_EIO, "cannot take the groups of %s:%s: %s", conf->user, conf->group,
		                strerror(errno));
	if (rc == 0)
		rc = sn_privilege_enter_tree(conf, why);
	if (rc == 0 && a.change)
		rc = become(conf, &a, why);
	if (rc == 0 && conf->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		rc = sn_why_set(why, SN_EIO, "no_new_privs: %s", strerror(errno));
	if (rc == 0 && last_signal) {
		/* A change of user makes the kernel forget it, and the worker would outlive its
		 * supervisor. */
		prctl(PR_SET_PDEATHSIG, last_signal);
		if (getppid() != parent)
			raise(last_signal);
	}
	return rc;
}
