/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A filter knows which names one directory of a branch does not have. It is made of all names that the directory lists,
 * and of those that its whiteouts hide. It says "no" of nearly all other names, and never of one of these. It counts as
 * long as the directory has the change time that it had before it was read.
 *
 * So the filesystem must give the directory another time whenever a name comes or goes, and its readdir must not leave
 * a name out without an error. Filters are made only on filesystems of which that is known, and not of a directory that
 * has just been changed.
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
	/* The place of the name's bit number @index in a filter of @bits bits, a power of two. */
	unsigned int bit(unsigned int index, unsigned int bits) const
	{
		return (hash_ + index * (hash_ >> 15 | hash_ << 17 | 1)) & (bits - 1);
	}
	static constexpr unsigned int bits_a_name = 3;

private:
	unsigned int hash_ = 0;
	bool is_ = false;
};

/* Room for the filters of @count parts, none of which is made yet. Null without memory. */
inline struct aufs_name_filters *allocate_filters(unsigned int count)
{
	return aufs_name_filters_alloc(count);
}

/* Frees @filter, which may be null, when nobody looks at it under RCU any more. Any context, as free_filters(). */
inline void free_filter(struct aufs_name_filter *filter)
{
	aufs_name_filter_free(filter);
}

inline void free_filters(struct aufs_name_filters *filters)
{
	aufs_name_filters_free(filters);
}

/* False if the directory does not have the name. Any context. */
bool may_have(const struct aufs_name_filter &filter, NameHash name);

/* Whether the directory @part is as it was when @filter was made. Any context. */
bool is_current(const struct aufs_name_filter &filter, const Part &part);

/* A very rough number of names in the directory @part; ~0 if it can have no filter. Any context. */
unsigned int estimate_names(const Part &part);

/*
 * Whether the directory @part may have more than @most names, and has more than one block: a single one holds few names
 * in most directories, and costs about as much if it is full. Any context.
 */
bool is_large(const Part &part, unsigned int most);

/*
 * A new filter of the directory @part. Null if it can have none, or none just now. @names: how many names were read for
 * it. -ENOMEM; -EINTR on a fatal signal; the branch's errors. Sleeps; takes the i_rwsem of the directory.
 */
Result<struct aufs_name_filter *> make_name_filter(const AsMounter &mounter, const Part &part,
						   const unsigned long key[2], unsigned int &names);

} // namespace aufs
