// SPDX-License-Identifier: GPL-2.0-only
//
// Which users may read and change which extended attributes. A change that is refused changes nothing.
//
// Combinations: tmpfs ext4 xfs

#include "acl.hh"
#include "fuse_server.hh"

#include <sys/xattr.h>

namespace
{

const User root{0, 0, {}};

string set(const string &path, const char *name, int flags = 0)
{
	return lsetxattr(path.c_str(), name, "value", 5, flags) ? ktap::errno_name(errno) : "fine";
}

string take(const string &path, const char *name)
{
	return lremovexattr(path.c_str(), name) ? ktap::errno_name(errno) : "fine";
}

string get(const string &path, const char *name)
{
	char value[64];
	ssize_t size = lgetxattr(path.c_str(), name, value, sizeof(value));
	return size < 0 ? ktap::errno_name(errno) : string(value, size);
}

} // namespace

/* Removing an absent attribute, and making one that is there, fails as on the branch and copies nothing up. */
PARAM_CASE(nothing_to_do, "file", "dir", "symlink")
{
	Union u;
	string name = ktap::param();
	write_file(u.low + "/file", "");
	make_dir(u.low + "/dir");
	OK(symlink("nowhere", (u.low + "/symlink").c_str()));
	OK(lsetxattr((u.low + "/" + name).c_str(), "trusted.here", "x", 1, 0));
	u.mount();
	string path = u.at(name);
	EXPECT_EQ(take(path, "trusted.absent"), "ENODATA");
	EXPECT_EQ(set(path, "trusted.absent", XATTR_REPLACE), "ENODATA");
	EXPECT_EQ(set(path, "trusted.here", XATTR_CREATE), "EEXIST");
	EXPECT_EQ(take(path, "security.absent"), "ENODATA");
	/* Every filesystem removes an absent ACL with success. */
	if (name != "symlink")
		EXPECT_EQ(take(path, access_acl), "fine");
	if (name == "dir")
		EXPECT_EQ(take(path, default_acl), "fine");
	EXPECT_EQ(get(path, "trusted.here"), "x");
	EXPECT_EQ(names_in(u.top), std::vector<string>{});
	/* A change that can be made is made. */
	EXPECT_EQ(set(path, "trusted.absent", XATTR_CREATE), "fine");
	EXPECT_EQ(set(path, "trusted.here", XATTR_REPLACE), "fine");
	EXPECT_EQ(get(u.top + "/" + name, "trusted.here"), "value");
	EXPECT_EQ(take(path, "trusted.absent"), "fine");
	EXPECT_EQ(take(path, "trusted.absent"), "ENODATA");
	EXPECT_EQ(get(u.low + "/" + name, "trusted.here"), "x");
}

/* Root, the owner and another user use each namespace: the answers are those for the branch's own file. */
PARAM_CASE(namespaces, "user.x", "trusted.x", "security.x", "system.x", "other.x")
{
	Union u;
	string p = ktap::param();
	const char *name = p.c_str();
	for (const char *file : {"/rw", "/plain"})
		write_file(u.top + file, "", 0644);
	write_file(u.low + "/low", "", 0644);
	for (const string &path : {u.top + "/rw", u.top + "/plain", u.low + "/low"})
		OK(chown(path.c_str(), alice.uid, alice.gid));
	u.mount();
	for (const User &user : {bob, alice, root}) {
		as_user(user, [&] {
			ktap::say(ktap::format("user %u", user.uid));
			string expected = set(u.top + "/plain", name);
			string got = get(u.top + "/plain", name);
			string taken = take(u.top + "/plain", name);
			/* Here the VFS does not check, but the union does. */
			if (p == "system.x" && user.uid == bob.uid)
				expected = taken = "EPERM";
			EXPECT_EQ(set(u.at("rw"), name), expected);
			EXPECT_EQ(get(u.at("rw"), name), got);
			EXPECT_EQ(take(u.at("rw"), name), taken);
			if (expected == "fine")
				return;
			EXPECT_EQ(set(u.at("low"), name), expected);
			if (user.uid == bob.uid)
				EXPECT(!exists(u.top + "/low"));
		});
	}
}

/* A server that checks rights itself has to see the caller. */
CASE(system_attributes_of_a_server)
{
	Union u;
	Server server(u.tmp + "/served");
	Faults &seen = *server.faults;
	seen.file_mode = 0666;
	seen.file_uid = alice.uid;
	u.mount("br=" + u.tmp + "/served=rw");
	as_user(bob, [&] { EXPECT_EQ(set(u.at("file"), "system.x"), "EPERM"); });
	as_user(bob, [&] { EXPECT_EQ(take(u.at("file"), "system.x"), "EPERM"); });
	EXPECT_EQ(seen.xattr_writes, 0);
	as_user(bob, [&] { get(u.at("file"), "system.x"); });
	EXPECT_EQ(seen.xattr_reader, bob.uid);
	for (const User &user : {alice, root}) {
		as_user(user, [&] { EXPECT_EQ(set(u.at("file"), "system.x"), "fine"); });
		EXPECT_EQ(seen.xattr_writer, user.uid);
		as_user(user, [&] { EXPECT_EQ(take(u.at("file"), "system.x"), "fine"); });
		EXPECT_EQ(seen.xattr_writer, user.uid);
	}
	EXPECT_EQ(seen.xattr_writes, 4);
	/* The same for a name whose namespace the VFS does not know. */
	as_user(bob, [&] { EXPECT_EQ(set(u.at("file"), "other.x"), "fine"); });
	EXPECT_EQ(seen.xattr_writer, bob.uid);
	/* If the union checks, the server sees the mounter. */
	as_user(bob, [&] { EXPECT_EQ(set(u.at("file"), "user.x"), "fine"); });
	EXPECT_EQ(seen.xattr_writer, 0u);
	u.unmount();
}
