// SPDX-License-Identifier: GPL-2.0-only
//
// The fixtures of the tests: files, mounts that always go away again, and a union over two branches.
#pragma once

#include "ktap.hh"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

using ktap::in_child;
using ktap::spawn;
using ktap::wait_for;
using std::string;

/* A file descriptor that is closed with its scope. */
class Fd
{
public:
	Fd() = default;
	Fd(int fd) : fd_(fd)
	{
	}
	Fd(Fd &&other) : fd_(other.release())
	{
	}
	Fd &operator=(Fd &&other)
	{
		reset(other.release());
		return *this;
	}
	~Fd()
	{
		reset();
	}
	operator int() const
	{
		return fd_;
	}
	int release()
	{
		return std::exchange(fd_, -1);
	}
	void reset(int fd = -1)
	{
		if (fd_ >= 0)
			close(fd_);
		fd_ = fd;
	}

private:
	int fd_ = -1;
};

/* An mmap() that is undone with its scope. */
class Map
{
public:
	Map(size_t length, int prot, int flags, int fd, off_t offset = 0, void *where = nullptr);
	Map(Map &&other) : at_(std::exchange(other.at_, nullptr)), length_(other.length_)
	{
	}
	Map &operator=(Map &&other)
	{
		unmap();
		at_ = std::exchange(other.at_, nullptr);
		length_ = other.length_;
		return *this;
	}
	~Map()
	{
		unmap();
	}
	void unmap();
	/* The caller has moved or unmapped it by itself. */
	void forget()
	{
		at_ = nullptr;
	}
	char *at(size_t offset = 0) const
	{
		return at_ + offset;
	}
	size_t length() const
	{
		return length_;
	}
	volatile char &operator[](size_t offset) const
	{
		return at_[offset];
	}
	/* Reads one byte, so that its page is there. */
	void touch(size_t offset = 0) const
	{
		char byte = *static_cast<volatile char *>(at_ + offset);
		(void)byte;
	}
	string text(size_t length, size_t offset = 0) const
	{
		return string(at_ + offset, length);
	}

private:
	char *at_ = nullptr;
	size_t length_;
};

inline size_t page_size()
{
	return sysconf(_SC_PAGESIZE);
}

/* Each of these functions ends the case with a failure if it cannot do what its name says. */
void write_file(const string &path, const string &content, mode_t mode = 0644);
string read_file(const string &path);
/* Writes to a file that exists, such as one in /proc. */
void write_control(const string &path, const string &text);
/* Changes the setting of the kernel at @path, in this scope. Does nothing if there is no such setting. */
class Setting
{
public:
	Setting(const string &path, const string &value);
	~Setting();

private:
	string path_, before_;
};

void make_dir(const string &path, mode_t mode = 0755);
void make_dirs(const string &path);
void remove_tree(const string &path);
void copy_self(const string &path); /* this program, executable, to run its helpers */
struct stat stat_of(const string &path);
struct stat lstat_of(const string &path);
struct stat fstat_of(int fd);
bool exists(const string &path); /* does not follow a symlink */
Fd open_file(const string &path, int flags, mode_t mode = 0644);
string link_target(const string &path); /* readlink */
string pread_text(int fd, size_t length, off_t offset);
std::vector<string> names_in(const string &dir); /* sorted, without . and .. */
/* @length bytes that differ from page to page and from @seed to @seed. */
string pattern(size_t length, unsigned seed = 1);

/*
 * Everything that a filesystem knows about @dir and the objects below it, except access times: a line of text for each.
 * Shows that an operation left a branch alone.
 */
string snapshot(const string &dir);

/* A mount(2) that is undone with its scope. An unmount that fails is a failure of the case. */
class Mounted
{
public:
	Mounted() = default;
	Mounted(const string &source, const string &target, const string &type, unsigned long flags,
		const string &data);
	Mounted(Mounted &&other) : target_(std::exchange(other.target_, ""))
	{
	}
	Mounted &operator=(Mounted &&other);
	~Mounted();
	/* Takes over a mount that is there already. */
	static Mounted adopt(const string &target)
	{
		Mounted mounted;
		mounted.target_ = target;
		return mounted;
	}
	void unmount(); /* has to work */
	void forget()
	{
		target_.clear();
	}
	const string &path() const
	{
		return target_;
	}
	explicit operator bool() const
	{
		return !target_.empty();
	}

private:
	string target_;
};

/* A new tmpfs below $AUFS_TMP. */
Mounted mount_tmpfs(const string &name, const string &data = "");

/*
 * Directories for this case alone on the filesystems that the runner has mounted: top (for the rw branch), low and low2
 * (for ro ones), the mount point, and tmp. At first nothing is mounted, so a case can fill the branches. The
 * directories go with the scope.
 */
class Union
{
public:
	Union();
	~Union();
	string top, low, low2, mnt, tmp;

	string options() const
	{
		return "br=" + top + "=rw:" + low + "=ro";
	}
	void mount()
	{
		mount(options());
	}
	void mount(const string &data, unsigned long flags = 0);
	void unmount()
	{
		mounted_.unmount();
	}
	void unmount_lazily()
	{
		mounted_.forget();
		OK(umount2(mnt.c_str(), MNT_DETACH));
	}
	string at(const string &name) const
	{
		return mnt + "/" + name;
	}

private:
	Mounted mounted_;
};

/* Calls mount(2) for an aufs; returns 0 or the errno. A success is unmounted again. */
int try_mount(const string &target, const string &data, unsigned long flags = 0);

/* The error lines in the log of a filesystem context. */
string context_log(int context);

/* The options of the last mount at @point, as /proc/mounts has them: octal escapes and all. */
string shown_options(const string &point);
/* Those of @options that are no flag of mount(2). */
std::vector<string> without_flags(const string &options);
/* @words, with commas between them. */
string joined(const std::vector<string> &words);
/* The directory of the union at @point in sysfs. */
string sysfs_of(const string &point);
/* The branches in that directory, from the uppermost on: `DIR=PERM:DIR=PERM`. */
string shown_branches(const string &point);

/* @path, written as a part of an option. */
string as_option(const string &path);

/* Unloads the module, if no union is mounted; loads it. */
void unload_module();
void load_module(const string &parameters);

/* The module with those parameters, in this scope. No union may be mounted at either end. */
class Reloaded
{
public:
	explicit Reloaded(const string &parameters)
	{
		unload_module();
		load_module(parameters);
	}
	~Reloaded()
	{
		ktap::guarded([] {
			unload_module();
			load_module("");
		});
	}
};

/* Runs @body as another user, in a child that has given up all of root's rights. */
struct User {
	uid_t uid;
	gid_t gid;
	std::vector<gid_t> groups;
};
void become(const User &user);
inline const User nobody{65534, 65534, {}};
inline const User alice{1000, 1000, {}};
inline const User bob{1001, 1001, {}};

template <typename Body> void as_user(const User &user, Body body)
{
	int code = in_child([&] {
		become(user);
		body();
	});
	EXPECT_EQ(code, 0);
}

/* Lines that the kernel logs from the construction on. */
class KernelLog
{
public:
	KernelLog();
	string read();

private:
	Fd fd_;
};

/* Runs a program without a shell. Returns its output, and its status as wait_for() gives it. */
struct Output {
	int status;
	string text;
};
Output run(const std::vector<string> &command, const string &root = "");
/* Runs HELPER(@name) from the copy of this program at @path. */
Output run_helper(const string &path, const string &name, const std::vector<string> &args = {});

/* Blocks until @fd (a pipe's read end) gives a byte; false at end of file. */
bool wait_byte(int fd);
void send_byte(int fd);
struct Pipe {
	Pipe();
	Fd read, write;
};

struct KernelVersion {
	int major, minor;
	bool at_least(int a, int b) const
	{
		return major > a || (major == a && minor >= b);
	}
};
KernelVersion kernel();

/* Expects no workfile on the rw branch @top. */
void expect_no_debris(const string &top);

/* Whether the rw branch (with @low: the ro branches) is on the filesystem @name, by $AUFS_COMBO. */
bool on(const string &name, bool low = false);
