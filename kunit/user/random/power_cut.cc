// SPDX-License-Identifier: GPL-2.0-only
//
// The power is cut while several processes change the union. Synced changes are there, a change under way is made or
// not, and a file of a lower branch is never lost in between. A device-mapper target drops all writes from one moment
// on; then the rw branch is mounted anew. AUFS_SEED chooses other moments, AUFS_STEPS how many.

#include "disk.hh"
#include "tree_ops.hh"

#include <atomic>

using Names = std::vector<string>;

/* Removals are fast, so there are more of them. */
static constexpr unsigned count = 60, removed_count = 400;

/* The numbers up to which a process has begun, and has synced. */
struct Progress {
	std::atomic<unsigned> begun, synced;
};

struct Shared {
	Progress copied, created, replaced, removed, renewed, linked;
};

static string numbered(const string &dir, unsigned number)
{
	return dir + "/" + std::to_string(number);
}

/* Made before the processes fork. */
static const string &content(unsigned number)
{
	static const std::vector<string> contents = [] {
		std::vector<string> made;
		for (unsigned i = 0; i <= count; i++)
			made.push_back(pattern(20000 + 7000 * (i % 20), i));
		return made;
	}();
	return contents[number];
}

static void fill(const string &low)
{
	for (const char *dir : {"copied", "removed", "renewed", "replaced", "linked"})
		make_dir(low + "/" + dir);
	for (unsigned i = 0; i < count; i++) {
		write_file(numbered(low + "/copied", i), content(i));
		write_file(numbered(low + "/linked", i), content(i));
		make_dir(numbered(low + "/renewed", i));
		write_file(numbered(low + "/renewed", i) + "/old", "old");
	}
	for (unsigned i = 0; i < removed_count; i++)
		write_file(numbered(low + "/removed", i), std::to_string(i));
	write_file(low + "/replaced/file", content(0));
}

static void sync_path(const string &path)
{
	OK(fsync(open_file(path, O_RDONLY)));
}

// ---- work, until the power is cut --------------------------------------------------------------

/* Each worker calls step(i) for one i after the other. */
template <typename Step> static pid_t worker(Progress &progress, Step step, unsigned last = count)
{
	return spawn([&progress, step, last] {
		for (unsigned i = 0; i < last; i++) {
			progress.begun = i + 1;
			if (step(i))
				progress.synced = i + 1;
		}
		pause();
	});
}

/* Copied up by different calls, without a sync. */
static bool copy(const string &mnt, unsigned i)
{
	string path = numbered(mnt + "/copied", i);
	switch (i % 4) {
	case 0:
		OK(pwrite(open_file(path, O_RDWR), "XYZ", 3, 5000));
		break;
	case 1:
		OK(chmod(path.c_str(), 0600));
		break;
	case 2:
		OK(truncate(path.c_str(), 10000));
		break;
	default:
		open_file(path, O_RDWR);
	}
	return false;
}

static bool create(const string &mnt, unsigned i)
{
	string path = numbered(mnt + "/created", i);
	write_file(path, content(i));
	sync_path(path);
	return true;
}

/* As editors and package managers replace a file. */
static bool replace(const string &mnt, unsigned i)
{
	string path = mnt + "/replaced/file", temporary = path + ".new";
	write_file(temporary, content(i + 1));
	sync_path(temporary);
	OK(rename(temporary.c_str(), path.c_str()));
	sync_path(mnt + "/replaced");
	return true;
}

static bool remove(const string &mnt, unsigned i)
{
	OK(unlink(numbered(mnt + "/removed", i).c_str()));
	if (i % 4)
		return false;
	sync_path(mnt + "/removed");
	return true;
}

/* A directory of the lower branch is removed, and a new one made. */
static bool renew(const string &mnt, unsigned i)
{
	string path = numbered(mnt + "/renewed", i);
	OK(unlink((path + "/old").c_str()));
	OK(rmdir(path.c_str()));
	OK(mkdir(path.c_str(), 0755));
	write_file(path + "/new", "new");
	sync_path(path + "/new");
	sync_path(path);
	sync_path(mnt + "/renewed");
	return true;
}

static bool link_to(const string &mnt, unsigned i)
{
	string path = numbered(mnt + "/linked", i);
	OK(link(path.c_str(), (path + ".2").c_str()));
	if (i % 3)
		return false;
	sync_path(mnt + "/linked");
	return true;
}

// ---- afterwards --------------------------------------------------------------------------------

#define EXPECT_THAT(condition, path)                                                               \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ktap::fail(__FILE__, __LINE__,                                             \
				   string(#condition) + "\n  not so: " + (path));                  \
	} while (0)

static string read_if_there(const string &path)
{
	return exists(path) ? read_file(path) : "(not there)";
}

static void check_copied(const string &mnt, unsigned i)
{
	string path = numbered(mnt + "/copied", i), is = read_if_there(path);
	string before = content(i), after = before;
	if (i % 4 == 0)
		after.replace(5000, 3, "XYZ");
	else if (i % 4 == 2)
		after.resize(10000);
	EXPECT_THAT(is == before || is == after, path);
	if (exists(path) && i % 4 != 1)
		EXPECT_EQ(stat_of(path).st_mode & 07777, 0644u);
}

static void check(const string &mnt, const Shared &synced, const Shared &begun)
{
	for (unsigned i = 0; i < count; i++) {
		check_copied(mnt, i);

		string path = numbered(mnt + "/created", i);
		if (i < synced.created.synced)
			EXPECT_THAT(read_if_there(path) == content(i), path);
		else if (i >= begun.created.begun)
			EXPECT_THAT(!exists(path), path);

		path = numbered(mnt + "/renewed", i);
		Names is = exists(path) ? names_in(path) : Names{"(not there)"};
		if (i < synced.renewed.synced)
			EXPECT_THAT(is == Names{"new"}, path);
		else if (i >= begun.renewed.begun)
			EXPECT_THAT(is == Names{"old"}, path);
		else
			EXPECT_THAT(is.size() < 2, path);
		if (is == Names{"old"})
			EXPECT_EQ(read_file(path + "/old"), "old");

		path = numbered(mnt + "/linked", i);
		EXPECT_THAT(read_if_there(path) == content(i), path);
		if (i < synced.linked.synced)
			EXPECT_THAT(exists(path + ".2"), path);
		if (exists(path + ".2")) {
			EXPECT_THAT(i < begun.linked.begun, path);
			EXPECT_EQ(stat_of(path).st_ino, stat_of(path + ".2").st_ino);
			EXPECT_THAT(read_file(path + ".2") == content(i), path);
		}
	}
	for (unsigned i = 0; i < removed_count; i++) {
		string path = numbered(mnt + "/removed", i);
		if (i < synced.removed.synced)
			EXPECT_THAT(!exists(path), path);
		else if (i >= begun.removed.begun || exists(path))
			EXPECT_THAT(read_if_there(path) == std::to_string(i), path);
	}
	bool found = false;
	string is = read_if_there(mnt + "/replaced/file");
	for (unsigned i = synced.replaced.synced; i <= begun.replaced.begun; i++)
		found = found || is == content(i);
	EXPECT_THAT(found, mnt + "/replaced/file");
	for (const Entry &entry : entries_in(mnt + "/"))
		EXPECT_HAS_NOT(entry.name, ".wh.");
}

/* The union can still be used. */
static void go_on(const string &mnt)
{
	for (unsigned i = 0; i < count; i++) {
		write_file(numbered(mnt + "/copied", i), "anew");
		remove_tree(numbered(mnt + "/renewed", i));
		write_file(numbered(mnt + "/removed", i), "again");
	}
	remove_tree(mnt + "/linked");
	EXPECT_EQ(names_in(mnt + "/renewed"), Names{});
	EXPECT_EQ(read_file(numbered(mnt + "/removed", 0)), "again");
}

static void cut(const string &type, unsigned delay)
{
	Union u;
	/* mkfs.xfs makes none that is smaller. */
	BreakableDisk disk(u.tmp + "/disk", type == "xfs" ? 300 << 20 : 48 << 20);
	string branch = u.tmp + "/branch", options = "br=" + branch + "=rw:" + u.low + "=ro";
	fill(u.low);
	string low = snapshot(u.low);
	make_dir(branch);
	type == "xfs" ? make_xfs(disk.name) : make_ext4(disk.name);
	Mounted mounted(disk.name, branch, type, 0, "");
	make_dir(branch + "/created");
	sync();
	u.mount(options);

	Map memory(sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	Shared &now = *new (memory.at()) Shared();
	std::vector<pid_t> workers = {
		worker(now.copied, [&](unsigned i) { return copy(u.mnt, i); }),
		worker(now.created, [&](unsigned i) { return create(u.mnt, i); }),
		worker(now.replaced, [&](unsigned i) { return replace(u.mnt, i); }),
		worker(
			now.removed, [&](unsigned i) { return remove(u.mnt, i); }, removed_count),
		worker(now.renewed, [&](unsigned i) { return renew(u.mnt, i); }),
		worker(now.linked, [&](unsigned i) { return link_to(u.mnt, i); }),
	};
	usleep(delay);
	Map copy_of_memory(sizeof(Shared), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	Shared &synced = *new (copy_of_memory.at()) Shared();
	memcpy(copy_of_memory.at(), memory.at(), sizeof(Shared));
	disk.lose_writes();
	for (pid_t pid : workers) {
		OK(kill(pid, SIGKILL));
		EXPECT_EQ(wait_for(pid), 128 + SIGKILL);
	}
	u.unmount();
	mounted.unmount();
	disk.mend();

	mounted = Mounted(disk.name, branch, type, 0, "");
	u.mount(options);
	expect_no_debris(branch);
	check(u.mnt, synced, now);
	EXPECT_EQ(snapshot(u.low), low);
	ktap::say(ktap::format(
		"after %u ms: %u copied, %u removed, %u directories renewed, %u links; synced: "
		"%u created, %u replaced",
		delay / 1000, unsigned(now.copied.begun), unsigned(now.removed.begun),
		unsigned(now.renewed.begun), unsigned(now.linked.begun),
		unsigned(synced.created.synced), unsigned(synced.replaced.synced)));
	go_on(u.mnt);
	expect_no_debris(branch);
	u.unmount();
	mounted.unmount();
}

PARAM_CASE(cut, "ext4", "xfs")
{
	if (!on("tmpfs") || !on("tmpfs", true))
		SKIP("once; the disk is this test's own");
	Random random(chosen_seed());
	for (unsigned long i = chosen_steps(2); i; i--)
		cut(ktap::param(), random.below(1500000));
}
