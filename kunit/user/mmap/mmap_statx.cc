// SPDX-License-Identifier: GPL-2.0-only
//
// As the kernel's own selftest for overlayfs, dev_in_maps, does: /proc/PID/maps has to name the device and inode that
// statx(2) gives, for a file of a mount that is attached nowhere, also after its copy-up. On kernels that cannot do
// that (see reports_union_inode()), maps has to name one file, the branch's.

#include "proc.hh"

static Fd detached_union(const string &branches)
{
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	OK(fsconfig(context, FSCONFIG_SET_STRING, "br", branches.c_str(), 0));
	OK(fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0));
	return Fd(OK(fsmount(context, FSMOUNT_CLOEXEC, 0)));
}

static Fd open_in(int tree, const char *name, int flags)
{
	return Fd(OK(openat(tree, name, flags | O_CLOEXEC)));
}

static string by_statx(int fd)
{
	struct statx is;
	OK(statx(fd, "", AT_EMPTY_PATH, STATX_INO, &is));
	return ktap::format("%x:%x %llu", is.stx_dev_major, is.stx_dev_minor,
			    (unsigned long long)is.stx_ino);
}

static string by_maps(const Map &map)
{
	Vma vma = vma_at(map.at());
	return ktap::format("%x:%x %lu", major(vma.device), minor(vma.device), vma.inode);
}

PARAM_CASE(detached_mount, "low", "top")
{
	Union u;
	string name = ktap::param();
	write_file(u.top + "/top", pattern(page_size()));
	write_file(u.low + "/low", pattern(page_size()));
	Fd tree = detached_union(u.top + "=rw:" + u.low + "=ro");
	Fd file = open_in(tree, name.c_str(), O_RDONLY);
	Fd branch = open_file((name == "top" ? u.top : u.low) + "/" + name, O_RDONLY);
	Map map(page_size(), PROT_READ, MAP_SHARED, file);
	EXPECT_EQ(vma_at(map.at()).path, "/" + name);
	EXPECT_EQ(by_maps(map), by_statx(reports_union_inode() ? file : branch));
	/* Only the mapping holds the mount. */
	file.reset();
	tree.reset();
	EXPECT_EQ(map.text(100), pattern(100));
	EXPECT_EQ(vma_at(map.at()).path, "/" + name);
}

/* Two mappings, one from before the copy-up and one from after it, are of one file. */
PARAM_CASE(across_copy_up, "shared", "private")
{
	Union u;
	int flags = ktap::param() == "shared" ? MAP_SHARED : MAP_PRIVATE;
	write_file(u.low + "/file", pattern(page_size()));
	Fd tree = detached_union(u.top + "=rw:" + u.low + "=ro");
	Fd reader = open_in(tree, "file", O_RDONLY);
	Map before(page_size(), PROT_READ, flags, reader);
	string was = by_statx(reader);
	Fd writer = open_in(tree, "file", O_RDWR);
	Map after(page_size(), PROT_READ | PROT_WRITE, flags, writer);
	after[0] = '!';
	EXPECT_EQ(by_statx(reader), was);
	EXPECT_EQ(by_statx(writer), was);
	EXPECT_EQ(vma_at(before.at()).path, "/file");
	EXPECT_EQ(vma_at(after.at()).path, "/file");
	if (reports_union_inode()) {
		EXPECT_EQ(by_maps(before), was);
		EXPECT_EQ(by_maps(after), was);
	} else {
		EXPECT_EQ(by_maps(before), by_statx(open_file(u.low + "/file", O_RDONLY)));
		EXPECT_EQ(by_maps(after), by_statx(open_file(u.top + "/file", O_RDONLY)));
	}
	EXPECT_EQ(before.text(100), pattern(100));
	EXPECT_EQ(read_file(u.low + "/file"), pattern(page_size()));
}
