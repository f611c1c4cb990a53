/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BENCHMARK_MEASURE_HH
#define BENCHMARK_MEASURE_HH

// Shared by the operations. A batch is begin(), run() and end(), with the working directory at the place's root;
// run() alone is measured.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include <x86intrin.h>

namespace bench
{

constexpr long page = 4096;

// Under -icount shift=0 this counts instructions, exactly: QEMU ends a block at each rdtsc.
inline std::uint64_t ticks()
{
	return __rdtsc();
}

[[noreturn, gnu::format(printf, 1, 2)]] void die(const char *format, ...);

// The result of a system call, or the end of the program.
template <typename T> T must(T result, const char *what)
{
	if (result == static_cast<T>(-1))
		die("%s: %m", what);
	return result;
}

// mmap(2), or the end of the program.
char *map(void *where, size_t length, int protection, int flags, int fd);

// Address space for mappings, with nothing beside it that they could merge with.
char *reserve(size_t length);

void write_file(const char *path, const char *text);

// Empties the caches of dentries and inodes.
void drop_dentries();

// A mount to measure: the branch itself or a union over it.
struct Place {
	std::string filesystem, base, path;
	// The directory whose files are on the rw branch. Its names, "lower" and "upper", have the same length.
	std::string writable;
	// mount(2)'s type and options, for an operation that mounts.
	std::string type, options;
	int fd = -1;

	bool is_branch() const
	{
		return filesystem == "branch";
	}
};

class Operation
{
public:
	virtual ~Operation() = default;

	// Whether the place can do the operation; tried before anything is measured.
	virtual bool possible()
	{
		return true;
	}
	virtual void begin(unsigned count)
	{
		(void)count;
	}
	// Does the operation COUNT times; the instructions that it took.
	virtual std::uint64_t run(unsigned count) = 0;
	virtual void end()
	{
	}
};

// An operation that needs neither begin() nor end().
template <typename Step> class Simple final : public Operation
{
public:
	explicit Simple(const Step &step) : step_(step)
	{
	}
	bool possible() override
	{
		return step_();
	}
	std::uint64_t run(unsigned count) override
	{
		const std::uint64_t begin = ticks();
		for (unsigned i = 0; i < count; ++i) {
			if (!step_()) [[unlikely]]
				die("an operation that worked does no more: %m");
		}
		return ticks() - begin;
	}

private:
	Step step_;
};

template <typename Step> std::unique_ptr<Operation> simple(const Step &step)
{
	return std::make_unique<Simple<Step>>(step);
}

struct Kind {
	const char *name;
	// {0} for an operation without a size.
	std::vector<long> sizes;
	std::unique_ptr<Operation> (*make)(const Place &place, long size);
	// How many operations a batch has, and how many batches count; 0: the first tries decide.
	unsigned count = 0, batches = 0;
	// How many results one step gives (pages, names).
	unsigned divisor = 1;
};

const std::vector<Kind> &file_kinds();
const std::vector<Kind> &name_kinds();
const std::vector<Kind> &mapping_kinds();
const std::vector<Kind> &process_kinds();

// Bytes of kernel memory per cached file, open file and mapping, as JSON lines.
void measure_memory(Place &place);

// Names PREFIX0, PREFIX1, ... of a place, of files or of no files, and their title in the result.
struct Names {
	std::string what, prefix;
	long count = 0;
	bool there = true;
};

// Bytes of kernel memory per such name that is in the caches.
void measure_names(Place &place, const Names &names);

// Files in directories of IN_DIRECTORY names, on so many branches (scripts/benchmark/many_names).
struct Many {
	long count = 0, in_directory = 0, branches = 0;
};

// The bytes of the caches with all files in them, and after the kernel was asked to empty them.
void measure_many(Place &place, const Many &many);

// An operation, how many processes do it, each on a processor of its own, and how many times each.
struct Processors {
	std::string operation;
	unsigned tasks = 0, count = 0;
	// One process after the other, so that each finds another processor's cache lines; or all at a time.
	bool in_turn = false;
};

// Leaves the kernel's counts of its locks in /proc/lock_stat.
void measure_processors(Place &place, const Processors &asked);

} // namespace bench

#endif
