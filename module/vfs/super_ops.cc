// SPDX-License-Identifier: GPL-2.0-only
/* The methods of a mounted union as a whole. */
#include "method.hh"
#include "union/list_lock.hh"
#include "options/option_table.hh"
#include "kernel/inodes.hh"

namespace aufs
{

extern const struct super_operations super_operations;

namespace
{

struct inode *alloc_inode(struct super_block *sb)
{
	struct inode *vfs_inode = allocate_inode(*sb);

	if (vfs_inode)
		Inode::of(*vfs_inode).alloc();
	return vfs_inode;
}

void destroy_inode(struct inode *vfs_inode)
{
	Inode::of(*vfs_inode).destroy();
}

/*
 * Nothing of an inode is worth keeping when its last name goes from the dcache: the branch has it.
 */
int drop_inode(struct inode *)
{
	return 1;
}

/* Adds a branch's space, @from, to @sum, in blocks of @sum. Free space counts only if the branch is written to. */
void add_up(struct kstatfs &sum, const struct kstatfs &from, bool writable)
{
	auto blocks = [&](u64 count) {
		return count * static_cast<u64>(from.f_bsize) / static_cast<u64>(sum.f_bsize);
	};

	sum.f_blocks += blocks(from.f_blocks);
	sum.f_files += from.f_files;
	if (!writable)
		return;
	sum.f_bfree += blocks(from.f_bfree);
	sum.f_bavail += blocks(from.f_bavail);
	sum.f_ffree += from.f_ffree;
}

Result<struct kstatfs> statfs_of(const Branch &branch)
{
	struct kstatfs buf = {};
	struct path path = PartRef::root_of(branch).path();

	TRY(check(vfs_statfs(&path, &buf)));
	return buf;
}

/* Whether a branch above @branch lies on its filesystem. */
bool is_counted(const Super &super, const Branch &branch)
{
	for (const Branch &other : super.branches()) {
		if (other.filesystem() == branch.filesystem())
			return &other != &branch;
	}
	return false;
}

bool filesystem_is_writable(const Super &super, unsigned int filesystem)
{
	return cxxrt::any_of(super.branches(), [filesystem](const Branch &branch) {
		return branch.filesystem() == filesystem && branch.writable();
	});
}

Result<struct kstatfs> statfs_of(const Super &super)
{
	const Branch &main = super.main_branch();
	struct kstatfs buf = TRY(statfs_of(main));

	Sum sum = super.settings().sum;

	if (sum == Sum::none || buf.f_bsize <= 0)
		return buf;
	for (const Branch &branch : super.branches()) {
		if (is_counted(super, branch) || branch.filesystem() == main.filesystem())
			continue;

		bool writable = filesystem_is_writable(super, branch.filesystem());

		if (writable || sum == Sum::all)
			add_up(buf, TRY(statfs_of(branch)), writable);
	}
	return buf;
}

Result<void> statfs(struct dentry *dentry, struct kstatfs *buf)
{
	const Super &super = Super::of(*dentry->d_sb);
	ListLock list(super);
	AsMounter mounter = super.as_mounter();

	*buf = TRY(statfs_of(super));
	buf->f_type = Super::magic;
	/* The id is not the branch's, for programs that tell filesystems apart by it. */
	buf->f_fsid = {.val = {static_cast<int>(dentry->d_sb->s_dev), Super::magic}};
	/* A name must leave room for the prefix of its whiteout. */
	buf->f_namelen = cxxrt::min(buf->f_namelen, static_cast<long>(NAME_MAX)) - 4;
	return {};
}

Result<void> sync_fs(struct super_block *sb, int wait)
{
	const Super &super = Super::of(*sb);

	/* The first pass would only start to write; the branch's own sync does both. */
	if (!wait)
		return {};

	ListLock list(super);
	int result = 0;

	for (const Branch &branch : super.branches()) {
		int error = branch.writable() ? branch.sync().error() : 0;

		result = result ? result : error;
		/* syncfs(2) asks the union's superblock alone for write errors. */
		branch.tell_write_errors(*sb);
	}
	return check(result);
}

void show_settings(struct seq_file *m, const Settings &settings)
{
	/* All settings at their longest take less. */
	char text[128];

	seq_write(m, text, describe_settings(settings, text, sizeof(text)));
}

/*
 * While the union is frozen, changes by its names and files wait in the VFS; the sync comes before. The branches are
 * not frozen: they may have other users. The VFS only requires that these methods exist.
 */
Result<void> freeze_fs(struct super_block *)
{
	return {};
}

Result<void> unfreeze_fs(struct super_block *)
{
	return {};
}

/* Shows the branches as an option that mounts them again. */
void show_branches(struct seq_file *m, const Super &super)
{
	const char *before = ",br:";

	for (const Branch &branch : super.branches()) {
		auto write = [m](StringView piece) {
			seq_write(m, piece.data(), piece.size());
		};

		seq_printf(m, "%s", before);
		before = ":";
		escape(branch.name(), write);
		branch.use().write_use(write);
	}
}

/* A remount may be given all that this shows. */
Result<void> show_options(struct seq_file *m, struct dentry *root)
{
	const Super &super = Super::of(*root->d_sb);
	/* This and not ListLock: the VFS holds a lock that comes after those of directories. */
	ClaimsLock lock;

	seq_printf(m, ",si=%016llx", super.id());
	if (!aufs_brs)
		show_branches(m, super);
	show_settings(m, super.settings());
	return {};
}

} // namespace

constinit const struct super_operations super_operations = {
	.alloc_inode = alloc_inode,
	.destroy_inode = destroy_inode,
	.free_inode = aufs_inode_free,
	.drop_inode = drop_inode,
	.sync_fs = vfs<sync_fs>,
	.freeze_fs = vfs<freeze_fs>,
	.unfreeze_fs = vfs<unfreeze_fs>,
	.statfs = vfs<statfs>,
	.show_options = vfs<show_options>,
};

} // namespace aufs

void aufs_super_free(void *super)
{
	delete static_cast<aufs::Super *>(super);
}
