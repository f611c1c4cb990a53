// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel logs of a mapping with a damaged page table. The last suite: lockdep is off afterwards. */
#include "mmap/branch_file.hh"
#include "support/show.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "damage.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

/* The branch file has the name of the union's. So the mapping reports a third file here, to tell them apart. */
CASE_BODY(damage_of_a_page_table)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	auto other = setup.mount.make("/branches/rw/other", ShowSetup::pages);
	unsigned long page = 1;

	if (!other)
		return;

	unsigned long addr = MAP(test, *other, ShowSetup::pages);

	report(setup.space.mm(), addr, *setup.file);
	/* From here on there is a page table. */
	EXPECT_EQ(test, aufs_test_read_user(addr, &page, sizeof(page)), 0);
	EXPECT_EQ(test, page, 0);
	EXPECT(test, !aufs_test_is_logged("file:file "));
	EXPECT(test, aufs_test_print_bad_pte(addr));
	EXPECT(test, aufs_test_is_logged("BUG: Bad page map in process "));
	EXPECT(test, aufs_test_is_logged("file:file "));
	EXPECT(test, !aufs_test_is_logged("file:other "));
	setup.space.end();
	EXPECT_EQ(test, aufs_test_file_count(other.get()), 1);
	EXPECT_COUNTS(test, *setup.file, 0);
}
