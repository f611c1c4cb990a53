/* SPDX-License-Identifier: GPL-2.0-only */
/* The setup of most cases: a union, open files of it, an address space. */
#pragma once

#include "test.hh"

namespace aufs::test
{

/*
 * A union of two tmpfs directories at /union, in this scope. The end of the scope is a check: everything can be
 * unmounted, and then there are as many filesystems as before. So a leaked file or path fails the case.
 */
class Union final
{
public:
	static constexpr char branches[] = "/branches";
	static constexpr char at[] = "/union";

	explicit Union(struct kunit *test);
	Union(const Union &) = delete;
	Union &operator=(const Union &) = delete;
	~Union();

	/* False if the case cannot go on. */
	bool ok() const
	{
		return ok_;
	}

	/*
	 * Makes a file with @pages pages, open for reading and writing. The first word of each page is @first plus its
	 * number. Null if that failed, which is reported to the test.
	 */
	[[nodiscard]] Ref<struct file> make(const char *path, unsigned int pages = 8,
					    unsigned long first = 0);
	/* Opens such a file once more, or one of the read-only branch. */
	[[nodiscard]] Ref<struct file> open(const char *path, int flags);

private:
	struct kunit *test_;
	int tmpfs_ = 0;
	int aufs_ = 0;
	bool branches_mounted_ = false;
	bool mounted_ = false;
	bool ok_ = false;
};

/* Gives @ops another ->mmap, or null, and removes the method that newer kernels prefer. */
template <class Ops> void set_mmap(Ops &ops, decltype(Ops::mmap) mmap)
{
	ops.mmap = mmap;
	if constexpr (requires { ops.mmap_prepare; })
		ops.mmap_prepare = nullptr;
}

/* A new address space, which the case uses in this scope. */
class AddressSpace final
{
public:
	explicit AddressSpace(struct kunit *test);
	AddressSpace(const AddressSpace &) = delete;
	AddressSpace &operator=(const AddressSpace &) = delete;
	~AddressSpace()
	{
		end();
	}

	bool ok() const
	{
		return mm_ != nullptr;
	}
	struct mm_struct *mm() const
	{
		return mm_;
	}
	/* Exits now: all mappings go. */
	void end();

private:
	struct mm_struct *mm_ = nullptr;
};

/* The number of mappings of @mm that the branch file of @file serves, and that report @file. */
unsigned int mappings_of(struct mm_struct *mm, const struct file &file);
/* The number of times that a mapping of @mm has @file as its vm_file or vm_prfile. */
unsigned int uses_of(struct mm_struct *mm, const struct file &file);

/*
 * @file, which the case has open once, and its branch file each have one reference for that and one
 * for each of @mappings. expect_counts() may be told of @regions that have @file, too.
 */
#define EXPECT_COUNTS(kunit, file, mappings)                                                       \
	::aufs::test::expect_counts((kunit), (file), (mappings), __FILE__, __LINE__)
bool expect_counts(struct kunit *test, const struct file &file, long mappings, const char *source,
		   int line, long regions = 0);

inline bool is_address(long result)
{
	return !is_error(reinterpret_cast<const void *>(result));
}

/* Maps @pages pages of @file from page @first on; an address or a negative errno. */
inline long map(const struct file &file, unsigned long pages, unsigned long first = 0,
		unsigned long prot = PROT_READ | PROT_WRITE, unsigned long flags = MAP_SHARED,
		unsigned long addr = 0)
{
	return aufs_test_mmap(const_cast<struct file *>(&file), addr, pages * PAGE_SIZE, prot,
			      flags, first * PAGE_SIZE);
}

/* The same for a mapping that the case needs: 0 if it failed, which is reported to the test. */
#define MAP(kunit, ...)                                                                            \
	::aufs::test::mapped((kunit), ::aufs::test::map(__VA_ARGS__), __FILE__, __LINE__)
unsigned long mapped(struct kunit *test, long result, const char *source, int line);

} // namespace aufs::test
