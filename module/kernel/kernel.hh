// SPDX-License-Identifier: GPL-2.0-only
// All that C++ sees of the kernel: its types and constants (generated from the
// kernel's own headers, see types.c), which optional functions it has, and the
// functions that we call.
#pragma once

#include "generated/types.hh"

#include "generated/constants.hh"
#include "generated/declared.h"

// What sparse checks in C has no meaning in C++.
#define __user

extern "C" {
#include "api.h"

/* Differs between kernels: it has the type of the member that it is for. */
__remove_pointer(decltype(::file_operations::setlease)) generic_setlease;
}
