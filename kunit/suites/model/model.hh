/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of some address spaces and of the files that are mapped there: for each page of a window
 * what is mapped at it, and nothing of how the kernel does that. What the kernel has is compared with
 * it, page for page and count for count.
 *
 * Branches of the union come and go among the steps. What is open and mapped does not change by that;
 * which file a name leads to does, and whether a branch may go.
 */
#pragma once

#include "support/fixture.hh"

namespace aufs::test
{

/* The same numbers for the same seed, on each machine. */
class Random final
{
public:
	explicit Random(u64 seed) : state_(seed)
	{
	}
	/* 0 .. @limit - 1 */
	unsigned int below(unsigned int limit)
	{
		return static_cast<unsigned int>((next() >> 32) % limit);
	}
	/* Yes, once in @times. */
	bool once_in(unsigned int times)
	{
		return below(times) == 0;
	}

private:
	/* splitmix64 */
	u64 next()
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

	bool is_mapped() const
	{
		return open != nothing;
	}
	bool is_file() const
	{
		return open >= 0;
	}
	/* One with @other, but for the offset. */
	bool is_like(const Page &other) const
	{
		return open == other.open && shared == other.shared && writable == other.writable &&
		       dont_fork == other.dont_fork && random == other.random && prot == other.prot;
	}
	/* What follows it by @pages in a mapping. */
	Page after(unsigned int pages) const
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
	/* What the file has in it: one of the model's contents. */
	unsigned int content = 0;
	bool writable = false;
	/* The branch that it was opened on has been detached since. */
	bool left_behind = false;
	/* How many mappings have it, in all address spaces. */
	unsigned int mappings = 0;

	/* Whether @vma has its two files. */
	bool is_of(const struct vm_area_struct &vma) const
	{
		return branch ? vma.vm_file == branch && vma.vm_prfile == user :
				vma.vm_file == user && !vma.vm_prfile;
	}
};

struct Range {
	unsigned int first;
	unsigned int count;

	unsigned int end() const
	{
		return first + count;
	}
	bool overlaps(Range other) const
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

	void clear(Range range)
	{
		for (unsigned int i = range.first; i < range.end(); ++i)
			pages[i] = {};
	}
	/* A mapping that begins with @page. */
	void fill(Range range, const Page &page)
	{
		for (unsigned int i = 0; i < range.count; ++i)
			pages[range.first + i] = page.after(i);
	}
};

class Model final
{
public:
	static constexpr unsigned int spaces = 4;
	/* The last one leads to the file of the uppermost module. */
	static constexpr unsigned int paths = 7;
	/* Branches that come and go. Each has a file of the same name. */
	static constexpr unsigned int modules = 3;
	/* That of each other path, and that of each module. */
	static constexpr unsigned int contents = paths - 1 + modules;
	static constexpr unsigned int file_pages = 16;

	Model(struct kunit *test, u64 seed);
	Model(const Model &) = delete;
	Model &operator=(const Model &) = delete;
	~Model();

	bool ok() const
	{
		return ok_;
	}
	/* Takes @steps steps, and looks after each. False where something is wrong, which is told. */
	bool walk(unsigned int steps);
	/* Whether each way to take a step was taken, and not refused. */
	bool has_done_all() const;
	/* All processes end, and all files are closed. */
	bool end();

	/* Compares the current address space, or all, and all counts; null, or what is wrong. */
	const char *compare_current();
	const char *compare_all();

	/* For who wants to see whether it is compared: an open of the union, some mapping of it. */
	bool begin_with(unsigned int pages);
	Open &first_open()
	{
		return open_[0];
	}
	/* Whether the name that all modules have leads to what the model means. */
	bool leads_right();
	unsigned long addr(unsigned int page) const
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
		void (Model::*take)();
	};
	static constexpr unsigned int ways = 18;
	static const Choice choices[ways];

	void step();
	void map();
	void unmap();
	void protect();
	void advise();
	void move();
	void shrink();
	void grow();
	void keep_and_move();
	void remap_file_pages();
	void touch();
	void open();
	void close();
	void fork();
	void exit();
	void change_space();
	void add_branch();
	void remove_branch();
	void detach_branch();

	/* Whether @path can be opened for writing. */
	static bool has_writable(unsigned int path);
	/* The first word of page @page of a file. */
	static unsigned long word_of(unsigned int content, unsigned long page);
	bool make_files();
	/* What @path leads to: a content, or @contents where there is no such file. */
	unsigned int content_at(unsigned int path) const;
	/* 0, or what went wrong. */
	long open_into(Open &open, unsigned int path, bool writable);
	static constexpr unsigned int content_of_module(unsigned int module)
	{
		return paths - 1 + module;
	}
	long change_branches(const char *format, unsigned int module);
	/* One of those in the list that @is chooses: its place there, or @modules. */
	template <class F> unsigned int some_module(F is);
	bool has_opens(unsigned int module) const;
	bool is_in_use(unsigned int module) const;
	void take_out(unsigned int place);
	bool enter_new();
	void leave();
	void put_current();
	const char *compare(Space &space);
	const char *compare_counts();
	const char *forget_unused();
	static void compare_vma(struct vm_area_struct *vma, void *data);

	/* Of the current space. */
	Range some_range(unsigned int longest);
	bool some_part(Range &part);
	unsigned long some_prot();
	static unsigned long length(unsigned int pages)
	{
		return pages * PAGE_SIZE;
	}
	template <class... A> void say(const char *name, A... arguments)
	{
		step_ = {name, {static_cast<unsigned long>(arguments)...}, 0, 0};
	}
	/* Whether @result is the expected one; only then the model does what the kernel did. */
	bool is(long result, long expected)
	{
		step_.result = result;
		step_.expected = expected;
		return result == expected;
	}
	/* The same, where the expected one is an address. */
	bool is_at(long result, unsigned int page)
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
	/* The modules that are branches, from the uppermost on. */
	unsigned int listed_[modules] = {};
	unsigned int listed_count_ = 0;
	/* The one whose mm is in use; null: none. */
	Space *current_ = nullptr;
	Step step_;
	unsigned int done_[ways] = {};
	bool ok_ = false;
};

} // namespace aufs::test
