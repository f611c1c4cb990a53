// SPDX-License-Identifier: GPL-2.0-only
//
// What tasks see of a change of the branches while it happens: the old list or the new one, never a part of each.
//
// Combinations: tmpfs

#include "modules.hh"

#include <atomic>
#include <functional>
#include <new>

/* What the readers share with the task that changes the list. */
struct Progress {
	std::atomic<bool> is_over;
	/* The number of the change that is under way, or of the last one. An odd change is from a to b. */
	std::atomic<unsigned> change;
	std::atomic<unsigned> readings[3];
};

static string checked(const string &what, const string &version)
{
	if (version != "a" && version != "b")
		ktap::fail(__FILE__, __LINE__,
			   what + " is that of a or that of b\n  it is " + ktap::quote(version));
	return version;
}

/* Which version the file at @path is. */
static string read_version(const string &path)
{
	Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	return checked(path, file < 0 ? ktap::errno_name(errno) : pread_text(file, 16, 0));
}

/* Which version the directory @dir is, by one reading of it. */
static string list_version(const string &dir)
{
	return checked(dir, joined(names_in(dir)));
}

/* When some name has shown the new list, no name shows the old one. */
static void read_in_order(const Union &u, const Progress &progress)
{
	unsigned change = progress.change;
	string versions;
	for (int i = 0; i < 3; i++)
		versions += list_version(u.at("dir")) + read_version(u.at("common")) +
			    read_version(u.at("merged/file"));
	if (progress.change != change)
		return;
	string in_order = versions;
	std::sort(in_order.begin(), in_order.end());
	if (change % 2 == 0)
		std::reverse(in_order.begin(), in_order.end());
	EXPECT_EQ(versions, in_order);
}

/* `replace` has to wait until no reader has a file of the old version open; `detach` has not. */
PARAM_CASE(the_old_list_or_the_new_one, "replace", "detach")
{
	/* Each change uses up a number for a filesystem, and after 126 of them directories are read in another way. */
	constexpr unsigned least = 10, most = 100;
	constexpr double seconds = 4;
	bool replaces = ktap::param() == "replace";
	Modules u;
	make_dir(u.at("merged"));
	for (const char *name : {"a", "b"}) {
		make_dir(u.module(name) + "/merged");
		write_file(u.module(name) + "/merged/file", name);
	}
	EXPECT_EQ(remount(u, "append:" + u.module("a")), 0);
	Map memory(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	auto &progress = *new (memory.at()) Progress();
	const std::function<void()> ways[] = {
		[&] { read_version(u.at("common")); },
		[&] { list_version(u.at("dir")); },
		[&] { read_in_order(u, progress); },
	};
	std::vector<pid_t> readers;
	for (unsigned i = 0; i < std::size(ways); i++)
		readers.push_back(spawn([&, i] {
			while (!progress.is_over && !ktap::shared->failures) {
				ways[i]();
				progress.readings[i]++;
				usleep(200);
			}
		}));
	unsigned changes = 0, busy = 0;
	for (double end = seconds_now() + seconds; changes < most &&
						   (changes < least || seconds_now() < end) &&
						   !ktap::shared->failures;) {
		const char *old = changes % 2 ? "b" : "a", *next = changes % 2 ? "a" : "b";
		string options = replaces ? "replace:" + u.module(old) + "=" + u.module(next) :
					    "detach:" + u.module(old) + ",append:" + u.module(next);
		int error;
		progress.change = ++changes;
		while ((error = remount(u, options)) == EBUSY && replaces)
			busy++;
		EXPECT_EQ(ktap::errno_name(error), "0");
		EXPECT_EQ(read_version(u.at("common")), next);
		EXPECT_EQ(list_version(u.at("dir")), next);
		EXPECT_EQ(read_version(u.at("merged/file")), next);
	}
	progress.is_over = true;
	for (pid_t reader : readers)
		EXPECT_EQ(wait_for(reader), 0);
	for (const std::atomic<unsigned> &readings : progress.readings)
		EXPECT_GT(readings.load(), 0u);
	ktap::say(ktap::format("%u changes, %u times busy; %u, %u and %u readings", changes, busy,
			       progress.readings[0].load(), progress.readings[1].load(),
			       progress.readings[2].load()));
}
