// SPDX-License-Identifier: GPL-2.0-only
//
// Unions and overlays on one another: the outermost filesystem, in which the file was opened, is reported.

#include "proc.hh"

static size_t pages(size_t count)
{
	return count * page_size();
}

/* A union with a second mount point for an inner filesystem. */
struct Setup : Union {
	string inner = tmp + "/inner";

	Setup()
	{
		make_dir(inner);
		write_file(low + "/file", pattern(pages(4)));
		write_file(low + "/mine", pattern(pages(4)));
	}
	string overlay_options(const string &lower)
	{
		make_dirs(top + "/upper");
		make_dirs(top + "/work");
		return "lowerdir=" + lower + ",upperdir=" + top + "/upper,workdir=" + top + "/work";
	}
};

/* maps and the others report @path, and its stat(). They do not show the inner filesystem. */
static void expect_outermost(const Union &u, const Map &map, const string &path,
			     const string &inside)
{
	/* Before 6.8 they show the device and inode of the innermost file. */
	expect_reported(map.at(), path, stat_of(path), stat_of(u.low + "/file"));
	EXPECT(!mentions("maps", inside));
	EXPECT(!mentions("smaps", inside));
	EXPECT_EQ(map.text(100), pattern(100));
}

CASE(aufs_on_aufs)
{
	Setup u;
	Mounted inner("none", u.inner, "aufs", 0, "br=" + u.low + "=ro");
	u.mount("br=" + u.top + "=rw:" + u.inner + "=ro");
	Fd file = open_file(u.at("file"), O_RDONLY);
	Map map(pages(4), PROT_READ, MAP_SHARED, file);
	expect_outermost(u, map, u.at("file"), u.inner);
	Map direct(pages(4), PROT_READ, MAP_SHARED, open_file(u.inner + "/file", O_RDONLY));
	expect_reported(direct.at(), u.inner + "/file", stat_of(u.inner + "/file"),
			stat_of(u.low + "/file"));
	expect_reported(map.at(), u.at("file"), stat_of(u.at("file")), stat_of(u.low + "/file"));
	file.reset();
	map.unmap();
	direct.unmap();
	u.unmount();
	inner.unmount();
}

CASE(aufs_on_aufs_writable)
{
	Setup u;
	write_file(u.top + "/rw", pattern(pages(2)));
	Mounted inner("none", u.inner, "aufs", 0, "br=" + u.top + "=rw");
	u.mount("br=" + u.inner + "=rw:" + u.low + "=ro");
	{
		Map map(pages(2), PROT_READ | PROT_WRITE, MAP_SHARED,
			open_file(u.at("rw"), O_RDWR));
		expect_reported(map.at(), u.at("rw"), stat_of(u.at("rw")), stat_of(u.top + "/rw"));
		map[0] = '!';
		EXPECT_EQ(read_file(u.top + "/rw")[0], '!');
		EXPECT_EQ(read_file(u.inner + "/rw")[0], '!');
		write_file(u.at("new"), "new");
		EXPECT_EQ(read_file(u.top + "/new"), "new");
		OK(rename(u.at("rw").c_str(), u.at("renamed").c_str()));
		expect_reported(map.at(), u.at("renamed"), stat_of(u.at("renamed")),
				stat_of(u.top + "/renamed"));
	}
	u.unmount();
	inner.unmount();
}

CASE(aufs_over_overlay)
{
	Setup u;
	Mounted overlay("none", u.inner, "overlay", 0, u.overlay_options(u.low));
	u.mount("br=" + u.low2 + "=rw:" + u.inner + "=ro");
	Map map(pages(4), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	expect_outermost(u, map, u.at("file"), u.inner);
	map.unmap();
	u.unmount();
	overlay.unmount();
}

CASE(overlay_over_aufs)
{
	Setup u;
	Mounted inner("none", u.inner, "aufs", 0, "br=" + u.low2 + "=rw:" + u.low + "=ro");
	Mounted overlay("none", u.mnt, "overlay", 0, u.overlay_options(u.inner));
	Map map(pages(4), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	for (const char *file : {"maps", "smaps"}) {
		EXPECT_EQ(vma_at(map.at(), file).path, u.at("file"));
		EXPECT(!mentions(file, u.inner));
	}
	EXPECT_EQ(link_target(map_files_name(vma_at(map.at()))), u.at("file"));
	EXPECT_EQ(map.text(100), pattern(100));
	/* A write copies the file from the union to the overlay's upper layer. */
	Fd file = open_file(u.at("mine"), O_RDWR);
	OK(pwrite(file, "!", 1, 0));
	EXPECT_EQ(read_file(u.at("mine"))[0], '!');
	EXPECT_EQ(read_file(u.low + "/mine")[0], pattern(1)[0]);
	file.reset();
	map.unmap();
	overlay.unmount();
	inner.unmount();
}

/* The upper layer of an overlay is on a union. */
CASE(overlay_with_its_upper_layer_on_aufs)
{
	Setup u;
	Mounted inner("none", u.inner, "aufs", 0, "br=" + u.top + "=rw");
	make_dir(u.inner + "/upper");
	make_dir(u.inner + "/work");
	string options = "lowerdir=" + u.low + ",upperdir=" + u.inner +
			 "/upper,workdir=" + u.inner + "/work";
	if (::mount("none", u.mnt.c_str(), "overlay", 0, options.c_str())) {
		/* An overlay may need what aufs does not have (RENAME_WHITEOUT), and refuse it. */
		EXPECT_EQ(ktap::errno_name(errno), "EINVAL");
		inner.unmount();
		SKIP("overlayfs does not take an aufs as its upper layer");
	}
	{
		write_file(u.at("new"), pattern(pages(2)));
		Map map(pages(2), PROT_READ | PROT_WRITE, MAP_SHARED,
			open_file(u.at("new"), O_RDWR));
		EXPECT_EQ(vma_at(map.at()).path, u.at("new"));
		map[0] = '!';
		EXPECT_EQ(read_file(u.top + "/upper/new")[0], '!');
	}
	OK(umount2(u.mnt.c_str(), 0));
	inner.unmount();
}

/* A branch is a bind mount of another union, which is then unmounted. */
CASE(bind_mount_of_a_union_as_a_branch)
{
	Setup u;
	Mounted inner("none", u.inner, "aufs", 0, "br=" + u.low + "=ro");
	make_dir(u.tmp + "/bound");
	Mounted bound(u.inner, u.tmp + "/bound", "", MS_BIND, "");
	u.mount("br=" + u.top + ":" + u.tmp + "/bound");
	bound.unmount();
	Map map(pages(4), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	expect_outermost(u, map, u.at("file"), u.inner);
	map.unmap();
	u.unmount();
	inner.unmount();
}

/* A program runs through two unions: exe and maps name the outer one. */
HELPER(say_own_maps)
{
	printf("exe %s\n%s", link_target("/proc/self/exe").c_str(),
	       read_file("/proc/self/maps").c_str());
	return 0;
}

CASE(exec_through_two_unions)
{
	Setup u;
	copy_self(u.low + "/prog");
	Mounted inner("none", u.inner, "aufs", 0, "br=" + u.low + "=ro");
	u.mount("br=" + u.top + ":" + u.inner);
	Output out = run_helper(u.at("prog"), "say_own_maps");
	EXPECT_EQ(out.status, 0);
	EXPECT_HAS(out.text, "exe " + u.at("prog") + "\n");
	EXPECT_HAS(out.text, " " + u.at("prog") + "\n");
	EXPECT_HAS_NOT(out.text, u.inner);
	EXPECT_HAS_NOT(out.text, u.low);
	u.unmount();
	inner.unmount();
}

/* Fork, split and merge work for nested mappings, and leave no reference. */
CASE(bookkeeping_of_nested_mappings)
{
	Setup u;
	Mounted inner("none", u.inner, "aufs", 0, "br=" + u.low + "=ro");
	u.mount("br=" + u.top + ":" + u.inner);
	{
		Map map(pages(4), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
		for (int i = 0; i < 20; i++) {
			OK(mprotect(map.at(pages(1)), pages(1), PROT_NONE));
			EXPECT_EQ(vmas_of(u.at("file")).size(), 3u);
			EXPECT_EQ(in_child([&] { OK(munmap(map.at(pages(2)), pages(1))); }), 0);
			OK(mprotect(map.at(pages(1)), pages(1), PROT_READ));
			EXPECT_EQ(vmas_of(u.at("file")).size(), 1u);
		}
	}
	u.unmount();
	inner.unmount();
}
