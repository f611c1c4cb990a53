// SPDX-License-Identifier: GPL-2.0-only
//
// udba=reval and udba=notify: the next use of a name sees changes that were made directly on a branch.
//
// Combinations: tmpfs

#include "disk.hh"

#include <dirent.h>
#include <sys/mman.h>

#include <algorithm>

using Names = std::vector<string>;

static int remount(const Union &u, const string &options)
{
	return mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str()) ? errno : 0;
}

static Names names_at(int dir)
{
	Names names;
	DIR *stream = fdopendir(OK(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	while (dirent *entry = readdir(stream))
		if (entry->d_name[0] != '.')
			names.push_back(entry->d_name);
	closedir(stream);
	std::sort(names.begin(), names.end());
	return names;
}

/* A union that looks for direct changes in the way of the case's parameter. */
struct Watched : Union {
	string second = tmp + "/second";

	Watched()
	{
		make_dir(second);
		for (const string &dir : {low, second}) {
			make_dir(dir + "/dir");
			make_dir(dir + "/dir/deep");
		}
		make_dir(low + "/alone");
		write_file(low + "/alone/file", "alone");
		write_file(low + "/dir/file", "low");
		write_file(low + "/dir/deep/file", "deep");
	}
	void start()
	{
		mount("br=" + top + "=rw:" + second + "=rw:" + low + "=ro,udba=" + ktap::param());
	}
	/* The content that users read by @name, or the errno. */
	string found(const string &name) const
	{
		Fd file(open(at(name).c_str(), O_RDONLY | O_CLOEXEC));
		if (file < 0)
			return ktap::errno_name(errno);
		char content[64];
		ssize_t size = OK(read(file, content, sizeof(content)));
		return string(content, size);
	}
};

PARAM_CASE(names_come_and_go, "reval", "notify")
{
	Watched u;
	u.start();
	EXPECT_EQ(u.found("dir/new"), "ENOENT");
	write_file(u.second + "/dir/new", "second");
	EXPECT_EQ(u.found("dir/new"), "second");
	/* A directory comes on the uppermost branch, with a name in it. */
	make_dir(u.top + "/dir");
	write_file(u.top + "/dir/new", "top");
	EXPECT_EQ(u.found("dir/new"), "top");
	OK(unlink((u.top + "/dir/new").c_str()));
	EXPECT_EQ(u.found("dir/new"), "second");
	OK(unlink((u.second + "/dir/new").c_str()));
	EXPECT_EQ(u.found("dir/new"), "ENOENT");
	/* The same on the ro branch. */
	EXPECT_EQ(u.found("dir/file"), "low");
	OK(rename((u.low + "/dir/file").c_str(), (u.low + "/dir/moved").c_str()));
	EXPECT_EQ(u.found("dir/file"), "ENOENT");
	EXPECT_EQ(u.found("dir/moved"), "low");
	write_file(u.low + "/dir/other", "other");
	EXPECT_EQ(u.found("dir/moved"), "low");
	OK(rename((u.low + "/dir/other").c_str(), (u.low + "/dir/moved").c_str()));
	EXPECT_EQ(u.found("dir/moved"), "other");
	/* The union makes a directory on an upper branch itself: that is watched too. */
	EXPECT_EQ(u.found("alone/late"), "ENOENT");
	OK(chmod(u.at("alone/file").c_str(), 0600));
	EXPECT_EQ(u.found("alone/late"), "ENOENT");
	write_file(u.second + "/alone/late", "late");
	EXPECT_EQ(u.found("alone/late"), "late");
	/* A name leads to a directory instead of a file, and then to the file again. */
	make_dir(u.top + "/dir/moved");
	EXPECT_EQ(stat_of(u.at("dir/moved")).st_mode & S_IFMT, unsigned(S_IFDIR));
	OK(rmdir((u.top + "/dir/moved").c_str()));
	EXPECT_EQ(u.found("dir/moved"), "other");
}

PARAM_CASE(whiteouts_come_and_go, "reval", "notify")
{
	Watched u;
	make_dir(u.top + "/dir");
	u.start();
	EXPECT_EQ(u.found("dir/file"), "low");
	write_file(u.top + "/dir/.wh.file", "");
	EXPECT_EQ(u.found("dir/file"), "ENOENT");
	OK(unlink((u.top + "/dir/.wh.file").c_str()));
	EXPECT_EQ(u.found("dir/file"), "low");
	EXPECT_EQ(u.found("dir/deep/file"), "deep");
	write_file(u.top + "/dir/.wh..wh..opq", "");
	EXPECT_EQ(u.found("dir/file"), "ENOENT");
	EXPECT_EQ(u.found("dir/deep/file"), "ENOENT");
	OK(unlink((u.top + "/dir/.wh..wh..opq").c_str()));
	EXPECT_EQ(u.found("dir/file"), "low");
	EXPECT_EQ(u.found("dir/deep/file"), "deep");
}

PARAM_CASE(attributes, "reval", "notify")
{
	Watched u;
	u.start();
	as_user(alice, [&] { EXPECT_EQ(u.found("dir/file"), "low"); });
	OK(chmod((u.low + "/dir/file").c_str(), 0600));
	as_user(alice, [&] { EXPECT_EQ(u.found("dir/file"), "EACCES"); });
	OK(chmod((u.low + "/dir/file").c_str(), 0644));
	OK(chmod((u.low + "/dir").c_str(), 0700));
	OK(chmod((u.second + "/dir").c_str(), 0700));
	as_user(alice, [&] { EXPECT_EQ(u.found("dir/file"), "EACCES"); });
	OK(chmod((u.second + "/dir").c_str(), 0755));
	as_user(alice, [&] { EXPECT_EQ(u.found("dir/file"), "low"); });
	write_file(u.low + "/dir/file", "longer than it was");
	EXPECT_EQ(size_t(stat_of(u.at("dir/file")).st_size), strlen("longer than it was"));
	EXPECT_EQ(u.found("dir/file"), "longer than it was");
	/* A file is copied up with the content that it has now. */
	OK(truncate((u.low + "/dir/file").c_str(), 6));
	Fd file = open_file(u.at("dir/file"), O_WRONLY | O_APPEND);
	OK(write(file, "!", 1));
	EXPECT_EQ(u.found("dir/file"), "longer!");
}

/* A directory stays in use with the parts that it has by then: an open one, and one with a mount below it. */
PARAM_CASE(directories_in_use, "reval", "notify")
{
	Watched u;
	u.start();
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	Fd deep = open_file(u.at("dir/deep"), O_RDONLY | O_DIRECTORY);
	ino_t number = stat_of(u.at("dir")).st_ino;
	make_dir(u.low + "/dir/point");
	make_dir(u.top + "/elsewhere");
	Mounted mounted("mounted", u.at("dir/point"), "tmpfs", 0, "");
	write_file(u.at("dir/point/inside"), "inside");
	/* A part comes above the others, then one goes. */
	make_dir(u.top + "/dir");
	write_file(u.top + "/dir/above", "above");
	make_dir(u.top + "/dir/deep");
	write_file(u.top + "/dir/deep/above", "above");
	EXPECT_EQ(u.found("dir/above"), "above");
	EXPECT_EQ(u.found("dir/deep/above"), "above");
	EXPECT_EQ(u.found("dir/point/inside"), "inside");
	EXPECT_EQ(names_at(dir), (Names{"above", "deep", "file", "point"}));
	EXPECT_EQ(names_at(deep), (Names{"above", "file"}));
	EXPECT_EQ(stat_of(u.at("dir")).st_ino, number);
	Fd made(OK(openat(dir, "made", O_CREAT | O_WRONLY | O_CLOEXEC, 0644)));
	EXPECT(exists(u.top + "/dir/made"));
	OK(rename((u.second + "/dir").c_str(), (u.second + "/gone").c_str()));
	EXPECT_EQ(u.found("dir/deep/file"), "deep");
	EXPECT_EQ(u.found("gone/deep/file"), "ENOENT");
	EXPECT_EQ(u.found("dir/point/inside"), "inside");
	mounted.unmount();
}

/* A mapping and a descriptor keep their file when the name leads to another. */
PARAM_CASE(files_in_use, "reval", "notify")
{
	Watched u;
	u.start();
	Fd file = open_file(u.at("dir/file"), O_RDONLY);
	void *address = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
	ASSERT(address != MAP_FAILED);
	write_file(u.low + "/next", "next");
	OK(rename((u.low + "/next").c_str(), (u.low + "/dir/file").c_str()));
	EXPECT_EQ(u.found("dir/file"), "next");
	EXPECT_EQ(string(static_cast<char *>(address), 3), "low");
	char content[4] = {};
	EXPECT_EQ(OK(pread(file, content, 4, 0)), 3);
	EXPECT_EQ(string(content), "low");
	munmap(address, 4096);
	/* A name that was removed directly takes no write. */
	write_file(u.at("dir/own"), "own");
	Fd own = open_file(u.at("dir/own"), O_RDWR);
	OK(unlink((u.second + "/dir/own").c_str()));
	EXPECT_ERR(open(u.at("dir/own").c_str(), O_RDWR), ENOENT);
}

/* The union's own changes do not count as direct changes: no call fails, and nothing is unmounted. */
PARAM_CASE(own_changes, "reval", "notify")
{
	Watched u;
	for (int i = 0; i < 60; i++)
		write_file(u.low + "/dir/deep/" + std::to_string(i), "low");
	make_dir(u.low + "/dir/deep/point");
	u.start();
	Mounted mounted("mounted", u.at("dir/deep/point"), "tmpfs", 0, "");
	write_file(u.at("dir/deep/point/inside"), "inside");
	Fd deep = open_file(u.at("dir/deep"), O_RDONLY | O_DIRECTORY);
	std::vector<pid_t> users;
	for (int number = 0; number < 3; number++)
		users.push_back(spawn([&, number] {
			for (int i = 0; i < 60; i++) {
				string common = u.at("dir/deep/") + std::to_string(i);
				string own = u.at("dir/deep/own") + std::to_string(number);
				OK(chmod(common.c_str(), 0600 + number));
				write_file(own, "own");
				OK(rename(own.c_str(), (own + ".moved").c_str()));
				OK(mkdir(own.c_str(), 0755));
				OK(rename(own.c_str(), (own + ".dir").c_str()));
				write_file(own + ".dir/file", "own");
				OK(unlink((own + ".dir/file").c_str()));
				OK(rmdir((own + ".dir").c_str()));
				OK(link((own + ".moved").c_str(), own.c_str()));
				OK(unlink((own + ".moved").c_str()));
				EXPECT_EQ(u.found("dir/deep/point/inside"), "inside");
				EXPECT_GE(names_at(deep).size(), 60u);
			}
			return 0;
		}));
	for (pid_t user : users)
		EXPECT_EQ(wait_for(user), 0);
	mounted.unmount();
	expect_no_debris(u.top);
}

/* The same for renames to another directory, while other tasks look up both names. */
PARAM_CASE(renames_beside_lookups, "reval", "notify")
{
	Watched u;
	for (const char *dir : {"/one", "/two", "/one/moves", "/one/moves/point"})
		make_dir(u.top + dir);
	u.start();
	Mounted mounted("mounted", u.at("one/moves/point"), "tmpfs", 0, "");
	write_file(u.at("one/moves/point/inside"), "inside");
	Fd inside = open_file(u.at("one/moves"), O_RDONLY | O_DIRECTORY);
	std::vector<pid_t> users;
	for (const char *name : {"one/moves", "two/moves", "one/moves/point/inside"})
		users.push_back(spawn([&, name] {
			become(nobody);
			for (;;)
				(void)!access(u.at(name).c_str(), F_OK);
			return 0;
		}));
	for (int i = 0; i < 150; i++) {
		OK(rename(u.at(i % 2 ? "two/moves" : "one/moves").c_str(),
			  u.at(i % 2 ? "one/moves" : "two/moves").c_str()));
		/* With notify, these are changes to be told of. */
		write_file(u.top + "/one/" + std::to_string(i), "");
		write_file(u.top + "/two/" + std::to_string(i), "");
	}
	for (pid_t user : users) {
		kill(user, SIGKILL);
		wait_for(user);
	}
	EXPECT_EQ(u.found("one/moves/point/inside"), "inside");
	EXPECT_EQ(link_target("/proc/self/fd/" + std::to_string(inside)), u.at("one/moves"));
	mounted.unmount();
}

/* Names of a branch are exchanged all the time, in one directory and between two: each of them is always there. */
PARAM_CASE(exchanged_all_the_time, "reval", "notify")
{
	Watched u;
	write_file(u.low + "/dir/other", "other");
	u.start();
	pid_t exchanger = spawn([&] {
		for (bool far = false;; far = !far) {
			string with = u.low + (far ? "/alone/file" : "/dir/other");
			OK(renameat2(AT_FDCWD, (u.low + "/dir/file").c_str(), AT_FDCWD,
				     with.c_str(), RENAME_EXCHANGE));
		}
		return 0;
	});
	for (int i = 0; i < 1000; i++) {
		for (const char *name : {"dir/file", "dir/other", "alone/file"})
			EXPECT(access(u.at(name).c_str(), F_OK) == 0 || errno != ENOENT);
	}
	kill(exchanger, SIGKILL);
	wait_for(exchanger);
}

/* A copy was removed directly. The name leads to the lower file then, although the copy is open. */
PARAM_CASE(copies_that_go, "reval", "notify")
{
	Watched u;
	make_dir(u.top + "/dir");
	u.start();
	Fd copy = open_file(u.at("dir/file"), O_RDWR);
	OK(pwrite(copy, "new", 3, 0));
	EXPECT_EQ(u.found("dir/file"), "new");
	OK(unlink((u.top + "/dir/file").c_str()));
	EXPECT_EQ(u.found("dir/file"), "low");
	write_file(u.at("dir/file"), "again");
	EXPECT_EQ(u.found("dir/file"), "again");
	EXPECT_EQ(pread_text(copy, 3, 0), "new");
}

/* udba is set and reset by remounts. A remount looks at all that is cached, also with the same udba. */
PARAM_CASE(by_a_remount, "reval", "notify", "none")
{
	Watched u;
	string option = "udba=" + ktap::param();
	u.mount("br=" + u.top + "=rw:" + u.second + "=rw:" + u.low + "=ro");
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(u.found("dir/new"), "ENOENT");
	EXPECT_EQ(u.found("dir/file"), "low");
	write_file(u.low + "/dir/new", "new");
	make_dir(u.top + "/dir");
	write_file(u.top + "/dir/file", "top");
	EXPECT_EQ(remount(u, option), 0);
	EXPECT_EQ(u.found("dir/new"), "new");
	EXPECT_EQ(u.found("dir/file"), "top");
	EXPECT_EQ(names_at(dir), (Names{"deep", "file", "new"}));
	bool shown = ("," + shown_options(u.mnt) + ",").find("," + option + ",") != string::npos;
	EXPECT_EQ(shown, ktap::param() != "none");
	/* Names in use all the time are looked at as well. */
	OK(unlink((u.top + "/dir/file").c_str()));
	if (ktap::param() != "none")
		EXPECT_EQ(u.found("dir/file"), "low");
	EXPECT_EQ(remount(u, "udba=none"), 0);
	EXPECT_EQ(u.found("dir/file"), "low");
	write_file(u.top + "/dir/file", "top");
	EXPECT_EQ(remount(u, option), 0);
	EXPECT_EQ(u.found("dir/file"), "top");
	/* The list of branches is the same. */
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.second + "=rw:" + u.low + "=ro");
}

/* An object that somebody has just made directly is seen: making another by its name is EEXIST, whatever it is. */
PARAM_CASE(made_meanwhile, "reval", "notify")
{
	Watched u;
	u.start();
	for (const char *how : {"mkdir", "mknod", "symlink", "link", "open"}) {
		string name = string("dir/") + how, path = u.at(name);
		EXPECT(!exists(path));
		make_dir(u.second + "/" + name);
		int made = -1;
		switch (how[1]) {
		case 'k':
			made = how[2] == 'd' ? mkdir(path.c_str(), 0755) :
					       mknod(path.c_str(), S_IFREG | 0644, 0);
			break;
		case 'y':
			made = symlink("x", path.c_str());
			break;
		case 'i':
			made = link(u.at("dir/file").c_str(), path.c_str());
			break;
		default:
			made = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
		}
		EXPECT_EQ(made, -1);
		EXPECT_EQ(ktap::errno_name(errno), "EEXIST");
	}
}

/* A directory was removed, and its whiteout directly: the directory that users find is not that of the old cwd. */
PARAM_CASE(removed_and_back, "reval", "notify")
{
	Watched u;
	u.start();
	OK(unlink(u.at("alone/file").c_str()));
	OK(chdir(u.at("alone").c_str()));
	OK(rmdir(u.at("alone").c_str()));
	EXPECT(!exists(u.at("alone")));
	string branch = exists(u.top + "/.wh.alone") ? u.top : u.second;
	OK(unlink((branch + "/.wh.alone").c_str()));
	EXPECT_EQ(u.found("alone/file"), "alone");
	write_file(u.at("alone/new"), "new");
	EXPECT_EQ(u.found("alone/new"), "new");
	EXPECT_ERR(open("another", O_CREAT | O_WRONLY, 0644), ENOENT);
	OK(chdir("/"));
}

/* Files that were in use before the remount are looked at too. */
PARAM_CASE(in_use_before_a_remount, "reval", "notify")
{
	Watched u;
	u.mount("br=" + u.top + "=rw:" + u.second + "=rw:" + u.low + "=ro");
	Fd file = open_file(u.at("alone/file"), O_RDONLY);
	EXPECT_EQ(remount(u, "udba=" + ktap::param()), 0);
	write_file(u.low + "/alone/new", "other");
	OK(rename((u.low + "/alone/new").c_str(), (u.low + "/alone/file").c_str()));
	EXPECT_EQ(u.found("alone/file"), "other");
	EXPECT_EQ(pread_text(file, 5, 0), "alone");
}

/* A branch that comes is looked at. A branch that goes is free at once. */
PARAM_CASE(with_other_branches, "reval", "notify")
{
	Watched u;
	string more = u.tmp + "/more";
	make_dir(more);
	Mounted mounted("more", more, "tmpfs", 0, "");
	make_dir(more + "/dir");
	u.start();
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(u.found("dir/new"), "ENOENT");
	EXPECT_EQ(remount(u, "append:" + more), 0);
	EXPECT_EQ(u.found("dir/new"), "ENOENT");
	write_file(more + "/dir/new", "more");
	EXPECT_EQ(u.found("dir/new"), "more");
	EXPECT_EQ(remount(u, "del:" + more), 0);
	EXPECT_EQ(u.found("dir/new"), "ENOENT");
	mounted.unmount();
}
