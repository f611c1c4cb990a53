// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls by which the sites of the kernel reach the filesystem that set a prfile:
 * linux/vm_prfile.h.
 */
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/vm_prfile.h>

DEFINE_STATIC_KEY_FALSE(vm_prfile_key);
EXPORT_SYMBOL_GPL(vm_prfile_key);

static DEFINE_MUTEX(vm_prfile_lock);
static const struct vm_prfile_ops __rcu *vm_prfile_ops;

/*
 * @ops is asked about every prfile from now on. Returns -EBUSY if others are registered: a prfile
 * does not say whose it is. May sleep.
 */
int vm_prfile_register(const struct vm_prfile_ops *ops)
{
	int err = 0;

	mutex_lock(&vm_prfile_lock);
	if (rcu_access_pointer(vm_prfile_ops)) {
		err = -EBUSY;
	} else {
		rcu_assign_pointer(vm_prfile_ops, ops);
		static_branch_enable(&vm_prfile_key);
	}
	mutex_unlock(&vm_prfile_lock);
	return err;
}
EXPORT_SYMBOL_GPL(vm_prfile_register);

/*
 * To be called when the module of @ops goes away; nobody is inside @ops when this returns. May
 * sleep.
 *
 * No mapping has a prfile here, and none can get one: a prfile is a file of a filesystem whose
 * module this is, and an open file pins its mount, the mount its super block, and the super block
 * the module. So there is nothing to look for and nothing to warn of. A site below that has found
 * a prfile finds ops; region_may_share(), which looks for no prfile, does without. The op that put
 * the last prfile may still be running: another task can close the file that was put, and unload
 * the module, before that op has returned. Hence RCU.
 */
void vm_prfile_unregister(const struct vm_prfile_ops *ops)
{
	mutex_lock(&vm_prfile_lock);
	if (rcu_access_pointer(vm_prfile_ops) == ops) {
		static_branch_disable(&vm_prfile_key);
		RCU_INIT_POINTER(vm_prfile_ops, NULL);
		synchronize_rcu();
	}
	mutex_unlock(&vm_prfile_lock);
}
EXPORT_SYMBOL_GPL(vm_prfile_unregister);

void __vma_prfile_copied(struct vm_area_struct *vma)
{
	rcu_read_lock();
	rcu_dereference(vm_prfile_ops)->vma_copied(vma);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(__vma_prfile_copied);

void __vma_prfile_put(struct vm_area_struct *vma)
{
	if (!vma->vm_prfile)
		return;
	rcu_read_lock();
	rcu_dereference(vm_prfile_ops)->vma_put(vma);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(__vma_prfile_put);

void __region_prfile_put(struct vm_region *region)
{
	if (!region->vm_prfile)
		return;
	rcu_read_lock();
	rcu_dereference(vm_prfile_ops)->region_put(region);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(__region_prfile_put);

bool __vma_prfile_may_merge(const struct vm_area_struct *vma, const struct file *prfile)
{
	bool agree;

	rcu_read_lock();
	agree = rcu_dereference(vm_prfile_ops)->may_merge(vma, prfile);
	rcu_read_unlock();
	return agree;
}
EXPORT_SYMBOL_GPL(__vma_prfile_may_merge);

/* This one is also called where there is no prfile, so ops can be gone. */
bool __region_prfile_may_share(const struct vm_region *region, const struct file *file)
{
	const struct vm_prfile_ops *ops;
	bool same;

	rcu_read_lock();
	ops = rcu_dereference(vm_prfile_ops);
	if (ops)
		same = ops->may_share(region, file);
	else
		same = file_inode(region->vm_file) == file_inode(file);
	rcu_read_unlock();
	return same;
}
EXPORT_SYMBOL_GPL(__region_prfile_may_share);

struct file *__vma_prfile_reported(const struct vm_area_struct *vma)
{
	struct file *file;

	rcu_read_lock();
	file = rcu_dereference(vm_prfile_ops)->vma_reported(vma);
	rcu_read_unlock();
	return file;
}
EXPORT_SYMBOL_GPL(__vma_prfile_reported);

struct file *__region_prfile_reported(const struct vm_region *region)
{
	struct file *file;

	rcu_read_lock();
	file = rcu_dereference(vm_prfile_ops)->region_reported(region);
	rcu_read_unlock();
	return file;
}
EXPORT_SYMBOL_GPL(__region_prfile_reported);
