// SPDX-License-Identifier: GPL-2.0-only
//
// Mounts that are refused: the errno, and the reason in the log of the filesystem context (which `read(fsopen fd)`
// gives) and in the kernel's log.

#include "disk.hh"

#include <sched.h>
#include <sys/ioctl.h>

#include <linux/fs.h>

/* fsconfig(2) refuses a longer value before the filesystem sees it. */
static constexpr size_t longest_for_fsconfig = 255;

/*
 * Mounts by mount(2) and by fsconfig(2). Both have to fail with @error and to log a line that names @mention, so that
 * users find the mistake.
 */
static void expect_refused(Union &u, const string &key, const string &value, int error,
			   const string &mention)
{
	KernelLog log;
	string data = value.empty() ? key : key + "=" + value;
	EXPECT_EQ(ktap::errno_name(try_mount(u.mnt, data)), ktap::errno_name(error));
	string lines = log.read();
	EXPECT_HAS(lines, "aufs: ");
	EXPECT_HAS(lines, mention);
	EXPECT_HAS_NOT(read_file("/proc/self/mounts"), " " + u.mnt + " ");
	ktap::say("kernel log: " + lines.substr(0, lines.size() - !lines.empty()));
	if (value.size() > longest_for_fsconfig)
		return;

	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	int result = value.empty() ?
			     fsconfig(context, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) :
			     fsconfig(context, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
	if (result == 0)
		result = fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
	EXPECT_EQ(result, -1);
	EXPECT_EQ(ktap::errno_name(errno), ktap::errno_name(error));
	string messages = context_log(context);
	EXPECT_HAS(messages, "e aufs: ");
	EXPECT_HAS(messages, mention);
}

/*
 * The log takes a hundred of these lines in five seconds. This program and the one before may have
 * written as many before a case.
 */
static void wait_for_the_log()
{
	sleep(6);
}

CASE(unknown_option)
{
	Union u;
	wait_for_the_log();
	expect_refused(u, "nonsense", u.top, EINVAL, "nonsense");
	EXPECT_EQ(try_mount(u.mnt, u.options() + ",nonsense"), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "nonsense=1," + u.options()), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, u.options()), 0);
}

CASE(flag_in_place_of_branches)
{
	Union u;
	expect_refused(u, "br", "", EINVAL, "br");
}

CASE(missing_directory)
{
	Union u;
	expect_refused(u, "br", u.top + "/missing", ENOENT, "missing");
	expect_refused(u, "br", u.top + ":" + u.low + "/missing", ENOENT, "missing");
}

CASE(file_in_place_of_a_directory)
{
	Union u;
	write_file(u.low + "/file", "");
	expect_refused(u, "br", u.low + "/file", ENOTDIR, "file");
	expect_refused(u, "br", u.top + ":" + u.low + "/file", ENOTDIR, "file");
}

CASE(symlink_loop)
{
	Union u;
	OK(symlink("loop", (u.low + "/loop").c_str()));
	expect_refused(u, "br", u.low + "/loop", ELOOP, "loop");
}

/* The same beside directories that are branches. */
CASE(wrong_beside_right_ones)
{
	Union u;
	string right = u.low + "/b0:" + u.low + "/b1:";
	make_dir(u.low + "/b0");
	make_dir(u.low + "/b1");
	write_file(u.low + "/file", "");
	OK(symlink("loop", (u.low + "/loop").c_str()));
	expect_refused(u, "br", right + u.low + "/missing", ENOENT, u.low + "/missing");
	expect_refused(u, "br", right + u.low + "/file", ENOTDIR, u.low + "/file");
	expect_refused(u, "br", right + u.low + "/loop", ELOOP, u.low + "/loop");
	expect_refused(u, "br", right + u.low + "/b1", EINVAL, u.low + "/b1");
	expect_refused(u, "br", right + u.low + "/.", EINVAL, u.low);
	string too_long = u.low + "/" + string(256, 'x');
	expect_refused(u, "br", right + too_long, ENAMETOOLONG, too_long);
}

CASE(same_branch_twice)
{
	Union u;
	expect_refused(u, "br", u.top + "=rw:" + u.top + "=ro", EINVAL, u.top);
	expect_refused(u, "br", u.top + ":" + u.low + ":" + u.low, EINVAL, u.low);
}

/* Two paths of one directory are one branch. */
CASE(same_branch_through_another_path)
{
	Union u;
	OK(symlink(u.top.c_str(), (u.tmp + "/link").c_str()));
	expect_refused(u, "br", u.top + ":" + u.tmp + "/link", EINVAL, "link");
	make_dir(u.tmp + "/bound");
	Mounted bound(u.top, u.tmp + "/bound", "", MS_BIND, "");
	expect_refused(u, "br", u.top + ":" + u.tmp + "/bound", EINVAL, "bound");
}

CASE(branch_within_a_branch)
{
	Union u;
	make_dirs(u.low + "/a/b");
	expect_refused(u, "br", u.low + ":" + u.low + "/a", EINVAL, u.low + "/a");
	expect_refused(u, "br", u.low + "/a/b:" + u.low, EINVAL, u.low);
	expect_refused(u, "br", u.top + ":" + u.low + "/a/b:" + u.low, EINVAL, u.low);
	/* Also of many that lie side by side. */
	make_dir(u.low + "/a/c");
	expect_refused(u, "br", u.top + ":" + u.low + "/a/b:" + u.low + "/a/c:" + u.low, EINVAL,
		       u.low);
	expect_refused(u, "br", u.top + ":" + u.low + ":" + u.low + "/a/b:" + u.low + "/a/c",
		       EINVAL, u.low);
	/* Siblings may be branches, and a name that only begins like another is no parent. */
	make_dir(u.low + "/aa");
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.low + "/a:" + u.low + "/aa"), 0);
	/* The same with the root of a filesystem and its entries. */
	Mounted whole = mount_tmpfs("whole");
	string root = whole.path();
	make_dir(root + "/a");
	make_dir(root + "/aa");
	expect_refused(u, "br", root + ":" + root + "/a", EINVAL, root + "/a");
	expect_refused(u, "br", root + "/a:" + root, EINVAL, root);
	EXPECT_EQ(try_mount(u.mnt, "br=" + root + "/a:" + root + "/aa"), 0);
}

/* A branch without case would have one object for two names of the union. */
CASE(casefolded_branch)
{
	Union u;
	if (!on("ext4"))
		SKIP("with ext4 only");
	Disk disk(u.tmp + "/disk", 16 << 20);
	make_ext4(disk.name, {"-O", "casefold"});
	string branch = u.tmp + "/branch", folded = branch + "/folded", plain = branch + "/plain";
	Mounted mounted = mount_ext4(disk.name, branch);
	make_dir(folded);
	make_dir(plain);
	{
		Fd dir = open_file(folded, O_RDONLY | O_DIRECTORY);
		int flags = 0;
		OK(ioctl(dir, FS_IOC_GETFLAGS, &flags));
		flags |= FS_CASEFOLD_FL;
		OK(ioctl(dir, FS_IOC_SETFLAGS, &flags));
	}
	make_dir(folded + "/Name");
	EXPECT(exists(folded + "/nAME"));
	for (const string &path : {branch, folded, plain, folded + "/Name"}) {
		expect_refused(u, "br", path + "=rw", EINVAL, path + "'");
		expect_refused(u, "br", u.top + "=rw:" + path + "=ro", EINVAL, path + "'");
	}
}

CASE(no_branches)
{
	Union u;
	wait_for_the_log();
	KernelLog log;
	EXPECT_EQ(try_mount(u.mnt, ""), EINVAL);
	EXPECT_HAS(log.read(), "aufs: ");
	EXPECT_EQ(try_mount(u.mnt, "br="), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "br:"), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "dirs="), EINVAL);
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	EXPECT_ERR(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), EINVAL);
	EXPECT_HAS(context_log(context), "e aufs: ");
}

CASE(empty_branch_in_a_list)
{
	Union u;
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + "::" + u.low), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + ":::"), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "br=:" + u.top), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "br==rw"), EINVAL);
}

/* One that is a word is ro: mount_options. */
PARAM_CASE(bad_permission, "r-x", "rw ", "", "r.w", "rw=ro")
{
	Union u;
	expect_refused(u, "br", u.top + "=" + ktap::param() + ":" + u.low, EINVAL, ktap::param());
}

CASE(branches_given_twice)
{
	Union u;
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + ",br=" + u.low), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + ",dirs=" + u.low), EINVAL);
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	OK(fsconfig(context, FSCONFIG_SET_STRING, "br", u.top.c_str(), 0));
	EXPECT_ERR(fsconfig(context, FSCONFIG_SET_STRING, "br", u.low.c_str(), 0), EINVAL);
	EXPECT_HAS(context_log(context), "e aufs: ");
}

/* A union on a union is possible. Three levels are more than the kernel's stack is sized for. */
CASE(too_deep_stack)
{
	Union u;
	make_dir(u.tmp + "/first");
	make_dir(u.tmp + "/second");
	Mounted first("none", u.tmp + "/first", "aufs", 0, "br=" + u.low);
	Mounted second("none", u.tmp + "/second", "aufs", 0, "br=" + u.tmp + "/first");
	expect_refused(u, "br", u.tmp + "/second", EINVAL, u.tmp + "/second");
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + ":" + u.tmp + "/second"), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + ":" + u.tmp + "/first"), 0);
}

/* A read-only filesystem can be no rw branch. */
CASE(rw_branch_on_a_read_only_filesystem)
{
	Union u;
	Mounted branch = mount_tmpfs("branch");
	write_file(branch.path() + "/file", "text");
	OK(mount("none", branch.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""));
	expect_refused(u, "br", branch.path() + "=rw:" + u.low, EROFS, branch.path());
	EXPECT_EQ(try_mount(u.mnt, "br=" + branch.path() + "=ro:" + u.low), 0);
	EXPECT_EQ(try_mount(u.mnt, "br=" + branch.path() + "=rr:" + u.low), 0);
}

/* Nor can a read-only mount. */
CASE(rw_branch_on_a_read_only_mount)
{
	Union u;
	make_dir(u.tmp + "/bound");
	Mounted bound(u.low, u.tmp + "/bound", "", MS_BIND, "");
	OK(mount("none", bound.path().c_str(), "", MS_REMOUNT | MS_BIND | MS_RDONLY, ""));
	expect_refused(u, "br", bound.path() + "=rw:" + u.top, EROFS, bound.path());
	EXPECT_EQ(try_mount(u.mnt, "br=" + bound.path() + "=ro:" + u.top), 0);
}

/* A mount that was refused does not hold the branches' filesystem. */
CASE(failure_leaves_nothing_behind)
{
	Union u;
	Mounted branch = mount_tmpfs("branch");
	make_dir(branch.path() + "/a");
	write_file(branch.path() + "/file", "");
	EXPECT_EQ(try_mount(u.mnt, "br=" + branch.path() + "/a:" + u.low + "/missing"), ENOENT);
	EXPECT_EQ(try_mount(u.mnt, "br=" + branch.path() + "/a:" + branch.path() + "/file"),
		  ENOTDIR);
	EXPECT_EQ(try_mount(u.mnt, "br=" + branch.path() + "/a:" + branch.path() + "/a"), EINVAL);
	EXPECT_EQ(try_mount(u.mnt, "br=" + branch.path() + "/a,nonsense"), EINVAL);
	{
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		OK(fsconfig(context, FSCONFIG_SET_STRING, "br", (branch.path() + "/a").c_str(), 0));
		/* The context goes without a mount. */
	}
	branch.unmount();
}

/* A path that is too long is refused, and so is a list that ends in a backslash. */
CASE(path_too_long)
{
	Union u;
	string data = "br=/";
	while (data.size() < 4000)
		data += "x";
	EXPECT_EQ(ktap::errno_name(try_mount(u.mnt, data)), "ENAMETOOLONG");
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + "\\"), EINVAL);
}

/* A mount needs CAP_SYS_ADMIN, as for any filesystem that is not made for user namespaces. */
CASE(unprivileged)
{
	Union u;
	OK(chmod(u.mnt.c_str(), 0777));
	as_user(alice, [&] {
		EXPECT_EQ(ktap::errno_name(try_mount(u.mnt, u.options())), "EPERM");
		EXPECT_ERR(fsopen("aufs", FSOPEN_CLOEXEC), EPERM);
	});
	as_user(alice, [&] {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
			SKIP("no user namespaces for users here: %s", strerrorname_np(errno));
		EXPECT_EQ(ktap::errno_name(try_mount(u.mnt, u.options())), "EPERM");
	});
}

/* A user that may not mount cannot write to the kernel's log, whatever rights it has in its own user namespace. */
CASE(users_do_not_write_to_the_log)
{
	Union u;
	OK(chmod(u.mnt.c_str(), 0777));
	u.mount();
	KernelLog log;
	as_user(alice, [&] {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
			SKIP("no user namespaces for users here: %s", strerrorname_np(errno));
		const char *fake = "br=/no\n<0>a line of somebody else";
		EXPECT_EQ(ktap::errno_name(try_mount(u.mnt, fake)), "EPERM");
		EXPECT_ERR(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, fake), EPERM);
		EXPECT_ERR(fsopen("aufs", FSOPEN_CLOEXEC), EPERM);
		EXPECT_ERR(fspick(AT_FDCWD, u.mnt.c_str(), FSPICK_CLOEXEC), EPERM);
	});
	EXPECT_EQ(log.read(), "");
}

/* Nor does a path add a line, or control the terminal. (The log shows a \ as \x5c.) */
CASE(odd_bytes_in_messages)
{
	Union u;
	wait_for_the_log();
	KernelLog log;
	string odd = "/a\n<0>b\033[31m\xc2\x9b\x7f";
	EXPECT_EQ(try_mount(u.mnt, "br=" + odd), ENOENT);
	string shown = "/a\\012<0>b\\033[31m\\302\\233\\177", in_log;
	for (char c : shown)
		in_log += c == '\\' ? "\\x5c" : string(1, c);
	EXPECT_HAS(log.read(), "aufs: branch '" + in_log + "' cannot be opened");
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	EXPECT_ERR(fsconfig(context, FSCONFIG_SET_STRING, "br", odd.c_str(), 0), ENOENT);
	EXPECT_HAS(context_log(context), "'" + shown + "'");
	/* Names of a branch are quoted, too. */
	make_dirs(u.top + "/dir/.wh.x\ny");
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/x\ny", "");
	u.mount();
	EXPECT(!exists(u.at("dir/x\ny")));
	EXPECT_HAS(log.read(), "'.wh.x\\x5c012y'");
}

/* A directory of the union itself is refused as a branch. */
CASE(branch_within_the_mount)
{
	Union u;
	make_dir(u.low + "/dir");
	u.mount();
	KernelLog log;
	string inside = u.at("dir");
	int result = mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, ("append=" + inside).c_str());
	EXPECT_EQ(result, -1);
	EXPECT_EQ(ktap::errno_name(errno), "EINVAL");
	EXPECT_HAS(log.read(), "aufs: ");
	EXPECT(exists(inside));
}

/* A branch contains the mount point, or is it: the union covers a part of the branch. */
PARAM_CASE(mount_point_and_branch, "branch_contains_it", "branch_is_it", "branch_is_inside_it")
{
	Union u;
	string p = ktap::param();
	make_dirs(u.mnt + "/a/b");
	write_file(u.mnt + "/a/b/file", "branch");
	string branch = p == "branch_contains_it" ? u.mnt :
			p == "branch_is_it"	  ? u.mnt + "/a" :
						    u.mnt + "/a/b";
	string target = u.mnt + "/a";
	/*
	 * mount(2) does not tell a filesystem the mount point, so the mount cannot be refused. It must neither loop nor
	 * show the union within itself.
	 */
	Mounted mounted("none", target, "aufs", 0, "br=" + branch);
	string below = p == "branch_contains_it" ? "/a/b/file" :
		       p == "branch_is_it"	 ? "/b/file" :
						   "/file";
	EXPECT_EQ(read_file(target + below), "branch");
	if (p == "branch_contains_it")
		EXPECT_EQ(names_in(target + "/a"), (std::vector<string>{"b"}));
}

/* mount(2) takes one page. A list that was cut there, even behind a whole path, is not mounted as the shorter list. */
PARAM_CASE(longer_than_a_page, "within a path", "behind a path", "nearly")
{
	constexpr size_t page = 4095;
	Union u;
	string p = ktap::param();
	string data = "br=" + u.top + "=rw";
	for (unsigned i = 10000; data.size() < (p == "nearly" ? 4000 : 5000); i++) {
		string name = u.low + "/" + std::to_string(i);
		size_t size = data.size() + name.size() + 4;
		if (p == "behind a path" && size <= page && size + name.size() + 4 > page)
			name += string(page - size, 'x');
		make_dir(name);
		data += ":" + name + "=ro";
	}
	if (p == "behind a path")
		EXPECT_EQ(data.substr(page - 3, 4), "=ro:");
	EXPECT_EQ(ktap::errno_name(try_mount(u.mnt, data)), p == "nearly" ? "0" : "EINVAL");
}
