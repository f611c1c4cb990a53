/* SPDX-License-Identifier: GPL-2.0-only */
//
// The states of a tree, operation by operation, and those that a power cut may leave.
#pragma once

#include "tree_ops.hh"

#include <map>

/* All that is visible of a tree, and the inodes of its regular files. */
struct Tree {
	string text;
	std::map<string, ino_t> files;
	Known known = {{""}, {}};
};

Tree look(const string &root);

/*
 * The states of a tree, operation by operation. Names and attributes change in one order, as ext4 and XFS log them; the
 * blocks of a file are written at any time.
 */
class History
{
public:
	/*
	 * @model is the path of the tree. With @reuses_blocks the filesystem (ext4 with data=writeback) may write
	 * other data over a file's blocks before the removal of the file is on disk.
	 */
	History(string model, bool reuses_blocks)
		: model_(std::move(model)), reuses_blocks_(reuses_blocks)
	{
		note(0, "");
	}
	/*
	 * Operation @op, or a step of it, has made the present state, and has changed the data of @file, unless that is
	 * empty.
	 */
	void note(unsigned op, const string &file);
	/*
	 * The result of operation @op is on disk: names and attributes, if @names, and the data of @file, unless that
	 * is 0. Returns how many such notes there are.
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
	 * Finds the state of the tree at @root, where @begun operations had begun, and @synced notes had been made.
	 * Fails with the text @when if the tree has no possible state.
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
	/* The possible states, and the operations whose data is possible. */
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
