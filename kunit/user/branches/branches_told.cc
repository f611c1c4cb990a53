// SPDX-License-Identifier: GPL-2.0-only
//
// A remount that is refused gives the errno, and names the wrong word or the holder of the branch, in the kernel's log
// and in that of the filesystem context. And the output of lsof and fuser about a branch in use.
//
// Combinations: tmpfs

#include "modules.hh"
#include "proc.hh"

#include <sys/mman.h>

HELPER(stay)
{
	for (;;)
		pause();
}

/* Both kinds of remount fail with @error and say @text. Nothing has changed then. */
static void expect_refused(const Union &u, const string &options, int error, const string &text)
{
	string before = shown_branches(u.mnt), said;
	ktap::say(options);
	KernelLog log;
	EXPECT_EQ(ktap::errno_name(remount(u, options)), ktap::errno_name(error));
	EXPECT_HAS(log.read(), text);
	EXPECT_EQ(ktap::errno_name(remount_by_fspick(u, options, said)), ktap::errno_name(error));
	EXPECT_HAS(said, "e aufs: ");
	EXPECT_HAS(said, text);
	EXPECT_EQ(shown_branches(u.mnt), before);
}

static string me()
{
	string command = read_file("/proc/self/comm");
	command.pop_back();
	return " (pid " + std::to_string(getpid()) + ", " + command + ")";
}

static size_t times(const string &text, const string &part)
{
	size_t count = 0;
	for (size_t at = 0; (at = text.find(part, at)) != string::npos; at += part.size())
		count++;
	return count;
}

CASE(what_is_wrong)
{
	Modules u;
	string a = u.module("a"), b = u.module("b");
	expect_refused(u, "del:" + u.top, EINVAL, "the last branch cannot be removed");
	expect_refused(u, "del:/nowhere", EINVAL, "'/nowhere' is no branch of this union");
	expect_refused(u, "detach:" + a, EINVAL, "'" + a + "' is no branch of this union");
	expect_refused(u, "mod:" + a + "=rw", EINVAL, "'" + a + "' is no branch of this union");
	expect_refused(u, "replace:" + a + "=" + b, EINVAL,
		       "'" + a + "' is no branch of this union");
	expect_refused(u, "add:2:" + a, EINVAL, "branch '" + a + "': there is no place 2: 0 to 1");
	expect_refused(u, "append:" + a + ",append:" + a, EINVAL,
		       "branch '" + a + "' is given twice");
	expect_refused(u, "append:" + a + "/dir,append:" + a, EINVAL,
		       "branch '" + a + "/dir' lies within branch '" + a + "'");
	expect_refused(u, "append:/nowhere", ENOENT, "branch '/nowhere' cannot be opened");
	expect_refused(u, "append:" + a + "/common", ENOTDIR,
		       "branch '" + a + "/common' is not a directory");
	expect_refused(u, "mod:" + u.top + "=ro", EROFS, "cannot be writable: no branch is rw");
	expect_refused(u, "append:" + a + "=ro,mod:" + a + "=ro+owh", EINVAL,
		       "branch '" + a + "': +owh cannot be changed");
}

CASE(a_depth_too_great)
{
	Modules u;
	make_dir(u.tmp + "/once");
	make_dir(u.tmp + "/twice");
	Mounted one("none", u.tmp + "/once", "aufs", 0, "br=" + u.module("b") + "=ro");
	Mounted two("none", u.tmp + "/twice", "aufs", 0, "br=" + u.tmp + "/once=ro");
	/* The union was mounted with branches that are not stacked. */
	expect_refused(u, "append:" + u.tmp + "/once", EINVAL, "is stacked deeper than those");
	expect_refused(u, "append:" + u.tmp + "/twice", EINVAL, "filesystems are stacked too deep");
	expect_refused(u, "append:" + u.mnt, EINVAL, "is stacked deeper than those");
}

CASE(a_branch_that_is_mounted_read_only)
{
	Modules u;
	make_dir(u.tmp + "/fixed");
	Mounted fixed("fixed", u.tmp + "/fixed", "tmpfs", MS_RDONLY, "");
	EXPECT_EQ(remount(u, "append:" + fixed.path()), 0);
	expect_refused(u, "mod:" + fixed.path() + "=rw", EROFS, "it cannot become rw");
	expect_refused(u, "replace:" + u.top + "=" + fixed.path() + "=rw", EROFS,
		       "branch '" + fixed.path() + "' is mounted read-only: give it as '=ro'");
	EXPECT_EQ(remount(u, "del:" + fixed.path()), 0);
}

/* The path was given for two branches, and leads to neither of them now. */
CASE(the_name_of_several)
{
	Modules u;
	string b = u.module("b");
	EXPECT_EQ(remount(u, "append:" + b), 0);
	Mounted over("over", b, "tmpfs", 0, "");
	EXPECT_EQ(remount(u, "append:" + b), 0);
	Mounted third("third", b, "tmpfs", 0, "");
	expect_refused(u, "del:" + b, EINVAL, "'" + b + "' is the name of several branches");
	third.unmount();
	EXPECT_EQ(remount(u, "del:" + b), 0);
	over.unmount();
}

/* The message says that the file is open for writing. A shared writable mapping counts too, without a descriptor. */
PARAM_CASE(open_for_writing, "open", "mapped")
{
	Modules u;
	write_file(u.at("f"), "f");
	EXPECT_EQ(remount(u, "prepend:" + u.module("a") + "=rw"), 0);
	Fd file = open_file(u.at("f"), O_RDWR);
	string text = "branch '" + u.top + "' is in use: /f is open for writing" + me();
	if (ktap::param() == "open") {
		expect_refused(u, "mod:" + u.top + "=ro", EBUSY, text);
		return;
	}
	Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	file.reset();
	expect_refused(u, "mod:" + u.top + "=ro", EBUSY, text);
	map[0] = 'h';
	map.unmap();
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro"), 0);
	EXPECT_EQ(read_file(u.at("f")), "h");
}

/* The message has up to eight names, and the number of the others. */
PARAM_CASE(many_holders, "8", "11")
{
	Modules u;
	int count = std::stoi(ktap::param());
	for (int i = 0; i < count; i++)
		write_file(u.module("a") + "/f" + std::to_string(i), "");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	std::vector<Fd> files;
	for (int i = 0; i < count; i++)
		files.push_back(open_file(u.at("f") + std::to_string(i), O_RDONLY));
	string more = count > 8 ? ", and " + std::to_string(count - 8) + " more" : "", said;
	KernelLog log;
	EXPECT_EQ(ktap::errno_name(remount(u, "del:" + u.module("a"))), "EBUSY");
	string text = log.read();
	EXPECT_EQ(times(text, "is in use: /f"), 8u);
	EXPECT_EQ(times(text, me()), 8u);
	EXPECT_EQ(times(text, " more"), more.empty() ? 0u : 1u);
	EXPECT_HAS(text, me() + more);
	EXPECT_EQ(ktap::errno_name(remount_by_fspick(u, "del:" + u.module("a"), said)), "EBUSY");
	EXPECT_EQ(times(said, "is in use: /f"), 8u);
	EXPECT_HAS(said, me() + more);
}

/* A mapping that is older than a copy-up uses the old branch, although nobody has that file open. */
CASE(a_mapping_older_than_a_copy)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd file = open_file(u.at("common"), O_RDONLY);
	Map map(page_size(), PROT_READ, MAP_SHARED, file);
	map.touch();
	file.reset();
	write_file(u.at("common"), "new");
	expect_refused(u, "del:" + u.module("a"), EBUSY, "is in use: /common" + me());
	EXPECT_EQ(map.text(1), "a");
	map.unmap();
	EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
}

/*
 * A file that was copied up while it was in use keeps the branch of its original, although only the copy is open or
 * mapped. A later open, after the inode was forgotten, keeps the copy alone.
 */
CASE(an_open_copy)
{
	Modules u;
	string a = u.module("a");
	EXPECT_EQ(remount(u, "append:" + a), 0);
	Fd file = open_file(u.at("common"), O_WRONLY);
	OK(write(file, "new", 3));
	EXPECT_EQ(read_file(u.top + "/common"), "new");
	expect_refused(u, "del:" + a, EBUSY, "branch '" + a + "' is in use: /common" + me());
	OK(write(file, "er", 2));
	file.reset();
	/* The inode is forgotten, and found as the file of the rw branch. */
	EXPECT_EQ(remount(u, "udba=none"), 0);
	file = open_file(u.at("common"), O_WRONLY | O_APPEND);
	EXPECT_EQ(remount(u, "del:" + a), 0);
	OK(write(file, "!", 1));
	EXPECT_EQ(read_file(u.at("common")), "newer!");
	EXPECT(u.is_free());
}

/* lsof and fuser name processes that use a branch. lsof still does when it was detached. */
CASE(seen_by_lsof_and_fuser)
{
	if (!exists("/usr/bin/lsof") || !exists("/usr/bin/fuser"))
		SKIP("lsof and fuser are not installed in this guest");
	Modules u;
	string a = u.module("a");
	copy_self(a + "/prog");
	EXPECT_EQ(remount(u, "append:" + a), 0);
	pid_t child = spawn(
		[&] { return execl(u.at("prog").c_str(), "prog", "--helper", "stay", nullptr); });
	string pid = std::to_string(child);
	while (readlink_of("/proc/" + pid + "/exe") != u.at("prog"))
		usleep(1000);
	expect_refused(u, "del:" + a, EBUSY, "is in use: /prog (pid " + pid + ", prog)");
	EXPECT_HAS(run({"/usr/bin/fuser", u.at("prog")}).text, pid);
	string text = run({"/usr/bin/lsof", "-w", "-p", pid}).text;
	EXPECT_HAS(text, u.at("prog") + "\n");
	EXPECT_HAS_NOT(text, a + "/prog");
	EXPECT_EQ(remount(u, "detach:" + a), 0);
	text = run({"/usr/bin/lsof", "-w", "-p", pid}).text;
	EXPECT_HAS(text, u.at("prog"));
	EXPECT_HAS_NOT(text, a + "/prog");
	EXPECT_EQ(readlink_of("/proc/" + pid + "/exe"), u.at("prog") + " (deleted)");
	OK(kill(child, SIGKILL));
	wait_for(child);
	EXPECT(u.becomes_free());
}
