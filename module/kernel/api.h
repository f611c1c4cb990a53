/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions that C++ calls in the kernel, and helpers.c's, in the common
 * subset of C and C++. C files include it after the kernel's headers, so the
 * compiler proves each prototype against the kernel's own; C++ includes it
 * through kernel.hh, as extern "C".
 */
#ifndef AUFS_KERNEL_API_H
#define AUFS_KERNEL_API_H

/* The kernel's own. */
int register_filesystem(struct file_system_type *type);
int unregister_filesystem(struct file_system_type *type);

/* helpers.c */
long aufs_ptr_err(const void *ptr);

/* helpers.c, for cxxrt/runtime.cc */
void *cxxrt_alloc(__kernel_size_t size, unsigned int gfp);
void cxxrt_bug(const char *what) __attribute__((noreturn));
void cxxrt_free(const void *ptr);

/* What C calls in C++. */
int aufs_hello(void);

#endif /* AUFS_KERNEL_API_H */
