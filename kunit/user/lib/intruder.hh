/* SPDX-License-Identifier: GPL-2.0-only */
//
// A process that changes the branches of a union directly, at random and with bad intent, also the union's own files
// there.
#pragma once

#include "tree_ops.hh"

class Intruder
{
public:
	/*
	 * @roots are the branches. Objects come from @outside and go there; @outside/mounted is mounted over objects of
	 * a branch.
	 */
	Intruder(std::vector<string> roots, string outside, uint64_t seed)
		: roots_(std::move(roots)), outside_(std::move(outside)), random_(seed)
	{
	}
	void run(unsigned long steps);
	void step();
	/* Undoes the mounts after the last step. */
	void end();

private:
	string plain_name();
	string reserved_path();
	string path();
	string somewhere();
	void make_there(const string &path);
	void set_attribute(const string &path);
	void unmount_one();
	void mount_over(const string &path);
	void use_open_directory();

	std::vector<string> roots_;
	string outside_, root_;
	Random random_;
	std::vector<string> mounts_;
	Fd dir_, housekeeping_[2];
	unsigned turn_ = 0;
};
