/* SPDX-License-Identifier: MIT
 *
 * What both protocols share: the names of faults. Pure; any thread.
 */
#include "transport/wire.h"

const char *
sn_wire_fault_text(enum sn_wire_fault fault)
{
	switch (fault) {
	case SN_WIRE_F_NONE: return "no fault";
	case SN_WIRE_F_VERSION: return "the record version is not 1: the peer does not speak FastCGI";
	case SN_WIRE_F_ORDER: return "a record came that cannot come now";
	case SN_WIRE_F_LENGTH: return "a record or netstring has an impossible length";
	case SN_WIRE_F_SYNTAX: return "the bytes are not a netstring: the peer does not speak SCGI";
	case SN_WIRE_F_TOO_LARGE: return "the request parameters are larger than the limit";
	}
	return "unknown fault";
}
