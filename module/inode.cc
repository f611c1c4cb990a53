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
	new (static_cast<void *>(&first_)) Found;
	found_ = &first_;
	h_inode_ = nullptr;
	key_ = {};
	links_ = 0;
	purity_ = static_cast<unsigned char>(Purity::unknown);
	moving_ = false;
}

void Inode::end() noexcept
{
	for (Found *found = found_; found; found = found->older) {
		found->top.dentry = {};
		found->lower = {};
	}
}

void Inode::free() noexcept
{
	while (found_ != &first_)
		delete cxxrt::exchange(found_, found_->older);
}

bool Inode::is_or_was(const struct inode *h_inode) const noexcept
{
	for (const Found *found = &this->found(); found; found = found->older) {
		if (found->top.dentry && found->top.dentry->d_inode == h_inode)
			return true;
	}
	return false;
}

Result<Own<Found>> Inode::found_with(Ref<struct dentry> dentry, unsigned int branch) const noexcept
{
	const Found &old = found();
	auto next = Own<Found>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Found);

	if (!next)
		return Error{-ENOMEM};
	if (is_dir(vfs.i_mode)) {
		unsigned int before = 0;

		next->lower = Own<BranchDentry[]>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT})
								 BranchDentry[old.parts()]);
		if (!next->lower)
			return Error{-ENOMEM};
		while (before < old.parts() && old.part(before).branch < branch)
			before++;
		for (unsigned int i = 0; i <= old.parts(); i++) {
			BranchDentry &to = i ? next->lower[i - 1] : next->top;

			if (i == before) {
				to = {move(dentry), branch};
				continue;
			}

			const BranchDentry &from = old.part(i < before ? i : i - 1);

			to = {from.dentry.clone(), from.branch};
		}
		next->lower_count = old.parts();
	} else {
		next->top = {move(dentry), branch};
	}
	next->bottom = next->part(next->parts() - 1).branch;
	return next;
}

void Inode::publish(Own<Found> next) noexcept
{
	struct inode *h_inode = next->top.dentry->d_inode;

	next->older = found_;
	__atomic_store_n(&found_, next.leak(), __ATOMIC_RELEASE);
	__atomic_store_n(&h_inode_, h_inode, __ATOMIC_RELEASE);
}

void Inode::copy_attributes() noexcept
{
	const BranchDentry &top = this->top();
	const struct inode &h = *top.dentry->d_inode;
	const Branch &branch = super().branch(top.branch);
	kuid_t uid = h.i_uid;
	kgid_t gid = h.i_gid;

	if (branch.idmapped())
		aufs_owner_through(branch.mnt(), &h, &uid, &gid);
	refresh(vfs.i_mode, branch.shown_mode(h.i_mode));
	refresh(vfs.i_uid.val, uid.val);
	refresh(vfs.i_gid.val, gid.val);
	refresh(vfs.i_flags, (vfs.i_flags & ~copied_flags) | (h.i_flags & copied_flags));
	vfs.i_blkbits = h.i_blkbits;
	copy_times(vfs, h);
	fsstack_copy_inode_size(&vfs, top.dentry->d_inode);
}

void Inode::copy_written() noexcept
{
	struct inode &h = h_inode();

	/* These are all of a mode that a write takes. */
	if (vfs.i_mode & (S_ISUID | S_ISGID))
		refresh(vfs.i_mode, branch().shown_mode(h.i_mode));
	copy_times(vfs, h);
	fsstack_copy_inode_size(&vfs, &h);
}

void Inode::copy_links() noexcept
{
	copy_attributes();
	/* The subdirectories of a merged directory are not counted by any one branch. */
	if (is_dir(vfs.i_mode))
		set_nlink(&vfs, merged() ? 1 : h_inode().i_nlink);
	else
		set_nlink(&vfs, visible_links(h_inode().i_nlink));
}

int Inode::test(struct inode *inode, void *key) noexcept
{
	return of(*inode).key_ == *static_cast<const Key *>(key);
}

int Inode::set(struct inode *inode, void *key) noexcept
{
	of(*inode).key_ = *static_cast<const Key *>(key);
	return 0;
}

void Inode::become(Found &found, unsigned int links) noexcept
{
	Super &super = this->super();
	u64 number = super.number_of(key_);

	links_ = links;
	first_.top = move(found.top);
	first_.lower = move(found.lower);
	first_.lower_count = found.lower_count;
	first_.bottom = first_.part(first_.parts() - 1).branch;
	h_inode_ = first_.top.dentry->d_inode;

	umode_t mode = h_inode().i_mode;

	vfs.i_ino = number ? number : super.fresh_number();
	vfs.i_mode = mode;
	/* ACLs are asked from the branch, which caches them. */
	aufs_dont_cache_acls(&vfs);
	aufs_annotate_inode(&vfs, depth());
	aufs_mutex_init(&copy_lock_, AUFS_MUTEX_COPY, depth());
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

Result<Ref<struct inode>> Inode::get_by_identity(struct super_block &sb, const ObjectId &identity,
						 Found &found) noexcept
{
	Key key = identity.key;
	struct inode *inode = iget5_locked(&sb, key.hash(), test, set, &key);

	if (!inode)
		return Error{-ENOMEM};
	if (inode->i_state & I_NEW) {
		of(*inode).become(found, identity.links);
		unlock_new_inode(inode);
	}
	return Ref<struct inode>::adopt(inode);
}

Result<Ref<struct inode>> Inode::get(struct super_block &sb, Found &&found, Age age) noexcept
{
	struct inode *h_inode = found.top.dentry->d_inode;
	auto pinned = found.top.dentry.clone();
	ObjectId identity = identity_of(Super::of(sb), found.top);
	auto inode = TRY(get_by_identity(sb, identity, found));

	if (of(*inode).is_or_was(h_inode))
		return inode;
	/*
	 * Its place on the branch may be taken and the inode not know it yet: then a copy-up is
	 * under way.
	 */
	if (age == Age::any) {
		MutexLock lock(of(*inode).copy_lock());

		if (of(*inode).is_or_was(h_inode))
			return inode;
	}
	/*
	 * Two objects say that they are the same: one was copied, with its attributes, on the
	 * branch itself, or a branch that should not change has. They are two.
	 */
	inode = {};
	return get_by_identity(sb, {.key = Key::of_pointer(h_inode)}, found);
}

} // namespace aufs

void aufs_inode_construct(void *object)
{
	static_cast<aufs::Inode *>(object)->construct();
}

void aufs_inode_end(struct inode *inode)
{
	aufs::Inode::of(*inode).free();
}

const unsigned int aufs_inode_size = sizeof(aufs::Inode);
