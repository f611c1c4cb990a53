/* SPDX-License-Identifier: GPL-2.0-only */
//
// Branches with random trees for a union, and the tree that the union has to make of them.
#pragma once

#include "tree_ops.hh"

/* The branches of a union, from the uppermost to the lowest, and the format's rules for them. */
class Layers
{
public:
	explicit Layers(std::vector<string> roots) : roots_(std::move(roots))
	{
	}
	/* Makes random trees in the branches. @links: with further names of files. */
	void fill(Random &random, bool links) const;
	/* The branches that have a part of @path. Only the last component may be a symlink. */
	std::vector<unsigned> parts(const string &path) const;
	/*
	 * Makes in @model the tree that the union shows. A file with names that the union hides gets further names in
	 * @hidden.
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

/*
 * Gives the directory @to the times that @from has now. @from is on XFS, which gives a directory a new mtime when it is
 * exchanged with an object of another parent.
 */
void follow_exchange(const string &from, const string &to);
