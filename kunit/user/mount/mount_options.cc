// SPDX-License-Identifier: GPL-2.0-only
//
// Every form of the branch options, through mount(2) and through fsopen(2)/fsconfig(2).

#include "fixture.hh"

#include <algorithm>

static bool is_writable(const string &dir)
{
	string name = dir + "/is_writable";
	int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		EXPECT_EQ(ktap::errno_name(errno), "EROFS");
		return false;
	}
	close(fd);
	EXPECT_OK(unlink(name.c_str()));
	return true;
}

struct Setup : Union {
	Setup()
	{
		write_file(top + "/t", "top");
		write_file(low + "/l", "low");
		write_file(low2 + "/l2", "low2");
	}
	void expect_three()
	{
		EXPECT_EQ(names_in(mnt), (std::vector<string>{"l", "l2", "t"}));
		EXPECT_EQ(read_file(at("l2")), "low2");
	}
};

CASE(br_equals_with_permissions)
{
	Setup u;
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro");
	u.expect_three();
	EXPECT(is_writable(u.mnt));
	EXPECT(!exists(u.top + "/is_writable"));
}

CASE(br_colon)
{
	Setup u;
	u.mount("br:" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro");
	u.expect_three();
	EXPECT(is_writable(u.mnt));
}

CASE(dirs_equals)
{
	Setup u;
	u.mount("dirs=" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro");
	u.expect_three();
	EXPECT(is_writable(u.mnt));
}

/* By default the first branch is writable, and the others are not. */
CASE(default_permissions)
{
	Setup u;
	u.mount("br=" + u.top + ":" + u.low + ":" + u.low2);
	u.expect_three();
	EXPECT(is_writable(u.mnt));
	/* A copy goes to the first branch. */
	write_file(u.at("l"), "changed");
	EXPECT_EQ(read_file(u.top + "/l"), "changed");
	EXPECT_NE(read_file(u.low + "/l"), "changed");
}

/* As in the original: it is ro, and the log says so. */
PARAM_CASE(unknown_permission, "rx", "RW", "r", "rww")
{
	Setup u;
	string perm = ktap::param();
	KernelLog log;
	u.mount("br=" + u.top + "=" + perm + ":" + u.low + "=ro:" + u.low2 + "=rw");
	EXPECT_HAS(log.read(), "aufs: branch '" + u.top + "': without effect: permission '" + perm +
				       "' (ro in its place; known are rw, ro, rr)");
	u.expect_three();
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=ro:" + u.low + "=ro:" + u.low2 + "=rw");
	write_file(u.at("new"), "new");
	EXPECT_EQ(read_file(u.low2 + "/new"), "new");
	EXPECT_ERR(open(u.at("t").c_str(), O_WRONLY), EROFS);
}

PARAM_CASE(first_branch_not_writable, "ro", "rr")
{
	Setup u;
	u.mount("br=" + u.top + "=" + ktap::param() + ":" + u.low + "=" + ktap::param());
	EXPECT_EQ(read_file(u.at("t")), "top");
	EXPECT(!is_writable(u.mnt));
	EXPECT_ERR(open(u.at("t").c_str(), O_WRONLY), EROFS);
	EXPECT_ERR(chmod(u.at("t").c_str(), 0600), EROFS);
	EXPECT_ERR(unlink(u.at("t").c_str()), EROFS);
}

CASE(one_branch)
{
	Setup u;
	u.mount("br=" + u.top);
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"t"}));
	EXPECT(is_writable(u.mnt));
}

/* The source can be any word. /proc/mounts shows it. */
CASE(source_is_free)
{
	Setup u;
	Mounted mounted("my_union", u.mnt, "aufs", 0, u.options());
	EXPECT_EQ(read_file(u.at("l")), "low");
	EXPECT_HAS(read_file("/proc/self/mounts"), "my_union " + u.mnt + " aufs ");
}

/* A comma, colon, equals sign or backslash in a path is written with a backslash before it. */
PARAM_CASE(escaped_path, "comma", "colon", "equals", "backslash", "all", "all_through_fsconfig",
	   "other_odd_bytes")
{
	string p = ktap::param(), name, written;
	if (p == "comma")
		name = "a,b", written = "a\\,b";
	else if (p == "colon")
		name = "a:b", written = "a\\:b";
	else if (p == "equals")
		name = "a=rw", written = "a\\=rw";
	else if (p == "backslash")
		name = "a\\b", written = "a\\\\b";
	else if (p == "other_odd_bytes")
		name = written = "a b\tc\nd#e\"f\xc3\xa4";
	else
		name = "a,b:c=d\\e=ro", written = "a\\,b\\:c\\=d\\\\e\\=ro";
	Setup u;
	make_dir(u.low + "/" + name);
	write_file(u.low + "/" + name + "/inside", p);
	string data = u.top + "=rw:" + u.low + "/" + written + "=ro";
	Fd tree;
	if (p == "all_through_fsconfig") {
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		OK(fsconfig(context, FSCONFIG_SET_STRING, "br", data.c_str(), 0));
		OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
		tree = Fd(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
		int fd = OK(openat(tree, "inside", O_RDONLY | O_CLOEXEC));
		EXPECT_EQ(pread_text(fd, 100, 0), p);
		close(fd);
	} else {
		u.mount("br=" + data);
		EXPECT_EQ(read_file(u.at("inside")), p);
	}
}

/* Paths in forms that mount(8) passes on: a symlink, `..`, a trailing slash, a relative path. */
PARAM_CASE(path_forms, "symlink", "dotdot", "trailing_slash", "relative")
{
	Setup u;
	string path = u.low, p = ktap::param();
	if (p == "symlink") {
		path = u.tmp + "/link";
		OK(symlink(u.low.c_str(), path.c_str()));
	} else if (p == "dotdot")
		path = u.low + "/../" + ktap::current_name;
	else if (p == "trailing_slash")
		path += "//";
	else {
		OK(chdir(u.low.c_str()));
		path = ".";
	}
	u.mount("br=" + u.top + ":" + path);
	EXPECT_EQ(read_file(u.at("l")), "low");
	OK(chdir("/"));
}

/*
 * Many branches in one directory, and a last one behind them: beside them, a symlink there, a mount point, one with
 * another filesystem on it again, or of the same name in another directory. Each is known by its own path.
 */
PARAM_CASE(side_by_side, "beside", "symlink", "mounted", "mounted_twice", "elsewhere", "above")
{
	Union u;
	string p = ktap::param(), list, shown;
	string box = u.tmp + "/box", last = box + "/last", real = last;
	std::vector<Mounted> mounted;
	make_dirs(box);
	for (unsigned i = 0; i < 4; i++) {
		string branch = box + "/b" + std::to_string(i);
		make_dir(branch);
		write_file(branch + "/own" + std::to_string(i), branch);
		list += (i ? ":" : "") + branch;
		shown += (i ? ":" : "") + branch + (i ? "=ro" : "=rw");
	}
	if (p == "symlink") {
		real = u.low;
		OK(symlink(real.c_str(), last.c_str()));
	} else if (p == "elsewhere") {
		make_dirs(u.tmp + "/other/b1");
		real = last = u.tmp + "/other/b1";
	} else if (p == "above") {
		/* The way leads out of the box, and to a directory beside it. */
		make_dirs(u.tmp + "/other");
		real = u.tmp + "/other";
		last = box + "/../other";
	} else {
		make_dir(last);
		for (int i = 0; p.starts_with("mounted") && i < (p == "mounted" ? 1 : 2); i++)
			mounted.emplace_back("none", last, "tmpfs", 0, "mode=755");
	}
	write_file(real + "/inside", p);
	u.mount("br=" + list + ":" + last);
	EXPECT_EQ(shown_branches(u.mnt), shown + ":" + real + "=ro");
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"inside", "own0", "own1", "own2", "own3"}));
	EXPECT_EQ(read_file(u.at("inside")), p);
	EXPECT_EQ(read_file(u.at("own3")), box + "/b3");
	u.unmount();
	while (!mounted.empty())
		mounted.pop_back();
}

/* The directory that they lie in is itself reached through a symlink: that is no part of their paths. */
CASE(side_by_side_behind_a_symlink)
{
	Union u;
	make_dirs(u.tmp + "/box");
	OK(symlink((u.tmp + "/box").c_str(), (u.tmp + "/link").c_str()));
	for (const char *name : {"/a", "/b", "/c"})
		make_dir(u.tmp + "/box" + name);
	u.mount("br=" + u.tmp + "/link/a:" + u.tmp + "/link/b:" + u.tmp + "/link/c");
	EXPECT_EQ(shown_branches(u.mnt),
		  u.tmp + "/box/a=rw:" + u.tmp + "/box/b=ro:" + u.tmp + "/box/c=ro");
}

CASE(fsconfig_all_forms)
{
	Setup u;
	for (const char *key : {"br", "dirs"}) {
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		OK(fsconfig(context, FSCONFIG_SET_STRING, "source", "none", 0));
		OK(fsconfig(context, FSCONFIG_SET_STRING, key, (u.top + "=rw").c_str(), 0));
		OK(fsconfig(context, FSCONFIG_SET_STRING, "append", (u.low + "=ro").c_str(), 0));
		OK(fsconfig(context, FSCONFIG_SET_STRING, "append", u.low2.c_str(), 0));
		OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
		Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
		OK(move_mount(tree, "", AT_FDCWD, u.mnt.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
		tree.reset();
		u.expect_three();
		EXPECT(is_writable(u.mnt));
		EXPECT_OK(umount2(u.mnt.c_str(), 0));
	}
}

/* A union that is attached nowhere can be used by its descriptor, and goes with it. */
CASE(detached_mount)
{
	Setup u;
	{
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		OK(fsconfig(context, FSCONFIG_SET_STRING, "br", u.top.c_str(), 0));
		OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
		Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
		Fd file(OK(openat(tree, "t", O_RDONLY | O_CLOEXEC)));
		EXPECT_EQ(pread_text(file, 10, 0), "top");
	}
}

static string many(unsigned count, const string &dir, bool make)
{
	string list;
	for (unsigned i = 0; i < count; i++) {
		string name = ktap::format("b%u", i);
		if (make) {
			make_dir(dir + "/" + name);
			write_file(dir + "/" + name + "/own" + std::to_string(i), name);
			write_file(dir + "/" + name + "/all", name);
		}
		list += (i ? ":" : "") + name;
	}
	return list;
}

CASE(branches_127)
{
	Union u;
	string list = many(127, u.tmp, true);
	OK(chdir(u.tmp.c_str()));
	u.mount("br=" + list);
	OK(chdir("/"));
	EXPECT_EQ(names_in(u.mnt).size(), 128u);
	EXPECT_EQ(read_file(u.at("all")), "b0");
	EXPECT_EQ(read_file(u.at("own0")), "b0");
	EXPECT_EQ(read_file(u.at("own126")), "b126");
	EXPECT(is_writable(u.mnt));
	Map map(page_size(), PROT_READ, MAP_SHARED, open_file(u.at("own126"), O_RDONLY));
	EXPECT_EQ(map.text(4), "b126");
}

CASE(branches_127_through_fsconfig)
{
	Union u;
	many(127, u.tmp, true);
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	for (unsigned i = 0; i < 127; i++)
		OK(fsconfig(context, FSCONFIG_SET_STRING, i ? "append" : "br",
			    ktap::format("%s/b%u", u.tmp.c_str(), i).c_str(), 0));
	OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
	Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
	OK(move_mount(tree, "", AT_FDCWD, u.mnt.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
	tree.reset();
	context.reset();
	EXPECT_EQ(names_in(u.mnt).size(), 128u);
	EXPECT_EQ(read_file(u.at("own126")), "b126");
	EXPECT_OK(umount2(u.mnt.c_str(), 0));
}

/* As many branches as possible. Nothing is timed: with a wait for each branch the case would exceed its limit. */
CASE(branches_4096, 300)
{
	constexpr unsigned count = 4096, at_once = 32;
	Union u;
	OK(chdir(u.tmp.c_str()));
	for (unsigned i = 0; i < count; i++)
		make_dir("b" + std::to_string(i));
	for (unsigned i : {0U, 1U, count / 2, count - 1}) {
		string dir = "b" + std::to_string(i);
		make_dir(dir + "/dir");
		write_file(dir + "/dir/" + dir, dir);
	}
	auto configure = [&] {
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		for (unsigned i = 0; i < count; i += at_once) {
			string list;
			for (unsigned k = i; k < i + at_once; k++)
				list += (k > i ? ":b" : "b") + std::to_string(k);
			OK(fsconfig(context, FSCONFIG_SET_STRING, i ? "append" : "br", list.c_str(),
				    0));
		}
		return context;
	};
	EXPECT_ERR(fsconfig(configure(), FSCONFIG_SET_STRING, "append", "b0", 0), E2BIG);
	Fd context = configure();
	OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
	Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
	OK(move_mount(tree, "", AT_FDCWD, u.mnt.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
	tree.reset();
	context.reset();
	string last = "b" + std::to_string(count - 1);
	EXPECT_EQ(names_in(u.at("dir")), (std::vector<string>{"b0", "b1", "b2048", last}));
	EXPECT_EQ(read_file(u.at("dir/" + last)), last);
	write_file(u.at("dir/" + last), "copied up");
	EXPECT_EQ(read_file("b0/dir/" + last), "copied up");
	auto remount = [&u](const string &options) {
		return mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str()) ? errno :
											   0;
	};
	make_dir("more");
	EXPECT_EQ(ktap::errno_name(remount("append:more")), "E2BIG");
	/* One remount removes many branches. */
	string options;
	for (unsigned i = 100; i < 300; i++)
		options += (i > 100 ? ",del:b" : "del:b") + std::to_string(i);
	EXPECT_EQ(remount(options), 0);
	EXPECT_EQ(remount("append:more"), 0);
	write_file("more/late", "late");
	EXPECT_EQ(read_file(u.at("late")), "late");
	OK(chdir("/"));
	EXPECT_OK(umount2(u.mnt.c_str(), 0));
}

/* The VFS's own flags of mount(2) work as on any filesystem. */
PARAM_CASE(mount_flags, "ro", "noexec", "nosuid", "nodev", "noatime")
{
	Setup u;
	string p = ktap::param();
	copy_self(u.top + "/prog");
	OK(mknod((u.top + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)));
	u.mount(u.options(), p == "ro"	   ? MS_RDONLY :
			     p == "noexec" ? MS_NOEXEC :
			     p == "nosuid" ? MS_NOSUID :
			     p == "nodev"  ? MS_NODEV :
					     MS_NOATIME);
	EXPECT_EQ(is_writable(u.mnt), p != "ro");
	EXPECT_EQ(access(u.at("prog").c_str(), X_OK), p == "noexec" ? -1 : 0);
	Fd null(open(u.at("null").c_str(), O_WRONLY));
	EXPECT_EQ(null >= 0, p != "nodev");
	string mounts = read_file("/proc/self/mounts");
	size_t at = mounts.find(" " + u.mnt + " aufs ");
	ASSERT_NE(at, string::npos);
	EXPECT_HAS(mounts.substr(at, mounts.find('\n', at) - at), p);
}

/* Options mean the same in every order, by mount(2) and by fsconfig(2). */
CASE(every_order)
{
	Setup u;
	const string branches = u.top + "=rw:" + u.low + "=ro";
	std::vector<string> words = {"br=" + branches, "create=mfs:7", "cpup=bu", "sum"};
	const string wanted = "," + words[1] + "," + words[2] + "," + words[3];
	auto expect_shown = [&] {
		EXPECT(shown_options(u.mnt).ends_with(wanted));
		EXPECT_EQ(shown_branches(u.mnt), branches);
	};
	std::sort(words.begin(), words.end());
	do {
		string data;
		for (const string &word : words)
			data += (data.empty() ? "" : ",") + word;
		ktap::say(data);
		u.mount(data);
		expect_shown();
		u.unmount();
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		for (const string &word : words) {
			size_t equals = word.find('=');
			if (equals == string::npos)
				OK(fsconfig(context, FSCONFIG_SET_FLAG, word.c_str(), nullptr, 0));
			else
				OK(fsconfig(context, FSCONFIG_SET_STRING,
					    word.substr(0, equals).c_str(),
					    word.substr(equals + 1).c_str(), 0));
		}
		OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
		Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
		OK(move_mount(tree, "", AT_FDCWD, u.mnt.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
		tree.reset();
		context.reset();
		expect_shown();
		OK(umount2(u.mnt.c_str(), 0));
	} while (std::next_permutation(words.begin(), words.end()));
}
