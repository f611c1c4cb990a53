// SPDX-License-Identifier: GPL-2.0-only
/* What the VFS calls on a mounted union as a whole. */
#include "inode.hh"

namespace aufs
{

extern const struct super_operations super_operations;

namespace
{

struct inode *alloc_inode(struct super_block *sb) noexcept
{
	struct inode *inode = aufs_inode_alloc(sb);

	if (inode)
		Inode::of(*inode).begin();
	return inode;
}

void destroy_inode(struct inode *inode) noexcept
{
	Inode::of(*inode).end();
}

/*
 * Nothing of an inode is worth keeping when its last name goes from the dcache: the branch has it.
 */
int drop_inode(struct inode *) noexcept
{
	return 1;
}

/* The branch that new data goes to. */
const Branch &main_branch(const Super &super) noexcept
{
	return super.branch(super.has_rw() ? super.rw_index() : 0);
}

int statfs(struct dentry *dentry, struct kstatfs *buf) noexcept
{
	const Super &super = Super::of(*dentry->d_sb);
	const Branch &branch = main_branch(super);
	struct path path = branch.path_to(branch.root());
	ScopedCreds creds(super.mounter());
	int error = vfs_statfs(&path, buf);

	if (error)
		return error;
	buf->f_type = Super::magic;
	/* Another filesystem than the branch, for those who tell them apart by this. */
	buf->f_fsid = {.val = {static_cast<int>(dentry->d_sb->s_dev), Super::magic}};
	/* A name must leave room for the prefix of its whiteout. */
	buf->f_namelen = cxxrt::min(buf->f_namelen, static_cast<long>(NAME_MAX)) - 4;
	return 0;
}

int sync_fs(struct super_block *sb, int wait) noexcept
{
	const Super &super = Super::of(*sb);

	/* The first pass only starts; the branch's own sync does both. */
	if (!wait)
		return 0;

	int result = 0;

	for (unsigned int i = super.rw_above(super.count()); i != Super::none;
	     i = super.rw_above(i)) {
		int error = aufs_sync_super(&super.branch(i).sb());

		result = result ? result : error;
	}
	return result;
}

/* As an option that mounts the same union again. */
int show_options(struct seq_file *m, struct dentry *root) noexcept
{
	const Super &super = Super::of(*root->d_sb);

	for (unsigned int i = 0; i < super.count(); i++) {
		const Branch &branch = super.branch(i);
		StringView perm = branch_perm_name(branch.perm());

		seq_printf(m, i ? ":" : ",br=");
		escape(branch.name(),
		       [m](StringView piece) { seq_write(m, piece.data(), piece.size()); });
		seq_printf(m, "=%.*s", static_cast<int>(perm.size()), perm.data());
	}
	return 0;
}

} // namespace

constinit const struct super_operations super_operations = {
	.alloc_inode = alloc_inode,
	.destroy_inode = destroy_inode,
	.free_inode = aufs_inode_free,
	.drop_inode = drop_inode,
	.sync_fs = sync_fs,
	.statfs = statfs,
	.show_options = show_options,
};

} // namespace aufs

void aufs_super_free(void *super)
{
	delete static_cast<aufs::Super *>(super);
}
