// SPDX-License-Identifier: GPL-2.0-only
/*
 * Evaluates the constants of constants.h. Compiled to assembly only: each
 * becomes a line `.ascii "->NAME SIZE SIGNED VALUE"`, which scripts/gen-types
 * reads (the kernel's asm-offsets.c works the same way).
 */
#include "linux.h"

#define K(name)							\
	asm volatile(".ascii \"->" #name " %c0 %c1 %c2\"" : :		\
		     "i"(sizeof(name)),					\
		     "i"((typeof(name))-1 < (typeof(name))1),		\
		     "i"((long)(name)));

void aufs_constants(void);

void aufs_constants(void)
{
#include "constants.h"
}
