// SPDX-License-Identifier: GPL-2.0-only
//
// A mapping alone pins its identity, whatever happens to the descriptor, the name and the mounts.

#include "proc.hh"

static size_t pages(size_t count)
{
	return count * page_size();
}

struct Setup : Union {
	Setup()
	{
		make_dir(top + "/dir");
		write_file(low + "/file", pattern(pages(4)));
		write_file(top + "/mine", pattern(pages(4)));
		mount();
	}
	Map map(const string &path, int flags = O_RDONLY)
	{
		return Map(pages(4), flags == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ,
			   MAP_SHARED, open_file(path, flags));
	}
};

CASE(after_close)
{
	Setup u;
	Fd file = open_file(u.at("file"), O_RDONLY);
	Map map(pages(4), PROT_READ, MAP_SHARED, file);
	file.reset();
	expect_reported(map.at(), u.at("file"), stat_of(u.at("file")), stat_of(u.low + "/file"));
	EXPECT_EQ(map.text(100), pattern(100));
	EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	map.unmap();
	u.unmount();
}

CASE(after_rename)
{
	Setup u;
	Map map = u.map(u.at("mine"), O_RDWR);
	struct stat branch = stat_of(u.top + "/mine");
	OK(rename(u.at("mine").c_str(), u.at("dir/renamed").c_str()));
	expect_reported(map.at(), u.at("dir/renamed"), stat_of(u.at("dir/renamed")), branch);
	OK(rename(u.at("dir").c_str(), u.at("directory").c_str()));
	expect_reported(map.at(), u.at("directory/renamed"), stat_of(u.at("directory/renamed")),
			branch);
	map[0] = '!';
	EXPECT_EQ(read_file(u.at("directory/renamed"))[0], '!');
}

CASE(after_unlink)
{
	Setup u;
	Map map = u.map(u.at("mine"), O_RDWR);
	struct stat before = stat_of(u.at("mine")), branch = stat_of(u.top + "/mine");
	OK(unlink(u.at("mine").c_str()));
	for (const char *file : {"maps", "smaps"}) {
		Vma vma = vma_at(map.at(), file);
		EXPECT_EQ(vma.path, u.at("mine") + " (deleted)");
		EXPECT_EQ(vma.inode, reports_union_inode() ? before.st_ino : branch.st_ino);
		EXPECT_EQ(vma.device, reports_union_inode() ? before.st_dev : branch.st_dev);
	}
	EXPECT_EQ(link_target(map_files_name(vma_at(map.at()))), u.at("mine") + " (deleted)");
	struct stat through = stat_of(map_files_name(vma_at(map.at())));
	EXPECT_EQ(through.st_ino, before.st_ino);
	EXPECT_EQ(through.st_nlink, 0u);
	map[100] = '!';
	EXPECT_EQ(map[100], '!');
	/* A new file takes the name: the mapping stays with the old file. */
	write_file(u.at("mine"), "new");
	EXPECT_EQ(vma_at(map.at()).path, u.at("mine") + " (deleted)");
	EXPECT_NE(vma_at(map.at()).inode, reports_union_inode() ? stat_of(u.at("mine")).st_ino : 0);
	map.unmap();
	u.unmount();
}

CASE(after_being_replaced_by_rename)
{
	Setup u;
	Map map = u.map(u.at("mine"));
	write_file(u.at("new"), "new");
	OK(rename(u.at("new").c_str(), u.at("mine").c_str()));
	EXPECT_EQ(vma_at(map.at()).path, u.at("mine") + " (deleted)");
	EXPECT_EQ(map.text(100), pattern(100));
}

/* A file that never had a name. */
CASE(tmpfile)
{
	Setup u;
	Fd file = open_file(u.at("dir"), O_TMPFILE | O_RDWR, 0600);
	OK(ftruncate(file, pages(4)));
	Map map(pages(4), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	map[7] = 'x';
	Vma vma = vma_at(map.at());
	EXPECT_EQ(vma.path.substr(0, u.at("dir/#").size()), u.at("dir/#"));
	EXPECT_HAS(vma.path, " (deleted)");
	struct stat st = fstat_of(file);
	EXPECT_EQ(link_target(ktap::format("/proc/self/fd/%d", int(file))), vma.path);
	if (reports_union_inode()) {
		EXPECT_EQ(vma.inode, st.st_ino);
		EXPECT_EQ(vma.device, st.st_dev);
	}
	file.reset();
	EXPECT_EQ(map[7], 'x');
	map.unmap();
	u.unmount();
}

/* A file is opened through a bind mount: its path there is reported. */
CASE(through_a_bind_mount)
{
	Setup u;
	Mounted bound(u.mnt, u.tmp, "", MS_BIND, "");
	Map map = u.map(u.tmp + "/file");
	expect_reported(map.at(), u.tmp + "/file", stat_of(u.at("file")), stat_of(u.low + "/file"));
	Map direct = u.map(u.at("file"));
	expect_reported(direct.at(), u.at("file"), stat_of(u.at("file")), stat_of(u.low + "/file"));
	map.unmap();
	direct.unmap();
}

/* The same with a bind mount of one file. */
CASE(through_a_bind_mounted_file)
{
	Setup u;
	write_file(u.tmp + "/place", "");
	Mounted bound(u.at("file"), u.tmp + "/place", "", MS_BIND, "");
	Map map = u.map(u.tmp + "/place");
	expect_reported(map.at(), u.tmp + "/place", stat_of(u.at("file")),
			stat_of(u.low + "/file"));
	map.unmap();
}

/* The bind mount is unmounted lazily: the mapping still works, and reports the union's file. */
CASE(after_a_lazy_unmount_of_the_bind_mount)
{
	Setup u;
	make_dir(u.tmp + "/bound");
	Mounted bound(u.mnt, u.tmp + "/bound", "", MS_BIND, "");
	Map map = u.map(u.tmp + "/bound/file");
	bound.forget();
	OK(umount2((u.tmp + "/bound").c_str(), MNT_DETACH));
	Vma vma = vma_at(map.at());
	/* No root reaches the mount any more, so the path begins at the mount. */
	EXPECT_EQ(vma.path, "/file");
	if (reports_union_inode()) {
		EXPECT_EQ(vma.inode, stat_of(u.at("file")).st_ino);
		EXPECT_EQ(vma.device, stat_of(u.at("file")).st_dev);
	}
	EXPECT_EQ(map.text(100), pattern(100));
	map.unmap();
	u.unmount();
}

CASE(after_a_lazy_unmount)
{
	Setup u;
	Map map = u.map(u.at("file"));
	Map mine = u.map(u.at("mine"), O_RDWR);
	struct stat of_union = stat_of(u.at("file"));
	u.unmount_lazily();
	EXPECT(!exists(u.at("file")));
	Vma vma = vma_at(map.at());
	EXPECT_EQ(vma.path, "/file");
	if (reports_union_inode()) {
		EXPECT_EQ(vma.inode, of_union.st_ino);
		EXPECT_EQ(vma.device, of_union.st_dev);
	}
	/* Pages that were never read can still be read, and written to. */
	EXPECT(map.text(pages(4)) == pattern(pages(4)));
	mine[pages(2)] = '!';
	EXPECT_EQ(read_file(u.top + "/mine")[pages(2)], '!');
	EXPECT_EQ(in_child([&] { EXPECT_EQ(vma_at(map.at()).path, "/file"); }), 0);
	map.unmap();
	mine.unmap();
}

/* A mapping below a mount reports its new path when the mount moves. */
CASE(after_the_mount_was_moved)
{
	Setup u;
	Mounted around("none", u.tmp, "tmpfs", 0, "");
	OK(::mount(nullptr, u.tmp.c_str(), nullptr, MS_PRIVATE, nullptr));
	make_dir(u.tmp + "/a");
	make_dir(u.tmp + "/b");
	Mounted first("none", u.tmp + "/a", "aufs", 0, "br=" + u.low);
	Map map = u.map(u.tmp + "/a/file");
	OK(::mount((u.tmp + "/a").c_str(), (u.tmp + "/b").c_str(), nullptr, MS_MOVE, nullptr));
	first.forget();
	expect_reported(map.at(), u.tmp + "/b/file", stat_of(u.tmp + "/b/file"),
			stat_of(u.low + "/file"));
	map.unmap();
	OK(umount2((u.tmp + "/b").c_str(), 0));
}

/* Rule 6: the union is busy until the last mapping is gone, and no longer. */
CASE(last_of_many)
{
	Setup u;
	std::vector<Map> maps;
	for (int i = 0; i < 20; i++)
		maps.push_back(u.map(u.at(i % 2 ? "file" : "mine")));
	while (!maps.empty()) {
		EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
		maps.erase(maps.begin());
	}
	u.unmount();
}

/* When the union is gone, the branch's filesystem can be unmounted too. */
CASE(branches_are_free_afterwards)
{
	Union u;
	Mounted branch = mount_tmpfs("branch");
	write_file(branch.path() + "/file", pattern(pages(4)));
	u.mount("br=" + branch.path() + ":" + u.low);
	{
		Map map(pages(4), PROT_READ | PROT_WRITE, MAP_SHARED,
			open_file(u.at("file"), O_RDWR));
		map[0] = '!';
		EXPECT_EQ(in_child([&] { map[1] = '!'; }), 0);
	}
	u.unmount();
	branch.unmount();
}

/* The file is removed from the branch directly: the mapping still works. */
CASE(file_removed_from_the_branch)
{
	Setup u;
	Map map = u.map(u.at("mine"), O_RDWR);
	OK(unlink((u.top + "/mine").c_str()));
	EXPECT_EQ(map.text(100), pattern(100));
	map[pages(3)] = '!';
	EXPECT_EQ(vma_at(map.at()).path.substr(0, u.at("mine").size()), u.at("mine"));
	map.unmap();
	u.unmount();
	write_file(u.top + "/mine", "");
}

/* Memory pressure on dentries and inodes does not touch mapped files. */
CASE(after_dropping_caches)
{
	Setup u;
	Map map = u.map(u.at("file"));
	struct stat before = stat_of(u.at("file"));
	for (int i = 0; i < 3; i++) {
		write_control("/proc/sys/vm/drop_caches", "3");
		expect_reported(map.at(), u.at("file"), stat_of(u.at("file")),
				stat_of(u.low + "/file"));
		EXPECT_EQ(stat_of(u.at("file")).st_ino, before.st_ino);
		EXPECT_EQ(map.text(100), pattern(100));
	}
}
