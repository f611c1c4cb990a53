// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers as those of helpers.c, for what is copied between the union's file and the
 * branch's, and for what a copy-up asks of its caller. Alphabetical.
 */
#include "linux.h"
#include "generated/declared.h"
#include "api.h"

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
 * Any context, any number of callers at once. Who has stored a size looks again, so that
 * the last of them has seen the last change. (Where a size is two words, i_size_write()
 * wants a lock against others, which cannot be taken here: an interrupt may come. So such
 * kernels are refused.)
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

/*
 * Gives @file those of @user's flags that are in @mask, and @more. Under @user's lock, as F_SETFL
 * changes them: so the last one who changes @user's finds @file with all that came before.
 */
void aufs_set_file_flags(struct file *user, struct file *file, unsigned int mask, unsigned int more)
{
	/* Who calls has looked, and @user's may have changed since. */
	if (!(file->f_mode & FMODE_CAN_ODIRECT))
		mask &= ~O_DIRECT;
	spin_lock(&user->f_lock);
	file->f_flags = (file->f_flags & ~mask) | (user->f_flags & mask) | more;
	file->f_iocb_flags = iocb_flags(file);
	spin_unlock(&user->f_lock);
}
