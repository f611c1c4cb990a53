/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All kernel headers that the module uses, for C files only. types.c (from which C++ gets its
 * types), constants.c, helpers/ and the probe of optional declarations read the very same set, so
 * that they agree.
 *
 * A header that not every supported kernel has stands in an #ifdef; Kbuild looks for it and
 * defines the macro (sparse knows no __has_include).
 */
#ifndef AUFS_KERNEL_LINUX_H
#define AUFS_KERNEL_LINUX_H

#include <linux/backing-dev.h>
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/exportfs.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/file.h>
#include <linux/fileattr.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/fs_stack.h>
#include <linux/fs_struct.h>
#include <linux/fscrypt.h>
#include <linux/fsnotify.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/iversion.h>
#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/parser.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rhashtable.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/splice.h>
#include <linux/srcu.h>
#include <linux/stat.h>
#include <linux/statfs.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/time64.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/user_namespace.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>
#include <linux/writeback.h>
#include <linux/xattr.h>
#include <uapi/linux/fs.h>
#include <uapi/linux/mount.h>

#ifdef HAVE_LINUX_BACKING_FILE_H
#include <linux/backing-file.h>
#endif
#ifdef HAVE_LINUX_FILELOCK_H
#include <linux/filelock.h>
#endif
#ifdef HAVE_LINUX_MNT_IDMAPPING_H
#include <linux/mnt_idmapping.h>
#endif
#ifdef HAVE_LINUX_VM_PRFILE_H
#include <linux/vm_prfile.h>
#endif

#endif /* AUFS_KERNEL_LINUX_H */
