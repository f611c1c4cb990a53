// SPDX-License-Identifier: GPL-2.0-only
/*
 * Proves that C and C++ have the same types for functions that are called through pointers. At
 * each such call, a kernel with CFI (CONFIG_CFI, once CONFIG_CFI_CLANG) checks whether the
 * function is of the type that the caller means, by a hash of the type's name as the C++ ABI
 * spells it, in both languages. There "bool" is C's _Bool and a struct is its tag; extern "C", and
 * const on a parameter itself, do not count. So types.hh only has to say the same types as the
 * headers: this is where it is proven.
 *
 * Compiled to assembly only, once as C and once as C++, with -fsanitize=kcfi. A function that is
 * declared, and whose address is taken, gets a symbol there that is the hash of its type.
 * `gen-types agree` compares them. Nothing of this is linked into the module.
 */
#ifdef __cplusplus
#include "kernel.hh"
#define P(number, c_record, c_member, record, member)                                              \
	extern "C" __typeof__(*((record *)0)->member) aufs_type_##number;
#else
#include "linux.h"
#include "generated/declared.h"
#include "api.h"
#define P(number, record, member, cxx_record, cxx_member)                                          \
	extern typeof(*((record *)0)->member) aufs_type_##number;
#endif
/* For each pointer to a function that a struct or union has. */
#include "generated/pointers.h"
#undef P

#define P(number, ...) (const void *)aufs_type_##number,

/* Their addresses, and those of the functions that take one of ours as an argument. */
extern const void *const aufs_function_types[];
const void *const aufs_function_types[] = {
#include "generated/pointers.h"
	(const void *)finish_open,
	(const void *)get_tree_nodev,
	(const void *)iget5_locked,
	(const void *)ilookup5,
};
