// SPDX-License-Identifier: GPL-2.0-only
//
// What the union, or somebody directly, changes while a change of the branches waits for a server that is late.
//
// Combinations: tmpfs

#include "late.hh"
#include "modules.hh"

/*
 * The union makes, moves, removes and copies up what a remount has looked up already. A server is above, and all of
 * that is done there; or it is below.
 */
PARAM_CASE(what_the_union_changes_meanwhile, "above", "below")
{
	Union u;
	bool is_above = ktap::param() == "above";
	string served = u.tmp + "/served", lower = is_above ? u.low : served;
	Passthrough server(served, is_above ? u.top : u.low, 0);
	for (const string &dir : {u.low, u.low2})
		make_dir(dir + "/tree");
	make_dir(u.top + "/before");
	write_file(u.top + "/before/top", "");
	write_file(u.low + "/tree/low", "");
	write_file(u.low2 + "/tree/low2", "");
	for (const char *name : {"before", "after"}) {
		make_dir(u.low2 + "/" + name);
		write_file(u.low2 + "/" + name + "/of_" + name, "");
	}
	for (const char *name : {"copied", "gone"})
		write_file(u.low + "/" + name, "low");
	for (const char *name : {"copied", "gone", "made"})
		write_file(u.low2 + "/" + name, "low2");
	/* The last name that is looked up: it lies deeper than the others. */
	make_dir((is_above ? u.top : u.low) + "/deep");
	write_file((is_above ? u.top : u.low) + "/deep/slow", "");
	u.mount("br=" + (is_above ? served : u.top) + "=rw:" + lower + "=ro");
	Fd copied = open_file(u.at("copied"), O_RDONLY), gone = open_file(u.at("gone"), O_RDONLY),
	   slow = open_file(u.at("deep/slow"), O_RDONLY),
	   moved = open_file(u.at("before"), O_RDONLY | O_DIRECTORY),
	   tree = open_file(u.at("tree"), O_RDONLY | O_DIRECTORY);
	server.hold({FUSE_LOOKUP, 1, "slow"});
	pid_t changer = spawn([&] { return remount(u, "append:" + u.low2); });
	EXPECT(comes_to_hold(server, changer));
	pid_t user = spawn([&] {
		write_file(u.at("made"), "made");
		OK(rename(u.at("before").c_str(), u.at("after").c_str()));
		OK(unlink(u.at("gone").c_str()));
		write_file(u.at("copied"), "copy");
		write_file(u.at("tree/top"), "top");
	});
	expect_not_to_wait(server, user, changer);
	EXPECT_EQ(read_file(u.at("made")), "made");
	Names after = {"of_after", "top"}, all = {"low", "low2", "top"};
	EXPECT_EQ(names_in(u.at("after")), after);
	EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(moved)), after);
	EXPECT_EQ(names_in(u.at("before")), Names{"of_before"});
	EXPECT(!exists(u.at("gone")));
	EXPECT_EQ(pread_text(gone, 16, 0), "low");
	EXPECT_EQ(read_file(u.at("copied")), "copy");
	EXPECT_EQ(pread_text(copied, 16, 0), "copy");
	EXPECT_EQ(names_in(u.at("tree")), all);
	EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(tree)), all);
	/* The directory's copy is used. */
	EXPECT_EQ(read_file(u.at("tree/top")), "top");
	write_file(u.at("tree/more"), "");
	EXPECT(exists(u.top + "/tree/more"));
	for (Fd *fd : {&copied, &gone, &slow, &moved, &tree})
		fd->reset();
	u.unmount();
}

/*
 * A directory is just being renamed through the union, and the server of the two names is late. A remount that begins
 * then leaves it out, and looks up all others, which another server has. The rename does not wait for that.
 */
CASE(the_first_looks_go_on_past_a_rename)
{
	Union u;
	string served = u.tmp + "/served", other = u.tmp + "/other";
	make_dirs(u.top + "/from/moving");
	make_dir(u.top + "/to");
	write_file(u.top + "/from/moving/inside", "");
	/* It lies deeper than the directory that moves, and so is looked up later. */
	make_dirs(u.low + "/deep/deeper");
	write_file(u.low + "/deep/deeper/late", "");
	make_dirs(u.low2 + "/from/moving");
	write_file(u.low2 + "/from/moving/of_old", "");
	make_dirs(u.low2 + "/to/moved");
	write_file(u.low2 + "/to/moved/of_new", "");
	Passthrough renaming(served, u.top, 0), looked(other, u.low, 0);
	/* The lowest branch is asked for no mark in the two directories, which are locked there. */
	u.mount("br=" + other + "=ro:" + served + "=rw");
	Fd moving = open_file(u.at("from/moving"), O_RDONLY | O_DIRECTORY),
	   late = open_file(u.at("deep/deeper/late"), O_RDONLY);
	renaming.hold({FUSE_RENAME, 1, "moving"});
	pid_t renamer = spawn([&] {
		return rename(u.at("from/moving").c_str(), u.at("to/moved").c_str()) ? errno : 0;
	});
	EXPECT(comes_to_hold(renaming, renamer));
	looked.hold({FUSE_LOOKUP, 1, "late"});
	pid_t changer = spawn([&] { return remount(u, "prepend:" + u.low2); });
	EXPECT(comes_to_hold(looked, changer));
	EXPECT(renaming.is_held());
	renaming.release(0);
	EXPECT(ends_soon(renamer));
	EXPECT(looked.is_held());
	looked.release(0);
	for (Passthrough *server : {&renaming, &looked})
		EXPECT(server->end());
	for (pid_t pid : {renamer, changer})
		EXPECT_EQ(wait_for(pid), 0);
	Names moved = {"inside", "of_new"};
	EXPECT_EQ(names_in("/proc/self/fd/" + std::to_string(moving)), moved);
	EXPECT_EQ(names_in(u.at("to/moved")), moved);
	EXPECT_EQ(names_in(u.at("from/moving")), Names{"of_old"});
	for (Fd *fd : {&moving, &late})
		fd->reset();
	u.unmount();
}

/*
 * Somebody removes the directory of the pseudo-links of a branch that comes, after the union has found it and before
 * the union reads it. Then there are none.
 */
PARAM_CASE(pseudo_links_that_are_removed_meanwhile, "mount", "remount")
{
	Union u;
	string behind = u.tmp + "/behind", plinks = behind + "/.wh..wh.plnk",
	       served = u.tmp + "/served", options = "br=" + u.top + "=rw:" + served + "=ro";
	make_dir(behind);
	make_dir(plinks, 0700);
	write_file(behind + "/new", "new");
	Passthrough server(served, behind, 0);
	bool mounts = ktap::param() == "mount";
	if (!mounts)
		u.mount("br=" + u.top + "=rw");
	server.hold({FUSE_OPENDIR, 1, ""});
	pid_t changer = spawn([&] {
		return mounts ? try_mount(u.mnt, options) : remount(u, "append:" + served);
	});
	EXPECT(comes_to_hold(server, changer));
	OK(rmdir(plinks.c_str()));
	server.release(0);
	EXPECT(server.end());
	EXPECT_EQ(ktap::errno_name(wait_for(changer)), "0");
	if (mounts)
		u.mount(options);
	EXPECT_EQ(read_file(u.at("new")), "new");
	u.unmount();
}
