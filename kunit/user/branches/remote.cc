// SPDX-License-Identifier: GPL-2.0-only
//
// A branch whose files change by themselves: what the union does with one is done with what it is by
// then, as often as its filesystem learns it; and its server may tell of flags that the copy's
// filesystem does not have.
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
		/* The server's attributes are never believed for longer than one question. */
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

/* All that the server has by now is copied up. */
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

/* By a descriptor that was opened after it grew, and by one from before that has asked. */
PARAM_CASE(reading_what_grew, "new", "old")
{
	Setup u;
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.grow();
	if (ktap::param() == "new")
		file = open_file(u.at("file"), O_RDONLY);
	/* As cp does. */
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

/* The end is the server's, though nobody has asked for anything else. */
CASE(end_of_what_grew)
{
	Setup u;
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.grow();
	EXPECT_EQ(size_t(lseek(file, 0, SEEK_END)), after);
	EXPECT_EQ(size_t(lseek(file, -1, SEEK_CUR)), after - 1);
}

/* What the server forbids by now is forbidden, by name and by directory. */
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
	/* A directory that users stand in already. */
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

/* What was copied up is nobody's but the union's. */
CASE(copy_does_not_change)
{
	Setup u;
	OK(close(OK(open(u.at("file").c_str(), O_WRONLY))));
	u.faults->size = after;
	u.faults->file_mode = 0600;
	EXPECT_EQ(size_t(stat_of(u.at("file")).st_size), before);
	as_user(alice, [&] { EXPECT(read_file(u.at("file")) == pattern(before)); });
}

/* ext4 has one for each file, which FUSE tells who asks for flags, and not who asks by FS_IOC_FSGETXATTR. */
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
