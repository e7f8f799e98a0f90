/* SPDX-License-Identifier: MIT
 *
 * FastCGI records: whatever comes, at any split the events are the same. The
 * first two bytes choose the split, how requests end and how many are served at once.
 */
#include "../unit/wire_drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct drive whole, split;
	if (size < 2)
		return 0;
	drive_init(&whole, &sn_wire_fastcgi);
	drive_init(&split, &sn_wire_fastcgi);
	whole.release = split.release = data[1] & 3;
	whole.refuse = split.refuse = data[1] & 4;
	drive_multiplex(&whole, data[1] / 8 % DRIVE_MOST + 1);
	drive_multiplex(&split, data[1] / 8 % DRIVE_MOST + 1);
	drive_pieces(&whole, data + 2, size - 2, 0);
	drive_pieces(&split, data + 2, size - 2, (size_t)data[0] % 32 + 1);
	SN_ASSERT(strcmp(drive_log(&whole), drive_log(&split)) == 0);
	drive_free(&whole);
	drive_free(&split);
	return 0;
}
