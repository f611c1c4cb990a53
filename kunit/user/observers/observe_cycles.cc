// SPDX-License-Identifier: GPL-2.0-only
//
// aufs-observers.ko comes and goes while processes use the union, and while ftrace and kprobes attach to the functions
// that it patches and detach again. In each state an observer reports what it has to: the right file while the
// companion is in force, the kernel's own answer while it is not. Each transition ends. AUFS_STEPS (how often it comes
// and goes) chooses a longer run.

#include "proc.hh"
#include "tracing.hh"

#include <algorithm>
#include <climits>
#include <fstream>
#include <memory>
#include <new>

#include <elf.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

using Names = std::vector<string>;

static const char livepatch[] = "/sys/kernel/livepatch/aufs_observers";

/* Before 6.8 the companion corrects maps and smaps, later core dumps, the log, and /proc/PID/exe. */
static bool is_of_maps()
{
	return !reports_union_inode();
}

static Names patched_functions()
{
	return is_of_maps() ? Names{"pid_maps_open", "pid_smaps_open"} :
			      Names{"file_path", "print_vma_addr", "replace_mm_exe_file"};
}

static string companion()
{
	string module = ktap::env("AUFS_MODULE");
	return module.substr(0, module.rfind('/')) + "/aufs-observers.ko";
}

static unsigned long chosen_cycles()
{
	for (const char *name : {"AUFS_CYCLES", "AUFS_STEPS"})
		if (const char *given = getenv(name))
			return strtoul(given, nullptr, 0);
	return getenv("AUFS_QUICK") ? 1 : 4;
}

/* Whether @condition becomes true. The time limit is longer than any that a working kernel needs. */
template <typename Condition> static bool until(Condition condition)
{
	timespec now, end;
	OK(clock_gettime(CLOCK_MONOTONIC, &end));
	end.tv_sec += 30 * ktap::patience();
	do {
		if (condition())
			return true;
		usleep(20000);
		OK(clock_gettime(CLOCK_MONOTONIC, &now));
	} while (now.tv_sec < end.tv_sec);
	return condition();
}

/* Prints which tasks are not in @state yet ("0" or "1"), and where they are. */
static void say_held_up(const string &state)
{
	for (const string &pid : names_in("/proc")) {
		/* The task may have ended. */
		std::ifstream file("/proc/" + pid + "/patch_state"),
			stack("/proc/" + pid + "/stack");
		string is, line;
		if (!isdigit(pid[0]) || !(file >> is) || is == state || is == "-1")
			continue;
		ktap::say("task " + pid + ":");
		while (getline(stack, line))
			ktap::say(line);
	}
}

/* The companion, which goes with its scope. */
class Companion
{
public:
	Companion() = default;
	Companion(const Companion &) = delete;
	~Companion()
	{
		ktap::guarded([this] {
			if (exists(livepatch)) {
				disable();
				wait_gone();
			}
			if (exists("/sys/module/aufs_observers"))
				unload();
		});
	}
	void load()
	{
		Fd file = open_file(companion(), O_RDONLY | O_CLOEXEC);
		OK(syscall(SYS_finit_module, static_cast<int>(file), "", 0));
		wait_in_force();
	}
	void disable()
	{
		write_control(enabled(), "0");
	}
	/* Disables the companion and enables it again on its way. Returns false if that was too late: it goes. */
	bool turn_back()
	{
		Fd told = open_file(enabled(), O_WRONLY | O_CLOEXEC);
		OK(write(told, "0", 1));
		if (pwrite(told, "1", 1, 0) != 1)
			return false;
		wait_in_force();
		return true;
	}
	void wait_gone()
	{
		if (!until([] { return !exists(livepatch); })) {
			say_held_up("0");
			ASSERT(!exists(livepatch));
		}
	}
	/* Before 6.8 it stays while a task has a procfs file open that it has corrected. */
	void unload()
	{
		ASSERT(until([] {
			return syscall(SYS_delete_module, "aufs_observers", O_NONBLOCK) == 0;
		}));
	}

private:
	static string enabled()
	{
		return string(livepatch) + "/enabled";
	}
	static void wait_in_force()
	{
		string transition = string(livepatch) + "/transition";
		if (!until([&] { return read_file(transition) == "0\n"; })) {
			say_held_up("1");
			ASSERT_EQ(read_file(transition), "0\n");
		}
		ASSERT_EQ(read_file(enabled()), "1\n");
	}
};

/*
 * The numbers that ftrace has for the patched functions. ftrace compares a name with that of each function of the
 * kernel, which takes more than a second.
 */
static const Names &patched_numbers(const Tracing &tracing)
{
	static const Names numbers = [&] {
		Names functions = patched_functions(), found;
		std::ifstream file(tracing.file("available_filter_functions"));
		string line;
		for (unsigned long number = 1; getline(file, line); number++)
			if (std::count(functions.begin(), functions.end(), line))
				found.push_back(std::to_string(number));
		EXPECT_EQ(found.size(), functions.size());
		return found;
	}();
	return numbers;
}

/* ftrace and kprobes on the patched functions, in a tracing instance of their own. */
class Watch
{
public:
	Watch(const Tracing &tracing, const string &name)
		: tracing_(tracing), group_("aufs_" + name),
		  dir_(tracing.file("instances/aufs_" + name))
	{
		make_dir(dir_);
		for (const string &number : patched_numbers(tracing))
			tracing.append("instances/" + group_ + "/set_ftrace_filter", number + "\n");
		for (const string &function : patched_functions())
			tracing.append("kprobe_events", "p:" + event(function) + " " + function);
	}
	Watch(const Watch &) = delete;
	~Watch()
	{
		ktap::guarded([this] {
			trace(false);
			probe(false);
			for (const string &function : patched_functions())
				tracing_.append("kprobe_events", "-:" + event(function));
			OK(rmdir(dir_.c_str()));
		});
	}
	void trace(bool on) const
	{
		write_control(dir_ + "/current_tracer", on ? "function" : "nop");
	}
	void probe(bool on) const
	{
		write_control(dir_ + "/events/" + group_ + "/enable", on ? "1" : "0");
	}
	void clear() const
	{
		/* An open with O_TRUNC empties the trace. */
		open_file(dir_ + "/trace", O_WRONLY | O_TRUNC);
	}
	string text() const
	{
		return read_file(dir_ + "/trace");
	}
	void expect(bool traced, bool probed) const
	{
		string text = this->text();
		for (const string &function : patched_functions()) {
			if (traced)
				EXPECT_HAS(text, " " + function + " <-");
			if (probed)
				EXPECT_HAS(text, "hit_" + function + ": (" + function);
		}
	}

private:
	string event(const string &function) const
	{
		return group_ + "/hit_" + function;
	}
	const Tracing &tracing_;
	string group_, dir_;
};

/* Prints whether a process may change its /proc/PID/exe while the old file is mapped. */
HELPER(set_exe)
{
	Fd other = open_file("/bin/true", O_RDONLY | O_CLOEXEC);
	printf("%s\n", prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, static_cast<int>(other), 0, 0) ?
			       strerrorname_np(errno) :
			       "allowed");
	return 0;
}

/* The names in the NT_FILE note of a core dump. */
static Names mapped_names(const string &core)
{
	Elf64_Ehdr header;
	ASSERT(core.size() > sizeof(header));
	memcpy(&header, core.data(), sizeof(header));
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, core.data() + header.e_phoff + i * sizeof(segment),
		       sizeof(segment));
		size_t at = segment.p_offset, end = at + segment.p_filesz;
		while (segment.p_type == PT_NOTE && at + sizeof(Elf64_Nhdr) <= end) {
			Elf64_Nhdr note;
			memcpy(&note, core.data() + at, sizeof(note));
			at += sizeof(note) + ((note.n_namesz + 3) & ~3U);
			if (note.n_type == NT_FILE) {
				/* A count, the page size, three numbers for each mapping, and the names. */
				uint64_t count;
				memcpy(&count, core.data() + at, sizeof(count));
				const char *name = core.data() + at + 16 + 24 * count;
				Names names;
				for (; count; count--, name += names.back().size() + 1)
					names.push_back(name);
				return names;
			}
			at += (note.n_descsz + 3) & ~3U;
		}
	}
	ktap::fail(__FILE__, __LINE__, "a core dump has the note NT_FILE");
	throw ktap::Abort{};
}

/* The observed object: code of the union that is mapped. Its name differs from the one on the branch now. */
struct Scene : Union {
	Scene()
	{
		/* movb $0, 0 */
		write_file(low + "/code", string("\xc6\x04\x25\0\0\0\0\0\xc3", 9), 0755);
		copy_self(low + "/prog");
		write_file(low + "/data", pattern(4 * page_size()));
		mount();
		Fd file = open_file(at("code"), O_RDONLY);
		map = std::make_unique<Map>(page_size(), PROT_READ | PROT_EXEC, MAP_PRIVATE, file);
		of_branch = stat_of(low + "/code");
		OK(rename(at("code").c_str(), at("renamed").c_str()));
	}
	void check(bool corrected) const
	{
		if (is_of_maps()) {
			check_maps(corrected);
			return;
		}
		check_crash(corrected);
		EXPECT_EQ(run_helper(at("prog"), "set_exe").text,
			  corrected ? "EBUSY\n" : "allowed\n");
	}

	std::unique_ptr<Map> map;
	struct stat of_branch;

private:
	void check_maps(bool corrected) const
	{
		struct stat expected = corrected ? stat_of(at("renamed")) : of_branch;
		for (const char *file : {"maps", "smaps"}) {
			Vma vma = vma_at(map->at(), file);
			EXPECT_EQ(vma.path, at("renamed"));
			EXPECT_EQ(vma.device, expected.st_dev);
			EXPECT_EQ(vma.inode, expected.st_ino);
		}
	}
	/* Checks the log and the core dump of a process that runs into the mapped code and crashes. */
	void check_crash(bool corrected) const
	{
		KernelLog log;
		pid_t pid = spawn([&] {
			rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
			OK(setrlimit(RLIMIT_CORE, &limit));
			reinterpret_cast<void (*)()>(map->at())();
		});
		EXPECT_EQ(wait_for(pid), 128 + SIGSEGV);

		string lines, began = ktap::format("[%d]: segfault at 0 ", pid);
		size_t found = string::npos;
		ASSERT(until([&] {
			lines += log.read();
			found = lines.find(began);
			return found != string::npos && lines.find('\n', found) != string::npos;
		}));
		string line = lines.substr(found, lines.find('\n', found) - found);
		EXPECT_HAS(line, corrected ? " in renamed[" : " in code[");

		string core = ktap::format("%s/core.%d", tmp.c_str(), pid);
		Names names = mapped_names(read_file(core));
		OK(unlink(core.c_str()));
		EXPECT_EQ(std::count(names.begin(), names.end(), at("renamed")), corrected ? 1 : 0);
		EXPECT_EQ(std::count_if(names.begin(), names.end(),
					[](const string &name) { return name.ends_with("/code"); }),
			  corrected ? 0 : 1);
	}
};

/* The work of the processes beside the test, and whether they have to end. */
struct Beside {
	static constexpr unsigned users = 5;
	unsigned long rounds[users];
	bool ends;
};

/* The processes, which go with their scope. */
struct Users : std::vector<pid_t> {
	~Users()
	{
		for (pid_t user : *this)
			kill(user, SIGKILL);
		for (pid_t user : *this)
			wait_for(user);
	}
};

[[noreturn]] static void complain(const string &what)
{
	ktap::say("a process: " + what + ": " + ktap::errno_name(errno));
	_exit(2);
}

/* Maps a file of the union, splits the mapping and unmaps it. */
static void map_data(const string &path)
{
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	void *map = fd < 0 ? MAP_FAILED :
			     mmap(nullptr, 4 * page_size(), PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		complain("mmap of " + path);
	volatile char *bytes = static_cast<char *>(map);
	if (bytes[0] != pattern(1)[0] || mprotect(map, page_size(), PROT_NONE) ||
	    munmap(map, 4 * page_size()))
		complain("use of " + path);
	close(fd);
}

/* Does the work of process @number once. */
static void work(unsigned number, const Scene &scene, const Watch &watch)
{
	pid_t of = getppid();
	switch (number) {
	case 0:
		if (!mentions("maps", scene.at("renamed"), of) ||
		    !mentions("smaps", scene.at("renamed"), of))
			complain("maps");
		names_in(ktap::format("/proc/%d/map_files", of));
		break;
	case 1:
		map_data(scene.at("data"));
		break;
	case 2:
		if (in_child([&] { map_data(scene.at("data")); }))
			complain("fork");
		break;
	case 3: {
		string said = run_helper(scene.at("prog"), "set_exe").text;
		if (said != "EBUSY\n" && said != "allowed\n")
			complain("a program of the union said " + said);
		break;
	}
	default:
		for (bool on : {true, false}) {
			watch.trace(on);
			watch.probe(on);
		}
	}
}

CASE(right_in_both_states, 900)
{
	if (string(ktap::env("AUFS_COMBO")) != "tmpfs" || access(companion().c_str(), R_OK))
		SKIP("on tmpfs, on kernels that can have it");
	/*
	 * All run on one processor, on which they interrupt each other. QEMU emulates one processor at a time: each
	 * change of code waits 100 ms for another one that is busy.
	 */
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	OK(sched_setaffinity(0, sizeof(one), &one));

	Tracing tracing("kprobe_events");
	Scene scene;
	Setting cores("/proc/sys/kernel/core_pattern", scene.tmp + "/core.%p");
	Setting limit("/proc/sys/kernel/printk_ratelimit", "0");
	Watch checked(tracing, "checked"), beside(tracing, "beside");
	Map shared(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	auto &state = *new (shared.at()) Beside{};
	Companion companion;
	Users users;
	unsigned turned_back = 0;

	scene.check(false);
	for (unsigned number = 0; number < Beside::users; number++)
		users.push_back(spawn([&, number] {
			/* The process that waits for a transition runs first. */
			OK(setpriority(PRIO_PROCESS, 0, 10));
			while (!*const_cast<volatile bool *>(&state.ends)) {
				work(number, scene, beside);
				__atomic_fetch_add(&state.rounds[number], 1, __ATOMIC_RELAXED);
			}
			return 0;
		}));
	unsigned long cycles = chosen_cycles();
	for (unsigned long i = 0; i < cycles && !ktap::shared->failures; i++) {
		/* Both attach, or one of them alone. */
		bool traced = i % 3 != 1, probed = i % 3 != 2;
		if (i && i % 100 == 0)
			ktap::say(ktap::format("%lu times", i));
		checked.trace(traced);
		checked.probe(probed);
		companion.load();
		checked.clear();
		scene.check(true);
		checked.expect(traced, probed);

		bool turns = i % 4 == 3, goes = turns && !companion.turn_back();
		if (turns && !goes) {
			turned_back++;
			scene.check(true);
		}
		if (!goes)
			companion.disable();
		companion.wait_gone();
		checked.clear();
		scene.check(false);
		checked.expect(traced, probed);
		companion.unload();
		checked.trace(false);
		checked.probe(false);
		for (pid_t user : users) {
			siginfo_t ended = {};
			OK(waitid(P_PID, user, &ended, WEXITED | WNOHANG | WNOWAIT));
			EXPECT_EQ(ended.si_pid, 0);
		}
	}
	for (const unsigned long &rounds : state.rounds)
		EXPECT(until([&] { return __atomic_load_n(&rounds, __ATOMIC_RELAXED) > 0; }));
	state.ends = true;
	for (pid_t user : users)
		EXPECT_EQ(wait_for(user), 0);
	users.clear();
	ktap::say(
		ktap::format("%lu times, %u of them turned back on its way", cycles, turned_back));
	scene.map.reset();
	scene.unmount();
}
