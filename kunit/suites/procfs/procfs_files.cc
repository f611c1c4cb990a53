// SPDX-License-Identifier: GPL-2.0-only
/* What procfs shows of all kinds of mappings, and of those that do not concern the union. */
#include "support/show.hh"

extern "C" {
#define CASE(name) void name(struct kunit *test);
#include "procfs.cases"
#undef CASE
}

using namespace aufs;
using namespace aufs::test;

namespace
{

constexpr unsigned int pages = ShowSetup::pages;

} // namespace

CASE_BODY(show_private)
{
	ShowSetup setup(test);
	const unsigned long word = 77;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, 4, 2, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	Shown shown{addr, 4, 2, "rw-p", *setup.file, stat_of(test, *setup.file), "/union/file"};

	in_process(test, [&]() { OBSERVERS(test, "self").all(shown); });
	/* A private mapping with a page of its own is still a mapping of the file. */
	EXPECT_EQ(test, aufs_test_write_user(addr, &word, sizeof(word)), 0);
	in_process(test, [&]() { OBSERVERS(test, "self").all(shown); });
}

CASE_BODY(show_split)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no mprotect");

	unsigned long addr = MAP(test, *setup.file, pages);
	ShownIdentity identity = stat_of(test, *setup.file);

	EXPECT_EQ(test, aufs_test_mprotect(addr + 2 * PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ), 0);
	in_process(test, [&]() {
		const Shown parts[] = {
			{addr, 2, 0, "rw-s", *setup.file, identity, "/union/file"},
			{addr + 2 * PAGE_SIZE, 3, 2, "r--s", *setup.file, identity, "/union/file"},
			{addr + 5 * PAGE_SIZE, 3, 5, "rw-s", *setup.file, identity, "/union/file"},
		};

		for (const Shown &part : parts)
			OBSERVERS(test, "self").all(part);
		EXPECT_EQ(test, lines_of("/union/file"), 3);
	});
	EXPECT_EQ(test, aufs_test_mprotect(addr, pages * PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	in_process(test, [&]() {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr));
		EXPECT_EQ(test, lines_of("/union/file"), 1);
	});
}

CASE_BODY(show_renamed)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_mkdir("/union/dir"), 0);
	EXPECT_EQ(test, aufs_test_rename("/union/file", "/union/dir/new name"), 0);
	in_process(test, [&]() {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr, "/union/dir/new name"));
		EXPECT_EQ(test, lines_of("/union/file"), 0);
	});
}

CASE_BODY(show_unlinked)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	EXPECT_EQ(test, aufs_test_unlink("/union/file"), 0);
	in_process(test, [&]() {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr, "/union/file (deleted)"));
	});

	/* A new file by that name is another file. */
	auto other = setup.mount.make("/union/file", pages);

	if (!other)
		return;

	unsigned long again = MAP(test, *other, pages);

	in_process(test, [&]() {
		OBSERVERS(test, "self").all(whole(test, *setup.file, addr, "/union/file (deleted)"));
		OBSERVERS(test, "self").all(whole(test, *other, again));
	});
	EXPECT(test, stat_of(test, *setup.file).ino != stat_of(test, *other).ino);
}

CASE_BODY(show_closed)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);
	struct file *file = setup.file.get();
	ShownIdentity identity = stat_of(test, *file);

	/* Only the mapping holds the reported file. */
	setup.file = {};
	flush_delayed_fput();
	in_process(test, [&]() {
		OBSERVERS(test, "self")
			.all({addr, pages, 0, "rw-s", *file, identity, "/union/file"});
	});
}

CASE_BODY(show_read_only_branch)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	auto lower = setup.mount.make("/branches/ro/lower", pages);
	auto file = setup.mount.open("/union/lower", O_RDONLY);

	if (!lower || !file)
		return;

	unsigned long addr = MAP(test, *file, pages, 0, PROT_READ);
	ShownIdentity identity = stat_of(test, *file);

	EXPECT(test, identity.dev != stat_of(test, *lower).dev);
	in_process(test, [&]() {
		OBSERVERS(test, "self")
			.all({addr, pages, 0, "r--s", *file, identity, "/union/lower"});
	});
}

CASE_BODY(show_in_a_directory)
{
	ShowSetup setup(test);

	if (!setup.ok() || !EXPECT_EQ(test, aufs_test_mkdir("/union/dir"), 0) ||
	    !EXPECT_EQ(test, aufs_test_mkdir("/union/dir/deeper"), 0))
		return;

	auto file = setup.mount.make("/union/dir/deeper/file", pages);

	if (!file)
		return;

	unsigned long addr = MAP(test, *file, pages);

	in_process(test, [&]() {
		OBSERVERS(test, "self").all(whole(test, *file, addr, "/union/dir/deeper/file"));
	});
	/* A directory above the file gets another name. */
	EXPECT_EQ(test, aufs_test_rename("/union/dir/deeper", "/union/up"), 0);
	in_process(test, [&]() {
		OBSERVERS(test, "self").all(whole(test, *file, addr, "/union/up/file"));
	});
}

CASE_BODY(show_odd_name)
{
	static const char path[] = "/union/a name\nof\ttwo = lines \\012";
	ShowSetup setup(test, path);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test,
		   [&]() { OBSERVERS(test, "self").all(whole(test, *setup.file, addr, path)); });
}

CASE_BODY(show_other_process)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() {
		char mapper[16];

		scnprintf(mapper, sizeof(mapper), "%d", aufs_test_pid());
		in_process(test, [&]() {
			/* The process holds the shown mapping alone. */
			if (aufs_test_has_mmu())
				EXPECT_EQ(test, vm_munmap(addr, pages * PAGE_SIZE), 0);
			OBSERVERS(test, mapper).all(whole(test, *setup.file, addr));
		});
	});
}

CASE_BODY(show_overlay_above)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!Overlay::possible())
		return aufs_test_skip(test, "there is no overlayfs");

	Overlay overlay(test, "lowerdir=/union:/branches/none");

	if (!overlay.ok())
		return;

	auto file = setup.mount.open("/overlay/file", O_RDONLY);

	if (!file)
		return;

	unsigned long above = MAP(test, *file, pages, 0, PROT_READ);
	unsigned long below = MAP(test, *setup.file, pages);

	EXPECT(test, inode_of(*file).dev != stat_of(test, *setup.file).dev);
	in_process(test, [&]() {
		OBSERVERS(test, "self")
			.all({above, pages, 0, "r--s", *file, inode_of(*file), "/overlay/file"});
		OBSERVERS(test, "self").all(whole(test, *setup.file, below));
	});
	setup.space.end();
}

CASE_BODY(show_overlay_alone)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!Overlay::possible())
		return aufs_test_skip(test, "there is no overlayfs");

	Overlay overlay(test, "lowerdir=/branches/rw:/branches/none");

	if (!overlay.ok())
		return;

	auto file = setup.mount.open("/overlay/file", O_RDONLY);

	if (!file)
		return;

	unsigned long addr = MAP(test, *file, pages, 0, PROT_READ);

	in_process(test, [&]() {
		OBSERVERS(test, "self")
			.all({addr, pages, 0, "r--s", *file, inode_of(*file), "/overlay/file"});
	});
	setup.space.end();
}

CASE_BODY(show_plain_file)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	auto file = setup.mount.make("/branches/rw/plain", pages);

	if (!file)
		return;

	unsigned long addr = MAP(test, *file, pages);

	in_process(test, [&]() {
		OBSERVERS(test, "self").all(whole(test, *file, addr, "/branches/rw/plain"));
	});
}
