// SPDX-License-Identifier: GPL-2.0-only
//
// What many branches cost. It is counted, not timed: grace periods, comparisons of branches with each other, and the
// memory of a cached directory.
//
// Combinations: tmpfs

#include "modules.hh"
#include "tracing.hh"

/* Makes the directories @name0, @name1, ..., and @below in each: @count branches, as a list. */
static string make_list(const string &name, const string &below, unsigned count)
{
	string list;
	for (unsigned i = 0; i < count; i++) {
		string branch = name + std::to_string(i);
		make_dir(branch);
		if (!below.empty())
			make_dir(branch + below);
		list += (i ? ":" : "") + branch + below;
	}
	return list;
}

/*
 * When 200 branches go, not each of them waits for a grace period. The count has those of all tasks. Each has a mount
 * of its own, since all have come by a remount.
 */
PARAM_CASE(grace_periods, "umount", "del", "detach")
{
	constexpr unsigned count = 200;
	Tracing tracing("kprobe_events");
	Union u;
	OK(chdir(u.tmp.c_str()));
	u.mount("br=" + u.top + "=rw");
	EXPECT_EQ(remount(u, "append:" + make_list("b", "", count)), 0);
	std::vector<string> all_go;
	for (unsigned i = 0; i < count; i++)
		all_go.push_back(ktap::param() + ":b" + std::to_string(i));
	CountedEvent normal(tracing, "kprobe", "normal", "synchronize_rcu");
	CountedEvent expedited(tracing, "kprobe", "expedited", "synchronize_rcu_expedited");
	unsigned long before = normal.count() + expedited.count();
	if (ktap::param() == "umount")
		u.unmount();
	else
		EXPECT_EQ(remount(u, joined(all_go)), 0);
	unsigned long waits = normal.count() + expedited.count() - before;
	ktap::say(ktap::format("%lu grace periods", waits));
	EXPECT_GT(waits, 0u);
	EXPECT_LT(waits, count / 5);
	OK(chdir("/"));
}

/*
 * Of many branches that come in one remount, each is compared with few of those that are there. All of them lie on one
 * filesystem, each in a directory of its own. A branch around another one, or within one, is found all the same.
 */
CASE(comparisons)
{
	constexpr unsigned count = 200, more = 100;
	Tracing tracing("kprobe_events");
	Union u;
	OK(chdir(u.tmp.c_str()));
	u.mount("br=" + u.top + "=rw:" + make_list("old", "/d", count));
	CountedEvent comparisons(tracing, "kprobe", "comparisons", "is_subdir");
	unsigned long before = comparisons.count();
	EXPECT_EQ(remount(u, "append:" + make_list("new", "/d", more)), 0);
	unsigned long calls = comparisons.count() - before;
	ktap::say(ktap::format("%lu comparisons", calls));
	EXPECT_LT(calls, 10 * more);
	make_dir("new7/d/within");
	for (const char *near : {"old7", "new7", "new7/d/within"}) {
		before = comparisons.count();
		EXPECT_EQ(remount(u, string("append:") + near), EINVAL);
		EXPECT_GT(comparisons.count(), before);
	}
	OK(chdir("/"));
}

/* How many bytes the objects in the kernel's slab caches have. */
static double slab_bytes()
{
	double sum = 0;
	string text = read_file("/proc/slabinfo");
	for (size_t from = 0; from < text.size(); from = text.find('\n', from) + 1) {
		char name[64];
		unsigned long in_use, all, size;
		if (sscanf(&text[from], "%63s %lu %lu %lu", name, &in_use, &all, &size) == 4)
			sum += double(in_use) * double(size);
	}
	return sum;
}

/*
 * A directory that one branch has takes as much memory in a union of 500 branches as in one of two: there is no table
 * with a place for each branch, which would have some 4,000 bytes more.
 */
CASE(memory_of_a_directory)
{
	constexpr unsigned few = 2, many = 500, directories = 1000;
	/* Between that of the branch's own inode, which may be in memory already, and that of such a table. */
	constexpr double most = 2000;
	if (!exists("/proc/slabinfo"))
		SKIP("this kernel has no /proc/slabinfo");
	if (read_file("/proc/kallsyms").find(" kasan_quarantine_put\n") != string::npos)
		SKIP("with KASAN what was freed counts as in use for a while");
	Union u;
	OK(chdir(u.tmp.c_str()));
	make_dir(u.low + "/box");
	for (unsigned i = 0; i < directories; i++)
		make_dir(u.low + "/box/" + std::to_string(i));
	auto bytes_of_one = [&u](unsigned branches) {
		string between = branches > 2 ? ":" + make_list("b", "", branches - 2) : "";
		u.mount("br=" + u.top + "=rw" + between + ":" + u.low + "=ro");
		/* What is not on the disk yet stays in memory. */
		sync();
		for (int i = 0; i < 3; i++) {
			write_control("/proc/sys/vm/drop_caches", "2");
			usleep(100000);
		}
		EXPECT(exists(u.at("box")));
		double before = slab_bytes();
		for (unsigned i = 0; i < directories; i++)
			EXPECT(exists(u.at("box/" + std::to_string(i))));
		double bytes = (slab_bytes() - before) / directories;
		u.unmount();
		ktap::say(ktap::format("%u branches: %.0f bytes", branches, bytes));
		return bytes;
	};
	double of_few = bytes_of_one(few), of_many = bytes_of_one(many);
	/* A dentry and an inode at least. */
	EXPECT_GT(of_few, 500.0);
	EXPECT_LT(of_many - of_few, most);
	OK(chdir("/"));
}
