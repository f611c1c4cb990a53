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

/* What a branch file can do and the VFS asks the union's file for. */
constexpr unsigned int inherited_modes = FMODE_CAN_ODIRECT;

/*
 * @file is opened to be written to. A copy-up changes a branch, and so waits while the union is
 * frozen.
 */
Result<void> copy_up_to_write(const Inode &inode, const struct file &file) noexcept
{
	if (inode.on_rw())
		return check_presence(*TRY(dentry_of(file)));

	auto dentry = TRY(dentry_of(file));
	struct super_block &sb = *inode.vfs.i_sb;

	aufs_sb_start_write(&sb);

	auto copied = copy_up(*dentry);

	aufs_sb_end_write(&sb);
	return copied;
}

/* With which flags of @file its branch file is opened. */
int branch_flags(const struct file &file) noexcept
{
	unsigned int flags = file.f_flags & handed_down::open_flags;

	/* The branch file notes accesses as its own mount has it; the union's may have none noted. */
	if (file.f_path.mnt->mnt_flags & MNT_NOATIME)
		flags |= O_NOATIME;
	return static_cast<int>(flags);
}

/* What @file, which is to be truncated and written to, has until the VFS truncates it. */
Result<void> open_to_truncate(Inode &inode, struct file &file) noexcept
{
	constexpr unsigned int writers = O_ACCMODE | O_APPEND | O_DIRECT;
	auto waiting = Own<Followed>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Followed);
	unsigned int flags = static_cast<unsigned int>(branch_flags(file)) & ~writers;

	if (!waiting)
		return Error{-ENOMEM};
	waiting->now = TRY(prfile::open(file, inode.super(), inode.h_path(),
					static_cast<int>(flags) | O_RDONLY));
	waiting->waits = true;
	/* The branch of the copy says whether it can; the truncation fails if not. */
	file.f_mode |= file.f_flags & O_DIRECT ? FMODE_CAN_ODIRECT : 0U;
	file.private_data = waiting.leak()->tagged();
	return {};
}

Result<void> open_branch_file(Inode &inode, struct file &file) noexcept
{
	if (file.f_mode & FMODE_WRITE) {
		if ((file.f_flags & O_TRUNC) && !inode.on_rw())
			return open_to_truncate(inode, file);
		TRY(copy_up_to_write(inode, file));
		/* A branch file at the user's path would ask the union's mount alone. */
		if (aufs_mnt_is_readonly(inode.branch().mnt()))
			return Error{-EROFS};
	} else {
		TRY(copy_up_on_open(file));
	}

	auto h_file = TRY(prfile::open(file, inode.super(), inode.h_path(), branch_flags(file)));

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

/*
 * Brings the flags of @file, by which @h_file is used, to it. Where the union's mount notes no accesses
 * they always seem to differ.
 */
Result<struct file *> with_flags(struct file &file, struct file &h_file) noexcept
{
	constexpr unsigned int mask = handed_down::settable_flags;
	unsigned int flags = static_cast<unsigned int>(branch_flags(file)) & mask;

	if ((h_file.f_flags & mask) == flags)
		return &h_file;
	if ((flags & O_DIRECT) && !(h_file.f_mode & FMODE_CAN_ODIRECT))
		return Error{-EINVAL};
	if (h_file.f_op->check_flags)
		TRY(check(h_file.f_op->check_flags(static_cast<int>(flags))));
	aufs_set_file_flags(&file, &h_file, mask, flags & ~file.f_flags & O_NOATIME);
	return &h_file;
}

} // namespace

Result<struct file *> h_file_to_read(struct file &file) noexcept
{
	void *data = __atomic_load_n(&file.private_data, __ATOMIC_ACQUIRE);

	if (Followed *followed = Followed::in(data)) {
		if (!followed->waits)
			return with_flags(file, *followed->now);
		if (followed->now->f_inode != &Inode::of(*file.f_inode).h_inode())
			return prepare_to_write(file);
		return &*followed->now;
	}

	auto &opened = *static_cast<struct file *>(data);
	Inode &inode = Inode::of(*file.f_inode);

	/* What is written to is on a rw branch, and a program that runs is one file until it ends. */
	if (opened.f_inode == &inode.h_inode() || (file.f_mode & FMODE_WRITE) ||
	    (file.f_flags & __FMODE_EXEC)) {
		if (flags_differ(file, opened))
			return with_flags(file, opened);
		return &opened;
	}

	auto next = Own<Followed>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Followed);

	if (!next)
		return Error{-ENOMEM};
	next->now = TRY(prfile::open(file, inode.super(), inode.h_path(), branch_flags(file)));
	next->before = Ref<struct file>::adopt(&opened);
	if (__atomic_compare_exchange_n(&file.private_data, &data, next->tagged(), false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return &*next.leak()->now;
	/* Another was faster, and has what was opened first. */
	(void)next->before.leak();
	return &*Followed::in(data)->now;
}

Result<struct file *> prepare_to_write(struct file &file) noexcept
{
	void *data = __atomic_load_n(&file.private_data, __ATOMIC_ACQUIRE);
	Followed *waiting = Followed::in(data);

	if (!waiting || !waiting->waits)
		return with_flags(file, h_file_of(file));

	Inode &inode = Inode::of(*file.f_inode);

	TRY(copy_up(*TRY(dentry_of(file))));

	auto next = Own<Followed>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Followed);

	if (!next)
		return Error{-ENOMEM};
	next->now = TRY(prfile::open(file, inode.super(), inode.h_path(), branch_flags(file)));
	next->older = Own<Followed>::adopt(waiting);
	if (__atomic_compare_exchange_n(&file.private_data, &data, next->tagged(), false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return &*next.leak()->now;
	(void)next->older.leak();
	return &*Followed::in(data)->now;
}

Result<Ref<struct file>> open_truncated(const struct file &file, const Branch &branch,
					struct dentry &copy) noexcept
{
	return prfile::open(file, Super::of(*file.f_inode->i_sb), branch.path_to(copy),
			    branch_flags(file));
}

void take_truncated(struct file &file, Ref<struct file> h_file) noexcept
{
	Inode &inode = Inode::of(*file.f_inode);

	if (prfile::is_misplaced(file, *h_file)) {
		auto again = prfile::open(file, inode.super(), inode.h_path(), branch_flags(file));

		/* Without memory its mappings report the branch's path. */
		if (again.ok())
			h_file = again.release();
	}
	file.f_mode |= h_file->f_mode & inherited_modes;
	delete Followed::in(cxxrt::exchange(file.private_data, static_cast<void *>(h_file.leak())));
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

	bool asks = whence == SEEK_END && Inode::of(*file->f_inode).branch().changes_by_itself();

	if (!asks && (whence == SEEK_SET || whence == SEEK_CUR || whence == SEEK_END)) {
		const struct inode *h_inode = h_file.f_inode;

		return generic_file_llseek_size(file, offset, whence, h_inode->i_sb->s_maxbytes,
						aufs_i_size_read(h_inode));
	}

	/* Data and holes, or the end where others move it: only the branch knows. */
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

/*
 * Requests that are the branch's to answer and change nothing there. Others would go behind the union's
 * back; those that the VFS knows (FS_IOC_GETFLAGS and its like) do not come here.
 */
bool only_reads(unsigned int request) noexcept
{
	return request == FS_IOC_GETVERSION || request == FS_IOC32_GETVERSION ||
	       request == FS_IOC_GETFSLABEL;
}

template <class Method>
long ask_branch(struct file &file, Method method, unsigned int request, unsigned long arg) noexcept
{
	return method && only_reads(request) ? method(&file, request, arg) : -ENOTTY;
}

long ioctl(struct file *file, unsigned int request, unsigned long arg) noexcept
{
	struct file &h_file = h_file_of(*file);

	return ask_branch(h_file, h_file.f_op->unlocked_ioctl, request, arg);
}

long compat_ioctl(struct file *file, unsigned int request, unsigned long arg) noexcept
{
	struct file &h_file = h_file_of(*file);

	return ask_branch(h_file, h_file.f_op->compat_ioctl, request, arg);
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
	ops.unlocked_ioctl = ioctl;
	ops.compat_ioctl = compat_ioctl;
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
