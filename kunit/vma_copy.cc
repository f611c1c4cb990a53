// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of both files of a mapping when it is copied, cut and dropped: by the kernel's own
 * functions, in a real address space.
 */
#include "file.hh"
#include "fixture.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "vma_copy.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr unsigned int pages = 8;

/* A union with a file of eight pages, open once, and an address space. */
struct Setup {
	Union mount;
	Ref<struct file> file;
	AddressSpace space;

	explicit Setup(struct kunit *test) noexcept
		: mount(test), file(mount.ok() ? mount.make("/union/file", pages) : Ref<struct file>()),
		  space(test)
	{
	}
	bool ok() const noexcept
	{
		return file && space.ok();
	}
};

/*
 * There are @mappings of @file in the address space, all of them right, and each of the two files
 * has a reference for each.
 */
#define EXPECT_MAPPED(kunit, setup, mappings)                                                      \
	do {                                                                                       \
		EXPECT_EQ(kunit, mappings_of((setup).space.mm(), *(setup).file), mappings);         \
		EXPECT_EQ(kunit, uses_of((setup).space.mm(), *(setup).file), mappings);             \
		EXPECT_COUNTS(kunit, *(setup).file, mappings);                                      \
	} while (0)

/* Page @index of the mapping at @addr is page @expected of the file. */
void expect_page(struct kunit *test, unsigned long addr, unsigned long index,
		 unsigned long expected) noexcept
{
	unsigned long number = ~0UL;

	EXPECT_EQ(test, aufs_test_read_user(addr + index * PAGE_SIZE, &number, sizeof(number)), 0);
	EXPECT_EQ(test, number, expected);
}

} // namespace

CASE_BODY(copy_mmap_takes_one_of_each)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	EXPECT_COUNTS(test, *setup.file, 0);

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_MAPPED(test, setup, 1);
	expect_page(test, addr, 5, 5);
	EXPECT_MAPPED(test, setup, 1);
	MAP(test, *setup.file, 2, 3, PROT_READ);
	EXPECT_MAPPED(test, setup, 2);
}

CASE_BODY(copy_mmap_private)
{
	Setup setup(test);
	const unsigned long word = 77;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages, 0, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	EXPECT_MAPPED(test, setup, 1);
	EXPECT_EQ(test, aufs_test_write_user(addr + PAGE_SIZE, &word, sizeof(word)), 0);
	expect_page(test, addr, 1, 77);
	expect_page(test, addr, 2, 2);
	EXPECT_MAPPED(test, setup, 1);
}

CASE_BODY(copy_mapping_outlives_close)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	struct file *file = setup.file.get();

	setup.file = {};
	EXPECT_EQ(test, aufs_test_file_count(file), 1);
	EXPECT_EQ(test, mappings_of(setup.space.mm(), *file), 1);
	expect_page(test, addr, 7, 7);
}

CASE_BODY(copy_munmap_whole)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, vm_munmap(addr, pages * PAGE_SIZE), 0);
	EXPECT_MAPPED(test, setup, 0);
}

CASE_BODY(copy_munmap_head_and_tail)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, vm_munmap(addr, PAGE_SIZE), 0);
	EXPECT_MAPPED(test, setup, 1);
	EXPECT_EQ(test, vm_munmap(addr + (pages - 1) * PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT_MAPPED(test, setup, 1);
	expect_page(test, addr, 1, 1);
}

CASE_BODY(copy_munmap_middle)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, vm_munmap(addr + 3 * PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT_MAPPED(test, setup, 2);
	expect_page(test, addr, 2, 2);
	expect_page(test, addr, 4, 4);
}

CASE_BODY(copy_munmap_several)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	/* Three in a row, of which the outer two are cut and the one between goes. */
	unsigned long addr = MAP(test, *setup.file, pages);

	MAP(test, *setup.file, 2, 0, PROT_READ, MAP_SHARED | MAP_FIXED, addr + 2 * PAGE_SIZE);
	EXPECT_MAPPED(test, setup, 3);
	EXPECT_EQ(test, vm_munmap(addr + PAGE_SIZE, 4 * PAGE_SIZE), 0);
	EXPECT_MAPPED(test, setup, 2);
}

CASE_BODY(copy_mmap_over)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto other = setup.mount.make("/union/other", pages);

	if (!other)
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	MAP(test, *other, 2, 0, PROT_READ, MAP_SHARED | MAP_FIXED, addr + 2 * PAGE_SIZE);
	EXPECT_MAPPED(test, setup, 2);
	EXPECT_COUNTS(test, *other, 1);
	MAP(test, *other, pages, 0, PROT_READ, MAP_SHARED | MAP_FIXED, addr);
	EXPECT_MAPPED(test, setup, 0);
	EXPECT_COUNTS(test, *other, 1);
	setup.space.end();
	EXPECT_COUNTS(test, *other, 0);
}

CASE_BODY(copy_mprotect)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_mprotect(addr + 2 * PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ), 0);
	EXPECT_MAPPED(test, setup, 3);
	EXPECT_EQ(test, aufs_test_mprotect(addr + 7 * PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	EXPECT_MAPPED(test, setup, 4);
	EXPECT_EQ(test, aufs_test_mprotect(addr, pages * PAGE_SIZE, PROT_READ), 0);
	EXPECT_MAPPED(test, setup, 1);
	expect_page(test, addr, 7, 7);
}

CASE_BODY(copy_madvise)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_madvise(addr + PAGE_SIZE, 2 * PAGE_SIZE, MADV_RANDOM), 0);
	EXPECT_MAPPED(test, setup, 3);
	/* These look at the file for a while, and give it back. */
	EXPECT_EQ(test, aufs_test_madvise(addr, pages * PAGE_SIZE, MADV_WILLNEED), 0);
	EXPECT_EQ(test, aufs_test_madvise(addr, PAGE_SIZE, MADV_REMOVE), 0);
	EXPECT_MAPPED(test, setup, 3);
	expect_page(test, addr, 0, 0);
	EXPECT_EQ(test, aufs_test_madvise(addr, pages * PAGE_SIZE, MADV_NORMAL), 0);
	EXPECT_MAPPED(test, setup, 1);
}

CASE_BODY(copy_mremap_moves)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	unsigned long to = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, vm_munmap(to, pages * PAGE_SIZE), 0);
	EXPECT_EQ(test,
		  aufs_test_mremap(addr, pages * PAGE_SIZE, pages * PAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, to),
		  to);
	EXPECT_MAPPED(test, setup, 1);
	expect_page(test, to, 6, 6);
}

CASE_BODY(copy_mremap_moves_a_part)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	/* From the middle of one over the middle of another. */
	unsigned long addr = MAP(test, *setup.file, pages);
	unsigned long to = MAP(test, *setup.file, pages);

	EXPECT_MAPPED(test, setup, 2);
	EXPECT_EQ(test,
		  aufs_test_mremap(addr + 3 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				   to + 5 * PAGE_SIZE),
		  to + 5 * PAGE_SIZE);
	EXPECT_MAPPED(test, setup, 5);
	expect_page(test, to, 5, 3);
}

CASE_BODY(copy_mremap_grows)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, vm_munmap(addr + 4 * PAGE_SIZE, 4 * PAGE_SIZE), 0);
	EXPECT_EQ(test, aufs_test_mremap(addr, 4 * PAGE_SIZE, pages * PAGE_SIZE, 0, 0), addr);
	EXPECT_MAPPED(test, setup, 1);
	expect_page(test, addr, 7, 7);
}

CASE_BODY(copy_mremap_grows_elsewhere)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	/* What follows it keeps it from growing where it is. */
	EXPECT_EQ(test, aufs_test_mprotect(addr + 2 * PAGE_SIZE, 6 * PAGE_SIZE, PROT_READ), 0);
	EXPECT_MAPPED(test, setup, 2);

	long to = aufs_test_mremap(addr, 2 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE, 0);

	EXPECT(test, is_address(to) && to != static_cast<long>(addr));
	EXPECT_MAPPED(test, setup, 2);
	expect_page(test, static_cast<unsigned long>(to), 3, 3);
}

CASE_BODY(copy_mremap_shrinks)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_mremap(addr, pages * PAGE_SIZE, 3 * PAGE_SIZE, 0, 0), addr);
	EXPECT_MAPPED(test, setup, 1);
	EXPECT_EQ(test, vm_munmap(addr, pages * PAGE_SIZE), 0);
	EXPECT_MAPPED(test, setup, 0);
}

CASE_BODY(copy_mremap_dontunmap)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	long to = aufs_test_mremap(addr, pages * PAGE_SIZE, pages * PAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);

	EXPECT(test, is_address(to) && to != static_cast<long>(addr));
	EXPECT_MAPPED(test, setup, 2);
	expect_page(test, static_cast<unsigned long>(to), 2, 2);
	expect_page(test, addr, 2, 2);
}

CASE_BODY(copy_mremap_refused)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	/* Over itself; and where no address space is left. */
	EXPECT_EQ(test,
		  aufs_test_mremap(addr, pages * PAGE_SIZE, pages * PAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, addr + PAGE_SIZE),
		  -EINVAL);
	EXPECT_EQ(test, aufs_test_mremap(addr, pages * PAGE_SIZE, ~0UL & PAGE_MASK, MREMAP_MAYMOVE, 0),
		  -ENOMEM);
	EXPECT_MAPPED(test, setup, 1);
}

CASE_BODY(copy_remap_file_pages)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_remap_file_pages(addr + 2 * PAGE_SIZE, PAGE_SIZE, 6), 0);
	EXPECT_MAPPED(test, setup, 3);
	expect_page(test, addr, 1, 1);
	expect_page(test, addr, 2, 6);
	expect_page(test, addr, 3, 3);
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, PAGE_SIZE, 7), 0);
	EXPECT_MAPPED(test, setup, 4);
	expect_page(test, addr, 0, 7);
}

CASE_BODY(copy_remap_file_pages_that_merges)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_remap_file_pages(addr + 2 * PAGE_SIZE, PAGE_SIZE, 6), 0);
	/* Back to where it was: whether or not it becomes one with its neighbours, it counts. */
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr + 2 * PAGE_SIZE, PAGE_SIZE, 2), 0);

	unsigned int mappings = mappings_of(setup.space.mm(), *setup.file);

	EXPECT_MAPPED(test, setup, mappings);
	/* Over a mapping that is in two parts, of one file. */
	EXPECT_EQ(test, aufs_test_mprotect(addr + 4 * PAGE_SIZE, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, 4 * PAGE_SIZE, 3), 0);
	mappings = mappings_of(setup.space.mm(), *setup.file);
	EXPECT_MAPPED(test, setup, mappings);
	expect_page(test, addr, 0, 3);
	expect_page(test, addr, 3, 6);
}

CASE_BODY(copy_remap_file_pages_refused)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto other = setup.mount.make("/union/other", pages);

	if (!other)
		return;

	unsigned long addr = MAP(test, *setup.file, pages, 0, PROT_READ, MAP_PRIVATE);

	/* Not shared; and a range that another file has a part of. */
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, PAGE_SIZE, 6), -EINVAL);
	EXPECT_MAPPED(test, setup, 1);
	addr = MAP(test, *setup.file, pages);
	MAP(test, *other, 1, 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, addr + 2 * PAGE_SIZE);
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, 4 * PAGE_SIZE, 3), -EINVAL);
	EXPECT_MAPPED(test, setup, 3);
	EXPECT_COUNTS(test, *other, 1);
	setup.space.end();
	EXPECT_COUNTS(test, *other, 0);
}

CASE_BODY(copy_fork)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_mprotect(addr + 2 * PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	EXPECT_MAPPED(test, setup, 3);

	struct mm_struct *copy = aufs_test_fork_mm();

	if (!EXPECT(test, !is_error(copy)))
		return;
	EXPECT_EQ(test, mappings_of(copy, *setup.file), 3);
	EXPECT_COUNTS(test, *setup.file, 6);
	/* Each has its own. */
	EXPECT_EQ(test, vm_munmap(addr, pages * PAGE_SIZE), 0);
	EXPECT_EQ(test, mappings_of(copy, *setup.file), 3);
	EXPECT_COUNTS(test, *setup.file, 3);
	aufs_test_put_mm(copy);
	EXPECT_COUNTS(test, *setup.file, 0);
}

CASE_BODY(copy_fork_dontcopy)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_madvise(addr + 2 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_DONTFORK), 0);
	EXPECT_MAPPED(test, setup, 3);

	struct mm_struct *copy = aufs_test_fork_mm();

	if (!EXPECT(test, !is_error(copy)))
		return;
	EXPECT_EQ(test, mappings_of(copy, *setup.file), 2);
	EXPECT_COUNTS(test, *setup.file, 5);
	aufs_test_put_mm(copy);
	EXPECT_MAPPED(test, setup, 3);
}

CASE_BODY(copy_fork_of_a_fork)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	MAP(test, *setup.file, pages);

	struct mm_struct *child = aufs_test_fork_mm();

	if (!EXPECT(test, !is_error(child)))
		return;
	setup.space.end();
	EXPECT_COUNTS(test, *setup.file, 1);
	aufs_test_enter_mm(child);

	struct mm_struct *grandchild = aufs_test_fork_mm();

	aufs_test_leave_mm(child);
	aufs_test_put_mm(child);
	if (!EXPECT(test, !is_error(grandchild)))
		return;
	EXPECT_EQ(test, mappings_of(grandchild, *setup.file), 1);
	EXPECT_COUNTS(test, *setup.file, 1);
	aufs_test_put_mm(grandchild);
	EXPECT_COUNTS(test, *setup.file, 0);
}

/* The end of a process, as it happens to one: it unmaps all that it has. */
CASE_BODY(copy_process_exits)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	MAP(test, *setup.file, pages);

	struct InChild {
		struct file *file;
		long before;
	} in_child{setup.file.get(), 0};
	auto maps_more = [](void *data) noexcept -> int {
		auto *args = static_cast<InChild *>(data);

		args->before = aufs_test_file_count(args->file);
		if (!is_address(map(*args->file, 3, 2)))
			return 1;
		if (aufs_test_file_count(args->file) != args->before + 1)
			return 2;
		return 0;
	};

	EXPECT_EQ(test, aufs_test_fork(maps_more, &in_child), 0);
	EXPECT_EQ(test, in_child.before, 3);
	EXPECT_MAPPED(test, setup, 1);
}

CASE_BODY(copy_exit)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	for (unsigned int i = 0; i < pages; ++i)
		MAP(test, *setup.file, 1, i);
	EXPECT_EQ(test, mappings_of(setup.space.mm(), *setup.file), pages);
	EXPECT_COUNTS(test, *setup.file, pages);
	setup.space.end();
	EXPECT_COUNTS(test, *setup.file, 0);
}

CASE_BODY(copy_two_opens_of_one_file)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto again = setup.mount.open("/union/file", O_RDONLY);

	if (!again)
		return;

	unsigned long addr = MAP(test, *setup.file, 4);

	MAP(test, *again, 2, 4, PROT_READ);
	EXPECT_MAPPED(test, setup, 1);
	EXPECT_COUNTS(test, *again, 1);
	EXPECT_EQ(test, vm_munmap(addr, 4 * PAGE_SIZE), 0);
	EXPECT_MAPPED(test, setup, 0);
	EXPECT_COUNTS(test, *again, 1);
	setup.space.end();
	EXPECT_COUNTS(test, *again, 0);
}
