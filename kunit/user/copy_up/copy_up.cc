// SPDX-License-Identifier: GPL-2.0-only
//
// Copy-up: which calls copy, what the copy has, and what is left if the copy cannot be finished.
//
// Combinations: tmpfs xfs ext4+xfs

#include "fixture.hh"

#include <sys/xattr.h>

using Names = std::vector<string>;

struct Setup : Union {
	string before;

	Setup()
	{
		make_dirs(low + "/dir/sub");
		write_file(low + "/dir/sub/file", "content");
		OK(chown((low + "/dir/sub/file").c_str(), 5, 6));
		OK(chmod((low + "/dir/sub/file").c_str(), 06751));
		OK(chown((low + "/dir/sub").c_str(), 7, 8));
		OK(chmod((low + "/dir/sub").c_str(), 02770));
		for (const char *name : {"/dir/sub/file", "/dir/sub", "/dir"}) {
			timespec times[2] = {{1000, 1}, {2000, 2}};
			OK(utimensat(AT_FDCWD, (low + name).c_str(), times, 0));
		}
		mount();
		before = snapshot(low);
	}
	~Setup()
	{
		ktap::guarded([this] {
			EXPECT_EQ(snapshot(low), before);
			expect_no_debris(top);
		});
	}
	string file() const
	{
		return at("dir/sub/file");
	}
	string copy() const
	{
		return top + "/dir/sub/file";
	}
};

PARAM_CASE(done_by, "wronly", "rdwr", "append", "creat", "truncate", "chmod", "chown", "utimens",
	   "setxattr", "link", "rename", "proc_fd")
{
	Setup u;
	string p = ktap::param(), content = "content";
	struct stat was = stat_of(u.file());
	if (p == "wronly")
		open_file(u.file(), O_WRONLY);
	else if (p == "rdwr")
		open_file(u.file(), O_RDWR);
	else if (p == "append")
		open_file(u.file(), O_WRONLY | O_APPEND);
	else if (p == "creat")
		open_file(u.file(), O_WRONLY | O_CREAT);
	else if (p == "truncate") {
		OK(truncate(u.file().c_str(), 3));
		content = "con";
	} else if (p == "chmod")
		OK(chmod(u.file().c_str(), 0600));
	else if (p == "chown")
		OK(chown(u.file().c_str(), 1, 2));
	else if (p == "utimens")
		OK(utimensat(AT_FDCWD, u.file().c_str(), nullptr, 0));
	else if (p == "setxattr")
		OK(setxattr(u.file().c_str(), "trusted.mine", "x", 1, 0));
	else if (p == "link")
		OK(link(u.file().c_str(), u.at("dir/other").c_str()));
	else if (p == "rename")
		OK(rename(u.file().c_str(), u.at("dir/sub/file2").c_str()));
	else {
		Fd reader = open_file(u.file(), O_RDONLY);
		open_file(ktap::format("/proc/self/fd/%d", int(reader)), O_WRONLY);
	}
	string name = p == "rename" ? "/dir/sub/file2" : "/dir/sub/file";
	EXPECT_EQ(read_file(u.top + name), content);
	EXPECT_EQ(read_file(u.mnt + name), content);
	struct stat is = stat_of(u.mnt + name);
	EXPECT_EQ(is.st_ino, was.st_ino);
	EXPECT_EQ(is.st_dev, was.st_dev);
	EXPECT_EQ(is.st_nlink, p == "link" ? 2u : 1u);
	/* The number is the same after eviction and in another mount. */
	u.unmount();
	u.mount();
	EXPECT_EQ(stat_of(u.mnt + name).st_ino, was.st_ino);
	EXPECT_EQ(stat_of(u.at("dir/sub")).st_ino, stat_of(u.mnt + "/dir/sub/.").st_ino);
}

PARAM_CASE(not_done_by, "read", "stat", "mmap", "readdir", "exec_bit", "getxattr", "creat_rdonly")
{
	Setup u;
	string p = ktap::param();
	if (p == "read")
		EXPECT_EQ(read_file(u.file()), "content");
	else if (p == "stat")
		stat_of(u.file());
	else if (p == "mmap")
		Map(page_size(), PROT_READ, MAP_SHARED, open_file(u.file(), O_RDONLY)).touch();
	else if (p == "readdir")
		EXPECT_EQ(names_in(u.at("dir/sub")), (Names{"file"}));
	else if (p == "exec_bit")
		EXPECT_EQ(access(u.file().c_str(), W_OK), 0);
	else if (p == "getxattr")
		EXPECT_EQ(getxattr(u.file().c_str(), "trusted.none", nullptr, 0), -1);
	else
		open_file(u.file(), O_RDONLY | O_CREAT);
	EXPECT_EQ(names_in(u.top), Names{});
}

CASE(attributes_of_the_copy_and_its_parents)
{
	Setup u;
	open_file(u.file(), O_RDWR);
	for (const char *name : {"/dir/sub/file", "/dir/sub", "/dir"}) {
		struct stat is = stat_of(u.top + name), was = stat_of(u.low + name);
		EXPECT_EQ(is.st_uid, was.st_uid);
		EXPECT_EQ(is.st_gid, was.st_gid);
		EXPECT_EQ(is.st_mode, was.st_mode);
		EXPECT_EQ(is.st_mtim.tv_sec, 2000);
		EXPECT_EQ(is.st_mtim.tv_nsec, 2);
		EXPECT_EQ(stat_of(u.mnt + name).st_mtim.tv_sec, 2000);
	}
}

CASE(holes_stay_holes)
{
	Union u;
	{
		Fd file = open_file(u.low + "/sparse", O_RDWR | O_CREAT);
		OK(pwrite(file, "begin", 5, 0));
		OK(pwrite(file, "middle", 6, 64 << 20));
		OK(ftruncate(file, 128 << 20));
	}
	u.mount();
	open_file(u.at("sparse"), O_WRONLY);
	struct stat copy = stat_of(u.top + "/sparse");
	EXPECT_EQ(copy.st_size, 128 << 20);
	EXPECT_LT(copy.st_blocks, 4096);
	Fd file = open_file(u.at("sparse"), O_RDONLY);
	EXPECT_EQ(pread_text(file, 5, 0), "begin");
	EXPECT_EQ(pread_text(file, 6, 64 << 20), "middle");
}

/* Space that is only reserved is not copied. */
CASE(reserved_space_stays_empty)
{
	if (on("tmpfs", true))
		SKIP("tmpfs is not asked for holes then");
	Union u;
	{
		Fd file = open_file(u.low + "/reserved", O_RDWR | O_CREAT);
		OK(fallocate(file, 0, 0, 16 << 20));
		OK(pwrite(file, "begin", 5, 0));
		OK(fsync(file));
	}
	EXPECT_GE(stat_of(u.low + "/reserved").st_blocks, 2 * 16 << 10);
	u.mount();
	open_file(u.at("reserved"), O_WRONLY);
	struct stat copy = stat_of(u.top + "/reserved");
	EXPECT_EQ(copy.st_size, 16 << 20);
	EXPECT_LT(copy.st_blocks, 4096);
	EXPECT_EQ(pread_text(open_file(u.at("reserved"), O_RDONLY), 5, 0), "begin");
}

/* A truncation copies only the data that stays. */
CASE(truncated_while_copied)
{
	Union u;
	write_file(u.low + "/file", pattern(3 << 20));
	u.mount();
	OK(truncate(u.at("file").c_str(), 100));
	EXPECT_EQ(read_file(u.at("file")), pattern(3 << 20).substr(0, 100));
	EXPECT_EQ(stat_of(u.low + "/file").st_size, 3 << 20);
}

/* A truncation changes the content, so the times change, although the copy was made with the new size. */
CASE(times_of_what_is_truncated)
{
	Union u;
	write_file(u.low + "/file", "content");
	timespec old[] = {{1000, 0}, {2000, 0}};
	OK(utimensat(AT_FDCWD, (u.low + "/file").c_str(), old, 0));
	u.mount();
	EXPECT_OK(truncate(u.at("file").c_str(), 3));
	EXPECT_GT(stat_of(u.at("file")).st_mtim.tv_sec, 2000);
	EXPECT_EQ(stat_of(u.low + "/file").st_mtim.tv_sec, 2000);
	EXPECT_EQ(read_file(u.at("file")), "con");
}

PARAM_CASE(kinds, "symlink", "fifo", "device", "directory")
{
	Union u;
	string p = ktap::param();
	string low = u.low + "/object";
	if (p == "symlink")
		OK(symlink("target", low.c_str()));
	else if (p == "fifo")
		OK(mkfifo(low.c_str(), 0640));
	else if (p == "device")
		OK(mknod(low.c_str(), S_IFCHR | 0640, makedev(1, 3)));
	else
		make_dir(low, 0750);
	u.mount();
	ino_t number = lstat_of(u.at("object")).st_ino;
	OK(lchown(u.at("object").c_str(), 3, 4));
	struct stat is = lstat_of(u.top + "/object"), was = lstat_of(low);
	EXPECT_EQ(is.st_mode, was.st_mode);
	EXPECT_EQ(is.st_rdev, was.st_rdev);
	EXPECT_EQ(is.st_uid, 3u);
	EXPECT_EQ(was.st_uid, 0u);
	EXPECT_EQ(lstat_of(u.at("object")).st_ino, number);
	if (p == "symlink")
		EXPECT_EQ(link_target(u.at("object")), "target");
}

/* A full branch: the old file is still there, and no part of a copy. */
CASE(no_space)
{
	Union u;
	Mounted small = mount_tmpfs("small", "size=1m");
	write_file(u.low + "/big", pattern(4 << 20));
	u.mount("br=" + small.path() + "=rw:" + u.low + "=ro");
	EXPECT_ERR(open(u.at("big").c_str(), O_RDWR), ENOSPC);
	EXPECT_EQ(stat_of(u.at("big")).st_size, 4 << 20);
	EXPECT_EQ(names_in(small.path() + "/.wh..wh.orph"), Names{});
	EXPECT(!exists(small.path() + "/big"));
	/* A copy-up works if there is less to copy. */
	OK(truncate(u.at("big").c_str(), 1000));
	EXPECT_EQ(read_file(u.at("big")), pattern(4 << 20).substr(0, 1000));
	u.unmount();
}

/* Many tasks open a file for writing at once: there is one copy, and all write to it. */
CASE(opened_by_many)
{
	Union u;
	write_file(u.low + "/file", string(2 << 20, 'x'));
	u.mount();
	std::vector<pid_t> children;
	for (int i = 0; i < 8; i++)
		children.push_back(spawn([&u, i] {
			Fd file = open_file(u.at("file"), O_RDWR);
			char digit = '0' + i;
			OK(pwrite(file, &digit, 1, i));
		}));
	for (pid_t child : children)
		EXPECT_EQ(wait_for(child), 0);
	EXPECT_EQ(read_file(u.at("file")).substr(0, 9), "01234567x");
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
	EXPECT_EQ(stat_of(u.top + "/file").st_nlink, 1u);
}

/* A copy-up that is killed leaves the old file and no debris. */
CASE(killed)
{
	Union u;
	write_file(u.low + "/file", pattern(64 << 20));
	u.mount();
	for (int delay : {1, 5, 20, 60}) {
		pid_t child = spawn([&u] { open_file(u.at("file"), O_RDWR); });
		usleep(delay * 1000);
		OK(kill(child, SIGKILL));
		wait_for(child);
		expect_no_debris(u.top);
		if (exists(u.top + "/file"))
			EXPECT_EQ(stat_of(u.top + "/file").st_size, 64 << 20);
		EXPECT_EQ(stat_of(u.at("file")).st_size, 64 << 20);
	}
}

/* Workfiles of an earlier mount are removed. Another user's file stays. */
CASE(stale_workfiles)
{
	Union u;
	make_dir(u.top + "/.wh..wh.orph");
	write_file(u.top + "/.wh..wh.orph/cpup.1f", "half");
	make_dir(u.top + "/.wh..wh.orph/cpup.20");
	write_file(u.top + "/.wh..wh.orph/cpup.20/.wh.x", "");
	write_file(u.top + "/.wh..wh.orph/other", "not ours");
	u.mount();
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), (Names{"other"}));
	EXPECT_EQ(names_in(u.mnt), Names{});
}

CASE(open_file_without_a_name)
{
	Union u;
	write_file(u.low + "/file", "content");
	u.mount();
	Fd reader = open_file(u.at("file"), O_RDONLY);
	OK(unlink(u.at("file").c_str()));
	EXPECT_OK(fchmod(reader, 0600));
	EXPECT_EQ(fstat_of(reader).st_mode & 07777, 0600u);
	EXPECT_EQ(fstat_of(reader).st_nlink, 0u);
	EXPECT(!exists(u.at("file")));
	EXPECT(!exists(u.top + "/file"));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
}

/* Another file has the name of an open file: a change by the descriptor does not reach that file. */
CASE(open_file_whose_name_is_another)
{
	Union u;
	write_file(u.low + "/file", "content");
	u.mount();
	Fd reader = open_file(u.at("file"), O_RDONLY);
	OK(unlink(u.at("file").c_str()));
	write_file(u.at("file"), "new", 0644);
	EXPECT_OK(fchmod(reader, 0600));
	EXPECT_EQ(fstat_of(reader).st_mode & 07777, 0600u);
	EXPECT_EQ(fstat_of(reader).st_nlink, 0u);
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 07777, 0644u);
	EXPECT_EQ(read_file(u.at("file")), "new");
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
}

/* The copy has no name of its own. The other names of its original lead to it. */
PARAM_CASE(open_file_with_other_names, "one", "two")
{
	Union u;
	unsigned left = ktap::param() == "one" ? 1 : 2;
	write_file(u.low + "/file", "content");
	for (unsigned i = 0; i < left; i++)
		OK(link((u.low + "/file").c_str(), (u.low + "/other" + std::to_string(i)).c_str()));
	u.mount();
	Fd reader = open_file(u.at("file"), O_RDONLY);
	ino_t number = fstat_of(reader).st_ino;
	OK(unlink(u.at("file").c_str()));
	EXPECT_EQ(fstat_of(reader).st_nlink, left);
	EXPECT_OK(fchmod(reader, 0600));
	EXPECT_EQ(fstat_of(reader).st_nlink, left);
	for (int remounted = 0; remounted < 2; remounted++) {
		EXPECT_EQ(stat_of(u.at("other0")).st_ino, number);
		EXPECT_EQ(stat_of(u.at("other0")).st_mode & 07777, 0600u);
		EXPECT_EQ(stat_of(u.at("other0")).st_nlink, left);
		reader.reset();
		u.unmount();
		u.mount();
	}
	for (unsigned i = 0; i < left; i++)
		OK(unlink(u.at("other" + std::to_string(i)).c_str()));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk"), Names{});
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
}
