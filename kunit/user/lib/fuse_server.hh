// SPDX-License-Identifier: GPL-2.0-only
//
// A FUSE filesystem with one file, "file", and one directory, "dir", to be a branch. It has just enough of the protocol
// to be read, to answer wrong, and to tell which requests came for the file. A write to the file changes only its size.
#pragma once

#include "fixture.hh"

#include <linux/fuse.h>

/* The faults of the served filesystem, in memory that is shared with the server. */
struct Faults {
	int lookup, getattr, open, read, readdir; /* errno of each, 0 for none */
	bool direct_io; /* opens with FOPEN_DIRECT_IO, with which shared mappings are ENODEV */
	bool short_attributes; /* the kernel caches no attributes */
	int reads, releases;
	int read_delay; /* microseconds before each read is answered */
	/* Modes of the file and the directory, without their kinds, and their owners. */
	unsigned file_mode, dir_mode, file_uid, dir_uid;
	bool capability; /* the file has security.capability */
	unsigned long_name; /* length of the name of a third entry, 0 for none */
	uint64_t size; /* the size of the file now */
	bool truncates_at_open; /* FUSE_ATOMIC_O_TRUNC; set before it is mounted */
	bool clears_rights; /* FUSE_HANDLE_KILLPRIV_V2; the same */
	/* Of the last requests: the flags of the file's open and of a write, and all bits that setattr had. */
	uint32_t open_flags, write_flags, setattr_valid;
	/* No faults: the users that read and set an attribute last, and how often one was set. */
	unsigned xattr_reader, xattr_writer;
	int xattr_writes;
};

class Server
{
public:
	static constexpr size_t file_size = 5 * 4096;
	/* The value of the file's security.capability: cap_setuid, permitted and effective. */
	static string capability();

	/*
	 * With the block device @disk it is a filesystem that keeps its files there (fuseblk). @flags are those of
	 * mount(2), @size is the file's. @prepare runs before it is mounted.
	 */
	explicit Server(
		const string &path, const string &disk = "", unsigned long flags = 0,
		size_t size = file_size, void (*prepare)(Faults &) = [](Faults &) {});
	~Server();
	void die();
	Faults *faults;

private:
	bool serve();
	void answer_getxattr(const fuse_in_header &in, const char *body);
	void answer_listxattr(const fuse_in_header &in, const char *body);
	void reply(uint64_t unique, int error, const void *data = nullptr, size_t size = 0);
	fuse_attr attributes(uint64_t node) const;

	string path_;
	Fd device_;
	Mounted mounted_;
	pid_t pid_ = 0;
};
