// SPDX-License-Identifier: GPL-2.0-only
//
// Branches that are served from user space, by a server that answers with errors, dies, or changes its files.

#include "disk.hh"
#include "fuse_server.hh"
#include "proc.hh"
#include "tree_ops.hh"

static constexpr size_t file_size = Server::file_size;

struct Setup : Union {
	Server server{tmp + "/served"};
	Faults *faults = server.faults;

	void mount_it()
	{
		mount("br=" + top + "=rw:" + tmp + "/served=ro");
	}
	~Setup()
	{
		ktap::guarded([this] { unmount(); });
	}
};

CASE(fuse_as_a_branch)
{
	Setup u;
	u.mount_it();
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"dir", "file"}));
	EXPECT(read_file(u.at("file")) == pattern(file_size));
	Map map(file_size, PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	EXPECT(map.text(file_size) == pattern(file_size));
	expect_reported(map.at(), u.at("file"), stat_of(u.at("file")),
			stat_of(u.tmp + "/served/file"));
}

/* The server's branch comes to the union and goes, with errors and without. */
CASE(comes_and_goes)
{
	Setup u;
	string served = u.tmp + "/served";
	auto remount = [&u](const string &options) {
		int error = mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str());
		return error ? ktap::errno_name(errno) : "done";
	};
	u.faults->short_attributes = true;
	u.mount("br=" + u.top + "=rw");
	OK(mkdir(u.at("dir").c_str(), 0755));
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	EXPECT(!exists(u.at("file")));
	EXPECT_EQ(remount("append:" + served), "done");
	EXPECT(read_file(u.at("file")) == pattern(file_size));
	/* Names in use are looked up as well. */
	u.faults->lookup = ENOENT;
	EXPECT(!exists(u.at("file")));
	u.faults->lookup = 0;
	EXPECT(exists(u.at("file")));
	/* A name in use cannot be looked up: the list does not change. The server's own branch can still go. */
	u.faults->lookup = EIO;
	KernelLog log;
	EXPECT_EQ(remount("append:" + u.low), "EIO");
	EXPECT_HAS(log.read(), "'/dir', which is in use, cannot be looked up (errno 5)");
	EXPECT_EQ(link_target("/proc/self/fd/" + std::to_string(dir)), u.at("dir"));
	EXPECT_EQ(remount("del:" + served), "done");
	u.faults->lookup = 0;
	EXPECT(!exists(u.at("file")));
	EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(dir)), std::vector<string>{});
}

CASE(failing_lookup)
{
	Setup u;
	u.mount_it();
	u.faults->lookup = EIO;
	EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EIO);
	EXPECT_ERR(open(u.at("other").c_str(), O_RDONLY), EIO);
	/* An error is not cached: the name is looked up again. */
	u.faults->lookup = 0;
	EXPECT(read_file(u.at("file")) == pattern(file_size));
	EXPECT_ERR(open(u.at("other").c_str(), O_RDONLY), ENOENT);
	/* A name that cannot be looked up below is not created above: it might exist. */
	u.faults->lookup = EIO;
	EXPECT_ERR(open(u.at("third").c_str(), O_WRONLY | O_CREAT, 0644), EIO);
	EXPECT_EQ(names_in(u.top).size(), 0u);
	u.faults->lookup = 0;
	write_file(u.at("third"), "x");
}

/* A server may change its names: the union does not cache them for longer than the server allows. */
CASE(names_come_and_go)
{
	Setup u;
	u.faults->short_attributes = true;
	u.mount_it();
	for (int i = 0; i < 3; i++) {
		u.faults->lookup = ENOENT;
		EXPECT(!exists(u.tmp + "/served/file"));
		EXPECT(!exists(u.at("file")));
		u.faults->lookup = 0;
		EXPECT(exists(u.tmp + "/served/file"));
		EXPECT(exists(u.at("file")));
	}
}

/* readdir() and stat() agree on inode numbers, whatever number the server's readdir gives. */
PARAM_CASE(inode_numbers, "fuse", "fuseblk")
{
	Union u;
	Disk disk(u.tmp + "/disk");
	Server server(u.tmp + "/served", ktap::param() == "fuseblk" ? disk.name : "");
	u.mount("br=" + u.tmp + "/served=ro");
	EXPECT_EQ(names_in(u.mnt).size(), 2u);
	expect_listed_numbers(u.mnt);
	u.unmount();
}

CASE(failing_open)
{
	Setup u;
	u.mount_it();
	for (int error : {EIO, EACCES, ENOMEM, EINTR}) {
		u.faults->open = error;
		EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), error);
	}
	u.faults->open = 0;
	EXPECT(read_file(u.at("file")) == pattern(file_size));
}

CASE(failing_getattr)
{
	Setup u;
	u.faults->short_attributes = true;
	u.mount_it();
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.faults->getattr = EIO;
	struct stat st;
	EXPECT_ERR(stat(u.at("file").c_str(), &st), EIO);
	EXPECT_ERR(fstat(file, &st), EIO);
	u.faults->getattr = 0;
	EXPECT_EQ(stat_of(u.at("file")).st_size, file_size);
}

CASE(failing_read)
{
	Setup u;
	u.mount_it();
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.faults->read = EIO;
	char byte;
	EXPECT_ERR(pread(file, &byte, 1, 0), EIO);
	Pipe pipe;
	EXPECT_ERR(splice(file, nullptr, pipe.write, nullptr, 100, 0), EIO);
	/* A fault on a page that cannot be read is SIGBUS. The page can be read later. */
	{
		Map map(file_size, PROT_READ, MAP_SHARED, file);
		EXPECT_EQ(in_child([&] { map.touch(); }), 128 + SIGBUS);
		EXPECT_EQ(vma_at(map.at()).path, u.at("file"));
		u.faults->read = 0;
		EXPECT_EQ(map.text(100), pattern(100));
	}
	EXPECT_EQ(pread_text(file, 100, 0), pattern(100));
}

CASE(failing_readdir)
{
	Setup u;
	write_file(u.top + "/mine", "");
	u.mount_it();
	u.faults->readdir = EIO;
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	char buffer[4096];
	/* A listing that cannot be read to its end is an error, not a shorter listing. */
	EXPECT_ERR(syscall(SYS_getdents64, int(dir), buffer, sizeof(buffer)), EIO);
	u.faults->readdir = 0;
	OK(lseek(dir, 0, SEEK_SET));
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"dir", "file", "mine"}));
}

/* One name that cannot be looked up does not end the listing. */
CASE(failing_lookup_in_a_listing)
{
	Setup u;
	write_file(u.top + "/mine", "");
	u.mount_it();
	u.faults->lookup = EIO;
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"dir", "file", "mine"}));
	EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EIO);
	u.faults->lookup = 0;
}

/* The branch's ->mmap refuses shared mappings and takes private ones, as on 6.1 and 6.12. */
CASE(branch_mmap_fails)
{
	Setup u;
	u.faults->direct_io = true;
	int expected = 0;
	{
		Fd plain = open_file(u.tmp + "/served/file", O_RDONLY);
		void *at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, plain, 0);
		EXPECT_NE(at, MAP_FAILED);
		if (at != MAP_FAILED)
			munmap(at, 4096);
		at = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, plain, 0);
		expected = at == MAP_FAILED ? errno : 0;
		ktap::say("the branch answers " + ktap::errno_name(expected) +
			  " to a shared mapping");
		if (!expected)
			munmap(at, 4096);
	}
	/* The kernel tells the server of a close a little later. */
	auto released = [&](int count) {
		for (int i = 0; i < 5000 && u.faults->releases < count; i++)
			usleep(1000);
		return u.faults->releases;
	};
	int before = released(1);
	ASSERT_EQ(before, 1);
	u.mount_it();
	{
		Fd file = open_file(u.at("file"), O_RDONLY);
		for (int i = 0; i < 50; i++) {
			void *at = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
			EXPECT_EQ(ktap::errno_name(at == MAP_FAILED ? errno : 0),
				  ktap::errno_name(expected));
			if (at != MAP_FAILED)
				munmap(at, 4096);
		}
		Map map(4096, PROT_READ, MAP_PRIVATE, file);
		EXPECT_EQ(map.text(100), pattern(100));
		EXPECT_EQ(vma_at(map.at()).path, u.at("file"));
		EXPECT_EQ(u.faults->releases, before);
	}
	/* The branch's file is released once, after the last user. */
	EXPECT_EQ(released(before + 1), before + 1);
}

/* The server dies: calls fail, and the union can still be unmounted. */
CASE(branch_dies)
{
	Setup u;
	u.mount_it();
	write_file(u.at("mine"), "mine");
	Fd file = open_file(u.at("file"), O_RDONLY);
	Map map(file_size, PROT_READ, MAP_SHARED, file);
	EXPECT_EQ(map.text(10), pattern(10));
	u.server.die();
	char byte;
	EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), ENOTCONN);
	EXPECT_ERR(open(u.at("new_name").c_str(), O_RDONLY), ENOTCONN);
	/* A page that is in memory may still be read; any other is an error. */
	if (pread(file, &byte, 1, 3 * 4096) < 0)
		EXPECT_EQ(ktap::errno_name(errno), "ENOTCONN");
	/* A file of the other branch that the caches know can still be used. */
	EXPECT_EQ(read_file(u.at("mine")), "mine");
	EXPECT_EQ(vma_at(map.at()).path, u.at("file"));
}
