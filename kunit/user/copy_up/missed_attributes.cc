// SPDX-License-Identifier: GPL-2.0-only
//
// The attributes icex* of branches: a copy may do without some extended attributes.

#include "disk.hh"

#include <sys/xattr.h>

/* A branch whose attributes have too little room for what a lower file has. */
struct Small : Union {
	Small() : disk(tmp + "/disk", 16 << 20)
	{
		make_ext4(disk.name, {"-I", "128", "-b", "1024"});
		branch = mount_ext4(disk.name, tmp + "/branch");
		write_file(low + "/file", "text");
		string big(3000, 'x');
		OK(setxattr((low + "/file").c_str(), "trusted.big", big.data(), big.size(), 0));
		OK(setxattr((low + "/file").c_str(), "trusted.small", "y", 1, 0));
	}
	int mount_and_change(const string &upper, const string &lower)
	{
		mount("br=" + branch.path() + "=rw" + upper + ":" + low + "=ro" + lower);
		int result = chmod(at("file").c_str(), 0600) ? errno : 0;
		EXPECT_EQ(shown_branches(mnt),
			  branch.path() + "=rw" + upper + ":" + low + "=ro" + lower);
		return result;
	}

	Disk disk;
	Mounted branch;
};

CASE(attributes_are_not_missed)
{
	Small u;
	EXPECT_NE(u.mount_and_change("", ""), 0);
	EXPECT_EQ(read_file(u.at("file")), "text");
	EXPECT(!exists(u.branch.path() + "/file"));
	u.unmount();
	/* Another class does not help. */
	EXPECT_NE(u.mount_and_change("+icexusr", "+icexsec"), 0);
	u.unmount();
}

PARAM_CASE(attributes_may_be_missed, "upper", "lower", "all")
{
	Small u;
	string p = ktap::param();
	EXPECT_EQ(ktap::errno_name(u.mount_and_change(p == "upper" ? "+icextr" :
						      p == "all"   ? "+icex" :
								     "",
						      p == "lower" ? "+icextr" : "")),
		  "0");
	EXPECT_EQ(read_file(u.branch.path() + "/file"), "text");
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 0777, 0600u);
	char value[10];
	/* What can be copied is. */
	EXPECT_EQ(getxattr(u.at("file").c_str(), "trusted.small", value, sizeof(value)), 1);
	EXPECT_ERR(getxattr(u.at("file").c_str(), "trusted.big", nullptr, 0), ENODATA);
	/* A remount that says it differently would change the branch. */
	if (p == "upper") {
		string same = "br=" + u.branch.path() + "=rw+icextr:" + u.low + "=ro";
		string other = "br=" + u.branch.path() + "=rw:" + u.low + "=ro";
		EXPECT_ERR(mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, other.c_str()),
			   EINVAL);
		EXPECT_OK(mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, same.c_str()));
	}
	u.unmount();
}
