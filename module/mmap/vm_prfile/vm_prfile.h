/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The prfile of a mapping: the file that it reports. vm_file is the file that serves it.
 *
 * The rules, for a vma and (NOMMU) for a region:
 *  - vm_prfile is NULL, or one reference on that file, beside the one on vm_file.
 *  - vma_get_file() takes the references of a vma that was just copied bit by bit; vma_put_file()
 *    and region_put_file() put those of a vma or region that goes away, and forget its prfile.
 *  - Two vmas merge only if they agree on both files: vma_may_merge() says so of the prfile.
 *  - Code that shows a mapping asks for vma_reported_file(), and then for file_user_path() and
 *    file_user_inode() of that file, which may itself be the inner file of a stacked filesystem.
 *
 * The bookkeeping belongs to the filesystem that sets prfiles (ops below). Here is only what its
 * sites cost others. While no such filesystem is loaded, that is a patched-out branch. Else a
 * mapping without a prfile costs one load and one branch a site, and a call where it is put.
 */
#ifndef _LINUX_VM_PRFILE_H
#define _LINUX_VM_PRFILE_H

#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/mm_types.h>

/*
 * No member may sleep: each is called inside an RCU read section, under what protects the vma or
 * region. may_share is called for every region, may_merge if one of the two mappings has a prfile,
 * the others only for a vma or region that has one.
 */
struct vm_prfile_ops {
	/* @vma is a copy: take its own reference on its prfile. */
	void (*vma_copied)(struct vm_area_struct *vma);
	/* @vma goes away, or changes its files: put its reference, set vm_prfile to NULL. */
	void (*vma_put)(struct vm_area_struct *vma);
	/* The same for a region. */
	void (*region_put)(struct vm_region *region);
	/*
	 * Does a mapping of the same vm_file with @prfile agree with @vma? Either may have none
	 * (NULL), not both.
	 */
	bool (*may_merge)(const struct vm_area_struct *vma, const struct file *prfile);
	/*
	 * NOMMU: is the inode that serves a mapping of @file the one whose pages @region has?
	 * Either file may be of any filesystem.
	 */
	bool (*may_share)(const struct vm_region *region, const struct file *file);
	/* The file to report, without a reference. */
	struct file *(*vma_reported)(const struct vm_area_struct *vma);
	struct file *(*region_reported)(const struct vm_region *region);
};

int vm_prfile_register(const struct vm_prfile_ops *ops);
void vm_prfile_unregister(const struct vm_prfile_ops *ops);

DECLARE_STATIC_KEY_FALSE(vm_prfile_key);

void __vma_prfile_copied(struct vm_area_struct *vma);
void __vma_prfile_put(struct vm_area_struct *vma);
void __region_prfile_put(struct vm_region *region);
bool __vma_prfile_may_merge(const struct vm_area_struct *vma, const struct file *prfile);
bool __region_prfile_may_share(const struct vm_region *region, const struct file *file);
struct file *__vma_prfile_reported(const struct vm_area_struct *vma);
struct file *__region_prfile_reported(const struct vm_region *region);

/*
 * KCSAN reports a race by the names of functions. With KCSAN these are functions of their own, so
 * that a report about a prfile has a name that belongs to it, whatever place of the kernel it was.
 */
#ifdef CONFIG_KCSAN
#define prfile_inline noinline __maybe_unused
#else
#define prfile_inline inline
#endif

/* @vma has a vm_file, and was copied from another: it takes its references. */
static prfile_inline void vma_get_file(struct vm_area_struct *vma)
{
	get_file(vma->vm_file);
	if (static_branch_unlikely(&vm_prfile_key) && vma->vm_prfile)
		__vma_prfile_copied(vma);
}

/*
 * @vma has a vm_file: it puts its references. vm_file is left as it is, vm_prfile is NULL. This is
 * small, so that compilers go on to inline what calls it (remove_vma() in its loop).
 */
static prfile_inline void vma_put_file(struct vm_area_struct *vma)
{
	fput(vma->vm_file);
	if (static_branch_unlikely(&vm_prfile_key))
		__vma_prfile_put(vma);
}

/* As vma_put_file(). Nothing copies the file of a region, so there is no get. */
static prfile_inline void region_put_file(struct vm_region *region)
{
	fput(region->vm_file);
	if (static_branch_unlikely(&vm_prfile_key))
		__region_prfile_put(region);
}

/*
 * May a mapping of the same vm_file that reports @prfile (NULL: it has none) be one with @vma? A
 * mapping that mmap(2) is about to make has no prfile yet: its ->mmap() decides that later.
 */
static prfile_inline bool vma_may_merge(const struct vm_area_struct *vma, const struct file *prfile)
{
	if (static_branch_unlikely(&vm_prfile_key) && (vma->vm_prfile || prfile))
		return __vma_prfile_may_merge(vma, prfile);
	return true;
}

/* The file that @vma reports; NULL if it maps none. Without a reference: @vma has it. */
static prfile_inline struct file *vma_reported_file(const struct vm_area_struct *vma)
{
	if (static_branch_unlikely(&vm_prfile_key) && vma->vm_prfile)
		return __vma_prfile_reported(vma);
	return vma->vm_file;
}

/*
 * NOMMU: may a mapping of @file that overlaps @region share it? This is asked of each region for
 * each file, with a prfile or without: the pages are the same whichever file was mapped first.
 */
static prfile_inline bool region_may_share(const struct vm_region *region, const struct file *file)
{
	if (static_branch_unlikely(&vm_prfile_key))
		return __region_prfile_may_share(region, file);
	return file_inode(region->vm_file) == file_inode(file);
}

/* The file that @region reports. */
static prfile_inline struct file *region_reported_file(const struct vm_region *region)
{
	if (static_branch_unlikely(&vm_prfile_key) && region->vm_prfile)
		return __region_prfile_reported(region);
	return region->vm_file;
}

/*
 * @copy is a bitwise copy of a vma, made to be looked at, and no mapping. Its vm_file becomes the
 * reported one, of which the caller takes a reference, and it has no prfile.
 */
static prfile_inline void vma_snapshot_reported(struct vm_area_struct *copy)
{
	copy->vm_file = vma_reported_file(copy);
	copy->vm_prfile = NULL;
}

/*
 * Kernels before 6.8 have neither: there a stacked filesystem opens its inner file at the user's
 * path, so that f_path is right, and the user's inode is what that path leads to.
 */
#ifndef file_user_path
static inline const struct path *file_user_path(const struct file *file)
{
	return &file->f_path;
}
#endif

#ifndef file_user_inode
static inline const struct inode *file_user_inode(const struct file *file)
{
	return d_inode(file->f_path.dentry);
}
#endif

#endif /* _LINUX_VM_PRFILE_H */
