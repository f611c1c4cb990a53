// SPDX-License-Identifier: GPL-2.0-only
//
// The observers of a mapping that user space can ask: what /proc and ioctls say about it.
#pragma once

#include "fixture.hh"

/* One line of /proc/PID/maps (or the head of one entry of smaps). */
struct Vma {
	unsigned long start = 0, end = 0, offset = 0, inode = 0;
	string perms, path;
	dev_t device = 0;
	string rest; /* the lines that follow it in smaps */

	size_t size() const
	{
		return end - start;
	}
	/* A figure of smaps, in KiB; -1 if there is no such line. */
	long figure(const string &name) const;
};

/* @file is "maps" or "smaps". */
std::vector<Vma> vmas(const string &file = "maps", pid_t pid = 0);
/* The mapping at @address; ends the case if there is none. */
Vma vma_at(const void *address, const string &file = "maps", pid_t pid = 0);
/* The mappings whose path is exactly @path. */
std::vector<Vma> vmas_of(const string &path, pid_t pid = 0);
/* Whether a line of @file contains @part, such as the branch's path. */
bool mentions(const string &file, const string &part, pid_t pid = 0);

string map_files_name(const Vma &vma, pid_t pid = 0);

/* The answer of the PROCMAP_QUERY ioctl; false before 6.11, which does not have it. */
struct MapQuery {
	string path;
	unsigned long inode;
	dev_t device;
};
bool query_map(const void *address, MapQuery &answer);

/*
 * Whether this kernel reports device and inode of the union's file in maps and smaps. Stock kernels
 * before 6.8 have no backing files: the path is the union's, device and inode are the branch's.
 */
bool reports_union_inode();

/* Expects that each observer reports the mapping at @address as @path on the union. */
void expect_reported(const void *address, const string &path, const struct stat &of_union,
		     const struct stat &of_branch);
