/* SPDX-License-Identifier: GPL-2.0-only */
//
// System calls as strings of bytes, for who makes such strings at random: each string means
// something, and each call may end only as its manual page says, or aufs(5).
#pragma once

#include "tree_ops.hh"

/* Which call it is, and numbers that choose paths, descriptors, flags and sizes from lists. */
struct Call {
	uint8_t kind, x, y, z;
};

/* What is done with a union that is mounted as `config` says. */
struct Input {
	uint8_t config = 0;
	std::vector<Call> calls;

	/* "3: open 1 2 0; close 0 0 0" */
	string text() const;
	static Input parse(const string &text);
};

Call random_call(Random &random);

/* What branches the calls find: where they are, and what is in them at first. */
struct CallBranches {
	string rw, rw2, ro, module;

	void fill() const;
	/* The options of the mount by the @config of an input, and its flags. */
	string options(uint8_t config) const;
	unsigned long flags(uint8_t config) const;
};

/*
 * Does the calls of @input, one after the other, on the union at @root, in this process; returns
 * how many of them worked. A result that may not be is a failure of the case. @beside: somebody
 * else changes the branches, or which there are.
 */
unsigned do_calls(const Input &input, const string &root, bool beside);
