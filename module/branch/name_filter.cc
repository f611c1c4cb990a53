// SPDX-License-Identifier: GPL-2.0-only
#include "entries.hh"
#include "name_filter.hh"
#include "whiteout.hh"

namespace aufs
{

namespace
{

constexpr unsigned int bits_a_word = 8 * sizeof(unsigned long);
/* Of a larger directory none is made: it would be a quarter of a megabyte. */
constexpr unsigned int most_names = 65536;
/* Of a name that a filter does not have, one in two hundred is thought to be there. */
constexpr unsigned int room_a_name = 16;

struct ChangeTime {
	s64 seconds;
	u32 nanoseconds;
};

/* Later kernels keep a mark in the highest bits of the nanoseconds. */
constexpr u32 only_nanoseconds = (1U << 30) - 1;

template <class VfsInode> ChangeTime change_time_of(const VfsInode &dir)
{
	if constexpr (requires { dir.i_ctime_sec; })
		return {AtomicRef(dir.i_ctime_sec).load(),
			AtomicRef(dir.i_ctime_nsec).load() & only_nanoseconds};
	else
		return {AtomicRef(dir.i_ctime.tv_sec).load(),
			static_cast<u32>(AtomicRef(dir.i_ctime.tv_nsec).load())};
}

/* The names of a directory, each by its hash. */
class Hashes final
{
public:
	explicit Hashes(const unsigned long key[2]) : key_(key)
	{
	}
	Result<void> add(StringView name)
	{
		if (hashes_.size() == most_names)
			return Error{-E2BIG};
		return hashes_.push(Gfp{GFP_KERNEL_ACCOUNT}, NameHash(key_, name));
	}
	const Array<NameHash> &all() const
	{
		return hashes_;
	}

private:
	const unsigned long *key_;
	Array<NameHash> hashes_;
};

void set(struct aufs_name_filter &filter, unsigned int bit)
{
	filter.words[bit / bits_a_word] |= 1UL << bit % bits_a_word;
}

bool has(const struct aufs_name_filter &filter, unsigned int bit)
{
	return filter.words[bit / bits_a_word] >> bit % bits_a_word & 1;
}

} // namespace

bool may_have(const struct aufs_name_filter &filter, NameHash name)
{
	for (unsigned int i = 0; i < NameHash::bits_a_name; i++) {
		if (!has(filter, name.bit(i, filter.bits)))
			return false;
	}
	return true;
}

bool is_current(const struct aufs_name_filter &filter, const Part &part)
{
	ChangeTime now = change_time_of(part.inode());

	return now.seconds == filter.seconds && now.nanoseconds == filter.nanoseconds;
}

Result<struct aufs_name_filter *> make_name_filter(const AsMounter &mounter, const Part &part,
						   const unsigned long key[2], unsigned int &names)
{
	const Branch &branch = *part.branch;
	ChangeTime changed = change_time_of(part.inode());
	s64 earliest = aufs_coarse_time();

	/* Names in an encrypted directory are others when the key comes. */
	if (!branch.lists_numbers() || part.inode().i_flags & S_ENCRYPTED)
		return nullptr;
	/* What changes from now on might have the same time. */
	if (changed.seconds < 0 || changed.seconds >= S64_MAX / NSEC_PER_SEC - 1 ||
	    changed.seconds * NSEC_PER_SEC + changed.nanoseconds + branch.sb().s_time_gran >
		    earliest)
		return nullptr;

	Hashes hashes(key);
	auto read = for_each_entry(mounter, branch, *part.dentry,
				   [&hashes](const BranchEntry &entry) -> Result<void> {
					   StringView name = entry.name;

					   TRY(hashes.add(name));
					   if (!is_reserved(name))
						   return {};
					   return hashes.add(name.substr(whiteout_prefix.size()));
				   });

	names = static_cast<unsigned int>(hashes.all().size());
	if (read.error() == -E2BIG)
		return nullptr;
	TRY(move(read));

	unsigned int bits = bits_a_word;

	while (bits < names * room_a_name)
		bits *= 2;

	struct aufs_name_filter *filter = aufs_name_filter_alloc(bits / bits_a_word);

	if (!filter)
		return Error{-ENOMEM};
	filter->bits = bits;
	filter->seconds = changed.seconds;
	filter->nanoseconds = changed.nanoseconds;
	for (const NameHash &hash : hashes.all()) {
		for (unsigned int i = 0; i < NameHash::bits_a_name; i++)
			set(*filter, hash.bit(i, bits));
	}
	return filter;
}

} // namespace aufs
