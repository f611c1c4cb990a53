// SPDX-License-Identifier: GPL-2.0-only
#include "entries.hh"
#include "whiteout.hh"

namespace aufs
{

Result<NameList> NameList::read(const AsMounter &mounter, PartRef dir)
{
	NameList list;

	TRY(for_each_entry(mounter, dir, [&list](const BranchEntry &entry) -> Result<void> {
		TRY(list.names_.find_or_add(entry.name)).entry->visible = !is_reserved(entry.name);
		return {};
	}));
	return list;
}

} // namespace aufs
