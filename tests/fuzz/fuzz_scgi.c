/* SPDX-License-Identifier: MIT
 *
 * SCGI: whatever comes, at any split the events are the same. The first three
 * bytes choose the split, how the request ends and the body's length.
 */
#include "../unit/wire_drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct drive whole, split;
	if (size < 3)
		return 0;
	drive_init(&whole, &sn_wire_scgi);
	drive_init(&split, &sn_wire_scgi);
	whole.release = split.release = data[1] & 3;
	whole.refuse = split.refuse = data[1] & 4;
	whole.limits.params = split.limits.params = 200;
	whole.expect = split.expect = data[2];
	drive_pieces(&whole, data + 3, size - 3, 0);
	drive_pieces(&split, data + 3, size - 3, (size_t)data[0] % 32 + 1);
	SN_ASSERT(strcmp(drive_log(&whole), drive_log(&split)) == 0);
	drive_free(&whole);
	drive_free(&split);
	return 0;
}
