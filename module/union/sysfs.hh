/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of one union in /sys/fs/aufs/si_ID/, by the original's names. For each place in its list of branches there
 * are br0, br1, ... (`DIR=PERM` and a newline) and brid0, ... (the branch's number for life). xi_path names the table
 * of inode numbers that the original needs: here it is empty.
 *
 * A file belongs to a place, not to a branch. When branches come and go, the files of the places that stay are there
 * all the time, and show the branch that is there now. A read takes the claims' lock alone. When a file has been
 * removed, nobody reads it any more; a task that has it open gets ENODEV.
 */
#pragma once

#include "kernel/handles.hh"

namespace cxxrt
{

template <> struct OwnTraits<struct kobject> {
	static void destroy(struct kobject *kobject)
	{
		/* At once, not only with the last reference: the name may be used again. */
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

	/* Makes the directory of @super, which must outlive this, without a place yet. -ENOMEM. Sleeps. */
	Result<void> create(const Super &super);
	/*
	 * Makes or removes files until there are those of @count places. If that fails, there are as many as before. A
	 * place without a branch reads as empty. So a caller that adds branches calls this before, when it may fail,
	 * and one that removes branches calls it afterwards. One call at a time. Sleeps until the readers of removed
	 * files are done.
	 */
	Result<void> set_count(unsigned int count);
	void remove();

private:
	struct Place;
	struct Places;

	Result<void> make_room(unsigned int count);
	void free_room();
	Result<void> add();
	void shrink(unsigned int count);

	Own<struct kobject> directory_;
	const Super *super_ = nullptr;
	struct Places *last_ =
		nullptr; /* those of the last places; the others follow by `before` */
	unsigned int count_ = 0;
};

} // namespace aufs
