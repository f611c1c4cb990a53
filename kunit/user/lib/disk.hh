// SPDX-License-Identifier: GPL-2.0-only
//
// Block devices that a test makes, and that can be made to fail.
#pragma once

#include "fixture.hh"

/* A loop device on a new file at @path. It goes when nobody has it open any more. */
class Disk
{
public:
	explicit Disk(const string &path, off_t size = 1 << 20);
	string name;

private:
	Fd device_;
};

/* A device-mapper device. A target is its name and its arguments, as for dmsetup(8). */
class MappedDevice
{
public:
	/* A device of @size bytes. @kind tells it from the others of this process. */
	MappedDevice(const string &kind, off_t size, const string &target);
	~MappedDevice();
	/* Gives the device another target; @arguments are dmsetup's. */
	void load(const string &target, const std::vector<string> &arguments = {});
	const string &dm_name() const
	{
		return dm_name_;
	}
	string name;

private:
	string dm_name_;
	unsigned long sectors_;
};

/* A device-mapper device in front of a Disk; it is whole at first. */
class BreakableDisk
{
public:
	explicit BreakableDisk(const string &path, off_t size = 48 << 20);
	/* From now on all I/O fails, writes alone fail, or all works again. */
	void fail()
	{
		mapped_.load("error");
	}
	void fail_writes();
	/* As if the power was cut: what is written from now on is gone after mend(). */
	void lose_writes();
	/* Makes it read-only, as a CD is. Nothing may be mounted from it. */
	void protect();
	void mend();
	string name;

private:
	Disk disk_;
	MappedDevice mapped_;
};

/* mkfs.ext4 on @device, with these further arguments. */
void make_ext4(const string &device, const std::vector<string> &arguments = {});
void make_xfs(const string &device);
/* Mounts the ext4 on @device at the new directory @path. */
Mounted mount_ext4(const string &device, const string &path, const string &data = "");

/* What a quota is for, by the kernel's numbers. */
enum class QuotaOf : int { user, group, project };
/* Sets the hard limits of @id on the mounted @device; 0 for none. */
void set_quota(const string &device, QuotaOf what, unsigned id, uint64_t blocks_1k,
	       uint64_t inodes);
/* Gives @path, and objects that will be made below it if it is a directory, to project @id. */
void set_project(const string &path, unsigned id);
