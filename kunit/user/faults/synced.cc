// SPDX-License-Identifier: GPL-2.0-only
//
// The power is cut as soon as a call has synced something. One process changes the union, and the filesystem of the rw
// branch writes nothing by itself meanwhile: what is on disk, a call has brought there. What was synced is there,
// whichever call it was.
//
// Combinations: tmpfs

#include "recorded_disk.hh"

#include <functional>

#include <sys/uio.h>

using Names = std::vector<string>;
using Mark = std::function<void(const string &name)>;

/* A union that is unmounted before its branch's filesystem. */
class Shown
{
public:
	Shown(Union &u, const string &branch) : u_(u)
	{
		u_.mount("br=" + branch + "=rw:" + u_.low + "=ro");
	}
	~Shown()
	{
		ktap::guarded([this] { u_.unmount(); });
	}

private:
	Union &u_;
};

/* A filesystem on a disk of its own, for the rw branch. */
class Filesystem
{
public:
	explicit Filesystem(const string &name)
		: name_(name.substr(0, name.find('_'))), fast_(name == "ext4_fast")
	{
		if (!on("tmpfs") || !on("tmpfs", true))
			SKIP("once; the disk is this test's own");
		if (read_file("/proc/filesystems").find("\t" + name_ + "\n") == string::npos)
			SKIP("this kernel has no %s", name_.c_str());
	}
	off_t size() const
	{
		/* Those of other types cannot be smaller. */
		return off_t(name_ == "ext4" ? 48 : 300) << 20;
	}
	void make(const string &device) const
	{
		if (name_ == "ext4")
			return make_ext4(device, fast_ ? std::vector<string>{"-O", "fast_commit"} :
							 std::vector<string>{});
		if (name_ == "xfs")
			return make_xfs(device);
		ASSERT_EQ(run({"/sbin/mkfs." + name_, "-q", "-f", device}).status, 0);
	}
	/* Seconds after which it writes by itself are more than a case takes. */
	Mounted mount(const string &device, const string &path) const
	{
		/* btrfs knows its disks by their ids, and takes no older state of one that it knows. */
		if (name_ == "btrfs")
			ASSERT_EQ(run({"/bin/btrfs", "device", "scan", "--forget"}).status, 0);
		return Mounted(device, path, name_, 0,
			       name_ == "ext4" || name_ == "btrfs" ? "commit=300" : "");
	}

private:
	string name_;
	bool fast_; /* an ext4 that writes only a part of its journal if it can (fast_commit) */
};

/*
 * Prepares the rw branch by @prepare(path), runs @work(mark) on the union, and cuts the power at each mark: what the
 * disk has then is mounted, and @check(mark) looks at the union.
 */
static void cut_at_marks(Union &u, const Filesystem &fs,
			 const std::function<void(const string &branch)> &prepare,
			 const std::function<void(const Mark &)> &work,
			 const std::function<void(const string &name)> &check)
{
	string branch = u.tmp + "/branch";
	make_dir(branch);
	Disk disk(u.tmp + "/disk", fs.size());
	fs.make(disk.name);
	{
		Mounted mounted = fs.mount(disk.name, branch);
		prepare(branch);
	}
	Setting xfs("/proc/sys/fs/xfs/xfssyncd_centisecs", "720000");
	Replay replay(u.tmp + "/disk", u.tmp);
	{
		RecordedDisk recorded(disk, fs.size(), u.tmp + "/log");
		Mounted mounted = fs.mount(recorded.name, branch);
		Shown shown(u, branch);
		work([&](const string &name) { recorded.mark(name); });
	}
	Recording recording(u.tmp + "/log");
	const auto &entries = recording.entries();
	/* The last mark is the recorder's own. */
	for (size_t i = 0; i + 1 < entries.size(); i++) {
		if (entries[i].mark.empty())
			continue;
		ktap::say("cut: " + entries[i].mark);
		CutDisk cut(replay, recording, i);
		Mounted mounted = fs.mount(cut.name, branch);
		Shown shown(u, branch);
		check(entries[i].mark);
		expect_no_debris(branch);
	}
}

/* Writes to the file @path, which a lower branch has, in place, and has that synced by @how. */
static void write_synced(const string &how, const string &path)
{
	if (how == "msync") {
		Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, open_file(path, O_RDWR));
		memcpy(map.at(), "new", 3);
		OK(msync(map.at(), page_size(), MS_SYNC));
		return;
	}
	if (how == "chmod")
		OK(chmod(path.c_str(), 0600));
	Fd file = open_file(path, how == "O_DSYNC" ? O_WRONLY | O_DSYNC : O_WRONLY);
	char text[] = "new";
	iovec data = {text, 3};
	EXPECT_EQ(pwritev2(file, &data, 1, 0, how == "RWF_DSYNC" ? RWF_DSYNC : 0), 3);
	if (how == "fsync")
		OK(fsync(file));
	else if (how == "fdatasync" || how == "chmod")
		OK(fdatasync(file));
}

/*
 * A file keeps its name and its blocks for users while it is copied up. So a sync of data alone is enough for them: on
 * ext4 and f2fs it leaves out the name that the copy has just got.
 */
PARAM_CASE(data, "ext4", "xfs", "f2fs", "btrfs")
{
	Union u;
	Filesystem fs(ktap::param());
	Names ways = {"fsync", "fdatasync", "chmod", "msync", "O_DSYNC", "RWF_DSYNC"};
	string rest = pattern(5 * page_size()).substr(3);
	for (const string &how : ways)
		write_file(u.low + "/" + how, "old" + rest);
	size_t cuts = 0;
	cut_at_marks(
		u, fs, [](const string &) {},
		[&](const Mark &mark) {
			for (const string &how : ways) {
				write_synced(how, u.at(how));
				mark(how);
			}
		},
		[&](const string &how) {
			cuts++;
			EXPECT_EQ(read_file(u.at(how)).substr(0, 3), "new");
			EXPECT(read_file(u.at(how)).substr(3) == rest);
		});
	EXPECT_EQ(cuts, ways.size());
}

/*
 * The data of a copy is synced before the copy has its name. If the power is cut then, the disk mounts and has the old
 * file. An ext4 with fast commits makes one of that sync, unless it is the first sync after a mount or brings an
 * extended attribute to disk: so there are three files, each of which is synced as a whole before the next.
 * power_cut_writes looks at other filesystems at such moments.
 */
CASE(nothing_but_data)
{
	Union u;
	Filesystem fs("ext4_fast");
	Names files = {"first", "second", "third"};
	for (const string &name : files)
		write_file(u.low + "/" + name, pattern(3 * page_size()));
	size_t cuts = 0;
	cut_at_marks(
		u, fs, [](const string &) {},
		[&](const Mark &mark) {
			for (const string &name : files) {
				OK(chmod(u.at(name).c_str(), 0600));
				mark(name);
				OK(fsync(open_file(u.at(name), O_RDONLY)));
				mark(name + "_synced");
			}
		},
		[&](const string &) {
			size_t synced = ++cuts / 2;
			for (size_t i = 0; i < files.size(); i++) {
				EXPECT(read_file(u.at(files[i])) == pattern(3 * page_size()));
				if (i < synced)
					EXPECT_EQ(stat_of(u.at(files[i])).st_mode & 0777, 0600u);
			}
		});
	EXPECT_EQ(cuts, 2 * files.size());
}

/*
 * Changes names that branches below have as well, in the way @how. btrfs knows at once in its log what goes from a
 * directory that was synced.
 */
static void change_names(const string &how, const Union &u)
{
	string file = u.at("from/file"), dir = u.at("from/dir"), hidden = u.at("from/hidden");
	bool syncs_file = how == "moved" || how == "removed" || how == "name_removed";
	if (syncs_file)
		write_synced("fsync", file);
	if (how == "exchanged")
		write_synced("fsync", hidden);
	if (how == "removed" || how == "again")
		OK(unlink(file.c_str()));
	if (how == "directory" || how == "replaced")
		OK(rmdir(dir.c_str()));
	if (!syncs_file)
		OK(fsync(open_file(u.at("from"), O_RDONLY)));

	string other = u.at("to/dir");
	if (how == "moved")
		OK(rename(file.c_str(), u.at("to/file").c_str()));
	else if (how == "name_removed")
		OK(unlink(u.at("from/further").c_str()));
	else if (how == "again")
		write_file(file, "");
	else if (how == "directory")
		make_dir(dir);
	else if (how == "replaced")
		OK(rename(other.c_str(), dir.c_str()));
	else if (how == "exchanged")
		OK(renameat2(AT_FDCWD, hidden.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE));
}

/*
 * The sync of one file brings to disk some changes of names, and not all that came before them. Whatever that leaves,
 * nobody sees what a lower branch has by a name where something newer was synced.
 */
PARAM_CASE(names, "moved", "removed", "name_removed", "again", "directory", "replaced", "exchanged")
{
	Union u;
	Filesystem fs("btrfs");
	/* No directory is made with it: a mode that is set afterwards may not be on disk yet. */
	constexpr mode_t old_mode = 0711;
	make_dirs(u.low + "/from/hidden");
	make_dir(u.low + "/from/dir", old_mode);
	write_file(u.low + "/from/file", "old");
	if (ktap::param() == "name_removed")
		OK(link((u.low + "/from/file").c_str(), (u.low + "/from/further").c_str()));
	write_file(u.low + "/from/hidden/file", "old");
	bool looked = false;
	cut_at_marks(
		u, fs,
		[](const string &branch) {
			make_dir(branch + "/from");
			make_dirs(branch + "/to/dir");
			write_file(branch + "/from/hidden", "old");
			write_file(branch + "/another", "old");
		},
		[&](const Mark &mark) {
			change_names(ktap::param(), u);
			/* Brings to disk what is in the log by now. */
			write_synced("fsync", u.at("another"));
			mark(ktap::param());
		},
		[&](const string &) {
			looked = true;
			EXPECT_EQ(read_file(u.at("another")), "new");
			EXPECT(!exists(u.at("from/hidden/file")));
			if (ktap::param() == "directory" || ktap::param() == "replaced") {
				if (exists(u.at("from/dir")))
					EXPECT_NE(stat_of(u.at("from/dir")).st_mode & 07777,
						  old_mode);
			} else if (ktap::param() != "exchanged") {
				for (const char *name : {"from/file", "from/further"}) {
					if (exists(u.at(name)))
						EXPECT_NE(read_file(u.at(name)), "old");
				}
			}
		});
	EXPECT(looked);
}
