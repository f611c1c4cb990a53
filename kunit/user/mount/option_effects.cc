// SPDX-License-Identifier: GPL-2.0-only
//
// Options and an attribute of the original that change what the union does: diropq, shwh and +nolwh.

#include "fixture.hh"

using Names = std::vector<string>;

static const char opaque[] = ".wh..wh..opq";

static void remount(const Union &u, const string &options, unsigned long flags = 0)
{
	OK(mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT | flags, options.c_str()));
}

/* Remounts, which has to be refused with EINVAL. Returns the lines of the kernel's log. */
static string refused(const Union &u, const string &options, unsigned long flags = 0)
{
	KernelLog log;
	EXPECT_ERR(mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT | flags, options.c_str()),
		   EINVAL);
	return log.read();
}

CASE(diropq_always)
{
	Union u;
	make_dir(u.low + "/later");
	u.mount("diropq=a," + u.options());
	EXPECT_HAS(read_file("/proc/mounts"), ",diropq=a ");
	make_dir(u.at("dir"));
	EXPECT(exists(u.top + "/dir/" + opaque));
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	/* A directory that comes to the lower branch does not show. */
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "low");
	u.unmount();
	u.mount();
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	EXPECT_HAS_NOT(read_file("/proc/mounts"), ",diropq");
	/* By default a new directory becomes opaque only if another was removed there. */
	make_dir(u.at("other"));
	EXPECT(!exists(u.top + "/other/" + opaque));
	remount(u, "diropq:always");
	make_dir(u.at("third"));
	EXPECT(exists(u.top + "/third/" + opaque));
	remount(u, "diropq=whiteouted");
	make_dir(u.at("fourth"));
	EXPECT(!exists(u.top + "/fourth/" + opaque));
	OK(rmdir(u.at("later").c_str()));
	make_dir(u.at("later"));
	EXPECT(exists(u.top + "/later/" + opaque));
	/* Such directories can be removed and made again. */
	for (const char *name : {"dir", "third", "later"}) {
		OK(rmdir(u.at(name).c_str()));
		EXPECT(!exists(u.at(name)));
	}
	EXPECT_EQ(names_in(u.mnt), (Names{"fourth", "other"}));
}

/* A directory that moves is as one that is made. */
CASE(diropq_always_by_rename)
{
	Union u;
	u.mount();
	for (const char *name : {"one", "two", "three", "four"})
		make_dir(u.at(name));
	OK(rename(u.at("one").c_str(), u.at("moved").c_str()));
	EXPECT(!exists(u.top + "/moved/" + opaque));
	remount(u, "diropq=always");
	OK(rename(u.at("two").c_str(), u.at("always").c_str()));
	EXPECT(exists(u.top + "/always/" + opaque));
	/* What does not move is as it was. */
	EXPECT(!exists(u.top + "/moved/" + opaque));
	OK(renameat2(AT_FDCWD, u.at("three").c_str(), AT_FDCWD, u.at("four").c_str(),
		     RENAME_EXCHANGE));
	for (const char *name : {"three", "four"})
		EXPECT(exists(u.top + "/" + name + "/" + opaque));
	/* A file has no such mark, and one that cannot move does not get it. */
	write_file(u.at("file"), "file");
	OK(rename(u.at("file").c_str(), u.at("renamed").c_str()));
	EXPECT_EQ(read_file(u.at("renamed")), "file");
	write_file(u.at("four/file"), "");
	EXPECT_ERR(rename(u.at("moved").c_str(), u.at("four").c_str()), ENOTEMPTY);
	EXPECT(!exists(u.top + "/moved/" + opaque));
	/* What comes to the lower branch is not seen. */
	for (const char *name : {"moved", "always", "three"}) {
		make_dir(u.low + "/" + name);
		write_file(u.low + "/" + name + "/low", "low");
	}
	u.unmount();
	u.mount();
	EXPECT_EQ(names_in(u.at("moved")), Names{"low"});
	EXPECT_EQ(names_in(u.at("always")), Names{});
	EXPECT_EQ(names_in(u.at("three")), Names{});
}

/* +nolwh: each whiteout and each mark is a file of its own. */
CASE(whiteouts_that_are_no_links)
{
	Union u;
	for (const char *name : {"one", "two", "three"})
		write_file(u.low + "/" + name, "low");
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/hidden", "low");
	u.mount("br=" + u.top + "=rw+nolwh:" + u.low + "=ro");
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw+nolwh:" + u.low + "=ro");
	for (const char *name : {"one", "two", "dir/hidden"})
		OK(unlink(u.at(name).c_str()));
	OK(rmdir(u.at("dir").c_str()));
	make_dir(u.at("dir"));
	for (const char *name : {".wh.one", ".wh.two", "dir/.wh..wh..opq"}) {
		struct stat is = lstat_of(u.top + "/" + name);
		EXPECT_EQ(is.st_nlink, 1u);
		EXPECT_EQ(is.st_mode, S_IFREG | 0444u);
		EXPECT_EQ(is.st_size, 0);
	}
	EXPECT(!exists(u.top + "/.wh..wh.aufs"));
	EXPECT_EQ(names_in(u.mnt), (Names{"dir", "three"}));
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	write_file(u.at("one"), "again");
	EXPECT(!exists(u.top + "/.wh.one"));
	/* A remount changes what is made from then on. */
	remount(u, "mod:" + u.top + "=rw");
	OK(unlink(u.at("three").c_str()));
	EXPECT_EQ(lstat_of(u.top + "/.wh.three").st_nlink, 2u);
	EXPECT_EQ(lstat_of(u.top + "/.wh.three").st_ino, lstat_of(u.top + "/.wh..wh.aufs").st_ino);
	EXPECT_EQ(lstat_of(u.top + "/.wh.two").st_nlink, 1u);
	remount(u, "mod:" + u.top + "=rw+nolwh");
	OK(unlink(u.at("one").c_str()));
	EXPECT_EQ(lstat_of(u.top + "/.wh.one").st_nlink, 1u);
	EXPECT_EQ(names_in(u.mnt), (Names{"dir"}));
	/* A list that is repeated has it, too. */
	EXPECT_HAS(refused(u, "br=" + u.top + "=rw:" + u.low + "=ro"), "not mounted in this place");
	remount(u, "br=" + u.top + "=rw+nolwh:" + u.low + "=ro");
}

struct Whiteouts : Union {
	Whiteouts()
	{
		write_file(low + "/gone", "gone");
		write_file(low + "/there", "there");
		make_dir(low + "/dir");
		write_file(low + "/dir/old", "old");
		write_file(low + "/dir/" + ".wh.lower", "");
		make_dir(top + "/dir");
		write_file(top + "/dir/new", "new");
		write_file(top + "/dir/" + opaque, "");
		write_file(top + "/.wh.gone", "");
		make_dir(top + "/one");
		write_file(top + "/one/.wh.file", "");
		write_file(top + "/.wh..wh.aufs", "");
		make_dir(top + "/.wh..wh.orph", 0700);
	}
};

PARAM_CASE(whiteouts_are_shown, "mount2", "fsconfig")
{
	Whiteouts u;
	if (ktap::param() == "mount2") {
		string data = "shwh,br=" + u.top + "=ro:" + u.low + "=ro";
		OK(mount("none", u.mnt.c_str(), "aufs", MS_RDONLY, data.c_str()));
	} else {
		Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
		OK(fsconfig(context, FSCONFIG_SET_FLAG, "shwh", nullptr, 0));
		OK(fsconfig(context, FSCONFIG_SET_STRING, "br", (u.top + "=ro:" + u.low).c_str(),
			    0));
		OK(fsconfig(context, FSCONFIG_SET_FLAG, "ro", nullptr, 0));
		OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
		Fd tree(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
		OK(move_mount(tree, "", AT_FDCWD, u.mnt.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
	}
	Mounted mounted = Mounted::adopt(u.mnt);
	/* Whiteouts are shown as names, and still hide. The union's own names are not shown. */
	EXPECT_EQ(names_in(u.mnt), (Names{".wh.gone", "dir", "one", "there"}));
	EXPECT_EQ(names_in(u.at("dir")), (Names{opaque, "new"}));
	EXPECT_EQ(names_in(u.at("one")), (Names{".wh.file"}));
	EXPECT(!exists(u.at("gone")));
	for (const char *name : {".wh.gone", "dir/.wh..wh..opq", "one/.wh.file"}) {
		EXPECT_EQ(read_file(u.at(name)), "");
		EXPECT(S_ISREG(stat_of(u.at(name)).st_mode));
	}
	for (const char *name :
	     {".wh..wh.aufs", ".wh..wh.orph", ".wh.there", "dir/.wh.lower", ".wh.", ".wh..wh..opq"})
		EXPECT(!exists(u.at(name)));
	EXPECT_HAS(read_file("/proc/mounts"), ",shwh ");
	EXPECT_ERR(unlink(u.at(".wh.gone").c_str()), EROFS);
	/* Such a union cannot become writable, and shwh stays while it is mounted. */
	EXPECT_HAS(refused(u, ""), "not possible unless read-only: option 'shwh'");
	EXPECT_HAS(refused(u, "noshwh", MS_RDONLY), "cannot be changed while mounted");
	remount(u, "shwh", MS_RDONLY);
	remount(u, "", MS_RDONLY);
	EXPECT_EQ(names_in(u.at("one")), (Names{".wh.file"}));
	EXPECT_ERR(unlink(u.at(".wh.gone").c_str()), EROFS);
}

CASE(whiteouts_are_not_shown_where_one_may_write)
{
	Whiteouts u;
	KernelLog log;
	EXPECT_EQ(try_mount(u.mnt, "shwh," + u.options()), EINVAL);
	EXPECT_HAS(log.read(), "unless read-only: option 'shwh'");
	u.mount("shwh,noshwh," + u.options());
	EXPECT_EQ(names_in(u.mnt), (Names{"dir", "one", "there"}));
	EXPECT(!exists(u.at(".wh.gone")));
	EXPECT_HAS(refused(u, "shwh", MS_RDONLY), "cannot be changed while mounted");
	EXPECT_EQ(names_in(u.mnt), (Names{"dir", "one", "there"}));
}

/* fspick(2) changes only the given options: the union stays read-only. */
CASE(reconfigured_without_a_word_of_ro)
{
	Union u;
	u.mount("br=" + u.top + "=ro:" + u.low + "=ro");
	Fd context(OK(fspick(AT_FDCWD, u.mnt.c_str(), FSPICK_CLOEXEC)));
	for (const char *flag : {"sum", "noplink"})
		OK(fsconfig(context, FSCONFIG_SET_FLAG, flag, nullptr, 0));
	OK(fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0));
	EXPECT_HAS(read_file("/proc/mounts"), ",sum ");
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EROFS);
	OK(fsconfig(context, FSCONFIG_SET_FLAG, "rw", nullptr, 0));
	EXPECT_ERR(fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0), EROFS);
}
