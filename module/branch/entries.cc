// SPDX-License-Identifier: GPL-2.0-only
#include "entries.hh"
#include "whiteout.hh"

namespace aufs
{

Result<loff_t> take_entries(const AsMounter &, PartRef dir, unsigned int flags, EntryTaker &taker)
{
	struct path path = dir.path();
	auto file = TRY(adopt_or_error(
		dentry_open(&path, static_cast<int>(O_RDONLY | O_DIRECTORY | O_LARGEFILE | flags),
			    aufs_current_cred())));

	/* A filesystem may stop after any number of entries; at the end it gives none. */
	do {
		taker.called = false;
		TRY(check(iterate_dir(file.get(), &taker)));
		TRY(check(taker.error));
		if (aufs_signal_pending())
			return Error{-EINTR};
	} while (taker.called);
	return file->f_pos;
}

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
