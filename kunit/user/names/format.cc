// SPDX-License-Identifier: GPL-2.0-only
//
// The on-disk format is that of the original. The union shows branches that the original left as the original does. Our
// own branches show, by the original's rules, which are written down here once more, what the union shows.
//
// Combinations: tmpfs ext4

#include "fixture.hh"

#include <map>
#include <set>

using Names = std::vector<string>;
using Tree = std::map<string, string>; /* path: kind, and content or target */

static bool reserved(const string &name)
{
	return name.starts_with(".wh.");
}

static bool is_directory(const string &path)
{
	return exists(path) && S_ISDIR(lstat_of(path).st_mode);
}

static string described(const string &path)
{
	struct stat is = lstat_of(path);
	string text = ktap::format("%o %u:%u ", is.st_mode, is.st_uid, is.st_gid);
	if (S_ISREG(is.st_mode))
		return text + read_file(path);
	return S_ISLNK(is.st_mode) ? text + link_target(path) : text;
}

/* Stores in @tree all that a mount shows. */
static void walk(const string &root, const string &dir, Tree &tree)
{
	for (const string &name : names_in(root + dir)) {
		string path = dir + "/" + name;
		tree[path] = described(root + path);
		if (is_directory(root + path))
			walk(root, path, tree);
	}
}

/*
 * Merges @branches, from the upper to the lower, by the rules: the first branch that has a name shows it, .wh.NAME
 * hides the name below, and .wh..wh..opq ends the directory.
 */
static void merge(const Names &branches, const string &dir, Tree &tree)
{
	std::set<string> done;
	for (size_t i = 0; i < branches.size(); i++) {
		string here = branches[i] + dir;
		for (const string &name : names_in(here)) {
			string path = dir + "/" + name;
			if (reserved(name) || !done.insert(name).second)
				continue;
			tree[path] = described(here + "/" + name);
			if (!is_directory(here + "/" + name))
				continue;
			/* The branches whose directories are merged. */
			Names parts;
			for (size_t j = i; j < branches.size(); j++) {
				string part = branches[j] + path;
				if (exists(part) && !is_directory(part))
					break;
				if (is_directory(part))
					parts.push_back(branches[j]);
				if (exists(branches[j] + dir + "/.wh." + name) ||
				    exists(part + "/.wh..wh..opq"))
					break;
			}
			merge(parts, path, tree);
		}
		for (const string &name : names_in(here)) {
			if (reserved(name) && !name.starts_with(".wh..wh."))
				done.insert(name.substr(4));
		}
		if (exists(here + "/.wh..wh..opq"))
			break;
	}
}

static void expect_shown(const Union &u, const Names &branches)
{
	Tree by_rules, by_union;
	merge(branches, "", by_rules);
	walk(u.mnt, "", by_union);
	for (const auto &[path, text] : by_rules) {
		if (!by_union.contains(path))
			ktap::fail(__FILE__, __LINE__, path + " is shown");
		else
			EXPECT_EQ(path + " " + by_union[path], path + " " + text);
	}
	for (const auto &[path, text] : by_union) {
		if (!by_rules.contains(path))
			ktap::fail(__FILE__, __LINE__, path + " is not shown");
	}
}

/* Reserved names have the kinds and modes that the original expects. */
static void expect_format(const string &branch, const string &dir = "")
{
	for (const string &name : names_in(branch + dir)) {
		string path = branch + dir + "/" + name;
		struct stat is = lstat_of(path);
		if (dir.empty() && (name == ".wh..wh.plnk" || name == ".wh..wh.orph")) {
			EXPECT(S_ISDIR(is.st_mode));
			EXPECT_EQ(is.st_mode & 07777, 0700u);
		} else if (reserved(name)) {
			EXPECT_EQ(path + ktap::format(" %o", is.st_mode), path + " 100444");
			EXPECT_EQ(is.st_size, 0);
			EXPECT_EQ(is.st_ino, stat_of(branch + "/.wh..wh.aufs").st_ino);
		} else if (S_ISDIR(is.st_mode)) {
			expect_format(branch, dir + "/" + name);
		}
	}
}

/* Fills the lower branch of the cases. */
static void fill(const string &low)
{
	for (const char *dir : {"/plain", "/opaque", "/gone_dir", "/deep", "/deep/er", "/replaced"})
		make_dir(low + dir);
	for (const char *file :
	     {"/file", "/gone", "/owned", "/plain/kept", "/plain/gone", "/opaque/hidden",
	      "/gone_dir/hidden", "/deep/er/file", "/replaced/x"})
		write_file(low + file, string("low ") + file);
	OK(symlink("file", (low + "/symlink").c_str()));
}

/* A rw branch as an original of 2.x to 5.x leaves it after an unmount. */
static void fill_by_original(const string &top)
{
	string base = top + "/.wh..wh.aufs";
	auto whiteout = [&](const string &name) {
		OK(link(base.c_str(), (top + "/" + name).c_str()));
	};
	write_file(base, "", 0444);
	make_dir(top + "/.wh..wh.plnk", 0700);
	make_dir(top + "/.wh..wh.orph", 0700);
	for (const char *dir : {"/plain", "/opaque", "/new"})
		make_dir(top + dir);
	whiteout(".wh.gone");
	whiteout(".wh.gone_dir");
	whiteout("plain/.wh.gone");
	whiteout("opaque/.wh..wh..opq");
	/* For a filesystem that had no more links to give. */
	write_file(top + "/.wh.owned", "", 0444);
	write_file(top + "/opaque/own", "top");
	write_file(top + "/replaced", "a file where a directory is below");
	/* A copy whose original had two names: it has a further name made of the inode numbers. */
	write_file(top + "/plain/copied", "top");
	OK(link((top + "/plain/copied").c_str(),
		ktap::format("%s/.wh..wh.plnk/%lu.%lu", top.c_str(), 1234ul,
			     (unsigned long)stat_of(top + "/plain/copied").st_ino)
			.c_str()));
}

CASE(branches_of_the_original)
{
	Union u;
	fill(u.low);
	fill_by_original(u.top);
	string was = snapshot(u.top);
	for (const char *permission : {"ro", "rr", "rw"}) {
		u.mount("br=" + u.top + "=" + permission + ":" + u.low + "=ro");
		expect_shown(u, {u.top, u.low});
		EXPECT_EQ(names_in(u.mnt),
			  (Names{"deep", "file", "new", "opaque", "plain", "replaced", "symlink"}));
		EXPECT_EQ(names_in(u.at("plain")), (Names{"copied", "kept"}));
		EXPECT_EQ(names_in(u.at("opaque")), (Names{"own"}));
		u.unmount();
		/* A mount that only reads changes nothing. */
		EXPECT_EQ(snapshot(u.top), was);
	}
}

/* As on a live CD: a former rw branch is the middle one of three. */
CASE(three_branches)
{
	Union u;
	fill(u.low2);
	fill_by_original(u.low);
	write_file(u.low2 + "/plain/only_below", "low2");
	u.mount(u.options() + ":" + u.low2);
	expect_shown(u, {u.top, u.low, u.low2});
	write_file(u.at("gone"), "again");
	make_dir(u.at("gone_dir"));
	write_file(u.at("opaque/new"), "top");
	OK(unlink(u.at("plain/only_below").c_str()));
	OK(unlink(u.at("opaque/own").c_str()));
	OK(unlink(u.at("replaced").c_str()));
	expect_shown(u, {u.top, u.low, u.low2});
	expect_format(u.top);
	EXPECT_EQ(names_in(u.at("gone_dir")), Names{});
	EXPECT_EQ(names_in(u.at("opaque")), (Names{"new"}));
	EXPECT(!exists(u.at("replaced")));
}

/* The union goes on where the original stopped. */
CASE(writing_to_a_branch_of_the_original)
{
	Union u;
	fill(u.low);
	fill_by_original(u.top);
	u.mount();
	ino_t base = stat_of(u.top + "/.wh..wh.aufs").st_ino;
	for (const char *name : {"gone", "owned"})
		write_file(u.at(name), "again");
	make_dir(u.at("gone_dir"));
	OK(unlink(u.at("file").c_str()));
	OK(unlink(u.at("replaced").c_str()));
	OK(unlink(u.at("opaque/own").c_str()));
	OK(rmdir(u.at("opaque").c_str()));
	write_file(u.at("plain/copied"), "changed");
	OK(rename(u.at("plain/kept").c_str(), u.at("plain/moved").c_str()));
	EXPECT_EQ(stat_of(u.top + "/.wh..wh.aufs").st_ino, base);
	expect_format(u.top);
	expect_shown(u, {u.top, u.low});
	EXPECT(!exists(u.at("replaced")));
	EXPECT_EQ(names_in(u.mnt),
		  (Names{"deep", "gone", "gone_dir", "new", "owned", "plain", "symlink"}));
	/* The original made this pseudo-link, so the union does not remove it. */
	EXPECT_EQ(names_in(u.top + "/.wh..wh.plnk").size(), 1u);
	u.unmount();
	u.mount();
	expect_shown(u, {u.top, u.low});
}

/* The result of each operation, by the original's rules. */
CASE(what_we_leave)
{
	Union u;
	fill(u.low);
	u.mount();
	OK(unlink(u.at("gone").c_str()));
	OK(unlink(u.at("gone_dir/hidden").c_str()));
	OK(rmdir(u.at("gone_dir").c_str()));
	OK(unlink(u.at("opaque/hidden").c_str()));
	OK(rmdir(u.at("opaque").c_str()));
	make_dir(u.at("opaque"));
	write_file(u.at("opaque/own"), "top");
	write_file(u.at("owned"), "changed");
	OK(rename(u.at("file").c_str(), u.at("plain/moved").c_str()));
	OK(rename(u.at("plain/gone").c_str(), u.at("plain/kept").c_str()));
	OK(chown(u.at("deep/er").c_str(), 5, 6));
	OK(unlink(u.at("deep/er/file").c_str()));
	make_dir(u.at("made"));
	OK(rename(u.at("made").c_str(), u.at("gone_dir").c_str()));
	OK(unlink(u.at("replaced/x").c_str()));
	OK(rmdir(u.at("replaced").c_str()));
	OK(symlink("x", u.at("replaced").c_str()));
	expect_shown(u, {u.top, u.low});
	expect_format(u.top);
	u.unmount();
	expect_format(u.top);
	u.mount();
	expect_shown(u, {u.top, u.low});
	EXPECT_EQ(names_in(u.at("opaque")), (Names{"own"}));
	EXPECT_EQ(names_in(u.at("gone_dir")), Names{});
}
