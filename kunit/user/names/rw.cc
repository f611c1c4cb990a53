// SPDX-License-Identifier: GPL-2.0-only
//
// Objects on the first rw branch can be used as on any filesystem.
//
// Combinations: tmpfs ext4

#include "fixture.hh"

#include <sys/time.h>

using Names = std::vector<string>;

CASE(create_write_read)
{
	Union u;
	u.mount();
	{
		Fd file = open_file(u.at("file"), O_RDWR | O_CREAT | O_EXCL, 0640);
		EXPECT_EQ(OK(write(file, "hello", 5)), 5);
		EXPECT_EQ(pread_text(file, 10, 0), "hello");
	}
	EXPECT_EQ(read_file(u.top + "/file"), "hello");
	EXPECT_EQ(stat_of(u.top + "/file").st_mode & 07777, 0640u);
	EXPECT_EQ(names_in(u.low), Names{});
	EXPECT_ERR(open(u.at("file").c_str(), O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
	EXPECT_EQ(read_file(u.at("file")), "hello");
}

/* O_EXCL is about the union's name, on whichever branch the file is. */
CASE(exclusive_create_of_a_lower_name)
{
	Union u;
	write_file(u.low + "/file", "low");
	OK(symlink("nowhere", (u.low + "/symlink").c_str()));
	u.mount();
	for (const char *name : {"file", "symlink"}) {
		EXPECT_ERR(open(u.at(name).c_str(), O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
		EXPECT_ERR(mkdir(u.at(name).c_str(), 0755), EEXIST);
		EXPECT_ERR(symlink("x", u.at(name).c_str()), EEXIST);
		EXPECT_ERR(mknod(u.at(name).c_str(), S_IFIFO | 0644, 0), EEXIST);
	}
	EXPECT_EQ(names_in(u.top), Names{});
}

/* A branch gets only what the user makes. */
CASE(branch_holds_what_was_made_and_no_more)
{
	Union u;
	make_dir(u.low + "/dir");
	u.mount();
	write_file(u.at("file"), "x");
	make_dir(u.at("new"));
	OK(unlink(u.at("file").c_str()));
	EXPECT_EQ(names_in(u.top), (Names{"new"}));
	u.unmount();
	EXPECT_EQ(names_in(u.top), (Names{"new"}));
	EXPECT_EQ(names_in(u.low), (Names{"dir"}));
}

CASE(create_in_a_merged_directory)
{
	Union u;
	make_dirs(u.top + "/dir/sub");
	make_dirs(u.low + "/dir/sub");
	write_file(u.low + "/dir/sub/low", "low");
	u.mount();
	write_file(u.at("dir/sub/new"), "new");
	EXPECT_EQ(read_file(u.top + "/dir/sub/new"), "new");
	EXPECT_EQ(names_in(u.at("dir/sub")), (Names{"low", "new"}));
	EXPECT_EQ(names_in(u.low + "/dir/sub"), (Names{"low"}));
}

/* A new directory can get directories in turn. */
CASE(build_a_tree)
{
	Union u;
	make_dir(u.low + "/other");
	u.mount();
	string path = u.mnt, branch = u.top;
	for (int i = 0; i < 10; i++) {
		path += "/d";
		branch += "/d";
		OK(mkdir(path.c_str(), 0755));
		write_file(path + "/file", std::to_string(i));
		EXPECT_EQ(read_file(branch + "/file"), std::to_string(i));
	}
	remove_tree(u.at("d"));
	EXPECT_EQ(names_in(u.top), Names{});
	EXPECT_EQ(names_in(u.mnt), (Names{"other"}));
}

CASE(truncate_and_append)
{
	Union u;
	write_file(u.top + "/file", "0123456789");
	u.mount();
	OK(truncate(u.at("file").c_str(), 4));
	EXPECT_EQ(read_file(u.top + "/file"), "0123");
	{
		Fd file = open_file(u.at("file"), O_RDWR | O_APPEND);
		OK(write(file, "abc", 3));
		EXPECT_EQ(read_file(u.top + "/file"), "0123abc");
		OK(ftruncate(file, 5));
		EXPECT_EQ(read_file(u.at("file")), "0123a");
		EXPECT_ERR(ftruncate(file, -1), EINVAL);
	}
	open_file(u.at("file"), O_WRONLY | O_TRUNC);
	EXPECT_EQ(stat_of(u.top + "/file").st_size, 0);
	Fd reader = open_file(u.at("file"), O_RDONLY);
	EXPECT_ERR(ftruncate(reader, 0), EINVAL);
	EXPECT_ERR(write(reader, "x", 1), EBADF);
	EXPECT_ERR(truncate(u.mnt.c_str(), 0), EISDIR);
}

CASE(directories)
{
	Union u;
	u.mount();
	nlink_t before = stat_of(u.mnt).st_nlink;
	OK(mkdir(u.at("dir").c_str(), 0750));
	EXPECT_EQ(stat_of(u.top + "/dir").st_mode & 07777, 0750u);
	EXPECT_GE(stat_of(u.mnt).st_nlink, before);
	write_file(u.at("dir/file"), "");
	EXPECT_ERR(rmdir(u.at("dir").c_str()), ENOTEMPTY);
	EXPECT_ERR(unlink(u.at("dir").c_str()), EISDIR);
	EXPECT_ERR(rmdir(u.at("dir/file").c_str()), ENOTDIR);
	OK(unlink(u.at("dir/file").c_str()));
	OK(rmdir(u.at("dir").c_str()));
	EXPECT(!exists(u.top + "/dir"));
	EXPECT_ERR(rmdir(u.at("dir").c_str()), ENOENT);
	EXPECT_ERR(rmdir(u.mnt.c_str()), EBUSY);
}

CASE(symlink_mknod)
{
	Union u;
	u.mount();
	OK(symlink("some/where", u.at("symlink").c_str()));
	EXPECT_EQ(link_target(u.top + "/symlink"), "some/where");
	EXPECT_EQ(link_target(u.at("symlink")), "some/where");
	OK(mknod(u.at("null").c_str(), S_IFCHR | 0600, makedev(1, 3)));
	EXPECT_EQ(stat_of(u.top + "/null").st_rdev, makedev(1, 3));
	OK(mknod(u.at("regular").c_str(), S_IFREG | 0644, 0));
	write_file(u.at("regular"), "x");
	for (const char *name : {"symlink", "null", "regular"})
		OK(unlink(u.at(name).c_str()));
	EXPECT_EQ(names_in(u.top), Names{});
}

CASE(link_and_unlink)
{
	Union u;
	make_dir(u.top + "/dir");
	write_file(u.top + "/file", "text");
	u.mount();
	OK(link(u.at("file").c_str(), u.at("dir/link").c_str()));
	EXPECT_EQ(stat_of(u.top + "/file").st_ino, stat_of(u.top + "/dir/link").st_ino);
	EXPECT_EQ(stat_of(u.at("file")).st_nlink, 2u);
	EXPECT_ERR(link(u.at("file").c_str(), u.at("dir/link").c_str()), EEXIST);
	EXPECT_ERR(link(u.at("dir").c_str(), u.at("other").c_str()), EPERM);
	OK(unlink(u.at("file").c_str()));
	EXPECT(!exists(u.top + "/file"));
	EXPECT_EQ(read_file(u.at("dir/link")), "text");
	EXPECT_EQ(stat_of(u.at("dir/link")).st_nlink, 1u);
	/* No links into or out of the union. */
	EXPECT_ERR(link(u.at("dir/link").c_str(), (u.tmp + "/x").c_str()), EXDEV);
	EXPECT_ERR(link((u.top + "/dir/link").c_str(), u.at("x").c_str()), EXDEV);
}

CASE(unlinked_while_open)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(write(file, "text", 4));
	OK(unlink(u.at("file").c_str()));
	EXPECT(!exists(u.top + "/file"));
	EXPECT_EQ(pread_text(file, 10, 0), "text");
	OK(pwrite(file, "T", 1, 0));
	OK(fchmod(file, 0600));
	OK(ftruncate(file, 2));
	EXPECT_EQ(pread_text(file, 10, 0), "Te");
	EXPECT_EQ(fstat_of(file).st_nlink, 0u);
	EXPECT_EQ(fstat_of(file).st_size, 2);
	/* The name is free for another file. */
	write_file(u.at("file"), "other");
	EXPECT_EQ(pread_text(file, 10, 0), "Te");
}

CASE(removed_directory_while_open)
{
	Union u;
	u.mount();
	make_dir(u.at("dir"));
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	OK(rmdir(u.at("dir").c_str()));
	EXPECT_ERR(openat(dir, "file", O_WRONLY | O_CREAT, 0644), ENOENT);
	EXPECT_ERR(mkdirat(dir, "sub", 0755), ENOENT);
	EXPECT_EQ(fstat_of(dir).st_nlink, 0u);
}

CASE(times)
{
	Union u;
	write_file(u.top + "/file", "");
	make_dir(u.top + "/dir");
	u.mount();
	for (const char *name : {"file", "dir"}) {
		timespec both[2] = {{1111111111, 11}, {1222222222, 22}};
		OK(utimensat(AT_FDCWD, u.at(name).c_str(), both, 0));
		struct stat st = stat_of(u.top + "/" + name);
		EXPECT_EQ(st.st_atim.tv_sec, 1111111111);
		EXPECT_EQ(st.st_mtim.tv_sec, 1222222222);
		EXPECT_EQ(stat_of(u.at(name)).st_mtim.tv_nsec, st.st_mtim.tv_nsec);
		timespec one[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
		OK(utimensat(AT_FDCWD, u.at(name).c_str(), one, 0));
		EXPECT_EQ(stat_of(u.at(name)).st_atim.tv_sec, 1111111111);
		EXPECT_GT(stat_of(u.at(name)).st_mtim.tv_sec, 1222222222);
	}
	OK(utimensat(AT_FDCWD, u.at("file").c_str(), nullptr, 0));
	EXPECT_GT(stat_of(u.at("file")).st_atim.tv_sec, 1222222222);
}

/* The time of a directory changes with its names. */
CASE(directory_times_follow)
{
	Union u;
	make_dir(u.top + "/dir");
	make_dir(u.low + "/dir");
	u.mount();
	timespec old[2] = {{1000, 0}, {1000, 0}};
	for (int step = 0; step < 5; step++) {
		OK(utimensat(AT_FDCWD, u.at("dir").c_str(), old, 0));
		EXPECT_EQ(stat_of(u.at("dir")).st_mtim.tv_sec, 1000);
		string a = u.at("dir/a"), b = u.at("dir/b");
		if (step == 0)
			write_file(a, "");
		else if (step == 1)
			OK(rename(a.c_str(), b.c_str()));
		else if (step == 2)
			OK(link(b.c_str(), a.c_str()));
		else if (step == 3)
			OK(unlink(a.c_str()));
		else
			OK(mkdir(a.c_str(), 0755));
		EXPECT_GT(stat_of(u.at("dir")).st_mtim.tv_sec, 1000);
	}
}

CASE(sync_calls)
{
	Union u;
	write_file(u.low + "/lower", "low");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT | O_SYNC);
	OK(write(file, "text", 4));
	EXPECT_OK(fsync(file));
	EXPECT_OK(fdatasync(file));
	EXPECT_OK(sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE));
	EXPECT_OK(syncfs(file));
	Fd lower = open_file(u.at("lower"), O_RDONLY);
	EXPECT_OK(fsync(lower));
	EXPECT_OK(fdatasync(lower));
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	EXPECT_OK(fsync(dir));
	EXPECT_OK(syncfs(dir));
	sync();
}

/* A new object replaces the whiteout of its name. */
PARAM_CASE(create_over_a_whiteout, "open", "symlink", "mknod", "link", "rename")
{
	Union u;
	write_file(u.top + "/.wh.name", "");
	write_file(u.low + "/name", "low");
	write_file(u.top + "/source", "new");
	u.mount();
	string p = ktap::param(), name = u.at("name");
	if (p == "open")
		write_file(name, "new");
	else if (p == "symlink")
		OK(symlink("source", name.c_str()));
	else if (p == "mknod")
		OK(mknod(name.c_str(), S_IFREG | 0644, 0));
	else if (p == "link")
		OK(link(u.at("source").c_str(), name.c_str()));
	else
		OK(rename(u.at("source").c_str(), name.c_str()));
	EXPECT_EQ(read_file(name), p == "mknod" ? "" : "new");
	EXPECT(exists(u.top + "/name"));
	EXPECT(!exists(u.top + "/.wh.name"));
	u.unmount();
	u.mount();
	EXPECT_EQ(read_file(name), p == "mknod" ? "" : "new");
}

/* A new directory by a removed name does not show what its whiteout hid below. */
CASE(mkdir_over_a_whiteout)
{
	Union u;
	write_file(u.top + "/.wh.dir", "");
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/hidden", "low");
	u.mount();
	if (mkdir(u.at("dir").c_str(), 0755)) {
		/* The directory would need an opaque mark. */
		EXPECT_EQ(ktap::errno_name(errno), "EROFS");
		EXPECT(!exists(u.at("dir")));
		EXPECT_EQ(names_in(u.top), (Names{".wh.dir"}));
	} else {
		EXPECT_EQ(names_in(u.at("dir")), Names{});
		u.unmount();
		u.mount();
		EXPECT_EQ(names_in(u.at("dir")), Names{});
	}
}

/* A directory that has only whiteouts is empty. */
CASE(rmdir_of_a_directory_with_whiteouts)
{
	Union u;
	make_dir(u.top + "/dir");
	write_file(u.top + "/dir/.wh.gone", "");
	write_file(u.top + "/dir/.wh..wh..opq", "");
	u.mount();
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	EXPECT_OK(rmdir(u.at("dir").c_str()));
	EXPECT(!exists(u.at("dir")));
	EXPECT(!exists(u.top + "/dir"));
}

/* Names that an opaque directory hides do not matter to a removal in it. */
CASE(remove_in_an_opaque_directory)
{
	Union u;
	make_dirs(u.top + "/dir/sub");
	write_file(u.top + "/dir/.wh..wh..opq", "");
	write_file(u.top + "/dir/file", "top");
	make_dirs(u.low + "/dir/sub");
	write_file(u.low + "/dir/file", "low");
	u.mount();
	EXPECT_OK(unlink(u.at("dir/file").c_str()));
	EXPECT(!exists(u.at("dir/file")));
	EXPECT_OK(rmdir(u.at("dir/sub").c_str()));
	EXPECT_EQ(names_in(u.at("dir")), Names{});
}

CASE(many_files)
{
	Union u;
	u.mount();
	for (int i = 0; i < 1000; i++)
		write_file(u.at(ktap::format("f%d", i)), std::to_string(i));
	EXPECT_EQ(names_in(u.mnt).size(), 1000u);
	for (int i = 0; i < 1000; i += 37)
		EXPECT_EQ(read_file(u.at(ktap::format("f%d", i))), std::to_string(i));
	for (int i = 0; i < 1000; i++)
		OK(unlink(u.at(ktap::format("f%d", i)).c_str()));
	EXPECT_EQ(names_in(u.top), Names{});
}
