// SPDX-License-Identifier: GPL-2.0-only
//
// Inode numbers are unique in the mount, the same in each place that shows them, and stable while the inode lives. The
// whole union has one st_dev.
//
// Combinations: tmpfs ext4+xfs

#include "proc.hh"
#include "tree_ops.hh"

#include <map>
#include <set>

#include <dirent.h>
#include <sys/inotify.h>

/*
 * The branches are two tmpfs. Both count their inodes from the same start, so files that were made in the same order
 * have the same numbers.
 */
struct Colliding : Union {
	Mounted first = mount_tmpfs("first"), second = mount_tmpfs("second");

	Colliding()
	{
		for (int i = 0; i < 20; i++) {
			write_file(ktap::format("%s/a%d", first.path().c_str(), i), "first");
			write_file(ktap::format("%s/b%d", second.path().c_str(), i), "second");
		}
		make_dir(first.path() + "/dir");
		make_dir(second.path() + "/dir");
		write_file(first.path() + "/dir/x", "first");
		write_file(second.path() + "/dir/y", "second");
		ASSERT_EQ(stat_of(first.path() + "/a7").st_ino,
			  stat_of(second.path() + "/b7").st_ino);
		mount("br=" + first.path() + "=rw:" + second.path() + "=ro");
	}
	~Colliding()
	{
		unmount();
	}
};

static void collect(const string &dir, std::map<ino_t, string> &seen)
{
	DIR *stream = opendir(dir.c_str());
	ASSERT(stream);
	while (dirent *entry = readdir(stream)) {
		string name = entry->d_name, path = dir + "/" + name;
		if (name == "." || name == "..")
			continue;
		EXPECT_EQ(entry->d_ino, lstat_of(path).st_ino);
		auto [other, fresh] = seen.insert({entry->d_ino, path});
		if (!fresh)
			EXPECT_EQ(path, "not with the number of " + other->second);
		if (entry->d_type == DT_DIR)
			collect(path, seen);
	}
	closedir(stream);
}

CASE(unique_over_two_filesystems)
{
	Colliding u;
	std::map<ino_t, string> seen;
	seen[stat_of(u.mnt).st_ino] = u.mnt;
	collect(u.mnt, seen);
	EXPECT_EQ(seen.size(), 44u);
	EXPECT_EQ(seen.count(0), 0u);
}

/* The same with the runner's filesystems, and with new files of the union. */
CASE(unique_after_creation)
{
	Union u;
	for (int i = 0; i < 30; i++)
		write_file(ktap::format("%s/l%d", u.low.c_str(), i), "");
	u.mount();
	for (int i = 0; i < 30; i++)
		write_file(ktap::format("%s/t%d", u.mnt.c_str(), i), "");
	make_dir(u.at("dir"));
	write_file(u.at("dir/file"), "");
	std::map<ino_t, string> seen;
	collect(u.mnt, seen);
	EXPECT_EQ(seen.size(), 62u);
}

CASE(same_in_stat_fstat_statx_and_readdir)
{
	Colliding u;
	for (const char *name : {"a7", "b7", "dir/x", "dir/y"}) {
		struct stat by_path = stat_of(u.at(name));
		Fd file = open_file(u.at(name), O_RDONLY);
		struct stat by_fd = fstat_of(file);
		struct statx by_statx = {};
		OK(statx(AT_FDCWD, u.at(name).c_str(), 0, STATX_BASIC_STATS, &by_statx));
		EXPECT_EQ(by_fd.st_ino, by_path.st_ino);
		EXPECT_EQ(by_fd.st_dev, by_path.st_dev);
		EXPECT_EQ(by_statx.stx_ino, by_path.st_ino);
		EXPECT_EQ(makedev(by_statx.stx_dev_major, by_statx.stx_dev_minor), by_path.st_dev);
		Fd path_only = open_file(u.at(name), O_PATH);
		EXPECT_EQ(fstat_of(path_only).st_ino, by_path.st_ino);
	}
}

CASE(same_in_proc_maps)
{
	Colliding u;
	for (const char *name : {"a7", "b7", "dir/x", "dir/y"}) {
		string path = u.at(name);
		Map map(page_size(), PROT_READ, MAP_SHARED, open_file(path, O_RDONLY));
		string below = exists(u.first.path() + "/" + name) ? u.first.path() :
								     u.second.path();
		expect_reported(map.at(), path, stat_of(path), stat_of(below + "/" + name));
	}
}

/* inotify, fdinfo and locks give the same numbers. */
CASE(same_in_fdinfo_and_proc_locks)
{
	Colliding u;
	Fd file = open_file(u.at("b7"), O_RDONLY);
	ino_t number = fstat_of(file).st_ino;
	struct flock lock = {};
	lock.l_type = F_RDLCK;
	OK(fcntl(file, F_SETLK, &lock));
	dev_t device = fstat_of(file).st_dev;
	EXPECT_HAS(read_file("/proc/locks"), ktap::format("%02x:%02x:%lu ", major(device),
							  minor(device), (unsigned long)number));
	EXPECT_HAS(read_file(ktap::format("/proc/self/fdinfo/%d", int(file))),
		   ktap::format("ino:\t%lu", (unsigned long)number));
	Fd watch(OK(inotify_init1(IN_CLOEXEC)));
	OK(inotify_add_watch(watch, u.at("b7").c_str(), IN_OPEN));
	EXPECT_HAS(read_file(ktap::format("/proc/self/fdinfo/%d", int(watch))),
		   ktap::format("ino:%lx ", (unsigned long)number));
}

CASE(one_device)
{
	Colliding u;
	dev_t device = stat_of(u.mnt).st_dev;
	for (const char *name : {"a1", "b1", "dir", "dir/x", "dir/y"}) {
		EXPECT_EQ(stat_of(u.at(name)).st_dev, device);
		EXPECT_NE(stat_of(u.at(name)).st_dev, stat_of(u.first.path()).st_dev);
		EXPECT_NE(stat_of(u.at(name)).st_dev, stat_of(u.second.path()).st_dev);
	}
	string info = read_file("/proc/self/mountinfo");
	EXPECT_HAS(info, ktap::format(" %u:%u / %s ", major(device), minor(device), u.mnt.c_str()));
}

CASE(hard_links_share_one)
{
	Union u;
	write_file(u.low + "/one", "low");
	OK(link((u.low + "/one").c_str(), (u.low + "/two").c_str()));
	make_dir(u.low + "/dir");
	OK(link((u.low + "/one").c_str(), (u.low + "/dir/three").c_str()));
	u.mount();
	struct stat one = stat_of(u.at("one"));
	EXPECT_EQ(one.st_ino, stat_of(u.at("two")).st_ino);
	EXPECT_EQ(one.st_ino, stat_of(u.at("dir/three")).st_ino);
	EXPECT_EQ(one.st_nlink, 3u);
	write_file(u.at("new"), "top");
	OK(link(u.at("new").c_str(), u.at("newer").c_str()));
	EXPECT_EQ(stat_of(u.at("new")).st_ino, stat_of(u.at("newer")).st_ino);
	EXPECT_EQ(stat_of(u.at("new")).st_nlink, 2u);
	std::map<string, ino_t> listed;
	for (const Entry &entry : entries_in(u.mnt))
		listed[entry.name] = entry.number;
	EXPECT_EQ(listed["one"], one.st_ino);
	EXPECT_EQ(listed["two"], one.st_ino);
	EXPECT_EQ(listed["new"], listed["newer"]);
}

/* Two names of a file are one inode: a write by one name is read by the other. */
CASE(hard_links_are_one_file)
{
	Union u;
	write_file(u.top + "/one", "before");
	OK(link((u.top + "/one").c_str(), (u.top + "/two").c_str()));
	u.mount();
	Map map(page_size(), PROT_READ, MAP_SHARED, open_file(u.at("two"), O_RDONLY));
	write_file(u.at("one"), "after!");
	EXPECT_EQ(map.text(6), "after!");
	EXPECT_EQ(read_file(u.at("two")), "after!");
	OK(chmod(u.at("two").c_str(), 0600));
	EXPECT_EQ(stat_of(u.at("one")).st_mode & 07777, 0600u);
	OK(unlink(u.at("one").c_str()));
	EXPECT_EQ(stat_of(u.at("two")).st_nlink, 1u);
}

static void drop_caches()
{
	sync();
	write_control("/proc/sys/vm/drop_caches", "2");
}

PARAM_CASE(stable_while_in_use, "open", "mapped", "watched", "current_directory")
{
	Colliding u;
	string p = ktap::param();
	Fd held;
	std::vector<Map> maps;
	std::vector<string> names = {"b7", "a7", "dir/y", "dir"};
	std::vector<ino_t> before;
	for (const string &name : names)
		before.push_back(stat_of(u.at(name)).st_ino);
	if (p == "open")
		held = open_file(u.at("b7"), O_RDONLY);
	else if (p == "mapped")
		maps.emplace_back(page_size(), PROT_READ, MAP_SHARED,
				  open_file(u.at("b7"), O_RDONLY));
	else if (p == "watched") {
		held = Fd(OK(inotify_init1(IN_CLOEXEC)));
		OK(inotify_add_watch(held, u.at("b7").c_str(), IN_OPEN));
	} else
		OK(chdir(u.at("dir").c_str()));
	for (int i = 0; i < 3; i++) {
		drop_caches();
		/* Other files are looked up first. They would take a number that was free. */
		for (int j = 19; j >= 8; j--)
			(void)stat_of(u.at(ktap::format("b%d", j)));
		EXPECT_EQ(stat_of(u.at(p == "current_directory" ? "dir" : "b7")).st_ino,
			  before[p == "current_directory" ? 3 : 0]);
	}
	if (p == "mapped")
		EXPECT_EQ(vma_at(maps[0].at()).inode,
			  reports_union_inode() ? before[0] :
						  stat_of(u.second.path() + "/b7").st_ino);
	OK(chdir("/"));
}

/* While the union is mounted, no other file takes a file's number, whatever the kernel forgets. */
CASE(unique_after_dropping_caches)
{
	Colliding u;
	Fd held = open_file(u.at("b7"), O_RDONLY);
	ino_t number = fstat_of(held).st_ino;
	for (int i = 0; i < 3; i++) {
		drop_caches();
		std::map<ino_t, string> seen;
		collect(u.mnt, seen);
		EXPECT_EQ(seen[number], u.at("b7"));
	}
}

/* An unlinked file that is still open keeps its number, and no new file gets it. */
CASE(unlinked_file_keeps_its_number)
{
	Union u;
	u.mount();
	Fd held = open_file(u.at("file"), O_RDWR | O_CREAT);
	ino_t number = fstat_of(held).st_ino;
	OK(unlink(u.at("file").c_str()));
	drop_caches();
	for (int i = 0; i < 50; i++) {
		string name = u.at(ktap::format("new%d", i));
		write_file(name, "");
		EXPECT_NE(stat_of(name).st_ino, number);
	}
	EXPECT_EQ(fstat_of(held).st_ino, number);
	EXPECT_EQ(fstat_of(held).st_nlink, 0u);
}

CASE(rename_keeps_the_number)
{
	Union u;
	make_dir(u.top + "/dir");
	u.mount();
	write_file(u.at("file"), "");
	ino_t file = stat_of(u.at("file")).st_ino;
	ino_t dir = stat_of(u.at("dir")).st_ino;
	OK(rename(u.at("file").c_str(), u.at("dir/other").c_str()));
	OK(rename(u.at("dir").c_str(), u.at("directory").c_str()));
	EXPECT_EQ(stat_of(u.at("directory/other")).st_ino, file);
	EXPECT_EQ(stat_of(u.at("directory")).st_ino, dir);
	drop_caches();
	Fd held = open_file(u.at("directory/other"), O_RDONLY);
	EXPECT_EQ(fstat_of(held).st_ino, stat_of(u.at("directory/other")).st_ino);
}

/* Each branch notes that its directory has copies: the next mount may be without the other branch. */
CASE(copies_beside_those_of_another_branch)
{
	Union u;
	make_dir(u.low + "/dir");
	for (const char *name : {"/dir/a", "/dir/b", "/dir/c"})
		write_file(u.low + name, "low");
	u.mount("br=" + u.low2 + "=rw:" + u.low + "=ro");
	write_file(u.at("dir/a"), "copied");
	u.unmount();
	u.mount("br=" + u.top + "=rw:" + u.low2 + "=ro:" + u.low + "=ro");
	EXPECT_EQ(names_in(u.at("dir")).size(), 3u);
	write_file(u.at("dir/b"), "copied");
	u.unmount();
	u.mount();
	std::map<ino_t, string> seen;
	collect(u.at("dir"), seen);
	EXPECT_EQ(seen.size(), 3u);
}
