/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions of the kernel that C++ calls, and those of C++ that the kernel's C calls.
 *
 * C includes this after the kernel's own headers, so that the C compiler proves each prototype
 * against the kernel's; C++ includes it as extern "C". Only the common subset of both languages
 * stands here.
 *
 * First come the kernel's own functions whose prototypes are the same on every supported kernel,
 * by theme. Then come the helpers of helpers/, for macros, inlines, and functions that differ
 * between kernels. Errors are negative errnos; a comment says which pointers can be errors.
 */
#ifndef AUFS_KERNEL_API_H
#define AUFS_KERNEL_API_H

/* The type of the mapping of ids that an operation is given. */
#ifdef HAVE_MNT_IDMAP
#define AUFS_IDMAP struct mnt_idmap
#else
#define AUFS_IDMAP struct user_namespace
#endif

/* The type of what FS_IOC_FSGETXATTR and FS_IOC_GETFLAGS tell of an inode. */
#ifdef HAVE_FILE_KATTR
#define AUFS_FILEATTR struct file_kattr
#else
#define AUFS_FILEATTR struct fileattr
#endif

/* The type of an inode's hash. */
#ifdef HAVE_IGET5_LOCKED_U64
#define AUFS_INODE_HASH u64
#else
#define AUFS_INODE_HASH unsigned long
#endif

/* dcache and namei */
void d_add(struct dentry *entry, struct inode *inode);
void d_drop(struct dentry *dentry);
void d_invalidate(struct dentry *dentry);
char *dentry_path_raw(const struct dentry *dentry, char *buf, int buflen);
void shrink_dcache_parent(struct dentry *parent);
void shrink_dcache_sb(struct super_block *sb);
void d_instantiate(struct dentry *dentry, struct inode *inode);
struct dentry *d_make_root(struct inode *root);
char *d_path(const struct path *path, char *buffer, int size);
struct dentry *d_splice_alias(struct inode *inode, struct dentry *dentry);
void d_tmpfile(struct file *file, struct inode *inode);
void dput(struct dentry *dentry);
bool is_subdir(struct dentry *dentry, struct dentry *ancestor);
int kern_path(const char *name, unsigned int flags, struct path *path);
void release_dentry_name_snapshot(struct name_snapshot *name);
void set_default_d_op(struct super_block *sb, const struct dentry_operations *op);
void take_dentry_name_snapshot(struct name_snapshot *name, struct dentry *dentry);
void path_put(const struct path *path);

/* inodes */
struct timespec64 current_time(struct inode *inode);
struct inode *iget5_locked(struct super_block *sb, AUFS_INODE_HASH hash,
			   int (*test)(struct inode *inode, void *data),
			   int (*set)(struct inode *inode, void *data), void *data);
struct inode *ilookup5(struct super_block *sb, AUFS_INODE_HASH hash,
		       int (*test)(struct inode *, void *), void *data);
void ihold(struct inode *inode);
void init_special_inode(struct inode *inode, umode_t mode, dev_t rdev);
void inode_init_once(struct inode *inode);
void __insert_inode_hash(struct inode *inode, AUFS_INODE_HASH hash);
void __remove_inode_hash(struct inode *inode);
void iput(struct inode *inode);
void set_nlink(struct inode *inode, unsigned int nlink);
void touch_atime(const struct path *path);
void unlock_new_inode(struct inode *inode);
int vfs_getattr_nosec(const struct path *path, struct kstat *stat, u32 request_mask,
		      unsigned int query_flags);
const char *vfs_get_link(struct dentry *dentry, struct delayed_call *done);
ssize_t vfs_listxattr(struct dentry *dentry, char *list, size_t size);
void fileattr_fill_flags(AUFS_FILEATTR *fa, u32 flags);
void fileattr_fill_xflags(AUFS_FILEATTR *fa, u32 xflags);
int vfs_fileattr_get(struct dentry *dentry, AUFS_FILEATTR *attr);

/* files */
struct file *dentry_open(const struct path *path, int flags, const struct cred *cred);
int finish_open(struct file *file, struct dentry *dentry,
		int (*open)(struct inode *inode, struct file *file));
void fput(struct file *file);
ssize_t generic_read_dir(struct file *file, char __user *buffer, size_t size, loff_t *ppos);
int iterate_dir(struct file *file, struct dir_context *ctx);
loff_t generic_file_llseek_size(struct file *file, loff_t offset, int whence, loff_t maxsize,
				loff_t eof);
loff_t vfs_clone_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
			    loff_t len, unsigned int flags);
ssize_t vfs_copy_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
			    size_t len, unsigned int flags);
loff_t vfs_dedupe_file_range_one(struct file *src, loff_t src_pos, struct file *dst, loff_t dst_pos,
				 loff_t len, unsigned int flags);
int vfs_fadvise(struct file *file, loff_t offset, loff_t len, int advice);
int vfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len);
int vfs_fsync_range(struct file *file, loff_t start, loff_t end, int datasync);
loff_t vfs_llseek(struct file *file, loff_t offset, int whence);

/* mounts and superblocks */
struct vfsmount *clone_private_mount(const struct path *path);
int get_tree_nodev(struct fs_context *fc,
		   int (*fill_super)(struct super_block *sb, struct fs_context *fc));
void kern_unmount(struct vfsmount *mnt);
void kern_unmount_array(struct vfsmount *mnt[], unsigned int count);
int mnt_want_write(struct vfsmount *mnt);
void mnt_drop_write(struct vfsmount *mnt);
void seq_printf(struct seq_file *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
int seq_write(struct seq_file *m, const void *data, size_t len);
int sync_filesystem(struct super_block *sb);
time64_t ktime_get_seconds(void);
int vfs_statfs(const struct path *path, struct kstatfs *buf);

/* credentials and rights */
bool capable(int cap);
bool capable_wrt_inode_uidgid(AUFS_IDMAP *idmap, const struct inode *inode, int cap);
int generic_permission(AUFS_IDMAP *idmap, struct inode *inode, int mask);
int in_group_p(kgid_t gid);
bool inode_owner_or_capable(AUFS_IDMAP *idmap, const struct inode *inode);
#ifndef HAVE_REVERT_CREDS_RETURNS
const struct cred *override_creds(const struct cred *cred);
void revert_creds(const struct cred *old);
#endif
struct cred *prepare_creds(void);
int setattr_prepare(AUFS_IDMAP *idmap, struct dentry *dentry, struct iattr *attr);

/* sysfs */
extern struct kobject *fs_kobj;
struct kobject *kobject_create_and_add(const char *name, struct kobject *parent);
void kobject_del(struct kobject *kobj);
void kobject_put(struct kobject *kobj);
int sysfs_create_bin_file(struct kobject *kobj, const struct bin_attribute *attr);
void sysfs_remove_bin_file(struct kobject *kobj, const struct bin_attribute *attr);

/* text */
int strcmp(const char *a, const char *b);
int snprintf(char *buf, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* memory */
void kvfree(const void *memory);

#ifdef HAVE_POSIX_ACL_ACCESS_XATTR_HANDLER
extern const struct xattr_handler posix_acl_access_xattr_handler;
extern const struct xattr_handler posix_acl_default_xattr_handler;
#endif

/* main.c: the module parameter, and the cache of the module's inodes */
extern int aufs_brs;
struct inode *aufs_inode_alloc(struct super_block *sb);
void aufs_inode_free(struct inode *inode);

/* The purpose of a mutex of ours: lockdep's class, beside the depth. */
enum aufs_mutex_kind {
	AUFS_MUTEX_COPY,
	AUFS_MUTEX_DIR_FILE,
	AUFS_MUTEX_HOUSEKEEPING,
	AUFS_MUTEX_KINDS
};

/* Two directories of a branch that are locked for a rename, and the dentries that are renamed. */
struct aufs_renaming {
	struct dentry *from_dir;
	struct dentry *to_dir;
	struct dentry *from;
	struct dentry *to;
	struct dentry *trap; /* is above the other name: cannot be moved */
};

/* The lock of the list of branches (list_lock.hh). */
struct aufs_list_lock {
	struct rw_semaphore sem;
	struct wait_queue_head wait; /* of tasks that want to share it */
	bool wanted; /* a task wants it exclusively */
};

/* A filter of names (name_filter.hh). Readers under RCU may look at it after it was freed. */
struct aufs_name_filter {
	struct callback_head rcu;
	s64 seconds; /* the change time of the directory before it was read */
	u32 nanoseconds;
	unsigned int bits; /* a power of two */
	unsigned long words[];
};

/*
 * The filters of the parts of one directory of the union, each maybe null. Readers under RCU may
 * look at them, too, after they were freed.
 */
struct aufs_name_filters {
	struct callback_head rcu;
	const void *of; /* the parts */
	unsigned int count;
	struct aufs_name_filter *filter[];
};

/* What to look for in processes. The functions are called in atomic context. */
struct aufs_search {
	/* Whether an open file is one. */
	bool (*is_file)(struct aufs_search *search, struct file *file);
	/* Whether mappings of @h_inode are; may be null. */
	bool (*is_mapped)(struct aufs_search *search, const struct inode *h_inode);
	const struct dentry *place; /* a working directory or root; may be null */
};

/* A process that uses something (helpers/users.c). */
struct aufs_user {
	int pid; /* in the caller's pid namespace */
	char command[16];
};

/* Watches of directories of branches (helpers/notify.c). */
struct aufs_watch;

/* helpers/: mostly by name, but related functions stand together */
int aufs_acl_for_new(struct posix_acl **acl, umode_t *mode);
void aufs_allow_write_access(struct file *file);
void aufs_annotate_inode(struct inode *inode, int depth);
void aufs_annotate_super(struct super_block *sb, int depth);
/* The caller holds @sb's freeze protection; lockdep checks that. */
void aufs_assert_sb_write(const struct super_block *sb);
/* Whether @op's d_revalidate only asks whether an encrypted directory has got its key. */
bool aufs_asks_for_key(const struct dentry_operations *op);
void aufs_bin_attr_init(struct bin_attribute *attr);
void aufs_claims_lock(void);
void aufs_claims_unlock(void);
/* The earliest time, in ns, that the kernel would note for a change made now. */
s64 aufs_coarse_time(void);
int aufs_create(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry, umode_t mode);
const struct cred *aufs_creds_labelled(const struct cred *labelled);
const struct cred *aufs_current_cred(void);
struct dentry *aufs_d_find_any_alias(struct inode *inode);
/* Takes the negative @dentry out of the dcache. False if it is not negative any more. */
bool aufs_d_drop_negative(struct dentry *dentry);
/* Sets whether the VFS asks ->d_revalidate before it believes @dentry. */
void aufs_d_set_asked(struct dentry *dentry, bool asked);
struct dentry *aufs_d_alloc_parallel(struct dentry *parent, const char *name, unsigned int len);
bool aufs_d_is_positive(const struct dentry *dentry);
struct dentry *aufs_d_lookup(struct dentry *dir, const char *name, unsigned int len);
unsigned int aufs_name_hash(const struct dentry *dir, const char *name, unsigned int len);
void aufs_copy_size(struct inode *to, const struct inode *from);
int aufs_copy_up_creds(struct dentry *dentry, struct cred **creds);
int aufs_copy_up_xattr(struct dentry *dentry, const char *name);
int aufs_create_files_as(struct dentry *dentry, umode_t mode, const struct cred *caller,
			 struct cred *new_cred);
int aufs_deny_write_access(struct file *file);
void aufs_dget(struct dentry *dentry);
struct dentry *aufs_dget_parent(struct dentry *dentry);
void aufs_dont_cache_acls(struct inode *inode);
int aufs_eat_security_options(struct fs_context *fc, char *options);
void aufs_errorf(struct fs_context *fc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct dentry *aufs_file_dentry(struct file *file);
void aufs_file_end_write(struct file *file);
void aufs_file_start_write(struct file *file);
struct posix_acl *aufs_get_acl(struct vfsmount *mnt, struct inode *inode, int type);
struct posix_acl *aufs_get_cached_acl_rcu(struct inode *inode, int type);
const struct cred *aufs_get_cred(const struct cred *cred);
void aufs_fput_now(struct file *file);
void aufs_fput_writer_now(struct file *file);
void aufs_get_file(struct file *file);
int aufs_get_write_access(struct inode *inode);
void aufs_give_notice(void);
/* RLIMIT_FSIZE of the task, in bytes. */
unsigned long aufs_fsize_limit(void);
/* Whether the ext4 @sb has fast commits; also if that cannot be read. Sleeps. */
bool aufs_has_fast_commits(struct super_block *sb);
/* Whether @base, whose inode is locked, has @name; or a negative errno. Sleeps. */
int aufs_has_name(struct vfsmount *mnt, const char *name, struct dentry *base, int len);
/* Whether the encrypted @inode's key has been found. */
bool aufs_has_key(const struct inode *inode);
int aufs_hold_renames(struct super_block *sb);
bool aufs_try_to_hold_renames(struct super_block *sb);
/* A hash that nobody can predict without @key. */
unsigned int aufs_hash(const unsigned long key[2], const void *data, size_t size);
loff_t aufs_i_size_read(const struct inode *inode);
bool aufs_is_frozen(const struct super_block *sb);
void aufs_infof(struct fs_context *fc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void aufs_inode_lock_nested(struct inode *inode, unsigned int subclass);
void aufs_inode_spin_lock(struct inode *inode);
void aufs_inode_spin_unlock(struct inode *inode);
void aufs_inode_unlock(struct inode *inode);
ssize_t aufs_iocb_write(struct file *file, struct kiocb *iocb, struct iov_iter *iter);
/* Whether a name in @dir exists if and only if the dcache has it. Any context. */
bool aufs_is_all_in_dcache(const struct dentry *dir);
bool aufs_is_idmapped(const struct vfsmount *mnt);
void *aufs_kvmalloc(size_t size, gfp_t gfp);
void aufs_kiocb_end_write(struct kiocb *iocb);
/* Whether @dentry, or a directory above it, is the upper or the work directory of an overlayfs. */
bool aufs_is_overlays(const struct dentry *dentry);
int aufs_link(struct dentry *old, struct vfsmount *mnt, struct inode *dir, struct dentry *dentry);
const struct cred *aufs_limited_creds(bool as_nobody);
struct dentry *aufs_lookup_locked(struct vfsmount *mnt, const char *name, struct dentry *base,
				  int len);
struct dentry *aufs_lookup_unlocked(struct vfsmount *mnt, const char *name, struct dentry *base,
				    int len);
struct dentry *aufs_lookup_negative_too(struct vfsmount *mnt, const char *name, struct dentry *base,
					int len);
bool aufs_may_exceed_limits(void);
bool aufs_may_mount(void);
/* Whether the current task may search @dir. Sleeps. */
bool aufs_may_search(struct vfsmount *mnt, const struct dentry *dir);
int aufs_mkdir(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry, umode_t mode);
int aufs_mknod(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry, umode_t mode,
	       dev_t rdev);
/*
 * Puts counted references to the dentries that the dcache has in @dir into @children, at most
 * @size; returns how many there are. Dentries that are being looked up are left out.
 */
unsigned int aufs_dcache_children(struct dentry *dir, struct dentry **children, unsigned int size);
/*
 * Looks for a process that has what @search is for. False if no process of the caller's pid
 * namespace has it, if the process is just changing it, or if there are too many to ask. May
 * sleep.
 */
bool aufs_find_user(struct aufs_search *search, struct aufs_user *user);
bool aufs_is_mount_point(const struct dentry *dentry);
/* The number of references to it, those of its children as well. */
unsigned int aufs_dentry_users(const struct dentry *dentry);
/* Whether somebody has it open for writing. */
bool aufs_is_written_to(const struct inode *inode);
/*
 * Puts counted references to inodes of @sb that no dentry leads to into @inodes, at most @size;
 * returns how many there are. Such inodes are watched (fsnotify), or about to get a dentry.
 */
unsigned int aufs_lone_inodes(struct super_block *sb, struct inode **inodes, unsigned int size);
/*
 * A number for the directory @dir of the union: it is another one after each event in what is
 * watched for @dir, and never 0. A task that has read it sees the changes that it counts. Any
 * context.
 */
unsigned long aufs_changes_of(const struct fsnotify_group *group, const struct inode *dir);
/* Makes that number another one. Any context. */
void aufs_note_change(const struct inode *dir);
/* Ends the watches of a list. Sleeps. */
void aufs_unwatch(struct aufs_watch *watches);
/* Watches the branch's directory @inode for @dir, and adds that to the list @watches. Sleeps. */
int aufs_watch(struct fsnotify_group *group, struct inode *inode, const struct inode *dir,
	       struct aufs_watch **watches);
/* The watches of one union; or an ERR_PTR. It lives until the last watch has gone. */
struct fsnotify_group *aufs_watches_create(void);
void aufs_watches_put(struct fsnotify_group *group);
/* For the exit of the module. Sleeps. */
void aufs_watches_exit(void);
void aufs_list_lock_init(struct aufs_list_lock *lock, int depth);
/*
 * Takes it exclusively, to change the list: -EBUSY if others go on using it for seconds, -EINTR on
 * a fatal signal.
 */
int aufs_list_lock_alone(struct aufs_list_lock *lock, bool insists);
void aufs_list_lock_shared(struct aufs_list_lock *lock);
void aufs_list_unlock(struct aufs_list_lock *lock);
void aufs_list_unlock_shared(struct aufs_list_lock *lock);
/* Sets whether a branch's mount is read-only, which then updates no access times, either. */
void aufs_mnt_set_readonly(struct vfsmount *mnt, bool readonly);
void aufs_mnt_copy_flags(struct vfsmount *mnt, const struct vfsmount *other);
bool aufs_mnt_grants_devices(const struct vfsmount *mnt);
bool aufs_mnt_grants_rights(struct vfsmount *mnt);
bool aufs_mnt_is_readonly(struct vfsmount *mnt);
struct vfsmount *aufs_mount_like(struct vfsmount *mnt, struct dentry *root);
void aufs_mutex_init(struct mutex *mutex, enum aufs_mutex_kind kind, int depth);
void aufs_mutex_lock(struct mutex *mutex);
/* Filled with zeroes; null without memory. Freeing null is allowed, in any context. */
struct aufs_name_filter *aufs_name_filter_alloc(unsigned int words);
void aufs_name_filter_free(struct aufs_name_filter *filter);
struct aufs_name_filters *aufs_name_filters_alloc(unsigned int count);
void aufs_name_filters_free(struct aufs_name_filters *filters);
int aufs_mutex_lock_killable(struct mutex *mutex);
bool aufs_mutex_trylock(struct mutex *mutex);
void aufs_mutex_unlock(struct mutex *mutex);
AUFS_IDMAP *aufs_nop_idmap(void);
int aufs_notify_change(struct vfsmount *mnt, struct dentry *dentry, struct iattr *attr);
/* Lets other tasks run, for a tick, or until a fatal signal. */
void aufs_pause(void);
#ifdef HAVE_REVERT_CREDS_RETURNS
const struct cred *aufs_override_creds(const struct cred *cred);
#endif
void aufs_owner_through(struct vfsmount *mnt, const struct inode *inode, kuid_t *uid, kgid_t *gid);
int aufs_parse_string(struct fs_context *fc, const char *key, const char *value, size_t size);
void aufs_posix_acl_release(struct posix_acl *acl);
void aufs_put_cred(const struct cred *cred);
void aufs_put_write_access(struct inode *inode);
void aufs_random_key(unsigned long key[2]);
ssize_t aufs_getxattr(struct vfsmount *mnt, struct dentry *dentry, const char *name, void *value,
		      size_t size);
/* Waits until all readers under RCU that have begun before are done. Sleeps. */
void aufs_synchronize_rcu(void);
void aufs_rcu_read_lock(void);
void aufs_rcu_read_unlock(void);
void aufs_renames_go_on(struct super_block *sb);
/* Waits for all that aufs_release_later() was called for. Sleeps. */
void aufs_release_flush(void);
/* Unmounts and frees the branch of @node in a task of its own. Any context. */
void aufs_release_later(struct llist_node *node);
/* Unmounts and frees the branches of a list of nodes. Sleeps. */
void aufs_release_now(struct llist_node *first);
int aufs_removexattr(struct vfsmount *mnt, struct dentry *dentry, const char *name);
int aufs_rename(struct vfsmount *mnt, const struct aufs_renaming *names, unsigned int flags);
int aufs_rename_begin(struct vfsmount *mnt, struct aufs_renaming *names, const char *from,
		      unsigned int from_len, const char *to, unsigned int to_len, bool exchange);
void aufs_rename_end(const struct aufs_renaming *names);
#ifdef HAVE_REVERT_CREDS_RETURNS
void aufs_revert_creds(const struct cred *old);
#endif
int aufs_rmdir(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry);
u32 aufs_sample_write_errors(const struct super_block *h_sb);
void aufs_sb_end_write(struct super_block *sb);
bool aufs_sb_rdonly(const struct super_block *sb);
void aufs_sb_start_write(struct super_block *sb);
int aufs_set_acl(struct vfsmount *mnt, struct dentry *dentry, int type, struct posix_acl *acl);
void aufs_set_file_flags(struct file *user, struct file *file, unsigned int mask,
			 unsigned int more);
int aufs_set_fileattr(struct vfsmount *mnt, struct dentry *dentry, AUFS_FILEATTR *attr);
int aufs_setxattr(struct vfsmount *mnt, struct dentry *dentry, const char *name, const void *value,
		  size_t size, int flags);
bool aufs_signal_pending(void);
void aufs_signals_block_all(sigset_t *old);
void aufs_signals_block_handled(sigset_t *old);
void aufs_signals_restore(sigset_t *old);
ssize_t aufs_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
			 unsigned int flags);
/* Begins to write out the data of @inode. Sleeps. */
void aufs_start_writeback(struct inode *inode);
/*
 * @found, counted, becomes what a path walk from @dir comes to by the entry @name, which is neither
 * `.` nor `..`. -EAGAIN if the walk would go on from there, or the entry has another name: a walk
 * of the whole path knows better. Sleeps.
 */
int aufs_step_down(const struct path *dir, const char *name, int len, struct path *found);
int aufs_symlink(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry,
		 const char *target);
int aufs_sync_super(struct super_block *sb);
bool aufs_take_notice(void);
/*
 * Lets syncfs(2) on @sb report the write errors of @h_sb since @told, which is brought up to date;
 * returns the error. @told was sampled before. Any context.
 */
int aufs_tell_write_errors(struct super_block *sb, struct super_block *h_sb, u32 *told);
struct file *aufs_tmpfile_open(const struct path *parent, umode_t mode, int flags,
			       const struct cred *cred);
umode_t aufs_umask(void);
int aufs_unlink(struct vfsmount *mnt, struct inode *dir, struct dentry *dentry);
void aufs_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void aufs_warnf(struct fs_context *fc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* mapping.c */
int aufs_branch_mmap(struct file *user, struct file *branch, struct vm_area_struct *vma,
		     const struct cred *cred);
struct file *aufs_branch_open(const struct file *user, int flags, const struct path *path,
			      struct inode *inode, const struct cred *cred);
const struct inode *aufs_file_user_inode(const struct file *file);
const struct path *aufs_file_user_path(const struct file *file);
unsigned long aufs_get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				     unsigned long pgoff, unsigned long flags);
int aufs_prfile_init(void);
void aufs_prfile_exit(void);

/* helpers/runtime.c, for cxxrt/runtime.cc */
void *cxxrt_alloc(size_t size, unsigned int gfp);
void cxxrt_bug(const char *what) __attribute__((noreturn));
void cxxrt_free(const void *memory);

/* Functions and data of C++ that the kernel's C uses. */
int aufs_init_fs_context(struct fs_context *fc);
void aufs_inode_init_once(void *object);
void aufs_inode_free_stacks(struct inode *inode);
extern const unsigned int aufs_inode_size;
int aufs_sysfs_init(void);
void aufs_sysfs_exit(void);
#ifdef HAVE_VM_PRFILE_REGISTER
extern const struct vm_prfile_ops aufs_prfile_ops;
#endif
/* Called again until it is null, which it is at the third time at the latest. */
struct vfsmount *aufs_branch_detach(struct llist_node *node);
void aufs_branch_free(struct llist_node *node);
void aufs_super_free(void *super);

#endif /* AUFS_KERNEL_API_H */
