// SPDX-License-Identifier: GPL-2.0-only
#include "copy_lock.hh"
#include "name_filters.hh"

namespace aufs
{

namespace
{

/* How often each part is asked in vain before it is read. */
constexpr unsigned int patience = 8;
/* Reading so many entries costs less than asking a branch for one name. */
constexpr unsigned int entries_a_question = 4;
/* So many names of a part are paid for by then. The first reading leaves out parts that are larger. */
constexpr unsigned int few_names = patience * entries_a_question;
/* If no filter could be made, the next try comes after so many questions more. */
constexpr unsigned int pause = 1024;

} // namespace

unsigned int FilteredLookup::next(unsigned int index) const
{
	if (!name_)
		return index;

	RcuReader reader;
	const struct aufs_name_filters *filters = AtomicRef(dir_.filters_).load_acquire();

	if (!filters || filters->of != &parts_)
		return index;
	for (; index < filters->count; index++) {
		const struct aufs_name_filter *filter =
			AtomicRef(filters->filter[index]).load_acquire();

		if (!filter || may_have(*filter, name_) || !is_current(*filter, parts_.part(index)))
			break;
	}
	return index;
}

/* The filters of @parts; room for them is made if there is none yet. Null without memory. */
struct aufs_name_filters *Inode::filters_of(const CopyLock &, const Stack &parts) const
{
	struct aufs_name_filters *filters = filters_;

	if (filters && filters->of == &parts)
		return filters;

	struct aufs_name_filters *made = allocate_filters(parts.parts());

	if (!made)
		return nullptr;
	made->of = &parts;
	AtomicRef(filters_).store_release(made);
	free_filters(filters);
	return made;
}

void Inode::make_filters(const AsMounter &mounter, const Stack &parts, unsigned int most) const
{
	/* A task that looks a name up may have the lock of another inode, so it does not wait here. */
	auto lock = CopyLock::try_to_get(*this);

	/* The directory is getting another part just now. */
	if (!lock.ok() || &stack() != &parts)
		return;

	struct aufs_name_filters *filters = filters_of(lock.value(), parts);
	unsigned int read = 0;
	bool made = false;
	bool large = false;

	for (unsigned int i = 0; filters && i < parts.parts(); i++) {
		struct aufs_name_filter *known = filters->filter[i];
		unsigned int names = 0;

		if (known && is_current(*known, parts.part(i)))
			continue;

		if (is_large(parts.part(i), most)) {
			read += estimate_names(parts.part(i));
			large = true;
			continue;
		}

		auto filter = make_name_filter(mounter, parts.part(i), super().name_key(), names);

		read += names;
		if (!filter.ok() || !filter.value())
			continue;
		AtomicRef(filters->filter[i]).store_release(filter.value());
		free_filter(known);
		made = true;
	}
	AtomicRef(most_vain_)
		.store(cxxrt::max(patience * parts.parts(), read / entries_a_question) +
		       (made || large ? 0 : pause));
}

void Inode::drop_filters()
{
	struct aufs_name_filters *old = filters_;

	AtomicRef(filters_).store(nullptr);
	AtomicRef(vain_).store(0);
	AtomicRef(most_vain_).store(0);
	free_filters(old);
}

unsigned int estimate_names(const Stack &parts)
{
	unsigned int names = 0;

	for (const Part &part : parts) {
		unsigned int more = estimate_names(part);

		if (more != ~0U)
			names += more;
	}
	return names;
}

FilteredLookup::~FilteredLookup()
{
	if (!vain_)
		return;

	unsigned int most = AtomicRef(dir_.most_vain_).load();
	unsigned int asked = AtomicRef(dir_.vain_).fetch_add(vain_) + vain_;

	if (asked < (most ? most : patience * parts_.parts()))
		return;
	/* If several tasks come here at once, one of them makes the filters. */
	if (AtomicRef(dir_.vain_).exchange(0) < vain_)
		return;
	dir_.make_filters(mounter_, parts_, most ? ~0U : few_names);
}

} // namespace aufs
