// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/PID/maps and smaps for mappings that are served by a file at the union's path (the fake path of 6.1). The
 * kernel shows the right path, but the branch's device and inode. Other mappings are shown as before.
 */
#include "kernel/kernel.hh"
extern "C" {
#include "companion/api.h"
}
#include "line.hh"

#ifndef HAVE_BACKING_FILE_OPEN

namespace observers
{

namespace
{

/* s_magic of a union. */
constexpr unsigned long aufs_magic = 0x61756673;

/* The union's inode for the file that serves @vma; null if that is no file of a union. */
const struct inode *union_inode(const struct vm_area_struct &vma)
{
	const struct file *file = vma.vm_file;

	if (!file)
		return nullptr;

	const struct inode *inode = file->f_path.dentry->d_inode;

	if (inode == file->f_inode || !inode || inode->i_sb->s_magic != aufs_magic)
		return nullptr;
	return inode;
}

Line line_of(const struct vm_area_struct &vma, const struct inode &inode)
{
	auto has = [&vma](unsigned long flag, char letter) {
		return vma.vm_flags & flag ? letter : '-';
	};
	const char rights[4] = {has(VM_READ, 'r'), has(VM_WRITE, 'w'), has(VM_EXEC, 'x'),
				vma.vm_flags & VM_MAYSHARE ? 's' : 'p'};
	Line line;

	line.add_mapping(vma.vm_start, vma.vm_end, rights, vma.vm_pgoff << PAGE_SHIFT,
			 inode.i_sb->s_dev, inode.i_ino);
	return line;
}

/* Says that there is no room: seq_file calls again with more. */
void overflow(struct seq_file &m)
{
	m.count = m.size;
}

/* If the text from @start on begins with @before, puts @now in its place. */
void replace(struct seq_file &m, size_t start, const Line &before, const Line &now)
{
	char *text = m.buf + start;
	size_t length = m.count - start;

	if (length < before.size() || __builtin_memcmp(text, before.text(), before.size()) != 0)
		return;
	if (m.count - before.size() + now.size() >= m.size) {
		overflow(m);
		return;
	}
	__builtin_memmove(text + now.size(), text + before.size(), length - before.size());
	__builtin_memcpy(text, now.text(), now.size());
	m.count += now.size() - before.size();
}

} // namespace

} // namespace observers

int (*observers_original_show_map)(struct seq_file *m, void *v);
int (*observers_original_show_smap)(struct seq_file *m, void *v);

int observers_show_map(struct seq_file *m, void *v)
{
	const auto &vma = *static_cast<const struct vm_area_struct *>(v);
	const struct inode *inode = observers::union_inode(vma);

	if (!inode)
		return observers_original_show_map(m, v);

	observers::Line line = observers::line_of(vma, *inode);

	seq_write(m, line.text(), line.size());
	seq_path(m, &vma.vm_file->f_path, "\n");
	seq_write(m, "\n", 1);
	return 0;
}

/* The first line of a mapping is that of maps. */
int observers_show_smap(struct seq_file *m, void *v)
{
	const auto &vma = *static_cast<const struct vm_area_struct *>(v);
	const struct inode *inode = observers::union_inode(vma);
	size_t start = m->count;
	int result = observers_original_show_smap(m, v);

	if (result == 0 && inode && m->count < m->size)
		observers::replace(*m, start, observers::line_of(vma, *vma.vm_file->f_inode),
				   observers::line_of(vma, *inode));
	return result;
}

#endif /* HAVE_BACKING_FILE_OPEN */
