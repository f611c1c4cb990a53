// SPDX-License-Identifier: GPL-2.0-only
//
// A rw branch belongs to one union. Another union is refused if it would write to the branch, to a directory in it, or
// to one that contains it, unless both have share_rw.
//
// Combinations: tmpfs

#include "fixture.hh"

#include <time.h>

/* A union, and two more mount points. */
struct Setup : Union {
	string second, third, rw, ro;
	Setup() : second(tmp + "/second"), third(tmp + "/third")
	{
		for (const string &dir : {second, third, top + "/a", top + "/a/b", top + "/c"})
			make_dir(dir);
		rw = "br=" + top + "/a=rw:" + low + "=ro";
		ro = "br=" + top + "/a=ro:" + low + "=ro";
	}
};

static int create(const string &data)
{
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	OK(fsconfig(context, FSCONFIG_SET_STRING, "br", data.c_str(), 0));
	return fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) ? errno : 0;
}

PARAM_CASE(refused, "the_same", "by_another_path", "within_it", "around_it", "as_a_second_branch")
{
	Setup u;
	string p = ktap::param(), other = u.top + "/a";
	Mounted bound;
	if (p == "by_another_path") {
		make_dir(u.tmp + "/bound");
		bound = Mounted(u.top, u.tmp + "/bound", "", MS_BIND, "");
		other = bound.path() + "/a";
	} else if (p == "within_it")
		other += "/b";
	else if (p == "around_it")
		other = u.top;
	else if (p == "as_a_second_branch")
		other = u.low2 + "=rw:" + other;
	u.mount(u.rw);
	KernelLog log;
	EXPECT_EQ(ktap::errno_name(try_mount(u.second, "br=" + other + "=rw")), "EBUSY");
	EXPECT_HAS(log.read(), u.top + "/a' of another union");
	EXPECT_EQ(ktap::errno_name(create(other + "=rw")), "EBUSY");
	/* The first union is not disturbed, and the failed mount has no claim. */
	write_file(u.at("file"), "text");
	EXPECT_EQ(read_file(u.top + "/a/file"), "text");
	EXPECT_EQ(try_mount(u.second, "br=" + u.low2 + "=rw"), 0);
	EXPECT_EQ(try_mount(u.second, "br=" + u.top + "/c=rw"), 0);
	u.unmount();
	EXPECT_EQ(try_mount(u.second, "br=" + other + "=rw"), 0);
}

/* The claim lasts until the union's last user has gone, also while the union is read-only: it may become writable. */
CASE(as_long_as_the_union_is_there)
{
	Setup u;
	u.mount(u.rw);
	OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT | MS_RDONLY, ""));
	EXPECT_EQ(try_mount(u.second, u.rw), EBUSY);
	OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, u.rw.c_str()));
	EXPECT_EQ(try_mount(u.second, u.rw), EBUSY);
	write_file(u.at("file"), "text");
	{
		Fd file = open_file(u.at("file"), O_RDONLY);
		u.unmount_lazily();
		EXPECT_EQ(try_mount(u.second, u.rw), EBUSY);
	}
	EXPECT_EQ(try_mount(u.second, u.rw), 0);
	/* The same for a union that was mounted read-only. */
	u.mount(u.rw, MS_RDONLY);
	EXPECT_EQ(try_mount(u.second, u.rw), EBUSY);
	u.unmount();
	/* A context that is never mounted has no claim. */
	Fd context(OK(fsopen("aufs", FSOPEN_CLOEXEC)));
	OK(fsconfig(context, FSCONFIG_SET_STRING, "br", (u.top + "/a=rw").c_str(), 0));
	EXPECT_EQ(try_mount(u.second, u.rw), 0);
}

/* A ro branch that another union writes to may give old answers, so the log says so. Two ro branches are no problem. */
CASE(read_only_branches)
{
	Setup u;
	KernelLog log;
	u.mount(u.ro);
	EXPECT_EQ(try_mount(u.second, u.ro), 0);
	EXPECT_HAS_NOT(log.read(), "shares");
	{
		Mounted writer("none", u.second, "aufs", 0, u.rw);
		EXPECT_HAS(log.read(), u.top + "/a' shares files with branch '" + u.top +
					       "/a' of another union");
		EXPECT_EQ(try_mount(u.third, "br=" + u.top + "/a/b=ro"), 0);
		EXPECT_HAS(log.read(), u.top + "/a/b' shares files with branch '" + u.top +
					       "/a' of another union");
	}
	EXPECT_EQ(try_mount(u.third, u.ro), 0);
	EXPECT_HAS_NOT(log.read(), "shares");
}

PARAM_CASE(shared, "both", "first", "second", "by_remount")
{
	Setup u;
	string p = ktap::param(), asked = u.rw + ",share_rw";
	u.mount(p == "both" || p == "first" ? asked : u.rw);
	if (p == "by_remount") {
		EXPECT_EQ(try_mount(u.second, asked), EBUSY);
		OK(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, "share_rw"));
	}
	bool both = p == "both" || p == "by_remount";
	EXPECT_EQ(try_mount(u.second, p == "first" ? u.rw : asked), both ? 0 : EBUSY);
	EXPECT_EQ(read_file("/proc/self/mounts").find(",share_rw") != string::npos, p != "second");
	if (!both)
		return;
	Mounted second("none", u.second, "aufs", 0, asked);
	write_file(u.second + "/file", "text");
	EXPECT_EQ(read_file(u.at("file")), "text");
	EXPECT_EQ(try_mount(u.third, u.rw), EBUSY);
}

/* One remount gives share_rw and the branch that needs it, in any order. */
PARAM_CASE(shared_with_the_branch, "before", "behind")
{
	Setup u;
	string append = "append:" + u.top + "/a=rw";
	Mounted second("none", u.second, "aufs", 0, u.rw + ",share_rw");
	u.mount("br=" + u.top + "/c=rw");
	auto remount = [&u](const string &options) {
		return mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str()) ? errno :
											   0;
	};
	EXPECT_EQ(remount(append), EBUSY);
	EXPECT_EQ(remount(ktap::param() == "before" ? "share_rw," + append : append + ",share_rw"),
		  0);
	write_file(u.second + "/file", "text");
	EXPECT_EQ(read_file(u.at("file")), "text");
}

/* A mount does not remove the workfiles of another union. */
PARAM_CASE(workfiles, "alone", "shared")
{
	Setup u;
	bool shared = ktap::param() == "shared";
	string workfile = u.top + "/a/.wh..wh.orph/cpup.1";
	make_dir(u.top + "/a/.wh..wh.orph", 0700);
	write_file(workfile, "half a");
	EXPECT_EQ(try_mount(u.second, u.rw + (shared ? ",share_rw" : "")), 0);
	EXPECT_EQ(exists(workfile), shared);
}

/* The upper and work directories of an overlayfs belong to that. */
CASE(upper_directory_of_an_overlayfs)
{
	Setup u;
	make_dir(u.top + "/work");
	Mounted overlay("none", u.third, "overlay", 0,
			"lowerdir=" + u.low + ",upperdir=" + u.top + "/a,workdir=" + u.top +
				"/work");
	KernelLog log;
	EXPECT_EQ(try_mount(u.second, u.rw), EBUSY);
	EXPECT_EQ(try_mount(u.second, "br=" + u.top + "/a/b=rw"), EBUSY);
	EXPECT_EQ(try_mount(u.second, "br=" + u.top + "/work=rw"), EBUSY);
	EXPECT_HAS(log.read(), "overlayfs");
	EXPECT_EQ(try_mount(u.second, u.rw + ",share_rw"), 0);
	EXPECT_EQ(try_mount(u.second, u.ro), 0);
	EXPECT_HAS(log.read(), "overlayfs");
	EXPECT_EQ(try_mount(u.second, "br=" + u.top + "/c=rw:" + u.low + "=ro"), 0);
	overlay.unmount();
	EXPECT_EQ(try_mount(u.second, u.rw), 0);
}

/* Of many mounts at one moment, one gets the branch. (Their messages are more than the log takes.) */
CASE(race)
{
	Setup u;
	constexpr int players = 6;
	for (int i = 0; i < players; i++)
		make_dir(ktap::format("%s/m%d", u.tmp.c_str(), i));
	for (int round = 0; round < 20; round++) {
		Pipe start, done;
		std::vector<pid_t> pids;
		for (int i = 0; i < players; i++)
			pids.push_back(spawn([&] {
				string target = ktap::format("%s/m%d", u.tmp.c_str(), i);
				start.write.reset();
				wait_byte(start.read);
				int result = mount("none", target.c_str(), "aufs", 0, u.rw.c_str());
				int error = result ? errno : 0;
				EXPECT(error == 0 || error == EBUSY);
				if (result == 0)
					send_byte(done.write);
			}));
		start.write.reset();
		for (pid_t pid : pids)
			EXPECT_EQ(wait_for(pid), 0);
		done.write.reset();
		int winners = 0;
		while (wait_byte(done.read))
			winners++;
		EXPECT_EQ(winners, 1);
		for (int i = 0; i < players; i++)
			umount2(ktap::format("%s/m%d", u.tmp.c_str(), i).c_str(), 0);
	}
	EXPECT_EQ(try_mount(u.second, u.rw), 0);
}

/* A directory that one union removes does not take away a file that the other has just made in it. */
CASE(rmdir_beside_create)
{
	Setup u;
	u.mount(u.rw + ",share_rw");
	Mounted second("none", u.second, "aufs", 0, u.rw + ",share_rw");
	string branch = u.top + "/a";
	int rounds = 0, both = 0, refused = 0;
	for (time_t end = time(nullptr) + 10; time(nullptr) < end; rounds++) {
		string dir = "/d" + std::to_string(rounds);
		make_dir(u.mnt + dir);
		/* With a whiteout in it, the directory is removed in the orphan directory. */
		write_file(branch + dir + "/.wh.x", "");
		EXPECT(exists(u.second + dir));
		pid_t child = spawn([&] { return rmdir((u.mnt + dir).c_str()) ? errno : 0; });
		Fd file(open((u.second + dir + "/data").c_str(), O_CREAT | O_WRONLY | O_EXCL,
			     0644));
		int error = wait_for(child);
		EXPECT(error == 0 || error == ENOTEMPTY);
		refused += error != 0;
		if (error == 0 && file >= 0) {
			both++;
			/* Both calls were right if the file still has a name: then it was not removed. */
			EXPECT_GT(fstat_of(file).st_nlink, 0u);
		}
		if (error)
			EXPECT(exists(branch + dir + "/data"));
	}
	ktap::say(ktap::format("%d rounds, %d not removed, %d removed with the file in it", rounds,
			       refused, both));
}

/* The next mount removes an orphaned directory, unless somebody put a file into it. */
PARAM_CASE(directory_that_waits_for_removal, "whiteouts", "a_file_too")
{
	Setup u;
	bool file = ktap::param() == "a_file_too";
	string dir = u.top + "/a/.wh..wh.orph/cpup.1";
	make_dir(u.top + "/a/.wh..wh.orph", 0700);
	make_dir(dir);
	write_file(dir + "/.wh.x", "");
	write_file(dir + "/.wh..wh.opq", "");
	if (file)
		write_file(dir + "/file", "text");
	string before = snapshot(u.top + "/a/.wh..wh.orph");
	EXPECT_EQ(try_mount(u.second, u.rw), 0);
	if (file)
		EXPECT_EQ(snapshot(u.top + "/a/.wh..wh.orph"), before);
	else
		EXPECT(!exists(dir));
}
