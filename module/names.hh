/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of directory entries that keeps the order in which they came. Not locked; allocation may
 * sleep.
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
		bool visible; /* not: it is a whiteout, which hides the name in later parts */
		unsigned char size;
		char name[];

		StringView view() const noexcept
		{
			return StringView(name, size);
		}
	};

	NameTable() noexcept = default;
	NameTable(NameTable &&other) noexcept;
	NameTable &operator=(NameTable &&other) noexcept;
	NameTable(const NameTable &) = delete;
	NameTable &operator=(const NameTable &) = delete;
	~NameTable();

	unsigned long count() const noexcept
	{
		return count_;
	}
	Entry &operator[](unsigned long index) const noexcept
	{
		return *entries_.data[index];
	}

	/* The entry @name, or null. */
	Entry *find(StringView name) const noexcept;
	/*
	 * A new entry @name (at most NAME_MAX bytes), which is not there yet; its other members are
	 * 0. -ENOMEM.
	 */
	[[nodiscard]] Result<Entry *> add(StringView name) noexcept;

private:
	/*
	 * Entries lie one after the other in chunks, so that a large directory costs few
	 * allocations.
	 */
	struct Chunk {
		Chunk *next;
		unsigned long used;
		alignas(Entry) char bytes[];
	};
	static constexpr unsigned long chunk_size = 32768;

	unsigned long *slot_of(StringView name, unsigned int hash) const noexcept;
	Result<void> grow() noexcept;
	Result<Entry *> allocate(unsigned long size) noexcept;

	Chunk *chunks_ = nullptr;
	KvArray<Entry *> entries_;
	KvArray<unsigned long>
		slots_; /* indices plus 1; twice as many as there is room for entries */
	unsigned long count_ = 0;
	unsigned long room_ = 0;
};

} // namespace aufs
