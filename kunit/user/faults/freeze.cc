// SPDX-License-Identifier: GPL-2.0-only
//
// Branches whose filesystem is frozen, as for a snapshot of its disk.
//
// Combinations: ext4 xfs

#include "fixture.hh"

#include <sys/ioctl.h>

#include <linux/fs.h>

/*
 * After some work nothing keeps the branch's filesystem busy with writing: it can be frozen. (The original aufs leaked
 * a freeze count on every mmap() for two years.)
 */
CASE(branch_can_be_frozen)
{
	Union u;
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	u.mount();
	for (int i = 0; i < 20; i++) {
		Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
		OK(ftruncate(file, 8192));
		Map map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		map[0] = 'x';
		OK(pwrite(file, "y", 1, 1));
		OK(fallocate(file, 0, 0, 16384));
		OK(fchmod(file, 0600 + i));
		OK(link(u.at("file").c_str(), u.at("link").c_str()));
		OK(rename(u.at("link").c_str(), u.at("renamed").c_str()));
		OK(unlink(u.at("renamed").c_str()));
		OK(mkdir(u.at("dir").c_str(), 0755));
		OK(rmdir(u.at("dir").c_str()));
		Fd tmpfile = open_file(u.mnt, O_TMPFILE | O_RDWR, 0600);
	}
	Fd branch = open_file(u.top, O_RDONLY | O_DIRECTORY);
	OK(ioctl(branch, FIFREEZE, 0));
	/* The file can be read while the branch is frozen. */
	bool readable = access(u.at("file").c_str(), R_OK) == 0;
	OK(ioctl(branch, FITHAW, 0));
	EXPECT(readable);
	branch.reset();
	write_file(u.at("after"), "x");
}

/* A write to a frozen branch waits for the thaw, by write() and through a mapping. */
PARAM_CASE(write_waits_for_the_thaw, "write", "mapping", "create", "unlink")
{
	Union u;
	string p = ktap::param();
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	u.mount();
	write_file(u.at("file"), pattern(8192));
	Fd file = open_file(u.at("file"), O_RDWR);
	OK(fsync(file));
	Map map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, file);
	map.touch();
	Fd branch = open_file(u.top, O_RDONLY | O_DIRECTORY);
	Pipe done;
	OK(ioctl(branch, FIFREEZE, 0));
	pid_t writer = spawn([&] {
		if (p == "write")
			OK(pwrite(file, "!", 1, 0));
		else if (p == "mapping")
			map[0] = '!';
		else if (p == "create")
			OK(mknod(u.at("new").c_str(), S_IFREG | 0644, 0));
		else
			OK(unlink(u.at("file").c_str()));
		send_byte(done.write);
	});
	/* Waits until the writer is where the kernel waits for a thaw. */
	string stack;
	for (int i = 0; i < 5000 && stack.find("percpu_rwsem_wait") == string::npos; i++) {
		usleep(1000);
		stack = read_file(ktap::format("/proc/%d/stack", writer));
	}
	OK(ioctl(branch, FITHAW, 0));
	EXPECT_HAS(stack, "percpu_rwsem_wait");
	EXPECT(wait_byte(done.read));
	EXPECT_EQ(wait_for(writer), 0);
	if (p == "write" || p == "mapping")
		EXPECT_EQ(read_file(u.top + "/file")[0], '!');
}

/* Whether @pid comes to where the kernel waits for a thaw. */
static bool waits(pid_t pid)
{
	for (int i = 0; i < 5000; i++) {
		if (read_file(ktap::format("/proc/%d/stack", pid)).find("percpu_rwsem_wait") !=
		    string::npos)
			return true;
		usleep(1000);
	}
	return false;
}

static void freeze(const string &path, bool on)
{
	Fd dir = open_file(path, O_RDONLY | O_DIRECTORY);
	OK(ioctl(dir, on ? FIFREEZE : FITHAW, 0));
}

/* A union with lower files to be changed, and with a file of the rw branch that is open and mapped. */
struct Work : Union {
	Fd mine;
	Map map;

	Work() : map(page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1)
	{
		make_dir(low + "/dir");
		for (const char *name : {"open", "chmod", "rename", "unlink", "truncate"})
			write_file(low + "/dir/" + name, pattern(100000));
		write_file(low + "/read", "read");
		mount();
		write_file(at("mine"), pattern(8192));
		mine = open_file(at("mine"), O_RDWR);
		OK(syncfs(mine));
		map = Map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, mine);
		map.touch();
		/*
		 * A task that waits to change a directory holds the directory's lock in the union. Meanwhile only names
		 * in the dcache can be looked up.
		 */
		stat_of(at("dir/open"));
	}
	void act(const string &how) const
	{
		string path = at("dir/" + how);
		if (how == "open")
			open_file(path, O_RDWR);
		else if (how == "chmod")
			OK(chmod(path.c_str(), 0600));
		else if (how == "rename")
			OK(rename(path.c_str(), (path + ".new").c_str()));
		else if (how == "unlink")
			OK(unlink(path.c_str()));
		else if (how == "truncate")
			OK(truncate(path.c_str(), 10));
		else if (how == "write")
			OK(pwrite(mine, "!", 1, 0));
		else
			map[0] = '!';
	}
	bool done(const string &how) const
	{
		if (how == "rename")
			return exists(top + "/dir/rename.new");
		if (how == "unlink")
			return exists(top + "/dir/.wh.unlink");
		if (how == "write" || how == "mapping")
			return read_file(top + "/mine")[0] == '!';
		return exists(top + "/dir/" + how);
	}
	void expect_readable() const
	{
		EXPECT_EQ(read_file(at("read")), "read");
		EXPECT_EQ(read_file(at("mine")).substr(1), pattern(8192).substr(1));
		EXPECT_EQ(stat_of(at("dir/open")).st_size, 100000);
	}
};

/*
 * The union, its rw branch, or both are frozen, in either order, and thawed in either order. Each change waits until
 * the last thaw; reads do not wait. A write through a mapping goes to the branch, and waits for the branch alone.
 */
PARAM_CASE(frozen, "union", "branch", "union_branch", "branch_union", "union_branch_crossed",
	   "branch_union_crossed")
{
	string p = ktap::param();
	bool crossed = p.find("crossed") != string::npos;
	if (on("tmpfs") && p.find("branch") != string::npos)
		SKIP("tmpfs cannot be frozen");
	for (const char *how :
	     {"open", "chmod", "rename", "unlink", "truncate", "write", "mapping"}) {
		Work u;
		std::vector<string> order;
		if (p.substr(0, 5) == "union")
			order = {u.mnt, u.top};
		else
			order = {u.top, u.mnt};
		if (p.find('_') == string::npos)
			order.pop_back();
		bool waits_here = string(how) != "mapping" || p != "union";
		for (const string &path : order)
			freeze(path, true);
		pid_t worker = spawn([&] { u.act(how); });
		if (waits_here)
			EXPECT(waits(worker));
		else
			EXPECT_EQ(wait_for(worker), 0);
		u.expect_readable();
		EXPECT_EQ(u.done(how), !waits_here);
		/* The filesystem that was frozen last thaws first, or last. */
		while (!order.empty()) {
			size_t which = crossed ? 0 : order.size() - 1;
			string path = order[which];
			order.erase(order.begin() + which);
			freeze(path, false);
		}
		if (waits_here)
			EXPECT_EQ(wait_for(worker), 0);
		EXPECT(u.done(how));
	}
}

/* The branch freezes while a task waits for the thaw of the union, and the other way round. */
PARAM_CASE(frozen_under_a_waiter, "union_first", "branch_first")
{
	Work u;
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	bool union_first = ktap::param() == "union_first";
	freeze(union_first ? u.mnt : u.top, true);
	pid_t worker = spawn([&] { u.act("rename"); });
	EXPECT(waits(worker));
	if (union_first) {
		freeze(u.top, true);
		freeze(u.mnt, false);
		usleep(20000);
		EXPECT(!u.done("rename"));
		freeze(u.top, false);
	} else {
		/* The union's freeze waits for the worker, which has begun. The worker waits for the branch to thaw. */
		pid_t freezer = spawn([&] { freeze(u.mnt, true); });
		usleep(50000);
		freeze(u.top, false);
		EXPECT_EQ(wait_for(freezer), 0);
		freeze(u.mnt, false);
	}
	EXPECT_EQ(wait_for(worker), 0);
	EXPECT(u.done("rename"));
}

/* A frozen ro branch is read and copied up from. */
CASE(ro_branch_frozen)
{
	Work u;
	if (on("tmpfs", true) || on("ext4") || on("xfs"))
		if (!on("tmpfs") || on("tmpfs", true))
			SKIP("the branches must be on two filesystems, the lower one with a disk");
	freeze(u.low, true);
	for (const char *how :
	     {"open", "chmod", "rename", "unlink", "truncate", "write", "mapping"})
		u.act(how);
	for (const char *how :
	     {"open", "chmod", "rename", "unlink", "truncate", "write", "mapping"})
		EXPECT(u.done(how));
	freeze(u.low, false);
}

/* A frozen branch becomes rw. What a crash has left there stays for now: else all tasks would wait for the thaw. */
CASE(a_frozen_branch_becomes_rw)
{
	Union u;
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	string left = u.top + "/.wh..wh.orph/cpup.1";
	make_dir(u.top + "/.wh..wh.orph", 0700);
	write_file(left, "half a");
	u.mount("br=" + u.low2 + "=rw:" + u.top + "=ro");
	auto use_as = [&u](const string &perm) {
		string change = "mod:" + u.top + "=" + perm;
		return mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, change.c_str()) ? errno : 0;
	};
	freeze(u.top, true);
	KernelLog log;
	pid_t changer = spawn([&] { return use_as("rw"); });
	siginfo_t ended = {};
	for (unsigned i = 0; i < 5000 * ktap::patience() && !ended.si_pid; i++) {
		OK(waitid(P_PID, changer, &ended, WEXITED | WNOHANG | WNOWAIT));
		usleep(1000);
	}
	freeze(u.top, false);
	EXPECT_EQ(ended.si_pid, changer);
	EXPECT_EQ(wait_for(changer), 0);
	EXPECT_HAS(log.read(), "is frozen: what is in .wh..wh.orph stays for now");
	EXPECT(exists(left));
	for (const char *perm : {"ro", "rw"})
		EXPECT_EQ(use_as(perm), 0);
	EXPECT(!exists(left));
}

/* A task that is killed while it waits ends with the thaw, and has changed nothing or all. */
PARAM_CASE(killed_while_frozen, "open", "rename", "unlink", "truncate")
{
	Work u;
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	freeze(u.top, true);
	pid_t worker = spawn([&] { u.act(ktap::param()); });
	EXPECT(waits(worker));
	OK(kill(worker, SIGKILL));
	freeze(u.top, false);
	EXPECT_EQ(wait_for(worker), 128 + SIGKILL);
	expect_no_debris(u.top);
	string file = u.top + "/dir/" + ktap::param();
	if (exists(file) && ktap::param() != "truncate")
		EXPECT_EQ(stat_of(file).st_size, 100000);
	/* Another task can make the change. */
	if (!u.done(ktap::param()))
		u.act(ktap::param());
	EXPECT(u.done(ktap::param()));
}

/* A second freeze of a union is EBUSY. A frozen union can be unmounted after a thaw. */
CASE(union_frozen_twice)
{
	Work u;
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	EXPECT_ERR(ioctl(dir, FITHAW, 0), EINVAL);
	OK(ioctl(dir, FIFREEZE, 0));
	EXPECT_ERR(ioctl(dir, FIFREEZE, 0), EBUSY);
	u.expect_readable();
	OK(ioctl(dir, FITHAW, 0));
	write_file(u.at("after"), "after");
}

/* An open that copies up is a change, even an open to read: it waits for the thaw. */
PARAM_CASE(copy_up_on_open_waits, "file", "directory", "truncation")
{
	Union u;
	string p = ktap::param(), name = p == "directory" ? "dir" : "file";
	make_dir(u.low + "/dir");
	write_file(u.low + "/file", "content");
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro+coo_all");
	/* stat(2) copies nothing up. */
	stat_of(u.at(name));
	freeze(u.mnt, true);
	pid_t reader = spawn([&] {
		int flags = p == "directory"  ? O_RDONLY | O_DIRECTORY :
			    p == "truncation" ? O_RDONLY | O_TRUNC :
						O_RDONLY;
		OK(open(u.at(name).c_str(), flags));
	});
	EXPECT(waits(reader));
	EXPECT(!exists(u.top + "/" + name));
	freeze(u.mnt, false);
	EXPECT_EQ(wait_for(reader), 0);
	EXPECT(exists(u.top + "/" + name));
}
