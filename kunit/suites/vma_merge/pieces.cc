// SPDX-License-Identifier: GPL-2.0-only
#include "pieces.hh"
#include "mmap/branch_file.hh"
#include "mmap/mapping.hh"

namespace aufs::test
{

namespace
{

void count_one(struct vm_area_struct *, void *count)
{
	++*static_cast<unsigned int *>(count);
}

struct Walk {
	const Pieces &setup;
	const Expected *expected;
	unsigned int count;
	unsigned int seen;
	bool same;
};

void compare(struct vm_area_struct *vma, void *data)
{
	Walk &walk = *static_cast<Walk *>(data);

	if (walk.seen < walk.count) {
		const Expected &expected = walk.expected[walk.seen];

		walk.same &= vma->vm_start == expected.addr &&
			     vma->vm_end == expected.addr + expected.pages * PAGE_SIZE &&
			     vma->vm_pgoff == expected.first &&
			     vma->vm_file == walk.setup.served(expected.kind) &&
			     vma->vm_prfile == walk.setup.reported(expected.kind);
	}
	++walk.seen;
}

} // namespace

const Way ways[2] = {
	{[](unsigned long addr, unsigned long len) {
		 return aufs_test_mprotect(addr, len, PROT_READ);
	 },
	 [](unsigned long addr, unsigned long len) {
		 return aufs_test_mprotect(addr, len, read_write);
	 }},
	{[](unsigned long addr, unsigned long len) {
		 return aufs_test_madvise(addr, len, MADV_RANDOM);
	 },
	 [](unsigned long addr, unsigned long len) {
		 return aufs_test_madvise(addr, len, MADV_NORMAL);
	 }},
};

Pieces::Pieces(struct kunit *kunit) : test(kunit), mount(kunit), space(kunit)
{
	if (!mount.ok() || !space.ok())
		return;
	user[0] = mount.make("/union/file", 2 * whole);
	user[1] = mount.open("/union/file", O_RDWR);

	long room = aufs_test_mmap(nullptr, 0, 64 * PAGE_SIZE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, 0);

	if (!EXPECT(test, is_address(room)) ||
	    !EXPECT_EQ(test, vm_munmap(static_cast<unsigned long>(room), 64 * PAGE_SIZE), 0))
		return;
	base = static_cast<unsigned long>(room) + 16 * PAGE_SIZE;
	elsewhere = base + 24 * PAGE_SIZE;
}

unsigned int mappings_in(struct mm_struct *mm)
{
	unsigned int count = 0;

	aufs_test_each_vma(mm, count_one, &count);
	return count;
}

struct file *Pieces::served(Kind kind) const
{
	return &h_file_of(*user[kind.served]);
}

struct file *Pieces::reported(Kind kind) const
{
	return kind.reported == Kind::none ? nullptr : user[kind.reported].get();
}

unsigned int Pieces::mappings() const
{
	return mappings_in(space.mm());
}

bool Pieces::set(unsigned long addr, struct file *prfile) const
{
	auto change = [](struct vm_area_struct *vma, void *data) {
		if (data)
			set_prfile(*vma,
				   Ref<struct file>::retain(static_cast<struct file *>(data)));
		else
			put_prfile(*vma);
	};

	return EXPECT(test, aufs_test_change_vma(addr, change, prfile));
}

bool Pieces::map_piece(unsigned long addr, Kind kind, unsigned long first, unsigned long prot) const
{
	return EXPECT_EQ(test,
			 map(*user[kind.served], piece, first, prot, MAP_SHARED | MAP_FIXED, addr),
			 addr) &&
	       set(addr, reported(kind));
}

bool Pieces::holds(const Expected *expected, unsigned int count) const
{
	Walk walk{*this, expected, count, 0, true};
	long served_by[2] = {0, 0};
	long reported_as[Kind::none + 1] = {0, 0, 0};
	bool good;

	aufs_test_each_vma(space.mm(), compare, &walk);
	for (unsigned int i = 0; i < count; ++i) {
		++served_by[expected[i].kind.served];
		++reported_as[expected[i].kind.reported];
	}
	good = EXPECT_EQ(test, walk.seen, count) && EXPECT(test, walk.same);
	for (unsigned int i = 0; i < 2; ++i) {
		good &= EXPECT_EQ(test, aufs_test_file_count(user[i].get()), 1 + reported_as[i]);
		good &= EXPECT_EQ(test, aufs_test_file_count(&h_file_of(*user[i])),
				  1 + served_by[i]);
	}
	return good;
}

bool Pieces::holds_run(const Kind *pieces, unsigned int count) const
{
	Expected expected[3];
	unsigned int last = 0;

	expected[0] = {pieces[0], base, 0, piece};
	for (unsigned int i = 1; i < count; ++i) {
		if (pieces[i] == expected[last].kind)
			expected[last].pages += piece;
		else
			expected[++last] = {pieces[i], at(i), i * piece, piece};
	}
	return holds(expected, last + 1);
}

bool Pieces::clear() const
{
	return EXPECT_EQ(test, vm_munmap(base, 48 * PAGE_SIZE), 0) && holds(nullptr, 0);
}

} // namespace aufs::test
