/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mmap layer: how a file of the union is mapped, by two methods of its file operations. The branch serves the
 * mapping: its page cache, its vm_ops, its f_mapping. The mapping reports the union's file (prfile.hh). Both methods
 * run under mmap_lock, inside which neither i_rwsem nor freeze protection may be taken: they copy up nothing, take no
 * lock and allocate nothing.
 */
#pragma once

#include "branch_file.hh"
#include "prfile.hh"
#include "kernel/files.hh"

namespace aufs
{

inline Result<void> mmap(struct file *file, struct vm_area_struct *vma)
{
	if (waits_for_truncation(*file))
		return Error{-ENODEV};
	return prfile::map(*file, h_file_of(*file), *vma);
}

/* The branch knows how its mappings should be aligned (huge pages of shmem, ext4, xfs). */
inline unsigned long get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				       unsigned long pgoff, unsigned long flags)
{
	return unmapped_area(h_file_of(*file), addr, len, pgoff, flags);
}

} // namespace aufs
