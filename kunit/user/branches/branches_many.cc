// SPDX-License-Identifier: GPL-2.0-only
//
// What many branches cost. It is counted, not timed: the grace periods that are waited for.
//
// Combinations: tmpfs

#include "modules.hh"
#include "tracing.hh"

/* Makes the directories @name0, @name1, ...: @count branches, as a list. */
static string make_list(const string &name, unsigned count)
{
	string list;
	for (unsigned i = 0; i < count; i++) {
		string branch = name + std::to_string(i);
		make_dir(branch);
		list += (i ? ":" : "") + branch;
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
	u.mount("br=" + u.top + "=rw:" + make_list("b", count));
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
