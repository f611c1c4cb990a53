// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two processes use the same mappings: one changes them, the other looks. Newer kernels show a mapping under a lock of
 * its own, or RCU, while others change. So a mapping has to have its prfile before others see it, and may get another
 * one only while nobody looks. A kernel with KCSAN reports a violation (`KCSAN=y make kunit`, see kunit/README.md). On
 * each kernel the shown files have to be right.
 */
#include "support/show.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "race.cases"
#undef CASE

/* scripts/testing/check-log knows the provoked race by these names. */
void aufs_test_provoked_race_write(struct vm_area_struct *vma, struct file *file);
struct file *aufs_test_provoked_race_read(const struct vm_area_struct *vma);

[[gnu::noinline]] void aufs_test_provoked_race_write(struct vm_area_struct *vma, struct file *file)
{
	vma->vm_prfile = file;
}

[[gnu::noinline]] struct file *aufs_test_provoked_race_read(const struct vm_area_struct *vma)
{
	return aufs_test_vma_reported_file(vma);
}
}

using namespace aufs;
using namespace aufs::test;

namespace
{

/* Calls @body again and again, in a process beside the caller's, until the end of the scope. */
template <class F> class Beside final
{
public:
	Beside(struct kunit *test, F body) : test_(test), body_(body)
	{
		started_ = EXPECT_EQ(test, aufs_test_start(&process_), 0);
	}
	Beside(const Beside &) = delete;
	Beside &operator=(const Beside &) = delete;
	~Beside()
	{
		ends_.store(true);
		if (started_)
			EXPECT_EQ(test_, aufs_test_end(&process_), 0);
	}

private:
	static int run(void *data)
	{
		auto *beside = static_cast<Beside *>(data);

		while (!beside->ends_.load()) {
			beside->body_();
			aufs_test_give_way();
		}
		return 0;
	}

	struct kunit *test_;
	F body_;
	cxxrt::Atomic<bool> ends_;
	struct aufs_test_process process_ = {run, this, 0};
	bool started_;
};

constexpr unsigned int pages = ShowSetup::pages;

/* The changes in a window of an address space, made by the process that has it. */
class Changes final
{
public:
	/* Room for the file's pages, and for those that move. */
	static constexpr unsigned int window = 4 * pages;

	Changes(struct kunit *test, const struct file &file, const struct file &other)
		: test_(test), file_(file), other_(other),
		  base_(static_cast<unsigned long>(aufs_test_mmap(nullptr, 0, window * PAGE_SIZE,
								  PROT_NONE,
								  MAP_PRIVATE | MAP_ANONYMOUS, 0)))
	{
	}

	/*
	 * Makes, splits, moves, merges and ends a mapping once, and copies it with @forks. Returns false if a call
	 * failed. @waits: lets the other process look, also on one processor.
	 */
	bool once(bool waits, bool forks)
	{
		constexpr unsigned long both = PROT_READ | PROT_WRITE;
		unsigned long moved = addr(2 * pages);
		unsigned long word = 0;

		return map_at(file_, 0, pages, both) &&
		       is(aufs_test_mprotect(addr(2), 2 * PAGE_SIZE, PROT_READ), 0) &&
		       is(aufs_test_read_user(addr(1), &word, sizeof(word)), 0) &&
		       is(static_cast<long>(word), 1) && map_at(other_, 4, 2, both) &&
		       (!waits || sleep()) &&
		       is(aufs_test_mremap(addr(0), 2 * PAGE_SIZE, 2 * PAGE_SIZE,
					   MREMAP_MAYMOVE | MREMAP_FIXED, moved),
			  static_cast<long>(moved)) &&
		       is(aufs_test_remap_file_pages(moved, 2 * PAGE_SIZE, 5), 0) &&
		       (!forks || fork()) &&
		       is(aufs_test_mprotect(addr(2), 2 * PAGE_SIZE, both), 0) &&
		       is(vm_munmap(base_, window * PAGE_SIZE), 0);
	}

private:
	unsigned long addr(unsigned int page) const
	{
		return base_ + page * PAGE_SIZE;
	}
	bool is(long result, long expected) const
	{
		return EXPECT_EQ(test_, result, expected);
	}
	bool map_at(const struct file &file, unsigned int page, unsigned int count,
		    unsigned long prot) const
	{
		return is(map(file, count, 0, prot, MAP_SHARED | MAP_FIXED, addr(page)),
			  static_cast<long>(addr(page)));
	}
	bool fork() const
	{
		struct mm_struct *copy = aufs_test_fork_mm();

		if (!EXPECT(test_, !is_error(copy)))
			return false;
		aufs_test_put_mm(copy);
		return true;
	}
	static bool sleep()
	{
		aufs_test_sleep(1);
		return true;
	}

	struct kunit *test_;
	const struct file &file_;
	const struct file &other_;
	unsigned long base_;
};

} // namespace

/* KCSAN reports a race here, as it would at the kernel's sites: one is provoked. */
CASE_BODY(race_is_seen)
{
	if (!aufs_test_has_kcsan())
		return aufs_test_skip(test, "this kernel has no KCSAN");

	ShowSetup setup(test);

	if (!setup.ok())
		return;
	in_process(test, [&]() {
		struct vm_area_struct vma = {};
		bool seen = false;

		vma.vm_file = setup.file.get();
		vma.vm_prfile = setup.file.get();

		Beside reader(test, [&vma]() { aufs_test_provoked_race_read(&vma); });

		for (int tries = 0; !seen && tries < 300; ++tries) {
			for (int i = 0; i < 5000; ++i)
				aufs_test_provoked_race_write(&vma, setup.file.get());
			aufs_test_sleep(20);
			seen = aufs_test_is_logged_with("BUG: KCSAN: data-race in ",
							"aufs_test_provoked_race_write");
		}
		EXPECT(test, seen);
	});
}

CASE_BODY(race_shown_while_changed)
{
	const unsigned int rounds = aufs_test_has_kcsan() ? 4000 : 400;
	constexpr unsigned int most_rounds = 20000;
	constexpr unsigned int looks = 30;
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	auto other = setup.mount.make("/union/other", pages);

	if (!other)
		return;

	const ShownFile files[] = {{stat_of(test, *setup.file), "/union/file"},
				   {stat_of(test, *other), "/union/other"}};

	in_process(test, [&]() {
		Changes changes(test, *setup.file, *other);
		cxxrt::Atomic<unsigned int> looked;
		FilesShown shown;
		char mapper[16];

		scnprintf(mapper, sizeof(mapper), "%d", aufs_test_pid());
		{
			Beside reader(test, [&]() {
				shown.look(mapper, looked.fetch_add(1) % 2 ? "smaps" : "maps",
					   {files, 2});
			});

			for (unsigned int i = 0;
			     i < rounds || (looked.load() < looks && i < most_rounds); ++i) {
				if (!changes.once(i % 8 == 0, i % 16 == 0))
					break;
			}
		}
		EXPECT(test, looked.load() >= looks);
		EXPECT(test, shown.right > 0);
		EXPECT_EQ(test, shown.wrong, 0);
	});
}
