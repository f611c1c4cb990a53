// SPDX-License-Identifier: GPL-2.0-only
/*
 * aufs-observers.ko, a companion of aufs.ko: a livepatch for those places of a stock kernel that
 * report the branch's file in place of the union's. The filesystem does not need it.
 *
 * Only mappings of a union are reported in another way. For everything else, the kernel's own
 * function is called, at its body.
 */
#include "../kernel/linux.h"
#include <linux/delay.h>
#include <linux/livepatch.h>
#include <linux/static_call.h>
#include <linux/vmalloc.h>
#include "../kernel/generated/declared.h"
#include "api.h"

#define AUFS_SUPER_MAGIC 0x61756673

void observers_error(const char *format, ...)
{
	struct va_format text;
	va_list arguments;

	va_start(arguments, format);
	text.fmt = format;
	text.va = &arguments;
	pr_err("aufs-observers: %pV", &text);
	va_end(arguments);
}

void *observers_alloc(size_t size)
{
	return vmalloc(size);
}

void observers_free(void *memory)
{
	vfree(memory);
}

#ifdef HAVE_BACKING_FILE_OPEN

DEFINE_STATIC_CALL_RET0(original_file_path, char *(struct file *, char *, int));
DEFINE_STATIC_CALL_NULL(original_print_vma_addr, void(char *, unsigned long));
DEFINE_STATIC_CALL_RET0(original_replace_mm_exe_file, int(struct mm_struct *, struct file *));

/* The union's path if @file serves a mapping of a union, else null; borrowed. */
static const struct path *union_path(struct file *file)
{
	const struct path *path;

	if (!(file->f_mode & FMODE_BACKING))
		return NULL;
	path = file_user_path(file);
	return path->dentry->d_sb->s_magic == AUFS_SUPER_MAGIC ? path : NULL;
}

/* For the names in the note NT_FILE of a core dump. All other callers mean the file itself. */
static char *observers_file_path(struct file *file, char *buf, int buflen)
{
	const struct path *path = current->flags & PF_DUMPCORE ? union_path(file) : NULL;

	if (path)
		return d_path(path, buf, buflen);
	return static_call(original_file_path)(file, buf, buflen);
}

/* Logs the file, and the place in it, of @ip, as for a fault. Any context. */
static void observers_print_vma_addr(char *prefix, unsigned long ip)
{
	struct mm_struct *mm = current->mm;
	const struct path *path = NULL;
	struct vm_area_struct *vma;

	/* As the original does: nothing is logged while another task changes the mappings. */
	if (!mmap_read_trylock(mm))
		return;
	vma = vma_lookup(mm, ip);
	if (vma && vma->vm_file)
		path = union_path(vma->vm_file);
	if (path)
		pr_cont("%s%pd[%lx,%lx+%lx]", prefix, path->dentry,
			ip - vma->vm_start + (vma->vm_pgoff << PAGE_SHIFT), vma->vm_start,
			vma->vm_end - vma->vm_start);
	mmap_read_unlock(mm);
	if (!path)
		static_call(original_print_vma_addr)(prefix, ip);
}

static bool is_mapped(struct mm_struct *mm, const struct path *path)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	bool mapped = false;

	mmap_read_lock(mm);
	for_each_vma(vmi, vma) {
		const struct path *mapped_path = vma->vm_file ? union_path(vma->vm_file) : NULL;

		if (mapped_path && path_equal(mapped_path, path)) {
			mapped = true;
			break;
		}
	}
	mmap_read_unlock(mm);
	return mapped;
}

/* /proc/PID/exe is not changed as long as the old program is mapped. */
static int observers_replace_mm_exe_file(struct mm_struct *mm, struct file *new_exe_file)
{
	struct file *old;
	bool busy;

	rcu_read_lock();
	old = get_file_rcu(&mm->exe_file);
	rcu_read_unlock();
	if (old) {
		busy = old->f_path.dentry->d_sb->s_magic == AUFS_SUPER_MAGIC &&
		       is_mapped(mm, &old->f_path);
		fput(old);
		if (busy)
			return -EBUSY;
	}
	return static_call(original_replace_mm_exe_file)(mm, new_exe_file);
}

#define PATCHED(name) {.old_name = #name, .new_func = observers_##name}

static struct klp_func functions[] = {
	PATCHED(file_path), PATCHED(print_vma_addr), PATCHED(replace_mm_exe_file), {}};

static void set_original(unsigned int i, void *body)
{
	switch (i) {
	case 0:
		static_call_update(original_file_path, body);
		break;
	case 1:
		static_call_update(original_print_vma_addr, body);
		break;
	case 2:
		static_call_update(original_replace_mm_exe_file, body);
		break;
	}
}

#else /* a branch file stands at the union's path */

DEFINE_STATIC_CALL_RET0(original_pid_maps_open, int(struct inode *, struct file *));
DEFINE_STATIC_CALL_RET0(original_pid_smaps_open, int(struct inode *, struct file *));

/*
 * The operations of a file of procfs that was opened while the patch was in force: those of the
 * kernel, except for the one that shows a mapping. To patch that function itself would cost each
 * line of maps the call of a patched function. The module stays as long as such a file is open.
 */
struct corrected {
	const struct file_operations *original_fops;
	const struct seq_operations *original_ops;
	struct file_operations fops;
	struct seq_operations ops;
};

/* Guards the two below, which are filled once. */
static DEFINE_MUTEX(corrected_mutex);
static struct corrected corrected_maps, corrected_smaps;

/* Has @show show the mappings that @file lists. */
static void correct(struct file *file, struct corrected *corrected,
		    int (*show)(struct seq_file *m, void *v),
		    int (**original_show)(struct seq_file *m, void *v))
{
	struct seq_file *m = file->private_data;

	mutex_lock(&corrected_mutex);
	if (!corrected->original_ops) {
		*original_show = m->op->show;
		corrected->original_fops = file->f_op;
		corrected->original_ops = m->op;
		corrected->fops = *file->f_op;
		corrected->fops.owner = THIS_MODULE;
		corrected->ops = *m->op;
		corrected->ops.show = show;
	}
	mutex_unlock(&corrected_mutex);
	if (corrected->original_fops != file->f_op || corrected->original_ops != m->op ||
	    !try_module_get(THIS_MODULE))
		return;
	replace_fops(file, &corrected->fops);
	m->op = &corrected->ops;
}

static int observers_pid_maps_open(struct inode *inode, struct file *file)
{
	int err = static_call(original_pid_maps_open)(inode, file);

	if (!err)
		correct(file, &corrected_maps, observers_show_map, &observers_original_show_map);
	return err;
}

static int observers_pid_smaps_open(struct inode *inode, struct file *file)
{
	int err = static_call(original_pid_smaps_open)(inode, file);

	if (!err)
		correct(file, &corrected_smaps, observers_show_smap, &observers_original_show_smap);
	return err;
}

#define PATCHED(name) {.old_name = #name, .new_func = observers_##name}

static struct klp_func functions[] = {PATCHED(pid_maps_open), PATCHED(pid_smaps_open), {}};

static void set_original(unsigned int i, void *body)
{
	switch (i) {
	case 0:
		static_call_update(original_pid_maps_open, body);
		break;
	case 1:
		static_call_update(original_pid_smaps_open, body);
		break;
	}
}

#endif

/*
 * The offset of the body of @function; 0 if that cannot be told. A task that switches ftrace or a
 * kprobe on or off there changes the code in steps, and meanwhile the function begins with a
 * breakpoint: then it is looked at again.
 */
static size_t body_offset(const void *function)
{
	size_t offset = observers_body_offset(function);
	int tries;

	for (tries = 0; !offset && tries < 100; tries++) {
		msleep(20);
		offset = observers_body_offset(function);
	}
	return offset;
}

/*
 * Called when the addresses of the functions are known and nothing is patched yet. After an error
 * nothing is patched. May sleep.
 */
static int find_originals(struct klp_object *object)
{
	unsigned int i;

	for (i = 0; functions[i].old_name; i++) {
		void *function = functions[i].old_func;
		size_t offset = body_offset(function);

		if (!offset) {
			observers_error("%s() begins with %*ph: it cannot be patched\n",
					functions[i].old_name, 9, function);
			return -EINVAL;
		}
		set_original(i, function + offset);
	}
	return 0;
}

static struct klp_object objects[] = {{
					      .funcs = functions,
					      .callbacks.pre_patch = find_originals,
				      },
				      {}};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

/*
 * Reads all of @file. kernel_read_file() would do so, but for kinds of files for which security
 * modules have rules.
 */
static ssize_t __init read_all(struct file *file, void **data)
{
	loff_t size = i_size_read(file_inode(file));
	loff_t pos = 0;
	ssize_t got;

	if (size <= 0 || size > INT_MAX)
		return -EFBIG;
	*data = vmalloc(size);
	if (!*data)
		return -ENOMEM;
	while (pos < size) {
		got = kernel_read(file, *data + pos, size - pos, &pos);
		if (got <= 0)
			return got ?: -EIO;
	}
	return size;
}

static int __init check_types(void)
{
	static const char path[] __initconst = "/sys/kernel/btf/vmlinux";
	struct file *file = filp_open(path, O_RDONLY | O_LARGEFILE, 0);
	void *btf = NULL;
	ssize_t size = PTR_ERR_OR_ZERO(file);
	int err = 0;

	if (!size) {
		size = read_all(file, &btf);
		fput(file);
	}
	if (size < 0) {
		observers_error("cannot read %s (%zd): is sysfs mounted?\n", path, size);
		err = size;
	} else if (!observers_expected_types(btf, size)) {
		observers_error("this kernel is not one that it can correct: nothing is patched\n");
		err = -EINVAL;
	}
	vfree(btf);
	return err;
}

static int __init observers_init(void)
{
	int err = check_types();

	return err ?: klp_enable_patch(&patch);
}

/* A livepatch can be unloaded only after it was disabled in sysfs. */
static void __exit observers_exit(void)
{
}

module_init(observers_init);
module_exit(observers_exit);

MODULE_DESCRIPTION("Corrects what stock kernels report of mappings of a union");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
