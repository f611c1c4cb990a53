// SPDX-License-Identifier: GPL-2.0-only
/* The mappings that share a region. */
#include "region.hh"

#ifndef CONFIG_MMU

using namespace aufs;
using namespace aufs::test;

CASE_BODY(region_shared_is_direct)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	expect_direct(test, mapping_at(test, setup.space, addr), *setup.file, *setup.file, 1);
	/* Two of the mapping, and the region's. */
	expect_held(test, *setup.file, 2, 1);
	expect_page(test, addr, 5, 5);
	write_page(test, addr, 3, 33);
	EXPECT_EQ(test, page_of(*setup.file, 3), 33);
	EXPECT_EQ(test, page_of(h_file_of(*setup.file), 3), 33);
	setup.space.end();
	expect_held(test, *setup.file, 0, 0);
}

CASE_BODY(region_is_shared_by_another_mm)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	struct vm_region *region = mapping_at(test, setup.space, addr).region;

	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *setup.file, pages), addr);
		EXPECT(test, mapping_at(test, second.space(), addr).region == region);
		expect_direct(test, mapping_at(test, second.space(), addr), *setup.file,
			      *setup.file, 2);
		expect_held(test, *setup.file, 3, 2);
		write_page(test, addr, 1, 11);
	}
	expect_direct(test, mapping_at(test, setup.space, addr), *setup.file, *setup.file, 1);
	expect_held(test, *setup.file, 2, 1);
	expect_page(test, addr, 1, 11);
	setup.space.end();
	expect_held(test, *setup.file, 0, 0);
}

CASE_BODY(region_is_shared_by_part)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	struct vm_region *region = mapping_at(test, setup.space, addr).region;
	SecondSpace second(test, setup.space);

	if (!second.ok())
		return;

	unsigned long part = MAP(test, *setup.file, 3, 2);

	EXPECT_EQ(test, part, addr + 2 * PAGE_SIZE);
	EXPECT(test, mapping_at(test, second.space(), part).region == region);
	expect_direct(test, mapping_at(test, second.space(), part), *setup.file, *setup.file, 2);
	expect_page(test, part, 1, 3);
	expect_held(test, *setup.file, 3, 2);

	/* The rest of the file is another mapping of the same region. */
	unsigned long tail = MAP(test, *setup.file, 3, 5, PROT_READ);

	EXPECT_EQ(test, tail, addr + 5 * PAGE_SIZE);
	expect_direct(test, mapping_at(test, second.space(), tail), *setup.file, *setup.file, 3);
	expect_held(test, *setup.file, 4, 3);
	EXPECT_EQ(test, vm_munmap(part, 3 * PAGE_SIZE), 0);
	expect_direct(test, mapping_at(test, second.space(), tail), *setup.file, *setup.file, 2);
	expect_held(test, *setup.file, 3, 2);
}

CASE_BODY(region_of_two_opens)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto again = setup.mount.open("/union/file", O_RDONLY);

	if (!again)
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *again, pages, 0, PROT_READ), addr);
		expect_direct(test, mapping_at(test, second.space(), addr), *again, *setup.file, 2);
		expect_held(test, *setup.file, 2, 1);
		expect_held(test, *again, 1, 1);
	}
	expect_held(test, *setup.file, 2, 1);
	expect_held(test, *again, 0, 0);
}

#endif /* !CONFIG_MMU */
