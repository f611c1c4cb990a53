// SPDX-License-Identifier: GPL-2.0-only
//
// A copy has the attributes of its source, and none that the directory hands down in which it is made: ACLs, a group,
// flags, a project. A new object has those that its own directory hands down.
//
// Combinations: tmpfs ext4 xfs ext4+xfs tmpfs+ext4

#include "acl.hh"
#include "disk.hh"

#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <linux/fs.h>

namespace
{

constexpr gid_t staff = 77;

string get(const string &path, const char *name)
{
	char value[4096];
	ssize_t length = lgetxattr(path.c_str(), name, value, sizeof(value));
	return length < 0 ? ktap::errno_name(errno) : string(value, length);
}

/* An ACL that gives alice all rights. As a default ACL it gives them in new objects too. */
const string for_alice = acl({{ACL_USER_OBJ, 7, no_id},
			      {ACL_USER, 7, alice.uid},
			      {ACL_GROUP_OBJ, 5, no_id},
			      {ACL_MASK, 7, no_id},
			      {ACL_OTHER, 0, no_id}});

void set_acl(const string &path, const char *name, const string &value)
{
	OK(setxattr(path.c_str(), name, value.data(), value.size(), 0));
}

unsigned flags_of(const string &path)
{
	Fd file = open_file(path, O_RDONLY | O_NONBLOCK);
	unsigned flags = 0;
	OK(ioctl(file, FS_IOC_GETFLAGS, &flags));
	return flags;
}

/* Whether the filesystem took the flags. */
bool add_flags(const string &path, unsigned more)
{
	Fd file = open_file(path, O_RDONLY);
	unsigned flags = 0;
	if (ioctl(file, FS_IOC_GETFLAGS, &flags))
		return false;
	flags |= more;
	return !ioctl(file, FS_IOC_SETFLAGS, &flags);
}

fsxattr project_of(const string &path)
{
	Fd file = open_file(path, O_RDONLY);
	fsxattr attributes = {};
	OK(ioctl(file, FS_IOC_FSGETXATTR, &attributes));
	return attributes;
}

/* Makes an object of each kind in @dir, for root alone. */
void make_objects(const string &dir)
{
	write_file(dir + "/file", "root's secret", 0660);
	make_dir(dir + "/dir", 0750);
	write_file(dir + "/dir/file", "", 0600);
	OK(symlink("nowhere", (dir + "/symlink").c_str()));
	OK(mknod((dir + "/fifo").c_str(), S_IFIFO | 0660, 0));
	OK(chmod((dir + "/fifo").c_str(), 0660));
}

const std::vector<string> objects = {"file", "dir", "symlink", "fifo"};

void copy_up_all(const Union &u, const string &dir = "")
{
	for (const string &name : objects)
		OK(utimensat(AT_FDCWD, u.at(dir + name).c_str(), nullptr, AT_SYMLINK_NOFOLLOW));
}

} // namespace

/* The rw branch has a default ACL. An orphan directory that was there before the mount has it too. */
PARAM_CASE(acl, "new", "old")
{
	Union u;
	make_objects(u.low);
	set_acl(u.top, default_acl, for_alice);
	if (ktap::param() == "old") {
		for (const char *name : {"/.wh..wh.orph", "/.wh..wh.plnk"}) {
			make_dir(u.top + name, 0700);
			ASSERT_EQ(get(u.top + name, default_acl), for_alice);
		}
	}
	u.mount();
	copy_up_all(u);
	for (const string &name : objects) {
		ktap::say(name);
		string copy = u.top + "/" + name;
		EXPECT_NE(get(copy, access_acl), for_alice);
		EXPECT_EQ(get(copy, access_acl), get(u.low + "/" + name, access_acl));
		EXPECT_EQ(get(copy, default_acl), get(u.low + "/" + name, default_acl));
		EXPECT_EQ(lstat_of(copy).st_mode, lstat_of(u.low + "/" + name).st_mode);
	}
	auto closed = [&] {
		as_user(alice, [&] {
			EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES);
			EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY), EACCES);
			EXPECT_ERR(open(u.at("dir/new").c_str(), O_CREAT | O_WRONLY, 0644), EACCES);
		});
	};
	closed();
	/* If there were an ACL, chmod would widen its mask, and alice could open the file. */
	OK(chmod(u.at("file").c_str(), 0670));
	OK(chmod(u.at("dir").c_str(), 0770));
	closed();
	write_file(u.at("dir/new"), "");
	EXPECT_EQ(get(u.top + "/dir/new", access_acl), "ENODATA");
	/* Whiteouts and the directory for workfiles have no ACL, either. */
	OK(unlink(u.at("dir/file").c_str()));
	for (const char *name : {"/.wh..wh.orph", "/.wh..wh.aufs", "/dir/.wh.file"}) {
		EXPECT_EQ(get(u.top + name, access_acl), "ENODATA");
		EXPECT_EQ(get(u.top + name, default_acl),
			  get(u.low + (name[1] == 'd' ? "/file" : "/dir"), default_acl));
	}
	EXPECT_EQ(stat_of(u.top + "/.wh..wh.orph").st_mode & 07777, 0700u);
	/* A new object in the root has the root's default ACL. */
	write_file(u.at("new"), "");
	EXPECT_NE(get(u.top + "/new", access_acl), "ENODATA");
}

/* A copy has the ACLs of its source, and a directory hands down its own. */
CASE(acl_of_the_source)
{
	Union u;
	make_objects(u.low);
	string for_bob = acl({{ACL_USER_OBJ, 7, no_id},
			      {ACL_USER, 5, bob.uid},
			      {ACL_GROUP_OBJ, 5, no_id},
			      {ACL_MASK, 5, no_id},
			      {ACL_OTHER, 0, no_id}});
	set_acl(u.top, default_acl, for_alice);
	set_acl(u.low + "/file", access_acl, for_bob);
	set_acl(u.low + "/dir", default_acl, for_bob);
	u.mount();
	copy_up_all(u);
	EXPECT_EQ(get(u.top + "/file", access_acl), for_bob);
	EXPECT_EQ(get(u.top + "/dir", default_acl), for_bob);
	write_file(u.low + "/dir/direct", "");
	write_file(u.at("dir/through"), "");
	EXPECT_EQ(get(u.at("dir/through"), access_acl), get(u.low + "/dir/direct", access_acl));
	EXPECT_NE(get(u.at("dir/through"), access_acl), "ENODATA");
}

/* The rw branch has a group and the set-group-ID bit. */
PARAM_CASE(group, "new", "old")
{
	Union u;
	make_objects(u.low);
	OK(chown(u.top.c_str(), 0, staff));
	OK(chmod(u.top.c_str(), 02775));
	if (ktap::param() == "old") {
		make_dir(u.top + "/.wh..wh.orph", 02700);
		ASSERT_EQ(stat_of(u.top + "/.wh..wh.orph").st_gid, staff);
	}
	u.mount();
	copy_up_all(u);
	for (const string &name : objects) {
		ktap::say(name);
		struct stat copy = lstat_of(u.top + "/" + name);
		EXPECT_EQ(copy.st_gid, 0u);
		EXPECT_EQ(copy.st_mode, lstat_of(u.low + "/" + name).st_mode);
	}
	struct stat orphans = stat_of(u.top + "/.wh..wh.orph");
	EXPECT_EQ(orphans.st_gid, 0u);
	EXPECT_EQ(orphans.st_mode & 07777, 0700u);
	OK(mkdir(u.at("new").c_str(), 0755));
	EXPECT_EQ(stat_of(u.at("new")).st_gid, staff);
	EXPECT_EQ(stat_of(u.at("new")).st_mode & 07777, 02755u);
	OK(mkdir(u.at("dir/new").c_str(), 0755));
	EXPECT_EQ(stat_of(u.at("dir/new")).st_gid, 0u);
}

/* The rw branch's root has flags, those that its filesystem knows. */
PARAM_CASE(flags, "handed_down", "of_the_source", "both")
{
	constexpr unsigned compared = FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL | FS_COMPR_FL |
				      FS_NOTAIL_FL | FS_DIRSYNC_FL | FS_JOURNAL_DATA_FL;
	Union u;
	string p = ktap::param();
	make_objects(u.low);
	unsigned set = 0;
	for (unsigned flag : {FS_NODUMP_FL, FS_NOATIME_FL, FS_SYNC_FL, FS_COMPR_FL, FS_NOTAIL_FL}) {
		if (!add_flags(u.top, flag))
			continue;
		if (p != "of_the_source")
			set |= flag;
		else {
			Fd dir = open_file(u.top, O_RDONLY);
			unsigned none = flags_of(u.top) & ~flag;
			OK(ioctl(dir, FS_IOC_SETFLAGS, &none));
		}
		if (p == "handed_down" || flag == FS_SYNC_FL || flag == FS_COMPR_FL)
			continue;
		bool low = true;
		for (const char *name : {"/file", "/dir", "/dir/file"})
			low = low && add_flags(u.low + name, flag);
		if (low)
			set |= flag;
	}
	if (!set)
		SKIP("%s has no such flags", ktap::env("AUFS_COMBO"));
	u.mount();
	copy_up_all(u);
	OK(truncate(u.at("dir/file").c_str(), 1));
	unsigned portable = compared & ~(on("ext4") && on("ext4", true) ? 0 : FS_NOTAIL_FL);
	for (const char *name : {"/file", "/dir", "/dir/file"}) {
		ktap::say(name);
		EXPECT_EQ(flags_of(u.top + name) & portable, flags_of(u.low + name) & portable);
	}
	EXPECT_EQ(flags_of(u.top + "/.wh..wh.orph") & compared, 0u);
	write_file(u.at("new"), "");
	if (p != "of_the_source")
		EXPECT_NE(flags_of(u.top + "/new") & compared, 0u);
	for (const char *name : {"/file", "/dir", "/dir/file"})
		OK(lchown((u.at(name)).c_str(), 0, 0));
}

namespace
{

/* Sets the extent size and more flags of @path; false if the filesystem has no such attributes. */
bool set_extents(const string &path, unsigned xflags, unsigned size)
{
	Fd file = open_file(path, O_RDONLY);
	fsxattr attributes = {};
	if (ioctl(file, FS_IOC_FSGETXATTR, &attributes))
		return false;
	attributes.fsx_xflags |= xflags;
	attributes.fsx_extsize = size;
	return !ioctl(file, FS_IOC_FSSETXATTR, &attributes);
}

} // namespace

/* XFS hands down more than the flags of chattr(1): the rw branch's root has an extent size for new files. */
PARAM_CASE(storage, "new", "old")
{
	if (!on("xfs"))
		SKIP("XFS alone has sizes of extents");
	constexpr unsigned compared = FS_XFLAG_EXTSIZE | FS_XFLAG_EXTSZINHERIT | FS_XFLAG_NODEFRAG |
				      FS_XFLAG_NOSYMLINKS;
	constexpr unsigned for_new = 65536, own = 131072;
	Union u;
	make_objects(u.low);
	make_dir(u.low + "/sized", 0755);
	write_file(u.low + "/sized/file", "");
	bool xfs_below = on("xfs", true);
	if (xfs_below) {
		EXPECT(set_extents(u.low + "/sized", FS_XFLAG_EXTSZINHERIT, own));
		EXPECT(set_extents(u.low + "/sized/file", FS_XFLAG_EXTSIZE, own));
	}
	OK(truncate((u.low + "/sized/file").c_str(), 4096));
	EXPECT(set_extents(u.top, FS_XFLAG_EXTSZINHERIT | FS_XFLAG_NODEFRAG, for_new));
	if (ktap::param() == "old") {
		make_dir(u.top + "/.wh..wh.orph", 0700);
		ASSERT_EQ(project_of(u.top + "/.wh..wh.orph").fsx_extsize, for_new);
	}
	u.mount();
	copy_up_all(u);
	OK(chmod(u.at("sized/file").c_str(), 0600));
	OK(chmod(u.at("sized").c_str(), 0700));
	for (const char *name : {"/file", "/dir", "/sized", "/sized/file"}) {
		ktap::say(name);
		fsxattr copy = project_of(u.top + name);
		bool sized = xfs_below && string(name).find("sized") != string::npos;
		EXPECT_EQ(copy.fsx_extsize, sized ? own : 0u);
		EXPECT_EQ(copy.fsx_xflags & compared, !sized ? 0u :
						      name[6] == '\0' ?
							       unsigned(FS_XFLAG_EXTSZINHERIT) :
							       unsigned(FS_XFLAG_EXTSIZE));
	}
	EXPECT_EQ(project_of(u.top + "/.wh..wh.orph").fsx_extsize, 0u);
	write_file(u.at("new"), "");
	EXPECT_EQ(project_of(u.top + "/new").fsx_extsize, for_new);
}

/*
 * The lower filesystem shows flags that the copy's does not know. A user sets those flags and one more: the copy gets
 * the one more.
 */
CASE(flags_of_another_filesystem)
{
	if (!on("ext4", true) || on("ext4"))
		SKIP("the lower branch alone has to be on ext4");
	Union u;
	write_file(u.low + "/file", "content");
	ASSERT(flags_of(u.low + "/file") & FS_EXTENT_FL);
	u.mount();
	EXPECT(add_flags(u.at("file"), FS_NODUMP_FL));
	EXPECT_EQ(flags_of(u.top + "/file") & FS_NODUMP_FL, unsigned(FS_NODUMP_FL));
	EXPECT_EQ(flags_of(u.low + "/file") & FS_NODUMP_FL, 0u);
	EXPECT_EQ(read_file(u.at("file")), "content");
}

/* A flag that says what a file is, or that nobody knows, is not set, and nothing is copied up for it. */
PARAM_CASE(unknown_flags, "casefold", "encrypted", "unknown")
{
	Union u;
	string p = ktap::param();
	make_dir(u.low + "/dir");
	if (!add_flags(u.low + "/dir", 0))
		SKIP("%s has no flags", ktap::env("AUFS_COMBO"));
	u.mount();
	EXPECT(!add_flags(u.at("dir"), p == "casefold"	? FS_CASEFOLD_FL :
				       p == "encrypted" ? FS_ENCRYPT_FL :
							  0x04000000));
	EXPECT_EQ(errno, EOPNOTSUPP);
	EXPECT(!exists(u.top + "/dir"));
}

namespace
{

/* A rw branch on a disk with projects. Its root is in project 7, the directory "nine" in project 9. */
struct Projects : Union {
	Disk disk{tmp + "/disk", 32 << 20};
	Mounted mounted;
	string rw = tmp + "/rw";

	explicit Projects(bool linked = false)
	{
		make_ext4(disk.name,
			  {"-O", "project,quota", "-E", "quotatype=prjquota", "-I", "256"});
		mounted = mount_ext4(disk.name, rw, "prjquota");
		for (const char *dir : {"/nine", "/free"}) {
			make_dir(rw + dir);
			make_dir(low + dir);
			make_objects(low + dir);
		}
		if (linked)
			OK(link((low + "/nine/file").c_str(), (low + "/nine/second").c_str()));
		set_project(rw + "/nine", 9);
		set_project(rw, 7);
		make_objects(low);
		mount("br=" + rw + "=rw:" + low + "=ro");
	}
	~Projects()
	{
		ktap::guarded([this] {
			unmount();
			mounted.unmount();
		});
	}
};

} // namespace

CASE(project)
{
	Projects u;
	copy_up_all(u);
	copy_up_all(u, "nine/");
	copy_up_all(u, "free/");
	for (auto [name, project] : {std::pair{"/", 7u}, {"/nine/", 9u}, {"/free/", 0u}}) {
		ktap::say(name);
		fsxattr file = project_of(u.rw + name + "file"),
			dir = project_of(u.rw + name + "dir");
		EXPECT_EQ(file.fsx_projid, project);
		EXPECT_EQ(dir.fsx_projid, project);
		EXPECT_EQ(dir.fsx_xflags & FS_XFLAG_PROJINHERIT,
			  project ? unsigned(FS_XFLAG_PROJINHERIT) : 0u);
		for (const string &object : objects)
			EXPECT(exists(u.rw + name + object));
	}
	EXPECT_EQ(project_of(u.rw + "/.wh..wh.orph").fsx_xflags & FS_XFLAG_PROJINHERIT, 0u);
	expect_no_debris(u.rw);
}

/* Objects with a project move into the union's own directories, or get links there. */
CASE(project_and_housekeeping)
{
	Projects u(true);
	OK(mkdir(u.at("nine/new").c_str(), 0755));
	OK(rmdir(u.at("nine/new").c_str()));
	OK(unlink(u.at("nine/dir/file").c_str()));
	EXPECT_OK(rmdir(u.at("nine/dir").c_str()));
	write_file(u.at("nine/file"), "by one name");
	EXPECT_EQ(read_file(u.at("nine/second")), "by one name");
	EXPECT_EQ(names_in(u.rw + "/.wh..wh.plnk").size(), 1u);
	expect_no_debris(u.rw);
}

/*
 * The new objects of a directory are spread over its parts. They all have the attributes that the upper part hands
 * down, as users see that part.
 */
PARAM_CASE(parts, "upper_has", "lower_has")
{
	Union u;
	string second = u.tmp + "/second", plain = u.tmp + "/plain";
	bool upper = ktap::param() == "upper_has";
	for (const string &dir : {u.top + "/dir", second, second + "/dir", plain})
		make_dir(dir);
	for (const string &dir : {upper ? u.top + "/dir" : second + "/dir", upper ? plain : ""}) {
		if (dir.empty())
			continue;
		set_acl(dir, default_acl, for_alice);
		OK(chown(dir.c_str(), 0, staff));
		OK(chmod(dir.c_str(), 02775));
	}
	u.mount("br=" + u.top + "=rw:" + second + "=rw,create=rr");
	auto make = [](const string &dir, const string &suffix) {
		open_file(dir + "/file" + suffix, O_WRONLY | O_CREAT | O_EXCL, 0666);
		OK(mkdir((dir + "/dir" + suffix).c_str(), 0777));
		OK(mknod((dir + "/fifo" + suffix).c_str(), S_IFIFO | 0666, 0));
		OK(symlink("x", (dir + "/symlink" + suffix).c_str()));
		Fd file = open_file(dir, O_TMPFILE | O_RDWR, 0666);
		OK(linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", int(file)).c_str(), AT_FDCWD,
			  (dir + "/tmpfile" + suffix).c_str(), AT_SYMLINK_FOLLOW));
	};
	umask(027);
	make(plain, "");
	for (const char *suffix : {"1", "2", "3"})
		make(u.at("dir"), suffix);
	umask(022);
	EXPECT_GT(names_in(u.top + "/dir").size(), 3u);
	EXPECT_GT(names_in(second + "/dir").size(), 3u);
	for (const char *name : {"/file", "/dir", "/fifo", "/symlink", "/tmpfile"}) {
		struct stat expected = lstat_of(plain + name);
		for (const char *suffix : {"1", "2", "3"}) {
			string made = u.at("dir") + name + suffix;
			ktap::say(made);
			EXPECT_EQ(lstat_of(made).st_mode, expected.st_mode);
			EXPECT_EQ(lstat_of(made).st_gid, expected.st_gid);
			for (const char *acl : {access_acl, default_acl})
				EXPECT_EQ(get(made, acl), get(plain + name, acl));
		}
	}
}
