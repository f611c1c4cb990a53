/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clang compiles against the headers of a kernel that gcc built: take back
 * what that kernel's configuration says about the compiler. Included on the
 * command line (scripts/build) before every C file; the make variables of the
 * same names are overridden there.
 *
 * USE_X86_SEG_SUPPORT: per-CPU accesses through gcc's named address spaces.
 * No clang-built kernel has it, and clang warns about the headers that use it.
 */
#undef CONFIG_CC_IS_GCC
#define CONFIG_CC_IS_CLANG 1
#undef CONFIG_GCC_VERSION
#define CONFIG_GCC_VERSION 0
#undef CONFIG_CLANG_VERSION
#define CONFIG_CLANG_VERSION                                                                       \
	(__clang_major__ * 10000 + __clang_minor__ * 100 + __clang_patchlevel__)
#undef CONFIG_CC_HAS_NAMED_AS
#undef CONFIG_CC_HAS_NAMED_AS_FIXED_SANITIZERS
#undef CONFIG_USE_X86_SEG_SUPPORT
/* A header that was included before this may have defined it already. */
#ifdef __percpu_seg_override
#undef __percpu_seg_override
#define __percpu_seg_override
#endif
