// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mappings of all processes, as BPF programs see them: a line "PID START DEVICE INODE PATH" for
 * each mapping of a file. The types have only the fields that are used; libbpf finds their offsets
 * in this kernel.
 */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct path {
	void *mnt;
};

struct super_block {
	unsigned int s_dev;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct vm_area_struct {
	unsigned long vm_start;
	struct file *vm_file;
};

/* The same for a kernel whose mapping holds the user's file. */
struct vm_area_struct___vm_prfile {
	struct file *vm_prfile;
};

struct task_struct {
	int pid;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

#pragma clang attribute pop

/* Numbers of uapi/linux/bpf.h. */
static long (*bpf_seq_printf)(struct seq_file *m, const char *format, unsigned int format_size,
			      const void *data, unsigned int data_size) = (void *)126;
static long (*bpf_d_path)(struct path *path, char *text, unsigned int size) = (void *)147;

/* The kind of __builtin_preserve_field_info() that tells whether the kernel has the field. */
#define FIELD_EXISTS 2

static char text[256];

__attribute__((section("iter/task_vma"), used)) int each_vma(struct bpf_iter__task_vma *context)
{
	static const char format[] = "%d %lx %u %lu %s\n";
	struct task_struct *task = context->task;
	struct vm_area_struct *vma = context->vma;
	struct vm_area_struct___vm_prfile *with_prfile = (void *)vma;
	struct file *file;
	unsigned long values[5];

	if (!task || !vma)
		return 0;
	file = vma->vm_file;
	if (__builtin_preserve_field_info(with_prfile->vm_prfile, FIELD_EXISTS) &&
	    with_prfile->vm_prfile)
		file = with_prfile->vm_prfile;
	if (!file || bpf_d_path(&file->f_path, text, sizeof(text)) < 0)
		return 0;
	values[0] = task->pid;
	values[1] = vma->vm_start;
	values[2] = file->f_inode->i_sb->s_dev;
	values[3] = file->f_inode->i_ino;
	values[4] = (unsigned long)text;
	bpf_seq_printf(context->meta->seq, format, sizeof(format), values, sizeof(values));
	return 0;
}

__attribute__((section("license"), used)) static const char licence_of_this[] = "GPL";
