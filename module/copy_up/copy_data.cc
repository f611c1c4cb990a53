// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up.hh"
#include "branch/attributes.hh"

namespace aufs
{

namespace
{

/* Bytes between two looks for a fatal signal. */
constexpr loff_t piece_size = 1 << 20;

/* Copies up to @length bytes from @pos on. Returns how many, at least one. */
Result<loff_t> copy_piece(struct file &from, struct file &to, loff_t pos, loff_t length)
{
	auto size = static_cast<size_t>(length);
	ssize_t copied = -EXDEV;

	if (from.f_inode->i_sb == to.f_inode->i_sb)
		copied = vfs_copy_file_range(&from, pos, &to, pos, size, 0);
	if (copied == -EXDEV || copied == -EOPNOTSUPP || copied == -EINVAL)
		copied = vfs_copy_file_range(&from, pos, &to, pos, size, COPY_FILE_SPLICE);
	if (copied < 0)
		return Error{static_cast<int>(copied)};
	/* The file has become shorter meanwhile: somebody has changed the branch directly. */
	if (copied == 0)
		return Error{-EIO};
	return static_cast<loff_t>(copied);
}

Result<void> copy_extent(struct file &from, struct file &to, loff_t pos, loff_t end,
			 SignalsBlocked &signals)
{
	while (pos < end) {
		if (is_being_killed())
			return Error{-EINTR};

		auto copied = copy_piece(from, to, pos, cxxrt::min(end - pos, piece_size));

		if ((copied.error() == -ERESTARTSYS || copied.error() == -EINTR) &&
		    (signals.block_handled() || signals.set_notice_aside()))
			continue;
		pos += TRY(move(copied));
	}
	return {};
}

Result<void> set_size(const Branch &branch, struct file &to, loff_t size)
{
	struct iattr attr = {};
	struct inode &h_inode = *to.f_inode;
	auto access = TRY(WriteAccess::get(branch));
	InodeLock lock(h_inode);

	attr.ia_valid = ATTR_SIZE;
	attr.ia_size = size;
	return change_attributes(lock, {branch, *to.f_path.dentry}, attr);
}

} // namespace

Result<void> copy_data(struct file &from, const Branch &source, struct file &to,
		       const Branch &branch, loff_t size)
{
	/*
	 * A signal that does not end the task must not end the copy: a task with a timer would never
	 * get to the end of a large file. A splice stops for any pending signal, and goes on when that is blocked. A
	 * server is told of a signal by each operation, and may then say no; and some filesystems stop a sync. There is
	 * nothing to wait for on tmpfs.
	 */
	bool waits = source.is_served() || branch.is_served() ||
		     to.f_inode->i_sb->s_magic != TMPFS_MAGIC;
	SignalsBlocked signals(waits ? SignalsBlocked::Which::handled :
				       SignalsBlocked::Which::later);
	struct kstat stat;
	loff_t end = 0;
	/*
	 * XFS gives a file that grows more blocks than it needs. It takes them back when the file is closed, but not if
	 * that has no name; and before 6.5 it is closed late. So the owner's quota would need room for them. A file
	 * that has its size from the beginning gets none.
	 */
	bool grows = to.f_inode->i_sb->s_magic != XFS_SUPER_MAGIC;

	/* A server is asked for the size that the file has by now: the cached one may be old. */
	TRY(check(vfs_getattr_nosec(&from.f_path, &stat, STATX_BASIC_STATS, AT_STATX_FORCE_SYNC)));

	loff_t length = stat.size;

	if (size >= length) {
		size = length;
		if (size > 0 && vfs_clone_file_range(&from, 0, &to, 0, size, 0) == size)
			end = size;
	}
	if (end < size && !grows)
		TRY(set_size(branch, to, size));

	/*
	 * tmpfs takes a step for each page to find that there is no hole. With as many blocks as its length takes, a
	 * file there has none, or blocks elsewhere in their place. On disks the search costs little, and a file may
	 * have blocks that were never written to (fallocate): they are holes, too.
	 */
	bool looks = from.f_inode->i_sb->s_magic != TMPFS_MAGIC ||
		     stat.blocks < (static_cast<u64>(length) + 511) / 512;

	for (loff_t pos = end; pos < size;) {
		loff_t data = looks ? vfs_llseek(&from, pos, SEEK_DATA) : pos;
		loff_t hole = size;

		if (data == -ENXIO)
			break;
		/* If the filesystem does not know, all is data. A server may say anything, and the copy has to end. */
		if (data < pos)
			data = pos;
		else if (loff_t found = looks ? vfs_llseek(&from, data, SEEK_HOLE) : size;
			 found > data)
			hole = cxxrt::min(found, size);
		if (data >= size)
			break;
		TRY(copy_extent(from, to, data, hole, signals));
		pos = end = hole;
	}
	if (end < size && grows)
		TRY(set_size(branch, to, size));
	if (size == 0)
		return {};

	/* The data is on disk before the copy gets the file's name: a crash must not leave less than there was. */
	int error = vfs_fsync_range(&to, 0, LLONG_MAX, 0);

	return error == -EINVAL || error == -EOPNOTSUPP ? Result<void>() : check(error);
}

} // namespace aufs
