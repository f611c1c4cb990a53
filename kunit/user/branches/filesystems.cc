// SPDX-License-Identifier: GPL-2.0-only
//
// The module relies on two properties of the filesystems of branches: readdir gives the number that stat gives, and a
// directory's change time tells that a name came or went. Both are tested on each filesystem that the kernel has. The
// union's numbers agree in either case.
//
// Combinations: tmpfs

#include "disk.hh"
#include "passthrough.hh"

#include <map>
#include <memory>

#include <dirent.h>

struct Filesystem {
	const char *name;
	const char *type;
	/* The command that makes it, on a device of its own or from a directory. */
	std::vector<string> make;
	bool from_directory;
	/* The value that module/branch/branch.cc has for it. */
	bool lists_numbers;
};

static const std::vector<Filesystem> filesystems = {
	{"btrfs", "btrfs", {"/sbin/mkfs.btrfs", "-q", "-f", "DEVICE"}, false, false},
	{"erofs", "erofs", {"/usr/bin/mkfs.erofs", "IMAGE", "SOURCE"}, true, true},
	{"ext2", "ext2", {"/sbin/mkfs.ext2", "-q", "-F", "DEVICE"}, false, true},
	{"ext3", "ext3", {"/sbin/mkfs.ext3", "-q", "-F", "DEVICE"}, false, true},
	{"ext4", "ext4", {"/sbin/mkfs.ext4", "-q", "-F", "DEVICE"}, false, true},
	{"f2fs", "f2fs", {"/sbin/mkfs.f2fs", "-q", "-f", "DEVICE"}, false, true},
	/* A process serves the directory. */
	{"fuse", "fuse", {}, true, false},
	{"iso9660",
	 "iso9660",
	 {"/usr/bin/genisoimage", "-quiet", "-R", "-o", "IMAGE", "SOURCE"},
	 true,
	 false},
	{"iso9660_plain",
	 "iso9660",
	 {"/usr/bin/genisoimage", "-quiet", "-o", "IMAGE", "SOURCE"},
	 true,
	 false},
	{"ramfs", "ramfs", {}, false, true},
	{"squashfs",
	 "squashfs",
	 {"/usr/bin/mksquashfs", "SOURCE", "IMAGE", "-quiet", "-noappend", "-no-progress"},
	 true,
	 true},
	{"tmpfs", "tmpfs", {}, false, true},
	{"udf", "udf", {"/usr/sbin/mkudffs", "--utf8", "DEVICE"}, false, true},
	{"xfs", "xfs", {"/sbin/mkfs.xfs", "-q", "-f", "DEVICE"}, false, true},
};

static void must_run(std::vector<string> command, const string &device, const string &image,
		     const string &source)
{
	for (string &word : command)
		word = word == "DEVICE" ? device :
		       word == "IMAGE"	? image :
		       word == "SOURCE" ? source :
					  word;
	Output out = run(command);
	if (out.status != 0)
		ktap::say(out.text);
	ASSERT_EQ(out.status, 0);
}

static void fill(const string &dir)
{
	for (const char *sub : {"", "/sub", "/sub/deeper"}) {
		if (*sub)
			make_dir(dir + sub);
		for (int i = 0; i < 12; i++)
			write_file(ktap::format("%s%s/file%d", dir.c_str(), sub, i), "some text");
	}
	make_dir(dir + "/empty");
}

/* A filesystem of @kind with some files, mounted in @u. */
class Mounting
{
public:
	Mounting(const Union &u, const Filesystem &kind) : path(u.tmp + "/branch")
	{
		string image = u.tmp + "/image", source = u.tmp + "/source";
		if (kind.from_directory) {
			make_dir(source);
			fill(source);
		}
		if (string(kind.type) == "fuse") {
			server_ = std::make_unique<Passthrough>(path, source, 1);
			return;
		}
		if (read_file("/proc/filesystems").find(string("\t") + kind.type + "\n") ==
		    string::npos)
			SKIP("this kernel has no %s", kind.type);
		make_dir(path);
		if (kind.from_directory) {
			must_run(kind.make, "", image, source);
			Output out =
				run({"/bin/mount", "-o", "ro,loop", "-t", kind.type, image, path});
			if (out.status != 0)
				ktap::say(out.text);
			ASSERT_EQ(out.status, 0);
			mounted_ = Mounted::adopt(path);
			return;
		}
		string device = "none";
		if (!kind.make.empty()) {
			/* Some filesystems need as much. */
			disk_ = std::make_unique<Disk>(image, off_t(320) << 20);
			device = disk_->name;
			must_run(kind.make, device, "", "");
		}
		mounted_ = Mounted(device, path, kind.type, 0, "");
		fill(path);
	}
	const string path;

private:
	std::unique_ptr<Disk> disk_;
	Mounted mounted_;
	std::unique_ptr<Passthrough> server_;
};

static const Filesystem &kind_of(const string &name)
{
	for (const Filesystem &kind : filesystems)
		if (kind.name == name)
			return kind;
	throw ktap::Abort{};
}

/* Calls @visit(path, number that readdir gives) for all objects below @dir. */
template <typename Visit> static void walk(const string &dir, Visit visit)
{
	DIR *stream = OK(opendir(dir.c_str()));
	while (dirent *entry = readdir(stream)) {
		string name = entry->d_name;
		if (name == "." || name == "..")
			continue;
		visit(dir + "/" + name, entry->d_ino);
		if (S_ISDIR(lstat_of(dir + "/" + name).st_mode))
			walk(dir + "/" + name, visit);
	}
	closedir(stream);
}

static unsigned wrong_numbers(const string &dir)
{
	unsigned wrong = 0;
	walk(dir,
	     [&](const string &path, ino_t number) { wrong += number != lstat_of(path).st_ino; });
	return wrong;
}

#define FILESYSTEMS                                                                                \
	"btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "iso9660", "iso9660_plain", "ramfs",     \
		"squashfs", "tmpfs", "udf", "xfs"

PARAM_CASE(numbers, FILESYSTEMS)
{
	Union u;
	const Filesystem &kind = kind_of(ktap::param());
	Mounting branch(u, kind);
	unsigned wrong = wrong_numbers(branch.path);
	ktap::say(ktap::format("%u entries of the branch have another number than their inodes",
			       wrong));
	if (kind.lists_numbers)
		EXPECT_EQ(wrong, 0u);
	make_dir(u.top + "/sub");
	write_file(u.top + "/sub/mine", "");
	for (const string &options :
	     {"br=" + branch.path + "=ro", "br=" + u.top + "=rw:" + branch.path + "=ro"}) {
		u.mount(options);
		EXPECT_EQ(wrong_numbers(u.mnt), 0u);
		std::map<ino_t, string> seen;
		walk(u.mnt, [&](const string &path, ino_t number) {
			auto [other, fresh] = seen.insert({number, path});
			if (!fresh)
				EXPECT_EQ(path, "not with the number of " + other->second);
		});
		EXPECT_GE(seen.size(), 39u);
		u.unmount();
	}
}

/* A directory gets another change time as soon as a name has come or gone. */
PARAM_CASE(change_times, FILESYSTEMS)
{
	Union u;
	const Filesystem &kind = kind_of(ktap::param());
	if (kind.from_directory)
		SKIP("nothing changes there");
	Mounting branch(u, kind);
	string dir = branch.path + "/sub", file = dir + "/new";
	/* Some filesystems count in seconds. */
	bool seconds = true;
	walk(branch.path, [&](const string &path, ino_t) {
		seconds = seconds && lstat_of(path).st_ctim.tv_nsec == 0;
	});
	auto changes = [&](const char *what, auto change) {
		timespec before = stat_of(dir).st_ctim, began, now;
		/* The clock of the kernel's change times. It stands still while its processor gets no time. */
		OK(clock_gettime(CLOCK_REALTIME_COARSE, &began));
		do {
			usleep(1000);
			OK(clock_gettime(CLOCK_REALTIME_COARSE, &now));
		} while (now.tv_sec == began.tv_sec && (seconds || now.tv_nsec == began.tv_nsec));
		change();
		timespec after = stat_of(dir).st_ctim;
		ktap::say(what);
		EXPECT(before.tv_sec != after.tv_sec || before.tv_nsec != after.tv_nsec);
	};
	changes("create", [&] { write_file(file, ""); });
	changes("link", [&] { OK(link(file.c_str(), (dir + "/other").c_str())); });
	changes("rename", [&] { OK(rename(file.c_str(), (dir + "/moved").c_str())); });
	changes("unlink", [&] { OK(unlink((dir + "/moved").c_str())); });
	changes("mkdir", [&] { make_dir(dir + "/d"); });
	changes("rmdir", [&] { OK(rmdir((dir + "/d").c_str())); });
	changes("rename away",
		[&] { OK(rename((dir + "/other").c_str(), (branch.path + "/other").c_str())); });
	changes("rename here",
		[&] { OK(rename((branch.path + "/other").c_str(), (dir + "/other").c_str())); });
}

/* A filesystem that compares names without case is refused, and the message says why. */
PARAM_CASE(names_without_case, "vfat", "joliet")
{
	Union u;
	bool vfat = ktap::param() == "vfat";
	Filesystem kind = {"",
			   "iso9660",
			   {"/usr/bin/genisoimage", "-quiet", "-J", "-o", "IMAGE", "SOURCE"},
			   true,
			   false};
	if (vfat)
		kind = {"", "vfat", {"/sbin/mkfs.vfat", "DEVICE"}, false, false};
	Mounting branch(u, kind);
	KernelLog log;
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + "=rw:" + branch.path + "=ro"), EINVAL);
	EXPECT_HAS(log.read(), "'" + branch.path +
				       "' cannot be a branch: names are compared without case on " +
				       kind.type);
}

/* A branch comes to a union in use, is used, and goes. Its filesystem can be unmounted at once then. */
PARAM_CASE(as_a_module, FILESYSTEMS, "fuse")
{
	Union u;
	make_dir(u.low + "/sub");
	write_file(u.low + "/sub/file3", "the next version");
	u.mount("br=" + u.top + "=rw");
	auto remount = [&u](const string &options) {
		int error = mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str());
		return error ? ktap::errno_name(errno) : "done";
	};
	{
		Mounting branch(u, kind_of(ktap::param()));
		OK(mkdir(u.at("sub").c_str(), 0755));
		Fd dir = open_file(u.at("sub"), O_RDONLY | O_DIRECTORY);
		string inside = "/proc/self/fd/" + std::to_string(dir);
		EXPECT(!exists(u.at("sub/file3")));
		EXPECT_EQ(remount("append:" + branch.path + "=ro"), "done");
		EXPECT_EQ(read_file(u.at("sub/file3")), "some text");
		EXPECT_EQ(names_in(inside).size(), 13u);
		EXPECT_EQ(wrong_numbers(u.mnt), 0u);
		{
			Map map(page_size(), PROT_READ, MAP_SHARED,
				open_file(u.at("sub/file3"), O_RDONLY));
			EXPECT_EQ(map.text(9), "some text");
			EXPECT_EQ(remount("del:" + branch.path), "EBUSY");
			EXPECT_EQ(map.text(9), "some text");
		}
		/* It is used in another way, its next version comes, and it comes back. */
		EXPECT_EQ(remount("mod:" + branch.path + "=rr"), "done");
		EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + branch.path + "=rr");
		EXPECT_EQ(remount("replace:" + branch.path + "=" + u.low), "done");
		EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.low + "=rr");
		EXPECT_EQ(read_file(u.at("sub/file3")), "the next version");
		EXPECT_EQ(names_in(inside), std::vector<string>{"file3"});
		EXPECT_EQ(remount("replace:" + u.low + "=" + branch.path), "done");
		for (const char *udba : {"udba=reval", "udba=none"}) {
			EXPECT_EQ(remount(udba), "done");
			EXPECT_EQ(read_file(u.at("sub/file3")), "some text");
			EXPECT_EQ(names_in(inside).size(), 13u);
		}
		EXPECT_EQ(remount("del:" + branch.path), "done");
		EXPECT_EQ(names_in(inside).size(), 0u);
		EXPECT(!exists(u.at("sub/file3")));
		/* The branch comes once more. Changes that users make then stay in the union. */
		EXPECT_EQ(remount("add:1:" + branch.path + "=ro"), "done");
		write_file(u.at("sub/file3"), "written");
		OK(unlink(u.at("sub/file4").c_str()));
		EXPECT_EQ(remount("detach:" + branch.path), "done");
		EXPECT_EQ(names_in(inside), std::vector<string>{"file3"});
	}
	EXPECT_EQ(read_file(u.at("sub/file3")), "written");
}
