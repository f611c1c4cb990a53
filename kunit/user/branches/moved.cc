// SPDX-License-Identifier: GPL-2.0-only
//
// Directories of the rw branch are moved, removed and replaced directly, also by a user that owns the branch. A call of
// the union on them then fails, or changes the branch alone; the machine goes on, and no files are lost.
//
// Combinations: tmpfs ext4

#include "fixture.hh"

#include <sys/wait.h>

using Names = std::vector<string>;

/* A branch that is not the root of its filesystem, so objects can be moved out of it. */
struct Within : Union {
	string branch = top + "/branch", elsewhere = top + "/elsewhere";

	Within()
	{
		make_dir(branch);
		make_dir(elsewhere);
	}
	void mount_it(const string &more = "")
	{
		mount("br=" + branch + "=rw:" + low + "=ro" + more);
	}
};

static const string orphans = "/.wh..wh.orph", plinks = "/.wh..wh.plnk", base = "/.wh..wh.aufs";

static int move_to(const string &from, const string &to)
{
	return rename(from.c_str(), to.c_str());
}

static int make_file(const string &path)
{
	Fd fd(open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
	return fd < 0 ? -1 : 0;
}

static int append(const string &path, const string &text)
{
	Fd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
	return fd < 0 || write(fd, text.data(), text.size()) < 0 ? -1 : 0;
}

/* Copies and whiteouts can be made in @u. */
static void expect_works(Within &u, const string &name)
{
	write_file(u.low + "/" + name, "low");
	write_file(u.low + "/" + name + "_gone", "low");
	EXPECT_OK(append(u.at(name), "+"));
	EXPECT_EQ(read_file(u.branch + "/" + name), "low+");
	EXPECT_OK(unlink(u.at(name + "_gone").c_str()));
	EXPECT(!exists(u.at(name + "_gone")));
}

static void expect_ours(const string &path, bool dir)
{
	struct stat is = lstat_of(path);
	EXPECT_EQ(is.st_uid, 0u);
	EXPECT_EQ(is.st_mode, dir ? S_IFDIR | 0700 : S_IFREG | 0444u);
}

/* The branch's owner moves the orphan directory, empty or full, into a directory that is then removed. */
PARAM_CASE(orphans_within_what_is_removed, "itself", "deeper", "full")
{
	Within u;
	bool full = ktap::param() == "full";
	OK(chown(u.branch.c_str(), alice.uid, alice.gid));
	u.mount_it();
	expect_works(u, "before");
	make_dir(u.at("dir"));
	string at = u.branch + "/dir";
	if (ktap::param() == "deeper") {
		at += "/.wh.between";
		make_dir(at);
	}
	if (full)
		write_file(u.branch + orphans + "/somebodys", "content");
	OK(move_to(u.branch + orphans, at + orphans));
	if (full || ktap::param() == "deeper") {
		EXPECT_ERR(rmdir(u.at("dir").c_str()), ENOTEMPTY);
		EXPECT(exists(u.at("dir")));
	} else {
		EXPECT_OK(rmdir(u.at("dir").c_str()));
	}
	if (full)
		EXPECT_EQ(read_file(at + orphans + "/somebodys"), "content");
	expect_works(u, "after");
	expect_ours(u.branch + orphans, true);
	expect_no_debris(u.branch);
}

CASE(orphans_out_of_the_branch)
{
	Within u;
	u.mount_it();
	expect_works(u, "before");
	OK(move_to(u.branch + orphans, u.elsewhere + orphans));
	expect_works(u, "after");
	EXPECT_EQ(names_in(u.elsewhere + orphans), Names{});
	expect_ours(u.branch + orphans, true);
}

/* The target's directory lies in the directory that is renamed by now: the rename would make a loop on the branch. */
CASE(a_directory_within_what_moves_there)
{
	Within u;
	for (const char *name : {"a", "a/x", "b"})
		make_dir(u.branch + "/" + name);
	u.mount_it();
	for (const char *name : {"a/x", "b"})
		EXPECT(exists(u.at(name)));
	Fd a = open_file(u.at("a"), O_RDONLY), b = open_file(u.at("b"), O_RDONLY);
	OK(move_to(u.branch + "/b", u.branch + "/a/x/b"));
	EXPECT_ERR(renameat(a, "x", b, "x"), ESTALE);
	EXPECT_ERR(renameat2(a, "x", b, "y", RENAME_NOREPLACE), ESTALE);
	EXPECT(exists(u.branch + "/a/x/b"));
}

/* A directory was moved out of the branch, or removed: nothing is made, changed or removed in it. */
PARAM_CASE(a_directory_that_went, "out of the branch", "for good")
{
	Within u;
	bool out = ktap::param() == "out of the branch";
	make_dir(u.branch + "/dir");
	for (const char *name : {"/dir/file", "/dir/other", "/mine"})
		write_file(u.branch + name, name);
	make_dir(u.branch + "/dir/sub");
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/low", "low");
	u.mount_it();
	for (const char *name : {"dir/file", "dir/other", "dir/sub", "dir/low", "mine"})
		EXPECT(exists(u.at(name)));
	if (out)
		OK(move_to(u.branch + "/dir", u.elsewhere + "/dir"));
	else
		remove_tree(u.branch + "/dir");
	string before = snapshot(u.elsewhere);
	auto at = [&](const char *name) {
		return u.at(name);
	};
	EXPECT_ERR(make_file(at("dir/new")), ESTALE);
	EXPECT_ERR(mkdir(at("dir/new").c_str(), 0755), ESTALE);
	EXPECT_ERR(symlink("x", at("dir/new").c_str()), ESTALE);
	EXPECT_ERR(mknod(at("dir/new").c_str(), S_IFIFO | 0644, 0), ESTALE);
	EXPECT_ERR(link(at("mine").c_str(), at("dir/new").c_str()), ESTALE);
	EXPECT_ERR(move_to(at("mine"), at("dir/new")), ESTALE);
	EXPECT_ERR(move_to(at("dir/file"), at("new")), ESTALE);
	EXPECT_ERR(move_to(at("dir/file"), at("dir/other")), ESTALE);
	EXPECT_ERR(unlink(at("dir/other").c_str()), ESTALE);
	EXPECT_ERR(rmdir(at("dir/sub").c_str()), ESTALE);
	EXPECT_ERR(open(at("dir").c_str(), O_TMPFILE | O_WRONLY, 0644), ESTALE);
	EXPECT_ERR(append(at("dir/low"), "+"), ESTALE);
	EXPECT_ERR(chmod(at("dir").c_str(), 0700), ESTALE);
	EXPECT_EQ(snapshot(u.elsewhere), before);
	EXPECT_EQ(read_file(u.branch + "/mine"), "/mine");
	/* After the caches are dropped, the union shows what the branches have. */
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT_OK(append(at("dir/low"), "+"));
	EXPECT_EQ(read_file(u.branch + "/dir/low"), "low+");
}

/* The same where the union looks for it: it has what is left, and what is made lies on the branch. */
PARAM_CASE(a_directory_that_went_is_noticed, "out of the branch/reval", "for good/reval",
	   "out of the branch/notify", "for good/notify")
{
	Within u;
	const string &how = ktap::param();
	make_dir(u.branch + "/dir");
	make_dir(u.branch + "/dir/sub");
	make_dir(u.low + "/dir");
	for (const string &path : {u.branch + "/dir/file", u.branch + "/mine", u.low + "/dir/low"})
		write_file(path, "text");
	u.mount_it(",udba=" + how.substr(how.find('/') + 1));
	for (const char *name : {"dir/file", "dir/sub", "dir/low", "mine"})
		EXPECT(exists(u.at(name)));
	Fd open_before = open_file(u.at("dir/file"), O_RDONLY);
	if (how.starts_with("out"))
		OK(move_to(u.branch + "/dir", u.elsewhere + "/dir"));
	else
		remove_tree(u.branch + "/dir");
	string before = snapshot(u.elsewhere);
	EXPECT_EQ(names_in(u.at("dir")), Names{"low"});
	EXPECT_ERR(append(u.at("dir/file"), "+"), ENOENT);
	EXPECT_ERR(unlink(u.at("dir/file").c_str()), ENOENT);
	EXPECT_ERR(rmdir(u.at("dir/sub").c_str()), ENOENT);
	EXPECT_ERR(fchmod(open_before, 0600), ESTALE);
	EXPECT_OK(make_file(u.at("dir/new")));
	EXPECT_OK(append(u.at("dir/low"), "+"));
	EXPECT_OK(move_to(u.at("mine"), u.at("dir/mine")));
	EXPECT_EQ(names_in(u.branch + "/dir"), (Names{"low", "mine", "new"}));
	EXPECT_EQ(read_file(u.branch + "/dir/low"), "text+");
	EXPECT_EQ(snapshot(u.elsewhere), before);
	expect_no_debris(u.branch);
}

CASE(the_branch_itself)
{
	Within u;
	u.mount_it();
	expect_works(u, "before");
	/* The branch itself is moved: its name does not matter. */
	OK(move_to(u.branch, u.elsewhere + "/branch"));
	u.branch = u.elsewhere + "/branch";
	expect_works(u, "after");
	remove_tree(u.branch);
	EXPECT_ERR(make_file(u.at("new")), ESTALE);
	EXPECT_ERR(mkdir(u.at("new").c_str(), 0755), ESTALE);
}

/*
 * The orphan directory is not the mounter's alone: another user made it, may have it open, and may put names into it.
 * An empty directory is replaced. Anything else stays as it is, and is not used.
 */
PARAM_CASE(not_the_mounters, "owner", "mode", "symlink", "file", "full", "full_mode")
{
	Within u;
	const string &how = ktap::param();
	string path = u.branch + orphans;
	bool usable = how == "owner" || how == "mode";
	if (how == "symlink")
		OK(symlink(u.elsewhere.c_str(), path.c_str()));
	else if (how == "file")
		write_file(path, "content");
	else
		make_dir(path, 0700);
	if (how == "mode" || how == "full_mode")
		OK(chmod(path.c_str(), 01777));
	else
		OK(lchown(path.c_str(), alice.uid, alice.gid));
	/* Another user has put a file there. */
	if (how == "full" || how == "full_mode")
		write_file(path + "/cpup.1", "content");
	string before = snapshot(u.branch);
	write_file(u.low + "/file", "low");
	u.mount_it();
	KernelLog log;
	if (usable) {
		expect_works(u, "name");
		expect_ours(path, true);
	} else {
		EXPECT_ERR(append(u.at("file"), "+"), EIO);
		EXPECT_HAS(log.read(), ".wh..wh.orph");
		EXPECT_EQ(snapshot(u.branch), before);
		EXPECT_EQ(names_in(u.elsewhere), Names{});
	}
	EXPECT_EQ(read_file(u.at("file")), "low");
}

/* The orphan directory is replaced while the union is mounted. */
CASE(replaced_while_in_use)
{
	Within u;
	write_file(u.low + "/file", "low");
	u.mount_it();
	expect_works(u, "before");
	string path = u.branch + orphans;
	OK(move_to(path, u.branch + "/aside"));
	make_dir(path, 0777);
	OK(chown(path.c_str(), alice.uid, alice.gid));
	write_file(path + "/trap", "");
	EXPECT_ERR(append(u.at("file"), "+"), EIO);
	EXPECT_EQ(names_in(path), Names{"trap"});
	EXPECT_EQ(names_in(u.branch + "/aside"), Names{});
	OK(unlink((path + "/trap").c_str()));
	expect_works(u, "after");
	expect_ours(path, true);
	/* The orphan directory is given away, as by chown -R. */
	OK(chown(path.c_str(), alice.uid, alice.gid));
	expect_works(u, "at last");
	expect_ours(path, true);
}

/* The file that whiteouts are links of is another user's: a whiteout is made as a file of its own. */
CASE(base_of_somebody_else)
{
	Within u;
	write_file(u.branch + base, "alice's");
	OK(chown((u.branch + base).c_str(), alice.uid, alice.gid));
	u.mount_it();
	expect_works(u, "name");
	EXPECT_EQ(lstat_of(u.branch + base).st_nlink, 1u);
	EXPECT_EQ(read_file(u.branch + base), "alice's");
	EXPECT(S_ISREG(lstat_of(u.branch + "/.wh.name_gone").st_mode));
}

/* A directory of pseudo-links that another user made is not used. The file may have lost a name through the union. */
PARAM_CASE(plinks_of_somebody_else, "one of two names", "the last of two names")
{
	Within u;
	u.mount_it();
	write_file(u.low + "/a", "low");
	OK(link((u.low + "/a").c_str(), (u.low + "/b").c_str()));
	make_dir(u.branch + plinks, 0700);
	OK(chown((u.branch + plinks).c_str(), alice.uid, alice.gid));
	write_file(u.branch + plinks + "/hers", "content");
	EXPECT_EQ(stat_of(u.at("a")).st_nlink, 2u);
	if (ktap::param() == "the last of two names")
		OK(unlink(u.at("b").c_str()));
	EXPECT_OK(append(u.at("a"), "+"));
	EXPECT_EQ(names_in(u.branch + plinks), Names{"hers"});
	EXPECT_EQ(read_file(u.at("a")), "low+");
}

CASE(mounted_over)
{
	Within u;
	u.mount_it();
	expect_works(u, "before");
	Mounted over(u.elsewhere, u.branch + orphans, "", MS_BIND, "");
	make_dir(u.at("dir"));
	expect_works(u, "after");
	EXPECT_EQ(names_in(u.elsewhere), Names{});
	over.unmount();
	expect_no_debris(u.branch);
}

/*
 * A directory is being removed, and a task that has it open on the branch makes a file in it. If the file was made, the
 * directory stays, and the names that its whiteouts hid stay hidden.
 */
CASE(made_while_it_is_removed)
{
	constexpr unsigned rounds = 40, hidden = 200;
	Within u;
	unsigned kept = 0, removed = 0;
	u.mount_it();
	for (unsigned round = 0; round < rounds; round++) {
		string name = ktap::format("dir%u", round);
		make_dir(u.low + "/" + name);
		make_dir(u.branch + "/" + name);
		for (unsigned i = 0; i < hidden; i++) {
			write_file(u.low + "/" + name + ktap::format("/f%u", i), "");
			write_file(u.branch + "/" + name + ktap::format("/.wh.f%u", i), "", 0444);
		}
		EXPECT_EQ(names_in(u.at(name)), Names{});
		Fd direct = open_file(u.branch + "/" + name, O_RDONLY | O_DIRECTORY);
		pid_t remover = spawn([&] { return rmdir(u.at(name).c_str()) ? errno : 0; });
		/* Waits until the directory moves away. */
		siginfo_t ended = {};
		while (exists(u.branch + "/" + name) && !ended.si_pid)
			OK(waitid(P_PID, remover, &ended, WEXITED | WNOHANG | WNOWAIT));
		usleep(round * 50);
		Fd fd(openat(direct, "data", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
		int status = wait_for(remover);
		if (fd < 0) {
			EXPECT_EQ(status, 0);
			EXPECT(!exists(u.at(name)));
			removed++;
			continue;
		}
		kept++;
		EXPECT_EQ(status, ENOTEMPTY);
		write_control("/proc/sys/vm/drop_caches", "2");
		EXPECT_EQ(names_in(u.at(name)), Names{"data"});
		EXPECT(exists(u.branch + "/" + name + "/data"));
	}
	ktap::say(ktap::format("%u kept, %u removed", kept, removed));
	expect_no_debris(u.branch);
}

/* The same for a directory that another would replace. */
CASE(made_before_it_is_replaced)
{
	Within u;
	make_dir(u.low + "/to");
	make_dir(u.branch + "/to");
	write_file(u.low + "/to/x", "");
	write_file(u.branch + "/to/.wh.x", "", 0444);
	u.mount_it();
	make_dir(u.at("from"));
	write_file(u.at("from/mine"), "mine");
	EXPECT_EQ(names_in(u.at("to")), Names{});
	write_file(u.branch + "/to/data", "data");
	EXPECT_ERR(move_to(u.at("from"), u.at("to")), ENOTEMPTY);
	EXPECT_EQ(read_file(u.branch + "/to/data"), "data");
	EXPECT_EQ(read_file(u.at("from/mine")), "mine");
	EXPECT(exists(u.branch + "/to/.wh.x"));
	OK(unlink((u.branch + "/to/data").c_str()));
	EXPECT_OK(move_to(u.at("from"), u.at("to")));
	EXPECT_EQ(read_file(u.at("to/mine")), "mine");
	expect_no_debris(u.branch);
}

/* A file that is made directly while the union renames another to its name is not replaced. */
CASE(made_while_its_name_changes)
{
	constexpr unsigned rounds = 200;
	Within u;
	unsigned before = 0, after = 0;
	u.mount_it();
	for (unsigned round = 0; round < rounds && !ktap::shared->failures; round++) {
		string number = std::to_string(round), from = "from" + number, to = "to" + number;
		string direct = u.branch + "/" + to, whiteout = u.branch + "/.wh." + from;
		/* A lower file has the old name, so the rename makes a whiteout, which takes some time. */
		write_file(u.low + "/" + from, "low");
		EXPECT(!exists(u.at(to)));
		pid_t mover = spawn([&] { return move_to(u.at(from), u.at(to)) ? errno : 0; });
		/* Makes the file when the whiteout of the old name is there, or a little earlier. */
		for (unsigned i = 0; i < round * 4 && !exists(whiteout); i++)
			;
		bool made = !make_file(direct);
		ino_t number_of_it = made ? lstat_of(direct).st_ino : 0;
		int status = wait_for(mover);
		if (!made) {
			EXPECT_EQ(status, 0);
			before++;
			continue;
		}
		after++;
		EXPECT_EQ(status, ESTALE);
		EXPECT_EQ(lstat_of(direct).st_ino, number_of_it);
	}
	ktap::say(ktap::format("%u before, %u after", before, after));
}

/* An unfinished directory of a crashed mount is removed only if it has nothing but whiteouts. */
CASE(left_by_a_crash)
{
	Within u;
	make_dir(u.branch + orphans, 0700);
	make_dir(u.branch + orphans + "/cpup.1");
	write_file(u.branch + orphans + "/cpup.1/.wh.x", "");
	make_dir(u.branch + orphans + "/cpup.2");
	write_file(u.branch + orphans + "/cpup.2/.wh.x", "");
	write_file(u.branch + orphans + "/cpup.2/data", "data");
	u.mount_it();
	EXPECT_EQ(names_in(u.branch + orphans), Names{"cpup.2"});
	EXPECT_EQ(read_file(u.branch + orphans + "/cpup.2/data"), "data");
	expect_works(u, "name");
}
