// SPDX-License-Identifier: GPL-2.0-only
//
// In each operation, each allocation fails once, the first, the second, and so on. The operation is ENOMEM or works all
// the same, and changes nothing else. This needs a kernel with fault injection (KERNELS=debug). Each method of the
// tables in module/vfs is called, by the attempt that names it or in a case of this program.

#include "attempts.hh"

#include <algorithm>
#include <functional>

#include <dirent.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

static const string control = "/sys/kernel/debug/failslab/";

/* Between begin() and end() the @nth allocation of this thread that may sleep fails. */
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
	/* Whether the allocation came and failed. No later one fails. */
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

/* One run of an attempt: whether an allocation failed, and the errno. */
struct Attempted {
	bool more;
	int error;
};

/*
 * Runs @attempt again and again. Its first allocation fails, then its second, until no allocation is left to fail,
 * which has to come before run @most. Returns how many runs failed, each with ENOMEM.
 */
static unsigned with_each_failing(
	unsigned most, const std::function<Attempted(Failing &, unsigned n)> &attempt,
	const std::function<bool(int error)> &as_expected = [](int error) {
		return error == ENOMEM;
	})
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
	/* ext4 and XFS react in their own ways, such as an aborted journal. */
	if (!on("tmpfs") || !on("tmpfs", true))
		SKIP("on tmpfs only");
	write_control(control + "ignore-gfp-wait", "N");
	write_control(control + "verbose", "0");
}

static constexpr const char *text = "what it was";

/* A branch on tmpfs may say ENOSPC for want of memory. */
static bool says_no_memory(int error, const Attempt &attempt)
{
	return error == ENOMEM || error == ENOSPC || error == attempt.shortage;
}

/* A filesystem changes the mode first, and may then have no memory to change the ACL. */
static bool is_mode_alone(const string &now, const string &before, const Attempt &attempt)
{
	auto rest = [](const string &looks) {
		return looks.substr(looks.find(" uid="));
	};
	string name = attempt.name;
	return (name == "chmod" || name == "fchmod") && rest(now) == rest(before);
}

/*
 * No attempt calls compat_ioctl, which is unlocked_ioctl for 32-bit programs, mmap_capabilities, which is for kernels
 * without an MMU, and the methods of the cases below. The union has no s_export_op and no a_ops.
 */
PARAM_CASE_OF(each_allocation, attempt_names())
{
	need_fault_injection();
	const Attempt &attempt = attempt_named(ktap::param());
	ktap::say(string("for ") + attempt.methods);
	Union u;
	u.mount();
	/* The union's own directories on the branch are made first. */
	write_file(u.low + "/first", "x");
	OK(chmod(u.at("first").c_str(), 0600));
	OK(unlink(u.at("first").c_str()));
	string before = looks_of(Scene(u, "before", attempt).dir), after;
	int usual;
	{
		Scene scene(u, "after", attempt);
		usual = attempt.run(scene);
		after = looks_of(scene.dir);
	}
	if (usual)
		EXPECT_EQ(ktap::errno_name(usual), ktap::errno_name(attempt.refusal));
	unsigned missed = with_each_failing(
		1000,
		[&](Failing &failing, unsigned n) -> Attempted {
			Scene scene(u, "n" + std::to_string(n), attempt);
			failing.begin();
			int error = attempt.run(scene);
			bool more = failing.end();
			bool may_be_done = attempt.effect == Effect::steps ||
					   attempt.effect == Effect::write_back;
			string now = as_if_noted(looks_of(scene.dir), after, attempt);
			if (error == usual)
				EXPECT_EQ(now, after);
			else if (!(may_be_done && now == after) &&
				 !is_mode_alone(now, before, attempt))
				EXPECT_EQ(now, before);
			expect_no_debris(u.top);
			/* The same attempt works afterwards. */
			if (error != usual && now == before) {
				EXPECT_EQ(ktap::errno_name(attempt.run(scene)),
					  ktap::errno_name(usual));
				EXPECT_EQ(looks_of(scene.dir), after);
			}
			return {more, error == usual ? 0 : error};
		},
		[&attempt](int error) { return says_no_memory(error, attempt); });
	/* A path walk takes memory. An attempt on an open file may need none. */
	if (!attempt.open)
		EXPECT_GT(missed, 0U);
	string all = snapshot(u.mnt);
	u.unmount();
	expect_no_debris(u.top);
	u.mount();
	/* The number of names that are left on a lower branch may be noted wrongly. */
	if (!attempt.has_two_names)
		EXPECT_EQ(snapshot(u.mnt), all);
}

/* The listing has each name once, or is ENOMEM. */
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
			error = result_of(got);
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

/* A lookup of a name that is not there is ENOENT or ENOMEM, also while the directory's filter of names is made. */
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

/* The union is mounted, or it is not and holds none of its branches (parse_monolithic, parse_param, get_tree, free). */
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

/* A remount changes the list of branches, or nothing, also for open files (reconfigure). */
PARAM_CASE(branches, "append", "prepend", "del", "detach", "replace", "mod", "udba")
{
	need_fault_injection();
	Union u;
	string p = ktap::param(), low = u.low, low2 = u.low2;
	bool goes = p == "del" || p == "detach";
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
		       goes	      ? p + ":" + low2 :
		       p == "replace" ? "replace:" + low2 + "=" + more.path() :
		       p == "mod"     ? "prepend:" + more.path() + "=rw,mod:" + u.top + "=ro" :
					"udba=notify";
	string back = goes	     ? "add:1:" + low2 + "=ro" :
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
			  !error && (goes || p == "replace") ? low : low2);
		EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(dir)),
			  (std::vector<string>{"file", "own"}));
		EXPECT_EQ(link_target("/proc/self/fd/" + std::to_string(file)), u.at("dir/own"));
		EXPECT_EQ(exists(u.at("file")), changes && !goes);
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

/* A file is mapped, or it is not and can be mapped later. */
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
		/* A split makes a second vma. */
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

/* The same by fsopen(2), option by option. The rest goes with the context. */
CASE(mount_by_fsconfig)
{
	need_fault_injection();
	Union u;
	string branches = u.top + "=rw:" + u.low + "=ro";
	unsigned missed = with_each_failing(1000, [&](Failing &failing, unsigned) -> Attempted {
		failing.begin();
		int context = fsopen("aufs", FSOPEN_CLOEXEC), mounted = -1;
		int error = result_of(context);
		if (!error)
			error = result_of(
				fsconfig(context, FSCONFIG_SET_STRING, "br", branches.c_str(), 0));
		if (!error)
			error = result_of(
				fsconfig(context, FSCONFIG_SET_STRING, "udba", "notify", 0));
		if (!error)
			error = result_of(
				fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
		if (!error) {
			mounted = fsmount(context, FSMOUNT_CLOEXEC, 0);
			error = result_of(mounted);
		}
		bool more = failing.end();
		if (mounted >= 0)
			close(mounted);
		if (context >= 0)
			close(context);
		EXPECT_EQ(names_in("/sys/fs/aufs").size(), 0U);
		return {more, error};
	});
	EXPECT_GT(missed, 10U);
}

/* Names are looked at again (d_revalidate): the result is what the branches have, or an error. */
PARAM_CASE(names_looked_at_again, "reval", "notify")
{
	need_fault_injection();
	Union u;
	u.mount(u.options() + ",udba=" + ktap::param());
	unsigned missed = with_each_failing(400, [&](Failing &failing, unsigned n) -> Attempted {
		string dir = "/" + std::to_string(n), path = u.mnt + dir + "/file";
		make_dir(u.top + dir);
		make_dir(u.low + dir);
		write_file(u.low + dir + "/file", text);
		EXPECT_EQ(read_file(path), text);
		/* Somebody makes the file directly first. */
		write_file(u.top + dir + "/file", "above");
		struct stat is = {};
		failing.begin();
		int error = result_of(stat(path.c_str(), &is));
		bool more = failing.end();
		if (!error)
			EXPECT_EQ(is.st_size, 5);
		EXPECT_EQ(read_file(path), "above");
		return {more, error};
	});
	EXPECT_GT(missed, 1U);
}

/* A union is frozen or not (sync_fs, freeze_fs, unfreeze_fs), and thaws. */
CASE(freeze)
{
	need_fault_injection();
	Union u;
	u.mount();
	write_file(u.at("file"), text);
	Fd root = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	with_each_failing(400, [&](Failing &failing, unsigned) -> Attempted {
		failing.begin();
		int error = result_of(ioctl(root, FIFREEZE, 0));
		bool more = failing.end();
		if (!error)
			OK(ioctl(root, FITHAW, 0));
		OK(chmod(u.at("file").c_str(), 0600));
		return {more, error};
	});
	/* The same for the thaw. */
	with_each_failing(400, [&](Failing &failing, unsigned) -> Attempted {
		OK(ioctl(root, FIFREEZE, 0));
		failing.begin();
		int error = result_of(ioctl(root, FITHAW, 0));
		bool more = failing.end();
		if (error)
			OK(ioctl(root, FITHAW, 0));
		OK(chmod(u.at("file").c_str(), 0600));
		return {more, error};
	});
}
