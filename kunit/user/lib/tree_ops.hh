/* SPDX-License-Identifier: GPL-2.0-only */
//
// Random operations on a directory tree.
#pragma once

#include "fixture.hh"

#include <random>

/* A seed gives one sequence on every machine and filesystem. */
class Random
{
public:
	explicit Random(uint64_t seed) : engine_(seed)
	{
	}
	unsigned below(unsigned limit)
	{
		return static_cast<unsigned>(engine_() % limit);
	}
	bool one_in(unsigned n)
	{
		return below(n) == 0;
	}
	template <typename List> auto pick(const List &list) -> decltype(list[0])
	{
		return list[below(std::size(list))];
	}

private:
	std::mt19937_64 engine_;
};

/* $AUFS_SEED or a new one, which is printed; $AUFS_STEPS or @normal, in `make test` half of that. */
uint64_t chosen_seed();
unsigned long chosen_steps(unsigned long normal);

/* One operation, by paths relative to the root of a tree. */
struct Op {
	enum Kind {
		create,
		mkdir,
		mknod,
		symlink,
		link,
		unlink,
		rmdir,
		rename,
		write,
		truncate,
		ftruncate,
		chmod,
		chown,
		utimens,
		setxattr,
		removexattr,
		tmpfile,
		map_write,
		kinds
	} kind;
	string a, b;
	unsigned flags; /* of open or rename, a mode, or a uid and gid */
	unsigned offset, length;
	unsigned seed; /* of content */

	string text() const;
	/* Applies the operation to the tree at @root. Returns 0 or the errno. */
	int apply(const string &root) const;
	bool names_two() const
	{
		return kind == link || kind == rename;
	}
};

/* The objects that an operation can choose from. */
struct Known {
	std::vector<string> dirs; /* "" is the root; all others end with a slash */
	std::vector<string> all; /* without the root */
};

Op random_op(Random &random, const Known &known);
/* The objects in the tree at @root now. */
Known known_in(const string &root);

/* The values that operations choose from. */
inline constexpr const char *file_names[] = {"a", "b", "c", "d", "e", "f"};
inline constexpr const char *dir_names[] = {"dir0", "dir1", "dir2"};
inline constexpr const char *xattr_names[] = {"trusted.t0", "trusted.t1", "trusted.t2",
					      "system.posix_acl_default",
					      "system.posix_acl_access"};
inline constexpr mode_t modes[] = {0644, 0600, 0755, 0444, 04755, 02755, 01777, 0};
inline constexpr unsigned largest = 40000;
/* A value for the attribute @name: for an ACL, one that names a user. */
string value_for(const string &name, unsigned length, unsigned seed);

/* A time long ago, which only the tests set. */
timespec old_time(unsigned which);
inline bool is_old(const timespec &time)
{
	return time.tv_sec < 1500000000;
}

/* Entries as readdir gives them, with . and .. */
struct Entry {
	string name;
	ino_t number;
	unsigned char type;
};
std::vector<Entry> entries_in(const string &dir);
/* Expects that their numbers are those of lstat(2), except for . and .. */
void expect_listed_numbers(const string &dir);
/* The attributes that operations set; all others must be an error of the union's. */
std::vector<std::pair<string, string>> xattrs_in(const string &path);
/* A line with all that is known about @path, for a diagnosis. */
string describe(const string &path);
