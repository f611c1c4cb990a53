// SPDX-License-Identifier: GPL-2.0-only
#include "dir_lock.hh"

namespace aufs
{

Result<RenameLock> RenameLock::begin(const Branch &branch, struct aufs_renaming names,
				     StringView from, StringView to, bool exchange)
{
	TRY(check(aufs_rename_begin(branch.mnt(), &names, from.data(),
				    static_cast<unsigned int>(from.size()), to.data(),
				    static_cast<unsigned int>(to.size()), exchange)));

	RenameLock lock(branch.mnt(), names);

	if (!is_live_directory({branch, *names.from_dir}) ||
	    !is_live_directory({branch, *names.to_dir}))
		return Error{-ESTALE};
	return lock;
}

} // namespace aufs
