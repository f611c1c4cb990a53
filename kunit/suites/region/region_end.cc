// SPDX-License-Identifier: GPL-2.0-only
/* The end of a mapping, and what is shown until then. */
#include "mmap/mapping.hh"
#include "region.hh"

#ifndef CONFIG_MMU

using namespace aufs;
using namespace aufs::test;

CASE_BODY(region_munmap)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, vm_munmap(addr, all_pages), 0);
	expect_held(test, *setup.file, 0, 0);
	/* The same with another part. */
	EXPECT_EQ(test, MAP(test, *setup.file, 2, 6), addr + 6 * PAGE_SIZE);
	expect_held(test, *setup.file, 2, 1);
	EXPECT_EQ(test, vm_munmap(addr + 6 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	expect_held(test, *setup.file, 0, 0);
}

/* Without an MMU only an anonymous mapping can be cut. */
CASE_BODY(region_munmap_of_a_part_is_refused)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long shared = MAP(test, *setup.file, pages);
	unsigned long copy = MAP(test, *setup.file, pages, 0, read_write, MAP_PRIVATE);

	const unsigned long both[] = {shared, copy};

	for (unsigned long addr : both) {
		EXPECT_EQ(test, vm_munmap(addr, PAGE_SIZE), -EINVAL);
		EXPECT_EQ(test, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE), -EINVAL);
		EXPECT_EQ(test, vm_munmap(addr + all_pages - PAGE_SIZE, PAGE_SIZE), -EINVAL);
	}
	expect_direct(test, mapping_at(test, setup.space, shared), *setup.file, *setup.file, 1);
	expect_copy(test, mapping_at(test, setup.space, copy), *setup.file, 1);
	expect_held(test, *setup.file, 4, 1);
}

CASE_BODY(region_mremap)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long shared = MAP(test, *setup.file, pages);
	unsigned long copy = MAP(test, *setup.file, pages, 0, read_write, MAP_PRIVATE);

	EXPECT_EQ(test, aufs_test_mremap(shared, all_pages, PAGE_SIZE, 0, 0), -EPERM);
	EXPECT_EQ(test, aufs_test_mremap(copy, all_pages, 2 * all_pages, MREMAP_MAYMOVE, 0),
		  -ENOMEM);
	EXPECT_EQ(test, aufs_test_mremap(copy, all_pages, PAGE_SIZE, 0, 0), copy);
	EXPECT_EQ(test, aufs_test_mremap(copy, PAGE_SIZE, all_pages, 0, 0), copy);
	expect_copy(test, mapping_at(test, setup.space, copy), *setup.file, 1);
	expect_held(test, *setup.file, 4, 1);
	setup.space.end();
	expect_held(test, *setup.file, 0, 0);
}

/* The branch looks for mappings of its inode, and finds those of the union. */
CASE_BODY(region_truncate_of_a_mapped_file)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_truncate(&setup.file->f_path, PAGE_SIZE), -ETXTBSY);
	expect_page(test, addr, 7, 7);
	EXPECT_EQ(test, vm_munmap(addr, all_pages), 0);
	EXPECT_EQ(test, aufs_test_truncate(&setup.file->f_path, PAGE_SIZE), 0);
	expect_held(test, *setup.file, 0, 0);
}

CASE_BODY(region_outlives_close)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	struct file *file = setup.file.get();

	setup.file = {};
	EXPECT_EQ(test, aufs_test_file_count(file), 2);
	expect_page(test, addr, 7, 7);
	expect_direct(test, mapping_at(test, setup.space, addr), *file, *file, 1);

	/* A file that is opened now finds the inode. */
	auto again = setup.mount.open("/union/file", O_RDWR);

	if (!again)
		return;

	SecondSpace second(test, setup.space);

	if (!second.ok())
		return;
	EXPECT_EQ(test, MAP(test, *again, pages), addr);
	expect_direct(test, mapping_at(test, second.space(), addr), *again, *file, 2);
}

CASE_BODY(region_exit)
{
	Setup setup(test);

	if (!setup.ok())
		return;
	for (unsigned int i = 0; i < pages; ++i) {
		MAP(test, *setup.file, 1, i);
		MAP(test, *setup.file, 1, i, read_write, MAP_PRIVATE);
	}
	expect_held(test, *setup.file, 4 * pages, pages);
	setup.space.end();
	expect_held(test, *setup.file, 0, 0);
}

/* /proc/maps shows the regions of all. */
CASE_BODY(region_shown_in_maps)
{
	Setup setup(test);
	Proc proc(test);

	if (!setup.ok() || !proc.ok())
		return;

	auto branchs = setup.mount.open("/branches/rw/file", O_RDWR);

	if (!branchs)
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	unsigned long copy = MAP(test, *setup.file, 2, 3, read_write, MAP_PRIVATE);
	ShownIdentity identity = stat_of(test, *setup.file);
	Shown shared{addr, pages, 0, "rw-S", *setup.file, identity, "/union/file"};

	OBSERVERS(test, ".").maps("maps", shared);
	OBSERVERS(test, ".").maps("maps",
				  {copy, 2, 3, "rw-p", *setup.file, identity, "/union/file"});
	/* The name of now is shown. */
	EXPECT_EQ(test, aufs_test_rename("/union/file", "/union/renamed"), 0);
	shared.path = "/union/renamed";
	OBSERVERS(test, ".").maps("maps", shared);
	EXPECT_EQ(test, vm_munmap(addr, all_pages), 0);
	EXPECT_EQ(test, vm_munmap(copy, 2 * PAGE_SIZE), 0);

	/* The branch's own mapping reports the branch's file. */
	EXPECT_EQ(test, MAP(test, *branchs, pages), addr);
	OBSERVERS(test, ".").maps("maps", {addr, pages, 0, "rw-S", *branchs,
					   stat_of(test, *branchs), "/branches/rw/renamed"});
}

/*
 * A union gives the region its user's file. If a filesystem gives a region the file that serves, and a prfile, that one
 * is shown, and put with the region.
 */
CASE_BODY(region_with_a_prfile)
{
	Setup setup(test);
	Proc proc(test);

	if (!setup.ok() || !proc.ok())
		return;

	auto other = setup.mount.open("/branches/rw/file", O_RDWR);

	if (!other)
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	struct vm_region *region = mapping_at(test, setup.space, addr).region;

	if (!EXPECT(test, region))
		return;
	set_prfile(*region, other.clone());
	OBSERVERS(test, ".").maps("maps", {addr, pages, 0, "rw-S", *other, stat_of(test, *other),
					   "/branches/rw/file"});
	EXPECT_EQ(test, aufs_test_file_count(other.get()), 2);
	EXPECT_EQ(test, vm_munmap(addr, all_pages), 0);
	EXPECT_EQ(test, aufs_test_file_count(other.get()), 1);
	expect_held(test, *setup.file, 0, 0);
}

namespace
{

struct file *reported_before_error;

/* As no filesystem of ours does: the region and the vma have a prfile already when ->mmap fails. */
int sets_prfiles_and_fails(struct file *, struct vm_area_struct *vma)
{
	set_prfile(*vma, Ref<struct file>::retain(reported_before_error));
	set_prfile(*vma->vm_region, Ref<struct file>::retain(reported_before_error));
	return -EIO;
}

} // namespace

CASE_BODY(region_of_a_mapping_that_failed)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto plain = setup.mount.open("/branches/rw/file", O_RDWR);

	if (!plain)
		return;

	const struct file_operations *operations = plain->f_op;
	struct file_operations failing = *operations;

	set_mmap(failing, sets_prfiles_and_fails);
	reported_before_error = setup.file.get();
	plain->f_op = &failing;
	EXPECT_EQ(test, map(*plain, pages), -EIO);
	plain->f_op = operations;
	EXPECT_EQ(test, aufs_test_file_count(plain.get()), 1);
	expect_held(test, *setup.file, 0, 0);
}

#endif /* !CONFIG_MMU */
