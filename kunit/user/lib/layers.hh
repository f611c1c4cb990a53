/* SPDX-License-Identifier: GPL-2.0-only */
//
// Branches with random trees for a union to begin with, and what the union has to make of them.
#pragma once

#include "tree_ops.hh"

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

/*
 * XFS gives a directory a new mtime when it is exchanged with what has another parent: gives the
 * directory @to the times that @from, exchanged on XFS, has by now.
 */
void follow_exchange(const string &from, const string &to);
