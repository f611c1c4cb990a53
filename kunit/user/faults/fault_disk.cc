// SPDX-License-Identifier: GPL-2.0-only
//
// A branch's disk fails, or is read-only, or becomes so, under each kind of operation.

#include "disk.hh"

#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <linux/fs.h>

using Names = std::vector<string>;

/* Changes the union in the way @how; @dir has files and the empty directory "empty". Returns 0 or the errno. */
static int change_by(const string &how, const string &dir)
{
	string file = dir + "/file", name = dir + "/new";
	int fd;
	if (how == "open" || how == "create") {
		fd = how == "open" ?
			     open(file.c_str(), O_RDWR | O_CLOEXEC) :
			     open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
		int error = errno;
		if (fd >= 0)
			close(fd);
		return fd < 0 ? error : 0;
	}
	int result = how == "truncate" ? truncate(file.c_str(), 1) :
		     how == "chmod"    ? chmod(file.c_str(), 0600) :
		     how == "rename"   ? rename(file.c_str(), name.c_str()) :
		     how == "over"     ? rename(file.c_str(), (dir + "/file2").c_str()) :
		     how == "link"     ? link(file.c_str(), name.c_str()) :
		     how == "setxattr" ? setxattr(file.c_str(), "trusted.mine", "x", 1, 0) :
		     how == "mkdir"    ? mkdir(name.c_str(), 0755) :
		     how == "unlink"   ? unlink(file.c_str()) :
					 rmdir((dir + "/empty").c_str());
	return result ? errno : 0;
}

static const char *const changes[] = {"open", "create",	  "truncate", "chmod",	"rename", "over",
				      "link", "setxattr", "mkdir",    "unlink", "rmdir"};

static void fill_low(const string &dir)
{
	make_dir(dir + "/dir");
	make_dir(dir + "/dir/empty");
	write_file(dir + "/dir/file", pattern(200000));
	write_file(dir + "/dir/file2", "second");
}

/* The files of the lower branch are as they were. */
static void expect_low(const Union &u)
{
	EXPECT_EQ(names_in(u.at("dir")), (Names{"empty", "file", "file2"}));
	EXPECT(read_file(u.at("dir/file")) == pattern(200000));
	EXPECT_EQ(read_file(u.at("dir/file2")), "second");
	EXPECT_EQ(names_in(u.at("dir/empty")), Names{});
}

/* Drops cached data and names, so that the disk is asked. */
static void drop_caches()
{
	write_control("/proc/sys/vm/drop_caches", "3");
}

struct Setup : Union {
	BreakableDisk disk{tmp + "/disk"};
	Mounted mounted;
	string branch = tmp + "/branch";

	explicit Setup(const string &options = "errors=remount-ro")
	{
		if (!on("ext4") || !on("ext4", true))
			SKIP("with ext4 only");
		make_ext4(disk.name);
		mounted = mount_ext4(disk.name, branch, options);
	}
	/* The disk works again. The rw branch is mounted from it anew. */
	void mend_and_remount()
	{
		unmount();
		mounted.unmount();
		disk.mend();
		OK(rmdir(branch.c_str()));
		mounted = mount_ext4(disk.name, branch);
		mount("br=" + branch + "=rw:" + low + "=ro");
	}
	~Setup()
	{
		ktap::guarded([this] {
			if (mounted)
				mounted.unmount();
		});
	}
};

/* The rw branch cannot be written to: calls fail, the ro branch is as it was, and all can be unmounted. */
CASE(rw_branch_fails)
{
	Setup u;
	fill_low(u.low);
	write_file(u.branch + "/mine", pattern(100000, 2));
	u.mount("br=" + u.branch + "=rw:" + u.low + "=ro");
	Fd file = open_file(u.at("mine"), O_RDWR);
	OK(syncfs(file));
	u.disk.fail();
	OK(pwrite(file, "x", 1, 0));
	int error = fsync(file) ? errno : 0;
	/* The first error aborts the journal; later ones are EROFS. */
	EXPECT(error == EIO || error == EROFS);
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	error = fsync(dir) ? errno : 0;
	EXPECT(error == EIO || error == EROFS);
	for (const char *how : changes) {
		error = change_by(how, u.at("dir"));
		if (error != EIO && error != EROFS)
			ktap::fail(__FILE__, __LINE__,
				   ktap::format("%s fails with EIO or EROFS\n  it was %s", how,
						ktap::errno_name(error).c_str()));
	}
	expect_low(u);
	file.reset();
	dir.reset();
	/* The disk has whole files: the old ones, and none that is half-made. */
	u.mend_and_remount();
	expect_low(u);
	EXPECT_EQ(read_file(u.at("mine")).substr(1), pattern(100000, 2).substr(1));
	for (const char *how : changes)
		if (string(how) == "chmod")
			EXPECT_EQ(change_by(how, u.at("dir")), 0);
	u.unmount();
	u.mounted.unmount();
}

/* The ro branch cannot be read: reading, mapping and copy-up are EIO. The rw branch can be used. */
CASE(ro_branch_fails)
{
	Setup u("errors=continue");
	fill_low(u.branch);
	make_dir(u.branch + "/unread");
	write_file(u.top + "/mine", "mine");
	u.mounted.unmount();
	OK(rmdir(u.branch.c_str()));
	u.mounted = mount_ext4(u.disk.name, u.branch, "ro");
	u.mount("br=" + u.top + "=rw:" + u.branch + "=ro");
	Fd file = open_file(u.at("dir/file"), O_RDONLY);
	Map map(200000, PROT_READ, MAP_SHARED, file);
	drop_caches();
	u.disk.fail();
	char byte;
	EXPECT_ERR(pread(file, &byte, 1, 0), EIO);
	EXPECT_EQ(in_child([&] { map.touch(50000); }), 128 + SIGBUS);
	EXPECT_ERR(open(u.at("dir/file").c_str(), O_RDWR), EIO);
	EXPECT(!exists(u.top + "/dir/file"));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
	/* A name is not made if it is not known whether it exists below. */
	EXPECT_ERR(open(u.at("unread/another").c_str(), O_CREAT | O_WRONLY, 0644), EIO);
	{
		char entries[4096];
		Fd dir(open(u.at("unread").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		long result = dir < 0 ? -1 :
					syscall(SYS_getdents64, int(dir), entries, sizeof(entries));
		EXPECT_ERR(result, EIO);
	}
	EXPECT_EQ(read_file(u.at("mine")), "mine");
	u.disk.mend();
	EXPECT(pread_text(file, 100, 0) == pattern(100));
	map.touch(50000);
	expect_low(u);
	EXPECT_EQ(change_by("open", u.at("dir")), 0);
	EXPECT(read_file(u.top + "/dir/file") == pattern(200000));
	map.unmap();
	file.reset();
	u.unmount();
	u.mounted.unmount();
}

/* Only writes fail: a copy-up does not succeed before its data is on the disk. */
CASE(data_is_not_written)
{
	Setup u;
	fill_low(u.low);
	u.mount("br=" + u.branch + "=rw:" + u.low + "=ro");
	OK(chmod(u.at("dir").c_str(), 0700));
	sync();
	u.disk.fail_writes();
	int error = change_by("open", u.at("dir"));
	EXPECT(error == EIO || error == EROFS);
	expect_low(u);
	u.mend_and_remount();
	expect_low(u);
	expect_no_debris(u.branch);
	u.unmount();
	u.mounted.unmount();
}

/* A branch becomes read-only: all changes are EROFS. They work when it is writable again. */
PARAM_CASE(read_only, "tmpfs", "ext4", "bind")
{
	Union u;
	string branch = u.tmp + "/rw", p = ktap::param();
	if (!on(p == "bind" ? "tmpfs" : p) || !on(p == "bind" ? "tmpfs" : p, true))
		SKIP("on one filesystem only");
	fill_low(u.low);
	Disk *disk = nullptr;
	Mounted mounted;
	if (p == "ext4") {
		disk = new Disk(u.tmp + "/disk", 16 << 20);
		make_ext4(disk->name);
		mounted = mount_ext4(disk->name, branch);
	} else {
		make_dir(branch);
		mounted = Mounted("none", branch, "tmpfs", 0, "mode=755");
	}
	write_file(branch + "/mine", "mine");
	u.mount("br=" + branch + "=rw:" + u.low + "=ro");
	/* Read-only for the bind mount alone does not change the branch, which is a mount of its own. */
	auto remount = [&](unsigned long flag) {
		unsigned long bind = p == "bind" ? MS_BIND : 0;
		return mount("none", branch.c_str(), nullptr, MS_REMOUNT | bind | flag, nullptr);
	};
	OK(remount(MS_RDONLY));
	for (const char *how : changes) {
		if (p == "bind")
			break;
		int error = change_by(how, u.at("dir"));
		if (error != EROFS)
			ktap::fail(__FILE__, __LINE__,
				   ktap::format("%s fails with EROFS\n  it was %s", how,
						ktap::errno_name(error).c_str()));
	}
	expect_low(u);
	EXPECT_EQ(read_file(u.at("mine")), "mine");
	OK(remount(0));
	EXPECT_EQ(change_by("unlink", u.at("dir")), 0);
	EXPECT_EQ(change_by("mkdir", u.at("dir")), 0);
	EXPECT_EQ(names_in(u.at("dir")), (Names{"empty", "file2", "new"}));
	u.unmount();
	mounted.unmount();
	delete disk;
}

/* The branch's filesystem shuts down, as after a fatal error. */
CASE(shut_down)
{
	Setup u("errors=continue");
	fill_low(u.low);
	write_file(u.branch + "/mine", "mine");
	u.mount("br=" + u.branch + "=rw:" + u.low + "=ro");
	Fd file = open_file(u.at("mine"), O_RDWR);
	uint32_t how_far = 2; /* nothing is written any more */
	Fd root = open_file(u.branch, O_RDONLY | O_DIRECTORY);
	OK(ioctl(root, _IOR('X', 125, uint32_t), &how_far));
	root.reset();
	EXPECT_ERR(pwrite(file, "x", 1, 0), EIO);
	EXPECT_ERR(fsync(file), EIO);
	for (const char *how : changes)
		EXPECT_NE(change_by(how, u.at("dir")), 0);
	expect_low(u);
	file.reset();
	u.unmount();
	u.mounted.unmount();
}
