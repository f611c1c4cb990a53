// SPDX-License-Identifier: GPL-2.0-only
//
// Renames within the first rw branch.
//
// Combinations: tmpfs ext4+xfs

#include "fixture.hh"

#include <linux/fs.h>
#include <sys/ioctl.h>

using Names = std::vector<string>;

static int rename_with(const string &from, const string &to, unsigned flags)
{
	return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
}

CASE(file)
{
	Union u;
	make_dir(u.top + "/dir");
	u.mount();
	write_file(u.at("a"), "a");
	OK(rename(u.at("a").c_str(), u.at("dir/b").c_str()));
	EXPECT(!exists(u.at("a")));
	EXPECT_EQ(read_file(u.at("dir/b")), "a");
	EXPECT_EQ(read_file(u.top + "/dir/b"), "a");
	EXPECT_EQ(names_in(u.top), (Names{"dir"}));
}

CASE(over_a_file)
{
	Union u;
	u.mount();
	write_file(u.at("a"), "a");
	write_file(u.at("b"), "b");
	Fd replaced = open_file(u.at("b"), O_RDONLY);
	OK(rename(u.at("a").c_str(), u.at("b").c_str()));
	EXPECT_EQ(read_file(u.at("b")), "a");
	EXPECT_EQ(pread_text(replaced, 1, 0), "b");
	EXPECT_EQ(fstat_of(replaced).st_nlink, 0u);
	EXPECT_EQ(names_in(u.mnt), (Names{"b"}));
}

CASE(onto_itself_and_its_own_link)
{
	Union u;
	u.mount();
	write_file(u.at("a"), "a");
	OK(rename(u.at("a").c_str(), u.at("a").c_str()));
	OK(link(u.at("a").c_str(), u.at("b").c_str()));
	OK(rename(u.at("a").c_str(), u.at("b").c_str()));
	EXPECT_EQ(names_in(u.mnt), (Names{"a", "b"}));
	EXPECT_EQ(read_file(u.at("b")), "a");
}

CASE(directory)
{
	Union u;
	u.mount();
	make_dir(u.at("d"));
	write_file(u.at("d/file"), "x");
	make_dir(u.at("target"));
	Fd inside = open_file(u.at("d"), O_RDONLY | O_DIRECTORY);
	OK(rename(u.at("d").c_str(), u.at("e").c_str()));
	EXPECT_EQ(read_file(u.at("e/file")), "x");
	OK(rename(u.at("e").c_str(), u.at("target").c_str()));
	EXPECT_EQ(read_file(u.top + "/target/file"), "x");
	write_file(u.at("target/more"), "y");
	Fd file(OK(openat(inside, "more", O_RDONLY | O_CLOEXEC)));
	EXPECT_EQ(pread_text(file, 1, 0), "y");
	make_dir(u.at("other"));
	EXPECT_ERR(rename(u.at("other").c_str(), u.at("target").c_str()), ENOTEMPTY);
	EXPECT_ERR(rename(u.at("target").c_str(), u.at("target/inside").c_str()), EINVAL);
	write_file(u.at("plain"), "");
	EXPECT_ERR(rename(u.at("target").c_str(), u.at("plain").c_str()), ENOTDIR);
	EXPECT_ERR(rename(u.at("plain").c_str(), u.at("target").c_str()), EISDIR);
}

CASE(noreplace)
{
	Union u;
	write_file(u.low + "/low", "low");
	u.mount();
	write_file(u.at("a"), "a");
	write_file(u.at("b"), "b");
	EXPECT_ERR(rename_with(u.at("a"), u.at("b"), RENAME_NOREPLACE), EEXIST);
	EXPECT_ERR(rename_with(u.at("a"), u.at("low"), RENAME_NOREPLACE), EEXIST);
	EXPECT_OK(rename_with(u.at("a"), u.at("c"), RENAME_NOREPLACE));
	EXPECT_EQ(read_file(u.at("b")), "b");
	EXPECT_EQ(read_file(u.at("c")), "a");
	EXPECT_EQ(read_file(u.at("low")), "low");
}

CASE(exchange)
{
	Union u;
	u.mount();
	write_file(u.at("a"), "a");
	make_dir(u.at("d"));
	write_file(u.at("d/b"), "b");
	OK(rename_with(u.at("a"), u.at("d/b"), RENAME_EXCHANGE));
	EXPECT_EQ(read_file(u.at("a")), "b");
	EXPECT_EQ(read_file(u.at("d/b")), "a");
	EXPECT_EQ(read_file(u.top + "/a"), "b");
	/* A file and a directory. */
	write_file(u.at("f"), "f");
	OK(rename_with(u.at("f"), u.at("d"), RENAME_EXCHANGE));
	EXPECT_EQ(read_file(u.at("d")), "f");
	EXPECT_EQ(read_file(u.at("f/b")), "a");
	EXPECT_ERR(rename_with(u.at("f"), u.at("missing"), RENAME_EXCHANGE), ENOENT);
}

CASE(wrong_flags)
{
	Union u;
	u.mount();
	write_file(u.at("a"), "a");
	EXPECT_ERR(rename_with(u.at("a"), u.at("b"), RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
	/* overlayfs uses this flag itself. Users of a union do not need it. */
	EXPECT_ERR(rename_with(u.at("a"), u.at("b"), RENAME_WHITEOUT), EINVAL);
	EXPECT_EQ(names_in(u.top), (Names{"a"}));
}

/* The whiteout of the new name goes, whatever it hid. */
CASE(over_a_name_that_is_whited_out)
{
	Union u;
	write_file(u.top + "/.wh.b", "");
	write_file(u.low + "/b", "low");
	write_file(u.top + "/a", "a");
	u.mount();
	OK(rename(u.at("a").c_str(), u.at("b").c_str()));
	EXPECT_EQ(read_file(u.at("b")), "a");
	EXPECT_EQ(names_in(u.top), (Names{"b"}));
	EXPECT_EQ(names_in(u.mnt), (Names{"b"}));
}

/* A rw file that covers a lower file is replaced: the new file covers it too. */
CASE(onto_a_file_that_covers_a_lower_one)
{
	Union u;
	write_file(u.top + "/a", "a");
	write_file(u.top + "/b", "b");
	write_file(u.low + "/b", "low");
	u.mount();
	EXPECT_OK(rename(u.at("a").c_str(), u.at("b").c_str()));
	EXPECT_EQ(read_file(u.at("b")), "a");
	EXPECT_EQ(names_in(u.mnt), (Names{"b"}));
	EXPECT_EQ(names_in(u.top), (Names{"b"}));
}

/* Two files change places, and one covers a lower file: the name stays covered. */
CASE(exchange_with_a_file_that_covers_a_lower_one)
{
	Union u;
	write_file(u.top + "/a", "a");
	write_file(u.top + "/b", "b");
	write_file(u.low + "/b", "low");
	u.mount();
	EXPECT_OK(rename_with(u.at("a"), u.at("b"), RENAME_EXCHANGE));
	EXPECT_EQ(read_file(u.at("a")), "b");
	EXPECT_EQ(read_file(u.at("b")), "a");
	EXPECT_EQ(names_in(u.mnt), (Names{"a", "b"}));
}

/* A directory changes places with a file that covers a lower directory: it does not merge with that. */
PARAM_CASE(exchange_with_a_file_that_covers_a_lower_directory, "the_directory", "the_file")
{
	Union u;
	make_dir(u.top + "/dir");
	write_file(u.top + "/cover", "top");
	make_dir(u.low + "/cover");
	write_file(u.low + "/cover/hidden", "low");
	u.mount();
	string from = u.at("dir"), to = u.at("cover");
	if (ktap::param() == "the_file")
		std::swap(from, to);
	EXPECT_OK(rename_with(from, to, RENAME_EXCHANGE));
	EXPECT_EQ(read_file(u.at("dir")), "top");
	EXPECT_EQ(names_in(u.at("cover")), Names{});
	u.unmount();
	u.mount();
	EXPECT_EQ(read_file(u.at("dir")), "top");
	EXPECT_EQ(names_in(u.at("cover")), Names{});
}

/* A file that is only on the lower branch is replaced: the new file covers it. */
CASE(onto_a_lower_file)
{
	Union u;
	write_file(u.top + "/a", "a");
	write_file(u.low + "/b", "low");
	u.mount();
	EXPECT_OK(rename(u.at("a").c_str(), u.at("b").c_str()));
	EXPECT_EQ(read_file(u.at("b")), "a");
	EXPECT_EQ(read_file(u.low + "/b"), "low");
	EXPECT_EQ(names_in(u.mnt), (Names{"b"}));
}

/* The paths of open files and of a cwd follow. */
CASE(names_of_open_files_follow)
{
	Union u;
	u.mount();
	make_dir(u.at("d"));
	Fd file = open_file(u.at("d/file"), O_RDWR | O_CREAT);
	OK(chdir(u.at("d").c_str()));
	OK(rename(u.at("d/file").c_str(), u.at("d/renamed").c_str()));
	OK(rename(u.at("d").c_str(), u.at("e").c_str()));
	EXPECT_EQ(link_target(ktap::format("/proc/self/fd/%d", int(file))), u.at("e/renamed"));
	EXPECT_EQ(link_target("/proc/self/cwd"), u.at("e"));
	EXPECT_EQ(read_file("renamed"), "");
	OK(chdir("/"));
}

CASE(across_devices)
{
	Union u;
	u.mount();
	write_file(u.at("a"), "a");
	write_file(u.tmp + "/b", "b");
	EXPECT_ERR(rename(u.at("a").c_str(), (u.tmp + "/a").c_str()), EXDEV);
	EXPECT_ERR(rename((u.tmp + "/b").c_str(), u.at("b").c_str()), EXDEV);
	EXPECT_ERR(rename((u.top + "/a").c_str(), u.at("c").c_str()), EXDEV);
}

/* Many processes rename at once, and take the directories' locks in every order. */
CASE(in_parallel)
{
	Union u;
	u.mount();
	make_dir(u.at("x"));
	make_dir(u.at("y"));
	std::vector<pid_t> workers;
	for (int worker = 0; worker < 4; worker++)
		workers.push_back(spawn([&] {
			string a = u.at(ktap::format("x/%d", worker)),
			       b = u.at(ktap::format("y/%d", worker));
			if (worker % 2)
				std::swap(a, b);
			write_file(a, std::to_string(worker));
			for (int i = 0; i < 300; i++) {
				OK(rename(a.c_str(), b.c_str()));
				OK(rename(b.c_str(), a.c_str()));
			}
			EXPECT_EQ(read_file(a), std::to_string(worker));
		}));
	for (pid_t worker : workers)
		EXPECT_EQ(wait_for(worker), 0);
	EXPECT_EQ(names_in(u.at("x")).size() + names_in(u.at("y")).size(), 4u);
}

/* An exchange whose other side cannot move is refused before the file is copied up. */
PARAM_CASE(exchange_that_cannot_be, "lower directory", "merged directory", "alone")
{
	Union u;
	const string &how = ktap::param();
	bool alone = how == "alone";
	write_file(u.low + "/file", "file");
	make_dir(u.low + "/dir");
	if (how == "merged directory")
		make_dir(u.top + "/dir");
	u.mount();
	string before = snapshot(u.top), before_low = snapshot(u.low);
	if (alone) {
		EXPECT_ERR(rename_with(u.at("dir"), u.at("other"), 0), EXDEV);
	} else {
		EXPECT_ERR(rename_with(u.at("file"), u.at("dir"), RENAME_EXCHANGE), EXDEV);
		EXPECT_ERR(rename_with(u.at("dir"), u.at("file"), RENAME_EXCHANGE), EXDEV);
	}
	EXPECT_EQ(snapshot(u.top), before);
	EXPECT_EQ(snapshot(u.low), before_low);
}

/* A directory seems empty because its parts hide each other's names: it cannot be replaced. */
CASE(replaced_in_parts)
{
	Union u;
	string second = u.tmp + "/second", third = u.tmp + "/third";
	for (const string &dir : {u.top + "/to", second + "/to", third + "/from"})
		make_dirs(dir);
	write_file(second + "/to/f", "hidden");
	write_file(u.top + "/to/.wh.f", "");
	write_file(third + "/from/file", "file");
	u.mount("br=" + u.top + "=rw:" + second + "=rw:" + third + "=rw");
	EXPECT_EQ(names_in(u.at("to")).size(), 0u);
	EXPECT_ERR(rename_with(u.at("from"), u.at("to"), 0), EXDEV);
	EXPECT_EQ(names_in(u.at("to")).size(), 0u);
	EXPECT(exists(u.top + "/to/.wh.f"));
	EXPECT_EQ(read_file(second + "/to/f"), "hidden");
	EXPECT_EQ(read_file(u.at("from/file")), "file");
	write_file(u.at("to/new"), "new");
	EXPECT_EQ(read_file(u.at("to/new")), "new");
	for (const string &branch : {u.top, second, third})
		expect_no_debris(branch);
}

/* An object of a lower rw branch takes a name that an upper branch hides: all of it happens, or nothing. */
PARAM_CASE(replaced_above, "file", "directory", "whiteout", "whiteout_of_directory",
	   "hidden_directory")
{
	Union u;
	string p = ktap::param(), second = u.tmp + "/second";
	bool directory = p.find("directory") != string::npos;
	make_dir(second);
	if (directory)
		make_dirs(second + "/from/deep");
	else
		write_file(second + "/from", "from");
	if (p == "file")
		write_file(u.top + "/to", "old");
	else if (p == "directory")
		make_dir(u.top + "/to");
	else
		write_file(u.top + "/.wh.to", "");
	if (p == "hidden_directory")
		make_dir(second + "/to");
	if (p == "whiteout")
		write_file(second + "/to", "hidden");
	if (p != "directory")
		make_dirs(u.low + "/to/below");
	u.mount("br=" + u.top + "=rw:" + second + "=rw:" + u.low + "=ro");
	OK(rename(u.at("from").c_str(), u.at("to").c_str()));
	for (bool again : {false, true}) {
		EXPECT(!exists(u.at("from")));
		if (directory)
			EXPECT_EQ(names_in(u.at("to")), std::vector<string>{"deep"});
		else
			EXPECT_EQ(read_file(u.at("to")), "from");
		if (!again) {
			u.unmount();
			u.mount("br=" + u.top + "=rw:" + second + "=rw:" + u.low + "=ro");
		}
	}
	u.unmount();
	expect_no_debris(u.top);
	expect_no_debris(second);
}

static bool set_immutable(const string &path, bool immutable)
{
	Fd fd = open_file(path, O_RDONLY);
	int flags = immutable ? FS_IMMUTABLE_FL : 0;
	return !ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* An upper whiteout cannot be removed: the whiteouts that were removed before are back. */
CASE(kept_above)
{
	Union u;
	string second = u.tmp + "/second", third = u.tmp + "/third";
	for (const string &branch : {u.top, second, third, u.low})
		make_dirs(branch + "/d");
	write_file(third + "/d/from", "from");
	write_file(u.low + "/d/to", "hidden");
	for (const string &branch : {u.top, second})
		write_file(branch + "/d/.wh.to", "");
	u.mount("br=" + u.top + "=rw:" + second + "=rw:" + third + "=rw:" + u.low + "=ro");
	EXPECT_EQ(names_in(u.at("d")), std::vector<string>{"from"});
	if (!set_immutable(u.top + "/d", true))
		SKIP("no flags on this filesystem");
	EXPECT_ERR(rename(u.at("d/from").c_str(), u.at("d/to").c_str()), EPERM);
	ASSERT(set_immutable(u.top + "/d", false));
	EXPECT(exists(second + "/d/.wh.to"));
	EXPECT(!exists(third + "/d/to"));
	EXPECT_EQ(names_in(u.at("d")), std::vector<string>{"from"});
	OK(rename(u.at("d/from").c_str(), u.at("d/to").c_str()));
	EXPECT_EQ(read_file(u.at("d/to")), "from");
}
