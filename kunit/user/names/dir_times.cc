// SPDX-License-Identifier: GPL-2.0-only
//
// The times of a directory: what users do not see leaves them, and takes back no change of theirs.
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

/* One copies file after file up, and others make new ones: each of these is seen in the time. */
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
		/* Not before what was made in it, and never going back. */
		timespec now = stat_of(u.at("d")).st_mtim;
		lost += is_newer(last, now);
		last = now;
		OK(unlink(path.c_str()));
	}
	EXPECT_GT(made, 0);
	EXPECT_EQ(lost, 0);
}

/* A copy-up alone is not seen. */
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

/* What comes and goes in a part that is not the uppermost is seen in the time as well. */
CASE(changed_in_a_lower_part)
{
	Union u;
	string second = u.tmp + "/second";
	timespec old[] = {{1000, 0}, {2000, 0}};
	make_dirs(second + "/d");
	make_dir(u.top + "/d");
	for (const char *name : {"/d/a", "/d/b"})
		write_file(second + name, "x");
	/* In turn. */
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
	/* What somebody sets is what all see. */
	OK(utimensat(AT_FDCWD, u.at("d").c_str(), old, 0));
	EXPECT_EQ(stat_of(u.at("d")).st_mtim.tv_sec, 2000);
}
