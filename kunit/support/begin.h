/* SPDX-License-Identifier: GPL-2.0-only */
/* The call before each case (shim_names.c). */
#ifndef AUFS_KUNIT_BEGIN_H
#define AUFS_KUNIT_BEGIN_H

struct kunit;

/* Gives the case the root that processes have. Kernel threads have another. -ENOMEM. */
int aufs_test_begin(struct kunit *test);

#endif /* AUFS_KUNIT_BEGIN_H */
