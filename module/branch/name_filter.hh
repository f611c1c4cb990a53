/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which names one directory of a branch does not have. A filter is made of all names that the directory lists, and of
 * those that its whiteouts hide; it says "no" of nearly all others, and never of one of them. It counts as long as the
 * directory has the change time that it had before it was read. Of that the filesystem must give another one whenever a
 * name comes or goes, and its readdir must not leave a name out without an error: so there is a filter only where the
 * filesystem is one that somebody has looked at, and none of a directory that was changed in the moment in which it was
 * read.
 */
#pragma once

#include "part.hh"
#include "writer.hh"

namespace aufs
{

/* A name as filters know it. */
class NameHash final
{
public:
	NameHash() = default;
	NameHash(const unsigned long key[2], StringView name)
		: hash_(aufs_hash(key, name.data(), name.size())), is_(true)
	{
	}
	explicit operator bool() const
	{
		return is_;
	}
	/* The place of the @index-th of its bits in a filter of @bits, a power of two. */
	unsigned int bit(unsigned int index, unsigned int bits) const
	{
		return (hash_ + index * (hash_ >> 15 | hash_ << 17 | 1)) & (bits - 1);
	}
	static constexpr unsigned int bits_a_name = 3;

private:
	unsigned int hash_ = 0;
	bool is_ = false;
};

/* Those of @count parts, none made yet; null without memory. */
inline struct aufs_name_filters *allocate_filters(unsigned int count)
{
	return aufs_name_filters_alloc(count);
}

/* When nobody looks at it under RCU any more. Null is allowed. Any context, as the other. */
inline void free_filter(struct aufs_name_filter *filter)
{
	aufs_name_filter_free(filter);
}

inline void free_filters(struct aufs_name_filters *filters)
{
	aufs_name_filters_free(filters);
}

/* Whether @filter says nothing against the name. Any context. */
bool may_have(const struct aufs_name_filter &filter, NameHash name);

/* Whether the directory @part is as it was when @filter was made. Any context. */
bool is_current(const struct aufs_name_filter &filter, const Part &part);

/* Names in the directory @part, very roughly; ~0 where there can be no filter of it. Any context. */
unsigned int estimate_names(const Part &part);

/*
 * A new filter of the directory @part, or null where there can be none, or none just now; @names: how many names were
 * read for it. -ENOMEM; -EINTR on a fatal signal; what the branch says. Sleeps; takes the i_rwsem of the directory.
 */
Result<struct aufs_name_filter *> make_name_filter(const AsMounter &mounter, const Part &part,
						   const unsigned long key[2], unsigned int &names);

} // namespace aufs
