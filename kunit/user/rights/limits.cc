// SPDX-License-Identifier: GPL-2.0-only
//
// How much of a disk a user may use: the mounter's rights give nobody more. fault_space has what is the same on all
// filesystems; here are rights that one filesystem alone asks for.

#include "acl.hh"
#include "disk.hh"

#include <sys/ioctl.h>
#include <sys/xattr.h>

#include <linux/fs.h>

namespace
{

constexpr gid_t shared_group = 77;
constexpr unsigned project = 7;
const User member{alice.uid, alice.gid, {shared_group}};

/* A union whose rw branch is an XFS with quotas. A file of alice's, of 1 MiB, is on the rw branch, another below. */
struct XfsQuota : Union {
	/* mkfs.xfs makes none that is smaller. */
	Disk disk{tmp + "/disk", 300 << 20};
	Mounted mounted;
	string rw = tmp + "/rw";

	XfsQuota()
	{
		make_xfs(disk.name);
		make_dir(rw);
		mounted = Mounted(disk.name, rw, "xfs", 0, "uquota,gquota,pquota");
		for (const string &branch : {rw, low}) {
			make_dir(branch + "/alice");
			string file = branch + "/alice/" + (branch == rw ? "mine" : "lower");
			write_file(file, pattern(1 << 20));
			OK(chown((branch + "/alice").c_str(), alice.uid, alice.gid));
			OK(chown(file.c_str(), alice.uid, alice.gid));
		}
		mount("br=" + rw + "=rw:" + low + "=ro");
	}
	~XfsQuota()
	{
		ktap::guarded([this] {
			unmount();
			mounted.unmount();
		});
	}
	/* A limit of 256 KiB for what @how takes more from; or none again. */
	void limit(const string &how, bool limited) const
	{
		uint64_t blocks = limited ? 256 : 0;
		if (how == "chgrp")
			set_quota(disk.name, QuotaOf::group, shared_group, blocks, 0);
		else if (how == "project")
			set_quota(disk.name, QuotaOf::project, project, blocks, 0);
		else
			set_quota(disk.name, QuotaOf::user, alice.uid, blocks, 0);
	}
};

int give_to_project(const string &path)
{
	Fd file = open_file(path, O_RDONLY);
	fsxattr attributes = {};
	OK(ioctl(file, FS_IOC_FSGETXATTR, &attributes));
	attributes.fsx_projid = project;
	return ioctl(file, FS_IOC_FSSETXATTR, &attributes);
}

/* What alice does in the tree @root. */
int act(const string &how, const string &root)
{
	string mine = root + "/alice/mine", lower = root + "/alice/lower";
	if (how == "chgrp")
		return chown(mine.c_str(), -1, shared_group);
	if (how == "project")
		return give_to_project(mine);
	return chmod(lower.c_str(), 0600);
}

} // namespace

/*
 * On XFS a task with CAP_FOWNER exceeds quotas by an object that gets another owner, group or project. Users have not
 * got it, so they cannot: neither on the branch nor through the union.
 */
PARAM_CASE(xfs_quota, "chgrp", "project", "copy_up")
{
	XfsQuota u;
	string p = ktap::param();
	/* XFS says it so of a project. */
	int error = p == "project" ? ENOSPC : EDQUOT;
	struct stat before = stat_of(u.rw + "/alice/mine");
	u.limit(p, true);
	as_user(member, [&] {
		if (p != "copy_up")
			EXPECT_ERR(act(p, u.rw), error);
		EXPECT_ERR(act(p, u.mnt), error);
	});
	EXPECT_EQ(stat_of(u.rw + "/alice/mine").st_gid, before.st_gid);
	EXPECT(!exists(u.rw + "/alice/lower"));
	EXPECT(read_file(u.at("alice/lower")) == pattern(1 << 20));
	expect_no_debris(u.rw);
	/* Root may, as on the branch. */
	EXPECT_OK(act(p, u.mnt));
	u.limit(p, false);
	as_user(member, [&] { EXPECT_OK(act(p, u.mnt)); });
	if (p == "copy_up")
		EXPECT_EQ(stat_of(u.rw + "/alice/lower").st_uid, alice.uid);
}

/* A quota needs room for the copy alone. For a while, XFS gives files that grow more blocks than they need. */
CASE(xfs_quota_that_suffices)
{
	XfsQuota u;
	/* In KiB: the file that is there, the copy, and half of a copy. */
	set_quota(u.disk.name, QuotaOf::user, alice.uid, 1024 + 1024 + 512, 0);
	as_user(alice, [&] { EXPECT_OK(chmod(u.at("alice/lower").c_str(), 0600)); });
	struct stat copy = stat_of(u.rw + "/alice/lower");
	EXPECT_EQ(copy.st_uid, alice.uid);
	EXPECT_LT(copy.st_blocks, 2 * (1024 + 512));
	EXPECT(read_file(u.at("alice/lower")) == pattern(1 << 20));
}

/* A change of owner on XFS asks for the same rights as elsewhere, and takes the same bits away. */
CASE(xfs_owner)
{
	XfsQuota u;
	as_user(bob, [&] {
		EXPECT_ERR(chown(u.at("alice/mine").c_str(), -1, bob.gid), EPERM);
		EXPECT_ERR(give_to_project(u.at("alice/mine")), EPERM);
		EXPECT_ERR(chmod(u.at("alice/lower").c_str(), 0600), EPERM);
	});
	OK(chmod(u.at("alice/mine").c_str(), 06755));
	as_user(alice, [&] { EXPECT_OK(chown(u.at("alice/mine").c_str(), -1, alice.gid)); });
	EXPECT_EQ(stat_of(u.rw + "/alice/mine").st_mode & 07777, 0755u);
	OK(chown(u.at("alice/mine").c_str(), bob.uid, bob.gid));
	EXPECT_EQ(stat_of(u.at("alice/mine")).st_uid, bob.uid);
	EXPECT_EQ(stat_of(u.rw + "/alice/mine").st_gid, bob.gid);
}

namespace
{

/* Gives @path an attribute or an ACL that no other file has, and that has no room in the inode. */
int give_attribute(const string &path, bool is_acl, unsigned number)
{
	string value;
	if (!is_acl) {
		value = string(1000, 'x') + std::to_string(number);
		return setxattr(path.c_str(), "user.large", value.data(), value.size(), 0);
	}
	std::vector<AclEntry> entries = {{ACL_USER_OBJ, 6, no_id}};
	for (unsigned i = 0; i < 40; i++)
		entries.push_back({ACL_USER, 4, 10000 + 100 * number + i});
	entries.push_back({ACL_GROUP_OBJ, 4, no_id});
	entries.push_back({ACL_MASK, 4, no_id});
	entries.push_back({ACL_OTHER, 0, no_id});
	value = acl(entries);
	return setxattr(path.c_str(), access_acl, value.data(), value.size(), 0);
}

} // namespace

/* An attribute may need a block, too. Users do not get it from those that ext4 reserves for root. */
PARAM_CASE(reserved_for_root, "attribute", "acl")
{
	constexpr int files = 150;
	Union u;
	bool is_acl = ktap::param() == "acl";
	Disk disk(u.tmp + "/disk", 16 << 20);
	make_ext4(disk.name, {"-m", "20", "-b", "4096"});
	string rw = u.tmp + "/rw";
	Mounted mounted = mount_ext4(disk.name, rw);
	make_dir(rw + "/alice");
	OK(chown((rw + "/alice").c_str(), alice.uid, alice.gid));
	u.mount("br=" + rw + "=rw:" + u.low + "=ro");
	auto file = [&](int number) {
		return u.at(ktap::format("alice/%d", number));
	};
	as_user(alice, [&] {
		for (int i = 0; i < files; i++)
			write_file(file(i), "");
		Fd filler = open_file(u.at("alice/filler"), O_WRONLY | O_CREAT);
		string block(1 << 16, 'f');
		for (size_t size = block.size(); size >= 512; size /= 2)
			while (write(filler, block.data(), size) > 0)
				;
		EXPECT_EQ(errno, ENOSPC);
		OK(syncfs(filler));
		/* A few blocks may be left. */
		int given = 0;
		while (given < files && give_attribute(file(given), is_acl, given) == 0)
			given++;
		EXPECT_EQ(errno, ENOSPC);
		EXPECT_LT(given, files / 2);
	});
	/* Root may have them all. */
	for (int i = 0; i < files; i++)
		EXPECT_OK(give_attribute(file(i), is_acl, i));
	u.unmount();
}
