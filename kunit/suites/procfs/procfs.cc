// SPDX-License-Identifier: GPL-2.0-only
/* What procfs shows of mappings of a union's files. */
#include "mmap/branch_file.hh"
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

/* The permissions of the link of a mapping in map_files of the current process; 0: no link. */
umode_t link_mode(unsigned long addr, unsigned long count)
{
	LinkName link = map_files_name("self", addr, count);
	struct path path;

	if (kern_path(link.text, 0, &path))
		return 0;

	umode_t mode = path.dentry->d_inode->i_mode;

	path_put(&path);
	return mode & S_IRWXUGO;
}

/* Reads a directory, which makes the inodes of its entries. Counts the names with a hyphen. */
struct Listing : dir_context {
	unsigned int mappings = 0;

	Listing() : dir_context{}
	{
		actor = act;
	}
	static bool act(struct dir_context *ctx, const char *name, int size, loff_t, u64,
			unsigned int)
	{
		for (int i = 0; i < size; ++i)
			static_cast<Listing *>(ctx)->mappings += name[i] == '-';
		return true;
	}
};

unsigned int list(struct kunit *test, const char *path)
{
	auto dir = adopt_or_error(filp_open(path, O_RDONLY | O_DIRECTORY, 0));
	Listing listing;

	if (EXPECT(test, dir.ok()))
		EXPECT_EQ(test, iterate_dir(dir.value().get(), &listing), 0);
	return listing.mappings;
}

} // namespace

CASE_BODY(show_maps)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;

	unsigned long shared = MAP(test, *setup.file, pages);
	unsigned long part = MAP(test, *setup.file, 2, 3, PROT_READ | PROT_EXEC);
	ShownIdentity identity = stat_of(test, *setup.file);

	/* The device and number are the union's, not the branch's. */
	EXPECT_EQ(test, identity.dev, setup.file->f_inode->i_sb->s_dev);
	EXPECT_EQ(test, identity.ino, setup.file->f_inode->i_ino);
	EXPECT(test, identity.dev != h_file_of(*setup.file).f_inode->i_sb->s_dev);
	in_process(test, [&]() {
		OBSERVERS(test, "self").maps("maps", whole(test, *setup.file, shared));
		OBSERVERS(test, "self")
			.maps("maps", {part, 2, 3, "r-xs", *setup.file, identity, "/union/file"});
		EXPECT_EQ(test, lines_of("/union/file"), 2);
	});
}

CASE_BODY(show_smaps)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no smaps");

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() {
		OBSERVERS(test, "self").maps("smaps", whole(test, *setup.file, addr));
	});
}

CASE_BODY(show_numa_maps)
{
	ShowSetup setup(test);
	bool there = true;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() {
		there = OBSERVERS(test, "self").numa_maps(whole(test, *setup.file, addr));
	});
	if (!there)
		aufs_test_skip(test, "there is no numa_maps");
}

CASE_BODY(show_map_files)
{
	ShowSetup setup(test);
	bool there = true;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() {
		there = OBSERVERS(test, "self").map_files(whole(test, *setup.file, addr));
		EXPECT(test, !aufs_test_leads_to(map_files_name("self", addr, pages).text,
						 &h_file_of(*setup.file)));
	});
	if (!there)
		aufs_test_skip(test, "there is no map_files");
}

/*
 * The link in map_files has the mode of the reported file. The branch file has the same mode. So the mapping reports a
 * third file here, to tell them apart.
 */
CASE_BODY(show_map_files_mode)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no map_files");

	auto served = setup.mount.make("/branches/rw/served", pages);
	auto reader = setup.mount.open("/branches/rw/served", O_RDONLY);
	auto writer = setup.mount.open("/branches/rw/served", O_WRONLY);

	if (!served || !reader || !writer)
		return;

	unsigned long plain = MAP(test, *served, pages);
	unsigned long looked_up = MAP(test, *reader, 3, 0, PROT_READ);
	unsigned long listed = MAP(test, *reader, 4, 0, PROT_READ);

	report(setup.space.mm(), looked_up, *writer);
	report(setup.space.mm(), listed, *writer);
	in_process(test, [&]() {
		EXPECT_EQ(test, link_mode(plain, pages), S_IRUSR | S_IWUSR);
		EXPECT_EQ(test, link_mode(looked_up, 3), S_IWUSR);
		EXPECT_EQ(test, list(test, "/proc/self/map_files"), 3);
		EXPECT_EQ(test, link_mode(listed, 4), S_IWUSR);
	});
	setup.space.end();
	EXPECT_EQ(test, aufs_test_file_count(served.get()), 1);
	EXPECT_EQ(test, aufs_test_file_count(reader.get()), 1);
	EXPECT_EQ(test, aufs_test_file_count(writer.get()), 1);
}

CASE_BODY(show_map_files_list)
{
	ShowSetup setup(test);

	if (!setup.ok())
		return;
	if (!aufs_test_has_mmu())
		return aufs_test_skip(test, "there is no map_files");

	auto reader = setup.mount.open("/union/file", O_RDONLY);

	if (!reader)
		return;

	unsigned long all = MAP(test, *setup.file, pages);
	unsigned long some = MAP(test, *reader, 3, 1, PROT_READ);

	EXPECT(test, is_address(aufs_test_mmap(nullptr, 0, PAGE_SIZE, PROT_READ,
					       MAP_ANONYMOUS | MAP_PRIVATE, 0)));
	in_process(test, [&]() {
		EXPECT_EQ(test, list(test, "/proc/self/map_files"), 2);
		EXPECT_EQ(test, link_mode(all, pages), S_IRUSR | S_IWUSR);
		EXPECT_EQ(test, link_mode(some, 3), S_IRUSR);
		EXPECT_EQ(test, link_mode(some, 2), 0);
		EXPECT(test, aufs_test_leads_to(map_files_name("self", all, pages).text,
						setup.file.get()));
		EXPECT(test,
		       aufs_test_leads_to(map_files_name("self", some, 3).text, reader.get()));
	});
}

CASE_BODY(show_procmap_query)
{
	ShowSetup setup(test);
	bool there = true;

	if (!setup.ok())
		return;

	unsigned long addr = MAP(test, *setup.file, pages);

	in_process(test, [&]() {
		there = OBSERVERS(test, "self").procmap_query(whole(test, *setup.file, addr));
	});
	if (!there)
		aufs_test_skip(test, "there is no PROCMAP_QUERY");
}
