// SPDX-License-Identifier: GPL-2.0-only
//
// Mappings and their faults.

#include "measure.hh"

#include <cstdio>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace bench
{
namespace
{

constexpr size_t huge = 2 << 20;
constexpr int faulted = 256;

int open_file(const std::string &path, int flags)
{
	return must(open(path.c_str(), flags), path.c_str());
}

class OnFile : public Operation
{
public:
	OnFile(std::string path, int flags) : path_(std::move(path)), flags_(flags)
	{
	}
	void begin(unsigned) override
	{
		fd_ = open_file(path_, flags_);
	}
	void end() override
	{
		close(fd_);
	}

protected:
	std::string path_;
	int flags_, fd_ = -1;
};

class MmapMunmap final : public OnFile
{
public:
	MmapMunmap() : OnFile("read/dir/4k", O_RDONLY)
	{
	}
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = ticks();
		for (unsigned i = 0; i < count; ++i)
			munmap(map(nullptr, page, PROT_READ, MAP_SHARED, fd_), page);
		return ticks() - begin;
	}
};

std::unique_ptr<Operation> mmap_munmap(const Place &, long)
{
	return std::make_unique<MmapMunmap>();
}

// One touch of each page of a megabyte that is mapped afresh, and of each huge page of 16 MiB.
class Fault final : public OnFile
{
public:
	Fault(std::string path, int protection, int flags, size_t step, int around)
		: OnFile(std::move(path),
			 protection & PROT_WRITE && flags == MAP_SHARED ? O_RDWR : O_RDONLY),
		  protection_(protection), mapping_(flags), step_(step), around_(around)
	{
	}
	bool possible() override
	{
		OnFile::begin(1);
		void *got = mmap(nullptr, page, protection_, mapping_, fd_, 0);
		OnFile::end();
		if (got == MAP_FAILED)
			return false;
		munmap(got, page);
		return true;
	}
	void begin(unsigned count) override
	{
		OnFile::begin(count);
		around(around_);
	}
	std::uint64_t run(unsigned count) override
	{
		const size_t length = step_ == huge ? 8 * huge : faulted * page;
		char *space = reserve(length + huge);
		char *where = space + (huge - reinterpret_cast<std::uintptr_t>(space) % huge);
		std::uint64_t sum = 0;

		for (unsigned i = 0; i < count; ++i) {
			map(where, length, protection_, mapping_ | MAP_FIXED, fd_);
			const std::uint64_t begin = ticks();
			for (size_t at = 0; at < length; at += step_) {
				volatile char *byte = where + at;
				if (protection_ & PROT_WRITE)
					*byte = 1;
				else
					(void)*byte;
			}
			sum += ticks() - begin;
		}
		munmap(space, length + huge);
		return sum;
	}
	void end() override
	{
		OnFile::end();
		around(65536);
	}

private:
	static void around(int bytes)
	{
		write_file("/sys/kernel/debug/fault_around_bytes", std::to_string(bytes).c_str());
	}

	int protection_, mapping_;
	size_t step_;
	int around_;
};

constexpr int read_write = PROT_READ | PROT_WRITE;

std::unique_ptr<Operation> fault_read_around(const Place &, long)
{
	return std::make_unique<Fault>("read/dir/1m", PROT_READ, MAP_SHARED, page, 65536);
}

std::unique_ptr<Operation> fault_read(const Place &, long)
{
	return std::make_unique<Fault>("read/dir/1m", PROT_READ, MAP_SHARED, page, page);
}

std::unique_ptr<Operation> fault_write(const Place &place, long)
{
	return std::make_unique<Fault>(place.writable + "/dir/1m", read_write, MAP_SHARED, page,
				       page);
}

std::unique_ptr<Operation> fault_private(const Place &, long)
{
	return std::make_unique<Fault>("read/dir/1m", read_write, MAP_PRIVATE, page, page);
}

std::unique_ptr<Operation> fault_huge(const Place &, long)
{
	return std::make_unique<Fault>("read/dir/16m", PROT_READ, MAP_SHARED, huge, page);
}

// mprotect in the middle makes three mappings of one, and one again.
class SplitMerge final : public OnFile
{
public:
	SplitMerge() : OnFile("read/dir/1m", O_RDONLY)
	{
	}
	// Mappings stay split if their filesystem (FUSE) is told of their end: that is another
	// operation.
	bool possible() override
	{
		begin(1);
		run(1);
		const bool merged = mappings_between(space_ + page, space_ + 4 * page) == 1;
		end();
		return merged;
	}
	void begin(unsigned count) override
	{
		OnFile::begin(count);
		space_ = reserve(5 * page);
		map(space_ + page, 3 * page, PROT_READ, MAP_SHARED | MAP_FIXED, fd_);
	}
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = ticks();
		for (unsigned i = 0; i < count; ++i) {
			must(mprotect(space_ + 2 * page, page, PROT_NONE), "mprotect");
			must(mprotect(space_ + 2 * page, page, PROT_READ), "mprotect");
		}
		return ticks() - begin;
	}
	void end() override
	{
		munmap(space_, 5 * page);
		OnFile::end();
	}

private:
	static int mappings_between(const char *begin, const char *end)
	{
		std::FILE *file = std::fopen("/proc/self/maps", "r");
		char line[512];
		unsigned long start = 0;
		int found = 0;

		if (!file)
			die("/proc/self/maps: %m");
		while (std::fgets(line, sizeof(line), file)) {
			if (std::sscanf(line, "%lx-", &start) == 1 &&
			    start >= reinterpret_cast<std::uintptr_t>(begin) &&
			    start < reinterpret_cast<std::uintptr_t>(end))
				found++;
		}
		std::fclose(file);
		return found;
	}

	char *space_ = nullptr;
};

std::unique_ptr<Operation> split_merge(const Place &, long)
{
	return std::make_unique<SplitMerge>();
}

// There and back: two moves a step.
class Move final : public OnFile
{
public:
	Move() : OnFile("read/dir/1m", O_RDONLY)
	{
	}
	void begin(unsigned count) override
	{
		OnFile::begin(count);
		space_ = reserve(7 * page);
		map(space_ + page, page, PROT_READ, MAP_SHARED | MAP_FIXED, fd_);
	}
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = ticks();
		for (unsigned i = 0; i < count; ++i) {
			move(space_ + page, space_ + 5 * page);
			move(space_ + 5 * page, space_ + page);
		}
		return ticks() - begin;
	}
	void end() override
	{
		munmap(space_, 7 * page);
		OnFile::end();
	}

private:
	static void move(char *from, char *to)
	{
		if (mremap(from, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
			die("mremap: %m");
	}

	char *space_ = nullptr;
};

std::unique_ptr<Operation> mremap_moved(const Place &, long)
{
	return std::make_unique<Move>();
}

} // namespace

const std::vector<Kind> &mapping_kinds()
{
	static const std::vector<Kind> kinds = {
		{"mmap_munmap", {0}, mmap_munmap},
		{"fault_read_around", {0}, fault_read_around, 0, 0, faulted},
		{"fault_read", {0}, fault_read, 0, 0, faulted},
		{"fault_write", {0}, fault_write, 0, 0, faulted},
		{"fault_private", {0}, fault_private, 0, 0, faulted},
		{"fault_huge", {0}, fault_huge, 0, 0, 8},
		{"split_merge", {0}, split_merge},
		{"mremap", {0}, mremap_moved, 0, 0, 2},
	};
	return kinds;
}

} // namespace bench
