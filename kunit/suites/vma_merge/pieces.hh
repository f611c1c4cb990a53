/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings with any two files, beside each other: the setup of the suite of merges. */
#pragma once

#include "support/fixture.hh"

namespace aufs::test
{

/* Every mapping has three pieces of so many pages, which may be of different kinds. */
inline constexpr unsigned long piece = 3;
inline constexpr unsigned long whole = 3 * piece;
inline constexpr unsigned long bytes = piece * PAGE_SIZE;
inline constexpr unsigned long read_write = PROT_READ | PROT_WRITE;

/*
 * The files that a mapping may have: one of two branch files, and as its prfile one of the user's two files or none. A
 * filesystem makes only two of these six (each branch file with the file for which it was opened). The rule for merges
 * is tested for all.
 */
struct Kind {
	static constexpr unsigned int none = 2;
	static constexpr unsigned int count = 6;

	unsigned int served;
	unsigned int reported;

	static constexpr Kind of(unsigned int number)
	{
		return {number % 2, number / 2};
	}
	friend constexpr bool operator==(Kind a, Kind b)
	{
		return a.served == b.served && a.reported == b.reported;
	}
};

/* A mapping of @pages pages from @addr on, of the file from page @first on. */
struct Expected {
	Kind kind;
	unsigned long addr;
	unsigned long first;
	unsigned long pages;
};

/* A union with a file that is open twice, and an address space with room for some mappings. */
struct Pieces {
	struct kunit *test;
	Union mount;
	Ref<struct file> user[2];
	AddressSpace space;
	/* The addresses from here on are free, and so are those from elsewhere on. */
	unsigned long base = 0;
	unsigned long elsewhere = 0;

	explicit Pieces(struct kunit *kunit);
	bool ok() const
	{
		return user[0] && user[1] && base;
	}
	/* The address of piece @index of a mapping at base. */
	unsigned long at(unsigned long index) const
	{
		return base + index * bytes;
	}
	struct file *served(Kind kind) const;
	struct file *reported(Kind kind) const;
	unsigned int mappings() const;

	/* The functions below return false if they fail, and report that to the test. */

	/* Changes the mapping at @addr so that it reports @prfile (null: none). */
	bool set(unsigned long addr, struct file *prfile) const;
	/* Makes a piece at @addr, from page @first of the file on: one mapping, with the files of @kind. */
	bool map_piece(unsigned long addr, Kind kind, unsigned long first,
		       unsigned long prot = read_write) const;
	/*
	 * The address space has the @count mappings @expected, in this order, and no other. Each of the four files has
	 * a reference for its open, and one for each mapping.
	 */
	bool holds(const Expected *expected, unsigned int count) const;
	/* The same for pieces from base on. Those that agree are one mapping. */
	bool holds_run(const Kind *pieces, unsigned int count) const;
	/* Unmaps everything. */
	bool clear() const;
};

unsigned int mappings_in(struct mm_struct *mm);

inline constexpr Kind usual{0, 0};

/* A change of a range that keeps its mapping from merging with its neighbours, and the way back. */
struct Way {
	long (*apart)(unsigned long addr, unsigned long len);
	long (*back)(unsigned long addr, unsigned long len);
};

extern const Way ways[2];

/* Calls @body for all kinds of the pieces, until it returns false. Then reports the kinds. */
template <unsigned int N, class Body> void each_of_kinds(struct kunit *test, Body &&body)
{
	unsigned int all = 1;

	for (unsigned int i = 0; i < N; ++i)
		all *= Kind::count;
	for (unsigned int number = 0; number < all; ++number) {
		Kind kinds[N];
		unsigned int rest = number;

		for (Kind &kind : kinds) {
			kind = Kind::of(rest % Kind::count);
			rest /= Kind::count;
		}
		if (body(kinds))
			continue;
		for (const Kind &kind : kinds)
			aufs_test_info(test, "file that serves: %u, that is reported: %u (2: none)",
				       kind.served, kind.reported);
		return;
	}
}

/* Calls @body with a mapping of three pieces at base. They have to be one mapping in the end. */
template <class Body> void with_three_pieces(struct kunit *test, Body &&body)
{
	Pieces setup(test);
	const Kind one[] = {usual, usual, usual};

	if (!setup.ok())
		return;
	for (const Way &way : ways) {
		if (!EXPECT_EQ(test,
			       map(*setup.user[0], whole, 0, read_write, MAP_SHARED | MAP_FIXED,
				   setup.base),
			       setup.base))
			return;
		body(setup, way);
		if (!setup.holds_run(one, 3) || !setup.clear())
			return;
	}
}

} // namespace aufs::test
