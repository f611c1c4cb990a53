// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up.hh"
#include "file.hh"
#include "presence.hh"
#include "prfile.hh"

namespace aufs
{

struct file *h_file_or_null(const struct file &file) noexcept
{
	return file.f_op == &file_operations ? &h_file_of(file) : nullptr;
}

namespace
{

/*
 * Flags of an open that are over when the branch file is opened: creation and truncation were done
 * by name.
 */
constexpr unsigned int spent_flags = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC;

/* What a branch file can do and the VFS asks the union's file for. */
constexpr unsigned int inherited_modes = FMODE_CAN_ODIRECT;

/*
 * @file is opened to be written to. A copy-up changes a branch, and so waits while the union is
 * frozen: the VFS sees to that for a file that it is going to truncate, and not for others.
 */
Result<void> copy_up_to_write(const Inode &inode, const struct file &file) noexcept
{
	if (inode.on_rw())
		return check_presence(*TRY(dentry_of(file)));

	auto dentry = TRY(dentry_of(file));
	struct super_block &sb = *inode.vfs.i_sb;

	/* With O_DIRECT the open may fail yet, and then nothing is truncated. */
	if (file.f_flags & O_TRUNC)
		return copy_up(*dentry, file.f_flags & O_DIRECT ? whole_file : 0);
	aufs_sb_start_write(&sb);

	auto copied = copy_up(*dentry);

	aufs_sb_end_write(&sb);
	return copied;
}

/* With which flags of @file its branch file is opened. */
int branch_flags(const struct file &file) noexcept
{
	unsigned int flags = file.f_flags & ~spent_flags;

	/* The branch file notes accesses as its own mount has it; the union's may have none noted. */
	if (file.f_path.mnt->mnt_flags & MNT_NOATIME)
		flags |= O_NOATIME;
	return static_cast<int>(flags);
}

Result<void> open_branch_file(Inode &inode, struct file &file) noexcept
{
	if (file.f_mode & FMODE_WRITE) {
		TRY(copy_up_to_write(inode, file));
		/* A branch file at the user's path would ask the union's mount alone. */
		if (aufs_mnt_is_readonly(inode.branch().mnt()))
			return Error{-EROFS};
	} else {
		TRY(copy_up_on_open(file));
	}

	auto h_file = TRY(prfile::open(file, inode, branch_flags(file)));

	/*
	 * A program that runs is not written to, by whatever path: until it ends, it keeps this
	 * file open.
	 */
	if (file.f_flags & __FMODE_EXEC)
		TRY(check(aufs_deny_write_access(h_file.get())));
	file.f_mode |= h_file->f_mode & inherited_modes;
	file.private_data = h_file.leak();
	return {};
}

} // namespace

Result<struct file *> h_file_to_read(struct file &file) noexcept
{
	void *data = __atomic_load_n(&file.private_data, __ATOMIC_ACQUIRE);

	if (Followed *followed = Followed::in(data))
		return &*followed->now;

	auto &opened = *static_cast<struct file *>(data);
	Inode &inode = Inode::of(*file.f_inode);

	/* What is written to is on a rw branch, and a program that runs is one file until it ends. */
	if (opened.f_inode == &inode.h_inode() || (file.f_mode & FMODE_WRITE) ||
	    (file.f_flags & __FMODE_EXEC))
		return &opened;

	auto next = Own<Followed>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Followed);

	if (!next)
		return Error{-ENOMEM};
	next->now = TRY(prfile::open(file, inode, branch_flags(file)));
	next->before = Ref<struct file>::adopt(&opened);
	if (__atomic_compare_exchange_n(&file.private_data, &data, next->tagged(), false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return &*next.leak()->now;
	/* Another was faster, and has what was opened first. */
	(void)next->before.leak();
	return &*Followed::in(data)->now;
}

namespace
{

int open(struct inode *inode, struct file *file) noexcept
{
	return to_errno(open_branch_file(Inode::of(*inode), *file));
}

int release(struct inode *, struct file *file) noexcept
{
	if (Followed *followed = Followed::in(file->private_data)) {
		delete followed;
		return 0;
	}

	struct file &h_file = h_file_of(*file);

	if (file->f_flags & __FMODE_EXEC)
		aufs_allow_write_access(&h_file);
	aufs_fput_now(&h_file);
	return 0;
}

template <class Owner> int flush(struct file *file, Owner id) noexcept
{
	struct file &h_file = h_file_of(*file);

	return h_file.f_op->flush ? h_file.f_op->flush(&h_file, id) : 0;
}

loff_t llseek(struct file *file, loff_t offset, int whence) noexcept
{
	auto followed = h_file_to_read(*file);

	if (!followed.ok())
		return followed.error();

	struct file &h_file = *followed.value();

	if (whence == SEEK_SET || whence == SEEK_CUR || whence == SEEK_END) {
		const struct inode *h_inode = h_file.f_inode;

		return generic_file_llseek_size(file, offset, whence, h_inode->i_sb->s_maxbytes,
						aufs_i_size_read(h_inode));
	}

	/* Data and holes: only the branch knows. */
	offset = vfs_llseek(&h_file, offset, whence);
	if (offset >= 0)
		file->f_pos = offset;
	return offset;
}

int fsync(struct file *file, loff_t start, loff_t end, int datasync) noexcept
{
	/* What cannot be written needs no writing back, and a read-only branch may refuse. */
	if (!Inode::of(*file->f_inode).on_rw())
		return 0;

	auto h_file = h_file_to_read(*file);

	return h_file.ok() ? vfs_fsync_range(h_file.value(), start, end, datasync) : h_file.error();
}

int fadvise(struct file *file, loff_t offset, loff_t len, int advice) noexcept
{
	return vfs_fadvise(&h_file_of(*file), offset, len, advice);
}

/* NOMMU_MAP_*: what the branch can do, as mm/nommu.c finds it out. Without an MMU only. */
template <class Ops> unsigned int mmap_capabilities(struct file *file) noexcept
{
	struct file &h_file = h_file_of(*file);
	const Ops &h_ops = *h_file.f_op;
	unsigned int capabilities = h_ops.mmap_capabilities ? h_ops.mmap_capabilities(&h_file) :
							      NOMMU_MAP_COPY;

	return h_ops.get_unmapped_area ? capabilities : capabilities & ~NOMMU_MAP_DIRECT;
}

template <class Ops> constexpr Ops for_regular_file(Ops ops) noexcept
{
	ops.open = open;
	ops.release = release;
	ops.flush = flush;
	ops.llseek = llseek;
	ops.fsync = fsync;
	ops.fadvise = fadvise;
	ops.read_iter = read_iter;
	ops.write_iter = write_iter;
	ops.splice_read = splice_read;
	ops.splice_write = splice_write;
	ops.fallocate = fallocate;
	ops.copy_file_range = copy_file_range;
	ops.remap_file_range = remap_file_range;
	ops.mmap = mmap;
	ops.get_unmapped_area = get_unmapped_area;
	/* Without an MMU. */
	if constexpr (requires { ops.mmap_capabilities; })
		ops.mmap_capabilities = mmap_capabilities<Ops>;
	return ops;
}

} // namespace

constinit const struct ::file_operations file_operations = for_regular_file(::file_operations{});

} // namespace aufs
