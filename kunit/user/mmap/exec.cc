// SPDX-License-Identifier: GPL-2.0-only
//
// Programs run from the union. ETXTBSY holds both ways: on the union and on the branch.

#include "proc.hh"

#include <sys/auxv.h>
#include <sys/prctl.h>

HELPER(wait)
{
	/* Tells that it runs, and runs until its standard input ends. */
	char byte;
	if (write(STDOUT_FILENO, "x", 1) != 1)
		return 1;
	return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

HELPER(say_ids)
{
	printf("uid %d euid %d secure %lu\n", getuid(), geteuid(), getauxval(AT_SECURE));
	return 0;
}

HELPER(say_execfn)
{
	printf("%s %s\n", reinterpret_cast<const char *>(getauxval(AT_EXECFN)),
	       read_file("/proc/self/comm").c_str());
	return 0;
}

/* Keeps the program's output out of the results. */
static void be_quiet()
{
	OK(dup2(open_file("/dev/null", O_WRONLY), STDOUT_FILENO));
}

/* A program that runs from @path until stop(). */
class Running
{
public:
	explicit Running(const string &path)
	{
		pid_ = spawn([&] {
			dup2(in_.read, STDIN_FILENO);
			dup2(out_.write, STDOUT_FILENO);
			execl(path.c_str(), path.c_str(), "--helper", "wait", nullptr);
			_exit(127);
		});
		in_.read.reset();
		out_.write.reset();
		ASSERT(wait_byte(out_.read));
	}
	~Running()
	{
		stop();
	}
	void stop()
	{
		if (!pid_)
			return;
		in_.write.reset();
		EXPECT_EQ(wait_for(pid_), 0);
		pid_ = 0;
	}
	pid_t pid() const
	{
		return pid_;
	}

private:
	Pipe in_, out_;
	pid_t pid_ = 0;
};

/* Each way to write to the running program @path is ETXTBSY. */
static void expect_busy(const string &path)
{
	EXPECT_ERR(open(path.c_str(), O_WRONLY), ETXTBSY);
	EXPECT_ERR(open(path.c_str(), O_RDWR), ETXTBSY);
	EXPECT_ERR(open(path.c_str(), O_WRONLY | O_TRUNC), ETXTBSY);
	EXPECT_ERR(truncate(path.c_str(), 0), ETXTBSY);
}

PARAM_CASE(running_program_is_not_written, "top", "low")
{
	Union u;
	bool top = ktap::param() == "top";
	string branch = (top ? u.top : u.low) + "/prog";
	copy_self(branch);
	u.mount();
	{
		Running program(u.at("prog"));
		expect_busy(u.at("prog"));
		/* The branch's own name is no way around it. */
		expect_busy(branch);
		/* Reading and mapping are no writes. */
		EXPECT_EQ(read_file(u.at("prog")).size(), size_t(stat_of(branch).st_size));
		Map map(page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE,
			open_file(u.at("prog"), O_RDONLY));
		EXPECT_EQ(map.text(4), "\177ELF");
	}
	/* When the program has ended, the file can be written to again. */
	{
		Fd file = open_file(branch, O_WRONLY);
	}
	if (top) {
		Fd file = open_file(u.at("prog"), O_WRONLY);
	}
}

/* A program that runs from the branch cannot be written to through the union. */
CASE(program_that_runs_from_the_branch)
{
	Union u;
	copy_self(u.top + "/prog");
	u.mount();
	{
		Running program(u.top + "/prog");
		expect_busy(u.at("prog"));
	}
	open_file(u.at("prog"), O_WRONLY);
}

PARAM_CASE(written_file_is_not_executed, "on_the_union", "on_the_branch", "lower_on_the_branch")
{
	string p = ktap::param();
	Union u;
	string branch = (p == "lower_on_the_branch" ? u.low : u.top) + "/prog";
	copy_self(branch);
	u.mount();
	{
		Fd writer = open_file(p == "on_the_union" ? u.at("prog") : branch, O_WRONLY);
		int error = in_child([&] {
			be_quiet();
			execl(u.at("prog").c_str(), "prog", "--helper", "say_ids", nullptr);
			return errno;
		});
		EXPECT_EQ(ktap::errno_name(error), "ETXTBSY");
	}
	Output out = run_helper(u.at("prog"), "say_ids");
	EXPECT_EQ(out.status, 0);
}

/* fork, several processes, and execveat(): the count of denials comes out even. */
CASE(several_at_once)
{
	Union u;
	copy_self(u.top + "/prog");
	u.mount();
	{
		Running one(u.at("prog")), two(u.at("prog")), three(u.top + "/prog");
		one.stop();
		expect_busy(u.at("prog"));
		expect_busy(u.top + "/prog");
		two.stop();
		expect_busy(u.at("prog"));
		three.stop();
		open_file(u.at("prog"), O_WRONLY);
		open_file(u.top + "/prog", O_WRONLY);
	}
	for (int i = 0; i < 30; i++)
		EXPECT_EQ(run_helper(u.at("prog"), "say_ids").status, 0);
	open_file(u.at("prog"), O_WRONLY);
}

/* The start of a program makes the copy that runs. */
CASE(copied_by_its_start)
{
	Union u;
	copy_self(u.low + "/prog");
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro+coo_reg");
	EXPECT_EQ(run_helper(u.at("prog"), "say_ids").status, 0);
	EXPECT(exists(u.top + "/prog"));
	Running program(u.at("prog"));
	expect_busy(u.at("prog"));
}

/* An exec that fails after the open does not hold the file. */
CASE(exec_that_fails)
{
	Union u;
	write_file(u.top + "/garbage", pattern(1000), 0755);
	write_file(u.top + "/script", "#!/missing/interpreter\n", 0755);
	write_file(u.top + "/truncated", read_file("/proc/self/exe").substr(0, 100), 0755);
	make_dir(u.top + "/dir");
	u.mount();
	auto error_of = [&](const char *name) {
		return ktap::errno_name(in_child([&] {
			execl(u.at(name).c_str(), name, nullptr);
			return errno;
		}));
	};
	EXPECT_EQ(error_of("garbage"), "ENOEXEC");
	EXPECT_EQ(error_of("script"), "ENOENT");
	EXPECT_EQ(error_of("dir"), "EACCES");
	EXPECT_EQ(error_of("missing"), "ENOENT");
	EXPECT_NE(error_of("truncated"), "0");
	for (const char *name : {"garbage", "script", "truncated"}) {
		open_file(u.at(name), O_WRONLY);
		open_file(u.top + "/" + name, O_WRONLY);
	}
}

CASE(script_with_an_interpreter_of_the_union)
{
	Union u;
	copy_self(u.low + "/interpreter");
	u.mount();
	write_file(u.at("script"), "#!" + u.at("interpreter") + " --helper\n", 0755);
	/* The kernel passes everything behind the interpreter as one argument. */
	Output out = run({u.at("script")});
	EXPECT_EQ(out.status, 2);
	EXPECT_HAS(out.text, u.at("interpreter") + ": there is no helper named " + u.at("script"));
}

CASE(execveat_and_fexecve)
{
	Union u;
	copy_self(u.low + "/prog");
	u.mount();
	Fd program = open_file(u.at("prog"), O_RDONLY);
	fcntl(program, F_SETFD, 0);
	EXPECT_EQ(in_child([&] {
			  be_quiet();
			  const char *args[] = {"prog", "--helper", "say_ids", nullptr};
			  fexecve(program, const_cast<char **>(args), environ);
			  return 3;
		  }),
		  0);
	Fd path = open_file(u.at("prog"), O_PATH);
	fcntl(path, F_SETFD, 0);
	EXPECT_EQ(in_child([&] {
			  be_quiet();
			  const char *args[] = {"prog", "--helper", "say_ids", nullptr};
			  syscall(SYS_execveat, int(path), "", args, environ, AT_EMPTY_PATH);
			  return 3;
		  }),
		  0);
	path.reset();
	program.reset();
	u.unmount();
}

/* The set-user-ID bit works on the union as on the branch, and nosuid takes it away. */
PARAM_CASE(set_user_id, "suid", "nosuid")
{
	bool suid = ktap::param() == "suid";
	Union u;
	copy_self(u.low + "/prog");
	OK(chown((u.low + "/prog").c_str(), bob.uid, -1));
	OK(chmod((u.low + "/prog").c_str(), 04755));
	u.mount(u.options(), suid ? 0 : MS_NOSUID);
	as_user(alice, [&] {
		Output out = run_helper(u.at("prog"), "say_ids");
		EXPECT_HAS(out.text, ktap::format("uid %d euid %d secure %d", alice.uid,
						  suid ? bob.uid : alice.uid, suid ? 1 : 0));
	});
}

CASE(name_and_auxiliary_vector)
{
	Union u;
	copy_self(u.low + "/name_of_it");
	u.mount();
	Output out = run_helper(u.at("name_of_it"), "say_execfn");
	EXPECT_EQ(out.text, u.at("name_of_it") + " name_of_it\n\n");
}

/* /proc/PID/exe has the union's path, also when the file is gone, and opens the union's file. */
CASE(proc_exe)
{
	Union u;
	copy_self(u.top + "/prog");
	u.mount();
	Running program(u.at("prog"));
	string exe = ktap::format("/proc/%d/exe", program.pid());
	EXPECT_EQ(link_target(exe), u.at("prog"));
	EXPECT_EQ(stat_of(exe).st_ino, stat_of(u.at("prog")).st_ino);
	EXPECT_EQ(stat_of(exe).st_dev, stat_of(u.at("prog")).st_dev);
	EXPECT_EQ(read_file(exe).substr(0, 4), "\177ELF");
	EXPECT(!mentions("maps", u.top, program.pid()));
	EXPECT_GE(vmas_of(u.at("prog"), program.pid()).size(), 3u);
	OK(rename(u.at("prog").c_str(), u.at("renamed").c_str()));
	EXPECT_EQ(link_target(exe), u.at("renamed"));
	OK(unlink(u.at("renamed").c_str()));
	EXPECT_EQ(link_target(exe), u.at("renamed") + " (deleted)");
	EXPECT_GE(vmas_of(u.at("renamed") + " (deleted)", program.pid()).size(), 3u);
	program.stop();
	u.unmount();
}

/* The union cannot be unmounted while a program of it runs. */
CASE(busy_while_running)
{
	Union u;
	copy_self(u.low + "/prog");
	u.mount();
	{
		Running program(u.at("prog"));
		EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	}
	u.unmount();
}

/* PR_SET_MM_EXE_FILE takes a union's file if no part of the old one is mapped. Else it is EBUSY. */
CASE(set_exe_file)
{
	Union u;
	copy_self(u.low + "/prog");
	copy_self(u.low + "/other");
	u.mount();
	EXPECT_EQ(in_child([&] {
			  Fd other = open_file(u.at("other"), O_RDONLY);
			  EXPECT_ERR(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, int(other), 0, 0), EBUSY);
		  }),
		  0);
}
