// SPDX-License-Identifier: GPL-2.0-only
//
// The files of a branch change by themselves. The union works with a file's size and mode of this moment, as soon as
// the branch's filesystem learns them. And a server may tell of flags that the copy's filesystem does not have.
//
// Combinations: tmpfs tmpfs+ext4

#include "fuse_server.hh"
#include "served.hh"

#include <sys/ioctl.h>

#include <linux/fs.h>

static constexpr size_t before = 5000, after = 20000;

struct Setup : Union {
	Server server{tmp + "/served", "", 0, before};
	Faults *faults = server.faults;

	Setup()
	{
		/* The kernel asks the server for attributes each time. */
		faults->short_attributes = true;
		mount("br=" + top + "=rw:" + tmp + "/served=ro");
	}
	~Setup()
	{
		ktap::guarded([this] { unmount(); });
	}
	void grow()
	{
		EXPECT_EQ(size_t(stat_of(at("file")).st_size), before);
		faults->size = after;
	}
};

/* A copy-up copies all data that the server has by now. */
PARAM_CASE(copy_up_of_what_grew, "write", "chmod", "truncate", "link")
{
	Setup u;
	string p = ktap::param(), path = u.at("file");
	Fd held = open_file(path, O_RDONLY);
	u.grow();
	if (p == "write")
		OK(close(OK(open(path.c_str(), O_WRONLY))));
	else if (p == "chmod")
		OK(fchmod(held, 0640));
	else if (p == "truncate")
		OK(truncate(path.c_str(), after - 1));
	else
		OK(link(path.c_str(), u.at("link").c_str()));
	string wanted = pattern(after).substr(0, p == "truncate" ? after - 1 : after);
	EXPECT(read_file(u.top + "/file") == wanted);
	EXPECT(read_file(path) == wanted);
}

static size_t copied(int from, const string &to)
{
	Fd out = open_file(to, O_RDWR | O_CREAT | O_TRUNC);
	off_t in_at = 0, out_at = 0;
	while (OK(copy_file_range(from, &in_at, out, &out_at, 1 << 20, 0)) > 0)
		;
	return in_at;
}

/* A file has grown. A new descriptor reads all of it, and so does an older one after fstat(2). */
PARAM_CASE(reading_what_grew, "new", "old")
{
	Setup u;
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.grow();
	if (ktap::param() == "new")
		file = open_file(u.at("file"), O_RDONLY);
	/* The calls that cp makes. */
	EXPECT_EQ(size_t(fstat_of(file).st_size), after);
	EXPECT_EQ(copied(file, u.at("copy")), after);
	EXPECT_EQ(size_t(lseek(file, 0, SEEK_END)), after);
	OK(lseek(file, 0, SEEK_SET));
	int waiting = 0;
	OK(ioctl(file, FIONREAD, &waiting));
	EXPECT_EQ(size_t(waiting), after);
	Pipe pipe;
	EXPECT_EQ(OK(splice(file, nullptr, pipe.write, nullptr, after, 0)), ssize_t(after));
	EXPECT(pread_text(file, 2 * after, 0) == pattern(after));
}

/* SEEK_END is the server's end of file, even if it is the first call that asks. */
CASE(end_of_what_grew)
{
	Setup u;
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.grow();
	EXPECT_EQ(size_t(lseek(file, 0, SEEK_END)), after);
	EXPECT_EQ(size_t(lseek(file, -1, SEEK_CUR)), after - 1);
}

/* Rights that the server has withdrawn are gone, by a name and in a cwd. */
CASE(rights_that_change)
{
	Setup u;
	string path = u.at("file");
	as_user(alice, [&] { OK(close(OK(open(path.c_str(), O_RDONLY)))); });
	u.faults->file_mode = 0600;
	as_user(alice, [&] {
		EXPECT_ERR(open(path.c_str(), O_RDONLY), EACCES);
		EXPECT_ERR(access(path.c_str(), R_OK), EACCES);
	});
	u.faults->file_uid = alice.uid;
	as_user(alice, [&] { EXPECT_OK(open(path.c_str(), O_RDONLY)); });
	u.faults->file_uid = 0;
	u.faults->file_mode = 0644;
	/* A cwd of a user. */
	string dir = u.at("dir");
	Pipe ready, go;
	pid_t user = spawn([&] {
		OK(chdir(dir.c_str()));
		become(alice);
		OK(access(".", R_OK));
		send_byte(ready.write);
		EXPECT(wait_byte(go.read));
		EXPECT_ERR(open(".", O_RDONLY | O_DIRECTORY), EACCES);
	});
	EXPECT(wait_byte(ready.read));
	u.faults->dir_mode = 0700;
	send_byte(go.write);
	EXPECT_EQ(wait_for(user), 0);
}

/* A copy does not follow the server any more. */
CASE(copy_does_not_change)
{
	Setup u;
	OK(close(OK(open(u.at("file").c_str(), O_WRONLY))));
	u.faults->size = after;
	u.faults->file_mode = 0600;
	EXPECT_EQ(size_t(stat_of(u.at("file")).st_size), before);
	as_user(alice, [&] { EXPECT(read_file(u.at("file")) == pattern(before)); });
}

/* ext4 has a flag on each file (extents). FUSE hands it on for FS_IOC_GETFLAGS, but not for FS_IOC_FSGETXATTR. */
CASE(flags_of_a_served_file)
{
	Served u(ServedAs{.place = Place::lower});
	write_file(u.low + "/file", "");
	unsigned served = 0, flags = 0;
	{
		Fd direct = open_file(u.served + "/file", O_RDONLY);
		OK(ioctl(direct, FS_IOC_GETFLAGS, &served));
	}
	Fd file = open_file(u.at("file"), O_RDONLY);
	OK(ioctl(file, FS_IOC_GETFLAGS, &flags));
	EXPECT_EQ(flags, served);
	flags |= FS_NODUMP_FL;
	EXPECT_OK(ioctl(file, FS_IOC_SETFLAGS, &flags));
	Fd copy = open_file(u.top + "/file", O_RDONLY);
	OK(ioctl(copy, FS_IOC_GETFLAGS, &flags));
	EXPECT(flags & FS_NODUMP_FL);
}
