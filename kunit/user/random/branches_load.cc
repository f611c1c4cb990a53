// SPDX-License-Identifier: GPL-2.0-only
//
// Branches come and go at random while processes use the union. After each change the union shows what its list says.
// No process sees an error that it would not see without the changes, or misses a name that was there all the time.
// AUFS_SEED and AUFS_STEPS (changes) choose another run. In a long run the processes give way to the one that changes
// the list.

#include "tree_ops.hh"

#include <algorithm>
#include <random>

#include <dirent.h>
#include <sys/mman.h>
#include <sys/resource.h>

using Names = std::vector<string>;

static constexpr unsigned modules = 6;

/* Prints what is wrong, and ends the process. */
[[noreturn]] static void complain(const string &what, int error = errno)
{
	ktap::say("a process: " + what + ": " + ktap::errno_name(error));
	_exit(2);
}

/* Reads the directory: all names are known, the rw branch's is there, and none comes twice. */
static void read_directory(const string &dir)
{
	Names names;
	DIR *stream = opendir(dir.c_str());
	if (!stream)
		complain("opendir");
	while (dirent *entry = readdir(stream))
		names.push_back(entry->d_name);
	closedir(stream);
	std::sort(names.begin(), names.end());
	if (std::adjacent_find(names.begin(), names.end()) != names.end())
		complain("a name is there twice", 0);
	if (!std::binary_search(names.begin(), names.end(), "always"))
		complain("a name is missing", 0);
	for (const string &name : names) {
		struct stat is;
		if (lstat((dir + "/" + name).c_str(), &is) && errno != ENOENT)
			complain("stat of " + name);
	}
}

/* Maps a module's file, if it is there, and compares the content. */
static void map_file(const string &path)
{
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOENT)
			complain("open of " + path);
		return;
	}
	char byte;
	void *map = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED || pread(fd, &byte, 1, 0) != 1)
		complain("use of " + path);
	if (*static_cast<char *>(map) != byte || byte < '0' || byte >= char('0' + modules))
		complain("what is mapped", 0);
	munmap(map, 4096);
	close(fd);
}

/* Makes a file of this process, writes to it, renames it, reads it and removes it. */
static void use_own_file(const string &dir, unsigned number)
{
	string own = "/own" + std::to_string(number), name = dir + own,
	       text = std::to_string(number);
	/* Some processes rename it to another directory. */
	string other = dir + (number % 2 ? "" : "/elsewhere") + own + ".renamed";
	int fd = open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text.data(), text.size()) != ssize_t(text.size()))
		complain("creation of " + name);
	if (rename(name.c_str(), other.c_str()))
		complain("rename of " + name);
	char read[16] = "";
	int again = open(other.c_str(), O_RDONLY | O_CLOEXEC);
	if (again < 0 || ::read(again, read, sizeof(read)) < 0 || text != read)
		complain("read of " + other);
	close(again);
	close(fd);
	if (unlink(other.c_str()))
		complain("unlink of " + other);
}

HELPER(end_well)
{
	return 7;
}

/* Runs a module's program. */
static void run_program(const string &path)
{
	pid_t child = fork();
	if (child == 0) {
		execl(path.c_str(), path.c_str(), "--helper", "end_well", nullptr);
		_exit(errno == ENOENT ? 7 : 3);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 7)
		complain("run of " + path, 0);
}

struct Load : Union {
	Load()
	{
		make_dir(session());
		make_dir(top + "/dir");
		make_dir(top + "/elsewhere");
		write_file(top + "/dir/always", "");
		for (unsigned i = 0; i < modules; i++) {
			make_dir(module(i));
			mounts.emplace_back("module", module(i), "tmpfs", 0, "");
			make_dir(module(i) + "/dir");
			write_file(module(i) + "/dir/m" + std::to_string(i), "");
			write_file(module(i) + "/common", std::to_string(i));
			write_file(module(i) + "/prog", read_file("/proc/self/exe"), 0755);
		}
		mount("br=" + top + "=rw:" + session() + "=rw,create=rr");
	}
	string session() const
	{
		return tmp + "/session";
	}
	string module(unsigned i) const
	{
		return tmp + "/" + std::to_string(i);
	}
	int remount(const string &options) const
	{
		return ::mount("none", mnt.c_str(), "aufs", MS_REMOUNT, options.c_str()) ? errno :
											   0;
	}
	/* The union shows what its list says. */
	void check() const
	{
		string shown = top + "=rw:" + session() + (writable ? "=rw" : "=ro");
		Names names = {"always"};
		for (unsigned i : list) {
			shown += ":" + module(i) + "=ro";
			names.push_back("m" + std::to_string(i));
		}
		std::sort(names.begin(), names.end());
		EXPECT_EQ(shown_branches(mnt), shown);
		EXPECT_EQ(names_in(at("dir")), names);
		if (list.empty())
			EXPECT(!exists(at("common")));
		else
			EXPECT_EQ(read_file(at("common")), std::to_string(list[0]));
	}

	std::vector<Mounted> mounts;
	std::vector<unsigned> list; /* from the uppermost to the lowest */
	bool writable = true; /* the second branch */
};

CASE(changes_under_load)
{
	Load u;
	std::mt19937_64 random(chosen_seed());
	std::vector<pid_t> users;
	unsigned long steps = chosen_steps(100);
	unsigned done = 0, busy = 0;
	/* The processes end by themselves: a program that one has started would else outlive it, and use the union. */
	Map stop(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	for (unsigned number = 0; number < 5; number++)
		users.push_back(spawn([&] {
			if (steps >= 1000)
				OK(setpriority(PRIO_PROCESS, 0, 15));
			while (!stop[0]) {
				if (number == 0)
					read_directory(u.at("dir"));
				else if (number == 1)
					map_file(u.at("common"));
				else if (number == 2)
					run_program(u.at("prog"));
				else
					use_own_file(u.mnt, number);
			}
			return 0;
		}));
	for (unsigned long left = steps; left && !ktap::shared->failures; left--) {
		if (left != steps && (steps - left) % 1000 == 0)
			ktap::say(ktap::format("%lu changes were tried", steps - left));
		std::vector<unsigned> next = u.list, out;
		for (unsigned i = 0; i < modules; i++)
			if (std::find(next.begin(), next.end(), i) == next.end())
				out.push_back(i);
		unsigned place = random() % (next.size() + 1);
		string options;
		bool writable = u.writable;
		if (random() % 6 == 0) {
			writable = !writable;
			options = "mod:" + u.session() + (writable ? "=rw" : "=ro");
		} else if (!out.empty() && (next.empty() || random() % 2)) {
			unsigned comes = out[random() % out.size()];
			options = "add:" + std::to_string(place + 2) + ":" + u.module(comes);
			next.insert(next.begin() + place, comes);
		} else {
			place %= next.size();
			string goes = u.module(next[place]);
			unsigned way = random() % 3;
			if (way == 0 && !out.empty()) {
				options = "replace:" + goes + "=" + u.module(out[0]);
				next[place] = out[0];
			} else {
				options = (way == 1 ? "detach:" : "del:") + goes;
				next.erase(next.begin() + place);
			}
		}
		int error = u.remount(options);
		if (error) {
			EXPECT_EQ(ktap::errno_name(error), "EBUSY");
			busy++;
		} else {
			u.list = next;
			u.writable = writable;
			done++;
		}
		u.check();
		for (pid_t user : users) {
			siginfo_t ended = {};
			OK(waitid(P_PID, user, &ended, WEXITED | WNOHANG | WNOWAIT));
			EXPECT_EQ(ended.si_pid, 0);
		}
	}
	stop[0] = 1;
	for (pid_t user : users)
		EXPECT_EQ(wait_for(user), 0);
	ktap::say(ktap::format("%u changes, %u times busy", done, busy));
	EXPECT(done > busy);
	u.unmount();
	/* No module is in use any more. */
	for (Mounted &mount : u.mounts)
		mount.unmount();
}
