// SPDX-License-Identifier: GPL-2.0-only
//
// Branches that lie on one mount, and have a private mount in common while they are not written to: one of them becomes
// rw and ro again, they go one by one, and their filesystem is free after the last. What lies beside is not seen.
//
// Combinations: tmpfs ext4+xfs

#include "modules.hh"

#include <sys/ioctl.h>

#include <linux/fs.h>

/* Three branches on a disk of their own, below a rw one. */
struct OneMount : Union {
	OneMount() : disk(tmp + "/disk", 16 << 20)
	{
		make_ext4(disk.name);
		visible = mount_ext4(disk.name, tmp + "/point");
		for (const char *name : {"a", "b", "c"}) {
			make_dir(branch(name));
			write_file(branch(name) + "/" + name, name);
			write_file(branch(name) + "/common", name);
		}
		write_file(visible.path() + "/beside", "beside");
		mount("br=" + top + "=rw:" + branch("a") + ":" + branch("b") + ":" + branch("c"));
	}
	string branch(const string &name) const
	{
		return visible.path() + "/" + name;
	}
	/* Whether nobody has the disk. Its visible mount goes for that, and comes back. */
	bool is_free()
	{
		string path = visible.path();
		visible.unmount();
		Fd device(open(disk.name.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
		bool is = device >= 0;
		device.reset();
		visible = Mounted(disk.name, path, "ext4", 0, "");
		return is;
	}
	Disk disk;
	Mounted visible;
};

static timespec accessed(const string &path)
{
	return stat_of(path).st_atim;
}

/* Gives @path an access time that any reading changes. */
static void age(const string &path)
{
	timespec times[2] = {{1000, 0}, {2000, 0}};
	OK(utimensat(AT_FDCWD, path.c_str(), times, 0));
}

CASE(only_the_branches_are_seen)
{
	OneMount u;
	EXPECT_EQ(names_in(u.mnt), (Names{"a", "b", "c", "common"}));
	EXPECT_EQ(read_file(u.at("common")), "a");
	for (const char *name : {"a", "b", "c"})
		EXPECT_EQ(read_file(u.at(name)), name);
}

/* The filesystem is free after the last of them, in whatever order they go. */
PARAM_CASE(go_one_by_one, "a b c", "c b a", "b c a")
{
	OneMount u;
	string order = ktap::param();
	for (size_t i = 0; i < order.size(); i += 2) {
		EXPECT(!u.is_free());
		EXPECT_EQ(remount(u, "del:" + u.branch(string(1, order[i]))), 0);
		EXPECT(!exists(u.at(string(1, order[i]))));
	}
	EXPECT(u.is_free());
	EXPECT_EQ(names_in(u.mnt), Names{});
}

/* One that is still in use keeps the mount when all the others have gone, and lets it go. */
CASE(detached_while_it_is_open)
{
	OneMount u;
	Fd file = open_file(u.at("b"), O_RDONLY);
	EXPECT_EQ(remount(u, "detach:" + u.branch("b")), 0);
	EXPECT_EQ(remount(u, "del:" + u.branch("a") + ",del:" + u.branch("c")), 0);
	EXPECT(!u.is_free());
	EXPECT_EQ(pread_text(file, 16, 0), "b");
	file.reset();
	bool is = false;
	for (int i = 0; i < 100 && !is; i++)
		is = u.is_free();
	EXPECT(is);
}

CASE(the_union_goes)
{
	OneMount u;
	Fd held = open_file(u.at("c"), O_RDONLY);
	EXPECT_EQ(remount(u, "mod:" + u.branch("b") + "=rw"), 0);
	EXPECT_EQ(remount(u, "detach:" + u.branch("c")), 0);
	held.reset();
	u.unmount();
	EXPECT(u.is_free());
}

/* One becomes rw. The others stay as they are, and what is open of it goes on. */
PARAM_CASE(becomes_rw, "once", "hidden", "and ro again", "twice")
{
	OneMount u;
	string rw = u.branch("b"), p = ktap::param();
	Fd before = open_file(u.at("b"), O_RDONLY);
	Map mapped(page_size(), PROT_READ, MAP_SHARED, before);
	string to_rw = "mod:" + rw + "=rw,mod:" + u.top + "=ro";
	string to_ro = "mod:" + u.top + "=rw,mod:" + rw + "=ro";
	if (p == "hidden") {
		/* No path leads to it just then: it is known by its name alone. */
		Mounted cover("none", u.visible.path(), "tmpfs", 0, "");
		EXPECT_EQ(remount(u, to_rw), 0);
	} else {
		EXPECT_EQ(remount(u, to_rw), 0);
	}
	if (p == "twice") {
		EXPECT_EQ(remount(u, to_ro), 0);
		EXPECT_EQ(remount(u, to_rw), 0);
	}
	write_file(u.at("new"), "new");
	EXPECT_EQ(read_file(rw + "/new"), "new");
	write_file(u.at("b"), "B");
	EXPECT_EQ(read_file(rw + "/b"), "B");
	EXPECT_EQ(pread_text(before, 16, 0), "B");
	EXPECT_EQ(mapped[0], 'B');
	/* What lies below is copied up to it; what lies above cannot be. */
	write_file(u.at("c"), "C");
	EXPECT_EQ(read_file(rw + "/c"), "C");
	EXPECT_EQ(read_file(u.branch("c") + "/c"), "c");
	EXPECT_ERR(open(u.at("a").c_str(), O_WRONLY), EROFS);
	if (p == "and ro again") {
		EXPECT_EQ(remount(u, to_ro), 0);
		write_file(u.at("b"), "copy");
		EXPECT_EQ(read_file(rw + "/b"), "B");
		EXPECT_EQ(read_file(u.top + "/b"), "copy");
	}
	before.reset();
	mapped.unmap();
	u.unmount();
	EXPECT(u.is_free());
}

/* A descriptor from before may be open for reading alone, and get the blocks of a file that has the same data. */
CASE(deduplicated_through_an_older_descriptor)
{
	constexpr size_t size = 65536;
	Union u;
	Disk disk(u.tmp + "/disk", 320 << 20);
	make_xfs(disk.name);
	make_dir(u.tmp + "/point");
	Mounted visible(disk.name, u.tmp + "/point", "xfs", 0, "");
	for (const char *name : {"/a", "/b"})
		make_dir(visible.path() + name);
	write_file(visible.path() + "/b/old", pattern(size));
	u.mount("br=" + u.top + "=ro:" + visible.path() + "/a=ro:" + visible.path() + "/b=ro");
	Fd before = open_file(u.at("old"), O_RDONLY);
	EXPECT_EQ(remount(u, "mod:" + visible.path() + "/b=rw"), 0);
	write_file(u.at("new"), pattern(size));
	Fd source = open_file(u.at("new"), O_RDONLY);
	alignas(file_dedupe_range) char
		room[sizeof(file_dedupe_range) + sizeof(file_dedupe_range_info)] = {};
	auto *range = reinterpret_cast<file_dedupe_range *>(room);
	range->src_length = size;
	range->dest_count = 1;
	range->info[0].dest_fd = before;
	OK(ioctl(source, FIDEDUPERANGE, range));
	EXPECT_EQ(range->info[0].status, FILE_DEDUPE_RANGE_SAME);
	EXPECT_EQ(range->info[0].bytes_deduped, size);
	source.reset();
	before.reset();
	u.unmount();
}

/* Access times are kept where it is ro, and noted where it is rw. */
CASE(access_times)
{
	OneMount u;
	string rw = u.branch("b");
	for (const char *name : {"b", "c"})
		age(u.branch(name) + "/" + name);
	EXPECT_EQ(remount(u, "mod:" + rw + "=rw"), 0);
	read_file(u.at("b"));
	read_file(u.at("c"));
	EXPECT_GT(accessed(rw + "/b").tv_sec, 1000);
	EXPECT_EQ(accessed(u.branch("c") + "/c").tv_sec, 1000);
	age(rw + "/b");
	EXPECT_EQ(remount(u, "mod:" + rw + "=ro"), 0);
	read_file(u.at("b"));
	EXPECT_EQ(accessed(rw + "/b").tv_sec, 1000);
}

/* Flags of the mount count for each of them. If one becomes rw, it counts as each rw branch does. */
PARAM_CASE(flags_of_the_mount, "nosuid", "nodev", "ro")
{
	OneMount u;
	string p = ktap::param(), path = u.visible.path();
	u.unmount();
	unsigned long flag = p == "nosuid" ? MS_NOSUID : p == "nodev" ? MS_NODEV : MS_RDONLY;
	OK(chmod((u.branch("b") + "/b").c_str(), 04755));
	OK(mknod((u.branch("b") + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)));
	OK(::mount("none", path.c_str(), "", MS_REMOUNT | MS_BIND | flag, nullptr));
	u.mount("br=" + u.top + "=rw:" + u.branch("a") + ":" + u.branch("b") + ":" + u.branch("c"));
	EXPECT_EQ((stat_of(u.at("b")).st_mode & S_ISUID) != 0, p != "nosuid");
	if (p == "nodev")
		EXPECT_ERR(open(u.at("null").c_str(), O_RDONLY), EACCES);
	else
		open_file(u.at("null"), O_RDONLY);
	EXPECT_EQ(ktap::errno_name(remount(u, "mod:" + u.branch("b") + "=rw")),
		  p == "ro" ? "EROFS" : "0");
	if (p != "ro") {
		EXPECT(stat_of(u.at("b")).st_mode & S_ISUID);
		open_file(u.at("null"), O_RDONLY);
	}
	u.unmount();
	EXPECT(u.is_free());
}
