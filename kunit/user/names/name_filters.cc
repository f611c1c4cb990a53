// SPDX-License-Identifier: GPL-2.0-only
//
// A lookup asks only the branches whose filters do not exclude the name. However a branch has changed since its filter
// was made, a name that is there is found, and a hidden name is not. AUFS_SEED and AUFS_STEPS choose another run of the
// random case.
//
// Combinations: tmpfs ext4+xfs

#include "modules.hh"
#include "tree_ops.hh"

#include <random>

/* So long that the last change was not in this moment. */
static void let_time_pass()
{
	usleep(30000);
}

/* Three branches, each of which has dir and a few names in it. */
struct Filtered : Union {
	Filtered()
	{
		for (const string &branch : {top, low, low2}) {
			make_dir(branch + "/dir");
			for (int i = 0; i < 20; i++)
				write_file(branch + "/dir/" +
						   (branch == top ? "t" :
						    branch == low ? "l" :
								    "m") +
						   std::to_string(i),
					   branch);
		}
	}
	string all(const string &more = "") const
	{
		return "br=" + top + "=rw:" + low + "=ro:" + low2 + "=ro" + more;
	}
	/* Looks up @count new names that nobody has, so that each part of @dir gets its filter. */
	void miss(int count = 64, const string &dir = "dir")
	{
		for (int i = 0; i < count; i++)
			EXPECT(!exists(at(dir + "/no" + std::to_string(asked++))));
	}
	int asked = 0;
};

/* How many dentries the kernel has. */
static long dentries()
{
	return std::stol(read_file("/proc/sys/fs/dentry-state"));
}

/* A branch on a disk that is asked for a name has a dentry of it from then on, and one of its whiteout. */
PARAM_CASE(no_branch_is_asked, "names", "many", "empty")
{
	constexpr int count = 200;
	Filtered u;
	string p = ktap::param(), dir = p == "empty" ? p : "dir";
	for (const string &branch : {u.top, u.low, u.low2})
		make_dirs(branch + "/empty");
	/* More than the first reading takes: several blocks of a disk. */
	for (int i = 0; p == "many" && i < 600; i++)
		write_file(u.low + "/dir/more" + std::to_string(i), "");
	u.mount(u.all());
	let_time_pass();
	long begun = dentries();
	u.miss(p == "many" ? 500 : 12, dir);
	long before = dentries();
	u.miss(count, dir);
	long more = dentries() - before;
	ktap::say(ktap::format("%ld dentries for the first names, %ld for %d more", before - begun,
			       more, count));
	/* One for each is the union's. */
	EXPECT_GE(more, count);
	EXPECT_LT(more, 2 * count);
}

/* Somebody makes an object, or a whiteout, directly, by a name that was free. */
PARAM_CASE(made_directly, "file", "directory", "symlink", "renamed", "linked", "moved_in",
	   "whiteout")
{
	Filtered u;
	string p = ktap::param();
	for (const string &branch : {u.top, u.low, u.low2}) {
		write_file(branch + "/elsewhere", branch);
		write_file(u.low2 + "/dir/hidden" + std::to_string(branch == u.low), "x");
	}
	u.mount(u.all());
	let_time_pass();
	int number = 0;
	for (const string &branch : {u.low2, u.low, u.top}) {
		u.miss();
		string name = "new" + std::to_string(number++), path = branch + "/dir/" + name;
		if (p == "file")
			write_file(path, branch);
		else if (p == "directory")
			make_dir(path);
		else if (p == "symlink")
			OK(symlink("there", path.c_str()));
		else if (p == "renamed")
			OK(rename((branch + "/dir/" +
				   (branch == u.top ? "t" :
				    branch == u.low ? "l" :
						      "m") +
				   "7")
					  .c_str(),
				  path.c_str()));
		else if (p == "linked")
			OK(link((branch + "/elsewhere").c_str(), path.c_str()));
		else if (p == "moved_in")
			OK(rename((branch + "/elsewhere").c_str(), path.c_str()));
		else if (branch != u.low2) {
			string hidden = branch == u.low ? "hidden1" : "hidden0";
			write_file(branch + "/dir/.wh." + hidden, "", 0444);
			EXPECT(!exists(u.at("dir/" + hidden)));
			continue;
		} else {
			continue;
		}
		EXPECT(exists(u.at("dir/" + name)));
		if (p == "file" || p == "renamed" || p == "linked" || p == "moved_in")
			EXPECT_EQ(read_file(u.at("dir/" + name)), branch);
	}
	for (const string name : {"t3", "l3", "m3"})
		EXPECT(exists(u.at("dir/" + name)));
}

/* A directory may change once more in the moment of its last change, or of its reading. */
CASE(changed_in_the_same_moment)
{
	Filtered u;
	u.mount(u.all());
	for (int i = 0; i < 200; i++) {
		const string &branch = i % 3 == 0 ? u.top : i % 3 == 1 ? u.low : u.low2;
		string name = "new" + std::to_string(i);
		write_file(branch + "/dir/other" + std::to_string(i), "");
		if (i % 5 == 0)
			usleep(i * 40);
		u.miss(16);
		write_file(branch + "/dir/" + name, name);
		EXPECT(exists(u.at("dir/" + name)));
	}
}

CASE(changed_by_the_union)
{
	Filtered u;
	make_dir(u.low2 + "/dir/sub");
	write_file(u.low2 + "/dir/sub/file", "x");
	u.mount(u.all());
	let_time_pass();
	u.miss();
	write_file(u.at("dir/new"), "new");
	EXPECT_EQ(read_file(u.at("dir/new")), "new");
	u.miss();
	OK(unlink(u.at("dir/m4").c_str()));
	EXPECT(!exists(u.at("dir/m4")));
	u.miss();
	OK(rename(u.at("dir/l5").c_str(), u.at("dir/renamed").c_str()));
	EXPECT(!exists(u.at("dir/l5")));
	EXPECT_EQ(read_file(u.at("dir/renamed")), u.low);
	u.miss();
	/* The directory gets another part. */
	for (int i = 0; i < 64; i++)
		EXPECT(!exists(u.at("dir/sub/no" + std::to_string(i))));
	write_file(u.at("dir/sub/new"), "new");
	for (int i = 0; i < 64; i++)
		EXPECT(!exists(u.at("dir/sub/not" + std::to_string(i))));
	EXPECT(exists(u.at("dir/sub/file")));
	u.unmount();
	u.mount(u.all());
	u.miss();
	for (const char *name : {"m4", "l5"})
		EXPECT(!exists(u.at(string("dir/") + name)));
	for (const char *name : {"new", "renamed", "sub/new", "sub/file", "m5", "l6", "t7"})
		EXPECT(exists(u.at(string("dir/") + name)));
}

CASE(branches_come_and_go)
{
	Filtered u;
	make_dir(u.tmp + "/module");
	make_dir(u.tmp + "/module/dir");
	write_file(u.tmp + "/module/dir/new", "module");
	write_file(u.tmp + "/module/dir/.wh.m6", "", 0444);
	u.mount(u.all());
	let_time_pass();
	u.miss();
	EXPECT_EQ(remount(u, "add:1:" + u.tmp + "/module"), 0);
	EXPECT_EQ(read_file(u.at("dir/new")), "module");
	EXPECT(!exists(u.at("dir/m6")));
	let_time_pass();
	u.miss();
	EXPECT_EQ(remount(u, "del:" + u.tmp + "/module"), 0);
	EXPECT(!exists(u.at("dir/new")));
	EXPECT(exists(u.at("dir/m6")));
	u.miss();
	EXPECT_EQ(remount(u, "del:" + u.low), 0);
	EXPECT(!exists(u.at("dir/l8")));
	EXPECT(exists(u.at("dir/m8")));
	EXPECT(exists(u.at("dir/t8")));
}

/* With shwh a whiteout is a name like any other. */
CASE(whiteouts_that_are_shown)
{
	Filtered u;
	write_file(u.low + "/dir/.wh.m9", "", 0444);
	u.mount("br=" + u.top + "=ro:" + u.low + "=ro:" + u.low2 + "=ro,shwh", MS_RDONLY);
	let_time_pass();
	u.miss();
	EXPECT(exists(u.at("dir/.wh.m9")));
	EXPECT(!exists(u.at("dir/m9")));
	EXPECT(!exists(u.at("dir/.wh.m8")));
	EXPECT(exists(u.at("dir/m8")));
}

/* A directory so large that its filter has many words, and that several blocks are read. */
CASE(a_large_directory)
{
	Filtered u;
	constexpr int count = 3000;
	for (int i = 0; i < count; i++)
		write_file(u.low2 + "/dir/f" + std::to_string(i), "");
	u.mount(u.all());
	let_time_pass();
	u.miss(300);
	for (int i = 0; i < count; i += 7)
		EXPECT(exists(u.at("dir/f" + std::to_string(i))));
}

/* The kind of object that a branch has by a name. */
enum Thing { nothing, file, directory, whiteout, things };

/* The kind that the union shows if the branches, from the uppermost, have @has. */
static Thing shown(const Thing (&has)[3])
{
	for (Thing one : has) {
		if (one == whiteout)
			return nothing;
		if (one != nothing)
			return one;
	}
	return nothing;
}

/*
 * Somebody makes and removes objects directly, and users look them up. Without udba each name is looked up once, with
 * it repeatedly.
 */
PARAM_CASE(at_random, "none", "reval", "notify")
{
	Filtered u;
	string p = ktap::param();
	bool fresh = p == "none";
	const string branches[3] = {u.top, u.low, u.low2};
	std::mt19937_64 random(chosen_seed());
	constexpr unsigned names = 24;
	Thing has[names][3] = {};
	u.mount(u.all(",udba=" + p));
	let_time_pass();
	for (unsigned long left = chosen_steps(1500), step = 0; left; left--, step++) {
		unsigned number = random() % names;
		if (fresh)
			memset(has[number], 0, sizeof(has[number]));
		string name = "n" + std::to_string(fresh ? 1000 + step : number);
		for (unsigned i = 0; i < 3; i++) {
			string path = branches[i] + "/dir/" + name;
			Thing &is = has[number][i], next = Thing(random() % things);
			if (random() % 2)
				continue;
			if (is == directory)
				OK(rmdir(path.c_str()));
			else if (is == file)
				OK(unlink(path.c_str()));
			else if (is == whiteout)
				OK(unlink((branches[i] + "/dir/.wh." + name).c_str()));
			is = next;
			if (is == directory)
				make_dir(path);
			else if (is == file)
				write_file(path, branches[i]);
			else if (is == whiteout)
				write_file(branches[i] + "/dir/.wh." + name, "", 0444);
		}
		Thing wanted = shown(has[number]);
		struct stat is;
		bool there = lstat(u.at("dir/" + name).c_str(), &is) == 0;
		EXPECT_EQ(there, wanted != nothing);
		if (there)
			EXPECT_EQ(S_ISDIR(is.st_mode), wanted == directory);
		if (random() % 8 == 0)
			usleep(random() % 6000);
		if (ktap::shared->failures) {
			ktap::say(ktap::format("step %lu: %d %d %d", step, has[number][0],
					       has[number][1], has[number][2]));
			break;
		}
		u.miss(2);
	}
}
