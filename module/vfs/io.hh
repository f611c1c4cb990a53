/* SPDX-License-Identifier: GPL-2.0-only */
/* Data between the caller and the branch file: methods of a file's operations. */
#pragma once

#include "mmap/branch_file.hh"

namespace aufs
{

ssize_t read_iter(struct kiocb *iocb, struct iov_iter *iter);
ssize_t write_iter(struct kiocb *iocb, struct iov_iter *iter);
Result<ssize_t> splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
			    unsigned int flags);
Result<ssize_t> splice_write(struct pipe_inode_info *pipe, struct file *out, loff_t *ppos,
			     size_t len, unsigned int flags);
Result<void> fallocate(struct file *file, int mode, loff_t offset, loff_t len);
Result<ssize_t> copy_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
				size_t len, unsigned int flags);
Result<loff_t> remap_file_range(struct file *in, loff_t pos_in, struct file *out, loff_t pos_out,
				loff_t len, unsigned int flags);

} // namespace aufs
