// SPDX-License-Identifier: GPL-2.0-only
#include "find.hh"
#include "name_filters.hh"

namespace aufs
{

namespace
{

/* Adds @part to the lower parts of @found. Room for them is doubled each time that it is used up. */
Result<void> add_lower(Stack &found, Part part)
{
	constexpr unsigned int first = 2;
	unsigned int count = found.lower_count;

	if (count == 0 || (count >= first && (count & (count - 1)) == 0)) {
		unsigned int room = count ? count * 2 : first;
		auto lower = Own<Part[]>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Part[room]);

		if (!lower)
			return Error{-ENOMEM};
		for (unsigned int i = 0; i < count; i++)
			lower[i] = move(found.lower[i]);
		found.lower = move(lower);
	}
	found.lower[found.lower_count++] = move(part);
	return {};
}

} // namespace

namespace
{

/* Looks @name up in @parts, from the part number @first on. If @lookup is null, all of them are asked. */
Result<Stack> find_in(const AsMounter &mounter, const Stack &parts, StringView name,
		      unsigned int first, FilteredLookup *lookup)
{
	Stack found;

	for (unsigned int i = first; i < parts.parts(); i++) {
		if (lookup)
			i = lookup->next(i);
		if (i == parts.parts())
			break;

		const Part &part = parts.part(i);
		const Branch &branch = *part.branch;
		bool last = i + 1 == parts.parts();
		auto dentry = TRY(lookup_in(mounter, part, name));
		bool has_it = static_cast<bool>(dentry);
		bool directory = dentry && is_dir(dentry->d_inode->i_mode);

		if (dentry && !found.exists()) {
			found.top = Part(branch, move(dentry));
			if (!directory || last)
				break;
			if (TRY(is_opaque(mounter, found.top)))
				break;
		} else if (dentry) {
			/* Only directories merge with the directory above; anything else ends the search. */
			if (!directory)
				break;

			struct dentry &lower = *dentry;

			TRY(add_lower(found, Part(branch, move(dentry))));
			if (last || TRY(is_opaque(mounter, {branch, lower})))
				break;
		}
		if (!last && !has_no_whiteout(part, name) &&
		    TRY(find_whiteout(mounter, part, name)))
			break;
		if (lookup && !has_it)
			lookup->note_vain();
	}
	return found;
}

} // namespace

Result<Stack> find(const AsMounter &mounter, const Inode &dir, StringView name,
		   const ListLock &list)
{
	const Stack &parts = dir.stack();

	/* With one part a filter saves nothing. */
	if (parts.parts() == 1)
		return find_in(mounter, parts, name, 0, nullptr);

	FilteredLookup lookup(mounter, dir, parts, name, list);

	return find_in(mounter, parts, name, 0, &lookup);
}

Result<Stack> find_below(const AsMounter &mounter, const Inode &dir, StringView name,
			 const Branch &branch, const ListLock &list)
{
	const Stack &parts = dir.stack();
	FilteredLookup lookup(mounter, dir, parts, name, list);

	return find_in(mounter, parts, name, parts.below(branch).begin().place(), &lookup);
}

Result<Stack> find(const AsMounter &mounter, const Stack &parts, StringView name)
{
	return find_in(mounter, parts, name, 0, nullptr);
}

} // namespace aufs
