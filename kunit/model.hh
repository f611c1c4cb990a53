/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of some address spaces and of the files that are mapped there: for each page of a window
 * what is mapped at it, and nothing of how the kernel does that. What the kernel has is compared with
 * it, page for page and count for count.
 */
#pragma once

#include "fixture.hh"

namespace aufs::test
{

/* The same numbers for the same seed, on each machine. */
class Random final
{
public:
	explicit Random(u64 seed) noexcept : state_(seed)
	{
	}
	/* 0 .. @limit - 1 */
	unsigned int below(unsigned int limit) noexcept
	{
		return static_cast<unsigned int>((next() >> 32) % limit);
	}
	/* Yes, once in @times. */
	bool once_in(unsigned int times) noexcept
	{
		return below(times) == 0;
	}

private:
	/* splitmix64 */
	u64 next() noexcept
	{
		u64 z = state_ += 0x9e3779b97f4a7c15ULL;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		return z ^ (z >> 31);
	}

	u64 state_;
};

/* What is mapped at a page. */
struct Page {
	static constexpr int nothing = -1;
	static constexpr int anonymous = -2;

	/* One of the model's opens, or nothing, or anonymous. */
	int open = nothing;
	/* MAP_SHARED, and whether it may be written through that. */
	bool shared = false;
	bool writable = false;
	bool dont_fork = false;
	bool random = false;
	unsigned long prot = 0;
	/* The file's page. */
	unsigned long offset = 0;

	bool is_mapped() const noexcept
	{
		return open != nothing;
	}
	bool is_file() const noexcept
	{
		return open >= 0;
	}
	/* One with @other, but for the offset. */
	bool is_like(const Page &other) const noexcept
	{
		return open == other.open && shared == other.shared && writable == other.writable &&
		       dont_fork == other.dont_fork && random == other.random && prot == other.prot;
	}
	/* What follows it by @pages in a mapping. */
	Page after(unsigned int pages) const noexcept
	{
		Page page = *this;

		page.offset += pages;
		return page;
	}
};

/* A file that is open, or is closed and still mapped. */
struct Open {
	/* Null: unused. */
	struct file *user = nullptr;
	/* Null: a plain file. */
	struct file *branch = nullptr;
	/* The user's own. */
	Ref<struct file> held;
	/* Ours on the branch file, so that the last one that the union has can be seen to go. */
	Ref<struct file> watch;
	unsigned int path = 0;
	bool writable = false;
	/* How many mappings have it, in all address spaces. */
	unsigned int mappings = 0;

	/* Whether @vma has its two files. */
	bool is_of(const struct vm_area_struct &vma) const noexcept
	{
		return branch ? vma.vm_file == branch && vma.vm_prfile == user :
				vma.vm_file == user && !vma.vm_prfile;
	}
};

struct Range {
	unsigned int first;
	unsigned int count;

	unsigned int end() const noexcept
	{
		return first + count;
	}
	bool overlaps(Range other) const noexcept
	{
		return first < other.end() && other.first < end();
	}
};

struct Space {
	static constexpr unsigned int window = 64;
	static constexpr unsigned int opens = 12;

	struct mm_struct *mm = nullptr;
	Page pages[window];
	/* As the kernel has them: which pages are one mapping, and how many map which file. */
	unsigned int areas = 0;
	Range area[window];
	unsigned int mappings[opens] = {};

	void clear(Range range) noexcept
	{
		for (unsigned int i = range.first; i < range.end(); ++i)
			pages[i] = {};
	}
	/* A mapping that begins with @page. */
	void fill(Range range, const Page &page) noexcept
	{
		for (unsigned int i = 0; i < range.count; ++i)
			pages[range.first + i] = page.after(i);
	}
};

class Model final
{
public:
	static constexpr unsigned int spaces = 4;
	static constexpr unsigned int paths = 6;
	static constexpr unsigned int file_pages = 16;

	Model(struct kunit *test, u64 seed) noexcept;
	Model(const Model &) = delete;
	Model &operator=(const Model &) = delete;
	~Model();

	bool ok() const noexcept
	{
		return ok_;
	}
	/* Takes @steps steps, and looks after each. False where something is wrong, which is told. */
	bool walk(unsigned int steps) noexcept;
	/* Whether each way to take a step was taken, and not refused. */
	bool has_done_all() const noexcept;
	/* All processes end, and all files are closed. */
	bool end() noexcept;

	/* Compares the current address space, or all, and all counts; null, or what is wrong. */
	const char *compare_current() noexcept;
	const char *compare_all() noexcept;

	/* For who wants to see whether it is compared: an open of the union, some mapping of it. */
	bool begin_with(unsigned int pages) noexcept;
	Open &first_open() noexcept
	{
		return open_[0];
	}
	unsigned long addr(unsigned int page) const noexcept
	{
		return base_ + page * PAGE_SIZE;
	}

private:
	/* What a step did, to tell if it was wrong. */
	struct Step {
		/* Null: there was nothing to do. */
		const char *name = nullptr;
		unsigned long arguments[6] = {};
		long result = 0;
		long expected = 0;
	};

	struct Choice {
		unsigned int weight;
		void (Model::*take)() noexcept;
	};
	static constexpr unsigned int ways = 15;
	static const Choice choices[ways];

	void step() noexcept;
	void map() noexcept;
	void unmap() noexcept;
	void protect() noexcept;
	void advise() noexcept;
	void move() noexcept;
	void shrink() noexcept;
	void grow() noexcept;
	void keep_and_move() noexcept;
	void remap_file_pages() noexcept;
	void touch() noexcept;
	void open() noexcept;
	void close() noexcept;
	void fork() noexcept;
	void exit() noexcept;
	void change_space() noexcept;

	/* Whether @path can be opened for writing. */
	static bool has_writable(unsigned int path) noexcept;
	/* The first word of page @page of @path. */
	static unsigned long word_of(unsigned int path, unsigned long page) noexcept;
	bool make_files() noexcept;
	bool open_into(Open &open, unsigned int path, bool writable) noexcept;
	bool enter_new() noexcept;
	void leave() noexcept;
	void put_current() noexcept;
	const char *compare(Space &space) noexcept;
	const char *compare_counts() noexcept;
	const char *forget_unused() noexcept;
	static void compare_vma(struct vm_area_struct *vma, void *data) noexcept;

	/* Of the current space. */
	Range some_range(unsigned int longest) noexcept;
	bool some_part(Range &part) noexcept;
	unsigned long some_prot() noexcept;
	static unsigned long length(unsigned int pages) noexcept
	{
		return pages * PAGE_SIZE;
	}
	template <class... A> void say(const char *name, A... arguments) noexcept
	{
		step_ = {name, {static_cast<unsigned long>(arguments)...}, 0, 0};
	}
	/* Whether @result is the expected one; only then the model does what the kernel did. */
	bool is(long result, long expected) noexcept
	{
		step_.result = result;
		step_.expected = expected;
		return result == expected;
	}
	/* The same, where the expected one is an address. */
	bool is_at(long result, unsigned int page) noexcept
	{
		return is(result, static_cast<long>(addr(page)));
	}

	struct kunit *test_;
	u64 seed_;
	Random random_;
	Union mount_;
	unsigned long base_ = 0;
	Open open_[Space::opens];
	Space space_[spaces];
	/* The one whose mm is in use; null: none. */
	Space *current_ = nullptr;
	Step step_;
	unsigned int done_[ways] = {};
	bool ok_ = false;
};

} // namespace aufs::test
