// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel types that C++ may see.
 *
 * C++ cannot include the kernel's headers, so this file does: it is compiled with the kernel's own
 * flags plus -g -fno-eliminate-unused-debug-types, and scripts/building/gen-types turns its debug
 * information into generated/types.hh. If a type is missing there, include the header that
 * declares it here.
 *
 * Nothing of this file is linked into the module. Constants (macros) are in constants.h, functions
 * and inlines in api.h and helpers/.
 */
#include "linux.h"
