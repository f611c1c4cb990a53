// SPDX-License-Identifier: GPL-2.0-only
//
// Immutable and append-only files and directories, on the rw branch and on a lower one: a change that is forbidden
// there is EPERM in the union, and a copy-up does not make them free.
//
// Combinations: ext4 xfs

#include "fixture.hh"

#include <deque>

#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <linux/fs.h>

using Names = std::vector<string>;

namespace
{

unsigned flags_of(const string &path)
{
	Fd file = open_file(path, O_RDONLY);
	unsigned flags = 0;
	OK(ioctl(file, FS_IOC_GETFLAGS, &flags));
	return flags;
}

/* Gives @path the flag @flag in this scope. */
class Flagged
{
public:
	Flagged(const string &path, unsigned flag) : path_(path), flag_(flag)
	{
		if (!set(true))
			SKIP("%s has no such flags", ktap::env("AUFS_COMBO"));
	}
	~Flagged()
	{
		set(false);
	}

private:
	bool set(bool on)
	{
		Fd file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
		unsigned flags = 0;
		if (ioctl(file, FS_IOC_GETFLAGS, &flags))
			return false;
		flags = on ? flags | flag_ : flags & ~flag_;
		return !ioctl(file, FS_IOC_SETFLAGS, &flags);
	}

	string path_;
	unsigned flag_;
};

/* A file, and a directory with a file, on the case's branch. */
struct Protected : Union {
	string branch;

	explicit Protected(const string &which) : branch(which == "top" ? top : low)
	{
		write_file(branch + "/file", "text");
		make_dir(branch + "/dir");
		write_file(branch + "/dir/inner", "inner");
	}
};

/* The changes that neither kind of file allows. */
void expect_no_change(const Union &u, const string &path)
{
	string file = u.at(path), other = u.at("other");
	timespec times[2] = {{1, 2}, {3, 4}};

	EXPECT_ERR(open(file.c_str(), O_WRONLY), EPERM);
	EXPECT_ERR(open(file.c_str(), O_RDWR), EPERM);
	EXPECT_ERR(open(file.c_str(), O_RDONLY | O_TRUNC), EPERM);
	EXPECT_ERR(truncate(file.c_str(), 1), EPERM);
	EXPECT_ERR(chmod(file.c_str(), 0600), EPERM);
	EXPECT_ERR(chown(file.c_str(), 5, 5), EPERM);
	EXPECT_ERR(utimensat(AT_FDCWD, file.c_str(), times, 0), EPERM);
	EXPECT_ERR(setxattr(file.c_str(), "trusted.mine", "x", 1, 0), EPERM);
	EXPECT_ERR(link(file.c_str(), other.c_str()), EPERM);
	EXPECT_ERR(rename(file.c_str(), other.c_str()), EPERM);
	EXPECT_ERR(unlink(file.c_str()), EPERM);
	EXPECT(!exists(other));
}

} // namespace

PARAM_CASE(immutable_file, "top", "low")
{
	Protected u(ktap::param());
	Flagged flagged(u.branch + "/file", FS_IMMUTABLE_FL);
	string before = snapshot(u.low);
	u.mount();
	expect_no_change(u, "file");
	EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY | O_APPEND), EPERM);
	EXPECT_EQ(read_file(u.at("file")), "text");
	EXPECT_EQ(flags_of(u.at("file")) & FS_IMMUTABLE_FL, unsigned(FS_IMMUTABLE_FL));
	EXPECT_EQ(snapshot(u.low), before);
	expect_no_debris(u.top);
}

/* The copy is append-only, too. */
PARAM_CASE(append_only_file, "top", "low")
{
	Protected u(ktap::param());
	Flagged flagged(u.branch + "/file", FS_APPEND_FL);
	u.mount();
	expect_no_change(u, "file");
	Fd file = open_file(u.at("file"), O_WRONLY | O_APPEND);
	Flagged copy(u.top + "/file", FS_APPEND_FL);
	OK(write(file, " and more", 9));
	EXPECT_EQ(read_file(u.at("file")), "text and more");
	EXPECT_EQ(read_file(u.top + "/file"), "text and more");
	EXPECT_EQ(flags_of(u.at("file")) & FS_APPEND_FL, unsigned(FS_APPEND_FL));
	expect_no_change(u, "file");
	file.reset();
	u.unmount();
	u.mount();
	expect_no_change(u, "file");
	if (string(ktap::param()) == "low")
		EXPECT_EQ(read_file(u.low + "/file"), "text");
	expect_no_debris(u.top);
}

/* An open to read does not copy such a file: its copy might be protected less. */
PARAM_CASE(not_copied_on_open, "immutable", "append_only")
{
	Protected u("low");
	Flagged flagged(u.low + "/file",
			string(ktap::param()) == "immutable" ? FS_IMMUTABLE_FL : FS_APPEND_FL);
	write_file(u.low + "/plain", "text");
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro+coo_all");
	EXPECT_EQ(read_file(u.at("file")), "text");
	EXPECT(!exists(u.top + "/file"));
	EXPECT_EQ(read_file(u.at("plain")), "text");
	EXPECT(exists(u.top + "/plain"));
}

/* A copy has the flag before any other task can open it. */
CASE(copy_is_protected_at_once)
{
	Protected u("low");
	Flagged flagged(u.low + "/file", FS_APPEND_FL);
	u.mount();
	Fd file = open_file(u.at("file"), O_WRONLY | O_APPEND);
	EXPECT_EQ(flags_of(u.top + "/file") & FS_APPEND_FL, unsigned(FS_APPEND_FL));
	Flagged copy(u.top + "/file", FS_APPEND_FL);
}

namespace
{

/* Whether a workfile on the rw branch @top has an attribute by now: then it has its flags and its data already. */
bool has_begun(const string &top)
{
	string orphans = top + "/.wh..wh.orph";
	if (!exists(orphans))
		return false;
	for (const string &name : names_in(orphans))
		if (llistxattr((orphans + "/" + name).c_str(), nullptr, 0) > 0)
			return true;
	return false;
}

/* The filesystem of @path is frozen in this scope. */
class Frozen
{
public:
	explicit Frozen(const string &path) : dir_(open_file(path, O_RDONLY | O_DIRECTORY))
	{
		OK(ioctl(dir_, FIFREEZE, 0));
	}
	~Frozen()
	{
		ktap::guarded([this] { OK(ioctl(dir_, FITHAW, 0)); });
	}

private:
	Fd dir_;
};

} // namespace

/*
 * The copy gets its name before the flag, which would stop the rename. Users see the flag meanwhile. The branch is
 * frozen while the copy gets its many attributes: then the task that copies waits right after the rename.
 */
CASE(copy_is_protected_meanwhile)
{
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	constexpr int files = 30, attributes = 80;
	Union u;
	std::deque<Flagged> flagged;
	make_dir(u.low + "/dir");
	for (int i = 0; i < files; i++) {
		string path = ktap::format("%s/dir/%d", u.low.c_str(), i);
		write_file(path, "");
		OK(chown(path.c_str(), alice.uid, alice.gid));
		for (int j = 0; j < attributes; j++)
			OK(setxattr(path.c_str(), ktap::format("user.%d", j).c_str(), "x", 1, 0));
		/* The copy of a file with two names can be seen before it has its own. */
		OK(link(path.c_str(), (path + ".link").c_str()));
		flagged.emplace_back(path, FS_APPEND_FL);
	}
	u.mount();
	bool caught = false;
	for (int i = 0; i < files && !caught; i++) {
		string name = ktap::format("dir/%d", i), copy = u.top + "/" + name;
		pid_t writer = spawn([&] {
			become(alice);
			open_file(u.at(name), O_WRONLY | O_APPEND);
		});
		while (!exists(copy) && !has_begun(u.top))
			;
		auto expect_protected = [&] {
			as_user(alice,
				[&] { EXPECT_ERR(open(u.at(name).c_str(), O_WRONLY), EPERM); });
		};
		{
			Frozen frozen(u.top);
			caught = exists(copy) && !(flags_of(copy) & FS_APPEND_FL);
			if (caught)
				expect_protected();
		}
		EXPECT_EQ(wait_for(writer), 0);
		expect_protected();
		flagged.emplace_back(copy, FS_APPEND_FL);
	}
	if (!caught)
		SKIP("no freeze came between the name of a copy and its flag");
}

PARAM_CASE(immutable_directory, "top", "low")
{
	Protected u(ktap::param());
	Flagged flagged(u.branch + "/dir", FS_IMMUTABLE_FL);
	u.mount();
	EXPECT_ERR(open(u.at("dir/new").c_str(), O_CREAT | O_WRONLY, 0644), EPERM);
	EXPECT_ERR(mkdir(u.at("dir/new").c_str(), 0755), EPERM);
	EXPECT_ERR(unlink(u.at("dir/inner").c_str()), EPERM);
	EXPECT_ERR(rename(u.at("dir/inner").c_str(), u.at("inner").c_str()), EPERM);
	EXPECT_ERR(rename(u.at("file").c_str(), u.at("dir/file").c_str()), EPERM);
	EXPECT_ERR(chmod(u.at("dir").c_str(), 0700), EPERM);
	EXPECT_EQ(names_in(u.at("dir")), Names{"inner"});
	/* A file in the directory may be written to, but its copy would need a copy of the directory. */
	int fd = open(u.at("dir/inner").c_str(), O_WRONLY | O_CLOEXEC);
	if (string(ktap::param()) == "top")
		OK(fd);
	else
		EXPECT_ERR(fd, EPERM);
	if (fd >= 0)
		close(fd);
	EXPECT_EQ(read_file(u.at("dir/inner")), "inner");
	expect_no_debris(u.top);
}

PARAM_CASE(append_only_directory, "top", "low")
{
	Protected u(ktap::param());
	Flagged flagged(u.branch + "/dir", FS_APPEND_FL);
	u.mount();
	EXPECT_ERR(unlink(u.at("dir/inner").c_str()), EPERM);
	EXPECT_ERR(rename(u.at("dir/inner").c_str(), u.at("inner").c_str()), EPERM);
	EXPECT_ERR(rename(u.at("dir/inner").c_str(), u.at("dir/other").c_str()), EPERM);
	int fd = open(u.at("dir/new").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (string(ktap::param()) == "top")
		OK(fd);
	else
		EXPECT_ERR(fd, EPERM);
	if (fd >= 0)
		close(fd);
	EXPECT_EQ(names_in(u.at("dir")),
		  string(ktap::param()) == "top" ? (Names{"inner", "new"}) : Names{"inner"});
	expect_no_debris(u.top);
}
