/* SPDX-License-Identifier: GPL-2.0-only */
/* An open regular file: the virtual file that the user has, and the branch file that serves it. */
#pragma once

#include "branch/handed_down.hh"
#include "union/inode.hh"

namespace aufs
{

/*
 * A second branch file of an open file, which takes the place of the first. private_data is the branch file itself, or
 * a ReopenedFile with the lowest bit set. Most files never need one.
 *
 * A file that was opened for reading gets a ReopenedFile at the first read after a copy-up.
 *
 * A file that is opened with O_TRUNC, and lies on a branch to which the union does not write, gets one that waits for
 * the truncation. The VFS truncates after the open, and lets security modules and others judge that only then. A
 * copy-up in the open would copy data that nobody needs, or, without the data, do something that is not allowed yet.
 * Until the truncation the branch file is the lower file, opened for reading.
 */
struct ReopenedFile {
	Ref<struct file> now;
	/* The branch file of the open: other tasks may be reading from it, and mappings may be of it. */
	Ref<struct file> before;
	/* The ReopenedFile that this one has replaced, if any: other tasks may still be looking at it. */
	Own<ReopenedFile> older;
	bool waits = false;

	/* One after the other: a file that is open over many changes of the list of branches may have a long chain. */
	~ReopenedFile()
	{
		while (older)
			older = move(older->older);
	}

	/* The ReopenedFile in @private_data; null if that is a branch file. */
	static ReopenedFile *in(void *private_data)
	{
		auto data = reinterpret_cast<uintptr_t>(private_data);

		return data & 1 ? reinterpret_cast<ReopenedFile *>(data - 1) : nullptr;
	}

	/* This one as a value of private_data. */
	void *tagged()
	{
		return reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(this) | 1);
	}
};

/*
 * Opens the branch file of @file, which is being opened, and leaves it in private_data. A file that is opened for
 * writing is copied up first. With O_TRUNC, a file is copied up when the VFS truncates it. Sleeps.
 */
Result<void> open_branch_file(Inode &inode, struct file &file);
/* Drops the branch file when the last user of @file has gone; mappings keep their own references. May sleep. */
void release_branch_file(struct file &file);

/* The branch file of @file, an open regular file of a union; borrowed. Any context. */
inline struct file &h_file_of(const struct file &file)
{
	void *data = AtomicRef(file.private_data).load_acquire();
	ReopenedFile *reopened = ReopenedFile::in(data);

	return reopened ? *reopened->now : *static_cast<struct file *>(data);
}

/*
 * The branch file to read from, with the flags that @file has by now. If @file was opened for reading before a copy-up,
 * this opens the copy, which @file keeps from then on. Errors are those of an open, and those of h_file_to_write(). May
 * sleep; not under mmap_lock.
 */
Result<struct file *> h_file_to_read(struct file &file);

/* Opens the branch file of @file, an open file of @inode, once more, as it is now. Errors of an open. Sleeps. */
Result<Ref<struct file>> open_again(const struct file &file, Inode &inode);

/* Whether fcntl(F_SETFL) has given @file other flags than @h_file has. Any context. */
inline bool flags_differ(const struct file &file, const struct file &h_file)
{
	return (file.f_flags ^ h_file.f_flags) & handed_down::settable_flags;
}

/* h_file_to_write() for a file for which there is something to be done first. */
Result<struct file *> prepare_to_write(struct file &file);

/*
 * The branch file to write to, with the flags that @file has by now. A file that still waits for its truncation is
 * copied up for this: code in the kernel may open with O_TRUNC and not truncate. Freeze protection of the union is
 * held. -EINVAL if the branch cannot do what a flag says. May sleep.
 */
inline Result<struct file *> h_file_to_write(struct file &file)
{
	void *data = AtomicRef(file.private_data).load_acquire();

	if (ReopenedFile::in(data) || flags_differ(file, *static_cast<struct file *>(data)))
		return prepare_to_write(file);
	return static_cast<struct file *>(data);
}

/* Whether @file waits for its truncation, and may be mapped by nobody yet. Any context. */
inline bool waits_for_truncation(const struct file &file)
{
	const ReopenedFile *reopened =
		ReopenedFile::in(AtomicRef(file.private_data).load_acquire());

	return reopened && reopened->waits;
}

/*
 * As vfs_fsync_range() on @h_file, the branch file of @inode. The first sync after a copy-up is a whole one: ext4 and
 * f2fs sync the name of a file only then, and a file of the union had its name before. May sleep.
 */
Result<void> sync_branch_file(Inode &inode, struct file &h_file, loff_t start, loff_t end,
			      int datasync);

/*
 * Syncs a copy whose name may not be on disk yet, for a task that may sync data of @h_file past the union. Errors are
 * those of the branch. May sleep.
 */
inline Result<void> sync_name(Inode &inode, struct file &h_file)
{
	if (inode.unsynced() != h_file.f_inode)
		return {};

	int error = sync_branch_file(inode, h_file, 0, LLONG_MAX, 0).error();

	/* A filesystem without fsync, as in copy_data(). */
	return error == -EINVAL || error == -EOPNOTSUPP ? Result<void>() : check(error);
}

/* Opens @copy as the branch file that @file, which is being opened, is to have. */
Result<Ref<struct file>> open_copy(const struct file &file, PartRef copy);
/* Gives @h_file, from open_copy(), to @file, which is being opened: no other task knows @file yet. */
void take_truncated(struct file &file, Ref<struct file> h_file);

/* The branch file of @file; null if that is no regular file of a union. */
struct file *h_file_or_null(const struct file &file);

} // namespace aufs
