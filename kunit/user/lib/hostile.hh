/* SPDX-License-Identifier: GPL-2.0-only */
//
// Objects that somebody may have put on a branch under the union's own names.
#pragma once

#include "answers.hh"
#include "tree_ops.hh"
#include "union_log.hh"

#include <sys/inotify.h>

/* Kinds for make_hostile(). */
#define HOSTILE_KINDS                                                                              \
	"file", "unreadable", "directory", "full_directory", "symlink", "symlink_outside",         \
		"long_symlink", "fifo", "char", "block", "socket"
/* A few kinds: code may treat each of them in its own way. */
#define HOSTILE_FEW "unreadable", "directory", "full_directory", "symlink_outside", "fifo", "char"

/* A link of 4 KiB, or as long as the filesystem has them. */
inline void make_long_symlink(const string &path)
{
	int result = -1;
	for (size_t size : {4095, 1000})
		if (result < 0)
			result = symlink(string(size, 'l').c_str(), path.c_str());
	OK(result);
}

/* Makes an object of @kind at @path; links may lead to the directory @outside. Devices are ones that can be opened. */
inline void make_hostile(const string &path, const string &kind, const string &outside)
{
	const char *p = path.c_str();
	if (kind == "file")
		write_file(path, "");
	else if (kind == "unreadable")
		write_file(path, "text", 0);
	else if (kind == "symlink")
		OK(symlink("nowhere", p));
	else if (kind == "symlink_outside")
		OK(symlink(outside.c_str(), p));
	else if (kind == "long_symlink")
		make_long_symlink(path);
	else if (kind == "fifo")
		OK(mkfifo(p, 0644));
	else if (kind == "char")
		OK(mknod(p, S_IFCHR | 0666, makedev(1, 3)));
	else if (kind == "block")
		OK(mknod(p, S_IFBLK | 0666, makedev(7, 0)));
	else if (kind == "socket")
		OK(mknod(p, S_IFSOCK | 0666, 0));
	else
		make_dir(path);
	if (kind == "full_directory")
		write_file(path + "/inside", "inside");
}

/* A value for an attribute, of any possible length, often in a format of the union. */
inline string random_value(Random &random)
{
	static constexpr unsigned lengths[] = {0, 1, 31, 32, 33, 39, 40, 41, 4096, 65536};
	unsigned length = random.one_in(3) ? random.below(65537) : random.pick(lengths);
	string value;
	for (unsigned i = 0; i < 64; i++)
		value += static_cast<char>(random.below(256));
	while (value.size() < length)
		value += value;
	value.resize(length);
	/* The formats of an origin. */
	if (random.one_in(2))
		value.replace(0, std::min<size_t>(4, length), random.one_in(2) ? "afs1" : "afs2",
			      std::min<size_t>(4, length));
	return value;
}

inline bool is_regular(const string &kind)
{
	return kind == "file" || kind == "unreadable";
}

/* Checks that nobody opens some objects, or reads or writes them. */
class Untouched
{
public:
	Untouched() : fd_(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)))
	{
	}
	/*
	 * Watches objects that nobody ever needs to open: no directory, which is emptied, and no file, which the test
	 * reads.
	 */
	void watch(const string &path)
	{
		mode_t mode = lstat_of(path).st_mode;
		if (!S_ISDIR(mode) && !S_ISREG(mode))
			add(path);
	}
	void watch_tree(const string &dir)
	{
		add(dir);
		for (const string &name : names_in(dir))
			add(dir + "/" + name);
		/* The test itself has read the names. */
		drain();
	}
	void expect() const
	{
		EXPECT_EQ(drain(), 0u);
	}

private:
	static constexpr uint32_t uses = IN_OPEN | IN_ACCESS | IN_MODIFY | IN_CREATE | IN_MOVED_TO;

	void add(const string &path) const
	{
		OK(inotify_add_watch(fd_, path.c_str(), uses | IN_DONT_FOLLOW));
	}
	/* The number of uses. The event that an object is gone comes unasked. */
	unsigned drain() const
	{
		alignas(inotify_event) char events[65536];
		unsigned count = 0;
		for (ssize_t size; (size = read(fd_, events, sizeof(events))) > 0;)
			for (ssize_t at = 0; at < size;) {
				auto *event = reinterpret_cast<inotify_event *>(events + at);
				count += (event->mask & uses) != 0;
				at += sizeof(inotify_event) + event->len;
			}
		return count;
	}

	Fd fd_;
};

/* A directory beside the branches, for links of theirs. */
class Outside
{
public:
	explicit Outside(const string &at) : path(at)
	{
		make_dir(path);
		make_dir(path + "/dir");
		write_file(path + "/file", "outside");
		before_ = snapshot(path);
		untouched.watch_tree(path);
	}
	void expect_untouched()
	{
		untouched.expect();
		EXPECT_EQ(snapshot(path), before_);
	}
	const string path;
	Untouched untouched;

private:
	string before_;
};

/* No reserved name is shown in @dir or below. Each name that is shown can be looked up, or is EIO. */
inline void expect_nothing_reserved(const string &dir)
{
	Listed listed = list(dir);
	EXPECT_EQ(listed.error, "");
	for (const string &name : listed.names) {
		string path = dir + "/" + name;
		struct stat is;
		EXPECT(!name.starts_with(".wh."));
		if (lstat(path.c_str(), &is))
			EXPECT_EQ(ktap::errno_name(errno), "EIO");
		else if (S_ISDIR(is.st_mode))
			expect_nothing_reserved(path);
	}
}

inline int error_of(long result)
{
	return result < 0 ? errno : 0;
}

inline int remount(const Union &u, const string &options)
{
	return error_of(mount("none", u.mnt.c_str(), "aufs", MS_REMOUNT, options.c_str()));
}

inline mode_t type_of(const string &path)
{
	return lstat_of(path).st_mode & S_IFMT;
}

/* A hostile branch and an innocent one below it. */
struct Hostile : Union {
	/* With @rw it is the rw branch, else a ro branch between two. */
	explicit Hostile(bool rw) : hostile(rw ? top : low), below(rw ? low : low2), is_rw(rw)
	{
	}
	~Hostile()
	{
		ktap::guarded([this] { outside.expect_untouched(); });
	}
	void plant(const string &name, const string &kind)
	{
		make_hostile(hostile + "/" + name, kind, outside.path);
		untouched.watch(hostile + "/" + name);
	}
	/* The branches have their content now. */
	void begin()
	{
		before_ = snapshot(below) + (is_rw ? "" : snapshot(low));
		mount_it();
	}
	void mount_it()
	{
		mount("br=" + top + "=rw:" + low + "=ro" + (is_rw ? "" : ":" + low2 + "=ro"));
	}
	/* Whatever was done: ro branches are as they were, and no hidden object was used. */
	void end()
	{
		expect_nothing_reserved(mnt);
		unmount();
		mount_it();
		expect_nothing_reserved(mnt);
		unmount();
		EXPECT_EQ(snapshot(below) + (is_rw ? "" : snapshot(low)), before_);
		untouched.expect();
		log.expect_no_flood(4);
	}

	const string &hostile, &below;
	bool is_rw;
	Outside outside{tmp + "/outside"};
	Untouched untouched;
	UnionLog log;

private:
	string before_;
};

/* @expected is an errno, or 0 for success. */
#define EXPECT_ERROR(result, expected)                                                             \
	EXPECT_EQ(ktap::errno_name(error_of(result)), ktap::errno_name(expected))
