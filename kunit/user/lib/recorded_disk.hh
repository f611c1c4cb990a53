// SPDX-License-Identifier: GPL-2.0-only
//
// Records a disk's writes one by one, and gives the disk as it was after any of them. The kernel's dm-log-writes
// records what a disk with a cache sees: writes in the order in which they ended, and each flush after all the writes
// that it made lasting. dm-snapshot keeps the recovery of a journal from changing the replayed disk. All stock kernels
// of the test machine have both, as modules.
#pragma once

#include "disk.hh"
#include "tree_ops.hh"

/* A block device in front of a Disk. It records all writes until its scope ends. */
class RecordedDisk
{
public:
	/* A device of @size bytes. Its writes go to the new file @log as well. */
	RecordedDisk(const Disk &disk, off_t size, const string &log);
	/* Marks this moment with @text: writes that are flushed come before the mark, later writes after it. */
	void mark(const string &text);
	string name;

private:
	Disk log_;
	MappedDevice mapped_;
	Fd control_;
};

/* The record of a RecordedDisk whose scope has ended. */
class Recording
{
public:
	struct Entry {
		uint64_t at, size; /* in bytes, on the disk */
		bool flush; /* the writes before it do not get lost any more */
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

/* A copy of a disk, to which the record is applied, entry by entry. */
class Replay
{
public:
	/* The disk is the file @disk, which nobody writes to now. New files are made in @dir. */
	Replay(const string &disk, const string &dir);

private:
	friend class CutDisk;

	string bring_to(const Recording &recording, size_t count);

	off_t size_;
	size_t done_ = 0; /* the number of entries in the image */
	Disk image_disk_, changes_;
	Fd image_;
};

/* The disk after a power cut. Writes to it are lost with it. */
class CutDisk
{
public:
	/*
	 * After the first @count entries; the next CutDisk has no smaller @count. With @lost, some of the writes after
	 * the last flush are missing: a disk writes its cache in any order.
	 */
	CutDisk(Replay &replay, const Recording &recording, size_t count, Random *lost = nullptr);
	string name;

private:
	MappedDevice mapped_;
};
