// SPDX-License-Identifier: GPL-2.0-only
//
// Ro branches on damaged filesystems: bits of an image are flipped, and if it can still be mounted, a union is used
// beside it. A call that only reads returns what it returns on the branch, data or an error. A change works, or is an
// error that has changed nothing. No copy has data that cannot be read. The union's lines in the log are bounded, and
// all can be unmounted. AUFS_SEED chooses other bits, AUFS_STEPS how many images of each filesystem.

#include "answers.hh"
#include "image.hh"
#include "union_log.hh"

#include <map>

namespace
{

// ---- the union beside its branch ---------------------------------------------------------------

class Beside
{
public:
	Beside(const Union &u, const Image &image, Random &random)
		: u_(u), branch_(image.path), random_(random)
	{
		numbers_[stat_of(branch_).st_ino] = 1;
	}
	/* Asks the branch and the union about all that the branch has. */
	void walk(const string &dir = "", unsigned depth = 0);
	/* Changes some of it. @whole: the image is not damaged, so each change has to work. */
	void change(unsigned count, bool whole);
	/* Changed files are as they became, all others as on the branch. */
	void look_again();

	unsigned same = 0, errors = 0, unsteady = 0, done = 0, refused = 0;

private:
	struct Change {
		string how, name;
		string other; /* a further name, or the new one */
	};

	void ask(const Question &question, const string &name);
	Listed compare_lists(const string &dir);
	bool is_alone(const struct stat &is) const
	{
		return numbers_.at(is.st_ino) == 1 && (S_ISDIR(is.st_mode) || is.st_nlink == 1);
	}
	int apply(const Change &change) const;
	void change_one(const Change &change, const struct stat &is, bool whole);
	void note_done(const Change &change, std::vector<Answer> pages, const struct stat &is);
	void expect(const string &name) const;
	void expect_empty(const string &name);
	/* The path in the union of @name, which begins with a slash. */
	string at(const string &name) const
	{
		return u_.mnt + name;
	}

	const Union &u_;
	const string &branch_;
	Random &random_;
	std::map<string, struct stat> found_;
	std::map<ino_t, unsigned> numbers_; /* names of each inode */
	/* The changed names: the data that they have now, ENOENT if they are gone, or unknown. */
	static inline const Answer unknown{"?", ""};
	std::map<string, Answer> changed_;
	unsigned count_ = 0;
};

#define FAIL(...) ktap::fail(__FILE__, __LINE__, ktap::format(__VA_ARGS__))

/* Asks the branch, the union, and the branch again. If the branch has two answers, nobody knows which is right. */
void Beside::ask(const Question &question, const string &name)
{
	Answer before = question.ask(branch_ + name), answer = question.ask(at(name)),
	       after = question.ask(branch_ + name);
	if (before != after) {
		unsteady++;
		return;
	}
	same++;
	errors += !before.error.empty();
	if (answer != before)
		FAIL("%s of %s as on the branch\n  branch: %s\n  union: %s", question.name,
		     ktap::quote(name).c_str(), show(before).c_str(), show(answer).c_str());
}

/* A merged directory is read as a whole, so an error comes before all names. */
Listed Beside::compare_lists(const string &dir)
{
	Listed branch = list(branch_ + dir), shown = list(at(dir)), after = list(branch_ + dir);
	if (branch != after) {
		unsteady++;
		return branch;
	}
	same++;
	errors += !branch.error.empty();
	bool no_more = std::includes(branch.names.begin(), branch.names.end(), shown.names.begin(),
				     shown.names.end());
	if (shown.error != branch.error || !no_more ||
	    (branch.error.empty() && shown.names != branch.names))
		FAIL("getdents of %s as on the branch\n  branch: %s %s\n  union: %s %s",
		     ktap::quote(dir).c_str(), branch.error.c_str(),
		     ktap::show(branch.names).c_str(), shown.error.c_str(),
		     ktap::show(shown.names).c_str());
	return branch;
}

void Beside::walk(const string &dir, unsigned depth)
{
	constexpr unsigned deepest = 8, most = 300;
	for (const string &name : compare_lists(dir).names) {
		string path = dir + "/" + name;
		struct stat is;
		if (found_.size() >= most)
			return;
		/* A directory with two names makes no tree: a lookup of one name makes the other one go. */
		bool there = lstat((branch_ + path).c_str(), &is) == 0;
		if (there && numbers_[is.st_ino]++ && S_ISDIR(is.st_mode)) {
			unsteady++;
			continue;
		}
		for (const Question &question : questions)
			ask(question, path);
		if (!there)
			continue;
		found_[path] = is;
		if (S_ISDIR(is.st_mode) && depth < deepest)
			walk(path, depth + 1);
	}
}

int Beside::apply(const Change &change) const
{
	string path = at(change.name), other = at(change.other);
	const string &how = change.how;
	const char *p = path.c_str(), *o = other.c_str();
	if (how == "write" || how == "create") {
		Fd fd(how == "write" ? open(p, O_RDWR | O_NONBLOCK | O_CLOEXEC) :
				       open(o, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
		if (fd < 0)
			return errno;
		ASSERT_EQ(pwrite(fd, "X", 1, 0), 1);
		return 0;
	}
	int result = how == "truncate" ? truncate(p, 3) :
		     how == "chown"    ? lchown(p, 7, 8) :
		     how == "setxattr" ? lsetxattr(p, "trusted.mine", "x", 1, 0) :
		     how == "rename"   ? rename(p, o) :
		     how == "link"     ? link(p, o) :
		     how == "unlink"   ? unlink(p) :
					 rmdir(p);
	return result ? errno : 0;
}

/* Expects that the changed @name is as it became. */
void Beside::expect(const string &name) const
{
	const Answer &wanted = changed_.at(name);
	if (wanted == unknown)
		return;
	if (wanted.error == "ENOENT")
		EXPECT_EQ(ktap::quote(name) + " " + ask_stat(at(name)).error,
			  ktap::quote(name) + " ENOENT");
	else if (ask_data(at(name)) != wanted)
		FAIL("%s to be what it became\n  it was to be %s\n  it is %s",
		     ktap::quote(name).c_str(), show(wanted).c_str(),
		     show(ask_data(at(name))).c_str());
}

/* Expects that all names that the branch has in the directory @name were removed before. */
void Beside::expect_empty(const string &name)
{
	Listed branch = list(branch_ + name);
	if (branch != list(branch_ + name)) {
		unsteady++;
		return;
	}
	EXPECT_EQ(branch.error, "");
	for (const string &entry : branch.names) {
		auto found = changed_.find(name + "/" + entry);
		if (found == changed_.end() || found->second.error != "ENOENT")
			FAIL("the directory %s stays\n  it went with %s", ktap::quote(name).c_str(),
			     ktap::quote(entry).c_str());
	}
}

/* @pages is the file's data on the branch. */
void Beside::note_done(const Change &change, std::vector<Answer> pages, const struct stat &is)
{
	const string &how = change.how;
	if (how == "create") {
		changed_[change.other] = {"", "X"};
		return;
	}
	if (how == "rmdir")
		expect_empty(change.name);
	if (how == "rmdir" || how == "unlink") {
		changed_[change.name] = {"ENOENT", ""};
		return;
	}
	/* A truncation reads only the part that stays. */
	if (how == "truncate")
		pages.resize(std::min<size_t>(pages.size(), 1));
	Answer data = joined(pages);
	if (!data.error.empty())
		FAIL("%s of %s fails, as it cannot be read (%s)\n  it worked", how.c_str(),
		     ktap::quote(change.name).c_str(), data.error.c_str());
	if (how == "write")
		data.text.replace(0, 1, "X");
	else if (how == "truncate")
		data.text.resize(3);
	changed_[change.name] = how == "rename" ? Answer{"ENOENT", ""} : data;
	if (!change.other.empty())
		changed_[change.other] = data;
	string now = at(how == "rename" ? change.other : change.name), was = branch_ + change.name;
	EXPECT_EQ(lstat_of(now).st_mode & S_IFMT, is.st_mode & S_IFMT);
	Answer xattrs = ask_xattrs(was), link = ask_link(was);
	if (xattrs.error.empty() && ask_xattrs(was) == xattrs)
		EXPECT_EQ(ask_xattrs(now).text, xattrs.text);
	if (link.error.empty())
		EXPECT_EQ(ask_link(now).text, link.text);
}

void Beside::change_one(const Change &change, const struct stat &is, bool whole)
{
	string before = branch_ + change.name;
	std::vector<Answer> pages = pages_of(before);
	int error = apply(change);
	if (pages != pages_of(before)) {
		unsteady++;
		changed_[change.name] = changed_[change.other] = unknown;
		return;
	}
	if (whole && !(error == ENOTEMPTY && change.how == "rmdir"))
		EXPECT_EQ(change.how + change.name + " " + ktap::errno_name(error),
			  change.how + change.name + " 0");
	if (!error) {
		done++;
		note_done(change, pages, is);
	} else {
		refused++;
		if (!change.other.empty())
			EXPECT(!exists(at(change.other)));
		/* The directory's times may have changed, by changes in it. */
		if (S_ISDIR(is.st_mode))
			EXPECT_EQ(ask_stat(at(change.name)).error,
				  ask_stat(branch_ + change.name).error);
		else
			EXPECT(!exists(u_.top + change.name));
	}
	for (const string &name : {change.name, change.other})
		if (changed_.contains(name))
			expect(name);
	if (error && !S_ISDIR(is.st_mode))
		for (const Question &question : questions)
			ask(question, change.name);
}

void Beside::change(unsigned count, bool whole)
{
	static const char *const of_files[] = {"write",	 "truncate", "chown", "setxattr",
					       "rename", "link",     "unlink"};
	std::vector<string> names;
	for (const auto &[name, is] : found_)
		if (is_alone(is) && (S_ISDIR(is.st_mode) || is.st_size <= most_read))
			names.push_back(name);
	for (; count && !names.empty(); count--) {
		string name = random_.pick(names);
		const struct stat &is = found_[name];
		Change change = {random_.pick(of_files), name, ""};
		bool file = S_ISREG(is.st_mode);
		if (S_ISDIR(is.st_mode))
			change.how = random_.one_in(2) ? "rmdir" : "create";
		else if (!file && (change.how == "write" || change.how == "truncate"))
			change.how = "chown";
		if (change.how == "create")
			change.other = name + "/created";
		else if (change.how == "rename" || change.how == "link")
			change.other = "/new" + std::to_string(count_++);
		std::erase(names, name);
		change_one(change, is, whole);
	}
}

void Beside::look_again()
{
	for (const auto &[name, wanted] : changed_)
		expect(name);
	for (const auto &[name, is] : found_)
		if (!S_ISDIR(is.st_mode) && !changed_.contains(name))
			for (const Question &question : questions)
				ask(question, name);
}

// ---- images ------------------------------------------------------------------------------------

int mount_union(const Union &u, const Image &image, Mounted &mounted)
{
	string data = "br=" + u.top + "=rw:" + image.path + "=ro";
	if (::mount("none", u.mnt.c_str(), "aufs", 0, data.c_str()) == 0) {
		mounted = Mounted::adopt(u.mnt);
		return 0;
	}
	string error = ktap::errno_name(errno);
	/* A mount looks for these names on each branch. */
	for (const char *name : {"/.wh..wh.plnk", "/.wh..wh.orph"})
		if (ask_stat(image.path + name).error == error)
			return -1;
	FAIL("a union is mounted where the branch answers\n  it failed with %s", error.c_str());
	return -1;
}

struct Total {
	unsigned images = 0, same = 0, errors = 0, unsteady = 0, done = 0, refused = 0;
};

/* Uses one image with @flips flipped bits. */
void use(const Union &u, Image &image, Random &random, unsigned flips, Total &total)
{
	UnionLog log;
	image.damage(random, flips);
	int error = image.mount();
	if (error) {
		EXPECT_NE(flips, 0u);
		image.mend();
		return;
	}
	{
		Mounted branch = Mounted::adopt(image.path), mounted;
		Beside beside(u, image, random);
		if (mount_union(u, image, mounted) == 0) {
			beside.walk();
			if (!flips)
				EXPECT_GT(beside.same, 140u);
			beside.change(flips ? 12 : 100, !flips);
			beside.look_again();
			mounted.unmount();
			expect_no_debris(u.top);
			if (mount_union(u, image, mounted) == 0) {
				beside.look_again();
				mounted.unmount();
			}
		} else {
			EXPECT_NE(flips, 0u);
		}
		if (!flips)
			EXPECT_EQ(beside.errors + beside.unsteady, 0u);
		branch.unmount();
		total.images++;
		total.same += beside.same;
		total.errors += beside.errors;
		total.unsteady += beside.unsteady;
		total.done += beside.done;
		total.refused += beside.refused;
	}
	EXPECT(image.is_free());
	log.expect_no_flood(2);
	image.mend();
	for (const string &name : names_in(u.top))
		remove_tree(u.top + "/" + name);
}

struct Setup : Union {
	explicit Setup(const string &name)
		: kind(*std::find_if(image_kinds.begin(), image_kinds.end(),
				     [&](const ImageKind &one) { return one.name == name; }))
	{
		if (!on("tmpfs") || !on("tmpfs", true))
			SKIP("once; the images are this test's own");
		if (read_file("/proc/filesystems").find(string("\t") + kind.type + "\n") ==
		    string::npos)
			SKIP("this kernel has no %s", kind.type);
	}
	const ImageKind &kind;
	/* Makes XFS log its errors without stack traces. */
	Setting no_traces{"/proc/sys/fs/xfs/error_level", "0"};
};

} // namespace

PARAM_CASE(flipped, "squashfs", "squashfs_unpacked", "erofs", "ext4", "ext4_without_checksums",
	   "xfs")
{
	Setup u(ktap::param());
	Image image(u, u.kind);
	Random random(chosen_seed());
	Total total;
	unsigned long steps = chosen_steps(10);
	use(u, image, random, 0, total);
	for (unsigned long i = 0; i < steps && !ktap::shared->failures; i++)
		use(u, image, random, 1 + random.below(1 << random.below(6)), total);
	ktap::say(ktap::format("%u of %lu images were mounted: %u answers were the branch's, %u of "
			       "them errors; %u were not asked: the branch had two; %u changes "
			       "worked, and %u did not",
			       total.images, steps + 1, total.same, total.errors, total.unsteady,
			       total.done, total.refused));
}

/*
 * The image has all names and no data. A call that needs data is EIO, any other works, and no copy is half of a file.
 */
CASE(no_data_can_be_read)
{
	constexpr off_t head = 96, start_of_inodes = 64;
	Setup u("squashfs");
	Image image(u, u.kind);
	off_t end = image.number_at(start_of_inodes);
	ASSERT_GT(end, head + 100);
	for (off_t at = head; at < end; at += 16)
		image.flip(at, 0x55);
	ASSERT_EQ(image.mount(), 0);
	Mounted branch = Mounted::adopt(image.path);
	for (const char *how : {"open", "chmod", "setxattr", "truncate", "rename", "link"}) {
		UnionLog log;
		u.mount("br=" + u.top + "=rw:" + image.path + "=ro");
		for (const char *name : {"file", "small", "a/b/c/deep", "a/one"}) {
			string path = u.at(name), other = u.at("other"), p = how;
			EXPECT_EQ(ask_stat(path).text, ask_stat(image.path + "/" + name).text);
			EXPECT_EQ(ask_data(path).error, "EIO");
			EXPECT_EQ(ask_mapping(path).error, "EFAULT");
			int result = p == "open"     ? open(path.c_str(), O_RDWR | O_CLOEXEC) :
				     p == "chmod"    ? chmod(path.c_str(), 0600) :
				     p == "setxattr" ? setxattr(path.c_str(), "trusted.mine", "x",
								1, 0) :
				     p == "truncate" ? truncate(path.c_str(), 10) :
				     p == "rename"   ? rename(path.c_str(), other.c_str()) :
						       link(path.c_str(), other.c_str());
			EXPECT_ERR(result, EIO);
			EXPECT(!exists(other));
			EXPECT(!exists(u.top + "/" + name));
			EXPECT_EQ(ask_stat(path).text, ask_stat(image.path + "/" + name).text);
		}
		log.expect_no_flood(1);
		u.unmount();
		expect_no_debris(u.top);
	}
	u.mount("br=" + u.top + "=rw:" + image.path + "=ro");
	OK(unlink(u.at("file").c_str()));
	OK(truncate(u.at("small").c_str(), 0));
	write_file(u.at("a/b/c/deep"), "new");
	OK(lchown(u.at("link").c_str(), 7, 8));
	for (bool again : {false, true}) {
		EXPECT(!exists(u.at("file")));
		EXPECT_EQ(read_file(u.at("small")), "");
		EXPECT_EQ(read_file(u.at("a/b/c/deep")), "new");
		EXPECT_EQ(link_target(u.at("link")), "file");
		u.unmount();
		if (!again)
			u.mount("br=" + u.top + "=rw:" + image.path + "=ro");
	}
	branch.unmount();
	EXPECT(image.is_free());
}
