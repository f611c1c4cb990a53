/* SPDX-License-Identifier: GPL-2.0-only */
/* The setup of the cases in vma_copy.cases. */
#pragma once

#include "support/fixture.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "vma_copy.cases"
#undef CASE
}

namespace aufs::test
{

inline constexpr unsigned int pages = 8;

/* A union with a file of eight pages, open once, and an address space. */
struct Setup {
	Union mount;
	Ref<struct file> file;
	AddressSpace space;

	explicit Setup(struct kunit *test)
		: mount(test),
		  file(mount.ok() ? mount.make("/union/file", pages) : Ref<struct file>()),
		  space(test)
	{
	}
	bool ok() const
	{
		return file && space.ok();
	}
};

/*
 * There are @mappings of @file in the address space, all of them right. Each of the two files has a reference for each
 * mapping.
 */
#define EXPECT_MAPPED(kunit, setup, mappings)                                                      \
	do {                                                                                       \
		EXPECT_EQ(kunit, mappings_of((setup).space.mm(), *(setup).file), mappings);        \
		EXPECT_EQ(kunit, uses_of((setup).space.mm(), *(setup).file), mappings);            \
		EXPECT_COUNTS(kunit, *(setup).file, mappings);                                     \
	} while (0)

/* Page @index of the mapping at @addr is page @expected of the file. */
inline void expect_page(struct kunit *test, unsigned long addr, unsigned long index,
			unsigned long expected)
{
	unsigned long number = ~0UL;

	EXPECT_EQ(test, aufs_test_read_user(addr + index * PAGE_SIZE, &number, sizeof(number)), 0);
	EXPECT_EQ(test, number, expected);
}

} // namespace aufs::test
