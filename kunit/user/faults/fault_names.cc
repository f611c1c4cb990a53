// SPDX-License-Identifier: GPL-2.0-only
//
// A branch changes behind the union's back: names vanish or are replaced, and reserved names are of the wrong kind. It
// is not defined what the union shows then, but each call has an answer or an errno. Nothing else is lost, and the
// union can still be used.

#include "fixture.hh"

#include <dirent.h>
#include <sys/xattr.h>

using Names = std::vector<string>;

/* Makes every call on @path, a file or a directory, and in its directory; with @write also those that change it. */
static void use(const string &path, bool write)
{
	struct stat st;
	char buffer[64];
	(void)!lstat(path.c_str(), &st);
	(void)!readlink(path.c_str(), buffer, sizeof(buffer));
	(void)!getxattr(path.c_str(), "trusted.mine", buffer, sizeof(buffer));
	{
		Fd file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
		if (file >= 0) {
			(void)!read(file, buffer, sizeof(buffer));
			fsync(file);
		}
		if (file >= 0 && S_ISDIR(fstat_of(file).st_mode)) {
			char entries[4096];
			while (syscall(SYS_getdents64, int(file), entries, sizeof(entries)) > 0)
				;
		}
	}
	if (!write)
		return;
	Fd file(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
	if (file >= 0)
		(void)!pwrite(file, "x", 1, 0);
	(void)!truncate(path.c_str(), 10);
	(void)!chmod(path.c_str(), 0700);
	(void)!setxattr(path.c_str(), "trusted.mine", "x", 1, 0);
	Fd inner(open((path + "/inner").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	(void)!link(path.c_str(), (path + ".link").c_str());
	(void)!unlink((path + ".link").c_str());
	(void)!rename(path.c_str(), (path + ".renamed").c_str());
	(void)!rename((path + ".renamed").c_str(), path.c_str());
	(void)!unlink((path + "/inner").c_str());
	(void)!unlink(path.c_str());
	(void)!rmdir(path.c_str());
	(void)!mknod(path.c_str(), S_IFREG | 0644, 0);
}

static void make_all(const string &branch, const string &content)
{
	make_dirs(branch + "/dir/sub");
	write_file(branch + "/dir/file", content);
	write_file(branch + "/dir/sub/deep", content);
	write_file(branch + "/other-" + content, "other");
}

/* Removes the branch's object @path, or puts another in its place, by @how. */
static void replace(const string &path, const string &how)
{
	if (how == "moved") {
		OK(rename(path.c_str(), (path + ".away").c_str()));
		return;
	}
	remove_tree(path);
	if (how == "file")
		write_file(path, "another");
	else if (how == "directory")
		make_dirs(path + "/another");
	else if (how == "symlink")
		OK(symlink("target", path.c_str()));
	else if (how == "fifo")
		OK(mkfifo(path.c_str(), 0644));
	else if (how == "whiteout") {
		size_t slash = path.rfind('/') + 1;
		write_file(path.substr(0, slash) + ".wh." + path.substr(slash), "");
	}
}

static void expect_usable(Union &u)
{
	EXPECT_EQ(read_file(u.at("other-low")), "other");
	EXPECT_EQ(read_file(u.at("other-top")), "other");
	write_file(u.at("new"), "new");
	EXPECT_EQ(read_file(u.top + "/new"), "new");
	OK(unlink(u.at("other-low").c_str()));
	EXPECT(!exists(u.at("other-low")));
	OK(rename(u.at("new").c_str(), u.at("newer").c_str()));
	EXPECT_EQ(read_file(u.at("newer")), "new");
}

/* A name is replaced while it is in use: open, mapped and as an open directory. */
static void replaced_behind(bool top)
{
	if (on("xfs") || on("xfs", true) || on("tmpfs") != on("tmpfs", true))
		SKIP("as on tmpfs and ext4");
	for (const char *name : {"dir/file", "dir/sub", "dir"}) {
		for (bool write : {false, true}) {
			if (!write && !on("tmpfs"))
				continue;
			Union u;
			make_all(u.low, "low");
			write_file(u.top + "/other-top", "other");
			if (top)
				make_all(u.top, "top");
			u.mount();
			Fd file = open_file(u.at("dir/file"), O_RDONLY);
			Fd dir = open_file(u.at(name), O_RDONLY);
			Map map(1, PROT_READ, MAP_PRIVATE, file);
			Fd writer;
			if (top)
				writer = open_file(u.at("dir/file"), O_RDWR);
			replace((top ? u.top : u.low) + "/" + name, ktap::param());
			use(u.at(name), write);
			use(u.at("dir/file"), write);
			use(u.at("dir/sub/deep"), write);
			use(u.at("dir/sub"), write);
			use(u.at("dir"), write);
			/* The open file can still be read. */
			EXPECT_EQ(pread_text(file, 3, 0).size(), 3u);
			/* use() may have written to it. */
			EXPECT(map[0] == (top ? 't' : 'l') || (top && map[0] == 'x'));
			if (top)
				EXPECT_EQ(pwrite(writer, "T", 1, 0), 1);
			fstat_of(dir);
			expect_usable(u);
		}
	}
}

PARAM_CASE(replaced_on_rw, "nothing", "file", "directory", "symlink", "fifo", "whiteout", "moved")
{
	replaced_behind(true);
}

PARAM_CASE(replaced_on_ro, "nothing", "file", "directory", "symlink", "fifo", "whiteout", "moved")
{
	replaced_behind(false);
}

/* A whiteout is a regular file. Any other kind is an error, and hides no other name. */
PARAM_CASE(whiteout_of_wrong_kind, "directory", "symlink", "fifo")
{
	Union u;
	make_all(u.low, "low");
	write_file(u.top + "/other-top", "other");
	make_dir(u.top + "/dir");
	string whiteout = u.top + "/dir/.wh.file";
	replace(whiteout, ktap::param());
	u.mount();
	EXPECT_ERR(open(u.at("dir/file").c_str(), O_RDONLY), EIO);
	EXPECT_ERR(unlink(u.at("dir/file").c_str()), EIO);
	EXPECT_ERR(open(u.at("dir/file").c_str(), O_CREAT | O_WRONLY, 0644), EIO);
	EXPECT_ERR(rename(u.at("other-top").c_str(), u.at("dir/file").c_str()), EIO);
	EXPECT_EQ(read_file(u.at("dir/sub/deep")), "low");
	EXPECT(exists(whiteout));
	expect_usable(u);
	/* When it is removed from the branch, the file is there again. */
	u.unmount();
	remove_tree(whiteout);
	u.mount();
	EXPECT_EQ(read_file(u.at("dir/file")), "low");
}

static bool kind_is_right(const string &name, const string &kind)
{
	return kind == (name == ".wh..wh.aufs" ? "file" : "directory");
}

/* Reserved names are of the wrong kind: a call that needs one is EIO or does without. */
PARAM_CASE(reserved_of_wrong_kind, "file", "directory", "symlink", "fifo")
{
	for (const char *name : {".wh..wh.orph", ".wh..wh.plnk", ".wh..wh.aufs"}) {
		if (kind_is_right(name, ktap::param()))
			continue;
		Union u;
		make_all(u.low, "low");
		write_file(u.top + "/other-top", "other");
		OK(link((u.low + "/dir/file").c_str(), (u.low + "/dir/link").c_str()));
		replace(u.top + "/" + name, ktap::param());
		string before = ktap::format("%o", lstat_of(u.top + "/" + name).st_mode);
		u.mount();
		/* A copy-up needs the directory for workfiles, and can do without the others. */
		int result = chmod(u.at("dir/file").c_str(), 0600);
		if (string(name) == ".wh..wh.orph") {
			EXPECT_EQ(result, -1);
			EXPECT_EQ(ktap::errno_name(errno), "EIO");
			EXPECT_EQ(read_file(u.at("dir/file")), "low");
			EXPECT(!exists(u.top + "/dir/file"));
		} else
			EXPECT_EQ(result, 0);
		EXPECT_EQ(read_file(u.at("dir/link")), "low");
		expect_usable(u);
		EXPECT_EQ(ktap::format("%o", lstat_of(u.top + "/" + name).st_mode), before);
		EXPECT_EQ(unlink(u.at("dir/sub/deep").c_str()),
			  string(name) == ".wh..wh.orph" ? -1 : 0);
	}
}

/* The reserved names are removed while the union is mounted: they are made again. */
CASE(reserved_vanish)
{
	Union u;
	for (int i = 0; i < 9; i++)
		write_file(u.low + ktap::format("/file%d", i), "content");
	OK(link((u.low + "/file8").c_str(), (u.low + "/file9").c_str()));
	u.mount();
	for (int i = 0; i < 9; i += 2) {
		OK(chmod(u.at(ktap::format("file%d", i)).c_str(), 0600));
		if (i < 8)
			OK(unlink(u.at(ktap::format("file%d", i + 1)).c_str()));
		for (const char *name : {".wh..wh.orph", ".wh..wh.plnk", ".wh..wh.aufs"})
			remove_tree(u.top + "/" + name);
	}
	EXPECT_EQ(names_in(u.mnt), (Names{"file0", "file2", "file4", "file6", "file8", "file9"}));
	write_file(u.low + "/late", "late");
	OK(chmod(u.at("late").c_str(), 0600));
	EXPECT_EQ(names_in(u.top + "/.wh..wh.orph"), Names{});
}

/* Somebody removes or moves the workfiles of copies under way: the copy-up fails, and users see no half of a file. */
PARAM_CASE(workfile_taken, "removed", "moved", "linked")
{
	Union u;
	string orphans = u.top + "/.wh..wh.orph", p = ktap::param();
	/* Copies of files with several names have names from the beginning, on each filesystem. */
	for (int i = 0; i < 16; i++) {
		string name = u.low + ktap::format("/file%d", i);
		write_file(name, pattern(600000));
		OK(link(name.c_str(), (name + ".link").c_str()));
	}
	u.mount();
	write_file(u.at("first"), "");
	OK(mkdir(orphans.c_str(), 0700));
	OK(mkdir((u.top + "/taken").c_str(), 0700));
	pid_t thief = spawn([&] {
		for (int number = 0;;) {
			DIR *dir = opendir(orphans.c_str());
			while (dirent *entry = dir ? readdir(dir) : nullptr) {
				if (entry->d_name[0] == '.')
					continue;
				string path = orphans + "/" + entry->d_name;
				string to = ktap::format("%s/taken/%d", u.top.c_str(), number++);
				if (p == "removed")
					unlink(path.c_str());
				else if (p == "moved")
					rename(path.c_str(), to.c_str());
				else
					(void)!link(path.c_str(), to.c_str());
			}
			if (dir)
				closedir(dir);
			usleep(200);
		}
	});
	int failed = 0;
	for (int i = 0; i < 16; i++) {
		string name = ktap::format("file%d", i);
		if (chmod(u.at(name).c_str(), 0600)) {
			failed++;
			if (errno != ESTALE && errno != ENOENT)
				EXPECT_EQ(ktap::errno_name(errno), "ESTALE");
		}
	}
	kill(thief, SIGKILL);
	wait_for(thief);
	ktap::say(ktap::format("%d of 16 failed", failed));
	for (int i = 0; i < 16; i++) {
		string name = ktap::format("file%d", i);
		EXPECT(read_file(u.at(name)) == pattern(600000));
		if (exists(u.top + "/" + name))
			EXPECT_EQ(stat_of(u.top + "/" + name).st_size, 600000);
		EXPECT_OK(chmod(u.at(name).c_str(), 0640));
	}
}
