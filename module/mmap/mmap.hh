/* SPDX-License-Identifier: GPL-2.0-only */
/* How a file of the union is mapped: methods of its file operations. */
#pragma once

#include "union/inode.hh"

namespace aufs
{

int mmap(struct file *file, struct vm_area_struct *vma);
unsigned long get_unmapped_area(struct file *file, unsigned long addr, unsigned long len,
				unsigned long pgoff, unsigned long flags);

} // namespace aufs
