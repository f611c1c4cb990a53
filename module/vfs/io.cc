// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data goes between the caller and the branch file, with the caller's credentials. The rights were checked when the
 * file was opened. Quota, reserved blocks, and setuid bits that a write clears depend on the task that writes: that
 * has to be the caller, not the mounter. Security modules judge the caller by the user's file; for them the branch
 * file is that of another task, as a rule the mounter. So the branch's own method is called, which does not ask them.
 * For the rare calls that are the VFS's, the caller's rights are joined with the labels of that task.
 */
#include "io.hh"
#include "method.hh"
#include "mmap/prfile.hh"
#include "union/list_lock.hh"
#include "kernel/files.hh"
#include "kernel/security.hh"

namespace aufs
{

namespace
{

void note_written(struct inode &vfs_inode)
{
	Inode::of(vfs_inode).copy_written();
}

/* For a call of the VFS that asks security modules about @h_file, the branch file of @file. */
Result<Ref<const struct cred>> creds_for_vfs(const struct file &file, const struct file &h_file)
{
	return creds_with_labels_of(prfile::opener_of(file, h_file));
}

struct kiocb for_branch(const struct kiocb &iocb, struct file &h_file)
{
	struct kiocb h_iocb = iocb;

	h_iocb.ki_filp = &h_file;
	h_iocb.ki_flags &= handed_down::io_flags;
	/*
	 * F_SETFL may have set O_DIRECT in the user's file since: a branch that cannot do that must not be asked for
	 * it.
	 */
	if (!(h_file.f_mode & FMODE_CAN_ODIRECT))
		h_iocb.ki_flags &= ~IOCB_DIRECT;
	return h_iocb;
}

/*
 * An asynchronous request, and the branch's copy of it. Two hold it: the submitter, since the branch looks at it until
 * the call returns, and the completion, which may come before that and in an interrupt.
 */
class AsyncRequest final
{
public:
	/* Null without memory. */
	static AsyncRequest *create(struct kiocb &iocb, struct file &h_file)
	{
		return new (Gfp{GFP_KERNEL}) AsyncRequest(iocb, h_file);
	}

	/*
	 * Calls @submit(kiocb) with the branch's kiocb, and returns what the union's caller is to see. Uses up the
	 * request. A write that was not queued leaves no freeze protection behind.
	 */
	template <class Submit> ssize_t run(Submit &&submit)
	{
		ssize_t result = submit(h_iocb_);

		if (result == -EIOCBQUEUED) {
			put();
			return result;
		}
		/* No completion comes: the caller has the result at once. */
		settle();
		delete this;
		return result;
	}

private:
	AsyncRequest(struct kiocb &iocb, struct file &h_file)
		: h_iocb_(for_branch(iocb, h_file)), iocb_(iocb),
		  h_file_(Ref<struct file>::retain(&h_file))
	{
		h_iocb_.ki_complete = complete;
	}

	static void complete(struct kiocb *h_iocb, long result)
	{
		auto &self = *reinterpret_cast<AsyncRequest *>(h_iocb);
		struct kiocb &iocb = self.iocb_;

		self.settle();
		if (h_iocb->ki_flags & IOCB_WRITE)
			end_queued_write(*h_iocb);
		self.put();
		iocb.ki_complete(&iocb, result);
	}

	/* Gives the union's request and inode what the branch has done. */
	void settle()
	{
		iocb_.ki_pos = h_iocb_.ki_pos;
		if (h_iocb_.ki_flags & IOCB_WRITE)
			note_written(*iocb_.ki_filp->f_inode);
	}

	void put()
	{
		if (holders_.take_last())
			delete this;
	}

	struct kiocb h_iocb_; /* first: complete() finds the request by it */
	struct kiocb &iocb_;
	Ref<struct file> h_file_;
	Atomic<unsigned int> holders_ = 2;
};

/* As write_branch(): the branch's own method, without what the VFS has done already. */
ssize_t read_branch(struct file &h_file, struct kiocb &h_iocb, struct iov_iter &iter)
{
	if (!h_file.f_op->read_iter)
		return -EINVAL;
	return iter.count ? h_file.f_op->read_iter(&h_iocb, &iter) : 0;
}

/* Whether the VFS waits for the result itself. */
bool is_sync(const struct kiocb &iocb)
{
	return !iocb.ki_complete;
}

} // namespace

ssize_t read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	auto to_read = h_file_to_read(*iocb->ki_filp);

	if (!to_read.ok())
		return to_read.error();

	struct file &h_file = *to_read.value();

	if (is_sync(*iocb)) {
		struct kiocb h_iocb = for_branch(*iocb, h_file);
		ssize_t result = read_branch(h_file, h_iocb, *iter);

		iocb->ki_pos = h_iocb.ki_pos;
		return result;
	}

	AsyncRequest *request = AsyncRequest::create(*iocb, h_file);

	if (!request)
		return -ENOMEM;
	return request->run(
		[&](struct kiocb &h_iocb) { return read_branch(h_file, h_iocb, *iter); });
}

ssize_t write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	auto to_write = h_file_to_write(*iocb->ki_filp);

	if (!to_write.ok())
		return to_write.error();

	struct file &h_file = *to_write.value();

	/* RWF_DSYNC: the branch syncs the data, and not the name. */
	if (iocb->ki_flags & IOCB_DSYNC) [[unlikely]] {
		auto synced = sync_name(Inode::of(*iocb->ki_filp->f_inode), h_file);

		if (!synced.ok())
			return synced.error();
	}
	if (is_sync(*iocb)) {
		struct kiocb h_iocb = for_branch(*iocb, h_file);
		ssize_t result = write_branch(h_file, h_iocb, *iter);

		iocb->ki_pos = h_iocb.ki_pos;
		note_written(*iocb->ki_filp->f_inode);
		return result;
	}

	AsyncRequest *request = AsyncRequest::create(*iocb, h_file);

	if (!request)
		return -ENOMEM;
	return request->run([&](struct kiocb &h_iocb) {
		h_iocb.ki_flags |= IOCB_WRITE;
		return write_branch(h_file, h_iocb, *iter);
	});
}

Result<ssize_t> splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
			    unsigned int flags)
{
	struct file *h_file = TRY(h_file_to_read(*in));

	return check_count(splice_from(*h_file, *ppos, *pipe, len, flags));
}

/*
 * Takes the branch's freeze protection before the pipe's lock, as a splice to a file of the branch does: write_iter()
 * would take it inside. So it is also right for a branch that is stacked itself.
 */
Result<ssize_t> splice_write(struct pipe_inode_info *pipe, struct file *out, loff_t *ppos,
			     size_t len, unsigned int flags)
{
	struct file &h_file = *TRY(h_file_to_write(*out));

	if (!h_file.f_op->splice_write)
		return Error{-EINVAL};
	ssize_t written;
	{
		FileFreezeProtection protection(h_file);

		written = h_file.f_op->splice_write(pipe, &h_file, ppos, len, flags);
	}
	note_written(*out->f_inode);
	return check_count(written);
}

Result<void> fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct file *h_file = TRY(h_file_to_write(*file));
	auto creds = TRY(creds_for_vfs(*file, *h_file));
	ScopedCreds scope(*creds);
	int error = vfs_fallocate(h_file, mode, offset, len);

	note_written(*file->f_inode);
	return check(error);
}

Result<ssize_t> copy_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
				size_t len, unsigned int flags)
{
	/* Both files are of this filesystem type, or the VFS would not ask. */
	if (!h_file_or_null(*in) || !h_file_or_null(*out))
		return Error{-EXDEV};

	struct file *h_in = TRY(h_file_to_read(*in));
	struct file *h_out = TRY(h_file_to_write(*out));
	auto creds = TRY(creds_for_vfs(*out, *h_out));
	ScopedCreds scope(*creds);
	ssize_t copied = vfs_copy_file_range(h_in, pos_in, h_out, pos_out, len, flags);

	/* For users this is one filesystem: between two branches the data is copied through a pipe. */
	if (copied == -EXDEV || copied == -EOPNOTSUPP)
		copied = vfs_copy_file_range(h_in, pos_in, h_out, pos_out, len, COPY_FILE_SPLICE);
	note_written(*out->f_inode);
	return check_count(copied);
}

Result<loff_t> remap_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
				loff_t len, unsigned int flags)
{
	if (!h_file_or_null(*in) || !h_file_or_null(*out))
		return Error{-EXDEV};
	/*
	 * Sharing changes nothing of the destination but the place of its data. Still, that is a write to its branch.
	 */
	Inode &inode = Inode::of(*out->f_inode);

	if (!inode.on_rw()) {
		/* A remount that has made the branch read-only may be about to take that back. */
		ListLock list(inode.super());

		if (!inode.on_rw())
			return Error{-EROFS};
	}

	struct file *h_in = TRY(h_file_to_read(*in));
	/* A destination that is only deduplicated may be open for reading, and from before a copy-up. */
	struct file *h_out =
		TRY(out->f_mode & FMODE_WRITE ? h_file_to_write(*out) : h_file_to_read(*out));
	/* It may be as old as the time when the branch was not rw, and on the read-only mount that this had then. */
	Ref<struct file> h_again;

	if (!(out->f_mode & FMODE_WRITE) && is_on_readonly_mount(*h_out)) {
		h_again = TRY(open_again(*out, inode));
		h_out = h_again.get();
	}

	auto creds = TRY(creds_for_vfs(*out, *h_out));
	ScopedCreds scope(*creds);
	loff_t done = flags & REMAP_FILE_DEDUP ?
			      vfs_dedupe_file_range_one(h_in, pos_in, h_out, pos_out, len, flags) :
			      vfs_clone_file_range(h_in, pos_in, h_out, pos_out, len, flags);

	note_written(*out->f_inode);
	return check_count(done);
}

} // namespace aufs
