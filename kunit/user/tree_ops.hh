/* SPDX-License-Identifier: GPL-2.0-only */
//
// Random operations on a directory tree, and random branches for a union to begin with.
#pragma once

#include "fixture.hh"

#include <random>

/* One seed, one sequence: on every machine and filesystem. */
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

/* $AUFS_SEED or a new one, which is printed; $AUFS_STEPS or @normal. */
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
	/* On the tree at @root: 0 or the errno. */
	int apply(const string &root) const;
	bool names_two() const
	{
		return kind == link || kind == rename;
	}
};

/* What an operation can be about. */
struct Known {
	std::vector<string> dirs; /* "" is the root; all others end with a slash */
	std::vector<string> all; /* without the root */
};

Op random_op(Random &random, const Known &known);
/* What is in the tree at @root by now. */
Known known_in(const string &root);

/* A time that nobody sets but the tests: long ago. */
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
/* The attributes that operations set; all others must be an error of the union's. */
std::vector<std::pair<string, string>> xattrs_in(const string &path);

/* The branches of a union, from the uppermost to the lowest, and what the format says of them. */
class Layers
{
public:
	explicit Layers(std::vector<string> roots) : roots_(std::move(roots))
	{
	}
	/* Makes random trees in them. @links: with further names of files. */
	void fill(Random &random, bool links) const;
	/* The branches that have a part of @path, which names no symlink but maybe at its end. */
	std::vector<unsigned> parts(const string &path) const;
	/*
	 * Makes in @model what the union shows. What has names that the union hides has further
	 * ones in @hidden.
	 */
	void merge_into(const string &model, const string &hidden) const;
	const string &root(unsigned layer) const
	{
		return roots_[layer];
	}

private:
	void fill_one(Random &random, unsigned layer, bool links) const;
	std::vector<unsigned> lookup(const std::vector<unsigned> &dir_parts,
				     const string &path) const;

	std::vector<string> roots_;
};
