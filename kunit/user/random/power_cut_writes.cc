// SPDX-License-Identifier: GPL-2.0-only
//
// The power is cut at each write. The disk of the rw branch records a run of random operations: copy-ups, renames over
// whiteouts, branches that come and go, and a sync now and then. Then the disk is taken as it was at each flush, and at
// some writes in between. The branch mounts, its journal is replayed, and the union shows, name by name, the state
// after one of the operations: none before the last that was synced, and none after the last that had begun. So each
// file is old or new, and nothing of a lower branch is lost or comes back. fsck finds no fault. AUFS_SEED chooses other
// operations, AUFS_STEPS how many moments.

#include "history.hh"
#include "layers.hh"
#include "modules.hh"
#include "recorded_disk.hh"

#include <set>

#include <sys/xattr.h>

namespace
{

/* Removes ACLs and setuid bits: a filesystem changes them in two steps, with the mode or the owner. */
void make_simple(const string &root)
{
	for (const string &name : known_in(root + "/").all) {
		string path = root + "/" + name;
		for (const char *acl : {"system.posix_acl_access", "system.posix_acl_default"})
			(void)!lremovexattr(path.c_str(), acl);
		mode_t mode = lstat_of(path).st_mode;
		if (!S_ISLNK(mode))
			OK(chmod(path.c_str(), mode & 01777));
	}
}

/* A union that is unmounted before its branch's filesystem. */
class Shown
{
public:
	Shown(Union &u, const string &options) : u_(u)
	{
		u_.mount(options);
	}
	~Shown()
	{
		ktap::guarded([this] { u_.unmount(); });
	}

private:
	Union &u_;
};

/* The paths of the branches. One ro branch comes and goes; it alone has the directory "module". */
struct Places {
	explicit Places(const Union &u)
		: branch(u.tmp + "/branch"), rw(branch + "/rw"), module(u.tmp + "/module"),
		  model(u.tmp + "/model/"),
		  options("br=" + rw + "=rw:" + u.low + "=ro:" + u.low2 + "=ro:" + module + "=ro"),
		  lower{u.low, u.low2, module}
	{
	}
	string branch, rw, module, model, options;
	std::vector<string> lower;
};

bool is_in_module(const string &path)
{
	return (path + "/").starts_with("module/");
}

/* Operations on the union. If one works there, it is made on the model too, which is a plain directory. */
class Run
{
public:
	Run(const Union &u, const Places &places, RecordedDisk &disk, History &history,
	    Random &random, bool xfs)
		: u_(u), mnt_(u.mnt + "/"), places_(places), disk_(disk), history_(history),
		  random_(random), xfs_(xfs)
	{
	}
	void step();
	void finish();
	/* Compares the trees by their texts. */
	void compare() const
	{
		EXPECT_EQ(look(mnt_).text, history_.tree().text);
	}
	unsigned operations() const
	{
		return op_;
	}

private:
	void begin()
	{
		disk_.mark("b" + std::to_string(++op_));
	}
	void synced(unsigned note)
	{
		disk_.mark("s" + std::to_string(note));
	}
	bool suits(const Op &op) const;
	string some_file();
	void change_names();
	void note_steps(const Op &op);
	void sync_after(const Op &op, bool changed);
	void sync(const string &path, bool names);
	void sync_all();
	void write_block();
	void write_anew();
	void change_branches();

	const Union &u_;
	string mnt_;
	const Places &places_;
	RecordedDisk &disk_;
	History &history_;
	Random &random_;
	bool xfs_, attached_ = true;
	unsigned op_ = 0, worked_ = 0, failed_ = 0, changes_ = 0;
};

/* Writes are made by write_block() and write_anew(): the data of other writes has no known moment. */
bool Run::suits(const Op &op) const
{
	if (op.kind == Op::write || op.kind == Op::map_write || op.kind == Op::tmpfile)
		return false;
	return attached_ || (!is_in_module(op.a) && !is_in_module(op.b));
}

/* Some operations are one step for users and two on the branch. The state in between may be seen. */
void Run::note_steps(const Op &op)
{
	string a = places_.model + op.a, b = places_.model + op.b;
	struct stat from, to;
	/* A directory that is replaced goes first, as it may have whiteouts. */
	if (op.kind == Op::rename && !(op.flags & RENAME_EXCHANGE) && !lstat(a.c_str(), &from) &&
	    !lstat(b.c_str(), &to) && S_ISDIR(to.st_mode) && from.st_ino != to.st_ino) {
		OK(rmdir(b.c_str()));
		history_.note(op_, "");
	}
	/* XFS removes an attribute to set it, if it has to make room. */
	if (xfs_ && op.kind == Op::setxattr &&
	    !lremovexattr(a.c_str(), xattr_names[op.seed % std::size(xattr_names)]))
		history_.note(op_, "");
}

void Run::change_names()
{
	Op op;
	do
		op = random_op(random_, history_.tree().known);
	while (!suits(op));
	/* Modes as make_simple() leaves them, and no ACLs. */
	if (op.kind == Op::create || op.kind == Op::mkdir || op.kind == Op::mknod ||
	    op.kind == Op::chmod)
		op.flags &= 01777;
	if (op.kind == Op::setxattr || op.kind == Op::removexattr)
		op.seed = op.seed / std::size(xattr_names) * std::size(xattr_names) + op.seed % 3;

	begin();
	int error = op.apply(mnt_);
	(error ? failed_ : worked_)++;
	if (error == EIO || error == ESTALE || error == EUCLEAN)
		ktap::fail(__FILE__, __LINE__,
			   "no such error\n  " + op.text() + ": " + ktap::errno_name(error));
	if (error)
		return;
	string before = history_.tree().text;
	note_steps(op);
	ASSERT_EQ(ktap::errno_name(op.apply(places_.model)), ktap::errno_name(0));
	history_.note(op_, op.kind == Op::truncate || op.kind == Op::ftruncate ? op.a : "");
	if (random_.one_in(3))
		sync_after(op, history_.tree().text != before);
}

/* What fsync(2) promises: for a file all its changes, for a directory its names. */
void Run::sync_after(const Op &op, bool changed)
{
	static constexpr Op::Kind names[] = {Op::mkdir,	 Op::mknod, Op::symlink, Op::link,
					     Op::unlink, Op::rmdir, Op::rename};
	string path = op.names_two() ? op.b : op.a;
	if (std::count(std::begin(names), std::end(names), op.kind)) {
		size_t slash = path.rfind('/');
		sync(slash == string::npos ? "" : path.substr(0, slash), changed);
		return;
	}
	bool follows = op.kind == Op::create || op.kind == Op::chmod || op.kind == Op::truncate ||
		       op.kind == Op::ftruncate;
	string at = places_.model + path;
	mode_t mode = (follows ? stat_of(at) : lstat_of(at)).st_mode;
	if (S_ISREG(mode) || S_ISDIR(mode))
		sync(path, changed);
}

void Run::sync(const string &path, bool names)
{
	OK(fsync(open_file(mnt_ + path, O_RDONLY)));
	struct stat is = stat_of(places_.model + path);
	synced(history_.note_synced(op_, names, S_ISREG(is.st_mode) ? is.st_ino : 0));
}

void Run::sync_all()
{
	OK(syncfs(open_file(mnt_, O_RDONLY)));
	/* XFS makes the disk write its cache only if its log has something new. */
	synced(xfs_ ? history_.note_synced(op_, true, 0) : history_.note_all_synced(op_));
}

/* The name of a file with data, or "". */
string Run::some_file()
{
	std::vector<string> names;
	for (const auto &[name, number] : history_.tree().files)
		if ((attached_ || !is_in_module(name)) && stat_of(places_.model + name).st_size)
			names.push_back(name);
	return names.empty() ? "" : random_.pick(names);
}

void Run::write_block()
{
	constexpr off_t block = 4096;
	string name = some_file(), before = history_.tree().text;
	if (name.empty())
		return;
	begin();
	Fd fd = open_file(mnt_ + name, O_WRONLY), model = open_file(places_.model + name, O_WRONLY);
	off_t size = fstat_of(model).st_size, at = random_.below(size);
	off_t length = std::min({off_t(1 + random_.below(block)), block - at % block, size - at});
	string text = pattern(length, random_.below(1000));
	ASSERT_EQ(pwrite(fd, text.data(), length, at), length);
	ASSERT_EQ(pwrite(model, text.data(), length, at), length);
	history_.note(op_, name);
	if (random_.one_in(3))
		sync(name, history_.tree().text != before);
}

/* Gives a file another size and another content, and syncs all of it. */
void Run::write_anew()
{
	string name = some_file(), before = history_.tree().text;
	if (name.empty())
		return;
	begin();
	string text = pattern(1 + random_.below(30000), random_.below(1000));
	for (const string &root : {mnt_, places_.model}) {
		Fd fd = open_file(root + name, O_RDWR);
		OK(ftruncate(fd, text.size()));
		if (root == places_.model)
			history_.note(op_, name);
		ASSERT_EQ(pwrite(fd, text.data(), text.size(), 0), ssize_t(text.size()));
	}
	history_.note(op_, name);
	sync(name, history_.tree().text != before);
}

void Run::change_branches()
{
	int error = remount(u_, (attached_ ? "del:" : "add:3:") + places_.module);
	/* A task may use the module for a moment. */
	if (attached_ && error == EBUSY)
		return;
	ASSERT_EQ(ktap::errno_name(error), ktap::errno_name(0));
	attached_ = !attached_;
	changes_++;
}

void Run::step()
{
	switch (random_.below(16)) {
	case 0:
		return change_branches();
	case 1:
		return sync_all();
	case 2:
	case 3:
		return write_block();
	case 4:
		return write_anew();
	default:
		return change_names();
	}
}

void Run::finish()
{
	if (!attached_)
		change_branches();
	compare();
	/* A run in which few operations work shows nothing. */
	EXPECT_GT(worked_ * 10, failed_);
	ktap::say(ktap::format("%u operations worked, %u did not, the branches changed %u times",
			       worked_, failed_, changes_));
}

/* Makes the first content of the branches, and the model of it. */
void fill(const Places &places, Random &random)
{
	Layers low({places.rw, places.lower[0], places.lower[1]});
	low.fill(random, true);
	make_dir(places.module + "/module");
	make_dir(places.module + "/module/dir0");
	for (const char *name : {"a", "b", "c", "dir0/a", "dir0/b"})
		write_file(places.module + "/module/" + name,
			   pattern(random.below(largest), random.below(99)));
	make_simple(places.rw);
	for (const string &root : places.lower)
		make_simple(root);
	string hidden = places.model + "../hidden/";
	make_dir(hidden);
	Layers({places.rw, places.lower[0], places.lower[1], places.module})
		.merge_into(places.model, hidden);
}

/* Chooses @most of @all, one of each stretch. */
std::vector<size_t> some_of(const std::vector<size_t> &all, size_t most, Random &random)
{
	std::vector<size_t> some;
	if (most >= all.size())
		return all;
	for (size_t i = 0; i < most; i++) {
		size_t from = i * all.size() / most, to = (i + 1) * all.size() / most;
		some.push_back(all[from + random.below(to - from)]);
	}
	return some;
}

/* Numbers of entries before the cut: each flush, if @most is enough, some writes, and all. */
struct Moments {
	Moments(const Recording &recording, size_t most, Random &random)
	{
		std::vector<size_t> flushes, writes;
		const auto &entries = recording.entries();
		for (size_t i = 0; i < entries.size(); i++)
			if (entries[i].flush || entries[i].lasting)
				flushes.push_back(i + 1);
			else if (entries[i].size)
				writes.push_back(i + 1);
		most = std::min(most, flushes.size() + writes.size() / 4);
		size_t few = std::min(most / 2, writes.size() / 4);
		for (size_t count : some_of(flushes, most - few, random))
			at[count] = false;
		for (size_t count : some_of(writes, most - at.size(), random))
			at[count] = random.one_in(2);
		at[entries.size()] = false;
		ktap::say(ktap::format("%zu flushes and %zu other writes, cut at %zu",
				       flushes.size(), writes.size(), at.size()));
	}
	/* The value says whether the disk loses some of its cache. */
	std::map<size_t, bool> at;
};

/* The union can still be used. */
void go_on(const Union &u, const Places &places)
{
	for (const string &name : names_in(u.mnt))
		remove_tree(u.at(name));
	EXPECT_EQ(names_in(u.mnt), Names{});
	make_dir(u.at("dir0"));
	write_file(u.at("dir0/a"), "anew");
	OK(rename(u.at("dir0/a").c_str(), u.at("a").c_str()));
	EXPECT_EQ(read_file(u.at("a")), "anew");
	expect_no_debris(places.rw);
}

/* The branch's filesystem, while it is recorded and afterwards. */
struct Filesystem {
	string type, options;

	explicit Filesystem(const string &name)
		: type(name.substr(0, name.find('_'))),
		  options(type == "xfs" ? "" :
			  name == type	? "commit=1" :
					  "commit=1,data=" + name.substr(type.size() + 1))
	{
	}
	off_t size() const
	{
		/* mkfs.xfs makes none that is smaller. */
		return type == "xfs" ? 300 << 20 : 48 << 20;
	}
	void make(const string &device) const
	{
		/* With blocks of a page, a block is written at once. No initialisation is left for later. */
		if (type == "xfs")
			make_xfs(device);
		else
			make_ext4(device,
				  {"-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"});
	}
	void check(const string &device) const
	{
		Output output = type == "xfs" ? run({"/sbin/xfs_repair", "-n", device}) :
						run({"/sbin/e2fsck", "-f", "-n", device});
		if (output.status)
			ktap::fail(__FILE__, __LINE__, type + " to be in order: " + output.text);
	}
};

/* One run, and at most @most of its moments. Returns how many those were. */
size_t cut_one_run(const Filesystem &fs, uint64_t seed, size_t most)
{
	Union u;
	Places places(u);
	Random random(seed);
	Disk disk(u.tmp + "/disk", fs.size());
	for (const string &dir : {places.branch, places.module, u.tmp + "/model"})
		make_dir(dir);
	fs.make(disk.name);
	{
		Mounted mounted(disk.name, places.branch, fs.type, 0, fs.options);
		make_dir(places.rw);
		fill(places, random);
	}
	std::vector<string> low;
	for (const string &root : places.lower)
		low.push_back(snapshot(root));
	KernelLog log;
	Replay replay(u.tmp + "/disk", u.tmp);
	History history(places.model, fs.options.ends_with("writeback"));

	unsigned operations = std::min<size_t>(120, 40 + most);
	{
		RecordedDisk recorded(disk, fs.size(), u.tmp + "/log");
		/* Data that nobody syncs has to be written too, in the middle of the run. */
		Setting often("/proc/sys/vm/dirty_writeback_centisecs", "5"),
			soon("/proc/sys/vm/dirty_expire_centisecs", "10"),
			xfs("/proc/sys/fs/xfs/xfssyncd_centisecs", "100");
		Run run(u, places, recorded, history, random, fs.type == "xfs");
		{
			Mounted mounted(recorded.name, places.branch, fs.type, 0, fs.options);
			Shown shown(u, places.options);
			run.compare();
			for (unsigned i = 0; i < operations && !ktap::shared->failures; i++)
				run.step();
			run.finish();
		}
		recorded.mark("s" + std::to_string(history.note_all_synced(run.operations())));
	}

	Recording recording(u.tmp + "/log");
	Moments moments(recording, most, random);
	std::set<size_t> found;
	unsigned begun = 0, synced = 0;
	size_t looked = 0, passed = 0;
	for (const auto &[count, loses] : moments.at) {
		for (; passed < count; passed++) {
			const string &mark = recording.entries()[passed].mark;
			if (mark[0] == 'b')
				begun = std::stoul(mark.substr(1));
			else if (mark[0] == 's')
				synced = std::stoul(mark.substr(1));
		}
		bool thorough = looked++ % 8 == 4;
		CutDisk cut(replay, recording, count, loses ? &random : nullptr);
		{
			Mounted mounted(cut.name, places.branch, fs.type, 0, fs.options);
			Shown shown(u, places.options);
			expect_no_debris(places.rw);
			found.insert(history.find(
				u.mnt + "/", begun, synced,
				ktap::format("seed %llu, after entry %zu of %zu%s, where operation "
					     "%u had begun and %u were synced",
					     static_cast<unsigned long long>(seed), count,
					     recording.entries().size(),
					     loses ? ", with less of its cache" : "", begun,
					     synced)));
			if (thorough)
				go_on(u, places);
		}
		/* fsck is one more process for each moment: `make test` runs it only where the union was used. */
		if (thorough || !getenv("AUFS_QUICK"))
			fs.check(cut.name);
		string said = log.read();
		EXPECT_HAS_NOT(said, "EXT4-fs error");
		EXPECT_HAS_NOT(said, "aufs: branch");
		if (ktap::shared->failures)
			break;
	}
	for (size_t i = 0; i < low.size(); i++)
		EXPECT_EQ(snapshot(places.lower[i]), low[i]);
	ktap::say(ktap::format("%zu moments show %zu of %zu states", looked, found.size(),
			       history.states()));
	if (looked >= 8)
		EXPECT_GT(found.size(), 2u);
	return looked;
}

} // namespace

PARAM_CASE(each_write, "ext4", "ext4_writeback", "ext4_journal", "xfs")
{
	if (!on("tmpfs") || !on("tmpfs", true))
		SKIP("once; the disk is this test's own");
	Filesystem fs(ktap::param());
	uint64_t seed = chosen_seed();
	for (size_t left = chosen_steps(16); left && !ktap::shared->failures; seed++)
		left -= std::min(left, cut_one_run(fs, seed, left));
}
