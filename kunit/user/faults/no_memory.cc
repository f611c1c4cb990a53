// SPDX-License-Identifier: GPL-2.0-only
//
// Each operation with each of its allocations failing once, the first, the second, until none is left
// to fail: it is ENOMEM, or it works all the same, and in both cases nothing else has changed. On
// kernels with fault injection (KERNELS=debug).

#include "fixture.hh"

#include <algorithm>
#include <functional>

#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

static const string control = "/sys/kernel/debug/failslab/";

/* Between begin() and end() the @nth allocation of this thread, of all that may sleep, fails. */
class Failing
{
public:
	explicit Failing(unsigned nth)
		: fd_(open("/proc/thread-self/fail-nth", O_RDWR)), nth_(std::to_string(nth))
	{
	}
	void begin()
	{
		OK(pwrite(fd_, nth_.data(), nth_.size(), 0));
	}
	/* Whether it came to that, and no more do. */
	bool end()
	{
		char text[16] = "";
		ssize_t got = pread(fd_, text, sizeof(text) - 1, 0);
		OK(pwrite(fd_, "0", 1, 0));
		ASSERT_GT(got, 0);
		return atoi(text) == 0;
	}

private:
	Fd fd_;
	string nth_;
};

/* One attempt at something: whether an allocation failed, and the errno of it all. */
struct Attempted {
	bool more;
	int error;
};

/*
 * Makes @attempt with its first allocation failing, then the second, until there is none left to
 * fail, which must come before @most. Returns how many were missed; that must be ENOMEM.
 */
static unsigned with_each_failing(
	unsigned most, const std::function<Attempted(Failing &, unsigned n)> &attempt,
	bool (*as_expected)(int error) = [](int error) { return error == ENOMEM; })
{
	unsigned missed = 0;
	for (unsigned n = 1; n < most; n++) {
		Failing failing(n);
		Attempted attempted = attempt(failing, n);
		if (attempted.error && !as_expected(attempted.error))
			ktap::fail(__FILE__, __LINE__,
				   ktap::format("ENOMEM from allocation %u\n  it is %s", n,
						ktap::errno_name(attempted.error).c_str()));
		if (attempted.error)
			EXPECT(attempted.more);
		missed += attempted.error != 0;
		if (!attempted.more) {
			ktap::say(ktap::format("%u allocations, %u of them were missed", n - 1,
					       missed));
			return missed;
		}
	}
	ktap::fail(__FILE__, __LINE__, ktap::format("%u allocations, and more\n", most));
	return missed;
}

static void need_fault_injection()
{
	if (!exists(control))
		SKIP("no fault injection in this kernel");
	/* What ext4 and XFS do then is their own: a journal that is aborted, say. */
	if (!on("tmpfs") || !on("tmpfs", true))
		SKIP("on tmpfs only");
	write_control(control + "ignore-gfp-wait", "N");
	write_control(control + "verbose", "0");
}

static int result_of(int returned)
{
	return returned < 0 ? errno : 0;
}

/* What is prepared on the lower branch for the attempt that has the name @name. */
struct Op {
	const char *name;
	std::function<void(const Union &, const string &name)> prepare;
	/* On the path @at: 0 or the errno. Makes no allocations of its own. */
	int (*run)(const char *at, const char *other);
	/* What has to be so on the union, @done or not. */
	std::function<void(const Union &, const string &name, bool done)> check;
};

static constexpr const char *text = "what it was";

static void lower_file(const Union &u, const string &name)
{
	write_file(u.low + "/" + name, text);
}

static void lower_dir(const Union &u, const string &name)
{
	make_dir(u.low + "/" + name);
	write_file(u.low + "/" + name + "/below", text);
	make_dir(u.top + "/" + name);
	write_file(u.top + "/" + name + "/.wh.below", "");
}

static void nothing(const Union &, const string &)
{
}

static void same_text(const Union &u, const string &name, bool)
{
	EXPECT_EQ(read_file(u.at(name)), text);
	EXPECT_EQ(read_file(u.low + "/" + name), text);
}

/* One of two is there, by what was done. */
static void moved(const Union &u, const string &name, bool done)
{
	EXPECT_EQ(exists(u.at(name)), !done);
	EXPECT_EQ(exists(u.at(name + "-")), done);
	EXPECT_EQ(read_file(u.at(done ? name + "-" : name)), text);
	EXPECT_EQ(read_file(u.low + "/" + name), text);
}

static void gone_if_done(const Union &u, const string &name, bool done)
{
	EXPECT_EQ(exists(u.at(name)), !done);
	EXPECT(exists(u.low + "/" + name));
}

static void there_if_done(const Union &u, const string &name, bool done)
{
	EXPECT_EQ(exists(u.at(name)), done);
	EXPECT_EQ(exists(u.top + "/" + name), done);
}

static int close_of(int fd)
{
	int result = result_of(fd);
	if (fd >= 0)
		close(fd);
	return result;
}

static const Op ops[] = {
	{"open_to_read", lower_file,
	 [](const char *at, const char *) { return close_of(open(at, O_RDONLY)); }, same_text},
	{"stat", lower_file,
	 [](const char *at, const char *) {
		 struct stat is;
		 return result_of(stat(at, &is));
	 },
	 same_text},
	{"open_to_write", lower_file,
	 [](const char *at, const char *) { return close_of(open(at, O_RDWR)); }, same_text},
	{"chmod", lower_file,
	 [](const char *at, const char *) { return result_of(chmod(at, 0600)); },
	 [](const Union &u, const string &name, bool done) {
		 EXPECT_EQ(stat_of(u.at(name)).st_mode & 07777, done ? 0600U : 0644U);
		 same_text(u, name, done);
	 }},
	{"truncate", lower_file,
	 [](const char *at, const char *) { return result_of(truncate(at, 4)); },
	 [](const Union &u, const string &name, bool done) {
		 EXPECT_EQ(read_file(u.at(name)), done ? "what" : text);
		 EXPECT_EQ(read_file(u.low + "/" + name), text);
	 }},
	{"setxattr", lower_file,
	 [](const char *at, const char *) {
		 return result_of(setxattr(at, "trusted.mine", "x", 1, 0));
	 },
	 [](const Union &u, const string &name, bool done) {
		 char value;
		 EXPECT_EQ(getxattr(u.at(name).c_str(), "trusted.mine", &value, 1), done ? 1 : -1);
		 same_text(u, name, done);
	 }},
	{"rename", lower_file,
	 [](const char *at, const char *other) { return result_of(rename(at, other)); }, moved},
	{"rename_over",
	 [](const Union &u, const string &name) {
		 lower_file(u, name);
		 write_file(u.low + "/" + name + "-", "another");
	 },
	 [](const char *at, const char *other) { return result_of(rename(at, other)); },
	 [](const Union &u, const string &name, bool done) {
		 EXPECT_EQ(exists(u.at(name)), !done);
		 EXPECT_EQ(read_file(u.at(name + "-")), done ? text : "another");
	 }},
	{"rename_of_a_directory",
	 [](const Union &u, const string &name) {
		 make_dir(u.top + "/" + name);
		 write_file(u.top + "/" + name + "/below", text);
	 },
	 [](const char *at, const char *other) { return result_of(rename(at, other)); },
	 [](const Union &u, const string &name, bool done) {
		 EXPECT_EQ(exists(u.at(name)), !done);
		 EXPECT_EQ(read_file(u.at(name + (done ? "-" : "") + "/below")), text);
	 }},
	{"link", lower_file,
	 [](const char *at, const char *other) { return result_of(link(at, other)); },
	 [](const Union &u, const string &name, bool done) {
		 same_text(u, name, done);
		 EXPECT_EQ(exists(u.at(name + "-")), done);
		 EXPECT_EQ(stat_of(u.at(name)).st_nlink, done ? 2U : 1U);
	 }},
	{"unlink", lower_file, [](const char *at, const char *) { return result_of(unlink(at)); },
	 gone_if_done},
	{"rmdir", lower_dir, [](const char *at, const char *) { return result_of(rmdir(at)); },
	 [](const Union &u, const string &name, bool done) {
		 gone_if_done(u, name, done);
		 /* What it hides stays hidden. */
		 EXPECT(!exists(u.at(name + "/below")));
	 }},
	{"create", nothing,
	 [](const char *at, const char *) {
		 return close_of(open(at, O_RDWR | O_CREAT | O_EXCL, 0644));
	 },
	 [](const Union &u, const string &name, bool done) {
		 /* It is made before it is opened, on each filesystem. */
		 there_if_done(u, name, done || exists(u.at(name)));
	 }},
	{"mkdir", nothing, [](const char *at, const char *) { return result_of(mkdir(at, 0755)); },
	 there_if_done},
	{"mkdir_where_one_was",
	 [](const Union &u, const string &name) {
		 make_dir(u.low + "/" + name);
		 write_file(u.low + "/" + name + "/below", text);
		 write_file(u.top + "/.wh." + name, "");
	 },
	 [](const char *at, const char *) { return result_of(mkdir(at, 0755)); },
	 [](const Union &u, const string &name, bool done) {
		 there_if_done(u, name, done);
		 EXPECT(!exists(u.at(name + "/below")));
	 }},
	{"symlink", nothing,
	 [](const char *at, const char *other) { return result_of(symlink(other, at)); },
	 there_if_done},
	{"mknod", nothing,
	 [](const char *at, const char *) { return result_of(mknod(at, S_IFIFO | 0644, 0)); },
	 there_if_done},
};

/* Where a branch has no memory, tmpfs says that it has no space. */
static bool says_no_memory(int error)
{
	return error == ENOMEM || error == ENOSPC;
}

PARAM_CASE(each_allocation, "open_to_read", "stat", "open_to_write", "chmod", "truncate",
	   "setxattr", "rename", "rename_over", "rename_of_a_directory", "link", "unlink", "rmdir",
	   "create", "mkdir", "mkdir_where_one_was", "symlink", "mknod")
{
	constexpr unsigned most = 400;
	need_fault_injection();
	const Op *op = std::begin(ops);
	while (op->name != ktap::param())
		op++;
	Union u;
	auto name_of = [](unsigned n) {
		return "n" + std::to_string(n);
	};
	for (unsigned n = 1; n <= most; n++)
		op->prepare(u, name_of(n));
	u.mount();
	/* The union's own directories on the branch are there. */
	write_file(u.at("first"), "x");
	OK(unlink(u.at("first").c_str()));
	unsigned missed = with_each_failing(
		most,
		[&](Failing &failing, unsigned n) -> Attempted {
			string name = name_of(n), at = u.at(name), other = at + "-";
			failing.begin();
			int error = op->run(at.c_str(), other.c_str());
			bool more = failing.end();
			op->check(u, name, error == 0);
			expect_no_debris(u.top);
			return {more, error};
		},
		says_no_memory);
	/* There was something to fail. */
	EXPECT_GT(missed, 0U);
	string before = snapshot(u.mnt);
	u.unmount();
	expect_no_debris(u.top);
	u.mount();
	EXPECT_EQ(snapshot(u.mnt), before);
}

/* Each name once, or ENOMEM. */
CASE(readdir)
{
	need_fault_injection();
	Union u;
	make_dir(u.low + "/dir");
	make_dir(u.top + "/dir");
	std::vector<string> expected;
	for (unsigned i = 0; i < 300; i++) {
		string name = ktap::format("name%03u", i);
		write_file((i % 2 ? u.low : u.top) + "/dir/" + name, "");
		expected.push_back(name);
	}
	u.mount();
	string at = u.at("dir");
	unsigned missed = with_each_failing(400, [&](Failing &failing, unsigned) -> Attempted {
		static char entries[65536];
		size_t size = 0;
		failing.begin();
		int fd = open(at.c_str(), O_RDONLY | O_DIRECTORY);
		int error = result_of(fd);
		while (!error) {
			long got =
				syscall(SYS_getdents64, fd, entries + size, sizeof(entries) - size);
			error = result_of(static_cast<int>(got));
			if (got <= 0)
				break;
			size += static_cast<size_t>(got);
		}
		bool more = failing.end();
		if (fd >= 0)
			close(fd);
		if (!error) {
			std::vector<string> names;
			for (size_t at = 0; at < size;) {
				auto *entry = reinterpret_cast<struct dirent64 *>(entries + at);
				if (entry->d_name[0] != '.')
					names.push_back(entry->d_name);
				at += entry->d_reclen;
			}
			std::sort(names.begin(), names.end());
			EXPECT_EQ(names, expected);
		}
		return {more, error};
	});
	EXPECT_GT(missed, 3U);
}

/* A name is not there, or that is not known, also where a directory is about to know which names it has not. */
CASE(names_that_are_not_there)
{
	constexpr unsigned most = 300;
	need_fault_injection();
	Union u;
	for (unsigned n = 1; n <= most; n++) {
		make_dir(u.low + "/" + std::to_string(n));
		make_dir(u.low2 + "/" + std::to_string(n));
		write_file(u.low2 + "/" + std::to_string(n) + "/there", text);
	}
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro");
	unsigned missed = with_each_failing(most, [&](Failing &failing, unsigned n) -> Attempted {
		string dir = u.at(std::to_string(n)), path = dir + "/no_";
		int error = 0;
		failing.begin();
		for (path.back() = 'A'; path.back() < 'A' + 40; path.back()++) {
			int now = result_of(access(path.c_str(), F_OK));
			if (now != ENOENT)
				error = now ? now : EEXIST;
		}
		bool more = failing.end();
		EXPECT_EQ(read_file(dir + "/there"), text);
		EXPECT(!exists(path));
		return {more, error};
	});
	EXPECT_GT(missed, 3U);
}

/* The union is mounted, or it is not and nothing holds its branches. */
CASE(mount)
{
	need_fault_injection();
	Union u;
	write_file(u.low + "/file", text);
	Mounted rw = mount_tmpfs("rw"), ro = mount_tmpfs("ro");
	string data = "br=" + rw.path() + "=rw:" + ro.path() + "=ro:" + u.low + ":" + u.low2;
	unsigned missed = with_each_failing(1000, [&](Failing &failing, unsigned) -> Attempted {
		failing.begin();
		int error = result_of(mount("none", u.mnt.c_str(), "aufs", 0, data.c_str()));
		bool more = failing.end();
		EXPECT_EQ(names_in("/sys/fs/aufs").size(), error ? 0U : 1U);
		if (!error) {
			EXPECT(shown_branches(u.mnt).ends_with(u.low2 + "=ro"));
			OK(umount(u.mnt.c_str()));
		}
		EXPECT_EQ(names_in("/sys/fs/aufs").size(), 0U);
		return {more, error};
	});
	EXPECT_GT(missed, 10U);
	rw.unmount();
	ro.unmount();
}

/* The list of branches is another one, or nothing has changed; also for what is in use. */
PARAM_CASE(branches, "append", "prepend", "del", "replace", "mod", "udba")
{
	need_fault_injection();
	Union u;
	string p = ktap::param(), low = u.low, low2 = u.low2;
	for (const string &branch : {low, low2}) {
		make_dir(branch + "/dir");
		write_file(branch + "/dir/file", branch);
	}
	write_file(low + "/dir/own", "");
	Mounted more = mount_tmpfs("more");
	write_file(more.path() + "/file", "more");
	u.mount("br=" + u.top + "=rw:" + low2 + "=ro:" + low + "=ro");
	string before = shown_branches(u.mnt);
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	Fd file = open_file(u.at("dir/own"), O_RDONLY);
	string there = p == "append"  ? "append:" + more.path() :
		       p == "prepend" ? "prepend:" + more.path() + "=rw" :
		       p == "del"     ? "del:" + low2 :
		       p == "replace" ? "replace:" + low2 + "=" + more.path() :
		       p == "mod"     ? "prepend:" + more.path() + "=rw,mod:" + u.top + "=ro" :
					"udba=notify";
	string back = p == "del"     ? "add:1:" + low2 + "=ro" :
		      p == "replace" ? "replace:" + more.path() + "=" + low2 :
		      p == "mod"     ? "mod:" + u.top + "=rw,del:" + more.path() :
		      p == "udba"    ? "udba=none" :
				       "del:" + more.path();
	auto remount = [&u](const string &options) {
		return result_of(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str()));
	};
	unsigned missed = with_each_failing(1000, [&](Failing &failing, unsigned) -> Attempted {
		failing.begin();
		int error = remount(there);
		bool more_to_fail = failing.end();
		bool changes = !error && p != "udba";
		EXPECT_EQ(shown_branches(u.mnt) != before, changes);
		EXPECT_EQ(read_file(u.at("dir/file")),
			  !error && (p == "del" || p == "replace") ? low : low2);
		EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(dir)),
			  (std::vector<string>{"file", "own"}));
		EXPECT_EQ(link_target("/proc/self/fd/" + std::to_string(file)), u.at("dir/own"));
		EXPECT_EQ(exists(u.at("file")), changes && p != "del");
		write_file(u.at("written"), "");
		OK(unlink(u.at("written").c_str()));
		if (!error)
			EXPECT_EQ(ktap::errno_name(remount(back)), "0");
		EXPECT_EQ(shown_branches(u.mnt), before);
		return {more_to_fail, error};
	});
	EXPECT_GT(missed, 5U);
	dir.reset();
	file.reset();
	u.unmount();
	more.unmount();
}

/* A mapping is made, or it is not; the file can be mapped after that. */
CASE(mmap)
{
	need_fault_injection();
	Union u;
	write_file(u.low + "/file", pattern(8192));
	u.mount();
	string at = u.at("file");
	unsigned missed = with_each_failing(400, [&](Failing &failing, unsigned) -> Attempted {
		failing.begin();
		int fd = open(at.c_str(), O_RDONLY);
		int error = result_of(fd);
		void *map = fd < 0 ? MAP_FAILED : mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0);
		if (fd >= 0 && map == MAP_FAILED)
			error = errno;
		/* Split: a second vma. */
		if (map != MAP_FAILED && mprotect(map, 4096, PROT_NONE) < 0)
			error = errno;
		bool more = failing.end();
		if (map != MAP_FAILED) {
			EXPECT_EQ(string(static_cast<char *>(map) + 4096, 100),
				  pattern(8192).substr(4096, 100));
			OK(munmap(map, 8192));
		}
		if (fd >= 0)
			close(fd);
		return {more, error};
	});
	EXPECT_GT(missed, 3U);
	Map map(8192, PROT_READ, MAP_SHARED, open_file(at, O_RDONLY));
	EXPECT_EQ(map.text(100), pattern(100));
}
