// SPDX-License-Identifier: GPL-2.0-only
//
// Things that continue while branches come and go: a process's root, locks, leases, names of one file, whiteouts of a
// branch that comes back, mappings and all calls on them, a directory that is being read, and a copy-up.
//
// Combinations: tmpfs ext4+xfs

#include "fuse_server.hh"
#include "modules.hh"
#include "proc.hh"

#include <dirent.h>
#include <sys/file.h>
#include <sys/mman.h>

/* A process whose root is a directory of the union sees what comes and goes in it, and nothing outside. */
PARAM_CASE(the_root_of_a_process, "merged", "of_one_branch", "detached")
{
	Modules u;
	string p = ktap::param();
	make_dir(u.module("a") + "/only");
	write_file(u.module("a") + "/only/inner", "inner");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Pipe ask, told;
	pid_t child = spawn([&] {
		ask.write.reset();
		OK(chroot(u.at(p == "merged" ? "dir" : "only").c_str()));
		OK(chdir("/"));
		send_byte(told.write);
		while (wait_byte(ask.read)) {
			if (p == "merged")
				EXPECT_EQ(names_in("/"), (Names{"a", "b"}));
			else
				EXPECT_EQ(read_file("/inner"), "inner");
			send_byte(told.write);
		}
	});
	ASSERT(wait_byte(told.read));
	ask.read.reset();
	string go = p == "detached" ? "detach:" : "append:";
	EXPECT_EQ(remount(u, go + u.module(p == "detached" ? "a" : "b")), 0);
	send_byte(ask.write);
	EXPECT(wait_byte(told.read));
	if (p == "of_one_branch")
		EXPECT_EQ(ktap::errno_name(remount(u, "del:" + u.module("a"))), "EBUSY");
	ask.write.reset();
	EXPECT_EQ(wait_for(child), 0);
	if (p == "of_one_branch")
		EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
}

static int ofd_lock(int fd, short type)
{
	struct flock lock = {};
	lock.l_type = type;
	lock.l_whence = SEEK_SET;
	return fcntl(fd, F_OFD_SETLK, &lock);
}

static int posix_lock(int fd, short type)
{
	struct flock lock = {};
	lock.l_type = type;
	lock.l_whence = SEEK_SET;
	return fcntl(fd, F_SETLK, &lock);
}

/* A lock or a lease still keeps off others that open the file by name, whatever the list gets below it. */
PARAM_CASE(locks, "flock", "posix", "ofd", "lease")
{
	Modules u;
	string p = ktap::param();
	write_file(u.at("f"), "f");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd file = open_file(u.at("f"), p == "lease" ? O_RDONLY : O_RDWR);
	/* The holder of a lease gets SIGIO when another task wants to break it. */
	signal(SIGIO, SIG_IGN);
	auto take = [&p](int fd) {
		return p == "flock" ? flock(fd, LOCK_EX | LOCK_NB) :
		       p == "posix" ? posix_lock(fd, F_WRLCK) :
		       p == "ofd"   ? ofd_lock(fd, F_WRLCK) :
				      fcntl(fd, F_SETLEASE, F_RDLCK);
	};
	OK(take(file));
	auto in_another = [&] {
		return ktap::errno_name(in_child([&] {
			/* A task that would break the lease gets EAGAIN. */
			Fd mine(open(u.at("f").c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
			if (p == "lease")
				return mine < 0 ? errno : 0;
			ASSERT(mine >= 0);
			return take(mine) ? errno : 0;
		}));
	};
	/* The first open breaks the lease, so it is asked only once. */
	if (p != "lease")
		EXPECT_EQ(in_another(), "EAGAIN");
	for (const char *change : {"append", "del"})
		EXPECT_EQ(remount(u, string(change) + ":" + u.module("b")), 0);
	EXPECT_EQ(remount(u, "prepend:" + u.module("b") + "=rw"), 0);
	EXPECT_EQ(in_another(), "EAGAIN");
	file.reset();
	EXPECT_EQ(in_another(), "0");
}

/* Two names of a lower file stay one file by their copy, however the list changes. */
CASE(names_of_one_file)
{
	Modules u;
	write_file(u.module("a") + "/x", "old");
	OK(link((u.module("a") + "/x").c_str(), (u.module("a") + "/y").c_str()));
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	ino_t number = stat_of(u.at("y")).st_ino;
	write_file(u.at("x"), "by x");
	EXPECT_EQ(read_file(u.at("y")), "by x");
	for (const char *change : {"append:", "del:", "prepend:", "del:"}) {
		EXPECT_EQ(remount(u, change + u.module("b")), 0);
		EXPECT_EQ(read_file(u.at("y")), "by x");
		EXPECT_EQ(stat_of(u.at("y")).st_ino, number);
	}
	write_file(u.at("y"), "by y");
	EXPECT_EQ(read_file(u.at("x")), "by y");
	EXPECT_EQ(stat_of(u.at("x")).st_ino, number);
	/* Without the original the copy has one name; with the original it has two again. */
	EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
	EXPECT_EQ(read_file(u.at("x")), "by y");
	EXPECT(!exists(u.at("y")));
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	EXPECT_EQ(read_file(u.at("y")), "by y");
	EXPECT_EQ(read_file(u.module("a") + "/y"), "old");
}

/*
 * The copy of a module's file has two names, and is open by one of them. It is known by its original while the list has
 * the module. So the names stay one file, with the same rights, when the module goes or comes.
 */
PARAM_CASE(names_of_an_open_copy, "goes", "comes")
{
	Modules u;
	bool comes = ktap::param() == "comes";
	string a = u.module("a"), x = u.at("x"), z = u.at("z");
	write_file(a + "/x", "old");
	OK(link((a + "/x").c_str(), (a + "/y").c_str()));
	EXPECT_EQ(remount(u, "append:" + a), 0);
	write_file(x, "new");
	OK(link(x.c_str(), z.c_str()));
	/* The inode is forgotten, and found as a file of the rw branch alone. */
	EXPECT_EQ(remount(u, comes ? "del:" + a : "udba=none"), 0);
	Fd file = open_file(x, O_RDONLY);
	EXPECT_EQ(remount(u, (comes ? "append:" : "del:") + a), 0);
	EXPECT_EQ(stat_of(z).st_ino, fstat_of(file).st_ino);
	OK(chmod(z.c_str(), 0600));
	as_user(alice, [&] { EXPECT_ERR(open(x.c_str(), O_RDONLY | O_CLOEXEC), EACCES); });
	if (!comes)
		return;
	/* The name that only the module has counts, too. */
	EXPECT_EQ(read_file(u.at("y")), "new");
	for (const char *name : {"y", "x", "z"})
		OK(unlink(u.at(name).c_str()));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk"), Names{});
}

/* A file that was removed, and is open, stays so when its original's module goes: its branch, ro now, has the file. */
CASE(a_removed_copy_of_a_layer)
{
	Modules u;
	string a = u.module("a"), file = u.at("common");
	EXPECT_EQ(remount(u, "append:" + a), 0);
	write_file(file, "new");
	OK(unlink((u.module("c") + "/common").c_str()));
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro,prepend:" + u.module("c") + "=rw"), 0);
	/* The inode is forgotten, and found as a file of the former rw branch. */
	EXPECT_EQ(remount(u, "udba=none"), 0);
	Fd removed = open_file(file, O_RDONLY);
	OK(unlink(file.c_str()));
	EXPECT_EQ(fstat_of(removed).st_nlink, 0u);
	EXPECT_EQ(remount(u, "del:" + a), 0);
	EXPECT_EQ(fstat_of(removed).st_nlink, 0u);
	EXPECT_EQ(pread_text(removed, 10, 0), "new");
}

/* A saved rw branch comes back with its whiteouts, its opaque directory, and its files that have several names. */
PARAM_CASE(a_rw_branch_that_comes_back, "del", "detach")
{
	Modules u;
	string session = u.module("b");
	remove_tree(session + "/dir");
	OK(unlink((session + "/common").c_str()));
	for (const char *name : {"/x", "/gone"})
		write_file(u.module("a") + name, "old");
	OK(link((u.module("a") + "/x").c_str(), (u.module("a") + "/y").c_str()));
	make_dir(u.module("a") + "/opaque");
	write_file(u.module("a") + "/opaque/old", "");
	/* All writes go to the session. */
	EXPECT_EQ(remount(u, "append:" + u.module("a") + ",prepend:" + session +
				     "=rw,mod:" + u.top + "=ro"),
		  0);
	OK(unlink(u.at("gone").c_str()));
	write_file(u.at("x"), "new");
	remove_tree(u.at("opaque"));
	OK(mkdir(u.at("opaque").c_str(), 0755));
	write_file(u.at("opaque/new"), "");
	write_file(u.at("own"), "own");
	OK(link(u.at("own").c_str(), u.at("own2").c_str()));
	Names with = names_in(u.mnt);
	EXPECT_EQ(remount(u, "mod:" + u.top + "=rw," + ktap::param() + ":" + session), 0);
	EXPECT_EQ(read_file(u.at("gone")), "old");
	EXPECT_EQ(read_file(u.at("y")), "old");
	EXPECT_EQ(names_in(u.at("opaque")), Names{"old"});
	EXPECT(!exists(u.at("own")));
	EXPECT_EQ(remount(u, "prepend:" + session + "=rw,mod:" + u.top + "=ro"), 0);
	EXPECT_EQ(names_in(u.mnt), with);
	EXPECT(!exists(u.at("gone")));
	EXPECT_EQ(names_in(u.at("opaque")), Names{"new"});
	EXPECT_EQ(read_file(u.at("y")), "new");
	EXPECT_EQ(stat_of(u.at("x")).st_ino, stat_of(u.at("y")).st_ino);
	EXPECT_EQ(stat_of(u.at("own")).st_ino, stat_of(u.at("own2")).st_ino);
	write_file(u.at("y"), "newer");
	EXPECT_EQ(read_file(u.at("x")), "newer");
}

/* A mapping of a file whose branch was detached is forked, split, moved and written to like any other. */
CASE(a_mapping_of_a_detached_branch)
{
	Modules u;
	size_t page = page_size();
	write_file(u.module("a") + "/big", pattern(8 * page));
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	string path = u.at("big");
	Fd file = open_file(path, O_RDONLY);
	unsigned long number = fstat_of(file).st_ino;
	Map map(8 * page, PROT_READ, MAP_PRIVATE, file);
	file.reset();
	EXPECT_EQ(remount(u, "detach:" + u.module("a")), 0);
	EXPECT(!exists(path));
	auto expect_shown = [&](const void *at) {
		Vma vma = vma_at(at);
		EXPECT_EQ(vma.path, path + " (deleted)");
		if (reports_union_inode())
			EXPECT_EQ(vma.inode, number);
	};
	expect_shown(map.at());
	OK(mprotect(map.at(2 * page), page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(vmas_of(path + " (deleted)").size(), 3u);
	map[2 * page] = '!';
	OK(mprotect(map.at(2 * page), page, PROT_READ));
	OK(munmap(map.at(5 * page), page));
	char *moved = static_cast<char *>(
		OK(mremap(map.at(6 * page), 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED,
			  map.at(6 * page) + (64 << 20))));
	EXPECT_EQ(wait_for(spawn([&] {
			  expect_shown(map.at());
			  expect_shown(map.at(4 * page));
			  expect_shown(moved);
			  EXPECT_EQ(map.text(page, page), pattern(8 * page).substr(page, page));
			  EXPECT_EQ(string(moved, page), pattern(8 * page).substr(6 * page, page));
			  EXPECT_EQ(map[2 * page], '!');
		  })),
		  0);
	EXPECT(!u.is_free());
	OK(munmap(moved, 2 * page));
	map.unmap();
	EXPECT(u.becomes_free());
	EXPECT(!mentions("maps", path));
}

/*
 * A branch that comes has another file by the name of a mapped one. The name leads to the new file. The older mapping
 * goes on and is shown as deleted, as if the file were replaced on any filesystem. Its inode number stays.
 */
CASE(a_mapping_of_a_hidden_file)
{
	Modules u;
	size_t size = 2 * page_size();
	string path = u.at("big"), a = u.module("a") + "/big", b = u.module("b") + "/big";
	write_file(a, pattern(size, 1));
	write_file(b, pattern(size, 2));
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd file = open_file(path, O_RDONLY);
	struct stat before = fstat_of(file);
	Map map(size, PROT_READ, MAP_SHARED, file);
	expect_reported(map.at(), path, before, stat_of(a));
	EXPECT_EQ(remount(u, "add:1:" + u.module("b")), 0);
	auto expect_deleted = [&] {
		Vma vma = vma_at(map.at());
		EXPECT_EQ(vma.path, path + " (deleted)");
		EXPECT_EQ(link_target(map_files_name(vma)), path + " (deleted)");
		EXPECT_EQ(vma.inode, reports_union_inode() ? before.st_ino : stat_of(a).st_ino);
		EXPECT_EQ(link_target("/proc/self/fd/" + std::to_string(file)),
			  path + " (deleted)");
		EXPECT_EQ(fstat_of(file).st_ino, before.st_ino);
		EXPECT(map.text(size) == pattern(size, 1));
	};
	expect_deleted();
	EXPECT_EQ(in_child(expect_deleted), 0);
	{
		Map next(size, PROT_READ, MAP_SHARED, open_file(path, O_RDONLY));
		expect_reported(next.at(), path, stat_of(path), stat_of(b));
		EXPECT(next.text(size) == pattern(size, 2));
		expect_deleted();
	}
	/* The name leads to the old file again. */
	EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	EXPECT(read_file(path) == pattern(size, 1));
	EXPECT_EQ(stat_of(path).st_ino, before.st_ino);
	EXPECT(map.text(size) == pattern(size, 1));
}

/* The kernel shows open files and a cwd of a detached branch as deleted. */
CASE(what_is_said_of_a_detached_branch)
{
	Modules u;
	make_dir(u.module("a") + "/only");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd file = open_file(u.at("common"), O_RDONLY);
	OK(chdir(u.at("only").c_str()));
	string fd = "/proc/self/fd/" + std::to_string(file);
	struct stat before = fstat_of(file);
	EXPECT_EQ(readlink_of(fd), u.at("common"));
	EXPECT_EQ(remount(u, "detach:" + u.module("a")), 0);
	EXPECT_EQ(readlink_of(fd), u.at("common") + " (deleted)");
	EXPECT_EQ(readlink_of("/proc/self/cwd"), u.at("only") + " (deleted)");
	EXPECT_EQ(fstat_of(file).st_ino, before.st_ino);
	EXPECT_EQ(fstat_of(file).st_dev, before.st_dev);
	EXPECT_EQ(read_file(fd), "a");
	OK(chdir("/"));
}

/* The entries that one getdents64(2) with a small buffer gives. */
static Names next_entries(int dir)
{
	alignas(8) char buffer[512];
	long size = OK(syscall(SYS_getdents64, dir, buffer, sizeof(buffer)));
	Names names;
	for (long at = 0; at < size;) {
		auto *entry = reinterpret_cast<struct dirent64 *>(buffer + at);
		names.push_back(entry->d_name);
		at += entry->d_reclen;
	}
	return names;
}

/* A directory, merged or of one branch, is read in small pieces: names that were there all the time come once. */
PARAM_CASE(in_the_middle_of_a_directory, "merged", "read_through")
{
	Modules u;
	bool merged = ktap::param() == "merged";
	constexpr unsigned count = 300;
	for (unsigned i = 0; i < count; i++)
		write_file(u.module("a") + "/dir/f" + std::to_string(i), "");
	if (merged)
		EXPECT_EQ(remount(u, "append:" + u.module("c")), 0);
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	Names all, some;
	unsigned calls = 0;
	for (; !(some = next_entries(dir)).empty(); calls++) {
		all.insert(all.end(), some.begin(), some.end());
		if (calls == 1)
			EXPECT_EQ(remount(u, "add:1:" + u.module("b")), 0);
		if (calls == 3 && merged)
			EXPECT_EQ(remount(u, "del:" + u.module("c")), 0);
		if (calls == 5)
			EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	}
	/* Each change came in the middle of the reading. */
	EXPECT_GT(calls, 8u);
	std::sort(all.begin(), all.end());
	EXPECT(std::adjacent_find(all.begin(), all.end()) == all.end());
	for (unsigned i = 0; i < count; i++)
		EXPECT(std::binary_search(all.begin(), all.end(), "f" + std::to_string(i)));
	/* Read again from its beginning, the directory has the names that are there now. */
	OK(lseek(dir, 0, SEEK_SET));
	all.clear();
	while (!(some = next_entries(dir)).empty())
		all.insert(all.end(), some.begin(), some.end());
	EXPECT_EQ(all.size(), count + 3);
}

/* A copy-up from a slow server ends first. Then the list changes, or the remount names the writer. */
PARAM_CASE(a_copy_up_ends_first, "append", "mod")
{
	if (!on("tmpfs"))
		SKIP("once will do");
	Modules u;
	bool mod = ktap::param() == "mod";
	Server server(u.tmp + "/served", "", 0, 1 << 20);
	string original = read_file(u.tmp + "/served/file");
	write_control("/proc/sys/vm/drop_caches", "1");
	EXPECT_EQ(remount(u, "append:" + u.tmp + "/served"), 0);
	int before = server.faults->reads;
	server.faults->read_delay = 200000;
	Pipe end;
	pid_t writer = spawn([&] {
		end.write.reset();
		Fd file = open_file(u.at("file"), O_WRONLY);
		EXPECT(!wait_byte(end.read));
	});
	end.read.reset();
	while (server.faults->reads == before)
		usleep(1000);
	EXPECT(!exists(u.top + "/file"));
	int error = remount(u, mod ? "prepend:" + u.module("a") + "=rw,mod:" + u.top + "=ro" :
				     "append:" + u.module("a"));
	EXPECT_EQ(ktap::errno_name(error), mod ? "EBUSY" : "0");
	EXPECT(read_file(u.top + "/file") == original);
	EXPECT_EQ(u.list(), string("top=rw served=ro ") + (mod ? "" : "a=ro "));
	end.write.reset();
	EXPECT_EQ(wait_for(writer), 0);
	if (mod)
		EXPECT_EQ(remount(u, "prepend:" + u.module("a") + "=rw,mod:" + u.top + "=ro"), 0);
	EXPECT(read_file(u.at("file")) == original);
	server.faults->read_delay = 0;
	u.unmount();
}
