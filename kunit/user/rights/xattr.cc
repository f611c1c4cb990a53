// SPDX-License-Identifier: GPL-2.0-only
//
// Extended attributes and POSIX ACLs, as raw xattrs.
//
// Combinations: tmpfs ext4 xfs

#include "acl.hh"

#include <algorithm>

#include <sys/xattr.h>

static string get(const string &path, const char *name, bool *there = nullptr)
{
	char value[65536];
	ssize_t length = getxattr(path.c_str(), name, value, sizeof(value));
	if (there)
		*there = length >= 0;
	return length < 0 ? "(" + ktap::errno_name(errno) + ")" : string(value, length);
}

static int set(const string &path, const char *name, const string &value, int flags = 0)
{
	return setxattr(path.c_str(), name, value.data(), value.size(), flags);
}

static std::vector<string> list(const string &path)
{
	char names[65536];
	ssize_t length = OK(listxattr(path.c_str(), names, sizeof(names)));
	std::vector<string> found;
	for (ssize_t at = 0; at < length; at += strlen(names + at) + 1)
		found.push_back(names + at);
	std::sort(found.begin(), found.end());
	return found;
}

/* user.* if the branch's filesystem has it (tmpfs only since 6.6), else trusted.*. */
static const char *usable(const string &branch)
{
	string probe = branch + "/probe";
	write_file(probe, "");
	int result = set(probe, "user.probe", "x");
	OK(unlink(probe.c_str()));
	return result ? "trusted.name" : "user.name";
}

CASE(read_from_every_branch)
{
	Union u;
	const char *top = usable(u.top), *low = usable(u.low);
	write_file(u.top + "/t", "");
	write_file(u.low + "/l", "");
	make_dir(u.low + "/dir");
	OK(set(u.top + "/t", top, "on top"));
	OK(set(u.low + "/l", low, string("with\0zero", 9)));
	OK(set(u.low + "/dir", low, ""));
	u.mount();
	EXPECT_EQ(get(u.at("t"), top), "on top");
	EXPECT_EQ(get(u.at("l"), low), string("with\0zero", 9));
	EXPECT_EQ(get(u.at("dir"), low), "");
	EXPECT_EQ(get(u.at("l"), "user.missing"), get(u.low + "/l", "user.missing"));
	auto names = list(u.at("l"));
	EXPECT_EQ(names, list(u.low + "/l"));
	EXPECT_EQ(std::count(names.begin(), names.end(), low), 1);
	char small[2];
	EXPECT_ERR(getxattr(u.at("l").c_str(), low, small, sizeof(small)), ERANGE);
	EXPECT_EQ(getxattr(u.at("l").c_str(), low, nullptr, 0), 9);
	EXPECT_ERR(listxattr(u.at("l").c_str(), small, sizeof(small)), ERANGE);
}

CASE(set_and_remove_on_the_rw_branch)
{
	Union u;
	const char *name = usable(u.top);
	make_dir(u.top + "/dir");
	write_file(u.top + "/file", "");
	u.mount();
	for (const char *entry : {"dir", "file"}) {
		string path = u.at(entry);
		EXPECT_OK(set(path, name, "one", XATTR_CREATE));
		EXPECT_ERR(set(path, name, "two", XATTR_CREATE), EEXIST);
		EXPECT_OK(set(path, name, "two", XATTR_REPLACE));
		EXPECT_EQ(get(path, name), "two");
		EXPECT_EQ(get(u.top + "/" + entry, name), "two");
		EXPECT_OK(removexattr(path.c_str(), name));
		EXPECT_EQ(get(path, name), "(ENODATA)");
		EXPECT_EQ(get(u.top + "/" + entry, name), "(ENODATA)");
		EXPECT_ERR(removexattr(path.c_str(), name), ENODATA);
		EXPECT_ERR(set(path, name, "three", XATTR_REPLACE), ENODATA);
	}
	Fd file = open_file(u.at("file"), O_RDWR);
	EXPECT_OK(fsetxattr(file, name, "by fd", 5, 0));
	EXPECT_EQ(get(u.at("file"), name), "by fd");
	EXPECT_OK(fremovexattr(file, name));
}

CASE(lower_file_is_copied)
{
	Union u;
	const char *name = usable(u.top);
	write_file(u.low + "/file", "");
	OK(set(u.low + "/file", name, "low"));
	u.mount();
	string before = snapshot(u.low);
	EXPECT_OK(set(u.at("file"), "trusted.other", "new"));
	EXPECT_EQ(get(u.at("file"), name), "low");
	EXPECT_EQ(get(u.top + "/file", name), "low");
	EXPECT_OK(removexattr(u.at("file").c_str(), name));
	EXPECT_ERR(getxattr(u.at("file").c_str(), name, nullptr, 0), ENODATA);
	EXPECT_EQ(snapshot(u.low), before);
}

/* Users do not see or change the union's own attributes. */
CASE(own_attributes_are_hidden)
{
	Union u;
	write_file(u.low + "/file", "");
	u.mount();
	OK(chmod(u.at("file").c_str(), 0600));
	EXPECT_ERR(getxattr(u.at("file").c_str(), "trusted.aufs.origin", nullptr, 0), ENODATA);
	EXPECT_ERR(set(u.at("file"), "trusted.aufs.origin", "x"), EPERM);
	EXPECT_ERR(removexattr(u.at("file").c_str(), "trusted.aufs.origin"), EPERM);
	char list[4096];
	ssize_t size = OK(listxattr(u.at("file").c_str(), list, sizeof(list)));
	EXPECT_EQ(string(list, size).find("trusted.aufs"), string::npos);
}

/* Only root has trusted.*, and everyone can read security.*, in the union as on the branch. */
CASE(trusted_and_security)
{
	Union u;
	write_file(u.low + "/file", "");
	write_file(u.top + "/mine", "");
	write_file(u.top + "/plain", "");
	OK(set(u.low + "/file", "trusted.secret", "t"));
	OK(set(u.low + "/file", "security.label", "s"));
	u.mount();
	EXPECT_EQ(get(u.at("file"), "trusted.secret"), "t");
	EXPECT_EQ(get(u.at("file"), "security.label"), "s");
	EXPECT_EQ(list(u.at("file")), list(u.low + "/file"));
	as_user(alice, [&] {
		bool there;
		get(u.at("file"), "trusted.secret", &there);
		EXPECT(!there);
		EXPECT_EQ(get(u.at("file"), "security.label"), "s");
		auto names = list(u.at("file"));
		EXPECT_EQ(std::count(names.begin(), names.end(), "trusted.secret"), 0);
		EXPECT_EQ(names, list(u.low + "/file"));
		EXPECT_ERR(set(u.at("mine"), "trusted.x", "t"), EPERM);
		/* Security modules decide who may set it: the answer is the branch's. */
		int expected = set(u.top + "/plain", "security.x", "t") ? errno : 0;
		int result = set(u.at("mine"), "security.x", "t") ? errno : 0;
		ktap::say("setting security.x on the branch: " + ktap::errno_name(expected));
		EXPECT_EQ(ktap::errno_name(result), ktap::errno_name(expected));
	});
}

CASE(user_attribute_needs_rights)
{
	Union u;
	if (string(usable(u.top)) != "user.name")
		SKIP("%s of this kernel has no user.* attributes", ktap::env("AUFS_COMBO"));
	write_file(u.top + "/file", "");
	write_file(u.top + "/private", "", 0600);
	OK(set(u.top + "/private", "user.name", "x"));
	u.mount();
	as_user(alice, [&] {
		EXPECT_ERR(set(u.at("file"), "user.name", "x"), EACCES);
		EXPECT_EQ(get(u.at("private"), "user.name"), "(EACCES)");
	});
	OK(chown(u.at("file").c_str(), alice.uid, -1));
	as_user(alice, [&] { EXPECT_OK(set(u.at("file"), "user.name", "mine")); });
	EXPECT_EQ(get(u.top + "/file", "user.name"), "mine");
}

CASE(large_value)
{
	Union u;
	const char *name = usable(u.top);
	string value = pattern(2000);
	write_file(u.top + "/file", "");
	u.mount();
	EXPECT_OK(set(u.at("file"), name, value));
	EXPECT_EQ(get(u.at("file"), name), value);
	EXPECT_EQ(get(u.top + "/file", name), value);
	string over(70000, 'x');
	EXPECT_ERR(set(u.at("file"), name, over), E2BIG);
}

/* An ACL: rw for the owner, @perm for @user, no rights for others. */
static string acl_for(uid_t user, uint16_t perm)
{
	return acl({{ACL_USER_OBJ, 6, no_id},
		    {ACL_USER, perm, user},
		    {ACL_GROUP_OBJ, 0, no_id},
		    {ACL_MASK, perm, no_id},
		    {ACL_OTHER, 0, no_id}});
}

CASE(acl_of_a_lower_file_decides)
{
	Union u;
	write_file(u.low + "/file", "content", 0600);
	OK(set(u.low + "/file", access_acl, acl_for(alice.uid, 4)));
	u.mount();
	EXPECT_EQ(get(u.at("file"), access_acl), acl_for(alice.uid, 4));
	as_user(alice, [&] { EXPECT_EQ(read_file(u.at("file")), "content"); });
	as_user(bob, [&] { EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES); });
	string before = snapshot(u.low);
	EXPECT_OK(set(u.at("file"), access_acl, acl_for(bob.uid, 4)));
	as_user(bob, [&] { EXPECT_EQ(read_file(u.at("file")), "content"); });
	as_user(alice, [&] { EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES); });
	EXPECT_EQ(snapshot(u.low), before);
}

CASE(acl_set_through_the_union)
{
	Union u;
	u.mount();
	write_file(u.at("file"), "content", 0600);
	as_user(alice, [&] { EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES); });
	OK(set(u.at("file"), access_acl, acl_for(alice.uid, 6)));
	EXPECT_EQ(get(u.top + "/file", access_acl), acl_for(alice.uid, 6));
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 0777, 0660u);
	as_user(alice, [&] {
		Fd file = open_file(u.at("file"), O_RDWR);
		EXPECT_EQ(OK(pwrite(file, "C", 1, 0)), 1);
	});
	as_user(bob, [&] { EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES); });
	/* chmod changes the mask of the ACL. */
	OK(chmod(u.at("file").c_str(), 0600));
	as_user(alice, [&] { EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES); });
	OK(chmod(u.at("file").c_str(), 0640));
	as_user(alice, [&] {
		EXPECT_EQ(read_file(u.at("file")), "Content");
		EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY), EACCES);
	});
	OK(removexattr(u.at("file").c_str(), access_acl));
	as_user(alice, [&] { EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES); });
	EXPECT_EQ(get(u.top + "/file", access_acl), "(ENODATA)");
}

CASE(acl_needs_the_owner)
{
	Union u;
	u.mount();
	write_file(u.at("file"), "content", 0644);
	as_user(alice, [&] {
		EXPECT_ERR(set(u.at("file"), access_acl, acl_for(alice.uid, 6)), EPERM);
		EXPECT_ERR(removexattr(u.at("file").c_str(), access_acl), EPERM);
	});
	EXPECT_ERR(set(u.at("file"), access_acl, acl_for(alice.uid, 6) + "rest"), EINVAL);
	EXPECT_ERR(set(u.at("file"), default_acl, acl_for(alice.uid, 6)), EACCES);
}

/* The attribute in which XFS keeps an ACL is not copied; the ACL itself is. */
CASE(acl_of_xfs_elsewhere)
{
	if (!on("xfs", true) || on("xfs"))
		SKIP("the lower branch alone has to be on XFS");
	Union u;
	write_file(u.low + "/file", "x");
	OK(set(u.low + "/file", access_acl, acl_for(alice.uid, 4)));
	EXPECT_NE(get(u.low + "/file", "trusted.SGI_ACL_FILE"), "(ENODATA)");
	u.mount();
	OK(utimensat(AT_FDCWD, u.at("file").c_str(), nullptr, 0));
	EXPECT_EQ(get(u.top + "/file", access_acl), acl_for(alice.uid, 4));
	EXPECT_EQ(get(u.top + "/file", "trusted.SGI_ACL_FILE"), "(ENODATA)");
}

PARAM_CASE(symlinks_have_no_acl, "top", "low")
{
	Union u;
	OK(symlink("x", ((ktap::param() == "top" ? u.top : u.low) + "/link").c_str()));
	u.mount();
	string value = acl_for(alice.uid, 6);
	for (const char *name : {access_acl, default_acl}) {
		EXPECT_ERR(lsetxattr(u.at("link").c_str(), name, value.data(), value.size(), 0),
			   EOPNOTSUPP);
		EXPECT_ERR(lremovexattr(u.at("link").c_str(), name), EOPNOTSUPP);
	}
}

/* A user outside the file's group that sets an ACL takes set-group-ID away, as on the branch itself. */
PARAM_CASE(acl_and_setgid, "of_another_group", "of_the_group")
{
	Union u;
	bool member = ktap::param() == "of_the_group";
	for (const char *name : {"/file", "/plain"}) {
		write_file(u.top + name, "");
		OK(chown((u.top + name).c_str(), alice.uid, 77));
		OK(chmod((u.top + name).c_str(), 02755));
	}
	u.mount();
	as_user({alice.uid, alice.gid, {member ? 77u : 78u}}, [&] {
		OK(set(u.top + "/plain", access_acl, acl_for(bob.uid, 4)));
		OK(set(u.at("file"), access_acl, acl_for(bob.uid, 4)));
	});
	mode_t expected = S_IFREG | (member ? 02640 : 0640);
	EXPECT_EQ(stat_of(u.top + "/plain").st_mode, expected);
	EXPECT_EQ(stat_of(u.top + "/file").st_mode, expected);
	EXPECT_EQ(stat_of(u.at("file")).st_mode, expected);
	EXPECT_EQ(get(u.at("file"), access_acl), get(u.top + "/plain", access_acl));
}

/*
 * A default ACL takes the place of the umask, once: applied twice (by us and by the branch) the
 * result would differ from what the branch alone makes of it.
 */
PARAM_CASE(default_acl_is_applied_once, "open", "mkdir", "mknod", "tmpfile")
{
	Union u;
	make_dir(u.top + "/dir");
	make_dir(u.tmp + "/plain");
	OK(set(u.top + "/dir", default_acl, acl_for(alice.uid, 6)));
	u.mount();
	EXPECT_EQ(get(u.at("dir"), default_acl), acl_for(alice.uid, 6));
	auto make = [](const string &dir) {
		string path = dir + "/made", p = ktap::param();
		if (p == "open")
			open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
		else if (p == "mkdir")
			OK(mkdir(path.c_str(), 0777));
		else if (p == "mknod")
			OK(mknod(path.c_str(), S_IFIFO | 0666, 0));
		else {
			Fd file = open_file(dir, O_TMPFILE | O_RDWR, 0666);
			OK(linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", int(file)).c_str(),
				  AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW));
		}
		return path;
	};
	umask(077);
	string through = make(u.at("dir"));
	struct stat st = stat_of(through);
	string first = get(through, access_acl), inherited = get(through, default_acl);
	EXPECT_EQ(get(u.top + "/dir/made", access_acl), first);
	OK(rename(through.c_str(), u.at("dir/through").c_str()));
	string direct = make(u.top + "/dir");
	EXPECT_EQ(st.st_mode, stat_of(direct).st_mode);
	EXPECT_EQ(first, get(direct, access_acl));
	EXPECT_EQ(inherited, get(direct, default_acl));
	EXPECT_NE(first, "(ENODATA)");
}

PARAM_CASE(umask_is_applied_once, "000", "022", "077", "027")
{
	Union u;
	u.mount();
	mode_t mask = std::stoul(ktap::param(), nullptr, 8);
	umask(mask);
	open_file(u.at("file"), O_WRONLY | O_CREAT, 0666);
	OK(mkdir(u.at("dir").c_str(), 0777));
	OK(mknod(u.at("fifo").c_str(), S_IFIFO | 0666, 0));
	EXPECT_EQ(stat_of(u.top + "/file").st_mode & 0777, 0666u & ~mask);
	EXPECT_EQ(stat_of(u.top + "/dir").st_mode & 0777, 0777u & ~mask);
	EXPECT_EQ(stat_of(u.at("fifo")).st_mode & 0777, 0666u & ~mask);
	umask(022);
}

CASE(symlink_attributes)
{
	Union u;
	OK(symlink("nowhere", (u.low + "/symlink").c_str()));
	OK(lsetxattr((u.low + "/symlink").c_str(), "trusted.name", "link", 4, 0));
	u.mount();
	char value[10];
	ASSERT_EQ(lgetxattr(u.at("symlink").c_str(), "trusted.name", value, sizeof(value)), 4);
	EXPECT_EQ(string(value, 4), "link");
	EXPECT_ERR(getxattr(u.at("symlink").c_str(), "trusted.name", value, sizeof(value)), ENOENT);
}

/* A program's file capabilities are an xattr: execve() through the union honours them. */
HELPER(show_capabilities)
{
	string status = read_file("/proc/self/status");
	printf("%s\n", status.substr(status.find("CapEff:"), 24).c_str());
	return 0;
}

CASE(file_capabilities)
{
	Union u;
	copy_self(u.low + "/prog");
	/* struct vfs_cap_data, revision 2, effective: CAP_NET_RAW (13) permitted */
	uint32_t data[5] = {0x02000001, 1u << 13, 0, 0, 0};
	OK(setxattr((u.low + "/prog").c_str(), "security.capability", data, sizeof(data), 0));
	u.mount();
	as_user(alice, [&] {
		Output out = run_helper(u.at("prog"), "show_capabilities");
		EXPECT_EQ(out.status, 0);
		EXPECT_HAS(out.text, "CapEff:\t0000000000002000");
	});
}
