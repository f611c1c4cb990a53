// SPDX-License-Identifier: GPL-2.0-only
//
// Several rw branches: which one takes new objects and copies. Names on different branches can be moved, linked and
// removed as if there were one.
//
// Combinations: tmpfs ext4

#include "fixture.hh"

#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

using Names = std::vector<string>;

/* Two rw branches, top and low2, above the ro branch low. */
struct Two : Union {
	explicit Two(const string &more = "") : more_(more)
	{
	}
	void mount_both()
	{
		mount("br=" + top + "=rw:" + low2 + "=rw:" + low + "=ro" + more_);
	}
	void remount()
	{
		unmount();
		mount_both();
	}
	/* The rw branches that have @name: "t", "2", both or none. */
	string where(const string &name) const
	{
		return string(exists(top + "/" + name) ? "t" : "") +
		       (exists(low2 + "/" + name) ? "2" : "");
	}

private:
	string more_;
};

static void rename_now(const string &from, const string &to, unsigned flags = 0)
{
	EXPECT_OK(renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
}

CASE(tdp_takes_the_topmost_that_has_the_directory)
{
	Two u;
	make_dir(u.low2 + "/dir");
	make_dir(u.low + "/low_dir");
	u.mount_both();
	write_file(u.at("a"), "a");
	EXPECT_EQ(u.where("a"), "t");
	write_file(u.at("dir/b"), "b");
	EXPECT_EQ(u.where("dir/b"), "2");
	/* No rw branch has the directory: the nearest one above it takes the file. */
	write_file(u.at("low_dir/c"), "c");
	EXPECT_EQ(u.where("low_dir/c"), "2");
}

CASE(tdp_takes_one_that_no_whiteout_hides)
{
	Union u;
	for (const char *dir : {"/1", "/2", "/3", "/4", "/5"})
		make_dir(u.top + dir);
	for (const char *dir : {"/1/dir", "/3/dir", "/5/dir"})
		make_dir(u.top + dir);
	write_file(u.top + "/3/dir/.wh.name", "", 0444);
	write_file(u.top + "/5/dir/name", "hidden");
	u.mount("br=" + u.top + "/1=ro:" + u.top + "/2=rw:" + u.top + "/3=ro:" + u.top +
		"/4=rw:" + u.top + "/5=ro");
	write_file(u.at("dir/name"), "new");
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT_EQ(read_file(u.at("dir/name")), "new");
	EXPECT_EQ(read_file(u.top + "/2/dir/name"), "new");
}

CASE(rr_takes_each_in_turn)
{
	Two u(",create=rr");
	u.mount_both();
	for (int i = 0; i < 10; i++) {
		write_file(u.at(ktap::format("f%d", i)), "");
		make_dir(u.at(ktap::format("d%d", i)));
	}
	int top = 0;
	for (int i = 0; i < 10; i++) {
		top += u.where(ktap::format("f%d", i)) == "t";
		EXPECT_EQ(u.where(ktap::format("d%d", i)), "t");
	}
	EXPECT_EQ(top, 5);
	EXPECT_EQ(names_in(u.mnt).size(), 20u);
}

/* A new directory gets a part on each branch that takes a file in it. */
CASE(rr_in_a_new_directory)
{
	Two u(",create_policy=rr");
	make_dir(u.low + "/old");
	u.mount_both();
	make_dir(u.at("dir"), 0750);
	OK(rmdir(u.at("old").c_str()));
	make_dir(u.at("old"));
	for (int i = 0; i < 4; i++)
		write_file(u.at(ktap::format("dir/f%d", i)), "x");
	for (int i = 0; i < 4; i++)
		write_file(u.at(ktap::format("old/f%d", i)), "x");
	EXPECT_EQ(names_in(u.top + "/dir").size(), 2u);
	EXPECT_EQ(names_in(u.low2 + "/dir").size(), 2u);
	EXPECT_EQ(stat_of(u.low2 + "/dir").st_mode & 07777, 0750u);
	/* An opaque directory gets no part below. */
	EXPECT_EQ(names_in(u.at("old")), (Names{"f0", "f1", "f2", "f3"}));
	EXPECT(!exists(u.low2 + "/old/f0") && !exists(u.low2 + "/old/f1"));
	u.remount();
	EXPECT_EQ(names_in(u.at("dir")), (Names{"f0", "f1", "f2", "f3"}));
	EXPECT_EQ(names_in(u.at("old")), (Names{"f0", "f1", "f2", "f3"}));
}

/* Each name that is made can be seen, whatever hid it. */
CASE(rr_where_names_were_removed)
{
	Two u(",create=rr");
	for (int i = 0; i < 8; i++)
		write_file(u.low + ktap::format("/f%d", i), "low");
	u.mount_both();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 8; i++) {
			string name = u.at(ktap::format("f%d", i));
			EXPECT_OK(unlink(name.c_str()));
			EXPECT(!exists(name));
			write_file(name, ktap::format("%d", round));
		}
		u.remount();
		for (int i = 0; i < 8; i++)
			EXPECT_EQ(read_file(u.at(ktap::format("f%d", i))),
				  ktap::format("%d", round));
	}
}

CASE(mfs_takes_the_one_with_the_most_space)
{
	Union u;
	Mounted small = mount_tmpfs("small", "size=4m"), large = mount_tmpfs("large", "size=16m");
	u.mount("br=" + small.path() + "=rw:" + large.path() + "=rw:" + u.low + "=ro,create=mfs:0");
	write_file(u.at("a"), pattern(14 << 20));
	EXPECT(exists(large.path() + "/a"));
	make_dir(u.at("dir"));
	EXPECT(exists(small.path() + "/dir"));
	write_file(u.at("b"), "b");
	EXPECT(exists(small.path() + "/b"));
	OK(unlink(u.at("a").c_str()));
	write_file(u.at("dir/c"), "c");
	EXPECT(exists(large.path() + "/dir/c"));
	EXPECT_EQ(names_in(u.at("dir")), (Names{"c"}));
	u.unmount();
}

/* mfs trusts its last answer for some time. */
CASE(mfs_remembers)
{
	Union u;
	Mounted small = mount_tmpfs("small", "size=4m"), large = mount_tmpfs("large", "size=16m");
	u.mount("br=" + small.path() + "=rw:" + large.path() + "=rw,create=mfs:100000");
	write_file(u.at("a"), pattern(14 << 20));
	write_file(u.at("b"), "b");
	EXPECT(exists(large.path() + "/b"));
	u.unmount();
}

PARAM_CASE(copies_go, "tdp", "bup", "bu")
{
	string p = ktap::param();
	Union u;
	Mounted m = mount_tmpfs("m");
	for (const char *name : {"/a", "/b", "/c"})
		make_dir(m.path() + name);
	/* The directory is on the first two of four rw branches. */
	make_dir(u.top + "/dir");
	make_dir(m.path() + "/a/dir");
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "low");
	u.mount("br=" + u.top + "=rw:" + m.path() + "/a=rw:" + m.path() + "/b=rw:" + m.path() +
		"/c=rw:" + u.low + "=ro,cpup=" + p);
	OK(chmod(u.at("dir/file").c_str(), 0600));
	string expected = p == "tdp" ? u.top : m.path() + (p == "bup" ? "/a" : "/c");
	for (const string &branch : {u.top, m.path() + "/a", m.path() + "/b", m.path() + "/c"})
		EXPECT_EQ(exists(branch + "/dir/file"), branch == expected);
	EXPECT_EQ(read_file(u.at("dir/file")), "low");
	u.unmount();
}

/* As most programs save a file: a temporary file is renamed over the old one, between any two rw branches. */
PARAM_CASE(save_by_rename, "t2", "2t", "tt", "22")
{
	string p = ktap::param();
	Two u;
	string from = p[0] == 't' ? u.top : u.low2, to = p[1] == 't' ? u.top : u.low2;
	write_file(u.low + "/file", "oldest");
	write_file(u.low2 + "/file", "older");
	write_file(to + "/file", "old");
	write_file(from + "/new", "new");
	u.mount_both();
	ino_t number = stat_of(u.at("new")).st_ino;
	Fd old = open_file(u.at("file"), O_RDONLY);
	string before = read_file(u.at("file"));
	rename_now(u.at("new"), u.at("file"));
	EXPECT_EQ(fstat_of(old).st_nlink, 0u);
	EXPECT_EQ(pread_text(old, 10, 0), before);
	old = Fd();
	for (int remounted = 0; remounted < 2; remounted++) {
		EXPECT_EQ(read_file(u.at("file")), "new");
		EXPECT_EQ(stat_of(u.at("file")).st_ino, number);
		EXPECT_EQ(stat_of(u.at("file")).st_nlink, 1u);
		EXPECT_EQ(names_in(u.mnt), (Names{"file"}));
		u.remount();
	}
}

/* The upper branch has a whiteout of the new name. */
PARAM_CASE(rename_to_where_an_upper_whiteout_is, "file", "directory")
{
	Two u;
	bool directory = ktap::param() == "directory";
	write_file(u.low + "/gone", "low");
	make_dir(u.low2 + "/dir");
	if (directory)
		make_dirs(u.low2 + "/dir/object/inside");
	else
		write_file(u.low2 + "/dir/object", "x");
	write_file(u.top + "/.wh.gone", "");
	u.mount_both();
	rename_now(u.at("dir/object"), u.at("gone"), RENAME_NOREPLACE);
	for (int remounted = 0; remounted < 2; remounted++) {
		EXPECT_EQ(names_in(u.mnt), (Names{"dir", "gone"}));
		EXPECT_EQ(names_in(u.at("dir")), Names{});
		if (directory)
			EXPECT_EQ(names_in(u.at("gone")), (Names{"inside"}));
		else
			EXPECT_EQ(read_file(u.at("gone")), "x");
		u.remount();
	}
	EXPECT(!exists(u.top + "/.wh.gone"));
}

/* The upper branch has a whiteout of the new name. A file that it hides is replaced, a directory is not. */
PARAM_CASE(link_to_where_an_upper_whiteout_is, "alone", "file", "directory")
{
	Two u;
	string p = ktap::param(), hidden = u.low2 + "/gone";
	write_file(u.low + "/gone", "low");
	if (p == "file")
		write_file(hidden, "hidden");
	if (p == "directory")
		make_dir(hidden);
	write_file(u.low2 + "/file", "x");
	write_file(u.top + "/.wh.gone", "");
	u.mount_both();
	if (p == "directory") {
		EXPECT_ERR(link(u.at("file").c_str(), u.at("gone").c_str()), EXDEV);
		EXPECT_EQ(names_in(u.mnt), (Names{"file"}));
		return;
	}
	EXPECT_OK(link(u.at("file").c_str(), u.at("gone").c_str()));
	for (int remounted = 0; remounted < 2; remounted++) {
		EXPECT_EQ(read_file(u.at("gone")), "x");
		EXPECT_EQ(stat_of(u.at("gone")).st_nlink, 2u);
		EXPECT_EQ(stat_of(u.at("gone")).st_ino, stat_of(u.at("file")).st_ino);
		u.remount();
	}
}

/* Names on two rw branches cannot be exchanged. Nothing has changed then. */
CASE(exchange_between_rw_branches)
{
	Two u;
	write_file(u.top + "/upper", "upper");
	write_file(u.low2 + "/lower", "lower");
	u.mount_both();
	EXPECT_ERR(renameat2(AT_FDCWD, u.at("upper").c_str(), AT_FDCWD, u.at("lower").c_str(),
			     RENAME_EXCHANGE),
		   EXDEV);
	EXPECT_EQ(read_file(u.at("upper")), "upper");
	EXPECT_EQ(read_file(u.at("lower")), "lower");
	EXPECT_EQ(read_file(u.top + "/upper"), "upper");
	EXPECT_EQ(read_file(u.low2 + "/lower"), "lower");
}

/* A directory of the lower branch replaces an empty one of the upper branch. */
CASE(directory_over_one_of_the_upper_branch)
{
	Two u;
	make_dirs(u.low2 + "/dir/inside");
	make_dir(u.top + "/target");
	make_dir(u.low + "/target");
	write_file(u.low + "/target/low", "");
	write_file(u.top + "/target/.wh.low", "");
	u.mount_both();
	EXPECT_EQ(names_in(u.at("target")), Names{});
	rename_now(u.at("dir"), u.at("target"));
	for (int remounted = 0; remounted < 2; remounted++) {
		EXPECT_EQ(names_in(u.mnt), (Names{"target"}));
		EXPECT_EQ(names_in(u.at("target")), (Names{"inside"}));
		u.remount();
	}
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
}

/* A file below a ro branch cannot get a name that the ro branch has. */
CASE(name_below_a_ro_branch)
{
	Union u;
	write_file(u.low2 + "/file", "x");
	write_file(u.low + "/taken", "low");
	u.mount("br=" + u.low + "=ro:" + u.low2 + "=rw");
	string before = snapshot(u.low2);
	EXPECT_ERR(rename(u.at("file").c_str(), u.at("taken").c_str()), EXDEV);
	EXPECT_EQ(snapshot(u.low2), before);
	rename_now(u.at("file"), u.at("free"));
	EXPECT_EQ(read_file(u.at("free")), "x");
}

/* Nor can it get a name whose whiteout or object hides another one in between: that would be seen again. */
CASE(name_below_what_is_hidden_itself)
{
	for (const char *permission : {"ro", "rw"}) {
		Union u;
		write_file(u.top + "/.wh.removed", "", 0444);
		write_file(u.low + "/removed", "low");
		write_file(u.top + "/taken", "top");
		write_file(u.low + "/taken", "low");
		write_file(u.low2 + "/file", "x");
		u.mount("br=" + u.top + "=rw:" + u.low + "=" + permission + ":" + u.low2 + "=rw");
		string before = snapshot(u.top) + snapshot(u.low) + snapshot(u.low2);
		for (const char *name : {"removed", "taken"})
			EXPECT_ERR(rename(u.at("file").c_str(), u.at(name).c_str()), EXDEV);
		EXPECT_ERR(link(u.at("file").c_str(), u.at("removed").c_str()), EXDEV);
		EXPECT_EQ(snapshot(u.top) + snapshot(u.low) + snapshot(u.low2), before);
		/* mv(1) goes on like this after EXDEV. */
		write_file(u.at("removed"), "x");
		OK(unlink(u.at("removed").c_str()));
		EXPECT_EQ(names_in(u.mnt), (Names{"file", "taken"}));
		EXPECT_EQ(read_file(u.low + "/removed"), "low");
	}
}

CASE(removal_from_several)
{
	Two u;
	int number = 0;
	for (const string &branch : {u.top, u.low2, u.low}) {
		write_file(branch + "/file", "x");
		make_dir(branch + "/dir");
		write_file(branch + ktap::format("/dir/%d", number++), "x");
	}
	u.mount_both();
	EXPECT_OK(unlink(u.at("file").c_str()));
	EXPECT_EQ(names_in(u.at("dir")).size(), 3u);
	remove_tree(u.at("dir"));
	u.remount();
	EXPECT_EQ(names_in(u.mnt), Names{});
	make_dir(u.at("dir"));
	write_file(u.at("file"), "new");
	u.remount();
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	EXPECT_EQ(read_file(u.at("file")), "new");
}

CASE(settings_in_proc_mounts_and_remount)
{
	Two u(",create=mfs:7,copyup=bu,sum");
	u.mount_both();
	auto shown = [&u] {
		string options = shown_options(u.mnt);
		return options.substr(options.find(",si=") + strlen(",si=") + 16);
	};
	EXPECT_EQ(shown(), ",create=mfs:7,cpup=bu,sum");
	OK(::mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, "create=rr,nosum"));
	EXPECT_EQ(shown(), ",create=rr,cpup=bu");
	OK(::mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, nullptr));
	EXPECT_EQ(shown(), ",create=rr,cpup=bu");
	EXPECT_ERR(::mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, "create=nothing"), EINVAL);
	EXPECT_EQ(shown(), ",create=rr,cpup=bu");
	OK(::mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, "create=tdp,cpup=tdp"));
	EXPECT_EQ(shown(), "");
}

static struct statvfs statvfs_of(const string &path)
{
	struct statvfs buf;
	OK(statvfs(path.c_str(), &buf));
	return buf;
}

static unsigned long long bytes(const struct statvfs &buf, unsigned long long count)
{
	return count * buf.f_frsize;
}

CASE(statfs_sum)
{
	Union u;
	Mounted a = mount_tmpfs("a", "size=4m"), b = mount_tmpfs("b", "size=8m"),
		c = mount_tmpfs("c", "size=16m");
	make_dir(b.path() + "/1");
	make_dir(b.path() + "/2");
	string options = "br=" + a.path() + "=rw:" + b.path() + "/1=ro:" + b.path() +
			 "/2=rw:" + c.path() + "=ro";
	u.mount(options);
	struct statvfs one = statvfs_of(u.mnt);
	EXPECT_EQ(bytes(one, one.f_blocks), 4ull << 20);
	OK(::mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, "sum"));
	struct statvfs sum = statvfs_of(u.mnt), on_b = statvfs_of(b.path());
	/* Each filesystem counts once. Free space counts only on rw branches. */
	EXPECT_EQ(bytes(sum, sum.f_blocks), 28ull << 20);
	EXPECT_EQ(bytes(sum, sum.f_bavail), bytes(one, one.f_bavail) + bytes(on_b, on_b.f_bavail));
	EXPECT_EQ(sum.f_ffree, one.f_ffree + on_b.f_ffree);
	u.unmount();
}

/* An open to read does not fail for the limit on the size of files. The file is not copied then. */
CASE(copy_up_on_open_over_the_limit)
{
	Union u;
	write_file(u.low + "/file", pattern(9000));
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro+coo_reg");
	pid_t reader = spawn([&] {
		rlimit limit = {4096, 4096};
		OK(setrlimit(RLIMIT_FSIZE, &limit));
		EXPECT_EQ(read_file(u.at("file")), pattern(9000));
	});
	EXPECT_EQ(wait_for(reader), 0);
	EXPECT(!exists(u.top + "/file"));
	EXPECT_EQ(read_file(u.at("file")), pattern(9000));
	EXPECT(exists(u.top + "/file"));
}

/* With coo_reg a reader's file is the copy, which later writers change. */
PARAM_CASE(copy_up_on_open, "coo_reg", "coo_all", "without")
{
	string p = ktap::param();
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "old");
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro" + (p == "without" ? "" : "+" + p));
	stat_of(u.at("dir/file"));
	EXPECT(!exists(u.top + "/dir"));
	names_in(u.at("dir"));
	EXPECT_EQ(exists(u.top + "/dir"), p == "coo_all");
	Fd reader = open_file(u.at("dir/file"), O_RDONLY);
	EXPECT_EQ(exists(u.top + "/dir/file"), p != "without");
	Map map(page_size(), PROT_READ, MAP_SHARED, reader);
	EXPECT_EQ(map.text(3), "old");
	OK(pwrite(open_file(u.at("dir/file"), O_WRONLY), "new", 3, 0));
	EXPECT_EQ(map.text(3), p == "without" ? "old" : "new");
	EXPECT_EQ(pread_text(reader, 3, 0), "new");
	EXPECT_EQ(read_file(u.low + "/dir/file"), "old");
	EXPECT_EQ(shown_branches(u.mnt).find(u.low + "=ro+coo_") != string::npos, p != "without");
}

/* An open to read works although there is no room, or no leave, for a copy. */
PARAM_CASE(copy_up_on_open_that_cannot_be, "no_space", "remounted_ro", "no_rw_branch")
{
	string p = ktap::param();
	Union u;
	Mounted small = mount_tmpfs("small", "size=1m");
	write_file(u.low + "/file", pattern(3 << 20));
	if (p == "no_rw_branch")
		u.mount("br=" + u.low + "=ro+coo_reg");
	else
		u.mount("br=" + small.path() + "=rw:" + u.low + "=ro+coo_all");
	if (p == "remounted_ro")
		OK(::mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr));
	EXPECT_EQ(read_file(u.at("file")), pattern(3 << 20));
	EXPECT(!exists(small.path() + "/file"));
	u.unmount();
}

/* A rename to a name that the file cannot get copies nothing up. */
CASE(a_rename_that_cannot_be_changes_nothing)
{
	Union u;
	make_dir(u.low + "/dir");
	make_dir(u.top + "/dir");
	write_file(u.low + "/dir/file", "file");
	write_file(u.top + "/dir/.wh.other", "", 0444);
	/* The upper branch is ro, and the rw branch is below it. */
	u.mount("br=" + u.top + "=ro:" + u.low2 + "=rw:" + u.low + "=ro");
	string before = snapshot(u.low2);
	EXPECT_ERR(renameat2(AT_FDCWD, u.at("dir/file").c_str(), AT_FDCWD,
			     u.at("dir/other").c_str(), 0),
		   EXDEV);
	EXPECT_EQ(snapshot(u.low2), before);
}
