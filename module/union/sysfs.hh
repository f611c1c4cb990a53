/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What /sys/fs/aufs/si_ID/ tells of one union, by the original's names: for each place of its list of
 * branches br0, br1, ... (`DIR=PERM` and a newline) and brid0, ... (the branch's number for life),
 * and xi_path, which names the table of inode numbers that the original needs: nothing is in it.
 *
 * A file belongs to a place, not to a branch: when branches come and go, the files of the places
 * that stay are there all the time, and say what is there now. A read takes the claims' lock alone. When a file has
 * been removed, nobody reads it any more; who has it open then gets ENODEV.
 */
#pragma once

#include "kernel/handles.hh"

namespace cxxrt
{

template <> struct OwnTraits<struct kobject> {
	static void destroy(struct kobject *kobject)
	{
		/* Not only when the last reference goes: the name may be used again at once. */
		kobject_del(kobject);
		kobject_put(kobject);
	}
};

} // namespace cxxrt

namespace aufs
{

class Super;

class SysfsFiles final
{
public:
	SysfsFiles() = default;
	SysfsFiles(const SysfsFiles &) = delete;
	SysfsFiles &operator=(const SysfsFiles &) = delete;
	~SysfsFiles()
	{
		remove();
	}

	/* The directory of @super, which must outlive this, for no branch yet. -ENOMEM. Sleeps. */
	Result<void> create(const Super &super);
	/*
	 * Makes or removes files until there are those of @count places; where that fails, there are
	 * as many as before. A place without a branch reads as empty: who adds branches calls this
	 * before, when it can fail, and who removes some after that. One call at a time. Sleeps, until
	 * the readers of what is removed are done.
	 */
	Result<void> set_count(unsigned int count);
	void remove();

private:
	struct PlaceFiles;

	Result<void> add();
	void remove_last();

	Own<struct kobject> directory_;
	const Super *super_ = nullptr;
	struct PlaceFiles *last_ = nullptr; /* and from there to the first */
	unsigned int count_ = 0;
};

} // namespace aufs
