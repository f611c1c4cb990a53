// SPDX-License-Identifier: GPL-2.0-only
//
// What is written to a disk is recorded, write by write, and the disk can be had again as it was
// after any of them. The kernel's dm-log-writes records, as a disk sees it that has a cache: writes
// in the order in which they ended, and each flush after all that it made lasting. dm-snapshot
// keeps the replayed disk from what the recovery of a journal writes. All stock kernels of the test
// machine have both, as modules.
#pragma once

#include "disk.hh"
#include "tree_ops.hh"

/* A block device in front of a Disk that records what is written to it, until its scope ends. */
class RecordedDisk
{
public:
	/* Of @size bytes. What is written to it comes to the new file @log as well. */
	RecordedDisk(const Disk &disk, off_t size, const string &log);
	/* What has been flushed by now comes before @text, and what is written later after it. */
	void mark(const string &text);
	string name;

private:
	Disk log_;
	MappedDevice mapped_;
	Fd control_;
};

/* What a RecordedDisk has recorded; its scope has ended. */
class Recording
{
public:
	struct Entry {
		uint64_t at, size; /* in bytes, on the disk */
		bool flush; /* what came before it does not get lost any more */
		bool lasting; /* nor does this one itself */
		bool discard; /* it has no data */
		const char *data;
		string mark; /* or else empty */
	};

	explicit Recording(const string &log);
	const std::vector<Entry> &entries() const
	{
		return entries_;
	}

private:
	Map log_;
	std::vector<Entry> entries_;
};

/* A copy of a disk that is brought forward, by what was recorded since. */
class Replay
{
public:
	/* The disk is the file @disk; nobody writes to it now. @dir: where new files are made. */
	Replay(const string &disk, const string &dir);

private:
	friend class CutDisk;

	string bring_to(const Recording &recording, size_t count);

	off_t size_;
	size_t done_ = 0; /* so many entries are in the image */
	Disk image_disk_, changes_;
	Fd image_;
};

/* The disk as a cut of the power leaves it. What is written to it is lost with it. */
class CutDisk
{
public:
	/*
	 * After the first @count entries; the next one's is not smaller. With @lost, some of what
	 * came after the last flush is missing: a disk writes its cache in an order of its own.
	 */
	CutDisk(Replay &replay, const Recording &recording, size_t count, Random *lost = nullptr);
	string name;

private:
	MappedDevice mapped_;
};
