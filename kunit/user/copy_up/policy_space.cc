// SPDX-License-Identifier: GPL-2.0-only
//
// The policies that ask for free space: which of several rw branches takes a new object. And the space that df shows of
// them.

#include "fixture.hh"

#include <sys/statvfs.h>

/* Rw branches of 16, 8 and 32 MiB, from the top, above the ro branch low. */
struct Three : Union {
	Mounted a = mount_tmpfs("a", "size=16m"), b = mount_tmpfs("b", "size=8m"),
		c = mount_tmpfs("c", "size=32m");

	void mount_with(const string &more)
	{
		mount("br=" + a.path() + "=rw:" + b.path() + "=rw:" + c.path() + "=rw:" + low +
		      "=ro," + more);
	}
	void become(const string &option)
	{
		OK(::mount("none", mnt.c_str(), nullptr, MS_REMOUNT, option.c_str()));
	}
	/* Makes @name, and returns the branches that have it then. */
	string made(const string &name)
	{
		write_file(at(name), "x");
		return where(name);
	}
	string where(const string &name) const
	{
		string text;
		for (const Mounted *branch : {&a, &b, &c})
			if (exists(branch->path() + "/" + name))
				text += "abc"[branch == &a ? 0 : branch == &b ? 1 : 2];
		return text;
	}
	void fill(const Mounted &branch, size_t size) const
	{
		write_file(branch.path() + "/fill", string(size << 20, 'x'));
	}
};

CASE(pmfs_asks_those_that_have_the_directory)
{
	Three u;
	make_dir(u.a.path() + "/ab");
	make_dir(u.b.path() + "/ab");
	make_dir(u.b.path() + "/bc");
	make_dir(u.c.path() + "/bc");
	make_dir(u.low + "/low");
	u.mount_with("create=pmfs:0");
	EXPECT_EQ(u.made("ab/1"), "a");
	EXPECT_EQ(u.made("bc/1"), "c");
	EXPECT_EQ(u.made("root"), "c");
	u.fill(u.a, 12);
	EXPECT_EQ(u.made("ab/2"), "b");
	OK(mkdir(u.at("ab/dir").c_str(), 0755));
	EXPECT_EQ(u.where("ab/dir"), "b");
	/* No rw branch has the directory: as by tdp. */
	EXPECT_EQ(u.made("low/1"), "c");
}

CASE(pmfs_believes_what_it_has_asked)
{
	Three u;
	u.mount_with("create=pmfs:100000");
	EXPECT_EQ(u.made("1"), "c");
	u.fill(u.c, 30);
	EXPECT_EQ(u.made("2"), "c");
	/* With no time to trust the last answer, it asks again. */
	u.become("create=pmfs:0");
	EXPECT_EQ(u.made("3"), "a");
}

CASE(mfsrr_turns_to_rr_below_the_watermark)
{
	Three u;
	u.mount_with("create=mfsrr:10485760:0");
	for (const char *name : {"1", "2", "3"})
		EXPECT_EQ(u.made(name), "c");
	u.fill(u.c, 20);
	EXPECT_EQ(u.made("4"), "a");
	u.fill(u.a, 14);
	u.fill(u.c, 26);
	/* No branch has 10 MiB free: each takes one in turn. */
	string turns = u.made("5") + u.made("6") + u.made("7") + u.made("8");
	for (const char *branch : {"a", "b", "c"})
		EXPECT_HAS(turns, branch);
	/* Directories are made on one branch. */
	for (const char *name : {"d1", "d2", "d3"}) {
		OK(mkdir(u.at(name).c_str(), 0755));
		EXPECT_EQ(u.where(name), "b");
	}
}

CASE(pmfsrr_leaves_the_directorys_branches_below_the_watermark)
{
	Three u;
	make_dir(u.a.path() + "/ab");
	make_dir(u.b.path() + "/ab");
	u.mount_with("create=pmfsrr:10485760:0");
	EXPECT_EQ(u.made("ab/1"), "a");
	u.fill(u.a, 8);
	EXPECT_EQ(u.made("ab/2"), "c");
	u.fill(u.c, 26);
	string turns = u.made("ab/3") + u.made("ab/4") + u.made("ab/5");
	for (const char *branch : {"a", "b", "c"})
		EXPECT_HAS(turns, branch);
}

CASE(tdmfs_takes_the_topmost_with_space)
{
	Three u;
	make_dir(u.c.path() + "/dir");
	u.mount_with("create=tdmfs:6291456:0");
	EXPECT_EQ(u.made("1"), "a");
	/* The directory does not matter. */
	EXPECT_EQ(u.made("dir/1"), "a");
	u.fill(u.a, 12);
	EXPECT_EQ(u.made("2"), "b");
	u.fill(u.b, 4);
	EXPECT_EQ(u.made("3"), "c");
	u.fill(u.c, 29);
	/* No branch has as much: the one with the most takes it. */
	EXPECT_EQ(u.made("4"), "b");
}

/* A whiteout on a ro branch hides the name on all branches below: the branch above it takes the file. */
CASE(what_would_be_hidden_is_not_made)
{
	Union u;
	Mounted small = mount_tmpfs("small", "size=4m"), large = mount_tmpfs("large", "size=16m");
	write_file(u.low + "/.wh.file", "");
	u.mount("br=" + small.path() + "=rw:" + u.low + "=ro:" + large.path() +
		"=rw,create=mfsrr:1:0");
	for (const char *policy : {"mfsrr:1:0", "mfsrr:99999999999", "pmfs:0", "pmfsrr:1:0",
				   "pmfsrr:99999999999", "tdmfs:9000000:0"}) {
		ktap::say(policy);
		OK(mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT,
			 (string("create=") + policy).c_str()));
		write_file(u.at("file"), "x");
		EXPECT(exists(small.path() + "/file"));
		EXPECT(!exists(large.path() + "/file"));
		OK(unlink(u.at("file").c_str()));
		EXPECT(!exists(u.at("file")));
	}
	u.unmount();
}

static string shown(const Union &u)
{
	string mounts = read_file("/proc/mounts");
	size_t at = mounts.find(" " + u.mnt + " aufs ");
	return mounts.substr(at, mounts.find('\n', at) - at);
}

CASE(policies_in_proc_mounts)
{
	Three u;
	u.mount_with("create=most-free-space");
	EXPECT_HAS(shown(u), ",create=mfs 0 0");
	for (const char *policy :
	     {"mfsrr:5:6", "pmfs:7", "pmfsrr:999999999999999999:0", "tdmfs:8", "mfsrr:5", "pmfs"}) {
		u.become(string("create=") + policy);
		EXPECT_HAS(shown(u), string(",create=") + policy + " 0 0");
	}
	u.become("create=tdp");
	EXPECT_HAS_NOT(shown(u), "create");
}

static unsigned long long mebibytes(const struct statvfs &buf, unsigned long long count)
{
	return (count * buf.f_frsize) >> 20;
}

CASE(df_of_the_rw_branches)
{
	Three u;
	Mounted ro = mount_tmpfs("ro", "size=64m");
	u.mount("br=" + u.a.path() + "=rw:" + ro.path() + "=ro:" + u.c.path() + "=rw,wsum");
	struct statvfs buf;
	OK(statvfs(u.mnt.c_str(), &buf));
	EXPECT_EQ(mebibytes(buf, buf.f_blocks), 48u);
	EXPECT_HAS(shown(u), ",wsum 0 0");
	u.become("sum");
	OK(statvfs(u.mnt.c_str(), &buf));
	EXPECT_EQ(mebibytes(buf, buf.f_blocks), 112u);
	EXPECT_EQ(mebibytes(buf, buf.f_bavail), 48u);
	u.become("nowsum");
	OK(statvfs(u.mnt.c_str(), &buf));
	EXPECT_EQ(mebibytes(buf, buf.f_blocks), 16u);
	u.unmount();
}
