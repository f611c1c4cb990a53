// SPDX-License-Identifier: GPL-2.0-only
#include "writer.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

/*
 * Whether readdir of this filesystem gives the i_ino of each object. A filesystem that is not here was not tested
 * (those that are: kunit/user/branches/filesystems.cc), or gives other numbers: iso9660 gives the place of a file's
 * entry in its directory.
 */
bool is_known_to_list_numbers(const struct super_block &sb)
{
	switch (sb.s_magic) {
	case EROFS_SUPER_MAGIC_V1:
	case EXT4_SUPER_MAGIC: /* ext2 and ext3 as well */
	case F2FS_SUPER_MAGIC:
	case RAMFS_MAGIC:
	case SQUASHFS_MAGIC:
	case TMPFS_MAGIC:
	case UDF_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/*
 * Whether two inodes of this filesystem may have one i_ino: where there are subvolumes, snapshots or checkpoints, on
 * servers and daemons (of disks as well), on stacked filesystems, and where it was not tested.
 */
bool numbers_unknown(const struct super_block &sb)
{
	constexpr StringView known[] = {"cramfs", "iso9660",  "jfs",  "minix",
					"ntfs3",  "reiserfs", "romfs"};

	if (sb.s_stack_depth > 0)
		return true;
	if (is_known_to_list_numbers(sb))
		return false;

	StringView type = StringView::from_c_string(sb.s_type->name);

	return !cxxrt::any_of(known, [type](StringView other) { return other == type; });
}

bool is_known_to_tell_changes(const struct super_block &sb)
{
	return is_known_to_list_numbers(sb) || sb.s_magic == BTRFS_SUPER_MAGIC ||
	       sb.s_magic == ISOFS_SUPER_MAGIC;
}

/*
 * Whether this filesystem is known to make files without a name, and to name them by a link: the dentry of that name is
 * positive then. An ext4 with fast commits cannot be mounted after a crash if a file was synced without a name: the
 * kernel finds no inode without links when it replays such a commit.
 */
bool can_name_later(struct super_block &sb)
{
	switch (sb.s_magic) {
	case EXT4_SUPER_MAGIC: /* ext2 and ext3 as well */
		return !has_fast_commits(sb);
	case TMPFS_MAGIC:
	case XFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

} // namespace

Result<Own<Branch>> Branch::create(struct fs_context *fc, const BranchItem &item,
				   BranchFinder &finder)
{
	auto created = Own<Branch>::adopt(new (Gfp{GFP_KERNEL}) Branch);

	if (!created)
		return Error{-ENOMEM};

	Branch &branch = *created;
	auto found = finder.find(item.path, branch.name_);

	if (!found.ok()) {
		mount_error(fc, "branch '%s' cannot be opened (errno %d)", item.path.data(),
			    -found.error());
		return Error{found.error()};
	}
	branch.found_ = found.release();
	branch.found_on_ = branch.found_.path.mnt;
	branch.root_ = Ref<struct dentry>::retain(branch.found_.path.dentry);
	if (!is_dir(branch.root().d_inode->i_mode)) {
		mount_error(fc, "branch '%s' is not a directory", item.path.data());
		return Error{-ENOTDIR};
	}
	branch.perm_ = item.perm;
	branch.copy_on_open_ = item.copy_on_open;
	branch.may_miss_ = item.may_miss;
	branch.overlay_whiteouts_ = item.overlay_whiteouts;
	branch.own_whiteouts_ = item.own_whiteouts;
	TRY(branch.check_filesystem(fc, item.perm_given));
	branch.housekeeping_.init(branch.sb().s_stack_depth);
	branch.numbers_by_inode_ = numbers_unknown(branch.sb());
	branch.lists_numbers_ = !branch.numbers_by_inode_ && is_known_to_list_numbers(branch.sb());
	branch.tells_changes_ = is_known_to_tell_changes(branch.sb());
	branch.has_unnamed_files_ = can_name_later(branch.sb());
	return created;
}

Branch &Branch::of(struct llist_node &released)
{
	return *reinterpret_cast<Branch *>(reinterpret_cast<char *>(&released) -
					   __builtin_offsetof(Branch, released_));
}

namespace
{

/* Whether the filesystem may have casefolded directories. */
template <class Sb> bool can_fold(const Sb &sb)
{
	if constexpr (requires { sb.s_encoding; })
		return sb.s_encoding;
	return false;
}

} // namespace

Result<void> Branch::check_filesystem(struct fs_context *fc, bool perm_given)
{
	const char *name = name_.view().data();

	if (root().d_flags & (DCACHE_OP_HASH | DCACHE_OP_COMPARE) || can_fold(sb())) {
		mount_error(fc, "'%s' cannot be a branch: names are compared without case on %s",
			    name, sb().s_type->name);
		return Error{-EINVAL};
	}
	if (sb().s_stack_depth >= FILESYSTEM_MAX_STACK_DEPTH) {
		mount_error(fc, "branch '%s': filesystems are stacked too deep (%d at most)", name,
			    FILESYSTEM_MAX_STACK_DEPTH);
		return Error{-EINVAL};
	}
	if (writable() && (aufs_sb_rdonly(&sb()) || (found_.path.mnt->mnt_flags & MNT_READONLY))) {
		mount_error(fc, "branch '%s' is mounted read-only: give it as '=ro'%s", name,
			    perm_given ? "" : " (the first branch is rw where nothing is said)");
		return Error{-EROFS};
	}
	return {};
}

namespace
{

/* Whether @branch can store attributes such as origins. If it can, it says whether its root has one. */
bool has_private_attributes(const Branch &branch)
{
	char value;
	ssize_t size = aufs_getxattr(branch.mnt(), &branch.root(), origin_name, &value, 1);

	return size >= 0 || size == -ENODATA || size == -ERANGE;
}

/* FNV-1a is enough: the words are no secret, and lie on a branch. */
u64 fingerprint(u64 basis, const u64 *words, unsigned int count)
{
	constexpr u64 prime = 0x100000001b3;

	for (unsigned int i = 0; i < count * 8; i++)
		basis = (basis ^ ((words[i / 8] >> (i % 8 * 8)) & 0xff)) * prime;
	return basis;
}

} // namespace

/* The filesystem's id is its uuid. */
void Branch::identify_filesystem()
{
	u64 halves[2];

	static_assert(sizeof(halves) == sizeof(id_) && sizeof(sb().s_uuid) == sizeof(id_));
	__builtin_memcpy(halves, sb().s_uuid.b, sizeof(halves));
	__builtin_memcpy(id_, halves, sizeof(id_));
	has_id_ = halves[0] || halves[1];
	if (!has_id_ && sb().s_magic == SQUASHFS_MAGIC)
		identify_squashfs();
}

/*
 * Squashfs has no uuid, but its images are only made as a whole: there the id is made of the size, the number of files,
 * and the root's attributes with its time.
 */
void Branch::identify_squashfs()
{
	constexpr u64 bases[] = {0xcbf29ce484222325, 0x84222325cbf29ce4};
	struct kstatfs fs = {};
	struct kstat root = {};
	struct path path = path_to(*sb().s_root);

	static_assert(sizeof(bases) == sizeof(id_));
	if (vfs_statfs(&path, &fs) != 0 ||
	    vfs_getattr_nosec(&path, &root, STATX_BASIC_STATS, 0) != 0)
		return;

	const u64 words[] = {sb().s_magic, static_cast<u64>(fs.f_bsize),
			     fs.f_blocks,  fs.f_files,
			     root.ino,	   static_cast<u64>(root.size),
			     root.mode,	   static_cast<u64>(root.mtime.tv_sec)};

	for (unsigned int i = 0; i < 2; i++) {
		u64 half = fingerprint(bases[i], words, sizeof(words) / sizeof(words[0]));

		__builtin_memcpy(id_ + i * sizeof(half), &half, sizeof(half));
	}
	has_id_ = true;
}

void Branch::tell_write_errors(struct super_block &union_sb) const
{
	/* The log has it as well: at an unmount no task may be left that could be told. */
	if (int error = aufs_tell_write_errors(&union_sb, &sb(), &write_errors_))
		log_warning(
			"branch '%s': its filesystem could not write back what was written (errno %d)",
			name().data(), -error);
}

/*
 * Whether this one, which has no mount yet, can be used by one with @other, which may have one already. Both were found
 * before either has let the mount go on which it was found: so these are one mount if their addresses are the same.
 */
bool Branch::may_share_mount(const Branch &other) const
{
	return !writable() && !other.writable() && found_on_ == other.found_on_ &&
	       !aufs_is_idmapped(found_.path.mnt);
}

Result<void> Branch::make_mount(struct fs_context *fc, const Branch *before, const Branch *next)
{
	if (before && before->mount_.is_shared() && may_share_mount(*before)) {
		mount_.share(before->mount_);
		return {};
	}
	if (next && may_share_mount(*next) && mount_.clone_whole(found_.path))
		return {};

	auto cloned = mount_.clone(found_.path);

	if (cloned.error() == -EINVAL)
		mount_error(
			fc,
			"branch '%s' is on a mount that is not the caller's, or has locked children",
			name_.view().data());
	else if (!cloned.ok())
		mount_error(fc, "branch '%s' cannot be mounted (errno %d)", name_.view().data(),
			    -cloned.error());
	return cloned;
}

Result<void> Branch::attach(struct fs_context *fc, const Branch *before, const Branch *next)
{
	TRY(make_mount(fc, before, next));
	/* The private mount's flag is the union's. */
	mount_is_readonly_ = found_.path.mnt->mnt_flags & MNT_READONLY;
	mount_grants_rights_ = aufs_mnt_grants_rights(mnt());
	mount_grants_devices_ = aufs_mnt_grants_devices(mnt());
	idmapped_ = aufs_is_idmapped(mnt());
	found_ = {};
	write_errors_ = aufs_sample_write_errors(&sb());
	identify_filesystem();
	if (writable())
		has_private_attributes_ = has_private_attributes(*this);
	follow_permission();
	return {};
}

/* Sets what depends on whether the branch is rw. */
void Branch::follow_permission()
{
	/* A branch that is not rw keeps its access times. */
	aufs_mnt_set_readonly(mnt(), mount_is_readonly_ || !writable());
	AtomicRef(grants_rights_).store(writable() || mount_grants_rights_);
	AtomicRef(grants_devices_).store(writable() || mount_grants_devices_);
	/* Types that note_keeps_none() has noted stay so. */
	if (writable() && !has_private_attributes_)
		AtomicRef(keeps_none_).store(all_kinds);
}

Result<void> Branch::prepare_use(struct fs_context *fc, const BranchItem &item,
				 const struct path *visible)
{
	if (item.perm != BranchPerm::rw)
		return {};
	if (aufs_sb_rdonly(&sb()) || mount_is_readonly_) {
		mount_error(fc, "branch '%s' is mounted read-only: it cannot become rw",
			    name_.view().data());
		return Error{-EROFS};
	}
	if (writable())
		return {};
	if (auto own = mount_.prepare_own(root(), visible); !own.ok()) {
		mount_error(fc, "branch '%s' cannot be mounted (errno %d)", name_.view().data(),
			    -own.error());
		return own;
	}
	has_private_attributes_ = has_private_attributes(*this);
	return {};
}

void Branch::use_as(const BranchItem &item)
{
	/* A task that looks just now may find the other mount still. That is read-only, as this one was. */
	if (item.perm == BranchPerm::rw)
		mount_.use_own();
	AtomicRef(perm_).store(item.perm);
	AtomicRef(copy_on_open_).store(item.copy_on_open);
	AtomicRef(own_whiteouts_).store(item.own_whiteouts);
	may_miss_ = item.may_miss;
	follow_permission();
}

u64 Branch::free_space(unsigned int seconds) const
{
	s64 now = ktime_get_seconds();
	s64 asked = AtomicRef(free_asked_).load();

	if (asked == never || now - asked >= seconds) {
		struct kstatfs stat = {};
		struct path path = path_to(root());
		u64 free = vfs_statfs(&path, &stat) == 0 ?
				   stat.f_bavail * static_cast<u64>(stat.f_bsize) :
				   0;

		AtomicRef(free_).store(free);
		AtomicRef(free_asked_).store(now);
	}
	return AtomicRef(free_).load();
}

} // namespace aufs

struct vfsmount *aufs_branch_detach(struct llist_node *node)
{
	return aufs::Branch::of(*node).detach();
}

void aufs_branch_free(struct llist_node *node)
{
	delete &aufs::Branch::of(*node);
}
