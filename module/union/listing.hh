/* SPDX-License-Identifier: GPL-2.0-only */
/* The entries of a merged directory. */
#pragma once

#include "inode.hh"
#include "branch/names.hh"

namespace aufs
{

struct BranchEntry;

/*
 * One reading of all parts of a directory. Readers of the directory share it while nothing changes there, so that many
 * open descriptors cost as much memory as one. It does not change, and lasts until the last of them is closed or reads
 * anew.
 *
 * Whether something has changed is known by the parts' change times. They do not tell it on every filesystem, nor of a
 * directory that changed when it was read: such a reading is not shared.
 */
class Listing final
{
public:
	/*
	 * The listing of @dir as it is now; put() ends its use. -ENOMEM; -EINTR on a fatal signal; errors of branches.
	 * Sleeps.
	 */
	static Result<Listing *> get(const AsMounter &mounter, Inode &dir);
	static void put(Inode &dir, Listing *listing);

	/* Its members do not change. */
	const NameTable &names() const
	{
		return names_;
	}

	/* Whether a rw branch has names in the directory that are too long for users to see them (max_name). */
	bool has_hidden_on_rw() const
	{
		return has_hidden_on_rw_;
	}

	/* The same for a single look, which nobody shares. */
	static Result<Own<Listing>> read(const AsMounter &mounter, Inode &dir);

private:
	Listing() = default;

	Result<void> read_parts(const AsMounter &mounter, Inode &dir);
	struct Source;
	struct Reader;
	static void note(const Source &source, NameTable::Found found, u64 number,
			 unsigned int type, bool visible);
	Result<void> add(const Super &super, const Source &source, const BranchEntry &entry);
	Result<void> hide_overlay_whiteouts(const AsMounter &mounter, const Part &from,
					    unsigned long first);
	Result<void> add_whiteout(const Source &source, const BranchEntry &entry);

	NameTable names_;
	/* The directory's parts, and the change time of each, in ns; null if one is not known. */
	const Stack *stack_ = nullptr;
	Own<s64[]> changed_;
	/* Whether entries have no numbers, and their inodes are asked, wherever the branch's may be others. */
	bool impure_ = false;
	bool has_hidden_on_rw_ = false;
	unsigned int users_ = 1; /* under the inode's i_lock */
};

} // namespace aufs
