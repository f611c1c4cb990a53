// SPDX-License-Identifier: GPL-2.0-only
//
// A FUSE filesystem with one file, "file", and one directory, "dir", as a branch: just enough of the
// protocol to be read, to answer wrong, and to tell what the file is asked for. What is written to it
// changes nothing but its size.
#pragma once

#include "fixture.hh"

#include <linux/fuse.h>

/* What the served filesystem does wrong; in memory that is shared with the server. */
struct Faults {
	int lookup, getattr, open, read, readdir; /* errno of each, 0 for none */
	bool direct_io; /* opens with FOPEN_DIRECT_IO, with which shared mappings are ENODEV */
	bool short_attributes; /* nothing is cached by the kernel */
	int reads, releases;
	int read_delay; /* microseconds before each read is answered */
	/* Of the file and the directory, beside their kinds. */
	unsigned file_mode, dir_mode, file_uid, dir_uid;
	bool capability; /* the file has security.capability */
	unsigned long_name; /* length of the name of a third entry, 0 for none */
	uint64_t size; /* the file's, by now */
	bool truncates_at_open; /* FUSE_ATOMIC_O_TRUNC; before it is mounted */
	/* What was asked for last: flags of the file's open and of a write, and of setattr all bits. */
	uint32_t open_flags, write_flags, setattr_valid;
	/* Not faults: who asked last for an attribute, and to set one; how often that was. */
	unsigned xattr_reader, xattr_writer;
	int xattr_writes;
};

class Server
{
public:
	static constexpr size_t file_size = 5 * 4096;
	/* What the file's security.capability is: cap_setuid, permitted and effective. */
	static string capability();

	/*
	 * With @disk, a block device, it is one that keeps its files there (fuseblk). @flags are
	 * those of mount(2), @size the file's. @prepare is run before it is mounted.
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
