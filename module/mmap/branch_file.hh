/* SPDX-License-Identifier: GPL-2.0-only */
/* An open regular file: the virtual file that the user has, and the branch file that serves it. */
#pragma once

#include "branch/handed_down.hh"
#include "union/inode.hh"

namespace aufs
{

/*
 * A file that has another branch file than the one that it was opened with, or will have one.
 * private_data is the branch file itself, or one of these with the lowest bit set: most files never
 * need one.
 *
 * One that was opened for reading gets it when it was copied up and has been asked for data since.
 *
 * One that is opened with O_TRUNC to be written to, and lies where the union does not write, waits for
 * it: the VFS truncates after the open, and has security modules and others judge it only then. A
 * copy-up before that would either be of what nobody needs or, if it leaves the data out, do what is
 * not allowed yet. Until then it has the file below, opened for reading.
 */
struct ReopenedFile {
	Ref<struct file> now;
	/* What it was opened with: others may be reading from it, and mappings are of it. */
	Ref<struct file> before;
	/* That one, if it was one of these: it may still be looked at. */
	Own<ReopenedFile> older;
	bool waits = false;

	/* That one in @private_data; null if a branch file is there. */
	static ReopenedFile *in(void *private_data)
	{
		auto data = reinterpret_cast<uintptr_t>(private_data);

		return data & 1 ? reinterpret_cast<ReopenedFile *>(data - 1) : nullptr;
	}

	/* What private_data is for this one. */
	void *tagged()
	{
		return reinterpret_cast<void *>(reinterpret_cast<uintptr_t>(this) | 1);
	}
};

/*
 * Opens the branch file of @file, which is being opened, and leaves it in private_data. What is to be
 * written to is copied up first, or, with O_TRUNC, when the VFS truncates it. Sleeps.
 */
Result<void> open_branch_file(Inode &inode, struct file &file);
/* Drops it when the last user of @file has gone; mappings keep their own references. May sleep. */
void release_branch_file(struct file &file);

/* The branch file of @file, an open regular file of a union; borrowed. Any context. */
inline struct file &h_file_of(const struct file &file)
{
	void *data = AtomicRef(file.private_data).load_acquire();
	ReopenedFile *reopened = ReopenedFile::in(data);

	return reopened ? *reopened->now : *static_cast<struct file *>(data);
}

/*
 * The branch file to read from, with the flags that @file has by now: where @file was opened for
 * reading before a copy-up, that of the copy, which stays @file's then. Errors of an open, and as
 * h_file_to_write(). May sleep; not under mmap_lock.
 */
Result<struct file *> h_file_to_read(struct file &file);

/* Whether fcntl(F_SETFL) has given @file other flags than @h_file has. Any context. */
inline bool flags_differ(const struct file &file, const struct file &h_file)
{
	return (file.f_flags ^ h_file.f_flags) & handed_down::settable_flags;
}

/* h_file_to_write() where there is something to be done first. */
Result<struct file *> prepare_to_write(struct file &file);

/*
 * The branch file to write to, with the flags that @file has by now. One that still waits, as somebody
 * in the kernel has opened it and does not truncate it, is copied up for this. Freeze protection of the
 * union is held. -EINVAL where the branch cannot do what a flag says. May sleep.
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

/* Opens the branch file that @file, which is being opened, is to have on @copy. */
Result<Ref<struct file>> open_copy(const struct file &file, PartRef copy);
/* Gives it to @file, which is being opened: nobody else knows it yet. */
void take_truncated(struct file &file, Ref<struct file> h_file);

/* The branch file, where @file may be a file of another filesystem; null for those. */
struct file *h_file_or_null(const struct file &file);

} // namespace aufs
