/* SPDX-License-Identifier: MIT
 *
 * The stock daemon: the library's command line, without a table of its own.
 */
#include <snacgi.h>

int
main(int argc, char **argv)
{
	return sn_main(argc, argv, NULL);
}
