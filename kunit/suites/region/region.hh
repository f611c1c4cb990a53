/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Without an MMU all mappings of the same pages have one region. A union's file is mapped at the pages of its branch,
 * so all mappings of these pages share the region, by whatever name. The region has the file of the first mapping; each
 * mapping has two files of its own.
 *
 * Two mappings that overlap are always in two address spaces here: of two in one address space this kernel forgets the
 * first, with any filesystem.
 */
#pragma once

#include "mmap/branch_file.hh"
#include "support/show.hh"

#ifndef CONFIG_MMU

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "region.cases"
#undef CASE
}

namespace aufs::test
{

inline constexpr unsigned int pages = 8;
inline constexpr unsigned long all_pages = pages * PAGE_SIZE;

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

/* Another address space, which is used in place of @first in this scope. */
class SecondSpace final
{
public:
	SecondSpace(struct kunit *test, const AddressSpace &first) : away_(first.mm()), space_(test)
	{
	}
	bool ok() const
	{
		return space_.ok();
	}
	const AddressSpace &space() const
	{
		return space_;
	}

private:
	struct Away {
		struct mm_struct *mm;

		explicit Away(struct mm_struct *from) : mm(from)
		{
			aufs_test_leave_mm(mm);
		}
		Away(const Away &) = delete;
		Away &operator=(const Away &) = delete;
		~Away()
		{
			aufs_test_enter_mm(mm);
		}
	} away_;
	AddressSpace space_;
};

/* The facts about a mapping, which are copied as the mapping may go at any time. */
struct Mapped {
	unsigned long addr;
	unsigned int number;
	struct file *vm_file;
	struct file *vm_prfile;
	struct vm_region *region;
	bool copied;
};

inline void find(struct vm_area_struct *vma, void *data)
{
	auto *found = static_cast<Mapped *>(data);

	if (vma->vm_start != found->addr)
		return;
	++found->number;
	found->vm_file = vma->vm_file;
	found->vm_prfile = vma->vm_prfile;
	found->region = vma->vm_region;
	found->copied = vma->vm_flags & VM_MAPPED_COPY;
}

/* The only mapping at @addr, with its region; that is null if the test has failed. */
inline Mapped mapping_at(struct kunit *test, const AddressSpace &space, unsigned long addr)
{
	Mapped found{addr, 0, nullptr, nullptr, nullptr, false};

	aufs_test_each_vma(space.mm(), find, &found);
	EXPECT_EQ(test, found.number, 1);
	return found;
}

/* The mapping is served by the branch's own pages, and reports @file. The region's file is @first. */
inline struct vm_region *expect_direct(struct kunit *test, const Mapped &found,
				       const struct file &file, const struct file &first, int usage)
{
	EXPECT(test, found.vm_file == &h_file_of(file));
	EXPECT(test, found.vm_prfile == &file);
	EXPECT(test, !found.copied);
	if (EXPECT(test, found.region)) {
		EXPECT(test, found.region->vm_file == &first);
		EXPECT(test, found.region->vm_prfile == nullptr);
		EXPECT_EQ(test, found.region->vm_usage, usage);
	}
	return found.region;
}

/* The mapping is a copy of @file's data, with a region of its own. */
inline struct vm_region *expect_copy(struct kunit *test, const Mapped &found,
				     const struct file &file, int usage)
{
	EXPECT(test, found.vm_file == &file);
	EXPECT(test, found.vm_prfile == nullptr);
	EXPECT(test, found.copied);
	if (EXPECT(test, found.region)) {
		EXPECT(test, found.region->vm_file == &file);
		EXPECT(test, found.region->vm_prfile == nullptr);
		EXPECT_EQ(test, found.region->vm_usage, usage);
	}
	return found.region;
}

/* The references beside the one that the case has open. */
inline void expect_held(struct kunit *test, const struct file &file, long of_file, long of_branch)
{
	EXPECT_EQ(test, aufs_test_file_count(&file), 1 + of_file);
	EXPECT_EQ(test, aufs_test_file_count(&h_file_of(file)), 1 + of_branch);
}

inline void expect_page(struct kunit *test, unsigned long addr, unsigned long index,
			unsigned long expected)
{
	unsigned long number = ~0UL;

	EXPECT_EQ(test, aufs_test_read_user(addr + index * PAGE_SIZE, &number, sizeof(number)), 0);
	EXPECT_EQ(test, number, expected);
}

inline void write_page(struct kunit *test, unsigned long addr, unsigned long index,
		       unsigned long number)
{
	EXPECT_EQ(test, aufs_test_write_user(addr + index * PAGE_SIZE, &number, sizeof(number)), 0);
}

/* The number that read(2) finds in page @index of @file. */
inline unsigned long page_of(const struct file &file, unsigned long index)
{
	auto at = static_cast<loff_t>(index * PAGE_SIZE);
	unsigned long number = ~0UL;

	kernel_read(const_cast<struct file *>(&file), &number, sizeof(number), &at);
	return number;
}

inline constexpr unsigned long read_write = PROT_READ | PROT_WRITE;

} // namespace aufs::test

#endif /* !CONFIG_MMU */
