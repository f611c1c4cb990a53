// SPDX-License-Identifier: GPL-2.0-only
//
// A rw branch is full, or a user's quota is used up: each operation has its errno, and nothing else is lost.

#include "disk.hh"

#include <sys/xattr.h>

using Names = std::vector<string>;

/* Whether both branches are on @name. These cases make a filesystem of their own, so one combination is enough. */
static bool on_one(const string &name)
{
	return on(name) && on(name, true);
}

/* Fills all free space of @dir, with the file "filler". */
static void fill(const string &dir)
{
	Fd file = open_file(dir + "/filler", O_WRONLY | O_CREAT);
	string block(1 << 16, 'f');
	for (size_t size = block.size(); size >= 512; size /= 2)
		while (write(file, block.data(), size) > 0)
			;
	EXPECT_EQ(errno, ENOSPC);
	fsync(file);
}

/* Copies up the lower file @path by the call @how. Returns 0 or the errno. */
static int copy_up_by(const string &how, const string &path)
{
	int result;
	if (how == "open") {
		Fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
		result = file < 0 ? -1 : 0;
	} else if (how == "truncate")
		result = truncate(path.c_str(), 2 << 20);
	else if (how == "chmod")
		result = chmod(path.c_str(), 0600);
	else if (how == "rename")
		result = rename(path.c_str(), (path + ".new").c_str());
	else if (how == "link")
		result = link(path.c_str(), (path + ".new").c_str());
	else
		result = setxattr(path.c_str(), "trusted.mine", "x", 1, 0);
	return result ? errno : 0;
}

/* A union whose rw branch is a small filesystem of its own, tmpfs or ext4. */
struct Setup : Union {
	static constexpr size_t size = 1 << 20;
	Disk *disk = nullptr;
	Mounted mounted;
	string rw;

	Setup() : rw(tmp + "/rw")
	{
		if (on("ext4")) {
			disk = new Disk(tmp + "/disk", 16 << 20);
			make_ext4(disk->name, {"-m", "0", "-O", "^has_journal"});
			mounted = mount_ext4(disk->name, rw);
		} else {
			make_dir(rw);
			mounted = Mounted("none", rw, "tmpfs", 0, "size=4m,mode=755");
		}
		make_dir(low + "/dir");
		write_file(low + "/dir/file", pattern(size));
		write_file(low + "/other", "other");
		write_file(rw + "/mine", "mine");
		mount("br=" + rw + "=rw:" + low + "=ro");
	}
	~Setup()
	{
		ktap::guarded([this] {
			unmount();
			mounted.unmount();
			delete disk;
		});
	}
	/* All files are as they were, and there are no others. */
	void expect_as_before()
	{
		EXPECT_EQ(names_in(at("dir")), (Names{"file"}));
		EXPECT(read_file(at("dir/file")) == pattern(size));
		EXPECT_EQ(stat_of(at("dir/file")).st_mode & 07777, 0644u);
		EXPECT_EQ(read_file(at("other")), "other");
		EXPECT_EQ(read_file(at("mine")), "mine");
		EXPECT(!exists(rw + "/dir/file"));
		expect_no_debris(rw);
	}
};

PARAM_CASE(full_at_copy_up, "open", "truncate", "chmod", "rename", "link", "setxattr")
{
	Setup u;
	if (!on_one("tmpfs") && !on_one("ext4"))
		SKIP("as on tmpfs and ext4");
	fill(u.rw);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(copy_up_by(ktap::param(), u.at("dir/file")), ENOSPC);
	u.expect_as_before();
	/* With free space the copy-up works, and the copy is whole. */
	OK(unlink(u.at("filler").c_str()));
	EXPECT_EQ(copy_up_by(ktap::param(), u.at("dir/file")), 0);
	string name = ktap::param() == "rename" ? "/dir/file.new" : "/dir/file";
	EXPECT(read_file(u.rw + name).substr(0, Setup::size) == pattern(Setup::size));
	expect_no_debris(u.rw);
}

/* A branch without free inodes: calls that need one fail. */
PARAM_CASE(no_inodes, "create", "mkdir", "symlink", "mknod", "tmpfile", "copy_up", "unlink",
	   "rmdir", "rename")
{
	Union u;
	string p = ktap::param(), rw = u.tmp + "/rw";
	if (!on_one("tmpfs"))
		SKIP("as on tmpfs");
	make_dir(u.low + "/empty");
	write_file(u.low + "/file", "content");
	make_dir(rw);
	Mounted mounted("none", rw, "tmpfs", 0, "nr_inodes=12,mode=755");
	write_file(rw + "/mine", "mine");
	u.mount("br=" + rw + "=rw:" + u.low + "=ro");
	int made = 0;
	while (mknod(ktap::format("%s/filler%d", rw.c_str(), made).c_str(), S_IFREG, 0) == 0)
		made++;
	EXPECT_EQ(errno, ENOSPC);
	auto attempt = [&] {
		string name = u.at("new");
		int fd;
		if (p == "create") {
			fd = open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
			if (fd >= 0)
				close(fd);
			return fd < 0 ? -1 : 0;
		}
		if (p == "mkdir")
			return mkdir(name.c_str(), 0755);
		if (p == "symlink")
			return symlink("target", name.c_str());
		if (p == "mknod")
			return mknod(name.c_str(), S_IFIFO | 0644, 0);
		if (p == "tmpfile") {
			fd = open(u.mnt.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
			if (fd >= 0)
				close(fd);
			return fd < 0 ? -1 : 0;
		}
		if (p == "copy_up")
			return chmod(u.at("file").c_str(), 0600);
		if (p == "unlink")
			return unlink(u.at("file").c_str());
		if (p == "rmdir")
			return rmdir(u.at("empty").c_str());
		return rename(u.at("file").c_str(), name.c_str());
	};
	EXPECT_ERR(attempt(), ENOSPC);
	EXPECT(!exists(u.at("new")));
	EXPECT_EQ(read_file(u.at("file")), "content");
	EXPECT_EQ(names_in(u.at("empty")), Names{});
	EXPECT_EQ(read_file(u.at("mine")), "mine");
	expect_no_debris(rw);
	for (int i = 0; i < made; i++)
		OK(unlink(ktap::format("%s/filler%d", u.mnt.c_str(), i).c_str()));
	EXPECT_OK(attempt());
	expect_no_debris(rw);
	u.unmount();
}

PARAM_CASE(full_at_write, "write", "fallocate", "mapping")
{
	Setup u;
	string p = ktap::param();
	if (!on_one("tmpfs") && !on_one("ext4"))
		SKIP("as on tmpfs and ext4");
	Fd file = open_file(u.at("new"), O_RDWR | O_CREAT);
	OK(ftruncate(file, 1 << 20));
	fill(u.rw);
	string block(1 << 16, 'x');
	if (p == "write")
		EXPECT_ERR(pwrite(file, block.data(), block.size(), 0), ENOSPC);
	else if (p == "fallocate")
		EXPECT_ERR(fallocate(file, 0, 0, 1 << 20), ENOSPC);
	else {
		Map map(1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		EXPECT_EQ(in_child([&] { map[1 << 19] = 'x'; }), 128 + SIGBUS);
	}
	u.expect_as_before();
	EXPECT_EQ(stat_of(u.at("new")).st_size, stat_of(u.rw + "/new").st_size);
	OK(unlink(u.at("filler").c_str()));
	EXPECT_EQ(pwrite(file, block.data(), block.size(), 0), ssize_t(block.size()));
}

/* Quota on ext4. The caller's quota counts: the mounter's rights let no user exceed it. */
struct QuotaSetup : Union {
	Disk disk{tmp + "/disk", 32 << 20};
	Mounted mounted;
	string rw = tmp + "/rw";

	explicit QuotaSetup(bool project = false)
	{
		if (!on_one("ext4"))
			SKIP("quota is ext4's");
		make_ext4(disk.name,
			  {"-O", "quota,project", "-E", "quotatype=usrquota:prjquota", "-m", "10"});
		mounted = mount_ext4(disk.name, rw, "usrquota,prjquota");
		make_dir(rw + "/alice");
		OK(chown((rw + "/alice").c_str(), alice.uid, alice.gid));
		make_dir(low + "/alice");
		OK(chown((low + "/alice").c_str(), alice.uid, alice.gid));
		write_file(low + "/alice/file", pattern(1 << 20));
		OK(chown((low + "/alice/file").c_str(), alice.uid, alice.gid));
		write_file(low + "/alice/small", "small");
		OK(chown((low + "/alice/small").c_str(), alice.uid, alice.gid));
		if (project)
			set_project(rw + "/alice", 7);
		mount("br=" + rw + "=rw:" + low + "=ro");
		/* Makes the directory for workfiles and the file of whiteouts, which no user's quota has. */
		write_file(low + "/root", "");
		OK(chmod(at("root").c_str(), 0600));
		OK(unlink(at("root").c_str()));
	}
	~QuotaSetup()
	{
		ktap::guarded([this] {
			unmount();
			mounted.unmount();
		});
	}
};

PARAM_CASE(user_quota, "write", "create", "mkdir", "symlink", "copy_up", "mapping", "rename",
	   "rename_over", "exchange", "link")
{
	QuotaSetup u;
	string p = ktap::param();
	bool inodes = p != "write" && p != "copy_up" && p != "mapping";
	/* The directory has one inode already. */
	set_quota(u.disk.name, QuotaOf::user, alice.uid, 256, inodes ? 1 : 0);
	as_user(alice, [&] {
		string block(1 << 20, 'x'), name = u.at("alice/new");
		if (p == "write") {
			Fd file = open_file(name, O_RDWR | O_CREAT);
			ssize_t done = write(file, block.data(), block.size());
			EXPECT_LT(done, ssize_t(256 << 10));
			EXPECT_ERR(write(file, block.data(), block.size()), EDQUOT);
		} else if (p == "mapping") {
			Fd file = open_file(name, O_RDWR | O_CREAT);
			OK(ftruncate(file, 1 << 20));
			Map map(1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file);
			EXPECT_EQ(in_child([&] {
					  for (size_t i = 0; i < map.length(); i += page_size())
						  map[i] = 'x';
				  }),
				  128 + SIGBUS);
		} else if (p == "create")
			EXPECT_ERR(open(name.c_str(), O_CREAT | O_WRONLY, 0644), EDQUOT);
		else if (p == "mkdir")
			EXPECT_ERR(mkdir(name.c_str(), 0755), EDQUOT);
		else if (p == "symlink")
			EXPECT_ERR(symlink("target", name.c_str()), EDQUOT);
		else if (p == "rename")
			EXPECT_ERR(rename(u.at("alice/small").c_str(), name.c_str()), EDQUOT);
		else if (p == "rename_over")
			EXPECT_ERR(rename(u.at("alice/small").c_str(), u.at("alice/file").c_str()),
				   EDQUOT);
		else if (p == "exchange")
			EXPECT_ERR(renameat2(AT_FDCWD, u.at("alice/small").c_str(), AT_FDCWD,
					     u.at("alice/file").c_str(), RENAME_EXCHANGE),
				   EDQUOT);
		else if (p == "link")
			EXPECT_ERR(link(u.at("alice/small").c_str(), name.c_str()), EDQUOT);
		else {
			EXPECT_ERR(open(u.at("alice/file").c_str(), O_RDWR), EDQUOT);
			EXPECT_ERR(chmod(u.at("alice/file").c_str(), 0600), EDQUOT);
			EXPECT(read_file(u.at("alice/file")) == pattern(1 << 20));
			EXPECT(!exists(u.rw + "/alice/file"));
			/* A file for which there is room is copied up. */
			EXPECT_OK(chmod(u.at("alice/small").c_str(), 0600));
		}
	});
	if (inodes) {
		EXPECT(!exists(u.at("alice/new")));
		EXPECT_EQ(read_file(u.at("alice/small")), "small");
		EXPECT(read_file(u.at("alice/file")) == pattern(1 << 20));
		EXPECT_EQ(names_in(u.at("alice")), (Names{"file", "small"}));
	}
	expect_no_debris(u.rw);
	/* Without alice's limits the copy-up works. */
	set_quota(u.disk.name, QuotaOf::user, alice.uid, 0, 0);
	as_user(alice, [&] { EXPECT_OK(chmod(u.at("alice/file").c_str(), 0600)); });
	EXPECT_EQ(stat_of(u.rw + "/alice/file").st_uid, alice.uid);
}

PARAM_CASE(project_quota, "write", "copy_up")
{
	QuotaSetup u(true);
	set_quota(u.disk.name, QuotaOf::project, 7, 256, 0);
	as_user(alice, [&] {
		if (ktap::param() == "write") {
			string block(1 << 20, 'x');
			Fd file = open_file(u.at("alice/new"), O_RDWR | O_CREAT);
			EXPECT_LT(write(file, block.data(), block.size()), ssize_t(256 << 10));
			/* ext4 says so itself. */
			EXPECT_ERR(write(file, block.data(), block.size()), EDQUOT);
		} else {
			EXPECT_ERR(open(u.at("alice/file").c_str(), O_RDWR), EDQUOT);
			EXPECT(read_file(u.at("alice/file")) == pattern(1 << 20));
			EXPECT(!exists(u.rw + "/alice/file"));
		}
	});
	expect_no_debris(u.rw);
}

/* Users do not get the blocks that a filesystem reserves for root, whoever mounted the union. */
PARAM_CASE(reserved_blocks, "write", "copy_up")
{
	QuotaSetup u;
	as_user(alice, [&] {
		string block(1 << 16, 'x');
		Fd file = open_file(u.at("alice/filler"), O_RDWR | O_CREAT);
		while (write(file, block.data(), block.size()) > 0)
			;
		EXPECT_EQ(errno, ENOSPC);
		if (ktap::param() == "copy_up") {
			EXPECT_ERR(open(u.at("alice/file").c_str(), O_RDWR), ENOSPC);
			EXPECT(read_file(u.at("alice/file")) == pattern(1 << 20));
		}
	});
	expect_no_debris(u.rw);
	/* Root can use those blocks. */
	if (ktap::param() == "copy_up")
		EXPECT_OK(chmod(u.at("alice/file").c_str(), 0600));
	else
		write_file(u.at("root"), string(1 << 20, 'r'));
}
