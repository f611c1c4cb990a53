// SPDX-License-Identifier: GPL-2.0-only
//
// Branches come and go below objects in use: each name leads to what the new list has, open files continue, and no
// object that is hidden or gone takes the place of a visible one.
//
// Combinations: tmpfs

#include "modules.hh"
#include "passthrough.hh"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include <linux/fs.h>

/* A remount that is refused takes away no name and unmounts nothing. */
CASE(refused_and_nothing_is_lost)
{
	Modules u;
	make_dir(u.module("a") + "/only");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	OK(chdir(u.at("only").c_str()));
	Fd file = open_file(u.at("common"), O_RDONLY);
	Mounted below("below", u.at("dir"), "tmpfs", 0, "");
	write_file(u.at("dir/inside"), "inside");
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(ktap::errno_name(remount(u, "del:" + u.module("a"))), "EBUSY");
	EXPECT_EQ(readlink_of("/proc/self/cwd"), u.at("only"));
	EXPECT_EQ(readlink_of("/proc/self/fd/" + std::to_string(file)), u.at("common"));
	EXPECT_EQ(read_file(u.at("dir/inside")), "inside");
	/* The same for a remount that fails before the check for users. */
	EXPECT_EQ(remount(u, "append:" + u.module("b") + ",append:" + u.module("b")), EINVAL);
	EXPECT_EQ(readlink_of("/proc/self/cwd"), u.at("only"));
	OK(chdir("/"));
	below.unmount();
}

/* A filesystem that is mounted on a name that goes is unmounted, and does not keep the union mounted. */
PARAM_CASE(mounted_on_what_goes, "detached", "hidden")
{
	Modules u;
	make_dir(u.module("a") + "/only");
	write_file(u.module("b") + "/only", "a file");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	OK(mount("below", u.at("only").c_str(), "tmpfs", 0, ""));
	write_file(u.at("only/inside"), "inside");
	if (ktap::param() == "detached") {
		EXPECT_EQ(remount(u, "detach:" + u.module("a")), 0);
		EXPECT(!exists(u.at("only")));
		EXPECT(u.is_free());
	} else {
		EXPECT_EQ(remount(u, "add:1:" + u.module("b")), 0);
		EXPECT_EQ(read_file(u.at("only")), "a file");
	}
	EXPECT_EQ(read_file("/proc/self/mounts").find(u.at("only")), string::npos);
}

/* A cwd is in a directory of a branch that has left. The list gets shorter than that branch's place. */
CASE(behind_the_end_of_the_list)
{
	Modules u;
	make_dir(u.module("b") + "/only");
	write_file(u.module("b") + "/only/file", "b");
	OK(link((u.module("b") + "/only/file").c_str(), (u.module("b") + "/only/link").c_str()));
	EXPECT_EQ(remount(u, "append:" + u.module("a") + ",append:" + u.module("b")), 0);
	OK(chdir(u.at("only").c_str()));
	EXPECT_EQ(remount(u, "detach:" + u.module("b")), 0);
	EXPECT_EQ(remount(u, "del:" + u.module("a")), 0);
	EXPECT_EQ(names_in("."), (Names{"file", "link"}));
	EXPECT_EQ(read_file("link"), "b");
	EXPECT_EQ(stat_of("file").st_nlink, 2u);
	Fd made(open("made", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	EXPECT_LT(int(made), 0);
	OK(chdir("/"));
}

/* [S rw, top rw, base]: a file was copied to S and is open. S is detached. */
CASE(a_copy_that_is_gone)
{
	Modules u;
	string session = u.module("a");
	EXPECT_EQ(remount(u, "append:" + u.module("b") + ",prepend:" + session + "=rw"), 0);
	OK(unlink((session + "/common").c_str()));
	EXPECT_EQ(remount(u, "udba=none"), 0);
	Fd old = open_file(u.at("common"), O_RDWR);
	OK(pwrite(old, "s", 1, 0));
	EXPECT_EQ(read_file(session + "/common"), "s");
	EXPECT_EQ(remount(u, "detach:" + session), 0);
	/* The name leads to the file of the branches that are left. */
	EXPECT_EQ(read_file(u.at("common")), "b");
	EXPECT_EQ(pread_text(old, 1, 0), "s");
	OK(pwrite(old, "t", 1, 0));
	EXPECT_EQ(read_file(session + "/common"), "t");
	write_file(u.at("common"), "new");
	EXPECT_EQ(read_file(u.top + "/common"), "new");
	EXPECT_EQ(read_file(u.at("common")), "new");
	old.reset();
	EXPECT(u.becomes_free());
}

/* A saved session comes back above a file that is in use. */
CASE(a_copy_that_comes)
{
	Modules u;
	string session = u.module("a");
	EXPECT_EQ(remount(u, "append:" + u.module("b") + ",prepend:" + session + "=rw"), 0);
	OK(unlink((session + "/common").c_str()));
	EXPECT_EQ(remount(u, "udba=none"), 0);
	write_file(u.at("common"), "saved");
	EXPECT_EQ(remount(u, "del:" + session), 0);
	Fd old = open_file(u.at("common"), O_RDONLY);
	EXPECT_EQ(pread_text(old, 5, 0), "b");
	EXPECT_EQ(remount(u, "prepend:" + session + "=rw"), 0);
	EXPECT_EQ(read_file(u.at("common")), "saved");
	write_file(u.at("common"), "again");
	EXPECT_EQ(read_file(session + "/common"), "again");
	EXPECT_EQ(pread_text(old, 5, 0), "b");
}

/* A new module hides a file. A descriptor of the old file does not bring it back by a copy-up. */
PARAM_CASE(hidden_is_not_copied_up, "chmod", "reopened", "read", "detached")
{
	Modules u;
	string p = ktap::param(), more = p == "read" ? "=ro+coo_reg" : "=ro";
	EXPECT_EQ(remount(u, "append:" + u.module("a") + "=ro"), 0);
	Fd old = open_file(u.at("common"), O_RDONLY);
	EXPECT_EQ(remount(u,
			  p == "detached" ? "detach:" + u.module("a") + ",append:" + u.module("b") :
			  p == "read" ? "add:1:" + u.module("b") + ",mod:" + u.module("a") + more :
					"add:1:" + u.module("b")),
		  0);
	EXPECT_EQ(read_file(u.at("common")), "b");
	string link = "/proc/self/fd/" + std::to_string(old);
	if (p == "read")
		EXPECT_EQ(read_file(link), "a");
	else if (p == "reopened")
		EXPECT_ERR(open(link.c_str(), O_WRONLY | O_CLOEXEC), ESTALE);
	else
		EXPECT_ERR(fchmod(old, 0600), ESTALE);
	EXPECT(!exists(u.top + "/common"));
	EXPECT_EQ(read_file(u.at("common")), "b");
	EXPECT_EQ(pread_text(old, 1, 0), "a");
}

/* A descriptor that was opened to read follows each copy of its file. */
CASE(read_through_two_copies)
{
	Modules u;
	write_file(u.module("a") + "/f", "0");
	EXPECT_EQ(remount(u, "append:" + u.module("a") + "=ro"), 0);
	Fd reader = open_file(u.at("f"), O_RDONLY);
	EXPECT_EQ(pread_text(reader, 1, 0), "0");
	write_file(u.at("f"), "1");
	EXPECT_EQ(pread_text(reader, 1, 0), "1");
	EXPECT_EQ(remount(u, "mod:" + u.top + "=ro,prepend:" + u.module("b") + "=rw"), 0);
	write_file(u.at("f"), "2");
	EXPECT_EQ(pread_text(reader, 1, 0), "2");
	Map map(page_size(), PROT_READ, MAP_SHARED, reader);
	EXPECT_EQ(map.text(1), "2");
	EXPECT_EQ(read_file(u.top + "/f") + read_file(u.module("a") + "/f"), "10");
}

/* An open directory shows, after a rewind, the names that it has now. */
CASE(rewound_in_another_branch)
{
	Modules u;
	for (const char *name : {"a", "b"}) {
		make_dir(u.module(name) + "/only");
		write_file(u.module(name) + "/only/" + name, "");
	}
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	DIR *dir = OK(opendir(u.at("only").c_str()));
	auto names = [dir] {
		Names found;
		rewinddir(dir);
		while (dirent *entry = readdir(dir))
			if (entry->d_name[0] != '.')
				found.push_back(entry->d_name);
		return found;
	};
	EXPECT_EQ(names(), Names{"a"});
	EXPECT_EQ(remount(u, "detach:" + u.module("a") + ",append:" + u.module("b")), 0);
	EXPECT_EQ(names(), Names{"b"});
	closedir(dir);
}

/* Nothing is made in a directory whose name leads to a file by now. */
CASE(nothing_is_made_in_what_is_hidden)
{
	Modules u;
	make_dir(u.module("a") + "/x");
	make_dir(u.module("a") + "/x/deep");
	write_file(u.module("b") + "/x", "a file");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	OK(chdir(u.at("x/deep").c_str()));
	EXPECT_EQ(remount(u, "add:1:" + u.module("b")), 0);
	EXPECT_ERR(open("y", O_CREAT | O_WRONLY | O_CLOEXEC, 0644), ESTALE);
	EXPECT_ERR(mkdir("d", 0755), ESTALE);
	EXPECT(!exists(u.top + "/x"));
	EXPECT_EQ(read_file(u.at("x")), "a file");
	OK(chdir("/"));
}

/* A task whose cwd is in a detached rw branch changes nothing there. */
CASE(a_detached_rw_branch_is_not_changed)
{
	Modules u;
	EXPECT_EQ(remount(u, "prepend:" + u.module("a") + "=rw"), 0);
	OK(mkdir(u.at("own").c_str(), 0755));
	write_file(u.at("own/file"), "own");
	EXPECT(exists(u.module("a") + "/own/file"));
	OK(chdir(u.at("own").c_str()));
	Fd file = open_file("file", O_WRONLY | O_APPEND);
	EXPECT_EQ(remount(u, "detach:" + u.module("a")), 0);
	string before = snapshot(u.module("a") + "/own");
	EXPECT_ERR(open("made", O_CREAT | O_WRONLY | O_CLOEXEC, 0644), ESTALE);
	EXPECT_ERR(open("file", O_WRONLY | O_CLOEXEC), ESTALE);
	EXPECT_ERR(unlink("file"), ESTALE);
	EXPECT_ERR(rename("file", "other"), ESTALE);
	EXPECT_ERR(chmod("file", 0600), ESTALE);
	EXPECT_EQ(snapshot(u.module("a") + "/own"), before);
	/* A file that was open before can still be written to. */
	OK(write(file, "+", 1));
	EXPECT_EQ(read_file(u.module("a") + "/own/file"), "own+");
	OK(chdir("/"));
}

/* A branch that has become read-only takes no write, whenever the file was opened. */
CASE(read_only_in_a_race)
{
	constexpr int rounds = 60;
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("b") + "=rw"), 0);
	for (int i = 0; i < rounds; i++)
		write_file(u.module("b") + "/dir/" + std::to_string(i), "old");
	EXPECT_EQ(remount(u, "udba=none"), 0);
	auto *written = static_cast<int *>(
		mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (int i = 0; i < rounds; i++) {
		string file = u.at("dir/") + std::to_string(i);
		stat_of(file);
		*written = 0;
		pid_t writer = spawn([&] {
			usleep(i * 50);
			Fd fd(open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
			if (fd >= 0)
				*written = write(fd, "+", 1) == 1;
			return 0;
		});
		usleep(600);
		int error = remount(u, "mod:" + u.module("b") + "=ro");
		EXPECT(error == 0 || error == EBUSY);
		string at_once = read_file(u.module("b") + "/dir/" + std::to_string(i));
		/* A change of attributes copies the file to the upper branch, with what was written below. */
		EXPECT_OK(chmod(file.c_str(), 0600));
		EXPECT_EQ(wait_for(writer), 0);
		if (error == 0)
			EXPECT_EQ(read_file(u.module("b") + "/dir/" + std::to_string(i)), at_once);
		EXPECT_EQ(read_file(file), *written ? "old+" : "old");
		EXPECT_EQ(remount(u, "mod:" + u.module("b") + "=rw"), 0);
	}
	munmap(written, 4096);
}

/* A directory that was hidden has, when it is seen again, the parts that the list has by then. */
PARAM_CASE(hidden_for_a_while, "comes", "goes")
{
	Modules u;
	bool comes = ktap::param() == "comes";
	for (const char *name : {"a", "c"}) {
		make_dir(u.module(name) + "/x");
		write_file(u.module(name) + "/x/" + name, name);
	}
	write_file(u.module("b") + "/x", "a file");
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	if (!comes)
		EXPECT_EQ(remount(u, "append:" + u.module("c")), 0);
	OK(chdir(u.at("x").c_str()));
	EXPECT_EQ(remount(u, "add:1:" + u.module("b")), 0);
	EXPECT_EQ(read_file(u.at("x")), "a file");
	EXPECT_EQ(remount(u, comes ? "append:" + u.module("c") : "detach:" + u.module("c")), 0);
	EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	EXPECT_EQ(names_in(u.at("x")), comes ? (Names{"a", "c"}) : Names{"a"});
	OK(chdir("/"));
}

/* A branch changes its place in the list: the objects in use are written to as before. */
CASE(the_same_in_another_place)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("a") + "=rw"), 0);
	write_file(u.module("a") + "/dir/log", "log");
	EXPECT_EQ(remount(u, "udba=none"), 0);
	Fd log = open_file(u.at("dir/log"), O_RDWR | O_APPEND);
	OK(chdir(u.at("dir").c_str()));
	EXPECT_EQ(remount(u, "detach:" + u.module("a") + ",prepend:" + u.module("a") + "=rw"), 0);
	EXPECT_EQ(u.list(), "a=rw top=rw ");
	OK(write(log, "1", 1));
	Fd again = open_file(u.at("dir/log"), O_WRONLY | O_APPEND);
	OK(write(again, "2", 1));
	OK(chmod(u.at("dir/log").c_str(), 0600));
	write_file("made", "made");
	EXPECT_EQ(read_file(u.module("a") + "/dir/log"), "log12");
	EXPECT(exists(u.module("a") + "/dir/made"));
	EXPECT_EQ(readlink_of("/proc/self/fd/" + std::to_string(log)), u.at("dir/log"));
	OK(chdir("/"));
}

/* A cwd in a directory of a module is, when the next version replaces that, in the directory of the next version. */
CASE(in_a_directory_of_what_is_replaced)
{
	Modules u;
	for (const char *name : {"a", "b"}) {
		make_dir(u.module(name) + "/version");
		write_file(u.module(name) + "/version/" + name, name);
	}
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	OK(chdir(u.at("version").c_str()));
	EXPECT_EQ(remount(u, "replace:" + u.module("a") + "=" + u.module("b")), 0);
	EXPECT_EQ(names_in("."), Names{"b"});
	EXPECT_EQ(readlink_of("/proc/self/cwd"), u.at("version"));
	write_file("made", "made");
	EXPECT(exists(u.top + "/version/made"));
	EXPECT(u.is_free());
	OK(chdir("/"));
}

/* Two branches were named by one path. Only the branch that the path leads to now is deleted. */
CASE(mounted_over_each_other)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	Mounted over("over", u.module("b"), "tmpfs", 0, "");
	write_file(u.module("b") + "/common", "over");
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	EXPECT_EQ(u.list(), "top=rw b=ro b=ro ");
	EXPECT_EQ(read_file(u.at("common")), "b");
	EXPECT_EQ(remount(u, "del:" + u.module("b")), 0);
	EXPECT_EQ(read_file(u.at("common")), "b");
	EXPECT_EQ(remount(u, "append:" + u.module("b") + ",del:" + u.module("b")), 0);
	EXPECT_EQ(read_file(u.at("common")), "b");
	over.unmount();
}

/* Waits until @pid sleeps on a lock, or has ended. */
static void wait_until_blocked(pid_t pid)
{
	auto state = [pid] {
		string text = read_file("/proc/" + std::to_string(pid) + "/stat");
		return text[text.rfind(')') + 2];
	};
	while (state() != 'D' && state() != 'Z')
		usleep(1000);
}

/*
 * A name is free when a rename or link to it begins. A branch comes while that waits. If the branch has the name, the
 * VFS looks again. If not, it need not: it would do so once, and the list may change more than once.
 */
PARAM_CASE(free_until_a_branch_comes, "file", "directory", "renamed", "linked")
{
	const string &what = ktap::param();
	bool is_file = what == "file", stays_free = what == "renamed" || what == "linked";
	string name = is_file ? "common" : stays_free ? "other" : "dir";
	Modules u;
	make_dir(u.tmp + "/below");
	Passthrough server(u.tmp + "/served", u.tmp + "/below", 3600);
	EXPECT_EQ(remount(u, "prepend:" + u.tmp + "/served=rw"), 0);
	write_file(u.at("source"), "source");
	EXPECT(!exists(u.at(name)));
	/* chmod holds the source's inode lock, which the others wait for. */
	server.hold({FUSE_SETATTR, 1, ""});
	pid_t changer = spawn([&] { return chmod(u.at("source").c_str(), 0600) ? errno : 0; });
	while (!server.is_held())
		usleep(1000);
	pid_t namer = spawn([&] {
		string from = u.at("source"), to = u.at(name);
		int failed = what == "linked" ?
				     link(from.c_str(), to.c_str()) :
				     renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(),
					       is_file ? RENAME_NOREPLACE : 0);
		return failed ? errno : 0;
	});
	wait_until_blocked(namer);
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	/* A second walk asks the server, whatever the kernel has cached. */
	if (stays_free)
		server.fail({FUSE_LOOKUP, 1, "source"}, EIO);
	server.release(0);
	EXPECT_EQ(wait_for(changer), 0);
	string result = stays_free ? "0" : is_file ? "EEXIST" : "EISDIR";
	EXPECT_EQ(ktap::errno_name(wait_for(namer)), result);
	EXPECT_EQ(server.end(), !stays_free);
	EXPECT_EQ(read_file(u.at(is_file ? "common" : "dir/b")), "b");
	EXPECT_EQ(read_file(u.at(stays_free ? name : "source")), "source");
	EXPECT_EQ(exists(u.at("source")), what != "renamed");
	u.unmount();
}

/* The server of a branch that was detached is not asked any more, not for a file that is only watched by now either. */
CASE(a_detached_server_is_not_asked)
{
	Modules u;
	/* Where a union has written, files may have origins. */
	make_dirs(u.tmp + "/behind/.wh..wh.plnk");
	Passthrough server(u.tmp + "/served", u.tmp + "/behind", 3600);
	EXPECT_EQ(remount(u, "prepend:" + u.tmp + "/served=rw"), 0);
	write_file(u.at("file"), "");
	Fd file = open_file(u.at("file"), O_RDONLY), watch(OK(inotify_init1(IN_CLOEXEC)));
	OK(inotify_add_watch(watch, u.at("file").c_str(), IN_OPEN));
	EXPECT_EQ(remount(u, "detach:" + u.tmp + "/served"), 0);
	file.reset();
	server.hold({FUSE_GETXATTR, 1, ""});
	pid_t changer = spawn([&] { return remount(u, "append:" + u.module("a")); });
	siginfo_t ended = {};
	while (!server.is_held() && !ended.si_pid) {
		OK(waitid(P_PID, changer, &ended, WEXITED | WNOHANG | WNOWAIT));
		usleep(1000);
	}
	EXPECT(!server.end());
	EXPECT_EQ(wait_for(changer), 0);
	EXPECT_EQ(read_file(u.at("common")), "a");
	watch.reset();
	u.unmount();
}

/* Users that always come back do not keep the list from changing. */
CASE(busy_users_let_it_change)
{
	Modules u;
	EXPECT_EQ(remount(u, "append:" + u.module("b")), 0);
	for (int i = 0; i < 300; i++)
		write_file(u.at("dir/") + std::to_string(i), "");
	std::vector<pid_t> users;
	for (int number = 0; number < 4; number++)
		users.push_back(spawn([&] {
			become(alice);
			Fd dir(open(u.at("dir").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
			for (;;) {
				if (number % 2)
					fsync(dir);
				else
					names_in(u.at("dir"));
			}
			return 0;
		}));
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(remount(u, "append:" + u.module("c")), 0);
		EXPECT_EQ(remount(u, "detach:" + u.module("c")), 0);
	}
	for (pid_t user : users) {
		kill(user, SIGKILL);
		wait_for(user);
	}
}

/* A rename ends: neither another name of the object nor another dentry of it counts as being renamed for ever. */
PARAM_CASE(renamed_once, "another_name", "watched", "two_branches")
{
	Modules u;
	string p = ktap::param();
	EXPECT_EQ(remount(u,
			  "append:" + u.module("a") + (p == "two_branches" ? "=rw,create=rr" : "")),
		  0);
	auto forget = [] {
		write_control("/proc/sys/vm/drop_caches", "2");
	};
	Fd held, watch;
	if (p == "another_name") {
		write_file(u.at("first"), "text");
		OK(link(u.at("first").c_str(), u.at("second").c_str()));
		held = open_file(u.at("second"), O_RDONLY);
		OK(rename(u.at("first").c_str(), u.at("third").c_str()));
	} else {
		OK(mkdir(u.at("d").c_str(), 0755));
		OK(rename(u.at("d").c_str(), u.at("e").c_str()));
		watch = Fd(OK(inotify_init1(IN_CLOEXEC)));
		OK(inotify_add_watch(watch, u.at("e").c_str(), IN_CREATE));
		forget();
		held = open_file(u.at("e"), O_RDONLY | O_DIRECTORY);
	}
	forget();
	/* The files go to the two branches in turn. */
	for (int i = 0; i < 4 && p == "two_branches"; i++)
		write_file(u.at("e/") + std::to_string(i), "");
	EXPECT_EQ(ktap::errno_name(remount(u, "append:" + u.module("b"))), "0");
	EXPECT_EQ(ktap::errno_name(remount(u, "del:" + u.module("b"))), "0");
}
