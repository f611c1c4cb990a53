/* SPDX-License-Identifier: GPL-2.0-only */
//
// What a tree was, operation by operation, and what of that a cut of the power has to leave.
#pragma once

#include "tree_ops.hh"

#include <map>

/* What can be seen of a tree, and which objects its regular files are. */
struct Tree {
	string text;
	std::map<string, ino_t> files;
	Known known = {{""}, {}};
};

Tree look(const string &root);

/*
 * What a tree was, operation by operation. Names and attributes change in one order, as ext4 and
 * XFS log them; the blocks of a file are written when it suits.
 */
class History
{
public:
	/*
	 * Of the tree at @model. With @reuses_blocks the filesystem (ext4 with data=writeback) may
	 * write other data over a file's before it is on disk that the file has gone.
	 */
	History(string model, bool reuses_blocks)
		: model_(std::move(model)), reuses_blocks_(reuses_blocks)
	{
		note(0, "");
	}
	/*
	 * Operation @op, or a step of it, has made the tree what it is now, and has changed the
	 * data of @file, unless that is empty.
	 */
	void note(unsigned op, const string &file);
	/*
	 * What operation @op has left is on disk: @names, and attributes, if it has changed such,
	 * and the data of @file, unless that is 0. Returns how many such notes there are.
	 */
	unsigned note_synced(unsigned op, bool names, ino_t file);
	unsigned note_all_synced(unsigned op);

	const Tree &tree() const
	{
		return states_.back().tree;
	}
	size_t states() const
	{
		return states_.size();
	}
	/*
	 * Which state the tree at @root is, where @begun operations had begun and @synced notes had
	 * been made of what is on disk. Fails, and says @when that is, if it is none that may be.
	 */
	size_t find(const string &root, unsigned begun, unsigned synced, const string &when) const;

private:
	struct State {
		unsigned op;
		Tree tree;
	};
	struct Version {
		unsigned op;
		string content;
	};
	struct Synced {
		size_t state; /* at least this one is on disk */
		unsigned op;
		bool all;
		ino_t file;
	};
	/* Which states may be, and of which operations the data. */
	struct Range {
		size_t first, last;
		unsigned begun, synced;
	};

	bool is_wanted(ino_t file, size_t state, const Range &range) const;
	bool may_be(ino_t file, const string &content, size_t at, const Range &range) const;
	string wrong_content(const string &root, size_t state, const Range &range) const;
	void report(const Tree &seen, const Range &range) const;

	string model_;
	bool reuses_blocks_;
	std::vector<State> states_;
	std::map<ino_t, std::vector<Version>> versions_;
	std::vector<Synced> synced_;
};
