// SPDX-License-Identifier: GPL-2.0-only
//
// Several names of one lower file: they stay one file on the branches, or they part visibly. Users see what a branch
// has, however long it was cached.
//
// Combinations: tmpfs ext4+xfs

#include "disk.hh"

#include <map>
#include <memory>

#include <dirent.h>
#include <sys/inotify.h>

using Names = std::vector<string>;

static void drop_caches()
{
	sync();
	/* The first pass only notes which entries were used. */
	for (int i = 0; i < 4; i++)
		write_control("/proc/sys/vm/drop_caches", "2");
}

/* Name, content, mode and number of links of each file in @dir. */
static Names seen(const string &dir)
{
	Names all;
	for (const string &name : names_in(dir)) {
		struct stat is = lstat_of(dir + "/" + name);
		all.push_back(ktap::format("%s %s %o %lu", name.c_str(),
					   read_file(dir + "/" + name).c_str(), is.st_mode & 07777,
					   (unsigned long)is.st_nlink));
	}
	return all;
}

/* readdir and stat give the same numbers, and each file has its own. */
static void expect_numbers(const string &dir)
{
	std::map<ino_t, nlink_t> names, links;
	std::unique_ptr<DIR, int (*)(DIR *)> stream(opendir(dir.c_str()), closedir);
	std::vector<std::pair<string, ino_t>> listed;
	while (dirent *entry = readdir(stream.get())) {
		if (string(entry->d_name) != "." && string(entry->d_name) != "..")
			listed.push_back({entry->d_name, entry->d_ino});
	}
	for (const auto &[name, number] : listed) {
		struct stat is = lstat_of(dir + "/" + name);
		EXPECT_EQ(name + " " + std::to_string(number),
			  name + " " + std::to_string(is.st_ino));
		names[is.st_ino]++;
		links[is.st_ino] = is.st_nlink;
	}
	for (const auto &[number, count] : names)
		EXPECT_LE(count, links[number]);
}

static void append(const string &path, const string &text)
{
	Fd file = open_file(path, O_WRONLY | O_APPEND);
	OK(write(file, text.data(), text.size()));
}

/* Eight names of one lower file. Copies cannot be traced to it, by its filesystem or by that of the copies. */
struct Parting : Union {
	Mounted below, above;
	string branches = options();

	Parting()
	{
		string p = ktap::param();
		make_dir(low + "/dir");
		make_dir(low + "/other");
		write_file(low + "/dir/a", "old");
		for (const char *name : {"b", "c", "d", "e", "f", "g", "h"})
			OK(link((low + "/dir/a").c_str(), (low + "/dir/" + name).c_str()));
		if (p == "overlay") {
			make_dir(tmp + "/overlay");
			below = Mounted("none", tmp + "/overlay", "overlay", 0,
					"lowerdir=" + low + ":" + low2);
			branches = "br=" + top + "=rw:" + below.path() + "=ro";
		} else {
			make_dir(tmp + "/ramfs");
			above = Mounted("none", tmp + "/ramfs", "ramfs", 0, "");
			branches = "br=" + above.path() + "=rw:" + low + "=ro";
		}
		if (p == "later_ramfs")
			let_it_become_rw();
		else
			mount(branches);
	}
	~Parting()
	{
		unmount();
	}

private:
	/* The branch above is not rw when the union is mounted. */
	void let_it_become_rw()
	{
		string change = "mod:" + above.path() + "=rw,mod:" + top + "=ro";
		mount("br=" + above.path() + "=ro:" + top + "=rw:" + low + "=ro");
		OK(::mount("none", mnt.c_str(), "aufs", MS_REMOUNT, change.c_str()));
		branches = "br=" + above.path() + "=rw:" + top + "=ro:" + low + "=ro";
	}
};

PARAM_CASE(names_part_visibly, "overlay", "ramfs", "later_ramfs")
{
	Parting u;
	string dir = u.at("dir");
	/* First of all, without cached names. */
	expect_numbers(dir);
	for (const char *name : {"a", "b", "c", "d", "e", "f", "g", "h"})
		EXPECT_EQ(stat_of(dir + "/" + name).st_nlink, 1u);
	append(dir + "/a", "+a");
	/* The names part at once, cached or not. */
	EXPECT_EQ(read_file(dir + "/b"), "old");
	EXPECT_OK(rename((dir + "/b").c_str(), (dir + "/b2").c_str()));
	EXPECT_OK(rename((dir + "/c").c_str(), u.at("other/c").c_str()));
	EXPECT_OK(renameat2(AT_FDCWD, (dir + "/d").c_str(), AT_FDCWD, (dir + "/e").c_str(),
			    RENAME_EXCHANGE));
	EXPECT_OK(chmod((dir + "/e").c_str(), 0600));
	EXPECT_OK(link((dir + "/f").c_str(), (dir + "/f2").c_str()));
	append(dir + "/f", "+f");
	EXPECT_OK(unlink((dir + "/g").c_str()));
	append(dir + "/h", "+h");
	EXPECT_OK(chmod((dir + "/h").c_str(), 0640));

	Names wanted = {"a old+a 644 1", "b2 old 644 1",   "d old 644 1",  "e old 600 1",
			"f old+f 644 2", "f2 old+f 644 2", "h old+h 640 1"};
	EXPECT_EQ(seen(dir), wanted);
	expect_numbers(dir);
	drop_caches();
	EXPECT_EQ(seen(dir), wanted);
	EXPECT_EQ(read_file(u.at("other/c")), "old");
	expect_numbers(dir);
	u.unmount();
	u.mount(u.branches);
	EXPECT_EQ(seen(dir), wanted);
	expect_numbers(dir);
}

/* Two names are open, and one is written to: each descriptor has the file of its own name. */
PARAM_CASE(descriptors_part, "overlay", "ramfs")
{
	Parting u;
	Fd by_a = open_file(u.at("dir/a"), O_RDONLY), by_b = open_file(u.at("dir/b"), O_RDONLY);
	append(u.at("dir/a"), "+a");
	OK(fchmod(by_b, 0600));
	EXPECT_EQ(pread_text(by_a, 5, 0), "old+a");
	EXPECT_EQ(pread_text(by_b, 5, 0), "old");
	EXPECT_EQ(stat_of(u.at("dir/a")).st_mode & 07777, 0644u);
	EXPECT_EQ(stat_of(u.at("dir/b")).st_mode & 07777, 0600u);
	EXPECT_NE(fstat_of(by_a).st_ino, fstat_of(by_b).st_ino);
	drop_caches();
	EXPECT_EQ(stat_of(u.at("dir/b")).st_mode & 07777, 0600u);
	EXPECT_EQ(read_file(u.at("dir/b")), "old");
}

/* A copy without an origin has one inode, whoever looks it up, and when. A watch keeps the inode, not its dentry. */
CASE(one_inode_for_one_copy)
{
	Union u;
	make_dir(u.tmp + "/ramfs");
	Mounted above("none", u.tmp + "/ramfs", "ramfs", 0, "");
	write_file(u.low + "/a", "old");
	u.mount("br=" + above.path() + "=rw:" + u.low + "=ro");
	ino_t number = stat_of(u.at("a")).st_ino;
	Fd watch(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
	OK(inotify_add_watch(watch, u.at("a").c_str(), IN_ATTRIB));
	append(u.at("a"), "+a");
	EXPECT_EQ(stat_of(u.at("a")).st_ino, number);
	drop_caches();
	EXPECT_EQ(stat_of(u.at("a")).st_ino, number);
	OK(chmod(u.at("a").c_str(), 0600));
	inotify_event event;
	EXPECT_EQ(read(watch, &event, sizeof(event)), (ssize_t)sizeof(event));
	watch.reset();
	u.unmount();
}

/* Runs @a and @b at once, as far as two processes can. Their results do not matter. */
template <typename A, typename B> static void at_once(A a, B b)
{
	Pipe go;
	auto start = [&](auto &body) {
		return spawn([&] {
			go.write.reset();
			wait_byte(go.read);
			body();
		});
	};
	pid_t one = start(a), other = start(b);
	go.write.reset();
	wait_for(one);
	wait_for(other);
}

/* Each file in @dir has as many links as names. */
static void expect_counts(const string &dir, const string &when)
{
	std::map<ino_t, nlink_t> names, links;
	for (const string &name : names_in(dir)) {
		struct stat is = stat_of(dir + "/" + name);
		names[is.st_ino]++;
		links[is.st_ino] = is.st_nlink;
	}
	unsigned wrong = 0;
	for (const auto &[number, count] : names)
		wrong += count != links[number];
	EXPECT_EQ(when + ": " + std::to_string(wrong), when + ": 0");
}

PARAM_CASE(counts_in_a_race, "unlink", "unlink_itself", "link", "rename", "rename_over")
{
	Union u;
	string p = ktap::param();
	constexpr unsigned rounds = 40;
	make_dir(u.low + "/dir");
	for (unsigned i = 0; i < rounds; i++) {
		string file = u.low + "/dir/" + std::to_string(i);
		write_file(file, "old");
		OK(link(file.c_str(), (file + ".l").c_str()));
		OK(link(file.c_str(), (file + ".m").c_str()));
	}
	u.mount();
	for (unsigned i = 0; i < rounds; i++) {
		string file = u.at("dir/") + std::to_string(i), other = file + ".m";
		if (p == "rename_over")
			write_file(file + ".new", "new");
		/* The cached inode stays, with its count. */
		stat_of(file);
		stat_of(other);
		at_once(
			[&] {
				Fd fd(open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
				if (fd >= 0)
					OK(write(fd, "+", 1));
			},
			[&] {
				if (p == "unlink")
					unlink(other.c_str());
				else if (p == "unlink_itself")
					unlink(file.c_str());
				else if (p == "link")
					OK(link(other.c_str(), (file + ".n").c_str()));
				else if (p == "rename")
					OK(rename(other.c_str(), (file + ".n").c_str()));
				else
					OK(rename((file + ".new").c_str(), other.c_str()));
			});
	}
	expect_counts(u.at("dir"), "after the race");
	/* A file that was not copied up gets its count from the lower branch. */
	for (unsigned i = 0; i < rounds; i++)
		OK(chmod((u.at("dir/") + std::to_string(i) + ".l").c_str(), 0600));
	expect_counts(u.at("dir"), "after a chmod");
	u.unmount();
	u.mount();
	expect_counts(u.at("dir"), "after a remount");
	for (const string &name : names_in(u.at("dir")))
		OK(unlink((u.at("dir/") + name).c_str()));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk"), Names{});
}

/*
 * A rename to a name that an upper rw branch hides gives the file both names for a moment. Meanwhile another name of
 * the file is removed.
 */
CASE(counts_beside_a_hidden_name)
{
	Union u;
	string second = u.tmp + "/second";
	constexpr unsigned rounds = 60;
	make_dir(second);
	for (const string &dir : {u.top + "/dir", second + "/dir"})
		make_dir(dir);
	for (unsigned i = 0; i < rounds; i++) {
		string file = second + "/dir/" + std::to_string(i);
		write_file(file, "content");
		OK(link(file.c_str(), (file + ".l").c_str()));
		write_file(u.top + "/dir/.wh." + std::to_string(i) + ".n", "");
	}
	u.mount("br=" + u.top + "=rw:" + second + "=rw");
	for (unsigned i = 0; i < rounds; i++) {
		string file = u.at("dir/") + std::to_string(i);
		stat_of(file);
		stat_of(file + ".l");
		at_once([&] { OK(rename(file.c_str(), (file + ".n").c_str())); },
			[&] { OK(unlink((file + ".l").c_str())); });
	}
	EXPECT_EQ(names_in(u.at("dir")).size(), rounds);
	expect_counts(u.at("dir"), "after the race");
}

/*
 * A name that was removed before the copy-up is not counted again, however long ago that was. Nothing is kept when the
 * file's last name goes.
 */
PARAM_CASE(a_name_that_went_before, "unlink", "rename_over", "remount", "never_copied")
{
	Union u;
	string p = ktap::param(), plinks = u.top + "/.wh..wh.plnk";
	write_file(u.low + "/a", "old");
	for (const char *name : {"b", "c", "d"})
		OK(link((u.low + "/a").c_str(), (u.low + "/" + name).c_str()));
	u.mount();
	write_file(u.at("other"), "other");
	for (const char *name : {"a", "c"}) {
		if (p == "rename_over")
			OK(rename(u.at("other").c_str(), u.at(name).c_str()));
		else
			OK(unlink(u.at(name).c_str()));
		write_file(u.at("other"), "other");
		drop_caches();
	}
	if (p == "remount") {
		u.unmount();
		u.mount();
	}
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	EXPECT_EQ(stat_of(u.at("d")).st_nlink, 2u);
	if (p != "never_copied") {
		append(u.at("b"), "+new");
		EXPECT_EQ(read_file(u.at("d")), "old+new");
		EXPECT_EQ(names_in(plinks).size(), 1u);
	}
	drop_caches();
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	OK(unlink(u.at("b").c_str()));
	drop_caches();
	EXPECT_EQ(stat_of(u.at("d")).st_nlink, 1u);
	OK(unlink(u.at("d").c_str()));
	EXPECT_EQ(names_in(plinks), Names{});
}

/* Somebody removes the whiteout of the other name. The copy is found by that name as long as the copy exists. */
CASE(copy_of_the_last_name)
{
	Union u;
	string plinks = u.top + "/.wh..wh.plnk";
	write_file(u.low + "/a", "old");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	u.mount();
	OK(unlink(u.at("b").c_str()));
	append(u.at("a"), "+new");
	EXPECT_EQ(names_in(plinks).size(), 1u);
	OK(unlink(u.at("a").c_str()));
	EXPECT_EQ(names_in(plinks), Names{});
}

/* Somebody removes a whiteout while nothing is mounted: its name is one of the file's again. */
PARAM_CASE(a_name_that_is_back, "before the copy", "after it")
{
	Union u;
	write_file(u.low + "/a", "old");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	u.mount();
	OK(unlink(u.at("a").c_str()));
	if (ktap::param() == "after it")
		append(u.at("b"), "+1");
	u.unmount();
	OK(unlink((u.top + "/.wh.a").c_str()));
	u.mount();
	append(u.at("b"), "+2");
	drop_caches();
	string text = read_file(u.at("b"));
	EXPECT_EQ(read_file(u.at("a")), text);
	append(u.at("a"), "+3");
	drop_caches();
	EXPECT_EQ(read_file(u.at("b")), text + "+3");
	/* The name that is back has all that was written, also when the other name is gone. */
	OK(unlink(u.at("b").c_str()));
	drop_caches();
	EXPECT_EQ(read_file(u.at("a")), text + "+3");
	OK(unlink(u.at("a").c_str()));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk"), Names{});
}

/* A second image claims to be the filesystem of a branch: the names of the first one stay as they were. */
CASE(one_name_of_two_filesystems)
{
	Union u;
	Disk first(u.tmp + "/first", 16 << 20), second(u.tmp + "/second", 16 << 20);
	string base = u.tmp + "/base", other = u.tmp + "/other";
	for (const Disk *disk : {&first, &second})
		make_ext4(disk->name, {"-U", "a0f5c330-0000-4000-8000-000000000002"});
	/* XFS refuses to mount two filesystems with one UUID, ext4 does not. */
	Mounted mounted = mount_ext4(first.name, base), more = mount_ext4(second.name, other);
	write_file(base + "/a", "old");
	OK(link((base + "/a").c_str(), (base + "/b").c_str()));
	u.mount("br=" + u.top + "=rw:" + base + "=ro");
	append(u.at("a"), "+new");
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	ino_t number = stat_of(u.at("a")).st_ino;
	KernelLog log;
	OK(::mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, ("append:" + other).c_str()));
	EXPECT_HAS(log.read(), "says it is that of branch");
	drop_caches();
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	EXPECT_EQ(stat_of(u.at("b")).st_ino, number);
	u.unmount();
	u.mount("br=" + u.top + "=rw:" + base + "=ro:" + other + "=ro");
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	EXPECT_EQ(stat_of(u.at("b")).st_ino, number);
	u.unmount();
}

/* An image is replaced by a copy of itself, as a live system does to go on in memory. Names of one file stay one. */
PARAM_CASE(names_in_a_copy_of_the_image, "replace", "first the old one goes",
	   "first the new one comes")
{
	Union u;
	Disk first(u.tmp + "/first", 16 << 20), second(u.tmp + "/second", 16 << 20);
	string base = u.tmp + "/base", copy = u.tmp + "/copy", p = ktap::param();
	make_ext4(first.name);
	Mounted old = mount_ext4(first.name, base);
	write_file(base + "/a", "old");
	OK(link((base + "/a").c_str(), (base + "/b").c_str()));
	old.unmount();
	string image = read_file(first.name);
	Fd device = open_file(second.name, O_WRONLY);
	ASSERT_EQ(OK(write(device, image.data(), image.size())), ssize_t(image.size()));
	device.reset();
	old = Mounted(first.name, base, "ext4", 0, "");
	Mounted next = mount_ext4(second.name, copy);
	u.mount("br=" + u.top + "=rw:" + base + "=ro");
	append(u.at("a"), "+new");
	drop_caches();
	Fd held = open_file(u.at("a"), O_RDONLY);
	string change = p == "replace"		      ? "replace:" + base + "=" + copy :
			p == "first the old one goes" ? "del:" + base + ",append:" + copy :
							"append:" + copy + ",del:" + base;
	KernelLog log;
	OK(::mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, change.c_str()));
	EXPECT_HAS_NOT(log.read(), "says it is that of branch");
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	EXPECT_EQ(stat_of(u.at("b")).st_ino, fstat_of(held).st_ino);
	held.reset();
	u.unmount();
}

/* A copy-up that fails does not change the counts. */
CASE(gone_names_and_a_failed_copy)
{
	Union u;
	write_file(u.low + "/a", "old");
	for (const char *name : {"b", "c"})
		OK(link((u.low + "/a").c_str(), (u.low + "/" + name).c_str()));
	u.mount();
	OK(unlink(u.at("a").c_str()));
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	write_file(u.top + "/b", "direct");
	EXPECT_ERR(chmod(u.at("b").c_str(), 0600), ESTALE);
	OK(unlink((u.top + "/b").c_str()));
	drop_caches();
	EXPECT_EQ(stat_of(u.at("c")).st_nlink, 2u);
	append(u.at("c"), "+1");
	EXPECT_EQ(read_file(u.at("b")), "old+1");
	OK(unlink(u.at("b").c_str()));
	OK(unlink(u.at("c").c_str()));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk"), Names{});
}

static bool later(const timespec &a, const timespec &b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* The change time of the other names shows that one is gone, also if nothing is copied up. */
PARAM_CASE(ctime_of_other_names, "unlink", "rename_over", "unlink_of_copied", "rename_over_copied")
{
	Union u;
	string p = ktap::param();
	write_file(u.low + "/a", "old");
	for (const char *name : {"b", "c"})
		OK(link((u.low + "/a").c_str(), (u.low + "/" + name).c_str()));
	u.mount();
	write_file(u.at("other"), "other");
	if (p.ends_with("copied"))
		OK(chmod(u.at("a").c_str(), 0600));
	Fd held = open_file(u.at("b"), O_RDONLY);
	struct stat before = fstat_of(held);
	usleep(50000);
	if (p.starts_with("unlink"))
		OK(unlink(u.at("c").c_str()));
	else
		OK(rename(u.at("other").c_str(), u.at("c").c_str()));
	EXPECT(later(stat_of(u.at("b")).st_ctim, before.st_ctim));
	EXPECT(later(fstat_of(held).st_ctim, before.st_ctim));
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	EXPECT_EQ(fstat_of(held).st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	/* The removal copies nothing up. */
	EXPECT(!exists(u.top + "/b"));
}
