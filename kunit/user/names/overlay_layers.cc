// SPDX-License-Identifier: GPL-2.0-only
//
// A branch that is a layer of an overlayfs (+owh): overlayfs's whiteouts and opaque directories hide names in the union
// too.
//
// Combinations: tmpfs ext4+xfs

#include "modules.hh"

#include <sys/xattr.h>

static void mark(const string &path, const string &name, const string &value)
{
	OK(setxattr(path.c_str(), ("trusted.overlay." + name).c_str(), value.data(), value.size(),
		    0));
}

static void make_whiteout_device(const string &path)
{
	OK(mknod(path.c_str(), S_IFCHR | 0600, 0));
}

/* low is the layer, and low2 is below it. */
struct Layers : Union {
	string layers(const string &use = "=ro+owh") const
	{
		return "br=" + top + "=rw:" + low + use + ":" + low2 + "=ro";
	}
};

/* Everything below @dir: paths, kinds and the content of files. */
static Names tree_of(const string &dir, const string &below = "")
{
	Names all;
	for (const string &name : names_in(dir)) {
		string path = dir + "/" + name, shown = below + "/" + name;
		struct stat is = lstat_of(path);
		if (S_ISDIR(is.st_mode)) {
			all.push_back(shown + "/");
			Names more = tree_of(path, shown);
			all.insert(all.end(), more.begin(), more.end());
		} else {
			all.push_back(
				ktap::format("%s %o %s", shown.c_str(), is.st_mode,
					     S_ISREG(is.st_mode) ? read_file(path).c_str() : ""));
		}
	}
	return all;
}

CASE(devices_hide_names)
{
	Layers u;
	write_file(u.low2 + "/file", "lower");
	make_dir(u.low2 + "/dir");
	write_file(u.low2 + "/dir/inner", "lower");
	write_file(u.low2 + "/kept", "lower");
	make_whiteout_device(u.low + "/file");
	make_whiteout_device(u.low + "/dir");
	make_whiteout_device(u.low + "/nothing");
	OK(mknod((u.low + "/null").c_str(), S_IFCHR | 0600, makedev(1, 3)));
	u.mount(u.layers());
	EXPECT_EQ(names_in(u.mnt), (Names{"kept", "null"}));
	for (const char *name : {"file", "dir", "nothing"})
		EXPECT_ERR(access(u.at(name).c_str(), F_OK), ENOENT);
	EXPECT_EQ(lstat_of(u.at("null")).st_rdev, makedev(1, 3));
	/* New objects take those names, and are removed again. */
	write_file(u.at("file"), "new");
	OK(mkdir(u.at("dir").c_str(), 0755));
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	EXPECT_EQ(read_file(u.at("file")), "new");
	OK(unlink(u.at("file").c_str()));
	OK(rmdir(u.at("dir").c_str()));
	EXPECT_EQ(names_in(u.mnt), (Names{"kept", "null"}));
	u.unmount();
	/* Without the attribute they are devices. */
	u.mount(u.layers("=ro"));
	EXPECT_EQ(names_in(u.mnt), (Names{"dir", "file", "kept", "nothing", "null"}));
	EXPECT(S_ISCHR(lstat_of(u.at("nothing")).st_mode));
}

/* The same for a directory that only the layer has. */
CASE(a_directory_of_the_layer_alone)
{
	Layers u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "x");
	make_whiteout_device(u.low + "/dir/gone");
	u.mount(u.layers());
	EXPECT_EQ(names_in(u.at("dir")), Names{"file"});
	OK(unlink(u.at("dir/file").c_str()));
	EXPECT_EQ(names_in(u.at("dir")), Names{});
	EXPECT_OK(rmdir(u.at("dir").c_str()));
	EXPECT(!exists(u.at("dir")));
}

CASE(both_kinds_of_whiteouts)
{
	Layers u;
	for (const char *name : {"a", "b", "c"})
		write_file(u.low2 + "/" + name, "lower");
	make_whiteout_device(u.low + "/a");
	write_file(u.low + "/.wh.b", "", 0444);
	u.mount(u.layers());
	EXPECT_EQ(names_in(u.mnt), Names{"c"});
	EXPECT(!exists(u.at("a")));
	EXPECT(!exists(u.at("b")));
	/* A whiteout of the union is above both. */
	OK(unlink(u.at("c").c_str()));
	EXPECT_EQ(names_in(u.mnt), Names{});
}

/* overlayfs has removed a whiteout of the union: neither hides anything. */
CASE(a_whiteout_of_a_whiteout)
{
	Layers u;
	write_file(u.low2 + "/file", "lower");
	make_whiteout_device(u.low + "/.wh.file");
	u.mount(u.layers());
	EXPECT_EQ(names_in(u.mnt), Names{"file"});
	EXPECT_EQ(read_file(u.at("file")), "lower");
}

PARAM_CASE(opaque, "y", "x", "n", "yy")
{
	Layers u;
	string p = ktap::param();
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/upper", "x");
	make_dir(u.low2 + "/dir");
	write_file(u.low2 + "/dir/lower", "x");
	mark(u.low + "/dir", "opaque", p);
	u.mount(u.layers());
	EXPECT_EQ(exists(u.at("dir/lower")), p != "y");
	EXPECT_EQ(names_in(u.at("dir")), p == "y" ? Names{"upper"} : (Names{"lower", "upper"}));
	EXPECT(exists(u.at("dir/upper")));
}

CASE(an_opaque_root)
{
	Layers u;
	write_file(u.low + "/upper", "x");
	write_file(u.low2 + "/lower", "x");
	mark(u.low, "opaque", "y");
	u.mount(u.layers());
	EXPECT_EQ(names_in(u.mnt), Names{"upper"});
	EXPECT(!exists(u.at("lower")));
}

/* overlayfs's whiteout files, which it has since 6.8, count only in directories that are marked for them. */
CASE(files_hide_names)
{
	Layers u;
	for (const string dir : {"/marked", "/plain"}) {
		make_dir(u.low + dir);
		make_dir(u.low2 + dir);
		for (const string name : {"/hidden", "/full", "/bare"})
			write_file(u.low2 + dir + name, "lower");
		write_file(u.low + dir + "/hidden", "");
		mark(u.low + dir + "/hidden", "whiteout", "y");
		write_file(u.low + dir + "/full", "upper");
		mark(u.low + dir + "/full", "whiteout", "y");
		write_file(u.low + dir + "/bare", "");
	}
	mark(u.low + "/marked", "opaque", "x");
	u.mount(u.layers());
	EXPECT_EQ(names_in(u.at("marked")), (Names{"bare", "full"}));
	EXPECT(!exists(u.at("marked/hidden")));
	EXPECT_EQ(read_file(u.at("marked/full")), "upper");
	EXPECT_EQ(read_file(u.at("marked/bare")), "");
	EXPECT_EQ(names_in(u.at("plain")), (Names{"bare", "full", "hidden"}));
	EXPECT_EQ(read_file(u.at("plain/hidden")), "");
}

/* Attributes for overlayfs alone are neither shown nor copied. */
CASE(attributes_are_not_shown)
{
	Layers u;
	char value[8];
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "x");
	mark(u.low + "/dir", "opaque", "y");
	mark(u.low + "/dir/file", "origin", "abc");
	OK(setxattr((u.low + "/dir/file").c_str(), "trusted.mine", "v", 1, 0));
	u.mount(u.layers());
	for (const char *name : {"dir", "dir/file"}) {
		char list[4096];
		ssize_t size = listxattr(u.at(name).c_str(), list, sizeof(list));
		ASSERT(size >= 0);
		EXPECT(string(list, size).find("trusted.overlay.") == string::npos);
	}
	EXPECT_ERR(getxattr(u.at("dir").c_str(), "trusted.overlay.opaque", value, sizeof(value)),
		   ENODATA);
	OK(chmod(u.at("dir/file").c_str(), 0600));
	for (const char *name : {"/dir", "/dir/file"}) {
		EXPECT_ERR(getxattr((u.top + name).c_str(), "trusted.overlay.opaque", value, 8),
			   ENODATA);
		EXPECT_ERR(getxattr((u.top + name).c_str(), "trusted.overlay.origin", value, 8),
			   ENODATA);
	}
	EXPECT_EQ(getxattr((u.top + "/dir/file").c_str(), "trusted.mine", value, 8), 1);
}

/* The data or the names are elsewhere: the union does not show the rest as if it were all. */
CASE(features_that_need_overlayfs)
{
	Layers u;
	make_dir(u.low + "/whole");
	mark(u.low + "/whole", "redirect", "elsewhere");
	mark(u.low + "/whole", "opaque", "y");
	write_file(u.low + "/metacopy", "");
	make_dir(u.low + "/redirect");
	mark(u.low + "/metacopy", "metacopy", "");
	mark(u.low + "/redirect", "redirect", "elsewhere");
	write_file(u.low2 + "/metacopy", "data");
	u.mount(u.layers());
	KernelLog log;
	EXPECT_ERR(open(u.at("metacopy").c_str(), O_RDONLY), EIO);
	EXPECT_ERR(access(u.at("redirect").c_str(), F_OK), EIO);
	/* An opaque directory has all its names itself. */
	EXPECT(exists(u.at("whole")));
	string said = log.read();
	EXPECT(said.find("overlayfs's metacopy") != string::npos);
	EXPECT(said.find("overlayfs's redirect_dir") != string::npos);
}

/* A layer above the rw branch hides a name: nothing can be made by that name. */
CASE(nothing_is_made_below_one)
{
	Layers u;
	make_whiteout_device(u.low + "/hidden");
	u.mount("br=" + u.low + "=ro+owh:" + u.top + "=rw");
	EXPECT_ERR(open(u.at("hidden").c_str(), O_CREAT | O_WRONLY, 0644), EROFS);
	EXPECT_ERR(mkdir(u.at("hidden").c_str(), 0755), EROFS);
	EXPECT(!exists(u.top + "/hidden"));
	write_file(u.at("other"), "x");
	EXPECT_EQ(read_file(u.top + "/other"), "x");
}

/* The union shows a layer as overlayfs shows it. */
CASE(a_layer_of_an_overlay)
{
	Layers u;
	string inner = u.tmp + "/inner", upper = u.low + "/upper", work = u.low + "/work";
	for (const string &dir : {inner, upper, work})
		make_dir(dir);
	make_dirs(u.low2 + "/a/b/c");
	for (const char *name : {"/a/1", "/a/2", "/a/b/1", "/a/b/c/1", "/top"})
		write_file(u.low2 + name, name);
	make_dir(u.low2 + "/emptied");
	write_file(u.low2 + "/emptied/file", "x");
	Names shown;
	{
		Mounted overlay("none", inner, "overlay", 0,
				"lowerdir=" + u.low2 + ",upperdir=" + upper + ",workdir=" + work);
		OK(unlink((inner + "/a/1").c_str()));
		write_file(inner + "/a/2", "changed");
		remove_tree(inner + "/a/b");
		make_dir(inner + "/a/b");
		write_file(inner + "/a/b/new", "new");
		OK(rename((inner + "/top").c_str(), (inner + "/a/moved").c_str()));
		OK(unlink((inner + "/emptied/file").c_str()));
		shown = tree_of(inner);
	}
	u.mount("br=" + u.top + "=rw:" + upper + "=ro+owh:" + u.low2 + "=ro");
	EXPECT_EQ(tree_of(u.mnt), shown);
	EXPECT_OK(rmdir(u.at("emptied").c_str()));
	remove_tree(u.at("a"));
	EXPECT_EQ(tree_of(u.mnt), Names{});
}

CASE(as_branches_change)
{
	Layers u;
	write_file(u.low2 + "/file", "lower");
	make_whiteout_device(u.low + "/file");
	u.mount("br=" + u.top + "=rw:" + u.low2 + "=ro");
	EXPECT(exists(u.at("file")));
	EXPECT_EQ(remount(u, "add:1:" + u.low + "=ro+owh"), 0);
	EXPECT(!exists(u.at("file")));
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.low + "=ro+owh:" + u.low2 + "=ro");
	/* The attribute cannot change: names in use would lead to other objects. */
	EXPECT_EQ(remount(u, "mod:" + u.low + "=ro"), EINVAL);
	EXPECT_EQ(remount(u, "mod:" + u.low2 + "=ro+owh"), EINVAL);
	EXPECT_EQ(remount(u, "mod:" + u.low + "=rr+owh"), 0);
	/* The next version has the attribute of the last one, unless the option gives another. */
	make_dir(u.tmp + "/next");
	make_whiteout_device(u.tmp + "/next/file");
	EXPECT_EQ(remount(u, "replace:" + u.low + "=" + u.tmp + "/next"), 0);
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.tmp + "/next=rr+owh:" + u.low2 + "=ro");
	EXPECT(!exists(u.at("file")));
	EXPECT_EQ(remount(u, "replace:" + u.tmp + "/next=" + u.low + "=ro"), 0);
	EXPECT(S_ISCHR(lstat_of(u.at("file")).st_mode));
	EXPECT_EQ(remount(u, "del:" + u.low), 0);
	EXPECT_EQ(read_file(u.at("file")), "lower");
}

/* The attribute does not work on a rw branch, which has the union's own whiteouts. The log says so. */
CASE(not_on_a_rw_branch)
{
	Layers u;
	make_whiteout_device(u.top + "/device");
	KernelLog log;
	u.mount("br=" + u.top + "=rw+owh:" + u.low + "=ro");
	EXPECT(log.read().find("owh") != string::npos);
	EXPECT_EQ(names_in(u.mnt), Names{"device"});
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.low + "=ro");
}
