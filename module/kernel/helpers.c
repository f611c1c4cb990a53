// SPDX-License-Identifier: GPL-2.0-only
/*
 * What C++ cannot call by itself: one function for each macro, inline, or call
 * that kernels spell differently. Most of them decide nothing but which spelling
 * this kernel has. Some do what the kernel's own callers do around such a call,
 * and say so. Alphabetical; what cxxrt/runtime.cc calls comes last.
 */
#undef pr_fmt
#define pr_fmt(fmt) "aufs: " fmt

#include "linux.h"
#include "generated/declared.h"
#include "api.h"

static const char *const aufs_mutex_names[AUFS_MUTEX_KINDS] = {
	[AUFS_MUTEX_COPY] = "aufs_copy_lock",
	[AUFS_MUTEX_DIR_FILE] = "aufs_dir_file",
	[AUFS_MUTEX_HOUSEKEEPING] = "aufs_housekeeping",
};

void aufs_allow_write_access(struct file *file)
{
	allow_write_access(file);
}

/*
 * Inodes of stacked mounts nest: a union in a union locks two inodes of one
 * filesystem type. Tell lockdep the depth instead of switching it off.
 */
void aufs_annotate_inode(struct inode *inode, int depth)
{
#ifdef CONFIG_LOCKDEP
	static struct lock_class_key dir_key[FILESYSTEM_MAX_STACK_DEPTH];
	static struct lock_class_key key[FILESYSTEM_MAX_STACK_DEPTH];

	if (WARN_ON_ONCE(depth < 0 || depth >= FILESYSTEM_MAX_STACK_DEPTH))
		depth = 0;
	if (S_ISDIR(inode->i_mode))
		lockdep_set_class(&inode->i_rwsem, &dir_key[depth]);
	else
		lockdep_set_class(&inode->i_rwsem, &key[depth]);
#endif
}

/* The same for the locks of the mount itself, while ->fill_super holds s_umount. */
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

bool aufs_asks_for_key(const struct dentry_operations *op)
{
#ifdef CONFIG_FS_ENCRYPTION
	return op->d_revalidate == fscrypt_d_revalidate;
#else
	return false;
#endif
}

/* All files of ours are one class: a reader takes no lock. */
void aufs_bin_attr_init(struct bin_attribute *attr)
{
	sysfs_bin_attr_init(attr);
}

s64 aufs_coarse_time(void)
{
	struct timespec64 now;

	ktime_get_coarse_real_ts64(&now);
	return timespec64_to_ns(&now);
}

const struct cred *aufs_current_cred(void)
{
	return current_cred();
}

/*
 * The dentry @name in @parent, cached or looked up, whose i_rwsem is held
 * shared: a readdir of the union. May be negative or an ERR_PTR.
 */
struct dentry *aufs_d_alloc_parallel(struct dentry *parent, const char *name, unsigned int len)
{
#ifdef HAVE_D_ALLOC_PARALLEL_QUEUE
	DECLARE_WAIT_QUEUE_HEAD_ONSTACK(wq);
#endif
	struct qstr qname = QSTR_INIT(name, len);
#ifdef HAVE_TRY_LOOKUP_NOPERM
	struct dentry *dentry = try_lookup_noperm(&qname, parent);
#else
	struct dentry *dentry = d_hash_and_lookup(parent, &qname);
#endif
	struct dentry *found;

	/* Where the VFS would ask, that there was no such name is no answer: it was just read. */
	if (!IS_ERR_OR_NULL(dentry) && d_is_negative(dentry) &&
	    (dentry->d_flags & DCACHE_OP_REVALIDATE)) {
		d_drop(dentry);
		dput(dentry);
		dentry = NULL;
	}
	if (dentry)
		return dentry;
#ifdef HAVE_D_ALLOC_PARALLEL_QUEUE
	dentry = d_alloc_parallel(parent, &qname, &wq);
#else
	dentry = d_alloc_parallel(parent, &qname);
#endif
	if (IS_ERR(dentry) || !d_in_lookup(dentry))
		return dentry;
	/* Who waits for it sleeps on our stack: it ends before we return. */
	found = d_inode(parent)->i_op->lookup(d_inode(parent), dentry, 0);
	d_lookup_done(dentry);
	if (found) {
		dput(dentry);
		dentry = found;
	}
	return dentry;
}

/* A dentry of @inode, counted, or null. */
struct dentry *aufs_d_find_any_alias(struct inode *inode)
{
	return d_find_any_alias(inode);
}

int aufs_deny_write_access(struct file *file)
{
	return deny_write_access(file);
}

void aufs_dget(struct dentry *dentry)
{
	dget(dentry);
}

struct dentry *aufs_dget_parent(struct dentry *dentry)
{
	return dget_parent(dentry);
}

void aufs_dont_cache_acls(struct inode *inode)
{
	inode->i_acl = ACL_DONT_CACHE;
	inode->i_default_acl = ACL_DONT_CACHE;
}

struct dentry *aufs_file_dentry(struct file *file)
{
	return file_dentry(file);
}

void aufs_file_end_write(struct file *file)
{
	file_end_write(file);
}

void aufs_file_start_write(struct file *file)
{
	file_start_write(file);
}

/* For who holds rcu_read_lock(): borrowed, with the filesystem's ids; null for none. */
struct posix_acl *aufs_get_cached_acl_rcu(struct inode *inode, int type)
{
	if (!IS_ENABLED(CONFIG_FS_POSIX_ACL) || !IS_POSIXACL(inode))
		return NULL;
	return get_cached_acl_rcu(inode, type);
}

const struct cred *aufs_get_cred(const struct cred *cred)
{
	return get_cred(cred);
}

void aufs_get_file(struct file *file)
{
	get_file(file);
}

int aufs_get_write_access(struct inode *inode)
{
	return get_write_access(inode);
}

bool aufs_has_key(const struct inode *inode)
{
	return fscrypt_has_encryption_key(inode);
}

unsigned int aufs_hash(const unsigned long key[2], const void *data, size_t size)
{
	hsiphash_key_t secret;

	memcpy(secret.key, key, sizeof(secret.key));
	return hsiphash(data, size, &secret);
}

loff_t aufs_i_size_read(const struct inode *inode)
{
	return i_size_read(inode);
}

void aufs_inode_lock_nested(struct inode *inode, unsigned int subclass)
{
	inode_lock_nested(inode, subclass);
}

void aufs_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

/*
 * Writes with @file's freeze protection held. Who completes a request that was
 * queued (-EIOCBQUEUED) gives it up with aufs_kiocb_end_write(). The VFS has asked
 * security modules and notified of what is done to the user's file: the branch's
 * own method is called, and that is not done again.
 */
ssize_t aufs_iocb_write(struct file *file, struct kiocb *iocb, struct iov_iter *iter)
{
	ssize_t ret;

	if (!file->f_op->write_iter)
		return -EINVAL;
	if (!iov_iter_count(iter))
		return 0;
	kiocb_start_write(iocb);
	ret = file->f_op->write_iter(iocb, iter);
	if (ret != -EIOCBQUEUED)
		kiocb_end_write(iocb);
	return ret;
}

bool aufs_is_idmapped(const struct vfsmount *mnt)
{
	return is_idmapped_mnt(mnt);
}

void aufs_kiocb_end_write(struct kiocb *iocb)
{
	kiocb_end_write(iocb);
}

void *aufs_kvmalloc(size_t size, gfp_t gfp)
{
	return kvmalloc(size, gfp);
}

/* The current credentials without CAP_SYS_RESOURCE, counted; null without memory. */
const struct cred *aufs_limited_creds(void)
{
	struct cred *cred = prepare_creds();

	if (cred)
		cap_lower(cred->cap_effective, CAP_SYS_RESOURCE);
	return cred;
}

/* Whether the current task may go over quotas and into reserved blocks. */
bool aufs_may_exceed_limits(void)
{
	const struct cred *cred = current_cred();

	return cap_raised(cred->cap_effective, CAP_SYS_RESOURCE) && cred->user_ns == &init_user_ns;
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

/*
 * Of a union whose branches are stacked @depth times. A class for each kind and
 * depth: all are initialised here, and a union locks before its branches do.
 */
void aufs_mutex_init(struct mutex *mutex, enum aufs_mutex_kind kind, int depth)
{
	static struct lock_class_key keys[AUFS_MUTEX_KINDS][FILESYSTEM_MAX_STACK_DEPTH];

	if (WARN_ON_ONCE(depth < 0 || depth >= FILESYSTEM_MAX_STACK_DEPTH))
		depth = 0;
	__mutex_init(mutex, aufs_mutex_names[kind], &keys[kind][depth]);
}

void aufs_mutex_lock(struct mutex *mutex)
{
	mutex_lock(mutex);
}

/* -EINTR on a fatal signal. */
int aufs_mutex_lock_killable(struct mutex *mutex)
{
	return mutex_lock_killable(mutex);
}

bool aufs_mutex_trylock(struct mutex *mutex)
{
	return mutex_trylock(mutex);
}

void aufs_mutex_unlock(struct mutex *mutex)
{
	mutex_unlock(mutex);
}

/* The mapping that maps nothing: the union's own, which is never idmapped. */
AUFS_IDMAP *aufs_nop_idmap(void)
{
#ifdef HAVE_MNT_IDMAP
	return &nop_mnt_idmap;
#else
	return &init_user_ns;
#endif
}

#ifdef HAVE_REVERT_CREDS_RETURNS
const struct cred *aufs_override_creds(const struct cred *cred)
{
	return override_creds(cred);
}
#endif

/* @value, of @size bytes and a separator, may be null. */
int aufs_parse_string(struct fs_context *fc, const char *key, const char *value, size_t size)
{
#ifdef HAVE_PARSE_FS_STRING_SIZE
	return vfs_parse_fs_string(fc, key, value, size);
#else
	struct qstr text = QSTR_INIT(value, size);

	return vfs_parse_fs_qstr(fc, key, value ? &text : NULL);
#endif
}

void aufs_pause(void)
{
	schedule_timeout_killable(1);
}

void aufs_posix_acl_release(struct posix_acl *acl)
{
	posix_acl_release(acl);
}

void aufs_put_cred(const struct cred *cred)
{
	put_cred(cred);
}

void aufs_put_write_access(struct inode *inode)
{
	put_write_access(inode);
}

void aufs_random_key(unsigned long key[2])
{
	key[0] = get_random_long();
	key[1] = get_random_long();
}

#ifdef HAVE_REVERT_CREDS_RETURNS
void aufs_revert_creds(const struct cred *old)
{
	revert_creds(old);
}
#endif

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

bool aufs_signal_pending(void)
{
	return fatal_signal_pending(current);
}

/* Blocks every signal, SIGKILL too, which the kernel may; @old is what was blocked before. */
void aufs_signals_block_all(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, old);
}

/*
 * Blocks the signals that the task has handlers for, and returns what was blocked before; what
 * would end or stop it comes through.
 */
void aufs_signals_block_handled(sigset_t *old)
{
	/* The task's own is there as long as the task runs. */
	struct sighand_struct *sighand = unrcu_pointer(current->sighand);
	sigset_t set;
	int sig;

	spin_lock_irq(&sighand->siglock);
	set = current->blocked;
	for (sig = 1; sig <= _NSIG; sig++) {
		__sighandler_t handler = sighand->action[sig - 1].sa.sa_handler;

		if (handler != SIG_DFL && handler != SIG_IGN)
			sigaddset(&set, sig);
	}
	spin_unlock_irq(&sighand->siglock);
	sigprocmask(SIG_SETMASK, &set, old);
}

void aufs_signals_restore(sigset_t *old)
{
	sigprocmask(SIG_SETMASK, old, NULL);
}

/* The pages of the branch's page cache, without a copy where it can. */
ssize_t aufs_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
			 unsigned int flags)
{
#ifdef HAVE_VFS_SPLICE_READ
	return vfs_splice_read(in, ppos, pipe, len, flags);
#else
	if (!in->f_op->splice_read)
		return -EINVAL;
	return in->f_op->splice_read(in, ppos, pipe, len, flags);
#endif
}

/* Writes a branch's superblock out; its s_umount is taken inside ours. */
int aufs_sync_super(struct super_block *sb)
{
	int err;

	down_read(&sb->s_umount);
	err = sync_filesystem(sb);
	up_read(&sb->s_umount);
	return err;
}

void *cxxrt_alloc(size_t size, unsigned int gfp)
{
	/* The list of thousands of branches, and what goes through it. */
	if (size > PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER)
		return kvmalloc(size, (__force gfp_t)gfp);
	return kmalloc(size, (__force gfp_t)gfp);
}

void cxxrt_bug(const char *what)
{
	pr_emerg("%s\n", what);
	BUG();
}

void cxxrt_free(const void *memory)
{
	kvfree(memory);
}
