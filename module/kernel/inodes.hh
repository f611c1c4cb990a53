/* SPDX-License-Identifier: GPL-2.0-only */
/* Inodes and superblocks, the union's and a branch's. Any context unless a comment says more. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* The size in bytes. */
inline loff_t size_of(const struct inode &inode)
{
	return aufs_i_size_read(&inode);
}

/* Gives @to the size and the blocks that @from has. */
inline void copy_size(struct inode &to, const struct inode &from)
{
	aufs_copy_size(&to, &from);
}

/* A new inode of the union @sb; null without memory. Sleeps. */
inline struct inode *allocate_inode(struct super_block &sb)
{
	return aufs_inode_alloc(&sb);
}

/* Tells lockdep how deep the branches of the inode's union are stacked. */
inline void annotate(struct inode &inode, int depth)
{
	aufs_annotate_inode(&inode, depth);
}

inline void annotate(struct super_block &sb, int depth)
{
	aufs_annotate_super(&sb, depth);
}

/* Makes the VFS ask for ACLs each time. */
inline void do_not_cache_acls(struct inode &inode)
{
	aufs_dont_cache_acls(&inode);
}

/* The cached ACL, with the filesystem's ids: borrowed under rcu_read_lock(); null for none; or an ERR_PTR. */
inline struct posix_acl *cached_acl(struct inode &inode, int type)
{
	return aufs_get_cached_acl_rcu(&inode, type);
}

/* Whether some task has @inode open for writing. */
inline bool is_written_to(const struct inode &inode)
{
	return aufs_is_written_to(&inode);
}

/* Whether the encrypted @inode's key has been found. */
inline bool has_key(const struct inode &inode)
{
	return aufs_has_key(&inode);
}

/* Whether d_revalidate of @operations only asks whether an encrypted directory has got its key. */
inline bool asks_for_key(const struct dentry_operations &operations)
{
	return aufs_asks_for_key(&operations);
}

/* Whether @dentry, or a directory above it, is the upper or the work directory of an overlayfs. */
inline bool is_overlays(const struct dentry &dentry)
{
	return aufs_is_overlays(&dentry);
}

/* Whether the ext4 @sb has fast commits; also if that cannot be read. Sleeps. */
inline bool has_fast_commits(struct super_block &sb)
{
	return aufs_has_fast_commits(&sb);
}

/* Whether a task that writes to @sb has to wait. The answer may be old. Any context. */
inline bool is_frozen(const struct super_block &sb)
{
	return aufs_is_frozen(&sb);
}

/* Begins to write out the data of @inode. Sleeps. */
inline void start_writeback(struct inode &inode)
{
	aufs_start_writeback(&inode);
}

inline bool is_read_only(const struct super_block &sb)
{
	return aufs_sb_rdonly(&sb);
}

/* The mapping of ids that maps none. */
inline AUFS_IDMAP *no_idmap()
{
	return aufs_nop_idmap();
}

/* Leave to truncate @inode for a scope: no program runs from it meanwhile. -ETXTBSY if one does. */
class WriteRight final
{
public:
	static Result<WriteRight> get(struct inode &inode)
	{
		TRY(check(aufs_get_write_access(&inode)));
		return WriteRight(inode);
	}
	WriteRight(WriteRight &&other) : inode_(cxxrt::exchange(other.inode_, nullptr))
	{
	}
	WriteRight &operator=(WriteRight &&) = delete;
	~WriteRight()
	{
		if (inode_)
			aufs_put_write_access(inode_);
	}

private:
	explicit WriteRight(struct inode &inode) : inode_(&inode)
	{
	}

	struct inode *inode_;
};

/* Prepares @file, a file of sysfs that is made at run time. */
inline void init_attribute(struct bin_attribute &file)
{
	aufs_bin_attr_init(&file);
}

/* Fills @key with random bits. */
inline void make_random(unsigned long (&key)[2])
{
	aufs_random_key(key);
}

/* The earliest time, in ns, that the kernel would note for a change from now on. */
inline s64 coarse_time()
{
	return aufs_coarse_time();
}

} // namespace aufs
