/* SPDX-License-Identifier: MIT
 *
 * Where the Python package of this very library lies, installed or in a build tree.
 */
#ifndef SN_SERVER_PACKAGE_H
#define SN_SERVER_PACKAGE_H

/* An owned path that holds snacgi/ and _snacgi: that of SNACGI_PYTHON_PATH, else the one
 * beside an uninstalled library. NULL: the one compiled in (SN_PKGPYLIBDIR). */
char *sn_package_find(void);

#endif
