// SPDX-License-Identifier: GPL-2.0-only
//
// Random operations on a union, and each also on a plain directory with the content that the union has to show. Each
// result has to be the same, and both trees have to look alike all the time. AUFS_SEED and AUFS_STEPS choose another
// run.
//
// Combinations: tmpfs xfs tmpfs+ext4

#include "layers.hh"

#include <algorithm>
#include <map>
#include <set>

#include <dirent.h>

namespace
{

/* An object of both trees. */
struct Pair {
	ino_t number; /* in the union */
	bool seen;
};

class Comparison
{
public:
	explicit Comparison(uint64_t seed);
	~Comparison()
	{
		if (wrong_)
			report();
	}
	/* These end the case if something differs. */
	void run(unsigned long steps);
	void finish();

private:
	static constexpr unsigned opened = 4;
	struct Opened {
		Fd fd, model;
		string path;
		bool current; /* it was opened on a rw branch, so it shows later writes */
	};

	void step();
	void step_on_opened();
	void refresh();
	void remount();
	bool expected_error(const Op &op, int error) const;
	bool moves_lower_directory(const string &path) const;
	bool copied(const struct stat &is) const;
	ino_t name_that_goes(const Op &op) const;
	string resolve(const string &path) const;

	void compare_tree();
	void compare_directory(const string &dir, std::map<ino_t, ino_t> &owners);
	void compare_object(const string &path);
	void compare_stat(const string &path, const struct stat &is, const struct stat &wanted);
	void check_top(const string &dir) const;
	[[noreturn]] void differ(const string &path, const string &what);
	void report() const;
	void log(const string &text)
	{
		log_.push_back(text);
	}

	Union u_;
	Mounted plain_;
	uint64_t seed_;
	size_t steps_ = 0;
	Random random_;
	string at_, model_, hidden_;
	Layers layers_;
	string low_before_, low2_before_;
	Known known_;
	KernelLog kernel_;
	Opened opened_[opened];
	std::map<ino_t, Pair> numbers_; /* by the number in the model */
	std::map<ino_t, unsigned> gone_; /* names of a lower file that were removed, by that number */
	std::vector<string> log_;
	size_t worked_ = 0, failed_ = 0;
	string wrong_path_;
	bool wrong_ = false;
};

Comparison::Comparison(uint64_t seed)
	: plain_(mount_tmpfs("model")), seed_(seed), random_(seed), at_(u_.mnt + "/"),
	  model_(plain_.path() + "/tree/"), hidden_(plain_.path() + "/hidden/"),
	  layers_({u_.top, u_.low, u_.low2})
{
	make_dir(plain_.path() + "/tree");
	make_dir(plain_.path() + "/hidden");
	layers_.fill(random_, true);
	layers_.merge_into(model_, hidden_);
	low_before_ = snapshot(u_.low);
	low2_before_ = snapshot(u_.low2);
	u_.mount("br=" + u_.top + "=rw:" + u_.low + "=ro:" + u_.low2 + "=ro");
	log("mounted");
}

void Comparison::refresh()
{
	compare_tree();
	known_ = known_in(model_);
}

/*
 * After a failure.
 */

void Comparison::differ(const string &path, const string &what)
{
	wrong_ = true;
	wrong_path_ = path;
	ktap::fail(__FILE__, __LINE__, "the union to be as the model\n  '" + path + "': " + what);
	throw ktap::Abort{};
}

void Comparison::report() const
{
	constexpr size_t limit = 60, last = 12;
	std::vector<string> about;
	/* Looks for the parent too: of `a/b/c`, for b/c by any path. */
	size_t slash = wrong_path_.rfind('/');
	string name = wrong_path_.substr(
		slash == string::npos || !slash ? 0 : wrong_path_.rfind('/', slash - 1) + 1);
	for (size_t i = log_.size(); i-- > 0 && about.size() < limit;)
		if (i + last >= log_.size() || log_[i].find(name) != string::npos)
			about.push_back(std::to_string(i) + ": " + log_[i]);
	ktap::say(ktap::format("AUFS_SEED=%llu AUFS_STEPS=%zu come here",
			       static_cast<unsigned long long>(seed_), steps_));
	ktap::say("the last operations, and those before about the name:");
	for (size_t i = about.size(); i-- > 0;)
		ktap::say("  " + about[i]);

	string place = wrong_path_;
	for (;;) {
		for (const string &root :
		     {u_.top, u_.low, u_.low2, u_.mnt, plain_.path() + "/tree"})
			ktap::say(describe(root + "/" + place));
		if (place.empty())
			break;
		size_t slash = place.rfind('/');
		place.resize(slash == string::npos ? 0 : slash);
	}
}

/*
 * Comparing.
 */

void Comparison::compare_stat(const string &path, const struct stat &is, const struct stat &wanted)
{
	auto same = [&](const char *what, unsigned long long a, unsigned long long b) {
		if (a != b)
			differ(path, ktap::format("%s is %#llo (%llu), not %#llo (%llu)", what, a,
						  a, b, b));
	};
	same("mode", is.st_mode, wanted.st_mode);
	same("owner", is.st_uid, wanted.st_uid);
	same("group", is.st_gid, wanted.st_gid);
	if (!S_ISDIR(wanted.st_mode)) {
		same("size", is.st_size, wanted.st_size);
		same("device", is.st_rdev, wanted.st_rdev);
		/* The lower file does not tell how many of its names were removed before the union forgot its inode. */
		auto gone = gone_.find(wanted.st_ino);
		if (gone == gone_.end() || is.st_nlink < wanted.st_nlink)
			same("number of links", is.st_nlink, wanted.st_nlink);
		else if (is.st_nlink > wanted.st_nlink + gone->second)
			same("number of links", is.st_nlink, wanted.st_nlink + gone->second);
	}
	if (is_old(wanted.st_mtim)) {
		same("mtime", is.st_mtim.tv_sec, wanted.st_mtim.tv_sec);
		same("mtime's nanoseconds", is.st_mtim.tv_nsec, wanted.st_mtim.tv_nsec);
	} else if (is_old(is.st_mtim)) {
		differ(path, "mtime has not changed");
	}

	auto [known, fresh] = numbers_.try_emplace(wanted.st_ino, Pair{is.st_ino, true});
	known->second.seen = true;
	if (!fresh)
		same("inode number", is.st_ino, known->second.number);
}

/* Compares the object, and all that can be read of it. */
void Comparison::compare_object(const string &path)
{
	struct stat is, wanted;
	string here = at_ + path, there = model_ + path;
	int error = lstat(here.c_str(), &is) ? errno : 0;
	int wanted_error = lstat(there.c_str(), &wanted) ? errno : 0;
	if (error != wanted_error)
		differ(path, "lstat says " + ktap::errno_name(error) + ", not " +
				     ktap::errno_name(wanted_error));
	if (error)
		return;
	compare_stat(path, is, wanted);
	if (S_ISREG(wanted.st_mode)) {
		string content = read_file(here), expected = read_file(there);
		if (content != expected) {
			size_t at = std::mismatch(content.begin(), content.end(), expected.begin(),
						  expected.end())
					    .first -
				    content.begin();
			differ(path,
			       ktap::format("content differs from byte %zu on (of %zu and %zu)", at,
					    content.size(), expected.size()));
		}
	} else if (S_ISLNK(wanted.st_mode) && link_target(here) != link_target(there)) {
		differ(path, "the link goes to " + link_target(here));
	}
	string attributes, wanted_attributes;
	for (const auto &[name, value] : xattrs_in(here))
		attributes += name + "=" + ktap::quote(value) + " ";
	for (const auto &[name, value] : xattrs_in(there))
		wanted_attributes += name + "=" + ktap::quote(value) + " ";
	if (attributes != wanted_attributes)
		differ(path, "has " + attributes + "and not " + wanted_attributes);
}

void Comparison::compare_directory(const string &dir, std::map<ino_t, ino_t> &owners)
{
	std::map<string, Entry> here;
	string self = dir.substr(0, dir.empty() ? 0 : dir.size() - 1);
	size_t slash = self.rfind('/');
	string parent = slash == string::npos ? "" : self.substr(0, slash);
	for (const Entry &entry : entries_in(at_ + dir))
		if (!here.try_emplace(entry.name, entry).second)
			differ(dir + entry.name, "readdir gives it twice");
	/* The root's own . is compared too. */
	for (const auto &[name, path] : {std::pair{".", self}, std::pair{"..", parent}}) {
		auto entry = here.find(name);
		if (entry == here.end())
			differ(self, string("readdir gives no ") + name);
		if ((!self.empty() || name == string(".")) &&
		    entry->second.number != stat_of(at_ + path).st_ino)
			differ(self, string("readdir gives another number for ") + name);
		here.erase(entry);
	}
	for (const Entry &wanted : entries_in(model_ + dir)) {
		if (wanted.name == "." || wanted.name == "..")
			continue;
		string path = dir + wanted.name;
		auto entry = here.find(wanted.name);
		if (entry == here.end())
			differ(path, "readdir does not give it");
		compare_object(path);
		ino_t number = lstat_of(at_ + path).st_ino;
		if (entry->second.number != number)
			differ(path,
			       ktap::format("inode %lu, and %lu for readdir", (unsigned long)number,
					    (unsigned long)entry->second.number));
		if (entry->second.type != wanted.type)
			differ(path, ktap::format("readdir says type %u", entry->second.type));
		here.erase(entry);

		ino_t owner = lstat_of(model_ + path).st_ino;
		if (owners.try_emplace(number, owner).first->second != owner)
			differ(path, ktap::format("inode %lu is another file, too",
						  (unsigned long)number));
		if (wanted.type == DT_DIR)
			compare_directory(path + "/", owners);
	}
	for (const auto &[name, entry] : here)
		differ(dir + name, "readdir gives what is not there");
}

void Comparison::compare_tree()
{
	std::map<ino_t, ino_t> owners;
	for (auto &[model, pair] : numbers_)
		pair.seen = false;
	compare_stat("", stat_of(at_), stat_of(model_));
	compare_directory("", owners);
	for (const Opened &o : opened_)
		if (o.fd >= 0)
			compare_stat(o.path, fstat_of(o.fd), fstat_of(o.model));
	/* Numbers of removed objects may be used again. */
	std::erase_if(numbers_, [](const auto &known) { return !known.second.seen; });
}

/* The original reads a rw branch so that a whiteout comes before the name that it hides. */
void Comparison::check_top(const string &dir) const
{
	for (const string &name : names_in(dir)) {
		if (exists(dir + "/.wh." + name))
			ktap::fail(__FILE__, __LINE__, "no whiteout beside " + dir + "/" + name);
		if (S_ISDIR(lstat_of(dir + "/" + name).st_mode) && name.rfind(".wh.", 0) != 0)
			check_top(dir + "/" + name);
	}
}

/*
 * Operations.
 */

/* @path with its symlinks resolved, except the last; empty if that is not possible. */
string Comparison::resolve(const string &path) const
{
	size_t slash = path.rfind('/');
	if (slash == string::npos)
		return path;
	char *real = realpath((model_ + path.substr(0, slash)).c_str(), nullptr);
	if (!real)
		return "";
	string dir = string(real) + "/";
	free(real);
	return dir.substr(model_.size()) + path.substr(slash + 1);
}

bool Comparison::moves_lower_directory(const string &path) const
{
	std::vector<unsigned> parts = layers_.parts(resolve(path));
	struct stat is;
	return !parts.empty() && parts.back() > 0 && lstat((model_ + path).c_str(), &is) == 0 &&
	       S_ISDIR(is.st_mode);
}

/* Errors that the union may return although a plain directory does not. */
bool Comparison::expected_error(const Op &op, int error) const
{
	return error == EXDEV && op.kind == Op::rename &&
	       (moves_lower_directory(op.a) ||
		((op.flags & RENAME_EXCHANGE) && moves_lower_directory(op.b)));
}

/* Whether the object @is of a lower branch has been copied up by another name. */
bool Comparison::copied(const struct stat &is) const
{
	string end = ktap::format(".%lu", (unsigned long)is.st_ino);
	if (!exists(u_.top + "/.wh..wh.plnk"))
		return false;
	for (const string &name : names_in(u_.top + "/.wh..wh.plnk"))
		if (name.size() > end.size() && name.substr(name.size() - end.size()) == end)
			return true;
	return false;
}

/* The number in the model of a file that is to lose a name which only lower branches have. */
ino_t Comparison::name_that_goes(const Op &op) const
{
	bool replaces = op.kind == Op::rename && !(op.flags & RENAME_EXCHANGE);
	if (op.kind != Op::unlink && !replaces)
		return 0;
	string path = resolve(replaces ? op.b : op.a);
	std::vector<unsigned> parts = layers_.parts(path);
	struct stat is, wanted;
	if (parts.empty() || parts[0] == 0 || lstat((model_ + path).c_str(), &wanted))
		return 0;
	if (S_ISDIR(wanted.st_mode) || wanted.st_nlink < 2)
		return 0;
	if (lstat((layers_.root(parts[0]) + "/" + path).c_str(), &is) || copied(is))
		return 0;
	return wanted.st_ino;
}

void Comparison::step()
{
	Op op = random_op(random_, known_);
	log(op.text());
	ino_t loses = name_that_goes(op);
	int error = op.apply(at_);
	log_.back() += " -> " + ktap::errno_name(error);
	(error ? failed_ : worked_)++;
	if (expected_error(op, error))
		return;
	int wanted = op.apply(model_);
	if (error != wanted)
		differ(op.a, op.text() + " gives " + ktap::errno_name(error) + ", not " +
				     ktap::errno_name(wanted));
	if (loses && !error)
		gone_[loses]++;
	if (op.kind == Op::rename && (op.flags & RENAME_EXCHANGE) && !error)
		for (const string &path : {op.a, op.b})
			follow_exchange(at_ + path, model_ + path);
	compare_object(op.a);
	if (op.names_two())
		compare_object(op.b);
}

void Comparison::step_on_opened()
{
	unsigned slot = random_.below(opened);
	Opened &o = opened_[slot];
	if (o.fd < 0) {
		static const int flags[] = {O_RDONLY, O_RDWR, O_RDWR | O_APPEND};
		int flag = random_.pick(flags);
		if (known_.all.empty())
			return;
		o.path = resolve(random_.pick(known_.all));
		struct stat is;
		if (lstat((model_ + o.path).c_str(), &is) || !S_ISREG(is.st_mode))
			return;
		o.fd = open_file(at_ + o.path, flag);
		o.model = open_file(model_ + o.path, flag);
		/* Set after the open, which may have copied the file up. */
		o.current = flag != O_RDONLY;
		log(ktap::format("open %u %s flags=%#o", slot, o.path.c_str(), flag));
		return;
	}

	unsigned what = random_.below(7), offset = random_.below(40000);
	string text = pattern(1 + random_.below(5000), random_.below(100));
	log(ktap::format("opened %u (%s) does %u offset=%u length=%zu", slot, o.path.c_str(), what,
			 offset, text.size()));
	auto both = [&](auto &&call) {
		int a = call(int(o.fd)) < 0 ? errno : 0;
		int b = call(int(o.model)) < 0 ? errno : 0;
		if (a != b)
			differ(o.path, ktap::format("call %u of an open file gives %s, not %s",
						    what, ktap::errno_name(a).c_str(),
						    ktap::errno_name(b).c_str()));
	};
	if (what == 0) {
		o.fd.reset();
		o.model.reset();
		return;
	}
	if (what == 1)
		both([&](int fd) { return pwrite(fd, text.data(), text.size(), offset); });
	else if (what == 2)
		both([&](int fd) { return ftruncate(fd, offset); });
	else if (what == 3)
		both([&](int fd) { return fchmod(fd, 0600 | (offset & 077)); });
	else if (what == 4)
		both([&](int fd) { return fchown(fd, offset % 4, offset % 3); });
	else if (what == 5)
		both([&](int fd) { return fsync(fd); });
	compare_stat(o.path, fstat_of(o.fd), fstat_of(o.model));
	if (o.current && pread_text(o.fd, 5000, offset) != pread_text(o.model, 5000, offset))
		differ(o.path, ktap::format("an open file differs at %u", offset));
}

void Comparison::remount()
{
	for (Opened &o : opened_) {
		o.fd.reset();
		o.model.reset();
	}
	log("remount");
	u_.unmount();
	EXPECT_EQ(exists(u_.top + "/.wh..wh.orph") ? names_in(u_.top + "/.wh..wh.orph").size() : 0,
		  0u);
	u_.mount("br=" + u_.top + "=rw:" + u_.low + "=ro:" + u_.low2 + "=ro");
}

void Comparison::run(unsigned long steps)
{
	steps_ = steps;
	refresh();
	for (unsigned long i = 1; i <= steps && !ktap::shared->failures; i++) {
		if (random_.one_in(6))
			step_on_opened();
		else
			step();
		if (i % 400 == 0) {
			remount();
		} else if (random_.one_in(150)) {
			log("drop caches");
			write_control("/proc/sys/vm/drop_caches", random_.one_in(2) ? "2" : "3");
		}
		if (i % 50 == 0)
			refresh();
	}
}

void Comparison::finish()
{
	refresh();
	remount();
	refresh();
	check_top(u_.top);
	EXPECT_EQ(snapshot(u_.low), low_before_);
	EXPECT_EQ(snapshot(u_.low2), low2_before_);
	EXPECT_HAS_NOT(kernel_.read(), "aufs: branch");
	/* A run in which few operations work compares nothing. */
	EXPECT_GT(worked_ * 10, failed_);
}

} // namespace

CASE(random_operations)
{
	uint64_t seed = chosen_seed();
	/* In time, lower branches matter less. So most rounds are short and begin with new ones, and some are long. */
	for (unsigned long left = chosen_steps(1600), round = 1; left; round++, seed++) {
		unsigned long steps = std::min(left, round % 5 == 0 ? 3000UL : 400UL);
		Comparison comparison(seed);
		comparison.run(steps);
		comparison.finish();
		left -= steps;
		if (ktap::shared->failures)
			break;
	}
}
