// SPDX-License-Identifier: GPL-2.0-only
//
// A pseudo-link belongs to its file: it is found however the branches are mounted, and never by a number that was used
// again. A former rw branch is not changed.
//
// Combinations: tmpfs ext4 ext4+xfs

#include "passthrough.hh"

#include <sys/xattr.h>

using Names = std::vector<string>;

static void append(const string &path, const string &text)
{
	Fd file = open_file(path, O_WRONLY | O_APPEND);
	OK(write(file, text.data(), text.size()));
}

/* A lower file with two names, one of which was written to through a union. */
struct Linked : Union {
	Linked()
	{
		write_file(low + "/a", "old");
		OK(link((low + "/a").c_str(), (low + "/b").c_str()));
		mount();
		append(at("a"), "+new");
		EXPECT_EQ(read_file(at("b")), "old+new");
		unmount();
	}
	string plinks() const
	{
		return top + "/.wh..wh.plnk";
	}
	/* trusted.aufs.origin of the copy. */
	string origin() const
	{
		char value[64];
		ssize_t size = OK(getxattr((top + "/a").c_str(), "trusted.aufs.origin", value,
					   sizeof(value)));
		return string(value, size);
	}
	/* As an older version left it: an origin without a generation, and the union's number in the pseudo-link. */
	void make_old(ino_t number)
	{
		string value = "afs1" + origin().substr(4, 28);
		memcpy(&value[8], &number, sizeof(number));
		OK(setxattr((top + "/a").c_str(), "trusted.aufs.origin", value.data(), value.size(),
			    0));

		bool same = stat_of(top).st_dev == stat_of(low).st_dev;
		string name = std::to_string(number << 2 | !same) + "." + std::to_string(number);
		Names all = names_in(plinks());
		ASSERT_EQ(all.size(), 1u);
		OK(rename((plinks() + "/" + all[0]).c_str(), (plinks() + "/" + name).c_str()));
	}
};

PARAM_CASE(found_with_other_branches, "more_between", "more_below", "more_above", "ro",
	   "ro_below_another_rw")
{
	Linked u;
	string p = ktap::param(), rw = u.top + "=rw", lower = u.low + "=ro", more = u.low2 + "=ro";
	write_file(u.low2 + "/other", "other");
	make_dir(u.tmp + "/rw");
	if (p == "more_between")
		u.mount("br=" + rw + ":" + more + ":" + lower);
	else if (p == "more_below")
		u.mount("br=" + rw + ":" + lower + ":" + more);
	else if (p == "more_above")
		u.mount("br=" + more + ":" + rw + ":" + lower);
	else if (p == "ro")
		u.mount("br=" + u.top + "=ro:" + lower);
	else
		u.mount("br=" + u.tmp + "/rw=rw:" + u.top + "=ro:" + lower);
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	EXPECT_EQ(stat_of(u.at("a")).st_ino, stat_of(u.at("b")).st_ino);
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	if (p.starts_with("ro"))
		u.unmount();
	if (p == "ro")
		return;
	if (p == "ro_below_another_rw")
		u.mount("br=" + u.tmp + "/rw=rw:" + u.top + "=ro:" + lower);
	append(u.at("b"), "+b");
	EXPECT_EQ(read_file(u.at("a")), "old+new+b");
	u.unmount();
	u.mount(p == "ro_below_another_rw" ?
			"br=" + u.tmp + "/rw=rw:" + more + ":" + u.top + "=ro:" + lower :
			u.options());
	EXPECT_EQ(read_file(u.at("a")), "old+new+b");
	EXPECT_EQ(read_file(u.at("b")), "old+new+b");
	u.unmount();
}

/* The directory of pseudo-links is still known when its inherited bits were taken away. */
CASE(found_below_a_setgid_root)
{
	Union u;
	OK(chmod(u.top.c_str(), 02775));
	write_file(u.low + "/a", "old");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	u.mount();
	append(u.at("a"), "+new");
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	append(u.at("b"), "+more");
	EXPECT_EQ(read_file(u.at("a")), "old+new+more");
	OK(unlink(u.at("b").c_str()));
	EXPECT_EQ(stat_of(u.at("a")).st_nlink, 1u);
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk"), Names{});
}

/* A former rw branch is ro now: nothing on it changes, and users see the right files. */
PARAM_CASE(former_rw_branch_is_not_written, "unlink", "unlink_other", "rename_over", "chmod",
	   "rename", "link")
{
	Linked u;
	string p = ktap::param(), top = u.tmp + "/rw", was = snapshot(u.top);
	string origin = u.origin();
	make_dir(top);
	u.mount("br=" + top + "=rw:" + u.top + "=ro:" + u.low + "=ro");
	string left = p == "unlink" ? "b" : "a";
	unsigned links = p == "link" ? 3 : p.starts_with("unlink") || p == "rename_over" ? 1 : 2;
	/* The cached inode stays, with its count. */
	stat_of(u.at(left));
	if (p == "unlink")
		OK(unlink(u.at("a").c_str()));
	else if (p == "unlink_other")
		OK(unlink(u.at("b").c_str()));
	else if (p == "rename_over") {
		write_file(u.at("x"), "x");
		OK(rename(u.at("x").c_str(), u.at("b").c_str()));
	} else if (p == "chmod")
		OK(chmod(u.at("b").c_str(), 0600));
	else if (p == "rename")
		OK(rename(u.at("b").c_str(), u.at("c").c_str()));
	else
		OK(link(u.at("b").c_str(), u.at("c").c_str()));
	EXPECT_EQ(read_file(u.at(left)), "old+new");
	EXPECT_EQ(stat_of(u.at(left)).st_nlink, links);
	EXPECT_EQ(snapshot(u.top), was);
	EXPECT(u.origin() == origin);
	u.unmount();
	EXPECT_EQ(snapshot(u.top), was);
	expect_no_debris(top);
}

/* Another file has the number of the original: the copy does not belong to that file. */
CASE(number_used_again)
{
	Linked u;
	ino_t number = stat_of(u.low + "/a").st_ino;
	OK(unlink((u.low + "/a").c_str()));
	OK(unlink((u.low + "/b").c_str()));
	string name;
	for (int i = 0; i < 200 && name.empty(); i++) {
		string made = u.low + "/made" + std::to_string(i);
		write_file(made, "another");
		if (stat_of(made).st_ino == number)
			name = "made" + std::to_string(i);
	}
	if (name.empty())
		SKIP("this filesystem does not use the number again soon");
	OK(link((u.low + "/" + name).c_str(), (u.low + "/link").c_str()));
	u.mount();
	EXPECT_EQ(read_file(u.at("link")), "another");
	EXPECT_EQ(read_file(u.at(name)), "another");
	EXPECT_EQ(read_file(u.at("a")), "old+new");
	EXPECT_EQ(stat_of(u.at("link")).st_ino, stat_of(u.at(name)).st_ino);
	EXPECT_NE(stat_of(u.at("link")).st_ino, stat_of(u.at("a")).st_ino);
	append(u.at("link"), "!");
	for (int remounted = 0; remounted < 2; remounted++) {
		EXPECT_EQ(read_file(u.at(name)), "another!");
		EXPECT_EQ(read_file(u.at("link")), "another!");
		EXPECT_EQ(read_file(u.at("a")), "old+new");
		EXPECT_NE(stat_of(u.at("link")).st_ino, stat_of(u.at("a")).st_ino);
		u.unmount();
		u.mount();
	}
	OK(unlink(u.at(name).c_str()));
	EXPECT_EQ(stat_of(u.at("link")).st_nlink, 1u);
	EXPECT_EQ(read_file(u.at("link")), "another!");
}

PARAM_CASE(left_by_an_older_version, "as_it_was", "with_more_branches", "ro")
{
	Linked u;
	string p = ktap::param();
	u.make_old(stat_of(u.low + "/a").st_ino);
	if (p == "as_it_was")
		u.mount();
	else if (p == "with_more_branches")
		u.mount("br=" + u.top + "=rw:" + u.low2 + "=ro:" + u.low + "=ro");
	else
		u.mount("br=" + u.top + "=ro:" + u.low + "=ro");
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	EXPECT_EQ(stat_of(u.at("b")).st_ino, stat_of(u.at("a")).st_ino);
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	if (p == "ro")
		return;
	append(u.at("b"), "+b");
	EXPECT_EQ(read_file(u.at("a")), "old+new+b");
	OK(unlink(u.at("b").c_str()));
	EXPECT_EQ(stat_of(u.at("a")).st_nlink, 1u);
	EXPECT_EQ(names_in(u.plinks()), Names{});
}

/* The same with an origin of the number alone, if the file is younger than the copy. */
CASE(older_version_and_a_number_used_again)
{
	Linked u;
	usleep(50000);
	write_file(u.low + "/g", "another");
	OK(link((u.low + "/g").c_str(), (u.low + "/h").c_str()));
	u.make_old(stat_of(u.low + "/g").st_ino);
	u.mount();
	EXPECT_EQ(read_file(u.at("g")), "another");
	EXPECT_EQ(read_file(u.at("h")), "another");
	append(u.at("h"), "!");
	EXPECT_EQ(read_file(u.at("g")), "another!");
	EXPECT_EQ(read_file(u.at("a")), "old+new");
	EXPECT_NE(stat_of(u.at("h")).st_ino, stat_of(u.at("a")).st_ino);
	u.unmount();
	u.mount();
	EXPECT_EQ(read_file(u.at("g")), "another!");
	EXPECT_EQ(read_file(u.at("a")), "old+new");
}

/* The machine stopped when a copy had its pseudo-link, but no name yet. */
CASE(left_by_a_crash)
{
	Linked u;
	string orphans = u.top + "/.wh..wh.orph";
	EXPECT_EQ(names_in(u.plinks()).size(), 1u);
	OK(rename((u.top + "/a").c_str(), (orphans + "/cpup.1").c_str()));
	u.mount();
	EXPECT_EQ(names_in(orphans), Names{});
	append(u.at("a"), "+again");
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	OK(unlink(u.at("a").c_str()));
	sync();
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT_EQ(read_file(u.at("b")), "old+new+again");
	append(u.at("b"), "+more");
	EXPECT_EQ(read_file(u.at("b")), "old+new+again+more");
}

/* A copy is on a former rw branch, below a new one: its names stay one file, whichever of them have gone. */
PARAM_CASE(another_layer, "all", "one gone before", "one gone in between")
{
	Union u;
	string p = ktap::param();
	write_file(u.low + "/a", "old");
	for (const char *name : {"b", "c", "d"})
		OK(link((u.low + "/a").c_str(), (u.low + "/" + name).c_str()));
	u.mount();
	if (p == "one gone before")
		OK(unlink(u.at("d").c_str()));
	append(u.at("a"), "+1");
	if (p == "one gone in between")
		OK(unlink(u.at("d").c_str()));
	unsigned left = p == "all" ? 4 : 3;
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, left);
	u.unmount();
	make_dir(u.tmp + "/new");
	u.mount("br=" + u.tmp + "/new=rw:" + u.top + "=ro:" + u.low + "=ro");
	EXPECT_EQ(stat_of(u.at("a")).st_nlink, left);
	append(u.at("a"), "+2");
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, left);
	OK(unlink(u.at("b").c_str()));
	sync();
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT_EQ(read_file(u.at("c")), "old+1+2");
	append(u.at("c"), "+3");
	EXPECT_EQ(read_file(u.at("a")), "old+1+2+3");
	EXPECT_EQ(stat_of(u.at("a")).st_nlink, left - 1);
}

/* The rw branch is served. The lower file has a name in each of two directories, and one of them has a part there. */
struct LinkedBelowServer : Union {
	LinkedBelowServer()
	{
		for (const char *dir : {"/one", "/two"})
			make_dir(low + dir);
		write_file(low + "/one/file", "old");
		OK(link((low + "/one/file").c_str(), (low + "/two/file").c_str()));
		mount("br=" + served + "=rw:" + low + "=ro");
		OK(chmod(at("one").c_str(), 0700));
	}
	~LinkedBelowServer()
	{
		ktap::guarded([this] { unmount(); });
	}
	const string served = tmp + "/served";
	Passthrough server{served, top, 0};
};

/* The copy-up by one name fails after a lookup of the other has found its pseudo-link: that finds the lower file. */
CASE(of_a_copy_that_fails)
{
	if (!on("tmpfs") || !on("tmpfs", true))
		SKIP("with tmpfs only; the branch is served");
	LinkedBelowServer u;
	/* Its directory is cached: the held request keeps back lookups in others. */
	EXPECT_EQ(names_in(u.at("two")), Names{"file"});
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT(exists(u.at("two")));
	u.server.hold({FUSE_RENAME, 1, ""});
	pid_t copier = spawn(
		[&u] { EXPECT_ERR(open(u.at("one/file").c_str(), O_RDWR | O_CLOEXEC), EIO); });
	for (unsigned i = 0; i < 10000 * ktap::patience() && !u.server.is_held(); i++)
		usleep(1000);
	ASSERT(u.server.is_held());
	pid_t walker = spawn([&u] { EXPECT_EQ(stat_of(u.at("two/file")).st_nlink, 2u); });
	/* Until it waits for the copy-up. */
	usleep(200000 * ktap::patience());
	u.server.release(EIO);
	EXPECT(u.server.end());
	EXPECT_EQ(wait_for(copier), 0);
	EXPECT_EQ(wait_for(walker), 0);
	write_file(u.at("two/file"), "new");
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT_EQ(read_file(u.at("two/file")), "new");
	EXPECT_EQ(read_file(u.at("one/file")), "new");
}
