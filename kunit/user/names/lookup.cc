// SPDX-License-Identifier: GPL-2.0-only
//
// On which branch a name is found, and which names whiteouts and opaque directories hide.

#include "fixture.hh"

using Names = std::vector<string>;

CASE(first_branch_wins)
{
	Union u;
	write_file(u.top + "/a", "top");
	write_file(u.low + "/a", "low");
	write_file(u.low2 + "/a", "low2");
	write_file(u.low + "/b", "low");
	write_file(u.low2 + "/b", "low2");
	write_file(u.low2 + "/c", "low2");
	u.mount(u.options() + ":" + u.low2 + "=ro");
	EXPECT_EQ(read_file(u.at("a")), "top");
	EXPECT_EQ(read_file(u.at("b")), "low");
	EXPECT_EQ(read_file(u.at("c")), "low2");
	EXPECT_EQ(names_in(u.mnt), (Names{"a", "b", "c"}));
	EXPECT_ERR(open(u.at("d").c_str(), O_RDONLY), ENOENT);
	EXPECT_ERR(open(u.at("a/x").c_str(), O_RDONLY), ENOTDIR);
}

CASE(file_over_directory)
{
	Union u;
	write_file(u.top + "/name", "file");
	make_dir(u.low + "/name");
	write_file(u.low + "/name/inside", "low");
	u.mount();
	EXPECT_EQ(read_file(u.at("name")), "file");
	EXPECT(S_ISREG(lstat_of(u.at("name")).st_mode));
	EXPECT_ERR(open(u.at("name/inside").c_str(), O_RDONLY), ENOTDIR);
	EXPECT_EQ(names_in(u.mnt), (Names{"name"}));
}

CASE(directory_over_file)
{
	Union u;
	make_dir(u.top + "/name");
	write_file(u.top + "/name/inside", "top");
	write_file(u.low + "/name", "file");
	u.mount();
	EXPECT(S_ISDIR(lstat_of(u.at("name")).st_mode));
	EXPECT_EQ(names_in(u.at("name")), (Names{"inside"}));
	EXPECT_EQ(read_file(u.at("name/inside")), "top");
}

/* A file between two directories ends the merge: what is below it belongs to something else. */
CASE(file_between_directories)
{
	Union u;
	make_dir(u.top + "/name");
	write_file(u.top + "/name/one", "top");
	write_file(u.low + "/name", "file");
	make_dir(u.low2 + "/name");
	write_file(u.low2 + "/name/two", "low2");
	u.mount(u.options() + ":" + u.low2);
	EXPECT_EQ(names_in(u.at("name")), (Names{"one"}));
	EXPECT(!exists(u.at("name/two")));
}

CASE(merged_directories)
{
	Union u;
	make_dirs(u.top + "/d/e");
	make_dirs(u.low + "/d/e");
	make_dirs(u.low2 + "/d/f");
	write_file(u.top + "/d/e/1", "top");
	write_file(u.low + "/d/e/1", "low");
	write_file(u.low + "/d/e/2", "low");
	write_file(u.low2 + "/d/f/3", "low2");
	u.mount(u.options() + ":" + u.low2);
	EXPECT_EQ(names_in(u.at("d")), (Names{"e", "f"}));
	EXPECT_EQ(names_in(u.at("d/e")), (Names{"1", "2"}));
	EXPECT_EQ(read_file(u.at("d/e/1")), "top");
	EXPECT_EQ(read_file(u.at("d/e/2")), "low");
	EXPECT_EQ(read_file(u.at("d/f/3")), "low2");
	EXPECT_EQ(read_file(u.at("d/../d/./f/3")), "low2");
}

CASE(whiteout_hides_a_lower_file)
{
	Union u;
	write_file(u.top + "/.wh.gone", "");
	write_file(u.low + "/gone", "low");
	write_file(u.low + "/here", "low");
	u.mount();
	EXPECT_ERR(open(u.at("gone").c_str(), O_RDONLY), ENOENT);
	EXPECT(!exists(u.at("gone")));
	EXPECT_EQ(names_in(u.mnt), (Names{"here"}));
}

CASE(whiteout_hides_a_lower_directory)
{
	Union u;
	make_dir(u.top + "/d");
	write_file(u.top + "/d/.wh.gone", "");
	make_dirs(u.low + "/d/gone");
	write_file(u.low + "/d/gone/inside", "low");
	u.mount();
	EXPECT(!exists(u.at("d/gone")));
	EXPECT(!exists(u.at("d/gone/inside")));
	EXPECT_EQ(names_in(u.at("d")), Names{});
}

/* A whiteout is a regular file. Any other object by such a name hides nothing, and the log complains. */
PARAM_CASE(whiteout_that_is_no_regular_file, "directory", "symlink", "fifo")
{
	Union u;
	string p = ktap::param(), odd = u.top + "/.wh.name";
	if (p == "directory")
		make_dir(odd);
	else if (p == "symlink")
		OK(symlink("x", odd.c_str()));
	else
		OK(mkfifo(odd.c_str(), 0644));
	write_file(u.low + "/name", "low");
	write_file(u.low + "/other", "low");
	u.mount();
	string before = snapshot(u.top);
	KernelLog log;
	EXPECT_ERR(open(u.at("name").c_str(), O_RDONLY), EIO);
	EXPECT_HAS(log.read(), "'.wh.name'");
	EXPECT_ERR(open(u.at("name").c_str(), O_WRONLY | O_CREAT, 0644), EIO);
	EXPECT_ERR(unlink(u.at("name").c_str()), EIO);
	EXPECT_EQ(read_file(u.at("other")), "low");
	EXPECT_EQ(snapshot(u.top), before);
}

/* A whiteout hides the name on the branches below its own. */
CASE(whiteout_in_the_middle)
{
	Union u;
	write_file(u.top + "/above", "top");
	write_file(u.low + "/.wh.above", "");
	write_file(u.low2 + "/above", "low2");
	write_file(u.low + "/.wh.below", "");
	write_file(u.low2 + "/below", "low2");
	make_dir(u.top + "/dir");
	write_file(u.top + "/dir/one", "top");
	write_file(u.low + "/.wh.dir", "");
	make_dir(u.low2 + "/dir");
	write_file(u.low2 + "/dir/two", "low2");
	u.mount(u.options() + ":" + u.low2);
	EXPECT_EQ(read_file(u.at("above")), "top");
	EXPECT(!exists(u.at("below")));
	EXPECT_EQ(names_in(u.at("dir")), (Names{"one"}));
	EXPECT_EQ(names_in(u.mnt), (Names{"above", "dir"}));
}

/* A whiteout hides the name in its own directory alone. */
CASE(whiteout_is_for_its_own_directory)
{
	Union u;
	make_dir(u.top + "/d");
	write_file(u.top + "/.wh.name", "");
	make_dir(u.low + "/d");
	write_file(u.low + "/d/name", "low");
	u.mount();
	EXPECT_EQ(read_file(u.at("d/name")), "low");
}

CASE(opaque_directory)
{
	Union u;
	make_dir(u.top + "/d");
	write_file(u.top + "/d/.wh..wh..opq", "");
	write_file(u.top + "/d/mine", "top");
	make_dirs(u.low + "/d/sub");
	write_file(u.low + "/d/hidden", "low");
	u.mount();
	EXPECT_EQ(names_in(u.at("d")), (Names{"mine"}));
	EXPECT(!exists(u.at("d/hidden")));
	EXPECT(!exists(u.at("d/sub")));
}

CASE(opaque_directory_in_the_middle)
{
	Union u;
	for (const string &branch : {u.top, u.low, u.low2})
		make_dirs(branch + "/d/sub");
	write_file(u.low + "/d/.wh..wh..opq", "");
	write_file(u.top + "/d/one", "");
	write_file(u.low + "/d/two", "");
	write_file(u.low2 + "/d/three", "");
	write_file(u.low2 + "/d/sub/deep", "");
	u.mount(u.options() + ":" + u.low2);
	EXPECT_EQ(names_in(u.at("d")), (Names{"one", "sub", "two"}));
	EXPECT(!exists(u.at("d/three")));
	/* Everything below an opaque directory is hidden with it. */
	EXPECT(!exists(u.at("d/sub/deep")));
	EXPECT_EQ(names_in(u.at("d/sub")), Names{});
}

/* The root of a branch may be opaque too. */
CASE(opaque_root)
{
	Union u;
	write_file(u.top + "/.wh..wh..opq", "");
	write_file(u.top + "/mine", "");
	write_file(u.low + "/hidden", "");
	u.mount();
	EXPECT_EQ(names_in(u.mnt), (Names{"mine"}));
	EXPECT(!exists(u.at("hidden")));
}

/* The names that aufs keeps for itself cannot be seen or looked up. */
PARAM_CASE(reserved_name_is_not_seen, ".wh.name", ".wh..wh..opq", ".wh..wh.aufs", ".wh..wh.plnk",
	   ".wh..wh.orph", ".wh.", ".wh..", ".wh.directory")
{
	Union u;
	string name = ktap::param();
	for (const string &branch : {u.top, u.low}) {
		if (name == ".wh.directory" || name == ".wh..wh.plnk" || name == ".wh..wh.orph") {
			make_dir(branch + "/" + name);
			write_file(branch + "/" + name + "/inside", "");
		} else
			write_file(branch + "/" + name, "");
	}
	u.mount();
	EXPECT_EQ(names_in(u.mnt), Names{});
	EXPECT_ERR(open(u.at(name).c_str(), O_RDONLY), ENOENT);
	EXPECT_ERR(access(u.at(name).c_str(), F_OK), ENOENT);
	EXPECT_ERR(open(u.at(name + "/inside").c_str(), O_RDONLY), ENOENT);
}

PARAM_CASE(reserved_name_cannot_be_made, "open", "mkdir", "symlink", "mknod", "link", "rename")
{
	Union u;
	write_file(u.top + "/file", "top");
	make_dir(u.top + "/dir");
	u.mount();
	string p = ktap::param(), before = snapshot(u.top);
	for (const string &path : {u.at(".wh.file"), u.at("dir/.wh.x"), u.at(".wh..wh..opq")}) {
		const char *name = path.c_str();
		if (p == "open")
			EXPECT_ERR(open(name, O_WRONLY | O_CREAT, 0644), EPERM);
		else if (p == "mkdir")
			EXPECT_ERR(mkdir(name, 0755), EPERM);
		else if (p == "symlink")
			EXPECT_ERR(symlink("x", name), EPERM);
		else if (p == "mknod")
			EXPECT_ERR(mknod(name, S_IFIFO | 0644, 0), EPERM);
		else if (p == "link")
			EXPECT_ERR(link(u.at("file").c_str(), name), EPERM);
		else
			EXPECT_ERR(rename(u.at("file").c_str(), name), EPERM);
	}
	EXPECT_EQ(snapshot(u.top), before);
	EXPECT_EQ(read_file(u.at("file")), "top");
}

/* Names that only look alike are ordinary. */
CASE(names_that_are_not_reserved)
{
	Union u;
	Names names = {".w", ".wh", ".whx", "a.wh.b", "wh.x"};
	for (const string &name : names)
		write_file(u.low + "/" + name, name);
	write_file(u.top + "/.wx.file", "");
	u.mount();
	EXPECT_EQ(names_in(u.mnt).size(), names.size() + 1);
	for (const string &name : names)
		EXPECT_EQ(read_file(u.at(name)), name);
	write_file(u.at(".whz"), "new");
	EXPECT_EQ(read_file(u.top + "/.whz"), "new");
}

CASE(symlinks)
{
	Union u;
	string lengthy(1000, 'x'); /* xfs has them up to 1024 */
	make_dir(u.low + "/dir");
	write_file(u.top + "/dir_file", "top");
	write_file(u.low + "/dir/file", "low");
	OK(symlink("dir/file", (u.low + "/relative").c_str()));
	OK(symlink("../dir_file", (u.low + "/dir/across").c_str()));
	OK(symlink("missing", (u.low + "/dangling").c_str()));
	OK(symlink("self", (u.low + "/self").c_str()));
	OK(symlink(lengthy.c_str(), (u.low + "/long").c_str()));
	OK(symlink("dir", (u.low + "/to_dir").c_str()));
	u.mount();
	EXPECT_EQ(link_target(u.at("relative")), "dir/file");
	EXPECT_EQ(read_file(u.at("relative")), "low");
	EXPECT_EQ(read_file(u.at("dir/across")), "top");
	EXPECT_EQ(read_file(u.at("to_dir/file")), "low");
	EXPECT_ERR(open(u.at("dangling").c_str(), O_RDONLY), ENOENT);
	EXPECT_ERR(open(u.at("self").c_str(), O_RDONLY), ELOOP);
	EXPECT_ERR(open(u.at("relative").c_str(), O_RDONLY | O_NOFOLLOW), ELOOP);
	EXPECT_EQ(link_target(u.at("long")), lengthy);
	EXPECT_EQ(lstat_of(u.at("long")).st_size, 1000);
	char part[4];
	EXPECT_EQ(OK(readlink(u.at("relative").c_str(), part, 3)), 3);
	EXPECT_ERR(readlink(u.at("dir").c_str(), part, 3), EINVAL);
}

CASE(special_files)
{
	Union u;
	OK(mknod((u.low + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)));
	OK(mknod((u.low + "/zero_zero").c_str(), S_IFCHR | 0666, makedev(0, 0)));
	OK(mknod((u.low + "/block").c_str(), S_IFBLK | 0600, makedev(7, 99)));
	OK(mkfifo((u.top + "/fifo").c_str(), 0644));
	OK(mknod((u.low + "/socket").c_str(), S_IFSOCK | 0644, 0));
	u.mount();
	struct stat st = lstat_of(u.at("null"));
	EXPECT(S_ISCHR(st.st_mode));
	EXPECT_EQ(st.st_rdev, makedev(1, 3));
	EXPECT_EQ(lstat_of(u.at("zero_zero")).st_rdev, makedev(0, 0));
	EXPECT(S_ISBLK(lstat_of(u.at("block")).st_mode));
	EXPECT_EQ(lstat_of(u.at("block")).st_rdev, makedev(7, 99));
	EXPECT(S_ISSOCK(lstat_of(u.at("socket")).st_mode));
	Fd null = open_file(u.at("null"), O_RDWR);
	EXPECT_EQ(OK(write(null, "text", 4)), 4);
	EXPECT_EQ(pread_text(null, 4, 0), "");
	/* A FIFO of the union joins a reader and a writer. */
	Fd reader = open_file(u.at("fifo"), O_RDONLY | O_NONBLOCK);
	Fd writer = open_file(u.at("fifo"), O_WRONLY);
	EXPECT_EQ(OK(write(writer, "hello", 5)), 5);
	char text[8];
	EXPECT_EQ(OK(read(reader, text, sizeof(text))), 5);
}

/* Names may be as long as statfs() says, and no longer. */
CASE(long_names)
{
	Union u;
	string longest(251, 'n');
	write_file(u.low + "/" + longest, "low");
	u.mount();
	EXPECT_EQ(read_file(u.at(longest)), "low");
	EXPECT_EQ(names_in(u.mnt), (Names{longest}));
	string other(251, 'm');
	write_file(u.at(other), "new");
	EXPECT_EQ(read_file(u.top + "/" + other), "new");
	for (size_t length : {252, 255, 256})
		EXPECT_ERR(open(u.at(string(length, 'k')).c_str(), O_WRONLY | O_CREAT, 0644),
			   ENAMETOOLONG);
}

CASE(deep_path)
{
	Union u;
	string path;
	for (int i = 0; i < 60; i++) {
		path += ktap::format("/level%d", i);
		make_dir((i % 2 ? u.top : u.low) + path);
		make_dir((i % 2 ? u.low : u.top) + path);
	}
	write_file(u.low + path + "/file", "deep");
	u.mount();
	EXPECT_EQ(read_file(u.mnt + path + "/file"), "deep");
	write_file(u.mnt + path + "/new", "new");
	EXPECT_EQ(read_file(u.top + path + "/new"), "new");
}

/* The dcache follows all changes that are made through the union. */
CASE(names_stay_coherent)
{
	Union u;
	make_dir(u.low + "/dir");
	u.mount();
	for (int i = 0; i < 50; i++) {
		string name = u.at("name");
		EXPECT(!exists(name));
		write_file(name, std::to_string(i));
		EXPECT_EQ(read_file(name), std::to_string(i));
		EXPECT_EQ(names_in(u.mnt), (Names{"dir", "name"}));
		EXPECT_OK(rename(name.c_str(), u.at("other").c_str()));
		EXPECT(!exists(name));
		EXPECT_EQ(read_file(u.at("other")), std::to_string(i));
		EXPECT_OK(unlink(u.at("other").c_str()));
		EXPECT(!exists(u.at("other")));
		EXPECT_OK(mkdir(name.c_str(), 0755));
		EXPECT(S_ISDIR(lstat_of(name).st_mode));
		EXPECT_OK(rmdir(name.c_str()));
	}
	EXPECT_EQ(names_in(u.mnt), (Names{"dir"}));
	EXPECT_EQ(names_in(u.top), Names{});
}

/* Many processes look up the same names at once. */
CASE(lookups_in_parallel)
{
	Union u;
	for (int i = 0; i < 200; i++)
		write_file(ktap::format("%s/f%d", i % 2 ? u.top.c_str() : u.low.c_str(), i), "x");
	u.mount();
	std::vector<pid_t> workers;
	for (int worker = 0; worker < 4; worker++)
		workers.push_back(spawn([&] {
			for (int round = 0; round < 5; round++)
				for (int i = 0; i < 200; i++) {
					EXPECT(exists(u.at(ktap::format("f%d", i))));
					EXPECT(!exists(u.at(ktap::format("missing%d", i))));
				}
		}));
	for (pid_t worker : workers)
		EXPECT_EQ(wait_for(worker), 0);
}
