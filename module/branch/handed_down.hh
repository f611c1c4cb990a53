/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which bits of a request mean the same on a branch. By some bits the VFS says what was asked of the union's file, and
 * a branch would take them as asked of its own. The bits of these constants are handed down. Those that are named as
 * translated are set anew by the caller. All others are cleared, those of newer kernels too. Each bit of a kernel's
 * headers is named here (kunit/host/handed-down).
 */
#pragma once

#include "kernel/handles.hh"

namespace aufs::handed_down
{

/*
 * iattr::ia_valid.
 *
 * Translated: ATTR_FILE says by which file the attributes are changed: by the branch file of the same inode, if that
 * can be written to. ATTR_MODE is cleared beside ATTR_KILL_SUID and ATTR_KILL_SGID: the branch's notify_change() sets
 * it for them.
 * Cleared: ATTR_OPEN says that an open truncates: the branch file is opened without O_TRUNC. ATTR_DELEG and
 * ATTR_CTIME_SET are about a delegation of the union's file.
 */
inline constexpr unsigned int attributes =
	ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_SIZE | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME |
	ATTR_ATIME_SET | ATTR_MTIME_SET | ATTR_TIMES_SET | ATTR_TOUCH | ATTR_FORCE |
	ATTR_KILL_SUID | ATTR_KILL_SGID | ATTR_KILL_PRIV;

/*
 * file::f_flags for a branch file.
 *
 * Translated: O_NOATIME is also set if the union's mount notes no accesses.
 * Cleared: O_CREAT, O_EXCL, O_TRUNC, O_TMPFILE, O_DIRECTORY, O_NOFOLLOW, O_NOCTTY, O_PATH, O_EMPTYPATH: these are done
 * when the branch file is opened. O_CLOEXEC is a descriptor's. FASYNC: signals come from the union's file.
 * FMODE_NONOTIFY: aufs_branch_open() sets it for all.
 */
inline constexpr unsigned int open_flags = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC |
					   O_DIRECT | O_LARGEFILE | O_NOATIME | __FMODE_EXEC;

/* The flags that fcntl(F_SETFL) changes later. */
inline constexpr unsigned int settable_flags = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

/*
 * kiocb::ki_flags.
 *
 * Translated: IOCB_WRITE is set for a queued write.
 * Cleared: IOCB_AIO_RW says that the kiocb is a part of fs/aio.c's request, and ours is not. IOCB_EVENTFD and
 * IOCB_HAS_METADATA say that something stands beside the kiocb, and beside ours nothing does. IOCB_WAITQ and
 * IOCB_DIO_CALLER_COMP ask for a completion that our request does not give. IOCB_ALLOC_CACHE is a hint of a caller who
 * knows how the request is completed. IOCB_DONTCACHE, IOCB_NOSIGNAL: for files that say that they know them.
 */
inline constexpr int io_flags = IOCB_HIPRI | IOCB_DSYNC | IOCB_SYNC | IOCB_NOWAIT | IOCB_APPEND |
				IOCB_DIRECT | IOCB_WRITE | IOCB_NOIO
#ifdef HAVE_IOCB_ATOMIC
				| IOCB_ATOMIC
#endif
	;

/*
 * kstat::result_mask, which results there are: times, sizes and so on are the branch's.
 *
 * Translated: STATX_INO, STATX_NLINK and the device are the union's (getattr()).
 * Cleared: STATX_MNT_ID, STATX_MNT_ID_UNIQUE: the VFS sets them. STATX_SUBVOL names a part of the branch's filesystem.
 * STATX_WRITE_ATOMIC: writes through the union are not atomic. STATX_CHANGE_COOKIE: after a copy-up it is another one.
 */
inline constexpr unsigned int results = STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN
#ifdef HAVE_STATX_DIO_READ_ALIGN
					| STATX_DIO_READ_ALIGN
#endif
	;

/*
 * kstat::attributes and attributes_mask.
 *
 * Cleared: STATX_ATTR_AUTOMOUNT, STATX_ATTR_MOUNT_ROOT: the VFS sets them, for the union's dentry.
 * STATX_ATTR_WRITE_ATOMIC and STATX_ATTR_CHANGE_MONOTONIC, as the results STATX_WRITE_ATOMIC and STATX_CHANGE_COOKIE.
 */
inline constexpr u64 stat_attributes = STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE |
				       STATX_ATTR_APPEND | STATX_ATTR_NODUMP |
				       STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY | STATX_ATTR_DAX;

/*
 * The flags of chattr(1) and xfs_io(8), in both forms: fileattr::flags and fsx_xflags. They are changed on the branch
 * when a user asks for it.
 *
 * Refused: flags that say what a file is, and flags that only a filesystem sets. FS_DIRTY_FL, FS_COMPRBLK_FL,
 * FS_ENCRYPT_FL, FS_BTREE_FL, FS_INDEX_FL, FS_IMAGIC_FL, FS_HUGE_FILE_FL, FS_VERITY_FL, FS_EA_INODE_FL,
 * FS_EOFBLOCKS_FL, FS_INLINE_DATA_FL, FS_CASEFOLD_FL, FS_RESERVED_FL; FS_XFLAG_PREALLOC, FS_XFLAG_HASATTR, and on newer
 * kernels FS_XFLAG_VERITY, FS_XFLAG_CASEFOLD, FS_XFLAG_CASENONPRESERVING.
 */
inline constexpr u32 file_flags =
	FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL |
	FS_NODUMP_FL | FS_NOATIME_FL | FS_NOCOMP_FL | FS_JOURNAL_DATA_FL | FS_NOTAIL_FL |
	FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_EXTENT_FL | FS_NOCOW_FL | FS_DAX_FL | FS_PROJINHERIT_FL;
inline constexpr u32 file_xflags = FS_XFLAG_REALTIME | FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND |
				   FS_XFLAG_SYNC | FS_XFLAG_NOATIME | FS_XFLAG_NODUMP |
				   FS_XFLAG_RTINHERIT | FS_XFLAG_PROJINHERIT | FS_XFLAG_NOSYMLINKS |
				   FS_XFLAG_EXTSIZE | FS_XFLAG_EXTSZINHERIT | FS_XFLAG_NODEFRAG |
				   FS_XFLAG_FILESTREAM | FS_XFLAG_DAX | FS_XFLAG_COWEXTSIZE;
/* What the VFS of 7.x takes out of a user's fsx_xflags. That they lack it does not ask for a change. */
#ifdef HAVE_FS_XFLAG_RDONLY_MASK
inline constexpr u32 filesystems_xflags = FS_XFLAG_RDONLY_MASK;
#else
inline constexpr u32 filesystems_xflags = 0;
#endif

} // namespace aufs::handed_down
