// SPDX-License-Identifier: GPL-2.0-only
//
// stat, statfs and the attributes that a branch keeps.
//
// Combinations: tmpfs xfs

#include "fixture.hh"

#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <utime.h>

static string attributes(const struct stat &st)
{
	return ktap::format(
		"mode=%o uid=%u gid=%u nlink=%lu size=%lld blocks=%lld blksize=%ld rdev=%lx "
		"mtime=%lld.%09ld ctime=%lld.%09ld",
		st.st_mode, st.st_uid, st.st_gid,
		S_ISDIR(st.st_mode) ? 0UL : (unsigned long)st.st_nlink,
		S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size, (long long)st.st_blocks,
		(long)st.st_blksize, (unsigned long)st.st_rdev, (long long)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

CASE(stat_is_the_branchs)
{
	Union u;
	make_dir(u.top + "/dir", 02711);
	make_dir(u.low + "/dir", 0700);
	write_file(u.low + "/file", pattern(12345), 04751);
	write_file(u.top + "/covering", "top", 0604);
	write_file(u.low + "/covering", "lower file", 0777);
	OK(chown((u.low + "/file").c_str(), 12, 34));
	OK(chmod((u.low + "/file").c_str(), 04751));
	OK(symlink("target", (u.low + "/symlink").c_str()));
	OK(mknod((u.low + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)));
	timespec times[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
	OK(utimensat(AT_FDCWD, (u.low + "/file").c_str(), times, 0));
	u.mount();
	for (const auto &[name, branch] :
	     std::vector<std::pair<string, string>>{{"dir", u.top},
						    {"file", u.low},
						    {"covering", u.top},
						    {"symlink", u.low},
						    {"null", u.low}})
		EXPECT_EQ(name + ": " + attributes(lstat_of(u.at(name))),
			  name + ": " + attributes(lstat_of(branch + "/" + name)));
	EXPECT_EQ(stat_of(u.at("file")).st_atim.tv_sec, 1000000000);
	EXPECT_EQ(stat_of(u.at("file")).st_mtim.tv_sec, 1100000000);
}

CASE(root_is_the_first_branchs)
{
	Union u;
	OK(chmod(u.top.c_str(), 0751));
	OK(chown(u.top.c_str(), 7, 8));
	OK(chmod(u.low.c_str(), 0700));
	u.mount();
	struct stat st = stat_of(u.mnt);
	EXPECT_EQ(st.st_mode, S_IFDIR | 0751u);
	EXPECT_EQ(st.st_uid, 7u);
	EXPECT_EQ(st.st_gid, 8u);
}

/* A change through the union shows in stat() at once, and on the branch too. */
CASE(changes_show_at_once)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	auto same = [&](const char *after) {
		EXPECT_EQ(string(after) + " " + attributes(stat_of(u.at("file"))),
			  string(after) + " " + attributes(stat_of(u.top + "/file")));
		EXPECT_EQ(attributes(fstat_of(file)), attributes(stat_of(u.at("file"))));
	};
	same("create");
	OK(write(file, "hello", 5));
	EXPECT_EQ(fstat_of(file).st_size, 5);
	same("write");
	OK(ftruncate(file, 100000));
	EXPECT_EQ(fstat_of(file).st_size, 100000);
	same("ftruncate");
	OK(truncate(u.at("file").c_str(), 3));
	EXPECT_EQ(fstat_of(file).st_size, 3);
	same("truncate");
	OK(fchmod(file, 0640));
	EXPECT_EQ(fstat_of(file).st_mode & 07777, 0640u);
	same("fchmod");
	OK(fchown(file, 11, 22));
	same("fchown");
	OK(link(u.at("file").c_str(), u.at("link").c_str()));
	EXPECT_EQ(fstat_of(file).st_nlink, 2u);
	same("link");
	timespec times[2] = {{900000000, 1}, {800000000, 2}};
	OK(futimens(file, times));
	EXPECT_EQ(fstat_of(file).st_mtim.tv_sec, 800000000);
	EXPECT_EQ(fstat_of(file).st_atim.tv_sec, 900000000);
	same("futimens");
	OK(unlink(u.at("link").c_str()));
	same("unlink");
}

CASE(write_updates_the_times)
{
	Union u;
	write_file(u.top + "/file", "text");
	u.mount();
	utimbuf old = {1000, 1000};
	OK(utime(u.at("file").c_str(), &old));
	Fd file = open_file(u.at("file"), O_RDWR);
	EXPECT_EQ(fstat_of(file).st_mtim.tv_sec, 1000);
	OK(pwrite(file, "x", 1, 0));
	EXPECT_GT(fstat_of(file).st_mtim.tv_sec, 1000);
	utimbuf again = {1000, 1000};
	OK(utime(u.at("file").c_str(), &again));
	Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	map[0] = 'y';
	OK(msync(map.at(), page_size(), MS_SYNC));
	EXPECT_GT(stat_of(u.at("file")).st_mtim.tv_sec, on("tmpfs") ? 999 : 1000);
	EXPECT_EQ(stat_of(u.at("file")).st_mtim.tv_sec, stat_of(u.top + "/file").st_mtim.tv_sec);
}

/* A read changes the access time as on any filesystem with relatime. With noatime it does not. */
PARAM_CASE(access_time, "relatime", "noatime")
{
	Union u;
	write_file(u.top + "/file", "text");
	timespec times[2] = {{1000, 0}, {2000, 0}};
	OK(utimensat(AT_FDCWD, (u.top + "/file").c_str(), times, 0));
	u.mount(u.options(), ktap::param() == "noatime" ? MS_NOATIME : MS_RELATIME);
	EXPECT_EQ(read_file(u.at("file")), "text");
	if (ktap::param() == "noatime")
		EXPECT_EQ(stat_of(u.at("file")).st_atim.tv_sec, 1000);
	else
		EXPECT_GT(stat_of(u.at("file")).st_atim.tv_sec, 1000);
}

/* Nothing is written to a ro branch, not even the access times of files that are read. */
CASE(ro_branch_keeps_its_access_times)
{
	Union u;
	write_file(u.low + "/file", "text");
	make_dir(u.low + "/dir");
	OK(symlink("file", (u.low + "/symlink").c_str()));
	timespec times[2] = {{1000, 0}, {2000, 0}};
	for (const char *name : {"file", "dir", "symlink"})
		OK(utimensat(AT_FDCWD, (u.low + "/" + name).c_str(), times, AT_SYMLINK_NOFOLLOW));
	u.mount(u.options(), MS_STRICTATIME);
	EXPECT_EQ(read_file(u.at("file")), "text");
	EXPECT_EQ(names_in(u.at("dir")).size(), 0u);
	EXPECT_EQ(read_file(u.at("symlink")), "text");
	Map map(page_size(), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	map.touch();
	for (const char *name : {"file", "dir", "symlink"})
		EXPECT_EQ(lstat_of(u.low + "/" + name).st_atim.tv_sec, 1000);
}

CASE(statx_birth_time_and_attributes)
{
	Union u;
	write_file(u.top + "/file", "text");
	u.mount();
	struct statx through = {}, branch = {};
	OK(statx(AT_FDCWD, u.at("file").c_str(), 0, STATX_ALL, &through));
	OK(statx(AT_FDCWD, (u.top + "/file").c_str(), 0, STATX_ALL, &branch));
	EXPECT_EQ(through.stx_mask & STATX_BASIC_STATS, unsigned(STATX_BASIC_STATS));
	EXPECT_EQ(through.stx_mask & STATX_BTIME, branch.stx_mask & STATX_BTIME);
	if (branch.stx_mask & STATX_BTIME)
		EXPECT_EQ(through.stx_btime.tv_sec, branch.stx_btime.tv_sec);
}

CASE(statfs_is_aufs)
{
	Union u;
	u.mount();
	struct statfs st = {}, branch = {};
	OK(statfs(u.mnt.c_str(), &st));
	OK(statfs(u.top.c_str(), &branch));
	EXPECT_EQ(st.f_type, 0x61756673);
	EXPECT_EQ(st.f_namelen, 251);
	EXPECT_EQ(st.f_bsize, branch.f_bsize);
	EXPECT_EQ(st.f_blocks, branch.f_blocks);
	EXPECT_GT(st.f_bfree, 0u);
	struct statvfs vfs = {};
	OK(statvfs(u.mnt.c_str(), &vfs));
	EXPECT_EQ(vfs.f_namemax, 251u);
	EXPECT_EQ(pathconf(u.mnt.c_str(), _PC_NAME_MAX), 251);
}

/* df of the union follows the rw branch. */
CASE(statfs_follows_the_rw_branch)
{
	Union u;
	Mounted branch = mount_tmpfs("branch", "size=8m");
	u.mount("br=" + branch.path() + ":" + u.low);
	struct statfs before = {}, after = {};
	OK(statfs(u.mnt.c_str(), &before));
	EXPECT_EQ(before.f_blocks * before.f_bsize, 8u << 20);
	write_file(u.at("file"), string(4 << 20, 'x'));
	OK(statfs(u.mnt.c_str(), &after));
	EXPECT_EQ((before.f_bfree - after.f_bfree) * before.f_bsize, 4u << 20);
	u.unmount();
}

CASE(chmod_and_chown)
{
	Union u;
	write_file(u.top + "/file", "");
	make_dir(u.top + "/dir");
	make_dir(u.low + "/dir");
	OK(symlink("file", (u.top + "/symlink").c_str()));
	u.mount();
	for (const char *name : {"file", "dir"})
		for (mode_t mode : {0u, 0777u, 07755u, 0444u}) {
			EXPECT_OK(chmod(u.at(name).c_str(), mode));
			EXPECT_EQ(stat_of(u.at(name)).st_mode & 07777, mode);
			EXPECT_EQ(stat_of(u.top + "/" + name).st_mode & 07777, mode);
		}
	EXPECT_OK(chown(u.at("file").c_str(), 5, 6));
	EXPECT_EQ(stat_of(u.top + "/file").st_uid, 5u);
	EXPECT_EQ(stat_of(u.at("file")).st_gid, 6u);
	EXPECT_OK(lchown(u.at("symlink").c_str(), 8, 9));
	EXPECT_EQ(lstat_of(u.top + "/symlink").st_uid, 8u);
	EXPECT_EQ(lstat_of(u.at("symlink")).st_gid, 9u);
	EXPECT_EQ(stat_of(u.at("file")).st_uid, 5u);
	/* The lower part of a merged directory stays as it was. */
	EXPECT_EQ(stat_of(u.low + "/dir").st_mode & 07777, 0755u);
	EXPECT_OK(chmod(u.mnt.c_str(), 0711));
	EXPECT_EQ(stat_of(u.top).st_mode & 07777, 0711u);
}
