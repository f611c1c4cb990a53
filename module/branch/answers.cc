// SPDX-License-Identifier: GPL-2.0-only
#include "answers.hh"

namespace aufs
{

namespace
{

constexpr Gfp accounted{GFP_KERNEL_ACCOUNT};

/* Whether @error is that of the server, and no accident of this task. */
bool is_of_server(int error)
{
	return error != -ENOMEM && error != -EINTR && error != -ERESTARTSYS;
}

/*
 * Whether a dentry of @sb that somebody has pinned is renamed when it is to be removed, as if a file were open by it.
 * Then an empty directory would not be empty. These filesystems keep a dentry that nobody has.
 */
bool renames_what_is_pinned(const struct super_block &sb)
{
	return sb.s_magic == NFS_SUPER_MAGIC || sb.s_magic == AFS_FS_MAGIC;
}

} // namespace

bool Answers::Answer::is_about(PartRef where, StringView what) const
{
	return dir.dentry.get() == &where.dentry && StringView(name.get(), size) == what;
}

/* Whether @now, which the dcache has by the name, is the answer. */
bool Answers::Answer::is(const struct dentry *now) const
{
	return now && !error &&
	       (!found || now == found.dentry.get() ||
		!AtomicRef(found.dentry->d_hash.pprev).load());
}

/* Whether the dcache has learned nothing new since the error. */
bool Answers::Answer::is_error_still(const struct dentry *now) const
{
	return error && (!now || now == before);
}

/* Keys of different questions may be the same. Then one of them has the next free key. */
Answers::Place Answers::place_of(PartRef dir, StringView name) const
{
	u64 hash = aufs_name_hash(&dir.dentry, name.data(), static_cast<unsigned int>(name.size()));
	uintptr_t key = reinterpret_cast<uintptr_t>(&dir.dentry) ^
			static_cast<uintptr_t>(hash << 32 | hash);

	for (;; key++) {
		const long *index = key ? places_.find(reinterpret_cast<const void *>(key)) :
					  nullptr;

		if (index && lookups_[static_cast<size_t>(*index)].is_about(dir, name))
			return {key, *index};
		if (!index && key)
			return {key, -1};
	}
}

/* Without memory there is no answer, and the server is asked again. */
void Answers::keep(Place place, PartRef dir, StringView name, Answer answer)
{
	answer.dir = Part::of(dir);
	answer.size = name.size();
	answer.name = Own<char[]>::adopt(new (accounted) char[name.size()]);
	if (!answer.name)
		return;
	__builtin_memcpy(answer.name.get(), name.data(), name.size());
	if (place.index >= 0)
		lookups_[static_cast<size_t>(place.index)] = move(answer);
	else if (lookups_.push(accounted, move(answer)).ok())
		(void)places_
			.add(accounted, reinterpret_cast<const void *>(place.key),
			     static_cast<long>(lookups_.size() - 1))
			.ok();
}

void Answers::keep(PartRef part, Value value)
{
	const long *index = origin_places_.find(&part.dentry);

	value.part = Part::of(part);
	if (index)
		origins_[static_cast<size_t>(*index)] = move(value);
	else if (origins_.push(accounted, move(value)).ok())
		(void)origin_places_
			.add(accounted, &part.dentry, static_cast<long>(origins_.size() - 1))
			.ok();
}

Result<void> Answers::begin_to_ask()
{
	if (asks_ != Asks::nothing)
		return {};
	lacks_some_ = true;
	return Error{-EAGAIN};
}

Result<Ref<struct dentry>> Answers::look_up(PartRef dir, StringView name)
{
	Place place = place_of(dir, name);
	const Answer *known = answer_at(place);
	auto dentry = Ref<struct dentry>::adopt(
		aufs_d_lookup(&dir.dentry, name.data(), static_cast<unsigned int>(name.size())));

	if (known && asks_ != Asks::all && known->is_error_still(dentry.get()))
		return Error{known->error};
	if (!known || !known->is(dentry.get())) {
		Answer answer;

		TRY(begin_to_ask());

		auto asked = adopt_or_error(aufs_lookup_negative_too(
			dir.branch.mnt(), name.data(), &dir.dentry, static_cast<int>(name.size())));

		/* A caller would take -EAGAIN for an answer that is lacking. */
		answer.error = asked.error() == -EAGAIN ? -EIO : asked.error();
		answer.before = dentry.get();
		if (asked.ok() && !renames_what_is_pinned(dir.branch.sb()))
			answer.found = Part::of({dir.branch, *asked.value()});
		if (int error = answer.error) {
			if (is_of_server(error))
				keep(place, dir, name, move(answer));
			return Error{error};
		}
		keep(place, dir, name, move(answer));
		dentry = asked.release();
	}
	if (!aufs_d_is_positive(dentry.get()))
		return Error{-ENOENT};
	return dentry;
}

Result<ssize_t> Answers::read_origin(PartRef part, void *value, size_t size)
{
	const long *index = origin_places_.find(&part.dentry);
	Value answer;

	if (index) {
		const Value &known = origins_[static_cast<size_t>(*index)];

		if (known.size >= 0 || known.size == -ENODATA || asks_ != Asks::all) {
			__builtin_memcpy(value, known.bytes, cxxrt::min(size, most_bytes));
			return check_count(known.size);
		}
	}
	TRY(begin_to_ask());
	answer.size = aufs_getxattr(part.branch.mnt(), &part.dentry, origin_name, answer.bytes,
				    cxxrt::min(size, most_bytes));
	__builtin_memcpy(value, answer.bytes, cxxrt::min(size, most_bytes));

	ssize_t count = answer.size;

	if (is_of_server(static_cast<int>(count)))
		keep(part, move(answer));
	return check_count(count);
}

} // namespace aufs
