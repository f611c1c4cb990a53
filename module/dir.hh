/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading directories: one branch's, and the union's. */
#pragma once

#include "inode.hh"
#include "names.hh"

namespace aufs
{

/* One entry as a branch gives it. */
struct BranchEntry {
	StringView name;
	u64 number;
	unsigned int type;
};

/*
 * Calls @visit(BranchEntry) -> Result<void> for each entry of the directory @dir of @branch but `.`
 * and `..`. The branch directory is locked meanwhile. -EINTR on a fatal signal. The mounter's
 * credentials are held.
 */
template <class Visit>
[[nodiscard]] Result<void> for_each_entry(const Branch &branch, struct dentry &dir,
					  Visit &&visit) noexcept;

/* The names in one branch directory. */
class NameList final
{
public:
	/* The mounter's credentials are held. */
	[[nodiscard]] static Result<NameList> read(const Branch &branch,
						   struct dentry &dir) noexcept;

	/* Calls @action(StringView) -> Result<void> for each name. */
	template <class Action> Result<void> for_each(Action &&action) const noexcept
	{
		for (unsigned long i = 0; i < names_.count(); i++)
			TRY(action(names_[i].view()));
		return {};
	}

private:
	NameTable names_;
};

/*
 * Whether users see nothing in @dir, whatever its parts have. -ESTALE where one of these has been removed
 * directly. The mounter's credentials are held.
 */
[[nodiscard]] Result<bool> is_logically_empty(Inode &dir) noexcept;

} // namespace aufs
