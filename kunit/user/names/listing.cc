// SPDX-License-Identifier: GPL-2.0-only
//
// The cost of listing a merged directory if somebody has chosen its names or its readers to make that dear. Readers
// that share a listing see all names.
//
// Combinations: tmpfs

#include "fixture.hh"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <bit>

static double now()
{
	timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void make_node(const string &path)
{
	OK(mknod(path.c_str(), S_IFREG | 0644, 0));
}

/* The kernel's full_name_hash() of a name of 15 bytes, without a salt, on 64 bits. */
class NameHash
{
public:
	using Word = uint64_t;
	static constexpr Word golden = 0x61c8864680b583eb;

	explicit NameHash(Word head)
	{
		Word a = head, b = head;
		a = std::rotl(a, 12) + b;
		b = std::rotl(b, 45) * 9;
		x_ = a;
		y_ = b;
	}
	uint32_t finish(Word tail) const
	{
		return ((y_ ^ ((x_ ^ tail) * golden)) * golden) >> 32;
	}
	/* The tail that makes the upper half of @product the hash. */
	Word tail_for(Word product) const
	{
		return ((y_ ^ product * inverse()) * inverse()) ^ x_;
	}

private:
	static constexpr Word inverse()
	{
		Word guess = golden;
		for (int i = 0; i < 6; i++)
			guess *= 2 - golden * guess;
		return guess;
	}
	Word x_, y_;
};

/* A name of 15 bytes with the hash that all these names share. */
static string colliding_name(unsigned number)
{
	constexpr uint64_t wanted = 0x12345678;
	string name = ktap::format("%08x", number);
	NameHash::Word head;
	memcpy(&head, name.data(), sizeof(head));
	NameHash hash(head);
	for (uint64_t low = uint64_t(number) << 12;; low++) {
		NameHash::Word tail = hash.tail_for(wanted << 32 | (low & 0xffffffff));
		char bytes[8];
		memcpy(bytes, &tail, sizeof(bytes));
		if (bytes[7] || memchr(bytes, '\0', 7) || memchr(bytes, '/', 7))
			continue;
		EXPECT_EQ(hash.finish(tail), wanted);
		return name + string(bytes, 7);
	}
}

static double seconds_to_list(const string &dir, size_t expected)
{
	double start = now();
	EXPECT_EQ(names_in(dir).size(), expected);
	return now() - start;
}

/* Chosen names cannot make a listing cost the square of their number. */
CASE(names_that_collide)
{
	Union u;
	constexpr unsigned count = 8000;
	for (const string &branch : {u.top, u.low})
		for (const char *dir : {"/plain", "/chosen"})
			make_dir(branch + dir);
	for (unsigned i = 0; i < count; i++) {
		make_node(u.top + "/plain/" + ktap::format("p%014x", i));
		make_node(u.top + "/chosen/" + colliding_name(i));
	}
	u.mount();
	/* The first listing does not count. */
	seconds_to_list(u.at("plain"), count);
	double plain = seconds_to_list(u.at("plain"), count);
	double chosen = seconds_to_list(u.at("chosen"), count);
	ktap::say(ktap::format("plain names %.3f s, chosen ones %.3f s", plain, chosen));
	EXPECT_LT(chosen, 4 * plain + 0.5);
}

static void fill(const Union &u, unsigned count)
{
	make_dir(u.top + "/dir");
	make_dir(u.low + "/dir");
	for (unsigned i = 0; i < count; i++)
		make_node(ktap::format("%s/dir/an entry with a longer name %u", u.low.c_str(), i));
}

/* A descriptor of @dir that has read a part of it. */
static Fd begin_reading(const string &dir)
{
	Fd fd = open_file(dir, O_RDONLY | O_DIRECTORY);
	char buffer[512];
	EXPECT_GT(OK(syscall(SYS_getdents64, int(fd), buffer, sizeof(buffer))), 0);
	return fd;
}

static long available_kb()
{
	string text = read_file("/proc/meminfo");
	return std::stol(text.substr(text.find("MemAvailable:") + 13));
}

/* Many readers of a directory that does not change share one listing. */
CASE(memory_of_many_readers)
{
	Union u;
	constexpr unsigned entries = 4000, readers = 300;
	fill(u, entries);
	u.mount();
	/* A directory that has just changed has no shared listing. */
	sleep(2);
	rlimit limit = {readers + 50, readers + 50};
	OK(setrlimit(RLIMIT_NOFILE, &limit));
	Fd first = begin_reading(u.at("dir"));
	long before = available_kb();
	std::vector<Fd> all;
	for (unsigned i = 0; i < readers; i++)
		all.push_back(begin_reading(u.at("dir")));
	long used = before - available_kb();
	ktap::say(ktap::format("%u more readers of %u entries: %ld KiB", readers, entries, used));
	/* Listings of their own would take 80 MiB. */
	EXPECT_LT(used, 20 << 10);
	/* The listing stays when its first reader goes, and each reader reads on. */
	first.reset();
	all.resize(readers / 2);
	for (Fd &fd : all) {
		DIR *dir = OK(fdopendir(fd.release()));
		unsigned rest = 0;
		while (readdir(dir))
			rest++;
		EXPECT_LT(rest, entries);
		EXPECT_GT(rest, entries - 30);
		rewinddir(dir);
		rest = 0;
		while (readdir(dir))
			rest++;
		EXPECT_EQ(rest, entries + 2);
		closedir(dir);
		if (&fd - all.data() == 5)
			break;
	}
}

static bool has(const std::vector<string> &names, const string &name)
{
	return std::find(names.begin(), names.end(), name) != names.end();
}

/* A new reader, and one that rewinds, see each change, however soon. */
PARAM_CASE(changes_are_seen, "through_the_union", "on_the_rw_branch", "on_the_ro_branch")
{
	Union u;
	string p = ktap::param();
	fill(u, 10);
	u.mount();
	string dir = p == "through_the_union" ? u.at("dir") :
		     p == "on_the_rw_branch"  ? u.top + "/dir" :
						u.low + "/dir";
	Fd old = begin_reading(u.at("dir"));
	for (int i = 0; i < 400; i++) {
		/* A reader has a listing from before the change. */
		Fd reader = begin_reading(u.at("dir"));
		string name = ktap::format("new%d", i);
		make_node(dir + "/" + name);
		if (!has(names_in(u.at("dir")), name)) {
			EXPECT_EQ(ktap::format("missing in round %d", i), "");
			break;
		}
		OK(lseek(old, 0, SEEK_SET));
		DIR *again = OK(fdopendir(OK(dup(old))));
		std::vector<string> names;
		while (dirent *entry = readdir(again))
			names.push_back(entry->d_name);
		closedir(again);
		EXPECT(has(names, name));
		if (p == "on_the_ro_branch")
			continue; /* what users have looked up stays */
		OK(unlink((dir + "/" + name).c_str()));
		if (has(names_in(u.at("dir")), name)) {
			EXPECT_EQ(ktap::format("still there in round %d", i), "");
			break;
		}
	}
}

/* Readers come and go while names do. They meet no name twice, and all names that stay. */
CASE(readers_beside_changes)
{
	Union u;
	fill(u, 200);
	u.mount();
	std::vector<pid_t> pids;
	for (int i = 0; i < 3; i++)
		pids.push_back(spawn([&] {
			for (int round = 0; round < 60; round++) {
				std::vector<string> names = names_in(u.at("dir"));
				EXPECT_EQ(std::adjacent_find(names.begin(), names.end()) -
						  names.begin(),
					  ssize_t(names.size()));
				EXPECT_EQ(
					std::count_if(names.begin(), names.end(),
						      [](const string &n) { return n[0] == 'a'; }),
					200);
			}
		}));
	pids.push_back(spawn([&] {
		for (int round = 0; round < 400; round++) {
			write_file(u.at("dir/x" + std::to_string(round % 7)), "");
			unlink(u.at("dir/x" + std::to_string((round + 3) % 7)).c_str());
		}
	}));
	for (pid_t pid : pids)
		EXPECT_EQ(wait_for(pid), 0);
}

/* A listing that is not shared is charged to its reader. */
CASE(memory_is_charged)
{
	Union u;
	make_dir(u.tmp + "/cgroup");
	Mounted cgroups("none", u.tmp + "/cgroup", "cgroup2", 0, "");
	string group = u.tmp + "/cgroup/aufs_listing";
	if (read_file(u.tmp + "/cgroup/cgroup.controllers").find("memory") == string::npos)
		SKIP("no memory controller in the second hierarchy");
	write_control(u.tmp + "/cgroup/cgroup.subtree_control", "+memory");
	make_dir(group);
	fill(u, 4000);
	u.mount();
	int code = in_child([&] {
		write_control(group + "/cgroup.procs", "0");
		auto current = [&] {
			return std::stol(read_file(group + "/memory.current"));
		};
		std::vector<Fd> readers;
		long before = current();
		for (int i = 0; i < 40; i++) {
			make_node(u.at("dir/new" + std::to_string(i)));
			readers.push_back(begin_reading(u.at("dir")));
		}
		long used = current() - before;
		ktap::say(ktap::format("40 listings of 4,000 entries: %ld KiB", used >> 10));
		EXPECT_GT(used, 40 * (200 << 10));
	});
	EXPECT_EQ(code, 0);
	OK(rmdir(group.c_str()));
}
