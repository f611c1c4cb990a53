// SPDX-License-Identifier: GPL-2.0-only
//
// Branches that are idmapped mounts: users see other owners than the branch has, and new objects are mapped the other
// way. "Raw" ids are those of the branch without the mapping.
//
// Combinations: tmpfs ext4

#include "acl.hh"
#include "proc.hh"

#include <algorithm>

#include <linux/capability.h>
#include <sched.h>
#include <sys/xattr.h>

/* Raw 0 is root; raw 5000 (group 6000) is alice, and so on. All other ids are unmapped. */
static const char *const usual_uids = "0 0 1\n5000 1000 100\n";
static const char *const usual_gids = "0 0 1\n6000 1000 100\n";
static constexpr unsigned unmapped = 65534; /* shown so by stat */

/* A user namespace with this mapping. */
static Fd user_namespace(const string &uids, const string &gids)
{
	Pipe ready, done;
	pid_t child = spawn([&] {
		done.write.reset();
		OK(unshare(CLONE_NEWUSER));
		send_byte(ready.write);
		wait_byte(done.read);
	});
	ready.write.reset();
	ASSERT(wait_byte(ready.read));
	write_control(ktap::format("/proc/%d/uid_map", child), uids);
	write_control(ktap::format("/proc/%d/gid_map", child), gids);
	Fd ns = open_file(ktap::format("/proc/%d/ns/user", child), O_RDONLY);
	done.write.reset();
	EXPECT_EQ(wait_for(child), 0);
	return ns;
}

static int set_idmap(int tree, int ns)
{
	mount_attr attr = {};
	attr.attr_set = MOUNT_ATTR_IDMAP;
	attr.userns_fd = ns;
	return mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
}

/* Mounts @dir at a new directory of the case, with ids mapped. */
static Mounted idmapped(const Union &u, const string &dir, const char *uids = usual_uids,
			const char *gids = usual_gids)
{
	string target = u.tmp + "/mapped" + std::to_string(names_in(u.tmp).size());
	Fd ns = user_namespace(uids, gids);
	Fd tree = OK(open_tree(AT_FDCWD, dir.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	if (set_idmap(tree, ns)) {
		ASSERT_EQ(ktap::errno_name(errno), "EINVAL");
		ASSERT(!kernel().at_least(6, 3) && on("tmpfs", dir != u.top));
		SKIP("tmpfs of this kernel cannot be idmapped");
	}
	make_dir(target);
	OK(move_mount(tree, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH));
	return Mounted::adopt(target);
}

/* "uid:gid" */
static string owner(const string &path)
{
	struct stat st = lstat_of(path);
	return ktap::format("%u:%u", st.st_uid, st.st_gid);
}

static void own(const string &path, uid_t uid, gid_t gid)
{
	OK(lchown(path.c_str(), uid, gid));
}

static void make_file(const string &path, uid_t uid, gid_t gid, mode_t mode = 0644)
{
	write_file(path, "content", mode);
	own(path, uid, gid);
	OK(chmod(path.c_str(), mode));
}

static string get(const string &path, const char *name)
{
	/* On 6.1 an idmapped mount maps the ids of an ACL only if entries fill the buffer. */
	char value[4 + 512 * 8];
	ssize_t length = lgetxattr(path.c_str(), name, value, sizeof(value));
	return length < 0 ? "(" + ktap::errno_name(errno) + ")" : string(value, length);
}

static int set(const string &path, const char *name, const string &value)
{
	return setxattr(path.c_str(), name, value.data(), value.size(), 0);
}

static constexpr const char *capability = "security.capability";

/* An ACL that gives the owner all but execution, and user @uid and group @gid the @rights. */
static string acl(uint32_t uid, uint32_t gid, uint16_t rights = 4)
{
	return acl({{ACL_USER_OBJ, 6, no_id},
		    {ACL_USER, rights, uid},
		    {ACL_GROUP_OBJ, 0, no_id},
		    {ACL_GROUP, rights, gid},
		    {ACL_MASK, rights, no_id},
		    {ACL_OTHER, 0, no_id}});
}

/* cap_net_raw, permitted and effective, for user namespaces with the root @root. */
static string capability_of_root(uint32_t root)
{
	vfs_ns_cap_data data = {};
	data.magic_etc = VFS_CAP_REVISION_3 | VFS_CAP_FLAGS_EFFECTIVE;
	data.data[0].permitted = 1U << CAP_NET_RAW;
	data.rootid = root;
	return string(reinterpret_cast<const char *>(&data), sizeof(data));
}

PARAM_CASE(owners_are_mapped, "rw", "ro")
{
	Union u;
	bool rw = ktap::param() == "rw";
	const string &branch = rw ? u.top : u.low;
	make_file(branch + "/file", 5000, 6001, 0600);
	make_file(branch + "/group", 5001, 6000, 0640);
	make_file(branch + "/foreign", 7, 8);
	copy_self(branch + "/setuid");
	make_file(branch + "/root", 0, 0);
	OK(symlink("file", (branch + "/symlink").c_str()));
	own(branch + "/symlink", 5002, 6002);
	own(branch + "/setuid", 5001, 6001);
	OK(chmod((branch + "/setuid").c_str(), 04755));
	Mounted mapped = idmapped(u, branch);
	u.mount(rw ? "br=" + mapped.path() + "=rw:" + u.low + "=ro" :
		     "br=" + u.top + "=rw:" + mapped.path() + "=ro");
	EXPECT_EQ(owner(u.at("file")), "1000:1001");
	EXPECT_EQ(owner(u.at("group")), "1001:1000");
	EXPECT_EQ(owner(u.at("root")), "0:0");
	EXPECT_EQ(owner(u.at("symlink")), "1002:1002");
	EXPECT_EQ(owner(u.at("foreign")), ktap::format("%u:%u", unmapped, unmapped));
	EXPECT_EQ(names_in(u.mnt), names_in(branch));
	for (const string &name : names_in(branch))
		EXPECT_EQ(owner(u.at(name)), owner(mapped.path() + "/" + name));
	as_user(alice, [&] {
		EXPECT_EQ(read_file(u.at("file")), "content");
		EXPECT_EQ(read_file(u.at("group")), "content");
		EXPECT_OK(access(u.at("file").c_str(), R_OK | W_OK));
	});
	as_user({5000, 6000, {}}, [&] {
		EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES);
		EXPECT_ERR(open(u.at("group").c_str(), O_RDONLY), EACCES);
	});
	as_user(alice, [&] {
		Output out = run_helper(u.at("setuid"), "effective_user");
		EXPECT_EQ(out.text, "1001");
	});
}

HELPER(effective_user)
{
	printf("%u", geteuid());
	return 0;
}

CASE(chown_goes_both_ways)
{
	Union u;
	make_file(u.top + "/file", 0, 0);
	make_file(u.top + "/foreign", 7, 8);
	Mounted mapped = idmapped(u, u.top);
	u.mount("br=" + mapped.path() + "=rw:" + u.low + "=ro");
	string file = u.at("file");
	OK(chown(file.c_str(), alice.uid, 1001));
	EXPECT_EQ(owner(file), "1000:1001");
	EXPECT_EQ(owner(u.top + "/file"), "5000:6001");
	as_user(alice, [&] {
		EXPECT_OK(chown(file.c_str(), -1, alice.gid));
		EXPECT_OK(chmod(file.c_str(), 0640));
		EXPECT_ERR(chown(file.c_str(), bob.uid, -1), EPERM);
	});
	as_user({5000, 6000, {}}, [&] { EXPECT_ERR(chmod(file.c_str(), 0777), EPERM); });
	EXPECT_EQ(owner(u.top + "/file"), "5000:6000");
	EXPECT_EQ(stat_of(u.top + "/file").st_mode & 07777, 0640u);
	/* A user that has no id on the branch cannot own objects there. */
	EXPECT_ERR(chown(file.c_str(), 2000, -1), EOVERFLOW);
	EXPECT_ERR(chown(file.c_str(), -1, 5000), EOVERFLOW);
	EXPECT_EQ(owner(file), "1000:1000");
	/* An object whose owner has no id here can only be changed by root, and only to another owner. */
	string foreign = u.at("foreign");
	EXPECT_ERR(chmod(foreign.c_str(), 0600), EOVERFLOW);
	EXPECT_ERR(open(foreign.c_str(), O_WRONLY), EACCES);
	EXPECT_ERR(unlink(foreign.c_str()), EOVERFLOW);
	EXPECT_EQ(owner(u.top + "/foreign"), "7:8");
	EXPECT_OK(chown(foreign.c_str(), bob.uid, bob.gid));
	EXPECT_EQ(owner(u.top + "/foreign"), "5001:6001");
	OK(chown(file.c_str(), 0, 0));
	EXPECT_EQ(owner(u.top + "/file"), "0:0");
}

static int make(const string &how, const string &dir)
{
	string path = dir + "/made";
	if (how == "mkdir")
		return mkdir(path.c_str(), 0755);
	if (how == "mknod")
		return mknod(path.c_str(), S_IFIFO | 0644, 0);
	if (how == "symlink")
		return symlink("x", path.c_str());
	int flags = how == "tmpfile" ? O_TMPFILE | O_RDWR : O_CREAT | O_EXCL | O_WRONLY;
	Fd file(open((how == "tmpfile" ? dir : path).c_str(), flags | O_CLOEXEC, 0644));
	if (file < 0 || how != "tmpfile")
		return file < 0 ? -1 : 0;
	return linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", int(file)).c_str(), AT_FDCWD,
		      path.c_str(), AT_SYMLINK_FOLLOW);
}

PARAM_CASE(creator_is_mapped, "open", "mkdir", "mknod", "symlink", "tmpfile")
{
	Union u;
	string how = ktap::param();
	make_dir(u.top + "/alice");
	own(u.top + "/alice", 5000, 6000);
	make_dir(u.top + "/all", 0777);
	Mounted mapped = idmapped(u, u.top);
	u.mount("br=" + mapped.path() + "=rw:" + u.low + "=ro");
	as_user(alice, [&] { EXPECT_OK(make(how, u.at("alice"))); });
	EXPECT_EQ(owner(u.at("alice/made")), "1000:1000");
	EXPECT_EQ(owner(u.top + "/alice/made"), "5000:6000");
	for (const User &user : {User{2000, alice.gid, {}}, User{alice.uid, 2000, {}}})
		as_user(user, [&] { EXPECT_ERR(make(how, u.at("all")), EOVERFLOW); });
	EXPECT_EQ(names_in(u.top + "/all"), std::vector<string>{});
	EXPECT_OK(make(how, u.at("all")));
	EXPECT_EQ(owner(u.top + "/all/made"), "0:0");
}

/* Copies between a mapped branch and one that is not, either way, and between two mapped ones. */
PARAM_CASE(copy_up_keeps_owners, "from", "to", "between")
{
	Union u;
	string p = ktap::param();
	const unsigned uid = p == "to" ? 1000 : 5000, gid = p == "to" ? 1000 : 6000;
	make_dir(u.low + "/dir");
	make_file(u.low + "/dir/file", uid, gid + 1);
	OK(symlink("x", (u.low + "/dir/symlink").c_str()));
	own(u.low + "/dir/symlink", uid + 2, gid + 2);
	OK(mkfifo((u.low + "/dir/fifo").c_str(), 0600));
	own(u.low + "/dir/fifo", uid + 3, gid + 3);
	OK(set(u.low + "/dir/file", access_acl, acl(uid + 1, gid + 4)));
	OK(set(u.low + "/dir", access_acl, acl(uid + 5, gid + 5)));
	OK(set(u.low + "/dir", default_acl, acl(uid + 6, gid + 7)));
	OK(set(u.low + "/dir/file", capability, capability_of_root(uid + 8)));
	own(u.low + "/dir", uid, gid);
	string before = snapshot(u.low);
	Mounted low, top;
	if (p != "to")
		low = idmapped(u, u.low);
	if (p == "to")
		top = idmapped(u, u.top);
	if (p == "between")
		top = idmapped(u, u.top, "0 0 1\n7000 1000 100\n", "0 0 1\n8000 1000 100\n");
	u.mount("br=" + (top ? top.path() : u.top) + "=rw:" + (low ? low.path() : u.low) + "=ro");
	auto expect_users_see = [&] {
		EXPECT_EQ(owner(u.at("dir")), "1000:1000");
		EXPECT_EQ(owner(u.at("dir/file")), "1000:1001");
		EXPECT_EQ(owner(u.at("dir/symlink")), "1002:1002");
		EXPECT_EQ(owner(u.at("dir/fifo")), "1003:1003");
		EXPECT_EQ(get(u.at("dir/file"), access_acl), acl(1001, 1004));
		EXPECT_EQ(get(u.at("dir"), access_acl), acl(1005, 1005));
		EXPECT_EQ(get(u.at("dir"), default_acl), acl(1006, 1007));
		EXPECT_EQ(get(u.at("dir/file"), capability), capability_of_root(1008));
	};
	expect_users_see();
	for (const char *name : {"file", "symlink", "fifo"}) {
		timespec times[2] = {{1000, 0}, {2000, 0}};
		OK(utimensat(AT_FDCWD, u.at(string("dir/") + name).c_str(), times,
			     AT_SYMLINK_NOFOLLOW));
	}
	expect_users_see();
	const unsigned to_uid = p == "from" ? 1000 : p == "to" ? 5000 : 7000;
	const unsigned to_gid = to_uid == 1000 ? 1000 : to_uid + 1000;
	auto raw = [&](unsigned more) {
		return ktap::format("%u:%u", to_uid + more, to_gid + more);
	};
	EXPECT_EQ(owner(u.top + "/dir"), raw(0));
	EXPECT_EQ(owner(u.top + "/dir/file"), ktap::format("%u:%u", to_uid, to_gid + 1));
	EXPECT_EQ(owner(u.top + "/dir/symlink"), raw(2));
	EXPECT_EQ(owner(u.top + "/dir/fifo"), raw(3));
	EXPECT_EQ(get(u.top + "/dir/file", access_acl), acl(to_uid + 1, to_gid + 4));
	EXPECT_EQ(get(u.top + "/dir", access_acl), acl(to_uid + 5, to_gid + 5));
	EXPECT_EQ(get(u.top + "/dir", default_acl), acl(to_uid + 6, to_gid + 7));
	EXPECT_EQ(get(u.top + "/dir/file", capability), capability_of_root(to_uid + 8));
	EXPECT_EQ(snapshot(u.low), before);
}

/* A file is not copied up if an id of its has no counterpart on the rw branch. */
PARAM_CASE(copy_up_of_unmapped, "owner", "group", "acl", "acl_group", "capability")
{
	Union u;
	string p = ktap::param();
	make_file(u.low + "/file", p == "owner" ? 2000 : 1000, p == "group" ? 2000 : 1000);
	if (p.starts_with("acl"))
		OK(set(u.low + "/file", access_acl,
		       acl(p == "acl" ? 2000 : 1000, p == "acl" ? 1000 : 2000)));
	if (p == "capability")
		OK(set(u.low + "/file", capability, capability_of_root(2000)));
	string before = snapshot(u.low);
	Mounted top = idmapped(u, u.top);
	u.mount("br=" + top.path() + "=rw:" + u.low + "=ro");
	EXPECT_ERR(chmod(u.at("file").c_str(), 0600), EOVERFLOW);
	EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY), EOVERFLOW);
	EXPECT_EQ(read_file(u.at("file")), "content");
	EXPECT(!exists(u.top + "/file"));
	expect_no_debris(u.top);
	EXPECT_EQ(snapshot(u.low), before);
}

/* Ids of an idmapped branch that users do not have. */
PARAM_CASE(unmapped_on_the_lower_branch, "owner", "acl")
{
	Union u;
	bool of_owner = ktap::param() == "owner";
	make_file(u.low + "/file", of_owner ? 7 : 5000, 6000);
	if (!of_owner)
		OK(set(u.low + "/file", access_acl, acl(7, 6000)));
	Mounted low = idmapped(u, u.low);
	u.mount("br=" + u.top + "=rw:" + low.path() + "=ro");
	EXPECT_EQ(get(u.at("file"), access_acl), get(low.path() + "/file", access_acl));
	EXPECT_ERR(chmod(u.at("file").c_str(), 0600), EOVERFLOW);
	if (of_owner)
		EXPECT_ERR(chown(u.at("file").c_str(), 0, -1), EOVERFLOW);
	EXPECT(!exists(u.top + "/file"));
	expect_no_debris(u.top);
}

CASE(acl_through_the_mapping)
{
	Union u;
	make_file(u.top + "/file", 5000, 6000, 0600);
	make_dir(u.top + "/dir");
	OK(set(u.top + "/file", access_acl, acl(5001, 6077)));
	OK(set(u.top + "/dir", default_acl, acl(5001, 6077)));
	Mounted mapped = idmapped(u, u.top);
	u.mount("br=" + mapped.path() + "=rw:" + u.low + "=ro");
	string file = u.at("file");
	EXPECT_EQ(get(file, access_acl), acl(1001, 1077));
	EXPECT_EQ(get(u.at("dir"), default_acl), acl(1001, 1077));
	as_user(bob, [&] { EXPECT_EQ(read_file(file), "content"); });
	as_user({2000, 1077, {}}, [&] { EXPECT_EQ(read_file(file), "content"); });
	for (const User &user : {User{5001, 6001, {}}, User{2000, 6077, {}}})
		as_user(user, [&] { EXPECT_ERR(open(file.c_str(), O_RDONLY), EACCES); });
	/* The filesystem's own ACL has not become the mapped one. */
	EXPECT_EQ(get(u.top + "/file", access_acl), acl(5001, 6077));
	as_user(alice, [&] { EXPECT_OK(set(file, access_acl, acl(1002, 1003))); });
	EXPECT_EQ(get(file, access_acl), acl(1002, 1003));
	EXPECT_EQ(get(u.top + "/file", access_acl), acl(5002, 6003));
	as_user({1002, 2000, {}}, [&] { EXPECT_EQ(read_file(file), "content"); });
	as_user(bob, [&] { EXPECT_ERR(open(file.c_str(), O_RDONLY), EACCES); });
	/* The idmapped mount itself answers the same. */
	EXPECT_ERR(set(file, access_acl, acl(2000, 1000)), EINVAL);
	EXPECT_ERR(set(mapped.path() + "/file", access_acl, acl(2000, 1000)), EINVAL);
	EXPECT_EQ(get(u.top + "/file", access_acl), acl(5002, 6003));
	EXPECT_OK(removexattr(file.c_str(), access_acl));
	EXPECT_EQ(get(u.top + "/file", access_acl), "(ENODATA)");
	write_file(u.at("dir/heir"), "");
	EXPECT_EQ(get(u.at("dir/heir"), access_acl), get(mapped.path() + "/dir/heir", access_acl));
	EXPECT_EQ(get(u.at("dir/heir"), access_acl).substr(16, 4), acl(1001, 0).substr(16, 4));
}

/* An RCU walk may not use the ACL in the filesystem's cache, which has raw ids. */
CASE(acl_of_a_directory_on_the_way)
{
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "content");
	OK(chmod((u.low + "/dir").c_str(), 0700));
	OK(set(u.low + "/dir", access_acl, acl(5001, 6077, 5)));
	Mounted mapped = idmapped(u, u.low);
	u.mount("br=" + u.top + "=rw:" + mapped.path() + "=ro");
	string file = u.at("dir/file");
	for (int i = 0; i < 3; i++) {
		as_user(bob, [&] { EXPECT_OK(access(file.c_str(), R_OK)); });
		as_user({2000, 1077, {}}, [&] { EXPECT_OK(access(file.c_str(), R_OK)); });
		for (const User &user : {User{5001, 6001, {}}, User{2000, 6077, {}}})
			as_user(user, [&] { EXPECT_ERR(access(file.c_str(), R_OK), EACCES); });
	}
}

HELPER(nothing)
{
	return 0;
}

CASE(capabilities_through_the_mapping)
{
	Union u;
	for (const char *name : {"mapped", "foreign", "new"})
		copy_self(u.top + "/" + name);
	copy_self(u.low + "/foreign_low");
	OK(set(u.top + "/mapped", capability, capability_of_root(5000)));
	OK(set(u.top + "/foreign", capability, capability_of_root(7)));
	OK(set(u.low + "/foreign_low", capability, capability_of_root(7)));
	Mounted top = idmapped(u, u.top), low = idmapped(u, u.low);
	u.mount("br=" + top.path() + "=rw:" + low.path() + "=ro");
	EXPECT_EQ(get(u.at("mapped"), capability), capability_of_root(1000));
	OK(set(u.at("new"), capability, capability_of_root(1001)));
	EXPECT_EQ(get(u.top + "/new", capability), capability_of_root(5001));
	EXPECT_EQ(get(u.at("new"), capability), capability_of_root(1001));
	EXPECT_ERR(set(u.at("new"), capability, capability_of_root(2000)), EINVAL);
	/* The capabilities are for a root that nobody has here: the program runs without them. */
	for (const char *name : {"foreign", "foreign_low"}) {
		EXPECT_EQ(get(u.at(name), capability), "(ENODATA)");
		EXPECT_EQ(run_helper(u.at(name), "nothing").status, 0);
	}
	OK(chmod(u.at("foreign_low").c_str(), 0700));
	EXPECT_EQ(get(u.top + "/foreign_low", capability), "(ENODATA)");
}

CASE(names_on_the_rw_branch)
{
	Union u;
	make_dir(u.low + "/dir");
	for (const char *name : {"/dir/a", "/dir/b", "/c"})
		make_file(u.low + name, 5000, 6000);
	Mounted top = idmapped(u, u.top), low = idmapped(u, u.low);
	u.mount("br=" + top.path() + "=rw:" + low.path() + "=ro");
	OK(rename(u.at("c").c_str(), u.at("moved").c_str()));
	OK(link(u.at("moved").c_str(), u.at("linked").c_str()));
	OK(unlink(u.at("dir/a").c_str()));
	OK(unlink(u.at("dir/b").c_str()));
	OK(rmdir(u.at("dir").c_str()));
	OK(mkdir(u.at("dir").c_str(), 0755));
	OK(renameat2(AT_FDCWD, u.at("dir").c_str(), AT_FDCWD, u.at("linked").c_str(),
		     RENAME_EXCHANGE));
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"dir", "linked", "moved"}));
	EXPECT_EQ(names_in(u.at("linked")), std::vector<string>{});
	EXPECT_EQ(owner(u.at("moved")), "1000:1000");
	EXPECT_EQ(owner(u.at("dir")), "1000:1000");
	EXPECT_EQ(stat_of(u.at("moved")).st_ino, stat_of(u.at("dir")).st_ino);
	EXPECT(exists(u.top + "/.wh.c"));
	EXPECT_EQ(owner(u.top + "/.wh.c"), "0:0");
	EXPECT_EQ(owner(u.top + "/moved"), "5000:6000");
	std::vector<string> names = names_in(u.mnt);
	u.unmount();
	u.mount("br=" + top.path() + "=rw:" + low.path() + "=ro");
	EXPECT_EQ(names_in(u.mnt), names);
	EXPECT_EQ(owner(u.at("moved")), "1000:1000");
}

/* The mounter has no id on the branch. Whiteouts and copies are made as the mounter. */
CASE(mounter_has_no_id)
{
	Union u;
	make_file(u.low + "/low", 1000, 1000);
	make_file(u.top + "/high", 5000, 6000);
	own(u.top, 5000, 6000);
	Mounted top = idmapped(u, u.top, "5000 1000 100\n", "6000 1000 100\n");
	u.mount("br=" + top.path() + "=rw:" + u.low + "=ro");
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), EOVERFLOW);
	as_user(alice, [&] {
		EXPECT_OK(mkdir(u.at("dir").c_str(), 0755));
		EXPECT_OK(chmod(u.at("high").c_str(), 0600));
		EXPECT_OK(unlink(u.at("high").c_str()));
		EXPECT_ERR(unlink(u.at("low").c_str()), EOVERFLOW);
		EXPECT_ERR(open(u.at("low").c_str(), O_WRONLY), EOVERFLOW);
		EXPECT_EQ(read_file(u.at("low")), "content");
	});
	EXPECT_EQ(owner(u.top + "/dir"), "5000:6000");
	EXPECT_EQ(names_in(u.top), std::vector<string>{"dir"});
}

PARAM_CASE(mapping_reports_the_union, "ro", "rw")
{
	Union u;
	bool rw = ktap::param() == "rw";
	const string &branch = rw ? u.top : u.low;
	make_file(branch + "/file", 5000, 6000);
	Mounted mapped = idmapped(u, branch);
	u.mount(rw ? "br=" + mapped.path() + "=rw:" + u.low + "=ro" :
		     "br=" + u.top + "=rw:" + mapped.path() + "=ro");
	Map map(page_size(), PROT_READ, MAP_SHARED,
		open_file(u.at("file"), rw ? O_RDWR : O_RDONLY));
	EXPECT_EQ(map.text(7), "content");
	/* The union keeps the mapping that it was mounted with. */
	mapped.unmount();
	expect_reported(map.at(), u.at("file"), stat_of(u.at("file")), stat_of(branch + "/file"));
	EXPECT_EQ(owner(u.at("file")), "1000:1000");
}

CASE(the_union_itself_is_not_mapped)
{
	Union u;
	u.mount();
	Fd ns = user_namespace(usual_uids, usual_gids);
	Fd tree = OK(open_tree(AT_FDCWD, u.mnt.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	EXPECT_ERR(set_idmap(tree, ns), EINVAL);
}
