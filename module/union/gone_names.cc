// SPDX-License-Identifier: GPL-2.0-only
#include "gone_names.hh"
#include "branch/entry.hh"
#include "branch/lookup.hh"
#include "branch/housekeeping.hh"
#include "branch/attributes.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

class GoneName final
{
public:
	GoneName(const unsigned char *filesystem, const Identity &id)
		: size_(snprintf(text_, sizeof(text_), "%s%*phN.%llu.%u", gone_prefix.data(),
				 UUID_SIZE, filesystem, id.key.number,
				 static_cast<u32>(id.generation)))
	{
	}
	StringView view() const
	{
		return {text_, static_cast<StringView::Size>(size_)};
	}

private:
	char text_[96];
	int size_;
};

/* The id of the file's filesystem, for the names; null if it has none that lasts. */
const unsigned char *filesystem_of(const Super &super, const Identity &id)
{
	return id.lasts() ? super.id_of(id.key.filesystem) : nullptr;
}

} // namespace

Result<unsigned int> count_gone_names(const AsMounter &mounter, const Super &super,
				      const Branch &branch, const Identity &id)
{
	const unsigned char *filesystem = filesystem_of(super, id);
	unsigned int count = 0;

	if (!filesystem)
		return count;
	for (const Branch &above : super.branches()) {
		if (!above.is_above(branch))
			break;
		if (!above.housekeeping().has_gone_names())
			continue;

		auto plinks = above.housekeeping().existing(above, HousekeepingDir::plinks);
		auto file = plinks ? TRY(lookup_in(mounter, {above, *plinks},
						   GoneName(filesystem, id).view())) :
				     Ref<struct dentry>();

		if (file && is_reg(file->d_inode->i_mode))
			count += static_cast<unsigned int>(size_of(*file->d_inode));
	}
	return count;
}

Result<void> note_gone_name(const CopyLock &, const AsMounter &mounter, const Super &super,
			    const Branch &branch, const Identity &id)
{
	const unsigned char *filesystem = filesystem_of(super, id);

	if (!filesystem)
		return {};

	auto writer = TRY(branch.write(mounter));
	auto plinks = TRY(branch.housekeeping().directory(writer, HousekeepingDir::plinks));
	Ref<struct dentry> file;

	branch.housekeeping().note_gone_names();
	{
		auto lock = TRY(DirLock::get(writer, *plinks));

		file = TRY(lookup_locked(lock, GoneName(filesystem, id).view()));
		if (!is_positive(*file)) {
			TRY(lock.make(*file, NewObject::file(S_IRUSR)));
			file = TRY(find_made(lock, move(file)));
		}
		if (!is_positive(*file) || !is_reg(file->d_inode->i_mode))
			return Error{-EIO};
	}

	struct iattr attr = {};
	InodeLock lock(*file->d_inode);

	attr.ia_valid = ATTR_SIZE;
	attr.ia_size = size_of(*file->d_inode) + 1;
	return change_attributes(lock, {branch, *file}, attr);
}

Result<void> forget_gone_names(const Writer &writer, const Super &super, const Identity &id)
{
	const Branch &branch = writer.branch();

	if (!branch.housekeeping().has_gone_names())
		return {};

	const unsigned char *filesystem = filesystem_of(super, id);

	if (!filesystem)
		return {};

	auto plinks = branch.housekeeping().existing(branch, HousekeepingDir::plinks);

	if (!plinks)
		return {};

	auto lock = TRY(DirLock::get(writer, *plinks));
	auto file = TRY(lookup_locked(lock, GoneName(filesystem, id).view()));

	return is_positive(*file) ? lock.unlink(*file) : Result<void>();
}

} // namespace aufs
