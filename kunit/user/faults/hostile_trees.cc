// SPDX-License-Identifier: GPL-2.0-only
//
// Branches that somebody made to harm: objects of a wrong kind by the name of a whiteout or of one of the union's own
// directories, and objects in such directories. A name that cannot be known is EIO; all else works. No reserved name is
// shown, no device or FIFO is opened, no link is followed, and the log is not flooded. The union can be changed,
// remounted, unmounted and mounted again. AUFS_SEED and AUFS_STEPS choose another run of the last case.
//
// Combinations: tmpfs ext4

#include "hostile.hh"
#include "layers.hh"

using Names = std::vector<string>;

/* Each call on @path fails with @error. The name @other stays. */
static void expect_all_fails(const string &path, const string &other, int error)
{
	struct stat st;
	const char *p = path.c_str(), *o = other.c_str();
	string fresh = path + ".new";
	EXPECT_ERROR(lstat(p, &st), error);
	EXPECT_ERROR(open(p, O_RDONLY | O_CLOEXEC), error);
	EXPECT_ERROR(open(p, O_RDWR | O_CREAT | O_CLOEXEC, 0644), error);
	EXPECT_ERROR(open(p, O_WRONLY | O_TRUNC | O_CLOEXEC), error);
	EXPECT_ERROR(mkdir(p, 0755), error);
	EXPECT_ERROR(symlink("x", p), error);
	EXPECT_ERROR(mknod(p, S_IFIFO | 0644, 0), error);
	EXPECT_ERROR(unlink(p), error);
	EXPECT_ERROR(rmdir(p), error);
	EXPECT_ERROR(chmod(p, 0600), error);
	EXPECT_ERROR(truncate(p, 0), error);
	EXPECT_ERROR(link(o, p), error);
	EXPECT_ERROR(link(p, fresh.c_str()), error);
	EXPECT_ERROR(rename(o, p), error);
	EXPECT_ERROR(rename(p, fresh.c_str()), error);
	EXPECT_ERROR(renameat2(AT_FDCWD, o, AT_FDCWD, p, RENAME_EXCHANGE), error);
	EXPECT(exists(other));
	EXPECT(!exists(fresh));
}

// ---- names that hide ---------------------------------------------------------------------------

/*
 * A regular file by a whiteout's name hides its name, whoever may read that file. An object of another kind makes the
 * name EIO. Then the name is not listed, also after remounts, until somebody removes the object.
 */
static void use_whiteouts(bool rw, const string &kind)
{
	Hostile u(rw);
	bool hides = is_regular(kind);
	for (const string &branch : {u.hostile, u.below})
		make_dir(branch + "/dir");
	write_file(u.below + "/gone", "below");
	write_file(u.below + "/dir/file", "below");
	write_file(u.below + "/dir/both", "below");
	write_file(u.below + "/dir/other", "other");
	make_dir(u.below + "/dir/sub");
	write_file(u.below + "/dir/sub/inner", "below");
	write_file(u.hostile + "/dir/both", "above");
	for (const char *name : {".wh.gone", "dir/.wh.file", "dir/.wh.sub", "dir/.wh.both"})
		u.plant(name, kind);
	mode_t type = type_of(u.hostile + "/dir/.wh.file");
	make_dir(u.tmp + "/more");
	make_dir(u.tmp + "/more/dir");
	write_file(u.tmp + "/more/dir/file", "more");
	write_file(u.tmp + "/more/dir/extra", "more");
	u.begin();

	auto expect_hidden = [&](const Names &listed) {
		for (const char *name : {"gone", "dir/file", "dir/sub", "dir/sub/inner"}) {
			struct stat st;
			EXPECT_ERROR(lstat(u.at(name).c_str(), &st), hides ? ENOENT : EIO);
		}
		EXPECT_EQ(names_in(u.mnt), Names{"dir"});
		EXPECT_EQ(names_in(u.at("dir")), listed);
		/* An object that is beside its own whiteout is shown. */
		EXPECT_EQ(read_file(u.at("dir/both")), "above");
		EXPECT_EQ(read_file(u.at("dir/other")), "other");
	};
	expect_hidden({"both", "other"});
	as_user(alice, [&] { expect_hidden({"both", "other"}); });
	if (!hides)
		for (const char *name : {"gone", "dir/file", "dir/sub"})
			expect_all_fails(u.at(name), u.at("dir/other"), EIO);
	expect_hidden({"both", "other"});
	EXPECT_EQ(remount(u, "append:" + u.tmp + "/more=ro"), 0);
	expect_hidden({"both", "extra", "other"});
	EXPECT_EQ(remount(u, "del:" + u.tmp + "/more"), 0);
	expect_hidden({"both", "other"});
	u.unmount();
	u.mount_it();
	expect_hidden({"both", "other"});
	EXPECT_EQ(type_of(u.hostile + "/dir/.wh.file"), type);

	/*
	 * This name's whiteout would be needed to hide the file below. If another branch takes whiteouts, this one does
	 * not matter.
	 */
	if (rw && !hides) {
		EXPECT_ERROR(unlink(u.at("dir/both").c_str()), EIO);
		EXPECT_ERROR(rename(u.at("dir/both").c_str(), u.at("dir/moved").c_str()), EIO);
		EXPECT_EQ(read_file(u.at("dir/both")), "above");
	} else {
		OK(rename(u.at("dir/both").c_str(), u.at("dir/moved").c_str()));
		EXPECT_EQ(read_file(u.at("dir/moved")), "above");
		EXPECT(!exists(u.at("dir/both")));
		write_file(u.at("dir/both"), "new");
		OK(unlink(u.at("dir/both").c_str()));
		EXPECT(!exists(u.at("dir/both")));
	}
	if (hides) {
		write_file(u.at("dir/file"), "new");
		make_dir(u.at("dir/sub"));
		EXPECT_EQ(read_file(u.at("dir/file")), "new");
		EXPECT_EQ(names_in(u.at("dir/sub")), Names{});
	}
	/* The rest of the union works. */
	write_file(u.at("dir/other"), "changed");
	write_file(u.at("dir/new"), "new");
	OK(unlink(u.at("dir/new").c_str()));
	OK(unlink(u.at("dir/other").c_str()));
	EXPECT(!exists(u.at("dir/other")));
	u.end();

	for (const char *name : {".wh.gone", "dir/.wh.file", "dir/.wh.sub", "dir/.wh.both"})
		if (exists(u.hostile + "/" + name))
			remove_tree(u.hostile + "/" + name);
	u.mount_it();
	EXPECT_EQ(read_file(u.at("gone")), "below");
	EXPECT_EQ(read_file(u.at("dir/file")), hides ? "new" : "below");
	u.unmount();
}

PARAM_CASE(whiteout_on_rw, HOSTILE_KINDS)
{
	use_whiteouts(true, ktap::param());
}

PARAM_CASE(whiteout_on_ro, HOSTILE_KINDS)
{
	use_whiteouts(false, ktap::param());
}

/* An opaque mark of any kind makes its directory opaque. */
static void use_opaque_marks(bool rw, const string &kind)
{
	Hostile u(rw);
	for (const string &branch : {u.hostile, u.below})
		make_dir(branch + "/dir");
	write_file(u.below + "/dir/below", "below");
	write_file(u.hostile + "/dir/own", "own");
	u.plant("dir/.wh..wh..opq", kind);
	mode_t type = type_of(u.hostile + "/dir/.wh..wh..opq");
	u.begin();
	for (bool again : {false, true}) {
		EXPECT_EQ(names_in(u.at("dir")), Names{"own"});
		EXPECT(!exists(u.at("dir/below")));
		write_file(u.at("dir/below"), "new");
		EXPECT_EQ(names_in(u.at("dir")), (Names{"below", "own"}));
		EXPECT_EQ(read_file(u.at("dir/below")), "new");
		OK(unlink(u.at("dir/below").c_str()));
		EXPECT(!exists(u.at("dir/below")));
		if (!again) {
			u.unmount();
			u.mount_it();
		}
	}
	EXPECT_EQ(type_of(u.hostile + "/dir/.wh..wh..opq"), type);
	/* The mark is removed with its directory, unless it has something in it. */
	OK(unlink(u.at("dir/own").c_str()));
	bool stays = rw && kind == "full_directory";
	EXPECT_ERROR(rmdir(u.at("dir").c_str()), stays ? ENOTEMPTY : 0);
	EXPECT_EQ(exists(u.at("dir")), stays);
	if (stays) {
		EXPECT_EQ(names_in(u.at("dir")), Names{});
		EXPECT_EQ(read_file(u.hostile + "/dir/.wh..wh..opq/inside"), "inside");
	} else {
		make_dir(u.at("dir"));
		EXPECT_EQ(names_in(u.at("dir")), Names{});
	}
	expect_no_debris(u.top);
	u.end();
}

PARAM_CASE(opaque_on_rw, HOSTILE_KINDS)
{
	use_opaque_marks(true, ktap::param());
}

PARAM_CASE(opaque_on_ro, HOSTILE_KINDS)
{
	use_opaque_marks(false, ktap::param());
}

/* An opaque mark in the root of a branch hides all branches below. */
PARAM_CASE(opaque_root, HOSTILE_FEW)
{
	for (bool rw : {true, false}) {
		Hostile u(rw);
		write_file(u.below + "/below", "below");
		write_file(u.hostile + "/own", "own");
		u.plant(".wh..wh..opq", ktap::param());
		u.begin();
		EXPECT_EQ(names_in(u.mnt), Names{"own"});
		EXPECT(!exists(u.at("below")));
		write_file(u.at("below"), "new");
		write_file(u.at("own"), "changed");
		u.unmount();
		u.mount_it();
		EXPECT_EQ(names_in(u.mnt), (Names{"below", "own"}));
		EXPECT_EQ(read_file(u.at("below")), "new");
		EXPECT_EQ(read_file(u.at("own")), "changed");
		u.end();
	}
}

/* Names that begin like whiteouts but hide no possible name. The names beside them are shown. */
PARAM_CASE(odd_names, HOSTILE_FEW)
{
	static const char *const odd[] = {".wh.",
					  ".wh..",
					  ".wh...",
					  ".wh..wh.",
					  ".wh..wh..wh.x",
					  ".wh..wh.unknown",
					  ".wh.\n\x1b[31mred",
					  ".wh.\xff\xfe"};
	for (bool rw : {true, false}) {
		Hostile u(rw);
		for (const string &branch : {u.hostile, u.below})
			make_dir(branch + "/dir");
		for (const char *name : {"x", ".whx", ".w", "..."})
			write_file(u.below + "/dir/" + name, "below");
		for (const char *name : odd)
			u.plant("dir/" + string(name), ktap::param());
		/* The longest possible name. It hides the longest name that a union can have. */
		u.plant("dir/.wh." + string(251, 'n'), ktap::param());
		u.begin();
		for (bool again : {false, true}) {
			EXPECT_EQ(names_in(u.at("dir")), (Names{"...", ".w", ".whx", "x"}));
			for (const char *name : odd) {
				string path = u.at("dir/" + string(name));
				EXPECT(!exists(path));
				EXPECT_ERROR(mkdir(path.c_str(), 0755), EPERM);
				EXPECT_ERROR(unlink(path.c_str()), ENOENT);
				EXPECT_ERROR(rename(u.at("dir/x").c_str(), path.c_str()), EPERM);
			}
			EXPECT_EQ(stat_of(u.at("dir/.")).st_ino, stat_of(u.at("dir")).st_ino);
			EXPECT_EQ(stat_of(u.at("dir/..")).st_ino, stat_of(u.mnt).st_ino);
			write_file(u.at("dir/x"), "changed");
			if (!again) {
				u.unmount();
				u.mount_it();
			}
		}
		/* They do not keep the directory, except for a full directory, which the union does not remove. */
		for (const char *name : {"x", ".whx", ".w", "..."})
			OK(unlink(u.at("dir/" + string(name)).c_str()));
		bool stays = rw && ktap::param() == "full_directory";
		EXPECT_ERROR(rmdir(u.at("dir").c_str()), stays ? ENOTEMPTY : 0);
		EXPECT_EQ(exists(u.at("dir")), stays);
		if (stays)
			EXPECT_EQ(names_in(u.at("dir")), Names{});
		expect_no_debris(u.top);
		u.end();
	}
}

// ---- at random ---------------------------------------------------------------------------------

/* Puts @count hostile objects and attributes into the branch @root. */
static void sprinkle(Random &random, const string &root, unsigned count, const string &outside,
		     Untouched &untouched)
{
	static const char *const kinds[] = {HOSTILE_KINDS};
	static const char *const own[] = {".wh..wh.orph", ".wh..wh.plnk", ".wh..wh.aufs",
					  ".wh..wh..opq", ".wh.",	  ".wh..wh.x"};
	static const char *const attributes[] = {"trusted.aufs.origin", "trusted.aufs.impure",
						 "trusted.aufs.unknown"};
	Known known = known_in(root + "/");
	while (count--) {
		string dir = root + "/" + random.pick(known.dirs);
		string plain = random.one_in(3) ? random.pick(dir_names) : random.pick(file_names);
		string path = dir + (random.one_in(3) ? random.pick(own) : ".wh." + plain);
		if (!exists(path)) {
			make_hostile(path, random.pick(kinds), outside);
			untouched.watch(path);
		}
		string value = random_value(random);
		if (!known.all.empty())
			(void)!lsetxattr((root + "/" + random.pick(known.all)).c_str(),
					 random.pick(attributes), value.data(), value.size(), 0);
	}
}

/* Random operations on hostile branches: any may fail, nothing outside is touched, and the log is not flooded. */
CASE(life)
{
	Union u;
	Outside outside(u.tmp + "/outside");
	Untouched untouched;
	UnionLog log;
	Random random(chosen_seed());
	unsigned long steps = chosen_steps(1000), worked = 0;
	unsigned mounts = 2;
	string more = u.tmp + "/more";
	make_dir(more);
	Layers({u.top, u.low, more, u.low2}).fill(random, true);
	for (const string &root : {u.top, u.low, more, u.low2})
		sprinkle(random, root, 25, outside.path, untouched);
	string low = snapshot(u.low) + snapshot(u.low2) + snapshot(more);
	u.mount("br=" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro");
	Known known = known_in(u.mnt + "/");
	bool added = false;
	for (unsigned long i = 0; i < steps && !ktap::shared->failures; i++) {
		worked += random_op(random, known).apply(u.mnt + "/") == 0;
		if (i % 50 == 49) {
			EXPECT_EQ(remount(u, (added ? "del:" + more : "add:2:" + more + "=ro")), 0);
			added = !added;
			mounts++;
			known = known_in(u.mnt + "/");
			expect_nothing_reserved(u.mnt);
		}
	}
	ktap::say(ktap::format("%lu of %lu operations worked", worked, steps));
	EXPECT_GT(worked, 0u);
	for (bool again : {false, true}) {
		write_file(u.at("a_new_name"), again ? "again" : "new");
		expect_nothing_reserved(u.mnt);
		u.unmount();
		if (!again)
			u.mount("br=" + u.top + "=rw:" + u.low + "=ro:" + u.low2 + "=ro");
	}
	EXPECT_EQ(snapshot(u.low) + snapshot(u.low2) + snapshot(more), low);
	untouched.expect();
	outside.expect_untouched();
	log.expect_no_flood(mounts);
}
