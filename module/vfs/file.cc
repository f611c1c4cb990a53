// SPDX-License-Identifier: GPL-2.0-only
#include "io.hh"
#include "method.hh"
#include "mmap/mmap.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

Result<void> open(struct inode *vfs_inode, struct file *file)
{
	return open_branch_file(Inode::of(*vfs_inode), *file);
}

Result<void> release(struct inode *, struct file *file)
{
	release_branch_file(*file);
	return {};
}

struct Flush {
	template <class Owner> Result<void> operator()(struct file *file, Owner id) const
	{
		struct file &h_file = h_file_of(*file);

		return h_file.f_op->flush ? check(h_file.f_op->flush(&h_file, id)) : Result<void>();
	}
};

Result<loff_t> llseek(struct file *file, loff_t offset, int whence)
{
	struct file &h_file = *TRY(h_file_to_read(*file));
	bool asks = whence == SEEK_END && Inode::of(*file->f_inode).branch().changes_by_itself();

	if (!asks && (whence == SEEK_SET || whence == SEEK_CUR || whence == SEEK_END)) {
		const struct inode *h_inode = h_file.f_inode;

		return check_count(generic_file_llseek_size(
			file, offset, whence, h_inode->i_sb->s_maxbytes, size_of(*h_inode)));
	}

	/* Only the branch knows of data and holes, and of the end if others move it. */
	offset = TRY(check_count(vfs_llseek(&h_file, offset, whence)));
	file->f_pos = offset;
	return offset;
}

Result<void> fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct file &h_file = *TRY(h_file_to_read(*file));

	Inode &inode = Inode::of(*file->f_inode);

	/*
	 * A read-only filesystem has nothing to write back. A ro branch may have: a remount may be about to make it rw
	 * again.
	 */
	if (!inode.on_rw() && is_read_only(*h_file.f_inode->i_sb))
		return {};

	int error = sync_branch_file(inode, h_file, start, end, datasync).error();

	/* The union does not write there, and the filesystem has no fsync for such a file. */
	if (!inode.on_rw() &&
	    (error == -EINVAL || error == -EROFS || error == -EBADF || error == -EACCES))
		return {};
	return check(error);
}

Result<void> fadvise(struct file *file, loff_t offset, loff_t len, int advice)
{
	return check(vfs_fadvise(&h_file_of(*file), offset, len, advice));
}

/*
 * Whether the branch may answer @request, since nothing changes there. Other requests would go behind the union's
 * back. Requests that the VFS knows (FS_IOC_GETFLAGS and its like) do not come here.
 */
bool only_reads(unsigned int request)
{
	return request == FS_IOC_GETVERSION || request == FS_IOC32_GETVERSION ||
	       request == FS_IOC_GETFSLABEL;
}

template <class Ask>
Result<long> ask_branch(struct file &file, Ask ask, unsigned int request, unsigned long arg)
{
	if (!ask || !only_reads(request))
		return Error{-ENOTTY};
	return check_count(ask(&file, request, arg));
}

Result<long> ioctl(struct file *file, unsigned int request, unsigned long arg)
{
	struct file &h_file = h_file_of(*file);

	return ask_branch(h_file, h_file.f_op->unlocked_ioctl, request, arg);
}

Result<long> compat_ioctl(struct file *file, unsigned int request, unsigned long arg)
{
	struct file &h_file = h_file_of(*file);

	return ask_branch(h_file, h_file.f_op->compat_ioctl, request, arg);
}

/* NOMMU_MAP_*: what the branch can do, as mm/nommu.c finds it out. Without an MMU only. */
template <class Ops> unsigned int mmap_capabilities(struct file *file)
{
	struct file &h_file = h_file_of(*file);
	const Ops &h_ops = *h_file.f_op;
	unsigned int capabilities = h_ops.mmap_capabilities ? h_ops.mmap_capabilities(&h_file) :
							      NOMMU_MAP_COPY;

	return h_ops.get_unmapped_area ? capabilities : capabilities & ~NOMMU_MAP_DIRECT;
}

template <class Ops> constexpr Ops for_regular_file(Ops ops)
{
	ops.open = vfs<open>;
	ops.release = vfs<release>;
	ops.flush = vfs<Flush{}>;
	ops.llseek = vfs<llseek>;
	ops.fsync = vfs<fsync>;
	ops.fadvise = vfs<fadvise>;
	ops.unlocked_ioctl = vfs<ioctl>;
	ops.compat_ioctl = vfs<compat_ioctl>;
	/* These two return what the branch's own method returns. */
	ops.read_iter = read_iter;
	ops.write_iter = write_iter;
	ops.splice_read = vfs<splice_read>;
	ops.splice_write = vfs<splice_write>;
	ops.fallocate = vfs<fallocate>;
	ops.copy_file_range = vfs<copy_file_range>;
	ops.remap_file_range = vfs<remap_file_range>;
	/* On 7.x a filesystem without this method has no leases. */
	ops.setlease = generic_setlease;
	ops.mmap = vfs<mmap>;
	ops.get_unmapped_area = get_unmapped_area;
	/* Without an MMU. */
	if constexpr (requires { ops.mmap_capabilities; })
		ops.mmap_capabilities = mmap_capabilities<Ops>;
	return ops;
}

} // namespace

constinit const struct ::file_operations file_operations = for_regular_file(::file_operations{});

} // namespace aufs
