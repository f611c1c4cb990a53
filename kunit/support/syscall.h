/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How C calls a system call. Most architectures expect the arguments in saved registers, and have
 * no prototype for that: if SYSCALL_ENTRY is defined, the caller declares the call.
 */
#ifndef AUFS_KUNIT_SYSCALL_H
#define AUFS_KUNIT_SYSCALL_H

#include <linux/syscalls.h>

/* The arguments that a call does not have are zero. */
#ifndef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
#define SYSCALL(name, ...) sys_##name(__VA_ARGS__)
#else
#if defined(CONFIG_X86_64)
#define SYSCALL_ENTRY(name)	      __x64_sys_##name
#define REGISTERS(a, b, c, d, e, ...) {.di = a, .si = b, .dx = c, .r10 = d, .r8 = e}
#elif defined(CONFIG_RISCV)
#define SYSCALL_ENTRY(name)	      __riscv_sys_##name
#define REGISTERS(a, b, c, d, e, ...) {.orig_a0 = a, .a1 = b, .a2 = c, .a3 = d, .a4 = e}
#endif
#define ARGUMENTS(...) REGISTERS(__VA_ARGS__)
#define SYSCALL(name, ...)                                                                         \
	SYSCALL_ENTRY(name)(&(const struct pt_regs)ARGUMENTS(__VA_ARGS__, 0, 0, 0, 0))
#endif

#endif /* AUFS_KUNIT_SYSCALL_H */
