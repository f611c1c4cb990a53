// SPDX-License-Identifier: GPL-2.0-only
#include "lookup.hh"
#include "policy.hh"

namespace aufs
{

Result<unsigned int> branch_for_new(const Inode &dir, StringView name) noexcept
{
	const Super &super = dir.super();
	const Found &found = dir.found();

	for (unsigned int i = 0; i < found.parts(); i++) {
		const BranchDentry &part = found.part(i);
		const Branch &branch = super.branch(part.branch);

		if (branch.writable())
			return part.branch;
		/* What is made below it would not be seen. */
		if (TRY(find_whiteout(branch, *part.dentry, name))) {
			if (super.rw_above(part.branch) == Super::none)
				return Error{-EROFS};
			break;
		}
	}

	unsigned int index = super.rw_above(found.top.branch);

	if (index == Super::none)
		index = super.rw_above(found.part(found.parts() - 1).branch);
	if (index == Super::none)
		return Error{-EROFS};
	return index;
}

Result<unsigned int> branch_for_copy(const Inode &parent, unsigned int source) noexcept
{
	const Super &super = parent.super();
	const Found &found = parent.found();

	for (unsigned int i = 0; i < found.parts() && found.part(i).branch < source; i++) {
		if (super.branch(found.part(i).branch).writable())
			return found.part(i).branch;
	}

	unsigned int index = super.rw_above(source);

	if (index == Super::none)
		return Error{-EROFS};
	return index;
}

} // namespace aufs
