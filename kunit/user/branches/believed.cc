// SPDX-License-Identifier: GPL-2.0-only
//
// The union believes its cache, and the cache is wrong: another object has the name by now, or a name that was free is
// taken, on any branch. The union removes, replaces or covers nothing that was made directly: the call fails. Nothing
// is written to a file that is hidden.

#include "fixture.hh"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

using Names = std::vector<string>;

static int append(const string &path, const string &text)
{
	Fd file(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
	return file < 0 ? -1 : write(file, text.data(), text.size()) < 0 ? -1 : 0;
}

static int move_to(const string &from, const string &to, unsigned int flags = 0)
{
	return syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
}

/* Drops from the cache all names that nobody uses. */
static void forget()
{
	sync();
	/* The first pass spares entries that were used since the last one. */
	for (int i = 0; i < 3; i++)
		write_control("/proc/sys/vm/drop_caches", "2");
}

PARAM_CASE(another_was_made_there, "unlink", "rename", "exchange", "rename away", "rmdir",
	   "replaced directory")
{
	Union u;
	string p = ktap::param();
	write_file(u.low + "/f", "low");
	make_dir(u.low + "/d");
	u.mount();
	write_file(u.at("x"), "x");
	make_dir(u.at("y"));
	EXPECT_EQ(read_file(u.at("f")), "low");
	EXPECT_EQ(names_in(u.at("d")), Names{});
	write_file(u.top + "/f", "precious");
	make_dir(u.top + "/d", 0700);
	ino_t d = stat_of(u.top + "/d").st_ino;
	if (p == "unlink")
		EXPECT_ERR(unlink(u.at("f").c_str()), ESTALE);
	else if (p == "rename")
		EXPECT_ERR(move_to(u.at("x"), u.at("f")), ESTALE);
	else if (p == "exchange")
		EXPECT_ERR(move_to(u.at("x"), u.at("f"), RENAME_EXCHANGE), ESTALE);
	else if (p == "rename away")
		EXPECT_ERR(move_to(u.at("f"), u.at("free")), ESTALE);
	else if (p == "rmdir")
		EXPECT_ERR(rmdir(u.at("d").c_str()), ESTALE);
	else
		EXPECT_ERR(move_to(u.at("y"), u.at("d")), ESTALE);
	EXPECT_EQ(read_file(u.top + "/f"), "precious");
	EXPECT_EQ(stat_of(u.top + "/d").st_ino, d);
	EXPECT_EQ(read_file(u.top + "/x"), "x");
	forget();
	EXPECT_EQ(read_file(u.at("f")), "precious");
	OK(unlink(u.at("f").c_str()));
	OK(rmdir(u.at("d").c_str()));
	expect_no_debris(u.top);
}

/* The original is on a branch that has become rw. The name that the pseudo-link serves can be removed and replaced. */
PARAM_CASE(original_on_a_rw_branch, "unlink", "rename")
{
	Union u;
	write_file(u.low + "/a", "old");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	u.mount();
	OK(append(u.at("a"), "+new"));
	u.unmount();
	u.mount("br=" + u.top + "=rw:" + u.low + "=rw");
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	if (ktap::param() == "unlink") {
		OK(unlink(u.at("b").c_str()));
		EXPECT(!exists(u.at("b")));
	} else {
		write_file(u.at("x"), "x");
		OK(move_to(u.at("x"), u.at("b")));
		EXPECT_EQ(read_file(u.at("b")), "x");
	}
	EXPECT_EQ(read_file(u.at("a")), "old+new");
}

/* Two rw branches; the lower one has the directory. */
struct Two : Union {
	Two()
	{
		one = top + "/one";
		two = top + "/two";
		make_dir(one);
		make_dir(two);
		make_dir(two + "/dir");
		for (const char *name : {"/x", "/dir/f"})
			write_file(two + name, "x");
	}
	void mount_with(const string &more = "")
	{
		mount("br=" + one + "=rw:" + two + "=rw" + more);
		EXPECT(!exists(at("new")));
		EXPECT_EQ(read_file(at("dir/f")), "x");
	}

	string one, two;
};

PARAM_CASE(made_on_an_upper_branch, "rename", "link", "rename over", "exchange")
{
	Two u;
	string p = ktap::param();
	write_file(u.two + "/old", "old");
	u.mount_with();
	EXPECT_EQ(read_file(u.at("old")), "old");
	write_file(u.one + "/new", "precious");
	write_file(u.one + "/old", "precious");
	if (p == "rename")
		EXPECT_ERR(move_to(u.at("x"), u.at("new")), ESTALE);
	else if (p == "link")
		EXPECT_ERR(link(u.at("x").c_str(), u.at("new").c_str()), ESTALE);
	else
		EXPECT_ERR(move_to(u.at("x"), u.at("old"), p == "exchange" ? RENAME_EXCHANGE : 0),
			   ESTALE);
	EXPECT_EQ(read_file(u.one + "/new"), "precious");
	EXPECT_EQ(read_file(u.one + "/old"), "precious");
	EXPECT_EQ(read_file(u.two + "/x"), "x");
	EXPECT_EQ(read_file(u.two + "/old"), "old");
	forget();
	EXPECT_EQ(read_file(u.at("new")), "precious");
}

CASE(created_below_what_was_made)
{
	Two u;
	/* The files go to the two branches in turn: the second one would go to the lower branch. */
	u.mount_with(",create=rr");
	for (const char *name : {"new1", "new2", "new3"})
		EXPECT(!exists(u.at(name)));
	for (const char *name : {"/new1", "/new2", "/new3"})
		write_file(u.one + name, "direct");
	for (const char *name : {"new1", "new2", "new3"}) {
		Fd file(open(u.at(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		EXPECT_EQ(int(file), -1);
		EXPECT_EQ(errno, ESTALE);
	}
	forget();
	for (const char *name : {"new1", "new2", "new3"}) {
		EXPECT_EQ(read_file(u.at(name)), "direct");
		EXPECT(!exists(u.two + "/" + name));
	}
	expect_no_debris(u.two);
}

PARAM_CASE(hidden_by_an_upper_branch, "whiteout", "file", "whiteout of the directory", "directory",
	   "opaque")
{
	Two u;
	string p = ktap::param();
	if (p == "whiteout" || p == "file" || p == "opaque")
		make_dir(u.one + "/dir");
	u.mount_with();
	if (p == "whiteout")
		write_file(u.one + "/dir/.wh.f", "", 0444);
	else if (p == "file")
		write_file(u.one + "/dir/f", "another");
	else if (p == "whiteout of the directory")
		write_file(u.one + "/.wh.dir", "", 0444);
	else if (p == "directory")
		make_dir(u.one + "/dir");
	else
		write_file(u.one + "/dir/.wh..wh..opq", "", 0444);
	EXPECT_ERR(append(u.at("dir/f"), "lost"), ESTALE);
	EXPECT_ERR(chmod(u.at("dir/f").c_str(), 0600), ESTALE);
	EXPECT_EQ(read_file(u.two + "/dir/f"), "x");
	forget();
	if (p == "directory")
		EXPECT_OK(append(u.at("dir/f"), "+"));
	else
		EXPECT_EQ(exists(u.at("dir/f")), p == "file");
}

/* Without its pseudo-link, the other name takes no write. The name of the copy does. */
PARAM_CASE(pseudo_link_is_gone, "moved", "removed")
{
	Union u;
	write_file(u.low + "/a", "old");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	u.mount();
	OK(append(u.at("a"), "+new"));
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	if (ktap::param() == "moved")
		OK(rename((u.top + "/.wh..wh.plnk").c_str(), (u.top + "/moved").c_str()));
	else
		remove_tree(u.top + "/.wh..wh.plnk");
	EXPECT_ERR(append(u.at("b"), "+lost"), ESTALE);
	EXPECT_OK(append(u.at("a"), "+kept"));
	OK(unlink((u.top + "/a").c_str()));
	EXPECT_ERR(append(u.at("a"), "+lost"), ESTALE);
	forget();
	EXPECT_EQ(read_file(u.at("a")), "old");
}

/*
 * A directory has the name of a pseudo-link. An empty one goes. A full one makes the copy-up of that file alone fail.
 */
PARAM_CASE(directory_in_the_place_of_a_pseudo_link, "empty", "full")
{
	Union u;
	bool full = ktap::param() == "full";
	string plinks = u.top + "/.wh..wh.plnk";
	write_file(u.low + "/a", "old");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	write_file(u.low + "/c", "old");
	OK(link((u.low + "/c").c_str(), (u.low + "/d").c_str()));
	u.mount();
	OK(append(u.at("a"), "+new"));
	string name = names_in(plinks).at(0);
	u.unmount();
	OK(unlink((plinks + "/" + name).c_str()));
	OK(unlink((u.top + "/a").c_str()));
	make_dir(plinks + "/" + name);
	if (full)
		write_file(plinks + "/" + name + "/inside", "");
	u.mount();
	if (full) {
		EXPECT_ERR(append(u.at("a"), "+lost"), EIO);
		remove_tree(plinks + "/" + name);
	}
	EXPECT_OK(append(u.at("a"), "+new"));
	EXPECT_EQ(read_file(u.at("b")), "old+new");
	EXPECT_OK(append(u.at("c"), "+new"));
	EXPECT_EQ(read_file(u.at("d")), "old+new");
}

PARAM_CASE(moved_within_the_branch, "to another name", "to another directory", "to a whiteout")
{
	Union u;
	string p = ktap::param();
	make_dir(u.low + "/dir");
	write_file(u.low + "/f", "low");
	u.mount();
	OK(append(u.at("f"), "+new"));
	OK(mkdir(u.at("other").c_str(), 0755));
	string to = p == "to another name" ? "/g" : p == "to a whiteout" ? "/.wh.g" : "/other/f";
	OK(rename((u.top + "/f").c_str(), (u.top + to).c_str()));
	EXPECT_ERR(append(u.at("f"), "+lost"), ESTALE);
	EXPECT_EQ(read_file(u.top + to), "low+new");
	forget();
	EXPECT_EQ(read_file(u.at("f")), "low");
}

/* A lower branch claims that its file is a copy of a file above it, which has two names. It is not believed. */
CASE(origin_of_what_lies_above)
{
	Union u;
	write_file(u.low + "/tool", "the tool");
	OK(link((u.low + "/tool").c_str(), (u.low + "/tool2").c_str()));
	u.mount();
	OK(append(u.at("tool"), ""));
	OK(chmod(u.at("tool").c_str(), 0755));
	u.unmount();
	char origin[64];
	ssize_t size = OK(
		getxattr((u.top + "/tool").c_str(), "trusted.aufs.origin", origin, sizeof(origin)));
	remove_tree(u.top + "/.wh..wh.plnk");
	OK(unlink((u.top + "/tool").c_str()));
	write_file(u.low2 + "/x", "hers");
	OK(link((u.low2 + "/x").c_str(), (u.low2 + "/x2").c_str()));
	make_dir(u.low2 + "/.wh..wh.plnk", 0700);
	unsigned int links = 3;
	memcpy(origin + 4, &links, sizeof(links));
	OK(setxattr((u.low2 + "/x").c_str(), "trusted.aufs.origin", origin, size, 0));
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro");
	EXPECT_EQ(read_file(u.at("x")), "hers");
	EXPECT_OK(append(u.at("x"), "+more"));
	EXPECT_EQ(read_file(u.at("tool")), "the tool");
	forget();
	EXPECT_EQ(read_file(u.at("tool")), "the tool");
	EXPECT_EQ(read_file(u.at("tool2")), "the tool");
	EXPECT_OK(append(u.at("tool2"), "+"));
	EXPECT_EQ(read_file(u.at("tool")), "the tool+");
	EXPECT_EQ(read_file(u.at("x")), "hers+more");
}

/* A call that is refused leaves no copy on the rw branch. */
PARAM_CASE(refused, "link to a reserved name", "link below a whiteout", "xattr", "chattr")
{
	Union u;
	string p = ktap::param();
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/f", "low");
	make_dir(u.low2 + "/dir");
	write_file(u.low2 + "/dir/.wh.other", "", 0444);
	make_dir(u.tmp + "/plain");
	Mounted plain("plain", u.tmp + "/plain", "ramfs", 0, "");
	string rw = p == "xattr" || p == "chattr" ? plain.path() : u.top;
	u.mount("br=" + u.low2 + "=ro:" + rw + "=rw:" + u.low + "=ro");
	string file = u.at("dir/f"), before = snapshot(rw);
	if (p == "link to a reserved name") {
		EXPECT_ERR(link(file.c_str(), u.at("dir/.wh.x").c_str()), EPERM);
	} else if (p == "link below a whiteout") {
		EXPECT_ERR(link(file.c_str(), u.at("dir/other").c_str()), EXDEV);
	} else if (p == "xattr") {
		EXPECT_EQ(setxattr(file.c_str(), "trusted.x", "x", 1, 0), -1);
	} else {
		Fd fd = open_file(file, O_RDONLY);
		int flags = FS_NODUMP_FL;
		EXPECT_EQ(ioctl(fd, FS_IOC_SETFLAGS, &flags), -1);
	}
	EXPECT(!exists(rw + "/dir/f"));
	if (p != "xattr" && p != "chattr")
		EXPECT_EQ(snapshot(rw), before);
}

/* Nothing is made in a directory that an upper branch hides by now. */
PARAM_CASE(made_in_what_is_hidden, "file", "directory", "link", "rename")
{
	Two u;
	string p = ktap::param();
	u.mount_with();
	write_file(u.one + "/.wh.dir", "", 0444);
	if (p == "file")
		EXPECT_ERR(open(u.at("dir/new").c_str(), O_CREAT | O_WRONLY, 0644), ESTALE);
	else if (p == "directory")
		EXPECT_ERR(mkdir(u.at("dir/new").c_str(), 0755), ESTALE);
	else if (p == "link")
		EXPECT_ERR(link(u.at("x").c_str(), u.at("dir/new").c_str()), ESTALE);
	else
		EXPECT_ERR(move_to(u.at("x"), u.at("dir/new")), ESTALE);
	EXPECT_EQ(names_in(u.two + "/dir"), Names{"f"});
	EXPECT_EQ(read_file(u.two + "/x"), "x");
	forget();
	EXPECT(!exists(u.at("dir")));
}

/* Objects that are being renamed can be opened and changed: no moment of a rename looks like a change by others. */
CASE(opened_while_it_is_renamed)
{
	constexpr unsigned rounds = 600;
	Union u;
	u.mount();
	write_file(u.at("a"), "x");
	make_dir(u.at("d"));
	Fd file = open_file(u.at("a"), O_RDONLY), dir = open_file(u.at("d"), O_RDONLY);
	pid_t mover = spawn([&] {
		for (unsigned i = 0; i < rounds; i++) {
			OK(rename(u.at(i % 2 ? "b" : "a").c_str(),
				  u.at(i % 2 ? "a" : "b").c_str()));
			OK(rename(u.at(i % 2 ? "e" : "d").c_str(),
				  u.at(i % 2 ? "d" : "e").c_str()));
		}
		return 0;
	});
	siginfo_t ended = {};
	unsigned opened = 0, changed = 0;
	while (!ended.si_pid) {
		for (const char *name : {"a", "b"}) {
			Fd fd(open(u.at(name).c_str(), O_WRONLY | O_CLOEXEC));
			if (fd < 0)
				EXPECT_EQ(ktap::errno_name(errno), "ENOENT");
			opened += fd >= 0;
		}
		for (const char *name : {"d", "e"}) {
			int error = chmod(u.at(name).c_str(), 0700) ? errno : 0;
			if (error)
				EXPECT_EQ(ktap::errno_name(error), "ENOENT");
			changed += !error;
		}
		/* By descriptor: a call by path is tried again by the VFS after ESTALE. */
		EXPECT_OK(fchmod(file, 0600));
		EXPECT_OK(fchmod(dir, 0700));
		OK(waitid(P_PID, mover, &ended, WEXITED | WNOHANG | WNOWAIT));
	}
	EXPECT_EQ(wait_for(mover), 0);
	ktap::say(ktap::format("opened %u times, changed %u times", opened, changed));
}

/* A flag that was taken off a lower file is not on its copy. */
CASE(flag_that_goes)
{
	Union u;
	write_file(u.low + "/f", "low");
	int flags = FS_NOATIME_FL | FS_NODUMP_FL, seen = 0;
	{
		Fd fd = open_file(u.low + "/f", O_RDONLY);
		if (ioctl(fd, FS_IOC_SETFLAGS, &flags))
			SKIP("the branch's filesystem has no flags here");
	}
	u.mount();
	Fd fd = open_file(u.at("f"), O_RDONLY);
	flags = FS_NODUMP_FL;
	OK(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	fd = open_file(u.top + "/f", O_RDONLY);
	OK(ioctl(fd, FS_IOC_GETFLAGS, &seen));
	EXPECT_EQ(seen & (FS_NOATIME_FL | FS_NODUMP_FL), FS_NODUMP_FL);
}
