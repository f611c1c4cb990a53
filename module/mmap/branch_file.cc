// SPDX-License-Identifier: GPL-2.0-only
#include "branch_file.hh"
#include "copy_up/copy_up.hh"
#include "prfile.hh"
#include "union/list_lock.hh"
#include "kernel/files.hh"

namespace aufs
{

struct file *h_file_or_null(const struct file &file)
{
	return file.f_op == &file_operations ? &h_file_of(file) : nullptr;
}

namespace
{

/* Abilities of a branch file that the VFS looks up in the union's file. */
constexpr unsigned int inherited_modes = FMODE_CAN_ODIRECT;

/* The flags with which the branch file of @file is opened. */
int branch_flags(const struct file &file)
{
	unsigned int flags = file.f_flags & handed_down::open_flags;

	/* A branch file updates access times as its own mount says; a flag says what the union's mount wants. */
	if (file.f_path.mnt->mnt_flags & MNT_NOATIME)
		flags |= O_NOATIME;
	return static_cast<int>(flags);
}

/* Gives @file, which is to be truncated, the lower file until the VFS truncates it. Not inline: most only read. */
[[gnu::noinline]] Result<void> open_to_truncate(Inode &inode, struct file &file)
{
	constexpr unsigned int writers = O_ACCMODE | O_APPEND | O_DIRECT;
	auto waiting = Own<ReopenedFile>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) ReopenedFile);
	unsigned int flags = static_cast<unsigned int>(branch_flags(file)) & ~writers;

	if (!waiting)
		return Error{-ENOMEM};
	waiting->now = TRY(prfile::open(file, inode.super(), inode.h_path(),
					static_cast<int>(flags) | O_RDONLY));
	waiting->waits = true;
	/* Only the branch of the copy knows whether it can do that. If it cannot, the truncation fails. */
	file.f_mode |= file.f_flags & O_DIRECT ? FMODE_CAN_ODIRECT : 0U;
	file.private_data = waiting.leak()->tagged();
	return {};
}

/*
 * Gives @h_file the flags that fcntl(F_SETFL) has given @file. If the union's mount has noatime, flags_differ() always
 * says that they differ.
 */
[[gnu::noinline]] Result<struct file *> with_flags(struct file &file, struct file &h_file)
{
	constexpr unsigned int mask = handed_down::settable_flags;
	unsigned int flags = static_cast<unsigned int>(branch_flags(file)) & mask;

	if ((h_file.f_flags & mask) == flags)
		return &h_file;
	if ((flags & O_DIRECT) && !(h_file.f_mode & FMODE_CAN_ODIRECT))
		return Error{-EINVAL};
	if (h_file.f_op->check_flags)
		TRY(check(h_file.f_op->check_flags(static_cast<int>(flags))));
	set_flags(file, h_file, mask, flags & ~file.f_flags & O_NOATIME);
	return &h_file;
}

} // namespace

Result<void> sync_branch_file(Inode &inode, struct file &h_file, loff_t start, loff_t end,
			      int datasync)
{
	const struct inode *copy = h_file.f_inode;
	bool is_unsynced = inode.unsynced() == copy;
	int error = vfs_fsync_range(&h_file, start, end, is_unsynced ? 0 : datasync);

	if (is_unsynced && !error)
		inode.note_synced(copy);
	return check(error);
}

namespace
{

/*
 * Whether data of @file, which is opened to be written to, may be synced past the union: a mapping's by msync(2), which
 * needs the right to read as well, or that of each write by the branch itself.
 */
bool may_sync_past_union(const Inode &inode, const struct file &file)
{
	return (file.f_flags & O_ACCMODE) == O_RDWR || (file.f_flags & O_DSYNC) ||
	       (inode.vfs.i_flags & S_SYNC);
}

/* Opens the branch file of @file, which is opened to be written to. */
[[gnu::noinline]] Result<Ref<struct file>> open_to_write(Inode &inode, struct file &file)
{
	constexpr int most = 3;
	const struct cred &caller = current_cred();
	auto opens = [&](const Writer &writer, struct dentry &copy) -> Result<void> {
		ScopedCreds creds(caller);

		TRY(open_copy(file, {writer.branch(), copy}));
		return {};
	};

	for (int tries = 1;; tries++) {
		TRY(copy_up_to_write(file, FinishCopy(opens)));

		/* The open of a branch file at the user's path asks the union's mount alone. */
		bool may = !inode.branch().mount_is_read_only();
		Ref<struct file> h_file;

		if (may) {
			auto opened = prfile::open(file, inode.super(), inode.h_path(),
						   branch_flags(file));

			/* -EROFS: the branch has just become read-only. */
			if (!opened.ok() && opened.error() != -EROFS)
				return Error{opened.error()};
			if (opened.ok())
				h_file = opened.release();
		}
		/*
		 * A remount to ro changes the branch first and looks for writers then. Either it finds this file, or
		 * the check below finds the branch changed.
		 */
		cxxrt::full_fence();
		/* The object may be on another branch by now. */
		if (h_file && inode.on_rw() && h_file->f_inode == &inode.h_inode()) {
			if (may_sync_past_union(inode, file))
				TRY(sync_name(inode, *h_file));
			return h_file;
		}
		/* Put at once: as long as it is there, the remount sees a writer. */
		if (h_file)
			put_now(move(h_file));
		if (tries == most)
			return Error{-EROFS};

		/* Waits for the remount: it may have failed, or the file may be on another branch afterwards. */
		ListLock list(inode.super());
	}
}

} // namespace

Result<void> open_branch_file(Inode &inode, struct file &file)
{
	bool writes = file.f_mode & FMODE_WRITE;

	/* Also if it is only read afterwards: a mapping of it must not have the data that was cut. */
	if ((file.f_flags & O_TRUNC) && !inode.on_rw())
		return open_to_truncate(inode, file);
	if (!writes)
		TRY(copy_up_to_read(file));

	auto h_file =
		TRY(writes ? open_to_write(inode, file) :
			     prfile::open(file, inode.super(), inode.h_path(), branch_flags(file)));

	/*
	 * A program that runs is not written to, by whatever path. It keeps this file open until
	 * it ends.
	 */
	if (file.f_flags & __FMODE_EXEC)
		TRY(deny_writes(*h_file));
	file.f_mode |= h_file->f_mode & inherited_modes;
	file.private_data = h_file.leak();
	return {};
}

/*
 * A module of the kernel that judges the open (Landlock, where the branch file stands at the user's path) is to judge
 * the task that opened @file: another task may use it by now, or the same one with fewer rights.
 */
Result<Ref<struct file>> open_again(const struct file &file, Inode &inode)
{
	ScopedCreds as_opener(*file.f_cred);

	return prfile::open(file, inode.super(), inode.h_path(), branch_flags(file));
}

namespace
{

/*
 * Whether @file goes on with @opened: no copy-up has replaced that, or @file is open for writing, or it is a program
 * that runs, which stays one file.
 */
inline bool goes_on(const struct file &file, const struct file &opened, const Inode &inode)
{
	return opened.f_inode == &inode.h_inode() || (file.f_mode & FMODE_WRITE) ||
	       (file.f_flags & __FMODE_EXEC);
}

/* Opens the copy for @file, whose private_data is @data. Not inline: most reads have no need of it. */
[[gnu::noinline]] Result<struct file *> reopen(struct file &file, void *data, Inode &inode)
{
	ReopenedFile *reopened = ReopenedFile::in(data);
	auto next = Own<ReopenedFile>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) ReopenedFile);

	if (!next)
		return Error{-ENOMEM};
	next->now = TRY(open_again(file, inode));
	if (reopened)
		next->older = Own<ReopenedFile>::adopt(reopened);
	else
		next->before = Ref<struct file>::adopt(static_cast<struct file *>(data));
	if (AtomicRef(file.private_data).replace_acq_rel(data, next->tagged()))
		return &*next.leak()->now;
	/* Another task was faster: its ReopenedFile has taken over what @data led to. */
	(void)next->before.leak();
	(void)next->older.leak();
	return &*ReopenedFile::in(data)->now;
}

/* h_file_to_read() for a file that has a ReopenedFile already. */
[[gnu::noinline]] Result<struct file *> reopened_to_read(struct file &file, ReopenedFile &reopened,
							 Inode &inode)
{
	struct file &now = *reopened.now;

	if (!reopened.waits)
		return goes_on(file, now, inode) ? with_flags(file, now) :
						   reopen(file, reopened.tagged(), inode);
	if (now.f_inode != &inode.h_inode())
		return prepare_to_write(file);
	return &now;
}

} // namespace

Result<struct file *> h_file_to_read(struct file &file)
{
	void *data = AtomicRef(file.private_data).load_acquire();
	Inode &inode = Inode::of(*file.f_inode);

	if (ReopenedFile *reopened = ReopenedFile::in(data)) [[unlikely]]
		return reopened_to_read(file, *reopened, inode);

	auto &opened = *static_cast<struct file *>(data);

	if (!goes_on(file, opened, inode)) [[unlikely]]
		return reopen(file, data, inode);
	if (flags_differ(file, opened))
		return with_flags(file, opened);
	return &opened;
}

Result<struct file *> prepare_to_write(struct file &file)
{
	void *data = AtomicRef(file.private_data).load_acquire();
	ReopenedFile *waiting = ReopenedFile::in(data);

	if (!waiting || !waiting->waits)
		return with_flags(file, h_file_of(file));

	Inode &inode = Inode::of(*file.f_inode);

	TRY(copy_up(*TRY(dentry_of(file))));

	auto next = Own<ReopenedFile>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) ReopenedFile);

	if (!next)
		return Error{-ENOMEM};
	next->now = TRY(open_again(file, inode));
	next->older = Own<ReopenedFile>::adopt(waiting);
	if (AtomicRef(file.private_data).replace_acq_rel(data, next->tagged()))
		return &*next.leak()->now;
	(void)next->older.leak();
	return &*ReopenedFile::in(data)->now;
}

Result<Ref<struct file>> open_copy(const struct file &file, PartRef copy)
{
	return prfile::open(file, Super::of(*file.f_inode->i_sb), copy.path(), branch_flags(file));
}

void take_truncated(struct file &file, Ref<struct file> h_file)
{
	Inode &inode = Inode::of(*file.f_inode);

	if (prfile::is_misplaced(file, *h_file)) {
		auto again = prfile::open(file, inode.super(), inode.h_path(), branch_flags(file));

		/* If this fails, mappings of @file report the branch's path. */
		if (again.ok())
			h_file = again.release();
	}
	file.f_mode |= h_file->f_mode & inherited_modes;
	delete ReopenedFile::in(
		cxxrt::exchange(file.private_data, static_cast<void *>(h_file.leak())));
}

void release_branch_file(struct file &file)
{
	if (ReopenedFile *reopened = ReopenedFile::in(file.private_data)) {
		delete reopened;
		return;
	}

	auto h_file = Ref<struct file>::adopt(&h_file_of(file));

	if (file.f_flags & __FMODE_EXEC)
		allow_writes(*h_file);
	put_now(move(h_file));
}

} // namespace aufs
