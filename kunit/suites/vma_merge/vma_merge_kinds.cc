// SPDX-License-Identifier: GPL-2.0-only
/* Which mappings become one: by all ways that the kernel has, with all files that mappings can have. */
#include "pieces.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "vma_merge.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

/* Makes the middle one of three pieces like its neighbours, by @way. */
void merge_in_the_middle(struct kunit *test, const Way &way)
{
	Pieces setup(test);

	if (!setup.ok())
		return;
	each_of_kinds<3>(test, [&](const Kind(&kinds)[3]) {
		for (unsigned int i = 0; i < 3; ++i) {
			if (!setup.map_piece(setup.at(i), kinds[i], i * piece))
				return false;
			/* At once, so that the next piece does not merge with it. */
			if (i == 1 && !EXPECT_EQ(test, way.apart(setup.at(1), bytes), 0))
				return false;
		}
		return EXPECT_EQ(test, setup.mappings(), 3) &&
		       EXPECT_EQ(test, way.back(setup.at(1), bytes), 0) &&
		       setup.holds_run(kinds, 3) && setup.clear();
	});
}

} // namespace

CASE_BODY(merge_only_who_agree_on_both_files)
{
	merge_in_the_middle(test, ways[0]);
}

CASE_BODY(merge_only_who_agree_when_advised)
{
	merge_in_the_middle(test, ways[1]);
}

CASE_BODY(merge_only_who_agree_when_moved)
{
	Pieces setup(test);

	if (!setup.ok())
		return;
	each_of_kinds<3>(test, [&](const Kind(&kinds)[3]) {
		return setup.map_piece(setup.at(0), kinds[0], 0) &&
		       setup.map_piece(setup.elsewhere, kinds[1], piece) &&
		       setup.map_piece(setup.at(2), kinds[2], 2 * piece) &&
		       EXPECT_EQ(test,
				 aufs_test_mremap(setup.elsewhere, bytes, bytes,
						  MREMAP_MAYMOVE | MREMAP_FIXED, setup.at(1)),
				 setup.at(1)) &&
		       setup.holds_run(kinds, 3) && setup.clear();
	});
}

CASE_BODY(merge_only_who_agree_when_grown)
{
	Pieces setup(test);

	if (!setup.ok())
		return;
	each_of_kinds<2>(test, [&](const Kind(&kinds)[2]) {
		const Kind grown[] = {kinds[0], kinds[0], kinds[1]};

		return setup.map_piece(setup.at(0), kinds[0], 0) &&
		       setup.map_piece(setup.at(2), kinds[1], 2 * piece) &&
		       EXPECT_EQ(test, aufs_test_mremap(setup.at(0), bytes, 2 * bytes, 0, 0),
				 setup.at(0)) &&
		       setup.holds_run(grown, 3) && setup.clear();
	});
}

/* The branch file itself is mapped between two pieces: that mapping has no prfile. */
CASE_BODY(merge_only_who_agree_when_mapped)
{
	Pieces setup(test);

	if (!setup.ok())
		return;
	each_of_kinds<3>(test, [&](const Kind(&kinds)[3]) {
		if (kinds[1].reported != Kind::none)
			return true;
		return setup.map_piece(setup.at(0), kinds[0], 0) &&
		       setup.map_piece(setup.at(2), kinds[2], 2 * piece) &&
		       EXPECT_EQ(test,
				 map(*setup.served(kinds[1]), piece, piece, read_write,
				     MAP_SHARED | MAP_FIXED, setup.at(1)),
				 setup.at(1)) &&
		       setup.holds_run(kinds, 3) && setup.clear();
	});
}

/* A page of one of two pieces joins the other: from the left and from the right. */
CASE_BODY(merge_only_who_agree_in_part)
{
	Pieces setup(test);

	if (!setup.ok())
		return;
	each_of_kinds<2>(test, [&](const Kind(&kinds)[2]) {
		const unsigned long last = piece - 1;
		const Expected joined[] = {{kinds[0], setup.at(0), 0, last},
					   {kinds[1], setup.at(1) - PAGE_SIZE, last, piece + 1}};
		const Expected apart[] = {{kinds[0], setup.at(0), 0, last},
					  {kinds[0], setup.at(1) - PAGE_SIZE, last, 1},
					  {kinds[1], setup.at(1), piece, piece}};
		const Expected back[] = {{kinds[0], setup.at(0), 0, piece},
					 {kinds[1], setup.at(1), piece, piece}};
		bool agree = kinds[0] == kinds[1];

		return setup.map_piece(setup.at(0), kinds[0], 0) &&
		       setup.map_piece(setup.at(1), kinds[1], piece, PROT_READ) &&
		       EXPECT_EQ(test,
				 aufs_test_mprotect(setup.at(1) - PAGE_SIZE, PAGE_SIZE, PROT_READ),
				 0) &&
		       setup.holds(agree ? joined : apart, agree ? 2 : 3) &&
		       EXPECT_EQ(test,
				 aufs_test_mprotect(setup.at(1) - PAGE_SIZE, PAGE_SIZE, read_write),
				 0) &&
		       setup.holds(back, 2) && setup.clear();
	});
}

/* remap_file_pages(2) takes a range of several mappings only if all are of one file. */
CASE_BODY(merge_no_remapping_of_different_files)
{
	Pieces setup(test);

	if (!setup.ok())
		return;
	each_of_kinds<2>(test, [&](const Kind(&kinds)[2]) {
		const unsigned long len = 2 * bytes - PAGE_SIZE;
		const Expected two[] = {{kinds[0], setup.at(0), 0, piece},
					{kinds[1], setup.at(1), piece, piece}};
		bool agree = kinds[0] == kinds[1];

		if (!setup.map_piece(setup.at(0), kinds[0], 0) ||
		    !setup.map_piece(setup.at(1), kinds[1], piece) || !setup.holds(two, 2) ||
		    !EXPECT_EQ(test, aufs_test_remap_file_pages(setup.base, len, 7),
			       agree ? 0 : -EINVAL))
			return false;
		if (!agree)
			return setup.holds(two, 2) && setup.clear();

		/* The reported file is mapped, as by mmap(2); the last page is as it was. */
		Kind mapped = kinds[0].reported == Kind::none ?
				      kinds[0] :
				      Kind{kinds[0].reported, kinds[0].reported};
		const Expected remapped[] = {{mapped, setup.at(0), 7, 2 * piece - 1},
					     {kinds[1], setup.base + len, 2 * piece - 1, 1}};

		return setup.holds(remapped, 2) && setup.clear();
	});
}

CASE_BODY(merge_after_the_prfiles_agree_again)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &way) {
		const Expected two[] = {{usual, setup.at(0), 0, piece},
					{{0, 1}, setup.at(1), piece, 2 * piece}};

		EXPECT_EQ(test, way.apart(setup.at(0), bytes), 0);
		setup.set(setup.at(1), setup.user[1].get());
		EXPECT_EQ(test, way.back(setup.at(0), bytes), 0);
		setup.holds(two, 2);
		setup.set(setup.at(1), setup.user[0].get());
		EXPECT_EQ(test, way.apart(setup.at(0), bytes), 0);
		EXPECT_EQ(test, way.back(setup.at(0), bytes), 0);
	});
}
