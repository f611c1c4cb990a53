/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/vm_prfile.h for tools/testing/vma, which compiles mm/vma.c in user space, with a struct
 * vm_area_struct of its own: the same names, for mappings of which none has a prfile.
 */
#ifndef _TESTING_VMA_LINUX_VM_PRFILE_H
#define _TESTING_VMA_LINUX_VM_PRFILE_H

static inline void vma_get_file(struct vm_area_struct *vma)
{
	get_file(vma->vm_file);
}

static inline void vma_put_file(struct vm_area_struct *vma)
{
	fput(vma->vm_file);
}

static inline bool vma_may_merge(const struct vm_area_struct *vma, const struct file *prfile)
{
	return vma->vm_prfile == prfile;
}

#endif
