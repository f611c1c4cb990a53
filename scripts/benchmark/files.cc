// SPDX-License-Identifier: GPL-2.0-only
//
// Open files: open, read, write, copy up.

#include "measure.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bench
{
namespace
{

constexpr const char *small_file = "read/dir/4k";
constexpr const char *large_file = "read/dir/1m";

char buffer[1 << 20];

std::unique_ptr<Operation> open_close(const Place &, long)
{
	return simple([] {
		const int fd = open(small_file, O_RDONLY);
		return fd >= 0 && close(fd) == 0;
	});
}

std::unique_ptr<Operation> open_read_close(const Place &, long)
{
	return simple([] {
		const int fd = open(small_file, O_RDONLY);
		return fd >= 0 && read(fd, buffer, page) == page && close(fd) == 0;
	});
}

// pread or pwrite of SIZE bytes at the beginning of an open file.
class Transfer final : public Operation
{
public:
	Transfer(std::string path, int flags, long size)
		: path_(std::move(path)), flags_(flags), size_(static_cast<size_t>(size))
	{
	}
	void begin(unsigned) override
	{
		fd_ = must(open(path_.c_str(), flags_), path_.c_str());
	}
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = ticks();
		for (unsigned i = 0; i < count; ++i) {
			const ssize_t done = flags_ == O_RDONLY ? pread(fd_, buffer, size_, 0) :
								  pwrite(fd_, buffer, size_, 0);
			if (done != static_cast<ssize_t>(size_)) [[unlikely]]
				die("%s: %zd bytes done: %m", path_.c_str(), done);
		}
		return ticks() - begin;
	}
	void end() override
	{
		close(fd_);
	}

private:
	std::string path_;
	int flags_, fd_ = -1;
	size_t size_;
};

std::unique_ptr<Operation> pread_file(const Place &, long size)
{
	return std::make_unique<Transfer>(large_file, O_RDONLY, size);
}

std::unique_ptr<Operation> pwrite_file(const Place &place, long size)
{
	return std::make_unique<Transfer>(place.writable + "/dir/1m", O_WRONLY, size);
}

// A file of the lower branch is opened for writing, each time another one. The branch itself copies
// it as a program would, with copy_file_range(2).
class CopyUp final : public Operation
{
public:
	CopyUp(const Place &place, long size)
		: place_(place), size_(size),
		  directory_("copy/" + std::to_string(size / 1024) + "k/")
	{
	}
	bool possible() override
	{
		// mergerfs writes to whatever branch has the file.
		return place_.filesystem != "mergerfs";
	}
	std::uint64_t run(unsigned count) override
	{
		std::uint64_t sum = 0;

		for (unsigned i = 0; i < count; ++i) {
			const std::string name = std::to_string(next_++);
			const std::string from = directory_ + name;
			const std::string to = place_.writable + "/" + from;
			const std::uint64_t begin = ticks();
			if (place_.is_branch())
				copy(from.c_str(), to.c_str());
			else
				close(must(open(from.c_str(), O_WRONLY), from.c_str()));
			sum += ticks() - begin;
			copies_.push_back(place_.is_branch() ? to : from);
		}
		return sum;
	}
	void end() override
	{
		for (const std::string &copy : copies_) {
			// So that all copies fit.
			if (size_ > 4 * page)
				must(truncate(copy.c_str(), 0), copy.c_str());
		}
		copies_.clear();
	}

private:
	void copy(const char *from, const char *to) const
	{
		const int in = must(open(from, O_RDONLY), from);
		const int out = must(open(to, O_WRONLY | O_CREAT | O_EXCL, 0644), to);
		for (ssize_t left = size_; left > 0;)
			left -= must(copy_file_range(in, nullptr, out, nullptr,
						     static_cast<size_t>(left), 0),
				     "copy_file_range");
		close(in);
		close(out);
	}

	const Place &place_;
	long size_;
	std::string directory_;
	unsigned next_ = 0;
	std::vector<std::string> copies_;
};

std::unique_ptr<Operation> copy_up(const Place &place, long size)
{
	return std::make_unique<CopyUp>(place, size);
}

} // namespace

const std::vector<Kind> &file_kinds()
{
	static const std::vector<Kind> kinds = {
		{"open_close", {0}, open_close},	{"open_read_close", {0}, open_read_close},
		{"pread", {page, 1 << 20}, pread_file}, {"pwrite", {page, 1 << 20}, pwrite_file},
		{"copy_up", {page}, copy_up, 16, 7},	{"copy_up", {64 << 20}, copy_up, 1, 2},
	};
	return kinds;
}

} // namespace bench
