// SPDX-License-Identifier: GPL-2.0-only
//
// Names: stat, lookup, readdir, mount.

#include "measure.hh"

#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ctime>
#include <unistd.h>

namespace bench
{
namespace
{

char entries[32768];

std::unique_ptr<Operation> stat_hot(const Place &, long)
{
	return simple([] {
		struct stat status;
		return stat("read/dir/4k", &status) == 0;
	});
}

// Names that the dentry cache, which was emptied, does not have. (tmpfs keeps its dentries.)
class StatCold final : public Operation
{
public:
	explicit StatCold(const char *prefix) : prefix_(prefix)
	{
	}
	void begin(unsigned) override
	{
		drop_dentries();
		next_ = 0;
	}
	std::uint64_t run(unsigned count) override
	{
		char name[32];
		struct stat status;
		std::uint64_t sum = 0;

		for (unsigned i = 0; i < count; ++i) {
			std::snprintf(name, sizeof(name), "%s%u", prefix_, next_++);
			const std::uint64_t begin = ticks();
			must(stat(name, &status), name);
			sum += ticks() - begin;
		}
		return sum;
	}

private:
	const char *prefix_;
	unsigned next_ = 0;
};

std::unique_ptr<Operation> stat_cold(const Place &, long)
{
	return std::make_unique<StatCold>("read/cold/");
}

std::unique_ptr<Operation> negative(const Place &, long)
{
	return simple([] {
		struct stat status;
		return stat("read/dir/not", &status) == -1 && errno == ENOENT;
	});
}

// Each time a name that nobody has asked for: not even another union over the same branch.
class NegativeNew : public Operation
{
public:
	explicit NegativeNew(std::string directory) : directory_(std::move(directory))
	{
	}
	std::uint64_t run(unsigned count) override
	{
		static unsigned next = 0;
		char name[48];
		struct stat status;
		std::uint64_t sum = 0;

		for (unsigned i = 0; i < count; ++i) {
			std::snprintf(name, sizeof(name), "%snot%08u", directory_.c_str(), next++);
			const std::uint64_t begin = ticks();
			const int result = stat(name, &status);
			sum += ticks() - begin;
			if (result == 0)
				die("%s is there", name);
		}
		return sum;
	}

protected:
	std::string directory_;
};

std::unique_ptr<Operation> negative_new(const Place &, long)
{
	return std::make_unique<NegativeNew>("read/dir/");
}

// The same in a directory in which nobody has asked for a name: each batch has a directory of its own. So a union has
// learned nothing of the directory that would help it to answer. SIZE is the number of branches that have the
// directory.
class NegativeOnce final : public NegativeNew
{
public:
	explicit NegativeOnce(long size) : NegativeNew(""), size_(size)
	{
	}
	void begin(unsigned) override
	{
		static std::map<long, unsigned> next;
		struct stat status;

		directory_ =
			"once/" + std::to_string(size_) + "/" + std::to_string(next[size_]++) + "/";
		must(stat(directory_.c_str(), &status), directory_.c_str());
	}

private:
	long size_;
};

std::unique_ptr<Operation> negative_once(const Place &, long size)
{
	return std::make_unique<NegativeOnce>(size);
}

// getdents64 to the end; whether there were at least @count entries.
bool read_entries(int fd, long count)
{
	long left = 0;

	for (;;) {
		const long got = syscall(SYS_getdents64, fd, entries, sizeof(entries));
		if (got <= 0)
			break;
		left += got;
	}
	// No record is shorter.
	return left >= count * 24;
}

// open, getdents64 to the end, close.
template <bool Merged> std::unique_ptr<Operation> readdir_all(const Place &, long size)
{
	const std::string path = (Merged ? "merged/" : "read/") + std::to_string(size);
	return simple([path, size] {
		const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY);
		return read_entries(fd, size) && close(fd) == 0;
	});
}

// The same while another descriptor is open that has read the directory.
class SecondReader final : public Operation
{
public:
	explicit SecondReader(long size)
		: size_(size), path_("merged/" + std::to_string(size)),
		  second_(readdir_all<true>({}, size))
	{
	}
	void begin(unsigned) override
	{
		first_ = must(open(path_.c_str(), O_RDONLY | O_DIRECTORY), path_.c_str());
		if (!read_entries(first_, size_))
			die("%s has not all of its entries", path_.c_str());
	}
	std::uint64_t run(unsigned count) override
	{
		return second_->run(count);
	}
	void end() override
	{
		close(first_);
	}

private:
	long size_;
	std::string path_;
	std::unique_ptr<Operation> second_;
	int first_ = -1;
};

std::unique_ptr<Operation> readdir_second(const Place &, long size)
{
	return std::make_unique<SecondReader>(size);
}

// A mount waits for RCU, so the clock of this thread is read.
class Mount final : public Operation
{
public:
	explicit Mount(const Place &place) : place_(place)
	{
	}
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = thread_ticks();
		for (unsigned i = 0; i < count; ++i) {
			must(mount("none", place_.path.c_str(), place_.type.c_str(), 0,
				   place_.options.c_str()),
			     "mount");
			must(umount2(place_.path.c_str(), 0), "umount");
		}
		return thread_ticks() - begin;
	}

private:
	static std::uint64_t thread_ticks()
	{
		timespec time;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
		return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
		       static_cast<std::uint64_t>(time.tv_nsec);
	}

	const Place &place_;
};

std::unique_ptr<Operation> mount_umount(const Place &place, long)
{
	return std::make_unique<Mount>(place);
}

std::unique_ptr<Operation> depth_stat(const Place &, long)
{
	return simple([] {
		struct stat status;
		return stat("lowest", &status) == 0;
	});
}

std::unique_ptr<Operation> depth_cold(const Place &, long)
{
	return std::make_unique<StatCold>("cold");
}

std::unique_ptr<Operation> depth_negative(const Place &, long)
{
	return std::make_unique<NegativeNew>("");
}

} // namespace

const std::vector<Kind> &name_kinds()
{
	static const std::vector<Kind> kinds = {
		{"stat_hot", {0}, stat_hot},
		{"stat_cold", {0}, stat_cold, 100, 15},
		{"negative", {0}, negative},
		{"negative_new", {0}, negative_new, 100, 15},
		{"negative_once", {1, 2}, negative_once, 100, 15},
		{"readdir", {10, 10000}, readdir_all<false>},
		{"readdir_merged", {10, 10000}, readdir_all<true>},
		{"readdir_second", {10, 10000}, readdir_second},
		// Their size is the number of branches of the places that are given.
		{"mount", {-1}, mount_umount, 0, 25},
		{"depth_stat", {-1}, depth_stat},
		{"depth_cold", {-1}, depth_cold, 50, 15},
		{"depth_negative", {-1}, depth_negative, 0, 15},
	};
	return kinds;
}

} // namespace bench
