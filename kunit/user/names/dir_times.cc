// SPDX-License-Identifier: GPL-2.0-only
//
// The times of a directory: work that users do not see does not change them, and does not undo a user's change.
// Combinations: tmpfs ext4

#include "fixture.hh"

static constexpr int files = 150;

static string name_of(int i)
{
	return ktap::format("d/%d", i);
}

static bool is_newer(const timespec &a, const timespec &b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* Files are copied up while others are made in the same directory. The time shows each new file. */
CASE(made_while_others_are_copied_up)
{
	Union u;
	make_dir(u.low + "/d");
	for (int i = 0; i < files; i++)
		write_file(u.low + "/" + name_of(i), "content");
	u.mount();
	write_file(u.at("d/first"), "first");
	pid_t copier = spawn([&] {
		for (int i = 0; i < files; i++)
			Fd(OK(open(u.at(name_of(i)).c_str(), O_WRONLY)));
	});
	int lost = 0, made = 0;
	timespec last = {};
	while (waitpid(copier, nullptr, WNOHANG) == 0) {
		string path = u.at(ktap::format("d/new%d", made++));
		write_file(path, "new");
		/* The time is not older than the last file, and never goes back. */
		timespec now = stat_of(u.at("d")).st_mtim;
		lost += is_newer(last, now);
		last = now;
		OK(unlink(path.c_str()));
	}
	EXPECT_GT(made, 0);
	EXPECT_EQ(lost, 0);
}

/* A copy-up does not change the directory's times. */
CASE(copy_up_is_not_seen)
{
	Union u;
	make_dir(u.low + "/d");
	write_file(u.low + "/d/file", "content");
	timespec old[] = {{1000, 0}, {2000, 0}};
	OK(utimensat(AT_FDCWD, (u.low + "/d").c_str(), old, 0));
	u.mount();
	OK(chmod(u.at("d/file").c_str(), 0600));
	EXPECT_EQ(stat_of(u.at("d")).st_mtim.tv_sec, 2000);
	EXPECT(exists(u.top + "/d/file"));
}

/* The times also show names that come and go in a lower part. */
CASE(changed_in_a_lower_part)
{
	Union u;
	string second = u.tmp + "/second";
	timespec old[] = {{1000, 0}, {2000, 0}};
	make_dirs(second + "/d");
	make_dir(u.top + "/d");
	for (const char *name : {"/d/a", "/d/b"})
		write_file(second + name, "x");
	/* The files go to the two branches in turn. */
	u.mount("br=" + u.top + "=rw:" + second + "=rw,create=rr");
	auto expect_touched = [&](auto &&change) {
		for (const string &dir : {u.top + "/d", second + "/d"})
			OK(utimensat(AT_FDCWD, dir.c_str(), old, 0));
		change();
		EXPECT_GT(stat_of(u.at("d")).st_mtim.tv_sec, 2000);
		EXPECT_GT(stat_of(u.at("d")).st_ctim.tv_sec, 2000);
	};
	for (int i = 0; i < 4; i++)
		expect_touched([&] { write_file(u.at(ktap::format("d/new%d", i)), "new"); });
	expect_touched([&] { OK(rename(u.at("d/a").c_str(), u.at("d/c").c_str())); });
	expect_touched([&] { OK(unlink(u.at("d/c").c_str())); });
	expect_touched([&] { OK(link(u.at("d/b").c_str(), u.at("d/e").c_str())); });
	/* A time that a user sets is shown. */
	OK(utimensat(AT_FDCWD, u.at("d").c_str(), old, 0));
	EXPECT_EQ(stat_of(u.at("d")).st_mtim.tv_sec, 2000);
}
