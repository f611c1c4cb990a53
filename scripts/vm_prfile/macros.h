/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stand-ins for macros of the kernel, for Coccinelle: it cannot parse a function that has such a
 * macro in a declaration, and skips the whole function.
 */
#define GENRADIX(type) struct genradix
