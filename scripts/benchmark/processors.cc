// SPDX-License-Identifier: GPL-2.0-only
//
// Several processors do one operation on one place, at a time or in turn, each by a process of its own. Only
// meanwhile the kernel counts what happens to its locks (/proc/lock_stat).

#include "measure.hh"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <new>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench
{
namespace
{

constexpr unsigned most_tasks = 64, rehearsals = 16;
constexpr const char *file = "read/dir/4k";

// A word that the processes share, with a cache line of its own.
struct Word {
	alignas(64) std::atomic<unsigned> value = 0;
};

struct Shared {
	Word ready, go, done, stop;
	// 1 for the process whose turn it is.
	Word turns[most_tasks];
};

void futex(Word &word, int what, unsigned value, const timespec *limit = nullptr)
{
	syscall(SYS_futex, &word.value, what, value, limit, nullptr, 0);
}

void set(Word &word, unsigned value)
{
	word.value = value;
	futex(word, FUTEX_WAKE, most_tasks);
}

void add_one(Word &word)
{
	++word.value;
	futex(word, FUTEX_WAKE, most_tasks);
}

void wait_for(Word &word)
{
	while (word.value == 0)
		futex(word, FUTEX_WAIT, 0);
}

// An operation that is repeated. No later process of this boot has the number of an earlier one.
class Work
{
public:
	virtual ~Work() = default;
	virtual void begin()
	{
	}
	virtual void step(unsigned number) = 0;
};

class Nothing final : public Work
{
public:
	void step(unsigned) override
	{
		syscall(SYS_getppid);
	}
};

class Stat final : public Work
{
public:
	void step(unsigned) override
	{
		struct stat status;
		must(stat(file, &status), file);
	}
};

class Open final : public Work
{
public:
	void step(unsigned) override
	{
		close(must(open(file, O_RDONLY), file));
	}
};

// An operation on a file that each process has opened by itself.
class OnFile : public Work
{
public:
	void begin() override
	{
		fd_ = must(open(file, O_RDONLY), file);
	}

protected:
	int fd_ = -1;
};

class Read final : public OnFile
{
public:
	void step(unsigned) override
	{
		char bytes[page];
		if (pread(fd_, bytes, page, 0) != page)
			die("%s: pread: %m", file);
	}
};

class Map final : public OnFile
{
public:
	void step(unsigned) override
	{
		char *mapped = map(nullptr, page, PROT_READ, MAP_SHARED, fd_);
		(void)*static_cast<volatile char *>(mapped);
		munmap(mapped, page);
	}
};

class NewName final : public Work
{
public:
	void step(unsigned number) override
	{
		char name[64];
		struct stat status;
		std::snprintf(name, sizeof(name), "read/dir/no-%d-%u", getpid(), number);
		if (stat(name, &status) != -1 || errno != ENOENT)
			die("%s is not said to be missing: %m", name);
	}
};

class Create final : public Work
{
public:
	void step(unsigned number) override
	{
		char name[64];
		std::snprintf(name, sizeof(name), "made/%d-%u", getpid(), number);
		close(must(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644), name));
	}
};

class ReadDirectory final : public Work
{
public:
	void step(unsigned) override
	{
		char entries[8192];
		long all = 0;
		long got = 0;
		const int fd = must(open("read/100", O_RDONLY | O_DIRECTORY), "read/100");
		while ((got = must(syscall(SYS_getdents64, fd, entries, sizeof(entries)),
				   "getdents64")) > 0)
			all += got;
		close(fd);
		// No record is shorter.
		if (all < 100L * 24)
			die("read/100 has too few entries");
	}
};

template <typename Kind> std::unique_ptr<Work> make()
{
	return std::make_unique<Kind>();
}

constexpr struct {
	const char *name;
	std::unique_ptr<Work> (*make)();
} works[] = {
	{"nothing", make<Nothing>}, {"stat", make<Stat>},
	{"open", make<Open>},	    {"read", make<Read>},
	{"mmap", make<Map>},	    {"new_name", make<NewName>},
	{"create", make<Create>},   {"readdir", make<ReadDirectory>},
};

std::unique_ptr<Work> work_of(const std::string &name)
{
	for (const auto &one : works) {
		if (name == one.name)
			return one.make();
	}
	die("unknown operation '%s'", name.c_str());
}

void pin(unsigned processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	must(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

// One of the processes.
[[noreturn]] void run(Shared &shared, const Processors &asked, unsigned number)
{
	const std::unique_ptr<Work> work = work_of(asked.operation);
	Word &mine = shared.turns[number];
	Word &next = shared.turns[(number + 1) % asked.tasks];

	must(prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
	pin(number);
	work->begin();
	for (unsigned i = 0; i < rehearsals; ++i)
		work->step(i);
	add_one(shared.ready);
	wait_for(shared.go);
	for (unsigned i = 0; i < asked.count; ++i) {
		if (asked.in_turn)
			wait_for(mine);
		work->step(rehearsals + i);
		if (asked.in_turn) {
			mine.value = 0;
			set(next, 1);
		}
	}
	add_one(shared.done);
	// The locks at the end of a process are not to be counted.
	wait_for(shared.stop);
	_exit(0);
}

// Waits until all processes have added one to @word. None of them may end before.
void wait_for_all(Word &word, unsigned tasks)
{
	const timespec second = {1, 0};
	unsigned value = 0;

	while ((value = word.value) < tasks) {
		futex(word, FUTEX_WAIT, value, &second);
		if (waitpid(-1, nullptr, WNOHANG) != 0)
			die("a process has ended too early");
	}
}

std::uint64_t now()
{
	timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
	       static_cast<std::uint64_t>(time.tv_nsec);
}

} // namespace

void measure_processors(Place &place, const Processors &asked)
{
	Shared &shared = *new (map(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1)) Shared;
	int status = 0;

	if (asked.tasks < 2 || asked.tasks > most_tasks || asked.count == 0)
		die("two processes at least, and %u at most", most_tasks);
	must(fchdir(place.fd), place.path.c_str());
	for (unsigned number = 0; number < asked.tasks; ++number) {
		if (must(fork(), "fork") == 0)
			run(shared, asked, number);
	}
	wait_for_all(shared.ready, asked.tasks);
	// The deferred work of the beginning ends meanwhile.
	usleep(200000);
	write_file("/proc/lock_stat", "0");
	write_file("/proc/sys/kernel/lock_stat", "1");
	const std::uint64_t began = now();
	shared.turns[0].value = 1;
	set(shared.go, 1);
	wait_for_all(shared.done, asked.tasks);
	const std::uint64_t took = now() - began;
	write_file("/proc/sys/kernel/lock_stat", "0");
	set(shared.stop, 1);
	for (unsigned number = 0; number < asked.tasks; ++number) {
		if (must(wait(&status), "wait") > 0 && status != 0)
			die("a process has ended with status %d", status);
	}
	std::printf(
		"{\"processors\": \"%s\", \"filesystem\": \"%s\", \"in_turn\": %s, \"tasks\": %u, "
		"\"operations\": %u, \"took\": %llu}\n",
		asked.operation.c_str(), place.filesystem.c_str(), asked.in_turn ? "true" : "false",
		asked.tasks, asked.tasks * asked.count, static_cast<unsigned long long>(took));
	munmap(&shared, sizeof(shared));
}

} // namespace bench
