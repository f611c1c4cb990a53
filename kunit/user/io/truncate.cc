// SPDX-License-Identifier: GPL-2.0-only
//
// A truncation that is refused changes nothing, whoever refuses it and however late. One that is allowed does not copy
// the data that it cuts.
// Combinations: tmpfs ext4+xfs

#include "fixture.hh"

#include <sys/prctl.h>

#include <linux/landlock.h>

static constexpr size_t size = 300000;

HELPER(wait)
{
	char byte;
	ssize_t ended = read(0, &byte, 1);
	return ended ? 1 : 0;
}

struct Setup : Union {
	Setup(const std::vector<string> &more = {})
	{
		for (const string &name : more)
			write_file(low + "/" + name, pattern(size));
		copy_self(low + "/program");
		write_file(low + "/below", pattern(size));
		write_file(top + "/above", pattern(size));
		mount();
	}
	void expect_intact() const
	{
		EXPECT(read_file(at("below")) == pattern(size));
		EXPECT(read_file(at("above")) == pattern(size));
		EXPECT(read_file(low + "/below") == pattern(size));
		EXPECT(!exists(top + "/below"));
	}
};

static const std::vector<int> opens = {O_WRONLY | O_TRUNC, O_RDWR | O_TRUNC,
				       O_RDWR | O_TRUNC | O_APPEND, O_WRONLY | O_TRUNC | O_CREAT};

/* A policy, such as a container's, allows writes but not truncations. */
CASE(security_module_refuses)
{
	constexpr uint64_t truncates = 1ULL << 14, writes = LANDLOCK_ACCESS_FS_WRITE_FILE;
	Setup u;
	if (!kernel().at_least(6, 2))
		SKIP("Landlock does not know truncation before 6.2");
	int code = in_child([&] {
		landlock_ruleset_attr attr = {};
		landlock_path_beneath_attr beneath = {};
		attr.handled_access_fs = writes | truncates;
		Fd rules(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));
		if (rules < 0)
			_exit(77);
		Fd root = open_file("/", O_PATH);
		beneath.allowed_access = writes;
		beneath.parent_fd = root;
		OK(syscall(SYS_landlock_add_rule, int(rules), LANDLOCK_RULE_PATH_BENEATH, &beneath,
			   0));
		OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		OK(syscall(SYS_landlock_restrict_self, int(rules), 0));
		for (const char *name : {"below", "above"}) {
			for (int flags : opens)
				EXPECT_ERR(open(u.at(name).c_str(), flags | O_CLOEXEC, 0644),
					   EACCES);
			EXPECT_ERR(open(u.at(name).c_str(), O_TRUNC | O_CLOEXEC), EACCES);
			EXPECT_ERR(truncate(u.at(name).c_str(), 0), EACCES);
			EXPECT_ERR(truncate(u.at(name).c_str(), 10), EACCES);
		}
	});
	if (code == 77)
		SKIP("no Landlock here");
	EXPECT_EQ(code, 0);
	u.expect_intact();
}

/* A truncation that does not wait for a lease is refused, and so is one of a program that runs. */
PARAM_CASE(file_in_use, "lease", "program")
{
	Setup u;
	if (ktap::param() == "lease") {
		Fd holder = open_file(u.at("below"), O_RDONLY);
		signal(SIGIO, SIG_IGN);
		OK(fcntl(holder, F_SETLEASE, F_RDLCK));
		for (int flags : opens)
			EXPECT_ERR(open(u.at("below").c_str(), flags | O_NONBLOCK, 0644), EAGAIN);
		OK(fcntl(holder, F_SETLEASE, F_UNLCK));
		u.expect_intact();
		return;
	}
	size_t before = stat_of(u.low + "/program").st_size;
	Pipe go;
	pid_t program = spawn([&] {
		OK(dup2(go.read, 0));
		execl(u.at("program").c_str(), "program", "--helper", "wait", nullptr);
		_exit(127);
	});
	for (int i = 0; i < 5000; i++) {
		if (link_target(ktap::format("/proc/%d/exe", program)) == u.at("program"))
			break;
		usleep(1000);
	}
	for (int flags : opens)
		EXPECT_ERR(open(u.at("program").c_str(), flags, 0644), ETXTBSY);
	EXPECT_ERR(truncate(u.at("program").c_str(), 0), ETXTBSY);
	EXPECT_EQ(size_t(stat_of(u.at("program")).st_size), before);
	EXPECT(!exists(u.top + "/program"));
	kill(program, SIGKILL);
	wait_for(program);
	u.expect_intact();
}

/* The copy's branch cannot open files in the requested way: ramfs has no direct I/O. */
CASE(branch_refuses_the_open)
{
	Union u;
	string top = u.tmp + "/ramfs";
	make_dir(top);
	Mounted ramfs("none", top, "ramfs", 0, "");
	write_file(u.low + "/file", pattern(size));
	u.mount("br=" + top + "=rw:" + u.low + "=ro");
	for (int flags : opens)
		EXPECT_ERR(open(u.at("file").c_str(), flags | O_DIRECT | O_CLOEXEC, 0644), EINVAL);
	for (int flags : {O_WRONLY, O_RDWR | O_APPEND})
		EXPECT_ERR(open(u.at("file").c_str(), flags | O_DIRECT | O_CLOEXEC), EINVAL);
	EXPECT(read_file(u.at("file")) == pattern(size));
	EXPECT(!exists(top + "/file"));
	expect_no_debris(top);
	/* The truncation was not the reason. */
	OK(close(OK(open(u.at("file").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC))));
	EXPECT_EQ(read_file(u.at("file")), "");
	u.unmount();
}

/* The rw branch has no room for the whole file. The part that stays needs little. */
PARAM_CASE(what_is_cut_is_not_copied, "open", "open_to_read", "truncate")
{
	Union u;
	string p = ktap::param();
	Mounted small = mount_tmpfs("small", "size=1m");
	write_file(u.low + "/file", pattern(3 << 20));
	u.mount("br=" + small.path() + "=rw:" + u.low + "=ro");
	EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY), ENOSPC);
	if (p == "truncate")
		EXPECT_OK(truncate(u.at("file").c_str(), 100));
	else
		EXPECT_OK(Fd(
			open(u.at("file").c_str(), O_TRUNC | (p == "open" ? O_WRONLY : O_RDONLY))));
	EXPECT_EQ(read_file(u.at("file")),
		  p == "truncate" ? pattern(3 << 20).substr(0, 100) : string());
	EXPECT_EQ(stat_of(u.low + "/file").st_size, 3 << 20);
	u.unmount();
}

/* An open with O_TRUNC gives a file that can do all that other files can. */
CASE(file_that_was_truncated_by_its_open)
{
	Setup u({"0", "1", "2", "3"});
	for (size_t i = 0; i < opens.size(); i++) {
		int flags = opens[i];
		string name = std::to_string(i);
		Fd file = open_file(u.at(name), flags);
		EXPECT_EQ(fstat_of(file).st_size, 0);
		EXPECT_EQ(OK(write(file, "one", 3)), 3);
		EXPECT_EQ(OK(pwrite(file, "two", 3, 3)), 3);
		EXPECT_EQ(read_file(u.top + "/" + name), "onetwo");
		OK(ftruncate(file, 5));
		OK(fallocate(file, 0, 0, 8192));
		OK(fsync(file));
		EXPECT_EQ(fstat_of(file).st_size, 8192);
		if ((flags & O_ACCMODE) != O_RDWR)
			continue;
		EXPECT_EQ(pread_text(file, 5, 0), "onetw");
		Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file);
		map[0] = '!';
		EXPECT_EQ(read_file(u.top + "/" + name).substr(0, 5), "!netw");
	}
	EXPECT(read_file(u.low + "/below") == pattern(size));
}

/* A file that was opened to be read alone is the copy as well, for its mappings too. Nothing was read before. */
PARAM_CASE(opened_to_read_and_truncated, "below", "above")
{
	Setup u;
	string name = ktap::param(), fresh(page_size(), '!');
	Fd file = open_file(u.at(name), O_RDONLY | O_TRUNC);
	EXPECT_EQ(OK(write(open_file(u.at(name), O_WRONLY), fresh.data(), fresh.size())),
		  ssize_t(fresh.size()));
	Map map(page_size(), PROT_READ, MAP_SHARED, file);
	EXPECT(map.text(page_size()) == fresh);
	EXPECT(pread_text(file, size, 0) == fresh);
	EXPECT(read_file(u.top + "/" + name) == fresh);
	EXPECT(read_file(u.low + "/below") == pattern(size));
}

/* Several tasks open a file with O_TRUNC at once: it is one file, and keeps data written after the last open. */
CASE(truncated_by_several_at_once)
{
	std::vector<string> names;
	for (int i = 0; i < 20; i++)
		names.push_back(ktap::format("many%d", i));
	Setup u(names);
	std::vector<pid_t> workers;
	for (int i = 0; i < 4; i++)
		workers.push_back(spawn([&] {
			for (const string &name : names) {
				Fd file = open_file(u.at(name), O_RDWR | O_TRUNC);
				EXPECT_EQ(OK(pwrite(file, "x", 1, 9)), 1);
				EXPECT_EQ(fstat_of(file).st_ino, stat_of(u.at(name)).st_ino);
			}
		}));
	for (pid_t worker : workers)
		EXPECT_EQ(wait_for(worker), 0);
	for (const string &name : names) {
		string content = read_file(u.at(name));
		EXPECT(content == string(9, '\0') + "x" || content == "");
		EXPECT(read_file(u.top + "/" + name) == content);
	}
	expect_no_debris(u.top);
}
