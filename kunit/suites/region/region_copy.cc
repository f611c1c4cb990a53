// SPDX-License-Identifier: GPL-2.0-only
/* Mappings that are copies, and mappings that fail. */
#include "support/failing.hh"
#include "region.hh"

#ifndef CONFIG_MMU

using namespace aufs;
using namespace aufs::test;

namespace
{

/* Without an MMU a file is in one piece if it got its size at once. This one is not. */
Ref<struct file> make_scattered(struct kunit *test, Union &mount, const char *path)
{
	auto file = mount.open(path, O_RDWR | O_CREAT);
	auto between = mount.open("/branches/between", O_RDWR | O_CREAT);

	/* Writes from the last page to the first, the two files in turn, so no two pages of a file are neighbours. */
	for (unsigned long page = pages; file && between && page-- > 0;) {
		struct file *both[] = {file.get(), between.get()};

		for (struct file *each : both) {
			auto at = static_cast<loff_t>(page * PAGE_SIZE);

			EXPECT_EQ(test, kernel_write(each, &page, sizeof(page), &at), sizeof(page));
		}
	}
	return file;
}

/* Replaces ->mmap of a branch in this scope. */
class BranchMmap final
{
public:
	BranchMmap(const struct file &file, int (*mmap)(struct file *, struct vm_area_struct *))
		: branch_(h_file_of(file)), own_(branch_.f_op), replaced_(*own_)
	{
		set_mmap(replaced_, mmap);
		branch_.f_op = &replaced_;
	}
	BranchMmap(const BranchMmap &) = delete;
	BranchMmap &operator=(const BranchMmap &) = delete;
	~BranchMmap()
	{
		branch_.f_op = own_;
	}

private:
	struct file &branch_;
	const struct ::file_operations *own_;
	struct ::file_operations replaced_;
};

int cannot(struct file *, struct vm_area_struct *)
{
	return -ENOSYS;
}

int fails(struct file *, struct vm_area_struct *)
{
	return -EIO;
}

} // namespace

CASE_BODY(region_private_writable_is_a_copy)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long shared = MAP(test, *setup.file, pages);
	unsigned long first = MAP(test, *setup.file, pages, 0, read_write, MAP_PRIVATE);
	unsigned long second = MAP(test, *setup.file, 2, 4, read_write, MAP_PRIVATE);
	struct vm_region *one =
		expect_copy(test, mapping_at(test, setup.space, first), *setup.file, 1);
	struct vm_region *two =
		expect_copy(test, mapping_at(test, setup.space, second), *setup.file, 1);

	EXPECT(test, one != two);
	expect_direct(test, mapping_at(test, setup.space, shared), *setup.file, *setup.file, 1);
	/* Each copy and its region have a reference; none is on the branch's file. */
	expect_held(test, *setup.file, 2 + 2 + 2, 1);
	expect_page(test, first, 7, 7);
	expect_page(test, second, 1, 5);
	write_page(test, first, 5, 55);
	expect_page(test, second, 1, 5);
	expect_page(test, shared, 5, 5);
	EXPECT_EQ(test, page_of(*setup.file, 5), 5);
	EXPECT_EQ(test, vm_munmap(first, all_pages), 0);
	expect_held(test, *setup.file, 2 + 2, 1);
	EXPECT_EQ(test, vm_munmap(second, 2 * PAGE_SIZE), 0);
	expect_held(test, *setup.file, 2, 1);
}

/* Without a writer nobody can see a difference, so a copy is not needed. */
CASE_BODY(region_private_read_only_is_direct)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *setup.file, pages, 0, PROT_READ, MAP_PRIVATE), addr);
		expect_direct(test, mapping_at(test, second.space(), addr), *setup.file,
			      *setup.file, 2);
		expect_held(test, *setup.file, 3, 2);
	}
	setup.space.end();
	expect_held(test, *setup.file, 0, 0);
}

CASE_BODY(region_private_of_scattered_pages)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto file = make_scattered(test, setup.mount, "/union/scattered");

	if (!file)
		return;

	/* Both are read-only, so they may share a region, which is a copy. */
	unsigned long addr = MAP(test, *file, pages, 0, PROT_READ, MAP_PRIVATE);

	expect_copy(test, mapping_at(test, setup.space, addr), *file, 1);
	expect_held(test, *file, 2, 0);
	expect_page(test, addr, 0, 0);
	expect_page(test, addr, 7, 7);
	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *file, 3, 2, PROT_READ, MAP_PRIVATE),
			  addr + 2 * PAGE_SIZE);
		expect_copy(test, mapping_at(test, second.space(), addr + 2 * PAGE_SIZE), *file, 2);
		expect_held(test, *file, 3, 0);
	}
	setup.space.end();
	expect_held(test, *file, 0, 0);
}

CASE_BODY(region_shared_of_scattered_pages)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto file = make_scattered(test, setup.mount, "/union/scattered");

	if (!file)
		return;
	EXPECT_EQ(test, map(*file, pages), -ENODEV);
	expect_held(test, *file, 0, 0);
}

/* A branch returns -ENOSYS when it was asked for the address and cannot map. */
CASE_BODY(region_branch_that_cannot_map)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	BranchMmap replaced(*setup.file, cannot);

	EXPECT_EQ(test, map(*setup.file, pages), -ENODEV);
	expect_held(test, *setup.file, 0, 0);

	unsigned long addr = MAP(test, *setup.file, pages, 0, PROT_READ, MAP_PRIVATE);

	/* Then the union's file is read and reported. */
	expect_copy(test, mapping_at(test, setup.space, addr), *setup.file, 1);
	expect_held(test, *setup.file, 2, 0);
	expect_page(test, addr, 6, 6);
	EXPECT_EQ(test, vm_munmap(addr, all_pages), 0);
	expect_held(test, *setup.file, 0, 0);
}

CASE_BODY(region_branch_that_fails)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	BranchMmap replaced(*setup.file, fails);

	EXPECT_EQ(test, map(*setup.file, pages), -EIO);
	EXPECT_EQ(test, map(*setup.file, pages, 0, PROT_READ, MAP_PRIVATE), -EIO);
	expect_held(test, *setup.file, 0, 0);
	/* The branch is not asked if the mapping has to be a copy. */
	MAP(test, *setup.file, pages, 0, read_write, MAP_PRIVATE);
	expect_held(test, *setup.file, 2, 0);
}

CASE_BODY(region_branch_that_fails_to_share)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	SecondSpace second(test, setup.space);

	if (!second.ok())
		return;
	{
		BranchMmap replaced(*setup.file, fails);

		EXPECT_EQ(test, map(*setup.file, pages), -EIO);
		EXPECT_EQ(test, map(*setup.file, 2, 2, PROT_READ, MAP_PRIVATE), -EIO);
	}
	expect_held(test, *setup.file, 2, 1);
	EXPECT_EQ(test, MAP(test, *setup.file, pages), addr);
	expect_direct(test, mapping_at(test, second.space(), addr), *setup.file, *setup.file, 2);
}

CASE_BODY(region_beyond_the_end)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	EXPECT_EQ(test, map(*setup.file, pages + 1), -ENODEV);
	EXPECT_EQ(test, map(*setup.file, 1, pages), -ENODEV);
	expect_held(test, *setup.file, 0, 0);

	unsigned long addr = MAP(test, *setup.file, 2, pages - 1, PROT_READ, MAP_PRIVATE);

	expect_copy(test, mapping_at(test, setup.space, addr), *setup.file, 1);
	expect_page(test, addr, 0, pages - 1);
	expect_page(test, addr, 1, 0);
}

/*
 * The allocations of the region and of the vma fail. The later ones, for the nodes of the mm's tree, do not: 6.12 then
 * frees a region that is still in its tree, and mmap(2) returns 0, for any filesystem.
 */
CASE_BODY(region_no_memory)
{
	Failures failures(test);

	if (!failures.ok())
		return;

	Setup setup(test);

	if (!setup.ok())
		return;
	for (unsigned int nth = 1; nth <= 2; ++nth) {
		aufs_test_fail_nth(nth);

		long result = map(*setup.file, pages);

		EXPECT(test, aufs_test_has_failed());
		aufs_test_fail_nth(0);
		EXPECT_EQ(test, result, -ENOMEM);
		expect_held(test, *setup.file, 0, 0);
	}
}

#endif /* !CONFIG_MMU */
