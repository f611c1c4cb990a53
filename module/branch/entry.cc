// SPDX-License-Identifier: GPL-2.0-only
#include "entry.hh"

namespace aufs
{

Result<Ref<struct dentry>> find_made(const DirLock &lock, Ref<struct dentry> dentry)
{
	if (is_positive(*dentry))
		return dentry;
	return lookup_locked(lock, name_of(*dentry));
}

Result<void> remove_locked(const DirLock &lock, struct dentry &dentry)
{
	return is_dir(dentry.d_inode->i_mode) ? lock.rmdir(dentry) : lock.unlink(dentry);
}

Result<bool> remove_entry(const Writer &writer, struct dentry &h_dir, StringView name,
			  const struct inode *expected, RemoveEntry remove)
{
	auto lock = TRY(DirLock::get(writer, h_dir));
	auto h_dentry = TRY(lookup_locked(lock, name));

	if (expected && h_dentry->d_inode != expected)
		return Error{-ESTALE};
	if (!is_positive(*h_dentry))
		return false;
	TRY((lock.*remove)(*h_dentry));
	return true;
}

} // namespace aufs
