/* SPDX-License-Identifier: GPL-2.0-only */
//
// System calls as strings of bytes, for programs that make such strings at random: each string means something, and
// each call may end only as its manual page or aufs(5) says.
#pragma once

#include "tree_ops.hh"

/* Which call it is, and numbers that choose paths, descriptors, flags and sizes from lists. */
struct Call {
	uint8_t kind, x, y, z;
};

/* Calls to be made on a union that is mounted as `config` says. */
struct Input {
	uint8_t config = 0;
	std::vector<Call> calls;

	/* "3: open 1 2 0; close 0 0 0" */
	string text() const;
	static Input parse(const string &text);
};

Call random_call(Random &random);

/* The branches of the union: their paths, and their first content. */
struct CallBranches {
	string rw, rw2, ro, module;

	void fill() const;
	/* The options of the mount by the @config of an input, and its flags. */
	string options(uint8_t config) const;
	unsigned long flags(uint8_t config) const;
};

/*
 * Makes the calls of @input, one after the other, on the union at @root, in this process. Returns how many of them
 * worked. A result that may not be is a failure of the case. @beside: somebody else changes the branches or their list.
 */
unsigned do_calls(const Input &input, const string &root, bool beside);
