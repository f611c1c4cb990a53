// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings that become one, and the references of the one that goes away: by the kernel's own functions, in a real
 * address space.
 */
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

/* Orders of the pieces. */
constexpr unsigned int middle_last[] = {0, 2, 1};
constexpr unsigned int last_first[] = {2, 0, 1};

} // namespace

CASE_BODY(merge_backward)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &way) {
		const Expected two[] = {{usual, setup.at(0), 0, 2 * piece},
					{usual, setup.at(2), 2 * piece, piece}};

		EXPECT_EQ(test, way.apart(setup.at(2), bytes), 0);
		setup.holds(two, 2);
		EXPECT_EQ(test, way.back(setup.at(2), bytes), 0);
	});
}

CASE_BODY(merge_forward)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &way) {
		const Expected two[] = {{usual, setup.at(0), 0, piece},
					{usual, setup.at(1), piece, 2 * piece}};

		EXPECT_EQ(test, way.apart(setup.at(0), bytes), 0);
		setup.holds(two, 2);
		EXPECT_EQ(test, way.back(setup.at(0), bytes), 0);
	});
}

CASE_BODY(merge_both_sides)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &way) {
		const Expected three[] = {{usual, setup.at(0), 0, piece},
					  {usual, setup.at(1), piece, piece},
					  {usual, setup.at(2), 2 * piece, piece}};

		EXPECT_EQ(test, way.apart(setup.at(1), bytes), 0);
		setup.holds(three, 3);
		EXPECT_EQ(test, way.back(setup.at(1), bytes), 0);
	});
}

/* Only a part joins the neighbour: the border between the two moves. */
CASE_BODY(merge_of_a_part)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &way) {
		const Expected left[] = {{usual, setup.at(0), 0, 2 * piece},
					 {usual, setup.at(2), 2 * piece, piece}};
		const Expected right[] = {{usual, setup.at(0), 0, piece},
					  {usual, setup.at(1), piece, 2 * piece}};

		EXPECT_EQ(test, way.apart(setup.at(2), bytes), 0);
		setup.holds(left, 2);
		EXPECT_EQ(test, way.apart(setup.at(1), bytes), 0);
		setup.holds(right, 2);
		EXPECT_EQ(test, way.back(setup.at(1), bytes), 0);
		setup.holds(left, 2);
		EXPECT_EQ(test, way.back(setup.at(2), bytes), 0);
	});
}

/* A private page brings an anon_vma, and other paths through the kernel. */
CASE_BODY(merge_of_private_pages)
{
	Pieces setup(test);
	const Kind one[] = {usual, usual, usual};
	const unsigned long word = 77;
	unsigned long read = 0;

	if (!setup.ok() || !EXPECT_EQ(test,
				      map(*setup.user[0], whole, 0, read_write,
					  MAP_PRIVATE | MAP_FIXED, setup.base),
				      setup.base))
		return;
	for (const Way &way : ways) {
		for (unsigned int i = 0; i < 3; ++i) {
			EXPECT_EQ(test, aufs_test_write_user(setup.at(i), &word, sizeof(word)), 0);
			EXPECT_EQ(test, way.apart(setup.at(i), bytes), 0);
			EXPECT_EQ(test, way.back(setup.at(i), bytes), 0);
			if (!setup.holds_run(one, 3))
				return;
		}
	}
	EXPECT_EQ(test, aufs_test_read_user(setup.at(2), &read, sizeof(read)), 0);
	EXPECT_EQ(test, read, word);
	setup.clear();
}

CASE_BODY(merge_of_parts_moved_back)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &) {
		const unsigned long flags = MREMAP_MAYMOVE | MREMAP_FIXED;

		/* The last piece, the first, the one between: merges before, behind, and on both sides. */
		for (unsigned int part : last_first) {
			EXPECT_EQ(test,
				  aufs_test_mremap(setup.at(part), bytes, bytes, flags,
						   setup.elsewhere),
				  setup.elsewhere);
			EXPECT_EQ(test, setup.mappings(), part == 1 ? 3 : 2);
			EXPECT_COUNTS(test, *setup.user[0], part == 1 ? 3 : 2);
			EXPECT_EQ(test,
				  aufs_test_mremap(setup.elsewhere, bytes, bytes, flags,
						   setup.at(part)),
				  setup.at(part));
			EXPECT_EQ(test, setup.mappings(), 1);
		}
	});
}

CASE_BODY(merge_of_one_that_grows)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &) {
		const Expected two[] = {{usual, setup.at(0), 0, 2 * piece - 1},
					{usual, setup.at(2), 2 * piece, piece}};

		EXPECT_EQ(test, vm_munmap(setup.at(1), bytes), 0);
		EXPECT_COUNTS(test, *setup.user[0], 2);
		/* The mapping grows, first not as far as its neighbour, then as far. */
		EXPECT_EQ(test, aufs_test_mremap(setup.at(0), bytes, 2 * bytes - PAGE_SIZE, 0, 0),
			  setup.at(0));
		setup.holds(two, 2);
		EXPECT_EQ(test,
			  aufs_test_mremap(setup.at(0), 2 * bytes - PAGE_SIZE, 2 * bytes, 0, 0),
			  setup.at(0));
	});
}

/* mmap(2) compares before it knows a mapping's files: the mappings merge at their next change. */
CASE_BODY(merge_after_an_mmap_beside)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &way) {
		unsigned int mappings;

		for (unsigned int i : middle_last) {
			EXPECT_EQ(test,
				  map(*setup.user[0], piece, i * piece, read_write,
				      MAP_SHARED | MAP_FIXED, setup.at(i)),
				  setup.at(i));
			mappings = setup.mappings();
			EXPECT_EQ(test, mappings_of(setup.space.mm(), *setup.user[0]), mappings);
			EXPECT_COUNTS(test, *setup.user[0], mappings);
		}
		EXPECT_EQ(test, way.apart(setup.base, 3 * bytes), 0);
		EXPECT_EQ(test, way.back(setup.base, 3 * bytes), 0);
	});
}

CASE_BODY(merge_in_a_fork)
{
	with_three_pieces(test, [test](const Pieces &setup, const Way &way) {
		EXPECT_EQ(test, way.apart(setup.at(1), bytes), 0);

		struct mm_struct *copy = aufs_test_fork_mm();

		if (EXPECT(test, !is_error(copy))) {
			EXPECT_COUNTS(test, *setup.user[0], 6);
			aufs_test_leave_mm(setup.space.mm());
			aufs_test_enter_mm(copy);
			EXPECT_EQ(test, way.back(setup.at(1), bytes), 0);
			aufs_test_leave_mm(copy);
			aufs_test_enter_mm(setup.space.mm());
			EXPECT_EQ(test, mappings_in(copy), 1);
			EXPECT_EQ(test, mappings_of(copy, *setup.user[0]), 1);
			EXPECT_COUNTS(test, *setup.user[0], 4);
			aufs_test_put_mm(copy);
			EXPECT_COUNTS(test, *setup.user[0], 3);
		}
		EXPECT_EQ(test, way.back(setup.at(1), bytes), 0);
	});
}

/* Mappings without a prfile merge as usual: those of a file of another filesystem, and anonymous ones. */
CASE_BODY(merge_of_plain_mappings)
{
	Pieces setup(test);

	if (!setup.ok())
		return;

	auto plain = setup.mount.make("/branches/plain", whole);

	if (!plain)
		return;

	struct file *const kinds[] = {plain.get(), nullptr};

	for (struct file *file : kinds) {
		const unsigned long flags = MAP_FIXED |
					    (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);

		/* Beside a mapping of the union, with which they do not merge. */
		setup.map_piece(setup.at(3), usual, whole);
		for (unsigned int i : middle_last) {
			EXPECT_EQ(test,
				  aufs_test_mmap(file, setup.at(i), bytes, read_write, flags,
						 file ? i * bytes : 0),
				  setup.at(i));
			EXPECT_EQ(test, setup.mappings(), i == 2 ? 3 : 2);
		}
		for (const Way &way : ways) {
			for (unsigned int i = 0; i < 3; ++i) {
				EXPECT_EQ(test, way.apart(setup.at(i), bytes), 0);
				EXPECT_EQ(test, setup.mappings(), i == 1 ? 4 : 3);
				EXPECT_EQ(test, way.back(setup.at(i), bytes), 0);
				EXPECT_EQ(test, setup.mappings(), 2);
			}
		}
		EXPECT_EQ(test, aufs_test_file_count(plain.get()), file ? 2 : 1);
		EXPECT_COUNTS(test, *setup.user[0], 1);
		setup.clear();
		EXPECT_EQ(test, aufs_test_file_count(plain.get()), 1);
	}
}

/* A stack and a heap grow into the room beside a mapping with a prfile, and do not merge with it. */
CASE_BODY(merge_of_stack_and_heap)
{
	Pieces setup(test);
	const unsigned long word = 77;

	if (!setup.ok())
		return;

	setup.map_piece(setup.at(0), usual, 0);
	EXPECT_EQ(test, aufs_test_brk(setup.at(1), bytes), 0);
	EXPECT_EQ(test, setup.mappings(), 2);
	EXPECT_EQ(test, aufs_test_brk(setup.at(2), bytes), 0);
	EXPECT_EQ(test, setup.mappings(), 2);
	EXPECT_COUNTS(test, *setup.user[0], 1);

	/* Away from all other mappings: a stack keeps a distance when it grows. */
	long stack = aufs_test_mmap(nullptr, setup.base - 2048 * PAGE_SIZE, bytes, read_write,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, 0);

	if (!EXPECT(test, is_address(stack)))
		return;

	auto bottom = static_cast<unsigned long>(stack);

	setup.map_piece(bottom + bytes, usual, 0);
	EXPECT_EQ(test, setup.mappings(), 4);
	EXPECT_EQ(test, aufs_test_write_user(bottom - 2 * PAGE_SIZE, &word, sizeof(word)), 0);
	EXPECT_EQ(test, setup.mappings(), 4);
	EXPECT_COUNTS(test, *setup.user[0], 2);
	setup.space.end();
	EXPECT_COUNTS(test, *setup.user[0], 0);
}

namespace
{

const struct file_operations *operations_of_the_branch;

int maps_without_dump(struct file *file, struct vm_area_struct *vma)
{
	aufs_test_vma_dont_dump(vma);
	return aufs_test_mmap_by(operations_of_the_branch, file, vma);
}

/* @file is mapped by @mmap in this scope. */
class MappedBy final
{
public:
	MappedBy(struct file &file, int (*mmap)(struct file *, struct vm_area_struct *))
		: file_(file), own_(file.f_op), replaced_(*file.f_op)
	{
		operations_of_the_branch = own_;
		set_mmap(replaced_, mmap);
		file_.f_op = &replaced_;
	}
	MappedBy(const MappedBy &) = delete;
	MappedBy &operator=(const MappedBy &) = delete;
	~MappedBy()
	{
		file_.f_op = own_;
	}

private:
	struct file &file_;
	const struct file_operations *own_;
	struct file_operations replaced_;
};

} // namespace

/*
 * Before ->mmap, a new mapping has the flags and the file of the call, and is like no other. If the branch changes the
 * flags, some kernels compare again, with the files that it has then. Mappings of the branch's file alone show whether
 * this kernel does.
 */
CASE_BODY(merge_when_mmap_changes_flags)
{
	Pieces setup(test);
	const Kind pieces[] = {usual, usual, {1, 1}};

	if (!setup.ok())
		return;

	MappedBy first(*setup.served(usual), maps_without_dump);
	MappedBy second(*setup.served({1, 1}), maps_without_dump);

	for (unsigned long i = 0; i < 2; ++i)
		EXPECT_EQ(test,
			  map(*setup.served(usual), piece, i * piece, read_write,
			      MAP_SHARED | MAP_FIXED, setup.at(i)),
			  setup.at(i));

	bool looks_again = setup.mappings() == 1;

	setup.clear();
	for (unsigned long i = 0; i < 3; ++i)
		EXPECT_EQ(test,
			  map(*setup.user[pieces[i].reported], piece, i * piece, read_write,
			      MAP_SHARED | MAP_FIXED, setup.at(i)),
			  setup.at(i));
	if (looks_again) {
		/* The third piece has another open file. */
		EXPECT_EQ(test, setup.mappings(), 2);
		setup.holds_run(pieces, 3);
	} else {
		const Expected apart[] = {{usual, setup.at(0), 0, piece},
					  {usual, setup.at(1), piece, piece},
					  {pieces[2], setup.at(2), 2 * piece, piece}};

		setup.holds(apart, 3);
	}
	setup.clear();
}
