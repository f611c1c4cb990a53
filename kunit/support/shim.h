/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions of the kernel that the KUnit suites, which are C++, need beyond the module's own
 * kernel/api.h: KUnit itself, and the calls by which a process changes its mappings.
 *
 * The common subset of C and C++. All may sleep; errors are negative errnos.
 */
#ifndef AUFS_KUNIT_SHIM_H
#define AUFS_KUNIT_SHIM_H

struct kunit;
struct mm_struct;
struct vm_area_struct;
struct vm_prfile_ops;
struct vm_region;

/* The kernel's own. */
struct file *filp_open(const char *name, int flags, umode_t mode);
void flush_delayed_fput(void);
ssize_t kernel_read(struct file *file, void *buffer, size_t count, loff_t *pos);
ssize_t kernel_write(struct file *file, const void *buffer, size_t count, loff_t *pos);
size_t ksize(const void *memory);
void rcu_barrier(void);
int replace_mm_exe_file(struct mm_struct *mm, struct file *file);
int scnprintf(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int set_mm_exe_file(struct mm_struct *mm, struct file *file);
int shmem_zero_setup(struct vm_area_struct *vma);
int vm_munmap(unsigned long addr, size_t len);
int vm_prfile_register(const struct vm_prfile_ops *ops);
void vm_prfile_unregister(const struct vm_prfile_ops *ops);

/* ---- KUnit: messages belong to @test; aufs_test_fail() makes it fail ---- */
void aufs_test_fail(struct kunit *test, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void aufs_test_info(struct kunit *test, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void aufs_test_skip(struct kunit *test, const char *why);

/* ---- filesystems: in the tests' mount namespace, at absolute paths ---- */
/* -EEXIST is fine. */
int aufs_test_mkdir(const char *path);
int aufs_test_mount(const char *source, const char *path, const char *type, const char *options);
/* Remounts the filesystem that is mounted at @path. */
int aufs_test_remount(const char *path, bool read_only);
/* The same, rw, with @options for the filesystem. */
int aufs_test_change(const char *path, const char *options);
/* Not lazily: -EBUSY while anything holds a path on it. */
int aufs_test_umount(const char *path);
/* Whether an object exists at @path. */
bool aufs_test_exists(const char *path);
/* Maps @file by the ->mmap of @ops. */
int aufs_test_mmap_by(const struct file_operations *ops, struct file *file,
		      struct vm_area_struct *vma);
long aufs_test_truncate(const struct path *path, loff_t length);
int aufs_test_unlink(const char *path);
int aufs_test_rename(const char *from, const char *to);
int aufs_test_chown(const char *path, unsigned int uid);
/* The number of mounted filesystems of @type, or -ENODEV. */
int aufs_test_supers(const char *type);
/* Reads @path, a regular file or a seq_file of procfs, from its start. Returns the length. */
ssize_t aufs_test_read(const char *path, void *buffer, size_t size);
/*
 * Writes @text to @path. That may be a file that takes it only from a user's buffer: then the
 * current mm has to have room for one. Returns the number of bytes.
 */
ssize_t aufs_test_write(const char *path, const char *text);
ssize_t aufs_test_write_bytes(const char *path, const void *bytes, size_t size);
void aufs_test_sleep(unsigned int milliseconds);
long aufs_test_file_count(const struct file *file);
/* Whether @link leads to the path of @file. */
bool aufs_test_leads_to(const char *link, const struct file *file);
u64 aufs_test_encode_dev(dev_t dev);

/* The file that a stacked filesystem would open of @real for @user; an ERR_PTR. */
struct file *aufs_test_inner_file(const struct file *user, const struct file *real);

/* ---- the inline functions that the kernel's sites call (linux/vm_prfile.h) ---- */
void aufs_test_vma_get_file(struct vm_area_struct *vma);
void aufs_test_vma_put_file(struct vm_area_struct *vma);
bool aufs_test_vma_may_merge(const struct vm_area_struct *vma, const struct file *prfile);
struct file *aufs_test_vma_reported_file(const struct vm_area_struct *vma);
void aufs_test_region_put_file(struct vm_region *region);
struct file *aufs_test_region_reported_file(const struct vm_region *region);

/* ---- address spaces ---- */
/* Makes an mm, which the calling kernel thread uses until it leaves it; an ERR_PTR. */
struct mm_struct *aufs_test_enter_new_mm(void);
void aufs_test_enter_mm(struct mm_struct *mm);
void aufs_test_leave_mm(struct mm_struct *mm);
/* Ends @mm, unless somebody else has a reference. */
void aufs_test_put_mm(struct mm_struct *mm);
/*
 * Runs @body in a new process with a copy of the current mm, or without an MMU with the current
 * one, and waits for its end, which @body causes. Returns the wait status, or -errno if there was
 * no process.
 */
int aufs_test_run_child(int (*body)(void *data), void *data);
/*
 * Forks: runs @body in a new process with a copy of the current mm, or without an MMU with the
 * current one, and waits for it. Returns what @body returns (0..255), or -errno if the fork failed.
 */
int aufs_test_fork(int (*body)(void *data), void *data);
/*
 * The same beside the caller. aufs_test_start() returns 0 or -errno. aufs_test_end() waits for the
 * process, and returns what aufs_test_fork() would.
 */
struct aufs_test_process {
	int (*body)(void *data);
	void *data;
	int pid;
};

int aufs_test_start(struct aufs_test_process *process);
int aufs_test_end(struct aufs_test_process *process);
/* For a loop: lets others run, if it is their turn. */
void aufs_test_give_way(void);
/* Forks, and returns the mm of the new process, which has ended; an ERR_PTR. */
struct mm_struct *aufs_test_fork_mm(void);
/*
 * Executes @path in a new process, which calls @then before the program's own code. Returns the
 * wait status, or -errno if the fork failed. The core dump is not limited.
 */
int aufs_test_exec(const char *path, void (*then)(void *data), void *data);
/* Whether a 64-bit ELF program that crashes leaves a core. */
bool aufs_test_can_dump_core(void);
struct mm_struct *aufs_test_current_mm(void);
/* From now on the current thread and its children run on one CPU. */
void aufs_test_stay_on_cpu(void);
int aufs_test_pid(void);
bool aufs_test_has_mmu(void);
bool aufs_test_has_kcsan(void);
/* Calls @visit for each vma of @mm, in order, under mmap_lock. */
void aufs_test_each_vma(struct mm_struct *mm, void (*visit)(struct vm_area_struct *vma, void *data),
			void *data);
/*
 * Calls @change for the vma of the current mm at @addr, with mmap_lock taken for writing. Returns
 * whether there is a vma.
 */
bool aufs_test_change_vma(unsigned long addr,
			  void (*change)(struct vm_area_struct *vma, void *data), void *data);

/* Keeps @vma out of core dumps, as a filesystem may. */
void aufs_test_vma_dont_dump(struct vm_area_struct *vma);

/* ---- system calls, on the current mm ---- */
long aufs_test_mmap(struct file *file, unsigned long addr, unsigned long len, unsigned long prot,
		    unsigned long flags, unsigned long offset);
/* As brk(2), with the heap's end at @addr; -EOPNOTSUPP without an MMU. */
int aufs_test_brk(unsigned long addr, unsigned long len);
long aufs_test_madvise(unsigned long addr, size_t len, int advice);
long aufs_test_mprotect(unsigned long addr, size_t len, unsigned long prot);
long aufs_test_mremap(unsigned long addr, unsigned long old_len, unsigned long new_len,
		      unsigned long flags, unsigned long new_addr);
long aufs_test_remap_file_pages(unsigned long addr, unsigned long size, unsigned long pgoff);
/* ioctl(2) on @file. @data of @size bytes is passed in and out. */
long aufs_test_ioctl(struct file *file, unsigned int cmd, void *data, size_t size);
/* These copy memory of the current mm; 0 or -EFAULT. */
int aufs_test_read_user(unsigned long addr, void *buffer, size_t size);
int aufs_test_write_user(unsigned long addr, const void *buffer, size_t size);

/* ---- records of perf ---- */
struct aufs_test_perf_mapping {
	u64 len;
	u64 offset;
	u64 ino;
	u32 major;
	u32 minor;
	u32 prot;
	u32 flags;
	char path[256];
};

/*
 * From now on records the mappings that the current process makes, until it ends. Returns the
 * address of the records, or -EOPNOTSUPP if this kernel cannot.
 */
long aufs_test_perf_start(void);
/* Finds the last record of a mapping at @addr, in the records at @ring. */
int aufs_test_perf_find(unsigned long ring, unsigned long addr,
			struct aufs_test_perf_mapping *found);

/* Adds a device that can trace by address, or removes it: 0 or -errno. */
int aufs_test_perf_tracer(bool there);
/*
 * Makes the device trace the current process by perf's @filter. The file is borrowed: the process
 * closes it when it ends; an ERR_PTR.
 */
struct file *aufs_test_perf_filter(const char *filter);
/* The address at which the one filter begins now; 0 if it has no mapping yet. */
unsigned long aufs_test_perf_filtered(const struct file *file, unsigned long *size);

/* ---- lines of the kernel's log ---- */
/* Logs the mapping of the current mm at @addr, after @prefix, as the kernel does it. */
void aufs_test_print_vma_addr(const char *prefix, unsigned long addr);
/* Whether a line of the log has @text. */
bool aufs_test_is_logged(const char *text);
/* The same for a line that has @more, too. */
bool aufs_test_is_logged_with(const char *text, const char *more);
/*
 * Makes the kernel complain of nonsense in the page table of the current mm, for the mapped page at
 * @addr. Returns whether there is such a page. From then on lockdep is silent.
 * scripts/testing/check-log knows the lines before and after the complaint, and the lines that may
 * be between them.
 */
bool aufs_test_print_bad_pte(unsigned long addr);

/* ---- traces and BPF programs (shim_trace.c) ---- */
/*
 * Gets the text that a user's stack trace of the current process has for @addr. -EOPNOTSUPP if this
 * kernel cannot.
 */
int aufs_test_trace_user_addr(unsigned long addr, char *text, size_t size);
/*
 * Calls @visit for each mapping of the current process, with the copy that a BPF program gets when
 * it walks over them. -EOPNOTSUPP if this kernel cannot.
 */
int aufs_test_bpf_each_vma(void (*visit)(const struct vm_area_struct *copy, void *data),
			   void *data);

/* ---- memory and locks (shim_cxxrt.c) ---- */
/* The machine's memory in bytes. */
u64 aufs_test_memory(void);
bool aufs_test_is_vmalloc(const void *memory);
bool aufs_test_mutex_is_locked(struct mutex *mutex);
bool aufs_test_inode_is_locked(const struct inode *inode);

/* ---- the random walk of the model (shim_model.c) ---- */
/* By the kernel's parameters. Without them the seed is a new one each time. */
unsigned long aufs_test_model_seed(void);
unsigned int aufs_test_model_steps(void);

/* ---- allocations that fail ---- */
/* Whether this kernel can make allocations fail. */
bool aufs_test_can_fail(void);
/* Makes the @nth allocation of this thread from now on fail; 0: none. */
void aufs_test_fail_nth(unsigned int nth);
/* Whether that allocation has failed. */
bool aufs_test_has_failed(void);

#endif /* AUFS_KUNIT_SHIM_H */
