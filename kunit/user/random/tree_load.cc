// SPDX-License-Identifier: GPL-2.0-only
//
// Several processes change one union at the same time, each at random. The result is not known, but it has to be one
// tree, and the same one after a remount. AUFS_SEED and AUFS_STEPS (of each process) choose another run.
//
// Combinations: tmpfs+ext4

#include "layers.hh"

#include <algorithm>
#include <map>
#include <set>

#include <dirent.h>

static string branches(const Union &u)
{
	return "br=" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro";
}

/* Reads the whole tree by readdir and stat, which have to agree. */
static void look(const string &root, const string &dir, std::map<ino_t, nlink_t> &names,
		 std::map<ino_t, nlink_t> &counts)
{
	std::set<string> seen;
	for (const Entry &entry : entries_in(root + dir)) {
		string path = root + dir + entry.name;
		EXPECT(seen.insert(entry.name).second);
		EXPECT(entry.name.rfind(".wh.", 0) != 0);
		if (entry.name == "." || entry.name == "..")
			continue;
		struct stat is;
		if (lstat(path.c_str(), &is)) {
			ktap::fail(__FILE__, __LINE__,
				   path + " to be there, as readdir says\n  " +
					   ktap::errno_name(errno));
			continue;
		}
		EXPECT_EQ(entry.number, is.st_ino);
		EXPECT_EQ(unsigned(entry.type), IFTODT(is.st_mode));
		if (S_ISREG(is.st_mode))
			EXPECT_EQ(read_file(path).size(), size_t(is.st_size));
		if (S_ISDIR(is.st_mode))
			look(root, dir + entry.name + "/", names, counts);
		else {
			names[is.st_ino]++;
			counts[is.st_ino] = is.st_nlink;
		}
	}
}

static void check_links(const string &root)
{
	std::map<ino_t, nlink_t> names, counts;
	look(root, "", names, counts);
	for (const auto &[number, count] : names)
		EXPECT_EQ(counts[number], count);
}

/* Another process has cut the file that is written to through a mapping: maps an empty page there. */
static void give_page(int, siginfo_t *info, void *)
{
	auto at = reinterpret_cast<uintptr_t>(info->si_addr) / page_size() * page_size();
	if (mmap(reinterpret_cast<void *>(at), page_size(), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(98);
}

static void work(const Union &u, uint64_t seed, unsigned long steps)
{
	Random random(seed);
	Known known = known_in(u.mnt + "/");
	struct sigaction action = {};
	action.sa_sigaction = give_page;
	action.sa_flags = SA_SIGINFO;
	OK(sigaction(SIGBUS, &action, nullptr));
	/* The names that the other processes have made so far. */
	for (unsigned long i = 0; i < steps; i++) {
		if (i % 40 == 39)
			known = known_in(u.mnt + "/");
		Op op = random_op(random, known);
		int error = op.apply(u.mnt + "/");
		/* The name may be another object's by now, but these errnos would be faults. */
		if (error == EIO || error == ESTALE || error == EUCLEAN || error == EREMOTE)
			ktap::fail(__FILE__, __LINE__,
				   "no such error\n  " + op.text() + ": " +
					   ktap::errno_name(error));
	}
}

static void orphans_gone(const Union &u)
{
	expect_no_debris(u.top);
}

static void is_the_same_when_it_comes_back(Union &u)
{
	string before = snapshot(u.mnt);
	u.unmount();
	orphans_gone(u);
	u.mount(branches(u));
	EXPECT_EQ(snapshot(u.mnt), before);
}

PARAM_CASE(processes, "end", "are_killed")
{
	constexpr unsigned count = 4;
	Union u;
	uint64_t seed = chosen_seed();
	unsigned long steps = chosen_steps(800);
	Random random(seed);
	Layers({u.top, u.low, u.low2}).fill(random, false);
	string low = snapshot(u.low), low2 = snapshot(u.low2);
	KernelLog log;
	u.mount(branches(u));
	bool kills = ktap::param() == "are_killed";
	/* A killed process does fewer steps, and others take over. */
	for (unsigned long left = steps; left;) {
		unsigned long now = kills ? std::min(left, 100UL) : left;
		std::vector<pid_t> workers;
		for (unsigned i = 0; i < count; i++)
			workers.push_back(spawn([&, i] { work(u, ++seed * 100 + i, now); }));
		if (kills) {
			usleep(random.below(300000));
			kill(workers[random.below(count)], SIGKILL);
			kill(workers[0], SIGKILL);
		}
		for (pid_t pid : workers) {
			int status = wait_for(pid);
			if (!kills || status != 128 + SIGKILL)
				EXPECT_EQ(status, 0);
		}
		if (ktap::shared->failures)
			break;
		orphans_gone(u);
		check_links(u.mnt + "/");
		left -= now;
		seed++;
	}
	is_the_same_when_it_comes_back(u);
	check_links(u.mnt + "/");
	write_control("/proc/sys/vm/drop_caches", "3");
	check_links(u.mnt + "/");
	EXPECT_EQ(snapshot(u.low), low);
	EXPECT_EQ(snapshot(u.low2), low2);
	EXPECT_HAS_NOT(log.read(), "aufs: branch");
}
