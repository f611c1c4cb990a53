// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers for open files, for sizes and flags that are copied between the union's file and the
 * branch's, and for checks of a copy-up's caller. Alphabetical.
 */
#include "kernel/linux.h"
#include "kernel/generated/declared.h"
#include "kernel/api.h"

void aufs_allow_write_access(struct file *file)
{
	allow_write_access(file);
}

void aufs_assert_sb_write(const struct super_block *sb)
{
#ifdef CONFIG_LOCKDEP
	WARN_ON_ONCE(debug_locks && !sb_write_started(sb));
#endif
}

#if BITS_PER_LONG == 32 && defined(CONFIG_SMP)
#error "aufs.ko is for 64-bit kernels: sizes are written by several tasks at once"
#endif

/*
 * Any context, any number of callers at once. A task that has stored a size looks again, so that
 * the last one has seen the last change. (On kernels where a size is two words, i_size_write()
 * wants a lock against others, which cannot be taken here: an interrupt may come. So such kernels
 * are refused.)
 */
void aufs_copy_size(struct inode *to, const struct inode *from)
{
	loff_t size = i_size_read(from);

	while (i_size_read(to) != size) {
		i_size_write(to, size);
		smp_mb(); /* the size is stored before it is asked for again */
		size = i_size_read(from);
	}
	to->i_blocks = from->i_blocks;
}

int aufs_deny_write_access(struct file *file)
{
	return deny_write_access(file);
}

struct dentry *aufs_file_dentry(struct file *file)
{
	return file_dentry(file);
}

void aufs_file_end_write(struct file *file)
{
	file_end_write(file);
}

void aufs_file_start_write(struct file *file)
{
	file_start_write(file);
}

/*
 * Puts @file for the ->release of another file. That runs in a context where @file may be dropped
 * as well: it need not wait for the task to return to user space. Before 6.5 only kernel threads
 * could do that.
 */
void aufs_fput_now(struct file *file)
{
#ifdef HAVE_BACKING_FILE_OPEN
	__fput_sync(file);
#else
	fput(file);
#endif
}

/*
 * The same for a file that was opened to be written to: it counts as a writer no more, and so the
 * file can be run, before the task returns to user space.
 */
void aufs_fput_writer_now(struct file *file)
{
#ifndef HAVE_BACKING_FILE_OPEN
	/* The last part of fput() does this with such a file, but too late for us. */
	if (file->f_mode & FMODE_WRITER) {
		sb_start_write(file_inode(file)->i_sb);
		put_write_access(file_inode(file));
		file->f_mode &= ~FMODE_WRITER;
		mnt_drop_write(file->f_path.mnt);
	}
#endif
	aufs_fput_now(file);
}

unsigned long aufs_fsize_limit(void)
{
	return rlimit(RLIMIT_FSIZE);
}

void aufs_get_file(struct file *file)
{
	get_file(file);
}

void aufs_give_notice(void)
{
	set_thread_flag(TIF_NOTIFY_SIGNAL);
}

/*
 * Writes with @file's freeze protection held. The completion of a request that was queued
 * (-EIOCBQUEUED) gives it up with aufs_kiocb_end_write(). For the user's file the VFS has asked
 * security modules and notified already: so the branch's own method is called, which does neither.
 */
ssize_t aufs_iocb_write(struct file *file, struct kiocb *iocb, struct iov_iter *iter)
{
	ssize_t ret;

	if (!file->f_op->write_iter)
		return -EINVAL;
	if (!iov_iter_count(iter))
		return 0;
	kiocb_start_write(iocb);
	ret = file->f_op->write_iter(iocb, iter);
	if (ret != -EIOCBQUEUED)
		kiocb_end_write(iocb);
	return ret;
}

bool aufs_is_frozen(const struct super_block *sb)
{
	return READ_ONCE(sb->s_writers.frozen) != SB_UNFROZEN;
}

void aufs_kiocb_end_write(struct kiocb *iocb)
{
	kiocb_end_write(iocb);
}

u32 aufs_sample_write_errors(const struct super_block *h_sb)
{
	return errseq_sample((errseq_t *)&h_sb->s_wb_err);
}

/*
 * Gives @file those of @user's flags that are in @mask, and @more. Under @user's lock, as F_SETFL
 * changes them: after the last task that changes @user's flags, @file has all changes.
 */
void aufs_set_file_flags(struct file *user, struct file *file, unsigned int mask, unsigned int more)
{
	/* The caller has looked, but @user's flags may have changed since. */
	if (!(file->f_mode & FMODE_CAN_ODIRECT))
		mask &= ~O_DIRECT;
	spin_lock(&user->f_lock);
	file->f_flags = (file->f_flags & ~mask) | (user->f_flags & mask) | more;
	file->f_iocb_flags = iocb_flags(file);
	spin_unlock(&user->f_lock);
}

/*
 * Passes pages of the branch's page cache, without a copy if the branch can. As aufs_iocb_write(),
 * this calls the branch's own method.
 */
ssize_t aufs_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
			 unsigned int flags)
{
	if (!in->f_op->splice_read)
		return -EINVAL;
#ifdef HAVE_COPY_SPLICE_READ
	/* As vfs_splice_read(): then there are no pages to pass. */
	if ((in->f_flags & O_DIRECT) || IS_DAX(in->f_mapping->host))
		return copy_splice_read(in, ppos, pipe, len, flags);
#endif
	return in->f_op->splice_read(in, ppos, pipe, len, flags);
}

void aufs_start_writeback(struct inode *inode)
{
	/* Errors of the writeback are reported to the next sync. */
	(void)filemap_flush(inode->i_mapping);
}

/*
 * Whether the task was told, as by a signal, that it has work to do when it returns to user space.
 * If so, it is not told any more, until aufs_give_notice().
 */
bool aufs_take_notice(void)
{
	if (!test_thread_flag(TIF_NOTIFY_SIGNAL))
		return false;
	clear_thread_flag(TIF_NOTIFY_SIGNAL);
	smp_mb__after_atomic(); /* from here on waits are not interrupted by it */
	return true;
}

int aufs_tell_write_errors(struct super_block *sb, struct super_block *h_sb, u32 *told)
{
	static DEFINE_SPINLOCK(lock);
	int err;

	spin_lock(&lock);
	err = errseq_check_and_advance(&h_sb->s_wb_err, told);
	spin_unlock(&lock);
	if (err)
		errseq_set(&sb->s_wb_err, err);
	return err;
}
