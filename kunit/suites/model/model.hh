/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of some address spaces and of the files that are mapped there: for each page of a window the model has what
 * is mapped at it, and nothing of how the kernel does that. The kernel's state is compared with it, page for page and
 * count for count.
 *
 * Branches of the union come and go between the steps. That does not change open and mapped files. It changes which
 * file a name leads to, and whether a branch may go.
 */
#pragma once

#include "support/fixture.hh"

namespace aufs::test
{

/* Gives the same numbers for the same seed, on each machine. */
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
	/* True once in @times. */
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

/* The mapping of one page. */
struct Page {
	static constexpr int nothing = -1;
	static constexpr int anonymous = -2;

	/* The number of one of the model's opens, or nothing, or anonymous. */
	int open = nothing;
	/* MAP_SHARED, and whether the mapping may become writable. */
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
	/* Whether the two can be in one mapping, except for the offset. */
	bool is_like(const Page &other) const
	{
		return open == other.open && shared == other.shared && writable == other.writable &&
		       dont_fork == other.dont_fork && random == other.random && prot == other.prot;
	}
	/* The page that follows this one by @pages in its mapping. */
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
	/* The user's reference. */
	Ref<struct file> held;
	/* Our reference on the branch file, which shows when the union's last one goes. */
	Ref<struct file> watch;
	/* The content of the file: one of the model's contents. */
	unsigned int content = 0;
	bool writable = false;
	/* The branch was detached after the open. */
	bool left_behind = false;
	/* The number of mappings, in all address spaces. */
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
	/* As the kernel has them: the ranges of pages that are one mapping, and the mappings of each file. */
	unsigned int areas = 0;
	Range area[window];
	unsigned int mappings[opens] = {};

	void clear(Range range)
	{
		for (unsigned int i = range.first; i < range.end(); ++i)
			pages[i] = {};
	}
	/* A mapping whose first page is @page. */
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
	/* The last path leads to the file of the uppermost module. */
	static constexpr unsigned int paths = 7;
	/* Branches that come and go. Each has a file of the same name. */
	static constexpr unsigned int modules = 3;
	/* One content for each other path, and one for each module. */
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
	/* Takes @steps steps, and compares after each. False if something is wrong, which is reported. */
	bool walk(unsigned int steps);
	/* Whether each kind of step was taken, and not refused. */
	bool has_done_all() const;
	/* Ends all processes, and closes all files. */
	bool end();

	/* Compares the current address space, or all, and all counts. Returns null, or what is wrong. */
	const char *compare_current();
	const char *compare_all();

	/* For a test of the comparison: opens a file of the union, and maps some of it. */
	bool begin_with(unsigned int pages);
	Open &first_open()
	{
		return open_[0];
	}
	/* Whether the name that all modules have leads to the file that the model means. */
	bool leads_right();
	unsigned long addr(unsigned int page) const
	{
		return base_ + page * PAGE_SIZE;
	}

private:
	/* The last step, to be reported if it was wrong. */
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
	/* The content that @path leads to, or @contents if there is no such file. */
	unsigned int content_at(unsigned int path) const;
	/* Returns 0, or the errno. */
	long open_into(Open &open, unsigned int path, bool writable);
	static constexpr unsigned int content_of_module(unsigned int module)
	{
		return paths - 1 + module;
	}
	long change_branches(const char *format, unsigned int module);
	/* The place in the list of some module for which @is is true, or @modules. */
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

	/* Parts of the current space. */
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
	/* Whether @result is the expected one. Only then the model does the same. */
	bool is(long result, long expected)
	{
		step_.result = result;
		step_.expected = expected;
		return result == expected;
	}
	/* The same for an address. */
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
	/* The space whose mm is in use; null if none is. */
	Space *current_ = nullptr;
	Step step_;
	unsigned int done_[ways] = {};
	bool ok_ = false;
};

} // namespace aufs::test
