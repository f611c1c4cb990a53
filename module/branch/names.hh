/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of directory entries that keeps the order in which they came. The hash has a secret key, so that nobody can
 * choose names that collide. Not locked; allocation may sleep.
 */
#pragma once

#include "kernel/handles.hh"

#include "name_bytes.hh"

namespace aufs
{

class NameTable final
{
public:
	struct Entry {
		u64 number; /* the union's inode number, or 0: ask the inode */
		u32 hash;
		u32 next; /* the number of the next entry in its row */
		unsigned short part; /* the part of the directory that it was read from */
		unsigned short size; /* a server's name may be longer than NAME_MAX */
		unsigned char type; /* DT_... */
		bool visible; /* false for a whiteout, which hides the name in later parts */
		alignas(u64) char name[]; /* if it is short, zeroes up to the eighth byte */

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
		bool added; /* it is new: the caller sets number, part, type and visible */
	};
	/*
	 * The entry @name, which is added if it does not exist. -ENOMEM; -EIO for PATH_MAX bytes or more, which the VFS
	 * does not take.
	 */
	Result<Found> find_or_add(StringView name);

	/* Whether a name is short (name_bytes.hh). A function for one of them has no code for the other. */
	enum class Length : bool { is_short, is_long };
	static Length length_of(StringView name)
	{
		return name.size() <= cxxrt::short_name ? Length::is_short : Length::is_long;
	}
	/* Whether find_or_put() may be called. False if that is not known at once. */
	template <Length length> bool has_room_for(StringView name) const
	{
		if constexpr (length == Length::is_short)
			return short_left_;
		else
			return count_ != room_ && entry_size(name) <= free();
	}
	/*
	 * As find_or_add(), but without a call, and only if has_room_for(). If a long name has the hash of one that is
	 * there, nothing is done and the entry is null: ask find_or_add().
	 */
	template <Length length> [[gnu::always_inline]] Found find_or_put(StringView name)
	{
		auto wanted = look_for<length>(name);

		for (u32 number = rows_.data[wanted.row]; number;) {
			Entry &entry = *entries_.data[number - 1];

			if (entry.hash == wanted.hash) [[unlikely]] {
				if (length == Length::is_long)
					return {nullptr, false};
				if (entry.size == name.size() &&
				    cxxrt::load<u64>(entry.name) == wanted.word)
					return {&entry, false};
			}
			number = entry.next;
		}
		return {&put<length>(wanted), true};
	}

	/*
	 * About so many entries will come: room for them is made at once. For an empty table. A wrong number costs time
	 * or memory, but no more.
	 */
	void expect(unsigned long count);
	/* Frees what is needed to find and to add entries; neither is done any more. */
	void complete();

private:
	/* Entries lie one after the other in chunks, so that a large directory costs few allocations. */
	struct Chunk {
		Chunk *next;
		alignas(Entry) char bytes[];
	};

	/* A name that is looked for. */
	struct Wanted {
		StringView name;
		u64 word; /* the number of a short name */
		u32 hash;
		u32 row;
	};
	template <Length length> [[gnu::always_inline]] Wanted look_for(StringView name) const
	{
		u64 word = 0;
		u32 hash;

		if constexpr (length == Length::is_short) {
			word = cxxrt::short_name_number(name);
			hash = key_.hash_short(word, name.size());
		} else {
			hash = key_.hash_long(name);
		}
		return {name, word, hash, hash >> shift_};
	}
	/* Adds an entry, for which there is room. */
	template <Length length> [[gnu::always_inline]] Entry &put(const Wanted &wanted)
	{
		auto &entry = *reinterpret_cast<Entry *>(at_);
		u32 &row = rows_.data[wanted.row];
		unsigned long number = count_;

		at_ += entry_size<length>(wanted.name);
		entry.hash = wanted.hash;
		entry.next = row;
		entry.size = static_cast<unsigned short>(wanted.name.size());
		if constexpr (length == Length::is_short)
			cxxrt::store(entry.name, wanted.word);
		else
			cxxrt::copy_long_name(entry.name, wanted.name);
		entries_.data[number] = &entry;
		row = static_cast<u32>(++number);
		count_ = number;
		if constexpr (length == Length::is_short)
			short_left_--;
		else
			note_room();
		return entry;
	}
	template <Length length> Result<Found> find_or_add(StringView name);
	static unsigned long entry_size(StringView name)
	{
		return sizeof(Entry) +
		       ((cxxrt::max(name.size(), sizeof(u64)) + alignof(Entry) - 1) &
			~(alignof(Entry) - 1));
	}
	template <Length length> static unsigned long entry_size(StringView name)
	{
		return length == Length::is_short ? short_size : entry_size(name);
	}
	/* How many bytes of the newest chunk are free. */
	unsigned long free() const
	{
		return static_cast<unsigned long>(end_ - at_);
	}
	void note_room()
	{
		short_left_ = cxxrt::min(room_ - count_, free() / short_size);
	}
	Result<void> grow();
	Result<void> add_chunk(unsigned long size);

	KvArray<Entry *> entries_;
	/*
	 * Entries whose hashes have the same highest bits are in a row. This is the number of the first one of each
	 * row, counted from 1; there are as many rows as there is room for entries.
	 */
	KvArray<u32> rows_;
	unsigned long count_ = 0;
	unsigned long room_ = 0; /* a power of two, or 0 */
	unsigned int shift_ = 0; /* the bits of a hash that do not count for its row */
	unsigned long expected_ = 0;
	Chunk *chunks_ = nullptr;
	char *at_ = nullptr; /* in the newest chunk: the rest of it, up to end_ */
	char *end_ = nullptr;
	static constexpr unsigned long short_size = sizeof(Entry) + sizeof(u64);
	unsigned long short_left_ =
		0; /* so many more short names have room; 0 if that is not known */
	unsigned long chunk_size_ = 0; /* of the newest chunk */
	cxxrt::NameKey key_{0, 0}; /* made for the first entry */
};

} // namespace aufs
