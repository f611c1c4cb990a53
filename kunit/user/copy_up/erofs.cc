// SPDX-License-Identifier: GPL-2.0-only
//
// A call that needs a copy or a whiteout is EROFS if no rw branch is above the object; the rename of a directory is
// EXDEV. No branch has changed then.

#include "fixture.hh"

#include <utime.h>

struct Setup : Union {
	string before;

	Setup()
	{
		write_file(top + "/mine", "mine");
		write_file(top + "/shadow", "top");
		write_file(low + "/shadow", "low");
		write_file(low + "/lower", "lower");
		make_dir(low + "/lower_dir");
		write_file(low + "/lower_dir/inside", "inside");
		make_dir(top + "/merged");
		make_dir(low + "/merged");
		write_file(low + "/merged/below", "below");
		make_dir(top + "/empty_merged");
		make_dir(low + "/empty_merged");
		OK(symlink("lower", (low + "/symlink").c_str()));
		OK(mkfifo((low + "/fifo").c_str(), 0644));
		mount("br=" + low + "=ro:" + top + "=rw");
		before = snapshot(top) + snapshot(low);
	}
	~Setup()
	{
		ktap::guarded([this] {
			EXPECT_EQ(snapshot(top) + snapshot(low), before);
			EXPECT_EQ(read_file(at("shadow")), "low");
			EXPECT_EQ(read_file(at("lower")), "lower");
			EXPECT_EQ(read_file(at("lower_dir/inside")), "inside");
			EXPECT_EQ(names_in(mnt),
				  (std::vector<string>{"empty_merged", "fifo", "lower", "lower_dir",
						       "merged", "mine", "shadow", "symlink"}));
		});
	}
	string path(const char *name) const
	{
		return at(name);
	}
};

PARAM_CASE(open_a_lower_file, "wronly", "rdwr", "append", "trunc", "creat", "rdonly_trunc")
{
	Setup u;
	string p = ktap::param();
	int flags = p == "wronly" ? O_WRONLY :
		    p == "rdwr"	  ? O_RDWR :
		    p == "append" ? O_WRONLY | O_APPEND :
		    p == "trunc"  ? O_WRONLY | O_TRUNC :
		    p == "creat"  ? O_RDWR | O_CREAT :
				    O_RDONLY | O_TRUNC;
	for (const char *name : {"lower", "lower_dir/inside", "merged/below", "symlink"}) {
		string path = u.at(name);
		EXPECT_ERR(open(path.c_str(), flags | O_CLOEXEC, 0644), EROFS);
		/* The same process can still open it to read. */
		Fd reader = open_file(path, O_RDONLY);
		EXPECT_GT(pread_text(reader, 10, 0).size(), 0u);
	}
}

/* A FIFO's data is in the kernel, so a write to it does not change the branch. */
CASE(write_to_a_lower_fifo)
{
	Setup u;
	Fd fifo = open_file(u.at("fifo"), O_RDWR | O_NONBLOCK);
	EXPECT_EQ(OK(write(fifo, "x", 1)), 1);
	char byte;
	EXPECT_EQ(OK(read(fifo, &byte, 1)), 1);
}

/* O_CREAT with O_RDONLY changes nothing if the file exists. */
CASE(open_creat_to_read)
{
	Setup u;
	Fd file = open_file(u.at("lower"), O_RDONLY | O_CREAT);
	EXPECT_EQ(pread_text(file, 10, 0), "lower");
}

CASE(truncate_a_lower_file)
{
	Setup u;
	EXPECT_ERR(truncate(u.path("lower").c_str(), 0), EROFS);
	EXPECT_ERR(truncate(u.path("lower").c_str(), 100), EROFS);
	EXPECT_ERR(truncate(u.path("symlink").c_str(), 0), EROFS);
}

PARAM_CASE(change_attributes, "lower", "lower_dir", "lower_dir/inside", "merged/below", "fifo")
{
	Setup u;
	string path = u.at(ktap::param());
	timespec times[2] = {{1, 0}, {1, 0}};
	EXPECT_ERR(chmod(path.c_str(), 0600), EROFS);
	EXPECT_ERR(chown(path.c_str(), 1, 1), EROFS);
	EXPECT_ERR(utimensat(AT_FDCWD, path.c_str(), times, 0), EROFS);
	EXPECT_ERR(utimensat(AT_FDCWD, path.c_str(), nullptr, 0), EROFS);
	Fd file = open_file(path, O_RDONLY | O_NONBLOCK);
	EXPECT_ERR(fchmod(file, 0600), EROFS);
	EXPECT_ERR(fchown(file, 1, 1), EROFS);
	EXPECT_ERR(futimens(file, times), EROFS);
	EXPECT_NE(stat_of(path).st_mode & 07777, 0600u);
	EXPECT_EQ(stat_of(path).st_uid, 0u);
}

CASE(change_a_lower_symlink)
{
	Setup u;
	timespec times[2] = {{1, 0}, {1, 0}};
	EXPECT_ERR(lchown(u.path("symlink").c_str(), 1, 1), EROFS);
	EXPECT_ERR(utimensat(AT_FDCWD, u.path("symlink").c_str(), times, AT_SYMLINK_NOFOLLOW),
		   EROFS);
}

/* An object of a ro branch above the rw branch cannot be removed. */
PARAM_CASE(unlink_needs_a_whiteout, "lower", "shadow", "symlink", "fifo", "lower_dir/inside",
	   "merged/below")
{
	Setup u;
	EXPECT_ERR(unlink(u.at(ktap::param()).c_str()), EROFS);
	EXPECT(exists(u.at(ktap::param())));
}

PARAM_CASE(rmdir_needs_a_whiteout, "empty_merged", "lower_empty")
{
	string name = ktap::param();
	if (name == "lower_empty") {
		Union u;
		make_dir(u.low + "/lower_empty");
		u.mount("br=" + u.low + "=ro:" + u.top + "=rw");
		string before = snapshot(u.top) + snapshot(u.low);
		EXPECT_ERR(rmdir(u.at(name).c_str()), EROFS);
		EXPECT(exists(u.at(name)));
		EXPECT_EQ(snapshot(u.top) + snapshot(u.low), before);
		return;
	}
	Setup u;
	EXPECT_ERR(rmdir(u.at(name).c_str()), EROFS);
	EXPECT(exists(u.at(name)));
}

/* Two errors are possible: either may come first. */
CASE(rmdir_of_what_is_not_empty)
{
	Setup u;
	for (const char *name : {"lower_dir", "merged"}) {
		EXPECT_EQ(rmdir(u.at(name).c_str()), -1);
		EXPECT(errno == ENOTEMPTY || errno == EROFS);
	}
}

PARAM_CASE(rename_of, "lower", "shadow", "symlink", "lower_dir", "merged", "empty_merged",
	   "lower_dir/inside")
{
	Setup u;
	string from = u.at(ktap::param()), to = u.at("new_name");
	EXPECT_EQ(rename(from.c_str(), to.c_str()), -1);
	int expected = S_ISDIR(lstat_of(from).st_mode) ? EXDEV : EROFS;
	EXPECT_EQ(ktap::errno_name(errno), ktap::errno_name(expected));
	EXPECT(exists(from));
	EXPECT(!exists(to));
	EXPECT_ERR(renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, u.at("mine").c_str(),
			     RENAME_EXCHANGE),
		   expected);
	EXPECT_ERR(renameat2(AT_FDCWD, u.at("mine").c_str(), AT_FDCWD, from.c_str(),
			     RENAME_EXCHANGE),
		   expected);
	EXPECT_EQ(read_file(u.at("mine")), "mine");
}

/* A directory that is only on the ro branch takes no new names. */
PARAM_CASE(create_in_a_lower_directory, "open", "mkdir", "symlink", "mknod", "link", "rename",
	   "tmpfile")
{
	Setup u;
	string p = ktap::param(), path = u.at("lower_dir/new");
	if (p == "open")
		EXPECT_ERR(open(path.c_str(), O_WRONLY | O_CREAT, 0644), EROFS);
	else if (p == "mkdir")
		EXPECT_ERR(mkdir(path.c_str(), 0755), EROFS);
	else if (p == "symlink")
		EXPECT_ERR(symlink("x", path.c_str()), EROFS);
	else if (p == "mknod")
		EXPECT_ERR(mknod(path.c_str(), S_IFIFO | 0644, 0), EROFS);
	else if (p == "link")
		EXPECT_ERR(link(u.path("mine").c_str(), path.c_str()), EROFS);
	else if (p == "rename")
		EXPECT_ERR(rename(u.path("mine").c_str(), path.c_str()), EROFS);
	else
		EXPECT_ERR(open(u.path("lower_dir").c_str(), O_TMPFILE | O_RDWR, 0644), EROFS);
	EXPECT(!exists(path));
	EXPECT_EQ(read_file(u.at("mine")), "mine");
	EXPECT_EQ(names_in(u.at("lower_dir")), (std::vector<string>{"inside"}));
}

/* A second name for a lower file needs the file on the rw branch. */
CASE(link_of_a_lower_file)
{
	Setup u;
	EXPECT_ERR(link(u.path("lower").c_str(), u.path("new").c_str()), EROFS);
	EXPECT_ERR(link(u.path("lower_dir/inside").c_str(), u.path("new").c_str()), EROFS);
	EXPECT_ERR(link(u.path("symlink").c_str(), u.path("new").c_str()), EROFS);
	EXPECT(!exists(u.at("new")));
}

CASE(lower_file_through_a_writable_mapping)
{
	Setup u;
	Fd file = open_file(u.at("lower"), O_RDONLY);
	EXPECT_ERR(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), EACCES);
	Map map(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
	map[0] = 'X';
	EXPECT_EQ(pread_text(file, 1, 0), "l");
}

CASE(lower_file_through_proc_fd)
{
	Setup u;
	Fd file = open_file(u.at("lower"), O_RDONLY);
	string again = ktap::format("/proc/self/fd/%d", int(file));
	EXPECT_ERR(open(again.c_str(), O_WRONLY), EROFS);
	EXPECT_ERR(open(again.c_str(), O_RDWR), EROFS);
	Fd path = open_file(u.at("lower"), O_PATH);
	EXPECT_ERR(open(ktap::format("/proc/self/fd/%d", int(path)).c_str(), O_WRONLY), EROFS);
}

/* A user without rights gets that error first, as on any filesystem. */
CASE(rights_come_before_erofs)
{
	Setup u;
	as_user(alice, [&] {
		EXPECT_ERR(open(u.path("lower").c_str(), O_WRONLY), EACCES);
		EXPECT_ERR(chmod(u.path("lower").c_str(), 0600), EPERM);
		EXPECT_ERR(unlink(u.path("lower").c_str()), EACCES);
	});
}

/* In a union without a rw branch each change is EROFS. */
CASE(no_rw_branch)
{
	Union u;
	write_file(u.top + "/file", "top");
	make_dir(u.top + "/dir");
	u.mount("br=" + u.top + "=ro:" + u.low + "=ro");
	string before = snapshot(u.top) + snapshot(u.low);
	EXPECT_ERR(open(u.at("file").c_str(), O_RDWR), EROFS);
	EXPECT_ERR(open(u.at("new").c_str(), O_RDWR | O_CREAT, 0644), EROFS);
	EXPECT_ERR(mkdir(u.at("new").c_str(), 0755), EROFS);
	EXPECT_ERR(rmdir(u.at("dir").c_str()), EROFS);
	EXPECT_ERR(rename(u.at("file").c_str(), u.at("new").c_str()), EROFS);
	EXPECT_ERR(link(u.at("file").c_str(), u.at("new").c_str()), EROFS);
	EXPECT_ERR(chmod(u.mnt.c_str(), 0700), EROFS);
	EXPECT_ERR(open(u.mnt.c_str(), O_TMPFILE | O_RDWR, 0644), EROFS);
	EXPECT_EQ(snapshot(u.top) + snapshot(u.low), before);
}

/* The first rw branch need not be the first branch. */
CASE(rw_branch_below_a_ro_one)
{
	Union u;
	write_file(u.low + "/over", "ro");
	write_file(u.top + "/over", "rw");
	write_file(u.top + "/mine", "rw");
	make_dir(u.top + "/dir");
	u.mount("br=" + u.low + "=ro:" + u.top + "=rw");
	EXPECT_EQ(read_file(u.at("over")), "ro");
	EXPECT_ERR(open(u.at("over").c_str(), O_WRONLY), EROFS);
	Fd file = open_file(u.at("mine"), O_RDWR);
	EXPECT_EQ(OK(pwrite(file, "R", 1, 0)), 1);
	EXPECT_EQ(read_file(u.top + "/mine"), "Rw");
	write_file(u.at("dir/new"), "new");
	EXPECT_EQ(read_file(u.top + "/dir/new"), "new");
	EXPECT_OK(unlink(u.at("mine").c_str()));
	EXPECT_EQ(read_file(u.top + "/over"), "rw");
	EXPECT_ERR(unlink(u.at("over").c_str()), EROFS);
}
