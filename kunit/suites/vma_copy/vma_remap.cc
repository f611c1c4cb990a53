// SPDX-License-Identifier: GPL-2.0-only
/* vma_copy.cc, continued: mappings that move (mremap) or show another part (remap_file_pages). */
#include "vma_copy.hh"

using namespace aufs;
using namespace aufs::test;

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

	/* From the middle of a mapping over the middle of another. */
	unsigned long addr = MAP(test, *setup.file, pages);
	unsigned long to = MAP(test, *setup.file, pages);

	EXPECT_MAPPED(test, setup, 2);
	EXPECT_EQ(test,
		  aufs_test_mremap(addr + 3 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, to + 5 * PAGE_SIZE),
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

	/* The mapping behind it keeps it from growing in place. */
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

	/* Over itself, and without any address space left. */
	EXPECT_EQ(test,
		  aufs_test_mremap(addr, pages * PAGE_SIZE, pages * PAGE_SIZE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, addr + PAGE_SIZE),
		  -EINVAL);

	/* -ENOMEM; newer kernels return -EINVAL, for any mapping. */
	long memory =
		aufs_test_mmap(nullptr, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	long refused = aufs_test_mremap(static_cast<unsigned long>(memory), PAGE_SIZE,
					~0UL & PAGE_MASK, MREMAP_MAYMOVE, 0);

	EXPECT(test, refused == -ENOMEM || refused == -EINVAL);
	EXPECT_EQ(test,
		  aufs_test_mremap(addr, pages * PAGE_SIZE, ~0UL & PAGE_MASK, MREMAP_MAYMOVE, 0),
		  refused);
	EXPECT_EQ(test, vm_munmap(static_cast<unsigned long>(memory), PAGE_SIZE), 0);
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
	/* Back to its offset: it counts whether or not it merges with its neighbours. */
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr + 2 * PAGE_SIZE, PAGE_SIZE, 2), 0);

	unsigned int mappings = mappings_of(setup.space.mm(), *setup.file);

	EXPECT_MAPPED(test, setup, mappings);
	/* Over a mapping that is in two parts of one file. */
	EXPECT_EQ(test,
		  aufs_test_mprotect(addr + 4 * PAGE_SIZE, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE),
		  0);
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

	/* A private mapping, and a range that has a part of another file. */
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, PAGE_SIZE, 6), -EINVAL);
	EXPECT_MAPPED(test, setup, 1);
	addr = MAP(test, *setup.file, pages);
	MAP(test, *other, 1, 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
	    addr + 2 * PAGE_SIZE);
	EXPECT_EQ(test, aufs_test_remap_file_pages(addr, 4 * PAGE_SIZE, 3), -EINVAL);
	EXPECT_MAPPED(test, setup, 3);
	EXPECT_COUNTS(test, *other, 1);
	setup.space.end();
	EXPECT_COUNTS(test, *other, 0);
}
