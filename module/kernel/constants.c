// SPDX-License-Identifier: GPL-2.0-only
/*
 * Evaluates what only the C compiler can: the constants of constants.h and the alignment of every
 * struct and union. Compiled to assembly only. Each becomes a line `.ascii "->NAME SIZE SIGNED
 * VALUE"` or `.ascii "=>struct NAME ALIGNMENT"` there for scripts/building/gen-types (the kernel's
 * asm-offsets.c works like this).
 */
#include "linux.h"

#define K(name)                                                                                    \
	asm volatile(".ascii \"->" #name " %c0 %c1 %c2\""                                          \
		     :                                                                             \
		     : "i"(sizeof(name)), "i"((typeof(name))-1 < (typeof(name))1),                 \
		       "i"((long)(name)));

#define R(record) asm volatile(".ascii \"=>" #record " %c0\"" : : "i"(_Alignof(record)));

void aufs_constants(void);

void aufs_constants(void)
{
#include "constants.h"
#include "generated/records.h"
}
