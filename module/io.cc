// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data goes between the caller and the branch file, with the caller's credentials: the rights were checked when the
 * file was opened, and what depends on who writes (quota, reserved blocks, setuid bits that a write clears) must depend
 * on the caller and not on the mounter.
 */
#include "file.hh"

namespace aufs
{

namespace
{

/* What the union shows of a file that was written: its size, and the mode, from which a write takes setuid bits. */
void note_written(struct inode &inode) noexcept
{
	Inode::of(inode).copy_attributes();
}

/* A request that somebody waits for elsewhere: the branch's copy of it lives until the branch completes it. */
struct AsyncRequest {
	struct kiocb h_iocb;
	struct kiocb *iocb;

	/* May be called from an interrupt. */
	static void complete(struct kiocb *h_iocb, long result) noexcept
	{
		auto *self = reinterpret_cast<AsyncRequest *>(h_iocb);
		struct kiocb *iocb = self->iocb;

		iocb->ki_pos = h_iocb->ki_pos;
		if (h_iocb->ki_flags & IOCB_WRITE) {
			note_written(*iocb->ki_filp->f_inode);
			aufs_kiocb_end_write(h_iocb);
		}
		fput(h_iocb->ki_filp);
		delete self;
		iocb->ki_complete(iocb, result);
	}
};

struct kiocb for_branch(const struct kiocb &iocb, struct file &h_file) noexcept
{
	struct kiocb h_iocb = iocb;

	h_iocb.ki_filp = &h_file;
	return h_iocb;
}

/* Whether the VFS waits for the result itself. */
bool is_sync(const struct kiocb &iocb) noexcept
{
	return !iocb.ki_complete;
}

/* Makes an AsyncRequest that holds the branch file; null without memory. */
AsyncRequest *make_async(struct kiocb &iocb, struct file &h_file) noexcept
{
	auto *request = new (Gfp{GFP_KERNEL}) AsyncRequest;

	if (!request)
		return nullptr;
	request->h_iocb = for_branch(iocb, h_file);
	request->h_iocb.ki_complete = AsyncRequest::complete;
#ifdef HAVE_IOCB_DIO_CALLER_COMP
	/* The caller would complete our request and not its own. */
	request->h_iocb.ki_flags &= ~IOCB_DIO_CALLER_COMP;
#endif
	request->iocb = &iocb;
	aufs_get_file(&h_file);
	return request;
}

} // namespace

ssize_t read_iter(struct kiocb *iocb, struct iov_iter *iter) noexcept
{
	struct file &h_file = h_file_of(*iocb->ki_filp);

	if (is_sync(*iocb)) {
		struct kiocb h_iocb = for_branch(*iocb, h_file);
		ssize_t result = vfs_iocb_iter_read(&h_file, &h_iocb, iter);

		iocb->ki_pos = h_iocb.ki_pos;
		return result;
	}

	AsyncRequest *request = make_async(*iocb, h_file);

	if (!request)
		return -ENOMEM;

	ssize_t result = vfs_iocb_iter_read(&h_file, &request->h_iocb, iter);

	if (result != -EIOCBQUEUED)
		AsyncRequest::complete(&request->h_iocb, result);
	return -EIOCBQUEUED;
}

ssize_t write_iter(struct kiocb *iocb, struct iov_iter *iter) noexcept
{
	struct file &h_file = h_file_of(*iocb->ki_filp);

	if (is_sync(*iocb)) {
		struct kiocb h_iocb = for_branch(*iocb, h_file);

		aufs_file_start_write(&h_file);

		ssize_t result = vfs_iocb_iter_write(&h_file, &h_iocb, iter);

		aufs_file_end_write(&h_file);
		iocb->ki_pos = h_iocb.ki_pos;
		note_written(*iocb->ki_filp->f_inode);
		return result;
	}

	AsyncRequest *request = make_async(*iocb, h_file);

	if (!request)
		return -ENOMEM;
	aufs_kiocb_start_write(&request->h_iocb);
	request->h_iocb.ki_flags |= IOCB_WRITE;

	ssize_t result = vfs_iocb_iter_write(&h_file, &request->h_iocb, iter);

	if (result != -EIOCBQUEUED)
		AsyncRequest::complete(&request->h_iocb, result);
	return -EIOCBQUEUED;
}

ssize_t splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
		    unsigned int flags) noexcept
{
	return aufs_splice_read(&h_file_of(*in), ppos, pipe, len, flags);
}

long fallocate(struct file *file, int mode, loff_t offset, loff_t len) noexcept
{
	long error = vfs_fallocate(&h_file_of(*file), mode, offset, len);

	note_written(*file->f_inode);
	return error;
}

ssize_t copy_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out, size_t len,
			unsigned int flags) noexcept
{
	struct file *h_in = h_file_or_null(*in);
	struct file *h_out = h_file_or_null(*out);

	/* Both are of this filesystem type, or the VFS would not ask. */
	if (!h_in || !h_out)
		return -EXDEV;

	ssize_t copied = vfs_copy_file_range(h_in, pos_in, h_out, pos_out, len, flags);

	/* For users this is one filesystem; two branches need a copy through a pipe. */
	if (copied == -EXDEV || copied == -EOPNOTSUPP)
		copied = vfs_copy_file_range(h_in, pos_in, h_out, pos_out, len, COPY_FILE_SPLICE);
	note_written(*out->f_inode);
	return copied;
}

loff_t remap_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out, loff_t len,
			unsigned int flags) noexcept
{
	struct file *h_in = h_file_or_null(*in);
	struct file *h_out = h_file_or_null(*out);

	if (!h_in || !h_out)
		return -EXDEV;
	/* Sharing changes nothing in the destination but where it is kept; still, that is a write to its branch. */
	if (!Inode::of(*out->f_inode).on_rw())
		return -EROFS;

	loff_t done = flags & REMAP_FILE_DEDUP ?
			      vfs_dedupe_file_range_one(h_in, pos_in, h_out, pos_out, len, flags) :
			      vfs_clone_file_range(h_in, pos_in, h_out, pos_out, len, flags);

	note_written(*out->f_inode);
	return done;
}

} // namespace aufs
