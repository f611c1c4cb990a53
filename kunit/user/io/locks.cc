// SPDX-License-Identifier: GPL-2.0-only
//
// flock, POSIX and OFD locks, and leases, between processes that open a file through the union.

#include "fixture.hh"

#include <sys/file.h>

/* Whether another process gets the lock, as 0 or the errno. */
template <typename Body> static string in_another(Body body)
{
	return ktap::errno_name(in_child([&] { return body() ? errno : 0; }));
}

static int posix_lock(int fd, int command, short type, off_t start = 0, off_t length = 0)
{
	struct flock lock = {};
	lock.l_type = type;
	lock.l_whence = SEEK_SET;
	lock.l_start = start;
	lock.l_len = length;
	return fcntl(fd, command, &lock);
}

struct Setup : Union {
	string path = at("file");
	Setup()
	{
		write_file(top + "/file", pattern(1000));
		write_file(low + "/low", pattern(1000));
		mount();
	}
};

PARAM_CASE(flock_call, "file", "low")
{
	Setup u;
	string path = u.at(ktap::param());
	Fd file = open_file(path, O_RDONLY);
	auto shared = [&] {
		return flock(open_file(path, O_RDONLY).release(), LOCK_SH | LOCK_NB);
	};
	auto exclusive = [&] {
		return flock(open_file(path, O_RDONLY).release(), LOCK_EX | LOCK_NB);
	};
	OK(flock(file, LOCK_SH));
	EXPECT_EQ(in_another(shared), "0");
	EXPECT_EQ(in_another(exclusive), "EAGAIN");
	OK(flock(file, LOCK_EX));
	EXPECT_EQ(in_another(shared), "EAGAIN");
	OK(flock(file, LOCK_UN));
	EXPECT_EQ(in_another(exclusive), "0");
	/* The close of the last descriptor releases the lock. */
	OK(flock(file, LOCK_EX));
	Fd twin(OK(dup(file)));
	file.reset();
	EXPECT_EQ(in_another(exclusive), "EAGAIN");
	twin.reset();
	EXPECT_EQ(in_another(exclusive), "0");
}

CASE(flock_waits)
{
	Setup u;
	Pipe got;
	Fd file = open_file(u.path, O_RDONLY);
	OK(flock(file, LOCK_EX));
	pid_t waiter = spawn([&] {
		Fd mine = open_file(u.path, O_RDONLY);
		OK(flock(mine, LOCK_EX));
		send_byte(got.write);
	});
	/* /proc/locks shows the waiting lock. */
	while (read_file("/proc/locks")
		       .find(ktap::format("-> FLOCK  ADVISORY  WRITE %d ", waiter)) == string::npos)
		usleep(1000);
	OK(flock(file, LOCK_UN));
	EXPECT(wait_byte(got.read));
	EXPECT_EQ(wait_for(waiter), 0);
}

PARAM_CASE(posix_locks, "posix", "ofd")
{
	bool ofd = ktap::param() == "ofd";
	int set = ofd ? F_OFD_SETLK : F_SETLK, get = ofd ? F_OFD_GETLK : F_GETLK;
	Setup u;
	Fd file = open_file(u.path, O_RDWR);
	OK(posix_lock(file, set, F_WRLCK, 100, 100));
	auto other = [&](short type, off_t start, off_t length) {
		return in_another([&] {
			return posix_lock(open_file(u.path, O_RDWR).release(), set, type, start,
					  length);
		});
	};
	EXPECT_EQ(other(F_WRLCK, 0, 100), "0");
	EXPECT_EQ(other(F_RDLCK, 150, 10), "EAGAIN");
	EXPECT_EQ(other(F_WRLCK, 199, 1), "EAGAIN");
	EXPECT_EQ(other(F_WRLCK, 200, 0), "0");
	EXPECT_EQ(in_child([&] {
			  struct flock lock = {};
			  lock.l_type = F_WRLCK;
			  OK(fcntl(open_file(u.path, O_RDWR), get, &lock));
			  EXPECT_EQ(lock.l_type, F_WRLCK);
			  EXPECT_EQ(lock.l_start, 100);
			  EXPECT_EQ(lock.l_len, 100);
		  }),
		  0);
	/* A lock is split in the middle. */
	OK(posix_lock(file, set, F_UNLCK, 140, 20));
	EXPECT_EQ(other(F_WRLCK, 145, 5), "0");
	EXPECT_EQ(other(F_WRLCK, 130, 5), "EAGAIN");
	EXPECT_EQ(other(F_WRLCK, 165, 5), "EAGAIN");
	OK(posix_lock(file, set, F_RDLCK));
	EXPECT_EQ(other(F_RDLCK, 0, 0), "0");
	EXPECT_EQ(other(F_WRLCK, 0, 0), "EAGAIN");
	file.reset();
	EXPECT_EQ(other(F_WRLCK, 0, 0), "0");
	Fd reader = open_file(u.path, O_RDONLY);
	EXPECT_ERR(posix_lock(reader, set, F_WRLCK), EBADF);
}

/* The process has a POSIX lock: any close() of the file ends it. The open file has an OFD lock. */
CASE(who_owns_a_lock)
{
	Setup u;
	auto taken = [&] {
		return in_another([&] {
			return posix_lock(open_file(u.path, O_RDWR).release(), F_SETLK, F_WRLCK);
		});
	};
	Fd file = open_file(u.path, O_RDWR);
	OK(posix_lock(file, F_SETLK, F_WRLCK));
	EXPECT_EQ(taken(), "EAGAIN");
	open_file(u.path, O_RDONLY).reset();
	EXPECT_EQ(taken(), "0");
	OK(posix_lock(file, F_OFD_SETLK, F_WRLCK));
	open_file(u.path, O_RDONLY).reset();
	EXPECT_EQ(taken(), "EAGAIN");
	/* OFD locks of two open files conflict, also in one process. */
	Fd second = open_file(u.path, O_RDWR);
	EXPECT_ERR(posix_lock(second, F_OFD_SETLK, F_WRLCK), EAGAIN);
}

CASE(deadlock_is_found)
{
	Setup u;
	Fd file = open_file(u.path, O_RDWR);
	OK(posix_lock(file, F_SETLK, F_WRLCK, 0, 1));
	Pipe ready;
	pid_t other = spawn([&] {
		Fd mine = open_file(u.path, O_RDWR);
		OK(posix_lock(mine, F_SETLK, F_WRLCK, 1, 1));
		send_byte(ready.write);
		OK(posix_lock(mine, F_SETLKW, F_WRLCK, 0, 1));
	});
	ASSERT(wait_byte(ready.read));
	while (read_file("/proc/locks").find(ktap::format("-> POSIX  ADVISORY  WRITE %d ", other)) ==
	       string::npos)
		usleep(1000);
	EXPECT_ERR(posix_lock(file, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	file.reset();
	EXPECT_EQ(wait_for(other), 0);
}

/* Locks do not keep the union from being unmounted once the files are closed. */
CASE(locks_go_with_their_files)
{
	Setup u;
	for (int i = 0; i < 20; i++) {
		Fd file = open_file(u.path, O_RDWR);
		OK(flock(file, LOCK_EX));
		OK(posix_lock(file, F_SETLK, F_WRLCK, i, 1));
		OK(posix_lock(file, F_OFD_SETLK, F_WRLCK, 100 + i, 1));
		if (i % 3 == 0) {
			OK(unlink(u.path.c_str()));
			write_file(u.path, "again");
		}
	}
	u.unmount();
}

static volatile sig_atomic_t broken;

CASE(lease)
{
	Setup u;
	signal(SIGIO, [](int) { broken = 1; });
	Fd file = open_file(u.path, O_RDONLY);
	OK(fcntl(file, F_SETLEASE, F_RDLCK));
	EXPECT_EQ(OK(fcntl(file, F_GETLEASE)), F_RDLCK);
	/* Readers do not break a read lease. */
	EXPECT_EQ(in_child([&] { EXPECT_EQ(read_file(u.path).size(), 1000u); }), 0);
	EXPECT_EQ(broken, 0);
	EXPECT_EQ(in_another([&] { return open(u.path.c_str(), O_WRONLY | O_NONBLOCK) < 0; }),
		  "EAGAIN");
	for (int i = 0; i < 5000 && !broken; i++)
		usleep(1000);
	EXPECT_EQ(broken, 1);
	OK(fcntl(file, F_SETLEASE, F_UNLCK));
	EXPECT_EQ(in_child([&] { open_file(u.path, O_WRONLY); }), 0);
	/* A write lease needs a file that nobody else has open. */
	Fd writer = open_file(u.path, O_RDWR);
	EXPECT_ERR(fcntl(file, F_SETLEASE, F_WRLCK), EAGAIN);
}
