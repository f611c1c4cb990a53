// SPDX-License-Identifier: GPL-2.0-only
//
// Several rw branches: a directory is renamed while it gets a part on another branch. Afterwards it has one name and
// all its files.

#include "fixture.hh"

/* A name so long that a dentry keeps it elsewhere: a racing reader could read freed memory. */
static string long_name(char first)
{
	return first + string(100, '_');
}

static string branches(const Union &u, const string &more)
{
	return "br=" + u.top + "=rw:" + u.low2 + "=rw:" + u.low + "=ro" + more;
}

/* Renames @a and @b back and forth until the other end of the pipe is closed. */
static void rename_until(int end, const string &a, const string &b)
{
	char byte;
	OK(fcntl(end, F_SETFL, O_NONBLOCK));
	while (read(end, &byte, 1) < 0) {
		/* A directory with two parts cannot be renamed. */
		if (rename(a.c_str(), b.c_str())) {
			EXPECT_EQ(errno, EXDEV);
			return;
		}
		if (rename(b.c_str(), a.c_str())) {
			EXPECT_EQ(errno, EXDEV);
			return;
		}
	}
}

/* Makes files in the directory @dir. Returns the names of those that could be made. */
static std::vector<string> make_files(int dir)
{
	std::vector<string> made;
	for (unsigned i = 0; i < 6; i++) {
		string name = ktap::format("file%u", i);
		Fd fd(openat(dir, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
		EXPECT_OK(int(fd));
		if (fd >= 0)
			made.push_back(name);
		usleep(200);
	}
	return made;
}

static void check_round(const Union &u, const string &a, const string &b,
			const std::vector<string> &made)
{
	write_control("/proc/sys/vm/drop_caches", "2");
	bool has_a = exists(a), has_b = exists(b);
	EXPECT(has_a != has_b);
	EXPECT_EQ(names_in(has_a ? a : b), made);
	/* The branches agree. */
	for (const string &root : {u.top, u.low2})
		EXPECT(!exists(root + (has_a ? b : a).substr(u.mnt.size())));
}

/*
 * @below: a lower branch has a directory by the other name, so the renamed directory becomes opaque, and nothing below
 * shows.
 */
PARAM_CASE(of_the_directory, "alone", "below", "of its parent")
{
	constexpr unsigned rounds = 30;
	Union u;
	bool parent = ktap::param() == "of its parent";
	u.mount(branches(u, ",create=rr"));
	for (unsigned round = 0; round < rounds && !ktap::shared->failures; round++) {
		string number = std::to_string(round);
		string a = u.at(long_name('a') + number), b = u.at(long_name('b') + number);
		make_dir(a);
		if (ktap::param() == "below") {
			make_dir(u.low + b.substr(u.mnt.size()));
			make_dir(u.low + b.substr(u.mnt.size()) + "/old");
			/* A whiteout may be there already. */
			write_file(u.top + "/.wh." + long_name('b') + number, "", 0444);
		}
		if (parent)
			make_dir(a + "/sub");
		Fd dir = open_file(parent ? a + "/sub" : a, O_RDONLY | O_DIRECTORY);
		Pipe stop;
		pid_t renamer = spawn([&] {
			stop.write.reset();
			rename_until(stop.read, a, b);
		});
		stop.read.reset();
		usleep(1000);
		std::vector<string> made = make_files(dir);
		stop.write.reset();
		EXPECT_EQ(wait_for(renamer), 0);
		if (parent) {
			write_control("/proc/sys/vm/drop_caches", "2");
			string at = exists(a) ? a : b;
			EXPECT(exists(a) != exists(b));
			EXPECT_EQ(names_in(at + "/sub"), made);
		} else {
			check_round(u, a, b, made);
		}
	}
}
