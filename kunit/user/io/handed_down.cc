// SPDX-License-Identifier: GPL-2.0-only
//
// The flags of a request that a branch is given: a server sees each of them. Flags that tell of the union's file, and
// would be another request to the branch, do not come down.
// Combinations: tmpfs

#include "fuse_server.hh"

struct Setup : Union {
	Server server{tmp + "/served", "", 0, Server::file_size, [](Faults &faults) {
			      faults.truncates_at_open = true;
		      }};
	Faults *faults = server.faults;

	Setup()
	{
		mount("br=" + tmp + "/served=rw");
	}
	~Setup()
	{
		ktap::guarded([this] { unmount(); });
	}
};

/*
 * In libfuse's servers, as in this one, an open with O_TRUNC truncates, and the kernel then sends no size. The union
 * opens its branch file without O_TRUNC.
 */
PARAM_CASE(truncation_by_open, "write", "append", "create", "read")
{
	Setup u;
	string p = ktap::param();
	int flags = p == "read"	  ? O_RDONLY :
		    p == "append" ? O_WRONLY | O_APPEND :
		    p == "create" ? O_RDWR | O_CREAT :
				    O_WRONLY;
	{
		Fd file = open_file(u.at("file"), flags | O_TRUNC);
		EXPECT_EQ(u.faults->size, 0u);
		EXPECT_EQ(fstat_of(file).st_size, 0);
		if (p != "read")
			EXPECT_EQ(OK(write(file, "short\n", 6)), 6);
	}
	EXPECT_EQ(u.faults->size, p == "read" ? 0u : 6u);
	EXPECT_EQ(stat_of(u.at("file")).st_size, p == "read" ? 0 : 6);
	EXPECT(u.faults->setattr_valid & FATTR_SIZE);
	EXPECT_EQ(u.faults->open_flags & O_TRUNC, 0u);
}

/*
 * A server that clears setuid bits itself (virtiofs) is told when: whoever truncates may not keep them. The union asks
 * with the mounter's rights, who may.
 */
CASE(truncation_clears_rights)
{
	Union u;
	Server server(u.tmp + "/served", "", 0, Server::file_size, [](Faults &faults) {
		faults.clears_rights = true;
		faults.file_mode = 06777;
	});
	u.mount("br=" + u.tmp + "/served=rw");
	OK(truncate(u.at("file").c_str(), 100));
	EXPECT_EQ(server.faults->setattr_valid & FATTR_KILL_SUIDGID, 0u);
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 07777, 06777u);
	as_user(alice, [&] { OK(truncate(u.at("file").c_str(), 10)); });
	EXPECT(server.faults->setattr_valid & FATTR_KILL_SUIDGID);
	EXPECT_EQ(server.faults->size, 10u);
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 07777, 0777u);
	u.unmount();
}

struct Flag {
	const char *name;
	int flag;
	bool passed;
};

/* Each flag that an open of a file can have. */
CASE(flags_of_an_open)
{
	static const Flag flags[] = {
		{"O_APPEND", O_APPEND, true},	 {"O_NONBLOCK", O_NONBLOCK, true},
		{"O_DSYNC", O_DSYNC, true},	 {"O_SYNC", O_SYNC, true},
		{"O_DIRECT", O_DIRECT, true},	 {"O_NOATIME", O_NOATIME, true},
		{"O_CREAT", O_CREAT, false},	 {"O_TRUNC", O_TRUNC, false},
		{"O_NOCTTY", O_NOCTTY, false},	 {"O_NOFOLLOW", O_NOFOLLOW, false},
		{"O_CLOEXEC", O_CLOEXEC, false}, {"O_ASYNC", O_ASYNC, false},
	};
	Setup u;
	for (const Flag &flag : flags)
		for (int mode : {O_RDONLY, O_WRONLY, O_RDWR}) {
			Fd file = open_file(u.at("file"), mode | flag.flag);
			uint32_t seen = u.faults->open_flags;
			EXPECT_EQ(seen & O_ACCMODE, uint32_t(mode));
			EXPECT_EQ(seen & flag.flag, flag.passed ? uint32_t(flag.flag) : 0u);
		}
}

/* The fields that a change of attributes names, whatever call makes it. */
CASE(changes_of_attributes)
{
	Setup u;
	auto seen = [&] {
		return std::exchange(u.faults->setattr_valid, 0);
	};
	constexpr uint32_t times = FATTR_MTIME | FATTR_MTIME_NOW | FATTR_CTIME;
	Fd reader = open_file(u.at("file"), O_RDONLY), writer = open_file(u.at("file"), O_RDWR);
	seen();
	OK(chmod(u.at("file").c_str(), 0640));
	EXPECT_EQ(seen() & ~FATTR_CTIME, uint32_t(FATTR_MODE));
	OK(fchmod(reader, 0600));
	EXPECT_EQ(seen() & ~FATTR_CTIME, uint32_t(FATTR_MODE));
	OK(chown(u.at("file").c_str(), 0, 0));
	EXPECT_EQ(seen() & (FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_FH),
		  uint32_t(FATTR_UID | FATTR_GID));
	OK(truncate(u.at("file").c_str(), 100));
	EXPECT_EQ(seen() & ~times, uint32_t(FATTR_SIZE | FATTR_LOCKOWNER));
	/* The open file is named too, if it can be written to. */
	OK(ftruncate(writer, 50));
	EXPECT_EQ(seen() & ~times, uint32_t(FATTR_SIZE | FATTR_FH | FATTR_LOCKOWNER));
	{
		Fd cut = open_file(u.at("file"), O_RDONLY | O_TRUNC);
	}
	EXPECT_EQ(seen() & ~times, uint32_t(FATTR_SIZE | FATTR_LOCKOWNER));
	OK(utimensat(AT_FDCWD, u.at("file").c_str(), nullptr, 0));
	uint32_t now = seen();
	EXPECT_EQ(now & (FATTR_ATIME_NOW | FATTR_MTIME_NOW),
		  uint32_t(FATTR_ATIME_NOW | FATTR_MTIME_NOW));
	timespec fixed[] = {{1000, 0}, {2000, 0}};
	OK(utimensat(AT_FDCWD, u.at("file").c_str(), fixed, 0));
	EXPECT_EQ(seen() & (FATTR_ATIME_NOW | FATTR_MTIME_NOW), 0u);
}

/* The flags of a write, also those that F_SETFL has changed. */
CASE(flags_of_a_write)
{
	Setup u;
	Fd file = open_file(u.at("file"), O_RDWR);
	for (int flag : {O_APPEND, O_NONBLOCK}) {
		OK(fcntl(file, F_SETFL, flag));
		OK(write(file, "x", 1));
		EXPECT_EQ(u.faults->write_flags & (O_APPEND | O_NONBLOCK), uint32_t(flag));
	}
	OK(fcntl(file, F_SETFL, 0));
	OK(write(file, "x", 1));
	EXPECT_EQ(u.faults->write_flags & (O_APPEND | O_NONBLOCK), 0u);
}
