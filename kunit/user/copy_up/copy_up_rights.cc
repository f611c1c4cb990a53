// SPDX-License-Identifier: GPL-2.0-only
//
// Copy-up gives no user new rights: setuid files, capabilities, owners that have no id here, and branches whose mount
// gives no rights.

#include "fuse_server.hh"

#include <sched.h>
#include <sys/xattr.h>

#include <linux/capability.h>

static string attribute_of(const string &path, const char *name)
{
	char value[64];
	ssize_t size = lgetxattr(path.c_str(), name, value, sizeof(value));
	return size < 0 ? ktap::errno_name(errno) : string(value, size);
}

static string capability_of(const string &path)
{
	return attribute_of(path, "security.capability");
}

static void set_capability(const string &path)
{
	string value = Server::capability();
	OK(setxattr(path.c_str(), "security.capability", value.data(), value.size(), 0));
}

/* The uid and the permitted capabilities of the program at @path when alice runs it. */
static string rights_of(const string &path)
{
	Output output = {};
	Pipe pipe;
	pid_t child = spawn([&] {
		become(alice);
		OK(dup2(pipe.write, STDOUT_FILENO));
		execl(path.c_str(), "program", "--helper", "rights", nullptr);
		_exit(127);
	});
	pipe.write.reset();
	char block[256];
	for (ssize_t length; (length = read(pipe.read, block, sizeof(block))) > 0;)
		output.text.append(block, length);
	EXPECT_EQ(wait_for(child), 0);
	return output.text;
}

HELPER(rights)
{
	string status = read_file("/proc/self/status");
	size_t at = status.find("CapPrm:\t");
	printf("%d %s", geteuid(), status.substr(at + 8, 16).c_str());
	return 0;
}

static const char *const nothing = "1000 0000000000000000";

/* A copy gives the rights that the branch's file gave, and no more while it is made. */
CASE(kept)
{
	Union u;
	copy_self(u.low + "/suid");
	OK(chmod((u.low + "/suid").c_str(), 06755));
	copy_self(u.low + "/capable");
	set_capability(u.low + "/capable");
	u.mount();
	for (const char *name : {"suid", "capable"})
		OK(utimensat(AT_FDCWD, u.at(name).c_str(), nullptr, 0));
	EXPECT_EQ(stat_of(u.top + "/suid").st_mode & 07777, 06755u);
	EXPECT_EQ(stat_of(u.at("suid")).st_mode & 07777, 06755u);
	EXPECT_EQ(rights_of(u.at("suid")).substr(0, 2), "0 ");
	EXPECT_EQ(capability_of(u.top + "/capable"), Server::capability());
	EXPECT_EQ(rights_of(u.at("capable")), "1000 0000000000000080");
}

/* A user's write takes the rights from the copy, not from the original. */
CASE(taken_by_a_write)
{
	Union u;
	for (const char *name : {"suid", "capable"}) {
		copy_self(u.low + "/" + name);
		OK(chmod((u.low + "/" + name).c_str(), 0777));
	}
	OK(chmod((u.low + "/suid").c_str(), 06777));
	set_capability(u.low + "/capable");
	u.mount();
	as_user(alice, [&] {
		for (const char *name : {"suid", "capable"}) {
			Fd file = open_file(u.at(name), O_WRONLY);
			OK(pwrite(file, "\x7f", 1, 0));
		}
	});
	EXPECT_EQ(stat_of(u.at("suid")).st_mode & 07777, 0777u);
	EXPECT_EQ(stat_of(u.top + "/suid").st_mode & 07777, 0777u);
	EXPECT_EQ(capability_of(u.top + "/capable"), "ENODATA");
	EXPECT_EQ(rights_of(u.at("suid")), nothing);
	EXPECT_EQ(rights_of(u.at("capable")), nothing);
	EXPECT_EQ(stat_of(u.low + "/suid").st_mode & 07777, 06777u);
	EXPECT_EQ(capability_of(u.low + "/capable"), Server::capability());
}

/*
 * A branch on a nosuid mount, as each user's FUSE filesystem is. A file there gives no rights, neither through the
 * union nor as a copy on a branch whose mount gives rights. A user can have it copied up without a right to write to
 * it: a rename in the user's own directory is enough.
 */
PARAM_CASE(nosuid_branch, "rename", "link", "touch", "parts")
{
	Union u;
	string p = ktap::param(), low = u.tmp + "/low";
	make_dir(low);
	Mounted mounted("none", low, "tmpfs", MS_NOSUID, "mode=777");
	make_dir(low + "/dir", 02777);
	for (const char *name : {"suid", "capable"})
		copy_self(low + "/dir/" + name);
	OK(chmod((low + "/dir/suid").c_str(), 06755));
	set_capability(low + "/dir/capable");
	EXPECT_EQ(rights_of(low + "/dir/suid"), nothing);
	u.mount("br=" + u.top + "=rw:" + low + "=ro");
	/* No rights before the copy-up. */
	EXPECT_EQ(rights_of(u.at("dir/suid")), nothing);
	EXPECT_EQ(rights_of(u.at("dir/capable")), nothing);
	for (const char *name : {"suid", "capable"}) {
		string path = u.at("dir/") + name;
		if (p == "rename")
			as_user(alice, [&] { OK(rename(path.c_str(), (path + ".new").c_str())); });
		else if (p == "link")
			OK(link(path.c_str(), (path + ".new").c_str()));
		else
			OK(utimensat(AT_FDCWD, path.c_str(), nullptr, 0));
	}
	string suffix = p == "rename" ? ".new" : "";
	for (const char *name : {"/dir/suid", "/dir/capable"}) {
		for (const string &path : {u.mnt + name + suffix, u.top + name + suffix}) {
			EXPECT_EQ(rights_of(path), nothing);
			EXPECT_EQ(stat_of(path).st_mode & 07777, 0755u);
			EXPECT_EQ(capability_of(path), "ENODATA");
		}
	}
	/* A directory's setgid bit says something else, and stays. */
	EXPECT_EQ(stat_of(u.top + "/dir").st_mode & 07777, 02777u);
	/* The union does not take rights from the copy later: somebody may give it some. */
	OK(chmod((u.at("dir/suid") + suffix).c_str(), 04755));
	EXPECT_EQ(rights_of(u.at("dir/suid") + suffix).substr(0, 2), "0 ");
	u.unmount();
}

/*
 * The same for devices, and a branch on a nodev mount: a device cannot be opened through the union, and there is no
 * copy of it on a branch whose mount grants devices. All the rest is as elsewhere.
 */
CASE(nodev_branch)
{
	Union u;
	string low = u.tmp + "/low", outer = u.tmp + "/outer", rw = u.tmp + "/rw";
	for (const string &dir : {low, outer, rw})
		make_dir(dir);
	Mounted mounted("none", low, "tmpfs", MS_NODEV, "mode=755");
	make_dir(low + "/dir");
	OK(chown((low + "/dir").c_str(), alice.uid, alice.gid));
	for (const char *name : {"/dir/null", "/dir/block", "/dir/fifo", "/dir/other"}) {
		string path = low + name;
		mode_t type = path.ends_with("block") ? S_IFBLK :
			      path.ends_with("fifo")  ? S_IFIFO :
							S_IFCHR;
		OK(mknod(path.c_str(), type | 0666, makedev(1, 3)));
		OK(chmod(path.c_str(), 0666));
		OK(chown(path.c_str(), alice.uid, alice.gid));
	}
	EXPECT_ERR(open((low + "/dir/null").c_str(), O_RDWR), EACCES);
	u.mount("br=" + u.top + "=rw:" + low + "=ro");
	/* A union of the union passes on no more. */
	Mounted above("none", outer, "aufs", 0, "br=" + rw + "=rw:" + u.mnt + "=ro");
	auto expect_none = [&](const string &root) {
		for (const char *name : {"/dir/null", "/dir/block"}) {
			string path = root + name;
			EXPECT_EQ(stat_of(path).st_rdev, makedev(1, 3));
			EXPECT_OK(access(path.c_str(), R_OK | W_OK));
			EXPECT_ERR(open(path.c_str(), O_RDWR), EACCES);
			EXPECT_ERR(chmod(path.c_str(), 0600), EPERM);
			EXPECT_ERR(rename(path.c_str(), (path + ".new").c_str()), EPERM);
			EXPECT_ERR(link(path.c_str(), (path + ".new").c_str()), EPERM);
		}
	};
	for (const string &root : {u.mnt, outer}) {
		as_user(alice, [&] { expect_none(root); });
		expect_none(root);
	}
	for (const char *name : {"/dir/null", "/dir/block"}) {
		EXPECT(!exists(u.top + name));
		EXPECT(!exists(rw + name));
	}
	above.unmount();
	as_user(alice, [&] {
		OK(chmod(u.at("dir/fifo").c_str(), 0600));
		OK(unlink(u.at("dir/null").c_str()));
	});
	EXPECT(exists(u.top + "/dir/fifo"));
	/* The mounter trusts a rw branch. */
	OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, ("mod:" + low + "=rw").c_str()));
	Fd device = open_file(u.at("dir/other"), O_RDWR);
	device.reset();
	u.unmount();
}

/* An object whose owner has no id here is not copied up, and its parents are not copied for it. */
PARAM_CASE(unmapped_owner, "chown", "chown_setuid", "chown_dir", "create")
{
	Union u;
	string p = ktap::param();
	Server server(u.tmp + "/served");
	constexpr unsigned unmapped = ~0U;
	server.faults->file_mode = p == "chown_setuid" ? 04755 : 0755;
	server.faults->short_attributes = true;
	if (p == "chown" || p == "chown_setuid")
		server.faults->file_uid = unmapped;
	else
		server.faults->dir_uid = unmapped;
	u.mount("br=" + u.top + "=rw:" + u.tmp + "/served=ro");
	/* If a bit would go with the owner, the VFS is the first to refuse. */
	if (p == "chown_setuid")
		EXPECT_ERR(chown(u.at("file").c_str(), 0, -1), EPERM);
	else if (p == "chown")
		EXPECT_ERR(chown(u.at("file").c_str(), 0, -1), EOVERFLOW);
	else if (p == "chown_dir")
		EXPECT_ERR(chown(u.at("dir").c_str(), 0, -1), EOVERFLOW);
	else {
		/* The VFS does not let anybody write to an inode whose owner has no id. */
		EXPECT_ERR(mknod(u.at("dir/new").c_str(), S_IFREG | 0644, 0), EACCES);
	}
	for (const char *name : {"file", "dir"})
		EXPECT(!exists(u.top + "/" + name));
	expect_no_debris(u.top);
	u.unmount();
}

/* A user's FUSE filesystem shows a setuid file of root, as in CVE-2023-0386. */
CASE(fuse_that_lies)
{
	Union u;
	Server server(u.tmp + "/served", "", MS_NOSUID | MS_NODEV);
	server.faults->file_mode = 04755;
	server.faults->capability = true;
	u.mount("br=" + u.top + "=rw:" + u.tmp + "/served=ro");
	EXPECT_EQ(stat_of(u.tmp + "/served/file").st_mode & 07777, 04755u);
	EXPECT_EQ(capability_of(u.tmp + "/served/file"), Server::capability());
	OK(utimensat(AT_FDCWD, u.at("file").c_str(), nullptr, 0));
	EXPECT_EQ(stat_of(u.top + "/file").st_mode & 07777, 0755u);
	EXPECT_EQ(capability_of(u.top + "/file"), "ENODATA");
	u.unmount();
}

/* A file capability that a user sets in a user namespace works in that namespace alone, as in CVE-2021-3493. */
CASE(capability_of_a_user_namespace)
{
	Union u;
	copy_self(u.low + "/program");
	OK(chown((u.low + "/program").c_str(), alice.uid, alice.gid));
	u.mount();
	Pipe ready, go;
	pid_t child = spawn([&] {
		become(alice);
		OK(unshare(CLONE_NEWUSER));
		send_byte(ready.write);
		ASSERT(wait_byte(go.read));
		set_capability(u.at("program"));
	});
	ASSERT(wait_byte(ready.read));
	for (const char *map : {"uid_map", "gid_map"})
		write_control(ktap::format("/proc/%d/%s", child, map), "0 1000 1");
	send_byte(go.write);
	EXPECT_EQ(wait_for(child), 0);
	string value = capability_of(u.top + "/program");
	ASSERT_EQ(value.size(), sizeof(vfs_ns_cap_data));
	vfs_ns_cap_data data;
	memcpy(&data, value.data(), sizeof(data));
	EXPECT_EQ(data.magic_etc & VFS_CAP_REVISION_MASK, unsigned(VFS_CAP_REVISION_3));
	EXPECT_EQ(data.rootid, alice.uid);
	EXPECT_EQ(rights_of(u.at("program")), nothing);
	EXPECT_EQ(rights_of(u.top + "/program"), nothing);
}

/*
 * EVM's signature of a file holds for its inode alone, unless it is a portable one. The copy gets only a portable one.
 */
PARAM_CASE(evm, "bound", "portable")
{
	Union u;
	bool portable = ktap::param() == "portable";
	string value = string(1, portable ? 5 : 3) + string(30, 'x');
	write_file(u.low + "/file", "signed");
	if (setxattr((u.low + "/file").c_str(), "security.evm", value.data(), value.size(), 0))
		SKIP("this kernel does not take such signatures: %s",
		     ktap::errno_name(errno).c_str());
	u.mount();
	Fd file = open(u.at("file").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
	EXPECT_OK(int(file));
	EXPECT_EQ(attribute_of(u.top + "/file", "security.evm"), portable ? value : "ENODATA");
	EXPECT_EQ(attribute_of(u.low + "/file", "security.evm"), value);
	/* Where EVM is at work, it refuses this kind. Of the others, it takes none for a stacked filesystem's inode. */
	bool is_judged = setxattr((u.low + "/file").c_str(), "security.evm", "\1x", 2, 0) &&
			 errno == EPERM;
	if (is_judged && kernel().at_least(6, 10))
		EXPECT_ERR(setxattr(u.at("file").c_str(), "security.evm", value.data(),
				    value.size(), 0),
			   EPERM);
}
