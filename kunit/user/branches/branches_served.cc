// SPDX-License-Identifier: GPL-2.0-only
//
// A change of the branches while a server is late: others go on, and the server is asked once.
//
// Combinations: tmpfs

#include "late.hh"
#include "modules.hh"

#include <vector>

/* A question that a remount has for a server. */
static Request question(const string &kind, unsigned nth)
{
	if (kind == "origin")
		return {FUSE_GETXATTR, nth, "trusted.aufs.origin"};
	return {FUSE_LOOKUP, nth,
		kind == "name"	 ? "slow" :
		kind == "opaque" ? ".wh..wh..opq" :
				   "dir"};
}

/* How often a remount of Late asks it: about the root, for an origin about the file, and then about the directory. */
static unsigned times_asked(const string &kind)
{
	return kind == "origin" ? 3 : kind == "opaque" ? 2 : 1;
}

/*
 * A union that is about to get a branch. The uppermost one is served, but for the kind "new_branch": then it is that
 * which comes. A file and a directory are open, so a remount looks their names up.
 */
struct Late : Union {
	explicit Late(const string &kind) : is_new(kind == "new_branch")
	{
		make_dir(low + "/dir");
		write_file(low + "/dir/low", "");
		write_file(low2 + "/new", "new");
		write_file(top + "/slow", "slow");
		if (is_new) {
			make_dir(low2 + "/dir");
			mount(options());
		} else {
			mount("br=" + served + "=rw:" + low);
		}
		/* The directory has a copy. So what is used for copies is there, and servers are asked for origins. */
		write_file(at("dir/top"), "");
		write_file(at("quick"), "quick");
		slow = open_file(at("slow"), O_RDONLY);
		dir = open_file(at("dir"), O_RDONLY | O_DIRECTORY);
	}
	~Late()
	{
		ktap::guarded([this] {
			slow.reset();
			dir.reset();
			unmount();
		});
	}
	pid_t begin_remount()
	{
		return spawn(
			[this] { return remount(*this, "append:" + (is_new ? served : low2)); });
	}

	const bool is_new;
	const string served = tmp + "/served";
	Passthrough server{served, is_new ? low2 : top, 0};
	Fd slow, dir;
};

/* While a server is late with an answer that a remount needs, other tasks walk paths, find new names and make some. */
PARAM_CASE(walks_do_not_wait_for_a_server, "name", "opaque", "origin", "new_branch")
{
	Late u(ktap::param());
	/* About the directory: FUSE may keep back all names in that meanwhile. Those in the root are free. */
	u.server.hold(question(ktap::param(), times_asked(ktap::param())));
	pid_t changer = u.begin_remount();
	EXPECT(comes_to_hold(u.server, changer));
	pid_t walker = spawn([&] {
		EXPECT_EQ(read_file(u.at("quick")), "quick");
		EXPECT_EQ(read_file(u.at("slow")), "slow");
		EXPECT(!exists(u.at("new")));
		write_file(u.at("made"), "made");
	});
	expect_not_to_wait(u.server, walker, changer);
	EXPECT_EQ(read_file(u.at("new")), "new");
	EXPECT_EQ(read_file(u.at("made")), "made");
}

/* A remount looks each name up twice, but a server is asked for it once. */
PARAM_CASE(a_server_is_asked_once, "name", "opaque", "origin", "new_branch")
{
	Late u(ktap::param());
	u.server.hold(question(ktap::param(), times_asked(ktap::param()) + 1));
	pid_t changer = u.begin_remount();
	EXPECT(ends_soon(changer));
	EXPECT(!u.server.end());
	EXPECT_EQ(wait_for(changer), 0);
	EXPECT_EQ(read_file(u.at("new")), "new");
}

/* A name comes into use when the others have been looked up. A server is asked for it beside other tasks, too. */
CASE(a_name_that_comes_into_use_meanwhile)
{
	Late u("name");
	write_file(u.top + "/late", "late");
	u.server.hold(question("name", 1));
	pid_t changer = u.begin_remount();
	EXPECT(comes_to_hold(u.server, changer));
	Fd late = open_file(u.at("late"), O_RDONLY);
	u.server.hold({FUSE_LOOKUP, 1, "late"});
	u.server.release(0);
	EXPECT(comes_to_hold(u.server, changer));
	pid_t walker = spawn([&] { EXPECT_EQ(read_file(u.at("quick")), "quick"); });
	expect_not_to_wait(u.server, walker, changer);
	EXPECT_EQ(read_file(u.at("new")), "new");
}

/* How many names @server was asked for in a remount that appends @branch. */
static size_t names_asked_for(Passthrough &server, const Union &u, const string &branch)
{
	server.count();
	EXPECT_EQ(remount(u, "append:" + branch), 0);
	size_t count = 0;
	for (const Request &request : server.counted())
		count += request.opcode == FUSE_LOOKUP;
	return count;
}

/* Whether the root is opaque cannot be read: it does what it did. The server's error is an answer, too. */
CASE(an_error_is_an_answer)
{
	Late u("name");
	string more[] = {u.tmp + "/more0", u.tmp + "/more1"};
	for (const string &dir : more)
		make_dir(dir);
	size_t asked = names_asked_for(u.server, u, more[0]);
	EXPECT_GT(asked, 0u);
	u.server.fail({FUSE_LOOKUP, 1, ".wh..wh..opq"}, EIO);
	EXPECT_EQ(names_asked_for(u.server, u, more[1]), asked);
	EXPECT(u.server.end());
}

/* The same of a branch that comes: the reason is told. */
CASE(an_error_of_a_new_branch_is_told)
{
	Late u("new_branch");
	u.server.fail({FUSE_LOOKUP, 1, ".wh..wh..opq"}, EIO);
	KernelLog log;
	EXPECT_EQ(remount(u, "add:1:" + u.served), EIO);
	EXPECT(u.server.end());
	EXPECT_HAS(log.read(), "branch '" + u.served + "': it cannot be looked up in (errno 5)");
	EXPECT_EQ(remount(u, "add:1:" + u.served), 0);
}

/* Another task asks the server for what a remount has asked before. The kernel has a new negative dentry then. */
CASE(a_name_that_others_ask_for_meanwhile)
{
	constexpr const char *mark = "/.wh..wh..opq";
	Late u("name");
	make_dir(u.at("dir/deep"));
	Fd deep = open_file(u.at("dir/deep"), O_RDONLY | O_DIRECTORY);
	/* It is looked up after all names in the root. */
	u.server.hold({FUSE_LOOKUP, 1, "deep"});
	pid_t changer = u.begin_remount();
	EXPECT(comes_to_hold(u.server, changer));
	EXPECT(!exists(u.served + mark));
	/* That of the directory "deep" is still to come. */
	u.server.hold({FUSE_LOOKUP, 2, mark + 1});
	u.server.release(0);
	EXPECT(ends_soon(changer));
	EXPECT(!u.server.end());
	EXPECT_EQ(wait_for(changer), 0);
	EXPECT_EQ(read_file(u.at("new")), "new");
	deep.reset();
}

/* A directory was replaced directly before the remount. It is looked up anew, though the kernel knows it still. */
CASE(a_remount_asks_a_server_again)
{
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/old", "");
	Passthrough server(u.tmp + "/served", u.low, 0);
	u.mount("br=" + u.top + "=rw:" + u.tmp + "/served=ro");
	write_file(u.at("dir/top"), "");
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	OK(rename((u.low + "/dir").c_str(), (u.low + "/away").c_str()));
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/next", "");
	EXPECT_EQ(remount(u, "append:" + u.low2), 0);
	/* By the descriptor: a walk would ask the server, too. */
	EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(dir)), (Names{"next", "top"}));
	dir.reset();
	u.unmount();
}

/* A remount waits until a copy-up ends. Others look up names meanwhile, and wait for neither of the two. */
CASE(walks_do_not_wait_for_a_copy_up)
{
	/* The remount waits for half a minute. */
	constexpr double seconds = 15;
	constexpr int most = 1000;
	Union u;
	make_dir(u.tmp + "/behind");
	write_file(u.tmp + "/behind/file", "lower");
	make_dir(u.low + "/dir");
	Passthrough server(u.tmp + "/served", u.tmp + "/behind", 0);
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro:" + u.tmp + "/served=ro");
	server.hold({FUSE_READ, 1, ""});
	pid_t writer = spawn([&] { open_file(u.at("file"), O_RDWR); });
	EXPECT(comes_to_hold(server, writer));
	pid_t changer = spawn([&] { return remount(u, "append:" + u.low2); });
	int names = 0;
	for (double end = seconds_now() + seconds; names < most && seconds_now() < end; names++) {
		EXPECT(!exists(u.at("dir/" + std::to_string(names))));
		usleep(1000);
	}
	/* If each waited for the remount, there would be a handful. */
	EXPECT_GT(names, 100);
	EXPECT(!has_ended(changer));
	EXPECT(server.is_held());
	server.release(0);
	EXPECT(server.end());
	for (pid_t pid : {writer, changer})
		EXPECT_EQ(wait_for(pid), 0);
	u.unmount();
}

/* Tasks that have the list for some time each, one after the other, do not keep it from a remount. */
CASE(slow_lookups_do_not_keep_the_list)
{
	constexpr unsigned milliseconds = 150;
	Union u;
	make_dir(u.low + "/dir");
	write_file(u.low2 + "/new", "new");
	Passthrough server(u.tmp + "/served", u.low, 0);
	u.mount("br=" + u.top + "=rw:" + u.tmp + "/served=ro");
	server.delay(FUSE_LOOKUP, milliseconds);
	Pipe begun;
	std::vector<pid_t> lookers;
	for (int looker = 0; looker < 2; looker++) {
		lookers.push_back(spawn([&] {
			for (int i = 0;; i++) {
				exists(u.at("dir/" + std::to_string(looker) + "." +
					    std::to_string(i)));
				OK(write(begun.write, "", 1));
			}
		}));
		EXPECT(wait_byte(begun.read));
	}
	EXPECT_EQ(remount(u, "append:" + u.low2), 0);
	server.delay(FUSE_LOOKUP, 0);
	for (pid_t looker : lookers) {
		OK(kill(looker, SIGKILL));
		EXPECT_EQ(wait_for(looker), 128 + SIGKILL);
	}
	EXPECT_EQ(read_file(u.at("new")), "new");
	u.unmount();
}

/* With udba=reval a directory that was replaced directly is looked up anew, with what is in use below it. */
CASE(a_server_is_asked_once_about_a_changed_directory)
{
	Union u;
	for (const char *dir : {"/dir", "/next"}) {
		make_dir(u.low + dir);
		write_file(u.low + dir + "/name", dir);
	}
	make_dir(u.top + "/dir");
	Passthrough server(u.tmp + "/served", u.low, 0);
	u.mount("udba=reval,br=" + u.top + "=rw:" + u.tmp + "/served=ro");
	Fd name = open_file(u.at("dir/name"), O_RDONLY);
	OK(rename((u.low + "/dir").c_str(), (u.low + "/away").c_str()));
	OK(rename((u.low + "/next").c_str(), (u.low + "/dir").c_str()));
	server.hold({FUSE_LOOKUP, 2, "name"});
	pid_t walker = spawn([&] { EXPECT(!exists(u.at("dir/other"))); });
	EXPECT(ends_soon(walker));
	EXPECT(!server.end());
	EXPECT_EQ(wait_for(walker), 0);
	EXPECT_EQ(read_file(u.at("dir/name")), "/next");
	name.reset();
	u.unmount();
}

/*
 * Of a branch that comes, the pseudo-links are read when nobody else has the list. Tasks that walk a path wait for that
 * (aufs.5, LIMITS). Those that use open files do not.
 */
CASE(open_files_do_not_wait_for_a_server)
{
	/* They are read when the option is given, and then alone. */
	constexpr unsigned alone = 2;
	Modules u;
	make_dir(u.tmp + "/behind");
	make_dir(u.tmp + "/behind/.wh..wh.plnk", 0700);
	write_file(u.tmp + "/behind/new", "new");
	write_file(u.module("b") + "/slow", "slow");
	Passthrough server(u.tmp + "/served", u.tmp + "/behind", 0),
		other(u.tmp + "/other", u.module("c"), 0);
	/* If a branch is served, a walk asks whose the directory is. */
	EXPECT_EQ(remount(u, "append:" + u.module("b") + ",append:" + u.tmp + "/other"), 0);
	write_file(u.at("quick"), "quick");
	Fd slow = open_file(u.at("slow"), O_RDONLY), quick = open_file(u.at("quick"), O_RDWR);
	server.hold({FUSE_OPENDIR, alone, ""});
	pid_t changer = spawn([&] { return remount(u, "append:" + u.tmp + "/served"); });
	EXPECT(comes_to_hold(server, changer));
	/* Only the new list has this name. */
	Pipe looks;
	pid_t looker = spawn([&] {
		OK(write(looks.write, "", 1));
		return exists(u.at("new")) ? 0 : 1;
	});
	EXPECT(wait_byte(looks.read));
	pid_t user = spawn([&] {
		/* The root is not looked up. */
		OK(access(u.mnt.c_str(), X_OK));
		EXPECT_EQ(fstat_of(quick).st_size, 5);
		OK(pwrite(quick, "Q", 1, 0));
		Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, quick);
		EXPECT_EQ(map.text(5), "Quick");
		EXPECT_EQ(fstat_of(slow).st_size, 4);
		EXPECT_EQ(pread_text(slow, 4, 0), "slow");
	});
	EXPECT(ends_soon(user));
	EXPECT(server.is_held());
	EXPECT(!has_ended(looker));
	server.release(0);
	EXPECT(server.end());
	EXPECT_EQ(wait_for(user), 0);
	EXPECT_EQ(wait_for(changer), 0);
	EXPECT_EQ(wait_for(looker), 0);
	EXPECT_EQ(read_file(u.at("new")), "new");
	slow.reset();
	quick.reset();
	u.unmount();
}
