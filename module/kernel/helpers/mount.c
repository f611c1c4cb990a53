// SPDX-License-Identifier: GPL-2.0-only
/* Helpers for mounts and superblocks. Alphabetical. */
#include <linux/buffer_head.h>

#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

/* As aufs_annotate_inode(), for the superblock's own locks, while ->fill_super holds s_umount. */
void aufs_annotate_super(struct super_block *sb, int depth)
{
#ifdef CONFIG_LOCKDEP
	static struct lock_class_key umount_key[FILESYSTEM_MAX_STACK_DEPTH];
	static struct lock_class_key rename_key[FILESYSTEM_MAX_STACK_DEPTH];
	static struct lock_class_key writers_key[FILESYSTEM_MAX_STACK_DEPTH][SB_FREEZE_LEVELS];
	int i;

	if (WARN_ON_ONCE(depth < 0 || depth >= FILESYSTEM_MAX_STACK_DEPTH))
		depth = 0;
	lock_set_class(&sb->s_umount.dep_map, "aufs_umount_key", &umount_key[depth], 0, _THIS_IP_);
	lockdep_set_class(&sb->s_vfs_rename_mutex, &rename_key[depth]);
	for (i = 0; i < SB_FREEZE_LEVELS; i++)
		lockdep_set_class(&sb->s_writers.rw_sem[i], &writers_key[depth][i]);
#endif
}

/*
 * Whether @sb, an ext4, has fast commits. It keeps its superblock in memory, and nothing else says
 * so outside of its own code.
 */
bool aufs_has_fast_commits(struct super_block *sb)
{
	bool has = false;
#if IS_ENABLED(CONFIG_EXT4_FS)
	/* In bytes: where the superblock begins, and where in it s_feature_compat is. */
	const unsigned int start = 1024, features = 0x5c;
	const u32 fast_commit = 0x400;
	struct buffer_head *block = sb_bread(sb, start / sb->s_blocksize);

	if (!block)
		return true;
	has = le32_to_cpup((__le32 *)(block->b_data + start % sb->s_blocksize + features)) &
	      fast_commit;
	brelse(block);
#endif
	return has;
}

bool aufs_is_idmapped(const struct vfsmount *mnt)
{
	return is_idmapped_mnt(mnt);
}

/*
 * For a private mount. A remount of its filesystem sets and clears another flag of the mount, by
 * which it holds up writers: that flag must not come back. The remount finds a mount as soon as
 * that is made.
 */
static void change_mount_flags(struct vfsmount *mnt, int clear, int set)
{
	int old;

	do {
		old = READ_ONCE(mnt->mnt_flags);
	} while (cmpxchg(&mnt->mnt_flags, old, (old & ~clear) | set) != old);
}

/* Gives @mnt, a private mount, the flags of @other that users can set. */
void aufs_mnt_copy_flags(struct vfsmount *mnt, const struct vfsmount *other)
{
	change_mount_flags(mnt, MNT_USER_SETTABLE_MASK,
			   READ_ONCE(other->mnt_flags) & MNT_USER_SETTABLE_MASK);
}

/* As may_open_dev(). */
bool aufs_mnt_grants_devices(const struct vfsmount *mnt)
{
	return !(mnt->mnt_flags & MNT_NODEV) && !(mnt->mnt_sb->s_iflags & SB_I_NODEV);
}

/* As mnt_may_suid(), for a mount that is in no namespace. */
bool aufs_mnt_grants_rights(struct vfsmount *mnt)
{
	return !(mnt->mnt_flags & MNT_NOSUID) && current_in_userns(mnt->mnt_sb->s_user_ns);
}

bool aufs_mnt_is_readonly(struct vfsmount *mnt)
{
	return __mnt_is_readonly(mnt);
}

void aufs_mnt_set_readonly(struct vfsmount *mnt, bool readonly)
{
	int flags = MNT_READONLY | MNT_NOATIME;

	change_mount_flags(mnt, flags, readonly ? flags : 0);
}

/*
 * A mount of @root, of the filesystem of @mnt, with the flags of @mnt, which is not idmapped. It
 * is in no namespace, and is to be unmounted by kern_unmount(). Or an ERR_PTR. Each mntput() of it
 * takes the lock of all mounts, unlike that of a clone_private_mount().
 */
struct vfsmount *aufs_mount_like(struct vfsmount *mnt, struct dentry *root)
{
	struct fs_context fc = {.root = root};
	struct vfsmount *made = vfs_create_mount(&fc);

	if (!IS_ERR(made))
		aufs_mnt_copy_flags(made, mnt);
	return made;
}

/* The mapping that maps no id: the union's own, which is never idmapped. */
AUFS_IDMAP *aufs_nop_idmap(void)
{
#ifdef HAVE_MNT_IDMAP
	return &nop_mnt_idmap;
#else
	return &init_user_ns;
#endif
}

/* @value has @size bytes and a separator after them, or is null. */
int aufs_parse_string(struct fs_context *fc, const char *key, const char *value, size_t size)
{
#ifdef HAVE_PARSE_FS_STRING_SIZE
	return vfs_parse_fs_string(fc, key, value, size);
#else
	struct qstr text = QSTR_INIT(value, size);

	return vfs_parse_fs_qstr(fc, key, value ? &text : NULL);
#endif
}

void aufs_sb_end_write(struct super_block *sb)
{
	sb_end_write(sb);
}

bool aufs_sb_rdonly(const struct super_block *sb)
{
	return sb_rdonly(sb);
}

void aufs_sb_start_write(struct super_block *sb)
{
	sb_start_write(sb);
}

/* Writes a branch's superblock out; takes its s_umount inside ours. */
int aufs_sync_super(struct super_block *sb)
{
	int err;

	down_read(&sb->s_umount);
	err = sync_filesystem(sb);
	up_read(&sb->s_umount);
	return err;
}
