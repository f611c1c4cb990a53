// SPDX-License-Identifier: GPL-2.0-only
#include "gone_names.hh"
#include "branch/lookup.hh"
#include "branch/reserved.hh"

namespace aufs
{

namespace
{

class GoneName final
{
public:
	GoneName(const unsigned char *filesystem, const ObjectId &id, unsigned int number)
		: size_(snprintf(text_, sizeof(text_), "%s%*phN.%llu.%u.%u", gone_prefix.data(),
				 UUID_SIZE, filesystem, id.key.number,
				 static_cast<u32>(id.generation), number))
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

/* What tells the file's filesystem in the names; null where it has none that lasts. */
const unsigned char *filesystem_of(const Super &super, const ObjectId &id)
{
	return id.lasts() ? super.id_of(id.key.filesystem) : nullptr;
}

} // namespace

Result<unsigned int> count_gone_names(const Super &super, const ObjectId &id)
{
	const unsigned char *filesystem = filesystem_of(super, id);
	unsigned int count = 0;

	if (!filesystem)
		return count;
	for (const Branch &branch : super.branches()) {
		if (!branch.writable() || !branch.reserved().has_gone_names())
			continue;

		auto plinks = branch.reserved().existing(branch, ReservedDir::plinks);

		for (unsigned int number = 1; plinks; number++) {
			if (!TRY(lookup_in(branch, *plinks,
					   GoneName(filesystem, id, number).view())))
				break;
			count++;
		}
	}
	return count;
}

Result<void> note_gone_name(const Super &super, const Branch &branch, const ObjectId &id)
{
	const unsigned char *filesystem = filesystem_of(super, id);

	if (!filesystem)
		return {};

	auto write = TRY(BranchWrite::get(branch));
	auto plinks = TRY(branch.reserved().directory(branch, ReservedDir::plinks));
	auto lock = TRY(DirLock::get(branch.mnt(), *plinks));

	branch.reserved().note_gone_names();
	for (unsigned int number = 1;; number++) {
		auto name = TRY(
			lookup_locked(branch, *plinks, GoneName(filesystem, id, number).view()));

		if (is_positive(*name))
			continue;
		return lock.make(*name,
				 [](struct vfsmount *mnt, struct inode &dir, struct dentry &d) {
					 return aufs_create(mnt, &dir, &d, S_IRUSR);
				 });
	}
}

Result<void> forget_gone_names(const BranchWrite &write, const Super &super, const ObjectId &id)
{
	const Branch &branch = write.branch();
	const unsigned char *filesystem = filesystem_of(super, id);

	if (!filesystem || !branch.reserved().has_gone_names())
		return {};

	auto plinks = branch.reserved().existing(branch, ReservedDir::plinks);

	if (!plinks)
		return {};

	auto lock = TRY(DirLock::get(branch.mnt(), *plinks));
	unsigned int last = 0;

	while (is_positive(
		*TRY(lookup_locked(branch, *plinks, GoneName(filesystem, id, last + 1).view()))))
		last++;
	/* From the last one: what is left after an error is counted. */
	for (; last > 0; last--) {
		auto name =
			TRY(lookup_locked(branch, *plinks, GoneName(filesystem, id, last).view()));

		TRY(lock.unlink(*name));
	}
	return {};
}

} // namespace aufs
