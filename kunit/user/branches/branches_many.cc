// SPDX-License-Identifier: GPL-2.0-only
//
// What many branches cost. It is counted, not timed: grace periods, and comparisons of branches with each other.
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

/* When 200 branches go, not each of them waits for a grace period. The count has those of all tasks. */
PARAM_CASE(grace_periods, "umount", "del", "detach")
{
	constexpr unsigned count = 200;
	Tracing tracing("kprobe_events");
	Union u;
	OK(chdir(u.tmp.c_str()));
	u.mount("br=" + u.top + "=rw:" + make_list("b", "", count));
	std::vector<string> all_go;
	for (unsigned i = 0; i < count; i++)
		all_go.push_back(ktap::param() + ":b" + std::to_string(i));
	CountedCalls normal(tracing, "synchronize_rcu");
	CountedCalls expedited(tracing, "synchronize_rcu_expedited");
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
	CountedCalls comparisons(tracing, "is_subdir");
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
