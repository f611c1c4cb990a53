/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings with any two files, beside each other: what the suite of merges begins with. */
#pragma once

#include "support/fixture.hh"

namespace aufs::test
{

/* Every mapping is of three pieces of so many pages, which may be of different kinds. */
inline constexpr unsigned long piece = 3;
inline constexpr unsigned long whole = 3 * piece;
inline constexpr unsigned long bytes = piece * PAGE_SIZE;
inline constexpr unsigned long read_write = PROT_READ | PROT_WRITE;

/*
 * What a mapping may have: one of two branch files; and as its prfile one of the user's two files, or
 * none. A filesystem makes two of these six (each branch file with the file that it was opened for);
 * what may become one is decided for all.
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
	/* Free from here on, and so is what follows @elsewhere. */
	unsigned long base = 0;
	unsigned long elsewhere = 0;

	explicit Pieces(struct kunit *kunit);
	bool ok() const
	{
		return user[0] && user[1] && base;
	}
	/* Where piece @index of a mapping at base is. */
	unsigned long at(unsigned long index) const
	{
		return base + index * bytes;
	}
	struct file *served(Kind kind) const;
	struct file *reported(Kind kind) const;
	unsigned int mappings() const;

	/* What follows is false where it fails, which the test is told. */

	/* Makes of the mapping at @addr, whatever it reports, one that reports @prfile (null: none). */
	bool set(unsigned long addr, struct file *prfile) const;
	/* A piece at @addr, from page @first of the file on: one mapping, with the files of @kind. */
	bool map_piece(unsigned long addr, Kind kind, unsigned long first,
		       unsigned long prot = read_write) const;
	/*
	 * The address space has the @count mappings @expected, in this order, and no other; and each
	 * of the four files has a reference for being open, and one for each mapping that has it.
	 */
	bool holds(const Expected *expected, unsigned int count) const;
	/* The same for pieces from base on, of which those that agree have become one. */
	bool holds_run(const Kind *pieces, unsigned int count) const;
	/* All goes, whoever's it is. */
	bool clear() const;
};

unsigned int mappings_in(struct mm_struct *mm);

inline constexpr Kind usual{0, 0};

/* A change of a range that keeps its mapping from being one with its neighbours, and back. */
struct Way {
	long (*apart)(unsigned long addr, unsigned long len);
	long (*back)(unsigned long addr, unsigned long len);
};

extern const Way ways[2];

/*
 * Calls @body for each kind that each of the pieces can have, until it says that something is wrong;
 * the kinds are told then.
 */
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

/* What is mapped at base in three pieces, and is one in the end. */
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
