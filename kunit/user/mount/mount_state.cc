// SPDX-License-Identifier: GPL-2.0-only
//
// A mounted union is remounted, bound and unmounted. sysfs_files has the files that show it.

#include "fixture.hh"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/vfs.h>

/* mount(8) is the command that people type. */
CASE(mount_command)
{
	Union u;
	write_file(u.low + "/file", "low");
	Output out = run({"/bin/mount", "-t", "aufs", "-o", u.options(), "none", u.mnt});
	EXPECT_EQ(out.text, "");
	ASSERT_EQ(out.status, 0);
	EXPECT_EQ(read_file(u.at("file")), "low");
	out = run({"/bin/mount", "-o", "remount,ro", u.mnt});
	EXPECT_EQ(out.text, "");
	EXPECT_EQ(out.status, 0);
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EROFS);
	out = run({"/bin/mount", "-o", "remount,rw", u.mnt});
	EXPECT_EQ(out.text, "");
	EXPECT_EQ(out.status, 0);
	EXPECT_OK(mkdir(u.at("dir").c_str(), 0755));
	out = run({"/bin/umount", u.mnt});
	EXPECT_EQ(out.text, "");
	EXPECT_EQ(out.status, 0);
	EXPECT(!exists(u.at("file")));
}

CASE(remount_read_only)
{
	Union u;
	write_file(u.top + "/file", "top");
	u.mount();
	OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT | MS_RDONLY, ""));
	string before = snapshot(u.top);
	EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY), EROFS);
	EXPECT_ERR(open(u.at("new").c_str(), O_WRONLY | O_CREAT, 0644), EROFS);
	EXPECT_ERR(unlink(u.at("file").c_str()), EROFS);
	EXPECT_ERR(chmod(u.at("file").c_str(), 0600), EROFS);
	EXPECT_ERR(rename(u.at("file").c_str(), u.at("other").c_str()), EROFS);
	EXPECT_EQ(read_file(u.at("file")), "top");
	EXPECT_EQ(snapshot(u.top), before);
	OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, ""));
	write_file(u.at("file"), "written");
	EXPECT_EQ(read_file(u.top + "/file"), "written");
}

/* A file that is open for writing keeps the union from becoming read-only, as on any filesystem. */
CASE(remount_read_only_while_writing)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_WRONLY | O_CREAT);
	EXPECT_ERR(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT | MS_RDONLY, ""), EBUSY);
	EXPECT_EQ(OK(write(file, "text", 4)), 4);
	file.reset();
	EXPECT_OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT | MS_RDONLY, ""));
}

/* mount(8) passes the options of /proc/mounts to a remount, which accepts them. */
CASE(remount_with_the_same_options)
{
	Union u;
	write_file(u.low + "/file", "low");
	u.mount();
	EXPECT_OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT | MS_RDONLY,
			joined(without_flags(shown_options(u.mnt))).c_str()));
	EXPECT_EQ(read_file(u.at("file")), "low");
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EROFS);
}

/* A program may go on with fsconfig(2) after an option that failed. The context is not used then. */
PARAM_CASE(after_a_branch_that_failed, "append", "prepend", "add", "br", "ins")
{
	Union u;
	string key = ktap::param(), missing = u.tmp + "/missing",
	       value = key == "add" || key == "ins" ? "0:" + missing :
		       key == "br"		    ? u.top + "=rw:" + missing :
						      missing;
	KernelLog log;
	for (bool first : {false, true}) {
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		if (first && key != "br")
			OK(fsconfig(context, FSCONFIG_SET_STRING, "append", u.low.c_str(), 0));
		EXPECT_ERR(fsconfig(context, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0),
			   ENOENT);
		EXPECT_ERR(fsconfig(context, FSCONFIG_SET_STRING, "append", u.low2.c_str(), 0),
			   EINVAL);
		EXPECT_ERR(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), EINVAL);
		EXPECT_ERR(fsconfig(context, FSCONFIG_SET_STRING, "append", u.low2.c_str(), 0),
			   EBUSY);
		EXPECT_ERR(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), EBUSY);
	}
	EXPECT_HAS(log.read(), "begin with a new context");
	sync();
	u.mount();
	string before = shown_branches(u.mnt);
	Fd context(OK(fspick(AT_FDCWD, u.mnt.c_str(), FSPICK_CLOEXEC)));
	EXPECT_ERR(fsconfig(context, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0), ENOENT);
	EXPECT_ERR(fsconfig(context, FSCONFIG_SET_STRING, "append", u.low2.c_str(), 0), EINVAL);
	EXPECT_ERR(fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0), EINVAL);
	EXPECT_EQ(shown_branches(u.mnt), before);
}

/* fspick(2) changes only the given options: a union that cannot be written to stays so. */
CASE(reconfigured_without_a_rw_branch)
{
	Union u;
	write_file(u.low + "/file", "low");
	u.mount("br=" + u.low + "=ro");
	Fd context(OK(fspick(AT_FDCWD, u.mnt.c_str(), FSPICK_CLOEXEC)));
	OK(fsconfig(context, FSCONFIG_SET_FLAG, "sum", nullptr, 0));
	EXPECT_OK(fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0));
	EXPECT_HAS(read_file("/proc/self/mounts"), ",sum");
	EXPECT_ERR(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, nullptr), EROFS);
}

CASE(remount_with_a_wrong_option)
{
	Union u;
	u.mount();
	EXPECT_ERR(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, "nonsense"), EINVAL);
	EXPECT_OK(mkdir(u.at("still_writable").c_str(), 0755));
}

/* A branch's filesystem becomes read-only: the union can be read, and all else is EROFS. */
CASE(branch_turns_read_only)
{
	Union u;
	Mounted branch = mount_tmpfs("branch");
	write_file(branch.path() + "/file", "text");
	u.mount("br=" + branch.path() + "=rw:" + u.low);
	Fd open_before = open_file(u.at("file"), O_RDONLY);
	OK(mount("none", branch.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""));
	EXPECT_EQ(read_file(u.at("file")), "text");
	EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY), EROFS);
	EXPECT_ERR(open(u.at("new").c_str(), O_WRONLY | O_CREAT, 0644), EROFS);
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EROFS);
	EXPECT_ERR(unlink(u.at("file").c_str()), EROFS);
	EXPECT_ERR(rename(u.at("file").c_str(), u.at("other").c_str()), EROFS);
	EXPECT_ERR(chmod(u.at("file").c_str(), 0600), EROFS);
	EXPECT_EQ(pread_text(open_before, 4, 0), "text");
	OK(mount("none", branch.path().c_str(), "tmpfs", MS_REMOUNT, ""));
	write_file(u.at("file"), "again");
	EXPECT_EQ(read_file(branch.path() + "/file"), "again");
	open_before.reset();
	u.unmount();
}

/* A union holds its branches: their filesystems are busy until the union has gone. */
CASE(branches_are_pinned)
{
	Union u;
	Mounted branch = mount_tmpfs("branch");
	write_file(branch.path() + "/file", "text");
	u.mount("br=" + u.top + ":" + branch.path());
	EXPECT_EQ(read_file(u.at("file")), "text");
	/* The mount by which the branch was found may go: the union has a mount of its own. */
	string path = branch.path();
	branch.unmount();
	EXPECT(!exists(path + "/file"));
	EXPECT_EQ(read_file(u.at("file")), "text");
	u.unmount();
}

CASE(bind_mount)
{
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "low");
	u.mount();
	Mounted bound(u.at("dir"), u.tmp, "", MS_BIND, "");
	EXPECT_EQ(read_file(u.tmp + "/file"), "low");
	EXPECT_EQ(stat_of(u.tmp + "/file").st_ino, stat_of(u.at("dir/file")).st_ino);
	u.unmount();
	EXPECT_EQ(read_file(u.tmp + "/file"), "low");
}

/* A directory and a file from elsewhere are bound to names of the union. */
CASE(mount_points_in_the_union)
{
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/file", "low");
	write_file(u.tmp + "/elsewhere", "elsewhere");
	u.mount();
	{
		Mounted dir(u.tmp, u.at("dir"), "", MS_BIND, "");
		Mounted file(u.tmp + "/elsewhere", u.at("file"), "", MS_BIND, "");
		EXPECT_EQ(read_file(u.at("dir/elsewhere")), "elsewhere");
		EXPECT_EQ(read_file(u.at("file")), "elsewhere");
	}
	EXPECT_EQ(read_file(u.at("file")), "low");
}

/* A filesystem that is mounted in a branch is not part of the branch. */
CASE(mounts_below_a_branch_are_not_seen)
{
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "branch");
	Mounted covering("none", u.low + "/dir", "tmpfs", 0, "");
	write_file(u.low + "/dir/other", "mounted");
	u.mount();
	EXPECT_EQ(names_in(u.at("dir")), (std::vector<string>{"file"}));
	u.unmount();
}

CASE(busy_while_open)
{
	Union u;
	write_file(u.low + "/file", "low");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	EXPECT_EQ(pread_text(file, 3, 0), "low");
	file.reset();
	u.unmount();
}

CASE(lazy_unmount_while_open)
{
	Union u;
	write_file(u.low + "/file", "low");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	u.unmount_lazily();
	EXPECT(!exists(u.at("file")));
	EXPECT_EQ(pread_text(file, 3, 0), "low");
	Fd again(OK(openat(dir, "file", O_RDONLY | O_CLOEXEC)));
	EXPECT_EQ(pread_text(again, 3, 0), "low");
}

/* Two unions of the same branches are two filesystems. */
CASE(two_unions)
{
	Union u;
	write_file(u.low + "/file", "low");
	u.mount("br=" + u.low + "=ro");
	Mounted second("none", u.tmp, "aufs", 0, "br=" + u.low + "=ro");
	EXPECT_NE(stat_of(u.at("file")).st_dev, stat_of(u.tmp + "/file").st_dev);
	EXPECT_EQ(read_file(u.tmp + "/file"), "low");
}

/* A leak of each mount would show after so many. */
CASE(mount_and_unmount_often)
{
	Union u;
	write_file(u.low + "/file", "low");
	for (int i = 0; i < 200; i++) {
		u.mount();
		if (i % 10 == 0)
			EXPECT_EQ(read_file(u.at("file")), "low");
		u.unmount();
	}
}

CASE(syncfs_and_statfs)
{
	Union u;
	u.mount();
	write_file(u.at("file"), "text");
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	EXPECT_OK(syncfs(dir));
	struct statfs st = {};
	OK(fstatfs(dir, &st));
	EXPECT_EQ(st.f_type, 0x61756673);
}

CASE(block_size)
{
	Union u;
	u.mount();
	int of_branch = 0, of_union = 0;
	OK(ioctl(open_file(u.top, O_RDONLY), FIGETBSZ, &of_branch));
	OK(ioctl(open_file(u.mnt, O_RDONLY), FIGETBSZ, &of_union));
	EXPECT_EQ(of_union, of_branch);
}

/* An overlayfs takes a union as a lower layer. As its upper layer it takes no stacked filesystem. */
PARAM_CASE(layer_of_an_overlayfs, "lower", "upper")
{
	Union u;
	write_file(u.low + "/file", "low");
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/inside", "in");
	u.mount();
	for (const char *dir : {"/upper", "/work", "/merged"})
		make_dir(u.tmp + dir);
	if (ktap::param() == "upper") {
		make_dir(u.at("upper"));
		make_dir(u.at("work"));
		string data = "lowerdir=" + u.low2 + ",upperdir=" + u.at("upper") +
			      ",workdir=" + u.at("work");
		EXPECT_ERR(mount("none", (u.tmp + "/merged").c_str(), "overlay", 0, data.c_str()),
			   EINVAL);
		return;
	}
	Mounted overlay("none", u.tmp + "/merged", "overlay", 0,
			"lowerdir=" + u.mnt + ",upperdir=" + u.tmp + "/upper,workdir=" + u.tmp +
				"/work");
	EXPECT_EQ(names_in(overlay.path()), (std::vector<string>{"dir", "file"}));
	EXPECT_EQ(read_file(overlay.path() + "/file"), "low");
	Map map(page_size(), PROT_READ, MAP_SHARED,
		open_file(overlay.path() + "/dir/inside", O_RDONLY));
	EXPECT_EQ(map.text(2), "in");
	write_file(overlay.path() + "/file", "written");
	EXPECT_EQ(read_file(overlay.path() + "/file"), "written");
	EXPECT_EQ(read_file(u.at("file")), "low");
	OK(unlink((overlay.path() + "/dir/inside").c_str()));
	OK(rmdir((overlay.path() + "/dir").c_str()));
	EXPECT_EQ(names_in(overlay.path()), (std::vector<string>{"file"}));
}

/* swapon(2) is refused: the kernel would write to the branch's blocks, past the union. */
CASE(swap_file)
{
	Union u;
	u.mount();
	write_file(u.at("swap"), string(40 * page_size(), '\0'), 0600);
	run({"/sbin/mkswap", u.at("swap")});
	EXPECT_ERR(syscall(SYS_swapon, u.at("swap").c_str(), 0), EINVAL);
	EXPECT_OK(unlink(u.at("swap").c_str()));
}
