// SPDX-License-Identifier: GPL-2.0-only
//
// The union is the root of a container with a memory limit. Processes in it write, copy up, store through mappings,
// make and rename names, list a large directory and run programs, until there is no memory and the kernel kills them,
// at any point. A process outside drops the caches all the while. Afterwards each file is the old one or the new one,
// there is no debris, and the union can be used and unmounted. On the debug kernel lockdep sees the locks of reclaim.
// AUFS_SEED chooses other limits, AUFS_STEPS how many containers.
//
// Combinations: tmpfs ext4+xfs

#include "fixture.hh"
#include "tree_ops.hh"

#include <algorithm>
#include <atomic>

#include <dirent.h>
#include <sched.h>

using Names = std::vector<string>;

namespace
{

/* Pieces of each kind of work; names that one piece makes; entries of the large directory. */
constexpr unsigned count = 48, names_at_once = 40, large_low = 500, large_top = 100;
constexpr size_t mapped_pages = 8;
/*
 * The kernel has to kill the process that takes the memory last, although it may have nearly all: the others' pages of
 * files on disks are written back and freed. One point of oom_score_adj is a thousandth of the limit's pages, rounded
 * down (mm/oom_kill.c). With 2000 pages or more, the difference of 1999 points is enough.
 */
constexpr size_t least_limit = 8 << 20;

enum Kind { copied, written, mapped, named, renamed, listed, executed, kinds };

/* The state of each piece, as its process reports it: not begun, begun, done. */
enum State : unsigned char { old, begun, done };

struct Shared {
	std::atomic<bool> go;
	std::atomic<State> state[kinds][count];
};

string numbered(const string &dir, unsigned number)
{
	return dir + "/" + std::to_string(number);
}

/* Made before the processes fork. Some are so long that a copy-up has several steps. */
const string &content(unsigned number)
{
	static const Names contents = [] {
		Names made;
		for (unsigned i = 0; i < count; i++)
			made.push_back(pattern(i % 16 == 5 ? 2500000 : 20000 + 7000 * (i % 10), i));
		return made;
	}();
	return contents[number];
}

string mapped_content(unsigned number)
{
	return pattern(mapped_pages * 4096, number);
}

void fill(const Union &u)
{
	for (const char *dir : {"copied", "mapped", "renamed", "large", "named", "written"})
		make_dir(u.low + "/" + dir);
	for (unsigned i = 0; i < count; i++) {
		write_file(numbered(u.low + "/copied", i), content(i));
		write_file(numbered(u.low + "/mapped", i), mapped_content(i));
		write_file(numbered(u.low + "/renamed", i), std::to_string(i));
	}
	make_dir(u.top + "/large");
	for (unsigned i = 0; i < large_low + large_top; i++)
		OK(mknod(numbered((i < large_low ? u.low : u.top) + "/large", i).c_str(),
			 S_IFREG | 0644, 0));
	copy_self(u.low + "/program");
}

// ---- in the container --------------------------------------------------------------------------

int error_of(long result)
{
	return result < 0 ? errno : 0;
}

int copy(unsigned i)
{
	string path = numbered("/copied", i);
	if (i % 4 == 1)
		return error_of(chmod(path.c_str(), 0600));
	if (i % 4 == 2)
		return error_of(truncate(path.c_str(), 10000));
	Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
	if (fd < 0 || i % 4 == 3)
		return error_of(fd);
	return error_of(pwrite(fd, "XYZ", 3, 5000));
}

int write_new(unsigned i)
{
	const string &text = content(i);
	Fd fd(open(numbered("/written", i).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
	if (fd < 0)
		return errno;
	for (size_t at = 0; at < text.size();) {
		ssize_t size =
			write(fd, text.data() + at, std::min<size_t>(16384, text.size() - at));
		if (size < 0)
			return errno;
		at += size;
	}
	return 0;
}

int store(unsigned i)
{
	Fd fd(open(numbered("/mapped", i).c_str(), O_RDWR | O_CLOEXEC));
	if (fd < 0)
		return errno;
	size_t size = mapped_pages * 4096;
	void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return errno;
	for (size_t page = 0; page < size; page += 4096)
		static_cast<volatile char *>(at)[page] = 'M';
	munmap(at, size);
	return 0;
}

int make_names(unsigned i)
{
	for (unsigned name = 0; name < names_at_once; name++)
		if (mknod(numbered("/named", i * names_at_once + name).c_str(), S_IFREG | 0644, 0))
			return errno;
	return 0;
}

int rename_one(unsigned i)
{
	string path = numbered("/renamed", i);
	return error_of(rename(path.c_str(), (path + ".new").c_str()));
}

/* Reads all names; each has to be there, or the errno says why not. */
int list_all(unsigned)
{
	unsigned found = 0;
	DIR *dir = opendir("/large");
	if (!dir)
		return errno;
	while (dirent *entry = (errno = 0, readdir(dir)))
		found += entry->d_name[0] != '.';
	int error = errno;
	closedir(dir);
	if (!error)
		EXPECT_EQ(found, large_low + large_top);
	return error;
}

int execute(unsigned)
{
	pid_t pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0) {
		execl("/program", "program", "--helper", "run", nullptr);
		_exit(errno == ENOMEM || errno == EAGAIN ? 0 : 99);
	}
	/* A program that has no memory while it is loaded may also end by SIGSEGV or SIGBUS. */
	int status = wait_for(pid);
	for (int signal : {SIGKILL, SIGSEGV, SIGBUS})
		if (status == 128 + signal)
			return ENOMEM;
	EXPECT_EQ(status, 0);
	return 0;
}

int (*const work[kinds])(unsigned) = {copy,	  write_new, store,  make_names,
				      rename_one, list_all,  execute};

/* The errnos of calls for want of memory, and of tasks that are being killed. */
bool is_for_want(int error)
{
	return error == ENOMEM || error == ENOSPC || error == EINTR || error == EAGAIN;
}

void do_work(Kind kind, Shared &shared)
{
	while (!shared.go)
		usleep(100);
	for (unsigned i = 0; i < count; i++) {
		shared.state[kind][i] = begun;
		int error = work[kind](i);
		if (!error)
			shared.state[kind][i] = done;
		else if (!is_for_want(error))
			ktap::fail(__FILE__, __LINE__,
				   ktap::format("no error but for want of memory\n  work %d, piece "
						"%u: %s",
						kind, i, ktap::errno_name(error).c_str()));
	}
	for (;;)
		pause();
}

// ---- the container -----------------------------------------------------------------------------

/* The kernel's reports of kills are allowed in this scope (scripts/testing/check-log). */
class KillsExpected
{
public:
	KillsExpected()
	{
		write_control(
			"/dev/kmsg",
			"aufs-test: processes are to be killed for want of memory, from here ...");
	}
	~KillsExpected()
	{
		ktap::guarded([] { write_control("/dev/kmsg", "aufs-test: ... to here"); });
	}
};

class Container
{
public:
	Container(const string &cgroups, const string &root, size_t limit)
		: path_(cgroups + "/aufs_memory_limit"), root_(root)
	{
		make_dir(path_);
		write_control(path_ + "/memory.max", std::to_string(limit));
	}
	~Container()
	{
		ktap::guarded([this] {
			write_control(path_ + "/cgroup.kill", "1");
			for (int i = 0; i < 60000 && !read_file(path_ + "/cgroup.procs").empty();
			     i++)
				usleep(1000);
			OK(rmdir(path_.c_str()));
		});
	}
	/* Runs @body in the container, with this oom_score_adj. If @inside, the union is its root. */
	template <typename Body> pid_t run(bool inside, const string &badness, Body body) const
	{
		Pipe joined;
		pid_t pid = spawn([&, body] {
			Fd group = open_file(path_ + "/cgroup.procs", O_WRONLY);
			write_control("/proc/self/oom_score_adj", badness);
			if (inside)
				enter_root();
			OK(write(group, "0", 1));
			group.reset();
			send_byte(joined.write);
			joined.write.reset();
			body();
		});
		joined.write.reset();
		EXPECT(wait_byte(joined.read));
		return pid;
	}
	/* The number of processes that the kernel has killed. */
	unsigned kills() const
	{
		string events = read_file(path_ + "/memory.events");
		size_t at = events.find("oom_kill ");
		ASSERT_NE(at, string::npos);
		return std::stoul(events.substr(at + strlen("oom_kill ")));
	}

private:
	void enter_root() const
	{
		if (ktap::param() == "chroot") {
			OK(chroot(root_.c_str()));
		} else {
			OK(unshare(CLONE_NEWNS));
			OK(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
			OK(chdir(root_.c_str()));
			OK(syscall(SYS_pivot_root, ".", "."));
			OK(umount2(".", MNT_DETACH));
		}
		OK(chdir("/"));
	}

	string path_, root_;
};

/* Takes @pages of memory at a time, without an end. */
void take_memory(unsigned pages)
{
	constexpr size_t most = 256 << 20;
	Map map(most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	(void)madvise(map.at(), most, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < most; at += pages * 4096) {
		for (unsigned page = 0; page < pages && at + page * 4096 < most; page++)
			map[at + page * 4096] = 'x';
		usleep(1000);
	}
}

void drop_caches()
{
	for (;;) {
		write_control("/proc/sys/vm/drop_caches", "3");
		usleep(30000);
	}
}

// ---- afterwards --------------------------------------------------------------------------------

#define EXPECT_THAT(condition, path)                                                               \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ktap::fail(__FILE__, __LINE__,                                             \
				   string(#condition) + "\n  not so: " + (path));                  \
	} while (0)

void check_copied(const string &mnt, unsigned i, State state)
{
	string path = numbered(mnt + "/copied", i), before = content(i), after = before;
	if (i % 4 == 0)
		after.replace(5000, 3, "XYZ");
	else if (i % 4 == 2)
		after.resize(10000);
	string is = read_file(path);
	mode_t mode = stat_of(path).st_mode & 07777, changed = i % 4 == 1 ? 0600 : 0644;
	EXPECT_THAT(state == old  ? is == before :
		    state == done ? is == after :
				    is == before || is == after,
		    path);
	EXPECT_THAT(mode == (state == old ? 0644u : changed) || (state == begun && mode == 0644u),
		    path);
}

void check_mapped(const string &mnt, unsigned i, State state)
{
	string path = numbered(mnt + "/mapped", i), is = read_file(path), was = mapped_content(i);
	bool all = true, none = true;
	for (size_t page = 0; page < was.size() && is.size() == was.size(); page += 4096) {
		all = all && is[page] == 'M';
		none = none && is[page] == was[page];
		if (is[page] == 'M')
			is[page] = was[page];
	}
	EXPECT_THAT(is == was, path);
	EXPECT_THAT(state == begun || (state == done ? all : none), path);
}

void check_written(const string &mnt, unsigned i, State state)
{
	string path = numbered(mnt + "/written", i);
	EXPECT_THAT(exists(path) ? state != old : state != done, path);
	if (!exists(path))
		return;
	string is = read_file(path);
	EXPECT_THAT(state == done ? is == content(i) : content(i).starts_with(is), path);
}

void check_renamed(const string &mnt, unsigned i, State state)
{
	string path = numbered(mnt + "/renamed", i), moved = path + ".new";
	bool is_moved = exists(moved);
	EXPECT_THAT(exists(path) != is_moved, path);
	EXPECT_THAT(state == begun || is_moved == (state == done), path);
	EXPECT_EQ(read_file(is_moved ? moved : path), std::to_string(i));
}

void check(const string &mnt, const Shared &shared)
{
	for (unsigned i = 0; i < count; i++) {
		check_copied(mnt, i, shared.state[copied][i]);
		check_written(mnt, i, shared.state[written][i]);
		check_mapped(mnt, i, shared.state[mapped][i]);
		check_renamed(mnt, i, shared.state[renamed][i]);
		State state = shared.state[named][i];
		unsigned found = 0;
		for (unsigned name = 0; name < names_at_once; name++) {
			bool there = exists(numbered(mnt + "/named", i * names_at_once + name));
			/* Each piece makes its names one after the other. */
			EXPECT_THAT(!there || found == name, numbered(mnt + "/named", i));
			found += there;
		}
		EXPECT_THAT(state == begun || found == (state == done ? names_at_once : 0),
			    numbered(mnt + "/named", i));
	}
	EXPECT_EQ(names_in(mnt + "/large").size(), large_low + large_top);
	for (const Entry &entry : entries_in(mnt + "/"))
		EXPECT_HAS_NOT(entry.name, ".wh.");
}

/* The union can still be used. */
void go_on(const string &mnt)
{
	for (unsigned i = 0; i < count; i++) {
		write_file(numbered(mnt + "/copied", i), "anew");
		write_file(numbered(mnt + "/written", i), "anew");
		EXPECT_EQ(read_file(numbered(mnt + "/copied", i)), "anew");
	}
	remove_tree(mnt + "/named");
	remove_tree(mnt + "/renamed");
	EXPECT_EQ(run({"/program", "--helper", "run"}, mnt).status, 0);
}

/* The last mount may have gone with its namespace, which takes time. */
void wait_until_gone()
{
	for (int i = 0; i < 60000 && !names_in("/sys/fs/aufs").empty(); i++)
		usleep(1000);
	ASSERT_EQ(names_in("/sys/fs/aufs"), Names{});
}

/* One container. */
void use_container(const string &cgroups, Random &random)
{
	Union u;
	fill(u);
	string low = snapshot(u.low);
	u.mount();
	Map memory(sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	Shared &shared = *new (memory.at()) Shared();
	size_t limit = least_limit + random.below(24 << 20);
	unsigned pages = 12 + random.below(52), kills = 0;
	{
		KillsExpected expected;
		Container container(cgroups, u.mnt, limit);
		std::vector<pid_t> workers;
		for (unsigned kind = 0; kind < kinds; kind++)
			workers.push_back(container.run(true, "1000", [&shared, kind] {
				do_work(static_cast<Kind>(kind), shared);
			}));
		pid_t dropper = spawn(drop_caches);
		shared.go = true;
		pid_t hog = container.run(false, "-999", [&] { take_memory(pages); });
		EXPECT_EQ(wait_for(hog), 128 + SIGKILL);
		kills = container.kills() - 1;
		/* All other processes, and maybe a program. None of them ends by itself. */
		EXPECT_GE(kills, unsigned(kinds));
		workers.push_back(dropper);
		for (pid_t pid : workers) {
			kill(pid, SIGKILL);
			EXPECT_EQ(wait_for(pid), 128 + SIGKILL);
		}
	}
	unsigned worked[kinds] = {}, cut[kinds] = {};
	for (unsigned kind = 0; kind < kinds; kind++)
		for (const auto &state : shared.state[kind]) {
			worked[kind] += state == done;
			cut[kind] += state == begun;
		}
	ktap::say(ktap::format(
		"%zu KiB, %u pages at a time, %u killed; done of each kind:%s; not:%s", limit >> 10,
		pages, kills, ktap::show(worked).c_str(), ktap::show(cut).c_str()));
	for (bool again : {false, true}) {
		check(u.mnt, shared);
		if (again)
			go_on(u.mnt);
		u.unmount();
		wait_until_gone();
		expect_no_debris(u.top);
		if (!again)
			u.mount();
	}
	EXPECT_EQ(snapshot(u.low), low);
}

} // namespace

/* Exits with 0 if the program's text, data and stack are whole. */
HELPER(run)
{
	constexpr size_t size = 300000;
	string text = pattern(size, 3);
	return text.size() == size && text[0] == pattern(1, 3)[0] ? 0 : 98;
}

PARAM_CASE(killed, "chroot", "pivot_root")
{
	string cgroups = string(ktap::env("AUFS_TMP")) + "/cgroups_" + ktap::param();
	make_dir(cgroups);
	{
		Mounted mounted("none", cgroups, "cgroup2", 0, "");
		if (read_file(cgroups + "/cgroup.controllers").find("memory") == string::npos)
			SKIP("no memory controller in the second hierarchy");
		write_control(cgroups + "/cgroup.subtree_control", "+memory");
		/* Has shorter reports of kills. From 4 on, the kernel does not log each drop. */
		Setting no_tasks("/proc/sys/vm/oom_dump_tasks", "0");
		write_control("/proc/sys/vm/drop_caches", "4");
		Random random(chosen_seed());
		for (unsigned long i = chosen_steps(3); i && !ktap::shared->failures; i--)
			use_container(cgroups, random);
	}
	OK(rmdir(cgroups.c_str()));
}
