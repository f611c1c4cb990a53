// SPDX-License-Identifier: GPL-2.0-only
//
// Each lock is taken in each way, also on unions of unions. On the debug kernel (KERNELS=debug) lockdep reports any
// second order, and needs no two tasks at one time for that. On other kernels the cases show that the operations work
// there.

#include "fixture.hh"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

#include <linux/fs.h>

/* Makes the files of the lowest branch. */
static void fill(const string &low)
{
	for (const char *dir : {"/a", "/b", "/a/sub"})
		make_dir(low + dir);
	for (const char *name : {"opened", "cut", "chmod", "xattr", "renamed", "over", "linked",
				 "removed", "exchanged", "mapped", "spliced", "sent"})
		for (const char *dir : {"/a/", "/b/"})
			write_file(low + dir + name, pattern(8192));
	OK(link((low + "/a/linked").c_str(), (low + "/b/linked-").c_str()));
}

static void read_all(const string &dir)
{
	names_in(dir);
	names_in(dir + "/a");
	names_in(dir + "/b");
}

static void splice_in(const string &to)
{
	Pipe pipe;
	OK(write(pipe.write, "spliced", 7));
	Fd out = open_file(to, O_WRONLY);
	EXPECT_EQ(splice(pipe.read, nullptr, out, nullptr, 7, 0), 7);
	out.reset();
	Fd in = open_file(to, O_RDONLY);
	EXPECT_EQ(splice(in, nullptr, pipe.write, nullptr, 100, 0), 100);
	EXPECT_EQ(pread_text(in, 7, 0), "spliced");
}

/* Copies up, removes, makes and moves objects below @dir. */
static void change(const Union &u, const string &dir)
{
	auto at = [&](const char *name) {
		return dir + "/" + name;
	};
	read_all(dir);
	open_file(at("a/opened"), O_RDWR).reset();
	OK(truncate(at("a/cut").c_str(), 100));
	OK(chmod(at("a/chmod").c_str(), 0600));
	OK(setxattr(at("a/xattr").c_str(), "trusted.x", "y", 1, 0));
	OK(rename(at("a/renamed").c_str(), at("b/new").c_str()));
	OK(rename(at("a/over").c_str(), at("b/over").c_str()));
	OK(link(at("a/linked").c_str(), at("b/one-more").c_str()));
	OK(unlink(at("b/linked-").c_str()));
	OK(unlink(at("a/removed").c_str()));
	OK(renameat2(AT_FDCWD, at("a/exchanged").c_str(), AT_FDCWD, at("b/exchanged").c_str(),
		     RENAME_EXCHANGE));
	OK(mkdir(at("a/new").c_str(), 0755));
	OK(rename(at("a/new").c_str(), at("b/new-dir").c_str()));
	OK(mkdir(at("a/new").c_str(), 0755));
	OK(rename(at("a/new").c_str(), at("b/new-dir").c_str()));
	OK(rmdir(at("b/new-dir").c_str()));
	OK(rmdir(at("a/sub").c_str()));
	OK(mkdir(at("a/sub").c_str(), 0755));
	OK(symlink("there", at("a/link").c_str()));
	OK(mknod(at("a/fifo").c_str(), S_IFIFO | 0600, 0));
	{
		Fd file = open_file(at("a/mapped"), O_RDWR);
		Map map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		/* A page fault while the same file is being written to under its lock. */
		OK(pwrite(file, map.at(), 4096, 4096));
		OK(pread(file, map.at(), 4096, 4096));
		map[0] = 'x';
		OK(msync(map.at(), 8192, MS_SYNC));
		OK(fsync(file));
	}
	/* An overlay on 6.1 has no O_TMPFILE. */
	if (dir == u.mnt || kernel().at_least(6, 6)) {
		Fd tmpfile = open_file(at("a"), O_TMPFILE | O_RDWR, 0600);
		OK(pwrite(tmpfile, "x", 1, 0));
		OK(linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", int(tmpfile)).c_str(),
			  AT_FDCWD, at("b/tmpfile").c_str(), AT_SYMLINK_FOLLOW));
	}
	splice_in(at("a/spliced"));
	{
		Fd in = open_file(at("b/sent"), O_RDONLY);
		Fd out = open_file(at("a/sent"), O_RDWR);
		off_t from = 0;
		EXPECT_EQ(sendfile(out, in, &from, 4096), 4096);
		loff_t in_at = 0, out_at = 4096;
		ssize_t copied = copy_file_range(in, &in_at, out, &out_at, 4096, 0);
		/* An overlay does not copy between two of its filesystems. */
		if (copied >= 0 || errno != EXDEV || dir == u.mnt)
			EXPECT_EQ(copied, 4096);
	}
	Fd root = open_file(dir, O_RDONLY | O_DIRECTORY);
	OK(fsync(root));
	OK(syncfs(root));
	read_all(dir);
}

static string overlay_options(const Union &u, const string &lower)
{
	make_dir(u.low2 + "/upper");
	make_dir(u.low2 + "/work");
	return "lowerdir=" + lower + ",upperdir=" + u.low2 + "/upper,workdir=" + u.low2 + "/work";
}

PARAM_CASE(union_of, "branches", "a_union_below", "an_overlay_below", "an_overlay_above")
{
	Union u;
	string p = ktap::param(), inner = u.tmp + "/inner", branch = u.low;
	make_dir(inner);
	fill(u.low);
	Mounted below;
	if (p == "a_union_below") {
		below = Mounted("none", inner, "aufs", 0, "br=" + u.low2 + "=rw:" + u.low + "=ro");
		read_all(inner);
		branch = u.low2;
	} else if (p == "an_overlay_below")
		below = Mounted("none", inner, "overlay", 0, overlay_options(u, u.low));
	u.mount("br=" + u.top + "=rw:" + (below ? inner : u.low) + "=ro");
	if (p == "an_overlay_above") {
		below = Mounted("none", inner, "overlay", 0, overlay_options(u, u.mnt));
		change(u, inner);
		below.unmount();
	}
	change(u, u.mnt);
	/* A file of the union and one of a branch are filled from a pipe, in turn. */
	splice_in(u.top + "/a/spliced");
	splice_in(u.at("a/spliced"));
	if (p == "a_union_below") {
		change(u, inner);
		splice_in(inner + "/a/spliced");
	}
	splice_in(branch + "/a/spliced");
	u.unmount();
}

/* The lower union gives away no reserved names. So nothing here needs a copy or a whiteout of the upper union. */
CASE(union_on_a_union_that_is_written_to)
{
	Union u;
	string inner = u.tmp + "/inner";
	make_dir(inner);
	fill(u.low);
	Mounted below("none", inner, "aufs", 0, "br=" + u.top + "=rw:" + u.low + "=ro");
	u.mount("br=" + inner + "=rw:" + u.low2 + "=ro");
	read_all(u.mnt);
	for (const char *name : {"/a/opened", "/b/mapped"}) {
		Fd file = open_file(u.mnt + name, O_RDWR);
		Map map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		map[0] = 'x';
		OK(pwrite(file, map.at(), 4096, 4096));
	}
	OK(rename(u.at("a/renamed").c_str(), u.at("b/new").c_str()));
	OK(link(u.at("a/linked").c_str(), u.at("b/one-more").c_str()));
	OK(mkdir(u.at("a/new").c_str(), 0755));
	OK(chmod(u.at("a/chmod").c_str(), 0600));
	splice_in(u.at("a/spliced"));
	splice_in(inner + "/a/spliced");
	read_all(u.mnt);
	u.unmount();
}

/* Two unions have the same directories as branches, each in its own order of locks. */
CASE(two_unions_of_the_same_branches)
{
	Union u;
	string other = u.tmp + "/other";
	make_dir(other);
	make_dir(u.low2 + "/rw");
	fill(u.low);
	u.mount();
	Mounted second("none", other, "aufs", 0, "br=" + u.low2 + "/rw=rw:" + u.low + "=ro");
	change(u, u.mnt);
	change(u, other);
}

/* The union is frozen, synced, remounted and thawed. */
CASE(the_whole_mount)
{
	Union u;
	fill(u.low);
	u.mount();
	change(u, u.mnt);
	Fd root = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	OK(ioctl(root, FIFREEZE, 0));
	read_all(u.mnt);
	OK(ioctl(root, FITHAW, 0));
	OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT | MS_RDONLY, nullptr));
	read_all(u.mnt);
	OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, nullptr));
	sync();
	write_file(u.at("after"), "x");
	write_control("/proc/sys/vm/drop_caches", "3");
	read_all(u.mnt);
}
