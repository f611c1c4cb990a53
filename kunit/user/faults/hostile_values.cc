// SPDX-License-Identifier: GPL-2.0-only
//
// Somebody has changed what the union keeps on its branches: its directories and file are of a wrong kind or owner,
// have anything in them, and its attributes have any value and length. Trees are as deep, and links and paths as long,
// as possible. Answers are those of the names and data on the branches, or errors. The log is not flooded. AUFS_SEED
// and AUFS_STEPS choose other values.
//
// Combinations: tmpfs ext4

#include "hostile.hh"

#include <map>
#include <set>

using Names = std::vector<string>;

// ---- the union's own directories and file ------------------------------------------------------

/* A directory of another user, or writable by others: the union does not trust it. */
static void make_foreign(const string &path, const string &kind)
{
	make_dir(path);
	if (kind != "foreign_empty")
		write_file(path + "/inside", "inside");
	if (kind == "writable_full")
		OK(chmod(path.c_str(), 0777));
	else
		OK(chown(path.c_str(), alice.uid, alice.gid));
}

/*
 * If the directory for workfiles is something else, calls that need it are EIO. Without the other two all works. An
 * empty directory is replaced. On a ro branch the union needs none of them.
 */
PARAM_CASE(housekeeping, HOSTILE_FEW, "file", "block", "foreign_empty", "foreign_full",
	   "writable_full")
{
	string kind = ktap::param();
	for (const char *name : {".wh..wh.orph", ".wh..wh.plnk", ".wh..wh.aufs"})
		for (bool rw : {true, false}) {
			Hostile u(rw);
			bool foreign = kind.starts_with("foreign") || kind == "writable_full";
			bool usable = kind == "directory" || kind == "full_directory" ||
				      kind == "foreign_empty";
			bool no_work = rw && name == string(".wh..wh.orph") && !usable;
			string at = u.hostile + "/" + name;
			if (foreign)
				make_foreign(at, kind);
			else
				u.plant(name, kind);
			make_dir(u.below + "/dir");
			make_dir(u.below + "/empty");
			for (const char *file : {"file", "gone", "dir/linked", "dir/gone"})
				write_file(u.below + "/" + file, "below");
			OK(link((u.below + "/dir/linked").c_str(),
				(u.below + "/dir/link").c_str()));
			mode_t mode = lstat_of(at).st_mode;
			u.begin();

			OK(unlink(u.at("gone").c_str()));
			OK(rmdir(u.at("empty").c_str()));
			EXPECT_ERROR(chmod(u.at("file").c_str(), 0600), no_work ? EIO : 0);
			EXPECT_ERROR(chmod(u.at("dir/linked").c_str(), 0600), no_work ? EIO : 0);
			EXPECT_ERROR(unlink(u.at("dir/gone").c_str()), no_work ? EIO : 0);
			write_file(u.at("new"), "new");
			make_dir(u.at("new_dir"));
			OK(rename(u.at("new").c_str(), u.at("new_dir/renamed").c_str()));
			for (bool again : {false, true}) {
				EXPECT_EQ(names_in(u.mnt), (Names{"dir", "file", "new_dir"}));
				EXPECT_EQ(read_file(u.at("new_dir/renamed")), "new");
				EXPECT_EQ(read_file(u.at("file")), "below");
				EXPECT_EQ(stat_of(u.at("file")).st_mode & 0777,
					  no_work ? 0644u : 0600u);
				EXPECT_EQ(read_file(u.at("dir/linked")), "below");
				EXPECT_EQ(read_file(u.at("dir/link")), "below");
				EXPECT_EQ(exists(u.at("dir/gone")), no_work);
				if (!again) {
					u.unmount();
					u.mount_it();
				}
			}
			if (no_work)
				EXPECT(!exists(u.top + "/file"));
			/* An object that cannot be used stays as it is, with what is in it. */
			if (!rw || !usable)
				EXPECT_EQ(lstat_of(at).st_mode, mode);
			if (kind.ends_with("_full") || kind == "full_directory")
				EXPECT_EQ(read_file(at + "/inside"), "inside");
			/* Whiteouts are links of one file, if that is a regular file. */
			EXPECT_EQ(stat_of(u.top + "/.wh.gone").st_nlink > 1,
				  !rw || name != string(".wh..wh.aufs") || is_regular(kind));
			u.end();
		}
}

/*
 * A mount removes objects in the directory for workfiles that have a workfile's name and nothing that users would see.
 * The log tells of the others, but not of each.
 */
CASE(workfiles)
{
	constexpr unsigned many = 300;
	static const char *const kinds[] = {HOSTILE_KINDS};
	Hostile u(true);
	string orphans = u.top + "/.wh..wh.orph";
	Names left;
	make_dir(orphans, 0700);
	write_file(u.below + "/file", "below");
	for (const string kind : kinds) {
		for (const string &name : {"cpup." + kind, "gone." + kind, "other." + kind}) {
			u.plant(".wh..wh.orph/" + name, kind);
			if (kind == "full_directory" || name.starts_with("other."))
				left.push_back(name);
		}
		make_dir(orphans + "/cpup.hiding_" + kind);
		u.plant(".wh..wh.orph/cpup.hiding_" + kind + "/.wh.x", kind);
		if (kind == "full_directory")
			left.push_back("cpup.hiding_" + kind);
	}
	for (unsigned i = 0; i < many; i++) {
		left.push_back("cpup.taken" + std::to_string(i));
		make_dir(orphans + "/" + left.back());
		write_file(orphans + "/" + left.back() + "/inside", "inside");
	}
	std::sort(left.begin(), left.end());
	for (bool again : {false, true}) {
		if (!again)
			u.begin();
		EXPECT_EQ(names_in(orphans), left);
		EXPECT_EQ(read_file(orphans + "/cpup.taken7/inside"), "inside");
		EXPECT_EQ(names_in(u.mnt), Names{"file"});
		OK(chmod(u.at("file").c_str(), again ? 0640 : 0600));
		EXPECT_EQ(names_in(orphans), left);
		if (!again) {
			u.unmount();
			u.mount_it();
		}
	}
	u.end();
}

/* The log tells of a name that cannot be known, but not for each lookup. */
CASE(many_questions)
{
	constexpr unsigned many = 1000;
	Hostile u(true);
	write_file(u.below + "/file", "below");
	u.plant(".wh.file", "fifo");
	u.begin();
	for (unsigned i = 0; i < many; i++) {
		struct stat st;
		EXPECT_ERROR(lstat(u.at("file").c_str(), &st), EIO);
	}
	/* end() counts the lines in the log. */
	u.end();
}

/*
 * The size of a file among the pseudo-links says how many names of a lower file are gone. With any size, a file that
 * has a name has a link, and no more links than on its branch.
 */
PARAM_CASE(gone_names, "0", "1", "2", "0x7fffffff", "0xfffffffe", "0xffffffff", "0x100000000",
	   "0x10000000001", HOSTILE_FEW)
{
	Hostile u(true);
	string plinks = u.top + "/.wh..wh.plnk", kind = ktap::param(), gone;
	bool number = kind[0] >= '0' && kind[0] <= '9';
	write_file(u.below + "/a", "below");
	OK(link((u.below + "/a").c_str(), (u.below + "/b").c_str()));
	u.begin();
	OK(unlink(u.at("a").c_str()));
	u.unmount();
	for (const string &name : names_in(plinks))
		if (name.starts_with("gone."))
			gone = name;
	ASSERT_NE(gone, "");
	EXPECT_EQ(stat_of(plinks + "/" + gone).st_size, 1);
	OK(unlink((plinks + "/" + gone).c_str()));
	off_t size = 0;
	if (number) {
		size = strtoll(kind.c_str(), nullptr, 0);
		write_file(plinks + "/" + gone, "");
		OK(truncate((plinks + "/" + gone).c_str(), size));
	} else {
		u.plant(".wh..wh.plnk/" + gone, kind);
		size = kind == "unreadable" ? strlen("text") : 0;
	}
	u.mount_it();
	EXPECT_EQ(stat_of(u.at("b")).st_nlink, size & 0xffffffff ? 1u : 2u);
	EXPECT_EQ(read_file(u.at("b")), "below");
	OK(link(u.at("b").c_str(), u.at("c").c_str()));
	EXPECT_EQ(read_file(u.at("c")), "below");
	for (bool again : {false, true}) {
		EXPECT_EQ(names_in(u.mnt), (Names{"b", "c"}));
		EXPECT_EQ(stat_of(u.at("b")).st_ino, stat_of(u.at("c")).st_ino);
		if (!again) {
			u.unmount();
			u.mount_it();
		}
	}
	OK(unlink(u.at("b").c_str()));
	EXPECT_EQ(read_file(u.at("c")), "below");
	OK(unlink(u.at("c").c_str()));
	EXPECT_EQ(names_in(u.mnt), Names{});
	u.end();
}

// ---- attributes --------------------------------------------------------------------------------

/* Users do not see or change the attributes that the union keeps. */
static void expect_private(const string &path)
{
	char names[65536];
	ssize_t size = OK(llistxattr(path.c_str(), names, sizeof(names)));
	EXPECT_EQ(string(names, size).find("trusted.aufs."), string::npos);
	for (const char *name : {"trusted.aufs.origin", "trusted.aufs.impure"}) {
		EXPECT_ERROR(lgetxattr(path.c_str(), name, names, sizeof(names)), ENODATA);
		EXPECT_ERROR(lsetxattr(path.c_str(), name, "x", 1, 0), EPERM);
		EXPECT_ERROR(lremovexattr(path.c_str(), name), EPERM);
	}
}

/*
 * A branch of copies, some of which have an origin. forge() changes an origin to any bytes of any length, another
 * file's origin, or its own with some bits flipped.
 */
struct Copies : Union {
	static constexpr unsigned count = 6;
	std::map<string, string> contents;
	Names values;

	Copies()
	{
		make_dir(low + "/dir");
		/* Its attributes are read: it looks like a branch that a union has written to. */
		make_dir(low + "/.wh..wh.plnk", 0700);
		for (unsigned i = 0; i < count; i++)
			for (const char *kind : {"copy", "pair", "lower"}) {
				string name = kind + std::to_string(i), text = "low " + name;
				write_file(low + "/dir/" + name, text);
				contents[name] = text;
				if (kind == string("pair"))
					OK(link((low + "/dir/" + name).c_str(),
						(low + "/dir/other_" + name).c_str()));
			}
		mount();
		for (unsigned i = 0; i < count; i++)
			for (const char *kind : {"copy", "pair"}) {
				string name = kind + std::to_string(i), text = "top " + name;
				write_file(at("dir/" + name), text);
				contents[name] = text;
			}
		unmount();
		for (unsigned i = 0; i < count; i++) {
			char value[64];
			string path = top + "/dir/copy" + std::to_string(i);
			ssize_t size = OK(lgetxattr(path.c_str(), "trusted.aufs.origin", value,
						    sizeof(value)));
			values.emplace_back(value, size);
		}
	}
	void forge(Random &random, const string &branch)
	{
		string value = random.one_in(2) ? random_value(random) : random.pick(values);
		for (unsigned i = random.below(4); i && !value.empty(); i--)
			value[random.below(value.size())] ^= 1 << random.below(8);
		string name = branch + "/dir/" + random.pick(names_in(branch + "/dir"));
		if (random.one_in(6))
			(void)!lsetxattr((branch + "/dir").c_str(), "trusted.aufs.impure",
					 value.data(), value.size(), 0);
		else
			/* A disk may have no room for it. */
			(void)!lsetxattr(name.c_str(), "trusted.aufs.origin", value.data(),
					 value.size(), 0);
	}
	/*
	 * Each name has the file of its branch, under a number of its own. Further names of lower files may lead to a
	 * copy whose origin names them: the union does not ask the upper branch for a proof.
	 */
	void check() const
	{
		std::map<ino_t, string> numbers;
		std::set<string> texts;
		std::vector<Fd> held;
		EXPECT_EQ(names_in(at("dir")).size(), contents.size() + count);
		for (const auto &[name, text] : contents)
			texts.insert(text);
		for (const string &name : names_in(at("dir"))) {
			string path = at("dir/" + name), text = read_file(path);
			expect_private(path);
			if (name.find("pair") != string::npos) {
				EXPECT(texts.contains(text) || text.starts_with("low pair"));
				continue;
			}
			EXPECT_EQ(text, contents.at(name));
			held.push_back(open_file(path, O_RDONLY));
			ino_t number = fstat_of(held.back()).st_ino;
			EXPECT_EQ(numbers.try_emplace(number, name).first->second, name);
		}
	}
};

PARAM_CASE(origins, "rw", "ro")
{
	Random random(chosen_seed());
	UnionLog log;
	unsigned mounts = 1;
	Copies u;
	bool rw = ktap::param() == "rw";
	string options = rw ? u.options() :
			      "br=" + u.low2 + "=rw:" + u.top + "=ro:" + u.low + "=ro";
	for (unsigned long i = chosen_steps(24); i && !ktap::shared->failures; i--) {
		for (unsigned forged = 0; forged < 6; forged++)
			u.forge(random, random.one_in(3) ? u.low : u.top);
		u.mount(options);
		u.check();
		for (const string kind : {"copy", "lower"}) {
			string path = u.at("dir/" + kind + std::to_string(random.below(u.count)));
			OK(chmod(path.c_str(), 0600 + random.below(64)));
			OK(rename(path.c_str(), u.at("elsewhere").c_str()));
			OK(rename(u.at("elsewhere").c_str(), path.c_str()));
		}
		u.check();
		u.unmount();
		u.mount(options);
		u.check();
		u.unmount();
		mounts += 2;
	}
	log.expect_no_flood(mounts);
}

// ---- deep trees and long names -----------------------------------------------------------------

/* Removes trees that are deeper than a path. */
struct Reaching : Union {
	~Reaching()
	{
		ktap::guarded([this] {
			for (const string &branch : {top, low})
				run({"/bin/rm", "-rf", branch + "/" + name,
				     branch + "/.wh." + name});
		});
	}
	/* Makes directories in each other, or enters those that are there. Returns the deepest. */
	Fd descend(const string &root, unsigned depth, bool make) const
	{
		Fd dir = open_file(root, O_PATH | O_DIRECTORY);
		while (depth--) {
			if (make)
				OK(mkdirat(dir, name.c_str(), 0755));
			dir = Fd(OK(openat(dir, name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)));
		}
		return dir;
	}
	string name = "d";
};

static void put_at(int dir, const string &name, const string &text)
{
	Fd file(OK(openat(dir, name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)));
	ASSERT_EQ(write(file, text.data(), text.size()), ssize_t(text.size()));
}

static string text_at(int dir, const string &name)
{
	Fd file(OK(openat(dir, name.c_str(), O_RDONLY | O_CLOEXEC)));
	return pread_text(file, 100, 0);
}

/* Uses files at that depth in all ways, whether a path reaches them or not. */
static void use_depth(const string &name, unsigned depth)
{
	Reaching u;
	u.name = name;
	{
		Fd dir = u.descend(u.low, depth, true);
		for (const char *file : {"file", "gone", "moved"})
			put_at(dir, file, "low");
	}
	u.mount();
	{
		Fd dir = u.descend(u.mnt, depth, false);
		EXPECT_EQ(text_at(dir, "file"), "low");
		Fd file(OK(openat(dir, "file", O_WRONLY | O_CLOEXEC)));
		EXPECT_EQ(pwrite(file, "top", 3, 0), 3);
		OK(unlinkat(dir, "gone", 0));
		OK(renameat(dir, "moved", AT_FDCWD, u.at("moved").c_str()));
		OK(mkdirat(dir, "new", 0755));
		put_at(dir, "new/inside", "new");
		OK(linkat(dir, "file", dir, "new/link", 0));
	}
	for (bool again : {false, true}) {
		for (const string &root : {u.mnt, u.top}) {
			Fd dir = u.descend(root, depth, false);
			EXPECT_EQ(text_at(dir, "file"), "top");
			EXPECT_EQ(text_at(dir, "new/inside"), "new");
			EXPECT_EQ(text_at(dir, "new/link"), "top");
			EXPECT_ERROR(faccessat(dir, "gone", F_OK, 0), ENOENT);
		}
		EXPECT_EQ(read_file(u.at("moved")), "low");
		if (!again) {
			u.unmount();
			u.mount();
		}
	}
	/* Removes the files at the bottom, and some directories above them. */
	{
		Fd dir = u.descend(u.mnt, depth, false);
		for (const char *file : {"file", "new/inside", "new/link"})
			OK(unlinkat(dir, file, 0));
		OK(unlinkat(dir, "new", AT_REMOVEDIR));
	}
	for (unsigned up = 1; up <= 20; up++)
		OK(unlinkat(u.descend(u.mnt, depth - up, false), name.c_str(), AT_REMOVEDIR));
	u.unmount();
	expect_no_debris(u.top);
	u.mount();
	Fd dir = u.descend(u.mnt, depth - 20, false);
	EXPECT_ERROR(faccessat(dir, name.c_str(), F_OK, 0), ENOENT);
	dir.reset();
	(void)u.descend(u.low, depth, false);
	u.unmount();
}

CASE(deep)
{
	use_depth("d", 1000);
}

CASE(longer_than_a_path)
{
	use_depth(string(200, 'n'), 30);
}

/* A link's target may be as long as a path. */
CASE(long_links)
{
	Union u;
	string way;
	write_file(u.low + "/file", "low");
	for (size_t size : {4095, 1000}) {
		while (way.size() + 4 < size - 1)
			way += "./";
		way += way.size() + 4 < size ? "/file" : "file";
		if (symlink(way.c_str(), (u.low + "/link").c_str()) == 0)
			break;
		way.clear();
	}
	make_long_symlink(u.low + "/nowhere");
	string nowhere = link_target(u.low + "/nowhere");
	for (unsigned i = 0; i < 50; i++)
		OK(symlink(i ? ("loop" + std::to_string(i - 1)).c_str() : "file",
			   (u.low + "/loop" + std::to_string(i)).c_str()));
	u.mount();
	EXPECT_EQ(link_target(u.at("link")), way);
	EXPECT_EQ(link_target(u.at("nowhere")), nowhere);
	EXPECT_EQ(read_file(u.at("link")), "low");
	EXPECT_ERROR(open(u.at("nowhere").c_str(), O_RDONLY), ENAMETOOLONG);
	EXPECT_EQ(read_file(u.at("loop30")), "low");
	EXPECT_ERROR(open(u.at("loop49").c_str(), O_RDONLY), ELOOP);
	for (const char *name : {"link", "nowhere", "loop49"}) {
		string target = link_target(u.at(name));
		OK(lchown(u.at(name).c_str(), 1, 1));
		EXPECT_EQ(link_target(u.top + "/" + name), target);
		OK(rename(u.at(name).c_str(), u.at("renamed").c_str()));
		EXPECT(!exists(u.at(name)));
		OK(rename(u.at("renamed").c_str(), u.at(name).c_str()));
		EXPECT_EQ(link_target(u.at(name)), target);
	}
	write_file(u.at("link"), "through");
	EXPECT_EQ(read_file(u.top + "/file"), "through");
	string deepest = pattern(4000, 3);
	if (symlink(deepest.c_str(), u.at("new").c_str()) == 0)
		EXPECT_EQ(link_target(u.at("new")), deepest);
	EXPECT_EQ(read_file(u.low + "/file"), "low");
	u.unmount();
	expect_no_debris(u.top);
}
