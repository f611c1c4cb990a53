/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of directory entries that keeps the order in which they came. The hash has a secret key, so that nobody can
 * choose names that collide. Not locked; allocation may sleep.
 */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

class NameTable final
{
public:
	struct Entry {
		u64 number; /* the union's inode number, or 0: ask the inode */
		unsigned int hash;
		unsigned short part; /* the part of the directory that it was read from */
		unsigned char type; /* DT_... */
		bool visible; /* false for a whiteout, which hides the name in later parts */
		unsigned short size; /* a server's name may be longer than NAME_MAX */
		char name[];

		StringView view() const
		{
			return StringView(name, size);
		}
	};

	NameTable() = default;
	NameTable(NameTable &&other);
	NameTable &operator=(NameTable &&other);
	NameTable(const NameTable &) = delete;
	NameTable &operator=(const NameTable &) = delete;
	~NameTable();

	unsigned long count() const
	{
		return count_;
	}
	Entry &operator[](unsigned long index) const
	{
		return *entries_.data[index];
	}

	struct Found {
		Entry *entry;
		bool added; /* it is new: number, part, type and visible are 0 */
	};
	/*
	 * The entry @name, which is added if it does not exist. -ENOMEM; -EIO for PATH_MAX bytes or more, which the VFS
	 * does not take.
	 */
	Result<Found> find_or_add(StringView name);
	/* Frees what is needed to find and to add entries; neither is done any more. */
	void complete()
	{
		slots_ = {};
	}

private:
	/* Entries lie one after the other in chunks, so that a large directory costs few allocations. */
	struct Chunk {
		Chunk *next;
		unsigned long used;
		alignas(Entry) char bytes[];
	};
	static constexpr unsigned long chunk_size = 32768;

	unsigned int hash_of(StringView name) const
	{
		return aufs_hash(key_, name.data(), name.size());
	}
	unsigned long *slot_of(StringView name, unsigned int hash) const;
	Result<void> grow();
	Result<Entry *> allocate(unsigned long size);

	Chunk *chunks_ = nullptr;
	KvArray<Entry *> entries_;
	KvArray<unsigned long>
		slots_; /* indices plus 1; twice as many as there is room for entries */
	unsigned long count_ = 0;
	unsigned long room_ = 0;
	unsigned long key_[2] = {}; /* of the hash; made for the first entry */
};

} // namespace aufs
