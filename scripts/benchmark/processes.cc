// SPDX-License-Identifier: GPL-2.0-only
//
// Processes with many mappings of a file, what procfs says of them, and programs.

#include "measure.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench
{
namespace
{

char text[65536];

// Between begin() and end() this process has SIZE mappings of a file that do not merge: each maps its first page.
class Mapped : public Operation
{
public:
	explicit Mapped(long size) : length_(static_cast<size_t>(size) * page)
	{
	}
	void begin(unsigned) override
	{
		space_ = reserve(length_);
		const int fd = must(open("read/dir/4k", O_RDONLY), "read/dir/4k");
		for (size_t at = 0; at < length_; at += page)
			map(space_ + at, page, PROT_READ, MAP_SHARED | MAP_FIXED, fd);
		close(fd);
	}
	void end() override
	{
		munmap(space_, length_);
	}

private:
	size_t length_;
	char *space_ = nullptr;
};

bool reap(pid_t child)
{
	int status = -1;

	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

class ForkExit final : public Mapped
{
public:
	using Mapped::Mapped;
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = ticks();
		for (unsigned i = 0; i < count; ++i) {
			const pid_t child = fork();
			if (child == 0)
				_exit(0);
			if (!reap(child))
				die("fork or its child failed");
		}
		return ticks() - begin;
	}
};

std::unique_ptr<Operation> fork_exit(const Place &, long size)
{
	return std::make_unique<ForkExit>(size);
}

class ReadProc final : public Mapped
{
public:
	ReadProc(const char *path, long size) : Mapped(size), path_(path)
	{
	}
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = ticks();
		for (unsigned i = 0; i < count; ++i) {
			const int fd = must(open(path_, O_RDONLY), path_);
			while (must(read(fd, text, sizeof(text)), path_) > 0)
				;
			close(fd);
		}
		return ticks() - begin;
	}

private:
	const char *path_;
};

std::unique_ptr<Operation> maps(const Place &, long size)
{
	return std::make_unique<ReadProc>("/proc/self/maps", size);
}

std::unique_ptr<Operation> smaps(const Place &, long size)
{
	return std::make_unique<ReadProc>("/proc/self/smaps", size);
}

// /bin/true with the place as the root, so that its loader and library are from there.
std::unique_ptr<Operation> exec(const Place &, long)
{
	static char name[] = "true";
	static char *const arguments[] = {name, nullptr};
	static char *const environment[] = {nullptr};

	return simple([] {
		// fork() would copy this process's mappings, and posix_spawn() has no chroot().
		// NOLINTNEXTLINE(bugprone-unsafe-functions,clang-analyzer-security.insecureAPI.vfork)
		const pid_t child = vfork();
		if (child == 0) {
			// The root of the child alone: vfork() does not share the root.
			// NOLINTNEXTLINE(clang-analyzer-unix.Vfork)
			if (chroot(".") == 0)
				execve("/bin/true", arguments, environment);
			_exit(1);
		}
		return reap(child);
	});
}

} // namespace

const std::vector<Kind> &process_kinds()
{
	static const std::vector<Kind> kinds = {
		{"fork_exit", {16, 512, 8192}, fork_exit},
		{"maps", {16, 512, 8192}, maps},
		{"smaps", {16, 512, 8192}, smaps},
		{"exec", {0}, exec},
	};
	return kinds;
}

} // namespace bench
