// SPDX-License-Identifier: GPL-2.0-only
//
// Objects of a branch that does not change are removed and replaced, by the original's on-disk format.
//
// Combinations: tmpfs ext4+xfs

#include "fixture.hh"

#include <dirent.h>

#include <memory>

using Names = std::vector<string>;

/* @path is a whiteout of the format. */
static void expect_whiteout(const string &path)
{
	struct stat is = lstat_of(path);
	EXPECT(S_ISREG(is.st_mode));
	EXPECT_EQ(is.st_mode & 07777, 0444u);
	EXPECT_EQ(is.st_size, 0);
}

CASE(unlink_of_a_lower_file)
{
	Union u;
	write_file(u.low + "/a", "a");
	write_file(u.low + "/b", "b");
	u.mount();
	EXPECT_OK(unlink(u.at("a").c_str()));
	EXPECT(!exists(u.at("a")));
	EXPECT_EQ(names_in(u.mnt), (Names{"b"}));
	EXPECT_EQ(read_file(u.low + "/a"), "a");
	expect_whiteout(u.top + "/.wh.a");
	EXPECT_OK(unlink(u.at("b").c_str()));
	/* Both are names of one file. */
	EXPECT_EQ(stat_of(u.top + "/.wh.a").st_ino, stat_of(u.top + "/.wh..wh.aufs").st_ino);
	EXPECT_EQ(stat_of(u.top + "/.wh.b").st_ino, stat_of(u.top + "/.wh..wh.aufs").st_ino);
	u.unmount();
	u.mount();
	EXPECT_EQ(names_in(u.mnt), Names{});
	EXPECT_ERR(unlink(u.at("a").c_str()), ENOENT);
}

CASE(unlink_of_what_is_on_both)
{
	Union u;
	write_file(u.low + "/a", "low");
	write_file(u.top + "/a", "top");
	u.mount();
	EXPECT_OK(unlink(u.at("a").c_str()));
	EXPECT(!exists(u.at("a")));
	EXPECT(!exists(u.top + "/a"));
	expect_whiteout(u.top + "/.wh.a");
	write_file(u.at("a"), "new");
	EXPECT_EQ(read_file(u.top + "/a"), "new");
	EXPECT(!exists(u.top + "/.wh.a"));
	EXPECT_EQ(read_file(u.low + "/a"), "low");
}

PARAM_CASE(rmdir_of, "lower", "merged", "emptied")
{
	Union u;
	string p = ktap::param();
	make_dir(u.low + "/dir");
	if (p == "merged")
		make_dir(u.top + "/dir");
	if (p == "emptied")
		write_file(u.low + "/dir/file", "x");
	u.mount();
	if (p == "emptied") {
		EXPECT_ERR(rmdir(u.at("dir").c_str()), ENOTEMPTY);
		EXPECT_OK(unlink(u.at("dir/file").c_str()));
	}
	{
		Fd open_dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
		EXPECT_OK(rmdir(u.at("dir").c_str()));
		EXPECT_EQ(names_in(u.mnt), Names{});
		EXPECT_EQ(fstat_of(open_dir).st_nlink, 0u);
	}
	EXPECT(!exists(u.top + "/dir"));
	expect_whiteout(u.top + "/.wh.dir");
	/* A new directory by that name does not merge. */
	make_dir(u.at("dir"));
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	expect_whiteout(u.top + "/dir/.wh..wh..opq");
	EXPECT(!exists(u.top + "/.wh.dir"));
	u.unmount();
	u.mount();
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	expect_no_debris(u.top);
}

/* A task that is killed in rmdir has removed the directory, with all whiteouts, or not. */
CASE(rmdir_by_who_is_killed)
{
	constexpr int count = 40;
	Union u;
	for (int i = 0; i < count; i++) {
		string dir = "/dir" + std::to_string(i);
		make_dir(u.low + dir);
		make_dir(u.top + dir);
		for (int file = 0; file < 30; file++) {
			string name = std::to_string(file);
			write_file(u.low + dir + "/" + name, "");
			write_file(u.top + dir + "/.wh." + name, "", 0444);
		}
	}
	KernelLog log;
	u.mount();
	int removed = 0;
	for (int i = 0; i < count; i++) {
		string dir = u.at("dir" + std::to_string(i));
		pid_t pid = spawn([&] { OK(rmdir(dir.c_str())); });
		/* At moments from before the rmdir to after it. */
		usleep(i * 300);
		kill(pid, SIGKILL);
		wait_for(pid);
		if (!exists(dir))
			removed++;
		else
			EXPECT_EQ(names_in(dir), Names{});
		expect_no_debris(u.top);
	}
	EXPECT_GT(removed, 0);
	EXPECT_HAS_NOT(log.read(), "aufs: branch");
}

CASE(rename_leaves_a_whiteout)
{
	Union u;
	write_file(u.low + "/a", "a");
	write_file(u.low + "/b", "b");
	u.mount();
	ino_t number = stat_of(u.at("a")).st_ino;
	EXPECT_OK(rename(u.at("a").c_str(), u.at("b").c_str()));
	EXPECT_EQ(names_in(u.mnt), (Names{"b"}));
	EXPECT_EQ(read_file(u.at("b")), "a");
	EXPECT_EQ(stat_of(u.at("b")).st_ino, number);
	expect_whiteout(u.top + "/.wh.a");
	EXPECT_EQ(read_file(u.low + "/b"), "b");
	u.unmount();
	u.mount();
	EXPECT_EQ(names_in(u.mnt), (Names{"b"}));
	EXPECT_EQ(stat_of(u.at("b")).st_ino, number);
}

CASE(rename_of_a_lower_directory)
{
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "x");
	u.mount();
	EXPECT_ERR(rename(u.at("dir").c_str(), u.at("moved").c_str()), EXDEV);
	EXPECT_EQ(names_in(u.top), Names{});
	EXPECT_EQ(run({"/bin/mv", u.at("dir"), u.at("moved")}).status, 0);
	EXPECT_EQ(names_in(u.mnt), (Names{"moved"}));
	EXPECT_EQ(read_file(u.at("moved/file")), "x");
	/* Now the directory is on the rw branch alone. */
	EXPECT_OK(rename(u.at("moved").c_str(), u.at("dir").c_str()));
	EXPECT_EQ(names_in(u.at("dir")), (Names{"file"}));
}

CASE(directory_over_an_empty_lower_one)
{
	Union u;
	make_dir(u.low + "/target");
	write_file(u.low + "/target/gone", "x");
	u.mount();
	EXPECT_OK(unlink(u.at("target/gone").c_str()));
	make_dir(u.at("dir"));
	write_file(u.at("dir/file"), "new");
	EXPECT_OK(rename(u.at("dir").c_str(), u.at("target").c_str()));
	EXPECT_EQ(names_in(u.mnt), (Names{"target"}));
	EXPECT_EQ(names_in(u.at("target")), (Names{"file"}));
	u.unmount();
	u.mount();
	EXPECT_EQ(names_in(u.at("target")), (Names{"file"}));
}

/* A directory that becomes opaque keeps its times. */
CASE(times_of_a_directory_that_moves)
{
	Union u;
	make_dir(u.low + "/gone");
	write_file(u.top + "/.wh.gone", "");
	make_dir(u.top + "/mine");
	u.mount();
	timespec times[2] = {{1000000000, 5000}, {1000000001, 6000}};
	OK(utimensat(AT_FDCWD, u.at("mine").c_str(), times, 0));
	OK(rename(u.at("mine").c_str(), u.at("gone").c_str()));
	EXPECT(exists(u.top + "/gone/.wh..wh..opq"));
	EXPECT_EQ(stat_of(u.at("gone")).st_mtim.tv_sec, 1000000001);
	EXPECT_EQ(stat_of(u.at("gone")).st_mtim.tv_nsec, 6000);
}

CASE(directory_over_a_whiteout)
{
	Union u;
	make_dir(u.top + "/mine");
	write_file(u.top + "/.wh.gone", "");
	make_dir(u.low + "/gone");
	write_file(u.low + "/gone/hidden", "low");
	u.mount();
	EXPECT_OK(rename(u.at("mine").c_str(), u.at("gone").c_str()));
	EXPECT_EQ(names_in(u.at("gone")), Names{});
	u.unmount();
	u.mount();
	EXPECT_EQ(names_in(u.at("gone")), Names{});
}

CASE(exchange_of_lower_files)
{
	Union u;
	write_file(u.low + "/a", "a");
	write_file(u.low + "/b", "b");
	u.mount();
	EXPECT_OK(renameat2(AT_FDCWD, u.at("a").c_str(), AT_FDCWD, u.at("b").c_str(),
			    RENAME_EXCHANGE));
	EXPECT_EQ(read_file(u.at("a")), "b");
	EXPECT_EQ(read_file(u.at("b")), "a");
	EXPECT_ERR(renameat2(AT_FDCWD, u.at("a").c_str(), AT_FDCWD, u.at("b").c_str(),
			     RENAME_NOREPLACE),
		   EEXIST);
}

/* The names of a lower file stay one file. */
CASE(hard_links)
{
	Union u;
	write_file(u.low + "/a", "old");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	OK(link((u.low + "/a").c_str(), (u.low + "/c").c_str()));
	u.mount();
	ino_t number = stat_of(u.at("a")).st_ino;
	write_file(u.at("a"), "new");
	for (int remounted = 0; remounted < 2; remounted++) {
		for (const char *name : {"a", "b", "c"}) {
			EXPECT_EQ(read_file(u.at(name)), "new");
			EXPECT_EQ(stat_of(u.at(name)).st_ino, number);
			EXPECT_EQ(stat_of(u.at(name)).st_nlink, 3u);
		}
		EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk").size(), 1u);
		u.unmount();
		u.mount();
	}
	EXPECT_OK(unlink(u.at("a").c_str()));
	EXPECT_EQ(read_file(u.at("b")), "new");
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, 2u);
	EXPECT_OK(rename(u.at("b").c_str(), u.at("d").c_str()));
	EXPECT_EQ(names_in(u.mnt), (Names{"c", "d"}));
	EXPECT_EQ(stat_of(u.at("c")).st_ino, number);
	EXPECT_OK(unlink(u.at("c").c_str()));
	EXPECT_EQ(stat_of(u.at("d")).st_nlink, 1u);
	/* The pseudo-link has gone with the last name that needed it. */
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk"), Names{});
	EXPECT_EQ(read_file(u.at("d")), "new");
}

/* readdir and stat agree about the number of a copy. */
CASE(numbers_in_readdir)
{
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/a", "a");
	u.mount();
	make_dir(u.at("new"));
	OK(rename(u.at("dir/a").c_str(), u.at("new/a").c_str()));
	for (int remounted = 0; remounted < 2; remounted++) {
		ino_t number = stat_of(u.at("new/a")).st_ino;
		std::unique_ptr<DIR, int (*)(DIR *)> dir(opendir(u.at("new").c_str()), closedir);
		while (dirent *entry = readdir(dir.get())) {
			if (string(entry->d_name) == "a")
				EXPECT_EQ(entry->d_ino, number);
		}
		dir.reset();
		u.unmount();
		u.mount();
	}
}

PARAM_CASE(reserved_names, "open", "mkdir", "rename", "link", "symlink")
{
	Union u;
	write_file(u.top + "/file", "x");
	u.mount();
	string p = ktap::param(), name = u.at(".wh.file"), file = u.at("file");
	EXPECT_ERR(open(name.c_str(), O_RDONLY), ENOENT);
	if (p == "open")
		EXPECT_ERR(open(name.c_str(), O_RDWR | O_CREAT, 0644), EPERM);
	else if (p == "mkdir")
		EXPECT_ERR(mkdir(name.c_str(), 0755), EPERM);
	else if (p == "rename")
		EXPECT_ERR(rename(file.c_str(), name.c_str()), EPERM);
	else if (p == "link")
		EXPECT_ERR(link(file.c_str(), name.c_str()), EPERM);
	else
		EXPECT_ERR(symlink("x", name.c_str()), EPERM);
}

/* A directory by the name of a whiteout makes that name EIO, and nothing else. */
CASE(corrupt_whiteout)
{
	Union u;
	write_file(u.low + "/a", "a");
	u.mount();
	make_dir(u.top + "/.wh.a");
	EXPECT_ERR(unlink(u.at("a").c_str()), EIO);
	OK(rmdir((u.top + "/.wh.a").c_str()));
	EXPECT_OK(unlink(u.at("a").c_str()));
}
