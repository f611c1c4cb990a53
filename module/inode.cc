// SPDX-License-Identifier: GPL-2.0-only
#include "inode.hh"

namespace aufs
{

namespace
{

/*
 * Flags that the VFS obeys on the union's inode. S_NOSEC, S_DAX and the like are the branch's own
 * business.
 */
constexpr unsigned int copied_flags = S_SYNC | S_NOATIME | S_APPEND | S_IMMUTABLE | S_DIRSYNC;

/* The times lie in one struct each on some kernels and in two numbers each on others. */
template <class I> void copy_times(I &to, const I &from) noexcept
{
	if constexpr (requires { to.i_atime_sec; }) {
		to.i_atime_sec = from.i_atime_sec;
		to.i_atime_nsec = from.i_atime_nsec;
		to.i_mtime_sec = from.i_mtime_sec;
		to.i_mtime_nsec = from.i_mtime_nsec;
		to.i_ctime_sec = from.i_ctime_sec;
		to.i_ctime_nsec = from.i_ctime_nsec;
	} else {
		to.i_atime = from.i_atime;
		to.i_mtime = from.i_mtime;
		to.i_ctime = from.i_ctime;
	}
}

/*
 * Readers take no lock: write a field only where it differs, so that the common case shares its
 * cache line.
 */
template <class T> void refresh(T &to, T from) noexcept
{
	if (to != from)
		__atomic_store_n(&to, from, __ATOMIC_RELAXED);
}

} // namespace

void Inode::construct() noexcept
{
	inode_init_once(&vfs);
}

void Inode::begin() noexcept
{
	new (static_cast<void *>(&body_)) Body;
	h_inode_ = nullptr;
}

void Inode::end() noexcept
{
	body_.~Body();
}

unsigned int Inode::rw_part() const noexcept
{
	unsigned int index = 0;

	while (index < parts() && part(index).branch != super().rw_index())
		index++;
	return index;
}

void Inode::copy_attributes() noexcept
{
	const struct inode &h = h_inode();

	refresh(vfs.i_mode, h.i_mode);
	refresh(vfs.i_uid.val, h.i_uid.val);
	refresh(vfs.i_gid.val, h.i_gid.val);
	refresh(vfs.i_flags, (vfs.i_flags & ~copied_flags) | (h.i_flags & copied_flags));
	vfs.i_blkbits = h.i_blkbits;
	copy_times(vfs, h);
	fsstack_copy_inode_size(&vfs, h_inode_);
}

void Inode::copy_links() noexcept
{
	copy_attributes();
	/* The subdirectories of a merged directory are not counted by any one branch. */
	set_nlink(&vfs, merged() ? 1 : h_inode().i_nlink);
}

int Inode::test(struct inode *inode, void *h_inode) noexcept
{
	return of(*inode).h_inode_ == h_inode;
}

int Inode::set(struct inode *inode, void *h_inode) noexcept
{
	of(*inode).h_inode_ = static_cast<struct inode *>(h_inode);
	return 0;
}

void Inode::become(Found &&found) noexcept
{
	Super &super = this->super();
	u64 number = super.number_for(found.top.branch, h_inode().i_ino);
	umode_t mode = h_inode().i_mode;

	vfs.i_ino = number ? number : super.fresh_number();
	body_.found = move(found);
	vfs.i_mode = mode;
	/* ACLs are asked from the branch, which caches them. */
	aufs_dont_cache_acls(&vfs);
	aufs_annotate_inode(&vfs, vfs.i_sb->s_stack_depth - 1);
	switch (mode & S_IFMT) {
	case S_IFREG:
		vfs.i_op = &file_inode_operations;
		vfs.i_fop = &file_operations;
		break;
	case S_IFDIR:
		vfs.i_op = &dir_inode_operations;
		vfs.i_fop = &dir_operations;
		break;
	case S_IFLNK:
		vfs.i_op = &symlink_inode_operations;
		break;
	default:
		vfs.i_op = &special_inode_operations;
		init_special_inode(&vfs, mode, h_inode().i_rdev);
		break;
	}
	copy_links();
}

Result<Ref<struct inode>> Inode::get(struct super_block &sb, Found &&found) noexcept
{
	struct inode *h_inode = found.top.dentry->d_inode;
	struct inode *inode =
		iget5_locked(&sb, reinterpret_cast<unsigned long>(h_inode), test, set, h_inode);

	if (!inode)
		return Error{-ENOMEM};
	if (inode->i_state & I_NEW) {
		of(*inode).become(move(found));
		unlock_new_inode(inode);
	}
	return Ref<struct inode>::adopt(inode);
}

} // namespace aufs

void aufs_inode_construct(void *object)
{
	static_cast<aufs::Inode *>(object)->construct();
}

const unsigned int aufs_inode_size = sizeof(aufs::Inode);
