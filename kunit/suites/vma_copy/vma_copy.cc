// SPDX-License-Identifier: GPL-2.0-only
/* Both files of a mapping when it is copied, cut and dropped by the kernel's own functions, in a real address space. */
#include "vma_copy.hh"

using namespace aufs;
using namespace aufs::test;

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

	/* Of three mappings in a row, the outer two are cut, and the one between goes. */
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
	/* These calls take a reference on the file for a while. */
	EXPECT_EQ(test, aufs_test_madvise(addr, pages * PAGE_SIZE, MADV_WILLNEED), 0);
	EXPECT_EQ(test, aufs_test_madvise(addr, PAGE_SIZE, MADV_REMOVE), 0);
	EXPECT_MAPPED(test, setup, 3);
	expect_page(test, addr, 0, 0);
	EXPECT_EQ(test, aufs_test_madvise(addr, pages * PAGE_SIZE, MADV_NORMAL), 0);
	EXPECT_MAPPED(test, setup, 1);
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
	/* Each mm has its own references. */
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

/* The end of a process unmaps everything. */
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
	auto maps_more = [](void *data) -> int {
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
