// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/kernel.hh"

namespace aufs {

struct Shape {
	virtual long area(const struct file *file) const noexcept = 0;

protected:
	~Shape() = default;
};

struct Square final : Shape {
	long area(const struct file *file) const noexcept override
	{
		return file ? file->f_pos * PAGE_SIZE : -EINVAL;
	}
};

constinit static Square square;
constinit Shape *volatile shape = &square;

} // namespace aufs

int aufs_hello(void)
{
	return aufs::shape->area(nullptr) == -EINVAL ? 0 : -EIO;
}
