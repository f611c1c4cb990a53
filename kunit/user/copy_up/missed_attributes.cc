// SPDX-License-Identifier: GPL-2.0-only
//
// The attributes icex* of branches: a copy may be made without some extended attributes.

#include "disk.hh"

#include <sys/xattr.h>

/* A branch whose filesystem has too little room for the extended attributes of a lower file. */
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
	/* Leave for another class does not help. */
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
	/* The attribute that fits is copied. */
	EXPECT_EQ(getxattr(u.at("file").c_str(), "trusted.small", value, sizeof(value)), 1);
	EXPECT_ERR(getxattr(u.at("file").c_str(), "trusted.big", nullptr, 0), ENODATA);
	/* A remount with other attributes would change the branch. */
	if (p == "upper") {
		string same = "br=" + u.branch.path() + "=rw+icextr:" + u.low + "=ro";
		string other = "br=" + u.branch.path() + "=rw:" + u.low + "=ro";
		EXPECT_ERR(mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, other.c_str()),
			   EINVAL);
		EXPECT_OK(mount("none", u.mnt.c_str(), nullptr, MS_REMOUNT, same.c_str()));
	}
	u.unmount();
}

/* An ACL for many users, larger than the room in a small block. */
static string long_acl()
{
	struct Entry {
		uint16_t tag, perm;
		uint32_t id;
	};
	std::vector<Entry> entries = {{1, 6, ~0U}};
	for (uint32_t user = 0; user < 250; user++)
		entries.push_back({2, 4, 2000 + user});
	entries.insert(entries.end(), {{4, 4, ~0U}, {16, 4, ~0U}, {32, 4, ~0U}});
	uint32_t version = 2;
	string value(reinterpret_cast<char *>(&version), sizeof(version));
	return value +
	       string(reinterpret_cast<char *>(entries.data()), entries.size() * sizeof(Entry));
}

/* Each class allows its own attributes to be missed, and no others. */
PARAM_CASE(each_class, "security.big", "system.posix_acl_access", "trusted.big", "user.big")
{
	Small u;
	string name = ktap::param();
	Disk disk(u.tmp + "/from", 16 << 20);
	make_ext4(disk.name, {"-b", "4096"});
	Mounted from = mount_ext4(disk.name, u.tmp + "/lower");
	write_file(from.path() + "/file", "text");
	string value = name[1] == 'y' ? long_acl() : string(3000, 'x');
	OK(setxattr((from.path() + "/file").c_str(), name.c_str(), value.data(), value.size(), 0));
	for (const char *other : {"security", "system", "trusted", "user", "other"}) {
		string attribute = "+icex" + string(other == string("security") ? "sec" :
						    other == string("system")	? "sys" :
						    other == string("trusted")	? "tr" :
						    other == string("user")	? "usr" :
										  "oth");
		bool is = name.starts_with(other);
		u.mount("br=" + u.branch.path() + "=rw" + attribute + ":" + from.path() + "=ro");
		EXPECT_EQ(chmod(u.at("file").c_str(), 0640) == 0, is);
		EXPECT_EQ(exists(u.branch.path() + "/file"), is);
		if (is) {
			EXPECT_EQ(read_file(u.branch.path() + "/file"), "text");
			EXPECT_ERR(getxattr(u.at("file").c_str(), name.c_str(), nullptr, 0),
				   ENODATA);
			OK(unlink((u.branch.path() + "/file").c_str()));
		}
		u.unmount();
	}
}
