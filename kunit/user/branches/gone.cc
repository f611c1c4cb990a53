// SPDX-License-Identifier: GPL-2.0-only
//
// Somebody removes a file of the rw branch directly, or its directory, or hides it: nothing is written to a file that
// no name leads to. A file that the union itself removed can still be written to by its open descriptors. With
// udba=reval and udba=notify a name leads to the object that the branches have by then.

#include "fixture.hh"

#include <sys/xattr.h>

/* The parameter of a case: the way in which the name goes, and the udba of the union. */
struct Way {
	string how, udba;

	Way() : how(ktap::param()), udba("none")
	{
		size_t cut = how.find('/');
		if (cut == string::npos)
			return;
		udba = how.substr(cut + 1);
		how.resize(cut);
	}
	bool looks() const
	{
		return udba != "none";
	}
	void mount(Union &u) const
	{
		u.mount(u.options() + ",udba=" + udba);
	}
};

#define EACH_UDBA(how) how, how "/reval", how "/notify"

/* Takes the name away in the way @how. */
static void take_away(Union &u, const string &how, const string &name)
{
	string path = u.top + "/" + name;
	if (how == "removed")
		OK(unlink(path.c_str()));
	else if (how == "moved out")
		OK(rename(path.c_str(), (u.top + ".outside").c_str()));
	else if (how == "replaced") {
		write_file(path + ".new", "another");
		OK(rename((path + ".new").c_str(), path.c_str()));
	} else if (how == "directory")
		remove_tree(u.top + "/dir");
	else if (how == "whiteout")
		write_file(u.top + "/dir/.wh.file", "", 0444);
}

static int open_to(const string &path, int flags)
{
	Fd fd(open(path.c_str(), flags | O_CLOEXEC));
	return fd < 0 ? -1 : 0;
}

/* Every call that would change @path is ESTALE. */
static void expect_no_change(const string &path)
{
	const char *name = path.c_str();
	timespec times[2] = {};
	EXPECT_ERR(open_to(path, O_WRONLY), ESTALE);
	EXPECT_ERR(open_to(path, O_RDWR | O_APPEND), ESTALE);
	EXPECT_ERR(open_to(path, O_WRONLY | O_TRUNC), ESTALE);
	EXPECT_ERR(open_to(path, O_WRONLY | O_CREAT), ESTALE);
	EXPECT_ERR(truncate(name, 1), ESTALE);
	EXPECT_ERR(chmod(name, 0600), ESTALE);
	EXPECT_ERR(chown(name, 1, 1), ESTALE);
	EXPECT_ERR(utimensat(AT_FDCWD, name, times, 0), ESTALE);
	EXPECT_ERR(setxattr(name, "trusted.t", "x", 1, 0), ESTALE);
	EXPECT_ERR(link(name, (path + ".link").c_str()), ESTALE);
}

PARAM_CASE(on_the_rw_branch, EACH_UDBA("removed"), EACH_UDBA("moved out"), EACH_UDBA("replaced"),
	   EACH_UDBA("directory"))
{
	Union u;
	Way way;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "low");
	string branch = u.top + "/branch";
	make_dir(branch);
	u.top = branch;
	way.mount(u);
	write_file(u.at("dir/file"), "written");
	string path = u.at("dir/file");
	Fd reader;
	if (way.looks())
		reader = open_file(path, O_RDONLY);
	take_away(u, way.how, "dir/file");
	if (!way.looks()) {
		reader = open_file(path, O_RDONLY);
		EXPECT_EQ(pread_text(reader, 10, 0), "written");
		expect_no_change(path);
		EXPECT_ERR(fchmod(reader, 0600), ESTALE);
		EXPECT_EQ(pread_text(reader, 10, 0), "written");
		write_control("/proc/sys/vm/drop_caches", "2");
		reader.reset();
		write_control("/proc/sys/vm/drop_caches", "2");
	}
	EXPECT_EQ(read_file(path), way.how == "replaced" ? "another" : "low");
	write_file(path, "again");
	EXPECT_EQ(read_file(u.top + "/dir/file"), "again");
	/* What was open before is no longer what has the name. */
	if (way.looks()) {
		EXPECT_ERR(fchmod(reader, 0600), ESTALE);
		EXPECT_EQ(pread_text(reader, 10, 0), "written");
	}
	if (way.how == "moved out")
		EXPECT_EQ(read_file(u.top + ".outside"), "written");
	u.top = branch.substr(0, branch.rfind('/'));
}

PARAM_CASE(on_a_lower_branch, EACH_UDBA("directory"), EACH_UDBA("whiteout"))
{
	Union u;
	Way way;
	bool is_hidden = way.how == "whiteout";
	make_dir(u.low + "/dir");
	for (const char *name : {"/dir/file", "/dir/other"})
		write_file(u.low + name, "low");
	way.mount(u);
	write_file(u.at("dir/other"), "written");
	string path = u.at("dir/file");
	Fd reader = open_file(path, O_RDONLY);
	take_away(u, way.how, "dir/file");
	if (way.looks()) {
		EXPECT_EQ(exists(path), !is_hidden);
		if (is_hidden)
			EXPECT_ERR(open_to(path, O_WRONLY), ENOENT);
		write_file(path, "now");
		EXPECT_EQ(read_file(u.top + "/dir/file"), "now");
		/* The descriptor goes on with the copy of its file. What is hidden gets none. */
		EXPECT_EQ(pread_text(reader, 10, 0), is_hidden ? "low" : "now");
		if (is_hidden)
			EXPECT_ERR(fchmod(reader, 0600), ESTALE);
		else
			EXPECT_OK(fchmod(reader, 0600));
	} else {
		expect_no_change(path);
		EXPECT_ERR(fchmod(reader, 0600), ESTALE);
		EXPECT_EQ(pread_text(reader, 10, 0), "low");
		reader.reset();
		write_control("/proc/sys/vm/drop_caches", "2");
		EXPECT_EQ(exists(path), !is_hidden);
	}
	expect_no_debris(u.top);
}

/* The directory is gone: its attributes cannot be changed. With udba they are those of the lower one. */
PARAM_CASE(directory, EACH_UDBA("removed"))
{
	Union u;
	Way way;
	make_dir(u.low + "/dir");
	way.mount(u);
	write_file(u.at("dir/file"), "");
	remove_tree(u.top + "/dir");
	if (way.looks()) {
		EXPECT_OK(chmod(u.at("dir").c_str(), 0700));
		EXPECT_OK(setxattr(u.at("dir").c_str(), "trusted.t", "x", 1, 0));
		EXPECT_EQ(stat_of(u.top + "/dir").st_mode, S_IFDIR | 0700u);
		return;
	}
	EXPECT_ERR(chmod(u.at("dir").c_str(), 0700), ESTALE);
	EXPECT_ERR(setxattr(u.at("dir").c_str(), "trusted.t", "x", 1, 0), ESTALE);
}

/* One of two names was removed directly. The file is written to by the other, whichever of them the union knows. */
PARAM_CASE(one_of_two_names, EACH_UDBA("removed"))
{
	Union u;
	Way().mount(u);
	for (const char *left : {"a", "b"}) {
		write_file(u.at("a"), "text");
		OK(link(u.at("a").c_str(), u.at("b").c_str()));
		OK(unlink((u.top + (*left == 'a' ? "/b" : "/a")).c_str()));
		write_file(u.at(left), "more");
		EXPECT_EQ(read_file(u.top + "/" + left), "more");
		OK(chmod(u.at(left).c_str(), 0640));
		OK(unlink((u.top + "/" + left).c_str()));
		write_control("/proc/sys/vm/drop_caches", "2");
	}
}

/* One of two names was removed directly, and then the union removes the other: no name is left. */
PARAM_CASE(both_names, EACH_UDBA("removed"))
{
	Union u;
	Way way;
	way.mount(u);
	write_file(u.at("a"), "text");
	OK(link(u.at("a").c_str(), u.at("b").c_str()));
	EXPECT_EQ(stat_of(u.at("a")).st_nlink, 2u);
	OK(unlink((u.top + "/a").c_str()));
	OK(unlink(u.at("b").c_str()));
	int error = way.looks() ? ENOENT : ESTALE;
	EXPECT_ERR(open_to(u.at("a"), O_WRONLY), error);
	EXPECT_ERR(open_to(u.at("a"), O_RDWR | O_TRUNC), error);
	EXPECT_ERR(truncate(u.at("a").c_str(), 1), error);
	EXPECT_ERR(chmod(u.at("a").c_str(), 0600), error);
	write_control("/proc/sys/vm/drop_caches", "2");
	write_file(u.at("a"), "again");
	EXPECT_EQ(read_file(u.top + "/a"), "again");
}

/* A file that the union removed can be used by its descriptors, as on any filesystem. */
PARAM_CASE(removed_by_the_union, EACH_UDBA("unlink"), EACH_UDBA("rename"),
	   EACH_UDBA("with its directory"), EACH_UDBA("lower"), EACH_UDBA("link"))
{
	Union u;
	Way way;
	const string &how = way.how;
	make_dir(u.low + "/dir");
	for (const char *name : {"/dir/file", "/dir/lower"})
		write_file(u.low + name, "low");
	way.mount(u);
	if (how != "lower")
		write_file(u.at("dir/file"), "written");
	Fd fd = open_file(u.at("dir/file"), O_RDONLY);
	string self = ktap::format("/proc/self/fd/%d", int(fd));
	if (how == "rename") {
		write_file(u.at("dir/other"), "other");
		OK(rename(u.at("dir/other").c_str(), u.at("dir/file").c_str()));
	} else if (how == "link") {
		OK(link(u.at("dir/file").c_str(), u.at("dir/second").c_str()));
		OK(unlink(u.at("dir/file").c_str()));
	} else {
		OK(unlink(u.at("dir/file").c_str()));
	}
	if (how == "with its directory") {
		OK(unlink(u.at("dir/lower").c_str()));
		OK(rmdir(u.at("dir").c_str()));
	}
	EXPECT_OK(fchmod(fd, 0600));
	Fd writer(open(self.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
	ASSERT_GE(int(writer), 0);
	EXPECT_EQ(write(writer, "new", 3), 3);
	EXPECT_OK(ftruncate(writer, 2));
	EXPECT_EQ(pread_text(fd, 10, 0), "ne");
	writer.reset();
	/* The name is free for another file. */
	if (how == "unlink") {
		write_file(u.at("dir/file"), "second");
		EXPECT_OK(chmod(u.at("dir/file").c_str(), 0640));
		OK(unlink((u.top + "/dir/file").c_str()));
		/* With the second file went the whiteout of the lower one. */
		if (way.looks())
			EXPECT_EQ(read_file(u.at("dir/file")), "low");
		else
			EXPECT_ERR(chmod(u.at("dir/file").c_str(), 0600), ESTALE);
		EXPECT_OK(fchmod(fd, 0640));
	}
	fd.reset();
	expect_no_debris(u.top);
}

PARAM_CASE(without_a_name, EACH_UDBA("removed"))
{
	Union u;
	Way way;
	way.mount(u);
	Fd fd = open_file(u.mnt, O_TMPFILE | O_RDWR);
	EXPECT_OK(fchmod(fd, 0600));
	string self = ktap::format("/proc/self/fd/%d", int(fd));
	OK(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, u.at("named").c_str(), AT_SYMLINK_FOLLOW));
	/* The descriptor's own dentry still has no name. */
	EXPECT_OK(fchmod(fd, 0644));
	EXPECT_OK(write(fd, "long text", 9));
	EXPECT_OK(ftruncate(fd, 4));
	EXPECT_EQ(read_file(u.top + "/named"), "long");
	EXPECT(open_to(self, O_WRONLY) >= 0);
	write_file(u.at("named"), "text");
	EXPECT_EQ(read_file(u.top + "/named"), "text");
	OK(unlink((u.top + "/named").c_str()));
	EXPECT_ERR(open_to(u.at("named"), O_WRONLY), way.looks() ? ENOENT : ESTALE);
}
