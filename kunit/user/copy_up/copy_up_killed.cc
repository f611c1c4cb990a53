// SPDX-License-Identifier: GPL-2.0-only
//
// A copy-up is killed at any point: users have the old file or the new one, and there is no debris. A slow server has
// the lower branch, so there is time to kill.
//
// Combinations: tmpfs ext4

#include "fuse_server.hh"

#include <ctime>

#include <sys/time.h>
#include <sys/xattr.h>

using Names = std::vector<string>;

static constexpr size_t size = 1 << 20;

static long now_ms()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void drop_caches()
{
	write_control("/proc/sys/vm/drop_caches", "1");
}

struct Setup : Union {
	Server server{tmp + "/served", "", 0, size};
	string content = pattern(size);

	Setup()
	{
		/* 16 reads or more, of 64 KiB each. */
		server.faults->read_delay = 3000;
		mount("br=" + top + "=rw:" + tmp + "/served=ro");
	}
	~Setup()
	{
		ktap::guarded([this] { unmount(); });
	}
	/* Waits until a task is copying: nobody else reads the file. */
	void wait_for_copying() const
	{
		while (!server.faults->reads)
			usleep(1000);
	}
	void expect_old_or_new(ino_t number)
	{
		expect_no_debris(top);
		if (exists(top + "/file")) {
			EXPECT(read_file(top + "/file") == content);
			EXPECT_EQ(stat_of(top + "/file").st_mode & 0777, 0644u);
		}
		if (number)
			EXPECT_EQ(stat_of(at("file")).st_ino, number);
		EXPECT_EQ(stat_of(at("file")).st_size, off_t(size));
	}
};

static int act(const string &how, const string &path)
{
	if (how == "open")
		return open_file(path, O_RDWR) >= 0 ? 0 : -1;
	if (how == "link")
		return link(path.c_str(), (path + "2").c_str());
	if (how == "setxattr")
		return setxattr(path.c_str(), "trusted.mine", "x", 1, 0);
	return truncate(path.c_str(), size);
}

PARAM_CASE(killed, "open", "truncate", "link")
{
	int before = 0, after = 0;
	if (on("xfs") || on("tmpfs") != on("tmpfs", true) || on("xfs", true))
		SKIP("as on tmpfs and ext4");
	/* A whole copy takes about as long as the longest delay. */
	for (int delay : {0, 3, 8, 20, 50, 120}) {
		Setup u;
		drop_caches();
		ino_t number = stat_of(u.at("file")).st_ino;
		Pipe begun;
		pid_t child = spawn([&] {
			send_byte(begun.write);
			act(ktap::param(), u.at("file"));
		});
		wait_byte(begun.read);
		usleep(delay * 1000);
		OK(kill(child, SIGKILL));
		long killed = now_ms();
		wait_for(child);
		/* The copy goes by pieces of 1 MiB, which take about 50 ms each. */
		EXPECT_LT(now_ms() - killed, 3000);
		u.expect_old_or_new(number);
		(exists(u.top + "/file") ? after : before)++;
		u.server.faults->read_delay = 0;
		EXPECT(read_file(u.at("file")) == u.content);
		/* A later copy-up is not hindered. */
		EXPECT_OK(act("setxattr", u.at("file")));
		u.expect_old_or_new(number);
	}
	ktap::say(ktap::format("the old file %d times, the new one %d times", before, after));
	EXPECT_GT(before, 0);
}

/* While one task copies a file, others read it, and a task that waits for the copy can be killed. */
CASE(others_meanwhile)
{
	Setup u;
	drop_caches();
	Fd reader = open_file(u.at("file"), O_RDONLY);
	u.server.faults->read_delay = 200000;
	pid_t copier = spawn([&] { open_file(u.at("file"), O_RDWR); });
	u.wait_for_copying();
	EXPECT_EQ(stat_of(u.at("file")).st_size, off_t(size));
	/* On these filesystems a copy has no name until it is finished. */
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
	Fd second = open_file(u.at("file"), O_RDONLY);
	EXPECT_EQ(pread_text(reader, 10, 0), u.content.substr(0, 10));
	EXPECT_EQ(names_in(u.mnt), (Names{"dir", "file"}));
	write_file(u.at("other"), "other");
	pid_t waiter = spawn([&] { open_file(u.at("file"), O_RDWR); });
	usleep(50000);
	OK(kill(waiter, SIGKILL));
	EXPECT_EQ(wait_for(waiter), 128 + SIGKILL);
	/* The copy was not finished in all that time. */
	EXPECT(!exists(u.top + "/file"));
	u.server.faults->read_delay = 0;
	EXPECT_EQ(wait_for(copier), 0);
	EXPECT(read_file(u.top + "/file") == u.content);
}

/* Opens @path to be written to while a signal comes each @interval us. Its handler lets no call be restarted. */
static void open_under_signals(const string &path, int interval)
{
	static volatile int signals;
	pid_t child = spawn([&] {
		struct sigaction action = {};
		action.sa_handler = [](int) {
			signals = signals + 1;
		};
		OK(sigaction(SIGALRM, &action, nullptr));
		itimerval timer = {{0, interval}, {0, interval}};
		OK(setitimer(ITIMER_REAL, &timer, nullptr));
		Fd file = open_file(path, O_RDWR);
		timer = {};
		OK(setitimer(ITIMER_REAL, &timer, nullptr));
		EXPECT_GT(signals, 0);
	});
	EXPECT_EQ(wait_for(child), 0);
}

/* A signal with a handler does not disturb a copy-up. */
CASE(signals_that_are_handled)
{
	Setup u;
	drop_caches();
	open_under_signals(u.at("file"), 2000);
	EXPECT(read_file(u.top + "/file") == u.content);
	u.expect_old_or_new(0);
}

/* The same where no server has to be told of it. */
CASE(signals_beside_local_files)
{
	Union u;
	string content = pattern(16 << 20);
	write_file(u.low + "/file", content);
	u.mount();
	open_under_signals(u.at("file"), 200);
	EXPECT(read_file(u.top + "/file") == content);
	expect_no_debris(u.top);
}

/* Whether the task @pid does not get SIGALRM just now. */
static bool blocks_alarm(pid_t pid)
{
	string status = read_file(ktap::format("/proc/%d/status", pid));
	size_t at = status.find("SigBlk:");
	return std::stoul(status.substr(at + 7), nullptr, 16) >> (SIGALRM - 1) & 1;
}

/* Some disk filesystems stop a sync for a signal. So the copy to a disk begins with the signals blocked. */
CASE(signals_of_a_copy_to_a_disk)
{
	if (on("tmpfs", true))
		SKIP("nothing waits on tmpfs");
	Union u;
	write_file(u.low + "/file", pattern(32 << 20));
	u.mount();
	pid_t child = spawn([&] {
		struct sigaction action = {};
		action.sa_handler = [](int) {
		};
		OK(sigaction(SIGALRM, &action, nullptr));
		open_file(u.at("file"), O_RDWR);
	});
	siginfo_t ended = {};
	bool blocked = false;
	while (!ended.si_pid) {
		blocked = blocked || blocks_alarm(child);
		OK(waitid(P_PID, pid_t(child), &ended, WEXITED | WNOHANG | WNOWAIT));
	}
	EXPECT_EQ(wait_for(child), 0);
	EXPECT(blocked);
}

/* The lower branch fails in the middle of a copy-up. */
PARAM_CASE(fails_in_the_middle, "EIO", "dies")
{
	Setup u;
	drop_caches();
	u.server.faults->read_delay = 50000;
	pid_t child = spawn([&] {
		EXPECT_EQ(act("truncate", u.at("file")), -1);
		int error = errno;
		/*
		 * A read fails when the server dies: it is aborted, or, if it was made in advance, leaves a page
		 * without data.
		 */
		if (ktap::param() == "EIO")
			EXPECT_EQ(ktap::errno_name(error), "EIO");
		else
			EXPECT(error == ENOTCONN || error == ECONNABORTED || error == EIO);
	});
	u.wait_for_copying();
	if (ktap::param() == "EIO")
		u.server.faults->read = EIO;
	else
		u.server.die();
	EXPECT_EQ(wait_for(child), 0);
	EXPECT(!exists(u.top + "/file"));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
}
