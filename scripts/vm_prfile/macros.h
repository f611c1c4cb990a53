/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Coccinelle is to take these macros for: it cannot parse a function that has one in a
 * declaration, and skips the whole function.
 */
#define GENRADIX(type) struct genradix
