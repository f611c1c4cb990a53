// SPDX-License-Identifier: GPL-2.0-only
//
// Branches that come and go while the union is mounted.
//
// Combinations: tmpfs ext4+xfs

#include "modules.hh"
#include "passthrough.hh"
#include "tree_ops.hh"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/mman.h>

#include <memory>

HELPER(stay)
{
	for (;;)
		pause();
}

CASE(come_and_go)
{
	Modules u;
	EXPECT(!exists(u.at("common")));
	EXPECT_EQ(remount(u, "append:" + u.module("a") + "=ro"), 0);
	EXPECT_EQ(read_file(u.at("common")), "a");
	EXPECT_EQ(names_in(u.at("dir")), Names{"a"});
	EXPECT_EQ(remount(u, "add:1:" + u.module("b") + "=ro"), 0);
	EXPECT_EQ(read_file(u.at("common")), "b");
	EXPECT_EQ(names_in(u.at("dir")), (Names{"a", "b"}));
	EXPECT_EQ(u.list(), "top=rw b=ro a=ro ");
	EXPECT_EQ(remount(u, "ins:2:" + u.module("c")), 0);
	EXPECT_EQ(u.list(), "top=rw b=ro c=ro a=ro ");
	EXPECT_EQ(names_in(u.at("dir")), (Names{"a", "b", "c"}));
	EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	EXPECT_EQ(read_file(u.at("common")), "c");
	EXPECT_EQ(names_in(u.at("dir")), (Names{"a", "c"}));
	EXPECT_EQ(remount(u, "del:" + u.module("a") + ",del:" + u.module("c")), 0);
	EXPECT_EQ(names_in(u.mnt), Names{});
	/* The filesystem of a deleted branch is free at once. */
	EXPECT(u.is_free());
	write_file(u.at("still"), "works");
	EXPECT_EQ(read_file(u.top + "/still"), "works");
}

/* Each round adds a filesystem that the union does not know: numbers for them run out unless they are used again. */
PARAM_CASE(one_filesystem_after_the_other, "ro", "rw")
{
	if (!on("tmpfs"))
		SKIP("once will do");
	Modules u;
	string perm = "=" + ktap::param();
	for (int round = 0; round < 140; round++) {
		Mounted fresh = mount_tmpfs("fresh");
		write_file(fresh.path() + "/outer", "outer");
		make_dir(fresh.path() + "/only");
		write_file(fresh.path() + "/only/inner", std::to_string(round));
		make_dir(fresh.path() + "/only/sub");
		OK(remount(u, "prepend:" + fresh.path() + perm) ? -1 : 0);
		EXPECT_EQ(names_in(u.mnt), (Names{"only", "outer"}));
		EXPECT_EQ(names_in(u.at("only")), (Names{"inner", "sub"}));
		expect_listed_numbers(u.mnt);
		expect_listed_numbers(u.at("only"));
		EXPECT_EQ(read_file(u.at("only/inner")), std::to_string(round));
		if (perm == "=rw") {
			write_file(u.at("only/new"), "new");
			EXPECT_EQ(names_in(u.at("only")), (Names{"inner", "new", "sub"}));
			OK(rename(u.at("only/new").c_str(), u.at("only/sub/new").c_str()));
			EXPECT_EQ(names_in(u.at("only/sub")), (Names{"new"}));
		}
		struct stat outer = stat_of(u.at("outer")), inner = stat_of(u.at("only/inner"));
		EXPECT(outer.st_ino != inner.st_ino);
		EXPECT_EQ(outer.st_dev, inner.st_dev);
		OK(remount(u, "del:" + fresh.path()) ? -1 : 0);
	}
}

CASE(a_new_top)
{
	Modules u;
	write_file(u.at("old"), "old");
	EXPECT_EQ(remount(u, "prepend:" + u.module("a") + "=rw"), 0);
	EXPECT_EQ(u.list(), "a=rw top=rw ");
	write_file(u.at("new"), "new");
	EXPECT_EQ(read_file(u.module("a") + "/new"), "new");
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro"), 0);
	write_file(u.at("old"), "changed");
	EXPECT_EQ(read_file(u.module("a") + "/old"), "changed");
	EXPECT_EQ(read_file(u.top + "/old"), "old");
	EXPECT_EQ(remount(u, "mod:" + u.module("a") + "=ro,mod:" + u.top + "=rw"), 0);
	EXPECT_EQ(u.list(), "a=ro top=rw ");
	EXPECT_ERR(open(u.at("old").c_str(), O_WRONLY), EROFS);
	u.unmount();
}

/* Objects in use follow the list: a cwd, an open directory, a file, a mount point. */
CASE(what_is_in_use_follows)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	make_dir(u.at("dir/made"));
	make_dir(u.at("dir/point"));
	Mounted below("below", u.at("dir/point"), "tmpfs", 0, "");
	write_file(u.at("dir/point/inside"), "inside");
	Fd cwd = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	ino_t number = fstat_of(cwd).st_ino;
	OK(fchdir(cwd));
	auto expect_mounted = [&u] {
		EXPECT_EQ(read_file("point/inside"), "inside");
		EXPECT_HAS(read_file("/proc/self/mounts"),
			   "below " + u.at("dir/point") + " tmpfs ");
	};
	EXPECT(!exists("b"));
	Fd file = open_file(u.at("dir/made/f"), O_CREAT | O_RDWR);
	OK(write(file, "x", 1));
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	EXPECT_EQ(read_file("b"), "b");
	EXPECT_EQ(names_in("."), (Names{"a", "b", "made", "point"}));
	expect_mounted();
	OK(write(file, "y", 1));
	EXPECT_EQ(read_file("made/f"), "xy");
	EXPECT_EQ(fstat_of(cwd).st_ino, number);
	EXPECT_EQ(stat_of(u.at("dir")).st_ino, number);
	EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
	EXPECT_EQ(names_in("."), (Names{"b", "made", "point"}));
	EXPECT(!exists("a"));
	expect_mounted();
	write_file("new", "new");
	EXPECT_EQ(read_file(u.top + "/dir/new"), "new");
	EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	EXPECT_EQ(names_in(u.at("dir")), (Names{"made", "new", "point"}));
	expect_mounted();
	EXPECT(u.is_free());
	EXPECT_EQ(readlink_of("/proc/self/cwd"), u.at("dir"));
	OK(chdir("/"));
}

PARAM_CASE(busy, "open", "mapped", "cwd", "executed", "directory", "mount_point")
{
	Modules u;
	string p = ktap::param();
	OK(mkdir((u.module("a") + "/only").c_str(), 0755));
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd held;
	void *map = MAP_FAILED;
	if (p == "open" || p == "mapped")
		held = open_file(u.at("common"), O_RDONLY);
	else if (p == "directory")
		held = open_file(u.at("only"), O_RDONLY | O_DIRECTORY);
	else if (p == "cwd")
		OK(chdir(u.at("only").c_str()));
	Mounted below;
	if (p == "mount_point")
		below = Mounted("below", u.at("only"), "tmpfs", 0, "");
	pid_t child = 0;
	if (p == "mapped") {
		map = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, held, 0);
		ASSERT(map != MAP_FAILED);
		held.reset();
	} else if (p == "executed") {
		write_file(u.module("a") + "/prog", read_file("/proc/self/exe"), 0755);
		child = spawn([&] {
			return execl(u.at("prog").c_str(), "prog", "--helper", "stay", nullptr);
		});
		while (readlink_of("/proc/" + std::to_string(child) + "/exe") != u.at("prog"))
			usleep(1000);
	}
	KernelLog log;
	EXPECT_EQ(ktap::errno_name(remount(u, "del:" + u.module("a"))), "EBUSY");
	/* The log names the holder and the path that it uses. */
	string holder = std::to_string(child ? child : getpid());
	string command = read_file("/proc/" + holder + "/comm");
	command.pop_back();
	EXPECT_HAS(log.read(),
		   string("is in use: /") +
			   (p == "executed"		 ? "prog" :
			    p == "open" || p == "mapped" ? "common" :
							   "only") +
			   (p == "mount_point" ? " (a mount point)" :
						 " (pid " + holder + ", " + command + ")"));
	EXPECT_EQ(u.list(), "top=rw a=ro ");
	EXPECT_EQ(read_file(u.at("common")), "a");
	/* The remount makes all changes or none. */
	EXPECT_EQ(ktap::errno_name(remount(u, "append:" + u.module("b") + ",del:" + u.module("a"))),
		  "EBUSY");
	EXPECT_EQ(u.list(), "top=rw a=ro ");
	held.reset();
	if (map != MAP_FAILED)
		OK(munmap(map, 4096));
	if (child) {
		OK(kill(child, SIGKILL));
		wait_for(child);
	}
	OK(chdir("/"));
	if (below)
		below.unmount();
	EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
	EXPECT(u.is_free());
}

/* An open directory with a further part does not keep a branch in use. The task that is reading it does. */
CASE(busy_by_its_reader)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	DIR *dir = OK(opendir(u.at("dir").c_str()));
	EXPECT(readdir(dir) != nullptr);
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	KernelLog log;
	EXPECT_EQ(ktap::errno_name(remount(u, "del:" + u.module("a"))), "EBUSY");
	string command = read_file("/proc/self/comm");
	command.pop_back();
	EXPECT_HAS(log.read(),
		   "is in use: /dir (pid " + std::to_string(getpid()) + ", " + command + ")");
	EXPECT_EQ(u.list(), "top=rw a=ro b=ro ");
	closedir(dir);
	EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
	EXPECT(u.is_free());
}

/* Names are looked up all the time while the list changes. */
CASE(looked_up_meanwhile)
{
	Modules u;
	Map stop(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	std::vector<pid_t> lookers;
	for (const char *name : {"dir/a", "common", "dir/b"})
		lookers.push_back(spawn([&, name] {
			while (!static_cast<volatile char *>(stop.at())[0])
				(void)exists(u.at(name));
		}));
	for (int round = 0; round < 100; round++) {
		EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
		EXPECT(exists(u.at("dir/a")) && exists(u.at("common")));
		EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
		EXPECT(!exists(u.at("dir/a")) && !exists(u.at("common")));
	}
	stop[0] = 1;
	for (pid_t looker : lookers)
		EXPECT_EQ(wait_for(looker), 0);
	EXPECT(u.becomes_free());
}

/* A part that is bound elsewhere is of no process. The remount waits, as a user may go in a moment. */
PARAM_CASE(mounted_elsewhere, "for a moment", "for good")
{
	Modules u;
	bool goes = ktap::param() == "for a moment";
	string elsewhere = u.tmp + "/elsewhere";
	make_dir(elsewhere);
	make_dir(u.module("a") + "/only");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	OK(mount(u.at("only").c_str(), elsewhere.c_str(), nullptr, MS_BIND, nullptr));
	pid_t other = spawn([&] {
		usleep(300000);
		if (goes)
			OK(umount2(elsewhere.c_str(), 0));
	});
	KernelLog log;
	EXPECT_EQ(remount(u, "del:" + u.module("a")), goes ? 0 : EBUSY);
	EXPECT_EQ(log.read().find("is in use: /only") == string::npos, goes);
	EXPECT_EQ(wait_for(other), 0);
	if (!goes)
		OK(umount2(elsewhere.c_str(), 0));
}

CASE(refused)
{
	Modules u;
	string before = u.list();
	EXPECT_EQ(remount(u, "del:" + u.top), EINVAL);
	EXPECT_EQ(remount(u, "del:/nowhere"), EINVAL);
	EXPECT_EQ(remount(u, "add:2:" + u.module("a")), EINVAL);
	EXPECT_EQ(remount(u, "append:" + u.module("a") + ",append:" + u.module("a")), EINVAL);
	EXPECT_EQ(remount(u, "append:" + u.module("a") + ",append:/nowhere"), ENOENT);
	EXPECT_EQ(remount(u, "append:" + u.top), EINVAL);
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro"), EROFS);
	EXPECT_EQ(remount(u, "append:" + u.mnt), EINVAL);
	EXPECT_EQ(u.list(), before);
	EXPECT(u.is_free());
}

CASE(open_for_writing)
{
	Modules u;
	write_file(u.at("f"), "f");
	EXPECT_EQ(remount(u, "prepend:" + u.module("a") + "=rw"), 0);
	Fd file = open_file(u.at("f"), O_RDWR);
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro"), EBUSY);
	OK(write(file, "g", 1));
	void *map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT(map != MAP_FAILED);
	file.reset();
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro"), EBUSY);
	*static_cast<char *>(map) = 'h';
	OK(munmap(map, 4096));
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro"), 0);
	EXPECT_EQ(read_file(u.at("f")), "h");
}

CASE(replaced_by_its_next_version)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a") + ",append:" + u.module("c")), 0);
	EXPECT_EQ(read_file(u.at("common")), "a");
	EXPECT_EQ(remount(u, "replace:" + u.module("a") + "=" + u.module("b")), 0);
	EXPECT_EQ(u.list(), "top=rw b=ro c=ro ");
	EXPECT_EQ(read_file(u.at("common")), "b");
	EXPECT_EQ(names_in(u.at("dir")), (Names{"b", "c"}));
	EXPECT(u.is_free());
}

/* The branch that comes is used as the one that goes, unless the option has a permission. */
CASE(replaced_in_its_use)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a") + "=rw+nolwh"), 0);
	EXPECT_EQ(remount(u, "replace:" + u.module("a") + "=" + u.module("b")), 0);
	EXPECT_EQ(u.list(), "top=rw b=rw+nolwh ");
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro"), 0);
	write_file(u.at("dir/b"), "written");
	EXPECT_EQ(read_file(u.module("b") + "/dir/b"), "written");
	string options = "mod:" + u.top + "=rw,replace:" + u.module("b") + "=" + u.module("c");
	EXPECT_EQ(remount(u, options + "=rr+coo_reg"), 0);
	EXPECT_EQ(u.list(), "top=rw c=rr+coo_reg ");
	EXPECT_EQ(remount(u, "replace:" + u.module("c") + "=" + u.module("a")), 0);
	EXPECT_EQ(u.list(), "top=rw a=rr+coo_reg ");
}

/* Users of a detached branch continue to use it; all others see the remaining branches. */
CASE(detached)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a") + ",append:" + u.module("b")), 0);
	Fd file = open_file(u.at("common"), O_RDONLY);
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	char *map = static_cast<char *>(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0));
	ASSERT(map != MAP_FAILED);
	EXPECT_EQ(remount(u, "detach:" + u.module("a")), 0);
	EXPECT_EQ(u.list(), "top=rw b=ro ");
	EXPECT_EQ(read_file(u.at("common")), "b");
	EXPECT_EQ(pread_text(file, 1, 0), "a");
	EXPECT_EQ(*map, 'a');
	EXPECT_EQ(fstat_of(file).st_size, 1);
	EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(dir)), Names{"b"});
	EXPECT(!u.is_free());
	OK(munmap(map, 4096));
	file.reset();
	dir.reset();
	/* The branch is free when its last user has gone. */
	EXPECT(u.becomes_free());
}

/* A watch goes on reporting events of a directory that gets and loses parts. */
CASE(watched)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd watch(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
	OK(inotify_add_watch(watch, u.at("dir").c_str(), IN_CREATE));
	char event[4096];
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	write_file(u.at("dir/new"), "");
	EXPECT(read(watch, event, sizeof(event)) > 0);
	EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
	write_file(u.at("dir/newer"), "");
	EXPECT(read(watch, event, sizeof(event)) > 0);
	EXPECT_EQ(names_in(u.at("dir")), (Names{"b", "new", "newer"}));
	EXPECT(u.is_free());
}

/*
 * The same when the part of a module has come above that of another, in a directory in use, and the directory is then
 * copied up, and forgotten but for its watch. Numbers on a server say nothing.
 */
PARAM_CASE(watched_and_copied, "module", "served")
{
	Modules u;
	string above = u.module("b"), served = u.tmp + "/served";
	Passthrough server(served, above, 3600);
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd watch(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
	OK(inotify_add_watch(watch, u.at("dir").c_str(), IN_CREATE));
	char event[4096];
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(remount(u, "add:1:" + (ktap::param() == "served" ? served : above)), 0);
	dir.reset();
	write_file(u.at("dir/new"), "");
	EXPECT(read(watch, event, sizeof(event)) > 0);
	/* The first passes only note which entries were used. */
	for (int i = 0; i < 4; i++)
		write_control("/proc/sys/vm/drop_caches", "2");
	write_file(u.at("dir/newer"), "");
	EXPECT(read(watch, event, sizeof(event)) > 0);
	EXPECT_EQ(names_in(u.at("dir")), (Names{"a", "b", "new", "newer"}));
	watch.reset();
	u.unmount();
}

/* The same for a watched file that nobody has open, also when its branch has gone for good. */
CASE(watched_file)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd watch(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
	OK(inotify_add_watch(watch, u.at("common").c_str(), IN_OPEN));
	char event[4096];
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	EXPECT_EQ(read_file(u.at("common")), "a");
	EXPECT(read(watch, event, sizeof(event)) > 0);
	EXPECT_EQ(remount(u, "detach:" + u.module("a")), 0);
	EXPECT(u.is_free());
	for (const char *name : {"c", "a"}) {
		EXPECT_EQ(read_file(u.at("common")), name[0] == 'c' ? "b" : "c");
		EXPECT_EQ(remount(u, "add:1:" + u.module(name)), 0);
		EXPECT_EQ(read_file(u.at("common")), name);
		if (name[0] == 'c')
			EXPECT_EQ(remount(u, "udba=none"), 0);
	}
}

/* Names lead to other objects by the new list: a file over a directory, a whiteout, an opaque directory, and back. */
CASE(names_lead_elsewhere)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	make_dir(u.module("a") + "/x");
	write_file(u.module("a") + "/x/below", "");
	write_file(u.module("b") + "/x", "file");
	OK(unlink((u.module("b") + "/common").c_str()));
	write_file(u.module("b") + "/.wh.common", "", 0444);
	write_file(u.module("b") + "/dir/.wh..wh..opq", "", 0444);
	Fd dir = open_file(u.at("x"), O_RDONLY | O_DIRECTORY);
	Fd file = open_file(u.at("common"), O_RDONLY);
	EXPECT_EQ(names_in(u.at("dir")), Names{"a"});
	EXPECT_EQ(remount(u, "add:1:" + u.module("b")), 0);
	EXPECT_EQ(read_file(u.at("x")), "file");
	EXPECT(!exists(u.at("common")));
	EXPECT_EQ(names_in(u.at("dir")), Names{"b"});
	EXPECT_EQ(pread_text(file, 1, 0), "a");
	EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(dir)), Names{"below"});
	EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	EXPECT_EQ(names_in(u.at("x")), Names{"below"});
	EXPECT_EQ(read_file(u.at("common")), "a");
	EXPECT_EQ(names_in(u.at("dir")), Names{"a"});
}

/* A file is open. Its name leads to nothing for a while, and is removed later: the descriptor goes on. */
CASE(removed_after_it_was_hidden)
{
	Modules u;
	write_file(u.at("file"), "text");
	write_file(u.module("b") + "/.wh.file", "", 0444);
	Fd file = open_file(u.at("file"), O_RDWR);
	EXPECT_EQ(remount(u, "prepend:" + u.module("b")), 0);
	EXPECT(!exists(u.at("file")));
	EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	EXPECT_EQ(read_file(u.at("file")), "text");
	OK(unlink(u.at("file").c_str()));
	EXPECT_OK(fchmod(file, 0600));
	EXPECT_OK(ftruncate(file, 2));
	EXPECT_EQ(pread_text(file, 10, 0), "te");
}

/* A directory that is being read: names that were there all the time come once. */
CASE(directory_that_is_being_read)
{
	Modules u;
	constexpr unsigned count = 500;
	for (unsigned i = 0; i < count; i++)
		write_file(u.module("a") + "/dir/f" + std::to_string(i), "");
	EXPECT_EQ(remount(u, "append:" + u.module("a") + ",append:" + u.module("c")), 0);
	std::unique_ptr<DIR, int (*)(DIR *)> stream(opendir(u.at("dir").c_str()), closedir);
	ASSERT(stream);
	Names names;
	for (unsigned i = 0; dirent *entry = readdir(stream.get()); i++) {
		names.push_back(entry->d_name);
		if (i == 50)
			EXPECT_EQ(remount(u, "add:1:" + u.module("b")), 0);
		if (i == 150)
			EXPECT_EQ(remount(u, "del:" + u.module("c")), 0);
	}
	std::sort(names.begin(), names.end());
	EXPECT(std::adjacent_find(names.begin(), names.end()) == names.end());
	for (unsigned i = 0; i < count; i++)
		EXPECT(std::binary_search(names.begin(), names.end(), "f" + std::to_string(i)));
}
