// SPDX-License-Identifier: GPL-2.0-only
/* The same pages by several names: those of the branch, of two unions, and of a union in a union. */
#include "region.hh"

#ifndef CONFIG_MMU

using namespace aufs;
using namespace aufs::test;

namespace
{

/* A second union, at /union2. */
class SecondUnion final
{
public:
	SecondUnion(struct kunit *test, const char *options) : test_(test)
	{
		mounted_ = EXPECT_EQ(test, aufs_test_mkdir(at), 0) &&
			   EXPECT_EQ(test, aufs_test_mount("none", at, "aufs", options), 0);
	}
	SecondUnion(const SecondUnion &) = delete;
	SecondUnion &operator=(const SecondUnion &) = delete;
	~SecondUnion()
	{
		flush_delayed_fput();
		if (mounted_)
			EXPECT_EQ(test_, aufs_test_umount(at), 0);
	}
	bool ok() const
	{
		return mounted_;
	}

private:
	static constexpr char at[] = "/union2";

	struct kunit *test_;
	bool mounted_ = false;
};

} // namespace

/* Users of the branch map the same pages, so they have the same region. */
CASE_BODY(region_of_the_branchs_mapping)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto branchs = setup.mount.open("/branches/rw/file", O_RDWR);

	if (!branchs)
		return;

	unsigned long addr = MAP(test, *branchs, pages);

	EXPECT_EQ(test, aufs_test_file_count(branchs.get()), 3);
	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *setup.file, pages), addr);
		expect_direct(test, mapping_at(test, second.space(), addr), *setup.file, *branchs,
			      2);
		expect_held(test, *setup.file, 1, 1);
		/* Another part of the branch's file is mapped, where the branch would share as well. */
		EXPECT_EQ(test, vm_munmap(addr, all_pages), 0);
		EXPECT_EQ(test, MAP(test, *setup.file, 2, 6), addr + 6 * PAGE_SIZE);
		expect_held(test, *setup.file, 1, 1);
	}
	expect_held(test, *setup.file, 0, 0);
	EXPECT_EQ(test, aufs_test_file_count(branchs.get()), 3);
}

CASE_BODY(region_is_given_to_the_branchs_mapping)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	auto branchs = setup.mount.open("/branches/rw/file", O_RDWR);

	if (!branchs)
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *branchs, pages), addr);

		Mapped found = mapping_at(test, second.space(), addr);

		EXPECT(test, found.vm_file == branchs.get());
		EXPECT(test, found.vm_prfile == nullptr);
		EXPECT(test, found.region && found.region->vm_file == setup.file.get());
		EXPECT_EQ(test, aufs_test_file_count(branchs.get()), 2);
		expect_held(test, *setup.file, 2, 1);
	}
	EXPECT_EQ(test, aufs_test_file_count(branchs.get()), 1);
	setup.space.end();
	expect_held(test, *setup.file, 0, 0);
}

CASE_BODY(region_of_two_unions)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	SecondUnion second_union(test, "br=/branches/rw=ro");

	if (!second_union.ok())
		return;

	auto other = setup.mount.open("/union2/file", O_RDONLY);

	if (!other)
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *other, pages, 0, PROT_READ), addr);
		expect_direct(test, mapping_at(test, second.space(), addr), *other, *setup.file, 2);
		expect_held(test, *setup.file, 2, 1);
		expect_held(test, *other, 1, 1);
	}
	expect_held(test, *other, 0, 0);
}

/* The branch of the outer union is the inner union: there are three files, and the outermost is reported. */
CASE_BODY(region_of_a_nested_union)
{
	Setup setup(test);

	if (!setup.ok())
		return;

	SecondUnion outer_union(test, "br=/union=rw");

	if (!outer_union.ok())
		return;

	auto outer = setup.mount.open("/union2/file", O_RDWR);

	if (!outer)
		return;

	const struct file &inner = h_file_of(*outer);
	loff_t at = 0;
	unsigned long addr = MAP(test, *outer, pages);
	Mapped found = mapping_at(test, setup.space, addr);

	EXPECT(test, found.vm_file == &h_file_of(inner));
	EXPECT(test, found.vm_prfile == outer.get());
	EXPECT(test, found.region && found.region->vm_file == outer.get());
	EXPECT_EQ(test, aufs_test_file_count(outer.get()), 3);
	expect_held(test, inner, 0, 1);
	{
		SecondSpace second(test, setup.space);

		if (!second.ok())
			return;
		EXPECT_EQ(test, MAP(test, *setup.file, pages), addr);
		expect_direct(test, mapping_at(test, second.space(), addr), *setup.file, *outer, 2);
	}
	write_page(test, addr, 4, 44);
	EXPECT_EQ(test, page_of(*outer, 4), 44);
	setup.space.end();
	EXPECT_EQ(test, aufs_test_file_count(outer.get()), 1);
	/* A write goes through both. */
	kernel_write(outer.get(), &addr, sizeof(addr), &at);
	EXPECT_EQ(test, page_of(*setup.file, 0), addr);
	expect_held(test, inner, 0, 0);
	expect_held(test, *setup.file, 0, 0);
}

/* Mappings that share a region report a file each. */
CASE_BODY(region_shown_in_maps_of_a_process)
{
	Setup setup(test);
	Proc proc(test);

	if (!setup.ok() || !proc.ok())
		return;

	auto branchs = setup.mount.open("/branches/rw/file", O_RDWR);

	if (!branchs)
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	unsigned long copy = MAP(test, *setup.file, 2, 3, read_write, MAP_PRIVATE);
	ShownIdentity identity = stat_of(test, *setup.file);

	in_process(test, [&]() {
		OBSERVERS(test, "self")
			.maps("maps",
			      {addr, pages, 0, "rw-S", *setup.file, identity, "/union/file"});
		OBSERVERS(test, "self")
			.maps("maps", {copy, 2, 3, "rw-p", *setup.file, identity, "/union/file"});
	});
	expect_held(test, *setup.file, 4, 1);

	SecondSpace second(test, setup.space);

	if (!second.ok())
		return;
	EXPECT_EQ(test, MAP(test, *branchs, 3, 2), addr + 2 * PAGE_SIZE);
	EXPECT_EQ(test, MAP(test, *setup.file, 2, 6, PROT_READ), addr + 6 * PAGE_SIZE);
	in_process(test, [&]() {
		OBSERVERS(test, "self")
			.maps("maps", {addr + 2 * PAGE_SIZE, 3, 2, "rw-S", *branchs,
				       stat_of(test, *branchs), "/branches/rw/file"});
		OBSERVERS(test, "self")
			.maps("maps", {addr + 6 * PAGE_SIZE, 2, 6, "r--S", *setup.file, identity,
				       "/union/file"});
	});
}

#endif /* !CONFIG_MMU */
